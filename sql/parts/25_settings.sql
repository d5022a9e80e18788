--
-- 25_settings: zones, windows, teams and frameworks
--

create function maintsched.replan_calendar(calendar text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	id bigint;
begin
	for id in
		select t.task_id
		from maintsched.task t
		where t.calendar = replan_calendar.calendar
		and t.timezone is null
		and t.retired_at is null
		order by t.task_id
		for no key update
	loop
		perform maintsched.plan_task(id);
	end loop;
end
$$;

comment on function maintsched.replan_calendar(text) is
'Internal: Plans all tasks of a calendar that have no zone of their own, after its zone changed.';

create function maintsched.change_timezone(calendar text, timezone text, given boolean, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	was text;
	id bigint;
begin
	select c.timezone into was from maintsched.calendar c where c.name = change_timezone.calendar for update;
	if was = timezone then
		update maintsched.calendar c set timezone_given = given
		where c.name = change_timezone.calendar and c.timezone_given <> given;
		return;
	end if;

	for id in
		select t.task_id from maintsched.task t
		where t.calendar = change_timezone.calendar and t.timezone is null
		order by t.task_id
		for no key update
	loop
		perform maintsched.plan_owed(id);
	end loop;
	update maintsched.calendar c set timezone = change_timezone.timezone, timezone_given = given
	where c.name = change_timezone.calendar;
	insert into maintsched.calendar_change (calendar, field, old, new, reason)
	values (change_timezone.calendar, 'timezone', was, change_timezone.timezone, reason);
	perform maintsched.replan_calendar(calendar);
end
$$;

comment on function maintsched.change_timezone(text, text, boolean, text) is
'Internal: Gives a calendar another zone, records it, and plans anew; occurrences that have opened keep theirs.';

create function maintsched.set_timezone(calendar text, timezone text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	calendar_name constant text := maintsched.find_calendar(calendar);
begin
	perform maintsched.lock_calendars(all_tasks => true);
	if timezone is null then
		raise exception using
			errcode = 'null_value_not_allowed',
			message = 'a time zone is needed',
			hint = 'An IANA name such as America/New_York; the view pg_timezone_names lists them.';
	end if;
	perform maintsched.change_timezone(calendar_name, maintsched.check_timezone(timezone), true,
		nullif(current_setting('maintsched.reason', true), ''));
end
$$;

comment on function maintsched.set_timezone(text, text) is
'Sets the zone of all tasks and windows of a calendar that have none of their own. It takes effect with the first start after clock() and after the last opened one; a re-import leaves it. Errors: undefined_object, invalid_parameter_value.';

create function maintsched.add_window(
	calendar text, name text, rule text, starts_on timestamp,
	duration interval, change_class text, timezone text default null)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set datestyle = iso
set intervalstyle = iso_8601
as $$
#variable_conflict use_variable
declare
	calendar_name constant text := maintsched.find_calendar(calendar);
	subject constant text := format('window "%s"', name);
	zone constant text := maintsched.check_timezone(timezone);
begin
	perform maintsched.lock_calendars();
	if name is null or name !~ '^[a-z0-9]+(-[a-z0-9]+)*$' or octet_length(name) > 63 then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s: the name is not in kebab-case (small letters, digits, single hyphens, at most 63)', coalesce(subject, 'window'));
	end if;
	perform maintsched.check_word(subject || ': change_class', change_class,
		array['minor', 'major', 'critical', 'blackout']);
	if duration <= interval '0' or (rule is not null and duration is null) then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s: the duration must be positive', subject);
	end if;
	perform maintsched.check_window(subject, name, rule, starts_on, duration, change_class, zone,
		(select c.timezone from maintsched.calendar c where c.name = calendar_name));
	if exists (
		select from maintsched.maintenance_window w
		where w.calendar = calendar_name and w.name = add_window.name)
	then
		raise exception using
			errcode = 'duplicate_object',
			message = format('window "%s" exists in calendar "%s"', name, calendar_name),
			hint = 'Choose another name, or import a document that changes it.';
	end if;

	insert into maintsched.maintenance_window (
		calendar, name, title, rule, starts_on, duration, timezone, change_class, "position")
	values (
		calendar_name, name, upper(left(name, 1)) || replace(substr(name, 2), '-', ' '),
		rule, starts_on, duration, zone, change_class,
		coalesce((select max(w.position) + 1 from maintsched.maintenance_window w where w.calendar = calendar_name), 1));
	insert into maintsched.calendar_change (calendar, field, new, reason)
	values (calendar_name, 'window ' || name,
		concat_ws(', ', change_class, maintsched.describe_rule(rule), starts_on::text, duration::text, zone),
		nullif(current_setting('maintsched.reason', true), ''));
	if change_class = 'critical' and rule is not null then
		raise notice 'critical work runs in emergency windows only: window "%" admits nothing', name
			using hint = 'An emergency window is opened by open_emergency_window(reason).';
	end if;
end
$$;

comment on function maintsched.add_window(text, text, text, timestamp, interval, text, text) is
'Adds a maintenance window to a calendar: rule and local start of its openings (rule NULL: on demand only), duration, change_class minor, major, critical or blackout, zone (NULL: the calendar''s). Errors: undefined_object, duplicate_object, invalid_parameter_value.';

create function maintsched.find_team(calendar text, team text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	teams constant text[] := array(
		select distinct x.team
		from maintsched.task t cross join lateral unnest(t.teams) x(team)
		where t.calendar = find_team.calendar and t.retired_at is null
		order by 1);
	found_team text;
begin
	select x into found_team from unnest(teams) x where lower(x) = lower(team);
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('no task of calendar "%s" belongs to team %s', calendar, coalesce('"' || team || '"', 'NULL')),
			hint = maintsched.perhaps(coalesce(team, ''), teams, 'Its teams are');
	end if;
	return found_team;
end
$$;

comment on function maintsched.find_team(text, text) is
'Internal: The team of a calendar''s tasks that matches without regard to case. Errors: undefined_object (42704).';

create function maintsched.assign_team(calendar text, team text, role text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	calendar_name constant text := maintsched.find_calendar(calendar);
	team_name constant text := maintsched.find_team(calendar_name, team);
begin
	perform maintsched.lock_calendars();
	if not exists (select from pg_roles r where r.rolname = role) then
		raise exception using
			errcode = 'undefined_object',
			message = format('role %s does not exist', coalesce('"' || role || '"', 'NULL')),
			hint = coalesce(
				'Perhaps you meant "' || maintsched.nearest_name(role,
					array(select r.rolname::text from pg_roles r where r.rolname !~ '^pg_')) || '".',
				'The role is one of the database server; the view pg_roles lists them.');
	end if;
	insert into maintsched.team_role (calendar, team, role)
	values (calendar_name, team_name, role)
	on conflict do nothing;
	if found then
		insert into maintsched.calendar_change (calendar, field, new, reason)
		values (calendar_name, 'team ' || team_name, role, nullif(current_setting('maintsched.reason', true), ''));
	end if;
end
$$;

comment on function maintsched.assign_team(text, text, text) is
'Makes a database role, and whoever is a member of it, part of a team of a calendar: my_tasks then shows them the team''s tasks. Errors: undefined_object.';

create function maintsched.unassign_team(calendar text, team text, role text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	calendar_name constant text := maintsched.find_calendar(calendar);
	team_name text;
begin
	perform maintsched.lock_calendars();
	delete from maintsched.team_role r
	where r.calendar = calendar_name and lower(r.team) = lower(unassign_team.team)
	and r.role = unassign_team.role
	returning r.team into team_name;
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('role %s is not assigned to team %s of calendar "%s"',
				coalesce('"' || role || '"', 'NULL'), coalesce('"' || team || '"', 'NULL'), calendar_name);
	end if;
	insert into maintsched.calendar_change (calendar, field, old, reason)
	values (calendar_name, 'team ' || team_name, role, nullif(current_setting('maintsched.reason', true), ''));
end
$$;

comment on function maintsched.unassign_team(text, text, text) is
'Takes back assign_team(). Errors: undefined_object.';

create function maintsched.set_framework(name text, enabled boolean) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	framework_name text;
begin
	select f.name into framework_name from maintsched.framework f where lower(f.name) = lower(set_framework.name);
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('framework %s does not exist', coalesce('"' || name || '"', 'NULL')),
			hint = maintsched.perhaps(coalesce(name, ''),
				array(select f.name from maintsched.framework f order by 1), 'Frameworks are');
	end if;
	if enabled is null then
		raise exception using
			errcode = 'null_value_not_allowed',
			message = 'enabled must be true or false';
	end if;
	insert into maintsched.framework_setting as s (framework, enabled)
	values (framework_name, enabled)
	on conflict (framework) do update set enabled = excluded.enabled;
end
$$;

comment on function maintsched.set_framework(text, boolean) is
'Switches a framework on or off: the controls of a framework that is off are neither shown nor counted. Errors: undefined_object.';
