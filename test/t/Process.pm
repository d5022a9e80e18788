# What the tests of child processes share: a server with the functions of
# test/modules/process_test, processes that are alive or gone.
package Process;
use strict;
use warnings FATAL => 'all';
use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename;
use File::Copy qw(copy);
use File::Path qw(make_path);
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Worker;

our @EXPORT = qw(process_server sql sh error_of quoted is_alive are_gone wait_until
  background finish family pids_in backend_of files);

my $source = dirname(__FILE__) . '/../..';
my $temp = abs_path(PostgreSQL::Test::Utils::tempdir);
my $node;

# The module, built in a folder of its own.
sub build
{
	my $folder = "$temp/module";
	make_path("$folder/core");
	foreach my $file (glob("$source/test/modules/process_test/*"), glob("$source/src/core/*.h"), glob("$source/src/core/process*.c"))
	{
		my $to = $file =~ m{/core/([^/]+)$} ? "core/$1" : $file =~ s{.*/}{}r;
		copy($file, "$folder/$to") or die "$file: $!";
	}
	delete local @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES)};
	my $log = `cd '$folder' && make -s PG_CONFIG=pg_config COPT=-Werror 2>&1`;
	BAIL_OUT("the module is not built: $log") if $? != 0;
	return "$folder/process_test.so";
}

# A server with the module's functions in schema t, on which work can be done in
# the background, and a folder that nobody else can write to.
sub process_server
{
	my ($name, @settings) = @_;
	my $module = build();
	chmod 0700, $temp;
	$node = worker_server($name, @settings);
	make_calendar($node, 'postgres');
	sql(slurp_file("$source/test/modules/process_test/process_test.sql") =~ s/:'module'/'$module'/gr);
	return ($node, $temp);
}

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# An error with its detail and hint.
sub error_of
{
	my ($sql) = @_;
	my ($out, $err);
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err, extra_params => [ '-v', 'SHOW_CONTEXT=never', '-v', 'VERBOSITY=verbose' ]);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^(?:LOCATION|LINE).*\n?//mg;
	return $err =~ s/\n\z//r;
}

sub quoted { my ($text) = @_; return "'" . $text =~ s/'/''/gr . "'"; }

sub sh
{
	my ($script, @more) = @_;
	return sql('select t.sh(' . join(', ', quoted($script), @more) . ')');
}

# A process is gone when it only waits to be waited for by whoever adopted it.
sub is_alive
{
	my ($pid) = @_;
	open(my $stat, '<', "/proc/$pid/stat") or return 0;
	my $line = <$stat> // return 0;
	return $line !~ /\) [ZX] /;
}

sub wait_until
{
	my ($what, $code) = @_;
	for (1 .. $PostgreSQL::Test::Utils::timeout_default * 20)
	{
		return 1 if $code->();
		usleep(50_000);
	}
	diag("waited in vain: $what");
	return 0;
}

sub are_gone
{
	my ($what, @pids) = @_;
	die "no pids" if !@pids;
	ok(wait_until($what, sub { !grep { is_alive($_) } @pids }), $what);
	return;
}

# A session in the background.
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

# A script that writes the pids of itself and of a grandchild into a file, and
# goes on; both ignore SIGTERM where stubborn.
my $family = 0;

sub family
{
	my ($stubborn) = @_;
	my $file = "$temp/family." . ++$family;
	my $trap = $stubborn ? q{trap '' TERM INT QUIT HUP; } : '';
	return ($file, qq{${trap}sh -c '${trap}while :; do sleep 0.1; done' & echo \$\$ \$! > $file.new; mv $file.new $file; while :; do sleep 0.1; done});
}

sub pids_in
{
	my ($file) = @_;
	wait_until("$file is there", sub { -s $file }) or BAIL_OUT("$file is missing");
	return split ' ', slurp_file($file);
}

# The pid of the backend that waits for a program.
sub backend_of
{
	my ($child) = @_;
	return (slurp_file("/proc/$child/stat") =~ /.*\) \S+ (\d+)/s)[0];
}

# The files that tell of children.
sub files
{
	my @files = glob($node->data_dir . '/pg_stat_tmp/maintsched_processes/*');
	return @files;
}

1;
