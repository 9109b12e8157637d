"""The crash sweep: a child that is killed at every file operation, and what is true afterwards.

No production code knows of it: the child (sweep_child.py) counts audit events and wraps the few
calls that raise none. It proves what holds after SIGKILL of the process. It says nothing of power
loss: which data had been fsynced is for the order-sensitive tests of each writer.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import shutil
import signal as posix_signals
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

_CHILD = Path(__file__).with_name("sweep_child.py")
_DEADLINE_SECONDS = 60
_SHOWN = "shown"


@dataclass(frozen=True)
class Death:
    """One run of the child: where it was killed, and what it had said until then."""

    point: int
    operation: str
    """Such as "before os.link tmp/a b"; empty if it finished by itself."""
    told: tuple[Any, ...]
    """What the program passed to `tell`, in order."""
    recovered: tuple[Any, ...]
    """What the `recover` function passed to `tell`."""

    @property
    def finished(self) -> bool:
        return not self.operation


@dataclass(frozen=True)
class Swept:
    """What a sweep covered."""

    points: int
    """Kill points of one whole run."""
    killed: int
    """How many of them were tried; fewer only when sampled."""


class _Children:
    """The warmed parent of all children of one sweep; ends with it, whatever happens."""

    def __init__(self, program: Path, errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as stderr:
            self._parent = subprocess.Popen(
                [sys.executable, "-I", os.fspath(_CHILD), os.fspath(program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The whole session: a child that hangs must not outlive a failed test.
        os.killpg(self._parent.pid, posix_signals.SIGKILL)
        with self._parent:
            self._parent.wait(_DEADLINE_SECONDS)

    def run(self, order: dict[str, Any]) -> list[list[Any]]:
        """Run one child to its end, and return its log."""
        stdin, stdout = self._parent.stdin, self._parent.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(order).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            pytest.fail(f"the program did not load:\n{self._errors.read_text()}")
        with selectors.DefaultSelector() as ready:
            ready.register(stdout, selectors.EVENT_READ)
            if not ready.select(_DEADLINE_SECONDS):
                pytest.fail(f"the child hangs: {order}\n{self._errors.read_text()}")
        reply = stdout.readline()
        if not reply:
            pytest.fail(f"the program did not load:\n{self._errors.read_text()}")
        status = os.waitstatus_to_exitcode(int(reply))
        log = [json.loads(line) for line in Path(order["log"]).read_text().splitlines()]
        ends = {kind: value for kind, value in log if kind != "told"}
        if status not in (0, -posix_signals.SIGKILL) or (status and "killed" not in ends):
            raise ChildError(ends.get("error", f"exit {status}"))
        return log


class ChildError(Exception):
    """The child ended in a way of its own: an exception, or a signal that was not ours."""


def _told(log: list[list[Any]]) -> tuple[Any, ...]:
    return tuple(value for kind, value in log if kind == "told")


def _end(log: list[list[Any]], kind: str, default: Any) -> Any:
    return next((value for found, value in log if found == kind), default)


@dataclass
class _Sweep:
    """One sweep in progress."""

    children: _Children
    home: Path
    fresh: Callable[[Path], object] | None
    check: Callable[[Path, Death], object]
    recover: str | None
    arguments: Sequence[Any]
    violations: list[str]

    def one(self, kill_at: int) -> tuple[Death | None, int]:
        """Kill at one point, recover, check; return what happened and the operations counted."""
        state = self.home / f"state-{kill_at}"
        state.mkdir()
        if self.fresh is not None:
            self.fresh(state)
        order = {"state": os.fspath(state), "arguments": list(self.arguments)}
        death, operation = None, "nothing"
        try:
            logs = os.fspath(self.home / f"log-{kill_at}")
            log = self.children.run(order | {"entry": "main", "kill_at": kill_at, "log": logs})
            operation = _end(log, "killed", "")
            after = []
            if self.recover is not None:
                order |= {"entry": self.recover, "kill_at": 0, "log": f"{logs}-recovery"}
                after = self.children.run(order)
            death = Death(kill_at, operation, _told(log), _told(after))
            self.check(state, death)
        except Exception as error:  # noqa: BLE001  # any error of check or recovery is a violation
            at = f"point {kill_at}, {operation or 'finished'}"
            self.violations.append(
                f"{at}: {type(error).__name__}: {error}\n  state kept in {state}"
            )
            return death, _end(log, "count", 0) if death else 0
        shutil.rmtree(state)
        return death, _end(log, "count", 0)

    def all(self, choose: Callable[[int], Sequence[int]]) -> Swept:
        whole, points = self.one(0)
        if whole is None:
            return Swept(0, 0)
        if not points and not self.violations:
            pytest.fail("the child changed nothing in its state folder: nothing was swept")
        chosen = choose(points)
        for point in chosen:
            self.one(point)
        return Swept(points, len(chosen))


def _seed(config: pytest.Config) -> int:
    given = os.environ.get("ATTRACTOR_SEED") or config.getoption("randomly_seed", 0)
    return int(given) if str(given).isdigit() else 0


@pytest.fixture
def sweep(
    request: pytest.FixtureRequest, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Callable[..., Swept]:
    """Kill a child at every file operation, and check after each death what must be true.

    ::

        PROGRAM = '''
        from pathlib import Path                 # the module body runs once, before any fork:
        from signals.atomic import publish       # imports cost nothing per kill

        def main(state, *arguments):             # runs in a fresh process for each kill point
            publish(state, "a.json", b"{}")      # state: the folder, absolute, also the cwd
            tell("published a")                  # recorded outside state; survives the kill

        def again(state, *arguments):            # optional: recovery, in a fresh process that
            tell(sorted(os.listdir(state)))      # is not killed and must not raise
        '''


        @pytest.mark.crash
        def test_a_published_file_is_whole_or_absent(sweep):
            def fresh(state):
                (state / "tmp").mkdir()

            def check(state, death):  # in the test's process; assert what must hold
                if "published a" in death.told:
                    assert (state / "a.json").read_bytes() == b"{}"

            swept = sweep("publish", PROGRAM, fresh=fresh, check=check, recover="again")
            assert swept.points > 4  # the sweep really saw something

    * Within `with uncounted():` of a program nothing is a kill point.
    * `program`: source text (dedented for you) or the Path of a Python file.
    * `fresh(state)` fills the empty state folder before each run; it is not counted.
    * Kill points: every audit event that changes a path under `state` (open for writing, rename,
      link, remove, mkdir, rmdir, symlink, truncate, chmod, utime), before it happens, and
      os.write (before, and with half of the bytes written), fsync, fdatasync, pwrite, writev,
      sendfile, before. Not seen: writes through Python file objects (only their open), an open
      relative to a dir_fd, and what a grandchild process does.
    * `death.told`, `death.recovered`: what was told; `death.operation`: where it was killed;
      `death.finished`: the run that was left alone, which is checked too (`death.point` is 0).
    * A check or recovery that raises is a violation; all are collected, then the test fails and
      the state folders of the violations are kept for a look.
    * More than `limit` points are sampled (first and last always; ATTRACTOR_SEED, else the seed
      of pytest-randomly); ATTRACTOR_FULL=1 tries all.

    Returns `Swept(points, killed)`, and with `show` has one line in the terminal summary.
    """
    sweeps: list[str] = []

    def run(
        name: str,
        program: str | Path,
        *,
        check: Callable[[Path, Death], object],
        fresh: Callable[[Path], object] | None = None,
        recover: str | None = None,
        arguments: Sequence[Any] = (),
        limit: int = 40,
        show: bool = True,
    ) -> Swept:
        home = tmp_path / f"sweep-{len(sweeps)}"
        home.mkdir()
        sweeps.append(name)
        file = home / "program.py"
        text = program.read_text() if isinstance(program, Path) else textwrap.dedent(program)
        file.write_text(text)
        seed = _seed(request.config)

        def choose(points: int) -> Sequence[int]:
            every = range(1, points + 1)
            if points <= limit or os.environ.get("ATTRACTOR_FULL") == "1":
                return every
            inner = random.Random(seed).sample(every[1:-1], limit - 2)
            return sorted([1, points, *inner])

        violations: list[str] = []
        with _Children(file, home / "stderr") as children:
            state = _Sweep(children, home, fresh, check, recover, arguments, violations)
            swept = state.all(choose)
        sampled = f" (sampled {swept.killed}, seed {seed})" if swept.killed < swept.points else ""
        counted = f"{swept.points} kill points{sampled}, {len(violations)} violations"
        line = f"crash sweep, {name}: {counted}"
        if show:
            record_property(_SHOWN, line)
        if violations:
            shown = "\n".join(violations[:5])
            pytest.fail(f"{line}\n{shown}", pytrace=False)
        return swept

    return run
