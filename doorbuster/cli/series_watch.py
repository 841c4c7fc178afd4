"""Shows a series of runs, one after the other: one line in the terminal or a log, and the live page.

Without a live page nothing is read from the growing run files: the runs of a search or a comparison are
measurements, and a look at them takes processor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from doorbuster.cli.live_page import LivePage
from doorbuster.output import is_screen, open_console, say
from doorbuster.units import format_duration

if TYPE_CHECKING:
    from doorbuster.live.state import SeriesView, StageView
    from doorbuster.locust_process import LocustProcess

EVERY_S, LINE_EVERY_S = 1.0, 10.0
MAX_CPU_RATIO = 0.05  # of one core, for the live page
Look = Callable[[str], None]


class SeriesWatch:
    """One search or comparison; `view` describes what is known of it, given the run that goes on."""

    def __init__(
        self, page: LivePage, view: Callable[[StageView | None], SeriesView], *, quiet: bool
    ) -> None:
        self._page, self._view, self._quiet = page, view, quiet

    def publish(self) -> None:
        """Show what is known between two runs."""
        if self._page.is_open:
            self._page.publish(series=self._view(None))

    @contextmanager
    def run(self, folder: Path, head: str, stage: Callable[[], StageView]) -> Iterator[Look]:
        """Show the run that is recorded into a folder; call the result once a second, with its progress.

        Args: head: what runs, for the line; stage: the same for the page.
        """
        on_page = self._on_page(folder, stage)
        console = open_console(error=True)
        if self._quiet:
            yield on_page
        elif is_screen(console):
            from rich.live import Live
            from rich.text import Text

            def line(text: str) -> Text:
                return Text(f"{head} {text}", no_wrap=True, overflow="ellipsis")

            with Live(line(""), console=console, transient=True, auto_refresh=False) as live:

                def show(text: str) -> None:
                    live.update(line(text), refresh=True)
                    on_page(text)

                yield show
        else:
            yield _in_log(head, on_page)

    def _on_page(self, folder: Path, stage: Callable[[], StageView]) -> Look:
        if not self._page.is_open:
            return lambda _: None
        from doorbuster.live.monitor import RunMonitor

        monitor, due_s = RunMonitor(folder), 0.0
        self._page.publish(run=None, step="running", series=self._view(stage()))

        def look(_: str) -> None:
            nonlocal due_s
            if time.monotonic() < due_s:
                return
            began_s = time.process_time()
            self._page.publish(run=monitor.look(), series=self._view(stage()))
            due_s = time.monotonic() + max(EVERY_S, (time.process_time() - began_s) / MAX_CPU_RATIO)

        return look


def about(seconds: float) -> str:
    """An estimate of the time left, no finer than it is."""
    step_s = 10 if seconds < 600 else 60
    return format_duration(max(step_s, step_s * round(seconds / step_s)))


def wait_for_end(process: LocustProcess, look: Look, progress: Callable[[float], str]) -> None:
    """Wait for a run, with a look a second; `progress` words the time that has passed, in s."""
    began_s = time.monotonic()
    while process.is_running():
        time.sleep(EVERY_S)
        look(progress(time.monotonic() - began_s))


def _in_log(head: str, on_page: Look) -> Look:
    due_s = time.monotonic() + LINE_EVERY_S

    def show(text: str) -> None:
        nonlocal due_s
        on_page(text)
        if time.monotonic() >= due_s:
            due_s = time.monotonic() + LINE_EVERY_S
            say(f"{head} {text}", error=True)

    return show
