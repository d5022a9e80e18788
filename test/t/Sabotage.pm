# What the tests of sabotaged backups share: each case does one harm to a backup,
# asks the tool that made it, has the extension verify it and, where that says
# more, restores it; then the harm is undone.  The cases are told as a table.
package Sabotage;
use strict;
use warnings FATAL => 'all';
use Backups;
use Exporter 'import';
use File::Copy qw(copy);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(sabotage sabotage_table moved changed overwritten appended cut_off flipped linked mode_of setting
  verifybackup_says pgbackrest_says barman_says);

my @table;
my $number = 0;

# A case.  what: the harm in words; repository, label; with: other arguments of
# add_repository; harm: does it, and returns what undoes it; tool: returns what the
# tool says; level, says: the level that must be reached, and patterns of what
# must be said (none: nothing is); drill: works, or fails, of a restore, and
# drill_says; verdict: of backup_status, where it is not the worst.
sub sabotage
{
	my (%case) = @_;
	my ($repository, $label) = @case{qw(repository label)};
	my $node = $case{node} // $repository->{node};
	my $name = sprintf '%s-%02d', $repository->{kind}, ++$number;
	my $begun = time;
	add_repository($node, $repository, name => $name, %{ $case{with} // {} });
	my $undo = $case{harm} ? $case{harm}->() : undef;
	my $tool = $case{tool} ? $case{tool}->() : '';
	my ($said, $level, $verdict, $words, $drill, $how, $drill_said) = ('') x 7;
	eval {
		my $wanted = $label // 'latest';
		$said = said($node, "call maintsched.verify_repository('$name', 7, " . quote($wanted) . ')');
		if ($case{drill})
		{
			$drill_said = said($node, "call maintsched.drill('$name', " . quote($wanted) . ')');
			# it works when it started, and is intact: nothing more is expected of it
			($drill, $how) = split /\|/, $node->safe_psql('postgres', qq{
				select coalesce(bool_or(d.level >= 10), false)::text, max(concat_ws(': ', s.step, s.message))
				from maintsched.drills d
				left join maintsched.drill_steps s on s.drill_id = d.drill_id and s.step = d.step and s.result <> 'pass'
				where d.repository = '$name'}), 2;
		}
		# the newest, or the one that is meant
		($level, $verdict, $words) = split /\|/, $node->safe_psql('postgres', qq{
			select level, verdict, array_to_string(problems, '; ') from maintsched.backup_status
			where repository = '$name' and coalesce(label = } . quote($label) . q{, true)
			order by finished_at desc nulls last limit 1}), 3;
		1;
	} or fail("$case{what}: $@");
	$undo->() if $undo;

	$_ //= '' foreach $level, $verdict, $words, $drill, $how;
	my $all = join "\n", $said, $words, $drill_said;
	my $missing = join ' ', grep { $all !~ /$_/s } @{ $case{says} // [] };
	is($level // '', $case{level} // '', "$case{what}: level");
	is($missing, '', "$case{what}: words") or diag($all);
	if ($case{ok})
	{
		is($said, '', "$case{what}: nothing is wrong");
	}
	else
	{
		like("$said\n$drill_said", qr/^ERROR:  (?:55000|P0002): /m, "$case{what}: it is no pass");
		my $expected = $case{verdict} // 'CRIT';
		like($verdict, qr/^(?:$expected)$/, "$case{what}: verdict");
	}
	is($drill, $case{drill} eq 'works' ? 'true' : 'false', "$case{what}: a restore $case{drill}") or diag($drill_said) if $case{drill};
	push @table, [ $number, $repository->{kind}, $case{what}, $level // '-', $verdict // '-', shown($words || $said), $tool,
		!$case{drill} ? '' : $drill eq 'true' ? 'works' : "fails ($how)", sprintf('%.1f', time - $begun) ];
	return;
}

# Of words the first, without what differs from run to run.
sub shown
{
	my ($text) = @_;
	$text =~ s/\s+/ /g;
	return length $text > 150 ? substr($text, 0, 147) . '...' : $text;
}

# The table, as Markdown.
sub sabotage_table
{
	my ($title) = @_;
	note($title);
	note('| # | kind | sabotage | level | verdict | our words | the tool | a restore | s |');
	note('| --- | --- | --- | --- | --- | --- | --- | --- | --- |');
	foreach my $row (@table)
	{
		note('| ' . join(' | ', map { shown($_) =~ s/\|/\\|/gr } @$row) . ' |');
	}
	return;
}

# --- harms: each returns what undoes it ---

# Files or folders that are not where they were.
sub moved
{
	my (@paths) = @_;
	my $aside = PostgreSQL::Test::Utils::tempdir_short;
	my $n = 0;
	my @moves = map { [ $_, "$aside/" . $n++ ] } @paths;
	foreach my $move (@moves)
	{
		system('mv', @$move) == 0 or die "@$move";
	}
	return sub { system('mv', reverse @$_) == 0 or die "@$_" foreach @moves; };
}

# A file that is made another one by a function of its contents.
sub changed
{
	my ($path, $change) = @_;
	my $was = slurp_file($path);
	my @st = stat $path;
	my $is = $change->($was);
	die "$path is not changed" if $is eq $was;
	put($path, $is);
	utime @st[ 8, 9 ], $path;
	return sub { put($path, $was); utime @st[ 8, 9 ], $path; };
}

sub put
{
	my ($path, $text) = @_;
	chmod 0600, $path;
	open(my $file, '>:raw', $path) or die "$path: $!";
	print $file $text;
	close $file or die "$path: $!";
	return;
}

sub overwritten { my ($path, $text) = @_; return changed($path, sub { $text }); }
sub appended { my ($path) = @_; return changed($path, sub { $_[0] . 'x' x 8192 }); }
sub cut_off { my ($path, $part) = @_; return changed($path, sub { substr $_[0], 0, int(length($_[0]) * ($part // 0.5)) }); }

# Some bytes of a file, in the middle of it or where it is said.  (One byte alone may
# mean the same to gzip, where it stands for zeros.)
sub flipped
{
	my ($path, $at) = @_;
	return changed($path, sub {
		my ($text) = @_;
		my $where = $at // int(length($text) / 2);
		substr($text, $where, 64) ^= "\x55\xff\x01\x3c" x 16;
		return $text;
	});
}

# A symbolic link in place of what was there.
sub linked
{
	my ($path, $to) = @_;
	my $undo = -e $path || -l $path ? moved($path) : sub { };
	symlink $to, $path or die "$path: $!";
	return sub { unlink $path; $undo->(); };
}

sub mode_of
{
	my ($path, $mode) = @_;
	my $was = (stat $path)[2] & 07777;
	chmod $mode, $path or die "$path: $!";
	return sub { chmod $was, $path; };
}

sub setting
{
	my ($node, $name, $value) = @_;
	my $was = $node->safe_psql('postgres', "select current_setting('$name')");
	my $set = sub {
		my ($text) = @_;
		$node->append_conf('postgresql.conf', "$name = " . quote($text) . "\n");
		$node->reload;
		$node->poll_query_until('postgres', "select current_setting('$name') = " . quote($text)) or die "$name is not set";
	};
	$set->($value);
	return sub { $set->($was); };
}

# --- what the tools say ---

sub first_of
{
	my ($text) = @_;
	my ($line) = $text =~ /^(.*\S.*)$/m;
	return $line // '';
}

sub verifybackup_says
{
	my ($path, @options) = @_;
	my ($rc, $out, $err) = rc_of('pg_verifybackup', @options, $path);
	return "pg_verifybackup $rc" . ($rc ? ': ' . first_of($err =~ s/^pg_verifybackup: (?:error: )?//r =~ s/\Q$path\E/.../gr) : '');
}

# info, and verify
sub pgbackrest_says
{
	my ($repository) = @_;
	my ($rc, $out, $err) = pgbackrest($repository, '--output=json', 'info');
	my ($code, $message) = $out =~ /"status" ?: ?\{"code" ?: ?(\d+).*?"message" ?: ?"([^"]*)"\}\}?\]/;
	my $flagged = $out =~ /"error" ?: ?true/ ? ', error: true' : '';
	my $text = "info $rc: " . ($message // first_of($err)) . $flagged;
	my ($verify_rc, $verify_out, $verify_err) = pgbackrest($repository, '--output=text', '--verbose', 'verify');
	my ($status) = $verify_out =~ /^\s*(status: \S+)/m;
	return "$text; verify $verify_rc: " . ($status // first_of($verify_err . $verify_out));
}

# check, and verify-backup
sub barman_says
{
	my ($repository, $label) = @_;
	my ($rc, $out, $err) = barman($repository, 'check', $repository->{location});
	my ($failed) = $out =~ /^\s*([^\n]*FAILED[^\n]*)/m;
	my $text = "check $rc" . (defined $failed ? ": $failed" : '');
	return $text if !defined $label;
	my ($verify_rc, $verify_out, $verify_err) = barman($repository, 'verify-backup', $repository->{location}, $label);
	return "$text; verify-backup $verify_rc" . ($verify_rc ? ': ' . first_of($verify_err . $verify_out) : '');
}

1;
