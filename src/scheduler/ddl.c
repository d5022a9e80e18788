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
#include "tcop/utility.h"
#include "utils/acl.h"

#include "core/compat.h"
#include "core/wake.h"
#include "scheduler/workers.h"

static ProcessUtility_hook_type next_hook = NULL;

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
	if (IsA(statement, CreatedbStmt))
		return have_createdb_privilege();
	return compat_is_database_owner(database, GetUserId());
}

static void
hold_and_process(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
				 ProcessUtilityContext context, ParamListInfo params,
				 QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	const char *name = context == PROCESS_UTILITY_TOPLEVEL ? database_of(pstmt->utilityStmt) : NULL;
	Oid			database = name != NULL && IsTransactionState() ? get_database_oid(name, true) : InvalidOid;
	bool		creates = IsA(pstmt->utilityStmt, CreatedbStmt);
	ProcessUtility_hook_type process = next_hook ? next_hook : standard_ProcessUtility;

	if (!OidIsValid(database) || IsTransactionBlock() || !is_allowed(pstmt->utilityStmt, database))
		database = InvalidOid;

	if (OidIsValid(database))
		workers_hold(database);
	PG_TRY();
	{
		process(pstmt, query_string, read_only_tree, context, params, environment, dest, completion);
	}
	PG_FINALLY();
	{
		if (OidIsValid(database))
			workers_release(database);
	}
	PG_END_TRY();

	/* a new database may have come with the extension from its template */
	if (creates)
		wake_database(InvalidOid);
}

void
ddl_install_hook(void)
{
	next_hook = ProcessUtility_hook;
	ProcessUtility_hook = hold_and_process;
}
