"""The live view of a run, read from the run file while it grows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from doorbuster.errors import RecordError
from doorbuster.units import format_count, format_duration, format_ratio

if TYPE_CHECKING:
    from doorbuster.locust_process import LocustProcess
    from doorbuster.records.reader import Run
    from doorbuster.scenario import Scenario

REFRESH_S = 1.0
PLAIN_EVERY_S = 10.0  # interval of progress lines without a terminal
LARGEST_SHARE = 0.05  # of one core, at most, for the live view
WINDOW_S = 10  # window of the latencies and rates shown


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run at one moment."""

    at_s: float
    planned: int
    left: int
    in_flight: int
    could_browse: tuple[int, int]  # (could, wanted)
    could_order: tuple[int, int]
    requests_per_s: float
    p95_us: int | None
    outcomes: dict[str, int]


def watch(process: LocustProcess, folder: Path, plan: Scenario, *, quiet: bool) -> None:
    """Show the run until the process ends; Ctrl-C stops it orderly, a second Ctrl-C at once."""
    console = Console(stderr=True)
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
            snapshot = _snapshot(folder)
            if snapshot is None:
                return
            phase = "sending load" if snapshot.at_s < plan.demand.duration_s else "draining"
            clock = f"{format_duration(max(snapshot.at_s, 0))} of {format_duration(plan.demand.duration_s)}"
            progress.update(
                bar, total=plan.demand.duration_s, completed=min(snapshot.at_s, plan.demand.duration_s),
                description=phase, clock=clock,
            )  # fmt: skip
            live.update(Group(progress, _table(snapshot)))

        _until_over(process, show)


def _watch_plainly(process: LocustProcess, folder: Path, console: Console) -> None:
    last = time.monotonic()

    def show() -> None:
        nonlocal last
        if time.monotonic() - last < PLAIN_EVERY_S:
            return
        last = time.monotonic()
        snapshot = _snapshot(folder)
        if snapshot is not None:
            console.print(
                f"{format_duration(max(snapshot.at_s, 0))}: "
                f"{snapshot.left} of {snapshot.planned} customers finished, "
                f"could order {_share(snapshot.could_order)}, could browse {_share(snapshot.could_browse)}, "
                f"{snapshot.requests_per_s:.0f} requests/s, p95 {_time(snapshot.p95_us)}",
                soft_wrap=True,
            )

    _until_over(process, show)


def _until_over(process: LocustProcess, show: Callable[[], None]) -> None:
    """Refresh until the process ends; slow refreshes, as in long runs, are made less often."""
    rest_until_s = 0.0
    while process.is_running():
        try:
            time.sleep(REFRESH_S)
            if time.monotonic() < rest_until_s:
                continue
            began_s = time.process_time()
            show()
            rest_until_s = time.monotonic() + (time.process_time() - began_s) / LARGEST_SHARE
        except KeyboardInterrupt:
            process.ask_to_stop()


def _snapshot(folder: Path) -> Snapshot | None:
    """None before the run file exists."""
    from doorbuster.records.reader import Run

    try:
        with Run.open(folder) as run:
            return _read(run)
    except RecordError:
        return None


def _read(run: Run) -> Snapshot:
    at_s = time.time() - run.meta.started_at_unix_ns / 1e9
    balance = run.balance()
    customers = run.customers()
    now = run.recorded_s
    recent = run.histogram(match=lambda series: series.has_latency, seconds=(now - WINDOW_S, now))
    counts = run.request_counts(lambda _: "all").get("all")
    health = [seconds[-1] for seconds in run.health().values() if seconds]
    return Snapshot(
        at_s=at_s,
        planned=balance.planned,
        left=balance.accounted,
        in_flight=sum(second.in_flight for second in health),
        could_browse=_could([(row.browse, row.n) for row in customers]),
        could_order=_could([(row.order, row.n) for row in customers]),
        requests_per_s=float(counts[max(now - WINDOW_S, 0) : now].mean())
        if counts is not None and now
        else 0.0,
        p95_us=recent.quantile_us(0.95) if recent.n else None,
        outcomes={
            "served": balance.served,
            "abandoned": balance.abandoned,
            "turned away": balance.turned_away,
            "queued out": balance.queued_out,
            "dropped": balance.dropped,
        },
    )


def _could(rows: list[tuple[int | None, int]]) -> tuple[int, int]:
    wanted = [(could, n) for could, n in rows if could is not None]
    return sum(n for could, n in wanted if could), sum(n for _, n in wanted)


def _table(snapshot: Snapshot) -> RenderableType:
    table = Table.grid(padding=(0, 3))
    table.add_row(
        f"could browse [bold]{_share(snapshot.could_browse)}[/]",
        f"could order [bold]{_share(snapshot.could_order)}[/]",
        f"in the shop [bold]{format_count(snapshot.in_flight)}[/]",
        f"{snapshot.requests_per_s:.0f} requests/s",
        f"p95 {_time(snapshot.p95_us)} [dim](last {WINDOW_S} s)[/]",
    )
    outcomes = [f"{name} {format_count(n)}" for name, n in snapshot.outcomes.items() if n]
    table.add_row(*(outcomes or ["no customer has finished yet"]))
    return table


def _share(could: tuple[int, int]) -> str:
    k, n = could
    return f"{format_ratio(k / n)} of {format_count(n)}" if n else "none yet"


def _time(us: int | None) -> str:
    return "none" if us is None else format_duration(us / 1e6)
