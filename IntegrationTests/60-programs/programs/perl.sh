# shellcheck shell=bash
# Perl: hashes, strings, regular expressions and sorting.
# SPDX-License-Identifier: Apache-2.0

same_output "perl: a script" env PERL_HASH_SEED=0 perl "$topic/programs/script.pl" "$(pick 200000 2000000)"
