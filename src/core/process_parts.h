/*-------------------------------------------------------------------------
 *
 * process_parts.h
 *	  What the files of process*.c share.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_PROCESS_PARTS_H
#define MAINTSCHED_PROCESS_PARTS_H

#include "utils/resowner.h"

#include "core/compat.h"
#include "core/process.h"

/* ---- process_child.c: from fork() to exec() ---- */

/* made before the fork: the child allocates nothing */
typedef struct ProcessChild
{
	const char *program;
	char	  **arguments;
	char	  **environment;
	const char *directory;
	int			input;
	int			output;
	int			error;
	int			go;				/* a byte comes when the child may go on */
	int			go_other;		/* the other end of that pipe */
	int			status;			/* where it says why it could not */
	int			highest;		/* descriptor that this process has open */
	int			death_signal;
	pid_t		parent;
} ProcessChild;

typedef enum ProcessStep
{
	STEP_SESSION,
	STEP_DEATH_SIGNAL,
	STEP_DESCRIPTORS,
	STEP_DIRECTORY,
	STEP_EXEC,
} ProcessStep;

typedef struct ProcessFailure
{
	ProcessStep step;
	int			error;
} ProcessFailure;

compat_noreturn extern void process_child(const ProcessChild *child);

/* ---- process_stream.c: what a child writes and reads ---- */

typedef struct ProcessStream
{
	int			fd;				/* -1: closed */
	bool		last;
	size_t		limit;
	size_t		size;			/* of data */
	size_t		used;
	size_t		start;			/* of a ring */
	char	   *data;
	uint64		total;
} ProcessStream;

extern void stream_read(ProcessStream *stream, MemoryContext context, bool keep);
extern void stream_write(int *fd, const char **data, size_t *length);
extern void stream_output(const ProcessStream *stream, ProcessOutput *output);
extern int	stream_pipe(int *other, bool writes);
extern void stream_close(int *fd);
extern int	stream_null(void);
extern int	stream_copy(int file);

/* ---- process.c: a child while it lives ---- */

#define PROCESS_FOREVER PG_INT64_MAX

struct Process
{
	Process    *next;
	MemoryContext context;
	ResourceOwner owner;		/* NULL: it may go on after a transaction */
	pid_t		pid;			/* 0: not started */
	int			pidfd;			/* -1: there is none */
	bool		started;		/* its program was executed */
	bool		ended;			/* and was waited for */
	bool		lost;			/* but not by us, or it does not end */
	bool		timed_out;
	int			status;
	int64		start;			/* in ms of process_clock() */
	int64		end;
	int64		deadline;
	const ProcessStop *next_stop;
	ProcessStop stops[PROCESS_MAX_STOPS + 1];
	int			input;			/* our end; -1: closed */
	const char *unwritten;
	size_t		nunwritten;
	ProcessStream output;
	ProcessStream error;
	char	   *token;			/* NULL: its group is all there is */
};

extern int64 process_clock(void);
extern void process_prepare(void);
extern Process *process_make(const ProcessSpec *spec);

/* ---- process_start.c ---- */

extern bool process_use_pidfd;

/* ---- process_leftover.c: children that outlived their process ---- */

#define LEFTOVER_TOKEN_NAME		"MAINTSCHED_PROCESS"
#define LEFTOVER_TOKEN_TEXT		(2 * 16 + 1)

extern void leftover_make_token(char *token);
extern void leftover_record(pid_t pid, const char *token, const ProcessStop *stops, const char *program);
extern void leftover_forget(pid_t pid);
extern void leftover_sweep(const char *token);

#endif							/* MAINTSCHED_PROCESS_PARTS_H */
