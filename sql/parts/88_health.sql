--
-- 88_health: the view health
--
-- What maintsched says of itself (own_health) at clock(), and what 84 to 87 say
-- of server and database, in one list.  Items that are not to be judged stay
-- in it, and say so.
--

create function maintsched.run_health()
returns table (item text, status text, value text, detail text, hint text)
language plpgsql stable security definer rows 4
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	at constant timestamptz := maintsched.clock();
	automated constant boolean := exists (
		select from maintsched.task t join maintsched.routine k on k.name = t.routine
		where t.enabled and t.retired_at is null);
	launcher constant text := maintsched.launcher_state();
	idle constant boolean := launcher = 'running' and current_setting('maintsched.max_workers')::integer = 0;
	version constant text := (
		select e.extversion from pg_extension e where e.extname = 'maintsched');
begin
	return query
	select 'launcher',
		case when launcher = 'running' and not idle or not automated then 'OK' else 'WARN' end,
		launcher,
		case when idle then 'maintsched.max_workers is 0: nothing starts by itself, and runs stay queued'
			when launcher = 'running' then 'what is due starts by itself'
			when automated then 'what is due starts when tick() is called'
			else 'no task is automated' end,
		case when idle and automated then 'alter system set maintsched.max_workers = 4; select pg_reload_conf();'
			when launcher <> 'running' and automated
			then 'Preload the library and set maintsched.launcher, or let pg_cron call tick(): select maintsched.enable_pg_cron();' end;
	return query
	select 'library',
		case when version = maintsched.library_version() then 'OK' else 'CRIT' end,
		maintsched.library_version(),
		case when version = maintsched.library_version() then 'library and extension have the same version'
			else format('the extension is of version %s: nothing runs in the background', version) end,
		case when version <> maintsched.library_version()
			then 'ALTER EXTENSION maintsched UPDATE; where the library is the older one, install it and restart the server.' end;
	return query
	select 'runs',
		case when late.runs > 0 then 'WARN' when bad.runs > 0 then 'WARN' else 'OK' end,
		case when late.runs > 0 then late.runs else bad.runs end::text,
		case
			when late.runs > 0 then format('%s for a worker since %s', case late.runs when 1 then '1 run waits' else late.runs || ' runs wait' end,
				to_char(late.since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
			when bad.runs > 0 then format('%s failed in the last 24 hours, and none like it succeeded since: %s',
				case bad.runs when 1 then '1 run' else bad.runs || ' runs' end, maintsched.list_text(bad.names))
			when bad.mended > 0 then 'no run waits; for what failed in the last 24 hours a run succeeded since'
			else 'no run waits, none failed in the last 24 hours'
		end,
		case
			when late.runs > 0 then 'max_worker_processes, maintsched.max_workers and the server log say why.'
			when bad.runs > 0 then 'The views run_history and run_actions say why.'
		end
	from (
		select count(*) as runs, min(r.not_before) as since
		from maintsched.run r
		where r.state = 'queued' and r.not_before <= at - interval '1 minute') late,
		(select coalesce(sum(f.runs), 0) as runs, coalesce(sum(f.mended), 0) as mended,
			array_agg(f.name order by f.last desc) filter (where f.runs > 0) as names
		from (
			select coalesce(t.calendar || '/' || t.name, 'routine ' || r.routine) as name, max(r.run_id) as last,
				count(*) filter (where not x.mended) as runs, count(*) filter (where x.mended) as mended
			from maintsched.run r
			left join maintsched.task t on t.task_id = r.task_id
			cross join lateral (
				select exists (
					select from maintsched.run n
					where n.run_id > r.run_id and n.state = 'succeeded' and n.finished_at <= at
					and n.routine = r.routine and n.task_id is not distinct from r.task_id) as mended) x
			where r.state in ('failed', 'interrupted')
			and r.finished_at > at - interval '24 hours' and r.finished_at <= at
			group by 1) f) bad;
	return query
	select 'windows',
		case when count(*) > 0 then 'WARN' else 'OK' end,
		count(*)::text,
		case when count(*) > 0 then 'no window admits before they are due: '
				|| string_agg(u.calendar_name || '/' || u.task, ', ')
			else 'every automated task has a window before it is due' end,
		case when count(*) > 0 then 'Add a window of their class with add_window(), or change their change_class.' end
	from maintsched.unserved_tasks() u;
end
$$;

comment on function maintsched.run_health() is
'Internal: What view health says of the background: launcher, library, runs, windows.';

create function maintsched.archive_health()
returns table (item text, status text, value text, detail text, hint text)
language plpgsql stable security definer rows 1
set search_path = pg_catalog, pg_temp
as $$
declare
	a record;
begin
	-- of each archive the last verification counts
	select count(*) as bad,
		array_agg(format('archive %s of %I.%I', f.archive_id, f.schema_name, f.table_name) order by f.archive_id) as names,
		(array_agg(f.root || '/' || f.directory || '/' || f.file order by f.archive_id))[1] as path,
		min(f.archive_id) as first
	into a
	from maintsched.archive_verification v
	join maintsched.archive_file f using (archive_id)
	where not v.ok
	and not exists (
		select from maintsched.archive_verification x
		where x.archive_id = v.archive_id and x.verification_id > v.verification_id)
	and not exists (select from maintsched.archive_removal r where r.archive_id = v.archive_id);
	return query select 'archives', case when a.bad > 0 then 'CRIT' else 'OK' end, a.bad::text,
		case
			when a.bad > 0 then format('%s not as recorded when last verified: %s',
				case a.bad when 1 then '1 archive was' else a.bad || ' archives were' end, maintsched.list_text(a.names))
			when exists (select from maintsched.archive_verification) then 'every archive that was verified is as recorded'
			when exists (select from maintsched.archive_file) then 'no archive was verified since it was written'
			else 'there is no archive'
		end,
		case when a.bad > 0 then format('The column problem of view archives says what is wrong. Bring %s and its manifest back from a backup, then: select maintsched.verify_archive(%s);', a.path, a.first) end;
end
$$;

comment on function maintsched.archive_health() is
'Internal: What view health says of archived rows: CRIT while an archive was not as recorded when it was last verified.';

create view maintsched.own_health as
with planning as (
	select count(*) as tasks,
		count(*) filter (where not maintsched.is_planned(p.planned_until, c.installed_at)) as ended,
		count(*) filter (where p.replan_at <= maintsched.clock() - interval '24 hours') as behind,
		min(p.planned_until) filter (where p.planned_until < 'infinity') as planned_until
	from maintsched.task t
	join maintsched.calendar c on c.name = t.calendar
	left join maintsched.task_plan p using (task_id)
	where t.enabled and t.retired_at is null
), simulated as (
	select (select count(*) from maintsched.calendar c where c.simulated)
		+ (select count(*) from maintsched.calendar_change h where h.simulated)
		+ (select count(*) from maintsched.occurrence o where o.simulated)
		+ (select count(*) from maintsched.task_version x where x.simulated)
		+ (select count(*) from maintsched.task_start x where x.simulated)
		+ (select count(*) from maintsched.checklist_mark x where x.simulated)
		+ (select count(*) from maintsched.completion x where x.simulated)
		+ (select count(*) from maintsched.completion_retraction x where x.simulated)
		+ (select count(*) from maintsched.completion_review x where x.simulated)
		+ (select count(*) from maintsched.corrective_action x where x.simulated)
		+ (select count(*) from maintsched.waiver x where x.simulated)
		+ (select count(*) from maintsched.waiver_decision x where x.simulated)
		+ (select count(*) from maintsched.prior_evidence x where x.simulated)
		+ (select count(*) from maintsched.pause_change x where x.simulated)
		+ (select count(*) from maintsched.change_record x where x.simulated)
		+ (select count(*) from maintsched.change_approval x where x.simulated)
		+ (select count(*) from maintsched.change_run x where x.simulated)
		+ (select count(*) from maintsched.change_close x where x.simulated)
		+ (select count(*) from maintsched.follow_up x where x.simulated)
		+ (select count(*) from maintsched.notice x where x.simulated)
		+ (select count(*) from maintsched.notice_acknowledgement x where x.simulated)
		+ (select count(*) from maintsched.access_change x where x.simulated)
		+ (select count(*) from maintsched.emergency_window x where x.simulated)
		+ (select count(*) from maintsched.emergency_close x where x.simulated)
		+ (select count(*) from maintsched.run x where x.simulated)
		+ (select count(*) from maintsched.archive_file x where x.simulated)
		+ (select count(*) from maintsched.archive_verification x where x.simulated)
		+ (select count(*) from maintsched.archive_restore x where x.simulated)
		+ (select count(*) from maintsched.archive_removal x where x.simulated)
		+ (select count(*) from maintsched.repository_change x where x.simulated)
		+ (select count(*) from maintsched.backup_reading x where x.simulated)
		+ (select count(*) from maintsched.backup_record x where x.simulated)
		+ (select count(*) from maintsched.backup_check x where x.simulated)
		+ (select count(*) from maintsched.drill x where x.simulated)
		+ (select count(*) from maintsched.drill_step x where x.simulated)
		+ (select count(*) from maintsched.drill_result x where x.simulated)
		+ (select count(*) from maintsched.expectation x where x.simulated) as records
), owed as (
	select count(distinct (w.task_id, w.month)) as months,
		min(w.clock_at) as since
	from maintsched.rollup_owed w
), undone as (
	select count(*) as overdue, array_agg(t.calendar || '/' || t.name order by l.due_at, t.calendar, t.name) as names
	from maintsched.live_occurrence l
	join maintsched.task t on t.task_id = l.task_id and t.enabled and t.retired_at is null
	where l.status = 'overdue' and (l.closes_at is null or l.closes_at > maintsched.clock())
), gone as (
	select count(*) as roles, string_agg(a.role, ', ' order by a.role) as names
	from maintsched.access_grants a
	where not a.role_exists
)
select 'planning' as item,
	case
		when p.tasks = 0 then 'UNKNOWN'
		when p.ended > 0 then 'CRIT'
		when p.behind > 0 then 'WARN'
		else 'OK'
	end as status,
	to_char(p.planned_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as value,
	case
		when p.tasks = 0 then 'no task is enabled'
		when p.ended > 0 then format('nothing is planned for %s of %s tasks, which are unknown', p.ended, p.tasks)
		when p.behind > 0 then format('%s of %s tasks should have been planned again more than a day ago', p.behind, p.tasks)
		else format('%s tasks are planned', p.tasks)
	end as detail,
	case
		when p.tasks = 0 then 'Install a calendar: the view available_calendars lists them.'
		when p.ended > 0 or p.behind > 0 then 'Call maintsched.tick(), and let pg_cron or any cron call it at least once a day.'
	end as hint,
	maintsched.clock() as measured_at
from planning p
union all
select 'overdue tasks',
	case when u.overdue > 0 then 'WARN' else 'OK' end,
	u.overdue::text,
	case when u.overdue > 0 then format('%s overdue: %s', case u.overdue when 1 then '1 is' else u.overdue || ' are' end, maintsched.list_text(u.names))
		else 'nothing is overdue' end,
	case when u.overdue > 0 then 'The views today and due_tasks list what is due, and whose it is.' end,
	maintsched.clock()
from undone u
union all
select 'simulated records',
	case when s.records > 0 or maintsched.clock_simulated() then 'CRIT' else 'OK' end,
	s.records::text,
	case
		when s.records > 0 then format('%s records were made under maintsched.now', s.records)
		when maintsched.clock_simulated() then 'this session runs under maintsched.now'
		else 'every record was made in real time'
	end,
	case when s.records > 0 then 'A database with simulated records is for tests and demonstrations: do not keep real evidence in it.'
		when maintsched.clock_simulated() then 'To return to real time: reset maintsched.now;' end,
	maintsched.clock()
from simulated s
union all
select 'instance',
	case when problem is null then 'OK' else 'CRIT' end,
	null,
	coalesce(problem, 'this database keeps the calendar'),
	case when problem is not null
		then 'Nothing is planned or closed here. If this is where the calendar is to be kept from now on: select maintsched.resume(''all'');' end,
	maintsched.clock()
from maintsched.instance_problem() problem
union all
select 'pauses',
	case when count(*) > 0 then 'WARN' else 'OK' end,
	count(*)::text,
	case when count(*) > 0 then 'paused: ' || string_agg(p.scope, ', ' order by p.scope)
		else 'nothing is paused' end,
	case when count(*) > 0 then 'The view pauses says why. To go on: select maintsched.resume(scope);' end,
	maintsched.clock()
from maintsched.pauses p
union all
select 'rollups',
	case when o.since < maintsched.clock() - interval '24 hours' then 'WARN' else 'OK' end,
	o.months::text,
	case when o.months > 0 then format('%s months of tasks are to be rolled up anew', o.months)
		else 'every month that is over is rolled up' end,
	case when o.since < maintsched.clock() - interval '24 hours'
		then 'The figures are right, and slower to read. Call maintsched.tick(), and let pg_cron or any cron call it at least once a day.' end,
	maintsched.clock()
from owed o
union all
select 'access',
	case when g.roles > 0 then 'WARN' else 'OK' end,
	g.roles::text,
	case when g.roles > 0 then 'roles with access do not exist: ' || g.names
		else 'every role with access exists' end,
	case when g.roles > 0 then 'Create them and call maintsched.apply_access(), or take the access away with revoke_access().' end,
	maintsched.clock()
from gone g
union all
select h.item, h.status, h.value, h.detail, h.hint, maintsched.clock()
from maintsched.run_health() h
union all
select h.item, h.status, h.value, h.detail, h.hint, maintsched.clock()
from maintsched.amcheck_health() h
union all
select h.item, h.status, h.value, h.detail, h.hint, maintsched.clock()
from maintsched.archive_health() h
union all
select h.item, h.status, h.value, h.detail, h.hint, maintsched.clock()
from maintsched.backup_health() h;

comment on view maintsched.own_health is 'Internal: What view health says of maintsched itself.';
comment on column maintsched.own_health.item is 'What is judged.';
comment on column maintsched.own_health.status is 'OK, WARN, CRIT or UNKNOWN.';
comment on column maintsched.own_health.value is 'The figure judged.';
comment on column maintsched.own_health.detail is 'In words.';
comment on column maintsched.own_health.hint is 'What to do.';
comment on column maintsched.own_health.measured_at is 'clock() of the judgement.';

create view maintsched.health as
with item as (
	select o.item, o.status, o.value, o.detail, o.hint, o.measured_at, 'maintsched' as scope, null::double precision as figure
	from maintsched.own_health o
	union all
	select s.item, s.status, s.value, s.detail, s.hint, s.measured_at, s.scope, s.figure
	from maintsched.server_health() s
), ignored as (
	select array(
		select e.value
		from jsonb_array_elements_text(coalesce(nullif(x.params -> 'exclude', 'null'), '[]')) e) as items
	from (select (select s.params from maintsched.health_setting s) as params) x
)
select i.item,
	case when g.hit then 'OK' else i.status end as status,
	i.value,
	case when g.hit then format('not judged (exclude); it would be %s: %s', i.status, i.detail) else i.detail end as detail,
	case when g.hit then 'The params of routine health leave it out.' else i.hint end as hint,
	i.measured_at,
	i.scope,
	i.figure
from item i
cross join ignored x
cross join lateral (select i.item = any (x.items) as hit) g;

comment on view maintsched.health is 'Whether maintsched, the server and the database are well. What only a look at the whole catalog tells is as the last run of routine health measured it, and UNKNOWN after two days.';
comment on column maintsched.health.item is 'What is judged.';
comment on column maintsched.health.status is 'OK, WARN, CRIT or UNKNOWN.';
comment on column maintsched.health.value is 'The figure judged: for planning the instant at which the first task becomes unknown.';
comment on column maintsched.health.detail is 'In words.';
comment on column maintsched.health.hint is 'What to do.';
comment on column maintsched.health.measured_at is 'When it was judged: clock() for what maintsched says of itself, real time for server and database. NULL: never.';
comment on column maintsched.health.scope is 'What it is about: maintsched (itself), server or database.';
comment on column maintsched.health.figure is 'The figure judged, as a number: a share, seconds, bytes or a count; NULL where it is none.';
