--
-- 56_corruption: what amcheck found, and for whom
--
-- All of it is read from run_action: there is no second place that could say
-- something else.  A relation is corrupt until a later check of the same item
-- found it sound.  A rebuild is no proof: what was rebuilt is marked as
-- rewritten, because its file is another one, and is checked first the next
-- time.
--

create function maintsched.corrupt_relations()
returns table (
	schema text, relation text, kind text, found_at timestamptz, sqlstate text,
	rewritten boolean, first_found_at timestamptz, run_id bigint, seq integer)
language plpgsql volatile security definer rows 10
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	also_simulated constant boolean := maintsched.clock_simulated();
begin
	return query
	with found as (
		select a.target, a.details ->> 'schema' as schema, a.details ->> 'relation' as relation,
			a.details ->> 'amcheck' as item, a.details ->> 'part' as part,
			a.run_id, a.seq, a.finished_at, a.sqlstate, a.before ->> 'filenode' as filenode
		from maintsched.run_action a
		join maintsched.run r using (run_id)
		where a.details ? 'amcheck' and a.state = 'failed' and a.sqlstate in ('XX001', 'XX002', '58030')
		and r.routine = 'amcheck' and (also_simulated or not r.simulated)
	), standing as (
		select f.*
		from found f
		where not exists (
			select
			from maintsched.run_action a
			join maintsched.run r using (run_id)
			where md5(a.target) = md5(f.target) and a.target = f.target
			and a.details ->> 'amcheck' = any (array[f.item, replace(f.item, 'index', 'parents'), replace(f.item, 'parents', 'index')])
			and a.details ->> 'part' = f.part
			and a.details ? 'amcheck' and a.state = 'done' and a.run_id > f.run_id
			and r.routine = 'amcheck' and (also_simulated or not r.simulated)
			-- the links between levels only a check of them proves, or that of another file
			and (a.details ->> 'amcheck' = any (array[f.item, replace(f.item, 'index', 'parents')])
				or a.before ->> 'filenode' is distinct from f.filenode))
	), latest as (
		select distinct on (s.target, s.item, s.part) s.*,
			min(s.finished_at) over (partition by s.target, s.item, s.part) as first_at
		from standing s
		order by s.target, s.item, s.part, s.run_id desc
	), there as (
		select l.*, c.storage ->> 'filenode' is distinct from l.filenode as rewritten,
			row_number() over (partition by l.schema, l.relation, k.kind order by l.run_id desc, l.seq) as rank,
			k.kind
		from latest l
		cross join lateral (
			select maintsched.check_storage(l.schema, l.relation, l.item) as storage) c
		cross join lateral (
			select case l.item when 'parents' then 'index' when 'toast parents' then 'toast index'
				when 'table' then (
					select case x.relkind when 'm' then 'materialized view' else 'table' end
					from pg_class x join pg_namespace n on n.oid = x.relnamespace
					where n.nspname = l.schema and x.relname = l.relation)
				else l.item end as kind) k
		-- it is there, and so are the pages
		where c.storage is not null
		-- toast that was rewritten and is empty is not checked any more
		and not (l.item like 'toast%' and c.storage ->> 'filenode' is distinct from l.filenode
			and (maintsched.check_storage(l.schema, l.relation, 'toast') ->> 'pages')::numeric is not distinct from 0)
		and (l.part = '0'
			or coalesce((c.storage ->> 'pages')::numeric, 'infinity') > l.part::numeric * maintsched.check_part_pages())
	)
	select t.schema, t.relation, t.kind, max(t.finished_at),
		max(t.sqlstate) filter (where t.rank = 1),
		bool_and(t.rewritten), min(t.first_at),
		max(t.run_id) filter (where t.rank = 1), max(t.seq) filter (where t.rank = 1)
	from there t
	group by t.schema, t.relation, t.kind
	order by min(t.first_at), t.schema collate "C", t.relation collate "C", t.kind;
end
$$;

comment on function maintsched.corrupt_relations() is
'The relations that routine amcheck found corrupt (SQLSTATE XX001, XX002 or, unreadable, 58030) and no later check has found sound: kind is table, materialized view, index, toast or toast index (of that table); found_at when that was found last, first_found_at first; rewritten: its file is another one since, so it was rebuilt or restored, and waits for its next check. run_id and seq name the newest finding in run_actions, whose message says what it is. Keyed by schema and name: one that was dropped is not among them, one that was renamed is to be checked anew.';

create function maintsched.check_standing()
returns table (
	schema text, relation text, kind text, access_method text, size_bytes bigint,
	last_checked_at timestamptz, check_kind text, verdict text, run_id bigint, seq integer, problem text,
	parts integer, parts_checked integer, parents_checked_at timestamptz)
language plpgsql volatile security definer rows 1000
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	with item as materialized (
		select i.*, format('%I.%I', i.schema_name, i.relation_name) as target, row_number() over () as n
		from maintsched.checkable_items() i
	), past as materialized (
		select (h.ordinality + 1) / 2 as n, h.ordinality % 2 = 0 as parents, h.*
		from maintsched.last_checks(
			(select array_agg(i.target order by i.n, x) from item i cross join generate_series(1, 2) x),
			(select array_agg(case when x = 1 then i.item else replace(i.item, 'index', 'parents') end order by i.n, x)
				from item i cross join generate_series(1, 2) x),
			(select array_agg(i.part order by i.n, x) from item i cross join generate_series(1, 2) x)) h
	), newest as (
		select distinct on (p.n) p.* from past p order by p.n, p.run_id desc, p.parents
	), known as (
		select i.*, h.run_id, h.seq, h.checked_at, h.verdict, p.checked_at as parents_at,
			case when h.parents and i.item like '%index' then replace(i.item, 'index', 'parents') else i.item end as done
		from item i
		left join newest h on h.n = i.n
		left join past p on p.n = i.n and p.parents and i.item = 'index'
	), worst as (
		-- what tells most about a relation: a finding, a failure, what is missing, the oldest
		select k.*,
			row_number() over (partition by k.oid order by
				(case k.verdict when 'corrupt' then 0 when 'error' then 1 when 'sound' then 3 else 2 end),
				k.checked_at nulls first, k.item, k.part) as rank
		from known k
	), corrupt as (
		select distinct c.schema, c.relation, c.kind = 'index' as is_index
		from maintsched.corrupt_relations() c
	)
	select w.schema_name, w.relation_name, w.kind, w.access_method,
		sum(w.pages * current_setting('block_size')::bigint) filter (where w.item <> 'toast index')::bigint,
		case when count(*) = count(w.checked_at) then min(w.checked_at) end,
		max(w.done) filter (where w.rank = 1),
		case
			when max(w.problem) is not null and count(w.checked_at) = 0 then 'not checkable'
			when bool_or(w.verdict = 'corrupt' or c.schema is not null) then 'corrupt'
			when bool_or(w.verdict = 'error') then 'error'
			when count(w.checked_at) = 0 then 'never checked'
			when count(w.checked_at) < count(*) then 'partly checked'
			else 'sound' end,
		max(w.run_id) filter (where w.rank = 1), max(w.seq) filter (where w.rank = 1), max(w.problem),
		count(*)::integer, count(w.checked_at)::integer, max(w.parents_at)
	from worst w
	left join corrupt c on c.schema = w.schema_name and c.relation = w.relation_name and c.is_index = (w.kind = 'index')
	group by w.oid, w.schema_name, w.relation_name, w.kind, w.access_method;
end
$$;

comment on function maintsched.check_standing() is
'Internal: What view amcheck_report says, but for the messages.';

create view maintsched.amcheck_report as
select s.schema, s.relation, s.kind, s.last_checked_at, s.check_kind, s.verdict,
	coalesce(a.message, s.problem) as message,
	maintsched.clock() - s.last_checked_at as age,
	extract(epoch from maintsched.clock() - s.last_checked_at)::bigint as age_seconds,
	s.parents_checked_at, s.access_method, s.size_bytes, s.parts, s.parts_checked, s.run_id
from maintsched.check_standing() s
left join maintsched.run_action a on a.run_id = s.run_id and a.seq = s.seq;

comment on view maintsched.amcheck_report is 'When each table, materialized view and index was last checked by routine amcheck, and with what result.';
comment on column maintsched.amcheck_report.schema is 'Its schema.';
comment on column maintsched.amcheck_report.relation is 'Its name.';
comment on column maintsched.amcheck_report.kind is 'table (with its toast), materialized view or index.';
comment on column maintsched.amcheck_report.last_checked_at is 'Since when all of it has been checked: the oldest of the last checks of its parts; NULL: not all of it ever was.';
comment on column maintsched.amcheck_report.check_kind is 'The check that verdict and message are of: table, toast, toast index, index, or parents and toast parents (with the links between the levels of a btree).';
comment on column maintsched.amcheck_report.verdict is 'sound, corrupt (and not found sound since), error (the last check could not be carried out), partly checked, never checked, or not checkable.';
comment on column maintsched.amcheck_report.message is 'What was found, why it could not be checked, or why there is no check for it.';
comment on column maintsched.amcheck_report.age is 'How long ago last_checked_at was.';
comment on column maintsched.amcheck_report.age_seconds is 'The same, in seconds.';
comment on column maintsched.amcheck_report.parents_checked_at is 'When the links between the levels of this btree were last checked.';
comment on column maintsched.amcheck_report.access_method is 'Its access method.';
comment on column maintsched.amcheck_report.size_bytes is 'Its size in bytes; of a table with its toast, without indexes.';
comment on column maintsched.amcheck_report.parts is 'Of how many checks a whole one consists.';
comment on column maintsched.amcheck_report.parts_checked is 'How many of these were carried out at least once.';
comment on column maintsched.amcheck_report.run_id is 'The run that check was part of.';

create function maintsched.amcheck_health()
returns table (item text, status text, value text, detail text, hint text)
language plpgsql volatile security definer rows 1
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	also_simulated constant boolean := maintsched.clock_simulated();
	checked_at timestamptz;
	c record;
begin
	select count(*) filter (where not x.rewritten) as corrupt, count(*) filter (where x.rewritten) as rewritten,
		bool_or(x.kind not in ('index', 'toast index')) filter (where not x.rewritten) as data,
		string_agg(format('%I.%I (%s)', x.schema, x.relation, x.kind), ', ' order by x.rewritten, x.found_at, x.relation)
			filter (where x.rank <= 5) as names
	into c
	from (
		select r.*, row_number() over (order by r.rewritten, r.found_at, r.relation) as rank
		from maintsched.corrupt_relations() r) x;
	if c.corrupt > 0 then
		return query select 'corruption', 'CRIT', c.corrupt::text,
			format('%s corrupt: %s%s', case c.corrupt when 1 then '1 relation is' else c.corrupt || ' relations are' end,
				c.names, case when c.corrupt + c.rewritten > 5 then ', ...' end),
			case when c.data
				then 'run_actions says what was found. Look after the storage and the backups first, keep a copy of the files, and restore what is damaged from a backup that was checked.'
				else 'run_actions says what was found. An index is mended by REINDEX, which routine reindex does; look for the cause, and check its table.' end;
		return;
	elsif c.rewritten > 0 then
		return query select 'corruption', 'WARN', c.rewritten::text,
			format('found corrupt, rebuilt and not checked since: %s%s', c.names, case when c.rewritten > 5 then ', ...' end),
			'The next run of routine amcheck begins with them.';
		return;
	end if;
	select r.finished_at into checked_at
	from maintsched.run r
	where r.routine = 'amcheck' and r.finished_at is not null and (also_simulated or not r.simulated)
	and exists (select from maintsched.run_action a where a.run_id = r.run_id and a.state = 'done')
	order by r.run_id desc
	limit 1;
	return query select 'corruption',
		case when checked_at is null then 'UNKNOWN' else 'OK' end,
		case when checked_at is not null then '0' end,
		case when checked_at is null then 'nothing was ever checked for corruption'
			else format('nothing that was checked is corrupt; the last check was on %s',
				to_char(checked_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) end,
		case when checked_at is null
			then 'Let a task run routine amcheck, or: select maintsched.run_routine(''amcheck''); it needs extension amcheck.' end;
end
$$;

comment on function maintsched.amcheck_health() is
'Internal: What view health says of corruption: CRIT while a relation is corrupt, WARN while one that was rebuilt waits for its check, UNKNOWN where nothing was ever checked.';

create function maintsched.notice_corruption(run_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	told constant integer := 5;
	r record;
begin
	select x.*, t.calendar, t.teams, f.found, f.targets, f.first_target, f.body
	into r
	from maintsched.run x
	left join maintsched.task t on t.task_id = x.task_id
	cross join lateral (
		select count(distinct a.target) as found,
			(array_agg(a.target order by a.seq))[1] as first_target,
			string_agg(a.target || ': ' || a.message || '.', ' ' order by a.seq) filter (where a.place <= told) as body,
			count(*) as targets
		from (
			select a.*, row_number() over (order by a.seq) as place
			from maintsched.run_action a
			where a.run_id = x.run_id and a.details ? 'amcheck' and a.state = 'failed'
			and a.sqlstate in ('XX001', 'XX002', '58030')) a) f
	where x.run_id = notice_corruption.run_id and x.routine = 'amcheck' and f.found > 0;
	if not found then
		return;
	end if;
	perform maintsched.put_notice('corruption', 'run ' || r.run_id, coalesce(r.started_at, r.queued_at),
		coalesce(r.finished_at, maintsched.clock()), r.calendar, x.team,
		format('Corruption found: %s', case r.found when 1 then r.first_target else r.found || ' relations' end)
			|| case when cardinality(r.teams) > 1 then ' (' || x.team || ')' else '' end,
		concat_ws(' ', r.body,
			case when r.targets > told then format('%s more: the view run_actions has them.', r.targets - told) end,
			'The function corrupt_relations() lists what is corrupt.'),
		run_id => r.run_id)
	from (
		select distinct m from unnest(coalesce(r.teams, array[null::text])) m) x(team);
end
$$;

comment on function maintsched.notice_corruption(bigint) is
'Internal: Tells what a run of amcheck found, once, each team of its task.';
