--
-- 55_bloat_routine: the routine bloat, its measurements, and bloat_report
--
-- An action measures the relations from one table to another, in the order of
-- their names: few actions for a database of any size, and none so long that
-- its snapshot would keep VACUUM from its work.  The function that measures
-- records what it found itself, so that nobody can hand it results.
--

create function maintsched.measure_bloat_once(
	role oid, first_table text[], last_table text[], params jsonb, again oid[])
returns table (judgement text, relations oid[], size_bytes numeric, bloat_bytes numeric, damage text[])
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
	with wanted as materialized (
		select w.*
		from maintsched.bloat_wanted(params) w
		where (again is null or w.relation = any (again))
		and (first_table is null or array[w.schema, w.table_name] collate "C" >= first_table)
		and (last_table is null or array[w.schema, w.table_name] collate "C" <= last_table)
		and (pg_has_role(role, 'pg_stat_scan_tables', 'USAGE') or maintsched.may_measure(role, w.table_oid))
	), looked as materialized (
		select s.*
		from (
			select array_agg(w.relation order by w.place) as relations, array_agg(w.least_bytes order by w.place) as least
			from wanted w) a
		cross join lateral maintsched.bloat_sample(a.relations, a.least,
			coalesce((params ->> 'sample_pages')::integer, 1000), null) s
		where a.relations is not null
	), judged as materialized (
		select l.*, w.schema, w.name, w.kind, w.access_method, w.table_rows, w.min_bloat, w.min_wasted, w.place, b.measured_at as best_at,
			case when l.state <> 'per_row' then l.state
				when w.table_rows <= 0 then 'no_rows'
				when b.bytes_per_row is null then 'no_baseline'
				else l.state end as judgement,
			case when l.state <> 'per_row' then l.bloat_bytes
				when b.bytes_per_row is null then null
				else round(greatest(l.size_bytes - b.bytes_per_row * nullif(w.table_rows, 0), 0))::bigint end as given_back,
			l.state = 'unreadable' or coalesce(l.damaged_pages, 0) > 0 as damaged
		from looked l
		join wanted w using (relation)
		left join lateral (
			select x.* from maintsched.bloat_best(w.schema, w.name, w.kind, w.access_method) x
			where l.state = 'per_row') b on true
	), stored as (
		insert into maintsched.bloat_measurement (schema, relation, kind, measured_at, access_method, filenode,
			size_bytes, bloat_bytes, ci_low, ci_high, dead_bytes, live_rows, min_bloat, min_wasted, method, detail, damaged)
		select j.schema, j.name, j.kind, clock_timestamp(), coalesce(j.access_method, ''), j.filenode, j.size_bytes, j.given_back,
			round(j.ci_low::numeric, 6), round(j.ci_high::numeric, 6), j.dead_bytes,
			case when j.judgement in ('per_row', 'no_baseline') then j.table_rows end,
			j.min_bloat, j.min_wasted,
			maintsched.bloat_method(j.judgement, j.complete, j.lower_bound),
			case j.judgement
				when 'per_row' then format('against its smallest size per row, of %s', j.best_at::date)
				when 'unreadable' then 'not judged: it cannot be read: ' || j.message
				else maintsched.bloat_detail(j.judgement, j.kind, j.access_method, j.size_bytes, j.lower_bound,
					j.sampled_pages, j.damaged_pages, j.damaged_block) end,
			j.damaged
		from judged j
		where j.judgement not in ('gone', 'empty', 'too_small')
		and (again is not null or j.judgement <> 'locked')
		returning maintsched.bloat_measurement.*
	)
	select j.judgement, array_agg(j.relation), sum(j.size_bytes), sum(j.given_back),
		array_agg(format('%s %I.%I: %s', j.kind, j.schema, j.name, d.detail) order by j.place) filter (where j.damaged)
	from judged j
	left join stored d on d.damaged and (d.schema, d.relation, d.kind) = (j.schema, j.name, j.kind)
	group by j.judgement
$$;

comment on function maintsched.measure_bloat_once(oid, text[], text[], jsonb, oid[]) is
'Internal: Measures what measure_bloat() is to, and records it; those that are locked only with again, which names them.';

create function maintsched.measure_bloat(first_table text[] default null, last_table text[] default null, params jsonb default '{}')
returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
	role constant oid := maintsched.role_oid(maintsched.acting_role());
	m record;
	damage text;
	locked oid[];
	judged bigint := 0;
	small bigint := 0;
	others bigint := 0;
	size numeric := 0;
	bloat numeric := 0;
begin
	perform maintsched.need_primary();
	perform maintsched.check_params('bloat', params);
	for pass in 1..2 loop
		for m in
			select o.*, cardinality(o.relations) as n
			from maintsched.measure_bloat_once(role, first_table, last_table, params, locked) o
		loop
			if m.judgement = 'locked' and pass = 1 then
				locked := m.relations;
			elsif m.judgement in ('judged', 'per_row') then
				judged := judged + m.n;
				size := size + coalesce(m.size_bytes, 0);
				bloat := bloat + coalesce(m.bloat_bytes, 0);
			elsif m.judgement in ('empty', 'too_small') then
				small := small + m.n;
			elsif m.judgement <> 'gone' then
				others := others + m.n;
			end if;
			foreach damage in array coalesce(m.damage, '{}') loop
				raise warning '%', damage using hint = 'amcheck tells more of what can be opened; what is lost comes from a backup.';
			end loop;
		end loop;
		exit when locked is null;
	end loop;
	-- what looked at nothing proves nothing
	if judged + small + others = 0 and exists (select from maintsched.bloat_wanted(params)) then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('role "%s" may measure none of the tables that are meant', pg_get_userbyid(role)),
			hint = 'Bloat is measured by who owns a table or may read it, and by members of pg_stat_scan_tables.';
	end if;
	raise notice '% of % could be given back in % relations', maintsched.bloat_size_text(bloat),
		maintsched.bloat_size_text(size), judged
		using detail = format('Not judged: %s that are empty or too small, %s for other reasons (bloat_report).', small, others);
	return judged;
end
$$;

comment on function maintsched.measure_bloat(text[], text[], jsonb) is
'Measures how bloated the relations of this database are that the caller may measure (bloat_estimate()), from one table to another in the order of their names, {schema,table}, NULL: from the first, to the last; and records it for bloat_report. Returns how many could be judged. What cannot be read, or in part, is a WARNING, and keeps nothing else from being measured. params as for routine bloat, whose command it is. Errors: invalid_parameter_value (22023), insufficient_privilege (42501).';

create function maintsched.bloat_findings() returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select jsonb_build_object('done', false, 'reason', format('%s damaged, the rest was measured: %s%s',
		case count(*) when 1 then '1 relation is' else maintsched.count_text(count(*)) || ' relations are' end,
		string_agg(f.words, '; ' order by f.place) filter (where f.place <= 5),
		case when count(*) > 5 then '; ...' else '' end))
	from (
		select format('%s %I.%I, %s', m.kind, m.schema, m.relation, m.detail) as words,
			row_number() over (order by m.schema, m.relation, m.kind) as place
		from maintsched.run r
		join maintsched.run_action a using (run_id)
		join maintsched.bloat_measurement m on m.damaged and m.measured_at >= a.started_at - coalesce(r.clock_offset, interval '0')
		where r.pid = pg_backend_pid() and r.state = 'running' and a.state = 'running') f
	having count(*) > 0
$$;

comment on function maintsched.bloat_findings() is
'Internal: What the action that this process carries out found damaged, as its verdict; NULL: nothing.';

create function maintsched.plan_bloat(params jsonb) returns setof maintsched.action
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	-- what is read for one action, in pages
	batch constant numeric := 50000;
	most constant bigint := coalesce((params ->> 'sample_pages')::bigint, 1000);
	include constant jsonb := nullif(params -> 'include', 'null');
	everything constant boolean := pg_has_role('pg_stat_scan_tables', 'USAGE');
	refused bigint;
	actions maintsched.action[];
begin
	perform maintsched.check_params('bloat', params);
	with wanted as materialized (
		select w.*, everything or maintsched.may_measure(current_user::regrole, w.table_oid) as allowed
		from maintsched.bloat_wanted(params) w
	), sized as (
		-- relpages is 0 before the first VACUUM or ANALYZE
		select w.schema, w.table_name, count(*) as relations,
			sum(case when w.pages = 0 or w.pages * current_setting('block_size')::bigint >= w.least_bytes
				then least(greatest(w.pages, 1), most) else 0 end) as reads
		from wanted w
		where w.allowed
		group by w.schema, w.table_name
	), placed as (
		select s.*, floor((sum(s.reads) over w - 1) / batch) as batch_no
		from sized s
		window w as (order by s.schema collate "C", s.table_name collate "C")
	), grouped as (
		select p.batch_no, count(*) as tables, sum(p.relations) as relations, sum(p.reads) as reads,
			(array_agg(array[p.schema, p.table_name] order by p.schema collate "C", p.table_name collate "C")) as names
		from placed p
		group by p.batch_no
	), planned as (
		select g.batch_no, row(case when g.tables = 1 then format('%I.%I', g.names[1][1], g.names[1][2])
				else format('%I.%I to %I.%I', g.names[1][1], g.names[1][2], g.names[g.tables][1], g.names[g.tables][2]) end,
			format('select maintsched.measure_bloat(%L, %L, %L)',
				array[g.names[1][1], g.names[1][2]], array[g.names[g.tables][1], g.names[g.tables][2]], params - 'time_limit'),
			format('%s %s with %s %s, about %s pages to read', maintsched.count_text(g.tables),
				case g.tables when 1 then 'table' else 'tables' end, maintsched.count_text(g.relations - g.tables),
				case g.relations - g.tables when 1 then 'index or toast table' else 'indexes and toast tables' end,
				maintsched.count_text(g.reads)),
			null::bigint,
			round(0.05 + g.relations * 0.0001 + g.reads * 0.0001, 2),
			jsonb_strip_nulls(jsonb_build_object(
				'bytes', g.reads * current_setting('block_size')::bigint,
				'verify', 'maintsched.bloat_findings()')) || maintsched.recording_settings())::maintsched.action as action
		from grouped g
	)
	select (select array_agg(p.action order by p.batch_no) from planned p),
		(select count(distinct w.table_oid) from wanted w where not w.allowed)
	into actions, refused;
	-- what looked at nothing proves nothing
	if actions is null and refused > 0 then
		raise exception using
			errcode = 'insufficient_privilege',
			message = format('role "%s" may measure none of the tables that are meant', current_user),
			hint = 'Bloat is measured by who owns a table or may read it, and by members of pg_stat_scan_tables.';
	elsif actions is null and include is not null then
		raise exception using
			errcode = 'undefined_table',
			message = format('no table or index is meant by include %s', include),
			hint = 'include takes schemas, and tables and indexes as schema.name, with * for any text and ? for a character, in the letters of the catalog.';
	elsif refused > 0 then
		raise notice '% left out', case refused when 1 then 'one table is' else refused || ' tables are' end
			using detail = format('Role "%s" may not read them, and is no member of pg_stat_scan_tables.', current_user);
	end if;
	perform maintsched.warn_of_unknown_names(params, 'table or index', array['r', 'p', 'm', 'i', 'I']);
	return query select * from unnest(actions);
end
$$;

comment on function maintsched.plan_bloat(jsonb) is
'Plan of routine bloat: measure_bloat() over the database, in actions that read some hundred megabytes each. params: include and exclude, arrays of schemas or of schema.name of tables and indexes, with * for any text and ? for one character; sample_pages (1000); min_bloat (0.3, a share) and min_wasted (10 MB), from which bloat_report wants something done; overrides, these two by schema or schema.name, as in {"sales.orders": {"min_bloat": 0.5}}. Errors: invalid_parameter_value (22023), insufficient_privilege (42501), undefined_table (42P01).';

create view maintsched.bloat_report as
select r.schema, r.relation, r.kind, r.access_method,
	coalesce(m.size_bytes, r.relpages * current_setting('block_size')::bigint) as size_bytes,
	round(m.bloat_bytes::numeric / nullif(m.size_bytes, 0), 6)::double precision as bloat_ratio,
	m.bloat_bytes,
	m.ci_low,
	m.ci_high,
	m.method,
	m.measured_at,
	case when x.rewritten or coalesce(m.bloat_bytes, 0) = 0 or m.bloat_bytes < m.min_wasted
			or m.bloat_bytes < m.min_bloat * m.size_bytes then null
		when m.kind like '%index' then
			case when r.exclusion then 'report only: ' else 'reindex: ' end || g.given_back
			|| coalesce(', last rebuilt ' || (
				select maintsched.age_text(now() - max(a.finished_at)) || ' ago'
				from maintsched.run_action a
				where md5(a.target) = md5(format('%I.%I', r.schema, r.relation))
				and a.target = format('%I.%I', r.schema, r.relation)
				and a.state = 'done' and a.command ilike 'reindex%'), ', last rebuilt never')
			|| case when r.exclusion then '; an exclusion constraint cannot be reindexed concurrently' else '' end
		when m.dead_bytes * 2 >= m.bloat_bytes then
			format('vacuum: %s of %s are dead rows', maintsched.bloat_size_text(m.dead_bytes), maintsched.bloat_size_text(m.size_bytes))
		else 'report only: ' || g.given_back || '; VACUUM FULL, CLUSTER or pg_repack by hand' end as wanted,
	m.dead_bytes,
	case when x.rewritten then 'rewritten since it was measured'
		when m.measured_at is not null then m.detail
		when r.relpages = 0 and r.row_versions >= 0 then 'not judged: it is empty'
		when r.relpages > 0 and r.relpages * current_setting('block_size')::bigint < 1048576 then
			format('not judged: too small (%s)', pg_size_pretty(r.relpages * current_setting('block_size')::bigint))
		else 'not measured yet' end as detail,
	p.measured_at as previous_at,
	m.size_bytes - p.size_bytes as size_change_bytes,
	m.bloat_bytes - p.bloat_bytes as bloat_change_bytes
from maintsched.bloat_relations() r
left join lateral (
	select b.* from maintsched.bloat_measurement b
	where b.schema = r.schema and b.relation = r.relation and b.kind = r.kind
	order by b.measured_at desc
	limit 1) m on true
left join lateral (
	select b.* from maintsched.bloat_measurement b
	where b.schema = r.schema and b.relation = r.relation and b.kind = r.kind and b.measured_at < m.measured_at
	order by b.measured_at desc
	limit 1) p on true
cross join lateral (select m.filenode <> r.relfilenode as rewritten) x
cross join lateral (
	select format('%s of %s reclaimable', maintsched.bloat_size_text(m.bloat_bytes), maintsched.bloat_size_text(m.size_bytes))
		|| coalesce(' +/- ' || round(((m.ci_high - m.ci_low) * 50)::numeric, 1) || ' %', '') as given_back) g;

comment on view maintsched.bloat_report is 'How bloated the relations of this database were when routine bloat last looked, what is wanted about it, and the trend. Those that were never judged are there with the reason in detail; bloat_ratio is never 0 for want of knowledge.';
comment on column maintsched.bloat_report.schema is 'Schema; of toast, that of its table.';
comment on column maintsched.bloat_report.relation is 'Table or index; of toast, its table.';
comment on column maintsched.bloat_report.kind is 'table, materialized view, index, toast or toast index.';
comment on column maintsched.bloat_report.access_method is 'heap, btree, gin and so on.';
comment on column maintsched.bloat_report.size_bytes is 'Size of the main fork when measured; else that which the catalog has.';
comment on column maintsched.bloat_report.bloat_ratio is 'Share of size_bytes that a rewrite would give back, at the fillfactor; NULL: not judged.';
comment on column maintsched.bloat_report.bloat_bytes is 'The same in bytes.';
comment on column maintsched.bloat_report.ci_low is 'Lower end of the 95 % interval of bloat_ratio.';
comment on column maintsched.bloat_report.ci_high is 'Upper end of it.';
comment on column maintsched.bloat_report.method is 'sample, all pages or size per row (against the smallest that was seen), perhaps as a lower bound, where rows are dead and not vacuumed; NULL: not judged.';
comment on column maintsched.bloat_report.measured_at is 'When it was measured.';
comment on column maintsched.bloat_report.wanted is 'What would be done and why, where min_bloat and min_wasted of that run are reached; NULL: nothing.';
comment on column maintsched.bloat_report.dead_bytes is 'Of bloat_bytes, what is dead and not vacuumed; of indexes, what is marked so.';
comment on column maintsched.bloat_report.detail is 'What there is to say, such as why it was not judged.';
comment on column maintsched.bloat_report.previous_at is 'When it was measured before that.';
comment on column maintsched.bloat_report.size_change_bytes is 'How much it has grown since, in bytes.';
comment on column maintsched.bloat_report.bloat_change_bytes is 'How much bloat_bytes has grown since.';

insert into maintsched.routine (name, plan, description, defaults, change_class, built_in) values
	('bloat', 'maintsched.plan_bloat', 'Measures how much smaller a rewrite would make tables and indexes.',
		'{"sample_pages": 1000, "min_bloat": 0.3, "min_wasted": "10 MB"}', 'none', true);
