"""What sources that receive have in common: values wait, bounded, until they are read."""

from __future__ import annotations

import threading

from doorbuster.observe.sample import Labels, TargetSample

MAX_WAITING = 100_000
MAX_TOTALS = 2_000  # more than are kept of a source, so that it is said that some are left out
LOOPBACK = "127.0.0.1"


class ReceivedSamples:
    """Samples between the thread that receives and the one that reads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._waiting: list[TargetSample] = []
        self.refused = 0  # messages that cannot be parsed, and values beyond the bound

    def refuse(self, n: int = 1) -> None:
        """Count what is not kept."""
        with self._turn:
            self.refused += n

    def add(self, samples: list[TargetSample]) -> None:
        """Keep samples until `take`, up to the bound."""
        with self._turn:
            room = MAX_WAITING - len(self._waiting)
            self.refused += max(len(samples) - room, 0)
            self._waiting += samples[:room]

    def take(self) -> list[TargetSample]:
        """The samples since the last call."""
        with self._turn:
            found, self._waiting = self._waiting, []
        return found


class Totals:
    """Running totals of counters that arrive as increments, of a bounded number of series."""

    def __init__(self) -> None:
        self._totals: dict[tuple[str, Labels], float] = {}

    def add(self, name: str, labels: Labels, amount: float) -> bool:
        """Whether there was room for it."""
        key = (name, labels)
        if key not in self._totals and len(self._totals) >= MAX_TOTALS:
            return False
        self._totals[key] = self._totals.get(key, 0.0) + amount
        return True

    def samples(self) -> list[TargetSample]:
        return [TargetSample(name, labels, value, True) for (name, labels), value in self._totals.items()]
