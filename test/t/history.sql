-- A database with something in it: both calendars, and changes of every kind.
create extension maintsched;
select maintsched.install_calendar('smartmed', timezone => 'America/New_York');
select maintsched.install_calendar('astral-core');
-- nothing is queued by itself between a dump and what is compared with it
update maintsched.task set kind = 'manual', routine = null, params = '{}' where routine in (select name from maintsched.routine);
update maintsched.task set checklist = (select jsonb_agg(i - 'routine') from jsonb_array_elements(checklist) i)
where checklist @> '[{"routine": "health"}]';
select maintsched.measure_health('{"disk_warn": 0.9}') is not null;
select maintsched.run_routine('log_cleanup', force => true, reason => 'asked for by hand') as run \gset
select maintsched.cancel_run(:run);
select maintsched.add_task('astral-core', 'own-task', 'FREQ=MONTHLY;BYDAY=1MO', title => 'A task of our own',
	teams => array['DBA', 'DevOps'], starts_on => '2026-01-01 09:00', due_within => '8 hours',
	checklist => array['one', 'two']);
select maintsched.rename_task('astral-core', 'own-task', 'renamed-task');
update maintsched.task set due_within = '4 hours', title = 'A changed title' where name = 'renamed-task';
select maintsched.add_task('astral-core', 'retired-task', 'FREQ=DAILY', title => 'Soon gone',
	teams => array['All'], starts_on => '2026-01-01 09:00', due_within => '8 hours');
select maintsched.retire_task('astral-core', 'retired-task', 'not needed');
select maintsched.set_timezone('astral-core', 'Europe/Dublin');
select maintsched.assign_team('smartmed', 'DBA', 'pg_monitor');
select maintsched.add_window('smartmed', 'own-window', 'FREQ=WEEKLY;BYDAY=SA', '2026-01-03 22:00', '2 hours', 'minor', 'UTC');
update maintsched.contact set contact_given = 'dba@example.com'
where (calendar, role) = (select calendar, role from maintsched.contact order by calendar, role limit 1);
update maintsched.task set enabled = false
where task_id = (select min(task_id) from maintsched.task where calendar = 'smartmed');
select maintsched.tick();

-- Who does it: three people, and what they may.
create role regress_maintsched_alice login;
create role regress_maintsched_bob login;
create role regress_maintsched_carol login;
select maintsched.grant_access('regress_maintsched_alice', 'viewer');
select maintsched.grant_access('regress_maintsched_alice', 'operator');
select maintsched.grant_access('regress_maintsched_bob', 'manager');
select maintsched.grant_access('regress_maintsched_carol', 'viewer');
select maintsched.grant_access('pg_read_all_stats', 'viewer');
select maintsched.revoke_access('pg_read_all_stats');
select maintsched.pause('smartmed', 'moving the servers');
select maintsched.pause('astral-core/renamed-task', 'a short one', now() + interval '10 years');
select maintsched.resume('smartmed');
select maintsched.pause('smartmed', 'moving them again');
select maintsched.tick();
select maintsched.resume('smartmed');

-- Duties of the last six weeks, as if the calendar had been there.
select maintsched.add_task('astral-core', 'reviewed-task', 'FREQ=YEARLY', title => 'A task with review',
	teams => array['DBA'], starts_on => '2110-01-01 09:00', due_within => '8 hours');
update maintsched.task set review = true, controls = array['HIPAA 164.312(b)', 'HIPAA 164.308(a)(7)(ii)(D)']
where name = 'reviewed-task';
insert into maintsched.occurrence (task_id, version, local_start, timezone, opens_at, due_at, closes_at, planned_at, simulated)
select t.task_id, (select max(v.version) from maintsched.task_version v where v.task_id = t.task_id),
	d::timestamp, 'Europe/Dublin', d, d + interval '1 day', d + interval '36 hours', d, false
from maintsched.task t
cross join generate_series(date_trunc('minute', now()) - interval '40 days', now(), interval '2 days') d
where t.name in ('renamed-task', 'reviewed-task');
select (array_agg(o.occurrence_id order by o.opens_at))[1] as m1, (array_agg(o.occurrence_id order by o.opens_at))[2] as m2,
	(array_agg(o.occurrence_id order by o.opens_at))[18] as m18, (array_agg(o.occurrence_id order by o.opens_at))[19] as m19,
	(array_agg(o.occurrence_id order by o.opens_at))[20] as m20, (array_agg(o.occurrence_id order by o.opens_at))[21] as m21
from maintsched.occurrence o join maintsched.task t using (task_id)
where t.name = 'renamed-task' and o.opens_at <= now() \gset
select (array_agg(o.occurrence_id order by o.opens_at))[1] as r1, (array_agg(o.occurrence_id order by o.opens_at))[14] as r14,
	(array_agg(o.occurrence_id order by o.opens_at))[15] as r15, (array_agg(o.occurrence_id order by o.opens_at))[16] as r16,
	(array_agg(o.occurrence_id order by o.opens_at))[17] as r17, (array_agg(o.occurrence_id order by o.opens_at))[18] as r18,
	(array_agg(o.occurrence_id order by o.opens_at))[19] as r19, (array_agg(o.occurrence_id order by o.opens_at))[20] as r20,
	(array_agg(o.occurrence_id order by o.opens_at))[21] as r21
from maintsched.occurrence o join maintsched.task t using (task_id)
where t.name = 'reviewed-task' and o.opens_at <= now() \gset
select min(name) as first_task, max(name) as last_task from maintsched.task where calendar = 'smartmed' and enabled \gset
set maintsched.max_backdate = '30d';

-- Facts of every kind, in real time; some before they are closed, some after.
set session authorization regress_maintsched_alice;
select maintsched.begin_task(:m18);
select maintsched.check_items(:m18, 1, 2);
select maintsched.complete_task(:m18, 'pass', 'all in order', '{"file": "log-18.txt", "rows": 42}',
	now() - interval '5 days 20 hours', 'Alice');
select maintsched.check_item(:m19, 2, false, 'disk is nearly full');
select maintsched.complete_task(:m19, 'fail', 'see item 2');
select maintsched.begin_task(:m21);
select maintsched.check_item(:m21, 1);
select maintsched.complete_task(:m2, 'inconclusive');
select maintsched.complete_task(:r16, 'partial', performed_by => 'Someone');
select maintsched.complete_task(:r17, completed_at => now() - interval '7 days 10 hours') as to_accept \gset
select maintsched.complete_task(:r18, completed_at => now() - interval '5 days 10 hours') as to_reject \gset
select maintsched.complete_task(:r19, completed_at => now() - interval '3 days 10 hours') as to_retract \gset
select maintsched.complete_task(:r20, 'fail') as to_correct \gset
select maintsched.record_corrective_action(:to_correct, 'replaced the disk', '{"ticket": "T-1"}');
select maintsched.request_waiver(:m21, 'moving', now() + interval '5 days') as to_approve \gset
select maintsched.request_waiver(:r21, 'not today', now() + interval '5 days') as to_refuse \gset
select maintsched.request_waiver('smartmed', :'first_task',
	'moving all week', now() + interval '10 days', now() + interval '17 days') as for_range \gset
select maintsched.request_waiver('astral-core', 'reviewed-task', 'moving', now() + interval '1 day', now() + interval '9 days') as to_revoke \gset
select maintsched.request_waiver('astral-core', 'reviewed-task', 'undecided', now() + interval '1 day', now() + interval '9 days');
set session authorization regress_maintsched_bob;
select maintsched.review_completion(:to_accept, 'accepted');
select maintsched.review_completion(:to_reject, 'rejected', 'the log is missing');
select maintsched.retract_completion(:to_retract, 'the wrong duty');
select maintsched.approve_waiver(:to_approve, 'agreed'), maintsched.approve_waiver(:for_range), maintsched.approve_waiver(:to_revoke);
select maintsched.revoke_waiver(:to_revoke, 'it was not moved');
select maintsched.reject_waiver(:to_refuse, 'it takes a minute');
select maintsched.record_prior('astral-core', 'reviewed-task', '2020-01-02 03:04+00', '{"file": "audit-2020.pdf"}');
set session authorization default;
select maintsched.tick();
set session authorization regress_maintsched_alice;
select maintsched.complete_task(:r18, 'pass', 'with the log', '{"file": "log.txt"}', now() - interval '5 days 9 hours');
select maintsched.complete_task(:m1, 'partial');
set session authorization default;
select maintsched.tick();
-- owed until the next tick()
set session authorization regress_maintsched_alice;
select maintsched.complete_task(:r1, 'inconclusive', 'nobody remembers');
select maintsched.complete_task(:r15, 'fail');
set session authorization default;

-- The same under a simulated clock, of the calendars' own duties.
select set_config('maintsched.now', (now() + interval '20 days')::text, false) is not null;
select maintsched.tick();
set session authorization regress_maintsched_alice;
select count(maintsched.begin_task(d.occurrence_id)) from (
	select occurrence_id from maintsched.due_tasks where occurrence_id is not null order by calendar, task, due_at limit 30) d;
select count(maintsched.check_item(d.occurrence_id, 1)) from (
	select occurrence_id from maintsched.due_tasks where checklist_total > 0 order by calendar, task, due_at limit 20) d;
select count(maintsched.complete_task(d.occurrence_id, case when d.checklist_done = d.checklist_total then 'pass' else 'partial' end)) from (
	select * from maintsched.due_tasks where occurrence_id is not null order by calendar, task, due_at limit 30) d;
select maintsched.request_waiver('smartmed', :'last_task',
	'simulated', now() + interval '21 days', now() + interval '40 days') as simulated \gset
set session authorization regress_maintsched_bob;
select maintsched.approve_waiver(:simulated);
select count(maintsched.review_completion(c.completion_id, case when c.completion_id % 2 = 0 then 'accepted' else 'rejected' end, 'simulated'))
from maintsched.completions c where c.simulated and c.review = 'pending';
set session authorization default;
select set_config('maintsched.now', (now() + interval '45 days')::text, false) is not null;
select maintsched.tick();
set session authorization regress_maintsched_alice;
select count(maintsched.complete_task(d.occurrence_id, 'fail')) from (
	select * from maintsched.due_tasks where occurrence_id is not null order by calendar, task desc, due_at limit 20) d;
set session authorization default;
reset maintsched.now;
reset maintsched.max_backdate;
