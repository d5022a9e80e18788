/*-------------------------------------------------------------------------
 *
 * drill.h
 *	  Restore drills.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_DRILL_H
#define MAINTSCHED_DRILL_H

#include "backup/verify.h"
#include "core/compat.h"
#include "core/process.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

/* a drill under way; strings live in its context */
typedef struct Drill
{
	MemoryContext context;
	int64		id;				/* 0: none was begun */
	char	   *repository;
	/* of begin_drill() */
	char	   *kind;
	char	   *location;
	char	   *config;
	char	   *archive;
	char	   *label;
	char	   *path;
	char	   *target;
	char	   *restore_point;
	uint64		size_bytes;		/* of what is restored; 0: not known */
	uint64		parts_bytes;	/* of what is unpacked to be combined */
	char	   *end_lsn;
	char	   *system_identifier;
	char	   *pg_version;
	List	   *chain;			/* of char *: what it builds on, the full one
								 * first */
	char	   *problem;		/* why it cannot be restored, known before */
	/* options */
	char	   *superuser;
	bool		amcheck;
	double		space_factor;
	TimestampTz deadline;
	/* where */
	char	   *root;
	char	   *scratch;
	char	   *data;
	char	   *tablespaces;
	char	   *socket;			/* folder; NULL: not made yet */
	int			lock;			/* descriptor of the file that shows that we
								 * live */
	bool		made;			/* the folder is there */
	/* what runs */
	Process    *server;
	char	   *reader;			/* role that asks the questions */
	char	   *restore_command;
	/* of the step that is done */
	const char *step;
	const char *result;
	char	   *message;
	StringInfoData facts;
	/* of steps before */
	TimestampTz started;
	TimestampTz usable;
	char	   *failed;			/* message of the step that failed */
	int			sqlstate;		/* of it, where it was an error */
	bool		timed_out;
} Drill;

/* ---- drill.c ---- */

extern void drill_fact_text(Drill *drill, const char *key, const char *value);
extern void drill_fact_number(Drill *drill, const char *key, const char *format,...) pg_attribute_printf(3, 4);
extern void drill_say(Drill *drill, const char *result, const char *format,...) pg_attribute_printf(3, 4);
extern void drill_check_time(Drill *drill);
extern int	drill_time_left(Drill *drill, int limit_ms);

/* ---- drill_record.c: what is written down ---- */

extern List *drill_query(Drill *drill, const char *sql, int nargs, const char *const *args);
extern bool drill_begin(Drill *drill, const char *backup, const char *within, const char *options);

/* ---- drill_place.c: drill_root and the folders below it ---- */

extern void drill_define_settings(void);
extern int	drill_timeout_ms(void);
extern char *drill_check_root(void);
extern bool drill_free_bytes(const char *folder, uint64 *bytes);
extern void drill_make_folder(const char *path);
extern void drill_make_scratch(Drill *drill);
extern char *drill_make_socket_folder(Drill *drill);
extern bool drill_remove_tree(const char *parent, const char *name);
extern bool drill_remove_scratch(Drill *drill);
extern int	drill_remove_dead(const char *root);
extern int	drill_remove_all_dead(void);

/* ---- drill_copy.c, drill_tar.c, drill_tool.c: restoring ---- */

/* below the folder of a drill: backups of a chain that were in tar format */
#define DRILL_PARTS "parts"

extern void drill_copy_backup(Drill *drill);
extern bool drill_is_tar(const char *backup);
extern void drill_extract_backup(Drill *drill);
extern char *drill_extract_part(Drill *drill, const char *backup, int number, bool last);
extern void drill_combine_backups(Drill *drill);
extern void drill_check_tool(Drill *drill);
extern void drill_restore_pgbackrest(Drill *drill);
extern void drill_restore_barman(Drill *drill);
extern void drill_run(Drill *drill, const ProcessSpec *spec, const char *name, ProcessResult *result);
extern char *drill_said(const ProcessResult *result);

/* ---- drill_fetch.c: WAL from a folder ---- */

/* said of a program that unpacks, in the log of the copy */
#define DRILL_NO_PROGRAM "which is not installed on this machine"

extern char *drill_fetch_command(Drill *drill);

/* ---- drill_configure.c ---- */

extern void drill_check_links(Drill *drill);
extern void drill_check_version(Drill *drill, const char *version);
extern char *drill_read_file(const char *folder, const char *name, size_t limit);
extern void drill_write_file(const char *folder, const char *name, const char *text);
extern void drill_configure(Drill *drill);

/* ---- drill_server.c ---- */

extern List *drill_server_settings(Drill *drill);
extern void drill_start_server(Drill *drill);
extern void drill_restart_server(Drill *drill);
extern void drill_check_server(Drill *drill);
extern void drill_stop_server(Drill *drill);
extern void drill_wait_usable(Drill *drill, bool promoted);
extern char *drill_session_options(bool is_super, int timeout_ms);
extern bool drill_ask(Drill *drill, const char *user, const char *database, const char *sql, int timeout_ms,
					  char **answer, char **problem);

/* ---- drill_check.c ---- */

extern void drill_prepare(Drill *drill);
extern void drill_step_identity(Drill *drill);
extern void drill_step_integrity(Drill *drill);
extern void drill_step_questions(Drill *drill);

#endif							/* MAINTSCHED_DRILL_H */
