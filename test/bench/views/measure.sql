--
-- How long a query takes, and whether the raw rows say the same
--
-- A query is planned, run and its rows turned into text each time, by
-- COPY (query) TO '/dev/null' in the server: all that psql waits for but the
-- way over the socket.
--

create schema bench;

create table bench.result (
	result_id integer generated always as identity,
	what text,
	bound numeric,
	ms numeric,
	raw_ms numeric,
	equal boolean,
	per numeric,
	note text
);

create function bench.time(query text, runs integer default 5) returns numeric
language plpgsql
as $$
declare
	began timestamptz;
	took numeric[] := '{}';
begin
	for run in 0 .. runs loop
		began := clock_timestamp();
		execute format('copy (%s) to ''/dev/null''', query);
		if run > 0 then
			took := took || extract(epoch from clock_timestamp() - began) * 1000;
		end if;
	end loop;
	return (select percentile_cont(0.5) within group (order by t::double precision) from unnest(took) t);
end
$$;

comment on function bench.time(text, integer) is
'Milliseconds that a query takes: the median of so many runs after one that warms up.';

-- The raw rows are read once, with the memory that hash joins over all of
-- history like to have.  All of it is one statement, so that clock() stands.
create procedure bench.measure(what text, bound numeric, query text, columns text default null, raw text default null)
language plpgsql
as $$
declare
	work_mem constant text := current_setting('work_mem');
	began timestamptz;
	ms numeric;
	raw_ms numeric;
	equal boolean;
	rows bigint;
begin
	ms := bench.time(query);
	if raw is not null then
		perform set_config('work_mem', '512MB', true);
		began := clock_timestamp();
		execute format('create temp table raw on commit drop as select %s from (%s) q', columns, raw);
		raw_ms := extract(epoch from clock_timestamp() - began) * 1000;
		perform set_config('work_mem', work_mem, true);
		execute format('create temp table fast on commit drop as select %s from (%s) q', columns, query);
		select (select count(*) from fast) = (select count(*) from raw)
			and not exists (select from (select * from fast except select * from raw) d)
			and not exists (select from (select * from raw except select * from fast) d)
		into equal;
		select count(*) into rows from fast;
		if not equal then
			create table if not exists bench.differs (what text, side text, line text);
			insert into bench.differs
			(select what, 'view', d::text from (select * from fast except select * from raw) d limit 20)
			union all
			(select what, 'raw', d::text from (select * from raw except select * from fast) d limit 20);
		end if;
		drop table raw, fast;
	end if;
	insert into bench.result (what, bound, ms, raw_ms, equal, note)
	values (what, bound, ms, raw_ms, equal, rows || ' rows');
end
$$;

comment on procedure bench.measure(text, numeric, text, text, text) is
'Notes the time of a query and that of the raw one, and whether these columns of both are the same.';

-- PER things in one go, in a statement of its own
create function bench.note(what text, began timestamptz, per numeric) returns void
language sql
as $$
	insert into bench.result (what, ms, per, note)
	values (what, extract(epoch from clock_timestamp() - began) * 1000, per,
		round(extract(epoch from clock_timestamp() - began) * 1e6 / per) || ' us each of ' || per)
$$;

create table bench.view (
	name text,
	bound numeric,
	columns text
);

insert into bench.view
values ('due_tasks', 50, 'occurrence_id, calendar, task, status, due_at, missed_before'),
	('task_status', 50, 'calendar, task, status, last_done_at, last_outcome, next_due_at, open_count, on_time_rate, late_12m, missed_12m'),
	('compliance_status', 50, 'framework, control, status, ok, tasks, compliant, due, overdue, failing, unknown,
		waived, not_started, disabled, last_evidence_at, next_due_at, on_time_rate'),
	('compliance_by_calendar', 50, 'calendar, framework, control, status, ok, tasks, compliant, due, overdue, failing, unknown,
		waived, not_started, disabled, last_evidence_at, next_due_at, on_time_rate'),
	('compliance_monthly', 50, '*'),
	('control_monthly', 50, '*'),
	('task_monthly', null, '*');

create procedure bench.measure_views(suffix text)
language plpgsql
as $$
declare
	v bench.view;
begin
	for v in select * from bench.view loop
		call bench.measure(v.name || suffix, v.bound, 'select * from maintsched.' || v.name,
			v.columns, 'select * from bench.raw_' || v.name);
	end loop;
end
$$;
