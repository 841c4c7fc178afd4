"""15,000 concurrent customers in one process: how late does the generator start their requests?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from benchmarks.competitor_http import finish, ours
from benchmarks.server import nginx
from benchmarks.targets import TargetResult, table
from doorbuster.records.reader import Run

CUSTOMERS = 15_000
ARRIVALS_PER_S = 750
STAY_S = 15.0  # after the last one has come
LIMIT_MS = 20.0
_THINK_S = 30.0


def run() -> list[TargetResult]:
    """Raises: server.MissingError."""
    come_s = CUSTOMERS / ARRIVALS_PER_S * 1.02  # a little more, because Poisson arrivals scatter
    shoppers = (
        "web: {share: 100%, journeys: {search: 1}, patience: none, "
        f"think: {{exponential: {{mean: {_THINK_S:g}s}}}}}}"
    )
    with nginx() as server, tempfile.TemporaryDirectory() as folder:
        finish(ours(Path(folder), server, shoppers, peak=ARRIVALS_PER_S, length_s=come_s, drain_s=STAY_S))
        with Run.open(Path(folder, "run")) as record:
            (seconds,) = record.health().values()
            lateness = record.lateness()
            requests = record.histogram("service")
    together = max(second.in_flight for second in seconds)
    late_ms = {p: (lateness.quantile_us(p) or 0) / 1e3 for p in (0.5, 0.99, 0.999)}
    lag_ms = [second.loop_lag_ms for second in seconds]
    print(table(("figure", "value"), [
        ("customers at once", f"{together:,}"),
        ("requests", f"{requests.n:,}"),
        *[(f"lateness, {p:.1%} of starts below", f"{ms:.2f} ms") for p, ms in late_ms.items()],
        ("event loop lag of a second, median / worst", f"{median(lag_ms):.1f} / {max(lag_ms):.1f} ms"),
        ("CPU of a core, median second", f"{median(second.cpu_ratio for second in seconds):.0%}"),
        ("resident memory", f"{max(second.rss_bytes for second in seconds) / 1e6:.0f} MB"),
    ]))  # fmt: skip
    return [
        TargetResult(
            f"customers at once in one process >= {CUSTOMERS:,}", f"{together:,}", together >= CUSTOMERS
        ),
        TargetResult(
            f"p99 lateness with them < {LIMIT_MS:g} ms", f"{late_ms[0.99]:.2f} ms", late_ms[0.99] < LIMIT_MS
        ),
    ]
