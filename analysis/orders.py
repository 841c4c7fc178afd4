"""Is every acknowledged order in the shop's ledger exactly once, and was nothing oversold?

    python analysis/orders.py reports/<run>

The audit compares the shop's answers to customers with its ledger, which is read after the run. Without the
ledger the audit is unknown, not clean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from doorbuster.records.batch import OrderAttempt
from doorbuster.records.ledger import Audit, Ledger, audit
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    Cell,
    Chart,
    Column,
    Fact,
    Metric,
    Role,
    Section,
    Series,
    Table,
    bucket_s,
    present,
    without_customers,
)
from doorbuster.units import Currency, format_count, format_counted

# Causes of a last attempt that got no complete answer; after any other cause the shop did answer.
NO_ANSWER = frozenset({
    *("connect_refused", "connect_timeout", "connect_failed", "dns", "tls", "proxy", "host_not_allowed"),
    *("reset", "closed_early", "first_byte_timeout", "total_timeout"),
    *("rate_ceiling", "no_ports", "no_memory", "no_descriptors", "no_threads"),
    *("patience", "waiting_room", "run_ended", "interrupted", "drain_limit", "script_exception"),
})  # fmt: skip
ANSWERS: dict[str, tuple[str, str, Role]] = {  # name, meaning, role in the figure
    "acknowledged": ("acknowledged", "orders the shop confirmed", "good"),
    "refused": ("refused", "orders the shop refused by rule", "bad"),
    "failed": ("answered with an error", "orders whose last answer was an error, such as status 500", "auto"),
    "unanswered": ("no answer", "orders without a complete answer: timeout, reset, customer left", "warning"),
}
AUDIT_MEANINGS = {
    "orders_missing": "acknowledged, but not in the ledger",
    "orders_duplicated": "booked or numbered more than once",
    "orders_unacknowledged": "booked, but never acknowledged to the customer",
    "orders_wrong_total": "booked with another total than the customer saw",
    "oversold_units": "units sold beyond the stock",
}
QUESTION = "Did every order arrive, exactly once?"


def analyse(context: RunContext) -> Section:
    """The audit of a run's orders."""
    if context.is_plain:
        return without_customers("orders", QUESTION)
    run = context.run
    orders, ledger, run_id = run.orders(), run.ledger(), run.meta.run_id
    found = None if ledger is None else audit(orders, ledger, run_id=run_id)
    return Section(
        name="orders",
        group="Customers and orders",
        order=210,
        question=QUESTION,
        sentence=_sentence(orders, found),
        facts=_facts(found),
        findings=_findings(found),
        figures=present(_answers_over_time(orders, run.recorded_s)),
        tables=present(
            _answer_table(orders, context.currency),
            *(() if ledger is None or found is None else _audit_tables(orders, ledger, found, run_id)),
        ),
        metrics={**_answer_metrics(orders), **_audit_metrics(found, ledger)},
    )


def answer_of(attempt: OrderAttempt) -> str:
    """The key in `ANSWERS` of an attempt."""
    if attempt.answer != "unknown":
        return attempt.answer
    return "unanswered" if attempt.cause in NO_ANSWER else "failed"


def _distinct(orders: Iterable[OrderAttempt], answer: str | None = None) -> int:
    return len({attempt.idempotency_key for attempt in orders if answer in (None, answer_of(attempt))})


def _sentence(orders: Sequence[OrderAttempt], found: Audit | None) -> str:
    acknowledged = _distinct(orders, "acknowledged")
    if found is None:
        return (
            f"Unknown: {format_count(acknowledged)} orders were acknowledged, but the shop's ledger was not "
            f"read after the run."
        )
    faults = _faults(found)
    if not found.attempted and not found.booked:
        return "No order was tried, so there is nothing to audit."
    if not faults and found.unstocked:
        return (
            f"Partly: all {format_count(found.acknowledged)} acknowledged orders are in the shop's ledger "
            "exactly once with the right total. Overselling is unknown, because the shop did not report the "
            f"stock of {format_counted(found.unstocked, 'product')}."
        )
    if not faults:
        return (
            f"Yes: all {format_count(found.acknowledged)} acknowledged orders are in the shop's ledger "
            f"exactly once with the right total, and nothing was oversold."
        )
    orders_of = (
        f"{format_count(found.acknowledged)} acknowledged and {format_count(found.booked)} booked orders"
    )
    text = faults[0] if len(faults) == 1 else f"{', '.join(faults[:-1])} and {faults[-1]}"
    return f"No: of {orders_of}, {text}."


def _faults(found: Audit) -> list[str]:
    counts = (
        (found.missing, "missing in the ledger"),
        (found.duplicated, "duplicated"),
        (found.unacknowledged, "booked without an acknowledgement"),
        (found.wrong_total, "booked with a wrong total"),
    )
    faults = [f"{format_counted(count, 'was', 'were')} {words}" for count, words in counts if count]
    if found.oversold_units:
        faults.append(f"{format_counted(found.oversold_units, 'unit was', 'units were')} oversold")
    if found.stock_mismatch:
        faults.append(
            f"the stock of {format_counted(len(found.stock_mismatch), 'product')} does not match the orders"
        )
    return faults


def _facts(found: Audit | None) -> tuple[Fact, ...]:
    """Missing orders, if there are any."""
    if found is None or not found.missing:
        return ()
    of = f"of {format_count(found.acknowledged)} acknowledged orders are not in the shop's ledger"
    return (Fact("Orders missing", format_count(found.missing), of),)


def _findings(found: Audit | None) -> tuple[str, ...]:
    if found is None:
        return ()
    notes = []
    for name in ("missing", "duplicated", "unacknowledged", "wrong_total"):
        keys = getattr(found.examples, name)
        if keys:
            words = name.replace("_", " ")
            notes.append(f"First keys {words}: {', '.join(keys[:3])}{' …' if len(keys) > 3 else ''}")
    if found.foreign:
        notes.append(
            f"{format_count(found.foreign)} orders in the ledger are from other runs and are ignored."
        )
    if found.unstocked:
        notes.append(
            f"The shop did not report the stock of {format_counted(found.unstocked, 'product')} sold."
        )
    return tuple(notes)


def _answer_metrics(orders: Sequence[OrderAttempt]) -> dict[str, Metric]:
    tried = _distinct(orders)
    metrics = {"orders_tried": Metric(tried, "count", n=tried, meaning="distinct orders customers sent")}
    for answer, (_, meaning, _) in ANSWERS.items():
        metrics[f"orders_{answer}"] = Metric(_distinct(orders, answer), "count", n=tried, meaning=meaning)
    return metrics


def _audit_metrics(found: Audit | None, ledger: Ledger | None) -> dict[str, Metric]:
    """Every count with the number of orders that it is a part of; all unknown without the ledger."""
    counts: dict[str, tuple[int | None, int | None]] = {}
    booked = None
    if found is not None and ledger is not None:
        booked = found.booked
        oversold = None if found.unstocked and not found.oversold else found.oversold_units
        counts = {
            "orders_missing": (found.missing, found.acknowledged),
            "orders_duplicated": (found.duplicated, booked),
            "orders_unacknowledged": (found.unacknowledged, booked),
            "orders_wrong_total": (found.wrong_total, booked),
            "oversold_units": (oversold, len(ledger.orders)),
        }
    metrics = {
        "orders_booked": Metric(booked, "count", n=booked, meaning="orders of this run in the shop's ledger")
    }
    for name, meaning in AUDIT_MEANINGS.items():
        value, n = counts.get(name, (None, None))
        metrics[name] = Metric(value, "count", n=n, meaning=meaning)
    return metrics


def _answers_over_time(orders: Sequence[OrderAttempt], recorded_s: int) -> Chart | None:
    if not orders:
        return None
    end = max(recorded_s, int(max(attempt.intended_s for attempt in orders)) + 1)
    width = bucket_s(end)
    counts = Counter((answer_of(attempt), int(attempt.intended_s) // width) for attempt in orders)
    buckets = range(-(-end // width))
    series = tuple(
        Series(name, tuple(counts[answer, bucket] / width for bucket in buckets), role)
        for answer, (name, _, role) in ANSWERS.items()
        if any(counts[answer, bucket] for bucket in buckets)
    )
    peak = max(counts["acknowledged", bucket] / width for bucket in buckets)
    return Chart(
        "stacked", f"The shop acknowledged up to {peak:.3g} orders per second",
        "time since the start (min:s)",
        "orders tried per second", tuple(float(bucket * width) for bucket in buckets), series,
    )  # fmt: skip


def _answer_table(orders: Sequence[OrderAttempt], currency: Currency) -> Table:
    channels = sorted({attempt.channel for attempt in orders})
    rows = tuple(
        (
            channel,
            _distinct(mine),
            *(_distinct(mine, answer) for answer in ANSWERS),
            _mean_total(mine, currency),
        )
        for channel in channels
        for mine in [[attempt for attempt in orders if attempt.channel == channel]]
    )
    columns = (
        Column("Channel"), Column("Orders tried", "count"), Column("Acknowledged", "count"),
        Column("Refused", "count"), Column("Answered with an error", "count"),
        Column("No answer", "count"), Column("Average acknowledged total", currency.code),
    )  # fmt: skip
    note = (
        "An order that was retried counts once, by its last attempt. After an error or no answer, only the "
        "ledger shows whether the shop booked the order."
    )
    return Table("Answers of the shop by channel", columns, rows, note)


def _mean_total(orders: Iterable[OrderAttempt], currency: Currency) -> float | None:
    totals = [attempt.total_pence for attempt in orders if attempt.answer == "acknowledged"]
    return currency.amount(sum(totals) / len(totals)) if totals else None


def _audit_tables(
    orders: Sequence[OrderAttempt], ledger: Ledger, found: Audit, run_id: str
) -> tuple[Table, ...]:
    rows: list[tuple[Cell, ...]] = [("all", *_audit_row(found))]
    known = {attempt.idempotency_key: attempt.channel for attempt in orders}
    for channel in sorted(set(known.values())):
        mine = [attempt for attempt in orders if attempt.channel == channel]
        entries = [
            order for order in ledger.orders if known.get(order.idempotency_key, order.channel) == channel
        ]
        judged = found  # a single channel is the whole run
        if len(mine) < len(orders) or len(entries) < len(ledger.orders):
            judged = audit(mine, Ledger(tuple(entries), (), ledger.read_at_s), run_id=run_id)
        rows.append((channel, *_audit_row(judged)))
    columns = (
        Column("Channel"), Column("Acknowledged", "count"), Column("In the ledger", "count"),
        Column("Missing", "count"),
        Column("Duplicated", "count"), Column("Unacknowledged", "count"), Column("Wrong total", "count"),
    )  # fmt: skip
    tables = [Table("Audit: acknowledged orders and the shop's ledger", columns, tuple(rows))]
    stock = {item.sku: item for item in ledger.stock}
    short = {finding.sku: finding.units for finding in found.oversold}
    wrong = {finding.sku: finding for finding in found.stock_mismatch}
    if short or wrong:
        lines = tuple(
            (
                sku, stock[sku].opening, stock[sku].sold, stock[sku].on_hand,
                wrong[sku].expected if sku in wrong else stock[sku].on_hand, short.get(sku, 0),
            )
            for sku in sorted({*short, *wrong}, key=lambda sku: (-short.get(sku, 0), sku))[:30]
        )  # fmt: skip
        heads = ("Opening stock", "Sold (shop)", "On hand", "On hand (orders)", "Oversold units")
        columns = (Column("Article"), *(Column(name, "count") for name in heads))
        tables.append(Table("Articles whose stock is wrong", columns, lines))
    return tuple(tables)


def _audit_row(found: Audit) -> tuple[int, ...]:
    return (
        found.acknowledged, found.booked, found.missing, found.duplicated, found.unacknowledged,
        found.wrong_total,
    )  # fmt: skip


if __name__ == "__main__":
    main(analyse)
