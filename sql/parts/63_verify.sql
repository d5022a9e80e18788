--
-- 63_verify: verifying the backups of repositories
--
-- verify_repository() climbs the ladder up to level 7: it has the repository
-- read, the levels below judged, and compares the files of the backups with
-- their checksums (src/backup/level7*.c).  Every check is recorded before the
-- next one begins, so that whatever ends it, what was found stays.
--

create procedure maintsched.verify_repository(
	repository text default null, level integer default 7, backups text default 'latest')
language c
as 'MODULE_PATHNAME', 'maintsched_verify_repository';

comment on procedure maintsched.verify_repository(text, integer, text) is
'Verifies backups and records each check: reads a repository, or all of them where it is NULL, judges the levels 0 to 6, and for level 7 compares every file with its checksum. backups: latest, all, or a label. Commits as it goes, unless it is called in a transaction. Errors, after all is recorded: object_not_in_prerequisite_state (55000) where a check failed, with the problems; no_data_found (P0002) where no repository is set up, one (or one of several of a stanza, unless a backup is named) could not be read, or a check could not be made. Before that: undefined_object (42704) for a repository or label that is not there, invalid_parameter_value (22023), insufficient_privilege (42501) except for superusers and roles with privileges of pg_execute_server_program (pgbackrest, barman) or pg_read_server_files (basebackup).';

create function maintsched.repositories_to_verify(repository text)
returns table (name text, kind text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return query
		select r.name, r.kind
		from maintsched.repository r
		where repositories_to_verify.repository is null or r.name = repositories_to_verify.repository
		order by r.name collate "C";
	if found then
		return;
	elsif repositories_to_verify.repository is not null then
		raise exception using
			errcode = 'undefined_object',
			message = format('repository "%s" does not exist', repositories_to_verify.repository),
			hint = maintsched.perhaps(repositories_to_verify.repository,
				array(select r.name from maintsched.repository r order by 1), 'Repositories are');
	end if;
	raise exception using
		errcode = 'no_data_found',
		message = 'no repository of backups is set up',
		hint = 'See add_repository(): nothing is known of any backup.';
end
$$;

comment on function maintsched.repositories_to_verify(text) is
'Internal: The repository of this name, all where it is NULL. Errors: undefined_object (42704), no_data_found (P0002).';

create function maintsched.reading_to_verify(repository text, reading_id bigint, out reading bigint, out problem text, out partly text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	place maintsched.repository;
	latest maintsched.backup_reading;
	age interval;
begin
	select r.* into place from maintsched.repository r where r.name = reading_to_verify.repository;
	select r.* into latest
	from maintsched.backup_reading r
	where r.repository = reading_to_verify.repository
	and (reading_to_verify.reading_id is null and r.clock_at <= maintsched.clock() or r.reading_id = reading_to_verify.reading_id)
	order by r.reading_id desc
	limit 1;
	reading := latest.reading_id;
	age := maintsched.clock() - latest.clock_at;
	problem := case
		when reading is null then 'its catalogue was never imported'
		when not latest.ok then coalesce(latest.message, 'it could not be read')
		when age > place.read_within then format('its catalogue was last imported %s ago', maintsched.age_text(age)) end;
	-- the latest backup may be there
	partly := (
		select string_agg(format('repository %s of the stanza could not be read: %s', u.value ->> 'key',
			coalesce(split_part(u.value ->> 'message', ' HINT: ', 1), 'it is not known why')), '; ' order by u.ordinality)
		from maintsched.unread_parts(latest) u);
end
$$;

comment on function maintsched.reading_to_verify(text, bigint) is
'Internal: The reading by which a repository is judged, NULL being the latest one, and why it cannot be judged by it; partly: which repositories of its stanza are not in it, and why.';

create function maintsched.backups_to_verify(repository text, backups text) returns setof text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	if backups not in ('latest', 'all') then
		return query
			select b.label from maintsched.current_backups(backups_to_verify.repository) b
			where b.label = backups_to_verify.backups;
		if not found then
			raise exception using
				errcode = 'undefined_object',
				message = format('repository "%s" has no backup "%s"', backups_to_verify.repository, backups_to_verify.backups),
				hint = 'View backups lists them.';
		end if;
		return;
	end if;
	return query
		with present as materialized (
			select b.label, b.state, row_number() over (order by t.at desc nulls last, b.label collate "C" desc) as newest
			from maintsched.current_backups(backups_to_verify.repository) b
			cross join lateral (
				-- of one that failed Barman says no times: then it came after those whose names come before
				select coalesce(b.finished_at, b.started_at, max(coalesce(x.finished_at, x.started_at))) as at
				from maintsched.current_backups(backups_to_verify.repository) x
				where x.label collate "C" < b.label and b.finished_at is null and b.started_at is null) t
			where b.state in ('done', 'failed', 'waiting')
		)
		select p.label
		from present p
		where backups_to_verify.backups = 'all'
		-- one that failed is no reason to be content with the one before
		or p.newest <= coalesce((select min(x.newest) from present x where x.state = 'done'), 1)
			and (p.state <> 'waiting' or not exists (select from present x where x.state = 'done'))
		order by p.newest;
end
$$;

comment on function maintsched.backups_to_verify(text, text) is
'Internal: The backups that latest (the newest that ended well, and what failed since), all or a label means, the newest first. Errors: undefined_object (42704).';

create function maintsched.verify_subject(repository text, label text)
returns table (
	kind text, location text, config text, pulled boolean, state text, expected_system text, number text, start_wal text, end_wal text, archive text,
	paths text[], member text, directory text, start_lsn text, end_lsn text, system text, archives text[])
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return query
		with recursive present as materialized (
			select b.* from maintsched.current_backups(verify_subject.repository) b
		), chain (label, depth) as (
			select verify_subject.label, 0
			union
			select n.label, c.depth + 1
			from chain c
			join present p on p.label = c.label
			cross join lateral unnest(p.depends_on || p.prior) n(label)
			where n.label is not null and c.depth < 1000
		), needed as (
			select c.label, min(c.depth) as depth from chain c group by c.label
		)
		select r.kind, r.location, r.config, r.pulled, b.state,
			coalesce(r.system_identifier, maintsched.own_system())::text,
			b.details ->> 'repository', b.start_wal, b.end_wal, b.details ->> 'archive',
			array(select p.value from maintsched.backup_reading x
				cross join lateral jsonb_array_elements_text(
					case when jsonb_typeof(x.facts -> 'paths') = 'array' then x.facts -> 'paths' else '[]' end) p
				where x.reading_id = b.reading_id),
			n.label,
			coalesce(m.location, case when r.kind = 'basebackup' then r.location || '/' || n.label end),
			maintsched.lsn_text(m.start_lsn), maintsched.lsn_text(m.end_lsn), m.system_identifier::text,
			(select array_remove(maintsched.archive_places(r, coalesce(b.details ->> 'archive', x.facts -> 'archives' -> 0 ->> 'id'),
					coalesce((b.details ->> 'repository')::integer, 1), x.facts), null)
				from maintsched.backup_reading x where x.reading_id = b.reading_id)
		from maintsched.repository r
		join present b on b.label = verify_subject.label
		cross join needed n
		left join present m on m.label = n.label
		where r.name = verify_subject.repository
		order by n.depth desc, n.label collate "C";
end
$$;

comment on function maintsched.verify_subject(text, text) is
'Internal: What level 7 of a backup is about: a row for each backup that it needs, itself last.';

create function maintsched.own_system() returns numeric
language sql stable
set search_path = pg_catalog, pg_temp
return (select case when c.system_identifier < 0 then c.system_identifier + 18446744073709551616 else c.system_identifier::numeric end
	from pg_control_system() c);

comment on function maintsched.own_system() is
'Internal: The system identifier of this cluster.';

create function maintsched.own_run() returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
return (
	select max(r.run_id) from maintsched.run r
	where r.state = 'running' and r.pid = pg_backend_pid() and maintsched.backend_alive(r.pid, r.backend_start));

comment on function maintsched.own_run() is
'Internal: The run that this process carries out; NULL: none.';

create function maintsched.judge_and_record(repository text, label text, up_to integer, reading_id bigint)
returns table (level smallint, result text, problem text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	run_id constant bigint := maintsched.own_run();
	j record;
begin
	for j in
		select x.* from maintsched.judge_backup(judge_and_record.repository, judge_and_record.label) x
		where x.level <= least(up_to, 6)
		order by x.level
	loop
		perform maintsched.record_check(judge_and_record.repository, judge_and_record.label, j.level, j.result, j.problems, j.facts,
			null, judge_and_record.reading_id, null, run_id);
		level := j.level;
		result := j.result;
		problem := array_to_string(j.problems, '; ');
		return next;
	end loop;
end
$$;

comment on function maintsched.judge_and_record(text, text, integer, bigint) is
'Internal: Judges a backup up to a level, 6 at most, and records each check.';

create function maintsched.run_evidence(run_id bigint) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select jsonb_strip_nulls(jsonb_build_object('checks', (
		select jsonb_agg(jsonb_build_object(
			'repository', b.repository, 'label', b.label, 'level', b.level, 'reading_id', b.reading_id,
			'failed', b.failed, 'not_checked', b.not_checked)
			-- what was verified before what was looked at besides
			order by b.repository collate "C", b.begun)
		from (
			select c.repository, c.label,
				-- up to the first that stops the climb
				coalesce(min(c.level) filter (where c.result in ('fail', 'not_checked')) - 1, max(c.level)) as level,
				max(c.reading_id) as reading_id,
				min(c.check_id) as begun,
				jsonb_agg(c.level order by c.level) filter (where c.result = 'fail') as failed,
				jsonb_agg(c.level order by c.level) filter (where c.result = 'not_checked') as not_checked
			from maintsched.backup_check c
			where c.run_id = run_evidence.run_id
			group by c.repository, c.label) b)))
$$;

comment on function maintsched.run_evidence(bigint) is
'Internal: What completions by a run hold besides the run: the backups that it checked, each with the level up to which nothing stops it.';
