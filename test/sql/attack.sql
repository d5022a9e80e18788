-- Real logins: what each access may do, who is recorded, and attempts to write
-- facts otherwise, to forge them, to lose them, and to be two people.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
select current_user as super \gset
create role regress_maintsched_viewer login;
create role regress_maintsched_anna login;
create role regress_maintsched_bert login;
create role regress_maintsched_chief login;
create role regress_maintsched_boss login;
create role regress_maintsched_pool login;
create role regress_maintsched_monitor login in role pg_monitor;
create role regress_maintsched_nobody login;
select maintsched.grant_access('regress_maintsched_viewer', 'viewer');
select maintsched.grant_access('regress_maintsched_anna', 'operator');
select maintsched.grant_access('regress_maintsched_bert', 'operator');
select maintsched.grant_access('regress_maintsched_chief', 'manager');
select maintsched.grant_access('regress_maintsched_boss', 'manager');
select maintsched.grant_access('regress_maintsched_nobdy', 'viewer');
select maintsched.grant_access('regress_maintsched_anna', 'admin');
select maintsched.grant_access('public', 'viewer');
select maintsched.grant_access('pg_monitor', 'manager');
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "cal", "title": "Cal", "tasks": [
	{"name": "log", "title": "Log review", "teams": ["All"], "kind": "manual", "rule": "FREQ=YEARLY", "review": true,
		"starts_on": "2026-01-01T00:00:00", "due_within": "P1Y", "controls": ["HIPAA 164.312(b)"],
		"checklist": [{"text": "Read"}, {"text": "Filed"}]},
	{"name": "backup", "title": "Backup check", "teams": ["DBA"], "kind": "manual", "rule": "FREQ=DAILY",
		"starts_on": "2026-01-01T00:00:00", "due_within": "P1D", "controls": []}]}');
reset client_min_messages;

-- Nobody, and a viewer: who reads, and reads only.
\c - regress_maintsched_nobody
select * from maintsched.today;
\c - regress_maintsched_viewer
set client_min_messages = warning;
select what, checklist from maintsched.today order by 1;
select count(*) from maintsched.compliance_status where status = 'due';
select count(*) > 1 as some from maintsched.evidence_for('HIPAA', '164.312(b)', null, null);
select maintsched.complete_task(1);
select maintsched.check_items(1, 1);
select maintsched.request_waiver(1, 'me, too', now() + interval '9 days');
select maintsched.evidence_of(array[1], null, null, null, true);
select maintsched.take_occurrence(1);
select count(*) from maintsched.completion;
insert into maintsched.completion (occurrence_id, attempt, outcome, completed_at, effective_at, backdated, performed_by)
	values (1, 1, 'pass', now(), now(), false, 'me');

-- An operator works; the session's user is recorded, whatever she says.
\c - regress_maintsched_anna
set client_min_messages = warning;
select occurrence_id as log from maintsched.due_tasks where task = 'log' \gset
select occurrence_id as backup from maintsched.due_tasks where task = 'backup' \gset
select maintsched.begin_task(:log);
\set VERBOSITY sqlstate
select maintsched.complete_task(:log) = 0 as refused;
\set VERBOSITY default
select maintsched.check_item(:log, 1), maintsched.check_items(:log, 2);
select maintsched.complete_task(:log, performed_by => 'regress_maintsched_bert', note => 'a secret of patients', evidence => '{"secret": 1}') as log_done \gset
select recorded_by, acting_as, performed_by, review from maintsched.completions;
select item, passed, marked_by from maintsched.checklist where occurrence_id = :log order by 1;
-- ... no more than that
select maintsched.retract_completion(:log_done, 'did not happen');
select maintsched.record_prior('cal', 'log', '2025-01-01', '{}');
select maintsched.retire_task('cal', 'log', 'tired');
select maintsched.pause('all', 'holidays');
select maintsched.grant_access('regress_maintsched_anna', 'manager');
select maintsched.tick();
update maintsched.task set enabled = false;
insert into maintsched.completion_review (completion_id, decision, recorded_by) values (:log_done, 'accepted', 'regress_maintsched_chief');
update maintsched.completion set outcome = 'pass';
delete from maintsched.completion;
truncate maintsched.completion;
insert into maintsched.task_month (task_id, month, version, done) values (1, '2026-01-01', 1, 31);
delete from maintsched.task_state;
update maintsched.occurrence set closed_at = null;
select nextval('maintsched.completion_completion_id_seq');
set maintsched.now = '2026-01-01';
set maintsched.max_backdate = '31 days';
set maintsched.node = 'here';
\set VERBOSITY sqlstate
set session authorization regress_maintsched_chief;
\set VERBOSITY default
select maintsched.note_standing(:log), maintsched.close_occurrences(), maintsched.apply_access();
-- a path of her own changes nothing
create function pg_temp.session_user() returns text language sql return 'regress_maintsched_chief';
create temp table completion (like maintsched.completions);
set search_path = pg_temp, pg_catalog;
select maintsched.complete_task(:backup, note => 'by her path', completed_at => clock_timestamp()) > 0 as done;
reset search_path;
select recorded_by, acting_as, performed_by from maintsched.completions where occurrence_id = :backup;
-- nobody reviews what she recorded, or performed, herself
select maintsched.review_completion(:log_done, 'accepted');
\c - regress_maintsched_bert
set client_min_messages = warning;
select maintsched.review_completion(:log_done, 'accepted');
select maintsched.review_completion(:log_done, 'fine');
select maintsched.review_completion(:log_done, 'rejected');
select maintsched.review_completion(0, 'accepted');
\c - regress_maintsched_boss
set client_min_messages = warning;
select maintsched.review_completion(:log_done, 'accepted', 'seen') > 0 as reviewed;
select maintsched.review_completion(:log_done, 'rejected', 'second thoughts');
select review, reviewed_by from maintsched.occurrence_status where occurrence_id = :log;

-- A pooler logs in for all; SET ROLE says for whom, and makes nobody another.
\c - :super
grant regress_maintsched_anna, regress_maintsched_chief to regress_maintsched_pool;
\c - regress_maintsched_pool
set client_min_messages = warning;
set role regress_maintsched_anna;
select min(occurrence_id) as next from maintsched.occurrence_status where task = 'backup' and opens_at > now() \gset
select maintsched.request_waiver(:next, 'moving house', now() + interval '9 days') as pooled \gset
set role regress_maintsched_chief;
select maintsched.approve_waiver(:pooled);
reset role;
select requested_by, state from maintsched.waivers where waiver_id = :pooled;
\c - :super
select recorded_by, acting_as from maintsched.waiver where waiver_id = :pooled;
-- ... nor is she another than those she may act for
\c - regress_maintsched_chief
set client_min_messages = warning;
select maintsched.approve_waiver(:pooled);
select maintsched.request_waiver(:next, 'mine', now() + interval '9 days') as own \gset
select maintsched.approve_waiver(:own);
\set VERBOSITY sqlstate
set role regress_maintsched_boss;
\set VERBOSITY default
\c - :super
revoke regress_maintsched_anna, regress_maintsched_chief from regress_maintsched_pool;
grant regress_maintsched_boss to regress_maintsched_chief;
\c - regress_maintsched_chief
set role regress_maintsched_boss;
select maintsched.approve_waiver(:own);
\c - regress_maintsched_boss
select maintsched.approve_waiver(:own);
-- through a third role that holds both
\c - :super
revoke regress_maintsched_boss from regress_maintsched_chief;
create role regress_maintsched_group in role regress_maintsched_boss;
grant regress_maintsched_group to regress_maintsched_chief;
\c - regress_maintsched_boss
select maintsched.approve_waiver(:own);
-- renamed, it is the same one; of the old name, another one is not
\c - :super
revoke regress_maintsched_group from regress_maintsched_chief;
drop role regress_maintsched_group;
set client_min_messages = warning;
alter role regress_maintsched_chief rename to regress_maintsched_renamed;
create role regress_maintsched_chief login;
select maintsched.apply_access();
select role, access from maintsched.access_grants where role ~ 'chief|renamed';
select has_schema_privilege('regress_maintsched_chief', 'maintsched', 'usage') as heir;
select maintsched.grant_access('regress_maintsched_chief', 'manager');
\c - regress_maintsched_renamed
select maintsched.approve_waiver(:own);
\c - regress_maintsched_chief
select maintsched.approve_waiver(:own);
select requested_by from maintsched.waivers where waiver_id = :own;
-- a superuser is a member of everything, and that does not count
\c - :super
create role regress_maintsched_super login superuser;
\c - regress_maintsched_super
set client_min_messages = warning;
select maintsched.approve_waiver(:own, 'agreed');
select maintsched.approve_waiver(:own, 'agreed');
select maintsched.reject_waiver(:own, 'no');
select maintsched.revoke_waiver(:own, ' ');
select requested_by, decided_by, state from maintsched.waivers where waiver_id = :own;
select status from maintsched.occurrence_status where occurrence_id = :next;
select maintsched.revoke_waiver(:own, 'over');
select state, revocation_reason from maintsched.waivers where waiver_id = :own;
select status from maintsched.occurrence_status where occurrence_id = :next;
-- ... and cannot change what was recorded either
update maintsched.completion set outcome = 'fail';
delete from maintsched.checklist_mark;
truncate maintsched.completion;
truncate maintsched.completion, maintsched.completion_review, maintsched.completion_retraction;
delete from maintsched.waiver_decision;
update maintsched.completion_review set recorded_by = 'regress_maintsched_anna';
delete from maintsched.occurrence where occurrence_id = :log;
update maintsched.occurrence set due_at = due_at + interval '1 day' where occurrence_id = :log;
delete from maintsched.access_change;
truncate maintsched.pause_change;

-- pg_monitor sees figures, and nothing that people write.
\c - regress_maintsched_monitor
set client_min_messages = warning;
select count(*) > 0 as seen from maintsched.compliance_status;
select count(*) > 0 as seen from maintsched.compliance_by_calendar;
select count(*) as months from maintsched.compliance_monthly;
select count(*) as months from maintsched.task_monthly;
select count(*) as months from maintsched.control_monthly;
select count(*) as teams from maintsched.team_workload;
select count(*) as statuses from maintsched.task_status;
select recorded_by, review from maintsched.completions order by 1, 2 limit 1;
select item, status from maintsched.health where item in ('instance', 'rollups') order by 1;
select note from maintsched.completions;
select evidence from maintsched.occurrence_status;
select reason from maintsched.waivers;
select note from maintsched.checklist;
select action from maintsched.corrective_actions;
select reason from maintsched.pauses;
select * from maintsched.access_grants;
select * from maintsched.evidence_for('HIPAA', '164.312(b)', null, null);
select note from maintsched.occurrence_fact;
select maintsched.complete_task(1);

-- Who leaves: the access goes, the role can be dropped, what it did stays.
\c - :super
set client_min_messages = warning;
\set VERBOSITY terse
drop role regress_maintsched_anna;
\set VERBOSITY default
select maintsched.revoke_access('regress_maintsched_anna');
select maintsched.revoke_access('regress_maintsched_anna');
drop role regress_maintsched_anna;
select recorded_by, count(*) from maintsched.completions group by 1;
select role, old, new from maintsched.access_change where role = 'regress_maintsched_anna' order by change_id;
-- a new one of that name is nobody's heir
create role regress_maintsched_anna login;
select has_schema_privilege('regress_maintsched_anna', 'maintsched', 'usage') as heir;
select recorded_by_oid = 'regress_maintsched_anna'::regrole::oid as same from maintsched.completion limit 1;
select maintsched.grant_access('regress_maintsched_anna', 'operator');
select maintsched.take_access('regress_maintsched_anna');
drop role regress_maintsched_anna;
create role regress_maintsched_anna login;
select maintsched.apply_access();
select maintsched.revoke_access('regress_maintsched_anna');
-- access follows a renamed role, and is given and taken once
create role regress_maintsched_x1 login;
select maintsched.grant_access('regress_maintsched_x1', 'manager');
alter role regress_maintsched_x1 rename to regress_maintsched_x2;
select maintsched.grant_access('regress_maintsched_x2', 'viewer');
select role, access from maintsched.access_grants where role ~ '_x';
select maintsched.revoke_access('regress_maintsched_x2');
select maintsched.apply_access();
select has_schema_privilege('regress_maintsched_x2', 'maintsched', 'usage') as left_over;
select maintsched.grant_access('regress_maintsched_x2', 'manager');
alter role regress_maintsched_x2 rename to regress_maintsched_x3;
create role regress_maintsched_x2 login;
select maintsched.revoke_access('regress_maintsched_x2');
select role, access from maintsched.access_grants where role ~ '_x';
select maintsched.revoke_access('regress_maintsched_x3');
drop role regress_maintsched_x2, regress_maintsched_x3;
-- names that need quotes, or are too long; the owner
create role "regress_maintsched ""O'Brien" login;
select maintsched.grant_access('regress_maintsched "O''Brien', 'operator');
select has_schema_privilege('regress_maintsched "O''Brien', 'maintsched', 'usage') as given;
select maintsched.revoke_access('regress_maintsched "O''Brien');
drop role "regress_maintsched ""O'Brien";
select maintsched.grant_access(repeat('x', 70), 'viewer');
\set VERBOSITY sqlstate
select maintsched.grant_access(:'super', 'viewer');
\set VERBOSITY default
-- an access whose role is gone is seen
select maintsched.take_access('regress_maintsched_bert');
drop role regress_maintsched_bert;
select maintsched.apply_access();
select status, detail from maintsched.health where item = 'access';
select role, access, role_exists from maintsched.access_grants where role ~ 'regress' order by 1;

drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_viewer, regress_maintsched_anna, regress_maintsched_chief,
	regress_maintsched_renamed, regress_maintsched_boss, regress_maintsched_pool, regress_maintsched_monitor,
	regress_maintsched_nobody, regress_maintsched_super;
