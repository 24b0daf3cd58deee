# `make demo` shows, `make test` tests; both make .venv first. PYTHON names another interpreter (3.11 or later).
PYTHON ?= python3
UV := .venv/bin/uv

.PHONY: demo test check clean

demo: .venv/installed-demo
	.venv/bin/atlas demo

test: .venv/installed-dev check
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/mypy

$(UV):
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv/installed-demo: pyproject.toml | $(UV)
	$(UV) pip install --quiet --python .venv/bin/python --editable '.[all]'
	touch $@

.venv/installed-dev: pyproject.toml | $(UV)
	$(UV) pip install --quiet --python .venv/bin/python --editable '.[all,dev]'
	touch $@ .venv/installed-demo

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
