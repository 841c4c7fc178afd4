"""Runs a shell command that prints `name value` lines.

The command has a process group of its own, of which nothing is left when it has ended, such as programs that
it started in the background and that keep its output open. What it prints is bounded while it is read.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import IO, Any

from doorbuster.observe.name_values import parse_name_values
from doorbuster.observe.sample import SourceError, TargetSample

TIMEOUT_S = 5.0
MAX_BYTES = 1_000_000
POLL_S = 0.05
_CHUNK = 65_536


class CommandSource:
    """One command; its standard output is read, and its last error line says why it failed."""

    def __init__(self, *, run: str, **_: Any) -> None:
        self._run = run

    def read(self) -> Iterator[TargetSample]:
        code, output, errors = _run(self._run)
        if code:
            lines = errors.decode("utf-8", "replace").strip().splitlines()
            said = f": {lines[-1]}" if lines else ""
            raise SourceError(f"the command ended with code {code}{said}")
        return parse_name_values(output.decode("utf-8", "replace"))

    def close(self) -> None:
        """Nothing is held."""


def _run(command: str) -> tuple[int, bytes, bytes]:
    """Exit code, standard output and standard error. Raises: SourceError for one that takes too long."""
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None, "started with pipes"
        assert process.stderr is not None, "started with pipes"
        try:
            output, errors = _read(process.pid, process.stdout, process.stderr)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # not waited for yet, so the number is still its own
        return process.wait(), output, errors


def _read(pid: int, output: IO[bytes], errors: IO[bytes]) -> tuple[bytes, bytes]:
    """Everything that a command prints until it ends."""
    until = time.monotonic() + TIMEOUT_S
    kept = {output.fileno(): bytearray(), errors.fileno(): bytearray()}
    with selectors.DefaultSelector() as pipes:
        for descriptor in kept:
            pipes.register(descriptor, selectors.EVENT_READ)
        while True:
            has_ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            ready = pipes.select(0.0 if has_ended else POLL_S) if pipes.get_map() else []
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK)
                kept[key.fd] += chunk
                if not chunk:
                    pipes.unregister(key.fd)
                if len(kept[key.fd]) > MAX_BYTES:
                    raise SourceError(f"the command printed more than {MAX_BYTES // 1_000_000} MB")
            if has_ended and not ready:
                return bytes(kept[output.fileno()]), bytes(kept[errors.fileno()])
            if time.monotonic() > until:
                raise SourceError(f"the command took longer than {TIMEOUT_S:g} s")
            if not pipes.get_map() and not has_ended:
                time.sleep(POLL_S)
