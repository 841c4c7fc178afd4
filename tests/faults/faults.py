"""The faults of the drill: each breaks something in a run at a random moment and checks the guarantee."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
from experiment import LENGTH_S, ORDERS, ROOT, Experiment, SkippedError, fill, free_port, lock

from doorbuster.records.reader import Run

PASS, NOT_RECORDED, INCONCLUSIVE, ABORTED, USAGE = 0, 97, 96, 108, 2
FAULTS: dict[str, Callable[[Experiment], None]] = {}
LIMIT_PER_S = 40
STACK_BYTES = 32 * 2**30
STORM = (
    "think: {constant: 50ms}, retries: {attempts: 20, timeout: 5s, backoff: 10ms, jitter: 0%},"
    " reloads: {after: 100ms, max: 40, jitter: 0%}"
)


def fault(name: str) -> Callable[[Callable[[Experiment], None]], Callable[[Experiment], None]]:
    def add(function: Callable[[Experiment], None]) -> Callable[[Experiment], None]:
        FAULTS[name] = function
        return function

    return add


# ---- killed and stopped processes


def _pause(process: psutil.Process, seconds: float) -> None:
    """Stop a process, and let it go on."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)


@fault("a worker is killed")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "20")
    run.start()
    run.at_a_random_moment()
    run.a_worker().kill()
    run.expect_code(INCONCLUSIVE)
    run.expect_balanced()
    run.expect(run.events("worker_lost"), "the loss is not stated")


@fault("a worker is stopped for 2 s")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "20")
    run.start()
    run.at_a_random_moment()
    _pause(run.a_worker(), 2)
    run.expect_code(PASS, INCONCLUSIVE)
    run.expect_nothing_lost()


@fault("a worker is stopped for 9 s")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "20")
    run.start()
    run.at_a_random_moment()
    _pause(run.a_worker(), 9)
    run.expect_code(INCONCLUSIVE)
    run.expect_balanced()


@fault("the only process is stopped for 9 s")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "20")
    run.start(workers=0)
    run.at_a_random_moment()
    _pause(run.master(), 9)
    run.expect_code(INCONCLUSIVE)
    run.expect_nothing_lost()


@fault("the master is killed")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "20")
    run.start()
    run.at_a_random_moment()
    master, workers = run.master(), run.workers()
    with Run.open(run.run_folder) as before:
        recorded, n = before.recorded_s, before.histogram().n
    master.kill()
    run.expect_code(NOT_RECORDED)
    run.expect_processes_end(workers)
    with Run.open(run.run_folder) as after:
        run.expect(after.recorded_s >= recorded and after.histogram().n >= n, "recorded seconds were lost")


@fault("the master is stopped for 3 s")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "20")
    run.start()
    run.at_a_random_moment()
    _pause(run.master(), 3)
    run.expect_code(PASS, INCONCLUSIVE)
    run.expect_nothing_lost()


@fault("the command is killed")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "20")
    command = run.start()
    run.at_a_random_moment()
    processes = [run.master(), *run.workers()]
    os.kill(command.pid, signal.SIGKILL)
    run.expect_processes_end(processes)
    run.expect_balanced()
    with Run.open(run.run_folder) as after:
        run.expect(after.meta.status == "aborted", f"the run is {after.meta.status}")


# ---- disk and run file


@fault("the disk is full for 3 s")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "20")
    disk = run.small_disk()
    run.start()
    run.at_a_random_moment()
    fill(disk / "filler")
    time.sleep(3)
    (disk / "filler").unlink()
    run.expect_code(PASS, INCONCLUSIVE)
    run.expect_nothing_lost()


@fault("the disk stays full")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "20")
    disk = run.small_disk()
    run.start()
    run.at_a_random_moment()
    processes = [run.master(), *run.workers()]
    with Run.open(run.run_folder) as before:
        n = before.histogram().n
    fill(disk / "filler")
    code = run.end()
    run.expect(code == NOT_RECORDED, f"exit code {code}: {run.said[-400:]}")
    run.expect("the disk is full" in run.said, f"the reason is not stated: {run.said[-400:]}")
    run.expect_processes_end(processes)
    with Run.open(run.run_folder) as after:
        run.expect(after.histogram().n >= n, "recorded requests were lost")


@fault("the run file is locked for 8 s")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "20")
    run.start()
    run.at_a_random_moment()
    held = lock(run.run_folder / "run.sqlite")
    time.sleep(8)
    held.close()
    run.expect_code(PASS, INCONCLUSIVE)
    run.expect_nothing_lost()
    run.expect(run.events("record_delayed"), "the delay is not stated")


# ---- clocks


def _clock_is_set(run: Experiment, step: str, *, shop_too: bool) -> None:
    if shutil.which("faketime") is None:
        raise SkippedError("needs faketime")
    clock = run.folder / "clock"
    clock.write_text("+0s\n")
    preload = subprocess.run(
        ["faketime", "-f", "+0s", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environ = {
        "LD_PRELOAD": preload, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    target = "shop: {profile: replatformed}"
    if not shop_too:
        port = free_port()
        run.spawn(sys.executable, "-m", "doorbuster", "shop", "--port", port, output="shop")
        target = f'url: "http://127.0.0.1:{port}"'
        _wait_for_port(port)
    scenario = ORDERS.format(target=target, length_s=LENGTH_S)
    run.start_locust(scenario, workers=run.rng.choice((0, 2)), environ=environ)
    run.at_a_random_moment()
    clock.write_text(f"{step}\n")
    run.expect_code(PASS, INCONCLUSIVE)
    run.expect(run.events("clock_step"), "the step is not stated")
    with Run.open(run.run_folder) as record:
        audit = record.audit()
        run.expect(audit is not None and audit.acknowledged > 10, f"the audit is {audit}")
        run.expect(
            audit is not None and audit.missing == audit.duplicated == audit.oversold_units == 0,
            f"the audit found {audit}",
        )


def _wait_for_port(port: int) -> None:
    import socket

    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the shop did not start")


for _step in ("-1h", "+1h", "-30s", "+30s"):
    for _shop_too in (False, True):
        _who = "generator and shop" if _shop_too else "the generator"
        FAULTS[f"the clock of {_who} is set by {_step}"] = lambda run, step=_step, shop_too=_shop_too: (
            _clock_is_set(run, step, shop_too=shop_too)
        )


# ---- limits of the machine


@fault("a worker runs out of file descriptors")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "400")
    run.start(peak=60)
    run.at_a_random_moment()
    worker = run.a_worker()
    limit = max(worker.num_fds() - 4, 8)
    subprocess.run(["prlimit", f"--pid={worker.pid}", f"--nofile={limit}:{limit}"], check=True)
    run.expect_code(INCONCLUSIVE)
    run.expect_balanced()
    causes = run.dropped()
    run.expect(set(causes) == {"no_descriptors"}, f"dropped: {dict(causes)}")
    run.expect("ran out of file descriptors" in run.said, f"the limit is not named: {run.said[-400:]}")


@fault("the scenario needs more file descriptors than allowed")
def _(run: Experiment) -> None:
    most = run.rng.randrange(120, 140)
    scenario = (
        'title: Many\ntarget: {url: "URL"}\n'
        "demand: {peak: 90 customers/s, curve: {stages: [{for: 9s, at: 100%}]}}\n"
        "channels: {web: {share: 100%, journeys: {browse: 1}, patience: none, think: {constant: 9s}}}\n"
        'thresholds: {can_browse: ["rate>=1%"]}\n'
    )
    port = free_port()
    run.spawn(sys.executable, "-m", "doorbuster", "shop", "--port", port, output="shop")
    _wait_for_port(port)
    run.start(
        scenario.replace("URL", f"http://127.0.0.1:{port}"), workers=0,
        prefix=("prlimit", f"--nofile={most}:{most}"),
    )  # fmt: skip
    run.expect_code(USAGE)
    run.expect(f"file descriptors, has {most}" in run.said, f"the limit is not named: {run.said[-400:]}")


@fault("a worker gets no more memory")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "2000")
    run.start(peak=400, workers=2)
    run.at_a_random_moment()
    worker = run.a_worker()
    limit = worker.memory_info().vms + run.rng.randrange(0, 2_000_000)
    subprocess.run(["prlimit", f"--pid={worker.pid}", f"--as={limit}:{limit}"], check=True)
    run.expect_code(PASS, INCONCLUSIVE)
    run.expect_balanced()


@fault("no thread can be started")
def _(run: Experiment) -> None:
    """A thread gets as much memory as the stack may have, which is more than the process may have."""
    run.serve("--service-ms", "20")
    limits = (
        "prlimit",
        f"--stack={STACK_BYTES}:{STACK_BYTES}",
        f"--as={STACK_BYTES // 2}:{STACK_BYTES // 2}",
    )
    run.start(workers=0, prefix=limits, environ={"OPENBLAS_NUM_THREADS": "1"})
    run.expect_code(USAGE)
    run.expect("cannot start a thread" in run.said, f"the limit is not named: {run.said[-400:]}")


@fault("the generator runs out of ports")
def _(run: Experiment) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"]).returncode:
        raise SkippedError("needs the right to make a network namespace")
    server = (
        'ip link set lo up && echo 40000 40015 > /proc/sys/net/ipv4/ip_local_port_range && exec "$0" "$@"'
    )
    page = (sys.executable, ROOT / "tests/truth/stall_server.py", "--service-ms", "600")
    holder = run.spawn("unshare", "-n", "sh", "-c", server, *page)
    run.url = holder.stdout.readline().strip()
    inside = ("nsenter", "-t", holder.pid, "-n")
    run.start(workers=0, peak=60, sources="127.0.0.1", prefix=inside)
    run.expect_code(INCONCLUSIVE)
    with Run.open(run.run_folder) as record:
        totals = record.outcome_totals()
        run.expect(not totals.in_flight_or_missing, "customers have no outcome")
        run.expect(not totals.turned_away, f"{totals.turned_away} customers were turned away by the shop")
    causes = run.dropped()
    run.expect(set(causes) == {"no_ports"}, f"dropped: {dict(causes)}")
    run.expect("ran out of local ports" in run.said, f"the limit is not named: {run.said[-400:]}")


# ---- network between master and workers


def _partition(run: Experiment, cut_s: float) -> None:
    port = free_port()
    run.serve("--service-ms", "20")
    relay = run.spawn(sys.executable, ROOT / "tests/load/relay.py", "--to", f"127.0.0.1:{port}")
    through = relay.stdout.readline().strip()
    run.start(workers=0, max_rate=LIMIT_PER_S * 2, options=("--expect-workers", 2, "--bind-port", port))
    workers = [
        run.spawn(sys.executable, "-m", "doorbuster", "worker", "--master-port", at, "--locustfile",
                  ROOT / "tests/load/one_step.py", output=f"worker-{at}")
        for at in (port, through)
    ]  # fmt: skip
    run.at_a_random_moment()
    relay.stdin.write(f"cut {cut_s}\n")
    relay.stdin.flush()
    if cut_s < 5:
        run.expect_code(PASS, INCONCLUSIVE)
        run.expect_nothing_lost()
    else:
        run.expect_code(INCONCLUSIVE)
        run.expect_balanced()
    run.expect(run.most_in_a_second() <= LIMIT_PER_S * 2 * 1.05, f"{run.most_in_a_second()} in a second")
    for worker in workers:
        try:
            worker.wait(timeout=30)
        except subprocess.TimeoutExpired:
            run.expect(False, "a worker outlives the run")


@fault("a worker cannot reach the master for 2 s")
def _(run: Experiment) -> None:
    _partition(run, 2.0)


@fault("a worker cannot reach the master any more")
def _(run: Experiment) -> None:
    _partition(run, 60.0)


# ---- a storm of retries


@fault("a storm of retries, and a worker is stopped for 8 s")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "1", "--shed-ms", "0")
    run.start(peak=20, behaviour=STORM, max_rate=LIMIT_PER_S)
    run.at_a_random_moment()
    _pause(run.a_worker(), 8)
    run.end()
    most = run.most_in_a_second()
    run.expect(most <= LIMIT_PER_S * 1.05, f"{most} requests in a second, the limit is {LIMIT_PER_S}")


@fault("a storm of retries, and a worker is killed")
def _(run: Experiment) -> None:
    run.serve("--service-ms", "1", "--shed-ms", "0")
    run.start(peak=20, behaviour=STORM, max_rate=LIMIT_PER_S)
    run.at_a_random_moment()
    run.a_worker().kill()
    run.end()
    most = run.most_in_a_second()
    run.expect(most <= LIMIT_PER_S * 1.05, f"{most} requests in a second, the limit is {LIMIT_PER_S}")
