"""What PROTOCOL.md says is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from signals import kinds
from signals.names import SIGNAL_TYPES

PAGE = Path(kinds.__file__).with_name("PROTOCOL.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
KEYS = re.findall(r"^([A-Z_]+): .*? Keys: (.*)\.$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_signal(example: str) -> None:
    signal = kinds.parse(example.encode())
    assert signal.schema_version == int("schema_version" in example)


def test_every_type_has_an_example_and_a_list_of_its_keys() -> None:
    assert {json.loads(example)["signal_type"] for example in EXAMPLES} == SIGNAL_TYPES
    assert sorted(name for name, _ in KEYS) == sorted(SIGNAL_TYPES)


@pytest.mark.parametrize(("signal_type", "keys"), KEYS)
def test_the_keys_of_a_type_are_those_of_its_model(signal_type: str, keys: str) -> None:
    fields = kinds.PAYLOADS[signal_type].model_fields
    listed = [key.split(" ")[0] for key in keys.split(", ")]
    assert sorted(key.strip("*") for key in listed) == sorted(fields)
    required = {key.strip("*") for key in listed if key.startswith("**")}
    assert required == {name for name, field in fields.items() if field.is_required()}


def test_an_example_shows_every_key_of_its_type() -> None:
    shown = {}
    for example in map(json.loads, EXAMPLES):
        shown.setdefault(example["signal_type"], set()).update(example["payload"])
    assert shown == {name: set(kind.model_fields) for name, kind in kinds.PAYLOADS.items()}
