-- A simulated year of SmartMed with everything on time; and one in which the
-- backup verification of some Fridays is forgotten.
\set SHOW_CONTEXT never
set client_min_messages = error;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set datestyle = 'ISO';

-- Every day at 10:00 all that is due is done, but for one task from 8 May until a day.
create procedure pg_temp.work_until(until timestamptz, forgotten text default null, until_day date default '-infinity') language plpgsql as $$
declare
	o record;
begin
	while maintsched.clock() < until loop
		for o in
			select d.*
			from maintsched.due_tasks d
			where d.occurrence_id is not null
			and (d.task = forgotten and maintsched.clock()::date between '2026-05-08' and until_day) is not true
			order by d.occurrence_id
		loop
			if o.checklist_total > 0 then
				perform maintsched.check_items(o.occurrence_id, variadic array(select generate_series(1, o.checklist_total)));
			end if;
			perform maintsched.complete_task(o.occurrence_id, performed_by => o.team);
		end loop;
		if extract(day from maintsched.clock()) = 1 then
			perform maintsched.tick();
		end if;
		perform set_config('maintsched.now', (maintsched.clock() + interval '1 day')::text, false);
	end loop;
end
$$;
-- The clauses that the document names for a task, or for any.
create function pg_temp.clauses(of_task text default null) returns setof text language sql as $$
	select distinct substr(c, 7)
	from jsonb_array_elements(maintsched.shipped_document('smartmed')::jsonb -> 'tasks') t
	cross join lateral jsonb_array_elements_text(t -> 'controls') c
	where c like 'HIPAA %' and (of_task is null or t ->> 'name' = of_task)
$$;
select count(*) as clauses from pg_temp.clauses();

set maintsched.now = '2026-01-01 10:00+00';
select maintsched.install_calendar('smartmed');
call pg_temp.work_until('2027-01-01 10:00+00');
-- the morning's duties of New Year's Day are due, and nothing else is asked for
select status, count(*) from maintsched.task_status group by 1 order by 1;
call pg_temp.work_until('2027-01-02 09:00+00');
set maintsched.now = '2027-01-02 08:59+00';
select status, on_time_rate, sum(late_12m) as late, sum(missed_12m) as missed, count(*) from maintsched.task_status group by 1, 2;
-- every clause that a task of the document serves is ok, the rest not covered
select status, ok, on_time_rate, count(*),
	bool_and(control in (select pg_temp.clauses())) as all_named, bool_or(control in (select pg_temp.clauses())) as any_named
from maintsched.compliance_status group by 1, 2, 3 order by 1;
select count(*), bool_and(tasks = compliant + due + overdue + failing + unknown + waived + not_started + disabled) as add_up
from maintsched.compliance_status;
select month, occurrences = done as all_done, on_time_rate, late + failed + inconclusive + missed + overdue + waived + backdated as others
from maintsched.compliance_monthly order by 1;
-- 365 days of three daily duties, and so on
select cadence, sum(occurrences) as occurrences, sum(done) as done from maintsched.task_monthly where month < '2027-01-01' group by 1 order by 1;
select count(*) as rows, count(*) filter (where on_time_rate <> 1) as below from maintsched.control_monthly;
select count(*) from maintsched.due_tasks;
-- the past says what it said then
set maintsched.now = '2026-03-02 09:30+00';
select status, count(*) from maintsched.task_status group by 1 order by 1;
select month, occurrences, done from maintsched.compliance_monthly order by 1;

-- Fridays forgotten: 8, 15, 22 and 29 May.
drop extension maintsched;
create extension maintsched;
set maintsched.now = '2026-04-24 10:00+00';
select maintsched.install_calendar('smartmed');
call pg_temp.work_until('2026-05-08 23:59:59+00', 'backup-verification', '2026-05-08');
create procedure pg_temp.at(at timestamptz) language plpgsql as $$
begin
	perform set_config('maintsched.now', at::text, false);
end
$$;
create view pg_temp.bad_tasks as
	select task, status, open_count, missed_12m from maintsched.task_status where status in ('failing', 'overdue', 'unknown');
create view pg_temp.bad_clauses as
	select status, bool_or(ok) as ok, count(*) as clauses,
		count(*) = (select count(*) from pg_temp.clauses('backup-verification'))
		and bool_and(control in (select pg_temp.clauses('backup-verification'))) as exactly
	from maintsched.compliance_status where status in ('failing', 'overdue', 'unknown') group by 1;
call pg_temp.at('2026-05-08 23:59:59.999999+00');
select * from pg_temp.bad_tasks;
select * from pg_temp.bad_clauses;
call pg_temp.at('2026-05-09 00:00+00');
select * from pg_temp.bad_tasks;
select * from pg_temp.bad_clauses;
select task, status, overdue_seconds from maintsched.due_tasks where status <> 'due';
call pg_temp.at('2026-05-09 10:00+00');
call pg_temp.work_until('2026-05-14 23:59:59+00', 'backup-verification', '2026-05-14');
call pg_temp.at('2026-05-14 23:59:59+00');
select * from pg_temp.bad_tasks;
-- at the next Friday's beginning it is missed
call pg_temp.at('2026-05-15 00:00+00');
select * from pg_temp.bad_tasks;
select * from pg_temp.bad_clauses;
select task, status, missed_before from maintsched.due_tasks where task = 'backup-verification';
-- that and the next two Fridays likewise
call pg_temp.at('2026-05-15 10:00+00');
call pg_temp.work_until('2026-06-05 09:00+00', 'backup-verification', '2026-06-04');
call pg_temp.at('2026-06-05 09:59+00');
select * from pg_temp.bad_tasks;
select task, status, missed_before from maintsched.due_tasks where task = 'backup-verification';
-- the pass of Friday 5 June clears it; the month keeps it
call pg_temp.at('2026-06-05 10:00+00');
call pg_temp.work_until('2026-06-06 09:00+00');
call pg_temp.at('2026-06-05 10:01+00');
select * from pg_temp.bad_tasks;
select * from pg_temp.bad_clauses;
select status, on_time_rate, missed_12m from maintsched.task_status where task = 'backup-verification';
select ok, status, on_time_rate < 1 as kept from maintsched.compliance_status where control = '164.308(a)(7)(ii)(A)';
select month, occurrences - done as others, missed from maintsched.compliance_monthly order by 1;
select distinct month, missed, on_time_rate < 1 as below, control in (select pg_temp.clauses('backup-verification')) as of_the_task
from maintsched.control_monthly where on_time_rate < 1 order by 1;
select task, month, occurrences, done, missed, on_time_rate from maintsched.task_monthly where on_time_rate < 1 order by 1, 2;

drop view pg_temp.bad_tasks, pg_temp.bad_clauses;
drop extension maintsched;
create extension maintsched;
