# SPDX-License-Identifier: Apache-2.0
# perl https_driver.pl PORT FOLDER VERSION CONNECTIONS: as https_driver.py, by HTTP::Tiny and IO::Socket::SSL, one request at a time on so many connections.
use strict;
use warnings;
use HTTP::Tiny;
use IO::Socket::SSL;
use JSON::PP;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my ($port, $folder, $version, $connections) = @ARGV;
my @plan;
while ((my $line = <STDIN>) ne "go\n") {
	push @plan, decode_json($line);
}
my %tls = (SSL_ca_file => "$folder/cert.pem", SSL_version => $version eq '1.2' ? 'TLSv1_2' : 'TLSv1_3');
my @agents = map { HTTP::Tiny->new(verify_SSL => 1, SSL_options => \%tls) } 1 .. $connections;
for my $i (0 .. $#plan) {
	my $r = $plan[$i];
	my $begin = clock_gettime(CLOCK_MONOTONIC);
	my $response = $agents[$i % $connections]->request($r->{method}, "https://localhost:$port$r->{path}", $r->{body} ? { content => 'u' x $r->{body} } : {});
	my $ns = int((clock_gettime(CLOCK_MONOTONIC) - $begin) * 1e9);
	die $response->{content} if $response->{status} == 599;
	print encode_json({ path => $r->{path}, status => $response->{status} + 0, ns => $ns }), "\n";
}
