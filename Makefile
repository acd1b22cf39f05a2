# Two commands: `make book` makes the book from nothing, `make test` passes the tests from nothing.
# Both set up .venv first, may be repeated, and skip what is done.

PYTHON ?= python3
PYTHONS := 3.11 3.12 3.13
BIN := .venv/bin
SHELL := /bin/sh

# Left out of the fast laws: whole runs of the notebooks and of the benchmarks, and many small ones.
LONG := notebooks benchmarks streaming training_kills
# Laws of arithmetic, which processors do in different orders.
NUMERIC := captioner clouds decoders encoder features likelihood samples search sound streams timbre \
  training training_checkpoints training_processes
# Instructions allowed to PyTorch, oneDNN and MKL, and threads: a bare x86-64, one of 2013, one
# without matrix units (AMX and bfloat16), this one.
CPUS := default:SSE41:SSE4_2:1 avx2:AVX2:AVX2:2 :AVX512_CORE:AVX512:2 :::2

.PHONY: book publish test test-versions test-cpus check bench setup data notebooks pairs course lock clean test-book test-faults pdf serve links audit

book: data              ## run the notebooks, build the book, print the page; JOBS=1: one at a time
	@$(BIN)/python -m songtitle run $(if $(JOBS),--jobs $(JOBS))

publish: data           ## as `make book`, then write pages, results and demo into the clone
	@$(BIN)/python -m songtitle run --publish $(if $(JOBS),--jobs $(JOBS))

test: data              ## every test
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

# uv takes the interpreters on PATH and pyenv's, else it brings one.
test-versions: data     ## the fast laws on the oldest and the newest Python, where .venv has another
	@for version in $(firstword $(PYTHONS)) $(lastword $(PYTHONS)); do \
	  if $(BIN)/python -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$$version')"; then continue; fi; \
	  echo "Python $$version: setting up .venv-$$version ..."; \
	  test -x .venv-$$version/bin/python \
	  || PATH="$$(printf '%s:' "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/*/bin)$$PATH" \
	    $(BIN)/uv venv --quiet --no-project --python $$version .venv-$$version \
	  || { echo "Python $$version: not run, since this machine has none and uv brings none"; continue; }; \
	  $(BIN)/uv pip install --quiet --python .venv-$$version --require-hashes -r requirements.lock \
	  && $(BIN)/uv pip install --quiet --python .venv-$$version --no-deps --no-build-isolation --editable . \
	  && env -u SONGTITLE_REAL_DATA OMP_NUM_THREADS=1 .venv-$$version/bin/python -m pytest \
	    -n auto --dist loadfile $(LONG:%=--ignore=tests/test_%.py) \
	  || exit 1; \
	done

test-cpus: data         ## the laws of arithmetic as other processors and one thread or two do it
	@for cpu in $(CPUS); do \
	  echo "$$cpu" | { IFS=: read -r aten onednn mkl threads; \
	  echo "PyTorch $${aten:-as it is}, oneDNN $${onednn:-as it is}, MKL $${mkl:-as it is}, threads $$threads"; \
	  env $${aten:+ATEN_CPU_CAPABILITY=$$aten} $${onednn:+ONEDNN_MAX_CPU_ISA=$$onednn} \
	    $${mkl:+MKL_ENABLE_INSTRUCTIONS=$$mkl} OMP_NUM_THREADS=$$threads \
	    $(BIN)/python -m pytest $(NUMERIC:%=tests/test_%.py); } || exit 1; \
	done

check: setup            ## lint, types, floors, notebook pairs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/test_house.py

bench: setup            ## every speed against its peer or limit; exits 1 where a bound is missed
	@$(BIN)/python -m benchmarks

test-book: setup         ## the built book in Chromium; needs `make book` first
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/book -n 2

test-faults: setup       ## kills, full disks, bad servers, hostile files: one table of what survived
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults -n 2 --dist loadfile --no-loadscope-reorder

pdf: setup              ## the whole book as book/_build/songtitle.book.pdf; needs `make book` first
	@$(BIN)/python -m songtitle.book.pdf

course: setup           ## student versions of the notebooks and what grades them, in handouts/
	@$(BIN)/python -m songtitle course handouts

serve: setup            ## read the built book at http://127.0.0.1:8000
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory book/_build/html 8000

links: setup            ## do the links that leave the book still lead somewhere? (asks the network)
	@$(BIN)/jupyter-book build book --builder linkcheck -q

audit: setup            ## known holes in what is pinned, as OSV lists them (asks the network)
	@$(BIN)/pip-audit --requirement requirements.lock --require-hashes --disable-pip --vulnerability-service osv --progress-spinner off

setup: .venv/done       ## the environment: hashed pins, and songtitle itself

data: setup             ## the captioned pictures (the tunes come with the packages)
	@$(BIN)/python -m songtitle fetch

# uv installs the lock in half a minute; where it cannot, pip does the same in four. Compiled here,
# once: a notebook imports a few thousand modules, and not every reader lets Python keep what it
# compiles.
.venv/done: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv and "songtitle needs one of Python $(PYTHONS); say which with PYTHON=..., such as make PYTHON=python3.12")' $(PYTHONS)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "setting up .venv (about 6 GB, most of it torch) ..."
	@sed -n '/^uv==/,/# via/p' requirements.lock > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --require-hashes -r .venv/uv.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock \
	  || $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

PRESET ?= quick
notebooks: data         ## run the notebooks and no more: make notebooks PRESET=tiny
	@$(BIN)/python -m songtitle run --preset $(PRESET) --no-book $(if $(JOBS),--jobs $(JOBS))

pairs: setup            ## write each .ipynb from its .py
	@$(BIN)/jupytext --quiet --to ipynb --update notebooks/*.py

lock: setup             ## solve pyproject.toml anew into requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --extra dev --extra cluster --extra glove pyproject.toml -o requirements.lock

clean:                  ## remove what was built here (the data home stays)
	rm -rf .venv .venv-* book/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache songtitle.egg-info
