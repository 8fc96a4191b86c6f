# The two commands of the README, and what the developers use. Each makes .venv when it is missing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow bench check stub clean

demo: .venv/demo
	$(BIN)/python -m fastnn demo

# A process for each core, eight at most; one that dies or hangs is not started again, to hang again.
# pytest-benchmark would only warn that it times nothing.
test: .venv/test
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --max-worker-restart 0 --dist loadfile \
		-p no:benchmark

slow: .venv/cuda-test
	$(BIN)/python -m pytest -m slow

bench: .venv/bench
	$(BIN)/python -m bench

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

stub: .venv/dev
	$(BIN)/python -m tools.ops_stub
	$(BIN)/python -m tools.keras_page

# One mark for each extra that is installed; installed anew when the project's requirements change.
.venv/%: pyproject.toml | .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

.venv:
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv build *.egg-info
