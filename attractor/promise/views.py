"""Promises in words, for a person at a terminal."""

from __future__ import annotations

from attractor.errors import InputError
from attractor.promise import model
from attractor.promise.files import Damaged
from attractor.promise.model import Promise

_TITLE_CHARACTERS = 60


def refuse_placeholder(option: str, text: str) -> None:
    """Refuse the dots that stand for a text in every command that is proposed."""
    if text.strip() in ("...", "\u2026"):
        raise InputError(
            f"{option} {text!r} says nothing: the dots stand for your own words",
            fix="say what shows it: what was done, and what came of it",
        )


def progress(promise: Promise) -> str:
    """Return how many criteria are met; "" for a legacy promise."""
    found = model.criteria(promise)
    if not found:
        return ""
    return f"[{len(found) - len(model.unmet(promise))}/{len(found)} AC met]"


def entry(promise: Promise, *, orphan: bool) -> list[str]:
    """Return a promise as two lines of a list."""
    holder = model.owner(promise)
    whose = f"(owner: {holder}{', gone' if orphan else ''})" if holder else "(orphaned)"
    title = model.title(promise)[:_TITLE_CHARACTERS]
    return [
        f"  [{promise['status'].upper()}] {promise['id']} {whose}",
        f'    "{title}" {progress(promise)}'.rstrip(),
    ]


def criteria(promise: Promise, indent: str = "  ") -> list[str]:
    """Return the criteria, one a line."""
    return [
        f"{indent}{'[MET]    ' if each['status'] == model.MET else '[PENDING]'} "
        f"{each['id']}: {each['description']}"
        for each in model.criteria(promise)
    ]


def whole(promise: Promise) -> list[str]:
    """Return everything that `--show` says of a promise."""
    ownership, verification = promise.get("ownership", {}), promise.get("verification", {})
    lines = [
        f"PROMISE: {promise['id']}",
        f"Title: {model.title(promise)}",
        "",
        "Ownership:",
        f"  Created by: {ownership.get('created_by')}",
        f"  Created at: {ownership.get('created_at')}",
        f"  Owned by: {model.owner(promise) or 'null (orphaned)'}",
        f"  Owned since: {ownership.get('owned_since') or 'n/a'}",
        "",
        f"Status: {promise['status']}",
        "",
    ]
    if found := model.criteria(promise):
        lines.append("Acceptance Criteria:")
        for each, line in zip(found, criteria(promise), strict=True):
            lines.append(line)
            if each["status"] == model.MET:
                lines.append(f"            Evidence: {each.get('evidence')} ({_kind(each)})")
        lines += ["", f"Progress: {progress(promise)}", ""]
    return [
        *lines,
        "Verification:",
        f"  Verified at: {verification.get('verified_at') or 'not verified'}",
        f"  Verified by: {verification.get('verified_by') or 'n/a'}",
    ]


def _kind(criterion: Promise) -> str:
    kind = str(criterion.get("evidence_type"))
    if kind not in model.CHECKED:
        return f"{kind}, a claim"
    check = criterion.get("check")
    at = check.get("checked_at") if isinstance(check, dict) else None
    return f"{kind}, checked at {at}" if at else f"{kind}, not checked"


def damaged(found: list[Damaged]) -> list[str]:
    """Return a warning for each file that cannot be read."""
    return [
        f"warning: {each.path}: {each.reason}; it is left as it is, and passed over"
        for each in found
    ]
