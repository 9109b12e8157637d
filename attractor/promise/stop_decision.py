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

from attractor.promise.stop_hook import (
    FILE_BYTES,
    STDIN_BYTES,
    beads_folder,
    environment,
    exists,
    identity,
    is_name,
    mentioned_ids,
    read_file,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BLOCKS_MAX = 20
BLOCKS_DIGITS = 6
PID_DIGITS = 10
GIT_SECONDS = 2.0
BEADS_BYTES = 64 << 20
SMALL_BYTES = 4096
REASON_CHARACTERS = 8_000  # Claude Code cuts at 10,000
TEXT_CHARACTERS = 300
SHOWN = 20
OPEN = ("pending", "in_progress")
STATUSES = (*OPEN, "verified", "cancelled")
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


def judge(
    said: bytes, project: str, mine: dict[str, bytes], past: dict[str, bytes], deadline: float
) -> str:
    """Return what to print for this event: nothing, or a block as JSON.

    `mine` and `past` are the open and the closed promise files that mention the session.
    """
    own = own_ids(event := parsed_event(said))
    if not own:
        return ""
    promises, damaged = owned(mine, own, deadline)
    if not promises and not damaged and not owned(past, own, deadline)[0]:
        return ""
    state = f"{project}/.claude/completion-state"
    released = any(exists(f"{state}/hooks/{each}.released.json") for each in own)
    facts = Facts(promises, damaged, released=released, running=running_tasks(event))
    held, why = decide(facts)
    folder = "" if why else beads_folder(project)
    if folder:
        actors = {*own, environment(b"BD_ACTOR")} - {""}
        facts.claimed = claimed_beads(redirected(folder), actors, deadline)
        facts.dirty = git_says_dirty(project, deadline)
        held, why = decide(facts)
    counter = Counter(state, own[0])
    return counter.hold(facts, why) if held else counter.allow(why)


def parsed_event(said: bytes) -> dict[str, Any]:
    """Return the event; of one that was cut off only what is needed, and only if it is certain."""
    try:
        event = json.loads(said)
    except ValueError:
        if len(said) < STDIN_BYTES:
            raise
    else:
        return event if isinstance(event, dict) else {}
    # A quote inside a JSON string is escaped, so these bytes are a key, or a whole value.
    name = said.partition(b'"hook_event_name"')[2].lstrip()
    stops = name[:1] == b":" and name[1:].lstrip().startswith(b'"Stop"')
    if not stops or b'"agent_id"' in said:
        return {}
    return {"hook_event_name": "Stop", "session_id": next(iter(mentioned_ids(said)), b"").decode()}


def own_ids(event: dict[str, Any]) -> list[str]:
    """Return the ids by which the stopping session owns promises; none for a subagent."""
    if event.get("hook_event_name") != "Stop":
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


def owned(
    files: dict[str, bytes], own: list[str], deadline: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the promises that the session owns, and a sentence for each file that is damaged."""
    promises: list[dict[str, Any]] = []
    damaged: list[str] = []
    for name, data in files.items():
        if (promises or damaged) and time.monotonic() > deadline:
            break
        try:
            promise = json.loads(data)
            owner = promise["ownership"]["owned_by"]
            if owner not in own and (owner is None or isinstance(owner, str)):
                continue
            fault = _fault(promise, name.removesuffix(".json"))
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


def _fault(promise: dict[str, Any], name: str) -> str:
    """Return why the store would not take this for the promise of this name."""
    if not (promise.get("id") == name and _is_name(name) and not name.startswith(".")):
        return f"line 1: the id in it is {json.dumps(promise.get('id'))}, not its file's name"
    if promise.get("status") not in STATUSES:
        return f"line 1: its status is {json.dumps(promise.get('status'))}"
    if not isinstance(promise["ownership"]["owned_by"], str):
        return "line 1: `owned_by` is neither text nor null"
    if not isinstance(promise.get("verification", {}), dict):
        return "line 1: `verification` is not an object"
    criteria = promise.get("acceptance_criteria")
    return "" if criteria is None else _criteria_fault(criteria)


def _criteria_fault(criteria: object) -> str:
    if not isinstance(criteria, list):
        return "line 1: `acceptance_criteria` is not a list"
    for each in criteria:
        if not isinstance(each, dict):
            return "line 1: a criterion is not an object"
        if not all(isinstance(each.get(key), str) for key in ("id", "description", "status")):
            return "line 1: a criterion has no id, description or status"
        if not _is_name(each["id"]) or each["status"] not in ("pending", "met"):
            return "line 1: a criterion's id or status is none"
    twice = len({each["id"] for each in criteria}) < len(criteria)
    return "line 1: two criteria have the same id" if twice else ""


def redirected(folder: str) -> str:
    """Follow bd's `redirect` file, once; a path in it counts from the project's folder."""
    line = _text(f"{folder}/redirect").partition("\n")[0].strip()
    there = os.path.normpath(os.path.join(os.path.dirname(folder), line))
    return there if line and identity(f"{there}/.") else folder


def _text(path: str) -> str:
    return read_file(path, SMALL_BYTES).decode("utf-8", "surrogateescape")


def _beads_file(folder: str) -> str:
    """Return the issues file, as metadata.json names it."""
    try:
        name = json.loads(_text(f"{folder}/metadata.json")).get("jsonl_export")
    except (ValueError, RecursionError, AttributeError):
        name = None
    fits = _is_name(name) and name.endswith(".jsonl") and "." not in name[:-6]
    return f"{folder}/{name if fits else 'issues.jsonl'}"


def claimed_beads(folder: str, actors: set[str], deadline: float) -> list[str]:
    """Return the beads that these actors or sessions claimed and that nothing blocks."""
    data = read_file(_beads_file(folder), BEADS_BYTES)
    if not any(each.encode("utf-8", "surrogateescape") in data for each in actors):
        return []
    beads = _beads(data, deadline)
    return [
        f"{name}: {_line(bead.get('title'))}"
        for name, bead in beads.items()
        if (bead.get("assignee") in actors or bead.get("claimed_by_session") in actors)
        and bead.get("status") in ("open", "in_progress")
        and "state:impl_complete" not in (bead.get("labels") or [])
        and not any(_waits(each, beads) for each in bead.get("dependencies") or [])
    ]


def _waits(link: dict[str, Any], beads: dict[str, dict[str, Any]]) -> bool:
    """Say whether this dependency blocks: its target is there, or elsewhere, and open."""
    target = str(link.get("depends_on_id"))
    if link.get("type") not in WAITS:
        return False
    if target not in beads:
        return link.get("type") == "blocks" and target.startswith("external:")
    return beads[target].get("status") not in ("closed", "tombstone", "pinned")


def _beads(data: bytes, deadline: float) -> dict[str, dict[str, Any]]:
    beads = {}
    for line in data.splitlines():
        if time.monotonic() > deadline:
            break
        try:
            bead = json.loads(line)
            beads[str(bead["id"])] = bead
        except (ValueError, RecursionError, LookupError, TypeError):
            continue
    return beads


def git_says_dirty(project: str, deadline: float) -> bool:
    """Say whether git sees uncommitted changes in .beads/; when it cannot tell, there are none."""
    seconds = min(GIT_SECONDS, deadline - time.monotonic())
    if seconds <= 0 or not exists(f"{project}/.beads"):
        return False
    import subprocess

    git = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", project]
    try:
        done = subprocess.run(  # noqa: TID251 - spawn.py is not at hand here
            [*git, "status", "--porcelain", "--", ".beads"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what git starts may keep this open for longer
            timeout=seconds,
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
        before = self.read("escalations")
        if "at" in before:  # the session stopped unkept before: that stays on record
            times = before.get("times")
            record["times"] = times + 1 if type(times) is int else 2
            record["first_at"] = before.get("first_at") or before["at"]
        _write(f"{self.state}/escalations", self.session, record, durable=True)

    def read(self, folder: str = "hooks") -> dict[str, Any]:
        """Return this session's record in a folder; what cannot be read counts as nothing."""
        try:
            found = json.loads(read_file(f"{self.state}/{folder}/{self.session}.json", FILE_BYTES))
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def save(self, counted: dict[str, Any]) -> None:
        """Write the counter; `claude_pid` tells others which process the session lives in."""
        pid = environment(b"CLAUDE_PID")
        alive: dict[str, Any] = {}
        if pid.isascii() and pid.isdigit() and len(pid) <= PID_DIGITS:
            alive = {"claude_pid": int(pid)}
            if found := process(int(pid)):
                alive["process"] = found
        _write(f"{self.state}/hooks", self.session, {**alive, **counted})


def process(pid: int) -> dict[str, Any] | None:
    """Return who a process is, as `signals.owner` writes it; None where that cannot be read."""
    try:
        stat = _system_file(f"/proc/{pid}/stat")
        # The second field is the program's name in parentheses, and may hold both kinds itself.
        start = stat[stat.rindex(b")") + 2 :].split()[19].decode()
        boot = _system_file("/proc/sys/kernel/random/boot_id").strip().decode()
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except (OSError, ValueError, IndexError):
        return None
    return {"pid": pid, "start": start, "boot": f"{boot}:{space}"}


def _system_file(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, SMALL_BYTES)
    finally:
        os.close(fd)


def fingerprint(facts: Facts) -> str:
    """Return what changes when a criterion gets new evidence, and stays with anything else."""
    seen: list[Any] = []
    for promise in facts.promises:
        for each in promise.get("acceptance_criteria") or []:
            if each["status"] == "met":
                check = each.get("check")
                shown = check.get("sha256") if isinstance(check, dict) else None
                seen.append([promise["id"], each["id"], each.get("evidence"), shown])
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
