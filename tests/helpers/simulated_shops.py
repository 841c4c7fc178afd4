"""Shops on simulated time, and capacity searches on them: no sleeping, every search seeded."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from doorbuster.capacity.bound_distance import Latencies, Ratio
from doorbuster.capacity.capacity_result import CapacityResult
from doorbuster.capacity.load_step import LoadStep, MeasuredStep, ProposedStep, end_early, judge_step
from doorbuster.capacity.search import SearchSettings, next_step

Shop = Callable[[np.random.Generator, list[tuple[float, float]]], "SimulatedRequests"]
SETTINGS = SearchSettings(start_rate_per_s=40.0, max_rate_per_s=400.0)


@dataclass
class SimulatedRequests:
    """Arrival and end of each request, and whether it was refused."""

    came_s: np.ndarray
    done_s: np.ndarray
    refused: np.ndarray


def poisson(rng, pieces):
    """Arrivals of a Poisson process whose rate is that of each (rate, length) in turn."""
    parts, at = [], 0.0
    for rate, length in pieces:
        parts.append(np.sort(rng.uniform(at, at + length, rng.poisson(rate * length))))
        at += length
    return np.concatenate(parts)


def evenly(pieces):
    """Arrivals at equal distances."""
    parts, at = [], 0.0
    for rate, length in pieces:
        parts.append(at + (np.arange(int(rate * length)) + 0.5) / rate)
        at += length
    return np.concatenate(parts)


def in_turn(came_s, service_s, servers):
    """Ends of services, first come first served."""
    if servers == 1:  # Lindley's recursion as a running minimum
        sums = np.cumsum(np.concatenate([[0.0], service_s[:-1] - np.diff(came_s)]))
        return came_s + sums - np.minimum(np.minimum.accumulate(sums), 0) + service_s
    free, ends = [0.0] * servers, np.empty(came_s.size)
    for i, (at, length) in enumerate(zip(came_s.tolist(), service_s.tolist(), strict=True)):
        ends[i] = end = max(at, free[0]) + length
        heapq.heapreplace(free, end)
    return ends


def queue_of(draw, servers: int = 1) -> Shop:
    """A FIFO queue; `draw(n)` gives n service times in seconds."""

    def visit(rng, pieces):
        came = poisson(rng, pieces)
        return SimulatedRequests(
            came, in_turn(came, draw(rng, came.size), servers), np.zeros(came.size, bool)
        )

    return visit


def exponential_shop(mu: float, servers: int) -> Shop:
    return queue_of(lambda rng, n: rng.exponential(1 / mu, n), servers)


def deterministic_shop(mu: float, servers: int, queue_limit: int | None = None) -> Shop:
    """Fixed service, evenly spaced arrivals; refuses at once when `queue_limit` are waiting."""

    def visit(rng, pieces):
        came = evenly(pieces)
        done, refused = came.copy(), np.zeros(came.size, bool)
        free, inside = [0.0] * servers, []
        for i, at in enumerate(came.tolist()):
            while inside and inside[0] <= at + 1e-9:
                heapq.heappop(inside)
            if queue_limit is not None and len(inside) >= servers + queue_limit:
                refused[i] = True
                continue
            done[i] = end = max(at, free[0]) + 1 / mu
            heapq.heapreplace(free, end)
            heapq.heappush(inside, end)
        return SimulatedRequests(came, done, refused)

    return visit


def shedding_shop(mu: float, places: int) -> Shop:
    """One exponential server with `places`; whoever finds all taken is refused at once (M/M/1/K)."""

    def visit(rng, pieces):
        came = poisson(rng, pieces)
        service, done, refused = rng.exponential(1 / mu, came.size), came.copy(), np.zeros(came.size, bool)
        free, inside = 0.0, deque()
        for i, at in enumerate(came.tolist()):
            while inside and inside[0] <= at:
                inside.popleft()
            if len(inside) >= places:
                refused[i] = True
                continue
            free = max(at, free) + float(service[i])
            done[i] = free
            inside.append(free)
        return SimulatedRequests(came, done, refused)

    return visit


def retrying_shop(mu: float, timeout_s: float, retries: int) -> Shop:
    """Fixed service times; customers retry after `timeout_s`, and the shop serves abandoned requests too."""

    def visit(rng, pieces):
        came = poisson(rng, pieces)
        asks = [(at, i, 0) for i, at in enumerate(came.tolist())]
        heapq.heapify(asks)
        done, free = np.full(came.size, math.inf), 0.0
        while asks:
            at, i, tried = heapq.heappop(asks)
            free = max(at, free) + 1 / mu
            if free <= at + timeout_s:
                done[i] = min(done[i], free)
            elif tried < retries:
                heapq.heappush(asks, (at + timeout_s, i, tried + 1))
        lost = np.isinf(done)
        done[lost] = came[lost] + timeout_s * (retries + 1)
        return SimulatedRequests(came, done, lost)

    return visit


def run_step(shop, thresholds, proposal: ProposedStep, rng) -> MeasuredStep:
    """One proposed load step; ended early when it is certain to fail."""
    hold = (proposal.rate_per_s, proposal.warmup_s + proposal.hold_s)
    before = [(proposal.overload_per_s, proposal.overload_s)] if proposal.overload_s else []
    fates = shop(rng, [*before, hold])
    start = proposal.overload_s + proposal.warmup_s
    whole = int(proposal.hold_s)
    if not before:
        for seconds in range(10, whole, 5):
            found = observe(fates, thresholds, proposal, start, seconds)
            if end_early(found):
                return found
    return observe(fates, thresholds, proposal, start, whole)


def observe(fates, thresholds, proposal, start, seconds) -> MeasuredStep:
    """The measurements of `seconds` after the warm-up, and the time to drain."""
    until = start + seconds
    seen = (fates.came_s >= start) & (fates.came_s < until)
    second = (fates.came_s[seen] - start).astype(int)
    refused = fates.refused[seen]
    took_ms = (fates.done_s - fates.came_s)[seen] * 1e3
    bound_distances = tuple(threshold(second, took_ms, refused, seconds) for threshold in thresholds)
    moments = start + np.arange(seconds) + 0.5
    ends = np.sort(fates.done_s)
    inside = np.searchsorted(fates.came_s, moments) - np.searchsorted(ends, moments)
    last = fates.done_s[fates.came_s < until].max(initial=until)
    done = np.searchsorted(ends, until) - np.searchsorted(ends, start)
    return MeasuredStep(
        proposal, seconds, bound_distances, inside.astype(float), done / seconds, max(until, last)
    )


def slower_than(limit_s: float, p: float):
    """p(100 p) < limit."""

    def count(second, took_ms, refused, seconds):
        answered = ~refused
        return Latencies(
            f"p({100 * p:g})<{1e3 * limit_s:g}ms", 1e3 * limit_s, 1 - p, second[answered], took_ms[answered],
            np.ones(int(answered.sum())), np.zeros(seconds),
        )  # fmt: skip

    return count


def failed(limit_ratio: float):
    """http_req_failed < limit."""

    def count(second, took_ms, refused, seconds):
        bad = np.bincount(second, weights=refused, minlength=seconds)
        return Ratio("failed", limit_ratio, bad, np.bincount(second, minlength=seconds).astype(float))

    return count


def search(shop, thresholds, seed, settings=SETTINGS) -> tuple[CapacityResult, list[LoadStep]]:
    rng, history = np.random.default_rng(seed), []
    while isinstance(step := next_step(history, settings), ProposedStep):
        history.append(judge_step(run_step(shop, thresholds, step, rng)))
        assert len(history) < 60, "the search does not end"
    return step, history


def covers(found: CapacityResult, truth: float) -> bool:
    return (found.low or 0.0) <= truth <= (math.inf if found.high is None else found.high)


def sharing(draw) -> Shop:
    """Processor sharing: all requests are served at once, each more slowly."""

    def visit(rng, pieces):
        came = poisson(rng, pieces)
        return SimulatedRequests(came, shared_ends(came, draw(rng, came.size)), np.zeros(came.size, bool))

    return visit


def shared_ends(came_s, service_s):
    """Ends of services of one shared server: `share` is the service that each request inside has received."""
    ends, inside, share, now = np.empty(came_s.size), [], 0.0, 0.0
    for i, at in enumerate([*came_s.tolist(), math.inf]):
        while inside:
            done, who = inside[0]
            end = now + (done - share) * len(inside)
            if end > at:
                share += (at - now) / len(inside)
                break
            heapq.heappop(inside)
            share, now, ends[who] = done, end, end
        if at < math.inf:
            now = at
            heapq.heappush(inside, (share + float(service_s[i]), i))
    return ends
