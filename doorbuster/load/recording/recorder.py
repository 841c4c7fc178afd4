"""Collects the observations of one worker and moves them into a batch once a second.

A finished step costs one tuple and one `append` to `Recorder.steps`; NumPy evaluates all steps of a second
together, which takes some 0.5 us per step. The key is the second of the *intended* start, so that a stall
appears when the customers arrived, not when they were answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doorbuster.load.http.trace_context import trace_id_of
from doorbuster.load.recording.secondary_metrics import SecondaryMetrics
from doorbuster.output.secret_masking import masked
from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CustomerCount,
    Event,
    Exemplar,
    HealthSecond,
    OrderAttempt,
    RequestSecond,
    SeriesKey,
)
from doorbuster.records.histogram import pack, pack_groups
from doorbuster.records.storable import storable_batch

FIRST_ERRORS = 3  # exemplars kept per kind of failure, per worker and run
_ROWS_AT_ONCE = 2_000  # converted before a pause: 1 to 2 ms
_US_PER_S = 1e6

Ints = NDArray[np.int64]
CustomerKey = tuple[int, str, str, str, str, str, int | None, int | None]

# A finished step: number of its series, intended start, actual start, first byte and end (readings of
# `time.perf_counter`), bytes sent, bytes received, request id.
StepRow = tuple[int, float, float, float, float, int, int, str]


@dataclass(frozen=True, slots=True)
class StepColumns:
    """Finished steps as columns of shape (n,); `second` is that of the intended start, times are in us."""

    series: Ints
    second: Ints
    response_us: Ints
    service_us: Ints
    first_byte_us: Ints
    lateness_us: Ints
    bytes_sent: Ints
    bytes_received: Ints
    request_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.request_ids)


class Recorder:
    """Collects one worker's observations; `take` moves them into the next numbered batch.

    Args:
        started_at: the run's zero on the clock of the steps' times.
        pause: called between two parts of the work, so that a busy second does not delay the customers.
        trace_share: share of the requests that carry a trace id.
    """

    def __init__(
        self,
        worker: str,
        *,
        started_at: float,
        pause: Callable[[], Any] = lambda: None,
        trace_share: float = 0.0,
    ) -> None:
        self.worker = worker
        self.secondary_metrics = SecondaryMetrics(started_at, pause)
        self.steps: list[StepRow] = []
        self.keys: list[SeriesKey] = []
        self._numbers: dict[SeriesKey, int] = {}
        self._started_at = started_at
        self._pause = pause
        self._trace_share = trace_share
        self._seq = 0
        self._lateness_us: list[int] = []
        self._customers: list[CustomerKey] = []
        self._started: list[tuple[int, str]] = []
        self._dropped: list[tuple[int, str]] = []
        self._orders: list[OrderAttempt] = []
        self._events: list[Event] = []
        self._errors: list[Exemplar] = []
        self._errors_seen: Counter[tuple[str, str]] = Counter()

    def series_number(self, key: SeriesKey) -> int:
        """The number of this series, which identifies it in a `StepRow`."""
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.keys)
            self.keys.append(key)
        return number

    def failure(self, row: StepRow, detail: str, url: str, status: int) -> None:
        """Keep a failed step as an exemplar if it is among the first with its step and cause.

        url, status: of its last request and the response to it.
        """
        number, intended_at, _, _, ended_at, _, _, request_id = row
        series = self.keys[number]
        kind = (series.step, series.cause)
        if self._errors_seen[kind] >= FIRST_ERRORS:
            return
        self._errors_seen[kind] += 1
        second, response_us = int(intended_at - self._started_at), round((ended_at - intended_at) * _US_PER_S)
        self._errors.append(
            Exemplar(
                "error", second, series, response_us, request_id, masked(detail), masked(url), status,
                trace_id_of(request_id, self._trace_share),
            )
        )  # fmt: skip

    def customer(self, key: CustomerKey) -> None:
        """Record how one customer left; called exactly once per customer."""
        self._customers.append(key)

    def started(self, second: int, channel: str) -> None:
        self._started.append((second, channel))

    def dropped(self, second: int, channel: str) -> None:
        self._dropped.append((second, channel))

    def lateness(self, lateness_us: int) -> None:
        """Record how late the generator was with an arrival; the lateness of steps is in their rows."""
        self._lateness_us.append(lateness_us)

    def order(self, attempt: OrderAttempt) -> None:
        self._orders.append(attempt)

    def event(self, event: Event) -> None:
        self._events.append(event._replace(text=masked(event.text)))

    def take_steps(self) -> StepColumns:
        """All steps since the last call, as columns.

        Call `take` right after it: then a batch has the steps of every customer that left in it, and no
        customer is recorded as served without a request, even if the worker is lost later.
        """
        parts = []
        while self.steps:
            rows = self.steps[:_ROWS_AT_ONCE]
            del self.steps[:_ROWS_AT_ONCE]
            parts.append(_columns(rows, self._started_at))
            if self.steps:
                self._pause()
        return _joined(parts)

    def take(self, steps: StepColumns, health: HealthSecond | None, *, final: bool = False) -> Batch:
        """These steps and everything else since the last call, as the next batch.

        The lateness histogram of `health` is filled in here.
        """
        lateness_us, self._lateness_us = self._lateness_us, []
        customers, self._customers = self._customers, []
        started, self._started = self._started, []
        dropped, self._dropped = self._dropped, []
        orders, self._orders = self._orders, []
        events, self._events = self._events, []
        errors, self._errors = self._errors, []
        # Everything is taken; from here on there may be pauses.
        secondary_metrics = self.secondary_metrics.take(health.second if health is not None else 0, self.keys)
        lateness = pack(np.concatenate([steps.lateness_us, np.array(lateness_us, dtype=np.int64)]))
        left = tuple(CustomerCount(*key, n) for key, n in Counter(customers).items())
        self._pause()
        batch = Batch(
            worker=self.worker,
            seq=self._seq,
            final=final,
            requests=self._binned(steps),
            customers=left,
            arrivals=_arrivals(Counter(started), Counter(dropped)),
            orders=tuple(orders),
            exemplars=(*self._slowest(steps), *errors),
            health=() if health is None else (health._replace(lateness=lateness),),
            events=tuple(events),
            **secondary_metrics._asdict(),
        )
        self._seq += 1
        return storable_batch(batch)

    def _binned(self, steps: StepColumns) -> tuple[RequestSecond, ...]:
        """One row per second and series; all histograms of a kind are made in one call."""
        if not len(steps):
            return ()
        width = len(self.keys)
        cells, group, counts = np.unique(
            steps.second * width + steps.series, return_inverse=True, return_counts=True
        )
        kinds = []
        for times_us in (steps.response_us, steps.service_us, steps.first_byte_us):
            kinds.append(pack_groups(group, times_us, len(cells)))
            self._pause()
        seconds, series = np.divmod(cells, width)
        sent = np.bincount(group, weights=steps.bytes_sent)
        received = np.bincount(group, weights=steps.bytes_received)
        return tuple(
            RequestSecond(second, self.keys[number], n, int(out), int(back), *blobs)
            for second, number, n, out, back, *blobs in zip(
                seconds.tolist(), series.tolist(), counts.tolist(), sent, received, *kinds, strict=True
            )
        )

    def _slowest(self, steps: StepColumns) -> list[Exemplar]:
        """The slowest step of each series, and the slowest one that carried a trace id."""
        if not len(steps):
            return []
        slowest = self._exemplars("slow", steps, np.arange(len(steps)))
        if not self._trace_share:
            return slowest
        traced = [bool(trace_id_of(one, self._trace_share)) for one in steps.request_ids]
        return slowest + self._exemplars("traced", steps, np.flatnonzero(traced))

    def _exemplars(self, kind: str, steps: StepColumns, among: Ints) -> list[Exemplar]:
        """The slowest step of each series among these rows."""
        order = among[np.lexsort((steps.response_us[among], steps.series[among]))]
        sorted_series = steps.series[order]
        ends = np.append(sorted_series[1:] != sorted_series[:-1], True)[: order.size]
        last = order[np.flatnonzero(ends)]
        return [
            Exemplar(
                kind,
                int(steps.second[row]),
                self.keys[int(steps.series[row])],
                int(steps.response_us[row]),
                steps.request_ids[row],
                "",
                trace_id=trace_id_of(steps.request_ids[row], self._trace_share),
            )
            for row in last.tolist()
        ]


def _arrivals(
    started: Counter[tuple[int, str]], dropped: Counter[tuple[int, str]]
) -> tuple[ArrivalCount, ...]:
    return tuple(
        ArrivalCount(*key, started[key], dropped[key]) for key in sorted(started.keys() | dropped.keys())
    )


def _columns(rows: list[StepRow], started_at: float) -> StepColumns:
    n = len(rows)
    numbers, *stamps, sent, received, request_ids = zip(*rows, strict=True)
    intended_at, actual_at, first_byte_at, ended_at = (np.fromiter(at, np.float64, n) for at in stamps)
    return StepColumns(
        series=np.fromiter(numbers, np.int64, n),
        second=np.floor(intended_at - started_at).astype(np.int64),
        response_us=_us(ended_at - intended_at),
        service_us=_us(ended_at - actual_at),
        first_byte_us=_us(first_byte_at - actual_at),
        lateness_us=np.maximum(_us(actual_at - intended_at), 0),
        bytes_sent=np.fromiter(sent, np.int64, n),
        bytes_received=np.fromiter(received, np.int64, n),
        request_ids=request_ids,
    )


def _us(seconds: NDArray[np.float64]) -> Ints:
    return np.rint(seconds * _US_PER_S).astype(np.int64)


def _joined(parts: list[StepColumns]) -> StepColumns:
    def column(name: str) -> Ints:
        columns = [getattr(part, name) for part in parts]
        return np.concatenate(columns) if columns else np.empty(0, dtype=np.int64)

    return StepColumns(
        series=column("series"),
        second=column("second"),
        response_us=column("response_us"),
        service_us=column("service_us"),
        first_byte_us=column("first_byte_us"),
        lateness_us=column("lateness_us"),
        bytes_sent=column("bytes_sent"),
        bytes_received=column("bytes_received"),
        request_ids=tuple(name for part in parts for name in part.request_ids),
    )
