"""The values of a baseline that relative thresholds need, as they are kept beside the run that was judged.

Rules of this module:
- Only finished runs that may be compared with the candidate count; every reason against one is kept.
- The values are written as baseline.json into the folder of the judged run, so that its report can be written
  again with the same verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from doorbuster.compare.comparability import RunFacts, comparability_issues
from doorbuster.compare.run_metric import RunMetric, threshold_key
from doorbuster.compare.threshold_metric import threshold_metric
from doorbuster.gate.recorded_metrics import RecordedMetrics
from doorbuster.gate.threshold_result import HasMetrics
from doorbuster.records.reader import Run
from doorbuster.records.result_file import read_result, write_result
from doorbuster.scenario.thresholds.language import Threshold

BASELINE_FILE = "baseline.json"
BASELINE_SCHEMA = "doorbuster.baseline/1"
Analyse = Callable[[Run, frozenset[str]], Sequence[HasMetrics]]


@dataclass(frozen=True, slots=True)
class BaselineValues:
    """A baseline: its name, its runs, the values of each metric per run, and what forbids the comparison."""

    name: str
    runs: tuple[str, ...]
    metrics: Mapping[str, tuple[RunMetric, ...]]
    issues: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Write baseline.json into the folder of a run."""
        content = {
            "name": self.name,
            "runs": self.runs,
            "issues": self.issues,
            "metrics": {key: [asdict(one) for one in values] for key, values in self.metrics.items()},
        }
        write_result(folder / BASELINE_FILE, BASELINE_SCHEMA, content)


def relative_thresholds(thresholds: Sequence[Threshold]) -> tuple[Threshold, ...]:
    """Those that refer to a baseline."""
    return tuple(threshold for threshold in thresholds if threshold.relative)


def read_baseline_values(folder: Path) -> BaselineValues | None:
    """The baseline with which a run was judged; None if there was none.

    Raises: RecordError when the file cannot be read.
    """
    file = folder / BASELINE_FILE
    if not file.is_file():
        return None
    return read_result(file, BASELINE_SCHEMA, BaselineValues)


def baseline_of_runs(
    name: str,
    paths: Sequence[Path],
    candidates: Sequence[Path],
    thresholds: Sequence[Threshold],
    analyse: Analyse = lambda _run, _sections: (),
) -> BaselineValues:
    """The values of the runs of a baseline.

    Args:
        candidates: the runs that will be compared with it, for what must be equal.
        thresholds: relative ones, whose metrics are wanted.
        analyse: the report sections of these names, for thresholds on their metrics.
    """
    metrics: dict[str, list[RunMetric]] = {threshold_key(threshold): [] for threshold in thresholds}
    facts = []
    for path in paths:
        with Run.open(path) as run:
            facts.append(RunFacts.of(run, _name(path)))
            for found in run_threshold_metrics(run, thresholds, analyse):
                metrics[found.key].append(found)
    theirs = []
    for path in candidates:
        with Run.open(path) as run:
            theirs.append(RunFacts.of(run, _name(path)))
    # The health of the candidate has its own place in its verdict.
    known = {issue.sentence for one in theirs for issue in one.validity}
    issues = comparability_issues(facts, theirs)
    return BaselineValues(
        name,
        tuple(one.meta.run_id for one in facts),
        {key: tuple(values) for key, values in metrics.items()},
        tuple(issue.sentence for issue in issues if issue.blocking and issue.sentence not in known),
    )


def run_threshold_metrics(
    run: Run, thresholds: Sequence[Threshold], analyse: Analyse
) -> tuple[RunMetric, ...]:
    """The metric of each threshold in one run."""
    names = frozenset(one.metric.partition(".")[0] for one in thresholds if "." in one.metric)
    recorded = RecordedMetrics(run, tuple(analyse(run, names)) if names else ())
    return tuple(threshold_metric(recorded, threshold) for threshold in thresholds)


def _name(path: Path) -> str:
    return path.parent.name if path.suffix == ".sqlite" else path.name
