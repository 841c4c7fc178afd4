"""Builds real run files of a small simulated peak: consistent in every column, the same for the same seed.

Customers arrive by a Poisson plan, take the steps of their journey one after the other and leave when an
answer takes longer than their patience. While the shop is `broken` its answers are slow and the checkout
refuses some. Every request, customer, order and ledger line of the file follows from that simulation.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    ConnectTimeSecond,
    CounterSecond,
    CustomerCount,
    Event,
    Exemplar,
    HealthSecond,
    OrderAttempt,
    RequestSecond,
    SeriesKey,
    ServerTimingSecond,
    SubsequentRequestsSecond,
    ThinkTimeSecond,
    VisitDurationSecond,
)  # fmt: skip
from doorbuster.records.histogram import pack
from doorbuster.records.ledger import Ledger, LedgerLine, LedgerOrder, LedgerStock
from doorbuster.records.metadata import RunMeta
from doorbuster.records.writer import RunWriter

SCENARIO = """\
title: "A sale, simulated"
story: A small peak for tests.
target: {storefront: reference, shop: {profile: in-house-2004}}
demand:
  peak: 10 customers/s
  curve: {stages: [{for: 90s, at: 100%}]}
channels:
  web: {share: 70%, journeys: {browse: 50, buy: 50}, patience: desktop}
  store: {share: 30%, journeys: {pos_sale: 1}, patience: none}
thresholds:
  can_browse: ["rate>=99%"]
  can_order: ["rate>=99%"]
  http_req_duration: ["p(95)<1s"]
  "http_req_duration{step:checkout}": ["p(95)<3s", {threshold: "p(99)<2s", severity: warn}]
  orders_missing: ["count==0"]
  oversold_units: ["count==0"]
"""
STEPS = {
    "browse": ("home", "category", "product"),
    "buy": ("home", "product", "checkout"),
    "pos_sale": ("pos_sale",),
}


@dataclass(frozen=True)
class Peak:
    """What the simulated peak is like; times in s."""

    duration_s: int = 60
    rate_per_s: float = 10.0
    seed: int = 1
    broken: tuple[int, int] | None = (25, 45)
    web: str = "web"
    checkout: str = "checkout"
    cause: str = "status_503"
    lateness_ms: float = 1.0
    cpu_ratio: float = 0.3
    dropped: int = 0
    dropped_cause: str = "in_flight_ceiling"
    missing: int = 0
    lost: int = 0
    oversold: int = 0
    ledger: bool = True
    final: bool = True
    status: str = "finished"
    reason: str = ""
    events: tuple[Event, ...] = ()
    ghosts: int = 0  # customers counted in the shop who never came
    think_s: float = 4.0  # median of the lognormal think times that are noted
    counters: tuple[CounterSecond, ...] = ()
    notes: bool = True  # connecting and Server-Timing are noted
    meta: dict = field(default_factory=dict)

    def but(self, **changes) -> Peak:
        return replace(self, **changes)


class Recorder:
    """Collects what one worker would report."""

    def __init__(self) -> None:
        self.times = defaultdict(lambda: ([], [], []))
        self.customers = Counter()
        self.started = Counter()
        self.dropped = Counter()
        self.orders: list[OrderAttempt] = []
        self.visits: list[tuple[float, float, str]] = []

    def request(self, at_s: float, key: SeriesKey, response_s: float, late_s: float) -> None:
        response, service, first_byte = self.times[int(at_s), key]
        response.append(round(response_s * 1e6))
        service.append(round((response_s - late_s) * 1e6))
        first_byte.append(round((response_s - late_s) * 0.8e6))

    def asides(self, peak: Peak) -> dict[str, tuple]:
        """Notes beside the requests, drawn with random numbers of their own."""
        rng = np.random.default_rng([peak.seed, 2])
        stays = defaultdict(list)
        for at_s, left_s, channel in self.visits:
            stays[int(at_s), channel].append(round((left_s - at_s) * 1e6))
        thinks = rng.lognormal(math.log(peak.think_s * 1e6), 1.17, 400).clip(max=70e6).astype(np.int64)
        connects, later, timings = [], [], []
        for (second, key), times in sorted(self.times.items()) if peak.notes else ():
            first_byte_us = np.array(times[2])
            if key.step in ("home", "pos_sale"):
                took_us = np.minimum(2000, first_byte_us)
                connects.append(
                    ConnectTimeSecond(
                        second, key, took_us.size, int(took_us.sum()), int(took_us.max()), pack(took_us)
                    )
                )
            if key.step == "product" and key.outcome == "ok":  # half of what follows the first byte
                after_us = (np.array(times[1]) - np.array(times[2])) // 2
                sum_us = int(after_us.sum())
                n = after_us.size
                later.append(
                    SubsequentRequestsSecond(second, key, n, n, 0, sum_us // 2, sum_us // 2, pack(after_us))
                )
            if key.outcome != "ok":
                continue
            n, read_us = len(times[0]), float(first_byte_us[0])
            db, queue = pack([round(read_us / 2)]), pack([round(read_us / 4)])
            timings += [
                ServerTimingSecond(second, key, "db", "", 1, n, n * read_us / 2, db),
                ServerTimingSecond(second, key, "queue", "", 1, n, n * read_us / 4, queue),
                ServerTimingSecond(second, key, "cache", "HIT" if second % 4 else "MISS", 1, n, 0.0),
            ]
        return {
            "visit_durations": tuple(VisitDurationSecond(*at, pack(us)) for at, us in sorted(stays.items())),
            "think_times": (ThinkTimeSecond(0, peak.web, pack(thinks)),),
            "connect_times": tuple(connects),
            "subsequent_requests": tuple(later),
            "server_timings": tuple(timings),
            "counters": peak.counters,
        }

    def in_flight(self, second: int) -> int:
        """Customers in the shop at the end of a second."""
        return sum(at_s <= second + 1 < left_s for at_s, left_s, _ in self.visits)

    def rows(self) -> tuple[RequestSecond, ...]:
        return tuple(
            RequestSecond(
                second, key, len(times[0]), 500 * len(times[0]), 20_000 * len(times[0]), *map(pack, times)
            )
            for (second, key), times in sorted(self.times.items())
        )


def build(folder: Path, peak: Peak) -> Path:
    """Write the run file of a peak into a folder and return the folder."""
    rng = np.random.default_rng(peak.seed)
    seen = Recorder()
    planned = {peak.web: np.zeros(peak.duration_s, np.int64), "store": np.zeros(peak.duration_s, np.int64)}
    arrivals = np.sort(rng.uniform(0, peak.duration_s, rng.poisson(peak.rate_per_s * peak.duration_s)))
    for number, at_s in enumerate(arrivals.tolist()):
        channel = peak.web if rng.random() < 0.7 else "store"
        planned[channel][int(at_s)] += 1
        if number < peak.dropped:
            seen.dropped[int(at_s), channel] += 1
            seen.customers[int(at_s), channel, "browse", "dropped", "", peak.dropped_cause, None, None] += 1
            continue
        seen.started[int(at_s), channel] += 1
        if number >= len(arrivals) - peak.missing:
            continue
        journey = "pos_sale" if channel == "store" else ("buy" if rng.random() < 0.5 else "browse")
        _visit(seen, peak, rng, at_s, channel, journey, number)
    _write(folder, peak, seen, planned, rng)
    return folder


def _visit(seen, peak, rng, at_s, channel, journey, number) -> None:
    second, wants = int(at_s), journey != "browse"
    patience = rng.weibull(1.5) * 4.7 if channel == peak.web else np.inf
    now, left_at, cause, pages = at_s, "", "", 0
    for step in STEPS[journey]:
        step = peak.checkout if step == "checkout" else step
        slow = peak.broken is not None and peak.broken[0] <= at_s < peak.broken[1]
        takes = rng.gamma(2.0, 1.2 if slow and step == peak.checkout else (0.5 if slow else 0.03))
        refused = slow and step == peak.checkout and rng.random() < 0.3
        outcome = "failed" if refused else ("abandoned" if takes > patience else "ok")
        cause = peak.cause if refused else ("patience" if outcome == "abandoned" else "")
        spent = 0.02 if refused else min(takes, patience)
        seen.request(
            now,
            SeriesKey(channel, journey, step, outcome, cause),
            spent + peak.lateness_ms / 1e3,
            peak.lateness_ms / 1e3,
        )
        now += spent
        if outcome != "ok":
            left_at = step
            break
        pages += 1
    seen.visits.append((at_s, now, channel))
    outcome = "served" if not left_at else ("turned_away" if cause == peak.cause else "abandoned")
    browse = None if channel == "store" else int(pages >= 2)
    seen.customers[
        second, channel, journey, outcome, left_at, cause, browse, int(not left_at) if wants else None
    ] += 1
    if wants and left_at in ("", peak.checkout, "pos_sale"):
        acknowledged = not left_at
        quantity, price = int(rng.integers(1, 4)), int(rng.integers(800, 6000))
        line = (f"sku-{number % 20:02d}", quantity, price)
        seen.orders.append(
            OrderAttempt(
                f"r1:{number:06d}", channel, journey, at_s, now,
                "acknowledged" if acknowledged else "refused", cause,
                f"M{number:06d}" if acknowledged else "", quantity * price, (line,),
            )
        )  # fmt: skip


def _write(folder, peak, seen, planned, rng) -> None:
    meta = RunMeta(
        run_id="r1", title="A sale, simulated", scenario_name="sale", scenario_text=SCENARIO,
        storefront="reference",
        target_url="http://127.0.0.1:8080", shop_profile="in-house-2004", seed=peak.seed, workers=1,
        started_at_unix_ns=1_101_990_300_000_000_000, duration_s=float(peak.duration_s),
        versions={"doorbuster": "0.1.0", "locust": "2.47.0"}, machine={"cores": 2, "system": "Linux"},
    ).changed(**peak.meta)  # fmt: skip
    late = [round(peak.lateness_ms * 1e3)] * 10
    health = tuple(
        HealthSecond(
            second,
            peak.cpu_ratio,
            3.0,
            seen.in_flight(second) + peak.ghosts,
            4,
            0,
            90_000_000,
            pack(late),
            2.5,
        )
        for second in range(max([peak.duration_s, *(math.ceil(left_s) for _, left_s, _ in seen.visits)]))
    )
    slowest = Exemplar("slow", 1, SeriesKey(peak.web, "buy", peak.checkout, "ok", ""), 2_000_000, "req-1", "")
    batch = Batch(
        "w0", 0, final=peak.final, requests=seen.rows(),
        customers=tuple(CustomerCount(*key, n) for key, n in sorted(seen.customers.items(), key=str)),
        arrivals=tuple(
            ArrivalCount(*key, seen.started[key], seen.dropped[key])
            for key in sorted({*seen.started, *seen.dropped})
        ),
        orders=tuple(seen.orders), exemplars=(slowest,), health=health, events=peak.events,
        **seen.asides(peak),
    )  # fmt: skip
    with RunWriter.create(folder, meta, planned) as writer:
        writer.write([batch])
        if peak.ledger:
            writer.write_ledger(_ledger(peak, seen.orders, rng))
        writer.finish(peak.status, peak.reason)


def _ledger(peak, orders, rng) -> Ledger:
    acknowledged = [order for order in orders if order.answer == "acknowledged"][peak.lost :]
    booked, sold = [], Counter()
    picked_at = 0.0
    for order in acknowledged:
        picked_at = max(picked_at, order.answered_s) + rng.exponential(0.18)
        lines = tuple(LedgerLine(*line) for line in order.lines)
        for line in lines:
            sold[line.sku] += line.quantity
        booked.append(
            LedgerOrder(
                order.order_ref, order.idempotency_key, order.channel, order.total_pence,
                order.answered_s, picked_at, lines,
            )
        )  # fmt: skip
    stock = []
    for position, (sku, units) in enumerate(sorted(sold.items())):
        opening = units - peak.oversold if position == 0 else 500
        stock.append(LedgerStock(sku, opening, opening - units, units))
    return Ledger(tuple(booked), tuple(stock), peak.duration_s + 20.0)
