# `make run` and `make test` are all it takes on a fresh Debian 12 with Node: each first installs what
# is missing. Versions are in tools/versions.sh, what is done in tools/.
SHELL := /bin/bash
.DEFAULT_GOAL := help

DENO := $(shell source tools/versions.sh && echo "$$DENO")
LLVM := $(shell source tools/versions.sh && echo "$$LLVM")
DESTDIR ?=
PREFIX ?= /usr/local
AGENT_FLAGS ?=
SUITES ?=
SEED ?= 1
RUNS ?= 300

# A registry behind a proxy with a certificate of its own is trusted as the system trusts it.
export DENO_TLS_CA_STORE ?= system,mozilla
export DENO_NO_UPDATE_CHECK = 1

C_FILES = $(wildcard bpf/include/*.h probes/*/*.[ch] wasm/*.[ch])

.PHONY: help
help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

.PHONY: setup
setup: ## Install what building and running take: Debian packages, bpftool, Deno
	@tools/setup.sh run

.PHONY: build
build: setup ## Build dist/podskoop, one file that needs nothing of this tree
	@$(DENO) run --quiet -A bpf/build.ts
	@$(DENO) run --quiet -A tools/compile.ts

.PHONY: run
run: build ## Build, and run the agent in the foreground; AGENT_FLAGS=… goes to it
	@exec dist/podskoop agent $(AGENT_FLAGS)

.PHONY: test
test: ## Run everything that CI runs; SUITES="lint unit" runs only these
	@tools/setup.sh ci
	@$(DENO) run --quiet -A tools/suites.ts $(SUITES)

.PHONY: test-e2e
test-e2e: ## Run the tests with a real containerd and real pods (root)
	@tools/setup.sh e2e
	@$(DENO) run --quiet -A bpf/build.ts
	@$(DENO) run --quiet -A tools/compile.ts
	@$(DENO) test --quiet -A --frozen --trace-leaks tests/e2e/

.PHONY: test-cluster
test-cluster: ## Run the agent as a pod of a real cluster of one node (root); builds Kubernetes once, for some minutes
	@tools/setup.sh cluster
	@tools/kubernetes.sh >/dev/null
	@$(DENO) run --quiet -A bpf/build.ts
	@$(DENO) run --quiet -A tools/compile.ts
	@$(DENO) test --quiet -A --frozen --trace-leaks tests/cluster/

.PHONY: test-vm
test-vm: setup ## Run the agent on Debian's kernels 5.10 to the newest, under QEMU; WRITE=1 writes docs/support.md
	@tools/setup.sh vm
	@$(DENO) run --quiet -A bpf/build.ts
	@$(DENO) run --quiet -A tools/compile.ts
	@$(if $(WRITE),PODSKOOP_GOLDEN=write) $(DENO) test --quiet -A --no-check tests/vm/matrix_test.ts

.PHONY: ok
ok: ## Run the checks and the unit tests, nothing that needs root
	@tools/setup.sh test
	@$(DENO) run --quiet -A tools/suites.ts fmt clang-format lint shellcheck bpf check unit

.PHONY: fmt
fmt: ## Format the TypeScript and the C, comments included
	@tools/setup.sh test
	@$(DENO) run --quiet -A tools/wrap.ts
	@$(DENO) fmt --quiet
	@[[ -z "$(C_FILES)" ]] || clang-format-$(LLVM) -i $(C_FILES)

.PHONY: docs
docs: setup ## Write docs/metrics.md, docs/events.md and tests/golden/ anew, from the cards and commands
	@PODSKOOP_GOLDEN=write $(DENO) test --quiet -A --no-check \
		tests/metrics_test.ts tests/metrics_doc_test.ts agent/commands/program_test.ts \
		diagnose/report/picture_test.ts >/dev/null

.PHONY: lock
lock: setup ## Bring deno.lock up to date with deno.json, to be committed
	@$(DENO) install --quiet --frozen=false
	@# The packages that only checking asks for, such as the types of Node; what it finds is for `make test`.
	@$(DENO) check --quiet --frozen=false . >/dev/null 2>&1 || true

.PHONY: oracle
oracle: setup ## Compare the diagnosis with what this kernel does in random networks (root); SEED=1 RUNS=300
	@tools/setup.sh test
	@SEED=$(SEED) RUNS=$(RUNS) $(DENO) run --quiet --frozen -A tests/oracle/oracle.ts
	@# A rule set has 60 packets.
	@$(DENO) run --quiet --frozen -A tests/oracle/netfilter.ts \
		$(or $(SEED),1) $$(( ($(or $(RUNS),300) + 59) / 60 ))

.PHONY: bench
bench: ## Measure against the targets, beside Debian's node exporter
	@tools/setup.sh test
	@$(DENO) run --quiet -A bpf/build.ts
	@$(DENO) run --quiet -A tools/compile.ts
	@$(DENO) run --quiet --frozen -A tests/bench/bench.ts

.PHONY: install
install: ## Install the binary, its links and the systemd unit under PREFIX (/usr/local)
	@[[ -x dist/podskoop ]] || { echo "install: Cannot install dist/podskoop, as it is not built: run 'make build'" >&2; exit 1; }
	install -D -m 755 dist/podskoop "$(DESTDIR)$(PREFIX)/bin/podskoop"
	ln -sf podskoop "$(DESTDIR)$(PREFIX)/bin/inspector"
	ln -sf podskoop "$(DESTDIR)$(PREFIX)/bin/skoop"
	install -d "$(DESTDIR)$(PREFIX)/lib/systemd/system"
	sed 's|/usr/local|$(PREFIX)|g' deploy/systemd/podskoop.service > "$(DESTDIR)$(PREFIX)/lib/systemd/system/podskoop.service"

.PHONY: clean
clean: ## Remove what was built; what setup installed stays
	rm -rf dist tests/bench/results
	find probes wasm -name '*.bpf.o*' -delete -o -name '*.wasm' -delete 2>/dev/null || true
