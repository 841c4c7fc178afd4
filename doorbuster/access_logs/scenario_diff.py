"""A log and a scenario side by side: the figures of the log with intervals, and whether the scenario agrees.

Agreement is judged as in the workload check of a run: a figure differs if the scenario's value lies outside
the 99.9 % interval of the log, and is open if it lies outside the 95 % interval or the interval is too wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.access_logs.demand_model import DemandModel
from doorbuster.access_logs.scenario_demand import ScenarioDemand
from doorbuster.report.section import Column, Metric, Section, Table, Unit
from doorbuster.scenario import ENTER, LEAVE
from doorbuster.stats.goodness_of_fit import (
    Comparison,
    compare_median,
    compare_normal,
    compare_share,
    compare_total,
    overall,
)

_SHOWN_SHARE = 0.05
_MIN_CASES = 30
_WORDS = {"match": "agrees", "mismatch": "differs", "inconclusive": "undecided"}
_COUNTED = {"match": "agree", "mismatch": "differ", "inconclusive": "undecided"}


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One figure of the log against the scenario."""

    name: str
    unit: Unit
    found: Comparison


def compare_demand(model: DemandModel, demand: ScenarioDemand) -> list[ComparedFigure]:
    """All figures that both have. The model's busiest window should be as long as the scenario."""
    visits = model.behaviour.visits
    n = len(visits)
    return [
        *_arrivals(model, demand),
        ComparedFigure("pages per visit", "", _mean(visits.pages, demand.pages_per_visit)),
        ComparedFigure("orders per visit", "", _mean(visits.orders, demand.orders_per_visit)),
        *_page_shares(model, demand),
        *_think(model, demand),
        *(_transitions(model, demand) if n >= _MIN_CASES else ()),
    ]


def diff_section(figures: list[ComparedFigure], *, log: str, scenario: str) -> Section:
    """The comparison as a section for the terminal or a page."""
    verdict = overall([figure.found.verdict for figure in figures])
    counts = {word: sum(one.found.verdict == answer for one in figures) for answer, word in _COUNTED.items()}
    answer = {"match": "No figure differs", "mismatch": "The scenario differs from the log",
              "inconclusive": "The log is too short"}[verdict]  # fmt: skip
    rows = tuple(
        (
            figure.name,
            Metric(figure.found.observed, figure.unit, figure.found.low, figure.found.high, figure.found.n),
            Metric(figure.found.expected, figure.unit),
            _WORDS[figure.found.verdict],
        )
        for figure in figures
    )
    columns = (Column("figure"), Column("log"), Column("scenario"), Column("answer"))
    parts = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return Section(
        "demand_diff",
        "Does the scenario describe the demand of the log?",
        f"{answer}: of {len(figures)} figures, {parts}.",
        tables=(
            Table(
                f"Log {log}, scenario {scenario}",
                columns,
                rows,
                "95 % intervals; a figure differs if the scenario's value lies outside the 99.9 % interval.",
            ),
        ),
    )


def _arrivals(model: DemandModel, demand: ScenarioDemand) -> Iterator[ComparedFigure]:
    window = model.arrivals.window
    # A log may be a little shorter than the scenario; a much shorter one shows only a part of its arrivals.
    covered = min(1.0, window.length_s / demand.duration_s)
    if covered > 0.9:
        index = max(
            model.arrivals.by_minute.index or model.arrivals.by_second.index or 1.0, demand.burstiness, 1.0
        )
        found = compare_total(window.visits, demand.customers, index)
        yield ComparedFigure(f"visits in the busiest {window.length_s:,.0f} s", "", found)
    second = model.arrivals.by_second
    if second.index is not None and second.high is not None:
        error = (second.high - second.index) / 1.96
        found = compare_normal(demand.burstiness, second.index, error, second.windows)
        yield ComparedFigure("index of dispersion per second", "", found)


def _mean(values: NDArray[np.int64], specified: float) -> Comparison:
    n = values.size
    error = float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    return compare_normal(specified, float(values.mean()), error, n)


def _page_shares(model: DemandModel, demand: ScenarioDemand) -> Iterator[ComparedFigure]:
    """Share of each page among all page views; visits are the independent units (ratio estimator)."""
    kinds = model.behaviour.kinds
    size = len(kinds) + 1
    per_visit = model.behaviour.visit_counts.reshape(-1, size, size)[:, :, :-1].sum(axis=1)
    totals = per_visit.sum(axis=1)
    n, views = len(totals), float(totals.sum())
    for page in dict.fromkeys((*kinds, *demand.pages)):
        specified = demand.pages.get(page, 0.0) / demand.pages_per_visit
        own = per_visit[:, kinds.index(page)] if page in kinds else np.zeros(n)
        share = float(own.sum()) / views
        error = math.sqrt(n / (n - 1) * float(((own - share * totals) ** 2).sum())) / views if n > 1 else 0.0
        if not own.any():
            found = compare_share(0, n, specified) if specified else None
        else:
            found = compare_normal(specified, share, error, n)
        if found is not None:
            yield ComparedFigure(f"share of {page} pages", "ratio", found)


def _think(model: DemandModel, demand: ScenarioDemand) -> Iterator[ComparedFigure]:
    times = model.behaviour.think_s
    if not times.size:
        return
    yield ComparedFigure("median pause", "s", compare_median(times, demand.think_median_s))
    error = float(times.std(ddof=1)) / math.sqrt(times.size) if times.size > 1 else 0.0
    yield ComparedFigure(
        "mean pause", "s", compare_normal(demand.think.mean_think_s, float(times.mean()), error, times.size)
    )


def _transitions(model: DemandModel, demand: ScenarioDemand) -> Iterator[ComparedFigure]:
    """What follows each page, where it is 5 % or more of the cases on one side."""
    columns = (*model.behaviour.kinds, LEAVE)
    for name, row in zip((ENTER, *model.behaviour.kinds), model.behaviour.transitions.tolist(), strict=True):
        n = sum(row)
        specified = demand.transitions.get(name)
        if n < _MIN_CASES or specified is None:
            continue
        for column, count in zip(columns, row, strict=True):
            chance = specified.get(column, 0.0)
            if max(chance, count / n) < _SHOWN_SHARE or (name, column) == (ENTER, LEAVE):
                continue
            label = f"first page {column}" if name == ENTER else f"after {name}: {column}"
            yield ComparedFigure(label, "ratio", compare_share(count, n, chance))
