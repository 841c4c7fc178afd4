"""The live view must not take the cores from the load."""

from __future__ import annotations

import time

from doorbuster.cli import live


class Process:
    """Runs for so many seconds of a clock that the test turns."""

    def __init__(self, seconds: float) -> None:
        self.now_s, self.ends_s = 0.0, seconds
        self.worked_s = 0.0
        self.looks = 0

    def is_running(self) -> bool:
        return self.now_s < self.ends_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def look(self) -> None:
        """Takes longer the longer the run is, as reading a growing file does."""
        self.looks += 1
        took_s = 1e-4 * self.now_s
        self.now_s += took_s
        self.worked_s += took_s


def watch(process: Process, monkeypatch) -> None:
    monkeypatch.setattr(time, "sleep", process.sleep)
    monkeypatch.setattr(time, "monotonic", lambda: process.now_s)
    monkeypatch.setattr(time, "process_time", lambda: process.worked_s)
    live._until_over(process, process.look)


def test_a_long_run_is_looked_at_with_a_twentieth_of_a_core_at_most(monkeypatch):
    process = Process(3600.0)
    watch(process, monkeypatch)
    assert process.worked_s < 0.05 * 3600.0


def test_a_short_run_is_looked_at_every_second(monkeypatch):
    process = Process(60.0)
    watch(process, monkeypatch)
    assert process.looks >= 59
