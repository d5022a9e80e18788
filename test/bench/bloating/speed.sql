--
-- Time of a full scan and of an estimate, in turn: median of seven of each, all
-- in shared buffers, on a server that was started just now.  in_order: pg_prewarm
-- laid the pages down one after the other, so that a scan finds them as one
-- piece of memory; else they lie as look-ups of an application leave them.  In
-- order pgstatindex takes 0.1 us a page, and to look up and pin a buffer takes
-- 0.45: a sample of 1000 pages of 500 MB can be 14 times faster, and no more.
--
\set ON_ERROR_STOP on
set client_min_messages = warning;
create or replace function bench.warm(relation regclass, in_order boolean) returns void
language plpgsql as $$
begin
	perform pg_prewarm(relation, 'buffer', 'main', b, b)
	from (
		select b
		from generate_series(0, pg_relation_size(relation) / 8192 - 1) b
		order by case when in_order then b else random() end) x;
	if pg_relation_size(relation, 'vm') > 0 then
		perform pg_prewarm(relation, 'buffer', 'vm');
	end if;
end
$$;
create or replace function bench.speed(what text, name text, relation regclass, other text) returns void
language plpgsql as $$
declare
	at timestamptz;
	ours double precision[];
	theirs double precision[];
begin
	for i in 1..7 loop
		at := clock_timestamp();
		execute 'select ' || other using relation;
		theirs := theirs || extract(epoch from clock_timestamp() - at)::double precision * 1000;
		at := clock_timestamp();
		perform from maintsched.bloat_estimate(relation);
		ours := ours || extract(epoch from clock_timestamp() - at)::double precision * 1000;
	end loop;
	insert into bench.speed
	select what, name, pg_relation_size(relation) / 1048576, substring(other from 'public.([a-z_]+)'),
		(select percentile_cont(0.5) within group (order by x) from unnest(theirs) x),
		(select percentile_cont(0.5) within group (order by x) from unnest(ours) x),
		(select min(x) from unnest(theirs) x) / (select min(x) from unnest(ours) x);
end
$$;
create table if not exists bench.tiny (a integer primary key);
create table if not exists bench.speed (what text, name text, mb bigint, other text, theirs double precision, ours double precision, at_best double precision);

select bench.warm('d.big', :'in_order'), bench.warm('d.big_k', :'in_order') \g /dev/null
select bench.speed(:'what', 'big', 'd.big', 'public.pgstattuple($1)');
select bench.speed(:'what', 'big', 'd.big', 'public.pgstattuple_approx($1)');
select bench.speed(:'what', 'big_k', 'd.big_k', 'public.pgstatindex($1)');
