/*-------------------------------------------------------------------------
 *
 * archive.h
 *	  Archiving old rows: places, files, tables.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_ARCHIVE_H
#define MAINTSCHED_ARCHIVE_H

#include <zlib.h>

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

#define ARCHIVE_BUFFER		65536
#define ARCHIVE_NAME		128
#define ARCHIVE_HASH_TEXT	(PG_SHA256_DIGEST_LENGTH * 2 + 1)

/* ---- archive_place.c: folders ---- */

/* a folder below one of maintsched.archive_roots */
typedef struct ArchivePlace
{
	char	   *root;
	char	   *directory;		/* relative to it, without "." and ".." */
}			ArchivePlace;

extern void archive_define_settings(void);
extern ArchivePlace archive_place(const char *directory, const char *schema, const char *relation);
extern ArchivePlace archive_recorded_place(const char *root, const char *directory);
extern void archive_check_root(const ArchivePlace * place);
extern int	archive_open_place(const ArchivePlace * place, bool create);
extern void archive_close(void);
extern void archive_end_subtransaction(SubTransactionId subid, SubTransactionId parent, bool abort);
extern int	archive_create(int folder, const char *name);
extern int	archive_open(int folder, const char *name);
extern void archive_make_final(int folder, const char *temporary, const char *name);
extern char *archive_path(const ArchivePlace * place, const char *name);
extern char *archive_database_folder(void);
extern List *archive_root_list(void);

/* ---- archive_pending.c: what becomes of files in the end; locks ---- */

extern void archive_register_callbacks(void);
extern void archive_keep_until_commit(const ArchivePlace * place, const char *name);
extern void archive_remove_at_commit(const ArchivePlace * place, const char *name);
extern void archive_remove_temporary(int folder);
extern void archive_lock(Oid relation, int64 archive_id);

/* ---- archive_file.c: compressed files and their checksums ---- */

typedef struct ArchiveWriter
{
	int			fd;
	const char *path;			/* for messages */
	z_stream	stream;
	pg_cryptohash_ctx *file_hash;
	pg_cryptohash_ctx *content_hash;
	uint64		bytes;
	uint64		content_bytes;
	char		file_sha256[ARCHIVE_HASH_TEXT];
	char		content_sha256[ARCHIVE_HASH_TEXT];
	int			used;
	unsigned char in[ARCHIVE_BUFFER];
	unsigned char out[ARCHIVE_BUFFER];
}			ArchiveWriter;

typedef struct ArchiveReader
{
	int			fd;
	z_stream	stream;
	pg_cryptohash_ctx *file_hash;
	pg_cryptohash_ctx *content_hash;
	uint64		bytes;
	uint64		content_bytes;
	uint64		lines;
	bool		ended;
	const char *problem;		/* what is wrong with the file */
	char		file_sha256[ARCHIVE_HASH_TEXT];
	char		content_sha256[ARCHIVE_HASH_TEXT];
	unsigned char in[ARCHIVE_BUFFER];
}			ArchiveReader;

extern ArchiveWriter * archive_writer(int fd, const char *path);
extern void archive_put(ArchiveWriter * writer, const char *data, size_t length);
extern void archive_put_field(ArchiveWriter * writer, const char *text);
extern void archive_finish(ArchiveWriter * writer);
extern void archive_write_plain(int fd, const char *path, const char *text, char *sha256);
extern ArchiveReader * archive_reader(int fd);
extern int	archive_get(ArchiveReader * reader, void *buffer, int length);
extern void archive_read_end(ArchiveReader * reader);
extern char *archive_plain_sha256(int fd);
extern pg_cryptohash_ctx * archive_hash_begin(void);
extern void archive_hash(pg_cryptohash_ctx * hash, const void *data, size_t length);
extern void archive_hash_end(pg_cryptohash_ctx * hash, char *text);

/* ---- archive_table.c: whether a table may be archived, and as whom ---- */

typedef struct ArchiveTable
{
	Relation	rel;
	Oid			owner;
	char	   *schema;
	char	   *relation;
	char	   *name;			/* both, quoted */
	char	   *column;			/* of time, quoted */
	Oid			type;			/* its type: date, timestamp, timestamptz,
								 * int8 or int4 */
	List	   *columns;		/* names that are archived, as String nodes */
}			ArchiveTable;

extern void archive_open_table(ArchiveTable * table, const char *name, const char *column, int lock);
extern void archive_check_caller(const char *function);
extern void archive_check_member(Oid owner, const char *name);
extern char *archive_column_list(const List *columns);
extern bool archive_may_keep_rows(const ArchiveTable * table);
extern bool archive_is_empty(Relation rel);
extern char *archive_condition(const ArchiveTable * table);
extern Oid	archive_limit_type(const ArchiveTable * table);
extern Datum archive_limit(const ArchiveTable * table, const char *before);

/* ---- archive_copy.c: rows out, and in again ---- */

typedef struct ArchiveSpan
{
	uint64		rows;
	int64		oldest;			/* as the type of the column has it */
	int64		newest;
}			ArchiveSpan;

extern ArchiveSpan archive_delete(const ArchiveTable * table, Datum limit, int64 batch, ArchiveWriter * writer);
extern void archive_compare(const ArchiveTable * table, const ArchiveWriter * writer, uint64 rows, ArchiveReader * reader);
extern uint64 archive_remake(Relation rel, List *columns, const char *encoding, ArchiveReader * reader, ArchiveWriter * again);
extern uint64 archive_load(Relation rel, List *columns, const char *encoding, ArchiveReader * reader);

/* ---- archive_entry.c: what is recorded about an archive ---- */

typedef struct ArchiveEntry
{
	int64		archive_id;
	char	   *schema;
	char	   *relation;
	char	   *root_schema;	/* of the partitioned table, or NULL */
	char	   *root_relation;
	char	   *owner;
	Oid			owner_oid;
	List	   *columns;
	char	   *encoding;
	int64		rows;
	int64		bytes;
	char	   *sha256;
	char	   *content_sha256;
	char	   *manifest_sha256;
	char	   *file;
	char	   *manifest;
	ArchivePlace place;
	bool		removed;
	char	   *kept_until;		/* NULL: it may be removed */
}			ArchiveEntry;

extern ArchiveEntry archive_find_entry(int64 archive_id);
extern void archive_check_right(const ArchiveEntry * entry, const char *what);
extern void archive_need_present(const ArchiveEntry * entry);
extern uint64 archive_our_query(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls);

#endif							/* MAINTSCHED_ARCHIVE_H */
