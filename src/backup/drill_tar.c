/*-------------------------------------------------------------------------
 *
 * drill_tar.c
 *	  Restoring a base backup in tar format.
 *
 * base.tar becomes the data directory, each OID.tar a tablespace below the
 * drill's folder, pg_wal.tar the WAL; they may be compressed with gzip.  No
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

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"

#include "backup/catalogue.h"
#include "backup/drill.h"
#include "backup/verify_tar.h"

#define RECORD 512
#define NAME_LENGTH 100
#define SIZE_AT 124
#define SIZE_LENGTH 12
#define CHECKSUM_AT 148
#define CHECKSUM_LENGTH 8
#define KIND_AT 156
#define PREFIX_AT 345
#define PREFIX_LENGTH 155

static const char *const suffixes[] = {".tar", ".tar.gz", ".tgz", ".tar.lz4", ".tar.zst"};

typedef struct Extract
{
	Drill	   *drill;
	VerifyRoots roots;
	VerifyReader reader;
	VerifyReport report;
	VerifyStream stream;
	int			out;			/* the file that is written; -1: none */
	uint64		files;
	uint64		bytes;
	int			tablespaces;
} Extract;

static uint64
number(const char *field, int length)
{
	uint64		value = 0;

	if (field[0] == (char) 0x80)
	{
		for (int i = 1; i < length; i++)
			value = value << 8 | (unsigned char) field[i];
		return value;
	}
	for (int i = 0; i < length && field[i] != '\0'; i++)
		if (field[i] >= '0' && field[i] <= '7')
			value = value << 3 | (uint64) (field[i] - '0');
	return value;
}

compat_noreturn static void
report_broken(Extract *extract, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("archive \"%s\" of the backup cannot be unpacked: %s, at byte " UINT64_FORMAT,
					extract->stream.name, what, extract->stream.at)));
}

static bool
pace(void *arg, size_t bytes)
{
	return true;
}

/*
 * Some more of the archive; NULL: that was all.
 */
static const char *
more(Extract *extract, uint64 length, size_t *got)
{
	const char *data = verify_stream_some(&extract->stream, (size_t) Min(length, VERIFY_BLOCK), got);

	if (data == NULL && extract->stream.broken)
		report_broken(extract, "it is damaged or cut off");
	return data;
}

/*
 * Read a header; false: there is none any more.
 */
static bool
read_header(Extract *extract, char *header)
{
	static const char zeros[RECORD] = {0};
	size_t		used = 0;
	uint64		sum = CHECKSUM_LENGTH * ' ';

	while (used < RECORD)
	{
		size_t		got;
		const char *data = more(extract, RECORD - used, &got);

		if (data == NULL && used == 0)
			return false;
		if (data == NULL)
			report_broken(extract, "it is cut off");
		memcpy(header + used, data, got);
		used += got;
	}
	if (memcmp(header, zeros, RECORD) == 0)
	{
		/* the end; what is compressed has a checksum of its own after it */
		while (more(extract, VERIFY_BLOCK, &used) != NULL)
			;
		return false;
	}
	for (int i = 0; i < RECORD; i++)
		if (i < CHECKSUM_AT || i >= CHECKSUM_AT + CHECKSUM_LENGTH)
			sum += (unsigned char) header[i];
	if (sum != number(header + CHECKSUM_AT, CHECKSUM_LENGTH))
		report_broken(extract, "a header is damaged, or it is no tar archive");
	return true;
}

/*
 * Where a member goes; an error for a path that is none of a backup.  NULL: the
 * folder itself.
 */
static char *
target_of(Extract *extract, const char *header, const char *folder)
{
	char		name[PREFIX_LENGTH + NAME_LENGTH + 2];
	const char *at;
	StringInfoData path;

	if (memcmp(header + 257, "ustar", 5) == 0 && header[PREFIX_AT] != '\0')
		snprintf(name, sizeof(name), "%.*s/%.*s", PREFIX_LENGTH, header + PREFIX_AT, NAME_LENGTH, header);
	else
		snprintf(name, sizeof(name), "%.*s", NAME_LENGTH, header);
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

/*
 * Read the contents of a member; those of a file are written.
 */
static void
read_contents(Extract *extract, uint64 size, const char *path)
{
	uint64		left = size + (RECORD - size % RECORD) % RECORD;
	uint64		wanted = size;

	while (left > 0)
	{
		size_t		got;
		const char *data = more(extract, left, &got);
		size_t		part;

		if (data == NULL)
			report_broken(extract, "it is cut off");
		part = (size_t) Min(wanted, got);
		for (size_t done = 0; extract->out >= 0 && done < part;)
		{
			ssize_t		written = write(extract->out, data + done, part - done);

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
		wanted -= part;
		left -= got;
		drill_check_time(extract->drill);
	}
}

static void
extract_file(Extract *extract, const char *path, uint64 size)
{
	extract->out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (extract->out < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", path)));
	read_contents(extract, size, path);
	if (close(extract->out) != 0)
	{
		extract->out = -1;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", path)));
	}
	extract->out = -1;
	extract->files++;
	extract->bytes += size;
}

static void
extract_members(Extract *extract, const char *folder)
{
	char		header[RECORD];

	while (read_header(extract, header))
	{
		uint64		size = number(header + SIZE_AT, SIZE_LENGTH);
		char		kind = header[KIND_AT];
		char	   *path = target_of(extract, header, folder);

		if (path != NULL && (kind == '0' || kind == '\0'))
			extract_file(extract, path, size);
		else
		{
			if (path != NULL && kind == '5' && mkdir(path, 0700) != 0 && errno != EEXIST)
				ereport(ERROR,
						(errcode_for_file_access(),
						 errmsg("could not create folder \"%s\": %m", path)));
			if (kind != '0' && kind != '\0' && kind != '5' && kind != '2')
				report_broken(extract, psprintf("\"%.*s\" is neither a file nor a folder nor a symbolic link", NAME_LENGTH, header));
			read_contents(extract, kind == '0' || kind == '\0' ? size : 0, "");
		}
	}
}

static void
extract_archive(Extract *extract, const char *name, const char *folder)
{
	char	   *path = psprintf("%s/%s", extract->drill->path, name);
	char		below[MANIFEST_MAX_PATH + 1];
	size_t		length = strlen(name);
	int			root;
	struct stat st;

	if (strcmp(name + length - 3, "lz4") == 0 || strcmp(name + length - 3, "zst") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("archives of lz4 and zstd cannot be unpacked here: \"%s\"", name)));
	if (verify_resolve(&extract->roots, path, &root, below, &st) == VERIFY_OUTSIDE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" of the backup leads out of maintsched.backup_roots", name)));
	extract->reader.fd = verify_open_file(&extract->reader.opener, &extract->roots, root, below);
	if (extract->reader.fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open \"%s\" of the backup: %m", name)));
	verify_stream_begin(&extract->stream, pstrdup(name), strcmp(name + length - 4, ".tar") != 0);
	extract_members(extract, folder);
	verify_stream_end(&extract->stream);
	(void) close(extract->reader.fd);
	extract->reader.fd = -1;
}

/*
 * How the name of an archive ends; NULL: it is none.
 */
static const char *
suffix_of(const char *name, size_t stem)
{
	for (int i = 0; i < lengthof(suffixes); i++)
		if (strcmp(name + stem, suffixes[i]) == 0)
			return suffixes[i];
	return NULL;
}

/*
 * The names of the archives of a backup: the data directory's is first, that of
 * WAL last, since the folder is in the former.
 */
static List *
find_archives(Extract *extract)
{
	char		below[MANIFEST_MAX_PATH + 1];
	struct stat st;
	int			root;
	int			fd;
	DIR		   *folder;
	struct dirent *entry;
	List	   *names = NIL;
	char	   *wal = NULL;

	if (!verify_is_below(&extract->roots, extract->drill->path) ||
		verify_resolve(&extract->roots, extract->drill->path, &root, below, &st) != VERIFY_FOUND)
		return NIL;
	fd = verify_open_directory(extract->roots.paths[root], below);
	folder = fd < 0 ? NULL : fdopendir(fd);
	if (folder == NULL)
	{
		if (fd >= 0)
			(void) close(fd);
		return NIL;
	}
	while ((entry = readdir(folder)) != NULL)
	{
		size_t		digits = strspn(entry->d_name, "0123456789");

		if (strncmp(entry->d_name, "base", 4) == 0 && suffix_of(entry->d_name, 4))
			names = lcons(pstrdup(entry->d_name), names);
		else if (digits > 0 && digits <= 10 && suffix_of(entry->d_name, digits))
			names = lappend(names, pstrdup(entry->d_name));
		else if (strncmp(entry->d_name, "pg_wal", 6) == 0 && suffix_of(entry->d_name, 6))
			wal = pstrdup(entry->d_name);
	}
	(void) closedir(folder);
	return wal == NULL ? names : lappend(names, wal);
}

/*
 * Is it a backup in tar format?  Then it has a base.tar, and no PG_VERSION.
 */
bool
drill_is_tar(Drill *drill)
{
	Extract		extract = {.drill = drill};
	char		below[MANIFEST_MAX_PATH + 1];
	struct stat st;
	int			root;
	List	   *names;

	backup_roots_get(&extract.roots);
	names = find_archives(&extract);
	return names != NIL && strncmp(linitial(names), "base", 4) == 0 &&
		verify_resolve(&extract.roots, psprintf("%s/PG_VERSION", drill->path), &root, below, &st) != VERIFY_FOUND;
}

/*
 * Each tablespace that the copy would look for has been unpacked.
 */
static void
check_map(Drill *drill)
{
	char	   *map = drill_read_file(drill->data, "tablespace_map", 1024 * 1024);
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
		if (stat(psprintf("%s/%s", drill->tablespaces, line), &st) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FILE),
					 errmsg("the backup has no archive of tablespace %s, which its tablespace_map sends to \"%s\"", line, line + digits + 1)));
	}
}

static void
extract_all(Extract *extract)
{
	Drill	   *drill = extract->drill;
	char	   *links = psprintf("%s/pg_tblspc", drill->data);
	char	   *wal = psprintf("%s/pg_wal", drill->data);
	ListCell   *cell;

	drill_make_folder(drill->data);
	foreach(cell, find_archives(extract))
	{
		char	   *name = lfirst(cell);
		char	   *folder = drill->data;

		if (strncmp(name, "pg_wal", 6) == 0)
		{
			folder = wal;
			if (mkdir(wal, 0700) != 0 && errno != EEXIST)
				ereport(ERROR,
						(errcode_for_file_access(),
						 errmsg("could not create folder \"%s\": %m", wal)));
		}
		else if (strncmp(name, "base", 4) != 0)
		{
			char	   *oid = pnstrdup(name, strspn(name, "0123456789"));

			folder = psprintf("%s/%s", drill->tablespaces, oid);
			drill_make_folder(folder);
			if ((mkdir(links, 0700) != 0 && errno != EEXIST) ||
				symlink(folder, psprintf("%s/%s", links, oid)) != 0)
				ereport(ERROR,
						(errcode_for_file_access(),
						 errmsg("could not create symbolic link \"%s/%s\": %m", links, oid)));
			extract->tablespaces++;
		}
		extract_archive(extract, name, folder);
	}
	(void) mkdir(wal, 0700);
	check_map(drill);
}

void
drill_extract_backup(Drill *drill)
{
	Extract		extract = {.drill = drill,.out = -1};

	if (drill->chain != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("incremental backups in tar format are not restored"),
				 errdetail("pg_combinebackup takes plain ones.")));
	backup_roots_get(&extract.roots);
	initStringInfo(&extract.report.json);
	verify_reader_init(&extract.reader, &extract.roots);
	extract.reader.pace = pace;
	extract.reader.fd = -1;
	extract.stream.reader = &extract.reader;
	extract.stream.report = &extract.report;
	extract.stream.out = palloc(VERIFY_BLOCK);
	PG_TRY();
	{
		extract_all(&extract);
	}
	PG_FINALLY();
	{
		if (extract.out >= 0)
			(void) close(extract.out);
		if (extract.reader.fd >= 0)
			(void) close(extract.reader.fd);
		verify_reader_close(&extract.reader);
	}
	PG_END_TRY();
	drill_fact_number(drill, "files", UINT64_FORMAT, extract.files);
	drill_fact_number(drill, "bytes", UINT64_FORMAT, extract.bytes);
	drill_fact_number(drill, "tablespaces", "%d", extract.tablespaces);
	drill_say(drill, "pass", UINT64_FORMAT " files, " UINT64_FORMAT " MB unpacked%s", extract.files, extract.bytes >> 20,
			  extract.tablespaces > 0 ? psprintf(", with %d tablespaces", extract.tablespaces) : "");
}
