--
-- 26_compare: what a document would change
--
-- compare_tasks() and compare_rest() say it; plan_import() shows it, and
-- 26_import carries it out.
--

create function maintsched.document_tasks(document jsonb, calendar text)
returns setof maintsched.task
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select p.*
	from jsonb_array_elements(document -> 'tasks') with ordinality e
	cross join lateral jsonb_populate_record(null::maintsched.task,
		jsonb '{"rdate": [], "exdate": [], "params": {}, "catch_up": "latest",
			"review": false, "checklist": [], "instructions": [], "tools": [],
			"source": [], "enabled": true}'
		|| jsonb_strip_nulls(e.value - array['params', 'formerly'])
		|| jsonb_build_object('params', coalesce(e.value -> 'params', '{}'),
			'calendar', calendar, 'position', e.ordinality,
			'run_as', maintsched.acting_role(), 'effective_from', maintsched.clock())) p
	order by e.ordinality
$$;

comment on function maintsched.document_tasks(jsonb, text) is
'Internal: The tasks of a checked document as rows of table task, to be effective now and to run as the acting role.';

create type maintsched.task_comparison as (
	"position" integer,
	task_id bigint,
	name text,
	old_name text,
	change text,
	detail text
);

comment on type maintsched.task_comparison is 'What an import does with one task: added, changed, renamed, revived, retired or unchanged.';

create function maintsched.compare_tasks(document jsonb, calendar text)
returns setof maintsched.task_comparison
language sql stable
set search_path = pg_catalog, pg_temp
set intervalstyle = iso_8601
as $$
	with wanted as (
		select d.*, e.value -> 'formerly' as formerly
		from maintsched.document_tasks(document, calendar) d
		join jsonb_array_elements(document -> 'tasks') with ordinality e
			on e.ordinality = d.position
	), matched as (
		select w."position", w.name, t.task_id, t.name as old_name,
			t.retired_at is not null as was_retired,
			case when same.retired_at is not null then renamed.name end as cut_off,
			to_jsonb(t) as was, to_jsonb(w) as becomes
		from wanted w
		left join maintsched.task same
			on same.calendar = compare_tasks.calendar and same.name = w.name
		left join lateral (
			select f.task_id, f.name
			from jsonb_array_elements_text(w.formerly) e(name)
			join maintsched.task f on f.calendar = compare_tasks.calendar and f.name = e.name
			where (same.task_id is null or same.retired_at is not null and f.retired_at is null)
			and not exists (select from wanted x where x.name = f.name)
			order by f.retired_at desc nulls first, f.task_id
			limit 1
		) renamed on true
		left join maintsched.task t on t.task_id = coalesce(same.task_id, renamed.task_id)
	), compared as (
		select m.*, d.detail
		from matched m
		left join lateral (
			select string_agg(format('%s: %s -> %s', n.key,
				coalesce(left(m.was ->> n.key, 60), 'none'),
				coalesce(left(n.value #>> '{}', 60), 'none')), '; ' order by n.key) as detail
			from jsonb_each(m.becomes) n
			where n.key <> all (array['task_id', 'calendar', 'name', 'enabled', 'run_as',
				'effective_from', 'retired_at', 'cadence', 'position', 'formerly'])
			and n.value is distinct from m.was -> n.key
		) d on m.task_id is not null
	)
	select c."position", c.task_id, c.name, c.old_name,
		case
			when c.cut_off is not null then 'conflict'
			when c.task_id is null then 'added'
			when c.old_name <> c.name then 'renamed'
			when c.was_retired then 'revived'
			when c.detail is not null then 'changed'
			else 'unchanged'
		end,
		case
			when c.cut_off is not null then format('formerly %s, but a retired task has the name %s', c.cut_off, c.name)
			when c.task_id is null then c.becomes ->> 'title'
			else concat_ws('; ', case when c.old_name <> c.name then 'formerly ' || c.old_name end, c.detail)
		end
	from compared c
	union all
	select null, t.task_id, t.name, t.name, 'retired', t.title
	from maintsched.task t
	where t.calendar = compare_tasks.calendar
	and t.retired_at is null
	and maintsched.in_documents(t.routine)
	and not maintsched.is_follow_up_task(t.task_id)
	and t.task_id not in (select c.task_id from compared c where c.task_id is not null)
	order by 1 nulls last, 3
$$;

comment on function maintsched.compare_tasks(jsonb, text) is
'Internal: What the import of a checked document changes in the tasks of a calendar. Tasks match by name, else by formerly.';

create function maintsched.document_calendar(document jsonb, as_name text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	calendar_name constant text := coalesce(as_name, document ->> 'name');
begin
	if calendar_name !~ '^[a-z0-9]+(-[a-z0-9]+)*$' or octet_length(calendar_name) > 63 then
		raise exception using
			errcode = 'invalid_parameter_value',
			message = format('calendar name "%s" is not in kebab-case', calendar_name),
			hint = 'Small letters, digits and single hyphens, at most 63.';
	end if;
	return calendar_name;
end
$$;

comment on function maintsched.document_calendar(jsonb, text) is
'Internal: The name of the calendar that a document is imported as. Errors: invalid_parameter_value (22023).';

create function maintsched.compare_rest(document jsonb, calendar text)
returns table (field text, old jsonb, new jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with was as (
		select k.key, k.value
		from jsonb_each(
			case when exists (select from maintsched.calendar c where c.name = compare_rest.calendar)
			then maintsched.export_calendar(compare_rest.calendar) else '{}' end) k
	), becomes as (
		select k.key, case k.key
			when 'timezone' then to_jsonb(maintsched.check_timezone(k.value #>> '{}'))
			else k.value end as value
		from jsonb_each(document || jsonb_build_object('timezone', coalesce(document ->> 'timezone', 'UTC'))) k
		where k.value <> 'null' and k.value <> '[]' and k.value <> 'false'
	)
	select coalesce(w.key, b.key), w.value, b.value
	from was w full join becomes b on w.key = b.key
	where w.value is distinct from b.value
	and coalesce(w.key, b.key) <> all (array['format', 'name', 'tasks', 'contacts'])
	and (coalesce(w.key, b.key) <> 'timezone' or not exists (
		select from maintsched.calendar c
		where c.name = compare_rest.calendar and c.timezone_given))
	union all
	-- the contact given here stays, and counts as no difference
	select 'contacts', w.value, b.value
	from (select jsonb_agg(to_jsonb(x) order by x.role) as value
		from (select c.role,
				case when d.contact = c.contact_given then c.contact_given else c.contact end as contact,
				c.responsibilities, c.source
			from maintsched.contact c
			left join jsonb_to_recordset(document -> 'contacts') d (role text, contact text) on d.role = c.role
			where c.calendar = compare_rest.calendar) x) w,
		(select jsonb_agg(to_jsonb(x) order by x.role) as value
		from (select c.role, c.contact, c.responsibilities, coalesce(c.source, '{}') as source
			from jsonb_to_recordset(document -> 'contacts') c (role text, contact text, responsibilities text, source text[])) x) b
	where w.value is distinct from b.value
	order by 1
$$;

comment on function maintsched.compare_rest(jsonb, text) is
'Internal: What the import of a checked document changes beside the tasks: one row per field or array of the document.';

create function maintsched.check_import(document jsonb, calendar text, zone text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if document is null then
		raise exception using
			errcode = 'null_value_not_allowed',
			message = 'a calendar document is needed',
			hint = 'install_calendar() installs the shipped ones: the view available_calendars lists them.';
	end if;
	perform maintsched.check_task(d, format('tasks[%s]', d.position - 1), zone)
	from maintsched.document_tasks(document, calendar) d;
	perform maintsched.check_window(format('windows[%s]', e.ordinality - 1), w.name, w.rule, w.starts_on,
		w.duration, w.change_class, maintsched.check_timezone(w.timezone), zone)
	from jsonb_array_elements(document -> 'windows') with ordinality e
	cross join lateral jsonb_populate_record(null::maintsched.maintenance_window, e.value) w;
end
$$;

comment on function maintsched.check_import(jsonb, text, text) is
'Internal: What the reader of documents cannot know: rules that never occur, controls, zones of windows. Raises errors with the JSON path.';

create function maintsched.plan_import(document text, as_name text default null)
returns table (task text, change text, detail text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	parsed constant jsonb := maintsched.check_document(document);
	calendar_name constant text := maintsched.document_calendar(parsed, as_name);
begin
	perform maintsched.check_import(parsed, calendar_name,
		coalesce((select c.timezone from maintsched.calendar c where c.name = calendar_name and c.timezone_given),
			maintsched.check_timezone(parsed ->> 'timezone'), 'UTC'));
	return query
	select c.name, c.change, c.detail
	from maintsched.compare_tasks(parsed, calendar_name) c
	where c.change <> 'unchanged'
	union all
	select null, r.field || case
			when r.old is null then ' added'
			when r.new is null then ' removed'
			else ' changed' end,
		case when jsonb_typeof(coalesce(r.new, r.old)) = 'array'
			then format('%s -> %s entries', coalesce(jsonb_array_length(r.old), 0), coalesce(jsonb_array_length(r.new), 0))
			else format('%s -> %s', coalesce(left(r.old #>> '{}', 60), 'none'), coalesce(left(r.new #>> '{}', 60), 'none')) end
	from maintsched.compare_rest(parsed, calendar_name) r;
end
$$;

comment on function maintsched.plan_import(text, text) is
'What import_calendar() of this document would change, one row per task (added, changed, renamed, revived, retired, conflict) and, with task NULL, per other part; nothing is changed. No row: no difference. Errors: those of the document.';
