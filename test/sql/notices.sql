-- Notices and the status page.  The instants were worked out by hand: 72 and
-- 24 hours are elapsed hours, whatever the clocks on the wall do in between.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
set timezone = 'UTC';
create role regress_maintsched_viewer;
create role regress_maintsched_anna;
create temp table expected (kind text, scheduled_for timestamptz, created_at timestamptz, opens_at timestamptz, late boolean);
\set wrong '(select ''missing'' as what, e.* from (table expected except all select kind, scheduled_for, created_at, opens_at, late from maintsched.notices where kind ~ :''kinds'') e) union all (select ''unexpected'', e.* from (select kind, scheduled_for, created_at, opens_at, late from maintsched.notices where kind ~ :''kinds'' except all table expected) e) order by 3, 1, 2;'
\set windows '{"format": "maintsched-calendar/1", "name": "cal", "title": "Cal", "timezone": "UTC", "tasks": [], "windows": [{"name": "primary", "title": "Primary", "rule": "FREQ=WEEKLY;BYDAY=SU", "starts_on": "2026-01-01T02:00:00", "duration": "PT4H", "change_class": "major"}]}'
\set kinds '^(window|moved|cancelled|left)'

--
-- America/New_York.  Sunday 2026-11-01 02:00 is after the clocks went back:
-- EST, 07:00 UTC.  Four hours later it is 11:00 UTC.
--
set maintsched.now = '2026-10-28 12:00Z';
select maintsched.import_calendar(:'windows', timezone => 'America/New_York');
-- the window of a calendar without work: nobody is told
set maintsched.now = '2026-10-29 07:00Z';
select maintsched.tick();
table maintsched.notices;
select maintsched.add_task('cal', 'statistics', 'FREQ=WEEKLY;BYDAY=SU', title => 'Statistics', teams => '{DBA}',
	starts_on => '2026-01-01 00:00', due_within => '1 day', kind => 'routine', routine => 'analyze');
set maintsched.now = '2026-10-31 06:59:59.999999Z';
select maintsched.tick();
select maintsched.next_notice_at();
-- from here on, every instant is what next_notice_at() says
set maintsched.now = '2026-10-31 07:00Z';
select maintsched.send_notices();
select maintsched.send_notices();
select maintsched.next_notice_at();
set maintsched.now = '2026-11-01 07:00Z';
select maintsched.send_notices();
select state, title, sentence, starts_at, ends_at, calendar from maintsched.status_page order by position;
select maintsched.next_notice_at();
set maintsched.now = '2026-11-01 11:00Z';
select maintsched.send_notices();
insert into expected values
	('window_24h', '2026-10-31 07:00Z', '2026-10-31 07:00Z', '2026-11-01 07:00Z', false),
	('window_start', '2026-11-01 07:00Z', '2026-11-01 07:00Z', '2026-11-01 07:00Z', false),
	('window_end', '2026-11-01 11:00Z', '2026-11-01 11:00Z', '2026-11-01 07:00Z', false);
:wrong
select subject, body, team from maintsched.notices where kind ~ '^window' order by notice_id;
select state, title, sentence, starts_at, ends_at, calendar from maintsched.status_page order by position;
-- Sunday 2027-03-14 02:00 is in the gap: read with EST, 07:00 UTC.
set maintsched.now = '2027-03-08 12:00Z';
select maintsched.tick();
truncate expected;
insert into expected select kind, scheduled_for, created_at, opens_at, late from maintsched.notices where kind ~ :'kinds';
select maintsched.next_window_event('2027-03-08 12:00Z');
set maintsched.now = '2027-03-11 07:00Z';
select maintsched.tick();
select maintsched.next_window_event('2027-03-11 07:00Z');
set maintsched.now = '2027-03-13 07:00Z';
select maintsched.tick();
set maintsched.now = '2027-03-14 07:00Z';
select maintsched.tick();
set maintsched.now = '2027-03-14 11:00Z';
select maintsched.tick();
insert into expected values
	('window_72h', '2027-03-11 07:00Z', '2027-03-11 07:00Z', '2027-03-14 07:00Z', false),
	('window_24h', '2027-03-13 07:00Z', '2027-03-13 07:00Z', '2027-03-14 07:00Z', false),
	('window_start', '2027-03-14 07:00Z', '2027-03-14 07:00Z', '2027-03-14 07:00Z', false),
	('window_end', '2027-03-14 11:00Z', '2027-03-14 11:00Z', '2027-03-14 07:00Z', false);
:wrong

--
-- Europe/Berlin.  Sunday 2026-10-25 02:00 comes twice: the first is CEST, 00:00
-- UTC.  Sunday 2027-03-28 02:00 is in the gap: read with CET, 01:00 UTC.
--
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
truncate expected;
set maintsched.now = '2026-10-20 12:00Z';
select maintsched.import_calendar(:'windows', timezone => 'Europe/Berlin');
select maintsched.add_task('cal', 'statistics', 'FREQ=WEEKLY;BYDAY=SU', title => 'Statistics', teams => '{DBA}',
	starts_on => '2026-01-01 00:00', due_within => '1 day', kind => 'routine', routine => 'analyze');
set maintsched.now = '2026-10-21 23:59:59Z';
select maintsched.tick();
set maintsched.now = '2026-10-22 00:00Z';
select maintsched.tick();
set maintsched.now = '2026-10-24 00:00Z';
select maintsched.tick();
set maintsched.now = '2026-10-25 00:00Z';
select maintsched.tick();
set maintsched.now = '2026-10-25 04:00Z';
select maintsched.tick();
insert into expected values
	('window_72h', '2026-10-22 00:00Z', '2026-10-22 00:00Z', '2026-10-25 00:00Z', false),
	('window_24h', '2026-10-24 00:00Z', '2026-10-24 00:00Z', '2026-10-25 00:00Z', false),
	('window_start', '2026-10-25 00:00Z', '2026-10-25 00:00Z', '2026-10-25 00:00Z', false),
	('window_end', '2026-10-25 04:00Z', '2026-10-25 04:00Z', '2026-10-25 00:00Z', false);
:wrong
set maintsched.now = '2027-03-22 12:00Z';
select maintsched.tick();
truncate expected;
insert into expected select kind, scheduled_for, created_at, opens_at, late from maintsched.notices where kind ~ :'kinds';
set maintsched.now = '2027-03-25 01:00Z';
select maintsched.tick();
set maintsched.now = '2027-03-27 01:00Z';
select maintsched.tick();
set maintsched.now = '2027-03-28 01:00Z';
select maintsched.tick();
set maintsched.now = '2027-03-28 05:00Z';
select maintsched.tick();
insert into expected values
	('window_72h', '2027-03-25 01:00Z', '2027-03-25 01:00Z', '2027-03-28 01:00Z', false),
	('window_24h', '2027-03-27 01:00Z', '2027-03-27 01:00Z', '2027-03-28 01:00Z', false),
	('window_start', '2027-03-28 01:00Z', '2027-03-28 01:00Z', '2027-03-28 01:00Z', false),
	('window_end', '2027-03-28 05:00Z', '2027-03-28 05:00Z', '2027-03-28 01:00Z', false);
:wrong

--
-- Down, moved, given up.  Sundays 02:00 UTC.
--
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
truncate expected;
set maintsched.now = '2026-04-06 12:00Z';
select maintsched.import_calendar(:'windows');
select maintsched.add_task('cal', 'statistics', 'FREQ=WEEKLY;BYDAY=SU', title => 'Statistics', teams => '{DBA}',
	starts_on => '2026-01-01 00:00', due_within => '1 day', kind => 'routine', routine => 'analyze');
select maintsched.tick();
-- down from Monday to Saturday 12:00: both are told late, the window is ahead
set maintsched.now = '2026-04-11 12:00Z';
select maintsched.tick();
-- down until Sunday 04:00: it has begun, which is told late
set maintsched.now = '2026-04-12 04:00Z';
select maintsched.tick();
set maintsched.now = '2026-04-12 06:00:30Z';
select maintsched.tick();
insert into expected values
	('window_72h', '2026-04-09 02:00Z', '2026-04-11 12:00Z', '2026-04-12 02:00Z', true),
	('window_24h', '2026-04-11 02:00Z', '2026-04-11 12:00Z', '2026-04-12 02:00Z', true),
	('window_start', '2026-04-12 02:00Z', '2026-04-12 04:00Z', '2026-04-12 02:00Z', true),
	('window_end', '2026-04-12 06:00Z', '2026-04-12 06:00:30Z', '2026-04-12 02:00Z', false);
:wrong
-- the next one is announced, and moved before it is there
set maintsched.now = '2026-04-16 02:00Z';
select maintsched.tick();
select maintsched.set_timezone('cal', 'America/New_York');
select maintsched.next_notice_at();
select maintsched.tick();
select maintsched.tick();
-- 02:00 EDT is 06:00 UTC; 72 hours before is 2026-04-16 06:00
set maintsched.now = '2026-04-16 06:00Z';
select maintsched.tick();
-- and given up
select maintsched.import_calendar(jsonb_set(maintsched.export_calendar('cal'), '{windows}', '[]')::text);
select maintsched.tick();
set maintsched.now = '2026-04-18 06:00Z';
select maintsched.tick();
insert into expected values
	('window_72h', '2026-04-16 02:00Z', '2026-04-16 02:00Z', '2026-04-19 02:00Z', false),
	('moved', '2026-04-16 02:00Z', '2026-04-16 02:00Z', '2026-04-19 02:00Z', false),
	('window_72h', '2026-04-16 06:00Z', '2026-04-16 06:00Z', '2026-04-19 06:00Z', false),
	('cancelled', '2026-04-16 06:00Z', '2026-04-16 06:00Z', '2026-04-19 06:00Z', false);
:wrong
select kind, subject, body, moved_to from maintsched.notices where kind in ('moved', 'cancelled') order by notice_id;

--
-- Duties: due soon, overdue, missed; for each team.
--
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
reset client_min_messages;
truncate expected;
\set kinds '^'
set maintsched.now = '2026-04-06 00:00Z';
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "cal", "title": "Cal", "timezone": "UTC", "tasks": [
	{"name": "log", "title": "Log review", "teams": ["Ops", "Security"], "kind": "manual", "rule": "FREQ=DAILY", "starts_on": "2026-01-01T08:00:00", "due_within": "PT8H", "grace": "PT4H", "controls": []},
	{"name": "audit", "title": "Audit", "teams": ["All"], "kind": "manual", "rule": "FREQ=WEEKLY", "starts_on": "2026-04-06T08:00:00", "due_within": "P4D", "controls": []}]}');
select maintsched.next_notice_at();
-- 8 hours: a quarter before the end of them is 14:00
set maintsched.now = '2026-04-06 14:00Z';
select maintsched.tick();
set maintsched.now = '2026-04-06 16:00Z';
select maintsched.tick();
set maintsched.now = '2026-04-06 20:00Z';
select maintsched.tick();
select kind, subject, body, team, scheduled_for, late from maintsched.notices order by notice_id;
-- done in time, withdrawn: nobody is told
set maintsched.now = '2026-04-07 09:00Z';
set client_min_messages = warning;
select maintsched.complete_open_task('cal', 'log') is not null as done;
set maintsched.now = '2026-04-07 20:00Z';
select maintsched.tick();
set maintsched.now = '2026-04-08 15:00Z';
-- 24 hours before the four days are over is 2026-04-09 08:00
select maintsched.tick();
select maintsched.retire_task('cal', 'log', 'No longer needed.');
set maintsched.now = '2026-04-09 08:00Z';
select maintsched.tick();
reset client_min_messages;
select kind, subject, scheduled_for, late from maintsched.notices where notice_id > 6 order by notice_id;
-- down for three weeks: what is overdue now is told, what was missed counted
set maintsched.now = '2026-04-30 12:00Z';
select maintsched.tick();
select maintsched.send_notices();
select kind, subject, body, scheduled_for, late from maintsched.notices where notice_id > 8 order by notice_id;
-- a clock set back tells nothing again, and goes on from there
set maintsched.now = '2026-04-06 13:00Z';
select maintsched.send_notices();
set maintsched.now = '2026-04-06 20:00Z';
select maintsched.send_notices();
select count(*) from maintsched.notices;
select count(*) from maintsched.notice;

--
-- Changes of people; emergencies; runs.
--
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set maintsched.now = '2026-04-06 00:00Z';
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "cal", "title": "Cal", "timezone": "UTC", "tasks": []}');
select maintsched.add_task('cal', 'statistics', 'FREQ=YEARLY', title => 'Statistics', teams => '{DBA}',
	starts_on => '2026-04-01 00:00', due_within => '300 days', kind => 'routine', routine => 'analyze');
truncate expected;
-- 80 hours ahead; and 30 hours ahead, which is told at once
select maintsched.plan_change('cal', 'New disks', 'major', '2026-04-09 08:00Z', '2 hours', planned => 'Swap them.',
	rollback => 'Swap them back.', impact => 'No logins.') is not null as planned;
select maintsched.plan_change('cal', 'New cable', 'minor', '2026-04-07 06:00Z', '1 hour') is not null as planned;
select maintsched.next_notice_at();
select maintsched.tick();
select maintsched.next_notice_at();
set maintsched.now = '2026-04-06 06:00Z';
select maintsched.tick();
set maintsched.now = '2026-04-06 08:00Z';
select maintsched.tick();
set maintsched.now = '2026-04-07 06:00Z';
select maintsched.tick();
select state, title, sentence from maintsched.status_page order by position;
set maintsched.now = '2026-04-07 06:20Z';
select maintsched.close_change(c.change_id, 'succeeded', documentation => 'Wiki.') from maintsched.change_log c where c.title = 'New cable';
select maintsched.tick();
select maintsched.close_change(c.change_id, 'cancelled') from maintsched.change_log c where c.title = 'New disks';
select maintsched.tick();
reset client_min_messages;
insert into expected values
	('change_72h', '2026-04-06 00:00Z', '2026-04-06 00:00Z', '2026-04-07 06:00Z', false),
	('change_24h', '2026-04-06 06:00Z', '2026-04-06 06:00Z', '2026-04-07 06:00Z', false),
	('change_72h', '2026-04-06 08:00Z', '2026-04-06 08:00Z', '2026-04-09 08:00Z', false),
	('change_start', '2026-04-07 06:00Z', '2026-04-07 06:00Z', '2026-04-07 06:00Z', false),
	('change_end', '2026-04-07 06:20Z', '2026-04-07 06:20Z', '2026-04-07 06:00Z', false),
	('cancelled', '2026-04-07 06:20Z', '2026-04-07 06:20Z', '2026-04-09 08:00Z', false);
:wrong
select kind, subject, body from maintsched.notices order by notice_id;
-- an emergency is told at once, and its end, once, also where it closes by itself
set client_min_messages = warning;
select maintsched.open_emergency_window('Disk full', '1 hour') as first_window \gset
select state, title, sentence from maintsched.status_page where state = 'now' order by position;
set maintsched.now = '2026-04-07 07:20Z';
select maintsched.tick();
select maintsched.close_emergency_window(:first_window, 'Freed 20 GB.');
reset client_min_messages;
select kind, subject, body, scheduled_for, created_at, late from maintsched.notices where kind ~ '^emerg' order by notice_id;
-- a run that failed, and one that left something over
insert into maintsched.run (task_id, routine, params, run_as, change_class, state, requested_by, queued_at, not_before, started_at, finished_at, message, simulated)
select t.task_id, 'analyze', '{}', t.run_as, 'minor', s, 'scheduler', maintsched.clock(), maintsched.clock(), maintsched.clock(), maintsched.clock(), 'no room', true
from maintsched.task t cross join unnest(array['failed', 'partial', 'succeeded']) s
where t.name = 'statistics';
select maintsched.notice_run(r.run_id), maintsched.notice_run(r.run_id) from maintsched.run r;
select kind, subject, body, team from maintsched.notices where kind ~ '^run' order by notice_id;

--
-- Taking note; who may; what is kept.
--
select maintsched.grant_access('regress_maintsched_viewer', 'viewer');
select maintsched.grant_access('regress_maintsched_anna', 'operator');
select min(notice_id) as id from maintsched.notices \gset
set role regress_maintsched_viewer;
select maintsched.acknowledge_notice(:id);
select count(*) from maintsched.notices;
select count(*) > 0 as shown from maintsched.status_page;
reset role;
set role regress_maintsched_anna;
select maintsched.acknowledge_notice(:id);
select maintsched.acknowledge_notice(null);
select maintsched.acknowledge_notice(-1);
select maintsched.acknowledge_notice(9223372036854775807);
select maintsched.acknowledge_notice('1; drop table maintsched.notice');
insert into maintsched.notice_acknowledgement (notice_id) values (2);
select maintsched.put_notice('due_soon', 'x', now(), now(), null, null, 'x', 'x');
select maintsched.send_notices();
reset role;
select acknowledged_at, acknowledged_by = session_user as by_me from maintsched.notices where notice_id = :id;
-- not before it was written
set maintsched.now = '2026-04-05 00:00Z';
select maintsched.acknowledge_notice(:id);
set maintsched.now = '2026-04-08 00:00Z';
update maintsched.notice set late = true;
delete from maintsched.notice;
truncate maintsched.notice_acknowledgement;
-- pg_monitor reads no bodies
set role pg_monitor;
select count(subject) from maintsched.notices;
select body from maintsched.notices;
select count(*) > 0 as shown from maintsched.status_page;
reset role;

reset maintsched.now;
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_viewer, regress_maintsched_anna;
