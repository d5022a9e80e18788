--
-- 66_backup_watch: the log of verifications, what view health says of backups,
-- and who is told
--

create index backup_check_failed on maintsched.backup_check (clock_at) where result = 'fail';

create index backup_check_time on maintsched.backup_check (clock_at);

create index backup_reading_failed on maintsched.backup_reading (clock_at) where not ok;

create index drill_result_failed on maintsched.drill_result (clock_at) where verdict <> 'pass';

do $$
declare
	fact text;
begin
	foreach fact in array array['repository_change', 'backup_reading', 'backup_record', 'backup_check',
		'drill', 'drill_step', 'drill_result', 'expectation']
	loop
		execute format('create index %I on maintsched.%I (recorded_at) where simulated', fact || '_simulated', fact);
	end loop;
end
$$;

create view maintsched.backup_log as
select c.clock_at as checked_at, c.repository, c.label, c.level, l.name as check_name, c.result,
	array_to_string(c.problems, '; ') as problems,
	c.recorded_by as checked_by, t.calendar, t.name as task, c.run_id, c.drill_id, c.seconds, c.facts, c.simulated
from maintsched.backup_check c
left join maintsched.backup_levels() l on l.level = c.level
left join maintsched.run r on r.run_id = c.run_id
left join maintsched.task t on t.task_id = r.task_id
where c.clock_at <= maintsched.clock()
order by c.check_id;

comment on view maintsched.backup_log is 'The log of verifications: every check of every backup, in the order in which they were made. As a file: copy (select * from maintsched.backup_log) to ''/path'' (format csv, header).';
comment on column maintsched.backup_log.checked_at is 'When it was checked.';
comment on column maintsched.backup_log.repository is 'The repository.';
comment on column maintsched.backup_log.label is 'The backup.';
comment on column maintsched.backup_log.level is 'The level of the ladder, 0 to 12.';
comment on column maintsched.backup_log.check_name is 'What was checked: the name of the level, see backup_levels().';
comment on column maintsched.backup_log.result is 'pass, fail, not_applicable or not_checked.';
comment on column maintsched.backup_log.problems is 'What was wrong, or why it was not checked or does not apply; empty: nothing.';
comment on column maintsched.backup_log.checked_by is 'Who had it checked: the session user.';
comment on column maintsched.backup_log.calendar is 'The calendar of the task for which it was checked; NULL: none.';
comment on column maintsched.backup_log.task is 'That task.';
comment on column maintsched.backup_log.run_id is 'The run in which it was checked; NULL: somebody called it.';
comment on column maintsched.backup_log.drill_id is 'The restore drill that it is of; NULL: none.';
comment on column maintsched.backup_log.seconds is 'How long it took; NULL: it was not measured.';
comment on column maintsched.backup_log.facts is 'What was found and compared: figures.';
comment on column maintsched.backup_log.simulated is 'True when made under maintsched.now.';

create function maintsched.backup_health()
returns table (item text, status text, value text, detail text, hint text)
language plpgsql stable security definer rows 2
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
	b record;
	r record;
begin
	-- of older backups only what is wrong counts
	select count(*) filter (where s.verdict = 'CRIT') as critical,
		count(*) filter (where s.verdict = 'UNKNOWN' and s.newest) as unknown,
		count(*) filter (where s.verdict = 'WARN') as warn,
		count(*) filter (where s.newest) as newest,
		min(s.level) filter (where s.newest) as level,
		array_agg(s.repository || coalesce('/' || s.label, '') order by s.newest desc, s.repository, s.finished_at desc)
			filter (where s.verdict = 'CRIT') as critical_names,
		array_agg(distinct s.repository) filter (where s.verdict = 'UNKNOWN' and s.newest) as unknown_names,
		array_agg(distinct s.repository) filter (where s.verdict = 'WARN') as warn_names
	into b
	from maintsched.backup_standing() s;
	select count(*) as repositories, count(*) filter (where p.problem is not null) as unread,
		array_agg(x.name order by x.name) filter (where p.problem is not null) as names
	into r
	from maintsched.repository x
	cross join lateral (select maintsched.reading_problem(x.name) as problem) p;
	return query select 'backups',
		case when b.critical > 0 then 'CRIT' when r.repositories = 0 or b.unknown > 0 or b.newest = 0 then 'UNKNOWN'
			when b.warn > 0 then 'WARN' else 'OK' end,
		case when b.critical > 0 then b.critical::text else b.level::text end,
		case
			when r.repositories = 0 then 'no repository of backups is known'
			when b.critical > 0 then 'something is wrong with ' || maintsched.list_text(b.critical_names)
			when b.newest = 0 then 'no backup is known that could be used'
			when b.unknown > 0 then 'it is not known how the newest backup is: ' || maintsched.list_text(b.unknown_names)
			when b.warn > 0 then 'no backup was verified or restored in time: ' || maintsched.list_text(b.warn_names)
			else format('the newest backup of every repository is proven up to level %s or above', b.level)
		end,
		case
			when r.repositories = 0 then 'select maintsched.add_repository(name, kind, location);'
			when b.critical > 0 or b.newest = 0 or b.unknown > 0 then 'The view backup_status says what; to check again: call maintsched.verify_repository();'
			when b.warn > 0 then 'The view backup_status says what; routines backup_verify and restore_drill do it.'
		end;
	return query select 'repositories',
		case when r.repositories = 0 or r.unread > 0 then 'UNKNOWN' else 'OK' end, r.unread::text,
		case
			when r.repositories = 0 then 'no repository of backups is known'
			when r.unread > 0 then 'not read in time, or not readable: ' || maintsched.list_text(r.names)
			else 'every repository was read in time'
		end,
		case
			when r.repositories = 0 then 'select maintsched.add_repository(name, kind, location);'
			when r.unread > 0 then 'To see why: select maintsched.read_repository(name); what is imported, import_backup_catalog() brings.'
		end;
end
$$;

comment on function maintsched.backup_health() is
'Internal: What view health says of backups (the worst verdict; of older ones only what is wrong) and of their repositories.';

create function maintsched.backup_event_at(since timestamptz) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
return least(
	(select c.clock_at from maintsched.backup_check c
	where c.result = 'fail' and c.clock_at > since and (maintsched.clock_simulated() or not c.simulated)
	order by c.clock_at limit 1),
	(select b.clock_at from maintsched.backup_reading b
	where not b.ok and b.clock_at > since and (maintsched.clock_simulated() or not b.simulated)
	order by b.clock_at limit 1),
	(select d.clock_at from maintsched.drill_result d
	where d.verdict <> 'pass' and d.clock_at > since and (maintsched.clock_simulated() or not d.simulated)
	order by d.clock_at limit 1));

comment on function maintsched.backup_event_at(timestamptz) is
'Internal: The first instant after since at which a check, a reading or a drill of backups failed.';

create function maintsched.tell_backups(since timestamptz) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	at constant timestamptz := maintsched.clock();
	mine constant boolean := maintsched.clock_simulated();
	e record;
	told bigint := 0;
begin
	-- what had failed before is known
	for e in
		select c.repository, max(c.clock_at) as at, count(*) as failures, count(distinct c.label) as backups, min(c.label) as label,
			(array_agg(format('%s, level %s (%s): %s.', c.label, c.level, l.name, c.problems[1]) order by c.check_id))[1:5] as words,
			max(c.run_id) as run_id
		from maintsched.backup_check c
		join maintsched.backup_levels() l on l.level = c.level
		where c.result = 'fail' and c.level <= 7
		and c.clock_at > since and c.clock_at <= at and (mine or not c.simulated)
		and not exists (
			select
			from (
				select p.result from maintsched.backup_check p
				where p.repository = c.repository and p.label = c.label and p.level = c.level
				and p.check_id < c.check_id and (mine or not p.simulated)
				order by p.check_id desc
				limit 1) p
			where p.result = 'fail')
		group by c.repository
		order by c.repository
	loop
		told := told + maintsched.put_notice('backup_failed', 'repository ' || e.repository, e.at, e.at, null, null,
			format('Backup check failed: %s%s', e.repository, case when e.backups = 1 then '/' || e.label else format(', %s backups', e.backups) end),
			concat_ws(' ', array_to_string(e.words, ' '),
				case when e.failures > 5 then format('%s more.', e.failures - 5) end, 'The view backup_status has all of it.'),
			run_id => e.run_id)::integer;
	end loop;
	for e in
		select b.repository, b.clock_at as at, b.message
		from maintsched.backup_reading b
		where not b.ok and b.clock_at > since and b.clock_at <= at and (mine or not b.simulated)
		and not exists (
			select
			from (
				select p.ok from maintsched.backup_reading p
				where p.repository = b.repository and p.reading_id < b.reading_id and (mine or not p.simulated)
				order by p.reading_id desc
				limit 1) p
			where not p.ok)
		order by b.reading_id
	loop
		told := told + maintsched.put_notice('repository_unread', 'repository ' || e.repository, e.at, e.at, null, null,
			format('Repository could not be read: %s', e.repository),
			format('%s. How its backups are is not known until it can be read again.', rtrim(coalesce(e.message, 'It is not known why'), '.')))::integer;
	end loop;
	for e in
		select d.drill_id, d.repository, d.label, d.run_id, x.clock_at as at, x.verdict, x.failed_step, x.message, x.removed
		from maintsched.drill_result x
		join maintsched.drill d using (drill_id)
		where x.verdict <> 'pass' and x.clock_at > since and x.clock_at <= at and (mine or not x.simulated)
		order by x.drill_id
	loop
		told := told + maintsched.put_notice('drill_failed', 'drill ' || e.drill_id, e.at, e.at, null, null,
			format('Restore drill %s: %s/%s', case e.verdict when 'fail' then 'failed' else e.verdict end, e.repository, e.label),
			concat_ws(' ', format('Drill %s did not pass%s.', e.drill_id, ' step "' || e.failed_step || '"'), rtrim(e.message, '.') || '.',
				case when not e.removed then 'What it had made is not all removed.' end,
				'The function drill_report() has all of it.'),
			run_id => e.run_id)::integer;
	end loop;
	return told;
end
$$;

comment on function maintsched.tell_backups(timestamptz) is
'Internal: Writes the notices of checks of backups up to level 7 that failed from since to clock(), and had not failed the time before, one for each repository; of repositories that could not be read any more; of drills that failed. Returns how many.';
