--
-- 63_verify_plan: what the routine backup_verify is to do
--
-- One action for each repository: they are read and judged apart, and one that
-- fails does not keep the others from their turn.
--

create function maintsched.verify_costs(repositories text[])
returns table (name text, kind text, verified_at timestamptz, bytes numeric, speed numeric)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	also_simulated constant boolean := maintsched.clock_simulated();
begin
	return query
		with past as materialized (
			select c.repository, c.label, c.clock_at, (c.facts ->> 'bytes_read')::numeric as bytes, c.seconds
			from maintsched.backup_check c
			where c.level = 7 and c.result in ('pass', 'fail') and c.repository = any (repositories)
			and c.clock_at <= maintsched.clock() and (also_simulated or not c.simulated)
			and c.facts ->> 'bytes_read' ~ '^[0-9]{1,18}$'
			order by c.check_id desc
			limit 200
		)
		select r.name, r.kind,
			(select max(p.clock_at) from past p where p.repository = r.name),
			coalesce((
				select case when r.kind = 'pgbackrest' then sum(b.stored_bytes) else max(b.size_bytes) end
				from maintsched.current_backups(r.name) b
				where b.state = 'done'), 0),
			-- nine of ten were as fast
			coalesce((
				select percentile_disc(0.1) within group (order by p.bytes / p.seconds)
				from past p
				where p.repository = r.name and p.seconds > 0 and p.bytes > 10000000), 100000000)
		from maintsched.repository r
		where r.name = any (repositories);
end
$$;

comment on function maintsched.verify_costs(text[]) is
'Internal: When repositories were last verified to level 7, how many bytes that reads, and how many a second: as nine of ten of the last verifications, 100 MB where there were none.';

create function maintsched.verify_targets(params jsonb) returns setof text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	wanted constant jsonb := nullif(params -> 'repository', 'null');
	name text;
begin
	if wanted is null then
		return query select r.name from maintsched.repositories_to_verify(null) r;
		return;
	end if;
	for name in
		select distinct e.value
		from jsonb_array_elements_text(case when jsonb_typeof(wanted) = 'array' then wanted else jsonb_build_array(wanted) end) e
	loop
		return query select r.name from maintsched.repositories_to_verify(name) r;
	end loop;
end
$$;

comment on function maintsched.verify_targets(jsonb) is
'Internal: The repositories that parameters of routine backup_verify mean. Errors: undefined_object (42704), no_data_found (P0002).';

create function maintsched.plan_backup_verify(params jsonb) returns setof maintsched.action
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	level constant integer := coalesce((params ->> 'level')::integer, 7);
	backups constant text := coalesce(params ->> 'backups', 'latest');
	at constant timestamptz := maintsched.clock();
begin
	perform maintsched.check_params('backup_verify', params);
	return query
	select c.name,
		format('call maintsched.verify_repository(%L, %s, %L)', c.name, level, backups),
		format('%s, %s, level %s', c.kind, case backups when 'latest' then 'the latest backup' when 'all' then 'all backups'
			else 'backup ' || backups end, level)
			|| case
				when level < 7 then ''
				when c.verified_at is null then ', never verified'
				else format(', last verified %s ago', maintsched.age_text(at - c.verified_at)) end,
		null::bigint,
		round(case when level < 7 then 5 else 5 + c.bytes / c.speed end, 2),
		jsonb_build_object('repository', c.name, 'level', level, 'backups', backups) || maintsched.recording_settings()
	from maintsched.verify_costs(array(select t from maintsched.verify_targets(params) t)) c
	-- whatever there is no time for is first the next time
	order by c.verified_at nulls first, c.name collate "C";
end
$$;

comment on function maintsched.plan_backup_verify(jsonb) is
'Plan of routine backup_verify: for each repository a call of verify_repository(), what was verified longest ago, or never, first. params: repository, a name or an array of names (all); level, 0 to 7 (7); backups: latest, all, or a label (latest). Errors: no_data_found (P0002) where no repository is set up, undefined_object (42704), invalid_parameter_value (22023).';

insert into maintsched.routine (name, plan, description, defaults, change_class, built_in) values
	('backup_verify', 'maintsched.plan_backup_verify', 'Verifies backups: reads their repositories, judges what is known of them, and compares their files with their checksums.', '{"level": 7, "backups": "latest"}', 'none', true);
