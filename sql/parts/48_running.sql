--
-- 48_running: what runs now, how far it is, how long it will take
--

create function maintsched.progress_share(report text, p jsonb) returns numeric
language sql immutable parallel safe
return (
	with share as (
		select (p ->> 'heap_blks_scanned')::numeric / nullif((p ->> 'heap_blks_total')::numeric, 0) as heap,
			(p ->> 'sample_blks_scanned')::numeric / nullif((p ->> 'sample_blks_total')::numeric, 0) as sample,
			coalesce((p ->> 'tuples_done')::numeric / nullif((p ->> 'tuples_total')::numeric, 0),
				(p ->> 'blocks_done')::numeric / nullif((p ->> 'blocks_total')::numeric, 0), 0) as index,
			(p ->> 'bytes_processed')::numeric / nullif((p ->> 'bytes_total')::numeric, 0) as bytes,
			p ->> 'phase' as phase,
			coalesce(p ->> 'command', '') like '% CONCURRENTLY' as concurrently
	)
	select case when x.share is not null then round(least(greatest(x.share, 0), 0.99), 3) end
	from share s
	cross join lateral (
		select case
			when s.phase = 'initializing' then 0
			when report = 'analyze' then
				case when s.phase like 'acquiring %' then s.sample else 0.95 end
			when report = 'vacuum' then s.heap * 0.95
			when report = 'create_index' then
				case
					when not s.concurrently then s.index
					when s.phase like 'building index%' then s.index * 0.6
					when s.phase = 'waiting for writers before build' then 0
					when s.phase = 'waiting for writers before validation' then 0.6
					when s.phase = 'index validation: scanning index' then 0.6 + s.index * 0.1
					when s.phase = 'index validation: sorting tuples' then 0.7
					when s.phase = 'index validation: scanning table' then 0.7 + s.index * 0.25
					when s.phase like 'waiting for %' then 0.95
				end
			when report in ('cluster', 'repack') then
				case
					when s.phase = 'seq scanning heap' then s.heap * 0.6
					when s.phase in ('sorting tuples', 'writing new heap') then 0.7
					when s.phase = 'swapping relation files' then 0.75
					when s.phase = 'rebuilding index' then 0.8
					when s.phase = 'performing final cleanup' then 0.95
				end
			when report = 'copy' then s.bytes
			end as share) x);

comment on function maintsched.progress_share(text, jsonb) is
'Internal: From a row of pg_stat_progress_*, how much of the command is done, 0 to 0.99; NULL: it does not say.';

create function maintsched.run_progress()
returns table (run_id bigint, relation text, phase text, share numeric)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	report text;
	pids integer[];
begin
	select array_agg(r.pid) into pids
	from maintsched.run r
	where r.state = 'running' and r.pid is not null;
	if pids is null then
		return;
	end if;
	-- which reports there are, and their columns, differs between versions
	for report in
		select c.relname
		from pg_class c
		where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind = 'v'
		and starts_with(c.relname, 'pg_stat_progress_')
	loop
		return query execute format(
			'select r.run_id, (p.p ->> ''relid'')::oid::regclass::text,
				coalesce(p.p ->> ''phase'', lower(p.p ->> ''command'')),
				maintsched.progress_share(%L, p.p)
			from (select to_jsonb(x) as p from pg_catalog.%I x where x.pid = any ($1)) p
			join maintsched.run r on r.pid = (p.p ->> ''pid'')::integer and r.state = ''running''
			where p.p ->> ''datname'' = current_database()',
			replace(report, 'pg_stat_progress_', ''), report)
		using pids;
	end loop;
	-- of a verification most is comparing checksums
	return query
		select r.run_id, null::text, v.phase,
			case when v.phase = 'comparing checksums' and v.bytes_total > 0
				then round(least(v.bytes_done::numeric / v.bytes_total, 0.99), 3)
				-- which comes last
				when v.phase = 'reading WAL' then 0.99
				else 0 end
		from maintsched.verify_progress() v
		join maintsched.run r on r.pid = v.pid and r.state = 'running';
end
$$;

comment on function maintsched.run_progress() is
'Internal: What the server says of the commands that runs carry out now, and verifications of themselves: relation, phase, share that is done.';

create view maintsched.running as
with live as (
	select r.run_id, r.routine, r.window_closes_at, r.stop_requested,
		extract(epoch from statement_timestamp() + coalesce(r.clock_offset, '0') - r.started_at) as elapsed,
		a.*
	from maintsched.run r
	cross join lateral (
		select count(*) as actions,
			max(x.target) filter (where x.state = 'running') as target,
			min(x.started_at) filter (where x.state = 'running') as began_at,
			count(x.estimated_seconds) > 0 as estimated,
			sum(greatest(coalesce(x.estimated_seconds, 1), 0.01)) as whole,
			coalesce(sum(greatest(coalesce(x.estimated_seconds, 1), 0.01))
				filter (where x.state in ('done', 'skipped', 'failed')), 0) as done,
			coalesce(sum(greatest(coalesce(x.estimated_seconds, 1), 0.01))
				filter (where x.state = 'running'), 0) as current,
			max(x.estimated_seconds) filter (where x.state = 'running') as expected,
			extract(epoch from statement_timestamp() + coalesce(r.clock_offset, '0')
				- min(x.started_at) filter (where x.state = 'running')) as action_elapsed
		from maintsched.run_action x
		where x.run_id = r.run_id) a
	where r.state = 'running'
), judged as (
	select l.*, p.phase,
		(l.done + l.current * coalesce(
			-- of a parent's partitions each is reported by itself
			case when p.relation = l.target or p.phase not like 'acquiring %' then p.share end,
			case when l.expected > 0 then least(l.action_elapsed / l.expected, 0.95) end, 0)) / nullif(l.whole, 0) as share
	from live l
	left join lateral (
		select x.phase, x.relation, x.share
		from maintsched.run_progress() x
		where x.run_id = l.run_id
		order by x.share desc nulls last
		limit 1) p on true
)
select j.run_id, j.routine, j.target,
	case
		when j.stop_requested is not null then 'stopping'
		when j.actions = 0 then 'planning'
		when j.target is null then 'between actions'
		else coalesce(j.phase, 'running')
	end as phase,
	round(100 * j.share, 1) as percent,
	round(j.elapsed)::bigint as elapsed_seconds,
	round(case
		when j.share >= 0.01 then j.elapsed * (1 - j.share) / j.share
		when j.estimated then greatest(j.whole - j.done, 0)
	end)::bigint as eta_seconds,
	j.window_closes_at
from judged j;

comment on view maintsched.running is 'What runs now, how far it is, and how long it will take.';
comment on column maintsched.running.run_id is 'The run.';
comment on column maintsched.running.routine is 'Its routine.';
comment on column maintsched.running.target is 'What it works on; NULL: it plans, or is between two actions.';
comment on column maintsched.running.phase is 'planning, between actions, stopping, or what the server reports of the command (pg_stat_progress_*); running where it reports nothing.';
comment on column maintsched.running.percent is 'How much of all its actions is done: by what the server reports of the current one, else by the estimates; NULL: not known yet.';
comment on column maintsched.running.elapsed_seconds is 'Seconds since it started.';
comment on column maintsched.running.eta_seconds is 'Seconds that it will still take at the pace so far, at first by the estimates; NULL: not known.';
comment on column maintsched.running.window_closes_at is 'When it will be stopped; NULL: no window limits it.';
