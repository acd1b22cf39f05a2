# Two commands: `make book` makes the book from nothing, `make test` passes the tests from nothing.
# Both set up .venv first, may be repeated, and skip what is done.

PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/sh

.PHONY: book test check bench setup data notebooks lock clean

book: data              ## run the notebooks, build the book, print the page to open
	@$(BIN)/python -m songtitle run

test: data              ## every test
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

check: setup            ## lint, types, floors, notebook pairs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/test_house.py

bench: setup            ## every speed against its peer or limit; exits 1 where a bound is missed
	@$(BIN)/python -m benchmarks

setup: .venv/done       ## the environment: hashed pins, and songtitle itself

data: setup             ## the captioned pictures (the tunes come with the packages)
	@$(BIN)/python -m songtitle fetch

# uv installs the lock in half a minute; where it cannot, pip does the same in four.
.venv/done: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "songtitle needs Python 3.11 or later; say which with PYTHON=..., such as make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "setting up .venv (about 6 GB, most of it torch) ..."
	@sed -n '/^uv==/,/# via/p' requirements.lock > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --require-hashes -r .venv/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
	  || $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

notebooks: setup        ## write each .ipynb from its .py
	@$(BIN)/jupytext --quiet --to ipynb --update notebooks/*.py

lock: setup             ## solve pyproject.toml anew into requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --extra dev --extra cluster --extra glove pyproject.toml -o requirements.lock

clean:                  ## remove what was built here (the data home stays)
	rm -rf .venv book/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache songtitle.egg-info
