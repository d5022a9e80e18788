# Commands on what the work needs, in the middle of it: tables, roles, the
# extension, databases; task rows that no function would have written.
use strict;
use warnings FATAL => 'all';
use Cwd qw(abs_path);
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Worker;
use Test::More;

my $node = worker_server('ddl', 'maintsched.yield_after = 1s', 'max_prepared_transactions = 2');
my ($out, $err);

# What a command says; the time limit is against hanging.
sub said
{
	my ($database, $sql) = @_;
	my ($o, $e) = ('', '');
	$node->psql($database, $sql, stdout => \$o, stderr => \$e, timeout => 60);
	$e =~ s/^psql:<stdin>:\d+: //mg;
	return ($o, $e);
}

# A database with work under way.
sub working_database
{
	my ($database) = @_;
	$node->safe_psql('postgres', "create database $database template base");
	$node->safe_psql($database, q{select maintsched.resume('all')});
	shut_gate($node, $database);
	add_work($node, $database, 'work');
	is_working($node, $database, 'work');
	return;
}

# Afterwards it is done; what is under way ends by itself.
sub afterwards
{
	my ($database, $what, $runs) = @_;
	open_gate($node, $database);
	has_state($node, $database, 'work', 'succeeded', "$what: the work is done");
	is(run_of($node, $database, 'work'), $runs, "$what: its runs");
	all_is_well($node, $database, $what);
	return;
}

$node->safe_psql('postgres', 'create database base');
make_calendar($node, 'base');
make_calendar($node, 'postgres');

# --- user code that catches what is to end it: it is left to itself meanwhile ---

$node->safe_psql('postgres', 'create database stubborn template base');
$node->safe_psql('stubborn', q{
	select maintsched.resume('all');
	select maintsched.add_window('ops', 'short', 'FREQ=DAILY', date_trunc('second', now() at time zone 'UTC'), '20 seconds', 'minor', 'UTC')});
add_work($node, 'stubborn', 'stubborn', class => 'minor', statement => q{
	do $$ begin
		loop
			begin
				perform pg_sleep(60);
			exception when query_canceled then null;
			end;
		end loop;
	end $$});
my $stubborn = process_of($node, 'runner', 'stubborn');

# --- a table ---

$node->safe_psql('postgres', 'create table victim (id integer); insert into victim values (1)');
add_work($node, 'postgres', 'victim', statement => 'select pg_sleep(60) from victim');
is_working($node, 'postgres', 'victim');
($out, $err) = said('postgres', 'drop table victim');
is($err, '', 'DROP TABLE under a run: the run gives way');
has_state($node, 'postgres', 'victim', 'failed', 'what is without its table then fails');
is($node->safe_psql('postgres', q{select string_agg(concat_ws('/', r.state, r.stop_reason, a.state, a.skip_reason, a.sqlstate), ' ' order by r.run_id)
	from maintsched.run_history r join maintsched.run_actions a using (run_id) where task = 'victim'}),
	'partial/yielded/skipped/yielded/57014 failed/error/failed/42P01', 'it yielded, and was tried again');
is($node->safe_psql('postgres', q{select status, outcome from maintsched.occurrence_status where task = 'victim' and opens_at <= now()}),
	'failed|fail', 'and people see it');
all_is_well($node, 'postgres', 'DROP TABLE', 'victim');

# --- a role ---

$node->safe_psql('postgres', q{
	create role regress_maintsched_group;
	select maintsched.grant_access('regress_maintsched_group', 'operator');
	create role regress_maintsched_a login in role regress_maintsched_group;
	create role regress_maintsched_b login in role regress_maintsched_group});
shut_gate($node, 'postgres');
add_work($node, 'postgres', 'role-under-way', role => 'regress_maintsched_a', statement => q{do $$ begin
	while (select shut from public.gate) loop perform pg_sleep(0.05); end loop;
	insert into public.work values ('role-under-way', null);
	end $$});
is_working($node, 'postgres', 'role-under-way');
add_work($node, 'postgres', 'role-queued', role => 'regress_maintsched_b');
wait_for($node, 'postgres', q{select state = 'queued' from maintsched.run_history where task = 'role-queued'}, 'another run waits');
add_work($node, 'postgres', 'role-other');
$node->safe_psql('postgres', 'drop role regress_maintsched_a; drop role regress_maintsched_b; create role regress_maintsched_b login');
open_gate($node, 'postgres');
has_state($node, 'postgres', 'role-under-way', 'succeeded', 'DROP ROLE under a run: what it did is recorded');
is(run_of($node, 'postgres', 'role-under-way'), 'succeeded/completed', 'DROP ROLE: its runs');
has_state($node, 'postgres', 'role-queued', 'failed', 'a queued run whose role is another one fails');
like($node->safe_psql('postgres', q{select message from maintsched.run_history where task = 'role-queued'}),
	# the second two: looked at between the two commands, or while the first went on
	qr/^role "regress_maintsched_b" (is not the one that it was|does not exist|may not call plan function .*)$/, 'and says so');
all_is_well($node, 'postgres', 'DROP ROLE', 'victim', 'role-queued');

# --- a prepared transaction would tell nobody at its commit ---

foreach my $change (
	q{select maintsched.run_routine('sql', '{"statement": "select 1"}', true, 'why')},
	q{update maintsched.task set title = 'Another' where name = 'role-other'},
	q{select maintsched.pause('ops', 'why')},
	q{select maintsched.open_emergency_window('why', '1 minute', 'ops')},
	q{select maintsched.tick() from maintsched.run_routine('sql', '{"statement": "select 1"}', true, 'why')})
{
	($out, $err) = said('postgres', "begin; $change; prepare transaction 'x'");
	like($err, qr/ERROR:  cannot prepare a transaction that has changed a maintenance calendar or queued a run/, "PREPARE TRANSACTION is refused after $change");
}
($out, $err) = said('postgres', q{begin; select count(*) from maintsched.due_tasks; insert into work values ('prepared'); prepare transaction 'x'; rollback prepared 'x'});
is($err, '', 'others are prepared');
$node->safe_psql('postgres', q{begin; insert into work values ('prepared'); prepare transaction 'x'});
($out, $err) = said('postgres', q{commit prepared 'x'});
is($err, '', 'and committed in another session');
$node->safe_psql('postgres', q{delete from work where task = 'prepared'; begin; insert into work values ('prepared'); prepare transaction 'x'});
($out, $err) = said('postgres', q{rollback prepared 'x'});
is($err, '', 'or rolled back there');
all_is_well($node, 'postgres', 'PREPARE TRANSACTION', 'victim', 'role-queued');

# --- rows that a superuser wrote past everything ---

shut_gate($node, 'postgres');
add_work($node, 'postgres', 'holds-up');
is_working($node, 'postgres', 'holds-up');
my %corrupt = (
	'bad-routine' => q{routine = 'no_such_routine'},
	'bad-kind' => q{routine = null},
	'bad-role' => q{run_as = null},
	'empty-role' => q{run_as = ''},
	'bad-params' => q{params = '{"statement": {"a": 1}}'},
	'no-params' => q{params = '{}'},
	'list-params' => q{params = '[1, 2]'},
	'bad-class' => q{change_class = 'enormous'},
	'bad-rule' => q{rule = 'FREQ=NEVER'},
	'endless-rule' => q{rule = 'FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30'},
	'bad-zone' => q{timezone = 'Mars/Olympus'},
	'bad-start' => q{starts_on = 'infinity'},
	'bad-due' => q{due_within = '-1 day'},
	'bad-calendar' => q{calendar = 'nowhere'},
	'bad-catch-up' => q{catch_up = 'sometimes'});
my @corrupt = sort keys %corrupt;
my @refused;
foreach my $task (@corrupt)
{
	add_work($node, 'postgres', $task,
		also => qq{set local session_replication_role = replica; update maintsched.task set $corrupt{$task} where name = '$task'})
	  or push @refused, $task;
}
is("@refused", 'bad-catch-up bad-class bad-due bad-kind bad-role bad-rule bad-start', 'what the tables themselves refuse');
add_work($node, 'postgres', 'zz-after');
open_gate($node, 'postgres');
has_state($node, 'postgres', 'holds-up', 'succeeded', 'corrupt tasks: what was under way ends well');
has_state($node, 'postgres', 'zz-after', 'succeeded', 'corrupt tasks: what comes after them is done');
add_work($node, 'postgres', 'zz-later');
has_state($node, 'postgres', 'zz-later', 'succeeded', 'corrupt tasks: so is what is added then');
is($node->safe_psql('postgres', q{
	select string_agg(format('%s: %s, %s', task, state, message), E'\n' order by task)
	from maintsched.run_history where task ~ '^(bad|empty|no|list|endless)-' and state <> 'succeeded'}), join("\n",
	'bad-params: failed, routine sql: statement must be a text',
	'empty-role: failed, role "" does not exist',
	'list-params: failed, routine sql: params must be a JSON object',
	'no-params: failed, routine sql needs either statement or statements'), 'each that cannot run fails by itself');
is(run_of($node, 'postgres', 'bad-routine'), 'none', 'a routine that is not there is not carried out');
is($node->safe_psql('postgres', q{select count(*) from maintsched.completion c join maintsched.occurrence o using (occurrence_id)
	join maintsched.task t using (task_id) where t.name = any ('{bad-params,empty-role,list-params,no-params}') and c.outcome = 'fail'}), '4',
	'and people see it');
$node->safe_psql('postgres', q{update maintsched.task set timezone = null where name = 'bad-zone'});
($out, $err) = said('postgres', 'select maintsched.tick()');
is("$out$err", '0', 'tick() goes on');
all_is_well($node, 'postgres', 'corrupt tasks', 'victim', 'role-queued', @corrupt);

# --- user code that catches what is to end it ---

wait_for($node, 'stubborn', q{select finished_at is not null from maintsched.run_history where task = 'stubborn'}, 'it is ended');
is(run_of($node, 'stubborn', 'stubborn'), 'partial/window_closed', 'for the end of its window');
# 10 seconds after it was asked to; the others are a busy machine's
cmp_ok($node->safe_psql('stubborn', q{
	select extract(epoch from finished_at - window_closes_at) from maintsched.run_history where task = 'stubborn'}), '<', 60,
	'soon after the end of the window, though it would never end');
is($node->safe_psql('postgres', "select count(*) from pg_stat_activity where pid = $stubborn"), '0', 'its process is gone');
is($node->safe_psql('stubborn', q{select status from maintsched.occurrence_status where task = 'stubborn' and opens_at <= now()}), 'due', 'its duty stays due');
all_is_well($node, 'stubborn', 'stubborn', 'stubborn');

# --- the extension ---

working_database('extended');
my $worker = process_of($node, 'runner', 'extended');
($out, $err) = said('extended', 'drop extension maintsched');
is($err, '', 'DROP EXTENSION under a run');
open_gate($node, 'extended');
wait_for($node, 'postgres', q{select count(*) = 0 from pg_stat_activity where datname = 'extended' and backend_type like 'maintsched%'}, 'DROP EXTENSION: nobody stays');
is($node->safe_psql('extended', 'drop table gate, work') // '', '', 'its work is done or not');
make_calendar($node, 'extended');
add_work($node, 'extended', 'work');
afterwards('extended', 'CREATE EXTENSION again', 'succeeded/completed');

# a run may do it itself: it does not wait for its own end
add_work($node, 'extended', 'updates', statement => 'alter extension maintsched update');
has_state($node, 'extended', 'updates', 'succeeded', 'ALTER EXTENSION UPDATE by a run');
add_work($node, 'extended', 'drops', statement => 'drop extension maintsched');
wait_for($node, 'extended', q{select count(*) = 0 from pg_extension where extname = 'maintsched'}, 'DROP EXTENSION by a run');
wait_for($node, 'postgres', q{select count(*) = 0 from pg_stat_activity where datname = 'extended' and backend_type like 'maintsched%'}, 'DROP EXTENSION by a run: nobody stays');
is($node->safe_psql('postgres', 'select maintsched.launcher_state()'), 'running', 'DROP EXTENSION by a run: the launcher lives');
$node->safe_psql('extended', 'drop table gate, work');
make_calendar($node, 'extended');
add_work($node, 'extended', 'work');
afterwards('extended', 'CREATE EXTENSION after a run dropped it', 'succeeded/completed');

# --- databases ---

working_database('renamed');
$node->safe_psql('postgres', 'create role regress_maintsched_c login createdb');
foreach my $command ('drop database renamed', 'alter database renamed rename to other', 'alter database renamed set tablespace pg_default')
{
	($out, $err) = said('postgres', "set role regress_maintsched_c; $command");
	like($err, qr/must be owner of database renamed/, "$command: who may not is refused");
}
is(run_of($node, 'renamed', 'work'), 'running', 'and ends nothing');
($out, $err) = said('postgres', 'drop database renamed; select 1');
is($err, '', 'DROP DATABASE under a run');
working_database('renamed');
($out, $err) = said('postgres', 'alter database renamed rename to renamed_since');
is($err, '', 'ALTER DATABASE RENAME under a run');
afterwards('renamed_since', 'RENAME', 'interrupted/crashed succeeded/completed');

working_database('moved');
my $folder = abs_path(PostgreSQL::Test::Utils::tempdir());
$node->safe_psql('postgres', "create tablespace elsewhere location '$folder'");
($out, $err) = said('postgres', 'alter database moved set tablespace elsewhere');
is($err, '', 'ALTER DATABASE SET TABLESPACE under a run');
afterwards('moved', 'SET TABLESPACE', 'interrupted/crashed succeeded/completed');

working_database('origin');
($out, $err) = said('postgres', 'create database copy template origin');
is($err, '', 'CREATE DATABASE TEMPLATE under a run');
is($node->safe_psql('copy', 'select maintsched.tick()'), '0', 'in the copy nothing is done');
afterwards('origin', 'TEMPLATE', 'interrupted/crashed succeeded/completed');
is(run_of($node, 'copy', 'work'), 'running', 'in the copy nothing has been done');
$node->safe_psql('copy', q{select maintsched.resume('all')});
afterwards('copy', 'the copy', 'interrupted/crashed succeeded/completed');

working_database('closed');
$node->safe_psql('postgres', q{alter database closed allow_connections false});
process_of($node, 'runner', 'closed');
$node->safe_psql('postgres', q{select pg_terminate_backend(pid) from pg_stat_activity where datname = 'closed'});
wait_for($node, 'postgres', q{select count(*) = 0 from pg_stat_activity where datname = 'closed'}, 'a database that takes no connections gets none');
make_sure_of_others('allow_connections false');
$node->safe_psql('postgres', q{alter database closed allow_connections true});
afterwards('closed', 'allow_connections true', 'interrupted/crashed succeeded/completed');

# That another database is served.
sub make_sure_of_others
{
	my ($what) = @_;
	add_work($node, 'postgres', 'other');
	has_state($node, 'postgres', 'other', 'succeeded', "$what: other databases are served");
	return;
}

# --- template1 with the extension ---

make_calendar($node, 'template1');
add_work($node, 'template1', 'work');
($out, $err) = said('postgres', 'create database from_template1; create database from_template1_too template template1');
is($err, '', 'CREATE DATABASE from a template1 with the extension');
is(run_of($node, 'template1', 'work'), 'none', 'in the template nothing runs');
is(run_of($node, 'from_template1', 'work'), 'none', 'nor in the new database, before resume()');
$node->safe_psql('from_template1', q{select maintsched.resume('all')});
afterwards('from_template1', 'template1', 'succeeded/completed');
$node->safe_psql('template1', 'drop extension maintsched; drop table gate, work');

# --- in the end nobody is connected anywhere, and the log is without a crash ---

wait_for($node, 'postgres', q{select count(*) = 0 from pg_stat_activity where backend_type like 'maintsched%' and datname is not null},
	'nobody stays where nothing is to be done');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC:|TRAP:|terminated by signal/, 'nothing crashed');
done_testing();
