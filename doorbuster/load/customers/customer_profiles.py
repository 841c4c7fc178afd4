"""Customer profiles: the scenario's settings of a channel, turned into what customers use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from doorbuster.load.customers.behaviour import (
    pages_sampler,
    patience_sampler,
    room_sampler,
    think_sampler,
    visit_sampler,
)
from doorbuster.load.customers.model import STEP_LIMIT_S, CustomerProfile
from doorbuster.load.customers.retry_budget import RetryBudget
from doorbuster.load.customers.session_opener import session_opener
from doorbuster.scenario import EVERY_STEP, Channel, ContentRule, Scenario
from doorbuster.storefronts import Storefront


class ProfileRegistry:
    """The profiles of one worker, each made for the first customer that needs it."""

    def __init__(self, scenario: Scenario, driver: type[Storefront], *, run_id: str) -> None:
        self._scenario = scenario
        self._driver = driver
        self._run_id = run_id
        self._by_arrival: dict[tuple[str, str], CustomerProfile] = {}
        self._by_channel: dict[tuple[str, str, bool], CustomerProfile] = {}
        self._budgets: dict[str, RetryBudget] = {}

    def for_arrival(self, channel: str, journey: str) -> CustomerProfile:
        """The profile of customers who arrive in `channel` for `journey`."""
        profile = self._by_arrival.get((channel, journey))
        if profile is None:
            profile = self._by_arrival[channel, journey] = self._make(channel, journey)
        return profile

    def for_channel(self, channel: str, arrived_as: CustomerProfile) -> CustomerProfile:
        """The profile of customers who continue a journey in `channel`, which may have no arrivals."""
        journey, is_closed = arrived_as.journey, arrived_as.is_closed
        profile = self._by_channel.get((channel, journey, is_closed))
        if profile is None:
            profile = replace(self.for_arrival(channel, journey), is_closed=is_closed)
            self._by_channel[channel, journey, is_closed] = profile
        return profile

    def _make(self, name: str, journey: str) -> CustomerProfile:
        channel = self._scenario.channels.get(name)
        if channel is None:  # a channel without arrivals has no settings in the scenario
            values = {"share": 1.0, "journeys": {journey: 1.0}}
            channel = Channel.model_validate(values, context=self._scenario.journeys)
            channel = channel.with_default_patience(name)
        wants_order = self._scenario.journeys[journey].wants_order
        retries, driver = channel.retries, self._driver.for_channel(name)
        rules = self._scenario.target.content_rules if driver.open_session is None else ()
        assets = self._scenario.target.assets if driver.open_session is None else "none"
        return CustomerProfile(
            channel=name,
            journey=journey,
            wants_order=wants_order,
            is_closed=not channel.is_open,
            driver=driver,
            open_session=session_opener(
                driver, checks_content=bool(rules), assets=assets, protocol=self._scenario.target.protocol
            ),
            loads_assets=assets != "none",
            visit=visit_sampler(channel, wants_order=wants_order, run_id=self._run_id),
            patience=patience_sampler(channel.patience),
            think=think_sampler(channel.think),
            pages=pages_sampler(channel.pages),
            room_patience=room_sampler(channel.waiting_room),
            limit_s=min(STEP_LIMIT_S, (retries.timeout_s if retries else None) or STEP_LIMIT_S),
            patience_by_device={
                device: patience_sampler(channel.patience_for(device)) for device in channel.devices
            }
            or None,
            reloads=channel.reloads,
            retries=retries,
            budget=self._budget(name, channel),
            offline=channel.offline,
            chain=self._scenario.journeys[journey].visit_chain,
            rules=_rules_by_step(rules) if rules else None,
            paces_steps=driver.open_session is not None,
            counts_visits=bool(channel.devices or channel.cache_busting_ratio or channel.signed_in_ratio),
        )

    def _budget(self, name: str, channel: Channel) -> RetryBudget | None:
        """The retry budget that all customers of a channel share in this worker."""
        retries = channel.retries
        if retries is None or retries.budget_ratio is None:
            return None
        return self._budgets.setdefault(name, RetryBudget(retries.budget_ratio))


def _rules_by_step(rules: tuple[ContentRule, ...]) -> Callable[[str], tuple[ContentRule, ...]]:
    @cache
    def rules_of(step: str) -> tuple[ContentRule, ...]:
        return tuple(rule for rule in rules if rule.step in (step, EVERY_STEP))

    return rules_of
