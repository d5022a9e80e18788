/*-------------------------------------------------------------------------
 *
 * catalogue_label.c
 *	  What a base backup says of itself.
 *
 * backup_label, tablespace_map, PG_VERSION and the control file are small, and
 * tell what a backup is.  In a backup in tar format they are in base.tar, which
 * is passed through by its headers, without reading the files; base.tar.gz has
 * to be uncompressed for that, as far as the caller wants: the first two are at
 * its begin, the control file at its end.  What is not found is not known: no
 * error.
 *
 * Files are opened as verify_place.c tells.  Runs in any backend; no locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include "miscadmin.h"

#include "backup/catalogue.h"

#define RECORD		512
#define SMALL_FILE	65536
#define BLOCK		(256 * 1024)
#define GZIP_WINDOW	(15 + 16)

/*
 * The rest of the line that begins with a word; NULL: there is none.
 */
static char *
line_of(const char *data, const char *word)
{
	size_t		length = strlen(word);

	while (*data != '\0')
	{
		size_t		rest = strcspn(data, "\n");

		if (strncmp(data, word, length) == 0)
			return pnstrdup(data + length, rest - length);
		data += rest;
		data += *data == '\n' ? 1 : 0;
	}
	return NULL;
}

/*
 * Is a data fit for JSON and for people?
 */
static char *
clean(char *data)
{
	for (char *at = data; at != NULL && *at != '\0'; at++)
		if ((unsigned char) *at < ' ' || (unsigned char) *at > '~')
			*at = '?';
	return data;
}

void
backup_label_parse(const char *data, BackupLabel *label)
{
	char	   *line;
	unsigned int hi,
				lo,
				timeline;

	memset(label, 0, sizeof(BackupLabel));
	line = line_of(data, "START WAL LOCATION: ");
	if (line != NULL && sscanf(line, "%X/%X (file %24[0-9A-F])", &hi, &lo, label->start_wal) >= 2)
		label->start_lsn = ((uint64) hi << 32) | lo;
	if (strlen(label->start_wal) != 24)
		label->start_wal[0] = '\0';
	line = line_of(data, "START TIMELINE: ");
	if (line != NULL && sscanf(line, "%u", &timeline) == 1)
		label->timeline = timeline;
	line = line_of(data, "INCREMENTAL FROM LSN: ");
	if (line != NULL && sscanf(line, "%X/%X", &hi, &lo) == 2)
		label->incremental_lsn = ((uint64) hi << 32) | lo;
	line = line_of(data, "INCREMENTAL FROM TLI: ");
	if (line != NULL && sscanf(line, "%u", &timeline) == 1)
		label->incremental_timeline = timeline;
	line = line_of(data, "BACKUP FROM: ");
	label->from_standby = line != NULL && strcmp(line, "standby") == 0;
	label->start_time = clean(line_of(data, "START TIME: "));
	label->name = clean(line_of(data, "LABEL: "));
}

/*
 * A small file below a root; NULL: it cannot be read, or is larger.
 */
static char *
small_file(const VerifyRoots *roots, int root, const char *below, const char *name, int *length)
{
	VerifyOpener opener;
	char	   *path = psprintf("%s%s%s", below, *below != '\0' ? "/" : "", name);
	char	   *data;
	int			fd;

	verify_opener_init(&opener);
	fd = verify_open_file(&opener, roots, root, path);
	verify_opener_close(&opener);
	pfree(path);
	if (fd < 0)
		return NULL;
	data = palloc_extended(SMALL_FILE + 1, MCXT_ALLOC_NO_OOM);
	*length = data == NULL ? -1 : read(fd, data, SMALL_FILE);
	(void) close(fd);
	if (data == NULL || *length < 0 || *length == SMALL_FILE)
		return NULL;
	data[*length] = '\0';
	return data;
}

void
backup_files_plain(const VerifyRoots *roots, int root, const char *below, BackupFiles *files)
{
	int			length;

	memset(files, 0, sizeof(BackupFiles));
	files->label = small_file(roots, root, below, "backup_label", &length);
	files->map = small_file(roots, root, below, "tablespace_map", &length);
	files->version = small_file(roots, root, below, "PG_VERSION", &length);
	files->control = small_file(roots, root, below, VERIFY_CONTROL_FILE, &files->control_length);
}

/* an archive: the file, or what is uncompressed of it one after another */
typedef struct Archive
{
	int			fd;
	bool		compressed;
	uint64		limit;			/* so much is read of what is compressed */
	z_stream	gzip;
	char	   *in;
	char	   *out;
	const char *next;			/* what comes next in out */
	size_t		have;
	uint64		at;				/* where that is in the archive */
} Archive;

/*
 * Uncompress some more; false: that was all, or it is no good.
 */
static bool
uncompress_more(Archive *archive)
{
	z_stream   *gzip = &archive->gzip;
	int			result = Z_OK;

	gzip->next_out = (unsigned char *) archive->out;
	gzip->avail_out = BLOCK;
	while (result == Z_OK && gzip->avail_out == BLOCK)
	{
		CHECK_FOR_INTERRUPTS();
		if (gzip->avail_in == 0)
		{
			ssize_t		got = archive->limit == 0 ? 0 : read(archive->fd, archive->in, Min(BLOCK, archive->limit));

			if (got <= 0)
				break;
			archive->limit -= got;
			gzip->next_in = (unsigned char *) archive->in;
			gzip->avail_in = got;
		}
		result = inflate(gzip, Z_NO_FLUSH);
	}
	archive->next = archive->out;
	archive->have = BLOCK - gzip->avail_out;
	return archive->have > 0;
}

/*
 * Bytes of it, further on than those before.
 */
static bool
get(Archive *archive, uint64 at, char *buffer, size_t length)
{
	if (!archive->compressed)
		return pread(archive->fd, buffer, length, at) == length;
	while (length > 0)
	{
		size_t		used;

		if (archive->have == 0 && !uncompress_more(archive))
			return false;
		if (archive->at < at)
			used = Min(at - archive->at, archive->have);
		else
		{
			used = Min(length, archive->have);
			memcpy(buffer, archive->next, used);
			buffer += used;
			length -= used;
			at += used;
		}
		archive->next += used;
		archive->have -= used;
		archive->at += used;
	}
	return true;
}

/*
 * A number in octal digits, or in 63 bits after a first byte of 0x80.
 */
static uint64
tar_number(const char *field, int length)
{
	uint64		value = 0;

	if ((unsigned char) field[0] == 0x80)
	{
		for (int i = 1; i < length; i++)
			value = (value << 8) | (unsigned char) field[i];
		return value & PG_INT64_MAX;
	}
	for (int i = 0; i < length && field[i] >= '0' && field[i] <= '7'; i++)
		value = (value << 3) | (field[i] - '0');
	return value;
}

/*
 * Pass through an archive for the files that are looked for.
 */
static void
look_through(Archive *archive, BackupFiles *files)
{
	char		header[RECORD];
	uint64		at = 0;

	while (get(archive, at, header, RECORD) && header[0] != '\0' && memcmp(header + 257, "ustar", 5) == 0)
	{
		uint64		size = tar_number(header + 124, 12);
		char	   *data = NULL;

		CHECK_FOR_INTERRUPTS();
		header[99] = '\0';
		at += RECORD;
		if (size < SMALL_FILE && (header[156] == '0' || header[156] == '\0'))
		{
			bool		wanted = strcmp(header, "backup_label") == 0 || strcmp(header, "tablespace_map") == 0 ||
			strcmp(header, "PG_VERSION") == 0 || strcmp(header, VERIFY_CONTROL_FILE) == 0;

			data = wanted ? palloc(size + 1) : NULL;
			if (data != NULL && !get(archive, at, data, size))
				return;
			if (data != NULL)
				data[size] = '\0';
		}
		if (data != NULL && header[0] == 'b')
			files->label = data;
		else if (data != NULL && header[0] == 't')
			files->map = data;
		else if (data != NULL && header[0] == 'P')
			files->version = data;
		else if (data != NULL)
		{
			files->control = data;
			files->control_length = size;
			return;				/* it is the last one */
		}
		if (size > PG_INT64_MAX - at - RECORD)
			return;
		at += size + (RECORD - size % RECORD) % RECORD;
	}
}

/*
 * limit: of an archive that is compressed no more is read.
 */
void
backup_files_tar(const VerifyRoots *roots, int root, const char *archive, bool compressed, uint64 limit, BackupFiles *files)
{
	VerifyOpener opener;
	Archive		tar = {.compressed = compressed,.limit = limit};

	memset(files, 0, sizeof(BackupFiles));
	if (compressed)
	{
		tar.in = palloc(BLOCK);
		tar.out = palloc(BLOCK);
		if (inflateInit2(&tar.gzip, GZIP_WINDOW) != Z_OK)
			return;
	}
	verify_opener_init(&opener);
	tar.fd = verify_open_file(&opener, roots, root, archive);
	verify_opener_close(&opener);
	PG_TRY();
	{
		if (tar.fd >= 0)
			look_through(&tar, files);
	}
	PG_FINALLY();
	{
		if (tar.fd >= 0)
			(void) close(tar.fd);
		if (compressed)
			(void) inflateEnd(&tar.gzip);
	}
	PG_END_TRY();
}
