# bloat_estimate() against pgstattuple, pgstatindex, VACUUM FULL and REINDEX on
# relations larger than its sample, over many seeds; what it leaves alone
# (buffers of others, hint bits, locks); damaged pages; relations that change
# or vanish meanwhile; and the routine in the background.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use Worker;
use Test::More;

my $node = worker_server('bloat', "shared_buffers = '64MB'", 'fsync = off');
my $seeds = 40;
$node->safe_psql('postgres', q{
	create extension maintsched;
	create extension pgstattuple;
	create extension pg_buffercache;
	create schema d;
	set search_path = d;
	create table lump (id integer primary key, g integer, t text);
	insert into lump select x, x / 40, repeat('x', 40 + x % 60) from generate_series(1, 200000) x;
	create index lump_g on lump (g);
	delete from lump where id between 40000 and 90000 or id % 7 = 0;
	create table odd (a boolean, b bigint, t text) with (fillfactor = 80);
	insert into odd select true, x, repeat(md5(x::text), x % 9) from generate_series(1, 90000) x;
	create index odd_b on odd (b);
	create index odd_t on odd (left(t, 100));
	delete from odd where b % 3 = 0;
	create table churn (u uuid primary key, v integer);
	create index churn_v on churn (v);
	insert into churn select md5(x::text)::uuid, x % 5000 from generate_series(1, 250000) x;
	delete from churn where v % 4 = 0;
	vacuum analyze;
	create table public.subject as
	select c.oid, c.relname::text as name, c.relkind = 'i' as is_index, pg_relation_size(c.oid) / 8192 as pages,
		case c.relkind when 'i' then (select 1 - avg_leaf_density / 100 from public.pgstatindex(c.oid::regclass))
			else (select (free_space + dead_tuple_len)::double precision / table_len from public.pgstattuple(c.oid::regclass)) end as unused,
		e.bloat_ratio as full_ratio, e.complete, 0::double precision as given_back
	from pg_class c
	cross join lateral maintsched.bloat_sample(array[c.oid], array[0], 1000000, 1) e
	where c.relnamespace = 'd'::regnamespace and c.relkind in ('r', 'i')
	and pg_relation_size(c.oid) / 8192 > 520;
	analyze public.subject});
$node->safe_psql('postgres', qq{
	create table estimate as
	select s.oid, seed, e.*
	from subject s
	cross join generate_series(1, $seeds) seed
	cross join lateral maintsched.bloat_sample(array[s.oid], array[0], 500, seed) e});

is($node->safe_psql('postgres', q{select count(*) >= 6 and bool_and(complete) from subject}), 't',
	'there are six relations and more, read to the end with a large sample');
is($node->safe_psql('postgres', q{select count(*) from estimate where sampled_pages < 500 or complete}), '0',
	'the estimates are from samples');
# The limits are for 1000 pages; half of them err by half as much again.
is($node->safe_psql('postgres', q{
	select s.name, round(percentile_cont(0.95) within group (order by abs(e.unused_ratio - s.unused))::numeric * 100, 2)
	from subject s join estimate e using (oid)
	group by s.name, s.is_index
	having percentile_cont(0.95) within group (order by abs(e.unused_ratio - s.unused)) > case when s.is_index then 0.0225 else 0.015 end}),
	'', 'beside pgstattuple and pgstatindex no relation errs by more than it may');
is($node->safe_psql('postgres', q{
	select avg((abs(e.unused_ratio - s.unused) <= e.unused_half)::integer) >= 0.93
	and avg((s.full_ratio between e.ci_low and e.ci_high)::integer) >= 0.93
	from subject s join estimate e using (oid)}),
	't', 'the interval holds what reading all pages says');
is($node->safe_psql('postgres', q{select count(distinct bloat_ratio) > 5 from estimate e join subject s using (oid) where s.name = 'lump'}),
	't', 'another seed, other pages');
is($node->safe_psql('postgres', q{
	select count(*) from estimate where not (bloat_ratio >= 0 and bloat_ratio <= 1 and ci_low between 0 and bloat_ratio and ci_high between bloat_ratio and 1)}),
	'0', 'every interval is around its estimate');

$node->safe_psql('postgres', q{
	reindex schema d;
	update subject set given_back = 1 - pg_relation_size(oid) / 8192.0 / pages where is_index;});
$node->safe_psql('postgres', "vacuum full d.$_") for qw(lump odd churn);
$node->safe_psql('postgres', q{update subject set given_back = 1 - pg_relation_size(oid) / 8192.0 / pages where not is_index});
is($node->safe_psql('postgres', q{
	select name, round((full_ratio - given_back)::numeric * 100, 2) from subject where abs(full_ratio - given_back) > 0.005}),
	'', 'reading all pages tells what VACUUM FULL and REINDEX give back, to half a point');
is($node->safe_psql('postgres', q{
	select name from subject s join estimate e using (oid)
	group by name having percentile_cont(0.95) within group (order by abs(e.bloat_ratio - s.given_back)) > 0.02}),
	'', 'and half the sample to two points');

#
# It leaves no trace: not in buffers, hint bits, WAL, locks.
#
$node->safe_psql('postgres', q{
	create table d.fresh (a integer, t text);
	insert into d.fresh select x, repeat('f', 200) from generate_series(1, 100000) x;
	checkpoint});
$node->restart;
my $trace = $node->safe_psql('postgres', q{
	select count(*) from maintsched.bloat_estimate('d.fresh', 2000) e where e.sampled_pages >= 2000;
	select count(*) < 1000, count(*) filter (where isdirty) from pg_buffercache where relfilenode = pg_relation_filenode('d.fresh') and relforknumber = 0;
	begin;
	select count(*) from maintsched.bloat_estimate('d.fresh');
	select count(*) from pg_locks where relation = 'd.fresh'::regclass and pid = pg_backend_pid();
	commit;});
is($trace, "1\nt|0\n1\n0", 'the sample passes through a ring of buffers, nothing is dirty or locked');
# the server itself writes now and then: what this statement wrote
$trace = $node->safe_psql('postgres', q{
	explain (analyze, wal, costs off, timing off, summary off)
	select count(*) from maintsched.bloat_estimate('d.fresh', 2000)});
like($trace, qr/Function Scan on bloat_estimate/, 'explained');
unlike($trace, qr/WAL:/, 'and nothing is written to the log');

# One call that takes minutes ends at once when it is cancelled.
my ($out, $err);
$node->psql('postgres', q{
	set statement_timeout = '300ms';
	select count(*) from maintsched.bloat_sample(array_fill('d.fresh'::regclass::oid, array[50000]), array_fill(0::bigint, array[50000]), 1000, null)},
	stdout => \$out, stderr => \$err);
like($err, qr/canceling statement due to statement timeout/, 'it can be cancelled');

#
# Others at work on the relation.
#
my $other = $node->background_psql('postgres');
$other->query_safe(q{create temporary table passing (a integer); insert into passing select generate_series(1, 5000);});
my $passing = $node->safe_psql('postgres', q{select oid from pg_class where relname = 'passing'});
is($node->safe_psql('postgres', "select bloat_ratio is null, detail from maintsched.bloat_estimate($passing)"),
	't|not judged: it is temporary and belongs to another session', 'a temporary table of another session');
$other->query_safe(q{begin; lock table d.lump in access exclusive mode;});
my $locked = 't|not judged: somebody holds a lock on it, as a rewrite or another change does';
is($node->safe_psql('postgres', q{select bloat_ratio is null, detail from maintsched.bloat_estimate('d.lump')}),
	$locked, 'a table that is locked is not waited for');
is($node->safe_psql('postgres', q{set client_min_messages = error; select maintsched.measure_bloat(params => '{"include": ["d"]}') > 3}), 't', 'the rest is measured');
is($node->safe_psql('postgres', q{select bloat_ratio is null, detail from maintsched.bloat_report where schema = 'd' and relation = 'lump' and kind = 'table'}),
	$locked, 'and the report says so');
$other->query_safe('rollback');
$other->quit;

# Truncated, rebuilt and dropped all the while: no error, and no nonsense.
my $changes = $node->basedir . '/changes.sql';
PostgreSQL::Test::Utils::append_to_file($changes, q{
drop table if exists d.moving;
create table d.moving as select x as a, repeat('m', 100) as t from generate_series(1, 5000) x;
create index moving_a on d.moving (a);
delete from d.moving where a % 2 = 0;
truncate d.moving;
vacuum d.moving;
});
my $looks = $node->basedir . '/looks.sql';
PostgreSQL::Test::Utils::append_to_file($looks, q{
select maintsched.bloat_sample((select array_agg(oid) from pg_class where relname like 'moving%'),
	(select array_agg(0::bigint) from pg_class where relname like 'moving%'), 50, null)
where exists (select from pg_class where relname like 'moving%');
});
$node->command_ok(['pgbench', '-n', '-t', '40', '-c', '4', "-f", $looks, 'postgres'], 'nothing to look at yet');
my $changing = IPC::Run::start(['pgbench', '-n', '-t', '15', '-f', $changes, '-h', $node->host, '-p', $node->port, 'postgres'],
	'>', \my $changes_out, '2>', \my $changes_err);
$node->command_ok(['pgbench', '-n', '-t', '150', '-c', '2', '-f', $looks, 'postgres'], 'tables come, go and shrink meanwhile');
IPC::Run::finish($changing);
is($node->safe_psql('postgres', q{select count(*) from pg_class where relname = 'moving'}), '1', 'they did');

#
# Damage: counted, said, and never a crash.
#
$node->safe_psql('postgres', q{
	create table d.victim (id integer primary key, t text) with (autovacuum_enabled = off);
	insert into d.victim select x, repeat('v', 100) from generate_series(1, 20000) x;
	delete from d.victim where id % 5 = 0 and id < 12000;
	vacuum d.victim; -- its first pages are all-visible
	delete from d.victim where id % 5 = 0;
	checkpoint});
my %file = map { $_ => $node->data_dir . '/' . $node->safe_psql('postgres', "select pg_relation_filepath('d.$_')") }
  qw(victim victim_pkey);
my $healthy = $node->safe_psql('postgres', q{select round(bloat_ratio::numeric, 1) from maintsched.bloat_estimate('d.victim')});
my %saved;

# Write bytes into a block of a relation's file.
sub scribble
{
	my ($relation, $block, $offset, $bytes) = @_;
	open(my $handle, '+<:raw', $file{$relation}) or die "$file{$relation}: $!";
	seek($handle, $block * 8192 + $offset, 0) or die $!;
	print $handle $bytes;
	close $handle or die $!;
	return;
}

# With the server down, do something to the files.
sub damage
{
	my ($how) = @_;
	$node->stop;
	foreach my $relation (keys %file)
	{
		$saved{$relation} //= PostgreSQL::Test::Utils::slurp_file($file{$relation});
		open(my $handle, '>:raw', $file{$relation}) or die $!;
		print $handle $saved{$relation};
		close $handle or die $!;
	}
	$how->();
	$node->start;
	return;
}

sub estimate
{
	my ($relation) = @_;
	return $node->safe_psql('postgres', "select round(bloat_ratio::numeric, 1), detail from maintsched.bloat_estimate('d.$relation')");
}

damage(sub { scribble('victim', 3, 0, "\0" x 8192) });
like(estimate('victim'), qr/^$healthy\|$/, 'a page of zeros is an empty page');
damage(sub { scribble('victim', 7, 24, pack('V', 0x7fff | 1 << 15 | 0x7fff << 17)) });
like(estimate('victim'), qr/^$healthy\|1 of \d+ pages make no sense, the first one is block 7; amcheck/, 'a line pointer that points nowhere');
# pd_lower, pd_upper, pd_special: above all of them, and sound but unlike a heap's
damage(sub { scribble('victim', 9, 12, pack('v3', 9000, 24, 8192)) });
like(estimate('victim'), qr/^$healthy\|1 of \d+ pages make no sense, the first one is block 9/, 'a header that PostgreSQL refuses to read');
damage(sub { scribble('victim', 11, 12, pack('v3', 24, 8000, 8000)) });
like(estimate('victim'), qr/^$healthy\|1 of \d+ pages make no sense, the first one is block 11/, 'a special space where there is none');
# the second tuple of block 5, by its line pointer, with a transaction of the far future
damage(sub {
	my $at = unpack('V', substr($saved{victim}, 5 * 8192 + 28, 4)) & 0x7fff;
	scribble('victim', 5, $at, pack('V2', 0x7ffffff0, 0));
	scribble('victim', 5, $at + 20, pack('v', 0x0002)); # no hint bits
	scribble('victim', 5, 10, pack('v', 0)); # nor all-visible
});
like(estimate('victim'), qr/^$healthy\|1 of \d+ pages make no sense, the first one is block 5/, 'a transaction that has not been');
damage(sub { scribble('victim', 13, 28, pack('V', 0x7fff | 1 << 15 | 0x7fff << 17)) });
like(estimate('victim'), qr/^$healthy\|1 of \d+ pages make no sense, the first one is block 13/, 'on an all-visible page any line pointer');
damage(sub { scribble('victim', $_, 24, pack('V', 0x7fff | 1 << 15 | 0x7fff << 17) x 50) for 0 .. 300 });
like(estimate('victim'), qr/^\|not judged: too many pages make no sense, the first one is block 0/, 'most of the pages');
damage(sub { scribble('victim_pkey', 5, 24, pack('V', 0x7fff | 1 << 15 | 0x7fff << 17)) });
like(estimate('victim_pkey'), qr/1 of \d+ pages make no sense, the first one is block 5/, 'an index: a line pointer that points nowhere');
damage(sub { scribble('victim_pkey', 6, 12, pack('v3', 24, 8192, 8192)) });
like(estimate('victim_pkey'), qr/1 of \d+ pages make no sense, the first one is block 6/, 'an index: no special space');
damage(sub { scribble('victim_pkey', 0, 24, "\xff" x 60) });
like(estimate('victim_pkey'), qr/^0\.\d\|/, 'an index: its metapage is not needed');

# Anything at all, anywhere: the server says something and lives on.
srand(20260101);
foreach my $round (1 .. 12)
{
	damage(sub {
		foreach (1 .. 400)
		{
			my $relation = $_ % 2 ? 'victim' : 'victim_pkey';
			my $blocks = length($saved{$relation}) / 8192;
			my $kind = int rand 4;
			my $offset = $kind == 0 ? int rand 24 : $kind == 1 ? 24 + int rand 600 : $kind == 2 ? 8176 + int rand 16 : int rand 8190;
			scribble($relation, int rand $blocks, $offset, pack('v', int rand 65536));
		}
	});
	my $said = $node->safe_psql('postgres', q{
		select count(*) from maintsched.bloat_estimate('d.victim') v, maintsched.bloat_estimate('d.victim_pkey') i
		where (v.bloat_ratio is null or v.bloat_ratio between 0 and 1) and (i.bloat_ratio is null or i.bloat_ratio between 0 and 1)});
	is($said, '1', "random damage, round $round");
}
damage(sub { });
like(estimate('victim'), qr/^$healthy\|$/, 'healthy again');

# What cannot be read at all: the others are measured, and the run says it.
sub measured_beside
{
	my ($finding, $name) = @_;
	my $before = $node->safe_psql('postgres', 'select clock_timestamp()');
	my $id = $node->safe_psql('postgres', q{select maintsched.run_routine('bloat', '{"include": ["d"], "min_wasted": "1 MB"}')});
	wait_for($node, 'postgres', "select state from maintsched.run_history where run_id = $id", "$name: the run fails", 'failed');
	like($node->safe_psql('postgres', "select message from maintsched.run_actions where run_id = $id"),
		qr/ damaged, the rest was measured: .*table d\.victim, $finding/, "$name: and names it");
	like($node->safe_psql('postgres', q{select detail from maintsched.bloat_report where schema = 'd' and relation = 'victim' and kind = 'table'}),
		qr/^$finding/, "$name: so does the report");
	is($node->safe_psql('postgres', qq{select string_agg(relation, ' ' order by relation) from maintsched.bloat_report
		where schema = 'd' and measured_at > '$before' and bloat_ratio is not null and relation in ('churn', 'lump_pkey', 'odd')}),
		'churn lump_pkey odd', "$name: the others are measured");
	like(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/WARNING:  table d\.victim: $finding/, "$name: a warning is in the log");
	return;
}
damage(sub { unlink $file{victim} or die $! });
$node->psql('postgres', q{select * from maintsched.bloat_estimate('d.victim')}, stderr => \$err);
like($err, qr/ERROR:  could not open file/, 'a file that is gone: an estimate of it is an error');
like(estimate('victim_pkey'), qr/^0\.\d\|$/, 'and its index has one');
measured_beside(qr/not judged: it cannot be read: could not open file .*: No such file or directory/, 'a file that is gone');
damage(sub { chmod(0, $file{victim}) or die $! });
measured_beside(qr/not judged: it cannot be read: could not open file .*: Permission denied/, 'a file that may not be read');
like($node->safe_psql('postgres', q{select string_agg(reason, ' ') from maintsched.plan('reindex', '{"include": ["d"], "min_wasted": 0, "min_bloat": 0}')}),
	qr/ reclaimable \(.*it cannot be read/s, 'rebuilds of others are planned');
chmod(0600, $file{victim}) or die $!;
damage(sub { });
$node->stop;
PostgreSQL::Test::Utils::system_log('pg_checksums', '--enable', '-D', $node->data_dir);
%saved = ();
$node->start;
is($node->safe_psql('postgres', 'show data_checksums'), 'on', 'checksums are on');
damage(sub { scribble('victim', 4, 4000, 'changed on disk') });
like(estimate('victim'), qr/^$healthy\|1 of \d+ pages make no sense, the first one is block 4; amcheck/, 'a page whose checksum is wrong');
measured_beside(qr/1 of \d+ pages make no sense, the first one is block 4; amcheck tells more/, 'a page whose checksum is wrong');
damage(sub { });
$node->safe_psql('postgres', 'drop table d.victim');

#
# The routine in the background; what it measures is in the report.
#
my $run = $node->safe_psql('postgres', q{select maintsched.run_routine('bloat', '{"include": ["d"], "min_wasted": "1 MB", "min_bloat": 0.1}')});
wait_for($node, 'postgres', "select state from maintsched.run_history where run_id = $run", 'a run of routine bloat succeeds', 'succeeded');
is($node->safe_psql('postgres', "select string_agg(target || ' ' || state, ', ') from maintsched.run_actions where run_id = $run"),
	'd.churn to d.odd done', 'in one action');
$node->safe_psql('postgres', q{delete from d.lump where id % 2 = 0; vacuum d.lump});
$run = $node->safe_psql('postgres', q{select maintsched.run_routine('bloat', '{"include": ["d"], "min_wasted": "1 MB", "min_bloat": 0.1}')});
wait_for($node, 'postgres', "select state from maintsched.run_history where run_id = $run", 'and another one', 'succeeded');
like($node->safe_psql('postgres', q{
	select wanted, previous_at < measured_at, bloat_change_bytes > 0 from maintsched.bloat_report where schema = 'd' and relation = 'lump_pkey'}),
	qr{^reindex: [0-9]+ kB of [0-9]+ [kM]B reclaimable \+/- [0-9.]+ %, last rebuilt never\|t\|t$}, 'the report wants it rebuilt, and tells the trend');
like($node->safe_psql('postgres', q{
	select wanted from maintsched.bloat_report where schema = 'd' and relation = 'lump' and kind = 'table'}),
	qr{^report only: .* VACUUM FULL, CLUSTER or pg_repack by hand$}, 'a table is reported only');

# A role that is to write nothing: what is found is the extension's to keep.
$node->safe_psql('postgres', q{
	create role careful login;
	alter role careful set default_transaction_read_only = on;
	grant usage on schema d to careful;
	grant pg_stat_scan_tables to careful;
	select maintsched.grant_access('careful', 'manager')});
$run = $node->safe_psql('postgres', q{begin read write; select maintsched.run_routine('bloat', '{"include": ["d"]}'); commit}, extra_params => ['-U', 'careful']);
wait_for($node, 'postgres', "select state from maintsched.run_history where run_id = $run", 'a run of a role whose transactions are read-only', 'succeeded');
is($node->safe_psql('postgres', "select details #>> '{settings,default_transaction_read_only}' from maintsched.run_action where run_id = $run"),
	'off', 'because its action says that it writes');
$run = $node->safe_psql('postgres', q{begin read write; select maintsched.run_routine('health'); commit}, extra_params => ['-U', 'careful']);
wait_for($node, 'postgres', "select finished_at is not null from maintsched.run_history where run_id = $run", 'routine health of that role ends');
is($node->safe_psql('postgres', "select count(*) from maintsched.run_action where run_id = $run and (state = 'done' or message like 'health is CRIT: %')"),
	'1', 'and has kept what it found');

#
# Whom bloat_estimate() alone was granted to; and on a standby.
#
$node->safe_psql('postgres', q{
	create role reader login;
	grant usage on schema maintsched, d to reader;
	grant execute on function maintsched.bloat_estimate to reader;
	grant select on d.odd to reader;
	create unlogged table d.passing (a integer);
	insert into d.passing select generate_series(1, 5000);
	delete from d.odd where b % 5 = 1});
my $allowed = q{select relation, bloat_ratio is null, detail from maintsched.bloat_estimate('d.odd') union all
	select relation, bloat_ratio is null, regexp_replace(detail, '[0-9]+ %', 'N %') from maintsched.bloat_estimate('d.odd_b') union all
	select relation, bloat_ratio is null, detail from maintsched.bloat_estimate('d.lump')};
my $told = "odd|f|\nodd_b|f|a lower bound: about N % of its entries are of dead rows that VACUUM has not removed\n"
  . 'lump|t|not judged: permission denied; its owner, who may read it, and pg_stat_scan_tables may judge it';
is($node->safe_psql('postgres', $allowed, extra_params => ['-U', 'reader']), $told, 'a role with no right but that to bloat_estimate()');

my $same = q{select relation, state, size_bytes, bloat_ratio, ci_low, ci_high, dead_bytes, lower_bound, unused_ratio
	from maintsched.bloat_sample(array['d.odd'::regclass, 'd.odd_b', 'd.churn_v', 'd.lump'], array[0, 0, 0, 0], 200, 3)};
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
like($standby->safe_psql('postgres', $same), qr/^(\d+\|judged\|.*\n?){4}$/, 'a standby judges');
is($standby->safe_psql('postgres', $same), $node->safe_psql('postgres', $same), 'as the primary does');
is($standby->safe_psql('postgres', $allowed, extra_params => ['-U', 'reader']), $told, 'and says what it does');
is($standby->safe_psql('postgres', q{select bloat_ratio is null, detail from maintsched.bloat_estimate('d.passing')}),
	't|not judged: it is unlogged, and has no pages on a standby', 'but what is unlogged');
$standby->stop;

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'no process died');

$node->stop;
done_testing();
