"""What one request and one customer cost the load generator, fitted to the seconds of a recorded run.

CPU of one second = base · workers + a · requests + b · customers that arrived, by non-negative least squares
over the seconds of the run. The interval of a sum is that of the same fit to blocks of seconds drawn with
replacement. Source: P. Hall, J. Horowitz, B.-Y. Jing, "On blocking rules for the bootstrap with dependent
data", Biometrika 82 (1995): blocks keep the dependence between neighbouring seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.optimize import nnls

from doorbuster.errors import UsageError
from doorbuster.records.reader import Run

MIN_SECONDS = 8
MIN_REQUESTS = 200
MIN_CUSTOMERS_AT_ONCE = 200  # fewer disappear in the noise of the resident memory
DEFAULT_CUSTOMER_BYTES = 20_000.0  # `python -m benchmarks memory`: 18.6 kB for each waiting customer
LAST_SECONDS = 1  # and the one before, in which a worker closes its connections and completes its report
BLOCK_S = 3
RESAMPLES = 400

Floats = npt.NDArray[np.float64]


class CostInterval(NamedTuple):
    """An estimate with its 95 % interval, of the dispersion between the seconds of the one run it is from."""

    estimate: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class GeneratorCost:
    """Costs of one worker process; `cpu_s` are seconds of one core.

    resamples: shape (n, 3), `cpu_base_ratio`, `cpu_s_per_request` and `cpu_s_per_customer` as other seconds
    of the same kind might have given them, below 0 too. memory_is_measured: False if the run had too few
    customers at once to measure it.
    """

    cpu_base_ratio: float
    cpu_s_per_request: float
    cpu_s_per_customer: float
    resamples: Floats
    memory_base_bytes: float
    memory_bytes_per_customer: float
    memory_is_measured: bool
    bytes_sent_per_request: float
    bytes_received_per_request: float
    connections_per_customer: float
    seconds: int
    requests: int

    def cores(self, requests_per_s: float, customers_per_s: float, workers: float = 0.0) -> CostInterval:
        """Cores for this load; without `workers`, the base cost of the processes is left out."""
        load = np.array([workers, requests_per_s, customers_per_s])
        costs = (self.cpu_base_ratio, self.cpu_s_per_request, self.cpu_s_per_customer)
        estimate = float(load @ costs)
        lower, upper = np.quantile(self.resamples @ load, (0.025, 0.975))
        return CostInterval(estimate, max(0.0, min(estimate, float(lower))), max(estimate, float(upper)))


def measure_cost(run: Run) -> GeneratorCost:
    """The costs in a recorded run.

    Raises: UsageError if the run is too short or has too few requests.
    """
    health = {worker: rows for worker, rows in run.health().items() if rows}
    traffic, arrivals = run.traffic(), run.arrivals()
    ends = max((rows[-1].second for rows in health.values()), default=0) - LAST_SECONDS
    seconds = sorted({row.second for rows in health.values() for row in rows if 0 <= row.second < ends})
    index = {second: number for number, second in enumerate(seconds)}
    cpu, workers, in_flight, rss = (np.zeros(len(seconds)) for _ in range(4))
    opened = 0
    for rows in health.values():
        for row in rows:
            if (at := index.get(row.second)) is not None:
                opened += row.connections_opened
                cpu[at] += row.cpu_ratio
                workers[at] += 1
                in_flight[at] += row.in_flight
                rss[at] += row.rss_bytes
    requests = np.array([traffic[second].requests if second in traffic else 0 for second in seconds], float)
    started = [one.started for one in arrivals.values()]
    customers = np.array([sum(int(n[s]) for n in started if s < len(n)) for s in seconds], float)
    if len(seconds) < MIN_SECONDS or requests.sum() < MIN_REQUESTS:
        raise UsageError(
            f"{run.path}: {len(seconds)} seconds with {requests.sum():.0f} requests are too few to measure "
            f"the generator's cost; take a longer run, with at least {MIN_SECONDS} seconds and "
            f"{MIN_REQUESTS} requests"
        )
    columns = np.column_stack([workers, requests, customers])
    base, per_request, per_customer = _fit(columns, cpu)
    n, sent, received = (float(total) for total in np.sum(list(traffic.values()), axis=0))
    base_bytes, customer_bytes, is_measured = _memory(workers, in_flight, rss)
    return GeneratorCost(
        cpu_base_ratio=base,
        cpu_s_per_request=per_request,
        cpu_s_per_customer=per_customer,
        resamples=_resample(columns, cpu),
        memory_base_bytes=base_bytes,
        memory_bytes_per_customer=customer_bytes,
        memory_is_measured=is_measured,
        bytes_sent_per_request=sent / n,
        bytes_received_per_request=received / n,
        connections_per_customer=max(1.0, opened / max(customers.sum(), 1.0)),
        seconds=len(seconds),
        requests=int(requests.sum()),
    )


def _fit(columns: Floats, cpu: Floats) -> Floats:
    found, _ = nnls(columns, cpu)
    return np.asarray(found, dtype=np.float64)


def _resample(columns: Floats, cpu: Floats) -> Floats:
    """Fits to blocks of seconds drawn with replacement, widened; the same for the same run.

    Drawn blocks vary too little when there are few: their distance to the fit is multiplied by t/z with one
    degree of freedom less than blocks, and by sqrt(n / (n - parameters)). Intervals without that contain the
    truth in 85 to 91 of 100 runs of 12 seconds, with it in 95 to 98 (tests/sizing).
    Source: T. Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69
    (2015), section 5.1.
    """
    rng, (n, parameters) = np.random.default_rng(0), columns.shape
    blocks = -(-n // BLOCK_S)
    starts = rng.integers(0, n - BLOCK_S + 1, (RESAMPLES, blocks))
    chosen = (starts[:, :, None] + np.arange(BLOCK_S)).reshape(RESAMPLES, -1)[:, :n]
    found = np.array([_fit(columns[rows], cpu[rows]) for rows in chosen])
    wider = stats.t.ppf(0.975, blocks - 1) / stats.norm.ppf(0.975) * np.sqrt(n / (n - parameters))
    fit = _fit(columns, cpu)
    widened: Floats = fit + (found - fit) * wider
    return widened


def _memory(workers: Floats, in_flight: Floats, rss: Floats) -> tuple[float, float, bool]:
    """Bytes of a process without customers, and of each customer; whether the latter is measured."""
    per_customer, is_measured = DEFAULT_CUSTOMER_BYTES, False
    if np.ptp(in_flight / workers) >= MIN_CUSTOMERS_AT_ONCE:
        found = _fit(np.column_stack([workers, in_flight]), rss)
        if found[1] > 0:
            return float(found[0]), float(found[1]), True
    rest = (rss - in_flight * per_customer) / workers
    return max(float(np.quantile(rest, 0.95)), 0.0), per_customer, is_measured
