"""A comparison for programs; docs/reference/comparison.schema.json describes it.

Within a version of the schema, "doorbuster.comparison/1", names are never changed or removed; new ones may
appear. An unknown number is null.
"""

from __future__ import annotations

import json
from typing import Any

from doorbuster import __version__
from doorbuster.compare.build_comparison import BuildComparison
from doorbuster.compare.comparability import RunFacts
from doorbuster.compare.metric_comparison import MetricComparison, Tolerance
from doorbuster.compare.wording import headline
from doorbuster.report.render.json import plain_values
from doorbuster.stats.difference import ValueWithInterval

SCHEMA = "doorbuster.comparison/1"


def render_comparison_json(comparison: BuildComparison, tolerance: Tolerance) -> str:
    """The whole comparison as JSON text."""
    document = {
        "schema": SCHEMA,
        "doorbuster": __version__,
        "answer": comparison.answer,
        "sentence": headline(comparison),
        "exit_code": int(comparison.exit_code),
        "despite": comparison.despite,
        "tolerance": {"ratio": tolerance.ratio, "points": tolerance.points},
        "baseline": [_run(run) for run in comparison.baseline],
        "candidate": [_run(run) for run in comparison.candidate],
        "issues": [
            {"kind": issue.kind, "blocking": issue.blocking, "sentence": issue.sentence}
            for issue in comparison.issues
        ],
        "metrics": [_metric(found, comparison) for found in comparison.metrics],
    }
    return json.dumps(plain_values(document), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


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
        "needed_runs": found.needed_runs,
        "reason": found.reason,
    }


def _interval(value: ValueWithInterval | None) -> dict[str, float | None] | None:
    return None if value is None else {"value": value.value, "low": value.low, "high": value.high}
