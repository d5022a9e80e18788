# Want of processes and connections, settings, versions, standbys, a restore
# while everything is awake, and the clock.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(start finish);
use Maintsched;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);
use Worker;
use Test::More;

my $node = worker_server('server', 'max_worker_processes = 8', 'max_parallel_workers = 8', 'max_connections = 20',
	'superuser_reserved_connections = 3', 'wal_level = replica', 'hot_standby = on');

my $nobody = q{select count(*) = 0 from pg_stat_activity where backend_type like 'maintsched%' and datname is not null};

# Sessions that stay until they are told to go.
sub session
{
	my ($sql, @options) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $h = start [ 'psql', '-XAtq', '-f', '-', @options, $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>', \$err,
	  IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
	$in .= "$sql\n";
	$h->pump_nb;
	return { h => $h, in => \$in, out => \$out, err => \$err };
}

sub leave
{
	my ($session) = @_;
	# it may be gone already
	eval {
		${ $session->{in} } .= "\\q\n";
		$session->{h}->finish;
	};
	return;
}

# A query with so many parallel workers: a process that has just ended may still
# have its slot, and there is one less.
sub hog
{
	my ($workers) = @_;
	my $count = q{select count(*) from pg_stat_activity where backend_type = 'parallel worker'};
	foreach my $try (1 .. 60)
	{
		my $hog = session(qq{
			set max_parallel_workers_per_gather = $workers; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
			set min_parallel_table_scan_size = 0; set parallel_leader_participation = off;
			select count(pg_sleep(600)) from big;});
		$node->poll_query_until('postgres', q{select count(*) > 0 from pg_stat_activity where backend_type = 'parallel worker' and wait_event = 'PgSleep'})
		  or die 'no parallel workers';
		foreach (1 .. 50)
		{
			return $hog if $node->safe_psql('postgres', $count) == $workers;
			usleep(100_000);
		}
		$node->safe_psql('postgres', q{select pg_cancel_backend(leader_pid) from pg_stat_activity where backend_type = 'parallel worker' limit 1});
		$node->poll_query_until('postgres', "select ($count) = 0") or die 'they do not end';
		leave($hog);
		wait_for($node, 'postgres', $nobody);
	}
	die "there are never $workers parallel workers";
}

sub done
{
	my ($database, $task, $what, $runs) = @_;
	has_state($node, $database, $task, 'succeeded', "$what: the work is done");
	is(run_of($node, $database, $task), $runs // 'succeeded/completed', "$what: its runs");
	all_is_well($node, $database, $what);
	return;
}

sub set_up
{
	my (%settings) = @_;
	foreach my $name (sort keys %settings)
	{
		$node->safe_psql('postgres', "alter system set $name = '$settings{$name}'");
	}
	$node->reload;
	return;
}

# --- preloaded, and the extension is nowhere ---

process_of($node, 'launcher');
wait_for($node, 'postgres', $nobody, 'without the extension anywhere nobody is connected anywhere');
$node->safe_psql('postgres', 'create database empty');
wait_for($node, 'postgres', $nobody, 'nor in a new database');
process_of($node, 'launcher');
make_calendar($node, 'postgres');
add_work($node, 'postgres', 'newcomer');
done('postgres', 'newcomer', 'CREATE EXTENSION');

# --- a standby, made now and promoted in the end ---

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

# --- settings that change ---

set_up('maintsched.launcher' => 'off');
$node->poll_query_until('postgres', q{select maintsched.launcher_state() = 'off'}) or die;
wait_for($node, 'postgres', $nobody);
add_work($node, 'postgres', 'reload-launcher');
is(run_of($node, 'postgres', 'reload-launcher'), 'none', 'maintsched.launcher off: nothing starts');
set_up('maintsched.launcher' => 'on');
done('postgres', 'reload-launcher', 'maintsched.launcher on again');

set_up('maintsched.max_workers' => '0');
$node->poll_query_until('postgres', q{select current_setting('maintsched.max_workers') = '0'}) or die;
wait_for($node, 'postgres', $nobody);
add_work($node, 'postgres', 'reload-workers');
is(run_of($node, 'postgres', 'reload-workers'), 'none', 'maintsched.max_workers 0: nothing starts');
shut_gate($node, 'postgres');
set_up('maintsched.max_workers' => '4');
is_working($node, 'postgres', 'reload-workers');
set_up('maintsched.max_workers' => '1', 'maintsched.launcher' => 'off', 'work_mem' => '5MB');
open_gate($node, 'postgres');
has_state($node, 'postgres', 'reload-workers', 'succeeded', 'a reload in mid-run: it goes on');
set_up('maintsched.max_workers' => '4', 'maintsched.launcher' => 'on');
done('postgres', 'reload-workers', 'a reload in mid-run');

# --- the SQL is of another version than the library ---

my $version = version();
shut_gate($node, 'postgres');
add_work($node, 'postgres', 'version-under-way');
is_working($node, 'postgres', 'version-under-way');
foreach my $other ('0.0.1', '999.0')
{
	my $which = $other eq '999.0' ? 'newer' : 'older';
	$node->safe_psql('postgres', "update pg_extension set extversion = '$other' where extname = 'maintsched'");
	open_gate($node, 'postgres');
	wait_for($node, 'postgres', $nobody, "the SQL is $which: nobody stays");
	add_work($node, 'postgres', "sql-$which");
	$node->wait_for_log(qr/maintsched \Q$other\E in database \d+ is not served by its library of version \Q$version\E/);
	wait_for($node, 'postgres', $nobody, "the SQL is $which: nobody works");
	is(run_of($node, 'postgres', "sql-$which"), 'none', "the SQL is $which: nothing starts");
	is($node->safe_psql('postgres', q{select status from maintsched.health where item = 'library'}), 'CRIT', "the SQL is $which: health is CRIT");
	is($node->safe_psql('postgres', q{select maintsched.launcher_state()}), 'running', "the SQL is $which: the launcher lives");
	# as ALTER EXTENSION UPDATE does it, and tells at commit
	$node->safe_psql('postgres', "update pg_extension set extversion = '$version' where extname = 'maintsched'; update maintsched.calendar set title = title");
	done('postgres', "sql-$which", "the SQL was $which");
}
my $folder = extension_folder();
SKIP:
{
	skip 'the extension folder cannot be written to', 4 if !defined $folder;
	my @scripts = map { "$folder/maintsched--$_.sql" } "$version--faults", "faults--$version";
	append_to_file($_, "-- nothing\n") foreach @scripts;
	$node->safe_psql('postgres', q{alter extension maintsched update to 'faults'});
	add_work($node, 'postgres', 'updated');
	is(run_of($node, 'postgres', 'updated'), 'none', 'ALTER EXTENSION to another version than the library: nothing starts');
	$node->safe_psql('postgres', "alter extension maintsched update to '$version'");
	unlink @scripts;
	done('postgres', 'updated', 'ALTER EXTENSION UPDATE');
}

# --- no worker slot is free: parallel workers have all that is left of 8 ---

$node->safe_psql('postgres', q{
	create table big (id integer) with (parallel_workers = 6, fillfactor = 10);
	insert into big select generate_series(1, 20000);
	analyze big});
wait_for($node, 'postgres', $nobody);
my $hog = hog(6);
add_work($node, 'postgres', "slots-$_") foreach 1 .. 3;
$node->wait_for_log(qr/no background worker slot is free for maintsched/);
is($node->safe_psql('postgres', q{select maintsched.tick() >= 0}), 't', 'without a worker slot: tick() queues');
is($node->safe_psql('postgres', q{select count(*) from maintsched.run_history where task like 'slots-%' and state <> 'queued'}), '0',
	'without a worker slot: nothing starts');
$node->safe_psql('postgres', q{select pg_cancel_backend(leader_pid) from pg_stat_activity where backend_type = 'parallel worker' limit 1});
done('postgres', "slots-$_", "worker slots are free again, $_") foreach 1 .. 3;
leave($hog);

# one slot: for the scheduler, not for its runner
wait_for($node, 'postgres', $nobody);
my $less = hog(5);
add_work($node, 'postgres', 'one-slot');
wait_for($node, 'postgres', q{select state = 'queued' from maintsched.run_history where task = 'one-slot'}, 'one slot: the run is queued');
$node->wait_for_log(qr/runs of maintsched wait for a background worker slot/);
is(run_of($node, 'postgres', 'one-slot'), 'queued', 'one slot: it waits on');
$node->safe_psql('postgres', q{select pg_cancel_backend(leader_pid) from pg_stat_activity where backend_type = 'parallel worker' limit 1});
done('postgres', 'one-slot', 'the other slot is free again');
leave($less);

# --- no connection is free: workers have their own ---

# (the first one, with which the test goes on, is there before the others)
my @crowd = (session('select 1;'));
$crowd[0]{h}->pump until ${ $crowd[0]{out} } =~ /1/;
push @crowd, map { session('select 1;') } 2 .. 19;
my ($out, $err);
foreach (1 .. 100)
{
	# not through its standard input: who is refused does not read it
	last unless IPC::Run::run [ 'psql', '-XwAtc', 'select 1', '-d', $node->connstr('postgres') ], '>', \$out, '2>', \$err;
	push @crowd, session('select 1;');
}
like($err, qr/too many clients|remaining connection slots/, 'no connection is free');
${ $crowd[0]{in} } .= q{
	begin;
	select maintsched.add_task('ops', 'crowd', 'FREQ=DAILY', kind => 'routine', routine => 'sql',
		starts_on => date_trunc('second', now() at time zone 'UTC') - interval '1 second', due_within => '20 hours',
		params => '{"statement": "insert into public.work values (''crowd'')"}');
	update maintsched.task set change_class = 'none' where name = 'crowd';
	commit;
	select 'added';
} . "\n";
$crowd[0]{h}->pump until ${ $crowd[0]{out} } =~ /added/;
${ $crowd[0]{in} } .= q{
	do $$ begin
		for i in 1 .. 1000 loop
			exit when exists (select from work where task = 'crowd');
			perform pg_sleep(0.1);
		end loop;
	end $$;
	select count(*) || ' done' from work where task = 'crowd';
} . "\n";
$crowd[0]{h}->pump until ${ $crowd[0]{out} } =~ / done/;
like(${ $crowd[0]{out} }, qr/1 done/, 'the work is done meanwhile');
leave($_) foreach @crowd;
done('postgres', 'crowd', 'out of connections');

# nor may the role connect: its runs fail, and are tried again
$node->safe_psql('postgres', q{
	create role regress_maintsched_few login;
	select maintsched.grant_access('regress_maintsched_few', 'operator');
	-- four times: the last one comes after what follows
	create or replace function maintsched.retry_delay(failures integer) returns interval
	language sql immutable parallel safe return interval '5 seconds';
	alter database postgres connection limit 0});
add_work($node, 'postgres', 'few', role => 'regress_maintsched_few');
my $there = session('set role regress_maintsched_few; select 1;');
wait_for($node, 'postgres', q{select count(*) > 0 from maintsched.run_history where task = 'few' and state in ('failed', 'succeeded')}, 'connection limit 0: the run ends');
$node->safe_psql('postgres', 'alter database postgres connection limit -1');
leave($there);
has_state($node, 'postgres', 'few', 'succeeded', 'connection limit: the work is done');
all_is_well($node, 'postgres', 'connection limit');
$node->safe_psql('postgres', q{
	create or replace function maintsched.retry_delay(failures integer) returns interval
	language sql immutable parallel safe return interval '1 second'});

# --- a restore, while the launcher and calls of tick() are awake ---

shut_gate($node, 'postgres');
add_work($node, 'postgres', 'dumped');
is_working($node, 'postgres', 'dumped');
$node->safe_psql('postgres', 'create database restored');
my $ticks = join '', map { "select maintsched.tick();\nselect pg_sleep(0.02);\n" } 1 .. 50_000;
my ($tick_out, $tick_err) = ('', '');
my $ticker = start [ 'psql', '-XAtq', $node->connstr('restored') ], '<', \$ticks, '>', \$tick_out, '2>', \$tick_err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump under a run');
$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restore, the launcher and tick() awake');
my $rows = q{select (select count(*) from work), (select count(*) from maintsched.completion),
	(select string_agg(concat(run_id, state), ' ' order by run_id) from maintsched.run)};
open_gate($node, 'postgres');
done('postgres', 'dumped', 'the source of the restore');
$ticker->pump until $tick_err =~ /tick\(\) does nothing: this database was restored from a dump/;
is($node->safe_psql('restored', q{select maintsched.instance_problem()}), 'this database was restored from a dump', 'restored: it is known');
is(run_of($node, 'restored', 'dumped'), 'running', 'restored: nothing was done about the run');
is($node->safe_psql('restored', q{select count(*) from work where task = 'dumped'}), '0', 'restored: its work was not done');
open_gate($node, 'restored');
$node->safe_psql('restored', q{
	create or replace function maintsched.retry_delay(failures integer) returns interval
	language sql immutable parallel safe return interval '1 second';
	select maintsched.resume('all')});
done('restored', 'dumped', 'restored and resumed', 'interrupted/crashed succeeded/completed');
$ticker->kill_kill;

# --- the clock, set forward and back ---

# Days that are over, and long open: the launcher, whose clock is real, neither
# plans nor closes them.
my @day = split /\n/, $node->safe_psql('postgres', 'select current_date - 20 + i from generate_series(0, 5) i order by 1');

sub at
{
	my ($day, $hour, $sql) = @_;
	return $node->safe_psql('clock', "set timezone = 'UTC'; set maintsched.now = '$day[$day] $hour:00'; $sql");
}

$node->safe_psql('postgres', 'create database clock');
make_calendar($node, 'clock');
at(0, 8, qq{
	begin;
	select maintsched.add_task('ops', 'clock', 'FREQ=DAILY;COUNT=6', kind => 'routine', routine => 'sql', timezone => 'UTC',
		starts_on => '$day[0] 09:00', due_within => '20 hours', grace => '100 days',
		params => '{"statement": "insert into public.work values (''clock'')"}');
	update maintsched.task set change_class = 'none' where name = 'clock';
	commit});
foreach my $instant ([ 0, 10 ], [ 0, 11 ], [ 4, 10 ], [ 1, 10 ], [ 1, 10 ], [ 4, 12 ], [ 0, 12 ], [ 5, 10 ])
{
	at(@$instant, 'select maintsched.tick()');
	wait_for($node, 'clock', q{select count(*) = 0 from maintsched.run where state in ('queued', 'running')}) or die;
}
is($node->safe_psql('clock', q{
	select string_agg(format('%s: %s by run %s', (o.opens_at at time zone 'UTC')::date, x.passes, x.run_id), ', ' order by o.opens_at)
	from maintsched.occurrence o
	join (
		select c.occurrence_id, count(*) as passes, max(c.run_id) as run_id
		from maintsched.completion c where c.outcome = 'pass' and c.simulated group by 1) x using (occurrence_id)}),
	"$day[0]: 1 by run 1, " . join('', map { "$day[$_]: 1 by run 2, " } 1 .. 4) . "$day[5]: 1 by run 3",
	'the clock forward and back: each day once');
is($node->safe_psql('clock', q{
	select count(*), bool_and(simulated), bool_and(state = 'succeeded'), (select count(*) from work) from maintsched.run}),
	'3|t|t|3', 'its runs are simulated, and each did its work once');
add_work($node, 'clock', 'real');
has_state($node, 'clock', 'real', 'succeeded', 'what is real goes on beside');
all_is_well($node, 'clock', 'clock', 'clock');

# --- the standby, promoted in mid-run ---

add_work($node, 'postgres', 'often', rule => 'FREQ=SECONDLY;INTERVAL=2', due_within => '1 second',
	statement => q{insert into public.work values ('often')});
wait_for($node, 'postgres', q{select count(*) >= 2 from work where task = 'often'}, 'work that is often due');
shut_gate($node, 'postgres');
add_work($node, 'postgres', 'promoted');
is_working($node, 'postgres', 'promoted');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', q{select count(*) from pg_stat_activity where backend_type like 'maintsched%'}), '0',
	'on the standby nothing runs');
is($standby->safe_psql('postgres', q{select maintsched.launcher_state() || maintsched.tick()}), 'not running0', 'nor by tick()');
is(run_of($standby, 'postgres', 'promoted'), 'running', 'it shows what runs on the primary');
$node->stop('immediate');
$standby->promote;
wait_for($standby, 'postgres', q{select maintsched.launcher_state() = 'running'}, 'promotion: the launcher starts');
$standby->safe_psql('postgres', 'update gate set shut = false');
has_state($standby, 'postgres', 'promoted', 'succeeded', 'promotion: the work is done');
is(run_of($standby, 'postgres', 'promoted'), 'interrupted/crashed succeeded/completed', 'promotion: its runs');
my $before = $standby->safe_psql('postgres', q{select count(*) from work where task = 'often'});
wait_for($standby, 'postgres', qq{select count(*) >= $before + 2 from work where task = 'often'}, 'promotion: what is often due goes on');
$standby->safe_psql('postgres', q{select maintsched.retire_task('ops', 'often', 'seen')});
wait_for($standby, 'postgres', q{select count(*) = 0 from maintsched.run where state in ('queued', 'running')});
is($standby->safe_psql('postgres', q{
	select count(*) from (
		select from maintsched.completion where outcome = 'pass' group by occurrence_id having count(*) > 1
		union all
		select from maintsched.occurrence group by task_id, local_start having count(*) > 1) x}), '0', 'promotion: no occurrence is doubled');
is($standby->safe_psql('postgres', q{
	select (select count(*) from work where task = 'often')
		- (select count(*) from maintsched.run_actions join maintsched.run_history using (run_id)
			where task = 'often' and run_actions.state = 'done')}), '0', 'promotion: no work is');
all_is_well($standby, 'postgres', 'promotion', 'often');

$standby->stop;
foreach my $server ($node, $standby)
{
	unlike(slurp_file($server->logfile), qr/PANIC:|TRAP:|terminated by signal/, $server->name . ': nothing crashed');
}
done_testing();
