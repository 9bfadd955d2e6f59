# make demo: the whole workflow on real data. make test: the test suite. Both make their own virtual environment.
PYTHON ?= python3
VENV ?= .venv
# For example a package index with the CPU build of torch: make PIP_ARGS='--extra-index-url URL' demo
PIP_ARGS ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test apertium lint clean

demo: $(STAMP)
	$(BIN)/python -m spacy project run all

# Two processes of one thread each, so that they are not in each other's way
test: export OMP_NUM_THREADS = 1
test: $(STAMP) apertium
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Debian's packages for the tests of ApertiumTranslator, where they can be installed
apertium:
	@.ci/apertium

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy spacy_xlt

$(STAMP): setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[bundled,ctranslate2,peft,romanise,statistical,dev,langid,plots]'
	touch $@

clean:
	rm -rf corpus training packages metrics models project.lock build .pytest_cache .hypothesis .mypy_cache .ruff_cache
