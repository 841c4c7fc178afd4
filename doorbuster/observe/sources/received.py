"""What sources that receive have in common: values wait, bounded, until they are read."""

from __future__ import annotations

import threading

from doorbuster.observe.sample import Labels, TargetSample

MAX_WAITING = 100_000
LOOPBACK = "127.0.0.1"


class ReceivedSamples:
    """Samples between the thread that receives and the one that reads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._waiting: list[TargetSample] = []
        self.refused = 0  # messages that cannot be parsed, and values beyond the bound

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
    """Running totals of counters that arrive as increments."""

    def __init__(self) -> None:
        self._totals: dict[tuple[str, Labels], float] = {}

    def add(self, name: str, labels: Labels, amount: float) -> None:
        key = (name, labels)
        self._totals[key] = self._totals.get(key, 0.0) + amount

    def samples(self) -> list[TargetSample]:
        return [TargetSample(name, labels, value, True) for (name, labels), value in self._totals.items()]
