/*-------------------------------------------------------------------------
 *
 * nearest.c
 *	  The nearest known name, for "perhaps you meant".
 *
 * Levenshtein distance as the parser uses for misspelt columns
 * (scanRTEForColumn in parse_relation.c): a candidate further away than half
 * the word's length is no help and is not offered.  Case is folded, because
 * names match without regard to it.  Runs in any backend; no locks.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/varlena.h"

#include "core/compat.h"
#include "core/nearest.h"

PG_FUNCTION_INFO_V1(maintsched_nearest_name);

/* varstr_levenshtein() refuses more than 255 characters */
#define MAX_WORD_BYTES 255

/*
 * Returns one of candidates, or NULL where none is near.
 */
const char *
nearest_name(const char *word, const char *const *candidates, int n)
{
	int			word_length = strlen(word);
	int			best_distance = word_length / 2 + 1;
	const char *best = NULL;
	char	   *folded_word;

	if (word_length == 0 || word_length > MAX_WORD_BYTES)
		return NULL;
	folded_word = asc_tolower(word, word_length);

	for (int i = 0; i < n; i++)
	{
		int			length = strlen(candidates[i]);
		int			distance;
		char	   *folded;

		if (length == 0 || length > MAX_WORD_BYTES)
			continue;
		folded = asc_tolower(candidates[i], length);
		distance = varstr_levenshtein_less_equal(folded_word, word_length,
												 folded, length,
												 1, 1, 1,
												 best_distance, true);
		pfree(folded);
		if (distance < best_distance)
		{
			best_distance = distance;
			best = candidates[i];
		}
	}

	pfree(folded_word);
	return best;
}

/*
 * nearest_name(word text, candidates text[]) returns text
 */
Datum
maintsched_nearest_name(PG_FUNCTION_ARGS)
{
	char	   *word = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(1);
	Datum	   *elements;
	bool	   *nulls;
	int			nelements;
	int			n = 0;
	const char **candidates;
	const char *best;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &nelements);
	candidates = palloc(sizeof(char *) * Max(nelements, 1));
	for (int i = 0; i < nelements; i++)
	{
		if (!nulls[i])
			candidates[n++] = TextDatumGetCString(elements[i]);
	}

	best = nearest_name(word, candidates, n);
	if (best == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(best));
}
