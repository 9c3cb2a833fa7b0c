# Two commands do all the set-up: `make report` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: report test check format clean notebook docs captures accuracy corpus fuzz bench bench-full

report: $(READY)  ## analyse the bundled captures and say where the report is
	$(BIN)/sipscope report captures/ -o report

test: $(READY)  ## run all tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations 30

check: $(READY)  ## run the linters and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

notebook: $(READY)  ## open the notebooks in a browser
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,notebook]'
	$(BIN)/jupyter lab --notebook-dir notebooks

docs: $(READY)  ## write the pages of docs/ that are generated
	$(BIN)/python docs/make.py

format: $(READY)  ## let the formatter decide
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

accuracy: $(READY)  ## measure how well attacks are found on labelled scenarios
	$(BIN)/python benchmarks/accuracy.py

corpus: $(READY)  ## compare with TShark's ground truth of ../shared/corpus, message by message
	$(BIN)/python benchmarks/corpus.py

bench: $(READY)  ## measure speed and memory beside the peers, write benchmarks/RESULTS.md (ten minutes, 4 GB of disk)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python -m benchmarks.speed

bench-full: $(READY)  ## the same with ten million messages and a capture of 4 GB (10 GB of disk)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python -m benchmarks.speed --full

fuzz: $(READY)  ## look for crashes for some minutes
	$(BIN)/python -m tests.fuzz --minutes 5

captures: $(READY)  ## make captures/ again with the real programs (root, network namespaces)
	$(BIN)/python captures/make.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

clean:  ## remove what the commands above made
	rm -rf $(VENV) report build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
