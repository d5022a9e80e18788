# build.awk PART.sql... DOCUMENT.json...: prints the install script.
#
# The parts come one after another.  A line "--@documents calendars" (or
# "frameworks") becomes one INSERT for each JSON file of that folder, in the
# order given.  The script must be pure ASCII, since the encoding of the
# database that will run it is not known.  Run it with LC_ALL=C.

function fail(message)
{
	print message > "/dev/stderr"
	failed = 1
	exit 1
}

function check(line, file, number)
{
	if (line ~ /[^\t -~]/)
		fail(file ":" number ": not printable ASCII")
}

function put_documents(folder,    i, n, parts, table, name, line, number)
{
	if (folder == "calendars")
		table = "maintsched.shipped_calendar"
	else if (folder == "frameworks")
		table = "maintsched.shipped_framework"
	else
		fail(FILENAME ":" FNR ": unknown folder of documents: " folder)
	for (i = 1; i <= ndocuments; i++)
	{
		n = split(documents[i], parts, "/")
		if (parts[n - 1] != folder)
			continue
		name = parts[n]
		sub(/\.json$/, "", name)
		printf "insert into %s (name, document) values ('%s', $json$", table, name
		number = 0
		while ((getline line < documents[i]) > 0)
		{
			check(line, documents[i], ++number)
			if (index(line, "$json$") > 0)
				fail(documents[i] ":" number ": holds the quote $json$")
			print line
		}
		close(documents[i])
		if (number == 0)
			fail(documents[i] ": is empty or cannot be read")
		print "$json$);"
	}
}

BEGIN {
	for (i = 1; i < ARGC; i++)
		if (ARGV[i] ~ /\.json$/)
		{
			documents[++ndocuments] = ARGV[i]
			ARGV[i] = ""
		}
}

/^--@documents / { put_documents($2); next }

{ check($0, FILENAME, FNR); print }

END { if (failed) exit 1 }
