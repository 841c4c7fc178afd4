"""A comparison as one self-contained page: the answer, the metrics worst first, both builds over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from doorbuster import __version__
from doorbuster.compare.build_comparison import BuildComparison
from doorbuster.compare.comparability import RunFacts
from doorbuster.compare.metric_comparison import MetricComparison, Tolerance, by_difference
from doorbuster.compare.percentile_overlay import PercentileOverlay
from doorbuster.compare.render.markdown import DECISION_SIGNS
from doorbuster.compare.render.terminal import conditions
from doorbuster.compare.wording import (
    both_tolerances,
    change_text,
    decision_text,
    headline,
    interval_text,
    value_text,
)
from doorbuster.output import one_line
from doorbuster.report.figures.palette import CYCLE, STYLES
from doorbuster.report.formatting import started_at
from doorbuster.report.interactive.assets import page_script, page_styles
from doorbuster.report.render.html import SIGNS, page_environment, render_chart, render_sections
from doorbuster.report.render.sealing import sealed
from doorbuster.report.section import Chart, Column, Section, Table
from doorbuster.units import format_counted

_REACH = 4.0  # tolerances to either side of the middle of an interval's picture
_TONES = {"regression": "fail", "undecided": "inconclusive", "no regression": "pass"}
_DECISION_TONES = {"worse": "fail", "better": "pass", "same": "pass", "cannot tell": "inconclusive"}
_SMALLEST_TOLERANCE = 0.001


@dataclass(frozen=True, slots=True)
class IntervalPicture:
    """An interval on a line of 100 units with no change at 50, and the ends of the tolerance on it.

    An end that is unknown or beyond the line is at the end of the line.
    """

    at: float
    left: float
    right: float
    same_from: float
    same_to: float


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One metric as the texts of its row."""

    key: str
    gating: bool
    tone: str
    sign: str
    decision: str
    baseline: str
    candidate: str
    change: str
    interval: str
    picture: IntervalPicture | None


def render_comparison_page(
    comparison: BuildComparison, charts: Sequence[Chart], percentiles: PercentileOverlay, tolerance: Tolerance
) -> str:
    """The whole page as HTML text.

    Args: charts: of both builds over time; percentiles: of the requests of both builds.
    """
    sentence = headline(comparison)
    rows = [_row(found, comparison) for found in comparison.metrics]
    over_time = Section(
        "over_time", "How did both builds behave over time?",
        "Both builds of every run, from the start of the arrivals.", figures=tuple(charts),
    )  # fmt: skip
    return sealed(
        page_environment()
        .get_template("compare.html.j2")
        .render(
            title=comparison.candidate[-1].meta.title,
            version=__version__,
            tone=_TONES[comparison.answer],
            sign=SIGNS[_TONES[comparison.answer]],
            badge=comparison.answer.upper(),
            sentence=_without_badge(sentence),
            arms=f"{_runs(comparison.candidate)} against {_runs(comparison.baseline)} of the baseline",
            conditions=conditions(comparison),
            deciding=[row for row in rows if row.gating],
            others=[row for row in rows if not row.gating],
            over_time=render_sections([over_time])[0] if charts else None,
            percentiles=percentiles,
            curve=None if percentiles.chart is None else render_chart(percentiles.chart, "curve"),
            script=Markup(page_script()),  # noqa: S704  our own
            styles=Markup(page_styles()),  # noqa: S704  our own
            runs=_runs_table(comparison),
            tolerance=both_tolerances(tolerance),
            signs=SIGNS,
            pens=[*STYLES.values(), *CYCLE],
        )
    )


def _without_badge(sentence: str) -> str:
    text = sentence.partition(": ")[2]
    return f"{text[:1].upper()}{text[1:]}"


def _runs(runs: Sequence[RunFacts]) -> str:
    return format_counted(len(runs), "run")


def _row(found: MetricComparison, comparison: BuildComparison) -> ComparedRow:
    metric = found.metric
    return ComparedRow(
        one_line(metric.key, 140),
        metric.key in comparison.gating,
        _DECISION_TONES.get(str(found.decision), "lead"),
        DECISION_SIGNS[found.decision],
        decision_text(found),
        value_text(metric, found.baseline),
        value_text(metric, found.candidate),
        change_text(found),
        interval_text(found),
        _picture(found),
    )


def _picture(found: MetricComparison) -> IntervalPicture | None:
    shown = found.difference if by_difference(found.metric) else found.ratio
    if shown is None:
        return None
    tolerance = max(found.tolerance, _SMALLEST_TOLERANCE)
    middle = 0.0 if by_difference(found.metric) else 1.0

    def place(value: float | None, otherwise: float) -> float:
        if value is None:
            return otherwise
        return min(100.0, max(0.0, 50 + 50 * (value - middle) / (_REACH * tolerance)))

    half = 50 * found.tolerance / (_REACH * tolerance)
    return IntervalPicture(
        place(shown.value, 50.0), place(shown.low, 0.0), place(shown.high, 100.0), 50 - half, 50 + half
    )


def _runs_table(comparison: BuildComparison) -> Table:
    columns = ("Build", "Run", "Started", "Target", "Seed", "Commit")
    rows = tuple(
        (
            build, one_line(run.name), started_at(run.meta), one_line(run.meta.target_url, 80),
            str(run.meta.seed), run.meta.git_commit or "–",
        )
        for build, runs in (("baseline", comparison.baseline), ("candidate", comparison.candidate))
        for run in runs
    )  # fmt: skip
    return Table("The runs", tuple(map(Column, columns)), rows)
