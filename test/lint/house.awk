# house.awk FILE...: the rules of the house for C files.
#
#	calls go one way: the door (src/*.c) -> scheduler -> routines, backup,
#		security -> evidence -> calendar -> core; no upward #include
#	PostgreSQL's version is looked at in src/core/compat.h alone
#	a file has 500 lines at most, a function 100
#	a .c file opens with its essay
#	every ereport() of an error or a warning names its errcode

function complain(text)
{
	print FILENAME ":" FNR ": " text
	bad = 1
}

function room(path,    parts, n)
{
	n = split(path, parts, "/")
	return n > 1 ? parts[n - 1] : ""
}

BEGIN {
	level["core"] = 1
	level["calendar"] = 2
	level["evidence"] = 3
	level["routines"] = level["backup"] = level["security"] = 4
	level["scheduler"] = 5
	level["src"] = 6
}

FNR == 1 {
	here = room(FILENAME)
	body = report = 0
	if (!(here in level))
		complain("unknown room " here)
	if (FILENAME ~ /\.c$/ && $0 !~ /^\/\*/)
		complain("does not open with a comment")
}

FNR == 501 { complain("more than 500 lines") }

/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, quoted, "\"")
	there = room(quoted[2])
	if (there in level && there != here && level[there] >= level[here])
		complain("upward #include of " quoted[2])
}

/^[ \t]*#.*(PG_VERSION_NUM|PG_MAJORVERSION|CATALOG_VERSION_NO)/ && FILENAME !~ /core\/compat\.h$/ {
	complain("a version test outside core/compat.h")
}

/^\{/ { body = FNR }
/^\}/ {
	if (body && FNR - body > 100)
		complain("a function of " FNR - body " lines")
	body = 0
}

/ereport\((FATAL|ERROR|WARNING|[a-z])/ { report = FNR; code = 0 }
report && /errcode/ { code = 1 }
report && /;[ \t]*$/ {
	if (!code)
		complain("ereport() without errcode(), begun on line " report)
	report = 0
}

END { exit bad }
