.DEFAULT_GOAL := help
.PHONY: help demo test check interop bench fuzz chaos soak down fmt lint stack

help: ## what can be made here
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## bring up everything, play a real router's BMP into it, show what is in the database
	@compose/demo

down: ## stop what `make demo` left running (its data stays; `compose/stack down --remove` deletes it)
	@compose/demo down

test: ## formatting, lints, and all tests against a real Kafka and a real TimescaleDB
	@compose/test

check: ## Helm chart, manifests, alert rules, workflows, systemd units, links: what `make test` checks first
	@compose/check

interop: ## FRR and GoBGP speak BMP to it; the database is compared with what their command lines show
	@compose/interop

bench: ## a full table from TCP to committed rows, and how fast the database answers: rates, CPU, memory, times
	@compose/bench
	@compose/bench-queries

fuzz: ## every fuzz target of the decoders; FUZZ_SECONDS=600 make fuzz gives each ten minutes
	@compose/fuzz --seconds $${FUZZ_SECONDS:-60}

chaos: ## everything killed and paused at random; CHAOS_SECONDS=3600 CHAOS_SEED=1 make chaos
	@compose/chaos

soak: ## attacks, fuzzing and chaos for longer; SOAK_SECONDS=7200 make soak
	@compose/soak

stack: ## only Kafka and TimescaleDB, for development
	@compose/stack up

fmt: ## format the code
	@cargo fmt --all

lint: ## formatting and clippy, as `make test` does them
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings
