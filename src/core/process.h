/*-------------------------------------------------------------------------
 *
 * process.h
 *	  Child processes of a backend or a background worker.
 *
 * A program that is to end by itself:
 *
 *		ProcessSpec spec = {0};
 *
 *		spec.program = "/usr/bin/pgbackrest";
 *		spec.setting = "maintsched.pgbackrest_command";
 *		spec.arguments = list_make2("info", "--output=json");
 *		spec.output_limit = spec.error_limit = 65536;
 *		spec.timeout_ms = 60000;
 *		process_run(&spec, &result);
 *
 * One that goes on: process_start(), then process_poll() now and then, in the
 * end process_stop() and process_close().
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_PROCESS_H
#define MAINTSCHED_PROCESS_H

#include "nodes/pg_list.h"

/* one step of ending a child: a signal to its group, and how long to wait then */
typedef struct ProcessStop
{
	int			signal;
	int			wait_ms;
} ProcessStop;

/* at the most so many; SIGKILL comes last by itself */
#define PROCESS_MAX_STOPS	4

/* for programs: SIGTERM; for a PostgreSQL server: fast, then immediate */
extern const ProcessStop process_stop_program[];
extern const ProcessStop process_stop_server[];

/* what is to be run; zeroes are good defaults */
typedef struct ProcessSpec
{
	const char *program;		/* absolute path */
	const char *setting;		/* which setting names it, for hints; or NULL */
	List	   *arguments;		/* of char *, without the program's name */
	List	   *environment;	/* of char *, "NAME=value"; besides what every
								 * child has, and before it */
	const char *directory;		/* where it runs; NULL: in the root folder */
	const char *input;			/* what it can read; NULL: nothing */
	size_t		input_length;
	int			input_file;		/* open, which it reads instead from where it
								 * is; 0: none */
	size_t		output_limit;	/* so much is kept of what it writes */
	size_t		error_limit;	/* the same, of the standard error */
	bool		keep_last;		/* keep the last so much, not the first */
	int			timeout_ms;		/* it is ended then; 0: never */
	const ProcessStop *stops;	/* how it is ended; NULL: as a program */
	int			death_signal;	/* what it gets when this process dies; 0:
								 * SIGKILL */
	bool		for_session;	/* it may go on after the transaction */
	bool		with_offspring; /* what it starts leaves its group, and ends
								 * with it all the same */
} ProcessSpec;

typedef struct ProcessOutput
{
	char	   *data;			/* what was kept, and a zero byte */
	size_t		length;
	uint64		total;			/* bytes that it wrote */
	bool		truncated;		/* more than was kept */
} ProcessOutput;

typedef struct ProcessResult
{
	bool		running;
	bool		timed_out;		/* it was ended since its time was up */
	bool		lost;			/* how it ended is not known */
	int			exit_code;		/* -1: it did not exit by itself */
	int			signal;			/* that ended it, or 0 */
	double		seconds;
	ProcessOutput output;
	ProcessOutput error;
} ProcessResult;

typedef struct Process Process;

extern void process_run(const ProcessSpec *spec, ProcessResult *result);

extern Process *process_start(const ProcessSpec *spec);
extern bool process_poll(Process *process, int timeout_ms);
extern void process_stop(Process *process);
extern void process_result(const Process *process, ProcessResult *result);
extern void process_close(Process *process);
extern pid_t process_pid(const Process *process);

extern char *process_end_text(const ProcessResult *result);

/* process_program.c */
extern void process_check_program(const char *path, const char *setting);
extern char *process_server_program(const char *name);

/* process_leftover.c */
extern int	process_end_leftovers(void);

#endif							/* MAINTSCHED_PROCESS_H */
