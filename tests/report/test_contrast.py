"""Contrast of texts and fills, light and dark (WCAG 2.2: 1.4.3 for texts, 1.4.11 for graphics)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import doorbuster.report.render
from doorbuster.report.figures.palette import CYCLE, STYLES

TEXT, FILL = 4.5, 3.0
CSS = (Path(doorbuster.report.render.__file__).parent / "templates" / "style.css").read_text()
THEMES = CSS.partition("* { box-sizing")[0].split("prefers-color-scheme: dark")
LIGHT, DARK = (dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", theme)) for theme in THEMES)


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2.2, definition)."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_contrast_of_the_definition():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_have_a_contrast_of_at_least_four_and_a_half(theme):
    for ground in ("--paper", "--ground", "--card"):
        for text in ("--text", "--soft", "--link", "--pass", "--fail", "--unsure"):
            assert contrast(theme[text], theme[ground]) >= TEXT, (text, ground)
    for tone in ("--pass", "--fail", "--unsure"):
        for text in (tone, "--text"):
            assert contrast(theme[text], theme[f"{tone}-ground"]) >= TEXT, (text, tone)
    assert contrast(theme["--soft"], theme["--shade"]) >= TEXT  # names of phases


@pytest.mark.parametrize("style", [*STYLES.values(), *CYCLE], ids=lambda style: style.variable)
def test_fills_have_a_contrast_of_at_least_three(style):
    assert contrast(style.light, LIGHT["--card"]) >= FILL
    assert contrast(style.dark, DARK["--card"]) >= FILL
