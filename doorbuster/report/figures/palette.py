"""The colours and patterns of every figure: one table for SVG, CSS and the terminal.

Colours are those of Okabe and Ito (2008), told apart with any common colour blindness; every role also has a
dash and a hatch, so that no meaning rests on colour alone and a black-and-white print stays readable.
In SVG the hex value is replaced by the CSS variable, which the page redefines for its dark form.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ink:
    """How one role is drawn; `dash` and `hatch` in matplotlib's notation, `terminal` in rich's."""

    variable: str
    light: str
    dark: str
    dash: str
    hatch: str
    terminal: str


INKS: dict[str, Ink] = {
    "served": Ink("--served", "#009e73", "#1fbf90", "-", "", "green"),
    "abandoned": Ink("--abandoned", "#e69f00", "#f0b429", "--", "////", "yellow"),
    "turned_away": Ink("--turned-away", "#d55e00", "#f2792b", "-.", "xxxx", "red"),
    "queued_out": Ink("--queued-out", "#56b4e9", "#6cc1f0", ":", "....", "cyan"),
    "dropped": Ink("--dropped", "#8c8c8c", "#a3a3a3", ":", "||||", "bright_black"),
    "ok": Ink("--ok", "#0072b2", "#4aa8e0", "-", "", "blue"),
    "failed": Ink("--failed", "#d55e01", "#f2792b", "-.", "xxxx", "red"),
    "planned": Ink("--planned", "#5f6b7a", "#98a6b8", "--", "", "bright_black"),
    "quiet": Ink("--quiet", "#9fb3c8", "#7088a0", "-", "", "bright_black"),
    "strong": Ink("--strong", "#0b3c5d", "#8fc7ee", "-", "", "blue"),
}
CYCLE: tuple[Ink, ...] = (
    INKS["ok"],
    Ink("--c2", "#e69f01", "#f0b429", "--", "////", "yellow"),
    Ink("--c3", "#009e74", "#1fbf90", "-.", "....", "green"),
    Ink("--c4", "#cc79a7", "#e09bc3", ":", "xxxx", "magenta"),
    Ink("--c5", "#56b4ea", "#6cc1f0", "--", "\\\\\\\\", "cyan"),
    Ink("--c6", "#d55e02", "#f2792b", "-.", "++++", "red"),
)
TEXT = "#1b1f24"
RULE = "#d9dde2"
PAPER = "#fefefe"


def ink(role: str, position: int) -> Ink:
    """How the series at this position of its chart is drawn."""
    return INKS[role] if role in INKS else CYCLE[position % len(CYCLE)]
