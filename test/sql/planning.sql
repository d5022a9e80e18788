-- Planning: how far, how many, what happens when nobody plans.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set maintsched.now = '2026-04-06 12:00+00';
select maintsched.install_calendar('smartmed');
select maintsched.install_calendar('astral-core');
reset client_min_messages;

-- 90 days ahead, at least the next one.
select max(opens_at) filter (where cadence = 'daily') < maintsched.clock() + interval '90 days' as within,
	max(opens_at) filter (where cadence = 'daily') > maintsched.clock() + interval '88 days' as far_enough
from maintsched.occurrence join maintsched.task using (task_id);
select t.name, min(o.opens_at) as next from maintsched.task t left join maintsched.occurrence o
	on o.task_id = t.task_id and o.opens_at > maintsched.clock()
where t.cadence = 'annual' group by 1 order by 1;
-- The running quarter is due, the last one is not missed.
select count(*) from maintsched.occurrence where due_at <= maintsched.clock();
select status, count(*) from maintsched.task_status group by 1 order by 1;
select item, status, detail from maintsched.health where scope = 'maintsched' order by 1;

-- Planning again changes nothing, and keeps the ids.
create temp table before as select * from maintsched.occurrence;
select maintsched.tick();
select count(maintsched.plan_task(task_id)) from maintsched.task;
select count(*) from (select * from before except select * from maintsched.occurrence) x;
select count(*) from (select * from maintsched.occurrence except select * from before) x;

-- Two years ahead, and nobody called tick(): every task unknown, nothing
-- green, nothing silently empty.
set maintsched.now = '2028-04-06 12:00+00';
select status, count(*) from maintsched.task_status group by 1;
select status, count(*), count(occurrence_id) from maintsched.due_tasks group by 1;
select count(*) from maintsched.today where due = 'unknown';
select count(*) from maintsched.upcoming_tasks;
select item, status, detail, hint from maintsched.health where scope = 'maintsched' order by 1;

-- tick() plans what should have been: the two years are there, as missed.
set maintsched.now = '2026-11-21 12:00+00';
select maintsched.tick();
set client_min_messages = error;
select status, count(*) from maintsched.task_status where status in ('unknown', 'compliant', 'done') group by 1;
reset client_min_messages;
select count(*), min(opens_at), max(opens_at) from maintsched.occurrence o join maintsched.task t using (task_id)
where t.calendar = 'smartmed' and t.name = 'check-system-health' and o.opens_at <= maintsched.clock();
select status, count(*) from maintsched.occurrence_status
where calendar = 'smartmed' and task = 'check-system-health' and opens_at <= maintsched.clock() group by 1 order by 1;
select missed_before from maintsched.due_tasks where calendar = 'smartmed' and task = 'check-system-health';
-- No gap and no double between the old planning and the new.
select count(*) from (
	select local_start - lag(local_start) over (order by local_start) as step
	from maintsched.occurrence o join maintsched.task t using (task_id)
	where t.calendar = 'smartmed' and t.name = 'check-system-health') s
where step <> interval '1 day';

-- At most 1,000 ahead; half of it later it is planned again.
select maintsched.add_task('smartmed', 'minutely', 'FREQ=MINUTELY', due_within => '30 s') > 0 as added;
select count(*) <= 1000 as bounded, count(*) > 900 as enough, min(opens_at) from maintsched.occurrence o join maintsched.task t using (task_id)
where t.name = 'minutely' and o.opens_at > maintsched.clock();
select status from maintsched.task_status where task = 'minutely';
set maintsched.now = '2026-11-22 12:00+00';
select status from maintsched.task_status where task = 'minutely';
update maintsched.task set title = 'Every minute' where name = 'minutely';
select maintsched.tick(), maintsched.tick();
select status from maintsched.task_status where task = 'minutely';
select count(*) filter (where step <> interval '1 minute') from (
	select local_start - lag(local_start) over (order by local_start) as step
	from maintsched.occurrence o join maintsched.task t using (task_id) where t.name = 'minutely') s;

-- The horizon is a setting.
set maintsched.horizon = '10 d';
select maintsched.add_task('smartmed', 'short', 'FREQ=DAILY') > 0 as added;
select count(*) from maintsched.occurrence o join maintsched.task t using (task_id) where t.name = 'short' and o.opens_at > maintsched.clock();
\set VERBOSITY sqlstate
set maintsched.horizon = '1 h';
\set VERBOSITY default
reset maintsched.horizon;

-- A simulated tick closes nothing; a real one does, and status does not depend on it.
select count(*) from maintsched.occurrence where closed_at is not null;
create temp table status_before as select occurrence_id, status from maintsched.occurrence_status;
reset maintsched.now;
select maintsched.tick();
select count(*) > 0 as closed, bool_and(closed_at >= closes_at) as after_closing from maintsched.occurrence where closed_at is not null;
set maintsched.now = '2026-11-22 12:00+00';
select count(*) from status_before b join maintsched.occurrence_status s using (occurrence_id) where s.status <> b.status;

-- A task of which nobody knows how far it is planned is unknown, not absent.
delete from maintsched.task_plan p using maintsched.task t where t.task_id = p.task_id and t.name = 'dr-drill';
select status from maintsched.task_status where task = 'dr-drill';
select task, status, opens_at from maintsched.due_tasks where task = 'dr-drill' and status = 'unknown';
select status from maintsched.health where item = 'planning';
select maintsched.tick();
select status from maintsched.task_status where task = 'dr-drill';

-- Nothing from before the task was there is ever missed, however often it recurs.
select maintsched.add_task('smartmed', 'secondly', 'FREQ=SECONDLY', starts_on => '2026-01-01', due_within => '1 s') > 0 as added;
select maintsched.tick(), maintsched.tick();
select count(*) from maintsched.occurrence o join maintsched.task t using (task_id) where t.name = 'secondly' and o.due_at <= t.effective_from;
select count(*) from maintsched.occurrence o join maintsched.task t using (task_id) where o.due_at <= t.effective_from;

-- Before the install nothing is known, and the lists say so.
set maintsched.now = '2020-01-01 12:00+00';
select status, count(*) from maintsched.task_status group by 1;
select count(*) from maintsched.due_tasks where status = 'unknown';
select status, detail from maintsched.health where item = 'planning';

-- A clock set back does not unmake what was planned in real time.
reset maintsched.now;
set client_min_messages = warning;
select maintsched.install_calendar('astral-core', as_name => 'real');
reset client_min_messages;
create temp table planned as select o.occurrence_id from maintsched.occurrence o join maintsched.task t using (task_id) where t.calendar = 'real';
set maintsched.now = '2024-05-01 12:00+00';
update maintsched.task set title = 'Changed in the past' where calendar = 'real' and name = 'security-review';
reset maintsched.now;
select count(*) from planned where occurrence_id not in (select occurrence_id from maintsched.occurrence);
select maintsched.tick();
select count(*) from planned where occurrence_id not in (select occurrence_id from maintsched.occurrence);
select count(*) from maintsched.occurrence o join maintsched.task t using (task_id) where t.calendar = 'real' and o.simulated;
-- ... and one set forward is made good by the next real planning
set maintsched.now = '2100-05-01 12:00+00';
update maintsched.task set title = 'Changed in the future' where calendar = 'real' and name = 'architecture-review';
select bool_and(simulated) from maintsched.task_plan p join maintsched.task t using (task_id) where t.calendar = 'real' and t.name = 'architecture-review';

-- The limit of 1,000 meets an EXDATE, and a DST gap: planning goes on.
reset maintsched.now;
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set maintsched.now = '2026-03-07 14:51+00';
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "limits", "title": "Limits", "timezone": "America/New_York", "tasks": []}');
select maintsched.add_task('limits', 'hourly', 'FREQ=HOURLY', due_within => '1 hour', starts_on => '2026-03-01 00:00') > 0 as added;
update maintsched.task set exdate = '{2026-03-10 05:00}' where name = 'hourly';
select count(*) = 1000 as full, p.planned_until = max(o.opens_at) + interval '1 hour' as known, p.replan_at < p.planned_until as again
from maintsched.occurrence o join maintsched.task t using (task_id) join maintsched.task_plan p using (task_id)
where t.name = 'hourly' and o.opens_at > maintsched.clock() group by p.planned_until, p.replan_at;
select maintsched.add_task('limits', 'minutely', 'FREQ=MINUTELY', due_within => '5 minutes') > 0 as added;
set maintsched.now = '2026-03-09 12:00+00';
select maintsched.tick();
select t.name, count(*), count(distinct o.opens_at) from maintsched.occurrence o join maintsched.task t using (task_id)
where o.opens_at between '2026-03-08 05:00+00' and '2026-03-08 09:00+00' group by 1 order by 1;
set maintsched.now = '2027-08-01 00:30+00';
select task, status from maintsched.task_status order by 1;
select maintsched.tick();
select count(*) > 0 as upcoming from maintsched.upcoming_tasks where task = 'hourly';
select count(*) from (
	select o.local_start - lag(o.local_start) over (order by o.local_start) as step
	from maintsched.occurrence o join maintsched.task t using (task_id) where t.name = 'hourly') s
where step > interval '2 hours';

-- What recurs faster than it is planned can be disabled all the same, and
-- what was left out is in the history.
select maintsched.add_task('limits', 'beat', 'FREQ=SECONDLY;INTERVAL=2', due_within => '1 minute') > 0 as added;
set maintsched.now = '2027-08-03 00:30+00';
select maintsched.tick();
update maintsched.task set enabled = false where name = 'beat';
select field, old, new, reason from maintsched.calendar_history where task = 'beat' and field = 'not planned';

-- One task that cannot be planned does not keep the others from it.
update maintsched.calendar set timezone = 'Mars' where name = 'limits';
set session_replication_role = replica;
update maintsched.task set timezone = 'Mars' where name = 'minutely';
update maintsched.task_plan set replan_at = '-infinity';
reset session_replication_role;
select maintsched.tick();
select t.name, p.replan_at > maintsched.clock() as planned from maintsched.task t join maintsched.task_plan p using (task_id) where t.enabled order by 1;

-- Thousands of EXDATEs are no burden; a COUNT that would be counted for ever is refused.
update maintsched.task set exdate = array(select timestamp '2027-08-10 00:00' + g * interval '1 hour' from generate_series(1, 10000) g)
where name = 'hourly';
select count(*) > 0 as planned, count(*) filter (where o.local_start = any (t.exdate)) as excluded
from maintsched.occurrence o join maintsched.task t using (task_id) where t.name = 'hourly' and o.opens_at > maintsched.clock();
\set SHOW_CONTEXT never
select maintsched.add_task('limits', 'walk', 'FREQ=SECONDLY;COUNT=1000001', starts_on => '1960-01-01');
