/*-------------------------------------------------------------------------
 *
 * name.c
 *	  Patterns of names in the parameters of routines.
 *
 * A plan asks for each relation of the database whether include or exclude
 * mean it, for tens of thousands of them: in SQL that took longer than
 * measuring them.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(maintsched_name_matches);

/*
 * Whether a text matches a pattern in which * is any text and ? one character.
 * Of the stars only the last one passed is ever tried again: what an earlier one
 * could take more of, a later one can, too.
 */
static bool
matches(const char *pattern, int pattern_len, const char *text, int text_len)
{
	int			p = 0;
	int			t = 0;
	int			star = -1;
	int			retry = 0;

	while (t < text_len)
	{
		if (p < pattern_len && pattern[p] == '*')
		{
			star = p++;
			retry = t;
		}
		else if (p < pattern_len && pattern[p] == '?')
		{
			p++;
			t += pg_mblen(text +t);
		}
		else if (p < pattern_len && pattern[p] == text[t])
		{
			p++;
			t++;
		}
		else if (star >= 0)
		{
			p = star + 1;
			retry += pg_mblen(text +retry);
			t = retry;
		}
		else
			return false;
	}
	while (p < pattern_len && pattern[p] == '*')
		p++;
	return p == pattern_len;
}

/*
 * name_matches(schema_name text, relation_name text, patterns jsonb) returns
 * boolean: whether one of the patterns, an array of texts, is that of the schema
 * or of schema.relation.
 */
Datum
maintsched_name_matches(PG_FUNCTION_ARGS)
{
	text	   *schema;
	text	   *relation;
	Jsonb	   *patterns;
	StringInfoData both;
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;
	int			schema_len;
	bool		found = false;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_BOOL(false);
	schema = PG_GETARG_TEXT_PP(0);
	relation = PG_GETARG_TEXT_PP(1);
	patterns = PG_GETARG_JSONB_P(2);
	if (!JB_ROOT_IS_ARRAY(patterns) || JB_ROOT_IS_SCALAR(patterns))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("patterns of names are not a JSON array")));

	schema_len = VARSIZE_ANY_EXHDR(schema);
	initStringInfo(&both);
	appendBinaryStringInfo(&both, VARDATA_ANY(schema), schema_len);
	appendStringInfoChar(&both, '.');
	appendBinaryStringInfo(&both, VARDATA_ANY(relation), VARSIZE_ANY_EXHDR(relation));
	it = JsonbIteratorInit(&patterns->root);
	while (!found && (token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM || v.type != jbvString)
			continue;
		found = matches(v.val.string.val, v.val.string.len, both.data, schema_len) ||
			matches(v.val.string.val, v.val.string.len, both.data, both.len);
	}
	pfree(both.data);
	PG_RETURN_BOOL(found);
}
