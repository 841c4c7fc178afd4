"""Search settings from the options of `doorbuster capacity` and the scenario; errors name the option."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from doorbuster.capacity.search import CHECK_S, MAX_RECOVERY_S, SHORT_S, SearchSettings
from doorbuster.capacity.search_bracket import WELL_OBSERVED_S
from doorbuster.errors import UsageError
from doorbuster.scenario import Scenario, estimate
from doorbuster.units import format_duration, parse_duration_s, parse_rate_per_s

LONG_STEPS_PER_BUDGET = 8  # a long load step takes at most this part of the budget
START_OF_DEMAND = 0.25
MIN_WARMUP_S, MAX_WARMUP_S = 3.0, 60.0
DEFAULT_BUDGET_S = 590.0
MIN_SHORT_STEPS = 6  # load steps to locate the limit
MIN_OBSERVED_STEPS = 4  # both sides of the limit, an idle shop, and one more

_customers_per_s = partial(parse_rate_per_s, counts="customers")


def search_settings(
    plan: Scenario, *, start_rate: str | None, max_rate: str | None, budget: str | None, warmup: str | None
) -> SearchSettings:
    """The settings of the search; without a budget, ten minutes or the minimum for the warm-up.

    Raises: UsageError that names the option.
    """
    expected = estimate(plan)
    each = expected.peak_requests_per_s / max(expected.peak_customers_per_s, 1e-9)
    top = _positive("--max-rate", max_rate, _customers_per_s) or plan.safety.max_rate_per_s / each
    first = _positive("--start-rate", start_rate, _customers_per_s)
    first = first or min(START_OF_DEMAND * plan.peak_per_s, top)
    if first > top:
        raise UsageError(
            f"--start-rate: must not exceed the maximum rate, {top:.4g} customers/s (got {first:.4g})"
        )
    budget_s = _positive("--budget", budget, parse_duration_s)
    warmup_s = _positive("--warmup", warmup, parse_duration_s)
    if warmup_s is None:
        visits_s = [one.visit_s for one in expected.channel_journeys if plan.channels[one.channel].is_open]
        warmup_s = min(max(max(visits_s, default=0.0), MIN_WARMUP_S), MAX_WARMUP_S)
    warmup_s = float(round(warmup_s))
    budget_s = budget_s or max(DEFAULT_BUDGET_S, min_budget_s(warmup_s))
    return SearchSettings(
        start_rate_per_s=first, max_rate_per_s=top, warmup_s=warmup_s,
        budget_s=budget_s, long_s=float(min(75, max(25, round(budget_s / LONG_STEPS_PER_BUDGET)))),
    )  # fmt: skip


def min_budget_s(warmup_s: float) -> float:
    """Time to locate the limit, to observe both sides of it and an idle shop, and to test recovery."""
    short_s = MIN_SHORT_STEPS * (warmup_s + SHORT_S)
    return short_s + MIN_OBSERVED_STEPS * (warmup_s + WELL_OBSERVED_S) + MAX_RECOVERY_S + CHECK_S


def check_budget(settings: SearchSettings) -> None:
    """Require a budget that can give an answer with an interval.

    Raises: UsageError with the minimum.
    """
    min_s = min_budget_s(settings.warmup_s)
    if settings.budget_s < min_s:
        raise UsageError(
            f"--budget: must be at least {format_duration(min_s)} with a warm-up of "
            f"{format_duration(settings.warmup_s)} (got {format_duration(settings.budget_s)})"
        )


def _positive(option: str, text: str | None, parse: Callable[[str], float]) -> float | None:
    if text is None:
        return None
    try:
        value = parse(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error} (got {text!r})") from error
    if value <= 0:
        raise UsageError(f"{option}: must be above 0 (got {text!r})")
    return value
