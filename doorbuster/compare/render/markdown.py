"""A comparison as Markdown for a comment on a pull request."""

from __future__ import annotations

from doorbuster import __version__
from doorbuster.compare.build_comparison import BuildComparison
from doorbuster.compare.metric_comparison import Decision, MetricComparison, Tolerance
from doorbuster.compare.render.terminal import conditions, shown_metrics
from doorbuster.compare.wording import (
    both_tolerances,
    change_text,
    decision_text,
    headline,
    interval_text,
    value_text,
)
from doorbuster.output import one_line
from doorbuster.report.formatting import markdown_text
from doorbuster.report.render.markdown import markdown_row

_ICONS = {"regression": "❌", "undecided": "❔", "no regression": "✅"}
DECISION_SIGNS = {
    Decision.WORSE: "✗",
    Decision.BETTER: "✓",
    Decision.SAME: "=",
    Decision.DIFFERENT: "≠",
    Decision.CANNOT_TELL: "?",
}
_MOST_ROWS = 40  # keeps a comment well below the 65,536 characters that code hosts accept


def render_comparison_markdown(comparison: BuildComparison, tolerance: Tolerance) -> str:
    """Answer, conditions and the metrics that decide or changed, worst first."""
    shown = shown_metrics(comparison, every=False)
    lines = [f"### {_ICONS[comparison.answer]} {markdown_text(headline(comparison))}", ""]
    lines += [f"- {markdown_text(one_line(text, 400))}" for text in conditions(comparison)]
    lines += [
        "",
        "| | Metric | Baseline | Candidate | Change | 95 % interval |",
        "|---|---|--:|--:|--:|--:|",
        *(_row(found, comparison) for found in shown[:_MOST_ROWS]),
        "",
    ]
    rest = len(comparison.metrics) - min(len(shown), _MOST_ROWS)
    arms = f"{len(comparison.baseline)} baseline and {len(comparison.candidate)} candidate runs"
    about = (
        f"{arms} · bold metrics decide · tolerance {both_tolerances(tolerance)} · "
        f"{rest} more metrics in compare.html · doorbuster {__version__}"
    )
    return "\n".join([*lines, f"<sub>{markdown_text(about)}</sub>", ""])


def _row(found: MetricComparison, comparison: BuildComparison) -> str:
    metric = found.metric
    name = markdown_text(one_line(metric.key, 120))
    return markdown_row((
        f"{DECISION_SIGNS[found.decision]} {markdown_text(decision_text(found))}",
        f"**{name}**" if metric.key in comparison.gating else name,
        markdown_text(value_text(metric, found.baseline)),
        markdown_text(value_text(metric, found.candidate)),
        markdown_text(change_text(found)),
        markdown_text(interval_text(found)),
    ))  # fmt: skip
