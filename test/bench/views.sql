--
-- views: what people read, over :n closed occurrences of 5,000 tasks, against
-- the same from the raw rows
--
-- For the speed: medians of 5, warm.  Only a difference in what they say is a
-- failure.  BENCH_OCCURRENCES says how many.
--
set client_min_messages = warning;
set synchronous_commit = off;
set timezone = 'UTC';
create extension maintsched;

\ir views/measure.sql
\ir views/load.sql
insert into bench.result (what, ms, note)
select 'load', extract(epoch from clock_timestamp() - s.loaded_at) * 1000, count(*) filter (where o.closed_at is not null) || ' closed of ' || count(*)
from bench.span s, maintsched.occurrence o
group by s.loaded_at;
vacuum analyze;

-- as after a restore
do $$
declare
	began constant timestamptz := clock_timestamp();
begin
	perform maintsched.resume('all');
	perform bench.note('resume(''all'') after the restore', began, (select count(*) from maintsched.occurrence o where o.closed_at is not null));
end
$$;
do $$
declare
	began constant timestamptz := clock_timestamp();
begin
	perform maintsched.tick();
	perform bench.note('the first tick(): plans all tasks', began, (select count(*) from maintsched.task));
end
$$;

-- a few are not asked for any more
update maintsched.task set enabled = false where task_id % 500 = 11;
select maintsched.retire_task(calendar, name, 'bench') from maintsched.task where task_id % 1000 = 13 \g /dev/null

vacuum analyze;
\ir views/cost.sql
vacuum analyze;

\ir views/raw.sql

call bench.measure_views('');
call bench.measure('task_monthly of 12 months', 150,
	'select * from maintsched.task_monthly where month > date_trunc(''month'', maintsched.clock())::date - interval ''12 months''',
	'*', 'select * from bench.raw_task_monthly where month > date_trunc(''month'', maintsched.clock())::date - interval ''12 months''');
call bench.measure('task_monthly of one task', 5,
	'select * from maintsched.task_monthly where calendar = ''bench-05'' and task = ''daily-42''');
call bench.measure('task_monthly of a calendar''s month', 5,
	'select * from maintsched.task_monthly where calendar = ''bench-05'' and month = date_trunc(''month'', maintsched.clock() - interval ''3 days'')::date');

-- six years of the control that most tasks serve
do $$
declare
	cited text;
	began timestamptz;
	rows bigint;
begin
	select c into cited
	from maintsched.task t cross join lateral unnest(t.controls) c
	group by c order by count(*) desc, c limit 1;
	began := clock_timestamp();
	execute format('copy (select * from maintsched.evidence_for(%L, %L, now() - interval ''6 years'', now())) to ''/dev/null''',
		split_part(cited, ' ', 1), substr(cited, strpos(cited, ' ') + 1));
	get diagnostics rows = row_count;
	insert into bench.result (what, ms, note)
	values ('evidence_for() of six years', extract(epoch from clock_timestamp() - began) * 1000, rows || ' rows of ' || cited);
end
$$;

-- the same while months are owed: facts came after the closing, and no tick() since
select :n <= 1000000 as small \gset
\if :small
do $$
begin
	perform maintsched.retract_completion(c.completion_id, 'bench')
	from (select * from bench.cost order by occurrence_id offset 200 limit 20) c;
	perform maintsched.complete_task(o.occurrence_id, 'fail')
	from (
		select o.*
		from maintsched.occurrence o
		join maintsched.task t using (task_id)
		where o.closed_at is not null and o.facts = 0 and t.retired_at is null
		order by o.due_at desc
		limit 20) o;
end
$$;
call bench.measure_views(', months owed');
\endif

select r.what, round(r.ms, 1) as ms, r.bound, case when r.ms > r.bound then 'over' end as "over",
	round(r.raw_ms) as raw_ms, round(r.raw_ms / r.ms) as ratio, r.equal, r.note
from bench.result r
order by r.result_id;

do $$
begin
	if exists (select from bench.result r where not r.equal) then
		raise exception 'views do not say what the raw rows say: %',
			(select string_agg(r.what, ', ') from bench.result r where not r.equal)
			using hint = 'Table bench.differs has lines of both.';
	end if;
end
$$;
