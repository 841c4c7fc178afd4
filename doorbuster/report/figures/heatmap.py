"""Heat maps: how the requests of each moment spread over latency bands, as shades of one colour.

Shades of one hue are distinguishable with colour blindness and in black and white; the terminal shows the
same levels as blocks. A cell is a share of its column, so quiet and busy moments can be compared.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from doorbuster.output import one_line
from doorbuster.report.figures.palette import PAPER, series_style
from doorbuster.report.section import Chart, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = (0.0, 0.01, 0.05, 0.2, 0.5)  # a cell has the shade of the highest level below its value
LEVEL_NAMES = ("below 1 %", "1 to 5 %", "5 to 20 %", "20 to 50 %", "above 50 %")
_OPACITIES = (0.12, 0.28, 0.48, 0.72, 1.0)
_BLOCKS = " ·░▒▓█"
_MAX_LABELS = 12


def heat_level(share: float | None) -> int:
    """0 for nothing, else 1..5."""
    return 0 if share is None else sum(share > level for level in LEVELS)


def draw_heat(axes: Axes, chart: Chart) -> None:
    """Draw the cells; neighbours of one shade in a row are one rectangle, which keeps the drawing small."""
    from matplotlib.collections import PolyCollection

    x = [float(value) for value in chart.x]
    if not x:
        return
    edges = [*x, 2 * x[-1] - x[-2] if len(x) > 1 else x[-1] + 1.0]
    cells: dict[int, list[list[tuple[float, float]]]] = {}
    for row, series in enumerate(chart.series):
        levels = enumerate(map(heat_level, series.y))
        for level, found in groupby(levels, key=lambda cell: cell[1]):
            places = [place for place, _ in found]
            if level:
                start, end = edges[places[0]], edges[places[-1] + 1]
                cells.setdefault(level, []).append(
                    [(start, row), (end, row), (end, row + 1), (start, row + 1)]
                )
    colour = series_style("strong", 0).light
    for level, rectangles in sorted(cells.items()):
        opacity = _OPACITIES[level - 1]
        axes.add_collection(PolyCollection(rectangles, facecolors=colour, alpha=opacity, linewidths=0.0))


def frame_heat(axes: Axes, chart: Chart) -> None:
    """Band names on the vertical axis, and a legend of the shades."""
    from matplotlib.patches import Patch
    from matplotlib.ticker import FixedFormatter, FixedLocator

    rows = len(chart.series)
    axes.set_ylim(0, max(rows, 1))
    step = -(-rows // _MAX_LABELS) or 1
    names = [one_line(series.name, 24) for series in chart.series]
    axes.yaxis.set_major_locator(FixedLocator([row + 0.5 for row in range(0, rows, step)]))
    axes.yaxis.set_major_formatter(FixedFormatter(names[::step]))
    axes.set_ylabel(one_line(chart.y_label, 50))
    shades = [
        Patch(
            facecolor=series_style("strong", 0).light,
            alpha=opacity,
            edgecolor=PAPER,
            linewidth=0.0,
            label=name,
        )
        for opacity, name in zip(_OPACITIES, LEVEL_NAMES, strict=True)
    ]
    axes.legend(
        handles=shades, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=len(shades), frameon=False,
        borderaxespad=0.2, handlelength=1.6, columnspacing=1.4, handletextpad=0.5,
    )  # fmt: skip


def heat_row(series: Series, *, width: int) -> str:
    """One row for the terminal; cells that share a character show the darkest."""
    levels = [heat_level(share) for share in series.y]
    cells = min(width, len(levels))
    parts = (levels[i * len(levels) // cells : (i + 1) * len(levels) // cells] for i in range(cells))
    return "".join(_BLOCKS[max(part)] for part in parts)
