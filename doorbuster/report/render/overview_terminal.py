"""The manager's screen in the terminal: verdict, figures, customers per second, channels, why and what next.

Foreign text is printed literally: neither rich's markup nor terminal escape sequences take effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from doorbuster.output import clean, one_line, open_console
from doorbuster.report.figures.palette import series_style
from doorbuster.report.formatting import NOT_KNOWN, format_clock, format_interval, format_metric
from doorbuster.report.overview import HeadlineFigure, NextStep, Overview
from doorbuster.report.render.html import SIGNS
from doorbuster.report.render.terminal import print_table, sparkline
from doorbuster.report.section import Cell, Chart, Column, Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

COLOURS = {"pass": "green", "fail": "red", "warn": "yellow"}
_TONES = {"bad": "red", "good": "green"}
_BESIDE = 24  # characters beside the curve of a chart


def print_overview(overview: Overview, *, console: Console | None = None) -> None:
    """Print the screen to the console, by default to standard output."""
    from rich.text import Text

    out = console or open_console(highlight=False)
    out.print(Text(one_line(overview.title, 200), style="bold"))
    out.print(Text(clean(" · ".join(overview.about)), style="dim"))
    out.print()
    colour = "" if overview.question else COLOURS.get(overview.status, "yellow")
    badge = overview.question or f"{SIGNS[overview.status]} {overview.status.upper()}"
    out.print(
        Text.assemble(
            (f"{clean(badge)}: ", f"bold {colour}".strip()), (_kept_together(overview.sentence), "bold")
        )
    )
    out.print()
    _print_figures(overview.figures, out)
    if overview.chart is not None and overview.chart.kind == "stacked":
        _print_curves(overview.chart, out)
    if overview.channels:
        print_table(_channel_table(overview), out)
    for heading, texts in (
        ("Findings" if overview.question else "Notes" if overview.status == "pass" else "Why", overview.why),
        ("Fix first", (overview.fix_first,) if overview.fix_first else ()),
        ("Next", tuple(map(_step, overview.next_steps))),
        ("Confidence", overview.confidence),
    ):
        _print_labelled(heading, texts, out)


def _print_figures(figures: Iterable[HeadlineFigure], out: Console) -> None:
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid.grid(padding=(0, 2))
    for figure in figures:
        interval = "" if figure.metric is None else format_interval(figure.metric)
        detail = "; ".join(filter(None, (figure.detail, figure.command)))
        style = f"bold {_TONES.get(figure.tone, '')}".strip()
        grid.add_row(
            Text(one_line(figure.label, 40)), Text(one_line(figure.value_text, 40), style=style),
            Text(interval, style="dim"), Text(_kept_together(detail), style="dim"),
        )  # fmt: skip
    out.print(grid)


def _print_curves(chart: Chart, out: Console) -> None:
    from rich.table import Table as Grid
    from rich.text import Text

    width = max(8, min(60, out.width - _BESIDE))
    series = [*chart.overlay, *chart.series]
    sums = [sum(one.y[at] or 0.0 for one in chart.series) for at in range(len(chart.x))]
    top = max([*sums, *(value for one in chart.overlay for value in one.y if value is not None)], default=0.0)
    grid = Grid.grid(padding=(0, 2))
    for place, one in enumerate(series):
        style = series_style(one.role, place).terminal
        grid.add_row(Text(one_line(one.name, 20)), Text(sparkline(one.y, width=width, top=top), style=style))
    out.print()
    marks = ", ".join(f"{one_line(mark.label, 24)} {format_clock(mark.at)}" for mark in chart.moments)
    out.print(Text.assemble((one_line(chart.title, 120), "bold"), (f"  {marks}" if marks else "", "dim")))
    out.print(grid)


def _channel_table(overview: Overview) -> Table:
    columns = [Column("Channel"), Column("Wanted"), Column("Got it", "count"), Column("Lost", "count")]
    columns += [Column("Could"), Column("95 % interval"), Column("Sales lost")]
    columns += [Column(f"Against {one_line(overview.baseline, 24)}")] if overview.baseline else []
    lines: list[tuple[Cell, ...]] = []
    for row in overview.channels:
        sales = NOT_KNOWN if row.lost_sales is None else format_metric(row.lost_sales)
        cells: list[Cell] = [
            row.channel, f"{row.wanted:,} to {row.wants}", row.got, row.lost, format_metric(row.could),
            format_interval(row.could), sales,
        ]  # fmt: skip
        cells += [row.change.text if row.change else NOT_KNOWN] if overview.baseline else []
        lines.append(tuple(cells))
    return Table("", tuple(columns), tuple(lines))


def _step(step: NextStep) -> str:
    return f"{step.text.rstrip('.')}: {step.command}" if step.command else step.text


def _kept_together(text: str) -> str:
    """The text, in which no line ends before a per cent sign."""
    return clean(text).replace(" %", "\N{NO-BREAK SPACE}%")


def _print_labelled(heading: str, texts: Iterable[str], out: Console) -> None:
    """A heading beside its texts."""
    from rich.table import Table as Grid
    from rich.text import Text

    lines: list[Text] = [Text(_kept_together(text)) for text in texts]
    if not lines:
        return
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(width=10)
    for number, line in enumerate(lines):
        grid.add_row(Text("" if number else heading, style="bold"), line)
    out.print(grid)
