"""The page: one self-contained HTML file, the verdict first, every number with its n and interval.

A function of the run, its sections, its results and the verdict. It works nothing out: the four facts
below the verdict are metrics that sections provide. It holds no script and loads nothing; a content security
policy in the page makes sure of it, whatever a shop or a scenario put into its texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from doorbuster import __version__
from doorbuster.errors import AnalysisError
from doorbuster.gate import ThresholdResult, Verdict, format_bound, format_margin
from doorbuster.records.metadata import Balance, RunMeta
from doorbuster.records.reader import Run
from doorbuster.report.figures.charts import chart_table, render_svg
from doorbuster.report.figures.palette import CYCLE, OUTCOME_STYLES
from doorbuster.report.formatting import (
    NOT_KNOWN,
    clean,
    format_cell,
    format_interval,
    format_metric,
    format_value,
    one_line,
)  # fmt: skip
from doorbuster.report.render.terminal import is_numeric
from doorbuster.report.section import Cell, Chart, Column, Metric, Section, Table

SIGNS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "warn": "!", "interrupted": "■", "aborted": "■"}
_ORDER = (
    "capacity", "headroom", "scalability", "customers",
    "lost_sales", "orders", "fulfilment", "phases", "latency", "isolation",
    "timeline", "propagation_delay", "time_breakdown", "server_timing", "funnel",
)  # fmt: skip
_LAST = ("workload_fidelity", "consistency_checks", "generator_health")
_MAX_EVENTS = 40


@dataclass(frozen=True, slots=True)
class Fact:
    """One of the four numbers below the verdict."""

    label: str
    value: str
    more: str


@dataclass(frozen=True, slots=True)
class RenderedChart:
    """A chart, its picture and its numbers."""

    chart: Chart
    svg: str
    table: Table


@dataclass(frozen=True, slots=True)
class RenderedSection:
    """A section, ready to be shown."""

    section: Section
    anchor: str
    label: str
    figures: tuple[RenderedChart, ...]
    metrics: Table | None


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """One line of the table of thresholds."""

    result: ThresholdResult
    name: str
    rule: str
    observed: str
    interval: str
    margin: str


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A name and a text."""

    label: str
    text: str


def render_page(
    run: Run,
    sections: Sequence[Section],
    results: Sequence[ThresholdResult],
    verdict: Verdict,
    problems: Sequence[AnalysisError] = (),
) -> str:
    """The whole page as HTML text; `problems` are scripts that failed."""
    meta = run.meta
    ordered = in_order(sections)
    parts = [_part(section, number) for number, section in enumerate(ordered, start=1)]
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            meta=meta,
            version=__version__,
            started=started_at(meta),
            verdict=verdict,
            headline=_headline(verdict),
            lead=leading(ordered),
            facts=facts(metrics_by_name(ordered)),
            recommendations=recommendations(ordered),
            thresholds_sentence=thresholds_sentence(results),
            results=[threshold_row(result) for result in results],
            parts_of_page=parts,
            method=_method(meta),
            configuration=configuration(run),
            events=run.events()[:_MAX_EVENTS],
            problems=[str(problem) for problem in problems],
            signs=SIGNS,
            pens=[*OUTCOME_STYLES.values(), *CYCLE],
        )
    )


def _headline(verdict: Verdict) -> str:
    """The verdict's sentence without its first word, which the page shows as a badge."""
    text = verdict.sentence.partition(": ")[2] or verdict.sentence
    return f"{text[:1].upper()}{text[1:]}"


def leading(sections: Sequence[Section]) -> Section | None:
    """The section whose answer heads the report instead of the verdict on one of several runs."""
    return next((section for section in sections if section.headline), None)


def recommendations(sections: Iterable[Section]) -> list[str]:
    """What to mend first, as far as sections can tell."""
    return [text for section in sections for text in section.recommendations]


def in_order(sections: Iterable[Section]) -> list[Section]:
    """What was asked first: capacity if it was searched, customers, orders; then the course of the run, a
    user's own sections as given, and what tells how far to trust it all last. Silent ones are left out.
    """
    rank = {name: place for place, name in enumerate((*_ORDER, "", *_LAST))}
    told = [section for section in sections if not section.not_applicable]
    return sorted(told, key=lambda section: (not section.headline, rank.get(section.name, len(_ORDER))))


def metrics_by_name(sections: Iterable[Section]) -> dict[str, Metric]:
    """Every named metric; the first section wins where two use one name."""
    found: dict[str, Metric] = {}
    for section in sections:
        for name, metric in section.metrics.items():
            found.setdefault(name, metric)
    return found


def facts(metrics: Mapping[str, Metric]) -> list[Fact]:
    """What it means for the business, in four numbers."""
    return [
        _share("Could browse", metrics.get("can_browse"), "customers"),
        _share("Could order", metrics.get("can_order"), "customers who wanted to"),
        _left_without(metrics),
        _broke(metrics),
    ]


def _share(label: str, metric: Metric | None, whom: str) -> Fact:
    if metric is None or metric.value is None:
        return Fact(label, NOT_KNOWN, "nobody tried" if metric is not None else "no section tells")
    return Fact(
        label, format_metric(metric), f"of {metric.n or 0:,} {whom}; 95 % interval {format_interval(metric)}"
    )


def _left_without(metrics: Mapping[str, Metric]) -> Fact:
    label = "Left without their order"
    missed = metrics.get("missed_orders")
    if missed is None or missed.value is None:
        return Fact(label, NOT_KNOWN, "nobody wanted to order")
    money = metrics.get("lost_sales")
    worth = f"about {format_metric(money)} of sales" if money is not None and money.value else ""
    of = f"of {missed.n or 0:,} customers who wanted to order"
    lost = metrics.get("orders_missing")
    broken = f"{lost.value:,.0f} acknowledged orders missing" if lost is not None and lost.value else ""
    return Fact(label, format_metric(missed), "; ".join(text for text in (of, worth, broken) if text))


def _broke(metrics: Mapping[str, Metric]) -> Fact:
    label = "When ordering broke"
    broken = metrics.get("outage_duration")
    if broken is None or broken.value is None:
        return Fact(label, NOT_KNOWN, "too few orders to tell")
    if broken.value == 0:
        return Fact(label, "It held", "never below 95 of 100 orders for longer than chance explains")
    at, back = metrics.get("outage_start"), metrics.get("outage_end")
    recovered = (
        f"recovered at {format_metric(back)}"
        if back is not None and back.value is not None
        else "did not recover"
    )
    started = format_metric(at) if at is not None else NOT_KNOWN
    return Fact(label, started, f"after the start, for {format_metric(broken)}; {recovered}")


def thresholds_sentence(results: Sequence[ThresholdResult]) -> str:
    """How many of each result, in words."""
    if not results:
        return "The scenario sets no thresholds. Without them a run can show what happened, but not pass."
    words = {"pass": "met", "fail": "failed", "warn": "gave a warning", "inconclusive": "could not be judged"}
    counts = [(sum(result.status == status for result in results), text) for status, text in words.items()]
    if counts[0][0] == len(results):
        return "All of them." if len(results) > 1 else "The only one there is."
    return f"Of {len(results)}: " + ", ".join(f"{count} {text}" for count, text in counts if count) + "."


def threshold_row(result: ThresholdResult) -> ThresholdRow:
    """One result as the texts of its line."""
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
    """What was run, on what, with what, and where every arrival went."""
    meta, balance = run.meta, run.balance()
    pairs = [
        ("Run", meta.run_id),
        ("Scenario", meta.scenario_name),
        ("Story", meta.story),
        (
            "Target",
            f"{meta.target_url} ({meta.storefront}{f', {meta.shop_profile}' if meta.shop_profile else ''})",
        ),
        ("Started", started_at(meta)),
        ("Arrivals planned over", format_value(meta.duration_s, "s")),
        ("Ended", f"{meta.status}{f': {meta.status_reason}' if meta.status_reason else ''}"),
        ("Seed", str(meta.seed)),
        ("Workers", str(meta.workers)),
        ("Git commit", meta.git_commit),
        ("Balance of customers", _balance_words(balance)),
        *((f"Version of {name}", version) for name, version in sorted(meta.versions.items())),
        *((f"Machine: {name}", str(value)) for name, value in sorted(meta.machine.items())),
    ]
    return [LabelledText(label, text) for label, text in pairs if text]


def _balance_words(balance: Balance) -> str:
    return (
        f"{balance.planned:,} planned = {balance.served:,} served + {balance.abandoned:,} abandoned + "
        f"{balance.turned_away:,} turned away + {balance.queued_out:,} queued out + "
        f"{balance.dropped:,} dropped + {balance.in_flight_or_missing:,} in flight or missing"
    )


def _method(meta: RunMeta) -> list[str]:
    return [
        (
            "Customers arrive by a plan fixed before the run, whether the shop keeps up or not. Response "
            "times count from the moment a request was due: waiting caused by a stalled shop is in them."
        ),
        (
            "A request whose customer lost patience is a lower bound, not an answer: quantiles are estimated "
            "past such requests (Kaplan and Meier), and marked ≥ where that cannot be done."
        ),
        (
            "Intervals hold 95 % of the time for independent requests. Under load neighbouring requests "
            "are alike, so the true uncertainty is larger: repeat a run before acting on a small difference. "
            "One run on one day, from one place, with modelled customers: real ones may behave otherwise."
        ),
        (
            "The plan, the requests and every outcome are in run.sqlite beside this page "
            f"(seed {meta.seed}), from which this report can be made again."
        ),
    ]


def _part(section: Section, number: int) -> RenderedSection:
    figures = tuple(
        RenderedChart(chart, render_svg(chart, element_id=f"f{number}-{place}"), chart_table(chart))
        for place, chart in enumerate(section.figures, start=1)
    )
    label = one_line(section.name, 24).replace("_", " ")
    return RenderedSection(
        section, f"part-{number}", f"{label[:1].upper()}{label[1:]}", figures, _metrics_table(section)
    )


def _metrics_table(section: Section) -> Table | None:
    if not section.metrics:
        return None
    rows = tuple((name, metric, metric.n, metric.meaning) for name, metric in section.metrics.items())
    columns = (Column("Metric"), Column("Value"), Column("n", "count"), Column("Meaning"))
    return Table(f"Metrics of {section.name}", columns, rows)


def _environment() -> Environment:
    def finalize(value: Any) -> Any:
        if not isinstance(value, str) or isinstance(value, Markup):
            return value
        text = clean(value)
        return text if "\n" in text else text.replace(" %", "\u00a0%")  # a scenario stays as it was written

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
