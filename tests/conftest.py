"""What tests of more than one part share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def doorbuster() -> Callable[..., subprocess.CompletedProcess]:
    """Runs the command line in a process of its own, as a user does."""

    def call(*words: object, cwd: Path = ROOT, timeout_s: float = 120) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "doorbuster", *map(str, words)],
            cwd=cwd, capture_output=True, text=True, timeout=timeout_s,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
        )  # fmt: skip

    return call
