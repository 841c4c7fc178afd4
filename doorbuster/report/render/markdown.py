"""The report in two short forms: Markdown for a pull request, JSON for programs.

Within a version of the schema of summary.json, "doorbuster.summary/1", names are never changed or removed;
new ones may appear. An unknown number is null. Times have the unit stated with them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from doorbuster import __version__
from doorbuster.errors import AnalysisError
from doorbuster.gate import ThresholdResult, Verdict
from doorbuster.output import clean
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run
from doorbuster.report.formatting import format_cell, markdown_text
from doorbuster.report.render.html import (
    SIGNS,
    facts,
    headline_section,
    recommendations,
    started_at,
    threshold_row,
)
from doorbuster.report.section import Fact, Metric, Section, Table, in_order

SCHEMA = "doorbuster.summary/1"
_ICONS = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "warn": "⚠️", "interrupted": "⏹️", "aborted": "⏹️"}


def render_markdown(
    run: Run, sections: Sequence[Section], results: Sequence[ThresholdResult], verdict: Verdict
) -> str:
    """A comment for a pull request: verdict, facts, thresholds, one line per section, single requests."""
    meta = run.meta
    ordered = in_order(sections)
    lead = headline_section(ordered)
    lines = [f"### {markdown_text(lead.sentence)}", "", "One of the runs:", ""] if lead else []
    lines += [f"### {_ICONS[verdict.status]} {markdown_text(verdict.sentence)}", ""]
    lines += [f"- {markdown_text(reason)}" for reason in verdict.reasons[:5]]
    if len(verdict.reasons) > 5:
        lines.append(f"- and {len(verdict.reasons) - 5} more")
    lines += [f"- Fix first: {markdown_text(text)}" for text in recommendations(ordered)]
    lines += _facts(facts(ordered))
    if results:
        lines += ["", "| | Threshold | Observed | 95 % interval | n | Margin |", "|---|---|--:|--:|--:|--:|"]
        lines += [_threshold(result) for result in results]
    lines += [
        "",
        *(f"- **{markdown_text(item.question)}** {markdown_text(item.sentence)}" for item in ordered),
    ]
    lines += [line for item in ordered for table in item.tables if table.in_summary for line in _table(table)]
    about = f"{meta.title} · run {meta.run_id} · {started_at(meta)} · {meta.target_url}"
    lines += ["", f"<sub>{markdown_text(about)} · doorbuster {__version__}</sub>", ""]
    return "\n".join(lines)


def _facts(shown: Sequence[Fact]) -> list[str]:
    if not shown:
        return []
    return [
        "",
        markdown_row(markdown_text(fact.label) for fact in shown),
        markdown_row("---" for _ in shown),
        markdown_row(f"**{markdown_text(fact.value)}**<br>{markdown_text(fact.detail)}" for fact in shown),
    ]


def _table(table: Table) -> list[str]:
    """A table that the reader opens with a click."""
    columns = table.columns
    rows = (
        markdown_row(
            markdown_text(format_cell(cell, column)) for cell, column in zip(row, columns, strict=True)
        )
        for row in table.rows
    )
    head = (
        markdown_row(markdown_text(column.name) for column in columns),
        markdown_row("---" for _ in columns),
    )
    title = f"<summary>{markdown_text(table.title)}</summary>"
    return ["", "<details>", title, "", *head, *rows, "", "</details>"]


def markdown_row(cells: Iterable[str]) -> str:
    """One row of a table."""
    return f"| {' | '.join(cells)} |"


def _threshold(result: ThresholdResult) -> str:
    row = threshold_row(result)
    name = markdown_text(f"{row.name}: {row.rule}")
    cells = (row.observed, row.interval, f"{result.n:,}", row.margin)
    return markdown_row(
        (f"{SIGNS[result.status]} {result.status}", name, *(markdown_text(cell) for cell in cells))
    )


def render_json(
    run: Run,
    sections: Sequence[Section],
    results: Sequence[ThresholdResult],
    verdict: Verdict,
    problems: Sequence[AnalysisError] = (),
) -> str:
    """All results of a run as JSON text."""
    meta, totals = run.meta, run.outcome_totals()
    document = {
        "schema": SCHEMA,
        "verdict": {
            "status": verdict.status,
            "sentence": verdict.sentence,
            "reasons": list(verdict.reasons),
            "exit_code": int(verdict.exit_code),
        },
        "run": {
            "run_id": meta.run_id,
            "title": meta.title,
            "scenario": meta.scenario_name,
            "target_url": meta.target_url,
            "storefront": meta.storefront,
            "shop_profile": meta.shop_profile,
            "seed": meta.seed,
            "workers": meta.workers,
            "started_at_unix_ns": meta.started_at_unix_ns,
            "finished_at_unix_ns": meta.finished_at_unix_ns,
            "duration_s": meta.duration_s,
            "status": meta.status,
            "status_reason": meta.status_reason,
            "git_commit": meta.git_commit,
            "machine": meta.machine,
        },
        "versions": {"doorbuster_report": __version__, **meta.versions},
        "outcome_totals": {
            "planned": totals.planned,
            **{str(outcome): getattr(totals, outcome) for outcome in Outcome},
            "in_flight_or_missing": totals.in_flight_or_missing,
        },
        "thresholds": [_threshold_values(result) for result in results],
        "metrics": {
            f"{section.name}.{name}": _metric(metric)
            for section in in_order(sections)
            for name, metric in section.metrics.items()
        },
        "sections": [_section(section) for section in in_order(sections)],
        "problems": [str(problem) for problem in problems],
    }
    return json.dumps(plain_values(document), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _threshold_values(result: ThresholdResult) -> dict[str, Any]:
    threshold = result.threshold
    return {
        "metric": threshold.metric,
        "tags": {tag.name: tag.value for tag in threshold.tags},
        "threshold": threshold.expression,
        "selector": threshold.selector,
        "severity": threshold.severity,
        "source": threshold.source,
        "status": result.status,
        "unit": result.unit,
        "bound": threshold.bound,
        "operator": threshold.operator,
        "observed": result.observed,
        "low": result.low,
        "high": result.high,
        "n": result.n,
        "margin": result.margin,
        "at_least": result.at_least,
        "certain": result.certain,
        "sentence": result.sentence,
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "name": section.name,
        "question": section.question,
        "sentence": section.sentence,
        "findings": list(section.findings),
        "recommendations": list(section.recommendations),
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "value": metric.value,
        "unit": metric.unit,
        "low": metric.low,
        "high": metric.high,
        "n": metric.n,
        "at_least": metric.at_least,
        "meaning": metric.meaning,
    }


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
