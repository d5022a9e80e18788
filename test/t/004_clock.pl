# maintsched.now is a superuser's and a session's: no file, no ALTER DATABASE
# or ALTER ROLE, no ordinary role moves the calendar of a server, also where
# the setting is made before the library is loaded.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('clock');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
my $then = '2026-04-06 12:00:00+00';
my $is_then = "select maintsched.clock() = '$then'";
my $is_real = 'select maintsched.clock() = statement_timestamp()';
$node->safe_psql('postgres', 'create extension maintsched; create role regress_plain login;
	grant usage on schema maintsched to regress_plain;
	grant execute on function maintsched.clock() to regress_plain;');

# psql's answer and what it said besides
sub ask
{
	my ($sql, @more) = @_;
	my ($status, $out, $error) = $node->psql('postgres', $sql, @more);
	return ($out, $error);
}

my ($out, $error) = ask("set maintsched.now = '$then'; $is_then");
is($out, 't', 'set before the library is loaded, it counts once it is');

($out, $error) = ask("set maintsched.now = 'junk'; $is_real");
is($out, 't', 'what is no timestamp does not count');
like($error, qr/invalid value for parameter "maintsched.now"/, 'and is said');

{
	local $ENV{PGOPTIONS} = "-c maintsched.now=2026-04-06T12:00:00Z";
	($out, $error) = ask($is_then);
	is($out, 't', 'a superuser may give it with the connection');
	($out, $error) = ask($is_real, extra_params => [ '-U', 'regress_plain' ]);
	is($out, 't', 'an ordinary role may not');
	like($error, qr/permission denied to set parameter "maintsched.now"/, 'and is told');
}

($out, $error) = ask("select maintsched.clock(); set maintsched.now = '$then'",
	extra_params => [ '-U', 'regress_plain' ]);
like($error, qr/permission denied to set parameter/, 'nor set it later');

# Stored while the library is not loaded, the value is a mere string.
$node->safe_psql('postgres', "alter database postgres set maintsched.now = '$then'");
($out, $error) = ask($is_real);
is($out, 't', 'ALTER DATABASE does not count');
like($error, qr/can be set in a session only/, 'and is said');
$node->safe_psql('postgres', 'alter database postgres reset maintsched.now');

$node->safe_psql('postgres', "alter role current_user set maintsched.now = '$then'");
($out, $error) = ask($is_real);
is($out, 't', 'ALTER ROLE does not count');
like($error, qr/can be set in a session only/, 'and is said');
$node->safe_psql('postgres', 'alter role current_user reset maintsched.now');

$node->append_conf('postgresql.conf', "maintsched.now = '$then'\n");
$node->reload;
$node->poll_query_until('postgres', "select current_setting('maintsched.now', true) = '$then'")
  or die 'the file was not read';
($out, $error) = ask($is_real);
is($out, 't', 'the configuration file does not count');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'maintsched'\n");
$node->restart;
($out, $error) = ask($is_real);
is($out, 't', 'neither with the library preloaded');
like(slurp_file($node->logfile), qr/can be set in a session only/, 'the log says so');

# Parallel workers see the same clock.
($out, $error) = ask("set maintsched.now = '$then'; create table many as select g from generate_series(1, 20000) g;
	analyze many; set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;
	select bool_and(maintsched.clock() = '$then' and g > 0) from many");
is($out, 't', 'parallel workers see the same clock');
$node->stop;
done_testing();
