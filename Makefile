# What can be done with a checkout; `make help` tells. Everything happens in .venv/, which `make` fills itself.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-from
TAHOE := .venv-tahoe
FUZZ_STAMP := $(VENV)/.installed-fuzz
PACKAGES := peer protocol storage tools

# The Python that .venv/ is made with: the first of these that is at least 3.11 and can make one.
PYTHON ?=
CANDIDATES := $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3)

# How long `make fuzz` runs, and what it tries to break.
SECONDS ?= 60
FUZZ_TARGETS := datagrams control store

# What `make simulate` plays.
SEEDS ?= 1000
FROM ?= 1

# What runs is this checkout, whatever the caller's environment names.
unexport PYTHONPATH PYTHONHOME
PIP := $(BIN)/python -m pip --disable-pip-version-check
export PIP_REQUIRE_VIRTUALENV := 1

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint simulate scale fuzz bench bench-store bench-tahoe clean constraints FORCE

help:
	@echo 'make demo [FILE=path]      three peers on this machine back up, lose a holder and restore a file'
	@echo 'make test                  every check: lint, types, import contracts, tests'
	@echo 'make lint                  every check but the tests'
	@echo 'make simulate [SEEDS=1000] [FROM=1]   a LAN in one process, on that many bad days'
	@echo 'make scale                 measure groups of up to 100 simulated peers, into docs/scale.md'
	@echo 'make fuzz [SECONDS=60]     damage what the parser, the control protocol and a store are given'
	@echo 'make bench [ARGS=--help]   measure backups and restores beside what the machine gives'
	@echo 'make bench-store [ARGS=--help]   measure a chunk store beside what its disk gives'
	@echo 'make bench-tahoe           install Tahoe-LAFS in .venv-tahoe/, for make bench to measure it too'
	@echo 'make venv [PYTHON=path]    only set up .venv/ (the others do it themselves)'
	@echo 'make constraints           pin the newest versions of everything in constraints.txt'
	@echo 'make clean                 remove .venv/ and everything that was built or cached'

venv: $(STAMP)

# .venv/ refers to the checkout by its path, and a copy of our packages in it would hide the checkout: when the
# checkout was moved or copied, or such a copy was installed, what is there is set up anew.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
$(STAMP): FORCE
endif
ifneq ($(wildcard $(PACKAGES:%=$(VENV)/lib/python3*/site-packages/%)),)
$(STAMP): FORCE
endif

# What it says goes to standard error: standard output is for the result of what was asked for.
$(STAMP): setup.cfg constraints.txt
	@if [ -e $(STAMP) ] && [ "$$(cat $(STAMP))" != "$(CURDIR)" ]; then \
	    echo "$(VENV)/ belongs to another checkout: removing it" >&2; rm -rf $(VENV); \
	fi
	@if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    new_enough=; able=; \
	    for python in $(CANDIDATES); do \
	        "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	        new_enough=$$python; \
	        "$$python" -c 'import venv, ensurepip' 2>/dev/null || continue; \
	        able=$$python; break; \
	    done; \
	    if [ -z "$$new_enough" ]; then \
	        echo "There is no Python 3.11 or newer here: install one (on Debian: sudo apt install python3 python3-venv)" \
	            "or name it (make PYTHON=/path/to/python3)." >&2; exit 1; \
	    fi; \
	    if [ -z "$$able" ]; then \
	        echo "$$new_enough can't make a virtual environment, since its module ensurepip is missing:" \
	            "on Debian, sudo apt install python3-venv." >&2; exit 1; \
	    fi; \
	    echo "Making $(VENV)/ with $$("$$able" -V) ($$able)" >&2; \
	    "$$able" -m venv --clear $(VENV) || exit 1; \
	fi
	@echo 'Installing what the project needs into $(VENV)/, at the versions in constraints.txt' >&2
	@$(PIP) install --quiet --constraint constraints.txt setuptools
	@$(PIP) uninstall --quiet --yes backup-peer 2>/dev/null
# The mode `compat` puts the checkout itself on the path; the usual mode maps only the packages, and twistd
# would not find its plugin.
	@$(PIP) install --quiet --constraint constraints.txt --no-build-isolation \
	    --config-settings editable_mode=compat --editable '.[test]'
# Twisted caches its list of plugins: written here, not by several peers that start at the same moment.
	@$(BIN)/python -c 'from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))'
	@printf '%s' '$(CURDIR)' > $(STAMP)

# A `~` that the caller's shell left alone means the home folder here too.
demo: $(STAMP)
	@case "$$FILE" in "~/"*) FILE="$$HOME/$${FILE#??}";; esac; \
	$(BIN)/python -m tools.demo $${FILE:+"$$FILE"}

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES) tests
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest

# SEEDS seeds from FROM on, on all cores.
simulate: $(STAMP)
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --from $(FROM)

# Backups among 3 to 100 simulated peers; writes docs/scale.md.
scale: $(STAMP)
	@$(BIN)/python -m tests.simulation.scale

# The targets one after the other, each for its share of the time.
fuzz: $(FUZZ_STAMP)
	@for target in $(FUZZ_TARGETS); do \
	    $(BIN)/python -m tests.fuzz.$$target -max_total_time=$$(($(SECONDS) / $(words $(FUZZ_TARGETS)))) || exit 1; \
	done

$(FUZZ_STAMP): $(STAMP)
	@echo 'Installing the fuzzer into $(VENV)/'
	@$(PIP) install --quiet --constraint constraints.txt --no-build-isolation \
	    --config-settings editable_mode=compat --editable '.[test,fuzz]'
	@touch $(FUZZ_STAMP)

# ARGS='--size 1GB --degree 2 --quick --json', for example; ARGS=--help tells all.
bench: $(STAMP)
	@$(BIN)/python -m tests.bench $(ARGS)

# ARGS='--quick --json', for example. The whole takes some ten minutes and 12 GB of the disk.
bench-store: $(STAMP)
	@$(BIN)/python -m tests.bench_store $(ARGS)

# Apart from .venv/, where it would bring its own wishes about versions.
bench-tahoe: $(STAMP)
	@$(BIN)/python -m venv $(TAHOE)
	@$(TAHOE)/bin/pip --disable-pip-version-check install --quiet tahoe-lafs

# With Python 3.11, the oldest supported, since what it can run the newer ones can too.
constraints:
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && export PIP_DISABLE_PIP_VERSION_CHECK=1 && \
	echo 'Installing the newest of everything into an environment of its own' && \
	python3.11 -m venv "$$folder/venv" && \
	"$$folder/venv/bin/pip" install --quiet --upgrade setuptools && \
	"$$folder/venv/bin/pip" install --quiet --no-build-isolation \
	    --config-settings editable_mode=compat --editable '.[test,fuzz]' && \
	"$$folder/venv/bin/pip" freeze --all --exclude-editable > "$$folder/frozen" && \
	{ sed -n '/^#/p' constraints.txt; grep -v '^pip==' "$$folder/frozen" | LC_ALL=C sort -f; } > "$$folder/new" && \
	cp "$$folder/new" constraints.txt && echo 'constraints.txt is new: run make test with every Python supported'

clean:
	rm -rf $(VENV) $(TAHOE) build dist *.egg-info htmlcov .coverage .coverage.* .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -f twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
