/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between the PostgreSQL versions served, 15 to 19.
 *
 * The only file with #if PG_VERSION_NUM.  Each macro is named after what it
 * does, not after the version that changed it.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_COMPAT_H
#define MAINTSCHED_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 200000
#error "maintsched supports PostgreSQL 15 to 19"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* memory of a GUC check hook's "extra": the GUC machinery frees it */
#if PG_VERSION_NUM >= 160000
#define compat_guc_alloc(size) guc_malloc(LOG, (size))
#else
#define compat_guc_alloc(size) malloc(size)
#endif

/* ... and a string value that the hook replaces */
#if PG_VERSION_NUM >= 160000
#define compat_guc_free(pointer) guc_free(pointer)
#else
#define compat_guc_free(pointer) free(pointer)
#endif

/* DecodeDateTime() returns more about an error since 16 */
#if PG_VERSION_NUM >= 160000
#define compat_decode_datetime(field, ftype, nf, dtype, tm, fsec, tz) \
	DecodeDateTime((field), (ftype), (nf), (dtype), (tm), (fsec), (tz), \
				   &(DateTimeErrorExtra){0})
#else
#define compat_decode_datetime(field, ftype, nf, dtype, tm, fsec, tz) \
	DecodeDateTime((field), (ftype), (nf), (dtype), (tm), (fsec), (tz))
#endif

/* actions of the JSON parser return a result since 16 */
#if PG_VERSION_NUM >= 160000
#define compat_json_result JsonParseErrorType
#define compat_json_success JSON_SUCCESS
#else
#define compat_json_result void
#define compat_json_success
#endif

/* the JSON lexer can live in memory of the caller since 17 */
#if PG_VERSION_NUM >= 170000
#define compat_make_json_lex(json, length, encoding) \
	makeJsonLexContextCstringLen(NULL, (json), (length), (encoding), true)
#else
#define compat_make_json_lex(json, length, encoding) \
	makeJsonLexContextCstringLen(unconstify(char *, (json)), (length), (encoding), true)
#endif

/* ... and without the memory for unescaped strings */
#if PG_VERSION_NUM >= 170000
#define compat_make_json_lexer(json, length) \
	makeJsonLexContextCstringLen(NULL, (json), (length), PG_UTF8, false)
#else
#define compat_make_json_lexer(json, length) \
	makeJsonLexContextCstringLen((json), (length), PG_UTF8, false)
#endif

/* before a function that does not return: renamed, and moved, in 18 */
#if PG_VERSION_NUM >= 180000
#define compat_noreturn pg_noreturn
#else
#define compat_noreturn pg_attribute_noreturn()
#endif

/* the module block says which extension and version it is, since 18 */
#if PG_VERSION_NUM >= 180000
#define COMPAT_MODULE_MAGIC(n, v) PG_MODULE_MAGIC_EXT(.name = (n), .version = (v))
#else
#define COMPAT_MODULE_MAGIC(n, v) PG_MODULE_MAGIC
#endif

/* PortalRun() lost its run_once in 18 */
#if PG_VERSION_NUM >= 180000
#define compat_portal_run(portal, receiver, completion) \
	PortalRun((portal), FETCH_ALL, true, (receiver), (receiver), (completion))
#else
#define compat_portal_run(portal, receiver, completion) \
	PortalRun((portal), FETCH_ALL, true, true, (receiver), (receiver), (completion))
#endif

/* entries of pg_stat_activity: renamed in 16 */
#if PG_VERSION_NUM >= 160000
#define compat_backend_status(i) pgstat_get_local_beentry_by_index(i)
#else
#define compat_backend_status(i) pgstat_fetch_stat_local_beentry(i)
#endif

/* ownership of a database: one function for all objects since 16 */
#if PG_VERSION_NUM >= 160000
#define compat_is_database_owner(database, role) \
	object_ownercheck(DatabaseRelationId, (database), (role))
#else
#define compat_is_database_owner(database, role) pg_database_ownercheck((database), (role))
#endif

/* a limit for the transaction, since 17 */
#if PG_VERSION_NUM >= 170000
#define compat_no_transaction_timeout(set) set("transaction_timeout", "0")
#else
#define compat_no_transaction_timeout(set) ((void) 0)
#endif

/* temporary replication slots of this session; synced ones apart since 17 */
#if PG_VERSION_NUM >= 170000
#define compat_replication_slot_cleanup() ReplicationSlotCleanup(false)
#else
#define compat_replication_slot_cleanup() ReplicationSlotCleanup()
#endif

/* the parts of a qualified name; errors can be caught since 16 */
#if PG_VERSION_NUM >= 160000
#define compat_qualified_name(name) stringToQualifiedNameList((name), NULL)
#else
#define compat_qualified_name(name) stringToQualifiedNameList(name)
#endif

/* a scan of a whole table takes flags since 19 */
#if PG_VERSION_NUM >= 190000
#define compat_beginscan(rel, snapshot) table_beginscan((rel), (snapshot), 0, NULL, SO_NONE)
#else
#define compat_beginscan(rel, snapshot) table_beginscan((rel), (snapshot), 0, NULL)
#endif

/* the first record of WAL at or after a position; says what was wrong since 19 */
#if PG_VERSION_NUM >= 190000
#define compat_find_next_record(reader, position, error) \
	XLogFindNextRecord((reader), (position), (error))
#else
#define compat_find_next_record(reader, position, error) \
	XLogFindNextRecord((reader), (position))
#endif

/* a database that is dropped, renamed or moved ends our workers itself */
#if PG_VERSION_NUM >= 190000
#define COMPAT_BGWORKER_INTERRUPTIBLE BGWORKER_INTERRUPTIBLE
#else
#define COMPAT_BGWORKER_INTERRUPTIBLE 0
#endif

/* a set of events that is freed by hand; takes a resource owner since 17 */
#if PG_VERSION_NUM >= 170000
#define compat_create_wait_event_set(count) CreateWaitEventSet(NULL, (count))
#else
#define compat_create_wait_event_set(count) CreateWaitEventSet(TopMemoryContext, (count))
#endif

/* the file of a relation: renamed in 16 */
#if PG_VERSION_NUM >= 160000
#define compat_filenode(rel) ((rel)->rd_locator.relNumber)
#else
#define compat_filenode(rel) ((rel)->rd_node.relNode)
typedef Oid RelFileNumber;
#define InvalidRelFileNumber InvalidOid
#endif

/* reading blocks ahead: the server's own streams, since 17 */
#ifdef FRONTEND
/* none in the programs of test/fuzz */
#elif PG_VERSION_NUM >= 170000
#include "storage/read_stream.h"
typedef ReadStream compat_read_stream;
#define compat_has_read_stream true
typedef struct compat_read_stream_source
{
	BlockNumber (*next) (void *arg);
	void	   *arg;
} compat_read_stream_source;

static inline BlockNumber
compat_read_stream_callback(ReadStream *stream, void *source, void *per_buffer_data)
{
	return ((compat_read_stream_source *) source)->next(((compat_read_stream_source *) source)->arg);
}

static inline ReadStream *
compat_read_stream_begin(BufferAccessStrategy strategy, Relation rel,
						 BlockNumber (*next) (void *arg), void *arg)
{
	compat_read_stream_source *source = palloc(sizeof(compat_read_stream_source));

	source->next = next;
	source->arg = arg;
	return read_stream_begin_relation(READ_STREAM_MAINTENANCE, strategy, rel, MAIN_FORKNUM,
									  compat_read_stream_callback, source, 0);
}
#define compat_read_stream_next(stream) read_stream_next_buffer((stream), NULL)
#define compat_read_stream_end(stream) read_stream_end(stream)
#else
typedef void compat_read_stream;
#define compat_has_read_stream false
#define compat_read_stream_begin(strategy, rel, next, arg) NULL
#define compat_read_stream_next(stream) InvalidBuffer
#define compat_read_stream_end(stream) ((void) 0)
#endif

#endif							/* MAINTSCHED_COMPAT_H */
