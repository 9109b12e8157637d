"""`attractor rehearse serve`, as a process of its own."""

from __future__ import annotations

import contextlib
import json
import selectors
import signal as posix_signals
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

DEADLINE_SECONDS = 60
SCRIPT = "version: 1\nroles: {main: [say: hello]}\n"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    (tmp_path / "s.yaml").write_text(SCRIPT)
    with contextlib.ExitStack() as running:

        def start(*options: str) -> subprocess.Popen[str]:
            argv = [sys.executable, "-I", "-m", "attractor", "rehearse", "serve", "s.yaml"]
            child = running.enter_context(
                subprocess.Popen(
                    [*argv, *options],
                    cwd=tmp_path,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            running.callback(child.kill)
            assert child.stdout
            with selectors.DefaultSelector() as ready:
                ready.register(child.stdout, selectors.EVENT_READ)
                assert ready.select(DEADLINE_SECONDS)
            return child

        yield start


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout
    return child.stdout.readline()


def ask(url: str) -> Any:
    body = {"model": "m", "messages": [], "tools": [{"name": "Bash"}]}
    asked = urllib.request.Request(f"{url}/v1/messages", json.dumps(body).encode())
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(asked, timeout=DEADLINE_SECONDS) as answer:
        return json.loads(answer.read())["content"][0]["text"]


@pytest.mark.parametrize("stop", [posix_signals.SIGINT, posix_signals.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(
    stop: posix_signals.Signals, serve: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    child = serve("--log", "log.jsonl")
    url = line(child).rstrip("\n")
    assert ask(url) == "hello"
    child.send_signal(stop)
    out, err = child.communicate(timeout=DEADLINE_SECONDS)
    assert (child.returncode, out, err) == (0, "", "")
    (logged,) = (tmp_path / "log.jsonl").read_text().splitlines()
    assert json.loads(logged)["path"] == "/v1/messages"


def test_json_gives_the_address_in_one_object(
    serve: Callable[..., subprocess.Popen[str]],
) -> None:
    child = serve("--json")
    child.send_signal(posix_signals.SIGTERM)
    out, _ = child.communicate(timeout=DEADLINE_SECONDS)
    said = json.loads(out)
    assert said["status"] == "ok"
    assert said["base_url"].startswith("http://127.0.0.1:")


def test_a_script_with_a_mistake_is_refused_with_its_place(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "s.yaml").write_text("version: 1\nroles:\n  main:\n    - sai: x\n")
    said = cli("rehearse", "serve", tmp_path / "s.yaml", "--json")
    assert said.status == 1
    assert said.json()["where"] == f"{tmp_path}/s.yaml:4:7"
    assert said.json()["message"] == "there is no key 'sai' here"


def test_a_port_that_cannot_be_is_wrong_usage(cli: Callable[..., Any]) -> None:
    assert cli("rehearse", "serve", "s.yaml", "--port", "65536").status == 2
