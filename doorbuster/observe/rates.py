"""Counters as increases per second."""

from __future__ import annotations

from doorbuster.observe.sample import Labels, TargetSample

MIN_INTERVAL_S = 0.05  # two readings of a counter closer than this give no rate


class CounterRates:
    """Remembers the last value of each counter of one source."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, Labels], tuple[float, float]] = {}

    def value(self, sample: TargetSample, at: float) -> float | None:
        """The value to record: of a counter its increase per second, None at its first reading.

        A counter that became smaller was started again from zero, as Prometheus' rate() assumes.
        """
        if not sample.is_counter:
            return sample.value
        key = (sample.name, sample.labels)
        before = self._last.get(key)
        if before is None:
            self._last[key] = (sample.value, at)
            return None
        value, then = before
        if at - then < MIN_INTERVAL_S:
            return None
        self._last[key] = (sample.value, at)
        increase = sample.value - value if sample.value >= value else sample.value
        return increase / (at - then)
