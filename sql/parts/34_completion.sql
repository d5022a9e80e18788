--
-- 34_completion: doing and proving
--
-- Each fact has its one function.  It first takes the row of the occurrence,
-- by counting up its facts: whoever records about the same one waits, and then
-- sees what was recorded; a transaction of a stricter isolation level fails
-- with a serialization error instead.
--

create function maintsched.need_words(message text, words text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
	if coalesce(btrim(words, E' \t\r\n'), '') = '' then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = message,
			hint = 'It is kept with the record, for those who read it later.';
	end if;
end
$$;

comment on function maintsched.need_words(text, text) is
'Internal: Raises invalid_parameter_value (22023) with this message where the words are missing.';

create function maintsched.occurrence_text(occurrence_id bigint) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select format('"%s" (%s/%s, due %s)', v.title, t.calendar, t.name,
		maintsched.end_text(o.due_at, o.timezone))
	from maintsched.occurrence o
	join maintsched.task t using (task_id)
	join maintsched.task_version v on v.task_id = o.task_id and v.version = o.version
	where o.occurrence_id = occurrence_text.occurrence_id
$$;

comment on function maintsched.occurrence_text(bigint) is
'Internal: An occurrence for people: title, calendar/task, until when.';

create function maintsched.take_occurrence(occurrence_id bigint) returns maintsched.occurrence
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	taken maintsched.occurrence;
begin
	perform maintsched.need_primary();
	update maintsched.occurrence o
	set facts = o.facts + 1
	where o.occurrence_id = take_occurrence.occurrence_id
	returning o.* into taken;
	if not found then
		raise exception using
			errcode = 'undefined_object',
			message = format('occurrence %s does not exist', coalesce(take_occurrence.occurrence_id::text, 'NULL')),
			hint = 'The view today lists what is due with its id; occurrence_status has them all.';
	end if;
	return taken;
end
$$;

comment on function maintsched.take_occurrence(bigint) is
'Internal: Takes the row of an occurrence for a fact that is about to be recorded, and returns it. Errors: undefined_object (42704).';

create function maintsched.recorded_by_now() returns timestamptz
language sql volatile
return case when maintsched.clock_simulated() then maintsched.clock() else clock_timestamp() end;

comment on function maintsched.recorded_by_now() is
'Internal: What was recorded up to here counts for who has just taken an occurrence: not clock(), since a statement that began later may have taken it earlier.';

create function maintsched.pass_of(occurrence_id bigint) returns maintsched.completion
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	result maintsched.completion;
begin
	select c.* into result
	from maintsched.completion c
	where c.occurrence_id = pass_of.occurrence_id
	and c.outcome = 'pass'
	and c.clock_at <= maintsched.recorded_by_now()
	and not exists (
		select from maintsched.completion_retraction x
		where x.completion_id = c.completion_id and x.clock_at <= maintsched.recorded_by_now())
	and not exists (
		select from maintsched.completion_review r
		where r.completion_id = c.completion_id and r.decision = 'rejected'
		and r.clock_at <= maintsched.recorded_by_now())
	order by c.completion_id desc
	limit 1;
	return result;
end
$$;

comment on function maintsched.pass_of(bigint) is
'Internal: The completion by which an occurrence that was taken is passed; NULL: it is not.';

create function maintsched.take_open(occurrence_id bigint) returns maintsched.occurrence
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	o constant maintsched.occurrence := maintsched.take_occurrence(take_open.occurrence_id);
	done maintsched.completion;
begin
	if o.withdrawn_at <= maintsched.recorded_by_now() then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('%s was withdrawn', maintsched.occurrence_text(o.occurrence_id)),
			detail = format('Since %s: %s.', maintsched.start_text(o.withdrawn_at, o.timezone), o.withdrawn_reason),
			hint = 'Nothing is asked of anybody here. To ask for it again, enable or put back its task.';
	elsif o.opens_at > maintsched.clock() then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('%s is not open before %s', maintsched.occurrence_text(o.occurrence_id),
				maintsched.start_text(o.opens_at, o.timezone)),
			hint = 'Work before that is not evidence for it: record it from then on.';
	end if;

	done := maintsched.pass_of(o.occurrence_id);
	if done.completion_id is not null then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('%s is done', maintsched.occurrence_text(o.occurrence_id)),
			detail = format('By %s at %s, completion %s.', done.performed_by,
				maintsched.start_text(done.completed_at, o.timezone), done.completion_id),
			hint = format('Were that a mistake, a manager retracts it first: select maintsched.retract_completion(%s, reason);', done.completion_id);
	end if;
	return o;
end
$$;

comment on function maintsched.take_open(bigint) is
'Internal: take_occurrence() of one that can be worked on: open or closed since, not withdrawn, not passed. Errors: undefined_object (42704), object_not_in_prerequisite_state (55000).';

create function maintsched.begin_task(occurrence_id bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	o constant maintsched.occurrence := maintsched.take_open(begin_task.occurrence_id);
	begun record;
begin
	select w.started_at, w.started_by into begun
	from maintsched.occurrence_work w
	where w.occurrence_id = o.occurrence_id and w.started_at is not null;
	if found then
		raise notice '% began % at %', begun.started_by, maintsched.occurrence_text(o.occurrence_id),
			maintsched.start_text(begun.started_at, o.timezone);
	end if;
	insert into maintsched.task_start (occurrence_id) values (o.occurrence_id);
	perform maintsched.note_standing(o.occurrence_id);
end
$$;

comment on function maintsched.begin_task(bigint) is
'Says that one begins an open occurrence: due_tasks then shows who and since when. Errors: undefined_object, object_not_in_prerequisite_state.';

create function maintsched.mark_items(o maintsched.occurrence, items integer[], passed boolean, note text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	checklist jsonb;
	unknown_item integer;
begin
	select v.checklist into strict checklist
	from maintsched.task_version v
	where v.task_id = o.task_id and v.version = o.version;

	if coalesce(cardinality(items), 0) = 0 or array_position(items, null) is not null or passed is null then
		raise exception using
			errcode = 'null_value_not_allowed',
			message = 'a checklist item is needed, and whether it passed',
			hint = 'Items are numbered from 1; the view checklist lists them.';
	end if;
	select i into unknown_item
	from unnest(items) i
	where i not between 1 and jsonb_array_length(checklist)
	limit 1;
	if found then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s has no checklist item %s', maintsched.occurrence_text(o.occurrence_id), unknown_item),
			detail = case when jsonb_array_length(checklist) = 0 then 'It has no checklist.'
				else format('Its items are %s.', (
					select string_agg(format('%s "%s"', c.ordinality, c.value ->> 'text'), ', ' order by c.ordinality)
					from jsonb_array_elements(checklist) with ordinality c)) end,
			hint = case when jsonb_array_length(checklist) = 0 then 'Complete it with complete_task().'
				else 'The view checklist lists them.' end;
	end if;

	insert into maintsched.checklist_mark (occurrence_id, item, passed, note)
	select o.occurrence_id, i, passed, note
	from (select distinct unnest(items) as i) x
	order by i;
	perform maintsched.note_standing(o.occurrence_id);
end
$$;

comment on function maintsched.mark_items(maintsched.occurrence, integer[], boolean, text) is
'Internal: Records marks on checklist items. Errors: invalid_parameter_value, null_value_not_allowed.';

create function maintsched.check_item(occurrence_id bigint, item integer, passed boolean default true, note text default null)
returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.mark_items(maintsched.take_open(occurrence_id), array[item], passed, note)
$$;

comment on function maintsched.check_item(bigint, integer, boolean, text) is
'Ticks an item of an occurrence''s checklist, or with passed => false records that it was found wrong. The latest mark counts. Errors: undefined_object, invalid_parameter_value, object_not_in_prerequisite_state.';

create function maintsched.check_items(occurrence_id bigint, variadic items integer[]) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
	select maintsched.mark_items(maintsched.take_open(occurrence_id), items, true, null)
$$;

comment on function maintsched.check_items(bigint, integer[]) is
'Ticks several items of an occurrence''s checklist: check_items(12, 1, 2, 4). Errors: undefined_object, invalid_parameter_value, object_not_in_prerequisite_state.';

create function maintsched.open_items(o maintsched.occurrence) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return (
		select string_agg(
			format('%s "%s"%s', i.ordinality, i.value ->> 'text',
				case when not m.passed then ' (found wrong' || coalesce(': ' || m.note, '') || ')' else '' end),
			', ' order by i.ordinality)
		from maintsched.task_version v
		cross join lateral jsonb_array_elements(v.checklist) with ordinality i
		left join maintsched.checklist_standing m on m.occurrence_id = (o).occurrence_id and m.item = i.ordinality
		where v.task_id = (o).task_id and v.version = (o).version
		and m.passed is not true);
end
$$;

comment on function maintsched.open_items(maintsched.occurrence) is
'Internal: The checklist items of an occurrence that are not ticked, for people; NULL: all are.';

create function maintsched.check_completed_at(o maintsched.occurrence, completed_at timestamptz) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if not isfinite(completed_at) then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('completed_at %s is not an instant', completed_at),
			hint = 'Leave completed_at out for what was carried out just now.';
	elsif completed_at < o.opens_at then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('%s was not open at %s', maintsched.occurrence_text(o.occurrence_id),
				maintsched.start_text(completed_at, o.timezone)),
			detail = format('It opened at %s.', maintsched.start_text(o.opens_at, o.timezone)),
			hint = 'Work before that is no evidence for it, perhaps for the one before.';
	elsif completed_at > maintsched.clock() then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('completed_at %s lies ahead', maintsched.start_text(completed_at, o.timezone)),
			detail = format('It is %s.', maintsched.start_text(maintsched.clock(), o.timezone)),
			hint = 'Leave completed_at out for what was carried out just now.';
	end if;
end
$$;

comment on function maintsched.check_completed_at(maintsched.occurrence, timestamptz) is
'Internal: Raises invalid_parameter_value (22023) unless the occurrence was open then and then is not ahead.';

create function maintsched.complete_task(
	occurrence_id bigint, outcome text default 'pass', note text default null,
	evidence jsonb default null, completed_at timestamptz default null, performed_by text default null)
returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	o constant maintsched.occurrence := maintsched.take_open(occurrence_id);
	at constant timestamptz := maintsched.clock();
	-- clock_timestamp() is a little ahead of the statement that passes it
	claimed constant timestamptz := case
		when completed_at > at and completed_at <= maintsched.recorded_by_now() then at
		else coalesce(completed_at, at) end;
	max_backdate constant interval := make_interval(
		secs => extract(epoch from current_setting('maintsched.max_backdate')::interval)::double precision);
	backdated constant boolean := claimed < at - max_backdate;
	unticked text;
	id bigint;
	status text;
	needs_review boolean;
begin
	perform maintsched.check_word('outcome', outcome, array['pass', 'fail', 'partial', 'inconclusive']);
	perform maintsched.check_completed_at(o, claimed);
	unticked := case when outcome = 'pass' then maintsched.open_items(o) end;
	if unticked is not null then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('%s has checklist items that are not ticked', maintsched.occurrence_text(o.occurrence_id)),
			detail = format('Not ticked: %s.', unticked),
			hint = format('Tick what is in order, select maintsched.check_items(%s, ...), or complete it with outcome ''partial'' or ''fail''.', o.occurrence_id);
	end if;

	insert into maintsched.completion (
		occurrence_id, attempt, outcome, completed_at, effective_at, backdated,
		performed_by, note, evidence)
	values (
		o.occurrence_id,
		1 + (select count(*) from maintsched.completion c where c.occurrence_id = o.occurrence_id),
		outcome, claimed, case when backdated then at else claimed end, backdated,
		coalesce(nullif(btrim(performed_by), ''), maintsched.acting_role()), note, evidence)
	returning completion_id into id;
	perform maintsched.note_standing(o.occurrence_id);

	select f.status, v.review into strict status, needs_review
	from maintsched.occurrence_fact f
	join maintsched.task_version v on v.task_id = f.task_id and v.version = f.version
	where f.occurrence_id = o.occurrence_id and f.with_simulated;
	raise notice 'completed %: %', maintsched.occurrence_text(o.occurrence_id),
		concat_ws(', ', status,
			case when status = 'missed' then 'it had closed before, at ' || maintsched.start_text(o.closes_at, o.timezone) end,
			case when backdated then 'claimed too far back, so it counts from now' end,
			case when needs_review then 'awaits review' end);
	return id;
end
$$;

comment on function maintsched.complete_task(bigint, text, text, jsonb, timestamptz, text) is
'Records that an occurrence was carried out; returns the completion_id. outcome: pass, fail, partial or inconclusive; a pass needs every checklist item ticked. completed_at: when, from the opening to clock() (default); more than maintsched.max_backdate before clock() it counts from clock() and shows as backdated. performed_by: who, default the acting role. Errors: undefined_object, invalid_parameter_value, object_not_in_prerequisite_state.';

create function maintsched.complete_open_task(
	calendar text, task text, outcome text default 'pass', note text default null,
	evidence jsonb default null, completed_at timestamptz default null, performed_by text default null)
returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	id constant bigint := maintsched.find_task(calendar, task);
	open_ids bigint[];
begin
	open_ids := array(
		select w.occurrence_id
		from maintsched.live_occurrence w
		where w.task_id = id
		and (w.closes_at is null or w.closes_at > maintsched.clock())
		and w.status <> 'withdrawn' and not w.passed
		order by w.opens_at);
	if cardinality(open_ids) > 1 then
		raise exception using
			errcode = 'cardinality_violation',
			message = format('task "%s" has %s open occurrences', task, cardinality(open_ids)),
			detail = (
				select format('They are %s.', string_agg(
					format('%s, due %s', o.occurrence_id, maintsched.end_text(o.due_at, o.timezone)), '; ' order by o.opens_at))
				from maintsched.occurrence o where o.occurrence_id = any (open_ids)),
			hint = 'Complete the one that is meant: select maintsched.complete_task(id);';
	elsif cardinality(open_ids) = 0 then
		raise exception using
			errcode = 'object_not_in_prerequisite_state',
			message = format('task "%s" has no open occurrence', task),
			detail = coalesce((
				select format('The next one opens at %s.', maintsched.start_text(o.opens_at, o.timezone))
				from maintsched.occurrence o
				where o.task_id = id and o.opens_at > maintsched.clock()
				order by o.opens_at limit 1),
				(select 'The task was retired.' from maintsched.task t where t.task_id = id and t.retired_at is not null),
				'None is planned.'),
			hint = format('occurrence_status shows what became of the others: select * from maintsched.occurrence_status where task = %L order by opens_at;', (
				select t.name from maintsched.task t where t.task_id = id));
	end if;
	return maintsched.complete_task(open_ids[1], outcome, note, evidence, completed_at, performed_by);
end
$$;

comment on function maintsched.complete_open_task(text, text, text, text, jsonb, timestamptz, text) is
'complete_task() for the one open occurrence of a task that is not passed. Errors: cardinality_violation (21000) with the list where there are several, object_not_in_prerequisite_state where there is none, and those of complete_task().';
