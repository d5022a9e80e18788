--
-- 35_standing: how a task stands
--

create view maintsched.task_standing as
with live as (
	select l.task_id,
		max(l.judged_at) filter (where l.status in ('done', 'late')) as passed_at,
		max(case when l.status = 'missed' then l.closes_at else l.judged_at end)
			filter (where l.status in ('failed', 'missed')) as failed_at,
		max(l.judged_at) filter (where l.status = 'inconclusive') as inconclusive_at,
		max(l.due_at) filter (where l.status = 'waived') as waived_at,
		bool_or(l.status = 'waived') filter (where is_open) as is_waived,
		bool_or(l.status = 'overdue') as is_overdue,
		bool_or(l.status = 'due') as is_due,
		count(*) filter (where is_open and l.status in ('due', 'overdue', 'failed', 'inconclusive')) as open_count,
		min(l.due_at) filter (where l.due_at > maintsched.clock()
			and l.status in ('due', 'failed', 'inconclusive')) as next_due_at,
		max(l.effective_at) as done_at,
		(array_agg(l.outcome order by l.effective_at desc) filter (where l.outcome is not null))[1] as outcome,
		array_agg(l.due_at) filter (where l.status = 'missed' and not l.closed) as missed_due
	from maintsched.live_occurrence l
	cross join lateral (select l.closes_at is null or l.closes_at > maintsched.clock()) o(is_open)
	where l.status <> 'withdrawn'
	group by l.task_id
), closed as (
	select s.task_id, s.passed_at, s.failed_at, s.inconclusive_at, s.waived_at, s.missed_due_at,
		s.done_at, s.outcome, s.missed_run
	from maintsched.task_state s
	where s.settled_at <= maintsched.clock()
	and not exists (select from maintsched.rollup_owed w where w.task_id = s.task_id)
	union all
	-- a month of it is owed: from those that hold
	select m.task_id, max(m.passed_at), max(m.failed_at), max(m.inconclusive_at), max(m.waived_at), null,
		max(m.done_at), (array_agg(m.outcome order by m.done_at desc nulls last))[1], null
	from (select distinct w.task_id from maintsched.rollup_owed w) owed
	join maintsched.task_state s on s.task_id = owed.task_id and s.settled_at <= maintsched.clock()
	join maintsched.task_month m on m.task_id = owed.task_id
	where not exists (
		select from maintsched.rollup_owed w
		where w.task_id = m.task_id and w.month = m.month)
	group by m.task_id
)
select t.task_id, t.calendar, t.name as task,
	coalesce(t.timezone, c.timezone) as zone,
	p.is_planned,
	case
		when not t.enabled then 'disabled'
		when not p.is_planned or n.inconclusive_at = newest.at then 'unknown'
		when n.failed_at = newest.at then 'failing'
		when live.is_overdue then 'overdue'
		when live.is_due then 'due'
		when live.is_waived or n.waived_at > coalesce(newest.at, '-infinity') then 'waived'
		when newest.at is not null then 'compliant'
		else 'not_started'
	end as status,
	n.done_at as last_done_at,
	case when live.done_at = n.done_at then live.outcome else closed.outcome end as last_outcome,
	coalesce(live.open_count, 0) as open_count,
	least(live.next_due_at, next.due_at) as next_due_at,
	next.opens_at as next_opens_at,
	coalesce((
		select count(*) from unnest(live.missed_due) m(due_at)
		where m.due_at > coalesce(n.passed_at, '-infinity')), 0)
	+ case
		when closed.missed_run is null then maintsched.missed_since(t.task_id, n.passed_at)
		when n.passed_at is not distinct from closed.passed_at then closed.missed_run
		when closed.missed_due_at is null or closed.missed_due_at <= n.passed_at then 0
		else maintsched.missed_since(t.task_id, n.passed_at)
	end as missed_before
from maintsched.task t
join maintsched.calendar c on c.name = t.calendar
left join maintsched.task_plan plan on plan.task_id = t.task_id
left join live on live.task_id = t.task_id
left join closed on closed.task_id = t.task_id
cross join lateral (
	select maintsched.is_planned(plan.planned_until, c.installed_at) as is_planned) p
cross join lateral (
	select greatest(live.passed_at, closed.passed_at) as passed_at,
		greatest(live.failed_at, closed.failed_at) as failed_at,
		greatest(live.inconclusive_at, closed.inconclusive_at) as inconclusive_at,
		greatest(live.waived_at, closed.waived_at) as waived_at,
		greatest(live.done_at, closed.done_at) as done_at) n
cross join lateral (
	select greatest(n.passed_at, n.failed_at, n.inconclusive_at) as at) newest
left join lateral (
	select o.opens_at, o.due_at
	from maintsched.occurrence o
	where o.task_id = t.task_id and o.opens_at > maintsched.clock()
	and (o.withdrawn_at is null or o.withdrawn_at > maintsched.clock())
	order by o.opens_at
	limit 1) next on true;

comment on view maintsched.task_standing is 'Internal: How every task stands at clock(), from the rolled up verdicts and the occurrences that these do not answer for.';
comment on column maintsched.task_standing.task_id is 'The task.';
comment on column maintsched.task_standing.calendar is 'Its calendar.';
comment on column maintsched.task_standing.task is 'Its name.';
comment on column maintsched.task_standing.zone is 'Its zone.';
comment on column maintsched.task_standing.is_planned is 'Whether it is known what it asks for.';
comment on column maintsched.task_standing.status is 'disabled, unknown, failing, overdue, due, waived, compliant or not_started.';
comment on column maintsched.task_standing.last_done_at is 'Newest completion that counts.';
comment on column maintsched.task_standing.last_outcome is 'Its outcome.';
comment on column maintsched.task_standing.open_count is 'Open occurrences that are not passed.';
comment on column maintsched.task_standing.next_due_at is 'The next time at which one that is not passed falls due.';
comment on column maintsched.task_standing.next_opens_at is 'When the next one opens.';
comment on column maintsched.task_standing.missed_before is 'Missed ones that were due after the newest pass.';

create function maintsched.on_time_rate(done numeric, late numeric, failed numeric, inconclusive numeric, missed numeric, overdue numeric)
returns numeric
language sql immutable parallel safe
return trim_scale(done / nullif(done + late + failed + inconclusive + missed + overdue, 0));

comment on function maintsched.on_time_rate(numeric, numeric, numeric, numeric, numeric, numeric) is
'Done in time / fallen due and not waived, 0 to 1; NULL where nothing was. PM compliance, as SMRP defines it: what was never done stays in the denominator.';

create function maintsched.year_begins(zone text) returns date
language sql stable parallel safe
return (date_trunc('month', maintsched.clock() at time zone zone) - interval '11 months')::date;

comment on function maintsched.year_begins(text) is
'Internal: The first day of the eleventh month before the current one, in local time: where a figure without a period begins.';

create view maintsched.task_figure as
select r.task_id, r.month, r.version,
	r.done as done, r.late as late, r.failed as failed, r.inconclusive as inconclusive, r.missed as missed, 0::bigint as overdue, r.waived as waived, r.backdated as backdated
from maintsched.task_month r
join maintsched.task_state ts on ts.task_id = r.task_id and ts.settled_at <= maintsched.clock()
where not exists (
	select from maintsched.rollup_owed w
	where w.task_id = r.task_id and w.month = r.month)
union all
select l.task_id, maintsched.due_month(l.due_at, l.timezone), l.version,
	(l.status = 'done')::integer,
	(l.status = 'late')::integer,
	(l.status = 'failed')::integer,
	(l.status = 'inconclusive')::integer,
	(l.status = 'missed')::integer,
	(l.status = 'overdue')::integer,
	(l.status = 'waived')::integer,
	l.backdated::integer
from maintsched.live_occurrence l
where l.due_at <= maintsched.clock() and l.status <> 'withdrawn';

comment on view maintsched.task_figure is 'Internal: What became of the occurrences that fell due: of the rolled up months that hold at clock(), and of each occurrence that they do not answer for.';
comment on column maintsched.task_figure.task_id is 'The task.';
comment on column maintsched.task_figure.month is 'First day of the local month.';
comment on column maintsched.task_figure.version is 'Version of the definition.';
comment on column maintsched.task_figure.done is 'Passed, effective before due_at.';
comment on column maintsched.task_figure.late is 'Passed, effective before closes_at.';
comment on column maintsched.task_figure.failed is 'Last completion fail or partial, or rejected by its review.';
comment on column maintsched.task_figure.inconclusive is 'Last completion inconclusive.';
comment on column maintsched.task_figure.missed is 'Not passed when it closed.';
comment on column maintsched.task_figure.overdue is 'Not passed, and not closed yet.';
comment on column maintsched.task_figure.waived is 'Covered by a waiver that was approved in time; outside the rate.';
comment on column maintsched.task_figure.backdated is 'Of all these, whose completion claimed a time too far back.';

create view maintsched.task_year as
select f.task_id, sum(f.done) as done, sum(f.late) as late, sum(f.failed) as failed, sum(f.inconclusive) as inconclusive, sum(f.missed) as missed, sum(f.overdue) as overdue
from maintsched.task_figure f
join maintsched.task t on t.task_id = f.task_id
join maintsched.calendar c on c.name = t.calendar
where f.month >= maintsched.year_begins(coalesce(t.timezone, c.timezone))
group by f.task_id;

comment on view maintsched.task_year is 'Internal: task_figure of the current local month and the eleven before, per task.';
comment on column maintsched.task_year.task_id is 'The task.';
comment on column maintsched.task_year.done is 'Passed, effective before due_at.';
comment on column maintsched.task_year.late is 'Passed, effective before closes_at.';
comment on column maintsched.task_year.failed is 'Last completion fail or partial, or rejected by its review.';
comment on column maintsched.task_year.inconclusive is 'Last completion inconclusive.';
comment on column maintsched.task_year.missed is 'Not passed when it closed.';
comment on column maintsched.task_year.overdue is 'Not passed, and not closed yet.';
