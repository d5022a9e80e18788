-- Where two rules meet: waivers and edits, instants that are equal, evidence from
-- before, holes in the planning, groups.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set datestyle = 'ISO';
create role regress_maintsched_a login;
create role regress_maintsched_b login;
create role regress_maintsched_group;
grant regress_maintsched_group to regress_maintsched_a, regress_maintsched_b;
select maintsched.grant_access('regress_maintsched_a', 'manager');
select maintsched.grant_access('regress_maintsched_b', 'manager');
select maintsched.grant_access('regress_maintsched_group', 'operator');
set maintsched.now = '2026-01-01 00:00+00';
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "t", "title": "T", "tasks": []}');
-- what the facts say and what the lists say
create view pg_temp.said as
	select s.task, s.status as of_task, o.status as of_occurrence, d.status as to_do
	from maintsched.task_status s
	left join lateral (
		select x.* from maintsched.occurrence_status x
		where x.task = s.task and x.opens_at <= maintsched.clock() order by x.opens_at desc limit 1) o on true
	left join maintsched.due_tasks d on d.occurrence_id = o.occurrence_id;

-- A range covers what falls due in it, also after the task was changed.
select maintsched.add_task('t', 'w', 'FREQ=WEEKLY', starts_on => '2026-01-05 00:00', due_within => '1 day') > 0 as added;
set session authorization regress_maintsched_a;
select maintsched.request_waiver('t', 'w', 'holiday', '2026-01-01', '2026-01-06 12:00') as waiver \gset
reset session authorization;
set session authorization regress_maintsched_b;
select maintsched.approve_waiver(:waiver);
reset session authorization;
set maintsched.now = '2026-01-05 06:00+00';
select * from pg_temp.said;
set maintsched.now = '2026-01-02 00:00+00';
update maintsched.task set due_within = '3 days' where name = 'w';
set maintsched.now = '2026-01-06 00:00+00';
select * from pg_temp.said;
select maintsched.retire_task('t', 'w', 'next');

-- A time that is edited away and back is asked for again.
set maintsched.now = '2026-02-01 00:00+00';
select maintsched.add_task('t', 'y', 'FREQ=WEEKLY', starts_on => '2026-02-02 09:00', due_within => '1 day') > 0 as added;
set session authorization regress_maintsched_a;
select maintsched.request_waiver(min(occurrence_id), 'perhaps', '2026-02-06 12:00') as waiver
from maintsched.occurrence_status where task = 'y' \gset
reset session authorization;
set session authorization regress_maintsched_b;
select maintsched.reject_waiver(:waiver, 'no');
reset session authorization;
update maintsched.task set starts_on = '2026-02-02 10:00' where name = 'y';
select opens_at, status from maintsched.occurrence_status where task = 'y' order by 1 limit 2;
update maintsched.task set starts_on = '2026-02-02 09:00' where name = 'y';
select opens_at, status from maintsched.occurrence_status where task = 'y' order by 1 limit 2;
set maintsched.now = '2026-02-02 12:00+00';
select * from pg_temp.said;
select maintsched.retire_task('t', 'y', 'next');

-- A pass at the very instant at which the one before was missed is newer.
set maintsched.now = '2026-03-01 00:00+00';
select maintsched.add_task('t', 'd', 'FREQ=DAILY', starts_on => '2026-03-01 09:00', due_within => '20 hours') > 0 as added;
set maintsched.now = '2026-03-02 09:00+00';
select * from pg_temp.said;
select maintsched.complete_open_task('t', 'd') > 0 as done;
select * from pg_temp.said;
select missed, done from maintsched.task_monthly where task = 'd';
set maintsched.now = '2026-03-03 05:00+00';
select missed, done, on_time_rate from maintsched.task_monthly where task = 'd';
select maintsched.retire_task('t', 'd', 'next');

-- One that is waived and passed late is not open to another completion.
set maintsched.now = '2026-04-01 00:00+00';
select maintsched.add_task('t', 'g', 'FREQ=DAILY', starts_on => '2026-04-01 00:00', due_within => '12 hours', grace => '5 days') > 0 as added;
set session authorization regress_maintsched_a;
select maintsched.request_waiver(min(occurrence_id), 'away', '2026-04-03') as waiver
from maintsched.occurrence_status where task = 'g' \gset
reset session authorization;
set session authorization regress_maintsched_b;
select maintsched.approve_waiver(:waiver);
reset session authorization;
set maintsched.now = '2026-04-01 20:00+00';
select maintsched.complete_open_task('t', 'g') > 0 as done;
set maintsched.now = '2026-04-02 01:00+00';
select status, outcome from maintsched.occurrence_status where task = 'g' and opens_at <= maintsched.clock() order by opens_at;
select maintsched.complete_open_task('t', 'g') > 0 as done;
select maintsched.complete_open_task('t', 'g') > 0 as done;
select maintsched.retire_task('t', 'g', 'next');
select maintsched.complete_open_task('t', 'g') > 0 as done;

-- A failure under a waiver is no evidence: waived, and not ok.
set maintsched.now = '2026-04-20 00:00+00';
select maintsched.add_task('t', 'f', 'FREQ=YEARLY', starts_on => '2026-04-20 00:00', due_within => '5 days') > 0 as added;
update maintsched.task set controls = '{"HIPAA 164.308(a)(8)"}' where name = 'f';
select maintsched.complete_open_task('t', 'f', 'fail') > 0 as failed;
set session authorization regress_maintsched_a;
select maintsched.request_waiver('t', 'f', 'away', '2026-04-20', '2026-06-01') as waiver \gset
reset session authorization;
set session authorization regress_maintsched_b;
select maintsched.approve_waiver(:waiver);
reset session authorization;
select control, status, ok from maintsched.compliance_status where tasks > 0;
select control, status, ok from maintsched.compliance_by_calendar where tasks > 0;
select maintsched.retire_task('t', 'f', 'next');

-- Evidence from before belongs to the controls that the task was given since.
set maintsched.now = '2026-05-01 00:00+00';
select maintsched.add_task('t', 'p', 'FREQ=YEARLY', starts_on => '2026-05-01 00:00', due_within => '1 month') > 0 as added;
update maintsched.task set controls = '{"HIPAA 164.312(d)"}' where name = 'p';
select maintsched.record_prior('t', 'p', '2025-05-07', '{"file": "old.pdf"}') > 0 as recorded;
select task, status, completed_at, evidence from maintsched.evidence_for('HIPAA', '164.312(d)', '2025-01-01', '2026-01-01', true);
select control, status, ok, last_evidence_at from maintsched.compliance_status where tasks > 0;

-- Instants that are none, and a group that two people act as.
select occurrence_id as id from maintsched.due_tasks where task = 'p' \gset
select maintsched.complete_task(:id, completed_at => '-infinity');
select maintsched.complete_task(:id, completed_at => 'infinity');
set session authorization regress_maintsched_a;
set role regress_maintsched_group;
select maintsched.complete_task(:id, 'inconclusive') as by_group \gset
reset role;
select maintsched.review_completion(:by_group, 'rejected', 'mine');
reset session authorization;
set session authorization regress_maintsched_b;
select maintsched.review_completion(:by_group, 'rejected', 'not enough') > 0 as reviewed;
reset session authorization;
select status, outcome, review, performed_by, reviewed_by from maintsched.occurrence_status where occurrence_id = :id;
select maintsched.complete_task(:id, performed_by => 'Regress_Maintsched_B') as by_name \gset
set session authorization regress_maintsched_b;
select maintsched.review_completion(:by_name, 'accepted');
reset session authorization;
select status, attempts, first_failed_at from maintsched.occurrence_status where occurrence_id = :id;

-- Scopes by their names; pauses end by themselves.
select maintsched.pause('T/P', 'for the holidays', '2026-05-03');
select scope, until from maintsched.pauses;
select maintsched.pause('all', ' ');
select maintsched.pause('no-such', 'x');
select maintsched.pause('t', 'x', '2026-01-01');
select maintsched.resume('t');
select maintsched.pause('ALL', 'migration');
set client_min_messages = notice;
select maintsched.tick();
select maintsched.resume('all');
set client_min_messages = warning;
select scope from maintsched.pauses;
set maintsched.now = '2026-05-04 00:00+00';
select count(*) as pauses from maintsched.pauses;

drop view pg_temp.said;
reset maintsched.now;
drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_a, regress_maintsched_b, regress_maintsched_group;
