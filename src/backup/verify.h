/*-------------------------------------------------------------------------
 *
 * verify.h
 *	  Comparing a base backup with its manifest.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_VERIFY_H
#define MAINTSCHED_VERIFY_H

#include <sys/stat.h>

#include "backup/manifest.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/spin.h"

/* ---- verify_store.c: the files of a manifest ---- */

#define VERIFY_NOT_FOUND PG_UINT16_MAX

typedef struct VerifyEntry
{
	uint64		size;
	uint16		base;			/* where it was found: VerifyPlace.bases, or
								 * VERIFY_NOT_FOUND */
	uint16		path_length;
	uint8		algorithm;
	uint8		sum_length;
	bool		bad;			/* something is wrong with it already */
	char		path[FLEXIBLE_ARRAY_MEMBER];	/* a zero and the sum follow */
} VerifyEntry;

typedef struct VerifyStore VerifyStore;

extern VerifyStore *verify_store_create(void);
extern bool verify_store_add(VerifyStore *store, const ManifestFile *file);
extern VerifyEntry *verify_store_find(VerifyStore *store, const char *path, size_t length);
extern VerifyEntry *verify_store_next(VerifyStore *store, uint32 *position);
extern VerifyEntry *verify_store_at(VerifyStore *store, uint32 position);
extern const uint8 *verify_entry_sum(const VerifyEntry *entry);

/* ---- verify_place.c: folders and files below the roots ---- */

#define VERIFY_MAX_ROOTS 64

typedef struct VerifyRoots
{
	int			count;
	const char *paths[VERIFY_MAX_ROOTS];	/* absolute, taken as written */
} VerifyRoots;

typedef enum VerifyFound
{
	VERIFY_FOUND,
	VERIFY_OUTSIDE,				/* not below a root */
	VERIFY_ERROR,				/* errno */
} VerifyFound;

/* the folder that was opened last, in which more files are likely to be */
typedef struct VerifyOpener
{
	int			fd;
	int			root;
	char		directory[MANIFEST_MAX_PATH + 1];
} VerifyOpener;

extern bool verify_is_below(const VerifyRoots *roots, const char *path);
extern VerifyFound verify_resolve(const VerifyRoots *roots, const char *path, int *root, char *below, struct stat *st);
extern int	verify_open_directory(const char *root, const char *below);
extern int	verify_open_file(VerifyOpener *opener, const VerifyRoots *roots, int root, const char *below);
extern void verify_opener_init(VerifyOpener *opener);
extern void verify_opener_close(VerifyOpener *opener);

/* ---- verify_report.c: what is found ---- */

#define VERIFY_LEADS_OUT "it is a symbolic link that leads out of the folders that may be read"

typedef struct VerifyReport
{
	int			limit;			/* how many are kept */
	int64		count;
	StringInfoData json;
	bool		manifest;		/* the manifest itself is no good */
} VerifyReport;

extern void verify_problem(VerifyReport *report, const char *kind, const char *path, size_t length,
						   const char *format,...) pg_attribute_printf(5, 6);
extern char *verify_shown_path(const char *path, size_t length);

/* ---- verify_walk.c: which files there are ---- */

/* a folder outside of the one above it, to which a link leads; the first is the backup */
typedef struct VerifyBase
{
	int			root;
	char	   *below;			/* the root, without links */
	int			prefix;			/* bytes of a path in the manifest that it
								 * stands for */
	int			links;			/* how many links lead to it */
} VerifyBase;

typedef struct VerifyPlace
{
	VerifyRoots roots;
	VerifyBase *bases;
	int			nbases;
	int			max_bases;
	List	   *ignored;		/* char *: not looked at, nor what is below */
} VerifyPlace;

extern int	verify_add_base(VerifyPlace *place, int root, const char *below, int prefix, int links);
extern bool verify_ignored(const VerifyPlace *place, const char *path);
extern void verify_missing(VerifyPlace *place, VerifyStore *store, VerifyReport *report);
extern void verify_walk(VerifyPlace *place, VerifyStore *store, VerifyReport *report);
extern bool verify_location(const VerifyPlace *place, const VerifyEntry *entry, int *root, char *below);

/* ---- verify_manifest.c: the manifest, the control file and backup_label ---- */

typedef struct VerifySummary
{
	ManifestHead head;
	uint64		bytes;			/* of all files */
	StringInfoData ranges;		/* of WAL, as elements of a JSON array */
	List	   *wal;			/* the same: ManifestRange *, the oldest first */
	bool		wal_in_base;	/* base.tar has it, which was read */
	uint32		timeline;		/* at the end of the backup */
	uint32		first_timeline; /* at its begin */
	uint64		start;
	uint64		end;
	bool		has_control;
	uint64		control_identifier;
	uint64		control_redo;	/* 0: not known */
	uint64		control_minimum;	/* to be recovered up to; 0: not known */
	uint32		control_timeline;	/* of that */
	uint64		label_start;	/* by backup_label; 0: not known */
	bool		label_standby;	/* by it, it was taken from a standby */
	int			major;			/* version of PostgreSQL by PG_VERSION; 0: not
								 * known */
} VerifySummary;

#define VERIFY_CONTROL_FILE "global/pg_control"
#define VERIFY_LABEL_FILE "backup_label"
/* more than what is looked at in one of these */
#define VERIFY_SMALL_SIZE 1024

extern bool verify_read_manifest(const VerifyRoots *roots, int root, const char *below,
								 VerifyStore *store, VerifySummary *summary, VerifyReport *report);
extern bool verify_is_small(const char *path);
extern void verify_small_data(const char *path, const void *data, ssize_t length, VerifySummary *summary, VerifyReport *report);
extern void verify_small(const VerifyPlace *place, VerifyStore *store, VerifySummary *summary, VerifyReport *report);

/* ---- verify_file.c: one file ---- */

typedef enum VerifyResult
{
	VERIFY_PENDING,
	VERIFY_GOOD,
	VERIFY_UNREADABLE,			/* error: errno */
	VERIFY_OTHER_SIZE,			/* got: how many bytes it has */
	VERIFY_OTHER_SUM,
	VERIFY_SUM_LENGTH,			/* the manifest's sum is none */
	VERIFY_NO_SUM,				/* it could not be computed */
} VerifyResult;

typedef struct VerifyItem
{
	uint64		size;
	uint64		got;
	uint32		position;		/* in the store */
	uint32 text;				/* where its path below the root begins */
	int			error;
	uint16		root;
	uint8		algorithm;
	uint8		sum_length;
	uint8		result;			/* VerifyResult */
	uint8		sum[MANIFEST_MAX_SUM];
} VerifyItem;

/* of a process that reads files */
typedef struct VerifyReader
{
	VerifyOpener opener;
	const VerifyRoots *roots;
	pg_cryptohash_ctx *sha[CHECKSUM_TYPE_SHA512 + 1];
	char	   *memory;
	char	   *buffer;			/* in it, VERIFY_BLOCK bytes */
	/* called after each block; false: leave it */
	bool		(*pace) (void *arg, size_t bytes);
	void	   *arg;
	int			fd;
} VerifyReader;

/* eleven times three parts of verify_crc.c */
#define VERIFY_BLOCK (11 * 3 * 8192)

/* a sum under way */
typedef struct VerifySum
{
	pg_checksum_type algorithm;
	uint32		crc;
	pg_cryptohash_ctx *sha;
} VerifySum;

extern bool verify_sum_begin(VerifyReader *reader, VerifySum *sum, pg_checksum_type algorithm);
extern bool verify_sum_add(VerifySum *sum, const void *data, size_t length);
extern VerifyResult verify_sum_compare(VerifySum *sum, const uint8 *expected, int expected_length);
extern void verify_reader_init(VerifyReader *reader, const VerifyRoots *roots);
extern void verify_reader_close(VerifyReader *reader);
extern bool verify_file(VerifyReader *reader, VerifyItem *item, const char *below);

/* ---- verify_share.c: work that several processes share ---- */

#define VERIFY_BATCH		4096
#define VERIFY_BATCH_TEXT	(512 * 1024)

/* in shared memory, at another address in each process */
typedef struct VerifyShared
{
	slock_t		mutex;
	ConditionVariable changed;	/* there are items; the last one is done */
	int			nitems;
	int			next;			/* the item that is taken next */
	int			busy;			/* how many are being read */
	bool		stop;
	pg_atomic_uint64 bytes;		/* read so far, of all files */
	uint64		rate;			/* bytes a second; 0: any */
	TimestampTz started;
	int			nroots;
	uint32		roots[VERIFY_MAX_ROOTS];	/* where each begins in text */
	VerifyItem	items[VERIFY_BATCH];
	char text[	FLEXIBLE_ARRAY_MEMBER]; /* roots, then paths of items */
} VerifyShared;

typedef struct VerifyTeam VerifyTeam;

extern VerifyTeam *verify_team(const VerifyRoots *roots, int processes, uint64 rate);
extern VerifyShared *verify_team_shared(VerifyTeam *team);
extern int	verify_team_size(const VerifyTeam *team);
extern void verify_team_end(VerifyTeam *team);
extern int	verify_take(VerifyShared *shared);
extern void verify_done(VerifyShared *shared);
extern void verify_offer(VerifyShared *shared, int nitems);
extern bool verify_pace(void *shared, size_t bytes);
extern void verify_wait(VerifyShared *shared);

/* ---- verify_sums.c: the checksums of all files ---- */

typedef struct VerifyTotals
{
	uint64		files;			/* whose sum was compared */
	uint64		bytes;
	uint64		unsummed;		/* for which the manifest has none */
	uint32		algorithms;		/* of all that were found, a bit each */
	int			processes;
} VerifyTotals;

extern int	verify_workers;
extern int	verify_rate_kb;

extern void verify_report_result(VerifyReport *report, const VerifyEntry *entry, VerifyResult result, uint64 got, int error);
extern void verify_sums(VerifyPlace *place, VerifyStore *store, VerifyReport *report, VerifyTotals *totals);

/* ---- verify_tar.c: backups in tar format ---- */

extern bool verify_is_tar(const VerifyPlace *place);
extern bool verify_tars(VerifyPlace *place, VerifyStore *store, VerifySummary *summary, bool checksums,
						VerifyReport *report, VerifyTotals *totals);

/* ---- verify_progress.c: how far verifications are ---- */

typedef enum VerifyPhase
{
	VERIFY_READING_MANIFEST,
	VERIFY_LOOKING,
	VERIFY_SUMMING,
	VERIFY_ASKING,
	VERIFY_READING_WAL,
} VerifyPhase;

extern void verify_request_shmem(void);
extern void verify_create_shmem(void);
extern void verify_progress_begin(void);
extern void verify_progress(VerifyPhase phase, uint64 done, uint64 total);
extern void verify_progress_end(void);

/* ---- verify.c: the whole ---- */

typedef struct Verification
{
	VerifyPlace place;			/* its roots: the caller's */
	VerifyStore *store;
	VerifyReport report;		/* its limit: the caller's */
	VerifySummary summary;
	VerifyTotals totals;
	double		seconds;
} Verification;

extern void verify_run(Verification *v, const char *directory, const char *manifest, bool checksums);
extern void verify_define_settings(void);

#endif							/* MAINTSCHED_VERIFY_H */
