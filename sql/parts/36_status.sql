--
-- 36_status: how tasks stand, what changed, when windows open
--

create function maintsched.owed_states() returns setof maintsched.task_state
language plpgsql stable security definer rows 10
set search_path = pg_catalog, pg_temp
as $$
begin
	if exists (select from maintsched.rollup_owed) then
		return query
			select owed.task_id, s.settled_at, max(m.passed_at), max(m.failed_at), max(m.inconclusive_at),
				max(m.waived_at), max(m.missed_due_at), max(m.done_at),
				(array_agg(m.outcome order by m.done_at desc nulls last))[1], null::bigint, null::date,
				null::integer, null::integer, null::integer, null::integer, null::integer
			from (select distinct w.task_id from maintsched.rollup_owed w) owed
			join maintsched.task_state s on s.task_id = owed.task_id
			left join maintsched.task_month m on m.task_id = owed.task_id
				and not exists (
					select from maintsched.rollup_owed w
					where w.task_id = m.task_id and w.month = m.month)
			group by owed.task_id, s.settled_at;
	end if;
end
$$;

comment on function maintsched.owed_states() is
'Internal: task_state of the tasks of which a month is owed, from the months that hold.';

create view maintsched.closed_state as
select s.*
from maintsched.task_state s
where s.settled_at <= maintsched.clock()
and not exists (select from maintsched.rollup_owed w where w.task_id = s.task_id)
union all
select s.*
from maintsched.owed_states() s
where s.settled_at <= maintsched.clock();

comment on view maintsched.closed_state is 'Internal: The newest verdicts among the closed occurrences of each task that live_occurrence does not hold.';
comment on column maintsched.closed_state.task_id is 'The task.';
comment on column maintsched.closed_state.settled_at is 'From this clock() on it holds.';
comment on column maintsched.closed_state.passed_at is 'Newest pass.';
comment on column maintsched.closed_state.failed_at is 'Newest failure or miss.';
comment on column maintsched.closed_state.inconclusive_at is 'Newest inconclusive one.';
comment on column maintsched.closed_state.waived_at is 'due_at of the newest waived one.';
comment on column maintsched.closed_state.missed_due_at is 'due_at of the newest missed one.';
comment on column maintsched.closed_state.done_at is 'Newest completion that counts.';
comment on column maintsched.closed_state.outcome is 'Its outcome.';
comment on column maintsched.closed_state.missed_run is 'Missed ones that were due after passed_at; NULL: not known.';
comment on column maintsched.closed_state.year_since is 'First of the twelve months that the following sum up; NULL: not known.';
comment on column maintsched.closed_state.year_done is 'Done in time in these months.';
comment on column maintsched.closed_state.year_late is 'Done late in these months.';
comment on column maintsched.closed_state.year_failed is 'Failed in these months.';
comment on column maintsched.closed_state.year_inconclusive is 'Inconclusive in these months.';
comment on column maintsched.closed_state.year_missed is 'Missed in these months.';

create view maintsched.task_standing as
with live as (
	select l.task_id,
		max(l.effective_at) filter (where l.passed and l.status <> 'waived') as passed_at,
		max(case when l.status = 'missed' then l.closes_at - interval '1 microsecond' else l.judged_at end)
			filter (where l.status = 'failed' or (l.status = 'missed' and not l.passed)) as failed_at,
		max(l.judged_at) filter (where l.status = 'inconclusive') as inconclusive_at,
		max(l.due_at) filter (where l.status = 'waived') as waived_at,
		bool_or(l.status = 'waived') filter (where is_open) as is_waived,
		bool_or(l.status = 'overdue') as is_overdue,
		bool_or(l.status = 'due') as is_due,
		count(*) filter (where is_open and l.status in ('due', 'overdue', 'failed', 'inconclusive')) as open_count,
		min(l.due_at) filter (where l.due_at > maintsched.clock()
			and l.status in ('due', 'failed', 'inconclusive')) as next_due_at,
		max(l.effective_at) as done_at,
		max(l.effective_at) filter (where l.outcome = 'fail') as fail_at,
		max(l.effective_at) filter (where l.outcome = 'partial') as partial_at,
		max(l.effective_at) filter (where l.outcome = 'inconclusive') as unsure_at,
		array_agg(l.due_at) filter (where l.status = 'missed' and not l.closed) as missed_due,
		-- of the current local month and the eleven before
		count(*) filter (where l.status = 'done' and l.due_at <= maintsched.clock()
			and maintsched.due_month(l.due_at, l.timezone) >= z.since) as year_done,
		count(*) filter (where l.status = 'late' and l.due_at <= maintsched.clock()
			and maintsched.due_month(l.due_at, l.timezone) >= z.since) as year_late,
		count(*) filter (where l.status = 'failed' and l.due_at <= maintsched.clock()
			and maintsched.due_month(l.due_at, l.timezone) >= z.since) as year_failed,
		count(*) filter (where l.status = 'inconclusive' and l.due_at <= maintsched.clock()
			and maintsched.due_month(l.due_at, l.timezone) >= z.since) as year_inconclusive,
		count(*) filter (where l.status = 'missed' and l.due_at <= maintsched.clock()
			and maintsched.due_month(l.due_at, l.timezone) >= z.since) as year_missed,
		count(*) filter (where l.status = 'overdue' and l.due_at <= maintsched.clock()
			and maintsched.due_month(l.due_at, l.timezone) >= z.since) as year_overdue
	from maintsched.live_occurrence l
	join maintsched.task t on t.task_id = l.task_id
	join maintsched.calendar c on c.name = t.calendar
	join maintsched.zone_year z on z.zone = coalesce(t.timezone, c.timezone)
	cross join lateral (select l.closes_at is null or l.closes_at > maintsched.clock()) o(is_open)
	where l.status <> 'withdrawn'
	group by l.task_id
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
	n.passed_at is not null as has_passed,
	n.done_at as last_done_at,
	case
		when n.done_at is distinct from live.done_at then closed.outcome
		when live.done_at = live.fail_at then 'fail'
		when live.done_at = live.unsure_at then 'inconclusive'
		when live.done_at = live.partial_at then 'partial'
		when live.done_at is not null then 'pass'
	end as last_outcome,
	coalesce(live.open_count, 0) as open_count,
	least(live.next_due_at, case when known.holds then plan.next_due_at else next.due_at end) as next_due_at,
	case when known.holds then plan.next_opens_at else next.opens_at end as next_opens_at,
	coalesce((
		select count(*) from unnest(live.missed_due) m(due_at)
		where m.due_at > coalesce(n.passed_at, '-infinity')), 0)
	+ case
		when closed.missed_run is null then maintsched.missed_since(t.task_id, n.passed_at)
		when n.passed_at is not distinct from closed.passed_at then closed.missed_run
		when closed.missed_due_at is null or closed.missed_due_at <= n.passed_at then 0
		else maintsched.missed_since(t.task_id, n.passed_at)
	end as missed_before,
	closed.year_since,
	closed.year_done as closed_done,
	closed.year_late as closed_late,
	closed.year_failed as closed_failed,
	closed.year_inconclusive as closed_inconclusive,
	closed.year_missed as closed_missed,
	coalesce(live.year_done, 0) as live_done,
	coalesce(live.year_late, 0) as live_late,
	coalesce(live.year_failed, 0) as live_failed,
	coalesce(live.year_inconclusive, 0) as live_inconclusive,
	coalesce(live.year_missed, 0) as live_missed,
	coalesce(live.year_overdue, 0) as live_overdue
from maintsched.task t
join maintsched.calendar c on c.name = t.calendar
left join maintsched.task_plan plan on plan.task_id = t.task_id
left join live on live.task_id = t.task_id
left join maintsched.closed_state closed on closed.task_id = t.task_id
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
cross join lateral (
	select coalesce(plan.next_known_at <= maintsched.clock() and plan.next_opens_at > maintsched.clock(), false) as holds) known
left join lateral (
	select o.opens_at, o.due_at
	from maintsched.occurrence o
	where not known.holds
	and o.task_id = t.task_id and o.opens_at > maintsched.clock()
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
comment on column maintsched.task_standing.has_passed is 'Whether it was ever passed, outside of waived occurrences.';
comment on column maintsched.task_standing.last_done_at is 'Newest completion that counts.';
comment on column maintsched.task_standing.last_outcome is 'Its outcome.';
comment on column maintsched.task_standing.open_count is 'Open occurrences that are not passed.';
comment on column maintsched.task_standing.next_due_at is 'The next time at which one that is not passed falls due.';
comment on column maintsched.task_standing.next_opens_at is 'When the next one opens.';
comment on column maintsched.task_standing.missed_before is 'Missed ones that were due after the newest pass.';
comment on column maintsched.task_standing.year_since is 'First of the twelve months that the next five sum up.';
comment on column maintsched.task_standing.closed_done is 'Of the rolled up ones in these months: done.';
comment on column maintsched.task_standing.closed_late is 'Of the rolled up ones in these months: late.';
comment on column maintsched.task_standing.closed_failed is 'Of the rolled up ones in these months: failed.';
comment on column maintsched.task_standing.closed_inconclusive is 'Of the rolled up ones in these months: inconclusive.';
comment on column maintsched.task_standing.closed_missed is 'Of the rolled up ones in these months: missed.';
comment on column maintsched.task_standing.live_done is 'Of the others in the current local month and the eleven before: done.';
comment on column maintsched.task_standing.live_late is 'Of the others in the current local month and the eleven before: late.';
comment on column maintsched.task_standing.live_failed is 'Of the others in the current local month and the eleven before: failed.';
comment on column maintsched.task_standing.live_inconclusive is 'Of the others in the current local month and the eleven before: inconclusive.';
comment on column maintsched.task_standing.live_missed is 'Of the others in the current local month and the eleven before: missed.';
comment on column maintsched.task_standing.live_overdue is 'Of the others in the current local month and the eleven before: overdue.';

create function maintsched.other_years() returns table (
	task_id bigint, since date, done bigint, late bigint, failed bigint, inconclusive bigint, missed bigint)
language plpgsql stable security definer rows 10
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	others constant bigint[] := array(
		select t.task_id
		from maintsched.task t
		join maintsched.calendar c on c.name = t.calendar
		join maintsched.zone_year z on z.zone = coalesce(t.timezone, c.timezone)
		left join maintsched.closed_state s on s.task_id = t.task_id and s.year_since = z.since
		where s.task_id is null);
begin
	if cardinality(others) > 0 then
		return query
			select t.task_id, z.since, sum(r.done), sum(r.late), sum(r.failed), sum(r.inconclusive), sum(r.missed)
			from maintsched.task t
			join maintsched.calendar c on c.name = t.calendar
			join maintsched.zone_year z on z.zone = coalesce(t.timezone, c.timezone)
			join maintsched.task_month r on r.task_id = t.task_id and r.month >= z.since
			where t.task_id = any (others)
			and not exists (
				select from maintsched.void_months() v
				where v.task_id = r.task_id and v.month = r.month)
			group by t.task_id, z.since;
	end if;
end
$$;

comment on function maintsched.other_years() is
'Internal: The sums of the current local month and the eleven before of the tasks for which task_state has none that hold.';

create view maintsched.task_status as
select t.calendar, t.name as task, t.title, t.cadence,
	array_to_string(t.teams, '/') as team, t.kind, t.routine, s.status,
	s.last_done_at, s.last_outcome,
	s.next_opens_at, s.next_due_at,
	k.next_run_at,
	k.waits_for,
	s.open_count,
	maintsched.on_time_rate(y.done, y.late, y.failed, y.inconclusive, y.missed, y.overdue) as on_time_rate,
	coalesce(y.late, 0)::bigint as late_12m,
	coalesce(y.missed, 0)::bigint as missed_12m,
	maintsched.status_rank(s.status) as status_rank
from maintsched.task t
join maintsched.task_standing s on s.task_id = t.task_id
join maintsched.zone_year z on z.zone = s.zone
left join maintsched.other_years() o on o.task_id = t.task_id
left join maintsched.run_outlook() k on k.task_id = t.task_id
cross join lateral (
	select coalesce(case when s.year_since = z.since then s.closed_done else o.done end, 0) + s.live_done as done,
		coalesce(case when s.year_since = z.since then s.closed_late else o.late end, 0) + s.live_late as late,
		coalesce(case when s.year_since = z.since then s.closed_failed else o.failed end, 0) + s.live_failed as failed,
		coalesce(case when s.year_since = z.since then s.closed_inconclusive else o.inconclusive end, 0) + s.live_inconclusive as inconclusive,
		coalesce(case when s.year_since = z.since then s.closed_missed else o.missed end, 0) + s.live_missed as missed,
		s.live_overdue as overdue) y
where t.retired_at is null;

comment on view maintsched.task_status is 'How every task in force stands at clock().';
comment on column maintsched.task_status.calendar is 'The calendar.';
comment on column maintsched.task_status.task is 'The task''s name.';
comment on column maintsched.task_status.title is 'The name for people.';
comment on column maintsched.task_status.cadence is 'daily, weekly, monthly, quarterly, annual or other.';
comment on column maintsched.task_status.team is 'The owners, joined by ''/''.';
comment on column maintsched.task_status.kind is 'manual, routine or external.';
comment on column maintsched.task_status.routine is 'What the database does.';
comment on column maintsched.task_status.status is 'disabled, unknown (planning has ended), failing, overdue, due, waived, compliant or not_started: the first that holds.';
comment on column maintsched.task_status.last_done_at is 'When it was last carried out; NULL: never recorded.';
comment on column maintsched.task_status.last_outcome is 'Outcome of the last completion.';
comment on column maintsched.task_status.next_opens_at is 'When the next occurrence opens.';
comment on column maintsched.task_status.next_due_at is 'The next time at which one falls due, open ones included.';
comment on column maintsched.task_status.next_run_at is 'When the database does it next; NULL: not by itself.';
comment on column maintsched.task_status.waits_for is 'What it waits for, such as a window.';
comment on column maintsched.task_status.open_count is 'Occurrences that are open.';
comment on column maintsched.task_status.on_time_rate is 'Done in time / fallen due, 0 to 1, over the current local month and the eleven before; NULL: none fell due.';
comment on column maintsched.task_status.late_12m is 'Done late in the same time.';
comment on column maintsched.task_status.missed_12m is 'Missed in the same time.';
comment on column maintsched.task_status.status_rank is 'For sorting, the worst first.';

create view maintsched.calendar_history as
select h.calendar, coalesce(t.name, h.task) as task, h.changed_at, h.changed_by,
	h.field, h.old, h.new, h.reason
from maintsched.calendar_change h
left join maintsched.task t on t.task_id = h.task_id
order by h.change_id;

comment on view maintsched.calendar_history is 'Who changed what in a calendar, when and why.';
comment on column maintsched.calendar_history.calendar is 'The calendar.';
comment on column maintsched.calendar_history.task is 'The task, by its present name; NULL for the calendar itself.';
comment on column maintsched.calendar_history.changed_at is 'clock() of the change.';
comment on column maintsched.calendar_history.changed_by is 'Session user of the change.';
comment on column maintsched.calendar_history.field is 'The field, or added, retired, installed, window ..., team ...';
comment on column maintsched.calendar_history.old is 'What it was.';
comment on column maintsched.calendar_history.new is 'What it became.';
comment on column maintsched.calendar_history.reason is 'Why, where given.';

create function maintsched.window_close(local_start timestamp, duration interval, zone text) returns timestamptz
language sql stable parallel safe
return maintsched.to_instant(
		local_start + make_interval(
			months => (extract(year from duration) * 12 + extract(month from duration))::integer,
			days => extract(day from duration)::integer),
		zone)
	+ make_interval(
		hours => extract(hour from duration)::integer,
		mins => extract(minute from duration)::integer,
		secs => extract(second from duration)::double precision);

comment on function maintsched.window_close(timestamp, interval, text) is
'Internal: When a window closes: days of the duration in local time, hours and minutes elapsed (RFC 5545 section 3.3.6).';

create view maintsched.window_schedule as
select w.calendar, w.name as window_name, w.title, w.change_class,
	o.starts_at as opens_at, c.closes_at,
	maintsched.start_text(o.starts_at, w.zone) as opens_local,
	w.zone as timezone,
	o.starts_at <= maintsched.clock() as open_now
from (
	select m.*, coalesce(m.timezone, k.timezone) as zone
	from maintsched.maintenance_window m
	join maintsched.calendar k on k.name = m.calendar
	where m.rule is not null) w
cross join lateral maintsched.instances(w.rule, w.starts_on, w.zone,
	maintsched.clock() - w.duration - interval '48 hours',
	maintsched.clock() + interval '720 hours', 10000) o
cross join lateral (
	select maintsched.window_close(o.local_start, w.duration, w.zone) as closes_at) c
where c.closes_at > maintsched.clock()
order by o.starts_at, w.calendar, w."position";

comment on view maintsched.window_schedule is 'Maintenance windows that are open or open in the next 30 days.';
comment on column maintsched.window_schedule.calendar is 'The calendar that brought it.';
comment on column maintsched.window_schedule.window_name is 'Its name.';
comment on column maintsched.window_schedule.title is 'The name for people.';
comment on column maintsched.window_schedule.change_class is 'minor, major, critical, or blackout (nothing runs).';
comment on column maintsched.window_schedule.opens_at is 'When it opens.';
comment on column maintsched.window_schedule.closes_at is 'When it closes.';
comment on column maintsched.window_schedule.opens_local is 'opens_at in the zone of the window.';
comment on column maintsched.window_schedule.timezone is 'IANA zone of the window.';
comment on column maintsched.window_schedule.open_now is 'Whether it is open at clock().';
