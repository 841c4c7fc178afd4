"""A process of ours that tells what it does, one JSON object a line: a probe's walk, a round of cleaning up.

Such work sends requests with the client of the customers, which patches the interpreter it runs in; so it
has an interpreter of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click


class SubprocessStream:
    """`python -m MODULE WORDS`; ends with the block it is used in."""

    def __init__(self, module: str, args: Sequence[str]) -> None:
        command = [sys.executable, "-m", module, *args]
        # A session of its own: Ctrl-C reaches us, and we end it.
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def __enter__(self) -> SubprocessStream:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()

    def rows(self) -> Iterator[dict[str, Any]]:
        """What it tells; errors of ours, and what a driver itself prints, go to stderr."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            row = _row(line)
            if row is None:
                click.echo(line.rstrip("\n"), err=True)
            elif row["kind"] == "error":
                click.echo(row["text"], err=True)
            else:
                yield row

    def exit_code(self) -> int:
        """Once it has said everything."""
        return self._process.wait()


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and "kind" in row else None
