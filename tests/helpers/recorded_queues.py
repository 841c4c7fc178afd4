"""Run files of a simulated M/M/1 queue: the truth of comparisons is known.

Requests arrive by a Poisson process and begin in equilibrium (Lindley's recursion). Each goes to one of some
steps and fails by chance; a failure has no time. Nothing is mocked: the files are those a run would write.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CustomerCount,
    HealthSecond,
    RequestSecond,
    SeriesKey,
)
from doorbuster.records.histogram import pack
from doorbuster.records.metadata import RunMeta
from doorbuster.records.writer import RunWriter

SCENARIO = """\
title: A queue
target: {storefront: "custom:queue", url: "http://127.0.0.1:1"}
demand: {peak: %(rate)s customers/s, curve: {stages: [{for: %(length_s)ss, at: 100%%}]}}
channels: {web: {share: 100%%, journeys: {browse: 1}, patience: none}}
thresholds: {http_req_duration: ["p(95)<10s"]}
seed: %(seed)s
"""


@dataclass(frozen=True)
class Queue:
    """An M/M/1 queue with `requests` arrivals on average; `slowdown` multiplies its service time."""

    rho: float = 0.5
    requests: int = 5000
    service_ms: float = 10.0
    slowdown: float = 1.0
    steps: int = 1
    failing: float = 0.01

    @property
    def rate_per_s(self) -> float:
        """Arrivals per second; a slowdown changes the service, not the arrivals."""
        return self.rho / (self.service_ms / 1e3)

    @property
    def length_s(self) -> int:
        return max(10, round(self.requests / self.rate_per_s))

    @property
    def mean_ms(self) -> float:
        """Mean time in system: 1 / (mu - lambda). All its quantiles are in proportion to it."""
        service_s = self.service_ms * self.slowdown / 1e3
        return 1e3 / (1 / service_s - self.rate_per_s)


def draw(queue: Queue, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Due times and times in system, in s."""
    due = np.sort(rng.uniform(0, queue.length_s, rng.poisson(queue.rate_per_s * queue.length_s)))
    mean_s = queue.service_ms * queue.slowdown / 1e3
    service = rng.exponential(mean_s, due.size)
    busy = queue.rho * queue.slowdown
    first = rng.exponential(mean_s / (1 - busy)) if rng.random() < busy else 0.0
    sums = np.cumsum(np.concatenate([[first], service[:-1] - np.diff(due)]))
    return due, sums - np.minimum(np.minimum.accumulate(sums), 0.0) + service


def record(queue: Queue, folder: Path, seed: int, *, started_s: float = 0.0, late_ms: float = 0.1) -> Path:
    """A finished run of the queue; the path of its run file.

    Args: late_ms: how late the generator was in every second.
    """
    rng = np.random.default_rng(seed)
    due, took = draw(queue, rng)
    step = rng.integers(0, queue.steps, due.size)
    failed = rng.random(due.size) < queue.failing
    cells = defaultdict(list)
    for key, time_us in zip(
        zip(due.astype(int).tolist(), step.tolist(), failed.tolist(), strict=True),
        (took * 1e6).astype(int).tolist(),
        strict=True,
    ):
        cells[key].append(time_us)
    planned = np.bincount(due.astype(int), minlength=queue.length_s)
    rows = []
    for (second, place, bad), times_us in cells.items():
        outcome, cause = ("failed", "status_500") if bad else ("ok", "")
        series = SeriesKey("web", "browse", f"page-{place:02d}", outcome, cause)
        blob = pack(times_us)
        n = len(times_us)
        rows.append(RequestSecond(second, series, n, 100 * n, 1000 * n, blob, blob, blob))
    ends = {False: ("served", "", "", 1), True: ("turned_away", "page", "status_500", 0)}
    customers = tuple(
        CustomerCount(second, "web", "browse", *end, None, n)
        for bad, end in ends.items()
        for second, n in enumerate(np.bincount(due[failed == bad].astype(int)).tolist())
        if n
    )
    meta = RunMeta(
        run_id=f"queue-{seed}", title="A queue", scenario_name="queue", storefront="custom:queue",
        scenario_text=SCENARIO % {"rate": queue.rate_per_s, "length_s": queue.length_s, "seed": seed},
        target_url="http://127.0.0.1:1", seed=seed, workers=1, duration_s=float(queue.length_s),
        started_at_unix_ns=int((1_700_000_000 + started_s) * 1e9), status="finished",
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    lateness = pack([round(1e3 * late_ms)])
    with RunWriter.create(folder, meta, {"web": planned}) as writer:
        writer.write([Batch(
            "w1", 0, final=True, requests=tuple(rows),
            customers=customers,
            arrivals=tuple(ArrivalCount(s, "web", int(n), 0) for s, n in enumerate(planned.tolist())),
            health=tuple(HealthSecond(s, 0.2, 1.0, 1, 0, 0, 10**8, lateness) for s in range(queue.length_s)),
        )])  # fmt: skip
        writer.finish("finished")
    return folder / "run.sqlite"
