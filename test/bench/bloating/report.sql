--
-- The tables of goals.
--
\set ON_ERROR_STOP on
\pset footer off
create view bench.judged as
select r.*, e.seed,
	e.bloat_ratio, e.ci_low, e.ci_high, e.lower_bound, e.sampled_pages,
	abs(e.unused_ratio - r.unused) * 100 as error,
	abs(e.unused_ratio - r.unused) <= e.unused_half as covered,
	f.bloat_ratio between e.ci_low and e.ci_high as covered_all,
	r.given_back between e.ci_low and e.ci_high as covered_given,
	(e.bloat_ratio - r.given_back) * 100 as bias
from bench.relation r
join bench.estimate e using (oid)
join bench.everything f using (oid);

create view bench.line as
select name, is_index, unvacuumed, pages,
	round(max(unused)::numeric * 100, 2) as unused,
	round(percentile_cont(0.95) within group (order by error)::numeric, 2) as p95,
	round(max(error)::numeric, 2) as worst,
	round(avg(covered::integer) * 100, 1) as covered,
	round(max(given_back)::numeric * 100, 2) as given_back,
	round(avg(bloat_ratio)::numeric * 100, 2) as estimate,
	round(percentile_cont(0.95) within group (order by abs(bias))::numeric, 2) as p95_given,
	round(avg(covered_all::integer) * 100, 1) as covered_all,
	round(avg(covered_given::integer) * 100, 1) as covered_given,
	round(avg((ci_high - ci_low) * 50)::numeric, 2) as half,
	round(avg(sampled_pages)) as sampled,
	round(max(lower_bound)::numeric * 100, 1) as dead_entries
from bench.judged
group by name, is_index, unvacuumed, pages;

\echo 'percentage points over the seeds: p95 and worst error against pgstattuple, pgstatindex; against the space given back'
select name, pages, unused, p95, worst, covered, given_back, estimate, p95_given, covered_all, covered_given, half, sampled, dead_entries
from bench.line order by is_index, pages desc;

\echo 'goals'
select g.what, g.goal, g.found, case when g.met then 'met' else 'MISSED' end as verdict
from (
	select 1, 'heap: worst p95 error against pgstattuple', '<= 1 point', max(p95)::text, max(p95) <= 1
	from bench.line where not is_index
	union all
	select 2, 'btree: worst p95 error against pgstatindex', '<= 1.5 points', max(p95)::text, max(p95) <= 1.5
	from bench.line where is_index
	union all
	select 3, 'given back: share of vacuumed relations with a p95 error <= 2 points', '>= 95 %',
		round(avg((p95_given <= 2)::integer) * 100, 1)::text, avg((p95_given <= 2)::integer) >= 0.95
	from bench.line where not unvacuumed
	union all
	select 4, 'coverage of the interval against pgstattuple, pgstatindex', '>= 93 %',
		round(avg(covered), 1)::text, avg(covered) >= 93 from bench.line
	union all
	select 5, 'coverage of the interval against reading all pages', '>= 93 %',
		round(avg(covered_all), 1)::text, avg(covered_all) >= 93 from bench.line
	union all
	select 6, 'coverage of the interval against the space given back, vacuumed', '>= 93 %',
		round(avg(covered_given), 1)::text, avg(covered_given) >= 93 from bench.line where not unvacuumed
	union all
	select 7, 'unvacuumed: indexes said to be a lower bound', 'all',
		count(*) filter (where dead_entries >= 1) || ' of ' || count(*), coalesce(bool_and(dead_entries >= 1), true)
	from bench.line where unvacuumed and is_index
	union all
	select 8, 'unvacuumed: indexes estimated above what was given back', 'none',
		(count(*) filter (where estimate > given_back + 1))::text, coalesce(bool_and(estimate <= given_back + 1), true)
	from bench.line where unvacuumed and is_index) g(n, what, goal, found, met)
order by g.n;
