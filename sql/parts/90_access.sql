--
-- 90_access: who may do what
--
-- Nothing is PUBLIC's.  pg_monitor, a role of every server, reads figures
-- but no column that people write notes, evidence or commands into.
--
-- A view reads its tables with its owner's rights, but the functions in it
-- are called with the reader's: whoever may read the views needs those, too.
--

revoke all on schema maintsched from public;

revoke all on all tables in schema maintsched from public;

revoke all on all sequences in schema maintsched from public;

revoke all on all routines in schema maintsched from public;

revoke all on type maintsched.rrule, maintsched.expansion, maintsched.task_comparison, maintsched.evidence from public;

grant usage on schema maintsched to pg_monitor;

grant select on
	maintsched.available_calendars, maintsched.frameworks,
	maintsched.due_tasks, maintsched.today, maintsched.upcoming_tasks,
	maintsched.task_status, maintsched.compliance_status, maintsched.compliance_by_calendar, maintsched.control_tasks,
	maintsched.compliance_monthly, maintsched.task_monthly, maintsched.control_monthly,
	maintsched.team_workload, maintsched.window_schedule, maintsched.windows,
	maintsched.health, maintsched.contacts, maintsched.notifications,
	maintsched.documentation_steps, maintsched.storage_places,
	maintsched.monitors, maintsched.incident_procedures,
	maintsched.escalation_levels, maintsched.dashboards, maintsched.kpis,
	maintsched.document_history
to pg_monitor;

grant select (calendar, name, title, task, source) on maintsched.scripts to pg_monitor;

grant select (calendar, topic, task, source) on maintsched.commands to pg_monitor;

grant select (occurrence_id, calendar, task, item, text, routine, passed, marked_at, marked_by)
on maintsched.checklist to pg_monitor;

grant select (calendar, task, changed_at, changed_by, field)
on maintsched.calendar_history to pg_monitor;

grant select (
	occurrence_id, calendar, task, title, team, version, opens_at, due_at, closes_at,
	status, outcome, completed_at, performed_by, recorded_at, recorded_by, attempts,
	first_failed_at, backdated, recorded_late, exception_accepted, simulated,
	review, reviewed_by, reviewed_at, run_id, controls, status_rank)
on maintsched.occurrence_status to pg_monitor;

grant select (
	completion_id, occurrence_id, calendar, task, title, due_at, attempt, outcome,
	completed_at, effective_at, backdated, performed_by, recorded_at, recorded_by,
	acting_as, review, reviewed_by, reviewed_at, retracted, retracted_by, retracted_at, simulated)
on maintsched.completions to pg_monitor;

grant select (
	waiver_id, calendar, task, occurrence_id, since, expires_at, state, requested_by,
	requested_at, decided_by, decided_at, revoked_by, revoked_at, simulated)
on maintsched.waivers to pg_monitor;

grant select (scope, paused_at, until, paused_by) on maintsched.pauses to pg_monitor;

grant execute on function
	maintsched.clock(),
	maintsched.clock_simulated(),
	maintsched.status_rank(text),
	maintsched.planning_ends(),
	maintsched.is_planned(timestamptz, timestamptz),
	maintsched.derive_status(timestamptz, timestamptz, timestamptz, timestamptz, text, boolean, timestamptz, boolean, timestamptz),
	maintsched.due_month(timestamptz, text),
	maintsched.missed_since(bigint, timestamptz),
	maintsched.unsettled_occurrences(),
	maintsched.owed_states(),
	maintsched.void_months(),
	maintsched.other_years(),
	maintsched.on_time_rate(bigint, bigint, bigint, bigint, bigint, bigint),
	maintsched.year_begins(text),
	maintsched.instance_problem(),
	maintsched.start_text(timestamptz, text),
	maintsched.end_text(timestamptz, text),
	maintsched.fit(text, integer),
	maintsched.time_span(bigint),
	maintsched.window_close(timestamp, interval, text),
	maintsched.occurrences(text, timestamp, text, timestamptz, timestamptz, integer),
	maintsched.instances(text, timestamp, text, timestamptz, timestamptz, integer),
	maintsched.next_occurrence(text, timestamp, text, timestamptz),
	maintsched.to_instant(timestamp, text),
	maintsched.describe_rule(text)
to pg_monitor;
