/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  Commands on databases end our workers there first.
 *
 * DROP DATABASE, ALTER DATABASE ... RENAME and SET TABLESPACE, and CREATE
 * DATABASE with a database as template fail while anybody is connected to it.
 * A ProcessUtility hook, in the backend that runs such a command, ends the
 * workers in that database, keeps others away until the command has ended,
 * however it does, and wakes the launcher then: a run that was ended so is
 * interrupted, and tried again.  Who may not run the command gets PostgreSQL's
 * own error before anything is ended.
 *
 * CREATE and ALTER DATABASE make the launcher read at commit which databases
 * there are.
 *
 * DROP EXTENSION and ALTER EXTENSION ... UPDATE lock one table of ours after
 * the other, as the workers do in their own order: they are ended first, too,
 * and kept away until the end of the transaction.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/ipc.h"
#include "tcop/utility.h"
#include "utils/acl.h"

#include "core/compat.h"
#include "core/wake.h"
#include "scheduler/workers.h"

static ProcessUtility_hook_type next_hook = NULL;

/* held until the end of the transaction */
static Oid	held_database = InvalidOid;

/*
 * The name of the database that a command needs for itself, or NULL.
 */
static const char *
database_of(Node *statement)
{
	ListCell   *cell;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) statement)->dbname;
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				return ((RenameStmt *) statement)->subname;
			return NULL;
		case T_AlterDatabaseStmt:
			foreach(cell, ((AlterDatabaseStmt *) statement)->options)
				if (strcmp(lfirst_node(DefElem, cell)->defname, "tablespace") == 0)
				return ((AlterDatabaseStmt *) statement)->dbname;
			return NULL;
		case T_CreatedbStmt:
			foreach(cell, ((CreatedbStmt *) statement)->options)
				if (strcmp(lfirst_node(DefElem, cell)->defname, "template") == 0 &&
					lfirst_node(DefElem, cell)->arg != NULL)
				return defGetString(lfirst_node(DefElem, cell));
			return NULL;
		default:
			return NULL;
	}
}

/*
 * Whether the user may run the command on the database at all.
 */
static bool
is_allowed(Node *statement, Oid database)
{
	if (IsA(statement, CreatedbStmt) && !have_createdb_privilege())
		return false;
	return compat_is_database_owner(database, GetUserId());
}

/*
 * Whether a command drops or updates the extension.
 */
static bool
changes_extension(Node *statement)
{
	ListCell   *cell;

	if (IsA(statement, AlterExtensionStmt))
		return strcmp(((AlterExtensionStmt *) statement)->extname, "maintsched") == 0;
	if (!IsA(statement, DropStmt) || ((DropStmt *) statement)->removeType != OBJECT_EXTENSION)
		return false;
	foreach(cell, ((DropStmt *) statement)->objects)
		if (strcmp(strVal(lfirst(cell)), "maintsched") == 0)
		return true;
	return false;
}

static void
release_at_end(XactEvent event, void *arg)
{
	if (OidIsValid(held_database) && event == XACT_EVENT_PRE_PREPARE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot prepare a transaction that has dropped or updated extension \"%s\"", "maintsched")));
	if (OidIsValid(held_database) &&
		(event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE))
	{
		workers_release(held_database);
		held_database = InvalidOid;
	}
}

static void
release_at_exit(int code, Datum arg)
{
	release_at_end(XACT_EVENT_ABORT, NULL);
}

/*
 * Keep workers out of this database until the end of the transaction.
 */
static void
hold_this_database(void)
{
	static bool registered = false;

	if (OidIsValid(held_database))
		return;
	if (!registered)
	{
		RegisterXactCallback(release_at_end, NULL);
		before_shmem_exit(release_at_exit, (Datum) 0);
		registered = true;
	}
	held_database = MyDatabaseId;
	workers_hold(MyDatabaseId);
}

/*
 * The command has ended, or the process does.
 */
static void
release_command(int code, Datum database)
{
	workers_release(DatumGetObjectId(database));
}

static void
hold_and_process(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
				 ProcessUtilityContext context, ParamListInfo params,
				 QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	const char *name = context == PROCESS_UTILITY_TOPLEVEL ? database_of(pstmt->utilityStmt) : NULL;
	Oid			database = name != NULL && IsTransactionState() ? get_database_oid(name, true) : InvalidOid;
	bool		databases = IsA(pstmt->utilityStmt, CreatedbStmt) || IsA(pstmt->utilityStmt, AlterDatabaseStmt);
	ProcessUtility_hook_type process = next_hook ? next_hook : standard_ProcessUtility;

	if (!OidIsValid(database) || IsTransactionBlock() || !is_allowed(pstmt->utilityStmt, database))
		database = InvalidOid;

	if (changes_extension(pstmt->utilityStmt) && superuser())
		hold_this_database();
	if (OidIsValid(database))
	{
		PG_ENSURE_ERROR_CLEANUP(release_command, ObjectIdGetDatum(database));
		{
			workers_hold(database);
			process(pstmt, query_string, read_only_tree, context, params, environment, dest, completion);
		}
		PG_END_ENSURE_ERROR_CLEANUP(release_command, ObjectIdGetDatum(database));
		workers_release(database);
	}
	else
		/* COMMIT PREPARED leaves a callback of its own, on top of ours */
		process(pstmt, query_string, read_only_tree, context, params, environment, dest, completion);

	if (databases)
		wake_databases_at_commit();
}

void
ddl_install_hook(void)
{
	next_hook = ProcessUtility_hook;
	ProcessUtility_hook = hold_and_process;
}
