"""What a model remembers fits a script that has got more nodes since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from attractor.rehearsal.headers import Asker
from attractor.rehearsal.memory import Due, Memory, Who
from attractor.rehearsal.turn import Failure, NodeScript, Script, Text, Turn

WHO = Who(Asker("orchestrator", "r", "a", 1), "s", "")
ONCE = Turn((Text("once"),), sessions=1)
LATE = Turn((Text("late"),), failures=(Failure(500),))
OTHER = NodeScript({"orchestrator": [Turn((Text("other"),), sessions=1)]})


def script(**nodes: NodeScript) -> Script:
    return Script({}, Turn((Text("nothing"),)), nodes)


def own() -> NodeScript:
    return NodeScript({"orchestrator": [replace(ONCE), replace(LATE)]})


def ask(memory: Memory, made: Script, *news: str, who: Who = WHO) -> Due:
    return memory.due(who, made.turns("orchestrator", "a", 1), news)


def logged(path: Path, *told: tuple[Who, Due]) -> str:
    def line(who: Who, due: Due) -> Mapping[str, Any]:
        asker = who.asker
        said = {"role": asker.role, "run": asker.run, "node": asker.node}
        return {
            **said,
            "attempt": asker.attempt,
            "session": who.session,
            "agent": who.agent,
            "notes": due.notes,
        }

    path.write_text("".join(json.dumps(line(*each)) + "\n" for each in told))
    return str(path)


def test_what_has_happened_stays_so_when_nodes_come_before_and_behind(tmp_path: Path) -> None:
    small = script(a=own())
    memory = Memory(small)
    first, refused = ask(memory, small, "go"), ask(memory, small, "go", "more")
    assert (first.turn.blocks, refused.trouble) == (ONCE.blocks, Failure(500))
    log = logged(tmp_path / "log", (WHO, first), (WHO, refused))
    for made in (small, script(b=OTHER, a=own(), c=OTHER)):
        again = Memory(made)
        assert again.recall(log) == 2
        late = ask(again, made, "go", "more")
        assert (late.turn.blocks, late.trouble) == (LATE.blocks, None)
        # Another session has not the turn that was for one.
        assert ask(again, made, "go", who=WHO._replace(session="t")).turn.blocks == LATE.blocks


def test_a_node_that_comes_later_is_counted_from_its_first_request() -> None:
    nodes: dict[str, NodeScript] = {}
    made = Script({}, Turn((Text("nothing"),)), nodes)
    memory = Memory(made)
    nodes["a"] = own()
    told = [ask(memory, made, *news) for news in (["go"], ["go", "more"], ["go", "more"])]
    assert [due.turn.blocks for due in told] == [ONCE.blocks, LATE.blocks, LATE.blocks]
    assert [due.trouble for due in told] == [None, Failure(500), None]
    # And as by a model that knew it from the beginning.
    full = script(a=own())
    knowing = Memory(full)
    assert [each.notes for each in told] == [
        ask(knowing, full, *news).notes for news in (["go"], ["go", "more"], ["go", "more"])
    ]


def test_turns_that_were_looked_up_before_their_node_was_told_anew_are_answered() -> None:
    nodes = {"a": own()}
    made = Script({}, Turn((Text("nothing"),)), nodes)
    memory = Memory(made)
    old = [replace(LATE, blocks=(Text("old"),))]
    nodes["a"] = OTHER
    due = memory.due(WHO, old, ["go"])
    assert (due.turn.blocks, due.trouble) == ((Text("old"),), Failure(500))
