# Whose code runs with whose rights: an owner of tables who is no friend, in all
# that he can hang into them, and in what he can put in the way of names.  None
# of it runs as anybody but him, whichever routine a superuser plans, runs or
# calls; and he may be a manager.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Worker;
use Test::More;

my $cold = PostgreSQL::Test::Utils::tempdir . '/cold';
mkdir($cold, 0700) or die $!;
my $node = worker_server('hostile', "maintsched.archive_roots = '$cold'", 'log_min_messages = log');
sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

sql(q{
	create extension maintsched;
	create extension amcheck;
	create role mallory login;
	create role boss superuser login;
	grant create on schema public to public;
	create schema evil authorization mallory;
	create schema way authorization mallory;
	create schema hidden;
	create table public.secret (v text);
	insert into public.secret values ('secret');
	select maintsched.grant_access('mallory', 'manager');
	select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "ops", "title": "Ops", "tasks": []}');
	select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "paused", "title": "Paused", "tasks": []}');
	select maintsched.pause('paused', 'test');
	select maintsched.add_task('ops', 'of-the-boss', 'FREQ=YEARLY', starts_on => '2020-01-01', kind => 'routine', routine => 'sql', params => '{"statement": "select 1"}')});

# What he tries wherever his code is called by another than himself, and what he
# writes about it into the log, which no error takes back.
sub as_mallory { my ($sql) = @_; return $node->safe_psql('postgres', "set session authorization mallory; $sql"); }
as_mallory(q{
	create function evil.attack(place text) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
	declare
		could text := '';
		attempt text;
	begin
		-- once for each place and process
		if session_user = 'mallory' or exists (
			select from pg_locks where pid = pg_backend_pid() and locktype = 'advisory' and objid = hashtext(place)::bigint & 4294967295 and classid = 46)
		then
			return;
		end if;
		perform pg_try_advisory_lock(46, hashtext(place));
		foreach attempt in array array[
			'alter role mallory superuser', 'grant boss to mallory', 'table public.secret', 'create table hidden.mine ()',
			'set role boss', 'reset role', 'set role none', 'set session authorization boss', 'reset session authorization',
			$x$select set_config('role', 'boss', false)$x$, $x$select set_config('role', 'none', false)$x$,
			$x$select set_config('session_authorization', 'boss', false)$x$,
			'create temporary table mine ()', 'declare c cursor with hold for select 1', 'prepare p as select 1', 'listen l',
			$x$copy (select 1) to program 'true'$x$, $x$set session_replication_role = replica$x$, $x$set maintsched.now = '2020-01-01'$x$,
			$x$select maintsched.add_task('ops', 'mine', 'FREQ=DAILY', kind => 'routine', routine => 'sql', params => '{"statement": "alter role mallory superuser"}')$x$,
			$x$select maintsched.run_routine('sql', '{"statement": "alter role mallory superuser"}', force => true, reason => 'x')$x$,
			$x$select maintsched.run_task('ops', 'of-the-boss', force => true, reason => 'x')$x$,
			$x$update maintsched.task set params = '{"statement": "alter role mallory superuser"}'$x$,
			$x$update maintsched.task set run_as = 'boss'$x$,
			$x$select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "mine", "title": "Mine", "tasks": []}')$x$,
			$x$select maintsched.grant_access('public', 'manager')$x$, $x$select maintsched.pause('all', 'x')$x$, $x$select maintsched.resume('paused')$x$,
			$x$select maintsched.cancel_run(run_id) from maintsched.run$x$,
			$x$select maintsched.open_emergency_window('x')$x$,
			$x$select maintsched.archive_batch('evil.t', 'at', '2021-01-01')$x$, $x$select maintsched.restore_archive(1)$x$,
			$x$select maintsched.verify_archive(1)$x$, $x$select maintsched.remove_archive(1, 'x')$x$,
			$x$select maintsched.drop_archived_partition('evil.t', 'at')$x$,
			$x$select maintsched.put_archive('{}', '', '', '', '')$x$,
			$x$select maintsched.complete_open_task('ops', 'of-the-boss', 'pass')$x$]
		loop
			begin
				execute attempt;
				could := could || ' [' || attempt || ']';
			exception when others then null;
			end;
			if current_user <> 'mallory' then could := could || ' [became ' || current_user || ']'; end if;
		end loop;
		raise log 'witness|%|%|%|', place, current_user, could;
		perform set_config('search_path', 'evil', false);
	end $$;});

# Functions of his are called where a schema of his, or one in which everybody may
# create things, comes before others: for each operator and function of some
# types one of the same name and types, and some that fit better.
as_mallory(q{
	do $do$
	declare
		types constant oid[] := array['oid', 'text', 'name', 'jsonb', 'integer', 'bigint', 'boolean', 'numeric', 'timestamptz', 'interval', '"char"', 'regclass', 'double precision', 'smallint', 'text[]', 'name[]']::regtype[];
		f record;
		n integer := 0;
	begin
		for f in
			select p.proname, p.proargtypes, p.prorettype,
				array_to_string(array(select format_type(t, null) from unnest(p.proargtypes) t), ', ') as types
			from pg_proc p join pg_namespace ns on ns.oid = p.pronamespace
			where ns.nspname = 'pg_catalog' and p.prokind = 'f' and not p.proretset and p.provariadic = 0
			and p.proargtypes::oid[] <@ types and p.prorettype = any (types) and p.pronargs between 0 and 4
			and p.proname !~ '^(pg_(switch|reload|rotate|promote|create|drop|copy|logical|replication|backup|start|stop|log|terminate|cancel|sleep|adv|try|import|wal|file|read|ls|stat_reset|stat_clear)|lo_|set_config|binary_upgrade|.*(in|out|recv|send)$)'
		loop
			n := n + 1;
			execute format('create function way.%1$I(%2$s) returns %3$s language plpgsql set search_path = pg_catalog, pg_temp as $f$ begin perform evil.attack(%4$L); return pg_catalog.%1$I(%5$s); end $f$',
				f.proname, f.types, format_type(f.prorettype, null), 'function ' || f.proname,
				(select string_agg('$' || i, ', ') from generate_series(1, array_length(f.proargtypes::oid[], 1)) i));
		end loop;
		for f in
			select o.oprname, o.oprleft, o.oprright, o.oprresult
			from pg_operator o join pg_namespace ns on ns.oid = o.oprnamespace
			where ns.nspname = 'pg_catalog' and o.oprleft = any (types) and o.oprright = any (types) and o.oprresult = any (types)
		loop
			n := n + 1;
			execute format('create function way.op_%s(%s, %s) returns %s language plpgsql as $f$ begin perform evil.attack(%L); return $1 operator(pg_catalog.%s) $2; end $f$',
				n, f.oprleft::regtype, f.oprright::regtype, f.oprresult::regtype, format('operator %s (%s, %s)', f.oprname, f.oprleft::regtype, f.oprright::regtype), f.oprname);
			execute format('create operator way.%s (leftarg = %s, rightarg = %s, function = way.op_%s)', f.oprname, f.oprleft::regtype, f.oprright::regtype, n);
		end loop;
		-- these fit better than what pg_catalog has, so that it need not come later
		for f in
			select o.name, l.type as left_type, r.type as right_type
			from unnest(array['=', '<>', '<', '>', '<=', '>=']) o(name)
			cross join unnest(array['oid', 'regclass', 'regproc', 'regtype', 'regrole', 'regnamespace', 'xid']) l(type)
			cross join unnest(array['oid', 'regclass', 'regproc', 'regtype', 'regrole', 'regnamespace', 'integer', 'xid']) r(type)
			where l.type <> r.type or l.type not in ('oid', 'xid')
			union all
			select o.name, l.type, r.type
			from unnest(array['=', '<>', '||', '~', '!~', '->>', '->', '?']) o(name)
			cross join unnest(array['varchar', '"char"', 'name', 'bigint', 'jsonb', 'text']) l(type)
			cross join unnest(array['text', 'varchar', 'name', 'jsonb', 'numeric']) r(type)
			where not exists (
				select from pg_operator p
				where p.oprname = o.name and p.oprleft = l.type::regtype and p.oprright = r.type::regtype)
		loop
			n := n + 1;
			execute format('create function public.op_%s(%s, %s) returns %s language plpgsql as $f$ begin perform evil.attack(%L); return %s; end $f$',
				n, f.left_type, f.right_type, case when f.name in ('||', '->>', '->') then 'text' else 'boolean' end,
				format('operator %s (%s, %s)', f.name, f.left_type, f.right_type),
				case when f.name in ('||', '->>', '->') then '$1::text || $2::text' else format('$1::text operator(pg_catalog.%s) $2::text', case f.name when '?' then '=' else f.name end) end);
			execute format('create operator public.%s (leftarg = %s, rightarg = %s, function = public.op_%s)', f.name, f.left_type, f.right_type, n);
		end loop;
	end $do$;
	create function way.add_one(bigint) returns bigint language plpgsql set search_path = pg_catalog, pg_temp as $$ begin perform evil.attack('aggregate count'); return $1 + 1; end $$;
	create aggregate way.count(*) (sfunc = way.add_one, stype = bigint, initcond = '0');
	create function way.add_two(bigint, bigint) returns bigint language plpgsql set search_path = pg_catalog, pg_temp as $$ begin perform evil.attack('aggregate sum, max'); return coalesce($1, 0) + $2; end $$;
	create aggregate way.sum(bigint) (sfunc = way.add_two, stype = bigint);
	create aggregate way.max(bigint) (sfunc = way.add_two, stype = bigint);
	create function way.verify_heapam(relation regclass, on_error_stop boolean default false, check_toast boolean default false, skip text default 'none',
		startblock bigint default null, endblock bigint default null, out blkno bigint, out offnum integer, out attnum integer, out msg text)
		returns setof record language plpgsql as $$ begin perform evil.attack('verify_heapam'); end $$;
	create function way.bt_index_check(regclass, boolean) returns void language plpgsql as $$ begin perform evil.attack('bt_index_check'); end $$});

# A table with all that can be hung into one.
sub trapped_table
{
	my ($name) = @_;
	as_mallory(qq{
		create table evil.$name (id integer, at timestamptz, n integer, txt evil.trap default evil.trap_default(), v evil.num,
			g integer generated always as (evil.trap_number('generated', n)) stored,
			check (evil.trap_number('check', n) is not null));
		create index ${name}_expression on evil.$name (evil.trap_number('index', n)) where evil.trap_number('predicate', n) is not null;
		create index ${name}_operator on evil.$name (v);
		create unique index on evil.$name (id);
		create statistics evil.${name}_s on (evil.trap_number('statistics', n)), id from evil.$name;
		create trigger a before delete on evil.$name for each row execute function evil.trap_trigger('before');
		create trigger b after delete on evil.$name for each statement execute function evil.trap_trigger('after');
		create trigger c before truncate on evil.$name for each statement execute function evil.trap_trigger('truncate');
		create constraint trigger d after delete on evil.$name deferrable initially deferred for each row execute function evil.trap_trigger('deferred');
		create policy p on evil.$name using (evil.trap_number('policy', n) is not null);
		alter table evil.$name enable row level security;
		insert into evil.$name select i, timestamptz '2020-01-01' + i * interval '1 s', i, 'x', row(i)::evil.num from generate_series(1, 400) i;
		update evil.$name set n = n + 1;});
	return;
}
as_mallory(q{
	create function evil.trap_number(place text, n integer) returns integer language plpgsql immutable as $$ begin perform evil.attack(place); return n; end $$;
	create function evil.trap_default() returns text language plpgsql as $$ begin perform evil.attack('default'); return 'x'; end $$;
	create function evil.trap_trigger() returns trigger language plpgsql as $$ begin perform evil.attack(tg_argv[0]); return old; end $$;
	create domain evil.trap as text check (evil.trap_number('domain', 1) is not null);
	create type evil.num as (x integer);
	create function evil.lt(evil.num, evil.num) returns boolean language plpgsql immutable as $$ begin perform evil.attack('operator'); return ($1).x operator(pg_catalog.<) ($2).x; end $$;
	create function evil.eq(evil.num, evil.num) returns boolean language plpgsql immutable as $$ begin perform evil.attack('operator'); return ($1).x operator(pg_catalog.=) ($2).x; end $$;
	create function evil.compare(evil.num, evil.num) returns integer language plpgsql immutable as $$ begin perform evil.attack('operator'); return pg_catalog.btint4cmp(($1).x, ($2).x); end $$;
	create operator evil.< (leftarg = evil.num, rightarg = evil.num, function = evil.lt);
	create operator evil.= (leftarg = evil.num, rightarg = evil.num, function = evil.eq)});
sql(q{
	create operator class evil.ops default for type evil.num using btree as operator 1 evil.<, operator 3 evil.=, function 1 evil.compare(evil.num, evil.num);
	alter operator class evil.ops using btree owner to mallory});
trapped_table('t');
as_mallory(q{
	create materialized view evil.m as select id, evil.trap_number('view', n) as n from evil.t;
	create table evil.part (at timestamptz, n integer) partition by range (evil.trap_number('key', n));
	create table evil.part_1 partition of evil.part for values from (minvalue) to (maxvalue);
	create table evil.part_at (at timestamptz, n integer) partition by range (at);
	create table evil.part_old partition of evil.part_at for values from ('2019-01-01') to ('2021-01-01');
	create table evil.part_rest partition of evil.part_at default;
	create index on evil.part_at (evil.trap_number('index', n));
	insert into evil.part values ('2020-01-01', 1);
	insert into evil.part_at values ('2020-01-01', 1)});

# What was witnessed since the last time: the places; and a test that it was him
# each time, with nothing won.
my $read = 0;
sub witnessed
{
	my ($what) = @_;
	my $log = substr(PostgreSQL::Test::Utils::slurp_file($node->logfile), $read);
	$read += length($log);
	my (%places, %others);
	while ($log =~ /LOG:  witness\|(.*?)\|(.*?)\|(.*?)\|/g)
	{
		$places{$1} = 1;
		$others{"$1 as $2:$3"} = 1 if $2 ne 'mallory' || $3 ne '';
	}
	is_deeply([ sort keys %others ], [], "$what: only as its owner, who wins nothing");
	return join(' ', sort keys %places);
}

# A run by the background, as a superuser: the states of its actions.
sub run_hostile
{
	my ($routine, $params) = @_;
	my $run = sql("select maintsched.run_routine('$routine', '$params', force => true, reason => 'test')");
	wait_for($node, 'postgres', "select finished_at is not null from maintsched.run where run_id operator(pg_catalog.=) $run");
	return sql("set search_path = pg_catalog; select concat_ws(': ', r.state, r.message, (select string_agg(concat_ws(' ', a.target, a.message), ', ') from maintsched.run_actions a where a.run_id = r.run_id and a.state = 'failed'))
		from maintsched.run_history r where r.run_id = $run");
}

my $scope = '"include": ["evil"]';
my $tables = '"tables": [{"table": "evil.t", "column": "at"}, {"table": "evil.part", "column": "at"}, {"table": "evil.part_at", "column": "at", "drop_partitions": true}]';
my @routines = (
	[ 'analyze', qq{$scope, "all": true}, 'index operator predicate statistics' ],
	[ 'vacuum', qq{$scope, "all": true, "analyze": true}, 'index operator predicate statistics' ],
	[ 'bloat', $scope, '' ],
	[ 'amcheck', $scope, 'index operator predicate' ],
	[ 'amcheck', qq{$scope, "parents": true}, 'index operator predicate' ],
	[ 'reindex', qq{$scope, "min_bloat": 0, "min_wasted": "0"}, 'index operator predicate' ],
	[ 'optimize', qq{$scope, "analyze": {"all": true}, "reindex": {"min_bloat": 0, "min_wasted": "0"}}, 'index operator predicate statistics' ],
	[ 'health', '"exclude": ["autovacuum", "durability"]', '' ],
	[ 'archive', $tables, 'after before deferred domain' ]);
witnessed('made');

foreach my $path ('"$user", public', 'way, pg_catalog, public')
{
	sql("alter database postgres set search_path = $path");
	foreach my $case (@routines)
	{
		my ($routine, $params, $expected) = @$case;
		sql("select * from maintsched.plan('$routine', '{$params}')");
		is(witnessed("$path: plan of $routine"), '', "$path: plan of $routine: which calls nothing of his");
		is(run_hostile($routine, "{$params}"), 'succeeded', "$path: $routine of what he has");
		is(witnessed("$path: $routine"), $expected, "$path: $routine: what of it ran");
	}
	# what is called by hand
	sql("select maintsched.bloat_estimate('evil.$_')") foreach qw(t m part_1 t_expression t_operator);
	is(witnessed("$path: bloat_estimate()"), '', "$path: bloat_estimate() calls nothing of his");
	# errors in an operator, even caught ones, give back the locks of the btree
	as_mallory('drop index evil.t_operator');
	# what we ask ourselves is to mean what it says
	foreach my $id (split /\n/, sql(q{set search_path = pg_catalog; select archive_id from maintsched.archives where state = 'archived'}))
	{
		sql("select maintsched.restore_archive($id); select maintsched.verify_archive($id)");
	}
	is(witnessed("$path: restore_archive()"), 'check domain generated index key predicate', "$path: restore_archive(), verify_archive()");
	as_mallory('create index t_operator on evil.t (v); update evil.t set n = n');
	sql(q{select maintsched.check_table('evil.t'); select maintsched.check_index('evil.t_expression'); select maintsched.check_index('evil.t_operator', parents => true)});
	is(witnessed("$path: check_index()"), 'index operator predicate', "$path: check_table(), check_index()");
	sql(q{table maintsched.health; table maintsched.archives; table maintsched.bloat_report; table maintsched.amcheck_report; table maintsched.running;
		select maintsched.corrupt_relations(); select maintsched.invalid_indexes(); select maintsched.archive_leftovers();
		table maintsched.due_tasks; table maintsched.task_status; table maintsched.run_history; table maintsched.run_actions});
	is(witnessed("$path: views"), '', "$path: views and lists call nothing of his");
}
is(sql(q{set search_path = pg_catalog; select string_agg(format('%s %s %s', name, run_as, params), ', ') from maintsched.task}), 'of-the-boss postgres {"statement": "select 1"}', 'his tries left nothing');
$node->stop;
done_testing();
