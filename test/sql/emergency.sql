-- Emergency windows: what they admit, how they close, what follows from them.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set maintsched.now = '2026-11-04 22:00+00';
reset client_min_messages;
-- Somebody keeps what follows from it.
select maintsched.open_emergency_window('the disk is full');
set client_min_messages = warning;
select maintsched.install_calendar('smartmed', timezone => 'America/New_York');
create role regress_maintsched_ann login;
create role regress_maintsched_bob login;
create role regress_maintsched_cem login;
create role regress_maintsched_reader login;
select maintsched.grant_access('regress_maintsched_ann', 'manager');
select maintsched.grant_access('regress_maintsched_bob', 'manager');
select maintsched.grant_access('regress_maintsched_cem', 'operator');
select maintsched.grant_access('regress_maintsched_reader', 'viewer');
reset client_min_messages;

-- What is wrong is refused.
select maintsched.open_emergency_window(null);
select maintsched.open_emergency_window(E' \t');
select maintsched.open_emergency_window(E'the disk\nis full');
select maintsched.open_emergency_window(repeat('x', 501));
select maintsched.open_emergency_window('the disk is full', '0');
select maintsched.open_emergency_window('the disk is full', '-4 h');
select maintsched.open_emergency_window('the disk is full', null);
select maintsched.open_emergency_window('the disk is full', '72:00:00.000001');
select maintsched.open_emergency_window('the disk is full', calendar => 'smartmedd');
set session authorization regress_maintsched_cem;
select maintsched.open_emergency_window('the disk is full');
select maintsched.close_emergency_window(1, 'x');
reset session authorization;

-- Wednesday 17:00 in New York: no window is open for anything.
select c, maintsched.admitted(c, maintsched.clock(), maintsched.clock() + interval '4 h') as admitted
from unnest(array['minor', 'major', 'critical']) c;
insert into maintsched.maintenance_window (calendar, name, title, rule, starts_on, duration, timezone, change_class)
values ('smartmed', 'freeze', 'Freeze', 'FREQ=DAILY', '2026-01-01 23:00', '2 h', 'UTC', 'blackout');
set session authorization regress_maintsched_ann;
select maintsched.open_emergency_window('the disk is full');
reset session authorization;
-- It admits every class for 4 hours, through the blackout.
select c, maintsched.admitted(c, maintsched.clock(), maintsched.clock() + interval '4 h') as admitted
from unnest(array['minor', 'major', 'critical']) c;

-- What it asks for afterwards is due in 3 days, at the same local time; its record is open.
select task, title, note, window_id, opens_at, due_at, status, review, opened_by from maintsched.follow_ups order by occurrence_id;
select name, kind, rule, review, teams, timezone from maintsched.task where name in ('emergency-review', 'post-incident-communication') order by 1;
select what, team, due from maintsched.today where what in ('Emergency review', 'Post-incident communication') order by 1;
select change_id, calendar, title, change_class, planned, reason, requested_by, starts_at, ends_at, completed_at,
	outcome, emergency, notice_hours, short_notice, state, window_id from maintsched.change_log;
set session authorization regress_maintsched_bob;
select maintsched.close_change(1, 'succeeded');
select maintsched.approve_change(1, 'I was on the call');
reset session authorization;

-- A run that only it admits is marked so; it needs no rollback text and no approval.
set client_min_messages = warning;
update maintsched.routine set plan = 'public.regress_plan', description = 'Optimizes.', defaults = '{}', built_in = false where name = 'optimize';
update maintsched.task set rollback = null where name = 'database-optimization';
reset client_min_messages;
select maintsched.change_problem(maintsched.run_for(t, 'scheduler')) from maintsched.task t where name = 'database-optimization';
select (maintsched.put_run(maintsched.run_for(t, 'scheduler'), '{}')).run_id from maintsched.task t where name = 'database-optimization';
update maintsched.run set state = 'running', started_at = maintsched.clock(), window_closes_at = '2026-11-05 02:00+00' where run_id = 1;
select maintsched.change_begun(1);
select change_id, title, change_class, emergency, short_notice, state, run_id from maintsched.change_log order by 1;
update maintsched.run set state = 'succeeded', finished_at = maintsched.clock() where run_id = 1;
select maintsched.change_done(1);
select change_id, state, outcome, issues from maintsched.change_log order by 1;

-- Closed before its time, with a summary, once.
set maintsched.now = '2026-11-04 23:30+00';
select maintsched.plan_changes();
set session authorization regress_maintsched_bob;
select maintsched.close_emergency_window(1, ' ');
select maintsched.close_emergency_window(1, null);
select maintsched.close_emergency_window(9, 'x');
select maintsched.close_emergency_window(null, 'x');
select maintsched.close_emergency_window(1, 'x', 'fine');
select maintsched.close_emergency_window(1, 'old WAL was removed from the archive');
select maintsched.close_emergency_window(1, 'again');
reset session authorization;
select c, maintsched.admitted(c, maintsched.clock(), maintsched.clock() + interval '1 h') as admitted
from unnest(array['minor', 'major', 'critical']) c;
select completed_at, outcome, issues, state, closed_by from maintsched.change_log where change_id = 1;
select maintsched.change_problem(maintsched.run_for(t, 'scheduler')) from maintsched.task t where name = 'database-optimization';

-- The opener may do the review, but another role accepts it; who did it does not either.
set session authorization regress_maintsched_ann;
select maintsched.complete_open_task('smartmed', 'post-incident-communication', note => 'mail to all users');
select maintsched.complete_open_task('smartmed', 'emergency-review', note => 'archiving was off');
select maintsched.review_completion(2, 'accepted');
reset session authorization;
select maintsched.retract_completion(2, 'somebody else does it');
set session authorization regress_maintsched_bob;
select maintsched.complete_open_task('smartmed', 'emergency-review', note => 'archiving was off, alert added');
select maintsched.review_completion(3, 'accepted');
-- Neither does the opener accept what another role did.
set session authorization regress_maintsched_ann;
select maintsched.review_completion(3, 'accepted', 'fine');
set session authorization regress_maintsched_cem;
select maintsched.review_completion(3, 'accepted', 'fine');
reset session authorization;
select task, status, performed_by, review from maintsched.follow_ups order by occurrence_id;

-- The second closes by itself; who retired the review to get out of it has it again.
set client_min_messages = warning;
select maintsched.retire_task('smartmed', 'emergency-review', 'no more of this');
update maintsched.task set enabled = false where name = 'post-incident-communication';
reset client_min_messages;
set maintsched.now = '2026-11-07 12:00+00';
select maintsched.open_emergency_window('a certificate expired', '90 min');
select task, window_id, opens_at, due_at, status from maintsched.follow_ups where window_id = 2 order by occurrence_id;
select task, field, old, new, reason from maintsched.calendar_history
where task in ('emergency-review', 'post-incident-communication') order by changed_at, task, field;
set maintsched.now = '2026-11-07 13:29:59+00';
select state, completed_at, outcome from maintsched.change_log where window_id = 2;
set maintsched.now = '2026-11-07 13:30+00';
select state, completed_at, outcome from maintsched.change_log where window_id = 2;
select maintsched.admitted('critical', maintsched.clock(), maintsched.clock() + interval '1 h') as admitted;
select maintsched.close_emergency_window(2, 'the certificate was renewed', 'partial');
select state, completed_at, outcome, issues from maintsched.change_log where window_id = 2;

-- Another name where the document has a duty of that name; two at once; several calendars.
set client_min_messages = warning;
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "other", "title": "Other", "timezone": "Asia/Tokyo",
	"tasks": [{"name": "emergency-review", "title": "Emergency review", "teams": ["DBA"], "kind": "manual",
		"rule": "FREQ=MONTHLY;BYMONTHDAY=1", "starts_on": "2026-01-01T00:00:00", "due_within": "P7D", "controls": []}]}');
reset client_min_messages;
select maintsched.open_emergency_window('the cluster moves', '3 days');
select maintsched.open_emergency_window('the cluster moves, again', '1 h', 'OTHER');
select calendar, task, note, due_at from maintsched.follow_ups where window_id > 2 order by occurrence_id;
-- They are no part of a document, and an import does not retire them.
select e.value ->> 'name' as task from jsonb_array_elements(maintsched.export_calendar('other') -> 'tasks') e;
set client_min_messages = warning;
select maintsched.import_calendar(maintsched.export_calendar('other')::text);
reset client_min_messages;
select name, retired_at is null as in_force from maintsched.task where calendar = 'other' order by position;

-- Who reads sees it, and changes nothing.
set session authorization regress_maintsched_reader;
select count(*) from maintsched.follow_ups;
select maintsched.open_emergency_window('x');
reset session authorization;
update maintsched.emergency_window set closes_at = 'infinity';
delete from maintsched.emergency_close;

set client_min_messages = warning;
drop extension maintsched cascade;
drop role regress_maintsched_ann, regress_maintsched_bob, regress_maintsched_cem, regress_maintsched_reader;
create extension maintsched;
