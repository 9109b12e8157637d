"""SHA-256 without OpenSSL.

`hashlib` loads OpenSSL with its first import, 3.5 MB that a process keeps for as long as it lives;
Python has the same function built in. For short texts, where OpenSSL would not be faster.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import sha256
else:

    def _found() -> object:
        for name in ("_sha2", "_sha256", "hashlib"):  # 3.12 and later, 3.11, others
            try:
                return importlib.import_module(name).sha256
            except (ImportError, AttributeError):
                continue
        raise ImportError("this Python has no SHA-256")

    sha256 = _found()

__all__ = ["sha256"]
