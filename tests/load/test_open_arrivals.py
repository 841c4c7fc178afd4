"""The real generator with given schedules: customers start when due, and a stall is measured completely.

Short versions of tests/truth: about a second of load each, against a server with known response times.
"""

from __future__ import annotations

import json
import urllib.request

import numpy as np

from doorbuster.records.histogram import Histogram

LATE_S = 0.08  # what a busy machine may add to a response


def even(rate_per_s: float, duration_s: float) -> list[float]:
    return (np.arange(round(rate_per_s * duration_s)) / rate_per_s).tolist()


def ask(url: str):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read()


def histogram(hexadecimal: str) -> Histogram:
    return Histogram.from_blobs([bytes.fromhex(hexadecimal)])


def test_every_planned_request_is_sent_once_and_recorded_once(stall_server, drive):
    url = stall_server()
    planned = sorted(np.random.default_rng(3).uniform(0, 1.0, 777).tolist())
    seen = drive(url, planned, 1.0)
    assert (seen["started"], seen["dropped"], seen["served"], seen["recorded"]) == (777, 0, 777, 777)
    assert json.loads(ask(f"{url}/count")) == 777
    assert seen["final"].count(True) == 1
    assert seen["final"][-1]


def test_a_frozen_server_does_not_slow_the_arrivals_and_is_measured_from_the_intended_start(
    stall_server, drive
):
    """T1 of the truth tests: stalled for S = 0.3 s of T = 1 s, so Q(p) = S - T (1 - p)."""
    url = stall_server("--kind", "infinite", "--service-ms", "1")
    seen = drive(url, even(300, 1.0), 1.0, stall=(0.45, 0.3))
    response = histogram(seen["response"])
    assert 300 == seen["served"] == response.n
    for p, expected_s in ((0.80, 0.10), (0.95, 0.25), (0.99, 0.29)):
        measured_s = response.quantile_us(p) / 1e6
        assert expected_s - 0.02 < measured_s < expected_s + LATE_S


def test_the_backlog_after_a_stall_is_measured_until_it_has_drained(stall_server, drive):
    """T2: mu = 500/s, 250 arrivals/s, so a stall of 0.2 s lasts for 0.2 / (1 - 1/2) = 0.4 s."""
    url = stall_server("--kind", "fifo", "--service-ms", "2")
    seen = drive(url, even(250, 1.0), 1.0, stall=(0.3, 0.2))
    felt_ratio = histogram(seen["response"]).count_above(20_000) / 250
    assert 0.4 * (1 - 0.02 / 0.2) - 0.02 < felt_ratio < 0.4 + 0.08


def test_customers_that_queue_behind_a_slow_one_are_measured(stall_server, drive):
    """T3: one arrival per 100 ms, every tenth takes 150 ms, so the next one waits 50 ms and takes 51."""
    url = stall_server("--kind", "periodic", "--service-ms", "1")
    seen = drive(url, even(10, 2.1), 2.1)
    response = histogram(seen["response"])
    assert response.n == 21
    above = [response.count_above(us) for us in (40_000, 140_000)]
    assert above == [4, 2]  # two took 150 ms, two queued behind them, which a naive recorder would miss


def test_arrivals_do_not_wait_for_the_shop(stall_server, drive):
    url = stall_server("--kind", "infinite", "--service-ms", "900")
    seen = drive(url, even(200, 1.0), 1.0)
    assert seen["served"] == 200
    assert histogram(seen["lateness"]).quantile_us(0.5) < 20_000
    assert histogram(seen["response"]).quantile_us(0.99) < 1_100_000
