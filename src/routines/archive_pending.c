/*-------------------------------------------------------------------------
 *
 * archive_pending.c
 *	  What becomes of the files of archives when the transaction ends.
 *
 * A file that was made is removed when the (sub)transaction that made it does
 * not commit; one that is to be removed is removed after the commit.  Both are
 * done from callbacks, which must not fail: they log.  What a killed process
 * leaves is a file that no committed record names; archive_files() finds it.
 *
 * Runs in the backend that archives.  Locks: two kinds of advisory locks that
 * no SQL function takes, until the end of the transaction.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "routines/archive.h"

PG_FUNCTION_INFO_V1(maintsched_archive_files);

/* kinds of advisory locks that no SQL function takes */
#define LOCK_TABLE	79
#define LOCK_FILE	80

/* what happens to a file when the transaction ends */
typedef struct PendingFile
{
	struct PendingFile *next;
	SubTransactionId subid;
	bool		at_commit;		/* remove it then, else at abort */
	char	   *root;
	char	   *directory;
	char		name[ARCHIVE_NAME];
}			PendingFile;

static PendingFile * pending = NULL;

/*
 * Remove a file, from a callback: nothing is raised, nothing allocated.
 */
static void
remove_quietly(const PendingFile * file)
{
	ArchivePlace place = {file->root, file->directory};
	int			folder = archive_open_place(&place, false);

	if (folder < 0 || (unlinkat(folder, file->name, 0) != 0 && errno != ENOENT))
	{
		if (file->at_commit || folder >= 0 || errno != ENOENT)
			ereport(WARNING,
					(errcode_for_file_access(),
					 errmsg("could not remove file \"%s/%s/%s\": %m", file->root, file->directory, file->name)));
	}
	archive_close();
}

static void
forget(PendingFile * *link)
{
	PendingFile *file = *link;

	*link = file->next;
	pfree(file->root);
	pfree(file->directory);
	pfree(file);
}

static void
end_transaction(XactEvent event, void *arg)
{
	bool		commit = event == XACT_EVENT_COMMIT;

	if (event == XACT_EVENT_PRE_PREPARE && pending != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has written or removed archives")));
	if (!commit && event != XACT_EVENT_ABORT)
		return;
	archive_close();
	while (pending != NULL)
	{
		if (pending->at_commit == commit)
			remove_quietly(pending);
		forget(&pending);
	}
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	PendingFile **link = &pending;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	archive_end_subtransaction(subid, parent, event == SUBXACT_EVENT_ABORT_SUB);
	while (*link != NULL)
	{
		PendingFile *file = *link;

		if (file->subid == subid && event == SUBXACT_EVENT_COMMIT_SUB)
			file->subid = parent;
		if (file->subid == subid && event == SUBXACT_EVENT_ABORT_SUB)
		{
			if (!file->at_commit)
				remove_quietly(file);
			forget(link);
		}
		else
			link = &file->next;
	}
}

void
archive_register_callbacks(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

static void
add_pending(const ArchivePlace * place, const char *name, bool at_commit)
{
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
	PendingFile *file = palloc0(sizeof(PendingFile));

	file->subid = GetCurrentSubTransactionId();
	file->at_commit = at_commit;
	file->root = pstrdup(place->root);
	file->directory = pstrdup(place->directory);
	strlcpy(file->name, name, sizeof(file->name));
	file->next = pending;
	pending = file;
	MemoryContextSwitchTo(context);
}

void
archive_keep_until_commit(const ArchivePlace * place, const char *name)
{
	add_pending(place, name, false);
}

void
archive_remove_at_commit(const ArchivePlace * place, const char *name)
{
	add_pending(place, name, true);
}

/*
 * Remove what a killed process left half written.  A file with the ending of
 * temporary ones was never part of an archive, here or in any copy of this
 * database: it loses that ending before its record is committed.
 */
void
archive_remove_temporary(int folder)
{
	int			copy = dup(folder);
	DIR		   *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (dir == NULL)
	{
		if (copy >= 0)
			(void) close(copy);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
	{
		size_t		length = strlen(entry->d_name);

		if (length > 4 && strspn(entry->d_name, "0123456789") >= 6 &&
			strcmp(entry->d_name + length - 4, ".tmp") == 0)
			(void) unlinkat(folder, entry->d_name, 0);
	}
	(void) closedir(dir);
}

/*
 * One batch of a table at a time, and one use of an archive; until the
 * transaction ends.
 */
void
archive_lock(Oid relation, int64 archive_id)
{
	LOCKTAG		tag;

	if (OidIsValid(relation))
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, relation, LOCK_TABLE);
	else
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (archive_id >> 32), (uint32) archive_id, LOCK_FILE);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* deeper than any folder of ours */
#define MAX_DEPTH 32

/*
 * The files of a folder and of those in it, as rows; ours is the name of this
 * database's folders, and within says that this is below one.
 */
static void
find_files(ReturnSetInfo *result, int folder, const char *path, const char *ours, bool within, int depth)
{
	DIR		   *dir = fdopendir(folder);
	struct dirent *entry;

	if (dir == NULL)
	{
		(void) close(folder);
		return;
	}
	PG_TRY();
	{
		while ((entry = readdir(dir)) != NULL)
		{
			struct stat file;

			CHECK_FOR_INTERRUPTS();
			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
				fstatat(dirfd(dir), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) != 0)
				continue;
			if (S_ISDIR(file.st_mode) && depth < MAX_DEPTH)
			{
				int			next = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

				if (next >= 0)
					find_files(result, next, psprintf("%s/%s", path, entry->d_name), ours,
							   within || strcmp(entry->d_name, ours) == 0, depth + 1);
			}
			else if (within && S_ISREG(file.st_mode))
			{
				Datum		values[4];
				bool		nulls[4] = {false};

				values[0] = CStringGetTextDatum(psprintf("%s/%s", path, entry->d_name));
				values[1] = CStringGetTextDatum(entry->d_name);
				values[2] = Int64GetDatum(file.st_size);
				values[3] = TimestampTzGetDatum(time_t_to_timestamptz(file.st_mtim.tv_sec));
				tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
			}
		}
	}
	PG_FINALLY();
	{
		(void) closedir(dir);
	}
	PG_END_TRY();
}

/*
 * archive_files() returns table (path text, file text, bytes bigint, modified_at timestamptz)
 */
Datum
maintsched_archive_files(PG_FUNCTION_ARGS)
{
	ListCell   *cell;
	char	   *ours = archive_database_folder();

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, archive_root_list())
	{
		int			folder = open(lfirst(cell), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (folder < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not open folder \"%s\" of maintsched.archive_roots: %m", (char *) lfirst(cell))));
		find_files((ReturnSetInfo *) fcinfo->resultinfo, folder, lfirst(cell), ours, false, 0);
	}
	return (Datum) 0;
}
