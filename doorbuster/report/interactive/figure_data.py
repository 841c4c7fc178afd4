"""Charts of sections as data for the page's script, which draws them on the time axis that all charts share.

Only lines and stacked areas over the time of the run; any other figure stays the picture that it is. The
numbers are the section's own, of the whole run: the script may zoom into them, but cannot filter them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from doorbuster.output import one_line
from doorbuster.report.figures.palette import series_style
from doorbuster.report.section import Annotation, Chart, Series

MAX_VALUES = 20_000
"""Of one chart; a larger one stays a picture, so that the page of a long run opens at once."""
_UNITS = frozenset({"", "ms", "s", "ratio", "count", "per_s", "cores"})  # that js/chart.js can write

Json = dict[str, Any]


def can_redraw(chart: Chart, end_s: float) -> bool:
    """Whether the script can draw this chart.

    Args: end_s: of the page's time axis; a chart that goes beyond it stays a picture.
    """
    columns = sum(3 if series.low else 1 for series in chart.series)
    return (
        chart.kind in ("lines", "stacked")
        and chart.x_unit == "clock"
        and chart.y_unit in _UNITS
        and not chart.overlay
        and len(chart.x) > 1
        and columns * len(chart.x) <= MAX_VALUES
        and _ascends([float(at) for at in chart.x], end_s)
        and all(math.isfinite(end) for end in (chart.y_min, chart.y_max) if end is not None)
    )


def _ascends(x: Sequence[float], end_s: float) -> bool:
    """Whether these times are in order and within the page's time axis; False for any not a number."""
    return all(first < second for first, second in pairwise(x)) and x[0] >= 0 and x[-1] <= end_s


@dataclass(frozen=True, slots=True)
class PlacedChart:
    """A chart; `is_said` where the sentence of its section already says its title."""

    chart: Chart
    is_said: bool = False


def figure_data(charts: Mapping[str, PlacedChart]) -> Json:
    """The charts by the ids of their places in the page."""
    return {place: _chart(placed.chart) | {"said": placed.is_said} for place, placed in charts.items()}


def _chart(chart: Chart) -> Json:
    return {
        "title": one_line(chart.title, 200),
        "note": one_line(chart.note, 600),
        "stack": chart.kind == "stacked",
        "unit": chart.y_unit,
        "log": chart.log_y,
        "low": None if chart.y_min is None else float(chart.y_min),
        "high": None if chart.y_max is None else float(chart.y_max),
        "x": [short(float(at)) for at in chart.x],
        "series": [_series(series, place) for place, series in enumerate(chart.series)],
        "bounds": _labelled(chart.bounds, 60),
        "moments": _labelled(chart.moments, 48),
    }


def _labelled(lines: Iterable[Annotation], width: int) -> list[list[Any]]:
    return [[float(line.at), one_line(line.label, width)] for line in lines if math.isfinite(line.at)]


def _series(series: Series, place: int) -> Json:
    style = series_style(series.role, place)
    found: Json = {
        "label": one_line(series.name, 80),
        "pen": style.variable,
        "dash": "--" if series.dashed else style.dash,
        "values": _finite(series.y),
    }
    if series.low:
        found |= {"low": _finite(series.low), "high": _finite(series.high)}
    return found


def _finite(values: Sequence[float | None]) -> list[float | None]:
    return [short(value) if value is not None and math.isfinite(value) else None for value in values]


def short(value: float) -> float:
    """The value with nine significant digits, which are more than the page shows and half as many bytes."""
    return float(f"{value:.9g}")
