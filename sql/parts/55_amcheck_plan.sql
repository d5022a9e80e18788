--
-- 55_amcheck_plan: what the routine amcheck is to do
--
-- Every item that can be checked is planned, what was checked longest ago
-- first: whatever a window has no time for is older the next time.  What the
-- links between the levels of btrees are checked for needs a lock that keeps
-- writers away; it is only done where it is asked for, in windows of class
-- major.
--

create function maintsched.parent_matches(relation oid, its_table oid, patterns jsonb) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select exists (
		select
		from (
			select a.relid from pg_partition_ancestors(parent_matches.relation) a(relid)
			union
			select a.relid from pg_partition_ancestors(parent_matches.its_table) a(relid)) a
		join pg_class c on c.oid = a.relid
		join pg_namespace n on n.oid = c.relnamespace
		where maintsched.name_matches(n.nspname, c.relname, patterns))
$$;

comment on function maintsched.parent_matches(oid, oid, jsonb) is
'Internal: Whether one of the patterns is that of a partitioned table or index to which a partition belongs.';

create function maintsched.wanted_items(params jsonb)
returns table (
	schema_name text, relation_name text, access_method text, of_system boolean, problem text,
	item text, part integer, parts integer, pages bigint, other_pages bigint)
language sql volatile rows 1000
set search_path = pg_catalog, pg_temp
as $$
	select i.schema_name, i.relation_name, i.access_method, i.of_system, i.problem,
		case when p.parents and i.access_method = 'btree' or p.parents and i.item = 'toast index'
			then replace(i.item, 'index', 'parents') else i.item end,
		i.part, i.parts, i.pages, i.other_pages
	from (
		select nullif(params -> 'include', 'null') as include,
			nullif(params -> 'exclude', 'null') as exclude,
			coalesce((params ->> 'tables')::boolean, true) as tables,
			coalesce((params ->> 'toast')::boolean, true) as toast,
			coalesce((params ->> 'indexes')::boolean, true) as indexes,
			coalesce((params ->> 'catalogs')::boolean, true) as catalogs,
			coalesce((params ->> 'parents')::boolean, false) as parents) p
	cross join maintsched.checkable_items() i
	where case i.item
		when 'table' then p.tables
		when 'toast' then p.tables and p.toast
		when 'toast index' then p.indexes and p.toast
		else p.indexes end
	and (p.catalogs or not i.of_system)
	and (p.include is null
		or maintsched.name_matches(i.schema_name, i.relation_name, p.include)
		or maintsched.name_matches(i.table_schema, i.table_name, p.include)
		or i.of_partition and maintsched.parent_matches(i.oid, i.table_oid, p.include))
	and (p.exclude is null or not (
		maintsched.name_matches(i.schema_name, i.relation_name, p.exclude)
		or maintsched.name_matches(i.table_schema, i.table_name, p.exclude)
		or i.of_partition and maintsched.parent_matches(i.oid, i.table_oid, p.exclude)))
$$;

comment on function maintsched.wanted_items(jsonb) is
'Internal: The items that parameters of routine amcheck mean.';

create function maintsched.need_items(params jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	include constant jsonb := nullif(params -> 'include', 'null');
	problem text;
begin
	if exists (select from maintsched.wanted_items(params) i where i.problem is null) then
		return;
	end if;
	select format('%I.%I: %s', i.schema_name, i.relation_name, i.problem) into problem
	from maintsched.wanted_items(params) i
	order by i.schema_name collate "C", i.relation_name collate "C"
	limit 1;
	if problem is null and include is not null then
		raise exception using
			errcode = 'undefined_table',
			message = format('no table or index is meant by include %s', include),
			hint = 'include takes schemas, tables and indexes as schema.name, with * for any text and ? for a character, in the letters of the catalog.';
	end if;
	raise exception using
		errcode = 'no_data_found',
		message = 'there is nothing that could be checked',
		detail = coalesce(problem, 'No table or index is meant by the parameters.');
end
$$;

comment on function maintsched.need_items(jsonb) is
'Internal: Raises undefined_table (42P01) or no_data_found (P0002) where nothing could be checked.';

create function maintsched.check_command(target text, item text, part integer, parts integer, access_method text, params jsonb)
returns text
language sql immutable parallel safe
return case
	when item = 'table' and parts = 1 then
		format('select maintsched.check_table(%L, toast => %s)', target, coalesce(params ->> 'toast', 'true'))
	when item = 'table' then
		format('select maintsched.check_table(%L, toast => %s, first_block => %s, blocks => %s)', target,
			coalesce(params ->> 'toast', 'true'), part * maintsched.check_part_pages(), maintsched.check_part_pages())
	when item = 'toast' and parts = 1 then format('select maintsched.check_toast(%L)', target)
	when item = 'toast' then
		format('select maintsched.check_toast(%L, first_block => %s, blocks => %s)', target,
			part * maintsched.check_part_pages(), maintsched.check_part_pages())
	when access_method = 'gin' then format('select maintsched.check_index(%L)', target)
	else
		format('select maintsched.%s(%L%s, heapallindexed => %s%s%s)',
			case when item like 'toast %' then 'check_toast_index' else 'check_index' end, target,
			case when item like '%parents' then ', parents => true' end,
			coalesce(params ->> 'heapallindexed', 'true'),
			case when item like '%parents' then ', rootdescend => ' || coalesce(params ->> 'rootdescend', 'false') end,
			', checkunique => ' || (params ->> 'checkunique'))
end;

comment on function maintsched.check_command(text, text, integer, integer, text, jsonb) is
'Internal: The command that checks an item.';

create function maintsched.plan_amcheck(params jsonb) returns setof maintsched.action
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	block_size constant numeric := current_setting('block_size')::numeric;
	speed constant numeric := maintsched.check_speed();
	at constant timestamptz := maintsched.clock();
	overridden constant boolean := nullif(params -> 'overrides', 'null') is not null;
	signature text;
	unmatched text;
begin
	perform maintsched.check_params('amcheck', params);
	if params ->> 'checkunique' is null and exists (
		select from maintsched.amcheck_functions() f where f.signature = 'bt_index_check(regclass,boolean,boolean)')
	then
		params := params || '{"checkunique": true}';
	end if;
	-- that something is missing is said before anything is looked at
	foreach signature in array array[
		case when (params -> 'tables') is distinct from 'false' then 'verify_heapam(regclass,boolean,boolean,text,bigint,bigint)' end,
		case when (params -> 'indexes') is distinct from 'false' then
			format('bt_index%s_check(regclass,boolean%s%s)',
				case when params -> 'parents' = 'true' then '_parent' end,
				case when params -> 'parents' = 'true' then ',boolean' end,
				case when params -> 'checkunique' = 'true' then ',boolean' end) end]
	loop
		if signature is not null then
			perform maintsched.amcheck_function(signature);
		end if;
	end loop;
	for unmatched in
		select p.value
		from jsonb_array_elements_text(coalesce(nullif(params -> 'include', 'null'), '[]')) p
		where not exists (
			select from pg_class c
			join pg_namespace n on n.oid = c.relnamespace
			where c.relkind in ('r', 'm', 'i', 'p', 'I')
			and maintsched.name_matches(n.nspname, c.relname, jsonb_build_array(p.value)))
	loop
		raise warning 'no table or index is meant by "%"', unmatched
			using hint = 'include takes schemas, tables and indexes as schema.name, with * for any text and ? for a character, in the letters of the catalog.';
	end loop;

	return query
	with wanted as materialized (
		select i.*, format('%I.%I', i.schema_name, i.relation_name) as target,
			i.item like '%parents' as parents, t.heapallindexed, t.recheck_after,
			block_size * (i.pages + case when t.heapallindexed or i.item in ('table', 'toast') then i.other_pages else 0 end) as reads,
			row_number() over () as n
		from maintsched.wanted_items(params) i
		cross join lateral (
			select case when overridden
				then maintsched.threshold_names(to_regclass(format('%I.%I', i.schema_name, i.relation_name))) else '{}' end as names offset 0) o
		cross join lateral (
			select coalesce((maintsched.threshold(params, 'heapallindexed', o.names))::boolean, true) as heapallindexed,
				(maintsched.threshold(params, 'recheck_after', o.names) #>> '{}')::interval as recheck_after) t
		where i.problem is null
		-- where it is wanted and missing: an error
		and (i.access_method <> 'gin' or (select maintsched.amcheck_function('gin_index_check(regclass)')) is not null)
	), past as materialized (
		-- who checked the parents checked the rest, too
		select distinct on (1) (h.ordinality + 1) / 2 as n, h.*
		from maintsched.last_checks(
			(select array_agg(w.target order by w.n, x) from wanted w cross join generate_series(1, 2) x),
			(select array_agg(case when x = 1 then w.item else replace(w.item, 'index', 'parents') end order by w.n, x)
				from wanted w cross join generate_series(1, 2) x),
			(select array_agg(w.part order by w.n, x) from wanted w cross join generate_series(1, 2) x)) h
		order by 1, h.run_id desc
	), judged as (
		select w.*, h.checked_at, h.verdict,
			round(0.01 + w.reads * case when w.parents then 1.5 else 1 end / speed, 2) as seconds,
			h.verdict = 'corrupt' and h.filenode is distinct from
				maintsched.check_storage(w.schema_name, w.relation_name, w.item) ->> 'filenode' as rewritten
		from wanted w
		left join past h using (n)
	)
	select j.target,
		maintsched.check_command(j.target, j.item, j.part, j.parts, j.access_method,
			params || jsonb_build_object('heapallindexed', j.heapallindexed)),
		concat_ws(', ',
			case
				when j.verdict is null then 'never checked'
				when j.verdict = 'sound' then format('found sound %s ago', maintsched.age_text(at - j.checked_at))
				when j.verdict = 'error' then format('could not be checked %s ago', maintsched.age_text(at - j.checked_at))
				when j.rewritten then format('found corrupt %s ago and rewritten since', maintsched.age_text(at - j.checked_at))
				else format('found corrupt %s ago', maintsched.age_text(at - j.checked_at)) end,
			case when j.item not in ('table', 'index') then replace(j.item, 'toast parents', 'parents of toast index') end,
			case when j.parts > 1 then format('part %s of %s', j.part + 1, j.parts) end,
			pg_size_pretty(j.pages * block_size),
			case when j.seconds > extract(epoch from (params ->> 'time_limit')::interval) then 'longer than time_limit' end),
		null::bigint,
		j.seconds,
		jsonb_strip_nulls(jsonb_build_object(
			'amcheck', j.item,
			'schema', j.schema_name,
			'relation', j.relation_name,
			'part', j.part,
			'reads', j.reads,
			'change_class', case when j.parents then 'major' end,
			'lock_timeout', '5s',
			-- code of an index that does not end is not to keep the others from their turn
			'statement_timeout', format('%s s', ceil(greatest(j.seconds * 10, 3600))),
			'still_needed', format('(maintsched.check_storage(%L, %L, %L) ->> ''valid'')::boolean', j.schema_name, j.relation_name, j.item),
			'measure', format('select maintsched.check_storage(%L, %L, %L)', j.schema_name, j.relation_name, j.item)))
	from judged j
	where j.recheck_after is null or j.verdict is distinct from 'sound' or j.checked_at <= at - j.recheck_after
	order by
		-- what was rebuilt waits for its proof; then what nobody looked at, the
		-- catalogs and what is small first; then what was looked at longest ago
		coalesce(j.rewritten, false) desc,
		j.checked_at nulls first,
		j.of_system desc, case when j.parts > 1 then block_size * maintsched.check_part_pages() else j.reads end,
		j.target collate "C", j.item, j.part;
	if not found then
		perform maintsched.need_items(params);
	end if;
end
$$;

comment on function maintsched.plan_amcheck(jsonb) is
'Plan of routine amcheck: checks of every table, materialized view, btree and, since PostgreSQL 18, GIN index of the database with extension amcheck, catalogs and toast included; what was checked longest ago, or never, first. params: include and exclude, arrays of schemas or of schema.relation, with * for any text and ? for one character; tables, indexes, toast, catalogs (true): what is checked; heapallindexed (true), checkunique (true where amcheck has it); parents (false): the links between the levels of btrees, too, in windows of class major; rootdescend (false): with parents, each entry is searched for from the root; recheck_after: what was found sound less long ago is left out; overrides: recheck_after and heapallindexed by schema, table or index. Errors: no_data_found (P0002) where amcheck is not installed or nothing can be checked, insufficient_privilege (42501), feature_not_supported (0A000), undefined_table (42P01), invalid_parameter_value (22023).';

insert into maintsched.routine (name, plan, description, defaults, change_class, built_in) values
	('amcheck', 'maintsched.plan_amcheck', 'Checks tables and indexes for corruption, what was checked longest ago first.', '{}', 'none', true);
