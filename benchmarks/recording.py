"""Cost of recording a request: one row per request, and its part of the report once a second."""

from __future__ import annotations

import itertools
import random
import time

from benchmarks.targets import TargetResult, table
from doorbuster.load.recording.recorder import Recorder
from doorbuster.load.recording.secondary_metrics import KEPT
from doorbuster.records.batch import SeriesKey

ROUNDS = 7
REQUESTS = 20_000
LIMIT_US = 5.0
SAID = 'db;dur=12.31;desc="3 queries", queue;dur=0.45, cache;desc=HIT'  # Server-Timing of each answer


def run() -> list[TargetResult]:
    rng = random.Random(1)
    stamps = [(rng.random(), rng.lognormvariate(-4, 1)) for _ in range(REQUESTS)]
    rows, reports, longest = [], [], []
    for _ in range(ROUNDS):
        pauses: list[float] = []
        recorder = Recorder(
            "bench", started_at=0.0, pause=lambda pauses=pauses: pauses.append(time.perf_counter())
        )
        numbers = [
            recorder.series_number(SeriesKey("web", f"j{n % 6}", f"s{n // 6}", "ok", "")) for n in range(30)
        ]
        recorder.secondary_metrics.stride = REQUESTS // KEPT  # as after a second like this one
        began_s = time.process_time()
        for position, (at, response_s) in enumerate(stamps):
            number = numbers[position % 30]
            if SAID and not len(recorder.steps) % recorder.secondary_metrics.stride:
                recorder.secondary_metrics.server_timings.append((number, at, SAID))
            recorder.steps.append((number, at, at, at + response_s / 2, at + response_s, 400, 9_000, ""))
        rows.append((time.process_time() - began_s) / REQUESTS * 1e6)
        began_s = time.process_time()
        pauses.append(time.perf_counter())
        recorder.take(recorder.take_steps(), None)
        pauses.append(time.perf_counter())
        reports.append((time.process_time() - began_s) / REQUESTS * 1e6)
        longest.append(max(after - before for before, after in itertools.pairwise(pauses)) * 1e3)
    total_us = min(rows) + min(reports)
    print(table(("part", "cost"), [
        ("one row, on the path of the request", f"{min(rows):.2f} us"),
        ("its share of the report, once a second", f"{min(reports):.2f} us"),
        ("longest stretch of a report without a pause", f"{min(longest):.1f} ms"),
    ]))  # fmt: skip
    return [
        TargetResult(
            f"recording a request costs <= {LIMIT_US:g} us", f"{total_us:.2f} us", total_us <= LIMIT_US
        )
    ]
