"""Ends a process of the load generator with the processes that it depends on, so that no load is left alone.

| process | depends on |
|---|---|
| worker that Locust has forked | its parent |
| master, and workers of `doorbuster worker` | the command that started them |
| every worker | its master |
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import gevent
import psutil

from doorbuster.errors import ExitCode
from doorbuster.load.runtime.notes import note

logger = logging.getLogger("doorbuster")

CHECK_S = 1.0
SILENCE_CHECKS = 3  # missed heartbeats after which a worker looks whether its master still listens
SILENCE_LIMIT_CHECKS = 30  # missed heartbeats after which it gives up; a master that plans does not answer
INTERRUPT_LIMIT_S = 30
LEAVE_LIMIT_S = 10.0  # after that, a process that should have ended is ended
COMMAND_VARIABLE = "DOORBUSTER_PARENT"  # process id of the command that waits for this process
_STARTED_IN = os.getpid()  # the locustfile imports this before Locust forks


def supervise_worker(environment: Any, on_master_lost: Callable[[], None], end: Callable[[], None]) -> None:
    """End a worker with its parent, its command or its master; `end` ends it in an orderly way."""
    signal.signal(signal.SIGINT, _on_interrupt)
    if os.getpid() != _STARTED_IN:
        gevent.spawn(_end_with_parent)
    if "--worker" in sys.argv:  # otherwise a master has forked it, which ends with the command itself
        end_with_command(lambda: leave(environment, ExitCode.INTERRUPTED, end))
    MasterWatch(environment, on_master_lost)


def leave(environment: Any, code: ExitCode, end: Callable[[], None], *, reason: str = "") -> None:
    """End this process with an exit code; by force if messages to a lost process still wait to be sent.

    reason: printed; by default that of the exit code.
    """
    if environment.process_exit_code is None:
        environment.process_exit_code = int(code)
        note(reason or _REASONS[code])
        gevent.spawn(_end_by_force, code)
        end()


_REASONS = {
    ExitCode.NOT_RECORDED: "the master does not answer any more; this worker ends",
    ExitCode.INTERRUPTED: "the command that started this worker has ended; so does the worker",
}


def _on_interrupt(*_: object) -> None:
    """Ctrl-C ends the main greenlet, rather than the journey of the customer that just runs.

    A journey that never waits would keep it from ending: then an alarm ends the process.
    """
    signal.alarm(INTERRUPT_LIMIT_S)
    gevent.spawn(_interrupt)


def _interrupt() -> None:
    raise KeyboardInterrupt  # gevent raises it again in the main greenlet


def _end_by_force(code: ExitCode) -> None:
    gevent.sleep(LEAVE_LIMIT_S)
    os._exit(int(code))


def _end_with_parent() -> None:
    """End a forked worker as soon as its parent has ended; Locust would leave it running."""
    while os.getppid() == _STARTED_IN:
        gevent.sleep(CHECK_S)
    logger.warning("the process that started this worker has ended")
    os._exit(int(ExitCode.NOT_RECORDED))


def end_with_command(end: Callable[[], None]) -> None:
    """Call `end` once a second from the end of the command that started this process, if a command did."""
    command = os.environ.get(COMMAND_VARIABLE, "")
    if not command.isdigit():
        return

    def watch() -> None:
        while True:
            gevent.sleep(CHECK_S)
            if _parent_of(_STARTED_IN) != int(command):
                end()

    gevent.spawn(watch)


class MasterWatch:
    """Tells a worker once that its master is gone, with or without a run.

    Args: on_lost: called in a greenlet of its own.
    """

    def __init__(self, environment: Any, on_lost: Callable[[], None]) -> None:
        options = environment.parsed_options
        self._place = (options.master_host, options.master_port)
        self._on_lost = on_lost
        self._missed = 0  # the worker has met its master before Locust calls `init`
        environment.events.heartbeat_received.add_listener(self._on_heartbeat)
        gevent.spawn(self._watch)

    def _on_heartbeat(self, **_: Any) -> None:
        self._missed = 0

    def _watch(self) -> None:
        while True:
            gevent.sleep(CHECK_S)  # checks are counted, not timed: a stopped process receives nothing
            self._missed += 1
            is_silent = self._missed > SILENCE_CHECKS and _is_closed(*self._place)
            if is_silent or self._missed > SILENCE_LIMIT_CHECKS:
                break
        self._on_lost()


def _is_closed(host: str, port: int) -> bool:
    """Whether nobody listens there any more; a process that is only busy still accepts connections."""
    try:
        socket.create_connection((host, port), timeout=CHECK_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _parent_of(pid: int) -> int:
    """The process id of the parent; 0 if the process has ended."""
    if pid == os.getpid():
        return os.getppid()
    try:
        return int(psutil.Process(pid).ppid())
    except psutil.Error:
        return 0
