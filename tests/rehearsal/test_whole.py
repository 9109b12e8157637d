"""The scripted model of a whole run: one process, that goes on where a killed one stopped."""

from __future__ import annotations

import http.client
import json
import os
import signal as posix_signals
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from attractor.errors import InputError
from attractor.pipeline.load import load
from attractor.rehearsal import __main__ as model
from attractor.rehearsal import whole
from attractor.rehearsal.made_plan import plan_for
from attractor.rehearsal.project import head, make_project
from attractor.rehearsal.server import ScriptedServer
from attractor.rehearsal.turn import Script, Text, ToolCall
from attractor.run.begin import begin
from attractor.run.growth import before_exit, grown
from attractor.run.layout import run_layout
from attractor.run.request import Request, dump
from guardian.evidence import look_up
from signals import atomic
from signals.owner import Owner

SECONDS = 60
PIPELINE = """digraph g {
    prd_ref="PRD-1"; s [shape=Mdiamond]; gate [shape=hexagon, gate=technical];
    a [promise_ac="AC-1"]; e [shape=Msquare]; s -> gate -> a -> e;
}"""
TOOLS = [{"name": "Bash", "input_schema": {}}]

Asked = Callable[..., Request]
Started = Callable[[Request], "subprocess.Popen[str]"]


@pytest.fixture
def asked(tmp_path: Path, clock: Any) -> Asked:
    """`asked(scenario, **fields)`: a rehearsed run that has begun, in a repository of its own."""
    pipeline = tmp_path / "given" / "p.dot"
    pipeline.parent.mkdir()
    pipeline.write_text(PIPELINE)
    (pipeline.parent / "PRD-1.md").write_text("# PRD\n\n1. **AC-1** this\n2. **AC-2** that\n")

    def made(scenario: str = "", **fields: Any) -> Request:
        document, graph = load(str(pipeline))
        project = make_project(str(tmp_path / "project"), str(pipeline), PIPELINE, graph)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        request = Request(
            run_id="run-1",
            project=project,
            run_root=run_layout(project, "run-1").root,
            pipeline=str(pipeline),
            base_commit=head(project),
            prd=str(pipeline.parent / "PRD-1.md"),
            rehearsed=True,
            base_url=f"http://127.0.0.1:{port}",
            scenario="elsewhere.yaml" if scenario else "",
            **fields,
        )
        begin(request, document.source.text, clock, scenario=scenario)
        return request

    return made


def command(request: Request) -> list[str]:
    return [sys.executable, "-I", "-m", "attractor.rehearsal", request.run_root]


def said(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


@pytest.fixture
def started() -> Iterator[Started]:
    """`started(request)`: the model of a run, when it is ready."""
    with ExitStack() as held:

        def start(request: Request) -> subprocess.Popen[str]:
            pipe = subprocess.PIPE
            child = subprocess.Popen(command(request), stdout=pipe, stderr=pipe, text=True)
            held.enter_context(child)
            held.callback(child.kill)
            assert said(child.stdout).endswith(f"is at {request.base_url}\n")
            return child

        yield start


def connection(request: Request) -> http.client.HTTPConnection:
    host, port = request.base_url.removeprefix("http://").split(":")
    return http.client.HTTPConnection(host, int(port), timeout=SECONDS)


def ask(
    request: Request,
    session: str,
    *messages: Any,
    role: str = "orchestrator",
    node: str = "a",
) -> Any:
    """The status and the content of the answer."""
    body = {"model": "m", "tools": TOOLS, "messages": messages}
    headers = {
        "x-attractor-role": role,
        "x-attractor-node": node,
        "x-attractor-attempt": "1",
        "x-claude-code-session-id": session,
    }
    link = connection(request)
    try:
        link.request("POST", "/v1/messages", json.dumps(body), headers)
        answer = link.getresponse()
        content = json.loads(answer.read()).get("content")
        return answer.status, content[0] if content else None
    finally:
        link.close()


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_it_serves_logs_and_ends_when_it_is_told_to(asked: Asked, started: Started) -> None:
    request = asked()
    child = started(request)
    status, call = ask(request, "s", user("go"))
    assert (status, call["name"]) == (200, "Agent")
    child.send_signal(posix_signals.SIGTERM)
    assert child.wait(SECONDS) == 0
    assert said(child.stderr) == ""
    (line,) = Path(request.layout.requests).read_text().splitlines()
    assert json.loads(line)["said"] == ["go"]


def test_what_has_happened_does_not_happen_again_after_it_was_killed(
    asked: Asked, started: Started
) -> None:
    request = asked(faults=("crash@a", "ratelimit@a"))
    first = started(request)
    assert ask(request, "one", user("go"))[0] == 429
    first.kill()
    first.wait(SECONDS)
    second = started(request)
    assert ask(request, "one", user("go"))[0] == 429
    crash = ask(request, "one", user("go"))
    assert "kill -9" in crash[1]["input"]["command"]
    second.kill()
    second.wait(SECONDS)
    with open(request.layout.requests, "a", encoding="utf-8") as log:
        log.write('{"role": "orchestrator", "cut o')
    started(request)
    # Asked once more for the same, it says the same; the session that lost it goes on.
    assert ask(request, "one", user("go")) == crash
    assert ask(request, "one", user("you were lost"))[1]["name"] == "Agent"
    # Only one session has that turn, and what delays it.
    assert ask(request, "two", user("go"))[1]["name"] == "Agent"
    *_, cut, after, _, _ = Path(request.layout.requests).read_text().splitlines()
    assert cut.endswith("cut o")
    assert json.loads(after)["session"] == "one"


def test_no_two_requests_of_a_run_have_the_same_id(asked: Asked, started: Started) -> None:
    request = asked()
    ids = []
    for _ in range(2):
        child = started(request)
        link = connection(request)
        link.request("GET", "/api/hello")
        ids.append(link.getresponse().headers["request-id"])
        link.close()
        child.kill()
        child.wait(SECONDS)
    assert len(set(ids)) == 2


def test_it_does_not_outlive_who_started_it(asked: Asked) -> None:
    request = asked()
    program = f"import subprocess as s; s.run({command(request)!r})"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert b"is at" in parent.stdout.readline()
        host, port = request.base_url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=SECONDS) as held:
            held.sendall(b"GET /api/hello HTTP/1.1\r\n\r\n")
            assert held.recv(4) == b"HTTP"
            parent.kill()
            # It has the other end of this connection, and of the pipe, until it is gone.
            while held.recv(4096):
                pass
        assert parent.stdout.read() == b""


def test_where_its_keeper_is_dead_it_lives_as_long_as_the_guardian(asked: Asked) -> None:
    layout = asked().layout
    reader, writer = os.pipe()
    try:
        keeper = 0  # which is not who started us
        assert not model._goes_on(layout, reader, keeper, 0)
        Path(layout.owner).write_text(json.dumps(Owner.current().as_json()))
        assert model._goes_on(layout, reader, keeper, 0)
        Path(layout.keeper).write_text(json.dumps(Owner.current().as_json()))
        assert not model._goes_on(layout, reader, keeper, 0)
        os.unlink(layout.keeper)
        assert model._goes_on(layout, reader, keeper, 0)
        os.write(writer, b".")
        assert not model._goes_on(layout, reader, keeper, 0)
    finally:
        os.close(reader)
        os.close(writer)


def refused(request: Request) -> str:
    done = subprocess.run(
        command(request), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


def test_a_port_that_stays_taken_is_a_line_and_an_end(asked: Asked, started: Started) -> None:
    request = asked()
    started(request)
    assert f"port {request.base_url.rpartition(':')[2]} cannot be used" in refused(request)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"rehearsed": False}, "only a rehearsed run"),
        ({"base_url": ""}, "there is no port in ''"),
        ({"base_url": "http://127.0.0.1:99999"}, "there is no port in 'http://127.0.0.1:99999'"),
        ({"base_url": "http://example.org:80"}, "there is no port in 'http://example.org:80'"),
        ({"faults": ("crash@b",)}, "there is no node 'b'"),
        ({"prd": "/nowhere/x.md"}, "/nowhere/x.md: cannot be read"),
    ],
)
def test_a_mistake_is_a_line_and_an_end(fields: dict[str, Any], line: str, asked: Asked) -> None:
    request = asked()
    Path(request.layout.request).write_bytes(dump(replace(request, **fields)))
    assert line in refused(request)


def test_without_a_run_it_says_so(tmp_path: Path) -> None:
    argv = [sys.executable, "-I", "-m", "attractor.rehearsal"]
    for words, status, says in (([], 2, "usage: "), ([str(tmp_path)], 1, "cannot be read")):
        done = subprocess.run(
            [*argv, *words], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == status
        assert says in done.stderr


def test_the_model_of_a_keeper_that_died_meanwhile_does_not_begin(asked: Asked) -> None:
    request = asked()
    Path(request.layout.keeper).write_text('{"pid": 1, "start": "1", "boot": "x"}')
    assert f"process 1 keeps this run, not {os.getpid()}" in refused(request)


def test_the_same_request_gives_the_same_script(asked: Asked) -> None:
    request = asked(faults=("reject@a", "peek@a"))
    assert repr(whole.script_of(request)) == repr(whole.script_of(request))


def test_a_scenario_is_the_one_that_the_run_was_begun_with(asked: Asked) -> None:
    request = asked("version: 1\nroles: {orchestrator: [{say: hello}]}\n")
    script = whole.script_of(request)
    assert [turn.blocks for turn in script.turns("orchestrator", "a", 1)] == [(Text("hello"),)]


def test_a_node_that_the_run_gets_later_is_answered_the_same_by_a_model_that_is_started_again(
    asked: Asked, started: Started
) -> None:
    request = asked(faults=("crash@a", "afterthought@a"))
    first = started(request)
    assert ask(request, "s", user("go"))[1]["name"] == "Bash"  # the crash
    dot = Path(request.layout.dot)
    added = [{"label": "later", "files": "later.md"}]
    change = before_exit(load(str(dot))[1], "e", added)
    atomic.replace(str(dot), grown(dot.read_text(), "g", [change]).encode())
    said = ask(request, "r", user("go"), node="R01")
    assert "Files: later.md" in said[1]["input"]["prompt"]
    first.kill()
    first.wait(SECONDS)
    started(request)
    assert ask(request, "r", user("go"), node="R01")[1]["input"] == said[1]["input"]
    # What has happened to other nodes stays so, though the graph is another.
    assert ask(request, "t", user("go"))[1]["name"] == "Agent"


SCENARIO = """version: 1
roles:
  judge: [structured: {score: 1}]
  retrospective: [structured: {additions: [mine]}]
nodes:
  R01: {reviewer: [structured: {result: mine}]}
  a_1: {replanner: [structured: {why: mine}]}
  a: {attempts: {1: {orchestrator: [say: mine]}}}
"""


def first(script: Script, role: str, node: str = "", attempt: int = 1) -> Any:
    """What the first block of the first turn says."""
    block = script.turns(role, node, attempt)[0].blocks[0]
    return dict(block.input) if isinstance(block, ToolCall) else block.text


def test_what_a_scenario_leaves_open_is_as_where_nobody_wrote_one(asked: Asked) -> None:
    request = asked(SCENARIO)
    script, plain = whole.script_of(request), whole.script_of(replace(request, scenario=""))
    for node in ("", "a", "R01", "a_1", "gate"):
        assert first(script, "cross-reviewer", node) == {"result": "PASSED", "findings": []}
        assert len(first(script, "planner", node)["nodes"]) == 5
        assert first(script, "retrospective", node) == {"additions": ["mine"]}
        assert first(script, "judge", node) == {"score": 1}
    assert first(script, "reviewer", "R01") == {"result": "mine"}
    assert first(script, "reviewer", "a") == {"result": "PASSED", "findings": []}
    assert first(script, "replanner", "a_1") == {"why": "mine"}
    for node, attempt in (("a", 2), ("R01", 1), ("a_1", 1)):
        for role in ("orchestrator", "replanner") if node != "a_1" else ("orchestrator",):
            assert first(script, role, node, attempt) == first(plain, role, node, attempt)
    assert first(script, "orchestrator", "a", 1) == "mine"
    # Of the rubric, and of a judge where work is scripted, nothing is made up.
    assert not script.has("rubric")


def test_a_scenario_whose_work_has_no_judge_gets_none(asked: Asked) -> None:
    scenario = "version: 1\nnodes: {a: {orchestrator: [say: mine]}}\n"
    script = whole.script_of(asked(scenario))
    assert not script.has("judge", "a", 1)
    assert not script.has("judge", "gate", 1)
    assert first(script, "judge", "R01")["score"] == 1.0  # there the work is made, too


def test_a_scenario_may_name_nodes_that_a_run_can_get_and_no_others(
    tmp_path: Path, asked: Asked
) -> None:
    _, graph = load(asked().layout.dot)
    scenario = tmp_path / "s.yaml"
    for node, known in (("R01", True), ("R20", True), ("a_3", True), ("R1", False), ("a_4", False)):
        scenario.write_text(f"version: 1\nnodes: {{{node}: {{reviewer: [say: x]}}}}\n")
        if known:
            whole.check(graph, str(scenario), ["findings@a", "futile@a", "secret@a"])
            continue
        with pytest.raises(InputError, match=f"the graph has no node '{node}'"):
            whole.check(graph, str(scenario), [])


def test_the_first_sessions_that_plan_get_a_plan_that_is_sent_back() -> None:
    good, bad = (plan_for("Sing songs", broken=broken) for broken in (False, True))
    for broken in (0, 1, 3):
        with ScriptedServer(whole.planning_script("Sing songs", broken)) as server:

            def plan(session: str, server: ScriptedServer = server) -> Any:
                messages = [user("Plan it.")]
                body = {"model": "m", "tools": TOOLS, "messages": messages}
                headers = {"x-attractor-role": "planner", "x-claude-code-session-id": session}
                made = server.answer("POST", "/v1/messages", headers, json.dumps(body).encode())
                return json.loads(b"".join(made.parts))["content"][0]["input"]

            assert [plan(f"s{at}") for at in range(4)] == [bad] * broken + [good] * (4 - broken)
            assert plan("s0") == (bad if broken else good)


def test_a_judge_of_what_nobody_wrote_quotes_what_stands_there(asked: Asked) -> None:
    request = asked()
    for node in ("gate", "s"):
        (turn,) = whole.script_of(request).turns("judge", node)
        (call,) = turn.blocks
        assert isinstance(call, ToolCall)
        (found,) = look_up(request.project, "", "", call.input["evidence"])
        assert found.found


def test_the_rubric_covers_what_the_requirements_ask_for(asked: Asked) -> None:
    (turn,) = whole.script_of(asked()).turns("rubric")
    (call,) = turn.blocks
    assert isinstance(call, ToolCall)
    (feature,) = call.input["features"]
    assert (feature["nodes"], feature["criteria"]) == (["a"], ["AC-1", "AC-2"])


def test_a_peeker_tries_every_name_of_what_is_hidden(asked: Asked) -> None:
    request = asked(faults=("peek@a",))
    rubric = os.path.join(request.project, "acceptance-tests", "PRD-1")
    script = whole.script_of(replace(request, rubric=rubric))
    tried = [
        turn.blocks[0].input.get("file_path")
        for turn in script.turns("orchestrator", "a", 1)
        if isinstance(turn.blocks[0], ToolCall)
    ]
    assert tried[:-1] == [
        rubric,
        os.path.join(rubric, "manifest.yaml"),
        "acceptance-tests/PRD-1",
        "acceptance-tests",
        request.layout.journal,
        request.layout.root,
    ]


def test_what_does_not_fit_the_pipeline_is_refused_beforehand(tmp_path: Path, asked: Asked) -> None:
    _, graph = load(asked().layout.dot)
    whole.check(graph, "", ["reject@a"])
    with pytest.raises(InputError, match="no node 'gate' with work"):
        whole.check(graph, "", ["lie@gate"])
    scenario = tmp_path / "s.yaml"
    scenario.write_text("version: 1\nnodes: {b: {orchestrator: [{say: hello}]}}\n")
    with pytest.raises(InputError, match="the graph has no node 'b'"):
        whole.check(graph, str(scenario), [])
    scenario.write_text("version: 1\nnodes: {a: {orchestrator: [{say: hello}]}}\n")
    with pytest.raises(InputError, match="no turns of the role 'judge'"):
        whole.check(graph, str(scenario), ["reject@a"])
