/*-------------------------------------------------------------------------
 *
 * verify_place.c
 *	  Folders and files below the roots that a verification may read.
 *
 * A backup is data of others: a link in it may lead to any file that the
 * server's user can read.  So nothing is opened by a whole path.  The path to a
 * root is the administrator's and is taken as written; below it each component
 * is opened relative to the one before, and none that is a symbolic link.
 *
 * Links are followed all the same, for the tablespaces of a backup are links:
 * verify_resolve() reads them, walks to where they lead, and says which folder
 * below which root that is, by a path that has no links.  What leads out of all
 * roots is refused.  Between that and opening it, somebody could put a link in
 * the way; then the opening fails.
 *
 * Opens files for reading only, and never waits for a pipe or a device.  Raises
 * no errors; errno says why not.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "backup/verify.h"

/* as many links as the kernel follows in one path */
#define MAX_LINKS 40

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define FILE_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static int
close_keeping_errno(int fd)
{
	int			saved = errno;

	(void) close(fd);
	errno = saved;
	return -1;
}

/*
 * Open a folder below a root; -1 and errno.  below has no "." and "..".
 */
int
verify_open_directory(const char *root, const char *below)
{
	int			fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0 && *below != '\0')
	{
		size_t		length = strcspn(below, "/");
		char		name[NAME_MAX + 1];
		int			next = -1;

		errno = ENAMETOOLONG;
		if (length <= NAME_MAX)
		{
			memcpy(name, below, length);
			name[length] = '\0';
			next = openat(fd, name, FOLDER_FLAGS);
		}
		(void) close_keeping_errno(fd);
		fd = next;
		below += length;
		below += strspn(below, "/");
	}
	return fd;
}

void
verify_opener_init(VerifyOpener *opener)
{
	opener->fd = -1;
}

void
verify_opener_close(VerifyOpener *opener)
{
	if (opener->fd >= 0)
		(void) close_keeping_errno(opener->fd);
	opener->fd = -1;
}

/*
 * Open a regular file below a root; -1 and errno.  The folder stays open: the
 * next file is likely to be in it.
 */
int
verify_open_file(VerifyOpener *opener, const VerifyRoots *roots, int root, const char *below)
{
	const char *name = strrchr(below, '/');
	size_t		length = name == NULL ? 0 : name - below;
	int			fd;
	struct stat st;

	name = name == NULL ? below : name + 1;
	if (length > MANIFEST_MAX_PATH)
	{
		errno = ENAMETOOLONG;
		return -1;
	}
	if (opener->fd < 0 || opener->root != root ||
		strncmp(opener->directory, below, length) != 0 || opener->directory[length] != '\0')
	{
		verify_opener_close(opener);
		memcpy(opener->directory, below, length);
		opener->directory[length] = '\0';
		opener->root = root;
		opener->fd = verify_open_directory(roots->paths[root], opener->directory);
		if (opener->fd < 0)
			return -1;
	}
	fd = openat(opener->fd, name, FILE_FLAGS);
	if (fd >= 0 && fstat(fd, &st) != 0)
		return close_keeping_errno(fd);
	if (fd >= 0 && !S_ISREG(st.st_mode))
	{
		errno = EINVAL;
		return close_keeping_errno(fd);
	}
	return fd;
}

/*
 * The root that a path is below, the nearest one; NULL or what is below it.
 */
static const char *
below_root(const VerifyRoots *roots, const char *path, int *root)
{
	const char *found = NULL;

	for (int i = 0; i < roots->count; i++)
	{
		size_t		length = strlen(roots->paths[i]);

		while (length > 0 && roots->paths[i][length - 1] == '/')
			length--;
		if (strncmp(roots->paths[i], path, length) == 0 && (path[length] == '/' || path[length] == '\0') &&
			(found == NULL || path + length > found))
		{
			found = path + length;
			*root = i;
		}
	}
	return found;
}

/*
 * Is a path, as it is written, below a root?
 */
bool
verify_is_below(const VerifyRoots *roots, const char *path)
{
	int			root;

	return below_root(roots, path, &root) != NULL;
}

/*
 * Put what a link says in place of its name: it is what is still to be walked,
 * before rest.
 */
static VerifyFound
follow(int folder, const char *name, const char *rest, char *todo)
{
	char		target[MANIFEST_MAX_PATH + 1];
	char		whole[MANIFEST_MAX_PATH + 1];
	ssize_t		length = readlinkat(folder, name, target, sizeof(target));

	if (length < 0)
		return VERIFY_ERROR;
	if (length == 0 || length >= sizeof(target))
	{
		errno = ENAMETOOLONG;
		return VERIFY_ERROR;
	}
	target[length] = '\0';
	if (snprintf(whole, sizeof(whole), "%s%s%s", target, *rest != '\0' ? "/" : "", rest) >= sizeof(whole))
	{
		errno = ENAMETOOLONG;
		return VERIFY_ERROR;
	}
	strcpy(todo, whole);
	return VERIFY_FOUND;
}

/*
 * Take one step: the first component of todo, from the folder below the root.
 */
static VerifyFound
step(const VerifyRoots *roots, int root, char *below, char *todo, int *links)
{
	struct stat st;
	char		name[NAME_MAX + 1];
	char		rest[MANIFEST_MAX_PATH + 1];
	size_t		length = strcspn(todo, "/");
	size_t		used = strlen(below);
	VerifyFound found = VERIFY_ERROR;
	int			folder;

	strcpy(rest, todo + length + strspn(todo + length, "/"));
	if (length > NAME_MAX || used + length + 2 > MANIFEST_MAX_PATH)
	{
		errno = ENAMETOOLONG;
		return VERIFY_ERROR;
	}
	memcpy(name, todo, length);
	name[length] = '\0';
	if (strcmp(name, ".") == 0)
	{
		strcpy(todo, rest);
		return VERIFY_FOUND;
	}
	if (strcmp(name, "..") == 0)
	{
		char	   *last = strrchr(below, '/');

		if (used == 0)
			return VERIFY_OUTSIDE;
		*(last == NULL ? below : last) = '\0';
		strcpy(todo, rest);
		return VERIFY_FOUND;
	}
	folder = verify_open_directory(roots->paths[root], below);
	if (folder < 0)
		return VERIFY_ERROR;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
	{
		if (!S_ISLNK(st.st_mode))
		{
			strcpy(todo, rest);
			snprintf(below + used, MANIFEST_MAX_PATH + 1 - used, "%s%s", used > 0 ? "/" : "", name);
			found = VERIFY_FOUND;
		}
		else if (++*links > MAX_LINKS)
			errno = ELOOP;
		else
			found = follow(folder, name, rest, todo);
	}
	(void) close_keeping_errno(folder);
	return found;
}

/*
 * What is at a place that has no links; a link that is there now is one.
 */
static VerifyFound
look_at(const char *root, const char *below, struct stat *st)
{
	const char *name = strrchr(below, '/');
	char		parent[MANIFEST_MAX_PATH + 1];
	int			folder;
	int			result;

	strlcpy(parent, below, name == NULL ? 1 : name - below + 1);
	name = name == NULL ? below : name + 1;
	folder = verify_open_directory(root, parent);
	if (folder < 0)
		return VERIFY_ERROR;
	result = *name == '\0' ? fstat(folder, st) : fstatat(folder, name, st, AT_SYMLINK_NOFOLLOW);
	(void) close_keeping_errno(folder);
	return result == 0 ? VERIFY_FOUND : VERIFY_ERROR;
}

/*
 * Where an absolute path really leads: *root, and the path below it, of
 * MANIFEST_MAX_PATH + 1 bytes, that has no links.  *st: what is there.
 */
VerifyFound
verify_resolve(const VerifyRoots *roots, const char *path, int *root, char *below, struct stat *st)
{
	char		todo[MANIFEST_MAX_PATH + 1];
	int			links = 0;

	if (strlcpy(todo, path, sizeof(todo)) >= sizeof(todo))
	{
		errno = ENAMETOOLONG;
		return VERIFY_ERROR;
	}
	while (todo[0] != '\0')
	{
		VerifyFound found;

		if (todo[0] == '/')
		{
			const char *rest = below_root(roots, todo, root);

			if (rest == NULL)
				return VERIFY_OUTSIDE;
			rest += strspn(rest, "/");
			memmove(todo, rest, strlen(rest) + 1);
			*below = '\0';
			continue;
		}
		found = step(roots, *root, below, todo, &links);
		if (found != VERIFY_FOUND)
			return found;
	}
	return look_at(roots->paths[*root], below, st);
}
