"""The workers of a run, the arrivals of each, and their reports. Pure: the time is an argument.

Rules:
- A report counts once, whenever and however often it arrives; a worker has finished when its last report and
  all before it are there.
- A worker that does not report for too long is lost. Its reports stay; arrivals that it may have started
  without reporting an outcome are dropped (cause "worker_lost"); later arrivals are distributed evenly over
  the others. Reports of a lost worker are ignored, because its arrivals have been reassigned.
- A worker may send for SHARE_LIMIT_S after a report that the master has received. Only then the others get
  its share of the ceiling on requests: it may be unreachable and still running.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np
import numpy.typing as npt

from doorbuster.load.run_plan import Rows
from doorbuster.records.batch import ArrivalCount, Batch, CustomerCount
from doorbuster.records.outcome import Cause, Outcome
from doorbuster.scenario import Schedule

SILENCE_LIMIT_S = 5.0  # five missed reports in a row
SHARE_LIMIT_S = 6.0  # a share of the ceiling is valid for this long after a report
PLACES_VALID_S = 1.0  # who shares the ceiling is counted this often; a smaller share in between is safe


@dataclass(slots=True)
class _Worker:
    number: int
    last_report_s: float
    seen: set[int] = field(default_factory=set)
    last_seq: int | None = None
    lost: bool = False
    has_ended: bool = False
    started: Counter[tuple[int, str]] = field(default_factory=Counter)
    left: Counter[tuple[int, str, str]] = field(default_factory=Counter)

    @property
    def finished(self) -> bool:
        return self.last_seq is not None and len(self.seen) == self.last_seq + 1

    def may_send(self, now_s: float) -> bool:
        """Whether it may have a valid share of the ceiling."""
        if self.lost:
            return not self.has_ended and now_s < self.last_report_s + SHARE_LIMIT_S
        return not self.finished


@dataclass(frozen=True, slots=True)
class WorkerLoss:
    """A lost worker: the rows that each other worker takes over, and the customers without an outcome."""

    name: str
    reassigned_to: dict[str, Rows]
    customers: tuple[CustomerCount, ...]
    arrivals: tuple[ArrivalCount, ...]


class WorkerRegistry:
    """The workers of one run; all times count from the start of the run."""

    def __init__(self, schedule: Schedule, names: Sequence[str], *, now_s: float) -> None:
        self._schedule = schedule
        self._workers = {name: _Worker(number, now_s) for number, name in enumerate(names)}
        self._owner = np.arange(len(schedule)) % max(len(names), 1)
        self._places: dict[str, int] = {}
        self._places_until_s = -inf

    def add(self, name: str, *, now_s: float) -> None:
        """A process that reports, but starts no customers."""
        self._workers[name] = _Worker(len(self._workers), now_s)
        self._places_until_s = -inf

    def heard(self, name: str, *, now_s: float) -> bool:
        """Note that a worker's report was received; False for a lost or unknown worker."""
        worker = self._workers.get(name)
        if worker is None or worker.lost:
            return False
        worker.last_report_s = max(worker.last_report_s, now_s)
        return True

    def place(self, name: str, *, now_s: float) -> tuple[int, int]:
        """The worker's number among those that share the ceiling on requests, and how many they are."""
        if now_s >= self._places_until_s:  # not for every report: the cost would grow with workers squared
            sharing = [other for other, worker in self._workers.items() if worker.may_send(now_s)]
            self._places = {other: number for number, other in enumerate(sharing)}
            lost = (w.last_report_s + SHARE_LIMIT_S for o in sharing if (w := self._workers[o]).lost)
            self._places_until_s = min(now_s + PLACES_VALID_S, *lost, inf)
        return self._places.get(name, 0), max(len(self._places), 1)

    def register(self, batch: Batch, *, now_s: float) -> bool:
        """Register a report; False if it must not count (a duplicate, or from a lost worker)."""
        worker = self._workers.get(batch.worker)
        if worker is None or worker.lost:
            return False
        worker.last_report_s = max(worker.last_report_s, now_s)
        if batch.seq in worker.seen:
            return False
        worker.seen.add(batch.seq)
        if batch.final:
            worker.last_seq = batch.seq
        for arrival in batch.arrivals:
            worker.started[arrival.second, arrival.channel] += arrival.started + arrival.dropped
        for row in batch.customers:
            worker.left[row.second, row.channel, row.journey] += row.n
        return True

    @property
    def complete(self) -> bool:
        """Whether every worker has finished or is lost."""
        return all(worker.lost or worker.finished for worker in self._workers.values())

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """Workers that have neither finished nor are lost."""
        return tuple(name for name, w in self._workers.items() if not (w.lost or w.finished))

    def timed_out(self, *, now_s: float, limit_s: float = SILENCE_LIMIT_S) -> tuple[str, ...]:
        """Workers whose next report is overdue by more than the limit."""
        waiting = self.waiting_for
        return tuple(name for name in waiting if now_s - self._workers[name].last_report_s > limit_s)

    def lose(self, name: str, *, from_s: float, has_ended: bool = False) -> WorkerLoss:
        """Mark a worker as lost; its arrivals from `from_s` on are distributed over the active workers.

        has_ended: whether its process is known to have ended, so that it sends nothing any more.
        """
        lost = self._workers[name]
        lost.lost, lost.has_ended = True, has_ended
        self._places_until_s = -inf
        owned = self._owner == lost.number
        ahead = np.flatnonzero(owned & (self._schedule.intended_s >= from_s))
        active = self.waiting_for
        shares: dict[str, Rows] = {}
        for number, other in enumerate(active):
            shares[other] = ahead[number :: len(active)]
            self._owner[shares[other]] = self._workers[other].number
        owned[ahead if active else ahead[:0]] = False
        return WorkerLoss(name, shares, self._unaccounted(lost, owned), self._never_started(lost, owned))

    def _unaccounted(self, lost: _Worker, owned: npt.NDArray[np.bool_]) -> tuple[CustomerCount, ...]:
        """Customers of the lost worker without an outcome; in closed channels only those it had started."""
        schedule = self._schedule
        due: Counter[tuple[int, str, str]] = Counter()
        for second, channel_journey in zip(
            schedule.intended_s[owned].astype(np.int64).tolist(),
            schedule.channel_journey_index[owned].tolist(),
            strict=True,
        ):
            due[second, *schedule.channel_journeys[channel_journey]] += 1
        open_channels = {one.channel for one in schedule.channel_journeys}
        for (second, channel), n in lost.started.items():
            if channel not in open_channels:
                left = sum(k for (at, of, _), k in lost.left.items() if (at, of) == (second, channel))
                due[second, channel, ""] += n - left
        missing = {key: n - (lost.left[key] if key[2] else 0) for key, n in due.items()}
        return tuple(
            CustomerCount(second, channel, journey, Outcome.DROPPED, "", Cause.WORKER_LOST, None, None, n)
            for (second, channel, journey), n in sorted(missing.items())
            if n > 0
        )

    def _never_started(self, lost: _Worker, owned: npt.NDArray[np.bool_]) -> tuple[ArrivalCount, ...]:
        schedule = self._schedule
        due: Counter[tuple[int, str]] = Counter()
        for second, channel_journey in zip(
            schedule.intended_s[owned].astype(np.int64).tolist(),
            schedule.channel_journey_index[owned].tolist(),
            strict=True,
        ):
            due[second, schedule.channel_journeys[channel_journey].channel] += 1
        return tuple(
            ArrivalCount(second, channel, 0, n - lost.started[second, channel])
            for (second, channel), n in sorted(due.items())
            if n > lost.started[second, channel]
        )
