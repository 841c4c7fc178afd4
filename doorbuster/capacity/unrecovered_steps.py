"""Load steps run while the shop still suffers from an earlier overload.

A failure well below a rate that passed before is an after-effect of an overload: such steps show that the
shop did not recover, and are excluded from the capacity estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from doorbuster.capacity.load_step import LoadStep

NOT_RECOVERED_RATIO = 0.85  # of a rate that passed: the rate does not explain a failure below it
_CLEARLY_BROKEN = math.log(2.5)


def not_recovered_steps(history: Sequence[LoadStep]) -> list[bool]:
    """Which load steps were run while the shop still suffered from an earlier one.

    The sign is a clear failure although a rate well above passed before. After the last pass, only the first
    failure counts then, until a load step passes again.
    """
    found = [False] * len(history)
    for place, step in enumerate(history):
        held = [at for at in range(place) if history[at].status == "pass"]
        if not held or not _certainly_broken(step):
            continue
        highest = max(history[at].rate_per_s for at in held if not found[at])
        if step.rate_per_s > NOT_RECOVERED_RATIO * highest:
            continue
        failures = [at for at in range(held[-1] + 1, place + 1) if history[at].status == "fail"]
        for at in range(failures[0] + 1, place + 1):
            found[at] = True
    return found


def _certainly_broken(step: LoadStep) -> bool:
    return step.status == "fail" and (
        step.growing or any(estimate.low > _CLEARLY_BROKEN for estimate in step.estimates)
    )
