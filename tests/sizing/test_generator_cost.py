"""The cost of requests and customers, recovered from run files whose costs are known."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.errors import UsageError
from doorbuster.records.batch import ArrivalCount, Batch, HealthSecond, RequestSecond, SeriesKey
from doorbuster.records.histogram import pack
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter
from doorbuster.sizing.generator_cost import DEFAULT_CUSTOMER_BYTES, _resample, measure_cost

BASE, REQUEST_S, CUSTOMER_S, CUSTOMER_BYTES, PROCESS_BYTES = 0.02, 400e-6, 900e-6, 16_000, 90_000_000


def write_run(folder, *, seconds=20, workers=2, noise=0.0, customers_at_once=900, last_cpu=1.0):
    """A run whose processor time and memory follow the model exactly, but for noise and its last second."""
    rng = np.random.default_rng(3)
    requests, customers = rng.integers(50, 400, seconds), rng.integers(5, 80, seconds)
    meta = RunMeta(
        run_id="cost", title="cost", scenario_name="cost", scenario_text="", storefront="reference",
        target_url="http://127.0.0.1", seed=1, workers=workers, started_at_unix_ns=1,
        duration_s=float(seconds),
    )  # fmt: skip
    series = SeriesKey("web", "buy", "pay", "ok", "")
    with RunWriter.create(folder, meta, {"web": customers * workers}) as writer:
        for second in range(seconds):
            for worker in range(workers):
                n, came = int(requests[second]), int(customers[second])
                at_once = customers_at_once * second // seconds
                cpu = BASE + n * REQUEST_S + came * CUSTOMER_S + rng.normal(0, noise)
                health = HealthSecond(
                    second, last_cpu if second == seconds - 1 else cpu, 1.0, at_once, came, 0,
                    PROCESS_BYTES + CUSTOMER_BYTES * at_once, b"",
                )  # fmt: skip
                packed = pack([1000] * n)
                row = RequestSecond(second, series, n, 300 * n, 8000 * n, packed, packed, packed)
                batch = Batch(
                    f"w{worker}", second, second == seconds - 1, requests=(row,),
                    arrivals=(ArrivalCount(second, "web", came, 0),), health=(health,),
                )  # fmt: skip
                writer.write([batch])
        writer.finish("finished")


def measured(folder, **options):
    write_run(folder, **options)
    with Run.open(folder) as run:
        return measure_cost(run)


def test_exact_costs_are_recovered_and_the_end_of_the_run_does_not_count(tmp_path):
    cost = measured(tmp_path / "run")
    assert cost.cpu_base_ratio == pytest.approx(BASE, rel=1e-3)
    assert cost.cpu_s_per_request == pytest.approx(REQUEST_S, rel=1e-3)
    assert cost.cpu_s_per_customer == pytest.approx(CUSTOMER_S, rel=1e-3)
    assert cost.memory_is_measured
    assert cost.memory_bytes_per_customer == pytest.approx(CUSTOMER_BYTES, rel=1e-3)
    assert cost.memory_base_bytes == pytest.approx(PROCESS_BYTES, rel=1e-3)
    assert (cost.bytes_sent_per_request, cost.bytes_received_per_request) == (300, 8000)
    assert cost.connections_per_customer == pytest.approx(1.0)


def test_the_interval_of_noisy_seconds_contains_the_truth(tmp_path):
    cost = measured(tmp_path / "run", seconds=40, noise=0.02)
    truth = 1000 * REQUEST_S + 100 * CUSTOMER_S
    estimate, lower, upper = cost.cores(1000, 100)
    assert estimate == pytest.approx(truth, rel=0.15)
    assert 0.5 * truth < lower < truth < upper < 1.5 * truth


@pytest.mark.truth
@pytest.mark.parametrize("seconds", [12, 40])
@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_95_of_100_intervals_contain_the_truth(seconds, correlation):
    truth, hits, runs = 1000 * REQUEST_S + 100 * CUSTOMER_S, 0, 300
    for number in range(runs):
        rng = np.random.default_rng(number)
        requests, customers = rng.integers(50, 400, seconds), rng.integers(5, 80, seconds)
        noise = rng.normal(0, 0.02, seconds)
        for second in range(1, seconds):
            noise[second] += correlation * noise[second - 1]
        columns = np.column_stack([np.ones(seconds), requests, customers]).astype(float)
        cpu = columns @ (BASE, REQUEST_S, CUSTOMER_S) + noise
        lower, upper = np.quantile(_resample(columns, cpu)[:, 1:] @ (1000.0, 100.0), (0.025, 0.975))
        hits += lower <= truth <= upper
    assert 0.92 <= hits / runs <= 1.0


def test_memory_of_few_customers_is_the_published_figure(tmp_path):
    cost = measured(tmp_path / "run", customers_at_once=50)
    assert not cost.memory_is_measured
    assert cost.memory_bytes_per_customer == DEFAULT_CUSTOMER_BYTES


def test_a_short_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"5 seconds with .* too few to measure"):
        measured(tmp_path / "run", seconds=7)
