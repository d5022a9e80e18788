-- Changing tasks: what has opened stays, what has not follows, and history
-- says who, what, when and why.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set maintsched.now = '2026-04-06 12:00+00';
select maintsched.install_calendar('smartmed');
reset client_min_messages;
create temp view planned as
	select o.local_start, o.timezone, o.opens_at, o.due_at, o.version, s.status, s.title
	from maintsched.occurrence o
	join maintsched.task t using (task_id)
	join maintsched.occurrence_status s using (occurrence_id)
	where t.title ilike '%audit log review%' or t.name = 'renamed'
	order by o.opens_at;

-- A change of rule: Wednesday's is planned, becomes Thursday's; none before now.
select local_start, status, version from planned limit 3;
set maintsched.reason = 'team meets on Thursdays';
update maintsched.task set rule = 'FREQ=WEEKLY;BYDAY=TH' where name = 'audit-log-review';
reset maintsched.reason;
select local_start, status, version from planned limit 3;

-- Once it has opened, it keeps title, checklist, controls and due time.
set maintsched.now = '2026-04-09 06:00+00';
update maintsched.task set title = 'Weekly audit log review', due_within = '2 days', controls = '{}',
	checklist = '[{"text": "Read them"}, {"text": "Note it"}]'
where name = 'audit-log-review';
select local_start, due_at, status, version, title from planned limit 2;
select c.item, c.text from maintsched.checklist c join maintsched.due_tasks d using (occurrence_id)
where d.task = 'audit-log-review';
select title, due_at, cardinality(controls) > 0 as has_controls from maintsched.due_tasks where task = 'audit-log-review';

-- A rename keeps the history; the old name is free again.
select maintsched.rename_task('smartmed', 'Weekly Audit Log Review', 'renamed');
select task, count(*) from maintsched.occurrence_status where title ~* 'audit log review' group by 1;

-- A change of zone takes effect with the first start after now and after the
-- last that opened: not a second Thursday.
select maintsched.set_timezone('smartmed', 'Pacific/Auckland');
select local_start, timezone, opens_at, status from planned limit 3;
select maintsched.set_timezone('smartmed', 'America/New_York');
select local_start, timezone, opens_at, status from planned limit 3;
-- The daily duties opened at 09:00 UTC on the 8th; today's is to open at
-- 09:00 in New York.
select o.local_start, o.timezone, o.opens_at from maintsched.occurrence o join maintsched.task t using (task_id)
where t.name = 'check-system-health' and o.opens_at > '2026-04-08' order by o.opens_at limit 3;

-- Disabling withdraws what is open, enabling plans from now on.
update maintsched.task set enabled = false where name = 'renamed';
select status, version from planned;
select status, next_opens_at from maintsched.task_status where task = 'renamed';
select count(*) from maintsched.due_tasks where task = 'renamed';
set maintsched.now = '2026-04-20 12:00+00';
update maintsched.task set enabled = true where name = 'renamed';
select local_start, status from planned limit 3;

-- Retiring likewise; the task is gone from every list, not from history.
select maintsched.retire_task('smartmed', 'Renamed', '');
select maintsched.retire_task('smartmed', 'Renamed', 'done by the platform now');
select maintsched.retire_task('smartmed', 'Renamed', 'again');
select count(*) from maintsched.task_status where task = 'renamed';
select withdrawn_reason, count(*) from maintsched.occurrence where withdrawn_at is not null group by 1;
select task, changed_at, field, left(old, 40) as old, left(new, 40) as new, reason from maintsched.calendar_history
where task = 'renamed' or field = 'timezone';
select v.version, v.title, v.made_at from maintsched.task_version v join maintsched.task t using (task_id)
where t.name = 'renamed' order by 1;

-- A task that is there, was there, or is misspelt.
select maintsched.add_task('smartmed', 'renamed', 'FREQ=DAILY');
select maintsched.add_task('smartmed', 'dr-drill', 'FREQ=DAILY');
select maintsched.rename_task('smartmed', 'dr-dril', 'x');
select maintsched.rename_task('smartmed', 'dr-drill', 'access-review');
select maintsched.rename_task('smartmed', 'dr-drill', 'DR Drill');
select maintsched.find_task('smartmed', 'Dependency updates');

-- Nothing is lost by accident.
set client_min_messages = warning;
delete from maintsched.task;
truncate maintsched.task;
delete from maintsched.calendar;
truncate maintsched.calendar;
update maintsched.calendar set name = 'other';
delete from maintsched.occurrence;
update maintsched.occurrence set due_at = due_at + interval '1 day';
update maintsched.calendar_change set reason = 'forged';
delete from maintsched.calendar_change;
truncate maintsched.calendar_change;
update maintsched.task_version set title = 'forged';
truncate maintsched.task_version;

reset client_min_messages;

-- What is wrong is refused at once, and changes nothing.
update maintsched.task set rule = 'FREQ=WEEKLY;BYDAY=1MO' where name = 'access-review';
update maintsched.task set rule = 'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30' where name = 'access-review';
update maintsched.task set timezone = 'America/New_Yrok' where name = 'access-review';
update maintsched.task set due_within = '0' where name = 'access-review';
update maintsched.task set due_within = null where name = 'access-review';
update maintsched.task set teams = '{}' where name = 'access-review';
update maintsched.task set title = ' ' where name = 'access-review';
update maintsched.task set kind = 'routin' where name = 'access-review';
update maintsched.task set kind = 'routine' where name = 'access-review';
update maintsched.task set kind = 'routine', routine = 'vacum' where name = 'access-review';
update maintsched.task set controls = '{HIPAA 164.308(a)(4)(ii)(X)}' where name = 'access-review';
update maintsched.task set checklist = '[{"txt": "x"}]' where name = 'access-review';
update maintsched.task set checklist = '[{"text": "x", "routine": "healht"}]' where name = 'access-review';
update maintsched.task set checklist = '{}' where name = 'access-review';
update maintsched.task set starts_on = null where name = 'access-review';
update maintsched.task set params = '[]' where name = 'access-review';
update maintsched.task set calendar = 'nowhere' where name = 'access-review';
update maintsched.task set task_id = 4711 where name = 'access-review';
select maintsched.add_task('smartmed', 'new-one', 'FREQ=DAILY', teams => array['']);
select maintsched.add_task('smartmd', 'new-one', 'FREQ=DAILY');
select maintsched.add_task('smartmed', null, 'FREQ=DAILY');
select maintsched.add_task('smartmed', 'new-one', 'FREQ=DAILY', starts_on => 'infinity');
select maintsched.add_task('smartmed', 'new-one', 'FREQ=DAILY', due_within => '-1 day');
\set VERBOSITY terse
select maintsched.set_timezone('smartmed', 'EST5');
\set VERBOSITY default
select maintsched.set_timezone('smartmed', null);
select count(*) from maintsched.calendar_history where task = 'access-review';

-- Leap years and short months are said.
select maintsched.add_task('smartmed', 'leap', 'FREQ=YEARLY', starts_on => '2024-02-29');
select maintsched.add_task('smartmed', 'month-end', 'FREQ=MONTHLY', starts_on => '2026-01-31');
select maintsched.add_task('smartmed', 'leap-skip', 'FREQ=YEARLY;SKIP=BACKWARD', starts_on => '2024-02-29');

-- Defaults; RDATE and EXDATE; a rule that ends; no rule at all.
select maintsched.add_task('smartmed', 'own-task', 'FREQ=DAILY') > 0 as added;
select title, teams, kind, starts_on, due_within, cadence, run_as = current_user as mine from maintsched.task where name = 'own-task';
update maintsched.task set rule = 'FREQ=DAILY;COUNT=5', starts_on = '2026-05-01 08:00',
	exdate = '{2026-05-02 08:00}', rdate = '{2026-06-01 10:00, 2026-05-01 08:00}' where name = 'own-task';
select o.local_start, o.due_at, o.closes_at from maintsched.occurrence o join maintsched.task t using (task_id)
where t.name = 'own-task' order by 1;
select p.planned_until, p.replan_at from maintsched.task_plan p join maintsched.task t using (task_id) where t.name = 'own-task';
update maintsched.task set grace = '12 h' where name = 'own-task';
select o.local_start, o.due_at, o.closes_at from maintsched.occurrence o join maintsched.task t using (task_id)
where t.name = 'own-task' order by 1;
select maintsched.add_task('smartmed', 'on-call-only', null) > 0 as added;
select status, next_opens_at, cadence from maintsched.task_status where task = 'on-call-only';

-- No row points at nothing, without foreign keys.
select count(*) from maintsched.task t where not exists (select from maintsched.calendar c where c.name = t.calendar);
select count(*) from maintsched.occurrence o where not exists (select from maintsched.task_version v where v.task_id = o.task_id and v.version = o.version);
select count(*) from maintsched.task_version v where not exists (select from maintsched.task t where t.task_id = v.task_id);
select count(*) from maintsched.task_plan p where not exists (select from maintsched.task t where t.task_id = p.task_id);

-- Disabled and enabled again, or retired and put back: what is not over is
-- asked for again; what was overdue stays withdrawn, and is seen to be.
set maintsched.now = '2026-06-10 12:00+00';
set client_min_messages = warning;
select maintsched.install_calendar('smartmed', as_name => 'toggled');
reset client_min_messages;
set maintsched.now = '2026-06-17 12:00+00';
create temp table due_before as select occurrence_id, task, status from maintsched.due_tasks where calendar = 'toggled';
select status, count(*) from due_before group by 1 order by 1;
update maintsched.task set enabled = false where calendar = 'toggled';
select count(*) from maintsched.due_tasks where calendar = 'toggled';
update maintsched.task set enabled = true where calendar = 'toggled';
select b.status as was, o.status, count(*) from due_before b join maintsched.occurrence_status o using (occurrence_id) group by 1, 2 order by 1, 2;

-- What only functions set is not set by UPDATE.
update maintsched.task set effective_from = '2020-01-01' where calendar = 'toggled';
update maintsched.task set retired_at = '2030-01-01' where calendar = 'toggled' and name = 'dr-drill';
select retired_at from maintsched.task where calendar = 'toggled' and name = 'dr-drill';
update maintsched.task set retired_at = '2030-01-01' where calendar = 'toggled' and name = 'dr-drill';
update maintsched.task set retired_at = null where calendar = 'toggled' and name = 'dr-drill';

-- NULL, arrays of arrays, a name that is taken, another case of a calendar.
update maintsched.task set controls = null where name = 'access-review';
update maintsched.task set review = null, checklist = null where name = 'access-review';
update maintsched.task set run_as = null where name = 'access-review';
update maintsched.task set teams = '{{a},{b}}' where name = 'access-review';
update maintsched.task set source = '{NULL}' where name = 'access-review';
update maintsched.task set instructions = '{}' where name = 'access-review';
update maintsched.task set name = 'dr-drill' where calendar = 'toggled' and name = 'access-review';
update maintsched.task set calendar = 'toggled' where calendar = 'smartmed' and name = 'access-review';
update maintsched.task set calendar = 'Toggled' where calendar = 'smartmed' and name = 'access-review';
select maintsched.add_task('toggled', 'nested', 'FREQ=DAILY', teams => '{{a},{b}}');

-- A task that moves to another calendar is in the history of both.
update maintsched.task set calendar = 'toggled' where calendar = 'smartmed' and name = 'own-task';
select calendar, field, old, new from maintsched.calendar_change where task = 'own-task' and field = 'calendar' order by 1;

-- Hourly, from New York to Los Angeles at 08:00: no hour is left out.
select maintsched.set_timezone('toggled', 'America/New_York');
select maintsched.add_task('toggled', 'hourly', 'FREQ=HOURLY', due_within => '30 min') > 0 as added;
update maintsched.task set timezone = 'America/Los_Angeles' where calendar = 'toggled' and name = 'hourly';
select count(*), max(step) from (
	select o.opens_at, o.opens_at - lag(o.opens_at) over (order by o.opens_at) as step
	from maintsched.occurrence o join maintsched.task t using (task_id) where t.name = 'hourly') s
where opens_at between '2026-06-17 09:00+00' and '2026-06-18 09:00+00';
