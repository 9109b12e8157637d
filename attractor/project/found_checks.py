"""Which checks a tree has, where neither the node nor the settings say.

What is recognised, in this order, and all that apply:

    pytest       a `pytest.ini`, `[tool.pytest.ini_options]` in `pyproject.toml`, `[tool:pytest]` in
                 `setup.cfg`, or a file `test_*.py` or `*_test.py` at the top or in `tests`, `test`
    npm test     a `package.json` with a script `test` that is not the one of `npm init`
    cargo test   a `Cargo.toml`
    go test      a `go.mod`
    make test    a `Makefile` with a target `test`, only where nothing else was found

A check is found only when its program is there, and otherwise a note says so: a missing program
must not make work fail, and must not pass unseen. Where pytest is missing, tests that all import
`unittest` and not pytest are run by that. What the files say is never run here, and each is read
up to a limit; a link is not followed.

Work cannot rid itself of a check by deleting what it is recognised by: `since` compares with what
was there before. Tests may be moved and renamed, as long as their names are those of tests; whether
other tests say the same is for a judge.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from typing import Final, NamedTuple, final

from attractor.spawn import Ran, run_leashed_shell

MOST_BYTES: Final = 256 * 1024
MOST_FILES: Final = 200
FILES: Final = (
    *("pytest.ini", "setup.cfg", "pyproject.toml", "package.json", "Cargo.toml", "go.mod"),
    *("Makefile", "makefile"),
)
"""All that is looked at besides tests."""
_TEST_FOLDERS: Final = ("", "tests", "test")
_TEST_FILES: Final = ("test_*.py", "*_test.py")
_TARGET: Final = re.compile(r"^test\s*:(?!=)", re.MULTILINE)
_MAKE: Final = "make test"
_NONE_IS_FINE: Final = " || test $? -eq 5"
"""There may be no tests yet, which pytest calls a failure."""
_NO_NPM_TEST: Final = "no test specified"
_UNITTEST: Final = re.compile(r"^[^\S\n]*(?:import|from)\s+unittest\b", re.MULTILINE)
_PYTEST: Final = re.compile(r"^[^\S\n]*(?:import|from)\s+pytest\b", re.MULTILINE)
_ASK_SECONDS: Final = 20.0
_TAIL: Final = 200

Has = Callable[[str], bool]
"""Whether a program of this name can be run; `python3 -m pytest` is asked for by that name."""


@final
class Found(NamedTuple):
    """The checks of a tree, and what a person should know of those that it could have had."""

    checks: tuple[str, ...]
    notes: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    """Those that were there before, and of which nothing is left that they could run."""


def detect(files: Mapping[str, str], has: Has) -> Found:
    """Return the checks of a tree; `files` are those that `listing` names, with their texts."""
    checks: list[str] = []
    notes: list[str] = []
    wanted = [*_python(files, has), *_others(files)]
    if not wanted and _has_target(files):
        wanted = [("make", _MAKE, "a Makefile with a target `test`")]
    for program, command, why in wanted:
        if has(program):
            checks.append(command)
        else:
            notes.append(f"there is {why}, and no {program} on this machine: it is not checked")
    return Found(tuple(checks), tuple(notes))


def since(before: Mapping[str, str], now: Mapping[str, str], has: Has) -> Found:
    """Return the checks of a tree that once was another one: what was checked there, still is.

    Both may name tests at any depth, as long as their names are those of tests.
    """
    found = detect(now, has)
    checks, gone = list(found.checks), []
    for old in detect(before, has).checks:
        if _is_of_python(old):
            still = _python_since(before, now, has)
            checks = [each for each in checks if not _is_of_python(each)]
        else:
            still = [old] if old in checks or (old == _MAKE and _has_target(now)) else None
        if still is None:
            gone.append(old.removesuffix(_NONE_IS_FINE))
        else:
            checks += [each for each in still if each not in checks]
    return Found(tuple(checks), found.notes, tuple(gone))


def _python_since(before: Mapping[str, str], now: Mapping[str, str], has: Has) -> list[str] | None:
    """Return what runs the tests wherever they are now; None where there are none any more."""
    left = {path: text for path, text in now.items() if is_test_name(path)}
    if not left and not _is_configured(now):
        return None
    wanted = _runs_python(left, configured=_is_configured(now), has=has)
    commands = [command for program, command, _ in wanted if has(program)]
    if any(map(is_test_name, before)):
        # There were tests: that there are none any more is no longer fine.
        commands = [each.removesuffix(_NONE_IS_FINE) for each in commands]
    return commands


def _is_of_python(command: str) -> bool:
    return "pytest" in command or "unittest" in command


def _python(files: Mapping[str, str], has: Has) -> list[tuple[str, str, str]]:
    tests = {path: text for path, text in files.items() if _is_test(path)}
    return _runs_python(tests, configured=_is_configured(files), has=has)


def _runs_python(
    tests: Mapping[str, str], *, configured: bool, has: Has
) -> list[tuple[str, str, str]]:
    if not (tests or configured):
        return []
    # Its tests may lie elsewhere, but there may be none yet.
    none_is_fine = "" if tests else _NONE_IS_FINE
    for program in ("pytest", "python3 -m pytest"):
        if has(program):
            return [(program, f"{program}{none_is_fine}", "pytest")]
    if not configured and all(map(_is_plain, tests.values())):
        return [("python3", _unittest(min(tests)), "tests in Python")]
    return [("pytest", "pytest", "tests in Python")]


def _is_plain(text: str) -> bool:
    return bool(_UNITTEST.search(text)) and not _PYTEST.search(text)


def _unittest(path: str) -> str:
    folder, name = os.path.split(path)
    pattern = next(each for each in _TEST_FILES if fnmatch(name, each))
    where = f" -s {shlex.quote(folder)}" if folder else ""
    return f"python3 -m unittest discover{where} -p '{pattern}'"


def _is_test(path: str) -> bool:
    return os.path.dirname(path) in _TEST_FOLDERS and is_test_name(path)


def is_test_name(path: str) -> bool:
    """Say whether a file has the name of a test, wherever it is."""
    return any(fnmatch(os.path.basename(path), each) for each in _TEST_FILES)


def _has_target(files: Mapping[str, str]) -> bool:
    return bool(_TARGET.search(files.get("Makefile", "") or files.get("makefile", "")))


def _is_configured(files: Mapping[str, str]) -> bool:
    if "pytest.ini" in files or "[tool:pytest]" in files.get("setup.cfg", ""):
        return True
    try:
        tool = tomllib.loads(files.get("pyproject.toml", "")).get("tool", {})
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    return isinstance(tool, dict) and "pytest" in tool


def _others(files: Mapping[str, str]) -> list[tuple[str, str, str]]:
    found = []
    if _has_npm_test(files.get("package.json", "")):
        found.append(("npm", "npm test", "a package.json with a script `test`"))
    if "Cargo.toml" in files:
        found.append(("cargo", "cargo test", "a Cargo.toml"))
    if "go.mod" in files:
        found.append(("go", "go test ./...", "a go.mod"))
    return found


def _has_npm_test(text: str) -> bool:
    try:
        script = json.loads(text)["scripts"]["test"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(script, str) and bool(script.strip()) and _NO_NPM_TEST not in script


def listing(folder: str) -> dict[str, str]:
    """Return the files of a tree that `detect` looks at, with their texts."""
    names = list(FILES)
    for each in _TEST_FOLDERS:
        place = os.path.join(folder, each)
        if os.path.isdir(place) and not os.path.islink(place):
            inside = sorted(os.listdir(place))
            names += [
                os.path.join(each, name)
                for name in inside
                if _is_test(f"{each}/{name}".lstrip("/"))
            ]
    found = {}
    for name in names[:MOST_FILES]:
        text = _text(os.path.join(folder, name))
        if text is not None:
            found[name] = text
    return found


def _text(path: str) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        os.close(fd)


def found_checks(folder: str) -> Found:
    """Return the checks that a folder has on this machine."""
    return detect(listing(folder), is_there)


def is_there(program: str) -> bool:
    """Say whether a program can be run; of a module of Python, whether that Python has it."""
    name, _, rest = program.partition(" ")
    folders = filter(os.path.isabs, os.environ.get("PATH", os.defpath).split(os.pathsep))
    if shutil.which(name, path=os.pathsep.join(folders)) is None:
        return False
    return not rest or _imports(program).status == 0


def _imports(program: str) -> Ran:
    # Not in the tree, whose files the agent wrote: Python would import from there.
    return run_leashed_shell(
        f"exec {program} --version",
        timeout_seconds=_ASK_SECONDS,
        cwd="/",
        tail_characters=_TAIL,
        env=os.environ,
    )
