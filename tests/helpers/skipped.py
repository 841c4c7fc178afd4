"""Prints one line about the tests that `make test` skipped and how to enable them: skipped.py FILE.

Each line of FILE is the reason of one skipped test; `tests/conftest.py` writes them.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path


def summary(reasons: list[str]) -> str:
    """The last line of `make test`."""
    if not reasons:
        return "skipped: no tests"
    counts = Counter(reasons)
    return f"skipped: {len(reasons)} tests; " + "; ".join(f"{n}x {reason}" for reason, n in counts.items())


if __name__ == "__main__":
    print(summary(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()))
