--
-- 57_reindex_plan: which indexes to rebuild, and which it would be no use to
--

create function maintsched.last_rebuilds(target text)
returns table (rebuilt_at timestamptz, before_bytes bigint, after_bytes bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select a.finished_at, (a.before ->> 'size_bytes')::bigint, (a.after ->> 'size_bytes')::bigint
	from maintsched.run_action a
	join maintsched.run r using (run_id)
	where md5(a.target) = md5(last_rebuilds.target) and a.target = last_rebuilds.target
	and a.state = 'done' and a.command like 'REINDEX INDEX %' and r.routine in ('reindex', 'optimize')
	and a.before ->> 'size_bytes' is not null and a.after ->> 'size_bytes' is not null
	and (not r.simulated or maintsched.clock_simulated())
	order by a.run_id desc, a.seq desc
	limit 2
$$;

comment on function maintsched.last_rebuilds(text) is
'Internal: The last two rebuilds of an index by routine reindex or optimize, by its name: when, and its size before and after.';

create function maintsched.churn(target text, bytes bigint, wasted bigint, min_interval interval) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	-- what counts as having come back
	most constant numeric := 0.8;
	longest constant interval := '90 days';
	last record;
	won bigint;
	pause interval := min_interval;
	since interval;
begin
	select min(l.rebuilt_at) filter (where l.n = 2) as previous_at,
		min(l.before_bytes - l.after_bytes) filter (where l.n = 2) as previous_won,
		min(l.rebuilt_at) filter (where l.n = 1) as rebuilt_at,
		min(l.before_bytes) filter (where l.n = 1) as before_bytes,
		min(l.after_bytes) filter (where l.n = 1) as after_bytes
	into last
	from maintsched.last_rebuilds(target) with ordinality l(rebuilt_at, before_bytes, after_bytes, n);
	if last.rebuilt_at is null or min_interval is null then
		return null;
	end if;
	since := maintsched.clock() - last.rebuilt_at;
	won := last.before_bytes - last.after_bytes;
	if won < wasted * (1 - most) and bytes <= last.after_bytes * 1.1 and since < pause then
		return format('the rebuild %s ago gave back %s: the next one not within %s', maintsched.age_text(since),
			pg_size_pretty(greatest(won, 0)), maintsched.age_text(pause));
	elsif won < wasted * (1 - most) or wasted < won * most then
		return null;
	end if;
	-- twice as long after each time that it had come back
	if won >= last.previous_won * most then
		pause := greatest(pause, least(2 * (last.rebuilt_at - last.previous_at), longest));
	end if;
	if since < pause then
		return format('what the rebuild %s ago gave back, %s, has come back: the next one not within %s', maintsched.age_text(since),
			pg_size_pretty(won), maintsched.age_text(pause));
	end if;
	return null;
end
$$;

comment on function maintsched.churn(text, bigint, bigint, interval) is
'Internal: Why it is pointless to rebuild a bloated index: it has regrown since its last rebuild, less than min_interval ago, or less than twice the time that it took to regrow before (90 days at the most); or that rebuild gave back next to nothing. NULL: it is not.';

create function maintsched.index_bloat(index oid, sample_pages integer, judge boolean)
returns table (bloat_ratio double precision, bloat_bytes bigint, ci_low double precision, ci_high double precision, detail text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
begin
	if judge then
		return query
		select b.bloat_ratio, b.bloat_bytes, b.ci_low, b.ci_high, b.detail
		from maintsched.bloat_estimate(index, sample_pages) b;
	end if;
exception
	when lock_not_available then
		return query select null::double precision, null::bigint, null::double precision, null::double precision, 'locked by another session';
	when undefined_object or undefined_table then
		return;
	-- one that is lost does not keep the others from being rebuilt
	when undefined_file or io_error or data_corrupted or index_corrupted or internal_error or insufficient_privilege then
		raise warning 'index % cannot be read: %', index::regclass, sqlerrm;
		return query select null::double precision, null::bigint, null::double precision, null::double precision, 'it cannot be read';
end
$$;

comment on function maintsched.index_bloat(oid, integer, boolean) is
'Internal: bloat_estimate() of an index, which may be locked or dropped meanwhile; no row where it is not to be judged.';

create function maintsched.index_matches(
	schema_name text, index_name text, heap_schema text, heap_name text, partitions oid[], patterns jsonb)
returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	return maintsched.name_matches(schema_name, index_name, patterns)
		or maintsched.name_matches(heap_schema, heap_name, patterns)
		or partitions <> '{}' and exists (
			select from unnest(partitions) p(oid)
			cross join pg_partition_ancestors(p.oid) a(relid)
			join pg_class c on c.oid = a.relid
			join pg_namespace n on n.oid = c.relnamespace
			where maintsched.name_matches(n.nspname, c.relname, patterns));
end
$$;

comment on function maintsched.index_matches(text, text, text, text, oid[], jsonb) is
'Internal: Whether one of the patterns is that of an index, of its table or, for partitions (of the two, those that are one), of what is above them.';

create function maintsched.reindex_scope(params jsonb)
returns table (index oid, heap oid, heap_schema text, heap_name text, schema_name text, index_name text, is_partition boolean, of_toast boolean,
	target text, allowed boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	include constant jsonb := nullif(params -> 'include', 'null');
	exclude constant jsonb := nullif(params -> 'exclude', 'null');
	-- the privilege is one since PostgreSQL 17
	maintain constant boolean := current_setting('server_version_num')::integer >= 170000;
begin
	-- toast is its table's; the indexes of a partitioned table are those of its partitions
	return query
	select s.*
	from (
		select i.indexrelid, i.indrelid, s.nspname::text as heap_schema, coalesce(o.relname, t.relname)::text as heap_name,
			n.nspname::text as schema_name, c.relname::text as index_name,
			coalesce(o.relispartition, t.relispartition), o.oid is not null,
			-- the oid in the name of a toast table is another one in a restored database
			case when o.oid is not null then format('%I.%I (toast index)', s.nspname, o.relname) else format('%I.%I', n.nspname, c.relname) end,
			-- that of a toast table also takes USAGE of schema pg_toast
			(pg_has_role(c.relowner, 'USAGE') or maintain and has_table_privilege(i.indrelid, 'MAINTAIN'))
				and has_schema_privilege(c.relnamespace, 'USAGE')
		from pg_index i
		join pg_class c on c.oid = i.indexrelid
		join pg_namespace n on n.oid = c.relnamespace
		join pg_class t on t.oid = i.indrelid
		left join pg_class o on t.relkind = 't' and o.reltoastrelid = t.oid
		join pg_namespace s on s.oid = coalesce(o.relnamespace, t.relnamespace)
		cross join lateral (
			select array_remove(array[
				case when coalesce(o.relispartition, t.relispartition) then coalesce(o.oid, t.oid) end,
				case when c.relispartition then c.oid end], null) as partitions) p
		where c.relkind = 'i' and c.relpersistence <> 't'
		and not starts_with(s.nspname, 'pg_') and s.nspname <> 'information_schema'
		and (include is null or maintsched.index_matches(n.nspname, c.relname, s.nspname, coalesce(o.relname, t.relname), p.partitions, include))
		and (exclude is null or not maintsched.index_matches(n.nspname, c.relname, s.nspname, coalesce(o.relname, t.relname), p.partitions, exclude))) s;
end
$$;

comment on function maintsched.reindex_scope(jsonb) is
'Internal: The indexes that include and exclude of params mean, with their table (for that of a toast table: the table that it is of), what they are called as a target, and whether the current role may rebuild each.';

create function maintsched.check_reindex_scope(params jsonb, allowed bigint, refused bigint) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	include constant jsonb := nullif(params -> 'include', 'null');
begin
	-- what looked at nothing proves nothing
	if allowed = 0 and refused > 0 then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('role "%s" may rebuild none of the indexes that are meant', current_user),
			hint = 'Indexes are rebuilt by their owner or a superuser; since PostgreSQL 17 also with the privilege MAINTAIN on the table.';
	elsif allowed = 0 and include is not null and not exists (
		select from jsonb_array_elements_text(include) p
		where maintsched.pattern_is_known(p.value, array['r', 'p', 'm', 'i', 'I']))
	then
		raise exception using
			errcode = 'undefined_table',
			message = format('no table or index is meant by include %s', include),
			hint = 'include takes schemas, and tables and indexes as schema.name, with * for any text and ? for a character, in the letters of the catalog; the system''s are left alone.';
	end if;
	perform maintsched.warn_of_unknown_names(params, 'table or index', array['r', 'p', 'm', 'i', 'I']);
end
$$;

comment on function maintsched.check_reindex_scope(jsonb, bigint, bigint) is
'Internal: Raises insufficient_privilege (42501) where the role may rebuild nothing of what is meant, undefined_table (42P01) where nothing is; WARNINGs for names that mean nothing.';

create function maintsched.bloat_text(bytes bigint, bloat_ratio double precision, bloat_bytes bigint, ci_low double precision, ci_high double precision)
returns text
language sql immutable parallel safe
return format('%s of %s reclaimable (%s %%', pg_size_pretty(bloat_bytes), pg_size_pretty(bytes), round(100 * bloat_ratio::numeric, 1))
	|| coalesce(' +/- ' || round(50 * (ci_high - ci_low)::numeric, 1), '') || ')';

comment on function maintsched.bloat_text(bigint, double precision, bigint, double precision, double precision) is
'Internal: What could be reclaimed, with its 95 % interval, for people.';

create function maintsched.estimate_rebuild(target text, name text, heap oid, heap_bytes bigint, new_bytes bigint,
	out bytes bigint, out prior numeric, out seconds numeric)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	-- the table is read twice; entries are sorted, written and compared.  100 MB/s
	-- is what a machine without much to boast of does.
	bytes := 2 * heap_bytes + 3 * new_bytes;
	prior := round(0.2 + bytes / 1e8, 2);
	seconds := maintsched.estimate_seconds('reindex', target, 'REINDEX INDEX CONCURRENTLY ' || name, prior, bytes);
end
$$;

comment on function maintsched.estimate_rebuild(text, text, oid, bigint, bigint) is
'Internal: How much a rebuild reads and writes, how long it takes by that, and by what is on record.';

create function maintsched.rebuild_action(target text, schema_name text, index_name text, index oid, new_bytes bigint, reason text, benefit_bytes bigint,
	prior numeric, seconds numeric, bytes bigint, constraint_name text, min_free bigint, patience interval)
returns maintsched.action
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	filenode constant oid := pg_relation_filenode(index);
	short constant text := maintsched.space_problem(index, new_bytes, min_free);
	-- It waits for older transactions, too, in nobody's way: what took long is
	-- not thrown away for a short wait.
	stay constant interval := greatest(patience, make_interval(secs => seconds::double precision));
begin
	return (
		target,
		format('REINDEX INDEX CONCURRENTLY %I.%I', schema_name, index_name),
		reason || coalesce('; no room now: ' || short, ''),
		benefit_bytes,
		prior,
		jsonb_build_object(
			'routine', 'reindex',
			'bytes', bytes,
			'lock_timeout', (extract(epoch from stay) * 1000)::bigint,
			'still_needed', format('maintsched.rebuild_needed(%L, %L, %L, %L, %L, %L, %L)', schema_name, index_name, filenode, new_bytes, min_free, patience, stay),
			'measure', format('maintsched.index_state(%L, %L)', schema_name, index_name),
			'verify', format('maintsched.rebuild_verdict(%L, %L, %L, %L, %L)', schema_name, index_name, filenode, constraint_name, patience))
	)::maintsched.action;
end
$$;

comment on function maintsched.rebuild_action(text, text, text, oid, bigint, text, bigint, numeric, numeric, bigint, text, bigint, interval) is
'Internal: The action that rebuilds an index.';

create function maintsched.judge_indexes(params jsonb)
returns table (index oid, heap oid, schema_name text, index_name text, target text, bytes bigint, heap_bytes bigint, allowed boolean,
	invalid boolean, found_at timestamptz, heap_found_at timestamptz, exclusion boolean, constraint_name text, partial boolean, min_interval interval,
	wanted boolean, bloat_ratio double precision, bloat_bytes bigint, ci_low double precision, ci_high double precision,
	detail text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	sample_pages constant integer := coalesce((params ->> 'sample_pages')::integer, 1000);
	overrides constant jsonb := coalesce(nullif(params -> 'overrides', 'null'), '{}');
begin
	return query
	with found as materialized (
		select x.* from maintsched.corrupt_relations() x where not x.rewritten
	), corrupt as materialized (
		-- that of a toast table goes by the name of the table
		select format('%I.%I', x.schema, x.relation) || case x.kind when 'toast index' then ' (toast index)' else '' end as target,
			max(x.found_at) as found_at
		from found x
		where x.kind in ('index', 'toast index')
		group by 1
	), sized as materialized (
		select s.*, maintsched.relation_bytes(s.index) as bytes, i.indisvalid and i.indislive as valid,
			i.indisexclusion, i.indexprs is not null or i.indpred is not null as partial,
			coalesce((t.min_bloat #>> '{}')::double precision, 0.3) as min_bloat,
			coalesce(pg_size_bytes(t.min_wasted #>> '{}'), pg_size_bytes('10 MB')) as min_wasted,
			(t.min_interval #>> '{}')::interval as min_interval
		from maintsched.reindex_scope(params) s
		join pg_index i on i.indexrelid = s.index
		cross join lateral (
			select maintsched.threshold(params, 'min_bloat', n.names) as min_bloat,
				maintsched.threshold(params, 'min_wasted', n.names) as min_wasted,
				maintsched.threshold(params, 'min_interval', n.names) as min_interval
			from (
				-- the names of an index take a while, and most have no say
				select case when overrides <> '{}' and (s.is_partition or overrides ?| array[s.heap_schema, s.schema_name,
						s.heap_schema || '.' || s.heap_name, s.schema_name || '.' || s.index_name])
					then maintsched.threshold_names(s.index) end as names) n) t
	)
	select j.index, j.heap, j.schema_name, j.index_name, j.target, j.bytes,
		case when not j.valid or f.found_at is not null or x.wanted then coalesce(maintsched.relation_bytes(j.heap), 0) end, j.allowed,
		not j.valid, f.found_at,
		(select max(x.found_at) from found x
			where (x.schema, x.relation) = (j.heap_schema, j.heap_name) and x.kind not in ('index', 'toast index')),
		j.indisexclusion,
		(select o.conname::text from pg_constraint o
			where o.conindid = j.index and o.conrelid = j.heap and o.contype in ('p', 'u', 'x')),
		j.partial, j.min_interval, x.wanted,
		b.bloat_ratio, b.bloat_bytes, b.ci_low, b.ci_high,
		case when j.bytes is null then 'locked by another session'
			-- an index has a page at least; on a standby, what is unlogged has no file
			when j.bytes = 0 then 'it has no file here'
			else b.detail end
	from sized j
	-- none can waste more than it is
	left join lateral maintsched.index_bloat(j.index, sample_pages, j.valid and j.allowed and j.bytes >= greatest(j.min_wasted, 1)) b on true
	cross join lateral (select coalesce(b.bloat_ratio >= j.min_bloat and b.bloat_bytes >= j.min_wasted, false) as wanted) x
	left join corrupt f on f.target = j.target
		and f.found_at > all (select l.rebuilt_at from maintsched.last_rebuilds(j.target) l);
end
$$;

comment on function maintsched.judge_indexes(jsonb) is
'Internal: What is known of each index that is meant. found_at: when amcheck last found it corrupt, not rebuilt since; heap_found_at: its table. partial: it has an expression or a predicate. wanted: its bloat is beyond the thresholds. heap_bytes: size of the table of what is invalid, corrupt or wanted.';

create function maintsched.plan_reindex(params jsonb) returns setof maintsched.action
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
	patience interval;
	min_free bigint;
	total record;
begin
	perform maintsched.check_params('reindex', params);
	patience := coalesce((params ->> 'lock_timeout')::interval, '10 seconds');
	min_free := coalesce(pg_size_bytes(params ->> 'min_free'), pg_size_bytes('512 MB'));
	params := '{"min_interval": "7 days"}'::jsonb || params;

	select count(*) filter (where s.allowed) as allowed, count(*) filter (where not s.allowed) as refused,
		(array_agg(s.target order by s.of_toast, s.target collate "C") filter (where not s.allowed))[1:5] as others
	into total
	from maintsched.reindex_scope(params) s;
	perform maintsched.check_reindex_scope(params, total.allowed, total.refused);

	return query
	with index as materialized (
		select j.*, format('%I.%I', j.schema_name, j.index_name) as name,
			case when j.invalid or j.bytes is null then greatest(j.bytes, 40 * (select c.reltuples from pg_class c where c.oid = j.heap)::bigint)
				else j.bytes - coalesce(j.bloat_bytes, 0) end as new_bytes,
			case
				when not j.wanted then null
				when j.heap_found_at is not null then format('its table was found corrupt %s ago: what the index knows of its rows is kept until that is mended',
					maintsched.age_text(maintsched.clock() - j.heap_found_at))
				else maintsched.churn(j.target, j.bytes, j.bloat_bytes, j.min_interval)
			end as churn
		from maintsched.judge_indexes(params) j
		where j.allowed
	), invalid as materialized (
		select v.*, format('%I.%I', v.schema_name, v.index_name) as name, pg_has_role(c.relowner, 'USAGE') as may_drop
		from maintsched.invalid_indexes() v
		join pg_class c on c.oid = v.index
		-- of an index that is meant, whatever it is called
		where v.index in (select i.index from index i) or v.twin in (select i.index from index i)
	), due as materialized (
		select i.*, v.kind, v.writes
		from index i
		left join invalid v on v.index = i.index
		where not i.exclusion
		and (i.found_at is not null and not i.invalid or v.kind = 'own'
			or i.wanted and i.churn is null)
	), work as (
		-- what was left over goes first: it takes room, and each write maintains it
		select 1 as rank, v.bytes::double precision as rate, (jsonb_populate_record(null::maintsched.action,
			maintsched.drop_action(v.schema_name, v.index_name, v.bytes, v.filenode, v.writes, v.kind, v.twin_name, v.rebuilt, patience)
			|| '{"estimated_seconds": 0.1}')).*
		from invalid v
		where v.kind in ('leftover', 'dropped') and v.may_drop
		union all
		select r.rank, i.bloat_bytes / greatest(e.seconds, 0.001), a.target, a.command, a.reason, a.benefit_bytes, a.estimated_seconds, a.details
		from due i
		cross join lateral (
			select case when i.found_at is not null then 2 when i.kind = 'own' then 3 else 4 end as rank,
				case
					when i.found_at is not null then format('found corrupt %s ago', maintsched.age_text(maintsched.clock() - i.found_at))
					when i.kind = 'own' then 'invalid: no query uses it' || case when i.writes then ', and every write to the table maintains it' else '' end
					else maintsched.bloat_text(i.bytes, i.bloat_ratio, i.bloat_bytes, i.ci_low, i.ci_high) || coalesce(', ' || i.detail, '') || ', ' || coalesce((
						select 'last rebuilt ' || maintsched.age_text(maintsched.clock() - l.rebuilt_at) || ' ago'
						from maintsched.last_rebuilds(i.target) l limit 1), 'no rebuild on record')
				end as reason) r
		cross join lateral maintsched.estimate_rebuild(i.target, i.name, i.heap, i.heap_bytes, i.new_bytes) e
		cross join lateral maintsched.rebuild_action(i.target, i.schema_name, i.index_name, i.index, i.new_bytes,
			r.reason, i.bloat_bytes, e.prior, e.seconds, e.bytes, i.constraint_name, min_free, patience) a
		union all
		select 5, i.bloat_bytes, i.target, format('REINDEX INDEX %s', case when i.exclusion then '' else 'CONCURRENTLY ' end) || i.name,
			case
				when i.found_at is not null then format('found corrupt %s ago', maintsched.age_text(maintsched.clock() - i.found_at))
				when i.wanted then maintsched.bloat_text(i.bytes, i.bloat_ratio, i.bloat_bytes, i.ci_low, i.ci_high)
				else 'invalid'
			end || '; ' || case when i.exclusion
				then 'PostgreSQL cannot rebuild what an exclusion constraint rests on without locking the table against writes'
				else i.churn end,
			i.bloat_bytes, null::numeric, '{"skip": "pointless"}'::jsonb
		from index i
		where i.exclusion and (i.found_at is not null or i.invalid or i.wanted)
		or i.churn is not null and i.found_at is null
		union all
		select 6, v.bytes, v.name, 'DROP INDEX CONCURRENTLY ' || v.name,
			case
				when v.kind = 'orphan' then 'invalid, and by its name left over by the rebuild of an index that is no longer there as it was: whether it is wanted, people have to say'
				when v.kind = 'double' then format('invalid, and so is %I, which does the same and is rebuilt first', v.twin_name)
				else format('left over by a rebuild of %I; its owner or a superuser drops it', v.twin_name)
			end, v.bytes, null, '{"skip": "pointless"}'
		from invalid v
		where v.kind in ('orphan', 'double') or v.kind in ('leftover', 'dropped') and not v.may_drop
		union all
		select 7, 0, x.target, 'REINDEX INDEX ' || x.name,
			format('found corrupt %s ago; the system''s indexes cannot be rebuilt without locking their table', maintsched.age_text(maintsched.clock() - x.found_at)),
			null, null, '{"skip": "pointless"}'
		from (
			select format('%I.%I', f.schema, f.relation) || case f.kind when 'toast index' then ' (toast index)' else '' end as target,
				format('%I.%I', n.nspname, i.relname) as name, max(f.found_at) as found_at
			from maintsched.corrupt_relations() f
			join pg_class c on c.relname = f.relation and c.relnamespace = (select s.oid from pg_namespace s where s.nspname = f.schema)
			join pg_class i on i.oid = case f.kind when 'index' then c.oid
				else (select t.indexrelid from pg_index t where t.indrelid = nullif(c.reltoastrelid, 0) limit 1) end
			join pg_namespace n on n.oid = i.relnamespace
			where f.schema = 'pg_catalog' and f.kind in ('index', 'toast index') and nullif(params -> 'include', 'null') is null
			group by 1, 2) x
		union all
		select 8, 0, format('%I.%I', n.nspname, c.relname), 'ALTER INDEX ' || format('%I.%I', n.nspname, c.relname) || ' ATTACH PARTITION ...',
			'an index of a partitioned table, invalid until each partition has one that is attached to it', null, null, '{"skip": "pointless"}'
		from pg_index p
		join pg_class c on c.oid = p.indexrelid and c.relkind = 'I'
		join pg_namespace n on n.oid = c.relnamespace
		join pg_class t on t.oid = p.indrelid
		join pg_namespace s on s.oid = t.relnamespace
		where not p.indisvalid and pg_has_role(c.relowner, 'USAGE')
		and (nullif(params -> 'include', 'null') is null
			or maintsched.index_matches(n.nspname, c.relname, s.nspname, t.relname, array[t.oid], params -> 'include'))
		and (nullif(params -> 'exclude', 'null') is null
			or not maintsched.index_matches(n.nspname, c.relname, s.nspname, t.relname, array[t.oid], params -> 'exclude'))
		union all
		select 9, 0, format('%I', current_database()), '-- not allowed',
			format('%s left out: role "%s" may not rebuild %s (%s)',
				case total.refused when 1 then '1 index is' else maintsched.count_text(total.refused) || ' indexes are' end,
				current_user, case total.refused when 1 then 'it' else 'them' end, array_to_string(total.others, ', ') || case when total.refused > 5 then ', ...' else '' end),
			null, null, '{"skip": "pointless"}'
		where total.refused > 0
		union all
		-- that they were looked at is worth something
		select 10, 0, format('%I', current_database()), '-- nothing to do',
			case when total.allowed = 0 then 'there is no index'
				else format('%s%s%s%s%s', case total.allowed when 1 then 'the one index is left as it is'
						else format('%s of %s indexes are left as they are', maintsched.count_text(count(*)), maintsched.count_text(total.allowed)) end,
					'; the worst is ' || (array_agg(i.target || ', ' || maintsched.bloat_text(i.bytes, i.bloat_ratio, i.bloat_bytes, i.ci_low, i.ci_high)
						order by i.bloat_bytes desc, i.bloat_ratio desc, i.target collate "C") filter (where i.bloat_ratio is not null))[1],
					'; ' || nullif(count(*) filter (where i.bloat_ratio is null and i.detail is not null), 0) || ' could not be judged ('
						|| string_agg(distinct i.detail, ', ') filter (where i.bloat_ratio is null) || ')',
					-- an index does not know which of its entries are dead
					'; a lower bound for ' || nullif(count(*) filter (where i.detail ~ '^a lower bound'), 0) || ', such as '
						|| (array_agg(i.target || ' (' || replace(i.detail, 'a lower bound: ', '') || ')' order by i.bytes desc, i.target collate "C")
							filter (where i.detail ~ '^a lower bound'))[1],
					'; ' || nullif((select count(*) from index x where x.invalid and x.index not in (select v.index from invalid v)), 0)
						|| ' invalid, while somebody builds an index of the table') end,
			null, null, '{"skip": "not_needed"}'
		from index i
		where not i.wanted and not i.invalid and i.found_at is null
		having count(*) > 0 or total.allowed = 0 or exists (select from index x where x.invalid and x.index not in (select v.index from invalid v))
	)
	select w.target, w.command, w.reason, w.benefit_bytes, w.estimated_seconds, w.details
	from work w
	order by w.rank, w.rate desc nulls last, w.target collate "C";
end
$$;

comment on function maintsched.plan_reindex(jsonb) is
'Plan of routine reindex: what failed rebuilds left over is dropped; corrupt, invalid and bloated indexes are rebuilt, CONCURRENTLY, the most bytes won per second first; what is left out and why. params: include and exclude, arrays of schemas, or of schema.name of tables and indexes, with * for any text and ? for one character; min_bloat (0.3) and min_wasted ("10 MB"), both of which must be reached; min_interval ("7 days") between rebuilds of an index that regrows at once; min_free ("512 MB"), what is to stay free on each file system; lock_timeout ("10 s"); sample_pages (1000); overrides. Errors: invalid_parameter_value (22023), insufficient_privilege (42501), undefined_table (42P01).';

insert into maintsched.routine (name, plan, description, defaults, change_class, built_in) values
	('reindex', 'maintsched.plan_reindex', 'Rebuilds bloated, invalid and corrupt indexes, and drops what failed rebuilds left over.',
		'{"min_bloat": 0.3, "min_wasted": "10 MB", "min_interval": "7 days", "min_free": "512 MB"}', 'major', true);
