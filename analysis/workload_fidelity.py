"""Did the customers come as asked: mix, funnel, think times and arrivals against the scenario?

    python analysis/workload_fidelity.py reports/<run>

What was asked for is the recorded scenario; what came is counted in the run. Each row has a 95 % interval and
a verdict. "Not as asked" is said when the asked value lies outside even the 99.9 % interval (with dozens of
rows a 95 % interval misses now and then by chance), "cannot tell" when the interval is wider than a quarter
of the asked value to a side. A funnel narrows when customers leave early: that is the shop's doing, and said
so.
What the shop did to them is in the sections customers and course.
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
from doorbuster.report.run_context import RunContext
from doorbuster.report.script import main
from doorbuster.report.section import Cell, Chart, Column, Metric, Section, Series, Table, Unit
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
BURSTINESS = "burstiness (index of dispersion)"
DELIVERED_RATIO = 0.999
MIN_PER_WINDOW = 10.0
BLOCKS = 20
MANY_LEFT_RATIO = 0.05  # above this, a funnel that differs may be the shop's doing
MANY_AGAIN_RATIO = 0.01  # reloads and retries for a product view, above which it may be theirs


QUESTION = "Was the workload the one that the scenario specifies?"


class Row(NamedTuple):
    """One comparison, what it is about, and the unit of its values."""

    group: str
    what: str
    unit: Unit
    found: Comparison
    excused: str = ""  # why a difference is not the customers' doing

    @property
    def verdict(self) -> Agreement:
        return "cannot tell" if self.excused and self.found.verdict == "not as asked" else self.found.verdict


def analyse(context: RunContext) -> Section:
    """Asked against got."""
    run = context.run
    scenario = context.scenario
    if scenario is None:
        return Section(
            name="workload_fidelity", question=QUESTION,
            metrics={"workload_match": Metric(None)},
            sentence="The run has no doorbuster scenario to compare with.", not_applicable=True,
        )  # fmt: skip
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
        findings=tuple(_finding(row) for row in rows if row.verdict == "not as asked"),
        figures=_mix_chart(rows),
        tables=_tables(rows),
        metrics=_metrics(rows),
    )


def _mix(scenario: Scenario, customers: Sequence[CustomerCount]) -> list[Row]:
    """Shares of the open channels, and of the journeys in each channel; dropped customers came, too."""
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


def _mix_rows(group: str, asked: Mapping[str, float], came: Counter[str]) -> list[Row]:
    kinds = [kind for kind in asked if asked[kind] > 0]
    total = sum(asked[kind] for kind in kinds)
    mix = compare_mix([came[kind] for kind in kinds], [asked[kind] / total for kind in kinds])
    rows = [Row(group, kind, "ratio", part) for kind, part in zip(kinds, mix.parts, strict=True)]
    if mix.p_value is not None and len(kinds) > 1:
        n = mix.parts[0].n
        whole = Comparison(len(kinds) - 1.0, mix.statistic, None, None, n, mix.verdict)
        rows.append(Row(group, f"all together: chi-square (p = {mix.p_value:.2g})", "", whole))
    return rows


def _visits_as(run: Run, scenario: Scenario) -> list[Row]:
    """Devices, accounts and addresses of their own, of those let in; nothing where they were not counted."""
    counted = {key: int(n.sum()) for key, n in run.counters().items()}
    came = {name: int(series.started.sum()) for name, series in run.arrivals().items()}
    rows = []
    for name, channel in scenario.channels.items():
        shares = {"signed_in": channel.signed_in_ratio, "cache_busting": channel.cache_busting_ratio}
        found = Counter({word: n for (of, word), n in counted.items() if of == name})
        devices = {device: one.share_ratio for device, one in channel.devices.items()}
        if not any(found[word] for word in (*shares, *(f"device:{device}" for device in devices))):
            continue
        if len(devices) > 1:
            by_device = Counter({device: found[f"device:{device}"] for device in devices})
            rows += _mix_rows(f"devices of {name}", devices, by_device)
        for word, asked in shares.items():
            if asked:
                counts = (found[word], came.get(name, 0) - found[word])
                part = compare_mix(counts, (asked, 1.0 - asked)).parts[0]
                rows.append(Row(f"visits of {name}", word.replace("_", " "), "ratio", part))
    return rows


def visits(scenario: Scenario) -> dict[str, float]:
    """Mean visits of each step by one customer of the open channels, if nobody leaves early."""
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


def _funnel(run: Run, scenario: Scenario, customers: Sequence[CustomerCount]) -> list[Row]:
    """Product views a customer, baskets a view, orders a basket; open channels only."""
    lanes = {name for name, channel in scenario.channels.items() if channel.is_open}
    step_of = {step: part for part, steps in FUNNEL.items() for step in steps}
    width_s = max(run.grain_s, math.ceil(run.recorded_s / BLOCKS / run.grain_s) * run.grain_s)
    counts = run.request_counts(
        lambda series: step_of.get(series.step) if series.channel in lanes else None, width_s
    )
    blocks = max((array.size for array in counts.values()), default=0)
    got = {part: counts.get(part, np.zeros(blocks, np.int64)).astype(float) for part in FUNNEL}
    came = np.zeros(blocks)
    for row in customers:
        if row.channel in lanes and row.outcome != Outcome.DROPPED and row.second // width_s < blocks:
            came[row.second // width_s] += row.n
    mean = visits(scenario)
    asked = {part: sum(mean.get(step, 0.0) for step in steps) for part, steps in FUNNEL.items()}
    everyone = [row for row in customers if row.channel in lanes and row.outcome != Outcome.DROPPED]
    left = sum(row.n for row in everyone if row.outcome != Outcome.SERVED)
    share = left / sum(row.n for row in everyone) if everyone else 0.0
    excused = f"{format_ratio(share)} of the customers left early" if share > MANY_LEFT_RATIO else ""
    again = sum(int(n.sum()) for (_, name), n in run.counters().items() if name in ("retries", "reloads"))
    if again > MANY_AGAIN_RATIO * max(got["views"].sum(), 1.0):
        excused = f"{format_count(again)} reloads and retries are counted, too"
    rows = []
    for what, above, below, per in (
        ("product views per customer", "views", None, 1.0),
        ("baskets added to per product view", "adds", "views", asked["views"]),
        ("orders tried per basket added to", "orders", "adds", asked["adds"]),
    ):
        if asked[above] and per:
            under = came if below is None else got[below]
            found = compare_ratio(got[above], under, asked[above] / per)
            rows.append(Row("funnel", what, "", found, excused))
    return rows


def median_thought_s(think: Think) -> float:
    """Median of the drawn think times: the law's own, unless that is above the cut at `max_s`."""
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


def _thinks(run: Run, scenario: Scenario) -> list[Row]:
    rows = []
    for name, found in sorted(run.think_times().items()):
        if name not in scenario.channels:
            continue
        think = scenario.channels[name].think
        for what, comparison in (
            ("mean", compare_mean_us(found, think.mean_think_s * 1e6)),
            ("median", compare_median_us(found, median_thought_s(think) * 1e6)),
        ):
            rows.append(Row("think times", f"{name}: {what} ({think.law})", "s", _in_s(comparison)))
    return rows


def _in_s(found: Comparison) -> Comparison:
    got, low, high = (None if us is None else us / 1e6 for us in (found.got, found.low, found.high))
    return Comparison(found.asked / 1e6, got, low, high, found.n, found.verdict)


def _arrivals(run: Run, scenario: Scenario) -> list[Row]:
    """Arrivals against the curve, for each demand: how many, in which form, how bursty; and all delivered."""
    arrivals = {name: one for name, one in run.arrivals().items() if one.planned.any()}
    if not arrivals:
        return []
    total, started = (
        sum(int(getattr(one, name).sum()) for one in arrivals.values()) for name in ("planned", "started")
    )
    verdict: Agreement = "as asked" if started >= DELIVERED_RATIO * total else "not as asked"
    delivered = Comparison(float(total), float(started), None, None, total, verdict)
    rows = [Row("arrivals", "delivered of those planned", "count", delivered)]
    if abs(scenario.demand.duration_s - run.meta.duration_s) > 0.5:
        return rows  # a run of its own demand, such as a plateau of a search: the scenario asked for another
    for own, demand in scenario.demands.items():
        names = [own] if own else [n for n, c in scenario.channels.items() if c.share_ratio is not None]
        planned = [arrivals[name].planned for name in names if name in arrivals]
        rows += _demand_rows(f"arrivals of {own}" if own else "arrivals", demand, planned)
    return rows


def _demand_rows(group: str, demand: Demand, planned: Sequence[np.ndarray]) -> list[Row]:
    seconds = math.ceil(demand.rate_curve.duration_s)
    at_s = np.arange(seconds)[:, None] + (np.arange(16) + 0.5) / 16
    expected = np.asarray(demand.rate_curve.at_per_s(at_s.ravel())).reshape(at_s.shape).mean(axis=1)
    counts = np.zeros(seconds)
    for one in planned:
        counts += one[:seconds]
    total, index = int(counts.sum()), demand.burstiness
    n, m = _windows(counts, expected)
    form = compare_curve(n, m, index)
    rows = [Row(group, "all, over the run", "count", compare_total(total, float(expected.sum()), index))]
    if form.p_value is not None:
        whole = Comparison(float(n.size), form.statistic, None, None, total, form.verdict)
        rows.append(Row(group, f"form of the curve: chi-square (p = {form.p_value:.2g})", "", whole))
    rows.append(Row(group, BURSTINESS, "", compare_dispersion(n, m, index)))
    return rows


def _windows(counts: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole seconds joined until each window expects ten arrivals; the index of dispersion stays the same."""
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


def _sentence(rows: Sequence[Row]) -> str:
    verdicts = Counter(row.verdict for row in rows)
    total = len(rows)
    match overall([row.verdict for row in rows]):
        case "not as asked":
            wrong = verdicts["not as asked"]
            return f"Not quite: {wrong} of {total} comparisons with the scenario {_are(wrong)} not as asked."
        case "as asked":
            open_ = verdicts["cannot tell"]
            rest = f"; {open_} cannot be told" if open_ else ""
            return f"Yes: {verdicts['as asked']} of {total} comparisons with the scenario are as asked{rest}."
        case _:
            return "Nobody can tell: too few customers came to compare them with the scenario."


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _finding(row: Row) -> str:
    return f"{row.group}, {row.what}: asked {_shown(row, row.found.asked)}, got {_shown(row, row.found.got)}."


def _shown(row: Row, value: float | None) -> str:
    if value is None:
        return "nothing"
    if row.unit == "ratio":
        return format_ratio(value)
    return format_count(value) if row.unit == "count" else f"{value:.4g}{' s' if row.unit == 's' else ''}"


def _tables(rows: Sequence[Row]) -> tuple[Table, ...]:
    if not rows:
        return ()
    cells: tuple[tuple[Cell, ...], ...] = tuple(
        (
            row.group, row.what, Metric(row.found.asked, row.unit),
            Metric(row.found.got, row.unit, row.found.low, row.found.high, row.found.n),
            row.verdict if row.verdict == row.found.verdict else f"{row.verdict} ({row.excused})",
        )
        for row in rows
    )  # fmt: skip
    columns = (
        Column("Of"), Column("What"), Column("Asked"), Column("Got"), Column("Verdict"),
    )  # fmt: skip
    note = (
        "Intervals are 95 % ones; for the shares of a mix they hold for all its shares together. A "
        "chi-square is about its degrees of freedom, which stand under asked, when all is well."
    )
    return (Table("What the scenario asked for and what came", columns, cells, note),)


def _mix_chart(rows: Sequence[Row]) -> tuple[Chart, ...]:
    """Shares asked and got, where one is not as asked; otherwise the table is enough."""
    shares = [row for row in rows if row.unit == "ratio"]
    wrong = [row for row in shares if row.verdict == "not as asked"]
    if not wrong:
        return ()
    worst = max(wrong, key=lambda row: abs((row.found.got or 0.0) - row.found.asked))
    got, asked = format_ratio(worst.found.got or 0.0), format_ratio(worst.found.asked)
    title = f"{worst.what} made up {got}, and {asked} was asked for"
    labels = tuple(f"{row.group.removeprefix('journeys of ')}: {row.what}" for row in shares)
    return (
        Chart(
            "bars", title, "kind of customers", "share of customers", labels,
            (Series("asked for", tuple(row.found.asked for row in shares), "planned"),
             Series("got", tuple(row.found.got or 0.0 for row in shares), "strong")),
            y_unit="ratio",
        ),
    )  # fmt: skip


def _metrics(rows: Sequence[Row]) -> dict[str, Metric]:
    verdicts = Counter(row.verdict for row in rows)
    told = verdicts["as asked"] + verdicts["not as asked"]
    metrics = {
        "workload_match": Metric(
            verdicts["as asked"] / told if told else None, "ratio", n=told,
            meaning="comparisons with the scenario that are as asked, of those that can be told",
        ),
        "workload_mismatches": Metric(
            verdicts["not as asked"], "count", n=len(rows), meaning="comparisons that are not"
        ),
    }  # fmt: skip
    for row in rows:
        if (row.group, row.what) == ("arrivals", BURSTINESS):
            found = row.found
            meaning = "index of dispersion of the planned arrivals around the curve"
            metrics["burstiness"] = Metric(found.got, "", found.low, found.high, found.n, meaning)
    return metrics


if __name__ == "__main__":
    main(analyse)
