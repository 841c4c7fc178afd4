"""The colours and patterns of every figure: one table for SVG, CSS and the terminal.

Colours are those of Okabe and Ito (2008), which people with colour blindness can distinguish; yellow, sky
blue and grey are darker, so that every fill has a contrast of 3:1 with the page (WCAG 2.2, 1.4.11). Every
style also has a dash and a hatch, so that figures stay readable without colour. In SVG the hex value is
replaced by a CSS variable, which the page redefines for its dark form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from doorbuster.records.outcome import Outcome, RequestOutcome


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """How a series is drawn; `dash` and `hatch` in matplotlib's notation, `terminal` in rich's."""

    variable: str
    light: str
    dark: str
    dash: str
    hatch: str
    terminal: str


STYLES: dict[str, SeriesStyle] = {
    **{outcome: SeriesStyle(f"--{outcome.replace('_', '-')}", *outcome.style[1:]) for outcome in Outcome},
    RequestOutcome.OK: SeriesStyle("--ok", "#0072b2", "#4aa8e0", "-", "", "blue"),
    RequestOutcome.FAILED: SeriesStyle("--failed", "#d55e01", "#f2792b", "-.", "xxxx", "red"),
    "planned": SeriesStyle("--planned", "#5f6b7a", "#98a6b8", "--", "", "bright_black"),
    "quiet": SeriesStyle("--quiet", "#7f95ad", "#7088a0", "-", "", "bright_black"),
    "strong": SeriesStyle("--strong", "#0b3c5d", "#8fc7ee", "-", "", "blue"),
}  # RequestOutcome.ABANDONED equals Outcome.ABANDONED and shares its style
_SAME = {"good": Outcome.SERVED, "warning": Outcome.ABANDONED, "bad": Outcome.TURNED_AWAY}
CYCLE: tuple[SeriesStyle, ...] = (
    STYLES[RequestOutcome.OK],
    SeriesStyle("--c2", "#c98501", "#f0b429", "--", "////", "yellow"),
    SeriesStyle("--c3", "#009e74", "#1fbf90", "-.", "----", "green"),
    SeriesStyle("--c4", "#cc79a7", "#e09bc3", ":", "xxxx", "magenta"),
    SeriesStyle("--c5", "#3a95cd", "#6cc1f0", "--", "\\\\\\\\", "cyan"),
    SeriesStyle("--c6", "#d55e02", "#f2792b", "-.", "++++", "red"),
)
TEXT = "#1b1f24"
RULE = "#d9dde2"
PAPER = "#fefefe"


def series_style(role: str, position: int) -> SeriesStyle:
    """The style of a role; without one, that of the series' position in its chart.

    A colour that comes again has the dash and hatch of another one, so that no two of 18 series look alike.
    """
    known = STYLES.get(_SAME.get(role, role))
    if known is not None:
        return known
    rounds, place = divmod(position, len(CYCLE))
    other = CYCLE[(place + rounds) % len(CYCLE)]
    return replace(CYCLE[place], dash=other.dash, hatch=other.hatch)
