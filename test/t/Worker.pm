# What the tests of the background share: a server on which it works, tasks whose
# work can be held up at a gate, and what must be true after any fault.
package Worker;
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(worker_server make_calendar add_work shut_gate open_gate
  wait_for is_working has_state run_of process_of all_is_well);

# A server with a launcher.  It goes on after a crash; the poll ends what hangs.
sub worker_server
{
	my ($name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 1);
	$node->append_conf('postgresql.conf', join "\n", 'autovacuum = off', 'restart_after_crash = on',
		'maintsched.launcher = on', 'maintsched.max_workers = 4', @settings, '');
	$node->start;
	return $node;
}

# The extension, a calendar, the table that the work is written to, and its gate.
# Retries come soon, so that they can be waited for.
sub make_calendar
{
	my ($node, $database) = @_;
	$node->safe_psql($database, q{
		create extension maintsched;
		create or replace function maintsched.retry_delay(failures integer) returns interval
		language sql immutable parallel safe return interval '1 second';
		create table gate (shut boolean);
		insert into gate values (false);
		create table work (task text, done_by text default session_user);
		grant all on gate, work to public;
		select maintsched.import_calendar(
			'{"format": "maintsched-calendar/1", "name": "ops", "title": "Ops", "tasks": []}')});
	return;
}

# A task that is open at once and writes its name into the table work, when the
# gate is open.  also: what is done besides in the same transaction; false: that
# was refused.
sub add_work
{
	my ($node, $database, $task, %other) = @_;
	my $statement = $other{statement} // qq{do \$\$ begin
		while (select shut from public.gate) loop perform pg_sleep(0.05); end loop;
		insert into public.work values ('$task');
		end \$\$};
	my $role = $other{role} ? "run_as = '$other{role}'," : '';
	my $rule = $other{rule} // 'FREQ=DAILY';
	my $due_within = $other{due_within} // '20 hours';
	my $also = $other{also} // '';
	return $node->psql($database, qq{
		set client_min_messages = error;
		begin;
		select maintsched.add_task('ops', '$task', '$rule', kind => 'routine', routine => 'sql',
			starts_on => date_trunc('second', now() at time zone 'UTC') - interval '1 second',
			due_within => '$due_within', params => jsonb_build_object('statement', \$statement\$$statement\$statement\$));
		update maintsched.task set $role change_class = '@{[ $other{class} // 'none' ]}' where name = '$task';
		$also;
		commit;}) == 0 || ($other{also} ? 0 : die "$task was not added");
}

sub shut_gate
{
	my ($node, $database) = @_;
	$node->safe_psql($database, 'update gate set shut = true');
	return;
}

sub open_gate
{
	my ($node, $database) = @_;
	$node->safe_psql($database, 'update gate set shut = false');
	return;
}

# Poll until a query says t, through restarts of the server: a psql that finds
# no server ends without reading its query, and IPC::Run dies of the pipe.
sub wait_for
{
	my ($node, $database, $query, $what, $expected) = @_;
	my $there;
	until (eval { $there = $node->poll_query_until($database, $query, $expected // 't'); 1 })
	{
		die $@ if $@ !~ /Broken pipe/;
	}
	ok($there, $what) if defined $what;
	diag(state_of($node, $database)) if !$there;
	return $there;
}

# For when something did not come: what there is.
sub state_of
{
	my ($node, $database) = @_;
	my $text = '';
	foreach my $query (
		q{select run_id, task, state, stop_reason, queued_at, started_at, finished_at, retry_at, message from maintsched.run_history order by 1},
		q{select r.run_id, r.state, r.pid, r.not_before, r.stop_requested from maintsched.run r where finished_at is null},
		q{select pid, datname, backend_type, state, wait_event, left(query, 60) from pg_stat_activity where backend_type like 'maintsched%'},
		q{select maintsched.launcher_state(), now(), maintsched.next_event()})
	{
		my ($out, $err) = ('', '');
		$node->psql($database, $query, stdout => \$out, stderr => \$err, timeout => 30);
		$text .= "$query\n$out\n$err\n";
	}
	return $text;
}

sub has_state
{
	my ($node, $database, $task, $state, $what) = @_;
	return wait_for($node, $database, qq{
		select coalesce((select r.state from maintsched.run_history r where r.task = '$task' order by r.run_id desc limit 1), '')},
		$what, $state);
}

# Until a run of the task is at its work.
sub is_working
{
	my ($node, $database, $task) = @_;
	wait_for($node, $database, qq{
		select exists (
			select from maintsched.run_history r
			join maintsched.run_action a using (run_id)
			where r.task = '$task' and r.state = 'running' and a.state = 'running')}) or BAIL_OUT("$task does not start");
	return;
}

# The states of a task's runs, in order.
sub run_of
{
	my ($node, $database, $task) = @_;
	return $node->safe_psql($database, qq{
		select coalesce(string_agg(concat_ws('/', r.state, r.stop_reason), ' ' order by r.run_id), 'none')
		from maintsched.run_history r where r.task = '$task'});
}

# The pid of the launcher, or of a scheduler or runner in a database.
sub process_of
{
	my ($node, $kind, $database) = @_;
	my $query = "from pg_stat_activity where backend_type = 'maintsched $kind'"
	  . (defined $database ? " and datname = '$database'" : '');
	$node->poll_query_until('postgres', "select count(*) > 0 $query") or BAIL_OUT("there is no $kind");
	return $node->safe_psql('postgres', "select pid $query limit 1");
}

# After every fault: the launcher lives, no run is stuck, and every occurrence
# of an automated task has one pass, whose work was done once.  Tasks in
# except are looked at by their own tests.
sub all_is_well
{
	my ($node, $database, $what, @except) = @_;
	my $except = join ', ', map { "'$_'" } '', @except;
	subtest "$what: all is well" => sub {
		wait_for($node, $database, q{
			select maintsched.launcher_state() = 'running'}, 'the launcher lives');
		wait_for($node, $database, q{
			select count(*) = 0 from maintsched.run where state in ('queued', 'running')}, 'no run is stuck');
		my $lost = qq{
			select coalesce(string_agg(format('%s %s: %s passes', t.name, o.opens_at, p.passes), ', '), '')
			from maintsched.task t
			join maintsched.occurrence o using (task_id)
			cross join lateral (
				select count(*) as passes
				from maintsched.completion c
				where c.occurrence_id = o.occurrence_id and c.outcome = 'pass'
				and not exists (select from maintsched.completion_retraction x where x.completion_id = c.completion_id)) p
			where t.routine = 'sql' and t.name not in ($except) and o.opens_at <= now() and o.withdrawn_at is null
			and p.passes <> 1};
		wait_for($node, $database, $lost, 'each occurrence has one pass', '');
		is($node->safe_psql($database, qq{
			select coalesce(string_agg(format('%s: %s opened, done %s times', t.name, n.opened, n.done), ', '), '')
			from maintsched.task t
			cross join lateral (
				select (select count(*) from maintsched.occurrence o
						where o.task_id = t.task_id and o.opens_at <= now() and o.withdrawn_at is null) as opened,
					(select count(*) from work w where w.task = t.name) as done) n
			where t.routine = 'sql' and t.name not in ($except) and n.opened <> n.done}), '', 'its work was done once');
	};
	return;
}

1;
