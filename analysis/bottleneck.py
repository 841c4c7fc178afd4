"""Which resource of the target ran out, and how long before customers noticed?

    python analysis/bottleneck.py reports/<run>

From what was observed at the target (`observe`): utilisation, saturation and errors of each resource, second
by second, beside the latency of the requests due in that second. A resource is named only if it was full when
customers noticed. A resource that nobody observed cannot be named.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbuster.output import one_line
from doorbuster.records.histogram import middle_us
from doorbuster.records.observed_reader import ObservedSeries
from doorbuster.records.outcome import RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    Annotation,
    CauseEvidence,
    Chart,
    Column,
    Metric,
    Section,
    Series,
    Table,
    not_applicable,
    present,
    table,
)
from doorbuster.stats.bottleneck import (
    FULL_RATIO,
    WINDOW_S,
    Bottleneck,
    CustomerView,
    ResourceFinding,
    ResourceHistory,
    find_bottleneck,
    window_means,
)
from doorbuster.units import format_count, format_duration, format_ratio

QUESTION = "Which resource of the target ran out?"
MAX_RESOURCES = 200
MAX_LINES = 5
MAX_NAME = 80
MAX_SECONDS = 7 * 86_400
READING_ERROR = 0.2
ROLES = ("utilisation", "saturation", "errors")
EVENT_KIND = "observe"


def analyse(context: RunContext) -> Section:
    run = context.run
    series = run.observed()
    if not series:
        return not_applicable(
            "bottleneck", QUESTION, "Unknown: nothing was observed at the target.", _metrics(None)
        )
    histories = _histories(series, min(run.recorded_s, MAX_SECONDS))
    problems = _source_problems(run, series)
    if not histories:
        sentence = "Unknown: what was observed names no resources; add them to the scenario's `observe`."
        return Section(
            "bottleneck",
            QUESTION,
            sentence,
            group="Performance",
            order=345,
            metrics=_metrics(None),
            findings=problems,
        )
    affected = _affected_step(run, min(run.recorded_s, MAX_SECONDS))
    found = find_bottleneck(histories, affected.view)
    return Section(
        name="bottleneck",
        question=QUESTION,
        sentence=_sentence(found),
        group="Performance",
        order=345,
        figures=present(_chart(found, histories), _latency_chart(found, affected)),
        tables=present(_table(found)),
        metrics=_metrics(found),
        findings=(*_findings(found), *problems),
        causes=_causes(found),
    )


def _histories(series: Sequence[ObservedSeries], length: int) -> tuple[ResourceHistory, ...]:
    """The resources that were observed, at most MAX_RESOURCES, each side by second."""
    sides: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for one in series:
        name = one_line(one.labels.get("resource", ""), MAX_NAME)
        if one.name not in ROLES or not name or (name not in sides and len(sides) >= MAX_RESOURCES):
            continue
        column = sides[name].setdefault(one.name, np.full(length, np.nan))
        inside = (one.seconds >= 0) & (one.seconds < length)
        values = one.values[inside]
        if one.name == "utilisation":  # readings are not exactly a second apart
            values = np.where(values < 1.0 + READING_ERROR, np.minimum(values, 1.0), values)
        column[one.seconds[inside]] = values
    return tuple(ResourceHistory(name, **columns) for name, columns in sides.items())


@dataclass(frozen=True, slots=True, eq=False)
class AffectedStep:
    """The step whose requests took the most additional time, and what its customers saw.

    view: by second of the intended start; failures and answers are those of all requests.
    """

    step: str
    view: CustomerView


def _affected_step(run: Run, length: int) -> AffectedStep:
    """The step to look at: a mean over all steps would hide a slow payment among quick pages."""
    sums: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(length))
    n: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(length))
    outcomes: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(length))
    found = run.histograms_by(lambda series: (series.step, series.outcome), "response", 1)
    for ((step, outcome), second), times in found.items():
        if 0 <= second < length:
            outcomes[outcome][second] += times.n
            if outcome != RequestOutcome.FAILED:
                sums[step][second] += float(middle_us(times.bins) @ times.bin_counts) / 1e3
                n[step][second] += times.n
    answered, total = outcomes[RequestOutcome.OK], sum(outcomes.values(), np.zeros(length))
    with np.errstate(invalid="ignore", divide="ignore"):
        failed = np.where(total > 0, (total - answered) / total, np.nan)
        latency = {step: sums[step] / n[step] for step in sums}
    worst = max(latency, key=lambda step: _additional_ms(latency[step], n[step]), default="")
    shown = latency.get(worst, np.full(length, np.nan))
    return AffectedStep(worst, CustomerView(shown, failed, answered))


def _additional_ms(latency_ms: np.ndarray, n: np.ndarray) -> float:
    """The time of a step's requests beyond the one they take in calm."""
    known = ~np.isnan(latency_ms)
    if not known.any():
        return 0.0
    beyond = latency_ms[known] - np.quantile(latency_ms[known], 0.25)
    return float(np.maximum(beyond, 0.0) @ n[known])


def _source_problems(run: Run, series: Sequence[ObservedSeries]) -> tuple[str, ...]:
    """What the sources of `observe` could not read."""
    found = [event.text for event in run.events() if event.kind == EVENT_KIND]
    sentences = [f"{text[:1].upper()}{text[1:]}." for text in dict.fromkeys(found)]
    for one in series:
        if one.name == "up" and (one.values == 0).any():
            missed = format_ratio(float((one.values == 0).mean()))
            sentences.append(f"Source {one.source} could not be read in {missed} of its turns.")
    return tuple(sentences[:10])


# ---- words


def _sentence(found: Bottleneck) -> str:
    n = _resources(len(found.resources))
    fullest = _fullest(found)
    share = "" if fullest is None else format_ratio(fullest.highest or 0.0)
    reached = "" if fullest is None else f"the fullest, {fullest.name}, reached {share}"
    if found.named is not None:
        return f"{_capital(found.named.name)}: {_fullness(found.named)}, {_timing(found)}."
    if found.noticed_s is None:
        return f"None of {n}: neither latency nor failures rose during the run{reached and f'; {reached}'}."
    at = format_duration(found.noticed_s)
    return (
        f"Unexplained: customers noticed at {at}, but none of {n} was full then{reached and f'; {reached}'}."
    )


def _fullest(found: Bottleneck) -> ResourceFinding | None:
    return next((one for one in found.resources if one.highest is not None), None)


def _resources(n: int) -> str:
    return "the one observed resource" if n == 1 else f"the {n} observed resources"


def _fullness(one: ResourceFinding) -> str:
    if one.highest is None:
        return f"work waited for it from {format_duration(one.full_from_s or 0)} on"
    full = f"full from {format_duration(one.full_from_s or 0)} on"
    # Readings that are not exactly a second apart can exceed 100 %.
    return full if one.highest > 1 else f"{full} (up to {format_ratio(one.highest)})"


def _timing(found: Bottleneck) -> str:
    warning_s = found.warning_s or 0
    if abs(warning_s) < 1:
        return "when customers noticed"
    text = format_duration(abs(warning_s))
    return f"{text} before customers noticed" if warning_s > 0 else f"{text} after customers noticed"


def _causes(found: Bottleneck) -> tuple[CauseEvidence, ...]:
    one = found.named
    if one is None:
        return ()
    tracking = "; the latency rose with its use" if one.tracks else ""
    evidence = f"{_capital(one.name)}: {_fullness(one)}, {_timing(found)}{tracking}."
    advice = f"Add capacity to {one.name}, or use less of it per request."
    because = f"the limit of {one.name} was reached"
    share = one.in_trouble if one.in_trouble is not None else one.highest
    return (
        CauseEvidence(
            "slow", one.name, because, evidence, advice, None if share is None else min(share, 1.0)
        ),
    )


def _tracking(one: ResourceFinding, n: int) -> str:
    found = one.correlation
    if found is None:
        return "it did not vary, so no correlation with the latency is known"
    ahead = f", {found.lag} s ahead" if found.lag else ""
    rho = f"rank correlation with the latency {found.rho:.2f}{ahead}"
    p = one.p_adjusted or 0.0
    corrected = f"corrected for {n} resource{'s' * (n != 1)} and {found.lags} lags"
    if one.tracks:
        return f"{rho} (p {_p(p)}, {corrected}, {found.effective_n:.0f} independent seconds of {found.n})"
    return (
        f"{rho}, which {found.effective_n:.0f} independent seconds of {found.n} cannot prove "
        f"(p {_p(p)}, {corrected})"
    )


def _p(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.2g}"


def _findings(found: Bottleneck) -> list[str]:
    errors = [
        f"{_capital(one.name)}: {format_count(round(one.errors))} errors."
        for one in found.resources
        if one.errors >= 1
    ]
    law = [_law_sentence(found.named)] if found.named is not None and found.named.law is not None else []
    tracking = []
    if found.named is not None:
        tracking = [f"{_capital(found.named.name)}: {_tracking(found.named, len(found.resources))}."]
    others = [one for one in found.resources if one is not found.named and one.full_from_s is not None]
    full = [f"Also full: {one.name}, from {format_duration(one.full_from_s or 0)} on." for one in others[:3]]
    return [*tracking, *errors, *law, *full]


def _law_sentence(one: ResourceFinding) -> str:
    law = one.law
    assert law is not None, "the caller looked"
    interval = (
        "" if math.isinf(law.high_per_s) else f" (95 % interval {law.low_per_s:.3g} to {law.high_per_s:.3g})"
    )
    if law.correlation < 0.5:
        return (
            f"Utilisation law: below its limit, the use of {one.name} did not follow the answered requests "
            f"(correlation {law.correlation:.2f}, {law.seconds} s), so something else used it as well."
        )
    return (
        f"Utilisation law: below its limit, the use of {one.name} grew with the answered requests, which "
        f"makes it full at {law.full_at_per_s:.3g} requests/s{interval}."
    )


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


# ---- tables, charts, metrics


def _table(found: Bottleneck) -> Table | None:
    def law(one: ResourceFinding) -> Metric:
        if one.law is None or one.law.correlation < 0.5:
            return Metric(None, "per_s")
        high = None if math.isinf(one.law.high_per_s) else one.law.high_per_s
        return Metric(one.law.full_at_per_s, "per_s", one.law.low_per_s, high, one.law.seconds)

    return table(
        "Resources of the target",
        found.resources,
        {
            "Resource": lambda one: one.name,
            Column("Highest utilisation", "ratio"): lambda one: one.highest,
            Column("Full from", "clock"): lambda one: one.full_from_s,
            "Waiting, at most": lambda one: one.waiting,
            "Errors": lambda one: round(one.errors),
            "Rank correlation": lambda one: (
                None if one.correlation is None else round(one.correlation.rho, 2)
            ),
            Column("Ahead by", "s"): lambda one: (
                None if one.correlation is None else float(one.correlation.lag)
            ),
            "p, corrected": lambda one: None if one.p_adjusted is None else _p(one.p_adjusted),
            "Full at": law,
        },
        f"Utilisation and waiting are means over {WINDOW_S} s, full is {format_ratio(FULL_RATIO)} or more. "
        "The correlation is Spearman's with the mean latency at the best lag; p counts independent seconds "
        "(Pyper and Peterman, 1998) and is corrected for the lags and "
        f"for {len(found.resources)} resources (Holm). What grows with the load correlates with the latency, "
        "cause or not. Full at: requests answered per second, by the utilisation law.",
    )


def _chart(found: Bottleneck, histories: Sequence[ResourceHistory]) -> Chart | None:
    by_name = {one.name: one for one in histories}
    shown = [one for one in found.resources if one.highest is not None][:MAX_LINES]
    if not shown:
        return None
    lines, length = [], 0
    for one in shown:
        used = by_name[one.name].utilisation
        assert used is not None, "it has a highest value"
        means = window_means(used)
        length = means.size
        y = tuple(None if np.isnan(value) else min(float(value), 1.5) for value in means)
        lines.append(Series(one.name, y, "bad" if one is found.named else "auto"))
    title = "No resource was full"
    if found.named is not None and found.named.highest is not None:
        title = f"{_capital(found.named.name)}: full from {format_duration(found.named.full_from_s or 0)} on"
    noticed = () if found.noticed_s is None else (Annotation(float(found.noticed_s), "customers notice"),)
    return Chart(
        "lines", title, "time", "utilisation", tuple(float(second) for second in range(length)), tuple(lines),
        y_unit="ratio", moments=noticed, bounds=(Annotation(FULL_RATIO, "full"),),
        note=f"Means over {WINDOW_S} s; the {len(shown)} fullest of {len(found.resources)} resources.",
    )  # fmt: skip


def _latency_chart(found: Bottleneck, affected: AffectedStep) -> Chart | None:
    means = window_means(affected.view.latency_ms)
    if np.isnan(means).all():
        return None
    y = tuple(None if np.isnan(value) else float(value) for value in means)
    noticed = () if found.noticed_s is None else (Annotation(float(found.noticed_s), "customers notice"),)
    title = "Customers noticed nothing"
    if found.noticed_s is not None:
        title = f"Customers noticed at {format_duration(found.noticed_s)}"
    return Chart(
        "lines", title, "time", "mean latency", tuple(float(second) for second in range(means.size)),
        (Series(affected.step, y),), y_unit="ms", moments=noticed,
        note=f"Of step {affected.step}, which took the most additional time. Requests by intended start, "
        f"abandoned ones up to their end; means over {WINDOW_S} s.",
    )  # fmt: skip


def _metrics(found: Bottleneck | None) -> dict[str, Metric]:
    named = None if found is None else found.named
    fullest = None if found is None else _fullest(found)
    correlation = None if named is None else named.correlation
    count = None if found is None else float(len(found.resources))
    warning_s = None if found is None or found.warning_s is None else float(found.warning_s)
    return {
        "resources": Metric(count, "count", meaning="resources observed"),
        "bottlenecks": Metric(
            None if found is None else float(named is not None),
            "count",
            meaning="1 if a resource was full when customers noticed, else 0",
        ),
        "highest_utilisation": Metric(
            None if fullest is None else fullest.highest,
            "ratio",
            meaning=f"of the fullest resource, mean over {WINDOW_S} s",
        ),
        "warning_time": Metric(
            warning_s, "s", meaning="from the moment the bottleneck was full until customers noticed"
        ),
        "correlation": Metric(
            None if correlation is None else correlation.rho,
            n=None if correlation is None else correlation.n,
            meaning="rank correlation of the bottleneck with the latency",
        ),
    }


if __name__ == "__main__":
    main(analyse)
