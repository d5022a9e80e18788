--
-- 88_health: whether maintsched itself does its work
--

create view maintsched.health as
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
		+ (select count(*) from maintsched.access_change x where x.simulated) as records
), owed as (
	select count(distinct (w.task_id, w.month)) as months,
		min(w.clock_at) as since
	from maintsched.rollup_owed w
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
from maintsched.amcheck_health() h;

comment on view maintsched.health is 'Whether maintsched itself does its work.';
comment on column maintsched.health.item is 'What is judged.';
comment on column maintsched.health.status is 'OK, WARN, CRIT or UNKNOWN.';
comment on column maintsched.health.value is 'The figure judged: for planning the instant at which the first task becomes unknown.';
comment on column maintsched.health.detail is 'In words.';
comment on column maintsched.health.hint is 'What to do.';
comment on column maintsched.health.measured_at is 'clock() of the judgement.';
