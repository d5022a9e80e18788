# Restore drills (src/backup/drill*.c): backups of all kinds are restored, started,
# looked at and removed, and neither the backup nor the primary is changed by it.
use strict;
use warnings FATAL => 'all';
use File::Find;
use File::Path qw(make_path remove_tree);
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use Digest::SHA;
use Maintsched;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = backup_server('drill', tablespace => 1, settings => [ 'wal_level = logical', 'log_replication_commands = on',
	# on a busy machine neither gives up the other, and begins anew
	'wal_sender_timeout = 0', 'wal_receiver_timeout = 0' ]);
my $root = root($node);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# How often a subscription has asked to replicate from the server.
sub subscribers
{
	my @lines = slurp_file($node->logfile) =~ /received replication command: START_REPLICATION SLOT "sub"/g;
	return scalar @lines;
}

# All files of a folder, with their contents, modes and times; links as they are.
sub fingerprint
{
	my ($folder) = @_;
	my @lines;
	find({ no_chdir => 1, wanted => sub {
		my @st = lstat $_;
		my $what = -l $_ ? readlink $_ : -f _ ? Digest::SHA->new(1)->addfile($_)->hexdigest : '';
		push @lines, join ' ', substr($_, length $folder), @st[ 2, 7, 9 ], $what;
	} }, $folder);
	return join "\n", sort @lines;
}

# how often that was while a copy was there
my $subscribed = 0;

# A drill; what it says, and the steps that it had.
sub drill
{
	my (@arguments) = @_;
	my $before = subscribers();
	my $said = said($node, 'call maintsched.drill(' . join(', ', @arguments) . ')');
	$subscribed += subscribers() - $before;
	my $steps = sql(q{select string_agg(step || ' ' || result, ', ' order by seq)
		from maintsched.drill_steps where drill_id = (select max(drill_id) from maintsched.drill)});
	return ($said, $steps);
}

sub latest
{
	my ($columns) = @_;
	return sql("select $columns from maintsched.drills order by drill_id desc limit 1");
}

sub step_message
{
	my ($step) = @_;
	return sql("select message from maintsched.drill_steps where drill_id = (select max(drill_id) from maintsched.drill) and step = '$step'");
}

sub levels
{
	return sql(q{select string_agg(level || ' ' || result, ', ' order by level) from maintsched.backup_check
		where drill_id = (select max(drill_id) from maintsched.drill)});
}

sub left_over
{
	opendir(my $dir, "$root/drill") or die $!;
	return join ' ', grep { !/^\.\.?$/ } readdir $dir;
}

my $all_pass = 'space pass, create pass, restore pass, configure pass, start pass, promote pass, identity pass, integrity pass, '
  . 'expectations %s, queries %s, report pass, destroy pass';

# A publication and a subscription that would begin to copy when a copy starts, and
# a library that is loaded with each session of a role, which is not there.
$node->safe_psql('shop', q{
	create table copied (id integer primary key);
	create publication pub for table customer;
	create table subscribed (id integer primary key)});
$node->safe_psql('postgres', 'create database source');
$node->safe_psql('source', q{create table subscribed (id integer primary key); insert into subscribed values (1); create publication out for table subscribed});
my $connection = $node->connstr('source');
$node->safe_psql('source', q{select pg_create_logical_replication_slot('sub', 'pgoutput')});
$node->safe_psql('shop', 'create subscription sub connection ' . quote($connection) . qq{ publication out with (create_slot = false, slot_name = sub)});
$node->poll_query_until('shop', 'select count(*) = 1 from subscribed') or BAIL_OUT('the subscription does not work');
$node->poll_query_until('shop', q{select count(*) = 0 from pg_subscription_rel where srsubstate <> 'r'}) or BAIL_OUT('the subscription is not in sync');

my $folder = make_folder($node, archive => 0);
base_backup($folder, 'plain');
my %before = (plain => fingerprint("$folder->{location}/plain"), space => fingerprint("$folder->{location}/plain.space"));
add_repository($node, $folder);
sql(q{select maintsched.read_repository('folder')});

# --- a plain base backup, without an archive ---

my ($said, $steps) = drill(q{'folder'});
is($said, 'NOTICE:  00000: drill 1: backup "plain" was restored, and is proven up to level 12', 'plain: it passes');
is($steps, sprintf($all_pass, 'not_applicable', 'not_applicable'), 'plain: its steps');
is(levels(), '8 pass, 9 pass, 10 pass, 11 not_applicable, 12 not_applicable', 'plain: its levels');
is(latest('verdict, step, level, target, removed'), 'pass||12|consistent|t', 'plain: its verdict');
is(fingerprint("$folder->{location}/plain"), $before{plain}, 'plain: the backup is as it was');
is(fingerprint("$folder->{location}/plain.space"), $before{space}, 'plain: so is its tablespace');
is(left_over(), '', 'plain: nothing is left');
like(step_message('restore'), qr/, with 1 tablespaces$/, 'plain: its tablespace was restored');
is(sql(q{select string_agg(document_step::text, ',' order by seq) from maintsched.drill_steps where drill_id = 1}), '1,1,2,2,2,2,3,3,4,4,5,6', 'the steps of the document');

# What a copy is like, it says itself: whoever may ask sees these settings.
my %harmless = (archive_mode => 'off', archive_library => '', listen_addresses => '', max_logical_replication_workers => '0', hot_standby => 'on',
	jit => 'off', ssl => 'off', logging_collector => 'off', autovacuum => 'off', synchronous_standby_names => '', local_preload_libraries => '',
	recovery_min_apply_delay => '0', restart_after_crash => 'off', primary_slot_name => '', bonjour => 'off');
$node->append_conf('postgresql.conf', "recovery_min_apply_delay = '1d'\nsynchronous_standby_names = 'nobody'\nsynchronous_commit = local\n");
$node->reload;
base_backup($folder, 'settings');
sql(q{select maintsched.read_repository('folder'); select maintsched.add_sample_query('folder', 'harmless', }
	  . quote('select name, setting from pg_catalog.pg_settings where name in (' . join(', ', map { quote($_) } sort keys %harmless) . ') order by name collate "C"')
	  . ', expected => ' . quote('[' . join(', ', map { qq({"name": "$_", "setting": "$harmless{$_}"}) } sort keys %harmless) . ']') . ')');
($said, $steps) = drill(q{'folder', 'settings'});
is($steps, sprintf($all_pass, 'not_applicable', 'pass'), 'the settings of a copy');
sql(q{select maintsched.drop_sample_query('folder', 'harmless')});
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
$node->reload;

# --- in tar format ---

foreach my $format ([ 'tar' ], [ 'tgz', gzip => 1 ], [ 'lz4', compress => 'client-lz4' ], [ 'zstd', compress => 'client-zstd' ],
	[ 'lz4-fetched', compress => 'server-lz4', wal => 'fetch' ])
{
	my ($label, @how) = @$format;
	my $path = base_backup($folder, $label, format => 'tar', @how);
	my $print = fingerprint($path);
	sql(q{select maintsched.read_repository('folder')});
	($said, $steps) = drill(q{'folder'}, quote($label));
	like($said, qr/^NOTICE: .*backup "$label" was restored, and is proven up to level 12$/, "$label: it passes");
	is($steps, sprintf($all_pass, 'not_applicable', 'not_applicable'), "$label: its steps");
	like(step_message('restore'), qr/ unpacked, with 1 tablespaces$/, "$label: with its tablespace");
	is(fingerprint($path), $print, "$label: the backup is as it was");
	is(left_over(), '', "$label: nothing is left");
	next unless $label eq 'zstd';
	# it is not restored from what is damaged
	my $whole = slurp_file("$path/base.tar.zst");
	truncate("$path/base.tar.zst", (-s "$path/base.tar.zst") - 1) or die;
	($said, $steps) = drill(q{'folder'}, quote($label));
	like($said, qr/^ERROR:  55000: .*\nDETAIL:  restore: archive "base.tar.zst" of the backup cannot be unpacked: it is cut off, at byte \d+$/m, "$label: cut off, it fails");
	is($steps, 'space pass, create pass, restore fail, destroy pass', "$label: cut off: its steps");
	is(left_over(), '', "$label: cut off: nothing is left");
	write_file("$path/base.tar.zst", $whole);
}

# --- incremental backups, of 17 and later ---

SKIP:
{
	skip 'there are no incremental backups before PostgreSQL 17', 1 if $node->pg_version < 17;
	sql(q{alter system set summarize_wal = on});
	$node->reload;
	$node->poll_query_until('postgres', q{select current_setting('summarize_wal') = 'on'});
	my $full = base_backup($folder, 'full');
	$node->safe_psql('shop', 'insert into history select i, md5(i::text) from generate_series(10001, 11000) i');
	my $one = base_backup($folder, 'one', options => [ "--incremental=$full/backup_manifest" ]);
	$node->safe_psql('shop', 'insert into history select i, md5(i::text) from generate_series(11001, 12000) i');
	my $two = base_backup($folder, 'two', options => [ "--incremental=$one/backup_manifest" ]);
	sql(q{select maintsched.read_repository('folder'); select maintsched.add_sample_query('folder', 'history', 'select count(*) as n from public.history', database => 'shop', expected => '[{"n": 7000}]')});
	($said, $steps) = drill(q{'folder', 'two'});
	like($said, qr/^NOTICE: .*backup "two" was restored, and is proven up to level 12$/, 'incremental: it passes');
	is($steps, sprintf($all_pass, 'not_applicable', 'pass'), 'incremental: its steps');
	like(step_message('restore'), qr/^pg_combinebackup made it of 3 backups/, 'incremental: of three backups');

	# plain and in archives, packed in any way, on each other
	my $prior = $two;
	my $rows = 7000;
	my %print;
	foreach my $format ([ 'three', format => 'tar', compress => 'client-lz4' ], [ 'four', format => 'tar' ], [ 'five' ], [ 'six', format => 'tar', compress => 'server-zstd', wal => 'fetch' ])
	{
		my ($label, @how) = @$format;
		$node->safe_psql('shop', qq{insert into history select i, md5(i::text) from generate_series(5001 + $rows, 6000 + $rows) i});
		$rows += 1000;
		$prior = base_backup($folder, $label, options => [ "--incremental=$prior/backup_manifest" ], @how);
		$print{$label} = fingerprint($prior);
		my $expected = sprintf '[{"n": %d, "last": %d}]', $rows, 5000 + $rows;
		sql(qq{select maintsched.read_repository('folder'); select maintsched.add_sample_query('folder', 'history', 'select count(*) as n, max(id) as last from public.history', database => 'shop', expected => '$expected')});
		($said, $steps) = drill(q{'folder'}, quote($label));
		like($said, qr/^NOTICE: .*backup "$label" was restored, and is proven up to level 12$/, "incremental, @how: it passes");
		is($steps, sprintf($all_pass, 'not_applicable', 'pass'), "incremental, @how: its steps");
		is(left_over(), '', "incremental, @how: nothing is left");
		is(fingerprint($prior), $print{$label}, "incremental, @how: the backup is as it was");
	}
	like(step_message('restore'), qr/^pg_combinebackup made it of 7 backups \(3 of them unpacked before\)/, 'incremental: of seven backups, some in archives');
	is(sql(q{select (s.facts ->> 'wanted_bytes')::bigint >= 1.1 * ((select max(b.size_bytes) from maintsched.backups b where b.label in ('full', 'six'))
		+ (select sum(b.size_bytes) from maintsched.backups b where b.label in ('three', 'four', 'six')))
		from maintsched.drill_step s where s.drill_id = (select max(drill_id) from maintsched.drill) and s.step = 'space'}), 't', 'incremental: there is to be room for what is unpacked, too');
	my $three = slurp_file("$folder->{location}/three/base.tar.lz4");
	truncate("$folder->{location}/three/base.tar.lz4", length($three) / 2) or die;
	($said, $steps) = drill(q{'folder', 'five'});
	like($said, qr/\nDETAIL:  restore: archive "base.tar.lz4" of the backup cannot be unpacked: it is cut off, at byte \d+$/m, 'incremental: one of the archives is cut off');
	is(left_over(), '', 'incremental: and nothing is left');
	write_file("$folder->{location}/three/base.tar.lz4", $three);

	rename $one, "$root/one.moved" or die $!;
	($said, $steps) = drill(q{'folder', 'six'});
	like($steps, qr/restore fail, destroy pass$/, 'incremental: without the one between it fails');
	is(left_over(), '', 'incremental: nothing is left');
	sql(q{select maintsched.drop_sample_query('folder', 'history'); alter system reset summarize_wal});
	remove_tree("$root/one.moved", "$one.space", map { ("$folder->{location}/$_", "$folder->{location}/$_.space") } qw(full two three four five six));
	$node->reload;
}

# --- with an archive, and what is expected to be found ---

my $archived = make_folder($node, name => 'archived');
# archiving was turned on by a restart: the subscription itself is back
$node->poll_query_until('postgres', q{select count(*) = 1 from pg_stat_replication where application_name = 'sub' and state = 'streaming'})
  or BAIL_OUT('the subscription does not come back');
base_backup($archived, 'first');
add_repository($node, $archived);
sql(q{select maintsched.read_repository('archived')});
$node->safe_psql('postgres', q{create table counted as select i from generate_series(1, 777) i});
sql(q{select maintsched.capture_expectations('archived')});
sql(q{select maintsched.add_sample_query('archived', 'ten', 'select count(*) as n from public.customer where id <= 10', database => 'shop', expected => '[{"n": 10}]')});
archive_now($node);
($said, $steps) = drill(q{'archived'});
like($said, qr/^NOTICE: .*backup "first" was restored, and is proven up to level 12$/, 'archived: it passes');
is($steps, sprintf($all_pass, 'pass', 'pass'), 'archived: its steps');
is(latest('target, restore_point is not null'), 'restore point|t', 'archived: to the restore point');
is(levels(), '8 pass, 9 pass, 10 pass, 11 pass, 12 not_applicable', 'archived: its levels');

# what is found is compared
sql(q{select maintsched.add_sample_query('archived', 'ten', 'select count(*) as n from public.customer where id <= 10', database => 'shop', expected => '[{"n": 9}]')});
($said, $steps) = drill(q{'archived'});
like($said, qr/^ERROR:  55000: drill \d+ of backup "first" of repository "archived" failed\nDETAIL:  queries: .*ten/, 'archived: another result of a query fails');
is(latest('verdict, step, level, removed'), 'fail|queries|10|t', 'archived: and is the verdict');
sql(q{select maintsched.drop_sample_query('archived', 'ten')});

# --- RTO and RPO ---

sql(q{select maintsched.change_repository('archived', '{"rto": "1 day", "rpo": "1 day"}', 'test')});
($said, $steps) = drill(q{'archived'});
is(levels(), '8 pass, 9 pass, 10 pass, 11 pass, 12 pass', 'within RTO and RPO');
sql(q{select maintsched.change_repository('archived', '{"rto": "1 ms"}', 'test')});
($said, $steps) = drill(q{'archived'});
like($said, qr/^ERROR:  55000: .*\nDETAIL:  report: restoring took [\d.]+ s, and may take 0.001000 s/, 'beyond the RTO');
is(levels(), '8 pass, 9 pass, 10 pass, 11 pass, 12 fail', 'beyond it: its levels');
is(latest('verdict, step, level'), 'fail|report|11', 'beyond it: its verdict');

# --- pgBackRest ---

SKIP:
{
	skip 'pgBackRest is not installed', 1 unless has_pgbackrest();
	my $stanza = make_stanza($node);
	my $full = stanza_backup($stanza, 'full');
	$node->safe_psql('shop', 'insert into history select i, md5(i::text) from generate_series(5001, 6000) i');
	my $incr = stanza_backup($stanza, 'incr');
	add_repository($node, $stanza);
	sql(q{select maintsched.read_repository('main')});
	sql(q{select maintsched.capture_expectations('main')});
	archive_now($node);
	my $print = fingerprint("$stanza->{repo}/backup");
	my @own = map { fingerprint("$stanza->{home}/$_") } qw(lock spool);
	foreach my $label ($full, $incr)
	{
		($said, $steps) = drill(q{'main'}, quote($label));
		like($said, qr/^NOTICE: .*backup "$label" was restored, and is proven up to level 12$/, "pgBackRest: $label passes");
		is($steps, sprintf($all_pass, 'pass', 'not_applicable'), "pgBackRest: $label: its steps");
	}
	is(fingerprint("$stanza->{repo}/backup"), $print, 'pgBackRest: the repository is as it was');
	is_deeply([ map { fingerprint("$stanza->{home}/$_") } qw(lock spool) ], \@own, 'pgBackRest: and its locks and spool');
	is(left_over(), '', 'pgBackRest: nothing is left');
	is(sql(q{select last_failed_wal from pg_stat_archiver}), '', 'pgBackRest: the primary goes on archiving');
}

# --- Barman ---

SKIP:
{
	skip 'Barman is not installed', 1 unless has_barman();
	my $barman = make_barman($node);
	my $id = barman_backup($barman);
	add_repository($node, $barman);
	sql(q{select maintsched.read_repository('primary')});
	sql(q{select maintsched.capture_expectations('primary')});
	archive_now($node, $barman);
	($said, $steps) = drill(q{'primary'});
	like($said, qr/^NOTICE: .*backup "$id" was restored, and is proven up to level 12$/, 'Barman: it passes');
	is($steps, sprintf($all_pass, 'pass', 'not_applicable'), 'Barman: its steps');
	is(left_over(), '', 'Barman: nothing is left');
}

# --- what a copy may not do ---

is($subscribed, 0, 'no copy has connected to the publisher');
cmp_ok(subscribers(), '>', 0, 'as the subscription itself has');
is($node->safe_psql('shop', q{select string_agg(subscribed::text, ',') from subscribed}), '(1)', 'the subscription is as it was');

done_testing();
