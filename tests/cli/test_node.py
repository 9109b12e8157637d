from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.cli import revise
from attractor.pipeline.graph import NodeId
from attractor.pipeline.load import load

Cli = Callable[..., Any]
WORKER = ("--set", "bead_id=B-1", "--set", "worker_type=ux-designer")

PIPELINE = """\
// the first line
digraph "login" {
    graph [label="Login", prd_ref="PRD-1", promise_id=""];
    start  [shape=Mdiamond, handler="start"];   // kept
    build  [shape=box, label="Build", handler="codergen", status="pending",
            bead_id="L-1", worker_type="ux-designer"];
    check  [shape=hexagon, handler="wait.human", gate="technical", mode="technical"];
    finish [shape=Msquare, handler="exit"];
    start -> build -> check -> finish;
    // the last words
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "login.dot"
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def locked(file: Path) -> Iterator[Path]:
    """The pipeline while another process works on it."""
    code = (
        "import sys\n"
        "from signals.clock import SystemClock\n"
        "from signals.lease import lease\n"
        "with lease(sys.argv[1], SystemClock(), 5.0):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    argv = [sys.executable, "-I", "-c", code, f"{file}.lock"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield file
        holder.communicate(timeout=30)


def logged(file: Path) -> list[dict[str, Any]]:
    path = Path(f"{file}.ops.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def attrs(file: Path, node: str) -> dict[str, str]:
    _, graph = load(file)
    return {str(node.id): node for node in graph.nodes.values()}[node].attrs


def edges(file: Path) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in load(file)[1].edges]


# -- list ---


@pytest.mark.parametrize("order", [("list", "FILE"), ("FILE", "list")])
def test_the_nodes_are_listed_in_both_orders_of_words(
    cli: Cli, file: Path, order: tuple[str, str]
) -> None:
    words = [str(file) if word == "FILE" else word for word in order]
    listed = cli("node", *words, "--json").json()
    assert [each["id"] for each in listed] == ["start", "build", "check", "finish"]
    assert listed[1]["attrs"]["bead_id"] == "L-1"
    lines = cli("node", *words).out.splitlines()
    assert [line.split()[0] for line in lines] == ["NODE", "start", "build", "check", "finish"]


# -- add ---


def test_a_node_is_added_with_its_edges_and_nothing_else_changes(cli: Cli, file: Path) -> None:
    said = cli(
        "node",
        "add",
        file,
        "docs",
        *WORKER,
        "--label",
        "Write it up",
        "--after",
        "build",
        "--before",
        "check",
    )
    assert (said.status, said.err) == (0, "")
    assert said.out == f"{file}: added node docs\n"
    assert attrs(file, "docs") == {
        "shape": "box",
        "label": "Write it up",
        "handler": "codergen",
        "status": "pending",
        "bead_id": "B-1",
        "worker_type": "ux-designer",
    }
    assert edges(file)[-2:] == [("build", "docs"), ("docs", "check")]
    kept = iter(file.read_text().splitlines())
    assert all(line in kept for line in PIPELINE.splitlines())


def test_a_node_without_edges_is_added_with_a_note(cli: Cli, file: Path) -> None:
    said = cli("node", file, "add", "docs", *WORKER)
    assert said.status == 0
    assert "unreachable" in said.err
    assert cli("edge", "add", file, "docs", "check").status == 0
    assert cli("edge", "add", file, "build", "docs").status == 0
    assert cli("lint", file).status == 0


def test_the_result_and_the_log_have_the_harness_keys(cli: Cli, file: Path) -> None:
    assert cli(
        "node", "add", file, "docs", *WORKER, "--after", "build", "--before", "check", "--json"
    ).json() == {
        "status": "ok",
        "success": True,
        "file": str(file),
        "changed": True,
        "command": "node add",
        "node_id": "docs",
        "handler": "codergen",
        "label": "docs",
    }
    [entry] = logged(file)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "file": str(file),
        "command": "node add",
        "node_id": "docs",
        "handler": "codergen",
        "label": "docs",
        "status": "pending",
    }


def test_the_shape_follows_the_handler_unless_it_is_set(cli: Cli, file: Path) -> None:
    gate = ("--set", "gate=manual", "--set", "mode=business", "--after", "check", "--before")
    assert cli("node", "add", file, "g1", "--handler", "wait.human", *gate, "finish").status == 0
    assert (
        cli(
            "node",
            "add",
            file,
            "g2",
            "--handler",
            "wait.human",
            "--set",
            "shape=octagon",
            *gate,
            "finish",
        ).status
        == 0
    )
    assert attrs(file, "g1")["shape"] == "hexagon"
    assert attrs(file, "g2")["shape"] == "octagon"


def test_an_addition_does_not_turn_a_file_into_another_dialect(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "s.dot"
    file.write_text(
        "digraph g { start [shape=Mdiamond] a [prompt=x] exit [shape=Msquare]\n"
        "start -> a -> exit }\n"
    )
    before = load(file)[1].dialect
    assert cli("node", "add", file, "b", "--after", "a", "--before", "exit").status == 0
    assert load(file)[1].dialect == before == "strongdm"


def test_a_lack_that_lint_calls_an_error_is_refused_unless_forced(cli: Cli, file: Path) -> None:
    words = ("node", "add", file, "docs", "--after", "build", "--before", "check")
    said = cli(*words, "--json")
    assert said.status == 1
    assert said.json()["rule"] == "required_attributes"
    assert "bead_id" in said.err
    assert "--force" in said.err
    assert file.read_text() == PIPELINE
    assert logged(file) == []
    forced = cli(*words, "--force")
    assert forced.status == 0
    assert "bead_id" in forced.err


def test_errors_that_were_there_before_do_not_hinder_an_edit(cli: Cli, file: Path) -> None:
    file.write_text(PIPELINE.replace('prd_ref="PRD-1", ', ""))
    assert cli("node", "modify", file, "build", "--label", "New").status == 0


@pytest.mark.parametrize("name", ["1a", "a b", "a-b", "", "node", "GRAPH", "ä", 'a"b', "-> x"])
def test_an_odd_id_is_refused(cli: Cli, file: Path, name: str) -> None:
    said = cli("node", "add", file, *WORKER, "--", name)
    assert (said.status, file.read_text()) == (1, PIPELINE)
    assert "cannot be the id of a node" in said.err


def test_a_taken_id_is_refused_with_its_place(cli: Cli, file: Path) -> None:
    said = cli("node", "add", file, "build", *WORKER)
    assert said.status == 1
    assert f"{file}:5:5: there is a node 'build' already" in said.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--handler", "codegen"), "'codegen' is not a handler that we know"),
        (("--status", "done"), "'done' is not a state"),
        (("--set", "status=done"), "'done' is not a state"),
        (("--set", "novalue"), "--set 'novalue' has no value"),
        (("--set", "=x"), "'' cannot be the key"),
        (("--set", "a-b=x"), "'a-b' cannot be the key"),
        (("--set", "edge=x"), "'edge' cannot be the key"),
        (("--label", "\udcff"), "is not UTF-8"),
        (("--set", "note=\udcff"), "is not UTF-8"),
        (("--after", "biuld"), "'build'"),
        (("--before", "nowhere"), "'nowhere'"),
    ],
)
def test_a_bad_value_is_refused_and_the_file_is_unchanged(
    cli: Cli, file: Path, words: tuple[str, ...], problem: str
) -> None:
    said = cli("node", "add", file, "docs", *WORKER, *words)
    assert (said.status, file.read_text()) == (1, PIPELINE)
    assert problem in said.err
    assert logged(file) == []


def test_an_unknown_handler_can_be_forced(cli: Cli, file: Path) -> None:
    assert cli("node", "add", file, "x", "--handler", "my.own", "--force").status == 0
    assert attrs(file, "x")["handler"] == "my.own"


def test_any_text_comes_back_as_it_was_given(cli: Cli, file: Path) -> None:
    text = 'quote " backslash \\ end\\\nnew line ☃ <b>'
    assert cli("node", "modify", file, "build", "--label", text).status == 0
    assert attrs(file, "build")["label"] == text


# -- remove ---


def test_a_node_is_removed_with_its_edges_and_says_which(cli: Cli, file: Path) -> None:
    assert cli("edge", "add", file, "build", "finish").status == 0
    said = cli("node", "remove", file, "check", "--json")
    assert said.status == 0, said.err
    assert said.json()["edges"] == [
        {"src": "build", "dst": "check"},
        {"src": "check", "dst": "finish"},
    ]
    assert edges(file) == [("start", "build"), ("build", "finish")]
    assert logged(file)[-1]["edges_removed"] == 2


def test_a_removal_that_cuts_the_pipeline_is_refused_unless_forced(cli: Cli, file: Path) -> None:
    said = cli("node", "remove", file, "check")
    assert (said.status, file.read_text()) == (1, PIPELINE)
    assert "would bring a lint error" in said.err
    forced = cli("node", "remove", file, "check", "--force")
    assert forced.status == 0
    assert "build -> check, check -> finish" in forced.out


def test_an_unknown_node_is_refused_with_a_near_name(cli: Cli, file: Path) -> None:
    for words in (("remove", file, "biuld"), ("modify", file, "biuld", "--label", "x")):
        said = cli("node", *words)
        assert (said.status, file.read_text()) == (1, PIPELINE)
        assert "'biuld'" in said.err
        assert "build" in said.err.replace("biuld", "")


# -- modify ---


def test_a_modification_changes_just_what_it_names(cli: Cli, file: Path) -> None:
    said = cli(
        "node",
        "modify",
        file,
        "build",
        "--status",
        "active",
        "--set",
        "timeout=900s",
        "--unset",
        "label",
        "--json",
    )
    assert said.status == 0
    assert said.json()["updates"] == {"timeout": "900s", "status": "active"}
    assert said.json()["unset"] == ["label"]
    changed = attrs(file, "build")
    assert (changed["status"], changed["timeout"], "label" in changed) == ("active", "900s", False)
    assert "// kept" in file.read_text()
    assert logged(file)[-1]["updates"] == {"timeout": "900s", "status": "active"}


def test_a_new_handler_brings_its_shape(cli: Cli, file: Path) -> None:
    words = ("--set", "handler=research", "--set", "solution_design=d.md")
    assert cli("node", "modify", file, "build", *words).status == 0
    assert attrs(file, "build")["shape"] == "tab"


def test_a_modification_that_changes_nothing_writes_nothing(cli: Cli, file: Path) -> None:
    inode = file.stat().st_ino
    said = cli("node", "modify", file, "build", "--label", "Build")
    assert (said.status, said.out) == (0, f"{file}: nothing to change\n")
    assert (file.stat().st_ino, logged(file)) == (inode, [])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "nothing to modify"),
        (("--unset", "colour"), "has no attribute 'colour'"),
        (("--unset", "a b"), "cannot be the key"),
        (("--unset", "label", "--label", "x"), "both set and unset"),
        (("--status", "finished"), "'finished' is not a state"),
        (("--unset", "bead_id"), "would bring a lint error"),
        (("--set", "worker_type"), "has no value"),
    ],
)
def test_a_bad_modification_is_refused(
    cli: Cli, file: Path, words: tuple[str, ...], problem: str
) -> None:
    said = cli("node", "modify", file, "build", *words)
    assert (said.status, file.read_text()) == (1, PIPELINE)
    assert problem in said.err


def test_a_default_cannot_be_removed_for_one_node(cli: Cli, file: Path) -> None:
    text = PIPELINE.replace("    start  [", "    node [timeout=60];\n    start  [")
    file.write_text(text)
    said = cli("node", "modify", file, "build", "--unset", "timeout")
    assert (said.status, file.read_text()) == (1, text)
    assert "from a default" in said.err


def test_beside_a_journal_states_are_not_edited(cli: Cli, file: Path) -> None:
    assert cli("transition", file, "start", "active").status == 0
    before = file.read_text()
    for words in (
        ("modify", file, "build", "--status", "accepted"),
        ("modify", file, "build", "--set", "status=accepted"),
        ("modify", file, "build", "--unset", "status"),
        ("add", file, "docs", *WORKER, "--status", "accepted"),
    ):
        said = cli("node", *words)
        assert (said.status, file.read_text()) == (1, before)
        assert "attractor transition" in said.err
    assert cli("node", "modify", file, "build", "--label", "x").status == 0
    assert cli("transition", file, "start", "validated").status == 0


# -- every edit ---


def test_a_dry_run_prints_the_diff_and_writes_nothing(cli: Cli, file: Path) -> None:
    said = cli("node", "modify", file, "build", "--label", "New", "--dry-run")
    assert said.status == 0
    assert '+    build  [shape=box, label="New"' in said.out
    assert said.out.startswith(f"--- {file}\n+++ {file}\n")
    assert os.listdir(file.parent) == ["login.dot"]
    result = cli("node", "modify", file, "build", "--label", "New", "--dry-run", "--json").json()
    assert (result["dry_run"], result["diff"]) == (True, said.out)


def test_a_file_edited_through_a_link_stays_one_file(cli: Cli, file: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    link = tmp_path / "sub" / "link.dot"
    link.symlink_to(file)
    assert cli("node", "modify", link, "build", "--label", "New").status == 0
    assert link.is_symlink()
    assert attrs(file, "build")["label"] == "New"
    assert os.listdir(tmp_path / "sub") == ["link.dot"]
    assert len(logged(file)) == 1


def test_a_byte_order_mark_and_crlf_survive(cli: Cli, file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + PIPELINE.replace("\n", "\r\n").encode())
    assert cli("node", "modify", file, "build", "--label", "New").status == 0
    expected = PIPELINE.replace('label="Build"', 'label="New"').replace("\n", "\r\n")
    assert file.read_bytes() == b"\xef\xbb\xbf" + expected.encode()


def test_a_file_that_somebody_holds_is_not_edited(
    cli: Cli, locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revise, "_LOCK_SECONDS", 0.2)
    said = cli("node", "modify", locked, "build", "--label", "New", "--json")
    assert (said.status, locked.read_text()) == (1, PIPELINE)
    assert said.json()["status"] == "error"
    assert "holds this since" in said.err
    assert cli("node", "modify", locked, "build", "--label", "New", "--dry-run").status == 0


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written_leaves_the_file_as_it_was(
    cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real = os.open

    def refuse(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT and not str(path).endswith((".lock", ".owner.json")):
            raise OSError(code, os.strerror(code), path)
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    said = cli("node", "modify", file, "build", "--label", "New")
    monkeypatch.undo()
    assert (said.status, file.read_text()) == (1, PIPELINE)
    assert "cannot write" in said.err
    assert logged(file) == []


def test_a_log_that_cannot_be_written_does_not_undo_the_edit(cli: Cli, file: Path) -> None:
    Path(f"{file}.ops.jsonl").mkdir()
    said = cli("node", "modify", file, "build", "--label", "New")
    assert said.status == 0
    assert "could not be written" in said.err
    assert attrs(file, "build")["label"] == "New"


@pytest.mark.parametrize("verb", [("remove", "a"), ("modify", "a", "--label", "x"), ("add", "a")])
def test_what_is_no_pipeline_is_refused_and_nothing_is_left_beside_it(
    cli: Cli, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    bad = tmp_path / "bad.dot"
    bad.write_text("hello")
    for file in (bad, tmp_path / "gone.dot", tmp_path):
        said = cli("node", verb[0], file, *verb[1:], "--json")
        assert said.status == 1
        assert said.json()["status"] == "error"
    assert os.listdir(tmp_path) == ["bad.dot"]


def test_many_processes_editing_at_once_lose_nothing(file: Path) -> None:
    argv = [sys.executable, "-I", "-m", "attractor", "node", "modify", str(file), "build"]
    children = [
        subprocess.Popen([*argv, "--set", f"k{number}=v"], stdout=subprocess.DEVNULL)
        for number in range(4)
    ]
    assert [child.wait(60) for child in children] == [0] * 4
    assert {f"k{number}" for number in range(4)} <= set(attrs(file, "build"))
    assert len(logged(file)) == 4


# -- dialects ---

PLAIN = """\
digraph p { start [shape=Mdiamond]; b [shape=box,label="l"]; e [shape=Msquare]; start -> b -> e }
"""
SPECIFIED = """\
digraph p { start [shape=Mdiamond] b [prompt=x] e [shape=Msquare] start -> b -> e }
"""
BEADS_ONLY = """\
digraph p { graph [prd_ref=P, label=L]; start [shape=Mdiamond]; e [shape=Msquare];
b [shape=box, label=l, bead_id=B, worker_type="ux-designer"]; c [shape=parallelogram, label=c];
start -> b -> c -> e }
"""
NEEDED = ("--set", "command=true", "--set", "gate=manual", "--set", "mode=business")


@pytest.mark.parametrize(
    ("text", "dialect", "needed"),
    [
        (PLAIN, "graphviz", ()),
        (SPECIFIED, "strongdm", ()),
        (PIPELINE, "harness", (*WORKER, *NEEDED)),
        (BEADS_ONLY, "harness", (*WORKER, *NEEDED)),
    ],
    ids=["graphviz", "strongdm", "harness", "harness without handlers"],
)
@pytest.mark.parametrize("handler", ["codergen", "tool", "wait.human", "parallel"])
def test_a_new_node_runs_as_told_and_turns_nothing_else_into_something_else(
    cli: Cli, file: Path, text: str, dialect: str, needed: tuple[str, ...], handler: str
) -> None:
    file.write_text(text)
    before = load(file)[1]
    end = "e" if "e" in before.nodes else "finish"
    words = ("--handler", handler, "--after", "b" if end == "e" else "build", "--before", end)
    said = cli("node", "add", file, "zz", *words, *needed)
    assert (said.status, said.err) == (0, "")
    after = load(file)[1]
    handlers = {node.id: after.handler(node) for node in after.nodes.values()}
    assert before.dialect == after.dialect == dialect
    assert handlers.pop(NodeId("zz")) == handler
    assert handlers == {node.id: before.handler(node) for node in before.nodes.values()}


def test_in_plain_graphviz_the_shape_alone_says_the_handler(cli: Cli, file: Path) -> None:
    file.write_text(PLAIN)
    assert cli("node", "add", file, "zz", "--handler", "tool", "--after", "b").status == 0
    assert attrs(file, "zz") == {"shape": "parallelogram", "label": "zz", "status": "pending"}


def test_a_handler_that_no_shape_says_is_written_as_a_type(cli: Cli, file: Path) -> None:
    file.write_text(PLAIN)
    words = ("--handler", "wait.system3", "--after", "b", "--before", "e")
    assert cli("node", "add", file, "zz", *words).status == 0
    assert (attrs(file, "zz")["type"], attrs(file, "zz")["shape"]) == ("wait.system3", "hexagon")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("add", "zz", *WORKER), "attributes bead_id and worker_type make"),
        (("add", "zz", "--set", "handler=codergen"), "attribute handler makes"),
        (("modify", "b", "--set", "worker_type=ux-designer"), "attribute worker_type makes"),
    ],
)
def test_a_refusal_names_the_attributes_that_make_the_file_a_harness_pipeline(
    cli: Cli, file: Path, words: tuple[str, ...], names: str
) -> None:
    file.write_text(PLAIN)
    said = cli("node", words[0], file, *words[1:], "--json")
    assert (said.status, file.read_text()) == (1, PLAIN)
    assert f"The {names} this a harness pipeline, whose rules its nodes then break" in said.err
    assert said.json()["dialect"] == "harness"
    assert said.json()["fix"].startswith("leave out ")
    assert cli("node", words[0], file, *words[1:], "--force").status == 0
    assert load(file)[1].dialect == "harness"


def test_a_refusal_without_a_change_of_dialect_says_nothing_of_one(cli: Cli, file: Path) -> None:
    said = cli("node", "add", file, "docs")
    assert said.status == 1
    assert "pipeline, whose rules" not in said.err
