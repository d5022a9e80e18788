/*-------------------------------------------------------------------------
 *
 * drill_place.c
 *	  maintsched.drill_root, and the folders of drills below it.
 *
 * The root is one folder, which only the server's configuration file names.  It
 * belongs to the server's user alone, and is neither in the data directory nor
 * in a backup.  Each drill makes a folder of its own there,
 * and in it a file that it keeps locked (flock) as long as it lives: the kernel
 * gives the lock up with the process, however that ends.  A folder whose file
 * nobody has locked is left over.  Whoever then gets the lock removes it, after
 * core/process.c has ended what may still run in it.
 *
 * A tree is removed folder by folder, each opened relative to the one before
 * and never through a link: what a link leads to is not touched.
 *
 * Runs in the backend that drills, and in the launcher.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "backup/drill.h"

#define PREFIX		"drill-"
#define LOCK_FILE	"drill.lock"

/* what a socket's name needs below its folder */
#define SOCKET_NAME "/.s.PGSQL.5432.lock"

/* the folders of a backup are not so deep */
#define MAX_DEPTH	200

static char *drill_root = NULL;
static int	timeout_ms;

PG_FUNCTION_INFO_V1(maintsched_remove_dead_drills);
PG_FUNCTION_INFO_V1(maintsched_drill_folder_exists);

static bool
check_root(char **newval, void **extra, GucSource source)
{
	const char *path = *newval;

	if (path[0] == '\0')
		return true;
	if (path[0] != '/' || path[1] == '\0' || strstr(path, "/../") != NULL || strpbrk(path, "\n\r") != NULL ||
		(strlen(path) > 3 && strcmp(path + strlen(path) - 3, "/..") == 0) || strlen(path) > MAXPGPATH / 2)
	{
		GUC_check_errdetail("\"%s\" is not the absolute path of a folder.", path);
		return false;
	}
	return true;
}

void
drill_define_settings(void)
{
	DefineCustomStringVariable("maintsched.drill_root",
							   "Folder below which restore drills restore backups.",
							   "An absolute path; none: there are no drills. It belongs to the server's user, with mode 0700. Set in the configuration file alone.",
							   &drill_root,
							   "",
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY | GUC_DISALLOW_IN_AUTO_FILE,
							   check_root, NULL, NULL);
	DefineCustomIntVariable("maintsched.drill_timeout",
							"How long a restore drill may take.",
							"It is ended then, and has failed.",
							&timeout_ms,
							12 * 3600 * 1000,
							1000,
							INT_MAX,
							PGC_SUSET,
							GUC_UNIT_MS,
							NULL, NULL, NULL);
}

int
drill_timeout_ms(void)
{
	return timeout_ms;
}

/*
 * Is a folder another one, or below it?  Both without links.
 */
static bool
is_within(const char *path, const char *folder)
{
	size_t		length = strlen(folder);

	while (length > 0 && folder[length - 1] == '/')
		length--;
	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

compat_noreturn static void
refuse_root(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("no backup can be restored in folder \"%s\"", drill_root),
			 errdetail("%s", why),
			 errhint("maintsched.drill_root names it. It must be a folder of the server's user, with mode 0700, apart from data and backups.")));
}

/* what lies in a data directory or a backup */
static const char *const marks[] = {"PG_VERSION", "backup_manifest", "backup_label", "backup.manifest", "backup.info"};

/*
 * Neither in the data directory, nor in a tablespace, nor in a backup.
 */
static void
check_apart(const char *real)
{
	char	   *above = pstrdup(real);
	char		path[PATH_MAX];
	DIR		   *folder;
	struct dirent *entry;

	if (realpath(DataDir, path) != NULL && is_within(real, path))
		refuse_root("It is in the data directory.");
	folder = AllocateDir("pg_tblspc");
	while ((entry = ReadDirExtended(folder, "pg_tblspc", LOG)) != NULL)
	{
		char		link[MAXPGPATH];

		snprintf(link, sizeof(link), "pg_tblspc/%s", entry->d_name);
		if (entry->d_name[0] != '.' && realpath(link, path) != NULL && is_within(real, path))
			refuse_root("It is in a tablespace.");
	}
	if (folder != NULL)
		FreeDir(folder);

	for (; above[0] == '/' && above[1] != '\0'; get_parent_directory(above))
		for (int i = 0; i < lengthof(marks); i++)
			if (access(psprintf("%s/%s", above, marks[i]), F_OK) == 0)
				refuse_root(psprintf("\"%s\" is a data directory or a backup.", above));
}

/*
 * The root, without links, or an error.
 */
char	   *
drill_check_root(void)
{
	char		real[PATH_MAX];
	struct stat st;

	if (drill_root[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no place to restore a backup: maintsched.drill_root is empty"),
				 errhint("Name a folder of the server's user in postgresql.conf, such as maintsched.drill_root = '/srv/drill', and reload.")));
	if (realpath(drill_root, real) == NULL || stat(real, &st) != 0)
		refuse_root(psprintf("It cannot be opened: %s.", strerror(errno)));
	if (!S_ISDIR(st.st_mode))
		refuse_root("It is not a folder.");
	if (st.st_uid != geteuid())
		refuse_root("It belongs to another user.");
	if ((st.st_mode & 077) != 0)
		refuse_root(psprintf("Others may enter it (mode %04o).", (unsigned int) (st.st_mode & 07777)));
	if (access(real, W_OK | X_OK) != 0)
		refuse_root(psprintf("It cannot be written to: %s.", strerror(errno)));
	check_apart(real);
	return pstrdup(real);
}

/*
 * How much room there is; false and errno.
 */
bool
drill_free_bytes(const char *folder, uint64 *bytes)
{
	struct statvfs system;

	if (statvfs(folder, &system) != 0)
		return false;
	/* what is kept for root is not for us */
	*bytes = (uint64) system.f_bavail * system.f_frsize;
	return true;
}

void
drill_make_folder(const char *path)
{
	if (mkdir(path, 0700) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create folder \"%s\": %m", path)));
}

/*
 * Make the folder of a drill, and lock it.
 */
void
drill_make_scratch(Drill *drill)
{
	char	   *lock = psprintf("%s/%s", drill->scratch, LOCK_FILE);
	char	   *text;
	int			fd;

	drill_make_folder(drill->scratch);
	drill->made = true;
	fd = open(lock, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
	{
		int			saved = errno;

		if (fd >= 0)
			(void) close(fd);
		errno = saved;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not lock file \"%s\": %m", lock)));
	}
	drill->lock = fd;
	text = psprintf("restore drill " INT64_FORMAT " of server " UINT64_FORMAT ", process %d\n", drill->id, GetSystemIdentifier(), MyProcPid);

	errno = ENOSPC;
	if (write(fd, text, strlen(text)) != strlen(text))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", lock)));
	drill_make_folder(drill->tablespaces);
}

/*
 * Make a folder for the socket; the name of a socket may not be long.
 */
char	   *
drill_make_socket_folder(Drill *drill)
{
	struct sockaddr_un address;
	char		folder[] = "/tmp/maintsched-XXXXXX";
	char	   *below = psprintf("%s/s", drill->scratch);
	char	   *note;

	if (strlen(below) + strlen(SOCKET_NAME) < sizeof(address.sun_path))
	{
		drill_make_folder(below);
		return below;
	}
	if (mkdtemp(folder) == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create folder \"%s\": %m", folder)));
	/* whoever removes the scratch folder later removes that, too */
	note = psprintf("socket %s\n", folder);
	if (write(drill->lock, note, strlen(note)) != strlen(note))
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not note folder \"%s\": %m", folder)));
	return pstrdup(folder);
}

/*
 * Remove all that is in an open folder, and close it; false and errno.
 */
static bool
empty_folder(int fd, int depth)
{
	DIR		   *folder = depth < MAX_DEPTH ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int			error = 0;

	if (folder == NULL)
	{
		error = depth < MAX_DEPTH ? errno : ELOOP;
		(void) close(fd);
		errno = error;
		return false;
	}
	while ((errno = 0, entry = readdir(folder)) != NULL)
	{
		const char *name = entry->d_name;
		int			inner;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM)
		{
			error = errno;
			continue;
		}
		inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (inner < 0 && errno == EACCES && fchmodat(fd, name, 0700, 0) == 0)
			inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (inner >= 0 && fchmod(inner, 0700) == 0 && !empty_folder(inner, depth + 1))
			error = errno;
		if ((inner < 0 || unlinkat(fd, name, AT_REMOVEDIR) != 0) && errno != ENOENT)
			error = error != 0 ? error : errno;
	}
	if (errno != 0)
		error = errno;
	(void) closedir(folder);
	errno = error;
	return error == 0;
}

/*
 * Remove a folder below another one; true: it is gone.
 */
bool
drill_remove_tree(const char *parent, const char *name)
{
	int			above = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int			fd;
	int			error = 0;
	struct stat st;

	if (above < 0)
		return false;
	fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && !empty_folder(fd, 0))
		error = errno;
	if (unlinkat(above, name, fd >= 0 ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT)
		error = error != 0 ? error : errno;
	if (fstatat(above, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		error = error != 0 ? error : EBUSY;
	(void) close(above);
	errno = error;
	return error == 0;
}

/*
 * Remove what a drill has made; true: it is gone.
 */
bool
drill_remove_scratch(Drill *drill)
{
	bool		removed = true;

	if (drill->socket != NULL && !is_within(drill->socket, drill->scratch))
		removed = drill_remove_tree("/tmp", drill->socket + strlen("/tmp/"));
	if (drill->made)
		removed = drill_remove_tree(drill->root, drill->scratch + strlen(drill->root) + 1) && removed;
	return removed;
}

/*
 * A folder for a socket in /tmp that a dead drill had noted.
 */
static void
remove_noted_socket(int lock)
{
	char text[	1024];
	ssize_t		length = pread(lock, text, sizeof(text) - 1, 0);
	char	   *at;

	text[		Max(length, 0)] = '\0';

	at = strstr(text, "\nsocket /tmp/maintsched-");
	if (at == NULL)
		return;
	at += strlen("\nsocket /tmp/");
	at[strcspn(at, "\n")] = '\0';
	if (strchr(at, '/') == NULL && !drill_remove_tree("/tmp", at))
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not remove folder \"/tmp/%s\": %m", at)));
}

/*
 * Remove a folder, if nobody holds its lock; one that has none is removed when
 * it is empty: its drill has just begun, or never did.
 */
static bool
remove_if_dead(const char *root, const char *name)
{
	char		path[MAXPGPATH];
	int			lock;
	bool		removed;

	snprintf(path, sizeof(path), "%s/%s/%s", root, name, LOCK_FILE);
	lock = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (lock < 0)
	{
		snprintf(path, sizeof(path), "%s/%s", root, name);
		return errno == ENOENT && rmdir(path) == 0;
	}
	if (flock(lock, LOCK_EX | LOCK_NB) != 0)
	{
		(void) close(lock);
		return false;
	}
	remove_noted_socket(lock);
	removed = drill_remove_tree(root, name);
	if (!removed)
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not remove folder \"%s/%s\", which a restore drill left behind: %m", root, name)));
	else
		ereport(LOG,
				(errmsg("removed folder \"%s/%s\", which a restore drill left behind", root, name)));
	(void) close(lock);
	return removed;
}

/*
 * End what dead drills left running, and remove their folders; how many.
 */
int
drill_remove_dead(const char *root)
{
	DIR		   *folder = AllocateDir(root);
	struct dirent *entry;
	int			removed = 0;

	if (folder == NULL)
		return 0;
	(void) process_end_leftovers();
	while ((entry = ReadDirExtended(folder, root, LOG)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
			removed += remove_if_dead(root, entry->d_name);
	}
	FreeDir(folder);
	return removed;
}

/*
 * The same, wherever the setting leads now; where there is none, there is
 * nothing to do.
 */
int
drill_remove_all_dead(void)
{
	char		real[PATH_MAX];

	if (drill_root == NULL || drill_root[0] == '\0' || realpath(drill_root, real) == NULL)
		return 0;
	return drill_remove_dead(real);
}

/*
 * remove_dead_drills() returns integer
 */
Datum
maintsched_remove_dead_drills(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(drill_remove_all_dead());
}

/*
 * drill_folder_exists(scratch text) returns boolean
 */
Datum
maintsched_drill_folder_exists(PG_FUNCTION_ARGS)
{
	char	   *path = text_to_cstring(PG_GETARG_TEXT_PP(0));
	struct stat st;

	PG_RETURN_BOOL(lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR));
}
