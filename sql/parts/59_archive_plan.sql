--
-- 59_archive_plan: the routine archive
--
-- Each action is one call of archive_batch(): one transaction, one file.  What
-- stands in the way of a table is found when its action runs, as an error of
-- that action: the other tables are archived all the same.
--

create function maintsched.check_archive_tables(subject text, params jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	entry jsonb;
	number bigint;
	key text;
begin
	for entry, number in
		select e.value, e.ordinality
		from jsonb_array_elements(case jsonb_typeof(params -> 'tables') when 'array' then params -> 'tables' else '[]' end)
			with ordinality e
	loop
		perform maintsched.check_keys(format('%s: table %s', subject, number), 'table of archive', entry);
		foreach key in array array['table', 'column'] loop
			if entry ->> key is null then
				raise exception using
					errcode = 'invalid_parameter_value',
					message = format('%s: table %s has no "%s"', subject, number, key),
					hint = 'Such as {"table": "audit.log", "column": "at", "older_than": "6 months"}.';
			end if;
		end loop;
	end loop;
end
$$;

comment on function maintsched.check_archive_tables(text, jsonb) is
'Internal: Raises invalid_parameter_value (22023), naming subject and number, unless tables are objects with table and column.';

create function maintsched.archive_survey(
	relation text, column_name text, before text,
	out old_rows bigint, out timeless bigint, out oldest text, out newest text)
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_archive_survey';

comment on function maintsched.archive_survey(text, text, text) is
'Internal: How many rows of a table are older than a limit and of which times, and how many have no time or are of -infinity; read as its owner, restricted. Errors: as of archive_batch().';

create function maintsched.archive_has_old(relation text, column_name text, before text) returns boolean
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_archive_has_old';

comment on function maintsched.archive_has_old(text, text, text) is
'Internal: Whether a table has a row older than a limit; read as its owner, restricted. Errors: as of archive_batch().';

create function maintsched.archive_folder(directory text) returns text
language c volatile
as 'MODULE_PATHNAME', 'maintsched_archive_folder';

comment on function maintsched.archive_folder(text) is
'Internal: The root below which a folder of archives is. Errors: object_not_in_prerequisite_state (55000) where maintsched.archive_roots is empty, insufficient_privilege (42501), invalid_parameter_value (22023).';

create function maintsched.drop_archived_partition(relation text, column_name text) returns boolean
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_drop_archived_partition';

comment on function maintsched.drop_archived_partition(text, text) is
'Drops a partition that holds no row any more, as its owner. As a superuser or a member of the owner. Errors: insufficient_privilege (42501), object_not_in_prerequisite_state (55000) when it holds rows, wrong_object_type (42809).';

create function maintsched.archive_relations(name text)
returns table (relation oid, qualified text, kind "char", is_partition boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	named oid[];
	parts text[];
begin
	-- as the catalog has it, else as SQL does
	named := array(
		select c.oid
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname || '.' || c.relname = name and c.relkind in ('r', 'p', 'f', 'v', 'm'));
	if cardinality(named) = 0 then
		parts := parse_ident(name, false);
		named := array(
			select c.oid
			from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where n.nspname = parts[1] and c.relname = parts[2] and cardinality(parts) = 2 and c.relkind in ('r', 'p', 'f', 'v', 'm'));
	end if;
	if cardinality(named) > 1 then
		raise exception using
			errcode = 'ambiguous_alias',
			message = format('"%s" is the name of several tables', name),
			hint = 'Write schema and table in quotes, as in SQL.';
	end if;
	-- what a SELECT of it reads: partitions, and tables that inherit
	return query
	with recursive tree as (
		select r.oid from unnest(named) r(oid)
		union
		select i.inhrelid from pg_inherits i join tree t on i.inhparent = t.oid
	)
	select c.oid, format('%I.%I', n.nspname, c.relname), c.relkind, c.relispartition
	from tree t
	join pg_class c using (oid)
	join pg_namespace n on n.oid = c.relnamespace
	where c.relkind <> 'p'
	-- so that what has none yet is not taken for what is not there
	or c.oid = any (named) and not exists (
		select from tree o join pg_class k using (oid) where k.relkind <> 'p')
	order by n.nspname collate "C", c.relname collate "C";
exception
	when invalid_parameter_value then
		return;
end
$$;

comment on function maintsched.archive_relations(text) is
'Internal: The tables with rows that a name in params means: itself, or its partitions and the tables that inherit from it; a partitioned one: it has no partition; none: there is no such table. Error: ambiguous_alias (42P09).';

create function maintsched.archive_limit(type oid, at timestamptz, older_than interval, timezone text, unit text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select case type
		when 'timestamptz'::regtype then to_char(x.local at time zone archive_limit.timezone at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00'
		when 'timestamp'::regtype then to_char(x.local, 'YYYY-MM-DD HH24:MI:SS')
		when 'date'::regtype then to_char(x.local, 'YYYY-MM-DD')
		else (floor(extract(epoch from x.local at time zone archive_limit.timezone))
			* case unit when 'milliseconds' then 1000 when 'microseconds' then 1000000 else 1 end)::bigint::text
	end
	from (select date_trunc('second', at at time zone archive_limit.timezone) - older_than as local) x
$$;

comment on function maintsched.archive_limit(oid, timestamptz, interval, text, text) is
'Internal: Before which value of a column of this type rows are older than that: calendar arithmetic in the zone, in whole seconds.';

create function maintsched.archive_time(type oid, value text, unit text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
	if type not in ('bigint'::regtype, 'integer'::regtype) then
		return value;
	end if;
	return to_char(to_timestamp((value::numeric / case unit when 'milliseconds' then 1000 when 'microseconds' then 1000000 else 1 end)::double precision)
		at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00';
exception
	when datetime_field_overflow then
		return value;
end
$$;

comment on function maintsched.archive_time(oid, text, text) is
'Internal: A value of a column of time for people: where it is a number, the time that it stands for in its unit.';

create function maintsched.is_old_partition(relation oid, column_name text, before text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
as $$
declare
	key_type text;
	bound text;
	answer boolean;
begin
	-- by range of the column alone, and not the last part of something else
	select format_type(a.atttypid, null), substring(pg_get_expr(c.relpartbound, c.oid) from ' TO [(](.*)[)]$')
	into key_type, bound
	from pg_class c
	join pg_inherits i on i.inhrelid = c.oid
	join pg_partitioned_table p on p.partrelid = i.inhparent
	join pg_attribute a on a.attrelid = i.inhparent and a.attnum = p.partattrs[0]
	where c.oid = relation and c.relispartition and not i.inhdetachpending
	and p.partstrat = 'r' and p.partnatts = 1 and a.attname = column_name
	and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype, 'bigint'::regtype, 'integer'::regtype);
	if bound is null or bound !~ '^(''[^'']*''|-?[0-9]+)$' then
		return false;
	end if;
	execute format('select %L::%s <= %L::%2$s', btrim(bound, ''''), key_type, before) into answer;
	return answer;
end
$$;

comment on function maintsched.is_old_partition(oid, text, text) is
'Internal: Whether a partition, by its bounds, takes no row that is not older than the limit.';

create function maintsched.plan_archive_table(entry jsonb, at timestamptz) returns setof maintsched.action
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
#variable_conflict use_column
declare
	older_than constant text := entry ->> 'older_than';
	r record;
	type oid;
	before text;
	n_old bigint;
	n_timeless bigint;
	since text;
	until text;
	batch bigint;
	size bigint;
	width numeric;
	batches bigint;
	command text;
	problem text;
	found_any boolean := false;
begin
	for r in select x.* from maintsched.archive_relations(entry ->> 'table') x loop
		found_any := true;
		problem := null;
		n_old := null;
		if r.kind = 'p' then
			return next (r.qualified, '-- nothing to do', 'it has no partitions', null::bigint, 0::numeric,
				'{"skip": "not_needed"}'::jsonb)::maintsched.action;
			continue;
		end if;
		select case t.typtype when 'd' then t.typbasetype else t.oid end into type
		from pg_attribute a join pg_type t on t.oid = a.atttypid
		where a.attrelid = r.relation and a.attname = entry ->> 'column' and a.attnum > 0 and not a.attisdropped;
		before := maintsched.archive_limit(coalesce(type, 'timestamptz'::regtype), at, older_than::interval,
			coalesce(entry ->> 'timezone', 'UTC'), entry ->> 'unit');
		-- pg_table_size() would wait for who has it locked
		size := case when r.kind <> 'r' then null
			when maintsched.relation_bytes(r.relation) is not null then pg_table_size(r.relation)
			else (
				select (c.relpages + coalesce(t.relpages, 0)) * current_setting('block_size')::bigint
				from pg_class c left join pg_class t on t.oid = c.reltoastrelid
				where c.oid = r.relation) end;
		batch := coalesce((entry ->> 'batch')::bigint, 50000);
		begin
			if type in ('bigint'::regtype, 'integer'::regtype) and entry ->> 'unit' is null then
				raise exception using
					errcode = 'invalid_parameter_value',
					message = format('column "%s" of table %s is a number: its unit is needed', entry ->> 'column', r.qualified);
			elsif type = 'integer'::regtype and entry ->> 'unit' <> 'seconds' then
				raise exception using
					errcode = 'invalid_parameter_value',
					message = format('column "%s" of table %s is an integer, which holds no %s since 1970', entry ->> 'column', r.qualified, entry ->> 'unit');
			end if;
			perform maintsched.archive_folder(entry ->> 'directory');
			select x.old_rows, x.timeless, x.oldest, x.newest into n_old, n_timeless, since, until
			from maintsched.archive_survey(r.qualified, entry ->> 'column', before) x;
		exception
			when lock_not_available then
				problem := 'somebody has locked it';
			when others then
				problem := sqlerrm;
		end;
		-- so that a wrong unit is seen
		since := maintsched.archive_time(type, since, entry ->> 'unit');
		until := maintsched.archive_time(type, until, entry ->> 'unit');
		-- files of a quarter of a gigabyte at the most, as far as the average row tells
		width := greatest(1, size / greatest((select c.reltuples from pg_class c where c.oid = r.relation)::numeric, n_old, 1));
		batch := greatest(1, least(batch, floor(268435456 / width)));
		batches := case when problem is null then least(ceil(n_old::numeric / batch), 10000) else 1 end;
		command := format('select maintsched.archive_batch(%L, %L, %L, %s, %L, %L)',
			r.qualified, entry ->> 'column', before, batch, entry ->> 'directory', coalesce(entry ->> 'retention', '6 years'));
		if problem is null and n_old = 0 then
			return next (r.qualified, command,
				format('no row is older than %s', older_than)
					|| case when n_timeless > 0 then format(', %s without a time', maintsched.count_text(n_timeless)) else '' end,
				null::bigint, 0::numeric,
				'{"skip": "not_needed", "still_needed": "false"}'::jsonb)::maintsched.action;
		end if;
		return query
		select r.qualified, command,
			case when problem = 'somebody has locked it' then 'its old rows cannot be counted now: somebody has locked it'
				when problem is not null then 'cannot be archived: ' || problem
				else format('%s %s older than %s, from %s to %s', maintsched.count_text(n_old),
						case n_old when 1 then 'row' else 'rows' end, older_than, since, until)
					|| case when n_timeless > 0 then format('; %s without a time stay', maintsched.count_text(n_timeless)) else '' end
					|| case when batches > 1 then format(' (file %s of %s)', n, batches) else '' end
					|| case when (entry ->> 'retention')::interval < interval '6 years'
						then format('; kept for %s alone', entry ->> 'retention') else '' end
			end,
			x.bytes,
			round(0.2 + x.bytes / 10000000.0 + x.rows / 50000.0, 2),
			jsonb_strip_nulls(jsonb_build_object(
				'lock_timeout', '5s',
				'bytes', x.bytes,
				'still_needed', case when problem is null then format('(select maintsched.archive_has_old(%L, %L, %L))',
					r.qualified, entry ->> 'column', before) end,
				'measure', format('(select pg_catalog.jsonb_build_object(''archives'', count(*), ''rows'', coalesce(sum(a.rows), 0), ''bytes'', coalesce(sum(a.bytes), 0), ''archive_id'', max(a.archive_id)) from maintsched.archives a where pg_catalog.format(''%%I.%%I'', a.schema, a.relation) operator(pg_catalog.=) %L)', r.qualified)))
		from generate_series(1, batches) n
		cross join lateral (
			select least(batch, n_old - (n - 1) * batch) as rows,
				(least(batch, n_old - (n - 1) * batch) * width)::bigint as bytes) x;

		if entry -> 'drop_partitions' = 'true' and r.is_partition and problem is null
			and maintsched.is_old_partition(r.relation, entry ->> 'column', before)
			-- rows of -infinity stay in it
			and n_timeless = 0
		then
			return next (r.qualified,
				format('select maintsched.drop_archived_partition(%L, %L)', r.qualified, entry ->> 'column'),
				format('the partition ends before %s', before),
				case when n_old = 0 then size end, 0.2,
				jsonb_build_object('lock_timeout', '5s', 'still_needed',
					format('(select pg_catalog.to_regclass(%L) is not null)', r.qualified)))::maintsched.action;
		end if;
	end loop;
	if not found_any then
		before := maintsched.archive_limit('timestamptz'::regtype, at, older_than::interval, coalesce(entry ->> 'timezone', 'UTC'), null);
		return next (entry ->> 'table',
			format('select maintsched.archive_batch(%L, %L, %L)', entry ->> 'table', entry ->> 'column', before),
			format('cannot be archived: table "%s" does not exist', entry ->> 'table'),
			null::bigint, 0.1, '{}'::jsonb)::maintsched.action;
	end if;
end
$$;

comment on function maintsched.plan_archive_table(jsonb, timestamptz) is
'Internal: The actions for one table of params, and its partitions.';

create function maintsched.plan_archive(params jsonb) returns setof maintsched.action
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	general constant jsonb := '{"older_than": "6 months"}' || jsonb_strip_nulls(params) - 'tables' - 'time_limit';
	entry jsonb;
begin
	perform maintsched.check_params('archive', params);
	-- what looked at nothing proves nothing
	if jsonb_typeof(params -> 'tables') is distinct from 'array' then
		raise exception using
			errcode = 'no_data_found',
			message = 'routine archive is not told which tables to archive: its params have no "tables"',
			hint = 'Name them with their column of time: update maintsched.task set params = ''{"tables": [{"table": "audit.log", "column": "at"}]}'' where routine = ''archive'';';
	end if;
	perform maintsched.archive_folder(params ->> 'directory');
	for entry in select e.value from jsonb_array_elements(params -> 'tables') with ordinality e order by e.ordinality loop
		return query select a.* from maintsched.plan_archive_table(general || jsonb_strip_nulls(entry), maintsched.clock()) a;
	end loop;
end
$$;

comment on function maintsched.plan_archive(jsonb) is
'Plan of routine archive: for each table and partition as many files as its old rows fill, oldest partition first. params: tables, an array of objects with table and column (of time) and perhaps what else is given for all: older_than (6 months), timezone in which that is reckoned (UTC), unit of a column that is a number, retention (6 years), batch (50000 rows), directory, drop_partitions (false). Errors: no_data_found (P0002) without tables, object_not_in_prerequisite_state (55000) without maintsched.archive_roots, invalid_parameter_value (22023).';

insert into maintsched.routine (name, plan, description, defaults, change_class, built_in) values
	('archive', 'maintsched.plan_archive', 'Moves old rows of tables into compressed files with manifests.',
		'{"older_than": "6 months", "retention": "6 years", "batch": 50000}', 'minor', true);
