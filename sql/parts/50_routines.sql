--
-- 50_routines: the routines sql and log_cleanup, and what all of them share
--
-- A routine's plan function says what is to be done, and does nothing itself.
-- It runs as the role of the run, and so do its commands: what that role may
-- not do is not planned, or refused in words.
--

create function maintsched.recording_settings() returns jsonb
language sql stable
return case when current_setting('default_transaction_read_only') = 'on'
	then jsonb '{"settings": {"default_transaction_read_only": "off"}}' else '{}' end;

comment on function maintsched.recording_settings() is
'Internal: In the details of an action that changes nothing but what the extension keeps, so that it may be one of a role that is to write nothing.';

create function maintsched.count_text(n numeric) returns text
language sql immutable parallel safe
return case
	when n >= 1e9 then trim_scale(round(n / 1e9, 1)) || ' billion'
	when n >= 1e6 then trim_scale(round(n / 1e6, 1)) || ' million'
	else btrim(to_char(n, '999,999,999'))
end;

comment on function maintsched.count_text(numeric) is 'Internal: A number for people: 14,000, 1.2 million.';

create function maintsched.age_text(age interval) returns text
language sql immutable parallel safe
return (
	select coalesce(x.n || ' ' || x.unit || case when x.n <> 1 then 's' else '' end, 'less than a minute')
	from (
		select case
			when s.s < 60 then null
			when s.s < 7200 then s.s / 60
			when s.s < 172800 then s.s / 3600
			else s.s / 86400 end as n,
			case when s.s < 7200 then 'minute' when s.s < 172800 then 'hour' else 'day' end as unit
		from (select floor(greatest(extract(epoch from age), 0))::bigint as s where age is not null) s) x);

comment on function maintsched.age_text(interval) is 'Internal: A length of time in whole minutes, hours or days, for people.';

create function maintsched.duration_ms(words text) returns double precision
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if words is null then
		return null;
	elsif words ~ '^[0-9]{1,12}$' then
		return words::double precision;
	end if;
	return extract(epoch from words::interval) * 1000;
exception when others then
	raise exception using
		errcode = 'invalid_parameter_value',
		message = format('"%s" is not a duration', words),
		hint = 'Write it as 30s, 5 min or 1 hour; a plain number is milliseconds.';
end
$$;

comment on function maintsched.duration_ms(text) is
'Internal: A duration in milliseconds, as in lock_timeout and statement_timeout of an action: a plain number is milliseconds, else an interval. Errors: invalid_parameter_value.';

create function maintsched.is_duration(words text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	return coalesce(maintsched.duration_ms(words) >= 0, true);
exception when invalid_parameter_value then
	return false;
end
$$;

comment on function maintsched.is_duration(text) is
'Internal: Whether duration_ms() takes this, as a length of time that is not negative; NULL is one.';

create function maintsched.check_actions(actions maintsched.action[]) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	wrong integer;
	problem text;
begin
	-- (which is stored: no value of the plan function's is in it)
	select a.ordinality, x.problem into wrong, problem
	from unnest(actions) with ordinality a
	cross join lateral (
		select case
			when coalesce(btrim(a.target), '') = '' then 'has no target'
			when coalesce(btrim(a.command), '') = '' then 'has no command'
			when a.estimated_seconds not between 0 and 1000000000 then 'has estimated_seconds out of range: 0 to 1,000,000,000, or NULL where it is not known'
			when jsonb_typeof(a.details) not in ('object', 'null') then 'has details that are not a JSON object'
			when a.details ->> 'skip' not in ('not_needed', 'pointless', 'no_space')
				then 'has a skip that is none of not_needed, pointless and no_space'
			when a.details ->> 'change_class' not in ('none', 'minor', 'major', 'critical')
				then 'has a change_class that is none of none, minor, major and critical'
			when jsonb_typeof(a.details -> 'settings') not in ('object', 'null')
				then 'has settings that are not a JSON object, such as {"maintenance_work_mem": "256MB"}'
			when not maintsched.is_duration(a.details ->> 'statement_timeout')
				then 'has a statement_timeout that is no duration, such as "30s", "5 min", or a number of milliseconds'
			when not maintsched.is_duration(a.details ->> 'lock_timeout')
				then 'has a lock_timeout that is no duration, such as "30s", "5 min", or a number of milliseconds'
		end as problem) x
	where x.problem is not null
	order by a.ordinality
	limit 1;
	if found then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('action %s of the plan function %s', wrong, problem);
	end if;
end
$$;

comment on function maintsched.check_actions(maintsched.action[]) is
'Internal: Refuses actions that cannot be carried out, naming the first. Error: invalid_parameter_value (22023).';

create function maintsched.plan_sql(params jsonb) returns setof maintsched.action
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	perform maintsched.check_params('sql', params);
	return query
	select coalesce(x.entry ->> 'name', 'statement ' || e.ordinality),
		x.entry ->> 'statement',
		'a statement of your own'::text,
		null::bigint,
		null::numeric,
		jsonb_strip_nulls(jsonb_build_object(
			'statement_timeout', coalesce(x.entry ->> 'timeout', params ->> 'timeout'),
			'lock_timeout', coalesce(x.entry ->> 'lock_timeout', params ->> 'lock_timeout')))
	from jsonb_array_elements(
		case jsonb_typeof(params -> 'statements')
			when 'array' then params -> 'statements'
			else jsonb_build_array(coalesce(nullif(params -> 'statements', 'null'), params -> 'statement'))
		end) with ordinality e
	cross join lateral (
		select case jsonb_typeof(e.value) when 'string' then jsonb_build_object('statement', e.value) else e.value end as entry) x
	order by e.ordinality;
end
$$;

comment on function maintsched.plan_sql(jsonb) is
'Plan of routine sql: your own statements, one action each, in order. params: statement, or statements, an array of texts or of objects with statement, name, timeout and lock_timeout; timeout and lock_timeout for all. Error: invalid_parameter_value (22023).';

create function maintsched.pattern_like(pattern text) returns text
language sql immutable parallel safe
return replace(replace(
	replace(replace(replace(pattern, '!', '!!'), '%', '!%'), '_', '!_'),
	'*', '%'), '?', '_');

comment on function maintsched.pattern_like(text) is
'Internal: A pattern of params, in which * is any text and ? one character, as LIKE ... ESCAPE ''!'' takes it.';

create function maintsched.name_matches(schema_name text, relation_name text, patterns jsonb) returns boolean
language c immutable parallel safe
as 'MODULE_PATHNAME', 'maintsched_name_matches';

comment on function maintsched.name_matches(text, text, jsonb) is
'Internal: Whether one of the patterns, in which * is any text and ? one character, is that of a schema or of schema.relation; without patterns or a name: no.';

create function maintsched.log_file_kind(name text) returns text
language c stable strict
as 'MODULE_PATHNAME', 'maintsched_log_file_kind';

comment on function maintsched.log_file_kind(text) is
'Internal: log, csv or json where the name is one that the logging collector gives (log_filename), perhaps rotated or compressed since; otherwise NULL.';

create function maintsched.log_file_removable(name text) returns boolean
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_log_file_removable';

comment on function maintsched.log_file_removable(text) is
'Internal: Whether this is a regular log file of the server which it does not write now.';

create function maintsched.remove_log_file(name text) returns boolean
language c volatile strict
as 'MODULE_PATHNAME', 'maintsched_remove_log_file';

comment on function maintsched.remove_log_file(text) is
'Removes a log file of this server: a plain name in log_directory, in the form of log_filename or what a rotation or compression made of it, never the one that is written nor the newest of each format. False, with a NOTICE, where there is none. For managers who are superusers or members of pg_write_server_files. Errors: insufficient_privilege (42501), invalid_parameter_value (22023), object_in_use (55006), wrong_object_type (42809), object_not_in_prerequisite_state (55000).';

create function maintsched.plan_log_cleanup(params jsonb) returns setof maintsched.action
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	-- The files are as old as they are, wherever maintsched.now may stand.
	instant constant timestamptz := statement_timestamp();
	max_age interval;
	max_size bigint;
	keep integer;
begin
	perform maintsched.check_params('log_cleanup', params);
	max_age := (params ->> 'max_age')::interval;
	max_size := pg_size_bytes(params ->> 'max_size');
	keep := coalesce((params ->> 'keep')::integer, 3);
	if not has_function_privilege('pg_catalog.pg_ls_logdir()', 'EXECUTE')
		or not (pg_has_role('pg_write_server_files', 'USAGE'))
	then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('role "%s" may not clean up log files', current_user),
			hint = 'It needs to be a superuser, or a member of pg_monitor (to see them) and pg_write_server_files (to remove them).';
	elsif current_setting('logging_collector') <> 'on' then
		raise exception using
			errcode = 'no_data_found',
			message = 'this server has no log files of its own: logging_collector is off',
			hint = 'Somebody else writes and rotates them: let people or that tool report it (kind manual or external).';
	elsif max_age is null and max_size is null then
		raise notice 'no log file is too old or too much'
			using detail = 'params have neither max_age nor max_size.';
		return;
	end if;

	return query
	with file as (
		select f.name, f.size, f.modification,
			rank() over (order by f.modification desc, f.name desc) as newest,
			rank() over (partition by maintsched.log_file_kind(f.name) order by f.modification desc) as newest_of_kind,
			sum(f.size) over (order by f.modification desc, f.name desc) as size_up_to,
			sum(f.size) over () as size_of_all
		from pg_ls_logdir() f
		where maintsched.log_file_kind(f.name) is not null
	), too_old as (
		select f.*, f.modification < instant - max_age as by_age
		from file f
		where f.newest > keep and f.newest_of_kind > 1
		and (f.modification < instant - max_age or f.size_up_to > max_size)
	)
	select f.name,
		format('select maintsched.remove_log_file(%L)', f.name),
		case when f.by_age then format('%s old, limit %s', maintsched.age_text(instant - f.modification), params ->> 'max_age')
			else format('the log files take %s, limit %s', pg_size_pretty(f.size_of_all), params ->> 'max_size') end,
		f.size,
		0.01,
		'{}'::jsonb
	from too_old f
	where maintsched.log_file_removable(f.name)
	order by f.modification, f.name collate "C";
exception
	when undefined_file then
		raise exception using
			errcode = 'no_data_found',
			message = format('this server has no log files: there is no folder "%s"', current_setting('log_directory')),
			hint = 'The setting log_directory names it.';
end
$$;

comment on function maintsched.plan_log_cleanup(jsonb) is
'Plan of routine log_cleanup: the log files of this server to remove, oldest first. params: max_age ("90 days"), max_size of all together ("2 GB"), keep, the number of the newest files that stay whatever they are (3). Where max_age or max_size is not given or null, there is no such limit. Errors: insufficient_privilege (42501), invalid_parameter_value (22023).';

insert into maintsched.routine (name, plan, description, defaults, change_class, built_in) values
	('sql', 'maintsched.plan_sql', 'Statements of your own, with the rights of the role of the run.', '{}', 'minor', true),
	('log_cleanup', 'maintsched.plan_log_cleanup', 'Removes the server''s log files by age and size.',
		'{"max_age": "90 days", "keep": 3}', 'none', true);
