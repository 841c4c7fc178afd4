"""The observing process: what it costs, what it says, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil

from doorbuster.observe.plan import ObservationPlan, SourcePlan
from doorbuster.observe_process import Observed, ObserverProcess


def scrape(url):
    settings = {"url": url, "headers": {}, "networks": ["127.0.0.0/8"]}
    return SourcePlan("app", "scrape", 1.0, (), settings)


def read_until(process, done, limit_s=15.0):
    found, end = Observed(), time.monotonic() + limit_s
    while not done(found) and time.monotonic() < end:
        more = process.read()
        found.rows += more.rows
        found.events += more.events
        time.sleep(0.02)
    return found


def child_of(process):
    return psutil.Process(process._process.pid)


def test_values_arrive_while_it_runs_and_it_ends_with_its_input(serve, tmp_path):
    with serve(lambda _: (200, {}, b"queue 7\n")) as url:
        process = ObserverProcess(ObservationPlan(time.perf_counter(), (scrape(url),)), tmp_path / "log")
        found = read_until(process, lambda one: any(row[2] == "queue" for row in one.rows))
        cpu = child_of(process).cpu_times()
        process.stop()

    assert ("app", "queue", "{}", 7.0) in {tuple(row[1:]) for row in found.rows}
    assert process.has_ended
    assert cpu.user + cpu.system < 2.0  # no heavy library is imported, even on a busy machine
    assert not (tmp_path / "log").exists()  # it printed nothing, and an empty log is removed


def test_a_killed_process_is_noticed(serve, tmp_path):
    with serve(lambda _: (200, {}, b"queue 7\n")) as url:
        process = ObserverProcess(ObservationPlan(time.perf_counter(), (scrape(url),)), tmp_path / "log")
        read_until(process, lambda one: one.rows)
        os.kill(process._process.pid, signal.SIGKILL)
        read_until(process, lambda _: process.has_ended)

    assert process.has_ended
    process.stop()


def test_it_imports_nothing_heavy():
    program = (
        "import sys, doorbuster.observe.__main__\n"
        "heavy = ('locust', 'gevent', 'numpy', 'scipy', 'pydantic', 'matplotlib', 'psutil', 'aiohttp')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
