"""A stacked chart over time as numbers for an HTML template: its picture stretches, its text does not.

The picture is an SVG without text that fills whatever width there is, so that the labels, which the page
places in per cent of it, keep their size on a phone. The template gets numbers, variables of the palette and
clean text, which it escapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from doorbuster.output import one_line
from doorbuster.report.figures.palette import series_style
from doorbuster.report.formatting import format_clock
from doorbuster.report.section import Chart
from doorbuster.units import format_number

VIEW = 1000.0  # width and height of the picture's own units
CLOCK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
MAX_X_TICKS, MAX_Y_TICKS = 8, 4
NARROW = 9.0  # per cent of the width: a shorter span has no label
LABEL_WIDTH = 16.0  # per cent that the label of a moment takes


@dataclass(frozen=True, slots=True)
class PlacedText:
    """A label; `at` in per cent from the left, or from the bottom for the vertical axis."""

    at: float
    text: str
    row: int = 0
    flipped: bool = False


@dataclass(frozen=True, slots=True)
class FluidShape:
    """An area or line: SVG path data, and the CSS variable of its colour."""

    name: str
    path: str
    variable: str
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class FluidSpan:
    """A part of the time, in per cent of the width; `label` is "" where it does not fit.

    room: of the label, which starts at the left edge and may reach over later spans without a label.
    """

    left: float
    width: float
    label: str
    shaded: bool
    room: float = 0.0


@dataclass(frozen=True, slots=True)
class FluidChart:
    """Everything that the template needs."""

    title: str
    note: str
    areas: tuple[FluidShape, ...]
    lines: tuple[FluidShape, ...]
    spans: tuple[FluidSpan, ...]
    moments: tuple[PlacedText, ...]
    x_ticks: tuple[PlacedText, ...]
    y_ticks: tuple[PlacedText, ...]
    y_label: str


def fluid_chart(chart: Chart) -> FluidChart | None:
    """The chart; None without points. Only for kind "stacked" over seconds."""
    x = [float(at) for at in chart.x]
    if not x or chart.kind != "stacked":
        return None
    end = 2 * x[-1] - x[-2] if len(x) > 1 else x[0] + 1.0
    edges = [*x, end]
    first, length = edges[0], edges[-1] - edges[0]
    sums = [sum(series.y[at] or 0.0 for series in chart.series) for at in range(len(x))]
    lines = [value for series in chart.overlay for value in series.y if value is not None]
    top, step = _scale(max([*sums, *lines, 0.0]))

    def across(at_s: float) -> float:
        return (at_s - first) / length

    areas, below = [], [0.0] * len(x)
    for position, series in enumerate(chart.series):
        heights = [base + (value or 0.0) for base, value in zip(below, series.y, strict=True)]
        path = _area([across(at) for at in edges], below, heights, top)
        areas.append(
            FluidShape(one_line(series.name, 40), path, series_style(series.role, position).variable)
        )
        below = heights
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    overlay = tuple(
        FluidShape(
            one_line(series.name, 40), _line([across(at) for at in middles], series.y, top),
            series_style(series.role, position).variable, dashed=True,
        )
        for position, series in enumerate(chart.overlay)
    )  # fmt: skip
    spans = _with_room(
        [
            _span(across(max(span.start, first)), across(min(span.end, end)), span.label, place)
            for place, span in enumerate(chart.spans)
            if span.end > first and span.start < end
        ]
    )
    marks = [
        (across(mark.at), f"{one_line(mark.label, 24)} {format_clock(mark.at)}") for mark in chart.moments
    ]
    return FluidChart(
        title=one_line(chart.title, 120),
        note=chart.note,
        areas=tuple(areas),
        lines=overlay,
        spans=spans,
        moments=_moments(marks),
        x_ticks=_clock_ticks(first, end),
        y_ticks=tuple(
            PlacedText(100.0 * n * step / top, format_number(n * step)) for n in range(round(top / step) + 1)
        ),
        y_label=one_line(chart.y_label, 40),
    )


def _scale(highest: float) -> tuple[float, float]:
    """A round top of the axis at or above the highest value, and the step of its ticks."""
    if highest <= 0:
        return 1.0, 1.0
    rough = highest / MAX_Y_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return math.ceil(highest / step - 1e-9) * step, step


def _area(edges: Sequence[float], below: Sequence[float], above: Sequence[float], top: float) -> str:
    """Steps along the upper edge, and back along the lower one."""
    forth = [f"{_x(edges[0])},{_y(above[0], top)}"]
    for at, value in enumerate(above):
        forth.append(f"V{_y(value, top)}H{_x(edges[at + 1])}")
    back = [f"V{_y(below[at], top)}H{_x(edges[at])}" for at in range(len(below) - 1, -1, -1)]
    return f"M{''.join(forth)}{''.join(back)}Z"


def _line(middles: Sequence[float], y: Sequence[float | None], top: float) -> str:
    """Straight pieces between the known values."""
    parts, pen = [], "M"
    for at, value in zip(middles, y, strict=True):
        if value is None:
            pen = "M"
            continue
        parts.append(f"{pen}{_x(at)},{_y(value, top)}")
        pen = "L"
    return "".join(parts)


def _x(share: float) -> str:
    return f"{share * VIEW:.1f}".rstrip("0").rstrip(".")


def _y(value: float, top: float) -> str:
    return f"{(1 - value / top) * VIEW:.1f}".rstrip("0").rstrip(".")


def _span(start: float, end: float, label: str, place: int) -> FluidSpan:
    left, width = 100 * max(0.0, start), 100 * (min(1.0, end) - max(0.0, start))
    return FluidSpan(left, width, one_line(label, 24) if width >= NARROW else "", shaded=place % 2 == 1)


def _with_room(spans: Sequence[FluidSpan]) -> tuple[FluidSpan, ...]:
    """The spans with the room of their labels: up to the next label, or the end of the chart."""
    found: list[FluidSpan] = []
    limit = 100.0
    for span in reversed(spans):
        found.append(replace(span, room=limit - span.left))
        limit = span.left if span.label else limit
    return tuple(reversed(found))


def _moments(marks: Sequence[tuple[float, str]]) -> tuple[PlacedText, ...]:
    """Labels right of their lines, left of them near the end; a row further down where two would overlap."""
    placed: list[PlacedText] = []
    for share, text in sorted(mark for mark in marks if 0 <= mark[0] <= 1):
        at = 100 * share
        near = [one for one in placed if abs(one.at - at) < LABEL_WIDTH]
        placed.append(PlacedText(at, text, len(near), flipped=at > 100 - LABEL_WIDTH))
    return tuple(placed)


def _clock_ticks(first: float, end: float) -> tuple[PlacedText, ...]:
    length = end - first
    step = next((step for step in CLOCK_STEPS_S if length / step <= MAX_X_TICKS), CLOCK_STEPS_S[-1])
    marks = range(math.ceil(first / step) * step, math.floor(end) + 1, step)
    return tuple(PlacedText(100 * (at - first) / length, format_clock(at)) for at in marks)
