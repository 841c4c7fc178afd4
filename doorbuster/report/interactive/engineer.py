"""The engineer's part of the report: everything below the manager's screen, and the contents of the page.

Python computes nothing here: every number comes from a section, a threshold result or the run's metadata. The
page's script recomputes charts and tables from the histograms in the page (see page_data.py); until it runs,
and in print, the static figures of the sections stand in their place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from doorbuster.errors import AnalysisError
from doorbuster.gate import ThresholdResult, Verdict
from doorbuster.records.reader import Run
from doorbuster.report.interactive.assets import page_script, page_styles
from doorbuster.report.interactive.figure_data import PlacedChart, can_redraw
from doorbuster.report.interactive.method import configuration, method
from doorbuster.report.interactive.page_data import run_data
from doorbuster.report.overview.build import MAX_WHY
from doorbuster.report.render.html import (
    SIGNS,
    RenderedSection,
    ThresholdRow,
    page_environment,
    render_sections,
    threshold_row,
)
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Section

MAX_EVENTS = 40
PANELS = {
    "customers": ("load", "outcomes"),
    "users": ("load",),
    "latency": ("latency",),
    "errors": ("errors",),
    "time_breakdown": ("timings",),
    "orders": ("orders",),
    "generator_health": ("health",),
}
"""The panels of the page's script that take the place of a section's figures; the script names them."""
_INTERVAL = re.compile(r" \(95 % interval ([^();,]+)(?:, n = [\d,]+)?\)")
FOLDED = frozenset({"generator_health"})
REPLACED_TABLES = frozenset({"Slowest requests"})
"""Tables of sections with panels that the page's script shows itself."""
ADDED = {"bottleneck": "observed"}
"""Panels that stand, folded, beside a section's own figures."""
THRESHOLDS_QUESTION = "Which thresholds were met?"
METHOD_QUESTION = "How was this measured, and what are the limits?"


@dataclass(frozen=True, slots=True)
class ContentsEntry:
    """One line of the table of contents; `group` is set where a new group begins."""

    anchor: str
    label: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class EngineerPart:
    """What follows the manager's screen.

    styles: CSS of this part; scripts: inline scripts, in order, which the page's content security policy
    allows by their hashes.
    """

    html: Markup
    contents: tuple[ContentsEntry, ...]
    styles: str = ""
    scripts: tuple[str, ...] = ()


def engineer_part(
    run: Run,
    sections: Sequence[Section],
    results: Sequence[ThresholdResult],
    verdict: Verdict,
    problems: Sequence[AnalysisError] = (),
    baseline: Sequence[Run] = (),
) -> EngineerPart:
    """The part as HTML.

    Args: sections: in the order of the page; problems: the analysis scripts that failed; baseline: runs
        whose percentiles stand beside those of the run.
    """
    rendered = render_sections(sections)
    contents = [
        ContentsEntry("thresholds", THRESHOLDS_QUESTION),
        *(
            ContentsEntry(part.anchor, part.section.question)
            for part in rendered
            if not part.section.headline
        ),
        ContentsEntry("method", METHOD_QUESTION),
    ]
    context = RunContext(run)
    end_s = max(run.recorded_s, context.customers_in_shop.size)
    redrawn = {
        drawn.element_id: PlacedChart(drawn.chart, drawn.chart.title in part.section.sentence)
        for part in rendered
        if part.section.name not in PANELS and not part.section.headline
        for drawn in part.figures
        if can_redraw(drawn.chart, end_s)
    }
    rows = [threshold_row(result) for result in results]
    data = run_data(context, sections, redrawn, baseline)
    html = (
        page_environment()
        .get_template("engineer.html.j2")
        .render(
            meta=run.meta,
            verdict=verdict,
            thresholds_question=THRESHOLDS_QUESTION,
            thresholds_sentence=thresholds_sentence(results),
            results=rows,
            lead=[_below_the_screen(part) for part in rendered if part.section.headline],
            rendered_sections=[part for part in rendered if not part.section.headline],
            method_question=METHOD_QUESTION,
            method=method(run.meta),
            configuration=configuration(run),
            events=run.events()[:MAX_EVENTS],
            problems=[str(problem) for problem in problems],
            signs=SIGNS,
            panels=PANELS,
            folded=FOLDED,
            replaced_tables=REPLACED_TABLES,
            answers={part.anchor: _without_known(part.section.sentence, rows) for part in rendered},
            added=ADDED,
            redrawn=redrawn,
            contents=contents,
            data=data,
        )
    )
    return EngineerPart(
        Markup(html),  # noqa: S704  the template escapes every foreign text
        tuple(contents),
        styles=page_styles(),
        scripts=(page_script(),),
    )


def _below_the_screen(lead: RenderedSection) -> RenderedSection:
    """The section that heads the page without what the first screen shows of it."""
    section = replace(lead.section, findings=lead.section.findings[MAX_WHY:])
    return replace(lead, section=section, figures=lead.figures[1:])


def _without_known(sentence: str, rows: Sequence[ThresholdRow]) -> str:
    """The sentence without the intervals, and their sample sizes, that the table of thresholds shows."""
    known = {row.interval for row in rows}
    return _INTERVAL.sub(lambda found: "" if found[1] in known else found[0], sentence)


def thresholds_sentence(results: Sequence[ThresholdResult]) -> str:
    """How many thresholds ended with each result, in words."""
    if not results:
        return "The scenario sets no thresholds. Without them a run cannot pass."
    words = {"pass": "passed", "fail": "failed", "warn": "gave a warning", "inconclusive": "inconclusive"}
    counts = {text: sum(result.status == status for result in results) for status, text in words.items()}
    total = f"{len(results)} threshold{'s' if len(results) > 1 else ''}"
    return f"{total}: {', '.join(f'{n} {text}' for text, n in counts.items() if n)}."
