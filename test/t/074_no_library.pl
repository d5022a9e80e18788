# Where liblz4 or libzstd is not on a machine, what they have packed is "not checked"
# and never good, and it is said what to install (src/core/unpack.c).  They are hidden
# from the server at the one place where it looks for them: dlopen().
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = backup_server('no_library', rows => 2000);
my $folder = make_folder($node);
my $archive = $folder->{archive};
my %lacking = (lz4 => 'liblz4.so.1 (package liblz4-1 or lz4-libs)', zst => 'libzstd.so.1 (package libzstd1 or libzstd)');

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

my $temp = PostgreSQL::Test::Utils::tempdir;
write_file("$temp/hide.c", q{
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

void *
dlopen(const char *name, int flags)
{
	static void *(*real) (const char *name, int flags);

	if (name != NULL && (strncmp(name, "liblz4.", 7) == 0 || strncmp(name, "libzstd.", 8) == 0))
		return NULL;
	if (real == NULL)
		real = (void *(*) (const char *, int)) dlsym(RTLD_NEXT, "dlopen");
	return real(name, flags);
}
});
my $cc = `pg_config --cc`;
chomp $cc;
system_or_bail('sh', '-c', "$cc -shared -fPIC -o $temp/hide.so $temp/hide.c");

sub level7
{
	my ($label) = @_;
	said($node, "call maintsched.verify_repository('folder', 7, '$label')");
	return sql(qq{select result || coalesce(': ' || nullif(array_to_string(problems, '; '), ''), '')
		from maintsched.backup_check where label = '$label' and level = 7 order by check_id desc limit 1});
}

# One file of each kind: alone in an archive, a whole backup, and the WAL of one.
base_backup($folder, 'none', wal => 'none');
my $file = archive_now($node);
my $first = sql(q{select pg_walfile_name(min(start_lsn)) from (select }
	. quote(slurp_file("$folder->{location}/none/backup_manifest") =~ m{"Start-LSN": "([0-9A-F]+/[0-9A-F]+)"}) . q{::pg_lsn as start_lsn) s});
my $wal = slurp_file("$archive/$first");
my %tar;
foreach my $ending (sort keys %lacking)
{
	my $path = base_backup($folder, "base-$ending", format => 'tar');
	my $other = base_backup($folder, "wal-$ending", format => 'tar');
	foreach my $tar ("$path/base.tar", "$other/pg_wal.tar")
	{
		write_file("$tar.$ending", packed($ending, slurp_file($tar)));
		unlink $tar;
	}
}
archive_now($node);
add_repository($node, $folder);

sub while_packed
{
	my ($ending, $look) = @_;
	unlink "$archive/$first";
	write_file("$archive/$first.$ending", packed($ending, $wal));
	utime time - 3600, time - 3600, "$archive/$first.$ending";
	$look->();
	unlink "$archive/$first.$ending";
	write_file("$archive/$first", $wal);
	return;
}

foreach my $ending (sort keys %lacking)
{
	while_packed($ending, sub { is(level7('none'), 'pass', "$ending: the archive is read") });
	is(level7("$_-$ending"), 'pass', "$ending: $_ is read") foreach qw(base wal);
	like(said($node, "call maintsched.drill('folder', 'base-$ending')"), qr/ is proven up to level \d+/, "$ending: is drilled");
}

{
	local $ENV{LD_PRELOAD} = "$temp/hide.so";
	$node->restart;
}
foreach my $ending (sort keys %lacking)
{
	my $words = $lacking{$ending};
	while_packed($ending, sub {
		is(level7('none'), "not_checked: WAL file $archive/$first.$ending is not read: it is compressed, and $words is not on this machine",
			"$ending, no library: WAL of the archive is not checked, in words");
		is(sql(q{select result from maintsched.judge_backup('folder', 'none') where level = 6}), 'pass', "$ending, no library: that it is there is known all the same") });
	like(level7("base-$ending"), qr/^not_checked: .*base\.tar\.$ending: it cannot be uncompressed: \Q$words\E is not on this machine/,
		"$ending, no library: a backup is not checked, in words");
	is(level7("wal-$ending"), "not_checked: $folder->{location}/wal-$ending/pg_wal.tar.$ending is not read: it is compressed, and $words is not on this machine",
		"$ending, no library: WAL of its own is not checked, in words");
	like(said($node, "call maintsched.drill('folder', 'base-$ending')"),
		qr/^DETAIL:  restore: archive "base\.tar\.$ending" of the backup cannot be unpacked: \Q$words\E is not on this machine$/m, "$ending, no library: a drill cannot restore it, in words");
	is(sql(q{select string_agg(level || ' ' || result, ', ' order by level) from maintsched.backup_check
		where drill_id = (select max(drill_id) from maintsched.drill) and level < 9}), '8 not_checked', "$ending, no library: that says nothing of the backup");
	is(sql("select count(*) from maintsched.current_backups('folder') where label = 'base-$ending'"), '1', "$ending, no library: the catalogue knows it");
}
is(sql(q{select count(*) from maintsched.backup_status where verdict = 'OK' and level >= 7 and label like '%-%'}), '0', 'no library: none of them is good');

# gzip needs none of them
while_packed('gz', sub { is(level7('none'), 'pass', 'gz: the archive is read') });

$node->stop;
done_testing();
