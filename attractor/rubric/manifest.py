"""A rubric from the bytes of its files: `manifest.yaml` and the `.feature` files beside it.

Read tolerantly, since others write rubrics too: unknown keys are passed by, `name` is as good as
`title`, one word as good as a list of one, and a feature without `file` gets the file that its
id or title is found in. What cannot be read at all (no YAML, no features, no Gherkin) is an
InputError with its line. That it makes sense is not checked here, but by `lint`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from attractor.errors import InputError
from attractor.pipeline import facts
from attractor.rubric import feature_file, seal
from attractor.rubric.feature_file import FeatureFile
from attractor.rubric.model import ACCEPT, INVESTIGATE, Feature, Rubric, criteria_in
from attractor.yaml_source import Location, YamlSource

MANIFEST: Final = facts.MANIFEST
SUFFIX: Final = ".feature"
_MOST_FEATURES: Final = 200


def load(folder: str) -> Rubric:
    """Return the rubric in this folder."""
    return parse(seal.read(folder), folder)


def parse(files: Mapping[str, bytes], folder: str) -> Rubric:
    """Return the rubric that these files are; mistakes are said to be in `folder`."""
    if MANIFEST not in files:
        fix = f"write a {MANIFEST}, or have one written: attractor rubric write PIPELINE"
        raise InputError(f"there is no {MANIFEST} here", where=folder, fix=fix)
    where = os.path.join(folder, MANIFEST)
    reading = _Reading(YamlSource(_text(files[MANIFEST], where), where))
    parsed = {
        name: feature_file.parse(_text(data, path := os.path.join(folder, name)), path)
        for name, data in files.items()
        if name.endswith(SUFFIX)
    }
    said = reading.mapping()
    listed = reading.features(said)
    found = _assigned(listed, parsed)
    thresholds = said.get("thresholds") or {}
    return Rubric(
        folder=folder,
        prd_id=_word(said.get("prd_id")) or os.path.basename(folder.rstrip(os.sep)),
        title=_word(said.get("title") or said.get("name")),
        accept=reading.number(thresholds, "accept", ("thresholds",), ACCEPT),
        investigate=reading.number(thresholds, "investigate", ("thresholds",), INVESTIGATE),
        features=tuple(
            reading.feature(at, each, found[at], parsed) for at, each in enumerate(listed)
        ),
        files=tuple(sorted(files)),
        written_by=_word(said.get("guardian_session")),
        where=reading.source.where(("features",), key=True),
    )


@final
class _Reading:
    """The values of one manifest, and where they are."""

    def __init__(self, source: YamlSource) -> None:
        self.source = source

    def mapping(self) -> Mapping[str, Any]:
        """Return the whole."""
        said = self.source.value()
        if not isinstance(said, dict):
            raise self._error("this is no manifest", (), "write prd_id, thresholds and features")
        if not isinstance(said.get("thresholds") or {}, dict):
            fix = "write accept: 0.60 and investigate: 0.40 below it"
            raise self._error("thresholds has no keys", ("thresholds",), fix)
        return said

    def features(self, said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the features as they are written."""
        listed = said.get("features")
        if not isinstance(listed, list) or not listed or len(listed) > _MOST_FEATURES:
            fix = f"list 1 to {_MOST_FEATURES} features, each with id, title, weight and file"
            raise self._error("there is no list of features", ("features",), fix)
        for at, each in enumerate(listed):
            if not isinstance(each, dict) or not _word(each.get("id")):
                fix = f"write id: F{at + 1}, a title and a weight"
                raise self._error("this feature has no id", ("features", at), fix)
        return listed

    def feature(
        self, at: int, said: Mapping[str, Any], name: str, parsed: Mapping[str, FeatureFile]
    ) -> Feature:
        """Return one feature, with what its file says."""
        place: Location = ("features", at)
        file = parsed.get(name, FeatureFile(""))
        title = _word(said.get("title") or said.get("name"))
        texts = [each.text for each in file.scenarios]
        return Feature(
            id=_word(said["id"]),
            title=title or file.title,
            weight=self.number(said, "weight", place),
            criteria=criteria_in(*self._words(said, "criteria", place)),
            nodes=self._words(said, "nodes", place),
            validation_method=_word(said.get("validation_method")),
            file=name,
            scenarios=file.scenarios,
            guide=file.guide,
            evidence=file.evidence,
            red_flags=file.red_flags,
            where=self.source.where(place),
            mentioned=criteria_in(title, _word(said.get("rationale")), *texts, *file.evidence),
        )

    def number(
        self, said: Mapping[str, Any], key: str, above: Location, default: float = 0.0
    ) -> float:
        """Return a number; one that is none is an InputError."""
        value = said.get(key)
        if value is None:
            return default
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            fix = "write a number from 0 to 1, such as 0.25"
            raise self._error(f"{key} is not a number", (*above, key), fix)
        return number

    def _words(self, said: Mapping[str, Any], key: str, above: Location) -> tuple[str, ...]:
        value = said.get(key)
        words = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(each, str | int) for each in words):
            fix = f"write for example {key}: [AC-1]" if key == "criteria" else "write their ids"
            raise self._error(f"{key} is not a list of words", (*above, key), fix)
        return tuple(dict.fromkeys(_word(each) for each in words if _word(each)))

    def _error(self, problem: str, location: Location, fix: str) -> InputError:
        return InputError(problem, where=self.source.where(location), fix=fix)


def _assigned(listed: Sequence[Mapping[str, Any]], parsed: Mapping[str, FeatureFile]) -> list[str]:
    """Return the file of each feature: the one that it names, or one that nobody else names."""
    found = [_word(each.get("file")) for each in listed]
    free = [name for name in sorted(parsed) if name not in found]
    for fits in (_begins_with_id, _has_its_title):
        for at, each in enumerate(listed):
            if not found[at]:
                found[at] = next((name for name in free if fits(each, name, parsed[name])), "")
                free = [name for name in free if name != found[at]]
    if found.count("") == len(free) == 1:
        found[found.index("")] = free[0]
    return found


def _begins_with_id(said: Mapping[str, Any], name: str, file: FeatureFile) -> bool:
    begins = re.compile(rf"{re.escape(_word(said['id']))}(?![A-Za-z0-9])", re.IGNORECASE)
    return any(begins.match(each) for each in (os.path.basename(name), file.title))


def _has_its_title(said: Mapping[str, Any], name: str, file: FeatureFile) -> bool:
    title = _plain(_word(said.get("title") or said.get("name")))
    return bool(title) and title in {_plain(file.title), _plain(name.removesuffix(SUFFIX))}


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower().replace("_", " ")))


def _word(value: object) -> str:
    """Return a value as one line of text; empty for what is none."""
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""


def _text(data: bytes, where: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"byte {error.start + 1} is not UTF-8"
        raise InputError(problem, where=where, fix="save the file as UTF-8") from None
    if "\0" in text:
        raise InputError("there is a null character in it", where=where, fix="remove it")
    return text
