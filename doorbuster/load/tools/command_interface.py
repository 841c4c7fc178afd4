"""The interface of probe and cleanup to their commands: options as a JSON argument, results as JSON rows.

They run in a process of their own, because the HTTP client uses gevent: see `cli/subprocess_stream.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from doorbuster.errors import DoorbusterError, ExitCode


def print_row(row: dict[str, Any]) -> None:
    """Print one row."""
    print(json.dumps(row), flush=True)  # noqa: T201  read by the command


def run_tool(tool: Callable[..., ExitCode]) -> int:
    """Call a tool with the options of the process; prints an error as a row. Returns the exit code."""
    try:
        return int(tool(**json.loads(sys.argv[1])))
    except DoorbusterError as error:
        print_row({"kind": "error", "text": str(error)})
        return int(error.exit_code)
