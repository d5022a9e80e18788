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
	char	   *whole_error;	/* as it is: its first 8 kB, or what was asked
								 * for */
	double		seconds;
	char	   *raw;			/* the output, as it came */
	size_t		raw_length;
} ToolAnswer;

/* how much it may take; zeroes: as for a short question */
typedef struct ToolLimits
{
	bool		long_work;		/* it may take any time */
	bool		bytes;			/* it prints a file, and not text */
	size_t		output;
	size_t		error;
} ToolLimits;

extern void tool_define_settings(void);
extern const char *tool_command(BackupTool tool);
extern void tool_run(BackupTool tool, List *arguments, ToolAnswer *answer);
extern void tool_run_limited(BackupTool tool, List *arguments, size_t limit, ToolAnswer *answer);
extern void tool_work(BackupTool tool, List *arguments, const ToolLimits *limits, ToolAnswer *answer);

extern char *tool_said(const char *said, size_t length, size_t limit);

/* arguments of the functions that ask them */
extern void tool_check_caller(void);
extern char *tool_word(FunctionCallInfo fcinfo, int number, const char *what);
extern char *tool_config(FunctionCallInfo fcinfo, int number);
extern List *tool_stanza_arguments(FunctionCallInfo fcinfo, char **stanza);

#endif							/* MAINTSCHED_TOOL_H */
