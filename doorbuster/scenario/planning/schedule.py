"""The schedule of a run: arrival time and journey of each customer. Pure: a function of scenario and seed.

Arrivals are a non-homogeneous Poisson process, sampled by inversion: unit-rate arrivals y1 < y2 < ... (sums
of Exp(1) gaps) are mapped to the times at which the integral of the rate reaches them. This is exact for
piecewise-linear rates, so ramps are smooth. Source: Cinlar, Introduction to Stochastic
Processes (1975), chapter 4, section 7; checked by time rescaling.

Arrivals of channels with their own demand are superposed.

Burstiness I is the index of dispersion of counts in whole seconds of the run, Var N / E N = I. The rate of
each second is multiplied by its own gamma factor G with mean 1 and variance v. Given G, N is Poisson with
mean mG, where m is the count the curve expects in that second, so

    E N = m,   Var N = E(mG) + Var(mG) = m + m^2 v,   Var N / E N = 1 + m v.

With v = (I - 1) / m, that is shape m / (I - 1) for G, the index is I in every second, at the peak as on the
slopes, and as seconds are independent also in every window of whole seconds. Windows of w < 1 s within one
second have 1 + (I - 1) w. Within a second the curve keeps its shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from doorbuster.errors import FileProblem, ScenarioError
from doorbuster.scenario.customers.channels import channel_order
from doorbuster.scenario.demand.demand import Demand
from doorbuster.scenario.demand.rate_curve import Floats, RateCurve
from doorbuster.scenario.model import Scenario

MAX_CUSTOMERS = 20_000_000  # of one run; planning them takes 1.4 GB
_GAPS_AT_ONCE = 1 << 18


class ChannelJourney(NamedTuple):
    """A channel and a journey."""

    channel: str
    journey: str


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Intended arrivals of a run.

    `intended_s`: float64 (n,), ascending, in [0, duration_s). `channel_journey_index`: uint16 (n,), into
    `channel_journeys`. `arrival_index`: int64 (n,), the number of the arrival.
    """

    duration_s: float
    channel_journeys: tuple[ChannelJourney, ...]
    intended_s: Floats
    channel_journey_index: npt.NDArray[np.uint16]
    arrival_index: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.intended_s)

    def planned_per_second(self) -> dict[str, npt.NDArray[np.int64]]:
        """Arrivals of each open channel in each second, shape (ceil(duration_s),)."""
        seconds = int(np.ceil(self.duration_s))
        channels = tuple(dict.fromkeys(one.channel for one in self.channel_journeys))
        channel_index = np.array(
            [channels.index(one.channel) for one in self.channel_journeys], dtype=np.int64
        )
        if not channels:
            return {}
        cells = channel_index[self.channel_journey_index] * seconds + self.intended_s.astype(np.int64)
        counts = np.bincount(cells, minlength=seconds * len(channels)).reshape(len(channels), seconds)
        return {channel: counts[i] for i, channel in enumerate(channels)}


@dataclass(frozen=True, slots=True)
class _Source:
    """Arrivals of one curve, split over channels and journeys; `ratios` has one entry for each, sum 1."""

    demand: Demand
    channel_journeys: tuple[ChannelJourney, ...]
    ratios: Floats
    streams: tuple[np.random.Generator, ...]

    def count(self) -> int:
        """How many arrivals `draw` returns."""
        bursts, arrivals, _ = self.streams
        curve = self.demand.rate_curve
        if self.demand.burstiness > 1.0:
            curve = _with_bursts(curve, self.demand.burstiness, bursts)
        found, reached = 0, 0.0
        while True:
            gaps = arrivals.standard_exponential(_GAPS_AT_ONCE)
            times = np.cumsum(np.concatenate(([reached], gaps)))[1:]  # the same sums as in one piece
            found += int(np.searchsorted(times, curve.expected, side="left"))
            reached = float(times[-1])
            if reached >= curve.expected:
                return found

    def draw(self) -> tuple[Floats, npt.NDArray[np.intp]]:
        """Ascending arrival times, and the index of each arrival's channel and journey among these."""
        bursts, arrivals, choices = self.streams
        curve = self.demand.rate_curve
        if self.demand.burstiness > 1.0:
            curve = _with_bursts(curve, self.demand.burstiness, bursts)
        intended_s = curve.inverse(_unit_arrivals(curve.expected, arrivals))
        if len(self.channel_journeys) == 1:
            return intended_s, np.zeros(len(intended_s), dtype=np.intp)
        drawn = choices.random(len(intended_s))
        return intended_s, np.searchsorted(np.cumsum(self.ratios)[:-1], drawn, side="right")


def plan_schedule(scenario: Scenario, *, seed: int | None = None) -> Schedule:
    """The schedule of a scenario; another `seed` gives another sample of the same demand.

    Raises: ScenarioError if it has more than MAX_CUSTOMERS customers; nothing is planned then.
    """
    check_size(scenario)
    return _schedule(_sources(scenario, scenario.seed if seed is None else seed), scenario.demand.duration_s)


def check_size(scenario: Scenario) -> None:
    """Raises: ScenarioError if the plan would not fit into the memory of a usual machine."""
    expected = expected_customers(scenario)
    if expected > MAX_CUSTOMERS:
        rule = f"must plan at most {MAX_CUSTOMERS:,} customers"
        way_out = "lower demand.peak, or shorten the curve"
        raise ScenarioError([FileProblem(scenario.name, 0, 0, "demand", rule, f"{expected:,.0f}", way_out)])


def count_customers(scenario: Scenario) -> int:
    """The number of customers in the schedule, from the curves alone: in bounded memory.

    Raises: ScenarioError as `plan_schedule`.
    """
    check_size(scenario)
    return sum(source.count() for source in _sources(scenario, scenario.seed))


def plan_arrivals(demand: Demand, ratios: dict[ChannelJourney, float], *, seed: int) -> Schedule:
    """The arrivals of one demand, spread over channels and journeys."""
    return _schedule((_source(demand, ratios, np.random.SeedSequence(seed)),), demand.duration_s)


def _schedule(sources: tuple[_Source, ...], duration_s: float) -> Schedule:
    channel_journeys = tuple(one for source in sources for one in source.channel_journeys)
    times, numbers, first = [np.empty(0)], [np.empty(0, dtype=np.intp)], 0
    for source in sources:
        intended_s, channel_journey_index = source.draw()
        times.append(intended_s)
        numbers.append(channel_journey_index + first)
        first += len(source.channel_journeys)
    intended_s, channel_journey_index = np.concatenate(times), np.concatenate(numbers)
    if len(sources) > 1:
        order = np.argsort(intended_s, kind="stable")
        intended_s, channel_journey_index = intended_s[order], channel_journey_index[order]
    schedule = Schedule(
        duration_s=duration_s,
        channel_journeys=channel_journeys,
        intended_s=intended_s,
        channel_journey_index=channel_journey_index.astype(np.uint16),
        arrival_index=np.arange(len(intended_s), dtype=np.int64),
    )
    for array in (schedule.intended_s, schedule.channel_journey_index, schedule.arrival_index):
        array.setflags(write=False)
    return schedule


def arrival_rate_per_s(scenario: Scenario, times_s: npt.ArrayLike) -> Floats:
    """Expected arrival rate of all open channels at each time of the run; 0 outside it."""
    rates = np.zeros(np.shape(times_s))
    for demand in scenario.demands.values():
        rates = rates + demand.rate_curve.at_per_s(times_s)
    return rates


def expected_customers(scenario: Scenario) -> float:
    """Expected number of arrivals in the run, all open channels together."""
    return sum(demand.rate_curve.expected for demand in scenario.demands.values())


def _sources(scenario: Scenario, seed: int) -> tuple[_Source, ...]:
    """The scenario's demand, then each channel's own.

    Each has its own random stream, so that the arrivals of one channel do not depend on the others.
    """
    sources = []
    ratios = {
        ChannelJourney(name, journey): channel.share_ratio * ratio
        for name, channel in scenario.channels.items()
        if channel.share_ratio is not None
        for journey, ratio in channel.journey_ratios().items()
    }
    if ratios:
        sources.append(_source(scenario.demand, ratios, np.random.SeedSequence(seed)))
    for name, channel in scenario.channels.items():
        if channel.demand is not None:
            own = {
                ChannelJourney(name, journey): ratio for journey, ratio in channel.journey_ratios().items()
            }
            number = channel_order(scenario.channels).index(name)
            sources.append(_source(channel.demand, own, np.random.SeedSequence((seed, number))))
    return tuple(sources)


def _source(demand: Demand, ratios: dict[ChannelJourney, float], seed: np.random.SeedSequence) -> _Source:
    parts = np.array(list(ratios.values()), dtype=np.float64)
    streams = tuple(np.random.Generator(np.random.PCG64(stream)) for stream in seed.spawn(3))
    return _Source(demand, tuple(ratios), parts / parts.sum(), streams)


def _with_bursts(curve: RateCurve, burstiness: float, rng: np.random.Generator) -> RateCurve:
    """The curve with each second's rate multiplied by a gamma factor of mean 1 (see the top of this file)."""
    split = curve.split_at(np.arange(1.0, np.ceil(curve.duration_s)))
    middles = (split.edges_s[:-1] + split.edges_s[1:]) / 2.0
    second = middles.astype(np.int64)
    expected = np.bincount(second, weights=split.masses)
    some = expected > 0
    shape = np.where(some, expected, 1.0) / (burstiness - 1.0)
    factor = np.where(some, rng.standard_gamma(shape) / shape, 0.0)
    return split.scaled(factor[second])


def _unit_arrivals(expected: float, rng: np.random.Generator) -> Floats:
    """Arrivals of a Poisson process of rate 1 in [0, expected), ascending."""
    parts: list[Floats] = []
    reached = 0.0
    while reached < expected:
        left = expected - reached
        gaps = rng.standard_exponential(int(left + 4.0 * np.sqrt(left) + 16.0))
        parts.append(reached + np.cumsum(gaps))
        reached = float(parts[-1][-1])
    if not parts:
        return np.empty(0)
    y = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return y[: np.searchsorted(y, expected, side="left")]
