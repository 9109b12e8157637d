from __future__ import annotations

import contextlib
import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals import kinds
from signals.body import MAX_BYTES, decode, encode
from signals.errors import ProtocolError
from signals.names import SIGNAL_TYPES, name_of, parse_name

STAMP = "20260224T120000.123456Z"

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
WORDS = TEXT.filter(bool)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
NUMBERS = st.integers(0, 10**6)
USAGE = st.fixed_dictionaries(
    {"turns": NUMBERS}, optional={"cost_usd": st.floats(0, 1e9), "models": st.just({"m": 1})}
)
SPECIAL = {
    "options": JSON,
    "retry_count": NUMBERS,
    "duration_seconds": NUMBERS | st.floats(0, 1e9),
    "rung": st.sampled_from(["ask", "interrupt", "restart", "hand back"]),
    "wrote": st.booleans(),
    "usage": USAGE,
}


@st.composite
def payloads(draw: st.DrawFn) -> kinds.AnyPayload:
    kind = kinds.PAYLOADS[draw(st.sampled_from(sorted(SIGNAL_TYPES)))]
    values = {}
    for name, field in kind.model_fields.items():
        if field.is_required() or draw(st.booleans()):
            values[name] = draw(SPECIAL.get(name, WORDS))
    return kinds.payload_of(kind.signal_type, values)


@st.composite
def signals(draw: st.DrawFn) -> kinds.Signal:
    layer = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.]{0,20}", fullmatch=True)
    signal = kinds.compose(
        draw(layer),
        draw(layer),
        draw(payloads()),
        run_id=draw(st.none() | WORDS),
        attempt=draw(st.none() | st.integers(1, 99)),
    )
    return signal.filled(timestamp=STAMP)


def ours(**changes: Any) -> dict[str, Any]:
    body = {
        "source": "runner",
        "target": "guardian",
        "signal_type": "NEEDS_REVIEW",
        "timestamp": STAMP,
        "payload": {"node_id": "build"},
        "schema_version": 1,
        "id": "0123456789abcdef",
        "node_id": "build",
    } | changes
    return {key: value for key, value in body.items() if value is not ...}


def harness(**changes: Any) -> dict[str, Any]:
    return ours(schema_version=..., id=..., node_id=..., timestamp="20260224T120000Z") | changes


def parse(body: object) -> kinds.Signal:
    return kinds.parse(json.dumps(body, indent=2).encode())


@settings(deadline=None)
@given(signals())
def test_every_kind_survives_the_way_through_a_file(signal: kinds.Signal) -> None:
    assert kinds.parse(encode(signal.as_body())) == signal


@settings(deadline=None)
@given(signals())
def test_a_name_says_the_same_as_its_signal(signal: kinds.Signal) -> None:
    assert parse_name(name_of(signal)) == (STAMP, signal.source, signal.target, signal.signal_type)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_get_past_the_parser_but_as_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        kinds.parse(data)


@settings(deadline=None)
@given(signals(), JSON, st.data())
def test_no_damaged_body_gets_past_the_parser_but_as_a_protocol_error(
    signal: kinds.Signal, junk: Any, data: st.DataObject
) -> None:
    body = signal.as_body()
    place = data.draw(st.sampled_from([body, body["payload"]]))
    known = st.sampled_from(sorted(place)) if place else TEXT  # a STOP_RUN may say nothing
    place[data.draw(known | TEXT)] = junk
    with contextlib.suppress(ProtocolError):
        kinds.parse(encode(body))


def test_the_names_the_models_and_the_union_list_the_same_types() -> None:
    assert len(SIGNAL_TYPES) == 23
    assert set(kinds.PAYLOADS) == SIGNAL_TYPES
    assert set(kinds.PAYLOADS.values()) == set(get_args(kinds.AnyPayload))


def test_what_is_written_has_the_harness_keys_first_and_its_spelling() -> None:
    payload = kinds.NeedsReview(node_id="build", commit_hash="abc", evidence_path="/e")
    written = encode(kinds.compose("runner", "guardian", payload).filled(timestamp=STAMP).as_body())
    body = json.loads(written)
    assert list(body)[:5] == ["source", "target", "signal_type", "timestamp", "payload"]
    assert body["payload"] == {"node_id": "build", "commit_hash": "abc", "evidence_path": "/e"}
    assert written.startswith(b'{\n  "source": "runner",\n')


@pytest.mark.parametrize("key", ["commit", "commit_hash"])
def test_a_harness_signal_is_read_in_either_spelling(key: str) -> None:
    signal = parse(harness(payload={"node_id": "build", key: "abc", "unknown": 1}))
    assert isinstance(signal.payload, kinds.NeedsReview)
    assert (signal.payload.commit_hash, signal.node_id) == ("abc", "build")


@pytest.mark.parametrize("order", [1, -1])
def test_where_both_spellings_are_there_the_one_its_programs_write_wins(order: int) -> None:
    both = [("commit", "old"), ("commit_hash", "new")][::order]
    signal = parse(harness(payload={"node_id": "build"} | dict(both)))
    assert isinstance(signal.payload, kinds.NeedsReview)
    assert signal.payload.commit_hash == "new"


def test_a_harness_duration_is_read_and_foreign_envelope_keys_are_ignored() -> None:
    payload = {"node_id": "build", "duration": 300.5, "last_output": "…"}
    signal = parse(harness(signal_type="ORCHESTRATOR_STUCK", payload=payload, extra=1, mac="x"))
    assert isinstance(signal.payload, kinds.OrchestratorStuck)
    assert (signal.payload.duration_seconds, signal.mac) == (300.5, None)


def test_a_harness_signal_has_the_same_id_whenever_it_is_read_and_another_has_another() -> None:
    first, again = parse(harness()), parse(harness())
    other = parse(harness(payload={"node_id": "other"}))
    assert first.id == again.id != other.id
    assert first.schema_version == 0


def test_a_harness_signal_that_is_passed_on_becomes_one_of_ours_with_its_id() -> None:
    read = parse(harness())
    sent = kinds.parse(encode(read.filled(timestamp=STAMP).as_body()))
    assert (sent.schema_version, sent.id, sent.payload) == (1, read.id, read.payload)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (ours(schema_version=2, signal_type="NEW_TYPE"), "written by a newer Attractor"),
        (ours(schema_version=0), "schema_version must be 1"),
        (ours(schema_version=True), "schema_version must be 1"),
        (ours(schema_version="1"), "schema_version must be 1"),
        (ours(schema_version=...), "schema_version must be 1, not None"),
        (ours(id=...), "id is missing"),
        (ours(id="short"), "id must be 8 to 64"),
        (ours(timestamp=...), "timestamp is missing"),
        (harness(timestamp=1), "timestamp: input should be a valid string"),
        (ours(timestamp="yesterday"), "timestamp must look like"),
        (ours(timestamp="20260224T120000Z\n"), "timestamp must look like"),
        (ours(source=...), "source is missing"),
        (ours(source="a-b"), "source may hold letters"),
        (ours(target="../x"), "target may hold letters"),
        (ours(target=".."), "target may hold letters"),
        (ours(target="x" * 65), "target may hold letters"),
        (ours(extra=1), "extra is not a key of this type"),
        (ours(**{"\x1b[2J": 1}), r"'\x1b[2J' is not a key"),
        (ours(attempt=0), "attempt: input should be greater"),
        (ours(attempt=True), "attempt: input should be a valid integer"),
        (ours(attempt="1"), "attempt: input should be a valid integer"),
        (ours(mac="xyz"), "mac must be 64"),
        (ours(node_id="other"), "the envelope names node 'other', the payload 'build'"),
        (ours(payload={}), "payload.node_id is missing"),
        (ours(payload={"node_id": ""}), "payload.node_id"),
        (ours(payload={"node_id": "build", "commit": "x"}), "payload.commit is not a key"),
        (ours(payload=[]), "payload must be an object"),
        (ours(payload=...), "payload must be an object"),
        (ours(signal_type="NO_SUCH"), "there is no signal type 'NO_SUCH'"),
        (ours(signal_type=[]), "there is no signal type"),
        (ours(signal_type=...), "signal_type is missing"),
        ([], "not a JSON object"),
        (3, "not a JSON object"),
    ],
)
def test_a_wrong_body_is_refused_with_the_key_that_is_wrong(body: object, says: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(body)
    assert says in caught.value.problem


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff{}", "not UTF-8: byte 0"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a": NaN}', "NaN is not a JSON value"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON value"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not JSON"),
        (b'{"a": "\\ud800"}', "not JSON"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (MAX_BYTES + 1), "more than 1048576 bytes"),
    ],
)
def test_bytes_that_no_careful_reader_would_take_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(data)
    assert says in caught.value.problem


def test_nesting_up_to_the_limit_is_read_however_many_brackets_there_are() -> None:
    deep: object = 1
    for _ in range(60):
        deep = {"a": deep}
    body = {"deep": deep, "wide": [[] for _ in range(200)]}
    assert decode(json.dumps(body).encode()) == body


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (kinds.Guidance(node_id="n", message="x" * MAX_BYTES), "the limit is 1048576"),
        (kinds.Guidance.model_construct(node_id="n", message="\ud800"), "cannot be written"),
    ],
)
def test_what_could_not_be_read_is_not_written(payload: kinds.AnyPayload, says: str) -> None:
    body = kinds.compose("guardian", "runner", payload).filled(timestamp=STAMP).as_body()
    with pytest.raises(ProtocolError) as caught:
        encode(body)
    assert says in caught.value.problem


def test_a_payload_given_by_hand_may_use_either_spelling_but_no_unknown_key() -> None:
    assert kinds.payload_of("NODE_COMPLETE", {"node_id": "n", "commit": "c"}) == kinds.NodeComplete(
        node_id="n", commit_hash="c"
    )
    with pytest.raises(ProtocolError, match=r"payload\.colour is not a key") as caught:
        kinds.payload_of("NODE_COMPLETE", {"node_id": "n", "colour": "c"})
    assert caught.value.fix == "the payload's keys are: node_id, commit_hash, summary"


def test_a_composed_signal_is_checked_like_a_read_one() -> None:
    with pytest.raises(ProtocolError, match="source may hold"):
        kinds.compose("a-b", "guardian", kinds.Guidance(node_id="n"))
    with pytest.raises(ProtocolError, match="names node 'm'"):
        kinds.compose("a", "guardian", kinds.Guidance(node_id="n"), node_id="m")


def test_signals_and_payloads_cannot_be_changed() -> None:
    signal = kinds.compose("a", "b", kinds.Guidance(node_id="n"))
    with pytest.raises(ValueError, match="frozen"):
        signal.source = "c"
    with pytest.raises(ValueError, match="frozen"):
        signal.payload.message = "c"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("20260224T120000Z-a-b-GUIDANCE.json", ("20260224T120000Z", "a", "b", "GUIDANCE")),
        ("S-a-b-GUIDANCE.2.json", ("S", "a", "b", "GUIDANCE")),
        ("S-a-b-.json", None),
        ("S-a-b.json", None),
        ("S-a-b-GUIDANCE.json.tmp", None),
        (".S-a-b-GUIDANCE.json", None),
        ("-a-b-GUIDANCE.json", None),
        (".json", None),
        ("", None),
    ],
)
def test_a_name_is_parsed_or_known_to_be_none(name: str, parts: tuple[str, ...] | None) -> None:
    assert parse_name(name) == parts
