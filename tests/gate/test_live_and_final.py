"""Every metric has the same value in the live abort and in the verdict on the recorded run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorbuster.gate.live_abort import LiveThreshold
from doorbuster.gate.run_verdict import judge
from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CustomerCount,
    HealthSecond,
    OrderAttempt,
    RequestSecond,
    SeriesKey,
)
from doorbuster.records.histogram import pack
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter
from doorbuster.scenario import METRICS, find_phases, read_scenario
from doorbuster.scenario.thresholds.language import read_thresholds

SCENARIO = """\
title: T
target: {shop: {profile: replatformed}}
demand:
  peak: 10 customers/s
  curve: {stages: [{for: 20s, at: 20%}, {for: 20s, at: 100%}, {for: 20s, at: 20%}]}
channels: {web: {share: 100%, journeys: {buy: 1}}}
"""
DURATION_S = 60
AGGREGATIONS = {
    "trend": ("avg<1s", "min<1s", "max<1s", "med<1s", "p(95)<1s"),
    "rate": ("rate<50%",),
    "counter": ("count<5", "rate<5"),
}
TAGS = {"channel": "web", "journey": "buy", "step": "home", "expected_response": "false", "phase": "peak"}
THRESHOLDS = [
    read_thresholds({f"{metric.name}{tag}": expression})[0]
    for metric in METRICS.values()
    if not metric.audited and not metric.of_browsers
    for tag in ("", *(f"{{{tag}:{TAGS[tag]}}}" for tag in metric.tags if tag in TAGS), "{phase:after}")
    if tag != "{phase:after}" or "phase" in metric.tags
    for expression in AGGREGATIONS[metric.kind]
]

seconds = st.integers(0, DURATION_S - 1)
channels = st.sampled_from(["web", "app"])
journeys = st.sampled_from(["buy", "browse"])
times_us = st.lists(st.integers(1, 10_000_000), min_size=1, max_size=8).map(lambda us: pack(np.array(us)))


@st.composite
def request_rows(draw) -> RequestSecond:
    step = draw(st.sampled_from(["home", "checkout"]))
    outcome = draw(st.sampled_from(["ok", "failed", "abandoned"]))
    series = SeriesKey(draw(channels), draw(journeys), step, outcome, "" if outcome == "ok" else "x")
    us = draw(st.lists(st.integers(1, 10_000_000), min_size=1, max_size=8))
    blobs = [pack(np.array(us) // part + 1) for part in (1, 2, 3)]
    return RequestSecond(draw(seconds), series, len(us), 0, 0, *blobs)


@st.composite
def customer_rows(draw) -> CustomerCount:
    outcome = draw(st.sampled_from(["served", "abandoned", "turned_away", "queued_out", "dropped"]))
    wishes = st.sampled_from([None] if outcome == "dropped" else [None, 0, 1])
    return CustomerCount(
        draw(seconds), draw(channels), draw(journeys), outcome, "", "", draw(wishes), draw(wishes),
        draw(st.integers(1, 50)),
    )  # fmt: skip


@st.composite
def order_rows(draw) -> OrderAttempt:
    key, answer = draw(st.integers(0, 9)), draw(st.sampled_from(["acknowledged", "refused", "none"]))
    return OrderAttempt(f"{key}", "web" if key % 2 else "app", "buy", 0.0, 1.0, answer, "", "", 0, ())


health_rows = st.builds(
    lambda second, lateness: HealthSecond(second, 0.1, 1.0, 0, 0, 0, 0, lateness), seconds, times_us
)
rows = st.one_of(request_rows(), request_rows(), customer_rows(), customer_rows(), order_rows(), health_rows)
FIELDS = {
    RequestSecond: "requests",
    CustomerCount: "customers",
    OrderAttempt: "orders",
    HealthSecond: "health",
}


@st.composite
def reports(draw) -> list[list[Batch]]:
    """The same run as reports of two workers, cut into seconds at random places."""
    found = draw(st.lists(rows, max_size=60))
    ends = sorted(draw(st.lists(st.integers(0, len(found)), max_size=6)))
    cut = [found[start:end] for start, end in zip([0, *ends], [*ends, len(found)], strict=True)]
    started = (ArrivalCount(DURATION_S - 1, "web", 1, 0),)
    reported = []
    for seq, part in enumerate(cut):
        of_worker = [draw(st.booleans()) for _ in part]
        for worker in (False, True):
            fields = {
                field: tuple(
                    row for row, of in zip(part, of_worker, strict=True) if of == worker and type(row) is kind
                )
                for kind, field in FIELDS.items()
            }
            arrivals = started if (seq, worker) == (0, False) else ()
            reported.append(Batch(f"w{worker:d}", seq, arrivals=arrivals, **fields))
    return [reported[at : at + 2] for at in range(0, len(reported), 2)]


@settings(max_examples=20, derandomize=True, deadline=None)
@given(reports())
def test_every_metric_has_the_same_result_live_and_after_the_run(reported):
    phases = find_phases(read_scenario(SCENARIO).demand.rate_curve)
    live = [LiveThreshold(threshold, phases) for threshold in THRESHOLDS]
    for second, batches in enumerate(reported):
        for threshold in live:
            threshold.feed(tuple(batches), float(second))
    with tempfile.TemporaryDirectory() as folder:
        with RunWriter.create(Path(folder), _meta(), {}) as writer:
            for batches in reported:
                writer.write(batches)
            writer.finish("finished", "")
        with Run.open(folder) as run:
            final = judge(run, (), THRESHOLDS)
    for threshold, after in zip(live, final, strict=True):
        now = threshold.result(float(DURATION_S))
        assert (now.n, now.status) == (after.n, after.status), after.threshold
        for field in ("observed", "low", "high"):
            assert getattr(now, field) == pytest.approx(getattr(after, field)), after.threshold


def _meta() -> RunMeta:
    return RunMeta(
        run_id="r", title="T", scenario_name="t", scenario_text=SCENARIO, storefront="reference",
        target_url="http://127.0.0.1:1", shop_profile="", seed=1, workers=2, started_at_unix_ns=0,
        duration_s=float(DURATION_S), versions={}, machine={},
    )  # fmt: skip
