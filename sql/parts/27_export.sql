--
-- 27_export: calendars become documents
--

create function maintsched.export_calendar(name text) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set intervalstyle = iso_8601
as $$
#variable_conflict use_column
declare
	calendar_name constant text := maintsched.find_calendar(export_calendar.name);
	document jsonb;
begin
	select maintsched.canonical_entry(jsonb_build_object(
		'format', 'maintsched-calendar/1', 'name', c.name, 'title', c.title,
		'version', c.version, 'last_updated', c.last_updated,
		'description', c.description, 'maintenance_team', c.maintenance_team,
		'review_frequency', c.review_frequency, 'timezone', c.timezone,
		'rollback_required', c.rollback_required, 'approval_required', c.approval_required), '{}')
	into document
	from maintsched.calendar c where c.name = calendar_name;

	document := document || jsonb_build_object('tasks', coalesce((
		select jsonb_agg(maintsched.task_entry(t) order by t.position, t.task_id)
		from maintsched.task t
		where t.calendar = calendar_name and t.retired_at is null
		and maintsched.in_documents(t.routine)
		and not maintsched.is_follow_up_task(t.task_id)), '[]'));

	document := document || coalesce((
		select jsonb_build_object('windows', jsonb_agg(maintsched.canonical_entry(
			to_jsonb(w) - array['calendar', 'position'], array['rule']) order by w.position, w.name))
		from maintsched.maintenance_window w
		where w.calendar = calendar_name
		having count(*) > 0), '{}');

	document := document || coalesce((
		select jsonb_build_object('contacts', jsonb_agg(maintsched.canonical_entry(
			jsonb_build_object('role', c.role, 'contact', coalesce(nullif(c.contact_given, ''), c.contact),
				'responsibilities', c.responsibilities, 'source', c.source), '{}') order by c.position))
		from maintsched.contact c
		where c.calendar = calendar_name
		having count(*) > 0), '{}');

	return document || coalesce((
		select jsonb_object_agg(k.kind, k.entries)
		from (
			-- a task that is no longer part of the document cannot be named in it
			select i.kind, jsonb_agg(
				case when document -> 'tasks' @> jsonb_build_array(jsonb_build_object('name', i.content -> 'task'))
					then i.content else i.content - 'task' end order by i.position) as entries
			from maintsched.calendar_item i
			where i.calendar = calendar_name
			group by i.kind) k), '{}');
end
$$;

comment on function maintsched.export_calendar(text) is
'A calendar as the document that imports as the same calendar; its zone and the contacts given here included; retired tasks, tasks with routine sql (which no document may bring), enabled and run_as left out. Errors: undefined_object, ambiguous_alias.';

create view maintsched.available_calendars as
select s.name,
	s.document::jsonb ->> 'title' as title,
	s.document::jsonb ->> 'timezone' as timezone,
	jsonb_array_length(s.document::jsonb -> 'tasks') as tasks,
	exists (
		select from maintsched.calendar c
		where c.name = s.name or c.shipped_as = s.name) as installed
from maintsched.shipped_calendar s;

comment on view maintsched.available_calendars is 'The shipped calendars: select maintsched.install_calendar(name, timezone => ...).';
comment on column maintsched.available_calendars.name is 'The name to install it by.';
comment on column maintsched.available_calendars.title is 'The title of the document.';
comment on column maintsched.available_calendars.timezone is 'Zone of its times where the install gives none.';
comment on column maintsched.available_calendars.tasks is 'Number of its tasks.';
comment on column maintsched.available_calendars.installed is 'Whether it is installed in this database.';
