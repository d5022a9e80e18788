# remove_log_file() removes old log files of this server and nothing else;
# plan_log_cleanup() names them, by age and by size.
use strict;
use warnings FATAL => 'all';
use Cwd qw(realpath);
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('log_cleanup');
$node->init;
$node->append_conf('postgresql.conf', q{
maintsched.launcher = on
maintsched.max_workers = 4
shared_preload_libraries = 'maintsched'
logging_collector = on
log_destination = 'stderr,csvlog'
log_directory = 'log'
log_filename = 'postgresql-%Y-%m-%d_%H%M%S.log'
log_rotation_age = 0
autovacuum = off
});
$node->start;
$node->safe_psql('postgres', q{
	create extension maintsched;
	create role regress_maintsched_manager login;
	select maintsched.grant_access('regress_maintsched_manager', 'manager');
	create role regress_maintsched_cleaner login;
	select maintsched.grant_access('regress_maintsched_cleaner', 'manager');
	grant pg_monitor, pg_write_server_files to regress_maintsched_cleaner;
});
my $folder = $node->data_dir . '/log';
my $day = 86400;

sub make_file
{
	my ($name, $days, $bytes) = @_;
	open(my $file, '>', "$folder/$name") or die "$name: $!";
	print $file 'x' x ($bytes // 10);
	close $file;
	my $then = time - $days * $day - 60;
	utime($then, $then, "$folder/$name") or die "$name: $!";
	return;
}

# What psql says, without the place.
sub said
{
	my ($sql, $role) = @_;
	my ($out, $err);
	$node->psql('postgres', ($role ? "set role $role;\n" : '') . $sql,
		stdout => \$out, stderr => \$err);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^(?:LINE|CONTEXT|QUERY).*\n?//mg;
	return $out eq '' ? $err : $err eq '' ? $out : "$out\n$err";
}

sub planned
{
	my ($params) = @_;
	return $node->safe_psql('postgres',
		"select target, reason, benefit_bytes from maintsched.plan_log_cleanup('$params')");
}

my $old = 'postgresql-2026-01-0';
make_file("${old}1_000000.log", 40, 1000);
make_file("${old}1_000000.csv", 40, 2000);
make_file("${old}2_000000.log.gz", 32, 300);
make_file("${old}3_000000.log-20260104.xz", 31, 300);
make_file("${old}4_000000.log", 20, 60000);
make_file("${old}5_000000.log", 1, 60000);
# what is not this server's, or no file
make_file("postgresql-2026-01-01_000000.sh", 50);
make_file('other.log', 50);
make_file('.postgresql-2026-01-01_000000.log', 50);
make_file('postgresql-2026-01-01_000000.log.bak', 50);
my $outside = $node->basedir . '/outside.txt';
open(my $file, '>', $outside) or die $!;
close $file;
symlink($outside, "$folder/${old}6_000000.log") or die $!;
utime(1, 1, $outside);
mkdir("$folder/${old}7_000000.log") or die $!;

# --- the plan ---

is(planned('{"max_age": "30 days"}'), join("\n",
		"${old}1_000000.csv|40 days old, limit 30 days|2000",
		"${old}1_000000.log|40 days old, limit 30 days|1000",
		"${old}2_000000.log.gz|32 days old, limit 30 days|300",
		"${old}3_000000.log-20260104.xz|31 days old, limit 30 days|300"),
	'plan by age: oldest first, nothing that is not of this server');
is(planned('{"max_age": "30 days", "keep": 5}'), join("\n",
		"${old}1_000000.csv|40 days old, limit 30 days|2000",
		"${old}1_000000.log|40 days old, limit 30 days|1000",
		"${old}2_000000.log.gz|32 days old, limit 30 days|300"),
	'keep: the newest stay (two that are written, three that are not)');
is(planned('{"max_age": "10 years", "max_size": "1 GB"}'), '', 'nothing too old, nothing too much');
like(planned('{"max_size": "100 kB", "keep": 2}'), qr/^${old}1_000000.csv\|the log files take \d+ kB, limit 100 kB\|2000\n(?:.*\n){3}${old}4_000000.log\|.*\z/,
	'plan by size: the oldest go until the rest fits');
is(scalar(split /\n/, planned('{"max_size": 1, "keep": 0}')), 6, 'never what is written, nor links and folders');
like(said(q{select count(*) from maintsched.plan_log_cleanup('{}')}), qr/^0\nNOTICE:  no log file is too old or too much\n/, 'no limit: nothing');
is($node->safe_psql('postgres', q{
	set maintsched.now = '2040-01-01';
	select count(*) from maintsched.plan_log_cleanup('{"max_age": "100 days", "keep": 0}')}),
	'0', 'a simulated clock makes no file older');
is(said(q{select count(*) from maintsched.plan_log_cleanup('{"max_age": "30 days"}')}, 'regress_maintsched_cleaner'),
	"4", 'members of pg_monitor and pg_write_server_files may plan');
like(said(q{select * from maintsched.plan_log_cleanup('{"max_age": "30 days"}')}, 'regress_maintsched_manager'),
	qr/ERROR:  role "regress_maintsched_manager" may not clean up log files\nHINT:  It needs to be a superuser/, 'other managers may not');

# --- what is refused ---

sub refused
{
	my ($name, $error, $role) = @_;
	like(said("select maintsched.remove_log_file(\$n\$$name\$n\$)", $role), qr/^ERROR:  .*$error/, "refused: $name");
	return;
}

refused('', 'is not the plain name of a file');
refused('../PG_VERSION', 'is not the plain name of a file');
refused("$folder/${old}1_000000.log", 'is not the plain name of a file');
refused("../log/${old}1_000000.log", 'is not the plain name of a file');
refused('..', 'is not the plain name of a file');
refused('.postgresql-2026-01-01_000000.log', 'is not the plain name of a file');
refused('other.log', 'is not a log file of this server');
refused('postgresql-2026-01-01_000000.sh', 'is not a log file of this server');
refused('postgresql-2026-01-01_000000.log.bak', 'is not a log file of this server');
refused('postgresql-%Y-%m-%d_%H%M%S.log', 'is not a log file of this server');
refused("${old}6_000000.log", 'is not a regular file');
refused("${old}7_000000.log", 'is not a regular file');
refused("${old}1_000000.log", 'permission denied to remove log files', 'regress_maintsched_manager');
foreach my $format (qw(stderr csvlog))
{
	my $current = $node->safe_psql('postgres', "select substr(pg_current_logfile('$format'), 5)");
	ok(-e "$folder/$current", "there is $current");
	refused($current, 'the server writes log file');
	# neither by another name of it
	my $other = "${old}8_000000." . ($format eq 'csvlog' ? 'csv' : 'log');
	link("$folder/$current", "$folder/$other") or die $!;
	refused($other, 'the server writes log file');
	unlink("$folder/$other");
}
make_file('postgresql-2026-01-09_000000.json', 50);
refused('postgresql-2026-01-09_000000.json', 'the server writes log file');
ok(-e $outside && -e "$folder/other.log", 'all of them are there');

# --- what is done ---

is(said("select maintsched.remove_log_file('${old}2_000000.log.gz')", 'regress_maintsched_cleaner'),
	't', 'a compressed one is removed');
ok(!-e "$folder/${old}2_000000.log.gz", 'it is gone');
like(said("select maintsched.remove_log_file('${old}2_000000.log.gz')"),
	qr/^f\nNOTICE:  log file "${old}2_000000.log.gz" is not there any more/, 'again: no error');

my $run = $node->safe_psql('postgres', q{
	select maintsched.run_routine('log_cleanup', '{"max_age": "30 days"}', reason => 'the test wants it')});
$node->poll_query_until('postgres', "select state = 'succeeded' from maintsched.run_history where run_id = $run")
  or diag($node->safe_psql('postgres', "select * from maintsched.run_history"));
is($node->safe_psql('postgres', "select target, state, reason from maintsched.run_actions where run_id = $run order by seq"),
	join("\n",
		"${old}1_000000.csv|done|40 days old, limit 30 days",
		"${old}1_000000.log|done|40 days old, limit 30 days",
		"${old}3_000000.log-20260104.xz|done|31 days old, limit 30 days"),
	'a run of the routine removes them');
is_deeply([ grep { -e "$folder/$_" } map { "$old$_" } qw(1_000000.csv 1_000000.log 3_000000.log-20260104.xz 4_000000.log 5_000000.log) ],
	[ "${old}4_000000.log", "${old}5_000000.log" ], 'and no other');

# --- servers without log files of their own ---

$node->append_conf('postgresql.conf', "log_directory = 'nowhere'\n");
$node->reload;
$node->poll_query_until('postgres', "select current_setting('log_directory') = 'nowhere'") or die;
rmdir($node->data_dir . '/nowhere');
rename($node->data_dir . '/nowhere', $node->data_dir . '/moved') if -e $node->data_dir . '/nowhere';
like(said(q{select count(*) from maintsched.plan_log_cleanup('{"max_age": "30 days"}')}),
	qr/^ERROR:  this server has no log files: there is no folder "nowhere"/, 'the folder is missing');
$node->append_conf('postgresql.conf', "log_directory = 'log'\nlogging_collector = off\n");
$node->restart;
like(said(q{select count(*) from maintsched.plan_log_cleanup('{"max_age": "30 days"}')}),
	qr/^ERROR:  this server has no log files of its own: logging_collector is off\n/, 'no collector');
$node->safe_psql('postgres', q{
	select maintsched.import_calendar('{"format":"maintsched-calendar/1","name":"logs","title":"Logs","tasks":[]}');
	select maintsched.add_task('logs', 'clean-up', 'FREQ=DAILY', routine => 'log_cleanup')});
$node->poll_query_until('postgres', q{select exists (select from maintsched.run_history where task = 'clean-up' and state = 'failed')}) or die;
is($node->safe_psql('postgres', q{
	select status, outcome, note from maintsched.occurrence_status where task = 'clean-up' and status <> 'scheduled'}),
	'inconclusive|inconclusive|this server has no log files of its own: logging_collector is off', 'which proves nothing');
is($node->safe_psql('postgres', q{select status from maintsched.task_status where task = 'clean-up'}), 'unknown', 'and is not green');
like(said("select maintsched.remove_log_file('${old}4_000000.log')"),
	qr/^ERROR:  this server has no log files of its own\n/, 'and nothing is removed');
ok(-e "$folder/${old}4_000000.log", 'it is there');
$node->stop;
done_testing();
