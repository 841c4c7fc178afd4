"""`python -m doorbuster.live.stream FOLDER`: snapshots of a run as lines of JSON, until it ends.

For a process that must not compute them itself, because it generates load.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from doorbuster.live.monitor import RunMonitor
from doorbuster.live.snapshot import Snapshot

EVERY_S = 1.0
MAX_CPU_RATIO = 0.05  # of one core
NICENESS = 10  # the load generator goes first


def main(folder: Path) -> None:
    """Write a snapshot a second until the run has ended or the reader is gone."""
    os.nice(NICENESS)
    parent, monitor = os.getppid(), RunMonitor(folder)
    while os.getppid() == parent:
        began_s = time.process_time()
        state = monitor.look()
        if state is not None:
            state = monitor.judged(state) if state.has_ended else state
            try:
                sys.stdout.write(Snapshot(state.title, step="running", run=state).to_json() + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                return
            if state.has_ended:
                return
        time.sleep(max(EVERY_S, (time.process_time() - began_s) / MAX_CPU_RATIO))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
