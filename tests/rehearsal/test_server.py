"""The scripted Messages API, asked as Claude Code asks it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from attractor.errors import InputError, StorageError
from attractor.rehearsal.script import parse
from attractor.rehearsal.server import ScriptedServer

DEADLINE_SECONDS = 30
TOOLS = [{"name": "Bash", "input_schema": {}}]
HEAD = "version: 1\nroles:\n  main:\n"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def error(self) -> str:
        said = self.json()
        assert said["type"] == "error"
        return f"{said['error']['type']}: {said['error']['message']}"

    def events(self) -> list[tuple[str, Any]]:
        assert self.headers["content-type"] == "text/event-stream"
        made = []
        for event in self.body.decode().removesuffix("\n\n").split("\n\n"):
            name, data = event.split("\n")
            made.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        return made


Ask = Callable[..., Answer]


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    with ExitStack() as running:

        def start(*lines: str, **options: Any) -> ScriptedServer:
            text = HEAD + "".join(f"    - {line}\n" for line in lines)
            return running.enter_context(ScriptedServer(parse(text), **options))

        yield start


def ask(
    server: ScriptedServer,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    place = urlsplit(server.base_url)
    assert place.hostname
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=DEADLINE_SECONDS)
    try:
        connection.request(method, path, body, dict(headers or {}))
        came = connection.getresponse()
        received = {key.lower(): value for key, value in came.getheaders()}
        return Answer(came.status, received, came.read())
    finally:
        connection.close()


def post(
    server: ScriptedServer,
    messages: list[Any],
    *,
    path: str = "/v1/messages?beta=true",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Answer:
    body = {"model": "claude-sonnet-5", "tools": TOOLS, "messages": messages, **more}
    return ask(server, "POST", path, json.dumps(body).encode(), headers)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(*texts: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": text} for text in texts]}


Serve = Callable[..., ScriptedServer]


def test_an_answer_is_a_message_of_the_api(serve: Serve) -> None:
    server = serve('do: [{say: "hello"}, {run: "ls"}]')
    answer = post(server, [user("go")])
    assert answer.status == 200
    assert answer.headers["request-id"].startswith("req_")
    message = answer.json()
    first, second = message.pop("content")
    assert first == {"type": "text", "text": "hello"}
    assert second.pop("id").startswith("toolu_")
    call = {"command": "ls", "description": "Scripted command"}
    assert second == {"type": "tool_use", "name": "Bash", "input": call}
    assert message.pop("id").startswith("msg_")
    usage = message.pop("usage")
    assert usage["input_tokens"] > 1
    assert usage["output_tokens"] > 1
    assert message == {
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "stop_reason": "tool_use",
        "stop_sequence": None,
    }


def test_a_stream_tells_the_same_as_the_message(serve: Serve) -> None:
    long = "x" * 1000
    server = serve(f'do: [{{say: "{long}"}}, {{write: {{path: a, text: "{long}"}}}}]')
    whole = post(server, [user("go")], stream=False).json()
    events = post(server, [user("go")], stream=True).events()
    for name, data in events:
        assert data["type"] == name
    names = [name for name, _ in events]
    assert names[:2] == ["message_start", "ping"]
    assert names[-2:] == ["message_delta", "message_stop"]
    start = events[0][1]["message"]
    assert (start["content"], start["stop_reason"]) == ([], None)
    assert start["usage"]["output_tokens"] == 1
    assert events[-2][1]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert events[-2][1]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    assert told(events) == [
        {key: value for key, value in block.items() if key != "id"} for block in whole["content"]
    ]


def told(events: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Put together the blocks of a stream, as a client does."""
    blocks: list[dict[str, Any]] = []
    for name, data in events:
        if name == "content_block_start":
            assert data["index"] == len(blocks)
            blocks.append({**data["content_block"], "parts": []})
        elif name == "content_block_delta":
            delta = data["delta"]
            text = delta["type"] == "text_delta"
            assert text is (blocks[data["index"]]["type"] == "text")
            blocks[data["index"]]["parts"].append(delta["text" if text else "partial_json"])
    for block in blocks:
        parts = block.pop("parts")
        assert len(parts) > 1
        if block["type"] == "text":
            block["text"] += "".join(parts)
        else:
            assert block["input"] == {}
            block["input"] = json.loads("".join(parts))
            del block["id"]
    return blocks


def test_a_turn_without_a_tool_call_ends_the_turn(serve: Serve) -> None:
    assert post(serve("say: a"), [user("go")]).json()["stop_reason"] == "end_turn"


def test_the_conversation_says_which_turn_is_due(serve: Serve) -> None:
    server = serve("say: a", "say: b")
    for _ in range(2):  # a request that is sent again is answered the same
        assert text(post(server, [user("go")])) == "a"
    later = [user("go"), assistant("a"), {"role": "system", "content": "# Environment"}]
    assert text(post(server, later)) == "b"
    assert text(post(server, [*later, assistant("b"), user("more")])) == "Nothing is left to do."
    assert [each.turn for each in server.requests] == [0, 0, 1, 2]


def text(answer: Answer) -> str:
    said = answer.json()["content"][0]["text"]
    assert isinstance(said, str)
    return said


def test_an_answer_that_claude_code_made_up_itself_is_no_turn(serve: Serve) -> None:
    server = serve("say: a", "say: b")
    filler = assistant("No response requested.")
    assert text(post(server, [user("go"), assistant("a"), filler, user("again")])) == "b"
    assert server.requests[0].said == ("again",)


def test_the_same_request_gives_the_same_bytes_and_another_one_other_ids(serve: Serve) -> None:
    server = serve("run: a", "run: a")
    first, again = post(server, [user("go")]), post(server, [user("go")])
    assert first.body == again.body
    one, two = post(serve("do: [{run: a}, {run: a}]"), [user("go")]).json()["content"]
    assert one["id"] != two["id"]
    other = post(server, [user("go"), assistant("x")]).json()
    assert other["id"] != first.json()["id"]
    assert other["content"][0]["id"] != first.json()["content"][0]["id"]


def test_the_role_is_in_a_header(serve: Serve, tmp_path: Path) -> None:
    del serve
    roles = "version: 1\nroles: {main: [say: a], judge: [say: b]}\n"
    with ScriptedServer(parse(roles)) as server:
        assert text(post(server, [user("go")])) == "a"
        assert text(post(server, [user("go")], headers={"X-Attractor-Role": "judge"})) == "b"
        unknown = post(server, [user("go")], headers={"x-attractor-role": "cook"})
    assert unknown.status == 400
    assert unknown.error() == (
        "invalid_request_error: The rehearsal script has no role 'cook'; it has judge, main."
    )


def test_a_subagent_has_a_role_by_the_prompt_that_spawned_it() -> None:
    call = "{tool: {name: Agent, input: {prompt: Count, subagent_type: counter}}}"
    roles = f"version: 1\nroles: {{main: [{call}], agent:counter: [say: one], subagent: [say: x]}}"
    agent = {"x-claude-code-agent-id": "a1", "x-attractor-role": "main"}
    with ScriptedServer(parse(roles)) as server:
        blocks = [{"type": "text", "text": "context"}, {"type": "text", "text": "Count"}]
        counter = post(server, [{"role": "user", "content": blocks}], headers=agent)
        assert text(counter) == "one"
        assert text(post(server, [user("Sing")], headers=agent)) == "x"
        first = server.requests[0]
    assert (first.role, first.agent) == ("agent:counter", "a1")


def test_an_errand_without_tools_is_answered_and_is_no_part_of_the_script(serve: Serve) -> None:
    server = serve("fail: {status: 500}", "say: a")
    assert text(post(server, [user("a title, please")], tools=[])) == "Rehearsal"
    assert post(server, [user("go")]).status == 500


def test_scripted_failures_come_first_and_are_counted_for_each_session(serve: Serve) -> None:
    server = serve("fail: {status: 429, retry_after: 3, times: 2}", "fail: {status: 529}", "say: a")

    def status(session: str) -> int:
        return post(server, [user("go")], headers={"x-claude-code-session-id": session}).status

    assert [status("s1") for _ in range(5)] == [429, 429, 529, 200, 200]
    assert [status("s2") for _ in range(4)] == [429, 429, 529, 200]


def test_a_rate_limit_looks_like_one(serve: Serve) -> None:
    server = serve("fail: {status: 429, retry_after: 3}", "say: a")
    answer = post(server, [user("go")])
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["anthropic-ratelimit-input-tokens-remaining"] == "0"
    assert answer.json()["request_id"] == answer.headers["request-id"]
    assert answer.error().startswith("rate_limit_error: This request would exceed")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_every_error_that_a_script_may_ask_for_has_its_type(
    status: int, kind: str, serve: Serve
) -> None:
    server = serve(f"fail: {{status: {status}, message: because}}", "say: a")
    answer = post(server, [user("go")])
    assert (answer.status, answer.error()) == (status, f"{kind}: because")
    assert "retry-after" not in answer.headers


def test_an_answer_can_be_waited_for(serve: Serve) -> None:
    server = serve("wait: 3600", "say: a")

    def wait() -> None:
        with pytest.raises(http.client.RemoteDisconnected):
            post(server, [user("go")])

    waiting = threading.Thread(target=wait)
    waiting.start()
    # It is on the record before it is answered.
    assert server.await_request(lambda each: each.turn == 0, DEADLINE_SECONDS)
    assert waiting.is_alive()
    server.close()
    waiting.join(DEADLINE_SECONDS)
    assert not waiting.is_alive()


def test_what_is_not_a_message_is_answered_too(serve: Serve) -> None:
    server = serve("say: a")
    assert ask(server, "HEAD", "/api/hello").body == b""
    assert ask(server, "GET", "/api/hello").status == 200
    listed = ask(server, "GET", "/v1/models?limit=1000").json()
    assert listed["has_more"] is False
    assert {each["type"] for each in listed["data"]} == {"model"}
    counted = post(server, [user("x" * 4000)], path="/v1/messages/count_tokens").json()
    assert set(counted) == {"input_tokens"}
    assert 1000 <= counted["input_tokens"] < 1100


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", ["/v1/other", "//[", "/"])
def test_an_unknown_path_is_refused_in_the_envelope_of_the_api(
    path: str, method: str, serve: Serve
) -> None:
    body = b"{}" if method == "POST" else None
    answer = ask(serve("say: a"), method, path, body)
    assert answer.status == 404
    assert method == "HEAD" or answer.error().startswith("not_found_error: ")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"1", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes, serve: Serve) -> None:
    answer = ask(serve("say: a"), "POST", "/v1/messages", body)
    assert answer.status == 400
    assert answer.error() == "invalid_request_error: The request body is not a JSON object."


@pytest.mark.parametrize(
    "body",
    [
        {"messages": 1, "tools": 1},
        {"messages": [1, None, {"role": 1}, {"role": "user", "content": 1}], "tools": [1, {}]},
        {"messages": [{"role": "user", "content": [1, {"type": "text"}]}], "tools": TOOLS},
        {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}], "model": 1},
        {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}]}]},
        {"stream": 1, "system": [{"type": "new"}], "thinking": {"type": "adaptive"}},
    ],
)
def test_a_body_of_an_unknown_shape_is_tolerated(body: dict[str, Any], serve: Serve) -> None:
    headers = {"x-claude-code-agent-id": "a"}
    server = serve("say: a")
    assert ask(server, "POST", "/v1/messages", json.dumps(body).encode()).status == 200
    answer = ask(server, "POST", "/v1/messages", json.dumps(body).encode(), headers)
    assert answer.status in (200, 400)  # 400: this script has no role for a subagent


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"POST /v1/messages HTTP/1.1\r\n\r\n", 411),
        (b"POST /v1/messages HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 411),
        (b"POST /v1/messages HTTP/1.1\r\ncontent-length: 67108865\r\n\r\n", 413),
        (b"PUT /v1/messages HTTP/1.1\r\ncontent-length: 0\r\n\r\n", 400),
        (b"NONSENSE / HTTP/1.1\r\n\r\n", 400),
    ],
)
def test_what_is_not_the_http_of_a_client_is_refused_and_hung_up(
    raw: bytes, status: int, serve: Serve
) -> None:
    said = talk(serve("say: a"), raw)
    assert said.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(said.partition(b"\r\n\r\n")[2])["type"] == "error"


def talk(server: ScriptedServer, raw: bytes) -> bytes:
    """Send bytes and read until the other side hangs up."""
    place = urlsplit(server.base_url)
    address = (place.hostname, place.port)
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as connection:  # type: ignore[arg-type]
        connection.sendall(raw)
        said = b""
        while part := connection.recv(65_536):
            said += part
    return said


def test_the_answer_to_head_has_no_body(serve: Serve) -> None:
    said = talk(serve("say: a"), b"HEAD /api/hello HTTP/1.1\r\nconnection: close\r\n\r\n")
    assert said.endswith(b"\r\n\r\n")


def test_a_client_that_goes_away_in_the_middle_disturbs_nobody(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve("say: a")
    place = urlsplit(server.base_url)
    address = (place.hostname, place.port)
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as connection:  # type: ignore[arg-type]
        connection.sendall(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 100\r\n\r\n{")
    assert text(post(server, [user("go")])) == "a"
    server.close()
    assert len(server.requests) == 1
    assert capfd.readouterr() == ("", "")


def test_a_client_that_hangs_up_before_its_answer_disturbs_nobody(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve("wait: 3600", "say: a")
    place = urlsplit(server.base_url)
    body = json.dumps({"messages": [], "tools": TOOLS}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n"
    address = (place.hostname, place.port)
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as connection:  # type: ignore[arg-type]
        connection.sendall(head.encode() + body)
        assert server.await_request(lambda _: True, DEADLINE_SECONDS)
        # Reset, not closed: the answer cannot be sent any more.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device here")
def test_a_log_on_a_full_disk_is_said_to_the_client(serve: Serve) -> None:
    answer = post(serve("say: a", log="/dev/full"), [user("go")])
    assert answer.status == 500
    assert answer.error() == "api_error: The rehearsal cannot write the log: the disk is full."


def test_every_request_is_on_the_record_with_what_was_said(serve: Serve, tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    log.write_text('{"older": true}\n')
    server = serve("say: a", "say: b", log=str(log))
    reminder = "<system-reminder>\nthe time\n</system-reminder>"
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "r"}]}
    blocks = [result, {"type": "text", "text": reminder}, {"type": "text", "text": "hi"}]
    feedback = "Stop hook feedback:\nyou promised"
    conversation = [
        user("go"),
        assistant("a"),
        {"role": "user", "content": blocks},
        user(feedback),
        {"role": "system", "content": "# Environment"},
    ]
    headers = {"x-claude-code-session-id": "s1"}
    post(server, conversation, headers=headers)
    (seen,) = server.requests
    assert (seen.method, seen.path, seen.role) == ("POST", "/v1/messages?beta=true", "main")
    assert (seen.session, seen.agent, seen.turn, seen.status) == ("s1", "", 1, 200)
    assert (seen.model, seen.tools) == ("claude-sonnet-5", ("Bash",))
    assert (seen.said, seen.reminders) == (("hi", feedback), (reminder,))
    assert (seen.results, seen.stop_hook_feedback) == (("r",), feedback)
    older, entry = map(json.loads, log.read_text().splitlines())
    assert older == {"older": True}
    assert entry == json.loads(json.dumps(seen.as_json()))
    assert log.stat().st_mode & 0o077 == 0o044  # it was there before


def test_a_log_of_our_own_is_for_its_owner_only(serve: Serve, tmp_path: Path) -> None:
    serve("say: a", log=str(tmp_path / "log"))
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written: Is a directory"):
        ScriptedServer(parse("version: 1\nroles: {main: []}"), log=str(tmp_path))


def test_a_request_that_never_comes_is_waited_for_until_the_deadline(serve: Serve) -> None:
    assert serve("say: a").await_request(lambda _: True, 0.01) is None


def test_it_listens_on_loopback_only(serve: Serve) -> None:
    server = serve("say: a")
    assert server.base_url.startswith("http://127.0.0.1:")
    assert server._listener.socket.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_refused_and_leaves_nothing_open(
    serve: Serve, tmp_path: Path
) -> None:
    taken = urlsplit(serve("say: a").base_url).port
    before = set(os.listdir("/dev/fd"))
    with pytest.raises(InputError, match="cannot be used: ") as caught:
        serve("say: a", port=taken, log=str(tmp_path / "log"))
    assert str(taken) in caught.value.problem
    assert set(os.listdir("/dev/fd")) <= before


def test_after_the_end_no_thread_is_left(serve: Serve) -> None:
    before = set(threading.enumerate())
    server = serve("say: a")
    place = urlsplit(server.base_url)
    address = (place.hostname, place.port)
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as idle:  # type: ignore[arg-type]
        idle.sendall(b"GET /api/hello HTTP/1.1\r\n\r\n")
        assert idle.recv(4).startswith(b"HTTP")
        assert len(set(threading.enumerate()) - before) == 2
        server.close()
        assert set(threading.enumerate()) <= before
    server.close()  # once more does no harm


def test_it_can_be_made_and_closed_without_ever_being_started() -> None:
    ScriptedServer(parse("version: 1\nroles: {main: []}")).close()


def test_many_clients_at_once_are_all_answered_and_recorded(serve: Serve, tmp_path: Path) -> None:
    server = serve("fail: {status: 529, times: 100}", "say: a", log=str(tmp_path / "log"))
    statuses: list[int] = []

    def client() -> None:
        statuses.extend(post(server, [user("go")]).status for _ in range(20))

    clients = [threading.Thread(target=client) for _ in range(8)]
    for each in clients:
        each.start()
    for each in clients:
        each.join(DEADLINE_SECONDS)
    assert sorted(statuses) == [200] * 60 + [529] * 100
    assert len(server.requests) == 160
    assert len((tmp_path / "log").read_text().splitlines()) == 160
