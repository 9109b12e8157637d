"""`attractor new`: a first pipeline that lints clean and explains itself; overwrites nothing."""

from __future__ import annotations

import os
import re

import click

from attractor.cli.output import dump, json_option, say
from attractor.errors import InputError, UsageError

_TEMPLATE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "pipeline", "template.dot")
_NAME_IN_TEMPLATE = '"example"'
_PRD_IN_TEMPLATE = "PRD-EXAMPLE-001"
_PRD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@click.command()
@click.argument("file", default="pipeline.dot", type=click.Path())
@click.option("--name", help="The pipeline's name. Default: the file's, without its ending.")
@click.option("--prd", default=_PRD_IN_TEMPLATE, show_default=True, help="Its requirements' id.")
@json_option
def new(file: str, name: str | None, prd: str, as_json: bool) -> None:
    """Write a commented template pipeline to FILE (default: pipeline.dot); `-` prints it.

    An existing file is never overwritten.
    """
    if file == "-" and as_json:
        raise UsageError("`-` and --json both want stdout", fix="name a file, or leave out --json")
    _check_file(file)
    stem = "example" if file == "-" else os.path.splitext(os.path.basename(file))[0]
    text = template(stem if name is None else name, prd)
    if file == "-":
        click.echo(text, nl=False)
        return
    _publish(file, text)
    if as_json:
        say(dump({"status": "ok", "file": file}))
        return
    say(f"wrote {file}")
    say(f"next: read it, change it, then `attractor lint {file}`")


def template(name: str, prd: str) -> str:
    """Return the template for a pipeline of this name."""
    if not name.strip() or not name.isprintable():
        raise InputError(f"{name!r} cannot be a pipeline's name", fix="use printable characters")
    if not _PRD.fullmatch(prd):
        fix = "use letters, digits, dots, hyphens and underscores, as in PRD-LOGIN-001"
        raise InputError(f"{prd!r} cannot be the id of requirements", fix=fix)
    with open(_TEMPLATE, encoding="utf-8") as file:
        text = file.read()
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text.replace(_NAME_IN_TEMPLATE, quoted).replace(_PRD_IN_TEMPLATE, prd)


def _check_file(file: str) -> None:
    if not os.path.basename(file) or os.path.isdir(file):
        fix = f"name a file, for example {os.path.join(file, 'pipeline.dot')}"
        raise InputError("this is a folder", where=file, fix=fix)
    stem, ending = os.path.splitext(os.path.basename(file).lstrip("."))
    if not stem or (os.path.basename(file).startswith(".") and not ending):
        fix = f"put a name before it, for example {os.path.join(os.path.dirname(file), 'work.dot')}"
        raise InputError("this is an ending without a name", where=file, fix=fix)


def _publish(file: str, text: str) -> None:
    from signals.atomic import publish  # only when there is something to write

    folder, name = os.path.split(file)
    try:
        publish(folder or os.curdir, name, text.encode(), tmp=folder or os.curdir)
    except FileExistsError:
        fix = "choose another name; `attractor new` overwrites nothing"
        raise InputError("the file exists already", where=file, fix=fix) from None
