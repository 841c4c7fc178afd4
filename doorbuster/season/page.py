"""What heads the page of a season: the answer, the facts, the indicators and the next steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from doorbuster.capacity.headroom import PositiveEstimate
from doorbuster.forecast.page import day_name
from doorbuster.report.section import (
    Fact,
    Metric,
    Section,
)
from doorbuster.season.indicators import LABELS, Colour, Reading, limit_text
from doorbuster.season.season_status import SeasonStatus
from doorbuster.season.sections import season_sections
from doorbuster.season.wording import counted, probability_text
from doorbuster.units import format_estimate, format_money, format_number

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
        "from 5 %; a failed run of the expected peak, or lost, duplicated or oversold orders, make it no."
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
_STEPS = 3


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
        next_steps(status), season_sections(status),
    )  # fmt: skip


def _badge(status: SeasonStatus) -> str:
    return {"yes": "Yes, it holds", "no": "No, it does not hold", "unknown": "Not known yet"}.get(
        status.answer, f"{status.answer.capitalize()}"
    )


def season_sentence(status: SeasonStatus) -> str:
    """Will it hold, and why, in one sentence."""
    if status.forecast is None:
        return "The demand of the peak is not forecast yet, so it is unknown whether the shop holds."
    rate = status.forecast.rate
    ends = f"95 % interval {format_number(rate.low95)} to {format_number(rate.high95)}"
    demand = f"{format_number(rate.median)} customers per second ({ends})"
    if status.reserve is None:
        return f"The peak brings {demand}; {_why_unknown(status)}."
    capacity, headroom = status.reserve.capacity, status.reserve.headroom
    least = "at least " if capacity.at_least else ""
    takes = f"the shop takes {least}{format_number(capacity.value)} customers per second{_interval(capacity)}"
    text = f"{takes}, the peak brings {demand}"
    probability = headroom.held_probability
    if status.is_contradicted and probability is not None:
        reason = f"{status.contradiction[:1].upper()}{status.contradiction[1:]}"
        alone = (
            f"By capacity alone it would hold with a probability of {least}{probability_text(probability)}"
        )
        return f"{reason}. {alone}: {text}."
    if probability is not None:
        text += f": it holds with a probability of {least}{probability_text(probability)}"
    return f"{text[:1].upper()}{text[1:]}."


def _why_unknown(status: SeasonStatus) -> str:
    """Why no capacity is known, and what came of the attempts."""
    if not status.unusable or status.explained:
        return "the capacity of the shop is not measured yet"
    were = "result was" if len(status.unusable) == 1 else f"{len(status.unusable)} results were"
    what = "the only" if len(status.unusable) == 1 else "all"
    return f"what the shop can take is not known, because {what} {were} unusable"


def _interval(estimate: PositiveEstimate) -> str:
    if estimate.low is None and estimate.high is None:
        return ""
    ends = ("?" if end is None else f"{format_number(end)}" for end in (estimate.low, estimate.high))
    return f" (95 % interval {' to '.join(ends)})"


def _facts(status: SeasonStatus) -> tuple[Fact, ...]:
    left = status.days_left
    day = day_name(status.season.peak_date)
    days = Fact(
        "Days left", str(max(left, 0)), f"the peak is on {day}" if left >= 0 else f"the peak was on {day}"
    )
    return (_will_it_hold(status), _how_sure(status), _lost(status), days)


def _will_it_hold(status: SeasonStatus) -> Fact:
    headroom = None if status.reserve is None else status.reserve.headroom
    if headroom is None:
        return Fact("Will it hold?", "–", "needs a forecast and a capacity search")
    ends = [None if end is None else f"{end:.2f}" for end in (headroom.low, headroom.high)]
    times_demand = f"{headroom.ratio:.2f} times the demand ({ends[0] or '?'} to {ends[1] or '?'})"
    if headroom.held_probability is None:
        return Fact("Will it hold?", "–", f"capacity is {times_demand}; its interval is unknown")
    least = "≥ " if headroom.at_least else ""
    probability = f"{least}{probability_text(headroom.held_probability)}"
    if status.is_contradicted:
        return Fact("Will it hold?", "no", f"by capacity alone {probability}; it is {times_demand}")
    return Fact("Will it hold?", probability, f"capacity is {times_demand}")


def _how_sure(status: SeasonStatus) -> Fact:
    """The wider of the two intervals, as a factor either way, and the evidence behind them."""
    if status.reserve is None:
        return Fact("How sure?", "–", "nothing to judge yet")
    demand, capacity = status.reserve.demand, status.reserve.capacity
    factors = [
        max(end for end in (_factor(one.low, one.value), _factor(one.value, one.high)) if end is not None)
        for one in (demand, capacity)
        if one.low is not None or one.high is not None
    ]
    widest = max(factors)
    basis = counted(len(status.searches), "capacity search", "capacity searches")
    cases = (
        next((score.cases for score in status.forecast.scores if score.chosen), 0) if status.forecast else 0
    )
    tested = f"a forecast tested on {cases} past cases" if cases else "a forecast without a backtest"
    return Fact("How sure?", f"factor {widest:.2g}", f"either way (95 %), from {basis} and {tested}")


def _factor(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else high / low


def _lost(status: SeasonStatus) -> Fact:
    reserve = status.reserve
    lost = None if reserve is None else reserve.lost_if_not
    if reserve is None or lost is None or reserve.lost_orders is None:
        return Fact("Lost if not", "–", "needs both intervals")
    share = f"of {format_estimate(reserve.orders)} on the peak day{_worth(status, lost)}"
    mean = f"{format_estimate(reserve.lost_orders)} on average over all outcomes"
    return Fact("Lost if not", f"≥ {format_estimate(lost)} orders", f"{share}; {mean}")


def _worth(status: SeasonStatus, orders: float) -> str:
    if status.money is None or round(orders) == 0:
        return ""
    return f" ({format_money(orders * status.money.value, status.money.currency)})"


def next_steps(status: SeasonStatus) -> tuple[str, ...]:
    """What to do next: repair what made results unusable if there are no others, then the quick wins with
    orders at stake, then the first uncovered risks.
    """
    wins = [win for win in status.wins if win.is_integrity or (win.orders and (win.orders.value or 0) >= 0.5)]
    steps = []
    if status.unusable and not status.explained and not status.searches:
        steps.append(f"No result can be used yet. Repair this first: {status.unusable[-1]}.")
    steps += [f"{_first_sentence(win.finding)} {win.advice}{_at_stake(win.orders)}" for win in wins]
    steps += [f"{risk.risk} Next: {risk.next_step}." for risk in status.risks]
    return tuple(steps[:_STEPS])


def _at_stake(orders: Metric | None) -> str:
    if orders is None or orders.value is None:
        return ""
    interval = ""
    if orders.low is not None and orders.high is not None:
        interval = f" (95 % interval {format_estimate(orders.low)} to {format_estimate(orders.high)})"
    return f" At stake: about {format_estimate(orders.value)} orders on the peak day{interval}."


def _first_sentence(text: str) -> str:
    """Up to the first full stop that a new sentence follows."""
    first, stop, rest = text.partition(". ")
    return f"{first}." if stop and rest else text


def made_on(day: date) -> str:
    """When the page was made."""
    return f"As of {day_name(day)}"
