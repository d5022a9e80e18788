# pg_dump and restore, into another database and into another cluster: what users
# entered and what was recorded is there, the views say the same, and planning
# goes on.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = new_server('source');
my $target = new_server('target');
$source->safe_psql('postgres', 'create database source');
$source->safe_psql('source', slurp_rel('history.sql'));

# The tables that are dumped, and all views, at one instant of the clock.
my @tables = split /\n/, $source->safe_psql('source', q{
	select unnest(extconfig)::regclass from pg_extension where extname = 'maintsched' order by 1});
@tables = grep { $source->safe_psql('source', "select relkind from pg_class where oid = '$_'::regclass") eq 'r' } @tables;
my @views = split /\n/, $source->safe_psql('source', q{
	select oid::regclass from pg_class
	where relnamespace = 'maintsched'::regnamespace and relkind = 'v' and relname <> 'health'
	order by 1});
cmp_ok(scalar @tables, '>', 5, 'tables are dumped');
cmp_ok(scalar @views, '>', 5, 'there are views');

sub shown
{
	my ($node, $database) = @_;
	my $at = "set maintsched.now = '2027-02-03 04:05+00';";
	my %rows;
	$rows{$_} = rows_of($node, $database, "$at select t::text from $_ t order by 1")
	  foreach @tables, @views;
	return \%rows;
}

my $expected = shown($source, 'source');
foreach my $table (@tables)
{
	note("$table: " . scalar(@{ $expected->{$table} }) . ' rows');
}
cmp_ok(scalar(@{ $expected->{'maintsched.occurrence'} }), '>', 100, 'occurrences are dumped');
cmp_ok(scalar(@{ $expected->{'maintsched.calendar_change'} }), '>', 3, 'the history is dumped');

my $folder = $source->basedir;
$source->command_ok([ 'pg_dump', '-f', "$folder/plain.sql", $source->connstr('source') ], 'pg_dump, plain');
$source->command_ok([ 'pg_dump', '-Fc', '-f', "$folder/custom", $source->connstr('source') ], 'pg_dump, custom');

sub restored
{
	my ($node, $database, $how) = @_;
	my $found = shown($node, $database);
	foreach my $relation (@tables, @views)
	{
		is_deeply($found->{$relation}, $expected->{$relation}, "$how: $relation");
	}

	# A tick that nobody asked for writes nothing into a copy; resume() makes
	# it this database's own calendar.
	if ($node->safe_psql($database, q{select to_regprocedure('maintsched.resume(text)') is not null}) eq 't')
	{
		$node->safe_psql($database, q{select maintsched.resume('all')});
	}
	is($node->safe_psql($database, 'select maintsched.tick()'), '0', "$how: tick");
	$node->safe_psql($database, q{
		select maintsched.add_task('smartmed', 'after-restore', 'FREQ=DAILY', title => 'After the restore',
			teams => array['DBA'], starts_on => '2027-01-01 09:00', due_within => '1 hour')});
	is($node->safe_psql($database, q{select count(*) > 0 from maintsched.occurrence o join maintsched.task t using (task_id)
			where t.name = 'after-restore'}), 't', "$how: a new task is planned");
	my $rows = $node->safe_psql($database, q{select maintsched.export_calendar('smartmed') is not null});
	is($rows, 't', "$how: the calendar can be exported");
	return;
}

$target->safe_psql('postgres', 'create database plain');
$target->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/plain.sql", '-d', $target->connstr('plain') ],
	'restore of the plain dump into another cluster');
restored($target, 'plain', 'plain, another cluster');

$source->safe_psql('postgres', 'create database custom');
$source->command_ok([ 'pg_restore', '--exit-on-error', '-d', $source->connstr('custom'), "$folder/custom" ],
	'pg_restore into another database');
restored($source, 'custom', 'custom, another database');

$target->safe_psql('postgres', 'create database jobs');
$target->command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $target->connstr('jobs'), "$folder/custom" ],
	'parallel pg_restore into another cluster');
restored($target, 'jobs', 'parallel, another cluster');

$source->stop;
$target->stop;
done_testing();
