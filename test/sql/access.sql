-- Who may do what before roles are given access: nothing; what pg_monitor
-- sees; teams; whose rights an executable part has.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
set maintsched.now = '2026-04-06 12:00+00';
select maintsched.install_calendar('smartmed');
reset client_min_messages;
create role regress_maintsched_nobody;
create role regress_maintsched_monitor in role pg_monitor;
create role regress_maintsched_manager;
create role regress_maintsched_dba;
create role regress_maintsched_anna in role regress_maintsched_dba;

-- Nobody: not even the schema.
set role regress_maintsched_nobody;
select * from maintsched.today;
select maintsched.clock();
select maintsched.install_calendar('smartmed');
set maintsched.now = '2026-04-07 12:00+00';
reset role;

-- pg_monitor: every view, but no column that people write into.
set role regress_maintsched_monitor;
select count(*) from maintsched.due_tasks;
select count(*) from maintsched.today;
select count(*) > 0 as some from maintsched.upcoming_tasks;
select count(*) from maintsched.task_status;
select count(*) > 0 as some from maintsched.window_schedule;
select item, status from maintsched.health where scope = 'maintsched' order by 1;
select occurrence_id is not null as seen, status, controls is not null as controls from maintsched.occurrence_status limit 1;
select note from maintsched.occurrence_status;
select evidence from maintsched.occurrence_status;
select count(item) from maintsched.checklist;
select note from maintsched.checklist;
select field from maintsched.calendar_history limit 1;
select reason from maintsched.calendar_history;
select command from maintsched.commands;
select command from maintsched.scripts;
select count(*) from maintsched.task;
select maintsched.tick();
select maintsched.export_calendar('smartmed');
reset role;

-- Teams: my_tasks shows those of the roles that one is a member of, and All.
grant usage on schema maintsched to regress_maintsched_anna, regress_maintsched_manager;
grant select on maintsched.my_tasks to regress_maintsched_anna;
grant execute on all functions in schema maintsched to regress_maintsched_anna;
set role regress_maintsched_anna;
select task from maintsched.my_tasks;
reset role;
select maintsched.assign_team('smartmed', 'dba', 'regress_maintsched_dba');
select maintsched.assign_team('smartmed', 'DBA', 'regress_maintsched_dba');
select maintsched.assign_team('smartmed', 'Support', 'regress_maintsched_nobody');
set role regress_maintsched_anna;
select task, team from maintsched.my_tasks;
set maintsched.now = '2026-04-22 12:00+00';
reset role;
set maintsched.now = '2026-04-22 12:00+00';
set role regress_maintsched_anna;
select task, team, status from maintsched.my_tasks order by 1;
reset role;
set maintsched.now = '2026-04-06 12:00+00';
select maintsched.unassign_team('smartmed', 'DBA', 'regress_maintsched_dba');
set role regress_maintsched_anna;
select count(*) from maintsched.my_tasks;
reset role;
-- a role that is gone gives nobody anything
drop role regress_maintsched_nobody;
select count(*) from maintsched.my_tasks;

-- A manager changes a task with plain UPDATE, and nothing else.
grant select, update on maintsched.task to regress_maintsched_manager;
grant execute on function maintsched.valid_rule(text), maintsched.rule_cadence(text, timestamp) to regress_maintsched_manager;
set role regress_maintsched_manager;
update maintsched.task set rule = 'FREQ=WEEKLY;BYDAY=TU', title = 'Audit log review on Tuesdays' where name = 'audit-log-review';
-- ... not what runs as somebody else, least of all as a superuser (whose name
-- differs from server to server)
\set VERBOSITY sqlstate
update maintsched.task set params = '{"include": ["x"]}' where name = 'database-vacuum';
update maintsched.task set routine = 'analyze' where name = 'database-vacuum';
update maintsched.task set run_as = 'regress_maintsched_manager' where name = 'database-vacuum';
update maintsched.task set kind = 'routine', routine = 'analyze' where name = 'access-review';
update maintsched.task set enabled = false where name = 'database-vacuum';
update maintsched.task set enabled = true where name = 'database-vacuum';
\set VERBOSITY default
delete from maintsched.task;
insert into maintsched.calendar_change (calendar, field) values ('smartmed', 'forged');
insert into maintsched.occurrence (task_id, version, local_start, timezone, opens_at, due_at, planned_at, simulated)
	values (1, 1, now(), 'UTC', now(), now() + interval '1 day', now(), false);
reset role;
select field, new, changed_by = session_user as by_session from maintsched.calendar_history where task = 'audit-log-review' and field in ('rule', 'title');
select acting_as from maintsched.calendar_change where field = 'rule' and task = 'audit-log-review';

-- What a role may run it may change, and then it runs as that role.
update maintsched.task set enabled = true where name = 'database-vacuum';
update maintsched.task set run_as = 'regress_maintsched_dba' where name = 'database-vacuum';
select run_as from maintsched.task where name = 'database-vacuum';
grant regress_maintsched_dba to regress_maintsched_manager;
set role regress_maintsched_manager;
update maintsched.task set params = '{"include": ["x"]}' where name = 'database-vacuum';
reset role;
select run_as, params from maintsched.task where name = 'database-vacuum';
set role regress_maintsched_manager;
update maintsched.task set run_as = 'pg_monitor' where name = 'database-vacuum';
update maintsched.task set run_as = 'no_such_role' where name = 'database-vacuum';
reset role;
update maintsched.task set run_as = 'no_such_role' where name = 'database-vacuum';

-- A function or operator of the caller's path is not found.
create schema regress_evil;
create function regress_evil.lower(text) returns text language plpgsql as $$ begin raise 'evil'; end $$;
create function regress_evil.evil_equal(text, text) returns boolean language plpgsql as $$ begin raise 'evil'; end $$;
create operator regress_evil.= (leftarg = text, rightarg = text, function = regress_evil.evil_equal);
set search_path = regress_evil, pg_catalog;
select maintsched.find_calendar('SmartMed');
select count(*) > 0 as some from maintsched.due_tasks;
update maintsched.task set title = 'Same' where name operator(pg_catalog.=) 'access-review';
select maintsched.tick();
reset search_path;
set client_min_messages = warning;
drop schema regress_evil cascade;

drop extension maintsched;
create extension maintsched;
drop role regress_maintsched_monitor, regress_maintsched_anna, regress_maintsched_dba, regress_maintsched_manager;
