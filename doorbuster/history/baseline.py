"""The newest runs of a branch in the history, as a baseline for relative thresholds."""

from __future__ import annotations

from collections.abc import Sequence

from doorbuster.compare.baseline_values import BaselineValues
from doorbuster.compare.run_metric import threshold_key
from doorbuster.errors import UsageError
from doorbuster.history.identity import timeline_key
from doorbuster.history.store import History
from doorbuster.history.timeline import as_run_metrics
from doorbuster.records.metadata import RunMeta
from doorbuster.scenario.thresholds.language import Threshold

BASELINE_RUNS = 10


def baseline_of_history(
    history: History, branch: str, candidate: RunMeta, thresholds: Sequence[Threshold]
) -> BaselineValues:
    """The values of the newest ten runs of the candidate's scenario and machine on a branch.

    Raises: UsageError when the history has none.
    """
    wanted = timeline_key(candidate, branch=branch)
    keys = [
        key
        for key in history.timelines()
        if (key.scenario, key.machine, key.branch) == (wanted.scenario, wanted.machine, wanted.branch)
    ]
    # Of several targets, the candidate's own; its address may be another one than the baseline's.
    keys.sort(key=lambda key: key.target != wanted.target)
    if not keys:
        raise UsageError(
            f"{history.path}: no run of {wanted.scenario} on branch {branch} and {wanted.machine}; "
            "add some with `doorbuster history add RUN`"
        )
    runs = history.runs(keys[0])
    usable = [run.run_id for run in runs if not run.unusable and run.run_id != candidate.run_id]
    newest = usable[-BASELINE_RUNS:]
    places = {at for at, run in enumerate(runs) if run.run_id in newest}
    names = [threshold_key(threshold) for threshold in thresholds]
    metrics = {
        values.metric.key: tuple(
            metric
            for at, metric in zip(values.at.tolist(), as_run_metrics(values, 0, len(values.at)), strict=True)
            if at in places
        )
        for values in history.values(keys[0], metrics=names)
    }
    return BaselineValues(f"history:{branch}", tuple(newest), metrics)
