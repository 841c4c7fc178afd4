"""Starts the observing process, reads what it writes without ever waiting for it, and stops it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doorbuster.observe.plan import ObservationPlan
from doorbuster.output.logs import remove_if_empty

COMMAND = (sys.executable, "-m", "doorbuster.observe")
STOP_LIMIT_S = 4.0
POLL_S = 0.02
_CHUNK = 65_536


@dataclass(slots=True)
class Observed:
    """What was read: rows of second, source, name, labels and value; events of time and text."""

    rows: list[tuple[int, str, str, str, float]] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)


class ObserverProcess:
    """A running observation. Reading takes what is there; a full pipe delays the observation, not the run."""

    def __init__(self, plan: ObservationPlan, log: Path) -> None:
        self._log = log
        self._pipe, writing = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            with log.open("wb") as errors:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(
                    COMMAND, stdin=subprocess.PIPE, stdout=writing, stderr=errors, start_new_session=True
                )
        finally:
            os.close(writing)
        self._unread = b""
        self._has_ended = False
        assert self._process.stdin is not None, "started with a pipe"
        with contextlib.suppress(BrokenPipeError):  # it ended already, which reading finds out
            self._process.stdin.write(plan.to_json().encode())
            self._process.stdin.flush()

    def read(self) -> Observed:
        """What was observed since the last call."""
        found = Observed()
        self._take(found)
        return found

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended, which it does not before `stop`."""
        return self._has_ended

    def stop(self, sleep: Callable[[float], Any] = time.sleep) -> Observed:
        """Read every source a last time and end the process; `sleep` waits meanwhile."""
        found = Observed()
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None, "started with a pipe"
            self._process.stdin.close()
        until = time.monotonic() + STOP_LIMIT_S
        while not self._has_ended and time.monotonic() < until:
            self._take(found)
            if not self._has_ended:
                sleep(POLL_S)
        if not self._has_ended:
            self._process.kill()
            self._take(found)
        self._process.wait()
        os.close(self._pipe)
        remove_if_empty(self._log)
        return found

    def _take(self, found: Observed) -> None:
        while True:
            try:
                chunk = os.read(self._pipe, _CHUNK)
            except BlockingIOError:
                break
            if not chunk:
                self._has_ended = True
                break
            self._unread += chunk
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            said = json.loads(line)
            found.rows += [tuple(row) for row in said["rows"]]
            found.events += [(at_s, text) for at_s, text in said["events"]]
