# Developer goals; included instead of PGXS, see the top Makefile.  Each one
# installs what it needs by package name, and builds through the plain Makefile
# in a copy of the tree, so that nothing here touches a build in the tree.

.PHONY: $(DEVELOPER_GOALS)

help: ## list these goals
	@echo 'make, make install and make installcheck are plain PGXS.  Besides:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' test/dev.mk | while IFS='|' read -r goal text; do printf '%-20s %s\n' "$$goal" "$$text"; done

check: ## build and run every test on servers of its own; TESTS="a b" runs these alone
	@test/check plain

demo: ## start a server with both calendars and half a year of simulated facts; test/demo stop ends it
	@test/demo

lint: ## warnings of gcc and clang, analyzers, indentation, the rules of the house
	@test/lint/run

format: ## indent the C files as PostgreSQL does
	@test/lint/indent --write

bench: ## speed, as ratios to libical within one run
	@test/bench/run

fuzz: ## feed random input to the parsers, FUZZ_SECONDS (60) each
	@test/fuzz/run

coverage: ## lines of C that the tests reach
	@test/check coverage

ubsan: ## the tests with undefined behaviour caught
	@test/check ubsan

check-matrix: ## the tests on PostgreSQL 15, 17, 18 and 19, and pg_upgrade between them; needs root
	@test/matrix/run

# "make clean check": what is not named here is the plain Makefile's.
.DEFAULT:
	@$(MAKE) --no-print-directory $@
