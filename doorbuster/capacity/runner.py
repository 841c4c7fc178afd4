"""Runs the load steps of a capacity search: start, watch, end early where the verdict is clear, measure.

An embedded shop stays open for the whole search: restarting it between load steps would measure cold caches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from doorbuster.capacity.load_step import MeasuredStep, ProposedStep, end_early
from doorbuster.capacity.load_step_scenario import RateLevel, load_step_text
from doorbuster.capacity.observed_bound_distances import (
    abort_distances,
    missing_values,
    observed_abort_keys,
)
from doorbuster.capacity.scenario_bound_distances import bound_distances
from doorbuster.errors import RecordError, RunError
from doorbuster.gate import validity_issues
from doorbuster.locust_process import LocustProcess
from doorbuster.records.reader import Run
from doorbuster.scenario import Scenario, Threshold
from doorbuster.shop_process import start_shop

POLL_EVERY_S = 1.0
EARLY_END_CHECK_S = 5
LAST_SECONDS_S = 2  # of a running test: some workers have not reported these yet


class OpenedShop(NamedTuple):
    """The addresses of the shop. metrics_url: of an embedded shop."""

    url: str
    metrics_url: str | None = None


@contextmanager
def open_shop(plan: Scenario, log: Path) -> Iterator[OpenedShop]:
    """The addresses of the shop; an embedded shop runs until the block ends.

    Raises: TargetError when it does not start.
    """
    if plan.target.url is not None:
        yield OpenedShop(plan.target.url)
        return
    assert plan.target.shop is not None, "a validated target has a url or a shop"
    with start_shop(plan.target.shop.settings, log) as shop:
        yield OpenedShop(shop.url, shop.metrics_url)


def run_scenario(
    text: str,
    folder: Path,
    locustfile: str,
    options: Sequence[str],
    *,
    what: str,
    every_s: float,
    look: Callable[[LocustProcess], None] = lambda _: None,
) -> None:
    """Run the scenario in a new folder and wait for its end; `look` is called every `every_s` seconds.

    Args: what: the run in the message when nothing was recorded.
    Raises: RunError when nothing was recorded; KeyboardInterrupt after the run has stopped.
    """
    folder.mkdir()
    scenario = folder / "scenario.yaml"
    scenario.write_text(text, encoding="utf-8")
    process = LocustProcess(
        locustfile, ["--scenario", str(scenario), "--run-folder", str(folder), *options], folder
    )
    try:
        while process.is_running():
            time.sleep(every_s)
            look(process)
    except KeyboardInterrupt:
        process.stop()
        raise
    if not (folder / "run.sqlite").exists():
        raise process.failure(what)


@dataclass(frozen=True, slots=True)
class LoadStepRunner:
    """Runs the proposed load steps of one search, one folder each."""

    plan: Scenario
    thresholds: tuple[Threshold, ...]
    folder: Path
    shop: OpenedShop
    locustfile: str
    options: tuple[str, ...]

    def run(self, proposal: ProposedStep, number: int, show: Callable[[str], None]) -> MeasuredStep:
        """Run and measure one load step.

        Raises: RunError when nothing was recorded; KeyboardInterrupt after the run has stopped.
        """
        folder, began_s = self.step_folder(proposal, number), time.monotonic()
        ended_after_s: int | None = None
        looked_at = 0

        def look(process: LocustProcess) -> None:
            nonlocal ended_after_s, looked_at
            seconds = _judged_seconds(folder, proposal)
            show(f"{max(0, seconds)} of {proposal.hold_s:.0f} s judged")
            may_end = ended_after_s is None and not proposal.overload_s
            if may_end and seconds - looked_at >= EARLY_END_CHECK_S:
                looked_at = seconds
                if self._can_end_early(folder, proposal, seconds):
                    process.ask_to_stop()
                    ended_after_s = seconds

        what = f"the load step at {proposal.rate_per_s:.4g} per s"
        text = self._text(proposal, number)
        run_scenario(text, folder, self.locustfile, self.options, what=what, every_s=POLL_EVERY_S, look=look)
        elapsed_s = time.monotonic() - began_s
        if number == 1:
            self._require_observed_values(folder)
        return self._measure(folder, proposal, elapsed_s=elapsed_s, seconds=ended_after_s)

    def step_folder(self, proposal: ProposedStep, number: int) -> Path:
        return self.folder / f"{number:02d}-{proposal.kind}-{proposal.rate_per_s:.3g}"

    def _text(self, proposal: ProposedStep, number: int) -> str:
        levels = [RateLevel(proposal.rate_per_s, proposal.warmup_s + proposal.hold_s)]
        if proposal.overload_s:
            levels.insert(0, RateLevel(proposal.overload_per_s, proposal.overload_s))
        return load_step_text(
            self.plan,
            levels,
            url=self.shop.url,
            seed=self.plan.seed + number,
            metrics_url=self.shop.metrics_url,
        )

    def _require_observed_values(self, folder: Path) -> None:
        """Every observed metric that is searched for has values: without them no step has a verdict.

        Raises: RunError.
        """
        with Run.open(folder) as run:
            missing = missing_values(run, self.thresholds)
        if missing:
            raise RunError(f"{'; '.join(missing)}; a capacity search needs these values at every rate")

    def _can_end_early(self, folder: Path, proposal: ProposedStep, seconds: int) -> bool:
        try:
            return bool(end_early(self._measure(folder, proposal, seconds=seconds)))
        except RecordError:  # the writer is busy: try again later
            return False

    def _measure(
        self,
        folder: Path,
        proposal: ProposedStep,
        *,
        elapsed_s: float = 0.0,
        seconds: int | None = None,
    ) -> MeasuredStep:
        """Measurements of the load step, or of its first `seconds` when it was ended early."""
        with Run.open(folder) as run:
            if seconds is not None:
                judged = seconds
            elif run.meta.status == "finished":
                judged = int(proposal.hold_s)
            else:
                judged = max(1, _judged_seconds(folder, proposal))
            return measure(
                run,
                self.thresholds,
                proposal,
                seconds=judged,
                elapsed_s=elapsed_s,
                stopped=seconds is not None,
                abort_keys=observed_abort_keys(self.plan),
            )


def _judged_seconds(folder: Path, proposal: ProposedStep) -> int:
    """Whole seconds recorded so far, after the warm-up."""
    try:
        with Run.open(folder) as run:
            stopped = [row.second for rows in run.health().values() for row in rows]
    except RecordError:
        return 0
    start = proposal.overload_s + proposal.warmup_s
    return int(min(max(stopped, default=0) - LAST_SECONDS_S - start, proposal.hold_s))


def measure(
    run: Run,
    thresholds: tuple[Threshold, ...],
    proposal: ProposedStep,
    *,
    seconds: int,
    elapsed_s: float,
    stopped: bool = False,
    abort_keys: Sequence[str] = (),
) -> MeasuredStep:
    """Measurements of a recorded load step for the search.

    Args: abort_keys: rules of `safety.abort` that bind the search like thresholds.
    """
    first = round(proposal.overload_s + proposal.warmup_s)
    within = slice(first, first + seconds)
    arrivals = [series for series in run.arrivals().values() if series.planned.any()]
    planned = sum(int(series.planned[within].sum()) for series in arrivals)
    started = sum(int(series.started[within].sum()) for series in arrivals)
    inside = np.zeros(first + seconds)
    recorded = run.customers_in_shop()[: inside.size]
    inside[: recorded.size] = recorded
    grown = float(inside[-1] - inside[first - 1 if first else 0])
    of_generator = ("overloaded", "ceiling", "limits")
    limit = next((issue for issue in validity_issues(run) if issue.kind in of_generator), None)
    return MeasuredStep(
        proposal=proposal,
        seconds=seconds,
        bound_distances=(
            *bound_distances(run, thresholds, first=first, seconds=seconds),
            *abort_distances(run, abort_keys, after_overload=bool(proposal.overload_s)),
        ),
        in_system=inside[within],
        completed_per_s=max(0.0, (started - grown) / seconds),
        elapsed_s=elapsed_s,
        delivered_ratio=started / planned if planned else 1.0,
        generator_limit=limit.sentence if limit is not None else "",
        is_at_ceiling=limit is not None and limit.kind == "ceiling",
        drained=stopped or not run.outcome_totals().dropped,
    )
