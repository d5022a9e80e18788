-- What "make demo" shows: both shipped calendars, half a year of work on one
-- of them, how it is proven, and what is due now.
--
-- The half year is made up day by day under a simulated clock, from 26 weeks
-- ago until yesterday, and all of it is marked as simulated.
set timezone = 'America/New_York';
set datestyle = 'ISO';
\pset border 1
\pset footer off
\pset null ''
\set SHOW_CONTEXT never

\echo
\echo '* create extension; 26 weeks ago, SmartMed: install the calendar, and give people access'
\set ECHO queries
create extension maintsched;
select set_config('maintsched.now', (current_date - 182) + time '08:00' || ' America/New_York', false) as simulated_clock;
select maintsched.install_calendar('smartmed', timezone => 'America/New_York');
create role demo_anna;
create role demo_ben;
select maintsched.grant_access('demo_anna', 'operator');
select maintsched.grant_access('demo_ben', 'manager');
\set ECHO none

\echo
\echo '* half a year of work: this takes some seconds'
set client_min_messages = warning;
do $demo$
declare
	first constant date := current_date - 182;
	yesterday constant date := current_date - 1;
	-- the weekly duty that was forgotten: nobody did it for these days
	forgotten_since constant date := current_date - 25;
	day date;
	hour time;
	o record;
	age integer;
	chance integer;
	performer text;
	completion bigint;
	waiver bigint;
	failed bigint;
begin
	for day, hour in
		select first + n, h
		from generate_series(0, yesterday - first) n
		cross join unnest(array[time '08:15', time '16:30']) h
		order by 1, 2
	loop
		reset session authorization;
		perform set_config('maintsched.now', day + hour || ' America/New_York', false);
		set session authorization demo_anna;

		for o in
			select d.*, c.review, day - greatest((d.opens_at at time zone 'America/New_York')::date, first) as age
			from maintsched.due_tasks d
			join (values
				('audit-log-review', true), ('security-log-deep-review', true), ('backup-restoration-test', true),
				('access-review', true), ('hipaa-compliance-review', true)) r(task, review) using (task)
			right join lateral (select coalesce(r.review, false) as review) c on true
			where d.occurrence_id is not null
			order by d.occurrence_id
		loop
			null;
		end loop;
	end loop;
end
$demo$;
