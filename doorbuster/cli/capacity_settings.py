"""How to search, from the command line and the scenario; what is wrong is told by the option's name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from doorbuster.capacity.search import CHECK_S, LONGEST_RECOVERY_S, SearchSettings
from doorbuster.errors import UsageError
from doorbuster.scenario import Scenario, estimate
from doorbuster.units import format_duration, parse_duration_s, parse_rate_per_s

LONG_OF_BUDGET = 8  # a long plateau takes this part of the time at most
START_OF_DEMAND = 0.25
SHORTEST_SETTLE_S, LONGEST_SETTLE_S = 3.0, 60.0
FEWEST_SHORT = 3  # plateaus to find the neighbourhood with

_customers_per_s = partial(parse_rate_per_s, counts="customers")


def settings_of(
    plan: Scenario, *, start: str | None, highest: str | None, budget: str, settle: str | None
) -> SearchSettings:
    """The settings of the search.

    Raises: UsageError that names the option.
    """
    expected = estimate(plan)
    each = expected.peak_requests_per_s / max(expected.peak_customers_per_s, 1e-9)
    top = _above_0("--highest", highest, _customers_per_s) or plan.safety.max_rate_per_s / each
    first = _above_0("--start", start, _customers_per_s) or min(START_OF_DEMAND * plan.peak_per_s, top)
    if first > top:
        raise UsageError(
            f"--start: must not be above the highest rate, {top:.4g} customers/s (got {first:.4g})"
        )
    budget_s = _above_0("--budget", budget, parse_duration_s) or 0.0
    settle_s = _above_0("--settle", settle, parse_duration_s)
    if settle_s is None:
        visits_s = [lane.visit_s for lane in expected.lanes if plan.channels[lane.channel].is_open]
        settle_s = min(max(max(visits_s, default=0.0), SHORTEST_SETTLE_S), LONGEST_SETTLE_S)
    return SearchSettings(
        start_per_s=first, highest_per_s=top, settle_s=float(round(settle_s)),
        budget_s=budget_s, long_s=float(min(75, max(25, round(budget_s / LONG_OF_BUDGET)))),
    )  # fmt: skip


def refuse_a_short_budget(settings: SearchSettings) -> None:
    """A search needs a few short plateaus, one that can be judged, and the test of recovery.

    Raises: UsageError that says how long that is.
    """
    short_s = FEWEST_SHORT * (settings.settle_s + settings.short_s)
    least_s = short_s + settings.settle_s + settings.solid_s + LONGEST_RECOVERY_S + CHECK_S
    if settings.budget_s < least_s:
        raise UsageError(
            f"--budget: must be at least {format_duration(least_s)}, with plateaus that settle for "
            f"{format_duration(settings.settle_s)} (got {format_duration(settings.budget_s)})"
        )


def _above_0(option: str, text: str | None, parse: Callable[[str], float]) -> float | None:
    if text is None:
        return None
    try:
        value = parse(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error} (got {text!r})") from error
    if value <= 0:
        raise UsageError(f"{option}: must be above 0 (got {text!r})")
    return value
