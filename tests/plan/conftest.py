from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st

from attractor.plan.model import Criterion, Plan, PlannedNode, Prd, Scope
from attractor.plan.sizes import SIZES

WORDS = ["parse_dates", "store_users", "render_page", "send_mail", "read_config", "write_log"]
FOLDERS = ["src", "lib", "packages/api"]
CHECKS = [
    "pytest tests -q",
    "npm test",
    "make test && ruff check .",
    "cargo test -p core | grep ok",
]
ACCEPTANCE = [
    "GET /users returns 200 and the list as JSON",
    "An empty file is refused with status 2, and nothing is written",
    "The page shows the date of the last change",
]
TEXT = st.text(alphabet="abc xyz", max_size=30)


@st.composite
def legal_plans(draw: st.DrawFn, scope: Scope) -> Plan:
    """Plans that nothing is wrong with, in the scope."""
    size = SIZES[scope]
    ids = draw(st.permutations(WORDS))[: draw(st.integers(1, min(size.nodes, len(WORDS))))]
    criteria = [f"AC-{n}" for n in range(1, draw(st.integers(1, len(ids) * size.criteria)) + 1)]
    nodes = [
        PlannedNode(
            id=each,
            label=f"Do {each}",
            goal=f"What {each} says is there",
            reference_style=draw(TEXT),
            outline=draw(TEXT),
            steps=tuple(f"step {n}" for n in range(draw(st.integers(1, size.steps)))),
            safety=tuple(draw(st.lists(TEXT, max_size=2))),
            criteria=tuple(criteria[index :: len(ids)]),
            files=draw(files(each, size.files)),
            checks=tuple(draw(st.lists(st.sampled_from(CHECKS), min_size=1, max_size=3))),
            acceptance=draw(st.sampled_from(ACCEPTANCE)),
            after=tuple(draw(st.lists(st.sampled_from(ids[:index]), unique=True)) if index else ()),
        )
        for index, each in enumerate(ids)
    ]
    prd = Prd(
        summary="Users can be listed",
        requirements=("There is a list of users",),
        criteria=tuple(Criterion(each, f"What {each} says holds") for each in criteria),
        out_of_scope=tuple(draw(st.lists(TEXT, max_size=2))),
        risks=tuple(draw(st.lists(TEXT, max_size=2))),
    )
    return Plan("users", "List users", draw(TEXT), prd, tuple(draw(st.permutations(nodes))))


@st.composite
def files(draw: st.DrawFn, of: str, most: int) -> tuple[str, ...]:
    """Paths that no other node has, in one part of the project, and a test beside them."""
    folder = draw(st.sampled_from(FOLDERS))
    own = [f"{folder}/{of}/{n}.py" for n in range(draw(st.integers(1, most - 1)))]
    return (*own, draw(st.sampled_from([f"tests/test_{of}.py", f"./docs/{of}.md", f"{of}.toml"])))


def plain_plan(count: int = 2) -> Plan:
    """One legal plan, its nodes one after another."""
    ids = WORDS[:count]
    nodes = tuple(
        PlannedNode(
            id=each,
            label=f"Do {each}",
            goal=f"What {each} says is there",
            steps=("write it",),
            criteria=(f"AC-{n + 1}",),
            files=(f"src/{each}.py",),
            checks=("pytest -q",),
            acceptance=ACCEPTANCE[0],
            after=tuple(ids[:n][-1:]),
        )
        for n, each in enumerate(ids)
    )
    criteria = tuple(Criterion(f"AC-{n + 1}", "It can be seen") for n in range(count))
    prd = Prd("Users can be listed", ("There is a list of users",), criteria)
    return Plan("users", "List users", "", prd, nodes)


@pytest.fixture(scope="session")
def plans() -> SimpleNamespace:
    legal: Callable[[Scope], st.SearchStrategy[Plan]] = legal_plans
    return SimpleNamespace(legal=legal, plain=plain_plan)
