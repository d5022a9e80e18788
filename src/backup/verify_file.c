/*-------------------------------------------------------------------------
 *
 * verify_file.c
 *	  The checksum of one file of a backup.
 *
 * Files are read from the beginning to the end, in blocks that are large enough
 * for the disk to stream and for CRC32C to be computed in three parts, and small
 * enough for the cache of a processor.  Runs in the backend that verifies, and
 * in the workers that help it; what is found is left in the item, as codes.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "backup/verify.h"
#include "backup/verify_crc.h"

#define PAGE 4096

/* from this size on the kernel is told that all of it will be read */
#define LARGE_FILE (4 * VERIFY_BLOCK)

void
verify_reader_init(VerifyReader *reader, const VerifyRoots *roots)
{
	memset(reader, 0, sizeof(VerifyReader));
	reader->roots = roots;
	/* the kernel copies faster to the beginning of a page */
	reader->memory = palloc(VERIFY_BLOCK + PAGE);
	reader->buffer = (char *) TYPEALIGN(PAGE, reader->memory);
	reader->fd = -1;
	verify_opener_init(&reader->opener);
}

/*
 * Close what is open, in any state.  Memory is the context's.
 */
void
verify_reader_close(VerifyReader *reader)
{
	if (reader->fd >= 0)
		(void) close(reader->fd);
	reader->fd = -1;
	verify_opener_close(&reader->opener);
	for (int i = 0; i < lengthof(reader->sha); i++)
	{
		if (reader->sha[i] != NULL)
			pg_cryptohash_free(reader->sha[i]);
		reader->sha[i] = NULL;
	}
}

/*
 * The context for SHA-2 of an algorithm, initialized; NULL: there is none.
 */
static pg_cryptohash_ctx *
sha_of(VerifyReader *reader, pg_checksum_type algorithm)
{
	static const pg_cryptohash_type types[] = {
		[CHECKSUM_TYPE_SHA224] = PG_SHA224,
		[CHECKSUM_TYPE_SHA256] = PG_SHA256,
		[CHECKSUM_TYPE_SHA384] = PG_SHA384,
		[CHECKSUM_TYPE_SHA512] = PG_SHA512,
	};

	if (reader->sha[algorithm] == NULL)
		reader->sha[algorithm] = pg_cryptohash_create(types[algorithm]);
	if (reader->sha[algorithm] == NULL || pg_cryptohash_init(reader->sha[algorithm]) < 0)
		return NULL;
	return reader->sha[algorithm];
}

static int
sum_length(pg_checksum_type algorithm)
{
	switch (algorithm)
	{
		case CHECKSUM_TYPE_CRC32C:
			return sizeof(pg_crc32c);
		case CHECKSUM_TYPE_SHA224:
			return PG_SHA224_DIGEST_LENGTH;
		case CHECKSUM_TYPE_SHA256:
			return PG_SHA256_DIGEST_LENGTH;
		case CHECKSUM_TYPE_SHA384:
			return PG_SHA384_DIGEST_LENGTH;
		case CHECKSUM_TYPE_SHA512:
			return PG_SHA512_DIGEST_LENGTH;
		default:
			return 0;
	}
}

/*
 * Begin a sum; false: it cannot be computed.
 */
bool
verify_sum_begin(VerifyReader *reader, VerifySum *sum, pg_checksum_type algorithm)
{
	sum->algorithm = algorithm;
	sum->crc = 0xFFFFFFFF;
	sum->sha = NULL;
	if (algorithm == CHECKSUM_TYPE_CRC32C)
		return true;
	sum->sha = sha_of(reader, algorithm);
	return sum->sha != NULL;
}

bool
verify_sum_add(VerifySum *sum, const void *data, size_t length)
{
	if (sum->sha != NULL)
		return pg_cryptohash_update(sum->sha, data, length) >= 0;
	sum->crc = verify_crc32c(sum->crc, data, length);
	return true;
}

/*
 * Is it the one that is expected?
 */
VerifyResult
verify_sum_compare(VerifySum *sum, const uint8 *expected, int expected_length)
{
	uint8		found[MANIFEST_MAX_SUM];
	int			length = sum_length(sum->algorithm);

	if (expected_length != length)
		return VERIFY_SUM_LENGTH;
	if (sum->sha == NULL)
	{
		FIN_CRC32C(sum->crc);
		memcpy(found, &sum->crc, sizeof(sum->crc));
	}
	else if (pg_cryptohash_final(sum->sha, found, length) < 0)
		return VERIFY_NO_SUM;
	return memcmp(found, expected, length) == 0 ? VERIFY_GOOD : VERIFY_OTHER_SUM;
}

/*
 * Read an open file, and sum it up.  False: it was left in the middle.
 */
static bool
sum_file(VerifyReader *reader, VerifyItem *item)
{
	VerifySum	sum;
	bool		summed = verify_sum_begin(reader, &sum, item->algorithm);

	item->got = 0;
	while (summed)
	{
		ssize_t		got = read(reader->fd, reader->buffer, VERIFY_BLOCK);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
		{
			item->error = errno;
			item->result = VERIFY_UNREADABLE;
			return true;
		}
		if (got == 0)
			break;
		summed = verify_sum_add(&sum, reader->buffer, got);
		item->got += got;
		if (!reader->pace(reader->arg, got))
			return false;
		/* one that grows while it is read is not read for ever */
		if (item->got > item->size)
			break;
	}
	if (!summed)
		item->result = VERIFY_NO_SUM;
	else if (item->got != item->size)
		item->result = VERIFY_OTHER_SIZE;
	else
		item->result = verify_sum_compare(&sum, item->sum, item->sum_length);
	return true;
}

/*
 * Compare a file with its sum.  False: it was left, and is still pending.
 */
bool
verify_file(VerifyReader *reader, VerifyItem *item, const char *below)
{
	bool		done;

	reader->fd = verify_open_file(&reader->opener, reader->roots, item->root, below);
	if (reader->fd < 0)
	{
		item->error = errno;
		item->result = VERIFY_UNREADABLE;
		return true;
	}
#ifdef POSIX_FADV_SEQUENTIAL
	if (item->size >= LARGE_FILE)
		(void) posix_fadvise(reader->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
#endif
	done = sum_file(reader, item);
	(void) close(reader->fd);
	reader->fd = -1;
	return done;
}
