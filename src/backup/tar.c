/*-------------------------------------------------------------------------
 *
 * tar.c
 *	  The members of an archive of a base backup.
 *
 * pg_basebackup writes ustar: a header of 512 bytes before each member, whose
 * contents are filled up to that, and two such records of zeros in the end.
 * The checksum of each header must be right.  What follows the end is not looked
 * at, as tar and pg_verifybackup do not, but has to be there as the compression has
 * it.  That an archive ends without the mark is told apart: pg_verifybackup lets
 * that pass.
 *
 * Runs in any backend; no locks.  The stream is the caller's.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "backup/verify_tar.h"

/* where things are in a header */
#define NAME_LENGTH 100
#define SIZE_AT 124
#define MODIFIED_AT 136
#define NUMBER_LENGTH 12
#define CHECKSUM_AT 148
#define CHECKSUM_LENGTH 8
#define KIND_AT 156
#define MAGIC_AT 257
#define PREFIX_AT 345
#define PREFIX_LENGTH 155

static const char *const suffixes[] = {".tar", ".tar.gz", ".tgz", ".tar.lz4", ".tar.zst"};

/*
 * How the name of an archive that begins with stem ends; NULL: it is another
 * file.
 */
const char *
tar_suffix(const char *name, const char *stem)
{
	size_t		length = strlen(stem);

	if (strncmp(name, stem, length) != 0)
		return NULL;
	for (int i = 0; i < lengthof(suffixes); i++)
		if (strcmp(name + length, suffixes[i]) == 0)
			return suffixes[i];
	return NULL;
}

/*
 * Is it the archive of a tablespace?  An OID has ten digits at most, and is not 0.
 */
bool
tar_is_tablespace(const char *name)
{
	size_t		digits = strspn(name, "0123456789");

	return digits > 0 && digits <= 10 && name[0] != '0' && tar_suffix(name + digits, "") != NULL;
}

/*
 * A number: octal, or as bytes where it would not fit.
 */
static uint64
number(const char *field, int length)
{
	uint64		value = 0;

	if (field[0] == (char) 0x80)
	{
		for (int i = 1; i < length; i++)
			value = value << 8 | (unsigned char) field[i];
		return value;
	}
	for (int i = 0; i < length && field[i] != '\0'; i++)
		if (field[i] >= '0' && field[i] <= '7')
			value = value << 3 | (uint64) (field[i] - '0');
	return value;
}

/*
 * The sum of its bytes, where its own field counts as spaces.
 */
static bool
header_is_right(const char *header)
{
	uint64		sum = CHECKSUM_LENGTH * ' ';

	for (int i = 0; i < TAR_RECORD; i++)
		if (i < CHECKSUM_AT || i >= CHECKSUM_AT + CHECKSUM_LENGTH)
			sum += (unsigned char) header[i];
	return sum == number(header + CHECKSUM_AT, CHECKSUM_LENGTH);
}

/*
 * After the end: what is compressed has a checksum of its own there.
 */
static TarNext
read_rest(VerifyStream *stream)
{
	size_t		got;

	while (stream->unpack != NULL && verify_stream_some(stream, VERIFY_BLOCK, &got) != NULL)
		;
	return stream->problem != NULL ? TAR_BROKEN : TAR_END;
}

/*
 * Go on to the next member.  The contents of the one before were read, or passed
 * over.
 */
TarNext
tar_next(VerifyStream *stream, TarMember *member)
{
	static const char zeros[TAR_RECORD] = {0};
	char		header[TAR_RECORD];
	size_t		used = 0;

	while (used < TAR_RECORD)
	{
		size_t		got;
		const char *data = verify_stream_some(stream, TAR_RECORD - used, &got);

		if (data == NULL && used > 0)
			(void) verify_stream_broken(stream, "it is cut off");
		if (data == NULL)
			return stream->problem != NULL ? TAR_BROKEN : TAR_CEASED;
		memcpy(header + used, data, got);
		used += got;
	}
	if (memcmp(header, zeros, TAR_RECORD) == 0)
		return read_rest(stream);
	if (!header_is_right(header))
	{
		(void) verify_stream_broken(stream, "a header is damaged, or it is no tar archive");
		return TAR_BROKEN;
	}
	if (memcmp(header + MAGIC_AT, "ustar", 5) == 0 && header[PREFIX_AT] != '\0')
		snprintf(member->name, TAR_NAME_SIZE, "%.*s/%.*s", PREFIX_LENGTH, header + PREFIX_AT, NAME_LENGTH, header);
	else
		snprintf(member->name, TAR_NAME_SIZE, "%.*s", NAME_LENGTH, header);
	member->kind = header[KIND_AT];
	member->modified = number(header + MODIFIED_AT, NUMBER_LENGTH);
	/* links and folders have no contents, whatever is said */
	member->size = TAR_IS_LINK(member) || TAR_IS_FOLDER(member) ? 0 : number(header + SIZE_AT, NUMBER_LENGTH);
	return TAR_MEMBER;
}
