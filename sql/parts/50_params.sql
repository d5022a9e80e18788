--
-- 50_params: the parameters of the routines
--
-- Which ones each takes, with their types, stands in one list, so that a wrong
-- one is refused when a task is written and not when it runs.  A threshold may
-- differ from object to object: overrides.
--

create function maintsched.param_types(routine text) returns table (name text, type text)
language sql immutable parallel safe
begin atomic
	with param (routine, name, type) as (values
		('', 'time_limit', 'time'),
		('sql', 'statement', 'text'),
		('sql', 'statements', 'statements'),
		('sql', 'timeout', 'time'),
		('sql', 'continue', 'boolean'),
		('sql', 'lock_timeout', 'time'),
		('analyze', 'include', 'patterns'),
		('analyze', 'exclude', 'patterns'),
		('analyze', 'all', 'boolean'),
		('analyze', 'threshold', 'rows'),
		('analyze', 'scale_factor', 'factor'),
		('analyze', 'overrides', 'overrides'),
		('overrides of analyze', 'threshold', 'rows'),
		('overrides of analyze', 'scale_factor', 'factor'),
		('vacuum', 'include', 'patterns'),
		('vacuum', 'exclude', 'patterns'),
		('vacuum', 'all', 'boolean'),
		('vacuum', 'threshold', 'rows'),
		('vacuum', 'scale_factor', 'factor'),
		('vacuum', 'insert_threshold', 'rows'),
		('vacuum', 'insert_scale_factor', 'factor'),
		('vacuum', 'freeze_age', 'xids'),
		('vacuum', 'multixact_age', 'xids'),
		('vacuum', 'min_visible', 'ratio'),
		('vacuum', 'overrides', 'overrides'),
		('vacuum', 'freeze', 'boolean'),
		('vacuum', 'skip_locked', 'boolean'),
		('vacuum', 'analyze', 'boolean'),
		('vacuum', 'truncate', 'boolean'),
		('vacuum', 'process_toast', 'boolean'),
		('vacuum', 'index_cleanup', 'index_cleanup'),
		('vacuum', 'parallel', 'workers'),
		('vacuum', 'buffer_usage_limit', 'buffer_usage_limit'),
		('vacuum', 'cost_delay', 'cost_delay'),
		('vacuum', 'cost_limit', 'cost_limit'),
		('vacuum', 'lock_timeout', 'time'),
		('overrides of vacuum', 'threshold', 'rows'),
		('overrides of vacuum', 'scale_factor', 'factor'),
		('overrides of vacuum', 'insert_threshold', 'rows'),
		('overrides of vacuum', 'insert_scale_factor', 'factor'),
		('overrides of vacuum', 'freeze_age', 'xids'),
		('overrides of vacuum', 'multixact_age', 'xids'),
		('overrides of vacuum', 'min_visible', 'ratio'),
		('log_cleanup', 'max_age', 'time'),
		('log_cleanup', 'max_size', 'size'),
		('log_cleanup', 'keep', 'count'),
		('amcheck', 'include', 'patterns'),
		('amcheck', 'exclude', 'patterns'),
		('amcheck', 'tables', 'boolean'),
		('amcheck', 'toast', 'boolean'),
		('amcheck', 'indexes', 'boolean'),
		('amcheck', 'catalogs', 'boolean'),
		('amcheck', 'parents', 'boolean'),
		('amcheck', 'heapallindexed', 'boolean'),
		('amcheck', 'rootdescend', 'boolean'),
		('amcheck', 'checkunique', 'boolean'),
		('amcheck', 'recheck_after', 'time'),
		('amcheck', 'overrides', 'overrides'),
		('overrides of amcheck', 'heapallindexed', 'boolean'),
		('overrides of amcheck', 'recheck_after', 'time'),
		('archive', 'tables', 'tables'),
		('archive', 'older_than', 'time'),
		('archive', 'retention', 'time'),
		('archive', 'timezone', 'timezone'),
		('archive', 'batch', 'batch'),
		('archive', 'directory', 'text'),
		('archive', 'drop_partitions', 'boolean'),
		('table of archive', 'table', 'text'),
		('table of archive', 'column', 'text'),
		('table of archive', 'unit', 'unit'),
		('table of archive', 'older_than', 'time'),
		('table of archive', 'retention', 'time'),
		('table of archive', 'timezone', 'timezone'),
		('table of archive', 'batch', 'batch'),
		('table of archive', 'directory', 'text'),
		('table of archive', 'drop_partitions', 'boolean'),
		('backup_verify', 'repository', 'names'),
		('backup_verify', 'level', 'level'),
		('backup_verify', 'backups', 'text'),
		('bloat', 'include', 'patterns'),
		('bloat', 'exclude', 'patterns'),
		('bloat', 'sample_pages', 'pages'),
		('bloat', 'min_bloat', 'ratio'),
		('bloat', 'min_wasted', 'bytes'),
		('bloat', 'overrides', 'overrides'),
		('overrides of bloat', 'min_bloat', 'ratio'),
		('overrides of bloat', 'min_wasted', 'bytes'),
		('health', 'exclude', 'health items'),
		('health', 'exclude_objects', 'patterns'),
		('health', 'connections_warn', 'ratio'),
		('health', 'connections_crit', 'ratio'),
		('health', 'transaction_warn', 'time'),
		('health', 'transaction_crit', 'time'),
		('health', 'idle_warn', 'time'),
		('health', 'idle_crit', 'time'),
		('health', 'lock_wait_warn', 'time'),
		('health', 'lock_wait_crit', 'time'),
		('health', 'prepared_warn', 'time'),
		('health', 'prepared_crit', 'time'),
		('health', 'replication_warn', 'time'),
		('health', 'replication_crit', 'time'),
		('health', 'replication_bytes_warn', 'bytes'),
		('health', 'replication_bytes_crit', 'bytes'),
		('health', 'slots_warn', 'ratio'),
		('health', 'slots_crit', 'ratio'),
		('health', 'slots_bytes_warn', 'bytes'),
		('health', 'slots_bytes_crit', 'bytes'),
		('health', 'archive_warn', 'time'),
		('health', 'archive_crit', 'time'),
		('health', 'freeze_warn', 'multiple'),
		('health', 'wraparound_crit', 'ratio'),
		('health', 'sequences_warn', 'ratio'),
		('health', 'sequences_crit', 'ratio'),
		('health', 'unused_after', 'time'),
		('health', 'unused_bytes', 'bytes'),
		('health', 'certificate_warn', 'time'),
		('health', 'certificate_crit', 'time'),
		('health', 'version_warn', 'time'),
		('health', 'disk_warn', 'ratio'),
		('health', 'disk_crit', 'ratio'),
		('reindex', 'include', 'patterns'),
		('reindex', 'exclude', 'patterns'),
		('reindex', 'min_bloat', 'ratio'),
		('reindex', 'min_wasted', 'bytes'),
		('reindex', 'min_interval', 'time'),
		('reindex', 'min_free', 'bytes'),
		('reindex', 'lock_timeout', 'time'),
		('reindex', 'sample_pages', 'pages'),
		('reindex', 'overrides', 'overrides'),
		('overrides of reindex', 'min_bloat', 'ratio'),
		('overrides of reindex', 'min_wasted', 'bytes'),
		('overrides of reindex', 'min_interval', 'time'),
		('optimize', 'include', 'patterns'),
		('optimize', 'exclude', 'patterns'),
		('optimize', 'min_bloat', 'ratio'),
		('optimize', 'min_wasted', 'bytes'),
		('optimize', 'overrides', 'overrides'),
		('optimize', 'analyze', 'params'),
		('optimize', 'bloat', 'params'),
		('optimize', 'reindex', 'params'),
		('overrides of optimize', 'min_bloat', 'ratio'),
		('overrides of optimize', 'min_wasted', 'bytes'),
		('restore_drill', 'repository', 'text'),
		('restore_drill', 'backup', 'text'),
		('restore_drill', 'within', 'time'),
		('restore_drill', 'capture', 'boolean'),
		('restore_drill', 'deadline', 'time'),
		('restore_drill', 'amcheck', 'boolean'),
		('statement of sql', 'name', 'text'),
		('statement of sql', 'statement', 'text'),
		('statement of sql', 'timeout', 'time'),
		('statement of sql', 'lock_timeout', 'time'))
	select p.name, p.type
	from param p
	where p.routine = param_types.routine
	or p.routine = '' and strpos(param_types.routine, ' ') = 0
		and exists (select from param x where x.routine = param_types.routine);
end;

comment on function maintsched.param_types(text) is
'Internal: The parameters that a built-in routine takes, with the type of each; none for a routine of your own. Under "overrides of NAME" those of routine NAME that may differ from object to object.';

create function maintsched.param_problem(type text, value jsonb) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	kind constant text := jsonb_typeof(value);
	span interval;
begin
	if kind = 'null' then
		return null;
	end if;
	case type
		when 'text' then
			return case
				when kind <> 'string' then 'must be a text'
				when btrim(value #>> '{}', E' \t\r\n') = '' then 'is empty' end;
		when 'statements' then
			return case
				when kind not in ('array', 'string') then 'must be an array of statements'
				when kind = 'array' and jsonb_array_length(value) = 0
					or btrim(value #>> '{}', E' \t\r\n') = '' then 'is empty' end;
		when 'patterns' then
			return case
				when kind <> 'array' or exists (
					select from jsonb_array_elements(value) e
					where jsonb_typeof(e) <> 'string' or btrim(e #>> '{}') = '')
					then 'must be an array of names, such as ["sales", "public.orders"]'
				when jsonb_array_length(value) = 0 then 'is empty' end;
		when 'names' then
			return case
				when kind not in ('array', 'string') or kind = 'array' and exists (
					select from jsonb_array_elements(value) e where jsonb_typeof(e) <> 'string' or btrim(e #>> '{}') = '')
					then 'must be a name or an array of names, such as "nightly"'
				when kind = 'array' and jsonb_array_length(value) = 0 or btrim(value #>> '{}') = '' then 'is empty' end;
		when 'level' then
			return case when kind <> 'number' or value #>> '{}' !~ '^[0-7]$'
				then 'must be a whole number from 0 to 7; higher levels are those of routine restore_drill' end;
		when 'time' then
			if kind = 'string' then
				begin
					span := value #>> '{}';
				exception when data_exception then
					span := null;
				end;
			end if;
			return case when span is null or not isfinite(span) or span <= interval '0'
				then 'must be a positive length of time, such as "30 days" or "5 minutes"' end;
		when 'size' then
			begin
				return case when kind not in ('string', 'number') or pg_size_bytes(value #>> '{}') <= 0
					then 'must be a size, such as "2 GB"' end;
			exception when data_exception then
				return 'must be a size, such as "2 GB"';
			end;
		when 'bytes' then
			begin
				return case when kind not in ('string', 'number') or pg_size_bytes(value #>> '{}') < 0
					then 'must be a size, such as "10 MB", or 0' end;
			exception when data_exception then
				return 'must be a size, such as "10 MB", or 0';
			end;
		when 'ratio' then
			return case when kind <> 'number' or (value #>> '{}')::numeric not between 0 and 1
				then 'must be a number from 0 to 1, such as 0.3' end;
		when 'multiple' then
			return case when kind <> 'number' or (value #>> '{}')::numeric not between 1 and 1000
				then 'must be a number from 1 to 1000, such as 1.5' end;
		when 'health items' then
			return case
				when kind <> 'array' or jsonb_array_length(value) = 0 or exists (
					select from jsonb_array_elements(value) e where jsonb_typeof(e) <> 'string')
					then 'must be an array of items, such as ["disk space"]'
				else (
					select format('has "%s", which is no item of view health', e.value)
						|| coalesce('; perhaps it is "' || maintsched.nearest_name(e.value, maintsched.health_items()) || '"', '')
					from jsonb_array_elements_text(value) e
					where e.value <> all (maintsched.health_items())
					limit 1) end;
		when 'overrides' then
			return case when kind <> 'object' or exists (
				select from jsonb_each(value) e where jsonb_typeof(e.value) <> 'object')
				then 'must be an object of thresholds by schema or schema.relation, such as {"sales.orders": {"min_bloat": 0.5}}' end;
		when 'rows' then
			return case when kind <> 'number' or value #>> '{}' !~ '^[0-9]{1,15}$'
				then 'must be a whole number of rows, from 0' end;
		when 'factor' then
			return case when kind <> 'number' or (value #>> '{}')::numeric not between 0 and 100
				then 'must be a number from 0 to 100, such as 0.05' end;
		when 'xids' then
			return case when kind <> 'number' or value #>> '{}' !~ '^[0-9]{1,10}$' or (value #>> '{}')::numeric not between 100000 and 2000000000
				then 'must be a number of transactions from 100000 to 2000000000' end;
		when 'workers' then
			return case when kind <> 'number' or value #>> '{}' !~ '^[0-9]{1,4}$' or (value #>> '{}')::numeric > 1024
				then 'must be a whole number from 0 to 1024' end;
		when 'cost_limit' then
			return case when kind <> 'number' or value #>> '{}' !~ '^[0-9]{1,5}$' or (value #>> '{}')::numeric not between 1 and 10000
				then 'must be a whole number from 1 to 10000' end;
		when 'cost_delay' then
			return case when kind not in ('string', 'number') or value #>> '{}' !~ '^[0-9]{1,3}([.][0-9]{1,6})? ?(us|ms)?$'
				or regexp_replace(value #>> '{}', '[ a-z]', '', 'g')::numeric / case when value #>> '{}' ~ 'us$' then 1000 else 1 end > 100
				then 'must be a pause of at most 100 ms, such as "2ms" or "500us"' end;
		when 'index_cleanup' then
			return case when kind <> 'string' or value #>> '{}' not in ('auto', 'on', 'off')
				then 'must be "auto", "on" or "off"' end;
		when 'buffer_usage_limit' then
			begin
				return case
					when kind not in ('string', 'number') or pg_size_bytes(value #>> '{}') <> 0
						and pg_size_bytes(value #>> '{}') not between 131072 and 17179869184
						then 'must be a size from "128 kB" to "16 GB", or 0'
					when current_setting('server_version_num')::integer < 160000 then 'needs PostgreSQL 16 or later' end;
			exception when data_exception then
				return 'must be a size from "128 kB" to "16 GB", or 0';
			end;
		when 'params' then
			return case when kind <> 'object' then 'must be an object of the parameters of that routine' end;
		when 'boolean' then
			return case when kind <> 'boolean' then 'must be true or false' end;
		when 'tables' then
			return case
				when kind <> 'array' then 'must be an array of tables, such as [{"table": "audit.log", "column": "at"}]'
				when jsonb_array_length(value) = 0 then 'is empty' end;
		when 'timezone' then
			begin
				return case when kind <> 'string' or maintsched.check_timezone(value #>> '{}') is null
					then 'must be the name of a time zone, such as "Europe/Berlin"' end;
			exception when invalid_parameter_value then
				return 'must be the name of a time zone, such as "Europe/Berlin"';
			end;
		when 'unit' then
			return case when kind <> 'string' or value #>> '{}' not in ('seconds', 'milliseconds', 'microseconds')
				then 'must be seconds, milliseconds or microseconds' end;
		when 'batch' then
			return case when kind <> 'number' or value #>> '{}' !~ '^[1-9][0-9]{0,6}$'
				then 'must be a whole number of rows from 1 to 9999999' end;
		when 'pages' then
			return case when kind <> 'number' or value #>> '{}' !~ '^[1-9][0-9]{0,5}$'
				then 'must be a whole number of pages from 1 to 999999' end;
		when 'count' then
			return case when kind <> 'number' or value #>> '{}' !~ '^[0-9]{1,6}$'
				then 'must be a whole number from 0 to 999999' end;
	end case;
end
$$;

comment on function maintsched.param_problem(text, jsonb) is
'Internal: What is wrong with a value of a parameter of this type, as the end of a sentence; NULL: nothing. JSON null stands for "not given".';

create function maintsched.check_keys(subject text, routine text, params jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	known constant text[] := array(select p.name from maintsched.param_types(routine) p);
	param record;
	problem text;
begin
	if jsonb_typeof(params) is distinct from 'object' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s: params must be a JSON object', subject);
	end if;
	for param in
		select e.key, e.value, p.type
		from jsonb_each(params) e
		left join maintsched.param_types(routine) p on p.name = e.key
		order by p.type is not null, e.key
	loop
		if param.type is null then
			raise exception using
				errcode = 'invalid_parameter_value',
				message = format('%s has no parameter "%s"', subject, param.key),
				hint = maintsched.perhaps(param.key, known, 'Its parameters are');
		end if;
		problem := maintsched.param_problem(param.type, param.value);
		if problem is not null then
			raise exception using
				errcode = 'invalid_parameter_value',
				message = format('%s: %s %s', subject, param.key, problem),
				detail = format('It is %s.', left(param.value::text, 200));
		end if;
	end loop;
end
$$;

comment on function maintsched.check_keys(text, text, jsonb) is
'Internal: Raises invalid_parameter_value (22023), naming subject and parameter, for one that is not known or has a wrong value.';

create function maintsched.check_params(routine text, params jsonb) returns void
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	subject constant text := format('routine %s', routine);
	statement jsonb;
	number bigint;
	override record;
begin
	if not exists (select from maintsched.param_types(check_params.routine)) then
		params := coalesce((select jsonb_object_agg(e.key, e.value) from jsonb_each(params) e where e.key = 'time_limit'), '{}');
		perform maintsched.check_keys(subject, 'sql', params);
		return;
	end if;
	perform maintsched.check_keys(subject, routine, params);
	for override in
		select e.key, e.value
		from jsonb_each(coalesce(nullif(params -> 'overrides', 'null'), '{}')) e
		order by e.key collate "C"
	loop
		perform maintsched.check_keys(format('%s: overrides of "%s"', subject, override.key),
			'overrides of ' || routine, override.value);
	end loop;
	if routine = 'archive' then
		perform maintsched.check_archive_tables(subject, params);
	end if;
	if routine = 'optimize' then
		-- its parts have a time limit in common
		for override in
			select e.key, e.value
			from jsonb_each(params) e
			where e.key in ('analyze', 'bloat', 'reindex') and e.value <> 'null'
			order by e.key
		loop
			if override.value ? 'time_limit' then
				raise exception using
					errcode = 'invalid_parameter_value',
					message = format('%s: time_limit is that of the whole, not of %s', subject, override.key);
			end if;
			perform maintsched.check_params(override.key, override.value);
		end loop;
	end if;
	if routine <> 'sql' then
		return;
	end if;

	if num_nonnulls(params ->> 'statement', params ->> 'statements') <> 1 then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s needs either statement or statements', subject),
			hint = 'Such as {"statement": "refresh materialized view sales.totals"} or {"statements": ["...", "..."], "timeout": "10 minutes"}.';
	end if;
	if jsonb_typeof(params -> 'statements') = 'array' then
		for statement, number in
			select e.value, e.ordinality from jsonb_array_elements(params -> 'statements') with ordinality e
		loop
			if jsonb_typeof(statement) = 'string' then
				statement := jsonb_build_object('statement', statement);
			elsif jsonb_typeof(statement) <> 'object' then
				statement := '{}';
			end if;
			perform maintsched.check_keys(format('%s: statement %s', subject, number), 'statement of sql', statement);
			if statement ->> 'statement' is null then
				raise exception using
					errcode = 'invalid_parameter_value',
					message = format('%s: statement %s has no "statement"', subject, number),
					hint = 'A statement is a text, or an object with statement and, if wanted, name, timeout and lock_timeout.';
			end if;
		end loop;
	end if;
end
$$;

comment on function maintsched.check_params(text, jsonb) is
'Internal: Raises invalid_parameter_value (22023) unless these are parameters of the routine; of those of other routines only time_limit is looked at, which all have.';

create function maintsched.threshold_names(relation oid) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with object as (
		select c.oid, coalesce(i.indrelid, c.oid) as heap
		from pg_class c
		left join pg_index i on i.indexrelid = c.oid
		where c.oid = relation
	), owner as (
		-- toast belongs to the table that is toasted, and bears its oid as a name
		select o.oid, o.heap, case when c.relkind = 't' then coalesce(
				(select t.oid from pg_class t
				where t.oid = substring(c.relname from '^pg_toast_([0-9]{1,9})$')::oid and t.reltoastrelid = c.oid),
				(select t.oid from pg_class t where t.reltoastrelid = c.oid),
				o.heap) else o.heap end as rel
		from object o
		join pg_class c on c.oid = o.heap
	), line as (
		select 1 as rank, 0 as place, o.oid from owner o
		union all
		select 2, a.place::integer, a.relid
		from owner o cross join pg_partition_ancestors(o.oid) with ordinality a(relid, place)
		union all
		select 3, 0, o.heap from owner o
		union all
		select 4, 0, o.rel from owner o
		union all
		select 5, a.place::integer, a.relid
		from owner o cross join pg_partition_ancestors(o.rel) with ordinality a(relid, place)
	), named as (
		select l.rank, l.place, n.nspname || '.' || c.relname as name
		from line l
		join pg_class c on c.oid = l.oid
		join pg_namespace n on n.oid = c.relnamespace
		union all
		select 6, 0, n.nspname
		from owner o
		join pg_class c on c.oid = o.rel
		join pg_namespace n on n.oid = c.relnamespace
	)
	select array_agg(x.name order by x.rank, x.place)
	from (
		select distinct on (d.name) d.name, d.rank, d.place
		from named d
		order by d.name, d.rank, d.place) x
$$;

comment on function maintsched.threshold_names(oid) is
'Internal: The names under which overrides of params may speak of a relation, most specific first: itself, the partitioned indexes above it, its table (of an index or of toast), the partitioned tables above that, the schema of the table. NULL: there is no such relation.';

create function maintsched.threshold(params jsonb, name text, names text[]) returns jsonb
language sql immutable parallel safe
return coalesce((
	select params -> 'overrides' -> n.name -> threshold.name
	from unnest(names) with ordinality n(name, place)
	where params -> 'overrides' -> n.name -> threshold.name <> 'null'
	order by n.place
	limit 1), nullif(params -> threshold.name, 'null'));

comment on function maintsched.threshold(jsonb, text, text[]) is
'Internal: The value of a parameter for an object with these names (threshold_names()): that of the first name which overrides it, else that of params; JSON null stands for "not given".';
