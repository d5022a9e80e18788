/*-------------------------------------------------------------------------
 *
 * archive_place.c
 *	  Where archives lie.
 *
 * Archives lie below the folders of maintsched.archive_roots, which only the
 * server's configuration file sets.  What is below a root is opened one
 * component after another, relative to the one before, without following a
 * symbolic link; "." and ".." are refused.  The path to the root itself is the
 * administrator's, and is taken as it is written.  Names of databases, schemas
 * and tables become names of folders in which every byte but letters, digits,
 * "_" and "-" is written as %XX, so that they can hold anything.
 *
 * Runs in the backend that archives.  At most one folder and one file are open
 * at a time in a process; errors close them.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "core/roots.h"
#include "routines/archive.h"

static char *archive_roots = NULL;

/* what is open, and in which subtransaction it was opened */
static int	open_folder = -1;
static int	open_file = -1;
static SubTransactionId open_subid = InvalidSubTransactionId;

void
archive_define_settings(void)
{
	DefineCustomStringVariable("maintsched.archive_roots",
							   "Folders below which old rows may be archived.",
							   "Absolute paths, separated by commas; none: nothing is archived. Set in the configuration file alone.",
							   &archive_roots,
							   "",
							   PGC_SIGHUP,
							   GUC_LIST_INPUT | GUC_SUPERUSER_ONLY | GUC_DISALLOW_IN_AUTO_FILE,
							   roots_check, NULL, NULL);
	archive_register_callbacks();
}

/*
 * A name as the name of a folder.
 */
static void
append_component(StringInfo path, const char *name)
{
	for (; *name != '\0'; name++)
	{
		unsigned char c = *name;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-')
			appendStringInfoChar(path, c);
		else
			appendStringInfo(path, "%%%02X", c);
	}
}

/*
 * The name of this database's folders: several servers may share a root.
 */
char	   *
archive_database_folder(void)
{
	StringInfoData name;

	initStringInfo(&name);
	append_component(&name, get_database_name(MyDatabaseId));
	appendStringInfo(&name, "-" UINT64_FORMAT, GetSystemIdentifier());
	return name.data;
}

/*
 * The roots; at least one.
 */
List	   *
archive_root_list(void)
{
	List	   *roots = roots_split(archive_roots);

	if (roots == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no place for archives: maintsched.archive_roots is empty"),
				 errhint("Name a folder of the server's user in postgresql.conf, such as maintsched.archive_roots = '/srv/archive', and reload.")));
	return roots;
}

/*
 * Where the rows of a table go: a folder of its own below a root, or below
 * directory, which is below a root or relative to the first one.
 */
ArchivePlace
archive_place(const char *directory, const char *schema, const char *relation)
{
	List	   *roots = archive_root_list();
	ArchivePlace place = {linitial(roots), NULL};
	StringInfoData path;
	ListCell   *cell;
	const char *rest = directory;

	if (directory != NULL && roots_have_dots(directory, "/"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("folder of archives \"%s\" holds \".\" or \"..\"", directory)));
	if (directory != NULL && directory[0] == '/')
	{
		rest = NULL;
		foreach(cell, roots)
		{
			const char *found = roots_below(lfirst(cell), directory);

			if (found != NULL && (rest == NULL || strlen(found) < strlen(rest)))
			{
				rest = found;
				place.root = lfirst(cell);
			}
		}
		if (rest == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("folder \"%s\" is not below one of maintsched.archive_roots", directory),
					 errhint("The roots are set in the server's configuration file.")));
	}

	initStringInfo(&path);
	for (; rest != NULL && *rest != '\0'; rest += strspn(rest, "/"))
	{
		size_t		length = strcspn(rest, "/");

		if (path.len > 0)
			appendStringInfoChar(&path, '/');
		appendBinaryStringInfo(&path, rest, length);
		rest += length;
	}
	appendStringInfo(&path, "%s%s/", path.len > 0 ? "/" : "", archive_database_folder());
	append_component(&path, schema);
	appendStringInfoChar(&path, '/');
	append_component(&path, relation);
	place.directory = path.data;
	return place;
}

/*
 * Where a recorded archive is to be looked for: below its root, if that is
 * still one, else below the one that has the folder now.
 */
ArchivePlace
archive_recorded_place(const char *root, const char *directory)
{
	List	   *roots = archive_root_list();
	ArchivePlace place = {NULL, pstrdup(directory)};
	ListCell   *cell;

	foreach(cell, roots)
	{
		if (strcmp(lfirst(cell), root) == 0)
			place.root = lfirst(cell);
	}
	foreach(cell, roots)
	{
		if (place.root == NULL)
		{
			ArchivePlace other = {lfirst(cell), place.directory};

			if (archive_open_place(&other, false) >= 0)
				place.root = other.root;
			archive_close();
		}
	}
	if (place.root == NULL)
		place.root = linitial(roots);
	return place;
}

/*
 * Is a folder the data directory of this server, or in it?
 */
static bool
in_data_directory(const char *folder)
{
	char	   *data = realpath(DataDir, NULL);
	char	   *real = realpath(folder, NULL);
	bool		inside = data != NULL && real != NULL && roots_below(data, real) != NULL;

	free(data);
	free(real);
	return inside;
}

/*
 * Raise an error unless a root that was opened may hold archives.
 */
static void
check_root(const char *name, int folder)
{
	struct stat root;

	if (folder < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open folder \"%s\" of maintsched.archive_roots: %m", name),
				 errhint("Make it, as a folder of the server's user with mode 0700.")));
	if (fstat(folder, &root) == 0 && (root.st_mode & S_IWOTH) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("everybody may write into folder \"%s\" of maintsched.archive_roots", name),
				 errhint("Let it belong to the server's user, with mode 0700.")));
	if (in_data_directory(name))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("folder \"%s\" of maintsched.archive_roots is in the data directory", name),
				 errdetail("Archives would be lost with it, and be part of every base backup."),
				 errhint("Name a folder elsewhere.")));
}

/*
 * For the plan: raise the error that archiving below a root would run into.
 */
void
archive_check_root(const ArchivePlace * place)
{
	int			folder = open(place->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	PG_TRY();
	{
		check_root(place->root, folder);
		if (faccessat(folder, ".", W_OK | X_OK, 0) != 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write into folder \"%s\" of maintsched.archive_roots: %m", place->root),
					 errhint("Let it belong to the server's user, with mode 0700.")));
	}
	PG_FINALLY();
	{
		if (folder >= 0)
			(void) close(folder);
	}
	PG_END_TRY();
}

/*
 * Open a folder.  create: with what is missing of it below the root, and raise
 * an error where that is not possible; else -1 and errno.
 */
int
archive_open_place(const ArchivePlace * place, bool create)
{
	const char *rest = place->directory;

	archive_close();
	open_subid = GetCurrentSubTransactionId();
	open_folder = open(place->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (create)
		check_root(place->root, open_folder);
	while (open_folder >= 0 && *rest != '\0')
	{
		size_t		length = strcspn(rest, "/");
		char		name[NAME_MAX + 1];
		int			next;
		int			saved;

		errno = ENAMETOOLONG;
		next = -1;
		if (length <= NAME_MAX)
		{
			int			flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

			memcpy(name, rest, length);
			name[length] = '\0';
			next = openat(open_folder, name, flags);
			if (next < 0 && errno == ENOENT && create &&
				(mkdirat(open_folder, name, 0700) == 0 || errno == EEXIST) &&
				fsync(open_folder) == 0)
				next = openat(open_folder, name, flags);
		}
		if (next < 0 && create)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not open folder \"%s/%.*s\" of archives: %m", place->root,
							(int) (rest - place->directory + length), place->directory),
					 errhint("Below maintsched.archive_roots it must be a folder of the server's user; symbolic links are not followed.")));
		saved = errno;
		(void) close(open_folder);
		errno = saved;
		open_folder = next;
		rest += length;
		rest += strspn(rest, "/");
	}
	return open_folder;
}

/*
 * Close what is open.
 */
void
archive_close(void)
{
	int			saved = errno;

	if (open_file >= 0)
		(void) close(open_file);
	if (open_folder >= 0)
		(void) close(open_folder);
	open_file = open_folder = -1;
	errno = saved;
}

/*
 * At the end of a subtransaction: one that fails closes what it opened, and
 * nothing else, for it may be one of the code of a table's owner.
 */
void
archive_end_subtransaction(SubTransactionId subid, SubTransactionId parent, bool abort)
{
	if (open_subid != subid)
		return;
	if (abort)
		archive_close();
	open_subid = parent;
}

static int
keep_open(int fd)
{
	int			saved = errno;

	if (open_file >= 0)
		(void) close(open_file);
	open_file = fd;
	errno = saved;
	return fd;
}

/*
 * Make a file that was not there, for the server's user alone.
 */
int
archive_create(int folder, const char *name)
{
	return keep_open(openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
}

/*
 * Open a file to read it; -1 and errno.  A pipe or a device is none.
 */
int
archive_open(int folder, const char *name)
{
	int			fd = keep_open(openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
	struct stat file;

	if (fd >= 0 && fstat(fd, &file) == 0 && !S_ISREG(file.st_mode))
	{
		(void) keep_open(-1);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

/*
 * Give a file that is complete and on disk its name.  Nobody has that name: it
 * holds 64 random bits.
 */
void
archive_make_final(int folder, const char *temporary, const char *name)
{
	if (renameat(folder, temporary, folder, name) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not rename file \"%s\" to \"%s\": %m", temporary, name)));
}

char	   *
archive_path(const ArchivePlace * place, const char *name)
{
	return psprintf("%s/%s/%s", place->root, place->directory, name);
}
