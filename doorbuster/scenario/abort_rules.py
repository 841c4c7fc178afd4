"""Abort rules of `safety.abort`: a rate of failing customers, or an observed metric, that stays too high.

turned_away: 90% for 60s
observed.db_connections{role:primary}: ">=90% for 10s"
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from doorbuster.scenario.parsing.diagnostics import (
    KeyIssue,
    all_issues,
    collect_issues,
    invalid,
    preview,
    try_parse,
    unknown_key,
)
from doorbuster.scenario.parsing.values import (
    DURATION_PATTERN,
    SHARE_PATTERN,
    duration,
    share,
    value_type,
)
from doorbuster.scenario.thresholds.language import Tag, Unit, parse_condition, parse_metric_selector
from doorbuster.scenario.thresholds.metrics import METRICS, OBSERVED, find_metric

ABORT_RATES = tuple(name for name, metric in METRICS.items() if metric.counts_failures)
LimitOperator = Literal[">=", ">", "<=", "<"]
_OPERATORS: tuple[LimitOperator, ...] = (">=", "<=", ">", "<")  # the longer ones first
_FOR = " for " + DURATION_PATTERN.removeprefix("^")
_RATE_PATTERN = SHARE_PATTERN.removesuffix("$") + _FOR
_NAME_PATTERN = rf"^\s*(?:{'|'.join(ABORT_RATES)}|observed\.[A-Za-z_]\w*\s*(?:\{{.*\}})?)\s*$"
_OBSERVED_RULE = 'must be a limit and a duration, such as ">=90% for 10s"'


class AbortRule(BaseModel, frozen=True):
    """End the run when a rate stays at or above `ratio` for `for_s` seconds."""

    ratio: float
    for_s: float


class ObservedAbortRule(BaseModel, frozen=True):
    """End the run when every reading of an observed series is beyond `bound` for `for_s` seconds.

    `bound` is in `unit`: ms, a ratio of the metric's limit, or the metric's own unit ("value").
    """

    metric: str
    tags: tuple[Tag, ...]
    operator: LimitOperator
    bound: float
    unit: Unit
    for_s: float

    def is_beyond(self, value: float) -> bool:
        """Whether a value in `unit` counts towards the end of the run."""
        comparisons: dict[LimitOperator, bool] = {
            ">=": value >= self.bound,
            ">": value > self.bound,
            "<=": value <= self.bound,
            "<": value < self.bound,
        }
        return comparisons[self.operator]


AnyAbortRule = AbortRule | ObservedAbortRule


@value_type(
    {
        "type": "object",
        "properties": {key: {"type": "string", "pattern": _RATE_PATTERN} for key in ABORT_RATES},
        "propertyNames": {"pattern": _NAME_PATTERN},
        "additionalProperties": {"type": "string", "pattern": rf"^\s*[<>]?=?\s*\S+{_FOR}"},
    }
)
def parse_abort(raw: object) -> object:
    """Abort rules by rate or observed metric, from {turned_away: "90% for 60s"}."""
    if not isinstance(raw, dict):
        raise invalid('must be a mapping, such as {turned_away: "90% for 60s"}', got=preview(raw))
    with all_issues("abort", raw) as issues:
        rules: dict[str, AnyAbortRule | None] = {}
        for key, text in raw.items():
            name = str(key)
            if name.strip().startswith(OBSERVED):
                rules[name] = _observed_rule(issues, name, text)
                continue
            if name not in ABORT_RATES:
                known = (*ABORT_RATES, f"{OBSERVED}<metric>")
                issues.append(unknown_key(name, "is not a rate that can end a run", known))
            rules[name] = collect_issues(issues, (name,), _parse_rate_rule, text)
    return rules


def _parse_rate_rule(raw: object) -> AbortRule:
    if isinstance(raw, AbortRule):
        return raw
    rule = 'must be a share and a duration, such as "90% for 60s"'
    ratio_text, for_text = _halves(raw, rule)
    ratio, for_s = try_parse(share(), ratio_text), try_parse(duration(zero=False), for_text)
    if ratio is None or for_s is None or ratio == 0:
        raise invalid(rule, got=preview(raw))
    return AbortRule(ratio=ratio, for_s=for_s)


def _observed_rule(issues: list[KeyIssue], key: str, text: object) -> ObservedAbortRule | None:
    if isinstance(text, ObservedAbortRule):
        return text
    selector = collect_issues(issues, (key,), parse_metric_selector, key, at="key")
    if selector is None:
        return None
    limit = collect_issues(issues, (key,), lambda raw: _parse_limit(raw, selector.metric), text)
    if limit is None:
        return None
    return limit.model_copy(update={"tags": selector.tags})


def _parse_limit(raw: object, metric: str) -> ObservedAbortRule:
    """The rule without tags in ">=90% for 10s"; without an operator, the value is the highest allowed."""
    limit_text, for_text = _halves(raw, _OBSERVED_RULE)
    limit_text = limit_text.strip()
    operator = next((one for one in _OPERATORS if limit_text.startswith(one)), None)
    bound = limit_text.removeprefix(operator or "").strip()
    for_s = try_parse(duration(zero=False), for_text)
    definition = find_metric(metric)
    assert definition is not None, "the selector names a metric"
    used: LimitOperator = operator or ">="
    condition = try_parse(lambda text: parse_condition(text, definition), f"max{used}{bound}")
    if condition is None or for_s is None or not bound[:1].isdigit():
        raise invalid(_OBSERVED_RULE, got=preview(raw))
    return ObservedAbortRule(
        metric=metric, tags=(), operator=used, bound=condition.bound, unit=condition.unit, for_s=for_s
    )


def _halves(raw: object, rule: str) -> tuple[str, str]:
    """The texts before and after " for "."""
    parts = raw.split(" for ") if isinstance(raw, str) else []
    if len(parts) != 2:
        raise invalid(rule, got=preview(raw))
    return parts[0], parts[1].strip()
