"""Charts as compact SVG text with the colours and font of the surrounding page.

The same chart always gives the same bytes. matplotlib is imported when the first chart is drawn, without
pyplot, hence without a global figure or display, and without its own layout (see layout.py). Text stays text:
searchable and in the reader's font. Every colour becomes a CSS variable, so that one drawing serves the
light, dark and printed page.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from doorbuster.output import one_line
from doorbuster.report.figures.heatmap import draw_heat, frame_heat
from doorbuster.report.figures.layout import FONT_PT, PT_PER_IN, lay_out, legend_columns
from doorbuster.report.figures.palette import CYCLE, PAPER, RULE, STYLES, TEXT, SeriesStyle, series_style
from doorbuster.report.figures.shorter_svg import shorter_svg
from doorbuster.report.formatting import format_value, text_width_pt
from doorbuster.report.section import Annotation, Chart, Column, Table, Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure

_WIDTH_IN = 8.6
_ROW_OF_MOMENTS = 0.09  # of the height
_CLOCK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MARKERS = "os^Dvx"
_MARK_PT = 8.5
_NARROW = 0.1  # of the width: a shorter span has no label
_MAX_TABLE_ROWS = 120
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "doorbuster",
    "text.parse_math": False,  # a "$" in a step's name is not mathematics
    "path.simplify": True,
    "path.simplify_threshold": 0.5,
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same layout on every machine
    "font.size": FONT_PT,
    "text.color": TEXT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "hatch.linewidth": 0.5,
    "hatch.color": PAPER,
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_NUMBER_IN_TAG = re.compile(r"-?\d+\.\d{3,}")
_TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True, slots=True, eq=False)
class DrawnFigure:
    """A chart with its layout, ready for any renderer of matplotlib; sizes in points."""

    figure: Figure
    width_pt: float
    height_pt: float

    def draw(self, renderer: RendererBase) -> None:
        """Draw it once; `savefig` would draw twice, to compute a layout."""
        with _style():
            self.figure.draw(renderer)


def draw_figure(
    chart: Chart, *, width_pt: float = _WIDTH_IN * PT_PER_IN, height_pt: float | None = None
) -> DrawnFigure:
    """The chart in a figure of this width; by default as high as its content needs."""
    from matplotlib.figure import Figure

    height_pt = _height_in(chart) * PT_PER_IN if height_pt is None else height_pt
    with _style():
        figure = Figure(figsize=(width_pt / PT_PER_IN, height_pt / PT_PER_IN), dpi=PT_PER_IN)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        _DRAW[chart.kind](axes, chart)
        _frame(axes, chart)
        lay_out(axes, ruled={"bars": "x", "heatmap": ""}.get(chart.kind, "y"))
    return DrawnFigure(figure, width_pt, height_pt)


def render_svg(chart: Chart, *, element_id: str) -> str:
    """The chart as one `<svg>` element; `element_id` makes its ids unique on the page."""
    from matplotlib.backends.backend_svg import RendererSVG

    buffer, drawn = io.StringIO(), draw_figure(chart)
    with _style():
        renderer = cast(Any, RendererSVG)(
            drawn.width_pt, drawn.height_pt, buffer, image_dpi=PT_PER_IN, metadata=_NO_METADATA
        )
        drawn.draw(renderer)
        renderer.finalize()
    return _compact(buffer.getvalue(), element_id)


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    with warnings.catch_warnings(), mpl.rc_context(_STYLE):
        # A glyph may be missing from matplotlib's font: the reader's program renders the text.
        warnings.simplefilter("ignore", UserWarning)
        yield


def chart_table(chart: Chart) -> Table:
    """The numbers of the chart; above 120 points every k-th, with a note."""
    step = -(-len(chart.x) // _MAX_TABLE_ROWS) or 1
    columns = [Column(one_line(chart.x_label), "" if chart.kind == "bars" else chart.x_unit)]
    values: list[Sequence[float | str | None]] = [chart.x]
    for series in chart.series:
        named = (
            (series.name, series.y),
            (f"{series.name}, low", series.low),
            (f"{series.name}, high", series.high),
        )
        for name, numbers in named:
            if numbers:
                columns.append(Column(one_line(name), chart.y_unit))
                values.append(numbers)
    rows = tuple(tuple(column[index] for column in values) for index in range(0, len(chart.x), step))
    note = f"One point in {step} of {len(chart.x):,}." if step > 1 else ""
    return Table(chart.title, tuple(columns), rows, note)


def _height_in(chart: Chart) -> float:
    if chart.kind == "heatmap":
        return 1.2 + 0.15 * max(len(chart.series), 8)
    return 0.9 + 0.34 * max(len(chart.x), 1) if chart.kind == "bars" else 3.1


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]


def _draw_lines(axes: Axes, chart: Chart) -> None:
    for position, series in enumerate(chart.series):
        pen = series_style(series.role, position)
        y = _numbers(series.y)
        lonely = _lonely(series.y)
        if series.low and series.high:
            axes.fill_between(
                chart.x, _numbers(series.low), _numbers(series.high), color=pen.light, alpha=0.18, lw=0
            )
        axes.plot(
            chart.x, y, color=pen.light, linestyle="--" if series.dashed else pen.dash, linewidth=1.6,
            marker="o" if lonely else "", markersize=4, markevery=lonely, label=one_line(series.name, 40),
            solid_capstyle="round",
        )  # fmt: skip


def _lonely(y: Sequence[float | None]) -> list[int]:
    """Indices of values without a neighbour, which no line reaches."""
    gaps = [True, *(value is None for value in y), True]
    return [at for at in range(len(y)) if gaps[at] and not gaps[at + 1] and gaps[at + 2]]


def _draw_stacked(axes: Axes, chart: Chart) -> None:
    x = _with_end(chart)
    below = [0.0] * len(x)
    for position, series in enumerate(chart.series):
        pen = series_style(series.role, position)
        heights = [*series.y, *series.y[-1:]][: len(x)]
        top = [base + (value or 0.0) for base, value in zip(below, heights, strict=True)]
        axes.fill_between(
            x, below, top, facecolor=pen.light, hatch=pen.hatch or None, edgecolor=PAPER, linewidth=0.0,
            label=one_line(series.name, 40), step="post" if chart.x_unit == "clock" else None,
        )  # fmt: skip
        below = top
    for place, span in enumerate(chart.spans):
        if place % 2:
            axes.axvspan(span.start, span.end, facecolor=RULE, alpha=0.45, linewidth=0.0, zorder=0.2)
        if span.end - span.start > _NARROW * (x[-1] - x[0]):
            axes.annotate(
                one_line(span.label, 24), xy=((span.start + span.end) / 2, 1.0), xytext=(0, -3),
                xycoords=("data", "axes fraction"), textcoords="offset points", ha="center", va="top",
                fontsize=_MARK_PT, color=TEXT,
            )  # fmt: skip
    middles = [(a + b) / 2 for a, b in pairwise(x)] if chart.x_unit == "clock" and len(x) > 1 else x
    for position, series in enumerate(chart.overlay):
        pen = series_style(series.role, position)
        axes.plot(
            middles[: len(series.y)], _numbers(series.y), color=pen.light, linestyle=pen.dash, linewidth=1.4,
            label=one_line(series.name, 40),
        )  # fmt: skip


def _with_end(chart: Chart) -> list[float]:
    """The x of a stacked chart or heat map; over time each point is a step, so the last one needs an end."""
    x = [float(value) for value in chart.x]
    return [*x, 2 * x[-1] - x[-2]] if chart.x_unit == "clock" and len(x) > 1 else x


def _draw_bars(axes: Axes, chart: Chart) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator

    places = list(range(len(chart.x)))
    left = [0.0] * len(places)
    for position, series in enumerate(chart.series):
        pen = series_style(series.role, position)
        widths = [value or 0.0 for value in series.y]
        axes.barh(
            places, widths, left=left, height=0.62, facecolor=pen.light, hatch=pen.hatch or None,
            edgecolor=PAPER, linewidth=0.0, label=one_line(series.name, 40),
        )  # fmt: skip
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.yaxis.set_major_locator(FixedLocator(places))
    axes.yaxis.set_major_formatter(FixedFormatter([one_line(str(name), 34) for name in chart.x]))
    axes.set_ylim(-0.5, len(places) - 0.5)
    axes.invert_yaxis()


def _draw_scatter(axes: Axes, chart: Chart) -> None:
    for position, series in enumerate(chart.series):
        axes.plot(
            chart.x, _numbers(series.y), color=series_style(series.role, position).light, linestyle="",
            marker=_MARKERS[(position + position // len(_MARKERS)) % len(_MARKERS)], markersize=4,
            label=one_line(series.name, 40),
        )  # fmt: skip


_DRAW: dict[str, Callable[[Any, Chart], None]] = {
    "lines": _draw_lines,
    "stacked": _draw_stacked,
    "bars": _draw_bars,
    "heatmap": draw_heat,
    "scatter": _draw_scatter,
}


def _frame(axes: Axes, chart: Chart) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    value_axis = axes.xaxis if chart.kind == "bars" else axes.yaxis
    if chart.kind == "heatmap":
        frame_heat(axes, chart)
        axes.set_xlabel(one_line(chart.x_label, 90))
        _frame_x(axes, chart)
        _draw_moments(axes, chart.moments)
        return
    if chart.log_y and chart.kind != "bars" and _all_positive(chart):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
    elif chart.kind != "bars":
        # Only differences may be negative; everything else starts at 0.
        axes.set_ylim(bottom=None if _any_negative(chart) else chart.y_min or 0.0, top=chart.y_max)
        if chart.y_unit == "count":
            axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    value_axis.set_major_formatter(_formatter(chart.y_unit))
    if chart.kind == "bars":
        axes.set_xlim(left=0.0, right=chart.y_max)
        axes.set_xlabel(one_line(chart.y_label, 90))
    else:
        axes.set_xlabel(one_line(chart.x_label, 90))
        axes.set_ylabel(one_line(chart.y_label, 50))
        _frame_x(axes, chart)
    for bound in chart.bounds:
        _draw_bound(axes, bound)
    _draw_moments(axes, chart.moments)
    names = [one_line(series.name, 40) for series in (*chart.series, *chart.overlay)]
    if len(names) > 1:
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.01, 1.0),
            ncols=legend_columns(names, _width_pt(axes)),
            frameon=False,
            borderaxespad=0.2, handlelength=2.2, columnspacing=1.6, handletextpad=0.6,
        )  # fmt: skip


def _width_pt(axes: Axes) -> float:
    figure = axes.get_figure(root=True)
    assert figure is not None, "the axes are on a figure"
    return float(figure.get_figwidth()) * PT_PER_IN


def _all_positive(chart: Chart) -> bool:
    values = [value for series in chart.series for value in series.y if value is not None]
    return bool(values) and min(values) > 0


def _any_negative(chart: Chart) -> bool:
    return any(value is not None and value < 0 for series in chart.series for value in series.y)


def _frame_x(axes: Axes, chart: Chart) -> None:
    from matplotlib.ticker import MultipleLocator

    ended = chart.kind in ("stacked", "heatmap")
    numbers = _with_end(chart) if ended else [float(value) for value in chart.x]
    if not numbers:
        return
    first, last = numbers[0], numbers[-1]
    if chart.kind == "scatter":
        reach = 0.03 * (max(numbers) - min(numbers))
        first, last = min(numbers) - reach, max(numbers) + reach
    axes.set_xlim(first, last if last > first else first + 1.0)
    axes.margins(x=0)
    axes.xaxis.set_major_formatter(_formatter(chart.x_unit))
    if chart.x_unit == "clock":
        span = max(last - first, 1.0)
        step = next((step for step in _CLOCK_STEPS_S if span / step <= 10), _CLOCK_STEPS_S[-1])
        axes.xaxis.set_major_locator(MultipleLocator(step))


def _formatter(unit: Unit) -> Callable[[float, float], str]:
    def text(value: float, _position: float) -> str:
        if unit == "ratio":
            return f"{value * 100:.3g} %"
        if unit in ("ms", "s") and value == 0:
            return "0"
        return format_value(value, unit)

    return text


def _draw_bound(axes: Axes, bound: Annotation) -> None:
    low_y, high_y = axes.get_ylim()
    high = axes.get_yscale() == "linear" and (bound.at - low_y) / (high_y - low_y) > 0.85
    axes.axhline(bound.at, color=TEXT, linewidth=1.0, linestyle=(0, (6, 3)))
    axes.annotate(
        one_line(bound.label), xy=(1.0, bound.at), xycoords=("axes fraction", "data"),
        xytext=(-3, -3 if high else 3),
        textcoords="offset points", ha="right", va="top" if high else "bottom", fontsize=_MARK_PT,
    )  # fmt: skip


def _draw_moments(axes: Axes, moments: Sequence[Annotation]) -> None:
    """A line per moment, with its label in the first row where it covers no other label."""
    low, high = axes.get_xlim()
    ends: list[float] = []  # right ends of the labels in each row, as shares of the width
    for moment in sorted((mark for mark in moments if low <= mark.at <= high), key=lambda mark: mark.at):
        text, at = one_line(moment.label, 48), (moment.at - low) / (high - low)
        # Bold text is wider, and the plot is narrower than the drawing.
        width = 1.25 * text_width_pt(text, _MARK_PT) / _width_pt(axes)
        late = at + width > 1.0
        left = at - width if late else at
        row = next((row for row, end in enumerate(ends) if end < left), len(ends))
        ends[row : row + 1] = [left + width]
        axes.axvline(moment.at, color=TEXT, linewidth=1.0, linestyle=(0, (2, 2)))
        axes.annotate(
            text, xy=(moment.at, 0.97 - _ROW_OF_MOMENTS * row),
            xycoords=("data", "axes fraction"), xytext=(-4 if late else 4, 0), textcoords="offset points",
            ha="right" if late else "left", va="top", fontsize=_MARK_PT, fontweight="bold",
            bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 1.0},
        )  # fmt: skip


def _compact(svg: str, element_id: str) -> str:
    """Only the `<svg>` element, with short numbers, CSS colours and unique ids, without metadata."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->|<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r' transform="rotate\(-0 [^)]*\)"', "", svg)
    svg = _TAG.sub(lambda tag: _compact_tag(tag[0], element_id), svg)
    svg = re.sub(r"<svg [^>]*?viewBox=\"([^\"]+)\"[^>]*>", _root, svg, count=1)
    return shorter_svg(re.sub(r">\s+<", "><", svg).strip(), element_id)


def _root(match: re.Match[str]) -> str:
    return f'<svg viewBox="{match[1]}" aria-hidden="true">'


def _compact_tag(tag: str, element_id: str) -> str:
    tag = _NUMBER_IN_TAG.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), tag)
    tag = re.sub(r'(\bid="|href="#|url\(#)', lambda place: f"{place[0]}{element_id}-", tag)
    tag = tag.replace("xlink:href", "href")
    tag = re.sub(r"font-family: [^;\"]+;? ?", "", tag)
    tag = re.sub(r"font: (?:[\d.]+px|(\w+) ([\d.]+px)) [^;\"]+", _font, tag)
    for colour, css in _CSS:
        tag = tag.replace(colour, css)
    return re.sub(r"\s*\n\s*", " ", tag)


def _font(match: re.Match[str]) -> str:
    if match[1]:
        return f"font-weight: {match[1]}; font-size: {match[2]}"
    return f"font-size: {match[0].split()[1]}"


def _css_colours() -> tuple[tuple[str, str], ...]:
    pens: tuple[SeriesStyle, ...] = (*STYLES.values(), *CYCLE)
    return (
        *((pen.light, f"var({pen.variable})") for pen in pens),
        (TEXT, "currentColor"),
        (RULE, "var(--rule)"),
        (PAPER, "var(--paper)"),
    )


_CSS = _css_colours()
