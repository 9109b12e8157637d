"""Which mailboxes a command means: the harness's flat folder, or those of a run.

The flat folder is found as the harness finds it: `--dir`, else `$ATTRACTOR_SIGNALS_DIR`, else
`.claude/attractor/signals` of the git repository around the working directory, else the same in
the home folder. No git process is started, and nothing is created here.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from attractor.errors import InputError, StorageError, UsageError
from signals import sign
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.names import is_layer

if TYPE_CHECKING:
    from attractor.run.layout import RunLayout

_FOLDER_VARIABLE: Final = "ATTRACTOR_SIGNALS_DIR"
_FLAT: Final = os.path.join(".claude", "attractor", "signals")


class Place(NamedTuple):
    """Where signals are: a run, or (without one) the flat folder."""

    run: RunLayout | None
    folder: str

    @property
    def run_id(self) -> str | None:
        """The run that a signal sent here belongs to."""
        return None if self.run is None else os.path.basename(os.path.realpath(self.folder))


def place_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a verb `--dir` and `--run`, and hand them to it as one argument `place`."""

    @click.option("--dir", "folder", metavar="DIR", help="Use this flat folder.")
    @click.option("--run", metavar="RUN_DIR", help="Use the signed mailboxes of this run.")
    @functools.wraps(command)
    def with_place(*, folder: str | None, run: str | None, **others: Any) -> None:
        command(place=_place_at(folder, run), **others)

    return with_place


def _place_at(folder: str | None, run: str | None) -> Place:
    if folder is not None and run is not None:
        raise UsageError("--dir and --run exclude each other")
    if run is None:
        return Place(None, flat_folder(folder))
    from attractor.run.layout import RunLayout

    if not os.path.isdir(run):
        fix = "give the folder of one run, such as .claude/attractor/current"
        raise InputError("there is no such run", where=run, fix=fix)
    return Place(RunLayout(run), run)


def flat_folder(folder: str | None) -> str:
    """Return the flat folder that is meant; it need not exist."""
    given = folder or os.environ.get(_FOLDER_VARIABLE)
    if given:
        return given
    here = os.getcwd()
    while not os.path.exists(os.path.join(here, ".git")):
        above = os.path.dirname(here)
        if above == here:
            return os.path.join(os.path.expanduser("~"), _FLAT)
        here = above
    return os.path.join(here, _FLAT)


def mailbox_of(place: Place, target: str, node: str | None) -> Mailbox:
    """Return the one mailbox that this target reads."""
    if place.run is None:
        _check_layer(target)
        return Mailbox(place.folder, target=target, clock=SystemClock())
    folders = {"guardian": place.run.guardian_mailbox, "terminal": place.run.terminal_mailbox}
    if target == "runner":
        if node is None:
            raise UsageError("--node is needed: in a run every node's runner has its own mailbox")
        folders[target] = place.run.runner_mailbox(node)
    if target not in folders:
        raise _no_reader(target)
    if not os.path.isdir(folders[target]):
        fix = "a runner's mailbox is there once its node was dispatched; check --run and --node"
        raise InputError("this run has no such mailbox", where=folders[target], fix=fix)
    key = sign.read_key(place.run.key)
    return Mailbox(folders[target], key=key, clock=SystemClock())


def mailboxes_of(place: Place, target: str | None) -> Iterator[Mailbox]:
    """Yield every mailbox that this target, or anybody, reads; to look into, not to take from."""
    clock = SystemClock()
    if place.run is None:
        if target is not None:
            _check_layer(target)
        yield Mailbox(place.folder, target=target, clock=clock)
        return
    folders = {
        "guardian": [place.run.guardian_mailbox],
        "terminal": [place.run.terminal_mailbox],
        "runner": _runner_folders(place.run),
    }
    if target is not None and target not in folders:
        raise _no_reader(target)
    for reader, found in folders.items():
        if target in (None, reader):
            yield from (Mailbox(path, clock=clock) for path in found if os.path.isdir(path))


def _check_layer(target: str) -> None:
    # `send` lets through nobody else, so whoever waits for one waits for nothing.
    if not is_layer(target):
        fix = "a name has up to 64 letters, digits, '_' and '.' ('-' separates the parts of a name)"
        raise InputError(f"nobody can be called {target!r}", where="--target", fix=fix)


def _no_reader(target: str) -> InputError:
    fix = "a run's readers are guardian, terminal and runner"
    return InputError(f"nobody reads signals for {target!r} in a run", fix=fix)


def _runner_folders(run: RunLayout) -> list[str]:
    folder = os.path.dirname(run.runner_mailbox("any"))
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def put_away(mailbox: Mailbox, name: str, seconds: float, *, reader: str) -> bool:
    """Wait until its reader has acknowledged a signal; say whether it did so in time."""
    from signals.watch import Watch

    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    folders = [os.path.join(mailbox.folder, each) for each in ("processed", "quarantine")]
    with Watch(folders) as watch:
        while name not in mailbox.processed():
            if why := mailbox.quarantined().get(name):
                raise StorageError(f"{reader} could not read it: {why}", where=folders[1])
            left = deadline - clock.monotonic()
            if left <= 0:
                return False
            watch.wait(left)
    return True
