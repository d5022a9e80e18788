/*-------------------------------------------------------------------------
 *
 * workers.h
 *	  The background processes of maintsched, in shared memory.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_WORKERS_H
#define MAINTSCHED_WORKERS_H

#include "datatype/timestamp.h"
#include "postmaster/bgworker.h"

typedef enum WorkerKind
{
	WORKER_SCHEDULER,
	WORKER_RUNNER,
} WorkerKind;

/* what a scheduler tells the launcher when it ends */
typedef struct WorkerReport
{
	Oid			database;
	TimestampTz started;		/* as the launcher noted it; 0: by tick() */
	bool		installed;		/* false: the extension is not there */
	TimestampTz next_event;
} WorkerReport;

#define WORKERS_MAX_REPORTS 64

/* what a runner is started with */
typedef struct RunnerStart
{
	Oid			database;
	Oid			role;
} RunnerStart;

/* how long before an instant its scheduler and runner get ready, in ms */
#define WORKERS_LEAD_MS 300

extern int	workers_per_database;
extern int	workers_yield_after_ms;

extern void workers_request_shmem(void);
extern void workers_create_shmem(void);

extern bool workers_lock_database(void);
extern bool workers_register(Oid database, WorkerKind kind);
extern int	workers_count(WorkerKind kind);
extern void workers_report(Oid database, TimestampTz started, bool installed, TimestampTz next_event);
extern int	workers_take_reports(WorkerReport *reports);

extern void workers_hold(Oid database);
extern void workers_release(Oid database);

extern bool workers_start(BackgroundWorkerHandle **handle, const char *function, const char *name,
						  Datum arg, const void *extra, Size extra_size);

extern void ddl_install_hook(void);

#endif							/* MAINTSCHED_WORKERS_H */
