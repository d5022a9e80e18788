-- What is rolled up says the same as the facts: at every step of half a year
-- of facts, closed in real time, with facts that come late, clocks that are
-- set back, tasks that change, move, are retired and disabled.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
create role regress_maintsched_one login;
create role regress_maintsched_two login;
select maintsched.grant_access('regress_maintsched_one', 'manager');
select maintsched.grant_access('regress_maintsched_two', 'manager');

-- Reads all views as they are and again without anything derived; the names of
-- those that differ.
create function pg_temp.differing() returns setof text language plpgsql as $$
declare
	view text;
	differing text[] := '{}';
	n bigint;
begin
	foreach view in array array['due_tasks', 'task_status', 'task_monthly', 'compliance_status',
		'compliance_by_calendar', 'compliance_monthly', 'control_monthly', 'team_workload']
	loop
		execute format('create temp table seen_%s as select * from maintsched.%1$s', view);
	end loop;
	begin
		delete from maintsched.task_state;
		delete from maintsched.task_month;
		delete from maintsched.calendar_month;
		delete from maintsched.control_month;
		delete from maintsched.standing;
		delete from maintsched.rollup_owed;
		foreach view in array array['due_tasks', 'task_status', 'task_monthly', 'compliance_status',
			'compliance_by_calendar', 'compliance_monthly', 'control_monthly', 'team_workload']
		loop
			execute format('select count(*) from (
				(select * from maintsched.%s except all select * from seen_%1$s)
				union all
				(select * from seen_%1$s except all select * from maintsched.%1$s)) d', view) into n;
			if n > 0 then
				differing := differing || format('%s (%s rows)', view, n);
			end if;
		end loop;
		raise 'back';
	exception when raise_exception then
		if sqlerrm <> 'back' then
			raise;
		end if;
	end;
	foreach view in array array['due_tasks', 'task_status', 'task_monthly', 'compliance_status',
		'compliance_by_calendar', 'compliance_monthly', 'control_monthly', 'team_workload']
	loop
		execute format('drop table seen_%s', view);
	end loop;
	return query select unnest(differing);
end
$$;

-- the months that are rolled up and hold, and those that do not
create function pg_temp.rolled() returns text language sql as $$
	select format('%s closed, %s in the rollups, %s not holding, %s owed',
		(select count(*) from maintsched.occurrence where closed_at is not null and (withdrawn_at is null)),
		(select coalesce(sum(done + late + failed + inconclusive + missed + waived), 0) from maintsched.task_month),
		(select coalesce(sum(done + late + failed + inconclusive + missed + waived), 0) from maintsched.void_months()),
		(select count(distinct (task_id, month)) from maintsched.rollup_owed))
$$;

-- the same numbers on every server
create temp sequence dice;
create function pg_temp.dice(sides integer) returns integer language sql volatile as $$
	select (('x' || left(md5(nextval('pg_temp.dice')::text), 8))::bit(32)::bigint % sides)::integer
$$;

set maintsched.now = '2026-01-05 00:00+00';
select maintsched.import_calendar(jsonb_build_object(
	'format', 'maintsched-calendar/1', 'name', name, 'title', name, 'timezone', zone,
	'tasks', jsonb_agg(jsonb_build_object('name', task, 'title', task, 'kind', 'manual',
		'teams', jsonb_build_array(team), 'rule', rule, 'starts_on', '2026-01-01T09:00:00',
		'due_within', due_within, 'review', task = 'weekly', 'controls', controls)))::text)
from (values
		('one', 'America/New_York', 'daily', 'A', 'FREQ=DAILY', 'PT6H', '["HIPAA 164.308(a)(1)(ii)(A)"]'::jsonb),
		('one', 'America/New_York', 'weekly', 'B', 'FREQ=WEEKLY;BYDAY=FR', 'P2D', '["HIPAA 164.308(a)(1)(ii)(A)", "HIPAA 164.312(b)"]'),
		('one', 'America/New_York', 'monthly', 'B', 'FREQ=MONTHLY;BYMONTHDAY=1', 'P5D', '["HIPAA 164.312(b)"]'),
		('two', 'Pacific/Auckland', 'daily', 'A', 'FREQ=DAILY', 'PT15H', '["HIPAA 164.308(a)(7)(ii)(D)"]'),
		('two', 'Pacific/Auckland', 'quarterly', 'C', 'FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=1', 'P1M', '["HIPAA 164.308(a)(8)"]'))
	c (name, zone, task, team, rule, due_within, controls)
group by name, zone;

-- A day of work: some of what is due is done, well or badly, some is decided.
create procedure pg_temp.work() language plpgsql as $$
declare
	o record;
	id bigint;
	decision text;
begin
	for o in select * from maintsched.due_tasks where occurrence_id is not null order by occurrence_id loop
		if pg_temp.dice(3) > 0 then
			id := maintsched.complete_task(o.occurrence_id,
				(array['pass', 'pass', 'pass', 'pass', 'pass', 'fail', 'partial', 'inconclusive'])[1 + pg_temp.dice(8)],
				completed_at => greatest(o.opens_at, maintsched.clock() - make_interval(hours => pg_temp.dice(40))));
		elsif pg_temp.dice(12) = 0 then
			perform maintsched.request_waiver(o.occurrence_id, 'why not', greatest(o.due_at, maintsched.clock()) + interval '1 day');
		end if;
	end loop;
	if pg_temp.dice(10) = 0 then
		perform maintsched.request_waiver(t.calendar, t.name, 'a week', maintsched.clock(), maintsched.clock() + interval '9 days')
		from maintsched.task t
		where t.retired_at is null
		order by t.task_id offset pg_temp.dice(4) limit 1;
	end if;
	for o in
		select c.completion_id, c.review from maintsched.completions c
		where not c.retracted and c.completed_at > maintsched.clock() - interval '20 days' order by 1
	loop
		case pg_temp.dice(40)
			when 0 then perform maintsched.retract_completion(o.completion_id, 'a mistake');
			when 1, 2 then
				if o.review not in ('accepted', 'rejected') then
					decision := (array['accepted', 'accepted', 'rejected'])[1 + pg_temp.dice(3)];
					set local session authorization regress_maintsched_two;
					perform maintsched.review_completion(o.completion_id, decision, 'seen');
					reset session authorization;
				end if;
			else
		end case;
	end loop;
	for o in select w.waiver_id, w.state from maintsched.waivers w where w.state in ('requested', 'approved') order by 1 loop
		case pg_temp.dice(4)
			when 0 then
				if o.state = 'approved' then
					perform maintsched.revoke_waiver(o.waiver_id, 'enough');
				else
					perform maintsched.reject_waiver(o.waiver_id, 'no');
				end if;
			when 1 then
				if o.state = 'requested' then
					set local session authorization regress_maintsched_two;
					perform maintsched.approve_waiver(o.waiver_id);
					reset session authorization;
				end if;
			else
		end case;
	end loop;
end
$$;
create procedure pg_temp.work_until(until timestamptz, step interval) language plpgsql as $$
begin
	while maintsched.clock() < until loop
		perform set_config('maintsched.now', (maintsched.clock() + step)::text, false);
		call pg_temp.work();
	end loop;
end
$$;
set client_min_messages = error;

-- Half a year, in which nothing is closed: standing alone.
call pg_temp.work_until('2026-03-20 00:00+00', '19 hours');
select pg_temp.differing();
select maintsched.tick();
update maintsched.task set title = 'Daily, otherwise', controls = array['HIPAA 164.312(b)'] where calendar = 'one' and name = 'daily';
update maintsched.task set enabled = false where calendar = 'two' and name = 'quarterly';
call pg_temp.work_until('2026-05-03 12:00+00', '23 hours');
select pg_temp.differing();
select maintsched.set_timezone('two', 'Asia/Kolkata');
select maintsched.retire_task('one', 'monthly', 'no longer');
update maintsched.task set enabled = true where calendar = 'two' and name = 'quarterly';
select maintsched.tick();
call pg_temp.work_until('2026-07-01 00:00+00', '31 hours');
select pg_temp.differing();
select count(*) > 200 as completions, count(*) filter (where retracted) > 5 as retracted,
	count(*) filter (where review = 'rejected') > 0 as rejected, count(*) filter (where backdated) > 5 as backdated,
	count(distinct outcome) as outcomes
from maintsched.completions;
select state, count(*) > 0 as some from maintsched.waivers group by 1 order by 1;
select status, count(*) > 0 as some from maintsched.occurrence_status where opens_at <= maintsched.clock() group by 1 order by 1;
select pg_temp.rolled() like '0 closed, 0 in%' as nothing_closed;

-- The same in real time, before and after it is closed; a clock set back.
reset maintsched.now;
select pg_temp.differing();
select maintsched.tick();
select pg_temp.rolled() like '% 0 not holding, 0 owed' as all_hold,
	(select count(*) filter (where withdrawn_at is null) from maintsched.occurrence where closed_at is not null) =
	(select sum(done + late + failed + inconclusive + missed + waived) from maintsched.task_month) as all_rolled_up;
select pg_temp.differing();
set maintsched.now = '2026-04-10 03:00+00';
select pg_temp.differing();
reset maintsched.now;

-- Facts that come after the closing, by a clock that is set back and in real time.
set maintsched.now = '2026-05-20 12:00+00';
call pg_temp.work();
reset maintsched.now;
select pg_temp.rolled() like '% 0 owed' as nothing_owed;
select pg_temp.differing();
select maintsched.retract_completion(completion_id, 'late') is null as retracted from maintsched.completions
where not retracted and completion_id % 17 = 0 and completed_at < '2026-06-20';
select maintsched.complete_task(occurrence_id, 'fail', 'found late') > 0 as failed
from maintsched.occurrence_status where status = 'missed' order by occurrence_id limit 2;
select pg_temp.differing();
set maintsched.now = '2026-06-03 09:00+00';
select pg_temp.differing();
reset maintsched.now;
select maintsched.tick();
select pg_temp.rolled() like '% 0 not holding, 0 owed' as all_hold;
select pg_temp.differing();

-- A waiver that was approved in time, by a clock set back.
set maintsched.now = '2026-06-02 12:00+00';
select maintsched.request_waiver('two', 'daily', 'as if', '2026-06-03', '2026-06-20') > 0 as requested;
set session authorization regress_maintsched_one;
select maintsched.approve_waiver((select max(waiver_id) from maintsched.waivers));
reset session authorization;
reset maintsched.now;
select pg_temp.rolled() like '% 0 owed' as nothing_owed;
select pg_temp.differing();
select maintsched.tick();
select pg_temp.differing();

-- A fact that lies ahead of real time does not count before it is due to.
set maintsched.now = '2099-01-01 00:00+00';
select maintsched.retract_completion(max(completion_id), 'ahead') from maintsched.completions where not retracted;
reset maintsched.now;
select maintsched.tick();
select pg_temp.differing();
set maintsched.now = '2099-01-02 00:00+00';
select pg_temp.differing();
reset maintsched.now;

-- A task goes to another calendar, with its months.
update maintsched.task set calendar = 'two', name = 'weekly-of-one' where calendar = 'one' and name = 'weekly';
select pg_temp.differing();
select maintsched.tick();
select pg_temp.differing();

-- All made anew.
create temp table before as select * from maintsched.task_month;
create temp table state as select task_id, passed_at, failed_at, inconclusive_at, waived_at, missed_due_at, done_at, outcome, missed_run from maintsched.task_state;
select maintsched.rebuild_rollups();
(select * from before except all select * from maintsched.task_month)
union all
(select * from maintsched.task_month except all select * from before);
select * from state
except all
select task_id, passed_at, failed_at, inconclusive_at, waived_at, missed_due_at, done_at, outcome, missed_run from maintsched.task_state;
select pg_temp.differing();
-- a framework that is switched on shows what was rolled up all the time
select maintsched.set_framework('hipaa-nprm-2025', true);
select pg_temp.differing();

-- and the comparison itself sees a difference
update maintsched.task_month set done = done + 1 where ctid = (select min(ctid) from maintsched.task_month where month > '2026-03-01');
update maintsched.calendar_month set late = late + 1 where month = '2026-05-01';
select split_part(d, ' ', 1) as differing from pg_temp.differing() d order by 1;

begin isolation level repeatable read;
select maintsched.tick();
rollback;
begin isolation level serializable;
select maintsched.rebuild_rollups();
rollback;

set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_one, regress_maintsched_two;
