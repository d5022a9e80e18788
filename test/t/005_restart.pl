# After a server start all that has not opened is planned anew, since time
# zone data may be newer; on a standby tick() does nothing, and after the
# promotion it goes on without doubling anything.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->start;
$node->safe_psql('postgres', q{
	create extension maintsched;
	select maintsched.install_calendar('smartmed', timezone => 'America/New_York');
	select maintsched.tick();
});

# As if the zone's data had said something else: an hour off.
my $shift = q{
	update maintsched.occurrence set opens_at = opens_at + interval '1 hour',
		due_at = due_at + interval '1 hour', closes_at = closes_at + interval '1 hour'
	where opens_at > clock_timestamp() + interval '2 hours'};
my $wrong = q{
	select count(*) from maintsched.occurrence
	where opens_at > clock_timestamp() + interval '2 hours'
	and opens_at <> maintsched.to_instant(local_start, timezone)};
my $rows = q{select occurrence_id, task_id, local_start from maintsched.occurrence order by 1};
my $before = rows_of($node, 'postgres', $rows);
$node->safe_psql('postgres', $shift);
cmp_ok($node->safe_psql('postgres', $wrong), '>', 200, 'the planning is an hour off');
$node->safe_psql('postgres', 'select maintsched.tick()');
cmp_ok($node->safe_psql('postgres', $wrong), '>', 200, 'tick() alone leaves it');
$node->restart;
$node->safe_psql('postgres', 'select maintsched.tick()');
is($node->safe_psql('postgres', $wrong), '0', 'tick() after a server start does not');
# (what the horizon has come to meanwhile is new)
my %after = map { $_ => 1 } @{ rows_of($node, 'postgres', $rows) };
is_deeply([ grep { !$after{$_} } @$before ], [], 'every occurrence kept its id');

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', 'select maintsched.tick()'), '0', 'tick() on a standby does nothing, without an error');
cmp_ok($standby->safe_psql('postgres', 'select count(*) from maintsched.due_tasks'), '>', 0, 'the lists are there');
my $due = q{select occurrence_id, status from maintsched.due_tasks where due_at > clock_timestamp() + interval '10 minutes' order by 1};
# (time goes by between two looks: one opens, or is due)
my ($there, $here, $here_before);
foreach (1 .. 10)
{
	$here_before = $node->safe_psql('postgres', $due);
	$there = $standby->safe_psql('postgres', $due);
	$here = $node->safe_psql('postgres', $due);
	last if $here eq $here_before;
}
is($there, $here, 'and the same');

$node->stop('immediate');
$standby->promote;
$standby->poll_query_until('postgres', 'select not pg_is_in_recovery()') or die 'no promotion';
$standby->safe_psql('postgres', 'select maintsched.tick()');
is($standby->safe_psql('postgres', q{
	select count(*) from (
		select from maintsched.occurrence group by task_id, local_start having count(*) > 1) x}),
	'0', 'after the promotion nothing is doubled');
$standby->stop;
done_testing();
