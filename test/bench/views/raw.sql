--
-- The same answers from the rows themselves: set-based, with hash joins over
-- all of history, and nothing of what the extension derives but clock(), the
-- words of the definitions and what is planned.
--

-- every occurrence that has opened, with its verdict; DESIGN's order of statuses
create view bench.verdict as
select o.*, c.outcome, c.effective_at, coalesce(c.backdated, false) as backdated,
	case when c.decision = 'rejected' then c.reviewed_at else c.effective_at end as judged_at,
	c.outcome = 'pass' and c.decision is distinct from 'rejected' as passed,
	date_trunc('month', (o.due_at - interval '1 microsecond') at time zone o.timezone)::date as month,
	case
		when c.outcome = 'pass' and c.decision is distinct from 'rejected' and c.effective_at < o.due_at then 'done'
		when w.occurrence_id is not null then 'waived'
		when c.outcome = 'pass' and c.decision is distinct from 'rejected' and c.effective_at < coalesce(o.closes_at, 'infinity') then 'late'
		when c.decision = 'rejected' or c.outcome in ('fail', 'partial') then 'failed'
		when c.outcome = 'inconclusive' then 'inconclusive'
		when maintsched.clock() < o.due_at then 'due'
		when maintsched.clock() < coalesce(o.closes_at, 'infinity') then 'overdue'
		else 'missed'
	end as status
from maintsched.occurrence o
left join (
	select distinct on (c.occurrence_id) c.occurrence_id, c.outcome, c.effective_at, c.backdated, r.decision, r.clock_at as reviewed_at
	from maintsched.completion c
	left join maintsched.completion_review r on r.completion_id = c.completion_id and r.clock_at <= maintsched.clock()
	left join maintsched.completion_retraction x on x.completion_id = c.completion_id and x.clock_at <= maintsched.clock()
	where c.clock_at <= maintsched.clock() and x.completion_id is null
	order by c.occurrence_id, c.clock_at desc, c.completion_id desc) c on c.occurrence_id = o.occurrence_id
left join (
	select o.occurrence_id
	from maintsched.waiver w
	join maintsched.occurrence o on o.occurrence_id = w.occurrence_id and o.due_at < w.expires_at
	where exists (
		select from maintsched.waiver_decision d
		where d.waiver_id = w.waiver_id and d.decision = 'approved' and d.clock_at < o.due_at and d.clock_at <= maintsched.clock())
	and not exists (
		select from maintsched.waiver_decision d
		where d.waiver_id = w.waiver_id and d.decision = 'revoked' and d.clock_at < o.due_at and d.clock_at <= maintsched.clock())
	union
	select o.occurrence_id
	from maintsched.waiver w
	join maintsched.occurrence o on o.task_id = w.task_id and o.due_at >= w.since and o.due_at < w.expires_at
	where w.occurrence_id is null
	and exists (
		select from maintsched.waiver_decision d
		where d.waiver_id = w.waiver_id and d.decision = 'approved' and d.clock_at < o.due_at and d.clock_at <= maintsched.clock())
	and not exists (
		select from maintsched.waiver_decision d
		where d.waiver_id = w.waiver_id and d.decision = 'revoked' and d.clock_at < o.due_at and d.clock_at <= maintsched.clock())
) w on w.occurrence_id = o.occurrence_id
where o.opens_at <= maintsched.clock()
and (o.withdrawn_at is null or o.withdrawn_at > maintsched.clock());

-- one look at all of history, per task and version: the newest verdicts, and
-- the counts of the current local month and the eleven before
create view bench.tally as
select v.task_id, v.version,
	max(v.judged_at) filter (where v.passed and v.status <> 'waived') as passed_at,
	max(case v.status when 'missed' then v.closes_at when 'failed' then v.judged_at end) as failed_at,
	max(v.judged_at) filter (where v.status = 'inconclusive') as inconclusive_at,
	max(v.due_at) filter (where v.status = 'waived') as waived_due,
	bool_or(v.status = 'waived' and is_open) as is_waived,
	bool_or(v.status = 'overdue') as is_overdue,
	bool_or(v.status = 'due') as is_due,
	count(*) filter (where is_open and v.status in ('due', 'overdue', 'failed', 'inconclusive')) as open_count,
	min(v.due_at) filter (where v.due_at > maintsched.clock() and v.status in ('due', 'failed', 'inconclusive')) as open_due,
	max(v.effective_at) filter (where v.outcome = 'pass') as done_pass,
	max(v.effective_at) filter (where v.outcome = 'fail') as done_fail,
	max(v.effective_at) filter (where v.outcome = 'partial') as done_partial,
	max(v.effective_at) filter (where v.outcome = 'inconclusive') as done_inconclusive,
	max(v.effective_at) as done_at,
	count(*) filter (where in_year and v.status = 'done') as done,
	count(*) filter (where in_year and v.status = 'late') as late,
	count(*) filter (where in_year and v.status = 'failed') as failed,
	count(*) filter (where in_year and v.status = 'inconclusive') as inconclusive,
	count(*) filter (where in_year and v.status = 'missed') as missed,
	count(*) filter (where in_year and v.status = 'overdue') as overdue
from bench.verdict v
join (
	select t.task_id, (date_trunc('month', maintsched.clock() at time zone coalesce(t.timezone, c.timezone))
		- interval '11 months')::date as year_begins
	from maintsched.task t
	join maintsched.calendar c on c.name = t.calendar) y on y.task_id = v.task_id
cross join lateral (
	select coalesce(v.closes_at, 'infinity') > maintsched.clock() as is_open,
		v.month >= y.year_begins and v.due_at <= maintsched.clock() as in_year) x
group by v.task_id, v.version;

create view bench.next_up as
select distinct on (o.task_id) o.task_id, o.due_at
from maintsched.occurrence o
where o.opens_at > maintsched.clock() and o.withdrawn_at is null
order by o.task_id, o.opens_at;

create function bench.task_word(
	enabled boolean, planned boolean, passed_at timestamptz, failed_at timestamptz, inconclusive_at timestamptz,
	waived_due timestamptz, is_waived boolean, is_overdue boolean, is_due boolean)
returns text
language sql immutable parallel safe
return case
	when not enabled then 'disabled'
	when not planned or inconclusive_at >= greatest(passed_at, failed_at, inconclusive_at) then 'unknown'
	when failed_at >= greatest(passed_at, failed_at) then 'failing'
	when is_overdue then 'overdue'
	when is_due then 'due'
	when is_waived or waived_due > coalesce(passed_at, '-infinity') then 'waived'
	when passed_at is not null then 'compliant'
	else 'not_started'
end;

create view bench.raw_standing as
with newest as (
	select y.task_id,
		max(y.passed_at) as passed_at, max(y.failed_at) as failed_at, max(y.inconclusive_at) as inconclusive_at,
		max(y.waived_due) as waived_due, bool_or(y.is_waived) as is_waived, bool_or(y.is_overdue) as is_overdue,
		bool_or(y.is_due) as is_due, sum(y.open_count) as open_count, min(y.open_due) as open_due,
		max(y.done_pass) as done_pass, max(y.done_fail) as done_fail, max(y.done_partial) as done_partial,
		max(y.done_inconclusive) as done_inconclusive,
		max(y.done_at) as done_at, sum(y.done) as done, sum(y.late) as late, sum(y.missed) as missed,
		sum(y.done + y.late + y.failed + y.inconclusive + y.missed + y.overdue) as fallen_due
	from bench.tally y
	group by y.task_id
)
select t.task_id, t.calendar, t.name as task, t.enabled, t.controls,
	bench.task_word(t.enabled, p.planned_until > maintsched.clock(), n.passed_at, n.failed_at, n.inconclusive_at,
		n.waived_due, n.is_waived, n.is_overdue, n.is_due) as status,
	n.done_at as last_done_at, case n.done_at when n.done_pass then 'pass' when n.done_fail then 'fail' when n.done_partial then 'partial'
		when n.done_inconclusive then 'inconclusive' end as last_outcome,
	least(n.open_due, u.due_at) as next_due_at, coalesce(n.open_count, 0)::bigint as open_count,
	n.done::numeric / nullif(n.fallen_due, 0) as on_time_rate,
	coalesce(n.late, 0)::bigint as late_12m, coalesce(n.missed, 0)::bigint as missed_12m
from maintsched.task t
left join maintsched.task_plan p using (task_id)
left join newest n using (task_id)
left join bench.next_up u using (task_id)
where t.retired_at is null;

create view bench.raw_task_status as
select s.calendar, s.task, s.status, s.last_done_at, s.last_outcome, s.next_due_at, s.open_count,
	s.on_time_rate, s.late_12m, s.missed_12m
from bench.raw_standing s;

create view bench.raw_due_tasks as
with v as materialized (
	select v.occurrence_id, v.task_id, v.due_at, v.closes_at, v.judged_at, v.passed, v.status
	from bench.verdict v
), passed as (
	select v.task_id, max(v.judged_at) as at
	from v
	where v.passed and v.status <> 'waived'
	group by v.task_id
), missed as (
	select v.task_id, count(*) as missed
	from v
	left join passed p using (task_id)
	where v.status = 'missed' and v.due_at > coalesce(p.at, '-infinity')
	group by v.task_id
)
select v.occurrence_id, t.calendar, t.name as task, v.status, v.due_at, coalesce(m.missed, 0) as missed_before
from v
join maintsched.task t using (task_id)
left join missed m using (task_id)
where v.status in ('due', 'overdue', 'failed', 'inconclusive')
and coalesce(v.closes_at, 'infinity') > maintsched.clock()
and t.enabled and t.retired_at is null;

create view bench.raw_task_monthly as
select t.calendar, t.name as task, array_to_string(d.teams, '/') as team, d.cadence, m.month,
	m.occurrences, m.done, m.late, m.failed, m.inconclusive, m.missed, m.overdue, m.waived, m.backdated,
	m.done::numeric / nullif(m.occurrences - m.waived, 0) as on_time_rate
from (
	select v.task_id, v.month, max(v.version) as version, count(*) as occurrences,
		count(*) filter (where v.status = 'done') as done,
		count(*) filter (where v.status = 'late') as late,
		count(*) filter (where v.status = 'failed') as failed,
		count(*) filter (where v.status = 'inconclusive') as inconclusive,
		count(*) filter (where v.status = 'missed') as missed,
		count(*) filter (where v.status = 'overdue') as overdue,
		count(*) filter (where v.status = 'waived') as waived,
		count(*) filter (where v.backdated) as backdated
	from bench.verdict v
	where v.due_at <= maintsched.clock()
	group by v.task_id, v.month) m
join maintsched.task t using (task_id)
join maintsched.task_version d using (task_id, version);

create view bench.raw_compliance_monthly as
select m.*, m.done::numeric / nullif(m.occurrences - m.waived, 0) as on_time_rate
from (
	select t.calendar, v.month, count(*) as occurrences,
		count(*) filter (where v.status = 'done') as done,
		count(*) filter (where v.status = 'late') as late,
		count(*) filter (where v.status = 'failed') as failed,
		count(*) filter (where v.status = 'inconclusive') as inconclusive,
		count(*) filter (where v.status = 'missed') as missed,
		count(*) filter (where v.status = 'overdue') as overdue,
		count(*) filter (where v.status = 'waived') as waived,
		count(*) filter (where v.backdated) as backdated
	from bench.verdict v
	join maintsched.task t using (task_id)
	where v.due_at <= maintsched.clock()
	group by t.calendar, v.month) m;

-- counted per version first, of which there are few
create view bench.raw_control_monthly as
select m.*, m.done::numeric / nullif(m.occurrences - m.waived, 0) as on_time_rate
from (
	select split_part(c, ' ', 1) as framework, substr(c, strpos(c, ' ') + 1) as control, t.calendar, v.month,
		sum(v.occurrences)::bigint as occurrences,
		sum(v.done)::bigint as done, sum(v.late)::bigint as late, sum(v.failed)::bigint as failed,
		sum(v.inconclusive)::bigint as inconclusive, sum(v.missed)::bigint as missed,
		sum(v.overdue)::bigint as overdue, sum(v.waived)::bigint as waived, sum(v.backdated)::bigint as backdated
	from (
		select v.task_id, v.version, v.month, count(*) as occurrences,
			count(*) filter (where v.status = 'done') as done,
			count(*) filter (where v.status = 'late') as late,
			count(*) filter (where v.status = 'failed') as failed,
			count(*) filter (where v.status = 'inconclusive') as inconclusive,
			count(*) filter (where v.status = 'missed') as missed,
			count(*) filter (where v.status = 'overdue') as overdue,
			count(*) filter (where v.status = 'waived') as waived,
			count(*) filter (where v.backdated) as backdated
		from bench.verdict v
		where v.due_at <= maintsched.clock()
		group by v.task_id, v.version, v.month) v
	join maintsched.task t using (task_id)
	join maintsched.task_version d using (task_id, version)
	cross join lateral unnest(d.controls) c
	group by 1, 2, 3, 4) m;

-- both of controls: calendar is NULL for all of them
create view bench.raw_control as
with tally as materialized (
	select y.* from bench.tally y
), standing as (
	select t.task_id, t.calendar, t.enabled, t.controls,
		bench.task_word(t.enabled, p.planned_until > maintsched.clock(), max(y.passed_at), max(y.failed_at), max(y.inconclusive_at),
			max(y.waived_due), bool_or(y.is_waived), bool_or(y.is_overdue), bool_or(y.is_due)) as status,
		max(y.passed_at) as passed_at, max(y.done_at) as done_at, least(min(y.open_due), u.due_at) as next_due_at
	from maintsched.task t
	left join maintsched.task_plan p using (task_id)
	left join tally y using (task_id)
	left join bench.next_up u using (task_id)
	where t.retired_at is null
	group by t.task_id, p.planned_until, u.due_at
), now as (
	select c as control, s.calendar, count(*) as tasks,
		count(*) filter (where s.status = 'compliant') as compliant,
		count(*) filter (where s.status = 'due') as due,
		count(*) filter (where s.status = 'overdue') as overdue,
		count(*) filter (where s.status = 'failing') as failing,
		count(*) filter (where s.status = 'unknown') as unknown,
		count(*) filter (where s.status = 'waived') as waived,
		count(*) filter (where s.status = 'not_started') as not_started,
		count(*) filter (where s.status = 'disabled') as disabled,
		count(*) filter (where s.enabled) as enabled,
		count(*) filter (where s.enabled and s.passed_at is null) as without_evidence,
		max(s.done_at) filter (where s.enabled) as last_evidence_at,
		min(s.next_due_at) filter (where s.enabled) as next_due_at
	from standing s
	cross join lateral unnest(s.controls) c
	group by grouping sets ((c), (c, s.calendar))
), year as (
	select c as control, t.calendar,
		sum(y.done)::numeric / nullif(sum(y.done + y.late + y.failed + y.inconclusive + y.missed + y.overdue), 0) as on_time_rate
	from tally y
	join maintsched.task t using (task_id)
	join maintsched.task_version d using (task_id, version)
	cross join lateral unnest(d.controls) c
	group by grouping sets ((c), (c, t.calendar))
)
select cal.calendar, k.framework, k.control, x.status,
	x.status in ('compliant', 'due', 'waived') and n.without_evidence = 0 as ok,
	coalesce(n.tasks, 0) as tasks, coalesce(n.compliant, 0) as compliant, coalesce(n.due, 0) as due,
	coalesce(n.overdue, 0) as overdue, coalesce(n.failing, 0) as failing, coalesce(n.unknown, 0) as unknown,
	coalesce(n.waived, 0) as waived, coalesce(n.not_started, 0) as not_started, coalesce(n.disabled, 0) as disabled,
	n.last_evidence_at, n.next_due_at, y.on_time_rate
from maintsched.control k
join maintsched.frameworks f on f.name = k.framework and f.enabled
cross join (select name from maintsched.calendar union all select null) cal(calendar)
left join now n on n.control = k.framework || ' ' || k.control and n.calendar is not distinct from cal.calendar
left join year y on y.control = k.framework || ' ' || k.control and y.calendar is not distinct from cal.calendar
cross join lateral (
	select case
		when n.failing > 0 then 'failing'
		when n.overdue > 0 then 'overdue'
		when n.unknown > 0 then 'unknown'
		when coalesce(n.enabled, 0) = 0 then 'not_covered'
		when n.due > 0 then 'due'
		when n.not_started > 0 then 'not_started'
		when n.waived > 0 then 'waived'
		else 'compliant'
	end as status) x;

create view bench.raw_compliance_status as
select r.framework, r.control, r.status, r.ok, r.tasks, r.compliant, r.due, r.overdue, r.failing, r.unknown,
	r.waived, r.not_started, r.disabled, r.last_evidence_at, r.next_due_at, r.on_time_rate
from bench.raw_control r
where r.calendar is null;

create view bench.raw_compliance_by_calendar as
select r.calendar, r.framework, r.control, r.status, r.ok, r.tasks, r.compliant, r.due, r.overdue, r.failing, r.unknown,
	r.waived, r.not_started, r.disabled, r.last_evidence_at, r.next_due_at, r.on_time_rate
from bench.raw_control r
where r.calendar is not null;
