"""Which runs there are of the plans of a project, for one who is about to plan again."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from attractor.plan.write import plans_folder
from attractor.run.layout import RunLayout, state_folder
from attractor.run.locate import read_object, runs_of

_FINISHED: Final = ("validated", "failed")  # any other end is one that a run goes on from


class Earlier(NamedTuple):
    """One run of a plan."""

    run: str
    plan: str
    finished: bool
    stopped: bool = False
    """It has ended, and a run can go on from that end."""

    @property
    def state(self) -> str:
        """How it stands, as the second half of a sentence."""
        if self.stopped:
            return "was stopped, and can go on"
        return "has ended" if self.finished else "has not ended"


def earlier(project: str) -> list[Earlier]:
    """Return the runs of this project's plans, the newest last; only names and requests count."""
    if not os.path.isdir(os.path.join(state_folder(project), "runs")):
        return []
    folder = os.path.join(state_folder(project), "runs")
    found = (_run(RunLayout(os.path.join(folder, each)), project) for each in runs_of(project))
    return [each for each in found if each is not None]


def _run(layout: RunLayout, project: str) -> Earlier | None:
    said = read_object(layout.request)
    folder = str(said.get("plan") or "") or os.path.dirname(str(said.get("pipeline") or ""))
    try:
        above = os.path.realpath(os.path.dirname(folder))
    except ValueError:  # no path has such characters
        return None
    if above != os.path.realpath(plans_folder(project)):
        return None
    name = str(said.get("run_id") or os.path.basename(layout.root))
    result = read_object(layout.final).get("result")
    finished = result in _FINISHED
    return Earlier(name, os.path.basename(folder), finished, bool(result) and not finished)
