"""The errands of a run: what the scenario says about each channel, turned once into what customers use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from doorbuster.load.customers.behaviour import pages_law, patience_law, room_law, think_law, visit_law
from doorbuster.load.customers.model import STEP_LIMIT_S, CustomerProfile
from doorbuster.load.customers.retry_policy import RetryBudget
from doorbuster.load.customers.session import ContentCheckingSession, StepSession
from doorbuster.scenario import EVERY_STEP, JOURNEYS, Channel, Rule, Scenario
from doorbuster.storefronts import Storefront


class ProfileRegistry:
    """One worker's errands, each made when the first customer needs it."""

    def __init__(self, scenario: Scenario, driver: type[Storefront], *, run_id: str) -> None:
        self._scenario = scenario
        self._driver = driver
        self._run_id = run_id
        self._made: dict[tuple[str, str], CustomerProfile] = {}
        self._crossed: dict[tuple[str, str, bool], CustomerProfile] = {}
        self._budgets: dict[str, RetryBudget] = {}

    def of(self, channel: str, journey: str) -> CustomerProfile:
        """The errand of those who arrive in `channel` for `journey`."""
        errand = self._made.get((channel, journey))
        if errand is None:
            errand = self._made[channel, journey] = self._make(channel, journey)
        return errand

    def across(self, channel: str, journey: str, *, seated: bool) -> CustomerProfile:
        """The errand of those who go on in `channel`, which need not be one in which anybody arrives.

        seated: whether the customer arrived at a seat, whose last call ends with the run.
        """
        errand = self._crossed.get((channel, journey, seated))
        if errand is None:
            made = replace(self.of(channel, journey), seated=seated)
            errand = self._crossed[channel, journey, seated] = made
        return errand

    def _make(self, name: str, journey: str) -> CustomerProfile:
        channel = self._scenario.channels.get(name)
        if channel is None:  # nobody arrives there, so nothing is said about its people
            channel = Channel(share=1.0, journeys={journey: 1.0}).with_default_patience(name)
        wants_order = JOURNEYS[journey].wants_order
        retries, rules = channel.retries, self._scenario.target.content_rules
        return CustomerProfile(
            channel=name,
            journey=journey,
            wants_order=wants_order,
            seated=not channel.is_open,
            driver=self._driver.for_channel(name),
            session=ContentCheckingSession if rules else StepSession,
            visit=visit_law(channel, wants_order=wants_order, run_id=self._run_id),
            patience=patience_law(channel.patience),
            think=think_law(channel.think),
            pages=pages_law(channel.pages),
            room_patience=room_law(channel.waiting_room),
            limit_s=min(STEP_LIMIT_S, (retries.timeout_s if retries else None) or STEP_LIMIT_S),
            patience_with={d: patience_law(channel.patience_with(d)) for d in channel.devices} or None,
            reloads=channel.reloads,
            retries=retries,
            budget=self._budget(name, channel),
            offline=channel.offline,
            rules=_rules_by_step(rules) if rules else None,
            counts_visits=bool(channel.devices or channel.cache_busting_ratio or channel.signed_in_ratio),
        )

    def _budget(self, name: str, channel: Channel) -> RetryBudget | None:
        """The budget that all customers of a channel share in this worker."""
        retries = channel.retries
        if retries is None or retries.budget_ratio is None:
            return None
        return self._budgets.setdefault(name, RetryBudget(retries.budget_ratio))


def _rules_by_step(rules: tuple[Rule, ...]) -> Callable[[str], tuple[Rule, ...]]:
    @cache
    def of(step: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in rules if rule.step in (step, EVERY_STEP))

    return of
