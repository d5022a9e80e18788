--
-- 61_catalogue_pgbackrest: what "pgbackrest --output=json info" prints
--
-- An array of stanzas, each with its repositories, the database systems that
-- it has had, their archives, and the backups of all repositories.  Versions up
-- to 2.31 have one repository, without a key.
--

create function maintsched.pgbackrest_stanza(catalog jsonb, stanza text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
	found jsonb;
	names text[];
	element record;
begin
	-- as it is read here, with the options
	if catalog ? 'info' then
		catalog := catalog -> 'info';
	end if;
	if jsonb_typeof(catalog) = 'object' then
		catalog := jsonb_build_array(catalog);
	elsif jsonb_typeof(catalog) <> 'array' then
		perform maintsched.refuse_catalogue('', format('is %s; pgBackRest prints an array of stanzas', maintsched.shown_value(catalog)));
	end if;
	for element in select e.value, e.ordinality - 1 as at from jsonb_array_elements(catalog) with ordinality e loop
		if jsonb_typeof(element.value) <> 'object' then
			perform maintsched.refuse_catalogue(format('[%s]', element.at),
				format('is %s, and no stanza of pgBackRest', maintsched.shown_value(element.value)));
		end if;
		names := names || maintsched.catalogue_text(element.value, 'name', format('[%s]', element.at), true);
		perform maintsched.catalogue_value(element.value, 'backup', format('[%s]', element.at), 'array', true);
		perform maintsched.catalogue_value(element.value, 'status', format('[%s]', element.at), 'object', true);
		if element.value ->> 'name' = stanza then
			if found is not null then
				perform maintsched.refuse_catalogue(format('[%s]', element.at), format('is stanza "%s" again', stanza));
			end if;
			found := element.value;
		end if;
	end loop;
	if found is null then
		raise exception using
			errcode = 'undefined_object',
			message = format('pgBackRest knows no stanza "%s"', stanza),
			hint = maintsched.perhaps(stanza, coalesce(names, '{}'), 'Stanzas are');
	end if;
	return found;
end
$$;

comment on function maintsched.pgbackrest_stanza(jsonb, text) is
'Internal: The stanza in what pgBackRest printed. Errors: undefined_object (42704) where it is not in it, invalid_parameter_value (22023).';

create function maintsched.pgbackrest_status(stanza jsonb, path text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
	status constant jsonb := maintsched.catalogue_value(stanza, 'status', path, 'object', true);
begin
	return jsonb_build_object(
		'code', maintsched.catalogue_number(status, 'code', path || '.status', 0, 1000, true),
		'message', maintsched.catalogue_note(status, 'message', path || '.status'));
end
$$;

comment on function maintsched.pgbackrest_status(jsonb, text) is
'Internal: Status of a stanza or a repository of pgBackRest.';

create function maintsched.pgbackrest_path(options jsonb, repository integer) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
	select case coalesce(options ->> format('repo%s-type', repository), 'posix')
			when 's3' then 's3://' || coalesce(options ->> format('repo%s-s3-bucket', repository), '?')
			when 'azure' then 'azure://' || coalesce(options ->> format('repo%s-azure-container', repository), '?')
			when 'gcs' then 'gs://' || coalesce(options ->> format('repo%s-gcs-bucket', repository), '?')
			when 'sftp' then 'sftp://' || coalesce(options ->> format('repo%s-sftp-host', repository), '?')
			else coalesce(nullif(options ->> format('repo%s-host', repository), '') || ':', '')
		end || coalesce(options ->> format('repo%s-path', repository), '/var/lib/pgbackrest')
	where options is not null and (repository = 1 or exists (
		select from jsonb_object_keys(options) k where starts_with(k, format('repo%s-', repository))))
$$;

comment on function maintsched.pgbackrest_path(jsonb, integer) is
'Internal: Where a repository of pgBackRest is, by its options: a folder, of another host with that and a colon before it, or what it is in an object store.';

create function maintsched.pgbackrest_facts(catalog jsonb, stanza_name text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
	stanza constant jsonb := maintsched.pgbackrest_stanza(catalog, stanza_name);
	path constant text := format('stanza "%s"', stanza_name);
	status constant jsonb := maintsched.pgbackrest_status(stanza, path);
	options constant jsonb := case jsonb_typeof(catalog -> 'options') when 'object' then catalog -> 'options' end;
	systems jsonb := '[]';
	archives jsonb := '[]';
	repositories jsonb := '[]';
	element record;
	place text;
begin
	for element in
		select e.value, e.ordinality - 1 as at
		from jsonb_array_elements(coalesce(maintsched.catalogue_value(stanza, 'repo', path, 'array'), '[]')) with ordinality e
	loop
		place := format('%s.repo[%s]', path, element.at);
		repositories := repositories || (jsonb_build_object(
			'key', maintsched.catalogue_number(element.value, 'key', place, 1, 256, true),
			'path', maintsched.pgbackrest_path(options, (element.value ->> 'key')::integer),
			'encrypted', maintsched.catalogue_text(element.value, 'cipher', place) <> 'none')
			|| maintsched.pgbackrest_status(element.value, place));
	end loop;
	for element in
		select e.value, e.ordinality - 1 as at
		from jsonb_array_elements(coalesce(maintsched.catalogue_value(stanza, 'db', path, 'array'), '[]')) with ordinality e
	loop
		place := format('%s.db[%s]', path, element.at);
		systems := systems || jsonb_build_object(
			'repository', coalesce(maintsched.catalogue_number(element.value, 'repo-key', place, 1, 256), 1),
			'id', maintsched.catalogue_number(element.value, 'id', place, 0, 1000000, true),
			'system_identifier', maintsched.catalogue_number(element.value, 'system-id', place, 1, 18446744073709551615, true),
			'version', maintsched.catalogue_text(element.value, 'version', place, true));
	end loop;
	for element in
		select e.value, e.ordinality - 1 as at,
			maintsched.catalogue_value(e.value, 'database', format('%s.archive[%s]', path, e.ordinality - 1), 'object') as database
		from jsonb_array_elements(coalesce(maintsched.catalogue_value(stanza, 'archive', path, 'array'), '[]')) with ordinality e
	loop
		place := format('%s.archive[%s]', path, element.at);
		archives := archives || jsonb_build_object(
			'id', maintsched.catalogue_text(element.value, 'id', place, true, '^[0-9.]+-[0-9]+$', 'archive of pgBackRest'),
			'repository', coalesce(maintsched.catalogue_number(element.database, 'repo-key', place || '.database', 1, 256), 1),
			'database', maintsched.catalogue_number(element.database, 'id', place || '.database', 0, 1000000),
			'path', maintsched.pgbackrest_path(options, coalesce((element.database ->> 'repo-key')::integer, 1))
				|| format('/archive/%s/%s', stanza_name, element.value ->> 'id'),
			'first', maintsched.catalogue_wal(element.value, 'min', place),
			'last', maintsched.catalogue_wal(element.value, 'max', place));
	end loop;
	return jsonb_build_object(
		'tool', 'pgBackRest',
		'version', options -> 'version',
		'status', status -> 'code',
		'message', (status ->> 'message') || case when (status -> 'code')::integer not in (0, 2) then coalesce((
			select ': ' || string_agg(format('repository %s: %s', r.value ->> 'key', r.value ->> 'message'), '; ' order by r.ordinality)
			from jsonb_array_elements(repositories) with ordinality r), '') else '' end,
		'paths', (
			select coalesce(jsonb_agg(r.value -> 'path' order by r.ordinality) filter (where r.value ->> 'path' is not null), '[]')
			from jsonb_array_elements(repositories) with ordinality r),
		'encrypted', case maintsched.catalogue_text(stanza, 'cipher', path) when 'none' then false when 'mixed' then null else true end,
		'running', stanza #> '{status,lock,backup,held}' is not distinct from 'true',
		'repositories', repositories, 'systems', systems, 'archives', archives);
end
$$;

comment on function maintsched.pgbackrest_facts(jsonb, text) is
'Internal: What pgBackRest says of a stanza as a whole: as backup_reading.facts, with repositories, one for each of its own.';

create function maintsched.pgbackrest_check(facts jsonb, stanza text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
	status constant integer := facts -> 'status';
begin
	-- 0 ok, 2 no valid backups, 4 different across repositories, 5 systems differ across repositories
	if status not in (0, 2, 4, 5) then
		raise exception using
			errcode = case when status = 1 then 'undefined_object' else 'external_routine_exception' end,
			message = format('pgBackRest says of stanza "%s" (%s): %s', stanza, status, coalesce(facts ->> 'message', 'nothing')),
			hint = case when status = 1 then 'Is it the right name, and is the repository there?' else
				'pgbackrest info says more, as the user of the server.' end;
	elsif status = 4 and not exists (
		select from jsonb_array_elements(facts -> 'repositories') r where (r.value -> 'code')::integer in (0, 2, 5))
	then
		raise exception using
			errcode = 'external_routine_exception',
			message = format('pgBackRest can read no repository of stanza "%s": %s', stanza, facts ->> 'message');
	end if;
end
$$;

comment on function maintsched.pgbackrest_check(jsonb, text) is
'Internal: Raises an error where the status of a stanza means that its backups could not be listed: undefined_object (42704), external_routine_exception (38000).';

create function maintsched.pgbackrest_backup(backup jsonb, place text, stanza text, facts jsonb) returns maintsched.backup_entry
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
	archive constant jsonb := maintsched.catalogue_value(backup, 'archive', place, 'object');
	lsn constant jsonb := maintsched.catalogue_value(backup, 'lsn', place, 'object');
	times constant jsonb := maintsched.catalogue_value(backup, 'timestamp', place, 'object', true);
	info constant jsonb := maintsched.catalogue_value(backup, 'info', place, 'object');
	stored constant jsonb := maintsched.catalogue_value(info, 'repository', place || '.info', 'object');
	database constant jsonb := maintsched.catalogue_value(backup, 'database', place, 'object');
	repository constant integer := coalesce(maintsched.catalogue_number(database, 'repo-key', place || '.database', 1, 256), 1);
	database_id constant integer := maintsched.catalogue_number(database, 'id', place || '.database', 0, 1000000);
	reference constant jsonb := maintsched.catalogue_value(backup, 'reference', place, 'array');
	system jsonb;
	entry maintsched.backup_entry;
begin
	entry.label := maintsched.catalogue_label(backup, 'label', place);
	entry.state := 'done';
	entry.type := maintsched.catalogue_text(backup, 'type', place, true, '^(full|diff|incr)$', 'type of a backup');
	entry.prior := maintsched.catalogue_label(backup, 'prior', place, false);
	entry.depends_on := array(
		select maintsched.catalogue_label(jsonb_build_object('reference', r.value), 'reference', place)
		from jsonb_array_elements(reference) with ordinality r order by r.ordinality);
	if entry.prior is not null and entry.prior <> all (entry.depends_on) then
		entry.depends_on := entry.depends_on || entry.prior;
	end if;
	entry.started_at := maintsched.catalogue_time(times, 'start', place || '.timestamp', true);
	entry.finished_at := maintsched.catalogue_time(times, 'stop', place || '.timestamp', true);
	entry.start_lsn := maintsched.catalogue_lsn(lsn, 'start', place || '.lsn');
	entry.end_lsn := maintsched.catalogue_lsn(lsn, 'stop', place || '.lsn');
	entry.start_wal := maintsched.catalogue_wal(archive, 'start', place || '.archive');
	entry.end_wal := maintsched.catalogue_wal(archive, 'stop', place || '.archive');
	entry.timeline := maintsched.wal_timeline(coalesce(entry.end_wal, entry.start_wal));
	entry.size_bytes := maintsched.catalogue_bytes(info, 'size', place || '.info');
	entry.delta_bytes := maintsched.catalogue_bytes(info, 'delta', place || '.info');
	entry.stored_bytes := maintsched.catalogue_bytes(stored, 'delta', place || '.info.repository');
	select s.value into system
	from jsonb_array_elements(facts -> 'systems') s
	where (s.value -> 'repository')::integer = repository and (s.value -> 'id')::integer = database_id;
	entry.system_identifier := system -> 'system_identifier';
	entry.pg_version := system ->> 'version';
	entry.encrypted := coalesce((
		select (r.value ->> 'encrypted')::boolean
		from jsonb_array_elements(facts -> 'repositories') r
		where (r.value -> 'key')::integer = repository), (facts ->> 'encrypted')::boolean);
	entry.location := (
		select format('%s/backup/%s/%s', r.value ->> 'path', stanza, entry.label)
		from jsonb_array_elements(facts -> 'repositories') r
		where (r.value -> 'key')::integer = repository and r.value ->> 'path' is not null);
	if maintsched.catalogue_value(backup, 'error', place, 'boolean') = 'true' then
		entry.problem := 'pgBackRest found pages with wrong checksums when it made it'
			|| coalesce(': ' || left(regexp_replace((
				select string_agg(coalesce(e.value ->> 'name', e.value #>> '{}'), ', ' order by e.ordinality)
				from jsonb_array_elements(maintsched.catalogue_value(backup, 'error-list', place, 'array')) with ordinality e
				where e.ordinality <= 20), '[[:cntrl:]]+', ' ', 'g'), 500), '');
	end if;
	entry.details := jsonb_strip_nulls(jsonb_build_object(
		'repository', repository,
		'archive', (
			select a.value -> 'id' from jsonb_array_elements(facts -> 'archives') a
			where (a.value -> 'repository')::integer = repository and (a.value -> 'database')::integer = database_id),
		'repository_bytes', maintsched.catalogue_bytes(stored, 'size', place || '.info.repository'),
		'annotation', maintsched.catalogue_value(backup, 'annotation', place, 'object'),
		'tool_version', backup #> '{backrest,version}',
		'format', backup #> '{backrest,format}'));
	return entry;
end
$$;

comment on function maintsched.pgbackrest_backup(jsonb, text, text, jsonb) is
'Internal: A backup of pgBackRest. place: where it stands; facts: pgbackrest_facts().';

create function maintsched.pgbackrest_backups(catalog jsonb, stanza_name text, facts jsonb)
returns setof maintsched.backup_entry
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
	stanza constant jsonb := maintsched.pgbackrest_stanza(catalog, stanza_name);
	path constant text := format('stanza "%s"', stanza_name);
	twice record;
begin
	-- repositories of a stanza may hold copies of each other: the same backup
	select b.value ->> 'label' as label into twice
	from jsonb_array_elements(stanza -> 'backup') b
	group by b.value ->> 'label', coalesce(b.value #> '{database,repo-key}', '1')
	having count(*) > 1
	limit 1;
	if found then
		perform maintsched.refuse_catalogue(path || '.backup', format('lists "%s" twice', twice.label));
	end if;
	return query
		select (e.first).label, (e.first).state, (e.first).type, (e.first).prior, (e.first).depends_on,
			(e.first).started_at, (e.first).finished_at, (e.first).start_lsn, (e.first).end_lsn, (e.first).timeline,
			(e.first).start_wal, (e.first).end_wal, (e.first).system_identifier, (e.first).pg_version,
			(e.first).size_bytes, (e.first).delta_bytes, (e.first).stored_bytes, (e.first).encrypted, (e.first).location,
			(e.first).problem,
			(e.first).details || case when cardinality(e.repositories) > 1
				then jsonb_build_object('repositories', e.repositories) else '{}' end
		from (
			select (array_agg(x.entry order by x.ordinality))[1] as first,
				array_agg((x.entry).details -> 'repository' order by x.ordinality) as repositories,
				min(x.ordinality) as at
			from (
				select b.ordinality,
					maintsched.pgbackrest_backup(b.value, format('%s.backup[%s]', path, b.ordinality - 1), stanza_name, facts) as entry
				from jsonb_array_elements(stanza -> 'backup') with ordinality b
			) x
			group by (x.entry).label
		) e
		order by e.at;
end
$$;

comment on function maintsched.pgbackrest_backups(jsonb, text, jsonb) is
'Internal: The backups of a stanza in what pgBackRest printed.';
