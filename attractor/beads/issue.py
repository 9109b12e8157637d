"""One bead: its line in the file, the words it may use, and the rule of its status.

`decode` and `encode` are exact inverses on lines written by us or by bd: known keys in bd's order,
unknown ones after them, empty ones left out, JSON escaped as Go does it. Pure: no file, no clock.

`impl_complete` is a status to our users and no status to bd, which refuses a whole file for it. So
it is stored as `in_progress` with the label `state:impl_complete`; `status_of` and `with_status`
are the only places that know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from attractor.errors import InputError

Issue = dict[str, Any]

_FIELDS_WORDS: Final = (
    "_type id title description design acceptance_criteria notes spec_id status priority"
    " issue_type assignee owner estimated_minutes created_at created_by updated_at started_at"
    " closed_at close_reason closed_by_session due_at defer_until external_ref source_system"
    " metadata compaction_level compacted_at compacted_at_commit original_size labels dependencies"
    " comments deleted_at deleted_by delete_reason original_type sender ephemeral no_history"
    " wisp_type pinned is_template bonded_from creator validations await_type await_id timeout"
    " waiters source_formula source_location hook_bead role_bead agent_state last_activity"
    " role_type rig mol_type work_type event_kind actor target payload"
)
FIELDS: Final = tuple(_FIELDS_WORDS.split())
_PLACE: Final = {key: place for place, key in enumerate(FIELDS)}
_ALWAYS: Final = frozenset({"id", "title", "priority", "created_at", "updated_at"})

STORED_STATUSES: Final = (
    "open",
    "in_progress",
    "blocked",
    "deferred",
    "closed",
    "pinned",
    "hooked",
)
IMPL_COMPLETE: Final = "impl_complete"
IMPL_COMPLETE_LABEL: Final = "state:impl_complete"
TOMBSTONE: Final = "tombstone"
CLAIMED_BY_SESSION: Final = "claimed_by_session"  # ours; a real bd drops it when it rewrites
GONE: Final = frozenset({"closed", TOMBSTONE})
# What changes together with the status, in an edit as in a merge.
STATUS_FIELDS: Final = (
    *("status", "closed_at", "close_reason", "closed_by_session"),
    *("deleted_at", "deleted_by", "delete_reason", "original_type"),
)
_TYPES_WORDS: Final = (
    "bug feature task epic chore decision spike story milestone message molecule gate event"
    " merge-request agent role convoy"
)
TYPES: Final = tuple(_TYPES_WORDS.split())
TITLE_BYTES: Final = 500

# Go's encoder writes these escaped, so a real bd that rewrites the file changes nothing.
_GO_ESCAPES: Final = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}
_TEXT_FIELDS_WORDS: Final = (
    "title description design acceptance_criteria notes status issue_type assignee created_at"
    " updated_at closed_at close_reason defer_until external_ref created_by"
)
_TEXT_FIELDS: Final = tuple(_TEXT_FIELDS_WORDS.split())


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError(f"{text} is too large a number")
    return number


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


class LineError(ValueError):
    """A line that is no issue; the text says why."""


def decode(line: bytes) -> Issue | None:
    """Return the issue of a line, None if it is a record of another kind.

    LineError: it is neither; nothing that takes an issue needs to check its shape again.
    """
    try:
        # Stripped here: the decoder, unlike json.loads, does not pass over space before the value.
        found = _DECODER.decode(line.decode().strip())
    except UnicodeDecodeError:
        raise LineError("it is not UTF-8") from None
    except RecursionError:
        raise LineError("it is nested too deeply") from None
    except ValueError as error:
        raise LineError(f"it is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise LineError("it is not a JSON object")
    if found.get("_type", "issue") != "issue":
        return None
    _check_shape(found)
    if b"\\ud" in line.lower():
        _check_text(found)
    return found


def _check_text(issue: Issue) -> None:
    try:
        json.dumps(issue, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise LineError("it has half of a surrogate pair, which is no text") from None


def _check_shape(issue: Issue) -> None:
    if not isinstance(issue.get("id"), str) or not issue["id"]:
        raise LineError("it has no id")
    for key in _TEXT_FIELDS:
        if not isinstance(issue.get(key, ""), str):
            raise LineError(f"its {key} is not text")
    if type(issue.get("priority", 2)) is not int:
        raise LineError("its priority is not a whole number")
    labels = issue.get("labels")
    if labels and not (isinstance(labels, list) and all(isinstance(one, str) for one in labels)):
        raise LineError("its labels are not a list of words")
    _check_records(issue, "dependencies", ("depends_on_id",), ("type", "created_at"))
    _check_records(issue, "comments", (), ("author", "text", "created_at"))


def _check_records(issue: Issue, key: str, needed: Iterable[str], optional: Iterable[str]) -> None:
    records = issue.get(key)
    if not records:
        return
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise LineError(f"its {key} are not a list of objects")
    for record in records:
        if not all(isinstance(record.get(name), str) for name in needed) or not all(
            isinstance(record.get(name, ""), str) for name in optional
        ):
            raise LineError(f"one of its {key} is not complete")


def encode(issue: Issue) -> bytes:
    """Return the line of an issue, without its end."""
    known = sorted(
        (each for each in issue.items() if each[0] in _PLACE), key=lambda each: _PLACE[each[0]]
    )
    rest = [each for each in issue.items() if each[0] not in _PLACE]
    kept = {
        key: value
        for key, value in (*known, *rest)
        if key in _ALWAYS or key not in _PLACE or not _is_empty(value)
    }
    return to_json(kept).encode()


def _is_empty(value: object) -> bool:
    return value is None or value is False or value in ("", [], {})


def to_json(value: object) -> str:
    """Return compact JSON with the escapes of Go's encoder."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_GO_ESCAPES)


def instant(text: str | None) -> datetime:
    """Return the moment of a timestamp in any zone; the beginning of time if it says none."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return _BEGINNING
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_BEGINNING: Final = datetime(1, 1, 2, tzinfo=UTC)


def labels_of(issue: Issue) -> list[str]:
    """Return the labels of an issue."""
    return list(issue.get("labels") or ())


def status_of(issue: Issue) -> str:
    """Return the status as our users know it, `impl_complete` among them."""
    status = issue.get("status") or "open"
    if status == "in_progress" and IMPL_COMPLETE_LABEL in labels_of(issue):
        return IMPL_COMPLETE
    return str(status)


def is_gone(issue: Issue) -> bool:
    """Return whether an issue is closed or deleted."""
    return issue.get("status") in GONE


def with_status(issue: Issue, status: str, now: str) -> Issue:
    """Return the issue in this status, closed_at set exactly if it is closed."""
    changed = {key: value for key, value in issue.items() if key not in STATUS_FIELDS[1:]}
    stored = "in_progress" if status == IMPL_COMPLETE else status
    labels = set(labels_of(issue)) - {IMPL_COMPLETE_LABEL}
    if status == IMPL_COMPLETE:
        labels.add(IMPL_COMPLETE_LABEL)
    changed |= {"status": stored, "labels": sorted(labels)}
    if stored == "closed":
        kept = {key: issue[key] for key in STATUS_FIELDS[1:4] if issue.get(key)}
        changed |= {"closed_at": now} | (kept if issue.get("status") == "closed" else {})
    return changed


def normal(issue: Issue) -> Issue:
    """Return an issue from outside with its status in the stored form."""
    return with_status(issue, IMPL_COMPLETE, "") if issue.get("status") == IMPL_COMPLETE else issue


def check_text(what: str, text: str) -> str:
    """Return text that can be stored as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"the {what} is not valid UTF-8", fix="pass it as UTF-8 text") from None
    return text


def check_title(title: str) -> str:
    """Return a title that bd takes, too."""
    title = check_text("title", title).strip()
    size = len(title.encode())
    if not title:
        raise InputError("the title is empty", fix="give one line that says what is to be done")
    if size > TITLE_BYTES:
        raise InputError(
            f"the title has {size} bytes, more than {TITLE_BYTES}",
            fix="shorten it, and move the rest into --description",
        )
    return title


def check_priority(word: str) -> int:
    """Return the priority 0 (first) to 4 (last) of "1" or "P1"."""
    if not re.fullmatch(r"[Pp]?[0-4]", word):
        raise InputError(f"there is no priority {word!r}", fix="the priorities are 0 (first) to 4")
    return int(word[-1])


def check_word(what: str, word: str, known: Iterable[str]) -> str:
    """Return a word of a closed list; the error suggests the nearest one."""
    known = list(known)
    if word in known:
        return word
    import difflib  # only for a typing error

    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    fix = f"{hint}the words for {what} are {', '.join(known)}"
    raise InputError(f"invalid {what}: {word}", fix=fix)
