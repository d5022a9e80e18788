# Child processes of a backend that is killed, of a server that stops at once, and
# what is done about those that outlive them; a PostgreSQL server as a child.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Process;
use Test::More;
use Worker;

my ($node, $temp) = process_server('faults');
my $folder = $node->data_dir . '/pg_stat_tmp/maintsched_processes';

sub start_of
{
	my ($pid) = @_;
	return (split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\) //sr)[19];
}

# A file that tells of a child.
my %here = do
{
	my ($device, $inode) = stat $node->data_dir;
	(boot => slurp_file('/proc/sys/kernel/random/boot_id') =~ s/\n//r, device => $device, inode => $inode);
};

sub leftover_file
{
	my (%o) = (owner => 999_999_999, owner_start => 1, %here, token => 'f' x 32, stops => "stop 15 2000\n", end => "end\n", @_);
	my $name = "$folder/$o{owner}.$o{owner_start}.$o{child}";
	open(my $file, '>', $name) or die "$name: $!";
	print $file "boot $o{boot}\ndata $o{device} $o{inode}\nchild $o{child} $o{start}\ntoken $o{token}\n$o{stops}program /bin/sleep\n$o{end}";
	close $file;
	return $name;
}

# A process that has nothing to do with the server.
sub stranger
{
	my ($token) = @_;
	my $pid = fork() // die $!;
	if ($pid == 0)
	{
		$ENV{MAINTSCHED_PROCESS} = $token if defined $token;
		exec '/bin/sleep', '1000';
	}
	wait_until('sleep runs', sub { slurp_file("/proc/$pid/cmdline") =~ /^\/bin\/sleep/ });
	return $pid;
}

sub end_stranger
{
	my ($pid) = @_;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	return;
}

# All processes of a server.
sub server_processes
{
	my ($data) = @_;
	my $postmaster = slurp_file("$data/postmaster.pid") =~ /^(\d+)/ ? $1 : die;
	my @all = ($postmaster);
	foreach my $stat (glob '/proc/[0-9]*/stat')
	{
		push @all, $1 if (eval { slurp_file($stat) } // '') =~ /^(\d+) .*\) \S+ $postmaster /s;
	}
	return @all;
}

# --- a backend is killed ---

foreach my $stubborn (0, 1)
{
	my $how = $stubborn ? 'stubborn' : 'obedient';
	my ($file, $script) = family($stubborn);
	my $session = background('select t.sh(' . quoted($script) . ')');
	my @pids = pids_in($file);
	kill_backend($node, backend_of($pids[0]));
	finish($session);
	are_gone("$how: its backend is killed: the launcher ends what is left", @pids);
	ok(wait_until('the file is gone', sub { !files() }), "$how: the file is gone");
	wait_back($node);
}

# Without a launcher, whoever starts the next child does it.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
foreach my $stubborn (0, 1)
{
	my $how = $stubborn ? 'stubborn' : 'obedient';
	my ($file, $script) = family($stubborn);
	my $session = background('select t.sh(' . quoted($script) . ')');
	my @pids = pids_in($file);
	kill_backend($node, backend_of($pids[0]));
	finish($session);
	are_gone("$how: its backend is killed, and it is gone", $pids[0]);
	wait_back($node);
	ok(is_alive($pids[1]), "$how: what it had started is not");
	is(scalar(files()), 1, "$how: a file tells of it");
	is(sql('select t.leftovers()'), '1', "$how: it is found");
	ok(!is_alive($pids[1]), "$how: and ended");
	is(scalar(files()), 0, "$how: the file is gone");
	is(sql('select t.leftovers()'), '0', "$how: there is nothing left to do");
}

# The next child of whatever process finds what is left.
my ($file, $script) = family();
my $session = background('select t.sh(' . quoted($script) . ')');
my @pids = pids_in($file);
kill_backend($node, backend_of($pids[0]));
finish($session);
wait_back($node);
is(sql("select t.sh('echo next')"), 'exited with code 0|next', 'the next child');
ok(!is_alive($pids[1]), 'what the last one left was ended before');

# --- the server stops at once ---

foreach my $mode ('immediate', 'fast')
{
	($file, $script) = family();
	$session = background('select t.sh(' . quoted($script) . ')');
	@pids = pids_in($file);
	$node->stop($mode);
	finish($session);
	are_gone("$mode: the child is gone", $pids[0]);
	are_gone("$mode: and what it had started", $pids[1]) if $mode eq 'fast';
	$node->start;
	is(sql('select t.leftovers()'), $mode eq 'fast' ? '0' : '1', "$mode: left behind");
	are_gone("$mode: nothing is left", @pids);
}
($file, $script) = family();
$session = background('select t.sh(' . quoted($script) . ')');
@pids = pids_in($file);
my @all = server_processes($node->data_dir);
$node->kill9;
finish($session);
are_gone('the postmaster is killed: its backend ends the child, and what that had started', @pids);
# a new postmaster takes even one that only waits to be waited for as alive
ok(wait_until('the server is gone', sub { !kill 0, @all }), 'and itself');
$node->start;

# --- never a stranger ---

mkdir $folder, 0700;
foreach my $case (
	[ 'another start', sub { start => $_[0] + 1 } ],
	[ 'another boot', sub { start => $_[0], boot => '11111111-2222-3333-4444-555555555555' } ],
	[ 'another data directory', sub { start => $_[0], inode => $here{inode} + 1 } ],
	[ 'half a file', sub { start => $_[0], end => '' } ],
	[ 'no start', sub { start => 'x' } ],
	[ 'no token', sub { start => $_[0], token => '' } ])
{
	my ($name, $what) = @$case;
	my $pid = stranger();
	my $path = leftover_file(child => $pid, $what->(start_of($pid)));
	is(sql('select t.leftovers()'), '0', "$name: nothing is ended");
	ok(is_alive($pid), "$name: the stranger lives");
	ok(!-e $path, "$name: the file is removed");
	end_stranger($pid);
}
my $pid = stranger();
my $start = start_of($pid);
my $path = leftover_file(child => 1, start => start_of(1));
is(sql('select t.leftovers()'), '0', 'process 1 is nobody\'s child');
foreach my $name ('nonsense', '1.x.2', '....')
{
	append_to_file("$folder/$name", "child $pid $start\n");
}
$path = leftover_file(child => $pid, start => $start, owner => $$, owner_start => start_of($$));
is(sql('select t.leftovers()'), '0', 'its owner lives: it is not ended');
ok(-e $path, 'and its file stays');
unlink $path;
ok(is_alive($pid), 'the stranger lives');
$path = leftover_file(child => $pid, start => $start, owner => $$, owner_start => start_of($$) + 1);
is(sql('select t.leftovers()'), '1', 'its owner was another process of the same number');
ok(!is_alive($pid), 'it is ended');
end_stranger($pid);
my $bearer = stranger('0123456789abcdef' x 2);
my $other = stranger('0123456789abcdef' x 2 . '0');
$path = leftover_file(child => 999_999_998, start => 1, token => '0123456789abcdef' x 2);
is(sql('select t.leftovers()'), '1', 'who has the token is ended');
ok(!is_alive($bearer), 'by it alone');
ok(is_alive($other), 'not who has another');
end_stranger($bearer);
end_stranger($other);
my $stopped = stranger();
kill 'STOP', $stopped;
leftover_file(child => $stopped, start => start_of($stopped), stops => "stop 2 100\nstop 3 100\nstop 15 2000\nstop 1 1\n");
is(sql('select t.leftovers()'), '1', 'one that is stopped');
waitpid $stopped, 0;
is($? & 127, 2, 'is ended by the first of its signals');

# --- a server ---

my $data = "$temp/server";
my $bindir = `pg_config --bindir`;
chomp $bindir;
system("$bindir/initdb", '-D', $data, '-A', 'trust', '--no-sync') == 0 or BAIL_OUT('initdb fails');

# Starts it, and waits until it says that it is ready.
my $start_server = qq{
	set client_min_messages = error;
	select t.start(t.server_program('postgres'),
		array['-D', '$data', '-c', 'listen_addresses=', '-c', 'unix_socket_directories=$temp', '-c', 'logging_collector=off', '-c', 'fsync=off'],
		keep_last => true, output_limit => 1000, error_limit => 20000, how => 'server session');
	do \$\$ begin
		for i in 1..6000 loop
			exit when t.poll(0, 10) or (select error from t.result(0)) like '%database system is ready to accept connections%';
		end loop;
	end \$\$;
	select running from t.result(0);
};

is(sql(qq{$start_server
	select rtrim(output, E'\\n') from t.run(t.server_program('psql'), array['-h', '$temp', '-d', 'postgres', '-XAtqc', 'select 6 * 7']);
	select t.stop(0);
	select exit_code, timed_out, error like '%received fast shutdown request%' and error like '%database system is shut down%' from t.result(0);
	select t.close(0)}), "0\nt\n42\n\n0|f|t\n", 'a server: started, asked, stopped');
$session = background("$start_server select t.sh('sleep 1000')");
wait_until('the server is ready', sub { -e "$data/postmaster.pid" && slurp_file("$data/postmaster.pid") =~ /^ready/m }) or BAIL_OUT('the server does not start');
@pids = server_processes($data);
cmp_ok(scalar(@pids), '>', 3, 'it has processes');
kill_backend($node, backend_of($pids[0]));
finish($session);
are_gone('its backend is killed, and all its processes are gone', @pids);
wait_back($node);

$session = background("$start_server select t.sh('sleep 1000')");
wait_until('the server is ready', sub { -e "$data/postmaster.pid" && slurp_file("$data/postmaster.pid") =~ /^ready/m }) or BAIL_OUT('the server does not start');
@pids = server_processes($data);
sql('select pg_terminate_backend(' . backend_of($pids[0]) . ', 30000)');
finish($session);
are_gone('its backend is terminated, and all its processes are gone', @pids);
ok(!-e "$data/postmaster.pid", 'it was shut down in order');
is(sql('select t.leftovers()'), '0', 'nothing is left');

done_testing();
