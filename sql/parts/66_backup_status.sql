--
-- 66_backup_status: what is known of every backup, now
--
-- Levels 0 to 2 are judged anew whenever somebody looks: time passes, and a
-- reading may have failed.  Of the others the latest recorded check counts,
-- until it is too old: levels 3 to 6 after read_within (of older backups after
-- verify_within), 7 after verify_within, 8 to 12 after drill_within.  What is asked of the repository as a whole, the
-- newest backup that can be used answers for.
--

-- when a level was last passed, by whichever backup
create index backup_check_passed on maintsched.backup_check (repository, level, check_id) where result = 'pass';

create function maintsched.check_expires(repository maintsched.repository, level integer, newest boolean) returns interval
language sql immutable parallel safe
return case
	when level <= 6 and newest then repository.read_within
	when level <= 6 then greatest(repository.verify_within, repository.read_within)
	when level = 7 then repository.verify_within
	else repository.drill_within
end;

comment on function maintsched.check_expires(maintsched.repository, integer, boolean) is
'Internal: How long a check of a level counts, of the newest backup that can be used or another; NULL: for ever.';

create function maintsched.backup_climbs(repository text)
returns table (label text, level smallint, name text, result text, problems text[], checked_at timestamptz, stops boolean)
language sql stable rows 300
-- a day of an interval has 24 hours, whoever looks
set timezone = 'UTC'
set search_path = pg_catalog, pg_temp
as $$
	with live as materialized (
		select v.label, v.level, v.result, v.problems from maintsched.live_levels(backup_climbs.repository) v
	), stored as (
		select b.label, l.level, l.name, c.result, c.problems, c.checked_at,
			-- what failed stays so until it is checked again
			c.result <> 'fail' and c.checked_at < maintsched.clock() - maintsched.check_expires(r, l.level, b.newest) as expired,
			-- a name may be used again: for the backup of every night, or of every Monday
			c.result is not null and (not maintsched.same_backup(a, s, c.result)
				or c.result <> 'fail' and c.begun_at < maintsched.repository_since(r.name)) as other
		from (select v.label, v.result <> 'not_applicable' as newest from live v where v.level = 2) b
		join maintsched.backup_states(backup_climbs.repository) s on s.label = b.label
		cross join maintsched.backup_levels() l
		cross join maintsched.need_repository(backup_climbs.repository) r
		left join lateral (
			select x.result, x.problems, x.clock_at as checked_at, x.reading_id,
				coalesce((select d.clock_at from maintsched.drill d where d.drill_id = x.drill_id), x.clock_at) as begun_at
			from maintsched.backup_check x
			where x.repository = backup_climbs.repository and x.label = b.label and x.level = l.level
			and x.clock_at <= maintsched.clock() and (maintsched.clock_simulated() or not x.simulated)
			order by x.check_id desc
			limit 1) c on true
		left join lateral (
			-- as it was when it was checked
			select x.*
			from maintsched.backup_record x
			where x.repository = backup_climbs.repository and x.label = b.label
			and case when c.reading_id is not null then x.reading_id <= c.reading_id else x.clock_at <= c.begun_at end
			order by x.record_id desc
			limit 1) a on c.result is not null
		where l.level > 2
	), at_level as (
		select v.label, v.level, l.name, v.result, v.problems, maintsched.clock() as checked_at
		from live v
		join maintsched.backup_levels() l on l.level = v.level
		union all
		select s.label, s.level, s.name,
			case when s.result is null or s.other or s.expired then 'not_checked' else s.result end,
			case
				when s.other then array[format('level %s (%s) was never checked: what was checked was another backup of this name, or elsewhere',
					s.level, s.name)]
				when s.result is null then array[format('level %s (%s) was never checked', s.level, s.name)]
				when s.expired then array[format('level %s (%s) was last checked %s ago', s.level, s.name,
					maintsched.age_text(maintsched.clock() - s.checked_at))]
				else s.problems
			end, s.checked_at
		from stored s
	)
	select a.label, a.level, a.name, a.result, a.problems, a.checked_at,
		bool_or(a.result in ('fail', 'not_checked')) over (partition by a.label order by a.level)
	from at_level a
$$;

comment on function maintsched.backup_climbs(text) is
'Internal: Each level of each backup that a repository has, as it counts now. stops: this level or one below it is not passed.';

create function maintsched.last_passed(repository text, level integer) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select c.clock_at
	from maintsched.backup_check c
	where c.repository = last_passed.repository and c.level = last_passed.level and c.result = 'pass'
	-- elsewhere, others
	and c.clock_at >= coalesce(maintsched.repository_since(c.repository), '-infinity')
	and (c.level < 8 or c.drill_id is null)
	and c.clock_at <= maintsched.clock() and (maintsched.clock_simulated() or not c.simulated)
	order by c.check_id desc
	limit 1
$$;

comment on function maintsched.last_passed(text, integer) is
'Internal: When a backup of a repository, any of them, last passed a level, outside of drills; NULL: never.';

create function maintsched.last_drilled(repository text) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select x.at
	from (
		-- one that left something unchecked did not pass, however fast it was; and where
		-- neither RTO nor RPO is set, level 12 does not apply
		(select d.clock_at as at
		from maintsched.drill d
		join maintsched.drill_result p on p.drill_id = d.drill_id and p.verdict = 'pass'
		where d.repository = last_drilled.repository
		and d.clock_at >= coalesce(maintsched.repository_since(d.repository), '-infinity')
		and p.clock_at <= maintsched.clock() and (maintsched.clock_simulated() or not d.simulated)
		order by d.drill_id desc
		limit 1)
		union all
		select maintsched.last_passed(last_drilled.repository, 12)) x
	order by x.at desc nulls last
	limit 1
$$;

comment on function maintsched.last_drilled(text) is
'Internal: When the last restore drill of a repository that passed was begun; NULL: none did.';

create function maintsched.repository_wants(repository text) returns text[]
language sql stable
-- a day of an interval has 24 hours, whoever looks
set timezone = 'UTC'
set search_path = pg_catalog, pg_temp
as $$
	select array_remove(array[
		case
			when x.verified_at is null then concat_ws(': ', 'no backup has passed a verification of its files (level 7)', x.unverified)
			when x.verified_at < maintsched.clock() - r.verify_within
				then format('no backup was verified file by file (level 7) for %s', maintsched.age_text(maintsched.clock() - x.verified_at))
		end,
		case
			when x.drilled_at is null then concat_ws(': ', 'no backup has passed a restore drill (level 12)', x.undrilled)
			when x.drilled_at < maintsched.clock() - r.drill_within
				then format('no backup was restored in a drill (level 12) for %s', maintsched.age_text(maintsched.clock() - x.drilled_at))
		end], null)
	from maintsched.need_repository(repository_wants.repository) r
	cross join lateral (
		select maintsched.last_passed(r.name, 7) as verified_at, maintsched.last_drilled(r.name) as drilled_at, (
			select c.problems[1]
			from maintsched.backup_check c
			where c.repository = r.name and c.level = 7 and c.result = 'not_checked' and c.clock_at <= maintsched.clock()
			-- the newest backup is what it is about
			order by c.label is not distinct from (maintsched.newest_usable(r.name)).label desc, c.check_id desc
			limit 1) as unverified, (
			select format('drill %s was %s', d.drill_id, case p.verdict when 'fail' then 'one that failed' else p.verdict end)
			from maintsched.drill d
			join maintsched.drill_result p on p.drill_id = d.drill_id
			where d.repository = r.name and p.clock_at <= maintsched.clock()
			order by d.drill_id desc
			limit 1) as undrilled) x
$$;

comment on function maintsched.repository_wants(text) is
'Internal: What was not proven of any backup of a repository in time: verify_within, drill_within.';

create function maintsched.backup_standing()
returns table (repository text, kind text, label text, finished_at timestamptz, age_seconds bigint, size_bytes bigint,
	level smallint, level_name text, verdict text, problems text[], verified_at timestamptz, newest boolean, state text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
	with climb as materialized (
		select r.name as repository, c.*
		from maintsched.repository r
		cross join lateral maintsched.backup_climbs(r.name) c
	), climbed as materialized (
		select c.repository, c.label, max(c.level) filter (where not c.stops) as level,
			bool_or(c.result = 'fail') as fails,
			-- file by file and by a restore, some are checked, now and then
			bool_or(c.result = 'not_checked' and c.level <= 6) as unknown,
			max(c.checked_at) filter (where c.level >= 3 and c.result = 'pass') as verified_at
		from climb c
		group by 1, 2
	), said as (
		select c.repository, c.label, array_agg(q.problem order by c.level, q.at) as problems
		from climb c
		cross join lateral unnest(c.problems) with ordinality q(problem, at)
		where c.result = 'fail' or c.result = 'not_checked' and c.level <= 6
		group by 1, 2
	), present as materialized (
		select r.name as repository, r.kind, (g.b).label, (g.b).finished_at, (g.b).size_bytes, (g.b).state, g.newest,
			case when g.newest then maintsched.repository_wants(r.name) else '{}' end as wants
		from maintsched.repository r
		left join lateral maintsched.backup_ground(r.name) g on true
	), words as materialized (
		-- what tools said is not for pg_monitor
		select has_column_privilege(maintsched.acting_role(), 'maintsched.backup_status', 'problems', 'select') as shown
	)
	select p.repository, p.kind, p.label, p.finished_at,
		case when p.finished_at is not null then greatest(extract(epoch from maintsched.clock() - p.finished_at), 0)::bigint end, p.size_bytes,
		c.level, l.name,
		case
			when p.label is null then case when u.problem is null then 'CRIT' else 'UNKNOWN' end
			when c.fails then 'CRIT'
			when c.unknown then 'UNKNOWN'
			when cardinality(p.wants) > 0 then 'WARN'
			else 'OK'
		end,
		case
			when not w.shown then null
			when p.label is null then array[coalesce(u.problem, format('repository %s holds no backup', p.repository))]
			else coalesce(d.problems, '{}') || p.wants
		end,
		c.verified_at, p.newest, p.state
	from present p
	cross join words w
	left join climbed c on c.repository = p.repository and c.label = p.label
	left join said d on d.repository = p.repository and d.label = p.label
	left join maintsched.backup_levels() l on l.level = c.level
	left join lateral (select maintsched.reading_problem(p.repository) as problem where p.label is null) u on true
$$;

comment on function maintsched.backup_standing() is
'Internal: The rows of backup_status; problems are NULL for roles that may not read them there.';

create view maintsched.backup_status as
select s.repository, s.kind, s.label, s.finished_at, s.age_seconds, s.size_bytes,
	s.level, s.level_name, s.verdict, s.problems, s.verified_at, s.newest, s.state
from maintsched.backup_standing() s
order by s.repository, s.finished_at desc nulls first, s.label;

comment on view maintsched.backup_status is 'How far every backup is proven, as of now. The newest that can be used answers for its repository: that it is not too old, and that a backup of it was verified and restored in time.';
comment on column maintsched.backup_status.repository is 'The repository.';
comment on column maintsched.backup_status.kind is 'basebackup, pgbackrest or barman.';
comment on column maintsched.backup_status.label is 'The backup; NULL: the repository has none.';
comment on column maintsched.backup_status.finished_at is 'When it ended.';
comment on column maintsched.backup_status.age_seconds is 'How long ago that is; NULL: there is no backup, or it is not known when it ended.';
comment on column maintsched.backup_status.size_bytes is 'Size of the database that it holds.';
comment on column maintsched.backup_status.level is 'The highest level up to which everything was passed, or does not apply; NULL: not even 0.';
comment on column maintsched.backup_status.level_name is 'Its name: backup_levels().';
comment on column maintsched.backup_status.verdict is 'OK; WARN: no backup of its repository was verified or restored in time; CRIT: something is wrong; UNKNOWN: it was not read, or levels 0 to 6 were not all checked, in time.';
comment on column maintsched.backup_status.problems is 'What is wrong or missing, in words.';
comment on column maintsched.backup_status.verified_at is 'When a check of level 3 or above was last passed by it.';
comment on column maintsched.backup_status.newest is 'Whether it is the newest of its repository that can be used.';
comment on column maintsched.backup_status.state is 'done, running, waiting (for WAL) or failed, as its tool says.';
