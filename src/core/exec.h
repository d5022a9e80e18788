/*-------------------------------------------------------------------------
 *
 * exec.h
 *	  The only two ways in which C runs SQL.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_EXEC_H
#define MAINTSCHED_EXEC_H

#include "executor/spi.h"

extern const char *exec_lock_timeout;
extern const char *exec_plan_cache_mode;
extern bool exec_recording;
extern bool exec_hold_cancel;

/* transactions of the extension itself, as its owner */
extern bool exec_begin(void);
extern void exec_commit(void);

/* transactions of user code, as the role of the session */
extern void exec_begin_user(bool read_only, bool ours);
extern void exec_commit_user(void);

/* another role for a while, inside a transaction */
typedef struct ExecRole
{
	Oid			user;
	int			context;
	int			nest_level;
}			ExecRole;

extern Oid	exec_extension_owner(void);
extern void exec_as(Oid role, bool restricted, ExecRole * saved);
extern void exec_as_end(const ExecRole * saved);

extern uint64 exec_query(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls);
extern void exec_utility(const char *command);

extern char *exec_extension_version(void);

#endif							/* MAINTSCHED_EXEC_H */
