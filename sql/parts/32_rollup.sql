--
-- 32_rollup: figures that need no look at all of history
--
-- Derived from the facts, by the views of 31_verdict; nothing here is dumped,
-- and all of it can be made anew by rebuild_rollups().
--
--   standing		one row per occurrence that is not closed and has facts or
--					a waiver: written with each fact
--   task_month		per task, local month and version, what became of its closed
--					occurrences; calendar_month and control_month sum it up.
--					Written by tick() when it closes, in real time
--   task_state		per task, the newest verdicts among its closed occurrences
--   rollup_owed	a fact came after the closing: that month of that task is
--					derived from the facts until tick() has rolled it up anew
--
-- What they say holds from settled_at on.  A session whose clock is set back
-- before it, a task without a row in task_state (after a restore) and a month
-- that is owed are derived from the facts: view live_occurrence holds every
-- occurrence that the rollups do not answer for.
--
-- Writers of facts take no lock on rollups.  Whoever writes rollups has
-- lock_rollups(), which tick() tries and does not wait for.
--

create table maintsched.standing (
	occurrence_id bigint primary key,
	settled_at timestamptz not null,
	outcome text,
	rejected boolean not null,
	effective_at timestamptz,
	judged_at timestamptz,
	backdated boolean not null,
	waived boolean not null,
	checklist_done integer not null,
	started_at timestamptz,
	started_by text
);

create index standing_ahead on maintsched.standing (settled_at);

comment on table maintsched.standing is 'Derived: what the facts say of an occurrence that is not closed. One without facts, which no waiver covers, has no row.';
comment on column maintsched.standing.occurrence_id is 'The occurrence.';
comment on column maintsched.standing.settled_at is 'From this clock() on it holds; infinity: a fact lies ahead of clock(), so it never does.';
comment on column maintsched.standing.outcome is 'Outcome of the last completion that counts.';
comment on column maintsched.standing.rejected is 'Whether its review rejected it.';
comment on column maintsched.standing.effective_at is 'From when it counts.';
comment on column maintsched.standing.judged_at is 'From when its verdict stands.';
comment on column maintsched.standing.backdated is 'Whether its claim was too far back.';
comment on column maintsched.standing.waived is 'Whether a waiver was in force at due_at.';
comment on column maintsched.standing.checklist_done is 'Checklist items ticked.';
comment on column maintsched.standing.started_at is 'When somebody began.';
comment on column maintsched.standing.started_by is 'Who began.';

create table maintsched.task_state (
	task_id bigint primary key,
	settled_at timestamptz not null,
	passed_at timestamptz,
	failed_at timestamptz,
	inconclusive_at timestamptz,
	waived_at timestamptz,
	missed_due_at timestamptz,
	done_at timestamptz,
	outcome text,
	missed_run bigint not null default 0,
	year_since date,
	year_done integer,
	year_late integer,
	year_failed integer,
	year_inconclusive integer,
	year_missed integer
);

create index task_state_settled on maintsched.task_state (settled_at);

comment on table maintsched.task_state is 'Derived: the newest verdicts among the closed occurrences of a task. A task without a row is derived from the facts.';
comment on column maintsched.task_state.task_id is 'The task.';
comment on column maintsched.task_state.settled_at is 'From this clock() on the rollups of the task hold.';
comment on column maintsched.task_state.passed_at is 'Newest pass: from when it counts.';
comment on column maintsched.task_state.failed_at is 'Newest failure: from when it counts, or of its rejection, or the instant before the newest missed one closed, so that a pass at the closing is newer.';
comment on column maintsched.task_state.inconclusive_at is 'Newest inconclusive one: from when it counts.';
comment on column maintsched.task_state.waived_at is 'due_at of the newest waived one.';
comment on column maintsched.task_state.missed_due_at is 'due_at of the newest missed one.';
comment on column maintsched.task_state.done_at is 'Newest completion that counts, of any outcome.';
comment on column maintsched.task_state.outcome is 'Its outcome.';
comment on column maintsched.task_state.missed_run is 'Missed ones that were due after passed_at.';
comment on column maintsched.task_state.year_since is 'First of the twelve months that the following sum up; NULL: they do not.';
comment on column maintsched.task_state.year_done is 'Done in time in these months.';
comment on column maintsched.task_state.year_late is 'Done late in these months.';
comment on column maintsched.task_state.year_failed is 'Failed in these months.';
comment on column maintsched.task_state.year_inconclusive is 'Inconclusive in these months.';
comment on column maintsched.task_state.year_missed is 'Missed in these months.';

create table maintsched.task_month (
	task_id bigint not null,
	month date not null,
	version integer not null,
	done integer not null default 0,
	late integer not null default 0,
	failed integer not null default 0,
	inconclusive integer not null default 0,
	missed integer not null default 0,
	waived integer not null default 0,
	backdated integer not null default 0,
	passed_at timestamptz,
	failed_at timestamptz,
	inconclusive_at timestamptz,
	waived_at timestamptz,
	missed_due_at timestamptz,
	done_at timestamptz,
	outcome text,
	primary key (task_id, month, version)
);

create index task_month_month on maintsched.task_month (month, task_id);

comment on table maintsched.task_month is 'Derived: what became of the closed occurrences of a task in a month, per version of its definition.';
comment on column maintsched.task_month.task_id is 'The task.';
comment on column maintsched.task_month.month is 'First day of the local month of the instant before due_at.';
comment on column maintsched.task_month.version is 'Version of the definition.';
comment on column maintsched.task_month.done is 'Done in time.';
comment on column maintsched.task_month.late is 'Done late.';
comment on column maintsched.task_month.failed is 'Failed.';
comment on column maintsched.task_month.inconclusive is 'Inconclusive.';
comment on column maintsched.task_month.missed is 'Missed.';
comment on column maintsched.task_month.waived is 'Waived.';
comment on column maintsched.task_month.backdated is 'Of all these, whose claim was too far back.';
comment on column maintsched.task_month.passed_at is 'Newest pass: from when it counts.';
comment on column maintsched.task_month.failed_at is 'Newest failure: from when it counts, or of its rejection, or the instant before the newest missed one closed, so that a pass at the closing is newer.';
comment on column maintsched.task_month.inconclusive_at is 'Newest inconclusive one: from when it counts.';
comment on column maintsched.task_month.waived_at is 'due_at of the newest waived one.';
comment on column maintsched.task_month.missed_due_at is 'due_at of the newest missed one.';
comment on column maintsched.task_month.done_at is 'Newest completion that counts, of any outcome.';
comment on column maintsched.task_month.outcome is 'Its outcome.';

create table maintsched.calendar_month (
	calendar text not null,
	month date not null,
	done integer not null default 0,
	late integer not null default 0,
	failed integer not null default 0,
	inconclusive integer not null default 0,
	missed integer not null default 0,
	waived integer not null default 0,
	backdated integer not null default 0,
	primary key (calendar, month)
);

comment on table maintsched.calendar_month is 'Derived: task_month per calendar.';
comment on column maintsched.calendar_month.calendar is 'The calendar.';
comment on column maintsched.calendar_month.month is 'First day of the local month.';
comment on column maintsched.calendar_month.done is 'Done in time.';
comment on column maintsched.calendar_month.late is 'Done late.';
comment on column maintsched.calendar_month.failed is 'Failed.';
comment on column maintsched.calendar_month.inconclusive is 'Inconclusive.';
comment on column maintsched.calendar_month.missed is 'Missed.';
comment on column maintsched.calendar_month.waived is 'Waived.';
comment on column maintsched.calendar_month.backdated is 'Of all these, whose claim was too far back.';

create table maintsched.control_month (
	framework text not null,
	control text not null,
	calendar text not null,
	month date not null,
	done integer not null default 0,
	late integer not null default 0,
	failed integer not null default 0,
	inconclusive integer not null default 0,
	missed integer not null default 0,
	waived integer not null default 0,
	backdated integer not null default 0,
	primary key (framework, control, calendar, month)
);

create index control_month_month on maintsched.control_month (month);

comment on table maintsched.control_month is 'Derived: task_month per control and calendar.';
comment on column maintsched.control_month.framework is 'The framework.';
comment on column maintsched.control_month.control is 'The control.';
comment on column maintsched.control_month.calendar is 'The calendar.';
comment on column maintsched.control_month.month is 'First day of the local month.';
comment on column maintsched.control_month.done is 'Done in time.';
comment on column maintsched.control_month.late is 'Done late.';
comment on column maintsched.control_month.failed is 'Failed.';
comment on column maintsched.control_month.inconclusive is 'Inconclusive.';
comment on column maintsched.control_month.missed is 'Missed.';
comment on column maintsched.control_month.waived is 'Waived.';
comment on column maintsched.control_month.backdated is 'Of all these, whose claim was too far back.';

create table maintsched.rollup_owed (
	task_id bigint not null,
	month date not null,
	clock_at timestamptz not null,
	noted_at timestamptz not null default clock_timestamp()
);

create index rollup_owed_task on maintsched.rollup_owed (task_id, month);

-- it has no key, and a publication of all tables would refuse deletes
alter table maintsched.rollup_owed replica identity full;

comment on table maintsched.rollup_owed is 'Derived: months of tasks about which a fact was recorded after the closing; tick() rolls them up anew.';
comment on column maintsched.rollup_owed.task_id is 'The task.';
comment on column maintsched.rollup_owed.month is 'The local month.';
comment on column maintsched.rollup_owed.clock_at is 'clock() of the fact: before it, tick() leaves the month owed.';
comment on column maintsched.rollup_owed.noted_at is 'Real time of the note.';

create function maintsched.on_time_rate(done bigint, late bigint, failed bigint, inconclusive bigint, missed bigint, overdue bigint)
returns numeric
language sql immutable parallel safe
return case late + failed + inconclusive + missed + overdue
	when 0 then case when done > 0 then 1::numeric end
	else trim_scale(done::numeric / (done + late + failed + inconclusive + missed + overdue))
end;

comment on function maintsched.on_time_rate(bigint, bigint, bigint, bigint, bigint, bigint) is
'Done in time / fallen due and not waived, 0 to 1; NULL where nothing was. PM compliance, as SMRP defines it: what was never done stays in the denominator.';

create function maintsched.year_begins(zone text) returns date
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp
as $$
begin
	return (date_trunc('month', maintsched.clock() at time zone zone) - interval '11 months')::date;
exception when invalid_parameter_value then
	-- a zone that the server knows no longer must not stop the others' figures
	return (date_trunc('month', maintsched.clock() at time zone 'UTC') - interval '11 months')::date;
end
$$;

comment on function maintsched.year_begins(text) is
'Internal: The first day of the eleventh month before the current one, in local time: where a figure without a period begins.';

create view maintsched.zone_year as
select z.zone, maintsched.year_begins(z.zone) as since
from (
	select c.timezone as zone from maintsched.calendar c
	union
	select t.timezone from maintsched.task t where t.timezone is not null) z
offset 0;

comment on view maintsched.zone_year is 'Internal: The zones in use, and the first day of the eleventh month before the current one in each; once per zone.';
comment on column maintsched.zone_year.zone is 'The zone.';
comment on column maintsched.zone_year.since is 'Where a figure without a period begins there.';

create function maintsched.unsettled_occurrences() returns table (
	occurrence_id bigint,
	task_id bigint,
	version integer,
	timezone text,
	opens_at timestamptz,
	due_at timestamptz,
	closes_at timestamptz,
	status text,
	outcome text,
	effective_at timestamptz,
	judged_at timestamptz,
	backdated boolean,
	checklist_done integer,
	started_at timestamptz,
	started_by text,
	passed boolean,
	closed boolean)
language plpgsql stable security definer rows 10
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	at constant timestamptz := maintsched.clock();
begin
	-- Each of these is rare, and its query large: looked for first.
	if exists (select from maintsched.standing s where s.settled_at > at) then
		-- facts that lie ahead of this clock
		return query
			select w.occurrence_id, w.task_id, w.version, w.timezone, w.opens_at, w.due_at, w.closes_at, w.status,
			w.outcome, w.effective_at, w.judged_at, w.backdated, w.checklist_done, w.started_at, w.started_by,
			w.passed, w.closed_at is not null
			from maintsched.standing s
			join maintsched.occurrence_work w on w.occurrence_id = s.occurrence_id
			join maintsched.task_state ts on ts.task_id = w.task_id and ts.settled_at <= at
			where s.settled_at > at
			and w.closed_at is null and w.opens_at <= at;
	end if;
	if exists (select from maintsched.rollup_owed) then
		-- facts that came after the closing
		return query
			select w.occurrence_id, w.task_id, w.version, w.timezone, w.opens_at, w.due_at, w.closes_at, w.status,
			w.outcome, w.effective_at, w.judged_at, w.backdated, w.checklist_done, w.started_at, w.started_by,
			w.passed, w.closed_at is not null
			from (select distinct r.task_id, r.month from maintsched.rollup_owed r) owed
			join maintsched.task_state ts on ts.task_id = owed.task_id and ts.settled_at <= at
			join maintsched.occurrence_work w on w.task_id = owed.task_id
				and w.due_at > owed.month - interval '2 days' and w.due_at < owed.month + interval '34 days'
				and maintsched.due_month(w.due_at, w.timezone) = owed.month
			where w.closed_at is not null;
	end if;
	if exists (select from maintsched.task_state ts where ts.settled_at > at)
		or (select count(*) from maintsched.task) > (select count(*) from maintsched.task_state)
	then
		-- tasks that are not rolled up, or later than this clock
		return query
			select w.occurrence_id, w.task_id, w.version, w.timezone, w.opens_at, w.due_at, w.closes_at, w.status,
			w.outcome, w.effective_at, w.judged_at, w.backdated, w.checklist_done, w.started_at, w.started_by,
			w.passed, w.closed_at is not null
			from maintsched.task t
			left join maintsched.task_state ts on ts.task_id = t.task_id
			join maintsched.occurrence_work w on w.task_id = t.task_id
			where (ts.task_id is null or ts.settled_at > at)
			and w.opens_at <= at;
	end if;
end
$$;

comment on function maintsched.unsettled_occurrences() is
'Internal: The occurrences that have opened and for which neither the rollups nor table standing answer at clock(): derived from the facts.';

create view maintsched.standing_occurrence as
select o.occurrence_id, o.task_id, o.version, o.timezone, o.opens_at, o.due_at, o.closes_at,
	maintsched.derive_status(o.opens_at, o.due_at, o.closes_at, o.withdrawn_at, s.outcome,
		coalesce(s.rejected, false), s.effective_at, s.waived, maintsched.clock()) as status,
	s.outcome, s.effective_at, s.judged_at, coalesce(s.backdated, false) as backdated,
	coalesce(s.checklist_done, 0) as checklist_done, s.started_at, s.started_by,
	coalesce(s.outcome = 'pass' and not s.rejected, false) as passed, false as closed
from maintsched.occurrence o
join maintsched.task_state ts on ts.task_id = o.task_id and ts.settled_at <= maintsched.clock()
left join maintsched.standing s on s.occurrence_id = o.occurrence_id
where (case when o.closed_at is null then o.opens_at end) <= maintsched.clock()
and (s.settled_at is null or s.settled_at <= maintsched.clock());

comment on view maintsched.standing_occurrence is 'Internal: Every occurrence that has opened and is not closed, with its status at clock(), as far as table standing answers for it.';
comment on column maintsched.standing_occurrence.occurrence_id is 'The occurrence.';
comment on column maintsched.standing_occurrence.task_id is 'The task.';
comment on column maintsched.standing_occurrence.version is 'Version of the definition.';
comment on column maintsched.standing_occurrence.timezone is 'Zone of the occurrence.';
comment on column maintsched.standing_occurrence.opens_at is 'When it opened.';
comment on column maintsched.standing_occurrence.due_at is 'From here it is overdue.';
comment on column maintsched.standing_occurrence.closes_at is 'From here it is missed.';
comment on column maintsched.standing_occurrence.status is 'Status at clock().';
comment on column maintsched.standing_occurrence.outcome is 'Outcome of the last completion that counts.';
comment on column maintsched.standing_occurrence.effective_at is 'From when it counts.';
comment on column maintsched.standing_occurrence.judged_at is 'From when its verdict stands.';
comment on column maintsched.standing_occurrence.backdated is 'Whether its claim was too far back.';
comment on column maintsched.standing_occurrence.checklist_done is 'Checklist items ticked.';
comment on column maintsched.standing_occurrence.started_at is 'When somebody began.';
comment on column maintsched.standing_occurrence.started_by is 'Who began.';
comment on column maintsched.standing_occurrence.passed is 'Whether the last completion is a pass that is not rejected, however late.';
comment on column maintsched.standing_occurrence.closed is 'Whether tick() has closed it.';

create view maintsched.live_occurrence as
select s.*
from maintsched.standing_occurrence s
union all
select u.*
from maintsched.unsettled_occurrences() u;

comment on view maintsched.live_occurrence is 'Internal: Every occurrence that has opened and that the rollups do not answer for at clock(), with its status.';
comment on column maintsched.live_occurrence.occurrence_id is 'The occurrence.';
comment on column maintsched.live_occurrence.task_id is 'The task.';
comment on column maintsched.live_occurrence.version is 'Version of the definition.';
comment on column maintsched.live_occurrence.timezone is 'Zone of the occurrence.';
comment on column maintsched.live_occurrence.opens_at is 'When it opened.';
comment on column maintsched.live_occurrence.due_at is 'From here it is overdue.';
comment on column maintsched.live_occurrence.closes_at is 'From here it is missed.';
comment on column maintsched.live_occurrence.status is 'Status at clock().';
comment on column maintsched.live_occurrence.outcome is 'Outcome of the last completion that counts.';
comment on column maintsched.live_occurrence.effective_at is 'From when it counts.';
comment on column maintsched.live_occurrence.judged_at is 'From when its verdict stands.';
comment on column maintsched.live_occurrence.backdated is 'Whether its claim was too far back.';
comment on column maintsched.live_occurrence.checklist_done is 'Checklist items ticked.';
comment on column maintsched.live_occurrence.started_at is 'When somebody began.';
comment on column maintsched.live_occurrence.started_by is 'Who began.';
comment on column maintsched.live_occurrence.passed is 'Whether the last completion is a pass that is not rejected, however late.';
comment on column maintsched.live_occurrence.closed is 'Whether tick() has closed it.';

create function maintsched.void_months() returns setof maintsched.task_month
language plpgsql stable security definer rows 10
set search_path = pg_catalog, pg_temp
as $$
declare
	at constant timestamptz := maintsched.clock();
begin
	if exists (select from maintsched.task_state s where s.settled_at > at) then
		return query
			select m.*
			from maintsched.task_state s
			join maintsched.task_month m on m.task_id = s.task_id
			where s.settled_at > at;
	end if;
	if exists (select from maintsched.rollup_owed) then
		return query
			select m.*
			from (select distinct r.task_id, r.month from maintsched.rollup_owed r) owed
			join maintsched.task_state s on s.task_id = owed.task_id and s.settled_at <= at
			join maintsched.task_month m on m.task_id = owed.task_id and m.month = owed.month;
	end if;
end
$$;

comment on function maintsched.void_months() is
'Internal: The rolled up months that do not hold at clock(): live_occurrence has their occurrences.';
