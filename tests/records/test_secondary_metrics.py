"""What is noted beside the requests: written, read back, and absent from old files without harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from doorbuster.records.batch import (
    ConnectTimeSecond,
    CounterSecond,
    FreshnessReading,
    SeriesKey,
    ServerTimingSecond,
    SubsequentRequestsSecond,
    ThinkTimeSecond,
    VisitDurationSecond,
)
from doorbuster.records.histogram import Histogram, pack
from doorbuster.records.reader import Run
from doorbuster.records.secondary_metrics import (
    ConnectTotals,
    CounterKey,
    ServerTimingEntry,
    ServerTimingTotals,
    SubsequentRequests,
    WeightedDurations,
)
from doorbuster.records.writer import RunWriter

SERIES = SeriesKey("web", "buy", "pay", "ok", "")


@pytest.fixture
def recorded(tmp_path: Path, make_meta, make_batch) -> Path:
    """Two workers with the same secondary metrics."""
    with RunWriter.create(tmp_path / "run", make_meta(), {"web": np.ones(10, int)}) as writer:
        for worker in ("w0", "w1"):
            writer.write([
                make_batch(
                    0, {(3, "pay"): [1000, 3000]}, worker=worker,
                    counters=(CounterSecond(3, "web", "retries", 2), CounterSecond(12, "web", "retries", 1)),
                    think_times=(ThinkTimeSecond(3, "web", pack([5_000_000])),),
                    visit_durations=(VisitDurationSecond(3, "web", pack([9_000_000, 1_000_000])),),
                    connect_times=(
                        ConnectTimeSecond(3, SERIES, 1, 700, 700, pack([700])),
                        ConnectTimeSecond(4, SERIES, 2, 500, 300, pack([200, 300])),
                    ),
                    subsequent_requests=(
                        SubsequentRequestsSecond(3, SERIES, 2, 3, 10, 20, 30, pack([40, 50])),
                        SubsequentRequestsSecond(4, SERIES, 1, 1, 1, 2, 3, pack([6])),
                    ),
                    server_timings=(
                        ServerTimingSecond(3, SERIES, "db", "", 2, 20.0, 20_000.0, pack([900, 1100])),
                        ServerTimingSecond(4, SERIES, "db", "", 1, 1.0, 2_000.0, pack([2000])),
                        ServerTimingSecond(4, SERIES, "cache", "HIT", 1, 1.0, 0.0),
                    ),
                )
            ])  # fmt: skip
        writer.finish("finished")
    return tmp_path / "run"


def test_counters_are_summed_over_workers_and_reach_beyond_the_plan(recorded: Path):
    with Run.open(recorded) as run:
        (counted,) = run.counters().values()
        assert [CounterKey("web", "retries")] == list(run.counters())
    assert {second: n for second, n in enumerate(counted.tolist()) if n} == {3: 4, 12: 2}


def test_think_times_and_visit_durations_are_histograms_per_channel(recorded: Path):
    with Run.open(recorded) as run:
        assert {"web": Histogram.from_values([5_000_000] * 2)} == run.think_times()
        assert {"web": Histogram.from_values([9_000_000, 1_000_000] * 2)} == run.visit_durations()


def test_connecting_and_server_timing_add_up(recorded: Path):
    with Run.open(recorded) as run:
        parts = run.step_timings()
    assert parts.connect == {SERIES: ConnectTotals(6, 2400, 700)}
    database = parts.server[ServerTimingEntry(SERIES, "db", "")]
    assert database == ServerTimingTotals(6, 42.0, 44_000.0)
    assert database.mean_us == pytest.approx((40 * 1000 + 2 * 2000) / 42)
    assert parts.server[ServerTimingEntry(SERIES, "cache", "HIT")] == ServerTimingTotals(2, 2.0, 0.0)


def test_times_of_single_steps_are_kept_in_bins(recorded: Path):
    with Run.open(recorded) as run:
        parts = run.step_timings()
    assert {SERIES: Histogram.from_values([700, 200, 300] * 2)} == parts.connect_times
    later = SubsequentRequests(6, 8, 22, 44, 66, Histogram.from_values([40, 50, 6] * 2))
    assert {SERIES: later} == parts.subsequent
    ((entry, sample),) = parts.server_times.items()
    assert entry == ServerTimingEntry(SERIES, "db", "")
    assert sample.n == 6
    assert sample.effective_n == pytest.approx(6)  # one minute: equal weights


def test_a_sample_is_weighted_by_minute():
    quiet, busy = Histogram.from_values([1000] * 60), Histogram.from_values([9000] * 60)
    sample = WeightedDurations(((quiet, 1.0), (busy, 9.0)))
    assert (sample.times.quantile_us(0.1), sample.times.quantile_us(0.11)) == (1000, 9007)
    assert sample.effective_n == pytest.approx(600**2 / (60 + 60 * 81))


def test_secondary_metrics_take_one_row_per_minute(tmp_path: Path, make_meta, make_batch):
    """One row per minute for each key, whatever the number of reports."""
    with RunWriter.create(tmp_path, make_meta(), {}) as writer:
        for second in range(150):
            writer.write([
                make_batch(
                    second,
                    visit_durations=(VisitDurationSecond(second, "web", pack([second])),),
                    think_times=(ThinkTimeSecond(second, "web", pack([0, 0, second + 1])),),
                    connect_times=(ConnectTimeSecond(second, SERIES, 1, second, second, pack([second])),),
                    subsequent_requests=(
                        SubsequentRequestsSecond(second, SERIES, 1, 2, 3, 4, 5, pack([second])),
                    ),
                    server_timings=(ServerTimingSecond(second, SERIES, "db", "", 1, 2.0, 3.0),),
                )
            ])  # fmt: skip
    with Run.open(tmp_path) as run:
        for table in (
            "visit_durations",
            "think_times",
            "connect_times",
            "subsequent_requests",
            "server_timings",
        ):
            assert run._select(f"SELECT count(*) FROM {table}") == [(3,)]
        assert run.visit_durations()["web"] == Histogram.from_values(range(150))
        assert run.think_times()["web"] == Histogram.from_values([0] * 300 + list(range(1, 151)))
        assert run.step_timings().connect[SERIES] == (150, sum(range(150)), 149)
        assert run.step_timings().connect_times[SERIES] == Histogram.from_values(range(150))
        assert run.step_timings().subsequent == {
            SERIES: SubsequentRequests(150, 300, 450, 600, 750, Histogram.from_values(range(150)))
        }
        assert run.step_timings().server[ServerTimingEntry(SERIES, "db", "")] == (150, 300.0, 450.0)


def test_freshness_readings_come_back_in_order_of_time(tmp_path: Path, make_meta, make_batch):
    price = FreshnessReading(1.0, "sku", "web", "seen", 0.5, None, 2, 0, "price")
    stock = price._replace(at_s=2.0, what="stock")
    with RunWriter.create(tmp_path / "new", make_meta(), {}) as writer:
        writer.write([make_batch(0, freshness=(stock, price))])
    with Run.open(tmp_path / "new") as run:
        assert run.freshness() == (price, stock)
