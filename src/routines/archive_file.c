/*-------------------------------------------------------------------------
 *
 * archive_file.c
 *	  Compressed files of rows, written and read with their checksums.
 *
 * An archive is one gzip stream of COPY's text format, so that it can be read
 * without this extension: zcat FILE | psql -c 'COPY table (...) FROM STDIN'.
 * Two SHA-256 sums are kept: of the file, as sha256sum says it, and of what is
 * in it, as zcat FILE | sha256sum does.
 *
 * Memory is two buffers, zlib's window (less than half a megabyte, in the
 * current memory context) and one field at a time.  Writing raises errors;
 * reading does not, but says what is wrong with the file, since that is what a
 * verification wants to know.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "routines/archive.h"

/* zlib: a gzip header, with the greatest window */
#define GZIP_WINDOW (15 + 16)

static void *
allocate(void *context, unsigned int items, unsigned int size)
{
	return MemoryContextAllocExtended(context, (Size) items * size, MCXT_ALLOC_NO_OOM);
}

static void
give_back(void *context, void *memory)
{
	pfree(memory);
}

pg_cryptohash_ctx *
archive_hash_begin(void)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (hash == NULL || pg_cryptohash_init(hash) < 0)
		elog(ERROR, "could not initialize SHA-256");
	return hash;
}

void
archive_hash(pg_cryptohash_ctx * hash, const void *data, size_t length)
{
	if (pg_cryptohash_update(hash, data, length) < 0)
		elog(ERROR, "could not compute SHA-256");
}

/*
 * The sum in hexadecimal, ARCHIVE_HASH_TEXT bytes.
 */
void
archive_hash_end(pg_cryptohash_ctx * hash, char *text)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	if (pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute SHA-256");
	pg_cryptohash_free(hash);
	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
		snprintf(text +2 * i, 3, "%02x", digest[i]);
}

ArchiveWriter *
archive_writer(int fd, const char *path)
{
	ArchiveWriter *writer = palloc0(sizeof(ArchiveWriter));

	writer->fd = fd;
	writer->path = path;
	writer->stream.zalloc = allocate;
	writer->stream.zfree = give_back;
	writer->stream.opaque = CurrentMemoryContext;
	if (deflateInit2(&writer->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not begin to compress")));
	writer->file_hash = archive_hash_begin();
	writer->content_hash = archive_hash_begin();
	return writer;
}

static void
write_all(int fd, const char *path, const void *data, size_t length)
{
	const char *rest = data;

	while (length > 0)
	{
		ssize_t		written;

		errno = 0;
		written = write(fd, rest, length);
		if (written < 0 && errno == EINTR)
		{
			CHECK_FOR_INTERRUPTS();
			continue;
		}
		if (written <= 0)
		{
			/* a write that wrote nothing: the disk is full */
			if (errno == 0)
				errno = ENOSPC;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write file \"%s\": %m", path)));
		}
		rest += written;
		length -= written;
	}
}

/*
 * Compress what is gathered.  Without a file it is only counted and summed.
 */
static void
deflate_gathered(ArchiveWriter * writer, int flush)
{
	z_stream   *stream = &writer->stream;

	CHECK_FOR_INTERRUPTS();
	archive_hash(writer->content_hash, writer->in, writer->used);
	writer->content_bytes += writer->used;
	if (writer->fd < 0)
	{
		writer->used = 0;
		return;
	}
	stream->next_in = writer->in;
	stream->avail_in = writer->used;
	do
	{
		size_t		length;

		stream->next_out = writer->out;
		stream->avail_out = sizeof(writer->out);
		if (deflate(stream, flush) == Z_STREAM_ERROR)
			elog(ERROR, "could not compress");
		length = sizeof(writer->out) - stream->avail_out;
		archive_hash(writer->file_hash, writer->out, length);
		write_all(writer->fd, writer->path, writer->out, length);
		writer->bytes += length;
	} while (stream->avail_out == 0);
	writer->used = 0;
}

void
archive_put(ArchiveWriter * writer, const char *data, size_t length)
{
	while (length > 0)
	{
		size_t		fits = Min(length, sizeof(writer->in) - writer->used);

		memcpy(writer->in + writer->used, data, fits);
		writer->used += fits;
		data += fits;
		length -= fits;
		if (writer->used == sizeof(writer->in))
			deflate_gathered(writer, Z_NO_FLUSH);
	}
}

/*
 * A value as COPY's text format has it.
 */
void
archive_put_field(ArchiveWriter * writer, const char *text)
{
	static const char special[] = "\\\b\f\n\r\t\v";
	static const char letter[] = "\\bfnrtv";

	while (*text !='\0')
	{
		size_t		plain = strcspn(text, special);

		archive_put(writer, text, plain);
		text	  +=plain;

		if (*text !='\0')
		{
			char		escape[2] = {'\\', letter[strchr(special, *text) - special]};

			archive_put(writer, escape, 2);
			text	  ++;
		}
	}
}

static void
sync_file(int fd, const char *path)
{
	/* whatever the setting fsync says: the rows are gone from the table then */
	if (fsync(fd) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not fsync file \"%s\": %m", path)));
	/* what is read back comes from the disk, as far as that can be had */
	(void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

/*
 * Complete the file, and have it on disk.
 */
void
archive_finish(ArchiveWriter * writer)
{
	deflate_gathered(writer, Z_FINISH);
	(void) deflateEnd(&writer->stream);
	archive_hash_end(writer->file_hash, writer->file_sha256);
	archive_hash_end(writer->content_hash, writer->content_sha256);
	if (writer->fd >= 0)
		sync_file(writer->fd, writer->path);
}

/*
 * A whole plain file, on disk, and its sum.
 */
void
archive_write_plain(int fd, const char *path, const char *text, char *sha256)
{
	pg_cryptohash_ctx *hash = archive_hash_begin();

	archive_hash(hash, text, strlen(text));
	archive_hash_end(hash, sha256);
	write_all(fd, path, text, strlen(text));
	sync_file(fd, path);
}

ArchiveReader *
archive_reader(int fd)
{
	ArchiveReader *reader = palloc0(sizeof(ArchiveReader));

	reader->fd = fd;
	reader->stream.zalloc = allocate;
	reader->stream.zfree = give_back;
	reader->stream.opaque = CurrentMemoryContext;
	if (inflateInit2(&reader->stream, GZIP_WINDOW) != Z_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not begin to decompress")));
	reader->file_hash = archive_hash_begin();
	reader->content_hash = archive_hash_begin();
	return reader;
}

/*
 * Refill the input; false at the end of the file, or where it cannot be read.
 */
static bool
refill(ArchiveReader * reader)
{
	ssize_t		length;

	CHECK_FOR_INTERRUPTS();
	do
		length = read(reader->fd, reader->in, sizeof(reader->in));
	while (length < 0 && errno == EINTR);
	if (length < 0)
		reader->problem = "it cannot be read";
	if (length <= 0)
		return false;
	archive_hash(reader->file_hash, reader->in, length);
	reader->bytes += length;
	reader->stream.next_in = reader->in;
	reader->stream.avail_in = length;
	return true;
}

/*
 * Up to length bytes of what is in the file; 0: that was all, or there is a
 * problem.
 */
int
archive_get(ArchiveReader * reader, void *buffer, int length)
{
	z_stream   *stream = &reader->stream;
	int			got = 0;

	stream->next_out = buffer;
	stream->avail_out = length;
	while (got == 0 && !reader->ended && reader->problem == NULL)
	{
		int			result;

		if (stream->avail_in == 0 && !refill(reader))
		{
			if (reader->problem == NULL)
				reader->problem = "it is cut off";
			break;
		}
		result = inflate(stream, Z_NO_FLUSH);
		got = length - stream->avail_out;
		if (result == Z_STREAM_END)
		{
			reader->ended = true;
			/* nothing may follow */
			if (stream->avail_in > 0 || refill(reader))
				reader->problem = "there is more in it than was written";
		}
		else if (result != Z_OK && result != Z_BUF_ERROR)
			reader->problem = "it is not what was compressed";
	}
	archive_hash(reader->content_hash, buffer, got);
	reader->content_bytes += got;
	for (const char *p = buffer, *end = p + got; p < end && (p = memchr(p, '\n', end - p)) != NULL; p++)
		reader->lines++;
	return got;
}

/*
 * Read what is left, so that the sums are those of all of it.
 */
void
archive_read_end(ArchiveReader * reader)
{
	char		rest[8192];

	while (archive_get(reader, rest, sizeof(rest)) > 0)
		;
	while (refill(reader))
		;
	(void) inflateEnd(&reader->stream);
	archive_hash_end(reader->file_hash, reader->file_sha256);
	archive_hash_end(reader->content_hash, reader->content_sha256);
}

/*
 * The sum of a plain file; NULL: it cannot be read.
 */
char	   *
archive_plain_sha256(int fd)
{
	pg_cryptohash_ctx *hash = archive_hash_begin();
	char	   *text = palloc(ARCHIVE_HASH_TEXT);
	char		buffer[8192];
	ssize_t		length;

	while ((length = read(fd, buffer, sizeof(buffer))) != 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (length < 0 && errno != EINTR)
			break;
		if (length > 0)
			archive_hash(hash, buffer, length);
	}
	archive_hash_end(hash, text);
	return length < 0 ? NULL : text;
}
