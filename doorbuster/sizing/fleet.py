"""Workers, cores, memory, ports, bandwidth and source addresses for a peak. Pure: numbers in, numbers out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from doorbuster.errors import UsageError
from doorbuster.scenario import Scenario, estimate
from doorbuster.sizing.generator_cost import CostInterval, GeneratorCost

MAX_CPU_RATIO = 0.6  # of one core: above 0.9 a run is inconclusive, and peaks within a second need room
MAX_CUSTOMERS_PER_WORKER = 15_000  # `python -m benchmarks concurrent_users`
PORTS_PER_ADDRESS = 14_000  # half of Linux's 28,232: beyond, finding a free one takes milliseconds
TIME_WAIT_S = 60.0  # Linux keeps the port of a connection that it has closed
RESERVED_DESCRIPTORS = 96  # of a process without customers
HEADER_RATIO = 1.08  # bytes on the wire per byte of HTTP: TCP, IP and Ethernet headers, acknowledgements
MEMORY_ROOM_RATIO = 1.25

# The master, with 500 simulated workers that report 20 series a second: `python -m benchmarks master`
MASTER_BASE_RATIO = 0.06
MASTER_CPU_S_PER_REPORT = 0.8e-3
MASTER_BASE_BYTES = 120e6
MASTER_BYTES_PER_WORKER = 0.2e6
FILE_BYTES_PER_REPORT = 6_000.0
MAX_WORKERS = int((MAX_CPU_RATIO - MASTER_BASE_RATIO) / MASTER_CPU_S_PER_REPORT)

# Every process computes the whole schedule: three arrays of eight bytes, and a copy while they are sorted
SCHEDULE_BYTES_PER_ARRIVAL = 60.0


@dataclass(frozen=True, slots=True)
class PeakLoad:
    """The load at the peak. `arrivals`: of open channels over the whole run."""

    customers_per_s: float
    requests_per_s: float
    customers_at_once: float
    arrivals: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the generator needs for a peak; `_total` over all workers.

    limited_by: what sets the number of workers. cpu_ratio: of one core, of each worker at the peak.
    """

    workers: int
    limited_by: str
    cores: CostInterval
    cpu_ratio: float
    memory_bytes_per_worker: float
    customers_per_worker: float
    descriptors_per_worker: int
    ports_total: float
    source_addresses: int
    sent_bits_per_s: float
    received_bits_per_s: float
    master_cpu_ratio: float
    master_memory_bytes: float
    messages_per_s: float
    file_bytes: float

    @property
    def problems(self) -> tuple[str, ...]:
        """Needs that exceed one master."""
        found = []
        if self.workers > MAX_WORKERS:
            found.append(
                f"one master serves about {MAX_WORKERS:,} workers: split the peak over "
                f"{math.ceil(self.workers / MAX_WORKERS)} runs that start together"
            )
        return tuple(found)


def peak_load(
    scenario: Scenario,
    *,
    response_s: float,
    peak_per_s: float | None = None,
    customers_at_once: float | None = None,
) -> PeakLoad:
    """The scenario's peak, or its customers at another peak.

    Args:
        response_s: assumed response time of the shop at the peak.
        peak_per_s: arrivals per second of all open channels together.
        customers_at_once: concurrent customers; instead of `peak_per_s`.

    Raises: UsageError if the scenario has no open channel to scale, or its seats alone exceed the number.
    """
    expected = estimate(scenario, response_s=response_s)
    closed = [one for one in expected.channel_journeys if scenario.channels[one.channel].seats]
    duration_s = scenario.demand.duration_s
    seats_per_s = sum(one.customers_per_s for one in closed)
    seats_requests_per_s = sum(one.requests_per_s for one in closed)
    seats_at_once = sum(min(one.in_shop, one.customers_per_s * duration_s) for one in closed)
    factor = 1.0
    if peak_per_s is not None or customers_at_once is not None:
        open_at_once = expected.peak_in_shop - seats_at_once
        if not scenario.peak_per_s or open_at_once <= 0:
            raise UsageError("the scenario has only seats, whose number does not depend on a rate")
        if customers_at_once is not None:
            if customers_at_once <= seats_at_once:
                raise UsageError(f"the scenario's seats alone are {seats_at_once:.0f} customers at once")
            factor = (customers_at_once - seats_at_once) / open_at_once
        elif peak_per_s is not None:
            factor = peak_per_s / scenario.peak_per_s
    return PeakLoad(
        customers_per_s=scenario.peak_per_s * factor + seats_per_s,
        requests_per_s=(expected.peak_requests_per_s - seats_requests_per_s) * factor + seats_requests_per_s,
        customers_at_once=(expected.peak_in_shop - seats_at_once) * factor + seats_at_once,
        arrivals=expected.arrivals * factor,
        duration_s=duration_s,
    )


def safety_problems(scenario: Scenario, load: PeakLoad) -> tuple[str, ...]:
    """Limits of the scenario that are below this load."""
    safety, found = scenario.safety, []
    if load.requests_per_s > scenario.customers_max_rate_per_s:
        found.append(f"safety.max_rate is {safety.max_rate_per_s:g} requests/s: raise it in the scenario")
    if load.customers_at_once > safety.max_in_flight:
        found.append(f"safety.max_in_flight is {safety.max_in_flight:,}: raise it in the scenario")
    return tuple(found)


def plan_fleet(load: PeakLoad, cost: GeneratorCost) -> Fleet:
    """The smallest fleet that keeps every worker below its limits.

    Raises: UsageError if the base cost of a worker alone exceeds its share of a core.
    """
    room = MAX_CPU_RATIO - cost.cpu_base_ratio
    if room <= 0:
        raise UsageError(
            f"a worker without customers took {cost.cpu_base_ratio:.0%} of a core in the run: measure on a "
            "machine that is less busy"
        )
    by_limit = {
        "processor time": math.ceil(cost.cores(load.requests_per_s, load.customers_per_s).upper / room),
        "customers at once in a process": math.ceil(load.customers_at_once / MAX_CUSTOMERS_PER_WORKER),
    }
    limited_by = max(by_limit, key=lambda name: by_limit[name])
    workers = max(1, by_limit[limited_by])
    cores = cost.cores(load.requests_per_s, load.customers_per_s, workers)
    per_worker = load.customers_at_once / workers
    ports = (load.customers_at_once + load.customers_per_s * TIME_WAIT_S) * cost.connections_per_customer
    schedule_bytes = load.arrivals * SCHEDULE_BYTES_PER_ARRIVAL
    memory = cost.memory_base_bytes + per_worker * cost.memory_bytes_per_customer
    bits = 8.0 * HEADER_RATIO * load.requests_per_s
    return Fleet(
        workers=workers,
        limited_by=limited_by,
        cores=cores,
        cpu_ratio=cores.estimate / workers,
        memory_bytes_per_worker=memory * MEMORY_ROOM_RATIO + schedule_bytes,
        customers_per_worker=per_worker,
        descriptors_per_worker=math.ceil(per_worker * cost.connections_per_customer) + RESERVED_DESCRIPTORS,
        ports_total=ports,
        source_addresses=max(1, math.ceil(ports / PORTS_PER_ADDRESS)),
        sent_bits_per_s=bits * cost.bytes_sent_per_request,
        received_bits_per_s=bits * cost.bytes_received_per_request,
        master_cpu_ratio=MASTER_BASE_RATIO + workers * MASTER_CPU_S_PER_REPORT,
        master_memory_bytes=(MASTER_BASE_BYTES + workers * MASTER_BYTES_PER_WORKER) * MEMORY_ROOM_RATIO
        + schedule_bytes,
        messages_per_s=workers * (2 * (1 + 1) + 1 / 3),  # report and heartbeat with their answers; statistics
        file_bytes=workers * load.duration_s * FILE_BYTES_PER_REPORT,
    )
