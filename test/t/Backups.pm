# What the tests of backups share: a server with data and somewhere to archive
# to, and real backups of it: a folder of pg_basebackup's, a stanza of pgBackRest,
# a server of Barman's.
#
#	my $node = backup_server('name');             # started, with the extension
#	my $folder = make_folder($node);              # kind basebackup
#	my $path = base_backup($folder, 'monday', format => 'tar', gzip => 1);
#	my $stanza = make_stanza($node, cipher => 1); # kind pgbackrest
#	my $label = stanza_backup($stanza, 'full');
#	my $barman = make_barman($node, method => 'postgres');
#	my $id = barman_backup($barman);
#	archive_now($node);                           # and all archives have it
#	add_repository($node, $stanza, max_age => '1 day');
#
# A repository is a hash: name, kind, location, config, archive (as add_repository
# takes them), node, and of its kind what is told below.  Each has a folder of its
# own below root($node), which is among maintsched.backup_roots.  They can share a
# server: its WAL goes to all archives, or to none.
package Backups;
use strict;
use warnings FATAL => 'all';
use Cwd qw(abs_path);
use Exporter 'import';
use File::Path qw(make_path remove_tree);
use IO::Compress::Gzip qw(gzip $GzipError);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(backup_server root space_of fill_server make_folder base_backup
  has_pgbackrest make_stanza pgbackrest stanza_backup
  has_barman make_barman barman barman_backup start_receiving stop_receiving
  archive_now archive_command add_repository write_file said quote rc_of packed);

my $pgbackrest = '/usr/bin/pgbackrest';
my $barman = '/usr/bin/barman';
my %archives;    # node -> commands
my %roots;       # node -> folder
my %spaces;      # node -> folder of the tablespace
my @receiving;

sub has_pgbackrest { return -x $pgbackrest; }
sub has_barman { return -x $barman; }
sub quote { my ($text) = @_; return defined $text ? "'" . $text =~ s/'/''/gr . "'" : 'null'; }

sub write_file
{
	my ($path, $text, $mode) = @_;
	open(my $file, '>', $path) or die "$path: $!";
	print $file $text;
	close $file or die "$path: $!";
	chmod $mode, $path if defined $mode;
	return $path;
}

# Data as one member or frame of format gz, lz4 or zst, of blocks that are as they
# were: as programs pack what they cannot make smaller.
sub packed
{
	my ($format, $data) = @_;
	if ($format eq 'gz')
	{
		my $packed;
		gzip(\$data => \$packed, -Level => 0, -Minimal => 1) or die $GzipError;
		return $packed;
	}
	my @blocks = unpack '(a65536)*', $data;
	return "\x04\x22\x4d\x18\x60\x40\x82" . join('', map { pack('V', length($_) | 1 << 31) . $_ } @blocks) . pack('V', 0) if $format eq 'lz4';
	@blocks = ('') if !@blocks;
	return "\x28\xb5\x2f\xfd\x00\x58" . join '', map { substr(pack('V', length($blocks[$_]) << 3 | ($_ == $#blocks)), 0, 3) . $blocks[$_] } 0 .. $#blocks;
}

# The folder below which all is that belongs to a server's backups.  It is short,
# since a restored server has its socket in it.
sub root
{
	my ($node) = @_;
	if (!$roots{ $node->name })
	{
		my $root = abs_path(PostgreSQL::Test::Utils::tempdir_short);
		chmod 0700, $root;
		make_path("$root/drill", { mode => 0700 });
		$roots{ $node->name } = $root;
	}
	return $roots{ $node->name };
}

# Where its tablespace is, if it has one.
sub space_of { my ($node) = @_; return $spaces{ $node->name }; }

# A server that archives (once there is a repository to archive to), with the
# extension in the database postgres, data, and the settings for backups.
# Options: settings => [lines], initdb => [options], checksums => 0,
# tablespace => 1, extension => 0, rows => of the larger table.
sub backup_server
{
	my ($name, %option) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my @initdb = @{ $option{initdb} // [] };
	push @initdb, '--data-checksums' if $option{checksums} // 1;
	$node->init(allows_streaming => 1, extra => \@initdb);
	my $root = root($node);
	$node->append_conf('postgresql.conf', join "\n", 'autovacuum = off', 'wal_keep_size = 0',
		"maintsched.backup_roots = '$root'", "maintsched.drill_root = '$root/drill'",
		"maintsched.pgbackrest_command = '$pgbackrest'", "maintsched.barman_command = '$barman'",
		@{ $option{settings} // [] }, '');
	$node->start;
	$node->safe_psql('postgres', 'create extension maintsched') if $option{extension} // 1;
	fill_server($node, %option);
	return $node;
}

# Data: tables with indexes in two databases, and in a tablespace on request.
sub fill_server
{
	my ($node, %option) = @_;
	my $rows = $option{rows} // 20000;
	$node->safe_psql('postgres', 'create database shop');
	$node->safe_psql('shop', qq{
		create extension amcheck;
		create table customer (id integer primary key, name text not null);
		insert into customer select i, 'customer ' || i from generate_series(1, $rows) i;
		create index on customer (name);
		create sequence order_number;
		create table orders (id bigint primary key default nextval('order_number'), customer integer references customer, total numeric);
		insert into orders (customer, total) select i, i % 100 from generate_series(1, 1000) i});
	if ($option{tablespace})
	{
		# not below the root: what it holds is no backup
		my $space = $spaces{ $node->name } = abs_path(PostgreSQL::Test::Utils::tempdir_short);
		$node->safe_psql('postgres', "create tablespace elsewhere location '$space'");
		$node->safe_psql('shop', q{
			create table history (id integer primary key using index tablespace elsewhere, what text) tablespace elsewhere;
			insert into history select i, md5(i::text) from generate_series(1, 5000) i});
	}
	$node->safe_psql('postgres', 'checkpoint');
	return;
}

# Runs a program: exit code, output and errors.
sub rc_of
{
	my (@command) = @_;
	my ($out, $err) = ('', '');
	# a psql that finds PGHOST in its environment would find another server
	IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err);
	my $status = $?;
	return ($status & 127 ? 128 + ($status & 127) : $status >> 8, $out, $err);
}

sub must
{
	my (@command) = @_;
	my ($rc, $out, $err) = rc_of(@command);
	BAIL_OUT("exit code $rc of @command:\n$out$err") if $rc != 0;
	return $out;
}

# --- archives ---

# What the server's WAL is given to; undef takes all of its own back.
sub archive_command
{
	my ($node, $command) = @_;
	$command //= join ' && ', @{ $archives{ $node->name } // [] };
	$node->append_conf('postgresql.conf', 'archive_command = ' . quote($command) . "\n");
	$node->reload;
	$node->poll_query_until('postgres', 'select current_setting(\'archive_command\') = ' . quote($command)) or BAIL_OUT('archive_command is not set');
	return;
}

# The first archive turns archiving on: a backup of a server that archives to
# nowhere never ends.
sub add_archive
{
	my ($node, $command) = @_;
	if (!@{ $archives{ $node->name } // [] })
	{
		my @stopped = grep { $_->{node} == $node } @receiving;
		stop_receiving($_) foreach @stopped;
		$node->append_conf('postgresql.conf', "archive_mode = on\n");
		$node->restart;
		start_receiving($_) foreach @stopped;
	}
	push @{ $archives{ $node->name } }, $command;
	archive_command($node);
	return;
}

# Something is written, its segment is full, archived, and taken in by Barman.
# Returns the segment's name.
sub archive_now
{
	my ($node, @barmans) = @_;
	my $segment = $node->safe_psql('postgres', q{
		create table if not exists ticks (t timestamptz);
		insert into ticks values (clock_timestamp());
		select pg_walfile_name(pg_switch_wal());
		-- Barman takes in no segment before the next one is begun
		insert into ticks values (clock_timestamp())} =~ s/^\s+//r);
	if (@{ $archives{ $node->name } // [] })
	{
		$node->poll_query_until('postgres', qq{select left(last_archived_wal, 24) >= '$segment' from pg_stat_archiver})
		  or BAIL_OUT("$segment is not archived");
	}
	foreach my $repository (@barmans)
	{
		my $count = 0;
		while (!-e "$repository->{wals}/" . substr($segment, 0, 16) . "/$segment")
		{
			BAIL_OUT("$segment is not in Barman's archive") if $count++ > 10 * $PostgreSQL::Test::Utils::timeout_default;
			must(barman_command($repository, 'archive-wal', $repository->{location}));
			select(undef, undef, undef, 0.1);
		}
	}
	return $segment;
}

# --- pg_basebackup ---

# A folder of base backups, with a WAL archive beside it.  archive => 0: none.
sub make_folder
{
	my ($node, %option) = @_;
	my $name = $option{name} // 'folder';
	my $home = root($node) . "/$name";
	my $repository = { name => $name, kind => 'basebackup', location => "$home/backups", node => $node };
	make_path("$home/backups", { mode => 0700 });
	if ($option{archive} // 1)
	{
		my $archive = $repository->{archive} = "$home/wal";
		make_path($archive, { mode => 0700 });
		add_archive($node, "test ! -e $archive/%f && cp %p $archive/%f.new && mv $archive/%f.new $archive/%f");
	}
	return $repository;
}

# A base backup; returns its path.  Options: format => 'tar', gzip => 1,
# compress => 'client-lz4' or what else --compress takes, sums => 'SHA256', wal => 'none' or 'fetch', options => [others].
sub base_backup
{
	my ($repository, $label, %option) = @_;
	my $node = $repository->{node};
	my $path = "$repository->{location}/$label";
	my @options = @{ $option{options} // [] };
	my $tar = ($option{format} // 'plain') eq 'tar';
	push @options, '-Ft' if $tar;
	push @options, '-z' if $option{gzip};
	push @options, "--compress=$option{compress}" if $option{compress};
	push @options, "--manifest-checksums=$option{sums}" if $option{sums};
	my $space = $spaces{ $node->name };
	push @options, '-T', "$space=$path.space" if $space && !$tar;
	must('pg_basebackup', '-d', $node->connstr('postgres'), '-D', $path, '--no-sync', '-cfast', '-X', $option{wal} // 'stream', @options);
	return $path;
}

# --- pgBackRest ---

# A stanza with a repository of its own: repo is its folder, and config its
# configuration file, which is read at each command.  Options: name,
# cipher => 1, compress => 'none', 'gz', 'lz4' or 'zst', archive => 0 (nothing is
# pushed), global => [lines].
sub make_stanza
{
	my ($node, %option) = @_;
	my $name = $option{name} // 'main';
	my $home = root($node) . "/pgbackrest-$name";
	make_path((map { "$home/$_" } qw(repo log lock spool)), { mode => 0700 });
	my @global = ("repo1-path=$home/repo", "log-path=$home/log", "lock-path=$home/lock", "spool-path=$home/spool", 'log-level-file=info',
		'log-level-console=off', 'log-level-stderr=warn', 'start-fast=y', 'repo1-retention-full=9', 'archive-timeout=60', 'job-retry=0',
		'compress-type=' . ($option{compress} // 'gz'), 'compress-level=1');
	push @global, 'repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=correct-horse-battery' if $option{cipher};
	my @lines = ('[global]', @global, @{ $option{global} // [] }, "[$name]", 'pg1-path=' . $node->data_dir, 'pg1-port=' . $node->port,
		'pg1-socket-path=' . $node->host, 'pg1-user=' . getpwuid($>), '');
	my $config = write_file("$home/pgbackrest.conf", join("\n", @lines), 0600);
	my $repository = { name => $name, kind => 'pgbackrest', location => $name, config => $config, node => $node,
		home => $home, repo => "$home/repo", wals => "$home/repo/archive/$name" };
	must(pgbackrest_command($repository, 'stanza-create'));
	add_archive($node, "$pgbackrest --config=$config --stanza=$name archive-push %p") if $option{archive} // 1;
	return $repository;
}

sub pgbackrest_command
{
	my ($repository, @arguments) = @_;
	return ($pgbackrest, "--config=$repository->{config}", "--stanza=$repository->{location}", @arguments);
}

# Its exit code, output and errors.
sub pgbackrest
{
	my ($repository, @arguments) = @_;
	return rc_of(pgbackrest_command($repository, @arguments));
}

# A backup of type full, diff or incr; returns its label.
sub stanza_backup
{
	my ($repository, $type, @options) = @_;
	must(pgbackrest_command($repository, "--type=$type", @options, 'backup'));
	my @labels = must(pgbackrest_command($repository, '--output=json', 'info')) =~ /"label" ?: ?"([^"]+)"/g;
	return $labels[-1];
}

# --- Barman ---

# A server of Barman's: home is barman_home, wals its archive.  Options: name,
# method => 'postgres' (WAL is streamed) or 'local-rsync' (WAL is copied to its
# incoming folder by archive_command), server => [lines].
sub make_barman
{
	my ($node, %option) = @_;
	my $name = $option{name} // 'primary';
	my $method = $option{method} // 'postgres';
	my $user = getpwuid($>);
	my $home = root($node) . "/barman-$name";
	make_path((map { "$home/$_" } qw(home servers lock)), { mode => 0700 });
	my $conninfo = 'host=' . $node->host . ' port=' . $node->port . " user=$user dbname=postgres";
	my $bindir = must('pg_config', '--bindir');
	chomp $bindir;
	my @server = ("[$name]", "description = $name", "conninfo = $conninfo", "backup_method = $method", 'immediate_checkpoint = true',
		"path_prefix = $bindir",
		$method eq 'postgres'
		? ("streaming_conninfo = $conninfo", 'streaming_archiver = on', "slot_name = barman_" . $name =~ s/\W/_/gr)
		: ('archiver = on'),
		@{ $option{server} // [] });
	my $config = write_file("$home/barman.conf", join "\n", '[barman]', "barman_user = $user", "barman_home = $home/home",
		"barman_lock_directory = $home/lock", "log_file = $home/barman.log", 'log_level = INFO',
		"configuration_files_directory = $home/servers", @server, '');
	my $repository = { name => $name, kind => 'barman', location => $name, config => $config, node => $node, method => $method,
		home => "$home/home", server => "$home/home/$name", wals => "$home/home/$name/wals" };
	if ($method eq 'postgres')
	{
		must(barman_command($repository, 'receive-wal', '--create-slot', $name));
		start_receiving($repository);
	}
	else
	{
		# the folders are made by the first check, which nothing else passes
		barman($repository, 'check', $name);
		add_archive($node, "cp %p $home/%f && mv $home/%f $repository->{server}/incoming/%f");
	}
	# Barman makes no backup before some WAL has come
	archive_now($node, $repository);
	return $repository;
}

sub barman_command
{
	my ($repository, @arguments) = @_;
	return ($barman, '-c', $repository->{config}, @arguments);
}

# Its exit code, output and errors.
sub barman
{
	my ($repository, @arguments) = @_;
	return rc_of(barman_command($repository, @arguments));
}

# receive-wal as cron would keep it running.  It ends with the server.
sub start_receiving
{
	my ($repository) = @_;
	my $log = $repository->{receive_log} = { text => '' };
	$log->{run} = IPC::Run::start([ barman_command($repository, 'receive-wal', $repository->{location}) ],
		'<', \undef, '>', "$repository->{home}/receive.log", '2>&1');
	push @receiving, $repository;
	$repository->{node}->poll_query_until('postgres', q{select count(*) > 0 from pg_stat_replication where application_name like 'barman_receive_wal%'})
	  or BAIL_OUT('Barman does not receive WAL');
	return;
}

sub stop_receiving
{
	my ($repository) = @_;
	my $log = delete $repository->{receive_log} or return;
	# it ends when its connection does; asked to, only when the next message comes
	my $slot = 'barman_' . $repository->{name} =~ s/\W/_/gr;
	eval { $repository->{node}->psql('postgres', qq{select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '$slot' and active}) };
	eval { $log->{run}->finish };
	@receiving = grep { $_ != $repository } @receiving;
	return;
}

# A backup with the WAL that it needs; returns its id.
sub barman_backup
{
	my ($repository, @options) = @_;
	my ($rc, $out, $err) = barman($repository, 'backup', @options, $repository->{location});
	if ($rc != 0)
	{
		diag($out, $err, slurp_file("$repository->{home}/../barman.log"));
		BAIL_OUT("Barman's backup ended with $rc");
	}
	my @ids = reverse sort map { m{/base/([^/]+)$} } glob("$repository->{server}/base/*");
	# --wait would wait for a segment that an idle server does not begin
	archive_now($repository->{node}, $repository);
	must(barman_command($repository, 'check-backup', $repository->{location}, $ids[0]));
	return $ids[0];
}

# --- the extension ---

# Tells it of a repository.  more: other arguments of add_repository, by name.
sub add_repository
{
	my ($node, $repository, %more) = @_;
	my %argument = (name => $repository->{name}, kind => $repository->{kind}, location => $repository->{location}, %more);
	foreach my $key (qw(config archive))
	{
		$argument{$key} //= $repository->{$key} if defined $repository->{$key};
	}
	$node->safe_psql($argument{database} // 'postgres', 'select maintsched.add_repository('
		  . join(', ', map { "$_ => " . quote($argument{$_}) } sort grep { $_ ne 'database' } keys %argument) . ')');
	return;
}

# What psql prints, errors with their code, detail and hint.
sub said
{
	my ($node, $sql, $database) = @_;
	my ($out, $err);
	$node->psql($database // 'postgres', $sql, stdout => \$out, stderr => \$err,
		extra_params => [ '-v', 'SHOW_CONTEXT=never', '-v', 'VERBOSITY=verbose' ]);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^(?:LOCATION|LINE).*\n?//mg;
	return join "\n", grep { $_ ne '' } $out, $err =~ s/\n\z//r;
}

END
{
	my $status = $?;
	stop_receiving($_) foreach @receiving;
	$? = $status;
}

1;
