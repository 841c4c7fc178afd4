"""All metrics of two builds, decided together, and the one answer: regression, no regression, or undecided.

Rules of this module:
- Gating metrics decide the exit code. Their p values are adjusted by Holm: with 40 of them, the chance of a
  single false `worse` or `better` stays at 5 %.
- All other metrics are only reported. Their p values are adjusted by Benjamini and Hochberg: of those called
  worse or better, 5 % are false on average.
- With a blocking issue nothing is decided, unless the user gave a reason to overrule it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from doorbuster.compare.comparability import ComparabilityIssue, RunFacts
from doorbuster.compare.metric_comparison import (
    ALPHA,
    DEFAULT,
    Decision,
    MetricComparison,
    Tolerance,
    adjusted,
    compare_metric,
)
from doorbuster.compare.run_metric import ERRORS, RunMetric, metric_key
from doorbuster.errors import ExitCode
from doorbuster.gate.run_verdict import INTEGRITY_METRICS
from doorbuster.stats.group_sequential import nominal_levels
from doorbuster.stats.multiple_tests import benjamini_hochberg, holm
from doorbuster.stats.proportion import clopper_pearson

Answer = Literal["regression", "undecided", "no regression"]

_NEVER = 1e-300  # a level that no p value reaches
_ORDER = (Decision.WORSE, Decision.DIFFERENT, Decision.CANNOT_TELL, Decision.BETTER, Decision.SAME)


@dataclass(frozen=True, slots=True)
class SequentialLook:
    """Look number `number` of at most `most`, one after each pair of runs."""

    number: int
    most: int

    def level(self, metrics: int = 1) -> float:
        """The nominal significance level of this look, for one of some metrics (Bonferroni)."""
        return nominal_levels(self.most, ALPHA / metrics)[self.number - 1]


@dataclass(frozen=True, slots=True)
class RecordedRunMetrics:
    """The metrics of one run by key, and the facts that decide whether they may be compared."""

    facts: RunFacts
    metrics: Mapping[str, RunMetric]


@dataclass(frozen=True, slots=True)
class BuildComparison:
    """The comparison of two builds; `metrics` has the worst first, `gating` the keys that decide.

    `despite` is the reason given to overrule blocking issues; "" without one.
    """

    baseline: tuple[RunFacts, ...]
    candidate: tuple[RunFacts, ...]
    metrics: tuple[MetricComparison, ...]
    gating: frozenset[str]
    issues: tuple[ComparabilityIssue, ...]
    despite: str = ""
    look: SequentialLook | None = None

    @property
    def gating_metrics(self) -> tuple[MetricComparison, ...]:
        """Those that decide, worst first."""
        return tuple(found for found in self.metrics if found.metric.key in self.gating)

    @property
    def is_blocked(self) -> bool:
        """Whether the runs cannot be compared, and no reason overrules that."""
        return not self.despite and any(issue.blocking for issue in self.issues)

    @property
    def answer(self) -> Answer:
        """Regression when a gating metric is worse; undecided when one is undecided."""
        decisions = {found.decision for found in self.gating_metrics}
        if self.is_blocked:
            return "undecided"
        if Decision.WORSE in decisions:
            return "regression"
        return "undecided" if Decision.CANNOT_TELL in decisions or not decisions else "no regression"

    @property
    def exit_code(self) -> ExitCode:
        """95, 96 or 0."""
        codes: dict[Answer, ExitCode] = {
            "regression": ExitCode.REGRESSION,
            "undecided": ExitCode.INCONCLUSIVE,
            "no regression": ExitCode.PASS,
        }
        return codes[self.answer]


def compare_builds(
    baseline: Sequence[RecordedRunMetrics],
    candidate: Sequence[RecordedRunMetrics],
    gating: frozenset[str],
    issues: Sequence[ComparabilityIssue],
    *,
    tolerance: Tolerance = DEFAULT,
    paired: bool = False,
    despite: str = "",
    look: SequentialLook | None = None,
) -> BuildComparison:
    """Compare every metric that a run of either build has.

    Args:
        paired: runs of both builds with the same index were made together.
        look: when this is one of several looks at growing evidence.
    """
    runs = (*baseline, *candidate)
    keys = dict.fromkeys(key for run in runs for key in run.metrics)
    tested = _tested(gating)
    found = [
        compare_metric(
            *_in_all_runs(key, baseline, candidate),
            tolerance=tolerance,
            paired=paired,
            metrics=tested if key in gating else 1,
            level=ALPHA if look is None else look.level(),
        )
        for key in keys
    ]
    blocked = not despite and any(issue.blocking for issue in issues)
    decided = [
        replace(one, decision=Decision.CANNOT_TELL, reason="the runs cannot be compared", needed_runs=None)
        if blocked
        else one
        for one in adjusted_together(found, gating, look)
    ]
    return BuildComparison(
        baseline=tuple(run.facts for run in baseline),
        candidate=tuple(run.facts for run in candidate),
        metrics=tuple(sorted(decided, key=lambda one: worst_first(one, gating))),
        gating=gating, issues=tuple(issues), despite=despite, look=look,
    )  # fmt: skip


def _tested(gating: frozenset[str]) -> int:
    """How many gating metrics a statistical test decides; the integrity of orders needs none."""
    return max(1, sum(key.partition(" ")[0] not in INTEGRITY_METRICS for key in gating))


def _in_all_runs(
    key: str, baseline: Sequence[RecordedRunMetrics], candidate: Sequence[RecordedRunMetrics]
) -> tuple[list[RunMetric], list[RunMetric]]:
    """The metric in each run of both builds."""
    known = next(run.metrics[key] for run in (*baseline, *candidate) if key in run.metrics)
    return [_in_run(run, known) for run in baseline], [_in_run(run, known) for run in candidate]


def _in_run(run: RecordedRunMetrics, wanted: RunMetric) -> RunMetric:
    """The metric in this run; a cause of errors that did not occur is a share of zero."""
    if wanted.key in run.metrics:
        return run.metrics[wanted.key]
    if wanted.metric == ERRORS:
        step = [tag for tag in wanted.tags if tag.name == "step"]
        requests = run.metrics.get(metric_key("http_req_failed", step, "rate"))
        requests = requests or run.metrics.get(metric_key("http_req_failed", (), "rate"))
        if requests is not None and requests.n:
            high = clopper_pearson(0, requests.n).high
            return replace(wanted, value=0.0, low=0.0, high=high, n=requests.n)
    return replace(
        wanted, value=None, low=None, high=None, n=0, at_least=False, reason="it did not occur in the run"
    )


def adjusted_together(
    found: Sequence[MetricComparison], gating: frozenset[str], look: SequentialLook | None = None
) -> tuple[MetricComparison, ...]:
    """The comparisons decided together: p values adjusted by Holm or by Benjamini and Hochberg.

    At one of several looks, a gating metric needs the level of that look for its share of alpha (Bonferroni):
    Holm's later steps would mix the shares of different looks.
    """
    decided = list(found)
    for gates in (True, False):
        family = [
            at
            for at, one in enumerate(found)
            if (one.metric.key in gating) == gates and one.effect is not None
        ]
        p_values = [found[at].p_value for at in family]
        if not gates:
            p_values = list(benjamini_hochberg(p_values))
        elif look is None:
            p_values = list(holm(p_values))
        else:
            penalty = look.level() / max(look.level(_tested(gating)), _NEVER)
            p_values = [min(1.0, p_value * penalty) for p_value in p_values]
        for at, p_value in zip(family, p_values, strict=True):
            decided[at] = adjusted(found[at], p_value)
    return tuple(decided)


def worst_first(found: MetricComparison, gating: frozenset[str]) -> tuple[int, bool, float, str]:
    """The sort key: by decision, gating ones first, then by the size of the change for the worse."""
    value = 0.0 if found.effect is None else found.effect.value
    worse = -value if found.metric.better == "higher" else value
    scale = found.tolerance or 1.0
    return _ORDER.index(found.decision), found.metric.key not in gating, -worse / scale, found.metric.key
