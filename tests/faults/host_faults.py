"""Faults of a run across two hosts: lost and unreachable workers, lost master, slow cables, wrong clocks."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable

import psutil
from experiment import Experiment, SkippedError
from hosts import TwoHosts

from doorbuster.records.reader import Run
from doorbuster.scenario import load_scenario, plan_schedule

PASS, NOT_RECORDED, INCONCLUSIVE = 0, 97, 96
HOST_FAULTS: dict[str, Callable[[Experiment], None]] = {}


def across_hosts(name: str) -> Callable[[Callable[[Experiment, TwoHosts], None]], object]:
    """Register a fault; the hosts are removed after it."""

    def add(function: Callable[[Experiment, TwoHosts], None]) -> object:
        def fault(run: Experiment) -> None:
            hosts = TwoHosts(run)
            try:
                function(run, hosts)
            finally:
                hosts.close()

        HOST_FAULTS[name] = fault
        return function

    return add


def _family(worker: subprocess.Popen) -> list[psutil.Process]:
    """The processes of `doorbuster worker`."""
    return [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]


def _expect_accounted(run: Experiment, hosts: TwoHosts, workers: list[subprocess.Popen]) -> None:
    """Every planned customer has one outcome, a request recorded was sent, and nothing is left running."""
    with Run.open(run.run_folder) as record:
        totals, recorded = record.outcome_totals(), record.histogram().n
    planned = len(plan_schedule(load_scenario(run.folder / "scenario.yaml")))
    run.expect(not totals.in_flight_or_missing, f"{totals.in_flight_or_missing} customers have no outcome")
    run.expect(planned == totals.planned, f"{planned} planned, {totals.planned} in the run file")
    sent = hosts.requests()
    run.expect(recorded <= sent, f"{recorded} requests recorded, {sent} at the server")
    give_up_at = time.monotonic() + 40
    for worker in workers:
        try:
            worker.wait(timeout=max(0.1, give_up_at - time.monotonic()))
        except subprocess.TimeoutExpired:
            run.expect(False, "a worker outlives the run")


@across_hosts("on another host, a worker is killed")
def _(run: Experiment, hosts: TwoHosts) -> None:
    hosts.serve()
    workers = hosts.start()
    run.at_a_random_moment()
    for process in _family(run.rng.choice(workers)):
        process.kill()
    run.expect_code(INCONCLUSIVE)
    run.expect(run.events("worker_lost"), "the loss is not stated")
    _expect_accounted(run, hosts, workers)


def _partition(run: Experiment, hosts: TwoHosts, cut_s: float) -> None:
    hosts.serve()
    workers = hosts.start(length_s=12)
    run.at_a_random_moment()
    hosts.cut()
    time.sleep(cut_s)
    hosts.mend()
    run.expect_code(*((PASS, INCONCLUSIVE) if cut_s < 5 else (INCONCLUSIVE,)))
    if run.events("worker_lost"):
        run.expect(run.dropped().keys() <= {"worker_lost"}, f"dropped: {dict(run.dropped())}")
    else:
        run.expect(cut_s < 5, "the loss is not stated")
        run.expect(not run.dropped(), f"dropped without a loss: {dict(run.dropped())}")
    _expect_accounted(run, hosts, workers)


@across_hosts("on another host, the workers cannot reach the master for 3 s")
def _(run: Experiment, hosts: TwoHosts) -> None:
    _partition(run, hosts, 3.0)


@across_hosts("on another host, the workers cannot reach the master for 30 s")
def _(run: Experiment, hosts: TwoHosts) -> None:
    _partition(run, hosts, 30.0)


@across_hosts("on another host, the master is killed")
def _(run: Experiment, hosts: TwoHosts) -> None:
    hosts.serve()
    workers = hosts.start()
    processes = [process for worker in workers for process in _family(worker)]
    run.at_a_random_moment()
    with Run.open(run.run_folder) as before:
        n = before.histogram().n
    run.master().kill()
    run.expect_code(NOT_RECORDED)
    with Run.open(run.run_folder) as after:
        run.expect(after.histogram().n >= n, "recorded requests were lost")
    run.expect_processes_end(processes, limit_s=30)


@across_hosts("on another host, the cable delays by 100 ms ± 50 and loses 1 %")
def _(run: Experiment, hosts: TwoHosts) -> None:
    hosts.serve()
    hosts.slow_down()
    workers = hosts.start()
    run.expect_code(PASS, INCONCLUSIVE)
    clocks = run.events("clock")
    run.expect(len(clocks) == len(workers), f"clocks: {clocks}")
    run.expect(not run.events("worker_lost"), "a slow worker counts as lost")
    run.expect(not run.dropped(), f"dropped: {dict(run.dropped())}")
    _expect_accounted(run, hosts, workers)


@across_hosts("on another host, the clocks of the workers are minutes off")
def _(run: Experiment, hosts: TwoHosts) -> None:
    if shutil.which("faketime") is None:
        raise SkippedError("needs faketime")
    hosts.serve()
    workers = hosts.start(faketime=("+7m", "-4m"))
    run.expect_code(PASS, INCONCLUSIVE)
    clocks = " ".join(run.events("clock"))
    for offset in ("+4", "-2"):  # +420,000 ms and -240,000 ms
        run.expect(f"clock {offset}" in clocks, f"the offset is not stated: {clocks}")
    run.expect(not run.dropped(), f"dropped: {dict(run.dropped())}")
    with Run.open(run.run_folder) as record:
        seconds = [row.second for rows in record.health().values() for row in rows]
    run.expect(seconds and min(seconds) >= -2 and max(seconds) < 60, "seconds follow a wrong clock")
    _expect_accounted(run, hosts, workers)
