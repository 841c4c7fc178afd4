"""How numbers read, and what becomes of foreign text."""

from __future__ import annotations

import pytest

from doorbuster.output import clean, one_line
from doorbuster.report.formatting import (
    format_clock,
    format_interval,
    format_metric,
    format_value,
    markdown_text,
)
from doorbuster.report.render.html import with_code
from doorbuster.report.section import Metric
from doorbuster.units import format_estimate


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1450.0, "ms", "1.45 s"), (12.34, "ms", "12.3 ms"), (None, "ms", "–"), (float("nan"), "ms", "–"),
        (float("inf"), "ms", "∞"), (0.9997, "ratio", "99.97 %"), (65.0, "clock", "1:05"),
        (1234, "count", "1,234"), (1234.5, "count", "1,230"), (1234.5, "per_s", "1,230/s"),
        (123.45, "GBP", "£123.45"), (12345.67, "GBP", "£12,300"), (-3.5, "EUR", "-€3.50"),
        (1250, "JPY", "¥1,250"), (12.5, "KWD", "KWD 12.500"),
        (13.33, "per_s", "13.3/s"),
        (90_000_000, "bytes", "90 MB"), (0.5, "cores", "0.50"),
        (0.123456, "", "0.123"), (12000.4, "", "12,000"),
    ],
)  # fmt: skip
def test_a_number_reads_in_its_unit(value, unit, text):
    assert format_value(value, unit) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3661, "1:01:01"), (-5, "-0:05")])
def test_a_moment_reads_as_a_clock(seconds, text):
    assert format_clock(seconds) == text


def test_a_metric_shows_what_is_not_known():
    assert format_metric(Metric(1000.0, "ms", at_least=True)) == "≥ 1 s"
    assert format_interval(Metric(1000.0, "ms", 900.0, None)) == "900 ms to ?"
    assert format_metric(Metric(None, "ms")) == "–"
    assert format_interval(Metric(1000.0, "ms", 1000.0, None, at_least=True)) == ""  # after "≥ 1 s"
    assert format_interval(Metric(1000.0, "ms", 900.0, None, at_least=True)) == "900 ms to ?"


@pytest.mark.parametrize("code", [0, 8, 0x0B, 0x1B, 0x1F, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF, 0x202E, 0x2066])
def test_characters_that_xml_forbids_or_that_turn_text_round_are_replaced(code):
    assert clean(f"a{chr(code)}b") == "a\ufffdb"


def test_ordinary_text_is_left_alone():
    text = "Größe 漢字 😀\tx\ny"
    assert clean(text) == text


def test_one_line_cuts_with_an_ellipsis():
    assert one_line("a\n b" + "c" * 100, 10) == "a bcccccc…"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", "a\\|b"), ("`x`", "\\`x\\`"), ("a\nb\r\n c", "a b c"), ("<b>", "\\<b>"),
        ("*a* _b_", "\\*a\\* \\_b\\_"),
        ("[x](y)", "\\[x\\](y)"), ("@me", "@\u200bme"), ("#12", "#\u200b12"), ("http://x", "http://\u200bx"),
        ("www.x.y", "www\u200b.x.y"), ("$x$", "\\$x\\$"), ("in-house 5 %", "in-house 5 %"),
    ],
)  # fmt: skip
def test_markdown_is_made_plain_text(text, expected):
    assert markdown_text(text) == expected


def test_code_in_a_sentence_is_escaped_like_everything_else():
    assert with_code("say `<b>&` in 5 % of ```") == "say <code>&lt;b&gt;&amp;</code> in 5\u00a0% of ```"


@pytest.mark.parametrize(
    ("count", "text"), [(18_102.0, "18,100"), (0.4, "0"), (12.6, "13"), (999.6, "1,000")]
)
def test_an_estimated_count_is_whole_and_has_three_digits(count, text):
    assert format_estimate(count) == text
