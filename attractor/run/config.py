"""The settings of a node, and where each came from.

One order: command line, environment (`ATTRACTOR_STUCK_AFTER`), node attribute, graph attribute,
`.attractor.yaml` of the project, the user's `~/.config/attractor/config.yaml`, default. Every value
that is given is checked, also where another one counts; a bad one is an InputError that names its
place. Reads those two files and nothing else; a file that is not there gives nothing. The files
hold plain words, numbers and lists of them: no nesting, no anchors.
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from attractor.errors import InputError
from attractor.run import settings_file
from attractor.run.assignment import AGENTS, SANDBOXES, WORKERS
from attractor.run.limits import FIELDS, SECONDS, Limits, duration, for_rehearsal, number

PROJECT_FILE: Final = ".attractor.yaml"
_USER_FILE: Final = os.path.join("attractor", "config.yaml")
_PREFIX: Final = "ATTRACTOR_"
# An agent writes there: what it says about its own limits does not count.
_WORKTREES: Final = f"{os.sep}.claude{os.sep}worktrees{os.sep}"
_SKILL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_SWITCH: Final = ("on", "off")

Plain = str | int | float | tuple[str, ...]


@final
class Source(enum.Enum):
    """Where a value came from, the strongest first."""

    COMMAND_LINE = "command line"
    ENVIRONMENT = "environment"
    NODE = "node attribute"
    GRAPH = "graph attribute"
    PROJECT = "project"
    USER = "user"
    DEFAULT = "default"


@final
@dataclass(frozen=True, slots=True)
class Setting:
    """One name that a person may give a value."""

    name: str
    default: Plain
    about: str
    choices: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    """Its names in DOT, where there are others than its own."""

    @property
    def is_limit(self) -> bool:
        """Whether it is one of the numbers of `Limits`."""
        return self.name in FIELDS


SETTINGS: Final = {
    each.name: each
    for each in (
        Setting("agent", "claude", "what carries a node out", AGENTS),
        Setting("workers", "subagent", "how the orchestrator's workers are started", WORKERS),
        Setting(
            "model", "", "the model; empty for the agent's own choice", (), ("model", "llm_model")
        ),
        Setting("worker_model", "", "the model of the workers; empty for the orchestrator's"),
        Setting("retry_model_2", "", "the model of a second attempt; empty for that of the first"),
        Setting(
            "retry_model_3", "", "the model of the third and later ones; empty for the second's"
        ),
        Setting("plan_model", "", "the model that plans, and plans again; empty for the default"),
        Setting("judge_model", "", "the model that judges; empty for that of the work"),
        Setting("second_model", "", "the model that looks again; empty for the one that judges"),
        Setting("judge_agent", "claude", "the agent that judges"),
        Setting("review_model", "", "the model that reviews; empty for the one that judges"),
        Setting(
            "review",
            "self",
            "who reviews what was judged good: `self`, and after it other agents, one of which "
            "reviews it, too: the first that is there",
        ),
        Setting("memory", "on", "whether earlier work is remembered, and told", _SWITCH),
        Setting("replan", "on", "whether a node that leads nowhere is planned again", _SWITCH),
        Setting("sandbox", "auto", "the wall around a session", SANDBOXES),
        Setting(
            "claude",
            "",
            "the program; empty for the one on `PATH`, and if there is none, the one inside of "
            "`attractor[sdk]`; a rehearsal takes that one first",
        ),
        Setting("skills", (), "skills that are named in the prompt"),
        Setting(
            "checks",
            (),
            "commands that must succeed before a node is handed in",
            (),
            ("check", "checks"),
        ),
        *(
            Setting(name, getattr(Limits(), name), each.metadata["about"])
            for name, each in FIELDS.items()
        ),
    )
}
_LISTS: Final = frozenset({"skills", "checks"})


@final
@dataclass(frozen=True, slots=True)
class Value:
    """What a setting is, and why."""

    value: Plain
    source: Source
    where: str = ""


@final
@dataclass(frozen=True, slots=True)
class Layer:
    """Values from one place, checked."""

    source: Source
    values: Mapping[str, Value]


@final
@dataclass(frozen=True, slots=True)
class Config:
    """All that is given beside the pipeline."""

    command_line: Layer
    environment: Layer
    project: Layer
    user: Layer


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of one node."""

    values: Mapping[str, Value]
    limits: Limits

    def word(self, name: str) -> str:
        """Return a setting that is one word."""
        value = self.values[name].value
        assert isinstance(value, str)
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """Return a setting that is a list."""
        value = self.values[name].value
        assert isinstance(value, tuple)
        return value

    @property
    def sources(self) -> dict[str, Source]:
        """Where each came from."""
        return {name: value.source for name, value in self.values.items()}


def load(project: str | None, environ: Mapping[str, str], words: Sequence[str] = ()) -> Config:
    """Return what the command line (`NAME=VALUE`), the environment and the two files give."""
    return Config(
        _layer(Source.COMMAND_LINE, _from_words(words)),
        _layer(Source.ENVIRONMENT, _from_environment(environ)),
        _layer(Source.PROJECT, _from_file(project_file(project) if project else None)),
        _layer(Source.USER, _from_file(user_file(environ))),
    )


def rehearsed(settings: Settings) -> Limits:
    """Return the limits for a rehearsal; what the command line asks for counts as it is."""
    asked: dict[str, Any] = {
        name: value.value
        for name, value in settings.values.items()
        if name in FIELDS and value.source is Source.COMMAND_LINE
    }
    return replace(for_rehearsal(settings.limits), **asked)


def resolve(
    node_attrs: Mapping[str, str], graph_attrs: Mapping[str, str], config: Config
) -> Settings:
    """Return every setting of a node; attributes that are no settings are left alone."""
    layers = (
        config.command_line,
        config.environment,
        _layer(Source.NODE, _from_attributes(node_attrs)),
        _layer(Source.GRAPH, _from_attributes(graph_attrs)),
        config.project,
        config.user,
    )
    values = {name: _first(name, layers) for name in SETTINGS}
    try:
        limits = Limits.from_json({name: values[name].value for name in FIELDS})
    except InputError as error:
        raise InputError(error.problem, where=_where(values), fix=error.fix) from None
    return Settings(values, limits)


def shown(name: str, value: Plain) -> str:
    """Return a value as it is written."""
    if isinstance(value, tuple):
        return "\n".join(value)
    if not isinstance(value, str) and FIELDS[name].metadata["unit"] == SECONDS:
        return duration(value)
    return str(value)


def find_project(start: str) -> str | None:
    """Return the git checkout around a folder; from inside a node's worktree, the main one."""
    here = os.path.realpath(start)
    at = (here + os.sep).find(_WORKTREES)
    here = here if at < 0 else here[:at] or os.sep
    while not os.path.lexists(os.path.join(here, ".git")):
        above = os.path.dirname(here)
        if above == here:
            return None
        here = above
    return here


def project_file(project: str) -> str:
    """Return the file with a project's settings."""
    return os.path.join(project, PROJECT_FILE)


def user_file(environ: Mapping[str, str]) -> str:
    """Return the file with the user's settings."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME") or os.path.expanduser("~")
        base = os.path.join(home, ".config")
    return os.path.join(base, _USER_FILE)


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return _PREFIX + name.upper()


def _first(name: str, layers: Sequence[Layer]) -> Value:
    found = (layer.values[name] for layer in layers if name in layer.values)
    return next(found, Value(SETTINGS[name].default, Source.DEFAULT))


def _where(values: Mapping[str, Value]) -> str:
    given = (values[name].where for name in ("cooldown_min", "cooldown_max"))
    return next((where for where in given if where), "")


# Each way of giving values: name, text, place.

_Triples = Iterator[tuple[str, settings_file.Given, str]]


def _layer(source: Source, given: _Triples) -> Layer:
    made = {name: Value(_checked(name, text, where), source, where) for name, text, where in given}
    return Layer(source, made)


def _from_words(words: Sequence[str]) -> _Triples:
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            fix = "write for example stuck_after=15m"
            raise InputError(f"{word!r:.80} is not NAME=VALUE", where="--set", fix=fix)
        yield _known(name.strip(), "--set"), text, f"--set {name.strip()}"


def _from_environment(environ: Mapping[str, str]) -> _Triples:
    for name in SETTINGS:
        if text := environ.get(variable(name)):
            yield name, text, f"${variable(name)}"


def _from_attributes(attrs: Mapping[str, str]) -> _Triples:
    for setting in SETTINGS.values():
        for attribute in setting.attributes or (setting.name,):
            if attribute in attrs:
                yield setting.name, attrs[attribute], f"the attribute {attribute}"
                break


def _from_file(path: str | None) -> _Triples:
    for name, given, where in settings_file.read(path) if path else ():
        yield _known(name, where), given, where


# What each value must be.


def _known(name: str, where: str) -> str:
    if name in SETTINGS:
        return name
    import difflib  # only for a typing error

    near = difflib.get_close_matches(name, SETTINGS, n=1)
    fix = f"did you mean {near[0]}?" if near else "`attractor config show` lists the names"
    raise InputError(f"there is no setting {name!r:.60}", where=where, fix=fix)


def _checked(name: str, given: settings_file.Given, where: str) -> Plain:
    try:
        return _value(SETTINGS[name], given)
    except InputError as error:
        raise InputError(error.problem, where=where, fix=error.fix) from None


def _value(setting: Setting, given: settings_file.Given) -> Plain:
    if setting.name in _LISTS:
        return _list(setting.name, given)
    if not isinstance(given, str):
        raise InputError(f"{setting.name} is one value, not a list", fix="give one")
    return number(setting.name, given) if setting.is_limit else _word(setting, given.strip())


def _word(setting: Setting, text: str) -> str:
    if setting.choices and text not in setting.choices:
        fix = f"write one of {', '.join(setting.choices)}"
        raise InputError(f"{setting.name} cannot be {text!r:.60}", fix=fix)
    if any(ord(each) < ord(" ") for each in text):
        raise InputError(f"{setting.name} has a control character in it", fix="write one word")
    if setting.name == "claude" and os.sep in text and not os.path.isabs(text):
        raise InputError(
            f"claude cannot be {text!r:.60}: whose folder would it be in?",
            fix="write an absolute path, or a name that is found on PATH",
        )
    return text


def _list(name: str, given: settings_file.Given) -> tuple[str, ...]:
    if isinstance(given, str):
        given = tuple(given.splitlines() if name == "checks" else re.split(r"[\s,]+", given))
    items = tuple(each.strip() for each in given if each.strip())
    for each in items:
        if "\0" in each or (name == "skills" and not _SKILL.fullmatch(each)):
            fix = "a skill's name has letters, digits, `.`, `_` and `-`"
            raise InputError(f"{name} cannot have {each!r:.60}", fix=fix)
    return items
