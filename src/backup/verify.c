/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Comparing a base backup with its manifest.
 *
 * The verdict is that of pg_verifybackup --no-parse-wal: the manifest is as it
 * was written, the files are those of the manifest, each with its size and its
 * checksum.  The steps are the same, too: the manifest (verify_manifest.c), the
 * files that there are (verify_walk.c), then their contents (verify_sums.c),
 * but for those with which something is wrong already.  A backup in tar format is
 * read once, archive by archive (verify_tar.c).  What differs is that
 * files are looked for only below the roots that the caller names, and that a
 * problem is a row and not a line of a log.
 *
 * Runs in any backend, reads files as the server's user, writes none, and reads
 * no table.  It can be cancelled in each step; what is open is closed then.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "backup/verify.h"

/* the columns of verify_backup() */
enum
{
	COLUMN_OK,
	COLUMN_MANIFEST_VERSION,
	COLUMN_SYSTEM_IDENTIFIER,
	COLUMN_TIMELINE,
	COLUMN_START_LSN,
	COLUMN_END_LSN,
	COLUMN_WAL_RANGES,
	COLUMN_CHECKPOINT_LSN,
	COLUMN_ALGORITHMS,
	COLUMN_FILES,
	COLUMN_BYTES,
	COLUMN_FILES_READ,
	COLUMN_BYTES_READ,
	COLUMN_FILES_WITHOUT_CHECKSUM,
	COLUMN_PROCESSES,
	COLUMN_SECONDS,
	COLUMN_PROBLEM_COUNT,
	COLUMN_PROBLEMS,
	COLUMNS
};

/* what is not compared, as in pg_verifybackup: it comes into being beside */
static const char *const never_compared[] = {
	"backup_manifest", "pg_wal", "postgresql.auto.conf", "recovery.signal", "standby.signal"
};

PG_FUNCTION_INFO_V1(maintsched_verify_backup);

void
verify_define_settings(void)
{
	DefineCustomIntVariable("maintsched.verify_workers",
							"Processes that read a backup side by side while it is verified.",
							"The one that verifies is counted; the others are taken from max_worker_processes.",
							&verify_workers,
							2,
							1,
							64,
							PGC_SUSET,
							0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("maintsched.verify_rate",
							"Bytes a second that a verification reads, by all its processes together.",
							"0: as many as they can.",
							&verify_rate_kb,
							0,
							0,
							MAX_KILOBYTES,
							PGC_SUSET,
							GUC_UNIT_KB,
							NULL, NULL, NULL);
}

static void
check_caller(void)
{
	if (!superuser() && !has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to verify a backup"),
				 errdetail("Only superusers and members of pg_read_server_files may read files of the server.")));
}

static const char *
need_absolute(const char *path, const char *what)
{
	if (path[0] != '/')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("%s \"%s\" is not an absolute path", what, path)));
	if (strlen(path) > MANIFEST_MAX_PATH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("%s is longer than %d bytes", what, MANIFEST_MAX_PATH)));
	return path;
}

/*
 * The folders below which files may be read: those that the caller names, or
 * the backup alone.
 */
static void
set_roots(VerifyRoots *roots, ArrayType *names, const char *directory)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	if (count > VERIFY_MAX_ROOTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are more than %d folders of backups", VERIFY_MAX_ROOTS)));
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a folder of backups is NULL")));
		roots->paths[roots->count++] = need_absolute(TextDatumGetCString(values[i]), "folder of backups");
	}
	if (count == 0)
		roots->paths[roots->count++] = directory;
}

/*
 * Where a path is; false: it cannot be reached, and that is a problem of kind.
 */
static bool
resolve(Verification *v, const char *path, const char *kind, int *root, char *below, struct stat *st)
{
	VerifyFound found;

	if (!verify_is_below(&v->place.roots, path))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("\"%s\" is not below a folder of backups", path)));
	found = verify_resolve(&v->place.roots, path, root, below, st);
	if (found == VERIFY_OUTSIDE)
		verify_problem(&v->report, kind, NULL, 0, "it leads out of the folders that may be read");
	else if (found == VERIFY_ERROR)
		verify_problem(&v->report, kind, NULL, 0, "it cannot be opened: %s", strerror(errno));
	return found == VERIFY_FOUND;
}

static void
verify(Verification *v, const char *directory, const char *manifest, bool checksums)
{
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	struct stat st;

	if (!resolve(v, directory, "folder", &root, below, &st))
		return;
	if (!S_ISDIR(st.st_mode))
	{
		verify_problem(&v->report, "folder", NULL, 0, "it is not a folder");
		return;
	}
	(void) verify_add_base(&v->place, root, below, 0, 0);
	for (int i = 0; i < lengthof(never_compared); i++)
		v->place.ignored = lappend(v->place.ignored, unconstify(char *, never_compared[i]));

	if (manifest == NULL)
		manifest = psprintf("%s/backup_manifest", directory);
	if (!resolve(v, manifest, "manifest", &root, below, &st) ||
		!verify_read_manifest(&v->place.roots, root, below, v->store, &v->summary, &v->report))
		return;
	verify_progress(VERIFY_LOOKING, 0, 0);
	if (verify_is_tar(&v->place))
	{
		if (verify_tars(&v->place, v->store, &v->summary, checksums, &v->report, &v->totals))
			verify_missing(&v->place, v->store, &v->report);
		return;
	}
	verify_walk(&v->place, v->store, &v->report);
	verify_missing(&v->place, v->store, &v->report);
	verify_small(&v->place, v->store, &v->summary, &v->report);
	if (checksums)
		verify_sums(&v->place, v->store, &v->report, &v->totals);
}

/*
 * Verify a backup: for C.  The roots and the limit of the report are set, all
 * else is zero; what is found is in the memory of the caller.  Errors: a path
 * that is not below a root, and interrupts.
 */
void
verify_run(Verification *v, const char *directory, const char *manifest, bool checksums)
{
	instr_time	begun;
	instr_time	ended;

	v->store = verify_store_create();
	initStringInfo(&v->report.json);
	appendStringInfoChar(&v->report.json, '[');

	INSTR_TIME_SET_CURRENT(begun);
	verify_progress_begin();
	PG_TRY();
	{
		verify(v, directory, manifest, checksums);
	}
	PG_FINALLY();
	{
		verify_progress_end();
	}
	PG_END_TRY();
	INSTR_TIME_SET_CURRENT(ended);
	INSTR_TIME_SUBTRACT(ended, begun);
	v->seconds = INSTR_TIME_GET_DOUBLE(ended);
	appendStringInfoChar(&v->report.json, ']');
}

static char *
lsn_text(uint64 lsn)
{
	return psprintf("%X/%X", (uint32) (lsn >> 32), (uint32) lsn);
}

static char *
algorithm_list(uint32 algorithms)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i <= CHECKSUM_TYPE_SHA512; i++)
		if ((algorithms & 1U << i) != 0)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", pg_checksum_type_name(i));
	return list.data;
}

/*
 * The columns of the result, as text; NULL where the manifest is no good.
 */
static void
set_columns(Verification *v, bool checksums, char **columns)
{
	const VerifySummary *summary = &v->summary;

	columns[COLUMN_OK] = v->report.count == 0 ? "true" : "false";
	columns[COLUMN_SECONDS] = psprintf("%.6f", v->seconds);
	columns[COLUMN_PROBLEM_COUNT] = psprintf(INT64_FORMAT, v->report.count);
	columns[COLUMN_PROBLEMS] = v->report.json.data;
	if (v->place.nbases == 0 || v->report.manifest)
		return;
	columns[COLUMN_MANIFEST_VERSION] = psprintf("%d", summary->head.version);
	if (summary->head.has_system_identifier)
		columns[COLUMN_SYSTEM_IDENTIFIER] = psprintf(UINT64_FORMAT, summary->head.system_identifier);
	else if (summary->has_control)
		columns[COLUMN_SYSTEM_IDENTIFIER] = psprintf(UINT64_FORMAT, summary->control_identifier);
	if (summary->head.ranges > 0)
	{
		columns[COLUMN_TIMELINE] = psprintf("%u", summary->timeline);
		columns[COLUMN_START_LSN] = lsn_text(summary->start);
		columns[COLUMN_END_LSN] = lsn_text(summary->end);
	}
	columns[COLUMN_WAL_RANGES] = psprintf("[%s]", summary->ranges.data);
	if (summary->control_redo != 0)
		columns[COLUMN_CHECKPOINT_LSN] = lsn_text(summary->control_redo);
	columns[COLUMN_FILES] = psprintf(UINT64_FORMAT, summary->head.files);
	columns[COLUMN_BYTES] = psprintf(UINT64_FORMAT, summary->bytes);
	if (!checksums)
		return;
	columns[COLUMN_ALGORITHMS] = algorithm_list(v->totals.algorithms);
	columns[COLUMN_FILES_READ] = psprintf(UINT64_FORMAT, v->totals.files);
	columns[COLUMN_BYTES_READ] = psprintf(UINT64_FORMAT, v->totals.bytes);
	columns[COLUMN_FILES_WITHOUT_CHECKSUM] = psprintf(UINT64_FORMAT, v->totals.unsummed);
	columns[COLUMN_PROCESSES] = psprintf("%d", v->totals.processes);
}

/*
 * verify_backup(directory text, roots text[], manifest text, checksums boolean, problem_limit integer,
 *				 out ...) returns record
 */
Datum
maintsched_verify_backup(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		result;
	char	   *columns[COLUMNS] = {NULL};
	Verification v = {0};
	bool		checksums;
	char	   *directory;
	char	   *manifest;
	MemoryContext before = CurrentMemoryContext;
	MemoryContext context;

	check_caller();
	for (int i = 0; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i) && i != 2)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("verify_backup(): only the manifest may be NULL")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	Assert(desc->natts == COLUMNS);

	context = AllocSetContextCreate(before, "maintsched verification", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	directory = text_to_cstring(PG_GETARG_TEXT_PP(0));
	(void) need_absolute(directory, "folder");
	set_roots(&v.place.roots, PG_GETARG_ARRAYTYPE_P(1), directory);
	manifest = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (manifest != NULL)
		(void) need_absolute(manifest, "manifest");
	checksums = PG_GETARG_BOOL(3);
	v.report.limit = Max(PG_GETARG_INT32(4), 0);
	verify_run(&v, directory, manifest, checksums);
	set_columns(&v, checksums, columns);
	MemoryContextSwitchTo(before);
	result = HeapTupleGetDatum(BuildTupleFromCStrings(TupleDescGetAttInMetadata(desc), columns));
	MemoryContextDelete(context);
	PG_RETURN_DATUM(result);
}
