"""What the history keeps of one recorded run: its key, its identity and its metrics.

A capacity search counts by its result. Its load steps run at rates that the search chose, so their times are
not comparable from one search to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from doorbuster.capacity.result_file import (
    SCALING_FILE,
    SEARCH_FILE,
    SearchResult,
    find_search,
    is_whole_search,
)
from doorbuster.compare.run_metric import threshold_key
from doorbuster.compare.series import run_metrics
from doorbuster.errors import RecordError
from doorbuster.gate import HasMetrics, judge, validity_issues, verdict
from doorbuster.history.identity import TimelineKey, timeline_key
from doorbuster.history.store import HistoryRun, Sample, StoredMetric
from doorbuster.records.reader import Run
from doorbuster.scenario import Threshold

CAPACITY, HEADROOM = "capacity", "headroom"
_HEADLINES = ("can_browse rate", "can_order rate", "http_req_duration p(95)", "http_req_failed rate")


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A run as it is added to a history."""

    key: TimelineKey
    run: HistoryRun
    samples: dict[StoredMetric, Sample]


@dataclass(frozen=True, slots=True)
class EntryLabels:
    """What the run file does not contain. "" for commit and target: as recorded."""

    branch: str
    commit: str = ""
    target: str = ""


def history_entry(
    run: Run, thresholds: Sequence[Threshold], labels: EntryLabels, sections: Sequence[HasMetrics] = ()
) -> HistoryEntry:
    """The entry of a recorded run.

    Args: thresholds: of its scenario; sections: of its report, for thresholds on their metrics.
    Raises: RecordError if the run has not ended.
    """
    meta = run.meta
    if meta.status == "running":
        raise RecordError(f"{run.path.parent}: the run has not ended yet; add it when it has")
    search = find_search(run.path) if is_whole_search(run.path) else None
    found = verdict(run, judge(run, sections, thresholds))
    unusable = "" if meta.status == "finished" else f"the run was {meta.status}"
    if not unusable and search is None:
        unusable = "; ".join(issue.sentence for issue in validity_issues(run))
    return HistoryEntry(
        timeline_key(meta, branch=labels.branch, target=labels.target, capacity=search is not None),
        HistoryRun(
            f"{meta.run_id} capacity" if search else meta.run_id,
            meta.started_at_unix_ns,
            labels.commit or meta.git_commit,
            "" if search else found.status,
            unusable,
            str(run.path.parent),
        ),
        _search_samples(search) if search else _samples(run, thresholds, sections),
    )


def run_files(paths: Iterable[Path]) -> list[Path]:
    """The runs in folders, at any depth: of a search or sweep, the whole, not its load steps.

    Raises: RecordError for a path without any run.
    """
    found: list[Path] = []
    for path in paths:
        if path.name == "run.sqlite" or (path / "run.sqlite").is_file():
            found.append(path)
            continue
        inside = sorted(file.parent for file in path.rglob("run.sqlite"))
        parts = [folder for folder in inside if not _is_load_step(folder)]
        if not parts:
            raise RecordError(f"{path}: holds no run; name a folder that `doorbuster run` wrote")
        found += parts
    return found


def _is_load_step(folder: Path) -> bool:
    return any((folder.parent / name).is_file() for name in (SEARCH_FILE, SCALING_FILE))


def _samples(
    run: Run, thresholds: Sequence[Threshold], sections: Sequence[HasMetrics]
) -> dict[StoredMetric, Sample]:
    headlines = {*_HEADLINES, *(threshold_key(threshold) for threshold in thresholds)}
    return {
        StoredMetric(key, found.unit, found.better, key in headlines): Sample(
            found.value, found.low, found.high, found.n
        )
        for key, found in run_metrics(run, thresholds=thresholds, sections=sections).items()
        if found.value is not None
    }


def _search_samples(found: SearchResult) -> dict[StoredMetric, Sample]:
    """Capacity in customers per second, and headroom over the peak demand."""
    if found.rate_per_s is None:
        return {}
    steps = len(found.load_steps)
    samples = {
        StoredMetric(CAPACITY, "per_s", "higher", True): Sample(
            found.rate_per_s, found.low, found.high, steps
        )
    }
    over = found.headroom
    if over is not None:
        samples[StoredMetric(HEADROOM, "value", "higher", True)] = Sample(
            over.ratio, over.low, over.high, steps
        )
    return samples
