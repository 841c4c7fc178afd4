"""Workers that are killed, at once or at their last report, or stopped for a while.

No customer may be counted twice or be missing, and the load of the other workers must stay; the server counts
what was sent. Every such run is inconclusive.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from doorbuster.errors import ExitCode
from doorbuster.records.reader import Run

pytestmark = [pytest.mark.truth, pytest.mark.alone]

HERE = Path(__file__).parent
RATE_PER_S = 150
NOTICED_S = 2.0  # an ended process on this machine is detected at the second check
REPORT_S = 1.0


def losses(run) -> list:
    return [event for event in run.events() if event.kind == "worker_lost"]


def started_by(live) -> dict[int, np.ndarray]:
    """Arrivals that each worker started, per second of the run."""
    seconds = int(live.planned_s()[-1]) + 1
    per_worker: dict[int, np.ndarray] = {}
    for worker, second, n in live.rows("SELECT worker, second, started FROM arrivals"):
        per_worker.setdefault(worker, np.zeros(seconds, dtype=int))[second] += n
    return {worker: counts for worker, counts in per_worker.items() if counts.any()}


def shares(live, workers: int) -> list[np.ndarray]:
    """The arrivals of each worker's own share, per second."""
    planned_s = live.planned_s()
    seconds = int(planned_s[-1]) + 1
    return [np.bincount(planned_s[n::workers].astype(int), minlength=seconds) for n in range(workers)]


def assert_all_customers_are_accounted_for(live) -> None:
    with Run.open(live.run_folder) as run:
        totals, recorded = run.outcome_totals(), run.histogram("response").n
        series = run.arrivals()["web"]
    planned = len(live.planned_s())
    assert planned == totals.planned == totals.served + totals.dropped
    assert planned == int(series.started.sum() + series.dropped.sum())
    assert recorded == totals.served <= live.delivered() <= planned


def kill(processes) -> None:
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("victims", [1, 2])
def test_the_other_workers_take_over_the_arrivals_of_a_killed_one(victims, start_run, worker, stall_server):
    live = start_run(stall_server("--service-ms", "3"), [worker()] * 4, peak=RATE_PER_S, length_s=12)
    started_at = live.started_at()
    live.wait_for_second(4)
    kill(live.workers[:victims])
    killed_s = time.time() - started_at
    assert live.end() == ExitCode.INCONCLUSIVE, live.output
    assert_all_customers_are_accounted_for(live)
    with Run.open(live.run_folder) as run:
        lost, dropped, series = losses(run), run.outcome_totals().dropped, run.arrivals()["web"]
    assert len(lost) == victims
    noticed_after_s = max(event.at_s for event in lost) - killed_s
    unreported = live.delivered() - (len(live.planned_s()) - dropped)
    print(
        f"noticed after {noticed_after_s:.2f} s, dropped {dropped}, of which sent and unreported {unreported}"
    )
    assert noticed_after_s < NOTICED_S + REPORT_S
    # At most the unreported second, the time until it was noticed, and until others take over.
    share_per_s = RATE_PER_S * victims / 4
    assert dropped < 1.25 * share_per_s * (REPORT_S + noticed_after_s + REPORT_S)
    taken_over = int(max(event.at_s for event in lost)) + 2
    assert taken_over < 11
    assert series.planned[taken_over:].tolist() == series.started[taken_over:].tolist()
    own, by_worker = shares(live, 4), list(started_by(live).values())
    survivors = [counts for counts in by_worker if counts[-1]]
    assert len(survivors) == 4 - victims
    for counts in survivors:  # at least its own share per second, plus an equal part of the reassigned
        assert any((counts >= share).all() for share in own)
    extra = [counts[taken_over:].sum() for counts in survivors]
    assert max(extra) - min(extra) < 0.25 * max(extra)


def test_a_run_without_workers_ends_and_accounts_for_every_customer(start_run, worker, stall_server):
    live = start_run(stall_server("--service-ms", "3"), [worker()] * 2, peak=RATE_PER_S, length_s=30)
    live.wait_for_second(3)
    kill(live.workers)
    assert live.end(limit_s=25) == ExitCode.INCONCLUSIVE, live.output
    assert_all_customers_are_accounted_for(live)
    with Run.open(live.run_folder) as run:
        assert len(losses(run)) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_killed_at_its_last_report_loses_no_customer(when, start_run, worker, stall_server):
    last = worker(locustfile=HERE / "dying_worker.py", environment={"DIES_WHEN": when})
    live = start_run(
        stall_server("--service-ms", "3"), [worker(), worker(), last], peak=RATE_PER_S, length_s=5
    )
    code = live.end()
    assert live.workers[2].wait(timeout=20) == -signal.SIGKILL
    assert_all_customers_are_accounted_for(live)
    with Run.open(live.run_folder) as run:
        lost, dropped = losses(run), run.outcome_totals().dropped
    planned = len(live.planned_s())
    assert live.delivered() == planned
    if when == "before":
        assert code == ExitCode.INCONCLUSIVE
        assert len(lost) == 1
        assert 0 < dropped <= 1.5 * RATE_PER_S / 3 * REPORT_S  # the content of the last report
    else:
        assert (len(lost), dropped) == (0, 0), live.output


@pytest.mark.parametrize("still_s", [3.0, 5.0, 9.0])
def test_a_stopped_worker_is_late_or_lost_but_no_customer_arrives_twice(
    still_s, start_run, worker, stall_server
):
    live = start_run(stall_server("--service-ms", "3"), [worker()] * 3, peak=RATE_PER_S, length_s=16)
    live.wait_for_second(3)
    os.killpg(live.workers[0].pid, signal.SIGSTOP)
    time.sleep(still_s)
    os.killpg(live.workers[0].pid, signal.SIGCONT)
    assert live.end() == ExitCode.INCONCLUSIVE, live.output
    assert_all_customers_are_accounted_for(live)
    planned = len(live.planned_s())
    with Run.open(live.run_folder) as run:
        lost, dropped, late_us = losses(run), run.outcome_totals().dropped, run.lateness().max_us
    print(f"lost {len(lost)}, dropped {dropped}, delivered {live.delivered()} of {planned}")
    if still_s < 4:
        assert (len(lost), dropped) == (0, 0)
        assert live.delivered() == planned
        assert late_us > (still_s - 0.5) * 1e6
    if still_s > 7:
        assert len(lost) == 1
        # It was counted as lost meanwhile: it starts no customer that was reassigned.
        assert live.delivered() - (planned - dropped) <= 1.5 * RATE_PER_S / 3 * REPORT_S
