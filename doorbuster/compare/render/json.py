"""A comparison for programs: the models of compare.json, published as docs/reference/comparison.schema.json.

Within a version of the schema, "doorbuster.comparison/1", names are never changed or removed; new ones may
appear. An unknown number is null.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from doorbuster import __version__
from doorbuster.compare.build_comparison import Answer, BuildComparison
from doorbuster.compare.comparability import RunFacts
from doorbuster.compare.metric_comparison import Basis, MetricComparison, Tolerance
from doorbuster.compare.run_metric import Direction, MetricUnit
from doorbuster.compare.wording import headline
from doorbuster.report.render.json import plain_values
from doorbuster.stats.difference import ValueWithInterval

SCHEMA: Literal["doorbuster.comparison/1"] = "doorbuster.comparison/1"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class IntervalValues(_Part):
    """A value with its interval; an unknown end is null."""

    value: float
    low: float | None
    high: float | None


class ToleranceValues(_Part):
    """Changes that do not matter."""

    ratio: float
    """Of times and counts: 0.05 is 5 %."""
    points: float
    """Of shares: 0.01 is one percentage point."""


class ComparedRun(_Part):
    """One run."""

    name: str
    run_id: str
    scenario: str
    target_url: str
    shop_profile: str | None
    seed: int
    started_at_unix_ns: int
    duration_s: float
    git_commit: str


class IssueValues(_Part):
    """A reason why a difference need not be one of the builds; a blocking one keeps everything undecided."""

    kind: str
    blocking: bool
    sentence: str


class LookValues(_Part):
    """Of an interleaved comparison: this look, and the most there could be."""

    number: int
    most: int


class ComparedMetricValues(_Part):
    """One metric in both builds."""

    key: str
    metric: str
    tags: dict[str, str]
    aggregation: str
    unit: MetricUnit
    better: Direction
    """The direction of improvement; "" where neither is."""
    gating: bool
    """Whether it decides the exit code."""
    decision: Literal["worse", "cannot tell", "different", "better", "same"]
    baseline: float | None
    """Mean over the runs, geometric for times and counts."""
    candidate: float | None
    baseline_runs: int
    candidate_runs: int
    ratio: IntervalValues | None
    """Candidate divided by baseline."""
    difference: IntervalValues | None
    """Candidate minus baseline, in the unit of the metric."""
    tolerance: float
    basis: Basis
    """What counts as one observation: blocks of time within one run, runs, or pairs of runs."""
    p_value: float
    adjusted_p_value: float
    """Adjusted for the number of metrics."""
    level: float
    """Of significance; 1 - level is the confidence of the intervals, for this look."""
    needed_runs: int | None
    """Further runs of each build, or pairs, that would decide it."""
    reason: str


class ComparisonDocument(_Part):
    """The content of compare.json."""

    schema_name: Literal["doorbuster.comparison/1"] = Field(alias="schema")
    doorbuster: str
    answer: Answer
    sentence: str
    exit_code: int
    despite: str
    """Why runs were compared although they differ in more than the build; "" if they do not."""
    look: LookValues | None
    tolerance: ToleranceValues
    baseline: list[ComparedRun]
    candidate: list[ComparedRun]
    issues: list[IssueValues]
    metrics: list[ComparedMetricValues]
    """The worst first."""


def comparison_schema_text() -> str:
    """The text of docs/reference/comparison.schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | ComparisonDocument.model_json_schema(by_alias=True), indent=1) + "\n"


def render_comparison_json(comparison: BuildComparison, tolerance: Tolerance) -> str:
    """The whole comparison as JSON text."""
    look = comparison.look
    document = {
        "schema": SCHEMA,
        "doorbuster": __version__,
        "answer": comparison.answer,
        "sentence": headline(comparison),
        "exit_code": int(comparison.exit_code),
        "despite": comparison.despite,
        "look": None if look is None else {"number": look.number, "most": look.most},
        "tolerance": {"ratio": tolerance.ratio, "points": tolerance.points},
        "baseline": [_run(run) for run in comparison.baseline],
        "candidate": [_run(run) for run in comparison.candidate],
        "issues": [
            {"kind": issue.kind, "blocking": issue.blocking, "sentence": issue.sentence}
            for issue in comparison.issues
        ],
        "metrics": [_metric(found, comparison) for found in comparison.metrics],
    }
    checked = ComparisonDocument.model_validate(plain_values(document))
    return json.dumps(checked.model_dump(mode="json", by_alias=True), indent=1, allow_nan=False) + "\n"


def _run(run: RunFacts) -> dict[str, Any]:
    meta = run.meta
    return {
        "name": run.name,
        "run_id": meta.run_id,
        "scenario": meta.scenario_name,
        "target_url": meta.target_url,
        "shop_profile": meta.shop_profile,
        "seed": meta.seed,
        "started_at_unix_ns": meta.started_at_unix_ns,
        "duration_s": meta.duration_s,
        "git_commit": meta.git_commit,
    }


def _metric(found: MetricComparison, comparison: BuildComparison) -> dict[str, Any]:
    metric = found.metric
    return {
        "key": metric.key,
        "metric": metric.metric,
        "tags": {tag.name: tag.value for tag in metric.tags},
        "aggregation": metric.aggregation,
        "unit": metric.unit,
        "better": metric.better,
        "gating": metric.key in comparison.gating,
        "decision": str(found.decision),
        "baseline": found.baseline,
        "candidate": found.candidate,
        "baseline_runs": found.baseline_runs,
        "candidate_runs": found.candidate_runs,
        "ratio": _interval(found.ratio),
        "difference": _interval(found.difference),
        "tolerance": found.tolerance,
        "basis": found.basis,
        "p_value": found.p_value,
        "adjusted_p_value": found.adjusted_p_value,
        "level": found.level,
        "needed_runs": found.needed_runs,
        "reason": found.reason,
    }


def _interval(value: ValueWithInterval | None) -> dict[str, float | None] | None:
    return None if value is None else {"value": value.value, "low": value.low, "high": value.high}
