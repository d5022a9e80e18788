--
-- 49_call: asking for runs, and the steps of the scheduler
--

create function maintsched.find_routine(routine text) returns maintsched.routine
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r maintsched.routine;
begin
	select x.* into r from maintsched.routine x where x.name = lower(btrim(routine));
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('routine %s does not exist', coalesce('"' || routine || '"', 'NULL')),
			hint = maintsched.perhaps(coalesce(routine, ''),
				array(select x.name from maintsched.routine x order by 1), 'Routines are');
	end if;
	return r;
end
$$;

comment on function maintsched.find_routine(text) is
'Internal: The routine of this name. Errors: undefined_object (42704).';

create function maintsched.routine_before_insert() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	acting constant oid := maintsched.role_oid(maintsched.caller_role());
	-- people write it as regprocedure shows it, too
	plan constant text := regexp_replace(new.plan, '[ ]*[(][ ]*(params)?[ ]*jsonb[ ]*[)][ ]*$', '');
	plan_oid oid;
	f record;
begin
	-- a dump that is restored brings what was looked at when it was added
	if current_setting('check_function_bodies') = 'off' and (select r.rolsuper from pg_roles r where r.oid = acting) then
		return new;
	end if;
	if new.name is null or new.name !~ '^[a-z][a-z0-9]*(_[a-z0-9]+)*$' or octet_length(new.name) > 63 then
		raise exception using
			errcode = 'invalid_name',
			message = format('routine name %s is not in snake_case', coalesce('"' || new.name || '"', 'NULL')),
			hint = 'Small letters, digits and single underscores, at most 63.';
	elsif new.name = any (maintsched.known_routines()) then
		raise exception using
			errcode = 'duplicate_object',
			message = format('routine "%s" exists', new.name),
			hint = case when new.name = any (maintsched.routine_names()) then 'Choose another name.'
				else format('Choose another name, or drop it first: select maintsched.drop_routine(%L);', new.name) end;
	end if;
	perform maintsched.check_word('change_class', new.change_class, array['none', 'minor', 'major', 'critical']);
	if jsonb_typeof(coalesce(new.defaults, 'null')) <> 'object' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = 'defaults of a routine are not a JSON object',
			hint = 'They look like {"max_age": "30 days"}.';
	end if;
	perform maintsched.check_params(new.name, new.defaults);
	begin
		plan_oid := to_regprocedure(plan || '(jsonb)');
	exception
		-- what is no name at all
		when syntax_error or invalid_name or invalid_text_representation or undefined_object
			or invalid_parameter_value or feature_not_supported or undefined_function or name_too_long then
			null;
	end;
	select p.oid, n.nspname, p.proname, p.proowner, p.proretset, p.prorettype, p.prokind into f
	from pg_proc p join pg_namespace n on n.oid = p.pronamespace
	where p.oid = plan_oid;
	if not found or plan !~ '[.]' then
		raise exception using
			errcode = 'undefined_function',
			message = format('plan function %s(jsonb) does not exist', coalesce(plan, 'NULL')),
			hint = 'Give its name with its schema; it takes one argument, of type jsonb.';
	elsif not f.proretset or f.prorettype <> 'maintsched.action'::regtype or f.prokind <> 'f' then
		raise exception using
			errcode = 'invalid_function_definition',
			message = format('function %s(jsonb) does not return setof maintsched.action', plan),
			hint = format('It begins with: create function %s(params jsonb) returns setof maintsched.action', plan);
	elsif not pg_has_role(acting, f.proowner, 'usage') then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('must be owner of function %s(jsonb)', plan),
			hint = 'Routines are added by superusers or by the owner of their plan function.';
	end if;
	new.plan := format('%I.%I', f.nspname, f.proname);
	new.description := coalesce(new.description, obj_description(f.oid, 'pg_proc'));
	perform maintsched.need_words('a description is needed for a routine', new.description);
	perform maintsched.start_work();
	return new;
end
$$;

comment on function maintsched.routine_before_insert() is
'Internal: Trigger: looks at a routine that is added. Not at one that a superuser adds while check_function_bodies is off, as pg_dump has it. Errors: those of add_routine().';

create trigger routine_a_caller before insert on maintsched.routine
for each row when (not new.built_in)
execute function maintsched.note_caller_of_row();

create trigger routine_before_insert before insert on maintsched.routine
for each row when (not new.built_in)
execute function maintsched.routine_before_insert();

create function maintsched.add_routine(
	name text, plan text, description text, change_class text default 'minor', defaults jsonb default '{}')
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
	insert into maintsched.routine (name, plan, description, change_class, defaults)
	values (add_routine.name, add_routine.plan, add_routine.description, add_routine.change_class, add_routine.defaults)
$$;

comment on function maintsched.add_routine(text, text, text, text, jsonb) is
'Adds a routine, as an INSERT into maintsched.routine does: plan is the qualified name of a function f(params jsonb) returns setof maintsched.action, of which one must be the owner; description NULL: the comment of that function. It and its commands run with the rights of whose task it is; a role runs only what belongs to a superuser or to somebody with its own rights. Errors: undefined_function (42883), invalid_function_definition (42P13), insufficient_privilege (42501), duplicate_object (42710), invalid_name (42602), invalid_parameter_value (22023).';

create function maintsched.drop_routine(name text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r constant maintsched.routine := maintsched.find_routine(name);
	plan_owner constant oid := (select p.proowner from pg_proc p where p.oid = to_regprocedure(r.plan || '(jsonb)'));
	used text;
begin
	if r.built_in then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('routine "%s" comes with the extension', r.name);
	elsif plan_owner is not null
		and not pg_has_role(maintsched.role_oid(maintsched.acting_role()), plan_owner, 'usage')
	then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('must be owner of function %s(jsonb)', r.plan);
	end if;
	select string_agg(t.calendar || '/' || t.name, ', ' order by t.calendar, t.name) into used
	from maintsched.task t
	where t.routine = r.name and t.retired_at is null;
	if used is not null then
		raise exception using
			errcode = 'dependent_objects_still_exist',
			message = format('routine "%s" is used by tasks', r.name),
			detail = format('They are %s.', used),
			hint = 'Retire them, or give them another routine.';
	end if;
	delete from maintsched.routine x where x.name = r.name;
end
$$;

comment on function maintsched.drop_routine(text) is
'Takes away a routine that no task uses any more; what it did stays recorded. Errors: undefined_object, object_not_in_prerequisite_state, insufficient_privilege, dependent_objects_still_exist.';

create function maintsched.plan_of(routine text, params jsonb)
returns table (name text, plan text, params_used jsonb, change_class text, span tstzrange)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r constant maintsched.routine := maintsched.find_routine(routine);
	problem constant text := maintsched.plan_problem(r.name, maintsched.acting_role());
begin
	if problem is not null then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('routine "%s" cannot be planned here', r.name),
			detail = upper(left(problem, 1)) || substr(problem, 2) || '.';
	end if;
	perform maintsched.check_params(r.name, params);
	return query select r.name, r.plan, maintsched.routine_params(r.name, params), r.change_class,
		maintsched.opening(r.change_class, maintsched.clock());
end
$$;

comment on function maintsched.plan_of(text, jsonb) is
'Internal: How a routine is planned by the acting role, and the window in which it would run. Errors: undefined_object, insufficient_privilege, invalid_parameter_value.';

create function maintsched.class_span(change_class text) returns tstzrange
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.opening(class_span.change_class, maintsched.clock())
$$;

comment on function maintsched.class_span(text) is
'Internal: The window that is open for work of a class, or opens next.';

create function maintsched.plan(routine text, params jsonb default '{}')
returns table (seq integer, target text, command text, reason text, benefit_bytes bigint,
	estimated_seconds numeric, details jsonb, fits_window boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	at constant timestamptz := maintsched.clock();
	p record;
	actions maintsched.action[];
begin
	select * into p from maintsched.plan_of(routine, params);
	-- as in a run: until the end of this block's subtransaction nothing can be written
	perform set_config('transaction_read_only', 'on', true);
	execute format('select array_agg(a) from %s($1) a', p.plan) into actions using p.params_used;
	perform maintsched.check_actions(actions);
	return query
		with action as materialized (
			select * from unnest(actions) with ordinality as a(target, command, reason, benefit_bytes, estimated_seconds, details, ordinality)
		), class as materialized (
			-- an action's own class, else the routine's
			select c.name, maintsched.class_span(c.name) as span
			from (
				select distinct a.details ->> 'change_class' as name
				from action a
				where a.details ->> 'change_class' is not null) c
		)
		select a.ordinality::integer, a.target,
			-- whoever takes the commands from here is not to carry out what the run would not
			case when a.details ->> 'skip' is null then a.command else regexp_replace(a.command, '^(?!--)', '-- ', 'gn') end,
			a.reason, a.benefit_bytes,
			e.seconds, a.details,
			case
				when a.details ->> 'skip' is not null then null
				when w.span is null then false
				when upper(w.span) is null then true
				else greatest(lower(w.span), at) + make_interval(secs => e.seconds::double precision)
					<= upper(w.span) - maintsched.window_reserve(lower(w.span), upper(w.span))
			end
		from action a
		cross join lateral (
			select maintsched.estimate_seconds(maintsched.part_of(p.name, a.details), a.target, a.command, a.estimated_seconds,
				case when a.details ->> 'bytes' ~ '^[0-9]{1,18}$' then (a.details ->> 'bytes')::numeric end) as seconds) e
		cross join lateral (
			select case when a.details ->> 'change_class' is null then p.span
				else (select c.span from class c where c.name = a.details ->> 'change_class') end as span) w
		order by a.ordinality;
exception when others then
	raise;
end
$$;

comment on function maintsched.plan(text, jsonb) is
'What a routine would do now, ranked, as the acting role; changes nothing. command: as a comment where it is not to be carried out (skip in details, reason says why). fits_window: whether the action fits into the window that is open for its class, else into the next one; NULL: it is not known how long it takes, or it is not to be done (skip in details). Errors: undefined_object, insufficient_privilege, invalid_parameter_value, and those of the plan function.';

create function maintsched.need_window(change_class text, force boolean, reason text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	at constant timestamptz := maintsched.clock();
	span constant tstzrange := maintsched.opening(change_class, at);
begin
	if force then
		perform maintsched.need_words('a reason is needed to run outside a window', reason);
	elsif span is null or lower(span) > at then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('no window is open for work of class %s', change_class),
			detail = coalesce('The next one opens at ' || maintsched.start_text(lower(span), 'UTC') || '.',
				'None is planned.'),
			hint = 'Wait for it, or say force => true with a reason.';
	end if;
end
$$;

comment on function maintsched.need_window(text, boolean, text) is
'Internal: Raises object_not_in_prerequisite_state (55000) unless work of a class may start now, or it is forced with a reason.';

create function maintsched.need_work_allowed() returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	problem text := maintsched.instance_problem();
begin
	perform maintsched.need_primary();
	if problem is null and exists (select from maintsched.pauses p where p.calendar is null) then
		problem := 'all is paused';
	end if;
	if problem is not null then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('nothing runs here: %s', problem),
			hint = 'If this is where the calendar is to be kept from now on: select maintsched.resume(''all'');';
	end if;
end
$$;

comment on function maintsched.need_work_allowed() is
'Internal: Raises object_not_in_prerequisite_state (55000) in a copy, on a standby and while all is paused.';

create function maintsched.queue_routine(
	caller oid, routine text, params jsonb, force boolean, reason text)
returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	-- first of all: nobody else is to take him
	caller_name constant text := maintsched.caller_role();
	k constant maintsched.routine := maintsched.find_routine(routine);
	r maintsched.run;
	problem text;
begin
	perform maintsched.need_work_allowed();
	perform maintsched.check_params(k.name, params);
	r.routine := k.name;
	r.params := maintsched.routine_params(k.name, params);
	r.run_as := caller_name;
	r.change_class := k.change_class;
	r.requested_by := session_user;
	r.reason := reason;
	r.forced := coalesce(force, false);
	problem := maintsched.run_problem(r.routine, r.run_as);
	if problem is not null then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('routine "%s" cannot run', k.name),
			detail = upper(left(problem, 1)) || substr(problem, 2) || '.';
	end if;
	perform maintsched.need_window(r.change_class, r.forced, reason);
	r := maintsched.put_run(r, '{}');
	perform maintsched.start_work();
	return r.run_id;
end
$$;

comment on function maintsched.queue_routine(oid, text, jsonb, boolean, text) is
'Internal: run_routine(), as the owner.';

create function maintsched.run_routine(
	routine text, params jsonb default '{}', force boolean default false, reason text default null)
returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.queue_routine(maintsched.note_caller(), routine, params, force, reason)
$$;

comment on function maintsched.run_routine(text, jsonb, boolean, text) is
'Queues a run of a routine with the rights of the acting role, and returns its run_id; it starts after commit and completes no occurrence. Outside a window of its class only with force and a reason. Errors: undefined_object, invalid_parameter_value, object_not_in_prerequisite_state.';

create function maintsched.run_task(
	calendar text, task text, force boolean default false, reason text default null)
returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	id constant bigint := maintsched.find_task(calendar, task);
	at constant timestamptz := maintsched.clock();
	t maintsched.task;
	r maintsched.run;
	open_ids bigint[];
	problem text;
	active bigint;
begin
	perform maintsched.need_work_allowed();
	perform maintsched.lock_queue(wait => true);
	select x.* into t from maintsched.task x where x.task_id = id for share;
	if t.routine is null then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('task "%s" has no routine', t.name),
			hint = 'People do it: select maintsched.complete_open_task(calendar, task);';
	end if;
	select x.run_id into active
	from maintsched.run x
	where x.state in ('queued', 'running')
	and (x.task_id = id or exists (
		select from maintsched.run_occurrence w
		join maintsched.occurrence o using (occurrence_id)
		where w.run_id = x.run_id and o.task_id = id))
	limit 1;
	if id = any (maintsched.paused_tasks()) then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('task "%s" is paused', t.name),
			hint = 'The view pauses says why. To go on: select maintsched.resume(scope);';
	elsif active is not null then
		raise exception using
			errcode = 'object_in_use',
			message = format('run %s of task "%s" is queued or running', active, t.name),
			hint = format('The view run_history shows it; to stop it: select maintsched.cancel_run(%s);', active);
	end if;
	open_ids := array(
		select o.occurrence_id
		from maintsched.occurrence o
		join maintsched.occurrence_fact f using (occurrence_id)
		where o.task_id = id and o.opens_at <= at and (o.closes_at is null or o.closes_at > at)
		and o.withdrawn_at is null and f.with_simulated and f.status in ('due', 'overdue', 'failed', 'inconclusive')
		order by o.opens_at);
	if cardinality(open_ids) = 0 then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('task "%s" has no open occurrence', t.name),
			hint = format('To run its routine besides the calendar: select maintsched.run_routine(%L, ...);', t.routine);
	end if;
	r := maintsched.run_for(t, session_user);
	r.reason := reason;
	r.forced := coalesce(force, false);
	problem := case when r.change_class is null then maintsched.plan_problem(t.routine, t.run_as)
		else coalesce(maintsched.run_problem(r.routine, r.run_as), maintsched.right_problem(t),
			case when r.change_class in ('major', 'critical') then maintsched.change_problem(r) end) end;
	if problem is not null then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('task "%s" cannot run', t.name),
			detail = upper(left(problem, 1)) || substr(problem, 2) || '.';
	end if;
	perform maintsched.need_window(r.change_class, r.forced, reason);
	r.continues := (
		select max(x.run_id)
		from maintsched.run_occurrence w
		join maintsched.run x using (run_id)
		where w.occurrence_id = any (open_ids) and x.state in ('partial', 'failed', 'interrupted'));
	r := maintsched.put_run(r, open_ids);
	perform maintsched.start_work();
	return r.run_id;
end
$$;

comment on function maintsched.run_task(text, text, boolean, text) is
'Queues a run of a task''s routine, as the role that the task runs as, for its open occurrences, and returns its run_id; it starts after commit. Outside a window of its class only with force and a reason. Errors: undefined_object, object_in_use (a run is under way), object_not_in_prerequisite_state.';

create function maintsched.cancel_run(run_id bigint) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	r maintsched.run;
	words constant text := format('cancelled by %s', session_user);
begin
	perform maintsched.need_primary();
	select x.* into r from maintsched.run x where x.run_id = cancel_run.run_id for update;
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('run %s does not exist', coalesce(run_id::text, 'NULL')),
			hint = 'The view run_history lists them.';
	elsif r.finished_at is not null then
		raise notice 'run % has ended: %', r.run_id, r.state;
		return false;
	elsif r.state = 'queued' then
		perform maintsched.drop_run(r.run_id, 'cancelled', words, null);
	else
		update maintsched.run x
		set stop_requested = 'cancelled', stop_requested_at = clock_timestamp(), message = words
		where x.run_id = r.run_id;
		perform maintsched.start_work();
	end if;
	return true;
end
$$;

comment on function maintsched.cancel_run(bigint) is
'Cancels a run: one that is queued at once, one that is running within a second or two of the commit. Its occurrence stays due, for people or run_task(). Returns false where it had ended before. Errors: undefined_object.';
