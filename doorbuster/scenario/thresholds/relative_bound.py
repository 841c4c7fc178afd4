"""Bounds that refer to a baseline: "baseline*1.1", "baseline-1%", "baseline+50ms"."""

from __future__ import annotations

import re

from pydantic import Field

from doorbuster.scenario.parsing.diagnostics import invalid, preview
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import NUMBER_PATTERN
from doorbuster.units import parse_duration_s, parse_ratio

_FORM = re.compile(rf"baseline\s*(?:(?P<operator>[*+-])\s*(?P<amount>{NUMBER_PATTERN}\s*[a-zµ%]*))?")
_EXAMPLES = {"ms": "baseline*1.1 or baseline+50ms", "ratio": "baseline-1%"}


class RelativeBound(StrictModel):
    """The bound is `factor` times the value of the baseline plus `offset`, in the unit of the threshold."""

    factor: float = Field(default=1.0)
    offset: float = Field(default=0.0)

    def bound(self, baseline: float) -> float:
        """The bound for this value of the baseline."""
        return self.factor * baseline + self.offset


def is_relative(text: str) -> bool:
    """Whether a bound refers to a baseline."""
    return text.lstrip().startswith("baseline")


def parse_relative_bound(text: str, unit: str, whole: str) -> RelativeBound:
    """The bound in "baseline*1.1".

    A share is compared in percentage points: "baseline-1%" of 99 % is 98 %. Times and counts are compared by
    their ratio or, for times, by a duration.
    """
    example = _EXAMPLES.get(unit, "baseline*1.1")
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise invalid(f'must compare with a baseline like "{example}"', got=preview(whole))
    operator, amount = match["operator"], (match["amount"] or "").strip()
    if operator is None:
        return RelativeBound()
    if operator == "*":
        if not re.fullmatch(NUMBER_PATTERN, amount):
            raise invalid(
                "must multiply the baseline by a number", got=preview(whole), way_out=f'write "{example}"'
            )
        factor = float(amount.replace("_", ""))
        if not 0 < factor <= 1000:
            raise invalid("must multiply the baseline by more than 0 and at most 1000", got=preview(whole))
        if unit == "ratio":
            raise invalid(
                "must compare a share with the baseline in points", got=preview(whole),
                way_out='write "baseline-1%"',
            )  # fmt: skip
        return RelativeBound(factor=factor)
    offset = _offset(amount, unit)
    if offset is None:
        raise invalid(f'must compare with a baseline like "{example}"', got=preview(whole))
    return RelativeBound(offset=offset if operator == "+" else -offset)


def _offset(amount: str, unit: str) -> float | None:
    """The amount in the unit of the threshold; None if it does not fit."""
    try:
        if unit == "ms":
            return parse_duration_s(amount) * 1e3
        if unit == "ratio" and amount.endswith("%"):
            return parse_ratio(amount)
        if unit in ("count", "per_s", "value") and re.fullmatch(NUMBER_PATTERN, amount):
            return float(amount.replace("_", ""))
    except ValueError:
        return None
    return None
