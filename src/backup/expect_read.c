/*-------------------------------------------------------------------------
 *
 * expect_read.c
 *	  What a table holds, for capture_expectations().
 *
 * A table is read as its owner, in a security-restricted operation, whoever asks;
 * who asks must have the privileges of the owner.  An error in that is noted, and
 * the next table is read: a subtransaction each.  Locks: AccessShareLock while it
 * is read; whoever rebuilds a table is waited for five seconds in all.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "backup/expect.h"
#include "core/attempt.h"
#include "core/condition.h"
#include "core/exec.h"

/* so often is a table asked for that another has for himself */
#define READ_ROUNDS 100

/*
 * Why a table that is open is not read; NULL: it is.
 */
static const char *
obstacle(const Capture *capture, const ExpectedTable *table, Relation rel)
{
	Form_pg_class form = rel->rd_rel;
	const char *name = get_namespace_name(form->relnamespace);
	bool		quoted = quote_all_identifiers;

	quote_all_identifiers = false;
	name = quote_qualified_identifier(name, NameStr(form->relname));
	quote_all_identifiers = quoted;
	if ((form->relkind != RELKIND_RELATION && form->relkind != RELKIND_MATVIEW) ||
		form->relpersistence != RELPERSISTENCE_PERMANENT || strcmp(table->name, name) != 0)
		return "is another one now";
	if (!has_privs_of_role(capture->caller, form->relowner))
		return psprintf("role \"%s\" has not the privileges of its owner", GetUserNameFromId(capture->caller, false));
	if (check_enable_rls(RelationGetRelid(rel), form->relowner, true) == RLS_ENABLED)
		return "row-level security is forced upon its owner";
	return NULL;
}

/*
 * Open a table for reading; NULL: *problem says why not.  Whoever rebuilds or
 * drops one may take hours: it is not waited for.
 */
static Relation
open_table(Capture *capture, const ExpectedTable *table, const char **problem)
{
	Relation	rel;

	while (!ConditionalLockRelationOid(table->relation, AccessShareLock))
	{
		if (++capture->waited > READ_ROUNDS)
		{
			*problem = "is locked";
			return NULL;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, EXPECT_LOCK_PAUSE, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	rel = try_relation_open(table->relation, NoLock);
	if (rel == NULL)
		UnlockRelationOid(table->relation, AccessShareLock);
	*problem = rel == NULL ? "was dropped" : obstacle(capture, table, rel);
	return rel;
}

/*
 * Read a table, as its owner, with the snapshot of the restore point, if it was
 * locked for that.
 */
static char *
read_table(Capture *capture, ExpectedTable *table)
{
	const char *problem;
	Relation	rel = open_table(capture, table, &problem);
	ExecRole	saved;
	char	   *rows;
	char	   *digest;
	char	   *answer;

	if (problem != NULL)
	{
		table->problem = MemoryContextStrdup(capture->context, problem);
		if (rel != NULL)
			relation_close(rel, AccessShareLock);
		return NULL;
	}
	exec_as(rel->rd_rel->relowner, true, &saved);
	SPI_connect();

	/*
	 * of one that was not locked, the later the better: what was in the
	 * middle of its commit is seen by now
	 */
	if (table->locked)
		PushActiveSnapshot(capture->snapshot);
	if (SPI_execute(table->query, table->locked, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read table %s", table->name);
	if (table->locked)
		PopActiveSnapshot();
	rows = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	digest = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	answer = MemoryContextAlloc(capture->context, strlen(rows) + (digest ? strlen(digest) : 0) + 2);
	sprintf(answer, "%s%s%s", rows, digest ? " " : "", digest ? digest : "");
	SPI_finish();
	exec_as_end(&saved);
	relation_close(rel, AccessShareLock);
	return answer;
}

typedef struct Reading
{
	Capture    *capture;
	ExpectedTable *table;
	char	   *answer;
} Reading;

static void
read_in(void *arg)
{
	Reading    *reading = arg;

	reading->answer = read_table(reading->capture, reading->table);
}

/*
 * What a table holds; an error becomes its problem, and the answer is NULL.
 */
char	   *
expect_read(Capture *capture, ExpectedTable *table)
{
	Reading		reading = {capture, table, NULL};
	ErrorData  *error;

	if (table->problem != NULL)
		return NULL;
	CHECK_FOR_INTERRUPTS();
	error = attempt(read_in, &reading);
	if (error == NULL)
		return reading.answer;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		error->sqlerrcode == ERRCODE_OUT_OF_MEMORY)
		ReThrowError(error);
	/* what it says may hold values */
	table->problem = MemoryContextStrdup(capture->context,
										 psprintf("could not be read: %s", condition_name(error->sqlerrcode)));
	FreeErrorData(error);
	return NULL;
}
