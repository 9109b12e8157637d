"""What every verb owes its reader: one document, no control of the terminal, no traceback."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from attractor.cli import output
from attractor.cli.options import SECONDS
from attractor.errors import InputError

STEERING = "\x1b[2J\x07\r\x7f\x9b\u2028\u202e\u2066\u200f"
SHOWN = r"\u001b[2J\u0007\r\u007f\u009b\u2028\u202e\u2066\u200f"
GOOD = "digraph g { start [shape=Mdiamond]; done [shape=Msquare]; start -> done }\n"

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `attractor ARGUMENTS` with the streams that a test asks for, in `tmp_path`."""
    (tmp_path / "c.dot").write_text(GOOD)

    def call(
        *arguments: object, first: str = ":", redirect: str = "", **how: Any
    ) -> subprocess.CompletedProcess[bytes]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path} | how
        shell = ["sh", "-c", f'{first}; exec "$@" {redirect}', "sh"]
        argv = [sys.executable, "-I", "-m", "attractor", *map(str, arguments)]
        return subprocess.run([*shell, *argv], timeout=60, check=False, **streams)

    return call


@pytest.fixture
def closed_pipe() -> Any:
    """The end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


# What is printed steers no terminal


def test_what_steers_a_terminal_is_shown_as_an_escape() -> None:
    assert output.printable(f"a{STEERING}b") == f"a{SHOWN}b"
    assert output.printable("two\nlines\tand a tab") == r"two\nlines\tand a tab"
    assert output.printable(os.fsdecode(b"x\xff\x80\xe9")) == r"x\xff\x80\xe9"
    assert output.printable("\ud800") == r"\ud800"


@pytest.mark.parametrize("text", ["plain", "naïve ☃ 漢字", "👩\u200d🚀", "a\u00a0b \\ \"c\" 'd'"])
def test_other_text_is_shown_as_it_is(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert output.printable(text) == text
    output.say(text)
    assert capfd.readouterr().out == f"{text}\n"


def test_no_verb_can_forget_to_escape(capfd: pytest.CaptureFixture[str]) -> None:
    output.say(f"one{STEERING}\n\ttwo")
    output.note(f"note{STEERING}\n\tmore")
    out, err = capfd.readouterr()
    assert (out, err) == (f"one{SHOWN}\n\ttwo\n", f"note{SHOWN}\n\tmore\n")


def test_an_error_cannot_steer_either_nor_its_path_forge_a_second_line(
    cli: Callable[..., Any],
) -> None:
    said = cli("parse", f"no\nerror: {STEERING}.dot", "--json")
    assert said.status == 1
    assert said.err.startswith(rf"error: no\nerror: {SHOWN}.dot: There is no such file.")
    assert said.json()["where"] == f"no\nerror: {STEERING}.dot"


@pytest.mark.parametrize("text", [STEERING, "\ud800", os.fsdecode(b"\xff"), '\n\t"\\ \x00é☃👩'])
@pytest.mark.parametrize("indent", [2, None])
def test_json_says_exactly_what_it_is_given_and_is_plain_to_a_terminal(
    text: str, indent: int | None, capfd: pytest.CaptureFixture[str]
) -> None:
    output.say(output.dump({text: [text]}, indent=indent))
    out = capfd.readouterr().out
    assert json.loads(out) == {text: [text]}
    assert all(line.isprintable() for line in out.splitlines())


def test_json_is_utf8_where_a_file_name_is_not(run: Run) -> None:
    done = run("lint", os.fsdecode(b"x\xff.dot"), "--json", env={"LC_ALL": "C"})
    assert json.loads(done.stdout.decode("ascii"))["where"] == "x\udcff.dot"
    assert rb"x\xff.dot" in done.stderr


def test_what_the_encoding_of_the_output_cannot_say_is_escaped(tmp_path: Path) -> None:
    code = r"from attractor.cli.output import dump, say; say(dump('é☃👩')); say('é☃')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    document, text = done.stdout.decode("ascii").splitlines()
    assert (json.loads(document), text) == ("é☃👩", r"\u00e9\u2603")


# Streams that are closed, full, or read by nobody


@pytest.mark.parametrize("words", [("--help",), ("parse", "c.dot"), ("parse", "c.dot", "--json")])
def test_a_reader_that_has_gone_is_met_with_silence_and_0(
    run: Run, closed_pipe: int, words: tuple[str, ...]
) -> None:
    done = run(*words, stdout=closed_pipe)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("both", [False, True])
def test_an_error_keeps_its_status_when_nobody_reads_it(
    run: Run, closed_pipe: int, *, both: bool
) -> None:
    stderr = closed_pipe if both else subprocess.PIPE
    done = run("lint", "missing.dot", "--json", stdout=closed_pipe, stderr=stderr)
    assert done.returncode == 1
    assert both or done.stderr.startswith(b"error: missing.dot")
    assert both or b"Traceback" not in done.stderr


@full
@pytest.mark.parametrize("words", [("--help",), ("parse", "c.dot"), ("parse", "c.dot", "--json")])
def test_a_full_disk_behind_stdout_is_an_error_in_words(run: Run, words: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as disk:
        done = run(*words, stdout=disk)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@full
def test_a_full_disk_behind_stderr_changes_no_status(run: Run) -> None:
    with open("/dev/full", "wb") as disk:
        done = run("lint", "missing.dot", "--json", stderr=disk)
        assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "input")
        assert run("lint", "missing.dot", "--json", stdout=disk, stderr=disk).returncode == 1


def test_a_closed_stdout_is_an_error_in_words(run: Run) -> None:
    done = run("parse", "c.dot", redirect=">&-")
    assert done.returncode == 1
    assert b"standard output: cannot print the result: it is closed" in done.stderr


def test_a_stdout_that_cannot_be_written_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open(os.devnull, encoding="utf-8") as only_read:
        monkeypatch.setattr(sys, "stdout", only_read)
        with pytest.raises(output.StorageError, match="cannot print"):
            output.check_stdout()


# Failures that no verb foresaw


def test_a_deleted_working_directory_is_said_in_words(run: Run, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    for words in (("signal", "list"), ("journal", "show", "p.dot"), ("signal", "tail")):
        done = run(*words, "--json", cwd=gone, first='rmdir "$PWD"', env={"PATH": os.defpath})
        gone.mkdir()
        assert done.returncode == 1, words
        assert b"error: the working directory was deleted" in done.stderr
        assert json.loads(done.stdout)["code"] == "input"


@pytest.mark.parametrize("filename", [None, "some/file", b"bytes", 3])
def test_any_other_refusal_of_the_system_is_said_in_words(
    filename: object, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused() -> None:
        raise OSError(errno.EMFILE, "Too many open files", filename)

    with pytest.raises(SystemExit) as end:
        output.guard(refused)
    assert end.value.code == 1
    err = capfd.readouterr().err
    assert "the system refused: Too many open files" in err
    assert ("some/file" in err) == (filename == "some/file")


# One document


def test_an_error_after_the_document_is_told_in_words_only(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["attractor", "--json"])

    def answers_and_fails(*, more: bool) -> None:
        output.say(output.dump({"line": 1}, indent=None), more=more)
        raise InputError("too late")

    for more, lines in ((False, 1), (True, 2)):
        with pytest.raises(SystemExit):
            output.guard(lambda more=more: answers_and_fails(more=more))  # type: ignore[misc]
        out, err = capfd.readouterr()
        assert len([json.loads(line) for line in out.splitlines()]) == lines
        assert "error: too late" in err


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("lint", "missing.dot", "--json"), 1),
        (("lint", "--output", "json", "missing.dot"), 1),
        (("lint", "--output=json", "missing.dot"), 1),
        (("lint", "missing.dot", "--json", "--no-such-flag"), 2),
        (("lint", "--output", "json", "--no-such-flag"), 2),
        (("lint", "--output=json", "--no-such-flag"), 2),
        (("lint", "--json"), 2),
        (("parse", "--json"), 2),
        (("signal", "wait", "--json", "--timeout", "nan"), 2),
        (("signal", "tail", "--json", "--run", "/no/such/run"), 1),
        (("no-such-verb", "--json"), 2),
    ],
)
def test_an_error_is_one_document_where_json_was_asked_for(
    cli: Callable[..., Any], words: tuple[str, ...], status: int
) -> None:
    said = cli(*words)
    assert said.status == status
    assert said.json()["status"] == "error"
    assert said.err.startswith("error: ")


@pytest.mark.parametrize(
    "words",
    [
        ("transition", "missing.dot", "a", "active", "--reason", "--json"),
        ("transition", "missing.dot", "a", "active", "--reason=--json"),
        ("parse", "--", "--json"),
        ("render", "missing.dot", "--output", "json"),
        ("signal", "read", "missing.json"),
        ("signal", "wait", "--timeout", "nan", "--target", "--json"),
    ],
)
def test_the_value_of_another_option_does_not_ask_for_json(
    cli: Callable[..., Any], words: tuple[str, ...]
) -> None:
    said = cli(*words)
    assert (said.status, said.out) == (2 if "nan" in words else 1, "")
    assert said.err.startswith("error: ")


# Seconds


@pytest.mark.parametrize("given", ["nan", "-nan", "inf", "1e999", "-1", "-0.001", "soon", "", "1s"])
def test_seconds_are_finite_and_not_negative(given: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a number of seconds, 0 or more"):
        SECONDS.convert(given, None, None)


@pytest.mark.parametrize(("given", "seconds"), [("0", 0.0), ("1.5", 1.5), ("1e3", 1e3), (300, 300)])
def test_seconds_may_be_any_other_number(given: object, seconds: float) -> None:
    assert SECONDS.convert(given, None, None) == seconds
