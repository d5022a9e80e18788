--
-- 50_tables: which tables a routine is meant for, who is at work on them, and
-- who keeps dead rows from being removed
--
-- What the server shows of other sessions only to some (pg_stat_activity,
-- pg_stat_progress_*) is read as the owner here: of a session its pid,
-- application, role, state and times, never a query.
--

create function maintsched.may_analyze(relation oid) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	return (
		select case
			when pg_has_role(d.datdba, 'USAGE') then true
			when current_setting('server_version_num')::integer >= 170000 then has_table_privilege(c.oid, 'MAINTAIN')
			else pg_has_role(c.relowner, 'USAGE')
		end
		from pg_class c, pg_database d
		where c.oid = relation and d.datname = current_database());
end
$$;

comment on function maintsched.may_analyze(oid) is
'Internal: Whether the current role may ANALYZE and VACUUM a relation: the owner of the database, of the table, or, since PostgreSQL 17, who has MAINTAIN.';

create function maintsched.table_matches(relation oid, is_partition boolean, schema_name text, relation_name text, patterns jsonb)
returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	return maintsched.name_matches(schema_name, relation_name, patterns)
		or is_partition and exists (
			select from pg_partition_ancestors(relation) a
			join pg_class c on c.oid = a.relid
			join pg_namespace n on n.oid = c.relnamespace
			where maintsched.name_matches(n.nspname, c.relname, patterns));
end
$$;

comment on function maintsched.table_matches(oid, boolean, text, text, jsonb) is
'Internal: Whether one of the patterns is that of a table, of a partitioned table above it, or of one of their schemas.';

create function maintsched.pattern_is_known(pattern text, kinds text[]) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select exists (
		select from pg_class c
		join pg_namespace n on n.oid = c.relnamespace
		where c.relkind = any (kinds::"char"[]) and c.relpersistence <> 't'
		and (n.nspname = 'pg_toast' or not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema')
		and maintsched.name_matches(n.nspname, c.relname, jsonb_build_array(pattern)))
$$;

comment on function maintsched.pattern_is_known(text, text[]) is
'Internal: Whether a pattern of include or exclude means a relation of one of these kinds (pg_class.relkind), or a schema in which there is one, that is not the system''s.';

create function maintsched.warn_of_unknown_names(params jsonb, what text, kinds text[]) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	hint constant text := format('It is a schema, or a %s as schema.name, with * for any text and ? for a character, in the letters of the catalog.', what);
	unknown text;
begin
	for unknown in
		select p.value from jsonb_array_elements_text(coalesce(nullif(params -> 'include', 'null'), '[]')) p
		where not maintsched.pattern_is_known(p.value, kinds)
	loop
		raise warning 'no % is meant by "%"', what, unknown using hint = hint;
	end loop;
	-- a slip of the pen there would have something done that is not to be done
	for unknown in
		select p.value from jsonb_array_elements_text(coalesce(nullif(params -> 'exclude', 'null'), '[]')) p
		where not maintsched.pattern_is_known(p.value, array['r', 'p', 'm', 'i', 'I'])
		and not exists (select from pg_namespace n where n.nspname like maintsched.pattern_like(p.value) escape '!')
	loop
		raise warning 'exclude: no % is meant by "%"', what, unknown using hint = hint;
	end loop;
	for unknown in
		select o.key from jsonb_each(coalesce(nullif(params -> 'overrides', 'null'), '{}')) o
		where not exists (select from pg_namespace n where n.nspname = o.key)
		and not exists (
			select from pg_class c
			join pg_namespace n on n.oid = c.relnamespace
			where n.nspname || '.' || c.relname = o.key and c.relkind in ('r', 'p', 'm', 'i', 'I'))
	loop
		raise warning 'overrides: no % is called "%"', what, unknown
			using hint = format('It is a schema, or a %s as schema.name, in the letters of the catalog, without patterns.', what);
	end loop;
end
$$;

comment on function maintsched.warn_of_unknown_names(jsonb, text, text[]) is
'Internal: A WARNING for each entry of include, exclude and overrides that means nothing in this database.';

create function maintsched.tables_meant(verb text, params jsonb)
returns table (relations oid[], refused oid[])
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	include constant jsonb := nullif(params -> 'include', 'null');
	exclude constant jsonb := nullif(params -> 'exclude', 'null');
begin
	-- what looked at nothing proves nothing
	if current_setting('track_counts') <> 'on' and (params -> 'all') is distinct from 'true' then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('what needs to be %s cannot be known: track_counts is off',
				case verb when 'analyze' then 'analyzed' else 'vacuumed' end),
			hint = 'Turn it on, or say {"all": true}.';
	end if;
	select array_agg(x.oid) filter (where x.allowed), array_agg(x.oid) filter (where not x.allowed)
	into relations, refused
	from (
		select c.oid, maintsched.may_analyze(c.oid) as allowed
		from pg_class c
		join pg_namespace n on n.oid = c.relnamespace
		where (c.relkind = 'r' or c.relkind = 'p' and verb = 'analyze' or c.relkind = 'm' and c.relispopulated)
		and c.relpersistence <> 't'
		and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
		and (include is null or maintsched.table_matches(c.oid, c.relispartition, n.nspname, c.relname, include))
		and (exclude is null or not maintsched.table_matches(c.oid, c.relispartition, n.nspname, c.relname, exclude))
		offset 0) x;
	if relations is null and refused is not null then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('role "%s" may %s none of the tables that are meant', current_user, verb),
			hint = format('Tables are %s by their owner, the owner of the database or a superuser; since PostgreSQL 17 also with the privilege MAINTAIN.',
				case verb when 'analyze' then 'analyzed' else 'vacuumed' end);
	elsif relations is null and include is not null then
		raise exception using
			errcode = 'undefined_table',
			message = format('no table is meant by include %s%s', include, ' without exclude ' || (exclude #>> '{}')),
			hint = 'include takes schemas and tables as schema.table, with * for any text and ? for a character, in the letters of the catalog; the system''s are left alone.';
	end if;
	perform maintsched.warn_of_unknown_names(params, 'table', array['r', 'p', 'm']);
	return next;
end
$$;

comment on function maintsched.tables_meant(text, jsonb) is
'Internal: The tables that include and exclude mean, a partitioned table with its partitions, which the current role may analyze or vacuum (verb), and those which it may not; for vacuum without partitioned tables, for none of both what is temporary or the system''s. A WARNING for an entry of include that means nothing. Errors: insufficient_privilege (42501), undefined_table (42P01), object_not_in_prerequisite_state (55000).';

create function maintsched.names_of(relations oid[]) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select string_agg(x.name, ', ' order by x.place) || case when cardinality(relations) > 5 then ', ...' else '' end
	from (
		select format('%I.%I', n.nspname, c.relname) as name,
			row_number() over (order by n.nspname collate "C", c.relname collate "C") as place
		from pg_class c
		join pg_namespace n on n.oid = c.relnamespace
		where c.oid = any (relations)) x
	where x.place <= 5
$$;

comment on function maintsched.names_of(oid[]) is
'Internal: The first five of some relations by name, for a sentence.';

create function maintsched.summary_action(
	verb text, meant integer, needed integer, refused oid[])
returns setof maintsched.action
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select format('%I', current_database()), '-- not allowed',
		format('%s left out: role "%s" may not %s %s (%s)',
			case cardinality(refused) when 1 then '1 table is' else maintsched.count_text(cardinality(refused)) || ' tables are' end,
			current_user, verb, case cardinality(refused) when 1 then 'it' else 'them' end, maintsched.names_of(refused)),
		null::bigint, null::numeric, jsonb '{"skip": "pointless"}'
	where cardinality(refused) > 0
	union all
	select format('%I', current_database()), '-- nothing to do',
		case meant
			when 0 then 'there is no table'
			when 1 then 'the one table does not need it'
			else format('none of %s tables needs it', maintsched.count_text(meant)) end,
		null::bigint, null::numeric, jsonb '{"skip": "not_needed"}'
	where needed = 0
$$;

comment on function maintsched.summary_action(text, integer, integer, oid[]) is
'Internal: What a plan says besides its actions: tables that the role may not touch, and that none needs anything.';

create function maintsched.at_work()
returns table (relation oid, by text)
language plpgsql stable security definer rows 3
set search_path = pg_catalog, pg_temp
as $$
begin
	return query
	select p.relid, format('%s is at work on it (%s, pid %s%s)',
		case when a.backend_type = 'autovacuum worker' then 'autovacuum' else 'somebody' end,
		p.command, p.pid, coalesce(', for ' || maintsched.age_text(statement_timestamp() - a.xact_start), ''))
	from (
		select v.pid, v.relid, 'VACUUM' as command, v.datid from pg_stat_progress_vacuum v
		union all
		select v.pid, v.relid, 'ANALYZE', v.datid from pg_stat_progress_analyze v) p
	left join pg_stat_activity a using (pid)
	where p.datid = (select d.oid from pg_database d where d.datname = current_database())
	and p.pid <> pg_backend_pid();
end
$$;

comment on function maintsched.at_work() is
'Internal: The relations of this database, TOAST tables by themselves, which somebody vacuums or analyzes now, and who, in words.';

-- as the owner, who sees what all sessions do
create function maintsched.lock_obstacle(relation oid) returns text
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
	select case
			when l.pid is null then 'a prepared transaction has locked the table'
			when s.backend_type = 'autovacuum worker' then format('autovacuum is on the table (process %s)', l.pid)
			when l.granted then format('process %s has locked the table (%s)', l.pid, l.mode)
			else format('process %s waits for a lock of the table (%s)', l.pid, l.mode)
		end
	from pg_locks l
	left join pg_stat_activity s on s.pid = l.pid
	where l.locktype = 'relation' and l.relation = lock_obstacle.relation
	and l.database = (select d.oid from pg_database d where d.datname = current_database())
	and l.pid is distinct from pg_backend_pid()
	and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
	order by l.granted desc, l.pid
	limit 1
$$;

comment on function maintsched.lock_obstacle(oid) is
'Internal: Who holds or awaits a lock of a table that VACUUM, ANALYZE and a rebuild of its indexes would wait for; NULL: nobody.';

create function maintsched.horizon_holders()
returns table (holder text, xmin xid, catalog_only boolean)
language plpgsql stable security definer rows 10
set search_path = pg_catalog, pg_temp
as $$
begin
	return query
	select x.holder, x.xmin, x.catalog_only
	from (
		select format('session %s (%s%s, %s%s)', a.pid,
				coalesce('"' || nullif(a.application_name, '') || '"', a.backend_type),
				coalesce(', role ' || quote_ident(a.usename), ''), coalesce(a.state, 'active'),
				coalesce(', its transaction began ' || maintsched.age_text(clock_timestamp() - a.xact_start) || ' ago', '')) as holder,
			case when age(a.backend_xid) > age(a.backend_xmin) or a.backend_xmin is null then a.backend_xid else a.backend_xmin end as xmin,
			false as catalog_only, a.leader_pid is not null as lesser
		from pg_stat_activity a
		where (a.datname = current_database() or a.datid is null) and a.pid <> pg_backend_pid()
		and a.backend_type <> 'walsender'
		-- VACUUM does not wait for VACUUM
		and not exists (select from pg_stat_progress_vacuum v where v.pid = a.pid)
		union all
		select format('standby "%s" (hot_standby_feedback, pid %s%s)', r.application_name, r.pid,
				coalesce(', connected for ' || maintsched.age_text(clock_timestamp() - r.backend_start), '')),
			r.backend_xmin, false, false
		from pg_stat_replication r
		union all
		select format('replication slot "%s" (%s, %s%s)', s.slot_name, s.slot_type,
				case when s.active then 'active' else 'inactive' end,
				coalesce(' for ' || maintsched.age_text(clock_timestamp() - (to_jsonb(s) ->> 'inactive_since')::timestamptz), '')),
			h.xmin, h.catalog_only, false
		from pg_replication_slots s
		cross join lateral (values (s.xmin, false), (s.catalog_xmin, true)) h(xmin, catalog_only)
		union all
		select format('prepared transaction "%s" (role %s, prepared %s ago)', p.gid, quote_ident(p.owner),
				maintsched.age_text(clock_timestamp() - p.prepared)),
			p.transaction, false, false
		from pg_prepared_xacts p
		where p.database = current_database()) x
	where x.xmin is not null
	order by age(x.xmin) desc, x.lesser, x.holder;
end
$$;

comment on function maintsched.horizon_holders() is
'Internal: Who keeps rows of this database that are dead to others, and from which transaction on, oldest first; catalog_only: rows of catalogs, and of tables with user_catalog_table. What is seen is that of this instant.';

create function maintsched.held_by(horizon xid, of_catalog boolean) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	-- a holder may have moved on by a few since
	found_holder constant text := (
		select h.holder
		from maintsched.horizon_holders() h
		where (of_catalog or not h.catalog_only) and age(h.xmin) >= age(horizon)
		limit 1);
begin
	return coalesce(found_holder,
		case when coalesce(current_setting('vacuum_defer_cleanup_age', true)::integer, 0) > 0
			then 'setting vacuum_defer_cleanup_age' end,
		'a transaction that has ended by now, or cannot be seen');
end
$$;

comment on function maintsched.held_by(xid, boolean) is
'Internal: Who holds a horizon (vacuum_outlook()), in words; of_catalog: of a table with user_catalog_table.';

create function maintsched.vacuum_outlook(relation oid, wanted integer,
	out horizon xid, out pages bigint, out hidden bigint, out sampled integer,
	out removable double precision, out recent double precision, out settable integer)
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_vacuum_outlook';

comment on function maintsched.vacuum_outlook(oid, integer) is
'Internal: What a VACUUM now would give: from which transaction on dead rows stay, how many pages a heap has, how many of these are not all-visible, and in a sample of about so many of them: the dead rows that can go and those that cannot, and pages that would become all-visible. NULL where it is locked, gone, or no heap.';

create function maintsched.autovacuum_scores()
returns table (relation oid, score double precision, vacuum boolean, "analyze" boolean)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
	if to_regclass('pg_catalog.pg_stat_autovacuum_scores') is not null then
		return query execute
			'select s.relid, s.score, s.do_vacuum, s.do_analyze from pg_catalog.pg_stat_autovacuum_scores s';
	end if;
end
$$;

comment on function maintsched.autovacuum_scores() is
'Internal: What autovacuum itself thinks of each relation of this database, since PostgreSQL 19.';

create function maintsched.table_option(options text[], name text) returns numeric
language sql immutable strict parallel safe
return (
	select split_part(o, '=', 2)::numeric
	from unnest(options) o
	where split_part(o, '=', 1) = table_option.name);

comment on function maintsched.table_option(text[], text) is
'Internal: A numeric storage parameter out of pg_class.reloptions.';

create function maintsched.cost_delay_ms(cost_delay text) returns numeric
language sql immutable parallel safe
return regexp_replace(cost_delay, '[ a-z]', '', 'g')::numeric / case when cost_delay ~ 'us$' then 1000 else 1 end;

comment on function maintsched.cost_delay_ms(text) is
'Internal: A pause such as "2ms" or "500us" in milliseconds; a plain number is milliseconds.';

create function maintsched.page_throttle(cost_delay text, cost_limit integer) returns numeric
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(
			maintsched.cost_delay_ms(cost_delay),
			sum(s.setting::numeric) filter (where s.name = 'vacuum_cost_delay')) / 1000
		* sum(s.setting::numeric) filter (where s.name in ('vacuum_cost_page_miss', 'vacuum_cost_page_dirty'))
		/ coalesce(cost_limit, sum(s.setting::numeric) filter (where s.name = 'vacuum_cost_limit'))
	from pg_settings s
	where starts_with(s.name, 'vacuum_cost_')
$$;

comment on function maintsched.page_throttle(text, integer) is
'Internal: Seconds that VACUUM and ANALYZE pause for a page that is read and written, by vacuum_cost_delay and its companions (PostgreSQL manual, 20.10.2), or the values given instead.';
