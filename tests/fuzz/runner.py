"""Runs numbered cases of a fuzzer within limits of time and memory."""

from __future__ import annotations

import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

CASE_LIMIT_S = 30  # of processor time
STUCK_LIMIT_S = 300  # on the clock, also of a busy machine
MEMORY_LIMIT_BYTES = 800 * 10**6

Case = Callable[[Random, Path], str]
"""Runs one case in a folder of its own; returns a word for its result, such as "accepted"."""


class HangError(Exception):
    """A case that took longer than one of the limits."""


@dataclass
class FuzzReport:
    """Results by word; findings as (case, kind, traceback)."""

    results: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return sum(self.results.values()) + len(self.findings)

    def kinds(self) -> Counter[str]:
        return Counter(kind for _, kind, _ in self.findings)


def run_cases(case: Case, folder: Path, *, first: int, count: int, seconds: float) -> FuzzReport:
    """Run the cases first .. first + count - 1, for at most `seconds`."""
    report = FuzzReport()
    ends_at = time.monotonic() + seconds
    before = {kind: signal.signal(kind, _too_long) for kind in (signal.SIGALRM, signal.SIGPROF)}
    too_large = _peak_bytes() > MEMORY_LIMIT_BYTES
    try:
        for number in range(first, first + count):
            if time.monotonic() > ends_at:
                break
            signal.setitimer(signal.ITIMER_PROF, CASE_LIMIT_S)
            signal.alarm(STUCK_LIMIT_S)
            try:
                report.results[case(Random(number), folder)] += 1
            except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
                report.findings.append((number, _kind(error), traceback.format_exc()))
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.alarm(0)
            if not too_large and _peak_bytes() > MEMORY_LIMIT_BYTES:
                too_large = True
                report.findings.append((number, f"more than {MEMORY_LIMIT_BYTES / 1e6:.0f} MB", ""))
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    return report


def _kind(error: Exception) -> str:
    """The exception and the line of the program that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/doorbuster/" in frame.filename or "/analysis/" in frame.filename]
    frame = (ours or frames)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"


def _too_long(*_: object) -> None:
    raise HangError(f"longer than {CASE_LIMIT_S} s")


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
