"""What a project was found to be, and how that is told. Values only; `detect` finds them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, final

MOST_TEXT: Final = 12_000
"""Characters of `Project.as_text`, which goes into a prompt."""
_MOST_LINES: Final = 40
_MOST_LINE: Final = 400
_CUT: Final = "\n... and more"


@final
class Kind(enum.Enum):
    """How the project is laid out."""

    SINGLE = "single"
    MONO = "mono"
    """One repository of several components."""
    MULTI = "multi"
    """Several repositories below one folder."""


@final
@dataclass(frozen=True, slots=True)
class Language:
    """A language, and how many files there are of it."""

    name: str
    files: int


@final
@dataclass(frozen=True, slots=True)
class Component:
    """A part with a manifest of its own; `path` is relative to the project, "." its top."""

    name: str
    path: str
    kind: str
    """Which manifest says so: npm, python, cargo, go, ..., or repository."""
    description: str = ""


@final
@dataclass(frozen=True, slots=True)
class Command:
    """A command of the project, run in `path`."""

    purpose: str
    """test, lint or build."""
    command: str
    path: str = "."


@final
@dataclass(frozen=True, slots=True)
class Link:
    """One component, or service, needs another one."""

    of: str
    on: str
    why: str


@final
@dataclass(frozen=True, slots=True)
class Project:
    """What was detected; the notes say what could not be."""

    folder: str
    kind: Kind = Kind.SINGLE
    files: int = 0
    languages: tuple[Language, ...] = ()
    frameworks: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    dependencies: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    links: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return what `--json` shows."""
        return {**asdict(self), "kind": self.kind.value}

    def as_text(self) -> str:
        """Return what the planner is told, of bounded length."""
        text = "\n\n".join(filter(None, _sections(self)))
        return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - len(_CUT)]}{_CUT}"


def project_in(said: Mapping[str, Any]) -> Project:
    """Return what `as_json` said; KeyError, TypeError or ValueError where it did not."""

    def of(key: str, kind: Callable[..., Any]) -> tuple[Any, ...]:
        return tuple(kind(**each) for each in said[key])

    return Project(
        folder=str(said["folder"]),
        kind=Kind(said["kind"]),
        files=int(said["files"]),
        languages=of("languages", Language),
        frameworks=tuple(map(str, said["frameworks"])),
        components=of("components", Component),
        dependencies=tuple(map(str, said["dependencies"])),
        commands=of("commands", Command),
        links=of("links", Link),
        notes=tuple(map(str, said["notes"])),
    )


def _sections(project: Project) -> Iterator[str]:
    files = _count(project.files, "file")
    parts = _count(len(project.components), "component")
    head = f"Repository: {project.kind.value}, {files}, {parts}"
    written = ", ".join(f"{each.name} ({each.files})" for each in project.languages[:_MOST_LINES])
    yield "\n".join(filter(None, (head, written and f"Languages: {written}", _used(project))))
    yield _section("Components", (_about(each) for each in project.components))
    yield _section("Commands", (_run(each) for each in project.commands))
    needs = (f"{each.of} needs {each.on} ({each.why})" for each in project.links)
    yield _section("Which needs which", needs)
    yield _section("Not known", project.notes)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _used(project: Project) -> str:
    frameworks, needs = ", ".join(project.frameworks), ", ".join(project.dependencies)
    lines = (frameworks and f"Frameworks: {frameworks}", needs and f"Dependencies: {needs}")
    return "\n".join(map(_plain, filter(None, lines)))


def _about(component: Component) -> str:
    about = f": {component.description}" if component.description else ""
    return f"{component.name} in {component.path} ({component.kind}){about}"


def _run(command: Command) -> str:
    place = "" if command.path == "." else f" (in {command.path})"
    return f"{command.purpose}: {command.command}{place}"


def _section(title: str, lines: Iterable[str]) -> str:
    every = [f"- {_plain(each)}" for each in lines]
    more = [f"- and {len(every) - _MOST_LINES} more"] if len(every) > _MOST_LINES else []
    return "\n".join([f"{title}:", *every[:_MOST_LINES], *more]) if every else ""


def _plain(text: str) -> str:
    """Return it on one line, and bounded."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line if len(line) <= _MOST_LINE else f"{line[:_MOST_LINE]}..."
