--
-- Facts as years of work leave them, written straight into the tables as a
-- restore would do: 10 calendars of 500 tasks, most of them daily, with about
-- :n closed occurrences in all.  97 of 100 are done, some of them late,
-- at the second attempt, with a failure, and so on.  All in real time.
--
-- What they are is drawn at random, from a seed: the same each time but for
-- the time of day.
--

select setseed(0.5) \g /dev/null

-- how many days make :n closed occurrences
create table bench.span as
select now() as loaded_at,
	ceil(:n / (10 * 5 * 89.0))::integer as days;

insert into maintsched.calendar (name, title, timezone, installed_at, installed_by)
select format('bench-%s', to_char(c, 'FM00')), format('Bench %s', c),
	(array['UTC', 'America/New_York', 'Europe/Berlin', 'Asia/Kolkata', 'America/Los_Angeles'])[1 + c % 5],
	loaded_at - make_interval(days => days), session_user
from bench.span, generate_series(1, 10) c;

create table bench.control as
select row_number() over (order by k."position") as nr, k.framework || ' ' || k.control as control
from maintsched.control k
where k.framework = 'HIPAA';

create function bench.controls(seed bigint) returns text[]
language sql
as $$
	select array_agg(distinct k.control order by k.control)
	from generate_series(0, 1 + seed::integer % 3) i
	join bench.control k on k.nr = 1 + (seed * 7 + i * (1 + seed % 11)) % (select count(*) from bench.control)
$$;

insert into maintsched.task (
	calendar, name, title, teams, kind, rule, starts_on, due_within, grace, effort,
	review, checklist, controls, "position", run_as, effective_from)
select c.name, format('%s-%s', k.cadence, n), format('%s duty %s of %s', initcap(k.cadence), n, c.title),
	array[(array['On call', 'DBA', 'Security', 'Compliance', 'All'])[1 + i % 5]], 'manual',
	k.rule, s.starts_on, k.due_within, k.grace, make_interval(mins => 5 + i % 50),
	i % 10 = 0,
	case when i % 10 = 5 then '[{"text": "First"}, {"text": "Second"}, {"text": "Third"}]'::jsonb else '[]' end,
	bench.controls(n * 10 + c.nr), n, session_user,
	maintsched.to_instant(s.starts_on, c.timezone)
from bench.span p
cross join (
	select c.name, c.title, c.timezone, row_number() over (order by c.name) as nr
	from maintsched.calendar c) c
cross join generate_series(1, 500) n
cross join lateral (select 1 + (n - 1) % 100) x(i)
cross join lateral (
	select case when i <= 88 then 'daily' when i <= 94 then 'weekly' when i <= 98 then 'monthly' else 'quarterly' end,
		case when i <= 88 then 'FREQ=DAILY' when i <= 94 then 'FREQ=WEEKLY'
			when i <= 98 then 'FREQ=MONTHLY' else 'FREQ=MONTHLY;INTERVAL=3' end,
		case when i <= 88 then interval '16 hours' when i <= 94 then interval '2 days'
			when i <= 98 then interval '7 days' else interval '14 days' end,
		case when i > 94 then interval '10 days' when i % 4 = 0 then interval '6 hours' end)
	as k(cadence, rule, due_within, grace)
cross join lateral (
	select p.loaded_at::date - p.days as first_day) d
cross join lateral (
	select (case when i <= 88 then d.first_day when i <= 94 then d.first_day + i % 7
		else date_trunc('month', d.first_day)::date + i % 28 end)
		+ make_interval(hours => i % 24) as starts_on) s
order by c.name, n;

-- one in twenty was defined otherwise in the first half
insert into maintsched.task_version (
	task_id, version, made_at, made_by, acting_as, simulated,
	title, teams, kind, cadence, effort, routine, review, checklist, controls, definition)
select t.task_id, 1, t.effective_from, session_user, session_user, false,
	t.title || ' (before)', array['Operations'], t.kind, t.cadence, t.effort, null, t.review, t.checklist,
	bench.controls(t.task_id + 17), '{}'
from maintsched.task t
where t.task_id % 20 = 3;

do $$
begin
	perform maintsched.note_version(t) from maintsched.task t;
end
$$;

-- What happened, in order of time.  r decides what became of it, u when.
create unlogged table bench.load as
select row_number() over (order by o.opens_at, t.task_id) as occurrence_id, t.task_id,
	case when t.task_id % 20 = 3 and o.opens_at >= p.loaded_at - make_interval(days => p.days / 2) then 2 else 1 end as version,
	t.review, o.local_start, t.timezone, o.opens_at, o.due_at, o.closes_at,
	random() as r, random() as u
from bench.span p
cross join (
	select t.task_id, t.review, t.starts_on, t.due_within, t.grace, c.timezone,
		case split_part(t.name, '-', 1) when 'daily' then interval '1 day' when 'weekly' then interval '7 days'
			when 'monthly' then interval '1 month' else interval '3 months' end as step
	from maintsched.task t
	join maintsched.calendar c on c.name = t.calendar) t
cross join lateral generate_series(t.starts_on, (p.loaded_at at time zone t.timezone), t.step) s(local_start)
cross join lateral (
	select s.local_start, maintsched.to_instant(s.local_start, t.timezone) as opens_at,
		maintsched.to_instant(s.local_start + t.due_within, t.timezone) as due_at,
		maintsched.to_instant(
			case when t.grace is not null then s.local_start + t.due_within + t.grace
				else s.local_start + t.step end, t.timezone) as closes_at) o
where o.opens_at <= p.loaded_at;

-- Each fact: the completions of an occurrence by attempt.
create unlogged table bench.attempt as
select l.occurrence_id, a.attempt, a.outcome, a.completed_at, a.clock_at,
	a.clock_at > a.completed_at + interval '1 day' as backdated,
	a.retracted,
	case when not l.review then null
		when l.u < 0.02 then 'rejected' when l.u < 0.95 then 'accepted' end as decision
from bench.load l
cross join bench.span p
cross join lateral (
	select l.opens_at + (l.due_at - l.opens_at) * (0.05 + 0.9 * l.u) as in_time,
		l.due_at + (l.closes_at - l.due_at) * (0.05 + 0.9 * l.u) as late,
		interval '1 microsecond' * (l.occurrence_id % 100000) as dither) w
cross join lateral (
	select 1, case when l.r between 0.945 and 0.958 then 'fail' when l.r between 0.958 and 0.961 then 'partial'
			when l.r between 0.961 and 0.965 then 'inconclusive' else 'pass' end,
		x.completed_at + w.dither,
		x.completed_at + w.dither + case
			when l.r between 0.968 and 0.970 then interval '3 days'
			when l.r between 0.970 and 0.972 then l.closes_at - x.completed_at + interval '2 hours'
			else interval '3 minutes' end,
		l.r between 0.965 and 0.968
	from (select case when l.r between 0.930 and 0.945 then w.late else w.in_time end) x(completed_at)
	where l.r < 0.972
	union all
	-- the failed, the retracted and the rejected are often done again
	select 2, 'pass', w.late + w.dither, w.late + w.dither + interval '3 minutes', false
	where l.r between 0.952 and 0.958 or l.r between 0.966 and 0.968
	or (l.r < 0.930 and l.review and l.u < 0.01)
) a(attempt, outcome, completed_at, clock_at, retracted)
where a.clock_at + interval '1 hour' <= p.loaded_at;

analyze bench.load;
analyze bench.attempt;

insert into maintsched.occurrence (
	occurrence_id, task_id, version, local_start, timezone, opens_at, due_at, closes_at,
	planned_at, closed_at, facts, simulated)
select l.occurrence_id, l.task_id, l.version, l.local_start, l.timezone, l.opens_at, l.due_at, l.closes_at,
	l.opens_at - interval '1 day',
	case when l.closes_at <= p.loaded_at - interval '10 minutes' then l.closes_at + interval '10 minutes' end,
	coalesce(a.facts, 0), false
from bench.load l
cross join bench.span p
left join (
	select a.occurrence_id,
		count(*) + count(*) filter (where a.retracted)
		+ count(*) filter (where a.decision is not null and not a.retracted) as facts
	from bench.attempt a
	group by a.occurrence_id) a using (occurrence_id)
order by l.occurrence_id;

insert into maintsched.completion (
	completion_id, occurrence_id, attempt, outcome, completed_at, effective_at, backdated,
	performed_by, note, evidence, recorded_at, clock_at, recorded_by, acting_as)
select row_number() over (order by a.clock_at, a.occurrence_id), a.occurrence_id, a.attempt, a.outcome, a.completed_at,
	case when a.backdated then a.clock_at else a.completed_at end, a.backdated,
	'operator_' || a.occurrence_id % 20, case when a.outcome <> 'pass' then 'out of the ordinary' end,
	case when a.occurrence_id % 4 = 0 then jsonb_build_object('file', 'log-' || a.occurrence_id, 'bytes', a.occurrence_id * 13) end,
	a.clock_at, a.clock_at, 'operator_' || a.occurrence_id % 20, 'operator'
from bench.attempt a
order by a.clock_at, a.occurrence_id;

insert into maintsched.completion_retraction (completion_id, reason, recorded_at, clock_at, recorded_by, acting_as)
select c.completion_id, 'wrong occurrence', c.clock_at + interval '5 minutes', c.clock_at + interval '5 minutes', 'manager', 'manager'
from bench.attempt a
join maintsched.completion c using (occurrence_id, attempt)
where a.retracted
order by c.completion_id;

insert into maintsched.completion_review (completion_id, decision, recorded_at, clock_at, recorded_by, acting_as)
select c.completion_id, case when a.attempt = 1 then a.decision else 'accepted' end,
	c.clock_at + interval '30 minutes', c.clock_at + interval '30 minutes', 'manager', 'manager'
from bench.attempt a
join maintsched.completion c using (occurrence_id, attempt)
where a.decision is not null and not a.retracted
order by c.completion_id;

-- somebody has begun one in twenty of the open ones
with begun as (
	insert into maintsched.task_start (occurrence_id, recorded_at, clock_at, recorded_by, acting_as)
	select o.occurrence_id, p.loaded_at - interval '1 minute', p.loaded_at - interval '1 minute', 'operator', 'operator'
	from maintsched.occurrence o
	cross join bench.span p
	where o.closed_at is null and o.facts = 0 and o.opens_at < p.loaded_at - interval '1 minute' and o.task_id % 20 = 7
	returning occurrence_id
)
update maintsched.occurrence o set facts = 1 from begun b where o.occurrence_id = b.occurrence_id;

-- exceptions: of one occurrence, and of all that fall due in three weeks; some
-- approved too late, rejected, or revoked
insert into maintsched.waiver (waiver_id, task_id, occurrence_id, since, expires_at, reason, recorded_at, clock_at, recorded_by, acting_as)
select row_number() over (), w.task_id, w.occurrence_id, null, w.due_at + interval '2 days', 'replaced server',
	w.due_at - interval '3 hours', w.due_at - interval '3 hours', 'operator', 'operator'
from (
	select l.task_id, l.occurrence_id, l.due_at
	from bench.load l
	where l.r > 0.95 and l.due_at < (select loaded_at - interval '6 hours' from bench.span)
	order by l.u
	limit 300) w;

update maintsched.occurrence o
set facts = o.facts + 1
from maintsched.waiver w
where w.occurrence_id = o.occurrence_id;

insert into maintsched.waiver (waiver_id, task_id, occurrence_id, since, expires_at, reason, recorded_at, clock_at, recorded_by, acting_as)
select 300 + row_number() over (), t.task_id, null, x.since, x.since + interval '21 days', 'moving house',
	x.since - interval '3 hours', x.since - interval '3 hours', 'operator', 'operator'
from bench.span p
cross join (select t.task_id from maintsched.task t order by t.task_id * 7919 % 5003 limit 200) t
cross join lateral (
	select p.loaded_at - make_interval(days => (1 + t.task_id * 37 % (p.days + 1))::integer) + interval '1 second' * t.task_id as since) x;

insert into maintsched.waiver_decision (waiver_id, decision, note, recorded_at, clock_at, recorded_by, acting_as)
select w.waiver_id, d.decision, 'considered', d.at, d.at, 'manager', 'manager'
from maintsched.waiver w
cross join lateral (
	select case when w.waiver_id % 10 = 9 then 'rejected' else 'approved' end,
		w.clock_at + case when w.waiver_id % 10 = 8 then interval '5 hours' else interval '1 hour' end
	union all
	select 'revoked', w.clock_at + interval '2 hours'
	where w.waiver_id % 10 = 7
	union all
	select 'revoked', w.clock_at + interval '5 days'
	where w.waiver_id % 10 = 6 and w.clock_at + interval '5 days' < (select loaded_at from bench.span)) d(decision, at)
where d.at < (select loaded_at from bench.span);

-- what lies ahead is for tick() to plan
insert into maintsched.task_plan (task_id, planned_until, replan_at, planned_at, simulated)
select t.task_id, p.loaded_at, '-infinity', p.loaded_at, false
from maintsched.task t, bench.span p;

select setval('maintsched.occurrence_occurrence_id_seq', (select max(occurrence_id) from maintsched.occurrence)),
	setval('maintsched.completion_completion_id_seq', (select max(completion_id) from maintsched.completion)),
	setval('maintsched.waiver_waiver_id_seq', (select max(waiver_id) from maintsched.waiver)) \g /dev/null

drop table bench.load, bench.attempt, bench.control;
drop function bench.controls(bigint);
