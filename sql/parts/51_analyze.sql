--
-- 51_analyze: the routine analyze
--
-- A table needs ANALYZE when more of its rows have changed than its own
-- thresholds allow, as autovacuum judges, or when nothing is known of it:
-- never analyzed, or not since the counters began.  What autovacuum forgets is
-- judged as well: partitioned tables and inheritance parents, by their parts.
--
-- ANALYZE reads rows and runs the expressions of indexes as the owner of the
-- table, in a security-restricted operation, whoever calls it: PostgreSQL does
-- that by itself.
--

create function maintsched.with_statistics(relations oid[]) returns table (relation oid, inherited boolean)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select distinct s.starelid, s.stainherit from pg_statistic s where s.starelid = any (relations)
$$;

comment on function maintsched.with_statistics(oid[]) is
'Internal: Which of some relations have statistics, of their own rows or of those of their children, too.';

create function maintsched.tree_changes(relation oid) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with recursive tree as (
		select relation as oid
		union
		select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid
	)
	select sum(pg_stat_get_tuples_inserted(t.oid) + pg_stat_get_tuples_updated(t.oid) + pg_stat_get_tuples_deleted(t.oid))::bigint
	from tree t
$$;

comment on function maintsched.tree_changes(oid) is
'Internal: How many rows of a table and its children were ever changed, by the counters of the server.';

create function maintsched.changes_since(name text, relation oid, analyzed_at timestamptz) returns numeric
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select greatest(maintsched.tree_changes(relation) - (a.after ->> 'changes')::numeric, 0)
	from maintsched.run_action a
	join maintsched.run r using (run_id)
	where md5(a.target) = md5(name) and a.target = name and a.state = 'done' and r.routine = 'analyze'
	and (a.after ->> 'last_analyze')::timestamptz = analyzed_at
	order by a.run_id desc
	limit 1
$$;

comment on function maintsched.changes_since(text, oid, timestamptz) is
'Internal: How many rows of a table and its children were changed since it was analyzed then, if a run of routine analyze did that and measured it; NULL: not known. The counters of a partition begin anew when it is analyzed by itself.';

create function maintsched.analyze_judged(relations oid[], params jsonb)
returns table (relation oid, name text, kind "char", with_children boolean, row_count numeric, changed numeric,
	parts bigint, reads bigint, analyzed_at timestamptz, analyze_limit numeric, needed boolean, covered boolean,
	reason text, busy text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
as $$
#variable_conflict use_column
declare
	-- since 18 a parent is analyzed without its partitions; before, ANALYZE of
	-- the parent goes through them all, and they have no action of their own
	only_parent constant boolean := current_setting('server_version_num')::integer >= 180000;
	everything constant boolean := coalesce((params ->> 'all')::boolean, false);
	overridden constant boolean := nullif(params -> 'overrides', 'null') is not null;
	own_threshold constant numeric := current_setting('autovacuum_analyze_threshold');
	own_scale constant numeric := current_setting('autovacuum_analyze_scale_factor');
begin
	return query
	with recursive relation as (
		select c.oid, c.relkind, c.relhassubclass, c.reltuples,
			format('%I.%I', n.nspname, c.relname) as name,
			300 * greatest(nullif(current_setting('default_statistics_target')::integer, 0), (
				select max(a.attstattarget)
				from pg_attribute a
				where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), 1) as sample,
			greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) as analyzed_at,
			case when overridden then maintsched.threshold(params, 'threshold', h.names) else params -> 'threshold' end::numeric as threshold,
			case when overridden then maintsched.threshold(params, 'scale_factor', h.names) else params -> 'scale_factor' end::numeric as scale,
			coalesce(maintsched.table_option(c.reloptions, 'autovacuum_analyze_threshold'), own_threshold) as usual_threshold,
			coalesce(maintsched.table_option(c.reloptions, 'autovacuum_analyze_scale_factor'), own_scale) as usual_scale
		from unnest(relations) u(oid)
		join pg_class c on c.oid = u.oid
		join pg_namespace n on n.oid = c.relnamespace
		cross join lateral (
			select case when overridden then maintsched.threshold_names(c.oid) else '{}' end as names offset 0) h
	), tree as (
		select r.oid as root, i.inhrelid as member
		from relation r
		join pg_inherits i on i.inhparent = r.oid
		where r.relhassubclass
		union
		select t.root, i.inhrelid
		from tree t
		join pg_inherits i on i.inhparent = t.member
	), member as (
		select r.oid as root, r.oid as member from relation r where r.relkind <> 'p'
		union all
		select t.root, t.member from tree t
	), counted as (
		select m.root, m.member,
			greatest(c.reltuples, pg_stat_get_live_tuples(c.oid), 0)::numeric as rows,
			greatest(c.reltuples, 0)::numeric as rows_then,
			coalesce(pg_stat_get_mod_since_analyze(c.oid), 0) as changed,
			greatest(c.relpages, pg_stat_get_live_tuples(c.oid) / 50, o.pages, 0)::bigint as pages,
			coalesce(o.pages > 0, true) as filled
		from member m
		join pg_class c on c.oid = m.member
		left join lateral (
			-- unlike pg_relation_size(), this waits for nobody
			select coalesce((maintsched.vacuum_outlook(c.oid, 0)).pages, 1) as pages
			where c.reltuples < 0 or c.relpages = 0) o on true
		where c.relkind in ('r', 'm')
	), measured as (
		select r.oid,
			sum(s.rows) as rows,
			sum(s.changed) as changed,
			count(*) as parts,
			sum(s.pages) as pages,
			sum(least(s.pages, r.sample)) as sampled,
			sum(s.rows_then) as rows_then,
			sum(s.rows_then) filter (where s.member = r.oid) as own_rows_then,
			sum(s.pages) filter (where s.member = r.oid) as own_pages,
			sum(s.changed) filter (where s.member = r.oid) as own_changed,
			bool_or(s.filled) as filled
		from relation r
		join counted s on s.root = r.oid
		group by r.oid
	), weighed as (
		select r.*, coalesce(m.rows, 0) as rows, coalesce(m.parts, 0) as parts, m.filled,
			greatest(coalesce(m.changed, 0),
				-- what a partitioned table had when it was analyzed
				case when r.relkind = 'p' and r.analyzed_at is not null and r.reltuples >= 0
					then abs(coalesce(m.rows, 0) - r.reltuples::numeric) end,
				case when r.relhassubclass and r.analyzed_at is not null
					then maintsched.changes_since(r.name, r.oid, r.analyzed_at) end) as changed,
			m.own_changed,
			coalesce(r.threshold, r.usual_threshold) + coalesce(r.scale, r.usual_scale) * coalesce(m.rows_then, 0) as analyze_limit,
			coalesce(r.threshold, r.usual_threshold) + coalesce(r.scale, r.usual_scale) * coalesce(m.own_rows_then, 0) as own_limit,
			-- the partitions, and the parent's own sample of them
			(coalesce(least(m.pages, r.sample), 0)
				+ case when r.relkind = 'p' and not only_parent then coalesce(m.sampled, 0)
					when r.relkind <> 'p' and r.relhassubclass then least(m.own_pages, r.sample) else 0 end)::bigint as reads
		from relation r
		left join measured m using (oid)
	), stated as (
		select w.*, k.relation is not null as known,
			-- only where its own thresholds count
			coalesce(w.threshold, w.scale) is null and coalesce(a."analyze", false) as scored,
			b.by as busy
		from weighed w
		left join maintsched.with_statistics(relations) k on k.relation = w.oid and k.inherited = (w.relkind = 'p')
		left join maintsched.autovacuum_scores() a on a.relation = w.oid
		left join (select z.relation, min(z.by) as by from maintsched.at_work() z group by z.relation) b on b.relation = w.oid
	), judged as (
		select s.*,
			everything or s.scored or coalesce(s.analyzed_at is null and s.filled, false) or s.changed > s.analyze_limit
				or coalesce(s.relhassubclass and s.own_changed > s.own_limit, false) as needed
		from stated s
	)
	select j.oid, j.name, j.relkind, j.relhassubclass, j.rows, j.changed, j.parts, j.reads, j.analyzed_at, j.analyze_limit, j.needed,
		not only_parent and j.oid in (
			select t.member from tree t
			join judged p on p.oid = t.root
			where p.relkind = 'p' and p.needed),
		case
				when j.rows > 0 or j.changed > 0 or not coalesce(j.filled, false) then
					maintsched.count_text(j.rows) || case when j.rows = 1 then ' row' else ' rows' end
				else 'an unknown number of rows' end
			|| case when j.relkind = 'p' then format(' in %s %s', j.parts,
				case when j.parts = 1 then 'partition' else 'partitions' end)
				when j.parts > 1 then format(' with those of %s', case when j.parts = 2 then '1 child' else j.parts - 1 || ' children' end)
				else '' end
			|| format(', %s changed', maintsched.count_text(floor(j.changed)))
			|| coalesce(' since the last ANALYZE ' || maintsched.age_text(statement_timestamp() - j.analyzed_at) || ' ago',
				case when j.known then ', no ANALYZE on record since the counters began' else ', no ANALYZE on record' end)
			|| case when not everything and j.analyzed_at is not null
				then format(' (limit %s)', maintsched.count_text(floor(j.analyze_limit))) else '' end
			|| case when j.scored and j.changed <= j.analyze_limit then ', due by pg_stat_autovacuum_scores' else '' end,
		j.busy
	from judged j;
end
$$;

comment on function maintsched.analyze_judged(oid[], jsonb) is
'Internal: Which of some tables need ANALYZE, by the thresholds of params and their own: row_count and changed with all parts, analyze_limit what may have changed, covered: a partitioned table above it goes through it, busy: who is at work on it.';

create function maintsched.analyze_still_needed(name text, params jsonb) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	relation constant oid := to_regclass(name);
	j record;
begin
	select x.* into j from maintsched.analyze_judged(array[relation], params) x;
	if not found then
		return jsonb_build_object('skip', 'not_needed', 'reason', 'it is not there any more');
	elsif j.busy is not null then
		return jsonb_build_object('skip', 'not_needed', 'reason', j.busy);
	elsif not j.needed then
		return jsonb_build_object('skip', 'not_needed', 'reason', 'not any more: ' || j.reason);
	end if;
	return 'true';
end
$$;

comment on function maintsched.analyze_still_needed(text, jsonb) is
'Internal: Whether a table still needs ANALYZE; an object with skip and reason: it does not.';

create function maintsched.plan_analyze(params jsonb) returns setof maintsched.action
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	only_parent constant boolean := current_setting('server_version_num')::integer >= 180000;
	throttle constant numeric := maintsched.page_throttle(null, null);
	criteria constant jsonb := (
		select jsonb_object_agg(e.key, e.value) from jsonb_each(params) e
		where e.key in ('all', 'threshold', 'scale_factor', 'overrides') and e.value <> 'null');
	meant record;
	needed bigint;
begin
	perform maintsched.check_params('analyze', params);
	select * into meant from maintsched.tables_meant('analyze', params);
	return query
	select j.name,
		case when only_parent and j.with_children then 'ANALYZE ONLY ' else 'ANALYZE ' end || j.name,
		concat_ws('; ', j.busy, j.reason),
		null::bigint,
		-- with the pauses of vacuum_cost_delay, where each page is written, too
		round(0.05 + j.reads * (0.0002 + throttle), 2),
		jsonb_strip_nulls(jsonb_build_object(
			'skip', case when j.busy is not null then 'not_needed' end,
			'lock_timeout', '5s',
			'bytes', j.reads * current_setting('block_size')::bigint,
			'still_needed', format('(select maintsched.analyze_still_needed(%L, %L))', j.name, coalesce(criteria, '{}')),
			'measure', format('(select pg_catalog.jsonb_build_object(''reltuples'', c.reltuples, ''relpages'', c.relpages, ''n_mod_since_analyze'', pg_catalog.pg_stat_get_mod_since_analyze(c.oid), ''last_analyze'', greatest(pg_catalog.pg_stat_get_last_analyze_time(c.oid), pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid))%s) from pg_catalog.pg_class c where c.oid operator(pg_catalog.=) pg_catalog.to_regclass(%L))',
				case when j.with_children then ', ''changes'', maintsched.tree_changes(c.oid)' else '' end, j.name),
			'verify', format('case when $2 is null then pg_catalog.jsonb_build_object(''obstacle'', maintsched.lock_obstacle(pg_catalog.to_regclass(%L)))', j.name)
				|| case when current_setting('track_counts') = 'on' then ' when $2 ->> ''last_analyze'' is not distinct from $1 ->> ''last_analyze'' then jsonb ''{"done": false, "reason": "ANALYZE left it out: the role may not analyze it any more"}''' else '' end || ' end'))
	from maintsched.analyze_judged(meant.relations, coalesce(criteria, '{}')) j
	where j.needed and not j.covered
	order by j.changed desc, j.analyzed_at nulls first, j.name collate "C";
	get diagnostics needed = row_count;
	return query
	select * from maintsched.summary_action('analyze', coalesce(cardinality(meant.relations), 0), needed::integer, meant.refused);
end
$$;

comment on function maintsched.plan_analyze(jsonb) is
'Plan of routine analyze: ANALYZE of the tables, partitioned tables and materialized views of the database that need it and that the role may analyze, most changed first; neither system nor temporary ones. params: include and exclude, arrays of schemas or of schema.table, with * for any text and ? for one character; threshold and scale_factor, how many rows may have changed (a table''s own, where not given), overrides of these by schema or schema.table; all, true: needed or not. Errors: invalid_parameter_value (22023), insufficient_privilege (42501), undefined_table (42P01), object_not_in_prerequisite_state (55000, track_counts is off).';

insert into maintsched.routine (name, plan, description, defaults, change_class, built_in) values
	('analyze', 'maintsched.plan_analyze', 'ANALYZE of every table that needs it, most changed first.', '{}', 'minor', true);
