-- What "make demo" shows: both shipped calendars, and what they ask for.
set timezone = 'America/New_York';
set datestyle = 'ISO';
\pset border 1
\pset footer off
\pset null ''

\echo
\echo '* create extension, install both calendars'
\set ECHO queries
create extension maintsched;
select maintsched.install_calendar('smartmed', timezone => 'America/New_York');
select maintsched.install_calendar('astral-core');
\set ECHO none

\echo
\echo '* what is due now:  select * from maintsched.today;'
select * from maintsched.today;

\echo
\echo '* the week ahead (beside the daily duties):  maintsched.upcoming_tasks'
select to_char(opens_at, 'Dy DD Mon HH24:MI') as opens,
	to_char(due_at, 'Dy DD Mon HH24:MI') as due,
	title as what, team, cadence, calendar
from maintsched.upcoming_tasks
where cadence <> 'daily' and opens_at < maintsched.clock() + interval '7 days'
order by opens_at, due_at, calendar, title;

\echo
\echo '* every day:'
select to_char(opens_at, 'HH24:MI') as opens, title as what, team, kind, calendar
from maintsched.upcoming_tasks
where cadence = 'daily' and opens_at < maintsched.clock() + interval '1 day'
order by 1, calendar, title;

\echo
\echo '* maintenance windows:  maintsched.window_schedule'
select to_char(opens_at, 'Dy DD Mon HH24:MI') as opens,
	to_char(closes_at, 'Dy DD Mon HH24:MI') as closes,
	title as window, change_class, calendar,
	case when open_now then 'open now' end as now
from maintsched.window_schedule
order by opens_at, closes_at, title;

\echo
\echo '* is the calendar itself well?  maintsched.health'
select item, status, value, detail from maintsched.health;
