--
-- 37_status: how tasks stand, what changed, when windows open
--

create view maintsched.task_status as
select t.calendar, t.name as task, t.title, t.cadence,
	array_to_string(t.teams, '/') as team, t.kind, t.routine, s.status,
	s.last_done_at, s.last_outcome,
	s.next_opens_at, s.next_due_at,
	null::timestamptz as next_run_at,
	null::text as waits_for,
	s.open_count,
	maintsched.on_time_rate(y.done, y.late, y.failed, y.inconclusive, y.missed, y.overdue) as on_time_rate,
	coalesce(y.late, 0)::bigint as late_12m,
	coalesce(y.missed, 0)::bigint as missed_12m,
	maintsched.status_rank(s.status) as status_rank
from maintsched.task t
join maintsched.task_standing s on s.task_id = t.task_id
left join maintsched.task_year y on y.task_id = t.task_id
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
