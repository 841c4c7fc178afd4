"""Cost of the master alone, fed by up to 500 simulated workers that report 20 series a second each.

Processor time of the master's process per report, against the number of workers; a slope of 1 in double
logarithms is linear. No customer is started, so the figures are those of the master and of nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from benchmarks.simulated_workers import SERIES
from benchmarks.targets import TargetResult, table
from doorbuster.errors import RecordError
from doorbuster.records.reader import Run

ROOT = Path(__file__).parent.parent
COUNTS = (50, 100, 200, 350, 500)
SECONDS = 15
LIMIT_S = 60
MAX_EXPONENT = 1.1
MAX_CPU_RATIO = 0.6  # of one core at 500 workers
SCENARIO = """
title: "Master alone"
target: {{storefront: "custom:one-page", url: "{url}"}}
demand: {{peak: 1 customers/s, curve: {{stages: [{{for: {seconds}s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{order_status: 1}}, patience: none}}}}
safety: {{max_rate: 100000 requests/s}}
drain: 5s
"""


class MasterCost(NamedTuple):
    """Of one round with `workers` simulated workers."""

    workers: int
    cpu_ratio: float  # of one core, while the workers report
    cpu_ms_per_report: float
    reports_per_s: float
    reports: int
    missing: int
    memory_mb: float
    file_bytes_per_report: float


def measure(workers: int, *, seconds: int = SECONDS) -> MasterCost:
    """Start a master, feed it for `seconds`, and read its processor time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = subprocess.Popen(
            [sys.executable, ROOT / "tests/truth/stall_server.py", "--service-ms", "1"], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert server.stdout is not None
        scenario = folder / "master.yaml"
        scenario.write_text(SCENARIO.format(url=server.stdout.readline().strip(), seconds=seconds))
        port = 20_000 + int(time.time()) % 10_000
        with (folder / "said").open("w") as said:
            master = subprocess.Popen(
                [sys.executable, "-m", "doorbuster.load.plain_locust", "-f", ROOT / "tests/load/one_step.py",
                 "--headless", "--only-summary", "--scenario", scenario, "--run-folder", folder / "run",
                 "--master", "--expect-workers", str(workers), "--master-bind-port", str(port)],
                cwd=ROOT, stdout=said, stderr=said,
            )  # fmt: skip
        feeder = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.simulated_workers", str(port), str(workers)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            return _watch(psutil.Process(master.pid), folder / "run", workers, seconds, feeder)
        finally:
            for process in (feeder, master, server):
                process.kill()
                process.wait()
                for stream in (process.stdin, process.stdout):
                    if stream is not None:
                        stream.close()


def _watch(
    master: psutil.Process, folder: Path, workers: int, seconds: int, feeder: subprocess.Popen[str]
) -> MasterCost:
    """Processor time per report that is recorded between the third second of the run and its last but one."""
    cpu_s, at_s, received = [], [], []
    give_up_at = time.monotonic() + LIMIT_S
    for second in (3, seconds - 2):
        while _recorded(folder)[0] < second:
            assert time.monotonic() < give_up_at, f"second {second} was never recorded"
            time.sleep(0.1)
        times = master.cpu_times()
        cpu_s.append(times.user + times.system)
        at_s.append(time.monotonic())
        received.append(_recorded(folder)[1])
    memory_mb = master.memory_info().rss / 1e6
    assert feeder.stdout is not None
    feeder.stdout.readline()
    (used_s,), (lasted_s,), (reports,) = (np.diff(each) for each in (cpu_s, at_s, received))
    with Run.open(folder) as run:
        mine = [row for row in run.workers() if row.worker.startswith("simulated")]
    total, missing = sum(row.received for row in mine), sum(row.missing for row in mine)
    size = sum(path.stat().st_size for path in folder.glob("run.sqlite*"))
    return MasterCost(
        workers, float(used_s / lasted_s), float(1e3 * used_s / reports), float(reports / lasted_s), total,
        missing, memory_mb, size / max(total, 1),
    )  # fmt: skip


def _recorded(folder: Path) -> tuple[int, int]:
    """Seconds and reports recorded so far."""
    try:
        with Run.open(folder) as run:
            return run.recorded_s, sum(row.received for row in run.workers())
    except RecordError:  # not there yet, or being written
        return -1, 0


def exponent(costs: Sequence[MasterCost]) -> float:
    """The power of the number of workers with which the processor time grows, by least squares."""
    x = np.log([cost.workers for cost in costs])
    y = np.log([cost.cpu_ratio for cost in costs])
    return float(np.polyfit(x, y, 1)[0])


def run() -> list[TargetResult]:
    """Measure each number of workers once and print the table."""
    costs = [measure(workers) for workers in COUNTS]
    head = (
        "workers",
        "of one core",
        "ms per report",
        "reports/s",
        "reports",
        "missing",
        "memory MB",
        "file B per report",
    )
    rows = [
        (cost.workers, f"{cost.cpu_ratio:.2f}", f"{cost.cpu_ms_per_report:.2f}",
         f"{cost.reports_per_s:.0f}", cost.reports, cost.missing,
         f"{cost.memory_mb:.0f}", f"{cost.file_bytes_per_report:.0f}")
        for cost in costs
    ]  # fmt: skip
    print(f"{SERIES} series a second and worker\n")
    print(table(head, rows))
    slope, largest = exponent(costs), costs[-1]
    lost = sum(cost.missing for cost in costs)
    return [
        TargetResult(f"the master's cost grows as workers to the power of <= {MAX_EXPONENT}", f"{slope:.2f}",
                     slope <= MAX_EXPONENT),
        TargetResult(f"{largest.workers} workers take <= {MAX_CPU_RATIO:.0%} of a core",
                     f"{largest.cpu_ratio:.0%}", largest.cpu_ratio <= MAX_CPU_RATIO),
        TargetResult("reports that were not recorded", str(lost), lost == 0),
    ]  # fmt: skip
