/*-------------------------------------------------------------------------
 *
 * log_cleanup.c
 *	  Removing the server's own old log files, and nothing else.
 *
 * remove_log_file() takes the plain name of a file in log_directory.  It
 * removes it only when the name is one that the logging collector would give
 * (log_filename with the time put in, or what a rotation or compression made
 * of such a name), when it is a regular file there, and when the collector
 * does not write it: not one that current_logfiles names, nor the newest of
 * its kind, which may have been opened a moment ago.
 *
 * Runs in any backend, with the rights of the server's user; therefore only
 * for superusers and members of pg_write_server_files.  The folder is opened
 * once and everything is done relative to it, so that no symbolic link leads
 * elsewhere.  No locks: who comes second finds no file, which is no error.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/syslogger.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(maintsched_log_file_kind);
PG_FUNCTION_INFO_V1(maintsched_log_file_removable);
PG_FUNCTION_INFO_V1(maintsched_remove_log_file);

/* the folder of the server's log files, while they are looked at */
typedef struct LogFolder
{
	DIR		   *dir;
	int			fd;
} LogFolder;

/*
 * Eat low to high characters of a class from *name; false where there are
 * fewer.
 */
static bool
eat(const char **name, const char *class, int low, int high)
{
	int			n = 0;

	while (n < high && **name != '\0' && strchr(class, **name) != NULL)
	{
		(*name)++;
		n++;
	}
	return n >= low;
}

/*
 * Match what strftime() may put in for one conversion at the start of *name.
 * One that is not known here matches nothing: better to leave a file.
 */
static bool
match_conversion(char conversion, const char **name)
{
	static const char digit[] = "0123456789";
	static const char letter[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	switch (conversion)
	{
		case 'Y':
		case 'G':
			return eat(name, digit, 4, 4);
		case 'C':
		case 'd':
		case 'g':
		case 'H':
		case 'I':
		case 'M':
		case 'm':
		case 'S':
		case 'U':
		case 'V':
		case 'W':
		case 'y':
			return eat(name, digit, 2, 2);
		case 'j':
			return eat(name, digit, 3, 3);
		case 'e':
		case 'k':
		case 'l':
			return eat(name, " 123", 1, 1) && eat(name, digit, 1, 1);
		case 'u':
		case 'w':
			return eat(name, digit, 1, 1);
		case 's':
			return eat(name, digit, 8, 12);
		case 'a':
		case 'b':
		case 'h':
			return eat(name, letter, 3, 3);
		case 'A':
		case 'B':
			return eat(name, letter, 3, 9);
		case 'p':
			return eat(name, "AP", 1, 1) && eat(name, "M", 1, 1);
		case 'z':
			return eat(name, "+-", 1, 1) && eat(name, digit, 4, 4);
		case 'Z':
			return eat(name, letter, 1, 5) ||
				(eat(name, "+-", 1, 1) && eat(name, digit, 2, 4));
		case 'F':
			return eat(name, digit, 4, 4) && eat(name, "-", 1, 1) &&
				eat(name, digit, 2, 2) && eat(name, "-", 1, 1) &&
				eat(name, digit, 2, 2);
		case 'T':
			return eat(name, digit, 2, 2) && eat(name, ":", 1, 1) &&
				eat(name, digit, 2, 2) && eat(name, ":", 1, 1) &&
				eat(name, digit, 2, 2);
		case 'R':
			return eat(name, digit, 2, 2) && eat(name, ":", 1, 1) &&
				eat(name, digit, 2, 2);
		case '%':
			return eat(name, "%", 1, 1);
		default:
			return false;
	}
}

/*
 * What may follow the name that the collector gave: a number or a date of a
 * rotation (".2", "-20260131"), then the ending of a compression.
 */
static bool
is_rotated(const char *rest)
{
	static const char *const endings[] = {"", ".gz", ".bz2", ".xz", ".zst", ".lz4"};

	if (rest[0] == '.' && isdigit((unsigned char) rest[1]))
	{
		rest++;
		(void) eat(&rest, "0123456789", 1, 4);
	}
	else if (rest[0] == '-')
	{
		rest++;
		if (!eat(&rest, "0123456789", 8, 8))
			return false;
	}
	for (int i = 0; i < lengthof(endings); i++)
	{
		if (strcmp(rest, endings[i]) == 0)
			return true;
	}
	return false;
}

/*
 * The kind of a log file of this server, by its name: "log", "csv", "json",
 * or NULL for a name that the collector does not give.
 */
static const char *
log_file_kind(const char *name)
{
	static const char *const kinds[] = {"log", "csv", "json"};
	const char *pattern = Log_filename;
	int			length = strlen(pattern);

	/* the collector puts .csv and .json in the place of .log, or at the end */
	if (length > 4 && strcmp(pattern + length - 4, ".log") == 0)
		length -= 4;
	else if (strcmp(pattern, ".log") == 0)
		return NULL;

	if (name[0] == '.' || strchr(name, '/') != NULL)
		return NULL;
	for (int i = 0; i < length; i++)
	{
		if (pattern[i] != '%')
		{
			if (*name++ != pattern[i])
				return NULL;
			continue;
		}
		i++;
		while (i < length && (pattern[i] == 'E' || pattern[i] == 'O'))
			i++;
		if (i >= length || !match_conversion(pattern[i], &name))
			return NULL;
	}
	if (*name++ != '.')
		return NULL;
	for (int i = 0; i < lengthof(kinds); i++)
	{
		int			n = strlen(kinds[i]);

		if (strncmp(name, kinds[i], n) == 0 && is_rotated(name + n))
			return kinds[i];
	}
	return NULL;
}

/*
 * Open log_directory.
 */
static LogFolder
open_folder(void)
{
	LogFolder	folder;

	folder.dir = AllocateDir(Log_directory);
	if (folder.dir == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open the folder of log files \"%s\": %m", Log_directory)));
	folder.fd = dirfd(folder.dir);
	return folder;
}

/*
 * Is this one of the files that current_logfiles names?  By what they are,
 * not by their path: log_directory may have been written in another way.
 */
static bool
is_current(const struct stat *file)
{
	FILE	   *list = AllocateFile(LOG_METAINFO_DATAFILE, "r");
	char		line[MAXPGPATH + 16];
	bool		found = false;

	if (list == NULL)
	{
		if (errno == ENOENT)
			return false;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", LOG_METAINFO_DATAFILE)));
	}
	while (!found && fgets(line, sizeof(line), list) != NULL)
	{
		char	   *path = strchr(line, ' ');
		struct stat current;

		if (path == NULL)
			continue;
		path++;
		path[strcspn(path, "\n")] = '\0';
		found = stat(path, &current) == 0 &&
			current.st_dev == file->st_dev && current.st_ino == file->st_ino;
	}
	FreeFile(list);
	return found;
}

/*
 * Is no file of the same kind newer?
 */
static bool
is_newest(LogFolder *folder, const char *kind, const struct stat *file)
{
	struct dirent *entry;

	while ((entry = ReadDir(folder->dir, Log_directory)) != NULL)
	{
		const char *its_kind = log_file_kind(entry->d_name);
		struct stat other;

		CHECK_FOR_INTERRUPTS();
		if (its_kind != NULL && strcmp(its_kind, kind) == 0 &&
			fstatat(folder->fd, entry->d_name, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(other.st_mode) &&
			other.st_ino != file->st_ino &&
			(other.st_mtim.tv_sec > file->st_mtim.tv_sec ||
			 (other.st_mtim.tv_sec == file->st_mtim.tv_sec &&
			  other.st_mtim.tv_nsec > file->st_mtim.tv_nsec)))
			return false;
	}
	return true;
}

/*
 * log_file_kind(name text) returns text
 */
Datum
maintsched_log_file_kind(PG_FUNCTION_ARGS)
{
	const char *kind = log_file_kind(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (kind == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(kind));
}

/*
 * log_file_removable(name text) returns boolean
 *
 * The plan's view of what remove_log_file() refuses; which file is the newest
 * the plan knows itself.
 */
Datum
maintsched_log_file_removable(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	struct stat file;
	LogFolder	folder;
	bool		removable;

	if (log_file_kind(name) == NULL)
		PG_RETURN_BOOL(false);
	folder = open_folder();
	removable = fstatat(folder.fd, name, &file, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISREG(file.st_mode) && !is_current(&file);
	FreeDir(folder.dir);
	PG_RETURN_BOOL(removable);
}

/*
 * Raise an error unless the name may be removed, by what it looks like.
 * Returns its kind.
 */
static const char *
check_name(const char *name)
{
	const char *kind;

	if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not the plain name of a file", name),
				 errhint("Give the name alone, as pg_ls_logdir() shows it: files are removed only from log_directory.")));
	kind = log_file_kind(name);
	if (kind == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a log file of this server", name),
				 errdetail("Its name does not follow log_filename, which is \"%s\".", Log_filename),
				 errhint("Whatever else lies in log_directory is not removed from here.")));
	return kind;
}

/*
 * remove_log_file(name text) returns boolean
 */
Datum
maintsched_remove_log_file(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *kind;
	LogFolder	folder;
	struct stat file;

	if (!superuser() && !has_privs_of_role(GetUserId(), ROLE_PG_WRITE_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to remove log files"),
				 errhint("Superusers and members of pg_write_server_files may.")));
	if (!Logging_collector)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server has no log files of its own"),
				 errdetail("logging_collector is off: somebody else writes and rotates them.")));
	kind = check_name(name);

	folder = open_folder();
	if (fstatat(folder.fd, name, &file, AT_SYMLINK_NOFOLLOW) != 0)
	{
		if (errno != ENOENT)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not look at log file \"%s\": %m", name)));
		FreeDir(folder.dir);
		ereport(NOTICE,
				(errmsg("log file \"%s\" is not there any more", name)));
		PG_RETURN_BOOL(false);
	}
	if (!S_ISREG(file.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a regular file", name),
				 errhint("A link or a folder is not removed from here.")));
	if (is_current(&file) || is_newest(&folder, kind, &file))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the server writes log file \"%s\", or may do so", name),
				 errdetail("The file that is written and the newest of each format are kept."),
				 errhint("After pg_rotate_logfile() another one is written.")));
	if (unlinkat(folder.fd, name, 0) != 0 && errno != ENOENT)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not remove log file \"%s\": %m", name)));
	FreeDir(folder.dir);
	ereport(LOG,
			(errmsg("maintsched removed log file \"%s\"", name)));
	PG_RETURN_BOOL(true);
}
