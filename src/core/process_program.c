/*-------------------------------------------------------------------------
 *
 * process_program.c
 *	  Which programs may be run.
 *
 * A program is named by an absolute path: of the server's own folder, or from a
 * setting that only superusers change.  It is run with the rights of the
 * server's user, so nobody but root and that user may be able to put another
 * one in its place: not by writing into the file, nor by renaming a folder or a
 * symbolic link on the way to it.  A folder that everybody may write to is
 * taken only where its sticky bit keeps others from doing that.  Since nobody
 * else can change what was looked at, it does not matter that the program is
 * executed by its path afterwards.
 *
 * Runs in any backend; no locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port.h"

#include "core/process_parts.h"

/* as many symbolic links as the kernel follows */
#define MAX_LINKS 40

/* what is being looked at, for messages */
typedef struct ProgramCheck
{
	const char *program;
	const char *setting;
} ProgramCheck;

static int
hint(const ProgramCheck *check)
{
	if (check->setting == NULL)
		return 0;
	return errhint("%s names the program.", check->setting);
}

static bool
is_trusted(const struct stat *file)
{
	return file->st_uid == 0 || file->st_uid == geteuid();
}

compat_noreturn static void
report_untrusted(const ProgramCheck *check, const char *what, const char *path, const struct stat *file)
{
	if (!is_trusted(file))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("program \"%s\" is not run: others could replace it", check->program),
				 errdetail("%s \"%s\" belongs neither to root nor to the server's user.", what, path),
				 hint(check)));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("program \"%s\" is not run: others could replace it", check->program),
			 errdetail("%s \"%s\" can be written to by its group or by everybody (mode %04o).", what, path,
					   (unsigned int) (file->st_mode & 07777)),
			 hint(check)));
}

compat_noreturn static void
report_missing(const ProgramCheck *check, const char *path)
{
	if (errno == ENOENT)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("program \"%s\" does not exist", check->program),
				 errdetail("There is no \"%s\".", path),
				 hint(check)));
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not look at \"%s\" for program \"%s\": %m", path, check->program),
			 hint(check)));
}

static void
check_folder(const ProgramCheck *check, const char *path)
{
	struct stat folder;

	if (lstat(path, &folder) < 0)
		report_missing(check, path);
	if (!S_ISDIR(folder.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("program \"%s\" does not exist", check->program),
				 errdetail("\"%s\" is not a folder.", path),
				 hint(check)));
	if (!is_trusted(&folder) ||
		((folder.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (folder.st_mode & S_ISVTX) == 0))
		report_untrusted(check, "Folder", path, &folder);
}

static void
check_file(const ProgramCheck *check, const char *path, const struct stat *file)
{
	if (!S_ISREG(file->st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 S_ISDIR(file->st_mode) ? errmsg("program \"%s\" is a folder", check->program) :
				 errmsg("program \"%s\" is not a regular file", check->program),
				 hint(check)));
	if (!is_trusted(file) || (file->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		report_untrusted(check, "File", path, file);
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("program \"%s\" cannot be executed: %m", check->program),
				 hint(check)));
}

/*
 * What a symbolic link leads to, before what is left of the path.
 */
static char *
follow(const ProgramCheck *check, const char *path, const struct stat *link, const char *rest)
{
	char		target[MAXPGPATH];
	ssize_t		length;

	if (!is_trusted(link))
		report_untrusted(check, "Symbolic link", path, link);
	length = readlink(path, target, sizeof(target) - 1);
	if (length == sizeof(target) - 1)
	{
		length = -1;
		errno = ENAMETOOLONG;
	}
	if (length < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read symbolic link \"%s\": %m", path),
				 hint(check)));
	target[length] = '\0';
	return psprintf("%s/%s", target, rest);
}

/*
 * Raise an error unless the program may and can be run.  setting: the one that
 * names it, or NULL.
 */
void
process_check_program(const char *path, const char *setting)
{
	ProgramCheck check = {path, setting};
	StringInfoData at;			/* where we are; no links and dots in it */
	const char *rest = path;
	struct stat file;
	int			links = 0;

	if (path[0] != '/')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("program \"%s\" is not named by an absolute path", path),
				 hint(&check)));
	initStringInfo(&at);
	file.st_mode = S_IFDIR;
	for (rest += strspn(rest, "/"); *rest != '\0'; rest += strspn(rest, "/"))
	{
		size_t		length = strcspn(rest, "/");
		int			parent = at.len;

		check_folder(&check, at.len == 0 ? "/" : at.data);
		if (length == 2 && strncmp(rest, "..", length) == 0)
		{
			while (at.len > 0 && at.data[--at.len] != '/')
				;
			at.data[at.len] = '\0';
		}
		else if (length != 1 || rest[0] != '.')
		{
			appendStringInfoChar(&at, '/');
			appendBinaryStringInfo(&at, rest, length);
		}
		rest += length;
		if (lstat(at.len == 0 ? "/" : at.data, &file) < 0)
			report_missing(&check, at.data);
		if (S_ISLNK(file.st_mode))
		{
			if (++links > MAX_LINKS)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_FILE),
						 errmsg("program \"%s\" does not exist", path),
						 errdetail("Its symbolic links lead in a circle."),
						 hint(&check)));
			rest = follow(&check, at.data, &file, rest);
			at.len = *rest == '/' ? 0 : parent;
			at.data[at.len] = '\0';
		}
	}
	check_file(&check, at.len == 0 ? "/" : at.data, &file);
}

/*
 * A program of this server, such as pg_verifybackup: the absolute path.
 */
char	   *
process_server_program(const char *name)
{
	char	   *folder = pstrdup(my_exec_path);

	get_parent_directory(folder);
	return psprintf("%s/%s", folder, name);
}
