# Installing version A and updating it to B gives the same catalogs as
# installing B.  Nothing but the catalogs is believed, and the comparison itself
# is tested: it must notice each kind of difference.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = extension_folder()
  or plan skip_all => 'the extension folder cannot be written to';
my $node = new_server('upgrade');
my $facts = slurp_rel('catalog.sql');
my $version = version();
my $script = slurp_file("$folder/maintsched--$version.sql");
my $databases = 0;
my @made;

# A script in the extension folder, for as long as this test runs.
sub put_script
{
	my ($name, $text) = @_;
	return if -e "$folder/$name";
	append_to_file("$folder/$name", $text);
	push @made, "$folder/$name";
	return;
}

END { unlink @made; }

# What the catalogs say after these statements in a new database.
sub catalogs
{
	my (@statements) = @_;
	my $database = 'd' . ++$databases;
	$node->safe_psql('postgres', "create database $database");
	$node->safe_psql($database, "$_;") foreach @statements;
	my $rows = rows_of($node, $database, $facts);
	$node->safe_psql('postgres', "drop database $database");
	return $rows;
}

# install A, update to B; compare with install B
sub compare
{
	my ($from, $to) = @_;
	return difference(
		catalogs(
			"create extension maintsched version '$from'",
			"alter extension maintsched update to '$to'"),
		catalogs("create extension maintsched version '$to'"));
}

my $now = catalogs("create extension maintsched");
cmp_ok(scalar @$now, '>', 100, 'the catalogs say something');
is_deeply(difference($now, catalogs("create extension maintsched")),
	[], 'two installs are the same');

# Every step that there is.
foreach my $step (glob "$FindBin::RealBin/../../sql/upgrade/*.sql")
{
	my ($from, $to) = $step =~ /maintsched--([^-]+)--([^-]+)\.sql$/
	  or BAIL_OUT("$step is no upgrade script");
	my $frozen = "$FindBin::RealBin/../upgrade/maintsched--$from.sql";
	if (!-e $frozen)
	{
		fail("$frozen is missing");
		next;
	}
	put_script("maintsched--$from.sql", slurp_file($frozen));
	is_deeply(compare($from, $to), [], "update from $from to $to");
}

# A next version that changes nothing, and one with a new function.
put_script("maintsched--$version--same.sql", "-- nothing\n");
put_script('maintsched--same.sql', $script);
is_deeply(compare($version, 'same'), [], 'an update that changes nothing');

my $added = "create function maintsched.added(since timestamptz) returns text language sql return 'x';\n";
put_script("maintsched--$version--more.sql", $added);
put_script('maintsched--more.sql', "$script\n$added");
is_deeply(compare($version, 'more'), [], 'an update that adds a function');

# What an update script may forget.
my %forgotten = (
	body => q{create or replace function maintsched.changed() returns text language sql return 'new'},
	volatility => 'alter function maintsched.clock() volatile',
	setting => 'alter function maintsched.tick() set work_mem = 4096',
	comment => q{comment on table maintsched.task is 'new'},
	'column comment' => q{comment on column maintsched.task.title is 'new'},
	privilege => 'grant select on maintsched.task to pg_monitor',
	default => q{alter table maintsched.task alter column title set default 'new'},
	'not null' => 'alter table maintsched.task alter column description set not null',
	column => 'alter table maintsched.task add column new text',
	constraint => q{alter table maintsched.task add check (title <> 'new')},
	index => 'create index on maintsched.task (title)',
	trigger => q{create trigger new before insert on maintsched.task for each row execute function suppress_redundant_updates_trigger()},
	view => 'create view maintsched.new as select 1 as one',
	'dumped table' => q{create table maintsched.forgotten (); select pg_extension_config_dump('maintsched.forgotten', '')});
my $stub = "create function maintsched.changed() returns text language sql return 'old';";
put_script("$_", $stub . "\n") foreach "maintsched--$version--stub.sql";
put_script('maintsched--stub.sql', "$script\n$stub\n");
is_deeply(compare($version, 'stub'), [], 'the base of what follows');
my $base = catalogs("create extension maintsched version 'stub'");
my $n = 0;
foreach my $what (sort keys %forgotten)
{
	my $name = 'forgotten' . ++$n;
	put_script("maintsched--$name.sql", "$script\n$stub\n$forgotten{$what};\n");
	my $found = difference($base, catalogs("create extension maintsched version '$name'"));
	cmp_ok(scalar @$found, '>', 0, "a forgotten $what is noticed");
}

$node->stop;
done_testing();
