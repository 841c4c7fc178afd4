"""The report as Markdown for a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate

from doorbuster import __version__
from doorbuster.gate import ThresholdResult, Verdict
from doorbuster.records.reader import Run
from doorbuster.report.formatting import (
    NOT_KNOWN,
    format_interval,
    format_metric,
    markdown_text,
    started_at,
)
from doorbuster.report.overview import HeadlineFigure, Overview
from doorbuster.report.render.html import SIGNS, threshold_row
from doorbuster.report.section import Section, Table, in_order
from doorbuster.report.shown_table import shown_table

MAX_LENGTH = 60_000  # GitHub refuses comments of more than 65,536 characters
_ICONS = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "warn": "⚠️", "interrupted": "⏹️", "aborted": "⏹️"}


def render_markdown(
    run: Run,
    sections: Sequence[Section],
    results: Sequence[ThresholdResult],
    verdict: Verdict,
    overview: Overview,
) -> str:
    """A comment for a pull request: verdict, figures, channels, thresholds, sections, single requests.

    It fits into a comment of GitHub: what is too long is left out from the end. The last line is a hidden
    marker, by which a pipeline finds its earlier comment on the same scenario and replaces it.
    """
    meta = run.meta
    ordered = in_order(sections)
    lines = []
    if overview.question:
        lines += [f"### {markdown_text(overview.sentence)}", "", *_figures(overview), "One of the runs:", ""]
    lines += [f"### {_ICONS[verdict.status]} {markdown_text(verdict.sentence)}", ""]
    lines += [f"- {markdown_text(text)}" for text in _reasons(verdict, overview)]
    if overview.fix_first:
        lines.append(f"- Fix first: {markdown_text(overview.fix_first)}")
    lines += [f"- Next: {markdown_text(f'{step.text} {step.command}')}" for step in overview.next_steps]
    lines += [f"- {markdown_text(text)}" for text in overview.confidence]
    lines += [] if overview.question else ["", *_figures(overview), *_channels(overview)]
    if results:
        lines += ["| | Threshold | Observed | 95 % interval | n | Margin |", "|---|---|--:|--:|--:|--:|"]
        lines += [_threshold(result) for result in results]
    lines += [
        "",
        *(f"- **{markdown_text(item.question)}** {markdown_text(item.sentence)}" for item in ordered),
    ]
    for table in (table for item in ordered for table in item.tables if table.in_summary):
        lines += _table(table) if _size(lines) + _size(_table(table)) < MAX_LENGTH else []
    about = f"{meta.title} · run {meta.run_id} · {started_at(meta)} · {meta.target_url}"
    lines = _shortened(lines)
    lines += ["", f"<sub>{markdown_text(about)} · doorbuster {__version__}</sub>", ""]
    return "\n".join([*lines, comment_marker(meta.scenario_name), ""])


def comment_marker(scenario: str) -> str:
    """The hidden line that identifies the comments on a scenario."""
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", scenario)
    return f"<!-- doorbuster:{name} -->"


def _size(lines: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _shortened(lines: list[str]) -> list[str]:
    """The first lines that fit into a comment."""
    sizes = accumulate(len(line) + 1 for line in lines)
    kept = [line for line, size in zip(lines, sizes, strict=True) if size <= MAX_LENGTH]
    return kept if len(kept) == len(lines) else [*kept, "", "The rest is in index.html."]


def _reasons(verdict: Verdict, overview: Overview) -> list[str]:
    """Why a run failed; otherwise the reasons of the verdict, at most five."""
    reasons = overview.why if verdict.status == "fail" and not overview.question else verdict.reasons[:5]
    more = len(verdict.reasons) - len(reasons)
    return [*reasons, *([f"and {more} more"] if verdict.status != "fail" and more > 0 else [])]


def _figures(overview: Overview) -> list[str]:
    shown = overview.figures
    if not shown:
        return []
    return [
        markdown_row(markdown_text(figure.label) for figure in shown),
        markdown_row("---" for _ in shown),
        markdown_row(_figure(figure) for figure in shown),
        "",
    ]


def _figure(figure: HeadlineFigure) -> str:
    interval = "" if figure.metric is None else format_interval(figure.metric)
    value = f"**{markdown_text(figure.value_text)}**{f' ({markdown_text(interval)})' if interval else ''}"
    return "<br>".join(part for part in (value, *map(markdown_text, (figure.detail, figure.command))) if part)


def _channels(overview: Overview) -> list[str]:
    if not overview.channels:
        return []
    heads = ["Channel", "Wanted", "Got it", "Lost", "Could", "95 % interval", "Sales lost"]
    heads += [f"Against {markdown_text(overview.baseline)}"] if overview.baseline else []
    lines = [markdown_row(heads), markdown_row(["---", *["--:"] * (len(heads) - 1)])]
    for row in overview.channels:
        sales = NOT_KNOWN if row.lost_sales is None else format_metric(row.lost_sales)
        cells = [
            f"{row.channel}, to {row.wants}", f"{row.wanted:,}", f"{row.got:,}", f"{row.lost:,}",
            format_metric(row.could), format_interval(row.could), sales,
        ]  # fmt: skip
        cells += [row.change.text if row.change else NOT_KNOWN] if overview.baseline else []
        lines.append(markdown_row(map(markdown_text, cells)))
    return [*lines, ""]


def _table(table: Table) -> list[str]:
    """A table that the reader opens with a click."""
    title = f"<summary>{markdown_text(table.title)}</summary>"
    return ["", "<details>", title, "", *markdown_table(table), "", "</details>"]


def markdown_table(table: Table) -> list[str]:
    """The lines of a table."""
    shown = shown_table(table)
    return [
        markdown_row(markdown_text(head) for head in shown.heads),
        markdown_row("--:" if numeric else "---" for numeric in shown.numeric),
        *(markdown_row(markdown_text(cell.text) for cell in row) for row in shown.rows),
    ]


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
