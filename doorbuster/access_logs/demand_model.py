"""The demand in a log: arrivals, visits, pages and think times, with the uncertainty of each figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doorbuster.access_logs.arrivals import Arrivals, describe_arrivals
from doorbuster.access_logs.log_map import IGNORE, OTHER
from doorbuster.access_logs.log_requests import LogFormat
from doorbuster.access_logs.page_events import PieceCounts
from doorbuster.access_logs.page_kinds import ROBOTS
from doorbuster.access_logs.page_table import PageTable
from doorbuster.access_logs.reading import LogOptions, ReadLog, read_logs
from doorbuster.access_logs.sessions import Behaviour, find_visits
from doorbuster.errors import UsageError
from doorbuster.stats.markov_mixture import MarkovMixture, choose_mixture
from doorbuster.stats.time_fits import TimeFit, fit_times

MAX_GROUPS = 4
SMALLEST_GROUP, FEWEST_IN_GROUP = 0.03, 50
OTHER_STEP = "home"  # pages of unknown kind count as this step


@dataclass(frozen=True, slots=True)
class DemandModel:
    """The demand found in a log. `fits`: of think times, the best first; empty if there are too few."""

    form: LogFormat
    files: tuple[str, ...]
    table: PageTable
    counts: PieceCounts
    behaviour: Behaviour
    arrivals: Arrivals
    mixture: MarkovMixture
    fits: Sequence[TimeFit]
    gap_s: float
    notes: tuple[str, ...]

    @property
    def pages_per_visit(self) -> float:
        return float(self.behaviour.visits.pages.mean())

    @property
    def program_ratio(self) -> float:
        """Share of all requests that programs sent, recognised by user agent or by behaviour."""
        return (self.counts.program_requests + self.behaviour.program_pages) / self.counts.requests


def step_of(kind: str) -> str:
    """The scenario's step for a kind of page; empty for what is not a page."""
    if kind in (IGNORE, ROBOTS):
        return ""
    return OTHER_STEP if kind == OTHER else kind


def model_demand(
    files: Sequence[Path],
    options: LogOptions,
    *,
    gap_s: float,
    window_s: float,
    on_progress: Callable[[int], object] = lambda _: None,
) -> DemandModel:
    """The demand in these logs.

    Args: gap_s: pause that ends a visit. window_s: length of the busiest window.
    Raises: UsageError for logs that cannot be used.
    """
    log = read_logs(files, options, on_progress)
    return _model(log, files, gap_s=gap_s, window_s=window_s)


def _model(log: ReadLog, files: Sequence[Path], *, gap_s: float, window_s: float) -> DemandModel:
    steps = [step_of(page.kind.kind) for page in log.table.pages]
    behaviour = find_visits(log.store, log.overlaps, log.table, steps, gap_s=gap_s)
    if not len(behaviour.visits):
        raise UsageError(
            f"{', '.join(map(str, files))}: no visit by a person found: of {log.counts.requests:,} requests, "
            f"{log.counts.program_requests:,} are by programs, {log.counts.assets:,} for static files and "
            f"{log.counts.refused:,} were refused"
        )
    arrivals = describe_arrivals(
        behaviour.visits, log.counts.minutes, log.first_s, log.last_s, window_s=window_s
    )
    mixture = choose_mixture(
        behaviour.visit_counts,
        len(behaviour.kinds) + 1,
        most=MAX_GROUPS,
        smallest_share=max(SMALLEST_GROUP, FEWEST_IN_GROUP / len(behaviour.visits)),
    )
    fits = fit_times(behaviour.think_s, resolution_s=log.form.resolution_s, cut_s=gap_s)
    names = tuple(path.name for path in files)
    return DemandModel(
        log.form, names, log.table, log.counts, behaviour, arrivals, mixture, fits, gap_s, log.notes
    )


def views_by_kind(model: DemandModel) -> Counter[str]:
    """Page views of people, by kind of page as found."""
    views: Counter[str] = Counter()
    for number, count in model.behaviour.views.items():
        views[model.table.pages[number].kind.kind] += count
    return views


def length_shares(model: DemandModel, most: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Share of visits with 1, 2, ... `most` pages that the groups of visits would make."""
    found = np.zeros(most)
    for share, chain in zip(model.mixture.shares, model.mixture.chains, strict=True):
        at = chain[0, :-1]
        for pages in range(most):
            leaving = chain[1:, -1]
            found[pages] += share * float(at @ leaving)
            at = at @ chain[1:, :-1]
    return found
