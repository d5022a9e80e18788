/*-------------------------------------------------------------------------
 *
 * archive_restore.c
 *	  Archived rows are brought back.
 *
 * A restore is one transaction: the whole file is read once and its sums
 * compared with the record, then read again into COPY FROM, and the sums
 * compared once more, so that a file which changes in between brings nothing
 * back.  The record of the restore commits with the rows, and there is one for
 * an archive and a table: rows never come back twice.
 *
 * Rights: those of the owner that the table had when it was archived, and those
 * of the owner of the target, as whom, restricted, the rows are loaded.
 *
 * Locks: an advisory lock of a kind of our own on the archive, so that it is
 * not removed while it is restored; RowExclusiveLock on the target.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "core/exec.h"
#include "routines/archive.h"

PG_FUNCTION_INFO_V1(maintsched_restore_archive);

/*
 * The table that rows come back to: the one asked for, else the one they are
 * from, else the partitioned one of which that was a part.
 */
static Oid
find_target(const ArchiveEntry * entry)
{
	Oid			found = InvalidOid;
	Oid			namespace = get_namespace_oid(entry->schema, true);

	if (OidIsValid(namespace))
		found = get_relname_relid(entry->relation, namespace);
	if (!OidIsValid(found) && entry->root_schema != NULL)
	{
		namespace = get_namespace_oid(entry->root_schema, true);
		if (OidIsValid(namespace))
			found = get_relname_relid(entry->root_relation, namespace);
	}
	if (!OidIsValid(found))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table %s is not there any more", quote_qualified_identifier(entry->schema, entry->relation)),
				 errhint("Make it again, as the manifest describes it, or name another table: restore_archive(archive_id, 'schema.table').")));
	return found;
}

/*
 * Rows come back as they were: no trigger may change them on the way.
 */
static void
check_triggers(Relation target)
{
	List	   *parts = find_all_inheritors(RelationGetRelid(target), AccessShareLock, NULL);
	ListCell   *cell;

	foreach(cell, parts)
	{
		Relation	part = relation_open(lfirst_oid(cell), NoLock);
		TriggerDesc *triggers = part->trigdesc;

		for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		{
			Trigger    *trigger = &triggers->triggers[i];

			if (!trigger->tgisinternal && TRIGGER_FOR_INSERT(trigger->tgtype) &&
				trigger->tgenabled != TRIGGER_DISABLED && trigger->tgenabled != TRIGGER_FIRES_ON_REPLICA)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("table %s has trigger \"%s\" on INSERT",
								quote_qualified_identifier(get_namespace_name(RelationGetNamespace(part)), RelationGetRelationName(part)),
								trigger->tgname),
						 errdetail("Rows would not come back as they were."),
						 errhint("Restore into another table, or disable the trigger meanwhile.")));
		}
		relation_close(part, NoLock);
	}
}

/*
 * Judge the target: what COPY FROM checks, and that it has the columns.
 */
static void
check_target(Relation target, const ArchiveEntry * entry)
{
	Form_pg_class form = target->rd_rel;
	const char *name = quote_qualified_identifier(get_namespace_name(form->relnamespace), NameStr(form->relname));
	ListCell   *cell;

	if (!has_privs_of_role(GetUserId(), form->relowner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not restore into table %s", GetUserNameFromId(GetUserId(), false), name),
				 errhint("Superusers and members of its owner may.")));
	if (form->relkind != RELKIND_RELATION && form->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table", name)));
	if (check_enable_rls(RelationGetRelid(target), form->relowner, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("row-level security of table %s is forced upon its owner", name)));
	foreach(cell, entry->columns)
	{
		const char *column = strVal(lfirst(cell));
		AttrNumber	number = get_attnum(RelationGetRelid(target), column);

		if (number <= 0 || TupleDescAttr(RelationGetDescr(target), number - 1)->attgenerated != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("table %s has no column \"%s\" that could be filled", name, column),
					 errdetail("Archive %lld has values of it.", (long long) entry->archive_id),
					 errhint("Restore into a table that is as the manifest describes it.")));
	}
	check_triggers(target);
}

/*
 * What the extension's owner reads of an archive, $1, and a table, $2: a text;
 * NULL: nothing.
 */
static char *
read_as_owner(const ArchiveEntry * entry, Oid table, const char *query)
{
	Oid			types[2] = {INT8OID, OIDOID};
	Datum		values[2] = {Int64GetDatum(entry->archive_id), ObjectIdGetDatum(table)};
	ExecRole	saved;
	MemoryContext context = CurrentMemoryContext;
	char	   *found = NULL;

	exec_as(exec_extension_owner(), false, &saved);
	SPI_connect();
	if (exec_query(query, 2, types, values, NULL) > 0)
		found = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	exec_as_end(&saved);
	return found;
}

/*
 * The table that its rows came back into before, if that is the target or what
 * shows there; NULL: none.  By name, too: a dump and restore gives tables other
 * oids, and the partition may be gone, after another archive took the rows.
 */
static char *
restored_into(const ArchiveEntry * entry, Oid target)
{
	return read_as_owner(entry, target,
						 "select r.target from maintsched.archive_restore r"
						 " join maintsched.archive_file f using (archive_id)"
						 " cross join (select $2::regclass::text) t(name)"
						 " cross join lateral (values (array[quote_ident(f.schema_name) || '.' || quote_ident(f.table_name),"
						 " quote_ident(f.root_schema) || '.' || quote_ident(f.root_table)])) h(names)"
						 " where r.archive_id = $1"
						 " and (r.target_oid = $2 or r.target = t.name"
						 " or r.target = any (h.names) and t.name = any (h.names)"
						 " or pg_partition_root(r.target_oid) = pg_partition_root($2))"
						 " order by r.restore_id limit 1");
}

static ArchiveReader *
open_file(const ArchiveEntry * entry)
{
	int			folder = archive_open_place(&entry->place, false);
	int			fd = folder < 0 ? -1 : archive_open(folder, entry->file);

	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", archive_path(&entry->place, entry->file))));
	return archive_reader(fd);
}

/*
 * A column that is of another type by now is not to change a value on the way,
 * as by rounding: the text of the rows has to be the same.
 */
static void
check_types(Relation target, const ArchiveEntry * entry)
{
	ExecRole	saved;
	ArchiveReader *reader;
	ArchiveWriter *again;
	char	   *other;

	other = read_as_owner(entry, RelationGetRelid(target),
						  "select format('Column %I is of type %s, and was of type %s.', a.attname, t.name, c.value ->> 'type')"
						  " from maintsched.archive_file f"
						  " cross join jsonb_array_elements(f.manifest -> 'columns') c"
						  " join pg_attribute a on a.attrelid = $2 and a.attname = c.value ->> 'name' and not a.attisdropped"
						  " cross join lateral (select format_type(a.atttypid, a.atttypmod) as name) t"
						  " where f.archive_id = $1 and t.name <> c.value ->> 'type'"
						  " order by a.attnum limit 1");
	/* the text is of another encoding, or what is made of it is known */
	if (other == NULL || pg_char_to_encoding(entry->encoding) != GetDatabaseEncoding())
		return;

	reader = open_file(entry);
	again = archive_writer(-1, NULL);
	exec_as(target->rd_rel->relowner, true, &saved);
	(void) archive_remake(target, entry->columns, entry->encoding, reader, again);
	exec_as_end(&saved);
	archive_close();
	if (strcmp(again->content_sha256, entry->content_sha256) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("rows of archive %lld would not come back as they were", (long long) entry->archive_id),
				 errdetail("%s", other),
				 errhint("Restore into a table that is as the manifest describes it.")));
}

/*
 * Load the rows, as the owner of the target.
 */
static void
load(Relation target, const ArchiveEntry * entry)
{
	ExecRole	saved;
	ArchiveReader *reader;
	uint64		rows;

	SPI_connect();
	if (SPI_execute("set constraints all immediate", false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not set constraints");
	SPI_finish();

	reader = open_file(entry);
	exec_as(target->rd_rel->relowner, true, &saved);
	rows = archive_load(target, entry->columns, entry->encoding, reader);
	exec_as_end(&saved);
	archive_close();
	if (reader->problem != NULL || rows != entry->rows || reader->lines != entry->rows ||
		strcmp(reader->file_sha256, entry->sha256) != 0 ||
		strcmp(reader->content_sha256, entry->content_sha256) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("archive %lld changed while it was read", (long long) entry->archive_id),
				 errdetail("Nothing is restored.")));
}

/*
 * restore_archive(archive_id bigint, target regclass) returns bigint
 */
Datum
maintsched_restore_archive(PG_FUNCTION_ARGS)
{
	ArchiveEntry entry;
	Relation	target;
	Oid			target_oid;
	char	   *before;
	Oid			types[3] = {INT8OID, OIDOID, INT8OID};
	Datum		values[3];

	archive_check_caller("restore_archive()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("restore_archive() needs an archive_id")));
	entry = archive_find_entry(PG_GETARG_INT64(0));
	archive_check_right(&entry, "restore");
	target_oid = PG_ARGISNULL(1) ? find_target(&entry) : PG_GETARG_OID(1);
	target = try_relation_open(target_oid, RowExclusiveLock);
	if (target == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", target_oid)));
	check_target(target, &entry);

	values[0] = Int64GetDatum(entry.archive_id);
	values[1] = ObjectIdGetDatum(target_oid);
	values[2] = Int64GetDatum(entry.rows);
	before = restored_into(&entry, target_oid);
	if (before != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("archive %lld was restored into table %s before", (long long) entry.archive_id, before),
				 errdetail("Its rows would be there twice; where they have become old again, a later archive has them."),
				 errhint("Restore into another table to look at them.")));
	archive_need_present(&entry);
	check_types(target, &entry);
	load(target, &entry);
	archive_our_query("insert into maintsched.archive_restore (archive_id, target, target_oid, rows)"
					  " values ($1, $2::pg_catalog.regclass::text, $2, $3)", 3, types, values, NULL);
	relation_close(target, NoLock);
	PG_RETURN_INT64(entry.rows);
}
