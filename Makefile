# make demo: the whole workflow on real data. make test: the test suite, but for its longest tests (make
# test-all). All make their own virtual environment.
PYTHON ?= python3
VENV ?= .venv
# For example a package index with the CPU build of torch: make PIP_ARGS='--extra-index-url URL' demo
PIP_ARGS ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# The endpoint engine with a real server, `transformers serve`. It needs transformers 5, which spaCy's stack cannot have, so
# it has an environment of its own
SERVER := .venv-server

.PHONY: demo test test-all test-server packages-for-tests lint docs clean

demo: $(STAMP)
	$(BIN)/python -m spacy project run all

# Two processes of one thread each, so that they are not in each other's way
test test-all: export OMP_NUM_THREADS = 1
test: $(STAMP) packages-for-tests
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=15 -m "not long"

test-all: $(STAMP) packages-for-tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-server: $(STAMP)
	test -x $(SERVER)/bin/transformers || $(PYTHON) -m venv $(SERVER)
	$(SERVER)/bin/python -m pip install --quiet $(PIP_ARGS) torch==2.13.0 'transformers[serving]>=5.20,<6'
	TRANSFORMERS_SERVE=$(SERVER)/bin/transformers $(BIN)/python -m pytest tests/llm/test_transformers_serve.py

# Apertium and Chromium for the tests that use them, where they can be installed
packages-for-tests:
	@.ci/packages

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy spacy_xlt
	$(BIN)/lint-imports

# The pages of docs with the reference from docstrings, in build/site; warnings are errors
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(STAMP): setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[adapt,bundled,ctranslate2,peft,romanise,statistical,dev,langid,llm,zstd,ray]'
	# Its own requirements would take typer back to a version that no command of spaCy works with
	$(BIN)/python -m pip install --quiet --no-deps $(PIP_ARGS) spacy-huggingface-hub==0.0.10
	touch $@

clean:
	rm -rf corpus training packages metrics models project.lock build .pytest_cache .hypothesis .mypy_cache .ruff_cache
