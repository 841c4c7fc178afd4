"""Random draws of a customer's behaviour: patience, think time, page depth, device.

The distributions, their parameters and their sources are in `doorbuster.scenario` (`Patience`, `Think`,
`PageDepth`, `Device`). Each becomes a function of the customer's own random numbers, made once per profile,
because every customer draws from it, often at every step.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from random import Random

from doorbuster.load.customers.model import Sampler, VisitSampler
from doorbuster.scenario import DEFAULT_PAGES, Channel, PageDepth, Patience, Think, WaitingRoom, devices_given
from doorbuster.storefronts import Visit


def patience_sampler(patience: Patience | None) -> Sampler:
    """Seconds a customer waits for one page; infinite without a patience setting."""
    if patience is None:
        return lambda _: math.inf
    tau_s, power, min_s = patience.tau_s, 1.0 / patience.shape, patience.min_s

    def draw_s(rng: Random) -> float:
        drawn_s = tau_s * math.pow(-math.log(1.0 - rng.random()), power)
        return drawn_s if drawn_s > min_s else min_s

    return draw_s


def think_sampler(think: Think) -> Sampler:
    """Seconds between an answer and the customer's next step, `max_s` at most."""
    max_s = think.max_s
    match think.distribution:
        case "constant":
            constant_s = min(think.constant_s, max_s)
            return lambda _: constant_s
        case "uniform":
            low_s, width_s = think.low_s, think.high_s - think.low_s
            return lambda rng: min(low_s + width_s * rng.random(), max_s)
        case "exponential":
            rate_per_s = 1.0 / think.mean_s
            return lambda rng: min(rng.expovariate(rate_per_s), max_s)
        case "lognormal":
            mu, sigma = math.log(think.median_s), think.sigma
            return lambda rng: min(rng.lognormvariate(mu, sigma), max_s)


def pages_sampler(pages: PageDepth | None) -> Callable[[Random], int]:
    """Product pages of one visit; `PageDepth` says how a draw becomes a whole number."""
    if pages is None:
        return lambda _: DEFAULT_PAGES
    max_pages = pages.max_pages
    if not pages.sigma:
        return lambda _: max_pages
    mu, sigma = math.log(pages.median), pages.sigma
    return lambda rng: min(max(round(rng.lognormvariate(mu, sigma)), 1), max_pages)


def room_sampler(room: WaitingRoom) -> Sampler:
    """Seconds a customer stays in a waiting room."""
    patience = room.patience
    return patience_sampler(patience) if isinstance(patience, Patience) else lambda _: patience


def visit_sampler(channel: Channel, *, wants_order: bool, run_id: str) -> VisitSampler:
    """The device given the journey, whether the visit bypasses caches, whether the customer signs in.

    A customer's name has the run and the arrival, so that two runs never share an account.
    """
    cache_busting, signed_in = channel.cache_busting_ratio, channel.signed_in_ratio
    given = devices_given(channel.devices, channel.orders_ratio, wants_order=wants_order)
    devices, bounds = tuple(given), tuple(accumulate(given.values()))[:-1]
    if not (devices or cache_busting or signed_in):
        return lambda name, _: Visit(f"{run_id}-{name}")

    def draw(name: str, rng: Random) -> Visit:
        customer = f"{run_id}-{name}"
        return Visit(
            customer,
            devices[bisect(bounds, rng.random())] if devices else "",
            customer if cache_busting and rng.random() < cache_busting else "",
            bool(signed_in) and rng.random() < signed_in,
        )

    return draw
