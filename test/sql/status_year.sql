-- A year of every case: what each view says of an occurrence, a task and a
-- control, at clocks before, at and after each boundary.  The expected values
-- are written by hand.  Each is judged four times: as the year goes by, back
-- in time when all is recorded, after the rollups, and after rebuilding them.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension maintsched;
create extension maintsched;
set timezone = 'UTC';
create role regress_maintsched_a login;
create role regress_maintsched_b login;
set maintsched.now = '2024-01-01 00:00+00';
select maintsched.grant_access('regress_maintsched_a', 'manager'), maintsched.grant_access('regress_maintsched_b', 'manager');

-- What is done, in the order of the clock.  %o is the occurrence (the nth of
-- the task), %c the last completion of the task, %w its last waiver; "says" is
-- the error that is wanted.
create temp table op (at timestamptz, task text, who text, does text, says text, n int default 1,
	seq int generated always as identity, result text, error text);
-- Wanted, one value each: of an occurrence, a task, a month of a task ...
create temp table wanted (what text, task text, n int, at timestamptz, value text, live_only bool default false);
create temp table wrong (phase text, what text, task text, n int, at timestamptz, wanted text, got text);
create temp table ids (task text primary key, task_id bigint);

create function pg_temp.occurrence(of_task text, nth int) returns bigint language sql as $$
	select o.occurrence_id from maintsched.occurrence o join ids using (task_id)
	where ids.task = of_task order by o.opens_at offset nth - 1 limit 1
$$;
create function pg_temp.filled(words text, of_task text, nth int) returns text language sql as $$
	select replace(replace(replace(words,
		'%o', coalesce(pg_temp.occurrence(of_task, nth)::text, 'null')),
		'%c', coalesce((select result from op where task = of_task and n = nth and does like 'complete%' and result is not null order by seq desc limit 1), 'null')),
		'%w', coalesce((select result from op where task = of_task and n = nth and does like 'request_waiver%' and result is not null order by seq desc limit 1), 'null'))
$$;

-- What the views say at clock(): a few words for each row.
create function pg_temp.parts(occurrences bigint, done bigint, late bigint, failed bigint, inconclusive bigint, missed bigint,
	overdue bigint, waived bigint, backdated bigint, rate numeric) returns text language sql as $$
	select concat_ws(' ', occurrences, 'done ' || nullif(done, 0), 'late ' || nullif(late, 0), 'failed ' || nullif(failed, 0),
		'inconclusive ' || nullif(inconclusive, 0), 'missed ' || nullif(missed, 0), 'overdue ' || nullif(overdue, 0),
		'waived ' || nullif(waived, 0), 'backdated ' || nullif(backdated, 0), 'rate ' || trim_scale(round(rate, 4)),
		case when occurrences <> done + late + failed + inconclusive + missed + overdue + waived then 'DO NOT ADD UP' end)
$$;
create function pg_temp.said() returns table (what text, task text, n int, value text) language sql as $$
	with asked as materialized (
		select distinct what from wanted where at = maintsched.clock()
	), o as materialized (
		select o.occurrence_id, ids.task as key, (row_number() over (partition by ids.task order by o.opens_at, o.occurrence_id))::int as n
		from maintsched.occurrence o join ids using (task_id)
	), t as materialized (
		select t.calendar, t.name, ids.task as key from maintsched.task t join ids using (task_id)
	), s as materialized (
		select * from o join maintsched.occurrence_status s using (occurrence_id)
	)
	select 'occurrence', key, n, concat_ws(' ', status, outcome, case when attempts > 1 then 'x' || attempts end,
		'failed ' || to_char(first_failed_at, 'DD'), case when backdated then 'backdated' end, case when recorded_late then 'recorded_late' end,
		case when exception_accepted then 'exception' end, nullif(review, 'not_required'))
	from s where 'occurrence' = any (array(select what from asked))
	union all
	select 'times', key, n, concat_ws(' ', to_char(opens_at, 'MM-DD HH24:MI'), to_char(due_at, 'MM-DD HH24:MI'), to_char(closes_at, 'MM-DD HH24:MI'))
	from s where 'times' = any (array(select what from asked))
	union all
	select 'definition', s.key, s.n, concat_ws(' | ', 'v' || s.version, s.title, s.team, array_to_string(s.controls, ','),
		(select string_agg(c.text, ',' order by c.item) from maintsched.checklist c where c.occurrence_id = s.occurrence_id))
	from s where s.calendar = 'change' and 'definition' = any (array(select what from asked))
	union all
	select 'next', key, 1, to_char(s.next_opens_at, 'YYYY-MM-DD HH24:MI') from t join maintsched.task_status s on s.calendar = t.calendar and s.task = t.name where 'next' = any (array(select what from asked))
	union all
	select 'missed before', key, n, d.missed_before::text from o join maintsched.due_tasks d using (occurrence_id) where 'missed before' = any (array(select what from asked))
	union all
	select 'due', key, n, status from o join maintsched.due_tasks d using (occurrence_id) where 'due' = any (array(select what from asked))
	union all
	select 'task', key, 1, s.status from t join maintsched.task_status s on s.calendar = t.calendar and s.task = t.name where 'task' = any (array(select what from asked))
	union all
	select 'figures', key, 1, concat_ws(' ', coalesce(s.last_outcome, '-'), 'open', s.open_count, 'late', s.late_12m, 'missed', s.missed_12m, 'rate ' || trim_scale(round(s.on_time_rate, 4)))
	from t join maintsched.task_status s on s.calendar = t.calendar and s.task = t.name where 'figures' = any (array(select what from asked))
	union all
	select 'months', key, 1, string_agg(to_char(m.month, 'YYYY-MM: ') || pg_temp.parts(m.occurrences, m.done, m.late, m.failed, m.inconclusive,
		m.missed, m.overdue, m.waived, m.backdated, m.on_time_rate), ', ' order by m.month)
	from t join maintsched.task_monthly m on m.calendar = t.calendar and m.task = t.name where 'months' = any (array(select what from asked)) group by key
	union all
	select 'calendar months', m.calendar, 1, string_agg(to_char(m.month, 'YYYY-MM: ') || pg_temp.parts(m.occurrences, m.done, m.late, m.failed,
		m.inconclusive, m.missed, m.overdue, m.waived, m.backdated, m.on_time_rate), ', ' order by m.month)
	from maintsched.compliance_monthly m where 'calendar months' = any (array(select what from asked)) group by m.calendar
	union all
	select 'control months', m.framework || ' ' || m.control, 1, string_agg(m.calendar || to_char(m.month, ' YYYY-MM: ')
		|| pg_temp.parts(m.occurrences, m.done, m.late, m.failed, m.inconclusive, m.missed, m.overdue, m.waived, m.backdated, m.on_time_rate), ', ' order by m.calendar, m.month)
	from maintsched.control_monthly m where 'control months' = any (array(select what from asked)) group by m.framework, m.control
	union all
	select 'control', c.framework || ' ' || c.control, 1, concat_ws(' ', c.status, case when c.ok then 'ok' end, 'of ' || c.tasks,
		'compliant ' || nullif(c.compliant, 0), 'due ' || nullif(c.due, 0), 'overdue ' || nullif(c.overdue, 0),
		'failing ' || nullif(c.failing, 0), 'unknown ' || nullif(c.unknown, 0), 'waived ' || nullif(c.waived, 0),
		'not_started ' || nullif(c.not_started, 0), 'disabled ' || nullif(c.disabled, 0), 'rate ' || trim_scale(round(c.on_time_rate, 4)),
		case when c.tasks <> c.compliant + c.due + c.overdue + c.failing + c.unknown + c.waived + c.not_started + c.disabled then 'DO NOT ADD UP' end)
	from maintsched.compliance_status c where 'control' = any (array(select what from asked))
$$;

create procedure pg_temp.judge(phase text, clock timestamptz) language plpgsql as $$
begin
	perform set_config('maintsched.now', clock::text, false);
	create temp table said as select * from pg_temp.said();
	insert into wrong select judge.phase, w.what, w.task, w.n, w.at, w.value, coalesce(s.value, '-')
	from wanted w left join said s using (what, task, n)
	where w.at = clock and not (w.live_only and judge.phase <> 'live') and coalesce(s.value, '-') <> w.value;
	drop table said;
end $$;
create procedure pg_temp.act(a op) language plpgsql as $$
declare
	command text := pg_temp.filled(a.does, a.task, a.n);
	answer text;
begin
	perform set_config('maintsched.now', a.at::text, false);
	begin
		if a.who <> 'su' then
			execute format('set session authorization regress_maintsched_%s', a.who);
		end if;
		if command ~ '^(update|set) ' then
			execute command;
		else
			execute 'select maintsched.' || command into answer;
		end if;
		reset session authorization;
		update op set result = coalesce(answer, '') where seq = a.seq and (answer is not null or a.does like 'update%');
	exception when others then
		update op set error = sqlerrm where seq = a.seq;
	end;
end $$;
-- Everything up to the last clock, in order; each clock is judged when all that
-- happened at it is recorded.
create procedure pg_temp.live() language plpgsql as $$
declare
	step record;
	a op;
begin
	for step in select x.at from (select at from op union select at from wanted) x order by 1 loop
		for a in select * from op where at = step.at order by seq loop
			call pg_temp.act(a);
		end loop;
		call pg_temp.judge('live', step.at);
	end loop;
end $$;
create procedure pg_temp.back(phase text) language plpgsql as $$
declare
	clock timestamptz;
begin
	for clock in select distinct at from wanted order by at desc loop
		call pg_temp.judge(phase, clock);
	end loop;
end $$;

-- A small document.
create function pg_temp.document(calendar text, tasks jsonb) returns text language sql as $$
	select jsonb_build_object('format', 'maintsched-calendar/1', 'name', calendar, 'title', calendar, 'tasks', tasks)::text
$$;

-- Before, at and after opening, due_at and closes_at of an occurrence that
-- opens on 10 January 08:00, is due on the 12th 08:00, closes on the 15th 08:00;
-- and a month later.
create temp table clocks (name text primary key, at timestamptz);
insert into clocks values ('a', '2024-01-10 07:59:59+00'), ('b', '2024-01-10 08:00+00'), ('m', '2024-01-11 12:00+00'), ('c', '2024-01-12 07:59:59+00'),
	('d', '2024-01-12 08:00+00'), ('e', '2024-01-15 07:59:59+00'), ('f', '2024-01-15 08:00+00'), ('g', '2024-02-15 00:00+00');

-- One occurrence per case: opens 10 January 08:00, is due on the 12th 08:00,
-- closes on the 15th 08:00.  Then what its status is
--   a  10th 07:59:59   b  10th 08:00   m  11th 12:00     c  12th 07:59:59
--   d  12th 08:00      e  15th 07:59:59   f  15th 08:00  g  15 February
create temp table life (task text primary key, a text, b text, m text, c text, d text, e text, f text, g text, task_at text);
-- task_at: the status of the task at the same clocks (N not_started, D due, O overdue,
-- F failing, C compliant, W waived, U unknown)
insert into life values
-- nobody does anything; then the ways to pass
('nothing',          'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                    'NDDDOOFF'),
('on-time',          'scheduled', 'due', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'NDCCCCCC'),
('at-opening',       'scheduled', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'NCCCCCCC'),
('last-second',      'scheduled', 'due', 'due', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass',     'NDDCCCCC'),
-- half-open: at due_at it is late, at closes_at it is missed
('at-due',           'scheduled', 'due', 'due', 'due', 'late pass', 'late pass', 'late pass', 'late pass',           'NDDDCCCC'),
('late',             'scheduled', 'due', 'due', 'due', 'overdue', 'late pass', 'late pass', 'late pass',             'NDDDOCCC'),
('last-late',        'scheduled', 'due', 'due', 'due', 'overdue', 'late pass', 'late pass', 'late pass',             'NDDDOCCC'),
('at-close',         'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed pass', 'missed pass',           'NDDDOOCC'),
-- the occurrence stays missed, the task has a newer pass
('after-close',      'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed pass',                'NDDDOOFC'),
-- refused: too early, in the future, a claim before the opening
('early',            'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                     'NDDDOOFF'),
('future',           'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                     'NDDDOOFF'),
('claim-too-early',  'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                     'NDDDOOFF'),
('claim-at-opening', 'scheduled', 'due', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'NDCCCCCC'),
-- claims: a day back counts, a second more counts from when it was recorded
('claim-within',     'scheduled', 'due', 'due', 'due', 'overdue', 'done pass', 'done pass', 'done pass',             'NDDDOCCC'),
('claim-at-limit',   'scheduled', 'due', 'due', 'due', 'overdue', 'done pass', 'done pass', 'done pass',             'NDDDOCCC'),
('claim-beyond',     'scheduled', 'due', 'due', 'due', 'overdue', 'late pass backdated', 'late pass backdated', 'late pass backdated', 'NDDDOCCC'),
('recorded-late',    'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'late pass recorded_late',    'NDDDOOFC'),
('recorded-too-late','scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed pass backdated',      'NDDDOOFC'),
-- the limit of the day of the recording counts (here three days), not today's
('claim-3-days',     'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'late pass recorded_late',    'NDDDOOFC'),
-- other outcomes
('failed',           'scheduled', 'due', 'failed fail failed 11', 'failed fail failed 11', 'failed fail failed 11', 'failed fail failed 11', 'failed fail failed 11', 'failed fail failed 11', 'NDFFFFFF'),
('failed-passed',    'scheduled', 'due', 'failed fail failed 11', 'done pass x2 failed 11', 'done pass x2 failed 11', 'done pass x2 failed 11', 'done pass x2 failed 11', 'done pass x2 failed 11', 'NDFCCCCC'),
('failed-late',      'scheduled', 'due', 'failed fail failed 11', 'failed fail failed 11', 'failed fail failed 11', 'late pass x2 failed 11', 'late pass x2 failed 11', 'late pass x2 failed 11', 'NDFFFCCC'),
('failed-after',     'scheduled', 'due', 'failed fail failed 11', 'failed fail failed 11', 'failed fail failed 11', 'failed fail failed 11', 'failed fail failed 11', 'missed pass x2 failed 11', 'NDFFFFFC'),
('failed-when-late', 'scheduled', 'due', 'due', 'due', 'overdue', 'failed fail failed 13', 'failed fail failed 13', 'failed fail failed 13', 'NDDDOFFF'),
('partial',          'scheduled', 'due', 'failed partial failed 11', 'failed partial failed 11', 'failed partial failed 11', 'failed partial failed 11', 'failed partial failed 11', 'failed partial failed 11', 'NDFFFFFF'),
('partial-passed',   'scheduled', 'due', 'failed partial failed 11', 'done pass x2 failed 11', 'done pass x2 failed 11', 'done pass x2 failed 11', 'done pass x2 failed 11', 'done pass x2 failed 11', 'NDFCCCCC'),
('inconclusive',     'scheduled', 'due', 'inconclusive inconclusive', 'inconclusive inconclusive', 'inconclusive inconclusive', 'inconclusive inconclusive', 'inconclusive inconclusive', 'inconclusive inconclusive', 'NDUUUUUU'),
('inconcl-passed',   'scheduled', 'due', 'inconclusive inconclusive', 'done pass x2', 'done pass x2', 'done pass x2', 'done pass x2', 'done pass x2', 'NDUCCCCC'),
('inconcl-failed',   'scheduled', 'due', 'inconclusive inconclusive', 'failed fail x2 failed 11', 'failed fail x2 failed 11', 'failed fail x2 failed 11', 'failed fail x2 failed 11', 'failed fail x2 failed 11', 'NDUFFFFF'),
('failed-inconcl',   'scheduled', 'due', 'failed fail failed 11', 'inconclusive inconclusive x2 failed 11', 'inconclusive inconclusive x2 failed 11', 'inconclusive inconclusive x2 failed 11', 'inconclusive inconclusive x2 failed 11', 'inconclusive inconclusive x2 failed 11', 'NDFUUUUU'),
-- after a pass only a retraction opens it again: the second one is refused
('passed-failed',    'scheduled', 'due', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'NDCCCCCC'),
-- retractions: back to what the clock says; attempts are kept
('retracted',        'scheduled', 'due', 'done pass', 'due', 'overdue', 'overdue', 'missed', 'missed',               'NDCDOOFF'),
('retracted-late',   'scheduled', 'due', 'done pass', 'done pass', 'done pass', 'overdue', 'missed', 'missed',       'NDCCCOFF'),
('retracted-after',  'scheduled', 'due', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'missed',   'NDCCCCCF'),
('retracted-passed', 'scheduled', 'due', 'done pass', 'done pass x2', 'done pass x2', 'done pass x2', 'done pass x2', 'done pass x2', 'NDCCCCCC'),
('retracted-redone', 'scheduled', 'due', 'done pass', 'done pass', 'done pass', 'late pass x2', 'late pass x2', 'late pass x2', 'NDCCCCCC'),
('fail-retracted',   'scheduled', 'due', 'failed fail failed 11', 'due failed 11', 'overdue failed 11', 'overdue failed 11', 'missed failed 11', 'missed failed 11', 'NDFDOOFF'),
-- the pass goes, the fail before it is the last again
('pass-retracted',   'scheduled', 'due', 'failed fail failed 11', 'done pass x2 failed 11', 'done pass x2 failed 11', 'failed fail x2 failed 11', 'failed fail x2 failed 11', 'failed fail x2 failed 11', 'NDFCCFFF'),
-- reviews (tasks that need one): pending is no delay; a rejection counts as a failure, when it was made
('pending',          'scheduled', 'due', 'done pass pending', 'done pass pending', 'done pass pending', 'done pass pending', 'done pass pending', 'done pass pending', 'NDCCCCCC'),
('accepted',         'scheduled', 'due', 'done pass pending', 'done pass pending', 'done pass pending', 'done pass accepted', 'done pass accepted', 'done pass accepted', 'NDCCCCCC'),
('rejected',         'scheduled', 'due', 'done pass pending', 'done pass pending', 'done pass pending', 'failed pass failed 13 rejected', 'failed pass failed 13 rejected', 'failed pass failed 13 rejected', 'NDCCCFFF'),
('rejected-passed',  'scheduled', 'due', 'done pass pending', 'done pass x2 failed 11 pending', 'done pass x2 failed 11 pending', 'done pass x2 failed 11 pending', 'done pass x2 failed 11 pending', 'done pass x2 failed 11 pending', 'NDCCCCCC'),
('rejected-redone',  'scheduled', 'due', 'done pass pending', 'done pass pending', 'done pass pending', 'late pass x2 failed 13 pending', 'late pass x2 failed 13 pending', 'late pass x2 failed 13 pending', 'NDCCCCCC'),
('rejected-after',   'scheduled', 'due', 'done pass pending', 'done pass pending', 'done pass pending', 'done pass pending', 'done pass pending', 'failed pass failed 20 rejected', 'NDCCCCCF'),
('rejected-gone',    'scheduled', 'due', 'done pass pending', 'failed pass failed 11 rejected', 'overdue failed 11', 'overdue failed 11', 'missed failed 11', 'missed failed 11', 'NDCFOOFF'),
('own-review',       'scheduled', 'due', 'done pass pending', 'done pass pending', 'done pass pending', 'done pass pending', 'done pass pending', 'done pass pending', 'NDCCCCCC'),
-- a review that nobody asked for counts too
('unasked-review',   'scheduled', 'due', 'done pass', 'done pass', 'done pass', 'failed pass failed 13 rejected', 'failed pass failed 13 rejected', 'failed pass failed 13 rejected', 'NDCCCFFF'),
-- waivers of one occurrence; the task is waived when that opens
('waived',           'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived',                   'NWWWWWWW'),
('waived-passed',    'waived', 'waived', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'NWCCCCCC'),
('waived-late',      'waived', 'waived', 'waived', 'waived', 'waived', 'waived pass', 'waived pass', 'waived pass', 'NWWWWWWW'),
('waived-failed',    'waived', 'waived', 'waived fail failed 11', 'waived fail failed 11', 'waived fail failed 11', 'waived fail failed 11', 'waived fail failed 11', 'waived fail failed 11', 'NWWWWWWW'),
('failed-waived',    'scheduled', 'due', 'failed fail failed 11', 'waived fail failed 11', 'waived fail failed 11', 'waived fail failed 11', 'waived fail failed 11', 'waived fail failed 11', 'NDFWWWWW'),
('requested-only',   'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                       'NDDDOOFF'),
('own-waiver',       'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                       'NDDDOOFF'),
('approved-in-time', 'scheduled', 'due', 'due', 'waived', 'waived', 'waived', 'waived', 'waived',                      'NDDWWWWW'),
('approved-at-due',  'scheduled', 'due', 'due', 'due', 'overdue exception', 'overdue exception', 'missed exception', 'missed exception', 'NDDDOOFF'),
('approved-late',    'scheduled', 'due', 'due', 'due', 'overdue', 'overdue exception', 'missed exception', 'missed exception', 'NDDDOOFF'),
('approved-after',   'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed exception',             'NDDDOOFF'),
('approved-passed',  'scheduled', 'due', 'due', 'due', 'overdue', 'late pass exception', 'late pass exception', 'late pass exception', 'NDDDOCCC'),
('waiver-rejected',  'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                       'NDDDOOFF'),
('revoked-before',   'scheduled', 'due', 'waived', 'due', 'overdue', 'overdue', 'missed', 'missed',                    'NDWDOOFF'),
-- what was waived when it was due stays so
('revoked-after',    'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived',                   'NWWWWWWW'),
('expires-before',   'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                       'NDDDOOFF'),
('expires-at-due',   'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                       'NDDDOOFF'),
('expires-just-after','waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived',                   'NWWWWWWW'),
-- waivers of a range: due_at in [since, until)
('range',            'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived',                   'NWWWWWWW'),
('range-to-before',  'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                       'NDDDOOFF'),
('range-to-due',     'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                       'NDDDOOFF'),
('range-to-after',   'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived',                   'NWWWWWWW'),
('range-from-due',   'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived',                   'NWWWWWWW'),
('range-from-after', 'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed',                       'NDDDOOFF'),
('range-late',       'scheduled', 'due', 'due', 'due', 'overdue', 'overdue exception', 'missed exception', 'missed exception', 'NDDDOOFF'),
('range-month',      'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived',                   'NWWWWWWW'),
-- facts of February, when January is closed and rolled up
('passed-month',     'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed pass',                'NDDDOOFC'),
('failed-month',     'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'failed fail failed 10',      'NDDDOOFF'),
('retracted-month',  'scheduled', 'due', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'missed',   'NDCCCCCF'),
('rejected-month',   'scheduled', 'due', 'done pass', 'done pass', 'done pass', 'done pass', 'done pass', 'failed pass failed 10 rejected', 'NDCCCCCF'),
('approved-month',   'scheduled', 'due', 'due', 'due', 'overdue', 'overdue', 'missed', 'missed exception',             'NDDDOOFF'),
('revoked-month',    'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived', 'waived',                   'NWWWWWWW'),
('range-revoked',    'waived', 'waived', 'waived', 'due', 'overdue', 'overdue', 'missed', 'missed',                    'NWWDOOFF');

insert into op (at, task, who, does, says) values
('2024-01-11 09:00+00', 'on-time', 'a', 'complete_task(%o)', null),
('2024-01-10 08:00+00', 'at-opening', 'a', 'complete_task(%o)', null),
('2024-01-12 07:59:59+00', 'last-second', 'a', 'complete_task(%o)', null),
('2024-01-12 08:00+00', 'at-due', 'a', 'complete_task(%o)', null),
('2024-01-13 09:00+00', 'late', 'a', 'complete_task(%o)', null),
('2024-01-15 07:59:59+00', 'last-late', 'a', 'complete_task(%o)', null),
('2024-01-15 08:00+00', 'at-close', 'a', 'complete_task(%o)', null),
('2024-01-16 12:00+00', 'after-close', 'a', 'complete_task(%o)', null),
('2024-01-05 12:00+00', 'early', 'a', 'complete_task(%o)', '%is not open before Wed 2024-01-10 08:00 UTC%'),
('2024-01-10 07:59:59+00', 'early', 'a', 'complete_task(%o)', '%is not open before Wed 2024-01-10 08:00 UTC%'),
('2024-01-11 09:00+00', 'future', 'a', $$complete_task(%o, completed_at => '2024-01-11 09:00:01+00')$$, '%lies ahead%'),
('2024-01-11 09:00+00', 'claim-too-early', 'a', $$complete_task(%o, completed_at => '2024-01-10 07:59:59+00')$$, '%was not open at Wed 2024-01-10 07:59%'),
('2024-01-11 07:00+00', 'claim-at-opening', 'a', $$complete_task(%o, completed_at => '2024-01-10 08:00+00')$$, null),
('2024-01-13 07:00+00', 'claim-within', 'a', $$complete_task(%o, completed_at => '2024-01-12 07:59:59+00')$$, null),
('2024-01-13 07:00+00', 'claim-at-limit', 'a', $$complete_task(%o, completed_at => '2024-01-12 07:00+00')$$, null),
('2024-01-13 07:00+00', 'claim-beyond', 'a', $$complete_task(%o, completed_at => '2024-01-12 06:59:59+00')$$, null),
('2024-01-15 20:00+00', 'recorded-late', 'a', $$complete_task(%o, completed_at => '2024-01-15 07:59:59+00')$$, null),
('2024-01-16 12:00+00', 'recorded-too-late', 'a', $$complete_task(%o, completed_at => '2024-01-15 06:00+00')$$, null),
('2024-01-11 09:00+00', 'failed', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-11 09:00+00', 'failed-passed', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-11 18:00+00', 'failed-passed', 'a', 'complete_task(%o)', null),
('2024-01-11 09:00+00', 'failed-late', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-13 09:00+00', 'failed-late', 'a', 'complete_task(%o)', null),
('2024-01-11 09:00+00', 'failed-after', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-16 09:00+00', 'failed-after', 'a', 'complete_task(%o)', null),
('2024-01-13 09:00+00', 'failed-when-late', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-11 09:00+00', 'partial', 'a', $$complete_task(%o, 'partial')$$, null),
('2024-01-11 09:00+00', 'partial-passed', 'a', $$complete_task(%o, 'partial')$$, null),
('2024-01-11 18:00+00', 'partial-passed', 'a', 'complete_task(%o)', null),
('2024-01-11 09:00+00', 'inconclusive', 'a', $$complete_task(%o, 'inconclusive')$$, null),
('2024-01-11 09:00+00', 'inconcl-passed', 'a', $$complete_task(%o, 'inconclusive')$$, null),
('2024-01-11 18:00+00', 'inconcl-passed', 'a', 'complete_task(%o)', null),
('2024-01-11 09:00+00', 'inconcl-failed', 'a', $$complete_task(%o, 'inconclusive')$$, null),
('2024-01-11 18:00+00', 'inconcl-failed', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-11 09:00+00', 'failed-inconcl', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-11 18:00+00', 'failed-inconcl', 'a', $$complete_task(%o, 'inconclusive')$$, null),
('2024-01-11 09:00+00', 'passed-failed', 'a', 'complete_task(%o)', null),
('2024-01-11 18:00+00', 'passed-failed', 'b', $$complete_task(%o, 'fail')$$, '%'),
('2024-01-13 18:00+00', 'passed-failed', 'b', 'complete_task(%o)', '%'),
('2024-01-11 09:00+00', 'retracted', 'a', 'complete_task(%o)', null),
('2024-01-11 18:00+00', 'retracted', 'a', $$retract_completion(%c, 'wrong server')$$, null),
('2024-01-11 18:00+00', 'retracted', 'a', $$retract_completion(%c, 'wrong server')$$, '%'),
('2024-01-11 09:00+00', 'retracted-late', 'a', 'complete_task(%o)', null),
('2024-01-13 18:00+00', 'retracted-late', 'a', $$retract_completion(%c, 'wrong server')$$, null),
('2024-01-11 09:00+00', 'retracted-after', 'a', 'complete_task(%o)', null),
('2024-01-20 18:00+00', 'retracted-after', 'a', $$retract_completion(%c, 'wrong server')$$, null),
('2024-01-11 09:00+00', 'retracted-passed', 'a', 'complete_task(%o)', null),
('2024-01-11 18:00+00', 'retracted-passed', 'a', $$retract_completion(%c, 'wrong server')$$, null),
('2024-01-11 19:00+00', 'retracted-passed', 'a', 'complete_task(%o)', null),
('2024-01-11 09:00+00', 'retracted-redone', 'a', 'complete_task(%o)', null),
('2024-01-13 18:00+00', 'retracted-redone', 'a', $$retract_completion(%c, 'wrong server')$$, null),
('2024-01-13 19:00+00', 'retracted-redone', 'a', 'complete_task(%o)', null),
('2024-01-11 09:00+00', 'fail-retracted', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-11 18:00+00', 'fail-retracted', 'a', $$retract_completion(%c, 'wrong server')$$, null),
('2024-01-11 09:00+00', 'pass-retracted', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-11 18:00+00', 'pass-retracted', 'a', 'complete_task(%o)', null),
('2024-01-13 18:00+00', 'pass-retracted', 'a', $$retract_completion(%c, 'wrong server')$$, null),
('2024-01-11 09:00+00', 'pending', 'a', 'complete_task(%o)', null),
('2024-01-11 09:00+00', 'accepted', 'a', 'complete_task(%o)', null),
('2024-01-13 18:00+00', 'accepted', 'b', $$review_completion(%c, 'accepted')$$, null),
('2024-01-11 09:00+00', 'rejected', 'a', 'complete_task(%o)', null),
('2024-01-13 18:00+00', 'rejected', 'b', $$review_completion(%c, 'rejected', 'no log')$$, null),
('2024-01-11 09:00+00', 'rejected-passed', 'a', 'complete_task(%o)', null),
('2024-01-11 18:00+00', 'rejected-passed', 'b', $$review_completion(%c, 'rejected', 'no log')$$, null),
('2024-01-11 19:00+00', 'rejected-passed', 'a', 'complete_task(%o)', null),
('2024-01-11 09:00+00', 'rejected-redone', 'a', 'complete_task(%o)', null),
('2024-01-13 18:00+00', 'rejected-redone', 'b', $$review_completion(%c, 'rejected', 'no log')$$, null),
('2024-01-14 09:00+00', 'rejected-redone', 'a', 'complete_task(%o)', null),
('2024-01-11 09:00+00', 'rejected-after', 'a', 'complete_task(%o)', null),
('2024-01-20 18:00+00', 'rejected-after', 'b', $$review_completion(%c, 'rejected', 'no log')$$, null),
('2024-01-11 09:00+00', 'rejected-gone', 'a', 'complete_task(%o)', null),
('2024-01-11 18:00+00', 'rejected-gone', 'b', $$review_completion(%c, 'rejected', 'no log')$$, null),
('2024-01-12 08:00+00', 'rejected-gone', 'a', $$retract_completion(%c, 'wrong server')$$, null),
('2024-01-11 09:00+00', 'own-review', 'a', 'complete_task(%o)', null),
('2024-01-11 18:00+00', 'own-review', 'a', $$review_completion(%c, 'accepted')$$, '%'),
('2024-01-11 09:00+00', 'unasked-review', 'a', 'complete_task(%o)', null),
('2024-01-13 18:00+00', 'unasked-review', 'b', $$review_completion(%c, 'rejected', 'no log')$$, null);
insert into op (at, task, who, does)
select '2024-01-05 12:00+00'::timestamptz, t, 'a', $$request_waiver(%o, 'migration', '2024-02-01 00:00+00')$$
from unnest('{waived,waived-passed,waived-late,waived-failed,failed-waived,requested-only,own-waiver,approved-in-time,approved-at-due,approved-late,approved-after,approved-passed,waiver-rejected,revoked-before,revoked-after}'::text[]) t
union all
select '2024-01-05 12:00+00', t, 'a', $$request_waiver(%o, 'migration', '2024-03-01 00:00+00')$$ from unnest('{approved-month,revoked-month}'::text[]) t
union all
select '2024-01-05 18:00+00', t, 'b', 'approve_waiver(%w)' from unnest('{waived,waived-passed,waived-late,waived-failed,revoked-after,expires-just-after,range,range-to-before,range-to-due,range-to-after,range-from-due,range-from-after,range-revoked,range-month,revoked-month}'::text[]) t;
insert into op (at, task, who, does, says) values
('2024-01-11 09:00+00', 'waived-passed', 'a', 'complete_task(%o)', null),
('2024-01-13 09:00+00', 'waived-late', 'a', 'complete_task(%o)', null),
('2024-01-11 09:00+00', 'waived-failed', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-11 09:00+00', 'failed-waived', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-11 18:00+00', 'failed-waived', 'b', 'approve_waiver(%w)', null),
('2024-01-05 18:00+00', 'own-waiver', 'a', 'approve_waiver(%w)', '%'),
('2024-01-12 07:59:59+00', 'approved-in-time', 'b', 'approve_waiver(%w)', null),
('2024-01-12 08:00+00', 'approved-at-due', 'b', 'approve_waiver(%w)', null),
('2024-01-13 09:00+00', 'approved-late', 'b', 'approve_waiver(%w)', null),
('2024-01-20 09:00+00', 'approved-after', 'b', 'approve_waiver(%w)', null),
('2024-01-13 09:00+00', 'approved-passed', 'b', 'approve_waiver(%w)', null),
('2024-01-13 10:00+00', 'approved-passed', 'a', 'complete_task(%o)', null),
('2024-01-11 09:00+00', 'waiver-rejected', 'b', $$reject_waiver(%w, 'not needed')$$, null),
('2024-01-11 10:00+00', 'waiver-rejected', 'b', 'approve_waiver(%w)', '%'),
('2024-01-11 09:00+00', 'revoked-before', 'b', 'approve_waiver(%w)', null),
('2024-01-11 18:00+00', 'revoked-before', 'b', $$revoke_waiver(%w, 'migration is off')$$, null),
('2024-01-13 18:00+00', 'revoked-after', 'b', $$revoke_waiver(%w, 'migration is off')$$, null),
('2024-01-05 12:00+00', 'expires-before', 'a', $$request_waiver(%o, 'migration', '2024-01-12 07:59:59+00')$$, '%'),
('2024-01-05 12:00+00', 'expires-at-due', 'a', $$request_waiver(%o, 'migration', '2024-01-12 08:00+00')$$, '%'),
('2024-01-05 12:00+00', 'expires-just-after', 'a', $$request_waiver(%o, 'migration', '2024-01-12 08:00:01+00')$$, null),
('2024-01-05 12:00+00', 'range', 'a', $$request_waiver('life', 'range', 'migration', '2024-01-05 12:00+00', '2024-02-01 00:00+00')$$, null),
('2024-01-05 12:00+00', 'range-to-before', 'a', $$request_waiver('life', 'range-to-before', 'migration', '2024-01-05 12:00+00', '2024-01-12 07:59:59+00')$$, null),
('2024-01-05 12:00+00', 'range-to-due', 'a', $$request_waiver('life', 'range-to-due', 'migration', '2024-01-05 12:00+00', '2024-01-12 08:00+00')$$, null),
('2024-01-05 12:00+00', 'range-to-after', 'a', $$request_waiver('life', 'range-to-after', 'migration', '2024-01-05 12:00+00', '2024-01-12 08:00:01+00')$$, null),
('2024-01-05 12:00+00', 'range-from-due', 'a', $$request_waiver('life', 'range-from-due', 'migration', '2024-01-12 08:00+00', '2024-02-01 00:00+00')$$, null),
('2024-01-05 12:00+00', 'range-from-after', 'a', $$request_waiver('life', 'range-from-after', 'migration', '2024-01-12 08:00:01+00', '2024-02-01 00:00+00')$$, null),
('2024-01-05 12:00+00', 'range-revoked', 'a', $$request_waiver('life', 'range-revoked', 'migration', '2024-01-05 12:00+00', '2024-02-01 00:00+00')$$, null),
('2024-01-05 12:00+00', 'range-late', 'a', $$request_waiver('life', 'range-late', 'migration', '2024-01-05 12:00+00', '2024-02-01 00:00+00')$$, null),
('2024-01-13 18:00+00', 'range-late', 'b', 'approve_waiver(%w)', null),
('2024-01-05 12:00+00', 'range-month', 'a', $$request_waiver('life', 'range-month', 'migration', '2024-01-12 00:00+00', '2024-03-01 00:00+00')$$, null),
('2024-02-10 09:00+00', 'range-month', 'b', $$revoke_waiver(%w, 'migration is off')$$, null),
('2024-02-10 09:00+00', 'passed-month', 'a', 'complete_task(%o)', null),
('2024-02-10 09:00+00', 'failed-month', 'a', $$complete_task(%o, 'fail')$$, null),
('2024-01-11 09:00+00', 'retracted-month', 'a', 'complete_task(%o)', null),
('2024-02-10 09:00+00', 'retracted-month', 'a', $$retract_completion(%c, 'wrong server')$$, null),
('2024-01-11 09:00+00', 'rejected-month', 'a', 'complete_task(%o)', null),
('2024-02-10 09:00+00', 'rejected-month', 'b', $$review_completion(%c, 'rejected', 'no log')$$, null),
('2024-02-10 09:00+00', 'approved-month', 'b', 'approve_waiver(%w)', null),
('2024-02-10 09:00+00', 'revoked-month', 'b', $$revoke_waiver(%w, 'migration is off')$$, null),
('2024-01-16 10:00+00', 'claim-3-days', 'su', $$set maintsched.max_backdate = '3d'$$, null),
('2024-01-16 11:00+00', 'claim-3-days', 'a', $$complete_task(%o, completed_at => '2024-01-13 11:00+00')$$, null),
('2024-01-16 11:00+00', 'claim-3-days', 'su', $$set maintsched.max_backdate = '1d'$$, null),
('2024-01-11 18:00+00', 'range-revoked', 'b', $$revoke_waiver(%w, 'migration is off')$$, null);

select maintsched.import_calendar(pg_temp.document('life', jsonb_agg(jsonb_build_object('name', task, 'title', task, 'teams', '["DBA"]'::jsonb, 'kind', 'manual',
	'rule', 'FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=10', 'starts_on', '2024-01-10T08:00:00', 'due_within', 'P2D', 'grace', 'P3D', 'controls', '[]'::jsonb,
	'review', task in ('pending', 'accepted', 'rejected', 'rejected-passed', 'rejected-redone', 'rejected-after', 'rejected-gone', 'own-review')))))
from life;
insert into ids select name, task_id from maintsched.task where calendar = 'life';
-- each wide row becomes eight wanted statuses, and what follows from them
insert into wanted select 'occurrence', task, 1, c.at, to_jsonb(life) ->> c.name from life, clocks c;
insert into wanted select 'task', task, 1, c.at,
	('{"N": "not_started", "D": "due", "O": "overdue", "F": "failing", "C": "compliant", "W": "waived", "U": "unknown"}'::jsonb) ->> substr(task_at, c.i::int, 1)
from life, (select *, row_number() over (order by at) as i from clocks) c;
-- listed as long as it is open and neither passed nor waived
insert into wanted select 'due', task, n, at,
	case when split_part(value, ' ', 1) in ('due', 'overdue', 'failed', 'inconclusive') and at < '2024-01-15 08:00+00' then split_part(value, ' ', 1) else '-' end
from wanted where what = 'occurrence';
-- the month has the occurrence from due_at on, under its status
insert into wanted select 'months', task, n, at,
	case when at < '2024-01-12 08:00+00' then '-'
	else concat_ws(' ', '2024-01: 1', split_part(value, ' ', 1) || ' 1', case when value like '%backdated%' then 'backdated 1' end,
		case split_part(value, ' ', 1) when 'done' then 'rate 1' when 'waived' then null else 'rate 0' end) end
from wanted where what = 'occurrence';
-- what the calendar's January is, counted in the rows above
insert into wanted select 'calendar months', 'life', 1, at, case when at < '2024-01-12 08:00+00' then '-' else concat_ws(' ', '2024-01:', count(*),
	'done ' || nullif(count(*) filter (where value like 'done%'), 0), 'late ' || nullif(count(*) filter (where value like 'late%'), 0),
	'failed ' || nullif(count(*) filter (where value like 'failed%'), 0), 'inconclusive ' || nullif(count(*) filter (where value like 'inconclusive%'), 0),
	'missed ' || nullif(count(*) filter (where value like 'missed%'), 0), 'overdue ' || nullif(count(*) filter (where value like 'overdue%'), 0),
	'waived ' || nullif(count(*) filter (where value like 'waived%'), 0), 'backdated ' || nullif(count(*) filter (where value like '%backdated%'), 0),
	'rate ' || trim_scale(round(count(*) filter (where value like 'done%')::numeric / count(*) filter (where value not like 'waived%'), 4))) end
from wanted where what = 'occurrence' and task in (select task from life) group by at;
-- somebody calls tick() now and then: after the close of the first cases and
-- before what is recorded later, then once a month
insert into op (at, task, who, does) select at, 'tick', 'su', 'tick()'
from unnest('{2024-01-16 00:00+00}'::timestamptz[] || array(select generate_series(timestamptz '2024-02-01 06:00+00', '2024-03-01 06:00+00', '1 month'))) at;

-- As it goes by, then back in time, after closing and rolling up, and again
-- from nothing.
call pg_temp.live();
call pg_temp.back('back');
set maintsched.now = '2024-04-01 00:00+00';
select maintsched.tick() is not null as ticked;
call pg_temp.back('rolled up');
reset maintsched.now;
select maintsched.rebuild_rollups();
set maintsched.now = '2024-04-01 00:00+00';
call pg_temp.back('rebuilt');

-- Whatever is not as wanted: calls that went wrong or did not, then rows.
select at, task, who, does, says, error from op where (error is null) <> (says is null) or error not like says order by at;
select phase, what, task, n, to_char(at, 'YYYY-MM-DD HH24:MI:SS') as at, wanted, got from wrong order by phase, what, task, wrong.at;
-- What was refused, and how much was judged.
select task, does, error from op where says is not null order by at, seq;
select what, count(*), count(distinct task) as cases from wanted group by what order by what;

set client_min_messages = warning;
reset maintsched.now;
drop extension maintsched;
drop role regress_maintsched_a, regress_maintsched_b;
create extension maintsched;
