--
-- 61_catalogue: reading what backup tools print
--
-- The catalogue of a repository is jsonb, printed by its tool, now or elsewhere.
-- It is taken with care: a value of another type, a number out of its range, a
-- text with control characters is an error that says where it stands.  Numbers
-- stay numeric, so that identifiers of 64 bits are exact.  Keys that are not
-- known are left alone: formats grow.
--
-- What is known of a backup is the same for every tool: a backup_entry.
--

create type maintsched.backup_entry as (
	label text,
	state text,
	type text,
	prior text,
	depends_on text[],
	started_at timestamptz,
	finished_at timestamptz,
	start_lsn pg_lsn,
	end_lsn pg_lsn,
	timeline bigint,
	start_wal text,
	end_wal text,
	system_identifier numeric,
	pg_version text,
	size_bytes bigint,
	delta_bytes bigint,
	stored_bytes bigint,
	encrypted boolean,
	location text,
	problem text,
	details jsonb
);

comment on type maintsched.backup_entry is 'Internal: What a catalogue says of a backup: as backup_record.';

create function maintsched.shown_value(value jsonb) returns text
language sql immutable parallel safe
return case
	when value is null then 'nothing'
	when jsonb_typeof(value) in ('object', 'array') then 'an ' || jsonb_typeof(value)
	when length(value::text) > 60 then left(value::text, 60) || '...'
	else value::text
end;

comment on function maintsched.shown_value(jsonb) is
'Internal: A value of a catalogue for a message, not too long.';

create function maintsched.refuse_catalogue(path text, problem text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
	raise exception using
		errcode = 'invalid_parameter_value',
		message = format('catalogue of backups: %s %s', coalesce(nullif(path, ''), 'the document'), problem),
		hint = 'It must be what the tool printed as JSON, whole and unchanged.';
end
$$;

comment on function maintsched.refuse_catalogue(text, text) is
'Internal: Raises invalid_parameter_value (22023) for a place in a catalogue.';

create function maintsched.catalogue_value(doc jsonb, key text, path text, kind text, required boolean default false)
returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
	value constant jsonb := doc -> key;
begin
	if value is null or jsonb_typeof(value) = 'null' then
		if required then
			perform maintsched.refuse_catalogue(path, format('has no "%s"', key));
		end if;
		return null;
	elsif jsonb_typeof(value) <> kind then
		perform maintsched.refuse_catalogue(path || '.' || key,
			format('is %s, which is no %s', maintsched.shown_value(value), kind));
	end if;
	return value;
end
$$;

comment on function maintsched.catalogue_value(jsonb, text, text, text, boolean) is
'Internal: A value of an object of a catalogue, of one type of JSON; NULL where it has none. path: where the object stands.';

create function maintsched.catalogue_text(
	doc jsonb, key text, path text, required boolean default false, pattern text default null, form text default null)
returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
	value constant text := case
		when jsonb_typeof(doc -> key) = 'string' then doc ->> key
		when required or doc ->> key is not null then maintsched.catalogue_value(doc, key, path, 'string', required) #>> '{}'
	end;
begin
	if value is null then
		return null;
	elsif length(value) > 4096 then
		perform maintsched.refuse_catalogue(path || '.' || key, 'is longer than 4096 characters');
	elsif value ~ '[[:cntrl:]]' then
		perform maintsched.refuse_catalogue(path || '.' || key, 'holds a control character');
	elsif pattern is not null and value !~ pattern then
		perform maintsched.refuse_catalogue(path || '.' || key,
			format('is %s, which is no %s', maintsched.shown_value(to_jsonb(value)), form));
	end if;
	return value;
end
$$;

comment on function maintsched.catalogue_text(jsonb, text, text, boolean, text, text) is
'Internal: A text of a catalogue, without control characters, of the form of pattern, whose name is form.';

create function maintsched.catalogue_note(doc jsonb, key text, path text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
	return left(regexp_replace(maintsched.catalogue_value(doc, key, path, 'string') #>> '{}', '[[:cntrl:]]+', ' ', 'g'), 1000);
end
$$;

comment on function maintsched.catalogue_note(jsonb, text, text) is
'Internal: A message in a catalogue, for people: control characters as spaces, cut after 1000 characters.';

create function maintsched.catalogue_number(
	doc jsonb, key text, path text, low numeric, high numeric, required boolean default false)
returns numeric
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
	value constant numeric := case
		when jsonb_typeof(doc -> key) = 'number' then (doc -> key)::numeric
		when required or doc ->> key is not null then (maintsched.catalogue_value(doc, key, path, 'number', required))::numeric
	end;
begin
	if value not between low and high then
		perform maintsched.refuse_catalogue(path || '.' || key,
			format('is %s, which is not between %s and %s', maintsched.shown_value(to_jsonb(value)), low, high));
	elsif value <> trunc(value) then
		perform maintsched.refuse_catalogue(path || '.' || key,
			format('is %s, which is no whole number', maintsched.shown_value(to_jsonb(value))));
	end if;
	return trunc(value);
end
$$;

comment on function maintsched.catalogue_number(jsonb, text, text, numeric, numeric, boolean) is
'Internal: A whole number of a catalogue within a range.';

create function maintsched.catalogue_bytes(doc jsonb, key text, path text) returns bigint
language sql immutable parallel safe
return maintsched.catalogue_number(doc, key, path, 0, 9223372036854775807)::bigint;

comment on function maintsched.catalogue_bytes(jsonb, text, text) is
'Internal: A size of a catalogue, in bytes.';

create function maintsched.catalogue_time(doc jsonb, key text, path text, required boolean default false) returns timestamptz
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
	value jsonb := doc -> key;
begin
	-- Barman writes them as texts
	if jsonb_typeof(value) = 'string' and value #>> '{}' ~ '^[0-9]{1,15}$' then
		value := to_jsonb((value #>> '{}')::numeric);
	end if;
	-- up to the end of the year 9999
	return to_timestamp(maintsched.catalogue_number(
		jsonb_build_object(key, value), key, path, 0, 253402300799, required)::double precision);
end
$$;

comment on function maintsched.catalogue_time(jsonb, text, text, boolean) is
'Internal: An instant of a catalogue, which writes it in seconds since 1970.';

create function maintsched.catalogue_lsn(doc jsonb, key text, path text, required boolean default false) returns pg_lsn
language sql immutable parallel safe
return maintsched.catalogue_text(doc, key, path, required, '^[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$', 'position in WAL')::pg_lsn;

comment on function maintsched.catalogue_lsn(jsonb, text, text, boolean) is
'Internal: A position in WAL of a catalogue.';

create function maintsched.catalogue_wal(doc jsonb, key text, path text) returns text
language sql immutable parallel safe
return maintsched.catalogue_text(doc, key, path, pattern => '^[0-9A-F]{24}$', form => 'name of a WAL file');

comment on function maintsched.catalogue_wal(jsonb, text, text) is
'Internal: The name of a WAL file of a catalogue.';

create function maintsched.catalogue_label(doc jsonb, key text, path text, required boolean default true) returns text
language sql immutable parallel safe
-- it becomes an argument of tools, and part of paths
return maintsched.catalogue_text(doc, key, path, required, '^(?![-.])[^/ ]{1,255}$', 'name of a backup');

comment on function maintsched.catalogue_label(jsonb, text, text, boolean) is
'Internal: The name of a backup in the catalogue of a tool: neither an option nor a path.';

create function maintsched.wal_timeline(file text) returns bigint
language sql immutable parallel safe
return ('x' || left(file, 8))::bit(32)::bigint;

comment on function maintsched.wal_timeline(text) is
'Internal: The timeline in the name of a WAL file.';

create function maintsched.catalogue_identifier(doc jsonb, key text, path text) returns numeric
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
	value jsonb := doc -> key;
begin
	if jsonb_typeof(value) = 'string' and value #>> '{}' ~ '^[0-9]{1,20}$' then
		value := to_jsonb((value #>> '{}')::numeric);
	end if;
	return maintsched.catalogue_number(jsonb_build_object(key, value), key, path, 1, 18446744073709551615);
end
$$;

comment on function maintsched.catalogue_identifier(jsonb, text, text) is
'Internal: The identifier of a database system, also as a text.';

create function maintsched.latest_records(repository text)
returns setof maintsched.backup_record
language sql stable
begin atomic
	select distinct on (b.label) b.*
	from maintsched.backup_record b
	where b.repository = latest_records.repository
	order by b.label, b.record_id desc;
end;

comment on function maintsched.latest_records(text) is
'Internal: The latest record of each backup of a repository, also of those that are gone.';
