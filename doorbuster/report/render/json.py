"""The report as JSON for programs.

docs/reference/summary.schema.json describes summary.json, and `schema_version` follows semantic versioning:
within a major version names are never changed or removed; a new one raises the minor version. An unknown
number is null. Times have the unit stated with them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from doorbuster import __version__
from doorbuster.errors import AnalysisError
from doorbuster.gate import ThresholdResult, Verdict
from doorbuster.output import clean
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run
from doorbuster.report.overview import Overview
from doorbuster.report.section import Metric, Section, in_order

SCHEMA = "doorbuster.summary/1"
SCHEMA_VERSION = "1.0.0"
_OF_CHANNELS = ("could", "could_browse", "missed_orders", "lost_sales")


def render_json(
    run: Run,
    sections: Sequence[Section],
    results: Sequence[ThresholdResult],
    verdict: Verdict,
    overview: Overview,
    problems: Sequence[AnalysisError] = (),
) -> str:
    """All results of a run as JSON text."""
    meta, totals, ordered = run.meta, run.outcome_totals(), in_order(sections)
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "verdict": _fields(verdict, "status", "sentence", "reasons", "exit_code"),
        "overview": _overview(overview),
        "run": {
            **_fields(meta, "run_id", "title"),
            "scenario": meta.scenario_name,
            **_fields(meta, "target_url", "storefront", "shop_profile", "seed", "workers"),
            **_fields(meta, "started_at_unix_ns", "finished_at_unix_ns", "duration_s"),
            **_fields(meta, "status", "status_reason", "git_commit", "machine"),
            "protocols": run.connections_by_protocol(),
        },
        "versions": {"doorbuster_report": __version__, **meta.versions},
        "outcome_totals": _fields(totals, "planned", *Outcome, "in_flight_or_missing"),
        "thresholds": [_threshold(result) for result in results],
        "metrics": {
            f"{section.name}.{name}": _fields(
                metric, "value", "unit", "low", "high", "n", "at_least", "meaning"
            )
            for section in ordered
            for name, metric in section.metrics.items()
        },
        "sections": [
            {
                **_fields(section, "name", "question", "sentence", "findings", "recommendations"),
                "causes": [
                    _fields(cause, "explains", "resource", "because", "evidence", "advice", "share")
                    for cause in section.causes
                ],
            }
            for section in ordered
        ],
        "problems": [str(problem) for problem in problems],
    }
    return json.dumps(plain_values(document), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _overview(overview: Overview) -> dict[str, Any]:
    return {
        **_fields(overview, "about", "question", "sentence", "why", "fix_first", "confidence", "baseline"),
        "next_steps": [_fields(step, "text", "command") for step in overview.next_steps],
        "figures": [
            {**_fields(figure, "key", "label"), "text": figure.value_text, "detail": figure.detail,
             "metric": _metric(figure.metric)}
            for figure in overview.figures
        ],
        "channels": [
            {
                **_fields(row, "channel", "wants", "wanted", "got", "lost"),
                **{name: _metric(getattr(row, name)) for name in _OF_CHANNELS},
                "change": None if row.change is None else row.change.text,
            }
            for row in overview.channels
        ],
    }  # fmt: skip


def _metric(metric: Metric | None) -> dict[str, Any] | None:
    return None if metric is None else _fields(metric, "value", "unit", "low", "high", "n", "at_least")


def _threshold(result: ThresholdResult) -> dict[str, Any]:
    threshold = result.threshold
    return {
        "metric": threshold.metric,
        "tags": {tag.name: tag.value for tag in threshold.tags},
        "threshold": threshold.expression,
        **_fields(threshold, "selector", "severity", "source"),
        **_fields(result, "status", "unit"),
        **_fields(threshold, "bound", "operator"),
        **_fields(result, "observed", "low", "high", "n", "margin", "at_least", "certain", "sentence"),
    }


def _fields(value: object, *names: str) -> dict[str, Any]:
    return {str(name): getattr(value, name) for name in names}


def plain_values(value: Any) -> Any:
    """Values that JSON can hold: no NaN or infinity, no lone surrogates, no numpy numbers."""
    if isinstance(value, dict):
        return {clean(str(key)): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool | int) or value is None:
        return value
    number = float(value)
    return number if math.isfinite(number) else None
