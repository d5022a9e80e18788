--
-- 23_check: finding what a name means, and checking a definition
--

create function maintsched.lock_calendars(all_tasks boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
	perform maintsched.need_primary();
	-- tasks first, as for somebody who has changed one by UPDATE before
	if all_tasks then
		lock table maintsched.task in share row exclusive mode;
	else
		lock table maintsched.task in row exclusive mode;
	end if;
	lock table maintsched.calendar in share row exclusive mode;
end
$$;

comment on function maintsched.lock_calendars(boolean) is
'Internal: Taken first by every function that changes a calendar, so that they run one after another; with all_tasks, UPDATE of a task waits, too. Reading and tick() never wait.';

create function maintsched.find_calendar(name text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	found_names text[];
begin
	select array_agg(c.name order by c.name) into found_names
	from maintsched.calendar c
	where lower(c.name) = lower(find_calendar.name);

	if found_names is null then
		select array_agg(c.name order by c.name) into found_names
		from maintsched.calendar c
		where lower(c.title) = lower(find_calendar.name);
	end if;

	if found_names is null then
		raise exception using
			errcode = 'undefined_object',
			message = format('calendar %s does not exist', coalesce('"' || find_calendar.name || '"', 'NULL')),
			hint = case
				when exists (select from maintsched.calendar) then
					maintsched.perhaps(coalesce(find_calendar.name, ''),
						array(select c.name from maintsched.calendar c order by c.name), 'Installed are')
				else 'No calendar is installed. Install one: select maintsched.install_calendar(''smartmed'', timezone => ''America/New_York'');'
			end;
	elsif cardinality(found_names) > 1 then
		raise exception using
			errcode = 'ambiguous_alias',
			message = format('"%s" is the title of %s calendars', find_calendar.name, cardinality(found_names)),
			hint = format('Use one of the names: %s.', array_to_string(found_names, ', '));
	end if;
	return found_names[1];
end
$$;

comment on function maintsched.find_calendar(text) is
'The name of the calendar that matches, without regard to case, by name, else by title. Errors: undefined_object (42704), ambiguous_alias (42P09).';

create function maintsched.find_task(calendar text, task text) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	calendar_name constant text := maintsched.find_calendar(find_task.calendar);
	ids bigint[];
	names text[];
begin
	select array_agg(t.task_id), array_agg(t.name) into ids, names
	from maintsched.task t
	where t.calendar = calendar_name and lower(t.name) = lower(find_task.task);

	if ids is null then
		select array_agg(t.task_id), array_agg(t.name order by t.name) into ids, names
		from maintsched.task t
		where t.calendar = calendar_name and lower(t.title) = lower(find_task.task);
	end if;

	if ids is null then
		raise exception using
			errcode = 'undefined_object',
			message = format('task %s does not exist in calendar "%s"',
				coalesce('"' || find_task.task || '"', 'NULL'), calendar_name),
			hint = maintsched.perhaps(coalesce(find_task.task, ''),
				array(
					select t.name from maintsched.task t
					where t.calendar = calendar_name and t.retired_at is null
					order by t.name),
				'Its tasks are');
	elsif cardinality(ids) > 1 then
		raise exception using
			errcode = 'ambiguous_alias',
			message = format('"%s" is the title of %s tasks of calendar "%s"',
				find_task.task, cardinality(ids), calendar_name),
			hint = format('Use one of the names: %s.', array_to_string(names, ', '));
	end if;
	return ids[1];
end
$$;

comment on function maintsched.find_task(text, text) is
'The task_id of the task that matches, without regard to case, by name, else by title. Errors: undefined_object (42704), ambiguous_alias (42P09).';

create function maintsched.routine_names() returns text[]
language sql immutable parallel safe
return array['analyze', 'vacuum', 'bloat', 'reindex', 'optimize', 'amcheck',
	'archive', 'health', 'log_cleanup', 'sql', 'backup_verify', 'restore_drill'];

comment on function maintsched.routine_names() is
'The routines that documents and checklist lines may name, and sql.';

create function maintsched.known_routines() returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.routine_names() || array(
		select r.name from maintsched.routine r where not r.built_in order by r.name)
$$;

comment on function maintsched.known_routines() is
'Internal: The routines that a task may name: routine_names() and those added by add_routine().';

create function maintsched.in_documents(routine text) returns boolean
language sql immutable parallel safe
return routine is null or (routine <> 'sql' and routine = any (maintsched.routine_names()));

comment on function maintsched.in_documents(text) is
'Internal: Whether a task with this routine is part of a document: sql and routines of one''s own never are.';

create function maintsched.check_controls(subject text, controls text[]) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	citation text;
begin
	foreach citation in array controls loop
		if citation is null or not exists (
			select from maintsched.control k
			where citation = k.framework || ' ' || k.control)
		then
			raise exception using
				errcode = 'undefined_object',
				message = format('%s: control %s is not known', subject, coalesce('"' || citation || '"', 'NULL')),
				hint = maintsched.perhaps(coalesce(citation, ''),
					array(select k.framework || ' ' || k.control from maintsched.control k order by 1),
					'A control is written "FRAMEWORK citation". Known are');
		end if;
	end loop;
end
$$;

comment on function maintsched.check_controls(text, text[]) is
'Internal: Raises undefined_object (42704), naming subject, for a control that no framework has.';

create function maintsched.check_checklist(subject text, checklist jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	item jsonb;
	number bigint;
begin
	if jsonb_typeof(checklist) <> 'array' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s: the checklist is no array', subject),
			hint = 'It is an array of objects: [{"text": "..."}, {"text": "...", "routine": "health"}].';
	end if;
	for item, number in
		select e.value, e.ordinality from jsonb_array_elements(checklist) with ordinality e
	loop
		if jsonb_typeof(item) <> 'object'
			or jsonb_typeof(item -> 'text') is distinct from 'string'
			or btrim(item ->> 'text') = ''
			or (item - array['text', 'routine', 'params', 'source']) <> '{}'
			or item ? 'params' and (jsonb_typeof(item -> 'params') <> 'object' or not item ? 'routine')
		then
			raise exception using
				errcode = 'invalid_parameter_value',
				message = format('%s: checklist item %s is not valid', subject, number),
				detail = format('The item is %s.', left(item::text, 200)),
				hint = 'An item is an object with text and, where a routine proves it, routine, and params where it must have been run with these.';
		end if;
		if item ? 'routine' then
			perform maintsched.check_word(
				format('%s: routine of checklist item %s', subject, number),
				item ->> 'routine', maintsched.routine_names());
			perform maintsched.check_params(item ->> 'routine', coalesce(item -> 'params', '{}'))
			where item ? 'params';
		end if;
	end loop;
end
$$;

comment on function maintsched.check_checklist(text, jsonb) is
'Internal: Raises invalid_parameter_value (22023), naming subject and item, unless checklist is an array of objects with text and perhaps routine and params.';

create function maintsched.check_rule(
	subject text, rule text, starts_on timestamp, zone text, rdate timestamp[])
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	remark text;
begin
	if rule is not null and starts_on is null then
		raise exception using
			errcode = 'null_value_not_allowed',
			message = format('%s: a rule needs starts_on', subject),
			hint = 'starts_on is the local time from which the rule is expanded, such as 2026-01-01 09:00.';
	end if;
	-- COUNT is counted from the start each time that the task is planned
	if substring(upper(rule) from 'COUNT=([0-9]+)')::bigint > 1000000 then
		raise exception using
			errcode = 'program_limit_exceeded',
			message = format('%s: COUNT of rule "%s" is more than 1,000,000', subject, rule),
			hint = 'UNTIL ends a rule without being counted to.';
	end if;
	if not isfinite(starts_on) then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s: starts_on must be finite', subject);
	end if;
	if rule is not null and rdate = '{}' and not exists (
		select from maintsched.instances(rule, starts_on, zone, null, null, 1))
	then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s: rule "%s" never occurs', subject, rule),
			detail = format('It has no occurrence from %s on.', starts_on);
	end if;
	remark := maintsched.rule_notice(rule, starts_on);
	if remark is not null then
		raise notice '%: %', subject, remark;
	end if;
end
$$;

comment on function maintsched.check_rule(text, text, timestamp, text, timestamp[]) is
'Internal: Raises an error, naming subject, for a rule without a start, one that never occurs, or one whose COUNT is more than 1,000,000; a NOTICE for one that leaves out years or months.';

create function maintsched.canonical_entry(entry jsonb, required text[]) returns jsonb
language sql immutable parallel safe
return (
	select coalesce(jsonb_object_agg(e.key, e.value), '{}')
	from jsonb_each(entry) e
	where e.key = any (required)
	or (e.value <> 'null' and e.value <> '[]' and e.value <> '{}' and e.value <> 'false'
		and not (e.key = 'catch_up' and e.value = '"latest"')));

comment on function maintsched.canonical_entry(jsonb, text[]) is
'Internal: An entry of a document without the optional keys that hold nothing or their default.';

create function maintsched.task_entry(task maintsched.task) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
set intervalstyle = iso_8601
as $$
	select maintsched.canonical_entry(
		to_jsonb(task) - array['task_id', 'calendar', 'position', 'enabled', 'run_as',
			'effective_from', 'retired_at', 'cadence'],
		array['rule', 'controls', 'teams'])
$$;

comment on function maintsched.task_entry(maintsched.task) is
'Internal: A task as an entry of a document.';

create function maintsched.check_present(subject text, task maintsched.task) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	key text;
begin
	select n.key into key
	from jsonb_each(to_jsonb(task)) n
	where n.value = 'null'
	and n.key = any (array['calendar', 'name', 'title', 'teams', 'kind', 'rdate', 'exdate',
		'params', 'catch_up', 'review', 'checklist', 'instructions', 'tools', 'controls',
		'source', 'position', 'enabled', 'run_as', 'effective_from'])
	order by n.key
	limit 1;
	if found then
		raise exception using
			errcode = 'null_value_not_allowed',
			message = format('%s: %s must not be null', subject, key);
	end if;

	select n.key into key
	from (values ('teams', array_ndims((task).teams)), ('tools', array_ndims((task).tools)),
		('controls', array_ndims((task).controls)), ('source', array_ndims((task).source)),
		('rdate', array_ndims((task).rdate)), ('exdate', array_ndims((task).exdate))) n(key, dimensions)
	where n.dimensions > 1
	limit 1;
	if found then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s: %s must be a plain list, not an array of arrays', subject, key);
	end if;
end
$$;

comment on function maintsched.check_present(text, maintsched.task) is
'Internal: Raises null_value_not_allowed (22004), naming subject and field, for what a task cannot be without; invalid_parameter_value for an array of arrays.';

create function maintsched.check_task(
	task maintsched.task, subject text default null, zone text default null)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	problem text;
begin
	subject := coalesce(subject, format('task "%s"', (task).name));
	perform maintsched.check_present(subject, task);
	if zone is null and not exists (select from maintsched.calendar c where c.name = (task).calendar) then
		raise exception using
			errcode = 'undefined_object',
			message = format('%s: calendar "%s" does not exist', subject, (task).calendar),
			hint = maintsched.perhaps((task).calendar,
				array(select c.name from maintsched.calendar c order by c.name), 'Installed are');
	end if;

	perform maintsched.check_word(subject || ': kind', (task).kind, array['manual', 'routine', 'external']);
	perform maintsched.check_word(subject || ': catch_up', (task).catch_up, array['latest', 'skip', 'all']);
	if (task).change_class is not null then
		perform maintsched.check_word(subject || ': change_class', (task).change_class,
			array['none', 'minor', 'major', 'critical']);
	end if;
	if (task).routine is not null then
		perform maintsched.check_word(subject || ': routine', (task).routine, maintsched.known_routines());
	end if;

	problem := case
		when (task).name is null or (task).name !~ '^[a-z0-9]+(-[a-z0-9]+)*$' or octet_length((task).name) > 63
			then format('name "%s" is not in kebab-case (small letters, digits, single hyphens, at most 63)', (task).name)
		when coalesce(btrim((task).title), '') = '' then 'the title is empty'
		when coalesce(cardinality((task).teams), 0) = 0
			or array_position((task).teams, null) is not null
			or '' = any ((task).teams) then 'teams must name at least one team'
		when (task).kind = 'routine' and (task).routine is null then 'kind routine needs a routine'
		when (task).kind <> 'routine' and (task).routine is not null
			then format('kind %s cannot have routine "%s"', (task).kind, (task).routine)
		when jsonb_typeof((task).params) <> 'object' then 'params must be a JSON object'
		when jsonb_typeof((task).instructions) <> 'array' then 'instructions must be a JSON array'
		when ((task).rule is not null or (task).rdate <> '{}') and (task).due_within is null
			then 'a task that recurs needs due_within'
		when (task).due_within <= interval '0' then 'due_within must be positive'
		when (task).grace < interval '0' then 'grace must not be negative'
		when (task).effort < interval '0' then 'effort must not be negative'
	end;
	if problem is not null then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s: %s', subject, problem);
	end if;

	if (task).timezone is not null then
		perform maintsched.check_timezone((task).timezone);
	end if;
	perform maintsched.check_rule(subject, (task).rule, (task).starts_on,
		coalesce((task).timezone, zone, maintsched.task_zone(task)), (task).rdate);
	perform maintsched.check_controls(subject, (task).controls);
	perform maintsched.check_checklist(subject, (task).checklist);

	if (task).routine is not null then
		perform maintsched.check_params((task).routine, (task).params);
	end if;

	-- The reader of documents has the last word: what can be stored can be
	-- exported and imported again.  Routine sql never comes from a document.
	if maintsched.in_documents((task).routine) then
		begin
			perform maintsched.check_document(jsonb_build_object(
				'format', 'maintsched-calendar/1', 'name', 'check', 'title', 'Check',
				'tasks', jsonb_build_array(maintsched.task_entry(task)))::text);
		exception when data_exception or program_limit_exceeded then
			get stacked diagnostics problem = pg_exception_hint;
			raise exception using
				errcode = sqlstate,
				message = subject || ': ' || regexp_replace(sqlerrm, '^tasks[[]0[]][.:] ?', ''),
				hint = coalesce(nullif(problem, ''), 'The reference of calendar documents says what each field may hold.');
		end;
	end if;
end
$$;

comment on function maintsched.check_task(maintsched.task, text, text) is
'Internal: Raises an error that names subject (default: the task) unless the definition is whole: kinds, zone, rule, times, controls, checklist. zone: that of a calendar which is not there yet.';

create function maintsched.check_window(
	subject text, name text, rule text, starts_on timestamp, duration interval,
	change_class text, timezone text, calendar_zone text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
set intervalstyle = iso_8601
as $$
begin
	perform maintsched.check_rule(subject, rule, starts_on, coalesce(timezone, calendar_zone), '{}');
	if rule ~* 'FREQ=(MINUTELY|SECONDLY)' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s: a window opens once an hour at the most', subject);
	end if;
	-- what can be stored can be exported and imported again
	perform maintsched.check_document(jsonb_build_object(
		'format', 'maintsched-calendar/1', 'name', 'check', 'title', 'Check', 'tasks', '[]'::jsonb,
		'windows', jsonb_build_array(maintsched.canonical_entry(jsonb_build_object(
			'name', name, 'title', name, 'rule', rule, 'starts_on', starts_on,
			'duration', duration, 'change_class', change_class, 'timezone', timezone),
			array['rule'])))::text);
end
$$;

comment on function maintsched.check_window(text, text, text, timestamp, interval, text, text, text) is
'Internal: Raises an error that names subject unless the window is whole.';
