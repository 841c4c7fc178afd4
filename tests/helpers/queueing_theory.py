"""Queues with a known solution: what tests compare the tool with.

Words: `rate_per_s` arrivals per second (lambda), `service_per_s` services per second of one busy server (mu),
`servers` (c), `load` a = lambda / mu in Erlang, utilisation a / c. Sojourn is waiting plus service: the
response time of an open test.

Rules of this module:
- An unstable queue has an infinite waiting time and a tail of 1, never a negative number.
- Rates and times are checked, so that swapped arguments raise an error.

Sources: Erlang (1917); Kleinrock (1975), "Queueing Systems I", sections 3.5, 3.7, 5.7; Gross and Harris
(1998), "Fundamentals of Queueing Theory", section 2.3; Reiser and Lavenberg (1980), "Mean-value analysis of
closed multichain queueing networks", JACM 27; Denning and Buzen (1978), "The operational analysis of queueing
network models", ACM Computing Surveys 10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_LIMIT_CASE = 1e-6  # closer than this to a = c - 1, (1 - e^-x)/x is taken from its series


def erlang_b(servers: int, load: float) -> float:
    """Share of arrivals that find all servers busy and are lost, in a shop without a waiting line.

    B(0) = 1,  B(k) = a B(k-1) / (k + a B(k-1))
    """
    _check(servers=servers, load=load)
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Share of arrivals that must wait, in a shop with an endless line; 1 when it cannot keep up.

    C = c B / (c - a (1 - B))
    """
    _check(servers=servers, load=load)
    if load >= servers:
        return 1.0
    blocked = erlang_b(servers, load)
    return servers * blocked / (servers - load * (1 - blocked))


def mmc_mean_wait_s(rate_per_s: float, service_per_s: float, servers: int = 1) -> float:
    """Mean time in the line of M/M/c: C / (c mu - lambda); infinite when it cannot keep up."""
    _check(servers=servers, rate_per_s=rate_per_s, service_per_s=service_per_s)
    spare = servers * service_per_s - rate_per_s
    return erlang_c(servers, rate_per_s / service_per_s) / spare if spare > 0 else math.inf


def mmc_wait_tail(rate_per_s: float, service_per_s: float, servers: int, wait_s: float) -> float:
    """P(time in the line > wait_s) of M/M/c: C e^-(c mu - lambda) t."""
    _check(servers=servers, rate_per_s=rate_per_s, service_per_s=service_per_s, wait_s=wait_s)
    spare = servers * service_per_s - rate_per_s
    return erlang_c(servers, rate_per_s / service_per_s) * math.exp(-spare * wait_s) if spare > 0 else 1.0


def mmc_sojourn_tail(rate_per_s: float, service_per_s: float, servers: int, time_s: float) -> float:
    """P(response time > time_s) of M/M/c, first come first served.

    P(T > t) = e^-mu t [1 + C (1 - e^-mu t (c-1-a)) / (c-1-a)];  at a = c-1 the fraction is its limit, mu t.
    """
    _check(servers=servers, rate_per_s=rate_per_s, service_per_s=service_per_s, time_s=time_s)
    load = rate_per_s / service_per_s
    if load >= servers:
        return 1.0
    reach = service_per_s * time_s
    spare = servers - 1 - load
    fraction = reach if abs(spare) * max(reach, 1.0) < _LIMIT_CASE else -math.expm1(-reach * spare) / spare
    return math.exp(-reach) * (1 + erlang_c(servers, load) * fraction)


def mm1_sojourn_quantile_s(rate_per_s: float, service_per_s: float, p: float) -> float:
    """The p-quantile of the response time of M/M/1: ln(1/(1-p)) / (mu - lambda)."""
    _check(rate_per_s=rate_per_s, service_per_s=service_per_s, p=p)
    spare = service_per_s - rate_per_s
    return -math.log1p(-p) / spare if spare > 0 else math.inf


def mg1_mean_wait_s(rate_per_s: float, mean_service_s: float, scv: float) -> float:
    """Mean time in the line of M/G/1 (Pollaczek and Khinchine): rho E[S] (1 + c_s^2) / (2 (1 - rho)).

    Args: scv: squared coefficient of variation of the service time, c_s^2 (0 fixed, 1 exponential).
    """
    _check(rate_per_s=rate_per_s, mean_service_s=mean_service_s, scv=scv)
    utilisation = rate_per_s * mean_service_s
    return utilisation * mean_service_s * (1 + scv) / (2 * (1 - utilisation)) if utilisation < 1 else math.inf


def mmc_capacity_per_s(service_per_s: float, servers: int, *, p: float, limit_s: float) -> float:
    """Highest arrival rate at which the p-quantile of the response time is at most `limit_s`.

    One server: mu - ln(1/(1-p)) / limit. More: P(T > limit) = 1 - p, solved in lambda. 0 when service alone
    takes too long too often.
    """
    _check(servers=servers, service_per_s=service_per_s, p=p, limit_s=limit_s)
    if servers == 1:
        return max(0.0, service_per_s + math.log1p(-p) / limit_s)
    from scipy.optimize import brentq

    def beyond(rate_per_s: float) -> float:
        return mmc_sojourn_tail(rate_per_s, service_per_s, servers, limit_s) - (1 - p)

    if beyond(0.0) >= 0:
        return 0.0
    return float(brentq(beyond, 0.0, servers * service_per_s, xtol=1e-12, rtol=1e-13))


@dataclass(frozen=True, slots=True)
class ClosedPoint:
    """A closed system with `customers` in it: completions per second, and the mean time of one round."""

    customers: int
    throughput_per_s: float
    response_s: float


def exact_mva(demands_s: Sequence[float], think_s: float, customers: int) -> tuple[ClosedPoint, ...]:
    """Throughput and response time of a closed network for 1 to `customers` customers.

    R_k(N) = D_k (1 + Q_k(N-1)),  X(N) = N / (Z + sum R_k),  Q_k(N) = X(N) R_k(N)
    D_k demand on station k per round (seconds), Z think time, Q_k mean number at station k.
    """
    _check(think_s=think_s, servers=customers)
    demands = np.asarray(demands_s, np.float64)
    if demands.size == 0 or float(demands.min()) < 0:
        raise ValueError(f"demands_s must be at least one number >= 0 (got {list(demands_s)})")
    queue = np.zeros_like(demands)
    points = []
    for n in range(1, customers + 1):
        at_station = demands * (1 + queue)
        response = float(at_station.sum())
        throughput = n / (think_s + response)
        queue = throughput * at_station
        points.append(ClosedPoint(n, throughput, response))
    return tuple(points)


@dataclass(frozen=True, slots=True)
class ClosedBounds:
    """What no closed system can beat, and the number of customers at which its two bounds meet."""

    most_throughput_per_s: float
    least_response_s: float
    knee_customers: float


def closed_bounds(demands_s: Sequence[float], think_s: float, customers: float) -> ClosedBounds:
    """X <= min(N / (D + Z), 1 / Dmax),  R >= max(D, N Dmax - Z),  N* = (D + Z) / Dmax."""
    total, most = float(sum(demands_s)), max(demands_s)
    return ClosedBounds(
        most_throughput_per_s=min(customers / (total + think_s), 1 / most),
        least_response_s=max(total, customers * most - think_s),
        knee_customers=(total + think_s) / most,
    )


def closed_throughput_per_s(customers: float, response_s: float, think_s: float) -> float:
    """Interactive response time law: X = N / (R + Z)."""
    return customers / (response_s + think_s)


def station_rate_per_s(rate_per_s: float, visits: float) -> float:
    """Forced flow law: X_k = V_k X."""
    return rate_per_s * visits


def _check(
    *,
    servers: int = 1,
    load: float = 0.0,
    rate_per_s: float = 0.0,
    service_per_s: float = 1.0,
    p: float = 0.5,
    limit_s: float = 1.0,
    mean_service_s: float = 1.0,
    **not_negative: float,
) -> None:
    if servers < 1 or servers != int(servers):
        raise ValueError(f"servers must be a whole number >= 1 (got {servers})")
    if not 0 < p < 1:
        raise ValueError(f"p must be a share between 0 and 1, such as 0.99 (got {p})")
    for name, value in (
        ("service_per_s", service_per_s),
        ("limit_s", limit_s),
        ("mean_service_s", mean_service_s),
    ):
        if not value > 0:
            raise ValueError(f"{name} must be > 0 (got {value})")
    for name, value in {"load": load, "rate_per_s": rate_per_s, **not_negative}.items():
        if not value >= 0:
            raise ValueError(f"{name} must be >= 0 (got {value})")
