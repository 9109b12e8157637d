"""`attractor init`: a project made ready, and our hooks in its `.claude/settings.json`.

The files that a project is given are those of `attractor.cli.init_project`; nothing that is there
is overwritten. The hooks go in last, and `--undo` takes them out again: what `settings.json` was
is kept beside it as `settings.json.attractor-backup` (empty: there was no file) before anything is
written; no backup is ever overwritten. Undo puts it back byte for byte as long as the file is what
we wrote; a file that was changed since loses our entries and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from typing import Final, NamedTuple

import click

from attractor.cli.output import dump, json_option, say
from attractor.errors import InputError, UsageError
from attractor.promise import settings
from attractor.promise.settings import Hook
from signals.atomic import fsync_folder, replace, storage_errors

_BACKUP: Final = "settings.json.attractor-backup"
_MOST_BACKUPS: Final = 1000
_MOST_BYTES: Final = 8 << 20


@click.command()
@click.argument("folder", metavar="[DIR]", default=os.curdir, type=click.Path())
@click.option("--hooks-only", is_flag=True, help="Install the hooks, and nothing else.")
@click.option("--trust", is_flag=True, help="Also have Claude Code trust the project.")
@click.option("--print", "only_print", is_flag=True, help="Show the hooks' file; write nothing.")
@click.option("--undo", is_flag=True, help="Take the hooks out again; the rest stays.")
@json_option
def init(
    folder: str, hooks_only: bool, trust: bool, only_print: bool, undo: bool, as_json: bool
) -> None:
    """Set up the project DIR (default: here); nothing that is there is overwritten.

    Makes what is missing: entries in .gitignore, .attractor.yaml with every setting commented out,
    .beads for its issues, pipelines/first.dot, and in .claude/settings.json, beside what is there,
    the Stop hook. A session that owns a promise is then held until the promise is kept; no other
    session is touched. Killed in between, it is completed by running it again.

    --trust changes one value in your own Claude configuration, so that sessions in this project
    and its worktrees start without a question.
    """
    _check_words(hooks_only=hooks_only, trust=trust, only_print=only_print, undo=undo)
    place = _Place.of(folder)
    if not (hooks_only or only_print or undo):
        _set_up(folder, place, trust=trust, as_json=as_json)
        return
    if only_print:
        click.echo(settings.merged(place.text(), this_hook(), place.file).text, nl=False)
        return
    did = _remove(place) if undo else _install(place)
    if as_json:
        shown = {"file": place.file, "changed": did.changed, "notes": did.notes}
        say(dump({"status": "ok", **shown, "message": did.message}))
        return
    say(did.message)
    for note in did.notes:
        say(f"note: {note}")


def _check_words(**given: bool) -> None:
    words = [
        f"--{name.replace('only_', '').replace('_', '-')}" for name, is_on in given.items() if is_on
    ]
    if len(words) > 1:
        raise UsageError(f"{' and '.join(words)} do not go together", fix="give one of them")


def _set_up(folder: str, place: _Place, *, trust: bool, as_json: bool) -> None:
    from attractor.cli import init_project

    if trust:
        init_project.check_trust(folder, os.environ)
    steps = [*init_project.made(folder)]
    did = _install(place)
    how = init_project.CHANGED if did.changed else init_project.THERE
    steps.append(init_project.Step("hooks", place.file, how, did.message.partition("\n")[0]))
    if trust:
        steps.append(init_project.trusted(folder, os.environ))
    notes = [*did.notes, *init_project.notes(folder)]
    if as_json:
        said = [step._asdict() for step in steps]
        say(dump({"status": "ok", "folder": folder, "steps": said, "notes": notes}))
        return
    for step in steps:
        say(str(step))
    for note in notes:
        say(f"note: {note}")
    say("next: commit this, read pipelines/first.dot, then `attractor lint pipelines/first.dot`")


class _Did(NamedTuple):
    changed: bool
    message: str
    notes: list[str]


class _Place(NamedTuple):
    """Where a project keeps its settings."""

    folder: str
    file: str

    @classmethod
    def of(cls, project: str) -> _Place:
        if not os.path.isdir(project):
            raise InputError("this is not a folder", where=project, fix="name a project's folder")
        if os.path.realpath(project) == os.path.realpath(os.path.expanduser("~")):
            problem = "this is your home folder, whose .claude holds your own settings"
            raise InputError(problem, where=project, fix="name a project's folder")
        folder = os.path.join(project, ".claude")
        return cls(folder, os.path.join(folder, "settings.json"))

    def data(self) -> bytes | None:
        if not os.path.lexists(self.file):
            return None
        return _read(self.file)

    def text(self) -> str | None:
        data = self.data()
        return None if data is None else _decoded(data, self.file)

    def backups(self) -> list[str]:
        """Return the backups, newest first."""
        names = [_backup_name(number) for number in range(1, _MOST_BACKUPS)]
        there = set(os.listdir(self.folder)) if os.path.isdir(self.folder) else set()
        return [os.path.join(self.folder, name) for name in reversed(names) if name in there]


def this_hook() -> Hook:
    """Return the hook of this installation, with the Python that runs now."""
    package = os.path.dirname(os.path.abspath(settings.__file__))
    return Hook(sys.executable, os.path.join(package, "stop_hook.py"))


def _read(path: str) -> bytes:
    with storage_errors("read", path):
        # Opening a FIFO would wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise InputError("this is not a file", where=path, fix="move it away")
            with open(fd, "rb", closefd=False) as file:
                data = file.read(_MOST_BYTES + 1)
        finally:
            os.close(fd)
    if len(data) > _MOST_BYTES:
        raise InputError(f"it is larger than {_MOST_BYTES} bytes", where=path, fix="move it away")
    return data


def _decoded(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("this is not UTF-8", where=f"{where}:{line}") from error


def _backup_name(number: int) -> str:
    return _BACKUP if number == 1 else f"{_BACKUP}-{number}"


def _install(place: _Place) -> _Did:
    before = place.text()
    new, notes = settings.merged(before, this_hook(), place.file)
    if new == before:
        return _Did(False, f"the stop hook is already in {place.file}", notes)
    there = before is not None and settings.installed(before, place.file)
    if not there:
        _back_up(place, before)
    replace(place.file, new.encode())
    if there:
        return _Did(True, f"brought the stop hook in {place.file} up to date", notes)
    message = f"installed the stop hook in {place.file}\nto take it out: attractor init --undo"
    return _Did(True, message, notes)


def _back_up(place: _Place, before: str | None) -> None:
    """Keep what is there; no backup at all says that not even the folder was."""
    if not os.path.isdir(place.folder):
        with storage_errors("create", place.folder):
            os.mkdir(place.folder)
            fsync_folder(os.path.dirname(place.folder))
        return
    data = (before or "").encode()
    mode = 0o644 if before is None else stat.S_IMODE(os.stat(place.file).st_mode)
    for number in range(1, _MOST_BACKUPS):
        path = os.path.join(place.folder, _backup_name(number))
        try:
            _publish(path, data, mode)
        except FileExistsError:
            if _read(path) != data:
                continue
        return
    raise InputError("there are too many backups", where=place.folder, fix=f"remove old {_BACKUP}*")


def _publish(path: str, data: bytes, mode: int) -> None:
    """Create a file whole, readable by no more people than the one that it is a copy of."""
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{os.urandom(4).hex()}")
    with storage_errors("publish", path):
        try:
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                os.fchmod(fd, mode)
                file.write(data)
                file.flush()
                os.fsync(fd)
            os.link(draft, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
        fsync_folder(folder)


def _remove(place: _Place) -> _Did:
    now = place.text()
    hook = None if now is None else settings.installed(now, place.file)
    if now is None or hook is None:
        return _Did(False, f"the stop hook is not in {place.file}", [])
    backups = {path: _read_backup(path) for path in place.backups()}
    for path, before in backups.items():
        if _makes(before, hook, path, now):
            _put_back(place, before)
            _unlink(path)
            return _Did(True, f"{place.file} is as it was before", [])
    if _makes(None, hook, place.file, now):
        _put_back(place, None)
        with contextlib.suppress(OSError):  # not empty: others use it too
            os.rmdir(place.folder)
        return _Did(True, f"{place.file} is gone, as it was before", [])
    keep_cap = any(before and _has_cap(before, path) for path, before in backups.items())
    replace(place.file, settings.removed(now, place.file, keep_cap=keep_cap).encode())
    note = "the file was changed since, so only our entries were taken out"
    left = [f"what it was before is still in {path}" for path in backups]
    return _Did(True, f"took the stop hook out of {place.file}", [note, *left])


def _makes(before: str | None, hook: Hook, where: str, now: str) -> bool:
    """Say whether installing into `before`, by us or by an earlier version, gives `now`."""
    with contextlib.suppress(InputError):  # a backup that somebody changed fits nothing
        made = (settings.EVENTS, settings.FIRST_EVENTS)
        return any(settings.merged(before, hook, where, each).text == now for each in made)
    return False


def _has_cap(before: str, path: str) -> bool:
    with contextlib.suppress(InputError):
        return settings.has_cap(before, path)
    return False


def _read_backup(path: str) -> str | None:
    return _decoded(_read(path), path) or None


def _put_back(place: _Place, before: str | None) -> None:
    if before is None:
        _unlink(place.file)
    else:
        replace(place.file, before.encode())


def _unlink(path: str) -> None:
    with storage_errors("remove", path):
        os.unlink(path)
        fsync_folder(os.path.dirname(path))
