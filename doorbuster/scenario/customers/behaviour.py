"""Distributions of patience and think time; the load engine draws samples from them."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from doorbuster.scenario.parsing.diagnostics import (
    all_issues,
    collect_issues,
    did_you_mean,
    invalid,
    preview,
)
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import (
    DurationS,
    PositiveDurationS,
    duration,
    model_schema,
    number,
    parse_single_key,
    single_key_schema,
    value_type,
)


class Patience(StrictModel):
    """How long customers wait for a page: P(left by t) = 1 - exp(-(t / tau) ** shape), and 0 before `min`.

    Source: a fit; tau 4.7 s matches the 40 % at 3 s of Forrester/Akamai 2009 (desktop), tau 3.6 s the 53 %
    of Akamai 2017 (mobile). `min`: waits of up to 1 s do not interrupt the flow of thought (Nielsen,
    Usability Engineering, 1993, chapter 5). Reports label it "modelled".
    """

    tau_s: PositiveDurationS = Field(description="Time by which 63 % have left.", examples=["4.7s"])
    shape: Annotated[float, number(0.1, 10)] = Field(
        default=1.5,
        description="Weibull shape; above 1, the risk of leaving grows with the wait.",
        examples=[1.5],
    )

    min_s: DurationS = Field(
        default=1.0, description="Minimum wait before a customer leaves. Default: 1s.", examples=["1s"]
    )

    @property
    def median_s(self) -> float:
        """Seconds after which half of the people have left."""
        half_s: float = self.tau_s * math.log(2.0) ** (1.0 / self.shape)
        return max(self.min_s, half_s)


PATIENCE: dict[str, dict[str, Any] | None] = {
    "desktop": {"tau": "4.7s", "shape": 1.5},
    "mobile": {"tau": "3.6s", "shape": 1.5},
    "none": None,
}


class Constant(BaseModel, frozen=True):
    """Constant think time."""

    distribution: Literal["constant"] = "constant"
    constant_s: float
    max_s: float = math.inf

    @property
    def mean_think_s(self) -> float:
        """Mean think time."""
        return self.constant_s


class Uniform(BaseModel, frozen=True):
    """Uniform think times."""

    distribution: Literal["uniform"] = "uniform"
    low_s: float
    high_s: float
    max_s: float = math.inf

    @property
    def mean_think_s(self) -> float:
        """Mean think time."""
        return (self.low_s + self.high_s) / 2.0


class Exponential(BaseModel, frozen=True):
    """Exponential think times, limited to `max_s` (TPC-W: mean 7 s, at most 70 s)."""

    distribution: Literal["exponential"] = "exponential"
    mean_s: float
    max_s: float = math.inf

    @property
    def mean_think_s(self) -> float:
        """Mean of min(X, max): mean * (1 - exp(-max / mean))."""
        return self.mean_s * -math.expm1(-self.max_s / self.mean_s)


class Lognormal(BaseModel, frozen=True):
    """Lognormal think times with this median and log standard deviation, limited to `max_s`."""

    distribution: Literal["lognormal"] = "lognormal"
    median_s: float
    sigma: float
    max_s: float = math.inf

    @property
    def mean_think_s(self) -> float:
        """Mean of min(X, max), with m = ln median, c = (ln max - m) / sigma and the normal distribution Phi:
        exp(m + sigma^2/2) * Phi(c - sigma) + max * (1 - Phi(c))."""
        unlimited_s = self.median_s * math.exp(self.sigma**2 / 2.0)
        if math.isinf(self.max_s):
            return unlimited_s
        limit = (math.log(self.max_s) - math.log(self.median_s)) / self.sigma
        return unlimited_s * _phi(limit - self.sigma) + self.max_s * (1.0 - _phi(limit))


Think = Constant | Uniform | Exponential | Lognormal
DEFAULT_THINK = Lognormal(median_s=4.0, sigma=1.17, max_s=70.0)


class _ExponentialText(StrictModel):
    mean: PositiveDurationS
    max: PositiveDurationS = math.inf


class _LognormalText(StrictModel):
    median: PositiveDurationS
    sigma: Annotated[float, number(0.01, 5)]
    max: PositiveDurationS = math.inf


@value_type(duration(zero=True).schema)
def _parse_constant(raw: object) -> Think:
    return Constant(constant_s=duration(zero=True)(raw))


@value_type({"type": "array", "items": duration(zero=True).schema, "minItems": 2, "maxItems": 2})
def _parse_uniform(raw: object) -> Think:
    if not isinstance(raw, list) or len(raw) != 2:
        raise invalid("must be a list of two durations, such as [1s, 4s]", got=preview(raw))
    with all_issues("uniform", raw) as issues:
        low_s, high_s = (collect_issues(issues, (i,), duration(zero=True), raw[i]) for i in (0, 1))
    assert low_s is not None, "no issue"
    assert high_s is not None, "no issue"
    if low_s > high_s:
        raise invalid("must start with the shorter duration", got=f"{raw[0]}, {raw[1]}")
    return Uniform(low_s=low_s, high_s=high_s)


@value_type(model_schema(_ExponentialText))
def _parse_exponential(raw: object) -> Think:
    text = _ExponentialText.model_validate(raw)
    return Exponential(mean_s=text.mean, max_s=text.max)


@value_type(model_schema(_LognormalText))
def _parse_lognormal(raw: object) -> Think:
    text = _LognormalText.model_validate(raw)
    return Lognormal(median_s=text.median, sigma=text.sigma, max_s=text.max)


THINK_DISTRIBUTIONS = {
    "constant": _parse_constant,
    "uniform": _parse_uniform,
    "exponential": _parse_exponential,
    "lognormal": _parse_lognormal,
}


@value_type({"anyOf": [single_key_schema(name, parse.schema) for name, parse in THINK_DISTRIBUTIONS.items()]})
def parse_think(raw: object) -> object:
    """The think time described by `{distribution: values}`."""
    if isinstance(raw, Constant | Uniform | Exponential | Lognormal):
        return raw
    rule = "must name one distribution, such as {lognormal: {median: 4s, sigma: 1.17}}"
    return parse_single_key(raw, THINK_DISTRIBUTIONS, rule=rule, noun="distribution of think times")


@value_type({"anyOf": [{"enum": list(PATIENCE)}, model_schema(Patience)]})
def parse_patience(raw: object) -> object:
    """The patience described by a name or by `{tau, shape}`; None for "none"."""
    if isinstance(raw, str):
        if raw not in PATIENCE:
            raise invalid("is not a known patience", got=preview(raw), way_out=did_you_mean(raw, PATIENCE))
        return PATIENCE[raw]
    if raw is None or isinstance(raw, Patience | dict):
        return raw
    raise invalid("must be desktop, mobile, none or {tau: 4.7s, shape: 1.5}", got=preview(raw))


def _phi(z: float) -> float:
    return (1.0 + math.erf(z / math.sqrt(2.0))) / 2.0
