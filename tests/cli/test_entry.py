"""The front door: what every verb has in common."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from attractor import __version__
from attractor.cli.main import VERBS
from attractor.cli.main import attractor as group

ENTRY = "import sys; from attractor.entry import main; sys.argv[0] = 'attractor'; main()"


def test_the_overview_names_every_verb(attractor: Callable[..., Any]) -> None:
    said = attractor("--help")
    assert (said.status, said.err) == (0, "")
    for verb, (_, _, line) in VERBS.items():
        assert any(text.split()[:1] == [verb] and line in text for text in said.out.splitlines())


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_can_be_loaded_and_has_help_and_json(verb: str) -> None:
    command = group.get_command(click.Context(group), verb)
    assert command is not None
    leaves = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    for leaf in leaves:
        assert leaf.help, f"{verb} {leaf.name} says nothing of itself"
        options = {word for option in leaf.params for word in option.opts}
        assert "--json" in options, f"{verb} {leaf.name}"


def test_the_version_is_the_package_s(attractor: Callable[..., Any]) -> None:
    assert attractor("--version").out == f"attractor, version {__version__}\n"


def test_a_misspelt_verb_is_wrong_usage_and_gets_a_hint(cli: Callable[..., Any]) -> None:
    said = cli("lnit")
    assert (said.status, said.out) == (2, "")
    assert "there is no command 'lnit'. Did you mean lint?" in said.err
    assert "Traceback" not in said.err


def test_wrong_usage_is_an_object_under_json(cli: Callable[..., Any]) -> None:
    said = cli("doctor", "--no-such-flag", "--json")
    assert said.status == 2
    error = json.loads(said.out)
    assert (error["status"], error["code"]) == ("error", "usage")
    assert "attractor doctor --help" in error["fix"]


@pytest.mark.parametrize("group", [(), ("node",), ("signal",)])
def test_no_verb_at_all_shows_the_overview_and_no_error(
    cli: Callable[..., Any], group: tuple[str, ...]
) -> None:
    said = cli(*group)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith(f"Usage: {' '.join(('attractor', *group))} ")
    assert "Commands:" in said.err
    assert "error:" not in said.err


_INTERRUPTED_WHILE_IT_LOADS = """
import sys
class CtrlC:
    def find_spec(self, name, *_):
        if name == "attractor.cli.main":
            raise KeyboardInterrupt
sys.meta_path.insert(0, CtrlC())
from attractor.entry import main
main()
"""


def test_ctrl_c_before_the_command_runs_ends_it_without_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _INTERRUPTED_WHILE_IT_LOADS, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_while_a_verb_runs_is_answered(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("attractor.tripwire.check_start", interrupted)
    said = cli("signal", "wait", "--target", "a")
    assert (said.status, said.out, said.err) == (130, "", "\nstopped\n")


def test_the_shell_can_ask_for_completions(tmp_path: Path) -> None:
    asked = {
        "_ATTRACTOR_COMPLETE": "bash_complete",
        "COMP_WORDS": "attractor li",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-I", "-m", "attractor"],
        cwd=tmp_path,
        env=os.environ | asked,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("plain,lint\n", "")


def test_a_reader_that_goes_away_is_met_with_silence(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "attractor", "--help"],
            cwd=tmp_path,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(("pythonpath", "isolated"), [("", "0"), ("/nonexistent", "1")])
def test_the_console_script_starts_itself_again_only_when_pythonpath_is_set(
    pythonpath: str, isolated: str, tmp_path: Path
) -> None:
    # The interpreter's own trace of imports shows whether the second start took place.
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, "--version"],
        cwd=tmp_path,
        env=env | ({"PYTHONPATH": pythonpath, "PYTHONVERBOSE": "1"} if pythonpath else {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == f"attractor, version {__version__}\n"
    # -I ignores PYTHONVERBOSE: once isolated, click is imported without a word on stderr.
    assert ("import 'click'" in done.stderr) is False
    assert ("import 'attractor.entry'" in done.stderr) is (isolated == "1")
