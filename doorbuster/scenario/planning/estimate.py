"""Estimates of requests, orders and concurrency before a run starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from doorbuster.scenario.customers.channels import Channel
from doorbuster.scenario.customers.devices import DEFAULT_PAGES, PageDepth
from doorbuster.scenario.customers.journeys import ORDER_STEPS, Journey
from doorbuster.scenario.model import Scenario
from doorbuster.scenario.planning.schedule import expected_customers

ASSUMED_RESPONSE_S = 0.1


@dataclass(frozen=True, slots=True)
class ChannelJourneyEstimate:
    """One journey of one channel at that channel's peak.

    `customers_per_s`: started per second. `in_shop`: concurrent. `wants_order`: each tries to order.
    """

    channel: str
    journey: str
    wants_order: bool
    customers_per_s: float
    requests_per_s: float
    orders_per_s: float
    visit_s: float
    in_shop: float


@dataclass(frozen=True, slots=True)
class ScenarioEstimate:
    """The scenario at its peak, and over the whole run.

    `arrivals`: open channels only. `orders`: attempts of all channels over the whole run.
    """

    arrivals: float
    orders: float
    requests: float
    peak_customers_per_s: float
    peak_requests_per_s: float
    peak_in_shop: float
    channel_journeys: tuple[ChannelJourneyEstimate, ...]


def estimate(scenario: Scenario, *, response_s: float = ASSUMED_RESPONSE_S) -> ScenarioEstimate:
    """Requests, orders and concurrent customers, by Little's law, for a response time of `response_s`.

    A visit of K requests lasts K * R + (K - 1) * Z, with R the response and Z the mean think time. Concurrent
    customers are rate * visit, but no more than have arrived. A user at a seat also thinks before the next
    customer, so `n` seats serve n / (K * R + K * Z) customers per second. A slower shop raises the
    concurrency of open channels and lowers the rate of closed ones.
    """
    if response_s <= 0:
        raise ValueError(f"response_s must be > 0 (got {response_s})")
    channel_journeys = tuple(
        one
        for name, channel in scenario.channels.items()
        for one in _channel_journey_estimates(
            scenario, name, (channel.demand or scenario.demand).rate_curve.peak_per_s, response_s
        )
    )
    arrivals = expected_customers(scenario)
    run_s = {name: _equivalent_peak_s(scenario, channel) for name, channel in scenario.channels.items()}
    together = {name: _ratio_at_peak(scenario, name) for name in scenario.channels}
    return ScenarioEstimate(
        arrivals=arrivals,
        orders=sum(one.orders_per_s * run_s[one.channel] for one in channel_journeys),
        requests=sum(one.requests_per_s * run_s[one.channel] for one in channel_journeys),
        peak_customers_per_s=scenario.peak_per_s,
        peak_requests_per_s=sum(one.requests_per_s * together[one.channel] for one in channel_journeys),
        peak_in_shop=sum(
            min(one.in_shop * together[one.channel], one.customers_per_s * run_s[one.channel])
            for one in channel_journeys
        ),
        channel_journeys=channel_journeys,
    )


def channels_exceeding_drain(
    scenario: Scenario, *, response_s: float = ASSUMED_RESPONSE_S
) -> dict[str, float]:
    """Channels whose longest visits exceed the drain, with their mean duration in seconds.

    Late visits of that length are cut off and counted as dropped, which is not the shop's fault.
    """
    exceeding: dict[str, float] = {}
    for name, channel in scenario.channels.items():
        if channel.pages is None or not channel.is_open:
            continue
        deepest = PageDepth(median=channel.pages.max_pages, max_pages=channel.pages.max_pages)
        longest = channel.model_copy(update={"pages": deepest})
        requests = max(_requests(scenario.journeys[journey], longest) for journey in channel.journeys)
        visit_s = requests * response_s + max(0.0, requests - 1.0) * channel.think.mean_think_s
        if visit_s > scenario.drain_s:
            exceeding[name] = visit_s
    return exceeding


def _equivalent_peak_s(scenario: Scenario, channel: Channel) -> float:
    """Seconds at peak rate with as many customers of the channel as the whole run."""
    if not channel.is_open:
        return scenario.demand.duration_s
    curve = (channel.demand or scenario.demand).rate_curve
    return curve.expected / curve.peak_per_s


def _ratio_at_peak(scenario: Scenario, name: str) -> float:
    """A channel's rate at the moment of the highest total rate, as a share of its own peak, 0..1."""
    channel = scenario.channels[name]
    if not channel.is_open:
        return 1.0
    own = "" if channel.demand is None else name
    return scenario.peak_rates_per_s[own] / scenario.demands[own].rate_curve.peak_per_s


def _requests(journey: Journey, channel: Channel) -> float:
    """Mean requests of one customer, without reloads.

    The channel's `pages` set the product views of browsing journeys and the minimum length of page chains;
    customers with an account sign in before the checkout.
    """
    if journey.visit_chain is not None:
        return journey.requests
    pages = channel.pages or PageDepth(median=DEFAULT_PAGES, max_pages=DEFAULT_PAGES)
    if journey.chain is not None:
        tails = np.array([*pages.tail_ratios(), 0.0])
        return float(-np.diff(tails) @ journey.chain.mean_pages(pages.max_pages))
    signs_in = channel.signed_in_ratio if any(step == "checkout_page" for step, _ in journey.steps) else 0.0
    return signs_in + sum(pages.mean if visits == DEFAULT_PAGES else visits for _, visits in journey.steps)


def _orders(journey: Journey, requests: float) -> float:
    """Mean order attempts of one customer; in a page chain they scale with the length of the visit."""
    longer = 1.0 if journey.chain is None else requests / journey.requests
    orders = sum(visits for step, visits in journey.steps if step in ORDER_STEPS)
    return longer * (
        orders or float(journey.wants_order)
    )  # a journey of your own may order in a step of its own


def _channel_journey_estimates(
    scenario: Scenario, name: str, peak_per_s: float, response_s: float
) -> list[ChannelJourneyEstimate]:
    channel, journeys = scenario.channels[name], scenario.journeys
    think_s = channel.think.mean_think_s
    ratios = channel.journey_ratios()
    if channel.seats is None:
        per_s = peak_per_s * (1.0 if channel.share_ratio is None else channel.share_ratio)
    else:
        cycle_s = sum(
            ratio * _requests(journeys[j], channel) * (response_s + think_s) for j, ratio in ratios.items()
        )
        per_s = channel.seats / cycle_s
    channel_journeys = []
    for journey_name, ratio in ratios.items():
        journey = journeys[journey_name]
        requests = _requests(journey, channel)
        visit_s = requests * response_s + max(0.0, requests - 1.0) * think_s
        rate_per_s = per_s * ratio
        channel_journeys.append(
            ChannelJourneyEstimate(
                channel=name,
                journey=journey_name,
                wants_order=journey.wants_order,
                customers_per_s=rate_per_s,
                requests_per_s=rate_per_s * requests,
                orders_per_s=rate_per_s * _orders(journey, requests),
                visit_s=visit_s,
                in_shop=rate_per_s * visit_s,
            )
        )
    return channel_journeys
