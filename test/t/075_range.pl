# Whether the WAL that a manifest says the backup needs is all that it needs: a
# manifest that was forged to end early has its checksum right, and pg_verifybackup
# takes it (src/backup/level7_wal.c).  No real backup is suspected: from a primary or
# a standby, beside another one, incremental, in tar format, over a switch of
# timelines, or made by hand.
use strict;
use warnings FATAL => 'all';
use Digest::SHA qw(sha256_hex);
use File::Find;
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sabotage;
use Test::More;

my $node = backup_server('range', initdb => ['--wal-segsize=1'], settings => [ 'full_page_writes = on', 'max_wal_senders = 10' ], rows => 2000);
my $folder = make_folder($node);
my $version = sql('show server_version_num') / 10000;

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

sub level7
{
	my ($label) = @_;
	said($node, "call maintsched.verify_repository('folder', 7, '$label')");
	return sql(qq{select result || coalesce(': ' || nullif(array_to_string(problems, '; '), ''), '')
		from maintsched.backup_check where label = '$label' and level = 7 order by check_id desc limit 1});
}

sub path_of { my ($label) = @_; return "$folder->{location}/$label"; }

# The ranges of a manifest: timeline, begin, end.
sub ranges
{
	my ($label) = @_;
	return slurp_file(path_of($label) . '/backup_manifest') =~ /"Timeline": (\d+), "Start-LSN": "([^"]+)", "End-LSN": "([^"]+)"/g;
}

# The manifest with something else in it, and its checksum right.
sub sealed { my ($text) = @_; return qq{$text"Manifest-Checksum": "} . sha256_hex($text) . "\"}\n"; }
sub forged
{
	my ($label, $harm) = @_;
	return changed(path_of($label) . '/backup_manifest', sub {
		my ($text) = @_;
		$text =~ s/"Manifest-Checksum": "[0-9a-f]+"\}\n\z//;
		my $new = $harm->($text);
		die 'nothing is forged' if $new eq $text;
		sealed($new) });
}

sub ends_at { my ($end) = @_; return sub { $_[0] =~ s/(?<="End-LSN": ")[^"]+/$end/r }; }

# --- a primary ---

# A backup, during which something happens.
sub backup_while
{
	my ($label, $from, $work, @options) = @_;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ 'pg_basebackup', '-d', $from->connstr('postgres'), '-D', path_of($label), '--no-sync', '-cfast', '--max-rate=16M', @options ],
		'<', \undef, '>', \$out, '2>', \$err);
	$from->poll_query_until('postgres', q{select count(*) = 1 from pg_stat_progress_basebackup where phase = 'streaming database files'})
	  or BAIL_OUT("pg_basebackup does not begin: $err");
	$work->();
	$run->finish or BAIL_OUT("pg_basebackup: $err");
	return;
}
sub write_wal { sql(q{insert into ticks select clock_timestamp() from generate_series(1, 40000); select pg_switch_wal()}); return; }

sql('create table ticks (t timestamptz)');
# the records of two ends are in the range of the first
backup_while('plain', $node, sub { base_backup($folder, 'inner'); write_wal() });
base_backup($folder, 'idle');
backup_while('tar', $node, \&write_wal, '-Ft');
backup_while('gz', $node, \&write_wal, '-Ft', '-z');
backup_while('none', $node, \&write_wal, '-Xnone');
if ($version >= 17)
{
	sql('alter system set summarize_wal = on');
	sql('select pg_reload_conf()');
	base_backup($folder, 'whole');
	base_backup($folder, 'incremental', options => [ '--incremental=' . path_of('whole') . '/backup_manifest' ]);
}

# --- by hand ---

# A copy by the low-level functions, whose manifest is made elsewhere.
sub backup_by_hand
{
	my ($label) = @_;
	my $path = path_of($label);
	my $psql = $node->background_psql('postgres');
	$psql->query_safe(q{set client_min_messages = warning; select pg_backup_start('by hand', true)});
	mkdir $path, 0700 or die $!;
	system_or_bail('sh', '-c', "cd '" . $node->data_dir . "' && tar -cf - --exclude=./pg_wal/* --exclude=./postmaster.* --exclude=./log --exclude=./pg_replslot/* . | tar -C '$path' -xf -");
	write_wal();
	my ($end, $text) = split /\|/, $psql->query_safe(q{select lsn, translate(labelfile, E'\n', '~') from pg_backup_stop()});
	$psql->quit;
	write_file("$path/backup_label", $text =~ tr/~/\n/r, 0600);
	my ($start, $timeline) = $text =~ m{START WAL LOCATION: (\S+) .*START TIMELINE: (\d+)};
	my @files;
	find({ no_chdir => 1, wanted => sub {
		return if !-f || m{/pg_wal/};
		my $data = slurp_file($_);
		push @files, sprintf '{ "Path": "%s", "Size": %d, "Last-Modified": "2026-01-01 00:00:00 GMT", "Checksum-Algorithm": "SHA256", "Checksum": "%s" }',
			substr($_, length($path) + 1), length $data, sha256_hex($data) } }, $path);
	my $system = $version >= 17 ? '"System-Identifier": ' . sql('select system_identifier from pg_control_system()') . ",\n" : '';
	write_file("$path/backup_manifest", sealed('{ "PostgreSQL-Backup-Manifest-Version": ' . ($version >= 17 ? 2 : 1) . ",\n$system\"Files\": [\n" . join(",\n", @files)
		. qq{\n],\n"WAL-Ranges": [\n{ "Timeline": $timeline, "Start-LSN": "$start", "End-LSN": "$end" }\n],\n}), 0600);
	return;
}
backup_by_hand('hand');

# --- a standby, one that it streams to, and one after that ---

my %standbys;
sub standby
{
	my ($name, $from) = @_;
	my $standby = $standbys{$name} = PostgreSQL::Test::Cluster->new($name);
	system_or_bail('pg_basebackup', '-d', $from->connstr('postgres'), '-D', $standby->data_dir, '--no-sync', '-cfast', '-R');
	chmod 0700, $standby->data_dir;
	$standby->append_conf('postgresql.conf', 'port = ' . $standby->port . "\nunix_socket_directories = '" . $standby->host . "'\nwal_keep_size = '128MB'\narchive_mode = off\n");
	$standby->start;
	return $standby;
}
sub caught_up
{
	my ($standby, $lsn) = @_;
	$standby->poll_query_until('postgres', "select pg_last_wal_replay_lsn() >= pg_lsn '$lsn'") or BAIL_OUT('the standby does not follow');
	return;
}
sub written { my ($from) = @_; return ($from // $node)->safe_psql('postgres', 'select pg_current_wal_flush_lsn()'); }
my $first = standby('first', $node);
# what it begins backups from is to be WAL that it has received
write_wal();
sql('checkpoint');
caught_up($first, written());
$first->safe_psql('postgres', 'checkpoint');
my $second = standby('second', $first);
base_backup({ %$folder, node => $first }, 'standby_idle');
backup_while('standby', $first, sub { write_wal(); caught_up($first, written()) });
backup_while('standby_tar', $first, sub { write_wal(); caught_up($first, written()) }, '-Ft');
caught_up($second, written());
backup_while('switched', $second, sub {
	$first->promote;
	$first->safe_psql('postgres', 'insert into ticks select clock_timestamp() from generate_series(1, 40000); checkpoint; select pg_switch_wal()');
	caught_up($second, written($first));
	$second->safe_psql('postgres', 'checkpoint') });
archive_now($node);
add_repository($node, $folder);

# --- none is suspected ---

my @ranges = ranges('switched');
is(@ranges / 3, 2, 'a backup over a switch of timelines');
my @labels = (qw(plain inner idle tar gz none hand standby_idle standby standby_tar switched), $version >= 17 ? qw(incremental) : ());
is(level7($_), 'pass', "$_: pass") foreach @labels;

# --- and what is forged is found out ---

# As it is written in manifests: without the zeros of pg_waldump.
sub lsn { my ($lsn) = @_; return sprintf '%X/%X', map { hex } split m{/}, $lsn; }

# Where the record begins before that of the end of a backup, by pg_waldump.
sub before_end
{
	my ($label) = @_;
	my ($timeline, $start, $end) = ranges($label);
	my ($rc, $out, $err) = rc_of('pg_waldump', '-p', $folder->{archive}, '-t', $timeline, '-s', $start, '-e', $end, '-r', 'XLOG');
	my ($at) = $out =~ m{.*, prev ([0-9A-F]+/[0-9A-F]+), desc: BACKUP_END }s;
	return lsn($at // BAIL_OUT("no record of the end of $label: $out$err"));
}
foreach my $label (qw(plain idle tar gz none hand), $version >= 17 ? 'incremental' : ())
{
	my $at = before_end($label);
	my $undo = forged($label, ends_at($at));
	my ($rc) = rc_of('pg_verifybackup', path_of($label), $label =~ /none|hand/ ? ('-w', $folder->{archive}) : ());
	is($rc, 0, "$label, forged to end early: pg_verifybackup takes it") if $label !~ /tar|gz/;
	is(level7($label), "fail: the WAL that the backup needs goes on after $at, where it ends by the manifest: the record of the end of the backup is not in it", "$label, forged to end early: fail, in words");
	$undo->();
	is(level7($label), 'pass', "$label, put back: pass");
}
{
	# the record of the end of another backup is none of this one's
	my (undef, undef, $inner) = ranges('inner');
	my $undo = forged('plain', ends_at($inner));
	like(level7('plain'), qr/^fail: the WAL that the backup needs goes on after \Q$inner\E, /, 'the end of another backup: fail');
	$undo->();
	my ($begin) = (ranges('inner'))[1];
	$undo = forged('plain', sub { $_[0] =~ s/(?<="Start-LSN": ")[^"]+/$begin/r });
	my $start = (slurp_file(path_of('plain') . '/backup_label') =~ /START WAL LOCATION: (\S+)/)[0];
	like(level7('plain'), qr/^fail: .*the backup begins at \Q$start\E by its backup_label, and at \Q$begin\E by the manifest/, 'forged to begin late: fail, in words');
	$undo->();
}
foreach my $label (qw(standby standby_tar))
{
	my (undef, $start) = ranges($label);
	# the first record after its begin
	my ($rc, $out) = rc_of('pg_waldump', '-p', $folder->{archive}, '-s', $start, '-n', 2);
	my $at = lsn($out =~ m{.*lsn: ([0-9A-F]+/[0-9A-F]+)}s);
	my $undo = forged($label, ends_at($at));
	like(level7($label), qr/^fail: the WAL that the backup needs goes on after \Q$at\E, where it ends by the manifest: its control file is to be recovered up to [0-9A-F]+\/[0-9A-F]+ on timeline 1$/,
		"$label, forged to end early: fail, in words");
	$undo->();
}
{
	my $undo = forged('switched', sub { $_[0] =~ s/\{ "Timeline": 2, [^}]*\},\n//r });
	like(level7('switched'), qr/^fail: the WAL that the backup needs goes on after .* its control file is to be recovered up to \S+ on timeline 2\b/, 'without its second timeline: fail');
	$undo->();
}

$_->stop foreach $second, $first, $node;
done_testing();
