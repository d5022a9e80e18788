/*-------------------------------------------------------------------------
 *
 * verify_report.c
 *	  What a verification finds wrong.
 *
 * All problems are counted; the first of them are kept, as the elements of a
 * JSON array: a backup that has lost its folder has as many as files.  Paths
 * are bytes: what the encoding of the database could not hold, and a backslash,
 * is shown as PostgreSQL shows bytea, \xe4 and \\.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/json.h"

#include "backup/verify.h"

/*
 * A path as text.
 */
char	   *
verify_shown_path(const char *path, size_t length)
{
	bool		utf8 = (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII) &&
	pg_encoding_verifymbstr(PG_UTF8, path, length) == length;
	StringInfoData shown;

	initStringInfo(&shown);
	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = path[i];

		if (c == '\\')
			appendStringInfoString(&shown, "\\\\");
		else if (c < ' ' || c == 0x7F || (c > 0x7F && !utf8))
			appendStringInfo(&shown, "\\x%02x", c);
		else
			appendStringInfoChar(&shown, c);
	}
	return shown.data;
}

/*
 * Note a problem.  path: NULL where it is the whole.
 */
void
verify_problem(VerifyReport *report, const char *kind, const char *path, size_t length,
			   const char *format,...)
{
	char		detail[1024];
	va_list		args;

	if (strcmp(kind, "manifest") == 0)
		report->manifest = true;
	if (report->count++ >= report->limit)
		return;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);

	appendStringInfoString(&report->json, report->json.len > 1 ? ", {\"kind\": " : "{\"kind\": ");
	escape_json(&report->json, kind);
	appendStringInfoString(&report->json, ", \"path\": ");
	if (path == NULL)
		appendStringInfoString(&report->json, "null");
	else
	{
		char	   *shown = verify_shown_path(path, length);

		escape_json(&report->json, shown);
		pfree(shown);
	}
	appendStringInfoString(&report->json, ", \"detail\": ");
	escape_json(&report->json, detail);
	appendStringInfoChar(&report->json, '}');
}
