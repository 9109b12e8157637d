"""What a Runner is told to do: one JSON document, written before the Runner is started.

An assignment that loads is complete and of the right types, and its paths are absolute and lie
where they belong; anything else is an InputError that names the key. Not checked: that the
commit, the program or the project exist (`preflight` does that). Read without pydantic, because
a Runner keeps what it imports for a whole night.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Final, final

from attractor.errors import InputError
from attractor.run.layout import RunLayout
from attractor.run.limits import Limits

SCHEMA_VERSION: Final = 1
AGENTS: Final = ("claude", "claude-headless", "codex", "command", "gemini", "opencode")
ALONE: Final = ("codex", "gemini", "opencode")
"""Those that have no workers and no hooks of ours: they do the work themselves."""
PRICELESS: Final = ("codex", "gemini")
"""Those that tell what tokens they used, and never what these cost."""
WORKERS: Final = ("subagent", "team")
SANDBOXES: Final = ("auto", "required", "off")
_MOST_BYTES: Final = 4 * 1024 * 1024
_OTHERS_WRITE: Final = 0o022
_CHOICES: Final = {"agent": AGENTS, "workers": WORKERS, "sandbox": SANDBOXES}
_PATHS: Final = ("project", "run_root", "worktree")
_BY_HAND: Final = "an assignment is written by the Guardian or by `attractor rehearse node`"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One node, one attempt."""

    run_id: str
    node_id: str
    attempt: int
    project: str
    """The main checkout."""
    run_root: str
    base_commit: str
    branch: str
    worktree: str
    target_dir: str = ""
    """The folder inside the repository that the work is about."""
    label: str = ""
    prompt: str = ""
    acceptance: str = ""
    prd_ref: str = ""
    sd_path: str = ""
    files: tuple[str, ...] = ()
    worker_type: str = ""
    agent: str = "claude"
    command: str = ""
    """What the agent `command` runs."""
    workers: str = "subagent"
    model: str = ""
    worker_model: str = ""
    """The workers' model; empty for the orchestrator's."""
    skills: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    """What the session must not see, beside what it never sees."""
    sandbox: str = "auto"
    limits: Limits = field(default_factory=Limits)
    base_url: str = ""
    """The scripted model's address: then this is a rehearsal."""
    claude: str = ""
    """The program; empty for the one that is found."""
    feedback: str = ""
    """What the judge said about the attempt before."""
    memory: str = ""
    """What earlier work has taught, as it is told."""
    skill: str = ""
    """How the work is to be done, as its plan says."""

    @property
    def layout(self) -> RunLayout:
        """The run's paths."""
        return RunLayout(self.run_root)

    @property
    def rehearsed(self) -> bool:
        """Whether the model is a scripted one."""
        return bool(self.base_url)

    @property
    def alone(self) -> bool:
        """Whether the agent does the work itself, without workers."""
        return self.agent in ALONE

    @property
    def work_folder(self) -> str:
        """Where in the worktree the session works."""
        return os.path.join(self.worktree, self.target_dir) if self.target_dir else self.worktree

    def as_json(self) -> dict[str, Any]:
        """Return what `load` reads."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def dump(assignment: Assignment) -> bytes:
    """Return the document."""
    return json.dumps(assignment.as_json(), indent=2, ensure_ascii=False).encode() + b"\n"


def load(path: str) -> Assignment:
    """Read an assignment; InputError says what is wrong with it."""
    try:
        with open(path, "rb") as file:
            about = os.fstat(file.fileno())
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _error(f"cannot be read: {error.strerror}", path) from error
    # Whoever can write it says what is run, and in whose name.
    if about.st_uid != os.geteuid():
        raise _error("belongs to somebody else", path)
    if about.st_mode & _OTHERS_WRITE:
        raise _error("can be written by others", path)
    if len(data) > _MOST_BYTES:
        raise _error(f"is larger than {_MOST_BYTES} bytes", path)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _error("is not JSON", path) from error
    if not isinstance(value, dict):
        raise _error("is not a JSON object", path)
    return from_json(value, path)


def from_json(value: Mapping[str, Any], where: str) -> Assignment:
    """Return the assignment that a JSON object describes."""
    said = dict(value)
    if said.pop("schema_version", None) != SCHEMA_VERSION:
        raise _error(f"has not schema_version {SCHEMA_VERSION}", where)
    known = {each.name: each for each in fields(Assignment)}
    for key in said.keys() - known.keys():
        raise _error(f"has an unknown key {key!r:.60}", where)
    made: dict[str, Any] = {
        key: _value(key, said[key], str(known[key].type), where) for key in said
    }
    for key, each in known.items():
        if key not in made and each.default is MISSING and each.default_factory is MISSING:
            raise _error(f"is incomplete: the key {key!r} is missing", where)
    assignment = Assignment(**made)
    _check(assignment, where)
    return assignment


def _value(key: str, value: object, kind: str, where: str) -> object:
    match kind, value:
        case "Limits", dict():
            return _limits(key, value, where)
        case "int", int() if type(value) is int and value > 0:
            return value
        case "str", str() if "\0" not in value:
            return value
        case _, list() if kind.startswith("tuple") and all(type(each) is str for each in value):
            return tuple(value)
        case _:
            pass
    raise _error(f"{key!r} is not {_LEGAL.get(kind, 'a list of texts')}", where)


_LEGAL: Final = {"Limits": "a JSON object", "int": "a number above 0", "str": "text"}


def _limits(key: str, value: Mapping[str, Any], where: str) -> Limits:
    try:
        return Limits.from_json(value)
    except InputError as error:
        raise _error(f"{key!r}: {error.problem}", where) from error


def _check(assignment: Assignment, where: str) -> None:
    for key, legal in _CHOICES.items():
        if getattr(assignment, key) not in legal:
            raise _error(f"{key!r} is not one of {', '.join(legal)}", where)
    for key in ("run_id", "node_id", "base_commit", "branch"):
        if not getattr(assignment, key):
            raise _error(f"{key!r} is empty", where)
    if assignment.agent == "command" and not assignment.command.strip():
        raise _error("'command' is empty, and the agent is one", where)
    _check_paths(assignment, where)


def _check_paths(assignment: Assignment, where: str) -> None:
    for key in _PATHS:
        path = getattr(assignment, key)
        if not os.path.isabs(path) or os.path.normpath(path) != path:
            raise _error(f"{key!r} is not an absolute, plain path", where)
    for path in assignment.hidden:
        if not os.path.isabs(path):
            raise _error(f"'hidden' has {path!r:.80}, which is not absolute", where)
    home = os.path.join(assignment.project, ".claude", "worktrees")
    if os.path.dirname(assignment.worktree) != home:
        raise _error(f"'worktree' is not a folder in {home}", where)
    target = assignment.target_dir
    if os.path.isabs(target) or ".." in target.split("/"):
        raise _error("'target_dir' leads out of the repository", where)


def _error(problem: str, where: str) -> InputError:
    return InputError(f"the assignment {problem}", where=where, fix=_BY_HAND)


def inside(folder: str, project: str, where: str) -> str:
    """Return a folder as it is called inside of the repository; empty for the repository itself."""
    if not folder:
        return ""
    inside = os.path.relpath(os.path.normpath(os.path.join(project, folder)), project)
    if inside.split(os.sep)[0] == os.pardir:
        problem = f"target_dir {folder!r:.80} leads out of the repository"
        fix = f"name a folder in {project}"
        raise InputError(problem, where=where, fix=fix)
    return "" if inside == os.curdir else inside
