# Work for Perl's memory: a log is made, taken apart by regular expressions, grouped in nested hashes, and summed up.
# SPDX-License-Identifier: Apache-2.0
use strict;
use warnings;

my $lines = shift;
my $state = 42;
sub random { $state = ($state * 1103515245 + 12345) & 0x7fffffff; return ($state >> 8) % shift }

my @words = map { join '', map { chr 97 + random(26) } 1 .. 3 + random(12) } 1 .. 2000;
sub word { return $words[random(scalar @words)] }
sub text { join ' ', map { word() } 1 .. shift }

# Lines are taken apart as they come. A user's list is bounded, so that old entries go while new ones come.
my (%users, %seen);
for my $i (1 .. $lines) {
  my $line = sprintf '%06d user%d GET /%s?%s=%d "%s"', $i, random(5000), word(), word(),
    random(100000), text(1 + random(8));
  my ($time, $user, $path, $query, $agent) = $line =~ m{^(\d+) (\w+) GET (/\w+)\?(\S+) "([^"]*)"$} or die "no match: $line";
  my %fields = map { split /=/ } split /&/, $query;
  my $entries = $users{$user}{$path} //= [];
  push @$entries, { time => $time, agent => $agent, fields => \%fields };
  shift @$entries if @$entries > 3;
  $seen{$_}++ for split ' ', $agent;
  delete $users{ "user" . random(5000) } if $i % 50 == 0;
}

my ($paths, $entries, $bytes) = (0, 0, 0);
for my $user (values %users) {
  for my $list (values %$user) {
    $paths++;
    $entries += @$list;
    $bytes += length $_->{agent} for @$list;
  }
}
printf "%d users, %d paths, %d entries, %d bytes\n", scalar keys %users, $paths, $entries, $bytes;

my @common = sort { $seen{$b} <=> $seen{$a} || $a cmp $b } keys %seen;
print join(' ', map { "$_=$seen{$_}" } @common[ 0 .. 9 ]), "\n";

my @table = sort { $a->[1] cmp $b->[1] || $a->[0] <=> $b->[0] } map { [$_, text(2)] } 1 .. $lines / 4;
print join(', ', map { "$_->[0] $_->[1]" } @table[ 0 .. 2 ]), "\n";

my $page = join "\n", map { $_->[1] } @table;
(my $marked = $page) =~ s/\b([aeiou]\w*)/<b>$1<\/b>/g;
print length($page), ' ', length($marked), "\n";
