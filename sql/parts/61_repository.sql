--
-- 61_repository: adding, changing, removing repositories
--
-- A repository says what this server runs or reads, as its own user.  So who
-- adds or changes one must be allowed to run programs, or to read files, of the
-- server; and folders must lie below maintsched.backup_roots, which only the
-- server's configuration file sets.
--

create function maintsched.check_backup_folder(path text, what text, must_exist boolean) returns void
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_check_backup_folder';

comment on function maintsched.check_backup_folder(text, text, boolean) is
'Internal: Raises an error unless a path is absolute, below a folder of maintsched.backup_roots and, with must_exist, a folder that the server can read. what: what it is, for the message. Errors: invalid_parameter_value (22023), object_not_in_prerequisite_state (55000) where there are no roots, insufficient_privilege (42501) where it leads out of them, undefined_file (58P01) and its like, wrong_object_type (42809).';

create function maintsched.backup_roots() returns text[]
language c stable strict
as 'MODULE_PATHNAME', 'maintsched_backup_roots';

comment on function maintsched.backup_roots() is
'Internal: The folders of maintsched.backup_roots, for verify_backup().';

create function maintsched.backup_file(path text) returns text
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_backup_file';

comment on function maintsched.backup_file(text) is
'Internal: The text of a small file below maintsched.backup_roots; NULL where it is not there, cannot be read or is no text.';

create function maintsched.backup_names(folder text) returns text[]
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_backup_names';

comment on function maintsched.backup_names(text) is
'Internal: What is in a folder below maintsched.backup_roots; nothing where it is gone from the one above it; NULL where that cannot be seen from here.';

create function maintsched.check_repository_reader(kind text, role text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	needed constant text := case kind when 'basebackup' then 'pg_read_server_files' else 'pg_execute_server_program' end;
begin
	if not pg_has_role(role, needed, 'usage') then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('permission denied for repositories of kind %s', kind),
			detail = format('Only superusers and roles with privileges of the role %s may %s of the server.', needed,
				case kind when 'basebackup' then 'read files' else 'run programs' end),
			hint = format('As a superuser: grant %I to %I;', needed, role);
	end if;
end
$$;

comment on function maintsched.check_repository_reader(text, text) is
'Internal: Raises insufficient_privilege (42501) unless a role may have repositories of a kind read.';

create function maintsched.check_repository(r maintsched.repository, role text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres'
as $$
declare
	field text;
	value interval;
begin
	if r.name is null or r.name !~ '^[a-z0-9][a-z0-9_.-]*$' or octet_length(r.name) > 63 then
		raise exception using
			errcode = 'invalid_name',
			message = format('%s is not valid as the name of a repository', coalesce('"' || left(r.name, 100) || '"', 'NULL')),
			detail = 'A name has lower-case letters, digits, "_", "-" and ".", begins with a letter or a digit and has at most 63 bytes.';
	end if;
	perform maintsched.check_word('kind of repository', r.kind, array['basebackup', 'pgbackrest', 'barman']);
	perform maintsched.check_repository_reader(r.kind, role);
	if coalesce(r.location, '') = '' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('the location of repository "%s" is empty', r.name),
			detail = 'It is the folder of a basebackup, the stanza of pgbackrest, the server of barman.';
	elsif r.kind <> 'basebackup' and r.location !~ '^[[:alnum:]_.][[:alnum:]_.+@-]{0,127}$' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('"%s" is not the name of a %s', left(r.location, 200),
				case r.kind when 'barman' then 'server of Barman' else 'stanza of pgBackRest' end),
			detail = 'Such a name has letters, digits and "_", ".", "-", "+", "@".';
	elsif r.kind = 'basebackup' and r.config is not null then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = 'a repository of kind basebackup has no configuration file';
	elsif r.kind = 'basebackup' then
		perform maintsched.check_backup_folder(r.location, 'location', r.pulled);
	end if;
	if r.config is not null and (r.config !~ '^/' or r.config ~ '[[:cntrl:]]' or length(r.config) > 4096) then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('configuration file "%s" is not named by an absolute path', left(r.config, 200));
	end if;
	if r.archive is not null then
		perform maintsched.check_backup_folder(r.archive, 'archive', r.pulled);
	end if;
	foreach field in array array['max_age', 'rpo', 'rto', 'read_within', 'verify_within', 'drill_within'] loop
		value := to_jsonb(r) ->> field;
		if value is null and field in ('max_age', 'read_within') then
			raise exception using
				errcode = 'null_value_not_allowed',
				message = format('%s of repository "%s" is NULL', field, r.name);
		elsif value <= interval '0' or not isfinite(value) then
			raise exception using
				errcode = 'invalid_parameter_value',
				message = format('%s of repository "%s" is %s, and must be a positive length of time', field, r.name, value);
		end if;
	end loop;
	foreach field in array array['pulled', 'copies', 'size_tolerance', 'size_floor'] loop
		if to_jsonb(r) ->> field is null then
			raise exception using
				errcode = 'null_value_not_allowed',
				message = format('%s of repository "%s" is NULL', field, r.name);
		end if;
	end loop;
	if r.copies < 1 then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('copies of repository "%s" is %s; there must be at least 1', r.name, r.copies);
	elsif not (r.size_tolerance > 0 and r.size_tolerance < 1) then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('size_tolerance of repository "%s" is %s; it must be between 0 and 1', r.name, r.size_tolerance);
	elsif r.size_floor < 0 then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('size_floor of repository "%s" is %s; it must not be negative', r.name, r.size_floor);
	elsif r.system_identifier not between 1 and 18446744073709551615 or r.system_identifier <> trunc(r.system_identifier) then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s is no system identifier', left(r.system_identifier::text, 60)),
			hint = 'select system_identifier from pg_control_system(); says this cluster''s.';
	elsif r.expected_location = '' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('expected_location of repository "%s" is empty', r.name),
			hint = 'NULL is anywhere.';
	end if;
end
$$;

comment on function maintsched.check_repository(maintsched.repository, text) is
'Internal: Raises an error unless a repository is one that a role may have. Errors: invalid_name (42602), invalid_parameter_value (22023), null_value_not_allowed (22004), insufficient_privilege (42501), those of check_backup_folder().';

create function maintsched.add_repository_as(caller oid, definition jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres'
as $$
#variable_conflict use_variable
declare
	caller_name constant text := maintsched.caller_role();
	r maintsched.repository := jsonb_populate_record(null::maintsched.repository, definition);
begin
	perform maintsched.need_primary();
	perform maintsched.check_repository(r, caller_name);
	insert into maintsched.repository select r.* on conflict do nothing;
	if not found then
		raise exception using
			errcode = 'duplicate_object',
			message = format('repository "%s" exists already', r.name),
			hint = 'change_repository() changes it.';
	end if;
	insert into maintsched.repository_change (repository, field, new)
	values (r.name, 'added', jsonb_strip_nulls(to_jsonb(r) - 'name'));
end
$$;

comment on function maintsched.add_repository_as(oid, jsonb) is
'Internal: add_repository(), as the owner.';

create function maintsched.add_repository(
	name text, kind text, location text, config text default null, archive text default null,
	pulled boolean default true, system_identifier numeric default null, max_age interval default '25 hours',
	rpo interval default null, rto interval default null, copies integer default 1, expected_location text default null,
	encrypted boolean default null, size_tolerance numeric default 0.4, size_floor bigint default 16777216,
	read_within interval default '26 hours', verify_within interval default '8 days', drill_within interval default '100 days')
returns void
language sql
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres'
as $$
	select maintsched.add_repository_as(maintsched.note_caller(), jsonb_build_object(
		'name', name, 'kind', kind, 'location', location, 'config', config, 'archive', archive,
		'pulled', pulled, 'system_identifier', system_identifier, 'max_age', max_age, 'rpo', rpo, 'rto', rto,
		'copies', copies, 'expected_location', expected_location, 'encrypted', encrypted,
		'size_tolerance', size_tolerance, 'size_floor', size_floor, 'read_within', read_within,
		'verify_within', verify_within, 'drill_within', drill_within))
$$;

comment on function maintsched.add_repository(text, text, text, text, text, boolean, numeric, interval, interval, interval, integer, text, boolean, numeric, bigint, interval, interval, interval) is
'Adds a repository of backups of this cluster, and what is expected of them; the arguments are the columns of repository. kind: basebackup (location: a folder of backups by pg_basebackup, below maintsched.backup_roots), pgbackrest (a stanza), barman (a server). archive: the folder of the archived WAL, below maintsched.backup_roots. Recorded in repository_change. Errors: duplicate_object (42710), invalid_name (42602), invalid_parameter_value (22023), insufficient_privilege (42501) without the privileges of pg_execute_server_program, or of pg_read_server_files for basebackup, and for folders outside of the roots, object_not_in_prerequisite_state (55000) where there are no roots, undefined_file (58P01).';

create function maintsched.change_repository_as(caller oid, name text, changes jsonb, reason text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres'
as $$
#variable_conflict use_variable
declare
	caller_name constant text := maintsched.caller_role();
	old maintsched.repository := maintsched.need_repository(name);
	r maintsched.repository;
	fields text[];
	change record;
	said text;
begin
	perform maintsched.need_primary();
	if coalesce(jsonb_typeof(changes), '') <> 'object' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = 'changes of a repository are an object of its columns',
			hint = 'Such as {"max_age": "2 days", "rpo": "15 minutes"}.';
	end if;
	select x.* into strict old from maintsched.repository x where x.name = old.name for update;
	-- what runs as whoever may run it stays so
	perform maintsched.check_repository_reader(old.kind, caller_name);
	r := old;
	fields := array(select f.key from jsonb_object_keys(to_jsonb(old)) f(key) where f.key <> 'name' order by 1);
	for change in select c.key, c.value from jsonb_each(changes) c loop
		if change.key = 'name' then
			raise exception using
				errcode = 'feature_not_supported',
				message = 'a repository keeps its name',
				detail = 'What is recorded of it is known by that.';
		elsif change.key <> all (fields) then
			raise exception using
				errcode = 'undefined_column',
				message = format('a repository has no "%s"', left(change.key, 100)),
				hint = maintsched.perhaps(change.key, fields, 'It has');
		end if;
		begin
			r := jsonb_populate_record(r, jsonb_build_object(change.key, change.value));
		exception when data_exception then
			get stacked diagnostics said = message_text;
			raise exception using
				errcode = 'invalid_parameter_value',
				message = format('%s of repository "%s": %s', change.key, name, said);
		end;
	end loop;
	perform maintsched.check_repository(r, caller_name);
	insert into maintsched.repository_change (repository, field, old, new, reason)
	select r.name, f.key, to_jsonb(old) ->> f.key, to_jsonb(r) ->> f.key, nullif(btrim(reason), '')
	from unnest(fields) f(key)
	where to_jsonb(old) -> f.key is distinct from to_jsonb(r) -> f.key;
	if not found then
		return;
	end if;
	update maintsched.repository x
	set kind = r.kind, location = r.location, config = r.config, archive = r.archive, pulled = r.pulled,
		system_identifier = r.system_identifier, max_age = r.max_age, rpo = r.rpo, rto = r.rto, copies = r.copies,
		expected_location = r.expected_location, encrypted = r.encrypted, size_tolerance = r.size_tolerance,
		size_floor = r.size_floor, read_within = r.read_within, verify_within = r.verify_within, drill_within = r.drill_within
	where x.name = r.name;
end
$$;

comment on function maintsched.change_repository_as(oid, text, jsonb, text) is
'Internal: change_repository(), as the owner.';

create function maintsched.change_repository(name text, changes jsonb, reason text default null) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.change_repository_as(maintsched.note_caller(), name, changes, reason)
$$;

comment on function maintsched.change_repository(text, jsonb, text) is
'Changes columns of a repository, {"max_age": "2 days"}; recorded in repository_change. Errors: undefined_object (42704), undefined_column (42703), and those of add_repository().';

create function maintsched.remove_repository_as(caller oid, name text, reason text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres'
as $$
#variable_conflict use_variable
declare
	caller_name constant text := maintsched.caller_role();
	old maintsched.repository := maintsched.need_repository(name);
begin
	perform maintsched.need_primary();
	perform maintsched.check_repository_reader(old.kind, caller_name);
	if coalesce(btrim(reason), '') = '' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = 'a reason is needed to remove a repository',
			hint = 'It is kept with the record, for those who read it later.';
	end if;
	delete from maintsched.repository x where x.name = old.name;
	insert into maintsched.repository_change (repository, field, old, reason)
	values (old.name, 'removed', jsonb_strip_nulls(to_jsonb(old) - 'name'), btrim(reason));
end
$$;

comment on function maintsched.remove_repository_as(oid, text, text) is
'Internal: remove_repository(), as the owner.';

create function maintsched.remove_repository(name text, reason text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.remove_repository_as(maintsched.note_caller(), name, reason)
$$;

comment on function maintsched.remove_repository(text, text) is
'Removes a repository: its backups are not looked at any more. What was recorded of them stays, and so does its tool''s or folder''s content. Errors: undefined_object (42704), invalid_parameter_value (22023) without a reason, insufficient_privilege (42501).';
