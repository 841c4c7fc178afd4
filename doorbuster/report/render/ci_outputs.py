"""Small files and lines for pipelines: GitLab's widget, a badge, GitHub's annotations, a chat message.

Everything foreign is made harmless: a line of a log that begins with "::" is a command to GitHub.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from doorbuster.gate import MetricEstimate, ThresholdResult, Verdict, estimate
from doorbuster.gate.recorded_metrics import RecordedMetrics
from doorbuster.output import one_line
from doorbuster.records.reader import Run
from doorbuster.report.section import Section
from doorbuster.scenario.thresholds.language import read_thresholds

MAX_ANNOTATIONS = 10  # GitHub shows no more of each step
STEP_SUMMARY_BYTES = 1_000_000  # GitHub refuses more than 1,024 kB
_MESSAGE_LENGTH = 600
_PLAIN = str.maketrans({"<": "‹", ">": "›", "@": "@\u200b", "*": "∗", "~": "∼", "`": "'"})
_WORST_FIRST = ("fail", "inconclusive", "warn")
_COLOURS = {"pass": "success", "fail": "critical", "inconclusive": "yellow"}
_ICONS = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}


def render_load_performance(run: Run) -> str:
    """The file of GitLab's load performance widget, in the shape of k6's `--summary-export`.

    The widget shows http_reqs.rate, http_req_waiting p(90) and p(95), and the share of checks that passed:
    here, of customers who were served. Unknown values are left out.
    """
    metrics: dict[str, dict[str, float]] = {}
    recorded = RecordedMetrics(run)

    def add(metric: str, aggregation: str, name: str) -> None:
        (threshold,) = read_thresholds({metric: f"{aggregation}>=0"})
        found = estimate(threshold, recorded.data(threshold))
        if isinstance(found, MetricEstimate) and not found.too_few:
            metrics.setdefault(metric, {})[name] = found.observed

    for metric in ("http_req_waiting", "http_req_duration"):
        for aggregation in ("avg", "med", "p(90)", "p(95)"):
            add(metric, aggregation, aggregation)
    for name in ("count", "rate"):
        add("http_reqs", name, name)
    passed = _passed(run)
    if sum(passed):
        metrics["checks"] = {"passes": passed[0], "fails": passed[1], "value": passed[0] / sum(passed)}
    return json.dumps({"metrics": metrics}, indent=1) + "\n"


def _passed(run: Run) -> tuple[int, int]:
    """Customers who were served and the others; of a plain Locust file, requests."""
    if run.meta.workload == "closed":
        n, ok = run.histogram().n, run.histogram(match=lambda series: series.succeeded).n
        return ok, n - ok
    totals = run.outcome_totals()
    return totals.served, totals.accounted - totals.served - totals.dropped


def render_badge(run: Run, sections: Sequence[Section], verdict: Verdict) -> str:
    """The JSON of a shields.io endpoint badge: the headroom of a search, otherwise the verdict."""
    message: str = verdict.status
    colour = _COLOURS.get(verdict.status, "lightgrey")
    for section in sections:
        held = section.metrics.get("headroom") if section.name == "capacity" else None
        if held is not None and held.value is not None:
            sign = "≥ " if held.at_least else ""
            message, colour = (
                f"holds {sign}{held.value:.2g}× the peak",
                "success" if held.value >= 1 else "critical",
            )
    badge = {
        "schemaVersion": 1,
        "label": one_line(run.meta.scenario_name, 40),
        "message": message,
        "color": colour,
    }
    return json.dumps(badge, ensure_ascii=False) + "\n"


def annotation_lines(results: Sequence[ThresholdResult], verdict: Verdict) -> list[str]:
    """GitHub's workflow commands for at most ten thresholds, the worst first.

    A threshold that did not pass is shown at its line in the scenario. A verdict without such a threshold has
    a line of its own.
    """
    found = [result for status in _WORST_FIRST for result in results if result.status == status]
    lines = [
        _command("error" if one.status == "fail" else "warning", one.sentence, _place(one)) for one in found
    ]
    if verdict.status != "pass" and not found:
        lines = [_command("warning", verdict.sentence, {})]
    return lines[:MAX_ANNOTATIONS]


def _place(result: ThresholdResult) -> dict[str, str]:
    """Title, and file, line and column where the scenario states the threshold."""
    title = one_line(str(result.threshold), 120)
    file, line, column = (*result.threshold.source.rsplit(":", 2), "", "")[:3]
    if not (line.isdigit() and column.isdigit() and file.endswith((".yaml", ".yml"))) or line == "0":
        return {"title": title}
    return {"title": title, "file": file, "line": line, "col": column}


def _command(kind: str, text: str, properties: dict[str, str]) -> str:
    stated = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    return (
        f"::{kind} {stated}::{_escaped(one_line(text, 1000))}"
        if stated
        else f"::{kind}::{_escaped(one_line(text, 1000))}"
    )


def _escaped(text: str, further: str = "") -> str:
    """The text with the characters that end a workflow command or one of its properties percent-encoded."""
    return "".join(f"%{ord(letter):02X}" if letter in f"%\r\n{further}" else letter for letter in text)


def step_summary(markdown: str) -> str:
    """The Markdown summary as GitHub's job summary takes it; cut at a line if it is too large."""
    if len(markdown.encode()) <= STEP_SUMMARY_BYTES:
        return markdown
    lines, size = [], 0
    for line in markdown.splitlines():
        size += len(line.encode()) + 1
        if size > STEP_SUMMARY_BYTES - 100:
            break
        lines.append(line)
    return "\n".join([*lines, "", "The rest is in summary.md."]) + "\n"


def outputs(verdict: Verdict, folder: str) -> dict[str, str]:
    """The outputs of the step: verdict, exit code and folder of the report."""
    return {"verdict": verdict.status, "exit-code": str(int(verdict.exit_code)), "report": folder}


def short_message(run: Run, verdict: Verdict, report: str) -> str:
    """One or two lines for Slack or Teams, without mentions, links or formatting from foreign text."""
    meta: Any = run.meta
    icon = _ICONS.get(verdict.status, "⏹️")
    lines = [f"{icon} {one_line(meta.title, 80)}: {one_line(verdict.sentence, 300)}"]
    if verdict.status != "pass" and verdict.reasons:
        lines.append(one_line(verdict.reasons[0], 200))
    if report:
        lines.append(f"report: {one_line(report, 200)}")
    text = "\n".join(lines)[:_MESSAGE_LENGTH]
    return (
        text.replace("<", "‹").replace(">", "›").replace("@", "@\u200b").replace("*", "∗").replace("`", "'")
    )
