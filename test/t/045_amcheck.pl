# amcheck: what is damaged is found, told and kept in mind until a check finds
# it sound; every relation has its turn, however short the windows; parents are
# checked in major windows; code of a table's owner has the owner's rights.
use strict;
use warnings FATAL => 'all';
use lib 'test/t';
use Maintsched;
use Worker;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('amcheck');
# pages are damaged without their checksums being mended
my $version = `pg_config --version` =~ /(\d+)/ ? $1 : die;
$node->init($version >= 18 ? (extra => ['--no-data-checksums']) : ());
$node->append_conf('postgresql.conf', join "\n", 'autovacuum = off', 'restart_after_crash = on',
	'maintsched.launcher = on', 'maintsched.max_workers = 4', "maintsched.yield_after = '200 ms'", '');
$node->start;
if ($node->safe_psql('postgres', q{select count(*) from pg_available_extensions where name = 'amcheck'}) eq '0')
{
	$node->stop;
	plan skip_all => 'amcheck is not there';
}
make_calendar($node, 'postgres');
my $db = 'postgres';

# --- helpers ---

# A task that is open at once.
sub add_check
{
	my ($task, $params, $class) = @_;
	$node->safe_psql($db, qq{
		begin;
		select maintsched.add_task('ops', '$task', 'FREQ=DAILY', kind => 'routine', routine => 'amcheck',
			starts_on => date_trunc('second', now() at time zone 'UTC') - interval '1 second',
			due_within => '20 hours', params => '$params');
		update maintsched.task set change_class = '@{[ $class // 'none' ]}' where name = '$task';
		commit;});
	return;
}

# A run by the way; its key.
sub run_check
{
	my ($params) = @_;
	my $run = $node->safe_psql($db, "select maintsched.run_routine('amcheck', '$params')");
	wait_for($node, $db, "select finished_at is not null from maintsched.run_history where run_id = $run") or die;
	return $run;
}

sub ended
{
	my ($task) = @_;
	return wait_for($node, $db, qq{
		select exists (select from maintsched.run_history where task = '$task' and finished_at is not null)});
}

sub actions_of
{
	my ($run) = @_;
	return $node->safe_psql($db, qq{
		select concat_ws('|', target, state, skip_reason, sqlstate)
		from maintsched.run_actions where run_id = $run order by seq});
}

sub corrupt
{
	return $node->safe_psql($db, q{
		select concat_ws('|', schema, relation, kind, sqlstate, rewritten) from maintsched.corrupt_relations() order by 1});
}

sub verdict_of
{
	my ($relation) = @_;
	return $node->safe_psql($db, qq{select verdict from maintsched.amcheck_report where schema || '.' || relation = '$relation'});
}

sub corruption_health
{
	return $node->safe_psql($db, q{select concat_ws('|', status, value) from maintsched.health where item = 'corruption'});
}

# Let a sub change pages of relations while the server is down: [query of the
# relation's oid, block, sub].
sub damage
{
	my @damages = map {
		[ $node->data_dir . '/' . $node->safe_psql($db, "select pg_relation_filepath(($_->[0])::regclass)"), $_->[1], $_->[2] ]
	} @_;
	$node->safe_psql($db, 'checkpoint');
	$node->stop;
	foreach my $d (@damages)
	{
		my ($path, $block, $change) = @$d;
		my $page;
		open(my $file, '+<:raw', $path) or die "$path: $!";
		seek($file, 8192 * $block, 0);
		read($file, $page, 8192) == 8192 or die "$path has no block $block";
		$change->(\$page);
		seek($file, 8192 * $block, 0);
		print $file $page;
		close($file) or die;
	}
	$node->start;
	return;
}

# Where item n of a page begins.
sub item
{
	my ($page, $n) = @_;
	return unpack('L<', substr($$page, 24 + 4 * ($n - 1), 4)) & 0x7fff;
}

sub swap
{
	my ($page, $length, $one, $other) = @_;
	my $kept = substr($$page, $one, $length);
	substr($$page, $one, $length) = substr($$page, $other, $length);
	substr($$page, $other, $length) = $kept;
	return;
}

# --- without the extension nothing is green ---

add_check('none', '{"include": ["shop"]}');
ended('none');
is(run_of($node, $db, 'none'), 'failed/error', 'without extension amcheck a run fails');
is($node->safe_psql($db, q{
	select o.status, o.note from maintsched.occurrence_status o where o.task = 'none' and o.status <> 'scheduled'}),
	'inconclusive|extension amcheck is not installed in this database', 'which proves nothing');
is(corruption_health(), 'UNKNOWN', 'health: nothing was ever checked');
$node->safe_psql($db, q{select maintsched.retire_task('ops', 'none', 'seen')});

# --- what is sound ---

$node->safe_psql($db, q{
	create schema "The checks";
	create extension amcheck schema "The checks";
	create schema shop;
	create table shop.orders (id integer primary key, note text, total numeric);
	alter table shop.orders alter note set storage external;
	insert into shop.orders select i, 'order ' || i, i from generate_series(1, 5000) i;
	update shop.orders set note = repeat(md5(id::text), 100) where id <= 40;
	create index on shop.orders (note text_pattern_ops) where id > 40;
	create table shop."Odd ""one""" (id integer primary key, words text[]);
	insert into shop."Odd ""one""" select i, array['a', i::text] from generate_series(1, 500) i;
	create index on shop."Odd ""one""" using gin (words);
	create index on shop."Odd ""one""" using hash (id);
	create table shop.event (at integer) partition by range (at);
	create table shop.event_1 partition of shop.event for values from (0) to (100);
	create index on shop.event (at);
	create materialized view shop.totals as select count(*) from shop.orders;
	create unlogged table shop.scratch (a integer);
	create table shop.empty (a integer primary key)});
my $all = '{"include": ["shop"]}';
add_check('sound', $all);
ended('sound');
is(run_of($node, $db, 'sound'), 'succeeded/completed', 'sound: the run succeeds');
is($node->safe_psql($db, q{select status from maintsched.occurrence_status where task = 'sound' and status <> 'scheduled'}),
	'done', 'sound: its occurrence has a pass');
my $gin = $version >= 18 ? 'sound' : 'not checkable';
is($node->safe_psql($db, q{
		select relation, kind, verdict, parts, parts_checked from maintsched.amcheck_report
		where schema = 'shop' order by relation collate "C"}),
	join("\n", 'Odd "one"|table|sound|' . ($node->safe_psql($db, q{
			select pg_relation_size(reltoastrelid) from pg_class where relname = 'Odd "one"'}) eq '0' ? '1|1' : die),
		'Odd "one"_id_idx|index|not checkable|1|0',
		'Odd "one"_pkey|index|sound|1|1',
		"Odd \"one\"_words_idx|index|$gin|1|" . ($gin eq 'sound' ? 1 : 0),
		'empty|table|sound|1|1', 'empty_pkey|index|sound|1|1',
		'event_1|table|sound|1|1', 'event_1_at_idx|index|sound|1|1',
		'orders|table|sound|3|3', 'orders_note_idx|index|sound|1|1', 'orders_pkey|index|sound|1|1',
		'scratch|table|sound|1|1', 'totals|materialized view|sound|1|1'),
	'sound: the report has every relation');
is(corrupt(), '', 'sound: nothing is corrupt');
like(corruption_health(), qr/^OK\|0$/, 'sound: health is OK');
ok($node->safe_psql($db, q{
	select count(*) > 150 from maintsched.plan('amcheck') where target like 'pg_catalog.%' and reason like 'never checked%'}) eq 't',
	'catalogs are among what is checked');
is($node->safe_psql($db, q{
	select string_agg(distinct split_part(target, '.', 1), ' ') from maintsched.plan('amcheck', '{"catalogs": false}')
	where target !~ '^(maintsched|public)'}), 'shop', 'unless they are left out');
is($node->safe_psql($db, q{select count(*) from maintsched.plan('amcheck', '{"include": ["shop"], "recheck_after": "1 day"}')}),
	'0', 'recheck_after: what was found sound a moment ago is left out');
is($node->safe_psql($db, q{
	set maintsched.now = '2099-01-01';
	select count(*) > 10, bool_and(reason like 'found sound % days ago%')
	from maintsched.plan('amcheck', '{"include": ["shop"], "recheck_after": "1 day"}')}),
	't|t', 'recheck_after: later it is not');
$node->safe_psql($db, q{select maintsched.retire_task('ops', 'sound', 'seen')});

# --- windows that have time for five checks each: everything has its turn ---

$node->safe_psql($db, q{
	create schema many;
	select format('create table many.t%s as select i from generate_series(1, %s) i', n, n * 100) from generate_series(1, 12) n \gexec
	-- larger than a part
	insert into many.t12 select i from generate_series(1, 12000) i;
	create or replace function maintsched.check_part_pages() returns bigint language sql immutable parallel safe return 8;
	alter function maintsched.estimate_seconds(text, text, text, numeric, numeric) rename to estimate_seconds_kept;
	create function maintsched.estimate_seconds(routine text, target text, command text, estimated_seconds numeric, bytes numeric)
	returns numeric language sql stable as $$
		select case when (select count(*) from maintsched.run_action a join maintsched.run r using (run_id)
			where r.state = 'running' and a.state = 'done') < 5 then 0 else 7200 end $$;
	revoke all on function maintsched.estimate_seconds from public});
my $parts = $node->safe_psql($db, q{select count(*) from maintsched.plan_amcheck('{"include": ["many"]}')});
cmp_ok($parts, '>', 15, 'a large table has several parts');
my (%seen, @order);
my $windows = int(($parts + 4) / 5);
for my $window (1 .. 2 * $windows)
{
	my $run = run_check('{"include": ["many"], "time_limit": "1 hour"}');
	my @done = split /\n/, $node->safe_psql($db, qq{
		select target || ' ' || (details ->> 'part') from maintsched.run_actions
		where run_id = $run and state = 'done' order by seq});
	is(scalar(@done), 5, "window $window: five are checked") if $window < $windows;
	push @order, @done;
	$seen{$_}++ foreach @done;
	is(verdict_of('many.t12'), 'partly checked', 'a table of several parts has had some of them')
	  if $window == $windows - 1;
	is(scalar(keys %seen), $parts, "after $windows windows each was checked once") if $window == $windows;
}
is_deeply([ grep { $seen{$_} < 2 } keys %seen ], [], 'after twice as many each was checked twice');
is_deeply([ @order[$parts .. 2 * $parts - 1] ], [ @order[0 .. $parts - 1] ], 'in the order in which they were checked first');
is($node->safe_psql($db, q{select distinct verdict, parts = parts_checked from maintsched.amcheck_report where schema = 'many'}),
	'sound|t', 'the report says so');

# a task goes on where its last run stopped, until all is checked, and passes then
$node->safe_psql($db, q{drop table many.t1; create table many.new as select 1 as i});
add_check('short', '{"include": ["many"], "time_limit": "1 hour"}');
wait_for($node, $db, q{select exists (select from maintsched.run_history where task = 'short' and state = 'succeeded')},
	'a task of short windows succeeds in the end');
is($node->safe_psql($db, q{
	select count(*) = (select count(*) from maintsched.plan_amcheck('{"include": ["many"]}')),
		count(*) = count(distinct (target, details ->> 'part')), bool_and(state = 'partial') filter (where not is_last),
		(array_agg(target order by run_id, seq))[1]
	from (
		select a.*, r.state as run_state, r.state, r.run_id = max(r.run_id) over () as is_last
		from maintsched.run_history r join (
			select run_id, seq, target, details from maintsched.run_actions where state = 'done') a using (run_id)
		where r.task = 'short') x}),
	't|t|t|many.new', 'each was checked once, what is new first');
$node->safe_psql($db, q{
	select maintsched.retire_task('ops', 'short', 'seen');
	drop function maintsched.estimate_seconds(text, text, text, numeric, numeric);
	alter function maintsched.estimate_seconds_kept(text, text, text, numeric, numeric) rename to estimate_seconds;
	create or replace function maintsched.check_part_pages() returns bigint language sql immutable parallel safe return 131072});

# --- damage ---

$node->safe_psql($db, q{
	create table shop.xmin as select i, 'note' as note from generate_series(1, 2000) i;
	create table shop.pointers as select i, 'note' as note from generate_series(1, 2000) i;
	create table shop.toasted (id integer primary key, note text);
	alter table shop.toasted alter note set storage external;
	insert into shop.toasted select i, repeat(md5(i::text), 200) from generate_series(1, 20) i;
	create table shop.indexed (id integer primary key, code integer);
	insert into shop.indexed select i, i from generate_series(1, 100000) i;
	create index indexed_code on shop.indexed (code);
	create index indexed_parents on shop.indexed (code);
	create table shop.gone as select 1 as a;
	create function shop.shape(integer) returns integer language plpgsql immutable as 'begin return $1; end';
	create index indexed_shape on shop.indexed (shop.shape(code));
	-- as a collation that another version of its library orders differently
	create function shop.compare(integer, integer) returns integer language sql immutable as 'select btint4cmp($1, $2)';
	create operator class shop.its_order for type integer using btree as
		operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 shop.compare(integer, integer);
	create table shop.ordered as select i from generate_series(1, 1000) i;
	create index ordered_class on shop.ordered (i shop.its_order)});
$node->safe_psql($db, q{create or replace function shop.shape(integer) returns integer language plpgsql immutable as 'begin return -$1; end';
	create or replace function shop.compare(integer, integer) returns integer language sql immutable as 'select btint4cmp($1 % 100, $2 % 100)'});
damage(
	[ "'shop.xmin'", 2, sub { my $page = shift; substr($$page, item($page, 7), 4) = pack('L<', 4000000000); } ],
	[ "'shop.pointers'", 1, sub { my $page = shift; substr($$page, 24 + 4 * 2, 4) = pack('L<', 0x00028000 | 0x7ff8); } ],
	[ "(select reltoastrelid::regclass::text from pg_class where oid = 'shop.toasted'::regclass)", 0,
		sub { my $page = shift; substr($$page, 24, 4) = pack('L<', 0); } ],
	[ "'shop.indexed_code'", 1, sub { my $page = shift; swap($page, 4, 24 + 4 * 4, 24 + 4 * 5); } ],
	# the second and third downlink of the root point to each other's pages
	[ "'shop.indexed_parents'", 3, sub { my $page = shift; swap($page, 4, item($page, 2), item($page, 3)); } ],
	[ "'shop.gone'", 0, sub { my $page = shift; substr($$page, 0, 8192) = "\0" x 4000 . "\xff" x 4192; } ]);

add_check('damaged', '{"include": ["shop"]}');
ended('damaged');
is(run_of($node, $db, 'damaged'), 'partial/error', 'damaged: what is sound is done, what is not has failed');
is($node->safe_psql($db, q{
		select concat_ws('|', a.target, a.details ->> 'amcheck', a.sqlstate, a.message)
		from maintsched.run_history r join maintsched.run_actions a using (run_id)
		where r.task = 'damaged' and a.state <> 'done' order by a.target}) =~ s/\b\d{3,}\b|(?<=base\/)\d+/N/gr =~ s/"(base\S*)"/$1/r,
	join("\n",
		'shop.gone|table|XX001|table shop.gone: invalid page in block 0 of relation base/N/N',
		'shop.indexed_code|index|XX002|item order invariant violated for index "indexed_code"',
		'shop.indexed_shape|index|XX001|heap tuple (0,1) from table "indexed" lacks matching index tuple within index "indexed_shape"',
		'shop.ordered_class|index|XX002|item order invariant violated for index "ordered_class"',
		'shop.pointers|table|XX001|table shop.pointers: block 1, item 3: line pointer length 1 is less than the minimum tuple header size 24',
		'shop.toasted|table|XX001|table shop.toasted: block 0, item 1, column note: toast value N index scan returned chunk 1 when expecting chunk 0',
		'shop.xmin|table|XX001|table shop.xmin: block 2, item 7: xmin N precedes oldest valid transaction ID 0:N'),
	'damaged: each is found, and said with object and place');
is($node->safe_psql($db, q{
	select o.status, o.outcome, o.note ~ 'shop.indexed_code: item order invariant violated|shop.gone: ' from maintsched.occurrence_status o
	where o.task = 'damaged' and o.status <> 'scheduled'}),
	'failed|fail|t', 'damaged: its occurrence has failed at once');
is($node->safe_psql($db, q{select retry_at from maintsched.run_history where task = 'damaged'}), '', 'damaged: it is not tried again');
is(corrupt(), join("\n", 'shop|gone|table|XX001|f', 'shop|indexed_code|index|XX002|f', 'shop|indexed_shape|index|XX001|f',
		'shop|ordered_class|index|XX002|f', 'shop|pointers|table|XX001|f', 'shop|toasted|table|XX001|f', 'shop|xmin|table|XX001|f'), 'damaged: it is kept in mind');
is(corruption_health(), 'CRIT|7', 'damaged: health is critical');
like($node->safe_psql($db, q{select detail || ' ' || hint from maintsched.health where item = 'corruption'}),
	qr/^7 relations are corrupt: shop.* \(table\).*, \.\.\. .*backup/, 'damaged: and says where');
like($node->safe_psql($db, q{select subject || ' - ' || body from maintsched.notices where kind = 'corruption'}),
	qr/^Corruption found: 7 relations - shop\..*: .* 2 more: the view run_actions has them/, 'damaged: people are told');
is(verdict_of('shop.indexed_code'), 'corrupt', 'damaged: the report says so');
is(verdict_of('shop.indexed_parents'), 'sound', 'what only a check of parents sees');
$node->safe_psql($db, q{select maintsched.retire_task('ops', 'damaged', 'seen')});

# --- it is corrupt until a check says otherwise ---

$node->safe_psql($db, q{reindex index concurrently shop.indexed_code});
$node->safe_psql($db, q{reindex index shop.indexed_shape; reindex index shop.ordered_class; truncate shop.xmin; drop table shop.gone; alter table shop.toasted rename to was_toasted});
is(corrupt(), join("\n", 'shop|indexed_code|index|XX002|t', 'shop|indexed_shape|index|XX001|t',
		'shop|ordered_class|index|XX002|t', 'shop|pointers|table|XX001|f', 'shop|xmin|table|XX001|t'), 'rebuilt: it is not proven yet; dropped: no longer there');
is($node->safe_psql($db, q{
	select string_agg(target, ' ' order by target) from (
		select target from maintsched.plan('amcheck') where reason ~ 'found corrupt .* and rewritten since' order by seq limit 4) x
	where (select max(seq) from maintsched.plan('amcheck') where reason ~ 'rewritten since') = 4}),
	'shop.indexed_code shop.indexed_shape shop.ordered_class shop.xmin', 'rebuilt: it is checked first of all');
run_check('{"include": ["shop.indexed*", "shop.ordered", "shop.xmin"]}');
is(corrupt(), 'shop|pointers|table|XX001|f', 'what was rebuilt is found sound');
is(verdict_of('shop.indexed_code'), 'sound', 'the report says so');
is(corruption_health(), 'CRIT|1', 'what was not is critical still');
my $again = run_check('{"include": ["shop.pointers", "shop.was_toasted"]}');
is(corrupt(), "shop|pointers|table|XX001|f\nshop|was_toasted|table|XX001|f", 'under its new name it is found again');
is($node->safe_psql($db, qq{
	select first_found_at < found_at, run_id = $again from maintsched.corrupt_relations() where relation = 'pointers'}),
	't|t', 'when it was found first, and last');
$node->safe_psql($db, q{drop table shop.pointers, shop.was_toasted});
is(corrupt(), '', 'nothing is left');

# --- an index is not corrupt because its table cannot be read; empty toast is sound ---

$node->safe_psql($db, q{
	create table shop.torn (id integer primary key);
	insert into shop.torn select generate_series(1, 2000);
	create table shop.long (note text);
	alter table shop.long alter note set storage external;
	insert into shop.long select repeat(md5(i::text), 200) from generate_series(1, 20) i});
damage(
	[ "'shop.torn'", 3, sub { my $page = shift; substr($$page, 0, 8192) = "\xff" x 8192; } ],
	[ "(select indexrelid::regclass::text from pg_index i join pg_class c on c.reltoastrelid = i.indrelid where c.oid = 'shop.long'::regclass)", 1,
		sub { my $page = shift; swap($page, 4, 24 + 4 * 4, 24 + 4 * 5); } ]);
my $torn = run_check('{"include": ["shop.torn", "shop.long"]}');
is($node->safe_psql($db, qq{
		select concat_ws('|', target, details ->> 'amcheck', sqlstate, message) from maintsched.run_actions
		where run_id = $torn and state = 'failed' and not (target = 'shop.long' and details ->> 'amcheck' = 'table') order by target, 1}) =~ s/"?(base\/)\d+\/\d+"?/$1/gr =~ s/pg_toast_\d+/pg_toast_N/gr,
	join("\n", 'shop.long|toast index|XX002|item order invariant violated for index "pg_toast_N_index"',
		'shop.torn|table|XX001|table shop.torn: invalid page in block 3 of relation base/',
		'shop.torn_pkey|index|55000|index shop.torn_pkey could not be checked: the table cannot be read: invalid page in block 3 of relation base/'),
	'what is said of an index whose table cannot be read');
is(corrupt(), "shop|long|table|XX001|f\nshop|long|toast index|XX002|f\nshop|torn|table|XX001|f", 'it is the table that is corrupt');
is(verdict_of('shop.torn_pkey'), 'error', 'nothing is known of the index');
$node->safe_psql($db, q{truncate shop.long, shop.torn});
is(corrupt(), "shop|long|table|XX001|t\nshop|torn|table|XX001|t", 'toast that is empty again needs no check');
run_check('{"include": ["shop.torn", "shop.long"]}');
is(corrupt(), '', 'and the table has had its own');
is(verdict_of('shop.torn_pkey'), 'sound', 'with its index');
is($node->safe_psql($db, q{
	select string_agg(target, ' ' order by target)
	from maintsched.plan('amcheck', '{"include": ["shop.torn", "shop.long"], "overrides": {"shop": {"recheck_after": "1 day"}, "shop.torn": {"recheck_after": "1 microsecond"}, "shop.torn_pkey": {"recheck_after": "2 days"}}}')}),
	'shop.torn', 'what was checked lately is left out, as the nearest of its names has it');
$node->safe_psql($db, q{drop table shop.long, shop.torn});

# --- files that are gone ---

$node->safe_psql($db, q{create table shop.lost as select 1 as a; create table shop.whole (id integer primary key)});
my @files = map { $node->data_dir . '/' . $node->safe_psql($db, "select pg_relation_filepath('shop.$_')") } qw(lost whole_pkey);
$node->safe_psql($db, 'checkpoint');
$node->stop;
unlink(@files) == 2 or die;
$node->start;
my $lost = run_check('{"include": ["shop.lost", "shop.whole"]}');
is($node->safe_psql($db, qq{
		select concat_ws('|', target, state, sqlstate, message) from maintsched.run_actions where run_id = $lost order by target}),
	join("\n", 'shop.lost|failed|XX001|table shop.lost: its file is not there', 'shop.whole|done',
		'shop.whole_pkey|failed|XX002|index "whole_pkey" lacks a main relation fork'), 'files that are not there are missed');
is(corrupt(), "shop|lost|table|XX001|f\nshop|whole_pkey|index|XX002|f", 'and are kept in mind');
$node->safe_psql($db, q{drop table shop.lost, shop.whole});

# --- parents: in windows of class major ---

add_check('parents', '{"include": ["shop.indexed"], "parents": true}');
wait_for($node, $db, q{select count(*) >= 2 from maintsched.run_history where task = 'parents' and state = 'partial'}, 'parents wait');
is($node->safe_psql($db, q{
	select distinct a.target, a.state, a.skip_reason, details ->> 'change_class'
	from maintsched.run_history r join maintsched.run_actions a using (run_id) where r.task = 'parents' and a.state <> 'planned' order by 1}),
	join("\n", 'shop.indexed|done||', map { "shop.$_|skipped|no_time|major" } qw(indexed_code indexed_parents indexed_pkey indexed_shape)),
	'parents: outside of windows of class major they are left over');
is($node->safe_psql($db, q{select status from maintsched.occurrence_status where task = 'parents' and status <> 'scheduled'}), 'due',
	'parents: and the occurrence is due');
$node->safe_psql($db, q{
	select maintsched.add_window('ops', 'major', 'FREQ=DAILY', starts_on => date_trunc('second', now() at time zone 'UTC') - interval '10 minutes',
		duration => '20 hours', change_class => 'major')});
wait_for($node, $db, q{select exists (
	select from maintsched.run_history r join maintsched.run_actions a using (run_id)
	where r.task = 'parents' and r.finished_at is not null and a.target = 'shop.indexed_parents' and a.state = 'failed')},
	'parents: in a window they are checked');
like($node->safe_psql($db, q{
	select a.command || ' ' || a.message from maintsched.run_actions a where a.target = 'shop.indexed_parents' and a.state = 'failed'}),
	qr/^select maintsched.check_index\('shop.indexed_parents', parents => true, .*down-?link.* index "indexed_parents"/, 'parents: links that lead elsewhere are found');
is($node->safe_psql($db, q{
	select count(*) from maintsched.run_history r join maintsched.run_actions a using (run_id)
	where r.task = 'parents' and a.details ->> 'amcheck' = 'parents' and a.state = 'done'}), '3', 'parents: the others are sound');
run_check('{"include": ["shop.indexed"]}');
is(corrupt(), 'shop|indexed_parents|index|XX002|f', 'parents: a check of less proves nothing');
$node->safe_psql($db, q{reindex index shop.indexed_parents});
is(corrupt(), 'shop|indexed_parents|index|XX002|t', 'parents: nor does the rebuild');
run_check('{"include": ["shop.indexed"]}');
is(corrupt(), '', 'parents: but a check after it does');

# --- in the way, and gone ---

$node->safe_psql($db, q{create schema held; create table held.a as select 1 as a; create table held.b as select i from generate_series(1, 5000) i});
my $session = $node->background_psql($db);
$session->query_safe(q{begin; lock table held.a});
my $held = $node->safe_psql($db, q{select maintsched.run_routine('amcheck', '{"include": ["held"]}')});
wait_for($node, $db, qq{select exists (select from maintsched.run_actions where run_id = $held and target = 'held.a' and state = 'running')}) or die;
$node->safe_psql($db, q{drop table held.b});
is($node->safe_psql($db, q{select count(*) from maintsched.plan('amcheck', '{"include": ["held"]}')}), '1', 'a plan does not wait for a lock');
wait_for($node, $db, "select finished_at is not null from maintsched.run_history where run_id = $held") or die;
is(actions_of($held), "held.a|skipped|lock_timeout|55P03\nheld.b|skipped|not_needed", 'what is locked is left over, what is gone is not needed');
$session->query_safe(q{commit});
$session->quit;
$node->safe_psql($db, q{
	create access method heap2 type table handler heap_tableam_handler;
	create table held.other (id integer primary key) using heap2;
	create table held.twice as select 1 as a from generate_series(1, 2);
	create unlogged table held.fast (id integer primary key)});
$node->psql($db, q{create unique index concurrently twice_a on held.twice (a)});
is($node->safe_psql($db, q{
	select relation, kind, message from maintsched.amcheck_report where schema = 'held' and verdict = 'not checkable' order by 1}),
	"other|table|there is no check for access method heap2\ntwice_a|index|the index is not valid", 'what cannot be checked is said');
run_check('{"include": ["held"]}');
is($node->safe_psql($db, q{
	select string_agg(relation, ' ' order by relation) from maintsched.amcheck_report where schema = 'held' and verdict = 'sound'}),
	'a fast fast_pkey other_pkey twice', 'the rest is checked');

# --- rights ---

$node->safe_psql($db, q{
	create role regress_maintsched_checker login;
	select maintsched.grant_access('regress_maintsched_checker', 'manager')});
my ($out, $err);
sub as_checker
{
	$node->psql($db, "set session authorization regress_maintsched_checker;\n$_[0]", stdout => \$out, stderr => \$err);
	return $err =~ s/^psql:<stdin>:\d+: //gmr =~ s/^(CONTEXT|LINE|SQL|PL).*//gmsr;
}
like(as_checker(q{select * from maintsched.plan('amcheck', '{"include": ["shop"]}')}),
	qr/^ERROR:  role "regress_maintsched_checker" may not call function verify_heapam\(regclass,.*\nHINT:  Superusers may; else: grant usage on schema "The checks" to regress_maintsched_checker; grant execute on function "The checks"\.verify_heapam/,
	'who may not call the functions of amcheck is told which');
$node->safe_psql($db, q{
	grant usage on schema "The checks" to regress_maintsched_checker;
	grant execute on all functions in schema "The checks" to regress_maintsched_checker});
is(as_checker(q{select count(*) > 10 from maintsched.plan('amcheck', '{"include": ["shop"]}'); select maintsched.check_table('shop.orders'), maintsched.check_index('shop.orders_pkey')}) . $out,
	"t\n" . $node->safe_psql($db, q{select pg_relation_size('shop.orders') / 8192}) . '|', 'who may needs nothing besides');

my $others = $node->safe_psql($db, q{
	set session authorization regress_maintsched_checker;
	select maintsched.run_routine('amcheck', '{"include": ["shop.orders"]}')});
wait_for($node, $db, "select state = 'succeeded' from maintsched.run_history where run_id = $others", 'and its runs succeed');
is($node->safe_psql($db, "select count(*) from maintsched.run_actions where run_id = $others and state = 'done'"), '5', 'and check');

$node->safe_psql($db, q{
	create role regress_maintsched_mallory login;
	create schema mal authorization regress_maintsched_mallory;
	set role regress_maintsched_mallory;
	create table mal.mode (mode text);
	create function mal.f(integer) returns integer language plpgsql immutable as $$
	declare m text := (select mode from mal.mode);
	begin
		if m is null then return $1; end if;
		if m = 'watch' then
			m := 'UR000';
			begin
				perform set_config('role', 'postgres', false);
			exception when insufficient_privilege then
				m := case current_user when 'regress_maintsched_mallory' then 'UM001' else 'UR001' end;
			end;
		end if;
		raise exception 'the secret of a patient' using errcode = m;
	end $$;
	create table mal.victim as select i from generate_series(1, 3) i;
	create index trap on mal.victim (mal.f(i));
	insert into mal.mode values ('watch')});
my $watched = run_check('{"include": ["mal"]}');
like($node->safe_psql($db, "select message from maintsched.run_actions where run_id = $watched and target = 'mal.trap'"),
	qr/[(]UM001[)]$/, 'code of an index has the rights of the owner of the table, and cannot take others');
foreach my $mode (qw(XX002 XX001 57014 58030 P0002 22012))
{
	$node->safe_psql($db, "update mal.mode set mode = '$mode'");
	my $run = run_check('{"include": ["mal"]}');
	is($node->safe_psql($db, qq{
		select concat_ws('|', r.state, a.state, a.sqlstate, a.message ~ '^index mal.trap could not be checked: an expression or operator of it failed [(][a-z_]+[)]\$', a.message ~ 'secret')
		from maintsched.run_history r join maintsched.run_actions a using (run_id)
		where run_id = $run and a.target = 'mal.trap'}),
		'partial|failed|38000|t|f', "an error of its own with $mode is neither a finding nor a cancel, and not repeated");
}
is(corrupt(), '', 'and nothing is corrupt');
is(verdict_of('mal.trap'), 'error', 'but could not be checked');

# --- GIN ---

SKIP:
{
	skip 'gin_index_check() comes with PostgreSQL 18', 2 if $version < 18;
	$node->safe_psql($db, q{create table shop.gin as select array[i % 50, i] as a from generate_series(1, 20000) i; create index gin_a on shop.gin using gin (a); vacuum shop.gin});
	damage([ "'shop.gin_a'", 1, sub { my $page = shift; my $at = item($page, 1) + 6; substr($$page, $at, 2) = pack('S<', unpack('S<', substr($$page, $at, 2)) ^ 0x20); } ]);
	my $run = run_check('{"include": ["shop.gin"]}');
	like($node->safe_psql($db, "select sqlstate || ' ' || message from maintsched.run_actions where run_id = $run and target = 'shop.gin_a'"),
		qr/^XX002 index "gin_a" has inconsistent tuple sizes, block 1, offset 1/, 'a damaged GIN index is found');
	is(corrupt(), 'shop|gin_a|index|XX002|f', 'and kept in mind');
}
$node->stop;
done_testing();
