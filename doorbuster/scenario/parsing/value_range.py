"""Uncertain numbers, such as "5%..15%".

- The two ends are a 95 % interval. Forecast errors are factors, so the middle is the geometric mean:
  10..40 customers/s is 20, a factor of two either way.
- The unit is needed only once: "10..16 customers/s", "5..15%".
- A plain number is a range of zero width.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, NamedTuple

from doorbuster.scenario.parsing.diagnostics import invalid, preview
from doorbuster.scenario.parsing.values import NUMBER_PATTERN, ValueType, parse_count, rate, share

_BARE = re.compile(r"-?\s*" + NUMBER_PATTERN)
_UNIT = re.compile(rf"\s*-?\s*{NUMBER_PATTERN}\s*(.*)", re.DOTALL)


class ValueRange(NamedTuple):
    """A value that lies between `low` and `high` with 95 % confidence."""

    low: float
    high: float

    @property
    def is_exact(self) -> bool:
        """Whether both ends are the same."""
        return self.low == self.high


def product(factors: list[ValueRange]) -> tuple[float, ValueRange]:
    """The product of independent positive factors: its middle, and its own 95 % interval.

    ln high - ln middle = sqrt(sum of (ln(high_i / low_i) / 2)^2), as for log-normal factors.
    """
    middle = math.prod(f.low if f.is_exact else math.sqrt(f.low * f.high) for f in factors)
    spread = math.hypot(*(math.log(f.high / f.low) / 2 for f in factors if not f.is_exact))
    return middle, ValueRange(middle * math.exp(-spread), middle * math.exp(spread))


def value_range(parse: ValueType[float], *examples: str | float, zero: bool = False) -> ValueType[ValueRange]:
    """Parser of one value, or of two joined by ".."; `zero`: the lower end may be 0 or less."""

    def parse_both(raw: object) -> ValueRange:
        if isinstance(raw, ValueRange):
            return raw
        ends = [end.strip() for end in raw.split("..")] if isinstance(raw, str) else []
        if len(ends) < 2:
            exact = parse(raw)
            return ValueRange(exact, exact)
        unit = _UNIT.fullmatch(ends[-1])
        if len(ends) > 2 or not all(ends) or unit is None:
            raise invalid('must be one value, or two such as "5%..15%"', got=preview(raw))
        if _BARE.fullmatch(ends[0]):
            ends[0] = f"{ends[0]} {unit[1]}"
        low, high = (parse(end) for end in ends)
        if low <= 0 and not zero:
            raise invalid("must be above 0 at both ends", got=preview(raw))
        if low > high:
            raise invalid("must start with the lower end", got=preview(raw))
        return ValueRange(low, high)

    texts, *numbers = parse.schema.get("anyOf", [parse.schema])
    end = texts["pattern"].removeprefix("^").removesuffix("$")
    pattern = rf"^(?:(?:\s*-?\s*{NUMBER_PATTERN}\s*|{end})\.\.)?{end}$"
    schema = {"anyOf": [{"type": "string", "pattern": pattern}, *numbers], "examples": list(examples)}
    return ValueType(parse_both, schema)


CustomersRange = Annotated[
    ValueRange, value_range(rate("customers"), "13.3 customers/s", "10..16 customers/s")
]
ShareRange = Annotated[ValueRange, value_range(share(), "2%", "1.8%..2.5%")]
GrowthRange = Annotated[ValueRange, value_range(share(low=-0.99, high=100), "8%", "5%..15%", zero=True)]
CountRange = Annotated[ValueRange, value_range(parse_count, "24m/yr", "22m..26m/yr")]
