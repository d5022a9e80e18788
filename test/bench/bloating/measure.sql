--
-- Truth from pgstattuple and pgstatindex, the same by reading all pages here,
-- and the estimates of 60 seeds.
--
\set ON_ERROR_STOP on
set search_path = d;
create table bench.relation as
select c.oid, c.relkind = 'i' as is_index,
	case c.relkind when 't' then t.relname || ' (toast)' else c.relname end as name,
	coalesce(i.indrelid = 'unvacuumed'::regclass, c.oid = 'unvacuumed'::regclass) as unvacuumed,
	pg_relation_size(c.oid) / 8192 as pages,
	case c.relkind
		when 'i' then (select 1 - x.avg_leaf_density / 100 from public.pgstatindex(c.oid::regclass) x)
		else (select (x.free_space + x.dead_tuple_len)::double precision / nullif(x.table_len, 0) from public.pgstattuple(c.oid::regclass) x)
	end as unused,
	null::double precision as given_back
from pg_class c
left join pg_index i on i.indexrelid = c.oid
left join pg_class t on t.reltoastrelid = c.oid and t.relnamespace = 'd'::regnamespace
where c.relnamespace = 'd'::regnamespace and c.relkind in ('r', 'i') or t.oid is not null;
delete from bench.relation where pages < :least;

create table bench.estimate as
select r.oid, seed, e.*
from bench.relation r
cross join generate_series(1, :seeds) seed
cross join lateral maintsched.bloat_sample(array[r.oid], array[0], 1000, seed) e;

create table bench.everything as
select r.oid, e.*
from bench.relation r
cross join lateral maintsched.bloat_sample(array[r.oid], array[0], 2147483647, 1) e;
