/*-------------------------------------------------------------------------
 *
 * manifest_lex.h
 *	  The tokens of a backup manifest.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_MANIFEST_LEX_H
#define MAINTSCHED_MANIFEST_LEX_H

#include "common/cryptohash.h"
#include "common/jsonapi.h"

#include "backup/manifest.h"

typedef struct ManifestLexer
{
	const ManifestSource *source;
	ManifestHead *head;
	JsonLexContext *lex;
	char	   *window;
	size_t		size;			/* of it */
	size_t		filled;
	bool		at_end;			/* the window holds the end of the file */
	uint64		lines;			/* before the window */
	uint64		summed;			/* bytes summed so far */
	pg_cryptohash_ctx *hash;
	/* the token read last */
	JsonTokenType token;
	const char *text;			/* without the quotes of a string */
	size_t		length;
} ManifestLexer;

extern bool manifest_lexer_begin(ManifestLexer *lexer, const ManifestSource *source, ManifestHead *head);
extern bool manifest_next_token(ManifestLexer *lexer);
extern bool manifest_fail(ManifestLexer *lexer, const char *format,...) pg_attribute_printf(2, 3);
extern bool manifest_lexer_sum(ManifestLexer *lexer, uint8 *sum);
extern void manifest_lexer_end(ManifestLexer *lexer);

#endif							/* MAINTSCHED_MANIFEST_LEX_H */
