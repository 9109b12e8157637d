"""What one commit is judged by: the features of a sealed rubric, or a node's own acceptance.

The rubric's files are read once; the bytes that are compared with the seal are those that the
judges are asked by. A feature that is in scope and not in the rubric is an InputError.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

from attractor.errors import InputError
from attractor.rubric import manifest, seal
from attractor.rubric.model import Feature, Rubric
from attractor.yaml_source import YamlSource
from guardian.feedback import Guard
from guardian.judge import Case
from guardian.verdict import Thresholds

ACCEPTANCE: Final = "acceptance"
"""The feature that stands for a node without one in the rubric."""
_TEXTS: Final = ("title", "name", "rationale")


@final
@dataclass(frozen=True, slots=True)
class Criteria:
    """What is judged, how it weighs, and what must not be told of it."""

    cases: tuple[Case, ...]
    weights: Mapping[str, float]
    names: Mapping[str, str]
    """How feedback calls each feature."""
    guard: Guard
    thresholds: Thresholds = field(default_factory=Thresholds)


@final
@dataclass(frozen=True, slots=True)
class Unsealed:
    """The rubric is not the one that was sealed."""

    differs: tuple[str, ...]


def of(spec: Mapping[str, Any]) -> Criteria | Unsealed:
    """Return what the task of this spec judges by."""
    sealed = spec["rubric"]
    rubric, secret = None, Guard(())
    if sealed:
        try:
            files = seal.read(sealed["folder"])
        except InputError as error:
            return Unsealed((f"{error.where}: {error.problem}",))
        if differs := seal.differences(sealed["files"], seal.hashes(files)):
            return Unsealed(tuple(differs))
        rubric, secret = manifest.parse(files, sealed["folder"]), Guard(_secret(files))
    if not spec["features"]:
        return _acceptance(spec, secret)
    return _features(rubric, spec["features"], secret)


def _secret(files: Mapping[str, bytes]) -> Iterator[str]:
    for name, data in files.items():
        if name.endswith(manifest.SUFFIX):
            yield data.decode("utf-8-sig", "replace")
    said: Any = YamlSource(files[manifest.MANIFEST].decode("utf-8-sig"), manifest.MANIFEST).value()
    for feature in said["features"]:
        yield from (str(feature[key]) for key in _TEXTS if key in feature)


def _acceptance(spec: Mapping[str, Any], secret: Guard) -> Criteria:
    """Return the node's own words as the one scenario. Who does the work knows them already."""
    node = str(spec["node"])
    told = str(spec["acceptance"] or spec["prompt"] or spec["label"]).strip()
    if not told:
        fix = "give the node an acceptance, a prompt or a label"
        raise InputError(f"nothing says what {node} is judged by", where=node, fix=fix)
    case = Case(ACCEPTANCE, ACCEPTANCE, f"The work does what was asked for:\n{told}")
    name = f"the acceptance of {node}"
    return Criteria((case,), {ACCEPTANCE: 1.0}, {ACCEPTANCE: name}, secret)


def _features(rubric: Rubric | None, ids: Sequence[str], secret: Guard) -> Criteria:
    found = []
    for each in ids:
        feature = rubric.feature(each) if rubric else None
        if rubric is None or feature is None:
            where = rubric.folder if rubric else ""
            fix = "start another run, whose scope is made anew"
            problem = f"there is no feature {each!r:.60} in the rubric"
            raise InputError(problem, where=where, fix=fix)
        found.append(feature)
    assert rubric is not None
    return Criteria(
        tuple(case for feature in found for case in _cases(feature)),
        {each.id: each.weight for each in found},
        {each.id: f"criterion {each.id} of {rubric.prd_id}" for each in found},
        secret,
        Thresholds(rubric.accept, rubric.investigate),
    )


def _cases(feature: Feature) -> Iterator[Case]:
    sections = {
        "Scoring guide": feature.guide,
        "Evidence to check": feature.evidence,
        "Red flags": feature.red_flags,
    }
    told = [
        f"{head}:\n" + "\n".join(f"- {each}" for each in body)
        for head, body in sections.items()
        if body
    ]
    guide = "\n".join([f"It belongs to: {feature.title}", *told])
    seen: dict[str, int] = {}
    for each in feature.scenarios:
        name = each.name or os.path.basename(feature.file)
        seen[name] = seen.get(name, 0) + 1
        unique = name if seen[name] == 1 else f"{name} ({seen[name]})"
        yield Case(feature.id, unique, each.text, guide)
