"""Answers that are slow, broken, missing or made for somebody: seen from the socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from attractor.rehearsal.headers import Asker
from attractor.rehearsal.script import parse
from attractor.rehearsal.server import ScriptedServer

DEADLINE_SECONDS = 30
HEAD = "version: 1\nroles:\n  main:\n"
Serve = Callable[..., ScriptedServer]


@dataclass(frozen=True)
class Came:
    """What came of one answer before the other side hung up, or it was whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[tuple[str, Any]]:
        pairs = [event.split("\n") for event in self.body.decode().split("\n\n")[:-1]]
        return [
            (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
            for name, data in pairs
        ]

    def said(self) -> str:
        """The content that came, as one text."""
        deltas = [data["delta"] for name, data in self.events() if name == "content_block_delta"]
        keys = ("text", "thinking", "partial_json")
        return "".join(delta.get(key, "") for delta in deltas for key in keys)

    def text(self) -> str:
        """The text of an answer that was not streamed."""
        said = self.json()["content"][0]["text"]
        assert isinstance(said, str)
        return said


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as running:

        def start(*lines: str, script: str = "", **options: Any) -> ScriptedServer:
            text = script or HEAD + "".join(f"    - {line}\n" for line in lines)
            return running.enter_context(ScriptedServer(parse(text), **options))

        yield start


def ask(
    server: ScriptedServer,
    *messages: dict[str, Any],
    asker: Asker | None = None,
    session: str = "s",
    agent: str = "",
    stream: bool = True,
    prompt: str = "go",
) -> Came:
    """Ask as Claude Code does, and take what comes."""
    place = urlsplit(server.base_url)
    assert place.hostname
    headers = dict(line.split(": ") for line in (asker.headers().split("\n") if asker else ())) | {
        "x-claude-code-session-id": session
    }
    if agent:
        headers["x-claude-code-agent-id"] = agent
    body = {"model": "m", "tools": [{"name": "Bash"}], "stream": stream}
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=DEADLINE_SECONDS)
    try:
        sent = json.dumps({**body, "messages": [user(prompt), *messages]})
        connection.request("POST", "/v1/messages", sent, headers)
        came = connection.getresponse()
        received = {key.lower(): value for key, value in came.getheaders()}
        try:
            return Came(came.status, received, came.read(), whole=True)
        except http.client.IncompleteRead as broken:
            return Came(came.status, received, broken.partial, whole=False)
    finally:
        connection.close()


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def result(text: str) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": "t", "content": text}
    return {"role": "user", "content": [block]}


def test_what_is_thought_is_a_signed_block_in_a_message_and_in_a_stream(serve: Serve) -> None:
    server = serve(f"{{think: {'hm' * 200}, say: a}}")
    whole = ask(server, stream=False).json()["content"]
    assert [block["type"] for block in whole] == ["thinking", "text"]
    assert whole[0]["thinking"] == "hm" * 200
    events = ask(server).events()
    start, *deltas, stop = [data for _, data in events if data.get("index") == 0]
    assert start["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    kinds = [data["delta"]["type"] for data in deltas]
    assert kinds == ["thinking_delta", "thinking_delta", "signature_delta"]
    assert deltas[-1]["delta"]["signature"] == whole[0]["signature"] != ""
    assert stop["type"] == "content_block_stop"


def test_usage_figures_are_those_of_the_script_and_the_rest_is_estimated(serve: Serve) -> None:
    server = serve(
        "{say: a, usage: {output_tokens: 70, cache_creation_input_tokens: 5,"
        " cache_read_input_tokens: 6}}"
    )
    usage = ask(server, stream=False).json()["usage"]
    assert usage["input_tokens"] > 10
    assert (usage["output_tokens"], usage["cache_read_input_tokens"]) == (70, 6)
    assert usage["cache_creation_input_tokens"] == 5
    assert usage["cache_creation"]["ephemeral_5m_input_tokens"] == 5
    events = ask(server).events()
    assert events[0][1]["message"]["usage"] == {
        **usage,
        "input_tokens": events[0][1]["message"]["usage"]["input_tokens"],
        "output_tokens": 1,
    }
    assert events[-2][1]["usage"] == {"output_tokens": 70}


def test_a_slow_stream_comes_piece_by_piece(serve: Serve) -> None:
    server = serve("{say: abcdefgh, slow: {seconds: 3600, characters: 3}}")
    place = urlsplit(server.base_url)
    body = json.dumps({"messages": [], "tools": [{"name": "Bash"}], "stream": True}).encode()
    address = (str(place.hostname), int(place.port or 0))
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as connection:
        head = f"POST /v1/messages HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        connection.sendall(head + body)
        came = b""
        while b"content_block_start" not in came:
            came += connection.recv(65_536)
        server.close()  # nobody waits for the rest
        while part := connection.recv(65_536):
            came += part
    assert b"text_delta" not in came


def test_a_slow_stream_is_the_same_as_a_fast_one_in_more_pieces(serve: Serve) -> None:
    slow = ask(serve("{say: abcdefgh, slow: {seconds: 0.001, characters: 3}}"))
    assert slow.whole
    texts = [data["delta"]["text"] for name, data in slow.events() if name == "content_block_delta"]
    assert texts == ["abc", "def", "gh"]
    assert slow.events()[-1][0] == "message_stop"


def test_a_slow_answer_that_is_not_streamed_comes_late_and_whole(serve: Serve) -> None:
    server = serve("{say: abcdefgh, slow: {seconds: 3600, characters: 3}}")

    def wait() -> None:
        with pytest.raises(http.client.RemoteDisconnected):
            ask(server, stream=False)

    asking = threading.Thread(target=wait)
    asking.start()
    assert server.await_request(lambda each: not each.stream, DEADLINE_SECONDS)
    assert asking.is_alive()
    server.close()
    asking.join(DEADLINE_SECONDS)
    assert not asking.is_alive()


@pytest.mark.parametrize(("after", "said"), [(0, ""), (5, "one t"), (7, "one two"), (99, None)])
def test_an_answer_is_cut_off_after_so_many_characters_and_then_comes_whole(
    after: int, said: str | None, serve: Serve
) -> None:
    server = serve(f"cut: {{after: {after}, times: 2}}", "do: [{say: one two}, {run: ls}]")
    for _ in range(2):
        cut = ask(server)
        assert (cut.status, cut.whole) == (200, False)
        assert cut.said().startswith("one two{") if said is None else cut.said() == said
        assert "message_stop" not in [name for name, _ in cut.events()]
    assert ask(server).whole
    assert [each.turn for each in server.requests] == [0, 0, 0]


def test_an_answer_that_is_not_streamed_is_cut_off_too(serve: Serve) -> None:
    cut = ask(serve("cut: {after: 9}", "say: a"), stream=False)
    assert (cut.whole, len(cut.body)) == (False, 9)


def test_an_error_comes_in_the_middle_of_a_stream(serve: Serve) -> None:
    server = serve("fail: {status: 529, after: 5}", "say: one two")
    broken = ask(server)
    assert (broken.status, broken.whole, broken.said()) == (200, True, "one t")
    name, data = broken.events()[-1]
    assert (name, data["error"]) == (
        "error",
        {"type": "overloaded_error", "message": "Overloaded"},
    )
    assert ask(server).said() == "one two"


def test_an_error_in_the_middle_of_what_is_not_streamed_is_an_error(serve: Serve) -> None:
    server = serve("fail: {status: 529, after: 5}", "say: one two")
    assert ask(server, stream=False).status == 529


def test_a_limit_says_when_it_ends_and_that_trying_again_is_useless(
    serve: Serve, clock: Any
) -> None:
    server = serve("fail: {status: 429, reset: 90, retry: false}", "say: a", clock=clock)
    limited = ask(server)
    assert limited.headers["anthropic-ratelimit-tokens-reset"] == "2026-02-25T06:14:50.000000Z"
    assert limited.headers["x-should-retry"] == "false"
    again = ask(serve("fail: {status: 429, retry_after: 30}", "say: a", clock=clock))
    assert again.headers["anthropic-ratelimit-tokens-reset"] == "2026-02-25T06:13:50.000000Z"
    assert "x-should-retry" not in again.headers


def test_a_session_that_is_stuck_has_no_answer_until_it_asks_again(serve: Serve) -> None:
    server = serve("stuck: 3600", "say: a")
    place = urlsplit(server.base_url)
    body = json.dumps({"messages": [], "tools": [{"name": "Bash"}]}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    address = (str(place.hostname), int(place.port or 0))
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(head + body)
        assert server.await_request(lambda _: True, DEADLINE_SECONDS)
        connection.shutdown(socket.SHUT_WR)  # as a client that is interrupted
        assert connection.recv(1) == b""
    assert server.requests[0].status == 0
    assert ask(server, session="").whole


def test_what_is_stuck_ends_without_an_answer_when_its_time_is_over(serve: Serve) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        ask(serve("stuck: 0.001", "say: a"))


def test_a_client_that_says_more_while_it_waits_is_not_taken_for_gone(serve: Serve) -> None:
    server = serve("wait: 0.2", "say: a")
    place = urlsplit(server.base_url)
    body = json.dumps({"messages": [], "tools": [{"name": "Bash"}]}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    address = (str(place.hostname), int(place.port or 0))
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(head + body)
        assert server.await_request(lambda _: True, DEADLINE_SECONDS)
        connection.sendall(b"GET /api/hello HTTP/1.1\r\nconnection: close\r\n\r\n")
        came = b""
        while part := connection.recv(65_536):
            came += part
    assert came.count(b"HTTP/1.1 200") == 2


def test_a_client_that_says_more_while_it_waits_does_not_delay_the_end(serve: Serve) -> None:
    before = set(threading.enumerate())
    server = serve("wait: 3600", "say: a")
    place = urlsplit(server.base_url)
    body = json.dumps({"messages": [], "tools": [{"name": "Bash"}]}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    address = (str(place.hostname), int(place.port or 0))
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(head + body)
        assert server.await_request(lambda _: True, DEADLINE_SECONDS)
        connection.sendall(b"GET /api/hello HTTP/1.1\r\n\r\n")
        server.close()
        assert set(threading.enumerate()) <= before


NODES = """
version: 1
roles:
  orchestrator: [say: anybody's]
nodes:
  a b/ü:
    orchestrator:
      - spawn: {worker: tdd, prompt: Test it., turns: [say: tested]}
    attempts:
      2: {orchestrator: [say: once more]}
"""


def test_who_asks_decides_what_is_answered_and_is_on_the_record(serve: Serve) -> None:
    server = serve(script=NODES)

    def asked(node: str, attempt: int) -> Any:
        asker = Asker("orchestrator", "r1", node, attempt)
        return ask(server, asker=asker, stream=False).json()["content"][0]

    assert asked("a b/ü", 1)["name"] == "Agent"
    assert asked("a b/ü", 2)["text"] == "once more"
    assert asked("other", 2)["text"] == "anybody's"
    told = ask(server, asker=Asker("orchestrator", "r1", "a b/ü", 1), agent="a1", stream=False)
    assert told.status == 400  # "go" is not the prompt of a worker
    asker = Asker("orchestrator", "r1", "a b/ü", 1)
    worker = ask(server, asker=asker, agent="a2", stream=False, prompt="Test it.")
    assert (worker.text(), server.requests[-1].role) == ("tested", "agent:tdd")
    first = server.requests[0].as_json()
    assert (first["role"], first["run"], first["node"], first["attempt"], first["stream"]) == (
        *("orchestrator", "r1", "a b/ü", 1),
        False,
    )
    unknown = server.requests[-2]
    assert (unknown.role, unknown.node, unknown.agent) == ("subagent", "a b/ü", "a1")


def test_the_turns_that_came_with_a_worker_are_that_worker_s(serve: Serve) -> None:
    server = serve("spawn: {worker: tdd, prompt: go, turns: [say: one, say: two]}", "say: main")
    assert ask(server, agent="a1", stream=False).text() == "one"
    assert ask(server, assistant("one"), user("more"), agent="a1", stream=False).text() == "two"
    assert server.requests[0].role == "agent:tdd"


def test_a_role_that_is_missing_is_named_with_its_node(serve: Serve) -> None:
    said = ask(serve(script=NODES), asker=Asker("judge", node="a b/ü")).json()
    assert said["error"]["message"] == (
        "The rehearsal script has no role 'judge' for node 'a b/ü'; it has orchestrator."
    )


def test_a_turn_for_some_sessions_is_left_out_of_the_lists_of_all_others(serve: Serve) -> None:
    server = serve("{say: first, sessions: 2}", "say: second", "say: third")

    def text(session: str, *said: str) -> str:
        conversation = [each for one in said for each in (assistant(one), user("more"))]
        return ask(server, *conversation, session=session, stream=False).text()

    assert [text(each) for each in "abc"] == ["first", "first", "second"]
    assert text("a") == "first"  # sent again
    assert text("a", "first") == "second"
    assert text("c", "second") == "third"


def test_a_turn_for_some_sessions_that_was_lost_on_the_way_is_not_given_again(
    serve: Serve,
) -> None:
    server = serve(
        "fail: {status: 500, times: 3}", "{say: deadly, sessions: 1, repeat: 3}", "say: alive"
    )
    assert [ask(server, stream=False).status for _ in range(3)] == [500, 500, 500]
    assert ask(server, user("resend"), stream=False).text() == "deadly"
    assert ask(server, user("resend"), stream=False).text() == "deadly"  # the same request again
    second = (assistant("deadly"), user("more"))
    assert ask(server, user("resend"), *second, stream=False).text() == "deadly"
    third = (*second, assistant("deadly"), user("most"))
    assert ask(server, user("resend"), *third, stream=False).text() == "deadly"
    # The session died, and knows of none.
    assert ask(server, user("resend"), user("go on"), stream=False).text() == "alive"
    later = (user("resend"), user("go on"), assistant("alive"), user("more"))
    assert ask(server, *later, stream=False).text() == "Nothing is left to do."


def test_a_turn_depends_on_what_a_tool_gave_back_or_a_person_said(serve: Serve) -> None:
    server = serve("run: a", "{say: it failed, when: exit 1}", "{say: sorry, when: why}", "say: ok")

    def text(*conversation: dict[str, Any]) -> str:
        return ask(server, assistant("x"), *conversation, stream=False).text()

    assert text(result("exit 1")) == "it failed"
    assert text(result("fine")) == "ok"
    assert text(result("fine"), user("but why?")) == "sorry"
    assert text(result("exit 1"), assistant("it failed"), user("go on")) == "ok"
