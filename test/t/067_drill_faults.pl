# What goes wrong with a restore drill: each time there is a verdict with the step
# that failed, no process and no folder is left, and the primary is as it was.
use strict;
use warnings FATAL => 'all';
use File::Copy qw(move);
use File::Path qw(make_path remove_tree);
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use IPC::Run;
use Maintsched;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = backup_server('faults', settings => [ "shared_preload_libraries = 'maintsched'", 'maintsched.launcher = off' ], rows => 5000);
my $root = root($node);
my $ours = "$root/drill";

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

sub drill
{
	my ($arguments) = @_;
	return said($node, "call maintsched.drill($arguments)");
}

sub latest
{
	my ($columns) = @_;
	return sql("select $columns from maintsched.drills order by drill_id desc limit 1");
}

sub levels
{
	return sql(q{select string_agg(level || ' ' || result, ', ' order by level) from maintsched.backup_check
		where drill_id = (select max(drill_id) from maintsched.drill)});
}

sub left_over
{
	opendir(my $dir, $ours) or die $!;
	return join ' ', grep { !/^\.\.?$/ } readdir $dir;
}

# Processes that have the name of the drill's folder in their command line or that
# work in it.
sub processes
{
	my @pids;
	foreach my $proc (glob '/proc/[0-9]*')
	{
		my $line = eval { slurp_file("$proc/cmdline") } // '';
		my $cwd = readlink("$proc/cwd") // '';
		push @pids, $proc =~ s{/proc/}{}r if index($line, "$ours/") >= 0 || index($cwd, "$ours/") == 0;
	}
	return @pids;
}

# Those of the server, and itself.
sub children
{
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	return $postmaster, map { (eval { slurp_file($_) } // '') =~ /^(\d+) .*\) \S+ $postmaster /s ? $1 : () } glob '/proc/[0-9]*/stat';
}

sub wait_for
{
	my ($what, $code) = @_;
	for (1 .. $PostgreSQL::Test::Utils::timeout_default * 20)
	{
		my $value = $code->();
		return $value if $value;
		usleep(50_000);
	}
	diag("waited in vain: $what");
	return;
}

sub ends_with
{
	my ($what, $said, $pattern, $verdict, $step, $levels) = @_;
	like($said, $pattern, "$what: what it says");
	is(latest('verdict, step, removed'), "$verdict|$step|t", "$what: the verdict");
	is(levels(), $levels, "$what: the levels") if defined $levels;
	is(left_over(), '', "$what: no folder is left");
	# what was killed takes its time on a busy machine
	wait_for("$what: its processes end", sub { !processes() });
	is_deeply([ processes() ], [], "$what: no process is left");
	return;
}

sub background
{
	my ($sql) = @_;
	my $session = { out => '', err => '' };
	$session->{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'SHOW_CONTEXT=never', '-d', $node->connstr('postgres'), '-c', $sql ],
		'<', \undef, '>', \$session->{out}, '2>', \$session->{err});
	return $session;
}

sub finish
{
	my ($session) = @_;
	eval { $session->{run}->finish };
	return $session->{out} . $session->{err};
}

# A backup of the folder, by another name, to be spoilt.
sub copy_of
{
	my ($folder, $label, $new) = @_;
	system('cp', '-a', "$folder->{location}/$label", "$folder->{location}/$new") == 0 or die 'cp';
	sql("select maintsched.read_repository('$folder->{name}')");
	return "$folder->{location}/$new";
}

my $folder = make_folder($node, archive => 0);
base_backup($folder, 'good');
add_repository($node, $folder);
sql(q{select maintsched.read_repository('folder')});

# --- who may, and where ---

sql(q{create role regress_maintsched_drill login; select maintsched.grant_access('regress_maintsched_drill', 'manager')});
like(said($node, q{set role regress_maintsched_drill; call maintsched.drill('folder')}), qr/^ERROR:  42501: permission denied to restore a backup\n/, 'a manager alone may not');
sql(q{grant pg_execute_server_program, pg_read_server_files, pg_write_server_files to regress_maintsched_drill});
like(said($node, q{set role regress_maintsched_drill; call maintsched.drill('folder')}), qr/ is proven up to level 12$/, 'with the three roles it may');
is(sql(q{select acting_as from maintsched.drill order by drill_id desc limit 1}), 'regress_maintsched_drill', 'who it was');
like(said($node, q{begin; call maintsched.drill('folder')}), qr/^ERROR:  25001: a restore drill cannot run inside a transaction block or a function/, 'not in a transaction block');
like(drill(q{'folder', 'none'}), qr/^ERROR:  P0002: there is no backup to restore in repository "folder"\n/, 'an unknown backup');
like(drill(q{'folder', 'latest', '1 us'}), qr/^ERROR:  P0002: there is no backup to restore .*\nDETAIL:  None is complete and younger than/, 'none so young');
like(drill(q{'nowhere'}), qr/^ERROR:  42704: repository "nowhere" does not exist/, 'an unknown repository');
like(drill(q{'folder', options => '{"speed": 1}'}), qr/^ERROR:  22023: a drill has no option "speed"/, 'an unknown option');

sub with_root
{
	my ($path, $pattern, $what) = @_;
	$node->append_conf('postgresql.conf', "maintsched.drill_root = '$path'\n");
	$node->reload;
	$node->poll_query_until('postgres', "select current_setting('maintsched.drill_root') = '$path'") or BAIL_OUT('no reload');
	like(drill(q{'folder'}), $pattern, $what);
	return;
}
my $count = sql('select count(*) from maintsched.drill');
my $refused = qr/^ERROR:  55000: no backup can be restored in folder/;
with_root('', qr/^ERROR:  55000: there is no place to restore a backup: maintsched.drill_root is empty/, 'no root');
with_root("$root/missing", qr/$refused.*\nDETAIL:  It cannot be opened: No such file or directory/, 'a root that is missing');
make_path("$root/open");
chmod 0755, "$root/open";
with_root("$root/open", qr/$refused.*\nDETAIL:  Others may enter it \(mode 0755\)/, 'a root that is open');
make_path($node->data_dir . '/drill', { mode => 0700 });
with_root($node->data_dir . '/drill', qr/$refused.*\nDETAIL:  It is in the data directory/, 'a root in the data directory');
rmdir $node->data_dir . '/drill';
make_path("$folder->{location}/good/inside", { mode => 0700 });
with_root("$folder->{location}/good/inside", qr/$refused.*\nDETAIL:  ".*good" is a data directory or a backup/, 'a root in a backup');
rmdir "$folder->{location}/good/inside";
make_path("$folder->{location}/inside", { mode => 0700 });
with_root("$folder->{location}/inside", qr/^ERROR:  55000: maintsched.drill_root ".*" is in a folder of backups/, 'a root beside backups');
rmdir "$folder->{location}/inside";
is(sql('select count(*) from maintsched.drill'), $count, 'none of them began');
symlink $ours, "$root/link";
with_root("$root/link", qr/ is proven up to level 12$/, 'a link to a folder');
with_root($ours, qr/ is proven up to level 12$/, 'the root as it was');

# --- a spoilt backup ---

my $path = copy_of($folder, 'good', 'nowal');
unlink glob "$path/pg_wal/0*";
ends_with('missing WAL', drill(q{'folder', 'nowal'}), qr/^ERROR:  55000: drill \d+ of backup "nowal" .* failed\nDETAIL:  start: the restored server exited with code 1: .*FATAL:  could not locate required checkpoint record/,
	'fail', 'start', '8 pass, 9 fail, 10 not_checked, 11 not_checked, 12 not_checked');

$path = copy_of($folder, 'good', 'version');
write_file("$path/PG_VERSION", "9\n");
ends_with('wrong version', drill(q{'folder', 'version'}), qr/\nDETAIL:  (?:create|configure): the backup is of PostgreSQL 9, and this server is \d+: it cannot start it/,
	'fail', latest('step'));

$path = copy_of($folder, 'good', 'nolabel');
unlink "$path/backup_label";
ends_with('no backup_label', drill(q{'folder', 'nolabel'}), qr/\nDETAIL:  configure: could not read "backup_label" of the restored copy/, 'fail', 'configure', '8 fail, 9 not_checked, 10 not_checked, 11 not_checked, 12 not_checked');

foreach my $case ([ 'index', 'customer_name_idx' ], [ 'table', 'customer' ])
{
	my ($name, $relation) = @$case;
	$path = copy_of($folder, 'good', $name);
	my $file = "$path/" . $node->safe_psql('shop', "select pg_relation_filepath('$relation')");
	open(my $fh, '+<', $file) or die "$file: $!";
	seek $fh, 8192 + 4000, 0;
	print $fh "\xff\x00\xff";
	close $fh;
	ends_with("corrupted $name", drill(quote('folder') . ', ' . quote($name)), qr/\nDETAIL:  integrity: (?:pg_amcheck found damage|pg_checksums exited)/, 'fail', 'integrity',
		'8 pass, 9 pass, 10 fail, 11 not_checked, 12 not_applicable');
}

$path = copy_of($folder, 'good', 'links');
symlink '/etc/passwd', "$path/base/passwd";
ends_with('a link', drill(q{'folder', 'links'}), qr/\nDETAIL:  restore: "base\/passwd" of the backup is a symbolic link, where a backup has none/, 'fail', 'restore');
unlink "$path/base/passwd";
make_path("$root/../elsewhere");
symlink $node->data_dir . '/base', "$path/pg_tblspc/12345";
ends_with('a tablespace elsewhere', drill(q{'folder', 'links'}), qr/\nDETAIL:  restore: "pg_tblspc\/12345" of the backup leads out of maintsched.backup_roots/, 'fail', 'restore');

copy_of($folder, 'good', 'gone');
remove_tree("$folder->{location}/gone");
ends_with('a backup that was removed', drill(q{'folder', 'gone'}), qr/\nDETAIL:  restore: could not open folder ".*gone": No such file or directory/, 'fail', 'restore');

# --- configuration that would harm, or is not to be had here ---

$path = copy_of($folder, 'good', 'harm');
foreach my $file (qw(postgresql.conf postgresql.auto.conf))
{
	open(my $conf, '>>', "$path/$file") or die $!;
	print $conf "shared_preload_libraries = 'not_there'\nsession_preload_libraries = 'not_there'\n",
	  "listen_addresses = '*'\narchive_mode = on\narchive_command = 'touch $root/harm_%f'\nlogging_collector = on\nlog_directory = '$root'\n",
	  "external_pid_file = '$root/harm_pid'\nssl = on\nrecovery_min_apply_delay = '1d'\nsynchronous_standby_names = '*'\n";
	close $conf;
}
like(drill(q{'folder', 'harm'}), qr/ is proven up to level 12$/, 'its configuration is replaced');
is_deeply([ glob "$root/harm_*" ], [], 'and has done nothing');

sql('create database spare');
sql(q{alter database spare set session_preload_libraries = 'not_there'});
sql(q{create role spare; alter role spare set session_preload_libraries = 'not_there'});
# where the first question is asked
sql(q{alter database template1 set local_preload_libraries = 'not_there'});
base_backup($folder, 'preload');
sql('alter database template1 reset local_preload_libraries');
sql(q{drop database spare; select maintsched.read_repository('folder')});
like(drill(q{'folder', 'preload'}), qr/ is proven up to level 12$/, 'libraries of sessions are not loaded');

# --- a database that nobody may connect to is looked at, too ---

sql('create database dark');
$node->safe_psql('dark', q{
	create table a as select i from generate_series(1, 1000) i;
	create index a_i on a (i);
	create table b as select i + 5000 as i from generate_series(1, 1000) i;
	create index b_i on b (i)});
my ($index_a, $index_b) = map { $node->safe_psql('dark', "select pg_relation_filepath('$_')") } 'a_i', 'b_i';
sql('alter database dark allow_connections false');
my $dark = base_backup($folder, 'dark');
sql('drop database dark');
# its page checksums are right
write_file("$dark/$index_b", slurp_file("$dark/$index_a"));
sql(q{select maintsched.read_repository('folder')});
ends_with('a closed database', drill(q{'folder', 'dark'}), qr/\nDETAIL:  integrity: pg_amcheck found damage: .*dark/, 'fail', 'integrity');

# --- a tablespace that came after the backup ---

my $archived = make_folder($node, name => 'archived');
base_backup($archived, 'before');
make_path("$root/late", { mode => 0700 });
sql("create tablespace late location '$root/late'");
$node->safe_psql('shop', 'create table kept tablespace late as select i from generate_series(1, 100) i');
my $file = "$root/late/" . ($node->safe_psql('shop', q{select pg_relation_filepath('kept')}) =~ s{^pg_tblspc/\d+/}{}r);
archive_now($node);
sql('checkpoint');
my @stat = stat $file;
my $sum = unpack '%32C*', slurp_file($file);
add_repository($node, $archived);
sql(q{select maintsched.read_repository('archived')});
ends_with('a later tablespace', drill(q{'archived'}),
	qr/\nDETAIL:  (?:start|promote): the restored server .*could not (?:create|remove) symbolic link "pg_tblspc\/\d+".*; a tablespace was created after this backup/s, 'fail', latest('step'));
is_deeply([ (stat $file)[ 1, 7, 9 ], unpack '%32C*', slurp_file($file) ], [ @stat[ 1, 7, 9 ], $sum ], 'a later tablespace: its files are as they were');
is($node->safe_psql('shop', 'select count(*) from kept'), '100', 'a later tablespace: can be read');

# --- a tool that is missing, fails or hangs ---

SKIP:
{
	skip 'pgBackRest is not installed', 1 unless has_pgbackrest();
	my $stanza = make_stanza($node);
	stanza_backup($stanza, 'full');
	archive_now($node);
	add_repository($node, $stanza);
	sql(q{select maintsched.read_repository('main')});

	my $tool = write_file("$root/tool", qq{#!/bin/sh
case "\$(cat $root/mode) \$*" in
  "hang "*restore*) sleep 1000;;
  "fail "*restore*) echo "no such thing" >&2; exit 7;;
  "wal "*archive-get*) touch $root/asked; sleep 1000; exit 1;;
esac
exec /usr/bin/pgbackrest "\$@"
}, 0700);
	my $mode = sub { write_file("$root/mode", $_[0]); unlink "$root/asked"; return; };
	my $use = sub {
		$node->append_conf('postgresql.conf', "maintsched.pgbackrest_command = '$_[0]'\n");
		$node->reload;
		$node->poll_query_until('postgres', "select current_setting('maintsched.pgbackrest_command') = '$_[0]'") or BAIL_OUT('no reload');
	};
	$use->("$root/missing");
	ends_with('no tool', drill(q{'main'}), qr/\nDETAIL:  create: program ".*missing" does not exist/, 'fail', 'create', '8 not_checked, 9 not_checked, 10 not_checked, 11 not_checked, 12 not_checked');
	$use->($tool);
	$mode->('fail');
	ends_with('a failing tool', drill(q{'main'}), qr/\nDETAIL:  restore: pgBackRest exited with code 7: It said: no such thing/, 'fail', 'restore');
	$mode->('hang');
	ends_with('no time left', drill(q{'main', options => '{"timeout": "8 s"}'}), qr/^ERROR:  55000: .*\nDETAIL:  restore: the drill did not end in time/, 'fail', 'restore',
		'8 not_checked, 9 not_checked, 10 not_checked, 11 not_checked, 12 not_checked');

	my $at_restore = sub {
		my $session = background(q{call maintsched.drill('main')});
		my $pid = wait_for('the drill runs', sub { sql(q{select pid from pg_stat_activity where query like 'call maintsched.drill%' and state = 'active'}) });
		wait_for('the tool runs', sub { scalar processes() }) or BAIL_OUT('the tool does not run');
		return ($session, $pid);
	};
	my ($session, $pid) = $at_restore->();
	is(sql("select backend_xmin is null from pg_stat_activity where pid = $pid"), 't', 'it holds no snapshot while it restores');
	sql("select pg_cancel_backend($pid)");
	ends_with('cancelled', finish($session), qr/^ERROR:  drill \d+ was cancelled\nDETAIL:  restore: canceling statement due to user request/, 'fail', 'restore',
		'8 not_checked, 9 not_checked, 10 not_checked, 11 not_checked, 12 not_checked');
	($session, $pid) = $at_restore->();
	sql("select pg_terminate_backend($pid)");
	finish($session);
	wait_for('its processes are gone', sub { !processes() });
	is_deeply([ processes() ], [], 'terminated: no process is left');
	isnt(left_over(), '', 'terminated: its folder is');
	$mode->('none');
	like(drill(q{'folder', 'good'}), qr/ is proven up to level 12$/, 'terminated: the next drill');
	is(sql(q{select verdict || removed from maintsched.drills order by drill_id desc offset 1 limit 1}), 'interruptedtrue', 'terminated: has closed it');
	is(left_over(), '', 'terminated: and removed its folder');

	# --- in recovery ---

	my $at_recovery = sub {
		$mode->('wal');
		my $s = background(q{call maintsched.drill('main')});
		wait_for('recovery asks for WAL', sub { -e "$root/asked" }) or BAIL_OUT('recovery does not ask for WAL');
		my $backend = sql(q{select pid from pg_stat_activity where query like 'call maintsched.drill%' and state = 'active'});
		my $server = wait_for('the restored server', sub { (glob "$ours/*/data/postmaster.pid")[0] });
		return ($s, $backend, slurp_file($server) =~ /^(\d+)/);
	};
	my $server;
	($session, $pid, $server) = $at_recovery->();
	kill 'KILL', $server;
	ends_with('the restored server is killed', finish($session), qr/\nDETAIL:  start: the restored server was ended by signal 9/, 'fail', 'start', '8 pass, 9 fail, 10 not_checked, 11 not_checked, 12 not_checked');

	($session, $pid, $server) = $at_recovery->();
	sql("select pg_cancel_backend($pid)");
	ends_with('cancelled in recovery', finish($session), qr/^ERROR:  drill \d+ was cancelled\nDETAIL:  start: /, 'fail', 'start');

	# the backend is killed: all of the server starts anew
	$node->append_conf('postgresql.conf', "restart_after_crash = on\nmaintsched.launcher = on\n");
	$node->reload;
	($session, $pid, $server) = $at_recovery->();
	kill_backend($node, $pid);
	finish($session);
	wait_back($node);
	ok(wait_for('nothing runs', sub { !processes() }), 'killed: no process is left');
	ok(wait_for('no folder', sub { left_over() eq '' }), 'killed: the launcher removes its folder');
	$mode->('none');
	sql('select maintsched.tick()');
	$node->poll_query_until('postgres', q{select verdict = 'interrupted' and ended_at is not null and removed from maintsched.drills order by drill_id desc limit 1});
	is(latest('verdict, ended_at is not null, removed'), 'interrupted|t|t', 'killed: and the drill is closed');

	foreach my $how ('immediate', 'fast', 'kill')
	{
		($session, $pid, $server) = $at_recovery->();
		# without a postmaster, its children end by themselves: before, none starts
		my @children = children();
		$how eq 'kill' ? $node->kill9 : $node->stop($how);
		finish($session);
		wait_for('the backends are gone', sub { !kill 0, $pid, @children });
		ok(wait_for('nothing runs', sub { !kill 0, $server }), "$how shutdown: the restored server is gone");
		$mode->('none');
		$node->start;
		ok(wait_for('no folder', sub { left_over() eq '' && !processes() }), "$how shutdown: after the next start nothing is left");
		sql('select maintsched.tick()');
		$node->poll_query_until('postgres', q{select verdict = 'interrupted' and ended_at is not null and removed from maintsched.drills order by drill_id desc limit 1});
		is(latest('verdict, ended_at is not null, removed'), 'interrupted|t|t', "$how shutdown: the drill is closed");
	}
	like(drill(q{'main'}), qr/level \d+/, 'and drills go on');
	is(latest('verdict'), 'inconclusive', 'nothing was captured that the archive has');
}

# the primary has archived all the while, and its data are as they were
is(sql('select failed_count from pg_stat_archiver'), '0', 'the primary goes on archiving');
is($node->safe_psql('shop', 'select count(*) from customer'), '5000', 'its data are there');

done_testing();
