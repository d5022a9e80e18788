/*-------------------------------------------------------------------------
 *
 * level7_pgbackrest.c
 *	  Level 7 of a backup by pgBackRest.
 *
 * Two who do not know of each other have to agree, and neither is enough:
 *
 *	the tool		"pgbackrest verify" reads every file of the repository.  It
 *					exits with 0 whatever it finds, calls a repository ok whose
 *					manifests are missing, and takes the copy of a manifest
 *					where the manifest is damaged.
 *	we				read the manifest of the backup, which "pgbackrest repo-get"
 *					decrypts, compare it with its own checksum and its copy, and
 *					all files that it names, also those of the backups on which
 *					it builds, with what the repository has, by name and size.
 *					Where the repository is a folder that may be read here,
 *					each file is read and compared with its checksum, too: the
 *					manifest has that of what is stored, so neither the
 *					compression nor the key is needed.
 *
 * Files may be maps of blocks (block incremental), which the backups before hold;
 * then all maps and blocks of these are compared, too.
 *
 * Where we could not read the files ourselves, the facts say so, and the
 * checksums are the tool's word, on top of names and sizes, which are ours.
 *
 * Runs in the backend that verifies; no snapshot is held.  Errors: a tool that
 * cannot be asked, or says what is not known.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "backup/level7.h"
#include "backup/pgbackrest.h"
#include "backup/pgbackrest_files.h"

#define MAX_LISTING		(900 * (size_t) 1024 * 1024)
#define MAX_LOG			(4 * (size_t) 1024 * 1024)

/*
 * Arguments of all commands; the last one is the command.
 */
static List *
arguments(const Level7 *l, const char *log_level)
{
	List	   *list = list_make1(psprintf("--stanza=%s", l->location));

	if (l->config != NULL)
		list = lappend(list, psprintf("--config=%s", l->config));
	if (l->number != NULL)
		list = lappend(list, psprintf("--repo=%s", l->number));
	list = lappend(list, "--log-level-console=off");
	list = lappend(list, "--log-level-file=off");
	return lappend(list, psprintf("--log-level-stderr=%s", log_level));
}

static bool
get_file(const Level7 *l, const char *path, bool raw, ToolAnswer *answer)
{
	static const ToolLimits limits = {.bytes = true,.output = MAX_LISTING};
	List	   *list = arguments(l, "warn");

	if (raw)
		list = lappend(list, "--raw");
	list = lappend(list, "repo-get");
	list = lappend(list, psprintf("backup/%s/%s", l->location, path));
	tool_work(TOOL_PGBACKREST, list, &limits, answer);
	return answer->exit_code == 0;
}

/*
 * What the repository has below a folder.
 */
static RepoListing *
list_folder(const Level7 *l, const char *folder, const char *prefix, RepoListing *into)
{
	static const ToolLimits limits = {.bytes = true,.output = MAX_LISTING};
	List	   *list = arguments(l, "warn");
	ToolAnswer	answer;

	list = lappend(list, "--recurse");
	list = lappend(list, "--output=json");
	list = lappend(list, "repo-ls");
	list = lappend(list, unconstify(char *, folder));
	tool_work(TOOL_PGBACKREST, list, &limits, &answer);
	if (answer.exit_code != 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("pgBackRest could not list the files of %s: it exited with code %d", folder, answer.exit_code),
				 answer.error[0] != '\0' ? errdetail("It said: %s", answer.error) : 0));
	return repo_list_parse(prefix, answer.raw, answer.raw_length, into);
}

static RepoListing *
list_files(const Level7 *l, const char *label, RepoListing *into)
{
	return list_folder(l, psprintf("backup/%s/%s", l->location, label), label, into);
}

/*
 * The WAL files that the backup needs to be consistent.
 */
static List *
list_wals(const Level7 *l)
{
	RepoListing *listing;
	char	   *folder;
	char	   *last;

	if (l->archive == NULL || l->start_wal == NULL || l->end_wal == NULL)
		return NIL;
	folder = psprintf("archive/%s/%s/%.16s", l->location, l->archive, l->start_wal);
	last = psprintf("archive/%s/%s/%.16s", l->location, l->archive, l->end_wal);
	listing = list_folder(l, folder, folder, NULL);
	if (strcmp(folder, last) != 0)
		(void) list_folder(l, last, last, listing);
	return repo_wal_list(l, listing);
}

/*
 * Read the manifest; NULL: there is none that could be gone by.
 */
static RepoManifest *
read_manifest(Level7 *l, RepoListing *listing, ToolAnswer *raw)
{
	static const char *const names[] = {"backup.manifest", "backup.manifest.copy"};
	RepoManifest *manifests[2] = {NULL, NULL};
	ToolAnswer	answers[2];

	for (int i = 0; i < 2; i++)
	{
		char	   *path = psprintf("%s/%s", l->label, names[i]);
		RepoName   *name = repo_list_find(listing, path);
		char	   *problem;

		if (name == NULL)
		{
			level7_fail(l, "%s is missing", path);
			continue;
		}
		name->known = true;
		if (!get_file(l, path, false, &answers[i]))
		{
			level7_fail(l, "%s cannot be read: %s", path, answers[i].error);
			continue;
		}
		manifests[i] = repo_manifest_parse(l->label, answers[i].raw, answers[i].raw_length, &problem);
		if (manifests[i] == NULL)
			level7_fail(l, "%s: %s", path, problem);
	}
	if (manifests[0] != NULL && manifests[1] != NULL &&
		(answers[0].raw_length != answers[1].raw_length ||
		 memcmp(answers[0].raw, answers[1].raw, answers[0].raw_length) != 0))
		level7_fail(l, "backup.manifest of backup %s and its copy differ", l->label);
	if (manifests[0] != NULL)
		*raw = answers[0];
	return manifests[0];
}

/*
 * Files that are maps of blocks need those of the backups before.
 */
static void
add_blocks(Level7 *l, RepoManifest *manifest)
{
	ListCell   *cell;

	foreach(cell, l->chain)
	{
		const Level7Member *member = lfirst(cell);
		char	   *path = psprintf("%s/backup.manifest", member->label);
		RepoManifest *other;
		ToolAnswer	answer;
		char	   *problem;

		if (strcmp(member->label, l->label) == 0)
			continue;
		if (!get_file(l, path, false, &answer))
		{
			level7_fail(l, "%s, which is needed for its blocks, cannot be read: %s", path, answer.error);
			continue;
		}
		other = repo_manifest_parse(member->label, answer.raw, answer.raw_length, &problem);
		if (other == NULL)
			level7_fail(l, "%s, which is needed for its blocks: %s", path, problem);
		else
			repo_manifest_add_blocks(manifest, other);
	}
}

/*
 * What the manifest says, beside what is expected.
 */
static void
compare_head(Level7 *l, const RepoManifest *manifest)
{
	const Level7Member *itself = llast(l->chain);
	ListCell   *reference;

	if (manifest->system == NULL)
		level7_unchecked(l, "the manifest of backup %s does not say of which cluster it is", l->label);
	else if (l->system != NULL && strcmp(manifest->system, l->system) != 0)
		level7_fail(l, "backup %s is of cluster %s, not of %s", l->label, manifest->system, l->system);
	if (!XLogRecPtrIsInvalid(itself->start) && manifest->start != itself->start)
		level7_fail(l, "backup %s begins at %X/%X by its manifest, and at %X/%X by the catalogue",
					l->label, LSN_FORMAT_ARGS(manifest->start), LSN_FORMAT_ARGS(itself->start));
	foreach(reference, manifest->references)
	{
		bool		known = false;
		ListCell   *cell;

		foreach(cell, l->chain)
			known |= strcmp(((Level7Member *) lfirst(cell))->label, lfirst(reference)) == 0;
		if (!known)
			level7_fail(l, "backup %s needs backup %s, which the catalogue does not say", l->label, (char *) lfirst(reference));
	}
}

/*
 * One file of the manifest, beside the repository.
 */
static void
compare_file(Level7 *l, RepoFile *file, RepoListing *listing, StringInfo missed)
{
	RepoName   *name = repo_list_find(listing, file->path);
	char	   *path;

	if (name == NULL || name->type != 'f')
	{
		file->stored = false;
		/* one with bundles does not hold what is empty */
		if (name == NULL && file->content_size == 0 && !file->own)
			return;
		/* a bundle holds many, and is missed once */
		if (file->bundled && missed->len > 0 && strcmp(missed->data, file->path) == 0)
			return;
		resetStringInfo(missed);
		appendStringInfoString(missed, file->path);
		path = verify_shown_path(file->path, strlen(file->path));
		level7_fail(l, name == NULL ? "%s is missing" : "%s is no file", path);
		pfree(path);
		return;
	}
	name->known = true;
	if (file->bundled && file->own)
		name->end = Max(name->end, file->offset + file->size);
	if (file->bundled ? name->size >= file->offset + file->size : name->size == file->size)
		return;
	path = verify_shown_path(file->path, strlen(file->path));
	level7_fail(l, "%s has " UINT64_FORMAT " bytes, and " UINT64_FORMAT " in the manifest",
				path, name->size, file->offset + file->size);
	pfree(path);
	file->stored = false;
}

/*
 * Where a tablespace is, as a link beside the data folder.
 */
static bool
is_space_link(const RepoName *name, size_t length)
{
	static const char folder[] = "/pg_data/pg_tblspc/";
	const char *rest = name->path + length;

	if (name->type != 'l' || strncmp(rest, folder, strlen(folder)) != 0)
		return false;
	rest += strlen(folder);
	return *rest != '\0' && strspn(rest, "0123456789") == strlen(rest);
}

/*
 * What the repository has of the backup itself, and the manifest has not.
 */
static void
find_extra(Level7 *l, const RepoManifest *manifest, const RepoListing *listing)
{
	size_t		length = strlen(l->label);

	for (int64 i = 0; i < listing->count; i++)
	{
		const RepoName *name = &listing->names[i];

		if (name->end > 0 && name->size > name->end)
			level7_fail(l, "%s has " UINT64_FORMAT " bytes, and " UINT64_FORMAT " in the manifest",
						verify_shown_path(name->path, strlen(name->path)), name->size, name->end);
		if (name->known || name->type == 'd' || manifest->hardlinks ||
			strncmp(name->path, l->label, length) != 0 || name->path[length] != '/' ||
			is_space_link(name, length))
			continue;
		level7_fail(l, "%s is not in the manifest", verify_shown_path(name->path, strlen(name->path)));
	}
}

/*
 * Our own look: every file of the manifest is there, of its size.
 */
static void
reconcile(Level7 *l, RepoManifest *manifest, RepoListing *listing)
{
	StringInfoData missed;
	ListCell   *cell;

	initStringInfo(&missed);
	foreach(cell, manifest->references)
	{
		if (strcmp(lfirst(cell), l->label) != 0)
			(void) list_files(l, lfirst(cell), listing);
	}
	repo_list_sort(listing);
	for (int64 i = 0; i < manifest->nfiles; i++)
		if (manifest->files[i].stored)
			compare_file(l, &manifest->files[i], listing, &missed);
	find_extra(l, manifest, listing);
	level7_number(l, "files", manifest->nfiles);
	level7_number(l, "bytes", manifest->bytes);
	level7_number(l, "references", list_length(manifest->references));
}

/*
 * Ask the tool to verify; what it says is kept for other backups of the call.
 */
static ToolVerdict *
ask_tool(Level7 *l)
{
	static const ToolLimits limits = {.long_work = true,.error = MAX_LOG};
	MemoryContext before;
	ToolVerdict *verdict;
	ToolAnswer	answer;
	List	   *list = arguments(l, "detail");

	if (*l->said != NULL && (l->number == NULL) == ((*l->said)->number == NULL) &&
		(l->number == NULL || strcmp(l->number, (*l->said)->number) == 0))
		return *l->said;
	list = lappend(list, "--output=text");
	list = lappend(list, "--verbose");
	list = lappend(list, "verify");
	level7_ask(TOOL_PGBACKREST, list, &limits, &answer);

	before = MemoryContextSwitchTo(l->keep);
	verdict = palloc0(sizeof(ToolVerdict));
	verdict->number = l->number == NULL ? NULL : pstrdup(l->number);
	verdict->exit_code = answer.exit_code;
	verdict->seconds = answer.seconds;
	if (answer.exit_code != 0)
		verdict->failure = pstrdup(answer.error[0] != '\0' ? answer.error : "it said nothing");
	tool_verdict_parse(verdict, answer.output, answer.whole_error);
	MemoryContextSwitchTo(before);
	*l->said = verdict;
	return verdict;
}

/*
 * Files of which the tool says that they are bad, and which this backup needs.
 */
static int
bad_files(Level7 *l, const ToolVerdict *verdict, const RepoManifest *manifest)
{
	int			count = 0;
	ListCell   *cell;

	foreach(cell, verdict->files)
	{
		const ToolFile *file = lfirst(cell);

		for (int64 i = 0; manifest != NULL && i < manifest->nfiles; i++)
		{
			if (strcmp(manifest->files[i].path, file->path) != 0)
				continue;
			level7_fail(l, "pgBackRest says: %s '%s'", file->reason,
						verify_shown_path(file->path, strlen(file->path)));
			count++;
			break;
		}
	}
	return count;
}

/*
 * WAL of which the tool says that it is bad, and which a recovery needs.
 */
static void
bad_wals(Level7 *l, const ToolVerdict *verdict, bool own)
{
	ListCell   *cell;

	foreach(cell, verdict->files)
	{
		const ToolFile *file = lfirst(cell);
		bool		of_backup;

		if (repo_wal_concerns(l, file->path, &of_backup) && !(own && of_backup))
			level7_fail(l, "pgBackRest says: %s '%s', so a recovery ends there", file->reason,
						verify_shown_path(file->path, strlen(file->path)));
	}
}

static void
judge_tool(Level7 *l, const ToolVerdict *verdict, const RepoManifest *manifest, bool own)
{
	const ToolBackup *backup = tool_verdict_of(verdict, l->label);

	level7_fact(l, "tool", backup == NULL ? "silent" : backup->status);
	if (verdict->version != NULL)
		level7_fact(l, "tool_version", verdict->version);
	if (backup != NULL)
		level7_number(l, "tool_files", backup->checked);
	bad_wals(l, verdict, own);
	if (backup != NULL && (strcmp(backup->status, "invalid") == 0 || strcmp(backup->status, "manifest missing") == 0))
	{
		/* which ones, we have said ourselves where we read them */
		if (own && l->result == LEVEL7_FAIL)
			return;
		if (bad_files(l, verdict, manifest) == 0)
			level7_fail(l, "pgBackRest says that backup %s is %s: %lld of %lld files are valid",
						l->label, backup->status, (long long) backup->valid, (long long) backup->checked);
		return;
	}
	if (verdict->exit_code != 0)
		level7_unchecked(l, "pgbackrest verify exited with code %d: %s", verdict->exit_code, verdict->failure);
	else if (verdict->odd != NULL && strncmp(verdict->odd, "No usable ", 10) == 0)
		level7_fail(l, "pgBackRest says: %.200s", verdict->odd);
	else if (verdict->odd != NULL)
		level7_unchecked(l, "pgbackrest verify printed what is not known here: %.200s", verdict->odd);
	else if (backup == NULL)
		level7_unchecked(l, "pgbackrest verify says nothing of backup %s", l->label);
	else if (strcmp(backup->status, "valid") != 0)
		level7_unchecked(l, "pgbackrest verify says that backup %s is %.60s", l->label, backup->status);
	else if (verdict->status == NULL || backup->checked == 0 || backup->checked != backup->valid || backup->bad != 0)
		level7_unchecked(l, "pgbackrest verify contradicts itself about backup %s", l->label);
	else if (manifest != NULL && !manifest->bundles && backup->checked != manifest->nitself)
		level7_unchecked(l, "pgbackrest verify looked at %lld files, and the manifest has %lld",
						 (long long) backup->checked, (long long) manifest->nitself);
}

void
level7_pgbackrest(Level7 *l)
{
	RepoListing *listing = list_files(l, l->label, NULL);
	RepoManifest *manifest;
	ToolVerdict *verdict;
	ToolAnswer	raw = {0};
	bool		own = false;
	List	   *wals = NIL;

	repo_list_sort(listing);
	manifest = read_manifest(l, listing, &raw);
	if (manifest != NULL)
	{
		compare_head(l, manifest);
		if (manifest->blocks)
			add_blocks(l, manifest);
		reconcile(l, manifest, listing);
		wals = list_wals(l);
	}
	verdict = ask_tool(l);
	if (manifest != NULL)
	{
		/* of an encrypted repository the folder has another one than was read */
		own = repo_files_verify(l, manifest, wals, verdict->paths, &raw) ||
			(l->roots.count > 0 && get_file(l, psprintf("%s/backup.manifest", l->label), true, &raw) &&
			 repo_files_verify(l, manifest, wals, verdict->paths, &raw));
	}
	level7_fact(l, "checksums", own ? "own and tool" : "tool");
	judge_tool(l, verdict, manifest, own);
}
