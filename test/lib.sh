# shellcheck shell=bash
# What the developer goals share; sourced.  Which PostgreSQL, which user, and a
# copy of the tree in a temporary folder that goes away in the end.
export LC_ALL=C.UTF-8
unset MAKEFLAGS MFLAGS MAKELEVEL
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
	echo "maintsched: $*"
}

die() {
	echo "maintsched: $*" >&2
	exit 1
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null)" = installed ]
}

# The major release that this Debian has.
debian_major() {
	{ apt-cache depends postgresql 2> /dev/null || true; } | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p'
}

# PG_CONFIG, else the newest complete PostgreSQL of Debian's packages, else the
# one in the PATH.
pg_config_path() {
	local found
	if [ -n "${PG_CONFIG:-}" ]; then
		echo "$PG_CONFIG"
		return
	fi
	for found in $(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -t/ -k5,5nr); do
		[ -x "${found%/*}/postgres" ] && [ -e "$(headers "$found")" ] && { echo "$found"; return; }
	done
	echo pg_config
}

headers() {
	echo "$("$1" --includedir-server 2> /dev/null || true)/postgres.h"
}

# Sets pg_config and bindir, and run_as: what comes before a command that the
# server's own user has to run, since initdb refuses root.
choose_server() {
	pg_config=$(pg_config_path)
	[ -e "$(headers "$pg_config")" ] || die "no PostgreSQL with server headers; set PG_CONFIG"
	bindir=$("$pg_config" --bindir)
	owner=$(id -un)
	run_as=(env)
	if [ "$(id -u)" = 0 ]; then
		owner=postgres
		id "$owner" > /dev/null 2>&1 || owner=nobody
		run_as=(setpriv "--reuid=$(id -u "$owner")" "--regid=$(id -g "$owner")" --clear-groups env)
	fi
}

# Makes the folder $work with a copy of the tree in $work/tree, both the server
# user's.  It is removed, with what still runs in it, when the script ends.
copy_tree() {
	work=$(mktemp -d "/tmp/maintsched-$1.XXXXXX")
	trap 'clean_up' EXIT
	trap 'exit 130' INT TERM
	mkdir "$work/tree"
	tar -C "$top" --exclude='*.o' --exclude='*.so' --exclude='*.bc' --exclude=./tmp_check \
		--exclude=./.git --exclude='./sql/maintsched--*.sql' -cf - . | tar -C "$work/tree" -xf -
	chmod -R u+rwX "$work"
	[ "$owner" = "$(id -un)" ] || chown -R "$owner:" "$work"
	run_as+=("HOME=$work" "TMPDIR=$work")
}

clean_up() {
	local file
	find "$work" -name postmaster.pid 2> /dev/null | while read -r file; do
		kill -QUIT "$(head -n 1 "$file")" 2> /dev/null || true
	done
	rm -rf "$work"
}

# build GOAL... : runs make in the copy, quietly unless it fails.
build() {
	(cd "$work/tree" && "${run_as[@]}" make -s "-j$(nproc)" "PG_CONFIG=$pg_config" "$@") > "$work/build.log" 2>&1 ||
		{ cat "$work/build.log"; die "the build failed"; }
}

# Installs below $work/stage, and writes the settings that make a server find
# the extension there: Debian's extension_destdir, or PostgreSQL 18's own way.
stage() {
	local share way
	build install "DESTDIR=$work/stage"
	share=$("$pg_config" --sharedir)
	if [[ $("$bindir/postgres" --describe-config) == *extension_destdir* ]]; then
		way="extension_destdir = '$work/stage'"
	else
		way="extension_control_path = '$work/stage$share:\$system'"
	fi
	sed -e "s|@EXTENSION_PATH@|$way|" -e "s|@LIBRARY_PATH@|$work/stage$("$pg_config" --pkglibdir):\$libdir|" \
		"$top/test/maintsched.conf.in" > "$work/maintsched.conf"
	chmod a+r "$work/maintsched.conf"
}

# Starts a server in $work/data with what stage installed; sets psql.
start_server() {
	(
		cd "$work" || exit
		"${run_as[@]}" "$bindir/initdb" -D data -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8 > initdb.log 2>&1 ||
			{ cat initdb.log; die "initdb failed"; }
		printf "include '%s/maintsched.conf'\nunix_socket_directories = '%s'\n" "$work" "$work" |
			"${run_as[@]}" tee -a data/postgresql.conf > /dev/null
		"${run_as[@]}" "$bindir/pg_ctl" -D data -l server.log -w start > /dev/null ||
			{ cat server.log; die "the server did not start"; }
	)
	# shellcheck disable=SC2034 # for the script that sources this
	psql=("$bindir/psql" -h "$work" -U postgres)
}
