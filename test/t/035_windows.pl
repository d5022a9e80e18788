# Windows as runs meet them: stopped at the end and finished in the next one,
# blackouts and emergencies, what does not fit, time limits, people who wait for
# a run, and what the view running says meanwhile.
#
# Each theme has a database of its own, since windows hold for a database.  The
# slow ones are begun first and looked at later.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use Worker;
use Test::More;

my $node = worker_server('windows', 'max_worker_processes = 30', 'maintsched.max_workers = 16',
	q{maintsched.window_reserve = '1s'}, q{maintsched.yield_after = '2s'},
	# autovacuum comes for what is old only
	'autovacuum = on', 'autovacuum_naptime = 1s', 'autovacuum_freeze_max_age = 100000',
	'autovacuum_vacuum_threshold = 1000000', 'autovacuum_analyze_threshold = 1000000',
	'autovacuum_vacuum_insert_threshold = -1');

# A database with a calendar; nap says how long the work sleeps.
sub new_database
{
	my ($database) = @_;
	$node->safe_psql('postgres', "create database $database");
	make_calendar($node, $database);
	$node->safe_psql($database, q{
		create table nap (seconds float);
		insert into nap values (60);
		create function sleep_and_note(what text) returns void language sql
			as 'insert into public.work select what from (select pg_sleep((select seconds from public.nap))) x';
		create table t0 as select date_trunc('second', now()) as at});
	return;
}

sub nap
{
	my ($database, $seconds) = @_;
	$node->safe_psql($database, "update nap set seconds = $seconds");
	return;
}

# A window that opens and closes so many seconds after t0.
sub add_window
{
	my ($database, $name, $class, $opens, $closes) = @_;
	$node->safe_psql($database, qq{
		select maintsched.add_window('ops', '$name', 'FREQ=DAILY;COUNT=1', (at at time zone 'UTC') + interval '$opens s',
			make_interval(secs => $closes - $opens), '$class') from t0});
	return;
}

# A task that is open at once.
sub add_task
{
	my ($database, $name, $class, $params, $routine) = @_;
	$routine //= 'sql';
	$node->safe_psql($database, qq{
		begin;
		select maintsched.add_task('ops', '$name', 'FREQ=DAILY', routine => '$routine', params => \$params\$$params\$params\$,
			starts_on => date_trunc('second', now() at time zone 'UTC') - interval '1 second', due_within => '20 hours');
		update maintsched.task set change_class = '$class' where name = '$name';
		commit});
	return;
}

sub done_work
{
	my ($database) = @_;
	return $node->safe_psql($database, q{select coalesce(string_agg(task, ' ' order by task), '') from work});
}

# The actions of a task's runs, in order: run 1 (left over), run 2 ...
sub actions_of
{
	my ($database, $task) = @_;
	return $node->safe_psql($database, qq{
		select string_agg(a.line, ' | ' order by a.run_id)
		from (
			select a.run_id, string_agg(concat_ws(' ', a.target, a.state, a.skip_reason), ', ' order by a.seq) as line
			from maintsched.run_history r
			join maintsched.run_actions a using (run_id)
			where r.task = '$task'
			group by a.run_id) a});
}

sub outcomes_of
{
	my ($database, $task) = @_;
	return $node->safe_psql($database, qq{
		select coalesce(string_agg(c.outcome, ' ' order by c.completion_id), 'none')
		from maintsched.completion c
		join maintsched.occurrence o using (occurrence_id)
		join maintsched.task t using (task_id)
		where t.name = '$task'});
}

# Whether the n-th run of the database began or ended so many seconds after t0,
# not at another instant of those that it has: twenty are given to a busy machine.
sub is_about
{
	my ($database, $n, $column, $seconds, $what) = @_;
	my $came = $node->safe_psql($database, qq{
		select round(extract(epoch from r.$column - t0.at), 2)
		from t0, (select * from maintsched.run order by run_id offset $n - 1 limit 1) r});
	ok($came >= $seconds && $came < $seconds + 20, "$what: about $seconds s, it was $came s");
	return;
}

my $stubborn = q{do $$ begin loop begin perform pg_sleep(60);
	exception when query_canceled then null; end; end loop; end $$};

# --- begun first: what does not stop when it is asked to ---

new_database('cancelled');
new_database('stubborn');
nap('stubborn', 0);
add_window('stubborn', 'short', 'minor', 0, 10);
add_task('stubborn', 'stubborn', 'minor', qq({"statements": [{"name": "first", "statement": "select sleep_and_note('first')"},
	{"name": "endless", "statement": "@{[ $stubborn =~ s/\s+/ /gr ]}"}, {"name": "last", "statement": "select sleep_and_note('last')"}]}));
add_task('cancelled', 'stubborn', 'none', qq({"statement": "@{[ $stubborn =~ s/\s+/ /gr ]}"}));

# --- in real time: stopped at the end of one window, gone on with in the next ---

my $statements = q({"name": "one", "statement": "insert into public.work values ('one')"},
	{"name": "two", "statement": "select public.sleep_and_note('two')"},
	{"name": "three", "statement": "insert into public.work values ('three')"});
new_database('seconds');
add_window('seconds', 'brief', 'minor', 0, 10);
add_window('seconds', 'next', 'major', 20, 120);
add_task('seconds', 'work', 'minor', qq({"statements": [$statements]}));

is_working($node, 'cancelled', 'stubborn');
$node->safe_psql('cancelled', 'select maintsched.cancel_run(run_id) from maintsched.run');

# --- Week 1 of November 2026 in New York ---
#
# The task opens on 1 November at 00:00 EDT, 04:00 UTC, in the window of 02:00
# to 06:00 UTC; the next one is on 8 November at 02:00 UTC, three hours before
# it is due, at 00:00 EST.

new_database('week');
$node->safe_psql('week', qq{
	set maintsched.now = '2026-10-20 12:00Z';
	select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "york", "title": "New York", "tasks": []}',
		timezone => 'America/New_York');
	select maintsched.add_window('york', 'primary', 'FREQ=WEEKLY;BYDAY=SU', '2026-01-01 02:00', '4 h', 'major', 'UTC');
	begin;
	select maintsched.add_task('york', 'week-1', 'FREQ=MONTHLY;BYMONTHDAY=1;COUNT=1', starts_on => '2026-11-01', due_within => '7 days',
		routine => 'sql', params => '{"statements": [@{[ $statements =~ s/'/''/gr ]}]}');
	update maintsched.task set change_class = 'major' where name = 'week-1';
	commit});
my $due = q{select status, next_run_at, waits_for from maintsched.due_tasks where task = 'week-1'};
my $at = sub { my ($now, $sql) = @_; return $node->safe_psql('week', "set maintsched.now = '$now'; $sql") };

is($at->('2026-11-01 03:59:59Z', $due), '', 'Week 1: not open yet');
is($at->('2026-11-01 03:59:59Z', 'select maintsched.tick()'), '0', 'nothing is queued');
is($at->('2026-11-01 05:59:50Z', $due), 'due|2026-11-01 05:59:50+00|a worker', 'it opened in the window, which is still open');
is($at->('2026-11-01 05:59:50Z', 'select maintsched.tick()'), '1', 'ten seconds before the end of the window it is queued');
wait_for($node, 'week', q{select count(*) = 1 from maintsched.running where target = 'two' and window_closes_at = '2026-11-01 06:00Z'},
	'running shows it, and when it will be stopped');
is($at->('2026-11-01 05:59:58Z', q{select status, waits_for from maintsched.due_tasks where task = 'week-1'}), 'due|run 1, which is running', 'it is running');
has_state($node, 'week', 'week-1', 'partial', 'it is stopped');
wait_for($node, 'seconds', q{select exists (select from maintsched.run_history where task = 'work' and state = 'partial')},
	'so is the one in real time');
nap('seconds', 0);
is($at->('2026-11-01 06:01Z', q{
	select state, stop_reason, finished_at between '2026-11-01 06:00Z' and '2026-11-01 06:00:20Z', actions, actions_done, actions_skipped, simulated
	from maintsched.run_history}), 'partial|window_closed|t|3|1|2|t', 'at the end of the window');
is($at->('2026-11-01 06:01Z', $due),
	'due|2026-11-08 02:00:00+00|a window for work of class major, which opens at Sat 2026-11-07 21:00 America/New_York',
	'what it waits for');
is($at->('2026-11-01 06:01Z', q{select status, outcome, attempts from maintsched.occurrence_status where task = 'week-1'}), 'due||0', 'it is still due');
is($at->('2026-11-01 06:01Z', 'select maintsched.tick()'), '0', 'nothing is queued after the window');
is($at->('2026-11-08 01:59:59Z', 'select maintsched.tick()'), '0', 'nor before the next one');
nap('week', 0);
# what is new goes behind what was left over
$at->('2026-11-05 12:00Z', qq{update maintsched.task set
	params = '{"statements": [{"name": "new", "statement": "select 1"}, @{[ $statements =~ s/'/''/gr ]}]}' where name = 'week-1'});
is($at->('2026-11-08 02:00Z', $due), 'due|2026-11-08 02:00:00+00|a worker', 'the next window is open');
is($at->('2026-11-08 02:00Z', 'select maintsched.tick()'), '1', 'it is queued again');
has_state($node, 'week', 'week-1', 'succeeded', 'and finished');
is(actions_of('week', 'week-1'), 'one done, two skipped no_time, three skipped no_time | two done, three done, new done',
	'first what was left over, nothing twice');
is(done_work('week'), 'one three two', 'so says the work itself');
is($at->('2026-11-08 02:01Z', q{
	select state, stop_reason, continues, started_at >= '2026-11-08 02:00Z' and finished_at < '2026-11-08 02:00:50Z', simulated
	from maintsched.run_history order by run_id desc limit 1}), 'succeeded|completed|1|t|t', 'the second run');
is($at->('2026-11-08 02:01Z', q{
	select status, outcome, attempts, completed_at between '2026-11-08 02:00Z' and '2026-11-08 02:00:50Z', simulated, run_id
	from maintsched.occurrence_status where task = 'week-1'}), 'done|pass|1|t|t|2', 'the occurrence passed in time');
is($at->('2026-11-08 02:01Z', $due), '', 'nothing is due');
is($at->('2026-11-08 02:01Z', 'select maintsched.tick()'), '0', 'nothing is to be done');
is($node->safe_psql('week', q{select count(*) from maintsched.run where not simulated}), '0', 'nothing ran in real time');
# what was left over on that clock keeps nobody busy in real time
nap('week', 60);
$at->('2026-10-25 12:00Z', q{
	begin;
	select maintsched.add_task('york', 'left-over', 'FREQ=DAILY;COUNT=1', starts_on => '2026-10-25', due_within => '1 day', grace => '1 day',
		routine => 'sql', params => '{"statement": "select public.sleep_and_note(''left over'')", "time_limit": "1 s"}');
	update maintsched.task set change_class = 'none' where name = 'left-over';
	commit;
	select maintsched.tick()});
has_state($node, 'week', 'left-over', 'partial', 'a simulated run that leaves its work over');
is($node->safe_psql('week', q{select maintsched.next_event() > clock_timestamp() + interval '10 seconds'}), 't', 'nothing is to be done for it in real time');

# --- nights on which clocks change: windows from 01:00, four hours long ---
#
# In Berlin's spring it closes at 06:00, 04:00 UTC, in New York's autumn at
# 04:00, 09:00 UTC; the next one opens at 01:00 by the new time.

my @nights = (
	[ 'berlin', 'Europe/Berlin', '2027-03-28', '2027-03-28 04:00:00+00', '2027-03-28 23:00:00+00', 'Mon 2027-03-29 01:00 Europe/Berlin' ],
	[ 'york', 'America/New_York', '2027-11-07', '2027-11-07 09:00:00+00', '2027-11-08 06:00:00+00', 'Mon 2027-11-08 01:00 America/New_York' ]);
foreach my $night (@nights)
{
	my ($city, $zone, $day, $closes) = @$night;
	new_database($city);
	is($node->safe_psql($city, qq{
		set maintsched.now = '$day';
		set client_min_messages = error;
		do \$\$ begin
			perform maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "night", "title": "Night", "tasks": []}', timezone => '$zone');
			perform maintsched.add_window('night', 'night', 'FREQ=DAILY', '2027-01-01 01:00', '4 h', 'minor');
			perform maintsched.add_task('night', 'work', 'FREQ=DAILY;COUNT=1', starts_on => '$day', due_within => '7 days',
				routine => 'sql', params => '{"statements": [@{[ $statements =~ s/'/''/gr ]}]}');
			perform set_config('maintsched.now', ('$closes'::timestamptz - interval '10 seconds')::text, false);
		end \$\$;
		select maintsched.tick()}), '1', "$city: queued ten seconds before the window closes");
}
foreach my $night (@nights)
{
	my ($city, $zone, $day, $closes, $opens, $local) = @$night;
	has_state($node, $city, 'work', 'partial', "$city: it is stopped");
	is($node->safe_psql($city, q{select window_closes_at, finished_at - window_closes_at between '0 s' and '20 s' from maintsched.run_history}),
		"$closes|t", "$city: when the window closes");
	is($node->safe_psql($city, qq{
		set maintsched.now = '$closes';
		select next_run_at, waits_for from maintsched.due_tasks}),
		"$opens|a window for work of class minor, which opens at $local", "$city: what it waits for");
	nap($city, 0);
	is($node->safe_psql($city, qq{
		set maintsched.now = '$opens';
		select maintsched.tick()}), '1', "$city: it is queued when the next one opens");
	has_state($node, $city, 'work', 'succeeded', "$city: and finished");
	is(actions_of($city, 'work'), 'one done, two skipped no_time, three skipped no_time | two done, three done', "$city: nothing twice");
}

# --- ahead of real time: real time does not undo what is played there ---

my %ahead = (
	planned => [ '', 3 ],
	played => [ $node->safe_psql('postgres', q{select current_date + 190 || ' 00:00Z'}), 200 ]);
foreach my $database (sort keys %ahead)
{
	my ($added_at, $days) = @{ $ahead{$database} };
	new_database($database);
	my $day = $node->safe_psql($database, "select current_date + $days");
	is($node->safe_psql($database, qq{
		set client_min_messages = error;
		do \$\$ begin
			perform set_config('maintsched.now', '$added_at', false);
			perform maintsched.add_window('ops', 'weekly', 'FREQ=WEEKLY', '$day 02:00', '4 h', 'minor');
			perform maintsched.add_task('ops', 'ahead', 'FREQ=MONTHLY;COUNT=1', starts_on => '$day 02:00', due_within => '14 days',
				routine => 'sql', params => '{"statements": [@{[ $statements =~ s/'/''/gr ]}]}');
		end \$\$;
		set maintsched.now = '$day 05:59:50Z';
		select maintsched.tick()}), '1', "$database: tick() queues it");
	push @{ $ahead{$database} }, $node->safe_psql($database, "select current_date + $days + 7");
}
foreach my $database (sort keys %ahead)
{
	has_state($node, $database, 'ahead', 'partial', "$database: it is stopped at the end");
	nap($database, 0);
	$node->safe_psql($database, 'select maintsched.tick()');
	is($node->safe_psql($database, qq{
		set maintsched.now = '$ahead{$database}[2] 02:00Z';
		select maintsched.tick()}), '1', "$database: a tick() in real time changes nothing for the next window");
	has_state($node, $database, 'ahead', 'succeeded', "$database: it is finished there");
	is(run_of($node, $database, 'ahead'), 'partial/window_closed succeeded/completed', "$database: two runs");
	is(actions_of($database, 'ahead'), 'one done, two skipped no_time, three skipped no_time | two done, three done', "$database: nothing twice");
	$node->safe_psql($database, 'select maintsched.tick()');
	my $status = q{select status, outcome from maintsched.occurrence_status where task = 'ahead'};
	is($node->safe_psql($database, "set maintsched.now = '$ahead{$database}[2] 02:01Z'; $status"), 'done|pass', "$database: it has passed");
	is($node->safe_psql($database, $status), 'scheduled|', "$database: in real time it is ahead");
}

# --- in real time, later ---

is_about('seconds', 1, 'finished_at', 10, 'in real time it was stopped at the end of its window');
has_state($node, 'seconds', 'work', 'succeeded', 'and finished in the next one');
is_about('seconds', 2, 'started_at', 20, 'which began by itself');
is(run_of($node, 'seconds', 'work'), 'partial/window_closed succeeded/completed', 'in two runs');
is(actions_of('seconds', 'work'), 'one done, two skipped no_time, three skipped no_time | two done, three done', 'with nothing twice');
is(done_work('seconds'), 'one three two', 'so says the work');
is(outcomes_of('seconds', 'work'), 'pass', 'one pass');

# --- what waits for a run, begun first: its lock is old ---

new_database('yield');
$node->safe_psql('yield', q{
	create table locked (id integer, n integer);
	insert into locked values (1, 0);
	create table waited (what text, seconds float);
	create procedure measure(what text, statement text) language plpgsql as $$
	declare
		began constant timestamptz := clock_timestamp();
	begin
		execute statement;
		insert into waited values (what, extract(epoch from clock_timestamp() - began));
	end $$;
	create function hold(statement text) returns void language plpgsql as $$
	begin
		execute statement;
		perform pg_sleep((select seconds from nap));
		insert into work values ('hold');
	end $$});

sub is_yielded
{
	my ($task, $statement, $blocked) = @_;
	$node->safe_psql('yield', 'truncate work');
	nap('yield', 60);
	add_task('yield', $task, 'none', qq({"continue": true, "statements": [{"name": "hold", "statement": "select public.hold('$statement')"},
		{"name": "after", "statement": "insert into public.work values ('after')"}]}));
	wait_for($node, 'yield', qq{
		select count(*) = 1 from maintsched.running r join maintsched.run using (run_id)
		join pg_stat_activity a on a.pid = run.pid and a.wait_event = 'PgSleep'}, "$task: a run holds a lock");
	is($node->safe_psql('yield', qq{
		begin;
		call measure('$task', \$\$$blocked\$\$);
		update nap set seconds = 0;
		commit;
		select 'still here'}), 'still here', "$task: who waited was not disturbed");
	my $waited = $node->safe_psql('yield', "select seconds from waited where what = '$task'");
	# (yield_after is two seconds; the run goes on for a minute)
	ok($waited >= 0.9 && $waited <= 30, "$task: it waited $waited s");
	has_state($node, 'yield', $task, 'succeeded', "$task: the run is tried again later");
	is(run_of($node, 'yield', $task), 'partial/yielded succeeded/completed', "$task: the first run yielded");
	is(actions_of('yield', $task), 'hold skipped yielded, after done | hold done', "$task: what stood in the way is done later, nothing twice");
	is(done_work('yield'), 'after hold', "$task: so says the work");
	is(outcomes_of('yield', $task), 'pass', "$task: one pass");
	return;
}

is_yielded('ddl', 'lock table public.locked in access exclusive mode', 'alter table locked add column more text');
is_yielded('row', 'update public.locked set n = n + 1', 'update locked set n = n + 1 where id = 1');

# a plan function that reads what somebody wants to change
$node->safe_psql('yield', q{
	create function slow_plan(params jsonb) returns setof maintsched.action language plpgsql as $$
	begin
		perform from locked;
		perform pg_sleep((select seconds from nap));
		return query select 'planned', 'insert into public.work values (''planned'')', 'a test', null::bigint, null::numeric, null::jsonb;
	end $$;
	select maintsched.add_routine('slow_plan', 'public.slow_plan', 'Plans slowly.', 'none');
	truncate work});
nap('yield', 60);
add_task('yield', 'plan', 'none', '{}', 'slow_plan');
wait_for($node, 'yield', q{select count(*) = 1 from maintsched.running where routine = 'slow_plan' and phase = 'planning'}, 'plan: a run plans');
$node->safe_psql('yield', q{
	begin;
	call measure('plan', 'alter table locked add column plan text');
	update nap set seconds = 0;
	commit});
my $waited = $node->safe_psql('yield', q{select seconds from waited where what = 'plan'});
ok($waited <= 30, "plan: who waits for it waits $waited s");
has_state($node, 'yield', 'plan', 'succeeded', 'plan: it plans again later');
is(run_of($node, 'yield', 'plan'), 'partial/yielded succeeded/completed', 'plan: the first run yielded');
is(outcomes_of('yield', 'plan'), 'pass', 'plan: one pass');
nap('yield', 60);
# tried again, once the nap is over
my $patience = q{create or replace function maintsched.retry_delay(failures integer) returns interval
	language sql immutable parallel safe return interval '4 seconds'};
$node->safe_psql('yield', $patience);
add_task('yield', 'limited-plan', 'none', '{"time_limit": "5 seconds"}', 'slow_plan');
has_state($node, 'yield', 'limited-plan', 'partial', 'a time limit holds for planning, too');
nap('yield', 0);
has_state($node, 'yield', 'limited-plan', 'succeeded', 'and what it stopped is tried again');
is(run_of($node, 'yield', 'limited-plan'), 'partial/time_limit succeeded/completed', 'with the reason');
is($node->safe_psql('yield', q{select message from maintsched.run_history where task = 'limited-plan' and stop_reason = 'time_limit'}),
	'its time limit was over while it planned', 'in words');
is(outcomes_of('yield', 'limited-plan'), 'pass', 'which is no failure');

# autovacuum waits where a table is old; it has the time
nap('yield', 600);
$node->safe_psql('yield', q{
	create temp table xids (n integer);
	do $$ begin
		for i in 1 .. 120000 loop
			begin
				insert into xids values (i);
				if i % 1000 = 0 then truncate xids; end if;
			exception when others then null;
			end;
		end loop;
	end $$});
add_task('yield', 'vacuum', 'none', q({"statement": "select public.hold('lock table public.locked in share update exclusive mode')"}));
is_working($node, 'yield', 'vacuum');
wait_for($node, 'yield', q{
	select exists (
		select from pg_locks l join pg_stat_activity a using (pid)
		where not l.granted and a.backend_type = 'autovacuum worker' and l.relation = 'locked'::regclass
		and l.waitstart < clock_timestamp() - interval '4 seconds')}, 'autovacuum waits for a run, longer than yield_after');
is($node->safe_psql('yield', q{
	select r.phase, a.state, coalesce(run.stop_requested, 'no') from maintsched.running r
	join maintsched.run using (run_id) join maintsched.run_actions a using (run_id)}), 'running|running|no', 'the run does not yield to it');
$node->safe_psql('yield', 'select maintsched.cancel_run(run_id) from maintsched.running');
has_state($node, 'yield', 'vacuum', 'cancelled', 'it is cancelled');

# --- blackouts ---

new_database('black');
add_window('black', 'frozen', 'blackout', 10, 18);
add_task('black', 'planned', 'none', q({"statement": "select public.sleep_and_note('planned')"}));
is_working($node, 'black', 'planned');
is($node->safe_psql('black', q{select r.window_closes_at = t0.at + interval '10 s' from maintsched.running r, t0}), 't', 'a blackout ahead limits what needs no window');
has_state($node, 'black', 'planned', 'partial', 'it is stopped');
is_about('black', 1, 'finished_at', 10, 'when the blackout begins');
nap('black', 0);
has_state($node, 'black', 'planned', 'succeeded', 'and finished');
is_about('black', 2, 'started_at', 18, 'when the blackout is over');
is(run_of($node, 'black', 'planned'), 'partial/window_closed succeeded/completed', 'in two runs');
nap('black', 60);
add_task('black', 'sudden', 'none', q({"statement": "select public.sleep_and_note('sudden')"}));
is_working($node, 'black', 'sudden');
$node->safe_psql('black', q{update t0 set at = date_trunc('second', now())});
add_window('black', 'sudden', 'blackout', 0, 10);
has_state($node, 'black', 'sudden', 'partial', 'a blackout that is added under a run stops it');
is_about('black', 3, 'finished_at', 0, 'at once');
nap('black', 0);
has_state($node, 'black', 'sudden', 'succeeded', 'and it goes on afterwards');
is_about('black', 4, 'started_at', 10, 'when that one is over');
is(done_work('black'), 'planned sudden', 'each was done once');

# --- emergencies ---

new_database('emergency');
add_window('emergency', 'frozen', 'blackout', -60, 3600);
add_task('emergency', 'rescue', 'critical', q({"statement": "select public.sleep_and_note('rescue')"}));
my $waits = q{select waits_for from maintsched.due_tasks where task = 'rescue'};
is($node->safe_psql('emergency', $waits), 'a window for work of class critical: none is planned', 'critical work waits for an emergency');
$node->safe_psql('emergency', q{select maintsched.open_emergency_window('the disk is full', '1 hour')});
is_working($node, 'emergency', 'rescue');
is($node->safe_psql('emergency', q{
	select r.window_closes_at = e.closes_at from maintsched.running r, maintsched.emergency_window e}), 't', 'it runs until the emergency is over');
$node->safe_psql('emergency', q{
	select maintsched.close_emergency_window(1, 'it is not any more');
	update t0 set at = now()});
has_state($node, 'emergency', 'rescue', 'partial', 'who closes it ends what runs in it');
is_about('emergency', 1, 'finished_at', 0, 'at once');
is($node->safe_psql('emergency', $waits), 'a window for work of class critical: none is planned', 'it waits again');
$node->safe_psql('emergency', q{
	select maintsched.open_emergency_window('the disk is full again', '10 seconds');
	update t0 set at = (select opened_at from maintsched.emergency_window where window_id = 2)});
is_working($node, 'emergency', 'rescue');
has_state($node, 'emergency', 'rescue', 'partial', 'one that closes by itself');
is_about('emergency', 2, 'finished_at', 10, 'ends it, too');
nap('emergency', 0);
$node->safe_psql('emergency', q{select maintsched.open_emergency_window('once more', '1 hour')});
has_state($node, 'emergency', 'rescue', 'succeeded', 'the third one is long enough');
is(run_of($node, 'emergency', 'rescue'), 'partial/window_closed partial/window_closed succeeded/completed', 'in three runs');
is(done_work('emergency'), 'rescue', 'and was done once');
is(outcomes_of('emergency', 'rescue'), 'pass', 'one pass');

# --- what does not fit, and time limits ---

new_database('fit');
$node->safe_psql('fit', $patience);
nap('fit', 0);
# it took an hour once
$node->safe_psql('fit', q{
	insert into maintsched.run (routine, params, run_as, change_class, state, stop_reason, requested_by, queued_at, not_before, started_at, finished_at)
	select 'sql', '{}', session_user, 'minor', 'succeeded', 'completed', 'scheduler', d, d, d, d + interval '1 hour'
	from (values (now() - interval '1 day')) x(d);
	insert into maintsched.run_action (run_id, seq, target, command, state, started_at, finished_at)
	select run_id, 1, 'slow', $$select public.sleep_and_note('slow')$$, 'done', started_at, finished_at from maintsched.run});
add_window('fit', 'narrow', 'minor', 0, 60);
add_task('fit', 'fit', 'minor', q({"continue": true, "statements": [{"name": "slow", "statement": "select public.sleep_and_note('slow')"},
	{"name": "quick", "statement": "select public.sleep_and_note('quick')"}]}));
has_state($node, 'fit', 'fit', 'partial', 'a run with an action that does not fit');
is(run_of($node, 'fit', 'fit'), 'partial/window_closed', 'says that the window was too short');
is(actions_of('fit', 'fit'), 'slow skipped no_time, quick done', 'what fits is done');
like($node->safe_psql('fit', q{select message from maintsched.run_actions where skip_reason = 'no_time'}),
	qr/^expected to take 3600\.0 s, and \d+\.\d+ s are left$/, 'what does not says why');
is($node->safe_psql('fit', q{select retry_at = window_closes_at from maintsched.run_history where task = 'fit'}), 't', 'it is tried again in another window');
is(done_work('fit'), 'quick', 'it was not begun');
nap('fit', 60);
add_task('fit', 'limited', 'none', q({"time_limit": "5 seconds", "statements": [
	{"name": "a", "statement": "insert into public.work values ('a')"}, {"name": "b", "statement": "select public.sleep_and_note('b')"},
	{"name": "c", "statement": "insert into public.work values ('c')"}]}));
has_state($node, 'fit', 'limited', 'partial', 'a run with a time limit');
nap('fit', 0);
is($node->safe_psql('fit', q{
	select extract(epoch from finished_at - started_at) between 5 and 25 from maintsched.run_history where task = 'limited' and state = 'partial'}), 't', 'takes no longer');
has_state($node, 'fit', 'limited', 'succeeded', 'the next one goes on');
is(run_of($node, 'fit', 'limited'), 'partial/time_limit succeeded/completed', 'it says what stopped it');
is(actions_of('fit', 'limited'), 'a done, b skipped no_time, c skipped no_time | b done, c done', 'with nothing twice');
is(done_work('fit'), 'a b c quick', 'so says the work');

# --- how far it is ---

new_database('progress');
$node->safe_psql('progress', q{
	create table big (id integer, filler text) with (fillfactor = 10);
	alter table big alter filler set storage plain;
	insert into big select i, repeat('x', 5000) from generate_series(1, 2000) i;
	create function slow(i integer) returns integer language plpgsql immutable as
		'begin perform pg_sleep(0.005); return i; end';
	alter database progress set vacuum_cost_delay = '20ms';
	alter database progress set vacuum_cost_limit = 4});
add_window('progress', 'wide', 'minor', 0, 36000);
my $progress = q{select exists (select from maintsched.running r, t0
	where r.routine = '%s' and r.target = '%s' and r.phase = '%s' and r.percent between %s and 99
	and r.eta_seconds between 1 and 600 and r.elapsed_seconds between 0 and 60 and r.window_closes_at = t0.at + interval '36000 s')};
add_task('progress', 'index', 'minor', q({"statements": [{"name": "quick", "statement": "select 1"},
	{"name": "big index", "statement": "create index big_slow on public.big (public.slow(id))"}]}));
# one of two is done
wait_for($node, 'progress', sprintf($progress, 'sql', 'big index', 'building index: scanning table', 51), 'running shows the progress of CREATE INDEX');
$node->safe_psql('progress', 'select maintsched.cancel_run(run_id) from maintsched.running');
has_state($node, 'progress', 'index', 'cancelled', 'it is cancelled');
is(actions_of('progress', 'index'), 'quick done, big index skipped cancelled', 'and left over');
add_task('progress', 'statistics', 'minor', q({"include": ["public.big"]}), 'analyze');
wait_for($node, 'progress', sprintf($progress, 'analyze', 'public.big', 'acquiring sample rows', 2), 'running shows the progress of ANALYZE');
$node->safe_psql('progress', 'select maintsched.cancel_run(run_id) from maintsched.running');
has_state($node, 'progress', 'statistics', 'cancelled', 'it is cancelled, too');

# --- what did not stop when it was asked to ---

has_state($node, 'stubborn', 'stubborn', 'partial', 'what ignores the end of its window is ended');
my $ended = $node->safe_psql('stubborn', q{select extract(epoch from r.finished_at - t0.at) from maintsched.run r, t0});
ok($ended >= 10 && $ended < 60, "some seconds later: after $ended s");
is(run_of($node, 'stubborn', 'stubborn'), 'partial/window_closed', 'with the reason');
is(actions_of('stubborn', 'stubborn'), 'first done, endless skipped no_time, last skipped no_time', 'and left over');
is(done_work('stubborn'), 'first', 'what was done before stays');
is(outcomes_of('stubborn', 'stubborn'), 'none', 'its occurrence stays due');
has_state($node, 'cancelled', 'stubborn', 'cancelled', 'what ignores that it is cancelled is ended');
is($node->safe_psql('cancelled', 'select count(*), max(retry_at) from maintsched.run'), '1|', 'and not begun again');

# --- after all that ---

foreach my $database (qw(stubborn cancelled seconds week yield black emergency fit progress berlin york planned played))
{
	is($node->safe_psql($database, q{select count(*) from maintsched.run where state in ('queued', 'running')}), '0', "$database: no run is stuck");
	is($node->safe_psql($database, q{
		select count(*) from (
			select from maintsched.completion where outcome = 'pass' group by occurrence_id having count(*) > 1) x}), '0', "$database: nothing passed twice");
}
is($node->safe_psql('postgres', 'create extension maintsched; select maintsched.launcher_state()'), 'running', 'the launcher lives');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/PANIC:|TRAP:|terminated by signal/, 'nothing crashed');
$node->stop;
done_testing();
