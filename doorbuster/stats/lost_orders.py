"""Orders that the same arrivals would have placed without delays, and what the missing ones are worth.

Rules of this module:
- A customer known to want an order is one order. Any other who left counts as the share of the served
  customers of the same channel and journey who ordered, with its exact interval.
- Customers whom the generator dropped never came, so they lose nothing.
- This assumes that those who left would have ordered like those who stayed, did not come back, and that
  stock would have sufficed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

from doorbuster.records.batch import CustomerCount, OrderAttempt
from doorbuster.records.outcome import Outcome
from doorbuster.stats.difference import ValueWithInterval
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.units import Currency

MIN_BASKETS = 10  # fewer give no interval of the mean
_Z = 1.96


class LostOrders(NamedTuple):
    """Orders lost in a channel, and by how much the number may be lower or higher (95 %)."""

    channel: str
    orders: float
    below: float
    above: float


class MeanBasket(NamedTuple):
    """Mean acknowledged order, and its standard error; None below ten orders."""

    mean: float
    error: float | None


@dataclass(frozen=True, slots=True)
class Baskets:
    """Mean baskets by channel; "" is the basket of all channels, for those without an order."""

    currency: Currency
    by_channel: Mapping[str, MeanBasket]

    def of(self, channel: str) -> MeanBasket | None:
        """The basket of a channel; None if no order was acknowledged."""
        return self.by_channel.get(channel) or self.by_channel.get("")


class ExpectedOrders(NamedTuple):
    """Orders without delays, and the orders placed."""

    orders: ValueWithInterval
    placed: int


def lost_by_row(rows: Iterable[CustomerCount]) -> Iterator[tuple[CustomerCount, LostOrders]]:
    """The rows whose customers lost orders, each with its orders."""
    rows = list(rows)
    shares = {key: clopper_pearson(*counts) for key, counts in _served_orders(rows).items()}
    for row in rows:
        if row.outcome == Outcome.DROPPED:
            continue
        share = shares.get((row.channel, row.journey))
        if row.order == 0:
            yield row, LostOrders(row.channel, row.n, 0.0, 0.0)
        elif row.order is None and row.outcome != Outcome.SERVED and share is not None and share.successes:
            ratio, n = share.successes / share.n, row.n
            yield row, LostOrders(row.channel, n * ratio, n * (ratio - share.low), n * (share.high - ratio))


def _served_orders(rows: Iterable[CustomerCount]) -> dict[tuple[str, str], list[int]]:
    """Of the served customers of each channel and journey: how many ordered, and how many there were."""
    served: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        if row.outcome == Outcome.SERVED:
            served[row.channel, row.journey][0] += row.n if row.order == 1 else 0
            served[row.channel, row.journey][1] += row.n
    return served


def expected_orders(rows: Iterable[CustomerCount]) -> ExpectedOrders:
    """Orders of the same arrivals without delays: those placed and those lost."""
    came = [row for row in rows if row.outcome != Outcome.DROPPED]
    placed = sum(row.n for row in came if row.order == 1)
    lost = total_orders([part for _, part in lost_by_row(came)])
    ends = (placed + (end or 0.0) for end in (lost.value, lost.low, lost.high))
    return ExpectedOrders(ValueWithInterval(*ends), placed)


def total_orders(parts: Sequence[LostOrders]) -> ValueWithInterval:
    """All lost orders together; their errors are not independent, so they add up."""
    value = sum(part.orders for part in parts)
    below, above = sum(part.below for part in parts), sum(part.above for part in parts)
    return ValueWithInterval(value, value - below, value + above)


def mean_baskets(orders: Iterable[OrderAttempt], currency: Currency) -> Baskets:
    """The mean acknowledged basket of each channel."""
    totals: dict[str, list[float]] = defaultdict(list)
    for order in orders:
        if order.answer == "acknowledged" and order.total_pence > 0:
            total = currency.amount(order.total_pence)
            totals[order.channel].append(total)
            totals[""].append(total)
    by_channel = {
        channel: MeanBasket(
            fmean(found), stdev(found) / math.sqrt(len(found)) if len(found) >= MIN_BASKETS else None
        )
        for channel, found in totals.items()
    }
    return Baskets(currency, by_channel)


def lost_sales(parts: Iterable[LostOrders], baskets: Baskets) -> ValueWithInterval | None:
    """Lost orders times the mean basket of their channel; None where no basket is known.

    In the currency of the baskets. The errors of the two are independent: their squares add up.
    """
    orders: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for channel, *more in parts:
        orders[channel] = [have + add for have, add in zip(orders[channel], more, strict=True)]
    value, below, above, known = 0.0, 0.0, 0.0, True
    for channel, (lost, fewer, more_of) in orders.items():
        basket = baskets.of(channel)
        if basket is None:
            return None
        known = known and basket.error is not None
        half = _Z * lost * (basket.error or 0.0)
        value += lost * basket.mean
        below += (fewer * basket.mean) ** 2 + half**2
        above += (more_of * basket.mean) ** 2 + half**2
    ends = (max(0.0, value - math.sqrt(below)), value + math.sqrt(above)) if known else (None, None)
    return ValueWithInterval(value, *ends)
