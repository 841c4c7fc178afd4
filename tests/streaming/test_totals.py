"""What is streamed equals what is recorded, however the file grew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from streamed_run import SERIES, batch_of, times_us

from doorbuster.records.histogram import Histogram
from doorbuster.records.reader import Run
from doorbuster.records.row_stream import RowPosition, StreamedRun
from doorbuster.streaming.k6_metrics import k6_metrics
from doorbuster.streaming.metric import BUCKET_EDGES_S, Distribution
from doorbuster.streaming.run_metrics import has_latency, own_metrics
from doorbuster.streaming.run_totals import RunTotals


def followed(run_folder: Path, totals: RunTotals, position: RowPosition) -> None:
    with StreamedRun.open(run_folder, own=True) as run:
        totals.planned, totals.meta = run.planned(), run.meta
        totals.add(run.new_rows(position), run.worker_names())
        totals.add_visits(durations for _, durations in run.new_visits(position))


def values(metrics, name: str) -> dict:
    (metric,) = [each for each in metrics if each.name == name]
    return {
        tuple(value for key, value in point.labels if key not in ("run_id", "testid")): point.value
        for point in metric.points
    }


def test_rows_are_counted_once_while_the_file_grows(new_run):
    totals = RunTotals()
    with new_run() as writer:
        place = writer.path.parent, totals, RowPosition()
        followed(*place)
        assert totals.meta.status == "running"
        for second in (0, 5, 3):  # late reports have rows of earlier seconds
            writer.write([batch_of(second, "one"), batch_of(second, "two")])
            writer.write([batch_of(second, "one")])  # sent twice
            followed(*place)
            followed(*place)
        writer.finish("finished")
    followed(*place)
    assert totals.meta.status == "finished"
    with Run.open(writer.path) as run:
        recorded = run.histogram(match=lambda series: series.has_latency)
        attempts = len(run.orders())
    assert totals.merged(lambda group: has_latency(group) or None)[True].histogram == recorded
    assert sum(found.n for found in totals.requests.values()) == 6 * 21 * len(SERIES)
    metrics = own_metrics(totals, at_s=2.0)
    assert values(metrics, "doorbuster_customers_total") == {("web", "served"): 30, ("web", "abandoned"): 6}
    assert values(metrics, "doorbuster_wanted_to_order_total") == {("web",): 24}
    assert values(metrics, "doorbuster_could_order_total") == {("web",): 18}
    assert values(metrics, "doorbuster_planned_customers_total") == {("web",): 14}
    assert values(metrics, "doorbuster_started_customers_total") == {("web",): 36}
    assert values(metrics, "doorbuster_occurrences_total") == {("web", "retries"): 12}
    assert values(metrics, "doorbuster_customers_in_shop") == {(): 8}
    assert sum(values(metrics, "doorbuster_orders_total").values()) == attempts
    k6 = k6_metrics(totals)
    assert values(k6, "k6_iteration_duration_max")[()] == 3.000319  # the upper edge of the bin of 3 s
    assert values(k6, "k6_iterations_total") == {("web",): 36}
    assert values(k6, "k6_checks_rate") == {("could browse",): 1.0, ("could order",): 0.75}
    assert values(k6, "k6_http_req_failed_rate")[("checkout", "web")] == 2 / 3


def test_quantiles_of_k6_are_those_of_merged_requests(recorded):
    totals = RunTotals()
    followed(recorded(seconds=2), totals, RowPosition())
    p95 = values(k6_metrics(totals), "k6_http_req_duration_p95")
    times = [time for second in range(2) for time in times_us(second, 0)] * 2
    exact = Histogram.from_values(times).quantile_us(0.95) / 1e6
    assert p95[("true", "search", "200")] == exact
    assert {status for _, _, status in p95} == {"200", "503", "0"}


def test_buckets_count_the_same_requests_as_the_bins():
    rng = np.random.default_rng(3)
    times = rng.lognormal(13, 2, 5000).astype(int)
    found = Distribution(Histogram.from_values(times))
    for edge, n in zip(BUCKET_EDGES_S, found.cumulative_buckets, strict=True):
        inside, nearly = np.sum(times <= edge * 1e6 * 0.999), np.sum(times <= edge * 1e6 * 1.001)
        assert inside <= n <= nearly
    assert abs(found.sum_s - times.clip(0, 3.6e9).sum() / 1e6) < 0.001 * found.sum_s
