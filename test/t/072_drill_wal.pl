# Restore drills fetch WAL from what the ladder takes for an archive: compressed in
# any way, named as tools name it, in folders or not.  WAL that is there and cannot
# be used is never the end of recovery.  And in a copy nothing runs but its server.
use strict;
use warnings FATAL => 'all';
use File::Path qw(make_path remove_tree);
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use Digest::SHA;
use IPC::Run;
use Maintsched;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = backup_server('wal', settings => [ "shared_preload_libraries = 'maintsched'", 'maintsched.launcher = on' ], rows => 2000);
my $root = root($node);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

sub drill { return said($node, q{call maintsched.drill('folder')}); }

sub step_message
{
	my ($step) = @_;
	return sql("select result || ': ' || message from maintsched.drill_steps where drill_id = (select max(drill_id) from maintsched.drill) and step = '$step'");
}

sub use_archive
{
	my ($archive) = @_;
	sql(q{select maintsched.change_repository('folder', jsonb_build_object('archive', } . quote($archive) . q{::text), 'another')});
	return;
}

my $folder = make_folder($node);
base_backup($folder, 'one');
add_repository($node, $folder);
sql(q{select maintsched.read_repository('folder'); create table later as select 1 as x});
sql(q{select maintsched.capture_expectations('folder')});
sql(q{call maintsched.await_archive('folder')});
my $point = sql(q{select lsn from maintsched.expectation});
my @files = grep { /^[0-9A-F]{24}$/ } map { s{.*/}{}r } glob "$folder->{archive}/*";
my $last = sql("select pg_walfile_name('$point')");
my $at_level_6 = q{select result from maintsched.judge_backup('folder', 'one') where level = 6};

# --- archives as tools make them ---

# A copy of the archive: how its files are packed, and where they go.
sub make_archive
{
	my ($name, $pack, $path) = @_;
	my $archive = "$root/$name";
	foreach my $file (@files)
	{
		my $to = "$archive/" . $path->($file);
		make_path($to =~ s{/[^/]*$}{}r);
		system("$pack <'$folder->{archive}/$file' >" . q{'} . $to =~ s/'/'\\''/gr . q{'}) == 0 or BAIL_OUT("$pack failed");
	}
	return $archive;
}

sub checksum { my ($file) = @_; return Digest::SHA->new(1)->addfile("$folder->{archive}/$file")->hexdigest; }

my @archives = (
	[ 'gz', 'gzip -c', sub { "$_[0].gz" } ],
	[ 'zst', 'zstd -qc', sub { "$_[0].zst" } ],
	[ 'lz4', 'lz4 -qc', sub { "$_[0].lz4" } ],
	[ 'bz2', 'bzip2 -c', sub { "$_[0].bz2" } ],
	[ 'xz', 'xz -0c', sub { "$_[0].xz" } ],
	[ 'as Barman', 'gzip -c', sub { substr($_[0], 0, 16) . "/$_[0]" } ],
	[ 'as pgBackRest', 'gzip -c', sub { substr($_[0], 0, 16) . "/$_[0]-" . checksum($_[0]) . '.gz' } ],
	[ q{it's 100% "%p" $HOME}, 'cat', sub { $_[0] } ]);
foreach my $case (@archives)
{
	my ($name, $pack, $path) = @$case;
	my $tool = $pack =~ s/ .*//r;
	SKIP:
	{
		skip "there is no $tool", 3 if system("command -v $tool >/dev/null") != 0;
		use_archive(make_archive($name, $pack, $path));
		is(sql($at_level_6), 'pass', "$name: the ladder finds its WAL");
		like(drill(), qr/ is proven up to level 12$/, "$name: and the drill uses it");
		like(step_message('expectations'), qr/^pass: /, "$name: up to the restore point");
	}
}

like(sql('select maintsched.drill_report()'), qr/^Proven         up to level 12 of 12, where 12 \(within RTO and RPO\) did not apply$/m, 'the report claims no objective that nobody has set');

# --- WAL that is there and cannot be used ---

sub with_file
{
	my ($name, $what, $pattern) = @_;
	my $archive = make_archive($name, 'gzip -c', sub { "$_[0].gz" });
	use_archive($archive);
	$what->("$archive/$last.gz");
	like(drill(), $pattern, "$name: it is said");
	like(step_message('start'), qr/^fail: /, "$name: the copy does not start");
	is(sql(q{select string_agg(level || ' ' || result, ', ' order by level) from maintsched.backup_check
		where drill_id = (select max(drill_id) from maintsched.drill) and level < 10}), '8 pass, 9 fail', "$name: the levels");
	is(sql(q{select verdict || ', ' || removed from maintsched.drills order by drill_id desc limit 1}), 'fail, true', "$name: nothing is left");
	return;
}

# None of them is captured after the backup: recovery is to go to the end of the archive.
sql(q{alter table maintsched.expectation disable trigger user; delete from maintsched.expectation});
my $old = time - 3600;
with_file('cut off', sub { truncate $_[0], (-s $_[0]) / 2; utime $old, $old, $_[0] }, qr/ERROR:  "[^"]*\.gz" of the archive cannot be unpacked; FATAL: /);
with_file('short', sub { system("head -c 100000 '$folder->{archive}/$last' | gzip -c >'$_[0]'"); utime $old, $old, $_[0] }, qr/ERROR:  "[^"]*\.gz" of the archive is not of \d+ bytes; FATAL: /);
with_file('encrypted', sub { write_file($_[0], 'Salted__' . 'x' x 1000) }, qr/ERROR:  "[^"]*\.gz" of the archive is encrypted; FATAL: /);
with_file('gone', sub { remove_tree("$root/gone") }, qr/ERROR:  archive "[^"]*" is gone or cannot be read; FATAL: /);

# what may still be arriving is the end
{
	my $archive = make_archive('arriving', 'gzip -c', sub { "$_[0].gz" });
	use_archive($archive);
	truncate "$archive/$last.gz", (-s "$archive/$last.gz") / 2;
	unlike(drill(), qr/cannot be unpacked/, 'a file that is arriving ends recovery');
	like(step_message('identity'), qr/^pass: .* s of work are missing/, 'a file that is arriving: what is missing is said');
}

# --- what is set in a copy, and what is asked for ---

# Roles and databases of the copy have settings, and a database forbids all DDL.
$node->safe_psql('shop', q{
	create table without (id integer);
	drop extension amcheck;
	create function forbid() returns event_trigger language plpgsql as $$ begin raise exception 'no DDL here'; end $$;
	create event trigger forbid on ddl_command_start execute function forbid();
	alter database shop set default_transaction_read_only = on});
my $super = sql(q{create role app; alter role current_user set role = app; alter role current_user set statement_timeout = '1ms';
	alter role all set search_path = ''; select rolname from pg_roles where oid = 10});
base_backup($folder, 'settings');
{
	local $ENV{PGOPTIONS} = '-c role=none -c statement_timeout=0';
	sql(qq{alter role "$super" reset all});
	sql(q{alter role all reset all});
}
use_archive($folder->{archive});
sql(q{select maintsched.read_repository('folder')});
sql(q{select maintsched.capture_expectations('folder')});
sql(q{call maintsched.await_archive('folder')});
like(said($node, q{call maintsched.drill('folder', 'settings')}), qr/ is proven up to level 12$/, 'settings and event triggers of the copy are not in the way');

foreach my $case (
	[ '{"superuser": ""}', 'superuser is to be the name of a role' ], [ '{"superuser": ["x"]}', 'superuser is to be the name of a role' ],
	[ '{"amcheck": "maybe"}', 'amcheck is to be true or false' ], [ '{"space_factor": -1}', 'space_factor is to be a number from 0 to 1000' ],
	[ '{"space_factor": "NaN"}', 'space_factor is to be a number from 0 to 1000' ], [ '{"timeout": "-1 h"}', 'timeout is to be an interval above 0' ], [ '{"timeout": "soon"}', 'timeout is to be an interval above 0' ],
	[ '{"timeout": 5}', 'timeout is to be an interval above 0' ])
{
	my ($options, $problem) = @$case;
	like(said($node, "call maintsched.drill('folder', options => '$options')"), qr/^ERROR:  22023: a wrong option of a drill: \Q$problem\E/, "option $options");
}

# whoever cannot log in is refused at once, and that is not the backup's fault
sql(q{create role regress_maintsched_mute superuser nologin});
base_backup($folder, 'mute');
sql(q{select maintsched.read_repository('folder')});
sql(q{select maintsched.capture_expectations('folder')});
sql(q{call maintsched.await_archive('folder')});
like(said($node, q{call maintsched.drill('folder', 'mute', options => '{"superuser": "regress_maintsched_mute"}')}),
	qr/promote: the restored server cannot be asked: .*role "regress_maintsched_mute" is not permitted to log in/, 'a superuser that may not log in');
is(sql(q{select string_agg(level || ' ' || result, ', ' order by level) from maintsched.backup_check
	where drill_id = (select max(drill_id) from maintsched.drill) and level < 10}), '8 pass, 9 not_checked', 'a superuser that may not log in: the levels');

# --- what runs in a copy ---

use_archive($folder->{archive});
sql(q{select maintsched.add_sample_query('folder', 'long', 'select pg_sleep(600)', timeout => '10 minutes')});
my $drill = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{call maintsched.drill('folder')} ],
	'<', \undef, '>', \my $out, '2>', \my $err);

# The processes of the copy, by their titles.
sub titles
{
	my %titles;
	foreach my $proc (glob '/proc/[0-9]*')
	{
		my $cwd = readlink("$proc/cwd") // '';
		next if index($cwd, "$root/drill/") != 0;
		my $title = eval { slurp_file("$proc/cmdline") } // '';
		next if $title =~ /-D\0/;
		$title =~ s{[\0 ]+$}{};
		$title =~ s/^postgres: (maintsched restore drill: )?//;
		$title =~ s/^\S+ \S+ \[local\] .*/client/;
		$titles{$title}++ if $title ne '';
	}
	return \%titles;
}
my $asked = 0;
for (1 .. $PostgreSQL::Test::Utils::timeout_default * 20)
{
	last if $asked = titles()->{client};
	usleep(50_000);
}
ok($asked, 'the copy is asked');
my %seen;
for (1 .. 40)
{
	my $titles = titles();
	@seen{ keys %$titles } = values %$titles;
	usleep(50_000);
}
# a title says what the checkpointer is at
my %kinds = map { s/ performing .*//r => 1 } grep { !/^(io worker|startup)/ } keys %seen;
is_deeply([ sort keys %kinds ], [ 'background writer', 'checkpointer', 'client', 'walwriter' ], 'nothing runs in it that the extension or another has started')
  or diag(join "\n", sort keys %seen);
sql(q{select pg_cancel_backend((facts ->> 'pid')::integer) from maintsched.drill order by drill_id desc limit 1});
eval { $drill->finish };
like($err, qr/^ERROR:  drill \d+ was cancelled/, 'it is cancelled');
for (1 .. $PostgreSQL::Test::Utils::timeout_default * 20)
{
	last if !%{ titles() };
	usleep(50_000);
}
is_deeply(titles(), {}, 'then nothing runs');
is(join(' ', glob "$root/drill/*"), '', 'and nothing is left');

done_testing();
