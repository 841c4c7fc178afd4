"""`doorbuster audit`: compare a run with the shop's order export and update the verdict."""

from __future__ import annotations

import time
from pathlib import Path

import click

from doorbuster.cli.options import file_option, run_argument
from doorbuster.output import say


@click.command("audit")
@run_argument
@file_option(
    "--ledger",
    "CSV file of the orders in the shop, e.g. orders.csv. Columns: docs/how-to/audit.md.",
    required=True,
)
@file_option(
    "--stock",
    "CSV file of the stock: sku, opening (at the start of the run), on_hand. Default: none, overselling "
    "remains unknown.",
)
def command(run: Path, ledger: Path, stock: Path | None) -> int:
    """Compare RUN with the shop's order export (CSV); update the verdict and the report.

    For shops whose driver cannot read the order ledger. The export replaces the ledger recorded in the run.
    Exit code: that of the verdict, as with `doorbuster gate`; 2 if a file cannot be read.

    \b
    Example: doorbuster audit reports/friday --ledger orders.csv --stock stock.csv
    """
    from doorbuster.cli.run_workflow import require_customer_scenario, write_everything
    from doorbuster.errors import UsageError
    from doorbuster.records.batch import Event
    from doorbuster.records.ledger_csv import read_ledger_csv
    from doorbuster.records.reader import Run
    from doorbuster.records.schema import FILE_NAME
    from doorbuster.records.writer import RunWriter

    with Run.open(run) as opened:
        meta, scenario, attempts = opened.meta, require_customer_scenario(opened), opened.orders()
    if meta.status == "running":
        raise UsageError(
            f"{run} is still running; wait until it ends, or create the file {run}/STOP to stop it"
        )
    started_at_unix_s = meta.started_at_unix_ns / 1e9
    imported = read_ledger_csv(
        ledger,
        stock,
        run_id=meta.run_id,
        attempts=attempts,
        started_at_unix_s=started_at_unix_s,
        read_at_unix_s=ledger.stat().st_mtime,
    )
    ours = sum(order.idempotency_key.startswith(f"{meta.run_id}:") for order in imported.orders)
    if not ours and any(attempt.answer == "acknowledged" for attempt in attempts):
        say(
            f"{ledger} contains no orders from this run (order keys start with {meta.run_id}:, or order "
            "numbers match confirmed orders); check that it is the right file",
            error=True,
        )
    with RunWriter.amend(run / FILE_NAME if run.is_dir() else run) as writer:
        writer.write_ledger(imported)
        names = ledger.name if stock is None else f"{ledger.name} and {stock.name}"
        writer.record_event(Event(time.time() - started_at_unix_s, "ledger", f"ledger imported from {names}"))
    folder = run if run.is_dir() else run.parent
    judged = write_everything(run, scenario, folder)
    judged.print_failed_scripts()
    say(f"{len(imported.orders)} orders, {ours} from this run; stock of {len(imported.stock)} products")
    for section in judged.analysed.sections:
        if section.name == "orders":
            say(section.sentence)
    say(judged.verdict.sentence)
    for reason in judged.verdict.reasons:
        say(f"  - {reason}")
    say(f"report:  {folder / 'index.html'}")
    return judged.exit_code
