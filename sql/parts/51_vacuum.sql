--
-- 51_vacuum: the routine vacuum
--
-- Each table and its TOAST table are judged by their own thresholds, as
-- autovacuum would: age of transactions and multixacts, dead rows, inserted
-- rows; besides by visibility, where index-only scans live on it, and where
-- the counters know nothing.  Then a sample of its pages tells whether VACUUM
-- would help (vacuum_outlook()): what somebody may still see stays, whatever
-- the counters say, and the plan says who that is.
--
-- VACUUM runs the expressions of indexes as the owner of the table, in a
-- security-restricted operation: PostgreSQL does that by itself.
--

create function maintsched.index_only(relation oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select bool_or(pg_stat_get_numscans(i.indexrelid) > 0 and i.indnatts > i.indnkeyatts)
		-- entries that were read, and whose rows were not: neither by index nor by bitmap
		or sum(pg_stat_get_tuples_returned(i.indexrelid)) >= 1000
			and sum(pg_stat_get_tuples_returned(i.indexrelid)) * 0.9
				> sum(pg_stat_get_tuples_fetched(i.indexrelid)) + pg_stat_get_tuples_fetched(relation)
	from pg_index i
	where i.indrelid = relation and i.indisvalid
$$;

comment on function maintsched.index_only(oid) is
'Internal: Whether index-only scans are made of a table: an index with INCLUDE columns is in use, or a tenth of the index entries that were read (1,000 and more) needed no row.';

create function maintsched.vacuum_judged(relations oid[], params jsonb)
returns table (relation oid, name text, inherited boolean, of_catalog boolean, urgency integer, weight numeric, score double precision,
	reason text, parts jsonb, benefit bigint, reads bigint, vacuumed_at timestamptz, busy text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
as $$
#variable_conflict use_column
declare
	version constant integer := current_setting('server_version_num');
	everything constant boolean := coalesce((params ->> 'all')::boolean, false);
	with_toast constant boolean := coalesce((params ->> 'process_toast')::boolean, true);
	overridden constant boolean := nullif(params -> 'overrides', 'null') is not null;
	own_threshold constant numeric := current_setting('autovacuum_vacuum_threshold');
	own_scale constant numeric := current_setting('autovacuum_vacuum_scale_factor');
	own_max constant numeric := current_setting('autovacuum_vacuum_max_threshold', true);
	own_insert constant numeric := current_setting('autovacuum_vacuum_insert_threshold');
	own_insert_scale constant numeric := current_setting('autovacuum_vacuum_insert_scale_factor');
	max_age constant numeric := current_setting('autovacuum_freeze_max_age');
	max_multi constant numeric := current_setting('autovacuum_multixact_freeze_max_age');
	table_age constant numeric := current_setting('vacuum_freeze_table_age');
	table_multi constant numeric := current_setting('vacuum_multixact_freeze_table_age');
	failsafe constant numeric := current_setting('vacuum_failsafe_age');
	failsafe_multi constant numeric := current_setting('vacuum_multixact_failsafe_age');
begin
	return query
	with heap as (
		select c.oid, format('%I.%I', n.nspname, c.relname) as name, c.relhassubclass, c.reltoastrelid, c.reloptions,
			coalesce('user_catalog_table=true' = any (c.reloptions), false) as of_catalog,
			case when overridden then maintsched.threshold_names(c.oid) else '{}' end as names
		from unnest(relations) u(oid)
		join pg_class c on c.oid = u.oid
		join pg_namespace n on n.oid = c.relnamespace
	), wanted as (
		select h.*,
			case when overridden then maintsched.threshold(params, 'threshold', h.names) else params -> 'threshold' end::numeric as threshold,
			case when overridden then maintsched.threshold(params, 'scale_factor', h.names) else params -> 'scale_factor' end::numeric as scale,
			case when overridden then maintsched.threshold(params, 'insert_threshold', h.names) else params -> 'insert_threshold' end::numeric as insert_threshold,
			case when overridden then maintsched.threshold(params, 'insert_scale_factor', h.names) else params -> 'insert_scale_factor' end::numeric as insert_scale,
			case when overridden then maintsched.threshold(params, 'freeze_age', h.names) else params -> 'freeze_age' end::numeric as freeze_age,
			case when overridden then maintsched.threshold(params, 'multixact_age', h.names) else params -> 'multixact_age' end::numeric as multixact_age,
			coalesce(case when overridden then maintsched.threshold(params, 'min_visible', h.names) else params -> 'min_visible' end::numeric, 0.8) as min_visible
		from heap h
	), part as (
		select p.*, case when p.stored::text ~ '(threshold|scale_factor|max_age)=' then p.stored end as options
		from (
			select w.*, w.oid as part, false as toast, w.reloptions as stored from wanted w
			union all
			select w.*, t.oid, true, coalesce(t.reloptions, w.reloptions)
			from wanted w
			join pg_class t on t.oid = w.reltoastrelid
			where with_toast) p
	), counted as (
		select p.*, c.relpages::numeric as pages, c.relallvisible::numeric as visible, c.reltuples < 0 as unseen,
			greatest(c.reltuples, 0)::numeric as rows,
			coalesce(pg_stat_get_live_tuples(c.oid), 0)::numeric as live,
			coalesce(pg_stat_get_dead_tuples(c.oid), 0)::numeric as dead,
			coalesce(pg_stat_get_ins_since_vacuum(c.oid), 0)::numeric as inserted,
			age(c.relfrozenxid)::numeric as age, mxid_age(c.relminmxid)::numeric as multi,
			greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) as vacuumed_at,
			coalesce(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) is not null as analyzed,
			case when version >= 180000 and c.relpages > 0
				then 1 - least((to_jsonb(c) ->> 'relallfrozen')::numeric / c.relpages, 1) else 1 end as unfrozen,
			least(coalesce(maintsched.table_option(p.options, 'autovacuum_freeze_max_age'), max_age), max_age) as own_max_age,
			least(coalesce(maintsched.table_option(p.options, 'autovacuum_multixact_freeze_max_age'), max_multi), max_multi) as own_max_multi,
			maintsched.table_option(p.options, 'autovacuum_vacuum_insert_threshold') as insert_option
		from part p
		join pg_class c on c.oid = p.part
	), bound as (
		select c.*,
			case
				when c.threshold is null and c.scale is null then least(
					coalesce(maintsched.table_option(c.options, 'autovacuum_vacuum_threshold'), own_threshold)
					+ coalesce(maintsched.table_option(c.options, 'autovacuum_vacuum_scale_factor'), own_scale) * c.rows,
					nullif(greatest(coalesce(maintsched.table_option(c.options, 'autovacuum_vacuum_max_threshold'), own_max), -1), -1))
				else coalesce(c.threshold, maintsched.table_option(c.options, 'autovacuum_vacuum_threshold'), own_threshold)
					+ coalesce(c.scale, maintsched.table_option(c.options, 'autovacuum_vacuum_scale_factor'), own_scale) * c.rows
			end as dead_limit,
			case when coalesce(c.insert_threshold, c.insert_option, own_insert) >= 0
				then coalesce(c.insert_threshold, c.insert_option, own_insert)
					+ coalesce(c.insert_scale, maintsched.table_option(c.options, 'autovacuum_vacuum_insert_scale_factor'), own_insert_scale)
					* c.rows * c.unfrozen end as insert_limit,
			-- from here on a plain VACUUM goes through the whole table
			coalesce(c.freeze_age, least(table_age, c.own_max_age * 0.95)) as age_limit,
			coalesce(c.multixact_age, least(table_multi, c.own_max_multi * 0.95)) as multi_limit
		from counted c
	), flagged as (
		select b.*, s.score,
			b.age > greatest(failsafe, b.own_max_age * 1.05) as of_failsafe,
			b.multi > greatest(failsafe_multi, b.own_max_multi * 1.05) as of_multi_failsafe,
			b.age > b.age_limit as of_age,
			b.multi > b.multi_limit as of_multi,
			b.dead > b.dead_limit as of_dead,
			coalesce(b.inserted > b.insert_limit, false) as of_inserts,
			not b.toast and b.pages - b.visible >= 128 and b.visible < b.min_visible * b.pages
				and (b.dead > 0 or b.inserted > 0 or b.vacuumed_at is null)
				and coalesce(maintsched.index_only(b.oid), false) as of_visibility,
			not b.toast and b.vacuumed_at is null and not b.analyzed and b.live + b.dead + b.inserted = 0
				and (b.unseen or b.visible < b.pages) and coalesce((maintsched.vacuum_outlook(b.oid, 0)).pages, 1) > 0 as of_nothing,
			coalesce(s.vacuum, false) and coalesce(b.threshold, b.scale, b.insert_threshold, b.insert_scale, b.freeze_age, b.multixact_age) is null as of_score,
			everything and not b.toast as of_all
		from bound b
		left join maintsched.autovacuum_scores() s on s.relation = b.part
	), need as (
		select b.oid, b.part, n.urgency, n.need, n.weight,
			-- said of what is there alone
			case
				when n.need = 'failsafe' then format('its oldest transaction is %s old: wraparound is near, autovacuum was due at %s',
					maintsched.count_text(b.age), maintsched.count_text(b.own_max_age))
				when n.need = 'multixact' and n.urgency = 0 then format('its oldest multixact is %s old: wraparound is near, autovacuum was due at %s',
					maintsched.count_text(b.multi), maintsched.count_text(b.own_max_multi))
				when n.need = 'freeze' then format('its oldest transaction is %s old (limit %s, autovacuum at %s)',
					maintsched.count_text(b.age), maintsched.count_text(floor(b.age_limit)), maintsched.count_text(b.own_max_age))
				when n.need = 'multixact' then format('its oldest multixact is %s old (limit %s, autovacuum at %s)',
					maintsched.count_text(b.multi), maintsched.count_text(floor(b.multi_limit)), maintsched.count_text(b.own_max_multi))
				when n.need = 'dead' then format('%s of %s rows are dead (limit %s)', maintsched.count_text(b.dead),
					maintsched.count_text(greatest(b.live, b.rows - b.dead, 0) + b.dead), maintsched.count_text(floor(b.dead_limit)))
				when n.need = 'insert' then format('%s rows were inserted since the last VACUUM (limit %s)',
					maintsched.count_text(b.inserted), maintsched.count_text(floor(b.insert_limit)))
				when n.need = 'visible' then format('%s %% of its %s pages are all-visible (limit %s %%), and index-only scans need that',
					floor(100 * b.visible / nullif(b.pages, 0)), maintsched.count_text(b.pages), floor(100 * b.min_visible))
				when n.need = 'unknown' then 'the counters know nothing of it: they began after it was filled'
				when n.need = 'due' then 'due by pg_stat_autovacuum_scores'
				when n.need = 'all' then 'every table is meant'
			end as words
		from flagged b
		cross join lateral (values
			(0, 'failsafe', b.of_failsafe, b.age / greatest(failsafe, b.own_max_age * 1.05)),
			(0, 'multixact', b.of_multi_failsafe, b.multi / greatest(failsafe_multi, b.own_max_multi * 1.05)),
			(1, 'freeze', b.of_age and not b.of_failsafe, b.age / b.own_max_age),
			(1, 'multixact', b.of_multi and not b.of_multi_failsafe, b.multi / b.own_max_multi),
			(2, 'dead', b.of_dead, b.dead / nullif(b.dead_limit, 0)),
			(3, 'insert', b.of_inserts, b.inserted / nullif(b.insert_limit, 0)),
			(4, 'visible', b.of_visibility, 1 - b.visible / nullif(b.pages, 0)),
			(5, 'unknown', b.of_nothing, 0),
			(5, 'due', b.of_score, b.score::numeric),
			(9, 'all', b.of_all, 0)) n(urgency, need, there, weight)
		where (b.of_failsafe or b.of_multi_failsafe or b.of_age or b.of_multi or b.of_dead or b.of_inserts or b.of_visibility
			or b.of_nothing or b.of_score or b.of_all)
		and n.there
	), summed as (
		select p.oid, min(p.urgency) as urgency,
			max(p.weight) filter (where p.urgency = p.worst) as weight,
			string_agg(p.words, '; ' order by p.urgency, p.place) as reason,
			jsonb_agg(p.part order by p.place) as parts,
			sum(p.benefit)::bigint as benefit,
			sum(p.reads)::bigint as reads
		from (
			select b.oid, b.toast::integer as place, min(n.urgency) as urgency, max(n.weight) as weight,
				min(min(n.urgency)) over (partition by b.oid) as worst,
				case when b.toast then 'its TOAST table: ' else '' end || string_agg(n.words, '; ' order by n.urgency, n.need) as words,
				jsonb_build_object('oid', b.part::bigint, 'toast', b.toast, 'needs', jsonb_agg(n.need order by n.urgency, n.need),
					'age', b.age, 'age_limit', b.age_limit, 'multi_limit', b.multi_limit, 'dead', b.dead, 'dead_limit', b.dead_limit) as part,
				case when bool_or(n.need = 'dead') then
					coalesce(o.pages, b.pages) * current_setting('block_size')::integer * b.dead
						/ (greatest(b.live, b.rows - b.dead, 0) + b.dead) end as benefit,
				case when bool_or(n.urgency <= 1) then coalesce(o.pages, b.pages) else coalesce(o.hidden, b.pages - b.visible) end
					+ case when b.dead > 0 then coalesce(o.index_pages, 0) else 0 end as reads
			from (
				-- unlike pg_relation_size(), this waits for nobody
				select x.part, l.pages, l.hidden,
					(select sum(c.relpages) from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = x.part) as index_pages
				from (select distinct z.part from need z) x
				cross join lateral maintsched.vacuum_outlook(x.part, 0) l
				offset 0) o
			join bound b on b.part = o.part
			join need n on n.part = b.part
			group by o.pages, o.hidden, o.index_pages, b.oid, b.part, b.toast, b.age, b.age_limit, b.multi_limit, b.dead, b.dead_limit, b.live, b.rows, b.pages, b.visible) p
		group by p.oid
	)
	select h.oid, h.name, h.relhassubclass, h.of_catalog, s.urgency, s.weight, a.score,
		s.reason || coalesce('; last VACUUM ' || maintsched.age_text(statement_timestamp() - v.vacuumed_at) || ' ago', '; no VACUUM on record'),
		s.parts, s.benefit, s.reads, v.vacuumed_at, w.by
	from summed s
	join heap h using (oid)
	join counted v on v.oid = h.oid and not v.toast
	left join maintsched.autovacuum_scores() a on a.relation = h.oid
	left join (
		select c.oid, min(z.by) as by
		from maintsched.at_work() z
		join counted c on c.part = z.relation
		group by c.oid) w on w.oid = h.oid;
end
$$;

comment on function maintsched.vacuum_judged(oid[], jsonb) is
'Internal: Which of some tables need VACUUM, by the thresholds of params and their own. urgency: 0 wraparound is near, 1 age, 2 dead rows, 3 inserted rows, 4 visibility, 5 nothing known or due by autovacuum''s score, 9 asked for; weight: how much so; parts: the table and its TOAST table, each with its needs; busy: who is at work on it.';

create function maintsched.vacuum_advice(parts jsonb, of_catalog boolean, inout seen jsonb, out skip text, out words text, out removable double precision)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	wanted constant integer := 200;
	part jsonb;
	need text;
	look record;
	useful boolean;
	share double precision;
	any_useful boolean := false;
	dead double precision := 0;
	gone double precision := 0;
	said text[] := '{}';
	-- who holds back, and what cannot be said
	holders text[] := '{}';
	unknown constant text := 'whether VACUUM can help is not known: it is locked, or no heap';
begin
	for part in select e.value from jsonb_array_elements(parts) e loop
		select * into look from maintsched.vacuum_outlook((part ->> 'oid')::oid, wanted);
		if look.horizon is null then
			any_useful := true;
			words := unknown;
			continue;
		end if;
		for need in select e.value from jsonb_array_elements_text(part -> 'needs') e loop
			useful := true;
			share := null;
			if need in ('failsafe', 'freeze') then
				-- frozen is what is older than the horizon
				useful := (part ->> 'age')::numeric - age(look.horizon)
					> (part ->> 'age')::numeric * case need when 'failsafe' then 0 else 0.1 end;
				if not useful then
					said := said || 'next to nothing of it can be frozen'::text;
				end if;
			elsif need = 'dead' and look.removable + look.recent > 0 then
				share := look.removable / (look.removable + look.recent);
				dead := dead + (part ->> 'dead')::double precision;
				gone := gone + share * (part ->> 'dead')::double precision;
				useful := share >= 0.1 or share * (part ->> 'dead')::numeric > (part ->> 'dead_limit')::numeric;
				if not useful or share < 0.9 then
					said := said || format('%s of its dead rows can be removed', case
						when look.removable = 0 then 'none' when share < 0.01 then 'less than 1 %' else format('about %s %%', floor(100 * share)) end);
				end if;
			elsif need in ('insert', 'visible') and look.sampled > 0 then
				share := look.settable::double precision / look.sampled;
				useful := share >= 0.1;
				if not useful then
					said := said || 'next to none of its pages would become all-visible'::text;
				end if;
			end if;
			if not useful or need = 'dead' and share < 0.9 then
				-- asked once for all tables
				if not seen ? concat(look.horizon, of_catalog) then
					seen := seen || jsonb_build_object(concat(look.horizon, of_catalog), maintsched.held_by(look.horizon, of_catalog));
				end if;
				holders := holders || (seen ->> concat(look.horizon, of_catalog));
			end if;
			any_useful := any_useful or useful;
		end loop;
	end loop;
	if not any_useful then
		skip := 'pointless';
	end if;
	words := concat_ws('; ', words,
		array_to_string(array(select s.s from unnest(said) with ordinality s(s, n) group by s.s order by min(s.n)), ', ')
		|| ': held back by ' || nullif(array_to_string(array(
			select h.h from unnest(holders) with ordinality h(h, n) group by h.h order by min(h.n)), ' and '), ''));
	words := nullif(words, '');
	removable := gone / nullif(dead, 0);
end
$$;

comment on function maintsched.vacuum_advice(jsonb, boolean, jsonb) is
'Internal: From a sample of its pages, whether VACUUM would help a table: skip is pointless where none of its needs (parts of vacuum_judged()) would go; words say who holds back what; removable is the share of the dead rows that would go, NULL where it is not known. seen: who holds a horizon, as far as other tables asked, {} at first.';

create function maintsched.vacuum_still_needed(name text, params jsonb) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	relation constant oid := to_regclass(name);
	j record;
	advice record;
begin
	if relation is null then
		return jsonb_build_object('skip', 'not_needed', 'reason', 'it is not there any more');
	end if;
	select x.* into j from maintsched.vacuum_judged(array[relation], params) x;
	if not found then
		return jsonb_build_object('skip', 'not_needed', 'reason', 'not any more');
	elsif j.busy is not null then
		return jsonb_build_object('skip', 'not_needed', 'reason', j.busy);
	end if;
	select * into advice from maintsched.vacuum_advice(j.parts, j.of_catalog, '{}');
	if advice.skip is not null then
		return jsonb_build_object('skip', advice.skip, 'reason', advice.words);
	end if;
	return 'true';
end
$$;

comment on function maintsched.vacuum_still_needed(text, jsonb) is
'Internal: Whether a table still needs VACUUM, and it would help; an object with skip and reason: no.';

create function maintsched.vacuum_measure(name text) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select jsonb_strip_nulls(jsonb_build_object(
		-- (pg_table_size() would wait for who has it locked)
		'size_bytes', case when maintsched.relation_bytes(c.oid) is not null then pg_table_size(c.oid) end, 'relpages', c.relpages, 'relallvisible', c.relallvisible, 'reltuples', c.reltuples,
		'n_dead_tup', pg_stat_get_dead_tuples(c.oid), 'n_ins_since_vacuum', pg_stat_get_ins_since_vacuum(c.oid),
		'relfrozenxid_age', age(c.relfrozenxid), 'relminmxid_age', mxid_age(c.relminmxid),
		'vacuum_count', pg_stat_get_vacuum_count(c.oid), 'last_vacuum', pg_stat_get_last_vacuum_time(c.oid),
		'toast', case when t.oid is not null then jsonb_build_object(
			'n_dead_tup', pg_stat_get_dead_tuples(t.oid), 'relfrozenxid_age', age(t.relfrozenxid), 'relminmxid_age', mxid_age(t.relminmxid),
			'vacuum_count', pg_stat_get_vacuum_count(t.oid), 'last_vacuum', pg_stat_get_last_vacuum_time(t.oid)) end))
	from pg_class c
	left join pg_class t on t.oid = c.reltoastrelid
	where c.oid = to_regclass(name)
$$;

comment on function maintsched.vacuum_measure(text) is
'Internal: What VACUUM is to change of a table: dead rows, ages, size, visible pages; the same of its TOAST table.';

create function maintsched.vacuum_shortfall(name text, params jsonb, before jsonb, after jsonb) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
	relation constant oid := to_regclass(name);
	j record;
	advice record;
begin
	if after is null then
		return jsonb_strip_nulls(jsonb_build_object('obstacle', maintsched.lock_obstacle(relation)));
	elsif relation is null or before is null or current_setting('track_counts') <> 'on' then
		return 'true';
	elsif (after -> 'last_vacuum', after #> '{toast,last_vacuum}')
		is not distinct from (before -> 'last_vacuum', before #> '{toast,last_vacuum}')
	then
		return case
			when not maintsched.may_analyze(relation) then
				jsonb_build_object('done', false, 'reason', 'VACUUM left it out: the role may not vacuum it any more')
			when (params ->> 'skip_locked')::boolean then
				jsonb_build_object('skip', 'lock_timeout', 'reason', 'VACUUM left it out: somebody held its lock (skip_locked)')
			else jsonb_build_object('done', false, 'reason', 'VACUUM left it out; the server''s log says why') end;
	end if;
	select x.* into j from maintsched.vacuum_judged(array[relation], params - 'all') x;
	if not found then
		return 'true';
	end if;
	select * into advice from maintsched.vacuum_advice(j.parts, j.of_catalog, '{}');
	return jsonb_build_object('reason', concat_ws('; ', 'still needed: ' || j.reason, advice.words));
end
$$;

comment on function maintsched.vacuum_shortfall(text, jsonb, jsonb, jsonb) is
'Internal: What VACUUM did not do, by what vacuum_measure() said before and after and by the need that is left; true: it did all. Where it ended in an error (after is NULL): who is in its way.';

create function maintsched.plan_vacuum(params jsonb) returns setof maintsched.action
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	version constant integer := current_setting('server_version_num');
	criteria constant jsonb := coalesce((
		select jsonb_object_agg(e.key, e.value) from jsonb_each(params) e
		where e.key in ('all', 'threshold', 'scale_factor', 'insert_threshold', 'insert_scale_factor', 'freeze_age', 'multixact_age',
			'min_visible', 'overrides', 'process_toast', 'skip_locked') and e.value <> 'null'), '{}');
	options text[];
	settings jsonb;
	throttle numeric;
	meant record;
	j record;
	skip text;
	words text;
	removable double precision;
	seen jsonb := '{}';
	only_toast boolean;
	needed integer := 0;
begin
	perform maintsched.check_params('vacuum', params);
	select * into meant from maintsched.tables_meant('vacuum', params);
	throttle := maintsched.page_throttle(params ->> 'cost_delay', (params ->> 'cost_limit')::integer);
	options := array_remove(array[
		case when (params ->> 'freeze')::boolean then 'FREEZE' end,
		case when (params ->> 'skip_locked')::boolean then 'SKIP_LOCKED' end,
		case when (params ->> 'analyze')::boolean then 'ANALYZE' end,
		'INDEX_CLEANUP ' || upper(params ->> 'index_cleanup'),
		'TRUNCATE ' || upper(params ->> 'truncate'),
		'PROCESS_TOAST ' || upper(params ->> 'process_toast'),
		'PARALLEL ' || (params ->> 'parallel'),
		format('BUFFER_USAGE_LIMIT ''%s kB''', pg_size_bytes(params ->> 'buffer_usage_limit') / 1024)], null);
	options := array(select o from unnest(options) o where o <> 'BUFFER_USAGE_LIMIT '' kB''');
	for j in
		select x.*
		from maintsched.vacuum_judged(meant.relations, criteria) x
		order by x.urgency, case when x.urgency <= 1 then x.weight end desc nulls last,
			x.score desc nulls last, x.benefit desc nulls last, x.weight desc nulls last, x.name collate "C"
	loop
		needed := needed + 1;
		skip := case when j.busy is not null then 'not_needed' end;
		words := null;
		removable := null;
		if skip is null then
			select a.skip, a.words, a.removable, a.seen into skip, words, removable, seen from maintsched.vacuum_advice(j.parts, j.of_catalog, seen) a;
		end if;
		only_toast := version >= 160000 and (params ->> 'analyze') is distinct from 'true'
			and not exists (select from jsonb_array_elements(j.parts) p where p.value -> 'toast' = 'false');
		-- a plain VACUUM would not go through all of it, or freeze too little
		settings := jsonb_strip_nulls(jsonb_build_object(
			'vacuum_cost_delay', trim_scale(maintsched.cost_delay_ms(params ->> 'cost_delay')) || 'ms',
			'vacuum_cost_limit', (params ->> 'cost_limit')));
		if (params ->> 'freeze') is distinct from 'true' then
			select settings || coalesce(jsonb_object_agg(s.name, s.value), '{}') into settings
			from (
				select v.name, min(v.value)::bigint::text as value
				from jsonb_array_elements(j.parts) p
				cross join lateral (values
					('vacuum_freeze_table_age', 0, p.value -> 'needs' ?| array['freeze', 'failsafe']),
					('vacuum_freeze_min_age', floor((p.value ->> 'age_limit')::numeric / 2), p.value -> 'needs' ?| array['freeze', 'failsafe']
						and current_setting('vacuum_freeze_min_age')::numeric > (p.value ->> 'age_limit')::numeric / 2),
					('vacuum_multixact_freeze_table_age', 0, p.value -> 'needs' ? 'multixact'),
					('vacuum_multixact_freeze_min_age', floor((p.value ->> 'multi_limit')::numeric / 2), p.value -> 'needs' ? 'multixact'
						and current_setting('vacuum_multixact_freeze_min_age')::numeric > (p.value ->> 'multi_limit')::numeric / 2)) v(name, value, there)
				where v.there
				group by v.name) s;
		end if;
		return query select
			j.name,
			'VACUUM ' || coalesce('(' || nullif(concat_ws(', ', nullif(array_to_string(options, ', '), ''),
				case when only_toast then 'PROCESS_MAIN FALSE' end), '') || ') ', '')
				|| case when version >= 180000 and j.inherited then 'ONLY ' else '' end || j.name,
			concat_ws('; ', j.busy, j.reason, words),
			(j.benefit * coalesce(removable, 1))::bigint,
			round(0.05 + j.reads * (0.0002 + throttle), 2),
			jsonb_strip_nulls(jsonb_build_object(
				'skip', skip,
				'settings', nullif(settings, '{}'),
				'lock_timeout', coalesce(params ->> 'lock_timeout', '5s'),
				'bytes', j.reads * current_setting('block_size')::bigint,
				'still_needed', format('(select maintsched.vacuum_still_needed(%L, %L))', j.name, criteria),
				'measure', format('(select maintsched.vacuum_measure(%L))', j.name),
				'verify', format('(select maintsched.vacuum_shortfall(%L, %L, $1, $2))', j.name, criteria)));
	end loop;
	return query
	select * from maintsched.summary_action('vacuum', coalesce(cardinality(meant.relations), 0), needed, meant.refused);
end
$$;

comment on function maintsched.plan_vacuum(jsonb) is
'Plan of routine vacuum: VACUUM of the tables and materialized views of the database that need it and that the role may vacuum, most urgent first: age of transactions, dead rows, inserted rows, visibility. Where a session, a replication slot, a prepared transaction or a standby holds back what VACUUM was to remove, the action is skipped as pointless and names it. params: include and exclude, arrays of schemas or of schema.table, with * for any text and ? for one character; threshold, scale_factor, insert_threshold, insert_scale_factor, freeze_age, multixact_age (a table''s own, where not given), min_visible (0.8), overrides of these by schema or schema.table; freeze, skip_locked, parallel, index_cleanup, truncate, process_toast, buffer_usage_limit, analyze as of VACUUM, cost_delay, cost_limit, lock_timeout; all, true: needed or not. Errors: invalid_parameter_value (22023), insufficient_privilege (42501), undefined_table (42P01), object_not_in_prerequisite_state (55000, track_counts is off).';

insert into maintsched.routine (name, plan, description, defaults, change_class, built_in) values
	('vacuum', 'maintsched.plan_vacuum', 'VACUUM of every table that needs it, most urgent first.', '{}', 'minor', true);
