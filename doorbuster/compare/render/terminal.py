"""A comparison in the terminal: answer, conditions, and the metrics that decide or changed, worst first."""

from __future__ import annotations

from collections.abc import Sequence

from doorbuster.compare.build_comparison import BuildComparison
from doorbuster.compare.comparability import RunFacts
from doorbuster.compare.metric_comparison import Decision, MetricComparison
from doorbuster.compare.wording import change_text, headline, interval_text, short_decision, value_text
from doorbuster.output import one_line, say
from doorbuster.report.render.terminal import print_section
from doorbuster.report.section import Column, Section, Table
from doorbuster.units import format_counted

_COLOURS = {"regression": "red", "undecided": "yellow", "no regression": "green"}
_MOST_OTHERS = 12
_CHANGED = (Decision.WORSE, Decision.BETTER, Decision.DIFFERENT)


def print_comparison(comparison: BuildComparison, *, every: bool = False) -> None:
    """Print the comparison; `every` includes metrics that neither decide nor changed."""
    shown = shown_metrics(comparison, every=every)
    others = [one for one in shown if one.metric.key not in comparison.gating]
    others = others if every else others[:_MOST_OTHERS]
    parts = {
        "Metrics that decide, worst first": [one for one in shown if one.metric.key in comparison.gating],
        "Other metrics" + ("" if every else " that changed"): others,
    }
    section = Section(
        "comparison",
        f"{_runs(comparison.candidate)} against {_runs(comparison.baseline)} of the baseline",
        headline(comparison),
        findings=conditions(comparison),
        tables=tuple(metrics_table(title, part) for title, part in parts.items() if part),
    )
    print_section(section)
    hidden = len(comparison.metrics) - sum(map(len, parts.values()))
    if hidden:
        say(f"  {hidden} more metrics are in compare.html and compare.json; --all-metrics prints them")
    say(headline(comparison), style=f"bold {_COLOURS[comparison.answer]}")


def _runs(runs: Sequence[RunFacts]) -> str:
    return format_counted(len(runs), "run")


def conditions(comparison: BuildComparison) -> tuple[str, ...]:
    """The issues and cautions of the comparison, and why they were overruled."""
    found = [
        f"{'cannot be compared' if issue.blocking else 'note'}: {issue.sentence}"
        for issue in comparison.issues
    ]
    if comparison.despite:
        found.append(f"compared despite this, because: {comparison.despite}")
    return tuple(found)


def shown_metrics(comparison: BuildComparison, *, every: bool) -> tuple[MetricComparison, ...]:
    """Those that decide or changed, worst first; all with `every`."""
    return tuple(
        found
        for found in comparison.metrics
        if every or found.metric.key in comparison.gating or found.decision in _CHANGED
    )


def metrics_table(title: str, shown: Sequence[MetricComparison]) -> Table:
    """The metrics as a table."""
    columns = ("Metric", "Baseline", "Candidate", "Change", "95 % interval", "Decision")
    rows = tuple(
        (
            one_line(found.metric.key, 100),
            value_text(found.metric, found.baseline),
            value_text(found.metric, found.candidate),
            change_text(found),
            interval_text(found),
            short_decision(found),
        )
        for found in shown
    )
    why = "; ".join(f"{reason}: {', '.join(names)}" for reason, names in _by_reason(shown).items())
    return Table(title, tuple(map(Column, columns)), rows, note=why)


def _by_reason(shown: Sequence[MetricComparison]) -> dict[str, list[str]]:
    """The names of the metrics by the reason for their decision."""
    found: dict[str, list[str]] = {}
    for one in shown:
        if one.reason:
            found.setdefault(one.reason, []).append(one_line(one.metric.key, 100))
    return found
