"""What a command costs to start, against an empty isolated interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from graphs import pipeline_text
from measure import Row, paired


def rows() -> Iterator[Row]:
    """Yield the rows of this file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "small.dot")
        with open(path, "w", encoding="utf-8") as file:
            file.write(pipeline_text(10))
        yield paired(
            "attractor status, 10 nodes",
            lambda: _run("-m", "attractor", "status", path),
            "python -I -c pass",
            lambda: _run("-c", "pass"),
            budget="<= 6x",
            pairs=15,
        )


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-I", *arguments], check=True, stdout=subprocess.DEVNULL)
