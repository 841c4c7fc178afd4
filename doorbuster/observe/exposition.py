"""Parses the text formats of Prometheus (0.0.4) and OpenMetrics into samples.

Of a histogram, `<name>_sum` and `<name>_count` are kept: its buckets would be hundreds of series. The
quantiles of a summary stay, as gauges.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from doorbuster.observe.sample import Labels, TargetSample

_LINE = re.compile(r"([a-zA-Z_:][\w:.]*)(\{.*\})?\s+(\S+)(?:\s+(\S+))?(?:\s+#.*)?\s*")
_LABEL = re.compile(r'\s*([a-zA-Z_][\w.]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_TYPE = re.compile(r"#\s*TYPE\s+(\S+)\s+(\S+)\s*")
_ESCAPED = re.compile(r"\\(.)")


def parse_exposition(text: str) -> Iterator[TargetSample]:
    """The samples of a page. Raises: ValueError with the first line that cannot be parsed."""
    types: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if line.startswith("#"):
            if (typed := _TYPE.fullmatch(line)) is not None:
                types[typed[1]] = typed[2]
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"line {number} is not in the text format of Prometheus: {line[:80]!r}")
        sample = _sample(found[1], _labels(found[2], number), _number(found[3], number), types)
        if sample is not None:
            yield sample


def _sample(name: str, labels: Labels, value: float, types: dict[str, str]) -> TargetSample | None:
    family, _, suffix = name.rpartition("_")
    kind = types.get(family, "")
    if kind in ("histogram", "gaugehistogram", "summary"):
        if suffix in ("bucket", "created"):
            return None
        return TargetSample(name, labels, value, is_counter=suffix in ("sum", "count"))
    if suffix == "created" and kind == "counter":
        return None
    is_counter = types.get(name) == "counter" or (
        suffix == "total" and types.get(name, "counter") == "counter"
    )
    return TargetSample(name, labels, value, is_counter=is_counter and not math.isnan(value))


def _labels(text: str | None, number: int) -> Labels:
    if text is None:
        return ()
    inside, found, at = text[1:-1], [], 0
    while inside[at:].strip():
        label = _LABEL.match(inside, at)
        if label is None:
            raise ValueError(f"line {number} has labels that cannot be read: {text[:80]!r}")
        found.append((label[1], _ESCAPED.sub(lambda m: {"n": "\n"}.get(m[1], m[1]), label[2])))
        at = label.end()
    return tuple(sorted(found))


def _number(text: str, number: int) -> float:
    try:
        return float(text.replace("Inf", "inf"))
    except ValueError:
        raise ValueError(f"line {number} has a value that is not a number: {text[:40]!r}") from None
