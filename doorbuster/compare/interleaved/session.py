"""Pairs of rehearsals that alternate between two builds, and the comparison after each pair.

Rules of this module:
- Both rehearsals of a pair follow each other directly and have the same seed, so a drift of the machine and
  the arrivals cancel in their difference.
- The order within pairs is random, and reversed in the next pair (ABBA): coming second favours no build.
- A pair with an unhealthy rehearsal is left out and mentioned. When more than half are, nothing is decided.
- The decision is group-sequential: looking after each pair does not raise the rate of false alarms.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from doorbuster.compare.build_comparison import (
    BuildComparison,
    RecordedRunMetrics,
    SequentialLook,
    compare_builds,
)
from doorbuster.compare.comparability import ComparabilityIssue, comparability_issues
from doorbuster.compare.gating import GateChoice, gating_keys
from doorbuster.compare.load import Analyse, read_run, run_name, stated_thresholds
from doorbuster.compare.metric_comparison import Tolerance

ARMS = ("a", "b")
MIN_PAIRS = 2  # fewer have no scatter

Rehearse = Callable[[str, int, Path], None]


@dataclass(frozen=True, slots=True)
class PairOfRuns:
    """The run files of one pair."""

    a: Path
    b: Path


@dataclass
class InterleavedSession:
    """Runs pairs of rehearsals into folder/a and folder/b.

    rehearse: runs one rehearsal of an arm, number 1, 2, ..., into a new folder.
    most: of pairs; budget_s: no pair is started that would probably end later.
    """

    folder: Path
    rehearse: Rehearse
    most: int
    budget_s: float
    seed: int
    gates: GateChoice
    tolerance: Tolerance
    analyse: Analyse
    clock: Callable[[], float] = time.monotonic
    pairs: list[PairOfRuns] = field(default_factory=list)
    pair_lengths_s: list[float] = field(default_factory=list)
    _read: dict[Path, RecordedRunMetrics] = field(default_factory=dict)
    _began_s: float = 0.0

    def may_continue(self) -> bool:
        """Whether another pair fits into the number of pairs and the budget."""
        if not self.pairs:
            self._began_s = self.clock()
            return self.most > 0
        left_s = self.budget_s - (self.clock() - self._began_s)
        return len(self.pairs) < self.most and left_s >= max(self.pair_lengths_s)

    def run_pair(self) -> None:
        """Run the next pair."""
        began_s, number = self.clock(), len(self.pairs) + 1
        folders = {arm: self.folder / arm / f"{number:02d}" for arm in ARMS}
        for arm in order_of_pair(self.seed, number):
            folders[arm].mkdir(parents=True)
            self.rehearse(arm, number, folders[arm])
        self.pairs.append(PairOfRuns(folders["a"] / "run.sqlite", folders["b"] / "run.sqlite"))
        self.pair_lengths_s.append(self.clock() - began_s)

    @property
    def pair_length_s(self) -> float:
        """How long a pair took, in the mean."""
        return sum(self.pair_lengths_s) / len(self.pair_lengths_s)

    def healthy_pairs(self) -> list[PairOfRuns]:
        """Pairs of which no rehearsal has a blocking issue of its own."""
        return [pair for pair in self.pairs if not self._unhealthy(pair)]

    def compare(self, *, sequential: bool = True) -> BuildComparison | None:
        """The comparison of the pairs so far; None with less than two healthy ones.

        Args: sequential: whether this is one of several looks.
        """
        usable = self.healthy_pairs()
        if len(usable) < MIN_PAIRS:
            return None
        old, new = [self._run(pair.a) for pair in usable], [self._run(pair.b) for pair in usable]
        measured = {key: metric for run in (*old, *new) for key, metric in run.metrics.items()}
        gating = gating_keys(stated_thresholds(usable[0].b), measured, self.gates)
        issues = comparability_issues(
            [run.facts for run in old], [run.facts for run in new], interleaved=True
        )
        return compare_builds(
            old, new, gating, (*issues, *self._left_out()),
            tolerance=self.tolerance, paired=True,
            look=SequentialLook(len(usable), self.most) if sequential else None,
        )  # fmt: skip

    def _left_out(self) -> list[ComparabilityIssue]:
        unhealthy = [issue for pair in self.pairs for issue in self._unhealthy(pair)]
        found = [
            ComparabilityIssue(issue.kind, f"a pair was left out: {issue.sentence}", blocking=False)
            for issue in unhealthy
        ]
        left_out = len(self.pairs) - len(self.healthy_pairs())
        if left_out > len(self.pairs) / 2:
            sentence = f"{left_out} of {len(self.pairs)} pairs had an unhealthy rehearsal"
            found.append(ComparabilityIssue("left_out", sentence, blocking=True))
        return found

    def unhealthy_sentences(self) -> list[str]:
        """Why pairs were left out."""
        return [issue.sentence for pair in self.pairs for issue in self._unhealthy(pair)]

    def _unhealthy(self, pair: PairOfRuns) -> list[ComparabilityIssue]:
        return [
            issue for path in (pair.a, pair.b) for issue in self._run(path).facts.validity if issue.blocking
        ]

    def _run(self, path: Path) -> RecordedRunMetrics:
        if path not in self._read:
            thresholds = (*stated_thresholds(path), *self.gates.thresholds)
            self._read[path] = read_run(path, run_name(path), thresholds, self.analyse, intervals=False)
        return self._read[path]


def order_of_pair(seed: int, number: int) -> Sequence[str]:
    """The order of a pair, 1, 2, ...: random for the odd ones, reversed for the next."""
    first = random.Random(f"{seed} {(number + 1) // 2}").random() < 0.5
    return ARMS if first == bool(number % 2) else ARMS[::-1]
