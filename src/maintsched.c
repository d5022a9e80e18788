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
 *		exec.c			the only two ways in which C runs SQL
 *		process*.c		child processes: programs, and servers of a drill
 *		attempt.c		work whose error is an answer
 *		unpack.c		gzip, lz4 and zstd, uncompressed block by block
 *		wake.c			telling the background, at commit, of something new
 *		stream.c		blocks of a relation in an order of one's own, read ahead
 *		compat.h		the only #if PG_VERSION_NUM
 *	 src/calendar/	recurrence and documents
 *		rrule*.c		RFC 5545 rules in pure C: parse, expand, describe
 *		zone.c			local time <-> instant, pure C
 *		recurrence.c	a rule in a zone: instances in a span, the next one
 *		timezone.c		time zones by name, and zone.c over the server's data
 *		occurrence.c	the SQL functions over the five above
 *		document*.c		calendar and framework JSON: what it must look like
 *	 src/routines/	what routines need beyond SQL
 *		amcheck.c		checking tables and indexes; a finding is an error
 *		amcheck_error.c	what is a finding, and what may be repeated of it
 *		log_cleanup.c	removing log files of the server
 *		name.c			patterns of names in parameters
 *		archive*.c		old rows to compressed files, and back
 *		volume.c		how much room there is for the copy of an index
 *	 src/backup/	what backups are, and what they are worth
 *		tool.c			asking pgBackRest and Barman
 *		manifest*.c		backup manifests as a stream
 *		verify*.c		a base backup against its manifest
 *		tar.c			the members of an archive of a base backup
 *		verify_repository.c	the procedure that goes from check to check
 *		level7*.c		every file of a backup against its checksum
 *		pgbackrest*.c	what a repository of pgBackRest has
 *		catalogue*.c	what a folder of base backups has
 *		wal*.c			which WAL an archive has
 *		expect*.c		what a restored backup is compared with
 *		drill*.c		restoring a backup, starting and asking it, removing it
 *	 src/scheduler/	the processes; README.md tells how they work together
 *		launcher.c		knows when which database has something to do
 *		scheduler.c		does what is due in one database
 *		runner.c		carries out runs, as one role
 *		workers.c		these processes in shared memory; starting them
 *		ddl.c			commands on databases end them first
 *		state.c			the states of a run
 *
 *	 sql/parts/		one fragment a room, in this order: the install script
 *		10_core			clock, names, errors
 *		12_document		the readers of documents
 *		15_shipped		the shipped documents and frameworks
 *		20_recurrence	rules: occurrences(), next_occurrence(), domain rrule
 *		21_calendar		tables of calendars, tasks, versions, occurrences
 *		22_planning		which occurrences there are
 *		23_check		what a name means; whether a definition is whole
 *		24_task			adding, changing, renaming, retiring tasks; history
 *		25_settings		zones, windows, teams, frameworks
 *		26_compare		plan_import(): what a document would change
 *		26_import		import_calendar(), install_calendar()
 *		27_export		export_calendar(), available_calendars
 *		28_entries		one view per kind of entry that is not acted on yet
 *		29_instance		pause(), resume(); whether this database is a copy
 *		30_fact			tables of facts, which only grow
 *		31_verdict		what follows from the facts: views over all of history
 *		32_rollup		the same, kept as figures; which of them hold
 *		33_rolling		keeping them
 *		33_rolling_close	closing, rolling up, making anew
 *		34_completion	doing and proving: complete_task() and its like
 *		35_decision		retraction, review, waivers; evidence from before
 *		36_outlook		when the database does it next, and what that waits for
 *		36_status		task_status, calendar_history, window_schedule
 *		37_due			due_tasks, today and the other lists of what is due
 *		38_compliance	compliance per control, calendar, month; team_workload
 *		39_evidence		evidence_for(), and the facts for people
 *		40_run			routines, runs and their actions; emergency windows
 *		41_window		when work of a class may run
 *		42_queue		which runs there are to be
 *		43_runner		what a runner records
 *		44_cleanup		cleaning up after an action that left something behind
 *		44_outcome		what a run's end means for its occurrences
 *		44_outcome_run	how it ends: finish_run(), reap_runs()
 *		45_pg_cron		the job that calls tick()
 *		46_change		change records, of people's work and of runs
 *		47_emergency	emergency windows and their follow-up
 *		48_running		progress of what runs
 *		49_call			plan(), run_routine(), run_task(), cancel_run()
 *		50_params		what the routines take
 *		50_routines		the plan functions of what comes with the extension
 *		52_step			the steps of the scheduler; tick()
 *		53_history		run_history, run_actions
 *		54_amcheck		what amcheck can check, and when it did
 *		55_amcheck_plan	the routine amcheck
 *		56_corruption	what it found: corrupt_relations(), amcheck_report
 *		56_reindex		indexes: what they are, what a rebuild needs and leaves
 *		57_reindex_plan	which ones to rebuild
 *		58_archive		facts about archives; restoring, removing
 *		59_archive_plan	the routine archive
 *		58_optimize		analyze, bloat and reindex in a row
 *		60_manifest		a base backup against its manifest
 *		60_repository	tables of repositories, backups, checks and drills
 *		60_tool			what backup tools say of their backups
 *		61_catalogue	what that means, each kind in the same words
 *		61_repository	add_repository(), read_repository(), import_backup_catalog()
 *		62_ladder		levels 0 to 4; sizes
 *		62_wal			levels 5 and 6: the archive, its gaps, timelines
 *		63_verify		verifying the backups of repositories; routine backup_verify
 *		64_drill		restore drills: which backup, what is recorded, what it proves
 *		65_ask			expected tables, sample queries, expectations, judging them
 *		65_report		drill_report(); 65_drill_plan the routine restore_drill
 *		66_backup		backup_status, backup_log; health and notices of backups
 *		80_notices		who is told what, and when; status_page
 *		87_access		grant_access() and its like
 *		88_health		health
 *		90_access		who may do what: nothing is granted to PUBLIC
 *		95_dump			what pg_dump takes along
 *
 * Calls go one way: door -> scheduler -> routines, backup -> calendar -> core.  In
 * the postmaster only _PG_init() runs, which asks for a little shared memory
 * and registers the launcher.  Without shared_preload_libraries there is
 * neither, and tick() starts the same schedulers and runners.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "backup/catalogue.h"
#include "backup/drill.h"
#include "backup/tool.h"
#include "backup/verify.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/wake.h"
#include "routines/archive.h"
#include "scheduler/launcher.h"
#include "scheduler/workers.h"

COMPAT_MODULE_MAGIC("maintsched", MAINTSCHED_VERSION);

PGDLLEXPORT void _PG_init(void);

/* maintsched.horizon, in minutes; read by SQL through current_setting() */
static int	horizon_minutes = 90 * 24 * 60;

/* maintsched.max_backdate, in minutes; read by SQL likewise */
static int	max_backdate_minutes = 24 * 60;

/* maintsched.window_reserve, in ms; read by SQL likewise */
static int	window_reserve_ms = 60000;

/* maintsched.reason and maintsched.node; read by SQL likewise */
static char *change_reason = NULL;
static char *node_name = NULL;

static shmem_request_hook_type next_request_hook = NULL;
static shmem_startup_hook_type next_startup_hook = NULL;

PG_FUNCTION_INFO_V1(maintsched_library_version);

/*
 * library_version() returns text
 */
Datum
maintsched_library_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(MAINTSCHED_VERSION));
}

/*
 * The settings of the background.
 */
static void
define_worker_settings(void)
{
	DefineCustomBoolVariable("maintsched.launcher",
							 "Whether the launcher starts what is due.",
							 "Where it is off, only tick() does.",
							 &wake_launcher_enabled,
							 true,
							 PGC_SIGHUP,
							 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("maintsched.max_workers",
							"Greatest number of schedulers and runners at once on this server.",
							"0: nothing runs; 1 counts as 2, since a run needs both. The launcher is one more. All are taken from max_worker_processes.",
							&wake_max_workers,
							4,
							0,
							64,
							PGC_SIGHUP,
							0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("maintsched.max_workers_per_database",
							"Greatest number of runs at once in one database.",
							NULL,
							&workers_per_database,
							1,
							1,
							16,
							PGC_SIGHUP,
							0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("maintsched.yield_after",
							"How long others wait for a lock of a run before its action is cancelled.",
							"The action is left over, and tried again.",
							&workers_yield_after_ms,
							5000,
							100,
							3600 * 1000,
							PGC_SIGHUP,
							GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("maintsched.window_reserve",
							"How long before the end of a window no action is started, and for when it must be expected to be done.",
							"At most a tenth of the window.",
							&window_reserve_ms,
							60 * 1000,
							0,
							24 * 3600 * 1000,
							PGC_SIGHUP,
							GUC_UNIT_MS,
							NULL, NULL, NULL);
}

static void
request_shmem(void)
{
	if (next_request_hook)
		next_request_hook();
	wake_request_shmem();
	workers_request_shmem();
	verify_request_shmem();
}

static void
create_shmem(void)
{
	if (next_startup_hook)
		next_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	wake_create_shmem();
	workers_create_shmem();
	verify_create_shmem();
	LWLockRelease(AddinShmemInitLock);
}

/*
 * While shared_preload_libraries are loaded: what only then can be asked for.
 * A server in binary upgrade runs nothing.
 */
static void
register_background(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	next_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = create_shmem;
	ddl_install_hook();
	launcher_register();
}

/*
 * Define the settings.  Each room defines its own; what belongs to no room
 * stands here.
 */
void
_PG_init(void)
{
	clock_define_settings();
	define_worker_settings();
	archive_define_settings();
	backup_roots_define_settings();
	tool_define_settings();
	verify_define_settings();
	drill_define_settings();

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
	register_background();
}
