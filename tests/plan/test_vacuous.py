"""Which checks say nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.plan.vacuous import is_vacuous, readable

EMPTY = [
    *("", " ", "true", ":", "/bin/true", "exit", "exit 0", "echo ok", "printf done", "# pytest"),
    *("true && true", "echo a; echo b", "pytest || true", "pytest || :", "pytest; true"),
    *("pytest || echo failed", "pytest; exit 0", "exit 0; pytest", "pytest | cat"),
    *("pytest 2>&1 | tee log.txt", "pytest | tail -5", "true || pytest", "! false", "cd src"),
    *("cd src && echo ok", "sh -c true", "bash -c 'exit 0'", "bash -c 'pytest || true'"),
    *("X=1 true", "time true", "env true", "test 1", "[ 1 = 1 ]", "[ x ]", "python3 -c pass"),
    *("timeout 1 true", "timeout -k 5 10s true", "sudo true", "sudo -u nobody -n true", "ls"),
    *("pytest &", "nohup pytest &", "(pytest) &", "nice -n 5 true", "env -i true", "ls -la"),
    *("if pytest; then :; fi", "if pytest; then echo a; else echo b; fi", "stdbuf -o0 true"),
    *("cd web; if npm test; then npm run lint; true; fi", "exit 0; if pytest; then exit 1; fi"),
    *("if a; then :; elif pytest; then :; fi", "env X=1 true", "pytest & wait", "time -p true"),
    *("python -c ''", "pytest --version", "npm --help", "sleep 1", "export X=1", "pytest & true"),
]
FULL = [
    *("pytest", "pytest -q tests/test_a.py", "npm test", "make check", "cargo test && echo ok"),
    *("cd web && npm test", "echo start; pytest", "pytest | grep passed", "test -f dist/app.js"),
    *("! grep -r TODO src", "false", "exit 1", "sh -c 'pytest -q'", "python3 -c 'import app'"),
    *("pytest || exit 1", "pytest || test $? -eq 5", "[ -s out.txt ]", "[ $(wc -l < a) = 3 ]"),
    *("X=1 pytest", "cat build/out.txt", "true && pytest", "false || pytest", "! true"),
    *("timeout 60 pytest", "timeout -k 5 10s pytest", "sudo -n pytest", "ls dist/app.js"),
    *("nohup pytest", "if pytest; then :; else exit 1; fi", "if [ -d web ]; then npm test; fi"),
    *("if pytest; then :; fi && false", "pytest & wait $!", "nice -n 5 pytest", "env -u X pytest"),
    *("if a; then if b; then :; fi; fi", "fi", "if a; then :; elif b; then npm test; fi"),
    *("python3 -m app --check", "curl -fsS localhost:1/health", "(pytest)"),
]


@pytest.mark.parametrize("command", EMPTY)
def test_a_command_that_cannot_fail_says_nothing(command: str) -> None:
    assert is_vacuous(command)


@pytest.mark.parametrize("command", FULL)
def test_a_command_that_can_fail_says_something(command: str) -> None:
    assert not is_vacuous(command)
    assert readable(command)


@pytest.mark.parametrize("command", ["pytest 'a", "a\nb", 'x "', "a\u2028b", "x" * 5000, ""])
def test_what_is_not_one_line_of_shell_is_told(command: str) -> None:
    assert not readable(command)


@given(st.one_of(st.text(max_size=30), st.text(";&|()'\"$ #!ab\\", max_size=30)))
def test_no_command_is_too_odd_to_be_read(command: str) -> None:
    assert is_vacuous(command) in {True, False}
    assert readable(command) in {True, False}


@given(st.sampled_from(EMPTY[2:9]), st.sampled_from(FULL))
def test_what_goes_on_after_a_failure_says_as_much_as_its_end(empty: str, full: str) -> None:
    assert is_vacuous(f"{full}; {empty}")
    assert is_vacuous(f"{full} || {empty}")
    assert not is_vacuous(f"{full} && {full}")
