# Sixteen sessions record a thousand completions each, while two others call
# tick() and another one edits the tasks: no fact is lost, none counts twice,
# nobody waits in a circle.  Then sixteen sessions fight over the same thousand.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;

my ($writers, $each, $tasks) = (16, 1000, 40);
my $all = $writers * $each;

my $node = PostgreSQL::Test::Cluster->new('writers');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 40\nlog_lock_waits = off\nfsync = off\n");
$node->start;
my $folder = $node->basedir;

# Occurrence $n is open, over for an hour, or closes during the test; each
# writer has as many of each kind, of all tasks.
$node->safe_psql('postgres', qq{
	create extension maintsched;
	select maintsched.import_calendar(jsonb_build_object('format', 'maintsched-calendar/1',
		'name', 'written', 'title', 'Written', 'tasks', (
			select jsonb_agg(jsonb_build_object('name', 'task-' || i, 'title', 'Task ' || i,
				'teams', jsonb_build_array('A'), 'kind', 'manual', 'rule', 'FREQ=YEARLY',
				'starts_on', '2110-01-01T00:00:00', 'due_within', 'P1D',
				'controls', jsonb_build_array('HIPAA 164.312(b)', 'HIPAA 164.308(a)(1)(ii)(D)')))
			from generate_series(1, $tasks) i))::text);
	create procedure put(first bigint, n bigint) language sql as \$\$
		insert into maintsched.occurrence (occurrence_id, task_id, version, local_start, timezone,
			opens_at, due_at, closes_at, planned_at, simulated)
		select first + i, t.task_id, 1, timestamp '2026-01-01' + (first + i) * interval '1 second', 'UTC',
			'2026-01-01 00:00+00',
			case when i % 3 = 0 then timestamptz '2100-01-01 00:00+00'
				else '2026-01-15 00:00+00'::timestamptz + i % 5 * interval '1 month' end,
			case i % 3 when 0 then timestamptz '2100-01-02 00:00+00'
				when 1 then clock_timestamp() - interval '1 hour'
				else clock_timestamp() + i % 12 * interval '1 second' end,
			'2026-01-01 00:00+00', false
		from generate_series(1, n) i
		join (select task_id, row_number() over (order by task_id) as r from maintsched.task) t
			on t.r = 1 + (i / 3) % $tasks
	\$\$;
	-- of each completion that is tried: was it recorded, or was somebody first?
	create table tried (occurrence_id bigint, recorded boolean);
	create function try(id bigint) returns void language plpgsql as \$\$
	begin
		perform maintsched.complete_task(id);
		insert into tried values (id, true);
	exception when object_not_in_prerequisite_state then
		if sqlerrm not like '% is done' then
			raise;
		end if;
		insert into tried values (id, false);
	end
	\$\$;
	call put(100000, $all);
});
append_to_file("$folder/write.sql", qq{
	\\set n :n + 1
	\\set id 100000 + :client_id * $each + :n
	select maintsched.complete_task(:id, case when :id % 7 = 0 then 'fail' else 'pass' end,
		completed_at => clock_timestamp() - interval '2 hours');
});
append_to_file("$folder/fight.sql", qq{
	\\set n :n + 1
	select try(200000 + :n);
});
append_to_file("$folder/tick.sql", qq{
	select maintsched.tick();
	\\sleep 20 ms
});
append_to_file("$folder/edit.sql", qq{
	\\set task random(1, $tasks)
	\\set hours random(1, 20)
	update maintsched.task set due_within = make_interval(hours => :hours), title = 'Changed ' || :hours
	where calendar = 'written' and name = 'task-' || :task;
	\\sleep 20 ms
});

# Runs pgbench; the same as a process that goes on until stop_bench().
sub bench
{
	my ($script, $clients, $how_long) = @_;
	return ('pgbench', '-n', '-c', $clients, '-j', '2', @$how_long, '-D', 'n=0', '-f', "$folder/$script.sql",
		$node->connstr('postgres'));
}

local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
my %said;

sub start_bench
{
	my ($script, $clients) = @_;
	$said{$script} = '';
	return IPC::Run::start([ bench($script, $clients, [ '-T', '3600' ]) ], '<', \undef, '&>', \$said{$script});
}

sub stop_bench
{
	my ($script, $process) = @_;
	$process->pump_nb;
	ok($process->pumpable, "$script: nothing ended it");
	$process->kill_kill;
	unlike($said{$script}, qr/ERROR|aborted/, "$script: no error");
	return;
}

# The figures say what the facts say, and what is kept is what they come to.
sub consistent
{
	my ($when) = @_;
	my $statuses = join ', ', map { "count(*) filter (where f.status = '$_')" }
	  qw(done late failed inconclusive missed overdue waived);
	my $sums = join ', ', map { "sum($_)" } qw(done late failed inconclusive missed overdue waived);
	my $from_facts = qq{
		select month, $statuses
		from maintsched.occurrence_fact f
		join maintsched.task t using (task_id)
		cross join lateral maintsched.due_month(f.due_at, f.timezone) month
		where f.with_simulated and f.due_at <= maintsched.clock() and f.status <> 'withdrawn'};
	my $facts = rows_of($node, 'postgres', "$from_facts group by 1 order by 1");
	cmp_ok(scalar @$facts, '>', 4, "$when: there are months");
	is_deeply(rows_of($node, 'postgres', "select month, $sums from maintsched.compliance_monthly group by 1 order by 1"),
		$facts, "$when: compliance_monthly");
	is_deeply(rows_of($node, 'postgres', "select month, $sums from maintsched.control_monthly
			where control = '164.312(b)' group by 1 order by 1"), $facts, "$when: control_monthly");
	is_deeply(rows_of($node, 'postgres', "select t.task_id, month, $sums from maintsched.task_monthly m
			join maintsched.task t on t.calendar = m.calendar and t.name = m.task group by 1, 2 order by 1, 2"),
		rows_of($node, 'postgres', $from_facts =~ s/select month/select task_id, month/r . ' group by 1, 2 order by 1, 2'),
		"$when: task_monthly");

	my %kept = (
		task_month => [ 'select * from maintsched.task_month', q{select * from maintsched.months_of(array(
			select o.occurrence_id from maintsched.occurrence o where o.closed_at is not null))} ],
		task_state => [ 'select task_id, passed_at, failed_at, done_at from maintsched.task_state',
			q{select t.task_id, max(m.passed_at), max(m.failed_at), max(m.done_at)
			from maintsched.task t left join maintsched.task_month m using (task_id) group by 1} ],
		standing => [ 'select occurrence_id, outcome, effective_at, judged_at from maintsched.standing',
			q{select w.occurrence_id, w.outcome, w.effective_at, w.judged_at from maintsched.occurrence_work w
			where w.closed_at is null and w.outcome is not null} ]);
	foreach my $table (sort keys %kept)
	{
		my ($is, $should) = @{ $kept{$table} };
		is($node->safe_psql('postgres', "select count(*) from (($is except $should) union all ($should except $is)) x"),
			'0', "$when: $table");
	}
	is($node->safe_psql('postgres', 'select count(*) from maintsched.rollup_owed'), '0', "$when: nothing is owed");
	is($node->safe_psql('postgres', q{select count(*) from maintsched.occurrence
			where closed_at is null and closes_at < clock_timestamp() - interval '1 second'}),
		'0', "$when: everything that is over is closed");
	return;
}

# All that closes during the test has closed, and tick() has seen it.
sub settle
{
	$node->poll_query_until('postgres', q{select max(closes_at) < clock_timestamp()
		from maintsched.occurrence where closes_at < '2100-01-01'}) or die 'they do not close';
	# a tick() that was left behind by its client may still be at it
	$node->poll_query_until('postgres', q{select maintsched.tick() = 0
		and pg_try_advisory_xact_lock('maintsched'::regnamespace::oid::integer, 0)}) or die 'tick() does not end';
	$node->safe_psql('postgres', 'select maintsched.tick()');
	return;
}

my $log = -s $node->logfile;
my $tick = start_bench('tick', 2);
my $edit = start_bench('edit', 1);
$node->command_ok([ bench('write', $writers, [ '-t', $each ]) ], "$writers writers, $each completions each");
stop_bench('tick', $tick);
stop_bench('edit', $edit);
is($node->safe_psql('postgres', 'select count(*), count(distinct occurrence_id), max(attempt) from maintsched.completion'),
	"$all|$all|1", 'one completion of each occurrence');
is($node->safe_psql('postgres', q{select outcome, count(*) from maintsched.completion group by 1 order by 1}),
	join("\n", 'fail|' . int((100000 + $all) / 7 - int(100000 / 7)), 'pass|' . ($all - int((100000 + $all) / 7 - int(100000 / 7)))),
	'of either outcome as many as were recorded');
settle();
consistent('after the writers');

# All writers go through the same ones in the same order.
$node->safe_psql('postgres', "call put(200000, $each)");
$tick = start_bench('tick', 2);
$edit = start_bench('edit', 1);
$node->command_ok([ bench('fight', $writers, [ '-t', $each ]) ], "$writers writers, the same $each occurrences");
stop_bench('tick', $tick);
stop_bench('edit', $edit);
is($node->safe_psql('postgres', 'select count(*), count(distinct occurrence_id) from maintsched.completion where occurrence_id > 200000'),
	"$each|$each", 'one completion of each occurrence');
is($node->safe_psql('postgres', 'select count(*) filter (where recorded), count(distinct occurrence_id) filter (where recorded), count(*) from tried'),
	"$each|$each|$all", 'everybody else was told that it is done');
settle();
consistent('after the fight');

# The lines that matter; the statements themselves are in the log, too.
my @lines = grep { /(ERROR|WARNING|FATAL|PANIC|DETAIL): / and !/connection to client lost/ }
  split /\n/, slurp_file($node->logfile, $log);
is_deeply(\@lines, [], 'no deadlock, and no other error');
$node->stop;
done_testing();
