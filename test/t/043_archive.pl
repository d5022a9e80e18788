# Routine archive: rows go to files and come back as they were; whatever is
# killed, full, damaged or changed in between, each row is in the table or in
# one recorded file, never in neither and never in both.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Maintsched;
use PostgreSQL::Test::Utils;
use Worker;
use Test::More;
use Time::HiRes qw(usleep);

my $cold = PostgreSQL::Test::Utils::tempdir . '/cold';
mkdir($cold, 0700) or die $!;
my $node = worker_server('archive', "maintsched.archive_roots = '$cold'");
$node->safe_psql('postgres', q{
	create extension maintsched;
	create role regress_maintsched_owner login;
	create schema audit authorization regress_maintsched_owner;
	grant usage on schema audit to public;
});

# What psql says, without the place.
sub said
{
	my ($sql, $role) = @_;
	my ($out, $err);
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err,
		extra_params => [ $role ? ('-U', $role) : (), '-v', 'SHOW_CONTEXT=never' ]);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^(?:LINE|CONTEXT|QUERY).*\n?//mg;
	return $out eq '' ? $err : $err eq '' ? $out : "$out\n$err";
}

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

sub like_error
{
	my ($sql, $error, $name, $role) = @_;
	like(said($sql, $role), qr/ERROR:  $error/, $name);
	return;
}

# A session that goes on in the background.
sub background
{
	my ($sql, $role) = @_;
	my $session = { out => '', err => '' };
	$session->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres') . ($role ? " user=$role" : ''), '-c', $sql ],
		'<', \undef, '>', \$session->{out}, '2>', \$session->{err});
	return $session;
}

sub finish
{
	my ($session) = @_;
	$session->{run}->finish;
	return $session->{out} . $session->{err};
}

# Lines of the recorded files whose rows are nowhere else, of one table.
sub archived_lines
{
	my ($table) = @_;
	my @lines;
	foreach my $path (split /\n/, sql("select path from maintsched.archives where schema || '.' || relation = '$table' and state = 'archived' order by archive_id"))
	{
		open(my $zcat, '-|', 'gzip', '-dc', $path) or die $!;
		push @lines, <$zcat>;
		close $zcat or die "$path: gzip $?";
	}
	return @lines;
}

# Each number from 1 to the last is in the table or in one file, once.
sub whole
{
	my ($table, $last, $what) = @_;
	my %seen;
	$seen{$_}++ foreach map { (split /\t/)[0] } archived_lines($table);
	my $files = keys %seen;
	$seen{$_}++ foreach split /\n/, sql("select id from $table");
	my @wrong = grep { ($seen{$_} // 0) != 1 } 1 .. $last;
	is(scalar(@wrong), 0, "$what: no row lost, none twice ($files of $last archived)")
	  or diag(join ' ', map { "$_: " . ($seen{$_} // 0) } @wrong[ 0 .. ($#wrong < 9 ? $#wrong : 9) ]);
	is(scalar(keys %seen), $last, "$what: no other row");
	return $files;
}

sub files_of
{
	my ($table) = @_;
	my ($schema, $relation) = split /\./, $table;
	return glob("$cold/postgres-*/$schema/$relation/*");
}

# --- what it takes ---

my $none = said(q{select * from maintsched.plan('archive')});
like($none, qr/^ERROR:  routine archive is not told which tables to archive: its params have no "tables"\nHINT:  Name them with their column of time/,
	'without tables: an error that says what to do');
like_error(q{select * from maintsched.plan('archive', '{"tables": [{"table": "a.b"}]}')},
	'routine archive: table 1 has no "column"', 'a table needs a column');
like_error(q{select * from maintsched.plan('archive', '{"tables": [{"table": "a.b", "column": "c", "older": "1 day"}]}')},
	'routine archive: table 1 has no parameter "older"', 'a wrong key');
like_error(q{alter system set maintsched.archive_roots = '/tmp'}, 'parameter "maintsched.archive_roots" cannot be changed', 'the roots are set in the file');
like_error(q{set maintsched.archive_roots = '/tmp'}, 'parameter "maintsched.archive_roots" cannot be changed now', 'nor in a session');

# --- round trip ---

sql(q{
	set role regress_maintsched_owner;
	create type audit.pair as (a integer, b text);
	create type audit.mood as enum ('so', 'so, "la la"');
	create domain audit.short as text check (length(value) < 1000);
	create table audit.kinds (
		id bigint generated always as identity primary key,
		gone integer,
		at timestamptz not null,
		"Text ""quoted"", and more" text,
		b bytea, j jsonb, j2 json, x xml, a text[], aa integer[][], f float8, f4 real, n numeric, r tstzrange, m int4multirange,
		c audit.pair, ca audit.pair[], e audit.mood, d audit.short, i interval, t timetz, ts timestamp, dt date, u uuid,
		inet inet, bits varbit, vec tsvector, money money, p point, o oid, reg regclass, chr character(5), nm name,
		made integer generated always as (id * 2) stored);
	alter table audit.kinds drop column gone;
	insert into audit.kinds (at, "Text ""quoted"", and more", b, j, j2, x, a, aa, f, f4, n, r, m, c, ca, e, d, i, t, ts, dt, u,
		inet, bits, vec, money, p, o, reg, chr, nm)
	select timestamptz '2020-01-01 00:00:00.000001+00' + k * interval '7 hours',
		(array[E'new\nline\r\n', E'back\\slash \\N \\. \\t', E'tab\tand\bbell\f\v\x07', '', ' ', E'\xc3\xbc\xe4\xb8\xad\xf0\x9f\x98\x80', '\N', 'null', repeat('long ', 5000)])[1 + k % 9],
		case when k % 5 > 0 then decode(repeat(md5(k::text), k % 7), 'hex') || '\x00ff0a5c'::bytea end,
		jsonb_build_object('k', E'x"\\\n' || k, 'n', 1e-20, 'nested', jsonb_build_array(null, true)), '{"a" :  1, "a": 2}',
		xmlparse(content '<a>&lt;</a>text'), array['a,b', null, '', 'NULL', E'"\\{}'], array[[1, null], [3, 4]],
		(array[0.1, 'NaN', 'Infinity', '-Infinity', '-0', 1e-310, 0.1::float8 + 0.2])[1 + k % 7], 1.0 / (k + 3),
		(array['NaN', 'Infinity', '1.100', '0.0000000000000000000001', '-123456789012345678901234567890.5'])[1 + k % 5]::numeric,
		tstzrange('-infinity', now() - k * interval '1 s', '[]'), '{[1,3),[7,)}',
		case when k % 4 > 0 then row(k, E'(",\\)')::audit.pair end, array[row(null, '')::audit.pair, row(1, null)::audit.pair],
		(array['so', 'so, "la la"'])[1 + k % 2]::audit.mood, E'do\\main', '1 year -2 mons 3 days -04:05:06.789', '12:34:56.789-03:30',
		case k % 3 when 0 then 'infinity' when 1 then '0044-03-15 BC' else '2020-02-29 23:59:59.999999' end::timestamp,
		case k % 2 when 0 then '-infinity' else '5874897-12-31' end::date, md5(k::text)::uuid, '2001:db8::1/64', B'10110', 'a:1A b:2', -1234.56, point(0.1, k), k,
		'audit.kinds', 'ab', 'na"me'
	from generate_series(1, 2000) k;
});
my $digest = q{select count(*), md5(string_agg(md5(row(k.*)::text), '' order by id)) from audit.kinds k};
my $before = sql($digest);
is(sql(q{select count(*), count(distinct command) from maintsched.plan('archive', '{"tables": [{"table": "audit.kinds", "column": "at", "batch": 700}]}')}), '3|1', 'three files are planned');
is(sql(q{
	set timezone = 'Asia/Tokyo'; set datestyle = 'German'; set intervalstyle = 'sql_standard'; set extra_float_digits = -5; set bytea_output = 'escape'; set client_encoding = 'LATIN1';
	select maintsched.archive_batch('audit.kinds', 'at', '2026-01-01 00:00+00', 700)}), '1', 'the first file, under settings that lose digits');
sql(q{select maintsched.archive_batch('audit.kinds', 'at', '2026-01-01 00:00+00', 700) from generate_series(1, 2)});
is(sql('select count(*) from audit.kinds'), '0', 'the table is empty');
is(said(q{select maintsched.archive_batch('audit.kinds', 'at', '2026-01-01 00:00+00') is null}), 't', 'nothing more to do');
is(sql('select count(*), sum(rows) from maintsched.archives'), '3|2000', 'three archives');
is(sql(q{select count(*) from maintsched.archive_leftovers()}), '0', 'and no other file');
my $path = sql('select path from maintsched.archives where archive_id = 1');
my ($mode, $size) = (stat $path)[ 2, 7 ];
is(sprintf('%o', $mode & 07777), '600', 'for the server alone');
is(sql(qq{select bytes = $size and sha256 = encode(sha256(pg_read_binary_file('$path')), 'hex') from maintsched.archives where archive_id = 1}), 't', 'size and sum are those of the file');
my $manifest = $path =~ s/copy\.gz$/json/r;
is(sql(qq{
	select m ->> 'rows', m ->> 'sha256' = a.sha256, m ->> 'oldest', m ->> 'newest' = a.newest, m ->> 'database', m ->> 'table',
		(select count(*) from jsonb_array_elements(m -> 'columns')), m -> 'constraints' ->> 0
	from maintsched.archives a, (select pg_read_file('$manifest')::jsonb) x(m) where archive_id = 1}),
	'700|t|2020-01-01 07:00:00.000001+00|t|postgres|kinds|33|constraint kinds_pkey PRIMARY KEY (id)', 'the manifest');

# by hand, as the manifest says
my $copy = sql(qq{select (pg_read_file('$manifest')::jsonb) ->> 'copy'});
system_or_bail('sh', '-c', "gzip -dc '$path' | PGCLIENTENCODING=LATIN1 psql -X -q -d '" . $node->connstr('postgres') . "' -c '$copy'");
is(sql('select count(*) from audit.kinds'), '700', 'zcat and psql load it');
is(sql(q{select count(*) from audit.kinds where "Text ""quoted"", and more" = E'\xc3\xbc\xe4\xb8\xad\xf0\x9f\x98\x80'}),
	sql(q{select count(*) from generate_series(1, 700) k where k % 9 = 5}), 'letters, too, whatever the encoding of the client is');
sql('truncate audit.kinds');

is(sql('select sum(maintsched.restore_archive(archive_id)) from maintsched.archives'), '2000', 'restored');
is(sql($digest), $before, 'every value is as it was');
is(sql(q{select string_agg(distinct state, ' ') from maintsched.archives}), 'restored', 'the view says so');
like_error(q{select maintsched.restore_archive(1)}, 'archive 1 was restored into table audit.kinds before', 'not twice');
sql(q{create table public.look (like audit.kinds including all)});
is(sql(q{select maintsched.restore_archive(2, 'public.look')}), '700', 'into another table');
like_error(q{select maintsched.restore_archive(2, 'public.look')}, 'archive 2 was restored into table public.look before', 'there once, too');
is(sql(q{select count(*) from audit.kinds k join public.look l using (id) where (k.*)::text is distinct from (l.*)::text}), '0', 'as they were');
like_error(q{begin; select maintsched.restore_archive(3, 'public.look'); alter table public.look drop column b; select maintsched.restore_archive(1, 'public.look')},
	'table public.look has no column "b" that could be filled', 'a table without a column');
is(sql('select count(*) from public.look'), '700', 'all or none');

# other kinds of columns of time
foreach my $case (
	[ 'date', "date '2026-05-20' + i", q{"timezone": "Pacific/Kiritimati"}, 3 ],	# 23 May there
	[ 'date', "date '2026-05-20' + i", q{"timezone": "UTC"}, 2 ],
	[ 'timestamp', "timestamp '2026-05-22 20:00' + i * interval '1 hour'", q{"timezone": "Europe/Berlin"}, 3 ],	# before 23:00 there
	[ 'timestamptz', "timestamptz '2026-05-22 20:00+00' + i * interval '1 hour'", q{"timezone": "Europe/Berlin"}, 1 ],	# the hour before 22:00 comes an hour later in winter
	[ 'bigint', "extract(epoch from timestamptz '2026-05-22 20:00+00' + i * interval '1 hour') * 1000", q{"unit": "milliseconds"}, 2 ],
	[ 'integer', "extract(epoch from timestamptz '2026-05-22 20:00+00' + i * interval '1 hour')", q{"unit": "seconds"}, 2 ])
{
	my ($type, $values, $params, $expected) = @$case;
	sql(qq{drop table if exists audit.timed; create table audit.timed (id integer, at $type); insert into audit.timed select i, $values from generate_series(0, 9) i});
	my $rows = sql(qq{
		set maintsched.now = '2026-11-22 22:00+00';
		select coalesce(substring(reason from '^[0-9]+')::integer, 0) from maintsched.plan('archive', '{"tables": [{"table": "audit.timed", "column": "at", $params}]}')});
	is($rows, $expected, "$type, $params: $expected rows are older than six months");
}
sql(q{drop table audit.timed; create table audit.timed (id integer, at timestamptz);
	insert into audit.timed values (1, '2020-01-01'), (2, null), (3, '-infinity'), (4, 'infinity'), (5, '2020-01-02')});
is(sql(q{select reason from maintsched.plan('archive', '{"tables": [{"table": "audit.timed", "column": "at"}]}')}),
	'2 rows older than 6 months, from 2020-01-01 00:00:00+00 to 2020-01-02 00:00:00+00; 2 without a time stay', 'rows without a time are named');
is(sql(q{select reason from maintsched.plan('archive', '{"tables": [{"table": "audit.timed", "column": "at"}], "retention": "30 days", "batch": 1}') limit 1}),
	'2 rows older than 6 months, from 2020-01-01 00:00:00+00 to 2020-01-02 00:00:00+00; 2 without a time stay (file 1 of 2); kept for 30 days alone', 'a retention of less than six years is named');
sql(q{select maintsched.archive_batch('audit.timed', 'at', '2021-01-01')});
is(sql(q{select string_agg(id::text, ' ' order by id) from audit.timed}), '2 3 4', 'and stay');

sql(q{
	create table audit.numbered (id integer, at integer);
	insert into audit.numbered values (1, 1000000000)});
is(sql(q{select reason from maintsched.plan('archive', '{"tables": [{"table": "audit.numbered", "column": "at", "unit": "seconds"}]}')}),
	'1 row older than 6 months, from 2001-09-09 01:46:40+00 to 2001-09-09 01:46:40+00', 'a number is shown as the time that it stands for');
is(sql(q{select reason from maintsched.plan('archive', '{"tables": [{"table": "audit.numbered", "column": "at", "unit": "milliseconds"}]}')}),
	'cannot be archived: column "at" of table audit.numbered is an integer, which holds no milliseconds since 1970', 'and a unit that cannot be is refused');

# --- names, and paths ---

my $schema = 'a/b..\\"c%' . "\x{e4}";
utf8::encode($schema);
my $table = 'T' . "\x{4e2d}" x 20;
utf8::encode($table);
my $quoted = '"' . ($schema =~ s/"/""/gr) . '"."' . $table . '"';
sql(qq{create schema "@{[ $schema =~ s/"/""/gr ]}"; create table $quoted ("a't" date); insert into $quoted values ('2020-01-01')});
my $names = sql(qq{select command from maintsched.plan('archive', jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('table', \$n\$$schema.$table\$n\$, 'column', 'a''t'))))});
like(said($names), qr/^\d+$/, 'a table with a name of any letters');
my $strange = sql('select path from maintsched.archives order by archive_id desc limit 1');
like($strange, qr{^\Q$cold\E/postgres-\d+/a%2Fb%2E%2E%5C%22c%25%C3%A4/T(?:%E4%B8%AD){20}/\d+-[0-9a-f]{16}\.copy\.gz$}, 'and its folder');
ok(-f $strange, 'is there');

sql(q{create table audit.paths (id serial, at timestamptz default '2020-01-01'); insert into audit.paths default values});
sub refused_path
{
	my ($directory, $error) = @_;
	like_error("select maintsched.archive_batch('audit.paths', 'at', '2021-01-01', 10, \$d\$$directory\$d\$)", $error, "refused: " . substr($directory, 0, 40));
	return;
}
my $outside = PostgreSQL::Test::Utils::tempdir;
symlink($outside, "$cold/link") or die $!;
mkdir("$cold/folder") or die $!;
symlink($outside, "$cold/folder/link") or die $!;
refused_path('../outside', 'folder of archives "../outside" holds');
refused_path("$cold/..", 'folder of archives');
refused_path("$cold/folder/../..", 'folder of archives');
refused_path('./x', 'folder of archives');
refused_path('/tmp', 'folder "/tmp" is not below one of maintsched.archive_roots');
refused_path("${cold}2", 'folder ".*2" is not below one of');
refused_path('link', 'could not open folder ".*/link" of archives: Not a directory');
refused_path("$cold/folder/link", 'could not open folder ".*/folder/link" of archives: Not a directory');
refused_path('x' x 300, 'could not open folder "x*.*" of archives: File name too long');
is_deeply([ glob("$outside/*") ], [], 'nothing went outside');
is(sql('select count(*) from audit.paths'), '1', 'and the row is there');
like(said("select maintsched.archive_batch('audit.paths', 'at', '2021-01-01', 10, '$cold//folder/')"), qr/^\d+$/, 'an absolute folder below a root');
like(sql('select path from maintsched.archives order by archive_id desc limit 1'), qr{^\Q$cold\E/folder/postgres-\d+/audit/paths/}, 'is used');

# --- what is refused ---

sql(q{
	create table audit.parent (id integer primary key, at timestamptz default '2020-01-01');
	insert into audit.parent values (1);
	create table audit.child (id integer references audit.parent on delete cascade);
	create table audit.forced (id integer, at timestamptz default '2020-01-01');
	alter table audit.forced owner to regress_maintsched_owner;
	alter table audit.forced enable row level security, force row level security;
	create table audit.ruled (id integer, at timestamptz default '2020-01-01');
	create rule elsewhere as on delete to audit.ruled do also delete from audit.parent;
	create view audit.seen as select * from audit.parent;
	create role regress_maintsched_other login;
	select maintsched.grant_access('regress_maintsched_other', 'manager');
});
sub refused_table
{
	my ($name, $error, $role) = @_;
	like_error("select maintsched.archive_batch('$name', 'at', '2021-01-01')", $error, "refused: $name", $role);
	return;
}
refused_table('audit.parent', 'foreign key child_id_fkey of table audit.child follows table audit.parent');
refused_table('audit.forced', 'row-level security of table audit.forced is forced upon its owner');
refused_table('audit.ruled', 'table audit.ruled has a rule on DELETE');
sql(q{
	create extension lo;
	create table audit.scans (id integer, at timestamptz default '2020-01-01', scan lo);
	create trigger tidy before update or delete on audit.scans for each row execute function lo_manage(scan);
	insert into audit.scans values (1, default, lo_from_bytea(0, 'picture'))});
refused_table('audit.scans', 'trigger tidy of table audit.scans removes large objects');
sql('alter table audit.scans disable trigger tidy');
like(sql(q{select maintsched.archive_batch('audit.scans', 'at', '2021-01-01')}), qr/^\d+$/, 'without it they stay');
is(sql(q{select maintsched.restore_archive(max(archive_id)) from maintsched.archives; select convert_from(lo_get(scan), 'UTF8') from audit.scans}),
	"1\npicture", 'and are there when the row is back');
sql('drop table audit.scans; drop extension lo');
sql(q{
	create publication all_of_it for all tables;
	create table audit.published (id integer, at timestamptz default '2020-01-01');
	insert into audit.published values (1)});
refused_table('audit.published', 'table audit.published has no replica identity, and a publication publishes its deletes');
sql(q{create table audit.filtered (id integer primary key, at timestamptz default '2020-01-01', a integer);
	create publication some_of_it for table audit.filtered where (a > 1)});
refused_table('audit.filtered', 'table audit.filtered is published where a column has a value that is not part of its replica identity');
sql('drop publication some_of_it');
sql('alter table audit.published replica identity full');
like(sql(q{select maintsched.archive_batch('audit.published', 'at', '2021-01-01')}), qr/^\d+$/, 'which it may have');
sql('drop publication all_of_it');
refused_table('audit.seen', 'audit.seen is not a table with rows of its own');
refused_table('audit.nothing', 'relation "audit.nothing" does not exist');
refused_table('parent', 'name of table "parent" has no schema');
refused_table('pg_catalog.pg_class', 'pg_catalog.pg_class is a system or temporary table');
refused_table('audit.kinds', 'role "regress_maintsched_other" may not archive rows of table audit.kinds', 'regress_maintsched_other');
like_error(q{select maintsched.archive_batch('audit.kinds', 'nothing', '2021-01-01')}, 'table audit.kinds has no column "nothing"', 'a column that is not there');
like_error(q{select maintsched.archive_batch('audit.kinds', 'b', '2021-01-01')}, 'column "b" of table audit.kinds is of type bytea, which tells no age', 'a column of another type');
like_error(q{select maintsched.restore_archive(1, 'public.look')}, 'role "regress_maintsched_other" may not restore archive 1', 'others may not restore', 'regress_maintsched_other');
like_error(q{select maintsched.remove_archive(1, 'x')}, 'role "regress_maintsched_other" may not remove archive 1', 'nor remove', 'regress_maintsched_other');
is(said(q{select archive_id, count(*) over () from maintsched.archives where archive_id = 1}, 'regress_maintsched_other'), '1|1', 'they see the view');
like(sql(q{select reason from maintsched.plan('archive', '{"tables": [{"table": "audit.ruled", "column": "at"}]}')}),
	qr/^cannot be archived: table audit.ruled has a rule on DELETE$/, 'the plan says why');

# --- killed at each step ---

# Where a batch can be held up: in a trigger while rows are deleted, in a type
# while the file is read back, at our record when the files have their names.
sql(q{
	create table public.gate (place text primary key, shut boolean not null default false);
	insert into public.gate values ('delete'), ('read');
	grant select on public.gate to public;
	create function public.wait_at(place text) returns boolean language plpgsql as $$
	begin
		while (select g.shut from public.gate g where g.place = wait_at.place) loop
			perform pg_sleep(0.5);
		end loop;
		return true;
	end $$;
	create function public.at_delete() returns trigger language plpgsql as $$
	begin if old.id % 100 = 50 then perform public.wait_at('delete'); end if; return old; end $$;
	create domain public.gated as text check (value not in ('row 50', 'row 101') or public.wait_at('read'));
	create table audit.held (id integer, at timestamptz, txt public.gated);
	create trigger held before delete on audit.held for each row execute function public.at_delete();
	alter table audit.held owner to regress_maintsched_owner;
	insert into audit.held select i, '2020-01-01', 'row ' || i from generate_series(1, 100) i;
});
my $batch = q{select maintsched.archive_batch('audit.held', 'at', '2021-01-01', 100)};

# A batch that waits at a step.
sub held_at
{
	my ($step) = @_;
	my $locker;
	if ($step eq 'record')
	{
		$locker = background("begin; lock table maintsched.archive_file in share mode; select 1; select pg_sleep(600)");
		$node->poll_query_until('postgres', q{select count(*) > 0 from pg_locks where relation = 'maintsched.archive_file'::regclass and mode = 'ShareLock' and granted}) or die;
	}
	else
	{
		sql("update public.gate set shut = (place = '$step')");
	}
	my $session = background($batch);
	if ($step eq 'record')
	{
		$node->poll_query_until('postgres', q{select count(*) > 0 from pg_locks where relation = 'maintsched.archive_file'::regclass and not granted}) or die $session->{err};
	}
	else
	{
		$node->poll_query_until('postgres', q{select count(*) > 0 from pg_stat_activity where query like 'select maintsched.archive_batch%' and wait_event = 'PgSleep'}) or die $session->{err};
	}
	# (the last one may be about to end)
	my $pid = sql(q{select pid from pg_stat_activity where query like 'select maintsched.archive_batch%' and pid <> pg_backend_pid()
		order by backend_start desc limit 1});
	return ($session, $pid, $locker);
}

sub release
{
	my ($locker) = @_;
	$node->psql('postgres', q{update public.gate set shut = false});
	$node->psql('postgres', q{select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()});
	$locker->{run}->finish if $locker;
	return;
}

my $leftovers = q{select coalesce(string_agg(kind || substring(path from '[^/.]*([.][^/]*)$'), ' ' order by path), '') from maintsched.archive_leftovers() where path like '%/held/%'};
foreach my $step (qw(delete read record))
{
	foreach my $death (qw(cancel terminate kill immediate))
	{
		my ($session, $pid, $locker) = held_at($step);
		is(sql('select count(*) from audit.held'), '100', "$death at $step: nothing is gone before the commit");
		if ($death eq 'cancel' || $death eq 'terminate')
		{
			sql("select pg_${death}_backend($pid)");
			finish($session);
			is(sql($leftovers), '', "$death at $step: no file is left");
		}
		elsif ($death eq 'kill')
		{
			kill_backend($node, $pid);
			finish($session);
			wait_back($node);
		}
		else
		{
			$node->stop('immediate');
			finish($session);
			$node->start;
		}
		release($locker);
		is(whole('audit.held', 100, "$death at $step"), 0, "$death at $step: all rows are in the table");
		if ($death eq 'kill' || $death eq 'immediate')
		{
			like(sql($leftovers), $step eq 'record' ? qr/unrecorded\.copy\.gz unrecorded\.json$/ : qr/temporary\.copy\.gz\.tmp/, "$death at $step: what is left is listed");
		}
	}
}
like(said($batch), qr/^\d+$/, 'the next batch does it');
is(whole('audit.held', 100, 'after all of them'), 100, 'all rows are archived');
unlike(sql($leftovers), qr/temporary/, 'half written files are gone');
is(sql($leftovers), join(' ', ('unrecorded.copy.gz unrecorded.json') x 2), 'files that were complete are left, and listed');
unlink(split /\n/, sql(q{select path from maintsched.archive_leftovers() where kind = 'unrecorded'}));

# a transaction that rolls back, also in part
sql(q{insert into audit.held select i, '2020-01-01', 'row ' || i from generate_series(101, 101) i;
	insert into audit.held select i, '2020-01-01', (select string_agg(md5((i * 1000 + k)::text), '') from generate_series(1, 100) k) from generate_series(102, 200) i});
sql("begin; $batch; rollback");
sql("begin; savepoint s; $batch; rollback to s; commit");
is(whole('audit.held', 200, 'rolled back'), 100, 'as if nothing had been');
is(sql($leftovers), '', 'no file is left');
like_error("begin; $batch; prepare transaction 'x'", '(?:cannot PREPARE a transaction that has written or removed archives|prepared transactions are disabled)', 'no prepared transaction');
is(sql($leftovers), '', 'nor then');

# --- a file that is not what was written ---

foreach my $harm ('changed', 'cut off', 'longer', 'replaced', 'gone')
{
	my ($session, $pid, $locker) = held_at($harm eq 'replaced' || $harm eq 'gone' ? 'delete' : 'read');
	my ($file) = grep { /\.tmp$/ } files_of('audit.held');
	# it is read 64 kB at a time, and is longer
	if ($harm eq 'changed' || $harm eq 'longer')
	{
		ok(-s $file > 100_000, 'the file is long enough') if $harm eq 'changed';
		open(my $handle, '+<', $file) or die $!;
		seek($handle, $harm eq 'longer' ? 0 : -3000, 2);
		print $handle "\0\1\2";
		close $handle;
	}
	elsif ($harm eq 'cut off') { truncate($file, 100_000) or die $!; }
	else
	{
		unlink($file) or die;
		if ($harm eq 'replaced') { open(my $handle, '>', $file) or die; close $handle; }
	}
	release();
	like(finish($session), qr/ERROR:  (?:the archive is damaged|file ".*" was read back, and is not|could not open file)/, "$harm while it is written: refused");
	is(whole('audit.held', 200, $harm), 100, "$harm: all rows are in the table");
}

# --- ten deaths at random moments, while others write ---

sql(q{
	create table audit.busy (id integer primary key, at timestamptz not null, txt text not null default '');
	alter table audit.busy owner to regress_maintsched_owner;
	insert into audit.busy select i, timestamptz '2020-01-01' + i * interval '1 minute', md5(i::text) from generate_series(1, 20000) i;
});
my $last = 20000;
foreach my $round (1 .. 10)
{
	# old rows come late, others are changed, and some become new again
	my $from = $last + 1;
	$last += 300;
	my $writer = background(qq{do \$\$ begin
		for i in $from .. $last loop
			insert into audit.busy values (i, timestamptz '2019-01-01' + i * interval '1 s', 'late');
			commit;
			update audit.busy set txt = txt || '+' where id = (random() * 20000)::integer;
			commit;
			update audit.busy set at = '2026-06-01' where id = (random() * 20000)::integer and random() < 0.3;
			commit;
		end loop; end \$\$});
	my $known = sql('select coalesce(max(archive_id), 0) from maintsched.archives');
	# at most 2,000 rows a round, so that there are some left for the last one
	my $archiver = background(q{do $$ declare n integer := 0; begin
		while n < 40 and maintsched.archive_batch('audit.busy', 'at', '2021-01-01', 50) is not null loop n := n + 1; commit; end loop; end $$});
	my $after = $known + int(rand(8));
	$node->poll_query_until('postgres', "select coalesce(max(archive_id), 0) >= $after from maintsched.archives") or die finish($archiver);
	usleep(int(rand(30000)));
	if ($round % 2)
	{
		$node->stop('immediate');
		finish($_) foreach $archiver, $writer;
		$node->start;
	}
	else
	{
		my $pid = sql(q{select coalesce(min(pid), 0) from pg_stat_activity where query like 'do $$ declare n%' and state = 'active'});
		my $offset = -s $node->logfile;
		kill('KILL', $pid) if $pid > 0;
		my $killed = finish($archiver) =~ /server closed the connection unexpectedly/;
		finish($writer);
		# one that had done its work may have ended by itself
		$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset) if $killed;
		wait_back($node);
	}
	# what was not written by then
	my %there = map { $_ => 1 } (map { (split /\t/)[0] } archived_lines('audit.busy')), split(/\n/, sql("select id from audit.busy where id >= $from"));
	my @missing = grep { !$there{$_} } $from .. $last;
	ok(!(grep { $there{$_} } ($missing[0] // $last + 1) .. $last), "round $round: of the writer's rows none between others is lost");
	sql('insert into audit.busy values ' . join(', ', map { "($_, '2019-01-01', 'later')" } @missing)) if @missing;
	whole('audit.busy', $last, "round $round");
}
sql(q{do $$ begin while maintsched.archive_batch('audit.busy', 'at', '2021-01-01', 5000) is not null loop commit; end loop; end $$});
is(sql(q{select count(*) from audit.busy where at < '2021-01-01'}), '0', 'in the end all that is old is archived');
cmp_ok(sql(q{select count(*) from audit.busy}), '>', 0, 'and what became new is not');
whole('audit.busy', $last, 'in the end');
is(scalar(grep { (split /\t/)[1] ge '2021' } archived_lines('audit.busy')), 0, 'no file has a row that is not old');
is(sql(q{select count(*) from maintsched.archives a where not maintsched.verify_archive(a.archive_id)}), '0', 'every archive is as recorded');

# a row that is changed while its batch is under way goes as it is then, or stays
sql(q{create table audit.changing (id integer, at timestamptz, txt text);
	insert into audit.changing values (1, '2020-01-01', 'first'), (2, '2020-01-01', 'first'), (3, '2020-01-01', 'first')});
my $changer = background(q{begin; update audit.changing set txt = 'second' where id = 1; update audit.changing set at = now() where id = 2;
	delete from audit.changing where id = 3; insert into audit.changing values (4, '2019-01-01', 'late'); select pg_sleep(600)});
$node->poll_query_until('postgres', q{select count(*) > 0 from pg_stat_activity where query like '%changing%pg_sleep(600)%' and wait_event = 'PgSleep'}) or die;
my $waiting = background(q{select maintsched.archive_batch('audit.changing', 'at', '2021-01-01')});
$node->poll_query_until('postgres', q{select count(*) > 0 from pg_stat_activity where query like 'select maintsched.archive_batch%changing%' and wait_event_type = 'Lock'}) or die;
release($changer);
finish($waiting);
is_deeply([ archived_lines('audit.changing') ], [ "1\t2020-01-01 00:00:00+00\tfirst\n", "2\t2020-01-01 00:00:00+00\tfirst\n", "3\t2020-01-01 00:00:00+00\tfirst\n" ],
	'changes that were rolled back do not count');
sql(q{insert into audit.changing values (5, '2020-01-01', 'first'), (6, '2020-01-01', 'first'), (7, '2020-01-01', 'first')});
my $locker = background(q{begin; update audit.changing set txt = 'second' where id = 5; update audit.changing set at = '2026-10-01' where id = 6;
	delete from audit.changing where id = 7; insert into audit.changing values (8, '2019-01-01', 'late');
	do $$ begin while not exists (select from pg_locks where not granted and locktype = 'transactionid') loop perform pg_sleep(0.02); perform pg_stat_clear_snapshot(); end loop; end $$; commit});
$node->poll_query_until('postgres', q{select count(*) > 0 from pg_stat_activity where query like '%changing%' and wait_event = 'PgSleep'}) or die;
like(said(q{select maintsched.archive_batch('audit.changing', 'at', '2021-01-01')}), qr/^\d+$/, 'a batch waits for who changes its rows');
finish($locker);
is((archived_lines('audit.changing'))[3], "5\t2020-01-01 00:00:00+00\tsecond\n", 'a changed row is archived as it was deleted');
is(sql(q{select string_agg(id || ' ' || txt, ', ' order by id) from audit.changing}), '6 first, 8 late', 'one that became new stays, and so does one that came late');

# --- no room ---

sql(q{create table audit.big (id integer, at timestamptz default '2020-01-01', b bytea); alter table audit.big alter b set storage external;
	insert into audit.big (id, b) select i, decode((select string_agg(encode(sha512((i * 100000 + k)::text::bytea), 'hex'), '') from generate_series(1, 4000) k), 'hex') from generate_series(1, 80) i; checkpoint});
SKIP:
{
	skip 'there is no prlimit', 4 if system('sh', '-c', 'command -v prlimit > /dev/null') != 0;
	# files of this process may not be longer than 17 MB: more than a WAL segment, less than the archive
	like(said(q{copy (select 1) to program 'cat > /dev/null; prlimit --pid $PPID --fsize=17000000:17000000'; select maintsched.archive_batch('audit.big', 'at', '2021-01-01')}),
		qr/ERROR:  could not write file ".*tmp": File too large/, 'no room for the file');
	is(sql('select count(*) from audit.big'), '80', 'nothing is deleted');
	is_deeply([ files_of('audit.big') ], [], 'no file is left');
}
like(said(q{select maintsched.archive_batch('audit.big', 'at', '2021-01-01')}), qr/^\d+$/, 'with room it works');

# --- whose rights ---

sql(q{
	create table audit.who (place text, name text, could text);
	alter table audit.who owner to regress_maintsched_owner;
	create role regress_maintsched_victim;
	create table public.secret (v text); insert into public.secret values ('secret');
});
is(said(q{
	create function audit.attack(place text) returns boolean language plpgsql as $$
	declare could text := '';
	begin
		begin alter role regress_maintsched_owner superuser; could := could || ' alter'; exception when others then null; end;
		begin perform * from public.secret; could := could || ' read'; exception when others then null; end;
		begin set role regress_maintsched_victim; could := could || ' set'; exception when others then null; end;
		begin reset role; could := could || ' reset'; exception when others then null; end;
		begin set session authorization regress_maintsched_victim; could := could || ' session'; exception when others then null; end;
		begin perform set_config('search_path', 'audit', false); exception when others then null; end;
		begin create temporary table x (); could := could || ' temp'; exception when others then null; end;
		begin perform maintsched.archive_batch('audit.hostile', 'at', '2021-01-01'); could := could || ' archive'; exception when others then null; end;
		begin perform maintsched.put_archive('{}', '', '', '', ''); could := could || ' put'; exception when others then null; end;
		insert into audit.who values (place, current_user, could);
		return true;
	end $$;
	create function audit.attack_trigger() returns trigger language plpgsql as $$ begin perform audit.attack(tg_argv[0]); return old; end $$;
	create domain audit.trap as text check (audit.attack('domain'));
	create function audit.trap_number(text) returns integer language plpgsql immutable as $$ begin perform audit.attack('index'); return 1; end $$;
	create function audit.trap_generated(text) returns integer language plpgsql immutable as $$ begin perform audit.attack('generated'); return 1; end $$;
	create function audit.less(timestamptz, timestamptz) returns boolean language plpgsql as $$ begin perform audit.attack('operator'); return true; end $$;
	create operator audit.< (leftarg = timestamptz, rightarg = timestamptz, function = audit.less);
	create table audit.hostile (id integer, at timestamptz, txt audit.trap, g integer generated always as (audit.trap_generated(txt)) stored);
	create index on audit.hostile (audit.trap_number(txt));
	create trigger one before delete on audit.hostile for each row execute function audit.attack_trigger('before');
	create trigger two after delete on audit.hostile for each statement execute function audit.attack_trigger('after');
	create constraint trigger three after delete on audit.hostile deferrable initially deferred for each row execute function audit.attack_trigger('deferred');
	insert into audit.hostile values (1, '2020-01-01', 'x');
	truncate audit.who;
}, 'regress_maintsched_owner'), '', 'a hostile owner');
my $hostile = sql(q{set search_path = audit, pg_catalog; select maintsched.archive_batch('audit.hostile', 'at', '2021-01-01')});
like($hostile, qr/^\d+$/, 'the table of a hostile owner is archived');
is(sql(q{select string_agg(distinct place, ' ' order by place) from audit.who}), 'after before deferred domain', 'its code ran');
is(sql(q{select string_agg(distinct name || could, ', ') from audit.who}), 'regress_maintsched_owner', 'as the owner, who could do nothing more');
sql('truncate audit.who');
is(sql(qq{set search_path = audit, pg_catalog; select maintsched.restore_archive($hostile)}), '1', 'and restored');
is(sql(q{select string_agg(distinct place, ' ' order by place) from audit.who}), 'domain generated index', 'its code ran');
is(sql(q{select string_agg(distinct name || could, ', ') from audit.who}), 'regress_maintsched_owner', 'as the owner, who could do nothing more');
is(sql(q{select rolsuper from pg_roles where rolname = 'regress_maintsched_owner'}), 'f', 'nothing was won');
is(sql(q{begin; select maintsched.archive_batch('audit.hostile', 'at', '2021-01-01') > 0; show search_path; rollback}), qq(t\n"\$user", public), 'its settings do not stay');

# triggers that keep rows, or fail; and on the way back
sql(q{create table audit.kept (id integer, at timestamptz default '2020-01-01');
	insert into audit.kept values (1);
	create function audit.keep() returns trigger language plpgsql as $$ begin return null; end $$;
	create trigger keep before delete or insert on audit.kept for each row execute function audit.keep();
	create table audit.half (id integer, at timestamptz default '2020-01-01');
	insert into audit.half values (1), (2), (3);
	set role regress_maintsched_owner;
	create function audit.leak() returns trigger language plpgsql as $$ begin raise exception 'patient Meyer'; end $$;
	create table audit.leaking (id integer, at timestamptz default '2020-01-01'); insert into audit.leaking values (1);
	create trigger leak before delete on audit.leaking for each row execute function audit.leak()});
like_error(q{select maintsched.archive_batch('audit.kept', 'at', '2021-01-01')}, 'old rows of table audit.kept are not deleted', 'a trigger that keeps rows');
sql(q{create trigger keep_some before delete on audit.half for each row when (old.id = 2) execute function audit.keep()});
like_error(q{select maintsched.archive_batch('audit.half', 'at', '2021-01-01')}, 'old rows of table audit.half are not deleted', 'a trigger that keeps one of them');
is(sql('select count(*) from audit.half'), '3', 'deletes none');
is_deeply([ files_of('audit.kept'), files_of('audit.half') ], [], 'leaves nothing');
like_error(q{select maintsched.restore_archive(1, 'audit.kept')}, 'table audit.kept has no column', 'another table');
sql('create trigger keep before insert on public.look for each row execute function audit.keep()');
like_error(q{select maintsched.restore_archive(3, 'public.look')}, 'table public.look has trigger "keep" on INSERT', 'triggers would change rows on their way back');

# --- damage, and the time that archives are kept ---

my ($id, $file) = split /\|/, sql(q{select archive_id, path from maintsched.archives where relation = 'changing' order by 1 limit 1});
rename($file, "$file.away") or die;
like(said("select maintsched.verify_archive($id)"), qr/^f\nWARNING:  archive $id cannot be used: its file is missing/, 'a missing file is found');
symlink("$file.away", $file) or die;
like(said("select maintsched.verify_archive($id)"), qr/^f\nWARNING:  archive $id cannot be used: its file cannot be opened/, 'a link is not followed');
unlink($file);
rename("$file.away", $file) or die;
my $manifest_file = $file =~ s/copy\.gz$/json/r;
append_to_file($manifest_file, ' ');
like(said("select maintsched.verify_archive($id)"), qr/its manifest is not what was written/, 'a changed manifest is found');
truncate($manifest_file, (-s $manifest_file) - 1);
open(my $handle, '+<', $file) or die; seek($handle, 30, 0); print $handle "\0"; close $handle;
like(said("select maintsched.verify_archive($id)"), qr/^f\nWARNING:  archive $id cannot be used: its file is not what was written/, 'a changed file is found');
is(sql("select verified_ok, problem from maintsched.archives where archive_id = $id"), 'f|its file is not what was written', 'and shown');
like_error("select maintsched.restore_archive($id)", "archive $id cannot be used: its file is not what was written", 'and not restored');
is(sql(q{select count(*) from audit.changing}), '2', 'no row of it');

like_error("select maintsched.remove_archive($id, 'old')", "archive $id is to be kept until 20", 'an archive is kept');
like_error("set maintsched.now = '2099-01-01'; select maintsched.remove_archive($id, 'old')", "archive $id is to be kept until 20", 'by the real clock');
like_error("update maintsched.archive_file set keep_until = now()", 'UPDATE of table archive_file is refused', 'what is recorded is not shortened');
like_error("delete from maintsched.archive_file", 'DELETE of table archive_file is refused', 'nor removed');
is(sql("select removable_from between now() + interval '5 years 360 days' and now() + interval '6 years 5 days' from maintsched.archives where archive_id = $id"), 't', 'for six years, if nothing else is said');
sql(q{create table audit.brief (id integer, at timestamptz default '2020-01-01'); insert into audit.brief values (1)});
my $short = sql(q{select maintsched.archive_batch('audit.brief', 'at', '2021-01-01', retention => '1 microsecond')});
my $short_path = sql("select path from maintsched.archives where archive_id = $short");
like_error("select maintsched.remove_archive($short, ' ')", 'a reason is needed', 'a reason is needed');
is(sql("begin; select maintsched.remove_archive($short, 'test'); rollback; select maintsched.verify_archive($short)"), "t\nt", 'not before the commit');
is(sql("select maintsched.remove_archive($short, 'test')"), 't', 'removed');
ok(!-e $short_path && !-e ($short_path =~ s/copy\.gz$/json/r), 'with its manifest');
is(sql("select state from maintsched.archives where archive_id = $short"), 'removed', 'the record stays');
is(sql("select maintsched.remove_archive($short, 'again')"), 'f', 'once');
like_error("select maintsched.restore_archive($short)", "archive $short was removed", 'it does not come back');
like_error("select maintsched.restore_archive(99999)", 'archive 99999 does not exist', 'nor what never was');

# --- partitions, by the background ---

sql(q{
	create table audit.event (id integer, at timestamptz not null, primary key (id, at)) partition by range (at);
	alter table audit.event owner to regress_maintsched_owner;
	create table audit.event_2019 partition of audit.event for values from ('2019-01-01') to ('2020-01-01');
	create table audit."Event 2020" partition of audit.event for values from ('2020-01-01') to ('2021-01-01') partition by list (id);
	create table audit.event_2020_one partition of audit."Event 2020" for values in (1, 2);
	create table audit.event_2020_rest partition of audit."Event 2020" default;
	create table audit.event_now partition of audit.event for values from ('2021-01-01') to (maxvalue);
	create table audit.event_other partition of audit.event default;
	alter table audit.event_2019 owner to regress_maintsched_owner;
	alter table audit.event_now owner to regress_maintsched_owner;
	insert into audit.event select i, '2019-05-05' from generate_series(1, 25) i;
	insert into audit.event select i, '2020-05-05' from generate_series(1, 5) i;
	insert into audit.event values (1, '2021-05-05'), (1, now()), (1, '1999-01-01');
	create table public.ancestor (id integer, at date); create table public.heir () inherits (public.ancestor);
	insert into public.ancestor values (1, '2020-01-01'); insert into public.heir values (2, '2020-01-01'), (3, now());
	create role regress_maintsched_manager login in role regress_maintsched_owner;
	select maintsched.grant_access('regress_maintsched_manager', 'manager');
});

# A run of the routine: its state, and what became of its actions.
sub run_of_archive
{
	my ($params, $role) = @_;
	my $run = said("select maintsched.run_routine('archive', '$params', force => true, reason => 'test')", $role);
	return $run if $run !~ /^\d+$/;
	wait_for($node, 'postgres', "select finished_at is not null from maintsched.run where run_id = $run", undef);
	return sql(qq{
		select state || coalesce(': ' || message, '') from maintsched.run_history where run_id = $run;
		select concat_ws(' ', target, state, skip_reason, message, (after ->> 'rows')::bigint - (before ->> 'rows')::bigint)
		from maintsched.run_actions where run_id = $run order by seq});
}

my $event = q{{"tables": [{"table": "audit.event", "column": "at", "drop_partitions": true}], "batch": 10}};
is(run_of_archive($event), join("\n", 'succeeded',
		'audit.event_2019 done 10', 'audit.event_2019 done 10', 'audit.event_2019 done 5', 'audit.event_2019 done',
		'audit.event_2020_one done 2', 'audit.event_2020_rest done 3', 'audit.event_now done 1', 'audit.event_other done 1'),
	'a run archives the partitions one by one');
is(sql(q{select to_regclass('audit.event_2019') is null, count(*) from audit.event}), 't|1', 'the one that can only hold old rows is dropped');
is(sql(q{select sum(maintsched.restore_archive(archive_id)) from maintsched.archives where relation like 'event%'}), '32', 'they come back');
is(sql(q{select count(*), count(*) filter (where tableoid = 'audit.event_other'::regclass) from audit.event}), '33|26', 'those of the dropped partition through the partitioned table');
is(sql(q{select distinct state from maintsched.archives where relation like 'event%'}), 'restored', 'and are shown as restored');

# a row that came after the snapshot of the transaction is one all the same
sql(q{create table audit.event_1999 partition of audit."Event 2020" for values in (77)});
my $psql = 'psql -XAtq -d "' . $node->connstr('postgres') . '"';
like_error(qq{begin isolation level repeatable read; select 1;
\\! $psql -c "insert into audit.event values (77, '2020-06-06')"
select maintsched.drop_archived_partition('audit.event_1999', 'at'); commit},
	'partition audit.event_1999 still holds rows', 'a partition with a row that the transaction does not see');
is(sql(q{delete from audit.event_1999 returning at::date}), '2020-06-06', 'which is still there');

is(run_of_archive(q{{"tables": [{"table": "public.ancestor", "column": "at"}]}}), "succeeded\npublic.ancestor done 1\npublic.heir done 1", 'tables that inherit');
is(run_of_archive(q{{"tables": [{"table": "public.ancestor", "column": "at"}]}}), "succeeded\npublic.ancestor skipped not_needed\npublic.heir skipped not_needed", 'nothing to do is a success');

# one that is partitioned and has no partition is not the table of a similar name
sql(q{
	create table audit."None" (id integer, at date) partition by range (at);
	create table audit.none (id integer, at date); insert into audit.none values (1, '2020-01-01')});
is(run_of_archive(q{{"tables": [{"table": "audit.None", "column": "at"}]}}), qq{succeeded\naudit."None" skipped not_needed}, 'a partitioned table without partitions');
is(sql('select count(*) from audit.none'), '1', 'and nothing of another table');

# a partition stays when what is in it was not archived, or has no age
sql(q{
	create table audit.pinned (id integer, at date, primary key (id, at)) partition by range (at);
	create table audit.pinned_endless partition of audit.pinned for values from (minvalue) to ('2019-01-01');
	create table audit.pinned_2019 partition of audit.pinned for values from ('2019-01-01') to ('2020-01-01');
	insert into audit.pinned values (1, '-infinity'), (2, '2018-05-05'), (3, '2019-05-05');
	create table audit.pins (id integer, at date, foreign key (id, at) references audit.pinned);
	insert into audit.pins values (3, '2019-05-05')});
is(run_of_archive(q{{"tables": [{"table": "audit.pinned", "column": "at"}], "drop_partitions": true}}) =~ s/foreign_key_violation.*/foreign_key_violation/r,
	join("\n", 'partial', 'audit.pinned_2019 failed foreign_key_violation', 'audit.pinned_2019 skipped cancelled the file before it was not written',
		'audit.pinned_endless done 1'), 'no drop is tried that cannot be');

# rows come back once, by whatever name of the table
sql(q{
	create table audit.once (at date) partition by range (at);
	create table audit.once_2019 partition of audit.once for values from ('2019-01-01') to ('2020-01-01');
	insert into audit.once values ('2019-05-05')});
my $once = sql(q{select maintsched.archive_batch('audit.once_2019', 'at', '2021-01-01')});
is(sql("select maintsched.restore_archive($once)"), '1', 'restored into the partition');
like_error("select maintsched.restore_archive($once, 'audit.once')", "archive $once was restored into table audit.once_2019 before", 'not through the partitioned table, too');
sql(q{drop table audit.once_2019; create table audit.once_rest partition of audit.once default});
like_error("select maintsched.restore_archive($once)", "archive $once was restored into table audit.once_2019 before", 'nor when the partition is gone');
sql(q{create table public.once (at date)});
is(sql("select maintsched.restore_archive($once, 'public.once')"), '1', 'but into another table');

# a type that has changed since does not change a value without a word
sql(q{create table audit.retyped (at timestamptz, n numeric(5, 2), i integer, c character(3)); insert into audit.retyped values ('2020-01-01', 3.14, 7, 'a')});
my $retyped = sql(q{select maintsched.archive_batch('audit.retyped', 'at', '2021-01-01')});
sql('alter table audit.retyped alter i type bigint, alter n type numeric(5, 1)');
is(said("select maintsched.restore_archive($retyped)") =~ s/CONTEXT.*//sr =~ s/\s+\z//r,
	"ERROR:  rows of archive $retyped would not come back as they were\nDETAIL:  Column n is of type numeric(5,1), and was of type numeric(5,2).\n"
	. 'HINT:  Restore into a table that is as the manifest describes it.', 'rounded');
sql('alter table audit.retyped alter n type double precision, alter c type text');
is(sql("select maintsched.restore_archive($retyped)"), '1', 'where the text stays the same');
is(sql('select n, i, c from audit.retyped'), '3.14|7|a  ', 'so does the row');
sql(q{create table audit.made (at timestamptz generated always as ('2020-01-01') stored)});
refused_table('audit.made', 'every column of table audit.made is generated');

# --- as a role without more rights than it needs; what is stored of errors ---

my $said = run_of_archive(q{{"tables": [{"table": "audit.event_now", "column": "at"}, {"table": "audit.big", "column": "at"}, {"table": "audit.gone", "column": "at"}, {"table": "audit.leaking", "column": "at"}]}}, 'regress_maintsched_manager');
like($said, qr/^partial/, 'a member of the owner: what it may, and nothing else');
like($said, qr/^audit.event_now done 1$/m, 'tables of the owner');
like($said, qr/^audit.big failed role "regress_maintsched_manager" may not archive rows of table audit.big$/m, 'not those of others');
like($said, qr/^audit.gone failed /m, 'a table that is not there is an error');
sql('create schema closed');
is(said(q{select reason from maintsched.plan('archive', '{"tables": [{"table": "closed.gone", "column": "at"}, {"table": "audit.event_now", "column": "at"}]}')}, 'regress_maintsched_manager') =~ s/^no row.*/no row/mr,
	qq{cannot be archived: table "closed.gone" does not exist\nno row}, 'one that is not there, in a schema that the role may not use, is not in the way of the others');
like($said, qr/^audit.leaking failed raise_exception$/m, 'the text of an error in the code of the owner is not stored');
sql(q{
	create function audit.tells() returns boolean language plpgsql immutable as $$ begin
		if current_setting('application_name') <> 'maker' then raise exception 'patient Meyer'; end if;
		return true; end $$;
	create table audit.telling (at timestamptz);
	set application_name = maker;
	create index on audit.telling (at) where audit.tells();
	reset application_name;
	alter table audit.telling owner to regress_maintsched_owner});
is(sql(q{select reason from maintsched.plan('archive', '{"tables": [{"table": "audit.telling", "column": "at"}]}')}),
	'cannot be archived: the old rows of table audit.telling could not be counted (raise_exception)', 'nor in the reason, where it comes when rows are counted');
run_of_archive(q{{"tables": [{"table": "audit.telling", "column": "at"}]}});
unlike(sql('select a::text from maintsched.run_action a'), qr/Meyer/, 'nowhere');

# what one file of a table fails of, those after it are not tried for
sql(q{
	create table audit.referred (id integer primary key, at date);
	create table audit.referring (id integer references audit.referred);
	insert into audit.referred select i, '2020-01-01' from generate_series(1, 40) i;
	insert into audit.referring values (5)});
is(run_of_archive(q{{"tables": [{"table": "audit.referred", "column": "at"}, {"table": "public.heir", "column": "at"}], "batch": 10}}),
	join("\n", 'failed', 'audit.referred failed foreign_key_violation, table audit.referring, constraint referring_id_fkey',
		('audit.referred skipped cancelled the file before it was not written') x 3, 'public.heir skipped not_needed'),
	'one failure of a table, and the next table');
is(sql('select count(*) from audit.referred'), '40', 'nothing of it is gone');
my $holder = background(q{begin; lock table audit.referred in exclusive mode; select pg_sleep(600)});
wait_for($node, 'postgres', q{select exists (select from pg_locks where relation = 'audit.referred'::regclass and mode = 'ExclusiveLock' and granted)}) or die;
is(run_of_archive(q{{"tables": [{"table": "audit.referred", "column": "at"}], "batch": 10}}) =~ s/lock_timeout lock_not_available.*/lock_timeout/r,
	join("\n", 'partial', 'audit.referred skipped lock_timeout', ('audit.referred skipped lock_timeout the file before it was not written') x 3),
	'a lock that is not to be had is waited for once');
sql(q{select pg_terminate_backend(pid) from pg_stat_activity where query like '%lock table audit.referred%' and pid <> pg_backend_pid()});
finish($holder);
# nor is one that cannot be read in the way of the other tables
$holder = background(q{begin; lock table audit.referred; select pg_sleep(601)});
wait_for($node, 'postgres', q{select exists (select from pg_locks where relation = 'audit.referred'::regclass and mode = 'AccessExclusiveLock' and granted)}) or die;
is(run_of_archive(q{{"tables": [{"table": "audit.referred", "column": "at"}, {"table": "public.heir", "column": "at"}]}}) =~ s/lock_not_available.*/lock_not_available/r,
	"partial\naudit.referred skipped lock_timeout lock_not_available\npublic.heir skipped not_needed", 'a table that somebody has locked is left over');
is(sql(q{select max(reason) from maintsched.run_actions where target = 'audit.referred'}), 'its old rows cannot be counted now: somebody has locked it', 'and the plan says so');
sql(q{select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(601)%' and pid <> pg_backend_pid()});
finish($holder);

# a partition of a name of any letters comes back through what it was a part of
sql(q{
	create schema "Odd one";
	create table "Odd one"."All of it" (at date) partition by range (at);
	create table "Odd one".old partition of "Odd one"."All of it" for values from ('2019-01-01') to ('2020-01-01');
	insert into "Odd one".old values ('2019-05-05')});
my $odd = sql(q{select maintsched.archive_batch('"Odd one".old', 'at', '2021-01-01')});
sql(q{drop table "Odd one".old});
like_error("select maintsched.restore_archive($odd)", 'no partition of relation "All of it" found for row', 'where nothing takes its rows');
is(sql("select manifest ->> 'partition_bound' from maintsched.archive_file where archive_id = $odd"), q{FOR VALUES FROM ('2019-01-01') TO ('2020-01-01')}, 'the manifest says which partition does');
sql(q{create table "Odd one".rest partition of "Odd one"."All of it" default});
is(sql("select maintsched.restore_archive($odd)"), '1', 'restored through a partitioned table in an odd schema');
is(sql("select state from maintsched.archives where archive_id = $odd"), 'restored', 'which is home');

# --- a task that is not told what to archive, and then is ---

sql(q{
	select maintsched.import_calendar('{"format":"maintsched-calendar/1","name":"ops","title":"Ops","tasks":[]}');
	begin;
	select maintsched.add_task('ops', 'archival', 'FREQ=DAILY', routine => 'archive');
	update maintsched.task set change_class = 'none' where name = 'archival';
	commit});
wait_for($node, 'postgres', q{select exists (select from maintsched.run_history where task = 'archival' and state = 'failed')}, 'without tables it fails');
is(sql(q{select status, outcome, note from maintsched.occurrence_status where task = 'archival' and status <> 'scheduled'}),
	'inconclusive|inconclusive|routine archive is not told which tables to archive: its params have no "tables"', 'which is no pass');
sql(q{update maintsched.task set params = '{"tables": [{"table": "audit.big", "column": "at"}]}' where name = 'archival'});
sql(q{select maintsched.run_task('ops', 'archival')});
wait_for($node, 'postgres', q{select exists (select from maintsched.occurrence_status where task = 'archival' and status = 'done')}, 'told, it passes');
$node->append_conf('postgresql.conf', "maintsched.archive_roots = ''");
$node->reload;
$node->poll_query_until('postgres', q{select current_setting('maintsched.archive_roots') = ''}) or die;
like_error(q{select * from maintsched.plan('archive', '{"tables": [{"table": "audit.big", "column": "at"}]}')}, 'there is no place for archives: maintsched.archive_roots is empty', 'without a root');
foreach my $wrong ('relative', '/', "$cold/..", "$cold/../x,$cold", "$cold,,")
{
	$node->append_conf('postgresql.conf', "maintsched.archive_roots = '$wrong'");
	is(sql(q{select error from pg_file_settings where name = 'maintsched.archive_roots' order by seqno desc limit 1}), 'setting could not be applied', "no root: $wrong");
}
chmod(0777, $cold);
$node->append_conf('postgresql.conf', "maintsched.archive_roots = '/nowhere/at/all, $cold'");
$node->reload;
$node->poll_query_until('postgres', q{select current_setting('maintsched.archive_roots') <> ''}) or die;
sql('insert into audit.big (id) values (1000)');
like_error(qq{select maintsched.archive_batch('audit.big', 'at', '2021-01-01', directory => '$cold')}, 'everybody may write into folder', 'a root that everybody may write into');
chmod(0700, $cold);
like_error(q{select maintsched.archive_batch('audit.big', 'at', '2021-01-01')}, 'could not open folder "/nowhere/at/all" of maintsched.archive_roots: No such file', 'one that is not there');
like_error(q{select * from maintsched.plan('archive', '{"tables": [{"table": "audit.big", "column": "at"}]}')}, 'could not open folder "/nowhere/at/all"', 'which the plan says');
my $data = $node->data_dir;
symlink($data, "$cold/to_data") or die $!;
foreach my $inside ($data, "$data/base", "$cold/to_data")
{
	$node->append_conf('postgresql.conf', "maintsched.archive_roots = '$inside, $cold'");
	$node->reload;
	$node->poll_query_until('postgres', "select current_setting('maintsched.archive_roots') like '$inside, %'") or die;
	like_error(q{select maintsched.archive_batch('audit.big', 'at', '2021-01-01')}, "folder \"$inside\" of maintsched.archive_roots is in the data directory", 'a root in the data directory');
	like_error(q{select * from maintsched.plan('archive', '{"tables": [{"table": "audit.big", "column": "at"}]}')}, "folder \"$inside\" of maintsched.archive_roots is in the data", 'which the plan says');
}
like(said(qq{select maintsched.archive_batch('audit.big', 'at', '2021-01-01', directory => '$cold')}), qr/^\d+$/, 'another root');
is(sql(q{select count(*) from maintsched.archives a where case when a.relation = 'busy' then not maintsched.verify_archive(a.archive_id) end}), '0', 'archives are found below any root');
is(sql('select count(*) from maintsched.run where finished_at is null'), '0', 'nothing hangs');
$node->stop;
done_testing();
