"""Starts Chromium and speaks its DevTools protocol over a pipe.

Rules of this module:
- A pipe, not a port: no other program on this machine can drive the browser.
- The browser resolves only the hosts that the run may load; everything else fails before a connection.
- Every call has a time limit. A browser that does not answer is killed with all its processes.

Source: Chrome DevTools Protocol, stable version 1.3; chromium/src/content/public/common/content_switches.cc.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from fcntl import F_DUPFD, fcntl
from time import monotonic
from typing import Any

EXECUTABLE_VARIABLE = "DOORBUSTER_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
CALL_LIMIT_S = 10.0
STOP_LIMIT_S = 3.0
MAX_MESSAGE = 64 * 2**20
_FIRST_FREE_FD = 10
# The program moves its ends of the pipes to 3 and 4, as the protocol wants them, and becomes the browser.
_LAUNCHER = (
    "import os,sys;r,w=map(int,sys.argv[1:3]);os.dup2(r,3);os.dup2(w,4);os.close(r);os.close(w);"
    "os.execv(sys.argv[3],sys.argv[3:])"
)
_FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-default-apps", "--disable-domain-reliability", "--disable-client-side-phishing-detection",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows", "--disable-breakpad", "--disable-gpu", "--mute-audio",
    "--metrics-recording-only", "--password-store=basic", "--hide-scrollbars", "--no-proxy-server",
    "--no-pings",
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider",
)  # fmt: skip

Handler = Callable[[str, dict[str, Any], str], None]


class BrowserFailed(Exception):  # noqa: N818  reads as what happened
    """The browser ended, or did not answer in time."""


class BrowserSilent(BrowserFailed):
    """The browser, or one page in it, did not answer in time."""


class ProtocolRefused(Exception):  # noqa: N818  reads as what happened
    """The browser refused a command, such as one for a page that is gone."""


def find_chromium(environment: Mapping[str, str] = os.environ) -> str | None:
    """The browser of this system: the variable DOORBUSTER_CHROMIUM, or one of the usual names."""
    named = environment.get(EXECUTABLE_VARIABLE, "")
    if named:
        return shutil.which(named)
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def resolver_rules(addresses: Mapping[str, str]) -> str:
    """Chromium's rules for host names: these names and addresses of this machine only.

    Args: addresses: the address that each host had when it was confirmed; the host itself if it is one.
    """
    rules = [f"MAP {host} {address}" for host, address in addresses.items() if host != address]
    kept = [host for host, address in addresses.items() if host == address]
    return ", ".join([*rules, "MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in kept)])


class Chromium:
    """One running browser; `handler` receives every event as (method, params, session)."""

    def __init__(self, executable: str, addresses: Mapping[str, str], handler: Handler) -> None:
        self._handler = handler
        self._buffer = bytearray()
        self._answers: dict[int, dict[str, Any]] = {}
        self._events: deque[dict[str, Any]] = deque()
        self._last_id = 0
        self.folder = tempfile.mkdtemp(prefix="doorbuster-browser-")
        to_browser, self._out = _high_pipe()
        self._in, from_browser = _high_pipe()
        sandbox = () if os.geteuid() else ("--no-sandbox",)  # Chromium has no sandbox for root
        command = [
            sys.executable, "-S", "-E", "-c", _LAUNCHER, str(to_browser), str(from_browser),
            executable, *_FLAGS, *sandbox, f"--user-data-dir={self.folder}",
            f"--host-resolver-rules={resolver_rules(addresses)}",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(to_browser, from_browser),
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(
        self, method: str, session: str = "", *, limit_s: float = CALL_LIMIT_S, **params: Any
    ) -> dict[str, Any]:
        """The result of a command.

        Raises: BrowserSilent when it does not answer within `limit_s`; BrowserFailed; ProtocolRefused.
        """
        number = self.send(method, session, **params)
        until = monotonic() + limit_s
        while number not in self._answers:
            left_s = until - monotonic()
            if left_s <= 0:
                raise BrowserSilent(f"the browser did not answer {method} within {limit_s:g} s")
            self._receive(left_s)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise ProtocolRefused(f"{method}: {answer['error'].get('message', '')}")
        found: dict[str, Any] = answer.get("result", {})
        return found

    def send(self, method: str, session: str = "", **params: Any) -> int:
        """Send a command without waiting; returns its number. Raises: BrowserFailed."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = memoryview(json.dumps(message).encode() + b"\0")
        try:
            while data:
                data = data[os.write(self._out, data) :]
        except OSError as error:
            raise BrowserFailed("the browser has ended") from error
        return self._last_id

    def answer(self, number: int) -> dict[str, Any] | None:
        """The answer to a command of `send`, if it is there by now."""
        return self._answers.pop(number, None)

    def wait(self, is_done: Callable[[], bool], *, limit_s: float) -> bool:
        """Handle events until `is_done`; returns whether that happened within `limit_s`."""
        until = monotonic() + limit_s
        while True:
            while self._events:
                event = self._events.popleft()
                self._handler(event["method"], event.get("params", {}), event.get("sessionId", ""))
            if is_done():
                return True
            left_s = until - monotonic()
            if left_s <= 0:
                return False
            self._receive(left_s)

    def stop(self) -> None:
        """End the browser and everything it started, and remove its files."""
        with contextlib.suppress(BrowserFailed):
            self.send("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_LIMIT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for end in (self._in, self._out):
            with contextlib.suppress(OSError):
                os.close(end)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _receive(self, limit_s: float) -> None:
        """Read what is there, waiting at most this long. Raises: BrowserFailed when the browser has ended."""
        readable, _, _ = select.select([self._in], [], [], min(limit_s, 1.0))
        if not readable:
            return
        part = os.read(self._in, 2**18)
        if not part:
            raise BrowserFailed("the browser has ended")
        self._buffer += part
        if len(self._buffer) > MAX_MESSAGE:
            raise BrowserFailed("the browser sent a message that is too long")
        *messages, rest = self._buffer.split(b"\0")
        self._buffer = bytearray(rest)
        for text in messages:
            message = json.loads(text)
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._events.append(message)


def _high_pipe() -> tuple[int, int]:
    """(read, write) ends of a pipe, both above the numbers that the browser expects them at."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl(end, F_DUPFD, _FIRST_FREE_FD))
        os.close(end)
    return ends[0], ends[1]
