/*-------------------------------------------------------------------------
 *
 * verify_walk.c
 *	  Which files a backup has, beside those of its manifest.
 *
 * Walks all folders of the backup, each once and one at a time, so that one
 * folder is open however deep they lie.  As pg_verifybackup does, it looks at
 * files only: an empty folder is neither missed nor extra; and it looks through
 * links.  Where a link leads to is a base: a folder, or file, below one of the
 * roots, by a path without links, that stands for the beginning of the paths
 * in the manifest.  What cannot be looked at is one problem, and what is below
 * it none.
 *
 * Can be cancelled; the caller closes what is open then: the resource owner of
 * the transaction does not know of it.
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

#include "backup/verify.h"

/* more are no backup, but an attempt to make the walk endless */
#define MAX_BASES 1000
#define MAX_LINKS 8

typedef struct Folder
{
	int			base;
	char	   *path;			/* as the manifest has it */
} Folder;

typedef struct Walk
{
	VerifyPlace *place;
	VerifyStore *store;
	VerifyReport *report;
	Folder	   *todo;
	int			ntodo;
	int			max_todo;
	DIR		   *dir;
} Walk;

/*
 * Is a path, or a folder that it is in, not to be looked at?
 */
bool
verify_ignored(const VerifyPlace *place, const char *path)
{
	ListCell   *cell;

	foreach(cell, place->ignored)
	{
		const char *ignored = lfirst(cell);
		size_t		length = strlen(ignored);

		if (strncmp(path, ignored, length) == 0 && (path[length] == '\0' || path[length] == '/'))
			return true;
	}
	return false;
}

/*
 * What was reported is not missed, too, nor what may be below it.  There may be
 * many of them, so a file is told by its entry.
 */
static void
ignore(Walk *walk, const char *path)
{
	VerifyEntry *entry = verify_store_find(walk->store, path, strlen(path));

	if (entry != NULL)
		entry->bad = true;
	else
		walk->place->ignored = lappend(walk->place->ignored, pstrdup(path));
}

/*
 * Where a path of the manifest is below the root of a base.
 */
static bool
place_of(const VerifyBase *base, const char *path, char *below)
{
	const char *rest = path + base->prefix;

	rest += strspn(rest, "/");
	return snprintf(below, MANIFEST_MAX_PATH + 1, "%s%s%s", base->below,
					base->below[0] != '\0' && *rest != '\0' ? "/" : "", rest) <= MANIFEST_MAX_PATH;
}

/*
 * Where a file that was found is; below has MANIFEST_MAX_PATH + 1 bytes.
 */
bool
verify_location(const VerifyPlace *place, const VerifyEntry *entry, int *root, char *below)
{
	const VerifyBase *base = &place->bases[entry->base];

	*root = base->root;
	return place_of(base, entry->path, below);
}

static void
push(Walk *walk, int base, const char *path)
{
	if (walk->ntodo >= walk->max_todo)
	{
		walk->max_todo = Max(64, walk->max_todo * 2);
		walk->todo = walk->todo == NULL ? palloc(walk->max_todo * sizeof(Folder)) :
			repalloc(walk->todo, walk->max_todo * sizeof(Folder));
	}
	walk->todo[walk->ntodo].base = base;
	walk->todo[walk->ntodo++].path = pstrdup(path);
}

int
verify_add_base(VerifyPlace *place, int root, const char *below, int prefix, int links)
{
	VerifyBase *base;

	if (place->nbases >= place->max_bases)
	{
		place->max_bases = Max(16, place->max_bases * 2);
		place->bases = place->bases == NULL ? palloc(place->max_bases * sizeof(VerifyBase)) :
			repalloc(place->bases, place->max_bases * sizeof(VerifyBase));
	}
	base = &place->bases[place->nbases];
	base->root = root;
	base->below = pstrdup(below);
	base->prefix = prefix;
	base->links = links;
	return place->nbases++;
}

/*
 * A regular file of the backup.
 */
static void
found_file(Walk *walk, int base, const char *path, size_t length, uint64 size)
{
	VerifyEntry *entry = verify_store_find(walk->store, path, length);

	if (entry == NULL)
	{
		verify_problem(walk->report, "extra", path, length, "it is not in the manifest");
		return;
	}
	entry->base = base;
	if (entry->size != size)
	{
		entry->bad = true;
		verify_problem(walk->report, "size", path, length,
					   "it has " UINT64_FORMAT " bytes, in the manifest " UINT64_FORMAT, size, entry->size);
	}
}

/*
 * Is a place the folder that path is in, or one above it?
 */
static bool
leads_up(const VerifyBase *from, const char *path, int root, const char *below)
{
	char		here[MANIFEST_MAX_PATH + 1];
	size_t		length = strlen(below);

	return root == from->root && place_of(from, path, here) && strncmp(here, below, length) == 0 &&
		(length == 0 || here[length] == '/');
}

/*
 * A symbolic link: *base becomes where it leads to, *st what is there.
 */
static bool
found_link(Walk *walk, int *base, const char *path, size_t length, struct stat *st)
{
	VerifyPlace *place = walk->place;
	const VerifyBase *from = &place->bases[*base];
	char		whole[2 * MANIFEST_MAX_PATH];
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;

	if (place->nbases >= MAX_BASES || from->links >= MAX_LINKS)
	{
		verify_problem(walk->report, "link", path, length, "it is one symbolic link too many");
		return false;
	}
	if (!place_of(from, path, below) ||
		snprintf(whole, sizeof(whole), "%s/%s", place->roots.paths[from->root], below) >= sizeof(whole))
	{
		verify_problem(walk->report, "unreadable", path, length, "%s", strerror(ENAMETOOLONG));
		return false;
	}
	switch (verify_resolve(&place->roots, whole, &root, below, st))
	{
		case VERIFY_FOUND:
			if (S_ISDIR(st->st_mode) && leads_up(from, path, root, below))
			{
				verify_problem(walk->report, "link", path, length, "it is a symbolic link to a folder that it is in");
				return false;
			}
			*base = verify_add_base(place, root, below, length, from->links + 1);
			return true;
		case VERIFY_OUTSIDE:
			verify_problem(walk->report, "link", path, length, VERIFY_LEADS_OUT);
			return false;
		default:
			verify_problem(walk->report, "unreadable", path, length, "%s", strerror(errno));
			return false;
	}
}

static void
found_entry(Walk *walk, const Folder *folder, const char *name)
{
	char		path[MANIFEST_MAX_PATH + NAME_MAX + 2];
	int			base = folder->base;
	size_t		length;
	struct stat st;

	length = snprintf(path, sizeof(path), "%s%s%s", folder->path, folder->path[0] != '\0' ? "/" : "", name);
	if (verify_ignored(walk->place, path))
		return;
	if (length > MANIFEST_MAX_PATH)
	{
		verify_problem(walk->report, "unreadable", path, length, "%s", strerror(ENAMETOOLONG));
		return;
	}
	if (fstatat(dirfd(walk->dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
	{
		verify_problem(walk->report, "unreadable", path, length, "%s", strerror(errno));
		ignore(walk, path);
		return;
	}
	if (S_ISLNK(st.st_mode) && !found_link(walk, &base, path, length, &st))
	{
		ignore(walk, path);
		return;
	}
	if (S_ISDIR(st.st_mode))
		push(walk, base, path);
	else if (S_ISREG(st.st_mode))
		found_file(walk, base, path, length, st.st_size);
	else
		verify_problem(walk->report, "type", path, length, "it is neither a file nor a folder");
}

static void
walk_folder(Walk *walk, const Folder *folder)
{
	const VerifyBase *base = &walk->place->bases[folder->base];
	char		below[MANIFEST_MAX_PATH + 1];
	int			fd = -1;
	struct dirent *entry;

	errno = ENAMETOOLONG;
	if (place_of(base, folder->path, below))
		fd = verify_open_directory(walk->place->roots.paths[base->root], below);
	if (fd >= 0)
	{
		walk->dir = fdopendir(fd);
		if (walk->dir == NULL)
		{
			int			saved = errno;

			(void) close(fd);
			errno = saved;
		}
	}
	if (walk->dir == NULL)
	{
		verify_problem(walk->report, "unreadable", folder->path, strlen(folder->path), "%s", strerror(errno));
		ignore(walk, folder->path);
		return;
	}
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		errno = 0;
		entry = readdir(walk->dir);
		if (entry == NULL)
			break;
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			found_entry(walk, folder, entry->d_name);
	}
	if (errno != 0)
	{
		verify_problem(walk->report, "unreadable", folder->path, strlen(folder->path), "%s", strerror(errno));
		ignore(walk, folder->path);
	}
	(void) closedir(walk->dir);
	walk->dir = NULL;
}

/*
 * Report the files that the manifest has and the backup not.
 */
void
verify_missing(VerifyPlace *place, VerifyStore *store, VerifyReport *report)
{
	VerifyEntry *entry;
	uint32		position = 0;

	while ((entry = verify_store_next(store, &position)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (entry->base == VERIFY_NOT_FOUND && !entry->bad && !verify_ignored(place, entry->path))
			verify_problem(report, "missing", entry->path, entry->path_length, "it is in the manifest, but not in the backup");
	}
}

/*
 * Find the files.  The first base of the place is the backup.
 */
void
verify_walk(VerifyPlace *place, VerifyStore *store, VerifyReport *report)
{
	Walk		walk = {.place = place,.store = store,.report = report};

	push(&walk, 0, "");
	PG_TRY();
	{
		while (walk.ntodo > 0)
		{
			Folder		folder = walk.todo[--walk.ntodo];

			walk_folder(&walk, &folder);
			pfree(folder.path);
		}
	}
	PG_FINALLY();
	{
		if (walk.dir != NULL)
			(void) closedir(walk.dir);
	}
	PG_END_TRY();
	if (walk.todo != NULL)
		pfree(walk.todo);
}
