-- A restore test that failed on 10 January, was fixed, passed on 20 January and
-- was reviewed: what each view says on the 9th, 11th, 21st, and on 2 April; and
-- what an auditor is given.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set datestyle = 'ISO';
create role regress_maintsched_dora login;
create role regress_maintsched_sam login;
select maintsched.grant_access('regress_maintsched_dora', 'operator');
select maintsched.grant_access('regress_maintsched_sam', 'manager');
set maintsched.now = '2026-01-01 10:00+00';
select maintsched.install_calendar('smartmed');
select maintsched.record_prior('smartmed', 'backup-restoration-test', '2025-10-14 15:00+00', '{"report": "restore-2025-q4.pdf"}') > 0 as recorded;

set maintsched.now = '2026-01-10 14:00+00';
set session authorization regress_maintsched_dora;
select maintsched.complete_open_task('smartmed', 'Backup restoration test', 'fail', 'WAL segment missing, recovery stopped',
	'{"log": "restore-0110.log", "rto_minutes": null}') as failed \gset
reset session authorization;
set maintsched.now = '2026-01-12 09:00+00';
set session authorization regress_maintsched_dora;
select maintsched.record_corrective_action(:failed, 'archive_command now fails when the copy fails', '{"change": 311}') > 0 as recorded;
reset session authorization;
set maintsched.now = '2026-01-20 16:30+00';
set session authorization regress_maintsched_dora;
select occurrence_id as id from maintsched.due_tasks where task = 'backup-restoration-test' \gset
select maintsched.check_items(:id, 1);
select maintsched.complete_task(:id, 'pass', 'restored, counts equal', '{"log": "restore-0120.log", "rto_minutes": 41}') as passed \gset
reset session authorization;
set maintsched.now = '2026-01-20 18:00+00';
set session authorization regress_maintsched_sam;
select maintsched.review_completion(:passed, 'accepted', 'log and counts seen') > 0 as reviewed;
reset session authorization;

create procedure pg_temp.at(at timestamptz) language plpgsql as $$
begin
	perform set_config('maintsched.now', at::text, false);
end
$$;
prepare said as
	select 'due_tasks' as view, status as says, format('%s of %s ticked', checklist_done, checklist_total) as and_more
	from maintsched.due_tasks where task = 'backup-restoration-test'
	union all
	select 'occurrence_status', status, concat_ws(', ', outcome, attempts || ' attempts', 'first failed ' || first_failed_at::date, review, reviewed_by)
	from maintsched.occurrence_status where task = 'backup-restoration-test' and due_at = '2026-02-01Z'
	union all
	select 'task_status', status, concat_ws(', ', last_done_at::date::text, last_outcome, 'next due ' || next_due_at::date, 'open ' || open_count, 'rate ' || on_time_rate)
	from maintsched.task_status where task = 'backup-restoration-test'
	union all
	select 'compliance_status', status, concat_ws(', ', 'ok ' || ok, tasks || ' tasks', 'evidence ' || last_evidence_at::date, 'rate ' || on_time_rate)
	from maintsched.compliance_status where control = '164.310(d)(2)(i)'
	union all
	select 'compliance_by_calendar', status, 'ok ' || ok
	from maintsched.compliance_by_calendar where control = '164.310(d)(2)(i)'
	union all
	select 'task_monthly', month::text, format('%s occurrences, %s done, rate %s', occurrences, done, on_time_rate)
	from maintsched.task_monthly where task = 'backup-restoration-test'
	union all
	select 'control_monthly', month::text, format('%s occurrences, %s done, rate %s', occurrences, done, on_time_rate)
	from maintsched.control_monthly where control = '164.310(d)(2)(i)';
call pg_temp.at('2026-01-09 12:00+00');
execute said;
call pg_temp.at('2026-01-11 12:00+00');
execute said;
call pg_temp.at('2026-01-20 17:00+00');
execute said;
call pg_temp.at('2026-01-21 12:00+00');
execute said;
call pg_temp.at('2026-04-02 12:00+00');
execute said;

-- what the auditor files of the year
call pg_temp.at('2026-12-31 12:00+00');
select count(*) from maintsched.evidence_for('HIPAA', '164.310(d)(2)(i)', null, null, true);
select maintsched.tick();
\x
select occurrence_id is null as no_occurrence, task, status, completed_at, evidence, attempts, due_at
from maintsched.evidence_for('HIPAA', '164.310(d)(2)(i)', '2025-01-01', '2026-03-01', true);
\x
select task, status, due_at::date, outcome, performed_by, attempts, first_failed_at::date, review, reviewed_by, evidence, waiver_id
from maintsched.evidence_for('hipaa', '164.310(d)(2)(i)', '2025-01-01', '2026-12-31', true);
select count(*) as not_simulated from maintsched.evidence_for('HIPAA', '164.310(d)(2)(i)', '2025-01-01', '2027-01-01');
select count(*) as of_the_task from maintsched.evidence_for_task('SmartMed Maintenance Schedule', 'Backup restoration test', null, null, true);
select count(*) as whole_population, count(*) = count(*) filter (where status = 'imported' or due_at >= '2026-01-01' and due_at < '2027-01-01') as in_span
from maintsched.evidence_for('HIPAA', '164.308(a)(7)(ii)(B)', '2026-01-01', '2027-01-01', true);
select completion_id = :failed as failed, action, evidence, recorded_by from maintsched.corrective_actions;
-- half-open: what is due at the end of the span belongs to the next
select count(*) from maintsched.evidence_for('HIPAA', '164.310(d)(2)(i)', '2026-01-15', '2026-02-01', true);
select count(*) from maintsched.evidence_for('HIPAA', '164.310(d)(2)(i)', '2026-02-01', '2026-02-02', true);
-- what is asked for wrongly
select maintsched.evidence_for('HIPA', '164.312(b)', null, null);
select maintsched.evidence_for('HIPAA', '164.308(a)(7)', null, null);
select maintsched.evidence_for('HIPAA', '164.312(z)', null, null);
select maintsched.evidence_for('HIPAA', '164.312(b)', '2026-02-01', '2026-01-01');
select maintsched.evidence_for('HIPAA', '164.312(b)', '2026-02-01', '2026-03-01', null);
select maintsched.evidence_for(null, null, null, null);
select maintsched.evidence_for_task('smartmed', 'restore test', null, null);
select maintsched.record_prior('smartmed', 'dr-drill', '2026-01-02', '{}');
select maintsched.record_prior('smartmed', 'dr-drill', '2025-01-02', null);
select maintsched.record_prior('smartmed', 'dr-drill', '2025-01-02', '{}');
select maintsched.record_prior('smartmed', 'dr-drill', null, '{}');
select maintsched.record_corrective_action(:failed, ' ');
select maintsched.record_corrective_action(4711, 'x');
select maintsched.retract_completion(:failed, null);
set session authorization regress_maintsched_sam;
select maintsched.retract_completion(:failed, 'of another database');
reset session authorization;
select maintsched.retract_completion(:failed, 'again');
select maintsched.record_corrective_action(:failed, 'too late');
select maintsched.request_waiver(:id, 'x', '2027-01-01');
select maintsched.request_waiver(0, 'x', '2027-01-01');
select maintsched.request_waiver(null, 'x', '2027-01-01');
select maintsched.request_waiver('smartmed', 'dr-drill', 'x', '2027-02-01', '2027-01-01');
select maintsched.request_waiver('smartmed', 'dr-drill', 'x', '2027-02-01', 'infinity');
select maintsched.request_waiver('smartmed', 'dr-drill', 'x', '2026-02-01', '2026-03-01');
select maintsched.request_waiver('smartmed', 'dr-drill', '', '2027-02-01', '2027-03-01');
select maintsched.approve_waiver(12);
select maintsched.complete_task(null);
select maintsched.complete_task(:id, 'passed');
select maintsched.complete_open_task('smartmed', 'backup-restoration-test', null);

-- what is done on demand only makes no control not_started
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "demand", "title": "On demand", "tasks": [
	{"name": "only", "title": "Only", "teams": ["A"], "kind": "manual", "rule": null, "controls": ["HIPAA 164.312(e)(2)(i)"]},
	{"name": "daily", "title": "Daily", "teams": ["A"], "kind": "manual", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T00:00:00",
		"due_within": "P1D", "controls": ["HIPAA 164.308(a)(8)"]},
	{"name": "too", "title": "Too", "teams": ["A"], "kind": "manual", "rule": null, "controls": ["HIPAA 164.308(a)(8)"]}]}');
select task, status from maintsched.task_status where calendar = 'demand' order by 1;
select control, status, ok, tasks from maintsched.compliance_by_calendar where calendar = 'demand' and control in ('164.312(e)(2)(i)', '164.308(a)(8)');

reset maintsched.now;
drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_dora, regress_maintsched_sam;
