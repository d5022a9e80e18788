# View health and routine health: each item fires on what it is for and is OK
# when that is mended; who sees what; and the daily checks of the shipped
# calendars, carried out by the background.
use strict;
use warnings FATAL => 'all';
use FindBin;
use IPC::Run;
use lib $FindBin::RealBin;
use Maintsched;
use Worker;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('health');
$node->init(allows_streaming => 1, extra => ['--data-checksums']);
# (max_connections is 10 where streaming is allowed)
$node->append_conf('postgresql.conf', q{
fsync = on
full_page_writes = on
autovacuum = on
autovacuum_naptime = '1d'
max_connections = 30
max_prepared_transactions = 5
maintsched.launcher = on
maintsched.max_workers = 4
max_worker_processes = 20
log_autovacuum_min_duration = 0
});
$node->start;
$node->safe_psql('postgres', 'create database app');
$node->safe_psql('app', 'create extension maintsched');

sub sql
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'app', $sql);
}

# Measure, with some thresholds; the view goes by them, too.
sub measure
{
	my ($params) = @_;
	sql("set client_min_messages = error; select maintsched.measure_health('" . ($params // '{}') . "')");
	return;
}

sub item
{
	my ($item, $column) = @_;
	return sql("select coalesce($column, '') from maintsched.health where item = '$item'");
}

sub is_item
{
	my ($item, $status, $detail, $what) = @_;
	my $row = item($item, "status || ': ' || detail");
	like($row, qr/^$status: $detail/, $what // "$item is $status");
	return;
}

sub comes
{
	my ($item, $status, $what) = @_;
	wait_for($node, 'app', "select status from maintsched.health where item = '$item'", $what // "$item becomes $status", $status)
	  or diag(item($item, 'detail'));
	return;
}

# Settings of the server, in force at once.
sub set
{
	sql("alter system set $_") foreach @_;
	reload();
	return;
}

sub reload
{
	my $before = sql('select pg_conf_load_time()');
	$node->reload;
	$node->poll_query_until('app', "select pg_conf_load_time() > '$before'") or die 'no reload';
	return;
}

sub mend_by_hint
{
	my ($item) = @_;
	my ($hint) = item($item, 'hint') =~ /((?:alter|drop|select|rollback|vacuum) .*?;)/;
	sql($hint);
	reload() if $hint =~ /^alter system/;
	return;
}

# A session that does something and stays.
sub session
{
	my ($sql, $name) = @_;
	my $session = $node->background_psql('app', on_error_stop => 1);
	$session->query_safe($sql);
	return $session;
}

# What nobody is to see who only reads the view.
my $secret = 'patient 4711';

# --- a server that is well ---

is(sql(q{select string_agg(item, ', ' order by item) from maintsched.health where status = 'UNKNOWN' and scope <> 'maintsched'}),
	'constraints not validated, disabled triggers, duplicate indexes, invalid indexes, sequences, tables to freeze, tables without autovacuum, unused indexes',
	'before the first run nobody knows what the catalog holds');
measure();
is(sql(q{select coalesce(string_agg(item || ' ' || status || ' ' || detail, ', ' order by item), '') from maintsched.health
	where status <> 'OK' and item not in ('version', 'disk space', 'unused indexes', 'planning', 'corruption', 'backups', 'repositories')}), '', 'all is well');
is_item('unused indexes', 'UNKNOWN', 'not judged: the statistics are', 'young statistics say nothing of unused indexes');
is_item('checksum failures', 'OK', 'no damaged page was read');
is_item('server certificate', 'OK', 'ssl is off');

# --- sessions ---

my $idle = session("begin; select '$secret'; set application_name = 'app of $secret'");
measure('{"transaction_warn": "1 millisecond", "idle_warn": "1 millisecond"}');
comes('longest transaction', 'WARN');
comes('idle in transaction', 'WARN');
my $pid = sql("select pid from pg_stat_activity where state = 'idle in transaction'");
is_item('idle in transaction', 'WARN', qr/process $pid \(role "\w+", database "app"\) has had a transaction open for \d+ seconds? without/);
like(item('longest transaction', 'hint'), qr/select pg_terminate_backend\($pid\);/, 'the hint names the process');
measure('{"transaction_crit": "1 millisecond", "idle_crit": "1 millisecond"}');
comes('longest transaction', 'CRIT');
comes('idle in transaction', 'CRIT');

sql(q{create table busy (a integer);
	create role regress_maintsched_viewer login; select maintsched.grant_access('regress_maintsched_viewer', 'viewer');
	create role regress_maintsched_monitor login; grant pg_monitor to regress_maintsched_monitor;
	create role regress_maintsched_nobody login});
$idle->query_safe("lock table busy");
my $waiting = $node->background_psql('app');
$waiting->query_until(qr/waits/, "\\echo waits\nselect * from busy where '$secret' is not null;\n");
measure('{"lock_wait_warn": "1 millisecond", "transaction_warn": null}');
comes('lock waits', 'WARN');
is_item('lock waits', 'WARN', qr/1 process waits for a lock; process \d+ \(role "\w+"\) for .* on public.busy, held up by process $pid$/);
measure('{"lock_wait_crit": "1 millisecond"}');
comes('lock waits', 'CRIT');

# everybody who may read the view sees the same, and nobody a query or what it held
foreach my $role (qw(regress_maintsched_viewer regress_maintsched_monitor))
{
	my $seen = sql("set role $role; select h::text from maintsched.health h order by h.item");
	unlike($seen, qr/$secret/, "$role sees no query and no name of a session");
	unlike($seen, qr/could not be judged/, "$role sees every item");
	like($seen, qr/held up by process $pid/, "$role sees who holds up whom");
}
my ($out, $err);
is($node->psql('app', 'set role regress_maintsched_nobody; select * from maintsched.health', stderr => \$err), 3, 'others see nothing');
like($err, qr/permission denied/, 'they are told so');

$idle->query_safe('commit');
$waiting->quit;
comes('lock waits', 'OK');
comes('idle in transaction', 'OK');
measure();
is_item('longest transaction', 'OK', '');

sql(q{create role "regress_maintsched ""few""" login connection limit 2});
$idle->query_safe(q{set session authorization "regress_maintsched ""few"""});
measure();
sql(q{alter role "regress_maintsched ""few""" connection limit 1});
$idle->quit;
$idle = $node->background_psql('app');
measure('{"connections_warn": 0.05}');
comes('connections', 'WARN');
is_item('connections', 'WARN', qr/\d of 27 connections \(those reserved for superusers left out\) are in use/);
sql('alter database app connection limit 2');
measure();
is_item('connections', 'CRIT', qr/[2-9] of 2 connections of database "app" are in use/);
sql('alter database app connection limit -1');
$idle->quit;
is_item('connections', 'OK', '');

sql(q{begin; insert into busy values (1); prepare transaction 'it''s "one" %s'});
measure('{"prepared_warn": "1 millisecond"}');
comes('prepared transactions', 'WARN');
is_item('prepared transactions', 'WARN', qr/1 transaction is prepared and not ended; the oldest, 'it''s "one" %s' of role/);
measure('{"prepared_crit": "1 millisecond"}');
is_item('prepared transactions', 'CRIT', '');
mend_by_hint('prepared transactions');
is_item('prepared transactions', 'OK', 'none is prepared');
measure();

# what cannot be seen is not well
my $hidden = session('set track_activities = off; begin');
comes('longest transaction', 'UNKNOWN');
is_item('longest transaction', 'UNKNOWN', 'no transaction is open; what 1 session may have open cannot be seen \(track_activities is off\)$');
is_item('idle in transaction', 'UNKNOWN', 'no session is idle in a transaction; what 1 session may have open cannot be seen');
$hidden->quit;
comes('longest transaction', 'OK');
is_item('idle in transaction', 'OK', 'no session is idle in a transaction$');

# --- settings ---

set('fsync = off');
is_item('durability', 'CRIT', 'fsync = off: ');
mend_by_hint('durability');
is_item('durability', 'OK', '');
set('full_page_writes = off');
is_item('durability', 'CRIT', 'full_page_writes = off: ');
mend_by_hint('durability');
set('synchronous_commit = off');
is_item('durability', 'WARN', 'synchronous_commit = off: ');
mend_by_hint('durability');
is_item('durability', 'OK', '');
is(sql(q{set synchronous_commit = off; set zero_damaged_pages = on; select status from maintsched.health where item = 'durability'}), 'OK',
	'what a session has set for itself tells nothing');
foreach my $where ('database app', 'role "regress_maintsched ""few"""', 'role "regress_maintsched ""few""" in database app', 'role all')
{
	sql("alter $where set synchronous_commit = off");
	comes('durability', 'WARN', "synchronous_commit off for $where");
	like(item('durability', 'detail'), qr/^synchronous_commit = off (of|in) /, 'it is said where');
	mend_by_hint('durability');
	is_item('durability', 'OK', '', "mended by its hint: $where");
}
sql('alter database app set zero_damaged_pages = yes; alter role "regress_maintsched ""few""" set session_replication_role = replica');
is_item('durability', 'CRIT', 'zero_damaged_pages = on in database "app": .*; session_replication_role = replica of role "regress_maintsched "few""');
sql('alter database app reset all; alter role "regress_maintsched ""few""" reset all');
is_item('durability', 'OK', '');

set('max_connections = 31');
is_item('settings', 'WARN', 'changed, and in force only after a restart: max_connections$');
set('max_connections = 30');
is_item('settings', 'OK', '');
my $conf = $node->data_dir . '/postgresql.conf';
set('synchronous_commit = off');
my $good = slurp_file($conf);
foreach my $line ("work_mem = '$secret'", "no_such_setting = '$secret'", "work_mem $secret")
{
	append_to_file($conf, "$line\n");
	is_item('settings', 'WARN', qr/cannot be read, and may keep the server from its next start: postgresql.conf line \d+( \([a-z_]+\))?$/);
	is_item('durability', 'WARN', 'synchronous_commit = off: ', 'what is in force is not forgotten for it');
	unlink($conf);
	append_to_file($conf, $good);
}
is_item('settings', 'OK', '');
mend_by_hint('durability');
my $hba = $node->data_dir . '/pg_hba.conf';
$good = slurp_file($hba);
append_to_file($hba, "host all all $secret\n");
is_item('settings', 'WARN', qr/cannot be read, .*: pg_hba.conf line \d+$/);
unlink($hba);
append_to_file($hba, $good);
is_item('settings', 'OK', '');

set('autovacuum = off');
is_item('autovacuum', 'CRIT', 'autovacuum is off');
mend_by_hint('autovacuum');
# what is in postgresql.conf goes for it again
is_item('autovacuum', 'OK', '');
set('track_counts = off');
is_item('autovacuum', 'CRIT', 'track_counts is off');
measure('{"unused_after": "1 microsecond"}');
is_item('unused indexes', 'UNKNOWN', 'not judged: track_counts is off', 'what nobody counts is not unused');
measure();
mend_by_hint('autovacuum');
is_item('autovacuum', 'OK', '');
is(sql(q{set track_counts = off; select status from maintsched.health where item = 'autovacuum'}), 'OK', 'a session counts for itself');

measure('{"disk_warn": 0.000001, "disk_crit": null}');
is_item('disk space', 'WARN', qr/the file system of .* is full to \d+ %; \d+ \w+ are left/);
measure('{"disk_crit": 0.000001}');
is_item('disk space', 'CRIT', '');
measure('{"disk_warn": null, "disk_crit": null}');
is_item('disk space', 'OK', '');
measure();

# --- catalog: what somebody else is at is left alone ---

sql(q{create table t (a integer); insert into t select generate_series(1, 1000);
	create sequence locked as integer; create sequence other as integer; select setval('locked', 2147483647)});
measure();
is_item('sequences', 'CRIT', 'public.locked used to 100.0 %, no value is left');
my $holder = session('begin; drop sequence locked');
measure();
is_item('sequences', 'OK', qr/.*; others have 1 locked/, 'a sequence that somebody has locked is not waited for');
$holder->query_safe('commit');
measure();
is_item('sequences', 'OK', qr/((?!locked).)*$/);
# nor is a table, an index or a partition
sql(q{create index t_next on t ((a + 1)) where a > 0; create index t_next_again on t ((a + 1)) where a > 0;
	create table parts (a integer) partition by range (a); create table parts_1 partition of parts for values from (0) to (10);
	create index parts_a on parts (a)});
$holder->query_safe('begin; truncate t, parts; reindex table t');
is($node->psql('app', q{set statement_timeout = '60s'; select maintsched.measure_health('{"unused_after": "1 microsecond", "unused_bytes": 0, "exclude_objects": ["maintsched"]}')},
		stderr => \$err), 0, 'what somebody has locked is not waited for')
  or diag($err);
is_item('duplicate indexes', 'WARN', '1 index is the same as another one, 0 bytes in all: public.t_next_again as public.t_next');
$holder->query_safe('rollback');
measure('{"unused_after": "1 microsecond", "unused_bytes": 0, "exclude_objects": ["maintsched"]}');
is_item('duplicate indexes', 'WARN', qr/1 index is the same as another one, \d\d+ kB in all: public.t_next_again as public.t_next/);
is_item('unused indexes', 'WARN', qr/3 indexes were not used .*public.parts_a/);
sql('drop index t_next, t_next_again; drop table parts');
# an index in the making is not valid, and as it should be
$holder->query_safe('begin; insert into t values (0)');
my $builder = $node->background_psql('app');
$builder->query_until(qr/builds/, "\\echo builds\ncreate index concurrently t_a on t (a);\n");
$node->poll_query_until('app', q{select exists (select from pg_index i where i.indrelid = 't'::regclass and not i.indisvalid)}) or die;
measure();
is_item('invalid indexes', 'OK', '', 'an index that is being built is not reported');
sql(q{select pg_terminate_backend(pid) from pg_stat_progress_create_index});
$node->poll_query_until('app', q{select count(*) = 0 from pg_stat_progress_create_index}) or die;
$holder->query_safe('commit');
eval { $builder->quit };
measure();
is_item('invalid indexes', 'WARN', '1 index is not valid, .*: public.t_a', 'once its builder is gone it is');
mend_by_hint('invalid indexes');
measure();
is_item('invalid indexes', 'OK', '');
$holder->quit;

# ten thousand sequences are more than fit into the lock table
sql(q{create schema many; select format('create sequence many.s%s', i) from generate_series(1, 200) i});
sql(q{do $$ begin for i in 1 .. 3000 loop execute format('create sequence many.s%s', i);
	if i % 500 = 0 then commit; end if; end loop; end $$});
is(sql(q{begin; select count(maintsched.sequence_value(s.seqrelid)) >= 3000 from pg_sequence s;
	select count(*) < 100 from pg_locks where pid = pg_backend_pid(); commit}), "t\nt", 'no sequence stays locked');
sql(q{do $$ begin for i in 1 .. 3000 loop execute format('drop sequence many.s%s', i);
	if i % 500 = 0 then commit; end if; end loop; end $$});

# --- the archiver ---

$node->append_conf('postgresql.conf', "archive_mode = on\narchive_command = 'true'\n");
$node->restart;
sql('create table wal (a integer); select pg_switch_wal(); checkpoint');
comes('archiver', 'OK');
# nothing waits any more that it would do next
$node->poll_query_until('app', q{select count(*) = 0 from pg_ls_archive_statusdir() where name like '%.ready'}) or die;
sql(q{select pg_stat_reset_shared('archiver')});
is_item('archiver', 'UNKNOWN', 'nothing was archived since 20', 'an archiver that nobody has seen do anything');
sql('insert into wal values (1); select pg_switch_wal()');
comes('archiver', 'OK');
set("archive_command = 'false'");
sql('insert into wal values (1); select pg_switch_wal()');
comes('archiver', 'WARN');
is_item('archiver', 'WARN', qr/it has failed since its last success, last \d+ seconds? ago; 1 file waits to be archived/);
measure('{"archive_crit": "1 millisecond"}');
comes('archiver', 'CRIT');
set("archive_command = ''");
is_item('archiver', 'CRIT', 'archive_mode is on, and neither archive_command nor archive_library is set');
sql('alter system reset archive_command');
reload();
measure();
comes('archiver', 'OK');

# --- slots ---

sql(q{select pg_create_physical_replication_slot('left_behind', true)});
is_item('replication slots', 'WARN', qr/slot "left_behind" is not in use, \d+ \w+ of WAL are kept for it/);
measure('{"slots_bytes_crit": 0}');
is_item('replication slots', 'CRIT', '');
set("max_slot_wal_keep_size = '1GB'", "max_wal_size = '32MB'", "min_wal_size = '32MB'");
measure();
is_item('replication slots', 'WARN', qr/slot "left_behind" is not in use, \d+ \w+ of WAL are kept for it of at the most 1024 MB$/);
measure('{"slots_crit": 0.0001}');
is_item('replication slots', 'CRIT', 'slot "left_behind" is not in use');
set("max_slot_wal_keep_size = '32MB'");
measure();
for (1 .. 5)
{
	sql(q{insert into wal values (1); select pg_switch_wal(); checkpoint});
}
comes('replication slots', 'CRIT', 'a slot that is lost');
is_item('replication slots', 'CRIT', 'slot "left_behind" is lost: what it is to send is gone');
mend_by_hint('replication slots');
is_item('replication slots', 'OK', 'there is none');

# --- who keeps the WAL elsewhere ---

mkdir $node->basedir . '/received';
my $receiver;
{
	local $ENV{PGAPPNAME} = 'keeper';
	$receiver = IPC::Run::start([ 'pg_receivewal', '--no-loop', '-D', $node->basedir . '/received', '-d', $node->connstr . ' fallback_application_name=keeper' ],
		'>', \my $receiver_out, '2>', \my $receiver_err);
}
my $receives = q{select status || ': ' || regexp_replace(detail, '[0-9].*( behind)$', 'N\1') from maintsched.health_replication(
	(select defaults from maintsched.routine where name = 'health') || '{"replication_bytes_warn": "1 MB"}')};
ok($node->poll_query_until('app', "select exists (select from pg_stat_replication where write_lsn is not null)"), 'pg_receivewal gets WAL');
$receiver->signal('STOP');
sql('create table behind as select repeat(md5(i::text), 10) from generate_series(1, 20000) i; drop table behind');
is(sql($receives), 'WARN: WAL receiver "keeper" is N behind', 'one that does not keep up is seen');
$receiver->signal('CONT');
ok($node->poll_query_until('app', "select ($receives) like 'OK: WAL receiver \"keeper\" is %'"), 'until it does') or diag(sql($receives));
$receiver->kill_kill;
$node->poll_query_until('app', 'select not exists (select from pg_stat_replication)') or die;

# --- a standby ---

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
comes('replication lag', 'OK');
like(item('replication lag', 'detail'), qr/standby "standby" is/, 'the standby is named');
is($standby->safe_psql('app', q{select status from maintsched.health where item = 'replication lag'}), 'OK', 'the view works on a standby');
is($standby->safe_psql('app', q{select count(*) from maintsched.health where detail like '%could not be judged%'}), '0', 'every item of it');
is($standby->psql('app', 'select maintsched.measure_health()', stderr => \$err), 3, 'nothing is measured there');
like($err, qr/this server is a standby/, 'it says why');
# a primary that does nothing is no delay, however long ago its last commit was
measure('{"replication_warn": "1 microsecond", "replication_crit": "2 microseconds"}');
$node->wait_for_catchup($standby);
# (what the primary writes by itself it has to replay first)
ok($standby->poll_query_until('app', q{select status || ': ' || detail from maintsched.health where item = 'replication lag'},
	'OK: this standby has replayed what its primary did until 0 seconds ago'), 'it has nothing to catch up with');
measure();
$standby->safe_psql('app', 'select pg_wal_replay_pause()');
is($standby->safe_psql('app', q{select status || ': ' || detail from maintsched.health where item = 'replication lag'}),
	'WARN: replay is paused on this standby', 'paused');
sql('insert into wal select generate_series(1, 1000)');
measure('{"replication_bytes_warn": "1 kB"}');
comes('replication lag', 'WARN');
measure('{"replication_bytes_crit": "1 kB"}');
comes('replication lag', 'CRIT');
$standby->safe_psql('app', 'select pg_wal_replay_resume()');
measure();
comes('replication lag', 'OK');
# (nothing is written: it would wait)
set("synchronous_standby_names = 'nobody'");
is($node->safe_psql('app', q{select status || ': ' || detail from maintsched.health where item = 'replication lag'}),
	'CRIT: synchronous_standby_names is set, and no synchronous standby is connected: whoever commits waits', 'no synchronous standby');
$node->append_conf('postgresql.auto.conf', "synchronous_standby_names = ''\n");
reload();
comes('replication lag', 'OK');
$node->stop;
$standby->poll_query_until('app', q{select status || ': ' || detail = 'CRIT: this standby receives nothing from its primary' from maintsched.health where item = 'replication lag'})
  or diag($standby->safe_psql('app', q{select * from maintsched.health where item = 'replication lag'}));
ok(1, 'a standby without its primary');
$standby->stop;

# one that only gets files: nobody here knows whether the primary is idle
my $lag = q{select status || ': ' || regexp_replace(detail, 'until .* ago', 'until a while ago') from maintsched.health where item = 'replication lag'};
my $files = '; it streams from nobody, so only the primary knows whether it has done anything since';
$standby->append_conf('postgresql.conf', "primary_conninfo = ''\nrestore_command = 'false'\n");
$standby->start;
like($standby->safe_psql('app', $lag), qr/^OK: this standby has replayed (?:no commit since it started \d+ \w+ ago|what its primary did until a while ago)$files$/, 'a standby that only gets files');
$node->append_conf('postgresql.conf', "wal_keep_size = 1GB\n");
$node->start;
measure('{"replication_warn": "1 microsecond", "replication_crit": "2 microseconds"}');
sql('select pg_switch_wal()');
$standby->append_conf('postgresql.conf', "restore_command = 'cp \"" . $node->data_dir . "/pg_wal/%f\" \"%p\"'\n");
$standby->reload;
ok($standby->poll_query_until('app', "select ($lag) = 'WARN: this standby has replayed what its primary did until a while ago$files'"), 'it got some, long ago')
  or diag($standby->safe_psql('app', $lag));
$standby->append_conf('postgresql.conf', "recovery_min_apply_delay = '1d'\n");
$standby->reload;
ok($standby->poll_query_until('app', "select ($lag) = 'OK: this standby has replayed what its primary did until a while ago$files'"), 'a delay that is meant is none')
  or diag($standby->safe_psql('app', $lag));
$standby->stop;
measure();

# --- damaged pages ---

my $file = $node->data_dir . '/' . sql(q{create table damaged as select generate_series(1, 1000) as a; checkpoint; select pg_relation_filepath('damaged')});
$node->stop;
open(my $fh, '+<', $file) or die $!;
binmode $fh;
sysseek($fh, 4000, 0);
syswrite($fh, 'patient 4711');
close $fh;
$node->start;
is($node->psql('app', 'select count(*) from damaged', stderr => \$err), 3, 'a damaged page cannot be read');
comes('checksum failures', 'CRIT');
is_item('checksum failures', 'CRIT', qr/1 damaged page was read in database "app", last at 20/);
sql('drop table damaged');
mend_by_hint('checksum failures');
comes('checksum failures', 'OK');

# --- wraparound, with a server that wants to freeze early ---

$node->append_conf('postgresql.conf', "autovacuum_freeze_max_age = 100000\nautovacuum_multixact_freeze_max_age = 10000\n");
$node->restart;
# it holds back freezing, and so does not leave it to autovacuum
sql(q{begin; insert into busy values (1); prepare transaction 'old'});
sql(q{do $$ begin for i in 1 .. 160000 loop
	begin insert into wal values (i); raise no_data_found; exception when no_data_found then null; end;
	if i % 20000 = 0 then commit; end if; end loop; end $$});
measure();
is_item('xid wraparound', 'WARN', qr/database "\w+" is 16\d,\d+ transactions old; autovacuum freezes from 100,000 on/);
is_item('tables to freeze', 'WARN', qr/\d+ tables are older than autovacuum should let them become, up to 1[56]\d,\d+ transactions: \w+\.\w+, .* more/);
measure('{"wraparound_crit": 0.00007}');
is_item('xid wraparound', 'CRIT', '');
is_item('tables to freeze', 'CRIT', '');
sql(q{do $$ begin
	perform from busy limit 1 for key share;
	for i in 1 .. 16000 loop
		begin perform from busy limit 1 for no key update; raise no_data_found; exception when no_data_found then null; end;
	end loop; end $$}) if sql('insert into busy values (2) returning 1');
measure();
is_item('multixact wraparound', 'WARN', qr/database "\w+" is 1\d,\d+ multixacts old/);
sql(q{rollback prepared 'old'});
foreach my $database (qw(app postgres template1))
{
	sql('vacuum (freeze)', $database);
}
sql(q{update pg_database set datallowconn = true where datname = 'template0'});
sql('vacuum (freeze)', 'template0');
sql(q{update pg_database set datallowconn = false where datname = 'template0'});
comes('xid wraparound', 'OK');
comes('multixact wraparound', 'OK');
measure();
is_item('tables to freeze', 'OK', '');

# --- the certificate ---

SKIP:
{
	skip 'no openssl program', 1 if system('openssl version > /dev/null 2>&1') != 0;
	skip 'the server has no ssl', 1 if sql("select setting from pg_config where name = 'CONFIGURE'") !~ /with-(openssl|ssl)/;
	my $data = $node->data_dir;
	my $make = sub {
		my ($days, $name) = @_;
		system("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days $days -keyout $data/$name.key -out $data/$name.crt > /dev/null 2>&1") == 0 or die 'openssl';
		chmod 0600, "$data/$name.key";
		return "$data/$name.crt";
	};
	my $use = sub {
		my ($name) = @_;
		set("ssl_cert_file = '$name.crt'", "ssl_key_file = '$name.key'");
	};
	$make->(400, 'long');
	$make->(20, 'short');
	$make->(3, 'shortest');
	sql("alter system set ssl_cert_file = 'long.crt'; alter system set ssl_key_file = 'long.key'; alter system set ssl = on");
	reload();
	is_item('server certificate', 'OK', 'the certificate of the server expires in 39\d days');
	$use->('short');
	is_item('server certificate', 'WARN', 'the certificate of the server expires in (19|20) days');
	$use->('shortest');
	is_item('server certificate', 'CRIT', 'the certificate of the server expires in \d+ (hours|days)');
	# one of a chain
	append_to_file("$data/long.crt", slurp_file("$data/shortest.crt"));
	$use->('long');
	is_item('server certificate', 'CRIT', 'certificate 2 of 2 in the file that ssl_cert_file names expires in \d+ (hours|days)', 'the first end of a chain');
	is(item('server certificate', 'hint'), 'Put a new one into the file long.crt, then: select pg_reload_conf();', 'which file');
	foreach my $kind ('ec -pkeyopt ec_paramgen_curve:P-256', 'ed25519')
	{
		my $days = $kind eq 'ed25519' ? 31 : 29;
		system("openssl req -x509 -newkey $kind -nodes -subj /CN=test -days $days -keyout $data/other.key -out $data/other.crt > /dev/null 2>&1") == 0 or die 'openssl';
		chmod 0600, "$data/other.key";
		$use->('other');
		is_item('server certificate', $days == 29 ? 'WARN' : 'OK', 'the certificate of the server expires in ' . ($days - 1) . ' days', "$kind, of $days days");
	}
	system("openssl x509 -in $data/other.crt -trustout -out $data/trusted.crt; cp -p $data/other.key $data/trusted.key") == 0 or die 'openssl';
	$use->('trusted');
	is_item('server certificate', 'OK', 'the certificate of the server expires in', 'as PEM of OpenSSL\'s own');
	$use->('long');
	$make->(400, 'long');
	utime(time + 60, time + 60, "$data/long.crt");
	is_item('server certificate', 'WARN', 'the file of the certificate is newer than what the server works with');
	utime(time - 60, time - 60, "$data/long.crt");
	reload();
	is_item('server certificate', 'OK', '');
	# expired as it is made
	system("openssl req -newkey rsa:2048 -nodes -subj /CN=test -keyout $data/old.key -out $data/old.csr > /dev/null 2>&1;"
		. "openssl x509 -req -in $data/old.csr -signkey $data/old.key -days 0 -out $data/old.crt > /dev/null 2>&1") == 0 or die;
	chmod 0600, "$data/old.key";
	$use->('old');
	comes('server certificate', 'CRIT');
	is_item('server certificate', 'CRIT', 'the certificate of the server expired .* ago');
	my $der = `openssl x509 -in $data/short.crt -outform DER`;
	foreach my $case ([ 'nothing', '', 'holds no certificate' ], [ 'words', "$secret\n", 'holds no certificate' ],
		[ 'DER', $der, 'holds no certificate' ], [ 'broken', "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", 'holds a certificate that cannot be read' ])
	{
		my ($name, $text, $why) = @$case;
		unlink("$data/old.crt");
		append_to_file("$data/old.crt", $text);
		is_item('server certificate', 'UNKNOWN', "the file that ssl_cert_file names $why", "a file with $name");
	}
	unlink("$data/old.crt");
	is_item('server certificate', 'UNKNOWN', 'the file that ssl_cert_file names cannot be read: No such file or directory');
	like(item('server certificate', 'hint'), qr/will not start again with this\. .*: openssl x509 -noout -dates -in old\.crt$/, 'and what that means');
	sql('alter system reset ssl');
	reload();
	is_item('server certificate', 'OK', 'ssl is off');
}

# --- the shipped calendars ---

# a zone in which it is noon or later, so that today's check is open
my $zone = sql(q{select name from (select format('Etc/GMT%s', to_char(o, 'SGFM99')) as name, (now() at time zone format('Etc/GMT%s', to_char(o, 'SGFM99')))::time as t
	from generate_series(-12, 12) o where o <> 0) z where t between '12:00' and '15:00' limit 1});
my $noon = "timezone => '$zone'";
my $lenient = '{"exclude": ["disk space", "version"]}';

sub install
{
	my ($database, $calendar) = @_;
	sql("set client_min_messages = error; select maintsched.install_calendar('$calendar', $noon)", $database);
	return;
}

sub line
{
	my ($database) = @_;
	return qq{select coalesce((select c.passed::text from maintsched.checklist c join maintsched.due_tasks d using (occurrence_id)
		where c.task = 'check-system-health' and c.routine = 'health'), 'not marked')};
}

foreach my $database (qw(well ill blind))
{
	$node->safe_psql('postgres', "create database $database");
	sql(qq{create extension maintsched;
		update maintsched.routine set defaults = defaults || '$lenient' where name = 'health'}, $database);
}
install('well', 'smartmed');
wait_for($node, 'well', line(), 'smartmed: the background ticks "All health checks passing"', 'true');
is(sql(q{select routine, state, requested_by, reason from maintsched.run_history where routine = 'health'}, 'well'),
	'health|succeeded|scheduler|a checklist line of smartmed/check-system-health', 'by a run of the routine');
is(sql(q{select status from maintsched.task_status where task = 'check-system-health'}, 'well'), 'due', 'the other line is for people');
sql(q{select maintsched.check_item(occurrence_id, 1) from maintsched.due_tasks where task = 'check-system-health';
	select maintsched.complete_open_task('smartmed', 'check-system-health')}, 'well');
is(sql(q{select status from maintsched.task_status where task = 'check-system-health'}, 'well'), 'compliant', 'who ticks it completes the task');
install('well', 'astral-core');
wait_for($node, 'well', q{select status from maintsched.task_status where task = 'database-connectivity-tests'},
	'astral-core: the background does "Database connectivity tests"', 'compliant');
like(sql(q{select a.after ->> 'OK' from maintsched.run_actions a join maintsched.run_history r using (run_id)
	where r.task = 'database-connectivity-tests'}, 'well'), qr/"connections"/, 'with what it found');

set('maintsched.max_workers = 0');
is(sql(q{select status || ': ' || detail from maintsched.health where item = 'launcher'}, 'well'),
	'WARN: maintsched.max_workers is 0: nothing starts by itself, and runs stay queued', 'a launcher that may start nothing');
sql(sql(q{select hint from maintsched.health where item = 'launcher'}, 'well') =~ s/;.*//r);
reload();
is(sql(q{select status from maintsched.health where item = 'launcher'}, 'well'), 'OK', 'mended by its hint');

sql(q{create sequence nearly as smallint; select setval('nearly', 32766)}, 'ill');
install('ill', 'smartmed');
install('ill', 'astral-core');
wait_for($node, 'ill', q{select status from maintsched.task_status where task = 'database-connectivity-tests'},
	'what is CRIT fails the task', 'failing');
is(sql(q{select outcome, note from maintsched.completions where task = 'database-connectivity-tests'}, 'ill'),
	'fail|health: health is CRIT: sequences', 'and is named');
wait_for($node, 'ill', q{select count(*) = 0 from maintsched.run where routine = 'health' and state in ('queued', 'running')});
is(sql(q{select distinct r.state, a.sqlstate, a.message from maintsched.run_history r join maintsched.run_actions a using (run_id) where r.routine = 'health'}, 'ill'),
	'failed|55000|health is CRIT: sequences', 'the run has failed');
is(sql(line(), 'ill'), 'not marked', 'nothing is ticked');
is(sql(q{select status from maintsched.health where item = 'sequences'}, 'ill'), 'CRIT', 'what was found is kept nevertheless');
sql(q{drop sequence nearly; select maintsched.run_task('astral-core', 'database-connectivity-tests')}, 'ill');
wait_for($node, 'ill', q{select status from maintsched.task_status where task = 'database-connectivity-tests'},
	'when it is mended, the next run looks again and passes', 'compliant');
wait_for($node, 'ill', line(), 'and ticks the line', 'true');

sql(q{create or replace function maintsched.health_prepared(p jsonb)
	returns table (item text, status text, figure double precision, value text, detail text, hint text)
	language plpgsql stable set search_path = pg_catalog, pg_temp as $$ begin raise 'gone'; end $$}, 'blind');
install('blind', 'astral-core');
wait_for($node, 'blind', q{select status from maintsched.task_status where task = 'database-connectivity-tests'},
	'what could not be judged leaves the task unknown', 'unknown');
is(sql(q{select outcome, note from maintsched.completions where task = 'database-connectivity-tests'}, 'blind'),
	'inconclusive|health: health is UNKNOWN: prepared transactions', 'and is named');

# --- with the rights of a manager ---

sql(q{create role regress_maintsched_manager login; select maintsched.grant_access('regress_maintsched_manager', 'manager')}, 'well');
my $run = sql(q{set session authorization regress_maintsched_manager; select maintsched.run_routine('health', '{"connections_warn": 0.7, "exclude": ["disk space", "version"]}')}, 'well');
wait_for($node, 'well', "select state from maintsched.run_history where run_id = $run", 'a manager without other rights runs it', 'succeeded');
is($node->psql('well', q{set session authorization regress_maintsched_manager; insert into maintsched.health_result values ('x', 'OK')}, stderr => \$err), 3,
	'he cannot hand it results');

$node->stop;
done_testing();
