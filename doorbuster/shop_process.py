"""Starts the embedded shop as a process of its own and stops it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from time import monotonic
from typing import Self

from doorbuster.errors import TargetError
from doorbuster.output.logs import remove_if_empty
from doorbuster.shop_settings import ShopSettings

COMMAND = (sys.executable, "-m", "doorbuster.shop")
START_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class ShopProcess:
    """A running shop; `merchants` has the URL of each merchant by name, `url` is the first.

    `metrics_url`: of all merchants; it answers whatever the shop's connections and event loop do.
    """

    url: str
    merchants: Mapping[str, str]
    metrics_url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """End the shop and wait for it: it closes when its input ends."""
        with self.process:  # closes the pipes
            assert self.process.stdin is not None, "the shop was started with a pipe"
            self.process.stdin.close()
            try:
                self.process.wait(timeout=STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        remove_if_empty(self.log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


def start_shop(settings: ShopSettings, log: Path) -> ShopProcess:
    """The shop once it accepts requests; its standard error goes to `log`.

    Raises:
        TargetError: the shop did not start; the message quotes its log.
    """
    with log.open("wb") as errors:
        process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    assert process.stdin is not None, "started with pipes"
    assert process.stdout is not None, "started with pipes"
    with contextlib.suppress(BrokenPipeError):  # it ended already: its log says why
        process.stdin.write(settings.to_json().encode())
        process.stdin.flush()
    started_s = monotonic()
    too_slow = Timer(START_LIMIT_S, process.kill)
    too_slow.start()
    try:
        line = process.stdout.readline()
    finally:
        too_slow.cancel()  # after Ctrl-C, the timer would keep this process alive
    if not line:
        process.kill()
        process.communicate()
        silent = "it printed nothing"
        if monotonic() - started_s >= START_LIMIT_S:
            silent = f"it was not ready after {START_LIMIT_S:.0f} s, as on an overloaded machine"
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or [silent]
        raise TargetError(f"the embedded shop did not start: {last[0]}; its log is {log}")
    announced = json.loads(line)
    return ShopProcess(announced["url"], announced["merchants"], announced["metrics"], process, log)
