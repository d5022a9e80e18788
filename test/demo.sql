-- What "make demo" shows: both shipped calendars, half a year of work on one
-- of them, how it is proven, why one control fails, and what is due now.  Then,
-- in another database and in real time, a task that starts by itself.
--
-- The half year is made up, day by day, under a simulated clock, from 26 weeks
-- ago until yesterday; all that it records is marked as simulated.
set timezone = 'America/New_York';
set datestyle = 'ISO';
\pset border 1
\pset footer off
\pset null ''
\set SHOW_CONTEXT never

\echo
\echo '* 26 weeks ago (by a simulated clock): the calendar of SmartMed, and access for two people'
\set ECHO queries
create extension maintsched;
select set_config('maintsched.now', current_date - 182 || ' 08:00 America/New_York', false) as now;
select maintsched.install_calendar('smartmed', timezone => 'America/New_York');
set maintsched.reason = 'people do it, as long as no repository of backups is known';
update maintsched.task set kind = 'manual', routine = null, params = '{}'
where name in ('backup-verification', 'backup-restoration-test');
create role demo_anna;
create role demo_ben;
select maintsched.grant_access('demo_anna', 'operator'), maintsched.grant_access('demo_ben', 'manager');
\set ECHO none

\echo
\echo '* half a year of work: Anna records it, Ben reviews (some seconds)'
set client_min_messages = warning;
do $demo$
declare
	zone constant text := ' America/New_York';
	first constant date := current_date - 182;
	-- a weekly duty that nobody thinks of in the last weeks
	forgotten_since constant date := current_date - 25;
	day date;
	hour time;
	o record;
	c record;
	chance integer;
	is_time boolean;
	restore_failed date;
	failure bigint;
	waived bigint;
	performer text;
begin
	for day, hour in
		select first + n, h
		from generate_series(0, current_date - 1 - first) n
		cross join (values (time '08:15'), (time '16:30')) t(h)
		order by 1, 2
	loop
		perform set_config('maintsched.now', day || ' ' || hour || zone, false);

		-- Ben reviews in the morning what Anna recorded the day before
		if hour < '12:00' then
			for c in
				select k.completion_id, k.outcome
				from maintsched.completions k
				where k.review = 'pending' and not k.retracted
				and k.completed_at > maintsched.clock() - interval '2 days'
			loop
				set session authorization demo_ben;
				perform maintsched.review_completion(c.completion_id, 'accepted',
					case c.outcome when 'pass' then 'seen, in order' else 'seen: try again when it is corrected' end);
				reset session authorization;
			end loop;
		end if;

		for o in
			select d.occurrence_id, d.task, d.team, d.cadence, d.checklist_total, d.due_at,
				d.overdue_seconds is not null as overdue,
				day - greatest((d.opens_at at time zone 'America/New_York')::date, first) as age
			from maintsched.due_tasks d
			where d.occurrence_id is distinct from waived
			order by d.occurrence_id
		loop
			-- most in time, some late, a few never, none of these in the last week
			chance := case when day > current_date - 9 then 50 else abs(hashint8(o.occurrence_id)) % 100 end;
			is_time := case
				when o.task = 'dependency-update-review' and day >= forgotten_since then false
				when o.task = 'backup-restoration-test' and restore_failed is not null and failure is not null
					then day >= restore_failed + 10
				when o.cadence = 'daily' then chance > 3 and hour > '12:00' or o.overdue and chance > 0
				when o.cadence = 'weekly' then chance > 7 and hour > '12:00' or o.overdue and o.age >= 2
				when o.cadence = 'monthly' then o.age >= 1 + chance % 5 + case when chance > 94 then 6 else 0 end
				when o.due_at < maintsched.clock() + interval '2 days' then true
				when o.cadence = 'quarterly' then o.age >= 6 + chance % 18
				else o.age >= 20 + chance % 40
			end;
			continue when not is_time;

			set session authorization demo_anna;
			performer := case
				when o.team = 'On-call' then (array['Anna', 'Carla', 'Dave'])[1 + (day - first) / 7 % 3]
				when o.team = 'Security' then 'Erin'
				when o.team like '%DBA%' then 'Grace'
				when o.team like 'Dev%' then 'Frank'
				else 'Heidi'
			end;
			if o.task = 'capacity-planning' and waived is null and day > first + 60 then
				waived := o.occurrence_id;
				perform maintsched.request_waiver(o.occurrence_id, 'servers move to the new hosts this month',
					o.due_at + interval '14 days');
				reset session authorization;
				set session authorization demo_ben;
				perform maintsched.approve_waiver(max(w.waiver_id), 'planned anew after the move')
				from maintsched.waivers w;
			elsif o.task = 'backup-restoration-test' and restore_failed is null then
				restore_failed := day;
				perform maintsched.check_item(o.occurrence_id, 1, false, 'does not start: a tablespace is missing');
				failure := maintsched.complete_task(o.occurrence_id, 'fail', 'restored, did not start',
					jsonb_build_object('backup', 'base_' || to_char(day, 'YYYYMMDD'), 'restore_minutes', 52), performed_by => performer);
			else
				if failure is not null and o.task = 'backup-restoration-test' then
					perform maintsched.record_corrective_action(failure, 'tablespace map added to the backup script',
						'{"change": "CHG-1187"}');
					failure := null;
				end if;
				if o.checklist_total > 0 then
					perform maintsched.check_items(o.occurrence_id,
						variadic array(select n from generate_series(1, o.checklist_total) n));
				end if;
				perform maintsched.complete_task(o.occurrence_id,
					evidence => case
						when o.task = 'backup-restoration-test'
							then jsonb_build_object('backup', 'base_' || to_char(day, 'YYYYMMDD'), 'restore_minutes', 35 + chance % 15)
						when o.task = 'backup-verification'
							then jsonb_build_object('backup', 'base_' || to_char(day, 'YYYYMMDD'), 'checksums', 'verified')
						when o.cadence <> 'daily' then jsonb_build_object('ticket', 'OPS-' || 1000 + o.occurrence_id)
					end,
					performed_by => performer);
			end if;
			reset session authorization;
		end loop;

		if extract(isodow from day) = 7 and hour > '12:00' then
			perform maintsched.tick();
			commit;
		end if;
	end loop;
end
$demo$;
reset client_min_messages;
reset maintsched.now;
select maintsched.tick() \g /dev/null

\echo
\echo '* today, in real time.  Compliance by clause of HIPAA, the worst first:  maintsched.compliance_status'
\set ECHO queries
select control, left(title, 32) as title, status, ok, tasks, last_evidence_at::date as last_evidence,
	round(100 * on_time_rate, 1) as "on time %"
from maintsched.compliance_status
where status <> 'not_covered' order by status_rank, framework, control;
select status, count(*) as clauses from maintsched.compliance_status group by status, status_rank order by status_rank;
\set ECHO none

\echo
\echo '* by month:  maintsched.compliance_monthly'
\set ECHO queries
select to_char(month, 'YYYY-MM') as month, occurrences, done, late, failed, missed, overdue, waived,
	round(100 * on_time_rate, 1) as "on time %"
from maintsched.compliance_monthly order by month;
\set ECHO none

\echo
\echo '* one control fails.  Why?  Which of its tasks, and what became of that one:'
\set ECHO queries
select c.control, t.task, t.team, t.status, t.last_done_at::date as last_done, t.missed_12m as missed,
	round(100 * t.on_time_rate, 1) as "on time %"
from maintsched.compliance_status c
join maintsched.task k on c.framework || ' ' || c.control = any (k.controls)
join maintsched.task_status t on t.calendar = k.calendar and t.task = k.name
where c.status = 'failing' order by t.status_rank, t.task;
select opens_at::date as opened, status, performed_by, completed_at::date as completed
from maintsched.occurrence_status
where task = 'dependency-update-review' and due_at <= maintsched.clock()
order by due_at desc limit 7;
\set ECHO none

\echo
\echo '* a restore test that failed, was corrected, passed and was reviewed by another role'
\set ECHO queries
select completed_at::date as completed, performed_by, recorded_by, outcome, note, review, reviewed_by
from maintsched.completions where task = 'backup-restoration-test' order by completion_id;
select recorded_by, action, evidence from maintsched.corrective_actions;
select waiver_id, task, state, reason, requested_by, decided_by from maintsched.waivers;
\set ECHO none

\echo
\echo '* what an auditor asks for: every backup verification of ten weeks, done or not'
\set ECHO queries
select opens_at::date as opened, status, completed_at::date as completed, performed_by, recorded_by, evidence, simulated
from maintsched.evidence_for('HIPAA', '164.308(a)(7)(ii)(A)', current_date - 70, current_date, include_simulated => true);
select count(*) as without_the_simulated_ones
from maintsched.evidence_for('HIPAA', '164.308(a)(7)(ii)(A)', current_date - 70, current_date);
\set ECHO none

\echo
\echo '* a second calendar, and what is due now'
\set ECHO queries
select maintsched.install_calendar('astral-core');
select * from maintsched.today;
\set ECHO none

\echo
\echo '* the week ahead (beside the daily duties):  maintsched.upcoming_tasks'
select to_char(opens_at, 'Dy DD Mon HH24:MI') as opens,
	to_char(due_at, 'Dy DD Mon HH24:MI') as due,
	title as what, team, cadence, calendar
from maintsched.upcoming_tasks
where cadence <> 'daily' and opens_at < maintsched.clock() + interval '7 days'
order by opens_at, due_at, calendar, title;

\echo
\echo '* what each team has before it:  maintsched.team_workload'
select calendar, team, due, overdue, next_7_days, next_30_days, effort_minutes_30_days / 60 as hours_30_days
from maintsched.team_workload order by calendar, effort_minutes_30_days desc, team;

\echo
\echo '* maintenance windows:  maintsched.window_schedule'
select to_char(opens_at, 'Dy DD Mon HH24:MI') as opens,
	to_char(closes_at, 'Dy DD Mon HH24:MI') as closes,
	title as window, change_class, calendar,
	case when open_now then 'open now' end as now
from maintsched.window_schedule
where opens_at < maintsched.clock() + interval '14 days'
order by opens_at, closes_at, title;

\echo
\echo '* is the calendar itself well?  maintsched.health, which says that none of this is evidence'
select item, status, value, detail from maintsched.health where scope = 'maintsched';

\echo
\echo '* the database works by itself (in real time, in a database of its own, "demo_work")'
\echo '  two tables, two tasks that are open from now on, and a window that opens in 5 seconds'
alter system set maintsched.launcher = on;
select pg_reload_conf() \g /dev/null
create database demo_work;
\connect demo_work
set timezone = 'UTC';
set datestyle = 'ISO';
\set ECHO queries
create extension maintsched;
select maintsched.launcher_state(), maintsched.import_calendar('{"format": "maintsched-calendar/1",
	"name": "shop", "title": "Shop", "timezone": "UTC", "tasks": []}') as calendar;
create table session as select n as id, now() - n * interval '1 hour' as last_seen from generate_series(1, 5000) n;
create table orders as select n as id, n % 7 as state from generate_series(1, 20000) n;
listen maintsched;
select maintsched.add_window('shop', 'soon', 'FREQ=DAILY', date_trunc('second', localtimestamp) + interval '5 s', '1 hour', 'minor');
select maintsched.add_task('shop', 'tidy-up', 'FREQ=DAILY', title => 'Tidy up', teams => array['DBA'],
	starts_on => date_trunc('second', localtimestamp), due_within => '12 hours',
	routine => 'sql', params => '{"statements": [
		{"name": "old sessions", "statement": "delete from session where last_seen < now() - interval ''90 days''"},
		{"name": "vacuum", "statement": "vacuum session", "timeout": "5 min"},
		{"name": "broken", "statement": "delete from no_such_table"}]}') as task_id;
select maintsched.add_task('shop', 'statistics', 'FREQ=DAILY', title => 'Statistics', teams => array['DBA'],
	starts_on => date_trunc('second', localtimestamp), due_within => '12 hours', routine => 'analyze',
	params => '{"include": ["public"]}') as task_id;
select task, status, waits_for, next_run_at from maintsched.due_tasks order by occurrence_id;
\set ECHO none

\echo '  now nobody does anything, until both have run (some seconds, a minute at the most)'
do $demo$
begin
	for i in 1 .. 600 loop
		exit when 2 = (select count(*) from maintsched.run_history where finished_at is not null)
			and exists (select from maintsched.notices where kind = 'window_start');
		commit;
		perform pg_sleep(0.1);
	end loop;
end
$demo$;

\echo
\echo '* what ran:  maintsched.run_history, maintsched.run_actions'
\set ECHO queries
select run_id, task, routine, state, stop_reason, requested_by, run_as,
	to_char(started_at, 'HH24:MI:SS.MS') as started,
	round(1000 * extract(epoch from finished_at - started_at)) as ms, actions, actions_done as done, actions_failed as failed
from maintsched.run_history order by run_id;
select run_id, seq, target, command, state, sqlstate, message from maintsched.run_actions order by run_id, seq;
\set ECHO none

\echo
\echo '* what it means for the duties, and what people are told (each is a NOTIFY as well)'
\set ECHO queries
select task, status, outcome, performed_by, evidence, note from maintsched.occurrence_status
where status <> 'scheduled' order by occurrence_id;
select kind, subject, team, late from maintsched.notices order by notice_id;
select state, sentence from maintsched.status_page where state = 'now';
select item, status, detail from maintsched.health where item in ('launcher', 'runs', 'windows');
\set ECHO none
