"""Reports that are lost, duplicated or late between worker and master count once.

Over Locust's channel, between processes; the server counts the real arrivals.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from doorbuster.load.coordination.worker_registry import SILENCE_LIMIT_S
from doorbuster.records.reader import Run

pytestmark = pytest.mark.alone

HERE = Path(__file__).parent


def assert_each_counts_once(live) -> None:
    with Run.open(live.run_folder) as run:
        started, recorded = int(run.arrivals()["web"].started.sum()), run.histogram("response").n
        reports, served = run.workers(), run.outcome_totals().served
        assert [event for event in run.events() if event.kind == "worker_lost"] == []
    assert {len(live.planned_s())} == {live.delivered(), recorded, served, started}
    assert all(report.final and not report.missing for report in reports)


@pytest.fixture
def relay(port):
    """Starts tests/load/relay.py in front of the master's port: (its port, a function that cuts it)."""
    started = []

    def start(*options: object):
        command = [sys.executable, HERE / "relay.py", "--to", f"127.0.0.1:{port}", *map(str, options)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)

        def cut(for_s: float) -> None:
            process.stdin.write(f"cut {for_s}\n")
            process.stdin.flush()

        return int(process.stdout.readline()), cut

    yield start
    for process in started:
        process.stdin.close()
        assert process.wait(10) == 0
        process.stdout.close()


@pytest.mark.truth
def test_lost_late_and_duplicate_reports_count_once(start_run, worker, stall_server):
    specs = [worker(locustfile=HERE / "lossy_worker.py")] * 3
    live = start_run(stall_server("--service-ms", "2"), specs, peak=90, length_s=6)
    live.end()
    assert_each_counts_once(live)
    said = [(live.folder / f"output-{number}").read_text() for number in range(3)]
    faults = Counter(line.split()[0] for text in said for line in text.splitlines() if line)
    assert faults["last-lost"] == 3
    assert min(faults[fault] for fault in ("lost", "twice", "late", "answer-lost")) >= 3


@pytest.mark.truth
@pytest.mark.parametrize("cut_for_s", [0.0, 2.0])
def test_a_broken_connection_during_the_run_loses_no_report(
    cut_for_s, start_run, worker, relay, stall_server
):
    through, cut = relay("--delay-ms", 20)
    live = start_run(
        stall_server("--service-ms", "2"),
        [worker(master_port=through), worker()],
        peak=90,
        length_s=8,
    )
    live.wait_for_second(3)
    cut(cut_for_s)
    live.end()
    assert_each_counts_once(live)


@pytest.mark.truth
def test_a_broken_connection_at_the_end_loses_no_report(start_run, worker, relay, stall_server):
    through, cut = relay()
    live = start_run(
        stall_server("--service-ms", "2"),
        [worker(master_port=through), worker()],
        peak=90,
        length_s=5,
    )
    live.wait_for_second(4)
    cut(2.5)
    live.end()
    assert_each_counts_once(live)


@pytest.mark.truth
def test_a_disconnected_worker_stops_when_the_master_counts_it_as_lost(
    start_run, worker, relay, stall_server
):
    through, cut = relay()
    live = start_run(stall_server("--service-ms", "2"), [worker(master_port=through)], peak=60, length_s=60)
    live.wait_for_second(3)
    cut_s = time.time() - live.started_at()
    cut(60.0)
    live.workers[0].wait(timeout=30)
    loaded_on_s = live.arrivals_s()[-1] - cut_s
    print(f"loaded on for {loaded_on_s:.1f} s")
    assert 4.0 < loaded_on_s < SILENCE_LIMIT_S + 1.5  # checked at the next report, a second later
    live.end()
    with Run.open(live.run_folder) as run:
        assert [event.kind for event in run.events() if event.kind == "worker_lost"] == ["worker_lost"]
