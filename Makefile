# What we do with this repository, one target each. `make` lists them.
#
# Targets say what they miss. Packages of Debian and Ubuntu are installed where that needs no password, unless
# INSTALL=no; Rust never is. Works with the make of macOS (3.81), as root and as a user.

.DEFAULT_GOAL := help
.PHONY: help demo test test-rust lint bench web fuzz sqlx sqlx-check deny audit docs clean

# Queries are checked against .sqlx, without a database.
export SQLX_OFFLINE := true
# Where rustup puts cargo and the installer of Go puts go, for a shell that has not been opened anew since.
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin

CARGO ?= cargo
INSTALL ?= yes
export INSTALL

# Tests that need PgBouncer have one of these words in their path.
POOLER_TESTS := --skip pooler --skip pgbouncer

# Tests that need Python, Node or Go, and those that need Node and Chromium.
LANGUAGE_TESTS := languages:: export::
BROWSER_TESTS := browser:: clients::

# Tests that need Go, which builds toxiproxy and an S3 server for them.
NETWORK_TESTS := toxiproxy:: files::erase files::faults files::lake files::owners files::steps files::stores

# Tests that need a JDK with Maven, which fetches Kafka and OpenSearch for them.
JAVA_TESTS := kafka:: search:: pipeline::erasure pipeline::killed pipeline::outage pipeline::poison pipeline::registered \
  pipeline::step

# Tests that run by themselves: they measure how long a takeover takes, or would measure the other tests; they keep the
# machine busy with several servers; or they wait for a browser, which gets little of a machine that tests something else.
LONELY_TESTS := crash:: pipeline:: $(BROWSER_TESTS)

# How long each target is fuzzed.
SECONDS ?= 60

# What the recipes share, as shell functions.
define FUNCTIONS
set -eu

say() { printf '%s\n' "$$*" >&2; }

# Prints the folder with PostgreSQL's programs, as the library finds it: PG_BIN, the PATH, then the folders in which
# Debian and Homebrew keep several versions, the newest first. Prints nothing where there is none.
postgres_bin() {
  {
    if [ -n "$${PG_BIN:-}" ]; then
      printf '%s\n' "$$PG_BIN"
    else
      if command -v initdb; then :; fi | sed 's,/initdb$$,,'
      ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5,5nr
      ls -d /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin 2>/dev/null | sort -t@ -k2,2nr
    fi
  } | while read -r folder; do
    if [ -x "$$folder/postgres" ] && [ -x "$$folder/initdb" ] && [ -x "$$folder/pg_ctl" ]; then
      printf '%s\n' "$$folder"
      break
    fi
  done
}

has_pgbouncer() {
  PATH="$$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin" command -v pgbouncer >/dev/null 2>&1
}

# Says whether there is a Rust as new as Cargo.toml asks for. Asking may make rustup fetch the toolchain.
has_rust() {
  command -v cargo >/dev/null 2>&1 || return 1
  minor=$$(rustc --version | sed -n 's/^rustc 1\.\([0-9]*\).*/\1/p')
  [ "$${minor:-0}" -ge "$$rust_minor" ]
}

has_python() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

# What builds web/ needs this version; examples/sql do with older ones.
has_node() {
  command -v npm >/dev/null 2>&1 &&
    node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

# Where web/tests/browser/chromium.ts looks.
has_chromium() {
  if [ -n "$${CHROMIUM:-}" ]; then
    [ -x "$$CHROMIUM" ]
    return
  fi
  for path in /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome \
    /Applications/Chromium.app/Contents/MacOS/Chromium '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'; do
    if [ -x "$$path" ]; then return 0; fi
  done
  return 1
}

# The oldest version for which examples/sql are written.
has_go() {
  minor=$$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  [ "$${minor:-0}" -ge 24 ]
}

# Kafka 4 and OpenSearch run on Java 17 and later; Maven fetches them, and javac builds what starts a node.
has_jdk() {
  command -v mvn >/dev/null 2>&1 && command -v javac >/dev/null 2>&1 || return 1
  java=java
  if [ -n "$${JAVA_HOME:-}" ] && [ -x "$$JAVA_HOME/bin/java" ]; then java=$$JAVA_HOME/bin/java; fi
  major=$$("$$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
  [ "$${major:-0}" -ge 17 ]
}

has_psql() { command -v psql >/dev/null 2>&1 || [ -x "$$(postgres_bin)/psql" ]; }

as_root() { if [ "$$(id -u)" = 0 ]; then "$$@"; else sudo -n "$$@"; fi; }

may_install() {
  [ "$$INSTALL" = yes ] && command -v apt-get >/dev/null 2>&1 && { [ "$$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

# want THING...: installs what is missing if it may, and goes on without.
want() {
  look_for "$$@"
  [ -n "$$packages" ] && may_install || return 0
  say "Installing with apt-get:$$packages"
  if ! { as_root apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$packages; }; then
    say "apt-get did not go through."
  fi
}

# need THING...: sees to it that everything is there, or stops with one list of what to install.
need() {
  want "$$@"
  look_for "$$@"
  [ -n "$$packages$$rust$$node$$go" ] || return 0
  say "This needs what is not there. Install it, and try again:"
  [ -z "$$rust" ] || say "  $$rust"
  [ -z "$$node" ] || say "  $$node"
  [ -z "$$go" ] || say "  $$go"
  [ -z "$$packages" ] || say "  Debian, Ubuntu:  sudo apt-get install$$packages"
  [ -z "$$formulas" ] || say "  macOS:           brew install$$formulas"
  [ -z "$$casks" ] || say "  macOS:           brew install --cask$$casks"
  case "$$packages" in *gcc*) say "  macOS:           xcode-select --install" ;; esac
  case "$$packages " in *" postgresql "*) say "  or set PG_BIN to the folder that has PostgreSQL's postgres, initdb and pg_ctl" ;; esac
  case "$$packages" in *chromium*) say "  or set CHROMIUM to the program of a Chromium or Chrome" ;; esac
  exit 1
}

# look_for THING...: sets `packages`, `formulas`, `casks`, `rust`, `node` and `go` to what is missing.
look_for() {
  packages='' formulas='' casks='' rust='' node='' go=''
  rust_minor=$$(sed -n 's/^rust-version = "1\.\([0-9]*\).*/\1/p' Cargo.toml)
  for thing in "$$@"; do
    case $$thing in
      rust)
        command -v cc >/dev/null 2>&1 || packages="$$packages gcc libc6-dev"
        if ! has_rust; then
          rust="Rust 1.$$rust_minor or later:  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
          if command -v rustup >/dev/null 2>&1; then
            rust="Rust 1.$$rust_minor or later:  rustup update stable"
          fi
        fi ;;
      postgres)
        if [ -z "$$(postgres_bin)" ]; then
          packages="$$packages postgresql" formulas="$$formulas postgresql@17"
        fi ;;
      pgbouncer)
        if ! has_pgbouncer; then
          packages="$$packages pgbouncer" formulas="$$formulas pgbouncer"
        fi ;;
      psql)
        if ! has_psql; then
          packages="$$packages postgresql-client" formulas="$$formulas postgresql@17"
        fi ;;
      python)
        if ! has_python; then
          packages="$$packages python3 python3-venv" formulas="$$formulas python"
        fi ;;
      node)
        if ! command -v npm >/dev/null 2>&1; then
          packages="$$packages nodejs npm" formulas="$$formulas node"
        elif ! has_node; then
          # Some distributions package an older one.
          node="Node 20.19 or later:  https://nodejs.org/en/download, or brew install node"
        fi ;;
      wrk)
        if ! command -v wrk >/dev/null 2>&1; then
          packages="$$packages wrk" formulas="$$formulas wrk"
        fi ;;
      chromium)
        if ! has_chromium; then
          packages="$$packages chromium" casks="$$casks chromium"
        fi ;;
      jdk)
        if ! has_jdk; then
          packages="$$packages default-jdk-headless maven" formulas="$$formulas openjdk maven"
        fi ;;
    esac
  done
}

# Starts a PostgreSQL for this recipe, with every migration, and sets DATABASE_URL. It is gone when the recipe ends.
start_postgres() {
  bin=$$(postgres_bin)
  home=$$(mktemp -d /tmp/tidings-sqlx.XXXXXX)
  trap stop_postgres EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # PostgreSQL refuses to run as root. The role is not called tidings: the schema of that name would stand in its search
  # path, and .sqlx would name tables without their schema.
  if [ "$$(id -u)" = 0 ]; then chown nobody "$$home"; fi
  as_nobody "$$bin/initdb" -D "$$home/data" -U postgres -A trust -E UTF8 --no-locale -N >/dev/null
  as_nobody "$$bin/pg_ctl" -D "$$home/data" -l "$$home/log" -o "-F -k $$home -c listen_addresses=" -w -s start
  psql=$$bin/psql
  [ -x "$$psql" ] || psql=psql
  for file in migrations/migrations/*.sql; do
    whole=--single-transaction
    if [ "$$(head -n 1 "$$file")" = '-- no-transaction' ]; then whole=; fi
    "$$psql" -X -q -v ON_ERROR_STOP=1 $$whole -f "$$file" "host=$$home user=postgres dbname=postgres" >/dev/null
  done
  DATABASE_URL="postgres:///postgres?host=$$home&user=postgres"
  export DATABASE_URL
}

stop_postgres() {
  as_nobody "$$bin/pg_ctl" -D "$$home/data" -m immediate -s stop || true
  rm -rf "$$home"
}

as_nobody() {
  if [ "$$(id -u)" = 0 ]; then (cd / && exec runuser -u nobody -- "$$@"); else (cd / && exec "$$@"); fi
}

# Checks every query against the database, and writes what is known about them to target/sqlx.
check_queries() {
  packages=''
  files=''
  for manifest in $$(find . -mindepth 2 -path './target/*' -prune -o -name Cargo.toml -print | sort); do
    folder=$${manifest%/Cargo.toml}
    found=$$(grep -lrE 'query(_as|_scalar|_file|_file_as|_file_scalar)?(_unchecked)?!' --include='*.rs' "$$folder" || true)
    if [ -n "$$found" ]; then
      packages="$$packages -p $$(sed -n 's/^name = "\(.*\)"/\1/p' "$$manifest" | head -n 1)"
      files="$$files $$found"
    fi
  done
  rm -rf target/sqlx
  mkdir -p target/sqlx
  # Queries are looked at when their file is compiled, so the files have to seem new.
  touch $$files
  SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$$PWD/target/sqlx" $(CARGO) check --locked --all-targets $$packages
}
endef
export FUNCTIONS
RUN := @eval "$$FUNCTIONS";

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Runs the example shop on a database of its own; KEEP=1 stays up afterwards
	$(RUN) want chromium; need rust postgres
	$(CARGO) build --locked --profile demo --no-default-features -p tidings-cli -p tidings-example-shop
	$(CARGO) run --locked --profile demo --no-default-features -p tidings-example-shop$(if $(KEEP), -- --keep)

test: ## Checks everything: lints, documentation, all tests, queries
	$(RUN) need rust postgres pgbouncer psql python node chromium go jdk
	@$(MAKE) --no-print-directory lint
	$(CARGO) build --locked -p tidings-cli
	$(CARGO) test --locked --workspace -- $(LONELY_TESTS:%=--skip %)
	$(CARGO) test --locked -p tidings-tests --test it -- $(LONELY_TESTS) --test-threads=1
	@$(MAKE) --no-print-directory sqlx-check
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(MAKE) --no-print-directory deny; fi

test-rust: ## Runs the tests that need Rust and PostgreSQL alone
	$(RUN) need rust postgres
	$(CARGO) build --locked -p tidings-cli
	$(CARGO) test --locked --workspace -- $(POOLER_TESTS) $(LANGUAGE_TESTS:%=--skip %) $(BROWSER_TESTS:%=--skip %) \
	  $(NETWORK_TESTS:%=--skip %) $(JAVA_TESTS:%=--skip %)

lint: ## Checks format, lints and documentation; a warning is an error
	$(RUN) need rust
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked -p tidings-cli --features embedded-download -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps --document-private-items

bench: ## Measures, and writes bench/report.json; ROWS='drain register' measures those alone and writes nothing
	$(RUN) need rust postgres wrk jdk
	$(CARGO) build --locked --release -p tidings-cli
	$(CARGO) run --locked --release -p tidings-bench -- $(ROWS)

sqlx: ## Writes .sqlx anew: what the compiler knows about our queries
	$(RUN) need rust postgres; start_postgres; check_queries; \
	mkdir -p .sqlx; rm -f .sqlx/query-*.json; cp target/sqlx/query-*.json .sqlx/

sqlx-check: ## Checks that .sqlx is what `make sqlx` would write
	$(RUN) need rust postgres; start_postgres; check_queries; \
	diff -r .sqlx target/sqlx || { say '.sqlx is out of date: run `make sqlx`'; exit 1; }

deny: ## Checks licences and sources of dependencies, with cargo-deny
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo 'This needs cargo-deny: cargo install --locked cargo-deny'; exit 1; }
	$(CARGO) deny check bans licenses sources

audit: ## Checks the dependencies against the advisories known today; needs the network
	$(CARGO) deny check advisories

web: ## Builds the browser client, and writes what the relay serves: relay/assets/tidings.js
	$(RUN) need node; cd web; \
	[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --prefer-offline --no-audit --no-fund; \
	npm run build; npm run size; cp dist/tidings.js ../relay/assets/tidings.js

fuzz: ## Fuzzes what reads the texts of strangers, SECONDS=60 each; TARGETS='names urls' fuzzes those alone
	$(RUN) need rust
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { echo 'This needs cargo-fuzz: cargo install --locked cargo-fuzz'; exit 1; }
	@command -v c++ >/dev/null 2>&1 || { echo 'This needs a C++ compiler: sudo apt-get install g++, or xcode-select --install'; exit 1; }
	@for target in $(or $(TARGETS),$$($(CARGO) fuzz list)); do \
	  echo "$$target, for $(SECONDS) s"; \
	  mkdir -p fuzz/corpus/$$target; \
	  $(CARGO) fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -max_total_time=$(SECONDS) -timeout=10 -verbosity=0 -print_final_stats=1 || exit 1; \
	done

docs: ## Builds the documentation of the crates, and the book with mdbook
	$(CARGO) doc --locked --workspace --no-deps
	@echo 'Open target/doc/tidings/index.html'
	@if mdbook --version >/dev/null 2>&1; then \
	  mdbook build docs && echo 'Open target/book/index.html'; \
	else \
	  echo 'The book needs mdbook: cargo install --locked mdbook'; \
	fi

clean: ## Removes what was built; the data in .tidings stay
	$(CARGO) clean
	rm -rf web/node_modules web/dist web/build
