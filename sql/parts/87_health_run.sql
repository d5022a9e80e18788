--
-- 87_health_run: the routine health, and what its runs keep
--
-- What is cheap to tell, view health (88) tells of the moment.  What takes a
-- look at the whole catalog is measured by the runs of the routine and kept
-- here, one row for each item, and shown with its age.  Only measure_health()
-- writes it, which measures by itself: nobody can hand it results.  Texts of
-- errors are our own statements' on catalogs.
--

create table maintsched.health_result (
	item text primary key,
	status text not null check (status in ('OK', 'WARN', 'CRIT', 'UNKNOWN')),
	figure double precision,
	value text,
	detail text,
	hint text,
	measured_at timestamptz not null
);

comment on table maintsched.health_result is 'Internal: What the last run of routine health measured; not dumped: it is of this server.';
comment on column maintsched.health_result.item is 'What is judged.';
comment on column maintsched.health_result.status is 'OK, WARN, CRIT or UNKNOWN.';
comment on column maintsched.health_result.figure is 'The figure judged, as a number.';
comment on column maintsched.health_result.value is 'The figure judged, for people.';
comment on column maintsched.health_result.detail is 'In words.';
comment on column maintsched.health_result.hint is 'What to do.';
comment on column maintsched.health_result.measured_at is 'When it was measured, in real time.';

create table maintsched.health_setting (
	only_row boolean primary key default true check (only_row),
	params jsonb not null
);

comment on table maintsched.health_setting is 'Internal: One row: the parameters of the last run of routine health, by which the view judges, too.';
comment on column maintsched.health_setting.only_row is 'There is one row.';
comment on column maintsched.health_setting.params is 'As they were given to the run; the defaults of the routine stand for what is not.';

create table maintsched.health_day (
	item text not null,
	day date not null,
	status text not null,
	figure double precision,
	value text,
	measured_at timestamptz not null,
	primary key (item, day)
);

comment on table maintsched.health_day is 'Internal: The last measurement of each item and day, of the last 400 days.';
comment on column maintsched.health_day.item is 'What was judged.';
comment on column maintsched.health_day.day is 'Day in UTC, in real time.';
comment on column maintsched.health_day.status is 'OK, WARN, CRIT or UNKNOWN.';
comment on column maintsched.health_day.figure is 'The figure judged, as a number.';
comment on column maintsched.health_day.value is 'The figure judged, for people.';
comment on column maintsched.health_day.measured_at is 'When it was measured, in real time.';

create view maintsched.health_history as
select d.item, d.day, d.status, d.figure, d.value, d.measured_at
from maintsched.health_day d;

comment on view maintsched.health_history is 'What runs of routine health found: the last measurement of each item and day, kept for 400 days.';
comment on column maintsched.health_history.item is 'What was judged.';
comment on column maintsched.health_history.day is 'Day in UTC, in real time.';
comment on column maintsched.health_history.status is 'OK, WARN, CRIT or UNKNOWN.';
comment on column maintsched.health_history.figure is 'The figure judged, as a number: a share, seconds, bytes or a count, whatever the item is judged by.';
comment on column maintsched.health_history.value is 'The figure judged, for people.';
comment on column maintsched.health_history.measured_at is 'When it was measured, in real time.';

create function maintsched.health_groups() returns table (place integer, judge text, scope text, by_run boolean, items text[])
language sql immutable parallel safe
begin atomic
	select g.place, g.judge, g.scope, g.by_run, g.items
	from (values
		(1, 'health_connections', 'server', false, array['connections']),
		(2, 'health_transactions', 'server', false, array['longest transaction', 'idle in transaction']),
		(3, 'health_locks', 'server', false, array['lock waits']),
		(4, 'health_prepared', 'server', false, array['prepared transactions']),
		(5, 'health_replication', 'server', false, array['replication lag']),
		(6, 'health_slots', 'server', false, array['replication slots']),
		(7, 'health_archiver', 'server', false, array['archiver']),
		(8, 'health_wraparound', 'server', false, array['xid wraparound', 'multixact wraparound']),
		(9, 'health_autovacuum', 'server', false, array['autovacuum']),
		(10, 'health_checksums', 'server', false, array['checksum failures']),
		(11, 'health_durability', 'server', false, array['durability']),
		(12, 'health_settings', 'server', false, array['settings']),
		(13, 'health_certificate', 'server', false, array['server certificate']),
		(14, 'health_version', 'server', false, array['version']),
		(15, 'health_disk', 'server', false, array['disk space']),
		(16, 'health_tables', 'database', true, array['tables to freeze', 'tables without autovacuum']),
		(17, 'health_sequences', 'database', true, array['sequences']),
		(18, 'health_constraints', 'database', true, array['disabled triggers', 'constraints not validated']),
		(19, 'health_indexes', 'database', true, array['invalid indexes', 'duplicate indexes', 'unused indexes'])
	) g(place, judge, scope, by_run, items);
end;

comment on function maintsched.health_groups() is
'Internal: The groups of items of server and database, with the function that judges each, and whether a run of routine health is to call it.';

create function maintsched.health_items() returns text[]
language sql immutable parallel safe
return array['planning', 'overdue tasks', 'launcher', 'library', 'runs', 'windows', 'corruption', 'archives', 'backups', 'repositories', 'rollups', 'pauses', 'instance', 'access', 'simulated records']
	|| (select array_agg(i.name order by g.place, i.ordinality) from maintsched.health_groups() g cross join unnest(g.items) with ordinality i(name));

comment on function maintsched.health_items() is
'Internal: The names of all items of view health.';

create function maintsched.health_params() returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
return maintsched.routine_params('health', coalesce((select s.params from maintsched.health_setting s), '{}'));

comment on function maintsched.health_params() is
'Internal: The thresholds in use: those of the last run of routine health, else its defaults.';

create function maintsched.judge_group(judge text, items text[], p jsonb)
returns table (item text, status text, figure double precision, value text, detail text, hint text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	-- (all of its rows or none: they are put together before the first is given)
	return query execute format('select g.* from maintsched.%I($1) g', judge)
	using p;
exception when others then
	return query
	select i.name, 'UNKNOWN'::text, null::double precision, null::text,
		format('it could not be judged: %s (%s)', sqlerrm, sqlstate),
		case when sqlstate = '42501' then 'The owner of extension maintsched is to be a superuser.'
			else 'The server log may say more.' end
	from unnest(items) i(name);
end
$$;

comment on function maintsched.judge_group(text, text[], jsonb) is
'Internal: What the function of a group says; where it fails, its items are UNKNOWN.';

create function maintsched.server_health()
returns table (item text, status text, figure double precision, value text, detail text, hint text, measured_at timestamptz, scope text)
language plpgsql volatile security definer rows 24
set search_path = pg_catalog, pg_temp
set jit = off
as $$
#variable_conflict use_column
declare
	too_old constant interval := '2 days';
	-- the server is as it is, wherever maintsched.now may stand
	at constant timestamptz := clock_timestamp();
	p constant jsonb := maintsched.health_params();
	g record;
begin
	for g in select * from maintsched.health_groups() x where not x.by_run order by x.place loop
		return query
		select j.item, j.status, j.figure, j.value, j.detail, j.hint, at, g.scope
		from maintsched.judge_group(g.judge, g.items, p) j;
	end loop;
	return query
	select i.name, case when r.measured_at > at - too_old then r.status else 'UNKNOWN' end,
		r.figure, r.value,
		case when r.item is null then 'it was never measured'
			when r.measured_at > at - too_old then format('%s (measured %s ago)', r.detail, maintsched.age_text(at - r.measured_at))
			else format('last measured %s ago, as %s: %s', maintsched.age_text(at - r.measured_at), r.status, r.detail) end,
		case when r.measured_at > at - too_old then r.hint
			else 'A run of routine health measures it, once a day: select maintsched.run_routine(''health''); or add_task() with that routine.' end,
		r.measured_at, x.scope
	from maintsched.health_groups() x
	cross join unnest(x.items) with ordinality i(name)
	left join maintsched.health_result r on r.item = i.name
	where x.by_run
	order by x.place, i.ordinality;
end
$$;

comment on function maintsched.server_health() is
'Internal: What view health says of server and database: live, or as the last run of routine health measured it, UNKNOWN after two days. For whoever reads the view; of sessions only processes, roles, databases and how long are named.';

create function maintsched.measure_health(params jsonb default '{}') returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- compiling its queries takes longer than they do
set jit = off
as $$
#variable_conflict use_variable
declare
	kept_days constant integer := 400;
	measured constant timestamptz := clock_timestamp();
	p constant jsonb := maintsched.routine_params('health', params);
	g record;
begin
	perform maintsched.need_primary();
	perform maintsched.check_params('health', params);
	-- one after another
	insert into maintsched.health_setting as s (params) values (params)
	on conflict (only_row) do update set params = excluded.params;
	for g in select * from maintsched.health_groups() x where x.by_run order by x.place loop
		insert into maintsched.health_result as r (item, status, figure, value, detail, hint, measured_at)
		select j.item, j.status, j.figure, j.value, j.detail, j.hint, clock_timestamp()
		from maintsched.judge_group(g.judge, g.items, p) j
		on conflict (item) do update
		set status = excluded.status, figure = excluded.figure, value = excluded.value,
			detail = excluded.detail, hint = excluded.hint, measured_at = excluded.measured_at;
	end loop;

	insert into maintsched.health_day as d (item, day, status, figure, value, measured_at)
	select h.item, (measured at time zone 'UTC')::date, h.status, h.figure, h.value, measured
	from maintsched.server_health() h
	on conflict (item, day) do update
	set status = excluded.status, figure = excluded.figure, value = excluded.value, measured_at = excluded.measured_at;
	delete from maintsched.health_day d where d.day < (measured at time zone 'UTC')::date - kept_days;
	return (select count(*) from maintsched.health h where h.status <> 'OK');
end
$$;

comment on function maintsched.measure_health(jsonb) is
'What a run of routine health does: measures the items of view health that take a look at the whole catalog, keeps them, the thresholds and a line for each item and day, and returns how many items are not OK. params: those of the routine. For managers. Errors: invalid_parameter_value (22023), read_only_sql_transaction (25006) on a standby.';

create function maintsched.judge_health() returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	-- what nobody can know is no failure: no calendar, statistics that are too young; and checks for corruption and of backups are duties of their own
	may_be_unknown constant text[] := array['planning', 'unused indexes', 'corruption', 'backups', 'repositories'];
	critical text;
	unknown text;
	n integer;
begin
	select string_agg(h.item, ', ' order by h.item) filter (where h.status = 'CRIT'),
		string_agg(h.item, ', ' order by h.item) filter (where h.status = 'UNKNOWN' and h.item <> all (may_be_unknown))
	into critical, unknown
	from maintsched.health h
	-- in a rehearsal everything is
	where h.item <> 'simulated records' or not maintsched.clock_simulated();
	if critical is not null then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('health is CRIT: %s', critical) || coalesce('; UNKNOWN: ' || unknown, ''),
			hint = 'The view health says what to do.';
	elsif unknown is not null then
		raise exception using
			errcode = 'no_data_found',
			message = format('health is UNKNOWN: %s', unknown),
			hint = 'The view health says what to do.';
	end if;
end
$$;

comment on function maintsched.judge_health() is
'Raises an error where an item of view health is CRIT, or UNKNOWN, naming them; under maintsched.now apart from simulated records. Never for planning, corruption, backups, repositories and unused indexes being UNKNOWN. For viewers. Errors: object_not_in_prerequisite_state (55000): CRIT, no_data_found (P0002): UNKNOWN, and none CRIT.';

create function maintsched.plan_health(params jsonb) returns setof maintsched.action
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	given jsonb;
	relations bigint;
begin
	perform maintsched.check_params('health', params);
	-- what only the run is told, and what is as it would be anyway, is left out
	select jsonb_object_agg(e.key, e.value) into given
	from jsonb_each(params) e
	where e.key <> 'time_limit'
	and e.value is distinct from (select r.defaults -> e.key from maintsched.routines r where r.name = 'health');
	select count(*) into relations from pg_class;
	-- in a transaction of its own, so that what was found is kept when that fails
	return query select 'health'::text,
		format('do %L', format('begin perform maintsched.measure_health(%s); commit; perform maintsched.judge_health(); end', quote_literal(given))),
		format('%s relations are looked at; no item of view health may be CRIT', maintsched.count_text(relations)),
		null::bigint,
		round(0.1 + relations * 0.00005, 2),
		jsonb_strip_nulls(jsonb_build_object(
			'lock_timeout', '1 min',
			'measure', '(select pg_catalog.jsonb_object_agg(s.status, s.items) from (select h.status, pg_catalog.jsonb_agg(h.item order by h.item) as items from maintsched.health h group by h.status) s)')) || maintsched.recording_settings();
end
$$;

comment on function maintsched.plan_health(jsonb) is
'Plan of routine health: one action, which measures what view health does not look at by itself, and fails where an item is CRIT or UNKNOWN then. params: thresholds (docs/reference/routines.md), exclude, items that are not judged, exclude_objects, schemas and relations that are left out. Error: invalid_parameter_value (22023).';

insert into maintsched.routine (name, plan, description, defaults, change_class, built_in) values
	('health', 'maintsched.plan_health', 'Looks whether server, database and maintsched are well; fails where something is not.',
		'{"connections_warn": 0.8, "connections_crit": 0.95,
		"transaction_warn": "1 hour", "transaction_crit": "12 hours", "idle_warn": "10 minutes", "idle_crit": "2 hours",
		"lock_wait_warn": "1 minute", "lock_wait_crit": "15 minutes", "prepared_warn": "10 minutes", "prepared_crit": "12 hours",
		"replication_warn": "5 minutes", "replication_crit": "1 hour", "replication_bytes_warn": "1 GB", "replication_bytes_crit": "16 GB",
		"slots_warn": 0.5, "slots_crit": 0.8, "slots_bytes_warn": "4 GB", "slots_bytes_crit": "32 GB",
		"archive_warn": "10 minutes", "archive_crit": "1 hour",
		"freeze_warn": 1.5, "wraparound_crit": 0.5, "sequences_warn": 0.75, "sequences_crit": 0.9,
		"unused_after": "30 days", "unused_bytes": "10 MB", "certificate_warn": "30 days", "certificate_crit": "7 days",
		"version_warn": "30 days", "disk_warn": 0.85, "disk_crit": 0.95}', 'none', true);
