"""Settings of the Python process that generates load: garbage collection, switch interval, greenlet tracking.

- A full collection visits every object of every customer: with 15,000 customers it stops the process for a
  tenth of a second, which would appear as slow responses. Customers, clients and connections are therefore
  free of reference cycles once they have left; the collector visits young objects only, at long intervals,
  and never the objects that existed before the first customer (`gc.freeze`).
- Every send and receive releases the interpreter lock. The thread that writes the run file would then hold it
  for up to 5 ms per request; the switch interval shortens this.
- gevent records for every greenlet what started it and where; it is not needed and a sixth of a start.
"""

from __future__ import annotations

import gc
import sys

import gevent

# Collection thresholds of the three generations, see `gc.set_threshold`; Python's are 700 (or 2,000), 10, 10.
THRESHOLDS = (50_000, 20, 1_000)
SWITCH_INTERVAL_S = 0.000_2


def prepare_process() -> None:
    """Apply the settings; call it after all imports and before the first customer. May be called again."""
    gevent.config.track_greenlet_tree = False
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
