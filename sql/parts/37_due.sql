--
-- 37_due: what is due
--
-- Whatever is not known shows as unknown, never as good.
--

create view maintsched.due_tasks as
with live as materialized (
	select *
	from maintsched.live_occurrence l
	where l.status <> 'withdrawn'
), live_task as (
	select l.task_id,
		max(l.effective_at) filter (where l.passed and l.status <> 'waived') as passed_at,
		array_agg(l.due_at) filter (where l.status = 'missed' and not l.closed) as missed_due
	from live l
	group by l.task_id
), open_occurrence as (
	select l.occurrence_id, l.task_id, t.calendar, t.name as task, v.title, v.cadence,
		array_to_string(v.teams, '/') as team, v.kind, l.status,
		l.opens_at, l.due_at, l.timezone as zone, v.effort, v.checklist, v.routine, v.controls,
		coalesce((
			select count(*) from unnest(n.missed_due) m(due_at)
			where m.due_at > coalesce(newest.passed_at, '-infinity')), 0)
		+ case
			when s.missed_run is null then maintsched.missed_since(l.task_id, newest.passed_at)
			when newest.passed_at is not distinct from s.passed_at then s.missed_run
			when s.missed_due_at is null or s.missed_due_at <= newest.passed_at then 0
			else maintsched.missed_since(l.task_id, newest.passed_at)
		end as missed_before,
		l.checklist_done, l.started_at, l.started_by
	from live l
	join maintsched.task t on t.task_id = l.task_id and t.enabled and t.retired_at is null
	join live_task n on n.task_id = l.task_id
	left join maintsched.closed_state s on s.task_id = l.task_id
	cross join lateral (select greatest(n.passed_at, s.passed_at) as passed_at) newest
	join maintsched.task_version v on v.task_id = l.task_id and v.version = l.version
	where l.status in ('due', 'overdue', 'failed', 'inconclusive')
	and (l.closes_at is null or l.closes_at > maintsched.clock())
), unknown_task as (
	select null::bigint, null::bigint, t.calendar, t.name, t.title, t.cadence,
		array_to_string(t.teams, '/'), t.kind, 'unknown',
		case when p.planned_until <= maintsched.clock() then p.planned_until end,
		null::timestamptz, coalesce(t.timezone, c.timezone), t.effort, t.checklist, t.routine,
		t.controls, 0::bigint, 0, null::timestamptz, null::text
	from maintsched.task t
	join maintsched.calendar c on c.name = t.calendar
	left join maintsched.task_plan p using (task_id)
	where t.enabled and t.retired_at is null
	and not maintsched.is_planned(p.planned_until, c.installed_at)
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
	l.checklist_done,
	jsonb_array_length(l.checklist) as checklist_total,
	l.started_at,
	l.started_by,
	l.routine,
	k.run_at as next_run_at,
	k.waits_for,
	l.missed_before,
	nullif(array(
		select c
		from unnest(l.controls) c
		where split_part(c, ' ', 1) = any (array(select f.name from maintsched.frameworks f where f.enabled))), '{}') as controls,
	maintsched.status_rank(l.status) as status_rank
from listed l
left join maintsched.run_outlook() k on k.task_id = l.task_id
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
comment on column maintsched.due_tasks.missed_before is 'Occurrences of the task that were missed since its last pass.';
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
		when d.status in ('unknown', 'failed', 'inconclusive') then d.status
		when d.overdue_seconds is not null then 'late ' || maintsched.time_span(d.overdue_seconds)
		when d.due_at <= maintsched.clock() + interval '6 days'
			then split_part(d.due_local, ' ', 1) || ' ' || split_part(d.due_local, ' ', 3)
		else split_part(d.due_local, ' ', 2)
	end as due,
	case when d.checklist_total > 0 then d.checklist_done || '/' || d.checklist_total end as checklist,
	maintsched.fit(split_part(d.waits_for, ':', 1), 11) as waits_for
from maintsched.due_tasks d
order by d.due_at nulls first, d.calendar, d.occurrence_id;

comment on view maintsched.today is 'due_tasks for people, the most urgent first, in 100 columns.';
comment on column maintsched.today.id is 'occurrence_id.';
comment on column maintsched.today.what is 'Title.';
comment on column maintsched.today.team is 'Owners.';
comment on column maintsched.today.due is 'Weekday and local time, or local date, by which it is due; late and for how long; or failed, inconclusive, unknown.';
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
	m.passed, m.note, m.clock_at as marked_at, m.acting_as as marked_by,
	i.value -> 'params' as params
from maintsched.occurrence o
join maintsched.task t on t.task_id = o.task_id
join maintsched.task_version v on v.task_id = o.task_id and v.version = o.version
cross join lateral jsonb_array_elements(v.checklist) with ordinality i
left join maintsched.checklist_standing m on m.occurrence_id = o.occurrence_id and m.item = i.ordinality
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
comment on column maintsched.checklist.params is 'With which parameters the routine must have been run; NULL: any.';

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
and (o.withdrawn_at is null or o.withdrawn_at > maintsched.clock())
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
