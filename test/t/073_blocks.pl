# Repositories of pgBackRest in which files lie in bundles, and are stored as those
# of their blocks that have changed (repo-bundle since 2.40, repo-block since 2.46):
# full, differential and incremental backups, compressed and encrypted, are read to
# level 7, and climb to 12; whatever is done to a bundle or a map of blocks is found,
# in the backup that has it and in those that need it.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Backups;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sabotage;
use Test::More;

plan skip_all => 'pgBackRest is not installed' if !has_pgbackrest();

my ($major, $minor) = (rc_of('/usr/bin/pgbackrest', 'version'))[1] =~ /(\d+)\.(\d+)/;
my $blocks = $major > 2 || $minor >= 46;
note("pgBackRest $major.$minor " . ($blocks ? 'stores files by their blocks' : 'has no repo-block: files are in bundles, and whole'));

my $node = backup_server('blocks', extension => 0);
sub sql { my ($sql) = @_; return $node->safe_psql('shop', $sql); }
sql('create extension maintsched');

# A few rows in each of some pages: most blocks stay as they are.
sub work
{
	sql(q{update customer set name = name || '.' where id % 5000 = 1;
		insert into orders (customer, total) select 1 + i % 1000, i from generate_series(1, 100) i; checkpoint});
	return;
}

sub level7
{
	my ($stanza, $label) = @_;
	said($node, "call maintsched.verify_repository('$stanza->{name}', 7, '$label')", 'shop');
	return sql(qq{select result || coalesce(': ' || nullif(array_to_string(problems, '; '), ''), '')
		from maintsched.backup_check where repository = '$stanza->{name}' and label = '$label' and level = 7
		order by check_id desc limit 1});
}

sub fact
{
	my ($label, $fact) = @_;
	return sql(qq{select facts ->> '$fact' from maintsched.backup_check where label = '$label' and level = 7 order by check_id desc limit 1});
}

# The largest files of a backup, bundles or others.
sub stored
{
	my ($stanza, $label, $pattern) = @_;
	my $home = "$stanza->{repo}/backup/$stanza->{name}/$label";
	return sort { -s $b <=> -s $a } grep { -f } glob("$home/$pattern");
}

my @block = $blocks ? ('repo1-block=y') : ();
my @stanzas = (
	[ 'gz', 'bundle/*', compress => 'gz', global => [ 'repo1-bundle=y', @block ] ],
	[ 'zst', 'bundle/*', compress => 'zst', cipher => 1, global => [ 'repo1-bundle=y', @block ] ],
	# nothing is small enough to be bundled but the smallest: maps of blocks are files of their own
	[ 'apart', 'pg_data/base/*/*', compress => 'none', cipher => 1, global => [ 'repo1-bundle=y', 'repo1-bundle-limit=16KiB', @block ] ]);
my @repositories;
foreach my $case (@stanzas)
{
	my ($name, $pattern, @options) = @$case;
	my $stanza = make_stanza($node, name => $name, @options);
	push @repositories, $stanza;
	$stanza->{pattern} = $pattern;
	$stanza->{labels} = [];
	foreach my $type (qw(full diff incr))
	{
		push @{ $stanza->{labels} }, stanza_backup($stanza, $type);
		work();
	}
	add_repository($node, $stanza, database => 'shop', rpo => '1 hour', rto => '10 minutes');
	sql(qq{select maintsched.add_expected_table('$name', 'public.orders', 'digest'), maintsched.add_expected_table('$name', 'public.customer', 'digest'),
		maintsched.add_sample_query('$name', 'customers', 'select count(*) as customers from public.customer', '[{"customers": 20000}]')});
}

# --- they climb ---

foreach my $stanza (@repositories)
{
	my ($name, $full, $diff, $incr) = ($stanza->{name}, @{ $stanza->{labels} });
	foreach my $label ($full, $diff, $incr)
	{
		is(level7($stanza, $label), 'pass', "$name, $label: pass");
		is(fact($label, 'checksums'), 'own and tool', "$name, $label: both have read the files");
	}
	sql("select maintsched.capture_expectations('$name')");
	archive_now($node);
	said($node, "call maintsched.verify_repository('$name', 7, 'all')", 'shop');
	foreach my $label ($full, $incr)
	{
		like(said($node, "call maintsched.drill('$name', '$label')", 'shop'),
			qr/^NOTICE:  00000: drill \d+: backup "\Q$label\E" was restored, and is proven up to level 12$/, "$name, $label: restored");
	}
	is(sql(qq{select level || ' ' || verdict from maintsched.backup_status where repository = '$name' and label = '$incr'}), '12 OK', "$name: at the top");
}

# --- whatever is done to what they are stored in ---

foreach my $stanza (@repositories)
{
	my ($name, $full, $diff, $incr) = ($stanza->{name}, @{ $stanza->{labels} });
	my ($victim) = stored($stanza, $full, $stanza->{pattern});
	my $shown = $victim =~ s{^.*/(?=\Q$full\E/)}{}r;
	like($shown, qr/[.]pgbi$/, "$name: a map of blocks") if $blocks && $name eq 'apart';
	foreach my $case (
		[ 'bytes are flipped', sub { flipped($victim) } ],
		[ 'its last bytes are flipped', sub { flipped($victim, (-s $victim) - 64) } ],
		[ 'it is cut off', sub { cut_off($victim) } ],
		[ 'it has grown', sub { appended($victim) } ],
		[ 'it is missing', sub { moved($victim) } ])
	{
		my ($what, $harm) = @$case;
		my $undo = $harm->();
		my $of_full = level7($stanza, $full);
		my $of_incr = level7($stanza, $incr);
		$undo->();
		like($of_full, qr/^fail: .*\Q$shown\E/, "$name, $what: the full backup");
		# one file of many may have been stored anew since
		like($of_incr, qr/^fail: /, "$name, $what: the one that builds on it") if $what =~ /cut off|missing/;
	}
	is(level7($stanza, $incr), 'pass', "$name: put back, it passes");

	# what the later ones have of their own
	foreach my $label ($diff, $incr)
	{
		foreach my $path ((stored($stanza, $label, 'bundle/*'), stored($stanza, $label, 'pg_data/base/*/*'))[0, -1])
		{
			my $undo = flipped($path);
			my $found = level7($stanza, $label);
			my $whole = level7($stanza, $full);
			$undo->();
			like($found, qr/^fail: /, "$name, bytes of $label are flipped: fail");
			is($whole, 'pass', "$name, bytes of $label are flipped: not the full one's");
		}
	}
}

$node->stop;
done_testing();
