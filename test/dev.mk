# Developer goals; included instead of PGXS, see the top Makefile.

.PHONY: help
help: ## list the goals
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' test/dev.mk
