"""What the other agents print, and what it means. The lines are those of real programs."""

from __future__ import annotations

import json

import pytest

from attractor.agents.usage import Usage
from runner.sessions import dialects
from runner.sessions.dialects import Call, Reading

CODEX = r"""
{"type":"thread.started","thread_id":"01a1ff1f-c839-7f10-acdf-7d4117b291c6"}
{"type":"turn.started"}
{"type":"item.completed","item":{"id":"item_0","type":"error","message":"a warning"}}
{"type":"item.started","item":{"id":"item_1","type":"command_execution","command":"git commit"}}
{"type":"item.completed","item":{"id":"item_1","type":"command_execution","exit_code":0}}
{"type":"item.completed","item":{"id":"item_2","type":"agent_message","text":"hello\nyou"}}
{"type":"turn.completed","usage":{"input_tokens":100,"cached_input_tokens":10,"output_tokens":7}}
"""
GEMINI = r"""
{"type":"init","session_id":"1111-22","model":"gemini-2.5-flash"}
{"type":"message","role":"user","content":"Two"}
{"type":"message","role":"assistant","content":"I look.","delta":true}
{"type":"tool_use","tool_name":"shell","tool_id":"t1","parameters":{"command":"git commit"}}
{"type":"tool_result","tool_id":"t1","status":"success","output":""}
{"type":"message","role":"assistant","content":"hello\n","delta":true}
{"type":"message","role":"assistant","content":"you","delta":true}
{"type":"result","status":"success","stats":{"models":{"g":{"input_tokens":100,"output_tokens":7,"cached":10}}}}
"""
OPENCODE = r"""
{"type":"step_start","timestamp":1,"sessionID":"ses_1","part":{}}
{"type":"tool_use","sessionID":"ses_1","part":{"tool":"bash","callID":"c1","state":{"input":"git-commit"}}}
{"type":"step_finish","sessionID":"ses_1","part":{"reason":"tool-calls","tokens":{"input":40,"output":3},"cost":0.25}}
{"type":"text","sessionID":"ses_1","part":{"type":"text","text":"hello\nyou"}}
{"type":"step_finish","part":{"reason":"stop","tokens":{"input":50,"output":4,"cache":{"write":2,"read":10}}}}
"""
PRINTED = {"codex": CODEX, "gemini": GEMINI, "opencode": OPENCODE}
THREADS = {
    "codex": "01a1ff1f-c839-7f10-acdf-7d4117b291c6",
    "gemini": "1111-22",
    "opencode": "ses_1",
}
AGENTS = sorted(PRINTED)
FAILED = {
    "codex": {"type": "turn.failed", "error": {"message": "last status: 429 Too Many Requests"}},
    "gemini": {"type": "result", "status": "error", "error": {"message": '{"code":429}'}},
    "opencode": {
        "type": "error",
        "error": {"name": "APIError", "data": {"message": "slower", "statusCode": 429}},
    },
}


def reading(agent: str, text: str) -> Reading:
    made = Reading(agent)
    for line in text.encode().splitlines():
        made.add(line)
    return made


@pytest.mark.parametrize("agent", AGENTS)
def test_a_whole_turn_is_read(agent: str) -> None:
    made = reading(agent, PRINTED[agent])
    assert (made.thread, made.text) == (THREADS[agent], "hello\nyou")
    assert made.complete
    assert made.error == ""


def test_a_call_is_told_at_its_begin_and_at_its_end_where_the_agent_does() -> None:
    codex, gemini, opencode = (reading(each, PRINTED[each]).calls for each in AGENTS)
    assert [call.over for call in codex] == [False, True]
    assert codex[0] == Call(id="item_1", name="command_execution", about="git commit", over=False)
    assert [(call.id, call.over) for call in gemini] == [("t1", False), ("t1", True)]
    assert "git commit" in gemini[0].about
    assert [(call.name, call.over) for call in opencode] == [("bash", True)]


@pytest.mark.parametrize(
    ("agent", "usage"),
    [
        (
            "codex",
            Usage(input_tokens=90, output_tokens=7, cache_read_tokens=10),
        ),
        (
            "gemini",
            Usage(input_tokens=90, output_tokens=7, cache_read_tokens=10, models={"g": 7}),
        ),
        (
            "opencode",
            Usage(
                requests=2,
                input_tokens=90,
                output_tokens=7,
                cache_read_tokens=10,
                cache_creation_tokens=2,
                cost_usd=0.25,
            ),
        ),
    ],
)
def test_what_came_from_the_cache_is_counted_once(agent: str, usage: Usage) -> None:
    assert reading(agent, PRINTED[agent]).usage == usage


@pytest.mark.parametrize("agent", AGENTS)
def test_an_error_ends_a_turn_and_is_forgotten_by_one_that_ends_well_all_the_same(
    agent: str,
) -> None:
    failed = json.dumps(FAILED[agent])
    made = reading(agent, failed)
    assert not made.complete
    assert dialects.kind_of(made.error) == dialects.LIMIT
    assert reading(agent, f"{failed}\n{PRINTED[agent]}").error == ""


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize(
    "line",
    [
        "text",
        "{",
        "[1]",
        "null",
        '{"type": 7}',
        '{"type": "text", "part": 3, "sessionID": ["x"]}',
        '{"type": "item.completed", "item": "x"}',
        '{"type": "turn.completed", "usage": {"input_tokens": -1, "output_tokens": "x"}}',
        '{"type": "result", "status": "success", "stats": {"models": {"m": 3}}}',
        '{"type": "message", "role": "assistant", "content": 3, "delta": true}',
        '{"type": "thread.started", "thread_id": "--last"}',
    ],
)
def test_a_line_that_is_nonsense_changes_nothing_that_counts(agent: str, line: str) -> None:
    made = reading(agent, line)
    assert (made.thread, made.text, made.usage.output_tokens) == ("", "", 0)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("exceeded retry limit, last status: 429 Too Many Requests", "rate_limit"),
        ("[API Error: Resource has been exhausted (e.g. check quota).]", "rate_limit"),
        ("You've hit your usage limit. Try again at 9:03 PM", "rate_limit"),
        ("unexpected status 401 Unauthorized: Missing bearer", "authentication_failed"),
        ("Please set an Auth method in your settings.json", "authentication_failed"),
        ("APIError: invalid api key (status 401)", "authentication_failed"),
        ("ProviderModelNotFoundError: openrouter/none", "model_not_found"),
        ("The model `x` does not exist or you do not have access", "model_not_found"),
        ("insufficient_quota", "billing_error"),
        ("stream disconnected before completion", "server_error"),
        ("Error resuming session: No previous sessions found", "server_error"),
    ],
)
def test_an_error_in_an_agents_own_words_gets_its_kind(text: str, kind: str) -> None:
    assert dialects.kind_of(text) == kind


def test_a_request_that_is_refused_again_and_again_is_seen() -> None:
    gemini = "Attempt 1 failed with status 429. Retrying with backoff... _ApiError: {}\n    at x\n"
    opencode = (
        'level=ERROR message="stream error" session.id=s small=false '
        'error.error="AI_APICallError: Rate limit reached for m. Please try again in 20s."\n'
    )
    title = opencode.replace("small=false", "small=true")
    for agent, line in (("gemini", gemini), ("opencode", opencode)):
        assert dialects.refused(agent, line * 2) == ""
        assert dialects.kind_of(dialects.refused(agent, line * 3)) == dialects.LIMIT
    assert dialects.refused("opencode", title * 9) == ""
    assert dialects.refused("codex", gemini * 9) == ""


@pytest.mark.parametrize("agent", AGENTS)
def test_a_conversation_is_begun_and_gone_on_with(agent: str) -> None:
    words = dialects.dialect(agent).words
    assert "t-1" not in words("m-1", "")
    assert "m-1" in words("m-1", "")
    assert "-m" not in words("", "t-1")
    assert "t-1" in words("", "t-1")
