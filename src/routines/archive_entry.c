/*-------------------------------------------------------------------------
 *
 * archive_entry.c
 *	  What is recorded about an archive; it is verified, and removed when its
 *	  time is over.
 *
 * What an archive is stands in archive_file; what became of it in facts that
 * are added: archive_verification, archive_restore, archive_removal.  They are
 * written as the owner of the extension, by what has done the work itself.
 *
 * A file is removed after the commit of the fact which says so, never before
 * the time that was recorded when it was written, by the real clock.
 *
 * Rights: to restore and to remove, those of the owner that the table had when
 * it was archived, or of a superuser.  Locks: an advisory lock of a kind of our
 * own on the archive, so that it is not removed while it is restored.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/exec.h"
#include "routines/archive.h"

PG_FUNCTION_INFO_V1(maintsched_verify_archive);
PG_FUNCTION_INFO_V1(maintsched_remove_archive);

static char *
entry_text(int column)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

static int64
entry_number(int column)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull));
}

static List *
entry_columns(int column)
{
	bool		isnull;
	Datum		array = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);
	Datum	   *names;
	int			count;
	List	   *list = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &count);
	for (int i = 0; i < count; i++)
		list = lappend(list, makeString(TextDatumGetCString(names[i])));
	return list;
}

/*
 * Read what is recorded, as the owner of the extension, and keep others from
 * the archive until the transaction ends.
 */
ArchiveEntry
archive_find_entry(int64 archive_id)
{
	ArchiveEntry entry = {0};
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(archive_id)};
	MemoryContext context = CurrentMemoryContext;
	ExecRole	saved;
	char	   *root;
	char	   *directory;

	archive_lock(InvalidOid, archive_id);
	exec_as(exec_extension_owner(), false, &saved);
	SPI_connect();
	if (exec_query("select f.schema_name, f.table_name, f.root_schema, f.root_table, f.owner, f.owner_oid,"
				   " f.columns, f.encoding, f.rows, f.bytes, f.sha256, f.content_sha256, f.manifest_sha256,"
				   " f.file, f.manifest_file, f.root, f.directory, r.archive_id is not null,"
				   " case when f.keep_until > clock_timestamp() then f.keep_until::text end"
				   " from maintsched.archive_file f"
				   " left join maintsched.archive_removal r using (archive_id)"
				   " where f.archive_id = $1", 1, types, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("archive %lld does not exist", (long long) archive_id),
				 errhint("The view archives lists them.")));
	MemoryContextSwitchTo(context);
	entry.archive_id = archive_id;
	entry.schema = entry_text(1);
	entry.relation = entry_text(2);
	entry.root_schema = entry_text(3);
	entry.root_relation = entry_text(4);
	entry.owner = entry_text(5);
	entry.owner_oid = (Oid) strtoul(entry_text(6), NULL, 10);
	entry.columns = entry_columns(7);
	entry.encoding = entry_text(8);
	entry.rows = entry_number(9);
	entry.bytes = entry_number(10);
	entry.sha256 = entry_text(11);
	entry.content_sha256 = entry_text(12);
	entry.manifest_sha256 = entry_text(13);
	entry.file = entry_text(14);
	entry.manifest = entry_text(15);
	root = entry_text(16);
	directory = entry_text(17);
	entry.removed = strcmp(entry_text(18), "t") == 0;
	entry.kept_until = entry_text(19);
	SPI_finish();
	exec_as_end(&saved);
	entry.place = archive_recorded_place(root, directory);
	return entry;
}

/*
 * Only who has the rights of the owner of then.
 */
void
archive_check_right(const ArchiveEntry * entry, const char *what)
{
	Oid			owner = get_role_oid(entry->owner, true);

	if (superuser() || (OidIsValid(owner) && owner == entry->owner_oid && has_privs_of_role(GetUserId(), owner)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\" may not %s archive %lld", GetUserNameFromId(GetUserId(), false), what,
					(long long) entry->archive_id),
			 errhint("Superusers may, and members of role \"%s\", which owned the table.", entry->owner)));
}

/*
 * What is wrong with the files of an archive; NULL: nothing.
 */
static const char *
find_problem(const ArchiveEntry * entry)
{
	int			folder = archive_open_place(&entry->place, false);
	int			fd = folder < 0 ? -1 : archive_open(folder, entry->manifest);
	ArchiveReader *reader;
	char	   *sum;

	if (fd < 0)
		return errno == ENOENT ? "its manifest is missing" : "its manifest cannot be opened";
	sum = archive_plain_sha256(fd);
	if (sum == NULL || strcmp(sum, entry->manifest_sha256) != 0)
		return "its manifest is not what was written";
	fd = archive_open(folder, entry->file);
	if (fd < 0)
		return errno == ENOENT ? "its file is missing" : "its file cannot be opened";
	reader = archive_reader(fd);
	archive_read_end(reader);
	if (reader->bytes != entry->bytes)
		return psprintf("its file has " UINT64_FORMAT " bytes, and %lld were written",
						reader->bytes, (long long) entry->bytes);
	if (strcmp(reader->file_sha256, entry->sha256) != 0)
		return "its file is not what was written";
	if (reader->problem != NULL)
		return reader->problem;
	if (reader->lines != entry->rows || strcmp(reader->content_sha256, entry->content_sha256) != 0)
		return "what is in its file is not what was archived";
	return NULL;
}

void
archive_need_present(const ArchiveEntry * entry)
{
	const char *problem;

	if (entry->removed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("archive %lld was removed", (long long) entry->archive_id)));
	problem = find_problem(entry);
	archive_close();
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("archive %lld cannot be used: %s", (long long) entry->archive_id, problem),
				 errdetail("It is \"%s\".", archive_path(&entry->place, entry->file))));
}

/*
 * A query on the facts, as the owner of the extension; how many rows.
 */
uint64
archive_our_query(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	ExecRole	saved;
	uint64		rows;

	exec_as(exec_extension_owner(), false, &saved);
	SPI_connect();
	rows = exec_query(sql, nargs, types, values, nulls);
	SPI_finish();
	exec_as_end(&saved);
	return rows;
}

/*
 * verify_archive(archive_id bigint) returns boolean
 */
Datum
maintsched_verify_archive(PG_FUNCTION_ARGS)
{
	ArchiveEntry entry;
	const char *problem;
	Oid			types[3] = {INT8OID, BOOLOID, TEXTOID};
	Datum		values[3] = {0};
	char		nulls[3] = {' ', ' ', 'n'};

	archive_check_caller("verify_archive()");
	entry = archive_find_entry(PG_GETARG_INT64(0));
	if (entry.removed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("archive %lld was removed", (long long) entry.archive_id)));
	problem = find_problem(&entry);
	archive_close();
	values[0] = Int64GetDatum(entry.archive_id);
	values[1] = BoolGetDatum(problem == NULL);
	if (problem != NULL)
	{
		values[2] = CStringGetTextDatum(problem);
		nulls[2] = ' ';
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("archive %lld cannot be used: %s", (long long) entry.archive_id, problem),
				 errdetail("It is \"%s\".", archive_path(&entry.place, entry.file))));
	}
	archive_our_query("insert into maintsched.archive_verification (archive_id, ok, problem) values ($1, $2, $3)",
					  3, types, values, nulls);
	PG_RETURN_BOOL(problem == NULL);
}

/*
 * remove_archive(archive_id bigint, reason text) returns boolean
 */
Datum
maintsched_remove_archive(PG_FUNCTION_ARGS)
{
	ArchiveEntry entry;
	Oid			types[2] = {INT8OID, TEXTOID};
	Datum		values[2];

	archive_check_caller("remove_archive()");
	entry = archive_find_entry(PG_GETARG_INT64(0));
	archive_check_right(&entry, "remove");
	if (entry.kept_until != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("archive %lld is to be kept until %s", (long long) entry.archive_id, entry.kept_until),
				 errdetail("That was recorded when it was written, and is not shortened.")));
	archive_remove_at_commit(&entry.place, entry.file);
	archive_remove_at_commit(&entry.place, entry.manifest);
	if (entry.removed)
		PG_RETURN_BOOL(false);
	values[0] = Int64GetDatum(entry.archive_id);
	values[1] = PG_GETARG_DATUM(1);
	archive_our_query("insert into maintsched.archive_removal (archive_id, reason) values ($1, $2)", 2, types, values, NULL);
	PG_RETURN_BOOL(true);
}
