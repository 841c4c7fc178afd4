"""The live view of a run, read from the run file while it grows."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from doorbuster.errors import RecordError
from doorbuster.output import open_console
from doorbuster.units import format_count, format_duration, format_ratio

if TYPE_CHECKING:
    from doorbuster.locust_process import LocustProcess
    from doorbuster.records.progress import RunProgress
    from doorbuster.scenario import LocustScenario, Scenario

REFRESH_S = 1.0
PLAIN_EVERY_S = 10.0  # interval of progress lines without a terminal
MAX_CPU_RATIO = 0.05  # of one core, for the live view


def watch(process: LocustProcess, folder: Path, plan: Scenario | LocustScenario, *, quiet: bool) -> None:
    """Show the run until the process ends; Ctrl-C stops it in an orderly way, a second Ctrl-C kills it."""
    console = open_console(error=True)
    if quiet:
        _until_over(process, lambda: None)
        return
    console.print(plan.title, style="bold", markup=False)
    if not console.is_terminal:
        _watch_plainly(process, folder, console)
        return
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[clock]}"),
        console=console, expand=True,
    )  # fmt: skip
    bar = progress.add_task("starting the shop", total=None, clock="")
    with Live(progress, console=console, refresh_per_second=4, transient=True) as live:

        def show() -> None:
            state = _progress(folder)
            if state is None:
                return
            phase = "sending load" if state.at_s < state.duration_s else "draining"
            clock = f"{format_duration(state.at_s)} of {format_duration(state.duration_s)}"
            progress.update(
                bar, total=state.duration_s, completed=min(state.at_s, state.duration_s),
                description=phase, clock=clock,
            )  # fmt: skip
            live.update(Group(progress, _table(state)))

        _until_over(process, show)


def _watch_plainly(process: LocustProcess, folder: Path, console: Console) -> None:
    last = time.monotonic()

    def show() -> None:
        nonlocal last
        if time.monotonic() - last < PLAIN_EVERY_S:
            return
        last = time.monotonic()
        state = _progress(folder)
        if state is not None:
            who = (
                f"{state.finished} of {state.planned} customers finished, "
                f"could order {_share(state.could_order)}, could browse {_share(state.could_browse)}"
                if state.has_customers
                else f"{format_count(state.in_shop)} users"
            )
            console.print(
                f"{format_duration(state.at_s)}: {who}, "
                f"{state.requests_per_s:.0f} requests/s, p95 {_time(state.p95_us)}",
                soft_wrap=True,
            )

    _until_over(process, show)


def _until_over(process: LocustProcess, show: Callable[[], None]) -> None:
    """Refresh until the process ends; slow refreshes, as in long runs, become less frequent."""
    next_at_s = 0.0
    while process.is_running():
        try:
            time.sleep(REFRESH_S)
            if time.monotonic() < next_at_s:
                continue
            began_s = time.process_time()
            show()
            next_at_s = time.monotonic() + (time.process_time() - began_s) / MAX_CPU_RATIO
        except KeyboardInterrupt:
            process.ask_to_stop()


def _progress(folder: Path) -> RunProgress | None:
    """None before the run file exists."""
    from doorbuster.records.progress import read_progress
    from doorbuster.records.reader import Run

    try:
        with Run.open(folder, own=True) as run:
            return read_progress(run, now_unix_s=time.time())
    except RecordError:
        return None


def _table(state: RunProgress) -> RenderableType:
    from doorbuster.records.progress import WINDOW_S

    table = Table.grid(padding=(0, 3))
    if not state.has_customers:
        table.add_row(
            f"users [bold]{format_count(state.in_shop)}[/]",
            f"{state.requests_per_s:.0f} requests/s",
            f"p95 {_time(state.p95_us)} [dim](last {WINDOW_S} s)[/]",
        )
        return table
    table.add_row(
        f"could browse [bold]{_share(state.could_browse)}[/]",
        f"could order [bold]{_share(state.could_order)}[/]",
        f"in the shop [bold]{format_count(state.in_shop)}[/]",
        f"{state.requests_per_s:.0f} requests/s",
        f"p95 {_time(state.p95_us)} [dim](last {WINDOW_S} s)[/]",
    )
    outcomes = [f"{name} {format_count(n)}" for name, n in state.outcomes.items() if n]
    table.add_row(*(outcomes or ["no customer has finished yet"]))
    return table


def _share(could: tuple[int, int]) -> str:
    k, n = could
    return f"{format_ratio(k / n)} of {format_count(n)}" if n else "none yet"


def _time(us: int | None) -> str:
    return "none" if us is None else format_duration(us / 1e6)
