"""A killed master and a full disk during a run: the recorded part is complete and stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from doorbuster.errors import ExitCode
from doorbuster.records.reader import Run

pytestmark = [pytest.mark.truth, pytest.mark.alone]

RATE_PER_S = 150


def whole_seconds(live) -> int:
    """The number of complete seconds: every planned arrival and its request are recorded."""
    assert live.rows("PRAGMA integrity_check") == [("ok",)]
    requests = dict(live.rows("SELECT second, sum(n) FROM requests GROUP BY second"))
    with Run.open(live.run_folder) as run:
        series = run.arrivals()["web"]
    second = 0
    while second < len(series.planned) and series.planned[second] == requests.get(second, 0):
        assert series.planned[second] == series.started[second]
        second += 1
    return second


def test_a_killed_master_loses_at_most_the_last_second(start_run, worker, stall_server, doorbuster):
    live = start_run(stall_server("--service-ms", "3"), [worker()] * 2, peak=RATE_PER_S, length_s=60)
    started_at = live.started_at()
    live.wait_for_second(5)
    os.killpg(live.master.pid, signal.SIGKILL)
    killed_s = time.time() - started_at
    recorded = whole_seconds(live)
    print(f"killed at {killed_s:.2f} s, whole up to second {recorded}")
    # A second is reported at its end, and written by the master within another second.
    assert recorded >= int(killed_s - 2.0)
    told = doorbuster("report", live.run_folder)
    assert told.stdout.startswith("INTERRUPTED: the run ended after"), told
    assert doorbuster("gate", live.run_folder).returncode == ExitCode.NOT_RECORDED


def fill(file: Path) -> None:
    """Write until there is no room left for a single byte."""
    with file.open("wb", buffering=0) as out:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while out.write(b"-" * size):
                    pass


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a disk of a chosen size needs root and the program mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this machine does not let us mount a small disk: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_disk_that_is_full_for_a_while_loses_nothing(start_run, worker, stall_server, small_disk):
    folder = small_disk / "run"
    live = start_run(
        stall_server("--service-ms", "3"), [worker()] * 2, peak=RATE_PER_S, length_s=12, run_folder=folder
    )
    live.wait_for_second(3)
    fill(small_disk / "filler")
    time.sleep(4.0)
    (small_disk / "filler").unlink()
    live.end(limit_s=60)
    with Run.open(folder) as run:
        assert run.meta.status == "finished"
        assert run.outcome_totals().served == len(live.planned_s()) == live.delivered() == run.histogram().n
        said = [event.text for event in run.events() if event.kind == "record_delayed"]
    assert said
    assert all(text.endswith("nothing was lost") for text in said)


def test_a_full_disk_ends_the_run_with_one_line_and_keeps_the_recorded_part(
    start_run, worker, stall_server, small_disk
):
    folder = small_disk / "run"
    live = start_run(
        stall_server("--service-ms", "3"),
        [worker()] * 2,
        peak=RATE_PER_S,
        length_s=60,
        run_folder=folder,
    )
    started_at = live.started_at()
    live.wait_for_second(4)
    fill(small_disk / "filler")
    filled_s = time.time() - started_at
    code = live.end(limit_s=120)
    complaints = [line for line in live.output.splitlines() if line.startswith("doorbuster:")]
    assert len(complaints) == 1, live.output
    assert "disk" in complaints[0]
    assert "Traceback" not in live.output, live.output
    assert code == ExitCode.NOT_RECORDED
    recorded = whole_seconds(live)
    print(f"full at {filled_s:.2f} s, whole up to second {recorded}; {complaints[0]}")
    assert recorded >= int(filled_s - 2.0)
    with Run.open(folder) as run:
        assert run.meta.status == "interrupted"
    for worker in live.workers:
        worker.wait(timeout=20)
