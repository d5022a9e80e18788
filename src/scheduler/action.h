/*-------------------------------------------------------------------------
 *
 * action.h
 *	  User code of a run: the plan function and the actions.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_ACTION_H
#define MAINTSCHED_ACTION_H

#include "nodes/pg_list.h"

/* what an attempt at user code came to */
typedef struct Outcome
{
	bool		failed;
	char		sqlstate[6];
	char	   *message;
	const char *timeout;		/* window, own, or NULL */
	char	   *refusal;		/* JSON: why it was not carried out, or NULL */
	char	   *measured[2];	/* JSON: before and after, or NULL */
	char	   *verdict;		/* JSON: what came of it, or NULL */
} Outcome;

typedef struct Action
{
	int32		seq;
	char	   *command;
	char	   *still_needed;
	char	   *measure;
	char	   *verify;
	double		statement_timeout;	/* ms, or -1 */
	double		lock_timeout;
	double		window;			/* ms that are left, or -1 */
	List	   *settings;		/* names and values in turn */
} Action;

/* of the run under way; reset when it is over */
extern MemoryContext run_context;
extern bool action_keep_plan_messages;
extern bool action_keep_messages;

extern char *action_text(int column);
extern Oid	action_array_type(void);
extern void note_error(Outcome *outcome);
extern void ask_plan(const char *plan, Datum params, Datum *actions, Outcome *outcome);
extern void run_action(Action *action, Outcome *outcome);

#endif							/* MAINTSCHED_ACTION_H */
