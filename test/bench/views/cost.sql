--
-- What doing, closing and rolling up cost per occurrence: 1,000 of as many
-- tasks.  They are put where no rule has one, and closed by moving closes_at.
--

do $$
begin
	insert into bench.result (what, ms)
	values ('tick() with nothing to do', bench.time('select maintsched.tick()'));
end
$$;

create table bench.cost as
with put as (
	insert into maintsched.occurrence (
		task_id, version, local_start, timezone, opens_at, due_at, closes_at, planned_at, simulated)
	select t.task_id, (select max(v.version) from maintsched.task_version v where v.task_id = t.task_id),
		(statement_timestamp() at time zone c.timezone) - interval '2 hours', c.timezone,
		statement_timestamp() - interval '2 hours', statement_timestamp() - interval '1 hour', statement_timestamp() + interval '1 day',
		statement_timestamp(), false
	from maintsched.task t
	join maintsched.calendar c on c.name = t.calendar
	where t.checklist = '[]' and not t.review and t.enabled and t.retired_at is null and t.cadence = 'daily'
	order by t.task_id * 7919 % 5003
	limit 1000
	returning occurrence_id, task_id, opens_at
)
select p.*, null::bigint as completion_id from put p;

do $$
declare
	began constant timestamptz := clock_timestamp();
	c bench.cost;
begin
	for c in select * from bench.cost loop
		update bench.cost b
		set completion_id = maintsched.complete_task(c.occurrence_id, completed_at => c.opens_at + interval '30 minutes')
		where b.occurrence_id = c.occurrence_id;
	end loop;
	perform bench.note('complete_task()', began, 1000);
end
$$;

set session_replication_role = replica;
update maintsched.occurrence o
set closes_at = statement_timestamp() - interval '1 minute'
from bench.cost c
where c.occurrence_id = o.occurrence_id;
reset session_replication_role;

do $$
declare
	began constant timestamptz := clock_timestamp();
begin
	perform maintsched.tick();
	perform bench.note('tick() closes and rolls up', began, 1000);
end
$$;

do $$
declare
	began constant timestamptz := clock_timestamp();
begin
	perform maintsched.retract_completion(c.completion_id, 'bench')
	from (select * from bench.cost order by occurrence_id limit 200) c;
	perform bench.note('retract_completion() after closing', began, 200);
end
$$;

do $$
declare
	began constant timestamptz := clock_timestamp();
begin
	perform maintsched.tick();
	perform bench.note('tick() rolls up months owed', began, 200);
end
$$;

do $$
begin
	if exists (select from bench.cost c join maintsched.occurrence o using (occurrence_id) where o.closed_at is null) then
		raise exception 'tick() did not close all';
	end if;
	if exists (select from maintsched.rollup_owed) then
		raise exception 'tick() left months owed';
	end if;
end
$$;
