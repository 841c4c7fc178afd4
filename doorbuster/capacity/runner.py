"""Plateaus of a capacity search as real runs: started, watched, ended early when hopeless, measured.

One shop stays open for the whole search when it is the embedded one: its caches, books and stock are those of
one day, and a search that closes the shop between plateaus would measure cold starts.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from doorbuster.errors import RecordError, TargetError
from doorbuster.locust_process import LocustProcess

if TYPE_CHECKING:
    from doorbuster.capacity.load_step import Measured, Proposal
    from doorbuster.records.reader import Run
    from doorbuster.scenario import Scenario, Threshold

LOOK_EVERY_S = 1.0
EARLY_EVERY_S = 5
LAST_SECONDS_S = 2  # of a run that goes on: not all reports of these are in


@contextmanager
def open_shop(plan: Scenario, log: Path) -> Iterator[str]:
    """The address of the shop; an embedded one is open until the block ends.

    Raises: TargetError when it does not start.
    """
    if plan.target.url is not None:
        yield plan.target.url
        return
    assert plan.target.shop is not None, "a validated target has a url or a shop"
    words = [sys.executable, "-m", "doorbuster.shop", "--json-announce", "--die-with-parent"]
    with log.open("wb") as errors, subprocess.Popen(
        [*words, *plan.target.shop.options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=errors, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise TargetError(f"the embedded shop did not start; its log is {log}")
        try:
            yield str(json.loads(line)["url"])
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


@dataclass(frozen=True, slots=True)
class PlateauRunner:
    """Runs proposals of one search, one folder each."""

    plan: Scenario
    thresholds: tuple[Threshold, ...]
    folder: Path
    url: str
    locustfile: Path
    options: tuple[str, ...]

    def run(self, proposal: Proposal, number: int, show: Callable[[str], None]) -> Measured:
        """One plateau, measured.

        Raises: RunError when nothing was recorded; KeyboardInterrupt after the run was ended orderly.
        """
        folder = self.folder_of(proposal, number)
        folder.mkdir()
        scenario = folder / "scenario.yaml"
        scenario.write_text(self._text(proposal, number), encoding="utf-8")
        began_s = time.monotonic()
        options = ["--scenario", str(scenario), "--run-folder", str(folder), *self.options]
        process = LocustProcess(self.locustfile, options, folder)
        hopeless_after_s = self._watch(process, folder, proposal, show)
        if not (folder / "run.sqlite").exists():
            raise process.failure(f"the plateau at {proposal.rate_per_s:.4g} per s")
        elapsed_s = time.monotonic() - began_s
        return self._measure(folder, proposal, elapsed_s=elapsed_s, seconds=hopeless_after_s)

    def folder_of(self, proposal: Proposal, number: int) -> Path:
        return self.folder / f"{number:02d}-{proposal.kind}-{proposal.rate_per_s:.3g}"

    def _text(self, proposal: Proposal, number: int) -> str:
        from doorbuster.capacity.plateau_scenario import Level, plateau_text

        levels = [Level(proposal.rate_per_s, proposal.settle_s + proposal.hold_s)]
        if proposal.overload_s:
            levels.insert(0, Level(proposal.overload_per_s, proposal.overload_s))
        return plateau_text(self.plan, levels, url=self.url, seed=self.plan.seed + number)

    def _watch(
        self, process: LocustProcess, folder: Path, proposal: Proposal, show: Callable[[str], None]
    ) -> int | None:
        """Wait for the end; after how many judged seconds it was ended because it was hopeless, if it was."""
        hopeless_after_s, looked_at = None, 0
        try:
            while process.is_running():
                time.sleep(LOOK_EVERY_S)
                seconds = _judged_seconds(folder, proposal)
                show(f"{max(0, seconds)} of {proposal.hold_s:.0f} s judged")
                may_end = hopeless_after_s is None and not proposal.overload_s
                if may_end and seconds - looked_at >= EARLY_EVERY_S:
                    looked_at = seconds
                    if self._is_hopeless(folder, proposal, seconds):
                        process.ask_to_stop()
                        hopeless_after_s = seconds
        except KeyboardInterrupt:
            process.ask_to_stop()
            process.exit_code()
            raise
        return hopeless_after_s

    def _is_hopeless(self, folder: Path, proposal: Proposal, seconds: int) -> bool:
        from doorbuster.capacity.load_step import end_early

        try:
            return bool(end_early(self._measure(folder, proposal, seconds=seconds)))
        except RecordError:  # the writer is busy: look again later
            return False

    def _measure(
        self,
        folder: Path,
        proposal: Proposal,
        *,
        elapsed_s: float = 0.0,
        seconds: int | None = None,
    ) -> Measured:
        """What the plateau gave, or its first `seconds`: after an early end nobody came any more."""
        from doorbuster.records.reader import Run

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
            )


def _judged_seconds(folder: Path, proposal: Proposal) -> int:
    """Whole seconds of a plateau that are recorded by now, after settling."""
    from doorbuster.records.reader import Run

    try:
        with Run.open(folder) as run:
            stopped = [row.second for rows in run.health().values() for row in rows]
    except RecordError:
        return 0
    start = proposal.overload_s + proposal.settle_s
    return int(min(max(stopped, default=0) - LAST_SECONDS_S - start, proposal.hold_s))


def measure(
    run: Run,
    thresholds: tuple[Threshold, ...],
    proposal: Proposal,
    *,
    seconds: int,
    elapsed_s: float,
    stopped: bool = False,
) -> Measured:
    """What a recorded plateau gives to the search."""
    from doorbuster.capacity.load_step import Measured
    from doorbuster.capacity.threshold_indicators import indicators
    from doorbuster.gate import validity_issues

    first = round(proposal.overload_s + proposal.settle_s)
    within = slice(first, first + seconds)
    arrivals = [series for series in run.arrivals().values() if series.planned.any()]
    planned = sum(int(series.planned[within].sum()) for series in arrivals)
    started = sum(int(series.started[within].sum()) for series in arrivals)
    inside = in_shop(run, first + seconds)
    grown = float(inside[-1] - inside[first - 1 if first else 0])
    limit = next((issue.sentence for issue in validity_issues(run) if issue.kind == "slow"), "")
    return Measured(
        proposal=proposal,
        seconds=seconds,
        indicators=indicators(run, thresholds, first=first, seconds=seconds),
        in_system=inside[within],
        completed_per_s=max(0.0, (started - grown) / seconds),
        elapsed_s=elapsed_s,
        delivered_ratio=started / planned if planned else 1.0,
        generator_limit=limit,
        drained=stopped or not run.balance().dropped,
    )


def in_shop(run: Run, seconds: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Customers in the shop at the end of each of so many seconds, all workers together."""
    total = np.zeros(seconds)
    for rows in run.health().values():
        for row in rows:
            if 0 <= row.second < seconds:
                total[row.second] += row.in_flight
    return total
