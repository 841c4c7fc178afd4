"""The capacity searches of a season, in time order, and the trend of the headroom over releases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from doorbuster.capacity.headroom import PositiveEstimate
from doorbuster.capacity.result_file import SEARCH_FILE, SearchResult, find_search
from doorbuster.errors import RecordError
from doorbuster.history.entry import CAPACITY
from doorbuster.history.headroom_trend import headroom_trend
from doorbuster.history.identity import target_name
from doorbuster.history.store import History, HistoryRun, MetricValues, StoredMetric
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.schema import FILE_NAME

_NS = 10**9


@dataclass(frozen=True, slots=True)
class CapacityEvidence:
    """One search: when it ran, of which commit, what it found, and where it lies.

    target: what was searched; "" if that is not known.
    `found` is None for a search of the history, of which only the capacity is kept.
    """

    run_id: str
    started_at_unix_ns: int
    commit: str
    folder: str
    capacity: PositiveEstimate
    found: SearchResult | None = None
    target: str = ""

    @property
    def day(self) -> date:
        """The day on which it ran, UTC."""
        return datetime.fromtimestamp(self.started_at_unix_ns / _NS, UTC).date()


def read_searches(folders: Iterable[Path]) -> tuple[list[CapacityEvidence], list[str]]:
    """The searches with a result in the folders, at any depth, oldest first, and what could not be used."""
    found, unusable = [], []
    for file in sorted({file for folder in folders for file in folder.rglob(SEARCH_FILE)}):
        try:
            evidence = _search(file)
        except RecordError as error:
            unusable.append(str(error))
            continue
        if evidence is None:
            unusable.append(f"{file.parent}: {_no_capacity(file)}")
        else:
            found.append(evidence)
    return sorted(found, key=lambda one: one.started_at_unix_ns), unusable


def _no_capacity(file: Path) -> str:
    """Why a search has no result."""
    result = find_search(file.parent / FILE_NAME)
    said = "" if result is None else result.sentence.strip().rstrip(".")
    return f"{said[:1].lower()}{said[1:]}" if said else "the search found no capacity"


def _search(file: Path) -> CapacityEvidence | None:
    run_file = file.parent / FILE_NAME
    result = find_search(run_file)
    if result is None or result.rate_per_s is None or result.rate_per_s <= 0:
        return None
    started, commit, run_id, target = int(file.stat().st_mtime * _NS), "", str(file.parent), ""
    with suppress(RecordError):  # the result is whole without its runs
        with Run.open(run_file) as run:
            meta = run.meta
        started, commit, run_id = meta.started_at_unix_ns, meta.git_commit, meta.run_id
        target = _target(meta)
    capacity = PositiveEstimate(result.rate_per_s, result.low, result.high, result.at_least)
    return CapacityEvidence(run_id, started, commit, str(file.parent), capacity, result, target)


def _target(meta: RunMeta) -> str:
    """What was searched; "" for a shop that the search started at a port of its own."""
    is_local = urlsplit(meta.target_url).hostname in ("127.0.0.1", "localhost", "::1")
    return "" if is_local and not meta.shop_profile else target_name(meta)


def searches_of_history(path: Path) -> list[CapacityEvidence]:
    """The capacities that a history keeps.

    Raises: RecordError when it cannot be read.
    """
    found = []
    with History.open(path) as history:
        for key in history.timelines():
            runs = history.runs(key)
            for values in history.values(key, metrics=[CAPACITY]):
                for at, value, low, high in zip(
                    values.at, values.value, values.low, values.high, strict=True
                ):
                    run = runs[at]
                    capacity = PositiveEstimate(float(value), _known(low), _known(high))
                    run_id = run.run_id.removesuffix(" capacity")
                    found.append(
                        CapacityEvidence(
                            run_id,
                            run.started_at_unix_ns,
                            run.git_commit,
                            run.folder,
                            capacity,
                            None,
                            key.target,
                        )
                    )
    return found


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def merged(searches: Sequence[CapacityEvidence], more: Sequence[CapacityEvidence]) -> list[CapacityEvidence]:
    """All searches, oldest first; one that is in both counts once."""
    known = {one.run_id for one in searches}
    both = [*searches, *(one for one in more if one.run_id not in known)]
    return sorted(both, key=lambda one: one.started_at_unix_ns)


def trend_sentence(searches: Sequence[CapacityEvidence], demand_per_s: float, peak: date) -> str:
    """What the trend of the headroom means for the day of the peak."""
    n = len(searches)
    values = np.array([one.capacity.value / demand_per_s for one in searches], np.float64)
    unknown = np.full(n, np.nan)
    metric = MetricValues(
        StoredMetric("headroom", "value", "higher", True), np.arange(n), values, unknown, unknown
    )
    runs = [HistoryRun(one.run_id, one.started_at_unix_ns, one.commit, "") for one in searches]
    return headroom_trend(metric, runs, peak)
