-- When work may run: windows, blackouts, emergencies, zones, and what the
-- views say of it.  Every expected instant was worked out by hand.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set maintsched.now = '2027-02-01 12:00+00';
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "ops", "title": "Operations", "tasks": []}');
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "berlin", "title": "Berlin", "tasks": []}', timezone => 'Europe/Berlin');
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "york", "title": "New York", "tasks": []}', timezone => 'America/New_York');
create temp view standing as
	select calendar, task, status, next_opens_at, next_run_at, waits_for from maintsched.task_status order by calendar, task;
create temp view due as
	select calendar, task, status, next_run_at, waits_for from maintsched.due_tasks order by calendar, task, opens_at;
reset client_min_messages;

-- Which class runs when: 5 days in June, 10 to 12 o'clock.
select maintsched.add_window('ops', 'minor-day', 'FREQ=DAILY;COUNT=1', '2027-06-07 10:00', '2 h', 'minor');
select maintsched.add_window('ops', 'major-day', 'FREQ=DAILY;COUNT=1', '2027-06-08 10:00', '2 h', 'major');
select maintsched.add_window('ops', 'blackout-day', 'FREQ=DAILY;COUNT=1', '2027-06-09 10:00', '2 h', 'blackout');
select maintsched.add_window('ops', 'frozen-major', 'FREQ=DAILY;COUNT=1', '2027-06-10 10:00', '2 h', 'major');
select maintsched.add_window('ops', 'frozen', 'FREQ=DAILY;COUNT=1', '2027-06-10 11:00', '2 h', 'blackout');
-- a planned window of class critical admits nothing: that takes an emergency
select maintsched.add_window('ops', 'critical-day', 'FREQ=DAILY;COUNT=1', '2027-06-11 10:00', '2 h', 'critical');
select maintsched.add_window('ops', 'frozen-night', 'FREQ=DAILY;COUNT=1', '2027-06-14 09:00', '8 h', 'blackout');
set maintsched.now = '2027-06-13 10:00+00';
select maintsched.open_emergency_window('the disk is full', '2 h', 'ops');
set maintsched.now = '2027-06-14 10:00+00';
select maintsched.open_emergency_window('the disk is full again', '2 h', 'ops');
create temp table expected (remark text, at timestamptz, "none" boolean, minor boolean, major boolean, critical boolean);
insert into expected values
	('no window', '2027-06-07 09:59:59Z', true, false, false, false),
	('minor', '2027-06-07 10:00Z', true, true, false, false),
	('minor, before its reserve', '2027-06-07 11:58:59Z', true, true, false, false),
	('minor, in its reserve', '2027-06-07 11:59Z', true, false, false, false),
	('minor, over', '2027-06-07 12:00Z', true, false, false, false),
	('major', '2027-06-08 10:00Z', true, true, true, false),
	('major, over', '2027-06-08 12:00Z', true, false, false, false),
	('before a blackout, and before its reserve', '2027-06-09 09:58:59Z', true, false, false, false),
	('before a blackout, in the reserve', '2027-06-09 09:59Z', false, false, false, false),
	('blackout', '2027-06-09 10:00Z', false, false, false, false),
	('blackout', '2027-06-09 11:59:59.999999Z', false, false, false, false),
	('blackout, over', '2027-06-09 12:00Z', true, false, false, false),
	('major, before a blackout', '2027-06-10 10:58:59Z', true, true, true, false),
	('major, in the reserve before it', '2027-06-10 10:59Z', false, false, false, false),
	('major in a blackout', '2027-06-10 11:30Z', false, false, false, false),
	('blackout after the window', '2027-06-10 12:30Z', false, false, false, false),
	('planned critical window', '2027-06-11 11:00Z', true, false, false, false),
	('before the emergency', '2027-06-13 09:59:59Z', true, false, false, false),
	('emergency', '2027-06-13 10:00Z', true, true, true, true),
	('emergency, before its reserve', '2027-06-13 11:58:59Z', true, true, true, true),
	('emergency, in its reserve', '2027-06-13 11:59Z', true, false, false, false),
	('emergency, over', '2027-06-13 12:00Z', true, false, false, false),
	('blackout before the emergency', '2027-06-14 09:30Z', false, false, false, false),
	('emergency in a blackout', '2027-06-14 11:00Z', true, true, true, true),
	('blackout after the emergency', '2027-06-14 12:30Z', false, false, false, false);
create temp view found as
	select remark, at, maintsched.next_run('none', at) = at as "none", coalesce(maintsched.next_run('minor', at) = at, false) as minor,
		coalesce(maintsched.next_run('major', at) = at, false) as major, coalesce(maintsched.next_run('critical', at) = at, false) as critical
	from expected;
select 'wanted' as what, * from (select * from expected except select * from pg_temp.found) x
union all
select 'found', * from (select * from pg_temp.found except select * from expected) x order by at, what;
select count(*) as right from (select * from expected intersect select * from pg_temp.found) x;
-- what cannot run is told when it can
select c as class, maintsched.next_run(c, '2027-06-10 11:30Z')
from unnest(array['none', 'minor', 'major', 'critical']) c;

-- Spans that overlap or touch are one, of whatever calendar and zone; a
-- blackout cuts, an emergency in it fills again.
select maintsched.add_window('ops', 'eve', 'FREQ=DAILY;COUNT=1', '2027-07-05 10:00', '2 h', 'minor');
select maintsched.add_window('berlin', 'abend', 'FREQ=DAILY;COUNT=1', '2027-07-05 13:00', '2 h', 'minor'); -- 11:00 to 13:00 UTC
select maintsched.add_window('york', 'morning', 'FREQ=DAILY;COUNT=1', '2027-07-05 09:00', '1 h', 'major'); -- 13:00 to 14:00 UTC
select maintsched.add_window('york', 'of-berlin', 'FREQ=DAILY;COUNT=1', '2027-07-05 16:30', '1 h', 'minor', 'Europe/Berlin'); -- 14:30 to 15:30 UTC
select c as class, maintsched.admitted(c, '2027-07-05 00:00Z', '2027-07-06 00:00Z')
from unnest(array['none', 'minor', 'major', 'critical']) c;
-- the reserve is that of the whole: nothing stops at a seam
select maintsched.next_run('minor', '2027-07-05 11:59:30Z'), maintsched.next_run('minor', '2027-07-05 12:59:30Z'),
	maintsched.next_run('minor', '2027-07-05 13:59:30Z');
select maintsched.add_window('berlin', 'pause', 'FREQ=DAILY;COUNT=1', '2027-07-05 13:30', '30 min', 'blackout'); -- 11:30 to 12:00 UTC
select c as class, maintsched.admitted(c, '2027-07-05 00:00Z', '2027-07-06 00:00Z')
from unnest(array['none', 'minor', 'major']) c;
-- a window in which another one lies, and one that is open all the time
select maintsched.add_window('ops', 'long', 'FREQ=DAILY;COUNT=1', '2027-07-12 00:00', '10 h', 'minor');
select maintsched.add_window('ops', 'short', 'FREQ=DAILY;COUNT=1', '2027-07-12 04:00', '1 h', 'major');
select c as class, maintsched.admitted(c, '2027-07-12 04:30Z', '2027-07-12 04:31Z')
from unnest(array['minor', 'major']) c;
select maintsched.add_window('ops', 'always', 'FREQ=DAILY;COUNT=3', '2027-08-02 00:00', 'P1D', 'minor');
select maintsched.opening('minor', '2027-08-03 23:59:59Z');

-- How long before the end nothing more is started: a tenth at the most.
select length, maintsched.window_reserve('2027-07-05 10:00Z', '2027-07-05 10:00Z'::timestamptz + length)
from unnest(array['4 h', '10 min', '9 min', '20 s', '1 s']::interval[]) as length;

-- Start and duration on the days on which clocks change; zones and local
-- times as on the wall.
create temp table night (calendar text, name text, local timestamp, duration interval, opens_at timestamptz, closes_at timestamptz, closes_local timestamp, remark text);
insert into night values
	('berlin', 'spring', '2027-03-28 01:00', '4 h', '2027-03-28 00:00Z', '2027-03-28 04:00Z', '2027-03-28 06:00', 'an hour later'),
	('berlin', 'spring-gap', '2027-03-28 02:30', '1 h', '2027-03-28 01:30Z', '2027-03-28 02:30Z', '2027-03-28 04:30', 'opens in the gap: 03:30'),
	('berlin', 'spring-into', '2027-03-28 01:30', '1 h', '2027-03-28 00:30Z', '2027-03-28 01:30Z', '2027-03-28 03:30', 'closes beyond the gap'),
	('berlin', 'spring-day', '2027-03-27 12:00', 'P1D', '2027-03-27 11:00Z', '2027-03-28 10:00Z', '2027-03-28 12:00', 'a day of 23 hours'),
	('berlin', 'spring-24', '2027-03-27 12:00', '24 h', '2027-03-27 11:00Z', '2027-03-28 11:00Z', '2027-03-28 13:00', '24 hours'),
	('berlin', 'autumn', '2027-10-31 01:00', '4 h', '2027-10-30 23:00Z', '2027-10-31 03:00Z', '2027-10-31 04:00', 'an hour earlier'),
	('berlin', 'autumn-twice', '2027-10-31 02:30', '1 h', '2027-10-31 00:30Z', '2027-10-31 01:30Z', '2027-10-31 02:30', 'from the first to the second'),
	('berlin', 'autumn-day', '2027-10-30 12:00', 'P1D', '2027-10-30 10:00Z', '2027-10-31 11:00Z', '2027-10-31 12:00', 'a day of 25 hours'),
	('york', 'spring', '2027-03-14 01:00', '4 h', '2027-03-14 06:00Z', '2027-03-14 10:00Z', '2027-03-14 06:00', 'an hour later'),
	('york', 'spring-gap', '2027-03-14 02:30', '1 h', '2027-03-14 07:30Z', '2027-03-14 08:30Z', '2027-03-14 04:30', 'opens in the gap: 03:30'),
	('york', 'spring-end', '2027-03-13 02:30', 'P1D', '2027-03-13 07:30Z', '2027-03-14 07:30Z', '2027-03-14 03:30', 'ends in the gap'),
	('york', 'spring-day', '2027-03-13 12:00', 'P1DT2H', '2027-03-13 17:00Z', '2027-03-14 18:00Z', '2027-03-14 14:00', 'the day local, the hours elapsed'),
	('york', 'autumn', '2027-11-07 00:00', '4 h', '2027-11-07 04:00Z', '2027-11-07 08:00Z', '2027-11-07 03:00', 'an hour earlier'),
	('york', 'autumn-twice', '2027-11-07 01:00', '4 h', '2027-11-07 05:00Z', '2027-11-07 09:00Z', '2027-11-07 04:00', 'opens the first time'),
	('york', 'autumn-to-itself', '2027-11-07 01:30', '1 h', '2027-11-07 05:30Z', '2027-11-07 06:30Z', '2027-11-07 01:30', 'from the first to the second'),
	('york', 'autumn-day', '2027-11-06 12:00', 'P1D', '2027-11-06 16:00Z', '2027-11-07 17:00Z', '2027-11-07 12:00', 'a day of 25 hours');
set client_min_messages = warning;
select count(maintsched.add_window(calendar, name, 'FREQ=DAILY;COUNT=1', local, duration, 'major')) from night;
reset client_min_messages;
create temp view spans as
	select calendar, window_name, opens_at, closes_at, zone from maintsched.window_spans('2027-02-01Z', '2027-12-01Z');
select n.calendar, n.name, n.remark, s.opens_at, s.closes_at, s.closes_at at time zone s.zone as closes_local
from night n left join pg_temp.spans s on s.calendar = n.calendar and s.window_name = n.name
where (s.opens_at, s.closes_at, s.closes_at at time zone s.zone) is distinct from (n.opens_at, n.closes_at, n.closes_local);
select count(*) as right
from night n join pg_temp.spans s on s.calendar = n.calendar and s.window_name = n.name
where (s.opens_at, s.closes_at, s.closes_at at time zone s.zone) = (n.opens_at, n.closes_at, n.closes_local);
-- window_schedule says the same at such a night
set maintsched.now = '2027-03-28 03:59:59.999999Z';
select window_name, opens_at, closes_at, opens_local, open_now from maintsched.window_schedule where calendar = 'berlin' and closes_at < '2027-04-01';
set maintsched.now = '2027-11-07 05:45Z';
select window_name, opens_at, closes_at, opens_local, open_now from maintsched.window_schedule where calendar = 'york' order by 2, 1;
-- a window of each night, through both changes: its local start stays, its length too
select maintsched.add_window('york', 'nightly', 'FREQ=WEEKLY;BYDAY=SU', '2027-01-01 01:00', '4 h', 'minor');
select opens_at, closes_at, opens_at at time zone zone as opens_local, closes_at at time zone zone as closes_local, closes_at - opens_at as length
from maintsched.window_spans('2027-03-07Z', '2027-03-22Z') where window_name = 'nightly' order by 1;
select opens_at, closes_at, opens_at at time zone zone as opens_local, closes_at at time zone zone as closes_local, closes_at - opens_at as length
from maintsched.window_spans('2027-10-31Z', '2027-11-15Z') where window_name = 'nightly' order by 1;
delete from maintsched.maintenance_window;

-- A task's class goes before that of its routine (sql: minor, log_cleanup: none).
set maintsched.now = '2027-02-01 12:00Z';
set client_min_messages = error;
select maintsched.add_window('ops', 'wednesday', 'FREQ=WEEKLY;BYDAY=WE', '2027-01-01 02:00', '2 h', 'minor');
select maintsched.add_window('york', 'sunday', 'FREQ=WEEKLY;BYDAY=SU', '2027-01-01 02:00', '4 h', 'major', 'UTC');
select maintsched.add_window('ops', 'freeze', 'FREQ=DAILY;COUNT=1', '2027-02-02 00:00', '1 h', 'blackout');
select maintsched.add_task('ops', 'plain', 'FREQ=MONTHLY', due_within => '28 days', routine => 'sql', params => '{"statement": "select 1"}');
select maintsched.add_task('ops', 'clean', 'FREQ=MONTHLY', due_within => '28 days', routine => 'log_cleanup');
select maintsched.add_task('ops', 'heavy', 'FREQ=MONTHLY', due_within => '28 days', routine => 'sql', params => '{"statement": "select 2"}');
select maintsched.add_task('ops', 'light', 'FREQ=MONTHLY', due_within => '28 days', routine => 'sql', params => '{"statement": "select 3"}');
select maintsched.add_task('ops', 'rescue', 'FREQ=MONTHLY', due_within => '28 days', routine => 'sql', params => '{"statement": "select 4"}');
select maintsched.add_task('ops', 'people', 'FREQ=MONTHLY', due_within => '28 days');
update maintsched.task set change_class = 'major' where name = 'heavy';
update maintsched.task set change_class = 'none' where name = 'light';
update maintsched.task set change_class = 'critical' where name = 'rescue';
reset client_min_messages;
select name, maintsched.task_class(t) from maintsched.task t order by 1;
-- Monday noon; Wednesday 02:00, Sunday 02:00
select task, next_run_at, waits_for from pg_temp.due;
-- a blackout keeps even what runs at any time; its reserve, too
set maintsched.now = '2027-02-02 00:30Z';
select task, next_run_at, waits_for from pg_temp.due where task in ('clean', 'light');
-- what is paused waits for people
select maintsched.pause('ops/clean', 'its disk is being moved');
select task, next_run_at, waits_for from pg_temp.due where task = 'clean';
select task, next_run_at from pg_temp.standing where task in ('clean', 'light');
select maintsched.resume('ops/clean');
-- in the minor window, and in the major one
set maintsched.now = '2027-02-03 02:00Z';
select task, next_run_at, waits_for from pg_temp.due where task in ('plain', 'heavy', 'light');
set maintsched.now = '2027-02-03 03:59Z';
select task, next_run_at, waits_for from pg_temp.due where task in ('plain', 'heavy', 'light');
set maintsched.now = '2027-02-07 03:00Z';
select task, next_run_at, waits_for from pg_temp.due;
-- The emergency admits all, also what no window ever does.
set maintsched.now = '2027-02-08 15:00Z';
select maintsched.open_emergency_window('the index is broken', '1 h', 'ops') > 0 as opened;
select task, next_run_at, waits_for from pg_temp.due where task in ('plain', 'heavy', 'rescue');
set maintsched.now = '2027-02-08 15:30Z';
select maintsched.close_emergency_window(max(window_id), 'it was made again') from maintsched.emergency_window;
set maintsched.now = '2027-02-08 15:31Z';
select task, next_run_at, waits_for from pg_temp.due where task in ('plain', 'heavy', 'rescue');
-- what is asked for by people outside a window
select maintsched.run_task('ops', 'heavy');
select maintsched.run_task('ops', 'rescue');
select maintsched.run_task('ops', 'heavy', force => true);
select maintsched.run_routine('sql', '{"statement": "select 1"}');
select maintsched.run_task('ops', 'heavy', force => true, reason => 'the vendor said so') > 0 as queued;
select task, next_run_at, regexp_replace(waits_for, '[0-9]+', 'N') from pg_temp.due where task = 'heavy';

-- What does not run before it is due is told when it is added, and by health.
select status, value, detail, hint from maintsched.health where item = 'windows';
select maintsched.add_task('ops', 'daily', 'FREQ=DAILY', routine => 'sql', params => '{"statement": "select 5"}') > 0 as added;
select maintsched.add_task('ops', 'half-daily', 'FREQ=DAILY', due_within => '12 h', routine => 'log_cleanup') > 0 as added;
select status, value, detail, hint from maintsched.health where item = 'windows';
-- a task that is disabled waits for nothing, and neither does one of a class that only emergencies admit
update maintsched.task set change_class = 'critical' where name = 'daily';
select status, value, detail from maintsched.health where item = 'windows';
update maintsched.task set change_class = null where name = 'daily';
update maintsched.task set enabled = false where name = 'daily';
select status, value, detail from maintsched.health where item = 'windows';
-- nor is a document's, until it is enabled
set maintsched.now = '2027-02-15 12:00Z'; -- Monday
create temp table document as select '{"format": "maintsched-calendar/1", "name": "paper", "title": "Paper",
	"tasks": [
		{"name": "statistics", "title": "Statistics", "rule": "FREQ=WEEKLY;BYDAY=TH", "starts_on": "2027-01-01T00:00:00", "due_within": "P2D", "teams": ["All"], "kind": "routine", "controls": [], "checklist": [], "routine": "analyze"},
		{"name": "great-statistics", "title": "Great statistics", "rule": "FREQ=WEEKLY;BYDAY=TU", "starts_on": "2027-01-01T00:00:00", "due_within": "P2D", "teams": ["All"], "kind": "routine", "controls": [], "checklist": [], "routine": "analyze", "change_class": "major"},
		{"name": "tuesday", "title": "Tuesday", "rule": "FREQ=WEEKLY;BYDAY=TU", "starts_on": "2027-01-01T00:00:00", "due_within": "P2D", "teams": ["All"], "kind": "routine", "controls": [], "checklist": [], "routine": "analyze"}]}' as body;
select maintsched.import_calendar(body) from document;
select status, value from maintsched.health where item = 'windows';
update maintsched.task set enabled = true where calendar = 'paper';
select maintsched.import_calendar(body) from document;
select status, value, detail from maintsched.health where item = 'windows';
-- a window on Friday serves the first, as long as there is one before it is due
select maintsched.add_window('berlin', 'friday', 'FREQ=WEEKLY;BYDAY=FR', '2027-01-01 23:00', '30 min', 'minor');
select value, detail from maintsched.health where item = 'windows';
delete from maintsched.maintenance_window where name = 'friday';
select maintsched.add_window('berlin', 'saturday', 'FREQ=WEEKLY;BYDAY=SA', '2027-01-01 01:00', '30 min', 'minor'); -- at due_at
select value, detail from maintsched.health where item = 'windows';
drop table document;

-- What fits: the clock stands in a window of 4 hours, whose end is at 06:00 and
-- whose reserve begins at 05:59.
set client_min_messages = warning;
drop extension maintsched cascade;
create extension maintsched;
set maintsched.now = '2027-02-01 12:00Z';
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "ops", "title": "Operations", "tasks": []}');
select maintsched.add_window('ops', 'sunday', 'FREQ=WEEKLY;BYDAY=SU', '2027-01-01 02:00', '4 h', 'minor');
create function public.regress_plan(params jsonb) returns setof maintsched.action language sql stable as $$
	select * from (values
		('known', 'select 1', 'x', null::bigint, 3::numeric, '{"bytes": 1200000}'::jsonb),
		('sized', 'select 1', 'x', null, 3, '{"bytes": 1200000}'),
		('guessed', 'select 1', 'x', null, 1000, '{}'),
		('wrong size', 'select 1', 'x', null, 1000, '{"bytes": "many"}'),
		('unknown', 'select 1', 'x', null, null, null)) a
$$;
select maintsched.add_routine('regress_fit', 'public.regress_plan', 'What is to fit', 'minor');
select maintsched.add_routine('regress_alike', 'public.regress_plan', 'Another one', 'minor');
select maintsched.add_routine('regress_never', 'public.regress_plan', 'What no window admits', 'critical');
select maintsched.add_routine('regress_ever', 'public.regress_plan', 'What needs no window', 'none');
reset client_min_messages;
create temp view fits as
	select target, round(estimated_seconds, 3) as seconds, fits_window from maintsched.plan('regress_fit') order by seq;
-- nothing has run: what the plan function says; Sunday's window is 14,340 seconds long
select * from fits;
-- History.  known: 30 runs of 600 minutes, then 20 of 1 to 20 minutes, the slow
-- ones first: 18 minutes are the 90th percentile of the 20.
insert into maintsched.run (routine, params, run_as, change_class, state, stop_reason, requested_by, queued_at, not_before, started_at, finished_at)
select 'regress_fit', '{}', session_user, 'minor', 'succeeded', 'completed', 'scheduler', '2027-01-01Z', '2027-01-01Z', '2027-01-01Z', '2027-01-02Z'
from generate_series(1, 50);
insert into maintsched.run_action (run_id, seq, target, command, state, started_at, finished_at)
select i, 1, 'known', 'select 1', 'done', '2027-01-01Z',
	'2027-01-01Z'::timestamptz + case when i <= 30 then interval '600 min' else (51 - i) * interval '1 min' end
from generate_series(1, 50) i;
-- what was not done, and what others did to it, does not count
insert into maintsched.run_action (run_id, seq, target, command, state, started_at, finished_at)
select 50, i, 'known', 'select 1', case i % 2 when 0 then 'failed' else 'skipped' end,
	'2027-01-01Z'::timestamptz, '2027-01-01 00:00:01Z'::timestamptz
from generate_series(2, 40) i
union all
select 50, 41, 'known', 'select 2', 'done', '2027-01-01Z', '2027-01-02Z';
insert into maintsched.run (routine, params, run_as, change_class, state, stop_reason, requested_by, queued_at, not_before, started_at, finished_at)
select 'regress_alike', '{}', session_user, 'minor', 'succeeded', 'completed', 'scheduler', '2027-01-01Z', '2027-01-01Z', '2027-01-01Z', '2027-01-02Z'
from generate_series(1, 30);
insert into maintsched.run_action (run_id, seq, target, command, state, started_at, finished_at, details)
select 50 + i, 1, 'known', 'select 1', 'done', '2027-01-01Z', '2027-01-01 00:00:10Z', '{"bytes": 10}'
from generate_series(1, 30) i;
select * from fits;
-- Speeds of others: 100 old ones of 1 byte/s, 100 of 1,000 to 100,000 bytes/s;
-- of the 93 that are not much smaller, 75,000 bytes and more, nine of ten reached
-- 17,000 bytes/s: 1.2 MB take 70.588 seconds.
insert into maintsched.run (routine, params, run_as, change_class, state, stop_reason, requested_by, queued_at, not_before, started_at, finished_at)
select 'regress_fit', '{}', session_user, 'minor', 'succeeded', 'completed', 'scheduler', '2027-01-01Z', '2027-01-01Z', '2027-01-01Z', '2027-01-02Z'
from generate_series(1, 2);
insert into maintsched.run_action (run_id, seq, target, command, state, started_at, finished_at, details)
select 81, i, 'other ' || i, 'select 1', 'done', '2027-01-01Z'::timestamptz, '2027-01-01 00:00:10Z'::timestamptz, '{"bytes": 10}'::jsonb
from generate_series(1, 100) i
union all
select 82, i, 'other ' || i, 'select 1', 'done', '2027-01-01Z', '2027-01-01 00:00:10Z', jsonb_build_object('bytes', i * 10000)
from generate_series(1, 100) i;
select * from fits;
-- known fits until 05:41, guessed until 05:42:20, sized until 05:57:49
set maintsched.now = '2027-02-07 05:41Z';
select target, seconds, fits_window from fits;
set maintsched.now = '2027-02-07 05:41:00.001Z';
select target, seconds, fits_window from fits;
set maintsched.now = '2027-02-07 05:42:21Z';
select target, seconds, fits_window from fits;
set maintsched.now = '2027-02-07 05:57:50Z';
select target, seconds, fits_window from fits;
-- in the reserve it is the next window that counts
set maintsched.now = '2027-02-07 05:59Z';
select target, seconds, fits_window from fits;
-- class critical: no window; class none: no end, but before a blackout
select target, fits_window from maintsched.plan('regress_never');
select target, fits_window from maintsched.plan('regress_ever');
select maintsched.add_window('ops', 'freeze', 'FREQ=WEEKLY;BYDAY=SU', '2027-02-07 06:10', '1 h', 'blackout');
select target, fits_window from maintsched.plan('regress_ever');
-- a plan changes nothing
select count(*) from maintsched.run where state = 'queued';

-- Week 1 of November 2026 in New York: the month begins in the window of
-- Sunday 02:00 to 06:00 UTC, and on the day on which summer time ends.
set client_min_messages = warning;
drop function public.regress_plan;
drop extension maintsched cascade;
create extension maintsched;
set maintsched.now = '2026-10-20 12:00Z';
select maintsched.import_calendar('{"format": "maintsched-calendar/1", "name": "week-1", "title": "Week 1", "tasks": []}', timezone => 'America/New_York');
reset client_min_messages;
select maintsched.add_window('week-1', 'primary', 'FREQ=WEEKLY;BYDAY=SU', '2026-01-01 02:00', '4 h', 'major', 'UTC');
select maintsched.add_task('week-1', 'database-optimization', 'FREQ=MONTHLY;BYMONTHDAY=1', starts_on => '2026-01-01',
	due_within => '7 days', routine => 'sql', params => '{"statement": "select 1"}') > 0 as added;
update maintsched.task set change_class = 'major';
select occurrence_id, opens_at, due_at, closes_at, status from maintsched.occurrence_status where opens_at < '2026-12-01';
create temp table moment (at timestamptz, remark text);
insert into moment values
	('2026-10-20 12:00Z', 'two Sundays before'),
	('2026-11-01 01:59:59Z', 'before the window'),
	('2026-11-01 03:59:59Z', 'in the window, before the month'),
	('2026-11-01 04:00Z', 'midnight in New York'),
	('2026-11-01 05:30Z', '01:30, the first time'),
	('2026-11-01 05:58:59Z', 'the last minute but one'),
	('2026-11-01 05:59Z', 'the reserve'),
	('2026-11-01 06:00Z', 'the window is over: 01:00, the second time'),
	('2026-11-04 12:00Z', 'Wednesday'),
	('2026-11-08 01:59:59Z', 'before the next window'),
	('2026-11-08 02:00Z', 'in it'),
	('2026-11-08 04:59:59Z', 'before it is due'),
	('2026-11-08 05:00Z', 'Sunday midnight in New York, the window still open'),
	('2026-11-08 05:59Z', 'its reserve'),
	('2026-12-01 05:00Z', 'the next month: one is missed, one open');
create function pg_temp.week_1(at timestamptz) returns table (clock timestamptz, status text, next_opens_at timestamptz, task_next_run_at timestamptz,
	due text, next_run_at timestamptz, waits_for text, open_window timestamptz) language plpgsql as $$
begin
	perform set_config('maintsched.now', at::text, true);
	return query select at, s.status, s.next_opens_at, s.next_run_at, d.status, d.next_run_at, d.waits_for,
		(select w.closes_at from maintsched.window_schedule w where w.open_now)
	from maintsched.task_status s left join maintsched.due_tasks d using (task);
	return;
end
$$;
set datestyle = 'ISO';
select m.remark, w.clock, w.status, w.due, w.next_run_at, w.waits_for
from moment m, pg_temp.week_1(m.at) w order by m.at;
select w.clock, w.next_opens_at, w.task_next_run_at, w.open_window
from moment m, pg_temp.week_1(m.at) w order by m.at;
-- Queued at midnight; nothing carries it out here.  A second tick() adds none.
set maintsched.now = '2026-11-01 04:00Z';
select maintsched.tick();
select maintsched.tick();
select run_id, task, routine, state, queued_at, started_at, simulated, change_class from maintsched.run_history;
select next_run_at, waits_for from maintsched.due_tasks;
-- As if it had begun at once and had been stopped at the end of the window.
update maintsched.run set state = 'running', started_at = '2026-11-01 04:00Z', window_closes_at = '2026-11-01 06:00Z';
insert into maintsched.run_action (run_id, seq, target, command) values (1, 1, 'statement 1', 'select 1');
set maintsched.now = '2026-11-01 05:00Z';
select next_run_at, waits_for from maintsched.due_tasks;
set maintsched.now = '2026-11-01 06:00Z';
select maintsched.finish_run(1, 'done');
select run_id, state, stop_reason, finished_at, retry_at, actions, actions_done, actions_skipped from maintsched.run_history;
select next_run_at, waits_for from maintsched.due_tasks;
select maintsched.tick();
set maintsched.now = '2026-11-08 01:59:59Z';
select maintsched.tick();
select next_run_at, waits_for from maintsched.due_tasks;
set maintsched.now = '2026-11-08 02:00Z';
select next_run_at, waits_for from maintsched.due_tasks;
select maintsched.tick();
select run_id, continues, state, queued_at from maintsched.run_history order by 1;
select status, outcome, attempts from maintsched.occurrence_status where opens_at = '2026-11-01 04:00Z';

-- An emergency that is only played admits nothing in real time.
reset datestyle;
set client_min_messages = warning;
select set_config('maintsched.now', clock_timestamp()::text, false) <> '' as played;
select maintsched.open_emergency_window('an exercise', '1 h') > 0 as opened;
select maintsched.next_run('critical', maintsched.clock()) = maintsched.clock() as admitted;
reset maintsched.now;
select maintsched.next_run('critical', maintsched.clock()) as admitted;

set client_min_messages = warning;
drop extension maintsched cascade;
create extension maintsched;
