"""A table as every format shows it: the texts of its cells, with one unit for each column of times or sizes.

A column whose values would read "640 ms" in one row and "1.73 s" in the next has its unit in the heading:
"p95 (s)" above 0.64 and 1.73.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from doorbuster.report.formatting import NOT_KNOWN, format_interval, format_metric, format_value
from doorbuster.report.section import Cell, Column, Metric, Table, Unit

FINE = 0.01  # a unit in which a value is below this is too large
_FAMILIES: tuple[tuple[tuple[str, float], ...], ...] = (
    (("s", 1_000.0), ("ms", 1.0)),
    (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)),
)
_IN_MS = {"ms": 1.0, "s": 1_000.0}


@dataclass(frozen=True, slots=True)
class ShownCell:
    """The text of a cell, and that of its interval, "" without one."""

    value: str
    interval: str = ""

    @property
    def text(self) -> str:
        """Both on one line."""
        return f"{self.value} ({self.interval})" if self.interval else self.value


@dataclass(frozen=True, slots=True)
class ShownTable:
    """The headings and cells of a table; `numeric` columns are aligned right."""

    heads: tuple[str, ...]
    rows: tuple[tuple[ShownCell, ...], ...]
    numeric: tuple[bool, ...]


def shown_table(table: Table) -> ShownTable:
    """The texts of a table."""
    columns = [_Shown(column, [row[at] for row in table.rows]) for at, column in enumerate(table.columns)]
    return ShownTable(
        tuple(column.head for column in columns),
        tuple(
            tuple(column.cell(cell) for column, cell in zip(columns, row, strict=True)) for row in table.rows
        ),
        tuple(column.numeric for column in columns),
    )


class _Shown:
    """One column."""

    def __init__(self, column: Column, cells: Sequence[Cell]) -> None:
        self._column = column
        self.numeric = not any(isinstance(cell, str) for cell in cells)
        self._scale = _common_unit(column, cells) if self.numeric else None

    @property
    def head(self) -> str:
        return self._column.name if self._scale is None else f"{self._column.name} ({self._scale[0]})"

    def cell(self, cell: Cell) -> ShownCell:
        if isinstance(cell, str):
            return ShownCell(cell)
        if isinstance(cell, Metric):
            if self._scale is None:
                return ShownCell(format_metric(cell), format_interval(cell))
            return self._scaled(cell)
        if self._scale is None or cell is None:
            return ShownCell(format_value(cell, self._column.unit))
        return ShownCell(self._number(cell, self._column.unit))

    def _scaled(self, metric: Metric) -> ShownCell:
        value = NOT_KNOWN if metric.value is None else self._number(metric.value, metric.unit)
        sign = "≥ " if metric.at_least and metric.value is not None else ""
        if not format_interval(metric):
            return ShownCell(f"{sign}{value}")
        low, high = (
            "?" if end is None else self._number(end, metric.unit) for end in (metric.low, metric.high)
        )
        return ShownCell(f"{sign}{value}", high if low == high else f"{low} to {high}")

    def _number(self, value: float, unit: Unit) -> str:
        assert self._scale is not None, "the column has a common unit"
        if not math.isfinite(value):
            return format_value(value, unit)
        return three_digits(value * _IN_MS.get(unit, 1.0) / self._scale[1])


def three_digits(value: float) -> str:
    """Three significant digits without an exponent: "0.64", "1.73", "17,300"."""
    if abs(value) < 0.0005:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(0, min(digits, 3))}f}"


def _common_unit(column: Column, cells: Iterable[Cell]) -> tuple[str, float] | None:
    """The unit of a column of times or sizes whose values would have different ones."""
    found: list[tuple[float, str]] = []
    for cell in cells:
        unit = cell.unit if isinstance(cell, Metric) else column.unit
        value = cell.value if isinstance(cell, Metric) else cell
        if value is None or isinstance(value, str) or not math.isfinite(value) or not value:
            continue
        if unit not in ("ms", "s", "bytes"):
            return None
        found.append((abs(value) * _IN_MS.get(unit, 1.0), format_value(value, unit).split(" ")[-1]))
    units = {name for _, name in found}
    if len(units) < 2 or any(character.isdigit() for name in units for character in name):
        return None
    family = _FAMILIES[1] if "B" in "".join(units) else _FAMILIES[0]
    least = min(value for value, _ in found)
    return next((one for one in family if least / one[1] >= FINE), family[-1])
