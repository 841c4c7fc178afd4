"""Requests per second on one core for the journey of five steps: doorbuster, k6 and Locust's users.

All generators send the same requests, keep cookies and check every status. Doorbuster does a whole run: it
also records, thinks (0 to 1 ms between requests, so that the core stays busy) and has patience; the others
never think, which is an advantage. k6 and Locust keep a user's connections, so doorbuster's customers shop 50
rounds per visit; `ours, 1 round` has a new customer and connection for every five requests. `ours, compiled`
is the same source with the path of a request compiled. Ratios are per second of CPU time and between adjacent
turns, so that other work on the machine affects all alike.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from benchmarks.competitor_http import NOBODY, k6, locust_users, ours, rates_of
from benchmarks.compiled import compiled_library
from benchmarks.server import MissingError, Nginx, nginx
from benchmarks.targets import TargetResult, ratio_target, table

TURNS = 15
USERS = 64
_SHOPPERS = (
    f"phone: {{seats: {USERS}, journeys: {{buy: 1}}, patience: {{tau: 4.7s}}, think: {{uniform: [0s, 1ms]}}}}"
)


def run() -> list[TargetResult]:
    """Raises: server.MissingError."""
    with nginx() as server, tempfile.TemporaryDirectory() as folder:
        rates = rates_of(_contenders(server, Path(folder)), server, turns=TURNS)
    rows = []
    for name, turns in rates.items():
        per_s = median(turn.per_s for turn in turns)
        cpu_us = median(1e6 / turn.per_cpu_s for turn in turns)
        rows.append((name, f"{per_s:,.0f}", f"{cpu_us:.1f}", f"{1e6 / cpu_us:,.0f}"))
    print(table(("contender", "requests/s", "CPU us each", "requests per CPU second"), rows))
    return [
        ratio_target(
            f"requests per core, {build} / {other}",
            [own.per_cpu_s / its.per_cpu_s for own, its in zip(rates[build], rates[other], strict=True)],
            least,
        )
        for build in ("ours, compiled", "ours")
        if build in rates
        for other, least in (("k6", 3.0), ("Locust FastHttpUser", 6.0))
    ]


def _contenders(server: Nginx, folder: Path) -> dict[str, list[str]]:
    def own(name: str, **environ: str) -> list[str]:
        place = folder / name
        place.mkdir()
        return ours(place, server, f"{_SHOPPERS}, {NOBODY}", **environ)

    contenders = {"ours": own("python", BENCH_ROUNDS="50")}
    try:
        compiled = compiled_library()
        contenders["ours, compiled"] = own("compiled", BENCH_ROUNDS="50", PYTHONPATH=str(compiled))
    except MissingError as missing:
        print(f"only the Python build is measured: {missing}")
    return {
        **contenders,
        "ours, 1 round": own("visits", BENCH_ROUNDS="1"),
        "k6": k6(server, USERS),
        "Locust FastHttpUser": locust_users(server, "FastShopper", USERS),
        "Locust HttpUser": locust_users(server, "Shopper", USERS),
    }
