"""Margins, grid and tick labels of a chart.

matplotlib's own layout draws everything twice to find the margins, and creates five objects per tick:
together two thirds of the time of a chart. Here the margins follow from the width of the labels, a tick is
one text and the grid is one object. The axes' locators and formatters determine the ticks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doorbuster.report.figures.palette import RULE, TEXT
from doorbuster.report.formatting import text_width_pt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

FONT_PT = 9.0
PT_PER_IN = 72.0
_BELOW_PT, _ABOVE_PT, _RIGHT_PT = 34.0, 8.0, 16.0  # tick labels and axis name; half a tick label at the end
_LEGEND_ROW_PT, _SAMPLE_PT = 14.0, 40.0  # of the legend: a row; a sample with its gaps
_GAP_PT, _NAME_PT = 4.0, 14.0  # between a label and the plot; name of the vertical axis


@dataclass(frozen=True, slots=True)
class Tick:
    """A position on an axis and its label."""

    at: float
    label: str


def lay_out(axes: Axes, *, ruled: str) -> None:
    """Place the plot and draw grid and ticks in place of the axes' own; `ruled`: the axis with a grid.

    Call it after limits, locators, formatters and the legend are set.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None, "the axes are on a figure"
    width_pt, height_pt = (inches * PT_PER_IN for inches in figure.get_size_inches())
    up = _ticks(axes.yaxis)
    left_pt = _GAP_PT + max((text_width_pt(tick.label, FONT_PT) for tick in up), default=0.0)
    left_pt += _NAME_PT if axes.get_ylabel() else 2.0
    legend = axes.get_legend()
    names = [] if legend is None else [text.get_text() for text in legend.get_texts()]
    rows = -(-len(names) // legend_columns(names, width_pt))
    above_pt = _ABOVE_PT + rows * _LEGEND_ROW_PT
    plot_width_pt, plot_height_pt = width_pt - left_pt - _RIGHT_PT, height_pt - _BELOW_PT - above_pt
    axes.set_position((
        left_pt / width_pt, _BELOW_PT / height_pt, plot_width_pt / width_pt, plot_height_pt / height_pt
    ))  # fmt: skip
    _write(axes, _ticks(axes.xaxis), up, ruled=ruled)
    if axes.get_ylabel():
        needed_pt = text_width_pt(axes.get_ylabel(), FONT_PT)
        axes.text(
            -(left_pt - 5.0) / plot_width_pt, 0.5, axes.get_ylabel(), transform=axes.transAxes, rotation=90,
            ha="center", va="center", fontsize=FONT_PT * min(1.0, height_pt / max(needed_pt, 1.0)),
        )  # fmt: skip


def legend_columns(names: Sequence[str], width_pt: float) -> int:
    """The number of legend columns that fit into this width."""
    widest_pt = max((text_width_pt(name, FONT_PT) for name in names), default=0.0) + _SAMPLE_PT
    return max(1, min(len(names), int(0.9 * width_pt / widest_pt)))


def _ticks(axis: Axis) -> list[Tick]:
    low, high = sorted(axis.get_view_interval())
    places = [float(at) for at in axis.get_majorticklocs()]
    labels = axis.get_major_formatter().format_ticks(places)
    reach = 1e-9 * (high - low)
    return [
        Tick(at, label) for at, label in zip(places, labels, strict=True) if low - reach <= at <= high + reach
    ]


def _write(axes: Axes, across: Sequence[Tick], up: Sequence[Tick], *, ruled: str) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.transforms import offset_copy

    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    lines = [[(left, bottom), (right, bottom)]]
    lines += [[(left, tick.at), (right, tick.at)] for tick in up if ruled == "y"]
    lines += [[(tick.at, bottom), (tick.at, top)] for tick in across if ruled == "x"]
    axes.set_axis_off()
    axes.add_collection(
        LineCollection(lines, colors=RULE, linewidths=0.7, zorder=0.5, clip_on=False), autolim=False
    )
    figure = axes.get_figure(root=True)
    beside = offset_copy(axes.get_yaxis_transform(), figure, -_GAP_PT, 0.0, units="points")
    for tick in up:
        axes.text(0.0, tick.at, tick.label, transform=beside, ha="right", va="center", color=TEXT)
    below = offset_copy(axes.get_xaxis_transform(), figure, 0.0, -_GAP_PT, units="points")
    for tick in across:
        axes.text(tick.at, 0.0, tick.label, transform=below, ha="center", va="top", color=TEXT)
    name = offset_copy(axes.transAxes, figure, 0.0, -_GAP_PT - 1.6 * FONT_PT, units="points")
    axes.text(0.5, 0.0, axes.get_xlabel(), transform=name, ha="center", va="top", color=TEXT)
