# shellcheck shell=bash
# Perl: words counted in hashes, sorted and joined: many small blocks of many sizes.
# SPDX-License-Identifier: Apache-2.0

prepare() {
  cat >words.pl <<'PERL'
use strict;
my ($rounds, $state, %count, @lines) = (shift, 1);
for my $round (1 .. $rounds) {
  for (1 .. 100_000) {
    $state = ($state * 1103515245 + 12345) & 0x7fffffff;
    $count{"word" . ($state >> 8) % 50_000 . "x" x ($state % 40)}++;
  }
  push @lines, join " ", map { "$_=$count{$_}" } sort keys %count if $round % 2 == 0;
  %count = () if $round % 3 == 0;
}
print scalar(@lines), " ", length(join "", @lines), "\n";
PERL
}

run() { measured perl words.pl "$(pick 1 6)"; }
