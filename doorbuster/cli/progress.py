"""Progress of everything that may take more than two seconds: one bar in the terminal, few lines in a log.

Rules of this module
- Standard error only, and nothing of it stays in a terminal.
- In a log, there is a line every `LINE_EVERY_S`, so that quick work says nothing.
- No bar inside another one: the inner work is then only part of the outer step.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from doorbuster.output import is_screen, open_console, say
from doorbuster.output.tracking import Advance
from doorbuster.units import format_duration

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
LINE_EVERY_S = 10.0
MIN_RATIO = 0.1  # done before an estimate is made: the first part often takes longer
_open: list[str] = []  # what is shown now


@contextmanager
def progress(what: str, total: float, *, in_bytes: bool = False, quiet: bool = False) -> Iterator[Advance]:
    """Show work of a known size with an estimate of the time left; call the result with each part done."""
    console = open_console(error=True)
    if quiet or _open:
        yield lambda _: None
        return
    _open.append(what)
    try:
        if is_screen(console):
            with _bar(console, what, total, in_bytes=in_bytes) as advance:
                yield advance
        else:
            yield _lines(what, total)
    finally:
        _open.clear()


def each(what: str, items: Iterable[T], *, quiet: bool = False) -> Iterator[T]:
    """The items, with progress while they are used."""
    known: Sequence[T] = list(items)
    with progress(what, len(known), quiet=quiet) as advance:
        for item in known:
            yield item
            advance(1)


@contextmanager
def working(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Say on a terminal what is being done where its length is not known."""
    console = open_console(error=True)
    if quiet or _open or not is_screen(console):
        yield
        return
    from rich.text import Text

    with console.status(Text(f"{what} …")):
        yield


@contextmanager
def _bar(console: Console, what: str, total: float, *, in_bytes: bool) -> Iterator[Advance]:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        count,
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.advance(task, done)


def _lines(what: str, total: float) -> Advance:
    began_s = time.monotonic()
    due_s, done = began_s + LINE_EVERY_S, 0.0

    def advance(part: float) -> None:
        nonlocal due_s, done
        done += part
        now_s = time.monotonic()
        if now_s < due_s or done >= total or done < MIN_RATIO * total:
            return
        due_s = now_s + LINE_EVERY_S
        left_s = (now_s - began_s) * (total - done) / done
        say(
            f"{what}: {100 * done / total:.0f} %, about {format_duration(round(max(left_s, 1)))} left",
            error=True,
        )

    return advance
