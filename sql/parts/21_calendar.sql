--
-- 21_calendar: the tables of calendars, tasks and occurrences
--
-- What users enter: calendar, task, maintenance_window, contact,
-- calendar_item, framework_setting, team_role.  What is recorded of it:
-- task_version and calendar_change, which only grow.  What follows from it:
-- occurrence, frozen from the instant it opens, and task_plan.
--
-- No foreign keys between these tables: an extension's constraints are there
-- before its rows come back, and a parallel pg_restore loads the tables in any
-- order, so a foreign key would make the restore fail.  Only the functions of
-- the extension write children, under the lock of the parent's row, and what
-- has children is not deleted and keeps its key: triggers see to that.
--

create table maintsched.calendar (
	name text primary key
		check (name ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and octet_length(name) <= 63),
	title text not null,
	version text,
	last_updated text,
	description text,
	maintenance_team text,
	review_frequency text,
	timezone text not null,
	timezone_given boolean not null default false,
	rollback_required boolean not null default false,
	approval_required boolean not null default false,
	shipped_as text,
	installed_at timestamptz not null,
	installed_by text not null,
	simulated boolean not null default false
);

comment on table maintsched.calendar is 'A named schedule document, as installed or imported.';
comment on column maintsched.calendar.name is 'Its key, in kebab-case.';
comment on column maintsched.calendar.title is 'The title of the document.';
comment on column maintsched.calendar.version is 'The version that the document gives itself.';
comment on column maintsched.calendar.last_updated is 'When the document says that it was last updated, in its own words.';
comment on column maintsched.calendar.description is 'What the document says about itself.';
comment on column maintsched.calendar.maintenance_team is 'The team that the document names as responsible for the schedule.';
comment on column maintsched.calendar.review_frequency is 'How often the document says that it is reviewed, in its own words.';
comment on column maintsched.calendar.timezone is 'IANA zone of all tasks and windows that have none of their own.';
comment on column maintsched.calendar.timezone_given is 'True when the zone was given at install, at import or by set_timezone(): a re-import then leaves it.';
comment on column maintsched.calendar.rollback_required is 'True when work of class major needs a rollback text before it starts.';
comment on column maintsched.calendar.approval_required is 'True when work of class major needs another role''s approval before it starts.';
comment on column maintsched.calendar.shipped_as is 'Name of the shipped document that was last imported unchanged; NULL for others.';
comment on column maintsched.calendar.installed_at is 'clock() at the first import.';
comment on column maintsched.calendar.installed_by is 'Session user of the first import.';
comment on column maintsched.calendar.simulated is 'True when first imported under maintsched.now.';

create function maintsched.calendar_before_update() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	if new.name <> old.name then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('calendar "%s" cannot be renamed', old.name),
			hint = 'A copy under another name: select maintsched.import_calendar(maintsched.export_calendar(...)::text, as_name => ...);';
	end if;
	new.timezone := maintsched.check_timezone(new.timezone);
	return new;
end
$$;

comment on function maintsched.calendar_before_update() is
'Internal: Trigger: a calendar keeps its name, which is the key of its tasks, and has a zone that there is.';

create trigger calendar_before_update before update on maintsched.calendar
for each row execute function maintsched.calendar_before_update();

create trigger calendar_kept before delete on maintsched.calendar
for each row execute function maintsched.refuse_change('An import of a document without tasks retires them all.');

create trigger calendar_kept_truncate before truncate on maintsched.calendar
for each statement execute function maintsched.refuse_change('An import of a document without tasks retires them all.');

create function maintsched.calendar_after_update() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	update maintsched.task_plan p
	set replan_at = '-infinity'
	from maintsched.task t
	where t.task_id = p.task_id and t.calendar = new.name and t.timezone is null;
	return null;
end
$$;

comment on function maintsched.calendar_after_update() is
'Internal: Trigger: a zone that did not come by set_timezone() is planned by the next tick().';

create trigger calendar_after_update after update of timezone on maintsched.calendar
for each row when (old.timezone <> new.timezone)
execute function maintsched.calendar_after_update();

create table maintsched.task (
	task_id bigint generated by default as identity primary key,
	calendar text not null,
	name text not null
		check (name ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and octet_length(name) <= 63),
	title text not null,
	teams text[] not null,
	kind text not null check (kind in ('manual', 'routine', 'external')),
	rule maintsched.rrule,
	starts_on timestamp,
	timezone text,
	rdate timestamp[] not null default '{}',
	exdate timestamp[] not null default '{}',
	due_within interval check (due_within > interval '0'),
	grace interval check (grace >= interval '0'),
	duration text,
	effort interval check (effort >= interval '0'),
	routine text,
	params jsonb not null default '{}',
	change_class text check (change_class in ('none', 'minor', 'major', 'critical')),
	rollback text,
	catch_up text not null default 'latest' check (catch_up in ('latest', 'skip', 'all')),
	review boolean not null default false,
	checklist jsonb not null default '[]',
	instructions jsonb not null default '[]',
	tools text[] not null default '{}',
	controls text[] not null default '{}',
	description text,
	source text[] not null default '{}',
	"position" integer not null default 0,
	enabled boolean not null default true,
	run_as text not null,
	effective_from timestamptz not null,
	retired_at timestamptz,
	cadence text generated always as (maintsched.rule_cadence(rule, starts_on)) stored,
	unique (calendar, name),
	check ((kind = 'routine') = (routine is not null)),
	check ((rule is null and rdate = '{}') or (starts_on is not null and due_within is not null))
);

-- the few that have a zone of their own, for the zones in use
create index task_timezone on maintsched.task (timezone) where timezone is not null;

comment on table maintsched.task is 'A recurring duty of a calendar. Managers change it with plain UPDATE; every change is checked, versioned, shown by calendar_history and re-planned in the same transaction.';
comment on column maintsched.task.task_id is 'Key that never changes.';
comment on column maintsched.task.calendar is 'The calendar that it belongs to.';
comment on column maintsched.task.name is 'Stable name within the calendar, in kebab-case; rename_task() keeps the history.';
comment on column maintsched.task.title is 'The name for people.';
comment on column maintsched.task.teams is 'The owners; ''All'' is everybody. Shown joined by ''/''.';
comment on column maintsched.task.kind is 'manual: people do it; routine: the database does it; external: an outside job reports it.';
comment on column maintsched.task.rule is 'RFC 5545 recurrence rule, expanded in the zone of the task; NULL: occurrences are opened by calls only.';
comment on column maintsched.task.starts_on is 'DTSTART: the local start from which the rule is expanded; an occurrence itself only if the rule matches it.';
comment on column maintsched.task.timezone is 'IANA zone of this task; NULL: the zone of its calendar.';
comment on column maintsched.task.rdate is 'RDATE: further local starts (RFC 5545 section 3.8.5.2).';
comment on column maintsched.task.exdate is 'EXDATE: local starts that are left out (RFC 5545 section 3.8.5.1).';
comment on column maintsched.task.due_within is 'Time from the local start to the local due time: due_at = local start + due_within, converted to an instant.';
comment on column maintsched.task.grace is 'Time from due_at to closes_at; NULL: it closes when the next one opens, not before due_at.';
comment on column maintsched.task.duration is 'The duration in the words of the document.';
comment on column maintsched.task.effort is 'Working time that it takes: a day is 8 hours, a week 40, a span its upper end.';
comment on column maintsched.task.routine is 'What the database does, for kind routine. One that this version does not carry out is done by people.';
comment on column maintsched.task.params is 'Parameters of the routine.';
comment on column maintsched.task.change_class is 'Class of window that it needs, where it differs from its routine''s own.';
comment on column maintsched.task.rollback is 'How its work is undone: goes into the change record of each run of class major.';
comment on column maintsched.task.catch_up is 'What happens to runs that were missed: latest (one run now), skip, all.';
comment on column maintsched.task.review is 'True when another role must accept each completion.';
comment on column maintsched.task.checklist is 'Array of objects with text and, where a routine proves the line, routine.';
comment on column maintsched.task.instructions is 'Array of objects with title, style (steps, list, sql, shell, text) and lines.';
comment on column maintsched.task.tools is 'What the document says it is done with.';
comment on column maintsched.task.controls is 'Clauses that it is evidence for, each "FRAMEWORK citation"; empty: explicitly none.';
comment on column maintsched.task.description is 'Further text of the document.';
comment on column maintsched.task.source is 'Item numbers of the document that this stands for.';
comment on column maintsched.task.position is 'Order in the document.';
comment on column maintsched.task.enabled is 'False: not planned; never part of a document.';
comment on column maintsched.task.run_as is 'The role that last changed an executable part (routine, params, run_as); a routine runs with its rights.';
comment on column maintsched.task.effective_from is 'Install, or last enabling: only occurrences due after it are planned.';
comment on column maintsched.task.retired_at is 'When it left the calendar; its history stays. NULL: in force.';
comment on column maintsched.task.cadence is 'daily, weekly, monthly, quarterly, annual or other: how often the rule occurs.';

create table maintsched.task_version (
	task_id bigint not null,
	version integer not null,
	made_at timestamptz not null,
	made_by text not null,
	acting_as text not null,
	simulated boolean not null,
	title text not null,
	teams text[] not null,
	kind text not null,
	cadence text not null,
	effort interval,
	routine text,
	review boolean not null,
	checklist jsonb not null,
	controls text[] not null,
	definition jsonb not null,
	primary key (task_id, version)
);

comment on table maintsched.task_version is 'Every definition that a task has had. An occurrence keeps the version under which it opened. Only grows.';
comment on column maintsched.task_version.task_id is 'The task.';
comment on column maintsched.task_version.version is 'Counted from 1 per task.';
comment on column maintsched.task_version.made_at is 'clock() of the change.';
comment on column maintsched.task_version.made_by is 'Session user of the change.';
comment on column maintsched.task_version.acting_as is 'Role that the session acted as.';
comment on column maintsched.task_version.simulated is 'True when made under maintsched.now.';
comment on column maintsched.task_version.title is 'Title of this version.';
comment on column maintsched.task_version.teams is 'Owners of this version.';
comment on column maintsched.task_version.kind is 'Kind of this version.';
comment on column maintsched.task_version.cadence is 'Cadence of this version.';
comment on column maintsched.task_version.effort is 'Working time of this version.';
comment on column maintsched.task_version.routine is 'Routine of this version.';
comment on column maintsched.task_version.review is 'Whether this version needs a review.';
comment on column maintsched.task_version.checklist is 'Checklist of this version.';
comment on column maintsched.task_version.controls is 'Controls of this version.';
comment on column maintsched.task_version.definition is 'The whole definition, with the zone in force; intervals as ISO 8601.';

create trigger append_only before update or delete on maintsched.task_version
for each row execute function maintsched.refuse_change('A changed task gets a new version.');

create trigger append_only_truncate before truncate on maintsched.task_version
for each statement execute function maintsched.refuse_change('A changed task gets a new version.');

create table maintsched.task_plan (
	task_id bigint primary key,
	planned_until timestamptz not null,
	replan_at timestamptz not null,
	planned_at timestamptz not null,
	simulated boolean not null,
	next_opens_at timestamptz,
	next_due_at timestamptz,
	next_known_at timestamptz
);

create index task_plan_next on maintsched.task_plan (next_opens_at);

comment on table maintsched.task_plan is 'How far the occurrences of a task are known.';
comment on column maintsched.task_plan.task_id is 'The task.';
comment on column maintsched.task_plan.planned_until is 'All occurrences that open before this instant are in table occurrence; from it on the task is unknown. infinity: there are no others.';
comment on column maintsched.task_plan.replan_at is 'When tick() plans the task again.';
comment on column maintsched.task_plan.planned_at is 'clock() of the last planning.';
comment on column maintsched.task_plan.simulated is 'True when last planned under maintsched.now.';
comment on column maintsched.task_plan.next_opens_at is 'When the next occurrence opened that was ahead at next_known_at; NULL: there was none, or look it up.';
comment on column maintsched.task_plan.next_due_at is 'When it is due.';
comment on column maintsched.task_plan.next_known_at is 'From this clock() until next_opens_at it is the next one.';

create table maintsched.occurrence (
	occurrence_id bigint generated by default as identity primary key,
	task_id bigint not null,
	version integer not null,
	local_start timestamp not null,
	timezone text not null,
	opens_at timestamptz not null,
	due_at timestamptz not null,
	closes_at timestamptz,
	planned_at timestamptz not null,
	closed_at timestamptz,
	withdrawn_at timestamptz,
	withdrawn_reason text,
	facts integer not null default 0,
	simulated boolean not null,
	unique (task_id, local_start, timezone),
	check (opens_at < due_at),
	check (due_at <= closes_at)
) with (fillfactor = 90);

create index occurrence_task_opens on maintsched.occurrence (task_id, opens_at);

create index occurrence_task_due on maintsched.occurrence (task_id, due_at);

create index occurrence_unclosed on maintsched.occurrence (closes_at) where closed_at is null;

-- those that have opened and are not closed are few among many of both kinds:
-- the planner knows by the statistics, and finds them by the index
create index occurrence_open on maintsched.occurrence ((case when closed_at is null then opens_at end), task_id)
where (case when closed_at is null then opens_at end) is not null;

create statistics maintsched.occurrence_open_few on (case when closed_at is null then opens_at end)
from maintsched.occurrence;

comment on statistics maintsched.occurrence_open_few is 'How many occurrences are open.';

create index occurrence_simulated on maintsched.occurrence (occurrence_id) where simulated;

comment on table maintsched.occurrence is 'One planned instance of a task. Its identity is (task, local start, zone), never the instant. Re-planned until it opens, then frozen.';
comment on column maintsched.occurrence.occurrence_id is 'Key for the functions that do and prove it.';
comment on column maintsched.occurrence.task_id is 'The task.';
comment on column maintsched.occurrence.version is 'The version of the task''s definition: the newest until it opens, then the one under which it opened.';
comment on column maintsched.occurrence.local_start is 'Start in local time: the RECURRENCE-ID of RFC 5545.';
comment on column maintsched.occurrence.timezone is 'IANA zone of local_start.';
comment on column maintsched.occurrence.opens_at is 'Instant of local_start: from here it is due (half-open intervals).';
comment on column maintsched.occurrence.due_at is 'Instant of local_start + due_within: from here it is overdue.';
comment on column maintsched.occurrence.closes_at is 'From here it is missed: due_at + grace, else the next opening if later than due_at, else due_at; NULL: it never closes.';
comment on column maintsched.occurrence.planned_at is 'clock() when it was planned.';
comment on column maintsched.occurrence.closed_at is 'When tick() noticed, in real time, that closes_at had passed. No status depends on it.';
comment on column maintsched.occurrence.withdrawn_at is 'When its task was retired or disabled while it was open; it is then outside every count.';
comment on column maintsched.occurrence.withdrawn_reason is 'Why it was withdrawn.';
comment on column maintsched.occurrence.facts is 'How many facts were recorded about it: counted up by each of them, which makes them wait for one another.';
comment on column maintsched.occurrence.simulated is 'True when planned under maintsched.now.';

create table maintsched.maintenance_window (
	calendar text not null,
	name text not null
		check (name ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and octet_length(name) <= 63),
	title text not null,
	rule maintsched.rrule,
	starts_on timestamp,
	duration interval check (duration > interval '0'),
	timezone text,
	change_class text not null check (change_class in ('minor', 'major', 'critical', 'blackout')),
	description text,
	source text[] not null default '{}',
	"position" integer not null default 0,
	primary key (calendar, name),
	check (rule is null or (starts_on is not null and duration is not null))
);

comment on table maintsched.maintenance_window is 'A recurring span in which a class of change may run; it holds for the database, whichever calendar brought it.';
comment on column maintsched.maintenance_window.calendar is 'The calendar that brought it.';
comment on column maintsched.maintenance_window.name is 'Its name within the calendar, in kebab-case.';
comment on column maintsched.maintenance_window.title is 'The name for people.';
comment on column maintsched.maintenance_window.rule is 'RFC 5545 recurrence rule of its openings; NULL: opened on demand only.';
comment on column maintsched.maintenance_window.starts_on is 'DTSTART: local start from which the rule is expanded.';
comment on column maintsched.maintenance_window.duration is 'Days in local time, hours and minutes in elapsed time (RFC 5545 section 3.3.6).';
comment on column maintsched.maintenance_window.timezone is 'IANA zone; NULL: the zone of its calendar.';
comment on column maintsched.maintenance_window.change_class is 'minor, major, critical, or blackout (nothing runs).';
comment on column maintsched.maintenance_window.description is 'Further text of the document.';
comment on column maintsched.maintenance_window.source is 'Item numbers of the document that this stands for.';
comment on column maintsched.maintenance_window.position is 'Order in the document.';

create table maintsched.contact (
	calendar text not null,
	role text not null,
	contact text,
	contact_given text,
	responsibilities text not null,
	source text[] not null default '{}',
	"position" integer not null default 0,
	primary key (calendar, role)
);

comment on table maintsched.contact is 'Whom to turn to. UPDATE contact_given with the real address: a re-import leaves it.';
comment on column maintsched.contact.calendar is 'The calendar that names the role.';
comment on column maintsched.contact.role is 'The role, as in the document (no database role).';
comment on column maintsched.contact.contact is 'The contact as in the document, often a placeholder.';
comment on column maintsched.contact.contact_given is 'The contact given here; it goes before the document''s.';
comment on column maintsched.contact.responsibilities is 'What the role is responsible for.';
comment on column maintsched.contact.source is 'Item numbers of the document that this stands for.';
comment on column maintsched.contact.position is 'Order in the document.';

create table maintsched.calendar_item (
	calendar text not null,
	kind text not null,
	"position" integer not null,
	content jsonb not null,
	primary key (calendar, kind, "position")
);

comment on table maintsched.calendar_item is 'The entries of a document that are kept and shown but not acted on yet; one view per kind reads them.';
comment on column maintsched.calendar_item.calendar is 'The calendar.';
comment on column maintsched.calendar_item.kind is 'The array of the document that holds it: monitors, scripts, incident_procedures, ...';
comment on column maintsched.calendar_item.position is 'Order in the array, from 1.';
comment on column maintsched.calendar_item.content is 'The entry as in the document.';

create table maintsched.team_role (
	calendar text not null,
	team text not null,
	role text not null,
	primary key (calendar, team, role)
);

comment on table maintsched.team_role is 'Which database roles belong to a team of a calendar: assign_team(), unassign_team(), read by my_tasks.';
comment on column maintsched.team_role.calendar is 'The calendar.';
comment on column maintsched.team_role.team is 'The team, as in task.teams.';
comment on column maintsched.team_role.role is 'Name of a database role; its members belong to the team.';

create table maintsched.calendar_change (
	change_id bigint generated by default as identity primary key,
	calendar text not null,
	task_id bigint,
	task text,
	changed_at timestamptz not null default maintsched.clock(),
	recorded_at timestamptz not null default clock_timestamp(),
	changed_by text not null default maintsched.session_role(),
	acting_as text not null default maintsched.acting_role(),
	field text not null,
	old text,
	new text,
	reason text,
	simulated boolean not null default maintsched.clock_simulated()
);

create index calendar_change_task on maintsched.calendar_change (task_id);

comment on table maintsched.calendar_change is 'Who changed what in a calendar, when and why; read through calendar_history. Only grows.';
comment on column maintsched.calendar_change.change_id is 'Key, in order of recording.';
comment on column maintsched.calendar_change.calendar is 'The calendar.';
comment on column maintsched.calendar_change.task_id is 'The task; NULL for the calendar itself.';
comment on column maintsched.calendar_change.task is 'The task''s name at the time.';
comment on column maintsched.calendar_change.changed_at is 'clock() of the change.';
comment on column maintsched.calendar_change.recorded_at is 'Real time of the change.';
comment on column maintsched.calendar_change.changed_by is 'Session user of the change.';
comment on column maintsched.calendar_change.acting_as is 'Role that the session acted as.';
comment on column maintsched.calendar_change.field is 'The field, or added, retired, window primary, ...';
comment on column maintsched.calendar_change.old is 'What it was.';
comment on column maintsched.calendar_change.new is 'What it became.';
comment on column maintsched.calendar_change.reason is 'Why: of retire_task(), of the import, or the setting maintsched.reason.';
comment on column maintsched.calendar_change.simulated is 'True when made under maintsched.now.';

create trigger append_only before update or delete on maintsched.calendar_change
for each row execute function maintsched.refuse_change();

create trigger append_only_truncate before truncate on maintsched.calendar_change
for each statement execute function maintsched.refuse_change();

create table maintsched.planning_state (
	only_row boolean primary key default true check (only_row),
	server_started_at timestamptz not null
);

comment on table maintsched.planning_state is 'What tick() remembers; not dumped.';
comment on column maintsched.planning_state.only_row is 'There is one row at the most.';
comment on column maintsched.planning_state.server_started_at is 'The server start after which all unopened occurrences were last re-planned: time zone data may have changed since.';
