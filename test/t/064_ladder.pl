# Levels 0 to 6 against real archives: WAL that is missing, cut off, empty, of
# another cluster; an archive_command that lies or fails; timelines; an archive
# that only pgBackRest can list, and Barman's.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use File::Copy qw(copy move);
use Backups;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub levels
{
	my ($repository, $label, $node) = @_;
	$node //= $repository->{node};
	my $name = quote($repository->{name});
	$node->safe_psql('postgres', "select maintsched.read_repository($name)");
	my %levels;
	foreach my $line (split /\n/, $node->safe_psql('postgres',
		"select level, result, array_to_string(problems, '; ') from maintsched.judge_backup($name, " . quote($label) . ')'))
	{
		my ($level, $result, $problems) = split /\|/, $line, 3;
		$levels{$level} = { result => $result, problems => $problems };
	}
	return \%levels;
}

# All of levels 0 to 6 of a backup: what is not passed.
sub not_passed
{
	my $levels = levels(@_);
	return join "\n", map { "$_ $levels->{$_}{result}: $levels->{$_}{problems}" }
	  grep { $levels->{$_}{result} ne 'pass' } sort keys %$levels;
}

sub wal_file { my ($number, $timeline) = @_; return sprintf '%08X%08X%08X', $timeline // 1, $number / 256, $number % 256; }
sub number { my ($file) = @_; return hex(substr $file, 16, 8) + 256 * hex(substr $file, 8, 8); }
sub hide { my ($path) = @_; move($path, "$path.hidden") or die "$path: $!"; return; }
# the beginning of a file; of a compressed one, nothing that can be unpacked
sub truncate_file
{
	my ($to, $from) = @_;
	my $text = slurp_file($from);
	write_file($to, substr($text, 0, 2) eq "\x1f\x8b" ? substr($text, 0, 12) : substr($text, 0, 4096));
	return;
}

sub unhide { my ($path) = @_; move("$path.hidden", $path) or die "$path: $!"; return; }

# what was not archived stays with the server
my $node = backup_server('primary', settings => [ 'wal_keep_size = 2GB', 'max_wal_size = 2GB' ]);
my $root = root($node);
my $folder = make_folder($node, name => 'folder');
my $stanza = make_stanza($node, name => 'main');
my $apart = make_stanza($node, name => 'apart', compress => 'none', cipher => 1);

archive_now($node);
base_backup($folder, 'own');
base_backup($folder, 'none', wal => 'none');
base_backup($folder, 'tar', format => 'tar', gzip => 1);
base_backup($folder, 'fetched', format => 'tar', wal => 'fetch');
my $full = stanza_backup($stanza, 'full');
my $apart_full = stanza_backup($apart, 'full');
my @more = map { archive_now($node) } 1 .. 5;
my $incr = stanza_backup($stanza, 'incr');
archive_now($node);
add_repository($node, $_) foreach $folder, $stanza, $apart;

# -- everything is in order

my $first = "3 not_applicable: there is no full backup before it to compare with";
is(not_passed($folder, 'fetched'), '', 'the newest base backup');
is(not_passed($folder, 'own'), "2 not_applicable: there is a newer one: fetched\n$first", 'the oldest one');
is(not_passed($stanza, $incr), '3 not_applicable: there is no incremental backup before it to compare with', 'an incremental one of pgBackRest');
is(not_passed($stanza, $full), "2 not_applicable: there is a newer one: $incr\n$first", 'the full one that it builds on');
is(not_passed($apart, $apart_full), $first, 'an encrypted one');

# -- files that are gone since the repository was read

# Level 4 now, without another reading.
sub place_now
{
	my ($repository, $label) = @_;
	return $repository->{node}->safe_psql('postgres', "select concat_ws(': ', result, nullif(array_to_string(problems, '; '), ''))
		from maintsched.judge_backup(" . quote($repository->{name}) . ', ' . quote($label) . ') where level = 4');
}
foreach my $case (
	[ $folder, 'own', "$folder->{location}/own", 'nothing of backup own is at %s any more' ],
	[ $folder, 'own', "$folder->{location}/own/PG_VERSION", 'of backup own, both PG_VERSION and base.tar are missing' ],
	[ $folder, 'own', "$folder->{location}/own/backup_manifest", 'of backup own, backup_manifest is missing' ],
	[ $folder, 'tar', "$folder->{location}/tar/base.tar.gz", 'of backup tar, both PG_VERSION and base.tar are missing' ],
	[ $stanza, $full, "$stanza->{repo}/backup/main/$full", "nothing of backup $full is at %s any more" ],
	[ $stanza, $full, "$stanza->{repo}/backup/main/$full/backup.manifest", "of backup $full, backup.manifest is missing" ],
	[ $stanza, $full, "$stanza->{repo}/backup/main/$full/pg_data", "of backup $full, both pg_data and bundle are missing" ],
	[ $apart, $apart_full, "$apart->{repo}/backup/apart/$apart_full", "nothing of backup $apart_full is at %s any more" ])
{
	my ($repository, $label, $path, $words) = @$case;
	is(place_now($repository, $label), 'pass', "$label is where it should be");
	# aside, where no backup is looked for
	my $aside = root($node) . '/aside';
	move($path, $aside) or die "$path: $!";
	is(place_now($repository, $label), 'fail: ' . $words =~ s/%s/$path/r, "$path is gone: in words");
	move($aside, $path) or die $!;
}
# all of it, as when a volume is not mounted: that is no more known than before
move("$stanza->{repo}/backup", root($node) . '/aside') or die $!;
is(place_now($stanza, $full), 'pass', 'what is above it is gone, too: that says level 5');
move(root($node) . '/aside', "$stanza->{repo}/backup") or die $!;

# -- encryption is seen in the files, too

$node->safe_psql('postgres', "select maintsched.change_repository(name, '{\"encrypted\": true}') from unnest(array['main', 'apart']) name");
like(levels($stanza, $incr)->{4}{problems}, qr/^backup $incr is not encrypted; WAL in the archive is not encrypted: \d+ files$/, 'one that is not');
is(levels($apart, $apart_full)->{4}{result}, 'pass', 'one that is');
$node->safe_psql('postgres', "select maintsched.change_repository('main', '{\"encrypted\": null}')");

# -- WAL that is missing

sub needed
{
	my ($label) = @_;
	return split /\|/, $node->safe_psql('postgres', "select start_wal, end_wal from maintsched.backups where label = '$label'");
}

my ($start, $end) = needed($full);
my ($in_folder) = glob("$stanza->{wals}/*/*/$start-*");
hide($in_folder);
is(levels($stanza, $full)->{6}{problems}, "WAL $start missing, needed by $full", 'WAL that a backup itself needs');
is(levels($stanza, $incr)->{6}{result}, 'pass', '... does not hurt one that was made later');
unhide($in_folder);

my ($in_middle) = glob("$stanza->{wals}/*/*/$more[2]-*");
hide($in_middle);
my $until = sprintf '0/%X', number($more[2]) * 16777216 - 1;
is(levels($stanza, $full)->{6}{problems}, "WAL $more[2] missing: $full can be restored only up to $until, not to now", 'WAL after the backup');
is(levels($stanza, $incr)->{6}{result}, 'pass', '... does not hurt one that was made after that');
is(levels($stanza, $full)->{5}{result}, 'pass', '... and the archive keeps up');
open(my $empty, '>', $in_middle) or die $!;
close $empty;
is(levels($stanza, $full)->{6}{problems}, "WAL $more[2] is empty: $full can be restored only up to $until, not to now", 'an empty file is no WAL');
unlink $in_middle;
unhide($in_middle);

my ($one, $two) = map { "$folder->{archive}/$more[$_]" } 1, 2;
hide($_) foreach $one, $two;
$until = sprintf '0/%X', number($more[1]) * 16777216 - 1;
is(levels($folder, 'own')->{6}{problems}, "WAL $more[1] to $more[2] missing (2 files): own can be restored only up to $until, not to now", 'two files of a folder');
unhide($_) foreach $one, $two;
truncate $one, 8388608;
is(levels($folder, 'own')->{6}{problems}, "WAL $more[1] has 8388608 bytes instead of 16777216: own can be restored only up to $until, not to now",
	'a file that is cut off');
copy($two, $one);
is(levels($folder, 'own')->{6}{problems}, "WAL $more[1] holds the WAL of another position: own can be restored only up to $until, not to now",
	'a file under another name');
unlink $one;
system_or_bail('gzip', '-k', $two);
hide($two);
is(levels($folder, 'own')->{6}{problems}, "WAL $more[1] missing: own can be restored only up to $until, not to now", 'a compressed one is one');
truncate "$two.gz", (-s "$two.gz") - 1;
is(levels($folder, 'own')->{6}{problems}, "WAL $more[1] to $more[2] missing (2 files): own can be restored only up to $until, not to now",
	'one without its end is not');
unlink "$two.gz";
foreach my $format (qw(zst lz4))
{
	my $packed = packed($format, slurp_file("$two.hidden"));
	write_file("$two.$format", $packed);
	is(levels($folder, 'own')->{6}{problems}, "WAL $more[1] missing: own can be restored only up to $until, not to now", "one packed as $format");
	write_file("$two.$format", substr $packed, 0, 8 * 1024 * 1024);
	is(levels($folder, 'own')->{6}{problems}, "WAL $more[1] to $more[2] missing (2 files): own can be restored only up to $until, not to now", 'half of it');
	unlink "$two.$format";
}
unhide($two);
unlink $one;
is((pgbackrest($stanza, 'archive-get', $more[1], $one))[0], 0, 'pgBackRest has it');
is(levels($folder, 'own')->{6}{result}, 'pass', 'whole again');

# the WAL that a backup brings with it stands in for the archive's
foreach my $label (qw(own none tar fetched))
{
	my ($needed) = needed($label);
	hide("$folder->{archive}/$needed");
	my $said = levels($folder, $label)->{6};
	unhide("$folder->{archive}/$needed");
	if ($label eq 'none')
	{
		is($said->{problems}, "WAL $needed missing, needed by $label", 'the first file of a backup without WAL');
	}
	else
	{
		is($said->{result}, 'pass', "the first file of backup $label is with it");
	}
}

# compressed in each way, too; in base.tar, where there is no archive to look at
foreach my $format (qw(gz lz4 zst))
{
	my ($needed) = needed('tar');
	my $there = "$folder->{location}/tar/pg_wal.tar";
	my $base = "$folder->{location}/fetched/base.tar";
	system_or_bail('gzip', '-dk', "$there.gz");
	rename "$there.gz", "$root/aside.gz" or die $!;
	my ($wal, $all) = map { slurp_file($_) } $there, $base;
	unlink $there;
	hide("$folder->{archive}/$needed");
	write_file("$there.$format", packed($format, $wal));
	is(levels($folder, 'tar')->{6}{result}, 'pass', "in pg_wal.tar.$format");
	write_file("$there.$format", substr packed($format, $wal), 0, -1);
	like(levels($folder, 'tar')->{6}{problems}, qr/^WAL $needed is cut off, or damaged, needed by tar/, "in pg_wal.tar.$format, cut off");
	unlink "$there.$format";
	rename "$root/aside.gz", "$there.gz" or die $!;
	unhide("$folder->{archive}/$needed");

	($needed) = needed('fetched');
	rename $base, "$root/aside.tar" or die $!;
	write_file("$base.$format", packed($format, $all));
	hide("$folder->{archive}/$needed");
	is(levels($folder, 'fetched')->{6}{problems}, "WAL $needed missing, needed by fetched", "base.tar.$format is not looked into beside an archive");
	unhide("$folder->{archive}/$needed");
	$node->safe_psql('postgres', q{select maintsched.change_repository('folder', '{"archive": null}')});
	is(levels($folder, 'fetched')->{6}{result}, 'pass', "base.tar.$format is, where there is none");
	$node->safe_psql('postgres', qq{select maintsched.change_repository('folder', '{"archive": "$folder->{archive}"}')});
	unlink "$base.$format";
	rename "$root/aside.tar", $base or die $!;
}

# but not what was cut off: nothing says so but its end
{
	my ($needed) = needed('tar');
	my $packed = "$folder->{location}/tar/pg_wal.tar.gz";
	my $whole = slurp_file($packed);
	hide("$folder->{archive}/$needed");
	write_file($packed, substr $whole, 0, length($whole) - 100);
	like(levels($folder, 'tar')->{6}{problems}, qr/^WAL $needed is cut off, or damaged, needed by tar/, 'WAL in a tar file that was cut off');
	write_file($packed, $whole);
	is(levels($folder, 'tar')->{6}{result}, 'pass', 'whole again');
	unhide("$folder->{archive}/$needed");
}

# -- the end of the archive, and what says that it was archived

my $last = archive_now($node);
hide("$folder->{archive}/$last");
my $levels = levels($folder, 'fetched');
is($levels->{5}{problems}, "archive_command returned success for $last, which is not in the archive", 'the last file is gone');
like($levels->{6}{problems}, qr/^WAL $last missing: fetched can be restored only up to /, '... and named');
unhide("$folder->{archive}/$last");

archive_command($node, '/bin/true');
my $lost = archive_now($node);
foreach my $pair ([ $folder, 'fetched' ], [ $stanza, $incr ], [ $apart, $apart_full ])
{
	is(levels(@$pair)->{5}{problems}, "archive_command returned success for $lost, which is not in the archive",
		"an archive_command that lies: $pair->[0]{name}");
	like(levels(@$pair)->{6}{problems}, qr/^WAL $lost missing: /, '... level 6');
}
# it is repaired by hand
copy($node->data_dir . "/pg_wal/$lost", "$folder->{archive}/$lost");
foreach my $repository ($stanza, $apart)
{
	is((pgbackrest($repository, 'archive-push', $node->data_dir . "/pg_wal/$lost"))[0], 0, 'pushed by hand');
}
is(levels($folder, 'fetched')->{5}{result}, 'pass', 'repaired');
is(levels($stanza, $incr)->{6}{result}, 'pass', 'repaired in the stanza');

archive_command($node, '/bin/false');
$node->safe_psql('postgres', 'insert into ticks values (clock_timestamp()); select pg_switch_wal()');
$node->poll_query_until('postgres', 'select last_failed_time > last_archived_time from pg_stat_archiver') or die;
my $refused = $node->safe_psql('postgres', 'select last_failed_wal from pg_stat_archiver');
like(levels($folder, 'fetched')->{5}{problems}, qr/^archiving fails: $refused could not be archived at /, 'an archive_command that fails');
$node->safe_psql('postgres', "select maintsched.change_repository('folder', '{\"rpo\": \"1 millisecond\"}')");
like(levels($folder, 'fetched')->{5}{problems}, qr/; the archive ends at [^;]*, and this server is at [^;]*: work of (?:less than a minute|\d+ minutes?) would be lost; the RPO is less than a minute$/,
	'more than the RPO');
$node->safe_psql('postgres', "select maintsched.change_repository('folder', '{\"rpo\": null}')");
archive_command($node);
$last = archive_now($node);
is(levels($folder, 'fetched')->{5}{result}, 'pass', 'archived again');

# -- an archive that only the tool can see

$node->append_conf('postgresql.conf', "maintsched.backup_roots = '" . root($node) . "/folder'\n");
$node->reload;
$node->poll_query_until('postgres', "select current_setting('maintsched.backup_roots') like '%/folder'") or die;
is(levels($stanza, $incr)->{6}{result}, 'pass', 'pgBackRest lists its archive');
is($node->safe_psql('postgres', "select facts ->> 'seen' from maintsched.judge_backup('apart', '$apart_full') where level = 6"), 'pgBackRest', 'it is said who saw it');
hide($in_middle);
$until = sprintf '0/%X', number($more[2]) * 16777216 - 1;
is(levels($stanza, $full)->{6}{problems}, "WAL $more[2] missing: $full can be restored only up to $until, not to now", 'a gap in what it lists');
unhide($in_middle);
$node->append_conf('postgresql.conf', "maintsched.backup_roots = '" . root($node) . "'\n");
$node->reload;
$node->poll_query_until('postgres', "select current_setting('maintsched.backup_roots') not like '%/folder'") or die;

# -- a folder that is closed

# Nothing is known of the files in it: neither that they are there, nor that they are not.
foreach my $mode (0000, 0400)
{
	chmod $mode, $folder->{archive};
	my $levels = levels($folder, 'fetched');
	like(join(' ', @{ $levels->{$_} }{qw(result problems)}), qr/^not_checked the files of the archive were not seen: .*: Permission denied$/, sprintf 'the archive of mode %04o, level %d', $mode, $_) foreach 5, 6;
	chmod 0700, $folder->{archive};
}
{
	# of those that a setting may mean, one is there
	system_or_bail('cp', '-a', "$stanza->{repo}/archive", "$root/mirror");
	my $seen = q{select result || ', ' || (facts ->> 'seen') from maintsched.judge_backup('main', } . quote($incr) . ') where level = 6';
	$node->safe_psql('postgres', qq{select maintsched.change_repository('main', '{"archive": "$root/mirror"}')});
	is($node->safe_psql('postgres', $seen), 'pass, files', 'the archive of a stanza elsewhere');
	my ($closed) = glob "$root/mirror/main/*-1";
	chmod 0000, $closed;
	is($node->safe_psql('postgres', $seen), 'pass, pgBackRest', 'where it cannot be looked into, it is not said to be empty');
	chmod 0700, $closed;
	$node->safe_psql('postgres', q{select maintsched.change_repository('main', '{"archive": null}')});
}

# -- another cluster

my $other = PostgreSQL::Test::Cluster->new('other');
$other->init(allows_streaming => 1);
$other->start;
system_or_bail('pg_basebackup', '-d', $other->connstr('postgres'), '-D', "$folder->{location}/foreign", '--no-sync', '-cfast');
like(levels($folder, 'foreign')->{5}{problems}, qr/^backup foreign is of another cluster: its system identifier is \d+, not \d+/, 'a backup of another cluster');
my ($foreign) = glob("$folder->{location}/foreign/pg_wal/0*1*");
(my $foreign_name = $foreign) =~ s{.*/}{};
hide("$folder->{archive}/$last");
copy($foreign, "$folder->{archive}/$last");
like(levels($folder, 'fetched')->{5}{problems}, qr/WAL $last in the archive is of another cluster, with system identifier \d+/, 'WAL of another cluster');
like(levels($folder, 'own')->{6}{problems}, qr/^WAL $last is of another cluster, with system identifier \d+: own can be restored only up to /, '... is none');
unlink "$folder->{archive}/$last";
unhide("$folder->{archive}/$last");
$other->stop;

# -- the timeline changes

my $standby = PostgreSQL::Test::Cluster->new('standby');
system_or_bail('pg_basebackup', '-d', $node->connstr('postgres'), '-D', $standby->data_dir, '--no-sync', '-cfast', '-R');
chmod 0700, $standby->data_dir;
$standby->append_conf('postgresql.conf', 'port = ' . $standby->port . "\nunix_socket_directories = '" . $standby->host . "'\n");
archive_now($node);
my $before = archive_now($node);
$standby->start;
$standby->poll_query_until('postgres', "select pg_last_wal_replay_lsn() >= pg_lsn '" . $node->safe_psql('postgres', 'select pg_current_wal_flush_lsn()') . "'") or die;
is($standby->safe_psql('postgres', "select count(*) from maintsched.server_wal()"), 1, 'a standby says where it is');
$node->stop;
$standby->promote;
$standby->poll_query_until('postgres', 'select not pg_is_in_recovery()') or die;
sub archive_on_standby
{
	my $segment = $standby->safe_psql('postgres', 'insert into ticks values (clock_timestamp()); select pg_walfile_name(pg_switch_wal())');
	$standby->poll_query_until('postgres', "select left(last_archived_wal, 24) >= '$segment' from pg_stat_archiver") or BAIL_OUT("$segment is not archived");
	return $segment;
}
$standby->append_conf('postgresql.conf', "archive_command = 'test -e $folder->{archive}/%f || cp %p $folder->{archive}/%f'\n");
$standby->reload;
my @after = map { archive_on_standby() } 1 .. 3;
is(substr($after[0], 0, 8), '00000002', 'another timeline');
is(levels($folder, 'own', $standby)->{5}{result}, 'pass', 'a backup from before, level 5') or diag(not_passed($folder, 'own', $standby));
is(levels($folder, 'own', $standby)->{6}{result}, 'pass', '... level 6') or diag(not_passed($folder, 'own', $standby));
hide("$folder->{archive}/$after[1]");
like(levels($folder, 'own', $standby)->{6}{problems}, qr/^WAL $after[1] missing: own can be restored only up to /, 'a gap on the new timeline');
unhide("$folder->{archive}/$after[1]");
hide("$folder->{archive}/$more[3]");
like(levels($folder, 'own', $standby)->{6}{problems}, qr/^WAL $more[3] missing: own can be restored only up to /, 'a gap on the old one');
unhide("$folder->{archive}/$more[3]");
hide("$folder->{archive}/00000002.history");
is(levels($folder, 'own', $standby)->{6}{problems}, "00000002.history missing: a restore of own would not leave timeline 1 for this server's, 2", 'no history');
unhide("$folder->{archive}/00000002.history");

# the old primary goes on by itself
$node->start;
like(levels($folder, 'own')->{5}{problems}, qr/the archive has timeline 2, which branched off from what this server, on timeline 1, comes from/, 'the old primary is told');
archive_command($node, 'true');
$node->safe_psql('postgres', 'insert into ticks values (clock_timestamp()); select pg_switch_wal()') foreach 1 .. 3;
base_backup($folder, 'astray');
like(levels($folder, 'astray', $standby)->{5}{problems}, qr{^backup astray ends at [0-9A-F/]+ on timeline 1, which this server left at [0-9A-F/]+: it cannot be recovered to what this server has},
	'a backup of it is none of the new primary');
$standby->stop;

# -- Barman, whose files lie in its archive as they came, or compressed

foreach my $how ([ 'plain', 'postgres' ], [ 'packed', 'local-rsync', 'compression = gzip' ])
{
	my ($name, $method, @options) = @$how;
	my $server = backup_server("barman_$name", settings => [ 'wal_keep_size = 1GB', 'max_wal_size = 1GB' ]);
	my $barman = make_barman($server, name => $name, method => $method, server => \@options);
	my $id = barman_backup($barman);
	my @wal = map { archive_now($server, $barman) } 1 .. 3;
	add_repository($server, $barman);
	is(not_passed($barman, $id), $first, "a backup of Barman ($name)");
	is($server->safe_psql('postgres', "select facts ->> 'seen' from maintsched.judge_backup('$name', '$id') where level = 6"), 'files', '... by the files themselves');
	my ($file) = glob("$barman->{wals}/*/$wal[1]");
	hide($file);
	$until = sprintf '0/%X', number($wal[1]) * 16777216 - 1;
	is(levels($barman, $id)->{6}{problems}, "WAL $wal[1] missing: $id can be restored only up to $until, not to now", 'WAL that is missing, though Barman lists it');
	truncate_file($file, "$file.hidden");
	like(levels($barman, $id)->{6}{problems}, $name eq 'plain' ? qr/^WAL $wal[1] has 4096 bytes instead of 16777216: / : qr/^WAL $wal[1] does not begin as WAL does: /,
		'... or cut off');
	unlink $file;
	unhide($file);
	my ($needed) = split /\|/, $server->safe_psql('postgres', "select start_wal from maintsched.backups where label = '$id'");
	($file) = glob("$barman->{wals}/*/$needed");
	hide($file);
	is(levels($barman, $id)->{6}{problems}, "WAL $needed missing, needed by $id", 'WAL that the backup needs');
	unhide($file);

	# its folder is gone since the reading
	my $base = "$barman->{server}/base/$id";
	my $gone = "nothing of backup $id is at $base any more";
	# newer releases have nothing else there
	foreach my $case ([ $base, $gone ], [ "$base/data", -e "$base/backup.info" ? "of backup $id, data is missing" : $gone ])
	{
		my ($path, $words) = @$case;
		is(place_now($barman, $id), 'pass', "$id is where it should be");
		move($path, root($server) . '/aside') or die $!;
		is(place_now($barman, $id), "fail: $words", "$path is gone: in words");
		move(root($server) . '/aside', $path) or die $!;
	}

	# not below the roots: Barman's list is no evidence
	$server->append_conf('postgresql.conf', "maintsched.backup_roots = '/srv/elsewhere'\n");
	$server->reload;
	$server->poll_query_until('postgres', "select current_setting('maintsched.backup_roots') = '/srv/elsewhere'") or die;
	like(not_passed($barman, $id), qr{^6 not_checked: the files of the archive were not seen: folder "[^"]+" is not below one of maintsched.backup_roots$}m,
		'Barman alone is not believed');
	stop_receiving($barman) if $method eq 'postgres';
	$server->stop;
}

done_testing();
