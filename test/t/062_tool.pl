# Backup tools are asked (src/backup/tool.c): programs that do whatever a program
# may do, then pgBackRest and Barman themselves, where they are installed.
use strict;
use warnings FATAL => 'all';
use Cwd qw(abs_path);
use File::Path qw(make_path);
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $temp = abs_path(PostgreSQL::Test::Utils::tempdir);
chmod 0700, $temp;
my $node = new_server('tool');
$node->append_conf('postgresql.conf', qq{
maintsched.pgbackrest_command = '$temp/tool'
maintsched.barman_command = '$temp/tool'
maintsched.backup_tool_timeout = 60s
});
$node->reload;
$node->safe_psql('postgres', 'create extension maintsched; create role regress_maintsched_nobody; create role regress_maintsched_asker;
	grant pg_execute_server_program to regress_maintsched_asker;
	grant usage on schema maintsched to regress_maintsched_nobody, regress_maintsched_asker;
	grant execute on function maintsched.read_pgbackrest, maintsched.read_barman to regress_maintsched_nobody, regress_maintsched_asker');

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# What psql prints, errors with their code.
sub said
{
	my ($sql) = @_;
	my ($out, $err);
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err, extra_params => [ '-v', 'SHOW_CONTEXT=never', '-v', 'VERBOSITY=verbose' ]);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^(?:LOCATION|LINE).*\n?//mg;
	return $out . $err =~ s/\n\z//r;
}

sub tool
{
	my ($script, $mode) = @_;
	open(my $file, '>', "$temp/tool.new") or die $!;
	print $file "#!/bin/sh\n$script\n";
	close $file;
	chmod $mode // 0755, "$temp/tool.new";
	rename "$temp/tool.new", "$temp/tool" or die $!;
	return;
}

sub setting
{
	my ($name, $value) = @_;
	$node->append_conf('postgresql.conf', "maintsched.$name = '$value'\n");
	$node->reload;
	$node->poll_query_until('postgres', "select current_setting('maintsched.$name') = '$value'") or die "$name is not set";
	return;
}

my $pgbackrest = q{select maintsched.read_pgbackrest('main')};
my $barman = q{select maintsched.read_barman('list-backups', 'main')};

# --- what the tools are called with ---

tool(q{for a; do printf '%s,' "$a"; done | sed 's/.*/"&"/'});
is(sql(q{select maintsched.read_pgbackrest('main')}), '"--stanza=main,--log-level-console=off,--log-level-file=off,--log-level-stderr=warn,--output=json,info,"', 'pgBackRest');
is(sql(q{select maintsched.read_pgbackrest('m;$(id)', '/a b/c')}), '"--stanza=m;$(id),--config=/a b/c,--log-level-console=off,--log-level-file=off,--log-level-stderr=warn,--output=json,info,"', 'with a configuration file');
tool(q{for a; do printf '%s,' "$a"; done | sed 's/.*/{"a":"&"}/'});
is(sql(q{select maintsched.read_barman('list-backups', 'main') ->> 'a'}), '--format,json,list-backups,main,', 'Barman: list-backups');
is(sql(q{select maintsched.read_barman('check', 'main', 'x', '/etc/b') ->> 'a'}), '--config,/etc/b,--format,json,check,main,', 'check');
is(sql(q{select maintsched.read_barman('show-backup', 'main', '20261120T101112') ->> 'a'}), '--format,json,show-backup,main,20261120T101112,', 'show-backup');
foreach my $case (
	[ q{read_pgbackrest(null)}, '22004', 'the name of the stanza is null' ],
	[ q{read_pgbackrest('')}, '22023', '"" is not the name of a stanza' ],
	[ q{read_pgbackrest('-x')}, '22023', '"-x" is not the name of a stanza' ],
	[ q{read_pgbackrest('a b')}, '22023', '"a b" is not the name of a stanza' ],
	[ q{read_pgbackrest('a', 'b')}, '22023', 'configuration file "b" is not named by an absolute path' ],
	[ q{read_barman('delete', 'main')}, '22023', "Barman is not asked for \"delete\"\nHINT:  Commands are list-backups, show-backup, show-servers and check." ],
	[ q{read_barman('check', '--help')}, '22023', '"--help" is not the name of a server' ],
	[ q{read_barman('show-backup', 'main')}, '22004', 'the name of the backup is null' ],
	[ q{read_barman('show-backup', 'main', '-x')}, '22023', '"-x" is not the name of a backup' ])
{
	my ($call, $code, $text) = @$case;
	is(said("select maintsched.$call"), "ERROR:  $code: $text", $call);
}

# --- whatever a program may do ---

my $big = 'head -c 17000000 /dev/zero | tr "\0" " "';
foreach my $case (
	[ 'exit 5', 'pgBackRest exited with code 5', '38000' ],
	[ 'echo "ERROR: [055]: gone" >&2; exit 55', "pgBackRest exited with code 55\nDETAIL:  It said: ERROR: [055]: gone", '38000' ],
	[ 'echo "[]"; exit 1', "pgBackRest exited with code 1\nDETAIL:  It said: []", '38000' ],
	[ 'exit 127', 'pgBackRest exited with code 127', '38000' ],
	[ 'printf "No section\nTraceback (most recent call last):\n  File x\n" >&2; exit 1', "pgBackRest exited with code 1\nDETAIL:  It said: No section", '38000' ],
	[ 'printf "a\033[31mb\377\tc\n\n" >&2; exit 1', "pgBackRest exited with code 1\nDETAIL:  It said: a [31mb? c", '38000' ],
	[ 'echo "[]"; kill -9 $$', 'pgBackRest was ended by signal 9: Killed', '39000' ],
	[ '', "pgBackRest printed no valid JSON\nDETAIL:  It printed nothing.", '22P02' ],
	[ 'printf "[{\"name\": \"main\", \"backup\": [{\"label\": \"2026"', "pgBackRest printed no valid JSON\nDETAIL:  Token \"\"2026\" is invalid.", '22P02' ],
	[ 'echo "[]"; echo "[]"', "pgBackRest printed no valid JSON\nDETAIL:  Expected end of input, but found \"[\".", '22P02' ],
	[ 'echo "P00 INFO: x"; echo "[]"', "pgBackRest printed no valid JSON\nDETAIL:  Token \"P00\" is invalid.", '22P02' ],
	[ 'echo "P00 WARN: x"; echo "[]["', "pgBackRest printed no valid JSON\nDETAIL:  Expected end of input, but found \"[\".", '22P02' ],
	[ 'echo "P00   WARN: x"', "pgBackRest printed no valid JSON\nDETAIL:  It printed nothing.", '22P02' ],
	[ 'echo why >&2', "pgBackRest printed no valid JSON\nDETAIL:  It printed nothing.\nHINT:  It said besides: why", '22P02' ],
	[ 'printf "[\0]"', "pgBackRest printed no valid JSON\nDETAIL:  Token \"\\\" is invalid.", '22P02' ],
	[ "$big; echo '[]'", "pgBackRest printed more than is read of it\nDETAIL:  It printed 17000003 bytes; the limit is 16777216.", '54000' ])
{
	my ($script, $text, $code) = @$case;
	tool($script);
	is(said($pgbackrest), "ERROR:  $code: $text", "pgBackRest: $script");
}
tool('echo "{\"main\": {\"a\": 18446744073709551615}}"; echo "{\"_ERROR\":" >&2');
is(sql($barman), '{"main": {"a": 18446744073709551615}}', 'numbers of 64 bits stay exact');
tool('echo "[]"');
is(said($barman), "ERROR:  38000: Barman exited with code 0\nDETAIL:  It said: []", 'an answer of Barman is an object');
tool('echo "{\"_ERROR\": [\"Unknown server\"]}"');
is(said($barman), "ERROR:  38000: Barman exited with code 0\nDETAIL:  It said: {\"_ERROR\": [\"Unknown server\"]}", 'an error is no answer, whatever the exit code');
tool('echo "{\"main\": {}}"; exit 1');
is(said($barman), "ERROR:  38000: Barman exited with code 1\nDETAIL:  It said: {\"main\": {}}", 'code 1 is an error');
is(said(q{select maintsched.read_barman('check', 'main')}), '{"main": {}}', 'but not of a check');
tool('echo "P00   WARN: x"; echo "      HINT: y"; echo "P00   WARN: z"; echo "[1]"');
is(said($pgbackrest), '[1]', 'warnings before the answer');
# its messages may hold what is no text
tool('printf "[\"a\377\376\0b\303\244\377\"]"');
is(said($pgbackrest), "[\"a\\u001ab\xc3\xa4\\u001a\"]", 'pgBackRest, of bytes that are no text: a substitute');
like(said($barman), qr/^ERROR:  22021: Barman printed what is no text in UTF-8/, 'Barman has none such');
tool('echo "{\"main\": {}}"; exit 2');
is(said(q{select maintsched.read_barman('check', 'main')}), "ERROR:  38000: Barman exited with code 2\nDETAIL:  It said: {\"main\": {}}", 'code 2 is');
tool("head -c 1000000 /dev/zero | tr '\\0' '['");
like(said($pgbackrest), qr/^ERROR:  54001: stack depth limit exceeded/, 'nested too deep');

setting('backup_tool_timeout', '3s');
tool('echo begun >&2; sleep 1000');
like(said($pgbackrest), qr/^ERROR:  39000: pgBackRest did not end in time, and was ended after \d+\.\d s\nDETAIL:  It said: begun\nHINT:  maintsched\.backup_tool_timeout says how long it may take\.$/, 'one that hangs');
setting('backup_tool_timeout', '1min');

tool('echo "[]"', 0775);
like(said($pgbackrest), qr/^ERROR:  42501: program ".*" is not run: others could replace it\n.*\nHINT:  maintsched\.pgbackrest_command names the program\.$/, 'one that others may write');
unlink "$temp/tool";
like(said($barman), qr/^ERROR:  58P01: program ".*" does not exist\n.*\nHINT:  maintsched\.barman_command names the program\.$/, 'one that is not there');
setting('barman_command', '');
is(said($barman), "ERROR:  55000: Barman is not asked: maintsched.barman_command is empty\nHINT:  Set it to the path of the program in postgresql.conf, and reload.", 'none');

# --- who ---

tool('echo "[]"');
is(said("set role regress_maintsched_nobody; $pgbackrest"),
	"ERROR:  42501: permission denied to ask backup tools\nDETAIL:  Only superusers and roles with privileges of the role pg_execute_server_program may run programs on the server.", 'not just anybody');
like(said("set role regress_maintsched_nobody; $barman"), qr/^ERROR:  42501: permission denied to ask backup tools/, 'nor Barman');
is(said("set role regress_maintsched_asker; $pgbackrest"), '[]', 'who may run programs');
like(said(q{set maintsched.pgbackrest_command = '/bin/true'}), qr/cannot be changed now/, 'the program is not set in a session');
like(said(q{alter system set maintsched.barman_command = '/bin/true'}), qr/cannot be changed/, 'nor by ALTER SYSTEM');
like(said(q{set role regress_maintsched_asker; show maintsched.pgbackrest_command}), qr/42501/, 'nor shown to everybody');
$node->append_conf('postgresql.conf', "maintsched.barman_command = 'barman'\n");
$node->reload;
is(sql(q{select error from pg_file_settings where name = 'maintsched.barman_command' order by seqno desc limit 1}), 'setting could not be applied', 'a path that is not absolute');

# --- the tools themselves ---

my $user = getpwuid($>);

sub write_file
{
	my ($path, $text) = @_;
	open(my $file, '>', $path) or die $!;
	print $file $text;
	close $file;
	return;
}

SKIP:
{
	skip 'pgBackRest is not installed', 4 if !-x '/usr/bin/pgbackrest';
	my $source = PostgreSQL::Test::Cluster->new('source');
	$source->init;
	make_path("$temp/repo");
	write_file("$temp/pgbackrest.conf", "[global]\nrepo1-path=$temp/repo\nlog-path=$temp\nlock-path=$temp\n[main]\npg1-path=" . $source->data_dir . "\n");
	foreach my $command ('stanza-create', 'backup')
	{
		system_or_bail('/usr/bin/pgbackrest', "--config=$temp/pgbackrest.conf", '--stanza=main', '--no-online', '--log-level-console=off', '--log-level-stderr=off', $command);
	}
	setting('pgbackrest_command', '/usr/bin/pgbackrest');
	my ($control) = run_command([ 'pg_controldata', $source->data_dir ]);
	my ($identifier) = $control =~ /system identifier: +(\d+)/;
	is(sql(qq{select j -> 0 ->> 'name', j -> 0 -> 'db' -> 0 ->> 'system-id', jsonb_array_length(j -> 0 -> 'backup'), j -> 0 -> 'backup' -> 0 ->> 'type'
		from maintsched.read_pgbackrest('main', '$temp/pgbackrest.conf') j}), "main|$identifier|1|full", 'pgBackRest: a backup');
	is(sql(qq{select maintsched.read_pgbackrest('other', '$temp/pgbackrest.conf') #>> '{0,status,code}'}), '1', 'a stanza that there is not');
	like(said(qq{select maintsched.read_pgbackrest('main', '$temp/nothing')}), qr/^ERROR:  38000: pgBackRest exited with code 55\nDETAIL:  It said: (?:P00 +)?ERROR: \[055\]/, 'no configuration file');
	write_file("$temp/pgbackrest.conf", "[global]\nrepo1-path=$temp/repo\nlog-path=$temp\nlock-path=$temp\nsurprise=y\n");
	like(said(qq{select maintsched.read_pgbackrest('main', '$temp/pgbackrest.conf') #>> '{0,name}'}), qr/^main$/, 'a warning is no part of the answer');
}
SKIP:
{
	skip 'Barman is not installed', 3 if !-x '/usr/bin/barman';
	make_path("$temp/barman", "$temp/servers");
	write_file("$temp/barman.conf", "[barman]\nbarman_user = $user\nbarman_home = $temp/barman\nlog_file = $temp/barman.log\nconfiguration_files_directory = $temp/servers\n"
		  . "[main]\ndescription = main\nconninfo = host=/nowhere\nstreaming_conninfo = host=/nowhere\nbackup_method = postgres\nstreaming_archiver = on\nslot_name = barman\n");
	setting('barman_command', '/usr/bin/barman');
	is(said(qq{select maintsched.read_barman('list-backups', 'main', config => '$temp/barman.conf')}), '{"main": []}', 'Barman: no backups');
	is(said(qq{select maintsched.read_barman('check', 'main', config => '$temp/barman.conf') #>> '{main,postgresql,status}'}), 'FAILED', 'a check that fails is an answer');
	like(said(qq{select maintsched.read_barman('list-backups', 'other', config => '$temp/barman.conf')}), qr/^ERROR:  38000: Barman exited with code 1\nDETAIL:  It said: \{"_ERROR": \["Unknown server 'other'"\]\}$/, 'a server that there is not');
}
$node->stop;
done_testing();
