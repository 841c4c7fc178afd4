"""A recorded run with what several sections derive from it; each value is worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from doorbuster.records.import_info import ImportInfo, import_info
from doorbuster.records.reader import Run
from doorbuster.scenario import LocustScenario, Phase, Scenario, Threshold
from doorbuster.scenario.recorded import planned_phases, recorded_scenario
from doorbuster.units import POUND, Currency


class RunContext:
    """What `analyse` receives: the run, its effective scenario, phases and customers in the shop."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @cached_property
    def is_closed(self) -> bool:
        """Whether users without a schedule ran, of a plain Locust file or another tool: no customers."""
        return self.run.meta.workload == "closed"

    @cached_property
    def imported(self) -> ImportInfo | None:
        """The source of results imported from another tool; None for a run of doorbuster's own."""
        return import_info(self.run.meta)

    @property
    def only_summary(self) -> bool:
        """Whether another tool's summary was imported, without requests."""
        return self.imported is not None and self.imported.precision == "summary"

    @cached_property
    def is_plain(self) -> bool:
        """Whether a plain Locust file ran: its requests have no parts, and no shop has a driver."""
        return not self.run.meta.storefront

    @property
    def has_customers(self) -> bool:
        """Whether customers with wishes came, whom a scenario describes."""
        return not (self.is_closed or self.is_plain or self.imported is not None)

    @cached_property
    def scenario(self) -> Scenario | None:
        """The scenario that ran; None for a plain Locust file and when another tool recorded the run."""
        return self._recorded if isinstance(self._recorded, Scenario) else None

    @cached_property
    def _recorded(self) -> Scenario | LocustScenario | None:
        return recorded_scenario(self.run.meta.scenario_text)

    @property
    def trace_url(self) -> str:
        """The link to a trace, with {trace_id} for its id; only the id if the scenario states no link."""
        observe = None if self.scenario is None else self.scenario.observe
        return "{trace_id}" if observe is None or observe.trace_url is None else observe.trace_url

    @property
    def currency(self) -> Currency:
        """The currency of the shop's prices."""
        return self.scenario.target.money if self.scenario is not None else POUND

    @cached_property
    def curve_scenario(self) -> Scenario | None:
        """The scenario if the run followed its demand curve; a load step of a search has its own demand."""
        scenario = self.scenario
        if scenario is None or abs(scenario.demand.duration_s - self.run.meta.duration_s) > 0.5:
            return None
        return scenario

    @cached_property
    def thresholds(self) -> Sequence[Threshold]:
        """The thresholds of the scenario whose bound does not depend on a baseline."""
        found = () if self._recorded is None else self._recorded.thresholds
        return [threshold for threshold in found if not threshold.relative]

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the planned curve."""
        return planned_phases(self._recorded)

    @cached_property
    def customers_in_shop(self) -> np.ndarray:
        """Customers in the shop at the end of each second, summed over workers."""
        return self.run.customers_in_shop()


def protocols_text(run: Run) -> str:
    """The protocols of a run's connections: "HTTP/2 on 1,200 connections, HTTP/1.1 on 3"; "" if unknown."""
    found = run.connections_by_protocol()
    parts = [f"{name} on {n:,}" for name, n in found.items()]
    if parts:
        parts[0] += " connection" if found[next(iter(found))] == 1 else " connections"
    return ", ".join(parts)
