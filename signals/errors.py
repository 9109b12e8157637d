"""The errors that a person may see: each says what happened, where, and what to do next.

`signals` is the lowest layer, so the base of all our errors lives here; `attractor.errors` is the
name by which the upper layers know it. An error carries fields, builds its own message, and
survives pickling, so that a child process can hand it to its parent.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AttractorError(Exception):
    """The base of every error that we raise on purpose. `code` is stable, for scripts."""

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    def __init__(self, problem: str, *, where: str = "", fix: str = "", **details: Any) -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.fix = fix
        self.details = details

    def __str__(self) -> str:
        text = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{text}\n  {self.fix}" if self.fix else text

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.problem, self.where, self.fix, self.details)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints; empty fields are left out."""
        said = {"message": self.problem, "where": self.where, "fix": self.fix, **self.details}
        return {"status": "error", "code": self.code} | {k: v for k, v in said.items() if v != ""}


def _rebuild(
    kind: type[AttractorError], problem: str, where: str, fix: str, details: dict[str, Any]
) -> AttractorError:
    return kind(problem, where=where, fix=fix, **details)


class StorageError(AttractorError):
    """The disk refused: full, read-only, or not ours. What was there before is intact."""

    code = "storage"


class ProtocolError(AttractorError):
    """A signal that cannot be what it claims to be; the other side's fault, or a forgery."""

    code = "protocol"


class BusyError(AttractorError):
    """Another process holds what this needs, and did not let go in time; nothing was changed."""

    code = "busy"
