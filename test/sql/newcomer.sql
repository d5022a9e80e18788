-- What somebody gets who types the wrong thing.
\set SHOW_CONTEXT never
set client_min_messages = notice;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set maintsched.now = '2026-04-06 12:00+00';

-- before any install
select * from maintsched.due_tasks;
select * from maintsched.today;
select * from maintsched.upcoming_tasks;
select count(*) from maintsched.task_status;
select item, status, detail, hint from maintsched.health where scope = 'maintsched' order by 1;
select maintsched.set_timezone('smartmed', 'UTC');
select maintsched.tick();

-- a wrong name, a wrong zone
select maintsched.install_calendar('smartmd');
select maintsched.install_calendar('');
select maintsched.install_calendar(null);
select maintsched.install_calendar('smartmed', timezone => 'America/NewYork');
select maintsched.install_calendar('smartmed', timezone => 'Berlin');
-- (which legacy names there are, and so the hint, depends on the packages)
\set VERBOSITY terse
select maintsched.install_calendar('smartmed', timezone => 'EST5');
\set VERBOSITY default
select maintsched.install_calendar('smartmed', timezone => '');
select maintsched.install_calendar('smartmed', as_name => 'My Calendar');
select maintsched.import_calendar(null);
select maintsched.import_calendar('');
select maintsched.import_calendar('smartmed');
select maintsched.plan_import('{}');

-- the title does, and so does another case
select maintsched.install_calendar('smartmed maintenance SCHEDULE');
-- a second time
select maintsched.install_calendar('SmartMed');
select maintsched.install_calendar('smartmed', timezone => 'Europe/Berlin');
select maintsched.export_calendar('smart-med');
select maintsched.rename_task('smartmed', null, 'x');
select maintsched.assign_team('smartmed', 'DBAs', 'postgres');
select maintsched.assign_team('smartmed', 'dba', 'nobody_of_that_name');
select maintsched.unassign_team('smartmed', 'dba', 'nobody_of_that_name');
select maintsched.set_framework('HIPPA', true);
select maintsched.set_framework('HIPAA', null);
select maintsched.add_window('smartmed', 'Night', 'FREQ=DAILY', '2026-01-01', '1 h', 'minor');
select maintsched.add_window('smartmed', 'night', 'FREQ=DAILY', '2026-01-01', '1 h', 'mayor');
select maintsched.add_window('smartmed', 'night', 'FREQ=DAILY', '2026-01-01', '-1 h', 'minor');
select maintsched.add_window('smartmed', 'night', 'FREQ=DAILY', null, '1 h', 'minor');
select maintsched.add_window('smartmed', 'primary', 'FREQ=DAILY', '2026-01-01', '1 h', 'minor');

-- the clock
set maintsched.now = 'tomorrow';
set maintsched.now = '2026-02-30 12:00+00';
set maintsched.now = 'now';
alter database :"DBNAME" set maintsched.now = '2026-04-06 12:00+00';
alter role current_user set maintsched.now = '2026-04-06 12:00+00';
alter system set maintsched.now = '2026-04-06 12:00+00';
create function pg_temp.f() returns timestamptz language sql set maintsched.now = '2026-04-06 12:00+00' return maintsched.clock();
set maintsched.nwo = 'x';
set maintsched.now = '';
select maintsched.clock() = statement_timestamp() as real;

-- the clock keeps its instant, whatever the session's settings
set timezone = 'America/New_York';
set maintsched.now = '2026-04-06 12:00';
show maintsched.now;
set timezone = 'UTC';
select maintsched.clock();
set maintsched.now = '2026-04-06 12:00:00.25+05:30';
show maintsched.now;
