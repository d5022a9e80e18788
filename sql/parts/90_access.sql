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

revoke all on type maintsched.rrule, maintsched.expansion, maintsched.task_comparison, maintsched.evidence, maintsched.action, maintsched.backup_entry from public;

grant usage on schema maintsched to pg_monitor;

grant select on
	maintsched.available_calendars, maintsched.frameworks,
	maintsched.due_tasks, maintsched.today, maintsched.upcoming_tasks,
	maintsched.task_status, maintsched.compliance_status, maintsched.compliance_by_calendar, maintsched.control_tasks,
	maintsched.compliance_monthly, maintsched.task_monthly, maintsched.control_monthly,
	maintsched.team_workload, maintsched.window_schedule, maintsched.windows,
	maintsched.health_history,
	maintsched.health, maintsched.running, maintsched.contacts, maintsched.notifications,
	maintsched.documentation_steps, maintsched.storage_places,
	maintsched.monitors, maintsched.incident_procedures,
	maintsched.escalation_levels, maintsched.dashboards, maintsched.kpis,
	maintsched.document_history,
	maintsched.bloat_report
to pg_monitor;

grant select (
	notice_id, kind, subject, team, scheduled_for, created_at, late, acknowledged_at, acknowledged_by,
	opens_at, calendar, moved_to, occurrence_id, run_id, change_id, window_id, simulated)
on maintsched.notices to pg_monitor;

grant select on maintsched.status_page to pg_monitor;

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

grant select (
	change_id, calendar, change_class, requested_by, approved_by, starts_at, completed_at, outcome,
	emergency, notice_hours, run_id, ends_at, short_notice, state, requested_at, approved_at, closed_by,
	task, occurrence_id, window_id, simulated)
on maintsched.change_log to pg_monitor;

grant select (
	occurrence_id, calendar, task, title, change_id, window_id, opens_at, due_at, status,
	completed_at, performed_by, review, opened_by)
on maintsched.follow_ups to pg_monitor;

grant select (
	run_id, calendar, task, routine, run_as, state, stop_reason, requested_by, queued_at,
	started_at, finished_at, actions, actions_done, actions_skipped, actions_failed,
	change_class, forced, continues, retry_at, window_closes_at, simulated)
on maintsched.run_history to pg_monitor;

grant select (
	run_id, seq, target, state, skip_reason, started_at, finished_at, sqlstate, benefit_bytes, estimated_seconds)
on maintsched.run_actions to pg_monitor;

grant select on maintsched.routines to pg_monitor;

grant select (
	schema, relation, kind, last_checked_at, check_kind, verdict, age, age_seconds, parents_checked_at,
	access_method, size_bytes, parts, parts_checked, run_id)
on maintsched.amcheck_report to pg_monitor;

grant select on maintsched.archives to pg_monitor;

grant select (
	repository, kind, label, finished_at, age_seconds, size_bytes, level, level_name, verdict, verified_at, newest, state)
on maintsched.backup_status to pg_monitor;

grant select (
	checked_at, repository, label, level, check_name, result, checked_by, calendar, task, run_id, drill_id, seconds, simulated)
on maintsched.backup_log to pg_monitor;

grant select (expectation_id, repository, kept, captured_at, restore_point, lsn, timeline, tables, rows, captured_by, simulated)
on maintsched.expectations to pg_monitor;

grant select (
	drill_id, repository, label, began_at, verdict, step, level, rto_seconds, rpo_seconds, target, restore_point, ended_at, seconds,
	removed, run_id, recorded_by, simulated)
on maintsched.drills to pg_monitor;

grant select (drill_id, repository, label, seq, step, document_step, result, seconds, started_at, simulated)
on maintsched.drill_steps to pg_monitor;

grant select on maintsched.expected_tables to pg_monitor;

grant select (repository, name, database, min_rows, max_rows, columns, timeout)
on maintsched.sample_queries to pg_monitor;

grant select (
	repository, kind, location, archive, pulled, system_identifier, max_age, rpo, rto, copies, expected_location, encrypted,
	size_tolerance, size_floor, read_within, verify_within, drill_within, read_at, read_ok, read_from, read_well_at, backups)
on maintsched.repositories to pg_monitor;

grant select (
	repository, kind, label, type, state, started_at, finished_at, age, age_seconds, size, stored, prior, depends_on,
	pg_version, timeline, start_lsn, end_lsn, start_wal, end_wal, system_identifier, size_bytes, delta_bytes, stored_bytes,
	encrypted, location, recorded_at)
on maintsched.backups to pg_monitor;

grant execute on function
	maintsched.run_outlook(),
	maintsched.run_health(),
	maintsched.amcheck_health(),
	maintsched.archive_health(),
	maintsched.backup_levels(),
	maintsched.backend_alive(integer, timestamptz),
	maintsched.backup_standing(),
	maintsched.backup_health(),
	maintsched.check_standing(),
	maintsched.corrupt_relations(),
	maintsched.server_health(),
	maintsched.list_text(text[], integer),
	maintsched.launcher_state(),
	maintsched.library_version(),
	maintsched.run_state_machine(),
	maintsched.clock(),
	maintsched.clock_simulated(),
	maintsched.status_lines(),
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
	maintsched.run_progress(),
	maintsched.start_text(timestamptz, text),
	maintsched.end_text(timestamptz, text),
	maintsched.fit(text, integer),
	maintsched.time_span(bigint),
	maintsched.window_close(timestamp, interval, text),
	maintsched.occurrences(text, timestamp, text, timestamptz, timestamptz, integer),
	maintsched.instances(text, timestamp, text, timestamptz, timestamptz, integer),
	maintsched.next_occurrence(text, timestamp, text, timestamptz),
	maintsched.to_instant(timestamp, text),
	maintsched.describe_rule(text),
	maintsched.bloat_estimate(regclass, integer),
	maintsched.bloat_by_row(text, text, text, text, real, bigint),
	maintsched.bloat_sample(oid[], bigint[], integer, bigint),
	maintsched.bloat_best(text, text, text, text),
	maintsched.bloat_detail(text, text, text, bigint, double precision, integer, integer, bigint),
	maintsched.bloat_method(text, boolean, double precision),
	maintsched.relation_kind("char", boolean),
	maintsched.bloat_size_text(numeric),
	maintsched.bloat_relations(),
	maintsched.age_text(interval)
to pg_monitor;
