"""Demand: the peak arrival rate, its curve, compression and burstiness.

The curve gives the share of the peak rate over time. Compression shortens the curve and keeps the rates: a
compressed hour brings fewer customers, at the same rate per second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from doorbuster.scenario.demand.curve_spec import Curve
from doorbuster.scenario.demand.rate_curve import RateCurve
from doorbuster.scenario.parsing.diagnostics import KeyIssue, invalid, preview, try_parse
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.value_range import (
    CountRange,
    CustomersRange,
    GrowthRange,
    ShareRange,
    ValueRange,
    product,
    value_range,
)
from doorbuster.scenario.parsing.values import (
    DURATION_PATTERN,
    MAX_DURATION_S,
    MAX_RATE_PER_S,
    Count,
    number,
    parse_count,
    rate,
    value_type,
)
from doorbuster.units import format_duration, parse_duration_s

MAX_CUSTOMERS = 50_000_000  # in one plan: about 1 GB while it is sampled
MAX_BURSTINESS = 1000.0
_HOUR_S = 3600.0


class AnnualVolume(StrictModel):
    """The peak from yearly figures: visits x (1 + growth) x peak day share x peak hour share / 3600 s.

    Source: Capacitas' ratios for UK retail (2 % of the year on the peak day, 10 % of that day in its peak
    hour), Huffington Post, 27 November 2015.
    """

    visits: CountRange = Field(description="Visits per year.", examples=["24m/yr", 24000000])
    peak_day_share_ratio: ShareRange = Field(
        description="Share of the year's visits on the busiest day.", examples=["2%"]
    )
    peak_hour_share_ratio: ShareRange = Field(
        description="Share of that day's visits in its busiest hour.", examples=["10%"]
    )
    growth_ratio: GrowthRange = Field(
        default=ValueRange(0.0, 0.0), description="Growth since that year.", examples=["8%", "5%..15%"]
    )

    @property
    def peak_per_s(self) -> float:
        """Customers per second in the busiest hour: the middle of the range."""
        return self._peak[0]

    @property
    def interval_per_s(self) -> ValueRange:
        """The 95 % interval of `peak_per_s`."""
        return self._peak[1]

    @property
    def _peak(self) -> tuple[float, ValueRange]:
        growth = ValueRange(1.0 + self.growth_ratio.low, 1.0 + self.growth_ratio.high)
        hour = ValueRange(1 / _HOUR_S, 1 / _HOUR_S)
        return product([self.visits, growth, self.peak_day_share_ratio, self.peak_hour_share_ratio, hour])


class TimeCompression(NamedTuple):
    """`from_s` seconds of the curve take `to_s` seconds of the run."""

    from_s: float
    to_s: float


@value_type(
    {
        "type": "string",
        "pattern": DURATION_PATTERN.removesuffix("$") + "->" + DURATION_PATTERN.removeprefix("^"),
    }
)
def parse_compress(raw: object) -> TimeCompression:
    """The two durations of "7h30m -> 90s"."""
    if isinstance(raw, TimeCompression):
        return raw
    parts = [part.strip() for part in raw.split("->")] if isinstance(raw, str) else []
    if len(parts) != 2:
        raise invalid('must be two durations, such as "7h30m -> 90s"', got=preview(raw))
    try:
        found = TimeCompression(parse_duration_s(parts[0]), parse_duration_s(parts[1]))
    except ValueError:
        raise invalid('must be two durations, such as "7h30m -> 90s"', got=preview(raw)) from None
    if not 0 < found.to_s <= found.from_s <= MAX_DURATION_S:
        rule = "must shorten time: from the curve's length to something above 0s"
        raise invalid(rule, got=preview(raw), way_out='write "7h30m -> 90s", longer first')
    return found


class Demand(StrictModel):
    """How many customers arrive, and when."""

    one_of = ("peak", "annual", "customers")

    stated_peak_per_s: CustomersRange | None = Field(
        default=None,
        alias="peak",
        description="Arrival rate at 100 % of the curve.",
        examples=["13.3 customers/s", "10..16 customers/s"],
    )
    annual: AnnualVolume | None = Field(
        default=None, description="Instead of peak: derives it from yearly figures."
    )
    customers: Count | None = Field(
        default=None,
        description="Instead of peak: total customers of the curve before compression.",
        examples=[480000],
    )
    curve: Curve = Field(description="Arrival rate over time.")
    compress: Annotated[TimeCompression, parse_compress] | None = Field(
        default=None,
        description="Plays the curve in less time; rates stay the same.",
        examples=["7h30m -> 90s"],
    )
    burstiness: Annotated[float, number(1, MAX_BURSTINESS)] = Field(
        default=1.0,
        description="Index of dispersion of arrivals per second: 1 is Poisson, real ones are burstier.",
        examples=[1.7],
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """One key sets the number of customers, compression fits the curve, the plan fits in memory."""
        yield from super().rules(raw)
        curve = try_parse(Curve.model_validate, raw.get("curve"))
        if curve is None:
            return
        compress = try_parse(parse_compress, raw["compress"]) if "compress" in raw else None
        if compress and abs(compress.from_s - curve.length_s) > 1e-6 * curve.length_s:
            length = format_duration(curve.length_s)
            way_out = (
                f'write "{length.replace(" ", "")} -> {format_duration(compress.to_s).replace(" ", "")}"'
            )
            yield KeyIssue(
                ("compress",),
                f"must start from the curve's length, {length}",
                preview(raw["compress"]),
                way_out,
            )
        yield from _size_rules(raw, curve, compress)

    @property
    def peak_per_s(self) -> float:
        """Customers per second at 100 % of the curve; the middle of a range."""
        if self.stated_peak_per_s is not None:
            return product([self.stated_peak_per_s])[0]
        if self.annual is not None:
            return self.annual.peak_per_s
        assert self.customers is not None, "exactly_one holds"
        return self.customers / self.curve.area_s

    @property
    def interval_per_s(self) -> ValueRange | None:
        """The 95 % interval of `peak_per_s`; None where the scenario gives it without one."""
        stated = self.annual.interval_per_s if self.annual is not None else self.stated_peak_per_s
        return None if stated is None or stated.is_exact else stated

    @property
    def duration_s(self) -> float:
        """Length of the run's curve, after compression."""
        return self.compress.to_s if self.compress else self.curve.length_s

    @property
    def rate_curve(self) -> RateCurve:
        """Customers per second over the run, compressed."""
        segments = self.curve.segments()
        edges_s = np.cumsum([0.0, *(line.length_s for line in segments)])
        edges_s *= self.duration_s / edges_s[-1]
        first, last = (np.array([line[i] for line in segments]) * self.peak_per_s for i in (1, 2))
        kept = np.diff(edges_s) > 0  # drop segments too short for floating point
        return RateCurve(np.append(edges_s[:-1][kept], edges_s[-1]), first[kept], last[kept])


def _size_rules(raw: Mapping[str, Any], curve: Curve, compress: TimeCompression | None) -> Iterator[KeyIssue]:
    """The peak and the number of customers in the plan are within bounds."""
    stated = try_parse(value_range(rate("customers")), raw.get("peak"))
    peak = stated.high if stated else None
    annual = try_parse(AnnualVolume.model_validate, raw.get("annual"))
    customers = try_parse(parse_count, raw.get("customers"))
    if annual is not None:
        peak = annual.interval_per_s.high
    elif customers is not None:
        peak = customers / curve.area_s
    if peak is None:
        return
    key = next(key for key in ("peak", "annual", "customers") if key in raw)
    if not 0 < peak <= MAX_RATE_PER_S:
        rule = f"must give a peak above 0 and at most {MAX_RATE_PER_S:,.0f} customers/s"
        yield KeyIssue((key,), rule, f"{peak:,.6g} customers/s")
        return
    shorter = compress.to_s / curve.length_s if compress else 1.0
    area_s = sum(line.length_s * (line.first_ratio + line.last_ratio) / 2.0 for line in curve.segments())
    expected = peak * area_s * shorter
    if expected > MAX_CUSTOMERS:
        yield KeyIssue(
            (key,),
            f"must not plan more than {MAX_CUSTOMERS:,} customers",
            f"{expected:,.0f}",
            'compress the curve, such as compress: "7h30m -> 90s"',
        )
