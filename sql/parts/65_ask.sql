--
-- 65_ask: what is asked of restored backups
--
-- Tables whose rows are compared, and sample queries.  These are run in a
-- restored copy by a role that may read everything, whatever policies of rows
-- say: who registers one must be allowed to read everything anyway.
--

create function maintsched.note_expected(repository text, field text, old text, new text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
	insert into maintsched.repository_change (repository, field, old, new)
	values (repository, field, old, new)
$$;

comment on function maintsched.note_expected(text, text, text, text) is
'Internal: Records a change of what is expected of a repository''s backups.';

create function maintsched.expected_name(name text, out schema_name text, out table_name text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	parts text[];
begin
	if strpos(name, '"') > 0 then
		begin
			parts := parse_ident(name);
		exception when invalid_parameter_value then
			null;
		end;
	else
		-- as the catalog has it; a schema with a point in its name is quoted
		parts := array[split_part(name, '.', 1), substr(name, strpos(name, '.') + 1)];
	end if;
	if strpos(coalesce(name, ''), '.') < 2 or parts is null or cardinality(parts) <> 2 or parts[1] = '' or parts[2] = ''
		or octet_length(name) > 300 or name ~ '[[:cntrl:]]'
	then
		raise exception using
			errcode = 'invalid_name',
			message = format('%s is not the name of a table with its schema', coalesce('"' || left(name, 100) || '"', 'NULL')),
			hint = 'Write it as schema.table, with * for any text and ? for a character, in the letters of the catalog; in double quotes where it has points.';
	end if;
	schema_name := parts[1];
	table_name := parts[2];
end
$$;

comment on function maintsched.expected_name(text) is
'Internal: A table, or pattern of tables, in its two parts. Error: invalid_name (42602).';

create function maintsched.need_this_database(database text, what text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if database is distinct from current_database() and database is not null then
		raise exception using
			errcode = 'feature_not_supported',
			message = format('%s of database "%s" cannot be read from database "%s"', what, database, current_database()),
			hint = 'Create extension maintsched there, and the repository; each database captures what is expected of itself.';
	end if;
	return current_database();
end
$$;

comment on function maintsched.need_this_database(text, text) is
'Internal: The name of this database, which NULL stands for. Error: feature_not_supported (0A000) for another one.';

create function maintsched.check_expected_table(schema_name text, table_name text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	pattern constant boolean := schema_name || table_name ~ '[*?]';
	there record;
begin
	if pattern then
		if not exists (
			select from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where c.relkind in ('r', 'p', 'm') and n.nspname like maintsched.pattern_like(schema_name) escape '!'
			and c.relname like maintsched.pattern_like(table_name) escape '!')
		then
			raise warning 'no table is meant by "%.%" now', schema_name, table_name;
		end if;
		return;
	end if;
	select k.relkind, k.relpersistence, n.nspname ~ '^pg_' or n.nspname = 'information_schema' as of_system into there
	from pg_class k join pg_namespace n on n.oid = k.relnamespace
	where n.nspname = schema_name and k.relname = table_name and k.relkind in ('r', 'p', 'm', 'v', 'f');
	if not found then
		raise exception using
			errcode = 'undefined_table',
			message = format('table "%s.%s" does not exist', schema_name, table_name),
			hint = maintsched.perhaps(schema_name || '.' || table_name, array(
				select n.nspname || '.' || k.relname
				from pg_class k join pg_namespace n on n.oid = k.relnamespace
				where k.relkind in ('r', 'p', 'm') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'maintsched')
				order by 1 limit 1000), 'Tables are');
	elsif there.of_system or there.relpersistence <> 'p' or there.relkind not in ('r', 'p', 'm') then
		raise exception using
			errcode = 'wrong_object_type',
			message = format('"%s.%s" is %s', schema_name, table_name, case
				when there.of_system then 'the system''s'
				when there.relkind = 'v' then 'a view'
				when there.relkind = 'f' then 'a foreign table'
				when there.relpersistence = 'u' then 'an unlogged table'
				else 'a temporary table' end),
			detail = 'Its rows are not in a backup, or are not this database''s own.';
	end if;
end
$$;

comment on function maintsched.check_expected_table(text, text) is
'Internal: Refuses what has no rows of its own in a backup. Errors: undefined_table (42P01), wrong_object_type (42809).';

create function maintsched.add_expected_table(
	repository text, name text, method text default 'rows', database text default null)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r maintsched.repository;
	t record;
	database_name text;
	was text;
begin
	perform maintsched.need_primary();
	r := maintsched.need_repository(repository);
	perform maintsched.check_word('method', method, array['rows', 'digest']);
	database_name := maintsched.need_this_database(database, 'tables');
	select * into t from maintsched.expected_name(name);
	perform maintsched.check_expected_table(t.schema_name, t.table_name);
	select x.method into was
	from maintsched.expected_table x
	where x.repository = r.name and x.database = database_name and x.schema_name = t.schema_name and x.table_name = t.table_name
	for update;
	insert into maintsched.expected_table (repository, database, schema_name, table_name, method)
	values (r.name, database_name, t.schema_name, t.table_name, method)
	on conflict on constraint expected_table_pkey do update set method = excluded.method;
	if was is distinct from method then
		perform maintsched.note_expected(r.name, format('expected table %I.%I', t.schema_name, t.table_name), was, method);
	end if;
end
$$;

comment on function maintsched.add_expected_table(text, text, text, text) is
'Has capture_expectations() compare a table, or all that a pattern means (schema.table, with * for any text and ? for a character), by rows, their number, or digest, their contents; for one that is there, changes that. database: this one. For managers. Errors: undefined_object (42704), invalid_name (42602), undefined_table (42P01), wrong_object_type (42809) for views, foreign, unlogged, temporary and system tables, invalid_parameter_value (22023), feature_not_supported (0A000) for another database.';

create function maintsched.drop_expected_table(repository text, name text, database text default null) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r maintsched.repository;
	t record;
	was text;
begin
	perform maintsched.need_primary();
	r := maintsched.need_repository(repository);
	select * into t from maintsched.expected_name(name);
	delete from maintsched.expected_table x
	where x.repository = r.name and x.database = coalesce(drop_expected_table.database, current_database())
	and x.schema_name = t.schema_name and x.table_name = t.table_name
	returning x.method into was;
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('"%s" is not among the expected tables of repository "%s"', name, r.name),
			hint = maintsched.perhaps(name, array(
				select x.schema_name || '.' || x.table_name
				from maintsched.expected_table x where x.repository = r.name order by 1), 'They are');
	end if;
	perform maintsched.note_expected(r.name, format('expected table %I.%I', t.schema_name, t.table_name), was, null);
end
$$;

comment on function maintsched.drop_expected_table(text, text, text) is
'Takes back add_expected_table(); what was captured stays. For managers. Errors: undefined_object (42704), invalid_name (42602).';

create function maintsched.check_sample_query(query text, here boolean) returns text[]
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_check_sample_query';

comment on function maintsched.check_sample_query(text, boolean) is
'Internal: Refuses what is not one SELECT without INTO and row locks; here: it is planned in this database, as the caller, and the names of its columns are returned. Errors: program_limit_exceeded (54000) above 30,000 bytes, syntax_error (42601), feature_not_supported (0A000), duplicate_column (42701), and what planning it raises.';

create function maintsched.put_sample_query(
	caller oid, repository text, name text, query text, expected jsonb,
	min_rows bigint, max_rows bigint, columns text[], database text, timeout interval, known_columns text[])
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	-- first of all: nobody else is to take him
	caller_name constant text := maintsched.caller_role();
	database_name constant text := coalesce(database, current_database());
	r maintsched.repository;
	was text;
	problem text;
begin
	perform maintsched.need_primary();
	r := maintsched.need_repository(repository);
	if not pg_has_role(caller_name, 'pg_read_all_data', 'usage') then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('role "%s" may not add sample queries', caller_name),
			detail = 'They are run in a restored copy by a role that may read everything in it.',
			hint = 'Superusers may, and roles with privileges of pg_read_all_data.';
	elsif coalesce(name, '') !~ '^[^[:cntrl:]]{1,100}$' or name <> btrim(name) then
		raise exception using
			errcode = 'invalid_name',
			message = 'a sample query needs a name of 1 to 100 characters';
	end if;
	if query is null then
		raise exception using
			errcode = 'null_value_not_allowed',
			message = format('sample query "%s" is NULL', name);
	end if;
	perform maintsched.check_sample_query(query, false);
	problem := case
		when jsonb_typeof(expected) <> 'array' or exists (
			select from jsonb_array_elements(case jsonb_typeof(expected) when 'array' then expected else '[]' end) e
			where jsonb_typeof(e) <> 'object')
			then 'expected must be an array of rows, each an object, such as [{"n": 5}]'
		when octet_length(expected::text) > 1000000 then 'expected is longer than a megabyte'
		when min_rows < 0 or max_rows < 0 or min_rows > max_rows then 'min_rows and max_rows must be numbers from 0, in this order'
		when cardinality(columns) = 0 or array_position(columns, null) is not null then 'columns must be names'
		when timeout is null or timeout <= interval '0' or timeout > interval '1 day' or not isfinite(timeout)
			then 'timeout must be a length of time up to a day'
		when known_columns is not null and columns is not null
			and (select array_agg(distinct c collate "C" order by c collate "C") from unnest(columns) c)
				<> (select array_agg(c order by c collate "C") from unnest(known_columns) c)
			then format('its columns are %s', array_to_string(known_columns, ', ')) end;
	if problem is not null then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('sample query "%s": %s', name, problem);
	elsif not exists (select from pg_database d where d.datname = database_name and d.datallowconn) then
		raise exception using
			errcode = 'invalid_catalog_name',
			message = format('database "%s" %s', database_name, case
				when exists (select from pg_database d where d.datname = database_name) then 'takes no connections' else 'does not exist' end);
	end if;
	select x.query into was
	from maintsched.sample_query x
	where x.repository = r.name and x.name = put_sample_query.name
	for update;
	insert into maintsched.sample_query (repository, name, database, query, expected, min_rows, max_rows, columns, timeout)
	values (r.name, name, database_name, query, expected, min_rows, max_rows, columns, timeout)
	on conflict on constraint sample_query_pkey do update
	set database = excluded.database, query = excluded.query, expected = excluded.expected, min_rows = excluded.min_rows,
		max_rows = excluded.max_rows, columns = excluded.columns, timeout = excluded.timeout;
	perform maintsched.note_expected(r.name, format('sample query %s', name), was, query);
end
$$;

comment on function maintsched.put_sample_query(oid, text, text, text, jsonb, bigint, bigint, text[], text, interval, text[]) is
'Internal: add_sample_query(), after the query was looked at as the caller.';

create function maintsched.add_sample_query(
	repository text, name text, query text, expected jsonb default null,
	min_rows bigint default null, max_rows bigint default null, columns text[] default null,
	database text default null, timeout interval default '1 minute')
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	text_of_query constant text := regexp_replace(btrim(query, E' \t\r\n'), '[[:space:];]+$', '');
	known_columns constant text[] := maintsched.check_sample_query(text_of_query, database is null or database = current_database());
begin
	perform maintsched.put_sample_query(maintsched.note_caller(), repository, name, text_of_query, expected,
		min_rows, max_rows, columns, database, timeout, known_columns);
end
$$;

comment on function maintsched.add_sample_query(text, text, text, jsonb, bigint, bigint, text[], text, interval) is
'Has restore drills of a repository run a query in the restored copy, or changes one. query: one SELECT; names in it need their schema. expected: its result, an array of rows as objects; min_rows, max_rows: how many rows; columns: their names; what is not given may be anything, but the query must not fail. database: in which one (this one). It is planned here at once, as the caller, where that is this database; in the copy it is run, read-only, by a role that may read everything. What it returns is compared, and not recorded. For managers who are superusers or have privileges of pg_read_all_data. Errors: undefined_object (42704), insufficient_privilege (42501), syntax_error (42601) and what else is wrong with the query, feature_not_supported (0A000) for anything but a SELECT, invalid_name (42602), invalid_parameter_value (22023), invalid_catalog_name (3D000).';

create function maintsched.drop_sample_query(repository text, name text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r maintsched.repository;
	was text;
begin
	perform maintsched.need_primary();
	r := maintsched.need_repository(repository);
	delete from maintsched.sample_query x
	where x.repository = r.name and x.name = drop_sample_query.name
	returning x.query into was;
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('repository "%s" has no sample query %s', r.name, coalesce('"' || name || '"', 'NULL')),
			hint = maintsched.perhaps(coalesce(name, ''), array(
				select x.name from maintsched.sample_query x where x.repository = r.name order by 1), 'It has');
	end if;
	perform maintsched.note_expected(r.name, format('sample query %s', name), was, null);
end
$$;

comment on function maintsched.drop_sample_query(text, text) is
'Takes back add_sample_query(). For managers. Error: undefined_object (42704).';

create function maintsched.forget_expected() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
	delete from maintsched.expected_table x where x.repository = old.name;
	delete from maintsched.sample_query x where x.repository = old.name;
	return null;
end
$$;

comment on function maintsched.forget_expected() is
'Internal: Trigger: what is asked of a repository''s backups goes with it.';

create trigger forget_expected after delete on maintsched.repository
for each row execute function maintsched.forget_expected();

create view maintsched.expected_tables as
select x.repository, x.database, x.schema_name as schema, x.table_name as relation, x.method
from maintsched.expected_table x;

comment on view maintsched.expected_tables is 'Tables that are compared after a restore: add_expected_table().';
comment on column maintsched.expected_tables.repository is 'The repository.';
comment on column maintsched.expected_tables.database is 'The database.';
comment on column maintsched.expected_tables.schema is 'Their schema, or a pattern.';
comment on column maintsched.expected_tables.relation is 'Their name, or a pattern.';
comment on column maintsched.expected_tables.method is 'rows: their number; digest: their contents.';

create view maintsched.sample_queries as
select x.repository, x.name, x.database, x.query, x.expected, x.min_rows, x.max_rows, x.columns, x.timeout
from maintsched.sample_query x;

comment on view maintsched.sample_queries is 'Queries that are run in a restored backup: add_sample_query().';
comment on column maintsched.sample_queries.repository is 'The repository.';
comment on column maintsched.sample_queries.name is 'Its name.';
comment on column maintsched.sample_queries.database is 'The database in which it is run.';
comment on column maintsched.sample_queries.query is 'The query.';
comment on column maintsched.sample_queries.expected is 'Its result: an array of rows; NULL: any.';
comment on column maintsched.sample_queries.min_rows is 'So many rows at least; NULL: any number.';
comment on column maintsched.sample_queries.max_rows is 'So many rows at most; NULL: any number.';
comment on column maintsched.sample_queries.columns is 'Its columns; NULL: any.';
comment on column maintsched.sample_queries.timeout is 'How long it may take.';
