"""Signs and words that the page of a season uses in several places."""

from __future__ import annotations

from doorbuster.season.indicators import Colour
from doorbuster.units import format_ratio

SIGNS: dict[Colour, str] = {"green": "✓", "amber": "!", "red": "✗", "unknown": "?"}


def probability_text(value: float) -> str:
    """ "95.3 %"; never 0 % or 100 %."""
    return (
        "more than 99.9 %" if value > 0.999 else "less than 0.1 %" if value < 0.001 else format_ratio(value)
    )


def counted(n: int, one: str, several: str = "") -> str:
    """ "1 run", "2 runs"."""
    return f"{n:,} {one if n == 1 else several or f'{one}s'}"
