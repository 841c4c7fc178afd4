"""Finds the baseline that --baseline names, and judges relative thresholds with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.progress import each
from doorbuster.cli.section_scripts import analyse_sections
from doorbuster.cli.stores import BASELINES, HISTORY_FILE
from doorbuster.errors import UsageError

if TYPE_CHECKING:
    from doorbuster.compare.baseline_values import BaselineValues
    from doorbuster.gate import ThresholdResult
    from doorbuster.scenario import Threshold

HISTORY = "history:"

baseline_option = click.option(
    "--baseline",
    default=None,
    metavar="NAME|DIR",
    help="Runs with which relative thresholds compare: a baseline, a folder of runs, or history:BRANCH.",
)


def baseline_values(name: str, candidates: Sequence[Path], thresholds: Sequence[Threshold]) -> BaselineValues:
    """The values of a baseline for the relative thresholds of the candidate's scenario.

    Raises: UsageError when no baseline has this name.
    """
    from doorbuster.cli.channel_changes import channel_thresholds
    from doorbuster.compare.baseline_values import baseline_of_runs, relative_thresholds

    wanted = relative_thresholds(thresholds)
    _check_used(name, wanted)
    if name.startswith(HISTORY):
        return _from_history(name, candidates, wanted)
    paths = find_named_runs(name)
    taken = {path.resolve() for path in candidates}
    paths = tuple(path for path in paths if path.resolve() not in taken)
    if not paths:
        raise UsageError(f"--baseline {name}: holds only the run itself; name other runs")
    return baseline_of_runs(
        name, paths, candidates, (*wanted, *channel_thresholds(candidates)), analyse_sections
    )


def baseline_runs(name: str) -> tuple[Path, ...]:
    """The run files of a baseline; none of one in a history, which keeps values only."""
    return () if name.startswith(HISTORY) else find_named_runs(name)


def check_baseline(name: str, thresholds: Sequence[Threshold]) -> None:
    """Raises: UsageError before a run when its baseline does not exist, or no threshold refers to it."""
    from doorbuster.compare.baseline_values import relative_thresholds
    from doorbuster.history.store import History

    _check_used(name, relative_thresholds(thresholds))
    if name.startswith(HISTORY):
        with History.open(HISTORY_FILE):
            return
    find_named_runs(name)


def _check_used(name: str, thresholds: Sequence[Threshold]) -> None:
    if not thresholds:
        raise UsageError(
            f"--baseline {name}: the scenario has no threshold that refers to a baseline; add one, such as "
            'http_req_duration: ["p(95)<baseline*1.1"]'
        )


def find_named_runs(name: str) -> tuple[Path, ...]:
    """The run files of an accepted baseline, or those in a folder.

    Raises: UsageError when there is neither.
    """
    from doorbuster.compare.baseline_store import accepted_runs, baseline_names
    from doorbuster.compare.load import find_runs

    if Path(name).exists():
        return find_runs([Path(name)])
    if "/" not in name:
        found = accepted_runs(BASELINES, name)
        if found:
            return tuple(run.folder / "run.sqlite" for run in found)
    known = ", ".join(baseline_names(BASELINES)) or "none yet"
    raise UsageError(
        f"there is no baseline and no folder {name!r}; baselines: {known}. "
        f"Accept a good run: doorbuster baseline accept RUN --name {name}"
    )


def _from_history(name: str, candidates: Sequence[Path], thresholds: Sequence[Threshold]) -> BaselineValues:
    from doorbuster.history.baseline import baseline_of_history
    from doorbuster.history.store import History
    from doorbuster.records.reader import Run

    with Run.open(candidates[-1]) as run:
        meta = run.meta
    with History.open(HISTORY_FILE) as history:
        return baseline_of_history(history, name.removeprefix(HISTORY), meta, thresholds)


def judge_relative(
    candidates: Sequence[Path], thresholds: Sequence[Threshold], baseline: BaselineValues | None
) -> Callable[[Threshold], ThresholdResult]:
    """A function from a relative threshold to its result on all runs of the candidate."""
    from doorbuster.compare.baseline_values import relative_thresholds, run_threshold_metrics
    from doorbuster.compare.relative_threshold import decide_relative
    from doorbuster.compare.run_metric import RunMetric, threshold_key
    from doorbuster.records.reader import Run

    metrics: dict[str, list[RunMetric]] = {}
    for path in each("reading the candidate's runs", candidates if baseline is not None else ()):
        with Run.open(path) as run:
            for found in run_threshold_metrics(run, relative_thresholds(thresholds), analyse_sections):
                metrics.setdefault(found.key, []).append(found)
    return lambda threshold: decide_relative(threshold, metrics.get(threshold_key(threshold), []), baseline)
