"""Every rule against a pipeline that is sound but for one change, and the exact place of it.

The cases stand in lint_cases.txt. A broken pipeline must give exactly one finding, a sound one
none at all: no fault may be told twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.errors import AttractorError
from attractor.pipeline import place
from attractor.pipeline.dot import parse
from attractor.pipeline.finding import Facts, Finding, Manifest, Severity
from attractor.pipeline.graph import build
from attractor.pipeline.lex import scan
from attractor.pipeline.lint import PARSER_RULES, RULES, lint

BASES = {
    "harness": """
digraph h {
    graph [prd_ref="P-1", label="L", promise_id=""];
    start [shape=Mdiamond, label="S", handler=start];
    look [shape=tab, label="R", handler=research, solution_design="d.md"];
    hone [
        shape=note, label="H", handler=refine, solution_design="d.md",
        evidence_path="evidence/look/research-findings.json"
    ];
    work [shape=box, label="W", handler=codergen, bead_id="B-1", worker_type="ux-designer",
        sd_path="d.md", status=pending];
    check [shape=hexagon, label="C", handler="wait.system3", gate_type=unit, summary_ref="s.md"];
    ask [shape=hexagon, label="A", handler="wait.human", gate=business, mode=business];
    decide [shape=diamond, label="D", handler=conditional];
    finish [shape=Msquare, label="F", handler=exit];
    start -> look -> hone -> work -> check -> ask -> decide;
    decide -> finish [condition=pass];
    decide -> work [condition=fail];
}
""",
    "strongdm": """
digraph s {
    graph [goal="G", default_fidelity=full, model_stylesheet="* { llm_model: m; }"]
    start [shape=Mdiamond]
    exit [shape=Msquare]
    plan [prompt="P", fidelity=compact, timeout=900s]
    work [prompt="W", goal_gate=true, retry_target=plan]
    check [shape=parallelogram, tool_command="true"]
    ask [shape=hexagon, label="ok?"]
    start -> plan -> work -> check
    check -> ask [condition="outcome=success"]
    check -> work [condition="outcome=fail", fidelity="summary:low"]
    ask -> exit [label="[Y] Yes"]
    ask -> work [label="[N] No"]
}
""",
    "graphviz": """
digraph g {
    compile [label="Compile"];
    start -> compile -> exit;
}
""",
}
MARK = "@@"


@dataclass
class Case:
    rule: str
    base: str
    changes: list[list[str]] = field(default_factory=list)  # old, broken[, sound]

    def text(self, *, broken: bool) -> str:
        text = BASES[self.base]
        for old, *new in self.changes:
            assert old in text
            text = text.replace(old, new[0] if broken else new[1] if len(new) > 1 else old, 1)
        return text


def _cases() -> list[Case]:
    cases: list[Case] = []
    lines = Path(__file__).with_name("lint_cases.txt").read_text("utf-8").splitlines()
    for line in lines[3:]:
        sign, _, rest = line.partition(" ")
        if sign == "==":
            cases.append(Case(*rest.split()))
        elif sign == "-":
            cases[-1].changes.append([rest])
        elif sign in {"+", "="}:
            cases[-1].changes[-1].append(rest)
        else:
            assert not line, line
    return cases


CASES = _cases()
FACTS = {  # rule -> facts that break the harness's base, where it must point, facts that do not
    "bead_exists": (Facts(beads=frozenset()), '"B-1"', Facts(beads=frozenset({"B-1"}))),
    "file_exists": (Facts(files=frozenset()), None, Facts(files=frozenset({"d.md"}))),
    "validation_method": (
        Facts(manifests={"P-1": Manifest("m.yaml", (("F1", "guess"),))}),
        '"P-1"',
        Facts(manifests={"P-1": Manifest("m.yaml", (("F1", "hybrid"),))}),
    ),
    "rubric_place": (
        Facts(manifests={"P-1": Manifest("m.yaml", exposed=True)}),
        "digraph",
        Facts(manifests={"P-1": Manifest("m.yaml")}),
    ),
}


NO_FACTS = Facts()


def found_in(text: str, facts: Facts = NO_FACTS, *, strict: bool = False) -> list[Finding]:
    document = parse(text)
    return lint(build(document), document.warnings, facts, strict=strict)


@pytest.mark.parametrize("base", BASES)
def test_the_sound_pipelines_are_of_their_dialect_and_without_findings(base: str) -> None:
    assert build(parse(BASES[base])).dialect == base
    assert found_in(BASES[base]) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{CASES.index(case)}")
def test_a_broken_rule_is_the_only_finding_and_at_its_place(case: Case) -> None:
    marked = case.text(broken=True)
    assert marked.count(MARK) == 1
    found = found_in(marked.replace(MARK, ""))
    assert [one.rule for one in found] == [case.rule]
    assert found[0].offset == marked.index(MARK)
    assert found[0].fix
    severity = {rule.id: rule.severity for rule in (*PARSER_RULES, *RULES)}[case.rule]
    assert found[0].severity is severity


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{CASES.index(case)}")
def test_the_same_place_done_right_gives_no_finding(case: Case) -> None:
    assert found_in(case.text(broken=False)) == []


@pytest.mark.parametrize("rule", FACTS)
def test_a_rule_about_facts_speaks_only_where_the_facts_break_it(rule: str) -> None:
    broken, place, sound = FACTS[rule]
    text = BASES["harness"]
    found = found_in(text, broken)
    assert {one.rule for one in found} == {rule}
    if place:
        assert [one.offset for one in found] == [text.index(place)]
    assert found_in(text, sound) == []
    assert found_in(text) == []


def test_every_rule_has_a_case() -> None:
    covered = {case.rule for case in CASES} | set(FACTS)
    assert covered == {rule.id for rule in (*PARSER_RULES, *RULES)} - {"syntax"}


def test_every_number_of_the_harness_and_every_name_of_the_specification_is_in_the_table() -> None:
    assert {number for rule in RULES for number in rule.harness} == set(range(1, 17))
    assert sum(rule.specified for rule in RULES) == 13
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_a_damaged_rubric_is_a_finding() -> None:
    facts = Facts(manifests={"P-1": Manifest("m.yaml", problem="it is not YAML")})
    (found,) = found_in(BASES["harness"], facts)
    assert found.message == "m.yaml: it is not YAML."


def test_an_orphan_is_called_unreachable_and_an_orphan() -> None:
    (found,) = found_in(BASES["graphviz"].replace("}", 'a [label="a"]; }'))
    assert "unreachable" in found.message
    assert "orphan" in found.message
    assert found.node == "a"


def test_a_finding_about_an_edge_names_its_ends() -> None:
    (found,) = found_in(BASES["harness"].replace("=pass]", '="pass ||"]'))
    assert found.edge == ("decide", "finish")
    assert found.node == ""


def test_strict_makes_an_error_of_every_warning() -> None:
    text = BASES["strongdm"].replace('prompt="P",', "").replace("900s", "soon")
    assert {one.severity for one in found_in(text)} == {Severity.WARNING}
    assert {one.severity for one in found_in(text, strict=True)} == {Severity.ERROR}


def test_findings_stand_in_the_order_of_the_source() -> None:
    text = BASES["strongdm"].replace('prompt="P",', "").replace('prompt="W", ', "")
    offsets = [one.offset for one in found_in(text.replace("* {", "* "))]
    assert len(offsets) == 3
    assert offsets == sorted(offsets)


@pytest.mark.parametrize(
    "text",
    [
        "digraph { node [status=done]; @@start; exit [status=pending]; start -> exit }",
        "digraph { node [status=done] @@start exit [status=pending] start -> exit }",
        "digraph { start [status=pending, status=@@done]; start -> exit }",
        "digraph { start [label=status] [status=@@done]; start -> exit }",
        "digraph { start [label=<a[b]<c>>, status=@@done]; start -> exit }",
        "digraph { @@start; start [status=done]; start -> exit }",
    ],
)
def test_the_place_is_the_attribute_or_else_the_node(text: str) -> None:
    (found,) = [one for one in found_in(text.replace(MARK, "")) if one.rule == "status_known"]
    assert found.offset == text.index(MARK)


@pytest.mark.parametrize(
    "text",
    [
        "digraph { subgraph c { graph [default_fidelity=x] } graph [default_fidelity=@@y]; }",
        "digraph { subgraph c { default_fidelity=x } default_fidelity = @@y; }",
        'digraph { a [default_fidelity=x]; node [default_fidelity=x] "default_fidelity"=@@y }',
        "digraph { GRAPH [label=l] [default_fidelity=@@y]; }",
    ],
)
def test_the_place_of_the_graphs_attribute_is_the_graphs(text: str) -> None:
    (found,) = [one for one in found_in(text.replace(MARK, "")) if one.rule == "fidelity_valid"]
    assert found.offset == text.index(MARK)


def test_deep_and_wide_graphs_are_walked_without_recursion() -> None:
    chain = " -> ".join(f"n{at}" for at in range(20_000))
    found = found_in(f"digraph {{ node [label=x]; start -> {chain} -> exit; n19999 -> n0; }}")
    assert [one.rule for one in found] == ["unguarded_cycle"]
    assert len(found[0].message) < 200


_names = st.sampled_from(["start", "exit", "a", "A", "b", '"c d"'])
KEYS = """
shape handler type status condition prompt label goal_gate retry_target fidelity gate mode timeout
promise_ac evidence_path bead_id worker_type loop_restart
"""
VALUES = """
Mdiamond Msquare box hexagon diamond component parallelogram codergen refine research wait.human
wait.system3 conditional pass fail outcome=fail true a exit pending
"""
_keys = st.sampled_from(KEYS.split())
_values = st.sampled_from(VALUES.split()) | st.text(max_size=12)
_attrs = st.dictionaries(_keys, _values, max_size=4)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _listed(attrs: dict[str, str]) -> str:
    return "[" + ", ".join(f"{key}={_quoted(value)}" for key, value in attrs.items()) + "]"


_statements = st.one_of(
    st.tuples(_names, _attrs).map(lambda it: f"{it[0]} {_listed(it[1])}"),
    st.tuples(_names, _names, _attrs).map(lambda it: f"{it[0]} -> {it[1]} {_listed(it[2])}"),
    st.tuples(_names, _names, _names).map(" -> ".join),
    _attrs.map(lambda attrs: f"node {_listed(attrs)}"),
    _attrs.map(lambda attrs: f"edge {_listed(attrs)}"),
    st.text(max_size=30).map(lambda text: f"graph [model_stylesheet={_quoted(text)}]"),
)
_facts = st.builds(
    Facts,
    beads=st.none() | st.frozensets(_values),
    files=st.none() | st.frozensets(_values),
    manifests=st.just({"a": Manifest("m", (("F", ""),), problem="bad", exposed=True)}),
)


@given(st.lists(_statements, max_size=12), _facts, st.booleans())
def test_lint_never_raises_on_a_graph_that_parses(
    statements: list[str], facts: Facts, strict: bool
) -> None:
    text = "digraph {" + ";\n".join(statements) + "}"
    try:
        document = parse(text)
        graph = build(document)
    except AttractorError:
        return
    found = lint(graph, document.warnings, facts, strict=strict)
    for one in found:
        assert 0 <= one.offset < len(text)
        assert one.message
        assert one.fix


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("start -> exit; {} [status=x]", ", "),
        ('start -> {} -> exit [condition="="]', " -> "),
    ],
    ids=["shared list", "chain"],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_places_in_one_long_statement_are_found_with_one_look_at_each_word(
    monkeypatch: pytest.MonkeyPatch, text: str, places: str, backwards: bool
) -> None:
    names = [f"n{at}" for at in range(500)]
    document = parse(f"digraph {{ {text.format(places.join(names))} }}")
    looked = 0

    def counted(text: str, position: int) -> tuple[str, int, int]:
        nonlocal looked
        looked += 1
        return scan(text, position)

    monkeypatch.setattr(place, "scan", counted)
    graph = build(document)
    offsets = [node.offset for node in graph.nodes.values() if node.id in names]
    finder = place.Places(graph.source)
    key = "status" if "status" in text else "condition"
    value = document.source.text.index(f"{key}=") + len(key) + 1
    for offset in reversed(offsets) if backwards else offsets:
        assert finder.attribute(offset, key) == value
        assert finder.attribute(offset, "other") == offset
    assert looked < 5 * len(names)


def test_a_graph_attribute_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = " ".join(f"p{at}: v;" for at in range(300))
    nodes = " ".join(f"n{at};" for at in range(300))
    text = f'digraph {{ {nodes} graph [model_stylesheet="* {{ {unknown} }}"]; start -> exit }}'
    graph = build(parse(text))
    looked = 0

    def counted(text: str, position: int) -> tuple[str, int, int]:
        nonlocal looked
        looked += 1
        return scan(text, position)

    monkeypatch.setattr(place, "scan", counted)
    found = [one for one in lint(graph) if one.rule == "stylesheet_property"]
    assert len(found) == 300
    assert {one.offset for one in found} == {text.index('"*')}
    assert looked < 2_000


def test_a_huge_value_does_not_make_a_huge_message() -> None:
    found = found_in(f'digraph {{ a [label="A", status="{"x" * 100_000}"]; start -> a -> exit }}')
    assert [one.rule for one in found] == ["status_known"]
    assert len(found[0].message) < 1_100
    assert found[0].message.endswith("xxx...")
