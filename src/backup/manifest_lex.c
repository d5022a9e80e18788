/*-------------------------------------------------------------------------
 *
 * manifest_lex.c
 *	  The tokens of a backup manifest.
 *
 * The server's JSON lexer works on a window that moves over the file.  A token
 * that reaches to the end of the window may go on behind it: then the window is
 * moved to where the token begins, filled, and read again.  An error of the
 * lexer counts only where that cannot help.  What is read is summed up on the
 * way, up to the last line, which has the sum.
 *
 * The lexer is asked for tokens as they are written (manifest_value.c says what
 * they mean): so this is the same with all versions of the server, of which the
 * newer ones have a parser in pieces, and the older ones one that wants all.
 *
 * Raises no errors.  Is also built outside the server, for the fuzzer.
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

#include "mb/pg_wchar.h"

#include "backup/manifest_lex.h"
#include "core/compat.h"

/*
 * Note what is wrong; the first thing counts.  Always false.
 */
bool
manifest_fail(ManifestLexer *r, const char *format,...)
{
	char text[	384];
	va_list		args;

	if (r->head->problem[0] != '\0')
		return false;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(r->head->problem, sizeof(r->head->problem), "%s, on line " UINT64_FORMAT, text,
			 r->lines + (r->lex != NULL ? r->lex->line_number : 1));
	return false;
}

/*
 * Drop the first bytes of the window and fill it up.
 */
static bool
move_window(ManifestLexer *r, size_t drop)
{
	size_t		rest = r->filled - drop;

	memmove(r->window, r->window + drop, rest);
	r->filled = rest;
	while (r->filled < r->size && !r->at_end)
	{
		ssize_t		got = r->source->read(r->source->arg, r->window + r->filled, r->size - r->filled);

		if (got < 0)
			return manifest_fail(r, "it cannot be read: %s", strerror(errno));
		if (got == 0)
			r->at_end = true;
		else if (r->summed < r->source->summed)
		{
			size_t		part = Min((uint64) got, r->source->summed - r->summed);

			if (pg_cryptohash_update(r->hash, (const uint8 *) r->window + r->filled, part) < 0)
				return manifest_fail(r, "its SHA-256 could not be computed");
			r->summed += part;
		}
		r->filled += got;
	}
	/* the lexer looks at a few bytes more where it complains */
	memset(r->window + r->filled, 0, 8);
	if (r->lex != NULL)
	{
		r->lines += r->lex->line_number - 1;
		pfree(r->lex);
	}
	r->lex = compat_make_json_lexer(r->window, r->filled);
	return true;
}

/*
 * The next token: its kind, and its text, which is good until the next one.
 */
bool
manifest_next_token(ManifestLexer *r)
{
	for (;;)
	{
		size_t		at = r->lex->token_terminator - r->window;
		int			line = r->lex->line_number;
		JsonParseErrorType error = json_lex(r->lex);
		size_t		end = r->lex->token_terminator - r->window;

		if (error == JSON_SUCCESS && (r->at_end || end < r->filled))
			break;
		if (r->at_end)
			return manifest_fail(r, "it is not valid JSON");
		if (at == 0 && r->filled == r->size)
			return manifest_fail(r, error == JSON_SUCCESS ? "a value is too long" : "it is not valid JSON");
		r->lex->line_number = line;
		if (!move_window(r, at))
			return false;
	}
	r->token = r->lex->token_type;
	r->text = r->lex->token_start;
	r->length = r->token == JSON_TOKEN_END ? 0 : r->lex->token_terminator - r->lex->token_start;
	if (r->token == JSON_TOKEN_STRING)
	{
		r->text ++;
		r->length -= 2;
	}
	return true;
}

/*
 * Begin with the first window.
 */
bool
manifest_lexer_begin(ManifestLexer *r, const ManifestSource *source, ManifestHead *head)
{
	memset(r, 0, sizeof(ManifestLexer));
	r->source = source;
	r->head = head;
	r->size = source->window > 0 ? source->window : MANIFEST_WINDOW;
	r->window = palloc(r->size + 8);
	r->hash = pg_cryptohash_create(PG_SHA256);
	if (r->hash == NULL || pg_cryptohash_init(r->hash) < 0)
		return manifest_fail(r, "its SHA-256 could not be computed");
	return move_window(r, 0);
}

/*
 * The sum of what is before the last line; at the end.
 */
bool
manifest_lexer_sum(ManifestLexer *r, uint8 *sum)
{
	if (r->summed != r->source->summed || pg_cryptohash_final(r->hash, sum, PG_SHA256_DIGEST_LENGTH) < 0)
		return manifest_fail(r, "its SHA-256 could not be computed");
	return true;
}

void
manifest_lexer_end(ManifestLexer *r)
{
	pg_cryptohash_free(r->hash);
	if (r->lex != NULL)
		pfree(r->lex);
	pfree(r->window);
}
