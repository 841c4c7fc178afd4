"""The targets of a benchmark, and whether they are reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class TargetResult:
    """One target and its measured value."""

    text: str
    measured: str
    met: bool

    def __str__(self) -> str:
        return f"{'PASS' if self.met else 'MISS'}  {self.text}: {self.measured}"


def ratio_target(text: str, ratios: Sequence[float], at_least: float) -> TargetResult:
    """A target for the median of the ratios of all turns; the spread shows the noise of the machine."""
    middle = median(ratios)
    low, high = quantiles(ratios, n=4)[::2]
    spread = f"{middle:.2f} (half of {len(ratios)} turns within {low:.2f} to {high:.2f})"
    return TargetResult(f"{text} >= {at_least:g}", spread, middle >= at_least)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Text columns: the first to the left, numbers to the right."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
