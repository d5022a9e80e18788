--
-- 43_estimate: how long an action will take, by what the same and others took
--

create function maintsched.part_of(routine text, details jsonb) returns text
language sql immutable parallel safe
return case when routine = 'optimize' then coalesce(details ->> 'routine', routine) else routine end;

comment on function maintsched.part_of(text, jsonb) is
'Internal: The routine whose action this is: optimize is made of others.';

create function maintsched.estimate_seconds(routine text, target text, command text, estimated_seconds numeric, bytes numeric) returns numeric
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return (
		select coalesce(
			-- how long the same took, nine times of ten
			(select percentile_disc(0.9) within group (order by h.seconds)
			from (
				select extract(epoch from a.finished_at - a.started_at) as seconds
				from maintsched.run_action a
				join maintsched.run r using (run_id)
				where md5(a.target) = md5(estimate_seconds.target) and a.target = estimate_seconds.target and a.command = estimate_seconds.command
				and a.state = 'done' and maintsched.part_of(r.routine, a.details) = estimate_seconds.routine
				order by a.run_id desc
				limit 20) h),
			-- else how fast others went, nine times of ten
			(select round(estimate_seconds.bytes / nullif(percentile_disc(0.1) within group (order by h.speed), 0), 3)
			from (
				select a.bytes / nullif(a.seconds, 0) as speed
				from (
					-- in this order, so that the runs after the first hundred actions are not looked at
					select x.run_id, n.n
					from unnest(array[estimate_seconds.routine, 'optimize']) n
					cross join lateral (
						select y.run_id
						from maintsched.run y
						where estimate_seconds.bytes is not null and y.routine = n.n
						order by y.run_id desc
						limit 50) x
					order by x.run_id desc
					limit 100) r
				cross join lateral (
					select (x.details ->> 'bytes')::numeric as bytes, extract(epoch from x.finished_at - x.started_at) as seconds
					from maintsched.run_action x
					where x.run_id = r.run_id and x.state = 'done' and x.details ->> 'bytes' ~ '^[0-9]{1,18}$'
					and coalesce(x.details ->> 'routine', '') = case r.n when 'optimize' then estimate_seconds.routine else '' end
					-- small ones say little about large ones
					and (x.details ->> 'bytes')::numeric >= estimate_seconds.bytes / 16
					order by (x.details ->> 'bytes')::numeric
					limit 100) a
				order by r.run_id desc
				limit 100) h),
			estimated_seconds));
end
$$;

comment on function maintsched.estimate_seconds(text, text, text, numeric, numeric) is
'Internal: How many seconds an action will take: the 90th percentile of the last 20 times, else its bytes at the speed that 90 % of the last 100 actions of the routine reached that were not much smaller, of a run the nearest in size, else what its plan function says.';
