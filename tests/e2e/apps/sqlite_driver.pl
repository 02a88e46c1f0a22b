# SPDX-License-Identifier: Apache-2.0
# Uses SQLite by Perl's DBI: sqlite_driver.pl FILE < "go". Prints {"what","error"} for each step.
use strict;
use warnings;
use DBI;

DBI->install_driver("SQLite");
die unless <STDIN> eq "go\n";
my $db = DBI->connect("dbi:SQLite:dbname=$ARGV[0]", "", "", { RaiseError => 1, PrintError => 0, AutoCommit => 1 });

sub step {
	my ($what, $act) = @_;
	my $error = eval { $act->(); 1 } ? "" : $db->err;
	print "{\"what\": \"$what\", \"error\": \"$error\"}\n";
}

step("table", sub { $db->do("CREATE TABLE goods(id INTEGER PRIMARY KEY, name TEXT NOT NULL)") });
my $insert = $db->prepare("INSERT INTO goods(name) VALUES (?)");
$insert->execute("secret $_") for 1 .. 101;
for my $i (0 .. 12) {
	step("select", sub { die unless @{$db->selectall_arrayref("SELECT id, name FROM goods WHERE id <= ? AND name <> 'secret'", {}, $i)} == $i });
}
step("null", sub { $insert->execute(undef) });
step("no column", sub { $db->do("UPDATE goods SET colour = 'secret'") });
step("delete", sub { $db->do("DELETE FROM goods WHERE name = 'secret 7'") });
