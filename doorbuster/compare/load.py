"""Finds the runs of one build in folders and reads what their comparison needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from doorbuster.compare.build_comparison import BuildComparison, RecordedRunMetrics, compare_builds
from doorbuster.compare.comparability import RunFacts, comparability_issues
from doorbuster.compare.gating import NO_CHOICE, GateChoice, gating_keys
from doorbuster.compare.metric_comparison import DEFAULT, Tolerance
from doorbuster.compare.series import run_metrics
from doorbuster.errors import UsageError
from doorbuster.gate.threshold_result import HasMetrics
from doorbuster.records.reader import Run
from doorbuster.records.schema import FILE_NAME
from doorbuster.scenario.recorded import recorded_thresholds
from doorbuster.scenario.thresholds.language import Threshold

Analyse = Callable[[Run, frozenset[str]], Sequence[HasMetrics]]


def find_runs(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The run files below these run folders, run files, or folders of runs, in order of their names.

    Raises: UsageError for a path without runs, naming each.
    """
    found: list[Path] = []
    missing = []
    for path in paths:
        direct = path / FILE_NAME if path.is_dir() else path
        runs = [direct] if direct.is_file() else sorted(path.glob(f"*/{FILE_NAME}"))
        found += runs
        if not runs:
            why = "holds no run" if path.is_dir() else "does not exist"
            missing.append(f"{path} {why}; name run folders, or folders of run folders")
    if missing:
        raise UsageError("\n".join(missing))
    return tuple(found)


def check_distinct(baseline: Sequence[Path], candidate: Sequence[Path]) -> None:
    """Raises: UsageError when a run is named twice: it would count as further evidence."""
    seen: set[Path] = set()
    for run in (path.resolve() for path in (*baseline, *candidate)):
        if run in seen:
            raise UsageError(f"{run.parent} is named twice; compare it with other runs")
        seen.add(run)


def compare_recorded(
    baseline: Sequence[Path],
    candidate: Sequence[Path],
    *,
    gates: GateChoice = NO_CHOICE,
    tolerance: Tolerance = DEFAULT,
    paired: bool = False,
    despite: str = "",
    analyse: Analyse = lambda _run, _sections: (),
    on_read: Callable[[float], None] = lambda _: None,
) -> BuildComparison:
    """Compare the builds of these run files.

    Args:
        gates: the only metrics that decide, if any are chosen.
        paired: runs with the same position were made together.
        analyse: the report sections of these names, for thresholds on their metrics.
        on_read: called with the number of runs that were read, each time.
    """
    stated = stated_thresholds(candidate[-1])
    thresholds = (*stated, *gates.thresholds)
    intervals = len(baseline) == len(candidate) == 1

    def read(path: Path) -> RecordedRunMetrics:
        found = read_run(path, run_name(path), thresholds, analyse, intervals=intervals)
        on_read(1)
        return found

    old, new = ([read(path) for path in paths] for paths in (baseline, candidate))
    measured = {key: metric for run in (*old, *new) for key, metric in run.metrics.items()}
    issues = comparability_issues([run.facts for run in old], [run.facts for run in new], interleaved=paired)
    gating = gating_keys(stated, measured, gates)
    return compare_builds(old, new, gating, issues, tolerance=tolerance, paired=paired, despite=despite)


def run_name(path: Path) -> str:
    """How messages call the run of this run file: its folder, with the one above it."""
    return "/".join(path.resolve().parent.parts[-2:])


def stated_thresholds(path: Path) -> tuple[Threshold, ...]:
    """The thresholds of the scenario of a run."""
    with Run.open(path) as run:
        return recorded_thresholds(run.meta.scenario_text)


def read_run(
    path: Path, name: str, thresholds: Sequence[Threshold], analyse: Analyse, *, intervals: bool
) -> RecordedRunMetrics:
    """The metrics and facts of a run file; `name` is how messages call the run."""
    sections = frozenset(one.metric.partition(".")[0] for one in thresholds if "." in one.metric)
    with Run.open(path) as run:
        found = run_metrics(
            run,
            thresholds=thresholds,
            sections=analyse(run, sections) if sections else (),
            intervals=intervals,
        )
        return RecordedRunMetrics(RunFacts.of(run, name), found)
