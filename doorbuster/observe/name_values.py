"""Parses lines of `name value`, as shell commands print them and Graphite receives them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from doorbuster.observe.sample import TargetSample, gauge

_NAME = re.compile(r"([A-Za-z_][\w.:/-]*)(?:\{(.*)\})?")


def parse_name_values(text: str) -> Iterator[TargetSample]:
    """`name value` or `name{label:value,...} value`, one a line.

    Raises: ValueError with the first line that is neither.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, value = line.strip().rpartition(" ")
        yield _sample(name.strip(), value, number, line)


def _sample(name: str, value: str, number: int, line: str) -> TargetSample:
    found = _NAME.fullmatch(name)
    try:
        amount = float(value)
    except ValueError:
        amount = None
    if found is None or amount is None:
        raise ValueError(f"line {number} must be a name and a number, such as queue 17: {line[:80]!r}")
    labels = {}
    for part in (found[2] or "").split(",") if found[2] else ():
        key, _, label = part.replace("=", ":", 1).partition(":")
        labels[key.strip()] = label.strip().strip('"')
    return gauge(metric_name(found[1]), amount, **labels)


def metric_name(text: str) -> str:
    """A name that thresholds can write: dots and other signs become underscores."""
    return re.sub(r"\W", "_", text)
