# Level 7: every file of a backup matches its checksum, for each kind of
# repository, with whatever may have happened to it (src/backup/level7*.c).  What
# the tools themselves say of the same is asked beside it.
use strict;
use warnings FATAL => 'all';
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use IPC::Run;
use Maintsched;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = backup_server('verify', tablespace => 1, settings => [ 'maintsched.launcher = on', 'maintsched.max_workers = 4' ]);
my $root = root($node);
my $pgbackrest = '/usr/bin/pgbackrest';
my $version = $node->pg_version->major;

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# What level 7 of a backup came to: result, and problems in a line each.
sub level7
{
	my ($repository, $label) = @_;
	my $said = said($node, "call maintsched.verify_repository('$repository->{name}', 7, '$label')");
	my $found = sql(qq{select result || coalesce(E'\\n' || nullif(array_to_string(problems, E'\\n'), ''), '')
		from maintsched.backup_check where repository = '$repository->{name}' and label = '$label' and level = 7
		order by check_id desc limit 1});
	# what is recorded is said, too
	my ($result, $problem) = split /\n/, $found;
	like($said, $result eq 'fail' ? qr/^ERROR:  55000: / : qr/^ERROR:  P0002: /, "$label: verify_repository() raises what it found")
	  if $result ne 'pass';
	unlike($said, qr/, level 7: /, "$label: verify_repository() has nothing to say of level 7") if $result eq 'pass';
	return $found;
}

sub fact
{
	my ($repository, $label, $fact) = @_;
	return sql(qq{select facts ->> '$fact' from maintsched.backup_check where repository = '$repository->{name}'
		and label = '$label' and level = 7 order by check_id desc limit 1});
}

sub flip
{
	my ($path, $at) = @_;
	open(my $file, '+<', $path) or die "$path: $!";
	binmode $file;
	$at //= int((-s $path) / 2);
	seek $file, $at, 0;
	read $file, my $byte, 1;
	seek $file, $at, 0;
	print $file chr(ord($byte) ^ 1);
	close $file or die $!;
	return;
}

sub cut { my ($path) = @_; truncate($path, int((-s $path) / 2)) or die "$path: $!"; return; }
sub grow { my ($path) = @_; open(my $file, '>>', $path) or die $!; print $file 'more'; close $file; return; }

# Does something to a path, looks, and puts back what was there.
sub while_changed
{
	my ($path, $change, $look) = @_;
	my $saved = "$root/saved";
	system('cp', '-a', $path, $saved) == 0 or die "cp $path" if -e $path;
	$change->($path);
	$look->();
	remove_tree($path) if -e $path;
	rename $saved, $path or die "$saved: $!" if -e $saved;
	return;
}

# --- folders of pg_basebackup ---

my $folder = make_folder($node);
my %base = (
	plain => base_backup($folder, 'plain'),
	sha => base_backup($folder, 'sha', sums => 'SHA256'),
	tar => base_backup($folder, 'tar', format => 'tar', gzip => 1),
	lz4 => base_backup($folder, 'lz4', format => 'tar', compress => 'client-lz4'),
	zstd => base_backup($folder, 'zstd', format => 'tar', compress => 'server-zstd', wal => 'fetch', sums => 'SHA512'));
base_backup($folder, 'unsummed', sums => 'NONE');
archive_now($node);
add_repository($node, $folder);

foreach my $label (qw(plain sha tar lz4 zstd))
{
	is(level7($folder, $label), 'pass', "basebackup, $label: pass");
}
is(fact($folder, 'plain', 'checksums'), 'own', 'it says who has compared the checksums');
is(sql(q{select facts ->> 'files_read' = (facts ->> 'files')::integer - 0 || '' or facts ->> 'files_read' = ((facts ->> 'files')::integer - 1)::text
	from maintsched.backup_check where label = 'plain' and level = 7}), 't', 'and how many');
like(level7($folder, 'unsummed'), qr/^not_checked\nthe manifest of backup unsummed has no checksum of \d+ of its files\z/,
	'a manifest without checksums proves nothing');

# pg_verifybackup, of plain backups: whether it finds nothing wrong
sub verifybackup { my ($label) = @_; my ($rc) = rc_of('pg_verifybackup', '-n', $base{$label}); return $rc == 0 ? 'pass' : 'fail'; }

my $relation = sql("select pg_relation_filepath('pg_class')");
foreach my $case (
	[ 'a byte is another', $relation, \&flip, qr/\A\Q$relation\E: its CRC32C is not the one in the manifest\z/ ],
	[ 'a file is cut', $relation, \&cut, qr/\A\Q$relation\E: .*size|\Q$relation\E: it has/ ],
	[ 'a file has grown', $relation, \&grow, qr/\A\Q$relation\E: / ],
	[ 'a file is missing', $relation, sub { unlink $_[0] or die }, qr/\A\Q$relation\E: / ],
	[ 'a file is too many', 'base/1/99999', sub { write_file($_[0], 'x') }, qr/\Abase\/1\/99999: / ],
	[ 'the manifest was edited', 'backup_manifest', sub { my $text = slurp_file($_[0]); $text =~ s/("Size": \d+)/${1}0/; write_file($_[0], $text) }, qr/manifest/ ],
	[ 'the manifest is cut', 'backup_manifest', \&cut, qr/manifest/ ],
	[ 'the control file is of another', 'global/pg_control', sub { system('cp', "$base{sha}/global/pg_control", $_[0]) }, undef ],
	[ 'a file is a folder', 'PG_VERSION', sub { unlink $_[0]; mkdir $_[0] }, qr/PG_VERSION: / ])
{
	my ($what, $path, $change, $expected) = @$case;
	while_changed("$base{plain}/$path", $change, sub {
		my $found = level7($folder, 'plain');
		my ($result, @problems) = split /\n/, $found;
		# CRC32C of a control file is the same for all: pg_verifybackup does not see it
		is($result, defined $expected ? verifybackup('plain') : 'fail', "basebackup, $what: as pg_verifybackup says");
		is($result, 'fail', "basebackup, $what: fail");
		like($problems[0] // '', $expected // qr/control file of backup plain is of another one/, "basebackup, $what: in words");
	});
}
is(level7($folder, 'plain'), 'pass', 'put back, it passes');
# Of archives, whatever packs them (050_manifest.pl has more of it).
foreach my $archive ([ 'tar', 'base.tar.gz' ], [ 'lz4', 'base.tar.lz4' ], [ 'zstd', 'base.tar.zst' ],
	map { my $label = $_; [ $label, (map { s/.*\///r } glob("$base{$label}/[0-9]*.tar*"))[0] ] } qw(tar lz4 zstd))
{
	my ($label, $name) = @$archive;
	my $path = "$base{$label}/$name";
	my $shown = $name =~ /^base/ ? '' : ', of the tablespace';
	foreach my $fault (
		[ 'bytes are others', sub { my $text = slurp_file($_[0]); substr($text, length($text) / 2, 64) ^= "\x55\xff\x01\x3c" x 16; write_file($_[0], $text) } ],
		[ 'it is cut off', \&cut, "$name: it is cut off, at byte " ],
		[ 'a byte is missing', sub { truncate($_[0], (-s $_[0]) - 1) or die }, "$name: it is cut off, at byte " ],
		[ 'it is empty', sub { truncate($_[0], 0) or die }, "$name: it is cut off, at byte 0" ],
		[ 'it is missing', sub { unlink $_[0] or die } ],
		[ 'there is something after its end', \&grow, "$name: it is (?:cut off|not what was compressed)" ])
	{
		my ($what, $change, $words) = @$fault;
		while_changed($path, $change, sub {
			my $found = level7($folder, $label);
			like($found, $words ? qr/^fail\n$words/ : qr/^fail\n/, "basebackup, $label$shown: $what: fail") });
	}
	my $besides = "$base{$label}/surprise";
	while_changed($besides, sub { write_file($_[0], 'x') }, sub {
		is(level7($folder, $label), "fail\nsurprise: it is not expected in a backup in tar format", "basebackup, $label: a file besides: fail") }) if $shown eq '';
	is(level7($folder, $label), 'pass', "basebackup, $label$shown: put back, it passes");
}

# incremental ones are worth no more than those on which they build
if ($version >= 17)
{
	$node->append_conf('postgresql.conf', "summarize_wal = on\n");
	$node->reload;
	my $full = base_backup($folder, 'full');
	my $incremental = base_backup($folder, 'incremental', options => [ "--incremental=$full/backup_manifest" ]);
	is(level7($folder, 'incremental'), 'pass', 'an incremental backup: pass');
	my $packed = base_backup($folder, 'packed', options => [ "--incremental=$incremental/backup_manifest" ], format => 'tar', compress => 'client-lz4');
	my $last = base_backup($folder, 'last', options => [ "--incremental=$packed/backup_manifest" ]);
	is(level7($folder, $_), 'pass', "an incremental backup, $_, on one in tar or that itself: pass") foreach qw(packed last);
	while_changed("$full/$relation", \&flip, sub {
		like(level7($folder, $_), qr/^fail\nbackup full, \Q$relation\E: /, "what $_ builds on has another byte: fail") foreach qw(incremental packed last) });
	while_changed("$packed/base.tar.lz4", \&cut, sub {
		like(level7($folder, 'packed'), qr/^fail\nbase\.tar\.lz4: it is cut off/, 'an incremental one in tar is cut off: fail');
		like(level7($folder, 'last'), qr/^fail\nbackup packed, base\.tar\.lz4: it is cut off/, 'so is what builds on it') });
}

# --- stanzas of pgBackRest ---

my %stanza;
sub stanza
{
	my ($name, %option) = @_;
	my $stanza = $stanza{$name} = make_stanza($node, name => $name, %option);
	$stanza->{full} = stanza_backup($stanza, 'full');
	sql('create table if not exists more (i integer); insert into more select generate_series(1, 1000)');
	$stanza->{incr} = stanza_backup($stanza, 'incr');
	add_repository($node, $stanza);
	return $stanza;
}

my $main = stanza('main');
is(level7($main, $_), 'pass', "pgBackRest, $_: pass") foreach $main->{full}, $main->{incr};
is(fact($main, $main->{incr}, 'checksums'), 'own and tool', 'both have read the files');
is(fact($main, $main->{incr}, 'files'), fact($main, $main->{incr}, 'files_read'), 'all of them');

my $home = "$main->{repo}/backup/main";
# one that the incremental backup has not copied again
my $resting = sql("select pg_relation_filepath('pg_description')");
my $file = "$main->{full}/pg_data/$resting.gz";
my $manifest = "$main->{full}/backup.manifest";
foreach my $case (
	[ 'a byte is another', $file, \&flip, "$file has another checksum than in the manifest", 1 ],
	[ 'a file is cut', $file, \&cut, qr/\Q$file\E has \d+ bytes, and \d+ in the manifest/, 1 ],
	[ 'a file has grown', $file, \&grow, qr/\Q$file\E has \d+ bytes, and \d+ in the manifest/, 1 ],
	[ 'a file is missing', $file, sub { unlink $_[0] or die }, "$file is missing", 1 ],
	[ 'a file is a link', $file, sub { rename $_[0], "$_[0].x"; symlink "$_[0].x", $_[0] or die }, qr/\Q$file\E is (no file|missing)/, 1, "$file.x" ],
	[ 'a file is too many', "$main->{full}/pg_data/base/1/99999.gz", sub { write_file($_[0], 'x') }, "$main->{full}/pg_data/base/1/99999.gz is not in the manifest", 0 ],
	[ 'the manifest was edited', $manifest, sub { my $text = slurp_file($_[0]); $text =~ s/("size":\d+)/${1}0/; write_file($_[0], $text) },
		"$manifest: it was changed: its checksum is not the one that it states", 0 ],
	[ 'the manifest is cut', $manifest, \&cut, qr/\Q$manifest\E: its? .*/, 0 ],
	[ 'the manifest is empty', $manifest, sub { write_file($_[0], '') }, qr/\Q$manifest\E: its? .*/, 0 ],
	[ 'the manifest is missing', $manifest, sub { unlink $_[0] or die }, "$manifest is missing", 0 ],
	[ 'the copy of the manifest is missing', "$manifest.copy", sub { unlink $_[0] or die }, "$manifest.copy is missing", 0 ],
	[ 'the copy of the manifest was edited', "$manifest.copy", sub { my $text = slurp_file($_[0]); $text =~ s/("size":\d+)/${1}0/; write_file($_[0], $text) },
		qr/\Q$manifest\E\.copy: it was changed: .*/, 0 ],
	[ 'the manifest is that of another', $manifest, sub { system('cp', "$home/$main->{incr}/backup.manifest", $_[0]) },
		"$manifest: it is of backup $main->{incr}", 0 ])
{
	my ($what, $path, $change, $expected, $of_incr, $beside) = @$case;
	while_changed("$home/$path", $change, sub {
		my ($result, $problem) = split /\n/, level7($main, $main->{full});
		is($result, 'fail', "pgBackRest, $what: fail");
		ref $expected ? like($problem, qr/\A$expected\z/, "pgBackRest, $what: in words") : is($problem, $expected, "pgBackRest, $what: in words");
		# what the incremental one has of it
		like(level7($main, $main->{incr}), $of_incr ? qr/^fail\n/ : qr/^pass\z/, "pgBackRest, $what: the backup that builds on it");
		unlink "$home/$beside" if defined $beside;
	});
}
while_changed("$home/$main->{full}", sub { remove_tree($_[0]) }, sub {
	my ($result, @problems) = split /\n/, level7($main, $main->{incr});
	is($result, 'fail', 'pgBackRest, the full backup is gone: what builds on it fails');
	like($problems[0], qr/^\Q$main->{full}\E\/\S+ is missing\z/, 'in words');
	like($problems[-1], qr/^and \d+ more\z/, 'and the rest is counted') });

# WAL: what the backup needs to be consistent, we read ourselves
my ($start) = split /\|/, sql("select start_wal || '|' || end_wal from maintsched.current_backups('main') where label = '$main->{full}'");
my ($wal) = glob("$main->{repo}/archive/main/*/*/$start-*");
my $below = $wal =~ s/^\Q$main->{repo}\E\///r;
is(level7($main, $main->{full}), 'pass', 'put back, it passes');
is(fact($main, $main->{full}, 'wal_files_read'), sql("select count(distinct w) from maintsched.current_backups('main'), unnest(array[start_wal, end_wal]) w where label = '$main->{full}'"),
	'WAL of the backup is read');
# (in the middle of 16 MB of zeros some bits mean nothing)
while_changed($wal, sub { flip($_[0], (-s $_[0]) - 8) }, sub {
	is(level7($main, $main->{full}), "fail\n$below has another checksum than in its name, and the backup needs it", 'WAL of the backup has another byte: fail') });
my ($later) = sort grep { !/\Q$start\E/ && /[0-9A-F]{24}-/ && $_ gt $wal } glob("$main->{repo}/archive/main/*/*/*");
while_changed($later, sub { flip($_[0], (-s $_[0]) - 8) }, sub {
	like(level7($main, $main->{full}), qr/^fail\npgBackRest says: invalid (?:checksum|result) '\S+', so a recovery ends there\z/, 'WAL after it has another byte: fail') });
is(level7($main, $_), 'pass', "put back, $_ passes") foreach $main->{full}, $main->{incr};

foreach my $format (qw(lz4 zst))
{
	# for as long as it is looked at: each archive takes its time
	my $others = sql('show archive_command');
	my $stanza = make_stanza($node, name => $format, compress => $format, archive => 0);
	archive_command($node, "$others && $pgbackrest --config=$stanza->{config} --stanza=$format archive-push %p");
	my $label = stanza_backup($stanza, 'full');
	add_repository($node, $stanza);
	is(level7($stanza, $label), 'pass', "pgBackRest, WAL in $format: pass");
	cmp_ok(fact($stanza, $label, 'wal_files_read'), '>=', 1, "pgBackRest, WAL in $format: it is read here, too");
	my ($needed) = sql("select start_wal from maintsched.current_backups('$format') where label = '$label'");
	my ($packed) = glob("$stanza->{wals}/*/*/$needed-*.$format");
	while_changed($packed, \&cut, sub {
		like(level7($stanza, $label), qr/^fail\n.*$needed-\S+ has another checksum than in its name, and the backup needs it/, "pgBackRest, WAL in $format is cut: fail") });
	is(level7($stanza, $label), 'pass', "pgBackRest, WAL in $format, put back: pass");
	archive_command($node, $others);
}

# compressed in each way, bundled, encrypted
my $secret = stanza('secret', cipher => 1);
foreach my $case (
	[ 'none', $main, '--compress-type=none' ], [ 'lz4', $main, '--compress-type=lz4' ], [ 'zst', $main, '--compress-type=zst' ],
	[ 'bundles', $main, '--repo1-bundle' ], [ 'encrypted', $secret ])
{
	my ($what, $stanza, @options) = @$case;
	my $label = @options ? stanza_backup($stanza, 'full', @options) : $stanza->{full};
	sql("select maintsched.read_repository('$stanza->{name}')");
	my $place = "$stanza->{repo}/backup/$stanza->{name}/$label";
	is(level7($stanza, $label), 'pass', "pgBackRest, $what: pass");
	is(fact($stanza, $label, 'checksums'), 'own and tool', "pgBackRest, $what: both have read the files");
	my ($victim) = sort { -s $b <=> -s $a } glob($what eq 'bundles' ? "$place/bundle/*" : "$place/pg_data/$resting*");
	foreach my $fault ([ flip => \&flip ], ($what =~ /^(bundles|encrypted)/ ? ([ cut => \&cut ], [ grow => \&grow ], [ missing => sub { unlink $_[0] } ]) : ()))
	{
		while_changed($victim, $fault->[1], sub {
			like(level7($stanza, $label), qr/^fail\n/, "pgBackRest, $what, $fault->[0]: fail") });
	}
	while_changed("$place/backup.manifest", \&flip, sub {
		like(level7($stanza, $label), qr/^fail\n/, "pgBackRest, $what, the manifest has another byte: fail") });
}
is(level7($secret, $secret->{incr}), 'pass', 'pgBackRest, encrypted, incremental: pass');

# --- the routine: a run, what it serves, and its evidence ---

sub finished
{
	my ($number) = @_;
	$node->poll_query_until('postgres', qq{select count(*) >= $number from maintsched.run r join maintsched.task t using (task_id)
		where t.name = 'backup-verification' and r.finished_at is not null}) or die;
	return sql(q{select max(r.run_id) from maintsched.run r join maintsched.task t using (task_id) where t.name = 'backup-verification'});
}
my $last = stanza_backup($main, 'full');
{
	while_changed("$home/$last/pg_data/$resting.gz", \&flip, sub {
		sql(q{begin; select maintsched.install_calendar('astral-core', timezone => 'UTC');
			update maintsched.task set params = '{"level": 7, "repository": "main"}' where name = 'backup-verification'; commit});
		my $run = finished(1);
		is(sql("select r.state || ': ' || a.sqlstate || ', ' || (a.message ~ 'has another checksum') from maintsched.run r join maintsched.run_action a using (run_id) where run_id = $run"),
			'failed: 55000, true', 'a failure is a failed run');
		is(sql("select retry_at is null from maintsched.run where run_id = $run"), 't', 'which is not tried again');
		is(sql("select c.outcome || ', ' || s.status from maintsched.completion c join maintsched.occurrence o using (occurrence_id)
			join maintsched.task t using (task_id) join maintsched.task_status s on s.calendar = t.calendar and s.task = t.name where c.run_id = $run"),
			'fail, failing', 'the occurrence fails at once');
		is(sql("select count(*) from maintsched.notices where kind = 'run_failed' and subject ~ 'Backup verification'"), '1', 'with a notice') });
}
sql(q{select maintsched.run_task('astral-core', 'backup-verification')});
my $run_id = finished(2);
is(sql(qq{select outcome || ': ' || (evidence -> 'checks' -> 0) - 'reading_id' from maintsched.completion where run_id = $run_id}),
	qq{pass: {"label": "$last", "level": 7, "repository": "main"}}, 'what passes completes the occurrence, with the evidence');
sql(q{update maintsched.task set enabled = false});

# --- a tool that is not to be trusted ---

# The real tool, but for what is said here of verify.
sub fake
{
	my ($script) = @_;
	write_file("$root/tool.new", qq{#!/bin/sh
for a do test "\$a" = verify && { $script
exit; }; done
exec $pgbackrest "\$@"
}, 0755);
	rename "$root/tool.new", "$root/tool" or die $!;
	$node->append_conf('postgresql.conf', "maintsched.pgbackrest_command = '$root/tool'\n");
	$node->reload;
	$node->poll_query_until('postgres', "select current_setting('maintsched.pgbackrest_command') = '$root/tool'") or die;
	return;
}

my $files = fact($main, $main->{full}, 'files');
sub words { my ($status, $checked, $valid, $bad) = @_; return "echo 'stanza: main'; echo 'status: ok'; echo '  backup: $main->{full}, status: $status, total files checked: $checked, total valid files: $valid'; echo '    missing: 0, checksum invalid: " . ($bad // 0) . ", size invalid: 0, other: 0'"; }
fake(words('valid', $files, $files));
is(level7($main, $main->{full}), 'pass', 'the fake says what the tool says');
while_changed("$home/$file", \&flip, sub { is(level7($main, $main->{full}), "fail\n$file has another checksum than in the manifest", 'that the tool lies is found out') });
foreach my $case (
	[ 'nothing', ':', "pgbackrest verify says nothing of backup $main->{full}" ],
	[ 'garbage', 'head -c 5000 /dev/urandom | od -x', qr/pgbackrest verify printed what is not known here: .*/ ],
	[ 'no text', 'printf "\377\376"', qr/pgbackrest verify printed what is not known here: .*/ ],
	[ 'an exit code', words('valid', $files, $files) . '; echo "ERROR: [038]: no lock" >&2; exit 38', 'pgbackrest verify exited with code 38: ERROR: [038]: no lock' ],
	[ 'death', 'kill -9 $$', qr/pgBackRest was .*|pgBackRest .*signal.*/ ],
	[ 'too few files', words('valid', 1, 1), "pgbackrest verify looked at 1 files, and the manifest has $files" ],
	[ 'no files', words('valid', 0, 0), "pgbackrest verify contradicts itself about backup $main->{full}" ],
	[ 'a contradiction', words('valid', $files, $files, 3), "pgbackrest verify contradicts itself about backup $main->{full}" ],
	[ 'another status', words('splendid', $files, $files), "pgbackrest verify says that backup $main->{full} is splendid" ],
	[ 'half of it', 'echo "stanza: main"; printf "status: ok\n  backup: ' . $main->{full} . ', status: val"', qr/pgbackrest verify printed what is not known here: backup: .*/ ])
{
	my ($what, $script, $expected) = @$case;
	fake($script);
	my ($result, $problem) = split /\n/, level7($main, $main->{full});
	is($result, 'not_checked', "the tool says $what: not checked");
	ref $expected ? like($problem, qr/\A$expected/, "the tool says $what: in words") : is($problem, $expected, "the tool says $what: in words");
}
fake(words('invalid', $files, $files - 1, 1));
like(level7($main, $main->{full}), qr/^fail\npgBackRest says that backup \S+ is invalid/, 'the tool says invalid: fail');

# the repository is nowhere that may be read here: names and sizes are ours, checksums the tool's
$node->append_conf('postgresql.conf', "maintsched.pgbackrest_command = '$pgbackrest'\nmaintsched.backup_roots = '$root/folder'\n");
$node->reload;
$node->poll_query_until('postgres', "select current_setting('maintsched.backup_roots') = '$root/folder'") or die;
is(level7($main, $main->{full}), 'pass', 'not readable here: the tool reads the files');
is(fact($main, $main->{full}, 'checksums'), 'tool', 'which is said');
while_changed("$home/$file", \&flip, sub { is(level7($main, $main->{full}), "fail\npgBackRest says: invalid checksum '$file'", 'its words are taken') });
fake(words('valid', $files, $files));
while_changed("$home/$file", sub { unlink $_[0] }, sub { is(level7($main, $main->{full}), "fail\n$file is missing", 'but for names and sizes it is not needed') });

# --- it hangs, and is ended; what was recorded stays, and nothing is held back ---

fake('exec sleep 3600');
my $before = sql('select max(check_id) from maintsched.backup_check');
my ($out, $err) = ('', '');
my $run = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', "call maintsched.verify_repository('main', 7, '$main->{full}')" ],
	'<', \undef, '>', \$out, '2>', \$err);
$node->poll_query_until('postgres', q{select count(*) = 1 from maintsched.verify_progress() where phase = 'waiting for the tool'}) or die;
is(sql(q{select count(*) from pg_stat_activity a join maintsched.verify_progress() p using (pid) where a.backend_xmin is not null or a.backend_xid is not null}),
	'0', 'while the tool works, nothing is held back');
is(sql("select string_agg(level::text, ' ' order by level) from maintsched.backup_check where check_id > $before"), '0 1 2 3 4 5 6',
	'what was judged before is recorded');
sql('select pg_cancel_backend(pid) from maintsched.verify_progress()');
$run->finish;
like($err, qr/canceling statement due to user request/, 'it can be cancelled');
is(sql("select count(*) from maintsched.backup_check where check_id > $before"), '7', 'what was recorded stays');
is(sql("select count(*) from maintsched.verify_progress()"), '0', 'and it is not shown any more');
is(said($node, qq{set statement_timeout = '1s'; call maintsched.verify_repository('main', 7, '$main->{full}')}),
	"ERROR:  57014: canceling statement due to statement timeout", 'statement_timeout ends it');
$node->append_conf('postgresql.conf', "maintsched.pgbackrest_command = '$pgbackrest'\nmaintsched.backup_roots = '$root'\n");
$node->reload;
$node->poll_query_until('postgres', "select current_setting('maintsched.backup_roots') = '$root'") or die;
sql(qq{begin; call maintsched.verify_repository('main', 0, '$main->{full}'); commit});
pass('in a transaction, it goes on');

# --- the latest is asked for; what takes seconds is looked at of the others, too ---

$before = sql('select max(check_id) from maintsched.backup_check');
$node->psql('postgres', q{call maintsched.verify_repository('main', 6)});
is(sql("select string_agg(distinct label, ' ' order by label) from maintsched.backup_check where check_id > $before and level = 6"),
	sql(q{select string_agg(label, ' ' order by label) from maintsched.current_backups('main')}), 'all of them are judged');
cmp_ok(sql(q{select count(*) from maintsched.current_backups('main')}), '>', 1, 'which are several');

# --- a stanza of two repositories, of which one cannot be read ---

my $two = write_file("$root/two.conf", slurp_file($main->{config}) =~ s{^(repo1-path=.*)$}{$1\nrepo2-path=$root/nothing}mr, 0600);
sql(qq{select maintsched.add_repository('two', 'pgbackrest', 'main', config => '$two')});
like(said($node, q{call maintsched.verify_repository('two', 1)}),
	qr/^ERROR:  P0002: repository two: repository 2 of the stanza could not be read: missing stanza path$/m, 'which are the latest is not known');
unlike(said($node, qq{call maintsched.verify_repository('two', 1, '$main->{full}')}), qr/ of the stanza/, 'that is of no concern to one that is named');
sql(q{select maintsched.remove_repository('two', 'no longer')});

# --- servers of Barman ---

my $barman = make_barman($node);
my $id = barman_backup($barman);
add_repository($node, $barman);
my $data = "$barman->{server}/base/$id/data";
is(level7($barman, $id), 'pass', 'Barman: pass');
while_changed("$data/$relation", \&flip, sub {
	is(level7($barman, $id), "fail\n$relation: its CRC32C is not the one in the manifest", 'Barman, a byte is another: fail');
	my ($rc) = barman($barman, 'verify-backup', $barman->{location}, $id);
	is($rc, 1, 'as it says itself') });
while_changed("$data/backup_manifest", sub { unlink $_[0] }, sub {
	like(level7($barman, $id), qr/^not_checked\nbackup $id has no manifest, so there are no checksums/, 'Barman, without a manifest: not checked') });
while_changed($data, sub { remove_tree($_[0]) }, sub { like(level7($barman, $id), qr/^(not_checked|fail)\n/, 'Barman, the data is gone: no pass') });
$node->append_conf('postgresql.conf', "maintsched.backup_roots = '$root/folder'\n");
$node->reload;
$node->poll_query_until('postgres', "select current_setting('maintsched.backup_roots') = '$root/folder'") or die;
like(level7($barman, $id), qr/^not_checked\nbarman verify-backup finds nothing wrong, which is its word alone/, 'Barman, not readable here: its word is no proof');
while_changed("$data/$relation", \&flip, sub {
	like(level7($barman, $id), qr/^fail\nbarman verify-backup says: checksum mismatch/, 'but that something is wrong is taken') });

# --- who may, and what is asked ---

sql(q{create role regress_maintsched_manager; select maintsched.grant_access('regress_maintsched_manager', 'manager')});
like(said($node, q{set role regress_maintsched_manager; call maintsched.verify_repository('main')}), qr/^ERROR:  42501: /, 'a manager needs the rights, too');
sql('grant pg_execute_server_program to regress_maintsched_manager');
said($node, qq{set role regress_maintsched_manager; call maintsched.verify_repository('main', 7, '$main->{full}')});
is(sql(q{select acting_as || ': ' || result from maintsched.backup_check where level = 7 order by check_id desc limit 1}),
	'regress_maintsched_manager: pass', 'with them, it is enough');
like(said($node, q{call maintsched.verify_repository('nowhere')}), qr/^ERROR:  42704: repository "nowhere" does not exist/, 'an unknown repository');
like(said($node, q{call maintsched.verify_repository('main', 7, 'nothing')}), qr/^ERROR:  42704: repository "main" has no backup "nothing"/, 'an unknown backup');
like(said($node, q{call maintsched.verify_repository('main', 8)}), qr/^ERROR:  22023: level must be from 0 to 7/, 'a level that needs a restore');
like(said($node, q{call maintsched.verify_repository('main', 7, null)}), qr/^ERROR:  22004: /, 'no backups');

done_testing();
