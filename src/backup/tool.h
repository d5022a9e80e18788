/*-------------------------------------------------------------------------
 *
 * tool.h
 *	  Asking the tools that make backups.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_TOOL_H
#define MAINTSCHED_TOOL_H

#include "fmgr.h"
#include "nodes/pg_list.h"

typedef enum BackupTool
{
	TOOL_PGBACKREST,
	TOOL_BARMAN,
} BackupTool;

typedef struct ToolAnswer
{
	int			exit_code;
	char	   *output;			/* in the server's encoding */
	char	   *error;			/* of the standard error, fit for a message */
	char	   *whole_error;	/* its first 8 kB as they are */
	double		seconds;
} ToolAnswer;

extern void tool_define_settings(void);
extern const char *tool_command(BackupTool tool);
extern void tool_run(BackupTool tool, List *arguments, ToolAnswer *answer);
extern void tool_run_limited(BackupTool tool, List *arguments, size_t limit, ToolAnswer *answer);

/* arguments of the functions that ask them */
extern void tool_check_caller(void);
extern char *tool_word(FunctionCallInfo fcinfo, int number, const char *what);
extern char *tool_config(FunctionCallInfo fcinfo, int number);

#endif							/* MAINTSCHED_TOOL_H */
