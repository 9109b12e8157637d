"""Asks Codex through its command line: `codex exec --json`, the prompt on stdin.

Read-only is Codex's own sandbox around every command that the model runs: nothing can be written
and no network reached, but every file of the machine that the person can read can be read. The
question's `tools` and `max_turns` are not known to Codex. Of the folder that is looked at, project
documents, configuration and rules are left out; a skill in it is not.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attractor.agents.answer import Answer
from attractor.agents.codex_events import answer_of
from attractor.agents.headless import Call, Prepared, Program, ask_program
from attractor.agents.question import Question
from signals.clock import Clock

INSTALL: Final = "install Codex: npm install -g @openai/codex@0.169.0"
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def ask(question: Question, clock: Clock) -> Answer:
    """Ask the question; nothing of the program is left when this returns."""
    return ask_program(question, clock, PROGRAM)


def _call(prepared: Prepared) -> Call:
    question = prepared.question
    argv = [
        prepared.program,
        "exec",
        "--json",
        "--sandbox=read-only",
        "--skip-git-repo-check",
        "--ephemeral",
        "--ignore-rules",
        "--color=never",
        f"--cd={question.cwd}",
        "--config=project_doc_max_bytes=0",
        "--config=skills.include_instructions=false",
        f"--config=projects={{{_text(question.cwd)}={{trust_level='untrusted'}}}}",
    ]
    if is_strict(question.schema):
        path = os.path.join(prepared.folder, "schema.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(question.schema, file)
        argv.append(f"--output-schema={path}")
    if question.model:
        argv.append(f"--model={question.model}")
    argv += [f"--config={each}" for each in overrides(question.settings)]
    return Call([*argv, "-"], prepared.prompt.encode(), question.cwd, prepared.env)


def is_strict(schema: object) -> bool:
    """Say whether a schema is one that Codex's API takes: all keys are there, and no others.

    With any other one the API would refuse the request; then only the prompt asks for the object.
    """
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object":
        keys = schema.get("properties")
        if not isinstance(keys, Mapping) or schema.get("additionalProperties") is not False:
            return False
        if set(keys) != set(schema.get("required") or ()):
            return False
        return all(map(is_strict, keys.values()))
    return all(map(is_strict, schema.values()))


def overrides(settings: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield settings as `--config` takes them: `a.b="text"`, each value as TOML."""
    for key, value in settings.items():
        name = above + (key if _BARE.fullmatch(key) else _text(key))
        if isinstance(value, Mapping) and value:
            yield from overrides(value, f"{name}.")
        else:
            yield f"{name}={toml(value)}"


def toml(value: object) -> str:
    """Return a value of JSON as TOML has it; TOML has no null, so that becomes empty text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}={toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return _text("" if value is None else str(value))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


PROGRAM: Final = Program("codex", INSTALL, _call, answer_of)
