--
-- 61_reading: reading a repository, and what is known of its backups
--
-- A reading is recorded whether it went well or not.  One that failed says
-- nothing of backups: none of them is gone for that.  Of a backup a record is
-- added when a reading saw something new of it, also that it is gone, or back.
--

create function maintsched.read_catalog(r maintsched.repository) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	return case r.kind
		when 'pgbackrest' then jsonb_build_object(
			'info', maintsched.read_pgbackrest(r.location, r.config),
			'options', maintsched.pgbackrest_options(r.location, r.config) - 'exec-id')
		when 'barman' then maintsched.read_barman_catalog(r.location, r.config)
		else maintsched.read_folder_catalog(r.name, r.location)
	end;
end
$$;

comment on function maintsched.read_catalog(maintsched.repository) is
'Internal: Asks the tool of a repository, or looks at its folder.';

create function maintsched.read_barman_catalog(server text, config text) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	list jsonb := maintsched.read_barman('list-backups', server, config => config);
	later jsonb;
	shown jsonb;
	folders jsonb;
	directories jsonb;
	base text;
	backup record;
	times integer := 0;
begin
	-- it lists none of a folder that it cannot read, either
	if list -> server = '[]' then
		directories := maintsched.read_barman('check', server, config => config) -> server -> 'directories';
		if directories ->> 'status' is distinct from 'OK' then
			raise exception using
				errcode = 'external_routine_exception',
				message = format('Barman lists no backup of server "%s", and does not say that its folders are in order', server),
				detail = concat_ws(': ', 'Its check of directories says ' || coalesce(directories ->> 'status', 'nothing'), nullif(directories ->> 'hint', '')) || '.';
		end if;
	end if;
	begin
		-- most of what it says changes all the time
		select jsonb_object_agg(f.key, f.value) into folders
		from jsonb_each(maintsched.read_barman('show-servers', server, config => config) -> server) f
		where f.key in ('backup_directory', 'basebackups_directory', 'wals_directory', 'archiver', 'streaming_archiver', 'streaming_wals_directory');
		folders := folders || jsonb_build_object('identity_systemid',
			maintsched.backup_file((folders ->> 'backup_directory') || '/identity.json')::jsonb -> 'systemid');
	exception when external_routine_exception or invalid_text_representation then
		-- its folders are not known then; the backups are
		null;
	end;
	loop
		begin
			shown := '[]';
			for backup in
				select b.label from maintsched.barman_backups(jsonb_build_array(list), server) b
			loop
				shown := shown || maintsched.read_barman('show-backup', server, backup.label, config);
			end loop;
			exit;
		exception when external_routine_exception then
			-- one may have been deleted since it was listed
			times := times + 1;
			later := maintsched.read_barman('list-backups', server, config => config);
			if times > 3 or not exists (
				select b.label from maintsched.barman_backups(jsonb_build_array(list), server) b
				except
				select b.label from maintsched.barman_backups(jsonb_build_array(later), server) b)
			then
				raise;
			end if;
			list := later;
		end;
	end loop;
	-- of the folder of the backups themselves its check says nothing; the list may be the later one
	base := folders ->> 'basebackups_directory';
	if list -> server = '[]' and maintsched.backup_names(base) is null
		and substring(base from '([^/]+)/*$') = any (maintsched.backup_names(regexp_replace(base, '/[^/]+/*$', '')))
	then
		raise exception using
			errcode = 'external_routine_exception',
			message = format('Barman lists no backup of server "%s", and their folder cannot be read', server),
			detail = format('Folder "%s" is there, and nobody can see what is in it.', base);
	end if;
	return jsonb_build_array(list)
		|| case when folders is not null then jsonb_build_array(jsonb_build_object(server, jsonb_strip_nulls(folders))) else '[]' end
		|| shown;
end
$$;

comment on function maintsched.read_barman_catalog(text, text) is
'Internal: What Barman says of a server and of each of its backups.';

create function maintsched.catalogue_facts(r maintsched.repository, catalog jsonb) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	facts jsonb;
begin
	if r.kind = 'pgbackrest' then
		facts := maintsched.pgbackrest_facts(catalog, r.location);
		perform maintsched.pgbackrest_check(facts, r.location);
		return facts;
	elsif r.kind = 'barman' then
		return maintsched.barman_facts(catalog, r.location);
	end if;
	return maintsched.folder_facts(catalog, r.location, r.archive);
end
$$;

comment on function maintsched.catalogue_facts(maintsched.repository, jsonb) is
'Internal: What a catalogue says of its repository as a whole. Errors: where it says that the backups could not be listed.';

create function maintsched.catalogue_backups(r maintsched.repository, catalog jsonb, facts jsonb)
returns setof maintsched.backup_entry
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	if r.kind = 'pgbackrest' then
		return query select * from maintsched.pgbackrest_backups(catalog, r.location, facts);
	elsif r.kind = 'barman' then
		return query select * from maintsched.barman_backups(catalog, r.location);
	else
		return query select * from maintsched.folder_backups(catalog);
	end if;
end
$$;

comment on function maintsched.catalogue_backups(maintsched.repository, jsonb, jsonb) is
'Internal: The backups in a catalogue.';

create function maintsched.current_backups(repository text)
returns setof maintsched.backup_record
language sql stable
begin atomic
	select (l.b).*
	from (
		select distinct on (b.label) b
		from maintsched.backup_record b
		where b.repository = current_backups.repository and b.clock_at <= maintsched.clock()
		order by b.label, b.record_id desc
	) l
	where (l.b).state <> 'removed';
end;

comment on function maintsched.current_backups(text) is
'Internal: The backups that are in a repository by what its readings saw until clock(): of each the latest record. View backups is for people.';

create function maintsched.need_repository(name text) returns maintsched.repository
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r maintsched.repository;
begin
	select x.* into r from maintsched.repository x where x.name = need_repository.name;
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('repository %s does not exist', coalesce('"' || name || '"', 'NULL')),
			hint = maintsched.perhaps(coalesce(name, ''), array(select x.name from maintsched.repository x order by 1), 'Repositories are');
	end if;
	return r;
end
$$;

comment on function maintsched.need_repository(text) is
'Internal: A repository by its name. Error: undefined_object (42704), with the nearest name.';

create function maintsched.record_reading(
	r maintsched.repository, source text, catalog jsonb, facts jsonb, entries maintsched.backup_entry[], seconds numeric)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	reading bigint;
	before jsonb;
	-- repositories of pgBackRest whose backups could not be listed this time
	unread constant text[] := array(
		select x.value ->> 'key' from jsonb_array_elements(facts -> 'repositories') x
		where (x.value -> 'code')::integer not in (0, 2, 5));
begin
	select b.catalog into before
	from maintsched.backup_reading b
	where b.repository = r.name and b.catalog is not null
	order by b.reading_id desc
	limit 1;
	insert into maintsched.backup_reading as b (repository, source, ok, backups, facts, catalog, seconds)
	values (r.name, source, true, cardinality(entries), facts, nullif(catalog, before), seconds)
	returning b.reading_id into reading;

	with latest as materialized (
		select * from maintsched.latest_records(r.name)
	), entry as materialized (
		select e.* from unnest(entries) e
	), changed as (
		select e.* from entry e
		where not exists (
			select from latest l
			where l.label = e.label
			and (l.state, l.type, l.prior, l.depends_on, l.started_at, l.finished_at, l.start_lsn, l.end_lsn, l.timeline,
				l.start_wal, l.end_wal, l.system_identifier, l.pg_version, l.size_bytes, l.delta_bytes, l.stored_bytes,
				l.encrypted, l.location, l.problem, l.details)
			is not distinct from (e.state, e.type, e.prior, e.depends_on, e.started_at, e.finished_at, e.start_lsn, e.end_lsn, e.timeline,
				e.start_wal, e.end_wal, e.system_identifier, e.pg_version, e.size_bytes, e.delta_bytes, e.stored_bytes,
				e.encrypted, e.location, e.problem, e.details))
		union all
		select l.label, 'removed', l.type, l.prior, l.depends_on, l.started_at, l.finished_at, l.start_lsn, l.end_lsn, l.timeline,
			l.start_wal, l.end_wal, l.system_identifier, l.pg_version, l.size_bytes, l.delta_bytes, l.stored_bytes,
			l.encrypted, l.location, l.problem, l.details
		from latest l
		where l.state <> 'removed' and facts -> 'complete' is distinct from 'false'
		and not exists (select from entry e where e.label = l.label)
		and coalesce(l.details ->> 'repository', '') <> all (unread)
	)
	insert into maintsched.backup_record (reading_id, repository, label, state, type, prior, depends_on, started_at,
		finished_at, start_lsn, end_lsn, timeline, start_wal, end_wal, system_identifier, pg_version, size_bytes,
		delta_bytes, stored_bytes, encrypted, location, problem, details)
	select reading, r.name, c.label, c.state, c.type, c.prior, coalesce(c.depends_on, '{}'), c.started_at,
		c.finished_at, c.start_lsn, c.end_lsn, c.timeline, c.start_wal, c.end_wal, c.system_identifier, c.pg_version, c.size_bytes,
		c.delta_bytes, c.stored_bytes, c.encrypted, c.location, c.problem, c.details
	from changed c
	order by c.finished_at, c.label collate "C";
	return reading;
end
$$;

comment on function maintsched.record_reading(maintsched.repository, text, jsonb, jsonb, maintsched.backup_entry[], numeric) is
'Internal: Records a reading that went well, and what is new of the backups. A removed backup keeps what was last known of it.';

create function maintsched.read_repository_as(caller oid, repository text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	caller_name constant text := maintsched.caller_role();
	r maintsched.repository := maintsched.need_repository(repository);
	started constant timestamptz := clock_timestamp();
	catalog jsonb;
	facts jsonb;
	entries maintsched.backup_entry[];
	reading bigint;
	problem text;
	said text;
	code text;
begin
	perform maintsched.need_primary();
	perform maintsched.check_repository_reader(r.kind, caller_name);
	if not r.pulled then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('repository "%s" is not read from here', r.name),
			detail = 'Its setting pulled is false: what its tool prints elsewhere is brought.',
			hint = 'select maintsched.import_backup_catalog(repository, catalog);';
	end if;
	-- readings of a repository come one after another
	select x.* into strict r from maintsched.repository x where x.name = r.name for no key update;
	begin
		catalog := maintsched.read_catalog(r);
		facts := maintsched.catalogue_facts(r, catalog);
		entries := array(select b from maintsched.catalogue_backups(r, catalog, facts) b);
	exception when others then
		get stacked diagnostics problem = message_text, said = pg_exception_detail, code = returned_sqlstate;
		problem := problem || coalesce(': ' || nullif(said, ''), '');
	end;
	if problem is null then
		return maintsched.record_reading(r, case r.kind when 'basebackup' then 'folder' else 'tool' end,
			catalog, facts, entries, extract(epoch from clock_timestamp() - started));
	end if;
	insert into maintsched.backup_reading as b (repository, source, ok, sqlstate, message, catalog, seconds)
	values (r.name, case r.kind when 'basebackup' then 'folder' else 'tool' end, false, code, problem, catalog,
		extract(epoch from clock_timestamp() - started))
	returning b.reading_id into reading;
	raise warning using
		errcode = code,
		message = format('repository "%s" could not be read: %s', r.name, problem);
	return reading;
end
$$;

comment on function maintsched.read_repository_as(oid, text) is
'Internal: read_repository(), as the owner.';

create function maintsched.read_repository(repository text) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.read_repository_as(maintsched.note_caller(), repository)
$$;

comment on function maintsched.read_repository(text) is
'Reads a repository now: asks its tool, or looks at its folder; returns the reading_id. That it could not be read, for whatever reason, is recorded and a warning; the backups that were known stay. Errors: undefined_object (42704), insufficient_privilege (42501) without the privileges of pg_execute_server_program, or of pg_read_server_files for kind basebackup, object_not_in_prerequisite_state (55000) where its catalogue is imported.';

create function maintsched.import_catalog_as(caller oid, repository text, catalog jsonb) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	caller_name constant text := maintsched.caller_role();
	r maintsched.repository := maintsched.need_repository(repository);
	started constant timestamptz := clock_timestamp();
	facts jsonb;
begin
	perform maintsched.need_primary();
	if r.pulled then
		-- what is brought takes the place of what is read here
		perform maintsched.check_repository_reader(r.kind, caller_name);
	end if;
	if catalog is null then
		perform maintsched.refuse_catalogue('', 'is NULL');
	end if;
	select x.* into strict r from maintsched.repository x where x.name = r.name for no key update;
	facts := maintsched.catalogue_facts(r, catalog);
	return maintsched.record_reading(r, 'import', catalog, facts,
		array(select b from maintsched.catalogue_backups(r, catalog, facts) b),
		extract(epoch from clock_timestamp() - started));
end
$$;

comment on function maintsched.import_catalog_as(oid, text, jsonb) is
'Internal: import_backup_catalog(), as the owner.';

create function maintsched.import_backup_catalog(repository text, catalog jsonb) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.import_catalog_as(maintsched.note_caller(), repository, catalog)
$$;

comment on function maintsched.import_backup_catalog(text, jsonb) is
'Takes what the tool of a repository printed elsewhere as a reading, and returns its reading_id: of pgBackRest "info --output=json"; of Barman an array of what "barman --format json" printed to list-backups, show-backup of each backup and, where wanted, show-servers (without list-backups nothing is taken for removed); of basebackup an array of backup manifests, or of objects with the columns of backup_record, or an object of them by their names (a manifest alone is one more backup). All or nothing. Errors: undefined_object (42704), insufficient_privilege (42501) where the repository is read from here and the caller might not read it, invalid_parameter_value (22023) with the place in the document, external_routine_exception (38000) where it is the tool''s error.';

create function maintsched.import_backup_catalog(repository text, catalog text) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.import_catalog_as(maintsched.note_caller(), repository, catalog::jsonb)
$$;

comment on function maintsched.import_backup_catalog(text, text) is
'The same for text, such as a file''s. Errors besides: invalid_text_representation (22P02) where it is no JSON, or half of it, untranslatable_character (22P05) for a character zero.';
