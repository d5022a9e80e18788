/*-------------------------------------------------------------------------
 *
 * archive_table.c
 *	  Whether the rows of a table may be archived, and as whom.
 *
 * A table is opened once, with its lock, and judged by what is in the catalog
 * then; nothing about it can change until the transaction ends.  Refused is
 * whatever would make that other rows are deleted than those archived, or that
 * rows are left out without a word: rules on DELETE, foreign keys that delete
 * or change rows elsewhere, a trigger that removes large objects, row-level
 * security that holds for the owner, too.
 *
 * Runs in any backend, as the role that asks, which has to be a superuser or a
 * member of the owner.  It reads catalogs alone; no code of the owner's runs.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteDefine.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "core/compat.h"
#include "core/exec.h"
#include "routines/archive.h"

/*
 * Refuse what is called in the middle of somebody else's maintenance: the
 * rights of the moment are then not those of who asked.
 */
void
archive_check_caller(const char *function)
{
	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot call %s within a security-restricted operation", function)));
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
}

/*
 * Raise an error unless the role that asks has the rights of the owner.
 */
void
archive_check_member(Oid owner, const char *name)
{
	if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not archive rows of table %s",
						GetUserNameFromId(GetUserId(), false), name),
				 errhint("Superusers and members of its owner \"%s\" may.",
						 GetUserNameFromId(owner, false))));
}

static void
check_owner_before_lock(const RangeVar *relation, Oid id, Oid old_id, void *arg)
{
	HeapTuple	tuple = OidIsValid(id) ? SearchSysCache1(RELOID, ObjectIdGetDatum(id)) : NULL;

	if (HeapTupleIsValid(tuple))
	{
		Oid			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;

		ReleaseSysCache(tuple);
		archive_check_member(owner, quote_qualified_identifier(relation->schemaname, relation->relname));
	}
}

/*
 * Rules on DELETE would do something else than delete.
 */
static void
check_rules(const ArchiveTable * table)
{
	RuleLock   *rules = table->rel->rd_rules;

	for (int i = 0; rules != NULL && i < rules->numLocks; i++)
	{
		if (rules->rules[i]->event == CMD_DELETE && rules->rules[i]->enabled != RULE_DISABLED)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table %s has a rule on DELETE", table->name),
					 errdetail("It could delete other rows than those that are archived.")));
	}
}

/*
 * Neither may a foreign key delete or change rows of other tables.
 */
static void
check_foreign_keys(const ArchiveTable * table)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(RelationGetRelid(table->rel))};

	SPI_connect();
	if (exec_query("select pg_catalog.quote_ident(c.conname), c.conrelid::pg_catalog.regclass::pg_catalog.text"
				   " from pg_catalog.pg_constraint c"
				   " where c.contype operator(pg_catalog.=) 'f' and c.confrelid operator(pg_catalog.=) $1"
				   " and c.confdeltype operator(pg_catalog.<>) 'a' and c.confdeltype operator(pg_catalog.<>) 'r'"
				   " order by 2, 1 limit 1", 1, types, values, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("foreign key %s of table %s follows table %s",
						SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1),
						SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2), table->name),
				 errdetail("Deleting rows here would delete or change rows there, which are not archived."),
				 errhint("Archive the rows of that table first, with a foreign key ON DELETE NO ACTION or RESTRICT.")));
	SPI_finish();
}

/*
 * Neither may the trigger of extension lo remove large objects, of which the
 * file would hold the numbers alone.
 */
static void
check_large_objects(const ArchiveTable * table)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(RelationGetRelid(table->rel))};

	SPI_connect();
	if (exec_query("select pg_catalog.quote_ident(t.tgname)"
				   " from pg_catalog.pg_trigger t"
				   " join pg_catalog.pg_proc p on p.oid operator(pg_catalog.=) t.tgfoid"
				   " join pg_catalog.pg_language l on l.oid operator(pg_catalog.=) p.prolang"
				   " where t.tgrelid operator(pg_catalog.=) $1"
				   " and t.tgtype operator(pg_catalog.&) 8::pg_catalog.int2 operator(pg_catalog.<>) 0::pg_catalog.int2"
				   " and t.tgenabled operator(pg_catalog.<>) 'D' and t.tgenabled operator(pg_catalog.<>) 'R'"
				   " and p.prosrc operator(pg_catalog.=) 'lo_manage' and l.lanname operator(pg_catalog.=) 'c'"
				   " order by 1 limit 1", 1, types, values, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("trigger %s of table %s removes large objects",
						SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1), table->name),
				 errdetail("Archived are the rows, not the large objects that they point to."),
				 errhint("Bring them into a column of type bytea; or disable the trigger, and the large objects stay.")));
	SPI_finish();
}

/*
 * PostgreSQL deletes nothing that is published and cannot be told apart by
 * those who subscribe.
 */
static void
check_publication(const ArchiveTable * table)
{
	Relation	rel = table->rel;
	PublicationDesc published;

	if (rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL || !is_publishable_relation(rel))
		return;
	RelationBuildPublicationDesc(rel, &published);
	if (!published.rf_valid_for_delete)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s is published where a column has a value that is not part of its replica identity", table->name),
				 errdetail("PostgreSQL refuses to delete its rows."),
				 errhint("ALTER TABLE ... REPLICA IDENTITY FULL, or an index that has the column.")));
	if (published.pubactions.pubdelete && !OidIsValid(RelationGetReplicaIndex(rel)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s has no replica identity, and a publication publishes its deletes", table->name),
				 errdetail("PostgreSQL refuses to delete its rows."),
				 errhint("ALTER TABLE ... REPLICA IDENTITY FULL, or a primary key.")));
}

static void
find_columns(ArchiveTable * table, const char *column)
{
	TupleDesc	desc = RelationGetDescr(table->rel);
	bool		found = false;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(desc, i);

		if (a->attisdropped)
			continue;
		/* what is generated is generated again, as COPY has it */
		if (a->attgenerated == '\0')
			table->columns = lappend(table->columns, makeString(pstrdup(NameStr(a->attname))));
		if (strcmp(NameStr(a->attname), column) == 0)
		{
			found = true;
			table->type = getBaseType(a->atttypid);
		}
	}
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table %s has no column \"%s\"", table->name, column),
				 errhint("Name the column that says how old a row is, as the catalog has it.")));
	if (table->type != TIMESTAMPTZOID && table->type != TIMESTAMPOID && table->type != DATEOID &&
		table->type != INT8OID && table->type != INT4OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table %s is of type %s, which tells no age", column, table->name,
						format_type_be(table->type)),
				 errhint("It has to be a date, a timestamp with or without time zone, or a number of seconds since 1970.")));
	if (table->columns == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("every column of table %s is generated", table->name),
				 errdetail("There is nothing that COPY could bring back.")));
	table->column = pstrdup(quote_identifier(column));
}

/*
 * Open and lock a table by its qualified name, and judge it.
 */
void
archive_open_table(ArchiveTable * table, const char *name, const char *column, int lock)
{
	RangeVar   *variable = makeRangeVarFromNameList(compat_qualified_name(name));
	Form_pg_class form;

	memset(table, 0, sizeof(*table));
	if (variable->schemaname == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("name of table \"%s\" has no schema", name),
				 errhint("Write it as schema.table.")));
	table->rel = relation_open(RangeVarGetRelidExtended(variable, lock, 0, check_owner_before_lock, NULL), NoLock);
	form = table->rel->rd_rel;
	table->owner = form->relowner;
	table->schema = get_namespace_name(form->relnamespace);
	table->relation = pstrdup(NameStr(form->relname));
	table->name = quote_qualified_identifier(table->schema, table->relation);
	archive_check_member(table->owner, table->name);

	if (form->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table with rows of its own", table->name),
				 form->relkind == RELKIND_PARTITIONED_TABLE ? errhint("Its partitions are archived one by one.") : 0));
	if (IsCatalogRelation(table->rel) || IsToastRelation(table->rel) || isAnyTempNamespace(form->relnamespace) ||
		get_namespace_oid("information_schema", true) == form->relnamespace)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is a system or temporary table", table->name)));
	check_rules(table);
	if (check_enable_rls(RelationGetRelid(table->rel), table->owner, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("row-level security of table %s is forced upon its owner", table->name),
				 errdetail("Rows that its policies hide would be left out."),
				 errhint("ALTER TABLE ... NO FORCE ROW LEVEL SECURITY lets its owner see all of its rows.")));
	find_columns(table, column);
	check_foreign_keys(table);
	check_large_objects(table);
	check_publication(table);
}

/*
 * The columns, for a statement.
 */
char	   *
archive_column_list(const List *columns)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, columns)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", quote_identifier(strVal(lfirst(cell))));
	return list.data;
}

/*
 * The type with which the column is compared.
 */
Oid
archive_limit_type(const ArchiveTable * table)
{
	return table->type == INT4OID ? INT8OID : table->type;
}

/*
 * Which rows are old: those with a time before $1.  What has no time, or is
 * of -infinity, has no age.
 */
char	   *
archive_condition(const ArchiveTable * table)
{
	if (table->type == INT8OID || table->type == INT4OID)
		return psprintf("%s operator(pg_catalog.<) $1", table->column);
	return psprintf("%s operator(pg_catalog.<) $1 and %s operator(pg_catalog.>) '-infinity'::pg_catalog.%s",
					table->column, table->column, table->type == DATEOID ? "date" :
					table->type == TIMESTAMPOID ? "timestamp" : "timestamptz");
}

/*
 * The limit as a value of that type.
 */
Datum
archive_limit(const ArchiveTable * table, const char *before)
{
	Oid			input;
	Oid			param;

	getTypeInputInfo(archive_limit_type(table), &input, &param);
	return OidInputFunctionCall(input, pstrdup(before), param, -1);
}

/*
 * Is there a trigger that can keep a row from being deleted?
 */
bool
archive_may_keep_rows(const ArchiveTable * table)
{
	TriggerDesc *triggers = table->rel->trigdesc;

	return triggers != NULL && triggers->trig_delete_before_row;
}

/*
 * Is there no row in a table that nobody else can write into?  What counts is
 * what is there now: the snapshot of the transaction may be older.
 */
bool
archive_is_empty(Relation rel)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = compat_beginscan(rel, snapshot);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	bool		empty = !table_scan_getnextslot(scan, ForwardScanDirection, slot);

	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	return empty;
}
