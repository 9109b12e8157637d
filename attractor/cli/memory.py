"""`attractor memory`: what a project has learned, searched and kept in order by a person."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from attractor.cli.output import check_stdout, dump, json_option, note, printable, say, width
from attractor.errors import DamageError, InputError, StorageError, ToolError, UsageError

if TYPE_CHECKING:
    from attractor.memory.architect import Page
    from attractor.memory.entry import Entry
    from attractor.memory.rank import Score
    from attractor.memory.recall import Recalled
    from attractor.memory.settle import Settled
    from attractor.memory.store import Memory, Showing, Store
    from signals.clock import Clock

T = TypeVar("T")

_KINDS: Final = ("decision", "constraint", "lesson", "practice")
_FOUND: Final = 10
_NARROWEST: Final = 20

_REHEARSED: Final = "attractor.rehearsed"


def _note_rehearsed(ctx: click.Context, param: click.Parameter, value: object) -> None:
    del param
    ctx.meta[_REHEARSED] = value is True


def _project_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a verb say whose memory is meant."""
    about = "The memory of rehearsals, which is apart."
    rehearsed = click.option(
        "--rehearsed", is_flag=True, expose_value=False, callback=_note_rehearsed, help=about
    )
    project = click.option(
        "--project", default="", metavar="DIR", help="The repository; default: this one."
    )
    return project(rehearsed(command))


@click.group()
def memory() -> None:
    """Search, add and settle what a project has learned.

    It is kept in ARCHITECT.md, for people, and in a store behind it. An ID is as `list` shows it.
    """


@memory.command()
@click.argument("text")
@click.option(
    "--limit", type=click.IntRange(min=1), default=_FOUND, show_default=True, help="At most."
)
@_project_option
@json_option
def search(text: str, *, limit: int, project: str, as_json: bool) -> None:
    """Show what has to do with TEXT, the best first, as agents are told it."""
    from signals.clock import SystemClock

    check_stdout()
    found: list[Recalled] = []
    if (root := _with_memory(project)) is not None:
        clock = SystemClock()
        now = clock.wall_ns() / 1e9

        def ask(store: Store) -> list[Recalled]:
            from attractor.memory import recall

            return recall.search(store, text, now)

        def look(page: Page) -> list[Recalled]:
            from attractor.memory import page_only
            from attractor.memory.recall import Recalled

            said = page_only.search(page, text, now)
            return [Recalled(_on_page(each), score) for each, score in said]

        found = _read(root, clock, ask, look)[:limit]
    if as_json:
        rows = [_object(each.memory) | {"score": _score(each.score)} for each in found]
        say(dump({"status": "ok", "memories": rows}))
        return
    _show((each.memory for each in found), "nothing that is remembered has to do with this")


@memory.command("list")
@click.option("--flagged", is_flag=True, help="Those that a person settles.")
@click.option("--all", "also_gone", is_flag=True, help="Also those flagged and forgotten.")
@_project_option
@json_option
def list_memories(*, flagged: bool, also_gone: bool, project: str, as_json: bool) -> None:
    """List what is remembered, the oldest first."""
    if flagged and also_gone:
        raise UsageError("--flagged and --all ask for different lists", fix="leave one out")
    check_stdout()
    every: list[Memory] = []
    if (root := _with_memory(project)) is not None:
        from signals.clock import SystemClock

        def look(page: Page) -> list[Memory]:
            from attractor.memory import page_only

            return [*map(_on_page, page_only.entries(page))]

        every = _read(root, SystemClock(), lambda store: store.memories(), look)
    wanted = {"flagged"} if flagged else {"live"}
    shown = [each for each in every if also_gone or each.state.value in wanted]
    if as_json:
        say(dump({"status": "ok", "memories": [_object(each) for each in shown]}))
        return
    _show(shown, "nothing is flagged" if flagged else "nothing is remembered")


@memory.command()
@click.argument("text")
@click.option(
    "--kind", type=click.Choice(_KINDS), default="decision", show_default=True, help="What it is."
)
@_project_option
@json_option
def add(text: str, *, kind: str, project: str, as_json: bool) -> None:
    """Remember TEXT: one line, in ARCHITECT.md.

    What seems to contradict an older decision or constraint is kept, but does not count until
    `attractor memory settle` says so. What looks like a secret is refused.
    """
    from attractor.memory.entry import MOST_CHARACTERS, Entry, Kind, clean
    from attractor.memory.learn import Lesson, learn
    from signals.clock import SystemClock, iso

    check_stdout()
    root, clock = _root(project), SystemClock()
    entry = Entry(kind=Kind(kind), text=text, at=iso(clock.wall_ns()))
    learned = learn(root, Lesson(entries=[entry]), clock)
    if learned.refused:
        fix = "say it without; what is secret belongs into no file of the project"
        if learned.refused[0].endswith("says nothing"):
            fix = 'say it in a sentence: attractor memory add "Store sessions in Redis"'
        raise InputError(f"this is not remembered: {learned.refused[0]}", fix=fix)
    against = learned.flagged[0].against if learned.flagged else ""
    outcome = "flagged" if against else "added" if learned.added else "duplicate"
    kept = next(iter([*learned.added, *[each.entry for each in learned.flagged]]), entry)
    if len(clean(text)) > MOST_CHARACTERS:
        learned.notes.append(f"it is cut: an entry has at most {MOST_CHARACTERS} characters")
    found = _stored(root, kept)
    if as_json:
        told = None if found is None else _object(found)
        said = {"status": "ok", "outcome": outcome, "memory": told, "notes": learned.notes}
        say(dump(said))
        return
    for each in learned.notes:
        note(printable(each))
    name, state = ("", "") if found is None else (found.name, found.state.value)
    if outcome == "duplicate" and state != "live":
        outcome = "settled"
    say(printable(_OUTCOMES[outcome].format(name=name, against=against, state=state)))


_OUTCOMES: Final = {
    "added": "{name} is remembered",
    "duplicate": "this is known already, as {name}",
    "settled": "this is known already, as {name}, which is {state}; to let it count: "
    "attractor memory settle {name} take",
    "flagged": "{name} does not count yet: it seems to contradict “{against}”; "
    "attractor memory settle {name} take|keep",
}


@memory.command()
@click.argument("name", metavar="ID")
@_project_option
@json_option
def forget(name: str, *, project: str, as_json: bool) -> None:
    """Let a memory count for nothing any more.

    Its line in ARCHITECT.md stays; one below it says that it is withdrawn.
    """
    from attractor.memory import settle as settling
    from signals.clock import SystemClock

    check_stdout()
    gone, on_page, notes = settling.forget(_root(project), _number(name), SystemClock())
    if as_json:
        said = {"memory": _object(gone), "on_page": on_page, "notes": notes}
        say(dump({"status": "ok"} | said))
        return
    for each in notes:
        note(printable(each))
    stays = ", and ARCHITECT.md calls it withdrawn" if on_page else ""
    say(printable(f"{gone.name} is forgotten{stays}"))


@memory.command()
@click.argument("name", metavar="ID")
@click.argument("what", type=click.Choice(["take", "keep"]))
@_project_option
@json_option
def settle(name: str, what: str, *, project: str, as_json: bool) -> None:
    """Settle a contradiction: take the flagged memory, or keep the older one.

    The other is forgotten, and so is what says the same. What is forgotten can be taken again.
    """
    from attractor.memory import settle as settling
    from signals.clock import SystemClock

    check_stdout()
    take = what == "take"
    done = settling.settle(_root(project), _number(name), take=take, clock=SystemClock())
    if as_json:
        more = {"also": [_object(each) for each in done.also], "on_page": done.on_page}
        said = {"memory": _object(done.memory), **more, "notes": list(done.notes)}
        say(dump({"status": "ok"} | said))
        return
    for each in done.notes:
        note(printable(each))
    for line in _settled(done, take=take):
        say(printable(line))


def _settled(done: Settled, *, take: bool) -> Iterable[str]:
    name, other = done.memory.name, f"“{done.memory.against}”"
    stays = ", which ARCHITECT.md calls withdrawn" if done.on_page else ""
    if take:
        yield f"{name} counts" + (f", and {other} is forgotten{stays}" if other != "“”" else "")
    else:
        yield f"{other} still counts, and {name} is forgotten{stays}"
    for each in done.also:
        if each.state.value == "flagged":
            yield (
                f"{each.name} seems to contradict it, too, and does not count, but stays in "
                f"ARCHITECT.md: “{each.entry.text}”; attractor memory settle {each.name} take|keep"
            )
        else:
            counts = "counts" if each.state.value == "live" else f"is forgotten{stays}"
            yield f"{each.name} says the same, and {counts}, too: “{each.entry.text}”"


@memory.command()
@click.argument("name", metavar="ID")
@click.option("--for", "query", default="", metavar="TEXT", help="How it fits this.")
@_project_option
@json_option
def why(name: str, *, query: str, project: str, as_json: bool) -> None:
    """Show where a memory comes from, who was told of it, and what its score is made of.

    Without --for the score is that for a question which it fits best of all.
    """
    from dataclasses import replace

    from attractor.memory import recall
    from attractor.memory.opening import opened
    from attractor.memory.page_file import load
    from signals.clock import SystemClock

    check_stdout()
    root, clock = _root(project), SystemClock()
    with opened(root, load(root).there, clock, tell=_tell, tell_page=_tell) as store:
        found = store.memory(_number(name))
        if found is None:
            fix = "look up its ID: `attractor memory list --all` names them"
            raise InputError(f"there is no memory {name:.40}", where=root, fix=fix)
        showings = store.showings(found.id)
        matches = store.matches(query) if query else {found.id: 1.0}
        ranked = recall.ranked([*store.some(matches), found], matches, clock.wall_ns() / 1e9)
        deleted = store.is_deleted(found.id)
    score = next(each.score for each in ranked if each.memory.id == found.id)
    if not matches:  # ranked alone, it would fit best
        score = replace(score, relevance=0.0, total=0.0)
    if as_json:
        told = [each._asdict() for each in showings]
        said = {"memory": _object(found) | {"deleted": deleted}, "score": _score(score)}
        say(dump({"status": "ok"} | said | {"showings": told}))
        return
    for line in _reasons(found, score, showings, deleted=deleted):
        say(printable(line))


def _root(project: str) -> str:
    from attractor.memory.places import home
    from attractor.run.config import find_project

    found = find_project(project or os.getcwd())
    if found is None:
        fix = "start in a git checkout, or name one: --project DIR"
        raise InputError("this is in no project", where=project or os.getcwd(), fix=fix)
    rehearsed = click.get_current_context().meta.get(_REHEARSED) is True
    return home(found, rehearsed=rehearsed)


def _with_memory(project: str) -> str | None:
    """Return the project, if there is anything in its memory: reading makes no files."""
    from attractor.memory import places

    root = _root(project)
    there = (places.page(root), places.store(root))
    return root if any(map(os.path.lexists, there)) else None


def _read(
    root: str, clock: Clock, ask: Callable[[Store], list[T]], look: Callable[[Page], list[T]]
) -> list[T]:
    """Return what the store says, or what the page says where the store cannot be used."""
    from attractor.memory.opening import opened
    from attractor.memory.page_file import load

    page = load(root).there
    try:
        with opened(root, page, clock, tell=_tell, tell_page=_tell) as store:
            return ask(store)
    except (DamageError, StorageError, ToolError) as error:
        if page is None:
            raise
        about = "what is flagged, and what helped, is not known then, and nothing has an ID"
        _tell(
            f"ARCHITECT.md alone is read: {error.problem}; {about}\n  {error.where}\n  {error.fix}"
        )
        return look(page)


def _on_page(entry: Entry) -> Memory:
    from attractor.memory.entry import IMPORTANCE
    from attractor.memory.store import Memory, State

    return Memory(0, entry, IMPORTANCE[entry.kind], State.LIVE, "", 0, 0)


def _tell(text: str) -> None:
    note(printable(text))


def _number(name: str) -> int:
    digits = name.removeprefix("m")
    if digits.isascii() and digits.isdigit() and len(digits) < len(str(2**63)):
        return int(digits)
    fix = "an ID is such as m12: `attractor memory list --all` names them"
    raise InputError(f"{name!r:.40} is not the ID of a memory", fix=fix)


def _stored(root: str, entry: Entry) -> Memory | None:
    from attractor.memory.entry import clean
    from attractor.memory.merge import same_words
    from attractor.memory.opening import opened
    from signals.clock import SystemClock

    with opened(root, None, SystemClock()) as store:
        alike = [each for each in store.memories() if same_words(each.entry, entry)]
    exact = [each for each in alike if each.entry.text == clean(entry.text)]
    return next(iter(exact or alike), None)


def _object(each: Memory) -> dict[str, Any]:
    return {
        "id": each.name if each.id else None,
        "kind": each.entry.kind.value,
        "text": each.entry.text,
        "node": each.entry.node or None,
        "run": each.entry.run or None,
        "attempt": each.entry.attempt or None,
        "at": each.entry.at,
        "state": each.state.value,
        "against": each.against or None,
        "shown": each.shown,
        "helped": each.helped,
    }


def _score(score: Score) -> dict[str, float]:
    parts = ("relevance", "recency", "importance", "usefulness", "penalty", "total")
    return {each: round(getattr(score, each), 4) for each in parts}


def _show(memories: Iterable[Memory], nothing: str) -> None:
    from attractor.cli.tables import in_line

    every = list(memories)
    if not every:
        say(nothing)
    for each in every:
        state = "" if each.state.value == "live" else f" [{each.state.value}]"
        _say_indented(in_line([f"{_name(each)}  {each.entry.kind}{state}: {each.entry.text}"]))
        if each.against and each.state.value == "flagged":
            _say_indented(f"    {in_line(['against:', each.against])}")
            say(f"    attractor memory settle {each.name} take|keep")


def _name(each: Memory) -> str:
    return each.name if each.id else "-"


def _say_indented(line: str) -> None:
    """Say a line; on a terminal that is too narrow, as several, all but the first indented."""
    most = width()
    if not most or len(line) <= most:
        say(line)
        return
    import textwrap  # only for what is too wide

    say("\n".join(textwrap.wrap(line, max(most, _NARROWEST), subsequent_indent="    ")))


def _reasons(
    found: Memory, score: Score, showings: Sequence[Showing], *, deleted: bool
) -> Iterable[str]:
    entry = found.entry
    yield f"{found.name}  {entry.kind}: {entry.text}"
    source = f"node {entry.node}, attempt {entry.attempt}, run {entry.run}" if entry.node else ""
    about = f"from: {source or 'a person, or a plan'}, {entry.at or 'without a day'}"
    yield f"{about}; it is {found.state}"
    if deleted:
        yield "its line was deleted from ARCHITECT.md by hand; put back there, it counts again"
    if found.against:
        yield f"against: {found.against}"
    yield f"score: {score.total:.3f}, of"
    for name, value in _score(score).items():
        if name != "total":
            yield f"  {name:<11} {value:.3f}"
    yield f"told to {found.shown} attempts, of which {found.helped} were judged good"
    for each in showings:
        good = "judged good" if each.helped else "not judged good"
        yield f"  {each.at}  {each.run}  {each.node}, attempt {each.attempt}: {good}"
