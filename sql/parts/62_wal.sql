--
-- 62_wal: what the archive has, and what this server has written
--
-- An archive is a list of ranges of WAL files, with what is no good in it, and
-- the history files of its timelines (src/backup/wal.c).  It comes from the files
-- themselves where the server may read them, else, for pgBackRest, from what that
-- lists of its repository; what Barman says of WAL is from a list of its own and
-- not from the files, and is never enough.
--
-- WAL files have numbers: file N of a timeline holds the positions from N times
-- the size of a file on.
--

create function maintsched.list_wal(folder text, roots text[], segment_size bigint, system_identifier numeric default null)
returns table (item text, timeline bigint, first text, last text, files bigint, bytes bigint, modified timestamptz, detail text)
language c volatile
as 'MODULE_PATHNAME', 'maintsched_list_wal';

comment on function maintsched.list_wal(text, text[], bigint, numeric) is
'Internal: What a folder of archived WAL below one of the roots has: item range (files without a gap), partial, damaged and arriving (too short, but new) of one file each, history (detail: its contents), encrypted and plain (how many of the files that were looked into). system_identifier: files of another cluster are damaged. How files begin is looked at, of many only where ranges begin and end and of the newest. Errors: insufficient_privilege (42501) without the privileges of pg_read_server_files and for folders outside of the roots, undefined_file (58P01) and its like.';

create function maintsched.list_stanza_wal(stanza text, config text, archive text, repository integer, segment_size bigint)
returns table (item text, timeline bigint, first text, last text, files bigint, bytes bigint, modified timestamptz, detail text)
language c volatile
as 'MODULE_PATHNAME', 'maintsched_list_stanza_wal';

comment on function maintsched.list_stanza_wal(text, text, text, integer, bigint) is
'Internal: The same of an archive of a stanza, such as 15-1, as pgBackRest lists it (repo-ls). Errors: insufficient_privilege (42501) without the privileges of pg_execute_server_program, and those of read_pgbackrest().';

create function maintsched.list_own_wal(directory text, roots text[], segment_size bigint, system_identifier numeric default null, packed boolean default true)
returns table (item text, timeline bigint, first text, last text, files bigint, bytes bigint, modified timestamptz, detail text)
language c volatile
as 'MODULE_PATHNAME', 'maintsched_list_own_wal';

comment on function maintsched.list_own_wal(text, text[], bigint, numeric, boolean) is
'Internal: The same of the WAL that a base backup brings with it: in its pg_wal, pg_wal.tar or base.tar, also compressed. packed: a compressed base.tar is uncompressed for it, too, up to 4 GB. Errors as of list_wal(); undefined_file (58P01) where there is none that can be looked at.';

create function maintsched.first_commit(since pg_lsn, bytes bigint, out at timestamptz, out until pg_lsn)
returns record
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_first_commit';

comment on function maintsched.first_commit(pg_lsn, bigint) is
'Internal: When the first transaction after a position was committed, by this server''s own WAL, looking at so many bytes of it. at NULL: none was, up to until; until NULL: there is no telling. Errors: undefined_file (58P01) where that WAL is gone.';

create function maintsched.wal_number(file text, segment_size bigint) returns bigint
language sql immutable parallel safe
return ('x' || substr(file, 9, 8))::bit(32)::bigint * (4294967296 / segment_size) + ('x' || substr(file, 17, 8))::bit(32)::bigint;

comment on function maintsched.wal_number(text, bigint) is 'Internal: The number of a WAL file.';

create function maintsched.wal_file(timeline bigint, number bigint, segment_size bigint) returns text
language sql immutable parallel safe
return upper(lpad(to_hex(timeline), 8, '0') || lpad(to_hex(number / (4294967296 / segment_size)), 8, '0')
	|| lpad(to_hex(number % (4294967296 / segment_size)), 8, '0'));

comment on function maintsched.wal_file(bigint, bigint, bigint) is 'Internal: The name of a WAL file.';

create function maintsched.wal_number_at(lsn pg_lsn, segment_size bigint) returns bigint
language sql immutable parallel safe
return trunc((lsn - pg_lsn '0/0') / segment_size)::bigint;

comment on function maintsched.wal_number_at(pg_lsn, bigint) is 'Internal: The number of the WAL file that holds what comes at a position.';

create function maintsched.lsn_text(lsn pg_lsn) returns text
language sql immutable strict parallel safe
return upper(to_hex(div(lsn - pg_lsn '0/0', 4294967296)::bigint)) || '/' || upper(to_hex(mod(lsn - pg_lsn '0/0', 4294967296)::bigint));

comment on function maintsched.lsn_text(pg_lsn) is
'Internal: A position in WAL for words and records, the same on every release: without leading zeros, as PostgreSQL up to 18 writes it.';

create function maintsched.wal_start(number bigint, segment_size bigint) returns pg_lsn
language sql immutable parallel safe
return pg_lsn '0/0' + number::numeric * segment_size;

comment on function maintsched.wal_start(bigint, bigint) is 'Internal: Where a WAL file begins.';

create function maintsched.timeline_history(timeline bigint, contents text)
returns table (timeline bigint, until pg_lsn)
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select m.found[1]::bigint, m.found[2]::pg_lsn
	from regexp_split_to_table(contents, '[' || chr(10) || chr(13) || ']+') with ordinality l(line, ordinality)
	cross join lateral (
		select regexp_match(l.line, '^[[:space:]]*([0-9]{1,10})[[:space:]]+([0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8})') as found) m
	where m.found is not null
	union all
	select timeline_history.timeline, null
$$;

comment on function maintsched.timeline_history(bigint, text) is
'Internal: A timeline and those that it comes from, by its history file; until: where it was left, NULL for itself.';

create function maintsched.server_wal() returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	segment constant bigint := pg_size_bytes(current_setting('wal_segment_size'));
	standby constant boolean := pg_is_in_recovery();
	archiver constant pg_stat_archiver := (select a from pg_stat_archiver a);
	at_lsn pg_lsn;
	timeline bigint;
	statuses record;
begin
	if standby then
		at_lsn := pg_last_wal_replay_lsn();
		select greatest(c.timeline_id, r.min_recovery_end_timeline, w.received_tli) into timeline
		from pg_control_checkpoint() c
		cross join pg_control_recovery() r
		left join pg_stat_wal_receiver w on true;
	else
		at_lsn := pg_current_wal_flush_lsn();
		timeline := maintsched.wal_timeline(pg_walfile_name(at_lsn));
	end if;
	-- what the archiver was told is archived, and what waits for it
	select max(substr(f.name, 1, 24) collate "C") filter (where f.name ~ '^[0-9A-F]{24}[.]done$'
				and maintsched.wal_timeline(f.name) = timeline) as done,
		count(*) filter (where f.name ~ '[.]ready$') as ready
		into statuses
	from pg_ls_archive_statusdir() f;
	return jsonb_build_object(
		'system_identifier', (select s.system_identifier::numeric + case when s.system_identifier < 0 then 18446744073709551616 else 0 end
			from pg_control_system() s),
		'version', current_setting('server_version_num')::integer / 10000,
		'standby', standby, 'segment_size', segment, 'timeline', timeline, 'lsn', maintsched.lsn_text(at_lsn),
		'history', case when timeline > 1 then
			pg_read_file('pg_wal/' || upper(lpad(to_hex(timeline), 8, '0')) || '.history', 0, 65536, true) end,
		'archive_mode', current_setting('archive_mode'),
		'archives', current_setting('archive_mode') <> 'off' and (not standby or current_setting('archive_mode') = 'always'),
		'last_archived', archiver.last_archived_wal, 'last_archived_at', archiver.last_archived_time,
		'last_failed', archiver.last_failed_wal, 'last_failed_at', archiver.last_failed_time,
		'failures', archiver.failed_count, 'done', statuses.done, 'ready', statuses.ready);
end
$$;

comment on function maintsched.server_wal() is
'Internal: What this server has written of WAL, and what its archiver says.';

create function maintsched.listed_wal(rows_of text, listing jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
	select jsonb_build_object('source', rows_of, 'problem', null,
		'ranges', coalesce(jsonb_agg(l) filter (where l ->> 'item' = 'range'), '[]'),
		'damaged', coalesce(jsonb_object_agg(l ->> 'first', l ->> 'detail') filter (where l ->> 'item' = 'damaged'), '{}'),
		'arriving', coalesce(jsonb_agg(l -> 'first') filter (where l ->> 'item' = 'arriving'), '[]'),
		'partial', coalesce(jsonb_agg(l -> 'first') filter (where l ->> 'item' = 'partial'), '[]'),
		'histories', coalesce(jsonb_object_agg(l ->> 'timeline', l -> 'detail') filter (where l ->> 'item' = 'history'), '{}'),
		'encrypted', coalesce(sum((l ->> 'files')::bigint) filter (where l ->> 'item' = 'encrypted'), 0),
		'plain', coalesce(sum((l ->> 'files')::bigint) filter (where l ->> 'item' = 'plain'), 0),
		'files', coalesce(sum((l ->> 'files')::bigint) filter (where l ->> 'item' = 'range'), 0))
	from jsonb_array_elements(listing) l
$$;

comment on function maintsched.listed_wal(text, jsonb) is
'Internal: The rows of list_wal() as an object. rows_of: who said so, files or pgBackRest.';

create function maintsched.archive_places(r maintsched.repository, id text, key integer, facts jsonb) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select case
		when r.kind = 'pgbackrest' and r.archive is not null then
			array[r.archive || '/' || id, r.archive || '/' || r.location || '/' || id, r.archive]
		when r.archive is not null then array[r.archive]
		when r.pulled then (
			select array_agg(a ->> 'path')
			from jsonb_array_elements(case when jsonb_typeof(facts -> 'archives') = 'array' then facts -> 'archives' else '[]' end) a
			where a ->> 'id' is not distinct from archive_places.id and coalesce((a ->> 'repository')::integer, 1) = key) end
$$;

comment on function maintsched.archive_places(maintsched.repository, text, integer, jsonb) is
'Internal: Folders in which archived WAL may be, those that are NULL included: that of archive id of the tool''s repository key, by the facts of a reading.';

create function maintsched.archive_wal(r maintsched.repository, b maintsched.backup_record, x maintsched.backup_reading, s jsonb) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	segment constant bigint := s -> 'segment_size';
	expected constant numeric := coalesce(r.system_identifier, (s -> 'system_identifier')::numeric);
	roots constant text[] := maintsched.backup_roots();
	id constant text := coalesce(b.details ->> 'archive', x.facts -> 'archives' -> 0 ->> 'id');
	key constant integer := coalesce((b.details ->> 'repository')::integer, 1);
	place text;
	listing jsonb;
	result jsonb;
	problem text;
	closed text;
begin
	if r.kind = 'basebackup' and r.archive is null then
		return jsonb_build_object('source', 'none', 'problem', null);
	end if;
	foreach place in array coalesce(array_remove(maintsched.archive_places(r, id, key, x.facts), null), '{}') loop
		begin
			select coalesce(jsonb_agg(to_jsonb(l)), '[]') into listing
			from maintsched.list_wal(place, roots, segment, expected) l;
			result := maintsched.listed_wal('files', listing) || jsonb_build_object('place', place);
			if jsonb_array_length(listing) > 0 then
				return result;
			end if;
		exception
			when insufficient_privilege then
				closed := coalesce(closed, sqlerrm);
			when undefined_file or wrong_object_type or io_error or object_not_in_prerequisite_state then
				problem := coalesce(problem, sqlerrm);
		end;
	end loop;
	-- one without WAL, unless that may be where it could not be looked
	if result is not null and closed is null then
		return result;
	end if;
	if r.kind = 'pgbackrest' and r.pulled and id is not null then
		begin
			select coalesce(jsonb_agg(to_jsonb(l)), '[]') into listing
			from maintsched.list_stanza_wal(r.location, r.config, id, key, segment) l;
			return maintsched.listed_wal('pgBackRest', listing) || jsonb_build_object('place', id);
		exception when others then
			closed := sqlerrm;
		end;
	end if;
	return jsonb_build_object('source', null, 'problem', 'the files of the archive were not seen: '
		|| coalesce(closed, problem, case when r.pulled then 'it is not known where they are' else 'they are not here' end));
end
$$;

comment on function maintsched.archive_wal(maintsched.repository, maintsched.backup_record, maintsched.backup_reading, jsonb) is
'Internal: The WAL in the archive that a backup relies on: listed_wal() of it; source none: there is no archive; source NULL: it could not be seen, problem says why.';
