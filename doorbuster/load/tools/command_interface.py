"""The interface of probe and cleanup to their commands: options as a JSON argument, results as JSON rows.

They run in a process of their own, because the HTTP client uses gevent: see `cli/subprocess_stream.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from doorbuster.errors import DoorbusterError, ExitCode
from doorbuster.load.target.driver_lookup import place_in_driver


def print_row(row: dict[str, Any]) -> None:
    """Print one row."""
    print(json.dumps(row), flush=True)  # noqa: T201  read by the command


def run_tool(tool: Callable[..., ExitCode]) -> int:
    """Call a tool with the options of the process; prints an error as a row. Returns the exit code.

    What a driver raises outside the tool's own checks, `sys.exit` included, is an exception in a script.
    """
    try:
        return int(tool(**json.loads(sys.argv[1])))
    except DoorbusterError as error:
        print_row({"kind": "error", "text": str(error)})
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BaseException as error:
        place = place_in_driver(error)
        if not place:
            raise
        print_row({"kind": "error", "text": f"the driver raised {type(error).__name__}: {error}{place}"})
        return int(ExitCode.SCRIPT_EXCEPTION)
