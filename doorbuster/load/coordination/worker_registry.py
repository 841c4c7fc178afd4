"""Who generates the load of a run, what each worker was given, what each has reported. Pure: time comes in.

Rules:
- A report counts once, whenever and however often it arrives; a worker is through when its last report and
  all before it are there.
- A worker that is silent for too long is lost. What it reported stays; arrivals it may have started and never
  accounted for are dropped (cause "worker_lost"); those still to come go to the others, evenly, so that no
  one is swamped. A worker once lost is not listened to again: its arrivals have been given away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from doorbuster.records.batch import ArrivalCount, Batch, CustomerCount
from doorbuster.records.outcome import Cause, Outcome
from doorbuster.scenario import Schedule

SILENCE_LIMIT_S = 5.0  # five reports missed in a row

Rows = npt.NDArray[np.int64]


@dataclass(slots=True)
class _Worker:
    number: int
    heard_at_s: float
    seen: set[int] = field(default_factory=set)
    last_seq: int | None = None
    lost: bool = False
    started: Counter[tuple[int, str]] = field(default_factory=Counter)
    left: Counter[tuple[int, str, str]] = field(default_factory=Counter)

    @property
    def through(self) -> bool:
        return self.last_seq is not None and len(self.seen) == self.last_seq + 1


@dataclass(frozen=True, slots=True)
class WorkerLoss:
    """What the loss of a worker means: rows of the schedule for each survivor, and who is unaccounted for."""

    name: str
    heirs: dict[str, Rows]
    customers: tuple[CustomerCount, ...]
    arrivals: tuple[ArrivalCount, ...]


class WorkerRegistry:
    """The workers of one run; `now_s` counts from the start of the run, as all times here."""

    def __init__(self, schedule: Schedule, names: Sequence[str], *, now_s: float) -> None:
        self._schedule = schedule
        self._workers = {name: _Worker(number, now_s) for number, name in enumerate(names)}
        self._owner = np.arange(len(schedule)) % max(len(names), 1)

    def note(self, batch: Batch, *, now_s: float) -> bool:
        """Take notice of a report; False when it must not count (seen before, or from a lost worker)."""
        worker = self._workers.get(batch.worker)
        if worker is None or worker.lost:
            return False
        worker.heard_at_s = now_s
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
        """Whether every worker has reported everything or is lost."""
        return all(worker.lost or worker.through for worker in self._workers.values())

    @property
    def lost(self) -> tuple[str, ...]:
        return tuple(name for name, worker in self._workers.items() if worker.lost)

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """Workers that have not reported everything yet."""
        return tuple(name for name, w in self._workers.items() if not (w.lost or w.through))

    def silent(self, *, now_s: float, limit_s: float = SILENCE_LIMIT_S) -> tuple[str, ...]:
        """Workers that should have reported and have not for longer than the limit."""
        waiting = self.waiting_for
        return tuple(name for name in waiting if now_s - self._workers[name].heard_at_s > limit_s)

    def lose(self, name: str, *, from_s: float) -> WorkerLoss:
        """Strike a worker off; its arrivals from `from_s` on are given to those still at work."""
        gone = self._workers[name]
        gone.lost = True
        owned = self._owner == gone.number
        ahead = np.flatnonzero(owned & (self._schedule.intended_s >= from_s))
        heirs = [other for other, worker in self._workers.items() if not (worker.lost or worker.through)]
        shares: dict[str, Rows] = {}
        for place, heir in enumerate(heirs):
            shares[heir] = ahead[place :: len(heirs)]
            self._owner[shares[heir]] = self._workers[heir].number
        given = ahead if heirs else ahead[:0]
        owned[given] = False
        return WorkerLoss(name, shares, self._unaccounted(gone, owned), self._never_started(gone, owned))

    def _unaccounted(self, gone: _Worker, owned: npt.NDArray[np.bool_]) -> tuple[CustomerCount, ...]:
        """Customers of the lost worker without an outcome; of closed channels those it had started."""
        schedule = self._schedule
        due: Counter[tuple[int, str, str]] = Counter()
        for second, lane in zip(
            schedule.intended_s[owned].astype(np.int64).tolist(),
            schedule.class_index[owned].tolist(),
            strict=True,
        ):
            due[second, *schedule.classes[lane]] += 1
        open_channels = {lane.channel for lane in schedule.classes}
        for (second, channel), n in gone.started.items():
            if channel not in open_channels:
                left = sum(k for (at, of, _), k in gone.left.items() if (at, of) == (second, channel))
                due[second, channel, ""] += n - left
        missing = {key: n - (gone.left[key] if key[2] else 0) for key, n in due.items()}
        return tuple(
            CustomerCount(second, channel, journey, Outcome.DROPPED, "", Cause.WORKER_LOST, None, None, n)
            for (second, channel, journey), n in sorted(missing.items())
            if n > 0
        )

    def _never_started(self, gone: _Worker, owned: npt.NDArray[np.bool_]) -> tuple[ArrivalCount, ...]:
        schedule = self._schedule
        due: Counter[tuple[int, str]] = Counter()
        for second, lane in zip(
            schedule.intended_s[owned].astype(np.int64).tolist(),
            schedule.class_index[owned].tolist(),
            strict=True,
        ):
            due[second, schedule.classes[lane].channel] += 1
        return tuple(
            ArrivalCount(second, channel, 0, n - gone.started[second, channel])
            for (second, channel), n in sorted(due.items())
            if n > gone.started[second, channel]
        )
