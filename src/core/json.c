/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Strict reading of JSON documents.
 *
 * A document is read twice.  The server's streaming parser goes first: it
 * knows the grammar, sees keys before they can shadow each other, and hands
 * over numbers as they were written.  Here it also keeps the path to the
 * value being read, so that an error can say where.  What passes is then
 * built into a tree by cJSON, which alone would be too forgiving: it accepts
 * trailing garbage, duplicate keys, leading zeros, raw control characters
 * and a byte order mark, looks keys up without regard to case, and keeps
 * numbers as doubles.  So the tree is walked with the case-sensitive getters
 * only, and the exact text of a number is kept beside it: valueint of a
 * number item, which cJSON itself does not need any more, is its index in
 * JsonDocument.numbers.
 *
 * Invariants: nothing that exceeds the limits of json.h reaches cJSON; the
 * tree has exactly the values that the first parser saw.  Runs in any
 * backend, takes no locks, reads no catalogs.  The tree is malloc'ed, so
 * every caller frees it in PG_FINALLY.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "core/compat.h"
#include "core/json.h"

/* where the streaming parser is: one frame for each open object or array */
typedef struct JsonFrame
{
	bool		is_array;
	bool		in_value;		/* between the start and the end of one */
	int			index;			/* of the element read last */
	char	  **keys;			/* seen so far */
	int			nkeys;
	int			max_keys;
} JsonFrame;

typedef struct JsonCheck
{
	JsonLexContext *lex;
	JsonFrame	frames[JSON_MAX_DEPTH];
	int			depth;
	int			nvalues;
	char	  **numbers;
	int			nnumbers;
	int			max_numbers;
} JsonCheck;

/*
 * A key, in the server's encoding, as part of a path: .name, or ["any other"].
 */
void
json_append_key(StringInfo path, const char *key)
{
	const char *p;

	for (p = key; *p != '\0'; p++)
	{
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			  (*p >= '0' && *p <= '9') || *p == '_'))
			break;
	}
	if (*p == '\0' && p > key)
		appendStringInfo(path, "%s%s", path->len > 0 ? "." : "", key);
	else
		appendStringInfo(path, "[\"%s\"]", key);
}

/*
 * A string of the tree as it may stand in a message: in the server's
 * encoding, not too long.
 */
const char *
json_shown(const char *utf8)
{
	int			length = strlen(utf8);
	int			clipped = pg_encoding_mbcliplen(PG_UTF8, utf8, length, 80);
	char	   *result = pnstrdup(utf8, clipped);

	result = pg_any_to_server(result, clipped, PG_UTF8);
	return clipped < length ? psprintf("%s...", result) : result;
}

static const char *
json_path(const JsonCheck *check)
{
	StringInfoData path;

	initStringInfo(&path);
	for (int i = 0; i < check->depth; i++)
	{
		const JsonFrame *frame = &check->frames[i];

		if (!frame->in_value)
			break;
		if (frame->is_array)
			appendStringInfo(&path, "[%d]", frame->index);
		else
			json_append_key(&path, frame->keys[frame->nkeys - 1]);
	}
	return path.len > 0 ? path.data : "document";
}

static void
json_limit_error(const JsonCheck *check, const char *what, int limit)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("%s: %s", json_path(check), what),
			 errdetail("The limit is %d; the document exceeds it on line %d.",
					   limit, check->lex->line_number)));
}

static void
json_count_value(JsonCheck *check)
{
	if (++check->nvalues > JSON_MAX_VALUES)
		json_limit_error(check, "too many values in the document", JSON_MAX_VALUES);
}

static void
json_open(JsonCheck *check, bool is_array)
{
	JsonFrame  *frame;

	if (check->depth >= JSON_MAX_DEPTH)
		json_limit_error(check, "nested too deeply", JSON_MAX_DEPTH);
	json_count_value(check);
	frame = &check->frames[check->depth++];
	memset(frame, 0, sizeof(JsonFrame));
	frame->is_array = is_array;
	frame->index = -1;
}

static void
json_close(JsonCheck *check)
{
	JsonFrame  *frame = &check->frames[--check->depth];

	for (int i = 0; i < frame->nkeys; i++)
		pfree(frame->keys[i]);
	if (frame->keys != NULL)
		pfree(frame->keys);
}

static compat_json_result
json_object_start(void *state)
{
	json_open((JsonCheck *) state, false);
	return compat_json_success;
}

static compat_json_result
json_array_start(void *state)
{
	json_open((JsonCheck *) state, true);
	return compat_json_success;
}

static compat_json_result
json_object_or_array_end(void *state)
{
	json_close((JsonCheck *) state);
	return compat_json_success;
}

static compat_json_result
json_array_element_start(void *state, bool isnull)
{
	JsonCheck  *check = (JsonCheck *) state;

	check->frames[check->depth - 1].index++;
	check->frames[check->depth - 1].in_value = true;
	return compat_json_success;
}

static compat_json_result
json_array_element_end(void *state, bool isnull)
{
	JsonCheck  *check = (JsonCheck *) state;

	check->frames[check->depth - 1].in_value = false;
	return compat_json_success;
}

/*
 * A key, already free of escapes: "\u0061" and "a" are the same one.
 */
static compat_json_result
json_object_field_start(void *state, char *fname, bool isnull)
{
	JsonCheck  *check = (JsonCheck *) state;
	JsonFrame  *frame = &check->frames[check->depth - 1];

	for (int i = 0; i < frame->nkeys; i++)
	{
		if (strcmp(frame->keys[i], fname) == 0)
		{
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_JSON_OBJECT_KEY_VALUE),
					 errmsg("%s: duplicate key \"%s\"", json_path(check),
							pnstrdup(fname, pg_mbcliplen(fname, strlen(fname), 80))),
					 errdetail("The second one is on line %d.",
							   check->lex->line_number)));
		}
	}

	if (strlen(fname) > JSON_MAX_KEY_BYTES)
		json_limit_error(check, "key has too many bytes", JSON_MAX_KEY_BYTES);
	if (frame->nkeys >= JSON_MAX_KEYS)
		json_limit_error(check, "too many keys in one object", JSON_MAX_KEYS);
	if (frame->nkeys >= frame->max_keys)
	{
		frame->max_keys = Max(16, frame->max_keys * 2);
		frame->keys = frame->keys == NULL ?
			palloc(frame->max_keys * sizeof(char *)) :
			repalloc(frame->keys, frame->max_keys * sizeof(char *));
	}
	frame->keys[frame->nkeys++] = fname;
	frame->in_value = true;
	return compat_json_success;
}

static compat_json_result
json_object_field_end(void *state, char *fname, bool isnull)
{
	JsonCheck  *check = (JsonCheck *) state;

	check->frames[check->depth - 1].in_value = false;
	return compat_json_success;
}

/*
 * Numbers are kept as written.  One that jsonb could not hold, or cJSON not
 * read, is refused here, where the path is known.
 */
static compat_json_result
json_scalar(void *state, char *token, JsonTokenType tokentype)
{
	JsonCheck  *check = (JsonCheck *) state;
	const char *exponent;

	json_count_value(check);
	if (tokentype != JSON_TOKEN_NUMBER)
	{
		pfree(token);
		return compat_json_success;
	}

	if (strlen(token) > JSON_MAX_NUMBER)
		json_limit_error(check, "number has too many characters", JSON_MAX_NUMBER);
	exponent = strpbrk(token, "eE");
	if (exponent != NULL && strlen(exponent + strcspn(exponent, "0123456789")) > JSON_MAX_EXPONENT)
		json_limit_error(check, "exponent has too many digits", JSON_MAX_EXPONENT);

	if (check->nnumbers >= check->max_numbers)
	{
		check->max_numbers = Max(64, check->max_numbers * 2);
		check->numbers = check->numbers == NULL ?
			palloc(check->max_numbers * sizeof(char *)) :
			repalloc(check->numbers, check->max_numbers * sizeof(char *));
	}
	check->numbers[check->nnumbers++] = token;
	return compat_json_success;
}

/*
 * Bytes that the parsers may take for granted: not too many, UTF-8 even where
 * the database does not check (SQL_ASCII), no byte order mark.
 */
static void
json_check_bytes(const char *text, size_t length)
{
	if (length > JSON_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("document: %zu bytes are too many", length),
				 errdetail("The limit is %d.", JSON_MAX_BYTES)));

	if (GetDatabaseEncoding() == PG_SQL_ASCII)
	{
		int			valid = pg_encoding_verifymbstr(PG_UTF8, text, length);

		if (valid != length)
		{
			int			line = 1;

			for (int i = 0; i < valid; i++)
				line += text[i] == '\n';

			ereport(ERROR,
					(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
					 errmsg("document: not valid UTF-8, on line %d", line)));
		}
	}

	if (strncmp(text, "\xEF\xBB\xBF", 3) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_JSON_TEXT),
				 errmsg("document: not valid JSON, on line 1"),
				 errdetail("It starts with a byte order mark."),
				 errhint("Save it as UTF-8 without byte order mark.")));
}

static void
json_check_syntax(const char *text, size_t length, JsonCheck *check)
{
	JsonSemAction actions = {0};
	JsonParseErrorType error;

	memset(check, 0, sizeof(JsonCheck));
	check->lex = compat_make_json_lex(text, length, GetDatabaseEncoding());

	actions.semstate = check;
	actions.object_start = json_object_start;
	actions.object_end = json_object_or_array_end;
	actions.array_start = json_array_start;
	actions.array_end = json_object_or_array_end;
	actions.object_field_start = json_object_field_start;
	actions.object_field_end = json_object_field_end;
	actions.array_element_start = json_array_element_start;
	actions.array_element_end = json_array_element_end;
	actions.scalar = json_scalar;

	error = pg_parse_json(check->lex, &actions);
	if (error != JSON_SUCCESS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_JSON_TEXT),
				 errmsg("%s: not valid JSON, on line %d",
						json_path(check), check->lex->line_number),
				 errdetail_internal("%s", json_errdetail(error, check->lex))));
}

/*
 * Let each number item of the tree know its text.  Recursion is bounded by
 * JSON_MAX_DEPTH.
 */
static int
json_attach_numbers(cJSON *item, int next)
{
	if (cJSON_IsNumber(item))
	{
		item->valueint = next;
		return next + 1;
	}
	for (cJSON *child = item->child; child != NULL; child = child->next)
		next = json_attach_numbers(child, next);
	return next;
}

/*
 * Read text, which is in the server's encoding, or raise an error.  Where an
 * error is raised nothing is left to free.
 */
void
json_read(const char *text, JsonDocument *document)
{
	size_t		length = strlen(text);
	char	   *utf8;
	JsonCheck  *check = palloc(sizeof(JsonCheck));

	json_check_bytes(text, length);
	json_check_syntax(text, length, check);

	utf8 = pg_server_to_any(text, length, PG_UTF8);
	document->numbers = check->numbers;
	document->nnumbers = check->nnumbers;
	document->root = cJSON_ParseWithLengthOpts(utf8, strlen(utf8) + 1, NULL, true);
	if (document->root == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("The tree of a JSON document could not be built.")));

	if (json_attach_numbers(document->root, 0) != document->nnumbers)
	{
		json_free(document);
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg_internal("the two JSON parsers disagree")));
	}
	pfree(check);
}

void
json_free(JsonDocument *document)
{
	cJSON_Delete(document->root);
	document->root = NULL;
}

/*
 * A number as it was written.
 */
const char *
json_number(const JsonDocument *document, const cJSON *item)
{
	Assert(cJSON_IsNumber(item));
	Assert(item->valueint >= 0 && item->valueint < document->nnumbers);
	return document->numbers[item->valueint];
}
