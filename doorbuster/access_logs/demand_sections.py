"""What was found in a log, as sections with pictures and tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from doorbuster.access_logs.demand_model import DemandModel, length_shares, step_of, views_by_kind
from doorbuster.access_logs.log_map import OTHER
from doorbuster.access_logs.visit_groups import visit_groups
from doorbuster.access_logs.visitors import has_crawler_list
from doorbuster.report.section import (
    Annotation,
    Chart,
    Column,
    Metric,
    Section,
    Series,
    Table,
    bucket_s,
    present,
)
from doorbuster.stats.dispersion import DispersionEstimate
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.units import format_duration, format_number

_MOST_POINTS = 240
_MOST_ROWS = 40
_MOST_LENGTHS = 25
_GOOD_FIT = 0.05


def demand_sections(model: DemandModel) -> list[Section]:
    """The sections of the page, in order."""
    return [_arrivals(model), _pages(model), _visits(model), _think(model), _programs(model)]


def _clock(at_ms: float) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1e3, UTC):%Y-%m-%d %H:%M}"


def _arrivals(model: DemandModel) -> Section:
    arrivals = model.arrivals
    window = arrivals.window
    width_s = bucket_s((arrivals.last_ms - arrivals.first_ms) / 1e3, most=_MOST_POINTS)
    width_s = max(width_s, math.ceil((arrivals.last_ms - arrivals.first_ms) / 1e3 / _MOST_POINTS))
    first_ms = arrivals.first_ms // (width_s * 1000) * width_s * 1000
    number = (model.behaviour.visits.start_ms - first_ms) // (width_s * 1000)
    points = np.bincount(number, minlength=(arrivals.last_ms - first_ms) // (width_s * 1000)) * 60 / width_s
    starts_s = tuple(float(place * width_s) for place in range(points.size))
    window_s = (window.start_ms - first_ms) / 1e3
    moments = [Annotation(window_s, "busiest window")] if points.size > 1 else []
    moments += [
        Annotation((one.start_ms - first_ms) / 1e3, "served, not offered") for one in arrivals.censored[:6]
    ]
    chart = Chart(
        "lines",
        f"Visits begin most often from {_clock(window.start_ms)} UTC",
        "time since the start of the log",
        "visits per minute",
        starts_s,
        (Series("visits", tuple(map(float, points)), "strong"),),
        moments=tuple(moments),
        note=f"Each point is the mean of {format_duration(width_s)}.",
    )
    little = arrivals.littles_law
    agree = "agree" if little.agrees else "differ: the window is not steady"
    rows = (
        ("busiest window, UTC", f"{_clock(window.start_ms)}, {format_duration(window.length_s)}"),
        ("visits that begin in it", Metric(window.visits, "count", n=window.visits)),
        ("visits per second", window.rate_per_s),
        ("share of a day in its busiest hour", _percent(arrivals.peak_hour_share)),
        ("share of the window in its busiest minute", _percent(arrivals.peak_minute_share)),
        ("index of dispersion per second", _index(arrivals.by_second)),
        ("index of dispersion per minute", _index(arrivals.by_minute)),
        ("visits in the shop at once, counted", little.in_system),
        ("the same by Little's law (rate x duration)", f"{format_number(little.expected)}: they {agree}"),
        ("most visits in the shop at once", arrivals.most_at_once),
    )
    censored = tuple(
        (_clock(one.start_ms), format_duration((one.end_ms - one.start_ms) / 1e3), one.reason)
        for one in arrivals.censored[:_MOST_ROWS]
    )
    columns = (Column("from, UTC"), Column("for"), Column("why"))
    note = "There the log shows what was served, not what was offered; demand was at least as high."
    hidden = (
        " The demand was at least that, because part of the window is censored." if window.censored_ms else ""
    )
    return Section(
        "arrivals",
        "How many visits begin, and when?",
        f"{window.visits:,} visits began in the busiest {format_duration(window.length_s)} from "
        f"{_clock(window.start_ms)} UTC, {window.rate_per_s:.3g} per second.{hidden}",
        findings=model.notes,
        figures=(chart,) if points.size > 1 else (),
        tables=(
            Table("Arrivals", (Column("figure"), Column("value")), rows),
            *((Table("Censored stretches", columns, censored, note),) if censored else ()),
        ),
    )


def _percent(share: float | None) -> Metric | str:
    return "the log is too short" if share is None else Metric(share, "ratio")


def _index(found: DispersionEstimate) -> Metric | str:
    if found.index is None:
        return "too few windows"
    return Metric(found.index, "", found.low, found.high, found.windows)


def _pages(model: DemandModel) -> Section:
    views = views_by_kind(model)
    total = sum(views.values())
    kinds = [kind for kind, _ in views.most_common() if step_of(kind)]
    chart = Chart(
        "bars",
        f"{kinds[0]} pages are viewed most" if kinds else "No page views",
        "kind of page",
        "share of page views",
        tuple(kinds),
        (Series("page views", tuple(views[kind] / total for kind in kinds), "strong"),),
        x_unit="",
        y_unit="ratio",
    )
    listed = Counter(model.behaviour.views).most_common(_MOST_ROWS)
    pages = model.table.pages
    rows = tuple(
        (
            pages[n].address,
            pages[n].kind.kind,
            Metric(count / total, "ratio", n=count),
            pages[n].kind.evidence,
        )
        for n, count in listed
    )
    columns = (Column("address"), Column("kind"), Column("share of page views"), Column("evidence"))
    unknown = views[OTHER] / total if total else 0.0
    named = "1 kind" if len(kinds) == 1 else f"{len(kinds)} kinds"
    return Section(
        "pages",
        "Which pages are there?",
        f"{named} of pages; {100 * unknown:.1f} % of the page views are of unknown kind and "
        "count as home pages.",
        figures=(chart,) if kinds else (),
        tables=(
            Table("Addresses", columns, rows, "Correct the kinds in pages.yaml and pass it with --map."),
        ),
    )


def _visits(model: DemandModel) -> Section:
    behaviour = model.behaviour
    visits, n = behaviour.visits, len(behaviour.visits)
    ordered = clopper_pearson(int(visits.ordered.sum()), n)
    lengths = np.bincount(np.minimum(visits.pages, _MOST_LENGTHS))[1:] / n
    lengths = np.pad(lengths, (0, _MOST_LENGTHS - lengths.size))
    implied = length_shares(model, _MOST_LENGTHS - 1)
    implied = np.append(implied, max(0.0, 1.0 - implied.sum()))
    distance = float(np.abs(np.cumsum(lengths) - np.cumsum(implied)).max())
    length_chart = Chart(
        "lines",
        _fit_title(
            "The groups reproduce the length of visits", "The groups miss the length of visits", distance
        ),
        f"pages of a visit ({_MOST_LENGTHS} or more counted as {_MOST_LENGTHS})",
        "share of visits",
        tuple(float(pages) for pages in range(1, _MOST_LENGTHS + 1)),
        (
            Series("in the log", tuple(map(float, lengths)), "strong"),
            Series("by the groups", tuple(map(float, implied)), "planned", dashed=True),
        ),
        x_unit="",
        y_unit="ratio",
        note="Largest difference of the cumulative shares (Kolmogorov and Smirnov).",
    )
    groups = visit_groups(model)
    group_rows = tuple((group.name, Metric(group.share, "ratio", n=round(group.visits)), group.description)
                       for group in groups)  # fmt: skip
    at_gap = tuple(
        (f"{minutes} min", count, count / n - 1) for minutes, count in behaviour.visits_at_gap.items()
    )
    return Section(
        "visits",
        "What do people do in a visit?",
        f"{n:,} visits of {model.pages_per_visit:.2f} pages; {100 * (ordered.ratio or 0):.2f} % place an "
        f"order (95 % interval {100 * ordered.low:.2f} to {100 * ordered.high:.2f} %).",
        figures=(length_chart,),
        tables=present(
            Table("Groups of visits", (Column("group"), Column("share of visits"), Column("behaviour")),
                  group_rows, "Each group follows a Markov chain; their number has the lowest BIC."),
            _transitions(model),
            Table(
                "Visits by the gap that ends them",
                (Column("gap"), Column("visits", "count"), Column("difference", "ratio")),
                at_gap,
                f"This page and the scenario use {format_duration(model.gap_s)}.",
            ),
        ),
    )  # fmt: skip


def _fit_title(good: str, poor: str, distance: float) -> str:
    """How well a distribution fits, by the largest difference of the distribution functions."""
    points = f"{100 * distance:.1f} percentage points"
    return f"{good}, within {points}" if distance <= _GOOD_FIT else f"{poor} by up to {points}"


def _transitions(model: DemandModel) -> Table:
    """Percentages of what follows each page, with the number of cases."""
    behaviour = model.behaviour
    columns = (
        Column("after"),
        *(Column(kind, "ratio") for kind in (*behaviour.kinds, "leave")),
        Column("n", "count"),
    )
    rows = []
    for name, row in zip(("(entry)", *behaviour.kinds), behaviour.transitions.tolist(), strict=True):
        total = sum(row)
        cells = [count / total if count else None for count in row] if total else [None] * len(row)
        rows.append((name, *cells, total))
    return Table("What follows a page", columns, tuple(rows), "All visits together.")


def _think(model: DemandModel) -> Section:
    if not model.fits:
        return Section("think", "How long do people pause?", "The log has too few pauses to describe them.")
    times = np.sort(model.behaviour.think_s)
    times = times[times <= model.gap_s]
    at = np.quantile(times, np.linspace(0.01, 0.99, 99))
    at = np.unique(at)
    observed = np.searchsorted(times, at, "right") / times.size
    best = model.fits[0]
    chart = Chart(
        "lines",
        _fit_title(
            f"Pauses are {best.family}",
            f"No distribution fits the pauses; the {best.family} misses them",
            best.distance,
        ),
        "pause between pages",
        "cumulative share of pauses",
        tuple(map(float, at)),
        (
            Series("in the log", tuple(map(float, observed)), "strong"),
            *(
                Series(
                    fit.family,
                    tuple(map(float, fit.share_below(at))),
                    "planned" if fit is best else "quiet",
                    dashed=fit is not best,
                )
                for fit in model.fits
            ),
        ),
        x_unit="s",
        y_unit="ratio",
        note=f"Times are known to {format_duration(model.form.resolution_s)}.",
    )
    fit_rows = tuple(
        (fit.family, fit.median_s, fit.sigma or None, fit.distance, fit.aic - best.aic) for fit in model.fits
    )
    kind_rows = tuple(
        (kind, float(np.median(values)), float(values.mean()), values.size)
        for kind, values in model.behaviour.think_by_kind.items()
        if values.size >= 5
    )
    since = "the end of a response" if model.form.has_durations else "a request"
    return Section(
        "think",
        "How long do people pause?",
        f"Half of the pauses are shorter than {format_duration(float(np.median(times)))}, from {since} to "
        f"the next page (n = {times.size:,}).",
        figures=(chart,),
        tables=(
            Table("Fitted distributions",
                  (Column("distribution"), Column("median", "s"), Column("sigma"),
                   Column("largest difference"), Column("AIC above the best")), fit_rows,
                  "Maximum likelihood with rounded times and the cut at the gap that ends a visit."),
            Table("Pause after each page",
                  (Column("after"), Column("median", "s"), Column("mean", "s"), Column("n", "count")),
                  kind_rows),
        ),
    )  # fmt: skip


def _programs(model: DemandModel) -> Section:
    counts, behaviour = model.counts, model.behaviour
    rows = (
        ("requests", counts.requests, None),
        ("by programs, recognised by user agent", counts.program_requests,
         counts.program_requests / counts.requests),
        ("page views of visits that behave like programs", behaviour.program_pages,
         behaviour.program_pages / counts.requests),
        ("static files", counts.assets, counts.assets / counts.requests),
        ("by scripts, trackers and monitoring", counts.ignored, counts.ignored / counts.requests),
        ("redirects", counts.redirects, counts.redirects / counts.requests),
        ("refused (400 to 416)", counts.refused, counts.refused / counts.requests),
        ("page views of people", behaviour.pages, behaviour.pages / counts.requests),
        ("lines that could not be read", counts.unreadable, None),
    )  # fmt: skip
    known = "by general words in their user agents (no list of crawlers is installed)"
    if has_crawler_list():
        known = "by a list of crawlers and by general words in their user agents"
    if not model.form.has_agents:
        known = "only by their behaviour, because the log has no user agents"
    return Section(
        "programs",
        "What was left out?",
        f"Programs sent {100 * model.program_ratio:.1f} % of the requests. They are recognised {known}.",
        tables=(Table("Requests", (Column("kind"), Column("requests", "count"), Column("share", "ratio")),
                      rows, "A request may be in several rows: programs also fetch files."),),
    )  # fmt: skip


def method_notes(model: DemandModel) -> Sequence[str]:
    """Method and limits, for the foot of the page."""
    stamp = "the start" if model.form.stamp == "start" else "the end"
    cookies = ", user agent and cookie" if model.form.has_cookies else " and user agent"
    who = f"one address{cookies}" if model.form.has_agents else "one address"
    times = (
        "." if model.form.has_durations or model.form.stamp == "start" else ", but it has no response times."
    )
    gap = format_duration(model.gap_s)
    return (
        f"A visit is all pages of {who} without a gap of {gap}.",
        "People behind one address count as one visitor if the log has no cookie.",
        f"The log stamps {stamp} of a request; arrivals are counted at its start{times}",
        "Visits that the log's beginning or end cuts are counted as they are.",
        "Visitors are kept as hashes whose key is forgotten: no address, cookie or query is written.",
        "Parts of addresses that fewer than three visitors used are shown as {id}.",
    )
