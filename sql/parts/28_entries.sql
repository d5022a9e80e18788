--
-- 28_entries: one view per kind of entry of a document
--
-- What is kept and shown but not acted on yet.  None of it makes occurrences.
--

create view maintsched.notifications as
select i.calendar,
	i.content ->> 'name' as name,
	i.content ->> 'title' as title,
	i.content ->> 'applies_to' as applies_to,
	i.content ->> 'moment' as moment,
	(i.content ->> 'lead_time')::interval as lead_time,
	i.content ->> 'channel' as channel,
	(
		select array_agg(e.value order by e.ordinality)
		from jsonb_array_elements_text(i.content -> 'source') with ordinality e) as source
from maintsched.calendar_item i
where i.kind = 'notifications'
order by i.calendar, i.position;

comment on view maintsched.notifications is 'When people are to be told of maintenance. The lead times before planned maintenance are those of the notices; none is mailed.';
comment on column maintsched.notifications.calendar is 'The calendar.';
comment on column maintsched.notifications.name is 'Its name.';
comment on column maintsched.notifications.title is 'What is told.';
comment on column maintsched.notifications.applies_to is 'planned or emergency maintenance.';
comment on column maintsched.notifications.moment is 'before_start, at_start or after_close.';
comment on column maintsched.notifications.lead_time is 'How long before the start.';
comment on column maintsched.notifications.channel is 'users or status_page.';
comment on column maintsched.notifications.source is 'Item numbers of the document that it stands for.';

create view maintsched.documentation_steps as
select i.calendar,
	i.content ->> 'phase' as phase,
	i.content ->> 'text' as text,
	(
		select array_agg(e.value order by e.ordinality)
		from jsonb_array_elements_text(i.content -> 'source') with ordinality e) as source
from maintsched.calendar_item i
where i.kind = 'documentation_steps'
order by i.calendar, i.position;

comment on view maintsched.documentation_steps is 'What is to be written down before and after maintenance. Kept and shown; not enforced yet.';
comment on column maintsched.documentation_steps.calendar is 'The calendar.';
comment on column maintsched.documentation_steps.phase is 'before or after.';
comment on column maintsched.documentation_steps.text is 'What is to be written down.';
comment on column maintsched.documentation_steps.source is 'Item numbers of the document that it stands for.';

create view maintsched.storage_places as
select i.calendar,
	i.content ->> 'name' as name,
	i.content ->> 'title' as title,
	i.content ->> 'location' as location,
	(
		select array_agg(e.value order by e.ordinality)
		from jsonb_array_elements_text(i.content -> 'source') with ordinality e) as source
from maintsched.calendar_item i
where i.kind = 'storage_places'
order by i.calendar, i.position;

comment on view maintsched.storage_places is 'Where logs and reviews are kept. Kept and shown; nothing is written there yet.';
comment on column maintsched.storage_places.calendar is 'The calendar.';
comment on column maintsched.storage_places.name is 'Its name.';
comment on column maintsched.storage_places.title is 'What is kept there.';
comment on column maintsched.storage_places.location is 'Folder or other place, as in the document.';
comment on column maintsched.storage_places.source is 'Item numbers of the document that it stands for.';

create view maintsched.monitors as
select i.calendar,
	i.content ->> 'name' as name,
	i.content ->> 'title' as title,
	i.content ->> 'frequency' as frequency,
	(i.content ->> 'every')::interval as every,
	i.content ->> 'threshold' as threshold,
	i.content ->> 'tool' as tool,
	(select array_agg(e.value order by e.ordinality) from jsonb_array_elements_text(i.content -> 'teams') with ordinality e) as teams,
	(
		select array_agg(e.value order by e.ordinality)
		from jsonb_array_elements_text(i.content -> 'source') with ordinality e) as source
from maintsched.calendar_item i
where i.kind = 'monitors'
order by i.calendar, i.position;

comment on view maintsched.monitors is 'Automated checks with frequency, threshold and tool. Kept and shown; not measured yet.';
comment on column maintsched.monitors.calendar is 'The calendar.';
comment on column maintsched.monitors.name is 'Its name.';
comment on column maintsched.monitors.title is 'What is watched.';
comment on column maintsched.monitors.frequency is 'How often, in the words of the document.';
comment on column maintsched.monitors.every is 'How often, where the document gives a time.';
comment on column maintsched.monitors.threshold is 'What is still good, in the words of the document.';
comment on column maintsched.monitors.tool is 'What it is watched with.';
comment on column maintsched.monitors.teams is 'Who owns it.';
comment on column maintsched.monitors.source is 'Item numbers of the document that it stands for.';

create view maintsched.scripts as
select i.calendar,
	i.content ->> 'name' as name,
	i.content ->> 'title' as title,
	i.content ->> 'command' as command,
	i.content ->> 'task' as task,
	(
		select array_agg(e.value order by e.ordinality)
		from jsonb_array_elements_text(i.content -> 'source') with ordinality e) as source
from maintsched.calendar_item i
where i.kind = 'scripts'
order by i.calendar, i.position;

comment on view maintsched.scripts is 'The automated scripts of the document; each is an external task besides. Kept and shown; not started by the database.';
comment on column maintsched.scripts.calendar is 'The calendar.';
comment on column maintsched.scripts.name is 'Its name.';
comment on column maintsched.scripts.title is 'What it does.';
comment on column maintsched.scripts.command is 'How it is called.';
comment on column maintsched.scripts.task is 'The task that it carries out.';
comment on column maintsched.scripts.source is 'Item numbers of the document that it stands for.';

create view maintsched.commands as
select i.calendar,
	i.content ->> 'topic' as topic,
	i.content ->> 'command' as command,
	i.content ->> 'task' as task,
	(
		select array_agg(e.value order by e.ordinality)
		from jsonb_array_elements_text(i.content -> 'source') with ordinality e) as source
from maintsched.calendar_item i
where i.kind = 'commands'
order by i.calendar, i.position;

comment on view maintsched.commands is 'Maintenance commands that people run. Kept and shown; not run by the database.';
comment on column maintsched.commands.calendar is 'The calendar.';
comment on column maintsched.commands.topic is 'What it is for.';
comment on column maintsched.commands.command is 'How it is called.';
comment on column maintsched.commands.task is 'The task that it belongs to.';
comment on column maintsched.commands.source is 'Item numbers of the document that it stands for.';

create view maintsched.escalation_levels as
select i.calendar,
	(i.content ->> 'severity')::integer as severity,
	i.content ->> 'title' as title,
	i.content ->> 'response' as response,
	i.content ->> 'clock' as clock,
	(i.content ->> 'within')::interval as within,
	(
		select array_agg(e.value order by e.ordinality)
		from jsonb_array_elements_text(i.content -> 'source') with ordinality e) as source
from maintsched.calendar_item i
where i.kind = 'escalation_levels'
order by i.calendar, i.position;

comment on view maintsched.escalation_levels is 'How fast each severity is answered. Kept and shown; no clock runs yet.';
comment on column maintsched.escalation_levels.calendar is 'The calendar.';
comment on column maintsched.escalation_levels.severity is '1 is the worst.';
comment on column maintsched.escalation_levels.title is 'Its name.';
comment on column maintsched.escalation_levels.response is 'What is promised, in the words of the document.';
comment on column maintsched.escalation_levels.clock is 'wall, business_minutes, business_days or window.';
comment on column maintsched.escalation_levels.within is 'Time to the response.';
comment on column maintsched.escalation_levels.source is 'Item numbers of the document that it stands for.';

create view maintsched.kpis as
select i.calendar,
	i.content ->> 'name' as name,
	i.content ->> 'title' as title,
	i.content ->> 'target' as target,
	i.content ->> 'comparison' as comparison,
	(i.content ->> 'value')::numeric as value,
	i.content ->> 'unit' as unit,
	(
		select array_agg(e.value order by e.ordinality)
		from jsonb_array_elements_text(i.content -> 'source') with ordinality e) as source
from maintsched.calendar_item i
where i.kind = 'kpis'
order by i.calendar, i.position;

comment on view maintsched.kpis is 'Key performance indicators and their targets. Kept and shown; not measured yet.';
comment on column maintsched.kpis.calendar is 'The calendar.';
comment on column maintsched.kpis.name is 'Its name.';
comment on column maintsched.kpis.title is 'What is measured.';
comment on column maintsched.kpis.target is 'The target in the words of the document.';
comment on column maintsched.kpis.comparison is 'How the value is to compare: <, <=, =, >=, >.';
comment on column maintsched.kpis.value is 'The target as a number.';
comment on column maintsched.kpis.unit is 'Unit of the value.';
comment on column maintsched.kpis.source is 'Item numbers of the document that it stands for.';

create view maintsched.document_history as
select i.calendar,
	i.content ->> 'version' as version,
	i.content ->> 'date' as date,
	i.content ->> 'changes' as changes,
	(
		select array_agg(e.value order by e.ordinality)
		from jsonb_array_elements_text(i.content -> 'source') with ordinality e) as source
from maintsched.calendar_item i
where i.kind = 'history'
order by i.calendar, i.position;

comment on view maintsched.document_history is 'The versions that the document lists of itself.';
comment on column maintsched.document_history.calendar is 'The calendar.';
comment on column maintsched.document_history.version is 'The version.';
comment on column maintsched.document_history.date is 'Its date, in the words of the document.';
comment on column maintsched.document_history.changes is 'What changed.';
comment on column maintsched.document_history.source is 'Item numbers of the document that it stands for.';

create view maintsched.incident_procedures as
select i.calendar,
	i.content ->> 'name' as name,
	i.content ->> 'title' as title,
	p.ordinality::integer as phase,
	p.value ->> 'name' as phase_name,
	(p.value ->> 'from_minutes')::integer as from_minutes,
	(p.value ->> 'to_minutes')::integer as to_minutes,
	(
		select array_agg(s.value order by s.ordinality)
		from jsonb_array_elements_text(p.value -> 'steps') with ordinality s) as steps,
	(
		select array_agg(e.value order by e.ordinality)
		from jsonb_array_elements_text(p.value -> 'source') with ordinality e) as source
from maintsched.calendar_item i
cross join lateral jsonb_array_elements(i.content -> 'phases') with ordinality p
where i.kind = 'incident_procedures'
order by i.calendar, i.position, p.ordinality;

comment on view maintsched.incident_procedures is 'Incident procedures, one row per phase. Kept and shown; no incident is opened yet.';
comment on column maintsched.incident_procedures.calendar is 'The calendar.';
comment on column maintsched.incident_procedures.name is 'Name of the procedure.';
comment on column maintsched.incident_procedures.title is 'The kind of incident.';
comment on column maintsched.incident_procedures.phase is 'Number of the phase.';
comment on column maintsched.incident_procedures.phase_name is 'Name of the phase.';
comment on column maintsched.incident_procedures.from_minutes is 'Begin of the phase, minutes from detection.';
comment on column maintsched.incident_procedures.to_minutes is 'End of the phase, minutes from detection.';
comment on column maintsched.incident_procedures.steps is 'What is to be done in it.';
comment on column maintsched.incident_procedures.source is 'Item numbers of the document that it stands for.';

create view maintsched.dashboards as
select i.calendar,
	i.content ->> 'name' as name,
	i.content ->> 'title' as title,
	(
		select array_agg(s.value order by s.ordinality)
		from jsonb_array_elements_text(i.content -> 'items') with ordinality s) as items,
	(
		select array_agg(e.value order by e.ordinality)
		from jsonb_array_elements_text(i.content -> 'source') with ordinality e) as source
from maintsched.calendar_item i
where i.kind = 'dashboards'
order by i.calendar, i.position;

comment on view maintsched.dashboards is 'Dashboards and what they are to show. Kept and shown; not drawn by the database.';
comment on column maintsched.dashboards.calendar is 'The calendar.';
comment on column maintsched.dashboards.name is 'Its name.';
comment on column maintsched.dashboards.title is 'The name for people.';
comment on column maintsched.dashboards.items is 'What it shows.';
comment on column maintsched.dashboards.source is 'Item numbers of the document that it stands for.';

create view maintsched.contacts as
select c.calendar, c.role, coalesce(nullif(c.contact_given, ''), c.contact) as contact,
	c.responsibilities, nullif(c.source, '{}') as source
from maintsched.contact c
order by c.calendar, c.position;

comment on view maintsched.contacts is 'Whom to turn to. Give the real addresses with: update maintsched.contact set contact_given = ... where calendar = ... and role = ...';
comment on column maintsched.contacts.calendar is 'The calendar.';
comment on column maintsched.contacts.role is 'The role, as in the document.';
comment on column maintsched.contacts.contact is 'The contact given here, else the document''s.';
comment on column maintsched.contacts.responsibilities is 'What the role is responsible for.';
comment on column maintsched.contacts.source is 'Item numbers of the document that it stands for.';

create view maintsched.windows as
select w.calendar, w.name, w.title, w.change_class, w.rule, w.starts_on, w.duration,
	coalesce(w.timezone, c.timezone) as timezone,
	coalesce(maintsched.describe_rule(w.rule), 'on demand') as opens,
	w.description, nullif(w.source, '{}') as source
from maintsched.maintenance_window w
join maintsched.calendar c on c.name = w.calendar
order by w.calendar, w.position;

comment on view maintsched.windows is 'The maintenance windows; window_schedule shows when they open.';
comment on column maintsched.windows.calendar is 'The calendar that brought it.';
comment on column maintsched.windows.name is 'Its name.';
comment on column maintsched.windows.title is 'The name for people.';
comment on column maintsched.windows.change_class is 'minor, major, critical, or blackout (nothing runs).';
comment on column maintsched.windows.rule is 'RFC 5545 recurrence rule; NULL: on demand only.';
comment on column maintsched.windows.starts_on is 'Local start from which the rule is expanded.';
comment on column maintsched.windows.duration is 'How long it is open: days in local time, hours and minutes elapsed.';
comment on column maintsched.windows.timezone is 'IANA zone of its times.';
comment on column maintsched.windows.opens is 'The rule in words.';
comment on column maintsched.windows.description is 'Further text of the document.';
comment on column maintsched.windows.source is 'Item numbers of the document that it stands for.';
