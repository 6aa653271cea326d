# make demo, make test, make docs: on a bare machine these need make, git and python3 >= 3.10, and build their own .venv.

PYTHON ?= python3
TESTS ?= tests
TORCH ?= torch==2.13.0
JUPYTEXT ?= jupytext==1.19.6
PARALLEL := -n auto --maxprocesses 4 --dist loadfile
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := demo
.DELETE_ON_ERROR:
.PHONY: demo test test-fast lint docs bench fuzz soak notebooks clean

demo: $(VENV)/installed
	$(BIN)/python scripts/stylize.py examples/photographs/cat.jpg examples/paintings/mosaic.jpg -o demo.png \
	    --size 384
	@echo "The picture is $(CURDIR)/demo.png"

test: $(VENV)/installed-test
	$(BIN)/python -m pytest $(PARALLEL) $(TESTS)

test-fast: $(VENV)/installed-test
	$(BIN)/python -m pytest $(PARALLEL) tests/test_layers.py tests/test_losses.py tests/test_gradcheck.py tests/test_objective.py \
	    tests/test_optimize.py tests/test_canvas.py tests/test_config.py tests/test_structure.py

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/mypy

# Runs all code of the book. A warning is an error: a link that leads nowhere, a cell that fails.
docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -W --keep-going -j auto --quiet docs docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going --quiet -b doctest -d docs/_build/html/.doctrees docs docs/_build/doctest
	@echo "The book is $(CURDIR)/docs/_build/html/index.html"

bench: $(VENV)/installed-bench
	$(BIN)/python benchmarks/correctness.py
	$(BIN)/python benchmarks/layers.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/vs_torch.py
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/estimate.py

fuzz: $(VENV)/installed-bench
	$(BIN)/python benchmarks/fuzz.py

soak: $(VENV)/installed-bench
	$(BIN)/python benchmarks/soak.py

# One for each exercise, for a student to work in: only those that are not there, so no work is lost.
notebooks: $(patsubst docs/exercises/%.py,mine/%.ipynb,$(wildcard docs/exercises/[01]*.py))

mine/%.ipynb: | docs/exercises/%.py $(VENV)/installed-notebooks
	@mkdir -p mine
	$(BIN)/jupytext --quiet --to notebook --update-metadata \
	    '{"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}' \
	    --output $@ docs/exercises/$*.py

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis demo.png
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What tests and linters need is no part of what a picture needs: a marker for each, newer than the metadata once done.
$(VENV)/installed: pyproject.toml setup.py | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-test: pyproject.toml setup.py | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@ $(VENV)/installed

$(VENV)/installed-docs: pyproject.toml setup.py | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	@touch $@ $(VENV)/installed

# The index's PyTorch for Linux brings gigabytes of CUDA along, of which nothing is used here. The one without:
# make bench TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
$(VENV)/installed-bench: pyproject.toml setup.py | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench,test]"
	@touch $@ $(VENV)/installed $(VENV)/installed-test

$(VENV)/installed-notebooks: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(JUPYTEXT)
	@touch $@

$(BIN)/pip:
	@command -v "$(PYTHON)" > /dev/null || \
	    { echo "make: $(PYTHON) is not here: install Python 3.10 or newer, or name one: make PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "make: $(PYTHON) is older than Python 3.10: name a newer one, e.g. make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2> /dev/null || \
	    { echo "make: $(PYTHON) has no venv module: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)
