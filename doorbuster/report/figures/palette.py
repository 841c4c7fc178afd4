"""The colours and patterns of every figure: one table for SVG, CSS and the terminal.

Colours are those of Okabe and Ito (2008), told apart with any common colour blindness; every role also has a
dash and a hatch, so that no meaning rests on colour alone and a black-and-white print stays readable.
In SVG the hex value is replaced by the CSS variable, which the page redefines for its dark form.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """How one role is drawn; `dash` and `hatch` in matplotlib's notation, `terminal` in rich's."""

    variable: str
    light: str
    dark: str
    dash: str
    hatch: str
    terminal: str


OUTCOME_STYLES: dict[str, SeriesStyle] = {
    "served": SeriesStyle("--served", "#009e73", "#1fbf90", "-", "", "green"),
    "abandoned": SeriesStyle("--abandoned", "#e69f00", "#f0b429", "--", "////", "yellow"),
    "turned_away": SeriesStyle("--turned-away", "#d55e00", "#f2792b", "-.", "xxxx", "red"),
    "queued_out": SeriesStyle("--queued-out", "#56b4e9", "#6cc1f0", ":", "....", "cyan"),
    "dropped": SeriesStyle("--dropped", "#8c8c8c", "#a3a3a3", ":", "||||", "bright_black"),
    "ok": SeriesStyle("--ok", "#0072b2", "#4aa8e0", "-", "", "blue"),
    "failed": SeriesStyle("--failed", "#d55e01", "#f2792b", "-.", "xxxx", "red"),
    "planned": SeriesStyle("--planned", "#5f6b7a", "#98a6b8", "--", "", "bright_black"),
    "quiet": SeriesStyle("--quiet", "#9fb3c8", "#7088a0", "-", "", "bright_black"),
    "strong": SeriesStyle("--strong", "#0b3c5d", "#8fc7ee", "-", "", "blue"),
}
CYCLE: tuple[SeriesStyle, ...] = (
    OUTCOME_STYLES["ok"],
    SeriesStyle("--c2", "#e69f01", "#f0b429", "--", "////", "yellow"),
    SeriesStyle("--c3", "#009e74", "#1fbf90", "-.", "....", "green"),
    SeriesStyle("--c4", "#cc79a7", "#e09bc3", ":", "xxxx", "magenta"),
    SeriesStyle("--c5", "#56b4ea", "#6cc1f0", "--", "\\\\\\\\", "cyan"),
    SeriesStyle("--c6", "#d55e02", "#f2792b", "-.", "++++", "red"),
)
TEXT = "#1b1f24"
RULE = "#d9dde2"
PAPER = "#fefefe"


def series_style(role: str, position: int) -> SeriesStyle:
    """How the series at this position of its chart is drawn."""
    return OUTCOME_STYLES[role] if role in OUTCOME_STYLES else CYCLE[position % len(CYCLE)]
