"""The model `free`: which one that is, what is learned, and what is asked in the end."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.agents import free_models
from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.free_asking import ask_free
from attractor.agents.free_list import USUAL, VARIABLE, address, fetch
from attractor.agents.free_models import (
    COOLING_SECONDS,
    DROPPED_SECONDS,
    FreeModel,
    Learned,
    cooled,
    dropped,
    next_model,
)
from attractor.agents.free_models import (
    free_models as listed,
)
from attractor.agents.question import Question
from attractor.agents.usage import Usage
from attractor.errors import InputError, ToolError
from attractor.spawn import run_tool
from signals.clock import SystemClock
from signals.errors import StorageError

NOW = 1_772_000_000.0
ZERO = {"prompt": "0", "completion": "0", "request": "0", "image": 0}
BIG, SMALL = FreeModel("a/big:free", "Big", 200_000), FreeModel("b/small:free", "Small", 8_000)
IDS = st.sampled_from(["a", "b", "c", "d"])
MOMENTS = st.floats(NOW - 2 * DROPPED_SECONDS, NOW + 2 * DROPPED_SECONDS)


def model(identity: str, context: Any = 1_000, **changed: Any) -> dict[str, Any]:
    return {"id": identity, "name": identity, "context_length": context, "pricing": ZERO, **changed}


def test_the_free_ones_come_with_the_largest_context_first() -> None:
    paid = model("p", 9_000, pricing={"prompt": "0.1", "completion": "0"})
    data = [model("b"), model("c", 5_000), paid, model("a")]
    assert [each.id for each in listed({"data": data})] == ["c", "a", "b"]


@pytest.mark.parametrize(
    "each",
    [
        model("x", pricing={"prompt": "0"}),
        model("x", pricing={**ZERO, "request": "0.01"}),
        model("x", pricing={"prompt": "-1", "completion": "-1"}),
        model("x", pricing={**ZERO, "prompt": "much"}),
        model("x", pricing=None),
        model("x", context="many"),
        model("x", supported_parameters=["temperature"]),
        model("x", architecture={"output_modalities": ["image"]}),
        model("-x; rm"),
        model("x\n"),
        {},
        3,
    ],
)
def test_what_costs_or_cannot_be_used_is_left_out(each: object) -> None:
    assert listed({"data": [each]}) == []


@pytest.mark.parametrize("value", [None, [], {"data": {}}, {"data": None}, 3])
def test_a_list_that_is_none_is_empty(value: object) -> None:
    assert listed(value) == []


def test_a_model_that_rests_is_passed_over_until_its_moment() -> None:
    learned = cooled(Learned(), BIG.id, NOW + 50, NOW)
    assert next_model([BIG, SMALL], learned, NOW + 49) == SMALL
    assert next_model([BIG, SMALL], learned, NOW + 50) == BIG


def test_without_a_word_of_the_provider_it_rests_for_the_usual_time() -> None:
    for until in (None, NOW - 1):
        assert cooled(Learned(), BIG.id, until, NOW).cooling == {BIG.id: NOW + COOLING_SECONDS}


def test_a_model_that_does_not_exist_is_left_out_for_a_week() -> None:
    learned = dropped(Learned(), BIG.id, NOW)
    assert next_model([BIG, SMALL], learned, NOW + DROPPED_SECONDS - 1) == SMALL
    assert next_model([BIG, SMALL], learned, NOW + DROPPED_SECONDS) == BIG


def test_when_none_is_left_there_is_none() -> None:
    learned = cooled(dropped(Learned(), BIG.id, NOW), SMALL.id, None, NOW)
    assert next_model([BIG, SMALL], learned, NOW) is None
    assert next_model([], Learned(), NOW) is None


@given(st.lists(IDS, unique=True), st.dictionaries(IDS, MOMENTS), st.dictionaries(IDS, MOMENTS))
def test_the_next_is_the_first_of_those_that_may_be_asked(
    names: list[str], cooling: dict[str, float], gone: dict[str, float]
) -> None:
    models = [FreeModel(name, name, 1) for name in names]
    allowed = [
        each
        for each in models
        if cooling.get(each.id, 0) <= NOW
        and not (each.id in gone and NOW - gone[each.id] < DROPPED_SECONDS)
    ]
    assert next_model(models, Learned(cooling, gone), NOW) == (allowed[0] if allowed else None)


def test_what_was_learned_is_read_again(tmp_path: Path) -> None:
    path = free_models.path_of({"XDG_STATE_HOME": str(tmp_path / "state")})
    learned = Learned({"a": NOW + 1.5}, {"b": NOW})
    free_models.save(path, learned)
    assert free_models.load(path) == learned


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema_version": 9}',
        b'{"schema_version": 1, "cooling": 3, "dropped": {}}',
        b'{"schema_version": 1, "cooling": {"a": "x"}, "dropped": {}}',
    ],
)
def test_a_file_that_is_not_ours_is_learned_anew(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "free-models.json"
    path.write_bytes(content)
    assert free_models.load(str(path)) == Learned()
    assert free_models.load(str(tmp_path / "none")) == Learned()


def test_what_no_longer_holds_is_forgotten() -> None:
    old = Learned({"a": NOW - 1}, {"b": NOW - DROPPED_SECONDS})
    assert cooled(old, "c", NOW + 9, NOW) == Learned({"c": NOW + 9}, {})


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        free_models.save(str(tmp_path / "file" / "free-models.json"), Learned())


def test_deciding_imports_neither_http_nor_schemas() -> None:
    code = (
        "import sys, attractor.agents.free_models\n"
        "print({'jsonschema', 'http.client', 'subprocess'} & set(sys.modules))"
    )
    said = run_tool([sys.executable, "-I", "-c", code], timeout_seconds=60)
    assert said.decode().strip() == "set()"


Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(body, status)`: the address of a server that answers so, to the right path only."""
    with contextlib.ExitStack() as running:

        def start(body: bytes, status: int = 200) -> str:
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    self.send_response(status if self.path == "/api/v1/models" else 404)
                    self.send_header("location", "/elsewhere")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    with contextlib.suppress(OSError):
                        self.wfile.write(body)

                def log_message(self, *_: object) -> None:
                    pass

            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            running.callback(thread.join, 60)
            running.callback(server.server_close)
            running.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


def test_the_list_is_fetched(serve: Serve) -> None:
    base = serve(json.dumps({"data": [model("a"), model("b", 2_000)]}).encode())
    assert [each.id for each in fetch(base, SystemClock())] == ["b", "a"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 200, "not JSON"),
        (b"[]", 200, "no list of models"),
        (b"{}", 200, "no list of models"),
        (b"", 500, "status 500"),
        (b"", 302, "status 302"),
        (b" " * (17 * 1024 * 1024), 200, "more than"),
    ],
)
def test_a_list_that_cannot_be_used_is_said(
    body: bytes, status: int, said: str, serve: Serve
) -> None:
    with pytest.raises(ToolError, match=said):
        fetch(serve(body, status), SystemClock())


def test_an_address_where_nobody_listens_is_said() -> None:
    with pytest.raises(ToolError, match="cannot be had"):
        fetch("http://127.0.0.1:9", SystemClock(), 5)


@pytest.mark.parametrize(
    "base", ["openrouter.ai", "file:///etc", "http://", "http://h:x", "http://[h"]
)
def test_what_is_no_address_is_refused(base: str) -> None:
    with pytest.raises(InputError, match="not an address"):
        fetch(base, SystemClock())


def test_the_address_is_the_named_one_the_variables_or_the_usual_one() -> None:
    assert address({VARIABLE: "http://v/"}, "http://n/") == "http://n"
    assert address({VARIABLE: "http://v/"}) == "http://v"
    assert address({}) == USUAL


class Asked:
    """An agent that gives each model its answer, and keeps which were asked."""

    def __init__(self, **answers: Answer) -> None:
        self.models: list[str] = []
        self.questions: list[Question] = []
        self._answers = answers

    def __call__(self, question: Question, _: object) -> Answer:
        self.models.append(question.model)
        self.questions.append(question)
        name = question.model.removeprefix("openrouter/") or "default"
        return replace(self._answers[name], usage=Usage(sessions=1))


LIMITED = Answer(error_class=ErrorClass.RATE_LIMIT, error="slow", retry_at=NOW + 5_000)
GONE = Answer(error_class=ErrorClass.API, error="there is no such model: x")
BROKEN = Answer(error_class=ErrorClass.API, error="boom")
FINE = Answer(error_class=ErrorClass.NONE, structured={"verdict": "pass"})
KEYLESS = Answer(error_class=ErrorClass.AUTH, error="no key")


@pytest.fixture
def free(asked: Question, tmp_path: Path, serve: Serve) -> Question:
    """A question to `free`, of three models `c`, `b`, `a`; nothing is learned yet."""
    data = [model("a", 1), model("b", 2), model("c", 3)]
    env = {"PATH": os.defpath, "XDG_STATE_HOME": str(tmp_path / "state")}
    env[VARIABLE] = serve(json.dumps({"data": data}).encode())
    return replace(asked, agent="opencode", model="free", env=env)


def known(question: Question) -> Learned:
    assert question.env is not None
    return free_models.load(free_models.path_of(question.env))


def test_a_rate_limit_moves_on_to_the_next_and_is_remembered(free: Question, clock: Any) -> None:
    agent = Asked(c=LIMITED, b=FINE)
    answer = ask_free(free, clock, agent)
    assert (answer.ok, agent.models) == (True, ["openrouter/c", "openrouter/b"])
    assert answer.usage.sessions == 2
    assert known(free).cooling == {"c": NOW + 5_000}
    again = Asked(b=FINE)
    assert ask_free(free, clock, again).ok
    assert again.models == ["openrouter/b"]
    clock.advance(5_000)
    later = Asked(c=FINE)
    assert ask_free(free, clock, later).ok
    assert later.models == ["openrouter/c"]


def test_a_model_that_does_not_exist_is_dropped(free: Question, clock: Any) -> None:
    agent = Asked(c=GONE, b=FINE)
    assert ask_free(free, clock, agent).ok
    assert known(free) == Learned({}, {"c": NOW})


def test_when_none_is_left_the_default_model_is_asked(free: Question, clock: Any) -> None:
    agent = Asked(c=LIMITED, b=BROKEN, a=GONE, default=FINE)
    answer = ask_free(free, clock, agent)
    assert answer.ok
    assert agent.models == ["openrouter/c", "openrouter/b", "openrouter/a", ""]
    assert answer.usage.sessions == 4


def test_without_a_list_the_default_model_is_asked(free: Question, clock: Any) -> None:
    agent = Asked(default=FINE)
    settings = {"openrouter_url": "http://127.0.0.1:9", "share": "disabled"}
    assert ask_free(replace(free, settings=settings), clock, agent).ok
    assert agent.models == [""]
    assert agent.questions[0].settings == {"share": "disabled"}


def test_any_other_answer_is_the_answer(free: Question, clock: Any) -> None:
    agent = Asked(c=KEYLESS)
    assert ask_free(free, clock, agent).error_class is ErrorClass.AUTH
    assert known(free) == Learned()


def test_each_model_gets_its_share_of_the_time(free: Question, clock: Any) -> None:
    agent = Asked(c=LIMITED, b=FINE)
    ask_free(replace(free, timeout_seconds=300), clock, agent)
    assert [each.timeout_seconds for each in agent.questions] == [100, 100]


def test_what_cannot_be_kept_is_no_reason_to_fail(
    free: Question, clock: Any, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file is in the way")
    assert ask_free(free, clock, Asked(c=LIMITED, b=FINE)).ok
