# Backups of pgBackRest and Barman that are sabotaged, and the tools themselves:
# which level is reached, what is said, beside the tool's word and a restore.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sabotage;
use Test::More;

plan skip_all => 'pgBackRest or Barman is not installed' if !has_pgbackrest() || !has_barman();

my $node = backup_server('sabotage_tools');
my $root = root($node);

sub sql { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql); }

# --- the scenery ---

my $stanza = make_stanza($node);
my $full = stanza_backup($stanza, 'full');
sql(q{insert into orders (customer, total) select i, i from generate_series(1, 5000) i}, 'shop');
my $incr = stanza_backup($stanza, 'incr');
my $barman = make_barman($node);
my $id = barman_backup($barman);
my @segments = map { archive_now($node, $barman) } 1 .. 3;

my $table = sql(q{select pg_relation_filepath('customer')}, 'shop');
my $index = sql(q{select pg_relation_filepath('customer_name_idx')}, 'shop');
my $stored = "$stanza->{repo}/backup/main";
# the incremental backup has the table anew, since its rows were locked, and not the index
my $index_gz = "$stored/$full/pg_data/$index.gz";
my $table_gz = "$stored/$full/pg_data/$table.gz";
my ($own_start) = pgbackrest_info() =~ /"start" ?: ?"([0-9A-F]{24})".{1,400}?"label" ?: ?"\Q$incr\E"/s;
my $base = "$barman->{server}/base/$id";
# newer releases keep it elsewhere, or in both places
my @info = grep { -e } "$base/backup.info", "$barman->{server}/meta/$id-backup.info";
my ($barman_start) = slurp_file($info[-1]) =~ /^begin_wal=([0-9A-F]{24})/m;

sub pgbackrest_info { return (pgbackrest($stanza, '--output=json', 'info'))[1]; }
sub stanza_wal { my ($segment) = @_; return glob("$stanza->{wals}/*/*/$segment-*"); }
sub barman_wal { my ($segment) = @_; return "$barman->{wals}/" . substr($segment, 0, 16) . "/$segment"; }

# A program in a tool's place.
my $scripts = 0;
sub program
{
	my ($tool, $script) = @_;
	return setting($node, "maintsched.${tool}_command", write_file("$root/tool" . ++$scripts, "#!/bin/sh\n$script\n", 0755));
}

# What Barman thinks of its backup.
sub info_status
{
	my ($status) = @_;
	my @undo = map { changed($_, sub { $_[0] =~ s/^status=DONE/status=$status/mr }) } @info;
	return sub { $_->() foreach @undo };
}

my @tool = (tool => sub { return pgbackrest_says($stanza) });
my @full = (repository => $stanza, label => $full, @tool);
my @incr = (repository => $stanza, label => $incr, @tool);
my @stanza = (repository => $stanza, label => $incr, level => undef, verdict => 'UNKNOWN');
my @barman = (repository => $barman, label => $id, tool => sub { return barman_says($barman, $id) });
my @server = (repository => $barman, label => $id, level => undef, verdict => 'UNKNOWN');

# --- nothing ---

sabotage(@full, what => 'none (full)', level => 7, ok => 1, verdict => 'OK|WARN');
sabotage(@incr, what => 'none (incremental)', level => 10, ok => 1, verdict => 'WARN', drill => 'works');
sabotage(@barman, what => 'none', level => 10, ok => 1, verdict => 'WARN', drill => 'works');

# --- files of pgBackRest ---

sabotage(@full, what => 'a file of the full backup is missing', level => 6, says => [qr/\Q$table\E/],
	harm => sub { moved($table_gz) });
sabotage(@incr, what => 'a file of the full backup is missing, which the incremental one needs', level => 6, says => [qr/\Q$index\E/],
	harm => sub { moved($index_gz) }, drill => 'fails');
sabotage(@full, what => 'bytes of a stored file are flipped', level => 6, says => [qr/\Q$table\E/],
	harm => sub { flipped($table_gz) }, drill => 'fails');
sabotage(@full, what => 'a stored file is cut off', level => 6, says => [qr/\Q$table\E/],
	harm => sub { cut_off($table_gz) });
sabotage(@full, what => 'a stored file is empty', level => 6, says => [qr/\Q$table\E/],
	harm => sub { overwritten($table_gz, '') });
sabotage(@incr, what => 'the folder of the full backup is missing', level => 6, says => [qr/\Q$full\E/],
	harm => sub { moved("$stored/$full") });
sabotage(@full, what => 'backup.manifest and its copy are missing', level => 3, says => [qr/manifest/],
	harm => sub { moved("$stored/$full/backup.manifest", "$stored/$full/backup.manifest.copy") });
sabotage(@full, what => 'backup.manifest and its copy are edited', level => 6, says => [qr/manifest/],
	harm => sub {
		my $edit = sub { $_[0] =~ s/^(pg_data\/\Q$table\E=.*"size":)\d+/${1}8192/mr };
		my @undo = map { changed("$stored/$full/$_", $edit) } qw(backup.manifest backup.manifest.copy);
		sub { $_->() foreach @undo } });
sabotage(@full, label => undef, what => 'backup.info and its copy are missing', level => undef, verdict => 'CRIT|UNKNOWN', says => [qr/main|backup/],
	harm => sub { moved("$stored/backup.info", "$stored/backup.info.copy") });

# --- WAL of pgBackRest ---

sabotage(@incr, what => 'WAL is missing in the middle of the archive', level => 5, says => [qr/WAL $segments[1] missing: \Q$incr\E can be restored only up to/],
	harm => sub { moved(stanza_wal($segments[1])) }, drill => 'works');
sabotage(@incr, what => 'WAL that the backup needs is missing', level => 5, says => [qr/WAL $own_start missing, needed by \Q$incr\E/],
	harm => sub { moved(stanza_wal($own_start)) }, drill => 'fails');
sabotage(@incr, what => 'bytes of WAL that the backup needs are flipped', level => 6, says => [qr/$own_start/],
	harm => sub { flipped(stanza_wal($own_start)) });
sabotage(@incr, what => 'the last WAL is missing, of which the archiver was told it is there', level => 4,
	says => [qr/archive_command returned success for $segments[2], which is not in the archive/],
	harm => sub { moved(stanza_wal($segments[2])) });

# --- what is expected ---

sabotage(@incr, what => 'it is not encrypted', level => 3, with => { encrypted => 'true' }, says => [qr/not encrypted/]);
sabotage(@incr, what => 'it lies elsewhere than it should', level => 3, with => { expected_location => '/mnt/offsite/*' }, says => [qr/offsite/]);
sabotage(@incr, what => 'it is too old', level => 1, with => { max_age => '1 millisecond' }, says => [qr/ended .* ago/]);

# --- pgBackRest itself ---

sabotage(@stanza, what => 'pgBackRest is not installed', says => [qr/does not exist/],
	harm => sub { setting($node, 'maintsched.pgbackrest_command', "$root/nothing") });
sabotage(@stanza, what => 'pgBackRest hangs', says => [qr/did not end in time/],
	harm => sub { my @undo = (setting($node, 'maintsched.backup_tool_timeout', '500ms'), program('pgbackrest', 'exec sleep 1000')); sub { $_->() foreach @undo } });
sabotage(@stanza, what => 'pgBackRest prints garbage', says => [qr/no valid JSON/], harm => sub { program('pgbackrest', 'head -c 4000 /dev/urandom | od -c') });
sabotage(@stanza, what => 'pgBackRest prints half of its JSON', says => [qr/no valid JSON/],
	harm => sub { my $half = pgbackrest_info(); write_file("$root/half", substr($half, 0, length($half) / 2)); program('pgbackrest', "cat $root/half") });
sabotage(@stanza, what => 'pgBackRest prints nothing, and exits with 0', says => [qr/printed nothing/], harm => sub { program('pgbackrest', 'exit 0') });
sabotage(@stanza, what => 'pgBackRest fails', says => [qr/exited with code 82/], harm => sub { program('pgbackrest', 'echo "ERROR: [082]: WAL archive" >&2; exit 82') });
sabotage(@stanza, what => 'the program is one that others may write', says => [qr/others could replace it/],
	harm => sub { my $undo = program('pgbackrest', 'echo "[]"'); chmod 0777, "$root/tool$scripts"; $undo });
sabotage(@incr, what => 'pgBackRest says what it did when the repository still was there', level => 4, verdict => 'CRIT|UNKNOWN', says => [qr/archive|backup/],
	harm => sub {
		write_file("$root/memory", pgbackrest_info());
		my @undo = (program('pgbackrest', "for a; do case \$a in info) exec cat $root/memory;; esac; done; exec /usr/bin/pgbackrest \"\$@\""),
			moved("$stored", "$stanza->{repo}/archive/main"));
		sub { $_->() foreach @undo } });
sabotage(@stanza, tool => sub { return pgbackrest_says($stanza) }, what => 'the repository cannot be read', verdict => 'CRIT|UNKNOWN', says => [qr/[Pp]ermission denied|could not|unable/],
	harm => sub { mode_of("$stanza->{repo}/backup", 0000) });
sabotage(@stanza, what => 'the stanza does not exist', label => undef, with => { location => 'another' }, verdict => 'CRIT|UNKNOWN', says => [qr/another/]);
sabotage(@stanza, what => 'the configuration file is missing', says => [qr/exited with code 55/], harm => sub { moved($stanza->{config}) });

# --- archive_command, and pages that were bad already ---

my $nowhere = PostgreSQL::Test::Utils::tempdir_short;
sabotage(@incr, what => 'archive_command throws files away', level => 4, says => [qr/archive_command returned success for [0-9A-F]{24}, which/],
	harm => sub { archive_command($node, "cp %p $nowhere/%f"); archive_now($node); sub { archive_command($node) } });
my ($lost) = map { s{.*/}{}r } glob("$nowhere/*");
archive_now($node, $barman);
sabotage(@incr, what => 'archive_command has thrown files away, and does no more', level => 5, says => [qr/WAL $lost missing/]);
system_or_bail('/usr/bin/pgbackrest', "--config=$stanza->{config}", '--stanza=main', '--pg1-path=' . $node->data_dir, 'archive-push', "$nowhere/$lost");

my $bad;
my $undo_page = flipped($node->data_dir . "/$table");
$bad = stanza_backup($stanza, 'full');
$undo_page->();
sabotage(repository => $stanza, label => $bad, what => 'a page was damaged when it was backed up', level => 0, says => [qr/has an error/], @tool);

# --- another cluster ---

my $other = PostgreSQL::Test::Cluster->new('other_tools');
$other->init(allows_streaming => 1, extra => ['--data-checksums']);
$other->append_conf('postgresql.conf', "archive_mode = on\n");
$other->start;
my $strange = make_stanza($other, name => 'strange');
my $strange_full = stanza_backup($strange, 'full');
sabotage(repository => $strange, node => $node, label => $strange_full, what => 'the stanza is another cluster\'s', level => 4, says => [qr/of another cluster/],
	tool => sub { return pgbackrest_says($strange) });
$other->stop;

# --- files of Barman ---

sabotage(@barman, what => 'a file is missing', level => 6, says => [qr/\Q$table\E/],
	harm => sub { moved("$base/data/$table") });
sabotage(@barman, what => 'bytes of a file are flipped', level => 6, says => [qr/\Q$table\E/],
	harm => sub { flipped("$base/data/$table") }, drill => 'fails');
sabotage(@barman, what => 'a file is there besides', level => 6, says => [qr/surprise/],
	harm => sub { write_file("$base/data/surprise", 'x'); sub { unlink "$base/data/surprise" } });
sabotage(@barman, what => 'a file is cut off', level => 6, says => [qr/\Q$table\E/], harm => sub { cut_off("$base/data/$table") });
sabotage(@barman, what => 'the manifest is missing', level => 6, says => [qr/manifest/], verdict => 'CRIT|WARN|UNKNOWN',
	harm => sub { moved("$base/data/backup_manifest") });
sabotage(@barman, what => 'backup.info says that it failed', level => 0, says => [qr/failed/],
	harm => sub { info_status('FAILED') });
sabotage(@barman, what => 'backup.info says that it is still made', level => 0, says => [qr/not ended/], verdict => 'CRIT|WARN|UNKNOWN',
	harm => sub { info_status('STARTED') });
sabotage(@barman, label => undef, what => 'the backup is gone', level => undef, says => [qr/holds no backup/], tool => undef,
	harm => sub { moved($base, grep { m{/meta/} } @info) });

# --- WAL of Barman ---

sabotage(@barman, what => 'WAL is missing in the middle of the archive', level => 5, says => [qr/WAL $segments[1] missing: \Q$id\E can be restored only up to/],
	harm => sub { moved(barman_wal($segments[1])) });
sabotage(@barman, what => 'WAL that the backup needs is missing', level => 5, says => [qr/WAL $barman_start missing, needed by \Q$id\E/],
	harm => sub { moved(barman_wal($barman_start)) }, drill => 'fails');
sabotage(@barman, what => 'WAL that the backup needs is cut off', level => 5, says => [qr/WAL $barman_start has/],
	harm => sub { cut_off(barman_wal($barman_start)) });
# where the first record of the backup has its contents
my ($barman_lsn) = slurp_file($info[-1]) =~ m{^begin_xlog=[0-9A-F]+/([0-9A-F]+)}m;
sabotage(@barman, what => 'bytes of WAL that the backup needs are flipped', level => 6, says => [qr/$barman_start is damaged, and the backup needs it/],
	harm => sub { flipped(barman_wal($barman_start), hex($barman_lsn) % 16777216 + 26) }, drill => 'fails');
sabotage(@barman, what => 'receive-wal is stopped', level => 4, with => { rpo => '1 millisecond' }, says => [qr/the archive ends at .* would be lost/],
	harm => sub { stop_receiving($barman); archive_now($node) for 1 .. 2; sub { start_receiving($barman) } });

# archive_command of the server goes to the stanza alone, and has nothing to do with it
sabotage(@barman, what => 'barman cron stands still', level => 4, with => { rpo => '1 millisecond' },
	says => [qr/the archive ends at .* would be lost/, qr/WAL [0-9A-F]{24} .*(?:was|were) streamed, and (?:is|are) not taken in by "barman cron"/],
	harm => sub {
		my @written = map { archive_now($node) } 1 .. 2;
		my $count = 0;
		until (-e "$barman->{server}/streaming/$written[0]")
		{
			die 'WAL is not streamed' if $count++ > 10 * $PostgreSQL::Test::Utils::timeout_default;
			select(undef, undef, undef, 0.1);
		}
		return sub { archive_now($node, $barman) } });

# --- what is expected, Barman itself ---

# 3.4 does not say whether it is
sabotage(@barman, what => 'it is not encrypted', level => 3, with => { encrypted => 'true' }, says => [qr/encrypted/], verdict => 'CRIT|UNKNOWN');
sabotage(@barman, what => 'it lies elsewhere than it should', level => 3, with => { expected_location => '/mnt/offsite/*' }, says => [qr/offsite/]);
sabotage(@server, what => 'Barman is not installed', says => [qr/does not exist/],
	harm => sub { setting($node, 'maintsched.barman_command', "$root/nothing") });
sabotage(@server, what => 'Barman hangs', says => [qr/did not end in time/],
	harm => sub { my @undo = (setting($node, 'maintsched.backup_tool_timeout', '500ms'), program('barman', 'exec sleep 1000')); sub { $_->() foreach @undo } });
sabotage(@server, what => 'Barman prints garbage', says => [qr/no valid JSON/], harm => sub { program('barman', 'head -c 4000 /dev/urandom | od -c') });
sabotage(@server, what => 'Barman prints half of its JSON', says => [qr/no valid JSON/],
	harm => sub { my $text = (barman($barman, '-f', 'json', 'list-backups', 'primary'))[1]; write_file("$root/half", substr($text, 0, length($text) / 2)); program('barman', "cat $root/half") });
sabotage(@server, what => 'the server does not exist', label => undef, with => { location => 'another' }, says => [qr/another/]);
# Barman then knows of no backups, which is no error to it
sabotage(@server, label => undef, what => 'Barman\'s home cannot be read', verdict => 'CRIT|UNKNOWN', says => [qr/ERROR/], tool => sub { return barman_says($barman) },
	harm => sub { mode_of($barman->{server}, 0000) });
sabotage(@server, label => undef, what => 'Barman\'s folder of backups cannot be read', says => [qr/Barman lists no backup of server "primary", and their folder cannot be read/],
	tool => sub { return barman_says($barman) }, harm => sub { mode_of("$barman->{server}/base", 0000) });

sabotage_table('Sabotages of backups by pgBackRest and Barman');
stop_receiving($barman);
$node->stop;
done_testing();
