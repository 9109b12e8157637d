"""Every signal there is: a closed union of 23 types, version 1.

What `parse` returns is complete and of the right types; else a ProtocolError names the wrong key.
Our own signals carry `schema_version` and have no key that is not listed here. One of the original
harness has no `schema_version` and no `id`: both spellings of a key are read, unknown keys are
ignored, and its id is made from its content.

What a signal says is not checked against the world; who wrote it is for `signals.sign`. Validators
are built at first use. `signals.names` has what can be known without importing this module.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self, final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    JsonValue,
    ValidationError,
    model_validator,
)
from pydantic_core import core_schema

from signals.body import decode
from signals.errors import ProtocolError
from signals.explain import explained
from signals.names import LAYER, SIGNAL_TYPES, STAMP

SCHEMA_VERSION: Final = 1

Layer = Annotated[str, Field(pattern=LAYER)]
Stamp = Annotated[str, Field(pattern=STAMP)]
Word = Annotated[str, Field(min_length=1)]
Seconds = Annotated[int | float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    """What every model here has in common."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )


class Payload(_Strict):
    """What a type carries. A key that is None is not written."""

    signal_type: ClassVar[str]


class NodePayload(Payload):
    """What every type about one node carries."""

    node_id: Word


@final
class Usage(_Strict):
    """What a node's sessions have used so far, in this attempt."""

    sessions: Count = 0
    turns: Count = 0
    requests: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_creation_tokens: Count = 0
    cost_usd: Annotated[int | float, Field(ge=0)] | None = None
    """What the agent's program estimates; None where it says nothing."""
    cooldowns: Count = 0
    cooldown_seconds: Seconds = 0
    models: dict[str, Count] | None = None
    """Output tokens by model."""


class _Measured(NodePayload):
    """What a Runner says about its session, with what that session has used."""

    usage: Usage | None = None


@final
class NeedsReview(_Measured):
    """The orchestrator says that a node's work is done; a claim, to be judged."""

    signal_type = "NEEDS_REVIEW"
    commit_hash: str | None = None
    summary: str | None = None
    evidence_path: str | None = None


@final
class NeedsInput(NodePayload):
    """The orchestrator asks something that the Guardian, or a person, must answer."""

    signal_type = "NEEDS_INPUT"
    question: str | None = None
    options: JsonValue = None


@final
class Violation(NodePayload):
    """The orchestrator did what only workers may do."""

    signal_type = "VIOLATION"
    reason: str | None = None


@final
class OrchestratorStuck(_Measured):
    """There is evidence that nothing moves."""

    signal_type = "ORCHESTRATOR_STUCK"
    duration_seconds: Seconds | None = None
    last_output: str | None = None
    rung: Literal["ask", "interrupt", "restart", "hand back"] | None = None
    """What the Runner does about it; on the last it waits for the Guardian."""


@final
class OrchestratorCrashed(_Measured):
    """The session has ended without finishing."""

    signal_type = "ORCHESTRATOR_CRASHED"
    last_output: str | None = None


@final
class NodeComplete(NodePayload):
    """The Runner has finished with a node."""

    signal_type = "NODE_COMPLETE"
    commit_hash: str | None = None
    summary: str | None = None


@final
class ValidationComplete(NodePayload):
    """A validation has ended; for the Guardian or the terminal."""

    signal_type = "VALIDATION_COMPLETE"
    summary: str | None = None


@final
class ValidationPassed(NodePayload):
    """The Guardian has accepted the work."""

    signal_type = "VALIDATION_PASSED"
    new_status: str | None = None


@final
class ValidationFailed(NodePayload):
    """The Guardian has refused the work, and says why."""

    signal_type = "VALIDATION_FAILED"
    feedback: str | None = None
    retry_count: Annotated[int, Field(ge=0)] | None = None


@final
class InputResponse(NodePayload):
    """The answer to NEEDS_INPUT."""

    signal_type = "INPUT_RESPONSE"
    response: str | None = None


@final
class KillOrchestrator(NodePayload):
    """End the session."""

    signal_type = "KILL_ORCHESTRATOR"
    reason: str | None = None


@final
class Guidance(NodePayload):
    """Advice for the orchestrator."""

    signal_type = "GUIDANCE"
    message: str | None = None


@final
class MergeReady(NodePayload):
    """A branch waits to be merged."""

    signal_type = "MERGE_READY"
    branch: str | None = None


@final
class MergeComplete(NodePayload):
    """A branch was merged."""

    signal_type = "MERGE_COMPLETE"
    branch: str | None = None
    entry_id: str | None = None


@final
class MergeFailed(NodePayload):
    """A branch could not be merged."""

    signal_type = "MERGE_FAILED"
    branch: str | None = None
    error: str | None = None


class _AgentPayload(Payload):
    """What is known of one agent."""

    agent_id: Word
    role: str | None = None
    name: str | None = None
    session_id: str | None = None
    worktree: str | None = None


@final
class AgentRegistered(_AgentPayload):
    """An agent has begun."""

    signal_type = "AGENT_REGISTERED"
    blindness: str | None = None
    """The wall between the agent and what it must not see: `bwrap`, `sandbox-exec`, `policy`."""


@final
class AgentCrashed(_AgentPayload):
    """An agent has ended by accident."""

    signal_type = "AGENT_CRASHED"
    crashed_at: str | None = None


@final
class AgentTerminated(_AgentPayload):
    """An agent was ended on purpose."""

    signal_type = "AGENT_TERMINATED"
    terminated_at: str | None = None


@final
class RunnerExited(_Measured):
    """A Runner has ended, and says why."""

    signal_type = "RUNNER_EXITED"
    prd_ref: str | None = None
    mode: str | None = None
    reason: str | None = None
    wrote: bool | None = None  # whether anything was left behind; None: not known


@final
class PipelineComplete(Payload):
    """Every node has reached its end."""

    signal_type = "PIPELINE_COMPLETE"
    pipeline_id: Word
    summary: str | None = None


@final
class Escalation(Payload):
    """A person must decide."""

    signal_type = "ESCALATION"
    pipeline_id: Word
    issue: str
    options: JsonValue = None


@final
class GuardianError(Payload):
    """The Guardian itself has failed."""

    signal_type = "GUARDIAN_ERROR"
    pipeline_id: Word
    error: str | None = None
    stack_trace: str | None = None


@final
class StopRun(Payload):
    """A person ends the run; the Guardian ends what runs, and keeps all work."""

    signal_type = "STOP_RUN"
    reason: str | None = None


AnyPayload = (
    NeedsReview
    | NeedsInput
    | Violation
    | OrchestratorStuck
    | OrchestratorCrashed
    | NodeComplete
    | ValidationComplete
    | ValidationPassed
    | ValidationFailed
    | InputResponse
    | KillOrchestrator
    | Guidance
    | MergeReady
    | MergeComplete
    | MergeFailed
    | AgentRegistered
    | AgentCrashed
    | AgentTerminated
    | RunnerExited
    | PipelineComplete
    | Escalation
    | GuardianError
    | StopRun
)

PAYLOADS: Final[Mapping[str, type[AnyPayload]]] = {
    kind.signal_type: kind for kind in AnyPayload.__args__
}

# The type is chosen by `signal_type` before the envelope is built, so that only it is compiled.
_Chosen = GetPydanticSchema(lambda _source, _handler: core_schema.is_instance_schema(Payload))


@final
class Signal(_Strict):
    """One message. `timestamp`, `id` and `mac` are filled in by the mailbox that sends it."""

    source: Layer
    target: Layer
    payload: Annotated[AnyPayload, _Chosen]
    timestamp: Stamp = ""
    schema_version: Literal[0, 1] = 1
    """0 is a signal of the harness, which does not number its bodies."""
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")] = ""
    run_id: Word | None = None
    node_id: Word | None = None
    attempt: Annotated[int, Field(ge=1)] | None = None
    mac: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @property
    def signal_type(self) -> str:
        """The name of the type, as files and bodies carry it."""
        return self.payload.signal_type

    @model_validator(mode="after")
    def _one_node(self) -> Self:
        inner = getattr(self.payload, "node_id", None)
        if inner is not None and self.node_id is not None and inner != self.node_id:
            raise ValueError(
                f"the envelope names node {self.node_id!r:.60}, the payload {inner!r:.60}"
            )
        return self

    def filled(self, *, timestamp: str) -> Signal:
        """Return the signal as it can be sent: of our version, with a time and an id."""
        parts = {"timestamp": timestamp, "id": self.id or new_id(), "schema_version": 1}
        return self.model_copy(update=parts | {"mac": None})

    def as_body(self) -> dict[str, Any]:
        """Return the JSON object that the file holds: the harness's keys first, then ours."""
        body = {
            "source": self.source,
            "target": self.target,
            "signal_type": self.signal_type,
            "timestamp": self.timestamp,
            "payload": self.payload.model_dump(exclude_none=True),
            "schema_version": self.schema_version,
            "id": self.id,
            "run_id": self.run_id,
            "node_id": self.node_id,
            "attempt": self.attempt,
            "mac": self.mac,
        }
        return {name: value for name, value in body.items() if value is not None}


def new_id() -> str:
    """Return an id that no other signal has."""
    return os.urandom(16).hex()


def compose(
    source: str,
    target: str,
    payload: AnyPayload,
    *,
    run_id: str | None = None,
    node_id: str | None = None,
    attempt: int | None = None,
) -> Signal:
    """Return a signal that is ready to be sent; its node is the payload's unless given."""
    envelope = {
        "source": source,
        "target": target,
        "payload": payload,
        "run_id": run_id,
        "node_id": node_id or getattr(payload, "node_id", None),
        "attempt": attempt,
    }
    try:
        return Signal.model_validate(envelope)
    except ValidationError as error:
        raise explained(error, payload.signal_type) from error


# The harness's documents and its programs spell two keys differently.
_OTHER_SPELLINGS: Final = {"commit": "commit_hash", "duration": "duration_seconds"}


def payload_of(signal_type: str, given: Mapping[str, Any]) -> AnyPayload:
    """Return the payload of this type, with either spelling of a key; unknown keys are refused."""
    named = {_spelled(key, given): value for key, value in given.items()}
    return _validated(_kind(signal_type), named)


def _spelled(key: str, given: Mapping[str, Any]) -> str:
    other = _OTHER_SPELLINGS.get(key, key)
    return key if other in given else other


def parse(data: bytes) -> Signal:
    """Return the signal in these bytes, or raise a ProtocolError that says what is wrong."""
    return from_body(decode(data), data)


def from_body(body: Mapping[str, Any], data: bytes) -> Signal:
    """Return the signal that a decoded body holds; `data` gives a harness signal its id."""
    is_ours = "schema_version" in body or "id" in body
    if is_ours:
        _check_version(body.get("schema_version"))
    kind = _kind(body.get("signal_type"))
    for key in ("timestamp", "id") if is_ours else ("timestamp",):
        if key not in body:
            raise ProtocolError(f"{kind.signal_type}: {key} is missing")
    parts = dict(body)
    del parts["signal_type"]
    given = parts.get("payload")
    if not isinstance(given, dict):
        raise ProtocolError(f"{kind.signal_type}: payload must be an object")
    if is_ours:
        parts["payload"] = _validated(kind, given)
    else:
        parts = _from_harness(parts, kind, data)
    try:
        return Signal.model_validate(parts)
    except ValidationError as error:
        raise explained(error, kind.signal_type) from error


def _check_version(version: object) -> None:
    if type(version) is int and version > SCHEMA_VERSION:
        raise ProtocolError(
            f"written by a newer Attractor: schema_version {version!r:.40}, not {SCHEMA_VERSION}",
            fix="update this Attractor, or let the newer one read it",
        )
    if type(version) is not int or version != SCHEMA_VERSION:  # True equals 1, and is no version
        raise ProtocolError(f"schema_version must be {SCHEMA_VERSION}, not {version!r:.40}")


def _from_harness(parts: Mapping[str, Any], kind: type[AnyPayload], data: bytes) -> dict[str, Any]:
    given = parts["payload"]
    named = {_spelled(key, given): value for key, value in given.items()}
    payload = _validated(kind, {key: named[key] for key in kind.model_fields if key in named})
    envelope = {key: parts[key] for key in ("source", "target", "timestamp") if key in parts}
    return envelope | {
        "payload": payload,
        "schema_version": 0,
        "id": "harness-" + hashlib.sha256(data).hexdigest()[:32],
        "node_id": getattr(payload, "node_id", None),
    }


def _kind(signal_type: object) -> type[AnyPayload]:
    if isinstance(signal_type, str) and signal_type in PAYLOADS:
        return PAYLOADS[signal_type]
    if signal_type is None:
        raise ProtocolError("signal_type is missing")
    raise ProtocolError(
        f"there is no signal type {signal_type!r:.60}",
        fix=f"the types are: {', '.join(sorted(SIGNAL_TYPES))}",
    )


def _validated(kind: type[AnyPayload], given: Mapping[str, Any]) -> AnyPayload:
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise explained(error, kind.signal_type, "payload.", kind.model_fields) from error
