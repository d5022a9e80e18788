--
-- 61_catalogue_barman: what "barman --format json" prints
--
-- Of a server the answer of list-backups, and of each backup that of
-- show-backup: objects whose only key is the server's name, in an array.  The
-- answer of show-servers may be among them, for the folders.  Barman's messages
-- have keys of their own, _INFO, _WARNING, _ERROR and _EXCEPTION.
--

create function maintsched.barman_answers(catalog jsonb, server text)
returns table (place text, answer jsonb)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	element record;
	member record;
	names text[];
	known boolean := false;
begin
	if jsonb_typeof(catalog) = 'object' then
		catalog := jsonb_build_array(catalog);
	elsif jsonb_typeof(catalog) <> 'array' then
		perform maintsched.refuse_catalogue('', format('is %s; Barman prints objects', maintsched.shown_value(catalog)));
	end if;
	for element in select e.value, e.ordinality - 1 as at from jsonb_array_elements(catalog) with ordinality e loop
		if jsonb_typeof(element.value) <> 'object' then
			perform maintsched.refuse_catalogue(format('[%s]', element.at),
				format('is %s, and no answer of Barman', maintsched.shown_value(element.value)));
		elsif element.value ?| array['_ERROR', '_EXCEPTION'] then
			raise exception using
				errcode = 'external_routine_exception',
				message = format('Barman reports an error: %s', left(regexp_replace(coalesce(
					element.value #>> '{_ERROR,0}', element.value #>> '{_EXCEPTION,0}', 'no words'), '[[:cntrl:]]+', ' ', 'g'), 1000));
		end if;
		for member in select m.key, m.value from jsonb_each(element.value) m where m.key !~ '^_' loop
			names := names || member.key;
			if member.key = server then
				if jsonb_typeof(member.value) not in ('array', 'object') then
					perform maintsched.refuse_catalogue(format('[%s].%s', element.at, server),
						format('is %s', maintsched.shown_value(member.value)));
				end if;
				known := true;
				place := format('[%s].%s', element.at, server);
				answer := member.value;
				return next;
			end if;
		end loop;
	end loop;
	if not known then
		raise exception using
			errcode = 'undefined_object',
			message = format('Barman says nothing of server "%s"', server),
			hint = maintsched.perhaps(server, array(select distinct left(n, 200) from unnest(names) n order by 1), 'It speaks of');
	end if;
end
$$;

comment on function maintsched.barman_answers(jsonb, text) is
'Internal: The answers about a server in what Barman printed: arrays of list-backups, objects of show-backup. Errors: undefined_object (42704) where there are none, external_routine_exception (38000) for an error that Barman reports, invalid_parameter_value (22023).';

create function maintsched.barman_folders(catalog jsonb, server text) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
	select a.answer
	from maintsched.barman_answers(catalog, server) a
	where jsonb_typeof(a.answer) = 'object' and not a.answer ? 'backup_id' and a.answer ? 'basebackups_directory'
	limit 1
$$;

comment on function maintsched.barman_folders(jsonb, text) is
'Internal: What Barman said of a server to show-servers; NULL: it was not asked.';

create function maintsched.barman_version(doc jsonb, key text, path text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
	version integer;
begin
	if jsonb_typeof(doc -> key) = 'string' then
		return maintsched.catalogue_text(doc, key, path);
	end if;
	version := maintsched.catalogue_number(doc, key, path, 80000, 9999999);
	if version is null then
		return null;
	end if;
	return format(case when version >= 100000 then '%s.%s' else '%s.%2$s.%3$s' end, version / 10000,
		case when version >= 100000 then version % 10000 else version / 100 % 100 end, version % 100);
end
$$;

comment on function maintsched.barman_version(jsonb, text, text) is
'Internal: A version of PostgreSQL that Barman writes as 150020.';

create function maintsched.barman_backup(listed jsonb, shown jsonb, place text, folders jsonb) returns maintsched.backup_entry
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	doc constant jsonb := coalesce(shown, listed);
	base constant jsonb := maintsched.catalogue_value(shown, 'base_backup_information', place, 'object');
	in_base constant text := place || '.base_backup_information';
	status constant text := maintsched.catalogue_text(doc, 'status', place, true);
	catalog constant jsonb := maintsched.catalogue_value(shown, 'catalog_information', place, 'object');
	in_catalog constant text := place || '.catalog_information';
	kind constant text := coalesce(maintsched.catalogue_text(doc, 'backup_type', place),
		maintsched.catalogue_text(base, 'backup_type', in_base), maintsched.catalogue_text(catalog, 'backup_type', in_catalog));
	entry maintsched.backup_entry;
begin
	entry.label := maintsched.catalogue_label(doc, 'backup_id', place);
	entry.state := case status when 'DONE' then 'done' when 'WAITING_FOR_WALS' then 'waiting' when 'FAILED' then 'failed'
		when 'STARTED' then 'running' when 'EMPTY' then 'running' when 'SYNCING' then 'running' end;
	if entry.state is null then
		perform maintsched.refuse_catalogue(place || '.status', format('is %s, which is no status of Barman',
			maintsched.shown_value(doc -> 'status')));
	end if;
	entry.prior := nullif(coalesce(
		maintsched.catalogue_text(catalog, 'parent_backup_id', in_catalog), maintsched.catalogue_text(base, 'parent_backup_id', in_base),
		maintsched.catalogue_text(doc, 'parent_backup_id', place)), '-');
	entry.type := case when kind = 'incremental' or entry.prior is not null then 'incr' else 'full' end;
	entry.depends_on := array_remove(array[entry.prior], null);
	entry.started_at := maintsched.catalogue_time(base, 'begin_time_timestamp', in_base);
	entry.finished_at := coalesce(maintsched.catalogue_time(base, 'end_time_timestamp', in_base),
		maintsched.catalogue_time(listed, 'end_time_timestamp', place));
	entry.start_lsn := maintsched.catalogue_lsn(base, 'begin_lsn', in_base);
	entry.end_lsn := maintsched.catalogue_lsn(base, 'end_lsn', in_base);
	entry.start_wal := maintsched.catalogue_wal(base, 'begin_wal', in_base);
	entry.end_wal := maintsched.catalogue_wal(base, 'end_wal', in_base);
	entry.timeline := coalesce(maintsched.catalogue_number(base, 'timeline', in_base, 1, 4294967295)::bigint,
		maintsched.wal_timeline(entry.end_wal));
	entry.system_identifier := coalesce(
		maintsched.catalogue_identifier(doc, 'systemid', place), maintsched.catalogue_identifier(doc, 'system_id', place),
		maintsched.catalogue_identifier(base, 'system_id', in_base), maintsched.catalogue_identifier(base, 'systemid', in_base),
		maintsched.catalogue_identifier(folders, 'identity_systemid', 'show-servers'));
	entry.pg_version := maintsched.barman_version(shown, 'postgresql_version', place);
	entry.size_bytes := coalesce(maintsched.catalogue_bytes(doc, 'cluster_size_bytes', place),
		maintsched.catalogue_bytes(base, 'cluster_size_bytes', in_base), maintsched.catalogue_bytes(base, 'disk_usage_bytes', in_base),
		maintsched.catalogue_bytes(base, 'backup_size_bytes', in_base));
	entry.stored_bytes := coalesce(maintsched.catalogue_bytes(base, 'incremental_size_bytes', in_base),
		maintsched.catalogue_bytes(base, 'backup_size_bytes', in_base), maintsched.catalogue_bytes(base, 'disk_usage_bytes', in_base));
	entry.delta_bytes := entry.stored_bytes;
	-- since 3.13; null: it is not
	entry.encrypted := case when base ? 'encryption' then
		coalesce(maintsched.catalogue_text(base, 'encryption', in_base), 'none') <> 'none' end;
	entry.location := maintsched.catalogue_text(folders, 'basebackups_directory', 'show-servers', pattern => '^/', form => 'absolute path') || '/' || entry.label;
	entry.problem := coalesce(maintsched.catalogue_note(doc, 'error', place),
		case entry.state
			when 'failed' then 'Barman says that it failed'
			when 'waiting' then 'Barman waits for WAL that it needs'
		end);
	entry.details := jsonb_strip_nulls(jsonb_build_object(
		'status', status, 'name', maintsched.catalogue_text(doc, 'backup_name', place), 'kind', kind,
		'shown', shown is not null,
		'data_directory', maintsched.catalogue_text(shown, 'pgdata_directory', place),
		'tablespaces', maintsched.catalogue_value(doc, 'tablespaces', place, 'array'),
		'snapshots', maintsched.catalogue_value(doc, 'snapshots_info', place, 'object'),
		'retention', coalesce(maintsched.catalogue_text(catalog, 'retention_policy', in_catalog),
			maintsched.catalogue_text(listed, 'retention_status', place)),
		'list_bytes', maintsched.catalogue_bytes(listed, 'size_bytes', place),
		'last_wal', maintsched.catalogue_value(shown, 'wal_information', place, 'object') -> 'last_available'));
	return entry;
end
$$;

comment on function maintsched.barman_backup(jsonb, jsonb, text, jsonb) is
'Internal: A backup of Barman, by what list-backups and show-backup say of it; one of them may be NULL.';

create function maintsched.barman_backups(catalog jsonb, server text)
returns setof maintsched.backup_entry
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	folders constant jsonb := maintsched.barman_folders(catalog, server);
begin
	return query
		with answer as (
			select a.place, a.answer from maintsched.barman_answers(catalog, server) a
		), listed as (
			select a.place || format('[%s]', e.ordinality - 1) as place, e.value as doc, 1 as rank
			from answer a cross join lateral jsonb_array_elements(
				case when jsonb_typeof(a.answer) = 'array' then a.answer else '[]' end) with ordinality e
		), doc as (
			select l.place, l.doc, l.rank, maintsched.barman_label(l.doc, l.place) as label from listed l
			union all
			select a.place, a.answer, 2, maintsched.barman_label(a.answer, a.place)
			from answer a
			where jsonb_typeof(a.answer) = 'object' and (a.answer ? 'backup_id' or not a.answer ? 'basebackups_directory')
		), backup as (
			select d.label,
				maintsched.one_of(jsonb_agg(d.doc) filter (where d.rank = 1), d.label) as listed,
				maintsched.one_of(jsonb_agg(d.doc) filter (where d.rank = 2), d.label) as shown,
				max(d.place) as place
			from doc d
			group by d.label
		)
		select e.*
		from maintsched.link_backups(array(
			select maintsched.barman_backup(b.listed, b.shown, b.place, folders) from backup b)) e
		order by e.label collate "C";
end
$$;

comment on function maintsched.barman_backups(jsonb, text) is
'Internal: The backups of a server in what Barman printed.';

create function maintsched.barman_facts(catalog jsonb, server text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	folders constant jsonb := maintsched.barman_folders(catalog, server);
	systems jsonb;
	first_wal text;
	last_wal text;
	encrypted boolean;
begin
	select coalesce(jsonb_agg(distinct jsonb_build_object('system_identifier', b.system_identifier, 'version', b.pg_version))
			filter (where b.pg_version is not null), '[]'),
		min(b.start_wal collate "C"), max((b.details ->> 'last_wal') collate "C"),
		case when count(*) = count(b.encrypted) then bool_and(b.encrypted) end
		into systems, first_wal, last_wal, encrypted
	from maintsched.barman_backups(catalog, server) b;
	return jsonb_build_object(
		'tool', 'Barman', 'version', null, 'status', null, 'message', null,
		'complete', exists (select from maintsched.barman_answers(catalog, server) a where jsonb_typeof(a.answer) = 'array'),
		'paths', case when folders is null then '[]'
			else jsonb_build_array(maintsched.catalogue_text(folders, 'basebackups_directory', 'show-servers')) end,
		'encrypted', encrypted, 'systems', systems,
		-- whether WAL comes by streaming alone, and where that is before it is archived
		'streamed', lower(folders ->> 'streaming_archiver') in ('true', 'on') and lower(folders ->> 'archiver') in ('false', 'off'),
		'streaming_path', maintsched.catalogue_text(folders, 'streaming_wals_directory', 'show-servers'),
		'archives', jsonb_build_array(jsonb_build_object('id', server,
			'path', maintsched.catalogue_text(folders, 'wals_directory', 'show-servers'),
			'first', first_wal, 'last', last_wal)));
end
$$;

comment on function maintsched.barman_facts(jsonb, text) is
'Internal: What Barman says of a server as a whole: as backup_reading.facts.';

create function maintsched.barman_label(doc jsonb, place text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
	if jsonb_typeof(doc) <> 'object' then
		perform maintsched.refuse_catalogue(place, format('is %s, and no backup; list-backups must be asked without --minimal',
			maintsched.shown_value(doc)));
	end if;
	return maintsched.catalogue_label(doc, 'backup_id', place);
end
$$;

comment on function maintsched.barman_label(jsonb, text) is
'Internal: The identifier of a backup of Barman.';

create function maintsched.one_of(docs jsonb, label text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
	if jsonb_array_length(docs) > 1 then
		perform maintsched.refuse_catalogue('', format('speaks of backup "%s" twice', label));
	end if;
	return docs -> 0;
end
$$;

comment on function maintsched.one_of(jsonb, text) is
'Internal: The only answer about a backup.';
