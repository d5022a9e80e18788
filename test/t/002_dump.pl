# pg_dump and restore, into another database and into another cluster, and a copy
# of a database: what users entered and what was recorded is there, the views say
# the same, nothing happens by itself before resume('all'), and all goes on after.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = new_server('source');
my $target = new_server('target');
$source->safe_psql('postgres', 'create database source');
$source->safe_psql('source', slurp_rel('history.sql'));

# The tables that are dumped, and all views, at one instant of the clock.
my @tables = split /\n/, $source->safe_psql('source', q{
	select unnest(extconfig)::regclass from pg_extension where extname = 'maintsched' order by 1});
@tables = grep { $source->safe_psql('source', "select relkind from pg_class where oid = '$_'::regclass") eq 'r' } @tables;
my @views = split /\n/, $source->safe_psql('source', q{
	select oid::regclass from pg_class
	where relnamespace = 'maintsched'::regnamespace and relkind = 'v' and relname <> 'health'
	-- sizes in pages
	and relname <> 'amcheck_report'
	and obj_description(oid, 'pg_class') not like 'Internal:%'
	order by 1});
cmp_ok(scalar @tables, '>', 5, 'tables are dumped');
cmp_ok(scalar @views, '>', 5, 'there are views');

my $later = $source->safe_psql('source', q{select min(installed_at) + interval '70 days' from maintsched.calendar});

# Without next_due_at, which changes with the planning.
my %figures = map { ("$_, figures" => "maintsched.$_") } qw(compliance_status compliance_by_calendar compliance_monthly
  task_monthly control_monthly completions waivers checklist pauses access_grants);

sub shown
{
	my ($node, $database) = @_;
	my $at = "set maintsched.now = '$later';";
	my %rows;
	$rows{$_} = rows_of($node, $database, "$at select t::text from $_ t order by 1") foreach @tables;
	# a restored database waits for resume('all')
	$rows{$_} = rows_of($node, $database, "$at select (to_jsonb(t) - array['next_run_at', 'waits_for'])::text from $_ t order by 1")
	  foreach @views;
	$rows{$_} = rows_of($node, $database, "$at select (to_jsonb(t) - 'next_due_at')::text from $figures{$_} t order by 1")
	  foreach keys %figures;
	return \%rows;
}

# Some facts count, some are not rolled up yet.
cmp_ok($source->safe_psql('source', 'select count(*) from maintsched.rollup_owed'), '>', 0, 'a month is owed in the source');
cmp_ok($source->safe_psql('source', 'select count(*) from maintsched.task_month'), '>', 0, 'others are rolled up');

my $expected = shown($source, 'source');
foreach my $table (@tables)
{
	note("$table: " . scalar(@{ $expected->{$table} }) . ' rows');
}
cmp_ok(scalar(@{ $expected->{'maintsched.occurrence'} }), '>', 100, 'occurrences are dumped');
cmp_ok(scalar(@{ $expected->{'maintsched.calendar_change'} }), '>', 3, 'the history is dumped');

foreach my $fact (qw(task_start checklist_mark completion completion_retraction completion_review
	corrective_action waiver waiver_decision prior_evidence pause_change access access_change health_day health_setting))
{
	cmp_ok(scalar(@{ $expected->{"maintsched.$fact"} // [] }), '>', 0, "$fact is dumped");
}
foreach my $view (qw(compliance_status compliance_by_calendar compliance_monthly task_monthly control_monthly
	task_status occurrence_status completions waivers prior_records pauses access_grants))
{
	cmp_ok(scalar(@{ $expected->{"maintsched.$view"} // [] }), '>', 0, "$view shows something")
	  if exists $expected->{"maintsched.$view"};
}

my $folder = $source->basedir;
$source->command_ok([ 'pg_dump', '-f', "$folder/plain.sql", $source->connstr('source') ], 'pg_dump, plain');
$source->command_ok([ 'pg_dump', '-Fc', '-f', "$folder/custom", $source->connstr('source') ], 'pg_dump, custom');


# What it is derived from the facts, and what is kept, are the same.
sub kept_is_right
{
	my ($node, $database, $how) = @_;
	my %kept = (
		task_month => [ 'select * from maintsched.task_month', q{select * from maintsched.months_of(array(
			select o.occurrence_id from maintsched.occurrence o where o.closed_at is not null))} ],
		calendar_month => [ 'select calendar, month, done, late, failed, inconclusive, missed, waived, backdated from maintsched.calendar_month',
			q{select t.calendar, m.month, sum(m.done), sum(m.late), sum(m.failed), sum(m.inconclusive), sum(m.missed), sum(m.waived), sum(m.backdated)
			from maintsched.task_month m join maintsched.task t using (task_id) group by 1, 2} ],
		standing => [ 'select occurrence_id, outcome, effective_at, started_at, checklist_done from maintsched.standing
			where settled_at <= maintsched.clock() and (outcome is not null or started_at is not null or checklist_done > 0)',
			q{select w.occurrence_id, w.outcome, w.effective_at, w.started_at, w.checklist_done from maintsched.occurrence_work w
			where w.closed_at is null and (w.outcome is not null or w.started_at is not null or w.checklist_done > 0)
			and not exists (select from maintsched.standing s where s.occurrence_id = w.occurrence_id and s.settled_at > maintsched.clock())} ]);
	foreach my $table (sort keys %kept)
	{
		my ($is, $should) = @{ $kept{$table} };
		is($node->safe_psql($database, "select count(*) from (($is except $should) union all ($should except $is)) x"),
			'0', "$how: $table is made anew");
	}
	is($node->safe_psql($database, 'select count(*) from maintsched.rollup_owed where clock_at <= maintsched.clock()'), '0', "$how: nothing is owed");
	return;
}

# tick() does nothing and says why, before resume('all').
sub waits
{
	my ($node, $database, $how, $why) = @_;
	my $rows = q{select count(*) filter (where closed_at is null), max(planned_at), count(*),
		(select count(*) from maintsched.task_month), (select max(planned_at) from maintsched.task_plan),
		(select server_started_at from maintsched.planning_state) from maintsched.occurrence};
	my $before = $node->safe_psql($database, $rows);
	my ($code, $out, $err) = $node->psql($database, 'select maintsched.tick()');
	is("$code $out", '0 0', "$how: tick() before resume('all')");
	like($err, qr/NOTICE:  tick\(\) does nothing: \Q$why\E/, "$how: it says why it does nothing");
	is($node->safe_psql($database, $rows), $before, "$how: nothing was planned or closed");
	is($node->safe_psql($database, q{select status, detail from maintsched.health where item = 'instance'}),
		"CRIT|$why", "$how: health is CRIT");
	return;
}

# resume('all') makes it this database's own calendar; returns what it said.
sub resumed
{
	my ($node, $database, $how) = @_;
	my ($code, $out, $err) = $node->psql($database, q{select maintsched.resume('all')});
	is($code, 0, "$how: resume('all')");
	is($node->safe_psql($database, q{select status from maintsched.health where item = 'instance'}), 'OK', "$how: health is OK");
	return $err;
}

sub equal
{
	my ($node, $database, $how, @relations) = @_;
	my $found = shown($node, $database);
	foreach my $relation (@relations)
	{
		# before resume('all') nothing runs: when the next run is, and what it waits for
		my @rows = map { [ map { s/,(?:"[^"]*")?,"(?:a window|resume\()[^"]*"/,next,waits/r } @{ $_->{$relation} } ] } $found, $expected;
		is_deeply($rows[0], $rows[1], "$how: $relation");
	}
	return;
}

# Who may do what: that of the roles, by their access.
my $privileges = q{
	select r, has_table_privilege(r, 'maintsched.today', 'select'),
		has_function_privilege(r, 'maintsched.begin_task(bigint)', 'execute'),
		has_function_privilege(r, 'maintsched.approve_waiver(bigint, text)', 'execute')
	from unnest(array['regress_maintsched_alice', 'regress_maintsched_bob', 'regress_maintsched_carol']) r
	where to_regrole(r) is not null order by 1};
my $access = $source->safe_psql('source', $privileges);
is($access, join("\n", 'regress_maintsched_alice|t|t|f', 'regress_maintsched_bob|t|t|t', 'regress_maintsched_carol|t|f|f'),
	'access in the source');

my $restored = 'this database was restored from a dump';
my $copied = 'this database is a copy of another one, or was upgraded by pg_upgrade';

sub restored
{
	my ($node, $database, $how, $why) = @_;
	equal($node, $database, $how, @tables, @views);
	waits($node, $database, $how, $why);
	is($node->safe_psql($database, $privileges), $access, "$how: access is there");
	is(resumed($node, $database, $how), '', "$how: resume('all') has nothing to say");
	is($node->safe_psql($database, $privileges), $access, "$how: access is there after resume('all')");
	# of a role, its oid here is taken down
	equal($node, $database, "$how, resumed", grep { $_ ne 'maintsched.access' } @tables, @views);
	# a copy has the figures, and what is owed of them; after a restore they are new
	kept_is_right($node, $database, $how) if $why eq $restored;

	my ($code, $out, $err) = $node->psql($database, 'select maintsched.tick()');
	is("$code $out$err", '0 0', "$how: tick");
	equal($node, $database, "$how, after tick()", sort keys %figures);
	kept_is_right($node, $database, "$how, after tick()");
	cmp_ok($node->safe_psql($database, q{select maintsched.complete_task(
				(select min(occurrence_id) from maintsched.due_tasks where task = 'reviewed-task'), 'fail')}),
		'>', 0, "$how: a duty is completed");
	$node->safe_psql($database, q{
		select maintsched.add_task('smartmed', 'after-restore', 'FREQ=DAILY', title => 'After the restore',
			teams => array['DBA'], starts_on => '2027-01-01 09:00', due_within => '1 hour')});
	is($node->safe_psql($database, q{select count(*) > 0 from maintsched.occurrence o join maintsched.task t using (task_id)
			where t.name = 'after-restore'}), 't', "$how: a new task is planned");
	my $rows = $node->safe_psql($database, q{select maintsched.export_calendar('smartmed') is not null});
	is($rows, 't', "$how: the calendar can be exported");
	return;
}

# A cluster that lacks a role: whoever restores leaves the privileges out, and
# resume('all') gives them to those that are there.
$target->safe_psql('postgres', 'create role regress_maintsched_alice login; create role regress_maintsched_bob login; create database bare');
$target->command_ok([ 'pg_restore', '--exit-on-error', '--no-privileges', '-d', $target->connstr('bare'), "$folder/custom" ],
	'pg_restore without privileges into a cluster that lacks a role');
equal($target, 'bare', 'without privileges', @tables, grep { $_ ne 'maintsched.access_grants' } @views);
waits($target, 'bare', 'without privileges', $restored);
is($target->safe_psql('bare', $privileges), "regress_maintsched_alice|f|f|f\nregress_maintsched_bob|f|f|f", 'without privileges: nobody has any');
like(resumed($target, 'bare', 'without privileges'),
	qr/WARNING:  role "regress_maintsched_carol" has access as viewer and does not exist/, 'the role that is missing is named');
is($target->safe_psql('bare', $privileges), "regress_maintsched_alice|t|t|f\nregress_maintsched_bob|t|t|t", 'the others have their access');
is($target->safe_psql('bare', q{select status, detail from maintsched.health where item = 'access'}),
	'WARN|roles with access do not exist: regress_maintsched_carol', 'health says so');
$target->safe_psql('postgres', 'create role regress_maintsched_carol login');
$target->safe_psql('bare', 'select maintsched.apply_access()');
is($target->safe_psql('bare', $privileges), $access, 'apply_access() gives it its access');

$target->safe_psql('postgres', 'create database plain');
$target->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/plain.sql", '-d', $target->connstr('plain') ],
	'restore of the plain dump into another cluster');
restored($target, 'plain', 'plain, another cluster', $restored);

$source->safe_psql('postgres', 'create database custom');
$source->command_ok([ 'pg_restore', '--exit-on-error', '-d', $source->connstr('custom'), "$folder/custom" ],
	'pg_restore into another database');
restored($source, 'custom', 'custom, another database', $restored);

$target->safe_psql('postgres', 'create database jobs');
$target->command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $target->connstr('jobs'), "$folder/custom" ],
	'parallel pg_restore into another cluster');
restored($target, 'jobs', 'parallel, another cluster', $restored);

# A copy inside the cluster has all of it, and keeps still.
$source->safe_psql('postgres', 'create database copied template source');
restored($source, 'copied', 'template copy', $copied);

# A dump of what was restored and went on waits again.
$source->command_ok([ 'pg_dump', '-Fc', '-f', "$folder/again", $source->connstr('copied') ], 'pg_dump of the copy');
$source->safe_psql('postgres', 'create database again');
$source->command_ok([ 'pg_restore', '--exit-on-error', '-d', $source->connstr('again'), "$folder/again" ], 'pg_restore of it');
waits($source, 'again', 'restored again', $restored);

# The source itself goes on, until its server has another name.
is($source->safe_psql('source', 'select maintsched.tick()'), '0', 'the source: tick()');
is($source->safe_psql('source', 'select count(*) from maintsched.rollup_owed where clock_at <= maintsched.clock()'), '0',
	'the source: nothing is owed');
sub node_named
{
	my ($name) = @_;
	$source->append_conf('postgresql.conf', "maintsched.node = '$name'");
	$source->reload;
	$source->poll_query_until('source', "select current_setting('maintsched.node') = '$name'") or die 'no reload';
	return;
}
node_named('left');
is($source->safe_psql('source', q{select status from maintsched.health where item = 'instance'}), 'OK', 'a first name: OK');
resumed($source, 'source', 'node "left"');
node_named('right');
waits($source, 'source', 'node "right"', 'this server is node "right", and the calendar was last resumed on node "left"');
node_named('');
is($source->safe_psql('source', q{select status from maintsched.health where item = 'instance'}), 'OK', 'no name: OK');
node_named('right');
resumed($source, 'source', 'node "right"');

$source->stop;
$target->stop;
done_testing();
