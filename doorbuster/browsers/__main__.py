"""The process of one probe: `python -m doorbuster.browsers`, started by `BrowserProbes`.

The first line of standard input is a `ProbeTask` as JSON. The process walks one visit after another until its
standard input is closed, and appends each to its output file: one JSON object for a visit, or `{"problem":
text}`, with the requests since the object before, by second of the run. The visit that is under way then
still ends, within the patience of one page.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from doorbuster.browsers.chromium import BrowserFailed, Chromium, ProtocolRefused
from doorbuster.browsers.journey import ProbeTask
from doorbuster.browsers.page_watch import PageWatch
from doorbuster.browsers.visit import Visitor, WalkedVisit
from doorbuster.output import masked, one_line
from doorbuster.output.secret_masking import remember_secrets

START_LIMIT_S = 30.0
MAX_RESTARTS = 5  # of the browser, in a row without a visit
MAX_PICTURES = 400  # of pages; afterwards only of pages that failed


class Probe:
    """One probe with its browser, which is started again when it ends."""

    def __init__(self, task: ProbeTask) -> None:
        self._task = task
        self._output = Path(task.output).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115
        # The clock of the run on this process's steady counter.
        self._offset_s = time.time() - time.perf_counter() - task.starts_at_unix_s
        self._pictures = 0
        self._sent: Counter[int] = Counter()  # requests by second of the run
        self._is_over = threading.Event()

    def run(self) -> None:
        """Walk visits until standard input is closed."""
        threading.Thread(target=self._wait_for_end, daemon=True).start()
        number, failures = 0, 0
        while not self._is_over.is_set() and failures < MAX_RESTARTS:
            with contextlib.ExitStack() as stack:
                try:
                    browser = self._start()
                    stack.callback(browser.stop)
                    while not self._is_over.is_set():
                        self._visit(browser, number)
                        number, failures = number + 1, 0
                        self._is_over.wait(self._task.every_s)
                except (BrowserFailed, ProtocolRefused, OSError) as error:
                    failures += 1
                    number += 1
                    self._write({"problem": f"visit {number}: {one_line(masked(str(error)), 200)}"})
                except Exception as error:  # noqa: BLE001  whatever a page does, the next visit may succeed
                    failures += 1
                    number += 1
                    text = f"{type(error).__name__}: {error}"
                    self._write({"problem": f"visit {number}, internal error: {one_line(masked(text), 200)}"})
        if failures >= MAX_RESTARTS:
            self._write({"problem": f"given up after {MAX_RESTARTS} attempts in a row"})

    def _start(self) -> Chromium:
        self._watch = PageWatch(self._may_load, self._count_request)
        browser = Chromium(self._task.executable, self._task.addresses, self._on_event)
        self._write({"browser": browser.pid, "folder": browser.folder})
        try:
            browser.call("Browser.getVersion", limit_s=START_LIMIT_S)
            browser.call("Browser.setDownloadBehavior", behavior="deny")
            # The first visit of a browser also loads the browser itself; it is not recorded.
            warm_up = replace(self._task, journey=self._task.journey[:1])
            Visitor(browser, self._watch, warm_up, self._now_s).walk(0)
        except BaseException:
            browser.stop()
            raise
        return browser

    def _on_event(self, method: str, params: dict[str, Any], session: str) -> None:
        self._watch.handle(method, params, session)  # each visit has a watch of its own

    def _visit(self, browser: Chromium, number: int) -> None:
        self._watch = PageWatch(self._may_load, self._count_request)
        visitor = Visitor(browser, self._watch, self._task, self._now_s)
        self._write(self._row(visitor.walk(number)))

    def _row(self, walked: WalkedVisit) -> dict[str, Any]:
        kept = {
            name: (picture.seen_after_ms, base64.b64encode(picture.jpeg).decode())
            for name, picture in walked.pictures.items()
            if self._pictures < MAX_PICTURES or walked.pages[-1].page == name
        }
        self._pictures += len(kept)
        return {"visit": walked.visit, "pages": walked.pages, "pictures": kept}

    def _count_request(self, at_unix_s: float) -> None:
        self._sent[math.floor(at_unix_s - self._task.starts_at_unix_s)] += 1

    def _write(self, row: dict[str, Any]) -> None:
        if self._sent:
            row, self._sent = {**row, "requests": dict(self._sent)}, Counter()
        with contextlib.suppress(OSError):  # a full disk: the run states that visits are missing
            self._output.write(f"{json.dumps(row)}\n")

    def _now_s(self) -> float:
        return time.perf_counter() + self._offset_s

    def _may_load(self, host: str) -> bool:
        return host in self._task.addresses

    def _wait_for_end(self) -> None:
        sys.stdin.read()
        self._is_over.set()


def main() -> None:
    """Run one probe."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the run decides when its probes end
    task = ProbeTask.from_json(json.loads(sys.stdin.readline()))
    remember_secrets(task.secrets)
    if task.cores:
        with contextlib.suppress(OSError, AttributeError):  # not on every system
            os.sched_setaffinity(0, task.cores)
    Probe(task).run()


if __name__ == "__main__":
    main()
