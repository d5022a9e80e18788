/*-------------------------------------------------------------------------
 *
 * maintsched.c
 *	  The door of the extension, and the map of the house.
 *
 * maintsched turns a maintenance document into something the database keeps
 * by itself.  C does what SQL cannot; policy (what is due, what is planned,
 * what an import changes) is SQL that a DBA can read with \sf and \d+.
 *
 *	 src/core/		what every room needs
 *		clock.c			the one place that reads the clock; maintsched.now
 *		identity.c		who acts: the outer role inside a definer function
 *		nearest.c		"perhaps you meant": the nearest known name
 *		json.c			strict JSON reading, errors with the JSON path
 *		compat.h		the only #if PG_VERSION_NUM
 *	 src/calendar/	recurrence and documents
 *		rrule*.c		RFC 5545 rules in pure C: parse, expand, describe
 *		zone.c			local time <-> instant, pure C
 *		recurrence.c	a rule in a zone: instances in a span, the next one
 *		timezone.c		time zones by name, and zone.c over the server's data
 *		occurrence.c	the SQL functions over the five above
 *		document*.c		calendar and framework JSON: what it must look like
 *
 *	 sql/parts/		one fragment a room, in this order: the install script
 *		10_core			clock, names, errors
 *		12_document		the readers of documents
 *		15_shipped		the shipped documents and frameworks
 *		20_recurrence	rules: occurrences(), next_occurrence(), domain rrule
 *		21_calendar		tables of calendars, tasks, versions, occurrences
 *		22_planning		which occurrences there are; tick()
 *		23_check		what a name means; whether a definition is whole
 *		24_task			adding, changing, renaming, retiring tasks; history
 *		25_settings		zones, windows, teams, frameworks
 *		26_import		import_calendar(), plan_import(), install_calendar()
 *		27_export		export_calendar(), available_calendars
 *		28_entries		one view per kind of entry that is not acted on yet
 *		29_instance		pause(), resume(); whether this database is a copy
 *		30_fact			tables of facts, which only grow
 *		31_verdict		what follows from the facts: views over all of history
 *		32_rollup		the same, kept as figures; which of them hold
 *		33_rolling		keeping them: closing, rolling up, making anew
 *		34_completion	doing and proving: complete_task() and its like
 *		35_decision		retraction, review, waivers; evidence from before
 *		36_status		task_status, calendar_history, window_schedule
 *		37_due			due_tasks, today and the other lists of what is due
 *		38_compliance	compliance per control, calendar, month; team_workload
 *		39_evidence		evidence_for(), and the facts for people
 *		87_access		grant_access() and its like
 *		88_health		health
 *		90_access		who may do what: nothing is granted to PUBLIC
 *		95_dump			what pg_dump takes along
 *
 * Calls go one way: door -> calendar -> core.  Nothing here runs in the
 * postmaster or needs shared_preload_libraries; all functions run in the
 * backend that calls them and lock nothing but what their SQL locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "core/clock.h"
#include "core/compat.h"

COMPAT_MODULE_MAGIC("maintsched", MAINTSCHED_VERSION);

PGDLLEXPORT void _PG_init(void);

/* maintsched.horizon, in minutes; read by SQL through current_setting() */
static int	horizon_minutes = 90 * 24 * 60;

/* maintsched.max_backdate, in minutes; read by SQL likewise */
static int	max_backdate_minutes = 24 * 60;

/* maintsched.reason and maintsched.node; read by SQL likewise */
static char *change_reason = NULL;
static char *node_name = NULL;

/*
 * Define the settings.  Each room defines its own; what belongs to no room
 * stands here.
 */
void
_PG_init(void)
{
	clock_define_settings();

	DefineCustomIntVariable("maintsched.horizon",
							"How far ahead occurrences are planned.",
							"Each task has at least its next occurrence planned, and at most 1,000.",
							&horizon_minutes,
							90 * 24 * 60,
							24 * 60,
							3660 * 24 * 60,
							PGC_SUSET,
							GUC_UNIT_MIN,
							NULL, NULL, NULL);

	DefineCustomIntVariable("maintsched.max_backdate",
							"How long before its recording a completion may claim to have been carried out.",
							"A claim further back counts from the recording, and shows as backdated.",
							&max_backdate_minutes,
							24 * 60,
							0,
							31 * 24 * 60,
							PGC_SUSET,
							GUC_UNIT_MIN,
							NULL, NULL, NULL);

	DefineCustomStringVariable("maintsched.node",
							   "Name of this server, which tells a failover from a copy.",
							   "Where it differs from the name at the last resume('all'), nothing runs in the background.",
							   &node_name,
							   "",
							   PGC_SIGHUP,
							   0,
							   NULL, NULL, NULL);

	DefineCustomStringVariable("maintsched.reason",
							   "Why this session changes a calendar; recorded in calendar_history.",
							   NULL,
							   &change_reason,
							   "",
							   PGC_USERSET,
							   0,
							   NULL, NULL, NULL);

	MarkGUCPrefixReserved("maintsched");
}
