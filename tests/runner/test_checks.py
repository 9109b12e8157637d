"""The node's checks: one honest answer, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal as posix_signals
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.spawn import own_command
from runner import processes
from signals.owner import owner_of

Until = Callable[[Callable[[], bool]], None]
House = Any  # conftest.House; tests is no package


class Checks:
    """The child program, and what it is told."""

    def __init__(self, folder: Path, deadline: Any) -> None:
        self.folder = folder
        self._deadline = deadline
        self.out = folder / "check-abc.json"
        self.tree = folder / "tree"
        self.tree.mkdir()
        self.spec: dict[str, Any] = {
            "commands": [],
            "cwd": str(self.tree),
            "timeout": 30.0,
            "head": "abc",
            "env": {"PATH": os.environ["PATH"]},
            "fence": {"argv": [], "options": []},
            "out": str(self.out),
        }

    def argv(self, *commands: str, **said: Any) -> list[str]:
        path = self.folder / "check-abc.spec"
        path.write_text(json.dumps({**self.spec, "commands": commands, **said}))
        return own_command("runner.checks", str(path))

    def __call__(self, *commands: str, until: str = "", **said: Any) -> Any:
        """Run them and return the answer; `until`: the time is up when a command has said this."""
        argv = self.argv(*commands, **said)
        if until:
            argv = self._deadline.elsewhere(argv, word=until)
        done = subprocess.run(argv, capture_output=True, timeout=60, check=False, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        answer = json.loads(self.out.read_bytes())
        assert answer.pop("head") == "abc"
        assert answer.pop("seconds") >= 0
        return answer


@pytest.fixture
def checks(tmp_path: Path, deadline: Any) -> Checks:
    return Checks(tmp_path, deadline)


def test_green_is_said_when_every_command_ended_well(checks: Checks) -> None:
    answer = checks("touch one", "test -f one && touch two")
    assert answer == {"status": "green", "command": "", "exit": None, "tail": ""}
    assert sorted(os.listdir(checks.tree)) == ["one", "two"]


def test_no_commands_are_green(checks: Checks) -> None:
    assert checks()["status"] == "green"


def test_the_first_command_that_fails_is_named_and_the_last_one(checks: Checks) -> None:
    answer = checks("true", "echo out; echo err >&2; exit 3", "touch never")
    assert answer == {
        "status": "red",
        "command": "echo out; echo err >&2; exit 3",
        "exit": 3,
        "tail": "out\nerr\n",
    }
    assert os.listdir(checks.tree) == []


def test_bad_shell_is_red_and_says_so(checks: Checks) -> None:
    answer = checks("if then")
    assert answer["status"] == "red"
    assert "yntax error" in answer["tail"]


def test_the_tail_is_bounded_and_has_no_control_characters(checks: Checks) -> None:
    answer = checks("seq 100000; printf '\\033[31mred\\033[0m\\007 end'; exit 1")
    assert answer["tail"].endswith("100000\nred end")
    assert len(answer["tail"]) <= 4_000


def test_the_environment_is_the_given_one(checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    answer = checks("env; exit 1", env={"PATH": os.environ["PATH"], "GIVEN": "it's $(id)"})
    assert "GIVEN=it's $(id)\n" in answer["tail"]
    assert "A_SECRET" not in answer["tail"]


def test_a_package_of_the_judged_tree_is_not_imported(checks: Checks) -> None:
    for folder in (checks.tree, checks.folder):
        (folder / "runner").mkdir()
        (folder / "runner" / "__init__.py").write_text("raise SystemExit('hijacked')")
    assert checks("true")["status"] == "green"


def test_a_folder_that_is_not_in_the_tree_is_an_error(checks: Checks) -> None:
    answer = checks("true", cwd=str(checks.tree / "gone"))
    assert answer["status"] == "error"
    assert "gone" in answer["tail"]


@pytest.mark.parametrize("change", [{"commands": None}, {"env": 1}, {"fence": {}}, {"cwd": 7.5}])
def test_a_broken_question_is_an_error_never_silence(checks: Checks, change: Any) -> None:
    assert checks(**({"commands": ["true"]} | change))["status"] == "error"


def test_what_does_not_end_is_stopped_with_all_that_it_started(
    checks: Checks, until: Until
) -> None:
    hidden = "(trap '' TERM HUP; setsid sh -c 'echo $$ >pid; sleep 1000' &)"
    line = f"{hidden}; until [ -s pid ]; do :; done; echo begun; sleep 1000"
    answer = checks(line, timeout=1.0, until="begun\n")
    assert (answer["status"], answer["exit"]) == ("red", None)
    assert answer["tail"].startswith("begun\n")
    assert "did not end within 1 seconds" in answer["tail"]
    pid = int((checks.tree / "pid").read_text())
    assert owner_of(pid) is None


def test_the_time_is_for_all_commands_together(checks: Checks) -> None:
    answer = checks("sleep 0.6", "sleep 0.6", "sleep 0.6", timeout=1.0)
    assert answer["status"] == "red"
    assert answer["exit"] is None


def test_a_child_that_a_green_command_left_is_ended(checks: Checks, until: Until) -> None:
    line = "setsid sh -c 'echo $$ >pid; exec sleep 1000' >/dev/null 2>&1 &"
    answer = checks(f"{line} until [ -s pid ]; do :; done")
    assert answer["status"] == "green"
    pid = int((checks.tree / "pid").read_text())
    assert owner_of(pid) is None


def test_on_sigterm_there_is_no_answer_and_nothing_left(checks: Checks, until: Until) -> None:
    line = "setsid sh -c 'trap \"\" TERM; echo $$ >pid; sleep 1000' & sleep 1000"
    child = subprocess.Popen(checks.argv(line), cwd=checks.folder, start_new_session=True)
    pid = checks.tree / "pid"
    until(lambda: pid.exists() and pid.read_text().endswith("\n"))
    child.terminate()
    assert child.wait(30) == 143
    assert not checks.out.exists()
    assert owner_of(int(pid.read_text())) is None


def test_only_the_answer_is_left_in_the_folder(checks: Checks) -> None:
    checks("true")
    assert sorted(os.listdir(checks.folder)) == ["check-abc.json", "check-abc.spec", "tree"]


# -- behind the fence -------------------------------------------------------------------------


def _fenced(house: House, checks: Checks, *commands: str, **said: Any) -> Any:
    wrapped = house.wrapped(report=True)
    checks.out = Path(house.layout.results("one")) / "check-abc.json"
    return checks(
        *commands,
        cwd=str(house.worktree),
        fence={"argv": wrapped.argv, "options": wrapped.options},
        out=str(checks.out),
        env={**house.environ},
        **said,
    )


def test_the_checks_run_behind_the_sessions_fence(house: House, checks: Checks) -> None:
    answer = _fenced(
        house, checks, "test -f file", f"cat {house.layout.key}; cat file; cat $HOME/.netrc; exit 1"
    )
    assert (answer["status"], answer["exit"]) == ("red", 1)
    assert "tracked" in answer["tail"]
    assert "the key" not in answer["tail"]
    assert "the password" not in answer["tail"]
    assert _fenced(house, checks, "test -f file")["status"] == "green"


def test_a_fence_that_cannot_be_made_is_an_error_not_red(house: House, checks: Checks) -> None:
    wrapped = house.wrapped(report=True)
    options = [*wrapped.options, "--bind", "/no/such/place", "/tmp/x"]
    checks.out = Path(house.layout.results("one")) / "check-abc.json"
    fence = {"argv": wrapped.argv, "options": options}
    answer = checks("true", cwd=str(house.worktree), fence=fence, out=str(checks.out))
    assert answer["status"] == "error"
    assert "/no/such/place" in answer["tail"]


def test_a_fence_that_runs_nothing_is_an_error_even_with_status_0(
    house: House, checks: Checks
) -> None:
    wrapped = house.wrapped(report=True)
    checks.out = Path(house.layout.results("one")) / "check-abc.json"
    once = f'[ -e {checks.folder}/was ] && exit 0; touch {checks.folder}/was; exec "$@"'
    fence = {"argv": ["/bin/sh", "-c", once, "sh", *wrapped.argv], "options": wrapped.options}
    answer = checks(
        "echo first", "echo second", cwd=str(house.worktree), fence=fence, out=str(checks.out)
    )
    assert (answer["status"], answer["command"]) == ("error", "echo second")


def test_behind_the_fence_a_deadline_ends_everything(
    house: House, checks: Checks, until: Until
) -> None:
    mark = f"HIDDEN_{os.getpid()}_{id(checks):x}"
    line = f"(setsid env -i {mark}=1 sh -c 'trap \"\" TERM; sleep 1000' &); echo begun; sleep 1000"
    answer = _fenced(house, checks, line, timeout=1.0, until="begun\n")
    assert (answer["status"], answer["exit"]) == ("red", None)
    wanted = f"{mark}=1".encode()
    everyone = filter(str.isdigit, os.listdir("/proc"))
    assert not [pid for pid in everyone if wanted in processes._environment(int(pid))]


def test_when_the_child_is_killed_the_fenced_command_dies(
    house: House, checks: Checks, until: Until
) -> None:
    wrapped = house.wrapped(report=True)
    mark = f"test-{os.getpid()}-{id(checks):x}"
    argv = checks.argv(
        "echo >begun; while :; do sleep 0.1; done",
        cwd=str(house.worktree),
        fence={"argv": wrapped.argv, "options": wrapped.options},
        env={**house.environ, "OURS": mark},
        out=str(Path(house.layout.results("one")) / "check-abc.json"),
    )
    child = subprocess.Popen(argv, start_new_session=True)
    until((house.worktree / "begun").exists)
    os.kill(child.pid, posix_signals.SIGKILL)
    child.wait(30)
    wanted = f"OURS={mark}".encode()

    def left() -> list[str]:
        everyone = filter(str.isdigit, os.listdir("/proc"))
        return [pid for pid in everyone if wanted in processes._environment(int(pid))]

    until(lambda: not left())
