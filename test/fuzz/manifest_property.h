/*-------------------------------------------------------------------------
 *
 * manifest_property.h
 *	  What must hold of every backup manifest, and of all that is none.
 *
 * Used by the fuzz target (any bytes) and by the deterministic test (bytes of a
 * generator).  Any bytes: however small the window and the pieces that are read,
 * the verdict and what was found are the same; what is taken as a manifest is
 * JSON to the server's own parser, and its checksum is right.  Manifests that
 * are made of bytes: all of them are taken, and give back what they were made
 * of; with one byte changed before the last line none is.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MANIFEST_PROPERTY_H
#define MANIFEST_PROPERTY_H

#include "postgres_fe.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"

#include "backup/manifest.h"
#include "core/compat.h"

typedef struct Text
{
	char	   *data;
	size_t		length;
	size_t		size;
} Text;

/* a manifest that is read from memory, and what was found in it, as text */
typedef struct Memory
{
	const char *data;
	size_t		left;
	size_t		piece;			/* read at most so many bytes at a time */
	Text		found;
	int			faults;
} Memory;

static void
add(Text *text, const void *data, size_t length)
{
	if (text->length + length + 1 > text->size)
	{
		text	  ->size = (text->length + length + 1) *2;
		text	  ->data = realloc(text->data, text->size);
	}
	memcpy(text->data + text->length, data, length);
	text	  ->length += length;
	text	  ->data[text->length] = '\0';
}

static void add_format(Text *text, const char *format,...) pg_attribute_printf(2, 3);

static void
add_format(Text *text, const char *format,...)
{
	char		line[256];
	va_list		args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	add(text, line, strlen(line));
}

static ssize_t
memory_read(void *arg, char *buffer, size_t length)
{
	Memory	   *memory = arg;
	size_t		part = Min(length, Min(memory->left, memory->piece));

	memcpy(buffer, memory->data, part);
	memory->data += part;
	memory->left -= part;
	return (ssize_t) part;
}

static const char *
memory_file(void *arg, const ManifestFile *file)
{
	Memory	   *memory = arg;

	if (file->path_length <= 0 || file->path_length > MANIFEST_MAX_PATH ||
		strlen(file->path) != (size_t) file->path_length ||
		file->sum_length < 0 || file->sum_length > MANIFEST_MAX_SUM ||
		file->size > PG_INT64_MAX || file->algorithm > CHECKSUM_TYPE_SHA512)
		memory->faults++;
	add(&memory->found, file->path, file->path_length);
	add_format(&memory->found, " " UINT64_FORMAT " %d ", file->size, (int) file->algorithm);
	for (int i = 0; i < file->sum_length; i++)
		add_format(&memory->found, "%02x", file->sum[i]);
	add_format(&memory->found, "\n");
	return NULL;
}

static const char *
memory_range(void *arg, const ManifestRange *range)
{
	add_format(&((Memory *) arg)->found, "%u " UINT64_FORMAT " " UINT64_FORMAT "\n", range->timeline, range->start, range->end);
	return NULL;
}

/* bytes before the last line */
static size_t
before_last_line(const char *data, size_t size)
{
	size_t		at = size == 0 ? 0 : size - 1;

	while (at > 0 && data[at - 1] != '\n')
		at--;
	return at;
}

static bool
read_text(const char *data, size_t size, size_t window, size_t piece, ManifestHead *head, Memory *memory)
{
	ManifestSource source = {memory, memory_read, memory_file, memory_range, before_last_line(data, size), window};

	memset(memory, 0, sizeof(Memory));
	memory->data = data;
	memory->left = size;
	memory->piece = piece;
	add(&memory->found, "", 0);
	return manifest_read(&source, head);
}

/* does the server's own parser take it? */
static bool
is_json(const char *data, size_t size)
{
	JsonLexContext *lex = compat_make_json_lexer(unconstify(char *, data), size);
	JsonSemAction nothing = {0};
	JsonParseErrorType error = pg_parse_json(lex, &nothing);

	pfree(lex);
	return error == JSON_SUCCESS;
}

static int
complain(const char *what, const char *data, size_t size, const ManifestHead *head)
{
	fprintf(stderr, "%s (\"%s\"):\n%.*s\n", what, head->problem, (int) size, data);
	return 1;
}

/* any bytes; *taken: they are a manifest */
static int
check_text(const char *data, size_t size, size_t window, size_t piece, bool *taken)
{
	/* as large as it has to be, so that the sanitizer sees what reads on */
	char	   *copy = malloc(size + 1);
	ManifestHead whole;
	ManifestHead pieces;
	Memory		one;
	Memory		other;
	int			faults = 0;
	bool		again;

	memcpy(copy, data, size);
	copy[size] = '\0';
	*taken = read_text(copy, size, 0, size + 1, &whole, &one);
	again = read_text(copy, size, window, piece, &pieces, &other);
	faults += one.faults + other.faults;
	if (*taken != (whole.problem[0] == '\0'))
		faults += complain("verdict without reason", data, size, &whole);
	/* only what is too long for a window may differ */
	if (strstr(pieces.problem, "too long") == NULL && strstr(pieces.problem, "not valid JSON") == NULL &&
		(again != *taken || strcmp(whole.problem, pieces.problem) != 0 || strcmp(one.found.data, other.found.data) != 0))
		faults += complain("a small window differs", data, size, &pieces);
	if (*taken && !is_json(copy, size))
		faults += complain("taken, but no JSON", data, size, &whole);
	free(one.found.data);
	free(other.found.data);
	free(copy);
	return faults;
}

/* bytes to choose by; zeros after their end */
typedef struct Bytes
{
	const uint8 *at;
	size_t		left;
} Bytes;

static unsigned int
choose(Bytes *b, unsigned int n)
{
	unsigned int v = 0;

	for (int i = 0; i < 2 && b->left > 0; i++, b->left--)
		v = v << 8 | *b->at++;
	return v % n;
}

static void
space(Bytes *b, Text *out)
{
	static const char *const spaces[] = {"", "", " ", "\n", "\t\r\n "};

	add_format(out, "%s", spaces[choose(b, lengthof(spaces))]);
}

/* a string of JSON, and what it means, which is not empty */
static void
make_string(Bytes *b, Text *out, Text *meant)
{
	static const struct
	{
		const char *json;
		const char *meant;
	}			parts[] = {
		{"base/", "base/"}, {"a", "a"}, {"\\n", "\n"}, {"\\\"", "\""}, {"\\\\", "\\"}, {"\\/", "/"}, {"\\u0061", "a"},
		{"\\u00e4", "\xc3\xa4"}, {"\xc3\xa4", "\xc3\xa4"}, {"\\u20AC", "\xe2\x82\xac"}, {"\\ud83d\\ude00", "\xf0\x9f\x98\x80"},
		{"\xff", "\xff"}, {"\\b\\f\\r\\t", "\b\f\r\t"}, {" ", " "}, {"{[,:]}", "{[,:]}"}
	};

	add_format(out, "\"");
	for (int i = choose(b, 6); i >= 0; i--)
	{
		int			part = choose(b, lengthof(parts));

		add_format(out, "%s", parts[part].json);
		add_format(meant, "%s", parts[part].meant);
	}
	add_format(out, "\"");
}

static void
make_file(Bytes *b, Text *out, Text *meant)
{
	static const char *const names[] = {"NONE", "CRC32C", "SHA224", "sha256", "SHA384", "SHA512"};
	Text		path = {0};
	uint64		size = (uint64) choose(b, 65536) << choose(b, 47);
	int			algorithm = choose(b, lengthof(names));
	int			length = algorithm == 0 ? 0 : choose(b, MANIFEST_MAX_SUM + 1);
	bool		given = algorithm > 0 || choose(b, 2) > 0;

	add_format(out, "{");
	space(b, out);
	if (choose(b, 4) > 0)
	{
		add_format(out, "\"Path\":");
		space(b, out);
		make_string(b, out, &path);
	}
	else
	{
		add_format(&path, "x%u\xfe", choose(b, 1000));
		add_format(out, "\"Encoded-Path\":\"");
		for (size_t i = 0; i < path.length; i++)
			add_format(out, choose(b, 2) ? "%02x" : "%02X", (unsigned char) path.data[i]);
		add_format(out, "\"");
	}
	add_format(out, ",\"Size\":" UINT64_FORMAT, size);
	if (choose(b, 2))
		add_format(out, ", \"Last-Modified\": \"2026-11-22 10:00:00 GMT\"");
	add(meant, path.data, path.length);
	add_format(meant, " " UINT64_FORMAT " %d ", size, algorithm);
	if (given)
		add_format(out, ",\"Checksum-Algorithm\":\"%s\"", names[algorithm]);
	if (length > 0)
	{
		add_format(out, ",\"Checksum\":\"");
		for (int i = 0; i < length; i++)
		{
			unsigned int byte = choose(b, 256);

			add_format(out, "%02x", byte);
			add_format(meant, "%02x", byte);
		}
		add_format(out, "\"");
	}
	add_format(out, "}");
	add_format(meant, "\n");
	free(path.data);
}

static void
make_files(Bytes *b, Text *out, Text *meant)
{
	int			files = choose(b, 5);

	add_format(out, "\"Files\":");
	space(b, out);
	add_format(out, "[");
	for (int i = 0; i < files; i++)
	{
		if (i > 0)
			add_format(out, ",");
		space(b, out);
		make_file(b, out, meant);
	}
	add_format(out, "],");
}

/* a manifest made of bytes, and what is to be found in it */
static void
make_manifest(Bytes *b, Text *out, Text *meant)
{
	int			version = 1 + choose(b, 2);
	bool		files_first = choose(b, 2);
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	uint8		sum[PG_SHA256_DIGEST_LENGTH];

	add_format(out, "{\"PostgreSQL-Backup-Manifest-Version\":%d,", version);
	space(b, out);
	if (version == 2)
		add_format(out, "\"System-Identifier\":18446744073709551615,");
	if (files_first)
		make_files(b, out, meant);
	if (choose(b, 8) > 0)
	{
		unsigned int timeline = choose(b, 65536);
		unsigned int high = choose(b, 65536);
		unsigned int low = choose(b, 65536);

		add_format(out, "\"WAL-Ranges\":[{\"Timeline\":%u,\"Start-LSN\":\"%X/%X\",\"End-LSN\":\"%X/%08X\"}],",
				   timeline, high, low, high, low + 1);
		add_format(meant, "%u " UINT64_FORMAT " " UINT64_FORMAT "\n", timeline, (uint64) high << 32 | low, ((uint64) high << 32 | low) + 1);
	}
	if (!files_first)
		make_files(b, out, meant);
	add_format(out, "\n");
	pg_cryptohash_init(hash);
	pg_cryptohash_update(hash, (uint8 *) out->data, out->length);
	pg_cryptohash_final(hash, sum, sizeof(sum));
	pg_cryptohash_free(hash);
	add_format(out, "\"Manifest-Checksum\": \"");
	for (int i = 0; i < sizeof(sum); i++)
		add_format(out, "%02x", sum[i]);
	add_format(out, "\"}\n");
}

static int
check_made(Bytes *b)
{
	Text text = {0};
	Text		meant = {0};
	ManifestHead head;
	Memory		memory;
	size_t		window;
	size_t		at;
	int			faults = 0;
	bool		taken;

	add(&meant, "", 0);
	make_manifest(b, &text, &meant);
	window = 300 + choose(b, 300);
	if (!read_text(text.data, text.length, window, 1 + choose(b, 100), &head, &memory))
		faults += complain("a manifest is not taken", text.data, text.length, &head);
	else if (strcmp(memory.found.data, meant.data) != 0)
		faults += complain("something else is found", text.data, text.length, &head);
	faults += memory.faults;
	free(memory.found.data);

	at = choose(b, before_last_line(text.data, text.length));
	text.		data[at] ^= (char) (1 + choose(b, 255));

	faults += check_text(text.data, text.length, window, 7, &taken);
	if (taken)
		faults += complain("a changed manifest is taken", text.data, text.length, &head);
	free(text.data);
	free(meant.data);
	return faults;
}

#endif							/* MANIFEST_PROPERTY_H */
