/*-------------------------------------------------------------------------
 *
 * wal_program.c
 *	  WAL files that no library of the server unpacks.
 *
 * For bzip2 and xz there is the program.  It reads the file that is open here,
 * whatever its name means by then, and writes into a temporary file of the server,
 * of the size of one WAL file at the most.
 *
 * Runs in any backend, as the server's user; no locks.  Whoever opened the place
 * closes what is open, by an error, too.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"

#include "backup/wal_read.h"
#include "core/process.h"

/* bytes of the error of a program */
#define MAX_ERROR 8192

/* $1: blocks of 512 bytes that it may write, $2: program, $3: where to */
#define UNPACK \
"command -v \"$2\" >/dev/null || exit 127; ulimit -f \"$1\" && exec \"$2\" -dc >\"$3\""

#define NO_PROGRAM 127

/*
 * Which program unpacks it; NULL: none is needed.
 */
const char *
wal_program(WalPacking packing)
{
	if (packing == WAL_BZIP2)
		return "bzip2";
	return packing == WAL_XZ ? "xz" : NULL;
}

static WalOpened
told(WalFile *file, WalOpened result, char *problem)
{
	file->problem = problem;
	return result;
}

/*
 * Why a program could not unpack a file.
 */
static WalOpened
not_unpacked(WalFile *file, const char *program, const ProcessResult *result)
{
	char	   *end = process_end_text(result);

	if (result->exit_code == NO_PROGRAM)
		return told(file, WAL_NOT_READ, psprintf("it is compressed with %s, and program \"%s\" is not on this machine", program, program));
	/* that says nothing about the file */
	if (strstr(result->error.data, strerror(ENOSPC)) != NULL)
		return told(file, WAL_NOT_READ, psprintf("there is no room to unpack it: %s", strerror(ENOSPC)));
	if (result->signal == SIGXFSZ)
		return told(file, WAL_BROKEN, psprintf("what %s unpacks is more than a whole WAL file", program));
	return told(file, WAL_BROKEN, psprintf("%s cannot unpack it: it %s", program, end));
}

/*
 * Have a program write what the open file holds into the temporary file of the
 * place, which is then open to be read.
 */
WalOpened
wal_unpack(WalPlace *place, WalFile *file, const char *program, int *unpacked)
{
	ProcessSpec spec = {0};
	ProcessResult result;
	char	   *path;
	struct stat st;
	int			fd;

	if (place->temporary < 0)
		place->temporary = OpenTemporaryFile(false);
	path = psprintf("%s/%s", DataDir, FilePathName(place->temporary));
	spec.program = "/bin/sh";
	spec.arguments = list_make5("-c", UNPACK, "sh", psprintf("%d", wal_segment_size / 512 + 1), unconstify(char *, program));
	spec.arguments = lappend(spec.arguments, path);
	spec.input_file = place->packed;
	spec.output_limit = spec.error_limit = MAX_ERROR;
	process_run(&spec, &result);
	if (result.exit_code != 0)
		return not_unpacked(file, program, &result);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
	{
		int			saved = errno;

		if (fd >= 0)
			(void) close(fd);
		return told(file, WAL_NOT_READ, psprintf("what was unpacked cannot be read: %s", strerror(saved)));
	}
	if (st.st_size != wal_segment_size)
	{
		(void) close(fd);
		return told(file, WAL_BROKEN, psprintf("it holds %lld bytes, and not %d", (long long) st.st_size, wal_segment_size));
	}
	*unpacked = fd;
	return WAL_OPENED;
}
