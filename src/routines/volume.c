/*-------------------------------------------------------------------------
 *
 * volume.c
 *	  How much room there is where a tablespace, or the write-ahead log, lies,
 *	  and how much a relation takes.
 *
 * A rebuilt index lies beside the old one until that can go, and its pages are
 * written to the log once more.  Whoever plans such a copy asks here whether
 * there is room for it: volume() looks at the folder of a tablespace of this
 * server or at that of the log, and at no other.  Two folders on the same file
 * system have the same number, so that what both need can be added up.
 *
 * Runs in any backend.  A tablespace that goes away meanwhile has no folder any
 * more, which is answered by NULL, as is a file system that does not tell.
 * relation_bytes() is pg_relation_size() that does not wait: a plan is not to
 * stand behind whoever has locked one relation of many.  It takes
 * AccessShareLock for a moment.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xlog_internal.h"
#include "catalog/pg_tablespace_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(maintsched_volume);
PG_FUNCTION_INFO_V1(maintsched_relation_bytes);

/*
 * The folder of a tablespace, relative to the data directory, which is where
 * a server process is.
 */
static const char *
tablespace_folder(Oid tablespace)
{
	if (!OidIsValid(tablespace))
		tablespace = MyDatabaseTableSpace;
	if (tablespace == DEFAULTTABLESPACE_OID)
		return "base";
	if (tablespace == GLOBALTABLESPACE_OID)
		return "global";
	return psprintf("pg_tblspc/%u", tablespace);
}

/*
 * volume(tablespace oid, out volume bigint, out free_bytes bigint)
 *
 * tablespace: 0 is that of the database, NULL the write-ahead log.
 */
Datum
maintsched_volume(PG_FUNCTION_ARGS)
{
	const char *folder = PG_ARGISNULL(0) ? XLOGDIR : tablespace_folder(PG_GETARG_OID(0));
	TupleDesc	desc;
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};
	struct stat file;
	struct statvfs system;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	if (stat(folder, &file) == 0)
	{
		values[0] = Int64GetDatum((int64) file.st_dev);
		nulls[0] = false;
		if (statvfs(folder, &system) == 0 && system.f_blocks > 0)
		{
			/* what is kept for root is not for the server */
			values[1] = Int64GetDatum((int64) system.f_bavail * (int64) system.f_frsize);
			nulls[1] = false;
		}
	}
	else if (errno != ENOENT)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not look at folder \"%s\": %m", folder)));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * relation_bytes(relation oid) returns bigint
 */
Datum
maintsched_relation_bytes(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel;
	int64		bytes;

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		PG_RETURN_NULL();
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(relid, AccessShareLock);
		PG_RETURN_NULL();
	}
	if (!RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
	{
		relation_close(rel, AccessShareLock);
		PG_RETURN_NULL();
	}
	/* on a standby, what is unlogged has no file */
	bytes = smgrexists(RelationGetSmgr(rel), MAIN_FORKNUM) ? (int64) RelationGetNumberOfBlocks(rel) * BLCKSZ : 0;
	relation_close(rel, AccessShareLock);
	PG_RETURN_INT64(bytes);
}
