-- What must be the same before and after a pg_upgrade, at one instant.
set maintsched.now = '2027-02-03 04:05+00';
set timezone = 'UTC';
select 'task_status', t::text from maintsched.task_status t order by 2;
select 'due_tasks', t::text from maintsched.due_tasks t order by 2;
select 'upcoming_tasks', t::text from maintsched.upcoming_tasks t order by 2;
select 'occurrence_status', t::text from maintsched.occurrence_status t order by 2;
select 'calendar_history', t::text from maintsched.calendar_history t order by 2;
select 'window_schedule', t::text from maintsched.window_schedule t order by 2;
select 'occurrence', t::text from maintsched.occurrence t order by 2;
select 'task', t::text from maintsched.task t order by 2;
select 'task_version', t::text from maintsched.task_version t order by 2;
