"""Repeated comparisons of simulated queues: how often each decision comes out."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from recorded_queues import Queue, draw, record

from doorbuster.compare.build_comparison import BuildComparison
from doorbuster.compare.gating import GateChoice
from doorbuster.compare.interleaved.session import InterleavedSession
from doorbuster.compare.load import compare_recorded
from doorbuster.compare.metric_comparison import Tolerance, compare_metric
from doorbuster.compare.series import RunMetric

P95 = RunMetric("http_req_duration p(95)", "http_req_duration", (), "p(95)", "ms", "lower", 1.0)


def recorded_comparison(
    folder: Path, baseline: Queue, candidate: Queue, runs: int, seed: int, **options: object
) -> BuildComparison:
    """One comparison of run files, each with a seed of its own, in which every metric decides."""
    arms = [
        [
            record(queue, folder / f"{arm}-{run}", seed + 100 * arm + run, started_s=100.0 * run + 50 * arm)
            for run in range(runs)
        ]
        for arm, queue in enumerate((baseline, candidate))
    ]
    found = compare_recorded(*arms, gates=GateChoice.parse(["all"]), **options)
    shutil.rmtree(folder)
    assert not [issue for issue in found.issues if issue.blocking]
    return found


def false_alarms(folder: Path, queue: Queue, *, runs: int, comparisons: int, seed: int) -> Counter:
    """Of comparisons of a queue with itself, how many have a metric called worse, and better."""
    counts: Counter = Counter()
    for number in range(comparisons):
        found = recorded_comparison(folder, queue, queue, runs, seed + 1000 * number)
        decisions = {str(metric.decision) for metric in found.gating_metrics}
        counts.update(decisions & {"worse", "better"})
    return counts


def p95_runs(queue: Queue, runs: int, rng: np.random.Generator) -> list[RunMetric]:
    """The p95 of some runs."""
    values = [1e3 * float(np.quantile(draw(queue, rng)[1], 0.95)) for _ in range(runs)]
    return [replace(P95, value=value, n=queue.requests) for value in values]


def decisions_at_asked_runs(
    baseline: Queue, candidate: Queue, *, pilot: int, comparisons: int, seed: int, tolerance: float
) -> tuple[Counter, Counter, float]:
    """Decisions of pilots, and of new comparisons with as many runs as those pilots asked for.

    Returns: decisions of the pilots, decisions with the runs asked for, and their median number.
    """
    rng, before, after, asked = np.random.default_rng(seed), Counter(), Counter(), []
    allowed = Tolerance(ratio=tolerance)
    for _ in range(comparisons):
        first = compare_metric(
            p95_runs(baseline, pilot, rng), p95_runs(candidate, pilot, rng), tolerance=allowed
        )
        before[str(first.decision)] += 1
        if first.needed_runs is None:
            continue
        runs = pilot + first.needed_runs
        asked.append(runs)
        second = compare_metric(
            p95_runs(baseline, runs, rng), p95_runs(candidate, runs, rng), tolerance=allowed
        )
        after[str(second.decision)] += 1
    return before, after, float(np.median(asked)) if asked else 0.0


def interleaved_answer(folder: Path, queue_of: Callable[[str, int], Queue], *, pairs: int, seed: int) -> str:
    """The answer of an interleaved session of simulated queues, which looks after every pair.

    Args: queue_of: the queue of an arm ("a" or "b") in pair 1, 2, ...
    """

    def rehearse(arm: str, number: int, into: Path) -> None:
        # Simulated queues of one seed would have all their chance in common, unlike real shops.
        record(queue_of(arm, number), into, seed + 2 * number + (arm == "b"), started_s=100.0 * number)

    session = InterleavedSession(
        folder,
        rehearse,
        pairs,
        math.inf,
        seed,
        GateChoice.parse(["all"]),
        Tolerance(),
        lambda _run, _names: (),
    )
    answer = "undecided"
    while session.may_continue() and answer == "undecided":
        session.run_pair()
        found = session.compare()
        answer = "undecided" if found is None else found.answer
    shutil.rmtree(folder)
    return answer
