-- The same Monday in Auckland, where it is Tuesday 7 April, 00:00 exactly;
-- and the nights on which clocks change in Auckland and New York.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set maintsched.now = '2026-04-06 12:00+00';
select maintsched.install_calendar('smartmed', timezone => 'pacific/auckland', as_name => 'smartmed-nz');
select maintsched.install_calendar('astral-core', timezone => 'Pacific/Auckland', as_name => 'astral-nz');
select maintsched.install_calendar('smartmed', timezone => 'America/New_York', as_name => 'smartmed-ny');
select maintsched.install_calendar('astral-core', timezone => 'America/New_York', as_name => 'astral-ny');
reset client_min_messages;
select name, timezone from maintsched.calendar where name ~ '-n[yz]$' order by 1;

create temp table expected (calendar text, task text, opens_at timestamptz, due_at timestamptz);
create temp view listed as
	select calendar, task, opens_at, due_at from maintsched.due_tasks where calendar ~ '-n[yz]$';
create temp view wrong as
	(select 'missing' as what, e.* from (select * from expected except select * from listed) e)
	union all
	(select 'unexpected', e.* from (select * from listed except select * from expected) e)
	order by 1, 2, 3;

-- Auckland is UTC+13 until Sunday 5 April 03:00, then UTC+12.  Monday's
-- duties were due at this very instant: not planned.
insert into expected values
	('smartmed-nz', 'dependency-updates-dependabot', '2026-04-05 12:00Z', '2026-04-12 12:00Z'),
	('smartmed-nz', 'database-optimization', '2026-03-31 11:00Z', '2026-04-07 12:00Z'),
	('smartmed-nz', 'audit-log-archival', '2026-03-31 11:00Z', '2026-04-30 12:00Z'),
	('smartmed-nz', 'backup-restoration-test', '2026-03-31 11:00Z', '2026-04-30 12:00Z'),
	('smartmed-nz', 'infrastructure-review', '2026-03-31 11:00Z', '2026-06-30 12:00Z'),
	('smartmed-nz', 'vendor-assessment', '2026-03-31 11:00Z', '2026-06-30 12:00Z'),
	('astral-nz', 'health-endpoint-validation-api-health', '2026-04-06 12:00Z', '2026-04-07 12:00Z'),
	('astral-nz', 'database-connectivity-tests', '2026-04-06 12:00Z', '2026-04-07 12:00Z'),
	('astral-nz', 'external-service-availability-checks', '2026-04-06 12:00Z', '2026-04-07 12:00Z'),
	('astral-nz', 'log-rotation-and-cleanup', '2026-04-06 12:00Z', '2026-04-07 12:00Z'),
	('astral-nz', 'backup-verification', '2026-04-06 12:00Z', '2026-04-07 12:00Z'),
	('astral-nz', 'security-scan-alerts', '2026-04-06 12:00Z', '2026-04-07 12:00Z'),
	('astral-nz', 'daily-health-check', '2026-04-06 12:00Z', '2026-04-07 12:00Z'),
	('astral-nz', 'weekly-security-scan', '2026-04-05 12:00Z', '2026-04-12 12:00Z'),
	('astral-nz', 'maintenance-success-metrics-review', '2026-03-31 11:00Z', '2026-04-30 12:00Z'),
	('astral-nz', 'maintenance-schedule-update', '2026-03-31 11:00Z', '2026-04-30 12:00Z'),
	('astral-nz', 'monthly-dependency-update', '2026-03-31 11:00Z', '2026-04-30 12:00Z'),
	('astral-nz', 'hipaa-compliance-audit', '2026-03-31 11:00Z', '2026-06-30 12:00Z'),
	('astral-nz', 'quarterly-compliance-check', '2026-03-31 11:00Z', '2026-06-30 12:00Z');
-- New York is UTC-4: it is Monday 08:00, an hour before the daily duties.
insert into expected values
	('smartmed-ny', 'npm-audit-review', '2026-04-06 04:00Z', '2026-04-07 04:00Z'),
	('smartmed-ny', 'performance-metrics-review', '2026-04-06 04:00Z', '2026-04-07 04:00Z'),
	('smartmed-ny', 'dependency-updates-dependabot', '2026-04-06 04:00Z', '2026-04-13 04:00Z'),
	('smartmed-ny', 'database-optimization', '2026-04-01 04:00Z', '2026-04-08 04:00Z'),
	('smartmed-ny', 'audit-log-archival', '2026-04-01 04:00Z', '2026-05-01 04:00Z'),
	('smartmed-ny', 'backup-restoration-test', '2026-04-01 04:00Z', '2026-05-01 04:00Z'),
	('smartmed-ny', 'infrastructure-review', '2026-04-01 04:00Z', '2026-07-01 04:00Z'),
	('smartmed-ny', 'vendor-assessment', '2026-04-01 04:00Z', '2026-07-01 04:00Z'),
	('astral-ny', 'health-endpoint-validation-api-health', '2026-04-06 04:00Z', '2026-04-07 04:00Z'),
	('astral-ny', 'database-connectivity-tests', '2026-04-06 04:00Z', '2026-04-07 04:00Z'),
	('astral-ny', 'external-service-availability-checks', '2026-04-06 04:00Z', '2026-04-07 04:00Z'),
	('astral-ny', 'log-rotation-and-cleanup', '2026-04-06 04:00Z', '2026-04-07 04:00Z'),
	('astral-ny', 'backup-verification', '2026-04-06 04:00Z', '2026-04-07 04:00Z'),
	('astral-ny', 'security-scan-alerts', '2026-04-06 04:00Z', '2026-04-07 04:00Z'),
	('astral-ny', 'daily-health-check', '2026-04-06 04:00Z', '2026-04-07 04:00Z'),
	('astral-ny', 'performance-review', '2026-04-06 04:00Z', '2026-04-07 04:00Z'),
	('astral-ny', 'comprehensive-security-audit', '2026-04-06 04:00Z', '2026-04-07 04:00Z'),
	('astral-ny', 'weekly-security-scan', '2026-04-06 04:00Z', '2026-04-13 04:00Z'),
	('astral-ny', 'maintenance-success-metrics-review', '2026-04-01 04:00Z', '2026-05-01 04:00Z'),
	('astral-ny', 'maintenance-schedule-update', '2026-04-01 04:00Z', '2026-05-01 04:00Z'),
	('astral-ny', 'monthly-dependency-update', '2026-04-01 04:00Z', '2026-05-01 04:00Z'),
	('astral-ny', 'hipaa-compliance-audit', '2026-04-01 04:00Z', '2026-07-01 04:00Z'),
	('astral-ny', 'quarterly-compliance-check', '2026-04-01 04:00Z', '2026-07-01 04:00Z');
select * from wrong;

-- The vacuum stays Sunday 02:00 UTC, and the windows stay UTC.
select calendar, opens_at, due_at from maintsched.upcoming_tasks u
where task = 'database-vacuum' and calendar ~ '-n[yz]$' and opens_at < '2026-04-13' order by 1;
select distinct timezone from maintsched.window_schedule where calendar ~ '-n[yz]$';

-- Spring in New York, Sunday 8 March 2026, 02:00 becomes 03:00: the daily
-- duty at 09:00 comes an hour earlier in UTC, midnight to midnight is 23 h.
set client_min_messages = warning;
set maintsched.now = '2026-03-07 12:00+00';
select maintsched.install_calendar('smartmed', timezone => 'America/New_York', as_name => 'spring-ny');
select maintsched.install_calendar('astral-core', timezone => 'America/New_York', as_name => 'spring-astral-ny');
reset client_min_messages;
select maintsched.add_task('spring-ny', 'in-the-gap', 'FREQ=DAILY', starts_on => '2026-01-01 02:30', due_within => '30 min');
select task, local_start, opens_at, due_at, due_at - opens_at as lasts
from maintsched.occurrence join (select task_id, calendar, name as task from maintsched.task) t using (task_id)
where (calendar, task) in (('spring-ny', 'check-system-health'), ('spring-ny', 'in-the-gap'), ('spring-astral-ny', 'backup-verification'))
and local_start >= '2026-03-07' and local_start < '2026-03-10' order by task, local_start;

-- Autumn in New York, Sunday 1 November 2026, 02:00 becomes 01:00: 25 h, and
-- what starts in the repeated hour starts the first time.
set client_min_messages = warning;
set maintsched.now = '2026-10-31 00:00+00';
select maintsched.install_calendar('smartmed', timezone => 'America/New_York', as_name => 'autumn-ny');
select maintsched.install_calendar('astral-core', timezone => 'America/New_York', as_name => 'autumn-astral-ny');
reset client_min_messages;
select maintsched.add_task('autumn-ny', 'in-the-repeat', 'FREQ=DAILY', starts_on => '2026-01-01 01:30', due_within => '1 h');
select task, local_start, opens_at, due_at, due_at - opens_at as lasts
from maintsched.occurrence join (select task_id, calendar, name as task from maintsched.task) t using (task_id)
where (calendar, task) in (('autumn-ny', 'check-system-health'), ('autumn-ny', 'in-the-repeat'), ('autumn-astral-ny', 'backup-verification'))
and local_start >= '2026-10-31' and local_start < '2026-11-03' order by task, local_start;

-- Auckland: autumn on 5 April 2026 (25 h), spring on 27 September 2026 (23 h).
set client_min_messages = warning;
set maintsched.now = '2026-04-03 00:00+00';
select maintsched.install_calendar('astral-core', timezone => 'Pacific/Auckland', as_name => 'autumn-astral-nz');
set maintsched.now = '2026-09-25 00:00+00';
select maintsched.install_calendar('astral-core', timezone => 'Pacific/Auckland', as_name => 'spring-astral-nz');
reset client_min_messages;
select calendar, local_start, opens_at, due_at - opens_at as lasts
from maintsched.occurrence join (select task_id, calendar, name as task from maintsched.task) t using (task_id)
where task = 'backup-verification' and
(calendar = 'autumn-astral-nz' and local_start between '2026-04-04' and '2026-04-06'
or calendar = 'spring-astral-nz' and local_start between '2026-09-26' and '2026-09-28') order by 2;

-- A window of four hours stays four hours; one of a day ends at the same local time.
select maintsched.add_window('spring-ny', 'night', 'FREQ=DAILY', '2026-01-01 00:30', '4 h', 'minor');
select maintsched.add_window('spring-ny', 'day', 'FREQ=WEEKLY;BYDAY=SU', '2026-01-01 00:00', '1 day', 'blackout');
set maintsched.now = '2026-03-07 12:00+00';
select window_name, opens_local, opens_at, closes_at, closes_at - opens_at as lasts
from maintsched.window_schedule where calendar = 'spring-ny' and window_name in ('night', 'day')
and opens_at < '2026-03-10' order by 1, 3;
