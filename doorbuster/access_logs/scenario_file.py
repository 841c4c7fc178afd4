"""The scenario of a log as YAML, with the source of every figure as a comment."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from textwrap import wrap

import numpy as np

from doorbuster.access_logs.demand_model import DemandModel, views_by_kind
from doorbuster.access_logs.log_map import OTHER
from doorbuster.access_logs.visit_groups import VisitGroup, visit_groups
from doorbuster.access_logs.visitors import DEVICES
from doorbuster.output import one_line
from doorbuster.scenario import ENTER, Lognormal
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.stats.time_fits import TimeFit

Z = 1.959964
MAX_BURSTINESS = 1000.0
_MIN_DRAIN_S, _MAX_DRAIN_S = 30, 3_600


def scenario_text(model: DemandModel, name: str) -> str:
    """The YAML text of the scenario."""
    groups = visit_groups(model)
    window = model.arrivals.window
    start = datetime.fromtimestamp(window.start_ms / 1e3, UTC)
    title = f"Busiest {_span(window.length_s)} of {start:%d %B %Y}, from an access log"
    lines = [
        *_head(model, name),
        f"title: {json.dumps(title)}",
        "story: Customers arrive and behave as in the log; figures that no log shows are assumptions.",
        "",
        "# A log does not tell which shop to load. Replace this by url and storefront of your own shop.",
        "target: {storefront: reference, shop: {profile: replatformed}}",
        "",
        *_demand(model),
        "",
        *_journeys(model, groups),
        "",
        *_channel(model, groups),
        "",
        *_thresholds(model),
        "",
        "safety: {allow: [127.0.0.1]}",
        f"drain: {_drain_s(model)}s  # the longest 1 % of visits in the log take longer, at most an hour",
    ]
    return "\n".join(lines) + "\n"


def _thresholds(model: DemandModel) -> list[str]:
    lines = [
        "thresholds:  # assumptions: a log does not tell what is good enough",
        '  can_browse: ["rate>=99%"]',
        '  http_req_duration: ["p(95)<2s"]',
    ]
    if "checkout" not in model.behaviour.kinds:
        return [*lines, "  # The log has no orders, so none are expected."]
    return [
        *lines,
        '  can_order: ["rate>=99%"]',
        '  orders_missing: ["count==0"]',
        '  orders_duplicated: ["count==0"]',
        '  oversold_units: ["count==0"]',
    ]


def _head(model: DemandModel, name: str) -> list[str]:
    counts, behaviour = model.counts, model.behaviour
    files = one_line(", ".join(model.files), 120)
    lines = [
        f"# {name}: made by `doorbuster demand from-log` from {files} ({model.form.description}).",
        f"# {counts.requests:,} requests: {counts.assets:,} for files, {counts.redirects:,} redirects,",
        f"# {counts.ignored:,} of scripts and monitoring, {counts.refused:,} refused. Programs sent",
        f"# {100 * model.program_ratio:.1f} % of all requests. The others are {behaviour.pages:,} page views",
        f"# in {len(behaviour.visits):,} visits (one visitor's pages without a gap of {_span(model.gap_s)}).",
    ]
    lines += [f"# {line}" for note in model.notes for line in wrap(one_line(note, 600), 110)]
    other = views_by_kind(model)[OTHER]
    if other:
        share = other / sum(views_by_kind(model).values())
        lines.append(f"# {100 * share:.1f} % of the page views are of unknown kind and count as home pages.")
    return lines


def _demand(model: DemandModel) -> list[str]:
    arrivals = model.arrivals
    window = arrivals.window
    index = max(arrivals.by_minute.index or arrivals.by_second.index or 1.0, 1.0)
    reach = Z * math.sqrt(index * window.visits)
    low, high = max(0.0, window.visits - reach), window.visits + reach
    start = datetime.fromtimestamp(window.start_ms / 1e3, UTC)
    end = datetime.fromtimestamp(window.end_ms / 1e3, UTC)
    lines = [
        "demand:",
        f"  # Visits that began from {start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC,",
        f"  # the busiest {_span(window.length_s)} of the log; 95 % interval {low:,.0f} to {high:,.0f}.",
    ]
    if window.censored_ms:
        lines.append(
            f"  # At least: for {_span(window.censored_ms / 1e3)} of it the log shows what was served, not "
            "what was offered."
        )
    if arrivals.peak_hour_share is not None:
        lines.append(
            f"  # The busiest hour of a day has {100 * arrivals.peak_hour_share:.1f} % of its visits."
        )
    if arrivals.peak_minute_share is not None:
        lines.append(
            f"  # The busiest minute has {100 * arrivals.peak_minute_share:.2f} % of the window's visits."
        )
    lines += [f"  customers: {window.visits}", f"  curve: {{cumulative: {_cumulative(model)}}}"]
    return lines + _burstiness(model)


def _cumulative(model: DemandModel) -> str:
    """Shares of the visits by time, one step per bin of the window."""
    counts = model.arrivals.window_counts
    length_s = model.arrivals.window.length_s
    shares = np.cumsum(counts) / counts.sum()
    edges = np.append(np.arange(1, counts.size) * _bin_s(model), length_s)
    points = [f"{edge:.3f}".rstrip("0").rstrip(".") for edge in edges.tolist()]
    return (
        "{" + ", ".join(f"{at}s: {100 * share:.2f}%" for at, share in zip(points, shares, strict=True)) + "}"
    )


def _bin_s(model: DemandModel) -> float:
    window, bins = model.arrivals.window, model.arrivals.window_counts.size
    return ((window.end_ms - window.start_ms + bins - 1) // bins) / 1e3


def _burstiness(model: DemandModel) -> list[str]:
    second, minute = model.arrivals.by_second, model.arrivals.by_minute
    if second.index is None or second.low is None:
        return []
    interval = f"95 % interval {second.low:.2f} to {second.high:.2f}"
    lines = [f"  # Index of dispersion of arrivals per second: {second.index:.2f}, {interval};"]
    if minute.index is not None and minute.low is not None:
        lines.append(
            f"  # per minute {minute.index:.2f} ({minute.low:.2f} to {minute.high:.2f}); in a plan, minutes "
            "have the index of seconds;"
        )
    if second.low <= 1.0:
        return [*lines, "  # not different from Poisson arrivals, so no burstiness is set."]
    return [*lines, f"  burstiness: {min(second.index, MAX_BURSTINESS):.2f}"]


def _journeys(model: DemandModel, groups: tuple[VisitGroup, ...]) -> list[str]:
    n = min(len(model.behaviour.visits), len(model.behaviour.visit_counts))
    lines = [
        f"# Groups of visits that move differently (mixture of Markov chains, lowest BIC, {n:,} visits).",
        "# Each row has the percentages of what follows a page.",
        "journeys:",
    ]
    for group in groups:
        lines += [f"  {group.name}:", f"    description: {json.dumps(group.description)}", "    chain:"]
        lines += [
            f"      {page}: {{{', '.join(f'{name}: {weight:g}' for name, weight in row.items())}}}"
            for page, row in group.chain.weights.items()
        ]
    assert all(ENTER in group.chain.weights for group in groups), "every chain begins"
    return lines


def _channel(model: DemandModel, groups: tuple[VisitGroup, ...]) -> list[str]:
    weights = ", ".join(f"{group.name}: {100 * group.share:.2f}" for group in groups)
    lines = [
        "channels:",
        "  web:",
        "    share: 100%",
        f"    journeys: {{{weights}}}  # shares of the groups in percent",
        *_think(model),
    ]
    return lines + _devices(model)


def _think(model: DemandModel) -> list[str]:
    if not model.fits:
        return ["    # Too few pauses in the log: the think time is doorbuster's default."]
    best, *others = model.fits
    measured = (
        "from the end of a response"
        if model.form.has_durations
        else "from page to page, the log has no response times"
    )
    distances = ", ".join(f"{fit.family} {fit.distance:.3f}" for fit in (best, *others))
    lines = [
        f"    # Pauses {measured}, n = {best.n:,}:",
        f"    # the {best.family} fits best; largest difference of the distribution functions: {distances}.",
    ]
    return [*lines, f"    think: {think_yaml(best)}"]


def think_yaml(fit: TimeFit) -> str:
    """The distribution as a scenario writes it; pauses end at the gap that ends a visit."""
    cut = f"{fit.cut_s:g}s"
    if fit.family == "exponential":
        return f"{{exponential: {{mean: {_seconds(fit.mean_s)}, max: {cut}}}}}"
    sigma = min(max(fit.sigma, 0.01), 5.0)
    return f"{{lognormal: {{median: {_seconds(fit.median_s)}, sigma: {sigma:.3g}, max: {cut}}}}}"


def fitted_mean_s(fit: TimeFit) -> float:
    """Mean pause that the scenario's distribution has."""
    if fit.family == "exponential":
        return fit.mean_s * -math.expm1(-fit.cut_s / fit.mean_s)
    return Lognormal(median_s=fit.median_s, sigma=fit.sigma, max_s=fit.cut_s).mean_think_s


def _devices(model: DemandModel) -> list[str]:
    if not model.form.has_agents:
        return []
    device = model.behaviour.visits.device
    counts = np.bincount(device, minlength=len(DEVICES))
    percents = np.round(100 * counts / counts.sum(), 1)
    percents[int(percents.argmax())] += round(100.0 - float(percents.sum()), 1)
    named = [(name, value) for name, value in zip(DEVICES, percents.tolist(), strict=True) if value > 0]
    if len(named) < 2:
        return []
    main = clopper_pearson(int(counts.max()), int(counts.sum()))
    text = ", ".join(f"{name}: {value:.1f}%" for name, value in named)
    note = f"by user agent; the largest {format(100 * main.low, '.1f')} to {100 * main.high:.1f} %"
    return [f"    devices: {{{text}}}  # {note}"]


def _drain_s(model: DemandModel) -> int:
    visits = model.behaviour.visits
    longest_s = float(np.quantile((visits.end_ms - visits.start_ms) / 1e3, 0.99))
    return int(min(max(math.ceil(longest_s), _MIN_DRAIN_S), _MAX_DRAIN_S))


def _seconds(value: float) -> str:
    return f"{max(value, 0.001):.4g}s"


def _span(seconds: float) -> str:
    if seconds >= 3600 and seconds % 3600 == 0:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:.4g} s"
