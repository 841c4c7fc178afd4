"""What a process that generates load changes about Python: garbage collection, greenlets' family trees.

- A full collection looks at every object of every customer: with 15,000 of them it stops the process for a
  tenth of a second, and every answer of that moment would look slow. Customers, clients and connections are
  therefore free of reference cycles once they have left, the collector looks at young objects only, at long
  intervals, and what exists before the first customer is never looked at again (`gc.freeze`).
- Every send and receive lets go of the interpreter. While the run file is written in a thread of its own,
  that thread then keeps it for up to 5 ms, a request at a time; so it is asked for it back much sooner.
- gevent notes for every greenlet who started it from where; nobody asks, and it is a sixth of a start.
"""

from __future__ import annotations

import gc
import sys

import gevent

# Objects made and not freed before the young ones, the middle ones and all are looked at: the first in
# objects, the others in collections of the one before. Python's own are 700 (or 2,000), 10, 10.
THRESHOLDS = (50_000, 20, 1_000)
SWITCH_INTERVAL_S = 0.000_2


def prepare_process() -> None:
    """Call it when everything is loaded and before the first customer; a second call does no harm."""
    gevent.config.track_greenlet_tree = False
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
