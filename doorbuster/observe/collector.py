"""Reads every source in a thread of its own, and collects the values by second of the run.

Rules:
- A source that fails is read again at its next turn; changes of its state become events, and `up` records in
  every interval whether it could be read. A source never ends the run.
- Numbers of series, lengths of names and values are bounded, whatever a source sends.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from doorbuster.observe.plan import ObservationPlan, SourcePlan
from doorbuster.observe.rates import CounterRates
from doorbuster.observe.resources import ResourceView
from doorbuster.observe.sample import MetricSource, SourceError, TargetSample, gauge
from doorbuster.observe.sources.registry import LAST_READING
from doorbuster.output import one_line

MAX_SERIES = 1_000  # of one source
MAX_NAME = 200  # characters of a name, and of all labels of a series
MAX_REASON = 200
MAX_VALUE = 1e300
SILENT_S = 12.0  # without an answer: a source that waits so long is not up
MAX_AHEAD_S = 60.0  # of a value that its source dates itself
MAX_BEHIND_S = 3_600.0
UP = "up"

ObservedRow = tuple[int, str, str, str, float]
"""Second, source, name, labels as JSON, value."""


class ObservedEvent(NamedTuple):
    """A message about a source for the report. at_s: seconds since the start of the run."""

    at_s: float
    text: str


class Collector:
    """The sources of one run; `take` moves what was collected so far to the caller.

    Args: open_source: makes a source; it may raise what reading may raise.
    """

    def __init__(
        self, plan: ObservationPlan, open_source: Callable[[SourcePlan, float], MetricSource]
    ) -> None:
        self._plan = plan
        self._open = open_source
        self._turn = threading.Lock()
        self._rows: list[ObservedRow] = []
        self._events: list[ObservedEvent] = []
        self._stopping = threading.Event()
        self._view = ResourceView(plan.resources)
        self._readings = {source.name: _Reading(source) for source in plan.sources}
        self._threads = [
            threading.Thread(target=self._watch, args=(source,), name=source.name, daemon=True)
            for source in plan.sources
        ]

    def start(self) -> None:
        """Start reading."""
        for thread in self._threads:
            thread.start()

    def stop(self, limit_s: float) -> None:
        """Read every source a last time, for `limit_s` at most."""
        self._stopping.set()
        until = time.monotonic() + limit_s
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))

    def take(self) -> tuple[list[ObservedRow], list[ObservedEvent]]:
        """Values and events since the last call."""
        now = time.perf_counter()
        for reading in self._readings.values():
            asked_at = reading.asked_at
            if asked_at is not None and now - asked_at > SILENT_S:
                self._failed(reading, SourceError(f"no answer for {SILENT_S:g} s"))
        with self._turn:
            rows, self._rows = self._rows, []
            events, self._events = self._events, []
        return rows, events

    # ---- inside

    def _watch(self, plan: SourcePlan) -> None:
        source: MetricSource | None = None
        reading = self._readings[plan.name]
        while True:
            ending = self._stopping.wait(self._until_next(plan))
            if ending and plan.kind not in LAST_READING:
                break
            try:
                reading.asked_at = time.perf_counter()
                if source is None:
                    source = self._open(plan, self._plan.started_at)
                samples = tuple(source.read())
                # A busy server computes its values just before it answers, however long the answer took.
                self._succeeded(reading, samples, time.perf_counter())
            except (SourceError, OSError, ValueError) as error:
                self._failed(reading, error)
            except Exception as error:  # noqa: BLE001  a library of a database may raise anything
                self._failed(reading, SourceError(f"{type(error).__name__}: {error}"))
            finally:
                reading.asked_at = None
            if ending:
                break
        if source is not None:
            source.close()

    def _until_next(self, plan: SourcePlan) -> float:
        """Seconds until the middle of the next interval, so that jitter leaves each reading in its second."""
        elapsed = time.perf_counter() - self._plan.started_at
        due = (math.floor(elapsed / plan.every_s - 0.5) + 1.5) * plan.every_s
        return max(due - elapsed, 0.0)

    def _failed(self, reading: _Reading, error: Exception) -> None:
        now = time.perf_counter()
        said = (error.strerror if isinstance(error, OSError) else None) or str(error)
        reason = one_line(said or type(error).__name__, MAX_REASON)
        with self._turn:
            self._rows.append(self._row(reading.plan.name, gauge(UP, 0.0), now))
            if reading.is_up is not False:
                self._note(now, f"source {reading.plan.name} cannot be read: {reason}")
            reading.is_up = False

    def _succeeded(self, reading: _Reading, samples: Iterable[TargetSample], at: float) -> None:
        kept = reading.keep(samples, at)
        with self._turn:
            if reading.is_up is False:
                self._note(at, f"source {reading.plan.name} can be read again")
            reading.is_up = True
            name = reading.plan.name
            derived = tuple(self._view.update(kept))
            self._rows += [self._row(name, sample, at) for sample in (gauge(UP, 1.0), *kept, *derived)]
            for text in reading.take_notes():
                self._note(at, text)

    def _note(self, at: float, text: str) -> None:
        self._events.append(ObservedEvent(at - self._plan.started_at, text))

    def _row(self, source: str, sample: TargetSample, at: float) -> ObservedRow:
        second = math.floor((at if sample.at is None else sample.at) - self._plan.started_at)
        return second, source, sample.name, json.dumps(dict(sample.labels)), sample.value


class _Reading:
    """What one source has sent so far: its counters, and the series that are kept."""

    def __init__(self, plan: SourcePlan) -> None:
        self.plan = plan
        self.is_up: bool | None = None
        self.asked_at: float | None = None  # while an answer is awaited
        self._rates = CounterRates()
        self._known: set[object] = set()
        self._noted: set[str] = set()
        self._notes: list[str] = []

    def keep(self, samples: Iterable[TargetSample], at: float) -> list[TargetSample]:
        """The values to record."""
        kept = []
        for sample in samples:
            if not self._is_wanted(sample):
                continue
            if sample.at is not None and not at - MAX_BEHIND_S < sample.at < at + MAX_AHEAD_S:
                self._note_once(
                    "dates values more than an hour before or a minute after now, which are left out"
                )
                continue
            value = self._rates.value(sample, at if sample.at is None else sample.at)
            if value is not None and math.isfinite(value) and abs(value) < MAX_VALUE:
                kept.append(sample._replace(value=value, is_counter=False))
        return [*kept, *_means(kept)]

    def take_notes(self) -> list[str]:
        notes, self._notes = self._notes, []
        return notes

    def _note_once(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self._notes.append(f"source {self.plan.name} {text}")

    def _is_wanted(self, sample: TargetSample) -> bool:
        key = (sample.name, sample.labels)
        if key in self._known:
            return True
        patterns = self.plan.metrics
        if patterns and not any(fnmatchcase(sample.name, pattern) for pattern in patterns):
            return False
        length = len(sample.name) + sum(len(name) + len(value) for name, value in sample.labels)
        if len(self._known) >= MAX_SERIES or length > MAX_NAME:
            self._note_once(
                f"has more than {MAX_SERIES:,} series, or names longer than {MAX_NAME} characters, which are "
                "left out; choose some with `metrics`"
            )
            return False
        self._known.add(key)
        return True


def _means(kept: Iterable[TargetSample]) -> list[TargetSample]:
    """<name>_mean of the interval for each <name>_sum with a <name>_count."""
    by_key = {(sample.name, sample.labels): sample for sample in kept}
    found = []
    for (name, labels), total in by_key.items():
        if name.endswith("_sum"):
            count = by_key.get((f"{name.removesuffix('_sum')}_count", labels))
            if count is not None and count.value > 0:
                mean = total.value / count.value
                found.append(total._replace(name=f"{name.removesuffix('_sum')}_mean", value=mean))
    return found
