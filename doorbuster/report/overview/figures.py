"""The four large figures of the manager's screen, each with its interval, scope and sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from shlex import quote

from doorbuster.bundled import scenario_argument
from doorbuster.gate import MetricEstimate, customer_rate, estimate, worst_channel
from doorbuster.gate.recorded_metrics import RecordedMetrics
from doorbuster.report.formatting import format_clock, format_interval, format_metric
from doorbuster.report.overview.values import HeadlineFigure, Tone
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Metric, Unit, ratio_metric
from doorbuster.scenario.thresholds.language import read_thresholds
from doorbuster.units import CURRENCIES, format_count, format_duration, format_money

_OF_SEARCHES = (
    ("rate", "Capacity"),
    ("demand", "Planned peak"),
    ("headroom", "Capacity over planned peak"),
    ("sufficient_probability", "Probability that it is enough"),
    ("peak_n", "Size at which throughput peaks"),
)


def customer_figures(
    context: RunContext, customers: Mapping[str, Metric], search: Mapping[str, Metric]
) -> tuple[HeadlineFigure, ...]:
    """For customers of a scenario: could order, sales lost, when it broke, capacity.

    Args: customers, search: the metrics of the sections on customers and on capacity.
    """
    return (
        _could(context),
        _lost(context, customers),
        _broke(context, customers),
        _capacity(context, search),
    )


def request_figures(context: RunContext, users: Mapping[str, Metric]) -> tuple[HeadlineFigure, ...]:
    """For plain Locust files and results of other tools: failed requests, p95, rate, stalls or visits.

    Args: users: the metrics of the section on users.
    """
    recorded = RecordedMetrics(context.run)
    figures = [
        _of_requests(recorded, "failed_requests", "Failed requests", "http_req_failed", "rate<=1"),
        _of_requests(recorded, "p95_ms", "p95 response time", "http_req_duration", "p(95)<1s"),
        _of_requests(recorded, "requests_per_s", "Requests per second", "http_reqs", "rate>=0"),
    ]
    stall = users.get("longest_stall")
    if context.is_closed and stall is not None:
        detail = "without any answer" if stall.value else "answers came throughout"
        figure = HeadlineFigure("longest_stall", "Longest stall", stall, detail=detail, tone="bad")
        if not stall.value:
            figure = replace(figure, metric=None, text="None", tone=_good(context))
        figures.append(figure)
    elif not context.is_closed:
        served = customer_rate(context.run.customers(), "served")
        detail = f"{format_count(served.successes)} of {format_count(served.n)} visits"
        figures.append(HeadlineFigure("served", "Visits served", ratio_metric(served), detail=detail))
    return tuple(figures)


def search_figures(found: Mapping[str, Metric]) -> tuple[HeadlineFigure, ...]:
    """For the section that summarises several runs: those of its metrics that a decision needs."""
    return tuple(
        HeadlineFigure(name, label, metric)
        for name, label in _OF_SEARCHES
        if (metric := found.get(name)) is not None and metric.value is not None
    )


def _good(context: RunContext) -> Tone:
    """The tone of an absence, which means something only if the run went to its end."""
    return "good" if context.run.meta.status == "finished" else "plain"


def _could(context: RunContext) -> HeadlineFigure:
    """The share who could order, or browse where nobody ordered: of the worst channel if it differs."""
    customers = context.run.customers()
    for metric, label in (("can_order", "Could order"), ("can_browse", "Could browse"), ("served", "Served")):
        every = customer_rate(customers, metric)
        if not every.n:
            continue
        worst = worst_channel(customers, metric)
        if worst is None:
            detail = f"{format_count(every.successes)} of {format_count(every.n)} customers"
            return HeadlineFigure(metric, label, ratio_metric(every), detail=detail)
        rate = worst.rate
        everyone = ratio_metric(every)
        detail = (
            f"{format_count(rate.successes)} of {format_count(rate.n)} customers; all channels "
            f"{format_metric(everyone)} ({format_interval(everyone)})"
        )
        return HeadlineFigure(f"{metric}{{channel:{worst.channel}}}", f"{label}, {worst.channel}",
                              ratio_metric(rate), detail=detail)  # fmt: skip
    return HeadlineFigure("can_order", "Could order", text="–", detail="no customer came")


def _lost(context: RunContext, customers: Mapping[str, Metric]) -> HeadlineFigure:
    missed, expected = customers.get("missed_orders"), customers.get("orders_expected")
    sales = customers.get("lost_sales")
    label, lasted = "Sales lost", format_duration(context.run.meta.duration_s)
    if missed is None or expected is None or not expected.value:
        return HeadlineFigure("lost_sales", label, text="–", detail="no order was expected")
    orders = f"of {expected.value:,.0f} expected orders"
    if not missed.value or missed.value < 0.5:
        return HeadlineFigure(
            "lost_sales", label, text="None", detail=f"{orders}, none was missed", tone=_good(context)
        )
    scope = f"{_scaled(context, sales)}{missed.value:,.0f} {orders} in these {lasted}"
    if sales is None or sales.value is None:
        return HeadlineFigure("missed_orders", "Orders lost", missed, detail=scope, tone="bad")
    if sales.low is None:
        scope = f"{scope}; too few orders for an interval"
    return HeadlineFigure("lost_sales", label, sales, detail=scope, tone="bad")


def _scaled(context: RunContext, sales: Metric | None) -> str:
    """What the loss is at the same rates over the time that a compressed run stands for."""
    compress = context.curve_scenario.demand.compress if context.curve_scenario is not None else None
    if compress is None or sales is None or sales.value is None or compress.from_s <= compress.to_s:
        return ""
    whole = format_money(sales.value * compress.from_s / compress.to_s, CURRENCIES[sales.unit])
    return f"About {whole} over {format_duration(compress.from_s)}; "


def _broke(context: RunContext, customers: Mapping[str, Metric]) -> HeadlineFigure:
    start, lasted, end = (customers.get(f"outage_{name}") for name in ("start", "duration", "end"))
    if lasted is None or lasted.value is None:
        why = "too few customers wanted to order"
        return HeadlineFigure("outage_start", "Broke", text="Unknown", detail=why)
    if start is None or start.value is None:
        return HeadlineFigure(
            "outage_start", "Broke", text="Never", detail="ordering worked throughout", tone=_good(context)
        )
    back = "not recovered by the end"
    if end is not None and end.value is not None:
        back = f"recovered at {format_clock(end.value)}"
    compress = context.curve_scenario.demand.compress if context.curve_scenario is not None else None
    into = ""
    if compress is not None:
        at_s = start.value * compress.from_s / compress.to_s
        into = f"{format_duration(at_s)} into the {format_duration(compress.from_s)}; "
    detail = f"{into}ordering failed for {format_duration(lasted.value)}; {back}"
    return HeadlineFigure("outage_start", "Broke for arrivals from", start, detail=detail, tone="bad")


def _capacity(context: RunContext, search: Mapping[str, Metric]) -> HeadlineFigure:
    rate = search.get("rate")
    if rate is not None and rate.value is not None:
        headroom = search.get("headroom")
        times = ""
        if headroom is not None and headroom.value is not None:
            times = f"{format_metric(headroom)} times the planned peak"
        return HeadlineFigure("capacity", "Capacity", rate, detail=times or "customers per second")
    command = f"doorbuster capacity {quote(scenario_argument(context.run.meta.scenario_name))}"
    return HeadlineFigure("capacity", "Capacity", text="Not measured", command=command)


def _of_requests(
    recorded: RecordedMetrics, key: str, label: str, metric: str, expression: str
) -> HeadlineFigure:
    """A metric of requests, counted as a threshold would."""
    (threshold,) = read_thresholds({metric: expression})
    found = estimate(threshold, recorded.data(threshold))
    if not isinstance(found, MetricEstimate):
        return HeadlineFigure(key, label, text="–", detail=found.reason)
    units: dict[str, Unit] = {"ms": "ms", "ratio": "ratio", "per_s": "per_s"}
    unit = units.get(threshold.unit, "")
    value = Metric(found.observed, unit, found.low, found.high, found.n, at_least=found.at_least)
    return HeadlineFigure(key, label, value, detail=f"of {format_count(found.n)} requests")
