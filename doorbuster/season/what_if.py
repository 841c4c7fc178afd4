"""What-if questions, answered by measured runs and searches only; otherwise "not tested"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.capacity.headroom import Headroom
from doorbuster.forecast.forecast_result import ForecastResult
from doorbuster.season.capacity_evidence import CapacityEvidence
from doorbuster.season.commands import SeasonCommands
from doorbuster.season.reserve import reserve
from doorbuster.season.run_evidence import RunEvidence
from doorbuster.units import format_estimate, format_ratio

NOT_TESTED = "not tested"
MORE_DEMAND = 1.2
_WITHOUT_RETRIES = "# changed by --no-retries"


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One question. `hold_probability`: that the shop holds; None where no search answers it."""

    question: str
    answer: str
    hold_probability: float | None
    evidence: str

    @property
    def is_tested(self) -> bool:
        return self.answer != NOT_TESTED


@dataclass(frozen=True, slots=True, eq=False)
class WhatIfFolder:
    """What a folder of season.yaml holds: searches, else runs."""

    searches: Sequence[CapacityEvidence] = ()
    runs: Sequence[RunEvidence] = ()


def what_ifs(
    forecast: ForecastResult | None, search: CapacityEvidence | None, searches: Sequence[CapacityEvidence],
    runs: Sequence[RunEvidence], stated: dict[str, WhatIfFolder], commands: SeasonCommands,
) -> tuple[WhatIf, ...]:  # fmt: skip
    """The questions.

    Args: search: the current one; stated: folders of season.yaml, by key.
    """
    usable = [run for run in runs if not run.unusable]
    smaller = _with_one_server_less(search, searches)
    without = [run for run in usable if _WITHOUT_RETRIES in run.meta.scenario_text]
    with_room = [run for run in usable if run.customers and run.customers.has_waiting_room]
    return (
        _more_demand(forecast, search, commands),
        _worse_year(forecast, search, commands),
        _answer("One server less", forecast, stated.get("one_server_less"), smaller, [],
                f"{commands.capacity()}, with one server less"),
        _answer("Retries off", forecast, stated.get("retries_off"), [], without,
                commands.run(more=" --no-retries")),
        _answer("Waiting room on", forecast, stated.get("waiting_room_on"), [], with_room,
                f"{commands.run()}, with target.shop.waiting_room or your own"),
    )  # fmt: skip


def _more_demand(
    forecast: ForecastResult | None, search: CapacityEvidence | None, commands: SeasonCommands
) -> WhatIf:
    question = f"Demand {MORE_DEMAND - 1:+.0%}".replace("%", " %")
    if forecast is None or search is None:
        return WhatIf(question, NOT_TESTED, None, f"test it with: {commands.capacity()}")
    found = reserve(forecast, search.capacity, factor=MORE_DEMAND)
    return WhatIf(question, _headroom_text(found.headroom), found.headroom.held_probability, search.folder)


def _worse_year(
    forecast: ForecastResult | None, search: CapacityEvidence | None, commands: SeasonCommands
) -> WhatIf:
    question = "Demand that 1 year in 10 exceeds"
    if forecast is None or search is None:
        return WhatIf(question, NOT_TESTED, None, f"test it with: {commands.capacity()}")
    found = reserve(forecast, search.capacity)
    lost = format_estimate(found.lost_orders_worse)
    ratio = search.capacity.value / found.worse_per_s
    return WhatIf(question, f"capacity is {ratio:.2f} times it; {lost} orders above it", None, search.folder)


def _with_one_server_less(
    search: CapacityEvidence | None, searches: Sequence[CapacityEvidence]
) -> list[CapacityEvidence]:
    size = None if search is None or search.found is None else search.found.size
    if size is None:
        return []
    return [one for one in searches if one.found is not None and one.found.size == size - 1]


def _answer(
    question: str, forecast: ForecastResult | None, stated: WhatIfFolder | None,
    searches: Sequence[CapacityEvidence], runs: Sequence[RunEvidence], command: str,
) -> WhatIf:  # fmt: skip
    """From the stated folder, else from what was recognised; the latest search, else the latest run."""
    if stated is not None:
        searches, runs = stated.searches, [run for run in stated.runs if not run.unusable]
    if searches and forecast is not None:
        found = reserve(forecast, searches[-1].capacity).headroom
        return WhatIf(question, _headroom_text(found), found.held_probability, searches[-1].folder)
    if runs:
        return WhatIf(question, runs[-1].verdict.sentence, None, str(runs[-1].folder))
    return WhatIf(question, NOT_TESTED, None, f"test it with: {command}")


def _headroom_text(found: Headroom) -> str:
    least = "at least " if found.at_least else ""
    probability = (
        "unknown" if found.held_probability is None else f"{least}{format_ratio(found.held_probability)}"
    )
    return f"headroom {least}{found.ratio:.2f}, holds with probability {probability}"
