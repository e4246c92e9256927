# shellcheck shell=bash
# Perl: hashes of arrays, strings, regular expressions and sorting.
# SPDX-License-Identifier: Apache-2.0

program=(env PERL_HASH_SEED=0 perl "$BENCHMARKS/programs/perl/work.pl" "$(pick 30000 300000)")

prepare() { "${program[@]}" >expected; }

run() {
  measured "${program[@]}" >output
  cmp expected output
}
