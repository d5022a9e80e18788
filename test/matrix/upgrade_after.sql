-- The extension goes on working after a pg_upgrade.
select to_regprocedure('maintsched.resume(text)') is not null as has_resume \gset
\if :has_resume
select maintsched.resume('all');
\endif
select maintsched.tick();
update maintsched.task set due_within = due_within + interval '1 hour' where name = 'renamed-task';
select 1 / count(*) from maintsched.occurrence where planned_at > now() - interval '10 minutes' and opens_at > now();
select maintsched.export_calendar('smartmed') is not null;
select 1 / count(*) from maintsched.occurrences('FREQ=MONTHLY;BYDAY=1MO', '2026-01-01', 'America/New_York',
	'2026-01-01+00', '2027-01-01+00');
