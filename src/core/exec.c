/*-------------------------------------------------------------------------
 *
 * exec.c
 *	  The only two ways in which C runs SQL.
 *
 * exec_query() is SPI, inside a transaction that exec_begin() or
 * exec_begin_user() started.  exec_begin() acts as the owner of the extension,
 * with SECURITY_RESTRICTED_OPERATION and a pinned search_path: the session is
 * that of another role, which may have set anything before.  What such a
 * setting could do to our own statements is put right for the transaction.
 *
 * exec_utility() runs any command at top level, as a client's would be, so
 * that VACUUM, REINDEX CONCURRENTLY and procedures that commit can run.  It
 * needs a portal: commands that commit in between keep their state in its
 * memory.  No snapshot is held around it; such a command would wait for it.
 *
 * exec_as() switches to another role inside a transaction: to the owner of a
 * table, restricted, for whatever reads, writes or deletes its rows, or to the
 * owner of the extension, to record what was done.  Nothing that the role's
 * code sets stays.
 *
 * All functions raise errors; the caller ends its transaction by
 * AbortCurrentTransaction(), which also gives back the role.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/exec.h"

/* how long our own statements wait for a lock */
const char *exec_lock_timeout = "0";

/* how our own functions are planned: a process that calls each a few times says so */
const char *exec_plan_cache_mode = "auto";

/* true within exec_begin() and exec_commit() */
bool		exec_recording = false;

/* false in a process that runs no user code: a cancel request is for a step */
bool		exec_hold_cancel = true;

static Oid	saved_user;
static int	saved_context;

/* an error that SQL catches in between sets the count to zero */
static uint32 saved_holdoff;

static void
set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

static void
set_saved(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Look up the extension: its owner, and its version in *version unless NULL.
 * InvalidOid: it is not in this database.
 */
static Oid
find_extension(char **version)
{
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	Oid			owner = InvalidOid;

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("maintsched"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);
		Oid			namespace = get_namespace_oid("maintsched", true);

		/* a schema that the extension does not own is not ours */
		if (OidIsValid(namespace) &&
			getExtensionOfObject(NamespaceRelationId, namespace) == form->oid)
		{
			owner = form->extowner;
			if (version != NULL)
			{
				bool		isnull;
				Datum		datum = heap_getattr(tuple, Anum_pg_extension_extversion,
												 RelationGetDescr(rel), &isnull);

				*version = isnull ? NULL : text_to_cstring(DatumGetTextPP(datum));
			}
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return owner;
}

/*
 * The version of the extension in this database, NULL where there is none;
 * in the memory context of the caller.  Runs a transaction of its own.
 */
char	   *
exec_extension_version(void)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *version = NULL;
	char	   *copy;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) find_extension(&version);
	copy = version ? MemoryContextStrdup(context, version) : NULL;
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return copy;
}

/*
 * Begin a transaction as the extension's owner; false, and no transaction,
 * where the extension is not there.  Cancel requests are not taken in it: they
 * are meant for user code.
 */
bool
exec_begin(void)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			owner;

	saved_holdoff = QueryCancelHoldoffCount;
	if (exec_hold_cancel)
		HOLD_CANCEL_INTERRUPTS();
	exec_recording = true;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	XactReadOnly = false;
	XactIsoLevel = XACT_READ_COMMITTED;

	owner = find_extension(NULL);
	if (!OidIsValid(owner))
	{
		CommitTransactionCommand();
		QueryCancelHoldoffCount = saved_holdoff;
		exec_recording = false;
		MemoryContextSwitchTo(context);
		return false;
	}

	GetUserIdAndSecContext(&saved_user, &saved_context);
	SetUserIdAndSecContext(owner, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	set_local("search_path", "pg_catalog, pg_temp");
	set_local("lock_timeout", exec_lock_timeout);
	set_local("session_replication_role", "origin");
	set_local("transform_null_equals", "off");
	set_local("array_nulls", "on");
	set_local("intervalstyle", "postgres");
	set_local("datestyle", "ISO, MDY");
	set_local("timezone", "UTC");
	set_local("exit_on_error", "off");
	compat_no_transaction_timeout(set_local);
	set_local("plan_cache_mode", exec_plan_cache_mode);
	/* a step is short, whatever a plan made without statistics expects */
	set_local("jit", "off");

	/*
	 * a superuser's statement may have set it; what is recorded is not to
	 * follow
	 */
	set_local("maintsched.now", "");
	/* a standby that is away must not keep the background from ending */
	if (synchronous_commit > SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
		set_local("synchronous_commit", "local");

	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	return true;
}

void
exec_commit(void)
{
	MemoryContext context = TopMemoryContext;

	PopActiveSnapshot();
	SPI_finish();
	SetUserIdAndSecContext(saved_user, saved_context);
	CommitTransactionCommand();
	QueryCancelHoldoffCount = saved_holdoff;
	exec_recording = false;
	MemoryContextSwitchTo(context);
}

/*
 * The owner of the extension.
 */
Oid
exec_extension_owner(void)
{
	Oid			owner = find_extension(NULL);

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" is not in this database", "maintsched")));
	return owner;
}

/*
 * Act as a role until exec_as_end().  restricted: its code may run, and change
 * nothing of the session; else only statements of ours do.  What values look
 * like as text is settled, so that they read the same everywhere.
 */
void
exec_as(Oid role, bool restricted, ExecRole * saved)
{
	GetUserIdAndSecContext(&saved->user, &saved->context);
	SetUserIdAndSecContext(role, saved->context | SECURITY_LOCAL_USERID_CHANGE |
						   (restricted ? SECURITY_RESTRICTED_OPERATION : 0));
	saved->nest_level = NewGUCNestLevel();
	set_saved("search_path", "pg_catalog, pg_temp");
	set_saved("session_replication_role", "origin");
	set_saved("row_security", "off");
	set_saved("transform_null_equals", "off");
	set_saved("array_nulls", "on");
	set_saved("datestyle", "ISO, YMD");
	set_saved("intervalstyle", "postgres");
	set_saved("timezone", "UTC");
	set_saved("bytea_output", "hex");
	set_saved("extra_float_digits", "3");
	set_saved("xmloption", "content");
	set_saved("lc_monetary", "C");
	set_saved("quote_all_identifiers", "off");
}

void
exec_as_end(const ExecRole * saved)
{
	AtEOXact_GUC(false, saved->nest_level);
	SetUserIdAndSecContext(saved->user, saved->context);
}

/*
 * Begin a transaction as the role of the session, for a query of the user's;
 * or for one of ours, with what its names and operators mean settled: where
 * others may create objects, some that fit better could be theirs.
 */
void
exec_begin_user(bool read_only, bool ours)
{
	exec_recording = false;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (read_only)
		XactReadOnly = true;
	if (ours)
		set_local("search_path", "pg_catalog, pg_temp");
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
exec_commit_user(void)
{
	PopActiveSnapshot();
	SPI_finish();
	CommitTransactionCommand();
	MemoryContextSwitchTo(TopMemoryContext);
}

/*
 * Run a query through SPI; its rows are in SPI_tuptable.  Returns how many.
 */
uint64
exec_query(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	int			result = SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute_with_args returned %s", SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * Refuse what only makes sense with a client at the other end.
 */
static void
check_statement(Node *statement)
{
	if (IsA(statement, TransactionStmt))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("transaction control statements are not allowed in an action"),
				 errhint("Several statements in one command are one transaction.")));
	if (IsA(statement, CopyStmt) && ((CopyStmt *) statement)->filename == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("COPY from or to the client is not allowed in an action")));
}

static void
run_statement(RawStmt *statement, const char *command)
{
	List	   *queries;
	List	   *plans;
	Portal		portal;
	QueryCompletion completion;
	bool		snapshot = false;
	CommandTag	tag = CreateCommandTag(statement->stmt);

	if (analyze_requires_snapshot(statement))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		snapshot = true;
	}
	queries = pg_analyze_and_rewrite_fixedparams(statement, command, NULL, 0, NULL);
	plans = pg_plan_queries(queries, command, CURSOR_OPT_PARALLEL_OK, NULL);
	if (snapshot)
		PopActiveSnapshot();

	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, command, tag, plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	(void) compat_portal_run(portal, None_Receiver, &completion);
	PortalDrop(portal, false);
}

/*
 * Run a command at top level, in a transaction of its own, as the role of the
 * session.  Several statements are one transaction, as from a client.
 */
void
exec_utility(const char *command)
{
	static MemoryContext context = NULL;
	MemoryContext old_context = CurrentMemoryContext;
	List	   *statements;
	ListCell   *cell;

	exec_recording = false;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();

	/* commands that commit free the transaction's memory: parse outside it */
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "maintsched command", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(context);
	MemoryContextSwitchTo(context);

	statements = pg_parse_query(command);
	if (statements == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the command is empty")));
	foreach(cell, statements)
		check_statement(lfirst_node(RawStmt, cell)->stmt);
	if (list_length(statements) > 1)
		BeginImplicitTransactionBlock();
	foreach(cell, statements)
	{
		run_statement(lfirst_node(RawStmt, cell), command);
		MemoryContextSwitchTo(context);
		if (lnext(statements, cell) != NULL)
			CommandCounterIncrement();
	}
	if (list_length(statements) > 1)
		EndImplicitTransactionBlock();
	CommitTransactionCommand();
	MemoryContextSwitchTo(old_context);
}
