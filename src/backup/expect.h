/*-------------------------------------------------------------------------
 *
 * expect.h
 *	  What a restored backup is to hold.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_EXPECT_H
#define MAINTSCHED_EXPECT_H

#include "access/xlogdefs.h"
#include "utils/snapshot.h"

/* as long as the name of a restore point may be */
#define EXPECT_POINT_NAME 64

/* how far apart locks are asked for, in ms */
#define EXPECT_LOCK_PAUSE 50

/* a table that is read */
typedef struct ExpectedTable
{
	Oid			relation;
	char	   *name;			/* quoted, with its schema, as in the query */
	char	   *query;
	Datum		item;
	Datum		writes;
	bool		no_writes;
	char	   *first;			/* what was read: number of rows, digest */
	char	   *second;
	bool		locked;
	char	   *problem;		/* why it is not read */
} ExpectedTable;

typedef struct Capture
{
	Oid			caller;
	Oid			owner;			/* of the extension */
	int64		expectation_id;
	Datum		repository;
	char		point[EXPECT_POINT_NAME];
	XLogRecPtr	lsn;
	TimeLineID	timeline;
	Snapshot	snapshot;
	Datum		lists;
	int			ntables;
	ExpectedTable *tables;
	int			waited;
	MemoryContext context;
} Capture;

/* expect_read.c */
extern char *expect_read(Capture *capture, ExpectedTable *table);

/* expect_point.c */
extern void expect_point(Capture *capture);

#endif							/* MAINTSCHED_EXPECT_H */
