"""Numbers as text, and foreign text made harmless for each output format.

All text from a target, a scenario or a script is foreign. `output.clean` makes it safe for every format; then
the template engine escapes it for HTML, and `markdown_text` for Markdown.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from doorbuster.output import clean
from doorbuster.records.metadata import RunMeta
from doorbuster.report.section import Metric, Unit
from doorbuster.units import (
    CURRENCIES,
    format_count,
    format_duration,
    format_money,
    format_number,
    format_ratio,
)

NOT_KNOWN = "–"
_MARKDOWN = re.compile(r"([\\`*_\[\]<|~$&])|(?<=://)|(?<=[@#])|(?<=www)(?=\.)")
_UNIT = re.compile(r"(?: %| ms| s|/s)$")
_SPACES = re.compile(r"\s+")


def started_at(meta: RunMeta) -> str:
    """ "2 December 2004, 12:05 UTC"."""
    moment = datetime.fromtimestamp(meta.started_at_unix_ns / 1e9, UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def format_clock(seconds: float) -> str:
    """ "1:05" since the start of the run; "1:02:03" from an hour on."""
    whole = round(abs(seconds))
    sign = "-" if seconds < 0 and whole else ""
    if whole >= 3600:
        return f"{sign}{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{sign}{whole // 60}:{whole % 60:02d}"


def format_bytes(size: float) -> str:
    """ "1.5 MB", in powers of ten."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(size) >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:.0f} B"


def format_value(value: float | None, unit: Unit) -> str:
    """One number in the unit of its column: "1.45 s", "99.6 %", "£1,234.50", "–" for unknown."""
    if value is None or math.isnan(value):
        return NOT_KNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    match unit:
        case "ms":
            return format_duration(value / 1000.0)
        case "s":
            return format_duration(value)
        case "clock":
            return format_clock(value)
        case "ratio":
            return format_ratio(value)
        case "count":
            return format_count(value)
        case "per_s":
            return f"{format_number(value)}/s"
        case "bytes":
            return format_bytes(value)
        case "cores":
            return f"{value:.2f}"
        case _:
            currency = CURRENCIES.get(unit)
            if currency is None:
                return format_number(value)
            return format_money(value, currency)


def format_interval(metric: Metric) -> str:
    """ "1.2 to 1.9 s"; "?" for an unknown end; "" without an interval, for an exact value or a mere bound."""
    if (metric.low is None and metric.high is None) or metric.low == metric.high == metric.value:
        return ""
    if metric.at_least and metric.high is None and metric.low == metric.value:
        return ""  # "≥ 1.2 s" says all of it
    low, high = ("?" if end is None else format_value(end, metric.unit) for end in (metric.low, metric.high))
    if low == high:
        return high
    unit = _UNIT.search(high)
    if unit is not None and low.endswith(unit[0]):
        low = low.removesuffix(unit[0])
    return f"{low} to {high}"


def format_metric(metric: Metric) -> str:
    """ "≥ 1.45 s", the value alone."""
    text = format_value(metric.value, metric.unit)
    return f"≥ {text}" if metric.at_least and metric.value is not None else text


def markdown_text(text: str) -> str:
    """The text on one line of Markdown, without formatting, links or notifications.

    A backslash does not stop a code host from turning "@name", "#12" or a bare address into a link; a
    zero-width space after "@", "#" and "://" does.
    """
    line = _SPACES.sub(" ", clean(text)).strip()
    return _MARKDOWN.sub(lambda match: f"\\{match[1]}" if match[1] else "\u200b", line)


def text_width_pt(text: str, font_pt: float) -> float:
    """Approximate width of a text in points, in the widest common sans-serif font."""
    return font_pt * sum(_EM.get(letter, 0.72 if letter.isupper() else 0.61) for letter in text)


_EM = {**dict.fromkeys("iljI.,:;'|!ft()[]/ r-", 0.38), **dict.fromkeys("mwMW%@", 0.95)}
