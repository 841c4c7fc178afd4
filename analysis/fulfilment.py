"""Could the warehouse keep up with the orders: how large was the backlog, and until when?

    python analysis/fulfilment.py reports/<run>

The shop's ledger holds when each order was placed and picked. Goods handed over at a till and orders
cancelled before they were picked never wait. The warehouse's rate is `target.shop.warehouse_rate` of the
scenario, otherwise measured while it had work; a warehouse that keeps up never shows its rate. Assumes that
it continues at that rate and that no more orders come.

A compressed run keeps rates and shortens time, so it shortens backlogs too. The backlog at full length comes
from a fluid model: inflow (the run's orders, spread over the planned curve) minus picks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.ledger import Ledger, LedgerOrder
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    Annotation,
    Chart,
    Column,
    Metric,
    Section,
    Series,
    Table,
    bucket_s,
    not_applicable,
)
from doorbuster.scenario import Scenario
from doorbuster.units import format_count, format_counted, format_duration

AT_ONCE_S = 0.001  # an order picked this soon after it was placed was handed over at a till
MIN_PICKS = 10  # without a pause, to measure a rate
FLUID_STEPS = 200
QUESTION = "Could the warehouse keep up with the orders?"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Picking:
    """Orders to pick, in seconds of the run; `picked_s` is nan for those still waiting.

    handed_over, cancelled: orders in the ledger that never waited.
    """

    placed_s: Floats
    picked_s: Floats
    read_at_s: float
    handed_over: int = 0
    cancelled: int = 0

    @property
    def left(self) -> int:
        return int(np.isnan(self.picked_s).sum())

    def waiting(self, at_s: Floats) -> NDArray[np.int64]:
        """The backlog at each of these moments."""
        picked_s = np.sort(self.picked_s[~np.isnan(self.picked_s)])
        placed, picked = (
            np.searchsorted(self.placed_s, at_s, "right"),
            np.searchsorted(picked_s, at_s, "right"),
        )
        return np.asarray(placed - picked, np.int64)

    def most_waiting(self, starts_s: Floats, width_s: float) -> NDArray[np.int64]:
        """The largest backlog in the window that starts at each of these moments, from 0 on."""
        most = self.waiting(starts_s)
        window = np.floor(self.placed_s / width_s).astype(np.int64).clip(0, most.size - 1)
        np.maximum.at(most, window, self.waiting(self.placed_s))
        return most


@dataclass(frozen=True, slots=True)
class PickRate:
    """Orders picked per second: `stated` by the scenario, else measured on `n` picks; None if unknown."""

    per_s: float | None
    n: int
    stated: bool


@dataclass(frozen=True, slots=True)
class FullLength:
    """The backlog at the curve's full length, `factor` times longer, and its drain after the last order."""

    factor: float
    highest: float
    drain_s: float | None


def analyse(context: RunContext) -> Section:
    """The warehouse's backlog."""
    run = context.run
    ledger = run.ledger()
    scenario = context.scenario
    picking = None if ledger is None else read_picking(ledger)
    rate = PickRate(None, 0, stated=False) if picking is None else measured_pick_rate(picking, scenario)
    has_orders = picking is not None and picking.placed_s.size > 0
    if picking is None or not has_orders or (rate.per_s is None and picking.left == picking.placed_s.size):
        why = "the shop's ledger was not read" if ledger is None else "no order had to be picked"
        if has_orders:
            why = "the shop's ledger does not hold when orders were picked"
        return not_applicable("fulfilment", QUESTION, f"Not applicable: {why}.", _metrics(None, rate, None))
    full = None if ledger is None else full_length(context, ledger, rate)
    return Section(
        name="fulfilment",
        group="Customers and orders",
        order=220,
        question=QUESTION,
        sentence=_sentence(picking, rate),
        findings=(*_counted(picking), *_findings(rate, full)),
        figures=(_backlog_chart(picking, rate, run.recorded_s),),
        tables=(_table(picking, rate, full),),
        metrics=_metrics(picking, rate, full),
    )


def read_picking(ledger: Ledger) -> Picking:
    """The orders to pick, sorted by the time they were placed."""
    orders = sorted((order for order in ledger.orders if _is_picked(order)), key=lambda one: one.placed_at_s)
    cancelled = sum(order.picked_at_s is None and not order.lines for order in ledger.orders)
    return Picking(
        np.array([order.placed_at_s for order in orders], np.float64),
        np.array([np.nan if o.picked_at_s is None else o.picked_at_s for o in orders], np.float64),
        ledger.read_at_s,
        handed_over=len(ledger.orders) - len(orders) - cancelled,
        cancelled=cancelled,
    )


def _is_picked(order: LedgerOrder) -> bool:
    """Neither handed over at a till nor cancelled before; a cancelled order has no lines."""
    if order.picked_at_s is None:
        return bool(order.lines)
    return order.picked_at_s > order.placed_at_s + AT_ONCE_S


def measured_pick_rate(picking: Picking, scenario: Scenario | None) -> PickRate:
    """The rate that the scenario states, else picks per second in periods without a pause."""
    shop = scenario.target.shop if scenario is not None else None
    if shop is not None and shop.warehouse_rate_per_s is not None:
        return PickRate(shop.warehouse_rate_per_s, 0, stated=True)
    picks, busy_s = 0, 0.0
    for start_s, end_s in _busy(picking):
        n = int(((picking.picked_s > start_s) & (picking.picked_s <= end_s)).sum())
        if n >= MIN_PICKS:
            picks, busy_s = picks + n, busy_s + end_s - start_s
    return PickRate(picks / busy_s if busy_s else None, picks, stated=False)


def _busy(picking: Picking) -> list[tuple[float, float]]:
    """Periods with a backlog."""
    moments = np.unique(np.concatenate((picking.placed_s, picking.picked_s[~np.isnan(picking.picked_s)])))
    some = picking.waiting(moments) > 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], some, [False]))))
    if not edges.size:
        return []
    ends_s = np.append(moments, max(picking.read_at_s, float(moments[-1])))
    return [(float(ends_s[a]), float(ends_s[b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def drain_s(picking: Picking, rate: PickRate) -> float | None:
    """From the last order until the backlog is empty; what was left in the ledger is picked at the rate."""
    last_s = float(picking.placed_s[-1])
    if not picking.left:
        return max(0.0, float(picking.picked_s.max()) - last_s)
    return picking.read_at_s - last_s + picking.left / rate.per_s if rate.per_s else None


def full_length(context: RunContext, ledger: Ledger, rate: PickRate) -> FullLength | None:
    """The backlog at the curve's full length and the same rates."""
    scenario = context.curve_scenario
    if scenario is None or scenario.demand.compress is None or not rate.per_s:
        return None
    compress = scenario.demand.compress
    factor = compress.from_s / compress.to_s
    edges_s = np.linspace(0.0, scenario.demand.duration_s, FLUID_STEPS + 1)
    came = Counter(order.channel for order in ledger.orders if _is_picked(order))
    inflow = np.zeros(FLUID_STEPS)
    for channel, n in came.items():
        inflow += n * _spread(scenario, channel, edges_s)
    flow = (inflow - rate.per_s * np.diff(edges_s)) * factor
    waiting = highest = 0.0
    for step in flow.tolist():
        waiting = max(0.0, waiting + step)
        highest = max(highest, waiting)
    return FullLength(factor, highest, waiting / rate.per_s)


def _spread(scenario: Scenario, channel: str, edges_s: Floats) -> Floats:
    """The share of a channel's customers planned in each interval; closed channels are evenly busy."""
    known = scenario.channels.get(channel)
    if known is not None and not known.is_open:
        evenly: Floats = np.diff(edges_s) / edges_s[-1]
        return evenly
    demand = scenario.demand if known is None or known.demand is None else known.demand
    curve = demand.rate_curve
    spread: Floats = np.diff(curve.cumulative(edges_s)) / curve.expected
    return spread


def _sentence(picking: Picking, rate: PickRate) -> str:
    n, most = picking.placed_s.size, _most(picking)
    late_s = drain_s(picking, rate)
    if picking.left and late_s is None:
        return (
            f"No: {format_count(picking.left)} of {format_count(n)} orders to pick were still waiting when "
            "the ledger was read, and the warehouse's rate is unknown."
        )
    assert late_s is not None, "all were picked, or the rate is known"
    if picking.left:
        return (
            f"No: up to {format_count(most)} orders waited, {format_count(picking.left)} of them when the "
            f"ledger was read; {_at(rate)} the last one is picked {format_duration(late_s)} after it was "
            "placed."
        )
    if late_s < 2 * _turn_s(rate):
        return f"Yes: at most {format_count(most)} of {format_count(n)} orders to pick waited at once."
    return (
        f"Not at once: up to {format_count(most)} orders waited, and the last one was picked "
        f"{format_duration(late_s)} after the last order."
    )


def _turn_s(rate: PickRate) -> float:
    """One second, or the time of five orders: less is not a backlog."""
    return max(1.0, 5 / rate.per_s) if rate.per_s else 1.0


def _at(rate: PickRate) -> str:
    assert rate.per_s is not None
    how = "stated" if rate.stated else "measured"
    return f"at the {how} {rate.per_s:.3g} orders/s and without more orders"


def _most(picking: Picking) -> int:
    return int(picking.waiting(picking.placed_s).max())


def _waits_s(picking: Picking) -> Floats:
    """Waiting time of each order; of those still waiting, until the ledger was read."""
    waits: Floats = (
        np.where(np.isnan(picking.picked_s), picking.read_at_s, picking.picked_s) - picking.placed_s
    )
    return waits


def _counted(picking: Picking) -> tuple[str, ...]:
    """Which of the ledger's orders had to be picked, where some had not."""
    others = (
        (picking.handed_over, "handed over at a till or picked at once"),
        (picking.cancelled, "cancelled before being picked"),
    )
    if not any(n for n, _ in others):
        return ()
    total = picking.placed_s.size + picking.handed_over + picking.cancelled
    rest = " and ".join(f"{_were(n)} {words}" for n, words in others if n)
    text = (
        f"The shop's ledger has {format_count(total)} orders: {_were(picking.placed_s.size)} to be "
        f"picked in the warehouse; {rest}."
    )
    return (text,)


def _were(n: int) -> str:
    return format_counted(n, "was", "were")


def _findings(rate: PickRate, full: FullLength | None) -> tuple[str, ...]:
    if full is None or full.highest < 1 or full.drain_s is None:
        return ()
    then = f"; the last one is picked {format_duration(full.drain_s)} later" if full.drain_s >= 1 else ""
    text = (
        f"The run compresses the curve {full.factor:.3g} times. At full length and the same rates, about "
        f"{format_count(round(full.highest))} orders would wait at once{then} ({_at(rate)})."
    )
    return (text,)


def _metrics(picking: Picking | None, rate: PickRate, full: FullLength | None) -> dict[str, Metric]:
    some = picking is not None and picking.placed_s.size > 0
    n = picking.placed_s.size if picking is not None else 0
    most = left = done_s = late_s = longest_s = None
    if some:
        assert picking is not None
        most, left, late_s = _most(picking), picking.left, drain_s(picking, rate)
        done_s, longest_s = None if left else float(picking.picked_s.max()), float(_waits_s(picking).max())
    rated = "stated by the scenario" if rate.stated else "measured while it had work"
    at_full = (full.highest, full.drain_s) if full is not None else (None, None)
    return {
        "orders_to_pick": Metric(
            n if picking is not None else None, "count", meaning="orders that the warehouse had to pick"
        ),
        "backlog_peak": Metric(most, "count", n=n, meaning="most orders waiting to be picked at once"),
        "backlog_left": Metric(left, "count", n=n, meaning="orders not picked when the ledger was read"),
        "backlog_drained_at": Metric(done_s, "clock", n=n, meaning="when the last order was picked"),
        "drain_time": Metric(
            late_s, "s", n=n,
            meaning="from the last order until the backlog was empty; what was left is picked at the rate",
        ),
        "longest_wait": Metric(
            longest_s, "s", n=n, meaning="longest time from order to pick", at_least=bool(left)
        ),
        "pick_rate": Metric(rate.per_s, "per_s", n=rate.n, meaning=f"orders the warehouse picks, {rated}"),
        "full_length_backlog": Metric(
            at_full[0], "count", n=n, meaning="most orders waiting at full length, from a fluid model"
        ),
        "full_length_drain": Metric(
            at_full[1], "s", n=n, meaning="drain time at the curve's full length, from a fluid model"
        ),
    }  # fmt: skip


def _backlog_chart(picking: Picking, rate: PickRate, recorded_s: int) -> Chart:
    last_s, seen_s = float(picking.placed_s[-1]), picking.picked_s[~np.isnan(picking.picked_s)]
    end_s = max(float(recorded_s), last_s, float(seen_s.max()) if seen_s.size else 0.0)
    if picking.left:
        end_s = max(end_s, picking.read_at_s)
    width_s = bucket_s(end_s)
    at_s = np.arange(0.0, end_s + width_s, width_s)
    depth = picking.most_waiting(at_s, width_s)
    late_s = drain_s(picking, rate)
    if picking.left:
        title = f"{format_count(picking.left)} orders were not picked when the ledger was read"
    elif late_s is not None and late_s >= 2 * _turn_s(rate):
        title = f"The warehouse needed {format_duration(late_s)} after the last order to catch up"
    else:
        title = "The warehouse kept up"
    series = [Series("waiting to be picked", tuple(depth.astype(float).tolist()), "strong")]
    return Chart(
        "lines", title, "time since the start (min:s)", "most orders waiting to be picked",
        tuple(at_s.tolist()), tuple(series), y_unit="count",
        moments=(Annotation(last_s, "last order placed"),) if last_s > 0 else (),
        y_max=None if depth.any() else 1.0,
    )  # fmt: skip


def _table(picking: Picking, rate: PickRate, full: FullLength | None) -> Table:
    metrics = _metrics(picking, rate, full)
    rows: Sequence[tuple[str, Metric]] = [
        (found.meaning[:1].upper() + found.meaning[1:], found)
        for found in metrics.values()
        if found.value is not None
    ]
    note = "Assumes the same rate and no more orders."
    return Table("Backlog of the warehouse", (Column("What"), Column("Value")), tuple(rows), note)


if __name__ == "__main__":
    main(analyse)
