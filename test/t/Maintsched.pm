# What the TAP tests share.
package Maintsched;
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_server extension_folder version slurp_rel rows_of difference);

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
