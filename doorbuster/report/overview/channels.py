"""One row per channel: what its customers wanted, got and lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Literal

from doorbuster.gate import customer_rate
from doorbuster.report.overview.values import ChannelChange, ChannelRow
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Metric, ratio_metric
from doorbuster.stats.lost_orders import LostOrders, lost_by_row, lost_sales, mean_baskets, total_orders


def channel_rows(context: RunContext, changes: Mapping[str, ChannelChange]) -> tuple[ChannelRow, ...]:
    """The channels with customers who wanted something, the one that did worst first."""
    if not context.has_customers:
        return ()
    customers = context.run.customers()
    baskets = mean_baskets(context.run.orders(), context.currency)
    lost = defaultdict[str, list[LostOrders]](list)
    for _, part in lost_by_row(context.run.customers(context.run.grain_s)):
        lost[part.channel].append(part)
    rows = []
    for channel in dict.fromkeys(row.channel for row in customers):
        ordered, browsed = (
            customer_rate(customers, metric, {"channel": channel}) for metric in ("can_order", "can_browse")
        )
        wants: Literal["order", "browse"] = "order" if ordered.n else "browse"
        found = ordered if ordered.n else browsed
        if not found.n:
            continue
        parts = lost[channel]
        orders, sales = total_orders(parts), lost_sales(parts, baskets)
        worth = None
        if parts and sales is not None:
            worth = Metric(sales.value, context.currency.code, sales.low, sales.high)
        rows.append(
            ChannelRow(
                channel, wants, found.n, found.successes, ratio_metric(found),
                ratio_metric(browsed) if ordered.n and browsed.n else None,
                Metric(orders.value, "count", orders.low, orders.high) if parts else Metric(0.0, "count"),
                worth,
                changes.get(channel),
            )
        )  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (row.could.value or 0.0, row.channel)))
