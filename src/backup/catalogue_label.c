/*-------------------------------------------------------------------------
 *
 * catalogue_label.c
 *	  What a base backup says of itself.
 *
 * backup_label, tablespace_map, PG_VERSION and the control file are small, and
 * tell what a backup is.  In a backup in tar format they are in base.tar, which
 * is passed through by its headers, without reading the files; one that is
 * compressed has to be uncompressed for that, as far as the caller wants: the
 * first two are at its begin, the control file at its end.  What is not found is
 * not known: no error.
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

#include "backup/catalogue.h"
#include "backup/verify_tar.h"

#define SMALL_FILE	65536

/* what is read at once where it is headers that are looked at */
#define HEADER_BLOCK 8192

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

/*
 * Where a member goes that is looked for; NULL: it is not.
 */
static char **
place_of(BackupFiles *files, const TarMember *member)
{
	if (!TAR_IS_FILE(member) || member->size >= SMALL_FILE)
		return NULL;
	if (strcmp(member->name, "backup_label") == 0)
		return &files->label;
	if (strcmp(member->name, "tablespace_map") == 0)
		return &files->map;
	if (strcmp(member->name, "PG_VERSION") == 0)
		return &files->version;
	if (strcmp(member->name, VERIFY_CONTROL_FILE) == 0)
		return &files->control;
	return NULL;
}

/*
 * The contents of a small member; NULL: the archive ends.
 */
static char *
contents_of(VerifyStream *stream, const TarMember *member)
{
	char	   *contents = palloc(member->size + 1);
	size_t		used = 0;

	while (used < member->size)
	{
		size_t		got;
		const char *data = verify_stream_some(stream, member->size - used, &got);

		if (data == NULL)
			return NULL;
		memcpy(contents + used, data, got);
		used += got;
	}
	contents[used] = '\0';
	return contents;
}

/*
 * Pass through an archive for the files that are looked for; the control file is
 * the last one.
 */
static void
look_through(VerifyStream *stream, BackupFiles *files)
{
	TarMember	member;

	while (files->control == NULL && tar_next(stream, &member) == TAR_MEMBER)
	{
		char	  **place = place_of(files, &member);

		if (place == NULL)
		{
			if (!verify_stream_skip(stream, member.size))
				return;
		}
		else
		{
			*place = contents_of(stream, &member);
			if (*place == NULL)
				return;
			if (place == &files->control)
				files->control_length = (int) member.size;
		}
		if (!verify_stream_skip(stream, TAR_PADDING(member.size)))
			return;
	}
}

/*
 * limit: of an archive that is compressed no more is read.
 */
void
backup_files_tar(const VerifyRoots *roots, int root, const char *archive, uint64 limit, BackupFiles *files)
{
	VerifyStream stream = {0};

	memset(files, 0, sizeof(BackupFiles));
	if (unpack_format_of(archive) == UNPACK_NONE)
		stream.block = HEADER_BLOCK;
	else
		stream.limit = limit;
	PG_TRY();
	{
		if (verify_stream_open(&stream, roots, root, archive, archive))
			look_through(&stream, files);
	}
	PG_FINALLY();
	{
		verify_stream_close(&stream);
	}
	PG_END_TRY();
}
