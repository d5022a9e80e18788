--
-- 26_import: documents become calendars
--
-- import_calendar() carries out what 26_compare finds, alone: it takes the lock
-- of calendars, for which other imports wait, and that of all tasks, for which
-- edits wait.
--

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
