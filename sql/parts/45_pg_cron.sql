--
-- 45_pg_cron: a job of pg_cron that calls tick()
--
-- pg_cron lives in one database of the server, cron.database_name.  There the
-- two functions act; in another database they return the one statement to run
-- there.  They run as who calls them: pg_cron runs a job as the role that made
-- it, and lets nobody else change it.
--

create function maintsched.cron_database() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	found constant text := nullif(current_setting('cron.database_name', true), '');
begin
	if found is null then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = 'pg_cron is not loaded',
			hint = 'Install its package, add pg_cron to shared_preload_libraries and restart the server. Any other cron can call maintsched.tick(), too.';
	elsif found = current_database() and not exists (select from pg_extension where extname = 'pg_cron') then
		raise exception using
			errcode = 'undefined_object',
			message = format('extension pg_cron does not exist in database "%s"', found),
			hint = 'Create it: create extension pg_cron;';
	end if;
	return found;
end
$$;

comment on function maintsched.cron_database() is
'Internal: The database in which pg_cron lives. Errors: object_not_in_prerequisite_state (55000), undefined_object (42704).';

-- the name of a job is short in some versions, and would be cut
create function maintsched.cron_job() returns text
language sql stable
return 'maintsched tick ' || case
	when octet_length(current_database()) <= 47 then current_database()::text
	else md5(current_database()) end;

comment on function maintsched.cron_job() is
'Internal: The name of the job that calls tick() in this database.';

create function maintsched.enable_pg_cron(schedule text default '* * * * *') returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	cron_database constant text := maintsched.cron_database();
	job constant text := maintsched.cron_job();
	statement text;
	problem text;
	job_id bigint;
begin
	if coalesce(btrim(schedule), '') = '' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = 'the schedule is empty',
			hint = 'A schedule is written as for cron: ''* * * * *'' is every minute.';
	elsif not (select r.rolcanlogin from pg_roles r where r.rolname = current_user) then
		raise exception using
			errcode = 'invalid_role_specification',
			message = format('role "%s" cannot log in, and pg_cron could not run its job', current_user),
			hint = 'Call this as a role that can.';
	elsif cron_database <> current_database() then
		statement := format('select cron.schedule_in_database(%L, %L, %L, %L, %L);',
			job, schedule, 'select maintsched.tick()', current_database(), current_user);
		raise notice 'nothing is done yet: pg_cron lives in database "%"', cron_database
			using hint = format('Run there, as a superuser: %s', statement);
		return statement;
	elsif not has_schema_privilege('cron', 'usage') then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('role "%s" may not use pg_cron', current_user),
			hint = format('A superuser allows it: grant usage on schema cron to %I;', current_user);
	end if;

	statement := format('select cron.schedule(%L, %L, %L);', job, schedule, 'select maintsched.tick()');
	begin
		execute statement into job_id;
	exception when invalid_parameter_value or syntax_error or internal_error then
		get stacked diagnostics problem = pg_exception_hint;
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('pg_cron refuses schedule "%s": %s', schedule, sqlerrm),
			hint = coalesce(nullif(problem, ''), 'A schedule is written as for cron: ''* * * * *'' is every minute.');
	end;
	-- one that was switched off stays so otherwise; alter_job() is not everybody's
	if (select not j.active from cron.job j where j.jobid = job_id) then
		perform cron.unschedule(job_id);
		execute statement into job_id;
	end if;
	raise notice 'done: job "%" of pg_cron calls tick() as role "%"', job, current_user
		using detail = format('Schedule "%s", job %s.', schedule, job_id);
	return statement;
end
$$;

comment on function maintsched.enable_pg_cron(text) is
'Has pg_cron call tick() in this database, as the current role: makes its job, or changes the schedule of the one there is. Where pg_cron lives in another database, nothing is done, and the statement to run there is returned; otherwise the one that was run. schedule: as pg_cron takes it, in its time zone. For managers, who need usage of schema cron. Errors: object_not_in_prerequisite_state (55000), undefined_object (42704), invalid_parameter_value (22023), insufficient_privilege (42501), invalid_role_specification (0P000).';

create function maintsched.disable_pg_cron() returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
	cron_database constant text := maintsched.cron_database();
	statement constant text := format('select cron.unschedule(jobid) from cron.job where jobname = %L;', maintsched.cron_job());
	removed integer;
begin
	if cron_database <> current_database() then
		raise notice 'nothing is done yet: pg_cron lives in database "%"', cron_database
			using hint = format('Run there, as the role that made the job or a superuser: %s', statement);
		return statement;
	elsif not has_schema_privilege('cron', 'usage') then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('role "%s" may not use pg_cron', current_user),
			hint = format('A superuser allows it: grant usage on schema cron to %I;', current_user);
	end if;
	execute statement;
	get diagnostics removed = row_count;
	if removed = 0 then
		raise notice 'there was no job "%"', maintsched.cron_job()
			using hint = 'Only superusers see the jobs of other roles.';
	else
		raise notice 'done: job "%" of pg_cron is removed', maintsched.cron_job();
	end if;
	return statement;
end
$$;

comment on function maintsched.disable_pg_cron() is
'Removes the job that enable_pg_cron() made; a superuser removes those of other roles, too. Where pg_cron lives in another database, nothing is done, and the statement to run there is returned; otherwise the one that was run. For managers, who need usage of schema cron. Errors: object_not_in_prerequisite_state (55000), undefined_object (42704), insufficient_privilege (42501).';
