"""`attractor bd` dep, label, comments, comment, note: what hangs on a bead."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from attractor.beads import edit, graph, ids, shapes
from attractor.beads.graph import DEPENDENCY_TYPES, EXTERNAL
from attractor.beads.issue import check_word, labels_of
from attractor.beads.lines import Lines
from attractor.cli.bd_call import BdCommand, BdGroup, Call, current, words_of
from attractor.cli.bd_read import comment_line
from attractor.errors import InputError

_MAX_DEPTH = 50


@click.group("dep", cls=BdGroup)
def dep() -> None:
    """Connect beads: who waits for whom."""


def _target(word: str, lines: Lines) -> str:
    return word if word.startswith(EXTERNAL) else ids.resolve(word, lines.issues)


@dep.command("add")
@click.argument("name", metavar="ID")
@click.argument("needs", metavar="NEEDED", required=False)
@click.option("--blocked-by", "--depends-on", "other", help="The same as NEEDED.")
@click.option("-t", "--type", "kind", default="blocks", show_default=True, help="The kind.")
def dep_add(name: str, needs: str | None, other: str | None, kind: str) -> None:
    """Make ID wait for NEEDED (with --type related and others: only point to it)."""
    call = current()
    if (needs is None) == (other is None):
        raise click.UsageError("give one NEEDED, as an argument or with --blocked-by")
    check_word("dependency type", kind, DEPENDENCY_TYPES)
    act = call.act()
    with call.change() as lines:
        source = ids.resolve(name, lines.issues)
        target = _target(needs or other or "", lines)
        added = edit.depend(lines, source, target, kind, act)
    _say_link(call, source, target, kind, "added" if added else "exists")


def _say_link(call: Call, source: str, target: str, kind: str, status: str) -> None:
    value = {"issue_id": source, "depends_on_id": target, "type": kind, "status": status}
    call.say(value, f"{source} depends on {target} ({kind}): {status}")


@dep.command("remove")
@click.argument("name", metavar="ID")
@click.argument("needs", metavar="NEEDED")
def dep_remove(name: str, needs: str) -> None:
    """Take a dependency away."""
    call = current()
    act = call.act()
    with call.change() as lines:
        source = ids.resolve(name, lines.issues)
        known = {link.target for link in graph.links_of(lines.issues[source])}
        # What it depends on may be gone; then only the exact id is meant.
        target = needs if needs in known else _target(needs, lines)
        kind = edit.independ(lines, source, target, act)
    _say_link(call, source, target, kind, "removed")


@dep.command("list")
@click.argument("name", metavar="ID")
@click.option("--direction", type=click.Choice(["down", "up"]), default="down", show_default=True)
@click.option("-t", "--type", "kind", help="Only this kind.")
def dep_list(name: str, direction: str, kind: str | None) -> None:
    """List what ID depends on (down), or what depends on ID (up)."""
    call = current()
    lines = call.read()
    name, up = ids.resolve(name, lines.issues), direction == "up"
    links = (
        graph.by_target(graph.all_links(lines.issues)).get(name, [])
        if up
        else list(graph.links_of(lines.issues[name]))
    )
    found = [link for link in links if kind in {None, link.kind}]
    ends = shapes.linked(found, lines.issues, up=up)

    def text() -> str:
        rows = [f"{end['dependency_type']}: {shapes.line(end)}" for end in ends]
        known = {end["id"] for end in ends}
        away = [link for link in found if not up and link.target not in known]
        rows += [f"{link.kind}: {link.target} (not here)" for link in away]
        return "\n".join(rows) or f"{name} has no such dependencies"

    call.say(ends, text)


@dep.command("tree")
@click.argument("name", metavar="ID")
@click.option("--direction", type=click.Choice(["down", "up"]), default="down", show_default=True)
@click.option("-d", "--max-depth", type=click.IntRange(min=1), default=_MAX_DEPTH)
def dep_tree(name: str, direction: str, max_depth: int) -> None:
    """Show what ID waits for, and what that waits for; each bead once."""
    call = current()
    lines = call.read()
    name = ids.resolve(name, lines.issues)
    rows = graph.tree(lines.issues, name, up=direction == "up", max_depth=max_depth)
    here = lines.issues
    full = [(shapes.brief(here[row["id"]]) if row["id"] in here else {}) | row for row in rows]

    def text() -> str:
        shown = []
        for row in full:
            what = shapes.line(row) if row["id"] in here else f"{row['id']} (not here)"
            shown.append("  " * row["depth"] + what + (" ..." if row["truncated"] else ""))
        return "\n".join(shown)

    call.say(full, text)


@dep.command("cycles")
def dep_cycles() -> None:
    """List the circles in which beads wait for each other."""
    call = current()
    lines = call.read()
    ways = graph.circles(lines.issues)
    full = [[shapes.brief(lines.issues[name]) for name in way[:-1]] for way in ways]
    call.say(full, lambda: "\n".join(" -> ".join(way) for way in ways) or "No cycles")


@click.group("label", cls=BdGroup)
def label() -> None:
    """Put labels on beads."""


def _relabel(words: tuple[str, ...], *, add: bool) -> None:
    call = current()
    if len(words) < 2:  # noqa: PLR2004 - at least one ID and the label
        raise click.UsageError("give at least one ID, and the label last")
    labels, act = words_of(words[-1:]), call.act()
    if not labels:
        raise InputError("the label is empty", fix="give the label last")
    given, taken = (labels, []) if add else ([], labels)
    with call.change() as lines:
        names = [ids.resolve(name, lines.issues) for name in words[:-1]]
        for name in names:
            edit.relabel(lines, name, given, taken, act)
    status = "added" if add else "removed"
    said = [
        {"issue_id": name, "label": each, "status": status} for name in names for each in labels
    ]
    call.say(said, f"{status} {', '.join(labels)}: {', '.join(names)}")


@label.command("add")
@click.argument("words", nargs=-1, required=True, metavar="ID... LABEL")
def label_add(words: tuple[str, ...]) -> None:
    """Add a label to beads."""
    _relabel(words, add=True)


@label.command("remove")
@click.argument("words", nargs=-1, required=True, metavar="ID... LABEL")
def label_remove(words: tuple[str, ...]) -> None:
    """Take a label away from beads."""
    _relabel(words, add=False)


@label.command("list")
@click.argument("name", metavar="ID")
def label_list(name: str) -> None:
    """List the labels of a bead."""
    call = current()
    lines = call.read()
    found = labels_of(lines.issues[ids.resolve(name, lines.issues)])
    call.say(found, "\n".join(found) or "no labels")


@label.command("list-all")
def label_list_all() -> None:
    """List all labels and how many beads have each."""
    call = current()
    counts = Counter(each for issue in call.read().issues.values() for each in labels_of(issue))
    found = [{"label": each, "count": counts[each]} for each in sorted(counts)]
    call.say(found, lambda: "\n".join(f"{row['label']} {row['count']}" for row in found))


_COMMENTS_USE = "[add] ID [TEXT...]"


def _comment(name: str, text: str, author: str | None) -> None:
    call = current()
    act = call.act()
    with call.change() as lines:
        name = ids.resolve(name, lines.issues)
        record = edit.comment(lines, name, text, author or act.actor, act)
    call.say(shapes.comment(record, name), f"Added comment to {name}")


@click.command("comments", cls=BdCommand)
@click.argument("words", nargs=-1, required=True, metavar=_COMMENTS_USE)
@click.option("-a", "--author", help="Who says it (else the actor).")
def comments(words: tuple[str, ...], author: str | None) -> None:
    """List the comments of a bead, or `add` one."""
    if words[0] == "add":
        if len(words) < 3:  # noqa: PLR2004 - add, ID and the text
            raise click.UsageError("give an ID and a text")
        _comment(words[1], " ".join(words[2:]), author)
        return
    if len(words) != 1:
        raise click.UsageError("give one ID, or `comments add ID TEXT`")
    call = current()
    lines = call.read()
    name = ids.resolve(words[0], lines.issues)
    old: list[dict[str, Any]] = lines.issues[name].get("comments") or []
    found = [shapes.comment(record, name) for record in old]
    call.say(found, lambda: "\n".join(map(comment_line, found)) or f"No comments on {name}")


@click.command("comment", cls=BdCommand)
@click.argument("words", nargs=-1, required=True, metavar="[add] ID TEXT...")
@click.option("-a", "--author", help="Who says it (else the actor).")
def comment(words: tuple[str, ...], author: str | None) -> None:
    """Add a comment to a bead."""
    given = words[1:] if words[0] == "add" and len(words) > 2 else words  # noqa: PLR2004 - ID and text
    if len(given) < 2:  # noqa: PLR2004 - ID and text
        raise click.UsageError("give an ID and a text")
    _comment(given[0], " ".join(given[1:]), author)


@click.command("note", cls=BdCommand)
@click.argument("name", metavar="ID")
@click.argument("words", nargs=-1, required=True, metavar="TEXT...")
def note(name: str, words: tuple[str, ...]) -> None:
    """Append a line to the notes of a bead."""
    call = current()
    act = call.act()
    with call.change() as lines:
        name = ids.resolve(name, lines.issues)
        issue = edit.note(lines, name, " ".join(words), act)
    call.say([shapes.brief(issue)], f"Appended note to {name}")


COMMANDS = (dep, label, comments, comment, note)
