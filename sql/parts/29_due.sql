--
-- 29_due: what is due
--
-- Status is derived, never stored: from the times of the occurrence and
-- clock().  Intervals are half-open: at due_at it is overdue, at closes_at
-- missed.  Whatever is not known shows as unknown, never as good.
--
-- Columns that nothing can fill yet are there and empty: completions,
-- checklist marks, reviews and runs are not recorded by this version.
--

create function maintsched.status_rank(status text) returns integer
language sql immutable parallel safe
return case status
	when 'failing' then 1 when 'failed' then 1
	when 'missed' then 2
	when 'overdue' then 3
	when 'unknown' then 4 when 'inconclusive' then 4
	when 'not_covered' then 5
	when 'due' then 6
	when 'scheduled' then 7
	when 'not_started' then 8
	when 'waived' then 9
	when 'late' then 10
	when 'compliant' then 11 when 'done' then 11
	when 'disabled' then 12
	when 'withdrawn' then 13
end;

comment on function maintsched.status_rank(text) is
'A number to sort statuses by, the worst first.';

create function maintsched.is_planned(planned_until timestamptz, installed_at timestamptz) returns boolean
language sql stable parallel safe
return coalesce(planned_until, '-infinity') > maintsched.clock()
	and installed_at <= maintsched.clock();

comment on function maintsched.is_planned(timestamptz, timestamptz) is
'Internal: Whether it is known what a task asks for at clock(): not before its calendar was installed, nor after its planning ended.';

create function maintsched.planning_ends() returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	behind bigint;
begin
	if not exists (select from maintsched.calendar) then
		raise notice 'no calendar is installed, so nothing is due'
			using hint = 'Install one: select maintsched.install_calendar(''smartmed'', timezone => ''America/New_York''); the view available_calendars lists them.';
		return true;
	end if;
	select count(*) into behind
	from maintsched.task t
	join maintsched.calendar c on c.name = t.calendar
	left join maintsched.task_plan p using (task_id)
	where t.enabled and t.retired_at is null
	and not maintsched.is_planned(p.planned_until, c.installed_at);
	if behind > 0 then
		raise notice 'nothing is planned for % tasks at this time; their status is unknown', behind
			using hint = 'Call maintsched.tick(), and let pg_cron or any cron call it at least once a day.';
	end if;
	return true;
end
$$;

comment on function maintsched.planning_ends() is
'Internal: True; raises a NOTICE where no calendar is installed or planning has ended, so that an empty list does not pass for a clean one.';

create function maintsched.occurrence_state(
	opens_at timestamptz, due_at timestamptz, closes_at timestamptz,
	withdrawn_at timestamptz, at timestamptz)
returns text
language sql immutable parallel safe
return case
	when withdrawn_at <= at then 'withdrawn'
	when opens_at > at then 'scheduled'
	when due_at > at then 'due'
	when closes_at is null or closes_at > at then 'overdue'
	else 'missed'
end;

comment on function maintsched.occurrence_state(timestamptz, timestamptz, timestamptz, timestamptz, timestamptz) is
'Internal: Status of an occurrence of which nothing is recorded: withdrawn, scheduled, due, overdue or missed.';

create function maintsched.start_text(at timestamptz, zone text) returns text
language sql stable parallel safe
return to_char(at at time zone zone, 'Dy YYYY-MM-DD HH24:MI ') || zone;

comment on function maintsched.start_text(timestamptz, text) is
'Internal: The instant at which something begins, in local time, for people.';

create function maintsched.end_text(at timestamptz, zone text) returns text
language sql stable parallel safe
return case
	when (at at time zone zone)::time = '00:00'
	then to_char((at at time zone zone) - interval '1 minute', 'Dy YYYY-MM-DD "24:00 "') || zone
	else maintsched.start_text(at, zone)
end;

comment on function maintsched.end_text(timestamptz, text) is
'Internal: The instant by which something ends, in local time, for people. Midnight shows as 24:00 of the day that it ends (ISO 8601).';

create view maintsched.occurrence_status as
select o.occurrence_id, t.calendar, t.name as task, v.title,
	array_to_string(v.teams, '/') as team, o.version,
	o.opens_at, o.due_at, o.closes_at, s.status,
	null::text as outcome, null::timestamptz as completed_at,
	null::text as performed_by, null::text as note,
	null::timestamptz as recorded_at, null::text as recorded_by,
	0 as attempts, null::timestamptz as first_failed_at,
	false as backdated, false as recorded_late, false as exception_accepted,
	o.simulated,
	case when v.review then 'pending' else 'not_required' end as review,
	null::text as reviewed_by, null::timestamptz as reviewed_at,
	null::jsonb as evidence, null::bigint as run_id,
	(
		select array_agg(c.control order by c.ordinality)
		from unnest(v.controls) with ordinality c(control, ordinality)
		join maintsched.frameworks f on f.name = split_part(c.control, ' ', 1)
		where f.enabled) as controls,
	maintsched.status_rank(s.status) as status_rank
from maintsched.occurrence o
join maintsched.task t on t.task_id = o.task_id
join maintsched.task_version v on v.task_id = o.task_id and v.version = o.version
cross join lateral (
	select maintsched.occurrence_state(o.opens_at, o.due_at, o.closes_at,
		o.withdrawn_at, maintsched.clock()) as status) s;

comment on view maintsched.occurrence_status is 'Every occurrence with its status at clock(), under the definition that it opened with.';
comment on column maintsched.occurrence_status.occurrence_id is 'Key of the occurrence.';
comment on column maintsched.occurrence_status.calendar is 'The calendar.';
comment on column maintsched.occurrence_status.task is 'The task''s name.';
comment on column maintsched.occurrence_status.title is 'The title that it had.';
comment on column maintsched.occurrence_status.team is 'The owners that it had, joined by ''/''.';
comment on column maintsched.occurrence_status.version is 'Version of the definition.';
comment on column maintsched.occurrence_status.opens_at is 'When it opens.';
comment on column maintsched.occurrence_status.due_at is 'From here it is overdue.';
comment on column maintsched.occurrence_status.closes_at is 'From here it is missed; NULL: never.';
comment on column maintsched.occurrence_status.status is 'withdrawn, done, waived, late, inconclusive, failed, scheduled, due, overdue or missed.';
comment on column maintsched.occurrence_status.outcome is 'Outcome of the last completion; NULL: none recorded.';
comment on column maintsched.occurrence_status.completed_at is 'When it was carried out; NULL: no completion recorded.';
comment on column maintsched.occurrence_status.performed_by is 'Who carried it out.';
comment on column maintsched.occurrence_status.note is 'Note of the last completion.';
comment on column maintsched.occurrence_status.recorded_at is 'When the completion was recorded, real time.';
comment on column maintsched.occurrence_status.recorded_by is 'Who recorded it.';
comment on column maintsched.occurrence_status.attempts is 'Number of completions recorded.';
comment on column maintsched.occurrence_status.first_failed_at is 'When it first failed.';
comment on column maintsched.occurrence_status.backdated is 'Whether the completion claimed a time too far back.';
comment on column maintsched.occurrence_status.recorded_late is 'Whether a timely completion was recorded after closing.';
comment on column maintsched.occurrence_status.exception_accepted is 'Whether a waiver was approved after the due time.';
comment on column maintsched.occurrence_status.simulated is 'Whether planned or recorded under maintsched.now.';
comment on column maintsched.occurrence_status.review is 'not_required, pending, accepted or rejected.';
comment on column maintsched.occurrence_status.reviewed_by is 'Who reviewed it.';
comment on column maintsched.occurrence_status.reviewed_at is 'When it was reviewed.';
comment on column maintsched.occurrence_status.evidence is 'Evidence of the last completion.';
comment on column maintsched.occurrence_status.run_id is 'The run that carried it out.';
comment on column maintsched.occurrence_status.controls is 'The controls that it is evidence for.';
comment on column maintsched.occurrence_status.status_rank is 'For sorting, the worst first.';

create view maintsched.due_tasks as
with task as (
	select t.task_id, t.calendar, t.name, t.title, t.teams, t.kind, t.cadence,
		t.effort, t.routine, t.checklist, t.controls,
		coalesce(t.timezone, c.timezone) as zone,
		case when p.planned_until <= maintsched.clock() then p.planned_until end as planned_until,
		maintsched.is_planned(p.planned_until, c.installed_at) as is_planned
	from maintsched.task t
	join maintsched.calendar c on c.name = t.calendar
	left join maintsched.task_plan p using (task_id)
	where t.enabled and t.retired_at is null
), open_occurrence as (
	select o.occurrence_id, t.calendar, t.name as task, v.title, v.cadence,
		array_to_string(v.teams, '/') as team, v.kind, s.status,
		o.opens_at, o.due_at, o.timezone as zone, v.effort, v.checklist, v.routine,
		v.controls,
		(
			select count(*)
			from maintsched.occurrence m
			where m.task_id = o.task_id
			and m.opens_at < o.opens_at
			and m.closes_at <= maintsched.clock()
			and (m.withdrawn_at is null or m.withdrawn_at > maintsched.clock())) as missed_before
	from maintsched.occurrence o
	join task t using (task_id)
	join maintsched.task_version v on v.task_id = o.task_id and v.version = o.version
	cross join lateral (
		select maintsched.occurrence_state(o.opens_at, o.due_at, o.closes_at,
			o.withdrawn_at, maintsched.clock()) as status) s
	where coalesce(o.closed_at, 'infinity') > maintsched.clock()
	and o.opens_at <= maintsched.clock()
	and s.status in ('due', 'overdue')
), unknown_task as (
	select null::bigint, t.calendar, t.name, t.title, t.cadence,
		array_to_string(t.teams, '/'), t.kind, 'unknown',
		t.planned_until, null::timestamptz, t.zone, t.effort, t.checklist, t.routine,
		t.controls, 0::bigint
	from task t
	where not t.is_planned
), listed as (
	select * from open_occurrence
	union all
	select * from unknown_task
)
select l.occurrence_id, l.calendar, l.task, l.title, l.cadence, l.team, l.kind, l.status,
	l.opens_at, l.due_at,
	maintsched.end_text(l.due_at, l.zone) as due_local,
	case when l.due_at <= maintsched.clock()
		then extract(epoch from maintsched.clock() - l.due_at)::bigint end as overdue_seconds,
	(extract(epoch from l.effort) / 60)::integer as effort_minutes,
	0 as checklist_done,
	jsonb_array_length(l.checklist) as checklist_total,
	null::timestamptz as started_at,
	null::text as started_by,
	l.routine,
	null::timestamptz as next_run_at,
	null::text as waits_for,
	l.missed_before,
	(
		select array_agg(c.control order by c.ordinality)
		from unnest(l.controls) with ordinality c(control, ordinality)
		join maintsched.frameworks f on f.name = split_part(c.control, ' ', 1)
		where f.enabled) as controls,
	maintsched.status_rank(l.status) as status_rank
from listed l
where (select maintsched.planning_ends());

comment on view maintsched.due_tasks is 'What is to be done now: every open occurrence, and a row for every task whose planning has ended. For people: today.';
comment on column maintsched.due_tasks.occurrence_id is 'Key of the occurrence; NULL where the task is unknown.';
comment on column maintsched.due_tasks.calendar is 'The calendar.';
comment on column maintsched.due_tasks.task is 'The task''s name.';
comment on column maintsched.due_tasks.title is 'The name for people.';
comment on column maintsched.due_tasks.cadence is 'daily, weekly, monthly, quarterly, annual or other.';
comment on column maintsched.due_tasks.team is 'The owners, joined by ''/''.';
comment on column maintsched.due_tasks.kind is 'manual, routine or external.';
comment on column maintsched.due_tasks.status is 'due, overdue, failed, inconclusive, or unknown (planning has ended).';
comment on column maintsched.due_tasks.opens_at is 'Since when it is due; for unknown ones, when the next one should have opened.';
comment on column maintsched.due_tasks.due_at is 'From here it is overdue.';
comment on column maintsched.due_tasks.due_local is 'due_at in the zone of the task.';
comment on column maintsched.due_tasks.overdue_seconds is 'Seconds since due_at; NULL before.';
comment on column maintsched.due_tasks.effort_minutes is 'Working time in minutes.';
comment on column maintsched.due_tasks.checklist_done is 'Checklist items ticked.';
comment on column maintsched.due_tasks.checklist_total is 'Checklist items in all.';
comment on column maintsched.due_tasks.started_at is 'When somebody began; NULL: nobody did.';
comment on column maintsched.due_tasks.started_by is 'Who began.';
comment on column maintsched.due_tasks.routine is 'What the database does.';
comment on column maintsched.due_tasks.next_run_at is 'When the database does it next; NULL: not by itself.';
comment on column maintsched.due_tasks.waits_for is 'What it waits for, such as a window.';
comment on column maintsched.due_tasks.missed_before is 'Earlier occurrences of the task that were missed since the last one done.';
comment on column maintsched.due_tasks.controls is 'The controls that it is evidence for.';
comment on column maintsched.due_tasks.status_rank is 'For sorting, the worst first.';

create function maintsched.fit(words text, width integer) returns text
language sql immutable parallel safe
return case when length(words) > width then left(words, width - 3) || '...' else words end;

comment on function maintsched.fit(text, integer) is 'Internal: The first characters of words, at most width, with an ellipsis where some are left out.';

create function maintsched.time_span(seconds bigint) returns text
language sql immutable parallel safe
return case
	when seconds < 3600 then seconds / 60 || ' min'
	when seconds < 172800 then seconds / 3600 || ' h'
	else seconds / 86400 || ' d'
end;

comment on function maintsched.time_span(bigint) is 'Internal: Seconds as whole minutes, hours or days, for people.';

create view maintsched.today as
select d.occurrence_id as id,
	maintsched.fit(d.title, 33) as what,
	maintsched.fit(d.team, 14) as team,
	case
		when d.status = 'unknown' then 'unknown'
		when d.overdue_seconds is not null then 'late ' || maintsched.time_span(d.overdue_seconds)
		when d.due_at <= maintsched.clock() + interval '6 days'
			then split_part(d.due_local, ' ', 1) || ' ' || split_part(d.due_local, ' ', 3)
		else split_part(d.due_local, ' ', 2)
	end as due,
	case when d.checklist_total > 0 then d.checklist_done || '/' || d.checklist_total end as checklist,
	maintsched.fit(d.waits_for, 11) as waits_for
from maintsched.due_tasks d
order by d.due_at nulls first, d.calendar, d.occurrence_id;

comment on view maintsched.today is 'due_tasks for people, the most urgent first, in 100 columns.';
comment on column maintsched.today.id is 'occurrence_id.';
comment on column maintsched.today.what is 'Title.';
comment on column maintsched.today.team is 'Owners.';
comment on column maintsched.today.due is 'Weekday and local time, or local date, by which it is due; late and for how long; or unknown.';
comment on column maintsched.today.checklist is 'Items ticked / all.';
comment on column maintsched.today.waits_for is 'What it waits for.';

create view maintsched.my_tasks as
select d.*
from maintsched.due_tasks d
where exists (
	select
	from maintsched.task t
	cross join lateral unnest(t.teams) m(team)
	left join maintsched.team_role r on r.calendar = t.calendar and r.team = m.team
	left join pg_catalog.pg_roles p on p.rolname = r.role
	where t.calendar = d.calendar and t.name = d.task
	and (m.team = 'All' or pg_has_role(p.oid, 'MEMBER')));

comment on view maintsched.my_tasks is 'due_tasks of the teams that the current role belongs to (assign_team()), and of team All.';

-- its columns are those of due_tasks, and so are their comments
do $$
declare
	c record;
begin
	for c in
		select a.attname, col_description(a.attrelid, a.attnum) as words
		from pg_catalog.pg_attribute a
		where a.attrelid = 'maintsched.due_tasks'::regclass and a.attnum > 0
	loop
		execute format('comment on column maintsched.my_tasks.%I is %L', c.attname, c.words);
	end loop;
end
$$;

create view maintsched.checklist as
select o.occurrence_id, t.calendar, t.name as task,
	i.ordinality::integer as item,
	i.value ->> 'text' as text,
	i.value ->> 'routine' as routine,
	null::boolean as passed, null::text as note,
	null::timestamptz as marked_at, null::text as marked_by
from maintsched.occurrence o
join maintsched.task t on t.task_id = o.task_id
join maintsched.task_version v on v.task_id = o.task_id and v.version = o.version
cross join lateral jsonb_array_elements(v.checklist) with ordinality i
where o.opens_at <= maintsched.clock();

comment on view maintsched.checklist is 'The checklist of every occurrence that has opened, as it was when it opened.';
comment on column maintsched.checklist.occurrence_id is 'Key of the occurrence.';
comment on column maintsched.checklist.calendar is 'The calendar.';
comment on column maintsched.checklist.task is 'The task''s name.';
comment on column maintsched.checklist.item is 'Number of the item, from 1.';
comment on column maintsched.checklist.text is 'What is to be checked.';
comment on column maintsched.checklist.routine is 'The routine that proves it.';
comment on column maintsched.checklist.passed is 'True or false as ticked; NULL: not ticked.';
comment on column maintsched.checklist.note is 'Note of who ticked it.';
comment on column maintsched.checklist.marked_at is 'When it was ticked.';
comment on column maintsched.checklist.marked_by is 'Who ticked it.';

create view maintsched.upcoming_tasks as
select t.calendar, t.name as task, v.title, v.cadence,
	array_to_string(v.teams, '/') as team, v.kind, o.opens_at, o.due_at,
	(extract(epoch from v.effort) / 60)::integer as effort_minutes, v.routine
from maintsched.occurrence o
join maintsched.task t on t.task_id = o.task_id
join maintsched.task_version v on v.task_id = o.task_id and v.version = o.version
where t.enabled and t.retired_at is null
and o.opens_at > maintsched.clock()
and o.opens_at < maintsched.clock() + interval '720 hours'
and (select maintsched.planning_ends())
order by o.opens_at, t.calendar, t."position";

comment on view maintsched.upcoming_tasks is 'What opens in the next 30 days.';
comment on column maintsched.upcoming_tasks.calendar is 'The calendar.';
comment on column maintsched.upcoming_tasks.task is 'The task''s name.';
comment on column maintsched.upcoming_tasks.title is 'The name for people.';
comment on column maintsched.upcoming_tasks.cadence is 'daily, weekly, monthly, quarterly, annual or other.';
comment on column maintsched.upcoming_tasks.team is 'The owners, joined by ''/''.';
comment on column maintsched.upcoming_tasks.kind is 'manual, routine or external.';
comment on column maintsched.upcoming_tasks.opens_at is 'When it opens.';
comment on column maintsched.upcoming_tasks.due_at is 'From here it will be overdue.';
comment on column maintsched.upcoming_tasks.effort_minutes is 'Working time in minutes.';
comment on column maintsched.upcoming_tasks.routine is 'What the database does.';
