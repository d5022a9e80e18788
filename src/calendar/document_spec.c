/*-------------------------------------------------------------------------
 *
 * document_spec.c
 *	  The keys of calendar and framework documents.
 *
 * One table for each kind of entry, in the order in which a document is
 * written.  docs/reference/calendar-format.md and calendar.schema.json say
 * the same in prose and as JSON Schema; a test compares them.  Only constant
 * data: nothing here runs.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "calendar/document.h"

#define REQUIRED	FIELD_REQUIRED
#define OPTIONAL	0
#define LIST		FIELD_ARRAY
#define FILLED		(FIELD_ARRAY | FIELD_FILLED)
#define DISTINCT	(FIELD_ARRAY | FIELD_DISTINCT)

/* what may follow the name of a field */
#define TYPE(type, flags)	FIELD_##type, (flags), NULL, NULL, 0, 0
#define WORDS(list, flags)	FIELD_WORD, (flags), NULL, (list), 0, 0
#define ENTRIES(kind, flags) FIELD_ENTRY, (flags) | FIELD_ARRAY, &(kind), NULL, 0, 0
#define INTEGER(low, high)	FIELD_INTEGER, REQUIRED, NULL, NULL, (low), (high)

/* the item numbers of the original that an entry stands for */
#define SOURCE	{"source", TYPE(LABEL, DISTINCT)}

#define KIND(what, fields, key, check) \
	{(what), (fields), lengthof(fields), (key), (check)}

/* a year, in minutes */
#define LONGEST_INCIDENT	(366 * 24 * 60)

static const char *const calendar_formats[] = {"maintsched-calendar/1", NULL};
static const char *const framework_formats[] = {"maintsched-framework/1", NULL};
static const char *const kinds[] = {"manual", "routine", "external", NULL};

/* "sql" is missing on purpose: it never comes from a document */
static const char *const routines[] = {
	"analyze", "vacuum", "bloat", "reindex", "optimize", "amcheck", "archive",
	"health", "log_cleanup", "backup_verify", "restore_drill", NULL
};
static const char *const task_classes[] = {"none", "minor", "major", "critical", NULL};
static const char *const window_classes[] = {"minor", "major", "critical", "blackout", NULL};
static const char *const catch_ups[] = {"latest", "skip", "all", NULL};
static const char *const styles[] = {"steps", "list", "sql", "shell", "text", NULL};
static const char *const occasions[] = {"planned", "emergency", NULL};
static const char *const moments[] = {"before_start", "at_start", "after_close", NULL};
static const char *const channels[] = {"users", "status_page", NULL};
static const char *const step_phases[] = {"before", "after", NULL};
static const char *const clocks[] = {"wall", "business_minutes", "business_days", "window", NULL};
static const char *const comparisons[] = {"<", "<=", "=", ">=", ">", NULL};
static const char *const requirements[] = {"required", "addressable", "proposed", NULL};

static const Field checklist_fields[] = {
	{"text", TYPE(LABEL, REQUIRED)},
	{"routine", WORDS(routines, OPTIONAL)},
	{"params", TYPE(OBJECT, OPTIONAL)},
	SOURCE
};
static const EntryKind checklist_item = KIND("checklist item", checklist_fields, NULL, document_check_item);

static const Field instruction_fields[] = {
	{"title", TYPE(LABEL, OPTIONAL)},
	{"style", WORDS(styles, REQUIRED)},
	{"lines", TYPE(LINE, REQUIRED | FILLED)},
	SOURCE
};
static const EntryKind instruction = KIND("instruction", instruction_fields, NULL, NULL);

static const Field task_fields[] = {
	{"name", TYPE(NAME, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"formerly", TYPE(NAME, DISTINCT)},
	{"teams", TYPE(LABEL, REQUIRED | FILLED | DISTINCT)},
	{"kind", WORDS(kinds, REQUIRED)},
	{"routine", WORDS(routines, OPTIONAL)},
	{"params", TYPE(OBJECT, OPTIONAL)},
	{"rule", TYPE(RULE, REQUIRED | FIELD_NULLABLE)},
	{"starts_on", TYPE(TIMESTAMP, OPTIONAL)},
	{"timezone", TYPE(TIMEZONE, OPTIONAL)},
	{"rdate", TYPE(TIMESTAMP, DISTINCT)},
	{"exdate", TYPE(TIMESTAMP, DISTINCT)},
	{"due_within", TYPE(DURATION, OPTIONAL)},
	{"grace", TYPE(SPAN, OPTIONAL)},
	{"duration", TYPE(LABEL, OPTIONAL)},
	{"effort", TYPE(SPAN, OPTIONAL)},
	{"change_class", WORDS(task_classes, OPTIONAL)},
	{"rollback", TYPE(TEXT, OPTIONAL)},
	{"catch_up", WORDS(catch_ups, OPTIONAL)},
	{"review", TYPE(BOOLEAN, OPTIONAL)},
	{"description", TYPE(TEXT, OPTIONAL)},
	{"checklist", ENTRIES(checklist_item, OPTIONAL)},
	{"instructions", ENTRIES(instruction, OPTIONAL)},
	{"tools", TYPE(LABEL, LIST)},
	{"controls", TYPE(CONTROL, REQUIRED | DISTINCT)},
	SOURCE
};
static const EntryKind task = KIND("task", task_fields, "name", document_check_task);

static const Field window_fields[] = {
	{"name", TYPE(NAME, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"rule", TYPE(RULE, REQUIRED | FIELD_NULLABLE)},
	{"starts_on", TYPE(TIMESTAMP, OPTIONAL)},
	{"duration", TYPE(DURATION, OPTIONAL)},
	{"timezone", TYPE(TIMEZONE, OPTIONAL)},
	{"change_class", WORDS(window_classes, REQUIRED)},
	{"description", TYPE(TEXT, OPTIONAL)},
	SOURCE
};
static const EntryKind window = KIND("window", window_fields, "name", document_check_window);

static const Field notification_fields[] = {
	{"name", TYPE(NAME, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"applies_to", WORDS(occasions, REQUIRED)},
	{"moment", WORDS(moments, REQUIRED)},
	{"lead_time", TYPE(DURATION, OPTIONAL)},
	{"channel", WORDS(channels, REQUIRED)},
	SOURCE
};
static const EntryKind notification = KIND("notification", notification_fields, "name", document_check_notification);

static const Field documentation_fields[] = {
	{"phase", WORDS(step_phases, REQUIRED)},
	{"text", TYPE(LABEL, REQUIRED)},
	SOURCE
};
static const EntryKind documentation_step = KIND("documentation step", documentation_fields, NULL, NULL);

static const Field storage_fields[] = {
	{"name", TYPE(NAME, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"location", TYPE(LABEL, REQUIRED)},
	SOURCE
};
static const EntryKind storage_place = KIND("storage place", storage_fields, "name", NULL);

static const Field contact_fields[] = {
	{"role", TYPE(LABEL, REQUIRED)},
	{"contact", TYPE(LABEL, OPTIONAL)},
	{"responsibilities", TYPE(LABEL, REQUIRED)},
	SOURCE
};
static const EntryKind contact = KIND("contact", contact_fields, "role", NULL);

static const Field monitor_fields[] = {
	{"name", TYPE(NAME, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"frequency", TYPE(LABEL, REQUIRED)},
	{"every", TYPE(DURATION, OPTIONAL)},
	{"threshold", TYPE(LABEL, OPTIONAL)},
	{"tool", TYPE(LABEL, OPTIONAL)},
	{"teams", TYPE(LABEL, DISTINCT)},
	SOURCE
};
static const EntryKind monitor = KIND("monitor", monitor_fields, "name", NULL);

static const Field script_fields[] = {
	{"name", TYPE(NAME, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"command", TYPE(TEXT, REQUIRED)},
	{"task", TYPE(NAME, OPTIONAL)},
	SOURCE
};
static const EntryKind script = KIND("script", script_fields, "name", NULL);

static const Field command_fields[] = {
	{"topic", TYPE(LABEL, REQUIRED)},
	{"command", TYPE(TEXT, REQUIRED)},
	{"task", TYPE(NAME, OPTIONAL)},
	SOURCE
};
static const EntryKind command = KIND("command", command_fields, NULL, NULL);

static const Field phase_fields[] = {
	{"name", TYPE(LABEL, REQUIRED)},
	{"from_minutes", INTEGER(0, LONGEST_INCIDENT)},
	{"to_minutes", INTEGER(1, LONGEST_INCIDENT)},
	{"steps", TYPE(LABEL, REQUIRED | FILLED)},
	SOURCE
};
static const EntryKind phase = KIND("phase", phase_fields, "name", document_check_phase);

static const Field incident_fields[] = {
	{"name", TYPE(NAME, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"phases", ENTRIES(phase, REQUIRED | FILLED)},
	SOURCE
};
static const EntryKind incident_procedure = KIND("incident procedure", incident_fields, "name", NULL);

static const Field escalation_fields[] = {
	{"severity", INTEGER(1, 9)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"response", TYPE(LABEL, REQUIRED)},
	{"clock", WORDS(clocks, REQUIRED)},
	{"within", TYPE(DURATION, OPTIONAL)},
	SOURCE
};
static const EntryKind escalation_level = KIND("escalation level", escalation_fields, "severity", NULL);

static const Field dashboard_fields[] = {
	{"name", TYPE(NAME, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"items", TYPE(LABEL, REQUIRED | FILLED)},
	SOURCE
};
static const EntryKind dashboard = KIND("dashboard", dashboard_fields, "name", NULL);

static const Field kpi_fields[] = {
	{"name", TYPE(NAME, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"target", TYPE(LABEL, REQUIRED)},
	{"comparison", WORDS(comparisons, OPTIONAL)},
	{"value", TYPE(NUMBER, OPTIONAL)},
	{"unit", TYPE(LABEL, OPTIONAL)},
	SOURCE
};
static const EntryKind kpi = KIND("KPI", kpi_fields, "name", document_check_kpi);

static const Field history_fields[] = {
	{"version", TYPE(LABEL, REQUIRED)},
	{"date", TYPE(LABEL, REQUIRED)},
	{"changes", TYPE(TEXT, REQUIRED)},
	SOURCE
};
static const EntryKind history = KIND("history entry", history_fields, NULL, NULL);

static const Field calendar_fields[] = {
	{"format", WORDS(calendar_formats, REQUIRED)},
	{"name", TYPE(NAME, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"version", TYPE(LABEL, OPTIONAL)},
	{"last_updated", TYPE(LABEL, OPTIONAL)},
	{"description", TYPE(TEXT, OPTIONAL)},
	{"maintenance_team", TYPE(LABEL, OPTIONAL)},
	{"review_frequency", TYPE(LABEL, OPTIONAL)},
	{"timezone", TYPE(TIMEZONE, OPTIONAL)},
	{"rollback_required", TYPE(BOOLEAN, OPTIONAL)},
	{"approval_required", TYPE(BOOLEAN, OPTIONAL)},
	{"tasks", ENTRIES(task, REQUIRED)},
	{"windows", ENTRIES(window, OPTIONAL)},
	{"notifications", ENTRIES(notification, OPTIONAL)},
	{"documentation_steps", ENTRIES(documentation_step, OPTIONAL)},
	{"storage_places", ENTRIES(storage_place, OPTIONAL)},
	{"contacts", ENTRIES(contact, OPTIONAL)},
	{"monitors", ENTRIES(monitor, OPTIONAL)},
	{"scripts", ENTRIES(script, OPTIONAL)},
	{"commands", ENTRIES(command, OPTIONAL)},
	{"incident_procedures", ENTRIES(incident_procedure, OPTIONAL)},
	{"escalation_levels", ENTRIES(escalation_level, OPTIONAL)},
	{"dashboards", ENTRIES(dashboard, OPTIONAL)},
	{"kpis", ENTRIES(kpi, OPTIONAL)},
	{"history", ENTRIES(history, OPTIONAL)}
};
const EntryKind calendar_document = KIND("calendar document", calendar_fields, NULL, document_check_calendar);

static const Field control_fields[] = {
	{"control", TYPE(LABEL, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"requirement", WORDS(requirements, REQUIRED)},
	SOURCE
};
static const EntryKind control = KIND("control", control_fields, "control", NULL);

static const Field framework_fields[] = {
	{"format", WORDS(framework_formats, REQUIRED)},
	{"name", TYPE(FRAMEWORK, REQUIRED)},
	{"title", TYPE(LABEL, REQUIRED)},
	{"source", TYPE(TEXT, REQUIRED)},
	{"enabled", TYPE(BOOLEAN, REQUIRED)},
	{"controls", ENTRIES(control, REQUIRED | FILLED)}
};
const EntryKind framework_document = KIND("framework document", framework_fields, NULL, NULL);
