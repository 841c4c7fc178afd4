"""Risks that no run has covered yet: channels, scenarios, integrity, recovery, duration, age."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from doorbuster.forecast.forecast_result import ForecastResult
from doorbuster.scenario import CHANNELS
from doorbuster.season.capacity_evidence import CapacityEvidence
from doorbuster.season.commands import SeasonCommands
from doorbuster.season.run_evidence import RunEvidence
from doorbuster.season.what_if import WhatIf
from doorbuster.units import format_number

_OLD_SEARCH_DAYS = 42  # a release cycle of four to six weeks
_OLD_RUN_DAYS = 7
_SOAK_S = 1800.0
_REHEARSAL = 1.5  # of the expected peak: Shopify tests at 150 % of last year's


@dataclass(frozen=True, slots=True)
class UncoveredRisk:
    """What was not tested, and how to test it."""

    risk: str
    next_step: str


@dataclass(frozen=True, slots=True, eq=False)
class CoverageFacts:
    """What a season has: its usable runs with sections, its searches, names of its scenarios."""

    scenarios: Sequence[str]
    runs: Sequence[RunEvidence]
    searches: Sequence[CapacityEvidence]
    forecast: ForecastResult | None
    what_ifs: Sequence[WhatIf]
    today: date
    commands: SeasonCommands


def uncovered_risks(facts: CoverageFacts) -> list[UncoveredRisk]:
    """All risks that the evidence does not cover."""
    parts = (
        _demand,
        _targets,
        _scenarios,
        _capacity,
        _channels,
        _integrity,
        _recovery,
        _duration,
        _age,
        _questions,
    )
    return [risk for part in parts for risk in part(facts)]


def _demand(facts: CoverageFacts) -> Iterator[UncoveredRisk]:
    if facts.forecast is None:
        yield UncoveredRisk(
            "The demand of the peak is not forecast.", "doorbuster demand forecast orders.csv"
        )
        return
    rates = [run.customers.peak_per_s for run in facts.runs if run.customers and run.customers.peak_per_s]
    wanted = _REHEARSAL * facts.forecast.rate.median
    tested = max([*rates, *(search.capacity.value for search in facts.searches)], default=0.0)
    if tested < wanted:
        yield UncoveredRisk(
            "No run and no capacity reached 150 % of the forecast, "
            f"{format_number(wanted)} customers per second.",
            facts.commands.capacity(),
        )


def _targets(facts: CoverageFacts) -> Iterator[UncoveredRisk]:
    """Runs and searches of several targets cannot be combined."""
    names = [*(run.target for run in facts.runs), *(one.target for one in facts.searches if one.target)]
    targets = sorted(set(names))
    if len(targets) > 1:
        latest = next((one.target for one in reversed(facts.searches) if one.target), "")
        of = f"; the headroom is that of {latest}" if latest else ""
        yield UncoveredRisk(
            f"Runs and searches were made against different targets: {'; '.join(targets)}{of}.",
            "test the shop of the peak, and keep other targets in another season",
        )


def _scenarios(facts: CoverageFacts) -> Iterator[UncoveredRisk]:
    known = {run.meta.scenario_name for run in facts.runs}
    for name in facts.scenarios:
        if name not in known:
            yield UncoveredRisk(f"Scenario {name} has no usable run.", facts.commands.run(name))


def _capacity(facts: CoverageFacts) -> Iterator[UncoveredRisk]:
    if not facts.searches:
        yield UncoveredRisk("The capacity of the shop is unknown.", facts.commands.capacity())


def _channels(facts: CoverageFacts) -> Iterator[UncoveredRisk]:
    if not facts.runs:
        return
    loaded = {channel for run in facts.runs if run.customers for channel in run.customers.channels}
    missing = [name for name in CHANNELS if name not in loaded]
    if missing:
        yield UncoveredRisk(
            f"Channels that no run loaded: {', '.join(missing)}.",
            "add those that your shop has to a scenario",
        )


def _integrity(facts: CoverageFacts) -> Iterator[UncoveredRisk]:
    if facts.runs and not any(run.has_ledger for run in facts.runs):
        yield UncoveredRisk(
            "No run compared its orders with the shop's ledger: lost and oversold orders are unknown.",
            "doorbuster audit RUN --ledger orders.csv",
        )


def _recovery(facts: CoverageFacts) -> Iterator[UncoveredRisk]:
    by_search = any(one.found is not None and one.found.recovered is not None for one in facts.searches)
    by_run = any(run.value("phases.recovered") is not None for run in facts.runs)
    if not by_search and not by_run:
        yield UncoveredRisk(
            "Recovery from an overload was not tested.",
            f"{facts.commands.capacity()}, with a larger --budget",
        )


def _duration(facts: CoverageFacts) -> Iterator[UncoveredRisk]:
    if facts.runs and max(run.meta.duration_s for run in facts.runs) < _SOAK_S:
        yield UncoveredRisk(
            "No run lasted half an hour, so leaks and growing queues or disks would not have shown.",
            "doorbuster run soak",
        )


def _age(facts: CoverageFacts) -> Iterator[UncoveredRisk]:
    for what, days, limit in (
        ("capacity search", [one.day for one in facts.searches], _OLD_SEARCH_DAYS),
        ("run", [run.day for run in facts.runs], _OLD_RUN_DAYS),
    ):
        age = (facts.today - max(days)).days if days else 0
        if age > limit:
            yield UncoveredRisk(f"The latest {what} is {age} days old.", "test the current release")


def _questions(facts: CoverageFacts) -> Iterator[UncoveredRisk]:
    for one in facts.what_ifs:
        if not one.is_tested:
            yield UncoveredRisk(f"{one.question}: not tested.", one.evidence.removeprefix("test it with: "))
