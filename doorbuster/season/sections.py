"""The sections of a season's page: reserve, trend, indicators, quick wins, what-if, risks, industry, runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from doorbuster.capacity.headroom import PositiveEstimate
from doorbuster.forecast.forecast_result import ForecastResult
from doorbuster.forecast.page import day_name
from doorbuster.report.section import (
    Annotation,
    Cell,
    Chart,
    Column,
    Metric,
    Section,
    Series,
    Table,
    present,
)
from doorbuster.season.capacity_evidence import trend_sentence
from doorbuster.season.indicators import LABELS, IndicatorWeek, Reading, limit_text
from doorbuster.season.season_status import SeasonStatus
from doorbuster.season.wording import SIGNS, counted, probability_text
from doorbuster.units import format_estimate

_SHOWN_DAYS, _SHOWN_WEEKS = 14, 8
_CURVE_POINTS = 81


def season_sections(status: SeasonStatus) -> tuple[Section, ...]:
    """The sections, most important first."""
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
        f"The busiest day brings {format_estimate(day.median)} orders (95 % interval "
        f"{format_estimate(day.low95)} to {format_estimate(day.high95)}), its busiest hour "
        f"{format_estimate(hour.median)} visits; forecast by {found.method} from {found.source}."
    )


def _reserve_chart(status: SeasonStatus) -> Chart | None:
    """P(demand > x) and P(capacity > x) over x: where the curves cross, the reserve ends."""
    if status.reserve is None:
        return None
    demand, capacity = status.reserve.demand, status.reserve.capacity
    ends = [end for one in (demand, capacity) for end in (one.low, one.high, one.value) if end is not None]
    x = np.geomspace(min(ends) * 0.7, max(ends) * 1.3, _CURVE_POINTS)
    more_demand, more_capacity = _exceeds(demand, x), _exceeds(capacity, x)
    if more_demand is None or more_capacity is None:
        return None
    series = (
        Series("demand above this", more_demand, "bad"), Series("capacity above this", more_capacity, "good"),
    )  # fmt: skip
    probability = status.reserve.headroom.held_probability
    title = (
        "Demand and capacity"
        if probability is None
        else f"Capacity exceeds demand with {probability_text(probability)}"
    )
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
        name="indicators", question="What are the five indicators, day by day?",
        sentence=_indicator_sentence(status), tables=tuple(tables),
    )  # fmt: skip


def _cell(reading: Reading) -> str:
    return "–" if reading.colour == "unknown" else f"{SIGNS[reading.colour]} {reading.text}"


def _indicator_sentence(status: SeasonStatus) -> str:
    colours = [reading.colour for reading in status.readings.values()]
    counts = [f"{colours.count(colour)} {colour}" for colour in SIGNS if colour in colours]
    if colours.count("unknown") == len(colours):
        return "None is measured yet; they begin with the first usable run."
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
    of = f"{counted(n, 'run')} and {counted(len(status.searches), 'search', 'searches')}"
    found = counted(len(rows), "finding") if rows else "No finding"
    sentence = f"{found}, from {of}." if n or status.searches else "There is no usable run or search yet."
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
        sentence="Most published figures are statements of the press or of vendors, not evidence.",
        tables=(Table("Ours and the industry's", columns, rows),),
    )  # fmt: skip


def _evidence_section(status: SeasonStatus) -> Section:
    rows = tuple(
        (
            day_name(run.day),
            run.meta.scenario_name,
            run.verdict.status,
            run.target,
            str(run.folder),
            run.verdict.sentence,
        )
        for run in reversed(status.runs)
        if not run.unusable
    )[:_SHOWN_DAYS]
    columns = (
        Column("Day"),
        Column("Scenario"),
        Column("Verdict"),
        Column("Target"),
        Column("Run"),
        Column("Result"),
    )
    return Section(
        name="evidence", question="Which runs and searches were used?",
        sentence=f"{counted(len(status.runs), 'run')} and "
        f"{counted(len(status.searches), 'capacity search', 'capacity searches')}.",
        findings=tuple(f"Not used: {text}" for text in status.unusable[:_SHOWN_DAYS]),
        tables=(Table("Runs, latest first", columns, rows),) if rows else (),
    )  # fmt: skip
