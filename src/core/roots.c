/*-------------------------------------------------------------------------
 *
 * roots.c
 *	  Settings that are lists of folders, below which something may be.
 *
 * What archives and backups are read and written is bounded by such a list,
 * which only the server's configuration file sets: absolute paths, separated by
 * commas, without "." and "..".  How what is below them is opened is the matter
 * of whoever opens it (archive_place.c, verify_place.c).
 *
 * Runs in any backend, and in the postmaster when it reads the settings.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/roots.h"
#include "utils/varlena.h"

/*
 * Does a path have a component "." or ".."?  between: what separates them.
 */
bool
roots_have_dots(const char *path, const char *between)
{
	while (*path != '\0')
	{
		size_t		length = strcspn(path, between);

		if ((length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.'))
			return true;
		path += length;
		path += strspn(path, between);
	}
	return false;
}

/*
 * The roots, as a list of char *; NIL where the words are no list.
 */
List	   *
roots_split(const char *words)
{
	List	   *roots = NIL;

	if (!SplitDirectoriesString(pstrdup(words), ',', &roots))
		return NIL;
	return roots;
}

/*
 * The check hook of such a setting.
 */
bool
roots_check(char **newval, void **extra, GucSource source)
{
	ListCell   *cell;
	List	   *roots;

	if (**newval == '\0')
		return true;
	if (roots_have_dots(*newval, "/,\""))
	{
		GUC_check_errdetail("\".\" and \"..\" are not taken.");
		return false;
	}
	roots = roots_split(*newval);
	if (roots == NIL)
	{
		GUC_check_errdetail("List syntax is invalid.");
		return false;
	}
	foreach(cell, roots)
	{
		const char *root = lfirst(cell);

		if (root[0] != '/' || root[1] == '\0')
		{
			GUC_check_errdetail("\"%s\" is not the absolute path of a folder.", root);
			return false;
		}
	}
	return true;
}

/*
 * The part of directory below root; NULL: it is not there.
 */
const char *
roots_below(const char *root, const char *directory)
{
	size_t		length = strlen(root);

	if (strncmp(root, directory, length) != 0 ||
		(directory[length] != '/' && directory[length] != '\0'))
		return NULL;
	return directory + length + strspn(directory + length, "/");
}
