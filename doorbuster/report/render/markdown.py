"""The report as Markdown for a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate

from doorbuster import __version__
from doorbuster.gate import ThresholdResult, Verdict
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
from doorbuster.report.section import Fact, Section, Table, in_order

MAX_LENGTH = 60_000  # GitHub refuses comments of more than 65,536 characters
_ICONS = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "warn": "⚠️", "interrupted": "⏹️", "aborted": "⏹️"}


def render_markdown(
    run: Run, sections: Sequence[Section], results: Sequence[ThresholdResult], verdict: Verdict
) -> str:
    """A comment for a pull request: verdict, facts, thresholds, one line per section, single requests.

    It fits into a comment of GitHub: what is too long is left out from the end. The last line is a hidden
    marker, by which a pipeline finds its earlier comment on the same scenario and replaces it.
    """
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
