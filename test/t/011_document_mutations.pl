# Broken documents by the thousand: the shipped ones, with bytes, tokens and
# values changed at random, but the same way each time.  Whatever comes of it, the
# reader takes it or refuses it with an SQLSTATE of its own; what it takes, it
# returns as the server's jsonb would; what jsonb refuses, it refuses.
# MUTATIONS=n makes n of each kind.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $mutations = $ENV{MUTATIONS} // 2000;
my $node = new_server('mutations');
my $lines = slurp_rel('document_mutations.sql');

foreach my $encoding (qw(UTF8 SQL_ASCII))
{
	my $database = lc $encoding;
	$node->safe_psql('postgres',
		"create database $database template template0 encoding $encoding lc_collate 'C' lc_ctype 'C'");
	$node->safe_psql($database, 'create extension maintsched');
	foreach my $name (qw(smartmed astral-core))
	{
		foreach my $kind (qw(bytes tokens values))
		{
			my ($status, $out, $err) = $node->psql($database,
				"$lines select * from pg_temp.mutate_all('$name', '$kind', $mutations);");
			is($status, 0, "$encoding, $name, $kind: the server lives") or diag($err);
			my %count = map { split /\|/ } split /\n/, $out;
			my $total = 0;
			$total += $_ foreach values %count;
			is($total, $mutations, "$encoding, $name, $kind: all are judged");
			delete $count{'0A000'} if $encoding eq 'SQL_ASCII';    # an escape beyond ASCII
			my @strange = grep { !/^(accepted|22021|22030|22032|22023|54000)$/ } keys %count;
			is_deeply(\@strange, [], "$encoding, $name, $kind: nothing but the codes of the contract");
			cmp_ok($count{'22023'} // 0, '>', 0, "$encoding, $name, $kind: some reach the contents");
			note(join ', ', map { "$_: $count{$_}" } sort keys %count);
		}
	}
}

$node->stop;
done_testing();
