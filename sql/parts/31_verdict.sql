--
-- 31_verdict: what follows from the facts
--
-- Status is derived, never recorded.  The views here derive it from the facts
-- alone, as they stood at clock(); everything faster (32_rollup) must say the
-- same.  Each row is there twice: with_simulated tells whether facts recorded
-- under maintsched.now count in it.
--

create function maintsched.derive_status(
	opens_at timestamptz, due_at timestamptz, closes_at timestamptz, withdrawn_at timestamptz,
	outcome text, rejected boolean, effective_at timestamptz, waived boolean, at timestamptz)
returns text
language sql immutable parallel safe
return case
	when withdrawn_at <= at then 'withdrawn'
	when outcome = 'pass' and not rejected and effective_at < due_at then 'done'
	when waived then 'waived'
	when outcome = 'pass' and not rejected and (closes_at is null or effective_at < closes_at) then 'late'
	when rejected then 'failed'
	when outcome = 'inconclusive' then 'inconclusive'
	when outcome in ('fail', 'partial') then 'failed'
	when opens_at > at then 'scheduled'
	when due_at > at then 'due'
	when closes_at is null or closes_at > at then 'overdue'
	else 'missed'
end;

comment on function maintsched.derive_status(timestamptz, timestamptz, timestamptz, timestamptz, text, boolean, timestamptz, boolean, timestamptz) is
'Internal: Status of an occurrence at an instant, from its times, the last completion that counts (outcome, whether a review rejected it, from when it counts) and whether a waiver covers it; the first that holds. Intervals are half-open: at due_at it is overdue, at closes_at missed.';

create function maintsched.due_month(due_at timestamptz, zone text) returns date
language sql stable parallel safe
return date_trunc('month', (due_at - interval '1 microsecond') at time zone zone)::date;

comment on function maintsched.due_month(timestamptz, text) is
'Internal: The local month that an occurrence belongs to, that of the instant before due_at: a duty due at midnight of 1 February is January''s.';

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

create function maintsched.start_text(at timestamptz, zone text) returns text
language sql stable parallel safe
return to_char(at at time zone zone, 'Dy YYYY-MM-DD HH24:MI ') || zone
	-- the hour that comes twice
	|| case when maintsched.to_instant(at at time zone zone, zone) <> (at at time zone zone) at time zone zone
		then format(' (UTC%s)', to_char(extract(epoch from (at at time zone zone) - (at at time zone 'UTC')) / 3600, 'SG00'))
		else '' end;

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

create view maintsched.waiver_cover as
with standing as not materialized (
	select w.waiver_id, w.task_id, w.occurrence_id, w.since, w.expires_at,
		a.clock_at as approved_at, r.clock_at as revoked_at, s.with_simulated
	from (values (true), (false)) s(with_simulated)
	join maintsched.waiver w on s.with_simulated or not w.simulated
	join maintsched.waiver_decision a on a.waiver_id = w.waiver_id and a.decision = 'approved'
		and a.clock_at <= maintsched.clock() and (s.with_simulated or not a.simulated)
	left join maintsched.waiver_decision r on r.waiver_id = w.waiver_id and r.decision = 'revoked'
		and r.clock_at <= maintsched.clock() and (s.with_simulated or not r.simulated)
), covered as (
	select w.*, o.occurrence_id as covers, o.due_at
	from standing w
	join maintsched.occurrence o on o.occurrence_id = w.occurrence_id and o.due_at < w.expires_at
	union all
	select w.*, o.occurrence_id, o.due_at
	from standing w
	join maintsched.occurrence o on o.task_id = w.task_id
		and o.due_at >= w.since and o.due_at < w.expires_at
	where w.occurrence_id is null
)
select c.covers as occurrence_id, c.with_simulated, c.waiver_id,
	c.approved_at < c.due_at and (c.revoked_at is null or c.revoked_at >= c.due_at) as waived,
	c.approved_at >= c.due_at and c.revoked_at is null as accepted
from covered c;

comment on view maintsched.waiver_cover is 'Internal: Which occurrences the approved waivers cover.';
comment on column maintsched.waiver_cover.occurrence_id is 'An occurrence that it covers: its own, or one that is due in [since, expires_at).';
comment on column maintsched.waiver_cover.with_simulated is 'Whether simulated facts count.';
comment on column maintsched.waiver_cover.waiver_id is 'The waiver.';
comment on column maintsched.waiver_cover.waived is 'Whether it was in force at due_at: approved before it and not revoked before it.';
comment on column maintsched.waiver_cover.accepted is 'Whether it was approved too late to change anything.';

create view maintsched.occurrence_fact as
select o.occurrence_id, o.task_id, o.version, o.timezone, o.opens_at, o.due_at, o.closes_at,
	o.closed_at, o.withdrawn_at, o.facts, o.simulated, s.with_simulated,
	last.completion_id, last.outcome, last.completed_at, last.effective_at, last.backdated,
	last.performed_by, last.note, last.evidence, last.run_id, last.clock_at as completed_clock_at,
	last.recorded_at, last.recorded_by, last.simulated as completion_simulated,
	last.decision, last.reviewed_by, last.reviewed_at, last.review_simulated,
	coalesce(last.decision = 'rejected', false) as rejected,
	coalesce(cover.waived, false) as waived,
	coalesce(cover.accepted, false) as exception_accepted,
	cover.waiver_id,
	maintsched.derive_status(o.opens_at, o.due_at, o.closes_at, o.withdrawn_at,
		last.outcome, coalesce(last.decision = 'rejected', false), last.effective_at,
		cover.waived, maintsched.clock()) as status
from maintsched.occurrence o
cross join (values (true), (false)) s(with_simulated)
left join lateral (
	select c.*, r.decision, r.recorded_by as reviewed_by, r.clock_at as reviewed_at, r.simulated as review_simulated
	from maintsched.completion c
	left join maintsched.completion_review r on r.completion_id = c.completion_id
		and r.clock_at <= maintsched.clock() and (s.with_simulated or not r.simulated)
	where o.facts > 0
	and c.occurrence_id = o.occurrence_id
	and c.clock_at <= maintsched.clock() and (s.with_simulated or not c.simulated)
	and not exists (
		select
		from maintsched.completion_retraction x
		where x.completion_id = c.completion_id
		and x.clock_at <= maintsched.clock() and (s.with_simulated or not x.simulated))
	order by c.attempt desc
	limit 1) last on true
cross join lateral (
	select bool_or(w.waived) as waived, bool_or(w.accepted) as accepted,
		coalesce(min(w.waiver_id) filter (where w.waived), min(w.waiver_id) filter (where w.accepted)) as waiver_id
	from maintsched.waiver_cover w
	where w.occurrence_id = o.occurrence_id and w.with_simulated = s.with_simulated) cover;

comment on view maintsched.occurrence_fact is 'Internal: Every occurrence with the last completion that counts, its review, and its status at clock(), from the facts alone.';
comment on column maintsched.occurrence_fact.occurrence_id is 'The occurrence.';
comment on column maintsched.occurrence_fact.task_id is 'The task.';
comment on column maintsched.occurrence_fact.version is 'Version of the definition.';
comment on column maintsched.occurrence_fact.timezone is 'Zone of the occurrence.';
comment on column maintsched.occurrence_fact.opens_at is 'When it opens.';
comment on column maintsched.occurrence_fact.due_at is 'From here it is overdue.';
comment on column maintsched.occurrence_fact.closes_at is 'From here it is missed.';
comment on column maintsched.occurrence_fact.closed_at is 'When tick() closed it.';
comment on column maintsched.occurrence_fact.withdrawn_at is 'When it was withdrawn.';
comment on column maintsched.occurrence_fact.facts is 'Number of facts.';
comment on column maintsched.occurrence_fact.simulated is 'Whether the occurrence was planned under maintsched.now.';
comment on column maintsched.occurrence_fact.with_simulated is 'Whether simulated facts count in this row.';
comment on column maintsched.occurrence_fact.completion_id is 'The last completion that is not retracted.';
comment on column maintsched.occurrence_fact.outcome is 'Its outcome.';
comment on column maintsched.occurrence_fact.completed_at is 'When it was carried out, as claimed.';
comment on column maintsched.occurrence_fact.effective_at is 'From when it counts.';
comment on column maintsched.occurrence_fact.backdated is 'Whether the claim was too far back.';
comment on column maintsched.occurrence_fact.performed_by is 'Who carried it out.';
comment on column maintsched.occurrence_fact.note is 'Its note.';
comment on column maintsched.occurrence_fact.evidence is 'Its evidence.';
comment on column maintsched.occurrence_fact.run_id is 'The run that carried it out.';
comment on column maintsched.occurrence_fact.completed_clock_at is 'clock() of its recording.';
comment on column maintsched.occurrence_fact.recorded_at is 'Real time of its recording.';
comment on column maintsched.occurrence_fact.recorded_by is 'Who recorded it.';
comment on column maintsched.occurrence_fact.completion_simulated is 'Whether it was recorded under maintsched.now.';
comment on column maintsched.occurrence_fact.decision is 'Of its review: accepted, rejected; NULL: none yet.';
comment on column maintsched.occurrence_fact.reviewed_by is 'Who reviewed it.';
comment on column maintsched.occurrence_fact.reviewed_at is 'clock() of the review.';
comment on column maintsched.occurrence_fact.review_simulated is 'Whether the review was recorded under maintsched.now.';
comment on column maintsched.occurrence_fact.rejected is 'Whether the review rejected it.';
comment on column maintsched.occurrence_fact.waived is 'Whether a waiver was in force at due_at.';
comment on column maintsched.occurrence_fact.exception_accepted is 'Whether a waiver was approved after due_at.';
comment on column maintsched.occurrence_fact.waiver_id is 'That waiver.';
comment on column maintsched.occurrence_fact.status is 'Status at clock().';

create view maintsched.checklist_standing as
select distinct on (m.occurrence_id, m.item)
	m.occurrence_id, m.item, m.passed, m.note, m.clock_at, m.recorded_by, m.acting_as
from maintsched.checklist_mark m
where m.clock_at <= maintsched.clock()
order by m.occurrence_id, m.item, m.mark_id desc;

comment on view maintsched.checklist_standing is 'Internal: The latest mark of each checklist item at clock().';
comment on column maintsched.checklist_standing.occurrence_id is 'The occurrence.';
comment on column maintsched.checklist_standing.item is 'Number of the item.';
comment on column maintsched.checklist_standing.passed is 'Whether it was ticked.';
comment on column maintsched.checklist_standing.note is 'What was seen.';
comment on column maintsched.checklist_standing.clock_at is 'clock() of the mark.';
comment on column maintsched.checklist_standing.recorded_by is 'Session user of the mark.';
comment on column maintsched.checklist_standing.acting_as is 'Role that the session acted as.';

create view maintsched.occurrence_work as
select f.occurrence_id, f.task_id, f.version, f.timezone, f.opens_at, f.due_at, f.closes_at,
	f.closed_at, f.status, f.outcome, f.rejected, f.waived, f.effective_at,
	coalesce(f.outcome = 'pass' and not f.rejected, false) as passed,
	coalesce(f.backdated, false) as backdated,
	case when f.rejected then f.reviewed_at else f.effective_at end as judged_at,
	(
		select count(*)::integer
		from maintsched.checklist_standing m
		where m.occurrence_id = f.occurrence_id and m.passed and f.facts > 0) as checklist_done,
	begun.clock_at as started_at, begun.acting_as as started_by
from maintsched.occurrence_fact f
left join lateral (
	select s.clock_at, s.acting_as
	from maintsched.task_start s
	where s.occurrence_id = f.occurrence_id and f.facts > 0
	and s.clock_at <= maintsched.clock()
	and (f.completed_clock_at is null or s.clock_at > f.completed_clock_at)
	order by s.start_id desc
	limit 1) begun on true
where f.with_simulated;

comment on view maintsched.occurrence_work is 'Internal: occurrence_fact with simulated facts, and what was begun and ticked: all that the lists and figures need of an occurrence.';
comment on column maintsched.occurrence_work.occurrence_id is 'The occurrence.';
comment on column maintsched.occurrence_work.task_id is 'The task.';
comment on column maintsched.occurrence_work.version is 'Version of the definition.';
comment on column maintsched.occurrence_work.timezone is 'Zone of the occurrence.';
comment on column maintsched.occurrence_work.opens_at is 'When it opens.';
comment on column maintsched.occurrence_work.due_at is 'From here it is overdue.';
comment on column maintsched.occurrence_work.closes_at is 'From here it is missed.';
comment on column maintsched.occurrence_work.closed_at is 'When tick() closed it.';
comment on column maintsched.occurrence_work.status is 'Status at clock().';
comment on column maintsched.occurrence_work.outcome is 'Outcome of the last completion that counts.';
comment on column maintsched.occurrence_work.rejected is 'Whether its review rejected it.';
comment on column maintsched.occurrence_work.waived is 'Whether a waiver was in force at due_at.';
comment on column maintsched.occurrence_work.effective_at is 'From when it counts.';
comment on column maintsched.occurrence_work.passed is 'Whether that completion is a pass that is not rejected, however late.';
comment on column maintsched.occurrence_work.backdated is 'Whether its claim was too far back.';
comment on column maintsched.occurrence_work.judged_at is 'From when its verdict stands: of its rejection, else from when it counts.';
comment on column maintsched.occurrence_work.checklist_done is 'Checklist items ticked.';
comment on column maintsched.occurrence_work.started_at is 'When somebody began, after the last completion.';
comment on column maintsched.occurrence_work.started_by is 'Who began.';
