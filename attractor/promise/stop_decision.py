"""What the Stop hook decides about a session that some promise mentions, and what it counts.

`decide` is pure. `judge` gathers its facts in the order in which they matter, so that git and the
beads are asked only when no promise holds the session. Every block is counted on disk, in
`hooks/<session>.json`, before it is said. After ATTRACTOR_STOP_BLOCKS_MAX (20) blocks without new
evidence the session is let go, and `escalations/<session>.json` tells people.

Loaded by `stop_hook.py` with the standard library alone.
"""

from __future__ import annotations

import json
import os
import time
import zlib

from attractor.promise.stop_hook import FILE_BYTES, environment, exists, is_name, read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BLOCKS_MAX = 20
BLOCKS_DIGITS = 6
GIT_SECONDS = 2.0
BEADS_BYTES = 64 << 20
REASON_CHARACTERS = 8_000  # Claude Code cuts at 10,000
TEXT_CHARACTERS = 300
SHOWN = 20
OPEN = ("pending", "in_progress")
WAITS = ("blocks", "conditional-blocks", "waits-for")


class Facts:
    """What is known about a session that wants to stop and owns, or has kept, a promise."""

    def __init__(
        self,
        promises: list[dict[str, Any]] | None = None,
        damaged: list[str] | None = None,
        *,
        released: bool = False,
        running: int = 0,
    ) -> None:
        self.promises = promises or []
        self.damaged = damaged or []
        self.released = released
        self.running = running
        self.claimed: list[str] = []
        self.dirty = False


def decide(facts: Facts) -> tuple[bool, str]:
    """Return whether the session is held, with the reason or, for an allowed stop, a note."""
    if facts.released:
        return False, "released"
    if facts.running:
        return False, f"background tasks that were running: {facts.running}"
    owed = [text for promise in facts.promises if (text := unmet(promise))]
    owed += facts.damaged
    owed += [text for promise in facts.promises if (text := unverified(promise))]
    owed = owed or beads_owed(facts.claimed, dirty=facts.dirty)
    if not owed:
        return False, ""
    reason = "This session has not kept its word yet.\n\n" + "\n\n".join(owed)
    if len(reason) > REASON_CHARACTERS:
        reason = reason[:REASON_CHARACTERS] + "\n... (all of it: `cs-promise --mine`)"
    return True, reason


def unmet(promise: dict[str, Any]) -> str:
    """Return which criteria of an open promise lack evidence and how to give it, or nothing."""
    criteria = promise.get("acceptance_criteria") or []
    missing = [each for each in criteria if each["status"] != "met"]
    if promise["status"] not in OPEN or (criteria and not missing):
        return ""
    name = promise["id"]
    count = f"has {len(missing)} of {len(criteria)} criteria unmet:" if missing else "is open."
    lines = [f"{_heading(promise)} {count}"]
    lines += [f"  {each['id']}: {_line(each['description'])}" for each in missing[:SHOWN]]
    if missing[SHOWN:]:
        lines.append(f"  and {len(missing) - SHOWN} more")
    lines.append("Do the work, then show it:")
    if promise["status"] == "pending":
        lines.append(f"  cs-promise --start {name}")
    if missing:
        first = missing[0]["id"]
        lines.append(f'  cs-promise --meet {name} --ac-id {first} --evidence "..." --type test')
    else:
        lines.append(f'  cs-verify --promise {name} --proof "..."')
    return "\n".join(lines)


def unverified(promise: dict[str, Any]) -> str:
    """Return how to verify an open promise whose criteria are all met, or nothing."""
    if promise["status"] not in OPEN or unmet(promise):
        return ""
    name = promise["id"]
    start = f"  cs-promise --start {name}\n" if promise["status"] == "pending" else ""
    return (
        f"{_heading(promise)} has every criterion met, but is not verified. Verify it:\n"
        f"{start}  cs-verify --promise {name}\n"
        "It asks for a validation of each criterion, kept with `cs-store-validation`; where nobody "
        "validates, add --skip-validation-check."
    )


def _heading(promise: dict[str, Any]) -> str:
    return f'Promise {promise["id"]}, "{_line(promise.get("title") or promise.get("summary"))}",'


def _line(text: object) -> str:
    return " ".join(str(text or "").split())[:TEXT_CHARACTERS]


def beads_owed(claimed: list[str], *, dirty: bool) -> list[str]:
    """Return what is left to do with the issues in .beads/."""
    owed = []
    if claimed:
        listing = "\n".join(f"  {each}" for each in claimed[:SHOWN])
        owed.append(
            f"Beads that this session claimed are ready:\n{listing}\nFinish them "
            '(`attractor bd close ID --reason "..."`) or give them back '
            '(`attractor bd update ID --status open --assignee ""`).'
        )
    if dirty:
        command = '  git add .beads && git commit -m "Record the beads" -- .beads'
        owed.append(f"Changes in .beads/ are not committed. Commit them:\n{command}")
    return owed


def judge(said: bytes, project: str, mine: dict[str, bytes], past: dict[str, bytes]) -> str:
    """Return what to print for this event: nothing, or a block as JSON.

    `mine` and `past` are the open and the closed promise files that mention the session.
    """
    event = json.loads(said)
    own = own_ids(event)
    if not own:
        return ""
    promises, damaged = owned(mine, own)
    if not promises and not damaged and not owned(past, own)[0]:
        return ""
    state = f"{project}/.claude/completion-state"
    released = any(exists(f"{state}/hooks/{each}.released.json") for each in own)
    facts = Facts(promises, damaged, released=released, running=running_tasks(event))
    held, why = decide(facts)
    if not why and exists(f"{project}/.beads"):
        facts.claimed = claimed_beads(
            f"{project}/.beads/issues.jsonl", {*own, environment(b"BD_ACTOR")} - {""}
        )
        facts.dirty = git_says_dirty(project)
        held, why = decide(facts)
    counter = Counter(state, own[0])
    return counter.hold(facts, why) if held else counter.allow(why)


def own_ids(event: object) -> list[str]:
    """Return the ids by which the stopping session owns promises; none for a subagent."""
    if not isinstance(event, dict) or event.get("hook_event_name") != "Stop":
        return []
    if event.get("agent_id") or not _is_name(event.get("session_id")):
        return []
    return [event["session_id"], *filter(_is_name, [environment(b"CLAUDE_SESSION_ID")])]


def _is_name(text: object) -> bool:
    return isinstance(text, str) and is_name(text.encode("utf-8", "replace"))


def running_tasks(event: dict[str, Any]) -> int:
    """Return how many background tasks still run; Claude Code wakes the session when they end."""
    tasks = event.get("background_tasks")
    tasks = tasks if isinstance(tasks, list) else []
    return sum(isinstance(each, dict) and each.get("status") == "running" for each in tasks)


def owned(files: dict[str, bytes], own: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the promises that the session owns, and a sentence for each file that is damaged."""
    promises, damaged = [], []
    for name, data in files.items():
        try:
            promise = json.loads(data)
            if promise["ownership"]["owned_by"] not in own:
                continue
            fault = _fault(promise)
        except json.JSONDecodeError as error:
            fault = f"line {error.lineno}: {error.msg}"
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            fault = f"line {line}: not UTF-8"
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
            fault = f"line 1: {type(error).__name__}: {error}"
        if fault:
            file = f".claude/completion-state/promises/{name}"
            damaged.append(f"The promise file {file} is damaged ({fault}). Repair it.")
        else:
            promises.append(promise)
    return promises, damaged


def _fault(promise: dict[str, Any]) -> str:
    if not (_is_name(promise.get("id")) and isinstance(promise.get("status"), str)):
        return "line 1: its id or status is missing"
    for each in promise.get("acceptance_criteria") or []:
        if not (_is_name(each["id"]) and isinstance(each["status"], str) and "description" in each):
            return "line 1: a criterion has no id, description or status"
    return ""


def claimed_beads(path: str, actors: set[str]) -> list[str]:
    """Return the beads that these actors or sessions claimed and that nothing blocks."""
    data = read_file(path, BEADS_BYTES)
    if not any(each.encode("utf-8", "surrogateescape") in data for each in actors):
        return []
    beads = _beads(data)
    closed = {each for each, bead in beads.items() if bead.get("status") == "closed"}
    ready = []
    for name, bead in beads.items():
        waits = [each for each in bead.get("dependencies") or [] if each.get("type") in WAITS]
        if (
            (bead.get("assignee") in actors or bead.get("claimed_by_session") in actors)
            and bead.get("status") in ("open", "in_progress")
            and "state:impl_complete" not in (bead.get("labels") or [])
            and all(each.get("depends_on_id") in closed for each in waits)
        ):
            ready.append(f"{name}: {_line(bead.get('title'))}")
    return ready


def _beads(data: bytes) -> dict[str, dict[str, Any]]:
    beads = {}
    for line in data.splitlines():
        try:
            bead = json.loads(line)
            beads[str(bead["id"])] = bead
        except (ValueError, RecursionError, LookupError, TypeError):
            continue
    return beads


def git_says_dirty(project: str) -> bool:
    """Say whether git sees uncommitted changes in .beads/; when it cannot tell, there are none."""
    import subprocess

    git = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", project]
    try:
        done = subprocess.run(  # noqa: TID251 - spawn.py is not at hand here
            [*git, "status", "--porcelain", "--", ".beads"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what git starts may keep this open for longer
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


class Counter:
    """What one session was answered, on disk; the session's id is a safe file name."""

    def __init__(self, state: str, session: str) -> None:
        self.state = state
        self.session = session

    def allow(self, note: str) -> str:
        """Let the session stop; a counter that ran starts anew, and a note is kept."""
        if note or self.read().get("blocks"):
            self.save({"blocks": 0, "allowed": note})
        return ""

    def hold(self, facts: Facts, reason: str) -> str:
        """Count the block and return it; or let go, because the count is full."""
        record, evidence = self.read(), fingerprint(facts)
        blocks = record.get("blocks") if record.get("evidence") == evidence else 0
        blocks = blocks if type(blocks) is int else 0
        most = blocks_max()
        if blocks >= most:
            self.escalate(blocks, facts, reason)
            return ""
        self.save({"blocks": blocks + 1, "evidence": evidence})
        count = f"(block {blocks + 1} of at most {most} without new evidence)"
        return json.dumps({"decision": "block", "reason": f"{reason}\n\n{count}"})

    def escalate(self, blocks: int, facts: Facts, reason: str) -> None:
        """Tell people that the session was let go with its word unkept."""
        promises = [{"id": each["id"], "title": each.get("title")} for each in facts.promises]
        first = reason.split("\n\n", 1)[-1].partition("\n")[0].rstrip(":")
        record = {"blocks": blocks, "promises": promises, "reason": first, "owed": reason}
        _write(f"{self.state}/escalations", self.session, record, durable=True)

    def read(self) -> dict[str, Any]:
        """Return what was counted; what cannot be read counts as nothing."""
        try:
            found = json.loads(read_file(f"{self.state}/hooks/{self.session}.json", FILE_BYTES))
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def save(self, counted: dict[str, Any]) -> None:
        """Write the counter; `claude_pid` tells others which process the session lives in."""
        pid = environment(b"CLAUDE_PID")
        alive = {"claude_pid": int(pid)} if pid.isascii() and pid.isdigit() else {}
        _write(f"{self.state}/hooks", self.session, {**alive, **counted})


def fingerprint(facts: Facts) -> str:
    """Return what changes whenever there is new evidence, and else stays."""
    seen: list[Any] = [facts.damaged, facts.claimed, facts.dirty]
    for promise in facts.promises:
        criteria = promise.get("acceptance_criteria") or []
        seen.append([promise["id"], promise["status"]])
        seen += [[each["id"], each["status"], each.get("evidence")] for each in criteria]
    return f"{zlib.crc32(json.dumps(seen).encode()):08x}"


def blocks_max() -> int:
    """Return after how many blocks without new evidence a session is let go."""
    said = environment(b"ATTRACTOR_STOP_BLOCKS_MAX")
    number = said.isascii() and said.isdigit() and len(said) <= BLOCKS_DIGITS
    return int(said) if number else BLOCKS_MAX


def _write(folder: str, session: str, record: dict[str, Any], *, durable: bool = False) -> None:
    if not exists(folder):
        os.mkdir(folder)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = json.dumps({"session": session, "at": at, **record}, indent=2) + "\n"
    draft = f"{folder}/.{session}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(draft, flags, 0o644), "wb") as file:
        file.write(text.encode())
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(draft, f"{folder}/{session}.json")
