--
-- 66_backup_status: what is known of every backup, now
--
-- Levels 0 to 2 are judged anew whenever somebody looks: time passes, and a
-- reading may have failed.  Of the others the latest recorded check counts,
-- until it is too old: levels 3 to 6 after read_within, 7 after verify_within,
-- 8 to 12 after drill_within.  What is asked of the repository as a whole, the
-- newest backup that can be used answers for.
--

-- when a level was last passed, by whichever backup
create index backup_check_passed on maintsched.backup_check (repository, level, check_id) where result = 'pass';

create function maintsched.check_expires(repository maintsched.repository, level integer) returns interval
language sql immutable parallel safe
return case
	when level <= 6 then repository.read_within
	when level = 7 then repository.verify_within
	else repository.drill_within
end;

comment on function maintsched.check_expires(maintsched.repository, integer) is
'Internal: How long a check of a level counts; NULL: for ever.';

create function maintsched.latest_checks(repository text, label text)
returns table (level smallint, result text, problems text[], facts jsonb, checked_at timestamptz, check_id bigint)
language sql stable rows 13
set search_path = pg_catalog, pg_temp
as $$
	select l.level, c.result, c.problems, c.facts, c.clock_at, c.check_id
	from maintsched.backup_levels() l
	cross join lateral (
		select x.*
		from maintsched.backup_check x
		where x.repository = latest_checks.repository and x.label = latest_checks.label and x.level = l.level
		and x.clock_at <= maintsched.clock() and (maintsched.clock_simulated() or not x.simulated)
		order by x.check_id desc
		limit 1) c
$$;

comment on function maintsched.latest_checks(text, text) is 'Internal: The latest check of each level of a backup.';

create function maintsched.backup_climb(repository text, label text)
returns table (level smallint, name text, result text, problems text[], checked_at timestamptz, stops boolean)
language sql stable rows 13
set search_path = pg_catalog, pg_temp
as $$
	with live as (
		select 0 as level, j.result, j.problems from maintsched.judge_known(backup_climb.repository, backup_climb.label) j
		union all
		select 1, j.result, j.problems from maintsched.judge_completed(backup_climb.repository, backup_climb.label) j
		union all
		select 2, j.result, j.problems from maintsched.judge_recent(backup_climb.repository, backup_climb.label) j
	), at_level as (
		select l.level, l.name,
			case
				when v.level is not null then v.result
				when c.check_id is null then 'not_checked'
				-- what failed stays so until it is checked again
				when c.result <> 'fail' and c.checked_at < maintsched.clock() - maintsched.check_expires(r, l.level) then 'not_checked'
				else c.result
			end as result,
			case
				when v.level is not null then v.problems
				when c.check_id is null then array[format('level %s (%s) was never checked', l.level, l.name)]
				when c.result <> 'fail' and c.checked_at < maintsched.clock() - maintsched.check_expires(r, l.level)
					then array[format('level %s (%s) was last checked %s ago', l.level, l.name, maintsched.age_text(maintsched.clock() - c.checked_at))]
				else c.problems
			end as problems,
			case when v.level is not null then maintsched.clock() else c.checked_at end as checked_at
		from maintsched.backup_levels() l
		cross join maintsched.need_repository(backup_climb.repository) r
		left join live v on v.level = l.level
		left join maintsched.latest_checks(backup_climb.repository, backup_climb.label) c on c.level = l.level
	)
	select a.level, a.name, a.result, a.problems, a.checked_at,
		bool_or(a.result in ('fail', 'not_checked')) over (order by a.level)
	from at_level a
$$;

comment on function maintsched.backup_climb(text, text) is
'Internal: Each level of a backup as it counts now. stops: this level or one below it is not passed.';

create function maintsched.last_passed(repository text, level integer) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select c.clock_at
	from maintsched.backup_check c
	where c.repository = last_passed.repository and c.level = last_passed.level and c.result = 'pass'
	and c.clock_at <= maintsched.clock() and (maintsched.clock_simulated() or not c.simulated)
	order by c.check_id desc
	limit 1
$$;

comment on function maintsched.last_passed(text, integer) is
'Internal: When a backup of a repository, any of them, last passed a level; NULL: never.';

create function maintsched.repository_wants(repository text) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select array_remove(array[
		case
			when x.verified_at is null then 'no backup was ever verified file by file (level 7)'
			when x.verified_at < maintsched.clock() - r.verify_within
				then format('no backup was verified file by file (level 7) for %s', maintsched.age_text(maintsched.clock() - x.verified_at))
		end,
		case
			when x.drilled_at is null then 'no backup was ever restored in a drill (level 12)'
			when x.drilled_at < maintsched.clock() - r.drill_within
				then format('no backup was restored in a drill (level 12) for %s', maintsched.age_text(maintsched.clock() - x.drilled_at))
		end], null)
	from maintsched.need_repository(repository_wants.repository) r
	cross join lateral (
		select maintsched.last_passed(r.name, 7) as verified_at, maintsched.last_passed(r.name, 12) as drilled_at) x
$$;

comment on function maintsched.repository_wants(text) is
'Internal: What was not proven of any backup of a repository in time: verify_within, drill_within.';

create function maintsched.backup_standing()
returns table (repository text, kind text, label text, finished_at timestamptz, age_seconds bigint, size_bytes bigint,
	level smallint, level_name text, verdict text, verified_at timestamptz, newest boolean, state text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
	with present as materialized (
		select r.name as repository, r.kind, s.label, s.finished_at, s.size_bytes, s.state,
			s.label is not distinct from n.label as newest
		from maintsched.repository r
		cross join lateral maintsched.newest_usable(r.name) n
		left join lateral maintsched.backup_states(r.name) s on s.state <> 'removed'
	), climbed as materialized (
		select p.*, c.level, c.fails, c.unknown, c.verified_at
		from present p
		cross join lateral (
			select max(x.level) filter (where not x.stops) as level,
				bool_or(x.result = 'fail') as fails,
				-- file by file and by a restore, some are checked, now and then
				bool_or(x.result = 'not_checked' and x.level <= 6) as unknown,
				max(x.checked_at) filter (where x.level >= 3 and x.result = 'pass') as verified_at
			from maintsched.backup_climb(p.repository, p.label) x) c
		where p.label is not null
	)
	select c.repository, c.kind, c.label, c.finished_at,
		greatest(extract(epoch from maintsched.clock() - c.finished_at), 0)::bigint, c.size_bytes,
		c.level, l.name,
		case
			when c.fails then 'CRIT'
			when c.unknown then 'UNKNOWN'
			when c.newest and cardinality(maintsched.repository_wants(c.repository)) > 0 then 'WARN'
			else 'OK'
		end,
		c.verified_at, c.newest, c.state
	from climbed c
	left join maintsched.backup_levels() l on l.level = c.level
	union all
	-- none at all
	select p.repository, p.kind, null, null, null, null, null, null,
		case when maintsched.reading_problem(p.repository) is null then 'CRIT' else 'UNKNOWN' end, null, false, null
	from present p
	where p.label is null
$$;

comment on function maintsched.backup_standing() is
'Internal: The rows of backup_status, without what the tools said.';

create function maintsched.backup_problems(repository text, label text) returns text[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select case
		when backup_problems.label is null then array[coalesce(maintsched.reading_problem(backup_problems.repository),
			format('repository %s holds no backup', backup_problems.repository))]
		else coalesce((
			select array_agg(q.problem order by c.level, q.at)
			from maintsched.backup_climb(backup_problems.repository, backup_problems.label) c
			cross join lateral unnest(c.problems) with ordinality q(problem, at)
			where c.result = 'fail' or c.result = 'not_checked' and c.level <= 6), '{}')
			|| case when (maintsched.newest_usable(backup_problems.repository)).label = backup_problems.label
				then maintsched.repository_wants(backup_problems.repository) else '{}' end
		end
$$;

comment on function maintsched.backup_problems(text, text) is
'Internal: What is wrong with a backup, or missing, in words; label NULL: with a repository that has none.';

create view maintsched.backup_status as
select s.repository, s.kind, s.label, s.finished_at, s.age_seconds, s.size_bytes,
	s.level, s.level_name, s.verdict, maintsched.backup_problems(s.repository, s.label) as problems,
	s.verified_at, s.newest, s.state
from maintsched.backup_standing() s
order by s.repository, s.finished_at desc nulls first, s.label;

comment on view maintsched.backup_status is 'How far every backup is proven, as of now. The newest that can be used answers for its repository: that it is not too old, and that a backup of it was verified and restored in time.';
comment on column maintsched.backup_status.repository is 'The repository.';
comment on column maintsched.backup_status.kind is 'basebackup, pgbackrest or barman.';
comment on column maintsched.backup_status.label is 'The backup; NULL: the repository has none.';
comment on column maintsched.backup_status.finished_at is 'When it ended.';
comment on column maintsched.backup_status.age_seconds is 'How long ago that is.';
comment on column maintsched.backup_status.size_bytes is 'Size of the database that it holds.';
comment on column maintsched.backup_status.level is 'The highest level up to which everything was passed, or does not apply; NULL: not even 0.';
comment on column maintsched.backup_status.level_name is 'Its name: backup_levels().';
comment on column maintsched.backup_status.verdict is 'OK; WARN: no backup of its repository was verified or restored in time; CRIT: something is wrong; UNKNOWN: it was not read, or levels 0 to 6 were not all checked, in time.';
comment on column maintsched.backup_status.problems is 'What is wrong or missing, in words.';
comment on column maintsched.backup_status.verified_at is 'When a check of level 3 or above was last passed by it.';
comment on column maintsched.backup_status.newest is 'Whether it is the newest of its repository that can be used.';
comment on column maintsched.backup_status.state is 'done, running, waiting (for WAL) or failed, as its tool says.';
