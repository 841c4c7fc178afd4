"""The HTML page: one self-contained file, the verdict first, every number with its n and interval.

It computes nothing: every number comes from a section, a threshold result or the run's metadata. The page
holds no script and loads nothing. A content security policy enforces that, whatever text a shop or a
scenario supplies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from doorbuster import __version__
from doorbuster.errors import AnalysisError
from doorbuster.gate import ThresholdResult, Verdict, format_bound, format_margin
from doorbuster.output import clean, one_line
from doorbuster.records.metadata import OutcomeTotals, RunMeta
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run
from doorbuster.report.figures.charts import chart_table, render_svg
from doorbuster.report.figures.palette import CYCLE, STYLES
from doorbuster.report.formatting import NOT_KNOWN, format_cell, format_interval, format_metric, format_value
from doorbuster.report.render.terminal import is_numeric
from doorbuster.report.section import Cell, Chart, Column, Fact, Metric, Section, Table, in_order

SIGNS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "warn": "!", "interrupted": "■", "aborted": "■"}
MAX_EVENTS = 40


@dataclass(frozen=True, slots=True)
class RenderedChart:
    """A chart with its picture and its numbers."""

    chart: Chart
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


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A label and its text."""

    label: str
    text: str


def render_page(
    run: Run,
    sections: Sequence[Section],
    results: Sequence[ThresholdResult],
    verdict: Verdict,
    problems: Sequence[AnalysisError] = (),
) -> str:
    """The whole page as HTML text; `problems` are the analysis scripts that failed."""
    meta = run.meta
    ordered = in_order(sections)
    return (
        page_environment()
        .get_template("index.html.j2")
        .render(
            meta=meta,
            version=__version__,
            started=started_at(meta),
            verdict=verdict,
            verdict_text=_without_badge(verdict),
            lead=headline_section(ordered),
            facts=facts(ordered),
            recommendations=recommendations(ordered),
            thresholds_sentence=thresholds_sentence(results),
            results=[threshold_row(result) for result in results],
            rendered_sections=render_sections(ordered),
            method=_method(meta),
            configuration=configuration(run),
            events=run.events()[:MAX_EVENTS],
            problems=[str(problem) for problem in problems],
            signs=SIGNS,
            pens=[*STYLES.values(), *CYCLE],
        )
    )


def _without_badge(verdict: Verdict) -> str:
    """The verdict's sentence without its first word, which the page shows as a badge."""
    text = verdict.sentence.partition(": ")[2] or verdict.sentence
    return f"{text[:1].upper()}{text[1:]}"


def headline_section(sections: Sequence[Section]) -> Section | None:
    """The section that heads the report instead of the verdict on one of several runs."""
    return next((section for section in sections if section.headline), None)


def recommendations(sections: Iterable[Section]) -> list[str]:
    """What to fix first, according to the sections."""
    return [text for section in sections for text in section.recommendations]


def facts(sections: Iterable[Section]) -> list[Fact]:
    """What the run means for the business, in a few numbers."""
    return [fact for section in sections for fact in section.facts]


def thresholds_sentence(results: Sequence[ThresholdResult]) -> str:
    """How many thresholds ended with each result, in words."""
    if not results:
        return "The scenario sets no thresholds. Without them a run cannot pass."
    words = {"pass": "passed", "fail": "failed", "warn": "gave a warning", "inconclusive": "inconclusive"}
    counts = {text: sum(result.status == status for result in results) for status, text in words.items()}
    total = f"{len(results)} threshold{'s' if len(results) > 1 else ''}"
    return f"{total}: {', '.join(f'{n} {text}' for text, n in counts.items() if n)}."


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


def started_at(meta: RunMeta) -> str:
    """ "2 December 2004, 12:05 UTC"."""
    moment = datetime.fromtimestamp(meta.started_at_unix_ns / 1e9, UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def configuration(run: Run) -> list[LabelledText]:
    """Scenario, target, versions and machine of the run, and the outcomes of all arrivals."""
    meta, totals = run.meta, run.outcome_totals()
    pairs = [
        ("Run", meta.run_id),
        ("Scenario", meta.scenario_name),
        ("Story", meta.story),
        (
            "Target",
            f"{meta.target_url} ({', '.join(filter(None, (meta.storefront, meta.shop_profile)))})"
            if meta.storefront
            else meta.target_url,
        ),
        ("Started", started_at(meta)),
        (
            "Imported from",
            ", ".join((meta.imported["format"], *meta.imported["files"])) if meta.imported else "",
        ),
        ("Workload", CLOSED if meta.workload == "closed" and not meta.imported else ""),
        (
            "Planned duration" if meta.workload == "closed" else "Arrivals planned over",
            format_value(meta.duration_s, "s"),
        ),
        ("Ended", f"{meta.status}{f': {meta.status_reason}' if meta.status_reason else ''}"),
        ("Seed", "" if meta.workload == "closed" else str(meta.seed)),
        ("Workers", str(meta.workers)),
        ("Git commit", meta.git_commit),
        ("Outcomes of customers", "" if meta.workload == "closed" else _totals_text(totals)),
        *((f"Version of {name}", version) for name, version in sorted(meta.versions.items())),
        *((f"Machine: {name}", str(value)) for name, value in sorted(meta.machine.items())),
    ]
    return [LabelledText(label, text) for label, text in pairs if text]


def _totals_text(totals: OutcomeTotals) -> str:
    outcomes = " + ".join(f"{getattr(totals, end):,} {end.replace('_', ' ')}" for end in Outcome)
    return f"{totals.planned:,} planned = {outcomes} + {totals.in_flight_or_missing:,} in flight or missing"


CLOSED = "closed: users of a plain Locust file, each of which waits for its answer"


def _method(meta: RunMeta) -> list[str]:
    if meta.imported:
        return [
            (
                "Another tool recorded these results; the section on the source says how exact they are and "
                "what they leave out."
            ),
            (
                "95 % intervals. Under load neighbouring requests are alike, so repeat a run before acting "
                "on a small difference."
            ),
        ]
    if meta.workload == "closed":
        return [
            (
                "The workload is closed: each user waits for an answer before it sends its next request. "
                "Response times count from the moment a request was sent, as its client measured them. While "
                "the target stalls, nothing is sent, so percentiles do not show how long arriving customers "
                "would wait; the section on users shows such stalls."
            ),
            (
                "95 % intervals. Under load neighbouring requests are alike, so repeat a run before acting "
                "on a small difference."
            ),
            (
                "The requests are in run.sqlite next to this page. `doorbuster report` writes this report "
                "again from that file."
            ),
        ]
    return [
        (
            "Customers arrive by a plan fixed before the run, whether or not the shop keeps up. Response "
            "times count from the moment a request was due, so they include waiting caused by a stalled shop."
        ),
        (
            "An abandoned request is a lower bound, not a response time: quantiles are estimated past such "
            "requests (Kaplan and Meier) and marked ≥ where that is impossible."
        ),
        (
            "95 % intervals. Under load neighbouring requests are alike, so repeat a run before acting on a "
            "small difference. This is one run, from one place, with modelled customers; real customers may "
            "behave differently."
        ),
        (
            f"The plan (seed {meta.seed}), the requests and outcomes are in run.sqlite next to this page. "
            "`doorbuster report` writes this report again from that file."
        ),
    ]


def render_sections(sections: Sequence[Section]) -> list[RenderedSection]:
    """The sections with their figures drawn, in the given order."""
    rendered, group = [], ""
    for number, section in enumerate(sections, start=1):
        figures = tuple(
            RenderedChart(chart, render_svg(chart, element_id=f"f{number}-{place}"), chart_table(chart))
            for place, chart in enumerate(section.figures, start=1)
        )
        label = one_line(section.name, 24).replace("_", " ")
        label = f"{label[:1].upper()}{label[1:]}"
        new_group = section.group if section.group != group else ""
        group = section.group
        rendered.append(
            RenderedSection(section, f"part-{number}", label, new_group, figures, _metrics_table(section))
        )
    return rendered


def _metrics_table(section: Section) -> Table | None:
    if not section.metrics:
        return None
    rows = tuple((name, metric, metric.n, metric.meaning) for name, metric in section.metrics.items())
    columns = (Column("Metric"), Column("Value"), Column("n", "count"), Column("Meaning"))
    return Table(f"Metrics of {section.name}", columns, rows)


def page_environment() -> Environment:
    """The templates of pages, with the filters and the escaping that every page needs."""

    def finalize(value: Any) -> Any:
        if not isinstance(value, str) or isinstance(value, Markup):
            return value
        text = clean(value)
        return text if "\n" in text else text.replace(" %", "\u00a0%")  # scenario text stays unchanged

    environment = Environment(
        loader=PackageLoader("doorbuster.report.render", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )

    def cell(value: Cell, column: Column) -> str:
        return format_cell(value, column)

    environment.filters |= {
        "line": one_line, "value": format_value, "metric": format_metric, "interval": format_interval,
        "numeric": is_numeric, "cell": cell,
    }  # fmt: skip
    environment.tests["metric"] = lambda value: isinstance(value, Metric)
    return environment
