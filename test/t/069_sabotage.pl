# Base backups that are sabotaged: which level is reached, what is said, beside
# pg_verifybackup's word and a restore.
use strict;
use warnings FATAL => 'all';
use Digest::SHA qw(sha256_hex);
use File::Path qw(remove_tree);
use FindBin;
use IPC::Run;
use lib $FindBin::RealBin;
use Backups;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sabotage;
use Test::More;

my $node = backup_server('sabotage', tablespace => 1);
my $major = $node->pg_version->major;
my $root = root($node);

sub sql { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql); }

# --- the scenery: a plain backup with its WAL, one without, one in tar.gz ---

my $folder = make_folder($node);
my $plain = base_backup($folder, 'plain');
my $bare = make_folder($node, name => 'bare', archive => 0);
$bare->{archive} = $folder->{archive};
my $nowal = base_backup($bare, 'nowal', wal => 'none');
my $tars = make_folder($node, name => 'tars', archive => 0);
$tars->{archive} = $folder->{archive};
my $tar = base_backup($tars, 'tar', format => 'tar', gzip => 1);
my $lz4 = base_backup($tars, 'lz4', format => 'tar', compress => 'client-lz4');
my $zstd = base_backup($tars, 'zstd', format => 'tar', compress => 'client-zstd');
my @segments = map { archive_now($node) } 1 .. 4;
my $archive = $folder->{archive};
my ($own_wal) = slurp_file("$nowal/backup_label") =~ /file ([0-9A-F]{24})/;

# the files of a table, its index, and of a table in the tablespace
my $table = sql(q{select pg_relation_filepath('customer')}, 'shop');
my $index = sql(q{select pg_relation_filepath('customer_pkey')}, 'shop');
my $history = sql(q{select pg_relation_filepath('history')}, 'shop');
my ($link) = glob("$plain/pg_tblspc/*");

my @folder = (repository => $folder, label => 'plain', tool => sub { return verifybackup_says($plain) });
my @bare = (repository => $bare, label => 'nowal', tool => sub { return verifybackup_says($nowal, '-n') . ' (-n)' });
sub tar_says { my ($path) = @_; return $major >= 18 ? verifybackup_says($path, '-n') . ' (-n)' : 'pg_verifybackup reads no tar'; }
my @tar = (repository => $tars, label => 'tar', tool => sub { return tar_says($tar) });
my @lz4 = (repository => $tars, label => 'lz4', tool => sub { return tar_says($lz4) });
my @zstd = (repository => $tars, label => 'zstd', tool => sub { return tar_says($zstd) });

# --- nothing: so that the harms are what is found ---

sabotage(@folder, what => 'none', level => 10, ok => 1, verdict => 'WARN', drill => 'works');
sabotage(@bare, what => 'none (without WAL of its own)', level => 10, ok => 1, verdict => 'WARN', drill => 'works');
sabotage(@tar, what => 'none (tar.gz)', level => 10, ok => 1, verdict => 'WARN', drill => 'works');
sabotage(@lz4, what => 'none (tar.lz4)', level => 10, ok => 1, verdict => 'WARN', drill => 'works');
sabotage(@zstd, what => 'none (tar.zst)', level => 10, ok => 1, verdict => 'WARN', drill => 'works');

# --- files ---

sabotage(@folder, what => 'a table\'s file is missing', level => 6, says => [qr/\Q$table\E/, qr/not in the backup/],
	harm => sub { moved("$plain/$table") }, drill => 'fails');
sabotage(@folder, what => 'a file is there besides', level => 6, says => [qr/base\/1\/surprise/, qr/not in the manifest/],
	harm => sub { write_file("$plain/base/1/surprise", 'x'); sub { unlink "$plain/base/1/surprise" } });
sabotage(@folder, what => 'a table\'s file is cut off', level => 6, says => [qr/\Q$table\E/],
	harm => sub { cut_off("$plain/$table") });
sabotage(@folder, what => 'an index\'s file has grown', level => 6, says => [qr/\Q$index\E/],
	harm => sub { appended("$plain/$index") });
sabotage(@folder, what => 'bytes of a table are flipped', level => 6, says => [qr/\Q$table\E/, qr/CRC32C is not the one in the manifest/],
	harm => sub { flipped("$plain/$table") }, drill => 'fails');
sabotage(@folder, what => 'bytes of a table in the tablespace are flipped', level => 6, says => [qr/pg_tblspc/, qr/CRC32C is not the one in the manifest/],
	harm => sub { flipped("$plain/$history") });
sabotage(@folder, what => 'a file is empty', level => 6, says => [qr/\Q$table\E/],
	harm => sub { overwritten("$plain/$table", '') });
sabotage(@folder, what => 'a file cannot be read', level => 6, says => [qr/\Q$table\E/, qr/[Pp]ermission denied/],
	harm => sub { mode_of("$plain/$table", 0000) });
sabotage(@folder, what => 'a file is a link to one elsewhere', level => 6, says => [qr/\Q$table\E/, qr/link/],
	harm => sub { linked("$plain/$table", $node->data_dir . "/$table") });
sabotage(@folder, what => 'the tablespace is missing', level => 0, says => [qr/pg_tblspc/],
	harm => sub { moved("$plain.space") }, drill => 'fails');
sabotage(@folder, what => 'the tablespace\'s link leads to the one in use', level => 0, says => [qr/pg_tblspc/, qr/link|leads/],
	harm => sub { linked($link, space_of($node)) }, drill => 'fails');
sabotage(@folder, what => 'its own WAL is missing, the archive has it', level => 10, ok => 1, verdict => 'WARN',
	harm => sub { moved(glob("$plain/pg_wal/0*")) }, drill => 'works');

# --- the manifest and the label ---

sabotage(@folder, what => 'the manifest is missing', level => 0, says => [qr/manifest/],
	harm => sub { moved("$plain/backup_manifest") });
sabotage(@folder, what => 'the manifest is cut off', level => 0, says => [qr/manifest/],
	harm => sub { cut_off("$plain/backup_manifest") });
sabotage(@folder, what => 'a size in the manifest is edited', level => 0, says => [qr/manifest/, qr/checksum/],
	harm => sub { changed("$plain/backup_manifest", sub { $_[0] =~ s/("Size": 8192)0?/"Size": 8193/r }) });

# The manifest without a file, and its checksum made anew.
sub forged
{
	my ($text, $path) = @_;
	$text =~ s/^\{ "Path": "\Q$path\E".*\},?\n//m or die;
	$text =~ s/("Manifest-Checksum": ")[0-9a-f]+"\}\n\z//;
	my ($head, $tail) = ($text, $1);
	return $head . $tail . sha256_hex($head) . "\"}\n";
}
sabotage(@folder, what => 'a file is missing in the manifest as well, which is forged', level => 9, says => [qr/\Q$table\E|customer/],
	harm => sub { my @undo = (changed("$plain/backup_manifest", sub { forged($_[0], $table) }), moved("$plain/$table")); sub { $_->() foreach @undo } },
	drill => 'fails');
sabotage(@folder, what => 'backup_label is missing', level => 0, says => [qr/backup_label/],
	harm => sub { moved("$plain/backup_label") }, );

# --- WAL ---

sabotage(@folder, what => 'WAL is missing in the middle of the archive', level => 5, says => [qr/WAL $segments[1] missing: plain can be restored only up to/],
	harm => sub { moved("$archive/$segments[1]") }, drill => 'works');
sabotage(@bare, what => 'WAL that the backup needs is missing', level => 5, says => [qr/WAL $own_wal missing, needed by nowal/],
	harm => sub { moved("$archive/$own_wal") }, drill => 'fails');
sabotage(@bare, what => 'WAL that the backup needs is cut off', level => 5, says => [qr/$own_wal/, qr/needed by nowal/],
	harm => sub { cut_off("$archive/$own_wal") }, drill => 'fails');
# where the first record of a backup has its contents
sub first_record { my ($path) = @_; return hex((slurp_file("$path/backup_label") =~ m{^START WAL LOCATION: [0-9A-F]+/([0-9A-F]+)}m)[0]) % 16777216 + 26; }
my ($plain_wal) = slurp_file("$plain/backup_label") =~ /file ([0-9A-F]{24})/;
sabotage(@bare, what => 'bytes of WAL that the backup needs are flipped', level => 6, says => [qr/$own_wal is damaged, and the backup needs it: incorrect resource manager data checksum/],
	harm => sub { flipped("$archive/$own_wal", first_record($nowal)) }, drill => 'fails');
sabotage(@folder, what => 'bytes of its own WAL are flipped', level => 6, says => [qr/pg_wal\/$plain_wal is damaged, and the backup needs it: incorrect resource manager data checksum/],
	harm => sub { flipped("$plain/pg_wal/$plain_wal", first_record($plain)) });
sabotage(@folder, what => 'WAL that it needs is garbage from its start on', level => 6, says => [qr/$plain_wal is damaged, and the backup needs it/],
	harm => sub { my @undo = map { changed("$_/$plain_wal", sub { my $at = first_record($plain); substr($_[0], 0, $at) . "\xa5" x (length($_[0]) - $at) }) } $archive, "$plain/pg_wal"; sub { $_->() foreach @undo } });
sabotage(@folder, what => 'the last WAL is missing, of which the archiver was told it is there', level => 4,
	says => [qr/archive_command returned success for $segments[3], which is not in the archive/],
	harm => sub { moved("$archive/$segments[3]") });
sabotage(@folder, what => 'WAL in the middle is of zeros', level => 5, says => [qr/$segments[1]/],
	harm => sub { changed("$archive/$segments[1]", sub { "\0" x length $_[0] }) });
sabotage(@folder, what => 'WAL in the middle is another file of it', level => 5, says => [qr/$segments[1]/],
	harm => sub { overwritten("$archive/$segments[1]", slurp_file("$archive/$segments[2]")) });
sabotage(@folder, what => 'the archive\'s folder is missing', level => 4, verdict => 'UNKNOWN', says => [qr/archive/],
	harm => sub { moved($archive) });
sabotage(@folder, what => 'the archive cannot be read', level => 4, verdict => 'UNKNOWN', says => [qr/[Pp]ermission denied/],
	harm => sub { mode_of($archive, 0000) });
sabotage(@folder, what => 'the archive can be listed, and no file of it looked at', level => 4, verdict => 'UNKNOWN', says => [qr/not seen: .*[Pp]ermission denied/],
	harm => sub { mode_of($archive, 0400) });

# --- what is expected of it ---

sabotage(@folder, what => 'it is too old', level => 1, with => { max_age => '1 millisecond' }, says => [qr/it may be .* old/]);
sabotage(@folder, what => 'it lies elsewhere than it should', level => 3, with => { expected_location => '/mnt/offsite/*' }, says => [qr/offsite/]);
sabotage(@folder, what => 'it is not encrypted', level => 3, with => { encrypted => 'true' }, says => [qr/encrypted/]);
sabotage(@folder, what => 'there are too few copies', level => 3, with => { copies => 3 }, says => [qr/3/]);

# --- the repository ---

sabotage(repository => $folder, what => 'there is no backup', level => undef, says => [qr/no backup/],
	harm => sub { moved($plain) });
sabotage(@folder, what => 'the folder cannot be read', level => undef, verdict => 'UNKNOWN', says => [qr/could not|[Pp]ermission denied/],
	harm => sub { mode_of($folder->{location}, 0000) });
# pg_basebackup is killed in the middle of it.
sabotage(repository => $folder, label => 'begun', what => 'a backup was broken off', level => 0, says => [qr/begun/, qr/is not ended/],
	tool => sub { return verifybackup_says("$folder->{location}/begun") },
	harm => sub {
		my $begun = "$folder->{location}/begun";
		my $run = IPC::Run::start([ 'pg_basebackup', '-d', $node->connstr('postgres'), '-D', $begun, '--no-sync', '-cfast', '-X', 'none',
			'-T', space_of($node) . "=$begun.space", '--max-rate', '1M' ], '<', \undef, '>', \my $out, '2>', \my $err);
		my $count = 0;
		until (-e "$begun/backup_label" && glob("$begun/base/*/*"))
		{
			die 'pg_basebackup does not begin' if $count++ > 10 * $PostgreSQL::Test::Utils::timeout_default;
			select(undef, undef, undef, 0.1);
		}
		$run->signal('KILL');
		eval { $run->finish };
		$node->poll_query_until('postgres', 'select count(*) = 0 from pg_stat_progress_basebackup') or die 'the server goes on';
		sub { remove_tree($begun, "$begun.space") } });

# --- archives in tar ---

sabotage(@tar, what => 'base.tar.gz is cut off', level => 6, says => [qr/base\.tar\.gz/],
	harm => sub { cut_off("$tar/base.tar.gz", 0.9) }, drill => 'fails');
sabotage(@tar, what => 'bytes of base.tar.gz are flipped', level => 6, says => [qr/base\.tar\.gz/],
	harm => sub { flipped("$tar/base.tar.gz") });
sabotage(@tar, what => 'base.tar.gz is missing', level => 0, says => [qr/backup tar has an error/],
	harm => sub { moved("$tar/base.tar.gz") });
my ($space_of_lz4) = glob("$lz4/[0-9]*.tar.lz4");
foreach my $case ([ \@lz4, "$lz4/base.tar.lz4" ], [ \@zstd, "$zstd/base.tar.zst" ], [ \@lz4, $space_of_lz4 ])
{
	my ($which, $path) = @$case;
	my $name = $path =~ s/.*\///r;
	sabotage(@$which, what => "$name is cut off", level => 6, says => [qr/\Q$name\E: it is cut off/],
		harm => sub { cut_off($path, 0.9) }, drill => 'fails', );
	sabotage(@$which, what => "bytes of $name are flipped", level => 6,
		harm => sub { flipped($path) });
	sabotage(@$which, what => "something was appended to $name", level => 6, says => [qr/\Q$name\E: it is not what was compressed/],
		harm => sub { appended($path) });
	sabotage(@$which, what => "$name is missing", level => $name =~ /^base/ ? 0 : 6, says => [ $name =~ /^base/ ? qr/has an error/ : qr/pg_tblspc/ ],
		harm => sub { moved($path) });
}

# --- sizes: backups before and after most of the data is gone ---

my $sizes = make_folder($node, name => 'sizes', archive => 0);
$sizes->{archive} = $archive;
sql(q{create table large as select i, repeat('x', 1000) as x from generate_series(1, 60000) i; checkpoint});
base_backup($sizes, "large$_", options => ['--manifest-checksums=NONE']) foreach 1 .. 3;
sabotage(repository => $sizes, label => 'large1again', what => 'the same backup is there twice', level => 2, says => [qr/same one twice/],
	tool => sub { return verifybackup_says("$sizes->{location}/large1again", '-n') . ' (-n)' },
	harm => sub { system('cp', '-a', "$sizes->{location}/large1", "$sizes->{location}/large1again") == 0 or die;
		sub { remove_tree("$sizes->{location}/large1again") } });
sql(q{drop table large; checkpoint});
base_backup($sizes, 'half', options => ['--manifest-checksums=NONE']);
sabotage(repository => $sizes, label => 'half', what => 'it is half as large', level => 2, says => [qr/size .* (?:half of|% of) the /],
	tool => sub { return verifybackup_says("$sizes->{location}/half", '-n') . ' (-n)' });

# --- another cluster ---

my $other = PostgreSQL::Test::Cluster->new('other');
$other->init(allows_streaming => 1, extra => ['--data-checksums']);
$other->start;
my $strange = make_folder($node, name => 'strange', archive => 0);
$strange->{archive} = $archive;
base_backup({ %$strange, node => $other }, 'strange');
sabotage(repository => $strange, label => 'strange', what => 'it is of another cluster', level => 4, says => [qr/is of another cluster/],
	tool => sub { return verifybackup_says("$strange->{location}/strange") });
my $foreign = $other->safe_psql('postgres', 'select pg_walfile_name(pg_switch_wal())');
sabotage(@folder, what => 'WAL in the middle is of another cluster', level => 4, says => [qr/$segments[1]/, qr/another cluster/],
	harm => sub { overwritten("$archive/$segments[1]", slurp_file($other->data_dir . "/pg_wal/$foreign")) });
$other->stop;

# --- archive_command ---

# It says that all is well, and has put the files where nobody finds them.
my $nowhere = PostgreSQL::Test::Utils::tempdir_short;
sabotage(@folder, what => 'archive_command throws files away', level => 4,
	says => [qr/archive_command returned success for [0-9A-F]{24}, which is not in the archive/],
	harm => sub { archive_command($node, "cp %p $nowhere/%f"); archive_now($node); sub { archive_command($node) } });
archive_now($node);
my ($lost) = map { s{.*/}{}r } glob("$nowhere/*");
sabotage(@folder, what => 'archive_command has thrown files away, and does no more', level => 5,
	says => [qr/WAL $lost missing: plain can be restored only up to/]);
system("cp $nowhere/* $archive/") == 0 or die;
sabotage(@folder, what => 'archive_command fails', level => 4, with => { rpo => '1 millisecond' }, says => [qr/archiving fails: [0-9A-F]{24} could not be archived/],
	harm => sub {
		archive_command($node, 'false');
		sql('insert into ticks values (clock_timestamp()); select pg_switch_wal(); insert into ticks values (clock_timestamp())');
		$node->poll_query_until('postgres', 'select failed_count > 0 and last_failed_time > coalesce(last_archived_time, last_failed_time) from pg_stat_archiver') or die;
		sub { archive_command($node); archive_now($node); } });

# --- timelines ---

# A copy that goes its own way, twice, and is backed up.
my $apart = PostgreSQL::Test::Utils::tempdir_short;
system("cp -a $plain $apart/data && cp -a $plain.space $apart/space && ln -sfn $apart/space $apart/data/pg_tblspc/" . $link =~ s{.*/}{}r) == 0 or die;
append_to_file("$apart/data/postgresql.conf", "archive_mode = off\nunix_socket_directories = '$apart'\nrestore_command = 'cp $archive/%f %p'\nmaintsched.launcher = off\n");
my @server = ('-D', "$apart/data", '-w', '-l', "$apart/log", '-o', '-p ' . $node->port);
foreach (1, 2)
{
	write_file("$apart/data/recovery.signal", '');
	system_or_bail('pg_ctl', @server, 'start');
	my $there = $apart . ' port=' . $node->port . ' dbname=postgres';
	my $count = 0;
	until ((rc_of('psql', '-XAtc', 'select pg_is_in_recovery()', '-d', "host=$there"))[1] eq "f\n")
	{
		BAIL_OUT('the copy is not promoted') if $count++ > 10 * $PostgreSQL::Test::Utils::timeout_default;
		select(undef, undef, undef, 0.1);
	}
	system_or_bail('pg_ctl', @server, '-m', 'fast', 'stop') if $_ == 1;
}
my $fork = make_folder($node, name => 'fork', archive => 0);
$fork->{archive} = $archive;
system_or_bail('pg_basebackup', '-d', "host=$apart port=" . $node->port . ' dbname=postgres', '-D', "$fork->{location}/fork", '--no-sync', '-cfast',
	'-T', "$apart/space=$fork->{location}/fork.space");
system_or_bail('pg_ctl', @server, '-m', 'immediate', 'stop');
sabotage(repository => $fork, label => 'fork', what => 'it is of a timeline that was left', level => 4,
	says => [qr/is of timeline 3, and this server is on timeline 1, which does not come from it/],
	tool => sub { return verifybackup_says("$fork->{location}/fork") });
sabotage(@folder, what => 'the archive has a timeline of somebody else', level => 4, says => [qr/the archive has timeline 3, which branched off/],
	harm => sub { my @files = glob("$apart/data/pg_wal/*.history");
		system('cp', @files, $archive) == 0 or die;
		sub { unlink map { "$archive/" . s{.*/}{}r } @files } });

# The server itself is promoted.
$node->stop;
write_file($node->data_dir . '/standby.signal', '');
$node->start;
$node->promote;
$node->poll_query_until('postgres', 'select not pg_is_in_recovery()') or die;
archive_now($node);
sabotage(@folder, what => 'none, the server is on the next timeline', level => 10, ok => 1, verdict => 'WARN', drill => 'works');
sabotage(@folder, what => 'the history of the next timeline is missing', level => 5, says => [qr/00000002\.history missing/],
	harm => sub { moved("$archive/00000002.history") });

sabotage_table('Sabotages of base backups');
$node->stop;
done_testing();
