# Two commands on a fresh machine: `make book` and `make test`. Both make their own environment first.
VENV   := .venv
PY     := "$(VENV)/bin/python"
space  := $(subst ,, )
STAMP  := $(subst $(space),\ ,$(VENV))/.installed
PYTHON ?= python3
CHAPTERS ?=

.PHONY: help env lock lint book pages test test-all bench results refresh clean
.DEFAULT_GOAL := help

help:      ## this list
	@echo "Usage: make TARGET"
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-10s %s\n", $$1, $$2 }'

env: $(STAMP)  ## make .venv and install everything into it (5.7 GB; only when requirements.lock changed)

# The stamp is written last: an interrupted installation is taken up again by the same command. Bytecode is compiled
# here, since where Python may not write it every process would compile torch anew, ten seconds each time.
$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Name another: make env PYTHON=python3.12"; exit 1; }
	@echo "== making the environment in $(VENV) (torch is large: minutes on a slow line)"
	@test -x $(PY) || $(PYTHON) -m venv "$(VENV)"
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip
	$(PY) -m pip install --quiet uv
	$(PY) -m uv pip install --python $(PY) --compile-bytecode --require-hashes --requirements requirements.lock
	$(PY) -m uv pip install --python $(PY) --no-deps --editable .
	@touch "$@"

lock:  ## choose the versions in requirements.lock anew, within the ranges of pyproject.toml
	$(PY) -m uv pip compile pyproject.toml --universal --python-version 3.11 --extra book --extra test --extra lint \
	  --generate-hashes --no-header --no-annotate --upgrade --quiet --output-file requirements.lock

lint: $(STAMP)  ## the style and the types that .ci/run asks for
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

book: $(STAMP)  ## build the book with its live cells executed; any warning or failing cell is an error
	@echo "== building the book: changed chapters are executed, the rest comes from _build/.jupyter_cache"
	"$(VENV)/bin/jupyter-book" build book/ -W -n --keep-going
	@test -s _build/html/index.html || { echo "no _build/html/index.html was written"; exit 1; }
	@echo "== the book is in _build/html/index.html"

pages: $(STAMP)  ## look at every page of the built book in Chromium: layout, formulas, links, accessibility
	$(PY) -m pytest -m browser tests/test_pages.py

# A file's tests and a chapter's cells stay in one process, which uses one thread.
test: $(STAMP)  ## the fast tier: tests and every chapter's cells against their stored outputs
	@echo "== testing (the slow tier is left out: make test-all)"
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(PY) -m pytest --nbval -n auto --maxprocesses 4 --dist loadfile

test-all: $(STAMP)  ## the fast and the slow tier
	@echo "== testing, slow tests included"
	$(PY) -m pytest --nbval -m ""

bench: $(STAMP)  ## time the engine against a plain implementation and the floor; at most 15 minutes, on idle cores
	$(PY) -m benchmarks.speed

results: $(STAMP)  ## what is recorded in results/ and zoo/
	$(PY) -m snnpaper status

refresh: $(STAMP)  ## execute the chapters' .py into their .ipynb twins (CHAPTERS="ch1 ch3" for some)
	$(PY) book/refresh.py $(CHAPTERS)

clean:  ## remove the built book and the caches; .venv, results/ and zoo/ stay
	rm -rf _build build book/_static/figures .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find snnpaper tests book benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
