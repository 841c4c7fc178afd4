"""Drawing what a customer does by chance: how long they think, how long they wait.

The laws, their parameters and their sources are in `doorbuster.scenario` (`Patience`, `Think`). Here each is
turned once into a function of the customer's own random numbers, because every step draws from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from doorbuster.scenario import Patience, Think

Law = Callable[[Random], float]  # seconds, drawn with these random numbers


def patience_law(patience: Patience | None) -> Law:
    """Seconds a customer waits for one page; infinite when nothing makes them leave."""
    if patience is None:
        return lambda _: math.inf
    tau_s, power, least_s, log = patience.tau_s, 1.0 / patience.shape, patience.at_least_s, math.log

    def draw_s(rng: Random) -> float:
        drawn_s: float = tau_s * (-log(1.0 - rng.random())) ** power
        return drawn_s if drawn_s > least_s else least_s

    return draw_s


def think_law(think: Think) -> Law:
    """Seconds between an answer and the customer's next step, cut at the law's `max_s`."""
    max_s = think.max_s
    match think.law:
        case "constant":
            constant_s = min(think.constant_s, max_s)
            return lambda _: constant_s
        case "uniform":
            low_s, high_s = think.low_s, think.high_s
            return lambda rng: min(rng.uniform(low_s, high_s), max_s)
        case "exponential":
            rate_per_s = 1.0 / think.mean_s
            return lambda rng: min(rng.expovariate(rate_per_s), max_s)
        case "lognormal":
            mu, sigma = math.log(think.median_s), think.sigma
            return lambda rng: min(rng.lognormvariate(mu, sigma), max_s)
