"""A subprocess that reports its progress as one JSON object per line.

Probe and cleanup use the HTTP client of the load generator, which patches the interpreter, so they run in a
process of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from doorbuster.errors import ExitCode
from doorbuster.output import say, say_lines


class SubprocessStream:
    """`python -m MODULE OPTIONS`, with the options as JSON; ends with its `with` block."""

    def __init__(self, module: str, **options: str | bool | list[str]) -> None:
        command = [sys.executable, "-m", module, json.dumps(options)]
        # Own session: Ctrl-C reaches only the parent, which then ends the child.
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def __enter__(self) -> SubprocessStream:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()

    def rows(self) -> Iterator[dict[str, Any]]:
        """The JSON rows; error rows and anything else the process prints go to stderr."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            row = _row(line)
            if row is None:
                say(line.rstrip("\n"), error=True)
            elif row["kind"] == "error":
                say_lines(row["text"], error=True)
            else:
                yield row

    def exit_code(self) -> int:
        """Wait for the end of the process; 1 if it was killed."""
        code = self._process.wait()
        return code if code >= 0 else int(ExitCode.BUG)


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and "kind" in row else None
