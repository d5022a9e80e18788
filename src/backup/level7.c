/*-------------------------------------------------------------------------
 *
 * level7.c
 *	  Level 7 of the ladder: every file of a backup matches its checksum.
 *
 * What is to be verified is told by the caller, and what is found is left in
 * the same struct, so that no table is read and no snapshot is held while
 * gigabytes are read or a tool runs.  A backup passes where there is evidence:
 * it fails where something is wrong with it, and is not checked where that
 * could not be found out, each with the reason in words.
 *
 * A backup by pg_basebackup is compared with its manifest by verify_run(), and
 * one that is incremental with all those on which it builds: it is worth no
 * more than the worst of them.  The WAL that it needs to be consistent is read
 * besides (level7_wal.c).
 *
 * Runs in the backend that verifies, reads files as the server's user.  Errors
 * are those of the tools and of paths out of bounds; the caller takes them for
 * "not checked".
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "backup/level7.h"

void
level7_begin(Level7 *l)
{
	l->result = LEVEL7_PASS;
	l->problems = NIL;
	l->more = 0;
	initStringInfo(&l->facts);
}

static void note(Level7 *l, Level7Result result, const char *format, va_list args) pg_attribute_printf(3, 0);

static void
note(Level7 *l, Level7Result result, const char *format, va_list args)
{
	char		words[2048];

	l->result = Max(l->result, result);
	if (list_length(l->problems) >= LEVEL7_PROBLEMS)
	{
		l->more++;
		return;
	}
	vsnprintf(words, sizeof(words), format, args);
	l->problems = lappend(l->problems, pstrdup(words));
}

/*
 * Something is wrong with the backup.
 */
void
level7_fail(Level7 *l, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	note(l, LEVEL7_FAIL, format, args);
	va_end(args);
}

/*
 * Something could not be found out.
 */
void
level7_unchecked(Level7 *l, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	note(l, LEVEL7_NOT_CHECKED, format, args);
	va_end(args);
}

static void
begin_fact(Level7 *l, const char *name)
{
	if (l->facts.len > 0)
		appendStringInfoString(&l->facts, ", ");
	escape_json(&l->facts, name);
	appendStringInfoString(&l->facts, ": ");
}

void
level7_fact(Level7 *l, const char *name, const char *value)
{
	begin_fact(l, name);
	escape_json(&l->facts, value);
}

void
level7_number(Level7 *l, const char *name, uint64 value)
{
	begin_fact(l, name);
	appendStringInfo(&l->facts, UINT64_FORMAT, value);
}

/*
 * A text in an object of a JSON array; NULL: it has none.
 */
static char *
text_of(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(object, key, strlen(key), &value) == NULL || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/*
 * The problems of a verification, in words.  Returns whether there is one that
 * is more than that something is not supported here.
 */
static bool
take_problems(Level7 *l, const Level7Member *member, const Verification *v)
{
	Jsonb	   *problems = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(v->report.json.data)));
	int			count = JsonContainerSize(&problems->root);
	bool		of_another = member->directory != NULL && strcmp(member->label, l->label) != 0;
	bool		failed = v->report.count > count;

	for (int i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(&problems->root, i);
		char	   *kind = text_of(element->val.binary.data, "kind");
		char	   *path = text_of(element->val.binary.data, "path");
		char	   *detail = text_of(element->val.binary.data, "detail");
		bool		unsupported = strcmp(kind, "unsupported") == 0;

		failed |= !unsupported;
		(unsupported ? level7_unchecked : level7_fail)
			(l, "%s%s%s%s%s: %s", of_another ? "backup " : "", of_another ? member->label : "", of_another ? ", " : "",
			 path == NULL ? kind : path, path != NULL && detail == NULL ? kind : "", detail == NULL ? "" : detail);
	}
	if (v->report.count > count)
		l->more += v->report.count - count;
	return failed;
}

/*
 * What the manifest itself says, beside what is expected of the backup.
 */
static void
compare_positions(Level7 *l, const Level7Member *member, const Verification *v)
{
	const VerifySummary *summary = &v->summary;
	char	   *system = NULL;

	if (summary->head.has_system_identifier)
		system = psprintf(UINT64_FORMAT, summary->head.system_identifier);
	else if (summary->has_control)
		system = psprintf(UINT64_FORMAT, summary->control_identifier);
	if (system == NULL)
		level7_unchecked(l, "backup %s does not say of which cluster it is", member->label);
	else if (l->system != NULL && strcmp(system, l->system) != 0)
		level7_fail(l, "backup %s is of cluster %s, not of %s", member->label, system, l->system);

	/* a manifest that was made later does not say which WAL it needs */
	if (summary->head.ranges == 0)
		return;
	if (summary->control_redo != 0 &&
		(summary->control_redo < summary->start || summary->control_redo > summary->end))
		level7_fail(l, "the control file of backup %s is of another one: it is of position %X/%X, the backup from %X/%X to %X/%X",
					member->label, LSN_FORMAT_ARGS(summary->control_redo),
					LSN_FORMAT_ARGS(summary->start), LSN_FORMAT_ARGS(summary->end));
	if (!XLogRecPtrIsInvalid(member->start) && member->start != summary->start)
		level7_fail(l, "backup %s begins at %X/%X by its manifest, and at %X/%X by the catalogue",
					member->label, LSN_FORMAT_ARGS(summary->start), LSN_FORMAT_ARGS(member->start));
}

/*
 * A folder by pg_basebackup, beside its manifest.
 */
void
level7_directory(Level7 *l, const Level7Member *member)
{
	Verification v = {0};
	bool		failed;

	if (member->directory == NULL)
	{
		level7_unchecked(l, "it is not known where backup %s lies", member->label);
		return;
	}
	if (l->roots.count == 0)
	{
		level7_unchecked(l, "no folder of backups may be read: maintsched.backup_roots is empty");
		return;
	}
	v.place.roots = l->roots;
	v.report.limit = LEVEL7_PROBLEMS;
	verify_run(&v, member->directory, NULL, true);
	failed = v.report.count > 0 && take_problems(l, member, &v);
	if (v.report.manifest || v.place.nbases == 0)
		return;
	/* what it is restored to with WAL is the last of a chain */
	if (strcmp(member->label, l->label) == 0)
		level7_wal(l, member->directory, &v.summary);
	if (failed)
		return;
	compare_positions(l, member, &v);
	if (v.totals.unsummed > 0)
		level7_unchecked(l, "the manifest of backup %s has no checksum of " UINT64_FORMAT " of its files",
						 member->label, v.totals.unsummed);
	if (strcmp(member->label, l->label) == 0)
	{
		level7_fact(l, "checksums", "own");
		level7_number(l, "files", v.summary.head.files);
		level7_number(l, "bytes", v.summary.bytes);
		level7_number(l, "files_read", v.totals.files);
		level7_number(l, "bytes_read", v.totals.bytes);
		level7_number(l, "manifest_version", v.summary.head.version);
		level7_number(l, "processes", v.totals.processes);
	}
}

/*
 * Have a tool verify, which may take long.
 */
void
level7_ask(BackupTool tool, List *arguments, const ToolLimits *limits, ToolAnswer *answer)
{
	verify_progress_begin();
	verify_progress(VERIFY_ASKING, 0, 0);
	PG_TRY();
	{
		tool_work(tool, arguments, limits, answer);
	}
	PG_FINALLY();
	{
		verify_progress_end();
	}
	PG_END_TRY();
}

/*
 * Read no faster than is allowed: so many bytes since then.
 */
void
level7_pace(uint64 bytes, TimestampTz since)
{
	for (;;)
	{
		double		ahead;

		CHECK_FOR_INTERRUPTS();
		if (verify_rate_kb == 0)
			return;
		ahead = bytes * 1000.0 / (verify_rate_kb * 1024.0) - (GetCurrentTimestamp() - since) / 1000.0;
		if (ahead < 1)
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 (long) Min(ahead, 1000), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

static void
verify_chain(Level7 *l)
{
	ListCell   *cell;

	foreach(cell, l->chain)
		level7_directory(l, lfirst(cell));
	if (list_length(l->chain) > 1)
		level7_number(l, "chain", list_length(l->chain));
}

void
level7_verify(Level7 *l)
{
	instr_time	begun;
	instr_time	ended;

	INSTR_TIME_SET_CURRENT(begun);
	if (strcmp(l->kind, "basebackup") == 0)
		verify_chain(l);
	else if (strcmp(l->kind, "pgbackrest") == 0)
		level7_pgbackrest(l);
	else
		level7_barman(l);
	INSTR_TIME_SET_CURRENT(ended);
	INSTR_TIME_SUBTRACT(ended, begun);
	l->seconds = INSTR_TIME_GET_DOUBLE(ended);
}
