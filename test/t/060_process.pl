# Child processes of a backend (src/core/process*.c): what a program is given,
# what is kept of what it says, how it ends in every case, and that nothing of it
# is left.  The functions in schema t are those of test/modules/process_test,
# which is built here.
use strict;
use warnings FATAL => 'all';
use File::Path qw(make_path);
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Process;
use Test::More;
use Worker;

my ($node, $temp) = process_server('process');
# --- which programs are run ---

make_path("$temp/bin/open", "$temp/bin/sticky");
chmod 0755, "$temp/bin";
sub script
{
	my ($path, $text, $mode) = @_;
	open(my $file, '>', $path) or die "$path: $!";
	print $file $text;
	close $file;
	chmod $mode // 0755, $path;
	return $path;
}

foreach my $folder ("$temp/bin", "$temp/bin/open", "$temp/bin/sticky")
{
	script("$folder/good", "#!/bin/sh\necho good\n");
}
script("$temp/bin/plain", "#!/bin/sh\n", 0644);
script("$temp/bin/group", "#!/bin/sh\n", 0775);
script("$temp/bin/others", "#!/bin/sh\n", 0757);
script("$temp/bin/empty", "");
script("$temp/bin/headless", "echo no\n");
script("$temp/bin/lost", "#!/nowhere/sh\n");
symlink('good', "$temp/bin/link") or die $!;
symlink("$temp/bin/open/good", "$temp/bin/far") or die $!;
symlink("$temp/bin/good", "$temp/bin/open/near") or die $!;
symlink('nothing', "$temp/bin/dangling") or die $!;
symlink('loop2', "$temp/bin/loop") or die $!;
symlink('loop', "$temp/bin/loop2") or die $!;
system('mkfifo', "$temp/bin/pipe") == 0 or die $!;
chmod 0777, "$temp/bin/open";
chmod 01777, "$temp/bin/sticky";

my $not_run = 'is not run: others could replace it';
foreach my $case (
	[ 'sh', '42602', 'program "sh" is not named by an absolute path' ],
	[ '', '42602', 'program "" is not named by an absolute path' ],
	[ './good', '42602', 'program "./good" is not named by an absolute path' ],
	[ '/', '42809', 'program "/" is a folder' ],
	[ '/bin/..', '42809', 'program "/bin/.." is a folder' ],
	[ 'BIN', '42809', 'program "BIN" is a folder' ],
	[ 'BIN/nothing', '58P01', qq{program "BIN/nothing" does not exist\nDETAIL:  There is no "BIN/nothing".} ],
	[ 'BIN/no/thing', '58P01', qq{program "BIN/no/thing" does not exist\nDETAIL:  There is no "BIN/no".} ],
	[ 'BIN/good/thing', '58P01', qq{program "BIN/good/thing" does not exist\nDETAIL:  "BIN/good" is not a folder.} ],
	[ 'BIN/dangling', '58P01', qq{program "BIN/dangling" does not exist\nDETAIL:  There is no "BIN/nothing".} ],
	[ 'BIN/loop', '58P01', qq{program "BIN/loop" does not exist\nDETAIL:  Its symbolic links lead in a circle.} ],
	[ 'BIN/plain', '42501', 'program "BIN/plain" cannot be executed: Permission denied' ],
	[ 'BIN/pipe', '42809', 'program "BIN/pipe" is not a regular file' ],
	[ '/dev/null', '42809', 'program "/dev/null" is not a regular file' ],
	[ 'BIN/group', '42501', qq{program "BIN/group" $not_run\nDETAIL:  File "BIN/group" can be written to by its group or by everybody (mode 0775).} ],
	[ 'BIN/others', '42501', qq{program "BIN/others" $not_run\nDETAIL:  File "BIN/others" can be written to by its group or by everybody (mode 0757).} ],
	[ 'BIN/open/good', '42501', qq{program "BIN/open/good" $not_run\nDETAIL:  Folder "BIN/open" can be written to by its group or by everybody (mode 0777).} ],
	[ 'BIN/open/../good', '42501', qq{program "BIN/open/../good" $not_run\nDETAIL:  Folder "BIN/open" can be written to by its group or by everybody (mode 0777).} ],
	[ 'BIN/far', '42501', qq{program "BIN/far" $not_run\nDETAIL:  Folder "BIN/open" can be written to by its group or by everybody (mode 0777).} ],
	[ 'BIN/open/near', '42501', qq{program "BIN/open/near" $not_run\nDETAIL:  Folder "BIN/open" can be written to by its group or by everybody (mode 0777).} ])
{
	my ($path, $code, $text) = map { s{BIN}{$temp/bin}gr } @$case;
	my $expected = "ERROR:  $code: $text\nHINT:  maintsched.some_command names the program.";
	is(error_of("select t.check_program('$path')"), $expected, "not to be run: $case->[0]");
	is(error_of("select t.run('$path')"), $expected, "not run: $case->[0]");
}
foreach my $path ('/bin/sh', '//bin/./sh', '/bin/../bin/sh', "$temp/bin/good", "$temp/bin/link", "$temp/bin/sticky/good")
{
	is(error_of("select t.check_program('$path')"), '', 'may be run: ' . $path =~ s/\Q$temp\E//r);
}
is(sql("select rtrim(output, E'\n') from t.run('$temp/bin/link')"), 'good', 'a symbolic link is followed');
like(error_of("select t.run('$temp/bin/headless')"), qr/^ERROR:  \S+: could not execute program ".*": Exec format error\nDETAIL:  It is no program for this machine, or a script without "#!"\.$/, 'no shell runs a script without #!');
like(error_of("select t.run('$temp/bin/empty')"), qr/^ERROR:  \S+: could not execute program ".*": Exec format error/, 'an empty file');
like(error_of("select t.run('$temp/bin/lost')"), qr/^ERROR:  58P01: could not execute program ".*": No such file or directory\nDETAIL:  The interpreter that it names may be missing\.$/, 'its interpreter is missing');
like(error_of("select t.run('/bin/true', directory => '/nowhere')"), qr{^ERROR:  58P01: could not change to folder "/nowhere" for program "/bin/true": No such file or directory$}, 'its folder is missing');
like(error_of(q{select t.run('/bin/true', array(select repeat('x', 100000) from generate_series(1, 100)))}), qr{^ERROR:  \S+: could not execute program "/bin/true": Argument list too long$}, 'more arguments than the kernel takes');
is(scalar(files()), 0, 'what was not started left no file');
my $folder = $node->data_dir . '/pg_stat_tmp/maintsched_processes';
chmod 0500, $folder or die $!;
like(error_of("select t.run('/bin/sh', array['-c', 'touch $temp/ran'])"), qr{^ERROR:  42501: could not write file "pg_stat_tmp/maintsched_processes/.*": Permission denied$}, 'it cannot be written down');
chmod 0700, $folder or die $!;
ok(!-e "$temp/ran", 'its program did not begin');
my $bindir = `pg_config --bindir`;
chomp $bindir;
is(sql(q{select t.server_program('pg_verifybackup')}), "$bindir/pg_verifybackup", 'a program of the server');
like(sql(q{select rtrim(output, E'\n') from t.run(t.server_program('pg_verifybackup'), '{--version}')}), qr/^pg_verifybackup \(PostgreSQL\)/, 'is run');

# --- what a program is given ---

is(sql(q{select rtrim(output, E'\n') from t.run('/usr/bin/printf', array['<%s>', '', 'a b', '$(id)', '"', '-', E'x\ny', '*'])}),
	"<><a b><\$(id)><\"><-><x\ny><*>", 'arguments as they are');
my @user = getpwuid($>);
my $environment = sql(q{select rtrim(output, E'\n') from t.run('/usr/bin/env', environment => '{B=1,TZ=Europe/Paris,C=x=y}')});
like($environment, qr/^MAINTSCHED_PROCESS=[0-9a-f]{32}$/m, 'a token');
is($environment =~ s/^MAINTSCHED_PROCESS.*\n//r,
	"PATH=/usr/local/bin:/usr/bin:/bin\nLC_ALL=C.UTF-8\nHOME=$user[7]\nUSER=$user[0]\nLOGNAME=$user[0]\nB=1\nTZ=Europe/Paris\nC=x=y",
	'the environment is that of the list, and nothing of the server');
is(sql(q{select rtrim(output, E'\n') from t.run('/bin/sh', '{-c,echo $TZ}')}), 'UTC', 'times are in UTC');
is(sh('pwd'), 'exited with code 0|/', 'it runs in the root folder');
is(sql(q{select rtrim(output, E'\n') from t.run('/bin/pwd', directory => '/usr')}), '/usr', 'or where it was told');
is(sql(q{begin; declare c cursor for select from pg_class; fetch c;
	select rtrim(output, E'\n') from t.run('/bin/sh', array['-c', 'ls /proc/$$/fd; :'])}),
	"0\n1\n2", 'no other descriptors');
is(sh('readlink /proc/$$/fd/0; readlink /proc/$$/fd/1 | cut -c 1-4'), "exited with code 0|/dev/null\npipe", 'nothing to read, a pipe to write');
# (signals 32 and 33 are the C library's own: it lets nobody reset them)
like(sql(q{select rtrim(output, E'\n') from t.run('/bin/grep', array['-E', '^Sig(Pnd|Blk|Ign)', '/proc/self/status'])}),
	qr/^SigPnd:\t0{16}\nSigBlk:\t0{16}\nSigIgn:\t0{7}[01][08]0{7}$/, 'no signal is blocked or ignored');
is(sh('set -- $(cat /proc/$$/stat); [ $1 = $$ ] && [ $5 = $$ ] && [ $6 = $$ ] && echo own; echo $7'), "exited with code 0|own\n0", 'a session and group of its own, without a terminal');
is(sh('set -- $(cat /proc/$$/stat); cat /proc/$4/oom_score_adj') , sh('cat /proc/$$/oom_score_adj'), 'the OOM score is kept where it does not protect');

# --- what it reads and writes ---

is(sh('cat'), 'exited with code 0', 'no input is an empty input');
is(sql(q{select rtrim(output, E'\n') from t.run('/bin/cat', input => '')}), '', 'so is an empty one');
is(sql(q{select output = repeat('0123456789', 500000), output_total, output_truncated from t.run('/bin/cat', input => repeat('0123456789', 500000)::bytea, output_limit => 6000000)}),
	't|5000000|f', 'five megabytes in and out at once');
is(sql(q{select told from t.run('/bin/true', input => repeat('0123456789', 500000)::bytea)}), 'exited with code 0', 'input that is not read is no error');
is(sql(q{select told from t.run('/bin/sh', array['-c', 'exec <&-; echo x; sleep 0.2; exit 4'], input => repeat('0123456789', 500000)::bytea)}), 'exited with code 4', 'nor one that is closed');
is(sh('echo out; echo err >&2; exit 3'), "exited with code 3|out|err", 'output and errors are apart');
my $numbers = 'array[\'-c\', \'i=0; while [ $i -lt 1000 ]; do printf %04d $i; printf e >&2; i=$((i+1)); done\']';
is(sql(qq{select output, output_total, output_truncated, error, error_total, error_truncated
	from t.run('/bin/sh', $numbers, output_limit => 10, error_limit => 1000)}), '0000000100|4000|t|' . ('e' x 1000) . '|1000|f', 'the first bytes are kept');
is(sql(qq{select output, output_total, output_truncated from t.run('/bin/sh', $numbers, output_limit => 10, keep_last => true)}), '9709980999|4000|t', 'or the last ones');
is(sql(qq{select output = string_agg(to_char(i, 'fm0000'), ''), output_truncated from generate_series(0, 999) i, t.run('/bin/sh', $numbers, output_limit => 4000, keep_last => true) group by output, output_truncated}), 't|f', 'all, where the limit is just enough');
is(sql(qq{select output, output_total, output_truncated from t.run('/bin/sh', $numbers, output_limit => 0, keep_last => true)}), '|4000|t', 'or nothing');
my $gigabyte = sql(q{
	create temp table rss as select 0 as n, substring(pg_read_file('/proc/self/status') from 'VmHWM:\s+(\d+)')::integer as kb;
	select told, output_total, output_truncated, length(output), error_total
	from t.run('/bin/sh', array['-c', 'head -c 1G /dev/zero | tr "\0" x & head -c 300M /dev/zero >&2; wait']);
	select substring(pg_read_file('/proc/self/status') from 'VmHWM:\s+(\d+)')::integer - kb < 20000 from rss});
is($gigabyte, "exited with code 0|1073741824|t|65536|314572800\nt", 'a gigabyte: read, counted, not kept');
is(sh('exec >&- 2>&-; sleep 0.3; exit 5'), 'exited with code 5', 'closed output is not the end');

# --- how it ends ---

foreach my $code (0, 1, 126, 127, 255)
{
	is(sh("exit $code"), "exited with code $code", "exit code $code");
}
is(sh('kill -KILL $$'), 'was ended by signal 9: Killed', 'signal 9');
is(sh('kill -SEGV $$'), 'was ended by signal 11: Segmentation fault', 'signal 11');
is(sql(q{select exit_code, signal, running, lost from t.run('/bin/sh', array['-c', 'kill $$'])}), '-1|15|f|f', 'a signal is no exit code');
is(sql(q{select t.ignore_children(); select exit_code from t.run('/bin/sh', '{-c,exit 7}')}), "\n7", 'also where code of the session ignores its children');

foreach my $pidfd ('true', 'false')
{
	my $how = $pidfd eq 'true' ? 'with a pidfd' : 'without';
	my ($file, $script) = family();
	my $prefix = "select t.use_pidfd($pidfd); ";
	is(sql($prefix . 'select t.sh(' . quoted('exec >&- 2>&-; sleep 0.3; exit 6') . ')'), "\nexited with code 6", "$how: closed output");
	like(sql($prefix . 'select t.sh(' . quoted("echo begun; $script") . ', 3000)'), qr/^\ndid not end in time, and was ended after \d+\.\d s\|begun$/, "$how: its time is up");
	are_gone("$how: it and what it started", pids_in($file));
	($file, $script) = family(1);
	is(sql($prefix . 'select timed_out, signal from t.run(' . "'/bin/sh', array['-c', " . quoted($script) . "], timeout_ms => 3000, how => 'hasty')"), "\nt|9", "$how: one that ignores SIGTERM");
	are_gone("$how: it and what it started", pids_in($file));
	like(sql($prefix . 'select t.sh(' . quoted('kill -STOP $$') . ", 300, 'program')"), qr/^\ndid not end in time/, "$how: one that is stopped");
	is(sql($prefix . 'select t.sh(' . quoted("sleep 1000 & echo \$! > $temp/stays.$pidfd; echo done") . ')'), "\nexited with code 0|done", "$how: what it leaves behind is not waited for");
	are_gone("$how: but ended", pids_in("$temp/stays.$pidfd"));
}
is(sql(q{select timed_out, exit_code from t.run('/bin/sh', array['-c', 'trap "exit 9" TERM; while :; do sleep 0.05; done'], timeout_ms => 3000)}), 't|9', 'one that tidies up when its time is up');
is(scalar(files()), 0, 'no file is left');

# --- interrupts ---

foreach my $stubborn (0, 1)
{
	my $how = $stubborn ? 'stubborn' : 'obedient';
	my ($file, $script) = family($stubborn);
	my $session = background('begin; select t.sh(' . quoted($script) . '); select 1');
	my @pids = pids_in($file);
	my $backend = backend_of($pids[0]);
	is(scalar(files()), 1, "$how: a file tells of it");
	sql("select pg_cancel_backend($backend)");
	like(finish($session), qr/^ERROR:  canceling statement due to user request$/m, "$how: cancelled");
	are_gone("$how: cancelled, it and what it started", @pids);

	($file, $script) = family($stubborn);
	$session = background('select t.sh(' . quoted($script) . ')');
	@pids = pids_in($file);
	sql('select pg_terminate_backend(' . backend_of($pids[0]) . ', 30000)');
	like(finish($session), qr/^FATAL:  terminating connection due to administrator command$/m, "$how: terminated");
	are_gone("$how: terminated, it and what it started", @pids);
	is(scalar(files()), 0, "$how: no file is left");
}
my ($file, $script) = family();
is(error_of('set statement_timeout = 3000; select t.sh(' . quoted($script) . ')'), 'ERROR:  57014: canceling statement due to statement timeout', 'statement_timeout');
are_gone('it and what it started', pids_in($file));
is(sql(q{create temp table said as select 'nothing' as text; set statement_timeout = 300;
	do $$ begin perform t.sh('sleep 1000');
	exception when query_canceled then
		update said set text = t.sh('echo on');
	end $$; select text from said}), 'exited with code 0|on', 'a block that catches it goes on');

# --- one that goes on ---

my $going_on = q{select t.start('/bin/sh', array['-c', 'i=0; while :; do echo line $i; i=$((i+1)); [ $i -le 1000 ] || sleep 0.05; done'], keep_last => true, output_limit => 50);};
is(sql(qq{$going_on
	select t.poll(0, 0);
	select t.poll(0, 3000);
	select running, exit_code, signal, length(output), output ~ E'line \\\\d+\\n\$', output_truncated, told from t.result(0);
	select t.stop(0);
	select t.poll(0, 0);
	select running, timed_out, exit_code, signal from t.result(0);
	select t.close(0)}), "0\nf\nf\nt|-1|0|50|t|t|is running\n\nt\nf|f|-1|15\n", 'started, looked at, stopped');
is(sql(q{select t.start('/bin/sh', '{-c,exit 3}'); select t.poll(0, 60000); select exit_code from t.result(0); select t.stop(0); select t.close(0)}), "0\nt\n3\n\n", 'stopping one that has ended');
is(sql(q{select t.start('/bin/sleep', '{1000}', timeout_ms => 200); select t.poll(0, -1); select timed_out, signal from t.result(0); select t.close(0)}), "0\nt\nt|15\n", 'a time limit');
is(sql(q{select t.start('/bin/sh', array['-c', 'head -c 30M /dev/zero; exec >&-; sleep 1000']);
	select t.sh('while [ ! -e TEMP/go ]; do [ -e /proc/'||t.pid(0)||'/fd/1 ] || touch TEMP/go; sleep 0.05; done' );
	select output_total from t.result(0); select t.close(0)} =~ s/TEMP/$temp/gr), "0\nexited with code 0\n31457280\n", 'others are read while one is waited for');
is(sql(q{select t.start('/bin/sleep', '{1000}'), t.start('/bin/sleep', '{1000}'), t.start('/bin/sleep', '{1000}');
	select t.close(1); select t.pid(0) <> t.pid(2); select t.poll(0, 50), t.poll(2, 50); select t.close(0); select t.poll(2, 0); select t.close(2)}), "0|1|2\n\nt\nf|f\n\nf\n", 'several at once');
is(error_of(q{begin; select t.start('/bin/sh', array['-c', 'echo $$ > TEMP/owned; exec sleep 1000'], how => 'program'), t.sh('while [ ! -s TEMP/owned ]; do sleep 0.02; done'); select 1} =~ s/TEMP/$temp/gr),
	'WARNING:  XX000: process ' . (pids_in("$temp/owned"))[0] . ' was not closed', 'one that belongs to the statement, and was forgotten');
are_gone('it is ended with the statement', pids_in("$temp/owned"));
is(error_of(q{select t.start('/bin/sh', array['-c', 'echo $$ > TEMP/failed; exec sleep 1000'], how => 'program'), t.sh('while [ ! -s TEMP/failed ]; do sleep 0.02; done'), 1 / (t.poll(0, 0)::integer)} =~ s/TEMP/$temp/gr), 'ERROR:  22012: division by zero', 'one whose statement fails');
are_gone('it is ended, too', pids_in("$temp/failed"));
is(sql(q{begin; select t.start('/bin/sleep', '{1000}'); rollback; select t.poll(0, 0), pid > 0 from t.pid(0) pid; select t.close(0)}), "0\nf|t\n", 'one of the session goes on after a rollback');
sql(q{select t.start('/bin/sh', array['-c', 'echo $$ > TEMP/left; exec sleep 1000']); select t.sh('while [ ! -s TEMP/left ]; do sleep 0.02; done')} =~ s/TEMP/$temp/gr);
are_gone('but not after the session', pids_in("$temp/left"));
is(scalar(files()), 0, 'no file is left');

# --- again and again ---

is(sql(q{
	create temp table measured (n integer, fds bigint, bytes numeric);
	create procedure pg_temp.use_them(times integer) language plpgsql as $$
		begin
			for i in 1..times loop
				perform t.sh('head -c 100000 /dev/zero | tr "\0" x; exit 1', 60000);
			end loop;
			for i in 1..times / 5 loop
				begin perform t.run('/bin/nothing'); exception when undefined_file then null; end;
				begin perform t.run('HEADLESS'); exception when others then null; end;
				begin perform t.run('/bin/true', directory => '/nowhere'); exception when undefined_file then null; end;
			end loop;
		end $$;
	create procedure pg_temp.measure(n integer) language sql as $$
		insert into measured select n, (select count(*) from pg_ls_dir('/proc/self/fd')),
			(select sum(total_bytes) from pg_backend_memory_contexts where name like 'maintsched%' or name = 'TopMemoryContext') $$;
	call pg_temp.use_them(10);
	call pg_temp.measure(0);
	call pg_temp.measure(1);
	call pg_temp.use_them(100);
	call pg_temp.measure(2);
	select a.fds - b.fds, b.bytes - a.bytes from measured a, measured b where a.n = 1 and b.n = 2;
	select rtrim(output) from t.run('/bin/sh', array['-c', 'cat /proc/[0-9]*/stat 2> /dev/null | grep -c ") Z $(cut -d " " -f 4 /proc/$$/stat) "'])}
	=~ s/HEADLESS/$temp\/bin\/headless/r), "0|0\n0\n", 'a hundred times: no descriptors, memory or zombies are left');

# --- in the background ---

($file, $script) = family();
add_work($node, 'postgres', 'child', statement => 'select t.sh(' . quoted("echo \$\$ > $temp/background; exec sleep 1000") . ')');
my @background = pids_in("$temp/background");
like(slurp_file('/proc/' . backend_of($background[0]) . '/cmdline'), qr/maintsched runner/, 'a runner has a child');
sql(q{select maintsched.cancel_run(run_id) from maintsched.run_history where task = 'child' and state = 'running'});
are_gone('it is ended when the run is cancelled', @background);
has_state($node, 'postgres', 'child', 'cancelled', 'and that is all');

done_testing();
