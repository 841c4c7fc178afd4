"""Was the workload the one that the scenario specifies: mix, funnel, think times and arrivals?

    python analysis/workload_fidelity.py reports/<run>

Compares the recorded scenario with what the run counted. Each row has a 95 % interval and a verdict:
- mismatch: the specified value lies outside even the 99.9 % interval; with dozens of rows, some 95 %
  intervals miss by chance
- inconclusive: the specified value lies outside the 95 % interval only, or that interval extends further
  than a quarter of the specified value to a side
A funnel also narrows when customers leave early. That is the shop's doing, and the row says so.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from doorbuster.records.batch import CustomerCount
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    Chart,
    Metric,
    Section,
    Series,
    Table,
    Unit,
    not_applicable,
    present,
    table,
)
from doorbuster.scenario import (
    DEFAULT_PAGES,
    Constant,
    Demand,
    Exponential,
    Lognormal,
    Scenario,
    Think,
    Uniform,
)
from doorbuster.stats.goodness_of_fit import (
    Agreement,
    Comparison,
    compare_curve,
    compare_dispersion,
    compare_mean_us,
    compare_median_us,
    compare_mix,
    compare_ratio,
    compare_total,
    overall,
)
from doorbuster.units import format_count, format_ratio

FUNNEL = {
    "views": ("product", "landing"),
    "adds": ("add_to_basket",),
    "orders": ("checkout", "collect_checkout"),
}
VISIT_COUNTS = {  # counter of visits: the counter of those it is a share of, and its name in the table
    "signed_in": ("reached_sign_in", "sent a sign-in, of those that reached checkout"),
    "cache_busting": ("visits_sent", "sent an address with the campaign (cache busting)"),
}
BURSTINESS = "burstiness (index of dispersion)"
DELIVERED_RATIO = 0.999
MIN_PER_WINDOW = 10.0
BLOCKS = 20
MANY_LEFT_RATIO = 0.05  # above this, the shop may have narrowed the funnel
MANY_REPEATED_RATIO = 0.01  # reloads and retries per product view, above which they may explain it


QUESTION = "Was the workload the one that the scenario specifies?"


class FidelityRow(NamedTuple):
    """One comparison with its subject and the unit of its values; `excused` explains a mismatch."""

    group: str
    what: str
    unit: Unit
    found: Comparison
    excused: str = ""

    @property
    def verdict(self) -> Agreement:
        return "inconclusive" if self.excused and self.found.verdict == "mismatch" else self.found.verdict


def analyse(context: RunContext) -> Section:
    """Every comparison of the run with its scenario."""
    run = context.run
    scenario = context.scenario
    if scenario is None:
        why = "The run has no doorbuster scenario to compare with."
        return not_applicable("workload_fidelity", QUESTION, why, {"workload_match": Metric(None)})
    customers = run.customers(run.grain_s)
    rows = [
        *_mix(scenario, customers),
        *_visits_as(run, scenario),
        *_funnel(run, scenario, customers),
        *_thinks(run, scenario),
        *_arrivals(run, scenario),
    ]
    return Section(
        name="workload_fidelity",
        group="Reliability of the results",
        order=900,
        question=QUESTION,
        sentence=_sentence(rows),
        findings=tuple(_finding(row) for row in rows if row.verdict == "mismatch"),
        figures=present(_mix_chart(rows)),
        tables=present(_tables(rows)),
        metrics=_metrics(rows),
    )


def _mix(scenario: Scenario, customers: Sequence[CustomerCount]) -> list[FidelityRow]:
    """Shares of the open channels and of the journeys in each channel, dropped customers included."""
    came = Counter[tuple[str, str]]()
    for row in customers:
        came[row.channel, row.journey] += row.n
    by_channel = Counter[str]()
    for (of, _), n in came.items():
        by_channel[of] += n
    shares = {
        name: channel.share_ratio or 0.0 for name, channel in scenario.channels.items() if channel.is_open
    }
    rows = _mix_rows("channels", shares, by_channel) if len(shares) > 1 else []
    for name, channel in scenario.channels.items():
        if len(channel.journeys) > 1:
            counts = Counter({journey: n for (of, journey), n in came.items() if of == name})
            rows += _mix_rows(f"journeys of {name}", channel.journey_ratios(), counts)
    return rows


def _mix_rows(group: str, specified: Mapping[str, float], came: Counter[str]) -> list[FidelityRow]:
    kinds = [kind for kind in specified if specified[kind] > 0]
    total = sum(specified[kind] for kind in kinds)
    mix = compare_mix([came[kind] for kind in kinds], [specified[kind] / total for kind in kinds])
    rows = [FidelityRow(group, kind, "ratio", part) for kind, part in zip(kinds, mix.parts, strict=True)]
    if mix.p_value is not None and len(kinds) > 1:
        n = mix.parts[0].n
        whole = Comparison(len(kinds) - 1.0, mix.statistic, None, None, n, mix.verdict)
        rows.append(FidelityRow(group, f"all together: chi-square (p = {mix.p_value:.2g})", "", whole))
    return rows


def _visits_as(run: Run, scenario: Scenario) -> list[FidelityRow]:
    """Devices, sign-ins and cache-busting visits as their requests showed them, where they were counted."""
    counted = {key: int(n.sum()) for key, n in run.counters().items()}
    rows = []
    for name, channel in scenario.channels.items():
        shares = {"signed_in": channel.signed_in_ratio, "cache_busting": channel.cache_busting_ratio}
        found = Counter({word: n for (of, word), n in counted.items() if of == name})
        devices = {device: one.share_ratio for device, one in channel.devices.items()}
        if not found["visits_sent"]:
            continue
        if len(devices) > 1:
            by_device = Counter({device: found[f"device:{device}"] for device in devices})
            rows += _mix_rows(f"devices of {name}", devices, by_device)
        for word, specified in shares.items():
            if specified:
                among, what = VISIT_COUNTS[word]
                counts = (found[word], found[among] - found[word])
                part = compare_mix(counts, (specified, 1.0 - specified)).parts[0]
                rows.append(FidelityRow(f"visits of {name}", what, "ratio", part))
    return rows


def visits(scenario: Scenario) -> dict[str, float]:
    """Mean visits of each step by one customer of the open channels who does not leave early."""
    found: defaultdict[str, float] = defaultdict(float)
    come = {
        name: (channel.demand or scenario.demand).rate_curve.expected * (channel.share_ratio or 1.0)
        for name, channel in scenario.channels.items()
        if channel.is_open
    }
    for name, n in come.items():
        channel = scenario.channels[name]
        for journey, ratio in channel.journey_ratios().items():
            for visit in scenario.journeys[journey].steps:
                own = channel.pages if visit.step == "product" and visit.visits == DEFAULT_PAGES else None
                mean = visit.visits if own is None else own.mean
                found[visit.step] += n / sum(come.values()) * ratio * mean
    return dict(found)


def _funnel(run: Run, scenario: Scenario, customers: Sequence[CustomerCount]) -> list[FidelityRow]:
    """Product views per customer, baskets per view and orders per basket; open channels only."""
    open_channels = {name for name, channel in scenario.channels.items() if channel.is_open}
    step_of = {step: part for part, steps in FUNNEL.items() for step in steps}
    width_s = max(run.grain_s, math.ceil(run.recorded_s / BLOCKS / run.grain_s) * run.grain_s)
    counts = run.request_counts(
        lambda series: step_of.get(series.step) if series.channel in open_channels else None, width_s
    )
    blocks = max((array.size for array in counts.values()), default=0)
    observed = {part: counts.get(part, np.zeros(blocks, np.int64)).astype(float) for part in FUNNEL}
    came = np.zeros(blocks)
    for row in customers:
        if row.channel in open_channels and row.outcome != Outcome.DROPPED and row.second // width_s < blocks:
            came[row.second // width_s] += row.n
    mean = visits(scenario)
    specified = {part: sum(mean.get(step, 0.0) for step in steps) for part, steps in FUNNEL.items()}
    everyone = [row for row in customers if row.channel in open_channels and row.outcome != Outcome.DROPPED]
    left = sum(row.n for row in everyone if row.outcome != Outcome.SERVED)
    share = left / sum(row.n for row in everyone) if everyone else 0.0
    excused = f"{format_ratio(share)} of the customers left early" if share > MANY_LEFT_RATIO else ""
    again = sum(int(n.sum()) for (_, name), n in run.counters().items() if name in ("retries", "reloads"))
    if again > MANY_REPEATED_RATIO * max(observed["views"].sum(), 1.0):
        excused = f"includes {format_count(again)} reloads and retries"
    rows = []
    for what, above, below, per in (
        ("product views per customer", "views", None, 1.0),
        ("basket additions per product view", "adds", "views", specified["views"]),
        ("orders tried per basket addition", "orders", "adds", specified["adds"]),
    ):
        if specified[above] and per:
            under = came if below is None else observed[below]
            found = compare_ratio(observed[above], under, specified[above] / per)
            rows.append(FidelityRow("funnel", what, "", found, excused))
    return rows


def median_think_s(think: Think) -> float:
    """Median of the sampled think times: that of the distribution, at most `max_s`."""
    match think:
        case Constant():
            median_s = think.constant_s
        case Uniform():
            median_s = (think.low_s + think.high_s) / 2
        case Exponential():
            median_s = think.mean_s * math.log(2)
        case Lognormal():
            median_s = think.median_s
    return min(median_s, think.max_s)


def _thinks(run: Run, scenario: Scenario) -> list[FidelityRow]:
    rows = []
    for name, found in sorted(run.think_times().items()):
        if name not in scenario.channels:
            continue
        think = scenario.channels[name].think
        for what, comparison in (
            ("mean", compare_mean_us(found, think.mean_think_s * 1e6)),
            ("median", compare_median_us(found, median_think_s(think) * 1e6)),
        ):
            rows.append(
                FidelityRow("think times", f"{name}: {what} ({think.distribution})", "s", _in_s(comparison))
            )
    return rows


def _in_s(found: Comparison) -> Comparison:
    observed, low, high = (None if us is None else us / 1e6 for us in (found.observed, found.low, found.high))
    return Comparison(found.expected / 1e6, observed, low, high, found.n, found.verdict)


def _arrivals(run: Run, scenario: Scenario) -> list[FidelityRow]:
    """Arrivals of each demand against its curve: number, shape and burstiness; and the share started."""
    arrivals = {name: one for name, one in run.arrivals().items() if one.planned.any()}
    if not arrivals:
        return []
    total, started = (
        sum(int(getattr(one, name).sum()) for one in arrivals.values()) for name in ("planned", "started")
    )
    verdict: Agreement = "match" if started >= DELIVERED_RATIO * total else "mismatch"
    delivered = Comparison(float(total), float(started), None, None, total, verdict)
    rows = [FidelityRow("arrivals", "started of those planned", "count", delivered)]
    if abs(scenario.demand.duration_s - run.meta.duration_s) > 0.5:
        return rows  # a load step of a search has its own demand
    for own, demand in scenario.demands.items():
        names = [own] if own else [n for n, c in scenario.channels.items() if c.share_ratio is not None]
        planned = [arrivals[name].planned for name in names if name in arrivals]
        rows += _demand_rows(f"arrivals of {own}" if own else "arrivals", demand, planned)
    return rows


def _demand_rows(group: str, demand: Demand, planned: Sequence[np.ndarray]) -> list[FidelityRow]:
    seconds = math.ceil(demand.rate_curve.duration_s)
    at_s = np.arange(seconds)[:, None] + (np.arange(16) + 0.5) / 16
    expected = np.asarray(demand.rate_curve.at_per_s(at_s.ravel())).reshape(at_s.shape).mean(axis=1)
    counts = np.zeros(seconds)
    for one in planned:
        counts += one[:seconds]
    total, index = int(counts.sum()), demand.burstiness
    n, m = _windows(counts, expected)
    form = compare_curve(n, m, index)
    rows = [
        FidelityRow(group, "number over the run", "count", compare_total(total, float(expected.sum()), index))
    ]
    if form.p_value is not None:
        whole = Comparison(float(n.size), form.statistic, None, None, total, form.verdict)
        rows.append(FidelityRow(group, f"shape of the curve: chi-square (p = {form.p_value:.2g})", "", whole))
    rows.append(FidelityRow(group, BURSTINESS, "", compare_dispersion(n, m, index)))
    return rows


def _windows(counts: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joins whole seconds until each window expects ten arrivals; the index of dispersion is unchanged."""
    ends = []
    reached = 0.0
    for second, mean in enumerate(expected.tolist()):
        reached += mean
        if reached >= MIN_PER_WINDOW:
            ends.append(second + 1)
            reached = 0.0
    if not ends:
        return np.zeros(0), np.zeros(0)
    starts = [0, *ends[:-1]]
    n = np.add.reduceat(counts[: ends[-1]], starts)
    m = np.add.reduceat(expected[: ends[-1]], starts)
    return n, m


def _sentence(rows: Sequence[FidelityRow]) -> str:
    verdicts = Counter(row.verdict for row in rows)
    match overall([row.verdict for row in rows]):
        case "mismatch":
            return f"{verdicts['mismatch']} of {len(rows)} workload checks differ from the scenario."
        case "match":
            unclear = verdicts["inconclusive"]
            rest = f"; {unclear} are inconclusive" if unclear else ""
            return f"{verdicts['match']} of {len(rows)} workload checks match the scenario{rest}."
        case _:
            return "Not enough customers to compare with the scenario."


def _finding(row: FidelityRow) -> str:
    expected, observed = _shown(row, row.found.expected), _shown(row, row.found.observed)
    return f"{row.group}, {row.what}: expected {expected}, observed {observed}."


def _shown(row: FidelityRow, value: float | None) -> str:
    if value is None:
        return "nothing"
    if row.unit == "ratio":
        return format_ratio(value)
    return format_count(value) if row.unit == "count" else f"{value:.4g}{' s' if row.unit == 's' else ''}"


def _tables(rows: Sequence[FidelityRow]) -> Table | None:
    columns = {
        "Subject": lambda row: row.group,
        "Quantity": lambda row: row.what,
        "Expected": lambda row: Metric(row.found.expected, row.unit),
        "Observed": lambda row: Metric(
            row.found.observed, row.unit, row.found.low, row.found.high, row.found.n
        ),
        "Verdict": lambda row: (
            row.verdict if row.verdict == row.found.verdict else f"{row.verdict} ({row.excused})"
        ),
    }
    note = (
        "95 % intervals; those of a mix hold for all its shares together. Without a mismatch a chi-square is "
        "about its degrees of freedom, shown as expected."
    )
    return table("Scenario and observed workload", rows, columns, note)


def _mix_chart(rows: Sequence[FidelityRow]) -> Chart | None:
    """Expected and observed shares, if one of them is a mismatch."""
    shares = [row for row in rows if row.unit == "ratio"]
    wrong = [row for row in shares if row.verdict == "mismatch"]
    if not wrong:
        return None
    worst = max(wrong, key=lambda row: abs((row.found.observed or 0.0) - row.found.expected))
    observed, specified = format_ratio(worst.found.observed or 0.0), format_ratio(worst.found.expected)
    title = f"{worst.what}: {observed} instead of {specified}"
    labels = tuple(f"{row.group.removeprefix('journeys of ')}: {row.what}" for row in shares)
    return Chart(
        "bars", title, "kind of customers", "share of customers", labels,
        (Series("expected", tuple(row.found.expected for row in shares), "planned"),
         Series("observed", tuple(row.found.observed or 0.0 for row in shares), "strong")),
        y_unit="ratio",
    )  # fmt: skip


def _metrics(rows: Sequence[FidelityRow]) -> dict[str, Metric]:
    verdicts = Counter(row.verdict for row in rows)
    conclusive = verdicts["match"] + verdicts["mismatch"]
    metrics = {
        "workload_match": Metric(
            verdicts["match"] / conclusive if conclusive else None, "ratio", n=conclusive,
            meaning="conclusive comparisons with the scenario that match",
        ),
        "workload_mismatches": Metric(
            verdicts["mismatch"], "count", n=len(rows), meaning="comparisons that differ from the scenario"
        ),
    }  # fmt: skip
    for row in rows:
        if (row.group, row.what) == ("arrivals", BURSTINESS):
            found = row.found
            meaning = "index of dispersion of the planned arrivals around the curve"
            metrics["burstiness"] = Metric(found.observed, "", found.low, found.high, found.n, meaning)
    return metrics


if __name__ == "__main__":
    main(analyse)
