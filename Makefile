# Two commands do all the set-up: `make demo` and `make test`. Nothing is needed but Python and make.

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
COMPILE = $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url \
	--no-annotate --no-header --python-version 3.11
# What the container image has besides: whatever a setting alone can switch on, engines left out.
IMAGE_EXTRAS = otel postgresql redis s3 tfserving

.PHONY: help demo test check format docs screenshots formats gateway bench bench-quick bench-growth keras-proof keras-fuzz lock clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: .venv/installed ## Serve the bundled models (PORT=8000)
	$(BIN)/tintype demo --port $(PORT)

test: .venv/installed-dev ## Install what the tests need and run everything
	$(BIN)/pytest -n 2 --dist loadfile

check: .venv/installed-dev ## Format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-dev ## Write the format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/installed-dev ## Build the documentation into site/
	$(BIN)/zensical build --strict

screenshots: .venv/installed-dev ## Take the pictures of the page anew
	$(BIN)/python docs/screenshots.py

formats: .venv/installed-dev ## Make docs/reference/formats.md anew from a test run
	TINTYPE_WRITE_FORMATS=1 $(BIN)/pytest -q tests/end_to_end/test_formats.py

gateway: .venv/installed-dev ## The table of faults in docs/reference/gateway.md anew from a test run
	TINTYPE_WRITE_GATEWAY=1 $(BIN)/pytest -q tests/remote/test_faults.py

bench: .venv/installed-dev .venv/bin/uv ## Speed beside the bare loop and beside peers (half an hour)
	$(BIN)/python bench/serving/run.py $(BENCH)

bench-quick: .venv/installed-dev .venv/bin/uv ## A small version of it (three minutes)
	$(BIN)/python bench/serving/run.py --quick $(BENCH)

bench-growth: .venv/installed-dev .venv/bin/uv ## How cost grows with pictures, clients, models (minutes)
	$(BIN)/python bench/serving/growth.py $(BENCH)

keras-proof: .venv/installed-dev ## Every architecture of keras.applications against Keras (an hour)
	$(BIN)/python bench/keras_architectures.py

keras-fuzz: .venv/installed-dev ## Hostile Keras files, EXAMPLES=3000 of each kind (minutes)
	TINTYPE_FUZZ_EXAMPLES=$(or $(EXAMPLES),3000) $(BIN)/pytest -q tests/modelfiles/keras/test_hostile.py

lock: .venv/bin/uv ## Pin every dependency by name, version and hash
	$(COMPILE) --group build --group test --group check --group docs pyproject.toml -o requirements-dev.txt
	$(COMPILE) --group build -c requirements-dev.txt pyproject.toml -o requirements.txt
	$(COMPILE) --group build $(IMAGE_EXTRAS:%=--extra %) -c requirements-dev.txt pyproject.toml \
		-o deploy/requirements.txt

clean: ## Remove what the other commands made
	rm -rf .venv site dist .pytest_cache .mypy_cache .ruff_cache

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Tintype needs Python 3.11 or newer: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

.venv/bin/uv: .venv/bin/python
	$(BIN)/python -m pip install -q uv

.venv/installed: requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q --require-hashes -r requirements.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	touch $@

.venv/installed-dev: requirements-dev.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	touch $@ .venv/installed
