# What is captured on the primary is found in restored copies, and what is not
# there is named: expectations, sample queries, the report, and the routine
# restore_drill, with real backups.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use Maintsched;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# a runner of each run, and no launcher: tick() has it done
my $node = backup_server('expect', settings => [ 'maintsched.max_workers = 2', 'max_prepared_transactions = 2' ]);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# A drill: what it says, and the message of a step.
sub drill
{
	my ($repository, $step, $arguments) = @_;
	my $said = said($node, "call maintsched.drill('$repository'" . ($arguments // '') . ')');
	return ($said, sql(qq{select result || ': ' || message from maintsched.drill_steps
		where step = '$step' and drill_id = (select max(drill_id) from maintsched.drill)}));
}

sub level_11
{
	return sql(q{select result from maintsched.backup_check where level = 11
		and drill_id = (select max(drill_id) from maintsched.drill)});
}

sub captured
{
	my ($name) = @_;
	return sql(qq{select i.value ->> 'value' from maintsched.expectation e cross join jsonb_array_elements(e.items) i
		where e.expectation_id = (select max(expectation_id) from maintsched.expectation) and i.value ->> 'name' = '$name'});
}

sql(q{
	create extension amcheck;
	create role app_user login;
	create role app_group;
	grant app_group to app_user;
	create table patients as select i as id, 'patient ' || i as name, i / 7.0::float8 as weight,
		timestamptz '2000-01-01 00:00Z' + i * interval '1 hour' as seen, jsonb_build_object('i', i) as more from generate_series(1, 10000) i;
	create table visits (id integer, at date) partition by range (at);
	create table visits_1 partition of visits for values from ('2026-01-01') to ('2027-01-01');
	insert into visits select i, '2026-02-01' from generate_series(1, 50) i;
	create table queue (id bigserial primary key);
	create unlogged table cache as select 1 as i});

# --- without an archive: what was the same before and after the backup ---

my $folder = make_folder($node, name => 'plain', archive => 0);
add_repository($node, $folder);
sql(q{select maintsched.add_expected_table('plain', 'public.patients', 'digest'), maintsched.add_expected_table('plain', 'public.queue'),
	maintsched.add_expected_table('plain', 'public.visits')});
sql(q{select maintsched.capture_expectations('plain')});
base_backup($folder, 'one');
sql(q{insert into queue default values; delete from queue});
sql(q{select maintsched.read_repository('plain')});
my ($said, $message) = drill('plain', 'expectations');
is($message, 'not_applicable: there is no archive to recover to a restore point, and nothing was captured after the backup',
	'without an archive: one capture is not enough');
sql(q{select maintsched.capture_expectations('plain')});
($said, $message) = drill('plain', 'expectations');
like($said, qr/is proven up to level 12$/, 'without an archive: the drill passes');
like($message, qr/^pass: rows of 1 table, contents of 1 table, .*, as before the backup; not compared, for it changed during the backup: public\.queue$/,
	'without an archive: what was written to in between is not compared');
is(level_11(), 'pass', 'without an archive: level 11');
# the copy is as of the backup: what changed since, before and after are the same of
sql(q{select maintsched.drop_expected_table('plain', 'public.queue')});
base_backup($folder, 'two');
sql(q{update patients set name = 'changed' where id = 77});
sql(q{select maintsched.read_repository('plain'); select maintsched.capture_expectations('plain')});
($said, $message) = drill('plain', 'expectations');
like($message, qr/^pass: rows of 1 table, .*not compared, for it changed during the backup: public\.patients$/, 'without an archive: changed after the backup');

# --- with one: the copy is recovered to the restore point ---

# of pgBackRest, or a folder with archived WAL beside it
my $stanza = has_pgbackrest() ? make_stanza($node) : make_folder($node, name => 'main');
add_repository($node, $stanza, rto => '1 hour', rpo => '1 hour');
my $label = has_pgbackrest() ? stanza_backup($stanza, 'full') : 'full';
base_backup($stanza, $label) if !has_pgbackrest();
sql(q{select maintsched.read_repository('main')});
sql(q{select maintsched.add_expected_table('main', 'public.patients', 'digest'), maintsched.add_expected_table('main', 'public.visits'),
	maintsched.add_expected_table('main', 'public.queue')});
sql(q{select maintsched.add_sample_query('main', 'how many', 'select count(*) as n from public.patients', '[{"n": 10001}]')});
sql(q{select maintsched.add_sample_query('main', 'customers', 'select name from public.customer order by id limit 3',
	columns => '{name}', min_rows => 3, max_rows => 3, database => 'shop')});
($said, $message) = drill('main', 'expectations');
like($message, qr/^not_checked: nothing was captured since the backup that the archive has: /, 'nothing was captured: it is not checked');
is(level_11(), 'fail', 'the sample query was asked all the same');

# a transaction that has not ended, one that is prepared, and one that waits for a
# standby with its commit in the WAL: none of what they wrote is expected
sql(q{insert into patients values (10001, 'new', 1, '2026-01-01', '{}')});
my $open = $node->background_psql('postgres');
$open->query_safe(q{begin; insert into visits select i, '2026-02-01' from generate_series(1, 5) i;});
sql(q{begin; insert into visits values (1000, '2026-02-01'); prepare transaction 'p'});
is(sql(q{select maintsched.capture_expectations('main') > 0}), 't', 'captured');
my $expectation = sql('select max(expectation_id) from maintsched.expectation');
is(captured('public.visits_1'), 50, 'what is not committed is not counted');
like(captured('public.patients'), qr/^{"rows": 10001, "digest": "[0-9a-f]{32}"}$/, 'rows and digest');
is(sql('select coalesce(message, \'\') from maintsched.expectations order by expectation_id desc limit 1'), '', 'nothing was left out');
$open->query_safe('commit');
$open->quit;
sql(q{commit prepared 'p'});
# its WAL file is not full yet
($said, $message) = drill('main', 'expectations');
like($message, qr/^not_checked: the archive has nothing yet of what was captured since the backup: call maintsched.await_archive[(]'main'[)] waits for it/,
	'captured, and not yet archived');
# and what comes later is not in the copy
sql(q{delete from patients where id <= 100; insert into queue default values; create role later; drop role app_user});
is(said($node, q{call maintsched.await_archive('main')}), '', 'its WAL is awaited in the archive');
is(sql(qq{select target || ' ' || expectation_id from maintsched.drill_target('main', '$label')}), "restore point $expectation", 'the drill goes for it');
($said, $message) = drill('main', 'expectations');
like($said, qr/"$label" was restored, and is proven up to level 12$/, 'the drill passes');
like($message, qr/^pass: rows of 2 tables, contents of 1 table, \d+ databases, \d+ roles, 3 extensions, \d+ tables as captured at .* UTC [(]restore point maintsched-/,
	'all of it was compared');
is(level_11(), 'pass', 'level 11');
my $report = sql('select maintsched.drill_report()');
like($report, qr/^Verdict        PASS: /m, 'report: verdict');
like($report, qr/^Backup         $label, full, ended 20/m, 'report: backup');
like($report, qr/^4\. Run sample queries +pass /m, 'report: a step of the document');
like($report, qr/^ 11  expectations hold +pass$/m, 'report: a level');
like($report, qr/^Time [(]RTO[)]     \d+\.\d s, within the 3,600\.0 s allowed$/m, 'report: objective');
is(sql(q{select maintsched.drill_report_json() ->> 'sha256'}), (split /\n/, $report)[-1], 'report: its digest');
is(sql(q{select encode(sha256(convert_to((j - 'sha256' - 'reviews')::text, 'UTF8')), 'hex') = j ->> 'sha256' from maintsched.drill_report_json() j}), 't',
	'report: the digest is of its facts');

# --- a commit that waits for a standby ---

$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\n");
$node->reload;
$node->poll_query_until('postgres', q{select current_setting('synchronous_standby_names') = 'nobody'}) or BAIL_OUT('no synchronous standby');
my $waiting = $node->background_psql('postgres');
$waiting->query_until(qr/begun/, "\\echo begun\ninsert into queue default values;\n");
$node->poll_query_until('postgres', q{select count(*) = 1 from pg_stat_activity where wait_event = 'SyncRep'}) or BAIL_OUT('nobody waits');
my $local = 'set synchronous_commit = local;';
$node->safe_psql('postgres', "$local select maintsched.capture_expectations('main')");
like($node->safe_psql('postgres', 'select message from maintsched.expectations order by expectation_id desc limit 1'),
	qr/^left out: public\.queue [(]was being written to[)]$/, 'what is in the WAL and cannot be seen yet is left out');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
$node->reload;
$waiting->quit;
said($node, q{call maintsched.await_archive('main')});
sql(q{delete from patients where id = 10001; insert into patients select -i, 'more' from generate_series(1, 101) i});

# who has a table for himself is not waited for
my $alone = $node->background_psql('postgres');
$alone->query_safe('begin; lock table patients');
sql(q{set statement_timeout = '2min'; select maintsched.capture_expectations('main')});
like(sql('select message from maintsched.expectations order by expectation_id desc limit 1'), qr/^left out: public\.patients [(]is locked[)]/, 'a table that is locked is left out');
$alone->query_safe('rollback');
$alone->quit;

# --- what was named and is not compared: nothing passes ---

sql(q{create table account as select i as id from generate_series(1, 10) i; select maintsched.add_expected_table('main', 'public.account')});
said($node, q{call maintsched.await_archive('main')});
($said, $message) = drill('main', 'expectations', q{, options => '{"amcheck": false}'});
like($message, qr/^not_checked: rows of \d table.*, but not what matters: left out: public\.patients [(]is locked[)]; named since: public\.account$/,
	'what was named, and left out or not yet captured');
is(level_11(), 'not_checked', 'nor does level 11 pass');
sql(q{select maintsched.drop_expected_table('main', 'public.account')});

# --- what is not there is named: expected is what never was ---

sub expect_wrong
{
	my ($item, $set) = @_;
	sql(qq{insert into maintsched.expectation (repository, kept, restore_point, lsn, timeline, captured_at, items)
		select e.repository, true, e.restore_point, e.lsn, e.timeline, e.captured_at,
			(select jsonb_agg(case when coalesce(i.value ->> 'name', i.value ->> 'item') = '$item' then $set else i.value end order by i.ordinality)
			from jsonb_array_elements(e.items) with ordinality i)
		from maintsched.expectation e where e.expectation_id = $expectation});
	($said, $message) = drill('main', 'expectations', q{, options => '{"amcheck": false}'});
	return;
}

expect_wrong('public.visits_1', q{i.value || '{"value": 49}'});
is($message, 'fail: public.visits_1: 50 rows, 49 expected', 'a count');
like($said, qr/^ERROR:  55000: /, 'a count: the drill fails');
is(level_11(), 'fail', 'a count: level 11 fails');
expect_wrong('public.patients', q{jsonb_set(i.value, '{value,digest}', '"00000000000000000000000000000000"')});
is($message, 'fail: public.patients: 10,001 rows as expected, but what is in them differs', 'a digest');
expect_wrong('public.queue', q{i.value || '{"schema": "gone", "name": "gone.queue"}'});
is($message, 'fail: table gone.queue is missing', 'a table');
expect_wrong('roles', q{jsonb_set(jsonb_set(i.value, '{value,999}', '{"name": "auditor"}'), '{value,0,login}', '"?"')});
like($message, qr/^fail: role \S+: login (?:true|false), \? expected; role auditor is missing$/, 'roles');
expect_wrong('extensions', q{jsonb_set(i.value, '{value,999}', '{"name": "postgis", "version": "3.4"}')});
is($message, 'fail: extension postgis is missing', 'an extension');
# the newest is taken, and is right again
sql(q{select maintsched.capture_expectations('main')});
said($node, q{call maintsched.await_archive('main')});

# --- sample queries ---

sql(q{select maintsched.add_sample_query('main', 'how many', 'select count(*) as n from public.patients', '[{"n": 10002}]')});
sql(q{select maintsched.add_sample_query('main', 'nothing there', 'select i from public.nowhere', database => 'shop')});
sql(q{select maintsched.add_sample_query('main', 'slow', 'select pg_sleep(600)::text as s', timeout => '1 second')});
sql(q{select maintsched.add_sample_query('main', 'writes', 'select nextval(''public.queue_id_seq'') as n')});
($said, $message) = drill('main', 'queries', q{, options => '{"amcheck": false}'});
is($message, 'fail: sample query "how many": its result (1 row) is not the expected one; sample query "nothing there" failed (42P01); '
	. 'sample query "slow" took longer than 1 second; sample query "writes" failed (42501)', 'sample queries that are not answered as expected');
like(sql('select maintsched.drill_report()'), qr/^FINDINGS\n-+\n- queries [(]fail[)]: sample query "how many": its result/m, 'they are among the findings of the report');
sql(qq{select maintsched.drop_sample_query('main', x) from unnest(array['nothing there', 'slow', 'writes']) x});
sql(q{select maintsched.add_sample_query('main', 'how many', 'select count(*) as n from public.patients', '[{"n": 10001}]')});

# --- the archive does not get it ---

archive_command($node, 'false');
sql(q{select maintsched.capture_expectations('main')});
like(said($node, q{call maintsched.await_archive('main', '5 seconds')}),
	qr/^ERROR:  55000: WAL file [0-9A-F]{24}, which holds the restore point, is not in the archive of repository "main" after 00:00:05\nDETAIL:  The server fails to archive /,
	'an archive that fails is not awaited for ever');
isnt(sql(qq{select expectation_id from maintsched.drill_target('main', '$label')}), sql('select max(expectation_id) from maintsched.expectation'),
	'what the archive has not got is no target');
archive_command($node);

# --- under load: what is captured of tables that are written to is there to the row ---

# somebody has always written to it and has not yet committed: it takes standing in the queue
my $script = write_file(root($node) . '/load.sql', q{
	begin;
	insert into queue default values;
	delete from queue where id in (select id from queue order by id limit 2 for update skip locked);
	update patients set weight = weight + 1 where id = 5 + :client_id;
	select pg_sleep(0.005);
	commit;
});
my $out = '';
my $load = IPC::Run::start([ 'pgbench', '-n', '-c', '4', '-T', '3600', '-f', $script, $node->connstr('postgres') ], '<', \undef, '>', \$out, '2>&1');
my $compared = 0;
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
while ($compared < 3 && time < $deadline)
{
	sql(q{select maintsched.capture_expectations('main')});
	# a machine that is busy may not let it be had
	my $left_out = sql('select message from maintsched.expectations order by expectation_id desc limit 1');
	next if $compared > 0 && $left_out ne '';
	said($node, q{call maintsched.await_archive('main')});
	($said, $message) = drill('main', 'expectations', q{, options => '{"amcheck": false}'});
	like($message, $left_out eq '' ? qr/^pass: / : qr/^not_checked: .*, but not what matters: \Q$left_out\E$/, "under load, while $compared were compared");
	next if $left_out ne '';
	$compared++;
	$deadline = time + $PostgreSQL::Test::Utils::timeout_default;
}
$load->kill_kill;
is($compared, 3, 'and tables that are written to were among them');

# --- whatever is set where it is captured ---

sql(q{set quote_all_identifiers = on; select maintsched.capture_expectations('main')});
said($node, q{call maintsched.await_archive('main')});
($said, $message) = drill('main', 'expectations', q{, options => '{"amcheck": false}'});
like($message, qr/^pass: /, 'names are the same, however they are quoted');

# --- tables, none of which could be read ---

sql(q{select maintsched.drop_expected_table('main', 'public.patients'), maintsched.drop_expected_table('main', 'public.visits'),
	maintsched.drop_expected_table('main', 'public.queue')});
sql(q{create role reader; select maintsched.grant_access('reader', 'manager')});
sql(q{set session authorization reader; select maintsched.capture_expectations('main')});
said($node, q{call maintsched.await_archive('main')});
($said, $message) = drill('main', 'expectations', q{, options => '{"amcheck": false}'});
like($message, qr/^not_checked: \d databases, .*, but not what matters: left out: .*public\.patients [(]role "reader" has not the privileges of its owner[)]/,
	'lists alone, where there are tables');
is(level_11(), 'not_checked', 'lists alone: nor does level 11 pass');

# --- the routine ---

sql(q{select maintsched.run_routine('restore_drill', '{"repository": "main", "amcheck": true, "deadline": "10 minutes"}')});
sql('select maintsched.tick()');
$node->poll_query_until('postgres', q{select count(*) = 1 from maintsched.run_history where routine = 'restore_drill' and finished_at is not null})
  or BAIL_OUT('the run has not ended');
is(sql(q{select string_agg(split_part(split_part(command, '(', 1), '.', 2) || ' ' || state, ', ' order by seq) from maintsched.run_actions}),
	'read_repository done, capture_expectations done, await_archive done, drill done', 'the routine: its actions');
is(sql(q{select state from maintsched.run_history}), 'succeeded', 'the routine succeeds');
is(sql(q{select verdict || ' ' || level || ' ' || target from maintsched.drills order by drill_id desc limit 1}), 'pass 12 restore point', 'the routine: its drill');
like(sql('select maintsched.drill_report()'), qr/in\s+run\s+\d+\s+of\s+routine\s+restore_drill,\s+requested\s+by/, 'the report names the run');

# --- where it cannot be captured ---

my $backup = 'standby';
$node->backup($backup);
my $standby = PostgreSQL::Test::Cluster->new('expect_standby');
$standby->init_from_backup($node, $backup, has_streaming => 1);
$standby->start;
like(said($standby, q{select maintsched.capture_expectations('main')}), qr/^ERROR:  25006: expectations are captured on the primary server\n/, 'not on a standby');
like(said($standby, q{call maintsched.drill('main')}), qr/^ERROR:  25006: this server is a standby, and records nothing\n/, 'nor is it drilled on one');
$standby->stop;
$node->append_conf('postgresql.conf', "archive_mode = off\nwal_level = minimal\nmax_wal_senders = 0\n");
$node->restart;
like(said($node, q{select maintsched.capture_expectations('main')}),
	qr/^ERROR:  55000: expectations cannot be captured with wal_level = minimal\n.*\nHINT:  Set wal_level = replica/s, 'not with wal_level minimal');
$node->stop;

done_testing();
