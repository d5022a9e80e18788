-- A database with something in it: both calendars, and changes of every kind.
create extension maintsched;
select maintsched.install_calendar('smartmed', timezone => 'America/New_York');
select maintsched.install_calendar('astral-core');
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
