/*-------------------------------------------------------------------------
 *
 * folder.c
 *	  What is in a folder, and how much it takes.
 *
 * Folders are opened as verify_place.c tells, and no link is followed.  One is
 * open at a time.  Runs in any backend; no locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "backup/folder.h"

static int
by_name(const ListCell *a, const ListCell *b)
{
	return strcmp(((FolderItem *) lfirst(a))->name, ((FolderItem *) lfirst(b))->name);
}

static FolderItem *
make_item(int folder, const char *name)
{
	FolderItem *item;
	struct stat st;

	/* it may be gone by now */
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return NULL;
	item = palloc0(sizeof(FolderItem));
	item->name = pstrdup(name);
	item->folder = S_ISDIR(st.st_mode);
	item->size = S_ISREG(st.st_mode) ? st.st_size : 0;
	item->changed = st.st_mtime;
	if (S_ISLNK(st.st_mode))
	{
		char		target[MANIFEST_MAX_PATH + 1];
		ssize_t		length = readlinkat(folder, name, target, sizeof(target));

		item->link = pnstrdup(target, Max(length, 0));
	}
	return item;
}

/*
 * What is in a folder below a root, by name; false and errno: it cannot be
 * read.
 */
bool
folder_list(const VerifyRoots *roots, int root, const char *below, List **items)
{
	int			fd = verify_open_directory(roots->paths[root], below);
	DIR		   *dir = fd < 0 ? NULL : fdopendir(fd);
	int			saved = errno;

	if (dir == NULL)
	{
		if (fd >= 0)
			(void) close(fd);
		errno = saved;
		return false;
	}
	PG_TRY();
	{
		struct dirent *entry;

		while (errno = 0, (entry = readdir(dir)) != NULL)
		{
			FolderItem *item;

			CHECK_FOR_INTERRUPTS();
			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			item = make_item(dirfd(dir), entry->d_name);
			if (item != NULL)
				*items = lappend(*items, item);
		}
		saved = errno;
	}
	PG_FINALLY();
	{
		(void) closedir(dir);
	}
	PG_END_TRY();
	list_sort(*items, by_name);
	errno = saved;
	return saved == 0;
}

/*
 * Add up a folder and all that is in it.
 */
void
folder_usage(const VerifyRoots *roots, int root, const char *below, FolderUsage *usage)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "maintsched folder", ALLOCSET_DEFAULT_SIZES);
	List	   *todo = list_make1(pstrdup(below));

	while (todo != NIL)
	{
		char	   *folder = llast(todo);
		List	   *items = NIL;
		ListCell   *cell;
		MemoryContext before;

		todo = list_delete_last(todo);
		before = MemoryContextSwitchTo(context);
		if (!folder_list(roots, root, folder, &items) && errno != ENOENT)
			usage->unread++;
		MemoryContextSwitchTo(before);
		foreach(cell, items)
		{
			const FolderItem *item = lfirst(cell);

			if (item->link == NULL)
				usage->newest = Max(usage->newest, item->changed);
			usage->bytes += item->size;
			usage->files += item->folder ? 0 : 1;
			if (item->folder && strlen(folder) + strlen(item->name) + 2 <= MANIFEST_MAX_PATH)
				todo = lappend(todo, psprintf("%s%s%s", folder, *folder != '\0' ? "/" : "", item->name));
		}
		pfree(folder);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}
