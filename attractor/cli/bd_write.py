"""`attractor bd` create, q, update, close, reopen: what changes a bead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from attractor.beads import edit, ids, shapes
from attractor.beads.edit import Draft
from attractor.beads.graph import DEPENDENCY_TYPES, EXTERNAL
from attractor.beads.issue import Issue, check_priority, check_text, check_word
from attractor.beads.lines import Lines
from attractor.cli.bd_call import BdCommand, Call, body, current, ids_of, words_of
from attractor.cli.output import say

F = TypeVar("F", bound=Callable[..., Any])

# flag -> the field that it sets
_TEXTS = {
    "description": "description",
    "design": "design",
    "acceptance": "acceptance_criteria",
    "notes": "notes",
    "assignee": "assignee",
    "external_ref": "external_ref",
}


def _fields(command: F) -> F:
    """Give a verb the flags that set the fields of a bead."""
    for option in (
        click.option("-p", "--priority", help="0 (first) to 4, or P0 to P4."),
        click.option("-t", "--type", "kind", help="bug, feature, task, epic, chore, ..."),
        click.option("-d", "--description", "--body", help="What it is about."),
        click.option("--body-file", metavar="FILE", help="Read the description; - is stdin."),
        click.option("--design", help="How it will be done."),
        click.option("--acceptance", "--acceptance-criteria", help="When it is done."),
        click.option("--notes", help="Anything else."),
        click.option("-a", "--assignee", help="Who works on it."),
        click.option("--parent", help="The bead of which it is a part."),
        click.option("--external-ref", help="Its name elsewhere, such as gh-9."),
        click.option("-e", "--estimate", type=click.IntRange(min=0), help="Minutes."),
    ):
        command = option(command)
    return command


def _checked(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that the flags ask for."""
    given["description"] = body(given["description"], given.pop("body_file"))
    fields: dict[str, Any] = {
        field: check_text(flag, given[flag])
        for flag, field in _TEXTS.items()
        if given[flag] is not None
    }
    if given["priority"] is not None:
        fields["priority"] = check_priority(given["priority"])
    if given["kind"] is not None:
        fields["issue_type"] = call.kind(given["kind"])
    if given["estimate"] is not None:
        fields["estimated_minutes"] = given["estimate"]
    return fields


def _needs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return the dependencies of `--deps`: ID or KIND:ID."""
    found = []
    for word in words_of(words):
        kind, colon, target = word.partition(":")
        if not colon or word.startswith(EXTERNAL):
            kind, target = "blocks", word
        found.append((target, check_word("dependency type", kind, DEPENDENCY_TYPES)))
    return found


@click.command("create", cls=BdCommand)
@click.argument("words", nargs=-1, metavar="[TITLE]")
@click.option("--title", help="The title, if it is not an argument.")
@_fields
@click.option("-l", "--labels", "--label", multiple=True, help="Labels; repeat it, or use commas.")
@click.option("--deps", multiple=True, help="What it depends on: ID or KIND:ID, with commas.")
@click.option("--id", "name", help="The id, if you want to choose it.")
@click.option("--force", is_flag=True, help="Allow an --id with another prefix.")
@click.option("--silent", is_flag=True, help="Print only the id.")
def create(words: tuple[str, ...], title: str | None, silent: bool, **given: Any) -> None:
    """Make a bead."""
    call = current()
    if len(words) > 1:
        raise click.UsageError("put the title in quotes")
    if words and title is not None and title != words[0]:
        raise click.UsageError("two different titles: give it as an argument or with --title")
    title = words[0] if words else title
    if title is None:
        raise click.UsageError("give a title")
    issue = _create(call, title, given)
    if silent and not call.as_json:
        say(issue["id"])
        return
    call.say(shapes.brief(issue), lambda: f"Created issue: {issue['id']}\n  {shapes.line(issue)}")


def _create(call: Call, title: str, given: dict[str, Any]) -> Issue:
    fields = _checked(call, given) | {"title": title, "labels": words_of(given["labels"])}
    name = ids.check_id(given["name"], call.prefix, force=given["force"]) if given["name"] else ""
    draft = Draft(fields, given["parent"] or "", _needs(given["deps"]), name)
    act = call.act()
    with call.change() as lines:
        return edit.create(lines, draft, call.prefix, act)


@click.command("q", cls=BdCommand)
@click.argument("words", nargs=-1, required=True, metavar="TITLE...")
@click.option("-p", "--priority", default="2", help="0 (first) to 4.")
@click.option("-t", "--type", "kind", default="task", help="bug, feature, task, epic, chore, ...")
@click.option("-l", "--labels", "--label", multiple=True, help="Labels.")
def quick(words: tuple[str, ...], priority: str, kind: str, labels: tuple[str, ...]) -> None:
    """Make a bead, and print only its id."""
    call = current()
    fields = {
        "title": " ".join(words),
        "priority": check_priority(priority),
        "issue_type": call.kind(kind),
        "labels": words_of(labels),
    }
    act = call.act()
    with call.change() as lines:
        issue = edit.create(lines, Draft(fields), call.prefix, act)
    say(issue["id"]) if not call.as_json else call.say({"id": issue["id"]}, "")


@click.command("update", cls=BdCommand)
@click.argument("names", nargs=-1, required=True, metavar="ID...")
@click.option("--title", help="The title.")
@click.option("-s", "--status", help="open, in_progress, impl_complete, blocked, closed, ...")
@_fields
@click.option("--claim", is_flag=True, help="Take it: assignee and in_progress, or refused.")
@click.option("--add-label", multiple=True, help="Labels to add.")
@click.option("--remove-label", multiple=True, help="Labels to take away.")
def update(names: tuple[str, ...], title: str | None, status: str | None, **given: Any) -> None:
    """Change a bead; an empty text takes a field away."""
    call = current()
    add, remove = words_of(given["add_label"]), words_of(given["remove_label"])
    fields = _checked(call, given)
    fields |= {"title": title} if title is not None else {}
    fields |= {"status": call.status(status)} if status is not None else {}
    parent: str | None = given["parent"]
    if not (fields or add or remove or given["claim"] or parent is not None):
        raise click.UsageError("nothing to change: give --status, --title, --claim or another")
    act = call.act()

    def change(lines: Lines, name: str) -> None:
        if given["claim"]:
            edit.claim(lines, name, act)
        edit.update(lines, name, fields, act)
        if add or remove:
            edit.relabel(lines, name, add, remove, act)
        if parent is not None:
            edit.move(lines, name, ids.resolve(parent, lines.issues) if parent else "", act)

    _each(call, names, change, "Updated issue")


def _each(
    call: Call, names: Sequence[str], change: Callable[[Lines, str], object], verb: str
) -> None:
    """Change beads, all of them or none, and print them."""
    with call.change() as lines:
        chosen = [ids.resolve(name, lines.issues) for name in names]
        for name in chosen:
            change(lines, name)
        found = [lines.issues[name] for name in dict.fromkeys(chosen)]
    call.say([shapes.brief(issue) for issue in found], lambda: f"{verb}: {ids_of(found)}")


@click.command("close", cls=BdCommand)
@click.argument("names", nargs=-1, required=True, metavar="ID...")
@click.option("-r", "--reason", default="Closed", help="Why; a word like `failed` is noticed.")
@click.option("--session", help="The session that did it (else $CLAUDE_SESSION_ID).")
@click.option("-f", "--force", is_flag=True, hidden=True)
def close(names: tuple[str, ...], reason: str, session: str | None, force: bool) -> None:
    """Close beads; one that is closed stays as it is."""
    del force  # bd needs it for pinned beads
    call = current()
    act = call.act()
    if session:
        act = edit.Act(act.actor, act.now_ns, check_text("session", session))
    _each(call, names, lambda lines, name: edit.close(lines, name, reason, act), "Closed")


@click.command("reopen", cls=BdCommand)
@click.argument("names", nargs=-1, required=True, metavar="ID...")
@click.option("-r", "--reason", default="", help="Why; it becomes a comment.")
def reopen(names: tuple[str, ...], reason: str) -> None:
    """Open closed beads again."""
    call = current()
    act = call.act()
    _each(call, names, lambda lines, name: edit.reopen(lines, name, reason, act), "Reopened")


COMMANDS = (create, quick, update, close, reopen)
