"""Drawing what a customer does by chance: how long they think, how long they wait.

The laws, their parameters and their sources are in `doorbuster.scenario` (`Patience`, `Think`).
"""

from __future__ import annotations

import math
from random import Random

from doorbuster.scenario import Patience, Think


def draw_patience_s(patience: Patience | None, rng: Random) -> float | None:
    """Seconds this customer waits for this page; None when nothing makes them leave."""
    if patience is None:
        return None
    drawn_s = patience.tau_s * (-math.log(1.0 - rng.random())) ** (1.0 / patience.shape)
    return float(max(drawn_s, patience.at_least_s))


def draw_think_s(think: Think, rng: Random) -> float:
    """Seconds between an answer and the customer's next step, cut at the law's `max_s`."""
    match think.law:
        case "constant":
            drawn_s = think.constant_s
        case "uniform":
            drawn_s = rng.uniform(think.low_s, think.high_s)
        case "exponential":
            drawn_s = rng.expovariate(1.0 / think.mean_s)
        case "lognormal":
            drawn_s = rng.lognormvariate(math.log(think.median_s), think.sigma)
    return min(drawn_s, think.max_s)
