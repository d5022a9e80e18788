/*-------------------------------------------------------------------------
 *
 * pgbackrest_manifest.c
 *	  The manifest of a backup by pgBackRest.
 *
 * backup.manifest is a text of sections, "[name]", and lines "key=value", where
 * values are JSON.  The files are those of section target:file:
 *
 *		pg_data/base/1/1249={"checksum":"...","rck":"...","repo-size":40400,"size":532480,...}
 *
 *		size, checksum		of the file in the data folder (SHA-1)
 *		repo-size, rck		of what is stored, compressed and encrypted; without
 *							them as size and checksum
 *		reference			the backup that holds it, if it is another one
 *		bni, bno			the bundle that holds it, and where in it
 *		bim					it is a map of blocks, which earlier backups hold, too
 *
 * The checksum in its last section is the SHA-1 of all else, written as one JSON
 * object of sections; so what was edited is found out.  Where a file lies follows
 * from its name, as pgBackRest names it: backup/STANZA/LABEL/NAME with the
 * extension of the compression, or .../LABEL/bundle/NUMBER.
 *
 * Pure reading of memory.  Formats that are not known are a problem in words, and
 * never taken for a backup without files.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha1.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "backup/pgbackrest.h"

typedef struct Reader
{
	RepoManifest *manifest;
	char	   *section;
	char	   *stated;			/* the checksum that it has */
	pg_cryptohash_ctx *sha;
	bool		any_section;
	bool		any_key;
	char	   *problem;
	const char *extension;
} Reader;

static void
add_sum(Reader *reader, const char *chars, size_t length)
{
	if (pg_cryptohash_update(reader->sha, (const uint8 *) chars, length) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a checksum")));
}

/*
 * A key, as in JSON.
 */
static void
add_quoted(Reader *reader, const char *chars, size_t length)
{
	size_t		from = 0;

	add_sum(reader, "\"", 1);
	for (size_t i = 0; i < length; i++)
	{
		if (chars[i] != '"' && chars[i] != '\\')
			continue;
		add_sum(reader, chars + from, i - from);
		add_sum(reader, "\\", 1);
		from = i;
	}
	add_sum(reader, chars + from, length - from);
	add_sum(reader, "\"", 1);
}

static void
add_reference(RepoManifest *manifest, const char *label)
{
	ListCell   *cell;

	foreach(cell, manifest->references)
	{
		if (strcmp(lfirst(cell), label) == 0)
			return;
	}
	manifest->references = lappend(manifest->references, pstrdup(label));
}

static RepoFile *
new_file(RepoManifest *manifest)
{
	if (manifest->nfiles >= manifest->max_files)
	{
		manifest->max_files = Max(1024, manifest->max_files * 2);
		manifest->files = manifest->files == NULL ?
			MemoryContextAllocHuge(CurrentMemoryContext, manifest->max_files * sizeof(RepoFile)) :
			repalloc_huge(manifest->files, manifest->max_files * sizeof(RepoFile));
	}
	memset(&manifest->files[manifest->nfiles], 0, sizeof(RepoFile));
	return &manifest->files[manifest->nfiles++];
}

/* what there is of a file in its line */
typedef struct FileLine
{
	RepoValue	reference;
	uint64		bundle;
	bool		has_bundle;
	bool		has_size;
	bool		has_repo_size;
	bool		broken;
} FileLine;

static void
read_member(RepoFile *file, FileLine *line, const RepoValue *key, const RepoValue *value)
{
	bool		good = true;

	if (repo_is_key(key, "size"))
		good = line->has_size = repo_read_number(value, &file->content_size);
	else if (repo_is_key(key, "repo-size"))
		good = line->has_repo_size = repo_read_number(value, &file->size);
	else if (repo_is_key(key, "checksum"))
		good = file->has_content_sum = repo_read_sum(value, file->content_sum);
	else if (repo_is_key(key, "rck"))
		good = file->has_sum = repo_read_sum(value, file->sum);
	else if (repo_is_key(key, "bni"))
		good = line->has_bundle = repo_read_number(value, &line->bundle);
	else if (repo_is_key(key, "bno"))
		good = repo_read_number(value, &file->offset);
	else if (repo_is_key(key, "reference"))
	{
		good = value->quoted && value->length > 0;
		line->reference = *value;
	}
	else if (repo_is_key(key, "bim"))
	{
		uint64		map;

		good = repo_read_number(value, &map);
		file->blocks = good && map > 0;
	}
	line->broken |= !good;
}

/*
 * Where a file lies, and what is known of what is stored there.
 */
static void
place_file(Reader *reader, RepoFile *file, const FileLine *line, const char *name, size_t length)
{
	RepoManifest *manifest = reader->manifest;
	static const uint8 empty[REPO_SUM] = {
		0xda, 0x39, 0xa3, 0xee, 0x5e, 0x6b, 0x4b, 0x0d, 0x32, 0x55,
		0xbf, 0xef, 0x95, 0x60, 0x18, 0x90, 0xaf, 0xd8, 0x07, 0x09
	};
	char	   *label = manifest->label;

	if (line->reference.chars != NULL)
	{
		label = pnstrdup(line->reference.chars, line->reference.length);
		add_reference(manifest, label);
	}
	file->own = strcmp(label, manifest->label) == 0;
	file->bundled = line->has_bundle;
	if (line->has_bundle)
		file->path = psprintf("%s/bundle/" UINT64_FORMAT, label, line->bundle);
	else
		file->path = psprintf("%s/%.*s%s", label, (int) length, name, file->blocks ? ".pgbi" : reader->extension);
	if (!line->has_repo_size)
		file->size = file->content_size;
	if (file->content_size == 0 && !file->has_content_sum)
	{
		memcpy(file->content_sum, empty, REPO_SUM);
		file->has_content_sum = true;
	}
	/* nothing of it was changed on the way into the repository */
	if (!file->has_sum && file->has_content_sum && !file->blocks &&
		file->size == file->content_size && strcmp(manifest->compression, "none") == 0)
	{
		memcpy(file->sum, file->content_sum, REPO_SUM);
		file->has_sum = true;
	}
	/* bundles do not hold what is empty */
	file->stored = !(manifest->bundles && file->content_size == 0);
	if (file->stored)
	{
		manifest->nstored++;
		manifest->bytes += file->size;
	}
	manifest->blocks |= file->blocks;
	if (line->reference.chars != NULL)
		pfree(label);
}

static void
read_file_line(Reader *reader, const char *line, size_t length, size_t name_length)
{
	RepoFile   *file = new_file(reader->manifest);
	FileLine	found = {0};
	RepoValue	key;
	RepoValue	value;
	const char *end = line + length;
	const char *at = line + name_length + 2;
	bool		broken = false;

	while (repo_next_member(&at, end, &key, &value, &broken))
		read_member(file, &found, &key, &value);
	if (broken || found.broken || !found.has_size)
	{
		if (reader->problem == NULL)
			reader->problem = psprintf("its line of file %.*s is not of the form that is known",
									   (int) Min(name_length, 200), line);
		return;
	}
	place_file(reader, file, &found, line, name_length);
}

static char *
unquoted(const char *chars, size_t length)
{
	if (length >= 2 && chars[0] == '"' && chars[length - 1] == '"')
		return pnstrdup(chars + 1, length - 2);
	return pnstrdup(chars, length);
}

static XLogRecPtr
read_lsn(const char *chars)
{
	uint32		high;
	uint32		low;

	return sscanf(chars, "%X/%X", &high, &low) == 2 ? ((uint64) high << 32) | low : InvalidXLogRecPtr;
}

/*
 * What there is once in a manifest.
 */
static void
read_head(Reader *reader, const char *key, const char *value, size_t length)
{
	static const struct
	{
		const char *name;
		const char *extension;
	}			compressions[] = {{"none", ""}, {"gz", ".gz"}, {"lz4", ".lz4"}, {"zst", ".zst"}, {"bz2", ".bz2"}};
	RepoManifest *manifest = reader->manifest;
	char	   *chars = unquoted(value, length);

	if (strcmp(key, "backup/backup-label") == 0)
		manifest->label = chars;
	else if (strcmp(key, "backup/backup-lsn-start") == 0)
		manifest->start = read_lsn(chars);
	else if (strcmp(key, "backup/backup-lsn-stop") == 0)
		manifest->end = read_lsn(chars);
	else if (strcmp(key, "backup/backup-bundle") == 0)
		manifest->bundles = strcmp(chars, "true") == 0;
	else if (strcmp(key, "backup:db/db-system-id") == 0)
		manifest->system = chars;
	else if (strcmp(key, "backrest/backrest-version") == 0)
		manifest->version = chars;
	else if (strcmp(key, "backrest/backrest-format") == 0 && strcmp(chars, "5") != 0)
		reader->problem = psprintf("it is of format %s, which is not known here", chars);
	else if (strcmp(key, "backrest/backrest-checksum") == 0)
		reader->stated = chars;
	else if (strcmp(key, "backup:option/option-hardlink") == 0)
		manifest->hardlinks = strcmp(chars, "true") == 0;
	else if (strcmp(key, "backup:option/option-compress-type") == 0)
	{
		reader->extension = NULL;
		for (int i = 0; i < lengthof(compressions); i++)
			if (strcmp(compressions[i].name, chars) == 0)
				reader->extension = compressions[i].extension;
		if (reader->extension == NULL)
			reader->problem = psprintf("its compression %s is not known here", chars);
		manifest->compression = chars;
	}
}

/*
 * Where the key of a line ends; NULL: it is no line.
 */
static const char *
end_of_key(const Reader *reader, const char *line, size_t length)
{
	if (strcmp(reader->section, "target:file") != 0)
		return memchr(line, '=', length);
	for (size_t i = 0; i + 1 < length; i++)
		if (line[i] == '=' && line[i + 1] == '{')
			return line + i;
	return NULL;
}

static void
read_line(Reader *reader, const char *line, size_t length)
{
	const char *equals;
	size_t		key_length;

	if (length >= 2 && line[0] == '[' && line[length - 1] == ']')
	{
		reader->section = pnstrdup(line + 1, length - 2);
		reader->any_key = false;
		return;
	}
	equals = end_of_key(reader, line, length);
	if (equals == NULL)
	{
		reader->problem = psprintf("it has a line that is not of the form that is known, in section \"%s\"", reader->section);
		return;
	}
	key_length = equals - line;
	if (strcmp(reader->section, "backrest") != 0 || strncmp(line, "backrest-checksum=", 18) != 0)
	{
		/* a section is part of the sum where it has something */
		if (!reader->any_key)
		{
			add_sum(reader, reader->any_section ? "}," : "{", reader->any_section ? 2 : 1);
			add_quoted(reader, reader->section, strlen(reader->section));
			add_sum(reader, ":{", 2);
		}
		else
			add_sum(reader, ",", 1);
		add_quoted(reader, line, key_length);
		add_sum(reader, ":", 1);
		add_sum(reader, equals + 1, length - key_length - 1);
		reader->any_section = reader->any_key = true;
	}
	if (strcmp(reader->section, "target:file") != 0)
		read_head(reader, psprintf("%s/%.*s", reader->section, (int) key_length, line),
				  equals + 1, length - key_length - 1);
	else if (reader->manifest->label == NULL || reader->extension == NULL)
		reader->problem = pstrdup("it has files before its label and its compression");
	else
		read_file_line(reader, line, length, key_length);
}

static char *
finish_sum(Reader *reader)
{
	uint8		sum[SHA1_DIGEST_LENGTH];
	StringInfoData chars;

	add_sum(reader, "}}", 2);
	if (pg_cryptohash_final(reader->sha, sum, sizeof(sum)) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a checksum")));
	initStringInfo(&chars);
	for (int i = 0; i < sizeof(sum); i++)
		appendStringInfo(&chars, "%02x", sum[i]);
	return chars.data;
}

static void
read_all(Reader *reader, const char *data, size_t length)
{
	const char *end = data + length;

	while (data < end && reader->problem == NULL)
	{
		const char *stop = memchr(data, '\n', end - data);

		if (stop == NULL)
		{
			reader->problem = pstrdup("its last line is cut off");
			break;
		}
		if (stop > data)
			read_line(reader, data, stop - data);
		data = stop + 1;
	}
}

/*
 * Add the blocks of another backup: files of ours may be made of them.
 */
void
repo_manifest_add_blocks(RepoManifest *manifest, const RepoManifest *other)
{
	add_reference(manifest, other->label);
	for (int64 i = 0; i < other->nfiles; i++)
	{
		RepoFile   *file;

		if (!other->files[i].own || !other->files[i].blocks || !other->files[i].stored)
			continue;
		file = new_file(manifest);
		*file = other->files[i];
		file->own = false;
		manifest->nstored++;
		manifest->bytes += file->size;
	}
}

/*
 * Read a manifest.  NULL, and *problem: it is none, or not as it was written.
 */
RepoManifest *
repo_manifest_parse(const char *label, const char *data, size_t length, char **problem)
{
	Reader		reader = {0};

	reader.manifest = palloc0(sizeof(RepoManifest));
	reader.section = "";
	reader.sha = pg_cryptohash_create(PG_SHA1);
	if (reader.sha == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	PG_TRY();
	{
		if (pg_cryptohash_init(reader.sha) < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not compute a checksum")));
		if (memchr(data, '\0', length) != NULL)
			reader.problem = pstrdup("it is no text");
		else
			read_all(&reader, data, length);
		if (reader.problem == NULL && reader.stated == NULL)
			reader.problem = pstrdup("it has no checksum, so its end is missing");
		else if (reader.problem == NULL && strcmp(finish_sum(&reader), reader.stated) != 0)
			reader.problem = pstrdup("it was changed: its checksum is not the one that it states");
		else if (reader.problem == NULL && (reader.manifest->label == NULL || strcmp(reader.manifest->label, label) != 0))
			reader.problem = psprintf("it is of backup %s",
									  reader.manifest->label == NULL ? "none" : reader.manifest->label);
		else if (reader.problem == NULL && reader.manifest->nfiles == 0)
			reader.problem = pstrdup("it has no files");
	}
	PG_FINALLY();
	{
		pg_cryptohash_free(reader.sha);
	}
	PG_END_TRY();
	reader.manifest->nitself = reader.manifest->nfiles;
	*problem = reader.problem;
	return reader.problem == NULL ? reader.manifest : NULL;
}
