"""Sections in the terminal: the same sentences, tables and figures, with block characters for curves.

Foreign text is printed literally: neither rich's markup nor terminal escape sequences take effect.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from doorbuster.report.figures.heatmap import heat_row
from doorbuster.report.figures.palette import series_style
from doorbuster.report.formatting import clean, format_cell, format_value, one_line
from doorbuster.report.section import Chart, Section, Series
from doorbuster.report.section import Table as SectionTable

if TYPE_CHECKING:
    from rich.console import Console

_BLOCKS = " ▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 60
_BAR_WIDTH = 40
_SCATTER_HEIGHT = 10
_LETTERS = "ox+*#%"
_BAR_BLOCKS = "█▒░▓▚"  # distinguishable without colour


def print_section(section: Section, *, console: Console | None = None) -> None:
    """Print one section to the console, by default to standard output."""
    from rich.console import Console as RichConsole
    from rich.panel import Panel
    from rich.text import Text

    out = console or RichConsole(file=sys.stdout)
    headline = Text(clean(section.sentence), style="bold")
    out.print(Panel(headline, title=Text(clean(section.question)), title_align="left", padding=(1, 2)))
    for finding in section.findings:
        out.print(Text(f"  • {clean(finding)}"))
    for recommendation in section.recommendations:
        out.print(Text(f"  • Fix first: {clean(recommendation)}"))
    for chart in section.figures:
        out.print()
        out.print(Text(one_line(chart.title, 200), style="bold"))
        _print_chart(chart, out)
    for table in section.tables:
        out.print()
        _print_table(table, out)


def summary_lines(sections: Iterable[Section], *, rows: int = 3) -> list[str]:
    """The first rows of every table marked `in_summary`, as plain lines of text."""
    lines = []
    for table in (table for section in sections for table in section.tables if table.in_summary):
        lines.append(f"{one_line(table.title)}:")
        for row in table.rows[:rows]:
            cells = zip(row, table.columns, strict=True)
            texts = [one_line(format_cell(cell, column), 80) for cell, column in cells]
            lines.append(f"  {'  '.join(text for text in texts if text)}")
    return lines


def sparkline(
    values: tuple[float | None, ...], *, width: int = _SPARK_WIDTH, top: float | None = None
) -> str:
    """One character per point (neighbours averaged when there are more than `width`); a gap stays blank."""
    points = _thin(values, width)
    known = [value for value in points if value is not None]
    ceiling = top if top is not None else max(known, default=0.0)
    if ceiling <= 0:
        return "".join(" " if value is None else _BLOCKS[1] for value in points)
    return "".join(_block(value, ceiling) for value in points)


def _block(value: float | None, ceiling: float) -> str:
    if value is None:
        return " "
    return _BLOCKS[1 + min(7, max(0, round(value / ceiling * 7)))]


def _thin(values: tuple[float | None, ...], width: int) -> list[float | None]:
    if len(values) <= width:
        return list(values)
    points: list[float | None] = []
    for index in range(width):
        part = values[index * len(values) // width : (index + 1) * len(values) // width]
        known = [value for value in part if value is not None]
        points.append(sum(known) / len(known) if known else None)
    return points


def _print_chart(chart: Chart, out: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    if chart.kind == "bars":
        _fill_bars(chart, grid)
    elif chart.kind == "heatmap":
        for series in reversed(chart.series):
            row = Text(heat_row(series, width=_SPARK_WIDTH), style=series_style("strong", 0).terminal)
            grid.add_row(Text(one_line(series.name, 28), justify="right"), row)
        grid.add_row(Text(one_line(chart.y_label, 28), style="dim"), Text(_ends(chart), style="dim"))
    elif chart.kind == "scatter":
        _fill_scatter(chart, grid)
    else:
        top = max((value for series in chart.series for value in series.y if value is not None), default=0.0)
        for position, series in enumerate(chart.series):
            pen = series_style(series.role, position)
            line = Text(sparkline(series.y, top=top), style=pen.terminal)
            grid.add_row(Text(one_line(series.name, 28)), line, Text(_range(series, chart)))
    out.print(grid)
    for moment in chart.moments:
        out.print(
            Text(f"  {format_value(moment.at, chart.x_unit)} {one_line(moment.label, 120)}", style="dim")
        )
    for bound in chart.bounds:
        out.print(Text(f"  limit: {one_line(bound.label, 120)}", style="dim"))


def _ends(chart: Chart) -> str:
    """First and last x, aligned with a picture of one character per point, at most `_SPARK_WIDTH`."""
    if not chart.x:
        return "no data"
    first, last = (
        format_value(float(chart.x[0]), chart.x_unit),
        format_value(float(chart.x[-1]), chart.x_unit),
    )
    return f"{first}{last:>{max(1, min(_SPARK_WIDTH, len(chart.x)) - len(first))}}"


def _fill_scatter(chart: Chart, grid: object) -> None:
    """Fill the grid with points as characters, one letter per series."""
    from rich.table import Table
    from rich.text import Text

    assert isinstance(grid, Table)
    numbers = [float(value) for value in chart.x]
    points = [
        (x, y if not chart.log_y else math.log(y), place)
        for place, series in enumerate(chart.series)
        for x, y in zip(numbers, series.y, strict=True)
        if y is not None and (y > 0 or not chart.log_y)
    ]
    if not points:
        grid.add_row(Text("no data"))
        return
    left, right = min(x for x, _, _ in points), max(x for x, _, _ in points)
    low, high = min(y for _, y, _ in points), max(y for _, y, _ in points)
    rows = [[" "] * _SPARK_WIDTH for _ in range(_SCATTER_HEIGHT)]
    for x, y, place in points:
        column = round((x - left) / ((right - left) or 1.0) * (_SPARK_WIDTH - 1))
        row = round((high - y) / ((high - low) or 1.0) * (_SCATTER_HEIGHT - 1))
        rows[row][column] = _LETTERS[place % len(_LETTERS)]
    for number, row_text in enumerate(rows):
        ends = {0: high, _SCATTER_HEIGHT - 1: low}
        end = ends.get(number)
        value = "" if end is None else format_value(math.exp(end) if chart.log_y else end, chart.y_unit)
        grid.add_row(Text(value, justify="right"), Text("".join(row_text)))
    spread = f"{format_value(left, chart.x_unit)} to {format_value(right, chart.x_unit)}"
    grid.add_row(Text(""), Text(f"{one_line(chart.x_label, 40)}: {spread}", style="dim"))
    for place, series in enumerate(chart.series):
        grid.add_row(Text(_LETTERS[place % len(_LETTERS)], justify="right"), Text(one_line(series.name, 40)))


def _fill_bars(chart: Chart, grid: object) -> None:
    from rich.table import Table
    from rich.text import Text

    assert isinstance(grid, Table)
    sums = [sum(series.y[index] or 0.0 for series in chart.series) for index in range(len(chart.x))]
    longest = max(sums, default=0.0) or 1.0
    for index, name in enumerate(chart.x):
        bar = Text()
        words: list[str] = []
        for position, series in enumerate(chart.series):
            value = series.y[index] or 0.0
            if value:
                style = series_style(series.role, position).terminal
                width = max(1, round(value / longest * _BAR_WIDTH))
                bar.append(_BAR_BLOCKS[position % len(_BAR_BLOCKS)] * width, style=style)
                words.append(f"{one_line(series.name, 20)} {format_value(value, chart.y_unit)}")
        grid.add_row(Text(one_line(str(name), 34)), bar, Text(", ".join(words)))


def _range(series: Series, chart: Chart) -> str:
    known = [value for value in series.y if value is not None]
    if not known:
        return "no data"
    return f"{format_value(min(known), chart.y_unit)} to {format_value(max(known), chart.y_unit)}"


def _print_table(table: SectionTable, out: Console) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, title=Text(one_line(table.title, 200)), title_justify="left")
    drawn.title_style = "bold"
    for position, column in enumerate(table.columns):
        drawn.add_column(
            Text(one_line(column.name)), justify="right" if is_numeric(table, position) else "left"
        )
    for row in table.rows:
        cells = zip(row, table.columns, strict=True)
        drawn.add_row(*(Text(one_line(format_cell(cell, column), 80)) for cell, column in cells))
    out.print(drawn)
    if table.note:
        out.print(Text(f"  {clean(table.note)}", style="dim"))


def is_numeric(table: SectionTable, position: int) -> bool:
    """Whether a column holds numbers, which are aligned right."""
    return not any(isinstance(row[position], str) for row in table.rows)
