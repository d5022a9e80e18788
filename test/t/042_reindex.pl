# Routine reindex at work: what is rebuilt keeps all that hangs on it, writers go
# on, what is in the way is left over and taken up again, what there is no room
# or no time for is said.  What stops it in the middle: 042_reindex_faults.pl.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Maintsched;
use Worker;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = worker_server('reindex', 'max_prepared_transactions = 2', q{maintsched.yield_after = '1s'},
	q{maintsched.window_reserve = '4s'}, 'max_wal_size = 2GB', 'fsync = off');
make_calendar($node, 'postgres');
my $small = '"min_wasted": "50 kB", "min_free": 0';

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# A run of routine reindex; returns its id when it has ended.
sub start_run
{
	my ($params) = @_;
	return sql("select maintsched.run_routine('reindex', '{$params}', force => true, reason => 'the test wants it')");
}

sub ended
{
	my ($run) = @_;
	wait_for($node, 'postgres', "select state not in ('queued', 'running') from maintsched.run where run_id = $run")
	  or BAIL_OUT("run $run does not end");
	return $run;
}

sub run_reindex { my ($params) = @_; return ended(start_run($params)); }

# What became of the actions, in the order in which they were carried out; a
# summary of what is left as it is comes last and is left out.
sub actions
{
	my ($run) = @_;
	return sql("select coalesce(string_agg(concat_ws(' ', a.target, split_part(a.command, ' ', 1), a.state, a.skip_reason, a.sqlstate), E'\\n' order by a.started_at nulls last, a.seq), '')
		from maintsched.run_actions a where a.run_id = $run and a.target <> 'postgres'");
}

sub state_of_run
{
	my ($run) = @_;
	return sql("select state || ' ' || stop_reason from maintsched.run where run_id = $run");
}

# All that hangs on the indexes of a schema, but where they lie and how large they are.
sub shape
{
	my ($schema) = @_;
	return sql(qq{
		select string_agg(concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready, i.indislive, i.indisprimary, i.indisunique,
			i.indimmediate, i.indisreplident, i.indisclustered, c.relispartition, h.inhparent::regclass, c.reloptions, s.spcname, d.description,
			(select string_agg(o.conname || o.contype::text || o.condeferrable::text, ',' order by o.conname) from pg_constraint o where o.conindid = i.indexrelid),
			(select string_agg(a.attname || coalesce(a.attstattarget::text, ''), ',' order by a.attnum) from pg_attribute a where a.attrelid = i.indexrelid)),
			E'\n' order by c.relname)
		from pg_index i
		join pg_class c on c.oid = i.indexrelid
		left join pg_inherits h on h.inhrelid = c.oid
		left join pg_tablespace s on s.oid = c.reltablespace
		left join pg_description d on d.objoid = c.oid and d.classoid = 'pg_class'::regclass
		where c.relnamespace = (select n.oid from pg_namespace n where n.nspname = '$schema')});
}

my $bloat = 'delete from %1$s where id % 4 <> 0; vacuum %1$s;';

sub make_bloat { my ($table) = @_; sql($bloat =~ s/%1\$s/$table/gr); return; }

# --- everything that hangs on an index ---

sql(q{
	create schema "Odd ""one""";
	set search_path = "Odd ""one""";
	create table parent (id integer primary key, u text unique, d integer unique deferrable initially deferred,
		e integer, long text, r int4range, exclude using gist (r with &&), exclude using btree (id with =));
	insert into parent select i, 'text number ' || i, i, i % 1000, 'x', int4range(i, i + 1) from generate_series(1, 40000) i;
	create table child (parent integer references parent, u text references parent (u));
	create index "it's an index" on parent (e, id) include (u) with (fillfactor = 80);
	create index partial on parent (id) where e > 10;
	create index expression on parent (lower(u), (e + 1));
	alter index expression alter column 2 set statistics 777;
	create unique index identity on parent (d, id);
	alter table parent alter d set not null, alter id set not null;
	alter table parent replica identity using index identity;
	alter table parent cluster on "it's an index";
	comment on index partial is 'a comment';
	create unlogged table unlogged (id integer primary key);
	insert into unlogged select generate_series(1, 40000);
	create table part (id integer primary key, note text) partition by range (id);
	create table part_1 partition of part for values from (1) to (20001);
	create table part_2 partition of part for values from (20001) to (100000) partition by range (id);
	create table "part 2.1" partition of part_2 for values from (20001) to (50000);
	create index part_note on part (note);
	insert into part select i, 'note ' || i from generate_series(1, 45000) i;
	create table tall (id integer primary key, long text);
	alter table tall alter long set storage external;
	insert into tall select i, repeat('long', 6000) from generate_series(1, 1500) i;
	create materialized view totals as select i as id, 'total ' || i as note from generate_series(1, 40000) i;
	create index totals_id on totals (id) with (fillfactor = 20);
	alter index totals_id reset (fillfactor);
	insert into child select id, u from parent where id % 4 = 0 limit 100});
my $odd = '"Odd ""one"""';
make_bloat("$odd.$_") foreach qw(parent unlogged part tall);
my $before = shape('Odd "one"');
my $run = run_reindex('"include": ["Odd*"], "min_wasted": "50 kB", "min_free": 0');
is(state_of_run($run), 'succeeded completed', 'a run over all kinds of indexes');
my @pointless = ("$odd.parent_id_excl REINDEX skipped pointless");
is(join("\n", sort(split /\n/, actions($run) =~ s/pg_toast_\d+/pg_toast_N/r)),
	join("\n", sort(@pointless, '"Odd ""one""".tall (toast index) REINDEX done', map { "$odd.$_ REINDEX done" }
		qw(expression identity parent_d_key parent_pkey parent_u_key partial part_1_pkey part_1_note_idx totals_id unlogged_pkey),
		'"it\'s an index"', '"part 2.1_pkey"', '"part 2.1_note_idx"')), 'each is rebuilt but what cannot be');
is(shape('Odd "one"'), $before, 'and all that hangs on them is kept');
is(sql(qq{select bool_and((after ->> 'valid')::boolean and (before ->> 'size_bytes')::bigint > 1.5 * (after ->> 'size_bytes')::bigint)
	from maintsched.run_actions where run_id = $run and state = 'done'}), 't', 'they are smaller');
is(sql(qq{select concat_ws(' ', before ->> 'constraint', after ->> 'constraint', after ->> 'primary', after ->> 'replica_identity')
	from maintsched.run_actions where run_id = $run and target like '%parent_pkey'}), 'parent_pkey parent_pkey true', 'the constraint is on it still');
like(sql(qq{select reason from maintsched.run_actions where run_id = $run and target like '%parent_id_excl'}),
	qr/^\d+ kB of \d+ kB reclaimable \(\d.*\); PostgreSQL cannot rebuild what an exclusion constraint rests on without locking/, 'why the other one is not');
like(sql(qq{select reason from maintsched.run_actions where run_id = $run and target = 'postgres'}), qr/^\d+ of \d+ indexes are left as they are/,
	'that the others were looked at is on record');
like(($node->psql('postgres', qq{insert into $odd.child values (-1)}))[2] // '', qr/child_parent_fkey/, 'foreign keys work');
like(($node->psql('postgres', qq{insert into $odd.parent (id, d, u) values (0, 0, 'text number 4')}))[2] // '', qr/parent_u_key/, 'and unique ones');

# --- it has come back at once: it is not rebuilt again and again ---

sql(qq{truncate $odd.unlogged; insert into $odd.unlogged select generate_series(1, 40000)});
make_bloat("$odd.unlogged");
$run = run_reindex('"include": ["*.unlogged"], "min_wasted": "50 kB", "min_free": 0, "min_interval": "7 days"');
is(actions($run), "$odd.unlogged_pkey REINDEX skipped pointless", 'what came back at once is not rebuilt again');
is(state_of_run($run), 'succeeded completed', 'which is no failure');
like(sql(qq{select reason from maintsched.run_actions where run_id = $run and target like '%unlogged_pkey'}),
	qr/; what the rebuild (?:less than a minute|\d+ minutes?) ago gave back, \d+ kB, has come back: the next one not within 7 days/, 'it says why');
$run = run_reindex('"include": ["*.unlogged"], "min_wasted": "50 kB", "min_free": 0, "min_interval": null');
is(actions($run), "$odd.unlogged_pkey REINDEX done", 'unless that is not asked for');
sql(qq{drop schema $odd cascade});

# --- no room ---

sql(q{create table public.t1 (id integer primary key, note text); insert into public.t1 select i, md5(i::text) from generate_series(1, 60000) i;
	create index t1_note on public.t1 (note);
	create table public.t2 as select * from public.t1; create index t2_note on public.t2 (note)});
make_bloat("public.$_") foreach qw(t1 t2);
$run = run_reindex('"include": ["public.t1_note"], "min_wasted": "50 kB", "min_free": "1000000 GB"');
is(actions($run), 'public.t1_note REINDEX skipped no_space', 'no room: skipped');
is(state_of_run($run), 'partial yielded', 'and left over');
like(sql("select reason || ' / ' || message from maintsched.run_actions where run_id = $run and skip_reason = 'no_space'"),
	qr{no room now: the copy, what is sorted for it and its write-ahead log take \d+ \w+, 977 TB are to stay free, and .* are free / the copy, what}, 'it says why, in the plan, too');

# --- a lock: left over, and taken up again by the task ---

my $session = $node->background_psql('postgres');
$session->query_safe('begin; lock table public.t1 in share update exclusive mode');
sql(qq{
	begin;
	select maintsched.add_task('ops', 'rebuild', 'FREQ=DAILY', routine => 'reindex', due_within => '20 hours',
		params => '{"include": ["public.t?_note"], "lock_timeout": "3 s", $small}',
		starts_on => date_trunc('second', now() at time zone 'UTC') - interval '1 second');
	update maintsched.task set change_class = 'none' where name = 'rebuild';
	commit});
wait_for($node, 'postgres', q{select count(*) > 0 from maintsched.run_history where task = 'rebuild' and state = 'partial'}, 'a table is locked: partial');
my $first = sql(q{select min(run_id) from maintsched.run_history where task = 'rebuild'});
is(join("\n", sort(split /\n/, actions($first))), "public.t1_note REINDEX skipped lock_timeout\npublic.t2_note REINDEX done", 'what is locked is left over, the rest is done');
like(sql("select message from maintsched.run_actions where run_id = $first and skip_reason = 'lock_timeout'"),
	qr/^process \d+ has locked the table \(ShareUpdateExclusiveLock\)$/, 'it says who');
is(sql(q{select count(*) from maintsched.completion}), '0', 'no completion yet');
is(sql('select count(*) from maintsched.invalid_indexes()'), '0', 'nothing was begun');
$session->query_safe('rollback');
wait_for($node, 'postgres', q{select count(*) > 0 from maintsched.run_history where task = 'rebuild' and state = 'succeeded'}, 'when it is free: succeeded');
is(actions(sql(q{select max(run_id) from maintsched.run_history where task = 'rebuild'})), 'public.t1_note REINDEX done', 'with what was left over');
is(sql(q{select outcome from maintsched.completion}), 'pass', 'and passed');
sql(q{select maintsched.retire_task('ops', 'rebuild', 'done with')});

# --- a transaction that it would have to wait for ---

make_bloat('public.t1');
sql('create table public.other (a integer)');
my $always = q{"min_interval": null, "min_bloat": 0, "min_wasted": 0, "min_free": 0};
my $all = qq{"include": ["public.t1_note"], $always};
$session->query_safe('begin isolation level repeatable read; select count(*) from public.other');
wait_for($node, 'postgres', q{select exists (select from pg_stat_activity where state = 'idle in transaction' and state_change < clock_timestamp() - interval '0.5 s')});
$run = run_reindex(qq{$all, "lock_timeout": "300 ms"});
is(actions($run), 'public.t1_note REINDEX skipped lock_timeout', 'an old snapshot of an idle transaction, of another table');
like(sql("select message from maintsched.run_actions where run_id = $run and skip_reason = 'lock_timeout'"),
	qr/^process \d+, in a transaction, has been idle for .*: it would be waited for$/, 'is seen before anything is built');

# Behind one obstacle the first one waits, and the others are only looked at.
sub waited
{
	my ($run) = @_;
	return sql("select count(*) filter (where a.skip_reason = 'lock_timeout') || ' skipped, ' || count(*) filter (where a.finished_at - a.started_at >= interval '6 s') || ' waited'
		from maintsched.run_actions a where a.run_id = $run and a.target <> 'postgres'");
}
my $both = qq{"include": ["public.t1_note", "public.t2_note"], "lock_timeout": "6 s", $always};
wait_for($node, 'postgres', q{select exists (select from pg_stat_activity where state = 'idle in transaction' and state_change < clock_timestamp() - interval '6 s')});
is(waited(run_reindex($both)), '2 skipped, 1 waited', 'two tables behind one transaction');
$session->query_safe('rollback');
$session->query_safe('begin; lock table public.t1 in share update exclusive mode');
is(waited(run_reindex(qq{"include": ["public.t1_note", "public.t1_pkey"], "lock_timeout": "6 s", $always})), '2 skipped, 1 waited', 'two indexes of a table that is locked');
$session->query_safe('rollback');
# one that is at work: a dump, a report
my $report = IPC::Run::start([ 'psql', '-XqAtd', $node->connstr('postgres'), '-c', 'begin isolation level repeatable read', '-c', 'select pg_sleep(600) from public.other right join (values (1)) x on true' ],
	'<', \undef, '>', \my $report_out, '2>', \my $report_err);
my $at_work = q{select pid from pg_stat_activity where query like 'select pg_sleep(600)%' and state = 'active' and backend_xmin is not null};
wait_for($node, 'postgres', "select exists ($at_work and xact_start < clock_timestamp() - interval '2 s')");
my $reporter = sql($at_work);
$run = run_reindex(qq{$all, "lock_timeout": "300 ms"});
is(actions($run), 'public.t1_note REINDEX skipped lock_timeout', 'an old snapshot of one that is at work');
like(sql("select message from maintsched.run_actions where run_id = $run and skip_reason = 'lock_timeout'"),
	qr/^process $reporter, in a transaction for .*, is at work: it would be waited for$/, 'is seen, too');
# one that has just begun may soon be through; it is not, and is named
my $filenode = sql(q{select pg_relation_filenode('public.t1_note')});
is(sql(qq{select maintsched.rebuild_verdict('public', 't1_note', $filenode, null, '1 s') ->> 'obstacle' like 'process $reporter, in a transaction for %'}), 't', 'who was in the way');
sql("select pg_cancel_backend($reporter)");
IPC::Run::finish($report);
sql(q{begin; insert into public.t1 values (-1); prepare transaction 'left alone'});
wait_for($node, 'postgres', q{select prepared < clock_timestamp() - interval '0.5 s' from pg_prepared_xacts});
$run = run_reindex(qq{$all, "lock_timeout": "300 ms"});
is(actions($run), 'public.t1_note REINDEX skipped lock_timeout', 'a prepared transaction');
sql(q{rollback prepared 'left alone'});

# --- people who wait for it are let through ---

$session->query_safe('begin; insert into public.t1 values (-1)');
$run = start_run(qq{$all, "lock_timeout": "1 hour"});
wait_for($node, 'postgres', q{select phase = 'waiting for writers before build' from pg_stat_progress_create_index}, 'a rebuild waits for a writer');
my $out = '';
my $ddl = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'alter table public.other add b integer; alter table public.t1 set (fillfactor = 90)' ],
	'<', \undef, '&>', \$out, IPC::Run::timeout(300));
$session->query_safe('commit') if wait_for($node, 'postgres', "select count(*) > 0 from maintsched.run_actions where run_id = $run and skip_reason = 'yielded'",
	'somebody else waits for the table, behind the rebuild: it is given up');
$ddl->finish;
is($out, '', 'who waited has got it');
ended($run);
is(sql('select count(*) from maintsched.invalid_indexes()'), '0', 'nothing is left behind');
is(state_of_run($run), 'partial yielded', 'and it is left over');

# --- two at once ---

sql('create index t2_partial on public.t2 (note) where id > 10');
$session->query_safe('begin; insert into public.t1 values (-2)');
my $other = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'reindex index concurrently public.t1_note' ],
	'<', \undef, '&>', \$out, IPC::Run::timeout(300));
wait_for($node, 'postgres', q{select phase = 'waiting for writers before build' from pg_stat_progress_create_index}, "somebody's rebuild is under way");
$run = run_reindex(qq{"include": ["public.t1_pkey", "public.t2_partial", "public.t2_note"], "lock_timeout": "3 s", $always});
is(join("\n", sort(split /\n/, actions($run))), join("\n", 'public.t1_pkey REINDEX skipped lock_timeout', 'public.t2_note REINDEX done',
		'public.t2_partial REINDEX skipped lock_timeout'), 'never two of one table, nor a partial one beside another');
$session->query_safe('commit');
$other->finish;
is($out, '', 'which is not disturbed');

# --- a window too short ---

sql('update maintsched.maintenance_window set name = name');
$session->query_safe('begin; insert into public.t1 values (-3)');
sql(qq{
	create table t0 as select date_trunc('second', now()) as at;
	select maintsched.add_window('ops', 'brief', 'FREQ=DAILY;COUNT=1', (at at time zone 'UTC'), '20 s', 'major') from t0;
	select maintsched.add_window('ops', 'next', 'FREQ=DAILY;COUNT=1', (at at time zone 'UTC') + interval '23 s', '100 s', 'major') from t0;
	select maintsched.add_task('ops', 'weekly', 'FREQ=DAILY', routine => 'reindex', due_within => '20 hours',
		params => '{"include": ["public.t1_note", "public.t1_pkey", "public.t2_note"], "lock_timeout": "1 hour", $always}',
		starts_on => date_trunc('second', now() at time zone 'UTC') - interval '1 second')});
wait_for($node, 'postgres', q{select count(*) > 0 from maintsched.run_history where task = 'weekly' and state = 'partial' and stop_reason = 'window_closed'},
	'the window closes over it');
$first = sql(q{select min(run_id) from maintsched.run_history where task = 'weekly'});
like(actions($first), qr/\A(?:public.t2_note REINDEX done\n)?public.t1_\w+ REINDEX skipped no_time 57014\npublic.t1_\w+_ccnew DROP (?:done|skipped lock_timeout(?: 55P03)?)\n/,
	'what was under way is stopped, and cleaned up after');
is(sql("select count(*) from maintsched.run_actions a join maintsched.run r using (run_id)
	where a.run_id = $first and a.command like 'DROP%' and a.finished_at > r.window_closes_at + maintsched.cleanup_grace()"), '0', 'in a moment');
$session->query_safe('commit');
wait_for($node, 'postgres', q{select count(*) > 0 from maintsched.run_history where task = 'weekly' and state = 'succeeded'}, 'the next window finishes it');
is(sql(q{select string_agg(distinct target, ' ' order by target) from maintsched.run_actions join maintsched.run_history using (run_id)
	where task = 'weekly' and run_actions.state = 'done' and command like 'REINDEX%' and target <> 'postgres'}), 'public.t1_note public.t1_pkey public.t2_note', 'all are rebuilt');
is(sql('select count(*) from maintsched.invalid_indexes()'), '0', 'nothing is left behind');
$session->quit;

# --- writers go on ---

my $folder = $node->basedir;
open(my $file, '>', "$folder/write.sql") or die $!;
print $file q{\set id random(1, 60000)
insert into public.t1 values (:id, md5(random()::text)) on conflict (id) do update set note = excluded.note;
begin;
update public.t2 set note = md5(random()::text) where id = :id;
select count(*) from public.t1 where id between :id and :id + 100;
end;
delete from public.t1 where id = :id + 1;
};
close $file;
my $said = '';
my $bench = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-j', 2, '-T', 3600, '-f', "$folder/write.sql", $node->connstr('postgres') ],
	'<', \undef, '&>', \$said);
wait_for($node, 'postgres', q{select n_tup_upd > 200 from pg_stat_user_tables where relname = 't2'}, 'writers write');
$run = run_reindex(qq{"include": ["public"], "lock_timeout": "1 min", $always});
my $writes = sql(q{select n_tup_upd from pg_stat_user_tables where relname = 't2'});
wait_for($node, 'postgres', qq{select n_tup_upd > $writes + 100 from pg_stat_user_tables where relname = 't2'}, 'after it they write still');
$bench->pump_nb;
ok($bench->pumpable, 'nothing ended them');
$bench->kill_kill;
unlike($said, qr/ERROR|aborted/, 'and none had an error');
is(state_of_run($run), 'succeeded completed', 'all was rebuilt beside them');
is(sql(q{set enable_seqscan = off; set enable_bitmapscan = off; select count(*) from public.t1 where note >= ''}),
	sql(q{set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off; select count(*) from public.t1 where note >= ''}), 'the index has every row');

# --- a hostile owner ---

sql(q{
	create role hostile login;
	create schema trap authorization hostile;
	set role hostile;
	create table trap.seen (who text, restricted text);
	create function trap.spring(a integer) returns integer language plpgsql immutable as $f$
	begin
		begin
			insert into trap.seen values (current_user, session_user);
			alter role hostile superuser;
			insert into trap.seen values ('it became a superuser');
		exception when others then null; end;
		begin
			execute 'reset role; create table public.trapped ()';
		exception when others then null; end;
		return a;
	end $f$;
	create function trap.less(integer, integer) returns integer language plpgsql immutable as $f$
	begin
		begin
			execute 'reset session authorization; create table public.trapped ()';
		exception when others then null; end;
		return btint4cmp($1, $2);
	end $f$;
	reset role;
	create operator class trap.ops for type integer using btree as operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 trap.less(integer, integer);
	alter operator class trap.ops using btree owner to hostile;
	set role hostile;
	create table trap.t (a integer, b integer);
	insert into trap.t select i, i from generate_series(1, 30000) i;
	create index t_expression on trap.t ((trap.spring(a)));
	create index t_operators on trap.t (b trap.ops);
	create index t_predicate on trap.t (a) where trap.spring(a) > 0;
	truncate trap.seen});
$run = run_reindex(qq{"include": ["trap"], $always});
is(join("\n", sort(split /\n/, actions($run))), join("\n", map { "trap.$_ REINDEX done" } qw(t_expression t_operators t_predicate)), 'indexes with functions of their owner are rebuilt');
is(sql(q{select to_regclass('public.trapped') is null and not rolsuper from pg_roles where rolname = 'hostile'}), 't', 'which have no more rights than he');
is(sql(q{select coalesce(string_agg(distinct who, ' '), 'hostile') from trap.seen}), 'hostile', 'nor are they called as anybody else');

# --- the index of a toast table, damaged: found by amcheck, rebuilt, found sound ---

if (sql(q{select count(*) from pg_available_extensions where name = 'amcheck'}) ne '0')
{
	sql(q{
		create extension amcheck;
		create table public.stored (id integer primary key, long text);
		alter table public.stored alter long set storage external;
		insert into public.stored select i, repeat('long', 6000) from generate_series(1, 200) i;
		checkpoint});
	my $file = $node->data_dir . '/' . sql(q{
		select pg_relation_filepath(i.indexrelid) from pg_class c join pg_index i on i.indrelid = c.reltoastrelid where c.oid = 'public.stored'::regclass});
	$node->stop;
	open(my $handle, '+<', $file) or die $!;
	binmode $handle;
	seek($handle, 8192 + 100, 0) or die $!;
	print $handle "\xff" x 4000;
	close $handle;
	$node->start;
	my $check = sub {
		my $id = sql(q{select maintsched.run_routine('amcheck', '{"include": ["public.stored"]}')});
		ended($id);
		return sql(q{select coalesce(string_agg(concat_ws(' ', schema, relation, kind, rewritten), ', '), '') from maintsched.corrupt_relations() where kind = 'toast index'});
	};
	is($check->(), 'public stored toast index f', 'amcheck finds it');
	$run = run_reindex('"include": ["public.stored"]');
	is(actions($run), 'public.stored (toast index) REINDEX done', 'it is rebuilt, under the name of its table');
	like(sql("select reason from maintsched.run_actions where run_id = $run and target like '%toast%'"), qr/^found corrupt /, 'for that reason');
	is(actions(run_reindex('"include": ["public.stored"]')), '', 'and not once more');
	is($check->(), '', 'it is sound');
	is(sql('select sum(length(long)) from public.stored'), '4800000', 'and nothing is lost');
	sql('drop table public.stored');
}

# --- what fails, fails in few words ---

sql(q{create table public.twice (id integer, secret text); insert into public.twice select 1, 'Jane Doe, born 1980' from generate_series(1, 2)});
isnt($node->psql('postgres', 'create unique index concurrently twice_secret on public.twice (secret)'), 0, 'a unique index that cannot be');
$run = run_reindex(qq{"include": ["public.twice"], $small});
is(actions($run), "public.twice_secret REINDEX failed 23505\npublic.twice_secret_ccnew DROP done", 'its rebuild fails, and is cleaned up after');
is(state_of_run($run), 'partial error', 'which is said');
is(sql("select count(*) from maintsched.run_actions where run_id = $run and run_actions::text like '%Jane%'"), '0', 'without what the rows hold');
is(sql(q{select string_agg(index_name || ' ' || kind, ', ') from maintsched.invalid_indexes()}), 'twice_secret own', 'it is still there');

$node->stop;
done_testing();
