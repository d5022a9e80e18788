--
-- 61_catalogue_folder: folders of backups by pg_basebackup
--
-- What src/backup/catalogue.c sees in a folder is an array of objects with the
-- columns of backup_record; brought from elsewhere it may also hold backup
-- manifests, which say a part of that.
--

create function maintsched.read_backup_folder(folder text) returns jsonb
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_read_backup_folder';

comment on function maintsched.read_backup_folder(text) is
'Internal: The backups by pg_basebackup in a folder below maintsched.backup_roots, or which it is itself: an array of objects. What is no backup is left out. Errors: insufficient_privilege (42501), undefined_file (58P01) and its like.';

create function maintsched.archived_system(folder text, max_bytes bigint) returns text
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_archived_system';

comment on function maintsched.archived_system(text, bigint) is
'Internal: The system identifier of a backup whose base.tar.gz, .lz4 or .zst has to be uncompressed for it; NULL where it has none, cannot be read or is larger than max_bytes.';

create function maintsched.read_folder_catalog(repository text, folder text) returns jsonb
language sql volatile
begin atomic
	select coalesce(jsonb_agg(
		case
			-- while this server gives one to pg_basebackup, that one is being made is nothing wrong
			when b.value ->> 'problem' = 'it has no backup_manifest: pg_basebackup may still be at it, or was told to make none'
				and exists (select from pg_stat_progress_basebackup)
			then b.value - 'problem'
			when b.value ? 'system_identifier' or coalesce(b.value #>> '{details,compression}', 'none') = 'none' then b.value
			else b.value || jsonb_strip_nulls(jsonb_build_object('system_identifier', coalesce(
				-- once is enough
				(
					select r.system_identifier::text
					from maintsched.latest_records(read_folder_catalog.repository) r
					where r.label = b.value ->> 'label' and r.location = b.value ->> 'location'
					and r.start_lsn = (b.value ->> 'start_lsn')::pg_lsn and r.end_lsn = (b.value ->> 'end_lsn')::pg_lsn
				),
				maintsched.archived_system(b.value ->> 'location', 4294967296)))) end
		|| case when (b.value ->> 'state' = 'running' or b.value ->> 'problem' like 'it has no backup!_manifest:%' escape '!') and exists (
				select from maintsched.backup_record r
				where r.repository = read_folder_catalog.repository and r.state = 'done'
				and r.label = b.value ->> 'label' and r.location = b.value ->> 'location'
				and r.start_lsn = (b.value ->> 'start_lsn')::pg_lsn)
			then '{"state": "failed", "problem": "its backup_manifest is gone, which was there"}'::jsonb else '{}' end
		order by b.ordinality), '[]')
	from jsonb_array_elements(maintsched.read_backup_folder(folder)) with ordinality b;
end;

comment on function maintsched.read_folder_catalog(text, text) is
'Internal: The backups in a folder, with the system identifiers of compressed ones, up to 4 GB, which are looked for once. One that was complete does not begin anew.';

create function maintsched.catalogue_instant(doc jsonb, key text, path text) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
as $$
declare
	value text;
begin
	if jsonb_typeof(doc -> key) = 'number' then
		return maintsched.catalogue_time(doc, key, path);
	end if;
	value := maintsched.catalogue_text(doc, key, path, pattern =>
		'^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?( ?(Z|UTC|GMT)|[+-][0-9]{2}(:?[0-9]{2})?)$',
		form => 'time with its offset from UTC');
	return value::timestamptz;
exception when datetime_field_overflow or invalid_datetime_format then
	perform maintsched.refuse_catalogue(path || '.' || key, format('is "%s", which is no time', value));
end
$$;

comment on function maintsched.catalogue_instant(jsonb, text, text) is
'Internal: An instant of a catalogue, in seconds since 1970 or as a text with its offset from UTC.';

create function maintsched.label_time(label_time text) returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
as $$
#variable_conflict use_variable
declare
	instant timestamptz;
begin
	-- abbreviations are ambiguous: those of the server's own zone come first
	perform set_config('timezone', current_setting('log_timezone'), true);
	instant := left(label_time, 19)::timestamptz;
	if to_char(instant, 'YYYY-MM-DD HH24:MI:SS TZ') = label_time then
		return instant;
	end if;
	perform set_config('timezone', 'UTC', true);
	return label_time::timestamptz;
exception when data_exception then
	return null;
end
$$;

comment on function maintsched.label_time(text) is
'Internal: The START TIME of a backup_label, such as 2026-11-22 13:00:00 CET; NULL where that is no time.';

create function maintsched.folder_backup(doc jsonb, place text) returns maintsched.backup_entry
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	entry maintsched.backup_entry;
	written timestamptz;
	copied boolean := false;
begin
	entry.label := maintsched.catalogue_text(doc, 'label', place, true, '^.', 'name of a backup');
	entry.state := coalesce(maintsched.catalogue_text(doc, 'state', place, pattern => '^(done|running|waiting|failed)$', form => 'state of a backup'), 'done');
	entry.type := coalesce(maintsched.catalogue_text(doc, 'type', place, pattern => '^(full|diff|incr)$', form => 'type of a backup'), 'full');
	entry.prior := maintsched.catalogue_text(doc, 'prior', place);
	entry.depends_on := array(
		select maintsched.catalogue_text(jsonb_build_object('depends_on', d.value), 'depends_on', place, true)
		from jsonb_array_elements(maintsched.catalogue_value(doc, 'depends_on', place, 'array')) with ordinality d
		order by d.ordinality);
	entry.started_at := coalesce(maintsched.label_time(maintsched.catalogue_text(doc, 'label_time', place)),
		maintsched.catalogue_instant(doc, 'started_at', place));
	entry.finished_at := maintsched.catalogue_instant(doc, 'finished_at', place);
	-- pg_basebackup writes backup_label at once: when that was later, the folder is a copy, and its times are that one's
	written := maintsched.catalogue_instant(doc, 'label_written', place);
	if written - entry.started_at not between interval '-10 minutes' and interval '1 hour' then
		entry.finished_at := entry.started_at + greatest(entry.finished_at - written, interval '0');
		copied := true;
	-- of archives only the end is known: they do not take days
	elsif entry.finished_at - entry.started_at not between interval '0' and interval '1 day' then
		entry.finished_at := entry.started_at;
		copied := true;
	end if;
	entry.start_lsn := maintsched.catalogue_lsn(doc, 'start_lsn', place);
	entry.end_lsn := maintsched.catalogue_lsn(doc, 'end_lsn', place);
	entry.timeline := maintsched.catalogue_number(doc, 'timeline', place, 1, 4294967295);
	entry.start_wal := maintsched.catalogue_wal(doc, 'start_wal', place);
	entry.end_wal := maintsched.catalogue_wal(doc, 'end_wal', place);
	entry.system_identifier := maintsched.catalogue_identifier(doc, 'system_identifier', place);
	entry.pg_version := maintsched.catalogue_text(doc, 'pg_version', place, pattern => '^[0-9.]{1,10}$', form => 'version of PostgreSQL');
	entry.size_bytes := maintsched.catalogue_bytes(doc, 'size_bytes', place);
	entry.delta_bytes := maintsched.catalogue_bytes(doc, 'delta_bytes', place);
	entry.stored_bytes := maintsched.catalogue_bytes(doc, 'stored_bytes', place);
	entry.encrypted := maintsched.catalogue_value(doc, 'encrypted', place, 'boolean')::boolean;
	entry.location := maintsched.catalogue_text(doc, 'location', place, pattern => '^/', form => 'absolute path');
	entry.problem := maintsched.catalogue_note(doc, 'problem', place);
	entry.details := coalesce(maintsched.catalogue_value(doc, 'details', place, 'object'), '{}')
		|| case when copied then '{"copied": true}' else '{}' end::jsonb;
	return entry;
end
$$;

comment on function maintsched.folder_backup(jsonb, text) is
'Internal: A backup that is described by the columns of backup_record.';

create function maintsched.manifest_backup(doc jsonb, label text, place text) returns maintsched.backup_entry
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	version constant integer := maintsched.catalogue_number(doc, 'PostgreSQL-Backup-Manifest-Version', place, 1, 2, true);
	files constant jsonb := maintsched.catalogue_value(doc, 'Files', place, 'array', true);
	ranges constant jsonb := maintsched.catalogue_value(doc, 'WAL-Ranges', place, 'array', true);
	range record;
	entry maintsched.backup_entry;
begin
	for range in
		select maintsched.catalogue_number(r.value, 'Timeline', x.at, 1, 4294967295, true) as timeline,
			maintsched.catalogue_lsn(r.value, 'Start-LSN', x.at, true) as first,
			maintsched.catalogue_lsn(r.value, 'End-LSN', x.at, true) as last
		from jsonb_array_elements(ranges) with ordinality r
		cross join lateral (select format('%s.WAL-Ranges[%s]', place, r.ordinality - 1) as at) x
		order by 1
	loop
		entry.start_lsn := least(entry.start_lsn, range.first);
		entry.end_lsn := greatest(entry.end_lsn, range.last);
		entry.timeline := range.timeline;
	end loop;
	entry.label := coalesce(label, format('%s@%s', entry.timeline, translate(maintsched.lsn_text(entry.start_lsn), '/', '-')));
	entry.state := 'done';
	entry.type := case when exists (select from jsonb_array_elements(files) f where f.value ->> 'Path' ~ '(^|/)INCREMENTAL[.]')
		then 'incr' else 'full' end;
	entry.depends_on := '{}';
	entry.system_identifier := maintsched.catalogue_number(doc, 'System-Identifier', place, 1, 18446744073709551615);
	-- the last file that was copied was changed before the end
	select sum(maintsched.catalogue_bytes(f.value, 'Size', format('%s.Files[%s]', place, f.ordinality - 1))),
			max(maintsched.catalogue_instant(f.value, 'Last-Modified', format('%s.Files[%s]', place, f.ordinality - 1)))
		into entry.size_bytes, entry.finished_at
	from jsonb_array_elements(files) with ordinality f;
	entry.details := jsonb_build_object('manifest_version', version, 'files', jsonb_array_length(files));
	return entry;
end
$$;

comment on function maintsched.manifest_backup(jsonb, text, text) is
'Internal: A backup of which only the manifest was brought. Its end is taken for when the latest of its files was changed. Without a label it is known by timeline and start.';

create function maintsched.folder_backups(catalog jsonb) returns setof maintsched.backup_entry
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	twice text;
	entries maintsched.backup_entry[];
begin
	if jsonb_typeof(catalog) = 'object' and not catalog ?| array['PostgreSQL-Backup-Manifest-Version', 'label'] then
		-- by their names
		perform maintsched.refuse_catalogue(quote_ident(c.key), format('is %s, and no backup', maintsched.shown_value(c.value)))
		from jsonb_each(catalog) c where jsonb_typeof(c.value) <> 'object';
		-- what another tool printed may be an object of names, too
		perform maintsched.refuse_catalogue(quote_ident(c.key), 'is no backup: it has neither a manifest nor a state, times, positions or a size')
		from jsonb_each(catalog) c
		where not c.value ?| array['PostgreSQL-Backup-Manifest-Version', 'manifest', 'state', 'started_at', 'finished_at', 'label_time',
			'start_lsn', 'end_lsn', 'size_bytes', 'problem'];
		catalog := (select coalesce(jsonb_agg(c.value || jsonb_build_object('label', c.key)), '[]') from jsonb_each(catalog) c);
	elsif jsonb_typeof(catalog) = 'object' then
		catalog := jsonb_build_array(catalog);
	elsif jsonb_typeof(catalog) <> 'array' then
		perform maintsched.refuse_catalogue('', format('is %s, and no list of backups', maintsched.shown_value(catalog)));
	end if;
	perform maintsched.refuse_catalogue(format('[%s]', c.ordinality - 1), format('is %s, and no backup', maintsched.shown_value(c.value)))
	from jsonb_array_elements(catalog) with ordinality c where jsonb_typeof(c.value) <> 'object';
	entries := array(
		select case
			when c.value ? 'PostgreSQL-Backup-Manifest-Version' then maintsched.manifest_backup(
				c.value, maintsched.catalogue_text(c.value, 'label', x.at), x.at)
			when jsonb_typeof(c.value -> 'manifest') = 'object' then maintsched.manifest_backup(
				c.value -> 'manifest', maintsched.catalogue_text(c.value, 'label', x.at, true), x.at || '.manifest')
			else maintsched.folder_backup(c.value, x.at)
		end
		from jsonb_array_elements(catalog) with ordinality c
		cross join lateral (select format('[%s]', c.ordinality - 1) as at) x);
	select e.label into twice from unnest(entries) e group by e.label having count(*) > 1 limit 1;
	if found then
		perform maintsched.refuse_catalogue('', format('speaks of backup "%s" twice', twice));
	end if;
	return query select * from maintsched.link_backups(entries);
end
$$;

comment on function maintsched.folder_backups(jsonb) is
'Internal: The backups of a folder.';

create function maintsched.link_backups(entries maintsched.backup_entry[]) returns setof maintsched.backup_entry
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with recursive entry as (
		select e.* from unnest(entries) e
	), link as (
		-- an incremental backup says where the one began that it builds on
		select e.label, coalesce(e.prior, (
			select p.label from entry p
			where p.start_lsn = (e.details ->> 'incremental_from_lsn')::pg_lsn
			and p.timeline >= (e.details ->> 'incremental_from_timeline')::bigint
			and p.label <> e.label and p.system_identifier is not distinct from e.system_identifier
			order by p.finished_at desc, p.label
			limit 1)) as prior
		from entry e
		where e.type = 'incr'
	), chain as (
		select l.label, l.prior, array[l.prior] as needed
		from link l
		where l.prior is not null
		union all
		select c.label, l.prior, c.needed || l.prior
		from chain c
		join link l on l.label = c.prior
		where l.prior is not null and l.prior <> all (c.needed) and l.prior <> c.label
	)
	select e.label, e.state, e.type, l.prior,
		coalesce((select c.needed from chain c where c.label = e.label order by cardinality(c.needed) desc limit 1), e.depends_on),
		e.started_at, e.finished_at, e.start_lsn, e.end_lsn, e.timeline, e.start_wal, e.end_wal, e.system_identifier,
		e.pg_version, e.size_bytes, e.delta_bytes, e.stored_bytes, e.encrypted, e.location,
		case when e.type = 'incr' and l.prior is null and e.details ? 'incremental_from_lsn' then
			coalesce(e.problem || '; ', '') || format('the backup that it builds on, which began at %s, is not in this folder',
				e.details ->> 'incremental_from_lsn')
			else e.problem end,
		e.details
	from entry e
	left join link l on l.label = e.label
$$;

comment on function maintsched.link_backups(maintsched.backup_entry[]) is
'Internal: Backups of a folder, each incremental one with those that it builds on.';

create function maintsched.folder_facts(catalog jsonb, folder text, archive text) returns jsonb
language sql
set search_path = pg_catalog, pg_temp
as $$
	select jsonb_build_object(
		'tool', 'pg_basebackup', 'version', null, 'status', null, 'message', null,
		'complete', jsonb_typeof(catalog) <> 'object' or not catalog ?| array['PostgreSQL-Backup-Manifest-Version', 'label'],
		'paths', jsonb_build_array(folder), 'encrypted', false,
		'systems', coalesce(jsonb_agg(distinct jsonb_build_object('system_identifier', b.system_identifier, 'version', b.pg_version))
			filter (where b.system_identifier is not null), '[]'),
		'archives', case when archive is null then '[]'
			else jsonb_build_array(jsonb_build_object('id', null, 'path', archive, 'first', null, 'last', null)) end)
	from maintsched.folder_backups(catalog) b
$$;

comment on function maintsched.folder_facts(jsonb, text, text) is
'Internal: What is known of a folder of backups as a whole: as backup_reading.facts.';
