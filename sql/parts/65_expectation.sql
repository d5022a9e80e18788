--
-- 65_expectation: what a restored backup is expected to hold
--
-- capture_expectations() reads figures of this database, makes a restore point
-- in the WAL, and reads them again as they are at that very point
-- (src/backup/expect.c).  That is expected of a copy that was recovered to it;
-- of a table that was being written to just then, only if both readings are the
-- same.
--

create function maintsched.unlocked_size(relation oid, pages integer, exclusive oid[]) returns bigint
language sql volatile
return case
	-- to ask for it would wait
	when relation = any (exclusive) then greatest(pages, 0)::bigint * current_setting('block_size')::bigint
	else coalesce(pg_table_size(relation), 0) end;

comment on function maintsched.unlocked_size(oid, integer, oid[]) is
'Internal: The size of a table; of those that somebody has locked or is about to, as many pages as it had when it was last vacuumed or analyzed.';

create function maintsched.expected_relations(repository text)
returns table (relation oid, schema_name text, table_name text, method text, bytes bigint, problem text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	exclusive constant oid[] := array(
		select l.relation from pg_locks l
		where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.pid <> pg_backend_pid()
		and l.database = (select d.oid from pg_database d where d.datname = current_database()));
	named boolean;
begin
	return query
	with meant as (
		select c.oid, x.method, x.schema_name = n.nspname and x.table_name = c.relname as by_name
		from maintsched.expected_table x
		join pg_namespace n on n.nspname like maintsched.pattern_like(x.schema_name) escape '!'
		join pg_class c on c.relnamespace = n.oid and c.relname like maintsched.pattern_like(x.table_name) escape '!'
		where x.repository = expected_relations.repository and x.database = current_database()
		and c.relkind in ('r', 'p', 'm', 'v', 'f')
		-- a pattern means what has rows of its own; a name is answered for
		and (x.schema_name = n.nspname and x.table_name = c.relname
			or c.relkind in ('r', 'p', 'm') and c.relpersistence = 'p' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema')
	), part as (
		-- partitions by themselves
		select p.relid::oid as oid, m.method, m.by_name
		from meant m
		cross join lateral pg_partition_tree(m.oid) p
		where p.isleaf
		union all
		select m.oid, m.method, m.by_name
		from meant m
		where not exists (select from pg_partition_tree(m.oid))
	), best as (
		select p.oid, (array_agg(p.method order by p.by_name desc, p.method))[1] as method
		from part p
		group by p.oid
	)
	select c.oid, n.nspname::text, c.relname::text, b.method, maintsched.unlocked_size(c.oid, c.relpages, exclusive),
		case
			when c.relkind = 'p' then 'has no partitions'
			when c.relkind = 'v' then 'is a view'
			when c.relkind = 'f' then 'is a foreign table'
			when c.relpersistence = 'u' then 'is unlogged, and empty after a restore'
			when c.relpersistence = 't' then 'is a temporary table' end
	from best b
	join pg_class c on c.oid = b.oid
	join pg_namespace n on n.oid = c.relnamespace
	union all
	select null, x.schema_name, x.table_name, x.method, 0, 'does not exist'
	from maintsched.expected_table x
	where x.repository = expected_relations.repository and x.database = current_database()
	and not exists (
		select from pg_namespace n
		join pg_class c on c.relnamespace = n.oid
		where n.nspname like maintsched.pattern_like(x.schema_name) escape '!'
		and c.relname like maintsched.pattern_like(x.table_name) escape '!'
		and c.relkind in ('r', 'p', 'm', 'v', 'f'));
	named := exists (
		select from maintsched.expected_table x
		where x.repository = expected_relations.repository and x.database = current_database());
	if named then
		return;
	end if;
	return query
	select c.oid, n.nspname::text, c.relname::text, 'rows', maintsched.unlocked_size(c.oid, c.relpages, exclusive), null
	from pg_class c
	join pg_namespace n on n.oid = c.relnamespace
	where c.relkind = 'r' and c.relpersistence = 'p'
	and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
	and not exists (
		select from pg_depend d
		where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e');
end
$$;

comment on function maintsched.expected_relations(text) is
'Internal: The tables of this database that are meant by expected_table, partitions by themselves, and why some cannot be read; where none are named: all ordinary tables that do not belong to extensions.';

create function maintsched.stored_columns(relation oid) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
return array(
	select a.attname::text
	from pg_attribute a
	where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v'
	order by a.attnum);

comment on function maintsched.stored_columns(oid) is
'Internal: The columns of a table that are stored, in order.';

create function maintsched.write_count(relation oid) returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
return case when current_setting('track_counts')::boolean then
	pg_stat_get_tuples_inserted(relation) + pg_stat_get_tuples_updated(relation) + pg_stat_get_tuples_deleted(relation)
	-- what this session has not told the others yet
	+ pg_stat_get_xact_tuples_inserted(relation) + pg_stat_get_xact_tuples_updated(relation) + pg_stat_get_xact_tuples_deleted(relation) end;

comment on function maintsched.write_count(oid) is
'Internal: How many rows were written in a table, as the statistics have it; NULL: they are not kept.';

create function maintsched.capture_lists() returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
declare
	lists jsonb := '[]';
	list text;
	value jsonb;
begin
	foreach list in array array['databases', 'roles', 'extensions', 'tables'] loop
		execute format('select coalesce(jsonb_agg(to_jsonb(q) order by q.name collate "C"), ''[]'') from (%s) q', maintsched.catalog_query(list))
		into value;
		lists := lists || jsonb_build_object('database', current_database(), 'item', list, 'value', value);
	end loop;
	return lists;
end
$$;

comment on function maintsched.capture_lists() is
'Internal: The lists of an expectation as of now.';

create function maintsched.capture_limits(out tables integer, out table_bytes bigint, out bytes bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	-- each is locked for an instant: a quarter of the locks that there are at least
	select least(2000, greatest(100, current_setting('max_locks_per_transaction')::integer
			* (current_setting('max_connections')::integer + current_setting('max_prepared_transactions')::integer) / 4)),
		1073741824::bigint, 2147483648::bigint
$$;

comment on function maintsched.capture_limits() is
'Internal: What capture_expectations() reads at most: so many tables; and where none are named, none larger than table_bytes, and not more than bytes in all.';

create function maintsched.capture_targets(repository text)
returns table (relation oid, item jsonb, query text, writes bigint, problem text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
#variable_conflict use_column
declare
	r constant maintsched.repository := maintsched.need_repository(capture_targets.repository);
	-- 64 bits without a sign
	server constant numeric := (
		select mod(s.system_identifier::numeric + 18446744073709551616, 18446744073709551616)
		from pg_control_system() s);
	l record;
	named boolean;
begin
	perform maintsched.need_read_committed('capture_expectations()');
	if current_setting('wal_level') = 'minimal' then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = 'expectations cannot be captured with wal_level = minimal',
			detail = 'Its WAL is no good for recovery to a restore point.',
			hint = 'Set wal_level = replica and restart the server.';
	elsif r.system_identifier <> server then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('repository "%s" holds backups of another cluster', r.name),
			detail = format('Of the one with system identifier %s.', r.system_identifier),
			hint = 'What they are to hold is captured there.';
	end if;
	select * into l from maintsched.capture_limits();
	named := exists (
		select from maintsched.expected_table x
		where x.repository = r.name and x.database = current_database());
	return query
	with meant as materialized (
		select e.* from maintsched.expected_relations(r.name) e
	), sized as (
		-- the large ones cost most
		select m.*, coalesce(m.problem, case when not named and (m.bytes > l.table_bytes
			or sum(m.bytes) over (order by m.bytes, m.schema_name collate "C", m.table_name collate "C") > l.bytes)
			then 'is large' end) as why
		from meant m
	), judged as (
		-- and the small ones are missed least
		select s.*, row_number() over (order by s.why is not null, s.bytes desc, s.schema_name collate "C", s.table_name collate "C") as place
		from sized s
	)
	select j.relation,
		jsonb_strip_nulls(jsonb_build_object('database', current_database(), 'item', j.method,
			'schema', j.schema_name, 'table', j.table_name, 'name', format('%I.%I', j.schema_name, j.table_name),
			'columns', case j.method when 'digest' then to_jsonb(maintsched.stored_columns(j.relation)) end)),
		case j.method when 'digest' then maintsched.digest_query(j.schema_name, j.table_name, maintsched.stored_columns(j.relation))
			else maintsched.rows_query(j.schema_name, j.table_name) end,
		maintsched.write_count(j.relation),
		coalesce(j.why, case when j.place > l.tables then 'is one too many' end)
	from judged j
	order by j.place;
end
$$;

comment on function maintsched.capture_targets(text) is
'Internal: What capture_expectations() reads of which tables, and what it does not and why. Errors: undefined_object (42704), object_not_in_prerequisite_state (55000), feature_not_supported (0A000) outside read committed.';

create function maintsched.capture_outcome(first text, second text, locked boolean, writes_before bigint, writes_after bigint, problem text)
returns text
language sql immutable parallel safe
return case
	when problem is not null then problem
	-- nobody was in the middle of writing at the point: the second reading is of that
	when locked then null
	when first is distinct from second then 'changed while it was read'
	-- rows that came and went between both readings may have been there at the point
	when writes_before is null or writes_after is null then 'was being written to'
	when writes_before <> writes_after then 'changed while it was read' end;

comment on function maintsched.capture_outcome(text, text, boolean, bigint, bigint, text) is
'Internal: Why a table is not expected to be as it was read; NULL: it is.';

create function maintsched.record_expectation(
	expectation_id bigint, repository text, restore_point text, lsn pg_lsn, timeline bigint,
	lists jsonb, relations oid[], items jsonb[], writes bigint[], first text[], second text[], locked boolean[], problems text[])
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	captured_at constant timestamptz := clock_timestamp();
	lists_after constant jsonb := maintsched.capture_lists();
	syncing boolean;
	kept jsonb;
	left_out text[];
	large integer;
	words text;
begin
	perform pg_stat_clear_snapshot();
	-- what is in the WAL, and not seen before a standby has it
	syncing := exists (select from pg_stat_activity a where a.wait_event = 'SyncRep');
	with read as materialized (
		select x.ordinality, x.item, x.second, maintsched.write_count(x.relation) as writes,
			maintsched.capture_outcome(x.first, x.second, x.locked, x.writes, case when not syncing then maintsched.write_count(x.relation) end, x.problem) as problem
		from unnest(relations, items, writes, first, second, locked, problems) with ordinality
			x(relation, item, writes, first, second, locked, problem, ordinality)
	), list as materialized (
		select l.ordinality, l.value as item, a.value is not null as same
		from jsonb_array_elements(lists) with ordinality l
		left join jsonb_array_elements(lists_after) a on a.value = l.value
	)
	select coalesce((select jsonb_agg(l.item order by l.ordinality) from list l where l.same), '[]')
			|| coalesce((
				select jsonb_agg(x.item || jsonb_build_object('writes', x.writes, 'value', case x.item ->> 'item'
					when 'rows' then to_jsonb(split_part(x.second, ' ', 1)::bigint)
					else jsonb_build_object('rows', split_part(x.second, ' ', 1)::bigint, 'digest', split_part(x.second, ' ', 2)) end)
					order by x.item ->> 'name' collate "C")
				from read x where x.problem is null), '[]'),
		array(select format('the list of %s (changed while it was read)', l.item ->> 'item') from list l where not l.same order by l.ordinality)
			|| array(
				select format('%s (%s)', x.item ->> 'name', x.problem)
				from read x where x.problem not in ('is large', 'is one too many')
				order by x.item ->> 'name' collate "C"),
		(select count(*) from read x where x.problem in ('is large', 'is one too many'))
	into kept, left_out, large;
	words := nullif(concat_ws('; ',
		case when cardinality(left_out) > 0 then format('left out: %s', array_to_string(left_out[1:50], ', '))
			|| case when cardinality(left_out) > 50 then format(' and %s more', cardinality(left_out) - 50) else '' end end,
		case when large > 0 then format('%s %s too large to be read each time, or too many: add_expected_table() names those that matter',
			maintsched.exact_text(large), case large when 1 then 'table is' else 'tables are' end) end), '');
	insert into maintsched.expectation (expectation_id, repository, kept, message, restore_point, lsn, timeline, captured_at, items)
	values (expectation_id, repository, jsonb_array_length(kept) > 0, words, restore_point, lsn, timeline, captured_at, kept);
	return words;
end
$$;

comment on function maintsched.record_expectation(bigint, text, text, pg_lsn, bigint, jsonb, oid[], jsonb[], bigint[], text[], text[], boolean[], text[]) is
'Internal: Records what held at a restore point; returns what was left out, in words.';

create function maintsched.capture_expectations(repository text) returns bigint
language c volatile
as 'MODULE_PATHNAME', 'maintsched_capture_expectations';

comment on function maintsched.capture_expectations(text) is
'Captures what a restored backup of this cluster is to hold: of this database the row counts or digests of the tables that add_expected_table() named (where it named none: row counts of its ordinary tables of up to 1 GB, the smallest up to 2 GB in all, of these up to 2000), the lists of its tables and extensions with versions, and the lists of databases and of roles with attributes and memberships. A restore point is made, and it is read again as of that point. To know what was there at the very point, the tables are locked in mode SHARE for the instant; of a table that cannot be had so, after a second without and 50 ms with waiting, what was read is kept only if it is the same as before and the statistics know of no write in between; what somebody has for himself for five seconds is left out. What is not kept is named by the message in expectations. Tables are read as their owners, of whom the caller must have the privileges. Returns expectation_id. A drill recovers to the point, once its WAL is archived. Other databases are captured from within them. For managers. Errors: undefined_object (42704), read_only_sql_transaction (25006) on a standby, object_not_in_prerequisite_state (55000) with wal_level minimal and for a repository of another cluster, active_sql_transaction (25001) in a transaction that has changed something, feature_not_supported (0A000) outside read committed.';

create view maintsched.expectations as
select e.expectation_id, e.repository, e.kept, e.captured_at, e.restore_point, e.lsn, e.timeline,
	n.tables, n.rows, e.message, e.recorded_by as captured_by, e.simulated
from maintsched.expectation e
cross join lateral (
	select count(*) as tables,
		coalesce(sum(case i.value ->> 'item' when 'rows' then i.value ->> 'value' else i.value -> 'value' ->> 'rows' end::numeric), 0) as rows
	from jsonb_array_elements(e.items) i
	where i.value ? 'table') n
where e.clock_at <= maintsched.clock() and e.simulated <= maintsched.clock_simulated();

comment on view maintsched.expectations is 'What was captured of this database, to be compared with restored backups: capture_expectations().';
comment on column maintsched.expectations.expectation_id is 'Key, in order of recording.';
comment on column maintsched.expectations.repository is 'The repository.';
comment on column maintsched.expectations.kept is 'Whether there is something that is expected.';
comment on column maintsched.expectations.captured_at is 'When, in real time.';
comment on column maintsched.expectations.restore_point is 'The restore point at which it holds.';
comment on column maintsched.expectations.lsn is 'Where that is in WAL.';
comment on column maintsched.expectations.timeline is 'On which timeline.';
comment on column maintsched.expectations.tables is 'How many tables are compared.';
comment on column maintsched.expectations.rows is 'How many rows they have.';
comment on column maintsched.expectations.message is 'What was left out, and why.';
comment on column maintsched.expectations.captured_by is 'Who did it.';
comment on column maintsched.expectations.simulated is 'Whether it was under maintsched.now.';
