# Two commands on a fresh machine with Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell $(p) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
PORTER := .venv/bin/python
BENCHES := run large_index facts weights scale meta_join smoke killed seeds sensitivity near_misses families speed

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench golden wheel clean venv venv-test

help:
	@echo "make demo     .venv, a CPU vLLM, then porter ports and proves the bundled example"
	@echo "make test     every test, the vLLM ones included"
	@echo "make lint     ruff, ruff format, mypy --strict"
	@echo "make format   let ruff rewrite what it can"
	@echo "make bench    figures as tables: start-up, facts of generated repos, weights, scale"
	@echo "make golden   write the golden files again, then read the diff"
	@echo "make wheel    build the wheel into dist/"
	@echo "make clean    remove .venv and everything made here"

demo: venv
	@$(PORTER) scripts/demo.py

test: venv-test
	@$(PORTER) -m pytest

lint: venv-test
	@$(PORTER) -m ruff check .
	@$(PORTER) -m ruff format --check .
	@$(PORTER) -m mypy

format: venv-test
	@$(PORTER) -m ruff check --fix .
	@$(PORTER) -m ruff format .

bench: venv
	@for script in $(BENCHES); do echo "bench/$$script.py" && $(PORTER) bench/$$script.py || over="$$over $$script"; done; \
	test -z "$$over" || { echo "over their limits:$$over"; exit 1; }

golden: venv-test
	@PORTER_GOLDEN=write $(PORTER) -m pytest -q -m golden
	@git --no-pager diff --stat -- tests

wheel: venv-test
	@$(PORTER) -m pip -q wheel --no-deps --wheel-dir dist .

venv:
	@$(PYTHON) scripts/set_up.py

venv-test:
	@$(PYTHON) scripts/set_up.py --test

clean:
	@rm -rf .venv .demo build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
