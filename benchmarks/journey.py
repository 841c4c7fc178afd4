"""Requests a second on one core: the journey of five steps, ours beside k6 and Locust's own users.

Everybody makes the same requests, keeps cookies and checks every status. Ours is a whole run besides: it
records, thinks (0 to 1 ms between two requests, so that the core stays busy), and has patience; the others
never think, which can only help them. k6 and Locust keep a user's connections for ever, so our customers
shop 50 rounds a visit; `ours, 1 round` shows what a new customer with a new connection for every five
requests costs. Ratios are taken per second of CPU time and within each round, so that other work on the
machine hurts everybody alike.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from benchmarks.claim import Claim, ratio_claim, table
from benchmarks.contender import NOBODY, Rate, k6, locust_users, ours, rate_of
from benchmarks.server import Nginx, nginx

ROUNDS = 5
USERS = 64
_SHOPPERS = (
    f"phone: {{seats: {USERS}, journeys: {{buy: 1}}, patience: {{tau: 4.7s}}, think: {{uniform: [0s, 1ms]}}}}"
)


def run() -> list[Claim]:
    """Raises: server.MissingError."""
    with nginx() as server:
        rounds = [_round(server) for _ in range(ROUNDS)]
    rows = []
    for name in rounds[0]:
        per_s = median(one[name].per_s for one in rounds)
        cpu_us = median(1e6 / one[name].per_cpu_s for one in rounds)
        rows.append((name, f"{per_s:,.0f}", f"{cpu_us:.1f}", f"{1e6 / cpu_us:,.0f}"))
    print(table(("contender", "requests/s", "CPU us each", "requests per CPU second"), rows))
    return [
        ratio_claim(
            f"requests per core, ours / {other}",
            [one["ours"].per_cpu_s / one[other].per_cpu_s for one in rounds],
            least,
        )
        for other, least in (("k6", 3.0), ("Locust FastHttpUser", 6.0))
    ]


def _round(server: Nginx) -> dict[str, Rate]:
    """Every contender once, one after the other."""
    results = {}
    for name, visits in (("ours", "50"), ("ours, 1 round", "1")):
        with tempfile.TemporaryDirectory() as folder:
            command = ours(Path(folder), server, f"{_SHOPPERS}, {NOBODY}", BENCH_ROUNDS=visits)
            results[name] = rate_of(command, server)
    results["k6"] = rate_of(k6(server, USERS), server)
    results["Locust FastHttpUser"] = rate_of(locust_users(server, "FastShopper", USERS), server)
    results["Locust HttpUser"] = rate_of(locust_users(server, "Shopper", USERS), server)
    return results
