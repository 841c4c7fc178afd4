"""Memory per thinking customer: 4,000 of them, each with connection, cookies and journey state.

Each generator runs with few users and with many. The memory per user is the difference in resident memory,
divided by the difference in connections that nginx holds open.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.competitor_http import k6, locust_users, ours, running
from benchmarks.server import Nginx, nginx
from benchmarks.targets import TargetResult, table

FEW, MANY = 50, 4_000
LIMIT_KB = 24.0
SECONDS = 10.0
_SETTLE_S = 3.0
_LIMIT_S = 90.0
_WAITING = "web: {share: 100%, journeys: {search: 1}, patience: none, think: {constant: 900s}}"


def run() -> list[TargetResult]:
    """Raises: server.MissingError."""
    with nginx() as server:
        kb = {
            "ours": _kb_each(server, lambda users, folder: ours(
                folder, server, _WAITING, peak=users / SECONDS, length_s=SECONDS, drain_s=600)),
            "k6": _kb_each(server, lambda users, _: k6(server, users, WAIT="1")),
            "Locust FastHttpUser": _kb_each(
                server, lambda users, _: locust_users(server, "FastShopper", users, BENCH_WAIT="1")),
        }  # fmt: skip
    print(
        table(("contender", f"kB per waiting customer at {MANY}"), [(k, f"{v:.1f}") for k, v in kb.items()])
    )
    return [TargetResult(f"memory per waiting customer at {MANY} <= {LIMIT_KB:g} kB", f"{kb['ours']:.1f} kB",
                  kb["ours"] <= LIMIT_KB)]  # fmt: skip


def _kb_each(server: Nginx, command) -> float:
    sizes = []
    for users in (FEW, MANY):
        with tempfile.TemporaryDirectory() as folder, running(command(users, Path(folder))) as process:
            connections = _wait_until_all_wait(server, users)
            sizes.append((connections, process.memory_info().rss))
        _wait_until_gone(server)
    (few, small), (many, big) = sizes
    return (big - small) / (many - few) / 1e3


def _wait_until_all_wait(server: Nginx, users: int) -> int:
    """Connections once their number is stable; nearly all `users` must have arrived."""
    give_up_at, same_since, before = time.monotonic() + _LIMIT_S, time.monotonic(), -1
    while time.monotonic() < give_up_at:
        now = server.connections()
        if now != before:
            same_since, before = time.monotonic(), now
        if now > 0.8 * users and time.monotonic() - same_since > _SETTLE_S:
            return now
        time.sleep(0.2)
    raise RuntimeError(f"only {before} of {users} users came")


def _wait_until_gone(server: Nginx) -> None:
    give_up_at = time.monotonic() + _LIMIT_S
    while server.connections() > 5 and time.monotonic() < give_up_at:
        time.sleep(0.2)
