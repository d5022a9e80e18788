# What the TAP tests share.
package Maintsched;
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use File::Basename;
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(new_server kill_backend wait_back extension_folder version slurp_rel rows_of difference);

my $here = dirname(__FILE__);

# A server with the extension's library loaded.
sub new_server
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', "autovacuum = off\n");
	$node->start;
	return $node;
}

# Kill a process of a server, as a crash; it is over when the server has seen it:
# until then it takes sessions, only to end them.
sub kill_backend
{
	my ($node, $pid) = @_;
	my $offset = -s $node->logfile;
	kill('KILL', $pid) or die "process $pid: $!";
	$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
	return;
}

# Wait until a server that has crashed takes sessions again.  The query is no
# input: psql may have ended before it reads any, and whoever writes it dies.
sub wait_back
{
	my ($node) = @_;
	foreach my $try (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($said, $wrong);
		return if IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'select true' ],
			'<', File::Spec->devnull, '>', \$said, '2>', \$wrong);
		usleep(100_000);
	}
	BAIL_OUT('the server does not come back');
}

# Where the server looks for extension scripts, if a test may write there.
sub extension_folder
{
	my $folder = $ENV{EXTENSION_FOLDER};
	if (!defined $folder)
	{
		$folder = `pg_config --sharedir`;
		chomp $folder;
		$folder .= '/extension';
	}
	return -w $folder ? $folder : undef;
}

sub version
{
	my ($version) =
	  slurp_rel('../../maintsched.control') =~ /^default_version = '(.*)'/m;
	return $version;
}

sub slurp_rel
{
	my ($path) = @_;
	return slurp_file("$here/$path");
}

# The lines that a query prints.
sub rows_of
{
	my ($node, $database, $sql) = @_;
	return [ split /\n/, $node->safe_psql($database, $sql) ];
}

# The lines that are in one list only; lines may occur more than once.
sub difference
{
	my ($left, $right) = @_;
	my %count;
	$count{$_}++ foreach @$left;
	$count{$_}-- foreach @$right;
	return [ sort grep { $count{$_} != 0 } keys %count ];
}

1;
