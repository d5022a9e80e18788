# Repositories that are read: folders of pg_basebackup, a stanza of pgBackRest, a
# server of Barman's, each compared with what its own files or tool say; and what
# is recorded where a repository cannot be read, or a backup is not as it should.
use strict;
use warnings FATAL => 'all';
use File::Copy qw(move);
use File::Find;
use File::Path qw(make_path remove_tree);
use FindBin;
use IPC::Run;
use lib $FindBin::RealBin;
use Backups;
use JSON::PP;
use Maintsched;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $summarized = `pg_config --version` =~ /(\d+)/ && $1 >= 17;
my $node = backup_server('repository', tablespace => 1,
	settings => [ 'maintsched.backup_tool_timeout = 60s', $summarized ? 'summarize_wal = on' : () ]);
my $root = root($node);
my $identifier = sql(q{select system_identifier from pg_control_system()});
our $major = $node->pg_version->major;

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub errors { my ($sql) = @_; return said($node, $sql); }

# A reading; true: it went well.
sub reading
{
	my ($name) = @_;
	my ($out, $err) = ('', '');
	my $rc = $node->psql('postgres', "select maintsched.read_repository('$name')", stdout => \$out, stderr => \$err);
	die "read_repository('$name') failed: $err" if $rc != 0;
	my $ok = sql("select ok from maintsched.backup_reading where reading_id = $out") eq 't';
	is($err =~ /^psql:<stdin>:1: WARNING:  repository "$name" could not be read: /m ? 1 : 0, $ok ? 0 : 1, "reading $name warns only where it fails");
	return $ok;
}

# The words of the latest reading, which failed.
sub why
{
	my ($name) = @_;
	return sql("select sqlstate || ' ' || message from maintsched.backup_reading where repository = '$name' order by reading_id desc limit 1");
}

# A column of a backup, or several.
sub backup
{
	my ($name, $label, $columns) = @_;
	return sql("select $columns from maintsched.backups where repository = '$name' and label = " . quote($label));
}

sub labels
{
	my ($name) = @_;
	return sql("select string_agg(label, ' ' order by label collate \"C\") from maintsched.backups where repository = '$name'");
}

# How many bytes the files of a folder have.
sub bytes_of
{
	my ($folder) = @_;
	my $bytes = 0;
	find(sub { $bytes += -s _ if lstat($_) && -f _ }, $folder);
	return $bytes;
}

sub read_json { my ($file) = @_; return JSON::PP->new->allow_bignum->decode(slurp_file($file)); }

sub setting
{
	my ($name, $value) = @_;
	$node->append_conf('postgresql.conf', "maintsched.$name = '$value'\n");
	$node->reload;
	$node->poll_query_until('postgres', "select current_setting('maintsched.$name') = '$value'") or die "$name is not set";
	return;
}

# --- a folder of base backups ---

my $folder = make_folder($node);
my $home = $folder->{location};
add_repository($node, $folder);
ok(reading('folder'), 'an empty folder can be read');
is(sql(q{select backups from maintsched.repositories where repository = 'folder'}), 0, 'and has no backups');

my $before = time;
my %path = (
	plain => base_backup($folder, 'plain'),
	tar => base_backup($folder, 'tar', format => 'tar', sums => 'SHA256'),
	gzip => base_backup($folder, 'gzip', format => 'tar', gzip => 1),
	fast => base_backup($folder, 'fast', format => 'tar', compress => 'client-lz4'),
	small => base_backup($folder, 'small', format => 'tar', compress => 'client-zstd'),
	bare => base_backup($folder, 'bare', wal => 'none', sums => 'NONE', options => ['--no-slot']));
my $after = time;
make_path("$home/something else/base");
write_file("$home/a file", 'x');
ok(reading('folder'), 'the folder is read');
is(labels('folder'), 'bare fast gzip plain small tar', 'the backups; other folders and files are left out');
foreach my $label (sort keys %path)
{
	my $manifest = read_json("$path{$label}/backup_manifest");
	my $range = $manifest->{'WAL-Ranges'}->[-1];
	my $size = 0;
	$size += $_->{Size} foreach @{ $manifest->{Files} };
	is(backup('folder', $label, 'type, state, problem, start_lsn, end_lsn, timeline, size_bytes'),
		"full|done||$range->{'Start-LSN'}|$range->{'End-LSN'}|$range->{Timeline}|$size", "$label: as its manifest says");
	is(backup('folder', $label, 'start_wal, end_wal'),
		sql("select pg_walfile_name('$range->{'Start-LSN'}'), pg_walfile_name('$range->{'End-LSN'}')"), "$label: WAL files that it needs");
	is(backup('folder', $label, 'pg_version'), $major, "$label: version");
	is(backup('folder', $label, 'system_identifier'), $identifier, "$label: system");
	my ($started, $finished) = split /\|/, backup('folder', $label, 'extract(epoch from started_at)::bigint, extract(epoch from finished_at)::bigint');
	cmp_ok($started, '>=', $before, "$label: it did not begin before");
	cmp_ok($finished, '>=', $started, "$label: it ended after its begin");
	cmp_ok($finished, '<=', $after, "$label: and is done");
	is(backup('folder', $label, 'location'), $path{$label}, "$label: where it is");
	my $stored = bytes_of($path{$label}) + ($label eq 'plain' || $label eq 'bare' ? bytes_of("$path{$label}.space") : 0);
	is(backup('folder', $label, 'stored_bytes'), $stored, "$label: what it takes, with tablespaces");
}
my $space = sql(q{select oid from pg_tablespace where spcname = 'elsewhere'});
is(backup('folder', 'plain', q{details #>> '{tablespaces,0,oid}', details #>> '{tablespaces,0,location}', details ->> 'format', (details ->> 'wal_files')::integer > 0}),
	"$space|$path{plain}.space|plain|t", 'plain: tablespace, and WAL of its own');
is(backup('folder', 'tar', q{details ->> 'format', details ->> 'compression', details ->> 'wal_archive'}), 'tar|none|pg_wal.tar', 'tar');
is(backup('folder', 'gzip', q{details ->> 'compression', details ->> 'wal_archive'}), 'gzip|pg_wal.tar.gz', 'gzip');
is(backup('folder', 'fast', q{details ->> 'compression', details ->> 'wal_archive'}), 'lz4|pg_wal.tar', 'lz4');
is(backup('folder', 'small', q{details ->> 'compression', details ->> 'wal_archive'}), 'zstd|pg_wal.tar', 'zstd');
is(backup('folder', 'bare', q{details ->> 'wal_files'}), 0, 'bare: no WAL of its own');
my $records = sql('select count(*) from maintsched.backup_record');
ok(reading('folder'), 'read again');
is(sql('select count(*) from maintsched.backup_record'), $records, 'nothing is new');

# incremental ones
if ($summarized)
{
	my $one = base_backup($folder, 'one', options => ["--incremental=$path{plain}/backup_manifest"]);
	my $two = base_backup($folder, 'two', options => ["--incremental=$one/backup_manifest"], format => 'tar', compress => 'client-zstd');
	ok(reading('folder'), 'incremental backups');
	is(backup('folder', 'one', 'type, state, prior, depends_on, problem'), 'incr|done|plain|{plain}|', 'one builds on a full one');
	is(backup('folder', 'two', 'type, state, prior, depends_on, problem'), 'incr|done|one|{one,plain}|', 'one on that, in tar.zst');
	move($one, "$root/one") or die $!;
	ok(reading('folder'), 'without the one between');
	like(backup('folder', 'two', 'problem'), qr/^the backup that it builds on, which began at [0-9A-F]+\/[0-9A-F]+, is not in this folder$/, 'it is missed');
	remove_tree($two, "$one.space");
	ok(reading('folder'), 'they are gone');
}

# what becomes of it
move("$path{plain}/backup_manifest", "$root/kept") or die $!;
make_path("$home/anew");
system('cp', (map { "$path{plain}/$_" } qw(PG_VERSION backup_label)), "$home/anew") == 0 or die;
ok(reading('folder'), 'without a manifest');
is(backup('folder', 'plain', 'state, problem'), 'failed|its backup_manifest is gone, which was there', 'one that was complete');
is(backup('folder', 'anew', 'state, problem'), 'running|it has no backup_manifest: pg_basebackup may still be at it, or was told to make none', 'another one may be running');
is(sql(q{select verdict from maintsched.backup_status where repository = 'folder' and label = 'anew'}), 'CRIT', 'but none is made now');
{
	my $words = '';
	my $making = IPC::Run::start([ 'pg_basebackup', '-d', $node->connstr('postgres'), '-D', "$home/making", '--no-sync', '-cfast', '-Xnone', '-Ft', '--max-rate=32k' ],
		'<', \undef, '>', \$words, '2>&1');
	$node->poll_query_until('postgres', q{select count(*) = 1 from pg_stat_progress_basebackup where phase = 'streaming database files'}) or BAIL_OUT($words);
	$node->poll_query_until('postgres', qq{select exists (select from pg_ls_dir('$home/making') f where f = 'base.tar')}) or BAIL_OUT($words);
	ok(reading('folder'), 'one is being made');
	like(sql(q{select state, verdict, problems[1] from maintsched.backup_status where repository = 'folder' and label = 'making'}),
		qr/^running[|]UNKNOWN[|]backup making is not ended, /, 'which is nothing wrong');
	$making->kill_kill;
	$node->poll_query_until('postgres', q{select count(*) = 0 from pg_stat_progress_basebackup}) or BAIL_OUT('it goes on');
	remove_tree("$home/making");
}
my $long_ago = time - 3600;
find({ wanted => sub { utime $long_ago, $long_ago, $_ unless -l $_ }, no_chdir => 1 }, $path{plain}, "$path{plain}.space", "$home/anew");
ok(reading('folder'), 'left behind');
is(backup('folder', 'plain', 'state, problem'), 'failed|its backup_manifest is gone, which was there', 'the same of the one');
is(backup('folder', 'anew', 'state, problem'), 'failed|it has no backup_manifest: pg_basebackup did not end, or was told to make none', 'it did not end');
remove_tree("$home/anew");
my $manifest = slurp_file("$root/kept");
write_file("$path{plain}/backup_manifest", substr($manifest, 0, length($manifest) / 2));
ok(reading('folder'), 'half a manifest is no error of the reading');
like(backup('folder', 'plain', 'state, problem'), qr/^done\|its manifest is no good: /, 'but a problem of the backup');
write_file("$path{plain}/backup_manifest", $manifest =~ s/"Size": (\d)/"Size": 9$1/r);
ok(reading('folder'), 'a manifest that was edited');
like(backup('folder', 'plain', 'problem'), qr/^its manifest is no good: .*checksum/, 'is one, too');
write_file("$path{plain}/backup_manifest", $manifest);

my $label_file = slurp_file("$path{bare}/backup_label");
unlink("$path{bare}/backup_label") or die $!;
ok(reading('folder'), 'without a backup_label');
is(backup('folder', 'bare', 'problem'), 'its backup_label is gone: a server was started in it, or it was removed', 'a server was started in it');
write_file("$path{bare}/backup_label", $label_file);
write_file("$path{bare}/global/pg_control", 'x' x 8192);
ok(reading('folder'), 'a damaged control file');
like(backup('folder', 'bare', q{coalesce(problem, 'none') || ' ' || coalesce(system_identifier::text, 'unknown')}),
	$major >= 17 ? qr/^none $identifier/ : qr/^(?:its control file is damaged.*|none) (?!$identifier)/, 'tells no system') if $major < 17;
move("$path{bare}.space", "$root/space gone") or die $!;
ok(reading('folder'), 'without the folder of its tablespace');
like(backup('folder', 'bare', 'problem'), qr/the folder of tablespace $space is gone/, 'that is said');
make_path("$root-elsewhere");
symlink("$root-elsewhere", "$path{bare}.space") or die $!;
ok(reading('folder'), 'its tablespace leads out of the roots');
like(backup('folder', 'bare', 'problem'), qr/tablespace $space leads out of maintsched.backup_roots/, 'and is not looked at');
unlink("$path{bare}.space");

# a copy: its age is that of the backup
system('cp', '-r', $path{tar}, "$home/tar copied") == 0 or die;
make_path("$home/copied");
system('cp', '-r', "$path{plain}/.", "$home/copied") == 0 or die;
utime time + 7200, time + 7200, glob("$home/copied/backup_*");
ok(reading('folder'), 'copies');
is(backup('folder', 'copied', "finished_at < now() + interval '1 hour', details ->> 'copied'"), 't|true', 'a copied folder keeps the age of the backup');

# IST is of three countries; here it is of the one whose time the server writes
foreach my $case ([ 'Asia/Kolkata', '04:30:00' ], [ 'Asia/Jerusalem', '08:00:00' ])
{
	my ($zone, $instant) = @$case;
	$node->append_conf('postgresql.conf', "log_timezone = '$zone'\n");
	$node->reload;
	$node->poll_query_until('postgres', "select current_setting('log_timezone') = '$zone'") or die;
	is(sql(q{select maintsched.label_time('2026-01-15 10:00:00 IST') at time zone 'UTC', current_setting('timezone')}),
		"2026-01-15 $instant|UTC", "IST of $zone");
}

# gone, and back
move($path{tar}, "$root/tar") or die $!;
remove_tree("$home/tar copied", "$home/copied");
ok(reading('folder'), 'one is gone');
is(labels('folder'), 'bare fast gzip plain small', 'it is not among the backups');
is(sql(q{select state from maintsched.backup_record where repository = 'folder' and label = 'tar' order by record_id desc limit 1}), 'removed', 'which is recorded');
move("$root/tar", $path{tar}) or die $!;
ok(reading('folder'), 'it is back');
is(labels('folder'), 'bare fast gzip plain small tar', 'and among them');

# names
foreach my $name ("it's \"a\" %s", "new\nline", "odd\xff", '..x')
{
	make_path("$home/$name");
	system('cp', "$path{tar}/base.tar", "$path{tar}/backup_manifest", "$home/$name") == 0 or die;
}
ok(reading('folder'), 'odd names');
is(sql(q{select string_agg(label, ', ' order by label collate "C") from maintsched.backups where repository = 'folder' and label !~ '^[a-z]+$'}),
	'..x, it\'s "a" %s, new\x0aline, odd\xff', 'they are shown');
is(sql(q{select string_agg(coalesce(location, problem), ', ' order by label collate "C") from maintsched.backups where repository = 'folder' and label !~ '^[a-z]+$'}),
	"$home/..x, $home/it's \"a\" %s" . ', the name of its folder is no text, and so it is not looked at: rename it' x 2, 'what is no text is said');
remove_tree(map { "$home/$_" } "it's \"a\" %s", "new\nline", "odd\xff", '..x');
ok(reading('folder'), 'they are gone');

# links, folders that cannot be read
symlink($path{tar}, "$home/link") or die $!;
make_path("$root-elsewhere/out");
system('cp', '-r', $path{tar}, "$root-elsewhere/out/tar") == 0 or die;
symlink("$root-elsewhere/out/tar", "$home/outside") or die $!;
make_path("$home/closed", "$home/lost+found");
chmod 0, "$home/closed", "$home/lost+found";
ok(reading('folder'), 'links, and a folder that cannot be read');
is(labels('folder'), 'bare closed fast gzip link plain small tar', 'a link out of the roots is no backup, nor is lost+found of a volume');
is(backup('folder', 'closed', 'state, problem'), 'failed|its folder cannot be read: Permission denied', 'what cannot be read may be one');
chmod 0700, "$home/closed", "$home/lost+found";
rmdir "$home/closed";
rmdir "$home/lost+found";
unlink("$home/link", "$home/outside");

# itself a backup
sql(qq{select maintsched.add_repository('single', 'basebackup', '$path{plain}')});
ok(reading('single'), 'a folder that is a backup itself');
is(labels('single'), 'plain', 'is one backup');

# the folder as a whole
chmod 0, $home;
ok(!reading('folder'), 'a folder that cannot be read');
is(why('folder'), "42501 could not read folder \"$home\": Permission denied", 'says so');
is(labels('folder'), 'bare closed fast gzip link plain small tar', 'and no backup is gone for that');
chmod 0700, $home;
move($home, "$home.moved") or die $!;
ok(!reading('folder'), 'a folder that is gone');
is(why('folder'), "58P01 could not read folder \"$home\": No such file or directory", 'says so');
symlink("$root-elsewhere/out", $home) or die $!;
ok(!reading('folder'), 'a folder that became a link');
is(why('folder'), "42501 folder \"$home\" is not below one of maintsched.backup_roots", 'out of the roots');
unlink($home);
move("$home.moved", $home) or die $!;
is(sql(q{select read_ok, read_message is not null, backups from maintsched.repositories where repository = 'folder'}), 'f|t|8', 'the view says both');

# --- where repositories may be ---

foreach my $case (
	[ '/etc', '42501', 'location "/etc" is not below one of maintsched.backup_roots' ],
	[ "$root-elsewhere", '42501', "location \"$root-elsewhere\" is not below one of maintsched.backup_roots" ],
	[ "$root/none", '58P01', "could not open location \"$root/none\": No such file or directory" ],
	[ "$home/a file", '42809', "location \"$home/a file\" is not a folder" ],
	[ "$home/../x", '22023', "location \"$home/../x\" holds \".\" or \"..\"" ])
{
	my ($path, $code, $words) = @$case;
	like(errors("select maintsched.add_repository('x', 'basebackup', " . quote($path) . ')'), qr/^ERROR:  $code: \Q$words\E$/m, $words);
}
symlink('/etc', "$root/etc") or die $!;
like(errors("select maintsched.add_repository('x', 'basebackup', '$root/etc')"), qr/^ERROR:  42501: /, 'nor a link that leads out');
like(errors(qq{alter system set maintsched.backup_roots = '/'}), qr/cannot be changed/, 'the roots are set in the file');
like(errors(qq{set maintsched.backup_roots = '/tmp'}), qr/cannot be changed now/, 'and not in a session');

# --- whose rights ---

sql(q{create role regress_reader login; create role regress_manager login;
	select maintsched.grant_access('regress_reader', 'manager'), maintsched.grant_access('regress_manager', 'manager');
	grant pg_read_server_files to regress_reader});
is($node->safe_psql('postgres', q{select maintsched.read_repository('folder') > 0}, extra_params => [ '-U', 'regress_reader' ]), 't', 'a manager who may read files reads');
is(sql(q{select recorded_by from maintsched.backup_reading order by reading_id desc limit 1}), 'regress_reader', 'and that is recorded');
my ($out, $err);
$node->psql('postgres', q{select maintsched.read_repository('folder')}, stderr => \$err, extra_params => [ '-U', 'regress_manager' ]);
like($err, qr/permission denied for repositories of kind basebackup/, 'one who may not does not');
$node->safe_psql('postgres', q{
	create schema theirs;
	create function theirs.f() returns bigint language sql security definer as $$select maintsched.read_repository('folder')$$;
	alter function theirs.f() owner to regress_manager});
like(errors('select theirs.f()'), qr/permission denied for repositories of kind basebackup/, 'nor by a function of his that a superuser calls');

# --- pgBackRest ---

my $stanza = make_stanza($node);
my $secret = make_stanza($node, name => 'secret', cipher => 1);
add_repository($node, $stanza);
add_repository($node, $secret);
ok(reading('main'), 'a stanza without backups');
is(sql(q{select backups, facts ->> 'message' from maintsched.repositories where repository = 'main'}), '0|no valid backups', 'has none');
my $full = stanza_backup($stanza, 'full', '--annotation=ticket=OPS-7');
sql('create table more as select 1 as i');
my $diff = stanza_backup($stanza, 'diff');
my $incr = stanza_backup($stanza, 'incr');
my $hidden = stanza_backup($secret, 'full');
archive_now($node);
ok(reading('main'), 'a stanza');
ok(reading('secret'), 'one that is encrypted');
my $info = decode_json((pgbackrest($stanza, '--output=json', 'info'))[1])->[0];
is(labels('main'), join(' ', sort $full, $diff, $incr), 'its backups');
foreach my $backup (@{ $info->{backup} })
{
	is(backup('main', $backup->{label}, q{type, prior, extract(epoch from started_at)::bigint, extract(epoch from finished_at)::bigint,
		start_lsn, end_lsn, start_wal, end_wal, system_identifier, size_bytes, delta_bytes, stored_bytes, encrypted, problem}),
		join('|', map { $_ // '' } $backup->{type}, $backup->{prior}, $backup->{timestamp}->{start}, $backup->{timestamp}->{stop},
			$backup->{lsn}->{start}, $backup->{lsn}->{stop}, $backup->{archive}->{start}, $backup->{archive}->{stop}, $identifier,
			$backup->{info}->{size}, $backup->{info}->{delta}, $backup->{info}->{repository}->{delta}, 'f', undef),
		"$backup->{type}: as pgBackRest says");
	ok(-d backup('main', $backup->{label}, 'location'), "$backup->{type}: it is there");
}
is(backup('main', $full, q{details #>> '{annotation,ticket}', pg_version}), "OPS-7|$major", 'its annotation');
is(sql(qq{select '$full' = any (depends_on) from maintsched.backups where label = '$incr'}), 't', 'what an incremental one needs');
is(sql(q{select facts #>> '{paths,0}', facts #>> '{archives,0,path}', facts #>> '{archives,0,last}' from maintsched.repositories where repository = 'main'}),
	"$stanza->{repo}|$stanza->{repo}/archive/main/$major-1|$info->{archive}->[0]->{max}", 'where it is');
is(backup('secret', $hidden, 'encrypted'), 't', 'encrypted is told');
unlike(sql(q{select catalog::text from maintsched.backup_reading where repository = 'secret' and ok order by reading_id desc limit 1}), qr/correct-horse/, 'and no secret is kept');
(pgbackrest($stanza, "--set=$incr", 'expire'))[0] == 0 or die;
ok(reading('main'), 'one was expired');
is(labels('main'), join(' ', sort $full, $diff), 'and is gone');
sql(q{select maintsched.add_repository('none', 'pgbackrest', 'nobody', config => } . quote($stanza->{config}) . ')');
ok(!reading('none'), 'a stanza that there is not');
like(why('none'), qr/^42704 pgBackRest says of stanza "nobody" \(1\): missing stanza path/, 'is no answer');
move($stanza->{repo}, "$stanza->{repo}.gone") or die $!;
ok(!reading('main'), 'a repository that is gone');
like(why('main'), qr/^42704 .*missing stanza path/, 'is not one without backups');
is(labels('main'), join(' ', sort $full, $diff), 'they are known still');
move("$stanza->{repo}.gone", $stanza->{repo}) or die $!;
my $secrets = slurp_file($secret->{config});
write_file($secret->{config}, $secrets =~ s/correct-horse-battery/wrong/r, 0600);
ok(!reading('secret'), 'the wrong key');
like(why('secret'), qr/^38000 pgBackRest says of stanza "secret" \(99\): other: repository 1: \[\w+Error\] unable to load info file/, 'is no answer, and says so, with what it made of a file');
is(labels('secret'), $hidden, 'and no backup is gone');
write_file($secret->{config}, $secrets, 0600);

# --- Barman ---

my $barman = make_barman($node);
add_repository($node, $barman);
ok(reading('primary'), 'a server without backups');
is(sql(q{select backups from maintsched.repositories where repository = 'primary'}), 0, 'has none');
my $id = barman_backup($barman);
ok(reading('primary'), 'a server');
my $shown = decode_json((barman($barman, '-f', 'json', 'show-backup', 'primary', $id))[1])->{primary};
my $base = $shown->{base_backup_information};
is(backup('primary', $id, q{type, state, extract(epoch from started_at)::bigint, extract(epoch from finished_at)::bigint, start_lsn, end_lsn,
	start_wal, end_wal, timeline, system_identifier, pg_version, problem}),
	join('|', 'full', 'done', $base->{begin_time_timestamp}, $base->{end_time_timestamp}, $base->{begin_lsn}, $base->{end_lsn},
		$base->{begin_wal}, $base->{end_wal}, $base->{timeline}, $identifier, sql(q{show server_version}) =~ s/ .*//r =~ s/(?:beta|rc)\d+$/.0/r, ''), 'its backup, as Barman says');
is(backup('primary', $id, 'location'), "$barman->{server}/base/$id", 'where it is');
ok(-d backup('primary', $id, 'location'), 'it is there');
is(sql(q{select facts #>> '{archives,0,path}' from maintsched.repositories where repository = 'primary'}), $barman->{wals}, 'and its WAL');
sql(q{select maintsched.add_repository('stranger', 'barman', 'nobody', config => } . quote($barman->{config}) . ')');
ok(!reading('stranger'), 'a server that Barman does not know');
like(why('stranger'), qr/^38000 Barman exited with code \d+/, 'is no answer');
# what it prints, brought from elsewhere
my $list = (barman($barman, '-f', 'json', 'list-backups', 'primary'))[1];
my $show = (barman($barman, '-f', 'json', 'show-backup', 'primary', $id))[1];
sql(q{select maintsched.add_repository('brought', 'barman', 'primary', pulled => false)});
sql(qq{select maintsched.import_backup_catalog('brought', '[$list, $show]')});
is(backup('brought', $id, 'start_lsn, end_lsn, size_bytes'), backup('primary', $id, 'start_lsn, end_lsn, size_bytes'), 'brought from elsewhere it is the same');
# deleted after it was listed, and before it was asked for
write_file("$root/late", '');
my $late = write_file("$root/late.sh", qq{#!/bin/sh
case "\$*" in *show-backup*) [ -e $root/late ] && rm $root/late && /usr/bin/barman -c $barman->{config} delete primary $id >/dev/null 2>&1 ;; esac
exec /usr/bin/barman "\$@"
}, 0755);
setting('barman_command', $late);
ok(reading('primary'), 'it was deleted in the middle of a reading');
ok(!-e "$root/late", 'really');
setting('barman_command', '/usr/bin/barman');
is(labels('primary'), '', 'and is gone');

# --- tools that do what they like ---

my $tool = "$root/tool";
sub tool { my ($script) = @_; write_file("$tool.new", "#!/bin/sh\n$script\n", 0755); rename "$tool.new", $tool or die $!; return; }
my $kept = labels('main');
my $good = (pgbackrest($stanza, '--output=json', 'info'))[1];
write_file("$root/good.json", $good);
write_file("$root/half.json", substr($good, 0, length($good) / 2));
tool('exit 0');
setting('pgbackrest_command', $tool);
foreach my $case (
	[ 'exit 0', qr/^22P02 pgBackRest printed no valid JSON/, 'nothing' ],
	[ 'echo words', qr/^22P02 pgBackRest printed no valid JSON/, 'words' ],
	[ "cat $root/half.json", qr/^22P02 pgBackRest printed no valid JSON/, 'half an answer' ],
	[ "cat $root/good.json; exit 27", qr/^38000 pgBackRest exited with code 27/, 'an answer and an error' ],
	[ 'kill -9 $$', qr/^39000 pgBackRest was ended by signal 9/, 'a death' ],
	[ 'echo "[]"', qr/^42704 pgBackRest knows no stanza "main"/, 'no stanzas' ],
	[ q{printf '\377'}, qr/^22P02 pgBackRest printed no valid JSON/, 'no text' ],
	[ q{printf '[{"name": "main", "status": {"code": 0}, "backup": [{"label": "a\377b", "type": "full", "timestamp": {"start": 1, "stop": 2}}]}]'},
		qr/^22023 catalogue of backups: stanza "main".backup\[0\].label holds a control character/, 'no text in a label' ],
	[ q{echo '[{"name": "main", "status": {"code": 0}, "backup": [{"label": 7}]}]'}, qr/^22023 catalogue of backups: stanza "main".backup\[0\]/, 'another form' ],
	[ q{printf '%s' '{"a": "\u0000"}'}, qr/^22P02 .*u0000/, 'a zero' ])
{
	my ($script, $words, $what) = @$case;
	tool($script);
	ok(!reading('main'), "it prints $what");
	like(why('main'), $words, 'that is said');
}
setting('backup_tool_timeout', '200ms');
tool('exec sleep 1000');
ok(!reading('main'), 'it hangs');
like(why('main'), qr/^39000 pgBackRest did not end in time/, 'and is ended');
setting('backup_tool_timeout', '1min');
setting('pgbackrest_command', "$root/not there");
ok(!reading('main'), 'it is not installed');
like(why('main'), qr/^58P01 /, 'and that is said');
setting('pgbackrest_command', '');
ok(!reading('main'), 'none is set');
like(why('main'), qr/^55000 pgBackRest is not asked: maintsched.pgbackrest_command is empty/, 'and that is said');
is(labels('main'), $kept, 'through all of it the backups stayed');
setting('pgbackrest_command', '/usr/bin/pgbackrest');
ok(reading('main'), 'and can be read again');
is(sql(q{select count(*) from maintsched.backup_record where repository = 'main' and state = 'removed'}), 1, 'only one was ever gone');

done_testing();
