"""`attractor bd` init, config, sync, export, import, merge-driver and more: the store itself."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any

import click

from attractor import __version__
from attractor.beads import check as checks
from attractor.beads import config, ids, shapes, store
from attractor.beads.edit import repair
from attractor.beads.graph import dangling
from attractor.beads.issue import FIELDS, STORED_STATUSES, instant, normal, status_of
from attractor.beads.lines import Lines, parse
from attractor.beads.merge import merge
from attractor.cli.bd_call import BdCommand, BdGroup, Call, current, words_of
from attractor.cli.bd_pages import PRIME, QUICKSTART
from attractor.cli.output import dump, say
from attractor.errors import InputError, ToolError
from signals.atomic import replace, storage_errors

# The bd whose format and verbs these are; clients refuse one that is too old.
BD_VERSION = "0.47.0"
_BD = "attractor bd"
_DRIVER = "beads"
_GIT_SECONDS = 10.0
_SAMPLES = 5


@click.command("init", cls=BdCommand)
@click.option("-p", "--prefix", help="What ids begin with; else the folder's name.")
def init(prefix: str | None) -> None:
    """Make .beads/ in this folder; what is there stays."""
    call = current()
    folder = os.path.abspath(os.environ.get("BEADS_DIR") or store.FOLDER)
    old = config.read(folder)
    chosen = config.prefix_of(folder, old) if prefix is None else ids.check_prefix(prefix)
    if prefix is not None and old.get(config.PREFIX, chosen) != chosen:
        raise InputError(
            f"ids here already begin with {old[config.PREFIX]!r}",
            where=os.path.join(folder, config.FILE),
            fix=f"`{_BD} config set issue-prefix {chosen}` changes it for new beads",
        )
    made = store.init(folder, chosen)
    value = {"status": "ok", "path": made.folder, "database": made.path, "prefix": chosen}
    text = f"beads are in {made.folder}, with the prefix {chosen}\nnext: `{_BD} create TITLE`"
    call.say(value, text)


@click.group("config", cls=BdGroup)
def config_() -> None:
    """Read and change the settings in .beads/config.yaml."""


@config_.command("get")
@click.argument("key")
def config_get(key: str) -> None:
    """Print a setting."""
    call = current()
    name = config.canonical(key)
    value = call.prefix if name == config.PREFIX else call.settings.get(name)
    shown = "" if value is None else config.shown(value)
    call.say({"key": key, "value": shown}, shown or f"{key} (not set)")


@config_.command("set")
@click.argument("key")
@click.argument("value")
def config_set(key: str, value: str) -> None:
    """Change a setting."""
    call = current()
    name = config.canonical(key)
    if name == config.PREFIX:
        value = ids.check_prefix(value)
    with call.store.lock(call.clock):
        config.change(call.store.folder, name, value)
    call.say({"key": key, "value": value}, f"{key} = {value}")


@config_.command("unset")
@click.argument("key")
def config_unset(key: str) -> None:
    """Take a setting away."""
    call = current()
    with call.store.lock(call.clock):
        config.change(call.store.folder, config.canonical(key), None)
    call.say({"key": key, "value": ""}, f"{key} is not set any more")


@config_.command("list")
def config_list() -> None:
    """Print all settings."""
    call = current()
    found = {key: config.shown(value) for key, value in sorted(call.settings.items())}
    found = {config.PREFIX: call.prefix, **found}
    call.say(found, "\n".join(f"{key} = {value}" for key, value in found.items()))


def _git(call: Call, *words: str) -> str:
    from attractor.spawn import run_tool  # subprocess costs 11 ms, and most verbs need no git

    argv = ["git", *words]
    said = run_tool(argv, timeout_seconds=_GIT_SECONDS, cwd=call.store.folder)
    return said.decode("utf-8", "surrogateescape").rstrip("\n")


@click.command("sync", cls=BdCommand)
@click.argument("ignored", nargs=-1, type=click.UNPROCESSED, metavar="")
@click.option("-m", "--message", hidden=True)
@click.option("--flush-only", is_flag=True, hidden=True)
@click.option("--import-only", is_flag=True, hidden=True)
@click.option("--status", is_flag=True, hidden=True)
@click.option("--dry-run", is_flag=True, hidden=True)
@click.option("--no-pull", is_flag=True, hidden=True)
@click.option("--no-push", is_flag=True, hidden=True)
def sync(**given: Any) -> None:
    """Say what is not committed; the file itself is always up to date.

    bd's flags are taken and mean nothing: this never commits, pulls or pushes.
    """
    del given
    call = current()
    try:
        changed = _git(call, "status", "--porcelain", "--", call.store.path).strip()
    except ToolError:
        changed = ""
    value = {"status": "ok", "path": call.store.path, "uncommitted": bool(changed)}
    hint = f"commit it: git add {shlex.quote(call.store.path)} && git commit"
    call.say(value, hint if changed else "nothing to do: every change is in the file, committed")


@click.command("export", cls=BdCommand)
@click.option("-o", "--output", metavar="FILE", help="Write here, not to stdout.")
@click.option("-s", "--status", help="Only this status.")
def export(output: str | None, status: str | None) -> None:
    """Print the beads as they are stored, one JSON object a line."""
    call = current()
    lines = call.read()
    wanted = {call.status(word) for word in words_of([status])} if status else set()
    names = [
        name
        for name in sorted(lines.issues)
        if not wanted or status_of(lines.issues[name]) in wanted
    ]
    data = b"".join(lines.raw(name) + b"\n" for name in names)
    if output is None:
        sys.stdout.buffer.write(data)
        return
    replace(output, data)
    call.say({"exported": len(names), "output": output}, f"exported {len(names)} to {output}")


@click.command("import", cls=BdCommand)
@click.option("-i", "--input", "path", default="-", metavar="FILE", help="Read this, not stdin.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("-s", "--skip-existing", is_flag=True, help="Leave beads alone that are here.")
def import_(path: str, dry_run: bool, skip_existing: bool) -> None:
    """Take over beads; one that is here is replaced if the other is newer."""
    call = current()
    with storage_errors("read", path):
        incoming = parse(sys.stdin.buffer.read() if path == "-" else store.read_regular(path))
    _refuse_damage(incoming, path)
    if dry_run:
        counts = _take(call.read(), incoming, skip_existing=skip_existing)
    else:
        with call.change() as lines:
            counts = _take(lines, incoming, skip_existing=skip_existing)
    words = ", ".join(f"{count} {what}" for what, count in counts.items())
    call.say(counts | {"dry_run": dry_run}, f"{'would import' if dry_run else 'imported'}: {words}")


def _refuse_damage(incoming: Lines, path: str) -> None:
    if incoming.damage:
        first = incoming.damage[0]
        raise InputError(
            f"line {first.number} is no issue: {first.reason}",
            where=f"{path}:{first.number}",
            fix=f"correct the {len(incoming.damage)} such lines; nothing was imported",
        )


def _take(lines: Lines, incoming: Lines, *, skip_existing: bool) -> dict[str, int]:
    counts = {"created": 0, "updated": 0, "unchanged": 0, "skipped": 0}
    for name, issue in incoming.issues.items():
        new, old = normal(issue), lines.issues.get(name)
        if old == new:
            counts["unchanged"] += 1
        elif old is None:
            counts["created"] += 1
            lines.put(new)
        elif skip_existing or instant(old.get("updated_at")) > instant(new.get("updated_at")):
            counts["skipped"] += 1
        else:
            counts["updated"] += 1
            lines.put(new)
    return counts


@click.command("version", cls=BdCommand)
def version() -> None:
    """Print the version of bd whose verbs and format these are, and our own."""
    value = {"version": BD_VERSION, "implementation": "attractor", "attractor": __version__}
    current().say(value, f"bd version {BD_VERSION} (attractor {__version__})")


@click.command("info", cls=BdCommand)
@click.option("--schema", is_flag=True, help="Say what an issue is made of.")
def info(schema: bool) -> None:
    """Say where the beads are and what they are stored as."""
    call = current()
    lines = call.read()
    value: dict[str, Any] = {
        "database_path": call.store.path,
        "mode": "direct",
        "daemon_connected": False,
        "issue_count": len(lines.issues),
        "config": {"issue_prefix": call.prefix},
    }
    if schema:
        value["schema"] = {
            "tables": [],
            "schema_version": BD_VERSION,
            "format": "jsonl",
            "fields": list(FIELDS),
            "config": {"issue_prefix": call.prefix},
            "sample_issue_ids": sorted(lines.issues)[:_SAMPLES],
            "detected_prefix": call.prefix,
        }
    call.say(value, f"{len(lines.issues)} issues in {call.store.path}, prefix {call.prefix}")


@click.command("migrate", cls=BdCommand)
@click.option("--inspect", is_flag=True, help="Only look (there is nothing else to do).")
def migrate(inspect: bool) -> None:
    """Say that there is nothing to migrate: the format is the file."""
    del inspect
    call = current()
    lines = call.read()
    state = {
        "schema_version": BD_VERSION,
        "issue_count": len(lines.issues),
        "config": {"issue_prefix": call.prefix},
        "missing_config": [],
        "db_exists": True,
    }
    value = {
        "registered_migrations": [],
        "current_state": state,
        "warnings": [f"line {each.number}: {each.reason}" for each in lines.damage],
        "invariants_to_check": [],
    }
    call.say(value, "nothing to migrate")


@click.command("prime", cls=BdCommand)
@click.option("--full", is_flag=True, hidden=True)
@click.option("--mcp", is_flag=True, hidden=True)
def prime(full: bool, mcp: bool) -> None:
    """Print what an agent should know; nothing where there are no beads."""
    del full, mcp
    call = current()
    try:
        call.store.read()
    except InputError:
        # It stands in hooks that run in every project: no beads is no error.
        call.say({}, "")
        return
    text = PRIME.format(bd=_BD)
    call.say({"text": text}, text.rstrip("\n"))


@click.command("quickstart", cls=BdCommand)
def quickstart() -> None:
    """Print a first tour."""
    text = QUICKSTART.format(bd=_BD)
    current().say({"text": text}, text.rstrip("\n"))


@click.command("doctor", cls=BdCommand)
@click.option("--check", "only", help="validate (the default) or pollution, for scripts.")
@click.option("--fix", "fixes", is_flag=True, help="Repair what needs no judgement.")
@click.option("--clean", is_flag=True, hidden=True)
@click.option("-y", "--yes", is_flag=True, hidden=True)
def doctor(only: str | None, fixes: bool, clean: bool, yes: bool) -> None:
    """Check the beads; exit 1 if something is wrong (with --check: 0, read the result)."""
    del yes
    call = current()
    if only == "pollution":
        _pollution(call, clean=clean)
        return
    fixed = 0
    if fixes:
        act = call.act()
        with call.change() as lines:
            fixed = checks.fix(lines, act)
    statuses = (*STORED_STATUSES, *config.custom(call.settings, "status.custom"))
    found = checks.check(call.store.read(), statuses)
    good = all(each.level != "error" for each in found)
    value = {
        "path": call.store.folder,
        "checks": [
            {"name": each.name, "status": each.level, "message": each.message} for each in found
        ],
        "overall_ok": good,
        "fixed": fixed,
        "cli_version": BD_VERSION,
    }
    call.say(value, "\n".join(f"{each.level}: {each.name}: {each.message}" for each in found))
    if not good and only is None:
        sys.exit(1)


def _pollution(call: Call, *, clean: bool) -> None:
    if clean:
        raise InputError(
            "beads are never deleted on a guess",
            fix="close those that are tests: `attractor bd close ID --reason test`",
        )
    lines = call.read()
    marks = ("test-", "test_", "benchmark-", "dummy-", "tmp-")
    found = [issue for issue in lines.issues.values() if issue["title"].lower().startswith(marks)]
    items = shapes.many(found, lines.issues)
    value = {"polluted_issues": items, "count": len(items), "deleted": 0, "status": "ok"}
    call.say(value, "\n".join(map(shapes.line, found)) or "no issue looks like a test's")


@click.command("repair-deps", cls=BdCommand)
@click.option("--fix", "fixes", is_flag=True, help="Take them away.")
def repair_deps(fixes: bool) -> None:
    """Find dependencies on beads that are not there."""
    call = current()
    if fixes:
        act = call.act()
        with call.change() as lines:
            found = repair(lines, act)
    else:
        found = dangling(call.read().issues)
    orphans = [
        {"issue_id": link.source, "depends_on_id": link.target, "type": link.kind} for link in found
    ]
    fixed = len(found) if fixes else 0
    value = {"orphans_found": len(found), "orphans": orphans, "fixed": fixed}
    text = "\n".join(f"{link.source} -> {link.target} ({link.kind})" for link in found)
    call.say(value, text or "every dependency leads somewhere")


@click.command("merge-driver", cls=BdCommand)
@click.argument("files", nargs=-1, metavar="[BASE OURS THEIRS]")
@click.option("--install", is_flag=True, help="Make git use it for this repository's beads.")
def merge_driver(files: tuple[str, ...], install: bool) -> None:
    """Merge two versions of issues.jsonl into OURS, as git's merge driver (%O %A %B)."""
    call = current()
    if install and not files:
        _install(call)
        return
    if install or len(files) != 3:  # noqa: PLR2004 - what git passes
        raise click.UsageError("give BASE, OURS and THEIRS, or --install")
    data = []
    for path in files:
        with storage_errors("read", path):
            data.append(store.read_regular(path))
    merged = merge(*data)
    replace(files[1], merged.data)
    for note in merged.notes:
        call.warn(note)
    if call.as_json:
        say(dump({"status": "ok", "output": files[1], "notes": merged.notes}))


def _install(call: Call) -> None:
    top = _git(call, "rev-parse", "--show-toplevel")
    path = os.path.relpath(os.path.realpath(call.store.path), os.path.realpath(top))
    if path.startswith(os.pardir):
        raise InputError(f"{call.store.path} is not in the repository {top}", fix="run it there")
    from attractor.spawn import own_command

    command = shlex.join(own_command("attractor", "bd", "merge-driver")) + " %O %A %B"
    _git(call, "config", f"merge.{_DRIVER}.name", "beads, three-way by issue and field")
    _git(call, "config", f"merge.{_DRIVER}.driver", command)
    file = os.path.join(top, ".gitattributes")
    line = f"{path} merge={_DRIVER}"
    added = _add_line(file, line)
    value = {"status": "ok", "driver": command, "attributes": file, "added": added}
    note = f"added `{line}` to {file}: commit it" if added else f"{file} has `{line}` already"
    call.say(value, f"{note}\nevery clone needs `{_BD} merge-driver --install` once")


def _add_line(path: str, line: str) -> bool:
    """Add a line to a file unless it is there."""
    text = ""
    with storage_errors("read", path):
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read()
    if line in text.splitlines():
        return False
    end = "" if not text or text.endswith("\n") else "\n"
    replace(path, f"{text}{end}{line}\n".encode("utf-8", "surrogateescape"))
    return True


COMMANDS = (
    *(init, config_, sync, export, import_, version, info, migrate, prime, quickstart, doctor),
    *(repair_deps, merge_driver),
)
