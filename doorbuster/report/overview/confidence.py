"""How far the result can be trusted: what was delivered, and which thresholds are undecided."""

from __future__ import annotations

from collections.abc import Sequence

from doorbuster.gate import ThresholdResult
from doorbuster.report.run_context import RunContext
from doorbuster.stats.quantile import quantile_estimate
from doorbuster.units import format_count, format_duration

MAX_NAMED = 2


def confidence(context: RunContext, results: Sequence[ThresholdResult]) -> tuple[str, ...]:
    """One sentence each, the most important first."""
    return tuple(text for text in (_delivered(context), _undecided(results)) if text)


def _delivered(context: RunContext) -> str:
    run, imported = context.run, context.imported
    if imported is not None:
        kept = {
            "exact": "every request is known",
            "bucketed": "times are known to the width of its buckets",
            "summary": "only its summary is known",
        }
        return f"Recorded by {imported.tool}: {kept[imported.precision]}."
    if context.is_closed:
        users = format_count(context.customers_in_shop.max(initial=0))
        return f"Closed workload: up to {users} users, who send nothing while they wait for an answer."
    by_channel, arrivals = run.outcome_totals_by_channel(), run.arrivals()
    if not any(one.planned for one in by_channel.values()):
        return "No customer was planned."
    seats = {name: int(one.started.sum()) for name, one in arrivals.items() if not one.planned.any()}
    counted = {name for name in by_channel if name not in seats} or set(
        by_channel
    )  # seats only where nothing else is planned
    count = sum(by_channel[name].planned for name in counted)
    dropped = sum(by_channel[name].dropped for name in counted)
    missing = sum(by_channel[name].in_flight_or_missing for name in counted)
    unplanned = 0 if counted & seats.keys() else sum(seats.values())
    sent = count - dropped - max(missing, 0)
    who = "visits" if context.is_plain else "customers"
    planned = format_count(count)
    text, on_time = f"All {planned} planned {who} started", ", 99 of 100"
    if sent < count:
        parts = [
            f"{format_count(n)} {what}" for n, what in ((dropped, "dropped"), (missing, "missing")) if n > 0
        ]
        text = f"{format_count(sent)} of {planned} planned {who} started and finished ({', '.join(parts)})"
        on_time = "; 99 of 100 started"
    lateness = run.lateness()
    late_us = quantile_estimate(lateness, 0.99).value_us if lateness.n else None
    late = "" if late_us is None else f"{on_time} within {format_duration(late_us / 1e6)} of the plan"
    others = f"; {format_count(unplanned)} more in {' and '.join(seats)}" if unplanned else ""
    return f"{text}{late}{others}."


def _undecided(results: Sequence[ThresholdResult]) -> str:
    if not results:
        return "The scenario has no thresholds."
    open_ones = [result for result in results if result.status == "inconclusive"]
    if not open_ones:
        which = "The threshold" if len(results) == 1 else f"All {len(results)} thresholds"
        return f"{which} could be decided."
    named = [f"{result.threshold} (n = {format_count(result.n)})" for result in open_ones[:MAX_NAMED]]
    more = f" and {len(open_ones) - MAX_NAMED} more" if len(open_ones) > MAX_NAMED else ""
    verb = "is" if len(open_ones) == 1 else "are"
    return f"{len(open_ones)} of {len(results)} thresholds {verb} undecided: {', '.join(named)}{more}."
