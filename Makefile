# What CI runs. Every target needs Python 3.11 or later and nothing else; dist needs git, too.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIST_TOOLS := build/dist-tools

# Whoever sets it means that one run leaves nothing behind. Here hundreds of processes import the same files.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo quick test check lint docs site site-strings dist bench torture clean

demo: $(VENV)/installed
	$(BIN)/calando compare digits step exponential linear cosine one-cycle --augment "crop(3)" --seeds 8 --rates 3

# Lint, types, and the tests that start no process, browser or framework: what to run after every change.
quick: lint
	$(BIN)/python -m pytest -n 2 -q -m "not slow and not torture" tests

test: check
	CALANDO_CHROMIUM=$$(sh tools/chromium.sh) $(BIN)/python -m pytest -n 3 --dist worksteal -q -m "not torture"

check: lint
	$(BIN)/deptry src

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed
	$(BIN)/python tools/draw_schedules.py

# The site in English and Chinese, build/site/html/index.html: every cell run, every link and translation checked.
site: $(VENV)/installed-site
	$(BIN)/python tools/make_site.py

# Gathers what pages say into docs/locale; what lacks or changed there is to be translated.
site-strings: $(VENV)/installed-site
	$(BIN)/python tools/make_site.py --strings

# Builds sdist and wheel into dist/, checks them, and uses the wheel in an empty environment; publishes nothing.
# `make dist RELEASE=--release` refuses what it else warns of: a version without a date in CHANGELOG.md, uncommitted changes.
dist: $(DIST_TOOLS)/installed
	$(DIST_TOOLS)/bin/python tools/make_dist.py $(RELEASE)

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/schedules.py
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/compare.py
	$(BIN)/python benchmarks/digits.py
	$(BIN)/python benchmarks/sharing.py
	$(BIN)/python benchmarks/many_runs.py

torture: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -m torture --timeout 3600
	$(BIN)/python -m pytest -q -m "not torture" --hypothesis-profile exploring tests/schedules tests/oracles tests/loops

# constraints.txt pins what these targets install; torch first, so that nothing pulls another build of it.
$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[pictures]"
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

$(VENV)/installed-site: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[site]"
	touch $@

$(DIST_TOOLS)/installed: tools/dist-requirements.txt
	test -x $(DIST_TOOLS)/bin/python || $(PYTHON) -m venv $(DIST_TOOLS)
	$(DIST_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r tools/dist-requirements.txt
	touch $@

clean:
	rm -rf $(VENV) build dist calando-studies
