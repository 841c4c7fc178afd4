"""How does throughput grow with concurrency, or capacity with the size of the shop, and how many are needed?

    python analysis/scalability.py reports/<sweep>

Reads the result of `doorbuster capacity SCENARIO --concurrency 1,2,4,...` or `doorbuster scale
SIZE=RESULT...` (scaling.json). Compares three models: linear, Amdahl's law (contention), and the Universal
Scalability Law (contention and coherency), the only one with a peak. Sweeps are fitted with absolute and
relative weights: absolute fits almost ignore small loads, relative ones do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from doorbuster.capacity.result_file import SCALING_FILE, ScalingResult, find_scaling
from doorbuster.capacity.scaling import Scaling, needed, scale
from doorbuster.capacity.usl import MIN_POINTS, ParameterInterval
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    Annotation,
    Cell,
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
from doorbuster.units import format_ratio

LAWS = {"usl": "the Universal Scalability Law", "amdahl": "Amdahl's law", "linear": "a straight line"}
NAMES = {"usl": "Universal Scalability Law", "amdahl": "Amdahl's law", "linear": "straight line"}
CURVE_POINTS = 40
MIN_MISSED = 2  # of six to ten points, one may miss the model by more than its interval by chance
QUESTION = {
    "sweep": "How does throughput grow with concurrency?",
    "sizes": "How does the capacity grow with the size of the shop?",
}


@dataclass(frozen=True, slots=True)
class AxisNames:
    """Names of the two axes."""

    n: str
    per_s: str


AXES = {"sweep": AxisNames("customers at a time", "requests"), "sizes": AxisNames("instances", "customers")}


def analyse(context: RunContext) -> Section:
    """The scaling law of the sweep or comparison that this run belongs to."""
    run = context.run
    found = find_scaling(run.path)
    if found is None or not found.points:
        metrics = {"peak_n": Metric(None, "", meaning="size at which throughput peaks")}
        why = "This run is not part of a sweep; `doorbuster capacity --concurrency 1,2,4,8` runs one."
        return not_applicable("scalability", QUESTION["sweep"], why, metrics)
    fits = _fits(found)
    chosen = fits.get("relative" if found.kind == "sizes" else "absolute")
    return Section(
        name="scalability",
        group="Capacity",
        order=110,
        question=QUESTION[found.kind],
        sentence=_sentence(found, chosen),
        findings=_findings(found, chosen),
        figures=present(_chart(found, chosen), _residual_chart(found, chosen)),
        tables=present(_point_table(found, chosen), _law_table(chosen), _parameter_table(fits)),
        metrics=_metrics(found, chosen),
        headline=(run.path.parent / SCALING_FILE).is_file(),
    )


def _fits(found: ScalingResult) -> dict[str, Scaling | None]:
    n, per_s = [point.n for point in found.points], [point.per_s for point in found.points]
    if min(per_s) <= 0:
        return {}
    ends = [(point.low, point.high) for point in found.points]
    relative = scale(n, per_s, weighting="relative", ends=ends)
    return {"relative": relative, "absolute": scale(n, per_s, weighting="absolute", ends=ends)}


def _sentence(found: ScalingResult, chosen: Scaling | None) -> str:
    axis, first, last = AXES[found.kind], found.points[0], found.points[-1]
    best = max(found.points, key=lambda point: point.per_s)
    text = (
        f"The highest throughput was {best.per_s:.4g} {axis.per_s} per second, with {best.n:g} {axis.n} "
        f"({first.n:g} to {last.n:g} were tried)"
    )
    if found.kind == "sizes":
        enough = " ".join(_enough(found, chosen)[:1])
        text = (
            f"Capacity is {first.per_s:.4g} customers per second with a size of {first.n:g} and "
            f"{last.per_s:.4g} with {last.n:g}. {enough}"
        ).rstrip(". ")
    if chosen is None:
        return f"{text}; a scaling law needs {MIN_POINTS} different sizes."
    return f"{text}. {_peak_words(found, chosen)}"


def _peak_words(found: ScalingResult, chosen: Scaling) -> str:
    axis, law = AXES[found.kind], chosen.law
    if law.family != "usl" and _missed(found, chosen) >= MIN_MISSED:
        return "The points show no peak, and no law fits them."
    if law.family != "usl":
        return f"The points show no peak: {LAWS[law.family]} fits as well."
    beyond = " (extrapolated)" if law.extrapolated else ""
    return (
        f"Throughput peaks at {law.curve.peak_n:.3g} {axis.n}{_ends(chosen.intervals.peak_n)} with "
        f"{law.curve.peak_per_s:.4g} per second{beyond}; beyond that it falls."
    )


def _missed(found: ScalingResult, chosen: Scaling) -> int:
    """The number of points whose interval the law misses."""
    predicted = chosen.law.curve.throughput_per_s
    return sum(
        not point.low <= predicted(point.n) <= point.high
        for point in found.points
        if point.low is not None and point.high is not None
    )


def _ends(interval: ParameterInterval) -> str:
    low, high = ("unknown" if end is None else f"{end:.3g}" for end in (interval.low, interval.high))
    return f" (95 % interval {low} to {high})"


def _findings(found: ScalingResult, chosen: Scaling | None) -> tuple[str, ...]:
    lines = [] if found.finished else ["The sweep was interrupted; the result is incomplete."]
    if chosen is not None and chosen.usl.on_bound:
        lines.append(
            f"{' and '.join(chosen.usl.on_bound)} of the full law is at its bound: the points show none."
        )
    if chosen is not None:
        share = chosen.law.residual_sd / max(point.per_s for point in found.points)
        if chosen.law.weighting == "relative":
            share = chosen.law.residual_sd
        lines.append(f"The points lie within about {format_ratio(2 * share)} of {LAWS[chosen.law.family]}.")
        missed = _missed(found, chosen)
        if missed >= MIN_MISSED:
            lines.append(
                f"{missed} of the {len(found.points)} points miss it by more than their intervals: rely on "
                "the points, not on the law."
            )
    return (*lines, *_enough(found, chosen)[1:])


def _enough(found: ScalingResult, chosen: Scaling | None) -> tuple[str, ...]:
    """Instances needed for the demand, and for the upper end of its interval."""
    if found.kind != "sizes" or not found.demand_per_s:
        return ()
    demands = (("the peak", found.demand_per_s), ("the upper end of its interval", found.demand_high_per_s))
    lines = []
    for label, wanted in demands:
        if wanted is None:
            continue
        answer = needed(chosen, _certain(found), wanted)
        beyond = " (extrapolated)" if answer.extrapolated else ""
        basis = "by this law" if answer.fitted else "as measured, with 95 % certainty"
        need = f"{answer.size} instances are needed{beyond}, {basis}"
        if answer.size is None:
            need = "none of the tried sizes is certainly enough"
            need = "no number of instances is enough, by this law" if answer.fitted else need
        lines.append(f"For {label}, {wanted:.4g} customers per second, {need}.")
    return tuple(lines)


def _certain(found: ScalingResult) -> list[tuple[float, float]]:
    """Each size with the rate that it certainly reaches."""
    return [(point.n, point.low if point.low is not None else 0.0) for point in found.points]


def _metrics(found: ScalingResult, chosen: Scaling | None) -> dict[str, Metric]:
    count = len(found.points)
    best = max(found.points, key=lambda point: point.per_s)
    metrics = {
        "most_per_s": Metric(best.per_s, "per_s", best.low, best.high, count, "highest measured rate"),
        "peak_n": Metric(None, "", n=count, meaning="size at which throughput peaks, if it was tried"),
    }
    if chosen is None:
        return metrics
    for name, parameter, meaning in (
        ("contention", "alpha", "contention: share of serialised work (alpha)"),
        ("coherency", "beta", "coherency: cost of keeping pairs consistent (beta)"),
    ):
        metrics[name] = _parameter(chosen, parameter, count, meaning)
    if chosen.law.family == "usl" and not chosen.law.extrapolated:
        metrics["peak_n"] = _parameter(chosen, "peak_n", count, "size at which throughput peaks")
    if found.kind == "sizes" and found.demand_per_s:
        answer = needed(chosen, _certain(found), found.demand_per_s)
        metrics["needed"] = Metric(answer.size, "count", n=count, meaning="instances needed for the peak")
    return metrics


def _chart(found: ScalingResult, chosen: Scaling | None) -> Chart:
    axis = AXES[found.kind]
    measured = {point.n: point for point in found.points}
    largest = found.points[-1].n
    curve = (largest * k / CURVE_POINTS for k in range(1, CURVE_POINTS + 1))
    x = sorted({*measured, *curve}) if chosen else [*measured]
    y = tuple(measured[at].per_s if at in measured else None for at in x)
    series = [Series("measured", y, "strong")]
    if chosen is not None:
        for candidate in chosen.candidates:
            name = NAMES[candidate.fit.family]
            fitted = tuple(candidate.fit.curve.throughput_per_s(at) for at in x)
            series.append(Series(name, fitted, dashed=candidate.fit is not chosen.law))
    title = f"At most {max(p.per_s for p in found.points):.3g} {axis.per_s} per second"
    demand = found.demand_per_s if found.kind == "sizes" else None
    return Chart(
        "scatter", title, axis.n, f"{axis.per_s} per second", tuple(x), tuple(series), x_unit="",
        y_unit="per_s", bounds=(Annotation(demand, "demand"),) if demand else (),
        note="The curves end at the largest number tried.",
    )  # fmt: skip


def _residual_chart(found: ScalingResult, chosen: Scaling | None) -> Chart | None:
    if chosen is None:
        return None
    law = chosen.law
    off = tuple(float(r / fitted) for r, fitted in zip(law.residuals, law.fitted_per_s, strict=True))
    worst = max(map(abs, off))
    return Chart(
        "scatter", f"No point lies further than {format_ratio(worst)} from {LAWS[law.family]}",
        AXES[found.kind].n, "measured above the law", tuple(map(float, law.n)),
        (Series("difference", off, "strong"),), x_unit="", y_unit="ratio",
        bounds=(Annotation(0.0, "the law"),),
    )  # fmt: skip


def _point_table(found: ScalingResult, chosen: Scaling | None) -> Table:
    axis = AXES[found.kind]
    columns = [Column(axis.n.capitalize()), Column(f"{axis.per_s.capitalize()} per second")]
    rows: list[list[Cell]] = [
        [point.n, Metric(point.per_s, "per_s", point.low, point.high)] for point in found.points
    ]
    if chosen is not None:
        columns += [Column("By the law", "per_s"), Column("Difference", "per_s")]
        predicted = chosen.law.curve.throughput_per_s
        for row, point in zip(rows, found.points, strict=True):
            row += [predicted(point.n), point.per_s - predicted(point.n)]
    if found.kind == "sweep":
        columns.append(Column("Mean response time", "s"))
        for row, point in zip(rows, found.points, strict=True):
            row.append(point.response_s)
    columns.append(Column("Run"))
    title = "Points" if chosen is None else "Points and their distance from the law"
    whole = ((*row, point.source) for row, point in zip(rows, found.points, strict=True))
    return Table(title, tuple(columns), tuple(whole))


def _law_table(chosen: Scaling | None) -> Table | None:
    if chosen is None:
        return None
    columns = {
        "Law": lambda one: LAWS[one.fit.family],
        "AICc difference": lambda one: one.delta,
        Column("Akaike weight", "ratio"): lambda one: one.weight_ratio,
        "Chosen": lambda one: "yes" if one.fit.family == chosen.law.family else "",
    }
    note = (
        "A difference below 2 is not significant: the simplest law within 2 of the best is chosen. Only the "
        "full law can fall; it is chosen where throughput certainly falls within the range tried."
    )
    return table("Choice of the law", chosen.candidates, columns, note)


def _parameter_table(fits: dict[str, Scaling | None]) -> Table | None:
    known = {how: found for how, found in fits.items() if found is not None}
    if not known or len(known) < len(fits):
        return None
    columns = {
        "Weighting": lambda fit: fit[0],
        "Contention": lambda fit: _parameter(fit[1], "alpha"),
        "Coherency": lambda fit: _parameter(fit[1], "beta"),
        "One alone, per second": lambda fit: _parameter(fit[1], "gamma"),
        "Peak at": lambda fit: _parameter(fit[1], "peak_n"),
        "": lambda fit: "extrapolated" if fit[1].usl.extrapolated else "",
        Column("Limit without coherency", "per_s"): lambda fit: _finite(fit[1].usl.curve.asymptote_per_s),
    }
    note = (
        "The full law, X(N) = gamma N / (1 + alpha (N-1) + beta N (N-1)), with 95 % intervals from refitted, "
        "resampled residuals. Where the two weightings differ, small and large sizes disagree."
    )
    return table("The Universal Scalability Law", known.items(), columns, note)


def _parameter(found: Scaling, name: str, n: int | None = None, meaning: str = "") -> Metric:
    """A parameter of the full law with its interval."""
    ends: ParameterInterval = getattr(found.intervals, name)
    return Metric(_finite(getattr(found.usl.curve, name)), "", ends.low, ends.high, n, meaning)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


if __name__ == "__main__":
    main(analyse)
