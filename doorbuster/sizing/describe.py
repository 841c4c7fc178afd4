"""A plan in words: one row of label and text for each need."""

from __future__ import annotations

from doorbuster.sizing.fleet import PORTS_PER_ADDRESS, Fleet, PeakLoad
from doorbuster.sizing.generator_cost import CostInterval, GeneratorCost
from doorbuster.units import format_count

Rows = list[tuple[str, str]]


def load_rows(load: PeakLoad) -> Rows:
    """The load at the peak."""
    return [
        ("peak", f"{_rate(load.customers_per_s)} customers/s, {_rate(load.requests_per_s)} requests/s"),
        ("at once", f"{format_count(round(load.customers_at_once))} customers"),
    ]


def fleet_rows(fleet: Fleet) -> Rows:
    """What the generator needs for it."""
    each, total = fleet.memory_bytes_per_worker, fleet.memory_bytes_per_worker * fleet.workers
    rows = {
        "workers": f"{fleet.workers:,}, one core each; set by {fleet.limited_by}",
        "cores": (
            f"{fleet.cores.estimate:.3g} in use at the peak, 95 % interval {fleet.cores.lower:.3g} to "
            f"{fleet.cores.upper:.3g}; {fleet.cpu_ratio:.0%} of each worker's"
        ),
        "memory": f"{_bytes(each)} for each worker, {_bytes(total)} in all",
        "descriptors": f"{fleet.descriptors_per_worker:,} for each worker (ulimit -n)",
        "ports": f"{format_count(round(fleet.ports_total))} in all, with those closed in the last minute",
        "source addresses": (
            f"{fleet.source_addresses:,} in all, {PORTS_PER_ADDRESS:,} ports of each; a pod has its own"
        ),
        "bandwidth": f"{_bits(fleet.received_bits_per_s)} in, {_bits(fleet.sent_bits_per_s)} out",
        "master": (
            f"{fleet.master_cpu_ratio:.2g} of a core, {_bytes(fleet.master_memory_bytes)}, "
            f"{fleet.messages_per_s:,.0f} messages/s"
        ),
        "run file": f"about {_bytes(fleet.file_bytes)}",
    }
    return list(rows.items())


def cost_rows(cost: GeneratorCost, measured: str) -> Rows:
    """The costs behind the plan; `measured` says where they come from."""
    memory = f"{cost.memory_bytes_per_customer / 1e3:.3g} kB for each customer at once"
    if not cost.memory_is_measured:
        memory += " (too few in the run to measure it: the published figure)"
    sent, received = cost.bytes_sent_per_request, cost.bytes_received_per_request
    return [
        ("measured", f"{measured}: {cost.requests:,} requests in {cost.seconds} s"),
        (
            "request",
            f"{_microseconds(cost.cores(1, 0))}, {sent:,.0f} bytes sent, {received:,.0f} received",
        ),
        (
            "customer",
            f"{_microseconds(cost.cores(0, 1))}, {cost.connections_per_customer:.2g} connections",
        ),
        ("process", f"{cost.cpu_base_ratio:.1%} of a core, {_bytes(cost.memory_base_bytes)}; {memory}"),
    ]


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 1000 else f"{per_s:.4g}"


def _microseconds(cost_s: CostInterval) -> str:
    estimate, lower, upper = (value * 1e6 for value in cost_s)
    return f"{estimate:.0f} us (95 % interval {lower:.0f} to {upper:.0f})"


def _bytes(count: float) -> str:
    return _scaled(count, "B")


def _bits(per_s: float) -> str:
    return _scaled(per_s, "bit/s")


def _scaled(value: float, unit: str) -> str:
    """ "27.7 GB": three significant digits."""
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if value >= size:
            return f"{value / size:.3g} {prefix}{unit}"
    return f"{value / 1e3:.3g} k{unit}"
