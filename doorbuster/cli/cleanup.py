"""`doorbuster cleanup`: cancel the test orders of a run before they are fulfilled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from doorbuster.cli.options import run_argument
from doorbuster.cli.subprocess_stream import SubprocessStream
from doorbuster.output import open_console, say

SHOWN = 10  # orders listed on the screen, at most
_FOUND_BY = {
    "ledger": "orders in the ledger belong to run",
    "reference": "orders (not checked against a ledger) were recorded by run",
}


@click.command("cleanup")
@run_argument
@click.option("--dry-run", is_flag=True, help="List the orders, one per line, without cancelling any.")
@click.option(
    "--by-reference",
    is_flag=True,
    help="Without a ledger, use the order numbers in the run file. Unsafe if the shop was reset since the "
    "run: its numbers may then belong to other orders.",
)
@click.option(
    "--locustfile",
    default=None,
    metavar="FILE",
    help="Python file with your own driver, e.g. locustfiles/_my_shop.py, or the run's locustfiles, with "
    "commas between them; for a custom storefront.",
)
@click.option(
    "--confirm-host",
    "confirm_hosts",
    multiple=True,
    metavar="HOST",
    help="Confirm that orders may be cancelled on this non-loopback host; the safety.allow recorded with the "
    "run must list it too.",
)
def command(
    run: Path, dry_run: bool, by_reference: bool, locustfile: str | None, confirm_hosts: tuple[str, ...]
) -> int:
    """Cancel the orders that RUN placed, if the driver of the shop supports it.

    For the folder of a capacity search or sweep, those of all its load steps. Only orders whose key in the
    shop's ledger starts with the run's id are cancelled. Run the command again to retry the remaining ones.
    Exit code: 0 if no order is left, 99 if some are, 106 if the shop is
    unreachable, 2 if the driver cannot cancel orders.

    \b
    Example: doorbuster cleanup reports/friday --dry-run
             doorbuster cleanup reports/friday --confirm-host staging.example.com
    """
    from doorbuster.capacity.result_file import runs_of
    from doorbuster.errors import ExitCode

    worst = int(ExitCode.PASS)
    runs = runs_of(run)
    for number, one in enumerate(runs, start=1):
        if len(runs) > 1:
            say(f"load step {number} of {len(runs)}: {one.name}")
        code = _clean_up(one, dry_run, by_reference, locustfile, confirm_hosts)
        if code not in (ExitCode.PASS, ExitCode.FAIL):
            return code
        worst = max(worst, code)
    return worst


def _clean_up(
    run: Path, dry_run: bool, by_reference: bool, locustfile: str | None, confirm_hosts: tuple[str, ...]
) -> int:
    """Cancel the orders of one run; returns the exit code."""
    from doorbuster.cli.run_workflow import find_locustfiles
    from doorbuster.errors import ExitCode

    cleanup_pass = CleanupPass(dry_run=dry_run)
    try:
        with SubprocessStream(
            "doorbuster.load.tools.cleanup", run=str(run), dry_run=dry_run, by_reference=by_reference,
            locustfile=find_locustfiles(locustfile) if locustfile else "", confirm_hosts=list(confirm_hosts),
        ) as child:  # fmt: skip
            for row in child.rows():
                cleanup_pass.take(row)
            code = child.exit_code()
    except KeyboardInterrupt:
        code = int(ExitCode.INTERRUPTED)
    finally:
        cleanup_pass.end()
    cleanup_pass.print_result()
    return code


class CleanupPass:
    """Counts the results of one cleanup pass and shows a progress bar on a terminal."""

    def __init__(self, *, dry_run: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._dry_run = dry_run
        self._plan: dict[str, Any] = {}
        self._results: Counter[str] = Counter()
        self._refused: list[dict[str, Any]] = []
        self._left: list[str] | None = None
        console = open_console(error=True)
        self._bar = Progress(
            TextColumn("cancelling"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("cancelling", total=None)

    def take(self, row: dict[str, Any]) -> None:
        """Process one progress row."""
        if row["kind"] == "plan":
            self._plan = row
            self._print_plan(row)
            if row["refs"] and not self._dry_run:
                self._bar.update(self._task, total=len(row["refs"]))
                self._bar.start()
        elif row["kind"] == "order":
            self._results[row["result"]] += 1
            if row["result"] == "refused":
                self._refused.append(row)
            self._bar.advance(self._task)
        elif row["kind"] == "after":
            self._left = row["left"]

    def end(self) -> None:
        self._bar.stop()

    def print_result(self) -> None:
        """Print the summary."""
        done = sum(self._results.values())
        if not done:
            return
        for row in self._refused[:SHOWN]:
            detail = f": {row['detail']}" if row["detail"] else ""
            say(f"  not cancelled: {row['ref']}: {row['cause']}{detail[:200]}")
        if len(self._refused) > SHOWN:
            say(f"  … and {len(self._refused) - SHOWN} more")
        counts = [f"{self._results['cancelled']} cancelled"]
        counts += [f"{self._results['already']} already cancelled"] if self._results["already"] else []
        counts += [f"{len(self._refused)} refused"] if self._refused else []
        remaining = len(self._plan["refs"]) - done
        counts += [f"{remaining} not tried"] if remaining else []
        say(f"{done} of {len(self._plan['refs'])} orders: {', '.join(counts)}.")
        if self._left is not None:
            say(
                f"The ledger still contains {len(self._left)} of them: {', '.join(self._left[:SHOWN])}"
                if self._left
                else "None of them is left in the ledger."
            )

    def _print_plan(self, row: dict[str, Any]) -> None:
        if row["found_by"] == "embedded":
            say(
                f"Run {row['run']} used an embedded shop; its orders were discarded with it. "
                "Nothing to clean up."
            )
            return
        refs = row["refs"]
        say(f"{row['url']}: {len(refs)} {_FOUND_BY[row['found_by']]} {row['run']}")
        if row["found_by"] == "ledger" and row["recorded"] > len(refs):
            say(
                f"  {row['recorded'] - len(refs)} more were recorded during the run but are not in the "
                "ledger: cancelled, or never booked"
            )
        if self._dry_run:
            for ref in refs:
                say(ref)
        elif not refs:
            say("nothing to cancel")
