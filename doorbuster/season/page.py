"""A season as report sections, and the few sentences that head its page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from doorbuster.capacity.headroom import PositiveEstimate
from doorbuster.forecast.forecast_result import ForecastResult
from doorbuster.forecast.page import day_name
from doorbuster.report.section import (
    Annotation,
    Cell,
    Chart,
    Column,
    Fact,
    Metric,
    Section,
    Series,
    Table,
    present,
)
from doorbuster.season.capacity_evidence import trend_sentence
from doorbuster.season.indicators import LABELS, Colour, IndicatorWeek, Reading, limit_text
from doorbuster.season.season_status import SeasonStatus
from doorbuster.units import format_count, format_ratio

SIGNS: dict[Colour, str] = {"green": "✓", "amber": "!", "red": "✗", "unknown": "?"}
TONES: dict[str, str] = {
    "yes": "pass", "probably": "inconclusive", "probably not": "fail", "no": "fail",
    "unknown": "inconclusive",
}  # fmt: skip
COLOUR_TONES: dict[Colour, str] = {
    "green": "pass", "amber": "inconclusive", "red": "fail", "unknown": "unmeasured",
}  # fmt: skip
METHOD = (
    (
        "Headroom is capacity over demand, both log-normal with the intervals that the search and the "
        "forecast show; the probability that the peak holds is that of capacity being at least the demand "
        "(doorbuster/capacity/headroom.py). The answer is yes from 95 %, probably from 50 %, probably not "
        "from 5 %; a failed run of the expected peak, or orders that went wrong, make it no."
    ),
    (
        "Lost orders are the expected demand above the capacity, hour by hour of the peak day (Margrabe, "
        "1978; doorbuster/season/shortfall.py). An overloaded shop often serves fewer customers than its "
        "capacity, so the loss is at least that."
    ),
    (
        "An indicator is green when its whole 95 % interval meets the limit, red when none of it does, and "
        "amber between. Revenue at risk is an expectation: green up to its limit, red above ten times that."
    ),
    "A what-if question is answered by a measured run or search only.",
)
_SHOWN_DAYS, _SHOWN_WEEKS, _STEPS = 14, 8, 3
_CURVE_POINTS = 81


@dataclass(frozen=True, slots=True)
class SeasonPage:
    """What the page shows before its sections."""

    title: str
    tone: str
    badge: str
    sentence: str
    facts: tuple[Fact, ...]
    readings: tuple[tuple[str, Reading, str], ...]
    steps: tuple[str, ...]
    sections: tuple[Section, ...]


def season_page(status: SeasonStatus) -> SeasonPage:
    """The whole page, ready for any renderer."""
    season = status.season
    readings = tuple(
        (label, status.readings[name], limit_text(name, season.limits, status.money))
        for name, label in LABELS.items()
    )
    return SeasonPage(
        season.title, TONES[status.answer], _badge(status), season_sentence(status), _facts(status), readings,
        next_steps(status), _sections(status),
    )  # fmt: skip


def _badge(status: SeasonStatus) -> str:
    return {"yes": "Yes, it holds", "no": "No, it does not hold", "unknown": "Not known yet"}.get(
        status.answer, f"{status.answer.capitalize()}"
    )


def season_sentence(status: SeasonStatus) -> str:
    """Will it hold, and why, in one sentence."""
    if status.forecast is None:
        return "The demand of the peak is not forecast yet, so nobody knows whether the shop holds."
    rate = status.forecast.rate
    ends = f"95 % interval {rate.low95:.3g} to {rate.high95:.3g}"
    demand = f"{rate.median:.3g} customers per second ({ends})"
    if status.held is None:
        return f"The peak brings {demand}; what the shop can take was not measured yet."
    capacity, held = status.held.capacity, status.held.headroom
    least = "at least " if capacity.at_least else ""
    takes = f"The shop takes {least}{capacity.value:.3g} customers per second{_interval(capacity)}"
    text = f"{takes}, the peak brings {demand}"
    if held.held_probability is not None:
        text += f": it holds with a probability of {least}{_probability(held.held_probability)}"
    if status.answer == "no" and status.contradiction:
        return f"{text}, but {status.contradiction}."
    return f"{text}."


def _interval(estimate: PositiveEstimate) -> str:
    if estimate.low is None and estimate.high is None:
        return ""
    ends = ("?" if end is None else f"{end:.3g}" for end in (estimate.low, estimate.high))
    return f" ({' to '.join(ends)})"


def _probability(value: float) -> str:
    return (
        "more than 99.9 %" if value > 0.999 else "less than 0.1 %" if value < 0.001 else format_ratio(value)
    )


def _facts(status: SeasonStatus) -> tuple[Fact, ...]:
    left = status.days_left
    day = day_name(status.season.peak_date)
    days = Fact(
        "Days left", str(max(left, 0)), f"the peak is on {day}" if left >= 0 else f"the peak was on {day}"
    )
    return (_will_it_hold(status), _how_sure(status), _lost(status), days)


def _will_it_hold(status: SeasonStatus) -> Fact:
    held = None if status.held is None else status.held.headroom
    if held is None:
        return Fact("Will it hold?", "–", "needs a forecast and a capacity search")
    ends = [None if end is None else f"{end:.2f}" for end in (held.low, held.high)]
    headroom = f"{held.ratio:.2f} times the demand ({ends[0] or '?'} to {ends[1] or '?'})"
    if held.held_probability is None:
        return Fact("Will it hold?", "–", f"capacity is {headroom}; its interval is unknown")
    least = "≥ " if held.at_least else ""
    return Fact("Will it hold?", f"{least}{_probability(held.held_probability)}", f"capacity is {headroom}")


def _how_sure(status: SeasonStatus) -> Fact:
    """The weaker of the two intervals, as a factor either way, and what they rest on."""
    if status.held is None:
        return Fact("How sure?", "–", "nothing to judge yet")
    demand, capacity = status.held.demand, status.held.capacity
    factors = [
        max(end for end in (_factor(one.low, one.value), _factor(one.value, one.high)) if end is not None)
        for one in (demand, capacity)
        if one.low is not None or one.high is not None
    ]
    widest = max(factors)
    searches = len(status.searches)
    basis = f"{searches} capacity search{'es' if searches != 1 else ''}"
    cases = (
        next((score.cases for score in status.forecast.scores if score.chosen), 0) if status.forecast else 0
    )
    tested = f"a forecast tested on {cases} past cases" if cases else "a forecast without a backtest"
    return Fact("How sure?", f"within a factor of {widest:.2g}", f"95 % interval; {basis} and {tested}")


def _factor(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else high / low


def _lost(status: SeasonStatus) -> Fact:
    held = status.held
    if held is None or held.lost_orders is None:
        return Fact("Lost if not", "–", "needs both intervals")
    worse = f"{format_count(round(held.lost_orders_worse))} orders{_worth(status, held.lost_orders_worse)}"
    return Fact(
        "Lost if not",
        f"{format_count(round(held.lost_orders))} orders",
        f"expected on the peak day{_worth(status, held.lost_orders)}, of {format_count(round(held.orders))}; "
        f"in 1 year of 10 at least {worse}",
    )


def _worth(status: SeasonStatus, orders: float) -> str:
    if status.money is None or round(orders) == 0:
        return ""
    return f" ({status.money.currency.text(orders * status.money.value, rounded=True)})"


def next_steps(status: SeasonStatus) -> tuple[str, ...]:
    """What to do next: the quick wins with orders at stake, then the first uncovered risks."""
    wins = [win for win in status.wins if win.is_integrity or (win.orders and (win.orders.value or 0) >= 0.5)]
    steps = [f"{win.advice} {_at_stake(win.orders)}({win.finding.rstrip('.')})" for win in wins]
    steps += [f"{risk.risk} Next: {risk.next_step}." for risk in status.risks]
    return tuple(steps[:_STEPS])


def _at_stake(orders: Metric | None) -> str:
    if orders is None or orders.value is None:
        return ""
    return f"At stake: about {format_count(round(orders.value))} orders on the peak day. "


# Sections


def _sections(status: SeasonStatus) -> tuple[Section, ...]:
    return present(
        _reserve_section(status), _trend_section(status), _indicator_section(status), _audit_section(status),
        _what_if_section(status), _risk_section(status), _industry_section(status), _evidence_section(status),
    )  # fmt: skip


def _reserve_section(status: SeasonStatus) -> Section | None:
    if status.forecast is None:
        return None
    findings = [f"An order is worth {status.money.currency.text(status.money.value)} ({status.money_source})."
                if status.money else f"Revenue is unknown: {status.money_source}."]  # fmt: skip
    return Section(
        name="reserve", question="How much reserve is there at the peak?",
        sentence=_demand_sentence(status.forecast), findings=tuple(findings),
        figures=present(_reserve_chart(status)),
    )  # fmt: skip


def _demand_sentence(found: ForecastResult) -> str:
    day, hour = found.count("day", "orders"), found.count("hour", "visits")
    return (
        f"The busiest day brings {format_count(round(day.median))} orders (95 % interval "
        f"{format_count(round(day.low95))} to {format_count(round(day.high95))}), its busiest hour "
        f"{format_count(round(hour.median))} visits; forecast by {found.method} from {found.source}."
    )


def _reserve_chart(status: SeasonStatus) -> Chart | None:
    """P(demand > x) and P(capacity > x) over x: where the curves cross, the reserve ends."""
    if status.held is None:
        return None
    demand, capacity = status.held.demand, status.held.capacity
    ends = [end for one in (demand, capacity) for end in (one.low, one.high, one.value) if end is not None]
    x = np.geomspace(min(ends) * 0.7, max(ends) * 1.3, _CURVE_POINTS)
    more_demand, more_capacity = _exceeds(demand, x), _exceeds(capacity, x)
    if more_demand is None or more_capacity is None:
        return None
    series = (
        Series("demand above this", more_demand, "bad"), Series("capacity above this", more_capacity, "good"),
    )  # fmt: skip
    held = status.held.headroom.held_probability
    title = "Demand and capacity" if held is None else f"Capacity exceeds demand with {_probability(held)}"
    return Chart(
        "lines", title, "customers per second in the busiest hour", "probability",
        tuple(float(at) for at in x), series, x_unit="", y_unit="ratio", y_max=1.05,
        moments=(Annotation(demand.value, "forecast"), Annotation(capacity.value, "capacity")),
    )  # fmt: skip


def _exceeds(estimate: PositiveEstimate, x: np.ndarray) -> tuple[float, ...] | None:
    below, above = estimate.spread_below, estimate.spread_above
    if below is None or above is None:
        return None
    found = []
    for at in x:
        distance = math.log(at / estimate.value)
        spread = above if distance > 0 else below
        found.append(0.5 * math.erfc(distance / spread / math.sqrt(2)) if spread else float(distance <= 0))
    return tuple(found)


def _trend_section(status: SeasonStatus) -> Section | None:
    """The headroom of every search."""
    if status.forecast is None or not status.searches:
        return None
    demand = status.forecast.rate.median
    rows: list[tuple[Cell, ...]] = []
    for search in reversed(status.searches):
        value = search.capacity
        low, high = (None if end is None else end / demand for end in (value.low, value.high))
        headroom = Metric(value.value / demand, "", low, high, at_least=value.at_least)
        binding = search.found.binding if search.found else None
        rows.append((day_name(search.day), search.commit[:12] or None, Metric(value.value, "per_s", value.low,
                     value.high, at_least=value.at_least), headroom, binding))  # fmt: skip
    columns = (
        Column("Day"), Column("Commit"), Column("Capacity"), Column("Over the median demand"),
        Column("First threshold missed"),
    )  # fmt: skip
    sentence = trend_sentence(status.searches, demand, status.season.peak_date)
    return Section(
        name="trend", question="How does the headroom develop?", sentence=sentence,
        figures=present(_trend_chart(status, demand)),
        tables=(Table("Capacity searches, latest first", columns, tuple(rows)),),
    )  # fmt: skip


def _trend_chart(status: SeasonStatus, demand: float) -> Chart | None:
    searches = status.searches
    if len(searches) < 2:
        return None
    first = searches[0].day
    x = tuple(float((search.day - first).days) for search in searches)

    def ends(side: str) -> tuple[float | None, ...]:
        found = (getattr(search.capacity, side) for search in searches)
        return tuple(None if end is None else end / demand for end in found)

    line = Series("headroom", tuple(search.capacity.value / demand for search in searches), "strong",
                  ends("low"), ends("high"))  # fmt: skip
    return Chart(
        "lines", f"Headroom from {searches[0].capacity.value / demand:.2f} to "
        f"{searches[-1].capacity.value / demand:.2f}",
        f"days since {day_name(first)}", "capacity over demand", x, (line,), x_unit="count",
        bounds=(Annotation(1.0, "demand"),),
    )  # fmt: skip


def _indicator_section(status: SeasonStatus) -> Section:
    rows = tuple(
        (day_name(day.day), *(_cell(day.readings[name]) for name in LABELS), day.source or None)
        for day in reversed(status.days[-_SHOWN_DAYS:])
    )
    columns = (Column("Day"), *(Column(label) for label in LABELS.values()), Column("Run"))
    limits = "; ".join(
        f"{label} {limit_text(name, status.season.limits, status.money)}" for name, label in LABELS.items()
    )
    tables = [Table("By day, latest first", columns, rows, f"Limits: {limits}.")] if rows else []
    if status.weeks:
        tables.append(_week_table(status.weeks[-_SHOWN_WEEKS:]))
    return Section(
        name="indicators", question="How are the five indicators, day by day?",
        sentence=_indicator_sentence(status), tables=tuple(tables),
    )  # fmt: skip


def _cell(reading: Reading) -> str:
    return "–" if reading.colour == "unknown" else f"{SIGNS[reading.colour]} {reading.text}"


def _indicator_sentence(status: SeasonStatus) -> str:
    colours = [reading.colour for reading in status.readings.values()]
    counts = [f"{colours.count(colour)} {colour}" for colour in SIGNS if colour in colours]
    if colours.count("unknown") == len(colours):
        return "None is measured yet: the first usable run starts the record."
    return f"Of five, {', '.join(counts)}."


def _week_table(weeks: Sequence[IndicatorWeek]) -> Table:
    rows = tuple(
        (f"{week.year}, week {week.week}", *(_week_cell(week, name) for name in LABELS))
        for week in reversed(weeks)
    )
    columns = (Column("Week"), *(Column(label) for label in LABELS.values()))
    note = (
        "The last value of the week; the sign is that of the worst day, the arrow the change since last week."
    )
    return Table("By week, latest first", columns, rows, note)


def _week_cell(week: IndicatorWeek, name: str) -> str:
    reading = week.readings[name]
    if reading.colour == "unknown":
        return "–"
    before = week.before.get(name)
    arrow = ""
    if before is not None and before.value is not None and reading.value is not None:
        arrow = " ↑" if reading.value > before.value else " ↓" if reading.value < before.value else " ="
    return f"{SIGNS[week.worst[name]]} {reading.text}{arrow}"


def _audit_section(status: SeasonStatus) -> Section:
    rows = tuple(
        (win.finding, win.advice, win.orders, win.evidence) for win in status.wins
    )  # fmt: skip
    columns = (
        Column("Finding"), Column("What to do first"), Column("Orders at stake on the peak day"),
        Column("Evidence"),
    )  # fmt: skip
    note = "– in the third column: no run shows what it costs in orders."
    n = len(status.explained)
    runs = f"{n} run{'s' if n != 1 else ''} and {len(status.searches)} searches" if n else "no usable run yet"
    sentence = f"{len(rows)} findings, from {runs}." if rows else f"Nothing was found, from {runs}."
    return Section(
        name="audit", question="What are the quick wins?", sentence=sentence,
        tables=(Table("Ranked by orders", columns, rows, note),) if rows else (),
    )  # fmt: skip


def _what_if_section(status: SeasonStatus) -> Section:
    tested = sum(one.is_tested for one in status.what_ifs)
    rows = tuple((one.question, one.answer, one.evidence) for one in status.what_ifs)
    columns = (Column("What if"), Column("Answer"), Column("Evidence"))
    return Section(
        name="what_if", question="What if …?", sentence=f"{tested} of {len(rows)} questions were tested.",
        tables=(Table("What if", columns, rows),),
    )  # fmt: skip


def _risk_section(status: SeasonStatus) -> Section:
    rows = tuple((risk.risk, risk.next_step) for risk in status.risks)
    n = len(rows)
    sentence = (
        f"{n} risk{'s' if n != 1 else ''} that no run covers." if n else "Every risk on the list was tested."
    )
    return Section(
        name="risks", question="What has no run covered yet?", sentence=sentence,
        tables=(Table("Not covered", (Column("Risk"), Column("Next step")), rows),) if rows else (),
    )  # fmt: skip


def _industry_section(status: SeasonStatus) -> Section:
    rows = tuple((one.what, one.ours, one.published, one.source) for one in status.industry)
    columns = (Column("Figure"), Column("Ours"), Column("Published"), Column("Source"))
    return Section(
        name="industry", question="How does that compare with others?",
        sentence="Most published figures are statements of the press or of vendors: anchors, not truth.",
        tables=(Table("Ours and the industry's", columns, rows),),
    )  # fmt: skip


def _evidence_section(status: SeasonStatus) -> Section:
    rows = tuple(
        (day_name(run.day), run.meta.scenario_name, run.verdict.status, str(run.folder), run.verdict.sentence)
        for run in reversed(status.runs)
        if not run.unusable
    )[:_SHOWN_DAYS]
    columns = (Column("Day"), Column("Scenario"), Column("Verdict"), Column("Run"), Column("Result"))
    n = len(status.runs)
    return Section(
        name="evidence", question="Which runs does this rest on?",
        sentence=f"{n} run{'s' if n != 1 else ''} and {len(status.searches)} capacity "
        f"search{'es' if len(status.searches) != 1 else ''}.",
        findings=tuple(f"Not used: {text}" for text in status.unusable[:_SHOWN_DAYS]),
        tables=(Table("Runs, latest first", columns, rows),) if rows else (),
    )  # fmt: skip


def made_on(day: date) -> str:
    """When the page was made."""
    return f"As of {day_name(day)}"
