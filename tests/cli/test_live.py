"""The live view must not take processor time from the load generator."""

from __future__ import annotations

import time

from doorbuster.cli import live


class Process:
    """A process that runs for `seconds` of a simulated clock."""

    def __init__(self, seconds: float) -> None:
        self.now_s, self.ends_s = 0.0, seconds
        self.worked_s = 0.0
        self.refreshes = 0

    def is_running(self) -> bool:
        return self.now_s < self.ends_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def refresh(self) -> None:
        """Takes longer as the run grows, like reading a growing file."""
        self.refreshes += 1
        took_s = 1e-4 * self.now_s
        self.now_s += took_s
        self.worked_s += took_s


def watch(process: Process, monkeypatch) -> None:
    monkeypatch.setattr(time, "sleep", process.sleep)
    monkeypatch.setattr(time, "monotonic", lambda: process.now_s)
    monkeypatch.setattr(time, "process_time", lambda: process.worked_s)
    live._until_over(process, process.refresh)


def test_the_live_view_of_a_long_run_uses_at_most_a_twentieth_of_a_core(monkeypatch):
    process = Process(3600.0)
    watch(process, monkeypatch)
    assert process.worked_s < 0.05 * 3600.0


def test_the_live_view_of_a_short_run_refreshes_every_second(monkeypatch):
    process = Process(60.0)
    watch(process, monkeypatch)
    assert process.refreshes >= 59
