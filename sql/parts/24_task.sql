--
-- 24_task: adding, changing, renaming and retiring tasks
--
-- Managers change a task with plain UPDATE.  Before it, the trigger checks
-- the new definition and plans what the old one still owes; after it, the
-- change is recorded, a version made, and what has not opened planned anew.
-- There is no INSERT trigger: a restore copies rows as they were.
--

create function maintsched.check_run_as(was text, becomes text, acting text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	acting_super constant boolean := (select rolsuper from pg_roles where rolname = acting);
	role text;
begin
	foreach role in array array_remove(array[was, becomes], null) loop
		if acting_super then
			if not exists (select from pg_roles where rolname = role) and role = becomes then
				raise exception using
					errcode = 'undefined_object',
					message = format('role "%s" does not exist', role);
			end if;
		elsif not exists (
			select from pg_roles r
			where r.rolname = role and not r.rolsuper
			and pg_has_role(acting, r.rolname, 'USAGE'))
		then
			raise exception using
				errcode = 'insufficient_privilege',
				message = format('role "%s" cannot change what runs as role "%s"', acting, role),
				hint = 'routine, params and run_as can be changed, and a routine be enabled, by those who have the privileges of the role before and after; a superuser''s only by a superuser.';
		end if;
	end loop;
end
$$;

comment on function maintsched.check_run_as(text, text, text) is
'Internal: Raises insufficient_privilege (42501) unless the role acting has the privileges of both roles; those of a superuser only a superuser has.';

create function maintsched.plan_owed(task_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	task maintsched.task;
begin
	for attempt in 1 .. 2 loop
		select t.* into task
		from maintsched.task t
		join maintsched.task_plan p using (task_id)
		where t.task_id = plan_owed.task_id
		and t.enabled and t.retired_at is null
		and p.planned_until <= maintsched.clock();
		if not found then
			return;
		end if;
		if attempt = 1 then
			perform maintsched.plan_task(task.task_id);
		end if;
	end loop;

	-- It recurs faster than anybody plans it.  That must not keep it from being
	-- changed, disabled or retired; what is left out is recorded.
	insert into maintsched.calendar_change (calendar, task_id, task, field, old, new, reason)
	select task.calendar, task.task_id, task.name, 'not planned',
		to_char(p.planned_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
		to_char(maintsched.clock() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
		'more occurrences than one planning takes'
	from maintsched.task_plan p
	where p.task_id = task.task_id;
	update maintsched.task_plan p set planned_until = maintsched.clock()
	where p.task_id = task.task_id;
	raise warning 'task "%" of calendar "%" recurs faster than it was planned', task.name, task.calendar
		using detail = 'Not all of its past occurrences were planned; calendar_history says from when to when.';
end
$$;

comment on function maintsched.plan_owed(bigint) is
'Internal: Before a definition changes: plans what should have opened under it; where that is more than one planning takes, records the span that is left out, with a WARNING.';

create function maintsched.task_before_update() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set intervalstyle = iso_8601
as $$
declare
	not_checked constant text[] := array['enabled', 'run_as', 'effective_from', 'retired_at', 'position', 'cadence'];
	acting constant text := maintsched.caller_role();
begin
	if new.task_id is distinct from old.task_id or new.effective_from is distinct from old.effective_from
		or (new.retired_at <> old.retired_at)
	then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = 'task_id, effective_from and retired_at cannot be changed',
			hint = 'A task is retired by retire_task(), and put back by setting retired_at to NULL.';
	end if;
	perform maintsched.check_present(format('task "%s"', old.name), new);
	if (new.calendar, new.name) is distinct from (old.calendar, old.name) then
		perform maintsched.lock_calendars();
		if exists (
			select from maintsched.task t
			where t.calendar = new.calendar and t.name = new.name and t.task_id <> new.task_id)
		then
			raise exception using
				errcode = 'duplicate_object',
				message = format('task "%s" exists in calendar "%s"', new.name, new.calendar),
				hint = 'Choose another name.';
		end if;
	end if;
	if new.retired_at is not null and old.retired_at is null then
		new.retired_at := maintsched.clock();
	end if;

	new.timezone := maintsched.check_timezone(new.timezone);
	if (to_jsonb(new) - not_checked) is distinct from (to_jsonb(old) - not_checked) then
		perform maintsched.check_task(new);
	end if;

	if (new.routine, new.params, new.run_as) is distinct from (old.routine, old.params, old.run_as) then
		if new.run_as is not distinct from old.run_as then
			new.run_as := acting;
		end if;
		perform maintsched.check_run_as(old.run_as, new.run_as, acting);
	elsif (new.enabled and new.retired_at is null) and not (old.enabled and old.retired_at is null)
		and new.routine is not null
	then
		perform maintsched.check_run_as(old.run_as, new.run_as, acting);
	end if;

	-- what opened before this change belongs to the old definition
	perform maintsched.plan_owed(old.task_id);

	if (new.enabled and new.retired_at is null) and not (old.enabled and old.retired_at is null) then
		new.effective_from := maintsched.clock();
	end if;
	return new;
end
$$;

comment on function maintsched.task_before_update() is
'Internal: Trigger: checks the new definition and the right to change what runs, and plans what the old definition still owes.';

-- triggers fire in the order of their names: first this one, as whoever updates
create trigger task_a_caller before update on maintsched.task
for each row execute function maintsched.note_caller_of_row();

create trigger task_before_update before update on maintsched.task
for each row execute function maintsched.task_before_update();

create function maintsched.task_after_update() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set intervalstyle = iso_8601
as $$
declare
	was constant jsonb := to_jsonb(old);
	becomes constant jsonb := to_jsonb(new);
	not_shown constant text[] := array['task_id', 'position', 'effective_from', 'cadence', 'retired_at'];
	why constant text := nullif(current_setting('maintsched.reason', true), '');
begin
	insert into maintsched.calendar_change (calendar, task_id, task, field, old, new, reason)
	select new.calendar, new.task_id, new.name, n.key,
		was ->> n.key, n.value #>> '{}', why
	from jsonb_each(becomes) n
	where n.key <> all (not_shown) and n.value is distinct from was -> n.key
	union all
	select new.calendar, new.task_id, new.name, 'retired',
		(old.retired_at is not null)::text, (new.retired_at is not null)::text, why
	where (old.retired_at is null) <> (new.retired_at is null);

	if new.calendar <> old.calendar then
		insert into maintsched.calendar_change (calendar, task_id, task, field, old, new, reason)
		values (old.calendar, new.task_id, old.name, 'calendar', old.calendar, new.calendar, why);
		perform maintsched.move_rollups(new.task_id, old.calendar, new.calendar);
	end if;
	-- what the document says of scripts and commands follows the name
	if (new.calendar, new.name) is distinct from (old.calendar, old.name) then
		update maintsched.calendar_item i
		set content = jsonb_set(i.content, '{task}', to_jsonb(new.name))
		where i.calendar = old.calendar and i.kind in ('scripts', 'commands')
		and i.content ->> 'task' = old.name;
	end if;

	if (old.enabled and old.retired_at is null) and (not new.enabled or new.retired_at is not null) then
		perform maintsched.withdraw_open(new.task_id,
			case when new.retired_at is not null then 'retired' else 'disabled' end
			|| coalesce(': ' || why, ''));
	end if;

	if (becomes - array['position', 'run_as', 'effective_from']) is distinct from
		(was - array['position', 'run_as', 'effective_from'])
	then
		perform maintsched.plan_task(new.task_id,
			fresh => (new.enabled and new.retired_at is null)
				and not (old.enabled and old.retired_at is null));
	end if;
	return null;
end
$$;

comment on function maintsched.task_after_update() is
'Internal: Trigger: records what changed, makes a version, withdraws what a retired or disabled task had open, and plans anew.';

create trigger task_after_update after update on maintsched.task
for each row execute function maintsched.task_after_update();

create trigger task_kept before delete on maintsched.task
for each row execute function maintsched.refuse_change('A task is retired: select maintsched.retire_task(calendar, task, reason).');

create trigger task_kept_truncate before truncate on maintsched.task
for each statement execute function maintsched.refuse_change('A task is retired: select maintsched.retire_task(calendar, task, reason).');

create trigger occurrence_kept_truncate before truncate on maintsched.occurrence
for each statement execute function maintsched.refuse_change('Occurrences are planned by tick().');

create function maintsched.occurrence_frozen() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	if maintsched.unopened(old.opens_at, old.simulated) then
		return case tg_op when 'DELETE' then old else new end;
	end if;
	raise exception using
		errcode = 'object_not_in_prerequisite_state',
		message = format('occurrence %s has opened and cannot be changed', old.occurrence_id),
		hint = 'A change of the task takes effect with the next occurrence that has not opened.';
end
$$;

comment on function maintsched.occurrence_frozen() is
'Internal: Trigger: an occurrence that has opened is not deleted, and changes in nothing but closing, withdrawal and the count of its facts.';

create trigger occurrence_frozen
before delete or update of occurrence_id, task_id, version, local_start, timezone,
	opens_at, due_at, closes_at, planned_at, simulated
on maintsched.occurrence
for each row execute function maintsched.occurrence_frozen();

create function maintsched.insert_task(task maintsched.task, reason text) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	if not exists (select from maintsched.task) then
		perform maintsched.note_instance();
	end if;
	task.task_id := nextval(pg_get_serial_sequence('maintsched.task', 'task_id'));
	insert into maintsched.task (
		task_id, calendar, name, title, teams, kind, rule, starts_on, timezone,
		rdate, exdate, due_within, grace, duration, effort, routine, params,
		change_class, rollback, catch_up, review, checklist, instructions, tools, controls,
		description, source, "position", enabled, run_as, effective_from)
	select
		task.task_id, task.calendar, task.name, task.title, task.teams, task.kind,
		task.rule, task.starts_on, task.timezone, task.rdate, task.exdate,
		task.due_within, task.grace, task.duration, task.effort, task.routine,
		task.params, task.change_class, task.rollback, task.catch_up, task.review, task.checklist,
		task.instructions, task.tools, task.controls, task.description, task.source,
		task.position, task.enabled, task.run_as, task.effective_from;
	insert into maintsched.calendar_change (calendar, task_id, task, field, new, reason)
	values (task.calendar, task.task_id, task.name, 'added', task.title, reason);
	insert into maintsched.task_state (task_id, settled_at)
	values (task.task_id, '-infinity');
	perform maintsched.plan_task(task.task_id);
	return task.task_id;
end
$$;

comment on function maintsched.insert_task(maintsched.task, text) is
'Internal: Adds a checked task, its first version and its history, and plans it; returns its task_id.';

create function maintsched.put_task(
	caller oid, calendar text, name text, rule text,
	title text, teams text[],
	starts_on timestamp, timezone text,
	due_within interval, grace interval,
	kind text, routine text,
	params jsonb, checklist text[])
returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	-- first of all: nobody else is to take him
	caller_name constant text := maintsched.caller_role();
	task maintsched.task;
	there maintsched.task;
begin
	perform maintsched.lock_calendars();
	task.calendar := maintsched.find_calendar(calendar);
	task.name := name;
	task.title := coalesce(title, upper(left(name, 1)) || replace(substr(name, 2), '-', ' '));
	task.teams := coalesce(teams, array['All']);
	task.kind := coalesce(kind, case when routine is null then 'manual' else 'routine' end);
	task.rule := rule;
	task.timezone := maintsched.check_timezone(timezone);
	task.starts_on := coalesce(starts_on,
		date_trunc('day', maintsched.clock() at time zone maintsched.task_zone(task)));
	task.rdate := '{}';
	task.exdate := '{}';
	task.due_within := due_within;
	task.grace := grace;
	task.routine := routine;
	task.params := coalesce(params, '{}');
	task.catch_up := 'latest';
	task.review := false;
	task.checklist := coalesce(
		(select jsonb_agg(jsonb_build_object('text', item)) from unnest(checklist) item), '[]');
	task.instructions := '[]';
	task.tools := '{}';
	task.controls := '{}';
	task.source := '{}';
	task.position := coalesce(
		(select max(t.position) + 1 from maintsched.task t where t.calendar = task.calendar), 1);
	task.enabled := true;
	task.run_as := caller_name;
	task.effective_from := maintsched.clock();
	perform maintsched.check_task(task);

	select t.* into there
	from maintsched.task t
	where t.calendar = task.calendar and t.name = task.name;
	if found then
		raise exception using
			errcode = 'duplicate_object',
			message = format('task "%s" %s in calendar "%s"', task.name,
				case when there.retired_at is null then 'exists' else 'was retired' end, task.calendar),
			hint = case when there.retired_at is null
				then 'Change it with UPDATE maintsched.task, or choose another name.'
				else 'Put it back with UPDATE maintsched.task SET retired_at = NULL, or choose another name.' end;
	end if;

	task.task_id := maintsched.insert_task(task, nullif(current_setting('maintsched.reason', true), ''));
	if task.routine is not null then
		perform maintsched.warn_unserved(task.calendar, task.task_id);
	end if;
	return task.task_id;
end
$$;

comment on function maintsched.put_task(oid, text, text, text, text, text[], timestamp, text, interval, interval, text, text, jsonb, text[]) is
'Internal: add_task(), as the owner.';

create function maintsched.add_task(
	calendar text, name text, rule text,
	title text default null, teams text[] default array['All'],
	starts_on timestamp default null, timezone text default null,
	due_within interval default '1 day', grace interval default null,
	kind text default null, routine text default null,
	params jsonb default '{}', checklist text[] default '{}')
returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.put_task(maintsched.note_caller(), add_task.calendar, add_task.name, add_task.rule, add_task.title, add_task.teams, add_task.starts_on, add_task.timezone, add_task.due_within, add_task.grace, add_task.kind, add_task.routine, add_task.params, add_task.checklist)
$$;

comment on function maintsched.add_task(text, text, text, text, text[], timestamp, text, interval, interval, text, text, jsonb, text[]) is
'Adds a task to a calendar and plans it; returns its task_id. rule: RFC 5545, NULL for a task that is opened by calls only. Defaults: title from the name, starts_on today 00:00 in its zone, the calendar''s zone, due within 1 day, kind manual or, with a routine, routine. Errors: undefined_object, duplicate_object, invalid_parameter_value.';

create function maintsched.rename_task(calendar text, task text, new_name text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	id constant bigint := maintsched.find_task(calendar, task);
begin
	perform maintsched.lock_calendars();
	update maintsched.task t set name = new_name where t.task_id = id;
end
$$;

comment on function maintsched.rename_task(text, text, text) is
'Gives a task another name; its history stays with it. Errors: undefined_object, duplicate_object, invalid_parameter_value.';

create function maintsched.retire_task(calendar text, task text, reason text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	id constant bigint := maintsched.find_task(calendar, task);
	reason_before constant text := coalesce(current_setting('maintsched.reason', true), '');
begin
	perform maintsched.lock_calendars();
	if coalesce(btrim(reason), '') = '' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = 'a reason is needed to retire a task',
			hint = 'It is shown in calendar_history.';
	end if;
	if exists (select from maintsched.task t where t.task_id = id and t.retired_at is not null) then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('task "%s" is retired already', task);
	end if;
	perform set_config('maintsched.reason', reason, true);
	update maintsched.task t set retired_at = maintsched.clock() where t.task_id = id;
	perform set_config('maintsched.reason', reason_before, true);
end
$$;

comment on function maintsched.retire_task(text, text, text) is
'Takes a task out of its calendar: unopened occurrences go, open ones are withdrawn, the history stays. Errors: undefined_object, invalid_parameter_value, object_not_in_prerequisite_state.';
