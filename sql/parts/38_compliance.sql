--
-- 38_compliance: how controls, calendars and months stand
--
-- Each figure is what was rolled up, less the months that do not hold at
-- clock(), plus the occurrences that the rollups do not answer for (32_rollup).
--

create view maintsched.compliance_monthly as
with correction as materialized (
	select f.calendar, f.month, sum(f.done) as done, sum(f.late) as late, sum(f.failed) as failed, sum(f.inconclusive) as inconclusive,
		sum(f.missed) as missed, sum(f.overdue) as overdue, sum(f.waived) as waived, sum(f.backdated) as backdated
	from (
		select t.calendar, v.month, -v.done as done, -v.late as late, -v.failed as failed,
			-v.inconclusive as inconclusive, -v.missed as missed, 0 as overdue, -v.waived as waived, -v.backdated as backdated
		from maintsched.void_months() v
		join maintsched.task t using (task_id)
		union all
		select t.calendar, maintsched.due_month(l.due_at, l.timezone),
			(l.status = 'done')::integer,
			(l.status = 'late')::integer,
			(l.status = 'failed')::integer,
			(l.status = 'inconclusive')::integer,
			(l.status = 'missed')::integer,
			(l.status = 'overdue')::integer,
			(l.status = 'waived')::integer,
			l.backdated::integer
		from maintsched.live_occurrence l
		join maintsched.task t using (task_id)
		where l.due_at <= maintsched.clock() and l.status <> 'withdrawn') f
	group by f.calendar, f.month
)
select s.calendar, s.month,
	s.done + s.late + s.failed + s.inconclusive + s.missed + s.overdue + s.waived as occurrences,
	s.done, s.late, s.failed, s.inconclusive, s.missed, s.overdue, s.waived, s.backdated,
	maintsched.on_time_rate(s.done, s.late, s.failed, s.inconclusive, s.missed, s.overdue) as on_time_rate
from (
	select r.calendar, r.month,
		r.done + coalesce(p.done, 0) as done,
		r.late + coalesce(p.late, 0) as late,
		r.failed + coalesce(p.failed, 0) as failed,
		r.inconclusive + coalesce(p.inconclusive, 0) as inconclusive,
		r.missed + coalesce(p.missed, 0) as missed,
		coalesce(p.overdue, 0) as overdue,
		r.waived + coalesce(p.waived, 0) as waived,
		r.backdated + coalesce(p.backdated, 0) as backdated
	from maintsched.calendar_month r
	left join correction p using (calendar, month)
	union all
	select p.calendar, p.month, p.done, p.late, p.failed, p.inconclusive, p.missed, p.overdue, p.waived, p.backdated
	from correction p
	where not exists (
		select
		from maintsched.calendar_month r
		where r.calendar = p.calendar and r.month = p.month)) s
where s.done + s.late + s.failed + s.inconclusive + s.missed + s.overdue + s.waived > 0;

comment on view maintsched.compliance_monthly is 'What became of the occurrences that fell due, per calendar and local month.';
comment on column maintsched.compliance_monthly.calendar is 'The calendar.';
comment on column maintsched.compliance_monthly.month is 'First day of the local month that the instant before due_at falls into.';
comment on column maintsched.compliance_monthly.occurrences is 'Occurrences that have fallen due; the parts add up to it.';
comment on column maintsched.compliance_monthly.done is 'Passed, effective before due_at.';
comment on column maintsched.compliance_monthly.late is 'Passed, effective before closes_at.';
comment on column maintsched.compliance_monthly.failed is 'Last completion fail or partial, or rejected by its review.';
comment on column maintsched.compliance_monthly.inconclusive is 'Last completion inconclusive.';
comment on column maintsched.compliance_monthly.missed is 'Not passed when it closed.';
comment on column maintsched.compliance_monthly.overdue is 'Not passed, and not closed yet.';
comment on column maintsched.compliance_monthly.waived is 'Covered by a waiver that was approved in time; outside the rate.';
comment on column maintsched.compliance_monthly.backdated is 'Of all these, whose completion claimed a time too far back.';
comment on column maintsched.compliance_monthly.on_time_rate is 'done / (done + late + failed + inconclusive + missed + overdue), 0 to 1; NULL: all are waived.';

create view maintsched.task_monthly as
select s.calendar, s.task, array_to_string(v.teams, '/') as team, v.cadence, s.month,
	s.done + s.late + s.failed + s.inconclusive + s.missed + s.overdue + s.waived as occurrences,
	s.done, s.late, s.failed, s.inconclusive, s.missed, s.overdue, s.waived, s.backdated,
	maintsched.on_time_rate(s.done, s.late, s.failed, s.inconclusive, s.missed, s.overdue) as on_time_rate
from (
	select f.calendar, f.task, f.task_id, f.month, max(f.version) as version,
		sum(f.done)::bigint as done, sum(f.late)::bigint as late, sum(f.failed)::bigint as failed, sum(f.inconclusive)::bigint as inconclusive, sum(f.missed)::bigint as missed, sum(f.overdue)::bigint as overdue, sum(f.waived)::bigint as waived, sum(f.backdated)::bigint as backdated
	from (
		select t.calendar, t.name as task, t.task_id, r.month, r.version,
			r.done, r.late, r.failed, r.inconclusive, r.missed, 0 as overdue, r.waived, r.backdated
		from maintsched.task_month r
		join maintsched.task t on t.task_id = r.task_id
		where not exists (
			select from maintsched.void_months() v
			where v.task_id = r.task_id and v.month = r.month)
		union all
		-- live_occurrence in its two parts, of which the first is found by task
		select t.calendar, t.name, t.task_id, maintsched.due_month(l.due_at, l.timezone), l.version,
			(l.status = 'done')::integer,
			(l.status = 'late')::integer,
			(l.status = 'failed')::integer,
			(l.status = 'inconclusive')::integer,
			(l.status = 'missed')::integer,
			(l.status = 'overdue')::integer,
			(l.status = 'waived')::integer,
			l.backdated::integer
		from maintsched.standing_occurrence l
		join maintsched.task t on t.task_id = l.task_id
		where l.due_at <= maintsched.clock() and l.status <> 'withdrawn'
		union all
		select t.calendar, t.name, t.task_id, maintsched.due_month(l.due_at, l.timezone), l.version,
			(l.status = 'done')::integer,
			(l.status = 'late')::integer,
			(l.status = 'failed')::integer,
			(l.status = 'inconclusive')::integer,
			(l.status = 'missed')::integer,
			(l.status = 'overdue')::integer,
			(l.status = 'waived')::integer,
			l.backdated::integer
		from maintsched.unsettled_occurrences() l
		join maintsched.task t on t.task_id = l.task_id
		where l.due_at <= maintsched.clock() and l.status <> 'withdrawn') f
	group by f.calendar, f.task, f.task_id, f.month) s
join maintsched.task_version v on v.task_id = s.task_id and v.version = s.version
where s.done + s.late + s.failed + s.inconclusive + s.missed + s.overdue + s.waived > 0;

comment on view maintsched.task_monthly is 'What became of the occurrences that fell due, per task and local month.';
comment on column maintsched.task_monthly.calendar is 'The calendar.';
comment on column maintsched.task_monthly.task is 'The task''s name.';
comment on column maintsched.task_monthly.team is 'The owners that the task had then, joined by /.';
comment on column maintsched.task_monthly.cadence is 'daily, weekly, monthly, quarterly, annual or other, as it was then.';
comment on column maintsched.task_monthly.month is 'First day of the local month that the instant before due_at falls into.';
comment on column maintsched.task_monthly.occurrences is 'Occurrences that have fallen due; the parts add up to it.';
comment on column maintsched.task_monthly.done is 'Passed, effective before due_at.';
comment on column maintsched.task_monthly.late is 'Passed, effective before closes_at.';
comment on column maintsched.task_monthly.failed is 'Last completion fail or partial, or rejected by its review.';
comment on column maintsched.task_monthly.inconclusive is 'Last completion inconclusive.';
comment on column maintsched.task_monthly.missed is 'Not passed when it closed.';
comment on column maintsched.task_monthly.overdue is 'Not passed, and not closed yet.';
comment on column maintsched.task_monthly.waived is 'Covered by a waiver that was approved in time; outside the rate.';
comment on column maintsched.task_monthly.backdated is 'Of all these, whose completion claimed a time too far back.';
comment on column maintsched.task_monthly.on_time_rate is 'done / (done + late + failed + inconclusive + missed + overdue), 0 to 1; NULL: all are waived.';

create view maintsched.control_monthly as
with correction as materialized (
	select f.framework, f.control, f.calendar, f.month, sum(f.done) as done, sum(f.late) as late, sum(f.failed) as failed, sum(f.inconclusive) as inconclusive,
		sum(f.missed) as missed, sum(f.overdue) as overdue, sum(f.waived) as waived, sum(f.backdated) as backdated
	from (
		select split_part(c, ' ', 1) as framework, substr(c, strpos(c, ' ') + 1) as control, t.calendar, v.month,
			-v.done as done, -v.late as late, -v.failed as failed,
			-v.inconclusive as inconclusive, -v.missed as missed, 0 as overdue, -v.waived as waived, -v.backdated as backdated
		from maintsched.void_months() v
		join maintsched.task t using (task_id)
		join maintsched.task_version d on d.task_id = v.task_id and d.version = v.version
		cross join lateral unnest(d.controls) c
		union all
		select split_part(c, ' ', 1), substr(c, strpos(c, ' ') + 1), t.calendar, maintsched.due_month(l.due_at, l.timezone),
			(l.status = 'done')::integer,
			(l.status = 'late')::integer,
			(l.status = 'failed')::integer,
			(l.status = 'inconclusive')::integer,
			(l.status = 'missed')::integer,
			(l.status = 'overdue')::integer,
			(l.status = 'waived')::integer,
			l.backdated::integer
		from maintsched.live_occurrence l
		join maintsched.task t using (task_id)
		join maintsched.task_version d on d.task_id = l.task_id and d.version = l.version
		cross join lateral unnest(d.controls) c
		where l.due_at <= maintsched.clock() and l.status <> 'withdrawn') f
	group by f.framework, f.control, f.calendar, f.month
)
select s.framework, s.control, s.calendar, s.month,
	s.done + s.late + s.failed + s.inconclusive + s.missed + s.overdue + s.waived as occurrences,
	s.done, s.late, s.failed, s.inconclusive, s.missed, s.overdue, s.waived, s.backdated,
	maintsched.on_time_rate(s.done, s.late, s.failed, s.inconclusive, s.missed, s.overdue) as on_time_rate
from (
	select r.framework, r.control, r.calendar, r.month,
		r.done + coalesce(p.done, 0) as done,
		r.late + coalesce(p.late, 0) as late,
		r.failed + coalesce(p.failed, 0) as failed,
		r.inconclusive + coalesce(p.inconclusive, 0) as inconclusive,
		r.missed + coalesce(p.missed, 0) as missed,
		coalesce(p.overdue, 0) as overdue,
		r.waived + coalesce(p.waived, 0) as waived,
		r.backdated + coalesce(p.backdated, 0) as backdated
	from maintsched.control_month r
	left join correction p using (framework, control, calendar, month)
	union all
	select p.framework, p.control, p.calendar, p.month, p.done, p.late, p.failed, p.inconclusive, p.missed, p.overdue, p.waived, p.backdated
	from correction p
	where not exists (
		select
		from maintsched.control_month r
		where r.framework = p.framework and r.control = p.control and r.calendar = p.calendar and r.month = p.month)) s
where s.framework = any (array(select k.name from maintsched.frameworks k where k.enabled))
and s.done + s.late + s.failed + s.inconclusive + s.missed + s.overdue + s.waived > 0;

comment on view maintsched.control_monthly is 'What became of the occurrences that fell due, per control that they were evidence for, calendar and local month. A task that serves several controls counts in each.';
comment on column maintsched.control_monthly.framework is 'The framework.';
comment on column maintsched.control_monthly.control is 'The control.';
comment on column maintsched.control_monthly.calendar is 'The calendar.';
comment on column maintsched.control_monthly.month is 'First day of the local month that the instant before due_at falls into.';
comment on column maintsched.control_monthly.occurrences is 'Occurrences that have fallen due; the parts add up to it.';
comment on column maintsched.control_monthly.done is 'Passed, effective before due_at.';
comment on column maintsched.control_monthly.late is 'Passed, effective before closes_at.';
comment on column maintsched.control_monthly.failed is 'Last completion fail or partial, or rejected by its review.';
comment on column maintsched.control_monthly.inconclusive is 'Last completion inconclusive.';
comment on column maintsched.control_monthly.missed is 'Not passed when it closed.';
comment on column maintsched.control_monthly.overdue is 'Not passed, and not closed yet.';
comment on column maintsched.control_monthly.waived is 'Covered by a waiver that was approved in time; outside the rate.';
comment on column maintsched.control_monthly.backdated is 'Of all these, whose completion claimed a time too far back.';
comment on column maintsched.control_monthly.on_time_rate is 'done / (done + late + failed + inconclusive + missed + overdue), 0 to 1; NULL: all are waived.';

create view maintsched.control_year as
with figure as (
	select r.framework, r.control, r.calendar,
		r.done, r.late, r.failed, r.inconclusive, r.missed, 0 as overdue
	from maintsched.control_month r
	join maintsched.calendar c on c.name = r.calendar
	join maintsched.zone_year z on z.zone = c.timezone
	where r.month >= z.since
	-- found by the index: since is the same in all zones but for a day
	and r.month >= (select min(y.since) from maintsched.zone_year y)
	union all
	select split_part(x, ' ', 1), substr(x, strpos(x, ' ') + 1), t.calendar,
		-v.done, -v.late, -v.failed, -v.inconclusive, -v.missed, 0
	from maintsched.void_months() v
	join maintsched.task t using (task_id)
	join maintsched.calendar c on c.name = t.calendar
	join maintsched.zone_year z on z.zone = c.timezone
	join maintsched.task_version d on d.task_id = v.task_id and d.version = v.version
	cross join lateral unnest(d.controls) x
	where v.month >= z.since
	union all
	select split_part(x, ' ', 1), substr(x, strpos(x, ' ') + 1), t.calendar,
		(l.status = 'done')::integer,
		(l.status = 'late')::integer,
		(l.status = 'failed')::integer,
		(l.status = 'inconclusive')::integer,
		(l.status = 'missed')::integer,
		(l.status = 'overdue')::integer
	from maintsched.live_occurrence l
	join maintsched.task t using (task_id)
	join maintsched.calendar c on c.name = t.calendar
	join maintsched.zone_year z on z.zone = c.timezone
	join maintsched.task_version d on d.task_id = l.task_id and d.version = l.version
	cross join lateral unnest(d.controls) x
	where l.due_at <= maintsched.clock()
	and maintsched.due_month(l.due_at, l.timezone) >= z.since
)
select f.framework, f.control, f.calendar,
	sum(f.done) as done, sum(f.late) as late, sum(f.failed) as failed, sum(f.inconclusive) as inconclusive, sum(f.missed) as missed, sum(f.overdue) as overdue
from figure f
group by f.framework, f.control, f.calendar;

comment on view maintsched.control_year is 'Internal: control_monthly of the current local month and the eleven before, of all frameworks.';
comment on column maintsched.control_year.framework is 'The framework.';
comment on column maintsched.control_year.control is 'The control.';
comment on column maintsched.control_year.calendar is 'The calendar.';
comment on column maintsched.control_year.done is 'Done in time in these months.';
comment on column maintsched.control_year.late is 'Done late in these months.';
comment on column maintsched.control_year.failed is 'Failed in these months.';
comment on column maintsched.control_year.inconclusive is 'Inconclusive in these months.';
comment on column maintsched.control_year.missed is 'Missed in these months.';
comment on column maintsched.control_year.overdue is 'Overdue in these months.';

create view maintsched.control_standing as
select k.framework, k.control, k.title, k."position", t.calendar, t.name as task, s.status, t.enabled,
	s.has_passed, s.last_done_at, s.last_outcome,
	case when t.enabled then s.next_due_at end as next_due_at
from maintsched.control k
join maintsched.frameworks f on f.name = k.framework and f.enabled
left join (
	maintsched.task t
	join maintsched.task_standing s on s.task_id = t.task_id
		-- what is done on demand only is not missing where nobody demanded it
		and not (s.status = 'not_started' and t.rule is null and t.rdate = '{}')
	cross join lateral unnest(t.controls) c(control))
on c.control = k.framework || ' ' || k.control and t.retired_at is null;

comment on view maintsched.control_standing is 'Internal: Every control of the frameworks that count, with the tasks in force that are evidence for it.';
comment on column maintsched.control_standing.framework is 'The framework.';
comment on column maintsched.control_standing.control is 'The control.';
comment on column maintsched.control_standing.title is 'What the clause is about.';
comment on column maintsched.control_standing.position is 'Order in the framework.';
comment on column maintsched.control_standing.calendar is 'The calendar of the task; NULL: no task.';
comment on column maintsched.control_standing.task is 'Its name.';
comment on column maintsched.control_standing.status is 'Status of the task.';
comment on column maintsched.control_standing.enabled is 'Whether the task is enabled.';
comment on column maintsched.control_standing.has_passed is 'Whether the task was ever passed.';
comment on column maintsched.control_standing.last_done_at is 'When the task was last carried out.';
comment on column maintsched.control_standing.last_outcome is 'With what outcome.';
comment on column maintsched.control_standing.next_due_at is 'When the task is due next.';

create view maintsched.control_tasks as
select s.framework, s.control, s.title, s.calendar, s.task, s.status, s.last_done_at, s.last_outcome, s.next_due_at,
	maintsched.status_rank(s.status) as status_rank
from maintsched.control_standing s
where s.calendar is not null
order by s.framework, s."position", status_rank, s.calendar, s.task;

comment on view maintsched.control_tasks is 'Why a control stands as it does: the tasks that are evidence for it, the worst first.';
comment on column maintsched.control_tasks.framework is 'The framework.';
comment on column maintsched.control_tasks.control is 'The citation.';
comment on column maintsched.control_tasks.title is 'What the clause is about.';
comment on column maintsched.control_tasks.calendar is 'The calendar of the task.';
comment on column maintsched.control_tasks.task is 'The task''s name.';
comment on column maintsched.control_tasks.status is 'Status of the task.';
comment on column maintsched.control_tasks.last_done_at is 'When it was last carried out; NULL: never recorded.';
comment on column maintsched.control_tasks.last_outcome is 'With what outcome.';
comment on column maintsched.control_tasks.next_due_at is 'When it is due next.';
comment on column maintsched.control_tasks.status_rank is 'For sorting, the worst first.';

create view maintsched.compliance_status as
select k.framework, k.control, k.title, v.status,
	v.status in ('compliant', 'due', 'waived') and s.evidenced as ok,
	coalesce(s.tasks, 0) as tasks, coalesce(s.compliant, 0) as compliant, coalesce(s.due, 0) as due, coalesce(s.overdue, 0) as overdue, coalesce(s.failing, 0) as failing, coalesce(s.unknown, 0) as unknown, coalesce(s.waived, 0) as waived, coalesce(s.not_started, 0) as not_started, coalesce(s.disabled, 0) as disabled,
	s.last_evidence_at, s.next_due_at, r.on_time_rate,
	maintsched.status_rank(v.status) as status_rank
from maintsched.control k
join maintsched.frameworks f on f.name = k.framework and f.enabled
left join (
	select s.framework, s.control, count(*) as tasks,
		count(*) filter (where s.status = 'compliant') as compliant,
		count(*) filter (where s.status = 'due') as due,
		count(*) filter (where s.status = 'overdue') as overdue,
		count(*) filter (where s.status = 'failing') as failing,
		count(*) filter (where s.status = 'unknown') as unknown,
		count(*) filter (where s.status = 'waived') as waived,
		count(*) filter (where s.status = 'not_started') as not_started,
		count(*) filter (where s.status = 'disabled') as disabled,
		bool_and(s.has_passed) filter (where s.enabled) as evidenced,
		max(s.last_done_at) filter (where s.enabled) as last_evidence_at,
		min(s.next_due_at) as next_due_at
	from maintsched.control_standing s
	where s.calendar is not null
	group by s.framework, s.control) s on s.framework = k.framework and s.control = k.control
left join (
	select m.framework, m.control,
		maintsched.on_time_rate(sum(m.done)::bigint, sum(m.late)::bigint, sum(m.failed)::bigint,
			sum(m.inconclusive)::bigint, sum(m.missed)::bigint, sum(m.overdue)::bigint) as on_time_rate
	from maintsched.control_year m
	group by m.framework, m.control) r on r.framework = k.framework and r.control = k.control
cross join lateral (
	select case
		when s.failing > 0 then 'failing'
		when s.overdue > 0 then 'overdue'
		when s.unknown > 0 then 'unknown'
		when s.tasks - s.disabled > 0 then case
			when s.due > 0 then 'due'
			when s.not_started > 0 then 'not_started'
			when s.waived > 0 then 'waived'
			else 'compliant'
		end
		else 'not_covered'
	end as status) v
order by k.framework, k."position";

comment on view maintsched.compliance_status is 'How every control of the frameworks that count stands at clock(): the worst of its tasks.';
comment on column maintsched.compliance_status.framework is 'The framework.';
comment on column maintsched.compliance_status.control is 'The citation.';
comment on column maintsched.compliance_status.title is 'What the clause is about.';
comment on column maintsched.compliance_status.status is 'failing, overdue, unknown, not_covered (no enabled task), due, not_started, waived or compliant: the worst of its enabled tasks.';
comment on column maintsched.compliance_status.ok is 'Whether it is compliant, due or waived, and every enabled task has been passed at least once: a failure under a waiver is no evidence.';
comment on column maintsched.compliance_status.tasks is 'Tasks in force that are evidence for it, without those that have no rule and were never called for; the next eight add up to it.';
comment on column maintsched.compliance_status.compliant is 'Of these, compliant.';
comment on column maintsched.compliance_status.due is 'Of these, due.';
comment on column maintsched.compliance_status.overdue is 'Of these, overdue.';
comment on column maintsched.compliance_status.failing is 'Of these, failing.';
comment on column maintsched.compliance_status.unknown is 'Of these, unknown.';
comment on column maintsched.compliance_status.waived is 'Of these, waived.';
comment on column maintsched.compliance_status.not_started is 'Of these, not started.';
comment on column maintsched.compliance_status.disabled is 'Of these, disabled.';
comment on column maintsched.compliance_status.last_evidence_at is 'When an enabled one of them was last carried out.';
comment on column maintsched.compliance_status.next_due_at is 'When the next one is due.';
comment on column maintsched.compliance_status.on_time_rate is 'Done in time / fallen due and not waived, 0 to 1, over the current local month and the eleven before, of all occurrences that were evidence for it; NULL: none fell due.';
comment on column maintsched.compliance_status.status_rank is 'For sorting, the worst first.';

create view maintsched.compliance_by_calendar as
select c.name as calendar, k.framework, k.control, k.title, v.status,
	v.status in ('compliant', 'due', 'waived') and s.evidenced as ok,
	coalesce(s.tasks, 0) as tasks, coalesce(s.compliant, 0) as compliant, coalesce(s.due, 0) as due, coalesce(s.overdue, 0) as overdue, coalesce(s.failing, 0) as failing, coalesce(s.unknown, 0) as unknown, coalesce(s.waived, 0) as waived, coalesce(s.not_started, 0) as not_started, coalesce(s.disabled, 0) as disabled,
	s.last_evidence_at, s.next_due_at, r.on_time_rate,
	maintsched.status_rank(v.status) as status_rank
from maintsched.calendar c
cross join maintsched.control k
join maintsched.frameworks f on f.name = k.framework and f.enabled
left join (
	select s.framework, s.control, s.calendar, count(*) as tasks,
		count(*) filter (where s.status = 'compliant') as compliant,
		count(*) filter (where s.status = 'due') as due,
		count(*) filter (where s.status = 'overdue') as overdue,
		count(*) filter (where s.status = 'failing') as failing,
		count(*) filter (where s.status = 'unknown') as unknown,
		count(*) filter (where s.status = 'waived') as waived,
		count(*) filter (where s.status = 'not_started') as not_started,
		count(*) filter (where s.status = 'disabled') as disabled,
		bool_and(s.has_passed) filter (where s.enabled) as evidenced,
		max(s.last_done_at) filter (where s.enabled) as last_evidence_at,
		min(s.next_due_at) as next_due_at
	from maintsched.control_standing s
	where s.calendar is not null
	group by s.framework, s.control, s.calendar) s on s.framework = k.framework and s.control = k.control and s.calendar = c.name
left join (
	select m.framework, m.control, m.calendar,
		maintsched.on_time_rate(sum(m.done)::bigint, sum(m.late)::bigint, sum(m.failed)::bigint,
			sum(m.inconclusive)::bigint, sum(m.missed)::bigint, sum(m.overdue)::bigint) as on_time_rate
	from maintsched.control_year m
	group by m.framework, m.control, m.calendar) r on r.framework = k.framework and r.control = k.control and r.calendar = c.name
cross join lateral (
	select case
		when s.failing > 0 then 'failing'
		when s.overdue > 0 then 'overdue'
		when s.unknown > 0 then 'unknown'
		when s.tasks - s.disabled > 0 then case
			when s.due > 0 then 'due'
			when s.not_started > 0 then 'not_started'
			when s.waived > 0 then 'waived'
			else 'compliant'
		end
		else 'not_covered'
	end as status) v
order by c.name, k.framework, k."position";

comment on view maintsched.compliance_by_calendar is 'compliance_status per calendar: a control that no task of the calendar serves is not_covered there.';
comment on column maintsched.compliance_by_calendar.calendar is 'The calendar.';
comment on column maintsched.compliance_by_calendar.framework is 'The framework.';
comment on column maintsched.compliance_by_calendar.control is 'The citation.';
comment on column maintsched.compliance_by_calendar.title is 'What the clause is about.';
comment on column maintsched.compliance_by_calendar.status is 'failing, overdue, unknown, not_covered (no enabled task), due, not_started, waived or compliant: the worst of its enabled tasks.';
comment on column maintsched.compliance_by_calendar.ok is 'Whether it is compliant, due or waived, and every enabled task has been passed at least once: a failure under a waiver is no evidence.';
comment on column maintsched.compliance_by_calendar.tasks is 'Tasks in force that are evidence for it, without those that have no rule and were never called for; the next eight add up to it.';
comment on column maintsched.compliance_by_calendar.compliant is 'Of these, compliant.';
comment on column maintsched.compliance_by_calendar.due is 'Of these, due.';
comment on column maintsched.compliance_by_calendar.overdue is 'Of these, overdue.';
comment on column maintsched.compliance_by_calendar.failing is 'Of these, failing.';
comment on column maintsched.compliance_by_calendar.unknown is 'Of these, unknown.';
comment on column maintsched.compliance_by_calendar.waived is 'Of these, waived.';
comment on column maintsched.compliance_by_calendar.not_started is 'Of these, not started.';
comment on column maintsched.compliance_by_calendar.disabled is 'Of these, disabled.';
comment on column maintsched.compliance_by_calendar.last_evidence_at is 'When an enabled one of them was last carried out.';
comment on column maintsched.compliance_by_calendar.next_due_at is 'When the next one is due.';
comment on column maintsched.compliance_by_calendar.on_time_rate is 'Done in time / fallen due and not waived, 0 to 1, over the current local month and the eleven before, of all occurrences that were evidence for it; NULL: none fell due.';
comment on column maintsched.compliance_by_calendar.status_rank is 'For sorting, the worst first.';

create view maintsched.team_workload as
select w.calendar, w.team,
	count(*) filter (where w.status in ('due', 'failed', 'inconclusive')) as due,
	count(*) filter (where w.status = 'overdue') as overdue,
	count(*) filter (where w.opens_at < maintsched.clock() + interval '168 hours' and w.status = 'scheduled') as next_7_days,
	count(*) filter (where w.status = 'scheduled') as next_30_days,
	coalesce(sum(w.effort_minutes), 0)::bigint as effort_minutes_30_days
from (
	select t.calendar, m.team, l.status, l.opens_at, extract(epoch from v.effort)::bigint / 60 as effort_minutes
	from maintsched.live_occurrence l
	join maintsched.task t on t.task_id = l.task_id
	join maintsched.task_version v on v.task_id = l.task_id and v.version = l.version
	cross join lateral unnest(v.teams) m(team)
	where l.status in ('due', 'overdue', 'failed', 'inconclusive')
	and (l.closes_at is null or l.closes_at > maintsched.clock())
	and t.enabled and t.retired_at is null
	union all
	select t.calendar, m.team, 'scheduled', o.opens_at, extract(epoch from v.effort)::bigint / 60
	from maintsched.occurrence o
	join maintsched.task t on t.task_id = o.task_id
	join maintsched.task_version v on v.task_id = o.task_id and v.version = o.version
	cross join lateral unnest(v.teams) m(team)
	where o.opens_at > maintsched.clock()
	and o.opens_at < maintsched.clock() + interval '720 hours'
	and (o.withdrawn_at is null or o.withdrawn_at > maintsched.clock())
	and t.enabled and t.retired_at is null) w
where (select maintsched.planning_ends())
group by w.calendar, w.team;

comment on view maintsched.team_workload is 'What each team has open, and what opens for it in the next 7 and 30 days. What belongs to two teams counts for both.';
comment on column maintsched.team_workload.calendar is 'The calendar.';
comment on column maintsched.team_workload.team is 'The team.';
comment on column maintsched.team_workload.due is 'Open and not overdue: due, failed or inconclusive.';
comment on column maintsched.team_workload.overdue is 'Open and overdue.';
comment on column maintsched.team_workload.next_7_days is 'Opens within 7 days.';
comment on column maintsched.team_workload.next_30_days is 'Opens within 30 days.';
comment on column maintsched.team_workload.effort_minutes_30_days is 'Working time in minutes of what is open and what opens within 30 days.';
