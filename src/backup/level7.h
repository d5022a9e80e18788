/*-------------------------------------------------------------------------
 *
 * level7.h
 *	  Level 7 of the ladder: every file of a backup matches its checksum.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_LEVEL7_H
#define MAINTSCHED_LEVEL7_H

#include "access/xlogdefs.h"
#include "backup/tool.h"
#include "backup/verify.h"
#include "datatype/timestamp.h"

/* so many problems are said in words; the others are counted */
#define LEVEL7_PROBLEMS	20

typedef enum Level7Result
{
	LEVEL7_PASS,
	LEVEL7_NOT_CHECKED,
	LEVEL7_FAIL,
} Level7Result;

/* a backup that is needed for the one that is verified, or that one itself */
typedef struct Level7Member
{
	char	   *label;
	char	   *directory;		/* NULL: not known */
	XLogRecPtr	start;			/* by the catalogue; invalid: not known */
	XLogRecPtr	end;
	char	   *system;			/* identifier, as text; NULL: not known */
} Level7Member;

typedef struct Level7
{
	/* what is to be verified */
	char	   *repository;
	char	   *kind;
	char	   *location;
	char	   *config;			/* NULL: the tool's own */
	char	   *label;
	char	   *system;			/* the identifier that it must have */
	char	   *number;			/* which of the tool's repositories; NULL: its
								 * only one */
	char	   *start_wal;		/* first WAL file that it needs; NULL: not
								 * known */
	char	   *end_wal;		/* last one to be consistent */
	bool		waiting;		/* for WAL that is to come */
	char	   *archive;		/* the tool's name for the archive; NULL: not
								 * known */
	List	   *chain;			/* Level7Member *, the backup itself last */
	List	   *paths;			/* char *: where the repository may lie */
	List	   *archives;		/* char *: where archived WAL may lie */
	VerifyRoots roots;			/* below which the server may read files */

	/* what was found */
	Level7Result result;
	List	   *problems;		/* char * */
	int64		more;			/* problems that are not among them */
	StringInfoData facts;		/* members of a JSON object */
	double		seconds;

	/* what a tool said of its whole repository, for the next backup of it */
	struct ToolVerdict **said;
	MemoryContext keep;			/* where that is kept */
} Level7;

/* level7_subject.c */
extern uint64 verify_query_as_owner(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls);
extern char *verify_value_of(uint64 row, int column);
extern void verify_done_with_result(void);
extern void level7_describe(Level7 *l, const char *repository, const char *label);

/* level7.c */
extern void level7_begin(Level7 *l);
extern void level7_fail(Level7 *l, const char *format,...) pg_attribute_printf(2, 3);
extern void level7_unchecked(Level7 *l, const char *format,...) pg_attribute_printf(2, 3);
extern void level7_fact(Level7 *l, const char *name, const char *value);
extern void level7_number(Level7 *l, const char *name, uint64 value);
extern void level7_verify(Level7 *l);
extern void level7_ask(BackupTool tool, List *arguments, const ToolLimits *limits, ToolAnswer *answer);
extern void level7_directory(Level7 *l, const Level7Member *member);

extern void level7_pace(uint64 bytes, TimestampTz since);

/* level7_wal.c */
extern void level7_wal(Level7 *l, const char *directory, const VerifySummary *summary);

/* level7_barman.c */
extern void level7_barman(Level7 *l);

/* level7_pgbackrest.c */
extern void level7_pgbackrest(Level7 *l);

#endif							/* MAINTSCHED_LEVEL7_H */
