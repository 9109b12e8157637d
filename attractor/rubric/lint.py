"""Whether work can be judged by a rubric: what is wrong with it, each with place and fix. Pure.

A fatal finding would make a verdict wrong or impossible; the others are worth knowing. Whether a
scenario asks for the right thing only a person can tell. That something can be observed is told by
its words: one whose outcomes only say that all is well is refused.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from attractor.rubric.empty_words import says_nothing
from attractor.rubric.manifest import MANIFEST, SUFFIX
from attractor.rubric.model import METHODS, Feature, Rubric, Scenario
from attractor.run.preflight import Finding

_TOLERANCE: Final = 0.011  # three thirds, written with two digits


def lint(
    rubric: Rubric,
    *,
    criteria: Sequence[str] = (),
    nodes: Collection[str] | None = None,
    prd_id: str = "",
) -> list[Finding]:
    """Return what is wrong, the fatal first.

    `criteria` are those of the PRD and `nodes` those of the pipeline, where these are known.
    """
    found = [
        *_thresholds(rubric),
        *_weights(rubric),
        *_twice(rubric),
        *_files(rubric),
        *(each for feature in rubric.features for each in _feature(feature)),
        *_covered(rubric, criteria),
        *_named(rubric, nodes),
        *_other_prd(rubric, prd_id),
    ]
    return sorted(found, key=lambda each: not each.fatal)


def _thresholds(rubric: Rubric) -> Iterator[Finding]:
    if not 0 <= rubric.investigate <= rubric.accept <= 1 or rubric.accept == 0:
        problem = (
            f"the thresholds are out of order: investigate {rubric.investigate:g}, "
            f"accept {rubric.accept:g}"
        )
        yield Finding(problem, rubric.where, "make 0 <= investigate <= accept <= 1")


def _weights(rubric: Rubric) -> Iterator[Finding]:
    bad = [each for each in rubric.features if not 0 < each.weight <= 1]
    for each in bad:
        problem = f"the feature {each.id} weighs {each.weight:g}"
        yield Finding(problem, each.where, "give it a weight above 0, and at most 1")
    total = math.fsum(each.weight for each in rubric.features)
    if not bad and abs(total - 1) > _TOLERANCE:
        fix = "change them so that their sum is 1"
        yield Finding(f"the weights sum to {total:.4g}", rubric.where, fix)


def _twice(rubric: Rubric) -> Iterator[Finding]:
    for each in _repeated(rubric.features, [each.id for each in rubric.features]):
        fix = "give each feature an id of its own"
        yield Finding(f"the id {each.id} stands twice", each.where, fix)
    named = [each for each in rubric.features if each.file]
    for each in _repeated(named, [each.file for each in named]):
        problem = f"{each.file} belongs to two features, and would count twice"
        yield Finding(problem, each.where, "give each feature a file of its own")


def _repeated(features: Iterable[Feature], keys: Sequence[str]) -> Iterator[Feature]:
    met: Counter[str] = Counter()
    for feature, key in zip(features, keys, strict=True):
        met[key] += 1
        if met[key] == 2:  # noqa: PLR2004 - said once, of the second
            yield feature


def _files(rubric: Rubric) -> Iterator[Finding]:
    for each in rubric.features:
        if not each.file:
            problem = f"no {SUFFIX} file belongs to the feature {each.id}"
            yield Finding(problem, each.where, f"write one, and name it: file: NAME{SUFFIX}")
        elif each.file not in rubric.files or not each.file.endswith(SUFFIX):
            problem = f"there is no file {each.file!r:.80} of scenarios beside the manifest"
            yield Finding(problem, each.where, "correct the name, or write the file")
    used = {each.file for each in rubric.features}
    for name in rubric.files:
        if name.endswith(SUFFIX) and name not in used:
            problem = f"{name} belongs to no feature, and would not be judged"
            yield Finding(problem, rubric.where, f"name it in {MANIFEST}, or remove it")


def _feature(feature: Feature) -> Iterator[Finding]:
    if feature.file and not feature.scenarios:
        fix = "write at least one, with When and Then"
        yield Finding(f"the feature {feature.id} has no scenario", feature.where, fix)
    for scenario in feature.scenarios:
        yield from _scenario(feature, scenario)
    if feature.scenarios and not feature.evidence:
        problem = f"the feature {feature.id} does not say what is evidence of it"
        fix = f"add to {feature.file}: # Evidence to Check, and a line for each file or result"
        yield Finding(problem, feature.where, fix)
    if feature.scenarios and not feature.guide:
        problem = f"the feature {feature.id} does not say how it is scored"
        fix = f"add to {feature.file}: # Scoring Guide, with lines such as #   1.0: all hold"
        yield Finding(problem, feature.where, fix, fatal=False)
    if feature.validation_method not in METHODS:
        problem = f"the feature {feature.id} has no validation_method that is known"
        yield Finding(problem, feature.where, f"choose of {', '.join(METHODS)}", fatal=False)
    names = [each.name for each in feature.scenarios]
    for name in sorted({each for each in names if names.count(each) > 1}):
        problem = f"two scenarios of the feature {feature.id} are called {name!r:.80}"
        yield Finding(problem, feature.where, "give each a name of its own", fatal=False)


def _scenario(feature: Feature, scenario: Scenario) -> Iterator[Finding]:
    called = f"the scenario {scenario.name!r:.80} of {feature.id}"
    if not scenario.outcomes:
        fix = "add a Then that says what can be seen when it holds"
        yield Finding(f"{called} has no Then: anything would do", scenario.where, fix)
    elif all(map(says_nothing, scenario.outcomes)):
        problem = f"{called} only says that all is well, and nothing that can be observed"
        fix = "say in its Then what is printed, returned, stored or refused"
        yield Finding(problem, scenario.where, fix)


def _covered(rubric: Rubric, criteria: Sequence[str]) -> Iterator[Finding]:
    declared = {each for feature in rubric.features for each in feature.criteria}
    if criteria and not declared:
        yield from _mentioned(rubric, criteria)
        return
    for each in criteria:
        if each not in declared:
            fix = f"add {each} to the criteria of the feature that covers it, or write one"
            yield Finding(f"no feature covers {each} of the PRD", rubric.where, fix)
    for feature in rubric.features if criteria else ():
        for each in feature.criteria:
            if each not in criteria:
                problem = f"the feature {feature.id} covers {each}, which the PRD does not have"
                yield Finding(problem, feature.where, f"the PRD has {', '.join(criteria)}")


def _mentioned(rubric: Rubric, criteria: Sequence[str]) -> Iterator[Finding]:
    """Say what is not known to be covered, where no feature lists its criteria."""
    mentioned = {each for feature in rubric.features for each in feature.mentioned}
    missing = [each for each in criteria if each not in mentioned]
    if missing:
        problem = f"no feature says that it covers {', '.join(missing)} of the PRD"
        fix = f"give each feature its criteria, for example criteria: [{missing[0]}]"
        yield Finding(problem, rubric.where, fix, fatal=False)


def _named(rubric: Rubric, nodes: Collection[str] | None) -> Iterator[Finding]:
    for feature in rubric.features if nodes is not None else ():
        for each in feature.nodes:
            if nodes is not None and each not in nodes:
                problem = f"the feature {feature.id} names {each!r:.80}, no node of the pipeline"
                yield Finding(problem, feature.where, "correct the id, or leave it out")


def _other_prd(rubric: Rubric, prd_id: str) -> Iterator[Finding]:
    if prd_id and rubric.prd_id != prd_id:
        problem = f"this rubric is of {rubric.prd_id!r:.80}, and the pipeline of {prd_id!r:.80}"
        yield Finding(problem, rubric.where, "correct prd_id, or name another rubric", fatal=False)
