"""A closed sweep: the same customers in a loop, more of them at a time, a run for each number of seats."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.errors import UsageError
from doorbuster.locust_process import LocustProcess

if TYPE_CHECKING:
    from doorbuster.capacity.scaling_result import ScalingPoint
    from doorbuster.records.reader import Run
    from doorbuster.scenario import Scenario

SHORTEST_HOLD_S = 5.0
LOST_S = 6.0  # what starting and ending a run takes
MOST_SEATS = 10_000
LOOK_EVERY_S = 0.2


def parse_seats(text: str) -> list[int]:
    """The numbers of "1,2,4,8", smallest first.

    Raises: UsageError unless they are different whole numbers from 1 on, two at least.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= MOST_SEATS for part in parts):
        raise UsageError(
            f'--sweep: must be whole numbers from 1 to {MOST_SEATS:,}, such as "1,2,4,8" (got {text!r})'
        )
    seats = sorted({int(part) for part in parts})
    if len(seats) < 2:
        raise UsageError(f"--sweep: needs at least two different numbers of seats (got {text!r})")
    return seats


def choose_channel(plan: Scenario, name: str | None) -> str:
    """Whose seats are varied: the one that was named, the only closed channel, or the largest open one."""
    if name is not None:
        if name not in plan.channels:
            raise UsageError(
                f"--channel: {plan.name} has no channel {name!r}; it has {', '.join(plan.channels)}"
            )
        return name
    closed = [known for known, channel in plan.channels.items() if not channel.is_open]
    if len(closed) == 1:
        return closed[0]
    shares = {
        known: channel.share_ratio or 0.0 for known, channel in plan.channels.items() if channel.is_open
    }
    if closed or not shares:
        raise UsageError(f"--channel: say whose seats to vary: {', '.join(closed)}")
    return max(shares, key=lambda known: shares[known])


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep that is to be run: everything but the shop's address."""

    plan: Scenario
    channel: str
    seats: tuple[int, ...]
    settle_s: float
    hold_s: float
    folder: Path
    locustfile: Path
    options: tuple[str, ...]

    def run(self, url: str, *, quiet: bool) -> bool:
        """Write one point after the other; whether somebody stopped it before the last one."""
        from doorbuster.capacity.scaling_result import ScalingResult

        title = f"{self.plan.title}: {self.channel}"
        result = ScalingResult("sweep", title, self.channel, finished=False)
        try:
            for number, seats in enumerate(self.seats, start=1):
                point = self._point(url, seats, number)
                result = replace(result, points=(*result.points, point))
                result.write(self.folder)
                if not quiet:
                    said = f"{point.per_s:.4g} requests/s, {point.response_s or 0:.3g} s each"
                    click.echo(f"{seats:6d} seats  {said}", err=True)
        except KeyboardInterrupt:
            return True
        replace(result, finished=True).write(self.folder)
        return False

    def _point(self, url: str, seats: int, number: int) -> ScalingPoint:
        from doorbuster.capacity.plateau_scenario import seats_text
        from doorbuster.records.reader import Run

        folder = self.folder / f"{number:02d}-seats-{seats}"
        folder.mkdir()
        scenario = folder / "scenario.yaml"
        length_s, seed = self.settle_s + self.hold_s, self.plan.seed + number
        text = seats_text(self.plan, self.channel, seats, for_s=length_s, url=url, seed=seed)
        scenario.write_text(text, encoding="utf-8")
        options = ["--scenario", str(scenario), "--run-folder", str(folder), *self.options]
        process = LocustProcess(self.locustfile, options, folder)
        try:
            while process.is_running():
                time.sleep(LOOK_EVERY_S)
        except KeyboardInterrupt:
            process.ask_to_stop()
            process.exit_code()
            raise
        if not (folder / "run.sqlite").exists():
            raise process.failure(f"the run with {seats} seats")
        with Run.open(folder) as run:
            return measure_point(run, seats, first=round(self.settle_s), seconds=int(self.hold_s))


def measure_point(run: Run, seats: int, *, first: int, seconds: int) -> ScalingPoint:
    """Requests answered per second after settling, with the interval of their blocks of time.

    Seconds of a loop are correlated as those of a queue are, so the error is that of `indicator`.
    """
    import numpy as np
    from scipy.special import stdtrit

    from doorbuster.capacity.indicator import mean_error
    from doorbuster.capacity.scaling_result import ScalingPoint

    answered = run.request_counts(lambda series: True if series.outcome == "ok" else None)
    counts = np.zeros(seconds)
    found = answered[True][first : first + seconds] if answered else counts
    counts[: found.size] = found
    times = run.histogram(match=lambda series: series.outcome == "ok", seconds=(first, first + seconds))
    per_s, (error, dof) = float(counts.mean()), mean_error(counts)
    half = float(stdtrit(dof, 0.975)) * error if math.isfinite(error) else None
    mean_s = None if times.mean_us is None else times.mean_us / 1e6
    low, high = (None, None) if half is None else (max(0.0, per_s - half), per_s + half)
    return ScalingPoint(seats, per_s, low, high, mean_s, seconds, run.path.parent.name)
