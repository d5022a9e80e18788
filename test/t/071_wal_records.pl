# Level 7 reads the WAL that a backup needs, record by record: garbage or another
# byte in it is found wherever that WAL is and however it is compressed, and what
# the backup does not need is left alone (src/backup/level7_wal.c).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sabotage;
use Test::More;

my $node = backup_server('wal_records', settings => ['wal_keep_size = 512MB']);
my $folder = make_folder($node);
my $archive = $folder->{archive};
my $segment_size = 16 * 1024 * 1024;

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# A record of 100 kB, and one in the file after next; returns for each the name of
# its file, and where in that a byte in the middle of it is.
sub write_records
{
	my @places;
	foreach (1 .. 2)
	{
		my ($file, $at) = split /\|/, sql(q{
			with m as materialized (select pg_logical_emit_message(false, 'test', repeat('x', 100000)) as lsn)
			select pg_walfile_name(lsn) || '|' || (pg_walfile_name_offset(lsn - 50000)).file_offset from m});
		# not in the header of a page, of which some bytes mean nothing
		$at += 200 if $at % 8192 < 100;
		push @places, [ $file, $at ];
		sql('select pg_switch_wal()');
		sql('create table if not exists ticks (t timestamptz); insert into ticks values (clock_timestamp()); select pg_switch_wal()') if $_ == 1;
	}
	return @places;
}

# A backup during which these records are written.
sub backup_with_records
{
	my ($label, @options) = @_;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ 'pg_basebackup', '-d', $node->connstr('postgres'), '-D', "$folder->{location}/$label", '--no-sync', '-cfast',
		'--max-rate=16M', @options ], '<', \undef, '>', \$out, '2>', \$err);
	$node->poll_query_until('postgres', q{select count(*) = 1 from pg_stat_progress_basebackup where phase = 'streaming database files'})
	  or BAIL_OUT("pg_basebackup does not begin: $err");
	# it does not end before they are there (what receives WAL is another process)
	$run->signal('STOP');
	my @places = write_records();
	$run->signal('CONT');
	$run->finish or BAIL_OUT("pg_basebackup: $err");
	return @places;
}

sub level7
{
	my ($repository, $label) = @_;
	said($node, "call maintsched.verify_repository('$repository->{name}', 7, '$label')");
	return sql(qq{select result || coalesce(': ' || nullif(array_to_string(problems, '; '), ''), '')
		from maintsched.backup_check where repository = '$repository->{name}' and label = '$label' and level = 7
		order by check_id desc limit 1});
}

sub fact
{
	my ($label, $fact) = @_;
	return sql(qq{select facts ->> '$fact' from maintsched.backup_check where label = '$label' and level = 7 order by check_id desc limit 1});
}

# Another byte at a place of a file.
sub flip
{
	my ($text, $at) = @_;
	substr($text, $at, 1) = chr(ord(substr($text, $at, 1)) ^ 1);
	return $text;
}
sub flipped_at { my ($path, $at) = @_; return changed($path, sub { flip($_[0], $at) }); }
# All that a file has but its first page.
sub garbage { my ($path) = @_; return changed($path, sub { substr($_[0], 0, 8192) . join('', map { chr(($_ * 7919) % 251) } 1 .. 8192) x (length($_[0]) / 8192 - 1) }); }

sub while_harmed
{
	my ($undo, $look) = @_;
	$look->();
	$undo->();
	return;
}

# --- what the backup brings with it, and what the archive has ---

my %places = (plain => [ backup_with_records('plain') ], tar => [ backup_with_records('tar', '-Ft') ], gz => [ backup_with_records('gz', '-Ft', '-z') ],
	fetch => [ backup_with_records('fetch', '-Ft', '-Xfetch') ], none => [ backup_with_records('none', '-Xnone') ]);
archive_now($node);
add_repository($node, $folder);
foreach my $label (sort keys %places)
{
	is(level7($folder, $label), 'pass', "$label: pass");
	cmp_ok(fact($label, 'wal_files_read'), '>=', $label eq 'none' ? 3 : 6, "$label: of each place all files are read");
}

my $base = "$folder->{location}/plain";
foreach my $which (0, 1)
{
	my ($file, $at) = @{ $places{plain}[$which] };
	foreach my $case ([ 'its own', "$base/pg_wal/$file" ], [ 'the archive', "$archive/$file" ])
	{
		my ($where, $path) = @$case;
		while_harmed(flipped_at($path, $at), sub {
			like(level7($folder, 'plain'), qr{^fail: WAL file \Q$path\E is damaged, and the backup needs it: incorrect resource manager data checksum in record at [0-9A-F]+/[0-9A-F]+\z},
				"a byte in WAL $which, $where: fail, in words") });
		while_harmed(garbage($path), sub {
			like(level7($folder, 'plain'), qr{^fail: WAL file \Q$path\E is damaged, and the backup needs it: }, "garbage in WAL $which, $where: fail") });
	}
}
{
	my ($file, $at) = @{ $places{plain}[1] };
	my ($rc, $out, $err) = rc_of('pg_verifybackup', $base);
	is($rc, 0, 'pg_verifybackup finds nothing wrong');
	while_harmed(flipped_at("$base/pg_wal/$file", $at), sub {
		($rc) = rc_of('pg_verifybackup', $base);
		is($rc, 1, 'as it finds the byte') });
	# what comes after it in its last file, when there is another one
	my ($last) = slurp_file("$base/backup_manifest") =~ m{"End-LSN": "([0-9A-F]+/[0-9A-F]+)"};
	my ($last_file, $end) = split /\|/, sql(qq{select file_name || '|' || file_offset from pg_walfile_name_offset('$last')});
	my $tail = sub { changed($_[0], sub { substr($_[0], 0, $end) . "\xa5" x ($segment_size - $end) }) };
	while_harmed($tail->("$archive/$last_file"), sub {
		my $found = level7($folder, 'plain');
		# a switch to the next file may come at once
		like($found, qr/^fail: WAL file \Q$archive\/$last_file\E is damaged after what the backup needs, so a recovery ends there: /, 'garbage after what it needs, in the archive: fail, in words') });
	while_harmed($tail->("$base/pg_wal/$last_file"), sub { is(level7($folder, 'plain'), 'pass', 'its own WAL ends with it: pass') });
	# in zeros after the last record of a file
	while_harmed(flipped_at("$archive/$file", $segment_size - 20000), sub {
		is(level7($folder, 'plain'), 'pass', 'a byte that no recovery reads: pass') });
	my ($after) = sort grep { m{/[0-9A-F]{24}\z} && $_ gt "$archive/$places{none}[1][0]" } glob("$archive/*");
	while_harmed(garbage($after), sub { is(level7($folder, 'plain'), 'pass', 'WAL that this backup does not need: pass') });
	while_harmed(moved("$archive/$file"), sub { is(level7($folder, 'plain'), 'pass', 'a file that the archive lacks is its own') });
	while_harmed(moved(glob("$base/pg_wal/0*")), sub {
		is(level7($folder, 'plain'), 'pass', 'without WAL of its own: pass');
		while_harmed(flipped_at("$archive/$file", $at), sub {
			like(level7($folder, 'plain'), qr/^fail: WAL file \Q$archive\/$file\E is damaged/, 'and the archive\'s is read') }) });
	while_harmed(moved("$base/pg_wal/$file", "$archive/$file"), sub {
		is(level7($folder, 'plain'), "fail: WAL $file is missing, and the backup needs it", 'missing at both: fail') });
	while_harmed(mode_of("$archive/$file", 0000), sub {
		like(level7($folder, 'plain'), qr/^fail: WAL file \Q$archive\/$file\E is damaged, .*it cannot be opened: Permission denied\z/, 'it cannot be read: fail') });
	# of a folder that is closed nothing is known of the files in it
	foreach my $mode (0000, 0400)
	{
		my $closed = sprintf '%04o', $mode;
		while_harmed(mode_of($archive, $mode), sub {
			like(level7($folder, 'none'), qr/^not_checked: WAL [0-9A-F]{24} is missing, and the backup needs it, and archive "\Q$archive\E" cannot be looked into: Permission denied\z/, "the archive of mode $closed: not checked, in words");
			is(level7($folder, 'plain'), 'pass', "the archive of mode $closed, and all of its own: pass") });
		while_harmed(mode_of("$base/pg_wal", $mode), sub {
			is(level7($folder, 'plain'), "not_checked: $base/pg_wal cannot be looked into: Permission denied", "pg_wal of mode $closed: not checked, in words") });
	}
	while_harmed(moved("$archive"), sub { is(level7($folder, 'plain'), 'pass', 'no archive, and all of its own: pass (levels 5 and 6 have it)') });
}

# --- in tar ---

# Where a byte of a file is in an archive.
sub in_tar
{
	my ($path, $name, $at) = @_;
	my $text = slurp_file($path);
	my $header = index($text, $name . "\0");
	die "$name is not in $path" if $header < 0 || $header % 512;
	return $header + 512 + $at;
}
foreach my $case ([ 'tar', 'pg_wal.tar', '' ], [ 'fetch', 'base.tar', 'pg_wal/' ])
{
	my ($label, $tar, $prefix) = @$case;
	my ($file, $at) = @{ $places{$label}[1] };
	my $path = "$folder->{location}/$label/$tar";
	while_harmed(flipped_at($path, in_tar($path, $prefix . $file, $at)), sub {
		like(level7($folder, $label), qr/^fail: WAL file \Q$path, $prefix$file\E is damaged, and the backup needs it: /, "a byte in $tar: fail, in words") });
	is(level7($folder, $label), 'pass', "$tar, put back: pass");
}
{
	my ($file, $at) = @{ $places{gz}[1] };
	my $path = "$folder->{location}/gz/pg_wal.tar.gz";
	while_harmed(flipped_at($path, int((-s $path) / 2)), sub {
		like(level7($folder, 'gz'), qr/^fail: \Q$path\E cannot be unpacked to its end/, 'a byte in pg_wal.tar.gz: fail') });
	# packed anew, so that gzip has nothing against it
	my $packed = slurp_file($path);
	my $plain = "$folder->{location}/../repacked.tar";
	system_or_bail('sh', '-c', "gzip -dc $path > $plain");
	my $undo_plain = flipped_at($plain, in_tar($plain, $file, $at));
	system_or_bail('sh', '-c', "gzip -1c $plain > $path");
	like(level7($folder, 'gz'), qr/^fail: WAL file \Q$path, $file\E is damaged, and the backup needs it: /, 'a byte in WAL of pg_wal.tar.gz: fail, in words');
	write_file($path, $packed);
	unlink $plain;
	is(level7($folder, 'gz'), 'pass', 'pg_wal.tar.gz, put back: pass');
}

# packed in each way; in base.tar only where there is WAL in it
foreach my $case ([ 'tar', 'pg_wal.tar', '' ], [ 'fetch', 'base.tar', 'pg_wal/' ])
{
	my ($label, $tar, $prefix) = @$case;
	my ($file, $at) = @{ $places{$label}[1] };
	my $path = "$folder->{location}/$label/$tar";
	my $whole = slurp_file($path);
	my $place = in_tar($path, $prefix . $file, $at);
	my $undo = moved($path);
	foreach my $ending (qw(gz lz4 zst))
	{
		write_file("$path.$ending", packed($ending, $whole));
		is(level7($folder, $label), 'pass', "$tar.$ending: pass");
		cmp_ok(fact($label, 'wal_files_read'), '>=', 6, "$tar.$ending: of each place all files are read");
		write_file("$path.$ending", packed($ending, flip($whole, $place)));
		like(level7($folder, $label), qr/^fail: WAL file \Q$path.$ending, $prefix$file\E is damaged, and the backup needs it: /, "a byte in WAL of $tar.$ending: fail, in words");
		write_file("$path.$ending", substr packed($ending, $whole), 0, -1);
		like(level7($folder, $label), qr/^fail: .*\Q$tar.$ending\E(?: cannot be unpacked to its end|: it is cut off)/, "$tar.$ending, cut off: fail");
		unlink "$path.$ending";
	}
	$undo->();
	is(level7($folder, $label), 'pass', "$tar, put back: pass");
}

# --- an archive that is compressed, in one folder or in several ---

my ($file, $at) = @{ $places{none}[1] };
my %programs = (gz => 'gzip', zst => 'zstd', lz4 => 'lz4', bz2 => 'bzip2', xz => 'xz');
foreach my $ending (sort keys %programs)
{
	my $program = $programs{$ending};
	if ((rc_of('sh', '-c', "command -v $program"))[0] != 0)
	{
		note("$program is not on this machine: nothing is compressed with it");
		next;
	}
	my $whole = slurp_file("$archive/$file");
	my $put = sub {
		my ($text, $path) = @_;
		write_file("$archive/plain.tmp", $text);
		system_or_bail('sh', '-c', "$program -c < $archive/plain.tmp > $path && rm $archive/plain.tmp");
		# an old one: it is not on its way any more
		utime time - 3600, time - 3600, $path;
	};
	unlink "$archive/$file";
	$put->($whole, "$archive/$file.$ending");
	is(level7($folder, 'none'), 'pass', "$ending: pass");
	# as Barman keeps it
	mkdir "$archive/" . substr($file, 0, 16);
	my $inner = "$archive/" . substr($file, 0, 16) . "/$file";
	rename "$archive/$file.$ending", $inner or die $!;
	is(level7($folder, 'none'), 'pass', "$ending, in a folder of its timeline and without an ending: pass");
	# as pgBackRest does
	rename $inner, "$inner-" . 'a' x 40 . ".$ending" or die $!;
	is(level7($folder, 'none'), 'pass', "$ending, with a checksum in its name: pass");
	unlink "$inner-" . 'a' x 40 . ".$ending";
	rmdir "$archive/" . substr($file, 0, 16);
	$put->(flip($whole, $at), "$archive/$file.$ending");
	like(level7($folder, 'none'), qr/^fail: WAL file \Q$archive\/$file.$ending\E is damaged, and the backup needs it: incorrect resource manager data checksum/,
		"$ending, a byte in WAL: fail, in words");
	$put->(substr($whole, 0, $segment_size / 2), "$archive/$file.$ending");
	like(level7($folder, 'none'), qr/^fail: WAL file \Q$archive\/$file.$ending\E is damaged, and the backup needs it: /, "$ending, half of it: fail");
	$put->($whole x 3, "$archive/$file.$ending");
	like(level7($folder, 'none'), qr/^fail: WAL file \Q$archive\/$file.$ending\E is damaged, and the backup needs it: (?:what $program unpacks is more than a whole WAL file|it is cut off|it cannot be unpacked to a whole WAL file)\z/,
		"$ending, three of it: fail");
	$put->($whole, "$archive/$file.$ending");
	while_harmed(changed("$archive/$file.$ending", sub { flip($_[0], length($_[0]) / 2) }), sub {
		like(level7($folder, 'none'), qr/^fail: WAL file \Q$archive\/$file.$ending\E is damaged, and the backup needs it: /, "$ending, a byte of what is packed: fail") });
	unlink "$archive/$file.$ending";
	write_file("$archive/$file", $whole);
}
{
	# a whole file of lz4's in which there is nothing
	my $whole = slurp_file("$archive/$file");
	unlink "$archive/$file";
	write_file("$archive/$file.lz4", "\x04\x22\x4d\x18\x60\x40\x82\0\0\0\0");
	utime time - 3600, time - 3600, "$archive/$file.lz4";
	like(level7($folder, 'none'), qr/^fail: WAL file \Q$archive\/$file.lz4\E is damaged, and the backup needs it: it cannot be unpacked to a whole WAL file\z/,
		'nothing in it: fail');
	write_file("$archive/$file.lz4", 'Salted__' . 'x' x 1024);
	like(level7($folder, 'none'), qr/^not_checked: WAL file \Q$archive\/$file.lz4\E is not read: it is encrypted\z/, 'encrypted: not checked');
	unlink "$archive/$file.lz4";
	write_file("$archive/$file", $whole);
}
is(level7($folder, 'none'), 'pass', 'put back: pass');

# --- nothing is left of what was unpacked ---

is(sql(q{select count(*) from pg_ls_tmpdir()}), '0', 'no temporary file is left');

# --- its version ---

my $other = flipped_at("$archive/$file", 0);
like(level7($folder, 'none'), qr/^fail: /, 'a byte of the mark of its version: fail');
$other->();

# --- Barman ---

SKIP:
{
	skip 'Barman is not installed', 1 if !has_barman();
	my $barman = make_barman($node);
	my $id = barman_backup($barman);
	archive_now($node, $barman);
	add_repository($node, $barman);
	is(level7($barman, $id), 'pass', 'Barman: pass');
	cmp_ok(fact($id, 'wal_files_read'), '>=', 1, 'Barman: WAL is read');
	my ($start, $offset) = split /\|/, sql(qq{select start_wal || '|' || (pg_walfile_name_offset(start_lsn)).file_offset
		from maintsched.current_backups('primary') where label = '$id'});
	my $path = "$barman->{wals}/" . substr($start, 0, 16) . "/$start";
	# the body of the first record, after its header
	while_harmed(flipped_at($path, $offset + 26), sub {
		like(level7($barman, $id), qr/^fail: WAL file \Q$path\E is damaged, and the backup needs it: /, 'Barman, a byte: fail, in words') });
	while_harmed(mode_of($path =~ s{/[^/]*\z}{}r, $_), sub {
		is(level7($barman, $id), "not_checked: WAL file $path is not read: its folder cannot be looked into: Permission denied", 'Barman, a closed folder: not checked, in words') }) foreach 0000, 0400;
	my $whole = slurp_file($path);
	system_or_bail('sh', '-c', "gzip -c $path > $path.new && mv $path.new $path");
	is(level7($barman, $id), 'pass', 'Barman, compressed: pass');
	write_file("$path.new", flip($whole, $offset + 26));
	system_or_bail('sh', '-c', "gzip -c $path.new > $path && rm $path.new");
	utime time - 3600, time - 3600, $path;
	like(level7($barman, $id), qr/^fail: WAL file \Q$path\E is damaged, and the backup needs it: /, 'Barman, compressed, a byte: fail');
	stop_receiving($barman);
}

$node->stop;
done_testing();
