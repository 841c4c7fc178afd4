"""A headless Chromium driven over a pipe (the DevTools protocol), for tests of pages.

One browser serves many pages; `close` ends it. Waiting is for an event of the browser, never for a time.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

LIMIT_S = 60.0
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--hide-scrollbars", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe", "--force-device-scale-factor=1",
)  # fmt: skip


def chromium() -> str:
    """The path of Chromium; skips the test without one."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("browser tests need Chromium: apt-get install chromium")
    return found


class Browser:
    """One browser with one page. Every request of the page and every error of its scripts is kept."""

    def __init__(self, profile: Path) -> None:
        to_read, self._write_end = os.pipe()
        self._read_end, to_write = os.pipe()
        # Chromium reads commands from descriptor 3 and writes answers to 4. High numbers first, so that
        # neither of the two is in use when the shell assigns it.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 100) for end in (to_read, to_write)]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}', "bash", chromium(), *_OPTIONS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=ends, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (to_read, to_write, *ends):
            os.close(end)
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        target = next(one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self._session = ""
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "Log", "Security"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """End the browser."""
        os.close(self._write_end)
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._read_end)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of one command of the protocol."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if getattr(self, "_session", ""):
            message["sessionId"] = self._session
        os.write(self._write_end, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            readable, _, _ = select.select([self._read_end], [], [], LIMIT_S)
            assert readable, f"the browser said nothing for {LIMIT_S} s"
            part = os.read(self._read_end, 1 << 20)
            assert part, "the browser ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)

    def open(self, address: str, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        """Load a page and wait until it has loaded; forgets the events of the page before."""
        self.resize(width, height)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for place in ("about:blank", address):
            self.events.clear()
            self.call("Page.navigate", url=place)
            while not any(event["method"] == "Page.loadEventFired" for event in self.events):
                self.events.append(self._next())

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def js(self, expression: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def ready(self) -> None:
        """Wait until the report's script has drawn the page."""
        self.js(
            "new Promise((done, failed) => { const look = () => {"
            " const root = document.documentElement.dataset;"
            " if (root.error) failed(new Error(root.error)); else if (root.ready) done();"
            " else requestAnimationFrame(look); }; look(); })"
        )

    def wait_for(self, expression: str, *, limit_s: float = 60.0) -> None:
        """Wait until an expression is true in the page, whatever its value."""
        found = self.js(
            f"new Promise((done) => {{ const until = performance.now() + {limit_s * 1e3};"
            f" const look = () => {{ if ({expression}) done(true);"
            " else if (performance.now() > until) done(false); else setTimeout(look, 50); }; look(); })"
        )
        assert found, f"{expression}\n{self.js('document.body.innerText')}"

    def problems(self) -> list[str]:
        """Errors of scripts, violations of the page's policy, and requests beyond the file itself."""
        found = []
        for event in self.events:
            about = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                found.append(str(details.get("exception", details).get("description", details)))
            elif event["method"] == "Log.entryAdded" and about["entry"]["level"] == "error":
                found.append(about["entry"]["text"])
            elif event["method"] == "Network.requestWillBeSent" and not _is_own(about["request"]["url"]):
                found.append(f"request to {about['request']['url'][:200]}")
        return found

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path: Path) -> None:
        """Print the page on A4."""
        printed = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        path.write_bytes(base64.b64decode(printed["data"]))


def _is_own(address: str) -> bool:
    return address.startswith(("file:", "data:"))
