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
	double		seconds;
} ToolAnswer;

extern void tool_define_settings(void);
extern const char *tool_command(BackupTool tool);
extern void tool_run(BackupTool tool, List *arguments, ToolAnswer *answer);
extern void tool_run_limited(BackupTool tool, List *arguments, size_t limit, ToolAnswer *answer);

#endif							/* MAINTSCHED_TOOL_H */
