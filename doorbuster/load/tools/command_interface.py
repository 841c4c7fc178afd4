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
from doorbuster.output import named_exception
from doorbuster.output.secret_masking import mask_values
from doorbuster.output.streams import CleanStream


def print_row(row: dict[str, Any]) -> None:
    """Print one row, without the secrets that this process knows.

    The command cleans the texts. A locustfile's `install` protects this process's streams, which would take
    names in the JSON, such as that of the step reset_password, for those of secrets.
    """
    stream = sys.stdout.styled if isinstance(sys.stdout, CleanStream) else sys.stdout
    stream.write(f"{mask_values(json.dumps(row))}\n")
    stream.flush()


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
        print_row({"kind": "error", "text": f"the driver raised {named_exception(error)}{place}"})
        return int(ExitCode.SCRIPT_EXCEPTION)
