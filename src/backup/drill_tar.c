/*-------------------------------------------------------------------------
 *
 * drill_tar.c
 *	  Restoring a base backup in tar format.
 *
 * base.tar becomes the data directory, each OID.tar a tablespace below the
 * drill's folder, pg_wal.tar the WAL; they may be compressed with gzip, lz4 or
 * zstd.  Of a chain of incremental backups those in tar format are unpacked, each
 * into a folder of its own, before pg_combinebackup takes them (drill_copy.c).  No
 * program unpacks them: what is a folder or a file becomes one, by a path that is
 * made of plain names, in folders that were made here and hold no links.  Links
 * in an archive are those of tablespaces and of pg_wal, and are not made: the
 * tablespaces that there are, are.  Each that tablespace_map names must be there.
 *
 * Runs in the backend that drills.  A cancel request is taken between blocks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/catalogue.h"
#include "backup/drill.h"
#include "backup/verify_tar.h"

typedef struct ExtractCount
{
	uint64		files;
	uint64		bytes;
	int			tablespaces;
} ExtractCount;

typedef struct Extract
{
	Drill	   *drill;
	const char *backup;			/* its folder */
	const char *data;			/* where the data directory goes ... */
	const char *tablespaces;	/* ... and where the folders of tablespaces do */
	VerifyRoots roots;
	VerifyStream stream;
	int			out;			/* the file that is written; -1: none */
	ExtractCount count;
} Extract;

compat_noreturn static void
report_broken(Extract *extract, const char *what)
{
	(void) verify_stream_broken(&extract->stream, what);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("archive \"%s\" of the backup cannot be unpacked: %s", extract->stream.name, extract->stream.problem)));
}

/*
 * Where a member goes; an error for a path that is none of a backup.  NULL: the
 * folder itself.
 */
static char *
target_of(Extract *extract, const char *name, const char *folder)
{
	const char *at;
	StringInfoData path;

	initStringInfo(&path);
	appendStringInfoString(&path, folder);
	if (name[0] == '/')
		report_broken(extract, psprintf("\"%s\" is an absolute path", name));
	for (at = name; *at != '\0'; at += strspn(at, "/"))
	{
		size_t		length = strcspn(at, "/");

		if (length == 2 && at[0] == '.' && at[1] == '.')
			report_broken(extract, psprintf("\"%s\" leads out of it", name));
		if (length != 1 || at[0] != '.')
		{
			appendStringInfoChar(&path, '/');
			appendBinaryStringInfo(&path, at, length);
		}
		at += length;
	}
	return path.len == strlen(folder) ? NULL : path.data;
}

static void
write_out(Extract *extract, const char *path, const char *data, size_t length)
{
	for (size_t done = 0; done < length;)
	{
		ssize_t		written = write(extract->out, data + done, length - done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written == 0)
			errno = ENOSPC;
		if (written <= 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write file \"%s\": %m", path)));
		done += written;
	}
}

/*
 * Read the contents of a member; those of a file are written.
 */
static void
read_contents(Extract *extract, uint64 size, const char *path)
{
	uint64		left = size + TAR_PADDING(size);
	uint64		wanted = size;

	while (left > 0)
	{
		size_t		got;
		const char *data = verify_stream_some(&extract->stream, Min(left, VERIFY_BLOCK), &got);
		size_t		part;

		if (data == NULL)
			report_broken(extract, "it is cut off");
		part = (size_t) Min(wanted, got);
		if (extract->out >= 0)
			write_out(extract, path, data, part);
		wanted -= part;
		left -= got;
		drill_check_time(extract->drill);
	}
}

static void
create_file(Extract *extract, const char *path)
{
	extract->out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (extract->out < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", path)));
}

static void
close_file(Extract *extract, const char *path)
{
	int			fd = extract->out;

	extract->out = -1;
	if (close(fd) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", path)));
}

static void
extract_file(Extract *extract, const char *path, uint64 size)
{
	create_file(extract, path);
	read_contents(extract, size, path);
	close_file(extract, path);
	extract->count.files++;
	extract->count.bytes += size;
}

static void
extract_members(Extract *extract, const char *folder)
{
	TarMember	member;

	while (tar_next(&extract->stream, &member) == TAR_MEMBER)
	{
		char	   *path = target_of(extract, member.name, folder);

		drill_check_time(extract->drill);
		if (path != NULL && TAR_IS_FILE(&member))
		{
			extract_file(extract, path, member.size);
			continue;
		}
		if (path != NULL && TAR_IS_FOLDER(&member) && mkdir(path, 0700) != 0 && errno != EEXIST)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not create folder \"%s\": %m", path)));
		if (!TAR_IS_FILE(&member) && !TAR_IS_FOLDER(&member) && !TAR_IS_LINK(&member))
			report_broken(extract, psprintf("\"%s\" is neither a file nor a folder nor a symbolic link", member.name));
		read_contents(extract, member.size, "");
	}
	if (extract->stream.problem != NULL)
		report_broken(extract, extract->stream.problem);
}

/*
 * Open a file of the backup as a stream.
 */
static void
open_stream(Extract *extract, const char *name)
{
	char	   *path = psprintf("%s/%s", extract->backup, name);
	const char *lacking = unpack_lacks(unpack_format_of(name));
	char		below[MANIFEST_MAX_PATH + 1];
	int			root;
	struct stat st;
	VerifyFound found;

	if (lacking != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("archive \"%s\" of the backup cannot be unpacked: %s is not on this machine", name, lacking)));
	found = verify_resolve(&extract->roots, path, &root, below, &st);
	if (found == VERIFY_OUTSIDE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" of the backup leads out of maintsched.backup_roots", name)));
	if (found == VERIFY_ERROR || !verify_stream_open(&extract->stream, &extract->roots, root, below, name))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open \"%s\" of the backup: %m", name)));
}

static void
extract_archive(Extract *extract, const char *name, const char *folder)
{
	open_stream(extract, name);
	extract_members(extract, folder);
	verify_stream_close(&extract->stream);
}

/*
 * The manifest of a backup, which is beside its archives.
 */
static void
copy_manifest(Extract *extract)
{
	char	   *path = psprintf("%s/backup_manifest", extract->data);
	const char *data;
	size_t		got;

	open_stream(extract, "backup_manifest");
	create_file(extract, path);
	while ((data = verify_stream_some(&extract->stream, VERIFY_BLOCK, &got)) != NULL)
		write_out(extract, path, data, got);
	if (extract->stream.problem != NULL)
		report_broken(extract, extract->stream.problem);
	close_file(extract, path);
	verify_stream_close(&extract->stream);
}

/*
 * The names of the archives of a backup: the data directory's is first, that of
 * WAL last, since the folder is in the former.
 */
static List *
find_archives(const VerifyRoots *roots, const char *backup)
{
	char		below[MANIFEST_MAX_PATH + 1];
	struct stat st;
	int			root;
	List	   *items = NIL;
	ListCell   *cell;
	List	   *names = NIL;
	char	   *wal = NULL;

	if (!verify_is_below(roots, backup) || verify_resolve(roots, backup, &root, below, &st) != VERIFY_FOUND ||
		!folder_list(roots, root, below, &items))
		return NIL;
	foreach(cell, items)
	{
		char	   *name = ((FolderItem *) lfirst(cell))->name;

		if (tar_suffix(name, "base") != NULL)
			names = lcons(name, names);
		else if (tar_is_tablespace(name))
			names = lappend(names, name);
		else if (tar_suffix(name, "pg_wal") != NULL)
			wal = name;
	}
	return wal == NULL ? names : lappend(names, wal);
}

/*
 * Is a backup one in tar format?  Then it has a base.tar, and no PG_VERSION.
 */
bool
drill_is_tar(const char *backup)
{
	VerifyRoots roots;
	char		below[MANIFEST_MAX_PATH + 1];
	struct stat st;
	int			root;
	List	   *names;

	backup_roots_get(&roots);
	names = find_archives(&roots, backup);
	return names != NIL && tar_suffix(linitial(names), "base") != NULL &&
		verify_resolve(&roots, psprintf("%s/PG_VERSION", backup), &root, below, &st) != VERIFY_FOUND;
}

/*
 * Each tablespace that the copy would look for has been unpacked.
 */
static void
check_map(Extract *extract)
{
	char	   *map = drill_read_file(extract->data, "tablespace_map", 1024 * 1024);
	struct stat st;
	char	   *rest;

	if (map == NULL)
		return;
	for (char *line = strtok_r(map, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
	{
		size_t		digits = strspn(line, "0123456789");

		if (digits == 0 || digits > 10 || line[digits] != ' ')
			continue;
		line[digits] = '\0';
		if (stat(psprintf("%s/%s", extract->tablespaces, line), &st) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FILE),
					 errmsg("the backup has no archive of tablespace %s, which its tablespace_map sends to \"%s\"", line, line + digits + 1)));
	}
}

static void
make_link(const char *target, const char *links, const char *oid)
{
	if ((mkdir(links, 0700) != 0 && errno != EEXIST) ||
		symlink(target, psprintf("%s/%s", links, oid)) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create symbolic link \"%s/%s\": %m", links, oid)));
}

static void
extract_all(Extract *extract, bool with_wal)
{
	char	   *wal = psprintf("%s/pg_wal", extract->data);
	ListCell   *cell;

	drill_make_folder(extract->data);
	foreach(cell, find_archives(&extract->roots, extract->backup))
	{
		char	   *name = lfirst(cell);
		const char *folder = extract->data;

		if (tar_suffix(name, "pg_wal") != NULL)
		{
			if (!with_wal)
				continue;
			folder = wal;
			if (mkdir(wal, 0700) != 0 && errno != EEXIST)
				ereport(ERROR,
						(errcode_for_file_access(),
						 errmsg("could not create folder \"%s\": %m", wal)));
		}
		else if (tar_is_tablespace(name))
		{
			char	   *oid = pnstrdup(name, strspn(name, "0123456789"));

			folder = psprintf("%s/%s", extract->tablespaces, oid);
			drill_make_folder(folder);
			make_link(folder, psprintf("%s/pg_tblspc", extract->data), oid);
			extract->count.tablespaces++;
		}
		extract_archive(extract, name, folder);
	}
	(void) mkdir(wal, 0700);
	check_map(extract);
}

/*
 * Unpack a backup: its data directory to data, its tablespaces below another
 * folder.  What that was is added to count.
 */
static void
extract_backup(Drill *drill, const char *backup, const char *data, const char *tablespaces, bool with_wal, bool with_manifest, ExtractCount *count)
{
	Extract		extract = {.drill = drill,.backup = backup,.data = data,.tablespaces = tablespaces,.out = -1,.count = *count};

	backup_roots_get(&extract.roots);
	PG_TRY();
	{
		extract_all(&extract, with_wal);
		if (with_manifest)
			copy_manifest(&extract);
	}
	PG_FINALLY();
	{
		if (extract.out >= 0)
			(void) close(extract.out);
		verify_stream_close(&extract.stream);
	}
	PG_END_TRY();
	*count = extract.count;
}

/*
 * A backup in tar format becomes the copy.
 */
void
drill_extract_backup(Drill *drill)
{
	ExtractCount count = {0};

	extract_backup(drill, drill->path, drill->data, drill->tablespaces, true, false, &count);
	drill_fact_number(drill, "files", UINT64_FORMAT, count.files);
	drill_fact_number(drill, "bytes", UINT64_FORMAT, count.bytes);
	drill_fact_number(drill, "tablespaces", "%d", count.tablespaces);
	drill_say(drill, "pass", UINT64_FORMAT " files, " UINT64_FORMAT " MB unpacked%s", count.files, count.bytes >> 20,
			  count.tablespaces > 0 ? psprintf(", with %d tablespaces", count.tablespaces) : "");
}

/*
 * One of a chain becomes a plain backup below the folder of the drill; its data
 * directory.  Of all but the last one WAL is not needed.
 */
char	   *
drill_extract_part(Drill *drill, const char *backup, int number, bool last)
{
	char	   *part = psprintf("%s/" DRILL_PARTS "/%d", drill->scratch, number);
	char	   *data = psprintf("%s/data", part);
	char	   *tablespaces = psprintf("%s/tblspc", part);
	ExtractCount count = {0};

	drill_make_folder(part);
	drill_make_folder(tablespaces);
	extract_backup(drill, backup, data, tablespaces, last, true, &count);
	return data;
}
