/*-------------------------------------------------------------------------
 *
 * wal_folder.c
 *	  Folders with WAL files.
 *
 * An archive is a folder of segments, or one of folders that are named by the
 * first 16 digits of the segments in them, as Barman and pgBackRest make them.
 * It is read where it really lies below one of the roots; links in it are not
 * followed, and other folders in it are left alone.  Each is read twice: for
 * the names and sizes of all files, then for how the chosen ones begin.
 *
 * Runs in any backend, as the server's user.  No locks.  One folder and one
 * file are open at a time, and closed when an error is raised; it can be
 * cancelled.
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

#include "miscadmin.h"

#include "backup/verify.h"
#include "backup/wal.h"

#define FOLDER_NAME_LENGTH 16

typedef struct Walk
{
	WalList    *list;
	bool		look;			/* into files */
	DIR		   *top;			/* open folders; NULL: none */
	DIR		   *sub;
	int			file;			/* -1: none */
} Walk;

static void
close_walk(Walk *walk)
{
	if (walk->file >= 0)
		(void) close(walk->file);
	if (walk->sub != NULL)
		(void) closedir(walk->sub);
	if (walk->top != NULL)
		(void) closedir(walk->top);
	walk->file = -1;
	walk->sub = walk->top = NULL;
}

/*
 * Open a file and read its start; -1 and errno.
 */
static ssize_t
read_head(Walk *walk, int folder, const char *name, void *buffer, size_t limit)
{
	ssize_t		length;
	size_t		have = 0;

	walk->file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (walk->file < 0)
		return -1;
	do
	{
		length = read(walk->file, (char *) buffer + have, limit - have);
		if (length > 0)
			have += length;
	} while (have < limit && (length > 0 || (length < 0 && errno == EINTR)));
	return length < 0 ? -1 : (ssize_t) have;
}

static void
close_file(Walk *walk)
{
	int			saved = errno;

	if (walk->file >= 0)
		(void) close(walk->file);
	walk->file = -1;
	errno = saved;
}

static void
look_into(Walk *walk, int folder, const char *file, const WalName *name, uint64 size)
{
	WalList    *list = walk->list;
	WalEntry   *entry = wal_list_find(list, name->timeline, name->segno, name->kind == WAL_PARTIAL);
	unsigned char head[WAL_HEAD];
	ssize_t		length;

	/* of two files of a name the other one is meant */
	if (entry->size != size || (entry->state != WAL_GOOD && entry->state != WAL_OTHER_SIZE))
		return;
	length = read_head(walk, folder, file, head, sizeof(head));
	if (length < 0)
	{
		entry->found = errno;
		/* it is gone meanwhile: then it is not there */
		entry->state = errno == ENOENT ? WAL_EMPTY : WAL_UNREADABLE;
	}
	else if (!entry->partial)
	{
		entry->state = wal_check_head(list, entry, name->compression, head, length, &entry->found);
		if (entry->state == WAL_GOOD && !wal_ends(walk->file, head, length, size, list->segment_size))
			entry->state = WAL_CUT_OFF;
	}
	close_file(walk);
}

static void
add_history(Walk *walk, int folder, const char *file, const WalName *name)
{
	WalHistory *history = palloc0(sizeof(WalHistory));
	char	   *contents = palloc(WAL_HISTORY_LIMIT);
	ssize_t		length = read_head(walk, folder, file, contents, WAL_HISTORY_LIMIT - 1);

	close_file(walk);
	history->timeline = name->timeline;
	if (length >= 0 && name->compression == WAL_PLAIN && !wal_is_compressed((unsigned char *) contents, length))
	{
		contents[length] = '\0';
		history->contents = contents;
	}
	walk->list->histories = lappend(walk->list->histories, history);
}

static void
take_file(Walk *walk, int folder, const char *file)
{
	WalName		name = wal_parse_name(file, walk->list->segment_size);
	struct stat st;

	CHECK_FOR_INTERRUPTS();
	if (name.kind == WAL_OTHER)
	{
		walk->list->others++;
		return;
	}
	if (walk->look && name.kind != WAL_HISTORY)
	{
		WalEntry   *entry = wal_list_find(walk->list, name.timeline, name.segno, name.kind == WAL_PARTIAL);

		if (entry == NULL || !entry->look)
			return;
	}
	if (fstatat(folder, file, &st, AT_SYMLINK_NOFOLLOW) != 0)
	{
		/*
		 * a folder that can be listed and not searched: it is there, and not
		 * seen
		 */
		if (errno == EACCES)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not look at file \"%s\" of the archive: %m", file)));
		return;
	}
	if (!S_ISREG(st.st_mode))
		return;
	if (name.kind == WAL_HISTORY)
	{
		if (!walk->look)
			add_history(walk, folder, file, &name);
	}
	else if (walk->look)
		look_into(walk, folder, file, &name, st.st_size);
	else
		wal_list_add(walk->list, &name, st.st_size, st.st_mtime);
}

static bool
is_wal_folder(const char *name)
{
	return strlen(name) == FOLDER_NAME_LENGTH && strspn(name, "0123456789ABCDEF") == FOLDER_NAME_LENGTH;
}

/*
 * A folder below the archive; what is in its way is of no interest, but that
 * it cannot be read is.
 */
static void
walk_sub(Walk *walk, const char *folder, const char *name)
{
	int			fd = openat(dirfd(walk->top), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *found;

	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP || errno == ENOENT))
		return;
	if (fd < 0 || (walk->sub = fdopendir(fd)) == NULL)
	{
		if (fd >= 0)
			(void) close(fd);
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open folder \"%s/%s\": %m", folder, name)));
	}
	while ((found = readdir(walk->sub)) != NULL)
		if (found->d_name[0] != '.')
			take_file(walk, dirfd(walk->sub), found->d_name);
	(void) closedir(walk->sub);
	walk->sub = NULL;
}

static void
walk_top(Walk *walk, const char *folder, const char *root, const char *below)
{
	int			fd = verify_open_directory(root, below);
	struct dirent *found;

	if (fd < 0 || (walk->top = fdopendir(fd)) == NULL)
	{
		if (fd >= 0)
			(void) close(fd);
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open folder \"%s\": %m", folder)));
	}
	while ((found = readdir(walk->top)) != NULL)
	{
		if (found->d_name[0] == '.')
			continue;
		if (is_wal_folder(found->d_name))
			walk_sub(walk, folder, found->d_name);
		else
			take_file(walk, dirfd(walk->top), found->d_name);
	}
	(void) closedir(walk->top);
	walk->top = NULL;
}

/*
 * Where a folder really lies: the root, and the path below it.
 */
static const char *
find_folder(const char *folder, List *roots, char *below)
{
	VerifyRoots places = {0};
	VerifyFound found;
	struct stat st;
	int			root;
	ListCell   *cell;

	foreach(cell, roots)
	{
		if (places.count < VERIFY_MAX_ROOTS)
			places.paths[places.count++] = lfirst(cell);
	}
	found = verify_resolve(&places, folder, &root, below, &st);
	if (found == VERIFY_FOUND)
	{
		if (S_ISDIR(st.st_mode))
			return places.paths[root];
		errno = ENOTDIR;
	}
	switch (found)
	{
		case VERIFY_FOUND:
		case VERIFY_ERROR:
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not open folder \"%s\": %m", folder)));
			break;
		case VERIFY_OUTSIDE:
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("folder \"%s\" is not below one of maintsched.backup_roots", folder),
					 errhint("The roots are set in the server's configuration file.")));
	}
	return NULL;
}

/*
 * Add what is in a folder, an absolute path below one of the roots, to an
 * empty list.
 */
void
wal_read_folder(WalList *list, const char *folder, List *roots)
{
	Walk		walk = {.list = list,.file = -1};
	char	   *below = palloc(MANIFEST_MAX_PATH + 1);
	const char *root = find_folder(folder, roots, below);

	PG_TRY();
	{
		walk_top(&walk, folder, root, below);
		wal_list_sort(list);
		wal_list_sample(list);
		walk.look = true;
		walk_top(&walk, folder, root, below);
	}
	PG_FINALLY();
	{
		close_walk(&walk);
	}
	PG_END_TRY();
	wal_list_settle(list);
}
