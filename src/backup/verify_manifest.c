/*-------------------------------------------------------------------------
 *
 * verify_manifest.c
 *	  The manifest of the backup that is verified, its control file and label.
 *
 * What is wrong with a manifest is a problem of the backup, and the only one
 * that is reported then: by a manifest that is not as it was written nothing can
 * be verified.  Its checksum covers all but its last line, so that is looked for
 * first, from the end.
 *
 * A manifest of version 2 says which system it is of; the control file has to
 * say the same.  Of a backup of another major version no more is known of the
 * control file than where it has its version and the identifier.  (A control file
 * ends with its own CRC32C, and the CRC32C of anything and its CRC32C is always
 * the same: in manifests with that algorithm all control files have the same
 * checksum, and one of another backup passes.  Its redo position tells them
 * apart; here it is only told, for the verdict is that of pg_verifybackup.)
 *
 * Files are opened as verify_place.c tells, and closed by an error, too.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "catalog/pg_control.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"

#include "backup/catalogue.h"

/* a backup has one range of WAL for each timeline that it spans */
#define MAX_RANGES 1000

typedef struct Reading
{
	int			fd;
	uint64		left;
	uint64		size;
	VerifyStore *store;
	VerifySummary *summary;
	bool		ok;				/* it was read to the end, and is good */
} Reading;

static ssize_t
read_more(void *arg, char *buffer, size_t length)
{
	Reading    *reading = arg;
	ssize_t		got;

	do
	{
		CHECK_FOR_INTERRUPTS();
		got = read(reading->fd, buffer, Min(length, reading->left));
	} while (got < 0 && errno == EINTR);
	if (got > 0)
		reading->left -= got;
	verify_progress(VERIFY_READING_MANIFEST, reading->size - reading->left, reading->size);
	return got;
}

/*
 * PG_VERSION holds a number and the end of a line: which, its checksum tells.
 */
static int
major_version(const ManifestFile *file)
{
	for (int version = 10; version < 100 && file->size == 3; version++)
	{
		pg_checksum_context context;
		uint8		sum[PG_CHECKSUM_MAX_LENGTH];
		char		digits[8];
		int			length;

		snprintf(digits, sizeof(digits), "%d\n", version);
		if (pg_checksum_init(&context, file->algorithm) < 0 ||
			pg_checksum_update(&context, (uint8 *) digits, 3) < 0)
			return 0;
		length = pg_checksum_final(&context, sum);
		if (length > 0 && length == file->sum_length && memcmp(sum, file->sum, length) == 0)
			return version;
	}
	return 0;
}

static const char *
take_file(void *arg, const ManifestFile *file)
{
	Reading    *reading = arg;

	if (strcmp(file->path, "PG_VERSION") == 0)
		reading->summary->major = major_version(file);

	if (reading->store != NULL && !verify_store_add(reading->store, file))
		return "a file is there twice";
	if (file->size > PG_INT64_MAX - reading->summary->bytes)
		return "the files are larger than any disk";
	reading->summary->bytes += file->size;
	return NULL;
}

static const char *
take_range(void *arg, const ManifestRange *range)
{
	VerifySummary *summary = ((Reading *) arg)->summary;

	if (summary->head.ranges > MAX_RANGES)
		return "there are too many ranges of WAL";
	/* the newest timeline comes first */
	summary->wal = lcons(memcpy(palloc(sizeof(ManifestRange)), range, sizeof(ManifestRange)), summary->wal);
	if (summary->ranges.len == 0 || range->timeline >= summary->timeline)
	{
		summary->timeline = range->timeline;
		summary->end = range->end;
	}
	if (summary->ranges.len == 0 || range->timeline <= summary->first_timeline)
	{
		summary->first_timeline = range->timeline;
		summary->start = range->start;
	}
	appendStringInfo(&summary->ranges, "%s{\"timeline\": %u, \"start_lsn\": \"%X/%X\", \"end_lsn\": \"%X/%X\"}",
					 summary->ranges.len > 0 ? ", " : "", range->timeline,
					 (uint32) (range->start >> 32), (uint32) range->start,
					 (uint32) (range->end >> 32), (uint32) range->end);
	return NULL;
}

/*
 * How many bytes there are before the last line.
 */
static bool
before_last_line(int fd, uint64 size, uint64 *before, VerifyReport *report)
{
	char		block[8192];
	uint64		at = size;
	int			newlines = 0;

	while (at > 0)
	{
		size_t		length = Min(sizeof(block), at);
		ssize_t		got;

		CHECK_FOR_INTERRUPTS();
		got = pread(fd, block, length, at - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got != length)
		{
			verify_problem(report, "manifest", NULL, 0, "it cannot be read: %s",
						   got < 0 ? strerror(errno) : "it became shorter");
			return false;
		}
		for (size_t i = length; i > 0; i--)
		{
			if (block[i - 1] == '\n' && ++newlines == 2)
			{
				*before = at - length + i;
				return true;
			}
			if (newlines == 0)
			{
				verify_problem(report, "manifest", NULL, 0, "it is cut off: its last line does not end");
				return false;
			}
		}
		at -= length;
	}
	verify_problem(report, "manifest", NULL, 0, size == 0 ? "it is empty" : "it has fewer than two lines");
	return false;
}

static bool
read_manifest(Reading *reading, VerifyReport *report)
{
	ManifestSource source = {
		.arg = reading,
		.read = read_more,
		.file = take_file,
		.range = take_range,
	};
	ManifestHead *head = &reading->summary->head;
	struct stat st;

	if (fstat(reading->fd, &st) != 0)
	{
		verify_problem(report, "manifest", NULL, 0, "it cannot be read: %s", strerror(errno));
		return false;
	}
	reading->left = reading->size = st.st_size;
	if (!before_last_line(reading->fd, reading->size, &source.summed, report))
		return false;
	if (manifest_read(&source, head))
		return true;
	verify_problem(report, "manifest", NULL, 0, "%s", head->problem);
	return false;
}

/*
 * Read the manifest into store, unless that is NULL, and summary.  False: it is
 * no good.
 */
bool
verify_read_manifest(const VerifyRoots *roots, int root, const char *below,
					 VerifyStore *store, VerifySummary *summary, VerifyReport *report)
{
	VerifyOpener opener;
	Reading		reading = {.store = store,.summary = summary};

	initStringInfo(&summary->ranges);
	verify_opener_init(&opener);
	reading.fd = verify_open_file(&opener, roots, root, below);
	if (reading.fd < 0)
		verify_problem(report, "manifest", NULL, 0, errno == EINVAL ? "it is not a file" : "it cannot be opened: %s", strerror(errno));
	verify_opener_close(&opener);
	if (reading.fd < 0)
		return false;
	PG_TRY();
	{
		reading.ok = read_manifest(&reading, report);
	}
	PG_FINALLY();
	{
		(void) close(reading.fd);
	}
	PG_END_TRY();
	return reading.ok;
}

/*
 * What is wrong with a control file; NULL: nothing that is known.
 */
static const char *
check_control(const ControlFileData *control, ssize_t length, const VerifySummary *summary)
{
	pg_crc32c	crc;

	if (length < 2 * sizeof(uint64))
		return "it is too short";
	if (control->pg_control_version % 65536 == 0)
		return "it is of a machine with another byte order, or none";
	if (control->pg_control_version == PG_CONTROL_VERSION)
	{
		if (length != sizeof(ControlFileData))
			return "it is too short";
		INIT_CRC32C(crc);
		COMP_CRC32C(crc, control, offsetof(ControlFileData, crc));
		FIN_CRC32C(crc);
		if (!EQ_CRC32C(crc, control->crc))
			return "its own checksum does not match";
	}
	if (summary->head.has_system_identifier && control->system_identifier != summary->head.system_identifier)
		return "it is of another system than the manifest";
	return NULL;
}

/*
 * Does a control file say the same as the manifest?  What it says goes into the
 * summary.  length: how much of it could be read.
 */
static void
take_control(const void *data, ssize_t length, VerifySummary *summary, VerifyReport *report)
{
	ControlFileData control;
	const char *wrong;

	memset(&control, 0, sizeof(control));
	if (length > 0)
		memcpy(&control, data, Min(length, sizeof(control)));
	wrong = check_control(&control, Min(length, (ssize_t) sizeof(control)), summary);
	/* in version 1 nothing is said that it could be compared with */
	if (wrong != NULL && summary->head.version != 1)
		verify_problem(report, "system", VERIFY_CONTROL_FILE, strlen(VERIFY_CONTROL_FILE), "%s", wrong);
	if (wrong == NULL)
	{
		summary->has_control = true;
		summary->control_identifier = control.system_identifier;
		if (control.pg_control_version == PG_CONTROL_VERSION)
		{
			summary->control_redo = control.checkPointCopy.redo;
			summary->control_minimum = control.minRecoveryPoint;
			summary->control_timeline = control.minRecoveryPointTLI;
		}
	}
}

static void
take_label(const char *data, ssize_t length, VerifySummary *summary)
{
	BackupLabel label;

	if (length <= 0)
		return;
	backup_label_parse(pnstrdup(data, length), &label);
	summary->label_start = label.start_lsn;
	summary->label_standby = label.from_standby;
}

/*
 * Is it one of the small files that say what a backup is?
 */
bool
verify_is_small(const char *path)
{
	return strcmp(path, VERIFY_CONTROL_FILE) == 0 || strcmp(path, VERIFY_LABEL_FILE) == 0;
}

/*
 * What such a file says.  length: how much of its begin could be read, up to
 * VERIFY_SMALL_SIZE.
 */
void
verify_small_data(const char *path, const void *data, ssize_t length, VerifySummary *summary, VerifyReport *report)
{
	if (strcmp(path, VERIFY_CONTROL_FILE) == 0)
		take_control(data, length, summary, report);
	else
		take_label(data, length, summary);
}

/*
 * The same for those of a plain backup, if they were found.
 */
void
verify_small(const VerifyPlace *place, VerifyStore *store, VerifySummary *summary, VerifyReport *report)
{
	static const char *const paths[] = {VERIFY_CONTROL_FILE, VERIFY_LABEL_FILE};

	for (int i = 0; i < lengthof(paths); i++)
	{
		VerifyEntry *entry = verify_store_find(store, paths[i], strlen(paths[i]));
		char		data[VERIFY_SMALL_SIZE];
		char		below[MANIFEST_MAX_PATH + 1];
		VerifyOpener opener;
		ssize_t		length = -1;
		int			root;
		int			fd;

		if (entry == NULL || entry->base == VERIFY_NOT_FOUND || !verify_location(place, entry, &root, below))
			continue;
		verify_opener_init(&opener);
		fd = verify_open_file(&opener, &place->roots, root, below);
		verify_opener_close(&opener);
		if (fd >= 0)
		{
			length = read(fd, data, sizeof(data));
			(void) close(fd);
		}
		verify_small_data(paths[i], data, length, summary, report);
	}
}
