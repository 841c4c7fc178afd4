"""Search settings from the options of `doorbuster capacity` and the scenario; errors name the option."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

from doorbuster.capacity.search import CHECK_S, MAX_RECOVERY_S, SHORT_ALLOWED, SHORT_S, SearchSettings
from doorbuster.capacity.search_bracket import WELL_OBSERVED_S
from doorbuster.errors import UsageError
from doorbuster.scenario import Scenario, Threshold, estimate
from doorbuster.scenario.thresholds.metrics import OBSERVED
from doorbuster.units import format_duration, parse_duration_s, parse_rate_per_s

LONG_STEPS_PER_BUDGET = 8  # a long load step takes at most this part of the budget
START_OF_DEMAND = 0.25
USUAL_OF_DEMAND = 0.5  # without queues, of a shop that just meets the demand
MIN_WARMUP_S, MAX_WARMUP_S = 3.0, 60.0
DEFAULT_BUDGET_S = 590.0
MIN_LONG_S, MAX_LONG_S = 25.0, 75.0
MIN_SHORT_STEPS = 6  # load steps to locate the limit
MIN_OBSERVED_STEPS = 3  # an idle shop, and both sides of the limit
OVERHEAD_S = 3.0  # of a load step: the generator starts, the shop drains
VERDICT_ALLOWED = 4.0  # allowed violations on a load step that can pass with few of them: three with none

_customers_per_s = partial(parse_rate_per_s, counts="customers")


def search_settings(
    plan: Scenario,
    thresholds: Iterable[Threshold],
    *,
    start_rate: str | None,
    max_rate: str | None,
    budget: str | None,
    warmup: str | None,
) -> SearchSettings:
    """The settings of the search; without a budget, ten minutes or the minimum.

    Raises: UsageError that names the option.
    """
    expected = estimate(plan)
    requests = expected.peak_requests_per_s / max(expected.peak_customers_per_s, 1e-9)
    top = positive_option("--max-rate", max_rate, _customers_per_s) or plan.safety.max_rate_per_s / requests
    first = positive_option("--start-rate", start_rate, _customers_per_s)
    first = first or min(START_OF_DEMAND * plan.peak_per_s, top)
    if first > top:
        raise UsageError(
            f"--start-rate: must not exceed the maximum rate, {top:.4g} customers/s (got {first:.4g})"
        )
    budget_s = positive_option("--budget", budget, parse_duration_s)
    warmup_s = positive_option("--warmup", warmup, parse_duration_s)
    if warmup_s is None:
        visits_s = [one.visit_s for one in expected.channel_journeys if plan.channels[one.channel].is_open]
        warmup_s = min(max(max(visits_s, default=0.0), MIN_WARMUP_S), MAX_WARMUP_S)
    usual_per_s = max(first, min(USUAL_OF_DEMAND * plan.peak_per_s, top))
    allowed = max((_allowed_per_s(one, requests, usual_per_s) for one in thresholds), default=0.0)
    return planned_settings(first, top, float(round(warmup_s)), budget_s, allowed or math.inf)


def planned_settings(
    first_per_s: float, top_per_s: float, warmup_s: float, budget_s: float | None, allowed_per_s: float
) -> SearchSettings:
    """Settings from numbers.

    Args: allowed_per_s: as in SearchSettings.
    """
    budget_s = budget_s or max(DEFAULT_BUDGET_S, min_budget_s(warmup_s, allowed_per_s))
    longest_s = max(MAX_LONG_S, observed_s(allowed_per_s))
    long_s = min(longest_s, max(MIN_LONG_S, round(budget_s / LONG_STEPS_PER_BUDGET)))
    return SearchSettings(
        start_rate_per_s=first_per_s, max_rate_per_s=top_per_s, warmup_s=warmup_s, budget_s=budget_s,
        long_s=float(long_s), allowed_per_s=allowed_per_s,
    )  # fmt: skip


def min_budget_s(warmup_s: float, allowed_per_s: float) -> float:
    """Time to locate the limit, to observe an idle shop and both sides of the limit, and to test recovery."""
    short_s = min(max(SHORT_S, SHORT_ALLOWED / allowed_per_s), WELL_OBSERVED_S)
    locate_s = MIN_SHORT_STEPS * (warmup_s + short_s + OVERHEAD_S)
    observe_s = MIN_OBSERVED_STEPS * (warmup_s + observed_s(allowed_per_s) + OVERHEAD_S)
    return float(math.ceil(locate_s + observe_s + MAX_RECOVERY_S + CHECK_S))


def observed_s(allowed_per_s: float) -> float:
    """Time in which a rate below the limit can certainly pass."""
    return max(WELL_OBSERVED_S, VERDICT_ALLOWED / allowed_per_s)


def check_budget(settings: SearchSettings) -> None:
    """Require a budget that can give an answer with an interval.

    Raises: UsageError with the minimum.
    """
    min_s = min_budget_s(settings.warmup_s, settings.allowed_per_s)
    if settings.budget_s < min_s:
        verdict_s = format_duration(math.ceil(observed_s(settings.allowed_per_s)))
        raise UsageError(
            f"--budget: must be at least {format_duration(min_s)} with a warm-up of "
            f"{format_duration(settings.warmup_s)} and {verdict_s} of requests for a verdict "
            f"(got {format_duration(settings.budget_s)})"
        )


def _allowed_per_s(threshold: Threshold, requests: float, usual_per_s: float) -> float:
    """Violations per second that a threshold allows; of an observed metric, of one reading a second."""
    if not threshold.metric.startswith(OBSERVED):
        return usual_per_s * _allowed_per_customer(threshold, requests)
    if threshold.percentile is None:
        return 0.0
    share = threshold.percentile / 100
    return 1 - share if threshold.operator in ("<", "<=") else share


def _allowed_per_customer(threshold: Threshold, requests: float) -> float:
    """Violations that a threshold allows per customer; infinite where single values do not count.

    A threshold on some requests only is taken for one on a single request per visit.
    """
    counted = requests if threshold.metric.startswith("http_") and not threshold.tags else 1.0
    if threshold.percentile is not None:
        return counted * (1 - threshold.percentile / 100)
    if threshold.unit != "ratio":
        return math.inf if threshold.aggregation == "avg" else 0.0
    return counted * (1 - threshold.bound if threshold.operator in (">", ">=") else threshold.bound)


def positive_option(option: str, text: str | None, parse: Callable[[str], float]) -> float | None:
    """The value of an option above 0; None if it is not given. Raises: UsageError."""
    if text is None:
        return None
    try:
        value = parse(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error} (got {text!r})") from error
    if value <= 0:
        raise UsageError(f"{option}: must be above 0 (got {text!r})")
    return value
