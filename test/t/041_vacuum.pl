# Routines vacuum and analyze, carried out: what is needed is done and gone
# afterwards, what would give nothing is said to be held back by whom, and
# nobody's code runs with more than its owner's rights.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;
use Worker;

my $node = worker_server('vacuum', 'max_prepared_transactions = 5', 'wal_level = replica', 'max_wal_senders = 10',
	'max_replication_slots = 5', 'log_autovacuum_min_duration = 0', 'autovacuum_max_workers = 1', 'autovacuum_naptime = 1s');
my $version = $node->safe_psql('postgres', 'show server_version_num');
my $superuser = $node->safe_psql('postgres', 'select current_user');
$node->safe_psql('postgres', q{
	create extension maintsched;
	create schema shop;
	create role alice login;
	select maintsched.grant_access('alice', 'manager');
});

# Run a routine to its end; returns its number.
sub run_of_routine
{
	my ($routine, $params, $role) = @_;
	my $set = $role ? "set session authorization $role;" : '';
	my $run = $node->safe_psql('postgres', "$set select maintsched.run_routine('$routine', '$params', force => true, reason => 'the test wants it')");
	wait_for($node, 'postgres', "select finished_at is not null from maintsched.run where run_id = $run");
	return $run;
}

# What became of the actions of a run.
sub actions
{
	my ($run) = @_;
	return $node->safe_psql('postgres', "
		select h.state || coalesce(string_agg(E'\n' || concat_ws(' ', a.target, a.state, a.skip_reason, a.sqlstate), '' order by a.seq), '')
		from maintsched.run_history h left join maintsched.run_actions a using (run_id)
		where h.run_id = $run group by h.run_id, h.state");
}

sub said
{
	my ($run, $target) = @_;
	return $node->safe_psql('postgres', "
		select concat_ws(E'\n', reason, message) from maintsched.run_actions where run_id = $run and target = '$target'");
}

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# A table with dead rows that nobody sees any more, counted.
sub make_table
{
	my ($name, $options) = @_;
	sql("create table $name (a integer primary key, b text) " . ($options // ''));
	sql("insert into $name select i, repeat('x', 50) from generate_series(1, 10000) i; select pg_stat_force_next_flush()");
	sql("vacuum analyze $name");
	return;
}

sub make_dead
{
	my ($name) = @_;
	sql("delete from $name where a % 2 = 0; select pg_stat_force_next_flush()");
	return;
}

# Move the next transaction on by 120,000 and more.
sub pass_transactions
{
	my ($control) = run_command([ $node->installed_command('pg_controldata'), $node->data_dir ]);
	my ($xid) = $control =~ /NextXID:\s+\d+:(\d+)/;
	# the first of a segment of pg_xact: 32 pages of 8 kB with four each
	my $target = (int(($xid + 120000) / 1048576) + 1) * 1048576;
	my $segment = sprintf('%04X', $target / 1048576);
	open(my $handle, '>', $node->data_dir . "/pg_xact/$segment") or die $!;
	binmode $handle;
	print $handle "\0" x 8192;
	close $handle;
	system_or_bail($node->installed_command('pg_resetwal'), '-x', $target, $node->data_dir);
	return;
}

# --- dead rows ---

make_table('shop.plain');
make_table('shop.still');
make_table(q{shop."It's odd"});
make_dead('shop.plain');
make_dead(q{shop."It's odd"});
sql('create table shop.empty (a integer); create unlogged table shop.fresh as select 1 as a');
my $run = run_of_routine('vacuum', '{"include": ["shop"]}');
is(actions($run), qq{succeeded\nshop."It's odd" done\nshop.plain done}, 'what needs it is vacuumed, and nothing else');
like(said($run, 'shop.plain'), qr/^5,000 of 10,000 rows are dead \(limit 2,050\); last VACUUM (?:less than a minute|\d+ minutes?) ago\z/, 'the reason');
is(sql("select (before ->> 'n_dead_tup')::int, (after ->> 'n_dead_tup')::int, after -> 'relallvisible' = after -> 'relpages',
		after ->> 'last_vacuum' > before ->> 'last_vacuum', benefit_bytes between 200000 and 700000
	from maintsched.run_action where run_id = $run and seq = 2"), '5000|0|t|t|t', 'before and after');
$run = run_of_routine('vacuum', '{"include": ["shop"]}');
is(actions($run), "succeeded\npostgres skipped not_needed", 'the need is gone');
is(said($run, 'postgres'), 'none of 5 tables needs it', 'which is said');

# options, and settings for the command alone
make_dead('shop.still');
$run = run_of_routine('vacuum', '{"include": ["shop.still"], "freeze": true, "analyze": true, "index_cleanup": "on", "truncate": false, "parallel": 0, "cost_delay": "1ms", "cost_limit": 10000, "process_toast": true}');
is(actions($run), "succeeded\nshop.still done", 'with options');
is(sql("select command, details -> 'settings' from maintsched.run_action where run_id = $run"),
	'VACUUM (FREEZE, ANALYZE, INDEX_CLEANUP ON, TRUNCATE FALSE, PROCESS_TOAST TRUE, PARALLEL 0) shop.still|{"vacuum_cost_delay": "1ms", "vacuum_cost_limit": "10000"}', 'the command');
# (measured right after it: the background goes on using up transactions)
cmp_ok(sql("select (after ->> 'relfrozenxid_age')::int from maintsched.run_action where run_id = $run"), '<', 5, 'freeze has frozen');
if ($version >= 160000)
{
	sql('update shop.still set b = 1; select pg_stat_force_next_flush()');
	$run = run_of_routine('vacuum', '{"include": ["shop.still"], "buffer_usage_limit": "1 MB"}');
	is(sql("select command from maintsched.run_action where run_id = $run"), "VACUUM (BUFFER_USAGE_LIMIT '1024 kB') shop.still", 'buffer_usage_limit');
	is(actions($run), "succeeded\nshop.still done", 'is taken');
}

# --- the age of transactions ---

make_table('shop.old');
make_table('shop.young');
sql("alter table shop.old set (autovacuum_freeze_max_age = 100000)");
is(sql(q{select count(*) from maintsched.plan_vacuum('{"include": ["shop.old"]}') where target = 'shop.old'}), 0, 'young yet');
# 95,000 and more, not one by one
$node->stop;
pass_transactions();
$node->start;
cmp_ok(sql(q{select age(relfrozenxid) from pg_class where oid = 'shop.old'::regclass}), '>', 95000, 'transactions have passed');
$run = run_of_routine('vacuum', '{"include": ["shop.old", "shop.young"]}');
is(actions($run), "succeeded\nshop.old done", 'its own autovacuum_freeze_max_age');
like(said($run, 'shop.old'), qr/^its oldest transaction is [\d.]+ million old \(limit 95,000, autovacuum at 100,000\); /, 'the reason');
cmp_ok(sql("select (after ->> 'relfrozenxid_age')::int from maintsched.run_actions where run_id = $run"), '<', 95000, 'and is younger afterwards');
is(sql("select details -> 'settings' from maintsched.run_action where run_id = $run"), '{"vacuum_freeze_min_age": "47500", "vacuum_freeze_table_age": "0"}', 'by a VACUUM of the whole table that freezes enough');
$run = run_of_routine('vacuum', '{"include": ["shop.young"], "overrides": {"shop": {"freeze_age": 100000}}}');
is(actions($run), "succeeded\nshop.young done", 'by an override');
is(sql(q{select count(*) from maintsched.plan_vacuum('{"include": ["shop.*"], "freeze_age": 100000}') where target in ('shop.old', 'shop.young')}), 0, 'done');

# --- wraparound is near; multixacts ---

sql('create table shop.shared (a integer primary key) with (autovacuum_multixact_freeze_max_age = 10000); insert into shop.shared values (1), (2)');
# each turn makes one and more: a lock of the transaction's beside one of its subtransaction's
sql(q{do $$ begin
	for i in 1 .. 11000 loop
		perform from shop.shared where a = 1 for key share;
		begin
			perform from shop.shared where a = 1 for no key update;
		exception when others then raise;
		end;
		commit;
	end loop;
end $$});
cmp_ok(sql(q{select mxid_age(relminmxid) from pg_class where oid = 'shop.shared'::regclass}), '>', 10500, 'multixacts have passed');
sql('alter database postgres set vacuum_multixact_failsafe_age = 0');
sql('alter database postgres set vacuum_failsafe_age = 0');
sql('alter table shop.young set (autovacuum_freeze_max_age = 100000)');
sql(q{do $$ begin for i in 1 .. 106000 loop perform pg_current_xact_id(); commit; end loop; end $$});
$run = run_of_routine('vacuum', '{"include": ["shop.shared", "shop.young"], "lock_timeout": "1 min"}');
is(actions($run), "succeeded\nshop.young done\nshop.shared done", 'who is closer to the end comes first')
  or diag(said($run, 'shop.young'), said($run, 'shop.shared'));
like(said($run, 'shop.young'), qr/^its oldest transaction is \d+,\d+ old: wraparound is near, autovacuum was due at 100,000; /, 'transactions');
like(said($run, 'shop.shared'), qr/^its oldest multixact is \d+,\d+ old: wraparound is near, autovacuum was due at 10,000; /, 'multixacts');
is(sql("select ((a.after ->> 'relfrozenxid_age')::int < 60000) || ' ' || ((b.before ->> 'relminmxid_age')::int > 10500) || ' ' || ((b.after ->> 'relminmxid_age')::int < 6000)
	from maintsched.run_actions a join maintsched.run_actions b using (run_id) where run_id = $run and a.target = 'shop.young' and b.target = 'shop.shared'"), 'true true true', 'both are younger afterwards');
sql("alter database postgres reset $_") foreach qw(vacuum_failsafe_age vacuum_multixact_failsafe_age);
sql('alter table shop.young reset (autovacuum_freeze_max_age)');

# --- who holds back what ---

make_table('shop.held');
# A run while somebody holds the horizon; what it says of the table.
sub held
{
	my ($what, $words, $release) = @_;
	sql("insert into shop.held select i, 'y' from generate_series(1, 10000) i on conflict do nothing");
	make_dead('shop.held');
	my $held_run = run_of_routine('vacuum', '{"include": ["shop.held"], "insert_threshold": 1000000000}');
	is(actions($held_run), "succeeded\nshop.held skipped pointless", "$what: pointless");
	is(sql("select benefit_bytes from maintsched.run_actions where run_id = $held_run and target = 'shop.held'"), 0, 'nothing is to be won');
	like(said($held_run, 'shop.held'), qr/rows are dead .*; none of its dead rows can be removed: held back by $words\z/, "$what is named");
	$release->();
	$held_run = run_of_routine('vacuum', '{"include": ["shop.held"], "insert_threshold": 1000000000}');
	is(actions($held_run), "succeeded\nshop.held done", "$what is gone: done");
	is(sql("select after ->> 'n_dead_tup' from maintsched.run_actions where run_id = $held_run"), 0, 'and nothing dead is left');
	return;
}

my $old = $node->background_psql('postgres', on_error_stop => 1, extra_params => []);
$old->query_safe("set application_name = 'report of the \"month\"'");
$old->query_safe('begin isolation level repeatable read');
$old->query_safe('select 1');
my $pid = $old->query_safe('select pg_backend_pid()');
held('a session', qr/session $pid \("report of the "month"", role $superuser, idle in transaction, its transaction began (?:less than a minute|\d+ minutes?) ago\)/,
	sub { $old->query_safe('commit') });
# one that only writes
$old->query_safe('begin');
$old->query_safe('select pg_current_xact_id()');
held('a transaction without a snapshot', qr/session $pid \(.*\)/, sub { $old->query_safe('rollback') });

sql("begin; select pg_current_xact_id(); prepare transaction 'left \"over\"'");
held('a prepared transaction', qr/prepared transaction "left "over"" \(role $superuser, prepared (?:less than a minute|\d+ minutes?) ago\)/,
	sub { sql("rollback prepared 'left \"over\"'") });

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('vacuum_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "hot_standby_feedback = on\nwal_receiver_status_interval = 1s\nmaintsched.launcher = off\n");
$standby->start;
# what is unlogged has no file there: a plan is still one
sql('create unlogged table shop.fleeting (a integer primary key); insert into shop.fleeting select generate_series(1, 1000)');
wait_for($standby, 'postgres', q{select to_regclass('shop.fleeting') is not null and not exists (select from pg_locks where relation = to_regclass('shop.fleeting'))}, 'it is there');
is($standby->safe_psql('postgres', "select count(*) > 0 from maintsched.plan('$_', '{\"include\": [\"shop\"]}')"), 't', "plan of $_ on a standby")
	foreach qw(analyze vacuum reindex optimize);
like($standby->safe_psql('postgres', q{select reason from maintsched.plan('reindex', '{"include": ["shop.fleeting"]}')}),
	qr/; 1 could not be judged \(it has no file here\)$/, 'an index without a file is not one in order');
sql('drop table shop.fleeting');
sub on_standby
{
	my ($what, $condition, $words, $before_release) = @_;
	my $session = $standby->background_psql('postgres');
	$session->query_safe('begin isolation level repeatable read');
	$session->query_safe('select 1');
	my $xmin = $session->query_safe("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint % 4294967296");
	wait_for($node, 'postgres', sprintf($condition, $xmin));
	held($what, $words, sub {
		$session->query_safe('commit');
		$session->quit;
		$before_release->() if $before_release;
		wait_for($node, 'postgres', "select not (" . sprintf($condition, $xmin) =~ s/^select //r . ")") });
	return;
}
on_standby('a standby', q{select exists (select from pg_stat_replication where backend_xmin::text = '%s')},
	qr/standby "\S+" \(hot_standby_feedback, pid \d+, connected for .*\)/);
sql("select pg_create_physical_replication_slot('of_standby')");
$standby->append_conf('postgresql.conf', "primary_slot_name = 'of_standby'\n");
$standby->restart;
on_standby('a slot', q{select exists (select from pg_replication_slots where xmin::text = '%s')},
	qr/replication slot "of_standby" \(physical, (?:in)?active.*\)/);
# left behind by a standby that is gone
{
	my $session = $standby->background_psql('postgres');
	$session->query_safe('begin isolation level repeatable read');
	$session->query_safe('select 1');
	my $xmin = $session->query_safe("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint % 4294967296");
	wait_for($node, 'postgres', "select exists (select from pg_replication_slots where xmin::text = '$xmin')");
	$session->query_safe('commit');
	$session->quit;
	$standby->stop('immediate');
	wait_for($node, 'postgres', q{select not active from pg_replication_slots where slot_name = 'of_standby'});
	held('a slot without its standby', qr/replication slot "of_standby" \(physical, inactive.*\)/, sub { sql("select pg_drop_replication_slot('of_standby')") });
}

# partly: an older snapshot for the second half
make_table('shop.half');
make_dead('shop.half');
$old->query_safe('begin isolation level repeatable read');
$old->query_safe('select 1');
sql("delete from shop.half where a % 4 = 1; select pg_stat_force_next_flush()");
$run = run_of_routine('vacuum', '{"include": ["shop.half"], "threshold": 1000, "scale_factor": 0}');
is(actions($run), "succeeded\nshop.half done", 'partly held back: done');
# half of its rows of three quarters that are dead
is(sql("select round(benefit_bytes::numeric / (before ->> 'relpages')::numeric / 8192, 1) from maintsched.run_actions where run_id = $run"), '0.5', 'to win is what can go');
like(said($run, 'shop.half'), qr/7,500 of 10,000 rows are dead .* about 66 % of its dead rows can be removed: held back by session $pid .*\nstill needed: 2,500 of \S+ rows are dead \(limit 1,000\); .*; none of its dead rows can be removed: held back by session $pid /,
	'what is left is said, before and after');
$old->query_safe('rollback');

# held only when its turn has come: the first action waits until then
sql("insert into shop.half select i from generate_series(10001, 20000) i; delete from shop.half where a > 10000; select pg_stat_force_next_flush()");
$old->query_safe('begin isolation level repeatable read');
$old->query_safe('select 1');
is(sql(q{select (maintsched.vacuum_still_needed('shop.half', '{}'))::text}), 'true', 'what is dead already can be removed');
$old->query_safe('rollback');

# the age, too
make_table('shop.pinned');
$old->query_safe('begin isolation level repeatable read');
$old->query_safe('select 1');
sql('do $$ begin for i in 1 .. 101000 loop perform pg_current_xact_id(); commit; end loop; end $$');
$run = run_of_routine('vacuum', '{"include": ["shop.pinned"], "freeze_age": 100000}');
is(actions($run), "succeeded\nshop.pinned skipped pointless", 'an age that is held: pointless');
like(said($run, 'shop.pinned'), qr/^its oldest transaction is 101,\d+ old \(limit 100,000, autovacuum at 200 million\); .*; next to nothing of it can be frozen: held back by session $pid /, 'in the same words');
$old->query_safe('rollback');
$run = run_of_routine('vacuum', '{"include": ["shop.pinned"], "freeze_age": 100000}');
is(actions($run), "succeeded\nshop.pinned done", 'and then done');
cmp_ok(sql("select (after ->> 'relfrozenxid_age')::int from maintsched.run_actions where run_id = $run"), '<', 60000, 'to half the limit');

# --- autovacuum at work ---

make_table('shop.busy', 'with (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)');
make_dead('shop.busy');
sql('alter system set autovacuum = on');
$node->reload;
wait_for($node, 'postgres', q{select exists (select from pg_stat_progress_vacuum p join pg_stat_activity a using (pid)
	where p.relid = 'shop.busy'::regclass and a.backend_type = 'autovacuum worker')}, 'autovacuum has begun');
$run = run_of_routine('vacuum', '{"include": ["shop.busy"]}');
is(actions($run), "succeeded\nshop.busy skipped not_needed", 'autovacuum is on it');
like(said($run, 'shop.busy'), qr/^autovacuum is at work on it \(VACUUM, pid \d+, for (?:less than a minute|\d+ minutes?)\); 5,000 of /, 'which is said');
like(sql(q{select maintsched.vacuum_still_needed('shop.busy', '{}')}), qr/"reason": "autovacuum is at work on it/, 'right before the command, too');
sql('alter system set autovacuum = off');
$node->reload;
# who wants its lock ends it
sql('alter table shop.busy set (autovacuum_enabled = off)');
wait_for($node, 'postgres', q{select not exists (select from pg_stat_activity where backend_type = 'autovacuum worker')}, 'autovacuum is off again');

# --- locks ---

make_table('shop.locked');
make_dead('shop.locked');
$old->query_safe('begin');
$old->query_safe('lock table shop.locked in share update exclusive mode');
$run = run_of_routine('vacuum', '{"include": ["shop.locked"], "lock_timeout": "100 ms"}');
is(actions($run), "partial\nshop.locked skipped lock_timeout 55P03", 'locked: left over');
my $locker = $old->query_safe('select pg_backend_pid()');
like(said($run, 'shop.locked'), qr/\nlock_not_available; process $locker has locked the table \(ShareUpdateExclusiveLock\)\z/, 'and by whom it is locked');
$run = run_of_routine('analyze', '{"include": ["shop.locked"], "all": true}');
is(actions($run), "partial\nshop.locked skipped lock_timeout 55P03", 'for ANALYZE, too');
like(said($run, 'shop.locked'), qr/\nlock_not_available; process $locker has locked the table \(ShareUpdateExclusiveLock\)\z/, 'in the same words');
$run = run_of_routine('vacuum', '{"include": ["shop.locked"], "skip_locked": true}');
is(actions($run), "partial\nshop.locked skipped lock_timeout", 'with skip_locked at once');
like(said($run, 'shop.locked'), qr/\nVACUUM left it out: somebody held its lock \(skip_locked\)\z/, 'which is not taken for done');
$old->query_safe('rollback');
$old->query_safe('begin');
$old->query_safe('lock table shop.locked');
my $planned = $node->background_psql('postgres');
like($planned->query_safe(q{select reason from maintsched.plan_vacuum('{"include": ["shop.locked"]}')}),
	qr/whether VACUUM can help is not known: it is locked, or no heap/, 'the plan waits for nobody');
$planned->quit;
$run = run_of_routine('vacuum', '{"include": ["shop.locked"], "lock_timeout": "100 ms"}');
is(actions($run), "partial\nshop.locked skipped lock_timeout 55P03", 'locked against readers: left over');
like(said($run, 'shop.locked'), qr/\nlock_not_available; process $locker has locked the table \(AccessExclusiveLock\)\z/, 'and by whom');
$old->query_safe('rollback');

# --- gone, or done by others, between plan and action ---

make_table("shop.part_$_") for (1 .. 3);
make_dead("shop.part_$_") for (1 .. 3);
$old->query_safe('begin');
$old->query_safe('lock table shop.part_1 in share update exclusive mode');
my $waiting = $node->safe_psql('postgres', q{select maintsched.run_routine('vacuum', '{"include": ["shop.part_*"], "lock_timeout": "2 min"}', force => true, reason => 'the test wants it')});
wait_for($node, 'postgres', q{select exists (select from pg_stat_activity where backend_type = 'maintsched runner' and wait_event_type = 'Lock')}, 'the first waits');
sql('drop table shop.part_2');
sql('vacuum shop.part_3');
$old->query_safe('rollback');
wait_for($node, 'postgres', "select finished_at is not null from maintsched.run where run_id = $waiting");
is(actions($waiting), "succeeded\nshop.part_1 done\nshop.part_2 skipped not_needed\nshop.part_3 skipped not_needed", 'what is gone, or was done, is not needed');
like(said($waiting, 'shop.part_2'), qr/\nit is not there any more\z/, 'gone');
like(said($waiting, 'shop.part_3'), qr/\nnot any more\z/, 'done');

# --- partitions, TOAST, inserts ---

sql(q{
	create table shop.event (a integer, b text) partition by range (a);
	create table shop.event_1 partition of shop.event for values from (0) to (10000);
	create table shop.event_2 partition of shop.event for values from (10000) to (20000) partition by range (a);
	create table shop.event_2a partition of shop.event_2 for values from (10000) to (20000);
	insert into shop.event select i % 20000 from generate_series(1, 20000) i});
sql('vacuum analyze shop.event');
sql('delete from shop.event where a % 2 = 0; select pg_stat_force_next_flush()');
$run = run_of_routine('vacuum', '{"include": ["shop.event"]}');
is(actions($run), "succeeded\nshop.event_1 done\nshop.event_2a done", 'a partitioned table: its leaves');
sql('update shop.event set b = 1; select pg_stat_force_next_flush()');
$run = run_of_routine('vacuum', '{"include": ["shop.event"], "exclude": ["shop.event_2"], "overrides": {"shop.event": {"threshold": 0}}}');
is(actions($run), "succeeded\nshop.event_1 done", 'without those that are excluded');
is(actions(run_of_routine('vacuum', '{"include": ["shop.event"], "overrides": {"shop.event_2": {"threshold": 100000}}}')),
	"succeeded\npostgres skipped not_needed", 'partitions inherit overrides');

sql(q{create table shop.wide (a integer primary key, b text); alter table shop.wide alter column b set storage external;
	insert into shop.wide select i, repeat('z', 10000) from generate_series(1, 300) i});
sql('vacuum shop.wide');
sql("update shop.wide set b = repeat('y', 10000) where a <= 80; select pg_stat_force_next_flush()");
$run = run_of_routine('vacuum', '{"include": ["shop.wide"]}');
is(actions($run), "succeeded\nshop.wide done", 'only its TOAST table needs it');
like(said($run, 'shop.wide'), qr/^its TOAST table: [\d,]+ of [\d,]+ rows are dead \(limit [\d,]+\)[^;]*(; [^;]*inserted[^;]*)?; last VACUUM/, 'which is said');
is(sql("select command from maintsched.run_action where run_id = $run"), $version >= 160000 ? 'VACUUM (PROCESS_MAIN FALSE) shop.wide' : 'VACUUM shop.wide', 'the command');
is(sql("select after #>> '{toast,n_dead_tup}' from maintsched.run_actions where run_id = $run"), 0, 'and is clean afterwards');

sql('create table shop.insert_only (a integer)');
sql('insert into shop.insert_only select generate_series(1, 2000); select pg_stat_force_next_flush()');
$run = run_of_routine('vacuum', '{"include": ["shop.insert_only"]}');
is(actions($run), "succeeded\nshop.insert_only done", 'only inserted rows');
like(said($run, 'shop.insert_only'), qr/^2,000 rows were inserted since the last VACUUM \(limit 1,000\); no VACUUM on record\z/, 'the reason');

# --- whose code runs ---

# Everything that a table's owner can hang into VACUUM and ANALYZE.
sql(q{
	create schema evil authorization alice;
	create table public.proof (what text, who text);
	grant insert, select on public.proof to public;
	create table public.secret (a text);
	insert into public.secret values ('secret')});
$node->safe_psql('postgres', q{
	set session authorization alice;
	create function evil.work(what text) returns integer language plpgsql as $$
	begin
		begin
			insert into public.proof values (what, current_user || ' ' || session_user);
		exception when others then null;
		end;
		begin
			execute 'grant all on public.secret to alice';
		exception when others then null;
		end;
		begin
			execute 'alter role alice superuser';
		exception when others then null;
		end;
		return 1;
	end $$;
	create function evil.indexed(a integer) returns integer language plpgsql immutable as $$ begin return evil.work('index') * a; end $$;
	create function evil.partly(a integer) returns boolean language plpgsql immutable as $$ begin perform evil.work('predicate'); return true; end $$;
	create type evil.num as (x integer);
	create function evil.lt(evil.num, evil.num) returns boolean language plpgsql immutable as $$ begin perform evil.work('operator'); return ($1).x < ($2).x; end $$;
	create function evil.eq(evil.num, evil.num) returns boolean language plpgsql immutable as $$ begin perform evil.work('operator'); return ($1).x = ($2).x; end $$;
	create function evil.compare(evil.num, evil.num) returns integer language plpgsql immutable as $$ begin perform evil.work('operator'); return btint4cmp(($1).x, ($2).x); end $$;
	create operator evil.< (leftarg = evil.num, rightarg = evil.num, function = evil.lt);
	create operator evil.= (leftarg = evil.num, rightarg = evil.num, function = evil.eq);
	reset session authorization;
	create operator class evil.ops default for type evil.num using btree as operator 1 evil.<, operator 3 evil.=, function 1 evil.compare(evil.num, evil.num);
	alter operator class evil.ops using btree owner to alice;
	set session authorization alice;
	create function evil.triggered() returns trigger language plpgsql as $$ begin perform evil.work('trigger'); return null; end $$;
	create function evil.generated(a integer) returns integer language plpgsql immutable as $$ begin return evil.work('generated'); end $$;
	create table evil.t (a integer, b integer, n evil.num, g integer generated always as (evil.generated(b)) stored);
	create index on evil.t (evil.indexed(a)) where evil.partly(a);
	create statistics evil.s on (evil.indexed(a)), b from evil.t;
	create trigger t after insert or update or delete or truncate on evil.t for each statement execute function evil.triggered();
	insert into evil.t (a, b, n) select i, i, row(i)::evil.num from generate_series(1, 200) i;
	update evil.t set b = 0;
	select pg_stat_force_next_flush()});
sql('truncate public.proof');
foreach my $routine ('vacuum', 'analyze')
{
	my $params = $routine eq 'vacuum' ? '{"include": ["evil"], "analyze": true}' : '{"include": ["evil"], "all": true}';
	$run = run_of_routine($routine, $params);
	is(actions($run), "succeeded\nevil.t done", "$routine of a hostile table");
}
is(sql(q{select coalesce(string_agg(distinct who, ','), 'nobody') from public.proof where who !~ '^alice '}), 'nobody', 'nothing of it ran as another than its owner');
is(sql(q{select string_agg(distinct what, ' ') from public.proof}), 'index operator predicate', 'though it did run');
is(sql(q{select rolsuper from pg_roles where rolname = 'alice'}), 'f', 'nor won anything');
is(sql(q{select has_table_privilege('alice', 'public.secret', 'select')}), 'f', 'at all');

# --- who may ---

make_table('shop.of_others');
make_dead('shop.of_others');
$run = run_of_routine('vacuum', '{"include": ["shop.of_others"]}', 'alice');
is(sql("select state || ' ' || message from maintsched.run_history where run_id = $run"), 'failed role "alice" may vacuum none of the tables that are meant', "what belongs to others is not hers");
$run = run_of_routine('vacuum', '{"include": ["shop.of_others", "evil"], "all": true}', 'alice');
is(actions($run), "succeeded\nevil.t done\npostgres skipped pointless", 'her own is');
is(said($run, 'postgres'), '1 table is left out: role "alice" may not vacuum it (shop.of_others)', 'and what is left out is said');
if ($version >= 170000)
{
	sql('grant usage on schema shop to alice; grant maintain on shop.of_others to alice');
	$run = run_of_routine('vacuum', '{"include": ["shop.of_others"]}', 'alice');
	is(actions($run), "succeeded\nshop.of_others done", 'MAINTAIN is enough');
}

# what is not hers any more when its turn comes is not taken for done
sql("create table evil.$_ as select i as a from generate_series(1, 1000) i; alter table evil.$_ owner to alice") foreach qw(first second);
sql("insert into evil.first select generate_series(1, 1000); select pg_stat_force_next_flush()");
my $holder = $node->background_psql('postgres');
$holder->query_safe('begin');
$holder->query_safe('lock table evil.first in share update exclusive mode');
$waiting = $node->safe_psql('postgres', q{set session authorization alice; select maintsched.run_routine('analyze', '{"include": ["evil.first", "evil.second"]}', force => true, reason => 'the test wants it')});
wait_for($node, 'postgres', q{select exists (select from pg_stat_activity where backend_type = 'maintsched runner' and wait_event_type = 'Lock')}, 'the first waits');
sql("alter table evil.second owner to $superuser");
$holder->query_safe('rollback');
$holder->quit;
wait_for($node, 'postgres', "select finished_at is not null from maintsched.run where run_id = $waiting");
is(actions($waiting), "partial\nevil.first done\nevil.second failed", 'ANALYZE that PostgreSQL left out has failed');
like(said($waiting, 'evil.second'), qr/\nANALYZE left it out: the role may not analyze it any more\z/, 'and why');

# --- analyze by need ---

make_table('shop.counted');
is(sql(q{select count(*) from maintsched.plan_analyze('{"include": ["shop.counted"]}') where target = 'shop.counted'}), 0, 'analyzed');
make_dead('shop.counted');
$run = run_of_routine('analyze', '{"include": ["shop.counted", "shop.event"]}');
like(actions($run), qr/^succeeded\n(?:.*\n)*shop.counted done/, 'what has changed is analyzed');
like(said($run, 'shop.counted'), qr/^10,000 rows, 5,000 changed since the last ANALYZE .* ago \(limit 1,050\)\z|^5,000 rows, 5,000 changed since/, 'the reason');
$run = run_of_routine('analyze', '{"include": ["shop.counted", "shop.event"]}');
is(actions($run), "succeeded\npostgres skipped not_needed", 'the need is gone');
# partitions that are analyzed by themselves leave their parent behind
for my $i (1 .. 3)
{
	sql("update shop.event set b = $i where a between 1000 and 1900; select pg_stat_force_next_flush()");
	sql('analyze shop.event_1');
}
is(sql(q{select string_agg(target, ' ') from maintsched.plan_analyze('{"include": ["shop.event"]}') where details ->> 'skip' is null}), 'shop.event', 'what a run measured is remembered');
$run = run_of_routine('analyze', '{"include": ["shop.event"]}');
like(actions($run), qr/^succeeded\nshop.event done/, 'the parent is analyzed');
sql('create materialized view shop.totals as select a from shop.counted');
$run = run_of_routine('analyze', '{"include": ["shop.totals"]}');
is(actions($run), "succeeded\nshop.totals done", 'a materialized view');
sql('refresh materialized view shop.totals; select pg_stat_force_next_flush()');
$run = run_of_routine('analyze', '{"include": ["shop.totals"]}');
is(actions($run), "succeeded\nshop.totals done", 'again when it was refreshed');

$old->quit;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process has crashed');
$node->stop;
done_testing();
