"""Runs over several processes: the effect of a killed worker or master on the numbers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from doorbuster.errors import ExitCode, RecordError
from doorbuster.records.reader import Run

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parent.parent.parent
SCENARIO = """
title: "Three workers"
story: A steady stream that three workers share.
target: {storefront: reference, shop: {profile: replatformed, query_time: 1ms, products: 200}}
demand:
  peak: 30 customers/s
  curve: {stages: [{for: %(length)s, at: 100%%}]}
channels:
  store: {share: 100%%, journeys: {pos_sale: 1}}
thresholds:
  can_order: ["rate>=90%%"]
drain: 10s
"""
LOCUST = [sys.executable, "-m", "locust", "-f", "locustfiles/retail_peak.py", "--only-summary"]


def start_locust(folder: Path, *options: str, length: str = "16s") -> subprocess.Popen:
    """Starts a headless run into folder/run; its output goes to folder/said."""
    path = folder / "three.yaml"
    path.write_text(SCENARIO % {"length": length}, encoding="utf-8")
    with (folder / "said").open("w") as said:
        return subprocess.Popen(
            [*LOCUST, "--headless", "--scenario", path, "--run-folder", folder / "run", *options],
            cwd=ROOT,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def wait_until(condition, *, limit_s: float = 40.0) -> None:
    give_up_at = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up_at, "waited in vain"
        time.sleep(0.05)


def seconds_recorded(folder: Path) -> int:
    try:
        with Run.open(folder / "run") as run:
            return run.recorded_s
    except RecordError:
        return 0


def free_port() -> str:
    """A free port for Locust's channel."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def workers_of(process: subprocess.Popen) -> list[psutil.Process]:
    """The forked workers, without the embedded shop."""
    children = psutil.Process(process.pid).children()
    return [child for child in children if "doorbuster.shop" not in " ".join(child.cmdline())]


def kill_all(processes) -> None:
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def after_a_kill(tmp_path_factory):
    """A run of three workers, one killed at its fourth second: (exit code, output, folder)."""
    folder, own = tmp_path_factory.mktemp("kill"), free_port()
    process = start_locust(folder, "--processes", "3", "--master-bind-port", own, "--master-port", own)
    try:
        wait_until(lambda: seconds_recorded(folder) >= 4)
        os.kill(workers_of(process)[1].pid, signal.SIGKILL)
        process.wait(timeout=90)
    finally:
        kill_all([process])
    return process.returncode, (folder / "said").read_text(), folder


@pytest.mark.truth
def test_a_run_that_lost_a_worker_is_inconclusive_and_states_why(after_a_kill):
    code, said, folder = after_a_kill
    assert code == 96, said
    with Run.open(folder / "run") as run:
        (lost,) = [event for event in run.events() if event.kind == "worker_lost"]
    assert "stopped reporting" in lost.text


@pytest.mark.truth
def test_every_customer_of_a_lost_worker_has_an_outcome(after_a_kill):
    with Run.open(after_a_kill[2] / "run") as run:
        totals = run.outcome_totals()
        causes = {row.cause for row in run.customers() if row.outcome == "dropped"}
    assert totals.planned == totals.accounted
    assert 0 < totals.dropped < totals.planned / 2
    assert {"worker_lost"} == causes


@pytest.mark.truth
def test_the_reports_of_a_lost_worker_stay(after_a_kill):
    with Run.open(after_a_kill[2] / "run") as run:
        reports = {row.worker: row for row in run.workers()}
    assert len(reports) == 4  # three workers, and the master on behalf of the lost one
    assert sum(not row.final for row in reports.values()) == 1
    assert all(row.received > 0 and row.missing == 0 for row in reports.values())


@pytest.mark.truth
def test_the_other_workers_generate_the_whole_load_from_the_next_second(after_a_kill):
    with Run.open(after_a_kill[2] / "run") as run:
        series = run.arrivals()["store"]
        (lost,) = [event for event in run.events() if event.kind == "worker_lost"]
    taken_over = int(lost.at_s) + 3
    assert taken_over < len(series.planned), "the run was over before the others could take over"
    assert series.planned[taken_over:].tolist() == series.started[taken_over:].tolist()


def kill_the_master(folder: Path) -> list[psutil.Process]:
    """Kills the master of a running run; returns its orphans: two workers and the embedded shop."""
    own = free_port()
    process = start_locust(
        folder, "--processes", "2", "--master-bind-port", own, "--master-port", own, length="60s"
    )
    try:
        wait_until(lambda: seconds_recorded(folder) >= 3)
        orphans = psutil.Process(process.pid).children(recursive=True)
    except BaseException:
        kill_all([process])
        raise
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return orphans


@pytest.mark.truth
def test_a_killed_master_leaves_a_run_file_that_reads_as_interrupted(tmp_path):
    orphans = kill_the_master(tmp_path)
    try:
        with Run.open(tmp_path / "run") as run:
            assert run.meta.status == "interrupted"
            assert run.recorded_s >= 3
    finally:
        for orphan in orphans:
            orphan.kill()


@pytest.mark.truth
def test_workers_and_embedded_shop_end_when_the_master_is_killed(tmp_path):
    orphans = kill_the_master(tmp_path)
    try:
        _, alive = psutil.wait_procs(orphans, timeout=40)
        assert [child.cmdline() for child in alive] == []
    finally:
        for orphan in orphans:
            if orphan.is_running():
                orphan.kill()


def test_separate_workers_get_the_scenario_from_the_master(tmp_path):
    own = free_port()
    master = start_locust(
        tmp_path, "--master", "--expect-workers", "2", "--master-bind-port", own, length="4s"
    )
    workers = [
        subprocess.Popen(
            [*LOCUST, "--worker", "--master-port", own],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(2)
    ]
    try:
        master.wait(timeout=120)
        # A busy machine may make the run late, and its verdict another one.
        verdicts = (ExitCode.PASS, ExitCode.INCONCLUSIVE, ExitCode.FAIL)
        assert master.returncode in verdicts, (tmp_path / "said").read_text()
        for worker in workers:
            worker.wait(timeout=60)
    finally:
        kill_all([master, *workers])
    with Run.open(tmp_path / "run") as run:
        totals, planned = run.outcome_totals(), run.arrivals()["store"].planned
        assert planned.sum() == totals.planned == totals.accounted > 60  # 4 s of 30 per second
        assert totals.served > 0
        assert len(run.workers()) == 2
        assert all(report.final for report in run.workers())
        clocks = [event.text for event in run.events() if event.kind == "clock"]
    assert len(clocks) == 2
    assert all("corrected" in text for text in clocks)
