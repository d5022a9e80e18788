-- The extension goes on working after a pg_upgrade: once somebody says so.
-- 1 / x fails where x is 0, and so does the script.
select 1 / (status = 'CRIT')::integer from maintsched.health where item = 'instance';
create temporary table before as
select count(*), max(planned_at), count(closed_at) as closed, (select max(planned_at) from maintsched.task_plan) as planned
from maintsched.occurrence;
select maintsched.tick();
select 1 / count(*) from (
	table before
	intersect
	select count(*), max(planned_at), count(closed_at), (select max(planned_at) from maintsched.task_plan)
	from maintsched.occurrence) unchanged;
select maintsched.resume('all');
select 1 / (status = 'OK')::integer from maintsched.health where item = 'instance';
-- once in real time the figures are those that the facts come to
select maintsched.tick();
select 1 / (not exists (select from maintsched.rollup_owed where clock_at <= maintsched.clock()))::integer;
select 1 / (not exists (
	table maintsched.task_month
	except
	select * from maintsched.months_of(array(
		select o.occurrence_id from maintsched.occurrence o where o.closed_at is not null))))::integer;
select 1 / (maintsched.complete_task((
	select min(occurrence_id) from maintsched.due_tasks where task = 'reviewed-task'), 'fail') > 0)::integer;
update maintsched.task set due_within = due_within + interval '1 hour' where name = 'renamed-task';
select 1 / count(*) from maintsched.occurrence where planned_at > now() - interval '10 minutes' and opens_at > now();
select maintsched.export_calendar('smartmed') is not null;
select 1 / count(*) from maintsched.occurrences('FREQ=MONTHLY;BYDAY=1MO', '2026-01-01', 'America/New_York',
	'2026-01-01+00', '2027-01-01+00');
