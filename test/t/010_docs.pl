# The documentation is executed.  README.md and every page below docs/: all
# blocks ```sql of a page run in order, in one session of psql and a database
# of its own; a block ```text right after one must be psql's output, trailing
# blanks aside.  Without one, a block must do without errors and warnings.
# "```sql no-run" is for what only another machine could run.
#
# The database has the extension already, unless the first block creates it.
# The server has it in no shared_preload_libraries, as the pages promise.
#
# Besides: links lead somewhere; the reference names every function, view,
# table, type and setting, none that there is not, with the signatures and the
# comments of the catalog.
#
# DOCS_WRITE=FOLDER writes the pages there with the output, the signatures and
# the comments that they should have.
use strict;
use warnings FATAL => 'all';
use File::Basename;
use File::Find;
use File::Path qw(make_path);
use FindBin;
use IPC::Run;
use JSON::PP;
use lib $FindBin::RealBin;
use Maintsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my @pages = -e "$root/README.md" ? ('README.md') : ();
find({
		no_chdir => 1,
		wanted => sub { push @pages, substr($_, length("$root/")) if /\.md$/ }
	},
	"$root/docs");
@pages = sort @pages;
my %text = map { $_ => slurp_file("$root/$_") } @pages;

# --- reading pages ---

# The fenced blocks of a page: language, flags, lines, number of the first line.
sub blocks
{
	my ($page) = @_;
	my (@blocks, $open);
	my $number = 0;
	my $joined = 0;    # only blank lines since the last block
	foreach my $line (split /\n/, $text{$page}, -1)
	{
		$number++;
		if ($open && $line eq '```')
		{
			push @blocks, $open;
			undef $open;
			$joined = 1;
		}
		elsif ($open)
		{
			push @{ $open->{lines} }, $line;
		}
		elsif ($line =~ /^```(\w*)(?: (.*))?$/)
		{
			$open = { lang => $1, flags => $2 // '', lines => [], first => $number + 1, joined => $joined };
		}
		elsif ($line =~ /\S/)
		{
			$joined = 0;
		}
	}
	die "$page: a block is not closed" if $open;
	return @blocks;
}

sub trimmed
{
	my ($output) = @_;
	$output =~ s/[ \t]+$//mg;
	$output =~ s/\A\n+//;
	$output =~ s/\n+\z//;
	return $output;
}

# A page without its blocks, for headings and links.
sub prose
{
	my ($page) = @_;
	my $prose = $text{$page};
	$prose =~ s/^```.*?^```$//msg;
	return $prose;
}

# --- a server ---

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', q{
	select 'create role postgres superuser login'
	where not exists (select from pg_roles where rolname = 'postgres') \gexec});

# --- the reference: what is the catalog's ---
#
# functions.md has "### name", the signature in a block, then the comment, and
# one table of the internal functions; views.md and tables.md have "## name",
# the comment, and a table of the columns.

$node->safe_psql('postgres', 'create extension maintsched');

my $members = q{
	from pg_depend d
	where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
	and d.refobjid = (select oid from pg_extension where extname = 'maintsched')};
my $of_functions = "from pg_proc p where p.oid in (select d.objid $members and d.classid = 'pg_proc'::regclass)";

# The rows of a query by the column "name".
sub catalog
{
	my ($query) = @_;
	my @rows = map { decode_json($_) } split /\n/, $node->safe_psql('postgres', "select to_jsonb(q) from ($query) q");
	return map { $_->{name} => $_ } @rows;
}

# the forms of a function stand under one heading, the shortest first, then as they were made
my %function = catalog(
	"select p.proname as name, min(oidvectortypes(p.proargtypes)) as types,
		jsonb_agg(pg_get_function_arguments(p.oid) order by p.pronargs, p.oid) as arguments,
		min(pg_get_function_result(p.oid)) as result,
		string_agg(coalesce(obj_description(p.oid, 'pg_proc'), ''), ' ' order by p.pronargs, p.oid) as comment
	$of_functions group by p.proname");
my @internal = grep { $function{$_}{comment} =~ /^Internal: / } sort keys %function;
my @public = grep { $function{$_}{comment} !~ /^Internal: / } sort keys %function;
my %relation = catalog(
	"select c.relname as name, c.relkind as kind, coalesce(obj_description(c.oid, 'pg_class'), '') as comment,
		(select jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), coalesce(col_description(c.oid, a.attnum), ''))
			order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) as columns
	from pg_class c
	where c.oid in (select d.objid $members and d.classid = 'pg_class'::regclass) and c.relkind in ('r', 'v')");

# Words, joined by blanks to lines of 78 characters at the most.
sub wrapped
{
	my ($indent, @words) = @_;
	my @lines = (shift @words);
	foreach my $word (@words)
	{
		if (length("$lines[-1] $word") <= 78)
		{
			$lines[-1] .= " $word";
		}
		else
		{
			push @lines, $indent . $word;
		}
	}
	return join "\n", @lines;
}

sub signature
{
	my ($it) = @_;
	my @forms;
	foreach my $arguments (@{ $it->{arguments} })
	{
		# a procedure returns nothing
		my $returns = defined $it->{result} ? "returns $it->{result}" : '';
		my $line = "maintsched.$it->{name}($arguments) $returns" =~ s/ $//r;
		$line = wrapped('    ', split /(?<=,) (?=\w+ \w)/, "maintsched.$it->{name}($arguments)")
		  . ($returns ? "\n$returns" : '') if length $line > 78;
		push @forms, $line;
	}
	return join "\n", @forms;
}

sub table_rows
{
	return join '', map { '| ' . join(' | ', map { s/\|/\\|/gr } @$_) . " |\n" } @_;
}

# A page of the reference with what the catalog says put in.
sub refreshed
{
	my ($page, $its) = @_;
	my $new = $page;
	$new =~ s{^### (\w+)\n\n```\n.*?\n```\n\n.*?\n(?=\n|\z)}{
		my $it = $function{$1};
		$it ? "### $1\n\n```\n" . signature($it) . "\n```\n\n" . wrapped('', split ' ', $it->{comment}) . "\n" : $&}msge;
	$new =~ s{^(\| function \| what it does \|\n.*?\n)(?:\|.*?\n)*}{
		$1 . table_rows(map { [ "`$_($function{$_}{types})`", $function{$_}{comment} =~ s/^Internal: //r ] } @internal)}me;
	$new =~ s{^## (\w+)\n\n.*?\n(?=\n|\z)}{
		my $it = $relation{$1};
		$it ? "## $1\n\n" . wrapped('', split ' ', $it->{comment}) . "\n" : $&}msge;
	$new =~ s{^(## (\w+)\n(?:(?!^\#).)*?^\| column \| type \| meaning \|\n[^\n]*\n)(?:\|[^\n]*\n)*}{
		my $it = $relation{$2};
		$it ? $1 . table_rows(map { [ "`$_->[0]`", @$_[ 1, 2 ] ] } @{ $it->{columns} }) : $&}msge;
	return $new;
}

foreach my $name (qw(functions views tables))
{
	my $page = "docs/reference/$name.md";
	my $new = refreshed($text{$page});
	is_deeply(difference([ split /\n/, $text{$page} ], [ split /\n/, $new ]), [], "$page: as the catalog says");
	$text{$page} = $new;
}

# The pages have all of it, and nothing else.
sub headings
{
	my ($page, $pattern) = @_;
	return [ sort $text{"docs/reference/$page.md"} =~ /$pattern/mg ];
}

is_deeply(headings('functions', qr/^### (\w+)$/m), \@public, 'functions.md: a heading for each function');
# a merge may leave a part of the list behind itself
is(scalar(() = $text{'docs/reference/functions.md'} =~ /^[|] `\w+[(]/mg), scalar(@internal), 'functions.md: each of the others once');
foreach my $kind ([ 'v', 'views' ], [ 'r', 'tables' ])
{
	my ($relkind, $page) = @$kind;
	my @names = sort grep { $relation{$_}{kind} eq $relkind } keys %relation;
	my $pattern = qr/^## ([a-z_]+)$/m;
	is_deeply(headings($page, $pattern), \@names, "$page.md: a heading for each");
	my @tables = $text{"docs/reference/$page.md"} =~ /^\| column \| type \| meaning \|$/mg;
	is(scalar @tables, scalar @names, "$page.md: a table for each");
}
is_deeply(
	headings('tables', qr/^## Type (\w+)$/m),
	[ split /\n/, $node->safe_psql('postgres',
			"select t.typname from pg_type t left join pg_class c on c.oid = t.typrelid
			where t.typtype in ('c', 'd') and coalesce(c.relkind, 'c') = 'c'
			and (t.oid in (select d.objid $members) or c.oid in (select d.objid $members)) order by 1") ],
	'tables.md: types');
is_deeply(
	headings('settings', qr/^## (maintsched\.\w+)$/m),
	[ split /\n/, $node->safe_psql('postgres',
			"select maintsched.clock() \\g /dev/null\nselect name from pg_settings where name like 'maintsched.%' order by 1") ],
	'settings.md: settings');

# --- running the pages ---

# What psql prints for each block of SQL.
sub run_page
{
	my ($database, @sql) = @_;
	my $script = join '', map { "\\echo \@\@$_\n" . join("\n", @{ $sql[$_]{lines} }) . "\n" } 0 .. $#sql;
	my $output = '';
	local $ENV{PAGER} = '';
	local $ENV{PGCLIENTENCODING} = 'UTF8';
	delete local $ENV{PGOPTIONS};
	IPC::Run::run([ 'psql', '-X', '-v', 'SHOW_CONTEXT=never', '-d',
			$node->connstr($database) . ' user=postgres' ],
		'<', \$script, '>&', \$output);
	my @outputs = split /^\@\@\d+\n/m, $output, -1;
	shift @outputs;
	return map { trimmed($_) } @outputs;
}

my $databases = 0;
foreach my $page (@pages)
{
	my @blocks = blocks($page);
	my @sql = grep { $_->{lang} eq 'sql' && $_->{flags} ne 'no-run' } @blocks;
	next if !@sql;
	$sql[$_]{index} = $_ foreach 0 .. $#sql;
	foreach my $i (1 .. $#blocks)
	{
		my ($before, $block) = @blocks[ $i - 1, $i ];
		$before->{wanted} = $block if $block->{lang} eq 'text' && $block->{joined} && defined $before->{index};
	}

	my $database = 'docs_' . ++$databases;
	$node->safe_psql('postgres', "create database $database template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'");
	$node->safe_psql($database, 'create extension maintsched')
	  if join("\n", @{ $sql[0]{lines} }) !~ /create extension/i;
	my @outputs = run_page($database, @sql);
	is(scalar @outputs, scalar @sql, "$page: every block was run");

	my @lines = split /\n/, $text{$page}, -1;
	foreach my $block (reverse @sql)
	{
		my $output = $outputs[ $block->{index} ] // '';
		my $wanted = $block->{wanted};
		my $place = "$page line $block->{first}";
		if (!$wanted)
		{
			unlike($output, qr/^(ERROR|FATAL|PANIC|WARNING):/m, "$place: no errors");
			next;
		}
		is($output, trimmed(join "\n", @{ $wanted->{lines} }), "$place: the output");
		splice @lines, $wanted->{first} - 1, scalar @{ $wanted->{lines} }, split /\n/, $output;
	}
	next if !$ENV{DOCS_WRITE};
	make_path(dirname("$ENV{DOCS_WRITE}/$page"));
	open(my $file, '>', "$ENV{DOCS_WRITE}/$page") or die "$ENV{DOCS_WRITE}/$page: $!";
	print $file join("\n", @lines);
	close $file;
}

# --- links ---

# The anchors of a page's headings, as GitHub makes them.
sub anchors
{
	my ($page) = @_;
	my %anchor;
	my $prose = prose($page);
	while ($prose =~ /^#+ +(.*?) *$/mg)
	{
		my $words = lc $1;
		$words =~ s/[^\w\- ]//g;
		$words =~ tr/ /-/;
		$anchor{$words} = 1;
	}
	return \%anchor;
}

my %anchors = map { $_ => anchors($_) } @pages;
foreach my $page (@pages)
{
	my @dead;
	my $prose = prose($page);
	while ($prose =~ /\]\(([^)\s]+)\)/g)
	{
		my $link = $1;
		next if $link =~ /^(https?|mailto):/;
		my ($path, $anchor) = split /#/, $link, 2;
		my $target = $path eq '' ? $page : (dirname($page) eq '.' ? '' : dirname($page) . '/') . $path;
		1 while $target =~ s{[^/]+/\.\./}{};
		push @dead, $link
		  if !-e "$root/$target" || (defined $anchor && $anchors{$target} && !$anchors{$target}{$anchor});
	}
	is_deeply(\@dead, [], "$page: the links lead somewhere");
}
cmp_ok(scalar(() = $text{'README.md'} =~ /\n/g), '<=', 200, 'README.md is short');

# no page speaks of something that there is not
my %known = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', qq{
	select p.proname $of_functions
	union select c.relname from pg_class c where c.relnamespace = 'maintsched'::regnamespace
	union select t.typname from pg_type t where t.typnamespace = 'maintsched'::regnamespace
	union select split_part(s.name, '.', 2) from pg_settings s where s.name like 'maintsched.%'});
$known{$_} = 1 foreach qw(now horizon reason max_backdate node launcher max_workers archive_roots backup_roots drill_root drill_timeout
	  max_workers_per_database yield_after window_reserve verify_rate verify_workers pgbackrest_command barman_command backup_tool_timeout
	  control so c conf sql);
foreach my $page (@pages)
{
	my %unknown;
	while ($text{$page} =~ /\bmaintsched\.(\w+)/g)
	{
		$unknown{$1} = 1 if !$known{$1};
	}
	is_deeply([ sort keys %unknown ], [], "$page: speaks of what there is");
}

$node->stop;
done_testing();
