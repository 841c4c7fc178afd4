"""Sections in the terminal: the same sentences, tables and figures, with block characters for curves.

Foreign text is printed literally: neither rich's markup nor terminal escape sequences take effect.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from doorbuster.output import clean, one_line, open_console
from doorbuster.report.figures.heatmap import heat_row
from doorbuster.report.figures.palette import series_style
from doorbuster.report.formatting import format_value
from doorbuster.report.section import Chart, Section, Series
from doorbuster.report.section import Table as SectionTable
from doorbuster.report.shown_table import shown_table

if TYPE_CHECKING:
    from rich.console import Console

_BLOCKS = " ▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 60
_BAR_WIDTH = 40
_SCATTER_HEIGHT = 10
_LETTERS = "ox+*#%"
_BAR_BLOCKS = "█▒░▓▚"  # distinguishable without colour
_MIN_PICTURE = 8  # characters of the shortest curve
_GAP = 3  # characters between two columns of a table
_MARGIN = 1
_FRAME = 6  # characters of a panel's border beside its title
_WORD = re.compile(r"\(?[\d.,]+ (?:%|ms|s|min|h)(?!\w)\S*|\S+")  # a number and its unit stay together
_SHORTEST_WORD, _LONGEST_WORD = 6, 28  # a longer word of a table may be broken
_ALL = 1_000


def print_section(section: Section, *, console: Console | None = None) -> None:
    """Print one section to the console, by default to standard output."""
    from rich.panel import Panel
    from rich.text import Text

    out = console or open_console()
    headline = Text(clean(section.sentence), style="bold")
    title = Text(clean(section.question))
    if title.cell_len > out.width - _FRAME:  # a panel would cut it off
        out.print(title)
        title = Text("")
    out.print(Panel(headline, title=title, title_align="left", padding=(1, 2)))
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
        print_table(table, out)


def summary_lines(sections: Iterable[Section]) -> list[str]:
    """The first rows of every table marked `in_summary`, as plain lines of text."""
    lines = []
    for table in (table for section in sections for table in section.tables if table.in_summary):
        lines.append(f"{one_line(table.title)}:")
        for row in shown_table(table).rows[: table.summary_rows]:
            texts = [one_line(cell.text, 80) for cell in row]
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
    names = _short_names([series.name for series in chart.series], 28)
    spark_width = _room(out, names, [_range(series, chart) for series in chart.series])
    if chart.kind == "bars":
        _fill_bars(chart, grid, out)
    elif chart.kind == "heatmap":
        for series, name in reversed(list(zip(chart.series, names, strict=True))):
            row = Text(heat_row(series, width=spark_width), style=series_style("strong", 0).terminal)
            grid.add_row(Text(name, justify="right"), row)
        grid.add_row(
            Text(one_line(chart.y_label, 28), style="dim"), Text(_ends(chart, spark_width), style="dim")
        )
    elif chart.kind == "scatter":
        _fill_scatter(chart, grid)
    else:
        top = max((value for series in chart.series for value in series.y if value is not None), default=0.0)
        for position, series in enumerate(chart.series):
            pen = series_style(series.role, position)
            line = Text(sparkline(series.y, width=spark_width, top=top), style=pen.terminal)
            grid.add_row(Text(names[position]), line, Text(_range(series, chart)))
    out.print(grid)
    for moment in chart.moments:
        out.print(
            Text(f"  {format_value(moment.at, chart.x_unit)} {one_line(moment.label, 120)}", style="dim")
        )
    for bound in chart.bounds:
        out.print(Text(f"  limit: {one_line(bound.label, 120)}", style="dim"))


def _room(out: Console, names: Sequence[str], texts: Sequence[str]) -> int:
    """Characters for curves between their names and ranges, at most `_SPARK_WIDTH`."""
    beside = max(map(len, names), default=0) + max(map(len, texts), default=0) + 4
    return max(_MIN_PICTURE, min(_SPARK_WIDTH, out.width - beside))


def _ends(chart: Chart, width: int) -> str:
    """First and last x, aligned with a picture of one character per point, at most `width`."""
    if not chart.x:
        return "no data"
    first, last = (
        format_value(float(chart.x[0]), chart.x_unit),
        format_value(float(chart.x[-1]), chart.x_unit),
    )
    return f"{first}{last:>{max(1, min(width, len(chart.x)) - len(first))}}"


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
    for place, name in enumerate(_short_names([series.name for series in chart.series], 40)):
        grid.add_row(Text(_LETTERS[place % len(_LETTERS)], justify="right"), Text(name))


def _fill_bars(chart: Chart, grid: object, out: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    assert isinstance(grid, Table)
    sums = [sum(series.y[index] or 0.0 for series in chart.series) for index in range(len(chart.x))]
    longest = max(sums, default=0.0) or 1.0
    parts = _short_names([series.name for series in chart.series], 28)
    labels = _short_names([str(name) for name in chart.x], 34)
    full = max(_MIN_PICTURE, min(_BAR_WIDTH, (out.width - max(map(len, labels), default=0)) // 2))
    rows: list[tuple[Text, Text, Text]] = []
    for index, name in enumerate(labels):
        bar = Text()
        words: list[str] = []
        for position, series in enumerate(chart.series):
            value = series.y[index] or 0.0
            if value:
                style = series_style(series.role, position).terminal
                width = max(1, round(value / longest * full))
                bar.append(_BAR_BLOCKS[position % len(_BAR_BLOCKS)] * width, style=style)
                words.append(f"{parts[position]} {format_value(value, chart.y_unit)}")
        rows.append((Text(name), bar, Text(", ".join(words))))
    widths = [max((len(row[place]) for row in rows), default=1) for place in range(3)]
    widths[0] = min(widths[0], max(_MIN_PICTURE, out.width // 3))
    widths[2] = max(_MIN_PICTURE, min(widths[2], out.width - widths[0] - widths[1] - 4))
    for width in widths:
        grid.add_column(width=width, overflow="fold")
    for row in rows:
        grid.add_row(*row)


def _range(series: Series, chart: Chart) -> str:
    known = [value for value in series.y if value is not None]
    if not known:
        return "no data"
    return f"{format_value(min(known), chart.y_unit)} to {format_value(max(known), chart.y_unit)}"


def print_table(table: SectionTable, out: Console) -> None:
    """The table; if it is too wide, in parts below each other, each with the columns that name the rows."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = shown_table(table)
    heads = [one_line(head) for head in shown.heads]
    rows = [[one_line(cell.text, _ALL) for cell in row] for row in shown.rows]
    columns = [[head, *(row[position] for row in rows)] for position, head in enumerate(heads)]
    for number, (places, widths) in enumerate(_fitting(columns, out.width)):
        title = Text(one_line(table.title, 200)) if table.title and not number else None
        drawn = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
        for place, width in zip(places, widths, strict=True):
            justify: Literal["left", "right"] = "right" if shown.numeric[place] else "left"
            drawn.add_column(Text(heads[place]), justify=justify, width=width, overflow="fold")
        for row in rows:
            drawn.add_row(*(Text(row[place]) for place in places))
        out.print(drawn)
    if table.note:
        out.print(Text(f"  {clean(table.note)}", style="dim"))


def _fitting(columns: list[list[str]], width: int) -> list[tuple[list[int], list[int]]]:
    """The columns of each part of a table, and their widths.

    A word is broken only if it is long, so that no heading or value is cut.
    """
    most = max(_SHORTEST_WORD, min(_LONGEST_WORD, width // 2 - 2 * _GAP))
    narrow = [
        min(most, max((len(word) for text in column for word in _WORD.findall(text)), default=1))
        for column in columns
    ]
    wide = [max(len(text) for text in column) for column in columns]
    keys = _naming_columns(columns)
    share = (width // 2 - _MARGIN) // len(keys) - _GAP  # of the width, if together they take more than half
    if share < _SHORTEST_WORD:
        keys = keys[:1]
    elif sum(narrow[key] + _GAP for key in keys) + _MARGIN > width // 2:
        for key in keys:
            narrow[key] = min(narrow[key], max(share, len(columns[key][0])))
    parts = [list(keys)]
    for place in (place for place in range(len(columns)) if place not in keys):
        is_full = sum(narrow[other] + _GAP for other in (*parts[-1], place)) + _MARGIN > width
        if is_full and len(parts[-1]) > len(keys):
            parts.append(list(keys))
        parts[-1].append(place)
    return [(part, _spread([narrow[p] for p in part], [wide[p] for p in part], width)) for part in parts]


def _naming_columns(columns: list[list[str]]) -> list[int]:
    """The first columns that tell the rows apart, at least one."""
    for n in range(1, len(columns)):
        seen = list(zip(*columns[:n], strict=True))
        if len(set(seen)) == len(seen):
            return list(range(n))
    return [0]


def _spread(narrow: list[int], wide: list[int], width: int) -> list[int]:
    """Widths from narrow to wide: what is missing is taken from the widest columns first."""
    room = width - _MARGIN - _GAP * len(narrow)

    def limited(limit: int) -> list[int]:
        return [max(least, min(most, limit)) for least, most in zip(narrow, wide, strict=True)]

    limit = max(wide)
    while limit > 1 and sum(limited(limit)) > room:
        limit -= 1
    widths = limited(limit)
    for position in [position for position, most in enumerate(wide) if most > widths[position]]:
        widths[position] += int(sum(widths) < room)
    return widths


def _short_names(names: Sequence[str], limit: int) -> list[str]:
    """The names cut to `limit` characters, in full if two of them would look the same."""
    short = [one_line(name, limit) for name in names]
    return short if len(set(short)) == len(set(names)) else [one_line(name, _ALL) for name in names]
