--
-- 62_ladder: how far a backup is proven
--
-- A backup climbs a ladder of levels, 0 to 12.  This fragment judges levels 0
-- to 4 by what was read of the repository; 62_wal.sql levels 5 and 6, by the
-- archive and this server.  judge_backup() says how things are, record_check()
-- records it.  Level 7 is verify_repository()'s, 8 to 12 are drill()'s.
--

create function maintsched.backup_levels()
returns table (level smallint, name text, description text)
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	values
		(0::smallint, 'known', 'The repository was read in time, and the backup was there.'),
		(1::smallint, 'completed', 'It ended without an error, and so did every backup that a restore of it needs.'),
		(2::smallint, 'recent', 'It is the newest that can be used, and not older than max_age.'),
		(3::smallint, 'size consistent', 'Its size is like that of the backups of its kind before it.'),
		(4::smallint, 'stored as expected', 'It is there and lies where it should, encrypted if it must be, and there are enough of them.'),
		(5::smallint, 'archive keeps up', 'It is of this cluster and its history, and what the archive lacks is within the RPO.'),
		(6::smallint, 'WAL continuous', 'Every WAL file from its start to the end of the archive is there.'),
		(7::smallint, 'checksums match', 'Every file of it was read and matches its checksum, and so does the WAL that it needs.'),
		(8::smallint, 'restored', 'It was restored.'),
		(9::smallint, 'started', 'A server started on the restored copy, became consistent and was promoted.'),
		(10::smallint, 'intact', 'amcheck and page checksums found nothing wrong in the copy.'),
		(11::smallint, 'expectations hold', 'What was counted beforehand was found in the copy, and the sample queries answered as expected.'),
		(12::smallint, 'within RTO and RPO', 'The restore took no longer, and lost no more, than is allowed.')
$$;

comment on function maintsched.backup_levels() is
'The levels of the ladder that a backup climbs, from the weakest to the strongest proof.';

create function maintsched.utc_text(at timestamptz) returns text
language sql immutable parallel safe
return to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"');

comment on function maintsched.utc_text(timestamptz) is 'Internal: An instant for people, where there is no zone of their own.';

create function maintsched.record_check(
	repository text, label text, level integer, result text, problems text[] default '{}', facts jsonb default null,
	seconds numeric default null, reading_id bigint default null, drill_id bigint default null, run_id bigint default null)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
	insert into maintsched.backup_check (repository, label, level, result, problems, facts, seconds, reading_id, drill_id, run_id)
	values (record_check.repository, record_check.label, record_check.level, record_check.result,
		coalesce(record_check.problems, '{}'), record_check.facts, round(record_check.seconds, 3),
		record_check.reading_id, record_check.drill_id, record_check.run_id)
$$;

comment on function maintsched.record_check(text, text, integer, text, text[], jsonb, numeric, bigint, bigint, bigint) is
'Internal: Records what a check of a backup found at a level: pass, fail, not_applicable or not_checked, the last three with at least one problem in words. Errors: check_violation (23514).';

create function maintsched.backup_states(repository text) returns setof maintsched.backup_record
language sql stable rows 20
set search_path = pg_catalog, pg_temp
as $$
	select distinct on (r.label) r.*
	from maintsched.backup_record r
	where r.repository = backup_states.repository
	and r.clock_at <= maintsched.clock() and (maintsched.clock_simulated() or not r.simulated)
	order by r.label, r.record_id desc
$$;

comment on function maintsched.backup_states(text) is
'Internal: The latest record of each backup that a repository has or had; state is removed where it is not there any more.';

create function maintsched.latest_reading(repository text) returns maintsched.backup_reading
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select r.*
	from maintsched.backup_reading r
	where r.repository = latest_reading.repository
	and r.clock_at <= maintsched.clock() and (maintsched.clock_simulated() or not r.simulated)
	order by r.reading_id desc
	limit 1
$$;

comment on function maintsched.latest_reading(text) is 'Internal: The latest reading of a repository, whether it could be read or not; NULL: there was none.';

create function maintsched.repository_since(repository text) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select max(c.clock_at)
	from maintsched.repository_change c
	where c.repository = repository_since.repository and c.field in ('added', 'kind', 'location', 'config', 'archive', 'system_identifier')
	and c.clock_at <= maintsched.clock() and (maintsched.clock_simulated() or not c.simulated)
$$;

comment on function maintsched.repository_since(text) is
'Internal: Since when a repository is where it is: what was read and checked under its name before is of another place.';

create function maintsched.same_backup(a maintsched.backup_record, b maintsched.backup_record, result text) returns boolean
language sql immutable parallel safe
return case result
	-- what is known to be broken stays so until it is known to be another one
	when 'fail' then coalesce(a.start_lsn = b.start_lsn, true) and coalesce(a.system_identifier = b.system_identifier, true)
	else (a.start_lsn, a.end_lsn, a.system_identifier, a.started_at, a.finished_at, a.size_bytes, a.location)
		is not distinct from (b.start_lsn, b.end_lsn, b.system_identifier, b.started_at, b.finished_at, b.size_bytes, b.location)
end;

comment on function maintsched.same_backup(maintsched.backup_record, maintsched.backup_record, text) is
'Internal: Whether what a check of a backup found (its result) holds of what now lies under the backup''s name.';

create function maintsched.reading_problem(repository text) returns text
language plpgsql stable
-- a day of an interval has 24 hours, whoever looks
set timezone = 'UTC'
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r constant maintsched.repository := maintsched.need_repository(repository);
	x constant maintsched.backup_reading := maintsched.latest_reading(repository);
begin
	return case
		when x.reading_id is null then format('repository %s was never read', r.name)
		when not x.ok then format('repository %s could not be read at %s: %s', r.name, maintsched.utc_text(x.clock_at),
			coalesce(x.message, x.sqlstate, 'it is not known why'))
		when x.clock_at < maintsched.repository_since(r.name) then format('repository %s was set up anew at %s, and not read since',
			r.name, maintsched.utc_text(maintsched.repository_since(r.name)))
		when x.clock_at < maintsched.clock() - r.read_within then format('repository %s was read last at %s, %s ago',
			r.name, maintsched.utc_text(x.clock_at), maintsched.age_text(maintsched.clock() - x.clock_at))
	end;
end
$$;

comment on function maintsched.reading_problem(text) is
'Internal: Why it is not known what a repository holds: it was never read, could not be, or not within read_within; NULL: it is known.';

create function maintsched.unread_parts(x maintsched.backup_reading)
returns table (value jsonb, ordinality bigint)
language sql stable rows 1
begin atomic
	select e.value, e.ordinality
	from jsonb_array_elements(case jsonb_typeof(x.facts -> 'repositories') when 'array' then x.facts -> 'repositories' else '[]' end) with ordinality e
	where (e.value -> 'code')::integer not in (0, 2, 5);
end;

comment on function maintsched.unread_parts(maintsched.backup_reading) is
'Internal: The repositories of a stanza of pgBackRest that could not be read though others were.';

create function maintsched.unread_problem(x maintsched.backup_reading, b maintsched.backup_record) returns text
language sql stable
return (
	select format('repository %s of the stanza, in which backup %s was, could not be read at %s: %s', e.value ->> 'key', b.label,
		maintsched.utc_text(x.clock_at), coalesce(split_part(e.value ->> 'message', ' HINT: ', 1), 'it is not known why'))
	from maintsched.unread_parts(x) e
	where e.value ->> 'key' = b.details ->> 'repository'
	limit 1);

comment on function maintsched.unread_problem(maintsched.backup_reading, maintsched.backup_record) is
'Internal: Why it is not known whether a backup is still there though its repository was read: pgBackRest has several in one, and that of the backup could not be; NULL: it is known.';

create function maintsched.backup_defects(repository text)
returns table (label text, problem text, pending boolean)
language sql stable
-- compiling it takes longer than it does
set jit = off
-- a day of an interval has 24 hours, whoever looks
set timezone = 'UTC'
set search_path = pg_catalog, pg_temp
as $$
	with recursive present as materialized (
		select s.*
		from maintsched.backup_states(backup_defects.repository) s
		where s.state <> 'removed'
	), own as materialized (
		select p.label, (p.state = 'waiting' or p.state = 'running' and p.problem is null)
				-- where it is not known when it began, since it was first seen like that
				and coalesce(p.started_at, p.clock_at) >= maintsched.clock() - r.max_age as pending,
			case
				when p.state = 'failed' then 'failed' || coalesce(': ' || p.problem, '')
				when p.state = 'running' then 'is not ended' || coalesce(', and was begun ' || maintsched.age_text(maintsched.clock() - p.started_at) || ' ago',
						', and was first seen ' || maintsched.age_text(maintsched.clock() - p.clock_at) || ' ago')
					|| coalesce(': ' || p.problem, '')
				when p.state = 'waiting' then 'waits for WAL' || coalesce(', up to ' || p.end_wal, '')
					|| coalesce(', since ' || maintsched.utc_text(coalesce(p.finished_at, p.started_at)), '')
				when p.problem is not null then 'has an error: ' || p.problem
			end as problem
		from present p
		cross join maintsched.need_repository(backup_defects.repository) r
	), need (label, other) as (
		select p.label, n.other
		from present p
		cross join lateral unnest(p.depends_on || p.prior) n(other)
		where n.other is not null
		union
		select d.label, n.other
		from need d
		join present p on p.label = d.other
		cross join lateral unnest(p.depends_on || p.prior) n(other)
		where n.other is not null
	)
	select o.label, format('backup %s %s', o.label, o.problem), o.pending
	from own o
	where o.problem is not null
	union all
	select d.label,
		case
			when d.other = d.label then format('backup %s builds on itself', d.label)
			when o.label is null then format('backup %s, which %s builds on, is not there', d.other, d.label)
			else format('backup %s, which %s builds on, %s', d.other, d.label, o.problem)
		end, false
	from need d
	left join own o on o.label = d.other
	where d.other = d.label or o.label is null or o.problem is not null
	union all
	-- a chain begins with a full backup
	select p.label, format('backup %s is %s, and it is not known what it builds on', p.label,
			case p.type when 'diff' then 'a differential one' else 'an incremental one' end), false
	from present p
	where p.type <> 'full' and p.prior is null and cardinality(p.depends_on) = 0
$$;

comment on function maintsched.backup_defects(text) is
'Internal: What is wrong with backups that are there: they failed, are not ended, or one that they build on is not there or not in order. pending: it may yet be.';

create function maintsched.backup_ground(repository text)
returns table (b maintsched.backup_record, defects text[], pending boolean, newest boolean)
language sql stable rows 20
set search_path = pg_catalog, pg_temp
as $$
	with defect as materialized (
		select d.label, array_agg(d.problem) as problems, bool_and(d.pending) as pending
		from maintsched.backup_defects(backup_ground.repository) d
		group by d.label
	), present as (
		select s.label, s.record_id, s as b, coalesce(d.problems, '{}') as problems, coalesce(d.pending, false) as pending, s.finished_at,
			s.state = 'done' and d.label is null and s.finished_at <= maintsched.clock() + interval '5 minutes' as usable
		from maintsched.backup_states(backup_ground.repository) s
		left join defect d on d.label = s.label
		where s.state <> 'removed'
	)
	select p.b, p.problems, p.pending,
		coalesce(p.usable, false) and row_number() over (order by p.usable desc nulls last, p.finished_at desc,
			-- a time may be of whole seconds
			(p.b).start_lsn desc nulls last, p.record_id desc) = 1
	from present p
$$;

comment on function maintsched.backup_ground(text) is
'Internal: The backups that a repository has, each with what backup_defects() says; newest: it is the newest that is completed, with all that it builds on.';

create function maintsched.newest_usable(repository text) returns maintsched.backup_record
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select (g.b).* from maintsched.backup_ground(newest_usable.repository) g where g.newest
$$;

comment on function maintsched.newest_usable(text) is
'Internal: The newest backup that is completed, with all that it builds on; NULL: there is none.';

create function maintsched.judge_completed(b maintsched.backup_record, defects text[], pending boolean,
	out result text, out problems text[], out facts jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
	problems := defects;
	if b.state = 'done' and b.finished_at is null then
		problems := problems || format('it is not known when backup %s ended', b.label);
	elsif b.finished_at > maintsched.clock() + interval '5 minutes' then
		problems := problems || format('backup %s is to have ended at %s, which is not yet: a clock is wrong', b.label, maintsched.utc_text(b.finished_at));
	elsif b.finished_at < b.started_at then
		problems := problems || format('backup %s is to have ended before it began', b.label);
	end if;
	result := case when cardinality(problems) = 0 then 'pass' when pending then 'not_checked' else 'fail' end;
	facts := jsonb_build_object('state', b.state, 'type', b.type, 'started_at', b.started_at, 'finished_at', b.finished_at,
		'depends_on', to_jsonb(b.depends_on));
end
$$;

comment on function maintsched.judge_completed(maintsched.backup_record, text[], boolean) is
'Internal: Level 1 of a backup, as of now, by its row of backup_ground().';

create function maintsched.judge_recent(r maintsched.repository, b maintsched.backup_record, newest maintsched.backup_record,
	out result text, out problems text[], out facts jsonb)
language plpgsql stable
-- a day of an interval has 24 hours, whoever looks
set timezone = 'UTC'
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	-- greatest() passes over NULL
	age constant interval := case when b.finished_at is not null then greatest(maintsched.clock() - b.finished_at, interval '0') end;
begin
	facts := jsonb_build_object('finished_at', b.finished_at, 'age_seconds', extract(epoch from age)::bigint,
		'max_age_seconds', extract(epoch from r.max_age)::bigint, 'newest', newest.label);
	problems := '{}';
	result := 'pass';
	if newest.label is distinct from b.label then
		result := 'not_applicable';
		problems := array[case
			when newest.label is null then format('backup %s cannot be used', b.label)
			when (b.finished_at, coalesce(b.start_lsn, '0/0'), b.record_id) < (newest.finished_at, coalesce(newest.start_lsn, '0/0'), newest.record_id) then format('there is a newer one: %s', newest.label)
			else format('backup %s cannot be used; the newest that can is %s', b.label, newest.label) end];
	elsif b.finished_at < maintsched.clock() - r.max_age then
		result := 'fail';
		problems := array[format('the newest backup that can be used, %s, ended %s ago; it may be %s old',
			b.label, maintsched.age_text(age), maintsched.age_text(r.max_age))];
	end if;
end
$$;

comment on function maintsched.judge_recent(maintsched.repository, maintsched.backup_record, maintsched.backup_record) is
'Internal: Level 2 of a backup, as of now. Its age counts from when it ended.';

create function maintsched.live_levels(repository text)
returns table (label text, level smallint, result text, problems text[], facts jsonb)
language sql stable rows 60
set search_path = pg_catalog, pg_temp
as $$
	with ground as materialized (
		select g.b, g.defects, g.pending, g.newest from maintsched.backup_ground(live_levels.repository) g
	), reading as materialized (
		select r as r, maintsched.reading_problem(r.name) as problem, maintsched.latest_reading(r.name) as x,
			(select g.b from ground g where g.newest) as newest
		from maintsched.need_repository(live_levels.repository) r
	)
	select (g.b).label, j.level, j.result, j.problems, j.facts
	from ground g
	cross join reading a
	cross join lateral (select maintsched.unread_problem(a.x, g.b) as problem) u
	cross join lateral (
		select 0::smallint as level, case when a.problem is null and u.problem is null then 'pass' else 'not_checked' end as result,
			array_remove(array[a.problem, case when a.problem is null then u.problem end], null) as problems,
			jsonb_build_object('read_at', (a.x).clock_at, 'source', (a.x).source) as facts
		union all
		select 1::smallint, c.* from maintsched.judge_completed(g.b, g.defects, g.pending) c
		union all
		-- there may be a newer one
		select 2::smallint, case when a.problem is not null and c.result = 'fail' then 'not_checked' else c.result end,
			c.problems, c.facts
		from maintsched.judge_recent(a.r, g.b, a.newest) c) j
$$;

comment on function maintsched.live_levels(text) is
'Internal: Levels 0 to 2 of the backups that a repository has, as of now.';
