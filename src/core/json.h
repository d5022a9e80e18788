/*-------------------------------------------------------------------------
 *
 * json.h
 *	  Strict reading of JSON documents.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_JSON_H
#define MAINTSCHED_JSON_H

#include <cjson/cJSON.h>

#include "lib/stringinfo.h"

/* what a document may hold at the most */
#define JSON_MAX_BYTES		(4 * 1024 * 1024)
#define JSON_MAX_DEPTH		32
#define JSON_MAX_KEYS		256 /* in one object */
#define JSON_MAX_KEY_BYTES	256
#define JSON_MAX_VALUES		100000	/* in all */
#define JSON_MAX_NUMBER		60	/* characters of one number */
#define JSON_MAX_EXPONENT	2	/* digits of its exponent */

/*
 * A document that was read.  The tree is malloc'ed: json_free() it in
 * PG_FINALLY.  Strings in it are UTF-8, whatever the server's encoding.
 */
typedef struct JsonDocument
{
	cJSON	   *root;
	char	  **numbers;		/* the numbers as written, in document order */
	int			nnumbers;
} JsonDocument;

extern void json_read(const char *text, JsonDocument *document);
extern void json_free(JsonDocument *document);
extern const char *json_number(const JsonDocument *document, const cJSON *item);
extern const char *json_shown(const char *utf8);
extern void json_append_key(StringInfo path, const char *key);

#endif							/* MAINTSCHED_JSON_H */
