--
-- 65_drill_target: up to where a drill recovers, and what it asks there
--
-- Expectations hold at their restore point.  A copy that is recovered to it is
-- compared with all of them.  Where there is no archive, the copy is what the
-- cluster was when the backup ended: only what was the same before and after
-- that, and was not written to in between, can be compared.
--

create function maintsched.wal_file(timeline bigint, lsn pg_lsn) returns text
language sql stable
set search_path = pg_catalog, pg_temp
return (
	-- a record that ends with a segment is in it
	select upper(lpad(to_hex(timeline), 8, '0')
		|| lpad(to_hex(div(s.segment, div(4294967296, s.size))::bigint), 8, '0')
		|| lpad(to_hex(mod(s.segment, div(4294967296, s.size))::bigint), 8, '0'))
	from (
		select div(greatest((lsn - '0/0')::numeric - 1, 0), x.size) as segment, x.size
		from (select pg_size_bytes(current_setting('wal_segment_size'))::numeric as size) x) s);

comment on function maintsched.wal_file(bigint, pg_lsn) is
'Internal: The name of the WAL file that holds what ends at a position of a timeline.';

create function maintsched.repository_has_archive(r maintsched.repository) returns boolean
language sql immutable parallel safe
return r.kind in ('pgbackrest', 'barman') or r.archive is not null;

comment on function maintsched.repository_has_archive(maintsched.repository) is
'Internal: Whether backups of the repository come with an archive of WAL.';

create function maintsched.wal_is_in_folder(folder text, file text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	return exists (
		select from unnest(array['', '.gz', '.lz4', '.zst', '.bz2', '.xz']) s(ending)
		where (pg_stat_file(folder || '/' || file || s.ending, true)).size > 0);
exception
	when insufficient_privilege or io_error or undefined_file or system_error or duplicate_file then
		return false;
end
$$;

comment on function maintsched.wal_is_in_folder(text, text) is
'Internal: Whether a folder of archived WAL has a file, compressed or not.';

create function maintsched.wal_is_archived(repository text, timeline bigint, lsn pg_lsn) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	file constant text := maintsched.wal_file(timeline, lsn);
	r maintsched.repository;
	archives jsonb;
	last text;
begin
	select x.* into r from maintsched.repository x where x.name = repository;
	select case jsonb_typeof(x.facts -> 'archives') when 'array' then x.facts -> 'archives' else '[]' end into archives
	from maintsched.backup_reading x
	where x.repository = wal_is_archived.repository and x.ok and x.simulated <= maintsched.clock_simulated()
	order by x.reading_id desc
	limit 1;
	if r.kind = 'basebackup' and maintsched.wal_is_in_folder(r.archive, file)
		or r.kind = 'barman' and r.pulled and exists (
			-- in folders by their first 16 digits
			select from jsonb_array_elements(archives) a
			where maintsched.wal_is_in_folder((a.value ->> 'path') || '/' || left(file, 16), file))
	then
		return format('file %s is in the archive', file);
	end if;
	-- what the server has given to Barman is not in its archive yet; files are
	-- archived in their order, names end in .backup, .history and .partial, too
	last := case when r.kind <> 'barman' then substring((select a.last_archived_wal from pg_stat_archiver a) from '^[0-9A-F]{24}') end;
	if substr(last, 9) collate "C" >= substr(file, 9) and left(last, 8) collate "C" >= left(file, 8) then
		return format('the server has archived WAL up to %s', last);
	end if;
	select max(substring(a.value ->> 'last' from '^[0-9A-F]{24}') collate "C") into last
	from jsonb_array_elements(archives) a
	where left(a.value ->> 'last', 8) collate "C" >= left(file, 8);
	if substr(last, 9) collate "C" >= substr(file, 9) then
		return format('the repository has WAL up to %s', last);
	end if;
	return null;
end
$$;

comment on function maintsched.wal_is_archived(text, bigint, pg_lsn) is
'Internal: Who says that WAL up to this position is archived: the archive''s folder, the server (not for Barman, which takes it in later), or the latest reading of the repository; NULL: nobody.';

create function maintsched.timeline_ends()
returns table (timeline bigint, ends_at pg_lsn)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	current constant bigint := (select c.timeline_id from pg_control_checkpoint() c);
	history text;
begin
	timeline := current;
	return next;
	begin
		history := pg_read_file('pg_wal/' || upper(lpad(to_hex(current), 8, '0')) || '.history', 0, 1000000, true);
	exception
		when insufficient_privilege or undefined_file or io_error or system_error then
			null;
	end;
	return query
	select m[1]::bigint, m[2]::pg_lsn
	from regexp_matches(coalesce(history, ''), '^[[:blank:]]*([0-9]+)[[:blank:]]+([0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8})', 'gn') m;
end
$$;

comment on function maintsched.timeline_ends() is
'Internal: The timelines of the server''s history, and where each was left; NULL: it is the one of now, as of the last checkpoint.';

create function maintsched.lies_on_history(timeline bigint, lsn pg_lsn, history jsonb) returns boolean
language sql immutable parallel safe
return exists (
	select from jsonb_to_recordset(history) h(timeline bigint, ends_at pg_lsn)
	where h.timeline = lies_on_history.timeline and (h.ends_at is null or lsn <= h.ends_at));

comment on function maintsched.lies_on_history(bigint, pg_lsn, jsonb) is
'Internal: Whether what was written up to a position of a timeline is still part of the server''s history (timeline_ends()).';

create function maintsched.last_record(repository text, label text) returns maintsched.backup_record
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select b.*
	from maintsched.backup_record b
	where b.repository = last_record.repository and b.label = last_record.label and b.simulated <= maintsched.clock_simulated()
	order by b.record_id desc
	limit 1
$$;

comment on function maintsched.last_record(text, text) is
'Internal: What was last seen of a backup.';

create function maintsched.drill_target(
	repository text, label text,
	out target text, out restore_point text, out expectation_id bigint, out lsn pg_lsn)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	also_simulated constant boolean := maintsched.clock_simulated();
	r maintsched.repository;
	b maintsched.backup_record;
	history jsonb;
	e record;
begin
	r := maintsched.need_repository(repository);
	b := maintsched.last_record(repository, label);
	if b.label is null then
		raise exception using
			errcode = 'undefined_object',
			message = format('backup %s of repository "%s" is not known', coalesce('"' || label || '"', 'NULL'), r.name),
			hint = format('Read the repository: select maintsched.read_repository(%L);', r.name);
	end if;
	if not maintsched.repository_has_archive(r) then
		target := 'consistent';
		-- what was captured first after it: least was written in between
		select x.expectation_id into expectation_id
		from maintsched.expectation x
		where x.repository = r.name and x.kept and x.lsn > b.end_lsn
		and x.simulated <= also_simulated
		order by x.expectation_id
		limit 1;
		return;
	end if;
	target := 'latest';
	select jsonb_agg(to_jsonb(h)) into history from maintsched.timeline_ends() h;
	if b.end_lsn is null or not maintsched.lies_on_history(coalesce(b.timeline, (history -> 0 ->> 'timeline')::bigint), b.end_lsn, history) then
		return;
	end if;
	for e in
		select x.expectation_id, x.restore_point, x.timeline, x.lsn
		from maintsched.expectation x
		where x.repository = r.name and x.kept and x.lsn > b.end_lsn
		and x.simulated <= also_simulated and x.timeline >= coalesce(b.timeline, 0)
		order by x.expectation_id desc
	loop
		if maintsched.lies_on_history(e.timeline, e.lsn, history)
			and maintsched.wal_is_archived(r.name, e.timeline, e.lsn) is not null
		then
			target := 'restore point';
			restore_point := e.restore_point;
			expectation_id := e.expectation_id;
			lsn := e.lsn;
			return;
		end if;
	end loop;
end
$$;

comment on function maintsched.drill_target(text, text) is
'Internal: Up to where a drill of this backup recovers: to the restore point of the newest expectations after its end that the archive has, on the history of this server; else to latest, the end of the archive, or, where there is none, consistent, as soon as it can. expectation_id: what is compared then. Error: undefined_object (42704).';

create function maintsched.expected_items(drill_id bigint)
returns table (seq integer, item jsonb, changed boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	d maintsched.drill;
	after jsonb;
	before jsonb;
begin
	select x.* into d from maintsched.drill x where x.drill_id = expected_items.drill_id;
	if d.expectation_id is null then
		return;
	end if;
	select e.items into after from maintsched.expectation e where e.expectation_id = d.expectation_id;
	if d.target = 'consistent' then
		-- the last that was captured before the backup ended
		select e.items into before
		from maintsched.expectation e
		where e.repository = d.repository and e.kept and e.expectation_id < d.expectation_id
		and e.lsn <= (maintsched.last_record(d.repository, d.label)).end_lsn
		and e.simulated <= d.simulated
		order by e.expectation_id desc
		limit 1;
		if before is null then
			return;
		end if;
	end if;
	return query
	select i.ordinality::integer, i.value,
		-- with the number of writes: what was put in and taken out again is a change
		d.target = 'consistent' and (b.value is null
			or i.value ? 'table' and jsonb_typeof(i.value -> 'writes') is distinct from 'number')
	from jsonb_array_elements(after) with ordinality i
	left join (
		select distinct x.value
		from jsonb_array_elements(before) x) b on b.value = i.value
	order by i.ordinality;
end
$$;

comment on function maintsched.expected_items(bigint) is
'Internal: What a drill is compared with; changed: it is not, for the backup was made while it changed.';

create function maintsched.item_query(item jsonb) returns text
language sql immutable parallel safe
return case item ->> 'item'
	when 'rows' then maintsched.copy_query(item ->> 'schema', item ->> 'table',
		maintsched.rows_query(item ->> 'schema', item ->> 'table'))
	when 'digest' then maintsched.copy_query(item ->> 'schema', item ->> 'table',
		maintsched.digest_query(item ->> 'schema', item ->> 'table',
			array(select c.value from jsonb_array_elements_text(item -> 'columns') with ordinality c order by c.ordinality)))
	else maintsched.catalog_query(item ->> 'item') end;

comment on function maintsched.item_query(jsonb) is
'Internal: What a restored copy is asked for an item of an expectation.';

create function maintsched.drill_questions(drill_id bigint)
returns table (seq integer, step text, database text, name text, query text, timeout interval)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select i.seq, 'expectations'::text, i.item ->> 'database',
		coalesce(i.item ->> 'name', i.item ->> 'item'), maintsched.item_query(i.item), interval '1 hour'
	from maintsched.expected_items(drill_questions.drill_id) i
	where not i.changed
	order by i.seq;
	return query
	select 1000000 + row_number() over (order by s.name collate "C")::integer, 'queries'::text, s.database, s.name,
		-- what ends in a comment ends there
		s.query || E'\n', s.timeout
	from maintsched.sample_query s
	where s.repository = (select d.repository from maintsched.drill d where d.drill_id = drill_questions.drill_id)
	order by s.name collate "C";
end
$$;

comment on function maintsched.drill_questions(bigint) is
'Internal: What is asked in the restored copy: for each item of the expectations, and the sample queries. Each query is a SELECT, to be asked in its database, read-only, as select coalesce(jsonb_agg(to_jsonb(q)), ''[]'') from (QUERY) q with search_path = pg_catalog, pg_temp; the answers are for judge_answers().';
