"""The live page of a command: the option --live, and where the command publishes what it does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from doorbuster.cli.options import WholeNumber
from doorbuster.output import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doorbuster.gate import ThresholdResult, Verdict
    from doorbuster.live.state import LiveState

live_option = click.option(
    "--live",
    type=WholeNumber(0, 65_535),
    metavar="PORT",
    help="Show the live page in the browser, on this port of 127.0.0.1, e.g. 8090; 0 takes a free one. "
    "Default: no page.",
)


class LivePage(Protocol):
    """Where a command shows what it does; is_open: somebody may see it."""

    is_open: bool

    def publish(self, **changes: Any) -> None:
        """Change fields of the snapshot (see `live.snapshot`)."""
        ...

    def show_report(self, path: Path) -> None:
        """Show a report on the page."""
        ...


class NoLivePage:
    """The page of a command without --live."""

    is_open = False

    def publish(self, **changes: Any) -> None:
        """Nothing."""

    def show_report(self, path: Path) -> None:
        """Nothing."""


@contextmanager
def open_live_page(port: int | None, title: str) -> Iterator[LivePage]:
    """The page on a port; without a port, one that nobody sees.

    Raises: UsageError if the port cannot be opened.
    """
    if port is None:
        yield NoLivePage()
        return
    from doorbuster.live.server import LiveServer

    with LiveServer(port, title) as server:
        say(f"live page: {server.url}", error=True)
        yield server


def publish_verdict(
    page: LivePage,
    verdict: Verdict,
    results: Sequence[ThresholdResult],
    state: LiveState | None,
    folder: Path,
) -> None:
    """Show the verdict, the final result of each threshold and the report; `state`: the last one seen."""
    if not page.is_open:
        return
    from doorbuster.live.state import VerdictView
    from doorbuster.live.thresholds import threshold_view

    final = tuple(map(threshold_view, results))
    page.publish(
        run=None if state is None else replace(state, thresholds=final),
        step="running",
        verdict=VerdictView(verdict.status, verdict.sentence, verdict.reasons, str(folder)),
    )
    page.show_report(folder / "index.html")


def publish_answer(page: LivePage, sentence: str, folder: Path) -> None:
    """Show the answer of a search or a comparison, and its report if there is one."""
    from doorbuster.live.state import VerdictView

    page.publish(step="running", verdict=VerdictView("", sentence, (), str(folder)))
    if (folder / "index.html").is_file():
        page.show_report(folder / "index.html")


def show_replay(run: Path, *, speed: float, port: int) -> int:
    """Show a finished run on the live page until Ctrl-C; returns the exit code.

    Raises: RecordError if the run cannot be read; UsageError if the port cannot be opened.
    """
    from doorbuster.live.monitor import replay
    from doorbuster.live.server import LiveServer

    states = replay(run, speed=speed)
    first = next(states)
    written = (run if run.is_dir() else run.parent) / "index.html"
    with LiveServer(port, first.title) as server:
        say(f"live page: {server.url}   (Ctrl-C ends it)")
        try:
            server.publish(run=first, step="running", speed=speed)
            for state in states:
                server.publish(run=state)
            if written.is_file():
                server.show_report(written)
            say("the replay is over; the page stays until Ctrl-C")
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0
