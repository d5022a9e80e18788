--
-- Time of an estimate and of a full scan, in turn: median of five of each.
--
\set ON_ERROR_STOP on
create or replace function bench.speed(what text, name text, relation regclass, other text) returns void
language plpgsql as $$
declare
	at timestamptz;
	ours double precision[];
	theirs double precision[];
begin
	for i in 1..5 loop
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
		(select percentile_cont(0.5) within group (order by x) from unnest(ours) x);
end
$$;
create table if not exists bench.tiny (a integer primary key);
create table if not exists bench.speed (what text, name text, mb bigint, other text, theirs double precision, ours double precision);

select pg_prewarm('d.big'), pg_prewarm('d.big', 'buffer', 'vm') \g /dev/null
select bench.speed('warm', 'big', 'd.big', 'public.pgstattuple($1)');
select bench.speed('warm', 'big', 'd.big', 'public.pgstattuple_approx($1)');
select pg_prewarm('d.big_k') \g /dev/null
select bench.speed('warm', 'big_k', 'd.big_k', 'public.pgstatindex($1)');
