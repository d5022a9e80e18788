-- Change records: what people plan, what runs record of themselves.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set maintsched.now = '2026-11-02 08:00+00';
select maintsched.install_calendar('smartmed', timezone => 'UTC');
create role regress_maintsched_ann login;
create role regress_maintsched_bob login;
create role regress_maintsched_reader login;
select maintsched.grant_access('regress_maintsched_ann', 'manager');
select maintsched.grant_access('regress_maintsched_bob', 'manager');
select maintsched.grant_access('regress_maintsched_reader', 'viewer');
reset client_min_messages;

-- A major change has what is planned, a rollback plan, and 72 hours notice.
set session authorization regress_maintsched_ann;
select maintsched.plan_change('smartmed', 'Move the WAL volume', 'major', '2026-11-08 02:00+00', '2 h');
select maintsched.plan_change('smartmed', 'Move the WAL volume', 'major', '2026-11-08 02:00+00', '2 h',
	planned => 'Copy pg_wal to the new volume');
select maintsched.plan_change('smartmed', 'Move the WAL volume', 'major', '2026-11-05 07:59:59.999999+00', '2 h',
	planned => 'Copy pg_wal to the new volume', rollback => 'Mount the old one');
select maintsched.plan_change('smartmed', 'Move the WAL volume', 'critical', '2026-11-05 07:00+00', '2 h',
	planned => 'Copy pg_wal to the new volume', rollback => 'Mount the old one', force => true);
select maintsched.plan_change('smartmed', 'Move the WAL volume', 'major', '2026-11-05 08:00+00', '2 h',
	'T-100', 'Copy pg_wal to the new volume', 'Mount the old one', 'None is expected');
select maintsched.plan_change('SmartMed Maintenance Schedule', 'Replace the load balancer', 'major', '2026-11-04 20:00+00', '1 day',
	planned => 'Swap it', rollback => 'Swap it back', force => true, reason => 'the old one drops packets');
-- A minor one needs neither; its notice is shown.
select maintsched.plan_change('smartmed', 'Add a column', 'minor', '2026-11-02 10:30+00', '30 min');
select change_id, title, change_class, starts_at, ends_at, notice_hours, short_notice, reason, state, requested_by
from maintsched.change_log order by 1;

-- What is wrong is refused.
select maintsched.plan_change('smartmedd', 'x', 'minor', '2026-11-08 02:00+00', '2 h');
select maintsched.plan_change(null, 'x', 'minor', '2026-11-08 02:00+00', '2 h');
select maintsched.plan_change('smartmed', ' ', 'minor', '2026-11-08 02:00+00', '2 h');
select maintsched.plan_change('smartmed', E'two\nlines', 'minor', '2026-11-08 02:00+00', '2 h');
select maintsched.plan_change('smartmed', repeat('x', 501), 'minor', '2026-11-08 02:00+00', '2 h');
select maintsched.plan_change('smartmed', 'x', 'none', '2026-11-08 02:00+00', '2 h');
select maintsched.plan_change('smartmed', 'x', 'mayor', '2026-11-08 02:00+00', '2 h');
select maintsched.plan_change('smartmed', 'x', null, '2026-11-08 02:00+00', '2 h');
select maintsched.plan_change('smartmed', 'x', 'minor', null, '2 h');
select maintsched.plan_change('smartmed', 'x', 'minor', 'infinity', '2 h');
select maintsched.plan_change('smartmed', 'x', 'minor', '2026-11-02 07:59+00', '2 h');
select maintsched.plan_change('smartmed', 'x', 'minor', '2036-11-02 07:59+00', '2 h');
select maintsched.plan_change('smartmed', 'x', 'minor', '2026-11-08 02:00+00', '0');
select maintsched.plan_change('smartmed', 'x', 'minor', '2026-11-08 02:00+00', '-1 h');
select maintsched.plan_change('smartmed', 'x', 'minor', '2026-11-08 02:00+00', null);
select maintsched.plan_change('smartmed', 'x', 'minor', '2026-11-08 02:00+00', '32 days');

-- Another role approves, once.
select maintsched.approve_change(1);
set session authorization regress_maintsched_bob;
select maintsched.approve_change(1, 'seen');
select maintsched.approve_change(1);
select maintsched.approve_change(99);
select maintsched.approve_change(null);
select change_id, state, approved_by, approved_at, approval_note from maintsched.change_log where change_id = 1;

-- It is closed with what went wrong; who gives no documentation is asked for it.
set session authorization regress_maintsched_ann;
reset session authorization;
set maintsched.now = '2026-11-05 09:00+00';
select change_id, state, completed_at from maintsched.change_log order by 1;
set session authorization regress_maintsched_ann;
select maintsched.close_change(1, 'done');
select maintsched.close_change(1, 'rolled_back');
select maintsched.close_change(1, 'succeeded', completed_at => '2026-11-05 09:01+00');
select maintsched.close_change(1, 'succeeded', completed_at => '2026-11-02 07:00+00');
select maintsched.close_change(1, 'rolled_back', 'the new volume was too slow', completed_at => '2026-11-05 08:40+00');
select maintsched.close_change(1, 'succeeded');
select maintsched.approve_change(1);
select maintsched.close_change(2, 'cancelled', 'the vendor does it');
select maintsched.close_change(3, 'succeeded', documentation => 'wiki/schema');
select change_id, calendar, ticket, planned, rollback, requested_by, approved_by, starts_at, completed_at, outcome,
	issues, documentation, emergency, notice_hours, run_id, state, closed_by
from maintsched.change_log order by 1;
select task, title, note, change_id, opens_at, due_at, status, opened_by from maintsched.follow_ups;

-- Several at one instant do not clash; the task is used again.
begin;
select maintsched.plan_change('smartmed', 'First', 'minor', maintsched.clock(), '1 h');
select maintsched.plan_change('smartmed', 'Second', 'minor', maintsched.clock(), '1 h');
select maintsched.close_change(4, 'succeeded');
select maintsched.close_change(5, 'succeeded');
commit;
reset session authorization;
select f.note, o.local_start, o.opens_at, o.due_at, o.closes_at
from maintsched.follow_ups f join maintsched.occurrence o using (occurrence_id) order by f.change_id;
select name, kind, rule, teams, review, controls from maintsched.task where name = 'update-documentation';

-- They stay: planned anew, imported again, and no part of the document.
select maintsched.plan_task(task_id) from maintsched.task where name = 'update-documentation';
select * from maintsched.plan_import(maintsched.shipped_document('smartmed'));
select maintsched.import_calendar(maintsched.shipped_document('smartmed'));
select maintsched.export_calendar('smartmed') = maintsched.shipped_document('smartmed')::jsonb as same;
select count(*) from maintsched.follow_ups where status = 'due';
-- They are completed like any other.
select maintsched.complete_task(occurrence_id, note => 'runbook, page 3') from maintsched.follow_ups where change_id = 4;
select note, status from maintsched.follow_ups order by change_id;
set maintsched.now = '2026-11-12 09:00+00';
select note, status from maintsched.follow_ups order by change_id;
select title, status, overdue_seconds from maintsched.due_tasks where task = 'update-documentation';
-- Who disables the task is not asked any more.
update maintsched.task set enabled = false where name = 'update-documentation';
select maintsched.plan_change('smartmed', 'Third', 'minor', '2026-11-12 09:00+00', '1 h');
select maintsched.close_change(6, 'succeeded');
select count(*) from maintsched.follow_ups where status <> 'withdrawn';
update maintsched.task set enabled = true where name = 'update-documentation';

-- What is recorded stays as it was.
update maintsched.change_record set title = 'forged';
delete from maintsched.change_approval;
delete from maintsched.change_close;
truncate maintsched.change_run;
update maintsched.follow_up set note = 'forged';
-- Managers plan and approve, viewers read; pg_monitor reads no texts.
set session authorization regress_maintsched_reader;
select count(*), count(planned) from maintsched.change_log;
select count(*) from maintsched.follow_ups;
select maintsched.plan_change('smartmed', 'x', 'minor', '2026-11-28 02:00+00', '2 h');
select maintsched.approve_change(3);
select maintsched.close_change(3, 'succeeded');
select maintsched.open_follow_up('smartmed', 'x', 'X', '1 day', false, 'x');
reset session authorization;
set role pg_monitor;
select change_id, change_class, state, notice_hours from maintsched.change_log order by 1 limit 1;
select planned from maintsched.change_log;
select rollback, issues from maintsched.change_log;
reset role;

-- A scheduled run of class major: its record is made with its 72 h notice.
-- The first optimization that is ahead opens on Tuesday, 1 December; the next
-- major window is that of Sunday the 6th, 02:00, 72 hours after Thursday 02:00.
set client_min_messages = warning;
create function public.regress_plan(params jsonb) returns setof maintsched.action
language sql as $$ select null::maintsched.action where false $$;
update maintsched.routine set plan = 'public.regress_plan', description = 'Optimizes.', defaults = '{}', built_in = false where name = 'optimize';
reset client_min_messages;
create view public.regress_log as
select change_id, title, starts_at, ends_at, notice_hours as notice, state, outcome, completed_at, run_id as run, emergency as emg, issues
from maintsched.change_log where task = 'database-optimization' order by change_id;
set maintsched.now = '2026-12-03 01:59:59+00';
select maintsched.plan_due();
-- November's was not run: it closed with December's opening.
select maintsched.plan_changes();
select * from public.regress_log;
set maintsched.now = '2026-12-03 02:00+00';
select maintsched.plan_changes();
select maintsched.plan_changes();
select * from public.regress_log;
select planned, rollback, requested_by, calendar, change_class from maintsched.change_log where run_id is null and task is not null;
select maintsched.close_change(7, 'cancelled');
-- The window moves by an hour: another event, with its own record.
update maintsched.maintenance_window set starts_on = '2026-01-01 03:00' where name = 'primary';
select maintsched.plan_changes();
set maintsched.now = '2026-12-03 03:00+00';
select maintsched.plan_changes();
select * from public.regress_log;

-- It begins in the window: the same record, with how it is undone.
set maintsched.now = '2026-12-06 03:00:01+00';
create function public.regress_run() returns maintsched.run language sql as $$
	select maintsched.put_run(maintsched.run_for(t, 'scheduler'), array(
		select o.occurrence_id from maintsched.occurrence o
		where o.task_id = t.task_id and o.opens_at <= maintsched.clock() and o.closes_at > maintsched.clock()))
	from maintsched.task t where t.name = 'database-optimization' $$;
select (public.regress_run()).run_id;
select maintsched.change_problem(r) from maintsched.run r where run_id = 1;
update maintsched.run set state = 'running', started_at = maintsched.clock(), window_closes_at = '2026-12-06 07:00+00' where run_id = 1;
select maintsched.change_begun(1);
select maintsched.change_begun(1);
select maintsched.plan_changes();
select * from public.regress_log;
select rollback like '%REINDEX CONCURRENTLY keeps the old index%' as standing_text, planned
from maintsched.change_log where run_id = 1;
-- Its plan becomes what is planned.
select maintsched.note_actions(1, array[
	row('index a', 'reindex a', 'half of it is free', null, null, null)::maintsched.action,
	row('index b', 'reindex b', null, null, null, null)::maintsched.action,
	row('index c', 'reindex c', 'a third of it is free', null, null, null)::maintsched.action]);
select planned from maintsched.change_log where run_id = 1;
-- It fails in part, and is tried again in the same window: the same change.
update maintsched.run_action set state = 'done' where run_id = 1 and seq = 1;
update maintsched.run_action set state = 'failed', sqlstate = '53100', message = 'could not extend file' where run_id = 1 and seq = 2;
update maintsched.run_action set state = 'skipped', skip_reason = 'no_time' where run_id = 1 and seq = 3;
set maintsched.now = '2026-12-06 03:30+00';
update maintsched.run set state = 'partial', stop_reason = 'error', finished_at = maintsched.clock(), retry_at = '2026-12-06 03:31+00' where run_id = 1;
select maintsched.change_done(1);
select maintsched.plan_changes();
select * from public.regress_log where state <> 'closed';
set maintsched.now = '2026-12-06 03:31+00';
select (public.regress_run()).run_id;
update maintsched.run set state = 'running', started_at = maintsched.clock(), window_closes_at = '2026-12-06 07:00+00' where run_id = 2;
select maintsched.change_begun(2);
select maintsched.note_actions(2, array[
	row('index b', 'reindex b', null, null, null, null)::maintsched.action,
	row('index c', 'reindex c', 'a third of it is free', null, null, null)::maintsched.action]);
update maintsched.run_action set state = 'done' where run_id = 2 and seq = 1;
update maintsched.run_action set state = 'skipped', skip_reason = 'no_time' where run_id = 2 and seq = 2;
set maintsched.now = '2026-12-06 07:00+00';
-- It is over with its window; the next one is another change, at its 72 hours.
update maintsched.run set state = 'partial', stop_reason = 'window_closed', finished_at = maintsched.clock(), retry_at = '2026-12-06 07:00+00' where run_id = 2;
select maintsched.change_done(2);
select maintsched.plan_changes();
select * from public.regress_log where run in (1, 2) or state <> 'closed';
select planned from maintsched.change_log where run_id = 2;
select note, opens_at, due_at from maintsched.follow_ups where change_id = 8;
set maintsched.now = '2026-12-10 03:00+00';
select maintsched.plan_changes();
select * from public.regress_log where state <> 'closed';
-- People do it before: the run does not come.
set client_min_messages = warning;
select maintsched.complete_open_task('smartmed', 'database-optimization', note => 'by hand') > 0 as done;
reset client_min_messages;
select maintsched.plan_changes();
select * from public.regress_log where change_id = 9;

-- A run that nothing announced gets its record when it begins.
set maintsched.now = '2027-01-02 12:00+00';
select maintsched.plan_due();
select (public.regress_run()).run_id;
update maintsched.run set state = 'running', started_at = maintsched.clock() where run_id = 3;
select maintsched.change_begun(3);
select * from public.regress_log where change_id > 9;
-- One that no task asked for has no calendar, and no follow-up.
insert into maintsched.run (routine, params, run_as, change_class, requested_by, forced, reason, queued_at, not_before, simulated)
values ('optimize', '{}', 'postgres', 'major', 'regress_maintsched_ann', true, 'an index is broken', maintsched.clock(), maintsched.clock(), true);
update maintsched.run set state = 'running', started_at = maintsched.clock() where run_id = 4;
select maintsched.change_begun(4);
update maintsched.run set state = 'failed', finished_at = maintsched.clock(), message = 'the plan function failed' where run_id = 4;
select maintsched.change_done(4);
select calendar, title, state, outcome, issues, requested_by, reason, short_notice, planned from maintsched.change_log where run_id = 4;
-- An interrupted one has failed; minor work has no record.
update maintsched.run set state = 'interrupted', finished_at = maintsched.clock() where run_id = 3;
select maintsched.change_done(3);
select outcome, issues from public.regress_log where run = 3;
insert into maintsched.run (routine, params, run_as, change_class, requested_by, queued_at, not_before, simulated)
values ('analyze', '{}', 'postgres', 'minor', 'scheduler', maintsched.clock(), maintsched.clock(), true);
select maintsched.change_begun(5), maintsched.change_done(5), maintsched.change_begun(77), maintsched.change_done(77);
select count(*) from maintsched.change_log where run_id = 5;

-- A calendar may demand a rollback text and an approval.
select rollback_required, approval_required from maintsched.calendar;
update maintsched.task set rollback = null where name = 'database-optimization';
select maintsched.change_problem(maintsched.run_for(t, 'scheduler')) from maintsched.task t where t.name = 'database-optimization';
update maintsched.task set rollback = ' ' where name = 'database-optimization';
update maintsched.task set rollback = 'Restore the dump.' where name = 'database-optimization';
set client_min_messages = warning;
select maintsched.import_calendar(jsonb_set(maintsched.export_calendar('smartmed'), '{approval_required}', 'true')::text);
reset client_min_messages;
select field, old, new from maintsched.calendar_history where field in ('approval_required', 'rollback') order by changed_at, field;
select maintsched.export_calendar('smartmed') -> 'approval_required' as demanded;
select maintsched.change_problem(maintsched.run_for(t, 'scheduler')) from maintsched.task t where t.name = 'database-optimization';
-- Run 3 was January's; February's opens on Monday the 1st, and runs on Sunday the 7th.
set maintsched.now = '2027-02-04 03:00+00';
select maintsched.plan_due(), maintsched.plan_changes();
select * from public.regress_log where state <> 'closed';
select maintsched.change_problem(maintsched.run_for(t, 'scheduler')) from maintsched.task t where t.name = 'database-optimization';
-- Not by who wrote what runs.
update maintsched.task set run_as = 'regress_maintsched_ann' where name = 'database-optimization';
set session authorization regress_maintsched_ann;
select maintsched.approve_change(12);
set session authorization regress_maintsched_bob;
select maintsched.approve_change(12, 'go ahead');
reset session authorization;
select maintsched.change_problem(maintsched.run_for(t, 'scheduler')) from maintsched.task t where t.name = 'database-optimization';
select state, approved_by from maintsched.change_log where change_id = 12;
-- It does not run in its window: cancelled, and the next one needs its own approval.
set maintsched.now = '2027-02-07 07:00+00';
select maintsched.plan_changes();
select state, outcome, issues from public.regress_log where change_id = 12;
select maintsched.change_problem(maintsched.run_for(t, 'scheduler')) from maintsched.task t where t.name = 'database-optimization';

-- One run for two tasks: each has its record.
select maintsched.add_task('smartmed', 'optimize-again', 'FREQ=MONTHLY;BYMONTHDAY=1', due_within => '7 days', routine => 'optimize') > 0 as added;
update maintsched.task set rollback = 'Restore the dump.' where name = 'optimize-again';
set maintsched.now = '2027-03-04 03:00+00';
select maintsched.plan_due(), maintsched.plan_changes();
select change_id, task, starts_at, notice_hours, state from maintsched.change_log where state <> 'closed' order by 1;
set maintsched.now = '2027-03-07 03:00+00';
select (maintsched.put_run(maintsched.run_for(t, 'scheduler'), array(
	select o.occurrence_id
	from maintsched.occurrence o
	join maintsched.task x using (task_id)
	where x.routine = 'optimize' and o.opens_at = '2027-03-01 00:00+00'))).run_id
from maintsched.task t where name = 'database-optimization';
select maintsched.plan_changes();
update maintsched.run set state = 'running', started_at = maintsched.clock(), window_closes_at = '2027-03-07 07:00+00' where run_id = 6;
select maintsched.change_begun(6);
select maintsched.note_actions(6, array[row('index a', 'reindex a', 'half of it is free', null, null, null)::maintsched.action]);
update maintsched.run_action set state = 'done' where run_id = 6;
update maintsched.run set state = 'succeeded', finished_at = maintsched.clock() where run_id = 6;
select maintsched.change_done(6);
select change_id, task, run_id, state, outcome, planned, rollback like '%Restore the dump.' as standing_text
from maintsched.change_log where run_id = 6 order by 1;
select change_id, status from maintsched.follow_ups where change_id > 12 order by 1;

-- In the window of its class, and for longer than that.
select maintsched.plan_change('smartmed', 'x', 'major', '2027-03-14 03:00+00', '4 h', planned => 'x', rollback => 'y');
select maintsched.plan_change('smartmed', 'x', 'major', '2027-03-14 03:00+00', '04:00:01', planned => 'x', rollback => 'y');

-- In real time, simulated records do not count.
select item, status from maintsched.health where item = 'simulated records';
set client_min_messages = warning;
drop view public.regress_log;
drop function public.regress_run();
drop extension maintsched cascade;
drop function if exists public.regress_plan(jsonb);
drop role regress_maintsched_ann, regress_maintsched_bob, regress_maintsched_reader;
create extension maintsched;
