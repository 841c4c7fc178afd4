"""What the recorded runs of a season show: when they ran, how they ended, and their indicators.

Rules of this module:
- Runs of capacity searches and sweeps are left out: their load steps run at rates that the search chose.
- A run whose load generator was overloaded, or that somebody stopped, says nothing about the shop. One that
  a safety rule ended does: the shop failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from doorbuster.capacity.result_file import SCALING_FILE, SEARCH_FILE
from doorbuster.errors import AnalysisError, RecordError
from doorbuster.gate import ThresholdResult, Verdict, judge, validity_issues, verdict
from doorbuster.history.identity import target_name
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.schema import FILE_NAME
from doorbuster.report import analyse_run
from doorbuster.report.section import Section
from doorbuster.scenario import Scenario, Threshold
from doorbuster.scenario.recorded import recorded_scenario, recorded_thresholds
from doorbuster.scenario.thresholds.language import read_thresholds
from doorbuster.season.season_file import SeasonLimits
from doorbuster.stats.difference import ValueWithInterval
from doorbuster.stats.lost_orders import expected_orders, mean_baskets
from doorbuster.units import Currency

BROWSE, ORDER, BUYING = "can_browse", "can_order", "buying_p95"
_NS = 10**9


@dataclass(frozen=True, slots=True, eq=False)
class CustomerEvidence:
    """What only a run of customers has. placed and expected: orders; basket: the mean order, in `currency`.

    peak_per_s: of the demand curve; None if the run did not follow it.
    """

    channels: tuple[str, ...]
    has_retries: bool
    has_waiting_room: bool
    peak_per_s: float | None
    expected: ValueWithInterval
    basket: float | None
    currency: Currency


@dataclass(frozen=True, slots=True, eq=False)
class RunEvidence:
    """One run. `indicators` by name: browse, order and the p95 of the buying journey, against the limits.

    unusable: why it says nothing about the shop, "" otherwise. sections: of its report, filled for the runs
    that the page explains.
    """

    folder: Path
    meta: RunMeta
    verdict: Verdict
    unusable: str
    indicators: dict[str, ThresholdResult]
    has_ledger: bool
    customers: CustomerEvidence | None
    sections: tuple[Section, ...] = ()
    errors: tuple[AnalysisError, ...] = ()

    @property
    def day(self) -> date:
        """The day on which it ran, UTC."""
        return datetime.fromtimestamp(self.meta.started_at_unix_ns / _NS, UTC).date()

    @property
    def target(self) -> str:
        """What was loaded: the address, or the design of the embedded shop."""
        return target_name(self.meta)

    def value(self, name: str) -> float | None:
        """A metric "section.metric"."""
        section, _, metric = name.partition(".")
        found = next((one.metrics.get(metric) for one in self.sections if one.name == section), None)
        return None if found is None else found.value


def indicator_thresholds(limits: SeasonLimits) -> dict[str, Threshold]:
    """The limits as thresholds, by indicator."""
    stated = read_thresholds({
        "can_browse": [f"rate>={limits.can_browse}"],
        "can_order": [f"rate>={limits.can_order}"],
        "http_req_duration{journey:buy}": [f"p(95)<={limits.buying_p95_s * 1000}"],
    })  # fmt: skip
    return dict(zip((BROWSE, ORDER, BUYING), stated, strict=True))


def run_folders(folders: Iterable[Path]) -> list[Path]:
    """The folders of single runs, at any depth."""
    files = sorted({file for folder in folders for file in folder.rglob(FILE_NAME)})
    return [file.parent for file in files if not _is_of_search(file.parent)]


def _is_of_search(folder: Path) -> bool:
    return any(
        (place / name).is_file() for place in (folder, folder.parent) for name in (SEARCH_FILE, SCALING_FILE)
    )


def read_runs(folders: Iterable[Path], limits: SeasonLimits) -> tuple[list[RunEvidence], list[str]]:
    """The runs, oldest first, without their sections; and what could not be read."""
    found, unusable = [], []
    for folder in folders:
        try:
            evidence = _read(folder, indicator_thresholds(limits))
        except RecordError as error:
            unusable.append(str(error))
            continue
        if evidence is not None:
            found.append(evidence)
    return sorted(found, key=lambda run: run.meta.started_at_unix_ns), unusable


def _read(folder: Path, limits: dict[str, Threshold]) -> RunEvidence | None:
    with Run.open(folder) as run:
        meta = run.meta
        if meta.status == "running":
            return None
        scenario = recorded_scenario(meta.scenario_text)
        thresholds = () if scenario is None else scenario.thresholds
        absolute = [threshold for threshold in thresholds if not threshold.relative]
        results = judge(run, (), [*limits.values(), *absolute])
        unusable = f"it was {meta.status}" if meta.status == "interrupted" else ""
        unusable = unusable or "; ".join(issue.sentence for issue in validity_issues(run))
        return RunEvidence(
            folder=folder,
            meta=meta,
            verdict=verdict(run, results[len(limits) :]),
            unusable=unusable,
            indicators=dict(zip(limits, results, strict=False)),
            has_ledger=run.ledger() is not None,
            customers=_of_customers(run, scenario) if isinstance(scenario, Scenario) else None,
        )


def _of_customers(run: Run, scenario: Scenario) -> CustomerEvidence:
    channels = scenario.channels.values()
    basket = mean_baskets(run.orders(), scenario.target.money).of("")
    shop = scenario.target.shop
    follows_curve = abs(scenario.demand.duration_s - run.meta.duration_s) <= 0.5
    return CustomerEvidence(
        channels=tuple(scenario.channels),
        has_retries=any(channel.reloads or channel.retries for channel in channels),
        has_waiting_room=shop is not None and shop.waiting_room is not None,
        peak_per_s=scenario.demand.peak_per_s if follows_curve else None,
        expected=expected_orders(run.customers(run.grain_s)).orders,
        basket=None if basket is None else basket.mean,
        currency=scenario.target.money,
    )


def with_sections(run: RunEvidence, scripts: Sequence[Path]) -> RunEvidence:
    """The run with the sections of its report."""
    with Run.open(run.folder) as opened:
        analysed = analyse_run(opened, scripts)
        thresholds = [one for one in recorded_thresholds(run.meta.scenario_text) if not one.relative]
        found = verdict(opened, judge(opened, analysed.sections, thresholds))
    return replace(run, sections=analysed.sections, errors=analysed.errors, verdict=found)
