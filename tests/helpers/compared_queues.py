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

from doorbuster.compare.build_comparison import BuildComparison, SequentialLook, adjusted_together
from doorbuster.compare.gating import GateChoice
from doorbuster.compare.interleaved.session import InterleavedSession
from doorbuster.compare.load import compare_recorded
from doorbuster.compare.metric_comparison import Tolerance, compare_metric
from doorbuster.compare.run_metric import RunMetric

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


def sequential_answers(
    queue_of: Callable[[str, int], Queue], *, pairs: int, sessions: int, seed: int
) -> Counter:
    """The answers of sessions that look after every pair, at four metrics of each rehearsal, without files.

    Also counts, as "pairs", how many pairs all sessions took.
    """
    rng, answers = np.random.default_rng(seed), Counter()
    for _ in range(sessions):
        runs: dict[str, list[list[RunMetric]]] = {key: [[], []] for key in _STATISTICS}
        answer = "undecided"
        for number in range(1, pairs + 1):
            for arm, name in enumerate("ab"):
                queue = queue_of(name, number)
                times_ms = 1e3 * draw(queue, rng)[1]
                for key, statistic in _STATISTICS.items():
                    value = float(statistic(times_ms))
                    runs[key][arm].append(replace(P95, key=key, value=value, n=times_ms.size))
            answers["pairs"] += 1
            if number > 1 and answer == "undecided":
                answer = _answer(runs, SequentialLook(number, pairs))
            if answer != "undecided":
                break
        answers[answer] += 1
    return answers


_STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "typical": lambda times_ms: math.exp(np.log(times_ms).mean()),
    "p(50)": np.median,
    "p(95)": lambda times_ms: np.quantile(times_ms, 0.95),
    "p(99)": lambda times_ms: np.quantile(times_ms, 0.99),
}


def _answer(runs: dict[str, list[list[RunMetric]]], look: SequentialLook) -> str:
    gating = frozenset(runs)
    found = [
        compare_metric(*arms, paired=True, metrics=len(gating), level=look.level()) for arms in runs.values()
    ]
    decisions = {str(one.decision) for one in adjusted_together(found, gating, look)}
    if "worse" in decisions:
        return "regression"
    return "undecided" if "cannot tell" in decisions else "no regression"
