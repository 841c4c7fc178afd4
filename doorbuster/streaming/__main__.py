"""The process that streams a run: `python -m doorbuster.streaming`, started by `StreamProcess`.

The first line of standard input is a JSON object: folder, destinations, every_s. Standard output has one JSON
object when all receivers are open (`{"open": true}`, or `{"error": text}`), and one with the tallies at the
end. The process ends with the run, or soon after its standard input is closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

from doorbuster.errors import UsageError
from doorbuster.streaming.destination import parse_destinations
from doorbuster.streaming.stream import RunStream

NICENESS = 5  # the load generator comes first


def _report(message: object) -> None:
    with contextlib.suppress(OSError):  # the command has ended
        sys.stdout.write(f"{json.dumps(message)}\n")
        sys.stdout.flush()


def main() -> None:
    """Stream one run."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the command decides when the stream ends
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    task = json.loads(sys.stdin.readline())
    try:
        destinations = parse_destinations(task["destinations"])
        stream = RunStream(Path(task["folder"]), destinations, every_s=task["every_s"])
        stream.open()
    except UsageError as error:
        _report({"error": str(error)})
        return
    _report({"open": True})
    cancelled = threading.Event()

    def wait_for_command() -> None:
        sys.stdin.read()
        cancelled.set()

    threading.Thread(target=wait_for_command, daemon=True).start()
    tallies = stream.follow(is_cancelled=cancelled.is_set)
    _report({"tallies": [tally.to_json() for tally in tallies]})


if __name__ == "__main__":
    main()
