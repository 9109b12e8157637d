from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runner.hooks import guard, guard_decision, settings
from runner.hooks.guard_places import Places

WORKER = "agent-1"


@pytest.fixture
def rule(node: Any) -> Any:
    """`rule(tool, agent=..., key=value)`: by which rule a call is denied; empty if it is not."""
    said = json.loads(node.places.read_text())
    ours = [str(Path(settings.__file__).parent)]
    places = Places(said["worktree"], said["hidden"], said["visible"], ours, str(node.root))
    values = {"HOME": str(node.root), "SECRET": str(node.run / "journal.jsonl")}

    def call(tool: str, *, agent: str = "", cwd: str = "", **given: Any) -> str:
        event = node.call(tool, agent=agent, **given) | ({"cwd": cwd} if cwd else {})
        denial = guard_decision.judge(event, places, values)
        return denial.rule if denial else ""

    return call


# ---- the orchestrator does not write


@pytest.mark.parametrize("tool", ["Edit", "Write", "MultiEdit"])
def test_the_orchestrator_changes_no_file(rule: Any, node: Any, tool: str) -> None:
    assert rule(tool, file_path=str(node.worktree / "x.py")) == "writes"


def test_the_orchestrator_changes_no_notebook(rule: Any, node: Any) -> None:
    assert rule("NotebookEdit", notebook_path=str(node.worktree / "x.ipynb")) == "writes"


def test_the_orchestrator_runs_tests_and_commits_and_writes_nothing_by_a_line(rule: Any) -> None:
    assert rule("Bash", command="pytest -q 2>&1 | tail && git add -A && git commit -m x") == ""
    assert rule("Bash", command="pytest > out.txt") == "writes"
    assert rule("Monitor", command="sed -i s/a/b/ f") == "writes"


def test_a_worker_writes_in_the_worktree(rule: Any, node: Any) -> None:
    assert rule("Edit", agent=WORKER, file_path=str(node.worktree / "a/b.py")) == ""
    assert rule("Write", agent=WORKER, file_path="b.py") == ""
    assert rule("Bash", agent=WORKER, command="sed -i s/a/b/ f && rm x > y") == ""


# ---- a worker stays in its worktree


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../x", "../other/x", "~/x", "/", "..", "link/x", "a/../../x"]
)
def test_a_worker_writes_nowhere_else(rule: Any, node: Any, path: str) -> None:
    (node.worktree / "link").symlink_to(node.root)
    assert rule("Write", agent=WORKER, file_path=path) == "outside"


@pytest.mark.parametrize(
    "path",
    [
        ".git",
        ".git/hooks/pre-commit",
        "sub/.git/config",
        ".GIT/config",
        ".claude/settings.json",
        ".claude/settings.local.json",
        "sub/.claude/settings.json",
        "a/../.git",
        "{events}/x.json",
        "{inbox}/x.json",
        "{hooks}/guard.py",
        "hooks/guard.py",
    ],
)
def test_nobody_edits_what_the_session_stands_on(rule: Any, node: Any, path: str) -> None:
    hooks = Path(settings.__file__).parent
    (node.worktree / "hooks").symlink_to(hooks)
    path = path.format(events=node.events, inbox=node.inbox, hooks=hooks)
    assert rule("Write", agent=WORKER, file_path=path) == "protected"


@pytest.mark.parametrize("path", [".gitignore", ".github/x", "a.git", ".claude/agents/x.md"])
def test_what_only_looks_like_it_can_be_edited(rule: Any, path: str) -> None:
    assert rule("Write", agent=WORKER, file_path=path) == ""


@pytest.mark.parametrize(
    "line",
    [
        "rm -rf .git",
        "echo x > .git/config",
        "cd .git && rm x",
        "sed -i s/a/b/ .claude/settings.json",
        "cp x .claude/settings.local.json",
        "rm {events}/x.json",
        'python3 -c \'open(".git/hooks/x", "w")\'',
        "git -C .git mv a b",
        "ln -s .git x",
        'touch ".gi"t/x',
    ],
)
def test_a_workers_line_does_not_change_them_either(rule: Any, node: Any, line: str) -> None:
    assert rule("Bash", agent=WORKER, command=line.format(events=node.events)) == "protected"


@pytest.mark.parametrize(
    "line",
    [
        "cat .git && git status",
        "rm x.git/y",
        "echo x > .gitignore",
        "git checkout -- .gitattributes",
        "git clone https://example.invalid/x.git y",
    ],
)
def test_a_workers_line_may_read_them_and_use_git(rule: Any, line: str) -> None:
    assert rule("Bash", agent=WORKER, command=line) == ""


# ---- nobody reads what is hidden


@pytest.mark.parametrize("agent", ["", WORKER])
@pytest.mark.parametrize(
    "path",
    [
        "{run}/journal.jsonl",
        "{run}",
        "{run}/nodes/other/events/x",
        "{root}/rubric/x",
        "../../attractor/journal.jsonl",
        "../other/x",
        "a/../../../attractor/journal.jsonl",
        "~/rubric/x",
        "link",
        "folder/journal.jsonl",
        "{root}//rubric/./x",
    ],
)
def test_nobody_reads_what_is_hidden(rule: Any, node: Any, agent: str, path: str) -> None:
    (node.worktree / "link").symlink_to(node.run / "journal.jsonl")
    (node.worktree / "folder").symlink_to(node.run)
    path = path.format(run=node.run, root=node.root)
    assert rule("Read", agent=agent, file_path=path) == "hidden"
    assert rule("Grep", agent=agent, pattern="x", path=path) == "hidden"
    assert rule("mcp__files__get", agent=agent, path=path) == "hidden"


@pytest.mark.parametrize(
    "path", ["x.py", "{run}/nodes/n/events/x", "{brief}/system.md", "/etc/hosts", "{root}/rubric2"]
)
def test_everything_else_can_be_read(rule: Any, node: Any, path: str) -> None:
    path = path.format(run=node.run, brief=node.places.parent, root=node.root)
    assert rule("Read", file_path=path) == ""
    assert rule("Bash", command=f"cat {path}") == ""


LINES = [
    "cat {run}/journal.jsonl",
    "cat < {run}/journal.jsonl",
    "cat ../../attractor/journal.jsonl",
    "cd ../../attractor && cat journal.jsonl",
    "cd .. ; cd ../attractor; cat journal.jsonl",
    "(cd {root} && cat rubric/x)",
    "pushd {root}/project/.claude; head attractor/journal.jsonl",
    "git -C {root} diff --no-index rubric/a rubric/b",
    "grep x --file={root}/rubric/x",
    "curl file://{root}/rubric/x",
    "curl -d @{root}/rubric/x http://localhost",
    "dd if={root}/rubric/x",
    'cat "{root}/rub"ric/x',
    r"cat {root}/rub\ric/x",
    "cat $'{root}/\\x72ubric/x'",
    "X={root}/rubric; cat $X/x",
    "cat $SECRET",
    "cat ${{SECRET}}",
    "cat $HOME/rubric/x",
    "cat ~/rubric/x",
    "cat {root}/rub*/x",
    "cat {root}/*/x",
    "cat {root}/{{rubric,y}}/x",
    "cat {root}/r?bric/x",
    "cat ../../att*/journal.jsonl",
    "python3 -c 'print(open(\"{root}/rubric/x\").read())'",
    "bash -c 'cat {root}/rubric/x'",
    'bash -c "cd {root}; cat rubric/x"',
    "eval 'cat {root}/rubric/x'",
    "echo {root}/rubric/x | xargs cat",
    "cat $(echo {root}/rubric/x)",
    "cat <(cat {root}/rubric/x)",
    "find ../../attractor -type f",
    "cat link",
    "cat folder/journal.jsonl",
    "env X={root}/rubric ls",
    "while read l; do echo $l; done < {root}/rubric/x",
    "cat '{root}/rubric/x",
    "python3 <<'E'\nopen('{root}/rubric/x')\nE",
]


@pytest.mark.parametrize("agent", ["", WORKER])
@pytest.mark.parametrize("line", LINES)
def test_no_line_reads_what_is_hidden(rule: Any, node: Any, agent: str, line: str) -> None:
    (node.worktree / "link").symlink_to(node.run / "journal.jsonl")
    (node.worktree / "folder").symlink_to(node.run)
    said = rule("Bash", agent=agent, command=line.format(run=node.run, root=node.root))
    # Of the orchestrator's an unclosed quote, or code with a word of the path, may as well write.
    assert said == "hidden" or (not agent and said == "writes" and line[:5] in ("cat '", "pytho"))


@pytest.mark.parametrize(
    "line",
    [
        "find {root} -name x",
        "grep -rn x {root}/project",
        "rg x ../../..",
        "cd ../../.. && rg x",
        "tar c {root}",
        "ls -R ~",
        "cp -r {root} .",
        "find / -name x",
    ],
)
def test_a_search_from_above_is_refused(rule: Any, node: Any, line: str) -> None:
    assert rule("Bash", agent=WORKER, command=line.format(root=node.root)) == "search"


def test_a_search_tool_does_not_begin_above_or_reach_what_is_hidden(rule: Any, node: Any) -> None:
    assert rule("Grep", pattern="x", path=str(node.root)) == "search"
    assert rule("Glob", pattern="**/*", path=str(node.root)) == "search"
    assert rule("Glob", pattern=f"{node.root}/rub*/*") == "search"
    assert rule("Glob", pattern="../../attractor/*.jsonl") == "search"
    assert rule("Glob", pattern="**/*.py") == ""
    assert rule("Grep", pattern="x", path=str(node.worktree)) == ""


@pytest.mark.parametrize(
    "line",
    [
        "ls -la .",
        "ls *.py",
        "cat src/*.py | grep -rn x src",
        "find . -name '*.py'",
        "ls {root}",
        "cat $UNKNOWN",
        'for f in a b; do cat "$f"; done',
        "cat /etc/hosts",
        "ls {run}/nodes/n/events/*",
        "cat {root}/*.log",
        "cd src && rg x .",
        "git log -- src/a.py",
        "git commit -m 'Say {{a,b}} * and more'",
    ],
)
def test_an_ordinary_line_is_let_through(rule: Any, node: Any, line: str) -> None:
    assert rule("Bash", command=line.format(run=node.run, root=node.root)) == ""


def test_a_line_with_thousands_of_words_is_refused_not_guessed(rule: Any) -> None:
    line = "echo " + " ".join(map(str, range(3_000)))
    assert rule("Bash", agent=WORKER, command=line) == "fault"
    assert rule("Bash", agent=WORKER, command="echo " + "x " * 3_000) == ""


def test_what_is_hidden_inside_the_worktree_hinders_no_search_in_it(node: Any) -> None:
    tests = str(node.worktree / "acceptance-tests")
    places = Places(str(node.worktree), [tests], [], [], str(node.root))

    def denied(line: str) -> bool:
        call = node.call("Bash", agent=WORKER, command=line)
        return guard_decision.judge(call, places, {}) is not None

    assert denied("cat acceptance-tests/x")
    assert denied("cat acc*/x")
    assert not denied("grep -rn x .")
    assert not denied("rg x")
    assert not denied('cat "$UNKNOWN"')


# ---- dialogs, worktrees, settings


@pytest.mark.parametrize("tool", ["AskUserQuestion", "EnterPlanMode", "ExitPlanMode"])
def test_a_dialog_is_refused_with_what_to_do_instead(node: Any, tool: str) -> None:
    answer = node.guard(node.call(tool, questions=[]))
    assert answer.status == 2
    assert "<question>" in answer.reason
    (event,) = node.stored()
    assert (event.kind, event.data["rule"]) == ("attractor:refused", "dialog")


def test_the_session_stays_in_its_worktree(rule: Any) -> None:
    assert rule("EnterWorktree", name="x") == "worktree"


def test_the_settings_are_not_changed_while_the_session_runs(node: Any) -> None:
    change = {"hook_event_name": "ConfigChange", "source": "local_settings", "file_path": "x"}
    answer = node.guard(change)
    assert answer.status == 2
    assert json.loads(answer.out)["decision"] == "block"
    (event,) = node.stored()
    assert (event.kind, event.data["source"]) == ("attractor:refused", "local_settings")


@pytest.mark.parametrize("tool", ["Agent", "TaskCreate", "ToolSearch", "SendMessage", "Skill"])
def test_a_tool_that_names_no_file_is_let_through(rule: Any, node: Any, tool: str) -> None:
    assert rule(tool, prompt=f"do not read {node.run}", description="x") == ""


# ---- the hook as a process


def test_a_call_that_is_allowed_is_stored_as_it_came(node: Any) -> None:
    call = node.call("Bash", command="ls")
    answer = node.guard(call)
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    (event,) = node.stored()
    assert (event.kind, event.data) == ("PreToolUse", call)


def test_a_call_that_is_denied_says_what_why_and_what_instead(node: Any) -> None:
    call = node.call("Bash", command="echo hi > notes.txt")
    answer = node.guard(call)
    assert answer.status == 2
    assert "`> notes.txt` writes a file" in answer.reason
    assert "the orchestrator does not change files" in answer.reason
    assert "Agent tool" in answer.reason
    assert answer.err == answer.reason
    output = json.loads(answer.out)["hookSpecificOutput"]
    assert output["hookEventName"] == "PreToolUse"
    assert output["permissionDecision"] == "deny"
    (event,) = node.stored()
    assert event.kind == "attractor:denied"
    assert event.data["rule"] == "writes"
    assert "notes.txt" in event.data["reason"]
    assert event.data["event"] == call


def test_a_denial_shows_no_control_characters_and_has_a_bound(node: Any) -> None:
    path = "/x/\x1b]0;\x07" + "y" * 10_000
    answer = node.guard(node.call("Write", file_path=path))
    assert answer.status == 2
    assert answer.reason.replace("\n", "").isprintable()
    assert len(answer.reason) < 2_000


@pytest.mark.parametrize(
    "stdin",
    [
        b"",
        b"garbage",
        b"[]",
        b"null",
        b'{"tool_name": "Write"}',
        b'{"tool_name": 5, "tool_input": {}}',
        b'{"tool_name": "Edit", "tool_input": {"x": 1}}',
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"tool_name": "Bash", "tool_input": {"command": "ls"}',
    ],
)
def test_what_cannot_be_understood_is_denied_and_recorded(node: Any, stdin: bytes) -> None:
    answer = node.guard(stdin)
    assert answer.status == 2
    assert "could not decide" in answer.reason
    (event,) = [json.loads((node.events / name).read_bytes()) for name in node.names()]
    assert (event["attractor"], event["rule"]) == ("refused", "fault")


def test_an_event_that_is_too_large_to_be_held_is_denied(node: Any) -> None:
    data = json.dumps(node.call("Write", agent=WORKER, file_path="x")).encode()
    assert guard.decided(data, len(data), str(node.places))[1] is None
    kept, denial = guard.decided(data, len(data) + 1, str(node.places))
    assert denial is not None
    assert denial.rule == "fault"
    assert json.loads(kept)["event"]["agent_id"] == WORKER


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b'{"worktree": 1}'])
def test_without_its_places_the_guard_denies(node: Any, content: bytes | None) -> None:
    node.places.unlink()
    if content is not None:
        node.places.write_bytes(content)
    answer = node.guard(node.call("Bash", command="ls"))
    assert answer.status == 2
    assert "could not decide" in answer.reason


def test_a_guard_that_cannot_even_start_denies(node: Any, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "guard.py"
    alone.parent.mkdir()
    alone.write_bytes((Path(settings.__file__).parent / "guard.py").read_bytes())
    answer = node.start(str(alone), node.events, node.places, stdin=b"{}")
    assert answer.status == 2
    assert answer.err.startswith("Denied: the guard itself failed: ModuleNotFoundError")


def test_an_event_that_cannot_be_stored_changes_no_decision(node: Any) -> None:
    os.rename(node.events, node.events.with_name("elsewhere"))
    allowed = node.guard(node.call("Bash", command="ls"))
    assert (allowed.status, allowed.out) == (0, "")
    assert "was not stored" in allowed.err
    assert node.guard(node.call("Write", file_path="x")).status == 2


def test_a_call_of_ten_megabytes_is_judged_and_shortened(node: Any) -> None:
    content = "x" * 10_000_000
    call = node.call("Write", agent=WORKER, file_path=str(node.worktree / "x"), content=content)
    assert node.guard(call).status == 0
    assert node.guard(call | {"agent_id": ""}).status == 2
    allowed, denied = node.stored()
    assert (allowed.kind, allowed.agent_id) == ("PreToolUse", WORKER)
    assert allowed.data["tool_input"]["file_path"] == str(node.worktree / "x")
    assert denied.kind == "attractor:denied"
    assert len(denied.data["event"]["tool_input"]["content"]) < 10_000


def test_a_session_in_a_folder_of_its_worktree_is_judged_there(rule: Any, node: Any) -> None:
    folder = node.worktree / "a" / "b"
    folder.mkdir(parents=True)
    up = "../../../../attractor/journal.jsonl"
    assert rule("Bash", cwd=str(folder), command=f"cat {up}") == "hidden"
    assert rule("Write", agent=WORKER, cwd=str(folder), file_path="../x") == ""


def test_a_worker_hands_in_what_it_learned(rule: Any, node: Any) -> None:
    path = str(node.worktree / ".attractor/memory/doors.md")
    assert rule("Write", agent=WORKER, file_path=path) == ""
    assert rule("Write", file_path=path) == "writes"
