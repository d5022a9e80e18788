--
-- 54_amcheck: the routine amcheck
--
-- What is checked is an item of a relation: a table's own pages (table), those
-- of its toast (toast) and the index of that (toast index), an index (index),
-- or an index with the links between its levels (parents).  Pages of tables
-- are checked in parts of a gigabyte, so that none is too large for a window,
-- and no check holds back vacuum for long.
--
-- An item is known by schema, name, item and part; what became of it stands
-- in run_action, in the rows whose details have the key amcheck.  C does the
-- check itself (src/routines/amcheck.c), as amcheck's functions do: with the
-- rights of the caller, and those of the table's owner where code of his runs.
--

-- the last check of each item, however many there were
create index run_action_amcheck on maintsched.run_action (
	md5(target), (details ->> 'amcheck'), (details ->> 'part'), run_id)
where details ? 'amcheck' and state in ('done', 'failed');

-- what was found: few
create index run_action_corrupt on maintsched.run_action (run_id)
where details ? 'amcheck' and state = 'failed' and sqlstate in ('XX001', 'XX002', '58030');

create function maintsched.amcheck_functions()
returns table (signature text, name text, schema_name text, allowed boolean)
language sql stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
	select format('%s(%s)', p.proname, (
			select string_agg(format_type(t.type, null), ',' order by t.ordinality)
			from unnest(p.proargtypes) with ordinality t(type, ordinality))),
		format('%I.%I', n.nspname, p.proname), n.nspname::text,
		has_schema_privilege(n.oid, 'usage') and has_function_privilege(p.oid, 'execute')
	from pg_extension e
	join pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid
		and d.classid = 'pg_proc'::regclass and d.deptype = 'e'
	join pg_proc p on p.oid = d.objid
	join pg_namespace n on n.oid = p.pronamespace
	where e.extname = 'amcheck'
$$;

comment on function maintsched.amcheck_functions() is
'Internal: The functions of extension amcheck, whatever its schema, and whether the current role may call them.';

create function maintsched.amcheck_function(signature text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	version constant text := (select e.extversion from pg_extension e where e.extname = 'amcheck');
	f record;
begin
	if version is null then
		raise exception using
			errcode = 'no_data_found',
			message = 'extension amcheck is not installed in this database',
			hint = 'As a superuser: create extension amcheck; it is one of PostgreSQL''s contrib modules.';
	end if;
	select x.* into f from maintsched.amcheck_functions() x where x.signature = amcheck_function.signature;
	if not found then
		raise exception using
			errcode = 'feature_not_supported',
			message = format('extension amcheck %s has no function %s', version, signature),
			hint = 'Newer versions of it may have: alter extension amcheck update;';
	elsif not f.allowed then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('role "%s" may not call function %s of extension amcheck', current_user, signature),
			hint = format('Superusers may; else: grant usage on schema %I to %I; grant execute on function %s(%s) to %2$I;',
				f.schema_name, current_user, f.name, substring(signature from '[(](.*)[)]'));
	end if;
	return f.name;
end
$$;

comment on function maintsched.amcheck_function(text) is
'Internal: The qualified name of a function of extension amcheck that the current role may call. Errors: no_data_found (P0002) where amcheck is not installed, feature_not_supported (0A000) where its version has none such, insufficient_privilege (42501).';

create function maintsched.check_table(
	name text, toast boolean default true, first_block bigint default 0, blocks bigint default null)
returns bigint
language c volatile
as 'MODULE_PATHNAME', 'maintsched_check_table';

comment on function maintsched.check_table(text, boolean, bigint, bigint) is
'Checks pages of a table or materialized view, by its name with its schema, with verify_heapam() of extension amcheck; returns how many there were. toast: that the values stored apart are there and whole, too. blocks NULL: from first_block to the end. The error of a finding has the first of them on each of five damaged pages. Needs the right to call verify_heapam(). Errors: data_corrupted (XX001), io_error (58030), undefined_table (42P01), lock_not_available (55P03), t_r_serialization_failure (40001: it was dropped or rebuilt meanwhile), and those of amcheck_function().';

create function maintsched.check_toast(
	name text, first_block bigint default 0, blocks bigint default null)
returns bigint
language c volatile
as 'MODULE_PATHNAME', 'maintsched_check_toast';

comment on function maintsched.check_toast(text, bigint, bigint) is
'As check_table(), for the pages of the toast of a table.';

create function maintsched.check_index(
	name text, parents boolean default false, heapallindexed boolean default true,
	rootdescend boolean default false, checkunique boolean default false)
returns void
language c volatile
as 'MODULE_PATHNAME', 'maintsched_check_index';

comment on function maintsched.check_index(text, boolean, boolean, boolean, boolean) is
'Checks a btree or, since PostgreSQL 18, a GIN index, by its name with its schema, with bt_index_check() or gin_index_check() of extension amcheck; parents: with bt_index_parent_check(), which keeps writers away from the table meanwhile. The others are options of these functions, without a meaning for GIN: heapallindexed, whether each row is in the index, rootdescend (only with parents), checkunique (amcheck 1.4, PostgreSQL 17). Needs the right to call these functions. Errors: index_corrupted (XX002), data_corrupted (XX001), io_error (58030), external_routine_exception (38000: an expression or operator of the index failed), undefined_table (42P01), wrong_object_type (42809), lock_not_available (55P03), t_r_serialization_failure (40001: it was dropped or rebuilt meanwhile), and those of amcheck_function().';

create function maintsched.check_toast_index(
	name text, parents boolean default false, heapallindexed boolean default true,
	rootdescend boolean default false, checkunique boolean default false)
returns void
language c volatile
as 'MODULE_PATHNAME', 'maintsched_check_toast_index';

comment on function maintsched.check_toast_index(text, boolean, boolean, boolean, boolean) is
'As check_index(), for the index of the toast of a table.';

create function maintsched.relation_pages(relation oid) returns bigint
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_relation_pages';

comment on function maintsched.relation_pages(oid) is
'Internal: The pages of a relation, without waiting for a lock: NULL where somebody holds it exclusively, where it is gone or its file is not there.';

create function maintsched.check_part_pages() returns bigint
language sql immutable parallel safe
return 131072;

comment on function maintsched.check_part_pages() is
'Internal: How many pages of a table one action checks: a gigabyte, as much as a file of it holds.';

create function maintsched.checkable_items()
returns table (
	oid oid, schema_name text, relation_name text, kind text, access_method text,
	table_oid oid, table_schema text, table_name text, of_partition boolean, of_system boolean, problem text,
	item text, part integer, parts integer, pages bigint, other_pages bigint)
language sql volatile rows 1000
set search_path = pg_catalog, pg_temp
as $$
	with relation as materialized (
		select c.oid, n.nspname::text as schema_name, c.relname::text as relation_name, c.relkind, c.relpersistence,
			m.amname::text as access_method, c.reltoastrelid, c.relispartition as of_partition,
			n.nspname in ('pg_catalog', 'information_schema') as of_system,
			case
				when m.amname <> 'heap' then format('there is no check for access method %s', m.amname)
				when c.relpersistence = 'u' and pg_is_in_recovery() then 'an unlogged table has no pages on a standby'
			end as problem,
			coalesce(maintsched.relation_pages(c.oid), greatest(c.relpages, 0)) as pages,
			coalesce(maintsched.relation_pages(c.reltoastrelid), 0) as toast_pages
		from pg_class c
		join pg_namespace n on n.oid = c.relnamespace
		left join pg_am m on m.oid = c.relam
		where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname !~ '^pg_(toast|temp)'
	), item as (
		select r.oid, r.schema_name, r.relation_name, r.relkind, r.access_method,
			r.oid as table_oid, r.schema_name as table_schema, r.relation_name as table_name, r.of_partition, r.of_system, r.problem,
			'table' as item, r.pages, r.toast_pages as other_pages
		from relation r
		union all
		select r.oid, r.schema_name, r.relation_name, r.relkind, r.access_method,
			r.oid, r.schema_name, r.relation_name, r.of_partition, r.of_system, r.problem,
			'toast', r.toast_pages, 0
		from relation r
		where r.toast_pages > 0 and r.access_method = 'heap'
		union all
		select r.oid, r.schema_name, r.relation_name, r.relkind, r.access_method,
			r.oid, r.schema_name, r.relation_name, r.of_partition, r.of_system,
			coalesce(r.problem, case when not i.indisvalid then 'the index of its toast is not valid' end),
			'toast index', coalesce(maintsched.relation_pages(i.indexrelid), 0), r.toast_pages
		from relation r
		join pg_index i on i.indrelid = r.reltoastrelid and (i.indisvalid or not exists (
			select from pg_index v where v.indrelid = i.indrelid and v.indisvalid))
		where r.toast_pages > 0
		union all
		select c.oid, n.nspname, c.relname, c.relkind, m.amname,
			r.oid, r.schema_name, r.relation_name, r.of_partition, r.of_system,
			case
				when m.amname = 'gin' and current_setting('server_version_num')::integer < 180000
					then 'there is no check for access method gin before PostgreSQL 18'
				when m.amname not in ('btree', 'gin') then format('there is no check for access method %s', m.amname)
				when not (i.indisvalid and i.indisready and i.indislive) then 'the index is not valid'
				when c.relpersistence = 'u' and pg_is_in_recovery() then 'an unlogged index has no pages on a standby'
			end,
			'index', coalesce(maintsched.relation_pages(c.oid), greatest(c.relpages, 0)),
			case when m.amname = 'btree' then r.pages else 0 end
		from relation r
		join pg_index i on i.indrelid = r.oid
		join pg_class c on c.oid = i.indexrelid
		join pg_namespace n on n.oid = c.relnamespace
		join pg_am m on m.oid = c.relam
	)
	select i.oid, i.schema_name, i.relation_name,
		case i.relkind when 'r' then 'table' when 'm' then 'materialized view' else 'index' end, i.access_method,
		i.table_oid, i.table_schema, i.table_name, i.of_partition, i.of_system, i.problem,
		i.item, p.part, p.parts,
		least(i.pages - p.part * s.part_pages, s.part_pages),
		case when i.item = 'table' then i.other_pages / p.parts else i.other_pages end
	from item i
	cross join (select maintsched.check_part_pages() as part_pages) s
	cross join lateral (
		select case when i.item in ('table', 'toast') then greatest(ceil(i.pages / s.part_pages::numeric)::integer, 1) else 1 end as parts) n
	cross join lateral (
		select x as part, n.parts
		from generate_series(0, n.parts - 1) x) p
$$;

comment on function maintsched.checkable_items() is
'Internal: What there is to be checked of every table, materialized view and index of the database, part by part, and what cannot be (problem); temporary relations of anybody left out. pages: of this part; other_pages: what is read besides.';

create function maintsched.last_checks(targets text[], items text[], parts integer[])
returns table (
	ordinality bigint, run_id bigint, seq integer, checked_at timestamptz, verdict text, filenode text)
language plpgsql stable security definer rows 1000
set search_path = pg_catalog, pg_temp
as $$
declare
	also_simulated constant boolean := maintsched.clock_simulated();
begin
	return query
	select k.ordinality, x.run_id, x.seq, x.finished_at,
		case
			when x.state = 'done' then 'sound'
			when x.sqlstate in ('XX001', 'XX002', '58030') then 'corrupt'
			else 'error'
		end,
		x.filenode
	from unnest(targets, items, parts) with ordinality as k(target, item, part, ordinality)
	cross join lateral (
		select a.run_id, a.seq, a.finished_at, a.state, a.sqlstate, a.before ->> 'filenode' as filenode
		from maintsched.run_action a
		where md5(a.target) = md5(k.target) and a.target = k.target
		and a.details ->> 'amcheck' = k.item and a.details ->> 'part' = k.part::text
		and a.details ? 'amcheck' and a.state in ('done', 'failed')
		and exists (
			select from maintsched.run r
			where r.run_id = a.run_id and r.routine = 'amcheck' and (also_simulated or not r.simulated))
		order by a.run_id desc
		limit 1) x;
end
$$;

comment on function maintsched.last_checks(text[], text[], integer[]) is
'Internal: The last check of each of these items: sound, corrupt, or error where it could not be carried out.';

create function maintsched.check_storage(schema_name text, relation_name text, item text) returns jsonb
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
	select jsonb_build_object(
		'filenode', pg_relation_filenode(s.oid),
		'pages', maintsched.relation_pages(s.oid),
		'valid', case when item in ('index', 'parents', 'toast index', 'toast parents') then
			(select i.indisvalid and i.indisready and i.indislive from pg_index i where i.indexrelid = s.oid) else true end)
	from pg_namespace n
	join pg_class c on c.relnamespace = n.oid
	cross join lateral (
		select case
			when item in ('index', 'parents') and c.relkind = 'i' or item = 'table' and c.relkind in ('r', 'm') then c.oid
			when item = 'toast' then nullif(c.reltoastrelid, 0)
			when item in ('toast index', 'toast parents') then (
				select i.indexrelid from pg_index i
				where i.indrelid = c.reltoastrelid
				order by i.indisvalid desc
				limit 1) end as oid) s
	where n.nspname = schema_name and c.relname = relation_name and s.oid is not null
$$;

comment on function maintsched.check_storage(text, text, text) is
'Internal: The file and pages of what is checked, and whether it can be; NULL: it is not there.';

create function maintsched.check_speed() returns numeric
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(percentile_disc(0.1) within group (order by h.bytes / h.seconds), 50000000)
	from (
		select (a.details ->> 'reads')::numeric as bytes,
			extract(epoch from a.finished_at - a.started_at) as seconds
		from (
			select x.run_id
			from maintsched.run x
			where x.routine = 'amcheck'
			order by x.run_id desc
			limit 50) r
		join maintsched.run_action a using (run_id)
		-- small ones tell how long the rest of an action takes
		where a.state = 'done' and a.details ->> 'reads' ~ '^[0-9]{8,18}$'
		order by a.run_id desc, a.seq desc
		limit 200) h
	where h.seconds > 0
$$;

comment on function maintsched.check_speed() is
'Internal: How many bytes a second nine of ten of the last 200 checks of 10 MB and more read; 50 MB where there were none.';
