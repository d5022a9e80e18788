--
-- 56_reindex: what is known of an index, what its rebuild needs, what one leaves
--
-- REINDEX CONCURRENTLY commits in between.  Stopped half-way it leaves an
-- invalid index: before the swap the new one (x_ccnew; the rebuild failed),
-- after it the old one (x_ccold; it had succeeded, whatever the error says).
-- So the result is read from the catalogs, and what is left is found by table,
-- definition and state.  Names, which may be cut short or taken, only tell the
-- new one from the old.
--

create function maintsched.relation_bytes(relation oid) returns bigint
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_relation_bytes';

comment on function maintsched.relation_bytes(oid) is
'Internal: pg_relation_size() of the main fork that does not wait for a lock; NULL: somebody has locked the relation, or it is not there.';

create function maintsched.index_definition(index oid) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select jsonb_build_array(i.indrelid, c.relam, i.indisunique, i.indisexclusion, to_jsonb(i) -> 'indnullsnotdistinct',
		i.indnkeyatts, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text,
		-- as they are stored, but for their places in the command: pg_get_expr() waits for a lock of the table
		regexp_replace(i.indexprs::text, ':location -?[0-9]+', '', 'g'), regexp_replace(i.indpred::text, ':location -?[0-9]+', '', 'g'),
		(select jsonb_agg(a.attoptions order by a.attnum) from pg_attribute a where a.attrelid = c.oid))
	from pg_index i
	join pg_class c on c.oid = i.indexrelid
	where i.indexrelid = index
$$;

comment on function maintsched.index_definition(oid) is
'Internal: What two indexes have in common of which one does all that the other does: table, method, columns, operators, expressions, predicate, uniqueness.';

-- as the owner, who sees the work of all
create function maintsched.is_being_built(index oid, heap oid) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select exists (
			select from pg_stat_progress_create_index p
			where p.datname = current_database() and p.pid <> pg_backend_pid()
			and (p.index_relid = index or p.relid = heap))
		or exists (
			select from pg_locks l
			where l.locktype = 'relation' and l.relation = index
			and l.database = (select d.oid from pg_database d where d.datname = current_database())
			and l.pid is distinct from pg_backend_pid()
			and l.mode in ('ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
$$;

comment on function maintsched.is_being_built(oid, oid) is
'Internal: Whether another session builds or drops an index, or builds one on its table: it is invalid meanwhile, and left over from nothing.';

create function maintsched.invalid_indexes()
returns table (index oid, heap oid, schema_name text, index_name text, bytes bigint, filenode oid,
	writes boolean, kind text, twin oid, twin_name text, rebuilt boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with peer as materialized (
		select i.indexrelid as oid, i.indrelid as heap, i.indisvalid as valid, i.indisready as ready, i.indislive as live,
			n.nspname::text as schema_name, c.relname::text as name,
			substring(c.relname from '_cc(new|old)[0-9]*$') as mark,
			c.relispartition or exists (
				select from pg_constraint o where o.conindid = c.oid and o.conrelid = i.indrelid and o.contype in ('p', 'u', 'x')) as bound,
			maintsched.index_definition(c.oid) as definition
		from pg_index i
		join pg_class c on c.oid = i.indexrelid
		join pg_namespace n on n.oid = c.relnamespace
		where c.relkind = 'i' and c.relpersistence <> 't'
		and i.indrelid in (select x.indrelid from pg_index x where not x.indisvalid)
	), judged as (
		select p.*,
			first_value(p.oid) over w as keeper, first_value(p.valid) over w as keeper_valid,
			first_value(p.mark) over w as keeper_mark, first_value(p.name) over w as keeper_name
		from peer p
		window w as (
			partition by p.definition
			order by p.valid desc, p.bound desc, p.live desc, p.mark is null desc, p.oid)
	)
	select j.oid, j.heap, j.schema_name, j.name, maintsched.relation_bytes(j.oid), pg_relation_filenode(j.oid), j.ready,
		case
			when j.bound then 'own'
			when j.keeper_valid then 'leftover'
			when not j.live then 'dropped'
			when j.mark is not null and j.keeper_mark is null then 'leftover'
			when j.mark is not null then 'orphan'
			when j.oid = j.keeper then 'own'
			else 'double'
		end,
		j.keeper, j.keeper_name,
		case when j.mark is not null then j.mark = 'old' when not j.live then true end
	from judged j
	where not j.valid and not maintsched.is_being_built(j.oid, j.heap)
$$;

comment on function maintsched.invalid_indexes() is
'Internal: The invalid indexes on which nobody works. writes: every write to the table maintains it. kind: leftover (another index does all that it does: of REINDEX CONCURRENTLY, or of a CREATE INDEX CONCURRENTLY in its place), dropped (DROP INDEX CONCURRENTLY was not finished), own (the only one of its kind: to be rebuilt), double (another invalid one will do), orphan (left over by its name, of an index that is no longer there as it was). twin: the index that does its work. rebuilt: whether the rebuild that left it had succeeded; NULL: it cannot be told.';

create function maintsched.index_state(schema_name text, index_name text) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select coalesce((
		select jsonb_strip_nulls(jsonb_build_object(
			'size_bytes', maintsched.relation_bytes(c.oid),
			'valid', i.indisvalid and i.indisready and i.indislive,
			'ready', case when not i.indisvalid then i.indisready end,
			'constraint', (
				select o.conname from pg_constraint o
				where o.conindid = c.oid and o.conrelid = i.indrelid and o.contype in ('p', 'u', 'x')),
			'primary', nullif(i.indisprimary, false),
			'replica_identity', nullif(i.indisreplident, false),
			'clustered', nullif(i.indisclustered, false),
			'partition_of', (
				select format('%I.%I', m.nspname, p.relname)
				from pg_inherits h
				join pg_class p on p.oid = h.inhparent
				join pg_namespace m on m.oid = p.relnamespace
				where h.inhrelid = c.oid)))
		from pg_class c
		join pg_namespace n on n.oid = c.relnamespace
		join pg_index i on i.indexrelid = c.oid
		where n.nspname = index_state.schema_name and c.relname = index_state.index_name), '{"exists": false}')
$$;

comment on function maintsched.index_state(text, text) is
'Internal: What is measured before and after the rebuild or the drop of an index: size, validity, and what hangs on it.';

create function maintsched.volume(tablespace oid, out volume bigint, out free_bytes bigint)
language c volatile
as 'MODULE_PATHNAME', 'maintsched_volume';

comment on function maintsched.volume(oid) is
'Internal: On which file system (a number) a tablespace lies, and how many bytes the server may still write there; 0 is the tablespace of the database, NULL the write-ahead log. NULL: it is not known.';

create function maintsched.space_problem(index oid, bytes bigint, min_free bigint) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	in_temp constant oid := coalesce((
		select t.oid from pg_tablespace t
		where t.spcname = btrim(split_part(current_setting('temp_tablespaces'), ',', 1), ' "')), 0);
	sorted constant bigint := case
		when bytes > pg_size_bytes(current_setting('maintenance_work_mem')) then bytes else 0 end;
	problem text;
begin
	select format('the copy, what is sorted for it and its write-ahead log take %s, %s are to stay free, and %s are free',
			pg_size_pretty(v.needed), pg_size_pretty(min_free), pg_size_pretty(v.free_bytes))
	into problem
	from (
		select n.volume, sum(n.needed)::bigint as needed, min(n.free_bytes) as free_bytes
		from pg_class c
		cross join lateral (
			select x.volume, x.free_bytes, bytes as needed from maintsched.volume(c.reltablespace) x
			union all
			select x.volume, x.free_bytes, sorted from maintsched.volume(in_temp) x where sorted > 0
			union all
			-- what goes beyond is recycled by checkpoints
			select x.volume, x.free_bytes, least(bytes, pg_size_bytes(current_setting('max_wal_size')))
			from maintsched.volume(null) x
			where c.relpersistence = 'p') n
		where c.oid = index and n.free_bytes is not null
		group by n.volume) v
	where v.needed + min_free > v.free_bytes
	order by v.needed + min_free - v.free_bytes desc
	limit 1;
	return problem;
end
$$;

comment on function maintsched.space_problem(oid, bigint, bigint) is
'Internal: Why there is no room for a copy of an index of so many bytes, beside min_free that are to stay free on each file system that is written; NULL: there is.';

-- as the owner, who sees what all sessions do
create function maintsched.rebuild_obstacle(index oid, heap oid, patience interval, stay interval, rebuild boolean) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	database_oid constant oid := (select d.oid from pg_database d where d.datname = current_database());
	special constant boolean := coalesce((
		select i.indexprs is not null or i.indpred is not null from pg_index i where i.indexrelid = index), false);
	obstacle text;
begin
	-- what sessions do is else remembered to the end of the transaction
	perform pg_stat_clear_snapshot();
	obstacle := maintsched.lock_obstacle(heap);
	if obstacle is not null then
		return obstacle;
	end if;

	-- these wait for one another, tables apart as they may be
	select format('process %s builds an index, and one of the two has an expression or a predicate: they would wait for each other', p.pid)
	into obstacle
	from pg_stat_progress_create_index p
	left join pg_index i on i.indexrelid = p.index_relid
	where rebuild and p.datid = database_oid and p.pid <> pg_backend_pid()
	and p.command like '%CONCURRENTLY'
	and (special or i.indexprs is not null or i.indpred is not null)
	order by p.pid
	limit 1;
	if found then
		return obstacle;
	end if;

	select format('process %s, in a transaction, has been idle for %s: it would be waited for', s.pid,
			maintsched.age_text(clock_timestamp() - s.state_change))
	into obstacle
	from pg_stat_activity s
	where s.datid = database_oid and s.state like 'idle in transaction%' and s.pid <> pg_backend_pid()
	and s.state_change < clock_timestamp() - patience
	and (rebuild and s.backend_xmin is not null or exists (
		select from pg_locks l
		where l.pid = s.pid and l.locktype = 'relation' and l.database = database_oid and l.relation = heap))
	order by s.state_change
	limit 1;
	if found then
		return obstacle;
	end if;

	-- what has taken so long may take as long again; and its transaction is
	-- waited for, not its statement
	select format('process %s, in a transaction for %s, is at work: it would be waited for', s.pid,
			maintsched.age_text(clock_timestamp() - s.xact_start))
	into obstacle
	from pg_stat_activity s
	where s.datid = database_oid and s.state = 'active' and s.pid <> pg_backend_pid()
	and s.xact_start < clock_timestamp() - stay
	and (rebuild and s.backend_xmin is not null or exists (
		select from pg_locks l
		where l.pid = s.pid and l.locktype = 'relation' and l.database = database_oid and l.relation = heap))
	-- these do not count for one another
	and not exists (select from pg_stat_progress_vacuum v where v.pid = s.pid)
	and not exists (select from pg_stat_progress_create_index p where p.pid = s.pid and p.command like '%CONCURRENTLY')
	order by s.xact_start
	limit 1;
	if found then
		return obstacle;
	end if;

	select format('a transaction prepared %s ago has used the table: it would be waited for', maintsched.age_text(clock_timestamp() - x.prepared))
	into obstacle
	from pg_prepared_xacts x
	where x.database = current_database() and x.prepared < clock_timestamp() - patience
	and exists (
		select from pg_locks l
		where l.pid is null and l.locktype = 'relation' and l.database = database_oid and l.relation = heap)
	limit 1;
	return obstacle;
end
$$;

comment on function maintsched.rebuild_obstacle(oid, oid, interval, interval, boolean) is
'Internal: What keeps an index from being rebuilt, or dropped, concurrently now: a lock of its table, another build that waits for this one, or a transaction that would be waited for and has done nothing for longer than patience, or something for longer than stay; NULL: nothing.';

-- as the owner, who reads what is recorded of runs
create function maintsched.waited_in_vain(heap oid, obstacle text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select exists (
		select from maintsched.run r
		join maintsched.run_action a using (run_id)
		where r.pid = pg_backend_pid() and r.state = 'running'
		and a.state = 'skipped' and a.skip_reason = 'lock_timeout'
		-- there are ages in the words
		and coalesce(substring(a.message from 'process [0-9]+'), left(a.message, 20))
			= coalesce(substring(obstacle from 'process [0-9]+'), left(obstacle, 20))
		and (obstacle ~ '^process [0-9]+, in a transaction' or heap = (
			select i.indrelid from pg_index i
			where i.indexrelid = to_regclass(substring(a.command from '^[A-Z]+ INDEX CONCURRENTLY (.*)$')))))
$$;

comment on function maintsched.waited_in_vain(oid, text) is
'Internal: Whether the run of this process has skipped an action for the same obstacle before: to a transaction that would be waited for, whatever its table, to another one only of this table.';

create function maintsched.await_table(index oid, heap oid, patience interval, stay interval, rebuild boolean) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	ends constant timestamptz := clock_timestamp() + patience;
	obstacle text;
begin
	-- No lock is asked for, behind which others would have to wait.
	loop
		obstacle := maintsched.rebuild_obstacle(index, heap, patience, stay, rebuild);
		if obstacle is null or clock_timestamp() >= ends or maintsched.waited_in_vain(heap, obstacle) then
			return obstacle;
		end if;
		perform pg_sleep(0.1);
	end loop;
end
$$;

comment on function maintsched.await_table(oid, oid, interval, interval, boolean) is
'Internal: Waits, for patience at the most, until rebuild_obstacle() sees none; returns the one that is still there. For one that another action of the run has waited for is not waited again.';

create function maintsched.rebuild_needed(
	schema_name text, index_name text, filenode oid, bytes bigint, min_free bigint, patience interval, stay interval)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	x record;
	problem text;
begin
	select i.indexrelid, i.indrelid into x
	from pg_class c
	join pg_namespace n on n.oid = c.relnamespace
	join pg_index i on i.indexrelid = c.oid
	where n.nspname = schema_name and c.relname = index_name;
	if not found then
		return '{"skip": "not_needed", "reason": "it is not there any more"}';
	elsif pg_relation_filenode(x.indexrelid) is distinct from filenode then
		return '{"skip": "not_needed", "reason": "it was rebuilt meanwhile"}';
	end if;
	problem := maintsched.space_problem(x.indexrelid, bytes, min_free);
	if problem is not null then
		return jsonb_build_object('skip', 'no_space', 'reason', problem);
	end if;
	problem := maintsched.await_table(x.indexrelid, x.indrelid, patience, stay, true);
	if problem is not null then
		return jsonb_build_object('skip', 'lock_timeout', 'reason', problem);
	end if;
	return 'true';
end
$$;

comment on function maintsched.rebuild_needed(text, text, oid, bigint, bigint, interval, interval) is
'Internal: Whether an index is still to be rebuilt, there is room for it and nothing is in the way; asked right before.';

create function maintsched.drop_needed(schema_name text, index_name text, filenode oid, patience interval)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	x record;
	problem text;
begin
	select v.index, v.heap into x
	from maintsched.invalid_indexes() v
	where v.schema_name = schema_name and v.index_name = index_name and v.filenode = filenode
	and v.kind in ('leftover', 'dropped');
	if not found then
		return '{"skip": "not_needed", "reason": "it is not there any more, or of use, or somebody works on it"}';
	end if;
	problem := maintsched.await_table(x.index, x.heap, patience, patience, false);
	if problem is not null then
		return jsonb_build_object('skip', 'lock_timeout', 'reason', problem);
	end if;
	return 'true';
end
$$;

comment on function maintsched.drop_needed(text, text, oid, interval) is
'Internal: Whether an invalid index is still to be dropped, and nothing is in the way; asked right before.';

create function maintsched.drop_verdict(schema_name text, index_name text, filenode oid) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select case when exists (
			select from pg_class c
			join pg_namespace n on n.oid = c.relnamespace
			where n.nspname = schema_name and c.relname = index_name and pg_relation_filenode(c.oid) = filenode)
		then '{"done": false, "reason": "the index is still there"}'::jsonb
		else '{"done": true}' end
$$;

comment on function maintsched.drop_verdict(text, text, oid) is
'Internal: Whether an index is gone, however its DROP ended.';

create function maintsched.drop_action(schema_name text, index_name text, bytes bigint, filenode oid, writes boolean,
	kind text, twin_name text, rebuilt boolean, patience interval)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select jsonb_build_object(
		'target', format('%I.%I', schema_name, index_name),
		'command', format('DROP INDEX CONCURRENTLY %I.%I', schema_name, index_name),
		'reason', case
				when kind = 'dropped' then 'a DROP INDEX CONCURRENTLY of it was not finished'
				when rebuilt then format('left over by a rebuild of %I that had succeeded', twin_name)
				when not rebuilt then format('left over by a rebuild of %I that failed', twin_name)
				else format('invalid, and %I does all that it would do', twin_name)
			end || coalesce('; ' || pg_size_pretty(bytes), '')
			|| case when writes then ', and every write to the table maintains it' else '' end,
		'benefit_bytes', bytes,
		'details', jsonb_build_object(
			'routine', 'reindex',
			'lock_timeout', (extract(epoch from patience) * 1000)::bigint,
			'still_needed', format('maintsched.drop_needed(%L, %L, %L, %L)', schema_name, index_name, filenode, patience),
			'measure', format('maintsched.index_state(%L, %L)', schema_name, index_name),
			'verify', format('maintsched.drop_verdict(%L, %L, %L)', schema_name, index_name, filenode)))
$$;

comment on function maintsched.drop_action(text, text, bigint, oid, boolean, text, text, boolean, interval) is
'Internal: The action that drops an invalid index, from a row of invalid_indexes().';

create function maintsched.rebuild_verdict(
	schema_name text, index_name text, filenode oid, constraint_name text, patience interval)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	x record;
	problem text;
begin
	select c.oid, i.indrelid, i.indisvalid and i.indisready and i.indislive as valid,
		pg_relation_filenode(c.oid) <> filenode as fresh,
		constraint_name is null or exists (
			select from pg_constraint o
			where o.conindid = c.oid and o.conrelid = i.indrelid and o.conname = constraint_name) as bound
	into x
	from pg_class c
	join pg_namespace n on n.oid = c.relnamespace
	join pg_index i on i.indexrelid = c.oid
	where n.nspname = schema_name and c.relname = index_name;
	problem := case
		when x.oid is null then 'the index is not there any more'
		when not x.fresh then 'the index was not rebuilt'
		when not x.valid then 'the index is not valid'
		when not x.bound then format('the constraint "%s" is not on it any more', constraint_name)
	end;
	return jsonb_strip_nulls(jsonb_build_object(
		'done', problem is null,
		'reason', problem,
		'obstacle', case when problem is not null then maintsched.rebuild_obstacle(x.oid, x.indrelid, '0', '0', true) end,
		'cleanup', (
			select jsonb_agg(maintsched.drop_action(v.schema_name, v.index_name, v.bytes, v.filenode, v.writes,
				v.kind, v.twin_name, v.rebuilt, least(patience, '2 seconds')) order by v.index_name)
			from maintsched.invalid_indexes() v
			join pg_class c on c.oid = v.index
			where v.twin = x.oid and v.kind = 'leftover' and pg_has_role(c.relowner, 'USAGE'))));
end
$$;

comment on function maintsched.rebuild_verdict(text, text, oid, text, interval) is
'Internal: What the catalogs say of the rebuild of an index, however it ended: done; if not, why, and who is in its way; and what it left behind, as actions.';
