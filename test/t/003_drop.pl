# DROP EXTENSION leaves nothing: the rows of every catalog are what they were.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use Test::More;

my $node = new_server('drop');

# Every row of every catalog; statistics are no matter, and pg_class has
# counters in it.
my @catalogs = split /\n/, $node->safe_psql('postgres', q{
	select oid::regclass from pg_class
	where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r'
	and relname not in ('pg_statistic', 'pg_authid', 'pg_largeobject')
	order by 1});
cmp_ok(scalar @catalogs, '>', 50, 'there are catalogs to compare');

sub snapshot
{
	my ($database) = @_;
	return rows_of($node, $database, join ' union all ', map {
			my $row = $_ eq 'pg_class'
			  ? q{to_jsonb(t) - '{relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,relminmxid,relhasindex,relhasrules,relhastriggers}'::text[]}
			  : 't';
			"select '$_ ' || ($row)::text from $_ t"
		} @catalogs);
}

my $before = snapshot('postgres');
cmp_ok(scalar @$before, '>', 5000, 'there are rows to compare');

$node->safe_psql('postgres', 'create extension maintsched');
cmp_ok(scalar @{ difference($before, snapshot('postgres')) },
	'>', 500, 'the extension shows in the catalogs');
$node->safe_psql('postgres', 'drop extension maintsched');
is_deeply(difference($before, snapshot('postgres')), [], 'nothing is left of an empty one');

my $install = q{
	create extension maintsched;
	select maintsched.install_calendar('smartmed', timezone => 'America/New_York');
	select maintsched.install_calendar('astral-core');
	select maintsched.tick();
};
$node->safe_psql('postgres', $install);
$node->safe_psql('postgres', 'drop extension maintsched');
is_deeply(difference($before, snapshot('postgres')), [], 'nothing is left of one with calendars');

# Objects of the user's own that build on it are what CASCADE is for.
$node->safe_psql('postgres', $install . q{create view mine as select * from maintsched.today});
my ($status, $out, $error) = $node->psql('postgres', 'drop extension maintsched');
isnt($status, 0, 'a view of the user keeps the extension');
like($error, qr/view mine depends on view maintsched\.today/, 'and the error names it');
$node->safe_psql('postgres', 'drop extension maintsched cascade');
is_deeply(difference($before, snapshot('postgres')), [], 'nothing is left after CASCADE');

# It can be made again.
$node->safe_psql('postgres', $install);
$node->stop;
done_testing();
