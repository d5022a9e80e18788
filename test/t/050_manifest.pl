# verify_backup() beside pg_verifybackup: the same verdict on the same folder,
# whatever was done to it; where it is stricter, and where it may not look; what
# becomes of it when it is cancelled, or one of its workers ended.
use strict;
use warnings FATAL => 'all';
use Digest::SHA qw(sha256_hex);
use FindBin;
use lib $FindBin::RealBin;
use Backups qw(packed);
use File::Path qw(make_path remove_tree);
use IO::Socket::UNIX;
use IPC::Run;
use Maintsched;
use POSIX qw(:sys_wait_h mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Worker;

my $node = PostgreSQL::Test::Cluster->new('manifest');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
our $major = $node->pg_version->major;
my $work = PostgreSQL::Test::Utils::tempdir;
my $space = "$work/space";
mkdir($space, 0700) or die $!;

# names that JSON has to escape, and one that is not UTF-8
my @odd = ("odd\xff\xfe", "quo\"te\\back", "tab\there", "new\nline", "\xc3\xa4");
foreach my $odd (@odd)
{
	append_to_file($node->data_dir . "/$odd", "odd $odd");
}
$node->safe_psql('postgres', qq{
	create extension maintsched;
	create tablespace elsewhere location '$space';
	create table here as select i, md5(i::text) as t from generate_series(1, 100000) i;
	create table there tablespace elsewhere as select i, md5(i::text) as t from generate_series(1, 20000) i;
});

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# --- backups, and what is said of them ---

my $backups = "$work/backups";
mkdir($backups, 0700) or die $!;

sub base_backup
{
	my ($name, @options) = @_;
	$node->command_ok([ 'pg_basebackup', '-D', "$backups/$name", '--no-sync', '-cfast', '-T', "$space=$backups/$name-space", @options ],
		"base backup $name");
	return;
}

# A copy of one, with its tablespace, to be damaged; always the same folder.
my $copy = "$backups/copy";

sub copy_backup
{
	my ($name) = @_;
	foreach my $folder ($copy, "$copy-space")
	{
		system('chmod', '-R', 'u+rwX', $folder) if -d $folder;
		remove_tree($folder);
	}
	system('cp', '-a', "$backups/$name", $copy) == 0 or die;
	if (-d "$backups/$name-space")
	{
		system('cp', '-a', "$backups/$name-space", "$copy-space") == 0 or die;
		my ($link) = glob("$copy/pg_tblspc/*");
		unlink($link) or die;
		symlink("$copy-space", $link) or die;
	}
	return;
}

sub verifybackup_says
{
	my ($folder, @options) = @_;
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run([ 'pg_verifybackup', '-n', @options, $folder ], '>', \$out, '2>', \$err);
	return ($ok ? 1 : 0, $err);
}

# Whether it is good, and the problems, each "kind path: detail".
sub we_say
{
	my ($folder, %other) = @_;
	my $roots = $other{roots} // "array['$backups']";
	my $database = $other{database} // 'postgres';
	my $manifest = $other{manifest} ? "'$other{manifest}'" : 'null';
	my @lines = split /\n/, $node->safe_psql($database, qq{
		with b as materialized (select * from maintsched.verify_backup('$folder', $roots, $manifest))
		select ok::text from b
		union all
		select p ->> 'kind' || ' ' || coalesce(p ->> 'path', '-') || ': ' || (p ->> 'detail') from b cross join lateral jsonb_array_elements(problems) p});
	return (shift(@lines) eq 'true' ? 1 : 0, @lines);
}

# Both verdicts on a folder, and the problems that we report, as patterns.
sub both_say
{
	my ($name, $good, @problems) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($theirs, $words) = verifybackup_says($copy);
	my ($ours, @lines) = we_say($copy);
	is($theirs, $good, "$name: pg_verifybackup finds it " . ($good ? 'good' : 'bad')) or diag($words);
	is($ours, $theirs, "$name: so do we") or diag(join "\n", @lines);
	my @left = @lines;
	foreach my $problem (@problems)
	{
		my ($at) = grep { $left[$_] =~ /^(?:$problem)/ } 0 .. $#left;
		ok(defined $at, "$name: $problem") or diag(join "\n", @lines);
		splice @left, $at, 1 if defined $at;
	}
	is_deeply(\@left, [], "$name: and nothing else");
	return;
}

# The same byte changed in a file of the copy: from the front, or, if negative,
# from the end.
sub flip
{
	my ($file, $at) = @_;
	open(my $fh, '+<:raw', "$copy/$file") or die "$file: $!";
	seek($fh, $at, $at < 0 ? 2 : 0) or die $!;
	read($fh, my $byte, 1) == 1 or die "$file is too short";
	seek($fh, $at, $at < 0 ? 2 : 0) or die $!;
	print $fh chr(ord($byte) ^ 1);
	close($fh) or die $!;
	return;
}

sub write_file
{
	my ($path, $text) = @_;
	open(my $fh, '>:raw', $path) or die "$path: $!";
	print $fh $text;
	close($fh) or die $!;
	return;
}

# The manifest of the copy, with something done to its text; its checksum is made
# anew.
sub edit_manifest
{
	my ($edit) = @_;
	local $_ = slurp_file("$copy/backup_manifest");
	$edit->();
	s/"Manifest-Checksum": "[0-9a-f]+"\}\n\z// or die;
	write_file("$copy/backup_manifest", $_ . '"Manifest-Checksum": "' . sha256_hex($_) . "\"}\n");
	return;
}

base_backup('base');
base_backup('later');
my $table = sql('select pg_relation_filepath(\'here\')');
my $other = sql('select pg_relation_filepath(\'there\')');
my $small = 'global/pg_filenode.map';

# --- what is done to a backup, whether it is good then, what we say ---

my @sabotages = (
	[ 'intact', sub { }, 1 ],
	[ 'an empty folder more', sub { mkdir("$copy/base/empty") or die }, 1 ],
	[ 'an empty folder less', sub { rmdir("$copy/pg_twophase") or die }, 1 ],
	[ 'a file more', sub { append_to_file("$copy/base/more", 'x') }, 0, 'extra base/more: it is not in the manifest' ],
	[ 'an empty file more', sub { write_file("$copy/more", '') }, 0, 'extra more:' ],
	[ 'a file more in the tablespace', sub { append_to_file("$copy-space/more", 'x') }, 0, 'extra pg_tblspc/\d+/more:' ],
	[ 'a file less', sub { unlink("$copy/$table") or die }, 0, "missing $table: it is in the manifest, but not in the backup" ],
	[ 'a file with an odd name less', sub { unlink("$copy/odd\xff\xfe") or die }, 0, 'missing odd\\\\xff\\\\xfe:' ],
	[ 'a file of two lines less', sub { unlink("$copy/new\nline") or die }, 0, 'missing new\\\\x0aline:' ],
	[ 'a file renamed', sub { rename("$copy/PG_VERSION", "$copy/PG_version") or die }, 0, 'extra PG_version:', 'missing PG_VERSION:' ],
	[ 'the link to the tablespace less', sub { unlink(glob("$copy/pg_tblspc/*")) or die }, 0, ('missing pg_tblspc/') x 1 ],
	[ 'a byte more', sub { append_to_file("$copy/$table", 'x') }, 0, "size $table: it has \\d+ bytes, in the manifest \\d+" ],
	[ 'a file truncated', sub { truncate("$copy/$small", 100) or die }, 0, "size $small: it has 100 bytes, in the manifest \\d+" ],
	[ 'a file emptied', sub { write_file("$copy/$small", '') }, 0, "size $small: it has 0 bytes" ],
	[ 'the first bit of a file', sub { flip($table, 0) }, 0, "checksum $table: its CRC32C is not the one in the manifest" ],
	[ 'the last byte of a file', sub { flip($table, -1) }, 0, "checksum $table:" ],
	[ 'a bit in the middle', sub { flip($table, 1_000_003) }, 0, "checksum $table:" ],
	[ 'a bit in the tablespace', sub { flip($other, 12345) }, 0, "checksum $other:" ],
	[ 'a bit in a file with an odd name', sub { flip("odd\xff\xfe", 1) }, 0, 'checksum odd\\\\xff\\\\xfe:' ],
	[ 'two files exchanged', sub { rename("$copy/PG_VERSION", "$copy/x") && rename("$copy/base/1/PG_VERSION", "$copy/PG_VERSION") && rename("$copy/x", "$copy/base/1/PG_VERSION") or die }, 1 ],
	[ 'a file replaced by zeros', sub { write_file("$copy/$small", "\0" x -s "$copy/$small") }, 0, "checksum $small:" ],
	[ 'many at once', sub { flip($table, 7); append_to_file("$copy/more", 'x'); unlink("$copy/PG_VERSION"); truncate("$copy/$small", 1) }, 0,
		"checksum $table:", 'extra more:', 'missing PG_VERSION:', "size $small:" ],
	[ 'a file that cannot be read', sub { chmod(0, "$copy/$small") or die }, 0, "unreadable $small: Permission denied" ],
	[ 'a folder that cannot be read', sub { chmod(0, "$copy/pg_xact") or die }, 0, 'unreadable pg_xact: Permission denied' ],
	[ 'a folder that cannot be searched', sub { chmod(0400, "$copy/pg_xact") or die }, 0, 'unreadable pg_xact/0000: Permission denied' ],
	[ 'a folder in place of a file', sub { unlink("$copy/$small"); mkdir("$copy/$small") or die }, 0, "missing $small:" ],
	[ 'a file in place of a folder', sub { rmdir("$copy/pg_twophase"); write_file("$copy/pg_twophase", '') }, 0, 'extra pg_twophase:' ],
	[ 'a pipe in place of a file', sub { unlink("$copy/$small"); mkfifo("$copy/$small", 0600) or die }, 0, "type $small: it is neither a file nor a folder", "missing $small:" ],
	[ 'a pipe more', sub { mkfifo("$copy/base/pipe", 0600) or die }, 0, 'type base/pipe:' ],
	[ 'a link to nothing', sub { symlink("$copy/nothing", "$copy/link") or die }, 0, 'unreadable link: No such file or directory' ],
	[ 'a link to itself', sub { symlink('link', "$copy/link") or die }, 0, 'unreadable link: Too many levels of symbolic links' ],
	[ 'a file behind a link', sub { rename("$copy/$table", "$copy-space/../moved") or die; symlink('../../../moved', "$copy/$table") or die }, 1 ],
	[ 'a damaged file behind a link', sub { rename("$copy/$table", "$backups/moved") or die; symlink("$backups/moved", "$copy/$table") or die; flip($table, 77) }, 0, "checksum $table:" ],
	[ 'a folder behind two links', sub { rename("$copy/base", "$backups/moved.d") or die; symlink("$backups/moved.d", "$backups/moved.l"); symlink('../moved.l', "$copy/base") or die }, 1 ],
	[ 'WAL is not looked at', sub { append_to_file("$copy/pg_wal/more", 'x') }, 1 ],
	[ 'nor what comes beside a backup', sub { append_to_file("$copy/postgresql.auto.conf", 'x'); append_to_file("$copy/standby.signal", ''); append_to_file("$copy/recovery.signal", '') }, 1 ],
	[ 'not even if it is gone', sub { unlink("$copy/postgresql.auto.conf") or die }, 1 ],
	[ 'but below another folder it is', sub { append_to_file("$copy/base/standby.signal", '') }, 0, 'extra base/standby.signal:' ],
	[ 'a name that begins like one of these', sub { append_to_file("$copy/pg_wal2", '') }, 0, 'extra pg_wal2:' ],
	[ 'the manifest of a later backup', sub { system('cp', "$backups/later/backup_manifest", "$copy/backup_manifest") == 0 or die }, 0, 'checksum backup_label:' ],
	# a control file ends with its own CRC32C, so that all of them have the same
	[ 'the control file of a later backup', sub { system('cp', "$backups/later/global/pg_control", "$copy/global/pg_control") == 0 or die }, 1 ],
	[ 'no manifest', sub { unlink("$copy/backup_manifest") or die }, 0, 'manifest -: it cannot be opened: No such file' ],
	[ 'an empty manifest', sub { write_file("$copy/backup_manifest", '') }, 0, 'manifest -: it is empty' ],
	[ 'half a manifest', sub { truncate("$copy/backup_manifest", (-s "$copy/backup_manifest") / 2) }, 0, 'manifest -: it is ' ],
	[ 'a manifest without its last byte', sub { truncate("$copy/backup_manifest", (-s "$copy/backup_manifest") - 1) }, 0, 'manifest -: it is cut off' ],
	[ 'a manifest and a line', sub { append_to_file("$copy/backup_manifest", "\n") }, 0, 'manifest -: its checksum does not match' ],
	[ 'a manifest and more', sub { append_to_file("$copy/backup_manifest", "{}\n") }, 0, 'manifest -: the end of the file is missing, on line \d+' ],
	[ 'a bit of the manifest', sub { my $m = slurp_file("$copy/backup_manifest"); $m =~ s/"Size": 8192/"Size": 8193/ or die; write_file("$copy/backup_manifest", $m) }, 0, 'manifest -: its checksum does not match: it was changed' ],
	[ 'the checksum of the manifest', sub { my $m = slurp_file("$copy/backup_manifest"); $m =~ s/(Manifest-Checksum": ")(.)/$1 . ($2 eq 'a' ? 'b' : 'a')/e or die; write_file("$copy/backup_manifest", $m) }, 0, 'manifest -: its checksum does not match' ],
	[ 'a manifest that is a folder', sub { unlink("$copy/backup_manifest"); mkdir("$copy/backup_manifest") or die }, 0, 'manifest -: it is not a file' ],
	[ 'a manifest made anew without a file', sub { edit_manifest(sub { s/^\{ "Path": "PG_VERSION".*\n//m or die }) }, 0, 'extra PG_VERSION:' ],
	[ 'a manifest made anew with another size', sub { edit_manifest(sub { s/("PG_VERSION", "Size": )3/${1}4/ or die }) }, 0, 'size PG_VERSION: it has 3 bytes, in the manifest 4' ],
	[ 'a sum that is too short', sub { edit_manifest(sub { s/("PG_VERSION".*"Checksum": "..)...."/$1"/ or s/("PG_VERSION".*"Checksum": "..)[^"]*"/$1"/ or die }) }, 0, 'checksum PG_VERSION: the manifest has a checksum of 1 bytes, which is no CRC32C' ],
	[ 'a sum in capitals', sub { edit_manifest(sub { s/("PG_VERSION".*"Checksum": ")([^"]*)/$1 . uc($2)/e or die }) }, 1 ],
	[ 'a file without sum', sub { edit_manifest(sub { s/("PG_VERSION".*), "Checksum-Algorithm.*\}/$1 }/ or die }); write_file("$copy/PG_VERSION", "xx\n") }, 1 ],
	[ 'a path that leads out', sub { edit_manifest(sub { s/"PG_VERSION"/"..\/copy\/PG_VERSION"/ or die }) }, 0, 'missing \.\./copy/PG_VERSION:', 'extra PG_VERSION:' ],
	[ 'an absolute path', sub { edit_manifest(sub { s/"PG_VERSION"/"\/etc\/passwd"/ or die }) }, 0, 'missing /etc/passwd:', 'extra PG_VERSION:' ],
	[ 'a file twice', sub { edit_manifest(sub { s/^(\{ "Path": "PG_VERSION".*\n)/$1$1/m or die }) }, 0, 'manifest -: a file is there twice, on line \d+' ],
	[ 'an algorithm that there is not', sub { edit_manifest(sub { s/CRC32C/CRC32D/ or die }) }, 0, 'manifest -: Checksum-Algorithm is not known' ],
	[ 'another version', sub { edit_manifest(sub { s/(Manifest-Version": )\d/${1}3/ or die }) }, 0, 'manifest -: its version is 3, which is not known' ],
	[ 'a path in escapes', sub { edit_manifest(sub { s/"PG_VERSION"/"\\u0050G\\u005fVERSION"/ or die }) }, 1 ],
	[ 'a path in hexadecimal', sub { edit_manifest(sub { s/"Path": "PG_VERSION"/'"Encoded-Path": "' . unpack('H*', 'PG_VERSION') . '"'/e or die }) }, 1 ],
	[ 'two paths', sub { edit_manifest(sub { s/("Path": "PG_VERSION")/$1, "Encoded-Path": "50"/ or die }) }, 0, 'manifest -: a file has a Path and an Encoded-Path' ],
	[ 'a backup without its folder', sub { system('mv', $copy, "$copy.gone"); system('rm', '-rf', "$copy.gone") }, 0, 'folder -: it cannot be opened: No such file' ],
);
foreach my $sabotage (@sabotages)
{
	my ($name, $do, $good, @problems) = @$sabotage;
	copy_backup('base');
	remove_tree("$backups/moved.d");
	unlink("$backups/moved", "$backups/moved.l");
	$do->();
	# all files of the tablespace
	if ($name eq 'the link to the tablespace less')
	{
		my $files = `find '$copy-space' -type f | wc -l`;
		@problems = ($problems[0]) x $files;
	}
	both_say($name, $good, @problems);
}
remove_tree("$backups/moved.d");
unlink("$backups/moved", "$backups/moved.l");

# a socket has a short path
SKIP:
{
	copy_backup('base');
	my $short = PostgreSQL::Test::Utils::tempdir_short();
	my $socket = IO::Socket::UNIX->new(Local => "$short/s", Listen => 1) or skip 'no socket here', 4;
	rename("$short/s", "$copy/base/socket") or skip 'the socket cannot be moved', 4;
	both_say('a socket more', 0, 'type base/socket:');
}

# --- algorithms ---

foreach my $algorithm (qw(NONE SHA224 SHA256 SHA384 SHA512))
{
	base_backup("with_$algorithm", "--manifest-checksums=$algorithm");
	copy_backup("with_$algorithm");
	both_say("$algorithm, intact", 1);
	is(sql("select algorithms, files_without_checksum > 0, files_read > 0 from maintsched.verify_backup('$copy', array['$backups'])"),
		$algorithm eq 'NONE' ? 'NONE|t|f' : "$algorithm|f|t", "$algorithm: what was compared");
	flip($table, 500_000);
	flip($small, 3);
	both_say("$algorithm, two files changed", $algorithm eq 'NONE' ? 1 : 0,
		$algorithm eq 'NONE' ? () : ("checksum $table: its $algorithm is not", "checksum $small: its $algorithm is not"));
	remove_tree("$backups/with_$algorithm", "$backups/with_$algorithm-space");
}

# --- tar format, which pg_verifybackup knows since 18 ---

# Where the contents of a member begin, and where its header does.
sub place_in_tar
{
	my ($file, $member) = @_;
	open(my $fh, '<:raw', "$copy/$file") or die "$file: $!";
	my $at = 0;
	while (read($fh, my $header, 512) == 512)
	{
		my ($name, $size) = (unpack('Z100', $header), oct(unpack('x124 Z12', $header)));
		$at += 512;
		return ($at, $at - 512) if $name eq $member;
		$at += int(($size + 511) / 512) * 512;
		seek($fh, $at, 0) or die;
	}
	die "no $member in $file";
}

sub tar_says
{
	my ($name, $good, @problems) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return both_say($name, $good, @problems) if $major >= 18;
	my ($ours, @lines) = we_say($copy);
	is($ours, $good, "$name: " . ($good ? 'good' : 'bad')) or diag(join "\n", @lines);
	my @left = grep { my $line = $_; !grep { $line =~ /^(?:$_)/ } @problems } @lines;
	is_deeply(\@left, [], "$name: and nothing else");
	foreach my $problem (@problems)
	{
		ok(scalar(grep { /^(?:$problem)/ } @lines), "$name: $problem") or diag(join "\n", @lines);
	}
	return;
}

sub tar_backup
{
	my ($name, @options) = @_;
	$node->command_ok([ 'pg_basebackup', '-D', "$backups/$name", '--no-sync', '-cfast', '-Ft', @options ], "base backup $name");
	return;
}

tar_backup('tar');
copy_backup('tar');
my ($space_tar) = map { s/.*\///r } glob("$copy/[0-9]*.tar");
my $other_member = $other =~ s/^pg_tblspc\/\d+\///r;
is(sql("select ok, processes, system_identifier = (pg_control_system()).system_identifier, checkpoint_lsn between start_lsn and end_lsn, files > files_read, files_read > 1000, algorithms
	from maintsched.verify_backup('$copy')"), 't|1|t|t|t|t|CRC32C', 'tar format: a good backup');
foreach my $sabotage (
	[ 'intact', sub { }, 1 ],
	[ 'a bit of a file', sub { flip('base.tar', (place_in_tar('base.tar', $table))[0] + 4321) }, 0, "checksum $table: its CRC32C is not" ],
	[ 'a bit in the tablespace', sub { flip($space_tar, (place_in_tar($space_tar, $other_member))[0]) }, 0, "checksum $other:" ],
	[ 'another name', sub { my $at = (place_in_tar('base.tar', 'PG_VERSION'))[1]; flip('base.tar', $at); flip('base.tar', $at + 155) }, 0, '(extra|missing|unreadable) ' ],
	[ 'the archive of the tablespace less', sub { unlink("$copy/$space_tar") or die }, 0, 'missing pg_tblspc/' ],
	[ 'a file more', sub { append_to_file("$copy/more", 'x') }, 0, 'extra more: it is not expected in a backup in tar format' ],
	[ 'an archive more', sub { write_file("$copy/0.tar", '') }, 0, 'extra 0.tar:' ],
	[ 'an archive cut off', sub { truncate("$copy/base.tar", (place_in_tar('base.tar', $table))[0] + 100_000) }, 0, 'unreadable base.tar: it is cut off, at byte \d+', 'missing ' ],
	[ 'an archive emptied', sub { write_file("$copy/$space_tar", '') }, 0, 'missing pg_tblspc/' ],
	[ 'an archive without its end', sub { truncate("$copy/$space_tar", (-s "$copy/$space_tar") - 1024) }, 1 ],
	[ 'something after the end', sub { append_to_file("$copy/base.tar", 'x' x 600_000) }, 1 ],
	[ 'WAL is not looked at', sub { write_file("$copy/pg_wal.tar", 'x') }, 1 ],
	[ 'a manifest made anew without a file', sub { edit_manifest(sub { s/^\{ "Path": "PG_VERSION".*\n//m or die }) }, 0, 'extra PG_VERSION: it is in base.tar, but not in the manifest' ],
	[ 'a manifest made anew with another size', sub { edit_manifest(sub { s/("PG_VERSION", "Size": )3/${1}4/ or die }) }, 0, 'size PG_VERSION: it has 3 bytes, in the manifest 4' ],
	[ 'an archive that is a folder', sub { unlink("$copy/$space_tar"); mkdir("$copy/$space_tar") }, 0, "type $space_tar: it is not a file", 'missing pg_tblspc/' ])
{
	my ($name, $do, $good, @problems) = @$sabotage;
	copy_backup('tar');
	$do->();
	# where a problem stands for many, only the verdicts are compared
	if (grep { /^(missing|\()/ } @problems)
	{
		is((verifybackup_says($copy))[0], $good, "tar, $name: pg_verifybackup") if $major >= 18;
		local $major = 15;
		tar_says("tar, $name", $good, @problems);
	}
	else
	{
		tar_says("tar, $name", $good, @problems);
	}
}
copy_backup('tar');
flip('base.tar', (place_in_tar('base.tar', $table))[1] + 105);
like((we_say($copy))[1], qr/^unreadable base.tar: a header is damaged, or it is no tar archive, at byte \d+/, 'tar, a bit of a header, which stops tar: bad, though not to pg_verifybackup');
copy_backup('tar');
is((we_say($copy, roots => "'{}'"))[0], 1, 'tar, the folder alone is enough');
rename("$copy/base.tar", "$copy/base.tar.zst") or die;
like((we_say($copy))[1], qr/^unreadable base.tar.zst: it is not what was compressed \(.+\), at byte 0/, 'tar, by the name of a compressed one');

# --- compressed with gzip, lz4 and zstd ---

# What pg_verifybackup says once the archives have been unpacked: of any version.
sub unpacked_says
{
	my $to = "$backups/unpacked";
	remove_tree($to);
	mkdir($to, 0700) or die $!;
	system('tar', '-xf', "$copy/base.tar", '-C', $to) == 0 or die;
	foreach my $archive (glob("$copy/[0-9]*.tar"))
	{
		my ($oid) = $archive =~ /(\d+)\.tar$/;
		unlink("$to/pg_tblspc/$oid");
		make_path("$to/pg_tblspc/$oid");
		system('tar', '-xf', $archive, '-C', "$to/pg_tblspc/$oid") == 0 or die;
	}
	system('cp', "$copy/backup_manifest", $to) == 0 or die;
	return (verifybackup_says($to))[0];
}

# A tar with its members, each with its header, from which some are left out.
sub tar_of
{
	my ($tar, $change) = @_;
	my ($at, @members) = (0);
	while (substr($tar, $at, 1) ne "\0")
	{
		my ($name, $size) = (unpack('Z100', substr $tar, $at, 100), oct(unpack('Z12', substr $tar, $at + 124, 12)));
		my $length = 512 + int(($size + 511) / 512) * 512;
		push @members, [ $name, substr($tar, $at, $length) ];
		$at += $length;
	}
	return join('', map { $_->[1] } $change->(@members)) . "\0" x 1024;
}

# A member under another name, and the checksum of its header.
sub renamed
{
	my ($name, $member) = @_;
	substr($member, 0, 100) = pack 'a100', $name;
	substr($member, 148, 8) = ' ' x 8;
	my $sum = unpack '%32C*', substr $member, 0, 512;
	substr($member, 148, 8) = sprintf "%06o\0 ", $sum;
	return $member;
}

# What is in the archives is found out however they are packed, as it is when they
# are unpacked.
foreach my $sabotage (
	[ 'intact', sub { @_ } ],
	[ 'a bit of a file', sub { map { substr($_->[1], 512 + 4321, 1) ^= "\x01" if $_->[0] eq $table; $_ } @_ }, "checksum $table: its CRC32C is not" ],
	[ 'a member is missing', sub { grep { $_->[0] ne $table } @_ }, "missing $table: " ],
	[ 'a member besides', sub { @_, map { [ 'x', renamed('surprise', $_->[1]) ] } grep { $_->[0] eq 'PG_VERSION' } @_ }, 'extra surprise: it is in base.tar' ],
	[ 'a member that is another', sub { my ($other) = grep { $_->[0] eq 'PG_VERSION' } @_; map { $_->[0] eq $table ? [ $table, renamed($table, $other->[1]) ] : $_ } @_ },
		"size $table: it has 3 bytes" ])
{
	my ($name, $change, $problem) = @$sabotage;
	copy_backup('tar');
	my $tar = tar_of(slurp_file("$copy/base.tar"), $change);
	unlink("$copy/base.tar");
	write_file("$copy/base.tar", $tar);
	my $theirs = unpacked_says();
	is($theirs, defined $problem ? 0 : 1, "$name: so says pg_verifybackup of what is unpacked");
	foreach my $format ('', qw(gz lz4 zst))
	{
		if ($format ne '')
		{
			unlink(glob("$copy/base.tar*"));
			write_file("$copy/base.tar.$format", packed($format, $tar));
		}
		my ($ours, @lines) = we_say($copy);
		is($ours, $theirs, "$name, packed as '$format': so do we") or diag(join "\n", @lines);
		like($lines[0], qr/^$problem/, "$name, packed as '$format': in words") if defined $problem;
		is((verifybackup_says($copy))[0], $ours, "$name, packed as '$format': so says pg_verifybackup") if $major >= 18;
	}
}

# What is wrong with the packing.
sub skipped { my ($text) = @_; return "\x50\x2a\x4d\x18" . pack('V', length $text) . $text; }
foreach my $format (qw(gz lz4 zst))
{
	copy_backup('tar');
	my $tar = slurp_file("$copy/base.tar");
	my ($one, $two) = (substr($tar, 0, 1_000_001), substr($tar, 1_000_001));
	my $whole = packed($format, $tar);
	my $both = packed($format, $one) . packed($format, $two);
	unlink("$copy/base.tar");
	foreach my $case (
		[ 'one frame', $whole, 1 ],
		[ 'two', $both, 1 ],
		[ 'two and an empty one', $both . packed($format, ''), 1 ],
		($format eq 'gz' ? () : [ 'one between those that are skipped', skipped('before') . $whole . skipped(''), 1 ]),
		[ 'without its last byte', substr($whole, 0, -1), 0, 'it is cut off' ],
		[ 'without its second half', substr($whole, 0, length($whole) / 2), 0, 'it is cut off' ],
		[ 'a few bytes of it', substr($whole, 0, 3), 0, 'it is cut off' ],
		[ 'nothing', '', 0, 'it is cut off' ],
		[ 'the second one is cut off', substr($both, 0, -20), 0, 'it is cut off' ],
		[ 'the first one is cut off', substr(packed($format, $one), 0, -30) . packed($format, $two), 0, '(it is|a header)' ],
		[ 'the first one alone', packed($format, $one), 0, 'it is cut off' ],
		[ 'a member of it that is cut off, as it should end', packed($format, substr $tar, 0, (length $tar) / 2), 0, 'it is cut off' ],
		[ 'garbage after it', $whole . 'garbage after it', 0, 'it is not what was compressed' ],
		[ 'a byte after it', $whole . 'x', 0, 'it is (cut off|not what was compressed)' ],
		[ 'a frame after it, which is not looked at', $whole . packed($format, 'x' x 600), 1 ],
		[ 'garbage', 'x' x 10000, 0, 'it is not what was compressed' ],
		[ 'its first bytes are others', "\0\0\0\0" . substr($whole, 4), 0, 'it is not what was compressed' ],
		[ 'in another format', packed($format eq 'gz' ? 'lz4' : 'gz', $tar), 0, 'it is not what was compressed' ])
	{
		my ($name, $packed, $good, $problem) = @$case;
		unlink("$copy/base.tar.$format");
		write_file("$copy/base.tar.$format", $packed);
		my ($ours, @lines) = we_say($copy);
		is($ours, $good, "$format, $name: " . ($good ? 'good' : 'bad')) or diag(join "\n", @lines);
		like($lines[0], qr/^unreadable base.tar.$format: $problem/, "$format, $name: in words") if $problem;
	}
}
unlink(glob("$copy/base.tar*"));
write_file("$copy/base.tar.zst", "\x28\xb5\x2f\xfd\x00\xa8" . "\1\0\0");
like((we_say($copy))[1], qr/^unreadable base.tar.zst: it is not what was compressed \(.*memory.*\)/, 'zstd, a window of 2 GB is not made room for');
# 120 GB of zeros in 4 MB: in blocks of one byte many times
{
	my $block = substr(pack('V', 131072 << 3 | 1 << 1), 0, 3) . "\0";
	my $zeros = "\x28\xb5\x2f\xfd\x00\x58" . $block x 999_999 . "\x01\0\0";
	unlink("$copy/base.tar.zst");
	write_file("$copy/base.tar.zst", packed('zst', slurp_file("$backups/tar/base.tar")) . $zeros);
	my ($out, $err) = ('', '');
	$node->psql('postgres', "set statement_timeout = '1s'; select ok from maintsched.verify_backup('$copy', '{$backups}')", stdout => \$out, stderr => \$err);
	like($err, qr/canceling statement due to statement timeout/, 'zstd, 120 GB of zeros can be cancelled');
}
remove_tree("$backups/tar");

# As pg_basebackup packs it.
foreach my $format ([ 'gz', 'client-gzip', 'SHA224' ], [ 'lz4', 'client-lz4', 'CRC32C' ], [ 'zst', 'client-zstd', 'SHA256' ],
	[ 'lz4', 'server-lz4:9', 'CRC32C', '-Xfetch' ], [ 'zst', 'server-zstd:1', 'CRC32C', '-Xfetch' ])
{
	my ($suffix, $how, $sums, @options) = @$format;
	my $name = $how =~ tr/:/-/r;
	tar_backup($name, "--compress=$how", "--manifest-checksums=$sums", @options);
	copy_backup($name);
	tar_says($name, 1);
	my ($out, $err) = ('', '');
	$node->psql('postgres', "set maintsched.verify_rate = '64kB'; set statement_timeout = '300ms'; select ok from maintsched.verify_backup('$copy', '{$backups}')",
		stdout => \$out, stderr => \$err);
	like($err, qr/canceling statement due to statement timeout/, "$name, at 64 kB a second: cancelled");
	my $base = "base.tar.$suffix";
	my $size = -s "$copy/$base";
	foreach my $part (0.001, 0.3, 0.5, 0.7)
	{
		copy_backup($name);
		my $all = slurp_file("$copy/$base");
		substr($all, int($size * $part), 64) ^= "\x55\xff\x01\x3c" x 16;
		unlink("$copy/$base");
		write_file("$copy/$base", $all);
		is((we_say($copy))[0], 0, "$name, some bytes at $part of it: bad");
		is((verifybackup_says($copy))[0], 0, "$name, some bytes at $part of it: so says pg_verifybackup") if $major >= 18;
	}
	foreach my $less (1, 20, int($size / 2), $size)
	{
		copy_backup($name);
		truncate("$copy/$base", $size - $less) or die;
		my @cut = we_say($copy);
		is($cut[0], 0, "$name, without $less bytes of $size: bad");
		like($cut[1], qr/^unreadable $base: it is cut off/, "$name, without $less bytes of $size: said");
	}
	if ($suffix eq 'gz')
	{
		copy_backup($name);
		flip($base, -6);
		like((we_say($copy))[1], qr/^unreadable base.tar.gz: it is not what was compressed/, 'gzip, a bit of its own checksum');
	}
	remove_tree("$backups/$name");
}

# --- what is told of a good one ---

copy_backup('base');
is(sql(qq{
	select ok, system_identifier = (pg_control_system()).system_identifier, timeline, end_lsn > start_lsn, algorithms,
		files > files_read, bytes > bytes_read, files_without_checksum, processes between 1 and 2, seconds > 0, problem_count, problems,
		checkpoint_lsn between start_lsn and end_lsn, jsonb_array_length(wal_ranges), (wal_ranges -> 0 ->> 'start_lsn')::pg_lsn = start_lsn, files
	from maintsched.verify_backup('$copy', '{$backups}')}),
	join('|', 't', 't', 1, 't', 'CRC32C', 't', 't', 0, 't', 't', 0, '[]', 't', 1, 't', scalar(() = slurp_file("$copy/backup_manifest") =~ /"Size"/g)),
	'a good backup');
is(sql("select ok, files_read is null, algorithms is null from maintsched.verify_backup('$copy', '{$backups}', checksums => false)"), 't|t|t', 'without its contents');
append_to_file("$copy/more$_", 'x') foreach 1 .. 5;
is(sql("select ok, problem_count, jsonb_array_length(problems) from maintsched.verify_backup('$copy', '{$backups}', problem_limit => 2)"), 'f|5|2', 'all problems are counted, some are told');
rename("$copy/backup_manifest", "$backups/apart") or die;
unlink(glob("$copy/more*"));
is((we_say($copy, manifest => "$backups/apart"))[0], 1, 'a manifest that lies apart');
unlink("$backups/apart");

# --- another encoding of the database ---

$node->safe_psql('postgres', q{create database latin1 encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'});
$node->safe_psql('latin1', 'create extension maintsched');
copy_backup('base');
unlink("$copy/\xc3\xa4", "$copy/odd\xff\xfe");
is_deeply([ sort((we_say($copy, database => 'latin1'))[ 1, 2 ]) ],
	[ 'missing \\xc3\\xa4: it is in the manifest, but not in the backup', 'missing odd\\xff\\xfe: it is in the manifest, but not in the backup' ],
	'paths in a database that could not hold them');
is((we_say($copy))[1] =~ /^missing (\xc3\xa4|odd)/ ? 1 : 0, 1, 'and in one that could');

# --- where it may not look ---

copy_backup('base');
my ($ok, @lines) = we_say($copy, roots => "'{}'");
is($ok, 0, 'without further folders the tablespace is out of reach');
like($lines[0], qr/^link pg_tblspc\/\d+: it is a symbolic link that leads out of the folders that may be read/, 'and that is said');
is(scalar(grep { !/^(link|missing) pg_tblspc/ } @lines), 0, 'and nothing else');
foreach my $link ([ 'an absolute path', '/etc/passwd' ], [ 'dots', ('../' x 20) . 'etc/passwd' ], [ 'a folder', '/etc' ], [ 'its own root and dots', "$backups/../x" ])
{
	copy_backup('base');
	symlink($link->[1], "$copy/base/out") or die;
	is((verifybackup_says($copy))[0], 0, "a link that leads out by $link->[0]: bad");
	is_deeply([ we_say($copy) ], [ 0, 'link base/out: it is a symbolic link that leads out of the folders that may be read' ], "a link that leads out by $link->[0]: not followed");
}

# a link in a link, and many that lead to all of the backup again
copy_backup('base');
symlink('..', "$copy/base/$_") or die foreach 'a' .. 'f';
is_deeply([ map { s/:.*//r } sort((we_say($copy))[ 1 .. 6 ]) ], [ map { "link base/$_" } 'a' .. 'f' ], 'links upwards are not followed');
# pg_verifybackup would take years over six of them
unlink("$copy/base/$_") foreach 'b' .. 'f';
is((verifybackup_says($copy))[0], 0, 'pg_verifybackup finds one of them bad');
copy_backup('base');
mkdir("$copy/base/x");
symlink('../base/x', "$copy/global/y$_") or die foreach 1 .. 3;
symlink('../../global', "$copy/base/x/z$_") or die foreach 1 .. 3;
($ok, @lines) = we_say($copy);
is($ok, 0, 'links in a circle end');
cmp_ok(scalar(grep { /^link .*one symbolic link too many/ } @lines), '>', 0, 'as problems');
is_deeply([ we_say($copy) ], [ 0, map { s/\|/ /r =~ s/\|/: /r } split /\n/, sql("select * from maintsched.verify_manifest('$copy', '{$backups}')") ], 'and verify_manifest() says the same');

sub error_of
{
	my ($sql, $role) = @_;
	my ($out, $err);
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err, extra_params => [ $role ? ('-U', $role) : (), '-v', 'VERBOSITY=verbose' ]);
	return $err =~ /ERROR:  (\w{5}: .*)/ ? $1 : "no error: $out $err";
}

is(error_of("select maintsched.verify_backup('copy')"), '42602: folder "copy" is not an absolute path', 'a relative path');
is(error_of("select maintsched.verify_backup('$copy', array['x'])"), '42602: folder of backups "x" is not an absolute path', 'a relative root');
is(error_of("select maintsched.verify_backup('$copy', array['/nowhere'])"), "42501: \"$copy\" is not below a folder of backups", 'below no root');
is_deeply([ we_say("$backups/copy/../../..") ], [ 0, 'folder -: it leads out of the folders that may be read' ], 'out of the root by dots');
symlink('/etc', "$backups/away") or die;
is_deeply([ we_say("$backups/away") ], [ 0, 'folder -: it leads out of the folders that may be read' ], 'out of the root by a link');
unlink("$backups/away");
rename("$copy/backup_manifest", "$work/manifest") or die;
symlink("$work/manifest", "$copy/backup_manifest") or die;
is_deeply([ we_say($copy) ], [ 0, 'manifest -: it leads out of the folders that may be read' ], 'a manifest out of the root');
unlink("$copy/backup_manifest");
rename("$work/manifest", "$copy/backup_manifest") or die;
is(error_of("select maintsched.verify_backup('$copy', array['$backups', null])"), '22004: a folder of backups is NULL', 'a root that is NULL');
is(error_of("select maintsched.verify_backup(null)"), '22004: verify_backup(): only the manifest may be NULL', 'no folder');
is(error_of("select maintsched.verify_backup('$copy', array['$backups'], '/etc/passwd')"), '42501: "/etc/passwd" is not below a folder of backups', 'a manifest elsewhere');

# --- who may ---

sql(q{
	create role regress_maintsched_reader login;
	create role regress_maintsched_none login;
	grant usage on schema maintsched to regress_maintsched_reader, regress_maintsched_none;
});
like(error_of("select maintsched.verify_backup('$copy')", 'regress_maintsched_reader'), qr/^42501: permission denied for function verify_backup/, 'granted to nobody');
sql(q{
	grant execute on function maintsched.verify_backup(text, text[], text, boolean, integer), maintsched.verify_manifest(text, text[], text)
	to regress_maintsched_reader, regress_maintsched_none;
	grant pg_read_server_files to regress_maintsched_reader;
});
is(error_of("select maintsched.verify_backup('$copy')", 'regress_maintsched_none'), '42501: permission denied to verify a backup', 'who may not read files of the server may not this either');
is(error_of("set maintsched.verify_workers = 4", 'regress_maintsched_none'), '42501: permission denied to set parameter "maintsched.verify_workers"', 'nor set how fast it goes');
copy_backup('base');
is($node->safe_psql('postgres', "select ok from maintsched.verify_backup('$copy', '{$backups}')", extra_params => [ '-U', 'regress_maintsched_reader' ]), 't', 'who may can');
sql('revoke pg_read_server_files from regress_maintsched_reader');
is(error_of("select maintsched.verify_backup('$copy')", 'regress_maintsched_reader'), '42501: permission denied to verify a backup', 'until that is revoked');

# --- where it is stricter: what no server writes ---

foreach my $odd (
	[ 'a size in quotes', sub { s/("PG_VERSION", "Size": )3/$1"3"/ or die }, 'Size is not a whole number' ],
	[ 'a key twice', sub { s/("PG_VERSION", )/$1"Size": 3, / or die }, 'key "Size" is there twice' ],
	[ 'a section twice', sub { s/^("WAL-Ranges")/"Files": [],\n$1/m or die }, 'key "Files" is there twice' ])
{
	my ($name, $edit, $problem) = @$odd;
	copy_backup('base');
	edit_manifest($edit);
	like((we_say($copy))[1] // '', qr/^manifest -: $problem/, "$name is refused");
}

# --- version 2 ---

copy_backup('base');
my $system = sql('select system_identifier from pg_control_system()');
edit_manifest(sub { s/^.*\n/{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": $system,\n/; s/^("System-Identifier": \d+,\n)"System-Identifier": \d+,\n/$1/m });
is_deeply([ we_say($copy) ], [ 1 ], 'version 2');
is((verifybackup_says($copy))[0], 1, 'version 2: so says pg_verifybackup') if $major >= 17;
is(sql("select manifest_version, system_identifier from maintsched.verify_backup('$copy', '{$backups}')"), "2|$system", 'version 2: its system');
edit_manifest(sub { s/"System-Identifier": \d+/"System-Identifier": 18446744073709551615/ or die });
is_deeply([ we_say($copy) ], [ 0, 'system global/pg_control: it is of another system than the manifest' ], 'version 2: of another system');
is((verifybackup_says($copy))[0], 0, 'version 2: so says pg_verifybackup') if $major >= 17;
is(sql("select system_identifier from maintsched.verify_backup('$copy', '{$backups}')"), '18446744073709551615', 'all 64 bits of it');
edit_manifest(sub { s/"System-Identifier": \d+/"System-Identifier": 18446744073709551616/ or die });
like((we_say($copy))[1], qr/^manifest -: System-Identifier is not a whole number/, 'but not more');
edit_manifest(sub { s/"System-Identifier": \d+,\n// or die });
like((we_say($copy))[1], qr/^manifest -: it has no System-Identifier/, 'version 2 without system');

# --- several processes, ends of some of them ---

# processes of the server that help to verify
sub helpers
{
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	my @found;
	foreach my $file (glob('/proc/[0-9]*/stat'))
	{
		open(my $fh, '<', $file) or next;
		my $stat = <$fh> // '';
		close($fh);
		next if $stat !~ /^(\d+) \(.*\) \S (\d+) / || $2 != $postmaster;
		my $pid = $1;
		open($fh, '<', "/proc/$pid/cmdline") or next;
		my $title = <$fh> // '';
		close($fh);
		push @found, $pid if $title =~ /maintsched verify/;
	}
	return @found;
}

sub wait_until
{
	my ($what, $condition) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for (1 .. 1800)
	{
		return ok(1, $what) if $condition->();
		usleep(100_000);
	}
	return ok(0, $what);
}

sub background
{
	my ($sql) = @_;
	my $session = { out => '', err => '' };
	$session->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ],
		'<', \undef, '>', \$session->{out}, '2>', \$session->{err});
	return $session;
}

copy_backup('base');
# more than one process takes
sql('create table wide as select i, repeat(md5(i::text), 40) as t from generate_series(1, 60000) i; checkpoint');
base_backup('wide');
SKIP:
{
	skip 'needs /proc', 17 if !-r '/proc/self/stat';
	copy_backup('wide');
	is(sql("set maintsched.verify_workers = 3; select ok, processes from maintsched.verify_backup('$copy', '{$backups}')"), 't|3', 'three processes');
	is(sql("set maintsched.verify_workers = 1; select ok, processes from maintsched.verify_backup('$copy', '{$backups}')"), 't|1', 'one process');

	my $slow = "set maintsched.verify_workers = 3; set maintsched.verify_rate = '%s'; select 'ok ' || ok || ' ' || problem_count from maintsched.verify_backup('$copy', '{$backups}')";
	my $session = background(sprintf($slow, '2MB'));
	wait_until('two help', sub { helpers() == 2 });
	wait_until('its progress is seen', sub {
		sql(q{select count(*) from maintsched.verify_progress() where phase = 'comparing checksums' and bytes_done > 0 and bytes_done < bytes_total}) eq '1' });
	is($node->safe_psql('latin1', 'select count(*) from maintsched.verify_progress()'), 0, 'in its own database');
	is(sql(q{select pg_cancel_backend(pid) from maintsched.verify_progress()}), 't', 'cancelled');
	$session->{run}->finish;
	like($session->{err}, qr/canceling statement due to user request/, 'it ends');
	wait_until('so do those who help', sub { helpers() == 0 });
	is(sql('select count(*) from maintsched.verify_progress()'), 0, 'and its progress');

	# nothing stays open
	my @slow = ('-c', "set maintsched.verify_rate = '2MB'", '-c', "set statement_timeout = '200ms'");
	my $fds = q{select count(*) from pg_ls_dir('/proc/self/fd')};
	my ($counts, $errors) = ('', '');
	IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "select maintsched.verify_backup('$copy', '{$backups}', checksums => false) is null",
			'-c', $fds, @slow, (map { ('-c', "select maintsched.verify_backup('$copy', '{$backups}')") } 1 .. 5), '-c', 'reset statement_timeout', '-c', $fds ],
		'>', \$counts, '2>', \$errors);
	my @counts = split /\n/, $counts;
	is(scalar(() = $errors =~ /statement timeout/g), 5, 'cancelled five times in a session');
	is($counts[2], $counts[1], 'no file stays open');
	wait_until('nobody helps any more', sub { helpers() == 0 });

	$session = background(sprintf($slow, '2MB'));
	wait_until('two help again', sub { helpers() == 2 });
	sql(q{select pg_terminate_backend(pid) from maintsched.verify_progress()});
	eval { $session->{run}->finish };
	wait_until('a backend that is ended: they end, too', sub { helpers() == 0 });

	# a damaged file, so that it matters that all are read
	flip($table, 3_000_000);
	$session = background(sprintf($slow, '20MB'));
	wait_until('two help once more', sub { helpers() == 2 });
	kill 'TERM', helpers();
	$session->{run}->finish;
	is($session->{out} . $session->{err}, "ok false 1\n", 'without its helpers it reads all by itself');
	is(sql('select 1'), 1, 'the server goes on');
}

# a run that verifies shows in running
$node->append_conf('postgresql.conf', "maintsched.launcher = on\nmaintsched.max_workers = 4\nmaintsched.verify_rate = '4MB'");
$node->restart;
sql('drop extension maintsched');
make_calendar($node, 'postgres');
add_work($node, 'postgres', 'verification', statement => "do \$\$ begin perform maintsched.verify_backup('$copy', '{$backups}'); end \$\$");
wait_until('running shows the progress of a run that verifies', sub {
	sql(q{select count(*) from maintsched.running where phase = 'comparing checksums' and percent > 0 and percent < 100}) eq '1' });
sql('select maintsched.cancel_run(run_id) from maintsched.running');
wait_until('until it is cancelled', sub { sql('select count(*) from maintsched.running') eq '0' });
$node->append_conf('postgresql.conf', "maintsched.launcher = off\nmaintsched.verify_rate = 0");

# no worker is free
$node->append_conf('postgresql.conf', 'max_worker_processes = 1');
$node->restart;
is(sql("set maintsched.verify_workers = 8; select ok, processes < 8 from maintsched.verify_backup('$copy', '{$backups}')"), 'f|t', 'without free workers it takes those that there are');

# --- a million files ---

# Waits for a child: the most memory that it had, in kB, and its status.
sub peak_of
{
	my ($pid) = @_;
	my $wait4 = { x86_64 => 61, aarch64 => 260, riscv64 => 260, loongarch64 => 260, ppc64le => 114, s390x => 114 }->{ (POSIX::uname())[4] };
	my ($status, $usage) = (pack('i', 0), "\0" x 256);
	if (defined $wait4)
	{
		syscall($wait4, $pid, $status, 0, $usage) == $pid or die "wait4: $!";
		# two times, of two numbers each, come before it
		return (unpack('x32 l!', $usage), unpack('i', $status));
	}
	my $peak = 0;
	while (waitpid($pid, WNOHANG) == 0)
	{
		open(my $fh, '<', "/proc/$pid/status") or next;
		my ($now) = map { /^VmHWM:\s+(\d+) kB/ ? $1 : () } <$fh>;
		close($fh);
		$peak = $now if ($now // 0) > $peak;
		usleep(2_000);
	}
	return ($peak, $?);
}

SKIP:
{
	skip 'needs /proc', 4 if !-r '/proc/self/status';
	my $many = "$backups/many";
	mkdir($many, 0700) or die;
	open(my $fh, '>:raw', "$many/backup_manifest") or die;
	my $sha = Digest::SHA->new(256);
	my $put = sub { print $fh $_[0]; $sha->add($_[0]) };
	$put->(qq({ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n));
	for my $i (1 .. 1000)
	{
		$put->(join '', map {
				sprintf(qq({ "Path": "base/%d/%d", "Size": 8192, "Last-Modified": "2026-11-22 10:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "%08x" }%s\n),
					16384 + $i, 100_000_000 + $_, $_ * 4096 + $i, $i == 1000 && $_ == 1000 ? '' : ',') } 1 .. 1000);
	}
	$put->(qq(],\n"WAL-Ranges": [\n{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }\n],\n));
	print $fh '"Manifest-Checksum": "' . $sha->hexdigest . "\"}\n";
	close($fh) or die;

	my ($result, $status) = split /\n/, sql(qq{
		select files, bytes, problem_count, jsonb_array_length(problems), problems -> 0 ->> 'kind' from maintsched.verify_backup('$many');
		select (regexp_match(pg_read_file('/proc/self/status', 0, 8000), 'VmHWM:\\s+(\\d+) kB'))[1]});
	is($result, '1000000|8192000000|1000000|1000|missing', 'a million files, which are all missing');

	my $pid = fork() // die;
	if ($pid == 0)
	{
		open(STDOUT, '>', '/dev/null');
		open(STDERR, '>', '/dev/null');
		exec('pg_verifybackup', '-n', ($major >= 18 ? ('-F', 'p') : ()), '-i', 'base', $many) or POSIX::_exit(1);
	}
	# as the kernel tells it at its end: who looks now and then may not be there when
	# it is at its peak
	my ($theirs, $ended) = peak_of($pid);
	is($ended, 0, 'pg_verifybackup reads it, too');
	note("memory: $status kB, pg_verifybackup $theirs kB");
	cmp_ok($status, '<=', $theirs / 2, 'in half of the memory');
	remove_tree($many);
}

$node->stop;
done_testing();
