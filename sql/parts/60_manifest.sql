--
-- 60_manifest: a base backup against its manifest
--
-- verify_backup() compares the files of a base backup with its manifest, as
-- pg_verifybackup does (src/backup/verify.c).  It reads what the server's user
-- can read, below the folders that it is told, and so is for superusers and
-- members of pg_read_server_files who have been granted it.
--

create function maintsched.verify_backup(
	directory text, roots text[] default '{}', manifest text default null,
	checksums boolean default true, problem_limit integer default 1000,
	out ok boolean, out manifest_version integer, out system_identifier numeric,
	out timeline bigint, out start_lsn pg_lsn, out end_lsn pg_lsn, out wal_ranges jsonb,
	out checkpoint_lsn pg_lsn, out algorithms text, out files bigint, out bytes bigint, out files_read bigint, out bytes_read bigint,
	out files_without_checksum bigint, out processes integer, out seconds double precision,
	out problem_count bigint, out problems jsonb)
returns record
language c volatile
as 'MODULE_PATHNAME', 'maintsched_verify_backup';

comment on function maintsched.verify_backup(text, text[], text, boolean, integer) is
'Internal: Compares the files of a base backup, plain or in tar format (also .tar.gz, .tar.lz4, .tar.zst), with its manifest, by name, size and checksum, as pg_verifybackup --no-parse-wal does. directory: its absolute path. roots: the folders below which files may be read, also through links such as those of tablespaces; none: the directory alone. manifest: NULL is backup_manifest in it. problems: the first problem_limit of them, each with kind (folder, manifest, missing, extra, size, checksum, unreadable, type, link, system, unsupported), path and detail. checkpoint_lsn: the redo position in its control file, which one of another backup would not have between start_lsn and end_lsn; the CRC32C of all control files is the same. The rest is NULL where the manifest is no good; what is about contents is NULL without checksums. Errors: insufficient_privilege (42501) for who may not read files of the server, and for paths outside of the roots; invalid_name (42602) for paths that are not absolute.';

create function maintsched.verify_manifest(directory text, roots text[] default '{}', manifest text default null)
returns table (kind text, path text, detail text)
language sql volatile
begin atomic
	select p.value ->> 'kind', p.value ->> 'path', p.value ->> 'detail'
	from maintsched.verify_backup(directory, roots, manifest) b
	cross join lateral jsonb_array_elements(b.problems) with ordinality as p(value, at)
	order by p.at;
end;

comment on function maintsched.verify_manifest(text, text[], text) is
'Internal: What verify_backup() finds wrong with a base backup, a row for each problem; none: it is as its manifest says.';

create function maintsched.verify_progress()
returns table (pid integer, phase text, bytes_done bigint, bytes_total bigint)
language c volatile
as 'MODULE_PATHNAME', 'maintsched_verify_progress';

comment on function maintsched.verify_progress() is
'Internal: How far the verifications in this database are: the process, what it does, and how many bytes of how many it has read in that. Nothing where the library is not preloaded.';
