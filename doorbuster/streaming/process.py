"""Starts the process that streams a run, and collects its tallies."""

from __future__ import annotations

import contextlib
import json
import selectors
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from doorbuster.errors import RunError, UsageError
from doorbuster.streaming.delivery import DeliveryTally
from doorbuster.streaming.destination import Destination
from doorbuster.streaming.stream import FLUSH_LIMIT_S

START_LIMIT_S = 30.0
END_LIMIT_S = FLUSH_LIMIT_S + 5.0


class StreamProcess:
    """A stream of one run in a process of its own; a defect or a kill there never reaches the run."""

    def __init__(self, folder: Path, destinations: Sequence[Destination], *, every_s: float) -> None:
        """Start it and wait until every receiver is open.

        Raises: UsageError when a receiver cannot be used on this machine; RunError when it does not start.
        """
        self._destinations = destinations
        self._process = subprocess.Popen(
            [sys.executable, "-m", "doorbuster.streaming"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches only the command
        )
        task = {
            "folder": str(folder.resolve()),
            "destinations": [each.name for each in destinations],
            "every_s": every_s,
        }
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended; there is no answer then
            self._process.stdin.write(f"{json.dumps(task)}\n".encode())
            self._process.stdin.flush()
        answer = self._message(START_LIMIT_S)
        if answer is None or "error" in answer:
            self.kill()
            if answer is None:
                raise RunError("the process that streams ended, or did not start in time")
            raise UsageError(str(answer["error"]))

    def finish(self, *, run_has_ended: bool) -> tuple[DeliveryTally, ...]:
        """Wait for what is queued, for a bounded time, and return the tally of each receiver."""
        assert self._process.stdin is not None
        if not run_has_ended:
            self._process.stdin.close()
        answer = self._message(END_LIMIT_S)
        self.kill()
        if answer is None:
            reason = "the process that streams was killed, or did not answer"
            return tuple(
                DeliveryTally(each.name, reason=reason, is_known=False) for each in self._destinations
            )
        return tuple(DeliveryTally(**tally) for tally in answer["tallies"])

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _message(self, within_s: float) -> dict[str, Any] | None:
        """The next line of the process as JSON; None when none comes."""
        assert self._process.stdout is not None
        until = monotonic() + within_s
        text = b""
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._process.stdout, selectors.EVENT_READ)
            while not text.endswith(b"\n"):
                if not waiting.select(max(0.0, until - monotonic())):
                    return None
                part = self._process.stdout.read1()  # type: ignore[attr-defined]
                if not part:
                    return None
                text += part
        found: dict[str, Any] = json.loads(text)
        return found
