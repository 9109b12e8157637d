"""The sweep itself: it must catch a writer that is not atomic, and leave a good one alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.crash


@pytest.fixture
def record_property() -> Callable[[str, object], None]:
    """Keep the lines of these sweeps, some of them broken on purpose, out of the summary."""
    return lambda _name, _value: None


_OLD, _NEW = {"n": 1}, {"n": 2, "more": "x" * 50}


def _fresh(state: Path) -> None:
    (state / "record.json").write_text(json.dumps(_OLD))


def _whole(state: Path, death: Any) -> None:
    found = json.loads((state / "record.json").read_text())
    assert found in (_OLD, _NEW)
    if "written" in death.told:
        assert found == _NEW


_TRUNCATES = """
    import json, os
    def main(state, new):
        fd = os.open("record.json", os.O_WRONLY | os.O_TRUNC)
        os.write(fd, json.dumps(new).encode())
        os.close(fd)
        tell("written")
"""
_UNLINKS_FIRST = """
    import json, os
    def main(state, new):
        with open("draft", "w") as file:
            json.dump(new, file)
        os.remove("record.json")
        os.rename("draft", "record.json")
        tell("written")
"""
_TELLS_TOO_EARLY = """
    import json, os
    def main(state, new):
        with open("draft", "w") as file:
            json.dump(new, file)
        tell("written")
        os.replace("draft", "record.json")
"""
_ATOMIC = """
    import json, os
    def main(state, new):
        fd = os.open("draft", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, json.dumps(new).encode())
        os.fsync(fd)
        os.close(fd)
        os.replace("draft", "record.json")
        tell("written")
    def forgets_the_draft(state, new):
        if os.path.exists("draft"):
            os.remove("draft")
        tell(sorted(os.listdir(state)))
"""


@pytest.mark.parametrize("program", [_TRUNCATES, _UNLINKS_FIRST, _TELLS_TOO_EARLY])
def test_a_writer_that_is_not_atomic_is_caught(sweep: Callable[..., Any], program: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"\d kill points, [12] violations"):
        sweep("broken on purpose", program, fresh=_fresh, check=_whole, arguments=[_NEW])


def test_an_atomic_writer_passes_and_every_point_is_counted(sweep: Callable[..., Any]) -> None:
    deaths: list[Any] = []

    def check(state: Path, death: Any) -> None:
        deaths.append(death)
        _whole(state, death)
        assert death.recovered == (["record.json"],)

    swept = sweep(
        "atomic on purpose",
        _ATOMIC,
        fresh=_fresh,
        check=check,
        recover="forgets_the_draft",
        arguments=[_NEW],
    )
    assert [death.operation for death in deaths] == [
        "",
        "before open draft",
        "before os.write draft",
        "in the middle of os.write draft",
        "before os.fsync draft",
        "before os.rename draft record.json",
    ]
    assert (swept.points, swept.killed) == (5, 5)
    assert [death.finished for death in deaths] == [True] + [False] * 5


def test_a_kill_in_the_middle_of_a_write_leaves_half_of_the_bytes(
    sweep: Callable[..., Any],
) -> None:
    sizes: dict[str, int] = {}

    def check(state: Path, death: Any) -> None:
        if (state / "draft").exists():
            sizes[death.operation] = (state / "draft").stat().st_size

    sweep("half", _ATOMIC, fresh=_fresh, check=check, arguments=[_NEW])
    whole = len(json.dumps(_NEW))
    assert sizes["in the middle of os.write draft"] == whole // 2
    assert sizes["before os.write draft"] == 0
    assert sizes["before os.rename draft record.json"] == whole


def test_operations_outside_of_the_state_folder_are_not_counted(
    sweep: Callable[..., Any], tmp_path: Path
) -> None:
    program = """
        import os
        def main(state, elsewhere):
            with open(elsewhere, "w") as file:
                file.write("x")
            os.remove(elsewhere)
            os.listdir(state)
            open("here", "w").close()
            open("here").close()
    """
    swept = sweep(
        "elsewhere", program, check=lambda *_: None, arguments=[os.fspath(tmp_path / "elsewhere")]
    )
    assert swept.points == 1


def test_many_points_are_sampled_and_all_of_them_on_request(
    sweep: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = """
        import os
        def main(state):
            for number in range(30):
                os.mkdir(str(number))
    """
    points: list[int] = []

    def check(state: Path, death: Any) -> None:
        points.append(death.point)
        assert len(list(state.iterdir())) == (30 if death.finished else death.point - 1)

    monkeypatch.delenv("ATTRACTOR_FULL", raising=False)
    monkeypatch.setenv("ATTRACTOR_SEED", "7")
    sampled = sweep("sampled", program, check=check, limit=5)
    first, points[:] = list(points), []
    sweep("sampled", program, check=check, limit=5)
    assert points == first
    assert (sampled.points, sampled.killed) == (30, 5)
    assert (first[1], first[-1]) == (1, 30)
    monkeypatch.setenv("ATTRACTOR_FULL", "1")
    assert sweep("sampled", program, check=check, limit=5).killed == 30


def test_a_sweep_that_sees_no_file_operation_fails(sweep: Callable[..., Any]) -> None:
    with pytest.raises(pytest.fail.Exception, match="nothing was swept"):
        sweep("idle", "def main(state): pass\n", check=lambda *_: None)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("def main(state):\n    raise ValueError('oh dear')\n", "oh dear"),
        ("import nowhere_to_be_found\n", "nowhere_to_be_found"),
        ("import os\ndef main(state):\n    os.abort()\n", "exit -6"),
        ("def main(state): pass\ndef again(state): 1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_a_program_that_fails_by_itself_is_reported(
    sweep: Callable[..., Any], program: str, said: str
) -> None:
    recover = "again" if "again" in program else None
    with pytest.raises(pytest.fail.Exception, match=said):
        sweep("fails", program, check=lambda *_: None, recover=recover)
