"""Runs a shell command that prints `name value` lines."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

from doorbuster.observe.name_values import parse_name_values
from doorbuster.observe.sample import SourceError, TargetSample

TIMEOUT_S = 5.0
MAX_CHARACTERS = 1_000_000


class CommandSource:
    """One command; its standard output is read, and its last error line says why it failed."""

    def __init__(self, *, run: str, **_: Any) -> None:
        self._run = run

    def read(self) -> Iterator[TargetSample]:
        try:
            done = subprocess.run(
                ["sh", "-c", self._run], capture_output=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise SourceError(f"the command took longer than {TIMEOUT_S:g} s") from None
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            said = f": {lines[-1]}" if lines else ""
            raise SourceError(f"the command ended with code {done.returncode}{said}")
        return parse_name_values(done.stdout.decode("utf-8", "replace")[:MAX_CHARACTERS])

    def close(self) -> None:
        """Nothing is held."""
