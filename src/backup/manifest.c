/*-------------------------------------------------------------------------
 *
 * manifest.c
 *	  Reading a backup manifest, of version 1 or 2, as a stream.
 *
 * A manifest names each file of a base backup, with its size and checksum, and
 * the WAL that the backup needs; its last line is the SHA-256 of all lines
 * before.  There may be millions of files, so neither a tree nor the text of it
 * is ever in memory: what the lexer (manifest_lex.c) finds is taken at once by
 * the few functions below, one for each object that there can be.  They know
 * exactly what may come next, so nothing is nested deeper than they are.
 *
 * Stricter than pg_verifybackup, for what no server writes: a key or a section
 * that is there twice, a number in quotes, an unknown key, a version 2 without
 * system identifier are errors.  Nothing that a manifest says is trusted: a path
 * is a string here, which is only ever compared with what is found in a folder.
 *
 * Raises no errors of its own, and keeps nothing: the caller's functions may
 * (CHECK_FOR_INTERRUPTS in read(), out of memory).  Is also built outside the
 * server, for the fuzzer.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "backup/manifest.h"
#include "backup/manifest_lex.h"

/* the longest key and short value there is, and more */
#define SHORT_TEXT 160

typedef struct Reader
{
	ManifestLexer lexer;
	const ManifestSource *source;
	ManifestHead *head;
	ManifestFile file;
} Reader;

#define fail(r, ...) manifest_fail(&(r)->lexer, __VA_ARGS__)

static bool
expect(Reader *r, JsonTokenType token, const char *what)
{
	if (!manifest_next_token(&r->lexer))
		return false;
	return r->lexer.token == token || fail(r, "%s is missing", what);
}

/*
 * The next key of an object, of which there are count; *which is its number.
 * -1: the object is at its end.  seen: those that it had already.
 */
static bool
next_key(Reader *r, const char *const *keys, int count, uint32 *seen, int *which)
{
	char		key[SHORT_TEXT];

	*which = -1;
	if (!manifest_next_token(&r->lexer))
		return false;
	if (r->lexer.token == JSON_TOKEN_OBJECT_END && *seen == 0)
		return true;
	if (*seen != 0)
	{
		if (r->lexer.token == JSON_TOKEN_OBJECT_END)
			return true;
		if (r->lexer.token != JSON_TOKEN_COMMA)
			return fail(r, "a comma is missing");
		if (!manifest_next_token(&r->lexer))
			return false;
	}
	if (r->lexer.token != JSON_TOKEN_STRING)
		return fail(r, "a key is missing");
	if (manifest_decode_string(r->lexer.text, r->lexer.length, key, sizeof(key)) < 0)
		return fail(r, "a key is not known");
	for (int i = 0; i < count; i++)
		if (strcmp(key, keys[i]) == 0)
			*which = i;
	if (*which < 0)
		return fail(r, "a key is not known");
	if ((*seen & 1U << *which) != 0)
		return fail(r, "key \"%s\" is there twice", keys[*which]);
	*seen |= 1U << *which;
	return expect(r, JSON_TOKEN_COLON, "a colon");
}

static bool
read_number(Reader *r, const char *key, uint64 limit, uint64 *value)
{
	if (!manifest_next_token(&r->lexer))
		return false;
	if (r->lexer.token != JSON_TOKEN_NUMBER || !manifest_decode_number(r->lexer.text, r->lexer.length, limit, value))
		return fail(r, "%s is not a whole number from 0 to " UINT64_FORMAT, key, limit);
	return true;
}

/*
 * A string of less than size bytes; returns its length, -1 for an error.
 */
static int
read_string(Reader *r, const char *key, char *out, size_t size)
{
	int			length;

	if (!manifest_next_token(&r->lexer))
		return -1;
	if (r->lexer.token != JSON_TOKEN_STRING)
	{
		(void) fail(r, "%s is not a string", key);
		return -1;
	}
	length = manifest_decode_string(r->lexer.text, r->lexer.length, out, size);
	if (length < 0)
		(void) fail(r, length == -2 ? "%s is too long" : "%s holds an escape that means nothing", key);
	return length;
}

static bool
read_sum(Reader *r, ManifestFile *file)
{
	char		hex[MANIFEST_MAX_SUM * 2 + 5];
	int			length = read_string(r, "Checksum", hex, sizeof(hex));

	if (length < 0)
		return false;
	if (length > MANIFEST_MAX_SUM * 2 || !manifest_decode_hex(hex, length, file->sum))
		return fail(r, "Checksum is not a number of bytes in hexadecimal");
	file->sum_length = length / 2;
	return true;
}

static bool
read_encoded_path(Reader *r, ManifestFile *file)
{
	char		hex[MANIFEST_MAX_PATH * 2 + 5];
	int			length = read_string(r, "Encoded-Path", hex, sizeof(hex));

	if (length < 0)
		return false;
	if (length > MANIFEST_MAX_PATH * 2)
		return fail(r, "Encoded-Path is too long");
	if (!manifest_decode_hex(hex, length, (uint8 *) file->path) ||
		memchr(file->path, '\0', length / 2) != NULL)
		return fail(r, "Encoded-Path is no path in hexadecimal");
	file->path_length = length / 2;
	file->path[file->path_length] = '\0';
	return true;
}

static bool
read_algorithm(Reader *r, ManifestFile *file)
{
	char		name[SHORT_TEXT];

	if (read_string(r, "Checksum-Algorithm", name, sizeof(name)) < 0)
		return false;
	return pg_checksum_parse_type(name, &file->algorithm) ||
		fail(r, "Checksum-Algorithm is not known");
}

/*
 * One file; its brace has been read.
 */
static bool
read_file(Reader *r)
{
	enum
	{
		PATH, ENCODED_PATH, SIZE, LAST_MODIFIED, ALGORITHM, SUM
	};
	static const char *const keys[] = {"Path", "Encoded-Path", "Size", "Last-Modified", "Checksum-Algorithm", "Checksum"};
	ManifestFile *file = &r->file;
	char		modified[SHORT_TEXT];
	uint32		seen = 0;
	int			which;
	const char *wrong;

	file->path_length = 0;
	file->algorithm = CHECKSUM_TYPE_NONE;
	file->sum_length = 0;
	for (;;)
	{
		bool		ok = true;

		if (!next_key(r, keys, lengthof(keys), &seen, &which))
			return false;
		if (which < 0)
			break;
		if (which == PATH)
		{
			file->path_length = read_string(r, "Path", file->path, sizeof(file->path));
			ok = file->path_length >= 0;
		}
		else if (which == ENCODED_PATH)
			ok = read_encoded_path(r, file);
		else if (which == SIZE)
			ok = read_number(r, "Size", PG_INT64_MAX, &file->size);
		else if (which == LAST_MODIFIED)
			ok = read_string(r, "Last-Modified", modified, sizeof(modified)) >= 0;
		else if (which == ALGORITHM)
			ok = read_algorithm(r, file);
		else
			ok = read_sum(r, file);
		if (!ok)
			return false;
	}
	if ((seen & 1U << PATH) != 0 && (seen & 1U << ENCODED_PATH) != 0)
		return fail(r, "a file has a Path and an Encoded-Path");
	if (file->path_length == 0)
		return fail(r, "a file has no Path");
	if ((seen & 1U << SIZE) == 0)
		return fail(r, "a file has no Size");
	if ((seen & 1U << SUM) != 0 && (seen & 1U << ALGORITHM) == 0)
		return fail(r, "a file has a Checksum, but no Checksum-Algorithm");
	r->head->files++;
	wrong = r->source->file(r->source->arg, file);
	return wrong == NULL || fail(r, "%s", wrong);
}

static bool
read_lsn(Reader *r, const char *key, uint64 *lsn)
{
	char text[	SHORT_TEXT];

	if (read_string(r, key, text, sizeof(text)) < 0)
		return false;
	return manifest_decode_lsn(text, lsn) || fail(r, "%s is not a position in the WAL", key);
}

/*
 * One range of WAL; its brace has been read.
 */
static bool
read_range(Reader *r)
{
	static const char *const keys[] = {"Timeline", "Start-LSN", "End-LSN"};
	ManifestRange range;
	uint64		timeline = 0;
	uint32		seen = 0;
	int			which;
	const char *wrong;

	for (;;)
	{
		bool		ok;

		if (!next_key(r, keys, lengthof(keys), &seen, &which))
			return false;
		if (which < 0)
			break;
		if (which == 0)
			ok = read_number(r, keys[0], PG_UINT32_MAX, &timeline);
		else
			ok = read_lsn(r, keys[which], which == 1 ? &range.start : &range.end);
		if (!ok)
			return false;
	}
	if (seen != 7)
		return fail(r, "a range of WAL has not all of Timeline, Start-LSN and End-LSN");
	range.timeline = (uint32) timeline;
	r->head->ranges++;
	wrong = r->source->range(r->source->arg, &range);
	return wrong == NULL || fail(r, "%s", wrong);
}

/*
 * An array of objects, each of which one() reads.
 */
static bool
read_array(Reader *r, const char *key, bool (*one) (Reader *r))
{
	if (!manifest_next_token(&r->lexer))
		return false;
	if (r->lexer.token != JSON_TOKEN_ARRAY_START)
		return fail(r, "%s is not a list", key);
	for (bool first = true;; first = false)
	{
		if (!manifest_next_token(&r->lexer))
			return false;
		if (r->lexer.token == JSON_TOKEN_ARRAY_END)
			return true;
		if (!first)
		{
			if (r->lexer.token != JSON_TOKEN_COMMA)
				return fail(r, "a comma is missing");
			if (!manifest_next_token(&r->lexer))
				return false;
		}
		if (r->lexer.token == JSON_TOKEN_ARRAY_END || r->lexer.token != JSON_TOKEN_OBJECT_START)
			return fail(r, "%s holds something other than objects", key);
		if (!one(r))
			return false;
	}
}

/*
 * The whole; *sum: what it says its checksum is.
 */
static bool
read_head(Reader *r, uint8 *sum)
{
	enum
	{
		VERSION, SYSTEM_IDENTIFIER, FILES, RANGES, SUM
	};
	static const char *const keys[] = {"PostgreSQL-Backup-Manifest-Version", "System-Identifier", "Files", "WAL-Ranges", "Manifest-Checksum"};
	uint64		version = 0;
	uint32		seen = 0;
	int			which;
	char		hex[SHORT_TEXT];

	if (!expect(r, JSON_TOKEN_OBJECT_START, "the object"))
		return false;
	while (next_key(r, keys, lengthof(keys), &seen, &which) && which >= 0)
	{
		bool		ok = true;

		if ((seen & 1U << VERSION) == 0)
			return fail(r, "it does not begin with its version");
		if (which == VERSION)
		{
			ok = read_number(r, keys[VERSION], PG_UINT32_MAX, &version);
			if (ok && version != 1 && version != 2)
				return fail(r, "its version is " UINT64_FORMAT ", which is not known", version);
			r->head->version = (int) version;
		}
		else if (which == SYSTEM_IDENTIFIER)
		{
			ok = read_number(r, keys[SYSTEM_IDENTIFIER], PG_UINT64_MAX, &r->head->system_identifier);
			r->head->has_system_identifier = ok;
		}
		else if (which == FILES)
			ok = read_array(r, keys[FILES], read_file);
		else if (which == RANGES)
			ok = read_array(r, keys[RANGES], read_range);
		else
		{
			if (read_string(r, keys[SUM], hex, sizeof(hex)) != PG_SHA256_DIGEST_LENGTH * 2 ||
				!manifest_decode_hex(hex, PG_SHA256_DIGEST_LENGTH * 2, sum))
				return fail(r, "Manifest-Checksum is no SHA-256");
			/* it sums up what is before it, so nothing follows */
			if (!expect(r, JSON_TOKEN_OBJECT_END, "the end after Manifest-Checksum"))
				return false;
			break;
		}
		if (!ok)
			return false;
	}
	if (r->head->problem[0] != '\0')
		return false;
	if ((seen & 1U << SUM) == 0)
		return fail(r, "it has no Manifest-Checksum");
	if ((seen & 1U << FILES) == 0)
		return fail(r, "it has no Files");
	if (r->head->version == 2 && !r->head->has_system_identifier)
		return fail(r, "it has no System-Identifier");
	return expect(r, JSON_TOKEN_END, "the end of the file");
}

/*
 * Read a manifest, and give its files and ranges to the source's functions as
 * they come.  They are not to be relied on before this has returned true: that
 * is when the checksum of the manifest has been found to match.
 */
bool
manifest_read(const ManifestSource *source, ManifestHead *head)
{
	Reader	   *r = palloc0(sizeof(Reader));
	uint8		said[PG_SHA256_DIGEST_LENGTH];
	uint8		found[PG_SHA256_DIGEST_LENGTH];
	bool		ok;

	memset(head, 0, sizeof(ManifestHead));
	r->source = source;
	r->head = head;
	ok = manifest_lexer_begin(&r->lexer, source, head) && read_head(r, said) &&
		manifest_lexer_sum(&r->lexer, found);
	if (ok && memcmp(said, found, sizeof(found)) != 0)
	{
		ok = false;
		strlcpy(head->problem, "its checksum does not match: it was changed after the backup", sizeof(head->problem));
	}
	manifest_lexer_end(&r->lexer);
	pfree(r);
	return ok;
}
