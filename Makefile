# Every target makes what it needs: from a fresh clone, `make run` is enough.
# ARGS passes more: `make run ARGS="--port 9000"`, `make test ARGS="-k dispatch -x"`,
# `make test PROCESSES=0 ARGS=--pdb` (one test after the other, in one process),
# `make chaos SECONDS=600 ARGS="--workers 4 --seed 1"`, `make event CLIENTS=5000`,
# `make simulate SEED=7 TRACE=1`.

PYTHON = python3
VENV = .venv
ARGS =
SECONDS = 60
CLIENTS = 3000
PROCESSES = 3
SEED =
SEEDS =
TRACE =

BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

# The tests start hundreds of processes: each has a third less to do if all is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: install run test check bench chaos event simulate simulate-mutants db image help

install: $(INSTALLED) ## set up .venv with everything (PYTHON=python3.12 picks the interpreter)

# Touched last, so that an interrupted installation is repeated.
# setuptools comes first and from the same pins: no build fetches another one.
$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || \
		{ echo "allocator needs Python 3.11 or newer, and there is no $(PYTHON) here: try make PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "allocator needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1): try make PYTHON=/path/to/python3.11." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		--no-build-isolation --editable '.[dev]'
	@touch $@

run: install ## start the server, with an embedded PostgreSQL, on http://127.0.0.1:8080
	$(BIN)/python -m allocator serve $(ARGS)

# In the order of the folders, so that what takes longest does not come last.
test: install ## run all tests (they start the PostgreSQL they need)
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

check: install ## lint, format, types, and which part may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy allocator tests bench
	$(BIN)/lint-imports

bench: install ## run the benchmarks (ARGS=--smoke for the small size)
	$(BIN)/python -m bench.run $(ARGS)

chaos: install ## kill everything at random for SECONDS, and prove that nothing was lost
	$(BIN)/python -m bench.chaos --seconds $(SECONDS) $(ARGS)

event: install ## sell out to CLIENTS while everything is killed, and prove what was sold and paid
	$(BIN)/python -m bench.event --clients $(CLIENTS) $(ARGS)

simulate: install ## run SEEDS servers in memory in which everything fails, or one: SEED=n TRACE=1
	$(BIN)/python -m allocator simulate $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) \
		$(if $(TRACE),--trace) $(ARGS)

simulate-mutants: install ## switch each guard of the design off, and see that the simulator notices
	$(BIN)/python -m allocator simulate --mutants $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

db: install ## start the embedded PostgreSQL alone, for psql, until Ctrl-C
	$(BIN)/python -m allocator db $(ARGS)

image: ## build the Docker image allocator:latest
	@command -v docker >/dev/null || \
		{ echo "make image needs docker, and there is none on the PATH." >&2; exit 1; }
	docker build --tag allocator:latest $(ARGS) .

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
