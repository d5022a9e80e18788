# maintsched: plain PGXS.  "make help" lists the developer goals; they live in
# test/dev.mk and replace PGXS, so that they work before PostgreSQL is there.

EXTENSION = maintsched
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" maintsched.control)

DEVELOPER_GOALS = help check demo lint format bench fuzz coverage ubsan check-matrix
ifneq (,$(filter $(DEVELOPER_GOALS), $(MAKECMDGOALS)))
include test/dev.mk
else

MODULE_big = maintsched
OBJS = $(patsubst %.c, %.o, $(sort $(wildcard src/*.c src/*/*.c)))
DATA = $(wildcard sql/upgrade/*.sql)
DATA_built = sql/maintsched--$(EXTVERSION).sql

# "install" creates the extension; every other test finds it and cleans up.
NO_LOCALE = 1
REGRESS = install $(filter-out install, $(basename $(notdir $(sort $(wildcard test/sql/*.sql)))))
REGRESS_OPTS = --inputdir=test --encoding=UTF8
ISOLATION = $(basename $(notdir $(sort $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=maintsched
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

PG_CPPFLAGS = -Isrc -DMAINTSCHED_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare
# libcrypto where the server is linked with it: PGXS sets LIBS
SHLIB_LINK = -lcjson -lz $(filter -lcrypto, $(LIBS))
# No bitcode: nothing here gains from being inlined, and clang may be absent.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq (,$(PGXS))
$(error PostgreSQL's server headers are missing: "make check" and "make demo" install them)
endif
include $(PGXS)

$(OBJS): $(wildcard src/*.h src/*/*.h) maintsched.control

# The install script is its parts in order, with the shipped documents put in.
SCRIPT_PARTS = $(sort $(wildcard sql/parts/*.sql)) \
	$(sort $(wildcard sql/calendars/*.json)) $(sort $(wildcard sql/frameworks/*.json))
$(DATA_built): sql/build.awk maintsched.control $(SCRIPT_PARTS)
	LC_ALL=C awk -f sql/build.awk $(SCRIPT_PARTS) > $@.new
	mv $@.new $@

endif
