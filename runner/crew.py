"""The workers of a session: who they are, and where their definitions come from.

A worker is a Markdown file with a head of YAML, as Claude Code has them: `NAME.md`. The project's
own (`.claude/agents/` of the main checkout) come before the person's (`agents/` in the folder of
Claude Code's configuration), and these before ours. They are read when a session is started, from
where the session cannot write, and given to it as they were read: nothing that a session writes
into its worktree changes a worker of ours in mid-run.

What a definition may say is listed in KEYS; hooks, servers and permissions are not taken over.
A definition that cannot be used is refused: a worker that is missing in silence is worse.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attractor.apart import apart
from attractor.errors import InputError
from attractor.run.assignment import Assignment
from signals.clock import Clock

HERE: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "agents")
OURS: Final = (
    "backend-solutions-engineer",
    "frontend-dev-expert",
    "solution-design-architect",
    "tdd-test-engineer",
    "worker",
)
KEYS: Final = ("tools", "disallowedTools", "model", "effort", "maxTurns", "skills")
MOST_BYTES: Final = 120_000
"""The kernel's bound for one argument is 128 KiB."""
_LISTS: Final = ("tools", "disallowedTools", "skills")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_HEAD: Final = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*\r?$\n?(.*)", re.DOTALL | re.MULTILINE)
_MOST_FILE: Final = 64 * 1024
_TIMEOUT_SECONDS: Final = 20.0

Crew = Mapping[str, Mapping[str, Any]]


def load(assignment: Assignment, environ: Mapping[str, str], clock: Clock) -> Crew:
    """Return the definitions of the workers, by name; InputError says which cannot be used."""
    folders = folders_of(assignment.project, environ)
    # In a child, because what reads YAML would stay in memory for the whole night.
    made: Crew = apart(lambda: crew(names(assignment), folders), clock, _TIMEOUT_SECONDS)
    return made


def names(assignment: Assignment) -> tuple[str, ...]:
    """Return the workers of a node: ours, and the one that it asks for."""
    asked = assignment.worker_type
    return (*OURS, asked) if asked and asked not in OURS else OURS


def folders_of(project: str, environ: Mapping[str, str]) -> list[str]:
    """Return the folders with definitions, the first one first."""
    home = environ.get("HOME", "")
    config = environ.get("CLAUDE_CONFIG_DIR") or (os.path.join(home, ".claude") if home else "")
    found = [os.path.join(project, ".claude", "agents")]
    if os.path.isabs(config):
        found.append(os.path.join(config, "agents"))
    return [*found, HERE]


def crew(wanted: Sequence[str], folders: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the definition of each name, from the first folder that has one."""
    found = {name: _first(name, folders) for name in wanted}
    size = len(as_argument(found).encode())
    if size > MOST_BYTES:
        problem = f"the workers' definitions have {size} bytes together; {MOST_BYTES} can be given"
        raise InputError(problem, where=folders[0], fix="make them shorter")
    return found


def as_argument(crew: Crew) -> str:
    """Return what `claude --agents` takes."""
    return json.dumps(crew, ensure_ascii=False)


def missing_skills(assignment: Assignment) -> tuple[str, ...]:
    """Return those of the node's skills that are not in its worktree."""
    folder = os.path.join(assignment.worktree, ".claude", "skills")
    return tuple(
        each
        for each in assignment.skills
        if not _NAME.fullmatch(each) or not os.path.isfile(os.path.join(folder, each, "SKILL.md"))
    )


def _first(name: str, folders: Sequence[str]) -> dict[str, Any]:
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r:.80} cannot be the name of a worker", fix=_known(folders))
    for folder in folders:
        path = os.path.join(folder, f"{name}.md")
        try:
            with open(path, "rb") as file:
                data = file.read(_MOST_FILE + 1)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise _error(f"cannot be read: {error.strerror}", path) from error
        return definition(name, data, path)
    raise InputError(f"there is no worker {name!r:.80}", fix=_known(folders))


def _known(folders: Sequence[str]) -> str:
    return f"use one of {', '.join(OURS)}, or define it in {folders[0]}/NAME.md"


def definition(name: str, data: bytes, where: str) -> dict[str, Any]:
    """Return what `--agents` takes for one worker, from its file."""
    head, body = _parts(data, where)
    if head.get("name", name) != name:
        raise _error(f"says `name: {head['name']}`, and not {name}", where)
    description = head.get("description")
    if not isinstance(description, str) or not description.strip() or not body:
        raise _error("lacks a description, or a text below its head", where)
    made: dict[str, Any] = {"description": description.strip(), "prompt": body}
    for key in KEYS:
        if head.get(key) is not None:
            made[key] = _value(key, head[key], where)
    return made


def _parts(data: bytes, where: str) -> tuple[Mapping[str, Any], str]:
    """Return the head and the text below it."""
    import yaml

    if len(data) > _MOST_FILE:
        raise _error(f"is larger than {_MOST_FILE} bytes", where)
    try:
        match = _HEAD.fullmatch(data.decode("utf-8-sig"))
        head = yaml.safe_load(match[1]) if match else None
    except UnicodeDecodeError as error:
        raise _error("is not UTF-8", where) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _error(f"has a head that is not YAML: {_line(error)}", where) from error
    if match is None or not isinstance(head, dict):
        raise _error("has no head of `key: value` lines between two lines of `---`", where)
    return head, match[2].strip()


def _value(key: str, value: object, where: str) -> object:
    if key in _LISTS:
        items = value.split(",") if isinstance(value, str) else value
        if isinstance(items, list) and all(isinstance(each, str) for each in items):
            return [each.strip() for each in items if each.strip()]
        raise _error(f"has {key!r}, which is not a list of names", where)
    if key == "maxTurns":
        if type(value) is int and value > 0:
            return value
        raise _error(f"has {key!r}, which is not a number above 0", where)
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise _error(f"has {key!r}, which is not a word", where)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _error(problem: str, where: str) -> InputError:
    fix = "correct it; its form is that of a subagent of Claude Code"
    return InputError(f"this worker's definition {problem}", where=where, fix=fix)
