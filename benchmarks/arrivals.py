"""New customers a second in one process, each with a connection and one request, as nginx saw them come.

The plan is a Poisson process. nginx writes down when each request began, to the millisecond. The variance of
its counts in windows of 10 ms by their mean (index of dispersion) is compared with that of the plan itself,
so that the luck of the draw cancels: bunching, as of a spawner that works in stairs, would raise it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.claim import Claim, table
from benchmarks.contender import finish, ours
from benchmarks.server import nginx
from doorbuster.records.run import Run
from doorbuster.scenario import load_scenario, plan_schedule

PEAK_PER_S = 4_200
SECONDS = 20.0
LEAST_PER_S = 4_000
WINDOW_S = 0.010
DISPERSION_SLACK = 0.05
_ONCE = "web: {share: 100%, journeys: {order_status: 1}, patience: none, think: {constant: 1s}}"


def run() -> list[Claim]:
    """Raises: server.MissingError."""
    with nginx() as server, tempfile.TemporaryDirectory() as folder:
        finish(ours(Path(folder), server, _ONCE, peak=PEAK_PER_S, length_s=SECONDS, drain_s=10.0))
        planned_s = plan_schedule(load_scenario(Path(folder, "bench.yaml"))).intended_s
        with Run.open(Path(folder, "run")) as record:
            balance, lateness = record.balance(), record.lateness()
            (seconds,) = record.health().values()
        cpu_s = sum(second.cpu_ratio for second in seconds)
        lag_ms = [second.loop_lag_ms for second in seconds]
        late_ms = [(lateness.quantile_us(p) or 0) / 1e3 for p in (0.5, 0.99)]
        came_s = server.began_at_unix_s()
    rate = len(came_s) / SECONDS
    ours_index = _dispersion(came_s - np.median(came_s) + np.median(planned_s))
    plan_index = _dispersion(planned_s)
    off = ours_index / plan_index - 1.0
    print(table(("figure", "value"), [
        ("planned", f"{len(planned_s):,}"),
        ("requests that reached nginx", f"{len(came_s):,}"),
        ("served, by the run file", f"{balance.served:,}"),
        ("arrivals a second", f"{rate:,.0f}"),
        ("lateness, median / p99", f"{late_ms[0]:.2f} / {late_ms[1]:.2f} ms"),
        ("event loop lag of a second, median / worst", f"{median(lag_ms):.1f} / {max(lag_ms):.1f} ms"),
        ("CPU of each arrival", f"{cpu_s / max(balance.served, 1) * 1e6:.0f} us"),
        ("index of dispersion, plan", f"{plan_index:.3f}"),
        ("index of dispersion, nginx", f"{ours_index:.3f} ({off:+.1%})"),
    ]))  # fmt: skip
    return [
        Claim(f"new arrivals a second in one process >= {LEAST_PER_S:,}", f"{rate:,.0f}",
              rate >= LEAST_PER_S),
        Claim("planned = reached nginx = recorded", f"{len(planned_s)} = {len(came_s)} = {balance.served}",
              len(planned_s) == len(came_s) == balance.served),
        Claim("index of dispersion within 5 % of the plan's", f"{off:+.1%}", abs(off) <= DISPERSION_SLACK),
    ]  # fmt: skip


def _dispersion(times_s: np.ndarray) -> float:
    """Variance by mean of the counts in windows of WINDOW_S, without the first and the last half second."""
    inner = times_s[(times_s >= 0.5) & (times_s < SECONDS - 0.5)]
    counts = np.bincount(((inner - 0.5) / WINDOW_S).astype(int), minlength=round((SECONDS - 1) / WINDOW_S))
    return float(counts.var() / counts.mean())
