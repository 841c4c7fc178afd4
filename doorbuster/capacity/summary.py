"""The recorded result of a capacity search: its answer, the request mix, and what fails first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from doorbuster.capacity.result_file import RecordedEstimate, RecordedLoadStep, SearchResult
from doorbuster.errors import RecordError
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run

if TYPE_CHECKING:
    from doorbuster.capacity.capacity_result import CapacityResult
    from doorbuster.capacity.load_step import LoadStep
    from doorbuster.scenario import Scenario

MIN_REQUESTS = 20


def summarise_search(
    plan: Scenario,
    found: CapacityResult,
    history: Sequence[LoadStep],
    folders: Sequence[Path],
    *,
    finished: bool,
) -> SearchResult:
    """The result file of a search from its answer and its load steps."""
    runs = list(zip(history, folders, strict=True))
    failed = [(step, folder) for step, folder in runs if step.status == "fail"]
    nearest = min(failed, key=lambda pair: pair[0].rate_per_s)[1] if failed else None
    usable = [(step, folder) for step, folder in runs if step.status != "invalid"]
    rate = found.rate_per_s or 0.0
    middle = min(usable, key=lambda pair: abs(pair[0].rate_per_s - rate))[1] if usable else None
    requests, orders = _mix(middle) if middle else (None, None)
    demand_low, demand_high = demand_interval(plan)
    slowest, channel = _weakest(nearest) if nearest else ("", "")
    return SearchResult(
        scenario=plan.name, title=plan.title, sentence=found.sentence, rate_per_s=found.rate_per_s,
        low=_finite(found.low), high=_finite(found.high), at_least=found.at_least, binding=found.binding,
        method=found.method, recovered=found.recovered, flags=tuple(found.flags),
        elapsed_s=found.elapsed_s, finished=finished, demand_per_s=plan.peak_per_s,
        demand_low_per_s=demand_low, demand_high_per_s=demand_high,
        requests_per_customer=requests, orders_per_customer=orders,
        breaks_at_step=slowest, breaks_at_channel=channel,
        size=plan.target.shop.workers if plan.target.shop else None,
        load_steps=tuple(_recorded(step, folder) for step, folder in runs),
    )  # fmt: skip


def demand_interval(plan: Scenario) -> tuple[float | None, float | None]:
    """The 95 % interval of the customers per second at the peak; (None, None) when no demand has one.

    Demands of several channels are independent: their half-widths add in quadrature.
    """
    below, above = [], []
    for name, rate in plan.peak_rates_per_s.items():
        demand = plan.demands[name]
        if demand.interval_per_s is not None:
            below.append(rate * (1 - demand.interval_per_s.low / demand.peak_per_s))
            above.append(rate * (demand.interval_per_s.high / demand.peak_per_s - 1))
    if not below:
        return None, None
    return plan.peak_per_s - math.hypot(*below), plan.peak_per_s + math.hypot(*above)


def _recorded(step: LoadStep, folder: Path) -> RecordedLoadStep:
    proposal, measured = step.measured.proposal, step.measured
    return RecordedLoadStep(
        kind=proposal.kind, rate_per_s=proposal.rate_per_s, warmup_s=proposal.warmup_s,
        hold_s=proposal.hold_s, seconds=measured.seconds, status=step.status, why=step.why,
        growing=step.growing,
        completed_per_s=measured.completed_per_s, elapsed_s=measured.elapsed_s, run=folder.name,
        estimates=tuple(
            RecordedEstimate(one.name, _finite(one.level), _finite(one.low), _finite(one.high))
            for one in step.estimates
        ),
    )  # fmt: skip


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _mix(folder: Path) -> tuple[float | None, float | None]:
    """Requests and acknowledged orders per customer of an open channel."""
    with Run.open(folder) as run:
        open_channels = {name for name, series in run.arrivals().items() if series.planned.any()}
        rows = [
            row for row in run.customers() if row.channel in open_channels and row.outcome != Outcome.DROPPED
        ]
        came = sum(row.n for row in rows)
        asked = run.histogram(match=lambda series: series.channel in open_channels).n
    if not came:
        return None, None
    return asked / came, sum(row.n for row in rows if row.order == 1) / came


def _weakest(folder: Path) -> tuple[str, str]:
    """The step with the longest 95th percentile and the channel that served the smallest share."""
    try:
        with Run.open(folder) as run:
            times = run.histograms_by(lambda series: series.step if series.has_latency else None)
            rows = run.customers()
    except RecordError:
        return "", ""
    slow = {step: found.quantile_us(0.95) or 0 for step, found in times.items() if found.n >= MIN_REQUESTS}
    served: dict[str, list[int]] = {}
    for row in rows:
        if row.outcome != Outcome.DROPPED:
            counts = served.setdefault(row.channel, [0, 0])
            counts[0] += row.n if row.outcome == Outcome.SERVED else 0
            counts[1] += row.n
    shares = {channel: k / n for channel, (k, n) in served.items() if n >= MIN_REQUESTS}
    channel = min(shares, key=lambda name: shares[name], default="")
    return max(slow, key=lambda step: slow[step], default=""), channel if shares.get(channel, 1.0) < 1 else ""
