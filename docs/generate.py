"""Write the reference pages that are made from the code; `./dev docs` runs this.

With `--check` nothing is written; it ends with status 1 and names the pages that are stale.
"""
# ruff: noqa: INP001 - docs/ is a folder of pages, not a package

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import click

from attractor.cli.main import VERBS
from attractor.cli.main import attractor as overview
from attractor.promise.entry import COMMANDS
from attractor.spawn import own_command, run_tool

REFERENCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reference")
MADE = "<!-- Made by `./dev docs`; change the code, not this page. -->"
WIDTH = 78  # what click takes where there is no terminal


def commands() -> str:
    """Return the help of every command, word for word."""
    intro = (
        "Every command with its `--help`, word for word. Results go to stdout, errors to stderr; "
        "exit statuses and JSON shapes are in [json.md](json.md)."
    )
    top = click.Context(overview, info_name="attractor", **overview.context_settings)
    parts = ["# Commands", MADE, intro, *_command(overview, "attractor", None)]
    for verb in sorted(VERBS):
        command = overview.get_command(top, verb)
        assert command is not None
        parts += _command(command, verb, top)
    parts += ["## attractor-bd", "The same as `attractor bd`, for programs that start a `bd`."]
    for name in COMMANDS:
        argv = [sys.executable, "-I", "-m", "attractor.promise", name, "--help"]
        said = run_tool(argv, timeout_seconds=60.0).decode()
        parts += [f"## {name}", f"```text\n{said.rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


def _command(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=WIDTH, **command.context_settings
    )
    path = context.command_path
    yield f"{'#' * min(4, 2 + path.count(' '))} {path}"
    yield f"```text\n{command.get_help(context).rstrip()}\n```"
    if isinstance(command, click.Group) and command is not overview:
        for sub in command.list_commands(context):
            inner = command.get_command(context, sub)
            assert inner is not None
            yield from _command(inner, sub, context)


def lint_rules() -> str:
    """Return the table of every lint rule."""
    argv = own_command("attractor", "lint", "--rules", "--json")
    rules: list[dict[str, Any]] = json.loads(run_tool(argv, timeout_seconds=60.0))["rules"]
    every = {dialect for rule in rules for dialect in rule["dialects"]}
    intro = (
        "What `attractor lint` checks. An error makes it exit with 1; a warning does so only "
        "under `--strict`. The fourth column has the original harness's numbers for the rule, the "
        "fifth says whether the Attractor specification has it, the last in which dialects it "
        "is asked."
    )
    lines = [
        f"# Lint rules\n\n{MADE}\n\n{intro}\n",
        "| rule | severity | what must be so | harness | specification | dialects |",
        "|---|---|---|---|---|---|",
    ]
    for rule in rules:
        dialects = "all" if set(rule["dialects"]) == every else ", ".join(rule["dialects"])
        numbers = ", ".join(map(str, rule["harness"]))
        specified = "yes" if rule["specified"] else ""
        title = rule["title"].replace("|", r"\|")
        row = (f"`{rule['rule']}`", rule["severity"], title, numbers, specified, dialects)
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


PAGES = {"commands.md": commands, "lint-rules.md": lint_rules}


def main() -> None:
    """Write the pages, or say which are stale."""
    stale = []
    for name, make in PAGES.items():
        path = os.path.join(REFERENCE, name)
        fresh = make()
        if "--check" in sys.argv[1:]:
            if not os.path.exists(path) or _read(path) != fresh:
                stale.append(f"docs/reference/{name}")
            continue
        with open(path, "w", encoding="utf-8") as file:
            file.write(fresh)
    if stale:
        sys.exit(f"stale: {', '.join(stale)}; refresh with: ./dev docs")


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    main()
