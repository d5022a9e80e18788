# Real backups of a server with data, a tablespace among it, climb the ladder to
# its top: pg_basebackup's plain and in tar, packed in each way, a stanza of pgBackRest with a full, a
# differential and an incremental backup, and Barman.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = backup_server('ladder', tablespace => 1, extension => 0);

sub sql { my ($sql) = @_; return $node->safe_psql('shop', $sql); }
sub shown { my ($sql) = @_; note((rc_of('psql', '-X', '-d', $node->connstr('shop'), '-P', 'footer=off', '-c', $sql))[1]); return; }

sql('create extension maintsched');
my $folder = make_folder($node);
my $stanza = has_pgbackrest() ? make_stanza($node, cipher => 1) : undef;
my $barman = has_barman() ? make_barman($node) : undef;
my @repositories = grep { defined } ($folder, $stanza, $barman);

# --- backups, with work in between ---

my %backups;

sub work
{
	sql(q{insert into orders (customer, total) select 1 + i % 1000, i from generate_series(1, 500) i;
		update customer set name = name || '.' where id % 10 = 3});
	return;
}

base_backup($folder, 'monday');
work();
base_backup($folder, 'tuesday', format => 'tar', gzip => 1, sums => 'SHA256');
work();
base_backup($folder, 'wednesday', format => 'tar', compress => 'client-lz4');
work();
base_backup($folder, 'thursday', format => 'tar', compress => 'server-zstd', wal => 'fetch', sums => 'SHA512');
$backups{ $folder->{name} } = [qw(monday tuesday wednesday thursday)];
if ($node->pg_version->major >= 17)
{
	sql('alter system set summarize_wal = on');
	sql('select pg_reload_conf()');
	$node->poll_query_until('postgres', q{select current_setting('summarize_wal') = 'on'});
	my $prior = base_backup($folder, 'friday', format => 'tar', compress => 'client-zstd');
	foreach my $day ([ 'saturday' ], [ 'sunday', format => 'tar', compress => 'client-lz4' ])
	{
		my ($label, @how) = @$day;
		work();
		$prior = base_backup($folder, $label, @how, options => [ "--incremental=$prior/backup_manifest" ]);
		push @{ $backups{ $folder->{name} } }, $label;
	}
}
if ($stanza)
{
	foreach my $type (qw(full diff incr))
	{
		push @{ $backups{ $stanza->{name} } }, stanza_backup($stanza, $type);
		work();
	}
}
$backups{ $barman->{name} } = [ barman_backup($barman) ] if $barman;

# --- what is expected of them ---

foreach my $repository (@repositories)
{
	my $name = $repository->{name};
	add_repository($node, $repository, database => 'shop', rpo => '1 hour', rto => '10 minutes',
		expected_location => root($node) . '/*', encrypted => $repository == ($stanza // 0) ? 'true' : undef);
	sql(qq{select maintsched.add_expected_table('$name', 'public.orders', 'digest'),
		maintsched.add_expected_table('$name', 'public.customer'),
		maintsched.add_expected_table('$name', 'public.history', 'digest'),
		maintsched.add_sample_query('$name', 'customers', 'select count(*) as customers from public.customer', '[{"customers": 20000}]'),
		maintsched.add_sample_query('$name', 'best sellers', 'select customer, sum(total) as total from public.orders group by 1 order by 2 desc limit 3', min_rows => 3)});
}
sql(qq{select maintsched.capture_expectations('$_->{name}')}) foreach @repositories;
archive_now($node, grep { $_->{kind} eq 'barman' } @repositories);

# --- the climb ---

foreach my $repository (@repositories)
{
	my $name = $repository->{name};
	is(said($node, "call maintsched.verify_repository('$name', 7, 'all')", 'shop'), '', "$name: all backups are verified");
	foreach my $label (@{ $backups{$name} })
	{
		like(said($node, "call maintsched.drill('$name', '$label')", 'shop'),
			qr/^NOTICE:  00000: drill \d+: backup "\Q$label\E" was restored, and is proven up to level 12$/, "$name: $label is restored");
		is(sql(qq{select level || ' ' || verdict from maintsched.backup_status where repository = '$name' and label = '$label'}),
			'12 OK', "$name: $label is at the top");
		is(sql(qq{select string_agg(concat_ws(' ', c.level, c.result), ', ' order by c.level) from (
				select distinct on (level) level, result from maintsched.backup_check
				where repository = '$name' and label = '$label' and level >= 5 order by level, check_id desc) c
			where c.result <> 'pass'}), '', "$name: nothing of $label was left out above level 4");
	}
}
opendir(my $scratch, root($node) . '/drill') or die $!;
is(join(' ', grep { !/^\.\.?$/ } readdir $scratch), '', 'nothing is left of the copies');

note('The tables:');
shown(q{select repository, kind, label, maintsched.bloat_size_text(size_bytes) as size, level, level_name, verdict, problems, verified_at::timestamp(0)
	from maintsched.backup_status order by 1, finished_at});
shown(q{select drill_id, repository, label, seq, step, document_step as document, result, seconds, message from maintsched.drill_steps order by drill_id, seq});
shown(q{select drill_id, repository, label, verdict, level, rto_seconds, rpo_seconds, target, restore_point, seconds from maintsched.drills order by 1});
shown(q{select checked_at::timestamp(0), repository, label, level, check_name, result, seconds from maintsched.backup_log order by checked_at});
$node->stop;
done_testing();
