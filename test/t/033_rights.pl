# Whose rights: a run has those of its role and no others, whoever tries what.
# Attacks by real logins; each says what the attacker got, and then what is
# recorded.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('rights');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'maintsched'
maintsched.launcher = on
maintsched.max_workers = 4
autovacuum = off
});
$node->start;

# What psql says, without the place.
sub said
{
	my ($role, $sql) = @_;
	my ($out, $err);
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err,
		extra_params => [ '-U', $role, '-v', 'SHOW_CONTEXT=never' ]);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^(?:LINE|CONTEXT|QUERY|HINT|\s+\^).*\n?//mg;
	chomp $err;
	return $out eq '' ? $err : $err eq '' ? $out : "$out\n$err";
}

sub boss { return said('boss', shift); }

sub refused
{
	my ($role, $sql, $error, $name) = @_;
	my $said = said($role, $sql);
	is($said =~ s/\nDETAIL:.*//sr, "ERROR:  $error", $name);
	return;
}

# Waits for the end of a run: its state and why it ended.
sub ended
{
	my ($run) = @_;
	return "no run: $run" if $run !~ /^\d+$/;
	$node->poll_query_until('postgres',
		"select finished_at is not null from maintsched.run where run_id = $run")
	  or diag($node->safe_psql('postgres', "select * from maintsched.run where run_id = $run"));
	return $node->safe_psql('postgres',
		"select state || ' ' || coalesce(stop_reason, '-') from maintsched.run where run_id = $run");
}

# What an installed calendar has begun fails, as it has to here: not while others
# are looked for in the log.
sub all_ended
{
	$node->poll_query_until('postgres', q{select not exists (select from maintsched.run where state in ('queued', 'running'))}) or die;
	return;
}

# What became of the actions of a run, one line each.
sub actions
{
	my ($run) = @_;
	return $node->safe_psql('postgres', "
		select concat_ws(' ', state, skip_reason, sqlstate, message)
		from maintsched.run_actions where run_id = $run order by seq");
}

sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'"; }

# Parameters of routine sql, as an SQL expression.
sub statements
{
	return "jsonb_build_object('statements', jsonb_build_array("
	  . join(', ', map { quoted($_) . '::text' } @_) . '))';
}

# The same, where those after a failed one are carried out, too.
sub going_on
{
	return statements(@_) . q( || '{"continue": true}'::jsonb);
}

# A run of statements that a manager asks for, as itself.
sub own_run
{
	my ($role, @statements) = @_;
	return said($role, "select maintsched.run_routine('sql', " . statements(@statements) . ')');
}

# The errors that background processes have logged since an offset.
sub logged
{
	my ($offset) = @_;
	# routine health of the installed calendars fails, as it has to here
	return grep { !/^health is / } map { s/ at character \d+$//r } slurp_file($node->logfile, $offset) =~ /\[\d+\] ERROR:  (.*)$/mg;
}

# A task that the superuser gives a role, and whose time comes with the next
# tick(), at a simulated instant.  All in one transaction, since the background
# plans in real time what is planned under another clock.
my $tasks = 0;
my $pending = '';

sub add_task_of
{
	my ($role, $routine, $params, $adder) = @_;
	my $name = 'task-' . ++$tasks;
	$pending .= 'set session authorization ' . ($adder // 'boss') . ";
		do \$add\$ begin
			perform maintsched.add_task('ops', '$name', 'FREQ=DAILY', starts_on => '2030-01-07 10:00',
				due_within => '1 hour', routine => '$routine', params => $params);
			update maintsched.task set run_as = '$role' where name = '$name' and run_as <> '$role';
		end \$add\$;
		reset session authorization;";
	return $name;
}

# tick(), after something and before something else that is committed with it.
sub tick
{
	my ($before, $after) = @_;
	my $said = boss("
		begin;
		set maintsched.now = '2030-01-07 09:59:59+00';
		$pending
		" . ($before // '') . ";
		set maintsched.now = '2030-01-07 10:00:00+00';
		select maintsched.tick();
		" . ($after // '') . ";
		commit");
	$pending = '';
	die $said if $said !~ /^\d+\z/;
	return $said;
}

sub run_of
{
	my ($name) = @_;
	return $node->safe_psql('postgres',
		"select max(run_id) from maintsched.run_history where task = '$name'");
}

sub task_run
{
	my ($role, @statements) = @_;
	return task_run_with($role, statements(@statements));
}

sub task_run_with
{
	my ($role, $params) = @_;
	my $name = add_task_of($role, 'sql', $params);
	tick();
	return run_of($name);
}

sub outcome_of
{
	my ($name) = @_;
	return boss("set maintsched.now = '2031-01-01 00:00+00';
		select string_agg(c.outcome, ' ' order by c.completion_id)
		from maintsched.completion c
		join maintsched.occurrence o using (occurrence_id)
		join maintsched.task t using (task_id) where t.name = '$name'");
}

# What user code left in the table that all may write into.
sub witnessed
{
	return $node->safe_psql('postgres', q{
		with seen as (delete from public.witness returning *)
		select concat_ws(' ', what, current_role_was, session_role_was) from seen order by n});
}

# mallory is a manager with the rights of carol, and no others'; for dave it
# would have to SET ROLE.
$node->safe_psql('postgres', q{
	create role boss superuser login;
	create role mallory login;
	create role alice login;
	create role carol login;
	create role dave login;
	create role plain login;
	grant carol to mallory;
	create role noinherit login noinherit in role alice;
	create extension maintsched;
	select maintsched.grant_access('mallory', 'manager');
	select maintsched.grant_access('alice', 'manager');
	select maintsched.grant_access('noinherit', 'manager');
	select maintsched.grant_access('carol', 'manager');
	select maintsched.grant_access('dave', 'manager');
	select maintsched.grant_access('plain', 'viewer');
	select maintsched.import_calendar('{"format":"maintsched-calendar/1","name":"ops","title":"Ops","tasks":[]}');
	select maintsched.add_window('ops', 'always', 'FREQ=DAILY', starts_on => '2026-01-01',
		duration => '24 hours', change_class => 'major', timezone => 'UTC');
	create table public.witness (
		n bigint generated always as identity, what text,
		current_role_was text default current_user, session_role_was text default session_user);
	grant all on public.witness to public;
	create schema mallory authorization mallory;
	create schema alice authorization alice;
	create schema carol authorization carol;
	create schema plain authorization plain;
	create schema trusted;
	grant usage, create on schema trusted to mallory;
	grant create on database postgres to mallory;
});
my $witness = 'insert into public.witness (what) values';

# --- task.run_as is the role that last changed routine, params or run_as ---

boss(q{
	do $$ begin
		perform maintsched.add_task('ops', 'boss-task', 'FREQ=DAILY', starts_on => '2040-01-01',
			routine => 'sql', params => '{"statement": "select 1"}');
	end $$});
my $task = q{select run_as, routine, params ->> 'statement', enabled from maintsched.task where name = };
is(boss("$task 'boss-task'"), 'boss|sql|select 1|t', 'a task runs as who added it');
my $cannot = 'role "mallory" cannot change what runs as role "boss"';
my $evil = '{"statement": "alter role mallory superuser"}';
foreach my $set (
	"params = '$evil'",
	"routine = 'analyze', params = '{}'",
	"run_as = 'mallory'",
	"run_as = 'mallory', params = '$evil'",
	"routine = null, kind = 'manual'")
{
	refused('mallory', "update maintsched.task set $set where name = 'boss-task'", $cannot,
		"a manager edits a superuser's task: $set");
}
is(said('mallory', q{update maintsched.task set title = 'Mine', enabled = false where name = 'boss-task'}), '',
	'what is not executable a manager may edit, and turn it off');
refused('mallory', q{update maintsched.task set enabled = true where name = 'boss-task'}, $cannot, 'but not turn it on');
is(boss(q{update maintsched.task set enabled = true where name = 'boss-task'}), '', 'a superuser may');
is(said('mallory', q{select maintsched.retire_task('ops', 'boss-task', 'I want it away')}), '', 'a manager may retire it');
refused('mallory', q{update maintsched.task set retired_at = null where name = 'boss-task'}, $cannot,
	'but not put back what then runs');
is(boss(q{update maintsched.task set retired_at = null where name = 'boss-task'}), '', 'a superuser may');
is(boss("$task 'boss-task'"), 'boss|sql|select 1|t', 'it is as it was');
is(boss(q{select string_agg(field || ' ' || changed_by, ', ' order by changed_at)
	from maintsched.calendar_history where task = 'boss-task' and field in ('routine', 'params', 'run_as')}), '',
	'and no change of what runs is recorded');

boss(q{create role other_boss superuser login});
is(said('other_boss', q{update maintsched.task set params = '{"statement": "select 2"}' where name = 'boss-task'}), '',
	'another superuser edits it');
is(boss("$task 'boss-task'"), 'other_boss|sql|select 2|t', 'and it runs as that one');

said('mallory', q{
	do $$ begin
		perform maintsched.add_task('ops', 'mallory-task', 'FREQ=DAILY', starts_on => '2040-01-01',
			routine => 'sql', params => '{"statement": "select 1"}');
	end $$});
foreach my $role (qw(boss alice dave plain pg_read_all_data nobody))
{
	refused('mallory', "update maintsched.task set run_as = '$role' where name = 'mallory-task'",
		"role \"mallory\" cannot change what runs as role \"$role\"", "run_as of a role without USAGE of it: $role");
}
refused('noinherit', q{update maintsched.task set params = '{"statement": "select 3"}' where name = 'mallory-task'},
	'role "noinherit" cannot change what runs as role "mallory"', 'nor is it taken over from another manager');
said('alice', q{
	do $$ begin
		perform maintsched.add_task('ops', 'alice-task', 'FREQ=DAILY', starts_on => '2040-01-01',
			routine => 'sql', params => '{"statement": "select 1"}');
	end $$});
refused('noinherit', q{update maintsched.task set params = '{"statement": "select 3"}' where name = 'alice-task'},
	'role "noinherit" cannot change what runs as role "alice"', 'membership without INHERIT is no USAGE');
is(said('mallory', q{update maintsched.task set run_as = 'carol' where name = 'mallory-task'}), '', 'a role that it has the rights of');
is(boss("$task 'mallory-task'"), 'carol|sql|select 1|t', 'is taken');
is(said('mallory', q{update maintsched.task set params = '{"statement": "select 4"}' where name = 'mallory-task'}), '', 'who edits it then');
is(boss("$task 'mallory-task'"), 'mallory|sql|select 4|t', 'makes it run as itself');
is(boss(q{set role mallory; update maintsched.task set params = '{"statement": "select 5"}' where name = 'boss-task'}) =~ s/\n.*//sr,
	'ERROR:  role "mallory" cannot change what runs as role "other_boss"', 'a superuser that has SET ROLE to a manager is that manager');
boss(q{alter role mallory superuser});
is(said('mallory', q{update maintsched.task set params = '{"statement": "select 6"}' where name = 'mallory-task'}), '', 'a task of one who is a superuser');
is(said('carol', q{select 1}), '1', 'whose rights carol has not');
refused('carol', q{update maintsched.task set params = '{"statement": "select 7"}' where name = 'mallory-task'},
	'role "carol" cannot change what runs as role "mallory"', 'is edited by superusers only');
boss(q{alter role mallory nosuperuser; grant boss to alice});
refused('alice', q{update maintsched.task set params = '{"statement": "select 8"}' where name = 'boss-task'},
	'role "alice" cannot change what runs as role "other_boss"', "a granted superuser role's is not a superuser's");
is(boss(q{update maintsched.task set params = '{"statement": "select 9"}' where name = 'boss-task'}), '', 'boss takes it back');
refused('alice', q{update maintsched.task set params = '{"statement": "select 8"}' where name = 'boss-task'},
	'role "alice" cannot change what runs as role "boss"', 'a member of a superuser is none');
boss('revoke boss from alice');
foreach my $table (qw(routine run run_action run_occurrence occurrence completion calendar_change task_version))
{
	refused('mallory', "delete from maintsched.$table", "permission denied for table $table",
		"a manager writes to $table itself");
}

# --- routines are added by superusers or by the plan function's owner ---

my $plan = sub {
	my ($name, $what, $more) = @_;
	return "create function $name(params jsonb) returns setof maintsched.action language plpgsql $more as \$\$
		begin
			return query select 't', '$what', null, null::bigint, null::numeric, null::jsonb;
		end \$\$;";
};
my $take_over = sub {
	my ($name) = @_;
	return "create or replace function $name(params jsonb) returns setof maintsched.action language plpgsql as \$f\$
		begin
			if (select rolsuper from pg_roles where rolname = current_user) then
				execute 'alter role mallory superuser';
			end if;
			return query select 't', \$\$$witness ('taken')\$\$, null, null::bigint, null::numeric, null::jsonb;
		end \$f\$;";
};
boss($plan->('public.by_boss', "$witness (''by_boss'')", ''));
boss($plan->('trusted.shared', "$witness (''shared'')", ''));
said('alice', $plan->('alice.by_alice', "$witness (''by_alice'')", ''));
said('mallory', $take_over->('mallory.helpful'));
boss('grant usage on schema mallory, alice, trusted to public');
refused('mallory', q{select maintsched.add_routine('stolen', 'public.by_boss', 'Not mine')},
	'must be owner of function public.by_boss(jsonb)', "add_routine() of a superuser's function");
refused('mallory', q{select maintsched.add_routine('stolen', 'alice.by_alice', 'Not mine')},
	'must be owner of function alice.by_alice(jsonb)', "add_routine() of another role's function");
refused('plain', q{select maintsched.add_routine('stolen', 'alice.by_alice', 'Not mine')},
	'permission denied for function add_routine', 'add_routine() without access');
is(said('mallory', q{select maintsched.add_routine('helpful', 'mallory.helpful', 'Helps you')}), '', 'the owner may');
is(said('alice', q{select maintsched.add_routine('of_alice', 'alice.by_alice', 'Witness')}), '', 'and so may another of its own');
is(boss(q{select maintsched.add_routine('of_boss', 'public.by_boss', 'Witness')}), '', 'and a superuser');
is(boss(q{select maintsched.add_routine('shared', 'trusted.shared', 'Witness')}), '', 'and in a schema that others may create in');

# --- whoever can replace the plan function decides what its user does ---

my $not_theirs = 'plan function mallory.helpful(jsonb) of role "mallory"';
foreach my $victim (qw(boss alice))
{
	my $name = add_task_of($victim, 'helpful', q{'{}'});
	is(tick(), 0, "a task of $victim with mallory's routine is not queued");
	my $run = run_of($name);
	is(ended($run), 'failed error', 'its run fails');
	is(boss("select message, started_at is null, actions from maintsched.run_history where run_id = $run"),
		"plan function mallory.helpful(jsonb) belongs to role \"mallory\", which has not the rights of role \"$victim\"|t|0",
		'before the start, and says why');
	is(outcome_of($name), 'fail', 'the occurrence has failed');
	my $said = said($victim, q{select maintsched.run_routine('helpful')});
	like($said, qr/^ERROR:  routine "helpful" cannot run\nDETAIL:  Plan function mallory.helpful\(jsonb\) belongs to role "mallory"/,
		'run_routine() refuses it');
	$said = said($victim, q{select * from maintsched.plan('helpful')});
	like($said, qr/^ERROR:  routine "helpful" cannot be planned here\nDETAIL:  Plan function mallory.helpful\(jsonb\) belongs to role "mallory"/,
		'and so does plan()');
}
is(ended(said('mallory', q{select maintsched.run_routine('helpful')})), 'succeeded completed', 'mallory runs it');
is(witnessed(), 'taken mallory mallory', 'as mallory');
is(ended(said('alice', q{select maintsched.run_routine('of_boss')})), 'succeeded completed', "a superuser's plan function serves all");
is(witnessed(), 'by_boss alice alice', 'with their own rights');
is(ended(boss(q{select maintsched.run_routine('of_boss')})), 'succeeded completed', 'and superusers');
is(witnessed(), 'by_boss boss boss', 'with theirs');
{
	my $name = add_task_of('carol', 'helpful', q{'{}'});
	tick();
	is(ended(run_of($name)), 'succeeded completed', 'mallory has the rights of carol');
	is(witnessed(), 'taken carol carol', 'so carol runs what it wrote');
	$name = add_task_of('mallory', 'helpful', q{'{}'});
	boss('alter function mallory.helpful(jsonb) owner to carol');
	tick();
	is(ended(run_of($name)), 'failed error', 'the owner changes to a role without the rights');
	is(boss('select message from maintsched.run_history where run_id = ' . run_of($name)),
		'plan function mallory.helpful(jsonb) belongs to role "carol", which has not the rights of role "mallory"', 'and it says so');
	boss('alter function mallory.helpful(jsonb) owner to mallory');
}
# whoever can put another function in its place does, too: by its schema's name
{
	boss('create schema swapped authorization mallory; ' . $plan->('swapped.f', "$witness (''swapped'')", '')
		  . q{select maintsched.add_routine('swapped', 'swapped.f', 'Witness')});
	my $why = 'Schema "swapped" of plan function swapped.f(jsonb) belongs to role "mallory", which has not the rights of role ';
	is(boss(q{select maintsched.run_routine('swapped')}), "ERROR:  routine \"swapped\" cannot run\nDETAIL:  $why\"boss\".",
		"a superuser's function in another's schema");
	is(said('alice', q{select * from maintsched.plan('swapped')}), "ERROR:  routine \"swapped\" cannot be planned here\nDETAIL:  $why\"alice\".",
		'serves nobody without its rights');
	is(ended(said('mallory', q{select maintsched.run_routine('swapped')})), 'succeeded completed', 'but the other');
	is(witnessed(), 'swapped mallory mallory', 'who runs it');
}
# what is queued is looked at again at its start
{
	my %ways = (
		'given to another' => [ 'alter function trusted.w1(jsonb) owner to mallory',
			'plan function trusted.w1(jsonb) belongs to role "mallory", which has not the rights of role "alice"' ],
		'dropped' => [ 'drop function trusted.w2(jsonb)', 'plan function trusted.w2(jsonb) of routine "w2" does not exist' ],
		'renamed' => [ 'alter function trusted.w3(jsonb) rename to w3_old', 'plan function trusted.w3(jsonb) of routine "w3" does not exist' ],
		'taken over by name' => [ 'alter function trusted.w4(jsonb) rename to w4_old; set session authorization mallory; ' . $take_over->('trusted.w4'),
			'plan function trusted.w4(jsonb) belongs to role "mallory", which has not the rights of role "alice"' ],
		'of another signature' => [ 'drop function trusted.w5(jsonb); ' . $plan->('trusted.w5', 'select 1', '') =~ s/params jsonb/params json/r,
			'plan function trusted.w5(jsonb) of routine "w5" does not exist' ],
		'revoked' => [ 'revoke execute on function trusted.w6(jsonb) from public', 'role "alice" may not call plan function trusted.w6(jsonb)' ],
		'of another result' => [ 'drop function trusted.w7(jsonb); create function trusted.w7(params jsonb) returns setof text language sql as $$ select repeat(\'x\', 3000) $$',
			undef ]);
	my @ways = ('given to another', 'dropped', 'renamed', 'taken over by name', 'of another signature', 'revoked', 'of another result');
	foreach my $i (1 .. @ways)
	{
		boss($plan->("trusted.w$i", "$witness (''w$i'')", ''));
		boss("select maintsched.add_routine('w$i', 'trusted.w$i', 'Witness')");
	}
	# the runs start when this is committed
	my $said = boss('begin; set session authorization alice;'
		  . join('', map { "select maintsched.run_routine('w$_');" } 1 .. @ways)
		  . join('', map { "reset session authorization; $ways{$_}[0];" } @ways) . 'commit');
	my @runs = split /\n/, $said;
	is(scalar(@runs), scalar(@ways), 'queued before it was') or diag($said);
	foreach my $way (@ways)
	{
		my $run = shift @runs;
		is(ended($run), 'failed error', "the plan function is $way");
		my $message = boss("select message from maintsched.run_history where run_id = $run");
		if (defined $ways{$way}[1])
		{
			is($message, $ways{$way}[1], 'and it says so');
		}
		else
		{
			like($message, qr/^function trusted\.w7\(jsonb\) does not return setof maintsched\.action$/, 'and it says so');
		}
	}
	is(witnessed(), '', 'nothing was carried out');
}
{
	# a plan function writes nothing
	said('alice', q{
		create function alice.writes(params jsonb) returns setof maintsched.action language plpgsql as $$
		begin
			perform set_config('transaction_read_only', 'off', true);
			insert into public.witness (what) values ('planned');
		end $$;
		select maintsched.add_routine('writes', 'alice.writes', 'Writes')});
	my $offset = -s $node->logfile;
	my $run = said('alice', q{select maintsched.run_routine('writes')});
	is(ended($run), 'failed error', 'a plan function that writes');
	is(boss("select message from maintsched.run_history where run_id = $run"), 'the plan function failed: active_sql_transaction', 'with its condition');
	like(join("\n", logged($offset)),
		qr/^(?:cannot set transaction read-write mode inside a read-only transaction|transaction read-write mode must be set before any query)$/, 'is refused');
	is(witnessed(), '', 'and nothing is written');
}

{
	# what an action asks before and after is asked as the role, too
	boss(q{create function public.by_boss_measured(params jsonb) returns setof maintsched.action language sql as $f$
			select t, 'select 1', null, null::bigint, null::numeric, jsonb_build_object('still_needed', needed, 'measure', $$concat_ws(' ', current_user, session_user)$$)
			from (values (1, 'asks', $$current_user = 'alice' and session_user = 'alice'$$), (2, 'writes', $$(with x as (insert into public.witness (what) values ('asked') returning 1) select true)$$),
				(3, 'denied', $$(select true from maintsched.run_occurrence limit 1)$$), (4, 'done already', 'null')) v(n, t, needed) order by n $f$;
		select maintsched.add_routine('measured', 'public.by_boss_measured', 'Measures')});
	my $run = said('alice', q{select maintsched.run_routine('measured')});
	is(ended($run), 'partial error', 'an action with questions');
	is($node->safe_psql('postgres', "select concat_ws(' ', target, state, skip_reason, sqlstate, before, after) from maintsched.run_actions where run_id = $run order by seq"),
		join("\n", 'asks done "alice alice" "alice alice"', 'writes failed 0A000', 'denied failed 42501', 'done already skipped not_needed'), 'asks them as the role');
	is(witnessed(), '', 'and writes nothing by them');
}

# --- documents ---

sub document
{
	my ($name, @tasks) = @_;
	return quoted("{\"format\":\"maintsched-calendar/1\",\"name\":\"$name\",\"title\":\"$name\",\"tasks\":["
		  . join(', ', map { "{\"name\":\"$_->[0]\",\"title\":\"T\",\"kind\":\"routine\",\"rule\":\"FREQ=DAILY\",\"starts_on\":\"2040-01-01T00:00:00\",\"due_within\":\"PT1H\",\"teams\":[\"All\"],\"controls\":[],\"checklist\":[],$_->[1]}" } @tasks) . ']}');
}
like(said('mallory', 'select maintsched.import_calendar(' . document('bad', [ 'a', '"routine":"analyze"' ],
			[ 'b', '"routine":"sql","params":{"statement":"alter role mallory superuser"}' ]) . ')'),
	qr/^ERROR:  tasks\[1\]\.routine: /, 'a document with a sql task is refused');
like(boss('select maintsched.import_calendar(' . document('bad', [ 'b', '"routine":"sql","params":{"statement":"select 1"}' ]) . ')'),
	qr/^ERROR:  tasks\[0\]\.routine: /, 'for superusers, too');
foreach my $key ('"enabled":true', '"run_as":"boss"')
{
	my ($name) = $key =~ /^(\S+?):/;
	like(said('mallory', 'select maintsched.import_calendar(' . document('bad', [ 'a', "\"routine\":\"analyze\",$key" ]) . ')'),
		qr/^ERROR:  tasks\[0\]: unknown key $name/, "a document with $key is refused");
}
is(boss(q{select count(*) from maintsched.calendar where name = 'bad'}), 0, 'nothing of them was imported');
like(boss('select maintsched.import_calendar(' . document('docs', [ 'an', '"routine":"analyze"' ], [ 'cl', '"routine":"log_cleanup","params":{"max_age":"30 days"}' ]) . ')'),
	qr/^docs\nNOTICE:  tasks that run a routine arrive disabled: an, cl\n/, 'another document tells');
is(boss(q{select string_agg(concat_ws(' ', name, enabled, run_as), ', ' order by name) from maintsched.task where calendar = 'docs'}),
	'an f boss, cl f boss', 'that its tasks arrive disabled');
refused('mallory', q{update maintsched.task set enabled = true where name = 'an'},
	'role "mallory" cannot change what runs as role "boss"', "enabling one that runs as a superuser");
is(said('mallory', q{update maintsched.task set enabled = true, run_as = 'mallory' where name = 'an'}) =~ s/\n.*//sr,
	'ERROR:  role "mallory" cannot change what runs as role "boss"', 'not with another run_as, either');
is(boss(q{update maintsched.task set enabled = true where calendar = 'docs'}), '', 'a superuser enables them');
like(said('mallory', 'select maintsched.import_calendar(' . document('docs', [ 'an', '"routine":"analyze","params":{"include":["pg_catalog"]}' ], [ 'cl', '"routine":"log_cleanup","params":{"max_age":"30 days"}' ]) . ')'),
	qr/^ERROR:  role "mallory" cannot change what runs as role "boss"/, 'a document of other params by a manager');
like(boss('select maintsched.import_calendar(' . document('docs', [ 'an', '"routine":"analyze","params":{"include":["pg_catalog"]}' ], [ 'cl', '"routine":"log_cleanup","params":{"max_age":"30 days"}' ]) . ')'),
	qr/^docs\nNOTICE:  tasks that run a routine arrive disabled: an\n/, 'by a superuser');
is(boss(q{select string_agg(concat_ws(' ', name, enabled, run_as), ', ' order by name) from maintsched.task where calendar = 'docs'}),
	'an f boss, cl t boss', 'it disables what it changes, and nothing else');
is(said('mallory', q{select maintsched.install_calendar('smartmed')}) =~ s/^NOTICE.*\n?//mgr =~ s/^(?:DETAIL|WARNING).*\n?//mgr =~ s/\n.*//sr,
	'smartmed', 'a shipped document');
is(boss(q{select count(*) filter (where enabled), count(*) filter (where not enabled), string_agg(distinct run_as, ',')
	from maintsched.task where calendar = 'smartmed' and routine is not null}) =~ s/^[1-9]\d*/many/r, 'many|0|mallory',
	'arrives enabled, and runs as who installed it');
is(said('mallory', q{
	select maintsched.import_calendar(replace(maintsched.shipped_document('smartmed'), '"title"', '"title" ')::text, as_name => 'spaced');})
	=~ /arrive disabled/ ? 'disabled' : 'enabled', 'enabled', 'as it does with other blanks');
like(said('mallory', q{
	select maintsched.import_calendar((maintsched.shipped_document('smartmed')::jsonb || '{"description": "Changed."}')::text, as_name => 'changed')}),
	qr/NOTICE:  tasks that run a routine arrive disabled: /, 'and one that was changed in a word disabled');
is(boss(q{select count(*) from maintsched.task where calendar = 'changed' and routine is not null and enabled}), 0, 'all of it');
boss(q{update maintsched.task set enabled = false where calendar in ('smartmed', 'spaced') and enabled});
all_ended();

# --- run_as is the session user of the runner ---

boss('create table plain.own (i int); alter table plain.own owner to plain; insert into plain.own values (1)');
# What is stored of an error in a statement is its condition; its text is in the
# server's log.
my $denied = sub { my ($what) = @_; return "42501 permission denied $what"; };
{
	my $launcher = boss(q{select pid from pg_stat_activity where backend_type = 'maintsched launcher'});
	my @attacks = (
		[ "$witness ('first')" ],
		[ 'reset role' ],
		[ 'set role none' ],
		[ 'set session authorization default' ],
		[ 'reset session authorization' ],
		[ "$witness ('after reset')" ],
		[ 'set session authorization boss', qr/^42501 permission denied to set session authorization/ ],
		[ 'set role boss', '42501 permission denied to set role "boss"' ],
		[ 'set role alice', '42501 permission denied to set role "alice"' ],
		[ q{select set_config('role', 'boss', false)}, '42501 permission denied to set role "boss"' ],
		[ q{select set_config('session_authorization', 'boss', false)}, qr/^42501 permission denied to set session authorization/ ],
		[ 'alter role plain superuser', qr/^42501 (?:must be superuser to alter superuser roles or change superuser attribute|permission denied to alter role)/ ],
		[ q{update maintsched.run_action set state = 'done', sqlstate = null}, $denied->('for table run_action') ],
		[ q{update maintsched.run set run_as = 'boss'}, $denied->('for table run') ],
		[ q{insert into maintsched.completion (occurrence_id, outcome) values (1, 'pass')}, $denied->('for table completion') ],
		[ q{update maintsched.occurrence set closed_at = now()}, $denied->('for table occurrence') ],
		[ q{delete from maintsched.run_action}, $denied->('for table run_action') ],
		[ q{truncate maintsched.run}, $denied->('for table run') ],
		[ q{alter table maintsched.run disable trigger all}, '42501 must be owner of table run' ],
		[ q{do $$ begin lock table maintsched.run in access exclusive mode; end $$}, $denied->('for table run') ],
		[ q{select 1 from maintsched.run for update}, $denied->('for table run') ],
		[ q{select maintsched.finish_run(1, 'done')}, $denied->('for function finish_run') ],
		[ q{select maintsched.set_clock_offset(0)}, $denied->('for function set_clock_offset') ],
		[ q{select maintsched.run_routine('sql', '{"statement": "select 1"}')}, $denied->('for function run_routine') ],
		[ q{select maintsched.cancel_run(1)}, $denied->('for function cancel_run') ],
		[ q{alter extension maintsched update}, '42501 must be owner of extension maintsched' ],
		[ q{drop extension maintsched}, '42501 must be owner of extension maintsched' ],
		[ q{set maintsched.now = '2040-01-01'}, '42501 permission denied to set parameter "maintsched.now"' ],
		[ q{set session_replication_role = 'replica'}, '42501 permission denied to set parameter "session_replication_role"' ],
		[ "select pg_terminate_backend($launcher)",
			qr/^42501 (?:must be a superuser|permission denied) to terminate/ ],
		[ 'commit', '0A000 transaction control statements are not allowed in an action' ],
		[ "$witness ('x'); commit", '0A000 transaction control statements are not allowed in an action' ],
		[ "do \$\$ begin reset role; commit; perform set_config('role', 'none', false); insert into public.witness (what) values ('do'); end \$\$" ],
		[ "$witness ('last')" ]);
	my $offset = -s $node->logfile;
	my $run = task_run_with('plain', going_on(map { $_->[0] } @attacks));
	is(ended($run), 'partial error', 'statements of a plain role, with attacks among them');
	my @got = split /\n/, actions($run);
	my @logged = logged($offset);
	foreach my $attack (@attacks)
	{
		my ($statement, $expected) = @$attack;
		my $got = shift @got;
		if (!defined $expected)
		{
			is($got, 'done', $statement);
			next;
		}
		my $error = shift @logged // 'none';
		my ($sqlstate) = $expected =~ /(42501|0A000)/;
		# what we refuse ourselves says so
		is($got, $sqlstate eq '42501' ? 'failed 42501 insufficient_privilege' : "failed $expected", $statement);
		ref $expected ? like("$sqlstate $error", $expected, 'the log says why') : is("$sqlstate $error", $expected, 'the log says why');
	}
	is_deeply(\@logged, [], 'nothing else is in the log');
	is(witnessed(), join("\n", map { "$_ plain plain" } ('first', 'after reset', 'do', 'last')),
		'what it could do it did as itself');
	$run = task_run('plain', "$witness ('before')", 'set role boss', "$witness ('after')", 'select 1');
	is(ended($run), 'partial error', 'where nothing else is asked for');
	is(actions($run), join("\n", 'done', 'failed 42501 insufficient_privilege', ('skipped cancelled statement 2 was not done') x 2),
		'what follows a refusal is not carried out');
	is(witnessed(), 'before plain plain', 'not at all');
}
{
	# what is stored of an error has no data of the statement's
	boss(q{
		create table plain.secrets (secret text primary key, positive int check (positive > 0));
		insert into plain.secrets select 'secret-' || 4700 + 11, 1;
		alter table plain.secrets owner to plain});
	my $run = task_run_with('plain', going_on(
			q{insert into plain.secrets select 'secret-' || 4700 + 11, 1},
			q{insert into plain.secrets select 'secret-' || 4700 + 12, -4712},
			q{select ('secret-' || 4700 + 11)::int},
			q{do $$ begin raise exception 'secret-%', 4700 + 11 using detail = 'secret-' || 4711, hint = 'secret-' || 4711; end $$},
			q{do $$ begin raise exception using errcode = 'MY001', message = 'secret-' || 4700 + 11, table = 'T', schema = 'S', column = 'c d'; end $$},
			q{delete from maintsched.run}));
	is(ended($run), 'failed error', 'errors with data in them');
	is(actions($run), join("\n", 'failed 23505 unique_violation, table plain.secrets, constraint secrets_pkey',
			'failed 23514 check_violation, table plain.secrets, constraint secrets_positive_check',
			'failed 22P02 invalid_text_representation', 'failed P0001 raise_exception',
			'failed MY001 MY001, table "S"."T", column "c d"', 'failed 42501 insufficient_privilege'), 'are stored without them');
	is(boss("select count(*) from maintsched.run_action a where run_id = $run and to_jsonb(a)::text ~ 'secret-47'"), 0, 'nowhere');
	$run = task_run('plain', q{do $$ begin raise exception using errcode = 'MY001', message = 'x', table = repeat('t', 1000000); end $$});
	is(ended($run), 'failed error', 'a table with a name of a million letters');
	{
		cmp_ok(boss("select octet_length(message) from maintsched.run_action where run_id = $run"), '<=', 1000, 'is not stored');
	}
}

# --- with whose rights a call counts: its effective caller's ---

{
	said('mallory', q{
		create function mallory.lend(what text) returns text language plpgsql security definer as $$
		declare
			answer text;
		begin
			execute what into answer;
			return answer;
		end $$});
	my $lend = sub { my ($what) = @_; return boss('select mallory.lend(' . quoted($what) . ')') =~ s/\n.*//sr; };
	my $evil_run = sub {
		my ($what) = @_;
		return "'sql', jsonb_build_object('statement', " . quoted("$witness ('$what'); do \$\$ begin alter role mallory superuser; exception when insufficient_privilege then null; end \$\$") . ')';
	};
	my $run_as = sub { my ($run) = @_; return $node->safe_psql('postgres', "select run_as || ' ' || requested_by from maintsched.run where run_id = $run"); };
	my $run = $lend->('select maintsched.run_routine(' . $evil_run->('lent') . ')');
	is(ended($run), 'succeeded completed', "run_routine() in a manager's function that a superuser calls");
	is($run_as->($run), 'mallory boss', 'has the rights of the manager');
	is(witnessed(), 'lent mallory mallory', 'and no others');
	$run = $lend->(q{select maintsched.queue_routine(case when maintsched.note_caller() > 0 then 'boss'::regrole end, } . $evil_run->('as another') . ', false, null)');
	is(ended($run), 'succeeded completed', 'what run_routine() calls, with a superuser for the caller');
	is($run_as->($run), 'mallory boss', 'has the same');
	is(witnessed(), 'as another mallory mallory', 'and no others');
	my $only = 'ERROR:  this function is called by others of the extension only';
	my $alone = q{select maintsched.queue_routine('boss'::regrole, } . $evil_run->('alone') . ', false, null)';
	is($lend->($alone), $only, 'without a caller it is refused');
	my $put = q{select maintsched.put_task('boss'::regrole, 'ops', 'put', 'FREQ=DAILY', null, array['All'], '2040-01-01', null, '1 day', null, null, 'sql', '{"statement": "select 1"}', '{}')};
	is($lend->($put), $only, 'as is what add_task() calls');

	# who was noted by a call that failed is not taken by the next one
	my %failing = (
		'no routine' => q{maintsched.run_routine('nothing')},
		'wrong params' => q{maintsched.run_routine('sql', '{"statment": "select 1"}')},
		'no calendar' => q{maintsched.add_task('nothing', 'x', 'FREQ=DAILY')},
		'no rule' => q{maintsched.add_task('ops', 'x', 'FREQ=NEVER')},
		'a name twice' => q{maintsched.add_task('ops', 'boss-task', 'FREQ=DAILY')},
		'the note alone' => q{maintsched.note_caller(), 1 / (maintsched.note_caller()::bigint * 0)});
	{
		foreach my $failing (sort keys %failing)
		{
			foreach my $direct ($alone, $put)
			{
				my $said = boss("\\set ON_ERROR_STOP 0\nselect $failing{$failing};\nselect mallory.lend(" . quoted($direct) . ')');
				like($said, qr/\Q$only\E/, "a superuser's call fails ($failing), and then a manager's function is called: "
					. ($direct eq $put ? 'put_task()' : 'queue_routine()'));
			}
		}
		$node->poll_query_until('postgres', q{select not exists (select from maintsched.run where state in ('queued', 'running'))}) or die;
		is(boss(q{select count(*) from maintsched.task where name = 'put'}), 0, 'no task has been put');
		is(witnessed(), '', 'nothing was carried out');
		is(boss(q{select rolsuper from pg_roles where rolname = 'mallory'}), 'f', 'mallory is no superuser');
	}
	boss(q{alter role mallory nosuperuser; update maintsched.task set enabled = false where name = 'put'});

	like($lend->(q{select maintsched.add_task('ops', 'lent-task', 'FREQ=DAILY', starts_on => '2040-01-01', routine => 'sql', params => '{"statement": "select 1"}')}),
		qr/^\d+$/, 'add_task() in such a function');
	is(boss("$task 'lent-task'"), 'mallory|sql|select 1|t', 'adds a task of the manager');
	is($lend->(q{update maintsched.task set params = '{"statement": "select 2"}' where name = 'lent-task' returning run_as}), 'mallory', 'an UPDATE of what runs');
	is(boss("$task 'lent-task'"), 'mallory|sql|select 2|t', "makes it the manager's");
	boss(q{update maintsched.task set enabled = false where name = 'boss-task'});
	my $before = boss("$task 'boss-task'");
	foreach my $set ("params = '$evil'", "run_as = 'mallory', params = '$evil'", "run_as = 'mallory'", "routine = null, kind = 'manual'", 'enabled = true')
	{
		is($lend->("update maintsched.task set $set where name = 'boss-task' returning run_as"), "ERROR:  $cannot", "a superuser's task: $set");
	}
	is($lend->(q{update maintsched.task set run_as = 'boss' where name = 'lent-task' returning run_as}), "ERROR:  $cannot", 'nor is one given to the superuser');
	is(boss("$task 'boss-task'"), $before, 'it is as it was');
	boss(q{update maintsched.task set enabled = true where name = 'boss-task'});

	# documents, too
	my $other = document('docs', [ 'an', '"routine":"analyze","params":{"include":["mallory"]}' ], [ 'cl', '"routine":"log_cleanup","params":{"max_age":"1 day"}' ]);
	my $docs = q{select string_agg(concat_ws(' ', name, enabled, run_as, params), ', ' order by name) from maintsched.task where calendar = 'docs'};
	$before = boss($docs);
	{
		is($lend->("select maintsched.import_calendar($other)"), "ERROR:  $cannot", "a document of other params of a superuser's tasks");
		is(boss($docs), $before, 'changes nothing');
		$lend->('select maintsched.import_calendar(' . document('lent', [ 'an', '"routine":"analyze","params":{"include":["mallory"]}' ]) . ')');
		is(boss(q{select coalesce(string_agg(distinct run_as, ' '), 'mallory') from maintsched.task where calendar = 'lent'}), 'mallory', "a new one's tasks are the manager's, if any");
		$lend->(q{select maintsched.install_calendar('smartmed', as_name => 'lent2')});
		is(boss(q{select coalesce(string_agg(distinct run_as, ' '), 'mallory') from maintsched.task where calendar = 'lent2' and routine is not null}), 'mallory', 'as are those of a shipped one');
		is($lend->(q{select maintsched.add_routine('lent', 'public.by_boss', 'Not mine')}), 'ERROR:  must be owner of function public.by_boss(jsonb)',
			'add_routine() asks for the rights of the manager');
	}
	boss(q{update maintsched.task set enabled = false where calendar in ('lent', 'lent2') and enabled});
	all_ended();
}
{
	# maintenance that a superuser does calls the code of who owns the table
	foreach my $call ([ 'run_routine', q{perform maintsched.run_routine('sql', '{"statement": "alter role mallory superuser"}')} ],
		[ 'add_task', q{perform maintsched.add_task('ops', 'from-index', 'FREQ=DAILY', starts_on => '2040-01-01', routine => 'sql', params => '{"statement": "alter role mallory superuser"}')} ],
		[ 'update', q{update maintsched.task set params = '{"statement": "alter role mallory superuser"}' where name = 'boss-task'} ])
	{
		my ($name, $does) = @$call;
		is(said('mallory', qq{
			create table mallory.trap_$name (i int);
			create table mallory.armed_$name ();
			create function mallory.act_$name() returns int language plpgsql as \$\$
			begin
				if to_regclass('mallory.armed_$name') is null then
					$does;
				end if;
				return 1;
			end \$\$;
			create function mallory.lies_$name(i int) returns int language plpgsql immutable as \$\$
			begin
				return mallory.act_$name() + i;
			end \$\$;
			create index on mallory.trap_$name (mallory.lies_$name(i));
			insert into mallory.trap_$name select generate_series(1, 10);
			drop table mallory.armed_$name}), '', "an index whose function calls $name");
		my $runs = boss('select count(*) from maintsched.run');
		my $restricted = qr/^ERROR:  (?:cannot act for role "boss" within a security-restricted operation)/;
		foreach my $command ('analyze', 'vacuum analyze', 'reindex table')
		{
			my $said = boss("\\set VERBOSITY sqlstate\n$command mallory.trap_$name");
			is($said, 'ERROR:  42501', "a superuser's $command: refused");
			like(boss("$command mallory.trap_$name"), $restricted, 'with the reason');
		}
		is(boss('select count(*) from maintsched.run'), $runs, 'nothing was queued');
		my $run = boss("select maintsched.run_routine('sql', " . statements("analyze mallory.trap_$name") . ')');
		is(ended($run), 'failed error', 'the same by a run of a superuser');
		is(actions($run), 'failed 42501 insufficient_privilege', 'refused, too');
		is(boss('select count(*) from maintsched.run'), $runs + 1, 'nothing else was queued');
	}
	is(boss(q{select count(*) from maintsched.task where name = 'from-index'}), 0, 'no task was added');
	like(boss("$task 'boss-task'"), qr/^boss\|sql\|select \d\|t$/, 'none was changed');
}

# --- a superuser's statements are its own; bookkeeping is not moved by them ---

{
	my $run = own_run('boss', 'set session authorization plain', "$witness ('as plain')",
		'reset session authorization', 'set role alice', "$witness ('as alice')");
	is(ended($run), 'succeeded completed', 'a superuser may be anybody');
	is(witnessed(), "as plain plain plain\nas alice alice boss", 'as it says');
	$run = own_run('boss', "set maintsched.now = '2040-01-01 00:00+00'", "set session_replication_role = 'replica'",
		"set plpgsql.variable_conflict = 'error'", "set plpgsql.extra_errors = 'all'", "set plpgsql.check_asserts = off", "select 1");
	is(ended($run), 'succeeded completed', 'a superuser sets another clock in its statement');
	is(boss("select simulated, started_at > now() - interval '1 hour' and finished_at < now() + interval '1 minute',
			(select count(*) from maintsched.run_action a where a.run_id = r.run_id and a.finished_at between r.started_at and r.finished_at)
		from maintsched.run r where run_id = $run"), 'f|t|6', 'the run goes on by the real one');
}

# --- user code cannot put itself into the place of ours ---

{
	# first in the search path of the role, for each of its sessions
	my @names = ('clock()', 'now()', 'clock_timestamp()', 'current_setting(text)', 'format(text, text)', 'to_jsonb(anyelement)',
		'array_agg(anynonarray)', 'coalesce(text)', 'count(bigint)', 'next_action(bigint)', 'finish_run(bigint, text)', 'judge_action(bigint)');
	my $code = q{begin
			insert into public.witness (what) values ('hijacked');
			if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
				execute 'alter role plain superuser';
			end if;
			return null;
		end};
	my $create = 'set search_path = plain, pg_catalog;';
	foreach my $schema ('plain', 'pg_temp')
	{
		foreach my $name (@names)
		{
			my $result = $name =~ /any/ ? 'text' : $name =~ /clock|now/ ? 'timestamptz' : 'text';
			$create .= "create function $schema.$name returns $result language plpgsql as \$\$ $code \$\$;\n" unless $name =~ /^coalesce/;
		}
	}
	foreach my $type (qw(text bigint integer oid timestamptz jsonb name boolean interval))
	{
		foreach my $operator ('=', '<', '<=', '||', '-', '+', '->>', '<>')
		{
			my $other = $operator eq '->>' ? 'text' : $type;
			$create .= "create or replace function plain.op(a $type, b $other) returns boolean language plpgsql as \$\$ $code \$\$;
				create operator plain.$operator (leftarg = $type, rightarg = $other, function = plain.op);\n";
		}
	}
	$create .= join '', map { "create table plain.$_ (i int); create view pg_temp.v_$_ as select 1;" } qw(run run_action occurrence pg_class pg_roles pg_proc);
	boss("set role plain; set search_path = plain, public; $create") =~ /^(?:NOTICE.*\n?)*\z/ or diag('setup');
	boss('alter role plain set search_path = plain, pg_temp, pg_catalog');
	my $run = task_run('plain', "insert into public.witness (what) values ('mine')",
		"create temp table run as select 1 as run_id; create temp table run_action (state text); create temp table pg_class (oid oid);
		 create function pg_temp.clock() returns timestamptz language sql as 'select null::timestamptz'",
		"set search_path = plain, pg_temp, pg_catalog", "select pg_catalog.set_config('maintsched.reason', 'mine', false)",
		"insert into public.witness (what) values ('mine too')");
	is(ended($run), 'succeeded completed', 'a search path with operators, functions and tables of its own');
	is(actions($run), join("\n", ('done') x 5), 'all of it was done');
	is(witnessed(), "mine plain plain\nmine too plain plain", 'and none of them was called');
	is(boss(q{select rolsuper from pg_roles where rolname = 'plain'}), 'f', 'plain is no superuser');
	boss('alter role plain reset search_path');
}

# --- what the commit calls runs as the role, too ---

{
	boss(q{
		create table plain.deferred (i int);
		create function plain.at_commit() returns trigger language plpgsql as $$
		begin
			insert into public.witness (what) values ('at commit');
			if new.i < 0 then
				raise exception using errcode = 'check_violation', message = 'refused at commit';
			end if;
			return null;
		end $$;
		create constraint trigger at_commit after insert on plain.deferred deferrable initially deferred
		for each row execute function plain.at_commit();
		alter table plain.deferred owner to plain;
		alter function plain.at_commit() owner to plain});
	my $offset = -s $node->logfile;
	my $run = task_run_with('plain', going_on('insert into plain.deferred values (1)', 'insert into plain.deferred values (-1)',
			'insert into plain.deferred values (-2); select 1', 'insert into plain.deferred values (2)'));
	is(ended($run), 'partial error', 'a deferred trigger refuses at commit');
	is(actions($run), join("\n", 'done', 'failed 23514 check_violation', 'failed 23514 check_violation', 'done'),
		'which is the failure of its action');
	is_deeply([ logged($offset) ], [ ('refused at commit') x 2 ], 'as the log says');
	is(witnessed(), "at commit plain plain\nat commit plain plain", 'it was called as the role');
	is(boss('select string_agg(i::text, $$,$$ order by i) from plain.deferred'), '1,2', 'what was refused is not there');
}

# --- settings that a role brings along ---

{
	my @settings = (
		q{default_transaction_isolation = 'serializable'}, 'default_transaction_read_only = on', 'default_transaction_deferrable = on',
		'search_path = plain', 'row_security = off', 'statement_timeout = 1', 'lock_timeout = 1',
		'idle_in_transaction_session_timeout = 1', 'idle_session_timeout = 1',
		q{datestyle = 'German, DMY'}, q{intervalstyle = 'sql_standard'}, q{timezone = 'Asia/Kathmandu'},
		'standard_conforming_strings = off', 'backslash_quote = off', q{client_encoding = 'latin1'}, 'role = carol', 'array_nulls = off',
		'transform_null_equals = on', 'quote_all_identifiers = on', q{timezone_abbreviations = 'India'}, q{bytea_output = 'escape'},
		q{plpgsql.extra_errors = 'all'}, q{plpgsql.extra_warnings = 'all'}, 'plpgsql.variable_conflict = use_column',
		q{session_replication_role = 'replica'}, q{application_name = 'psql'}, 'enable_seqscan = off',
		q{default_tablespace = 'nowhere'}, q{default_table_access_method = 'nothing'}, q{temp_tablespaces = 'nowhere'},
		'force_parallel_mode = on', 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0',
		'track_activities = off', 'track_counts = off', 'check_function_bodies = off', q{plan_cache_mode = 'force_generic_plan'},
		'synchronous_commit = off', 'commit_delay = 100000', 'log_statement_stats = on', q{log_statement = 'all'}, 'debug_print_plan = on',
		'from_collapse_limit = 1', 'join_collapse_limit = 1', q{lc_messages = 'C'}, q{transaction_timeout = 500});
	boss('grant carol to plain');
	my $major = $node->safe_psql('postgres', 'show server_version_num') / 10000;
	my (%run_of, @refused);
	foreach my $setting (@settings)
	{
		next if $setting =~ /^transaction_timeout/ && $major < 17;
		next if $setting =~ /^standard_conforming_strings/ && $major >= 19;
		$setting =~ s/^force_parallel_mode/debug_parallel_query/ if $major >= 16;
		my $role = 'set' . scalar(keys %run_of);
		my $said = boss("create role $role login in role carol; grant usage on schema plain to $role; alter role $role set $setting");
		$said =~ s/^NOTICE.*//;
		push @refused, "$setting: $said" if $said ne '';
		$run_of{$setting} = add_task_of($role, 'sql', statements("set transaction read write; $witness (" . quoted($setting) . ')',
			# (the login itself is to be done within it)
			$setting =~ /^transaction_timeout/ ? 'select pg_sleep(1)' : ()));
	}
	is_deeply(\@refused, [], 'each role has a hostile setting');
	boss(q{select maintsched.grant_access(rolname, 'viewer') from pg_roles where rolname ~ '^set[0-9]'});
	is(tick(), scalar(keys %run_of), 'each has a run');
	my @wrong;
	foreach my $setting (sort keys %run_of)
	{
		my $run = run_of($run_of{$setting});
		my $end = ended($run);
		push @wrong, "$setting: $end " . actions($run) . ' ' . boss("select message from maintsched.run where run_id = $run")
		  if $end ne 'succeeded completed' || outcome_of($run_of{$setting}) ne 'pass';
	}
	is_deeply(\@wrong, [], 'and every one succeeds, and completes its occurrence');
	is(boss(q{
		select count(*) from maintsched.run r join maintsched.run_action a using (run_id)
		where r.run_as ~ '^set' and not (
			r.simulated and r.queued_at = '2030-01-07 10:00+00' and r.started_at between r.queued_at and r.queued_at + interval '1 hour'
			and a.started_at between r.started_at and a.finished_at and a.finished_at <= r.finished_at
			and r.finished_at <= r.queued_at + interval '1 hour' and a.state = 'done' and a.before is null)}), 0,
		'with the right instants');
	my %saw = map { /^(.*) (\S+) (\S+)$/ ? ($1 => "$2 $3") : () } split /\n/, witnessed();
	is(scalar(keys %saw), scalar(keys %run_of), 'each statement was carried out');
	my $other = delete $saw{'role = carol'};
	like($other, qr/^carol set\d+$/, 'ALTER ROLE SET role = carol is obeyed, as in a login of the role');
	is_deeply([ grep { $saw{$_} !~ /^(set\d+) \1$/ } sort keys %saw ], [], 'the others ran as themselves');
}

# --- a session leaves nothing to the next run ---

{
	my $first = statements(
		"$witness (pg_backend_pid()::text)",
		"set search_path = mallory; set lock_timeout = '1ms'; set default_transaction_read_only = on; set default_transaction_isolation = 'serializable'; set my.secret = 'x'; set datestyle = 'German'",
		'set transaction read write; create temp table left_over (i int)', "prepare left_over as select 1",
		"select pg_advisory_lock(4711)", "declare left_over cursor with hold for select 1",
		'set transaction read write; create temp sequence s; select pg_catalog.nextval($$s$$)', 'set role carol');
	my $second = going_on(
		"insert into public.witness (what) select pg_backend_pid()::text",
		"insert into public.witness (what) select concat_ws('/', current_setting('search_path'), current_setting('lock_timeout'),
			current_setting('default_transaction_read_only'), current_setting('default_transaction_isolation'),
			coalesce(nullif(current_setting('my.secret', true), ''), 'none'), current_setting('datestyle'), current_setting('role'))",
		"insert into public.witness (what) select concat_ws('/', (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors where name = 'left_over'),
			(select count(*) from pg_locks where locktype = 'advisory' and objid = 4711), coalesce(to_regclass('left_over')::text, 'none'), coalesce(to_regclass('pg_temp.s')::text, 'none'))",
		'fetch left_over', 'execute left_over');
	my $offset = -s $node->logfile;
	my @runs = split /\n/, said('mallory', "begin; select maintsched.run_routine('sql', $first); select maintsched.run_routine('sql', $second); commit");
	is(ended($runs[0]), 'succeeded completed', 'a run that leaves all it can behind');
	is(actions($runs[0]), join("\n", ('done') x 8), 'as it said');
	is(ended($runs[1]), 'partial error', 'the next one of its role');
	is(actions($runs[1]), join("\n", 'done', 'done', 'done',
			'failed 34000 invalid_cursor_name', 'failed 26000 invalid_sql_statement_name'), 'finds nothing');
	is_deeply([ logged($offset) ], [ 'cursor "left_over" does not exist', 'prepared statement "left_over" does not exist' ], 'as the log says');
	my @saw = split /\n/, witnessed();
	is($saw[1], $saw[0], 'in the same process');
	is($saw[2], '"$user", public/0/off/read committed/none/ISO, MDY/none mallory mallory', 'settings');
	is($saw[3], '0/0/0/none/none mallory mallory', 'and objects');
	is(boss(q{select count(*) from pg_locks where locktype = 'advisory' and objid = 4711}), 0, 'the lock is free');
	$offset = -s $node->logfile;
	my $run = said('mallory', q{select maintsched.run_routine('sql', } . going_on('listen maintsched', 'select 1') . ')');
	is(ended($run), 'partial error', 'a background process has nobody to LISTEN for');
	is(actions($run), "failed 0A000 feature_not_supported\ndone", 'and says so');
	is_deeply([ logged($offset) ], [ 'cannot execute LISTEN within a background process' ], 'and why in the log');
}

# --- a role that cannot log in or is gone is a failed run, found before the start ---

{
	my %ways = (
		r_nologin => [ 'alter role r_nologin nologin', 'role "r_nologin" cannot log in' ],
		r_gone => [ 'drop owned by r_gone; drop role r_gone', 'role "r_gone" does not exist' ],
		r_connect => [ 'revoke connect on database postgres from public', 'role "r_connect" may not connect to this database' ],
		r_access => [ q{grant connect on database postgres to r_access; do $$ begin perform maintsched.revoke_access('r_access'); end $$}, 'role "r_access" may not call plan function maintsched.plan_sql(jsonb)' ]);
	boss("create role $_ login; select maintsched.grant_access('$_', 'viewer')") foreach sort keys %ways;
	my %tasks_of;
	$tasks_of{$_} = add_task_of($_, 'sql', statements("$witness ('$_')")) foreach sort keys %ways;
	is(tick(join('; ', map { $_->[0] } grep { $_->[0] } @ways{sort keys %ways})), 0, 'none of their runs is queued');
	foreach my $role (sort keys %ways)
	{
		my $run = run_of($tasks_of{$role});
		is(ended($run), 'failed error', "$role: the run has failed");
		is(boss("select message, started_at is null, actions from maintsched.run_history where run_id = $run"), "$ways{$role}[1]|t|0", 'before the start');
		is(outcome_of($tasks_of{$role}), 'fail', 'and the occurrence with it');
		is(boss("set maintsched.now = '2031-01-01 00:00+00'; select string_agg(kind, ' ') from maintsched.notices where run_id = $run"), 'run_failed', 'and there is a notice');
	}
	boss('grant connect on database postgres to public');
	is(witnessed(), '', 'nothing was carried out');
}
{
	# between queueing and start
	boss("create role $_ login; select maintsched.grant_access('$_', 'manager')") foreach qw(q_nologin q_gone q_new q_connect q_member q_changed);
	boss('grant carol to q_member');
	my %tasks_of = map { $_ => add_task_of($_, 'sql', statements("$witness ('$_')")) } qw(q_nologin q_gone q_new q_connect q_changed);
	$tasks_of{q_member} = add_task_of('carol', 'sql', statements("$witness ('member')"), 'q_member');
	is(tick('', "
			alter role q_nologin nologin;
			drop owned by q_gone; drop role q_gone;
			drop owned by q_new; drop role q_new;
			create role q_new superuser login;
			grant connect on database postgres to boss, mallory, alice, carol, plain, q_changed;
			revoke connect on database postgres from public;
			revoke carol from q_member;
			update maintsched.task set params = " . statements("$witness ('as it was changed')") . ", run_as = 'q_changed' where name = '$tasks_of{q_changed}'"),
		6, 'queued as long as they could');
	my %runs = map { $_ => run_of($tasks_of{$_}) } keys %tasks_of;
	my %message_of = (
		q_nologin => qr/^role "q_nologin" cannot log in$/,
		q_gone => qr/^role "q_gone" does not exist$/,
		q_new => qr/^role "q_new" is not the one that it was$/,
		q_connect => qr/^role "q_connect" may not connect to this database$/,
		q_member => qr/^role "q_member", which last changed what runs, has no longer the rights of role "carol"$/);
	foreach my $role (sort keys %message_of)
	{
		is(ended($runs{$role}), 'failed error', "$role: queued before, and failed");
		like(boss("select message from maintsched.run_history where run_id = $runs{$role}"), $message_of{$role}, 'with the reason');
		is(boss("select started_at is null, actions from maintsched.run_history where run_id = $runs{$role}"), 't|0', 'before the start');
		is(outcome_of($tasks_of{$role}), 'fail', 'and its occurrence has, too');
		is(boss("set maintsched.now = '2031-01-01 00:00+00'; select string_agg(kind, ' ') from maintsched.notices where run_id = $runs{$role}"), 'run_failed', 'and there is a notice');
	}
	is(ended($runs{q_changed}), 'cancelled cancelled', 'a run whose task was changed after it was queued does not start');
	boss('grant connect on database postgres to public');
	is(witnessed(), '', 'nothing of it was carried out');
}

# --- afterwards ---

is(boss('select maintsched.launcher_state()'), 'running', 'the launcher lives');
is(boss(q{select count(*) from maintsched.run where state in ('queued', 'running')}), 0, 'no run is left');
is(boss(q{select string_agg(rolname, ', ' order by rolname) from pg_roles where rolsuper and rolname ~ '^(boss|other_boss|mallory|alice|carol|dave|plain|noinherit|set)'}),
	'boss, other_boss', 'nobody has become a superuser');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process has crashed');
$node->stop;
done_testing();
