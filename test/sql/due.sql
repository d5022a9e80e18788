-- What is due on Monday 6 April 2026 at 12:00 UTC, worked out by hand from
-- the two documents and the table of readings in calendar-format.md.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set maintsched.now = '2026-04-06 12:00+00';
select maintsched.install_calendar('smartmed');
select maintsched.install_calendar('astral-core');
reset client_min_messages;

create temp table expected (calendar text, task text, opens_at timestamptz, due_at timestamptz);
create temp view wrong as
	(select 'missing' as what, e.* from (select * from expected except select calendar, task, opens_at, due_at from maintsched.due_tasks) e)
	union all
	(select 'unexpected', e.* from (select calendar, task, opens_at, due_at from maintsched.due_tasks except select * from expected) e)
	order by 1, 2, 3;

insert into expected values
	-- daily 9:00, until midnight
	('smartmed', 'review-error-dashboard', '2026-04-06 09:00Z', '2026-04-07 00:00Z'),
	('smartmed', 'check-system-health', '2026-04-06 09:00Z', '2026-04-07 00:00Z'),
	('smartmed', 'review-support-tickets', '2026-04-06 09:00Z', '2026-04-07 00:00Z'),
	-- Monday
	('smartmed', 'npm-audit-review', '2026-04-06 00:00Z', '2026-04-07 00:00Z'),
	('smartmed', 'performance-metrics-review', '2026-04-06 00:00Z', '2026-04-07 00:00Z'),
	-- weekly, no day
	('smartmed', 'dependency-updates-dependabot', '2026-04-06 00:00Z', '2026-04-13 00:00Z'),
	-- Week 1; monthly
	('smartmed', 'database-optimization', '2026-04-01 00:00Z', '2026-04-08 00:00Z'),
	('smartmed', 'audit-log-archival', '2026-04-01 00:00Z', '2026-05-01 00:00Z'),
	-- M1; Q2.  Sunday's vacuum was due at 02:00 on Monday, before the install.
	('smartmed', 'backup-restoration-test', '2026-04-01 00:00Z', '2026-05-01 00:00Z'),
	('smartmed', 'infrastructure-review', '2026-04-01 00:00Z', '2026-07-01 00:00Z'),
	('smartmed', 'vendor-assessment', '2026-04-01 00:00Z', '2026-07-01 00:00Z'),
	-- daily, automated
	('astral-core', 'health-endpoint-validation-api-health', '2026-04-06 00:00Z', '2026-04-07 00:00Z'),
	('astral-core', 'database-connectivity-tests', '2026-04-06 00:00Z', '2026-04-07 00:00Z'),
	('astral-core', 'external-service-availability-checks', '2026-04-06 00:00Z', '2026-04-07 00:00Z'),
	('astral-core', 'log-rotation-and-cleanup', '2026-04-06 00:00Z', '2026-04-07 00:00Z'),
	('astral-core', 'backup-verification', '2026-04-06 00:00Z', '2026-04-07 00:00Z'),
	('astral-core', 'security-scan-alerts', '2026-04-06 00:00Z', '2026-04-07 00:00Z'),
	('astral-core', 'daily-health-check', '2026-04-06 00:00Z', '2026-04-07 00:00Z'),
	-- Monday, and the first Monday
	('astral-core', 'performance-review', '2026-04-06 00:00Z', '2026-04-07 00:00Z'),
	('astral-core', 'comprehensive-security-audit', '2026-04-06 00:00Z', '2026-04-07 00:00Z'),
	('astral-core', 'weekly-security-scan', '2026-04-06 00:00Z', '2026-04-13 00:00Z'),
	-- monthly
	('astral-core', 'maintenance-success-metrics-review', '2026-04-01 00:00Z', '2026-05-01 00:00Z'),
	('astral-core', 'maintenance-schedule-update', '2026-04-01 00:00Z', '2026-05-01 00:00Z'),
	('astral-core', 'monthly-dependency-update', '2026-04-01 00:00Z', '2026-05-01 00:00Z'),
	-- every quarter
	('astral-core', 'hipaa-compliance-audit', '2026-04-01 00:00Z', '2026-07-01 00:00Z'),
	('astral-core', 'quarterly-compliance-check', '2026-04-01 00:00Z', '2026-07-01 00:00Z');
select * from wrong;
select calendar, status, count(*) from maintsched.due_tasks group by 1, 2 order by 1, 2;

-- The minute that matters: nothing at 08:59 of the next day that opens at 09:00.
set maintsched.now = '2026-04-07 08:59+00';
select task, status from maintsched.due_tasks where calendar = 'smartmed' and cadence = 'daily' order by opens_at, task;
set maintsched.now = '2026-04-07 09:00+00';
select task, status, opens_at, due_local from maintsched.due_tasks where calendar = 'smartmed' and cadence = 'daily' order by opens_at, task;

-- Half-open: at due_at it is overdue, at closes_at missed.
create temp view one as
	select o.status, o.closes_at from maintsched.occurrence_status o
	where o.task = 'database-optimization' and o.opens_at = '2026-04-01 00:00Z';
set maintsched.now = '2026-04-07 23:59:59.999999+00';
select * from one;
set maintsched.now = '2026-04-08 00:00+00';
select * from one;
select task, status, overdue_seconds, due_local from maintsched.due_tasks where task = 'database-optimization';
set maintsched.now = '2026-04-30 23:59:59+00';
select * from one;
set maintsched.now = '2026-05-01 00:00+00';
select * from one;
-- ... and a task with a miss is failing, and says how many.
select status, open_count, on_time_rate, missed_12m from maintsched.task_status where task = 'database-optimization';
select status, missed_before from maintsched.due_tasks where task = 'database-optimization';

-- today: the same for people, in 100 columns.
set maintsched.now = '2026-04-06 12:00+00';
select * from maintsched.today;
set maintsched.now = '2026-04-11 00:30+00';
select * from maintsched.today where due like 'late%';

-- What comes, for the week ahead.
set maintsched.now = '2026-04-06 12:00+00';
select opens_at, calendar, task, team, effort_minutes from maintsched.upcoming_tasks
where opens_at < '2026-04-12' and cadence <> 'daily';
select count(*), max(opens_at) <= maintsched.clock() + interval '30 days' as within from maintsched.upcoming_tasks;
select window_name, change_class, opens_at, closes_at, opens_local, open_now from maintsched.window_schedule
where opens_at < '2026-04-20';
set maintsched.now = '2026-04-12 03:00+00';
select window_name, opens_at, closes_at from maintsched.window_schedule where open_now;
set maintsched.now = '2026-04-12 06:00+00';
select count(*) from maintsched.window_schedule where open_now;

-- The checklist of an occurrence.
set maintsched.now = '2026-04-06 12:00+00';
select c.item, c.text, c.routine, c.passed from maintsched.checklist c
join maintsched.due_tasks d using (occurrence_id)
where d.task = 'check-system-health' order by c.item;
select status, attempts, review, controls from maintsched.occurrence_status
where task = 'comprehensive-security-audit' and opens_at = '2026-04-06 00:00Z';

-- Cadences: 3 daily, 5 weekly and two automated ones, and so on.
select calendar, cadence, count(*) from maintsched.task_status group by 1, 2 order by 1, 2;
