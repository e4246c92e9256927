# Work for Perl's memory: hashes of arrays, strings, regular expressions, closures, sorting, and a fork.
# SPDX-License-Identifier: Apache-2.0
use strict;
use warnings;

my $count = shift;
my $state = 1;
sub random { $state = ($state * 1103515245 + 12345) % 2147483648; return $state % shift }

my %table;
for my $i (1 .. $count) {
  push @{ $table{ "key " . random(20000) } }, "x" x random(100);
  delete $table{ "key " . random(20000) } if $i % 3 == 0;
}
my ($keys, $values, $bytes) = (scalar(keys %table), 0, 0);
for my $list (values %table) { $values += @$list; $bytes += length for @$list }
print "$keys keys, $values values, $bytes bytes\n";

my $text = join ' ', map { "word" . random(5000) . "=" . $_ } 1 .. $count;
my %seen;
$seen{$1} .= $2 while $text =~ /(word\d+)=(\d+)/g;
my @longest = sort { length $seen{$b} <=> length $seen{$a} || $a cmp $b } keys %seen;
print join(' ', map { "$_:" . length $seen{$_} } @longest[ 0 .. 4 ]), "\n";
(my $changed = $text) =~ s/word(\d+)/<$1>/g;
print length($text), ' ', length($changed), "\n";

my @closures = map { my $n = $_; sub { $n + shift } } 1 .. $count / 10;
my $sum = 0;
$sum += $_->(1) for @closures;
print "$sum\n";

$| = 1;
my $child = fork;
die "fork: $!" unless defined $child;
if ($child == 0) { %table = (); exit(keys(%seen) > 0 ? 0 : 1) }
waitpid $child, 0;
print "child $?\n";
