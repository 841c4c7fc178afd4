"""What an analysis script returns: one question, its answer, figures, tables and named metrics.

All values are frozen and independent of HTML, matplotlib and the terminal; renderers decide how they look.
Rules of a good section:
- `sentence` answers `question` in words a manager can repeat; its numbers carry their uncertainty.
- The title of a chart states the finding ("ordering failed from 0:42"), not the variables.
- An unknown number is None, never 0.
- Times on a chart are seconds since the start of the run.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar, get_args

from doorbuster.records.outcome import Outcome, RequestOutcome
from doorbuster.units import CurrencyCode

Unit = Literal["", "ms", "s", "clock", "ratio", "count", "per_s", "bytes", "cores"] | CurrencyCode
Part = TypeVar("Part")
T = TypeVar("T")
ChartKind = Literal["lines", "stacked", "bars", "heatmap", "scatter"]
Role = Outcome | RequestOutcome | Literal["auto", "good", "warning", "bad", "planned", "quiet", "strong"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A number with its 95 % interval and sample size; thresholds and other tools read it by name.

    `value` is None when unknown; `at_least` marks a lower bound.
    """

    value: float | None
    unit: Unit = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    meaning: str = ""
    at_least: bool = False


class TimeEstimate(Protocol):
    """A time in µs with its interval, as doorbuster.stats returns it."""

    @property
    def value_us(self) -> float | None: ...
    @property
    def low_us(self) -> float | None: ...
    @property
    def high_us(self) -> float | None: ...
    @property
    def n(self) -> int: ...


class RatioEstimate(Protocol):
    """A proportion with its interval, as doorbuster.stats returns it."""

    @property
    def ratio(self) -> float | None: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def n(self) -> int: ...


def ms(value_us: float | None) -> float | None:
    """A time in µs as ms."""
    return None if value_us is None else value_us / 1e3


def time_metric(found: TimeEstimate, meaning: str = "") -> Metric:
    """A time with its interval, in ms; a lower bound where the estimate is one."""
    at_least = getattr(found, "at_least", False)
    return Metric(ms(found.value_us), "ms", ms(found.low_us), ms(found.high_us), found.n, meaning, at_least)


def ratio_metric(found: RatioEstimate, meaning: str = "") -> Metric:
    """A proportion with its interval; unknown without observations."""
    if found.ratio is None:
        return Metric(None, "ratio", n=found.n, meaning=meaning)
    return Metric(found.ratio, "ratio", found.low, found.high, found.n, meaning)


Cell = str | int | float | Metric | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. `unit` is that of its plain numbers; a Metric has its own."""

    name: str
    unit: Unit = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `in_summary` also shows it in the Markdown summary, and `summary_rows` of it after a run."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    in_summary: bool = False
    summary_rows: int = 3

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.title!r} has {len(self.columns)} columns (got a row of {len(row)}: "
                    f"{row!r}); give every row one cell per column, None for an empty one"
                )


def table(
    title: str, items: Iterable[T], columns: Mapping[str | Column, Callable[[T], Cell]], note: str = ""
) -> Table | None:
    """A table with a row for each item, cell by cell from the function of its column; None without items."""
    rows = tuple(tuple(cell(item) for cell in columns.values()) for item in items)
    heads = tuple(Column(head) if isinstance(head, str) else head for head in columns)
    return Table(title, heads, rows, note) if rows else None


@dataclass(frozen=True, slots=True)
class Series:
    """One line, area or set of bars: one value per x of the chart, None for a gap.

    `low` and `high` draw a band around a line.
    """

    name: str
    y: tuple[float | None, ...]
    role: Role = "auto"
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    dashed: bool = False


def metric_series(
    name: str, metrics: Sequence[Metric], role: Role = "auto", *, band: bool = True, dashed: bool = False
) -> Series:
    """A line through metrics, with a gap where one is unknown, and a band of their intervals."""

    def column(field_name: str) -> tuple[float | None, ...]:
        return tuple(None if metric.value is None else getattr(metric, field_name) for metric in metrics)

    ends = (column("low"), column("high")) if band else ((), ())
    return Series(name, column("value"), role, *ends, dashed)


@dataclass(frozen=True, slots=True)
class Annotation:
    """A labelled line: vertical for a moment, horizontal for a bound."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled part of the horizontal axis, such as a phase."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure, declared. `x` holds seconds or numbers, names for bars.

    overlay  lines drawn over a stacked chart.
    spans    shaded parts of the horizontal axis.
    y_min    start of the value axis where 0 would hide the differences; the note should say so.
    heatmap  one row per series, the first at the bottom; values are shares 0..1 of their column.
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
    overlay: tuple[Series, ...] = ()
    spans: tuple[Span, ...] = ()
    log_y: bool = False
    y_min: float | None = None
    y_max: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(ChartKind):
            raise ValueError(
                f"chart {self.title!r}: kind must be one of {', '.join(get_args(ChartKind))} "
                f"(got {self.kind!r})"
            )
        for series in (*self.series, *self.overlay):
            for values in (series.y, series.low, series.high):
                if len(values) not in (0, len(self.x)) or len(series.y) != len(self.x):
                    raise ValueError(
                        f"chart {self.title!r}: series {series.name!r} must have {len(self.x)} values, one "
                        f"per x (got {len(values)})"
                    )


@dataclass(frozen=True, slots=True)
class Picture:
    """A photograph of a screen, shown small; `text` says what it shows."""

    title: str
    text: str
    jpeg: bytes

    @property
    def data_url(self) -> str:
        """The picture as part of a page."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class Fact:
    """A number for managers, shown large below the verdict. `value` and `detail` are text for people."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class CauseEvidence:
    """What explains lost customers, with the numbers that show it.

    explains: which losses: of customers who left because it was too slow, or after an error.
    resource: the short name, such as "queue of the shop" or "CPU of db-1".
    because: completes "… could not order, because": "requests waited in the shop's queue (92 % of its time)".
    evidence: one sentence with the numbers, their source and sample size.
    advice: what to change first, one sentence.
    share: of the shop's own time, or of the resource that was in use, 0..1; the largest leads. None: unknown.
    """

    explains: Literal["slow", "failed"]
    resource: str
    because: str
    evidence: str
    advice: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One question about a run, and its answer.

    group: heading under which related sections are shown together.
    order: sections and groups with lower numbers come first; bundled ones use 100 to 399, and 900 to 999.
    facts: numbers shown below the verdict.
    causes: what explains the lost customers; the verdict names the strongest one, which is what to fix first.
    recommendations: what to fix first where no cause is known; shown below the verdict.
    not_applicable: the question does not apply to this run; such a section is printed on request only.
    headline: the section summarises several runs, such as those of a capacity search. The first one heads
        the report instead of the verdict.
    """

    name: str
    question: str
    sentence: str
    group: str = ""
    order: int = 500
    figures: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    causes: tuple[CauseEvidence, ...] = ()
    recommendations: tuple[str, ...] = ()
    not_applicable: bool = False
    headline: bool = False


def in_order(sections: Iterable[Section]) -> list[Section]:
    """The sections that apply, headlines first, by group and by their own order.

    A group is placed where its first section is.
    """
    shown = [section for section in sections if not section.not_applicable]
    group_order: dict[str, int] = {}
    for section in shown:
        key = section.group or section.name
        group_order[key] = min(group_order.get(key, section.order), section.order)

    def rank(section: Section) -> tuple[bool, int, str, int]:
        key = section.group or section.name
        return not section.headline, group_order[key], key, section.order

    return sorted(shown, key=rank)


def present(*parts: Part | None) -> tuple[Part, ...]:
    """The charts or tables that there is data for; functions return None without data."""
    return tuple(part for part in parts if part is not None)


def not_applicable(
    name: str, question: str, why: str, metrics: Mapping[str, Metric] | None = None
) -> Section:
    """The section of a run that its question does not apply to; thresholds find its metrics unknown."""
    return Section(name, question, why, metrics=metrics or {}, not_applicable=True)


ONLY_SUMMARY = "Unknown: only a summary of another tool was imported; see where the numbers come from."


def without_customers(name: str, question: str) -> Section:
    """The section of a run that has users of a plain Locust file instead of customers."""
    why = "Not applicable: a plain Locust file has users, but no customers with outcomes."
    return not_applicable(name, question, why)


_BUCKETS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def bucket_s(length_s: float, *, most: int = 90) -> int:
    """A readable bucket width in whole seconds that divides a run into at most `most` buckets."""
    return next((width for width in _BUCKETS_S if length_s / width <= most), _BUCKETS_S[-1])
