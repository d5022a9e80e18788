# Restore drills (src/backup/drill*.c): backups of all kinds are restored, started,
# looked at and removed, and neither the backup nor the primary is changed by it.
use strict;
use warnings FATAL => 'all';
use File::Find;
use File::Path qw(make_path remove_tree);
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use Digest::SHA;
use Maintsched;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = backup_server('drill', tablespace => 1, settings => ['wal_level = logical']);
my $root = root($node);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# All files of a folder, with their contents, modes and times; links as they are.
sub fingerprint
{
	my ($folder) = @_;
	my @lines;
	find({ no_chdir => 1, wanted => sub {
		my @st = lstat $_;
		my $what = -l $_ ? readlink $_ : -f _ ? Digest::SHA->new(1)->addfile($_)->hexdigest : '';
		push @lines, join ' ', substr($_, length $folder), @st[ 2, 7, 9 ], $what;
	} }, $folder);
	return join "\n", sort @lines;
}

# A drill; what it says, and the steps that it had.
sub drill
{
	my (@arguments) = @_;
	my $said = said($node, 'call maintsched.drill(' . join(', ', @arguments) . ')');
	my $steps = sql(q{select string_agg(step || ' ' || result, ', ' order by seq)
		from maintsched.drill_steps where drill_id = (select max(drill_id) from maintsched.drill)});
	return ($said, $steps);
}

sub latest
{
	my ($columns) = @_;
	return sql("select $columns from maintsched.drills order by drill_id desc limit 1");
}

sub step_message
{
	my ($step) = @_;
	return sql("select message from maintsched.drill_steps where drill_id = (select max(drill_id) from maintsched.drill) and step = '$step'");
}

sub levels
{
	return sql(q{select string_agg(level || ' ' || result, ', ' order by level) from maintsched.backup_check
		where drill_id = (select max(drill_id) from maintsched.drill)});
}

sub left_over
{
	opendir(my $dir, "$root/drill") or die $!;
	return join ' ', grep { !/^\.\.?$/ } readdir $dir;
}

my $all_pass = 'space pass, create pass, restore pass, configure pass, start pass, promote pass, identity pass, integrity pass, '
  . 'expectations %s, queries %s, report pass, destroy pass';

# A publication and a subscription that would begin to copy when a copy starts, and
# a library that is loaded with each session of a role, which is not there.
$node->safe_psql('shop', q{
	create table copied (id integer primary key);
	create publication pub for table customer;
	create table subscribed (id integer primary key)});
$node->safe_psql('postgres', 'create database source');
$node->safe_psql('source', q{create table subscribed (id integer primary key); insert into subscribed values (1); create publication out for table subscribed});
my $connection = $node->connstr('source');
$node->safe_psql('source', q{select pg_create_logical_replication_slot('sub', 'pgoutput')});
$node->safe_psql('shop', 'create subscription sub connection ' . quote($connection) . qq{ publication out with (create_slot = false, slot_name = sub)});
$node->wait_for_subscription_sync(undef, undef, 'shop') if $node->can('wait_for_subscription_sync');

my $folder = make_folder($node, archive => 0);
base_backup($folder, 'plain');
my %before = (plain => fingerprint("$folder->{location}/plain"), space => fingerprint("$folder->{location}/plain.space"));
my $slot_before = sql(q{select confirmed_flush_lsn from pg_replication_slots where slot_name = 'sub'});
my $connections = sql('select sessions from pg_stat_database where datname = \'source\'');
add_repository($node, $folder);
sql(q{select maintsched.read_repository('folder')});

# --- a plain base backup, without an archive ---

my ($said, $steps) = drill(q{'folder'});
is($said, 'NOTICE:  00000: drill 1: backup "plain" was restored, and is proven up to level 12', 'plain: it passes');
is($steps, sprintf($all_pass, 'not_applicable', 'not_applicable'), 'plain: its steps');
is(levels(), '8 pass, 9 pass, 10 pass, 11 not_applicable, 12 not_applicable', 'plain: its levels');
is(latest('verdict, step, level, target, removed'), 'pass||12|consistent|t', 'plain: its verdict');
is(fingerprint("$folder->{location}/plain"), $before{plain}, 'plain: the backup is as it was');
is(fingerprint("$folder->{location}/plain.space"), $before{space}, 'plain: so is its tablespace');
is(left_over(), '', 'plain: nothing is left');
like(step_message('restore'), qr/, with 1 tablespaces$/, 'plain: its tablespace was restored');
is(sql(q{select count(*) from pg_replication_slots where active_pid is not null and slot_name <> 'sub'}), '0', 'plain: nobody else replicates');
is(sql(q{select string_agg(document_step::text, ',' order by seq) from maintsched.drill_steps where drill_id = 1}), '1,1,2,2,2,2,3,3,4,4,5,6', 'the steps of the document');

done_testing();
