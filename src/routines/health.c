/*-------------------------------------------------------------------------
 *
 * health.c
 *	  What the view health has to know beyond SQL.
 *
 * sequence_value() reads the one row of a sequence where it is.  SQL's ways,
 * pg_sequence_last_value() and SELECT, keep a lock on each sequence until the
 * end of the transaction: ten thousand of them do not fit into the lock table
 * of a server as it is shipped, and whoever has one locked is waited for.
 * Here the lock lasts for the look, and one that is not to be had at once is
 * not waited for.
 *
 * server_certificate() reads the file that ssl_cert_file names, and no other,
 * with the OpenSSL that the server itself is linked with.  Only dates leave
 * it.
 *
 * disk_space() is statvfs(2) of a path.
 *
 * All of them run in any backend, called by functions of 84 to 86 as the
 * owner of the extension; nobody else has the privilege to.  Errors are the
 * caller's to handle; no resource survives one.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/fd.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#if defined(USE_OPENSSL) && defined(__has_include)
#if __has_include(<openssl/pem.h>)
#define HAVE_CERTIFICATES
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#endif
#endif

PG_FUNCTION_INFO_V1(maintsched_sequence_value);
PG_FUNCTION_INFO_V1(maintsched_server_certificate);
PG_FUNCTION_INFO_V1(maintsched_disk_space);

/*
 * sequence_value(oid): last_value; NULL where there is no such sequence, it is
 * another session's, or somebody has it locked.
 */
Datum
maintsched_sequence_value(PG_FUNCTION_ARGS)
{
	Oid			oid = PG_GETARG_OID(0);
	Relation	rel;
	int64		value = 0;
	bool		isnull = true;

	CHECK_FOR_INTERRUPTS();
	/* one ring for all calls of a query, so that no cache is flushed out */
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		fcinfo->flinfo->fn_extra = GetAccessStrategy(BAS_BULKREAD);
		MemoryContextSwitchTo(old);
	}

	if (!ConditionalLockRelationOid(oid, AccessShareLock))
		PG_RETURN_NULL();
	rel = try_relation_open(oid, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(oid, AccessShareLock);
		PG_RETURN_NULL();
	}
	if (rel->rd_rel->relkind == RELKIND_SEQUENCE && !RELATION_IS_OTHER_TEMP(rel) &&
		RelationGetNumberOfBlocks(rel) > 0)
	{
		Buffer		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, 0, RBM_NORMAL,
												(BufferAccessStrategy) fcinfo->flinfo->fn_extra);
		Page		page;
		ItemId		item;

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		if (PageGetMaxOffsetNumber(page) >= FirstOffsetNumber)
		{
			HeapTupleData tuple = {0};

			item = PageGetItemId(page, FirstOffsetNumber);
			tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
			tuple.t_len = ItemIdGetLength(item);
			/* a sequence's first column is last_value */
			value = DatumGetInt64(heap_getattr(&tuple, 1, RelationGetDescr(rel), &isnull));
		}
		UnlockReleaseBuffer(buffer);
	}
	relation_close(rel, AccessShareLock);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_INT64(value);
}

#ifdef HAVE_CERTIFICATES

/* a certificate needs no password; nobody is asked for one */
static int
no_password(char *buf, int size, int rwflag, void *userdata)
{
	return -1;
}

/*
 * A time of OpenSSL's; false where it is none.
 */
static bool
read_time(const ASN1_TIME * time, TimestampTz *result)
{
	ASN1_TIME  *epoch = ASN1_TIME_set(NULL, 0);
	int			days;
	int			seconds;
	bool		good;

	good = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
	ASN1_TIME_free(epoch);
	if (good)
		*result = time_t_to_timestamptz((pg_time_t) days * SECS_PER_DAY + seconds);
	return good;
}

/*
 * The validity of all certificates of an open file together: from the last
 * beginning to the first end, which is that of the one in *place.  Returns how
 * many there are; -1: one cannot be read.
 */
static int
read_certificates(FILE *file, TimestampTz *valid_from, TimestampTz *valid_until, int *place)
{
	X509	   *certificate;
	int			count = 0;

	ERR_clear_error();
	while (count >= 0 && (certificate = PEM_read_X509_AUX(file, NULL, no_password, NULL)) != NULL)
	{
		TimestampTz from;
		TimestampTz until;

		if (read_time(X509_get0_notBefore(certificate), &from) &&
			read_time(X509_get0_notAfter(certificate), &until))
		{
			if (count == 0 || until < *valid_until)
			{
				*valid_until = until;
				*place = count + 1;
			}
			*valid_from = count == 0 ? from : Max(*valid_from, from);
			count++;
		}
		else
			count = -1;
		X509_free(certificate);
	}
	/* after the last one OpenSSL notes that it found no other */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		count = -1;
	ERR_clear_error();
	return count;
}
#endif

/*
 * server_certificate(): valid_from, valid_until, modified_at of the file;
 * problem, which says why these are not known; and which of how many
 * certificates ends first.
 */
Datum
maintsched_server_certificate(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[6] = {0};
	bool		nulls[6] = {true, true, true, true, true, true};
	const char *problem = NULL;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

#ifdef HAVE_CERTIFICATES
	{
		const char *path = GetConfigOption("ssl_cert_file", false, false);
		struct stat st;
		FILE	   *file = NULL;

		/* of a device or pipe one might never see the end */
		if (stat(path, &st) != 0)
			problem = psprintf("cannot be read: %s", strerror(errno));
		else if (!S_ISREG(st.st_mode))
			problem = "is not a regular file";
		else if ((file = AllocateFile(path, PG_BINARY_R)) == NULL)
			problem = psprintf("cannot be read: %s", strerror(errno));
		else
		{
			TimestampTz valid_from = 0;
			TimestampTz valid_until = 0;
			int			place = 0;
			int			count = read_certificates(file, &valid_from, &valid_until, &place);

			FreeFile(file);
			if (count == 0)
				problem = "holds no certificate";
			else if (count < 0)
				problem = "holds a certificate that cannot be read";
			else
			{
				values[0] = TimestampTzGetDatum(valid_from);
				values[1] = TimestampTzGetDatum(valid_until);
				values[2] = TimestampTzGetDatum(time_t_to_timestamptz((pg_time_t) st.st_mtime));
				values[4] = Int32GetDatum(place);
				values[5] = Int32GetDatum(count);
				nulls[0] = nulls[1] = nulls[2] = nulls[4] = nulls[5] = false;
			}
		}
	}
#else
	problem = "cannot be read: maintsched was built without OpenSSL";
#endif

	if (problem != NULL)
	{
		values[3] = CStringGetTextDatum(problem);
		nulls[3] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * disk_space(path): bytes used, and available to the server, of the file
 * system of a path in or below the data directory; NULL where there is none.
 */
Datum
maintsched_disk_space(PG_FUNCTION_ARGS)
{
	char	   *path = text_to_cstring(PG_GETARG_TEXT_PP(0));
	struct statvfs fs;
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (statvfs(path, &fs) != 0)
	{
		if (errno == ENOENT)
			PG_RETURN_NULL();
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not look at the file system of \"%s\": %m", path)));
	}
	values[0] = Int64GetDatum((int64) (fs.f_blocks - fs.f_bfree) * (int64) fs.f_frsize);
	values[1] = Int64GetDatum((int64) fs.f_bavail * (int64) fs.f_frsize);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
