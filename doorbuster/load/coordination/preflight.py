"""Checks before a run whether the generator's machine allows what the scenario needs."""

from __future__ import annotations

import math
from collections.abc import Mapping

import gevent

from doorbuster.errors import UsageError
from doorbuster.load.http.generator_limits import RESERVED_DESCRIPTORS
from doorbuster.scenario import Scenario, estimate
from doorbuster.units import format_count

OWN_DESCRIPTORS = 64  # of a process without customers: logs, channels, event loop, libraries


def check_descriptors(scenario: Scenario, limits: Mapping[str, int]) -> None:
    """Each customer keeps one connection at least; all must fit into the descriptors of the workers.

    limits: by worker.

    Raises: UsageError if they do not, at the concurrency of a shop that answers fast.
    """
    customers = min(estimate(scenario).peak_in_shop, float(scenario.safety.max_in_flight))
    reserved = OWN_DESCRIPTORS + RESERVED_DESCRIPTORS
    needed = math.ceil(customers / max(len(limits), 1)) + reserved
    name, least = min(limits.items(), key=lambda item: item[1], default=("", needed))
    if needed <= least:
        return
    way_out = f"raise the limit (ulimit -n {needed})"
    if least > reserved:
        way_out += f", or use {math.ceil(customers / (least - reserved))} workers"
    raise UsageError(
        f"about {format_count(math.ceil(customers))} customers are in the shop at once: worker {name} needs "
        f"{format_count(needed)} file descriptors, has {format_count(least)}; {way_out}"
    )


def check_shares(limit_per_s: float | None, workers: int) -> None:
    """Each worker gets whole requests per second of the ceiling `safety.max_rate`.

    Raises: UsageError if there are more workers than requests.
    """
    if limit_per_s is not None and workers > max(limit_per_s, 1):
        raise UsageError(
            f"safety.max_rate is {limit_per_s:g} requests/s, which {workers} workers cannot share; use "
            f"{max(math.floor(limit_per_s), 1)} workers at most"
        )


def check_threads() -> None:
    """The run file is written and names are looked up in threads.

    Raises: UsageError if none can be started.
    """
    try:
        gevent.get_hub().threadpool.apply(int)
    except RuntimeError as error:
        raise UsageError(
            f"the load generator cannot start a thread ({error}); raise the limit (ulimit -u)"
        ) from error
