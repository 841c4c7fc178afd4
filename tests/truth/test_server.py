"""The truth server tells the truth: its queue on computed time, and a few real seconds of it over HTTP."""

from __future__ import annotations

import asyncio
import importlib.util
import random
import sys
import time
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from queueing_theory import mmc_sojourn_tail


@pytest.fixture(scope="module")
def server():
    path = Path(__file__).parent / "server.py"
    spec = importlib.util.spec_from_file_location("truth_server_program", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def station(server):
    """A queue on computed time: nothing is awaited, arrivals are given."""

    def make(**changes):
        wanted = {
            "servers": 1, "service_s": 0.01, "exponential": False, "queue_limit": None, "stall_at_s": 0.0,
            "stall_for_s": 0.0, "rng": random.Random(3), "opened_at": 0.0, **changes,
        }  # fmt: skip
        return server.Station(**wanted)

    return make


def test_fixed_services_follow_each_other(station):
    one, two = station(), station(servers=2)
    assert [one.admit(1.0) for _ in range(3)] == pytest.approx([1.01, 1.02, 1.03])
    assert [two.admit(1.0) for _ in range(3)] == pytest.approx([1.01, 1.01, 1.02])


def test_what_finds_the_line_full_is_refused(station):
    queue = station(queue_limit=2)
    assert [queue.admit(1.0) is None for _ in range(4)] == [False, False, False, True]
    assert queue.refused == 1


@pytest.mark.parametrize(
    ("start", "end"),
    [(4.0, 4.01), (4.995, 7.005), (5.0, 7.01), (6.5, 7.01), (7.0, 7.01), (8.0, 8.01)],
    ids=["before", "caught in the middle", "at its start", "during", "at its end", "after"],
)
def test_a_stall_freezes_what_is_served(station, start, end):
    assert station(stall_at_s=5.0, stall_for_s=2.0).admit(start) == pytest.approx(end)


def test_a_stall_leaves_the_backlog_that_theory_says(station):
    queue = station(service_s=1 / 200, stall_at_s=45.0, stall_for_s=10.0)
    came = np.arange(10_000) / 100
    took = np.array([queue.admit(at) - at for at in came])
    assert took.mean() == pytest.approx(1.0055, rel=0.01)
    assert np.quantile(took, [0.90, 0.95, 0.99]) == pytest.approx([5.005, 7.505, 9.505], rel=0.01)


@pytest.mark.parametrize("servers", [1, 4])
def test_exponential_services_give_the_tail_of_m_m_c(station, servers):
    queue, rng = station(servers=servers, service_s=servers / 100, exponential=True), np.random.default_rng(2)
    came = np.cumsum(rng.exponential(1 / 70, 400_000))
    took = np.array([queue.admit(at) - at for at in came.tolist()])
    for limit in (0.02, 0.06, 0.1):
        assert np.mean(took > limit) == pytest.approx(
            mmc_sojourn_tail(70.0, 100.0 / servers, servers, limit), rel=0.1
        )


def test_the_same_seed_serves_the_same_times(station):
    one, other = (station(exponential=True) for _ in range(2))
    assert [one.admit(1.0) for _ in range(9)] == [other.admit(1.0) for _ in range(9)]


async def visit(url: str, n: int) -> list[float]:
    """Response times of n requests sent at once."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one() -> float:
            began = time.perf_counter()
            async with session.get(url) as answer:
                assert answer.status in (200, 503)
                await answer.read()
            return time.perf_counter() - began

        took = await asyncio.gather(*(one() for _ in range(n)))
        async with session.get(f"{url}/truth") as answer:
            counts = await answer.json()
        assert counts["answered"] + counts["refused"] == n
        assert counts["in_system"] == 0
        return sorted(took)


def test_it_answers_in_turn_over_http(truth_server):
    took = asyncio.run(visit(truth_server("--service", "fixed", "--service-rate", "50/s"), 10))
    assert took[0] >= 0.02
    assert took[-1] >= 0.2
    assert took[-1] < 1.0


def test_it_refuses_at_its_limit_over_http(truth_server):
    url = truth_server("--service", "fixed", "--service-rate", "20/s", "--queue-limit", 3)
    took = asyncio.run(visit(url, 12))
    assert took[-1] < 1.0
