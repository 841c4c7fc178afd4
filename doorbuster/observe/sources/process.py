"""Observes processes of this machine: a process and its children, found by process id, port or command.

Of each: processor, busiest thread, memory, threads, descriptors, disk, and connections that wait to be
accepted on its port. A thread is busy while it runs or waits for a processor, so that a program with one
thread is full at 100 % of one, however many processors there are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from doorbuster.observe.sample import SourceError, TargetSample, counter, gauge

LISTENING = "0A"  # state in /proc/net/tcp


class ProcessSource:
    """One program, with all processes that it started."""

    def __init__(
        self, *, name: str, pid: int | None = None, port: int | None = None, command: str = "", **_: Any
    ) -> None:
        self._name = name
        self._pid, self._port, self._command = pid, port, command
        self._root: psutil.Process | None = None
        self._busy: dict[int, tuple[float, float]] = {}

    def read(self) -> Iterator[TargetSample]:
        root = self._find()
        try:
            processes = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            self._root = None
            raise SourceError(f"the process {root.pid} has ended") from None
        yield from self._usage(processes)
        yield from self._busiest_thread(processes)
        if self._port is not None:
            waiting = accept_queue(self._port)
            yield gauge("accept_queue", waiting)
            yield gauge("saturation", waiting, resource=f"connections of {self._name}")

    def close(self) -> None:
        """Nothing is held."""

    # ---- inside

    def _find(self) -> psutil.Process:
        root, self._root = self._root, None
        if root is not None and root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            self._root = root
            return root
        pid = self._pid
        if pid is None and self._port is not None:
            pid = _listener(self._port)
        elif pid is None:
            pid = _by_command(self._command)
        try:
            if pid is None:
                raise psutil.NoSuchProcess(0)
            self._root = psutil.Process(pid)
        except psutil.NoSuchProcess:
            raise SourceError(f"there is no process {self._what}") from None
        except psutil.AccessDenied:
            raise SourceError(f"the process {self._what} belongs to another user") from None
        return self._root

    @property
    def _what(self) -> str:
        if self._pid is not None:
            return f"with process id {self._pid}"
        return f"listening on port {self._port}" if self._port is not None else f"named {self._command!r}"

    def _usage(self, processes: list[psutil.Process]) -> Iterator[TargetSample]:
        cpu_s = rss = threads = fds = written = read = 0.0
        fullest = 0.0
        for process in processes:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    cpu_s += times.user + times.system
                    rss += process.memory_info().rss
                    threads += process.num_threads()
                    own_fds = process.num_fds()
                    fds += own_fds
                    limit = process.rlimit(psutil.RLIMIT_NOFILE)[0]
                    fullest = max(fullest, own_fds / limit if limit > 0 else 0.0)
                    disk = process.io_counters()
                    read, written = read + disk.read_bytes, written + disk.write_bytes
            except (psutil.Error, AttributeError, OSError):  # ended, of another user, or not on this system
                continue
        yield counter("cpu_seconds_total", cpu_s)
        yield gauge("resident_memory_bytes", rss)
        yield gauge("processes", len(processes))
        yield gauge("threads", threads)
        yield gauge("open_fds", fds)
        yield counter("disk_read_bytes_total", read)
        yield counter("disk_written_bytes_total", written)
        yield gauge("utilisation", fullest, resource=f"file descriptors of {self._name}")

    def _busiest_thread(self, processes: list[psutil.Process]) -> Iterator[TargetSample]:
        """Of all threads, the largest share of the time since the last reading in which one was runnable."""
        now, seen, busiest = time.perf_counter(), {}, None
        for process in processes:
            for thread, runnable_s in _runnable_s(process.pid):
                seen[thread] = (runnable_s, now)
                if thread in self._busy:
                    before_s, then = self._busy[thread]
                    busiest = max(busiest or 0.0, (runnable_s - before_s) / max(now - then, 1e-3))
        self._busy = seen
        if busiest is not None:
            yield gauge("utilisation", min(busiest, 1.0), resource=f"busiest thread of {self._name}")


def _runnable_s(pid: int) -> Iterator[tuple[int, float]]:
    """Thread and the seconds for which it ran or waited for a processor (Linux)."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for task in tasks:
        try:
            ran_ns, waited_ns, _ = (task / "schedstat").read_text().split()
        except (OSError, ValueError):
            continue
        yield int(task.name), (int(ran_ns) + int(waited_ns)) / 1e9


def _listener(port: int) -> int | None:
    """The process that listens on a port; of several that share the socket, the one that started them."""
    inodes = {row[9] for row in _tcp_rows() if row[3] == LISTENING and _port_of(row[1]) == port}
    owners = []
    for process in psutil.process_iter():
        try:
            links = [str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
        except OSError:
            continue
        if any(link.startswith("socket:[") and link[8:-1] in inodes for link in links):
            owners.append(process)
    pids = {process.pid for process in owners}
    first = [process.pid for process in owners if process.ppid() not in pids]
    return min(first, default=None)


def _by_command(command: str) -> int | None:
    """The oldest process whose command line contains a text; not one of ours."""
    own = {psutil.Process().pid, psutil.Process().ppid()}
    found = []
    for process in psutil.process_iter(["cmdline", "create_time"]):
        line = " ".join(process.info["cmdline"] or ())
        if command in line and process.pid not in own:
            found.append((process.info["create_time"], process.pid))
    return min(found)[1] if found else None


def accept_queue(port: int) -> int:
    """Connections to a port that the system has accepted and its program has not."""
    return sum(
        int(row[4].partition(":")[2], 16)
        for row in _tcp_rows()
        if row[3] == LISTENING and _port_of(row[1]) == port
    )


def _tcp_rows() -> Iterator[list[str]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        yield from (line.split() for line in lines)


def _port_of(address: str) -> int:
    return int(address.rpartition(":")[2], 16)
