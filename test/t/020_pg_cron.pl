# A job of the real pg_cron calls tick(): in the database in which pg_cron
# lives and in another one, with the library not preloaded; and on a second
# server beside a launcher, where nothing is done twice.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use Test::More;

my $share = `pg_config --sharedir`;
chomp $share;
plan skip_all => 'pg_cron is not installed for this PostgreSQL'
  if !-e "$share/extension/pg_cron.control";

# A server with pg_cron, and a calendar whose one task runs without a window.
sub cron_server
{
	my ($name, $libraries) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$libraries'\n"
		. "maintsched.launcher = on\nmaintsched.max_workers = 4\n"
		  . "cron.host = '" . $node->host . "'\n"
		  . "cron.database_name = 'postgres'\n"
		  . "autovacuum = off\n");
	$node->start;
	return $node;
}

sub make_task
{
	my ($node, $database, $rule, $due_within) = @_;
	$node->safe_psql($database, qq{
		create table work (done_at timestamptz default clock_timestamp());
		select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "own", "title": "Own", "tasks": []}');
		select maintsched.add_task('own', 'work', '$rule', kind => 'routine', routine => 'sql',
			starts_on => current_date, due_within => '$due_within',
			params => '{"statement": "insert into public.work default values"}');
		update maintsched.task set change_class = 'none' where name = 'work';
	});
	return;
}

sub said
{
	my ($node, $database, $sql) = @_;
	my ($out, $err);
	$node->psql($database, $sql, stdout => \$out, stderr => \$err);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	return ($out, $err);
}

my $other = q{the other "db's};
my $node = cron_server('cron', 'pg_cron');
my $both = cron_server('both', 'pg_cron,maintsched');
my ($out, $err);

# --- not preloaded: what is said ---

($out, $err) = said($node, 'postgres', 'create extension maintsched');
like($err, qr/NOTICE:.*(?:\n.*)*shared_preload_libraries/, 'CREATE EXTENSION tells that the library is not preloaded');
($out, $err) = said($node, 'postgres', 'select maintsched.enable_pg_cron()');
like($err, qr/ERROR:  extension pg_cron does not exist in database "postgres"\nHINT:  Create it: create extension pg_cron;/,
	'without the extension pg_cron');
$node->safe_psql('postgres', 'create extension pg_cron');
my $seconds = $node->safe_psql('postgres', "select extversion ~ '^1[.][0-4]' from pg_extension where extname = 'pg_cron'") ne 't';
my $often = $seconds ? '5 seconds' : '* * * * *';
my $jobs = 'select schedule, command, database, username = current_user, active from cron.job order by jobid';

# --- one job, whatever is called how often ---

($out, $err) = said($node, 'postgres', "select maintsched.enable_pg_cron('every now and then')");
like($err, qr/ERROR:  pg_cron refuses schedule "every now and then": .*\nHINT:  /, 'a wrong schedule');
($out, $err) = said($node, 'postgres', "select maintsched.enable_pg_cron('')");
like($err, qr/ERROR:  the schedule is empty/, 'an empty one');
($out, $err) = said($node, 'postgres', "select maintsched.enable_pg_cron('*/7 * * * *')");
is($out, q{select cron.schedule('maintsched tick postgres', '*/7 * * * *', 'select maintsched.tick()');}, 'the statement that was run');
like($err, qr/NOTICE:  done: job "maintsched tick postgres" of pg_cron calls tick\(\) as role/, 'and it says so');
said($node, 'postgres', "select maintsched.enable_pg_cron('*/7 * * * *')");
is($node->safe_psql('postgres', $jobs), '*/7 * * * *|select maintsched.tick()|postgres|t|t', 'called twice: one job');
$node->safe_psql('postgres', 'update cron.job set active = false');
said($node, 'postgres', "select maintsched.enable_pg_cron('$often')");
is($node->safe_psql('postgres', $jobs), "$often|select maintsched.tick()|postgres|t|t", 'another schedule replaces it, and a job that was off is on');

$node->safe_psql('postgres', q{
	create role regress_maintsched_manager login;
	create role regress_maintsched_group;
	select maintsched.grant_access('regress_maintsched_manager', 'manager');
	select maintsched.grant_access('regress_maintsched_group', 'manager')});
($out, $err) = said($node, 'postgres', 'set role regress_maintsched_manager; select maintsched.enable_pg_cron()');
like($err, qr/ERROR:  role "regress_maintsched_manager" may not use pg_cron\nHINT:  A superuser allows it: grant usage on schema cron to regress_maintsched_manager;/, 'a manager needs schema cron');
($out, $err) = said($node, 'postgres', 'set role regress_maintsched_group; select maintsched.enable_pg_cron()');
like($err, qr/ERROR:  role "regress_maintsched_group" cannot log in/, 'a role that cannot log in gets no job');
$node->safe_psql('postgres', 'grant usage on schema cron to regress_maintsched_manager');
said($node, 'postgres', 'set role regress_maintsched_manager; select maintsched.enable_pg_cron()');
is($node->safe_psql('postgres', 'select username from cron.job order by jobid desc limit 1'), 'regress_maintsched_manager', 'the job runs as who made it');
($out, $err) = said($node, 'postgres', 'set role regress_maintsched_manager; select maintsched.disable_pg_cron()');
like($err, qr/NOTICE:  done: job "maintsched tick postgres" of pg_cron is removed/, 'a manager removes its own job');
is($node->safe_psql('postgres', 'select count(*) from cron.job'), '1', 'and no other');

# --- from another database ---

$node->safe_psql('postgres', q{create database "the other ""db's"});
$node->safe_psql($other, 'create extension maintsched');
($out, $err) = said($node, $other, "select maintsched.enable_pg_cron('$often')");
my $statement = qq{select cron.schedule_in_database('maintsched tick the other "db''s', '$often', 'select maintsched.tick()', 'the other "db''s', '}
  . $node->safe_psql('postgres', 'select current_user') . q{');};
is($out, $statement, 'elsewhere: the statement to run');
like($err, qr/NOTICE:  nothing is done yet: pg_cron lives in database "postgres"\nHINT:  Run there, as a superuser: \Q$statement\E/, 'and it says so');
is($node->safe_psql('postgres', 'select count(*) from cron.job'), '1', 'nothing was done');
$node->safe_psql('postgres', $statement) foreach 1, 2;
is($node->safe_psql('postgres', 'select count(*) from cron.job where database <> current_database()'), '1', 'run twice there: one job');

# --- the jobs run (at the full minute in versions that know no seconds) ---

make_task($node, $_, 'FREQ=DAILY', '1 day') foreach 'postgres', $other;
$both->safe_psql('postgres', 'create extension maintsched; create extension pg_cron');
make_task($both, 'postgres', 'FREQ=SECONDLY;INTERVAL=10', '8 s');
$both->safe_psql('postgres', "select maintsched.enable_pg_cron('$often')");

foreach my $database ('postgres', $other)
{
	$node->poll_query_until($database, q{select count(*) > 0 from maintsched.run_history where state = 'succeeded'})
	  or diag($node->safe_psql('postgres', 'select * from cron.job_run_details'));
	my $ticks = sprintf q{select bool_and(command = 'select maintsched.tick()') and count(*) > 0
		from cron.job_run_details where status = 'succeeded' and database = '%s'}, $database =~ s/'/''/gr;
	ok($node->poll_query_until('postgres', $ticks), "$database: cron.job_run_details has the tick");
	is($node->safe_psql($database, 'select task, routine, state, requested_by, actions_done from maintsched.run_history'),
		'work|sql|succeeded|scheduler|1', "$database: run_history has its run");
	$node->safe_psql($database, 'select maintsched.tick()') foreach 1 .. 5;
	is($node->safe_psql($database, 'select count(*) from work'), '1', "$database: done once, however often tick() is called");
}
note($node->safe_psql('postgres', q{
	select d.status, d.start_time, r.queued_at, r.started_at, r.finished_at, r.state
	from cron.job_run_details d, maintsched.run_history r
	where d.database = 'postgres' order by 2}));

# --- both at once: no double work ---

ok($both->poll_query_until('postgres', q{
	select maintsched.tick() >= 0 and count(*) >= 3 and (select count(*) > 0 from cron.job_run_details where status = 'succeeded')
	from maintsched.run where state = 'succeeded'}), 'a launcher, pg_cron and calls of tick()');
$both->safe_psql('postgres', "update maintsched.task set enabled = false where name = 'work'");
ok($both->poll_query_until('postgres', q{select count(*) = 0 from maintsched.run where state in ('queued', 'running')}), 'all runs have ended');
is($both->safe_psql('postgres', q{
	select count(*) from (
		select from maintsched.run_occurrence join maintsched.run using (run_id)
		where state <> 'cancelled' group by occurrence_id having count(*) > 1) x}), '0', 'no occurrence has two runs');
is($both->safe_psql('postgres', q{
	select (select count(*) from work) - (select count(*) from maintsched.run_action where state = 'done')}), '0', 'no run did its work twice');
is($both->safe_psql('postgres', q{
	select count(*) from maintsched.completions where outcome = 'pass' and attempt > 1}), '0', 'no occurrence was completed twice');

# --- off again ---

($out, $err) = said($node, $other, 'select maintsched.disable_pg_cron()');
is($out, q{select cron.unschedule(jobid) from cron.job where jobname = 'maintsched tick the other "db''s';}, 'elsewhere: the statement that removes the job');
$node->safe_psql('postgres', $out);
($out, $err) = said($node, 'postgres', 'select maintsched.disable_pg_cron()');
like($err, qr/NOTICE:  done: job "maintsched tick postgres" of pg_cron is removed/, 'disable_pg_cron()');
is($node->safe_psql('postgres', 'select count(*) from cron.job'), '0', 'no job is left');
($out, $err) = said($node, 'postgres', 'select maintsched.disable_pg_cron()');
like($err, qr/NOTICE:  there was no job "maintsched tick postgres"/, 'again: no error');
$node->stop;
$both->stop;
done_testing();
