"""`doorbuster cleanup`: take the test orders of a run back, so that nobody packs them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from doorbuster.cli.options import run_argument
from doorbuster.cli.subprocess_stream import SubprocessStream

SHOWN = 10  # orders that could not be cancelled, named on the screen
_FOUND_BY = {
    "ledger": "orders in the shop's ledger have a key of run",
    "reference": "orders, unchecked because the shop shows no ledger, were noted by run",
}


@click.command("cleanup")
@run_argument
@click.option("--dry-run", is_flag=True, help="List the orders, one a line, and cancel none.")
@click.option(
    "--by-reference",
    is_flag=True,
    help="Without a ledger to check against, trust the order numbers in the run file. Wrong if the shop was "
    "set up anew since: its numbers then belong to other orders.",
)
@click.option(
    "--locustfile",
    default=None,
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Python file with your own driver, for a run of a custom storefront.",
)
@click.option(
    "--confirm-host",
    default=None,
    metavar="HOST",
    help="Confirm by name that orders may be cancelled on this host beyond loopback; it must also be in the "
    "safety.allow that was recorded with the run.",
)
def command(
    run: Path, dry_run: bool, by_reference: bool, locustfile: Path | None, confirm_host: str | None
) -> int:
    """Cancel the orders that RUN placed, where the shop's driver can.

    Only orders of this run are touched: those whose key in the shop's ledger starts with the run's id.
    Calling it again picks up what is left. Exit code 0 if none is left, 99 if some are, 106 if nobody
    answers, 2 if the driver cannot cancel.

    \b
    Example: doorbuster cleanup reports/friday --dry-run
             doorbuster cleanup reports/friday --confirm-host staging.example.com
    """
    from doorbuster.errors import ExitCode

    args = [str(run)]
    args += ["--dry-run"] if dry_run else []
    args += ["--by-reference"] if by_reference else []
    args += ["--locustfile", str(locustfile)] if locustfile is not None else []
    args += ["--confirm-host", confirm_host] if confirm_host is not None else []
    cleanup_pass = CleanupPass(dry_run=dry_run)
    try:
        with SubprocessStream("doorbuster.load.tools.cleanup", args) as child:
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
    """What happened to the orders so far, with a progress bar while there is a terminal to see it."""

    def __init__(self, *, dry_run: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._dry_run = dry_run
        self._plan: dict[str, Any] = {}
        self._results: Counter[str] = Counter()
        self._refused: list[dict[str, Any]] = []
        self._left: list[str] | None = None
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("cancelling"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("cancelling", total=None)

    def take(self, row: dict[str, Any]) -> None:
        """One line of the round."""
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
        """The last lines."""
        done = sum(self._results.values())
        if not done:
            return
        for row in self._refused[:SHOWN]:
            detail = f": {row['detail']}" if row["detail"] else ""
            click.echo(f"  not cancelled: {row['ref']}: {row['cause']}{detail[:200]}")
        if len(self._refused) > SHOWN:
            click.echo(f"  … and {len(self._refused) - SHOWN} more")
        counts = [f"{self._results['cancelled']} cancelled"]
        counts += [f"{self._results['already']} were already"] if self._results["already"] else []
        counts += [f"{len(self._refused)} could not be"] if self._refused else []
        remaining = len(self._plan["refs"]) - done
        counts += [f"{remaining} not tried"] if remaining else []
        click.echo(f"{done} of {len(self._plan['refs'])} orders: {', '.join(counts)}.")
        if self._left is not None:
            click.echo(
                f"The ledger still has {len(self._left)} of them: {', '.join(self._left[:SHOWN])}"
                if self._left
                else "The ledger has none of them any more."
            )

    def _print_plan(self, row: dict[str, Any]) -> None:
        if row["found_by"] == "embedded":
            click.echo(f"run {row['run']} loaded an embedded shop, which is gone with all its orders")
            return
        refs = row["refs"]
        click.echo(f"{row['url']}: {len(refs)} {_FOUND_BY[row['found_by']]} {row['run']}")
        if row["found_by"] == "ledger" and row["recorded"] > len(refs):
            click.echo(
                f"  {row['recorded'] - len(refs)} more were noted during the run and are not there: "
                "cancelled, or never booked"
            )
        if self._dry_run:
            for ref in refs:
                click.echo(ref)
        elif not refs:
            click.echo("nothing to cancel")


__all__ = ["command"]
