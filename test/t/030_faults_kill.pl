# What becomes of the work when the background's processes die, or the server
# does, in the middle of it: the run shows as interrupted, its work is taken up
# again, and nothing is lost or done twice.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Worker;
use Test::More;
use Time::HiRes qw(usleep);

my $node = worker_server('kill');
make_calendar($node, 'postgres');

# Work that is under way; and how it ends when nothing happens.
sub work
{
	my ($task, %other) = @_;
	shut_gate($node, 'postgres');
	add_work($node, 'postgres', $task, %other);
	is_working($node, 'postgres', $task);
	return;
}

# Afterwards: the runs of the task were these.
sub afterwards
{
	my ($task, $what, $runs) = @_;
	open_gate($node, 'postgres');
	has_state($node, 'postgres', $task, 'succeeded', "$what: the work is done");
	is(run_of($node, 'postgres', $task), $runs, "$what: its runs");
	all_is_well($node, 'postgres', $what);
	return;
}

sub signal
{
	my ($function, $kind) = @_;
	my $pid = process_of($node, $kind);
	is($node->safe_psql('postgres', "select $function($pid)"), 't', "$function() of the $kind");
	return $pid;
}

sub is_gone
{
	my ($pid, $what) = @_;
	wait_for($node, 'postgres', "select count(*) = 0 from pg_stat_activity where pid = $pid", $what);
	return;
}

# --- nothing happens ---

work('calm');
afterwards('calm', 'no fault', 'succeeded/completed');

# --- signals of SQL ---

foreach my $function (qw(pg_terminate_backend pg_cancel_backend))
{
	my ($verb) = $function =~ /^pg_(\w+)_/;
	foreach my $kind (qw(launcher scheduler))
	{
		my $task = "$verb-$kind";
		work($task);
		my $worker = process_of($node, 'runner');
		my $pid = signal($function, $kind);
		is_gone($pid, "the $kind ends") if $function eq 'pg_terminate_backend' or $kind eq 'launcher';
		process_of($node, $kind);
		is(process_of($node, 'runner'), $worker, 'the runner is still at it');
		afterwards($task, "$function() of the $kind", 'succeeded/completed');
	}
}

work('terminate-runner');
is_gone(signal('pg_terminate_backend', 'runner'), 'the runner ends');
afterwards('terminate-runner', 'pg_terminate_backend() of the runner', 'interrupted/crashed succeeded/completed');

# Cancelling the runner's statement means the run: its duty stays due.
work('cancel-runner');
signal('pg_cancel_backend', 'runner');
has_state($node, 'postgres', 'cancel-runner', 'cancelled', 'pg_cancel_backend() of the runner: the run is cancelled');
is($node->safe_psql('postgres', q{select status, run_id is null from maintsched.occurrence_status where task = 'cancel-runner' and opens_at <= now()}),
	'due|t', 'its duty stays due');
open_gate($node, 'postgres');
$node->safe_psql('postgres', q{select maintsched.run_task('ops', 'cancel-runner')});
afterwards('cancel-runner', 'pg_cancel_backend() of the runner', 'cancelled/cancelled succeeded/completed');

# --- the scheduler dies while its runner works, and there are several ---

work('adopted');
$node->safe_psql('postgres', q{select maintsched.run_routine('sql', '{"statement": "insert into work values (''beside'')"}', true, 'to be queued')});
for my $n (1 .. 3)
{
	is_gone(signal('pg_terminate_backend', 'scheduler'), "scheduler $n ends");
	process_of($node, 'scheduler');
}
is($node->safe_psql('postgres', q{select count(*), min(state) from maintsched.run_history where task = 'adopted'}), '1|running',
	'a new scheduler adopts the run, and starts no other');
$node->safe_psql('postgres', q{update maintsched.calendar set title = title});
is($node->safe_psql('postgres', q{select count(*) from pg_stat_activity where backend_type = 'maintsched runner'}), '1',
	'nor another runner');
afterwards('adopted', 'the scheduler ended three times', 'succeeded/completed');
is($node->safe_psql('postgres', q{select count(*) from work where task = 'beside'}), '1', 'what was queued meanwhile was done once');

# --- kill -9 ---

foreach my $kind (qw(launcher scheduler runner))
{
	work("killed-$kind");
	kill 'KILL', process_of($node, $kind);
	wait_for($node, 'postgres', q{select count(*) = 1 from maintsched.run_history where state = 'interrupted' and task = 'killed-} . $kind . q{'},
		"kill -9 of the $kind: the run is interrupted");
	afterwards("killed-$kind", "kill -9 of the $kind", 'interrupted/crashed succeeded/completed');
}

# --- the server ---

sub until_true
{
	my ($test) = @_;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	until ($test->())
	{
		die 'it does not come' if time > $deadline;
		usleep(50_000);
	}
	return;
}

sub start_again
{
	my ($how) = @_;
	$node->start;
	wait_for($node, 'postgres', qq{select count(*) = 1 from maintsched.run_history where state = 'interrupted' and task = '$how'},
		"$how: the run is interrupted");
	return;
}

work('immediate');
$node->stop('immediate');
start_again('immediate');
afterwards('immediate', 'immediate shutdown', 'interrupted/crashed succeeded/completed');

work('fast');
$node->stop('fast');
start_again('fast');
afterwards('fast', 'fast shutdown', 'interrupted/crashed succeeded/completed');

# Its children see that it is gone, and end by themselves; until then no other
# postmaster starts.
work('postmaster');
my $postmaster = $node->{_pid};
$node->kill9;
until_true(sub { kill(0, $postmaster) == 0 });
until_true(sub { $node->start(fail_ok => 1) });
wait_for($node, 'postgres', q{select count(*) = 1 from maintsched.run_history where state = 'interrupted' and task = 'postmaster'},
	'kill -9 of the postmaster: the run is interrupted');
afterwards('postmaster', 'kill -9 of the postmaster', 'interrupted/crashed succeeded/completed');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC:|TRAP:|terminated by signal (?!9\b)/, 'nothing died but what was killed');
done_testing();
