--
-- 54_bloat: how much smaller a rewrite would make a relation
--
-- Pages are read in C (src/routines/bloat*.c), which says what it found, or
-- why it did not judge.  What is made of it is said here.  Relations are known
-- by schema and name, toast by those of its table: an oid changes with every
-- rebuild.
--

create function maintsched.bloat_sample(relations oid[], least_bytes bigint[], sample_pages integer, seed bigint)
returns table (
	relation oid,
	state text,
	size_bytes bigint,
	filenode oid,
	bloat_ratio double precision,
	bloat_bytes bigint,
	ci_low double precision,
	ci_high double precision,
	dead_bytes bigint,
	lower_bound double precision,
	sampled_pages integer,
	complete boolean,
	unused_ratio double precision,
	unused_half double precision,
	damaged_pages integer,
	damaged_block bigint,
	message text)
language c volatile
as 'MODULE_PATHNAME', 'maintsched_bloat_sample';

comment on function maintsched.bloat_sample(oid[], bigint[], integer, bigint) is
'Internal: Looks at a sample of the pages of relations, each unless it is smaller than its least_bytes; seed NULL: other pages each time. message: the error of one that cannot be read (state unreadable). bloat_ratio is what a rewrite would give back, unused_ratio what pgstattuple has as free and dead, and of btrees 1 less the density of leaf pages that pgstatindex has; both with a 95 % interval.';

create table maintsched.bloat_measurement (
	schema text collate "C" not null,
	relation text collate "C" not null,
	kind text not null,
	measured_at timestamptz not null,
	access_method text not null,
	filenode oid,
	size_bytes bigint,
	bloat_bytes bigint,
	ci_low double precision,
	ci_high double precision,
	dead_bytes bigint,
	live_rows real,
	min_bloat double precision,
	min_wasted bigint,
	method text,
	detail text,
	damaged boolean not null default false,
	primary key (schema, relation, kind, measured_at)
);

create index bloat_measurement_damaged on maintsched.bloat_measurement (measured_at) where damaged;

comment on table maintsched.bloat_measurement is 'What routine bloat found: a row per relation and run, without those that are too small to matter. Only grows, by about 150 bytes a row.';
comment on column maintsched.bloat_measurement.schema is 'Schema of the relation; of toast, that of its table.';
comment on column maintsched.bloat_measurement.relation is 'Its name; of toast, that of its table.';
comment on column maintsched.bloat_measurement.kind is 'table, materialized view, index, toast or toast index.';
comment on column maintsched.bloat_measurement.measured_at is 'When it was measured.';
comment on column maintsched.bloat_measurement.access_method is 'Its access method.';
comment on column maintsched.bloat_measurement.filenode is 'Its file then; another one: it was rewritten since.';
comment on column maintsched.bloat_measurement.size_bytes is 'Its size, in bytes.';
comment on column maintsched.bloat_measurement.bloat_bytes is 'What a rewrite would give back; NULL: not judged.';
comment on column maintsched.bloat_measurement.ci_low is 'Lower end of the 95 % interval of bloat_bytes / size_bytes.';
comment on column maintsched.bloat_measurement.ci_high is 'Upper end of it.';
comment on column maintsched.bloat_measurement.dead_bytes is 'Of bloat_bytes, what is dead and not vacuumed.';
comment on column maintsched.bloat_measurement.live_rows is 'Rows of the table; of indexes that are judged by size per row.';
comment on column maintsched.bloat_measurement.min_bloat is 'Share from which the run wanted something done.';
comment on column maintsched.bloat_measurement.min_wasted is 'Bytes from which it did.';
comment on column maintsched.bloat_measurement.method is 'sample, all pages or size per row, perhaps as a lower bound; NULL: not judged.';
comment on column maintsched.bloat_measurement.detail is 'What there is to say, such as why it was not judged.';
comment on column maintsched.bloat_measurement.damaged is 'Whether it could not be read, or pages of it made no sense; detail says more.';

create trigger append_only before update or delete on maintsched.bloat_measurement
for each row execute function maintsched.refuse_change();

create trigger append_only_truncate before truncate on maintsched.bloat_measurement
for each statement execute function maintsched.refuse_change();

create function maintsched.bloat_size_text(bytes numeric) returns text
language sql immutable parallel safe
return case when bytes >= 0.95 * 1073741824 then round(bytes / 1073741824, 1) || ' GB' else pg_size_pretty(bytes) end;

comment on function maintsched.bloat_size_text(numeric) is 'Internal: A size for people: 410 MB, 1.5 GB.';

create function maintsched.relation_kind(kind "char", of_toast boolean) returns text
language sql immutable parallel safe
return case kind
	when 'r' then 'table'
	when 'm' then 'materialized view'
	when 't' then 'toast'
	when 'i' then case when of_toast then 'toast index' else 'index' end
	when 'p' then 'partitioned table'
	when 'I' then 'partitioned index'
	when 'v' then 'view'
	when 'f' then 'foreign table'
	when 'S' then 'sequence'
	else 'composite type' end;

comment on function maintsched.relation_kind("char", boolean) is 'Internal: A pg_class.relkind in words.';

create function maintsched.bloat_detail(
	state text, kind text, access_method text, size_bytes bigint, lower_bound double precision,
	sampled_pages integer, damaged_pages integer, damaged_block bigint)
returns text
language c immutable parallel safe
as 'MODULE_PATHNAME', 'maintsched_bloat_detail';

comment on function maintsched.bloat_detail(text, text, text, bigint, double precision, integer, integer, bigint) is
'Internal: What there is to say about a relation that was looked at: why it was not judged, or what its figures leave out.';

create function maintsched.bloat_method(state text, complete boolean, lower_bound double precision) returns text
language c immutable parallel safe
as 'MODULE_PATHNAME', 'maintsched_bloat_method';

comment on function maintsched.bloat_method(text, boolean, double precision) is
'Internal: How a relation was judged; NULL: not at all.';

create function maintsched.bloat_best(schema text, relation text, kind text, access_method text)
returns table (bytes_per_row double precision, measured_at timestamptz)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
	select m.size_bytes / m.live_rows::double precision, m.measured_at
	from maintsched.bloat_measurement m
	where (m.schema, m.relation, m.kind, m.access_method)
		= (bloat_best.schema, bloat_best.relation, bloat_best.kind, bloat_best.access_method)
	and m.live_rows > 0
	order by 1, 2
	limit 1
$$;

comment on function maintsched.bloat_best(text, text, text, text) is
'Internal: The smallest size per row at which an index was seen, and when that was.';

create function maintsched.bloat_by_row(
	schema text, name text, kind text, access_method text, table_rows real, size_bytes bigint,
	out state text, out bloat_ratio double precision, out bloat_bytes bigint, out detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	best_size double precision;
	best_at timestamptz;
begin
	select b.bytes_per_row, b.measured_at into best_size, best_at
	from maintsched.bloat_best(schema, name, kind, access_method) b;
	if table_rows <= 0 then
		state := 'no_rows';
	elsif best_size is null then
		state := 'no_baseline';
	else
		state := 'per_row';
		bloat_ratio := greatest(1 - best_size * table_rows / size_bytes, 0);
		bloat_bytes := round(bloat_ratio * size_bytes);
		detail := format('against its smallest size per row, of %s', best_at::date);
	end if;
end
$$;

comment on function maintsched.bloat_by_row(text, text, text, text, real, bigint) is
'Internal: How much smaller an index would be at the smallest size per row that routine bloat has seen; state: no_baseline where it has seen none, no_rows where the rows of its table are not known.';

create function maintsched.bloat_estimate(relation regclass, sample_pages integer default 1000)
returns table (
	schema text,
	relation text,
	kind text,
	access_method text,
	size_bytes bigint,
	bloat_ratio double precision,
	bloat_bytes bigint,
	ci_low double precision,
	ci_high double precision,
	dead_bytes bigint,
	sampled_pages integer,
	method text,
	detail text)
language c volatile
set search_path = pg_catalog, pg_temp
as 'MODULE_PATHNAME', 'maintsched_bloat_estimate';

comment on function maintsched.bloat_estimate(regclass, integer) is
'How much smaller a rewrite (VACUUM FULL, REINDEX) would make a table, materialized view, toast table or index, at its fillfactor: bloat_ratio of size_bytes, with a 95 % interval from ci_low to ci_high, from a stratified sample of sample_pages pages (up to ten times as many where the interval would be wider than a point to each side). Of bloat_bytes dead_bytes are dead and not vacuumed. Index types other than btree are judged by their size per row against the smallest that routine bloat has seen, without an interval. Where it cannot be judged, bloat_ratio is NULL and detail says why. Sizes are those of the main fork, in bytes; toast bears the name of its table. Takes AccessShareLock, and does not wait for it. For whoever may read the table, its owner and pg_stat_scan_tables. Errors: invalid_parameter_value (22023), null_value_not_allowed (22004).';

create function maintsched.bloat_relations()
returns table (
	oid oid, table_oid oid, schema text, table_name text, relation text, kind text, access_method text,
	relpages integer, relfilenode oid, row_versions real, table_rows real, exclusion boolean, rank integer, partitions oid[])
language sql stable
begin atomic
	with heap as (
		select t.oid, t.oid as table_oid
		from pg_catalog.pg_class t
		where t.relkind in ('r', 'm') and t.relpersistence <> 't'
		union all
		select t.reltoastrelid, t.oid
		from pg_catalog.pg_class t
		where t.relkind in ('r', 'm') and t.relpersistence <> 't' and t.reltoastrelid <> 0
	), object as (
		select h.oid, h.table_oid, false as exclusion, 0 as rank from heap h
		union all
		select i.indexrelid, h.table_oid, i.indisexclusion, 1
		from heap h
		join pg_catalog.pg_index i on i.indrelid = h.oid
	)
	select o.oid, o.table_oid, n.nspname::text as schema, t.relname::text as table_name,
		case when c.relkind = 'i' and not x.of_toast then c.relname else t.relname end::text as relation,
		maintsched.relation_kind(c.relkind, x.of_toast) as kind,
		a.amname::text as access_method, c.relpages, c.relfilenode, c.reltuples as row_versions, t.reltuples as table_rows,
		o.exclusion, o.rank + case when x.of_toast then 2 else 0 end as rank,
		case when t.relispartition then case when c.relkind = 'i' and c.relispartition then array[t.oid, c.oid] else array[t.oid] end else '{}' end as partitions
	from object o
	join pg_catalog.pg_class c on c.oid = o.oid
	join pg_catalog.pg_class t on t.oid = o.table_oid
	join pg_catalog.pg_namespace n on n.oid = t.relnamespace
	cross join lateral (select c.relnamespace = 'pg_toast'::pg_catalog.regnamespace as of_toast) x
	left join pg_catalog.pg_am a on a.oid = c.relam
	where not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema';
end;

comment on function maintsched.bloat_relations() is
'Internal: The relations of this database that routine bloat looks at: tables, materialized views, their toast, and the indexes of all these; neither system nor temporary ones. A function, so that it reads the catalogs with the rights of its caller.';

create function maintsched.bloat_wanted(params jsonb)
returns table (
	relation oid, table_oid oid, schema text, table_name text, name text, kind text, access_method text,
	pages bigint, table_rows real, least_bytes bigint, min_bloat double precision, min_wasted bigint, place bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	include constant jsonb := nullif(params -> 'include', 'null');
	exclude constant jsonb := nullif(params -> 'exclude', 'null');
	single constant boolean := coalesce(nullif(params -> 'overrides', 'null'), '{}') = '{}';
	all_bloat constant double precision := coalesce((params ->> 'min_bloat')::double precision, 0.3);
	all_wasted constant bigint := coalesce(pg_size_bytes(params ->> 'min_wasted'), 10485760);
begin
	if single then
		return query
		select r.oid, r.table_oid, r.schema, r.table_name, r.relation, r.kind, r.access_method,
			r.relpages::bigint, r.table_rows, least(all_wasted, 1048576), all_bloat, all_wasted,
			row_number() over (order by r.schema collate "C", r.table_name collate "C", r.rank, r.relation collate "C")
		from maintsched.bloat_relations() r
		where (include is null or maintsched.index_matches(r.schema, r.relation, r.schema, r.table_name, r.partitions, include))
		and (exclude is null or not maintsched.index_matches(r.schema, r.relation, r.schema, r.table_name, r.partitions, exclude))
		and not (r.kind in ('toast', 'toast index') and r.row_versions = 0);
		return;
	end if;
	return query
	select r.oid, r.table_oid, r.schema, r.table_name, r.relation, r.kind, r.access_method,
		r.relpages::bigint, r.table_rows, least(w.bytes, 1048576), w.share, w.bytes,
		row_number() over (order by r.schema collate "C", r.table_name collate "C", r.rank, r.relation collate "C")
	from maintsched.bloat_relations() r
	cross join lateral (
		select maintsched.threshold_names(r.oid) as names
		offset 0) n
	cross join lateral (
		select coalesce((maintsched.threshold(params, 'min_bloat', n.names) #>> '{}')::double precision, all_bloat) as share,
			coalesce(pg_size_bytes(maintsched.threshold(params, 'min_wasted', n.names) #>> '{}'), all_wasted) as bytes) w
	where (include is null or maintsched.index_matches(r.schema, r.relation, r.schema, r.table_name, r.partitions, include))
	and (exclude is null or not maintsched.index_matches(r.schema, r.relation, r.schema, r.table_name, r.partitions, exclude))
	and not (r.kind in ('toast', 'toast index') and r.row_versions = 0);
end
$$;

comment on function maintsched.bloat_wanted(jsonb) is
'Internal: The relations that params of routine bloat mean, with what is too small to look at (1 MB, or min_wasted where that is less) and the thresholds, in the order of their tables, each before its toast and indexes. A pattern for a table is one for its toast and indexes, too, and for its partitions; one for an index of a partitioned table for those of the partitions. Toast that VACUUM found empty is left out: most tables have such.';

create function maintsched.may_measure(role oid, relation oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select pg_has_role(role, 'pg_stat_scan_tables', 'USAGE') or pg_has_role(role, c.relowner, 'USAGE')
		or has_table_privilege(role, c.oid, 'SELECT')
	from pg_class c
	where c.oid = relation
$$;

comment on function maintsched.may_measure(oid, oid) is
'Internal: Whether a role may learn how full the pages of a table are: its owner, who may read it, and pg_stat_scan_tables.';
