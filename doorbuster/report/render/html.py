"""Pieces that several HTML pages share: templates, escaping, sections with their figures, threshold rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from doorbuster.gate import ThresholdResult, format_bound, format_margin
from doorbuster.output import clean, one_line
from doorbuster.report.figures.charts import chart_table, render_svg
from doorbuster.report.fonts import web_font
from doorbuster.report.formatting import NOT_KNOWN, format_interval, format_metric, format_value
from doorbuster.report.section import Chart, Column, Metric, Section, Table
from doorbuster.report.shown_table import shown_table

RESERVED_ANCHORS = frozenset({"verdict", "thresholds", "method", "contents", "filters", "run-data"})
_CODE = re.compile(r"`([^`\n]+)`")
SIGNS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "warn": "!", "interrupted": "■", "aborted": "■"}


@dataclass(frozen=True, slots=True)
class RenderedChart:
    """A chart with its picture and its numbers."""

    chart: Chart
    element_id: str
    svg: str
    table: Table


@dataclass(frozen=True, slots=True)
class RenderedSection:
    """A section ready for the template; `group` is set where a new group begins."""

    section: Section
    anchor: str
    label: str
    group: str
    figures: tuple[RenderedChart, ...]
    metrics: Table | None


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """One row of the threshold table."""

    result: ThresholdResult
    name: str
    rule: str
    observed: str
    interval: str
    margin: str


def headline_section(sections: Sequence[Section]) -> Section | None:
    """The section that heads the report instead of the verdict on one of several runs."""
    return next((section for section in sections if section.headline), None)


def threshold_row(result: ThresholdResult) -> ThresholdRow:
    """One result as the texts of its row."""
    threshold = result.threshold

    def text(value: float | None) -> str:
        return "?" if value is None else format_bound(threshold, value)

    observed = NOT_KNOWN if result.observed is None else text(result.observed)
    counted = result.unit in ("count", "per_s") or threshold.aggregation in ("min", "max")
    interval = "exact" if counted and result.observed is not None else NOT_KNOWN
    if result.low is not None or result.high is not None:
        interval = f"{text(result.low)} to {text(result.high)}"
    return ThresholdRow(
        result,
        threshold.selector,
        threshold.expression,
        f"≥ {observed}" if result.at_least else observed,
        interval,
        NOT_KNOWN if result.margin is None else format_margin(threshold, result.margin),
    )


def render_sections(sections: Sequence[Section]) -> list[RenderedSection]:
    """The sections with their figures drawn, in the given order."""
    rendered, group = [], ""
    anchors: set[str] = set()
    for number, section in enumerate(sections, start=1):
        anchor = _anchor(section.name, number, anchors)
        figures = tuple(
            render_chart(chart, f"f{number}-{place}") for place, chart in enumerate(section.figures, start=1)
        )
        label = one_line(section.name, 24).replace("_", " ")
        label = f"{label[:1].upper()}{label[1:]}"
        new_group = section.group if section.group != group else ""
        group = section.group
        rendered.append(RenderedSection(section, anchor, label, new_group, figures, _metrics_table(section)))
    return rendered


def render_chart(chart: Chart, element_id: str) -> RenderedChart:
    """The chart drawn; `element_id` makes its ids unique on the page."""
    return RenderedChart(chart, element_id, render_svg(chart, element_id=element_id), chart_table(chart))


def _anchor(name: str, number: int, taken: set[str]) -> str:
    """The name of a section as the page's address spells it, the same in every report: "time-breakdown"."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not found or found in taken | RESERVED_ANCHORS:
        found = f"{found or 'section'}-{number}"
    taken.add(found)
    return found


def _metrics_table(section: Section) -> Table | None:
    if not section.metrics:
        return None
    rows = tuple((name, metric, metric.n, metric.meaning) for name, metric in section.metrics.items())
    columns = (Column("Metric"), Column("Value"), Column("n", "count"), Column("Meaning"))
    return Table(f"Metrics of {section.name}", columns, rows)


def with_code(text: str) -> Markup:
    """Foreign text escaped, with what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(clean(text).replace(" %", "\u00a0%")))))  # noqa: S704


def page_environment() -> Environment:
    """The templates of pages, with the filters and the escaping that every page needs."""

    def finalize(value: Any) -> Any:
        if not isinstance(value, str) or isinstance(value, Markup):
            return value
        text = clean(value)
        return text if "\n" in text else text.replace(" %", "\u00a0%")  # scenario text stays unchanged

    environment = Environment(
        loader=ChoiceLoader(
            [
                PackageLoader("doorbuster.report.render", "templates"),
                PackageLoader("doorbuster.report.interactive", "templates"),
            ]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )

    environment.filters |= {
        "line": one_line, "value": format_value, "metric": format_metric, "interval": format_interval,
        "shown": shown_table, "code": with_code,
    }  # fmt: skip
    environment.globals["web_font"] = web_font
    environment.tests["metric"] = lambda value: isinstance(value, Metric)
    return environment
