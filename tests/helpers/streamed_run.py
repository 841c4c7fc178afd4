"""Reports of a run with some of everything, for the tests of streams."""

from __future__ import annotations

import time

import numpy as np

from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CounterSecond,
    CustomerCount,
    Event,
    HealthSecond,
    OrderAttempt,
    RequestSecond,
    SeriesKey,
    VisitDurationSecond,
)
from doorbuster.records.histogram import pack
from doorbuster.records.metadata import RunMeta

SERIES = (
    ("web", "search", "ok", ""),
    ("web", "checkout", "ok", ""),
    ("web", "checkout", "failed", "status_503"),
    ("web", "checkout", "abandoned", "patience"),
    ("store", "order", "ok", ""),
)


def times_us(second: int, series: int) -> list[int]:
    """Response times that differ between seconds and series."""
    rng = np.random.default_rng(1000 * second + series)
    return [0, *rng.lognormal(11 + series / 2, 1, 20).astype(int).tolist()]


def batch_of(second: int, worker: str = "local") -> Batch:
    """A report with some of everything."""
    requests = []
    for number, (channel, step, outcome, cause) in enumerate(SERIES):
        times = times_us(second, number)
        packed = pack(times)
        key = SeriesKey(channel, "buy", step, outcome, cause)
        requests.append(RequestSecond(second, key, len(times), 100, 2000, packed, packed, packed))
    return Batch(
        worker,
        second,
        requests=tuple(requests),
        customers=(
            CustomerCount(second, "web", "buy", "served", "", "", 1, 1, 3),
            CustomerCount(second, "web", "buy", "abandoned", "checkout", "patience", 1, 0, 1),
            CustomerCount(second, "web", "browse", "served", "", "", 1, None, 2),
        ),
        arrivals=(ArrivalCount(second, "web", 6, 1),),
        orders=(
            OrderAttempt(f"{worker}-{second}", "web", "buy", second, second + 0.1, "acknowledged", "", "o",
                         100, ()),
        ),
        events=(Event(second, "fault", f"second {second}"),) if second == 0 else (),
        health=(HealthSecond(second, 0.25, 1.5, 4, 1, 0, 10**6, pack([100, 200])),),
        counters=(CounterSecond(second, "web", "retries", 2),),
        visit_durations=(VisitDurationSecond(second, "web", pack([2_000_000, 3_000_000])),),
    )  # fmt: skip


def meta(**changes) -> RunMeta:
    known = {
        "run_id": "20261129T120000-abc", "title": "A peak", "scenario_name": "peak", "scenario_text": "",
        "storefront": "reference", "target_url": "http://127.0.0.1:1", "seed": 1, "workers": 2,
        "started_at_unix_ns": time.time_ns(), "duration_s": 60.0,
    }  # fmt: skip
    return RunMeta(**{**known, **changes})
