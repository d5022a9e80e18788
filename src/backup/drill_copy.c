/*-------------------------------------------------------------------------
 *
 * drill_copy.c
 *	  Restoring a base backup in plain format, and chains of incremental ones.
 *
 * A copy of a data directory keeps its links, and a server started on it would
 * write where they lead: into the backup's tablespaces, or those of the primary.
 * So what a link in pg_tblspc leads to is copied, too, below the drill's folder,
 * and the link is made anew; pg_wal becomes a folder.  Any other link is
 * refused, and any that leads out of maintsched.backup_roots: all is opened
 * folder by folder (verify_place.c).
 *
 * A chain of incremental backups is for pg_combinebackup, which reads plain ones:
 * those in tar format are unpacked below the drill's folder first (drill_tar.c),
 * and these parts are removed as soon as they are combined.
 *
 * Runs in the backend that drills.  A cancel request is taken between blocks,
 * after everything was closed.
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
#include "storage/fd.h"
#include "utils/timestamp.h"

#include "backup/catalogue.h"
#include "backup/drill.h"

#define BLOCK		(1024 * 1024)
#define MAX_DEPTH	50

typedef struct Copy
{
	Drill	   *drill;
	VerifyRoots roots;
	char	   *block;
	uint64		files;
	uint64		bytes;
	int			tablespaces;
	/* why it stopped */
	bool		stop;			/* an interrupt, or the time is up */
	int			error;
	const char *problem;
	char		path[2 * MANIFEST_MAX_PATH];
} Copy;

static bool copy_folder(Copy *copy, int root, const char *below, const char *path, const char *to, int depth);

static bool
fail(Copy *copy, int error, const char *problem, const char *path)
{
	if (copy->error == 0 && copy->problem == NULL)
	{
		copy->error = error;
		copy->problem = problem;
		strlcpy(copy->path, path, sizeof(copy->path));
	}
	return false;
}

/*
 * Is there a reason to stop?
 */
static bool
must_stop(Copy *copy)
{
	if (InterruptPending || GetCurrentTimestamp() >= copy->drill->deadline)
		copy->stop = true;
	return copy->stop;
}

/*
 * Copy what is in one open file to another.
 */
static bool
copy_blocks(Copy *copy, int from, int to, const char *path)
{
	for (;;)
	{
		ssize_t		got = read(from, copy->block, BLOCK);
		ssize_t		done = 0;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(copy, errno, "could not read", path);
		if (got == 0)
			return true;
		while (done < got)
		{
			ssize_t		written = write(to, copy->block + done, got - done);

			if (written < 0 && errno == EINTR)
				continue;
			if (written <= 0)
				return fail(copy, written < 0 ? errno : ENOSPC, "could not write the copy of", path);
			done += written;
		}
		copy->bytes += got;
		if (must_stop(copy))
			return false;
	}
}

static bool
copy_file(Copy *copy, int folder, const char *name, const char *path, const char *to)
{
	int			from = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int			target;
	bool		copied;

	if (from < 0)
		return fail(copy, errno, "could not open", path);
	target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (target < 0)
	{
		int			error = errno;

		(void) close(from);
		return fail(copy, error, "could not create the copy of", path);
	}
	copied = copy_blocks(copy, from, target, path);
	(void) close(from);
	if (close(target) != 0 && copied)
		copied = fail(copy, errno, "could not write the copy of", path);
	copy->files += copied;
	return copied;
}

/*
 * A link: path is where it is in the data directory, real its whole path.
 */
static bool
copy_link(Copy *copy, const char *path, const char *real, const char *to)
{
	const char *name = strncmp(path, "pg_tblspc/", 10) == 0 ? path + 10 : NULL;
	char		below[MANIFEST_MAX_PATH + 1];
	char		target[2 * MAXPGPATH];
	struct stat st;
	int			root;

	if (strcmp(path, "pg_wal") != 0 && (name == NULL || strchr(name, '/') != NULL))
		return fail(copy, 0, "is a symbolic link, where a backup has none", path);
	switch (verify_resolve(&copy->roots, real, &root, below, &st))
	{
		case VERIFY_OUTSIDE:
			return fail(copy, 0, "leads out of maintsched.backup_roots", path);
		case VERIFY_ERROR:
			return fail(copy, errno, "could not follow", path);
		case VERIFY_FOUND:
			break;
	}
	if (!S_ISDIR(st.st_mode))
		return fail(copy, 0, "leads to what is no folder", path);
	if (name == NULL)
		return copy_folder(copy, root, below, path, to, 1);

	snprintf(target, sizeof(target), "%s/%s", copy->drill->tablespaces, name);
	if (symlink(target, to) != 0)
		return fail(copy, errno, "could not make anew", path);
	copy->tablespaces++;
	return copy_folder(copy, root, below, path, target, 1);
}

/*
 * Copy one thing in an open folder.
 */
static bool
copy_entry(Copy *copy, int folder, const char *name, int root, const char *below, const char *path, const char *to, int depth)
{
	char		inner_below[MANIFEST_MAX_PATH + 1];
	char		inner_path[MANIFEST_MAX_PATH + 1];
	char		inner_to[2 * MAXPGPATH];
	char		real[2 * MANIFEST_MAX_PATH];
	struct stat st;

	if (snprintf(inner_below, sizeof(inner_below), "%s%s%s", below, below[0] != '\0' ? "/" : "", name) >= sizeof(inner_below) ||
		snprintf(inner_path, sizeof(inner_path), "%s%s%s", path, path[0] != '\0' ? "/" : "", name) >= sizeof(inner_path) ||
		snprintf(inner_to, sizeof(inner_to), "%s/%s", to, name) >= sizeof(inner_to) ||
		snprintf(real, sizeof(real), "%s/%s", copy->roots.paths[root], inner_below) >= sizeof(real))
		return fail(copy, ENAMETOOLONG, "could not copy", path);
	/* of a server that ran on it */
	if (depth == 0 && (strcmp(name, "postmaster.pid") == 0 || strcmp(name, "postmaster.opts") == 0))
		return true;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return fail(copy, errno, "could not look at", inner_path);
	if (S_ISLNK(st.st_mode))
		return copy_link(copy, inner_path, real, inner_to);
	if (S_ISDIR(st.st_mode))
		return copy_folder(copy, root, inner_below, inner_path, inner_to, depth + 1);
	if (S_ISREG(st.st_mode))
		return copy_file(copy, folder, name, inner_path, inner_to);
	/* sockets, pipes and devices are part of no backup */
	return true;
}

static bool
copy_folder(Copy *copy, int root, const char *below, const char *path, const char *to, int depth)
{
	int			fd;
	DIR		   *folder;
	struct dirent *entry;
	bool		going = true;

	if (must_stop(copy))
		return false;
	if (depth > MAX_DEPTH)
		return fail(copy, ELOOP, "could not copy", path);
	if (mkdir(to, 0700) != 0)
		return fail(copy, errno, "could not create the copy of", path);
	fd = verify_open_directory(copy->roots.paths[root], below);
	folder = fd < 0 ? NULL : fdopendir(fd);
	if (folder == NULL)
	{
		int			error = errno;

		if (fd >= 0)
			(void) close(fd);
		return fail(copy, error, "could not open", path[0] != '\0' ? path : below);
	}
	while (going && (errno = 0, entry = readdir(folder)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			going = copy_entry(copy, fd, entry->d_name, root, below, path, to, depth);
	if (going && errno != 0)
		going = fail(copy, errno, "could not read", path);
	(void) closedir(folder);
	return going;
}

/*
 * Copy a folder of backups to one of the drill's.
 */
static void
copy_backup(Copy *copy, const char *from, const char *to)
{
	char		below[MANIFEST_MAX_PATH + 1];
	struct stat st;
	int			root;
	VerifyFound found = VERIFY_OUTSIDE;

	if (verify_is_below(&copy->roots, from))
		found = verify_resolve(&copy->roots, from, &root, below, &st);
	if (found == VERIFY_OUTSIDE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("folder \"%s\" is not below maintsched.backup_roots", from)));
	if (found == VERIFY_FOUND && !S_ISDIR(st.st_mode))
	{
		errno = ENOTDIR;
		found = VERIFY_ERROR;
	}
	if (found == VERIFY_ERROR)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open folder \"%s\": %m", from)));
	if (copy_folder(copy, root, below, "", to, 0))
		return;
	if (copy->stop)
	{
		drill_check_time(copy->drill);
		return;
	}
	if (copy->error == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" of the backup %s", copy->path, copy->problem)));
	errno = copy->error;
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("%s \"%s\" of the backup: %m", copy->problem, copy->path)));
}

static void
begin_copy(Copy *copy, Drill *drill)
{
	memset(copy, 0, sizeof(*copy));
	copy->drill = drill;
	backup_roots_get(&copy->roots);
	copy->block = palloc(BLOCK);
}

static void
say_copied(Drill *drill, Copy *copy)
{
	drill_fact_number(drill, "files", UINT64_FORMAT, copy->files);
	drill_fact_number(drill, "bytes", UINT64_FORMAT, copy->bytes);
	drill_fact_number(drill, "tablespaces", "%d", copy->tablespaces);
	drill_say(drill, "pass", UINT64_FORMAT " files, " UINT64_FORMAT " MB%s", copy->files, copy->bytes >> 20,
			  copy->tablespaces > 0 ? psprintf(", with %d tablespaces", copy->tablespaces) : "");
}

/*
 * A backup in plain format.
 */
void
drill_copy_backup(Drill *drill)
{
	Copy		copy;

	begin_copy(&copy, drill);
	copy_backup(&copy, drill->path, drill->data);
	say_copied(drill, &copy);
}

/*
 * Where a folder of backups really is, below which root.
 */
static char *
real_folder(Copy *copy, const char *path)
{
	char		below[MANIFEST_MAX_PATH + 1];
	struct stat st;
	int			root;
	VerifyFound found = VERIFY_OUTSIDE;

	if (verify_is_below(&copy->roots, path))
		found = verify_resolve(&copy->roots, path, &root, below, &st);
	if (found == VERIFY_OUTSIDE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" leads out of maintsched.backup_roots", path)));
	if (found == VERIFY_ERROR)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open folder \"%s\": %m", path)));
	return psprintf("%s/%s", copy->roots.paths[root], below);
}

/*
 * The tablespaces of a backup, none of which may lead out of where it lies; those
 * of the last one are mapped, by where its links lead.
 */
static void
map_tablespaces(Copy *copy, const char *backup, bool is_part, List **arguments)
{
	char	   *path = psprintf("%s/pg_tblspc", backup);
	DIR		   *folder = AllocateDir(path);
	struct dirent *entry;

	while ((entry = ReadDir(folder, path)) != NULL)
	{
		char	   *link = psprintf("%s/%s", path, entry->d_name);
		char		target[MAXPGPATH];
		ssize_t		length = readlink(link, target, sizeof(target) - 1);
		StringInfoData mapping;

		if (length < 0)
			continue;
		target[length] = '\0';
		/* the links of a part were made here */
		if (!is_part)
			(void) real_folder(copy, link);
		if (arguments == NULL)
			continue;
		initStringInfo(&mapping);
		for (const char *at = target; *at != '\0'; at++)
		{
			if (*at == '=')
				appendStringInfoChar(&mapping, '\\');
			appendStringInfoChar(&mapping, *at);
		}
		appendStringInfo(&mapping, "=%s/%s", copy->drill->tablespaces, entry->d_name);
		*arguments = lappend(lappend(*arguments, "-T"), mapping.data);
		copy->tablespaces++;
	}
	FreeDir(folder);
}

/*
 * Backups of a chain, the full one first and the one that is meant last, as the
 * arguments of pg_combinebackup, which takes plain ones: of those in tar format a
 * plain copy is made, as a part.  How many parts there are.
 */
static int
lay_out_chain(Copy *copy, List **arguments)
{
	Drill	   *drill = copy->drill;
	List	   *chain = lappend(list_copy(drill->chain), drill->path);
	List	   *backups = NIL;
	ListCell   *cell;
	int			parts = 0;

	foreach(cell, chain)
	{
		char	   *backup = lfirst(cell);
		bool		last = backup == drill->path;
		bool		is_part = drill_is_tar(backup);

		if (is_part && parts++ == 0)
			drill_make_folder(psprintf("%s/" DRILL_PARTS, drill->scratch));
		backup = is_part ? drill_extract_part(drill, backup, parts, last) : real_folder(copy, backup);
		map_tablespaces(copy, backup, is_part, last ? arguments : NULL);
		backups = lappend(backups, backup);
	}
	*arguments = list_concat(*arguments, backups);
	return parts;
}

/*
 * What pg_combinebackup makes of a chain.
 */
void
drill_combine_backups(Drill *drill)
{
	Copy		copy;
	ProcessSpec spec = {0};
	ProcessResult result;
	int			parts;

	begin_copy(&copy, drill);
	spec.program = process_server_program("pg_combinebackup");
	spec.arguments = list_make3("--no-sync", "-o", drill->data);
	parts = lay_out_chain(&copy, &spec.arguments);
	spec.output_limit = spec.error_limit = 65536;
	spec.timeout_ms = drill_time_left(drill, 0);
	drill_run(drill, &spec, "pg_combinebackup", &result);
	if (parts > 0 && !drill_remove_tree(drill->scratch, DRILL_PARTS))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not remove folder \"%s/" DRILL_PARTS "\": %m", drill->scratch)));
	drill_fact_number(drill, "backups", "%d", list_length(drill->chain) + 1);
	drill_fact_number(drill, "unpacked", "%d", parts);
	drill_say(drill, "pass", "pg_combinebackup made it of %d backups%s in %.1f s", list_length(drill->chain) + 1,
			  parts > 0 ? psprintf(" (%d of them unpacked before)", parts) : "", result.seconds);
}
