"""How did each phase of the peak go, and did the shop come back after it?

    python analysis/phases.py reports/<run>

Baseline, ramp, peak and after are phases of the planned curve (docs/reference/scenario.md). MSER-5 on the
mean response time finds the warm-up at the start of a phase, which its percentiles exclude; a phase that
never settles has no steady state. Recovered means that goodput was at least 95 % of the baseline for ten
windows in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbuster.gate import customer_rate
from doorbuster.records.batch import CustomerCount
from doorbuster.records.outcome import Outcome, RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    Annotation,
    Cell,
    Chart,
    Column,
    Metric,
    Section,
    Table,
    bucket_s,
    metric_series,
    present,
    ratio_metric,
    table,
    time_metric,
)
from doorbuster.scenario import Phase, arrival_rate_per_s, phase_seconds
from doorbuster.scenario.thresholds.language import Threshold
from doorbuster.stats.latency_quantiles import TimeBlock, latency_quantiles, time_blocks_by
from doorbuster.stats.outage import SuccessCount
from doorbuster.stats.proportion import ProportionEstimate, clopper_pearson
from doorbuster.stats.recovery import KEPT_RATIO, Recovery, recover
from doorbuster.stats.warmup import mser
from doorbuster.units import format_duration, format_ratio

PERCENTILES = (0.5, 0.95, 0.99)
MSER_NEEDS = 20  # time blocks: four batches of five
MIN_BEYOND = 1  # a window can show p(95) from 20 requests on: one may exceed the bound
TIME = "time since the start (min:s)"


@dataclass(frozen=True, slots=True, eq=False)
class PhaseRow:
    """One phase: its requests without the warm-up, its customers, and whether it was steady.

    `warm_up_s` is None without a steady state; `judged`: there were enough blocks for MSER-5.
    """

    phase: Phase
    blocks: tuple[TimeBlock, ...]
    customers: SuccessCount
    served: ProportionEstimate
    ordered: ProportionEstimate
    warm_up_s: float | None
    judged: bool


def analyse(context: RunContext) -> Section:
    """Results of each phase, recovery, and compliance with percentile thresholds over time."""
    run = context.run
    rows, customers = _phase_rows(context), run.customers(run.grain_s)
    recovery = _recovery(context, rows, customers)
    metrics = {**_metrics(rows), **_recovery_metrics(run, recovery)}
    shares = _compliance(context)
    for threshold, share in shares:
        metrics[f"slo_compliance_{_name(threshold)}"] = _ratio(share, f"windows that met {threshold}")
    return Section(
        name="phases",
        group="Performance",
        order=300,
        question="How did each phase of the peak go, and did the shop recover?",
        sentence=_sentence(rows, recovery, run),
        findings=_findings(rows),
        figures=present(_goodput_chart(run, rows, customers, recovery)),
        tables=present(_phase_table(rows), _compliance_table(run, shares)),
        metrics=metrics,
        not_applicable=not rows,
    )


def _phase_rows(context: RunContext) -> list[PhaseRow]:
    """Each phase in whole buckets of the run file, without its warm-up."""
    run, phases = context.run, context.phases
    width_s = run.grain_s
    found = run.histograms_by(lambda series: ("all", series.outcome), "response", width_s)
    buckets = range(max((at for _, at in found), default=-1) + 1)
    every = time_blocks_by(found, buckets).get("all", [])
    customers, rows = run.customers(width_s), []
    for place, phase in enumerate(phases):
        first, end = round(phase.from_s / width_s), round(phase.to_s / width_s)
        if place == len(phases) - 1:
            end = 2**31
        came = [row for row in customers if first <= row.second // width_s < end]
        blocks = every[first:end]
        cut: int | None = 0
        judged = phase.name != "ramp" and len(_means(blocks)) >= MSER_NEEDS
        if judged:
            cut = mser(_means(blocks)).warm_up
        warm_up_s = None if cut is None else float(cut * width_s)
        kept = tuple(blocks[cut or 0 :])
        seconds = phase_seconds(phase.name, phases)
        served, ordered = (
            customer_rate(run.customers(), metric, seconds=seconds) for metric in ("served", "can_order")
        )
        rows.append(PhaseRow(phase, kept, goodput(came), served, ordered, warm_up_s, judged))
    return rows


def goodput(rows: Sequence[CustomerCount]) -> SuccessCount:
    """Customers served, of those who were in the shop."""
    came = [row for row in rows if row.outcome != Outcome.DROPPED]
    return SuccessCount(
        sum(row.n for row in came if row.outcome == Outcome.SERVED), sum(row.n for row in came)
    )


def _means(blocks: Sequence[TimeBlock]) -> list[float]:
    """Mean response time of each block that has requests."""
    means = (block.answered.merge(block.abandoned).mean_us for block in blocks)
    return [mean for mean in means if mean is not None]


def _recovery(
    context: RunContext, rows: Sequence[PhaseRow], customers: Sequence[CustomerCount]
) -> Recovery | None:
    """Whether goodput recovered after the peak; None if the curve ends with its peak."""
    by_name = {row.phase.name: row for row in rows}
    if "peak" not in by_name or "after" not in by_name:
        return None
    width_s = context.run.grain_s
    baseline = by_name["baseline"].customers if "baseline" in by_name else SuccessCount(1, 1)
    first = round(by_name["after"].phase.from_s / width_s)
    last = max((row.second for row in customers), default=0) // width_s
    after = [
        goodput([row for row in customers if row.second // width_s == at]) for at in range(first, last + 1)
    ]
    baseline_ratio = baseline.k / baseline.n if baseline.n else 1.0
    calm_from = _calm_from(context, by_name["after"].phase, len(after))
    return recover(by_name["peak"].customers, after, baseline_ratio=baseline_ratio, calm_from=calm_from)


def _calm_from(context: RunContext, after: Phase, windows: int) -> int:
    """The window after the peak from which the planned rate is no higher than before the peak."""
    scenario = context.scenario
    assert scenario is not None, "phases come from the scenario"
    before_s = np.arange(0.0, after.from_s)
    quiet_s = [t for t in before_s if any(p.name == "baseline" and t < p.to_s for p in context.phases)]
    calm = max([*arrival_rate_per_s(scenario, quiet_s), scenario.peak_per_s / 3]) * (1 + 1e-9)
    starts_s = after.from_s + context.run.grain_s * np.arange(windows)
    busy = np.flatnonzero(arrival_rate_per_s(scenario, starts_s) > calm)
    return int(busy[-1]) + 1 if busy.size else 0


def _metrics(rows: Sequence[PhaseRow]) -> dict[str, Metric]:
    metrics = {}
    for row in rows:
        name = row.phase.name
        for p, found in zip(PERCENTILES, latency_quantiles(row.blocks, PERCENTILES), strict=True):
            meaning = f"p{p * 100:g} of the response time in phase {name}, without its warm-up"
            metrics[f"response_p{p * 100:g}_{name}"] = time_metric(found, meaning)
        meaning = f"customers of phase {name} who were served"
        metrics[f"goodput_{name}"] = ratio_metric(row.served, meaning)
    return metrics


def _recovery_metrics(run: Run, recovery: Recovery | None) -> dict[str, Metric]:
    n = recovery.last.n if recovery else 0
    windows = recovery.windows if recovery else None
    meaning = (
        "from the end of the peak until goodput was back at 95 % of the baseline; 0 when it never fell below"
    )
    took_s = None if windows is None else float(windows * run.grain_s)
    metrics = {"recovery_time": Metric(took_s, "s", n=n, meaning=meaning)}
    if recovery is not None and recovery.course != "unknown":
        back = float(recovery.course != "metastable")
        metrics["recovered"] = Metric(back, "", n=n, meaning="1: held or recovered, 0: metastable")
    return metrics


def _ratio(share: SuccessCount, meaning: str = "") -> Metric:
    return ratio_metric(clopper_pearson(share.k, share.n), meaning)


def _sentence(rows: Sequence[PhaseRow], recovery: Recovery | None, run: Run) -> str:
    if not rows:
        return "The recorded scenario has no demand curve, so there are no phases."
    text = _recovered(recovery, run)
    peak = next((row for row in rows if row.phase.name == "peak"), None)
    if peak is None or not peak.customers.n:
        return f"No customer arrived at the peak. {text}"
    share = format_ratio(peak.customers.k / peak.customers.n)
    return f"At the peak {share} of the customers were served. {text}"


def _recovered(recovery: Recovery | None, run: Run) -> str:
    if recovery is None:
        return "The run ended with its peak, so recovery is unknown."
    if recovery.course == "held":
        return "Goodput never fell below its level before the peak, so there was nothing to recover from."
    if recovery.course == "recovered":
        took = format_duration((recovery.windows or 0) * run.grain_s)
        return (
            f"The shop recovered {took} after the peak."
            if recovery.windows
            else "The shop recovered at the end of the peak."
        )
    share = f"{recovery.last.k} of {recovery.last.n}"
    if recovery.course == "metastable":
        return (
            f"The shop did not recover (metastable): at the end, long after the peak, {share} customers were "
            "served."
        )
    return f"Recovery is unknown: {recovery.why}."


def _findings(rows: Sequence[PhaseRow]) -> tuple[str, ...]:
    found = []
    for row in rows:
        if row.judged and row.warm_up_s is None:
            found.append(f"Phase {row.phase.name} has no steady state: response times kept changing.")
        elif row.warm_up_s:
            found.append(
                f"The first {format_duration(row.warm_up_s)} of phase {row.phase.name} were warm-up; its "
                f"percentiles exclude them."
            )
    return tuple(found)


def _goodput_chart(
    run: Run, rows: Sequence[PhaseRow], customers: Sequence[CustomerCount], recovery: Recovery | None
) -> Chart | None:
    if not rows or not customers:
        return None
    length_s = max(row.second for row in customers) + run.grain_s
    width_s = bucket_s(length_s, most=45)
    shares = [
        goodput([row for row in customers if row.second // width_s == at])
        for at in range(-(-length_s // width_s))
    ]
    series = metric_series("customers served", [_ratio(share) for share in shares], "strong")
    limit = recovery.limit_ratio if recovery else KEPT_RATIO
    return Chart(
        "lines", _chart_title(recovery, run), TIME, "share of customers served",
        tuple((at + 0.5) * width_s for at in range(len(shares))), (series,), y_unit="ratio", y_max=1.04,
        moments=tuple(
            Annotation(row.phase.from_s, row.phase.name) for row in rows if row.phase.from_s > 0
        ),
        bounds=(Annotation(limit, f"{format_ratio(limit)}: 95 % of the baseline"),),
        note=f"By the time of arrival, in windows of {width_s} s; band: 95 % interval.",
    )  # fmt: skip


def _chart_title(recovery: Recovery | None, run: Run) -> str:
    return _recovered(recovery, run).split(". ")[0].rstrip(".")


def _phase_table(rows: Sequence[PhaseRow]) -> Table | None:
    if not rows:
        return None
    columns = (
        Column("Phase"), Column("From", "clock"), Column("To", "clock"), Column("Warm-up excluded"),
        Column("Requests", "count"), *(Column(f"p{p * 100:g}") for p in PERCENTILES[:2]),
        Column("Served"), Column("Could order"),
    )  # fmt: skip
    lines = []
    for row in rows:
        warm_up = "phase too short" if row.phase.name != "ramp" else "planned change"
        if row.judged:
            warm_up = "no steady state" if row.warm_up_s is None else "none"
            warm_up = format_duration(row.warm_up_s) if row.warm_up_s else warm_up
        quantiles = latency_quantiles(row.blocks, PERCENTILES[:2])
        times = (time_metric(found) if found.value_us is not None else None for found in quantiles)
        rates = (ratio_metric(share) if share.n else None for share in (row.served, row.ordered))
        head: tuple[Cell, ...] = (row.phase.name, row.phase.from_s, row.phase.to_s, warm_up, quantiles[0].n)
        lines.append((*head, *times, *rates))
    note = (
        "Phases of the planned curve; the last one includes everything after the last arrival. Answered and "
        "abandoned requests, without the warm-up. – means too few requests."
    )
    return Table("Phases of the peak", columns, tuple(lines), note)


def _compliance(context: RunContext) -> list[tuple[Threshold, SuccessCount]]:
    """For each percentile threshold: the windows that met it, of those with enough requests."""
    return [
        (threshold, _windows_met(context.run, threshold))
        for threshold in context.thresholds
        if threshold.metric == "http_req_duration"
        and threshold.percentile is not None
        and threshold.operator in ("<", "<=")
        and not {tag.name for tag in threshold.tags} & {"phase", "expected_response"}
    ]


def _windows_met(run: Run, threshold: Threshold) -> SuccessCount:
    """A window meets "p(95)<3s" when at most 5 % of its requests took longer or were abandoned."""
    tags = {tag.name: tag.value for tag in threshold.tags}
    found = run.histograms_by(
        lambda series: (
            series.outcome
            if series.has_latency and all(getattr(series, name) == value for name, value in tags.items())
            else None
        ),
        "response",
        _window_s(run),
    )
    room = 1 - (threshold.percentile or 0.0) / 100
    met = judged = 0
    for at in {at for _, at in found}:
        answered, abandoned = found.get((RequestOutcome.OK, at)), found.get((RequestOutcome.ABANDONED, at))
        n = (answered.n if answered else 0) + (abandoned.n if abandoned else 0)
        slow = (answered.count_above(round(threshold.bound * 1e3)) if answered else 0) + (
            abandoned.n if abandoned else 0
        )
        if n * room >= MIN_BEYOND - 1e-9:
            judged += 1
            met += slow <= room * n + 1e-9
    return SuccessCount(met, judged)


def _window_s(run: Run) -> int:
    return bucket_s(max(1, run.recorded_s), most=20)


def _name(threshold: Threshold) -> str:
    tags = "".join(f"_{tag.value}" for tag in threshold.tags)
    return f"p{threshold.percentile:g}{tags}_{threshold.bound:g}ms".replace(".", "_").replace("-", "_")


def _compliance_table(run: Run, shares: Sequence[tuple[Threshold, SuccessCount]]) -> Table | None:
    columns = {
        "Threshold": lambda pair: str(pair[0]),
        Column("Windows", "count"): lambda pair: pair[1].n,
        Column("Met in", "count"): lambda pair: pair[1].k,
        Column("Compliance", "ratio"): lambda pair: pair[1].k / pair[1].n if pair[1].n else None,
    }
    note = (
        f"Windows of {_window_s(run)} s with enough requests to violate the threshold; abandoned requests "
        "count as too slow."
    )
    return table("Compliance with thresholds over time", shares, columns, note)


if __name__ == "__main__":
    main(analyse)
