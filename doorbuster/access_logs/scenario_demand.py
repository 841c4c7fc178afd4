"""What a scenario says about the figures that a log shows: visits, pages, orders, think times."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from doorbuster.scenario import (
    CHAIN_STEPS,
    DEFAULT_PAGES,
    ENTER,
    Channel,
    Constant,
    Exponential,
    Lognormal,
    Scenario,
    Think,
)

_PAGE_OF = {"landing": "product", "collect_checkout": "checkout"}  # steps that a log shows as other pages
_NO_PAGES = ("pos_sale", "phone_order", "partner_order", "feed", "look_up_order", "pickup")


@dataclass(frozen=True, slots=True)
class ScenarioDemand:
    """Means over all customers of a scenario who visit pages.

    pages: mean views of each page per visit. transitions: chance of each next page, also `leave`, after each
    page and after `enter`; empty unless every journey is a chain. think: of the channel with most customers.
    """

    customers: float
    duration_s: float
    peak_per_s: float
    burstiness: float
    pages: Mapping[str, float]
    transitions: Mapping[str, Mapping[str, float]]
    think: Think

    @property
    def pages_per_visit(self) -> float:
        return sum(self.pages.values())

    @property
    def orders_per_visit(self) -> float:
        return self.pages.get("checkout", 0.0)

    @property
    def think_median_s(self) -> float:
        match self.think:
            case Constant():
                return self.think.constant_s
            case Exponential():
                return min(self.think.mean_s * math.log(2), self.think.max_s)
            case Lognormal():
                return min(self.think.median_s, self.think.max_s)
            case _:
                return (self.think.low_s + self.think.high_s) / 2


def scenario_demand(scenario: Scenario) -> ScenarioDemand | None:
    """The demand of a scenario's open channels with pages; None if it has none."""
    weights = {(channel, journey): weight for channel, journey, weight in _open_journeys(scenario)}
    total = sum(weights.values())
    if not total:
        return None
    pages: dict[str, float] = defaultdict(float)
    flows: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    chained = True
    by_channel: dict[str, float] = defaultdict(float)
    for (channel, name), weight in weights.items():
        journey = scenario.journeys[name]
        by_channel[channel] += weight
        for step, visits in journey.steps:
            mean = (
                _visits(step, visits, scenario.channels[channel]) if journey.visit_chain is None else visits
            )
            pages[_PAGE_OF.get(step, step)] += weight / total * mean
        if journey.visit_chain is None:
            chained = False
            continue
        seen = {ENTER: 1.0, **journey.visit_chain.visits}
        for page, row in journey.visit_chain.weights.items():
            for after, share in row.items():
                flows[page][after] += weight * seen[page] * share / sum(row.values())
    transitions = {
        page: {after: flow / sum(row.values()) for after, flow in row.items()}
        for page, row in flows.items()
        if sum(row.values())
    }
    return ScenarioDemand(
        customers=total,
        duration_s=scenario.demand.duration_s,
        peak_per_s=sum(scenario.peak_rates_per_s.values()),
        burstiness=scenario.demand.burstiness,
        pages=dict(pages),
        transitions=transitions if chained else {},
        think=scenario.channels[max(by_channel, key=lambda name: by_channel[name])].think,
    )


def _open_journeys(scenario: Scenario) -> Iterator[tuple[str, str, float]]:
    """Channel, journey and expected customers, for journeys with pages."""
    shared = scenario.demand.rate_curve.expected
    for name, channel in scenario.channels.items():
        if not channel.is_open:
            continue
        customers = (
            channel.demand.rate_curve.expected if channel.demand else shared * (channel.share_ratio or 0.0)
        )
        for journey, ratio in channel.journey_ratios().items():
            steps = {step for step, _ in scenario.journeys[journey].steps}
            if steps & {*CHAIN_STEPS, *_PAGE_OF} and not steps & set(_NO_PAGES):
                yield name, journey, customers * ratio


def _visits(step: str, visits: float, channel: Channel) -> float:
    """Mean visits to a step; the channel's `pages` set the product views of browsing journeys."""
    if step == "product" and visits == DEFAULT_PAGES and channel.pages is not None:
        return channel.pages.mean
    return visits
