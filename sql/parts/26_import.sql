--
-- 26_import: documents become calendars
--
-- compare_tasks() says what a document would change; plan_import() shows it
-- and import_calendar() carries it out, alone: it takes the lock of calendars,
-- for which other imports wait, and that of all tasks, for which edits wait.
--

create function maintsched.document_tasks(document jsonb, calendar text)
returns setof maintsched.task
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select p.*
	from jsonb_array_elements(document -> 'tasks') with ordinality e
	cross join lateral jsonb_populate_record(null::maintsched.task,
		jsonb '{"rdate": [], "exdate": [], "params": {}, "catch_up": "latest",
			"review": false, "checklist": [], "instructions": [], "tools": [],
			"source": [], "enabled": true}'
		|| jsonb_strip_nulls(e.value - array['params', 'formerly'])
		|| jsonb_build_object('params', coalesce(e.value -> 'params', '{}'),
			'calendar', calendar, 'position', e.ordinality,
			'run_as', maintsched.acting_role(), 'effective_from', maintsched.clock())) p
	order by e.ordinality
$$;

comment on function maintsched.document_tasks(jsonb, text) is
'Internal: The tasks of a checked document as rows of table task, to be effective now and to run as the acting role.';

create type maintsched.task_comparison as (
	"position" integer,
	task_id bigint,
	name text,
	old_name text,
	change text,
	detail text
);

comment on type maintsched.task_comparison is 'What an import does with one task: added, changed, renamed, revived, retired or unchanged.';

create function maintsched.compare_tasks(document jsonb, calendar text)
returns setof maintsched.task_comparison
language sql stable
set search_path = pg_catalog, pg_temp
set intervalstyle = iso_8601
as $$
	with wanted as (
		select d.*, e.value -> 'formerly' as formerly
		from maintsched.document_tasks(document, calendar) d
		join jsonb_array_elements(document -> 'tasks') with ordinality e
			on e.ordinality = d.position
	), matched as (
		select w."position", w.name, t.task_id, t.name as old_name,
			t.retired_at is not null as was_retired,
			case when same.retired_at is not null then renamed.name end as cut_off,
			to_jsonb(t) as was, to_jsonb(w) as becomes
		from wanted w
		left join maintsched.task same
			on same.calendar = compare_tasks.calendar and same.name = w.name
		left join lateral (
			select f.task_id, f.name
			from jsonb_array_elements_text(w.formerly) e(name)
			join maintsched.task f on f.calendar = compare_tasks.calendar and f.name = e.name
			where (same.task_id is null or same.retired_at is not null and f.retired_at is null)
			and not exists (select from wanted x where x.name = f.name)
			order by f.retired_at desc nulls first, f.task_id
			limit 1
		) renamed on true
		left join maintsched.task t on t.task_id = coalesce(same.task_id, renamed.task_id)
	), compared as (
		select m.*, d.detail
		from matched m
		left join lateral (
			select string_agg(format('%s: %s -> %s', n.key,
				coalesce(left(m.was ->> n.key, 60), 'none'),
				coalesce(left(n.value #>> '{}', 60), 'none')), '; ' order by n.key) as detail
			from jsonb_each(m.becomes) n
			where n.key <> all (array['task_id', 'calendar', 'name', 'enabled', 'run_as',
				'effective_from', 'retired_at', 'cadence', 'position', 'formerly'])
			and n.value is distinct from m.was -> n.key
		) d on m.task_id is not null
	)
	select c."position", c.task_id, c.name, c.old_name,
		case
			when c.cut_off is not null then 'conflict'
			when c.task_id is null then 'added'
			when c.old_name <> c.name then 'renamed'
			when c.was_retired then 'revived'
			when c.detail is not null then 'changed'
			else 'unchanged'
		end,
		case
			when c.cut_off is not null then format('formerly %s, but a retired task has the name %s', c.cut_off, c.name)
			when c.task_id is null then c.becomes ->> 'title'
			else concat_ws('; ', case when c.old_name <> c.name then 'formerly ' || c.old_name end, c.detail)
		end
	from compared c
	union all
	select null, t.task_id, t.name, t.name, 'retired', t.title
	from maintsched.task t
	where t.calendar = compare_tasks.calendar
	and t.retired_at is null
	and maintsched.in_documents(t.routine)
	and not maintsched.is_follow_up_task(t.task_id)
	and t.task_id not in (select c.task_id from compared c where c.task_id is not null)
	order by 1 nulls last, 3
$$;

comment on function maintsched.compare_tasks(jsonb, text) is
'Internal: What the import of a checked document changes in the tasks of a calendar. Tasks match by name, else by formerly.';

create function maintsched.document_calendar(document jsonb, as_name text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	calendar_name constant text := coalesce(as_name, document ->> 'name');
begin
	if calendar_name !~ '^[a-z0-9]+(-[a-z0-9]+)*$' or octet_length(calendar_name) > 63 then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('calendar name "%s" is not in kebab-case', calendar_name),
			hint = 'Small letters, digits and single hyphens, at most 63.';
	end if;
	return calendar_name;
end
$$;

comment on function maintsched.document_calendar(jsonb, text) is
'Internal: The name of the calendar that a document is imported as. Errors: invalid_parameter_value (22023).';

create function maintsched.compare_rest(document jsonb, calendar text)
returns table (field text, old jsonb, new jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with was as (
		select k.key, k.value
		from jsonb_each(
			case when exists (select from maintsched.calendar c where c.name = compare_rest.calendar)
			then maintsched.export_calendar(compare_rest.calendar) else '{}' end) k
	), becomes as (
		select k.key, case k.key
			when 'timezone' then to_jsonb(maintsched.check_timezone(k.value #>> '{}'))
			else k.value end as value
		from jsonb_each(document || jsonb_build_object('timezone', coalesce(document ->> 'timezone', 'UTC'))) k
		where k.value <> 'null' and k.value <> '[]' and k.value <> 'false'
	)
	select coalesce(w.key, b.key), w.value, b.value
	from was w full join becomes b on w.key = b.key
	where w.value is distinct from b.value
	and coalesce(w.key, b.key) <> all (array['format', 'name', 'tasks', 'contacts'])
	and (coalesce(w.key, b.key) <> 'timezone' or not exists (
		select from maintsched.calendar c
		where c.name = compare_rest.calendar and c.timezone_given))
	union all
	-- the contact given here stays, and counts as no difference
	select 'contacts', w.value, b.value
	from (select jsonb_agg(to_jsonb(x) order by x.role) as value
		from (select c.role,
				case when d.contact = c.contact_given then c.contact_given else c.contact end as contact,
				c.responsibilities, c.source
			from maintsched.contact c
			left join jsonb_to_recordset(document -> 'contacts') d (role text, contact text) on d.role = c.role
			where c.calendar = compare_rest.calendar) x) w,
		(select jsonb_agg(to_jsonb(x) order by x.role) as value
		from (select c.role, c.contact, c.responsibilities, coalesce(c.source, '{}') as source
			from jsonb_to_recordset(document -> 'contacts') c (role text, contact text, responsibilities text, source text[])) x) b
	where w.value is distinct from b.value
	order by 1
$$;

comment on function maintsched.compare_rest(jsonb, text) is
'Internal: What the import of a checked document changes beside the tasks: one row per field or array of the document.';

create function maintsched.check_import(document jsonb, calendar text, zone text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if document is null then
		raise exception using
			errcode = 'null_value_not_allowed',
			message = 'a calendar document is needed',
			hint = 'install_calendar() installs the shipped ones: the view available_calendars lists them.';
	end if;
	perform maintsched.check_task(d, format('tasks[%s]', d.position - 1), zone)
	from maintsched.document_tasks(document, calendar) d;
	perform maintsched.check_window(format('windows[%s]', e.ordinality - 1), w.name, w.rule, w.starts_on,
		w.duration, w.change_class, maintsched.check_timezone(w.timezone), zone)
	from jsonb_array_elements(document -> 'windows') with ordinality e
	cross join lateral jsonb_populate_record(null::maintsched.maintenance_window, e.value) w;
end
$$;

comment on function maintsched.check_import(jsonb, text, text) is
'Internal: What the reader of documents cannot know: rules that never occur, controls, zones of windows. Raises errors with the JSON path.';

create function maintsched.plan_import(document text, as_name text default null)
returns table (task text, change text, detail text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	parsed constant jsonb := maintsched.check_document(document);
	calendar_name constant text := maintsched.document_calendar(parsed, as_name);
begin
	perform maintsched.check_import(parsed, calendar_name,
		coalesce((select c.timezone from maintsched.calendar c where c.name = calendar_name and c.timezone_given),
			maintsched.check_timezone(parsed ->> 'timezone'), 'UTC'));
	return query
	select c.name, c.change, c.detail
	from maintsched.compare_tasks(parsed, calendar_name) c
	where c.change <> 'unchanged'
	union all
	select null, r.field || case
			when r.old is null then ' added'
			when r.new is null then ' removed'
			else ' changed' end,
		case when jsonb_typeof(coalesce(r.new, r.old)) = 'array'
			then format('%s -> %s entries', coalesce(jsonb_array_length(r.old), 0), coalesce(jsonb_array_length(r.new), 0))
			else format('%s -> %s', coalesce(left(r.old #>> '{}', 60), 'none'), coalesce(left(r.new #>> '{}', 60), 'none')) end
	from maintsched.compare_rest(parsed, calendar_name) r;
end
$$;

comment on function maintsched.plan_import(text, text) is
'What import_calendar() of this document would change, one row per task (added, changed, renamed, revived, retired, conflict) and, with task NULL, per other part; nothing is changed. No row: no difference. Errors: those of the document.';

create function maintsched.import_tasks(document jsonb, calendar text, shipped boolean, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set intervalstyle = iso_8601
as $$
#variable_conflict use_variable
declare
	wanted_tasks constant maintsched.task[] := array(
		select d from maintsched.document_tasks(document, calendar) d order by d.position);
	c maintsched.task_comparison;
	wanted maintsched.task;
	held text[] := array[]::text[];
	is_new boolean;
begin
	for c in select * from maintsched.compare_tasks(document, calendar) loop
		if c.change = 'conflict' then
			raise exception using
				errcode = 'duplicate_object',
				message = format('tasks[%s].name: a retired task has the name "%s"', c.position - 1, c.name),
				detail = 'The task that formerly names cannot take it over; its history would be cut off.',
				hint = 'Choose another name, or leave formerly out to put the retired task back.';
		end if;
		if c.change = 'retired' then
			update maintsched.task t set retired_at = maintsched.clock() where t.task_id = c.task_id;
			continue;
		end if;

		wanted := wanted_tasks[c.position];
		is_new := c.task_id is null;
		wanted.timezone := maintsched.check_timezone(wanted.timezone);
		if wanted.routine is not null and not shipped and (is_new or exists (
			select from maintsched.task t
			where t.task_id = c.task_id
			and (t.routine, t.params) is distinct from (wanted.routine, wanted.params)))
		then
			wanted.enabled := false;
			held := held || wanted.name;
		end if;

		if is_new then
			perform maintsched.insert_task(wanted, reason);
		elsif c.change <> 'unchanged' then
			update maintsched.task t
			set name = wanted.name, title = wanted.title, teams = wanted.teams,
				kind = wanted.kind, rule = wanted.rule, starts_on = wanted.starts_on,
				timezone = wanted.timezone, rdate = wanted.rdate, exdate = wanted.exdate,
				due_within = wanted.due_within, grace = wanted.grace,
				duration = wanted.duration, effort = wanted.effort,
				routine = wanted.routine, params = wanted.params,
				change_class = wanted.change_class, rollback = wanted.rollback,
				catch_up = wanted.catch_up,
				review = wanted.review, checklist = wanted.checklist,
				instructions = wanted.instructions, tools = wanted.tools,
				controls = wanted.controls, description = wanted.description,
				source = wanted.source, "position" = wanted.position,
				enabled = t.enabled and wanted.enabled, retired_at = null
			where t.task_id = c.task_id;
		else
			update maintsched.task t set "position" = wanted.position
			where t.task_id = c.task_id and t.position <> wanted.position;
		end if;
	end loop;

	if held <> '{}' then
		raise notice 'tasks that run a routine arrive disabled: %', array_to_string(held, ', ')
			using detail = 'The document is not a shipped one.',
			hint = format('Read what they would do, then: update maintsched.task set enabled = true where calendar = %L and name = ...;', calendar);
	end if;
end
$$;

comment on function maintsched.import_tasks(jsonb, text, boolean, text) is
'Internal: Part of import_calendar(): adds, changes, renames, revives and retires tasks.';

create function maintsched.import_rest(document jsonb, calendar text, again boolean, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
	if again then
		insert into maintsched.calendar_change (calendar, field, old, new, reason)
		select calendar, r.field, r.old #>> '{}', r.new #>> '{}', reason
		from maintsched.compare_rest(document, calendar) r
		where r.field <> 'timezone';
	end if;

	update maintsched.calendar k
	set title = document ->> 'title', version = document ->> 'version',
		last_updated = document ->> 'last_updated', description = document ->> 'description',
		maintenance_team = document ->> 'maintenance_team',
		review_frequency = document ->> 'review_frequency',
		rollback_required = coalesce((document -> 'rollback_required')::boolean, false),
		approval_required = coalesce((document -> 'approval_required')::boolean, false)
	where k.name = calendar;

	delete from maintsched.maintenance_window w where w.calendar = import_rest.calendar;
	insert into maintsched.maintenance_window (
		calendar, name, title, rule, starts_on, duration, timezone,
		change_class, description, source, "position")
	select calendar, w.name, w.title, w.rule, w.starts_on, w.duration,
		maintsched.check_timezone(w.timezone), w.change_class, w.description,
		coalesce(w.source, '{}'), e.ordinality
	from jsonb_array_elements(document -> 'windows') with ordinality e
	cross join lateral jsonb_populate_record(null::maintsched.maintenance_window, e.value) w;

	delete from maintsched.contact c
	where c.calendar = import_rest.calendar
	and not exists (select from jsonb_array_elements(document -> 'contacts') e where e.value ->> 'role' = c.role);
	insert into maintsched.contact as c (calendar, role, contact, responsibilities, source, "position")
	select calendar, x.role, x.contact, x.responsibilities, coalesce(x.source, '{}'), e.ordinality
	from jsonb_array_elements(document -> 'contacts') with ordinality e
	cross join lateral jsonb_to_record(e.value) x (role text, contact text, responsibilities text, source text[])
	on conflict on constraint contact_pkey do update
	set contact = case when excluded.contact = c.contact_given then c.contact else excluded.contact end,
		responsibilities = excluded.responsibilities,
		source = excluded.source, "position" = excluded."position";

	delete from maintsched.calendar_item i where i.calendar = import_rest.calendar;
	insert into maintsched.calendar_item (calendar, kind, "position", content)
	select calendar, k.key, e.ordinality, e.value
	from jsonb_each(document - array['tasks', 'windows', 'contacts']) k
	cross join lateral jsonb_array_elements(
		case when jsonb_typeof(k.value) = 'array' then k.value else '[]' end) with ordinality e;
end
$$;

comment on function maintsched.import_rest(jsonb, text, boolean, text) is
'Internal: Part of import_calendar(): all that is no task; what changes again is recorded.';

create function maintsched.announce_windows(calendar text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	zone constant text := (select c.timezone from maintsched.calendar c where c.name = announce_windows.calendar);
	w record;
begin
	for w in
		select m.name, m.change_class, m.title, maintsched.describe_rule(m.rule) as spoken,
			s.opens_at, s.closes_at, s.timezone
		from maintsched.maintenance_window m
		cross join lateral (
			select s.* from maintsched.window_schedule s
			where s.calendar = m.calendar and s.window_name = m.name
			order by s.opens_at limit 1) s
		where m.calendar = announce_windows.calendar
		and s.timezone <> zone
		order by m.position
	loop
		raise notice 'window "%" (%), % % % to %, is % to % in %',
			w.name, w.change_class, w.spoken,
			to_char(w.opens_at at time zone w.timezone, 'HH24:MI'), w.timezone,
			to_char(w.closes_at at time zone w.timezone, 'HH24:MI'),
			to_char(w.opens_at at time zone zone, 'Dy HH24:MI'),
			to_char(w.closes_at at time zone zone, 'Dy HH24:MI'), zone;
	end loop;
end
$$;

comment on function maintsched.announce_windows(text) is
'Internal: A NOTICE for each window that is not in the zone of its calendar: what it is in local time, the next time.';

create function maintsched.take_document(document text, timezone text, as_name text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	parsed constant jsonb := maintsched.check_document(document);
	calendar_name constant text := maintsched.document_calendar(parsed, as_name);
	zone text := maintsched.check_timezone(timezone);
	reason_before constant text := coalesce(current_setting('maintsched.reason', true), '');
	reason constant text := coalesce(nullif(reason_before, ''), concat_ws(' ', 'import of', parsed ->> 'title', parsed ->> 'version'));
	shipped_name text;
	there maintsched.calendar;
begin
	perform maintsched.lock_calendars(all_tasks => true);

	select s.name into shipped_name
	from maintsched.shipped_calendar s
	where s.document::jsonb = parsed;
	select c.* into there from maintsched.calendar c where c.name = calendar_name;
	perform maintsched.check_import(parsed, calendar_name, coalesce(zone,
		case when there.timezone_given then there.timezone end,
		maintsched.check_timezone(parsed ->> 'timezone'), 'UTC'));

	if there.name is null then
		insert into maintsched.calendar (
			name, title, timezone, timezone_given, installed_at, installed_by, simulated)
		values (
			calendar_name, parsed ->> 'title',
			coalesce(zone, maintsched.check_timezone(parsed ->> 'timezone'), 'UTC'),
			zone is not null, maintsched.clock(), session_user, maintsched.clock_simulated());
		insert into maintsched.calendar_change (calendar, field, new, reason)
		values (calendar_name, 'installed', parsed ->> 'title', reason);
	elsif zone is not null or not there.timezone_given then
		perform maintsched.change_timezone(calendar_name,
			coalesce(zone, maintsched.check_timezone(parsed ->> 'timezone'), 'UTC'),
			zone is not null, reason);
	end if;
	update maintsched.calendar c set shipped_as = shipped_name where c.name = calendar_name;

	perform set_config('maintsched.reason', reason, true);
	perform maintsched.import_rest(parsed, calendar_name, there.name is not null, reason);
	perform maintsched.import_tasks(parsed, calendar_name, shipped_name is not null, reason);
	perform set_config('maintsched.reason', reason_before, true);
	perform maintsched.warn_unserved(calendar_name);
	return calendar_name;
end
$$;

comment on function maintsched.take_document(text, text, text) is
'Internal: import_calendar(), by whomever.';

create function maintsched.import_document(caller oid, document text, timezone text, as_name text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
	-- what it brings runs as the outer role, so that must have asked for it
	perform maintsched.check_run_as(null, maintsched.acting_role(), maintsched.caller_role());
	return maintsched.take_document(document, timezone, as_name);
end
$$;

comment on function maintsched.import_document(oid, text, text, text) is
'Internal: import_calendar(), as the owner.';

create function maintsched.import_calendar(
	document text, timezone text default null, as_name text default null)
returns text
language sql
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.import_document(maintsched.note_caller(), document, timezone, as_name)
$$;

comment on function maintsched.import_calendar(text, text, text) is
'Imports a calendar document (docs/reference/calendar-format.md), all or nothing, and returns the calendar''s name. timezone: the IANA zone of tasks and windows that have none of their own (default: the document''s, else UTC). as_name: the name to import it as. Again: the document wins, tasks it no longer has are retired (but those with routine sql, which no document may bring), formerly renames; enabled, run_as, effective_from, contact_given and a zone given here stay. Errors name the JSON path.';

create function maintsched.install_document(caller oid, name text, timezone text, as_name text)
returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	document constant text := maintsched.shipped_document(name);
	calendar_name constant text := maintsched.document_calendar(document::jsonb, as_name);
	zone text;
begin
	perform maintsched.check_run_as(null, maintsched.acting_role(), maintsched.caller_role());
	perform maintsched.lock_calendars(all_tasks => true);
	if exists (select from maintsched.calendar c where c.name = calendar_name) then
		raise exception using
			errcode = 'duplicate_object',
			message = format('calendar "%s" is installed already', calendar_name),
			hint = format('To take over the shipped document again: select maintsched.import_calendar(maintsched.shipped_document(%L)); for a second copy give as_name.', document::jsonb ->> 'name')
				|| case when timezone is not null
					then format(' To change the zone: select maintsched.set_timezone(%L, %L);', calendar_name, timezone) else '' end;
	end if;
	perform maintsched.take_document(document, timezone, as_name);

	select c.timezone into zone from maintsched.calendar c where c.name = calendar_name;
	if timezone is null then
		raise notice 'times of calendar "%" stay in %', calendar_name, zone
			using hint = format('To set them in yours: select maintsched.set_timezone(%L, ''America/New_York'');', calendar_name);
	end if;
	perform maintsched.announce_windows(calendar_name);
	return calendar_name;
end
$$;

comment on function maintsched.install_document(oid, text, text, text) is
'Internal: install_calendar(), as the owner.';

create function maintsched.install_calendar(
	name text, timezone text default null, as_name text default null)
returns text
language sql
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.install_document(maintsched.note_caller(), name, timezone, as_name)
$$;

comment on function maintsched.install_calendar(text, text, text) is
'Installs a shipped calendar (available_calendars) and returns its name. timezone: the IANA zone of tasks that have none of their own; NULL: they stay in UTC. as_name: another name for it. A second install is an error. Errors: undefined_object, duplicate_object, invalid_parameter_value.';
