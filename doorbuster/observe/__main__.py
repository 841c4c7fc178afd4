"""`python -m doorbuster.observe`: observes the target of a run until standard input ends.

It reads its plan as one line of JSON from standard input and writes one line of JSON a second: the values and
events since the last one.
"""

from __future__ import annotations

import json
import signal
import sys
import threading

from doorbuster.observe.collector import Collector
from doorbuster.observe.plan import ObservationPlan
from doorbuster.observe.sources.registry import open_source

INTERVAL_S = 1.0
LAST_READING_LIMIT_S = 2.5


def main() -> int:
    """Run until standard input ends; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the run, which then ends this process
    collector = Collector(ObservationPlan.from_json(sys.stdin.readline()), open_source)
    over = threading.Event()
    threading.Thread(target=_watch_input, args=(over,), daemon=True).start()
    collector.start()
    while not over.wait(INTERVAL_S):
        _write(collector)
    collector.stop(LAST_READING_LIMIT_S)
    _write(collector)
    return 0


def _watch_input(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def _write(collector: Collector) -> None:
    rows, events = collector.take()
    if rows or events:
        sys.stdout.write(json.dumps({"rows": rows, "events": events}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
