"""A comparison in words: names of metrics, changes with their intervals, decisions, and the one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from doorbuster.compare.build_comparison import BuildComparison
from doorbuster.compare.metric_comparison import Decision, MetricComparison, Tolerance, by_difference
from doorbuster.compare.run_metric import RunMetric
from doorbuster.report.formatting import NOT_KNOWN, format_value
from doorbuster.report.section import Unit
from doorbuster.scenario.thresholds.metrics import METRICS
from doorbuster.stats.difference import ValueWithInterval

_UNITS: dict[str, Unit] = {"ms": "ms", "ratio": "ratio", "count": "count", "per_s": "per_s", "value": ""}
_SEVERAL = 2


def metric_name(metric: RunMetric) -> str:
    """ "p95 response time, step checkout", for sentences."""
    definition = METRICS.get(metric.metric)
    if definition is not None and definition.kind == "trend":
        name = f"{_short(metric.aggregation)} {definition.wording.noun}"
    else:
        name = metric.metric
    return ", ".join([name, *(f"{tag.name} {tag.value}" for tag in metric.tags)])


def _short(aggregation: str) -> str:
    if aggregation in ("p(50)", "med"):
        return "median"
    if aggregation.startswith("p("):
        return f"p{aggregation[2:-1]}"
    return {"avg": "mean", "typical": "typical", "min": "shortest", "max": "longest"}.get(
        aggregation, aggregation
    )


def value_text(metric: RunMetric, value: float | None) -> str:
    """A value of the metric with its unit."""
    return format_value(value, _UNITS[metric.unit])


def change_text(found: MetricComparison) -> str:
    """ "+14.2 %", or "−2.1 pp" (percentage points) of a share."""
    return NOT_KNOWN if found.ratio is None and found.difference is None else _form(found, "value")


def interval_text(found: MetricComparison) -> str:
    """ "+11.0 to +17.1 %", "?" for an unknown end."""
    shown = _shown(found)
    if shown is None or (shown.low is None and shown.high is None):
        return NOT_KNOWN
    unit = " pp" if by_difference(found.metric) else " %"
    return f"{_form(found, 'low').removesuffix(unit)} to {_form(found, 'high')}"


def _shown(found: MetricComparison) -> ValueWithInterval | None:
    return found.difference if by_difference(found.metric) else found.ratio


def _form(found: MetricComparison, end: str) -> str:
    shown = _shown(found)
    value = None if shown is None else getattr(shown, end)
    if value is None:
        return "?"
    if by_difference(found.metric):
        return f"{_signed(value * 100, 2)} pp"
    return f"{_signed((value - 1) * 100, 1)} %"


def _signed(value: float, digits: int) -> str:
    text = f"{abs(value):,.{digits}f}"
    sign = "" if float(text.replace(",", "")) == 0 else "+" if value > 0 else "−"
    return f"{sign}{text}"


def tolerance_text(found: MetricComparison) -> str:
    """ "5 %" or "1 point"."""
    number = f"{found.tolerance * 100:.3g}"
    if not by_difference(found.metric):
        return f"{number} %"
    return f"{number} point{'' if number == '1' else 's'}"


def both_tolerances(tolerance: Tolerance) -> str:
    """ "5 % or 1 point"."""
    points = f"{tolerance.points * 100:.3g}"
    return f"{tolerance.ratio * 100:.3g} % ({points} point{'' if points == '1' else 's'} for shares)"


def decision_text(found: MetricComparison) -> str:
    """ "same within 5 %", "cannot tell (about 4 more runs of each build)"."""
    if found.decision == Decision.SAME:
        return f"same within {tolerance_text(found)}"
    if found.decision != Decision.CANNOT_TELL:
        return str(found.decision)
    details = [found.reason] if found.reason else []
    if found.needed_runs is not None:
        what = "pair" if found.basis == "pairs" else "run"
        each = "" if found.basis == "pairs" else " of each build"
        details.append(f"needs about {found.needed_runs} more {_plural(what, found.needed_runs)}{each}")
    return f"{found.decision} ({'; '.join(details)})" if details else str(found.decision)


def short_decision(found: MetricComparison) -> str:
    """ "cannot tell (4 more runs needed)": the decision without its reason."""
    if found.decision != Decision.CANNOT_TELL or found.needed_runs is None:
        return decision_text(replace(found, reason=""))
    what = _plural("pair" if found.basis == "pairs" else "run", found.needed_runs)
    return f"{found.decision} ({found.needed_runs} more {what} needed)"


def headline(comparison: BuildComparison) -> str:
    """The answer in one sentence."""
    gating = comparison.gating_metrics
    if comparison.is_blocked:
        blocking = [issue for issue in comparison.issues if issue.blocking]
        more = f" ({len(blocking) - 1} more under conditions)" if len(blocking) > 1 else ""
        return f"UNDECIDED: the runs cannot be compared, because {blocking[0].sentence}{more}."
    if comparison.answer == "regression":
        worse = [found for found in gating if found.decision == Decision.WORSE]
        others = len(worse) - 1
        verb = "is" if others == 1 else "are"
        more = f"; {others} more gating {_plural('metric', others)} {verb} worse" if others else ""
        return f"REGRESSION: {change_sentence(worse[0])}{more}."
    unknown = [found for found in gating if found.decision == Decision.CANNOT_TELL]
    if comparison.answer == "undecided":
        if not gating:
            return "UNDECIDED: no gating metric was measured; name others with --gate."
        return f"UNDECIDED: {_undecided(unknown, len(gating))}."
    return f"NO REGRESSION: {_no_regression(gating)}."


def change_sentence(found: MetricComparison) -> str:
    """ "p95 response time is 14.2 % higher (95 % interval +11.0 to +17.1 %; 1.2 s, was 1.05 s)"."""
    metric, shown = found.metric, _shown(found)
    assert shown is not None, "a decided metric has an effect"
    rises = shown.value > (0 if by_difference(metric) else 1)
    size = _form(found, "value").lstrip("+−")
    values = f"{value_text(metric, found.candidate)}, was {value_text(metric, found.baseline)}"
    return (
        f"{metric_name(metric)} is {size} {'higher' if rises else 'lower'} "
        f"(95 % interval {interval_text(found)}; {values})"
    )


def _undecided(unknown: Sequence[MetricComparison], gating: int) -> str:
    known_needs = [found.needed_runs for found in unknown if found.needed_runs is not None]
    names = [metric_name(found.metric) for found in unknown[:_SEVERAL]]
    rest = len(unknown) - len(names)
    which = f"{', '.join(names)}{f' and {rest} more' if rest else ''}"
    text = f"the runs do not show whether {len(unknown)} of {gating} gating metrics changed: {which}"
    if len(known_needs) < len(unknown):
        return text
    most = max(known_needs)
    what = "pair" if unknown[0].basis == "pairs" else "run"
    each = "" if what == "pair" else " of each build"
    return f"{text}; about {most} more {_plural(what, most)}{each} would"


def _no_regression(gating: Sequence[MetricComparison]) -> str:
    better = [found for found in gating if found.decision == Decision.BETTER]
    same = len(gating) - len(better)
    tolerances = " or ".join(
        sorted({tolerance_text(found) for found in gating if found.decision != Decision.BETTER}, reverse=True)
    )
    parts = [f"{same} of {len(gating)} gating metrics are the same within {tolerances}"] if same else []
    parts += [f"{len(better)} {'is' if len(better) == 1 else 'are'} better"] if better else []
    return " and ".join(parts)


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
