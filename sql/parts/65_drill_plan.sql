--
-- 65_drill_plan: the routine restore_drill
--
-- What is expected is captured before the drill, and the WAL up to there is
-- awaited in the archive, so that each drill is compared with the database as
-- it was some minutes ago.
--

create function maintsched.begin_await(repository text, out timeline bigint, out lsn pg_lsn)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r maintsched.repository;
begin
	perform maintsched.need_primary();
	r := maintsched.need_repository(repository);
	if not maintsched.repository_has_archive(r) then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('repository "%s" has no archive', r.name);
	end if;
	select e.timeline, e.lsn into timeline, lsn
	from maintsched.expectation e
	where e.repository = r.name and e.kept and e.simulated <= maintsched.clock_simulated()
	order by e.expectation_id desc
	limit 1;
	-- what is full is archived
	if maintsched.wal_file(timeline, lsn) = pg_walfile_name(pg_current_wal_insert_lsn()) then
		perform pg_switch_wal();
	end if;
end
$$;

comment on function maintsched.begin_await(text) is
'Internal: Which WAL await_archive() waits for, that of the newest expectations; NULL: nothing was captured. It is ended, if it is still written.';

create function maintsched.is_awaited(repository text, timeline bigint, lsn pg_lsn, began timestamptz, patience interval) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	a record;
begin
	if lsn is null or maintsched.wal_is_archived(repository, timeline, lsn) is not null then
		return false;
	elsif clock_timestamp() < began + patience then
		return true;
	end if;
	select x.last_failed_wal, x.last_failed_time > coalesce(x.last_archived_time, '-infinity') as failing into a from pg_stat_archiver x;
	raise exception using
		errcode = 'object_not_in_prerequisite_state',
		message = format('WAL file %s, which holds the restore point, is not in the archive of repository "%s" after %s',
			maintsched.wal_file(timeline, lsn), repository, patience),
		detail = case
			when (select x.kind from maintsched.repository x where x.name = repository) = 'barman'
				then 'Barman takes in what it was given with its command cron.'
			when current_setting('archive_mode') = 'off' then 'This server archives nothing (archive_mode), and the repository has not got it by itself.'
			when a.failing then format('The server fails to archive %s.', a.last_failed_wal) end,
		hint = 'A drill is not compared with what was captured just now.';
end
$$;

comment on function maintsched.is_awaited(text, bigint, pg_lsn, timestamptz, interval) is
'Internal: Whether WAL is to be waited for any longer. Error: object_not_in_prerequisite_state (55000) once patience is over.';

create function maintsched.look_for_archive(repository text, began timestamptz) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
	-- WAL that the repository fetches by itself is known by reading it
	if (current_setting('archive_mode') = 'off' or clock_timestamp() > began + interval '10 s')
		and maintsched.is_to_be_read(repository)
	then
		perform maintsched.read_repository(repository);
	end if;
end
$$;

comment on function maintsched.look_for_archive(text, timestamptz) is
'Internal: Reads a repository again, every ten seconds, while its archive is waited for.';

create function maintsched.is_to_be_read(repository text) returns boolean
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(bool_and(r.pulled and not exists (
		select from maintsched.backup_reading b
		where b.repository = r.name and b.recorded_at > clock_timestamp() - interval '10 s')), false)
	from maintsched.repository r
	where r.name = is_to_be_read.repository
$$;

comment on function maintsched.is_to_be_read(text) is
'Internal: Whether a repository can be read, and was not in the last ten seconds.';

create procedure maintsched.await_archive(repository text, patience interval default '10 minutes')
language c
as 'MODULE_PATHNAME', 'maintsched_await_archive';

comment on procedure maintsched.await_archive(text, interval) is
'Waits until the WAL up to the restore point of the newest expectations (capture_expectations()) is archived, so that a drill can recover to it; ends the current WAL file for that. Not in a transaction block. For managers. Errors: object_not_in_prerequisite_state (55000) when it is not after patience, or there is no archive, undefined_object (42704), active_sql_transaction (25001) in a transaction block.';

create function maintsched.repositories_to_drill(name text, backup text) returns setof text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	known constant text[] := array(select r.repository from maintsched.repositories r order by 1);
	seen constant text[] := array(select r.repository from maintsched.repositories r where r.pulled order by 1);
begin
	if cardinality(known) = 0 then
		raise exception using
			errcode = 'no_data_found',
			message = 'no repository is configured: there is no backup to restore',
			hint = 'Tell where backups are: select maintsched.add_repository(...).';
	elsif name <> all (known) then
		raise exception using
			errcode = 'undefined_object',
			message = format('repository "%s" does not exist', name),
			hint = maintsched.perhaps(name, known, 'Repositories are');
	elsif name is null and backup not in ('latest', 'random') and cardinality(known) > 1 then
		raise exception using
			errcode = 'no_data_found',
			message = format('of which repository backup "%s" is meant is not said: %s', backup, array_to_string(known, ', ')),
			hint = format('Name it in the params, such as {"repository": "%s"}.', known[1]);
	end if;
	return query select r from unnest(case
		when name is not null then array[name]
		-- a catalogue that is brought cannot be restored from here
		when cardinality(seen) > 0 then seen
		else known end) r;
end
$$;

comment on function maintsched.repositories_to_drill(text, text) is
'Internal: The repositories that params of restore_drill mean: the named one, or all that are read from here. Errors: no_data_found (P0002) without any, or where there are several and a backup is named by its label alone, undefined_object (42704).';

create function maintsched.drill_estimate(repository text) returns numeric
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(
		(select round(max(x.seconds), 1)
		from (
			select d.seconds
			from maintsched.drills d
			where d.repository = drill_estimate.repository and d.verdict = 'pass'
			order by d.drill_id desc
			limit 5) x),
		-- copied, replayed and read again, at 50 MB a second each
		(select round(30 + 3 * max(b.size_bytes) / 50000000.0, 1)
		from maintsched.backups b
		where b.repository = drill_estimate.repository),
		60)
$$;

comment on function maintsched.drill_estimate(text) is
'Internal: How many seconds a drill will take: as the longest of the last five that passed, else by the size of the largest backup.';

create function maintsched.plan_restore_drill(params jsonb) returns setof maintsched.action
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	backup constant text := coalesce(params ->> 'backup', 'latest');
	options jsonb := '{}';
	chosen text[];
	r record;
begin
	perform maintsched.check_params('restore_drill', params);
	chosen := array(select n from maintsched.repositories_to_drill(params ->> 'repository', backup) n);
	if params ->> 'deadline' is not null then
		options := options || jsonb_build_object('timeout', params ->> 'deadline');
	end if;
	if params ->> 'amcheck' is not null then
		options := options || jsonb_build_object('amcheck', params -> 'amcheck');
	end if;
	for r in
		select x.repository, x.pulled, x.kind in ('pgbackrest', 'barman') or x.archive is not null as archive
		from maintsched.repositories x
		where x.repository = any (chosen)
		-- whatever there is no time for is first the next time
		order by (select max(d.began_at) from maintsched.drills d where d.repository = x.repository) nulls first,
			x.repository collate "C"
	loop
		if r.pulled then
			return next (r.repository, format('select maintsched.read_repository(%L)', r.repository),
				'so that it is known which backups there are', null::bigint, 2::numeric,
				'{"statement_timeout": "10 min"}'::jsonb || maintsched.recording_settings())::maintsched.action;
		end if;
		if (params -> 'capture') is distinct from 'false' then
			return next (r.repository, format('select maintsched.capture_expectations(%L)', r.repository),
				case when r.archive then 'what the restored backup is compared with'
					else 'what backups before and after now are compared with' end,
				null::bigint, 10::numeric,
				'{"statement_timeout": "2 h", "lock_timeout": "5s"}'::jsonb || maintsched.recording_settings())::maintsched.action;
			if r.archive then
				return next (r.repository, format('call maintsched.await_archive(%L)', r.repository),
					'recovery to what was captured needs its WAL from the archive', null::bigint, 10::numeric,
					'{"statement_timeout": "0"}'::jsonb || maintsched.recording_settings())::maintsched.action;
			end if;
		end if;
		return next (r.repository,
			format('call maintsched.drill(%L, backup => %L, within => %L, options => %L)',
				r.repository, backup, params ->> 'within', options),
			format('%s is restored, started, checked and removed', case backup
				when 'latest' then 'the latest backup'
				when 'random' then 'a backup' || coalesce(format(' of the last %s', params ->> 'within'), '')
				else format('backup %s', backup) end),
			null::bigint, maintsched.drill_estimate(r.repository),
			'{"statement_timeout": "0"}'::jsonb || maintsched.recording_settings())::maintsched.action;
	end loop;
end
$$;

comment on function maintsched.plan_restore_drill(jsonb) is
'Plan of routine restore_drill: the repository is read, what is expected is captured (capture_expectations()) and its WAL awaited in the archive, and a backup is drilled. params: repository (each that is read from here, the one that was drilled longest ago first), backup (latest; random, or a label), within (latest and random: of the backups that ended no longer ago), capture (true), deadline of the drill, amcheck (true; false: tables and indexes of the copy are not checked, and so level 10 is not proven). Errors: no_data_found (P0002) without a repository, or where a label is named and none of several repositories, undefined_object (42704), invalid_parameter_value (22023).';

insert into maintsched.routine (name, plan, description, defaults, change_class, built_in) values
	('restore_drill', 'maintsched.plan_restore_drill', 'Restores a backup into a server of its own, checks what is in it, and removes it.',
		'{}', 'none', true);
