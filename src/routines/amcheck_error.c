/*-------------------------------------------------------------------------
 *
 * amcheck_error.c
 *	  What an error says that ended a check of a table or an index.
 *
 * The check of an index runs its expressions and operators.  An error of that
 * code is not a finding, and its words are not repeated, for they may be
 * anybody's data: whatever SQLSTATE it chose.  What counts is therefore in
 * which file of the server an error was raised, which code of a user cannot
 * choose.
 *
 * Runs in any backend, after an error was caught and before another one is
 * raised: it looks nothing up.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/condition.h"
#include "routines/amcheck.h"

/*
 * Source files of the server that read or check storage.  Their errors hold
 * names, blocks and numbers, and no values of columns; what they call
 * internal is damage, too.
 */
static const char *const storage_files[] = {
	"verify_common.c", "verify_gin.c", "verify_heapam.c", "verify_nbtree.c",
	"bufmgr.c", "md.c", "slru.c", "multixact.c", "transam.c",
	"nbtdedup.c", "nbtpage.c", "nbtsearch.c", "nbtutils.c",
	"ginbtree.c", "gindatapage.c", "ginentrypage.c", "ginget.c", "ginpostinglist.c", "ginutil.c",
	"detoast.c", "heapam.c", "heapam_handler.c", "heapam_visibility.c", "heaptoast.c",
	"heaptuple.c", "indextuple.c", "toast_compression.c", "toast_internals.c",
};

/* ... and those that manage what every statement needs: their errors say nothing about storage */
static const char *const server_files[] = {
	"aio.c", "aio_callback.c", "aset.c", "bloomfilter.c", "buffile.c", "deadlock.c", "fd.c", "genam.c", "generation.c", "indexam.c",
	"lmgr.c", "lock.c", "mcxt.c", "postgres.c", "proc.c", "read_stream.c",
	"relation.c", "slab.c", "table.c", "tableam.c",
};

static bool
is_among(const char *name, const char *const *names, int n)
{
	for (int i = 0; name != NULL && i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/*
 * Something changed between the plan, or the look at the catalog, and the
 * check: the next try finds it as it is then.
 */
void
amcheck_changed(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("%s was dropped or rebuilt when it was to be checked", name)));
}

/*
 * Does a message name a file by its path, and none of a relation whose file
 * has this number?
 */
static bool
names_other_file(const char *message, RelFileNumber file)
{
	bool		any = false;

	for (const char *p = message; p != NULL && (p = strchr(p, '/')) != NULL;)
	{
		char	   *end;
		unsigned long number;

		p++;
		if (*p < '0' || *p > '9')
			continue;
		number = strtoul(p, &end, 10);
		if (*end == '/')
			continue;
		any = true;
		if (number == file)
			return false;
	}
	return any;
}

/*
 * Raise an error again that ended a check: as it is, as a finding, or, where
 * code of a user may have raised it, without its words.  file: that of the
 * index which was checked; InvalidRelFileNumber: it was a table.
 */
void
amcheck_rethrow(ErrorData *error, const char *name, RelFileNumber file)
{
	bool		user_code = file != InvalidRelFileNumber;
	bool		storage = is_among(error->filename, storage_files, lengthof(storage_files));

	if (error->sqlerrcode == ERRCODE_INTERNAL_ERROR && is_among(error->filename, server_files, lengthof(server_files)) &&
		(strcmp(error->filename, "relation.c") == 0 || strcmp(error->filename, "indexam.c") == 0))
		amcheck_changed(name);
	if (storage && user_code && error->message != NULL && names_other_file(error->message, file))
		/* the rows that it is compared with are not its own */
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s could not be checked: the table cannot be read: %s", name, error->message)));
	if (storage && (error->sqlerrcode == ERRCODE_INTERNAL_ERROR || error->sqlerrcode == ERRCODE_UNDEFINED_FILE))
		/* the storage says what cannot be, or a file of it is not there */
		error->sqlerrcode = ERRCODE_DATA_CORRUPTED;
	else if (user_code && !storage && !is_among(error->filename, server_files, lengthof(server_files)))
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("%s could not be checked: an expression or operator of it failed (%s)",
						name, condition_name(error->sqlerrcode)),
				 errdetail_log("%s", error->message)));
	ReThrowError(error);
}
