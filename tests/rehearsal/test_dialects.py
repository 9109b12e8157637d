"""The scripted model, asked as Codex, Gemini and OpenCode ask it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.errors import InputError
from attractor.rehearsal.headers import Asker
from attractor.rehearsal.script import parse
from attractor.rehearsal.server import ScriptedServer

DEADLINE_SECONDS = 30
ASKER = Asker("judge", "run/1", "nöde", 2)
CODEX = "/v1/responses"
GEMINI = "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
GEMINI_WHOLE = "/v1beta/models/gemini-2.5-pro:generateContent"
MESSAGES = "/v1/messages"
OPENCODE = {"user-agent": "opencode/1.18.33 ai-sdk", "x-session-id": "ses_1"}
CODEX_TOOLS = [{"type": "function", "name": "exec_command"}, {"type": "web_search"}]
GEMINI_TOOLS = [{"functionDeclarations": [{"name": "run_shell_command"}, {"name": "read_file"}]}]
OPENCODE_TOOLS = [{"name": "bash"}, {"name": "write"}]
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[Any]:
        assert self.headers["content-type"] == "text/event-stream"
        lines = self.body.decode().split("\n")
        return [json.loads(each[6:]) for each in lines if each.startswith("data: ")]


Serve = Callable[..., ScriptedServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as running:

        def start(*turns: str) -> ScriptedServer:
            text = f"{{version: 1, roles: {{judge: [{', '.join(turns)}]}}}}"
            return running.enter_context(ScriptedServer(parse(text)))

        yield start


def post(
    server: ScriptedServer,
    path: str,
    body: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    asker: Asker = ASKER,
) -> Answer:
    place = urlsplit(server.base_url)
    assert place.hostname
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=DEADLINE_SECONDS)
    try:
        sent = json.dumps(body).encode()
        connection.request("POST", asker.path() + path, sent, dict(headers or {}))
        came = connection.getresponse()
        return Answer(came.status, {k.lower(): v for k, v in came.getheaders()}, came.read())
    finally:
        connection.close()


def codex(server: ScriptedServer, *items: Mapping[str, Any], **more: Any) -> Answer:
    context = {"type": "message", "role": "developer", "content": []}
    first = item("user", "count the ducks")
    body = {"model": "gpt", "stream": True, "input": [context, first, *items], "tools": CODEX_TOOLS}
    return post(server, CODEX, body | more, {"session-id": "s1"})


def item(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def output(call: Mapping[str, Any], text: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call["call_id"], "output": text}


def gemini(
    server: ScriptedServer,
    *contents: Mapping[str, Any],
    path: str = GEMINI,
    tools: Any = GEMINI_TOOLS,
) -> Answer:
    first = {"role": "user", "parts": [{"text": "count the ducks"}]}
    return post(server, path, {"contents": [first, *contents], "tools": tools})


def items_of(answer: Answer) -> list[Any]:
    return [each["item"] for each in answer.events() if each["type"].endswith("item.done")]


def parts_of(answer: Answer) -> list[Any]:
    chunks = [each["candidates"][0]["content"]["parts"] for each in answer.events()]
    return [part for parts in chunks for part in parts]


# Who asks


@given(run=NAMES, node=NAMES, attempt=st.integers(0, 999_999_999))
def test_any_name_arrives_in_a_path(run: str, node: str, attempt: int) -> None:
    asker = Asker("judge", run, node, attempt)
    assert asker.path().isascii()
    assert asker.path().count("/") == 5
    assert Asker.of_path(f"{asker.path()}/v1/x") == (asker, "/v1/x")
    assert Asker.of_path(asker.path()) == (asker, "/")


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/../b", "?", "%2e%2e"])
def test_no_part_of_the_path_can_be_taken_out_of_it(name: str) -> None:
    segments = Asker("judge", name, name).path().split("/")
    assert not {"", ".", ".."} & set(segments[1:])


@pytest.mark.parametrize("role", ["", "..", "a/b", "ä"])
def test_a_role_that_fits_no_path_is_refused(role: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a role"):
        Asker(role).path()


@pytest.mark.parametrize(
    "path",
    ["/v1/messages", "/as/judge", "/as/judge/=r/=n/x/v1", "/as/judge/r/n/1/v1", "/as//=/=/0"],
)
def test_any_other_path_says_nobody(path: str) -> None:
    assert Asker.of_path(path) == (None, path)


def test_the_path_says_who_asks_and_what_the_log_has_of_it(serve: Serve) -> None:
    server = serve("say: three")
    codex(server)
    gemini(server)
    body = {"model": "claude", "messages": [{"role": "user", "content": "count the ducks"}]}
    post(server, MESSAGES, body | {"tools": OPENCODE_TOOLS}, OPENCODE)
    for request in server.requests:
        assert Asker(request.role, request.run, request.node, request.attempt) == ASKER
        assert (request.said, request.turn, request.status) == (("count the ducks",), 0, 200)
    assert [each.model for each in server.requests] == ["gpt", "gemini-2.5-pro", "claude"]
    assert [each.stream for each in server.requests] == [True, True, False]
    sessions = [each.session for each in server.requests]
    assert (sessions[0], sessions[2], len(sessions[1])) == ("s1", "ses_1", 16)
    assert server.requests[0].tools == ("exec_command", "web_search")
    assert server.requests[1].tools == ("run_shell_command", "read_file")


def test_an_unknown_role_is_told_in_the_words_of_each(serve: Serve) -> None:
    server = serve("say: three")
    nobody = Asker("nobody")
    body = {"input": [item("user", "hi")], "tools": CODEX_TOOLS}
    refused = post(server, CODEX, body, asker=nobody)
    assert (refused.status, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "has no role 'nobody'" in refused.json()["error"]["message"]
    refused = post(server, GEMINI, {"contents": [], "tools": GEMINI_TOOLS}, asker=nobody)
    assert (refused.status, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


# What is answered


def test_codex_gets_calls_and_texts_and_its_turns_are_counted(serve: Serve) -> None:
    first = "{do: [{say: counting}, {run: ls ducks}, {run: ls geese}]}"
    server = serve(first, "{say: three ducks, when: mallard}", "say: anew", "say: never")
    said, one, two = items_of(codex(server))
    assert (said["role"], said["content"][0]["text"]) == ("assistant", "counting")
    assert (one["type"], one["name"]) == ("function_call", "exec_command")
    assert json.loads(one["arguments"]) == {"cmd": "ls ducks"}
    assert len({one["call_id"], two["call_id"]}) == 2
    reasoning = {"type": "reasoning", "summary": []}
    held = [reasoning, said, one, two, output(one, "mallard\n"), output(two, "none")]
    (second,) = items_of(codex(server, *held))
    assert second["content"][0]["text"] == "three ducks"
    (third,) = items_of(codex(server, *held, second, item("user", "again")))
    assert third["content"][0]["text"] == "anew"
    assert [each.turn for each in server.requests] == [0, 1, 2]
    assert server.requests[1].results == ("mallard\n", "none")
    assert server.requests[2].said == ("again",)


def test_gemini_gets_calls_and_texts_and_its_turns_are_counted(serve: Serve) -> None:
    first = "{do: [{say: counting, think: hm}, {run: ls ducks}]}"
    server = serve(first, "{say: three ducks, when: mallard}", "say: never")
    thought, said, call, _ = parts_of(gemini(server))
    assert thought == {"text": "hm", "thought": True}
    assert said == {"text": "counting"}
    given = {"command": "ls ducks", "description": "Scripted command"}
    assert call == {"functionCall": {"name": "run_shell_command", "args": given}}
    response = {"name": "run_shell_command", "response": {"output": "mallard"}}
    held = [
        {"role": "model", "parts": [thought, said, call]},
        {"role": "user", "parts": [{"functionResponse": response}]},
    ]
    assert parts_of(gemini(server, *held))[0] == {"text": "three ducks"}
    assert [each.turn for each in server.requests] == [0, 1]
    assert server.requests[1].results == ("mallard",)


def test_opencode_gets_its_own_tools_and_claude_code_what_is_scripted(serve: Serve) -> None:
    server = serve("{do: [{run: ls}, {write: {path: a, text: b}}, {structured: {score: 1}}]}")
    body = {"messages": [{"role": "user", "content": "go"}], "tools": OPENCODE_TOOLS}
    shell, write, text = post(server, MESSAGES, body, OPENCODE).json()["content"]
    assert (shell["name"], shell["input"]["command"]) == ("bash", "ls")
    assert (write["name"], write["input"]) == ("write", {"filePath": "a", "content": "b"})
    assert text == {"type": "text", "text": '{"score": 1}'}
    theirs = post(server, MESSAGES, body, {"user-agent": "claude-cli/2"}).json()["content"]
    assert [each["name"] for each in theirs] == ["Bash", "Write", "StructuredOutput"]


def test_what_an_agent_has_no_tool_for_is_said_in_words(serve: Serve) -> None:
    server = serve("{do: [{run: ls}, {edit: {path: a, old: b, new: c}}]}")
    told = parts_of(gemini(server, tools=[{"functionDeclarations": [{"name": "glob"}]}]))
    assert [part.get("text", "")[:26] for part in told[:2]] == [
        "There is no tool here for ",
        "There is no tool here for ",
    ]
    kinds = [each["type"] for each in items_of(codex(server))]
    assert kinds == ["function_call", "message"]


def test_codex_writes_and_reads_by_its_shell(serve: Serve) -> None:
    read = "{tool: {name: Read, input: {file_path: a b}}}"
    server = serve(f"{{do: [{{write: {{path: 'x y/a b', text: \"it's\"}}}}, {read}]}}")
    write, cat = (json.loads(each["arguments"])["cmd"] for each in items_of(codex(server)))
    assert write == (
        """mkdir -p -- "$(dirname -- 'x y/a b')" && printf %s 'it'"'"'s' > 'x y/a b'"""
    )
    assert cat == "cat -- 'a b'"


USAGE = "usage: {input_tokens: 100, output_tokens: 20, cache_read_input_tokens: 7}"


def test_usage_is_said_as_each_says_it(serve: Serve) -> None:
    server = serve(f"{{say: three, {USAGE}}}")
    said = codex(server).events()[-1]["response"]["usage"]
    assert (said["input_tokens"], said["output_tokens"], said["total_tokens"]) == (107, 20, 127)
    assert said["input_tokens_details"] == {"cached_tokens": 7}
    last = gemini(server).events()[-1]
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["usageMetadata"] == {
        "promptTokenCount": 107,
        "cachedContentTokenCount": 7,
        "candidatesTokenCount": 20,
        "totalTokenCount": 127,
    }


def test_a_stream_tells_the_same_as_the_whole(serve: Serve) -> None:
    long = "x" * 1000
    server = serve(f"{{do: [{{say: {long}}}, {{run: {long}}}]}}")
    stream = codex(server)
    whole = codex(server, stream=False).json()
    completed = stream.events()[-1]
    assert completed["type"] == "response.completed"
    texts = [block["content"][0]["text"] for block in whole["output"][:1]]
    assert [each["content"][0]["text"] for each in items_of(stream)[:1]] == texts == [long]
    deltas = [each["delta"] for each in stream.events() if each["type"].endswith("text.delta")]
    assert ("".join(deltas), len(deltas)) == (long, 5)
    chunks = parts_of(gemini(server))
    parts = gemini(server, path=GEMINI_WHOLE).json()["candidates"][0]["content"]["parts"]
    assert "".join(each.get("text", "") for each in chunks) == parts[0]["text"] == long
    assert [each for each in chunks if "functionCall" in each] == parts[1:]


def test_a_request_of_gemini_that_offers_no_tools_is_an_errand(serve: Serve) -> None:
    server = serve("say: three")
    assert parts_of(gemini(server, tools=None))[0] == {"text": "Rehearsal"}


# What goes wrong

LIMIT = "{fail: {status: 429, retry_after: 3600}}"
SHORT = "{fail: {status: 429, retry_after: 5}}"


def test_a_limit_of_codex_says_whether_it_lasts(serve: Serve) -> None:
    server = serve("{fail: {status: 429, retry: false}}", LIMIT, SHORT, "say: three")
    error = codex(server).json()["error"]
    assert (error["type"], "resets_at" in error) == ("usage_limit_reached", False)
    answer = codex(server)
    error = answer.json()["error"]
    assert (answer.status, error["type"]) == (429, "usage_limit_reached")
    assert error["resets_at"] > 1_700_000_000
    answer = codex(server)
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_exceeded", "rate_limit_exceeded")
    assert "resets_at" not in error
    assert answer.headers["retry-after"] == "5"
    assert items_of(codex(server))[0]["content"][0]["text"] == "three"


def test_a_limit_of_gemini_says_whether_it_lasts(serve: Serve) -> None:
    server = serve("{fail: {status: 429, retry: false}}", SHORT, "say: three")
    error = gemini(server).json()["error"]
    assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
    (day,) = error["details"]
    assert "PerDay" in day["violations"][0]["quotaId"]
    assert [each["retryDelay"] for each in gemini(server).json()["error"]["details"]] == ["5s"]
    assert parts_of(gemini(server))[0] == {"text": "three"}


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 429, 500, 503, 504, 529])
def test_every_error_that_can_be_scripted_is_one_in_each(serve: Serve, status: int) -> None:
    server = serve(f"{{fail: {{status: {status}, message: broken}}}}", "say: three")
    for answer in (codex(server), gemini(server)):
        assert (answer.status, answer.json()["error"]["message"]) == (status, "broken")


def test_an_error_in_the_stream_ends_it(serve: Serve) -> None:
    server = serve("{fail: {status: 503, after: 3, times: 2}}", "say: three ducks")
    failed = codex(server).events()
    assert failed[-2]["delta"] == "thr"
    assert failed[-1]["type"] == "response.failed"
    assert failed[-1]["response"]["error"]["message"] == "Service unavailable"
    failed = gemini(server).events()
    assert failed[0]["candidates"][0]["content"]["parts"] == [{"text": "thr"}]
    assert failed[-1]["error"]["status"] == "UNAVAILABLE"


@pytest.mark.parametrize("ask", [codex, gemini])
def test_an_answer_breaks_off_where_it_is_told_to(
    serve: Serve, ask: Callable[[ScriptedServer], Answer]
) -> None:
    server = serve("{cut: {after: 3}}", "say: three ducks")
    with pytest.raises(http.client.IncompleteRead) as broken:
        ask(server)
    assert b'"thr"' in broken.value.partial
    assert b"three" not in broken.value.partial


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CODEX, {"input": "hi", "tools": CODEX_TOOLS}),
        (
            CODEX,
            {
                "input": [1, {"type": 5}, {"type": "strange"}, item("user", "hi")],
                "tools": CODEX_TOOLS,
            },
        ),
        (CODEX, {"input": None, "tools": 7}),
        (GEMINI, {"contents": [{"role": "user"}, 3, {"parts": [{"strange": 1}]}]}),
        (GEMINI, {"tools": [{"googleSearch": {}}, {"functionDeclarations": 3}]}),
        (GEMINI, {"contents": [{"parts": [{"functionResponse": {}}, {"functionCall": {}}]}]}),
    ],
)
def test_what_is_not_known_is_tolerated(serve: Serve, path: str, body: Any) -> None:
    assert post(serve("say: three"), path, body).status == 200
