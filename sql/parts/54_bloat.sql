--
-- 54_bloat: how much smaller a rewrite would make a relation
--
-- Pages are read in C (src/routines/bloat*.c), which says what it found, or
-- why it did not judge.  What is enough to act on is decided here.
--

create function maintsched.bloat_sample(relations oid[], least_bytes bigint[], sample_pages integer, seed bigint, role oid)
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
	damaged_block bigint)
language c volatile
as 'MODULE_PATHNAME', 'maintsched_bloat_sample';

comment on function maintsched.bloat_sample(oid[], bigint[], integer, bigint, oid) is
'Internal: Looks at a sample of the pages of relations, with the rights of role, each unless it is smaller than its least_bytes; with the same seed the same pages.';
