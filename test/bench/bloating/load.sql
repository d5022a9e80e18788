--
-- The relations whose bloat is measured: n rows in the unit, 1000000 for about
-- 3 GB.  Each table is bloated in a way of its own, and vacuumed, but one.
--
\set ON_ERROR_STOP on
set synchronous_commit = off;
set maintenance_work_mem = '512MB';
select setseed(0.5);
create extension maintsched;
create extension pgstattuple;
create schema bench;
create schema d;
set search_path = d;

-- a lump of 20 % deleted, then more and more of the rest
create table big (id integer, k text, grp integer) with (autovacuum_enabled = off);
insert into big select g, md5(g::text), g / 100 from generate_series(1, 9 * :n) g;
create index big_k on big (k);
create index big_id on big (id);
create index big_grp on big (grp);
delete from big where id between 2 * :n and 3.8 * :n;
delete from big where random() < 0.45 * id / (9.0 * :n);

-- narrow rows, 40 % of them at random; a key of 3000 rows, deduplicated
create table narrow (id integer primary key, a integer, ts timestamptz) with (autovacuum_enabled = off);
insert into narrow select g, g % 1000, timestamptz '2026-01-01' + g * interval '1 second' from generate_series(1, 3 * :n) g;
create index narrow_a on narrow (a);
create index narrow_ts on narrow (ts);
delete from narrow where random() < 0.4;

-- wide rows of all lengths
create table wide (id integer primary key, c1 text, c2 text, c3 text) with (autovacuum_enabled = off);
insert into wide
select g, repeat(md5(g::text), (random() * 20)::integer), md5((g * 7)::text), repeat('x', (random() * 600)::integer)
from generate_series(1, :n * 3 / 20) g;
create index wide_c1 on wide (left(c1, 200));
create index wide_c2 on wide (c2);
delete from wide where id % 4 = 0;

-- holes of alignment
create table pad (a boolean, b bigint, c boolean, d bigint, e boolean, f double precision) with (autovacuum_enabled = off);
insert into pad select true, g, false, g % 5000, true, random() from generate_series(1, :n) g;
create index pad_d on pad (d);
create index pad_f on pad (f);
delete from pad where b % 4 = 1;

-- columns that are mostly null
create table nulls (id integer primary key, c1 integer, c2 text, c3 integer, c4 text, c5 integer, c6 integer, c7 integer, c8 integer, c9 integer)
with (autovacuum_enabled = off);
insert into nulls (id, c1, c2, c6)
select g, case when g % 10 = 0 then g end, case when g % 7 = 0 then md5(g::text) end, case when g % 3 = 0 then g end
from generate_series(1, :n) g;
create index nulls_c1 on nulls (c1);
create index nulls_c2 on nulls (c2);
delete from nulls where id % 10 < 7;

-- room for updates, which is no bloat
create table ff70 (id integer primary key, a integer, b integer, c text) with (fillfactor = 70, autovacuum_enabled = off);
insert into ff70 select g, g, g % 100, md5(g::text) from generate_series(1, :n) g;
create index ff70_a on ff70 (a) with (fillfactor = 70);
delete from ff70 where id % 10 = 0;

-- updated, some of it in place
create table upd (id integer primary key, status text, val double precision, cnt integer) with (autovacuum_enabled = off);
insert into upd select g, 's' || g % 5, random(), 0 from generate_series(1, :n * 8 / 10) g;
create index upd_status on upd (status);
create index upd_val on upd (val);
vacuum upd;
update upd set val = random() where id % 3 = 0;
vacuum upd;
update upd set cnt = cnt + 1 where id % 4 = 0;
vacuum upd;
update upd set status = 's6' where random() < 0.2;

-- updated and deleted, and not vacuumed since
create table unvacuumed (id integer primary key, v integer, t text) with (autovacuum_enabled = off);
insert into unvacuumed select g, g % 7777, md5(g::text) from generate_series(1, :n / 2) g;
create index unvacuumed_v on unvacuumed (v);
vacuum unvacuumed;
update unvacuumed set v = v + 1 where id % 5 = 0;
delete from unvacuumed where id % 7 = 0;

-- values out of line
create table toasted (id integer primary key, j text) with (autovacuum_enabled = off);
alter table toasted alter j set storage external;
insert into toasted select g, repeat(md5(g::text), 80 + (random() * 400)::integer) from generate_series(1, :n / 25) g;
delete from toasted where random() < 0.25;

-- values that fit, compressed
create table document (id integer primary key, j jsonb) with (autovacuum_enabled = off);
insert into document
select g, jsonb_build_object('id', g, 'tags', (select jsonb_agg(md5((g * x)::text)) from generate_series(1, 1 + g % 30) x))
from generate_series(1, :n / 8) g;
delete from document where id % 3 = 0;

-- a queue: the old ones are gone
create table queue (id integer primary key, payload text) with (autovacuum_enabled = off);
insert into queue select g, repeat('q', 20 + g % 100) from generate_series(1, :n) g;
delete from queue where id < 0.82 * :n;

-- keys that come at random, nothing deleted
create table rnd (u uuid primary key, v integer, w integer) with (autovacuum_enabled = off);
create index rnd_v on rnd (v);
create index rnd_w on rnd (w);
insert into rnd select gen_random_uuid(), (random() * :n / 30)::integer, (random() * 100)::integer from generate_series(1, :n) g;

-- only ever appended to
create table events (id bigserial primary key, host text, at timestamptz, v double precision) with (autovacuum_enabled = off);
insert into events (host, at, v) select 'host' || (random() * 50)::integer, timestamptz '2026-01-01' + g * interval '1 second', random() from generate_series(1, :n) g;
create index events_host_v on events (host, v);
create index events_host on events (host);

-- a column dropped, others added
create table altered (a integer, b text, c text, d integer) with (autovacuum_enabled = off);
insert into altered select g, repeat('b', 60), md5(g::text), g from generate_series(1, :n / 2) g;
alter table altered drop column b;
alter table altered add column e integer default 7;
alter table altered add column f text;
insert into altered select g, md5(g::text), g, 1, 'x' from generate_series(1, :n / 5) g;

-- bloat in lumps: whole ranges gone between full ones
create table lumps (id integer primary key, g integer, t text) with (autovacuum_enabled = off);
insert into lumps select g, (g / 50), md5(g::text) from generate_series(1, :n) g;
create index lumps_g on lumps (g);
delete from lumps where (id / (:n / 60)) % 3 = 0 or random() < 0.1;

select format('vacuum (analyze) d.%I', relname)
from pg_class
where relnamespace = 'd'::regnamespace and relkind = 'r' and relname <> 'unvacuumed'
order by 1 \gexec
analyze unvacuumed;
