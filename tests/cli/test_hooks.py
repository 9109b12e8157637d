from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_the_settings_for_one_session_hold_the_hook_and_the_cap(
    words: list[str], cli: Callable[..., Any]
) -> None:
    made = cli("hooks", "settings", *words).json()
    assert set(made) == {"env", "hooks"}
    assert made["env"] == {"CLAUDE_CODE_STOP_HOOK_BLOCK_CAP": "100"}
    assert set(made["hooks"]) == {"Stop", "SessionStart"}
    for [group] in made["hooks"].values():
        [handler] = group["hooks"]
        assert handler["command"] == sys.executable
        assert handler["args"][:2] == ["-I", "-S"]
        assert os.path.isfile(handler["args"][2])
