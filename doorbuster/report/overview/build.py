"""Builds the manager's screen from a run, its sections, its threshold results and its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from doorbuster.gate import ThresholdResult, Verdict
from doorbuster.gate.threshold_result import failed_only_against_baseline
from doorbuster.records.reader import Run
from doorbuster.report.formatting import started_at
from doorbuster.report.overview.cause import lead_cause
from doorbuster.report.overview.channels import channel_rows
from doorbuster.report.overview.confidence import confidence
from doorbuster.report.overview.figures import customer_figures, request_figures, search_figures
from doorbuster.report.overview.next_steps import next_steps
from doorbuster.report.overview.peak_chart import peak_chart
from doorbuster.report.overview.values import ChannelChange, HeadlineFigure, Overview
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Metric, Section
from doorbuster.units import format_duration, format_number

MAX_WHY = 3
NO_CHANGES: Mapping[str, ChannelChange] = {}


def build_overview(
    run: Run,
    sections: Sequence[Section],
    results: Sequence[ThresholdResult],
    verdict: Verdict,
    *,
    baseline: str = "",
    changes: Mapping[str, ChannelChange] = NO_CHANGES,
) -> Overview:
    """The screen.

    Args:
        sections: all of them, in any order; those that do not apply are ignored.
        baseline: its name, and `changes` of channels against it; "" without one.
    """
    context = RunContext(run)
    shown = [section for section in sections if not section.not_applicable]
    lead = next((section for section in shown if section.headline), None)
    if lead is not None:
        return _of_search(context, lead, verdict)
    of_customers, search = _metrics(shown, "customers"), _metrics(shown, "capacity")
    rows = channel_rows(context, changes)
    cause = lead_cause(shown)
    figures = (
        customer_figures(context, of_customers, search)
        if context.has_customers
        else request_figures(context, _metrics(shown, "users"))
    )
    return Overview(
        title=run.meta.title,
        about=_about(context),
        status=verdict.status,
        sentence=_without_badge(verdict),
        figures=(*figures, *_facts(shown)),
        chart=peak_chart(context, of_customers),
        channels=rows,
        baseline=baseline if changes else "",
        why=_why(shown, results, verdict),
        fix_first="" if cause is None or not _is_about_this_run(verdict, results) else cause.advice,
        next_steps=next_steps(context, results, verdict, is_searched=bool(search)),
        confidence=confidence(context, results),
    )


def _of_search(context: RunContext, lead: Section, verdict: Verdict) -> Overview:
    """Of several runs, such as those of a capacity search: the run of this file is only one of them."""
    return Overview(
        title=context.run.meta.title,
        about=_about(context),
        status=verdict.status,
        sentence=lead.sentence,
        question=lead.question,
        figures=(*search_figures(lead.metrics), *_as_figures(lead)),
        chart=next(iter(lead.figures), None),
        why=lead.findings[:MAX_WHY],
        confidence=(f"Everything below is about one of the runs: {_without_badge(verdict)}",),
    )


def _is_about_this_run(verdict: Verdict, results: Sequence[ThresholdResult]) -> bool:
    """Whether the run itself failed; what dominates it need not be what changed against a baseline."""
    return verdict.status in ("fail", "aborted") and not failed_only_against_baseline(results)


def _metrics(sections: Sequence[Section], name: str) -> Mapping[str, Metric]:
    return next((section.metrics for section in sections if section.name == name), {})


def _without_badge(verdict: Verdict) -> str:
    """The verdict's sentence without its first word, which is shown as a badge."""
    text = verdict.sentence.partition(": ")[2] or verdict.sentence
    return f"{text[:1].upper()}{text[1:]}"


def _as_figures(lead: Section) -> tuple[HeadlineFigure, ...]:
    """The facts of a section."""
    return tuple(
        HeadlineFigure(fact.label, fact.label, text=fact.value, detail=fact.detail) for fact in lead.facts
    )


def _facts(sections: Sequence[Section]) -> tuple[HeadlineFigure, ...]:
    """What sections add, such as missing orders, or a script of one's own."""
    return tuple(figure for section in sections if not section.headline for figure in _as_figures(section))


def _about(context: RunContext) -> tuple[str, ...]:
    """Rate, what the run stands for, when it was, and of which shop."""
    meta = context.run.meta
    return tuple(text for text in (*_size(context), started_at(meta), meta.target_url) if text)


def _size(context: RunContext) -> tuple[str, ...]:
    meta, scenario, imported = context.run.meta, context.curve_scenario, context.imported
    lasted = format_duration(meta.duration_s)
    if imported is not None:
        return (f"results of {imported.tool}", lasted if imported.has_times else "")
    if scenario is None:
        return (f"{lasted} of {'requests' if context.is_closed else 'arrivals'}",)
    rate = f"{format_number(scenario.peak_per_s)} customers/s at the peak"
    compress = scenario.demand.compress
    if compress is None:
        return (rate, lasted)
    return (rate, f"{format_duration(compress.from_s)} compressed to {lasted}")


def _why(
    sections: Sequence[Section], results: Sequence[ThresholdResult], verdict: Verdict
) -> tuple[str, ...]:
    """The evidence of the cause after a failure; the reasons of any other verdict."""
    if verdict.status == "fail":
        cause = lead_cause(sections)
        advice = [text for section in sections for text in section.recommendations]
        evidence = [cause.evidence] if cause is not None else []
        return tuple([*evidence, *advice] or verdict.reasons)[:MAX_WHY]
    if verdict.status == "pass" and not verdict.reasons:
        return _closest(results)
    return verdict.reasons[:MAX_WHY]


def _closest(results: Sequence[ThresholdResult]) -> tuple[str, ...]:
    """The threshold with the smallest margin, as a share of its bound."""
    near = [
        (abs(result.margin / result.threshold.bound), result)
        for result in results
        if result.margin is not None and result.threshold.bound
    ]
    if not near:
        return ()
    return (f"Closest to its bound: {min(near, key=lambda one: one[0])[1].sentence}",)
