"""What is shown of a run while it goes on: one value for the terminal, the live page and a replay.

Every number is for display. The report computes its own from the run file, and judges it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

RECENT_S = 10  # the window of "now"
STEPS_S = 30  # the window of the table of steps
SPARK_S = 60  # what a sparkline covers
SPARK_WIDTH_S = 2  # of one of its bars: a report may arrive just before or after a full second

RunState = Literal["running", "draining", "stopping", "finished", "interrupted", "aborted"]
Unit = Literal["per_s", "count", "ratio", "s"]
ThresholdState = Literal["pass", "fail", "warn", "inconclusive", "open"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: in the last `RECENT_S`, over the whole run, and its bars of the last `SPARK_S`.

    None: nothing was counted. `recent_n` and `whole_n` are the sizes of the samples.
    """

    name: str
    unit: Unit
    recent: float | None
    recent_n: int
    whole: float | None
    whole_n: int
    spark: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """One phase of the demand, in seconds since the start."""

    name: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class ThresholdView:
    """A threshold as it stands; "open" until the end of the run decides it."""

    rule: str
    state: ThresholdState
    value: str
    sentence: str


@dataclass(frozen=True, slots=True)
class StepView:
    """One step in one channel in the last `STEPS_S`: how many requests ended, failed or were abandoned."""

    channel: str
    step: str
    n: int
    failed: int
    abandoned: int
    p95_s: float | None


@dataclass(frozen=True, slots=True)
class ChannelView:
    """One channel over the whole run; `planned` counts the arrivals due so far, None for a closed channel."""

    name: str
    planned: int | None
    started: int
    in_shop: int
    served: int
    lost: int
    could_order: int
    wanted_order: int
    recent_lost: int
    recent_left: int


@dataclass(frozen=True, slots=True)
class GeneratorView:
    """The load generator: CPU as a ratio of one core, and how late it starts things."""

    workers: int
    cpu_ratio: float | None
    late_p99_s: float | None
    loop_lag_s: float | None
    dropped: int

    @property
    def is_healthy(self) -> bool:
        """Whether nothing suggests that the generator is the bottleneck; limits as in `gate.validity`."""
        return (self.cpu_ratio or 0.0) <= 0.9 and (self.late_p99_s or 0.0) <= 0.05 and not self.dropped


@dataclass(frozen=True, slots=True)
class ChartView:
    """Customers by time of arrival, in buckets of `width_s`: per second planned, served, lost, still inside.

    `p95_s` is of the requests that ended in the bucket: of those due in it, the fast ones end first.
    """

    width_s: int
    planned: tuple[float, ...]
    served: tuple[float, ...]
    lost: tuple[float, ...]
    inside: tuple[float, ...]
    p95_s: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class EventView:
    """Something that happened, such as a fault that was switched on or a worker that was lost."""

    at_s: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class StageView:
    """One run of a series: a load step at a rate, or a pair of rehearsals; "running" is the current one."""

    label: str
    state: Literal["pass", "fail", "unsure", "invalid", "running"]
    text: str
    rate_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class SeriesView:
    """A capacity search or a comparison: its stages so far, what they say, and the bracket of the answer."""

    title: str
    sentence: str
    stages: tuple[StageView, ...]
    low_per_s: float | None = None
    high_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The verdict at the end, with its reasons and what to do next."""

    state: str
    sentence: str
    reasons: tuple[str, ...]
    folder: str


@dataclass(frozen=True, slots=True)
class LiveState:
    """A run `at_s` after its start; `silent_s` is the time without any ended request while customers wait."""

    title: str
    target: str
    state: RunState
    reason: str
    at_s: float
    duration_s: float
    phases: tuple[PhaseSpan, ...]
    has_customers: bool
    planned: int
    finished: int
    in_shop: int
    sent_home: int
    silent_s: float
    measures: tuple[Measure, ...]
    outcomes: dict[str, int]
    thresholds: tuple[ThresholdView, ...]
    steps: tuple[StepView, ...]
    channels: tuple[ChannelView, ...]
    generator: GeneratorView
    chart: ChartView
    events: tuple[EventView, ...] = field(default=())

    @property
    def phase(self) -> str:
        """The name of the phase; "" where the demand has none."""
        return next((one.name for one in self.phases if one.from_s <= self.at_s < one.to_s), "")

    @property
    def left_s(self) -> float:
        """Time to the end of the schedule."""
        return max(0.0, self.duration_s - self.at_s)

    @property
    def has_ended(self) -> bool:
        """Whether the run is over."""
        return self.state in ("finished", "interrupted", "aborted")
