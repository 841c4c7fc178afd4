"""What an analysis script hands back: one question, one verdict sentence, figures, tables and named metrics.

Everything here is a frozen value without a trace of HTML, matplotlib or the terminal: a `Chart` says what is
to be seen, the renderers decide how. Rules of a good section:
- `sentence` answers `question` so that a manager can repeat it; numbers in it carry their uncertainty.
- The title of a chart states the finding ("ordering broke at 0:42"), not the variables.
- A number nobody could know is None, never 0.
- Times on a chart are seconds since the start of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    pass

Unit = Literal["", "ms", "s", "clock", "ratio", "count", "per_s", "pence", "bytes", "cores"]
ChartKind = Literal["lines", "stacked", "bars", "heatmap", "scatter"]
Role = Literal[
    "auto", "served", "abandoned", "turned_away", "queued_out", "dropped",
    "ok", "failed", "planned", "quiet", "strong",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """A number with its 95 % interval and the count it rests on; thresholds and other tools read it by name.

    `value` None means that it could not be known; `min` that it is a lower bound.
    """

    value: float | None
    unit: Unit = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    meaning: str = ""
    at_least: bool = False


class TimeEstimate(Protocol):
    """A time in us with its interval, as doorbuster.stats gives it."""

    @property
    def value_us(self) -> float | None: ...
    @property
    def low_us(self) -> float | None: ...
    @property
    def high_us(self) -> float | None: ...
    @property
    def n(self) -> int: ...


def time_metric(found: TimeEstimate, meaning: str = "", *, at_least: bool = False) -> Metric:
    """A time with its interval, in ms."""
    value, low, high = (
        None if us is None else us / 1e3 for us in (found.value_us, found.low_us, found.high_us)
    )
    return Metric(value, "ms", low, high, found.n, meaning, at_least)


Cell = str | int | float | Metric | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; plain numbers in it are shown in `unit`, a Metric brings its own."""

    name: str
    unit: Unit = ""


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.title!r} has {len(self.columns)} columns (got a row of {len(row)}: "
                    f"{row!r}); give every row one cell per column, None for an empty one"
                )


@dataclass(frozen=True, slots=True)
class Series:
    """One line, area or set of bars: a value per point of the chart's x, None where there is none.

    `low` and `high` draw a band around a line.
    """

    name: str
    y: tuple[float | None, ...]
    role: Role = "auto"
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Annotation:
    """A labelled place: a moment (vertical line) or a bound (horizontal line)."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure, declared. `x` holds seconds or numbers, names for bars.

    heat     a row per series, the first at the bottom; values are shares 0..1 of their column, dark is much.
    scatter  points in any order; series differ by colour and shape.
    """

    kind: ChartKind
    title: str
    x_label: str
    y_label: str
    x: tuple[float, ...] | tuple[str, ...]
    series: tuple[Series, ...]
    x_unit: Unit = "clock"
    y_unit: Unit = ""
    moments: tuple[Annotation, ...] = ()
    bounds: tuple[Annotation, ...] = ()
    log_y: bool = False
    y_max: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        for series in self.series:
            for values in (series.y, series.low, series.high):
                if len(values) not in (0, len(self.x)) or len(series.y) != len(self.x):
                    raise ValueError(
                        f"chart {self.title!r}: series {series.name!r} must have {len(self.x)} values, one "
                        f"per x (got {len(values)})"
                    )


@dataclass(frozen=True, slots=True)
class Section:
    """One question about a run, answered.

    `not_applicable`: the question does not arise for this run. Such a section is in no report, but is
    printed on request. `headline`: it tells what several runs say together, such as those of a search for
    the capacity; the first such answer heads the report, and the run that is shown is one of them.
    `recommendations`: what to fix first; shown below the verdict.
    """

    name: str
    question: str
    sentence: str
    figures: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    not_applicable: bool = False
    headline: bool = False
    recommendations: tuple[str, ...] = ()


_BUCKETS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def bucket_s(length_s: float, *, most: int = 90) -> int:
    """A bucket width people can read, in whole seconds, that cuts a run into at most `most` parts."""
    return next((width for width in _BUCKETS_S if length_s / width <= most), _BUCKETS_S[-1])
