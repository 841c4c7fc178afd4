"""Starts, watches and stops the Locust process that generates the load.

The process has its own session, so that Ctrl-C reaches only the parent. The first Ctrl-C asks Locust to stop
(customers leave, the last second is recorded), the second one kills it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from doorbuster.errors import ExitCode, RunError, UsageError

PARENT_VARIABLE = "DOORBUSTER_PARENT"  # process id of the command, for the processes that end with it
KEY_VARIABLE = "DOORBUSTER_KEY"  # the secret that master and workers share
NOTE = "doorbuster: note: "  # starts a line for the user that does not end the run


def local_workers(count: int) -> list[str]:
    """Locust's options for worker processes on this machine, on a port of their own."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    return ["--processes", str(count), "--master-bind-port", port, "--master-port", port]


def check_key(address: str) -> None:
    """Raises: UsageError if other machines can reach the address and there is no key to keep them out."""
    if not os.environ.get(KEY_VARIABLE) and address != "localhost" and not address.startswith("127."):
        raise UsageError(
            f"--bind {address} can be reached from other machines, so master and workers need a shared key: "
            f'set {KEY_VARIABLE} on all of them, made with "openssl rand -hex 32"'
        )


def check_port(address: str, port: int) -> None:
    """Raises: UsageError if the port cannot be opened for workers."""
    try:
        socket.create_server(("" if address == "*" else address, port)).close()
    except OSError as error:
        raise UsageError(
            f"cannot open port {port} on {address} ({error.strerror}); see --bind and --bind-port"
        ) from error


class LocustProcess:
    """One headless Locust run; its log is `locust.log` in the run's folder."""

    def __init__(self, locustfile: Path | str, options: list[str], folder: Path) -> None:
        self._log = folder / "locust.log"
        self._locustfile = str(locustfile)
        command = [
            sys.executable, "-m", "doorbuster.load.plain_locust", "-f", self._locustfile, "--headless",
            "--only-summary", "--logfile", str(self._log), *options,
        ]  # fmt: skip
        self._output = folder / "locust.out"
        with self._output.open("w", encoding="utf-8") as said:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
            )
        self.asked = 0  # how often it was asked to stop
        self._notes_returned = 0

    def is_running(self) -> bool:
        return self._process.poll() is None

    def exit_code(self) -> int:
        """Wait for the exit code of Locust; 107 when the locustfile raised while it was loaded."""
        code = self._process.wait()
        if code == ExitCode.BUG and not self.error_message() and self._locustfile_raised():
            return int(ExitCode.SCRIPT_EXCEPTION)
        return code

    def failure_code(self) -> ExitCode:
        """The exit code of a run that recorded nothing; never one without a meaning."""
        code = self.exit_code()
        if self.asked:
            return ExitCode.INTERRUPTED
        if code < 0:  # killed by a signal, such as for want of memory
            return ExitCode.NOT_RECORDED
        known = {int(one) for one in ExitCode} - {int(ExitCode.PASS)}
        return ExitCode(code) if code in known else ExitCode.BUG

    def ask_to_stop(self) -> None:
        """First call: stop in an orderly way. Later calls: kill."""
        self.asked += 1
        if self.asked == 1:
            self._process.send_signal(signal.SIGINT)
        else:
            _signal_group(self._process, signal.SIGKILL)

    def stop(self) -> None:
        """Stop and wait for the end; each Ctrl-C meanwhile asks again, and none leaves it running."""
        _until_ended(self._process, self.ask_to_stop)

    def failure(self, what: str) -> RunError:
        """The error for a run that recorded nothing, with the exit code of the process."""
        error = RunError(f"{what} was not run: {self.failure_message()}")
        error.exit_code = self.failure_code()
        return error

    def failure_message(self) -> str:
        """The message for a run without a run file: that of doorbuster, or the end of the log."""
        if self.asked:
            return "stopped before the first customer arrived; there is nothing to report"
        said = [*_lines(self._output), *_lines(self._log)]
        if self._process.wait() < 0:
            said.append(f"it was killed by {signal.Signals(-self._process.wait()).name}")
        where = f"Locust ended without recording anything; its log is {self._log}"
        return self.error_message() or "\n".join([*said[-5:], where])

    def _locustfile_raised(self) -> bool:
        names = [Path(file.strip()).name for file in self._locustfile.split(",")]
        return any(f'{name}", line' in line for line in _lines(self._output) for name in names)

    def new_notes(self) -> list[str]:
        """What the run said since the last call that did not end it, such as a host that was ignored."""
        found = [line.split(NOTE, 1)[1] for line in _lines(self._output) if line.startswith(NOTE)]
        new, self._notes_returned = found[self._notes_returned :], len(found)
        return new

    def error_message(self) -> str:
        """Why the run failed, e.g. a full disk; empty if it did not."""
        if self._process.wait() in (int(ExitCode.PASS), int(ExitCode.INCONCLUSIVE), int(ExitCode.FAIL)):
            return ""
        for path, mark in ((self._output, "doorbuster: "), (self._log, "ERROR/doorbuster: ")):
            ours = [line.split(mark, 1)[1] for line in _lines(path) if mark in line and NOTE not in line]
            if ours:
                return "\n".join(dict.fromkeys(ours))
        return ""


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the processes of a session and wait for their end; the next Ctrl-C kills them."""
    signals = iter((signal.SIGINT,))
    _until_ended(process, lambda: _signal_group(process, next(signals, signal.SIGKILL)))


def _until_ended(process: subprocess.Popen[bytes], ask: Callable[[], None]) -> None:
    while True:
        try:
            ask()
            process.wait()
        except KeyboardInterrupt:
            continue
        return


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _lines(path: Path) -> list[str]:
    """The non-empty lines of a log."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return [line.rstrip() for line in text.splitlines() if line.strip()]
