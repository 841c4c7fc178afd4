"""Shows a run while it goes on: in the terminal, as lines of a log, and on the live page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from doorbuster.cli.keys import KeyWait, pressed_keys
from doorbuster.cli.live_page import LivePage, NoLivePage
from doorbuster.cli.live_view import ScreenSize, one_line_of, picture, stopping_message
from doorbuster.output import is_screen, open_console, say

if TYPE_CHECKING:
    from doorbuster.live.state import LiveState
    from doorbuster.locust_process import LocustProcess
    from doorbuster.scenario import LocustScenario, Scenario

REFRESH_S = 1.0
KEY_S = 0.2  # how long a key may wait for its effect
PLAIN_EVERY_S = 10.0  # interval of progress lines without a terminal
MAX_CPU_RATIO = 0.05  # of one core, for the live view


class Display(Protocol):
    """Where a run is shown."""

    def show(self, state: LiveState | None) -> None:
        """Show a state; None before the first customer arrives."""
        ...

    def stopping(self, state: LiveState | None) -> None:
        """Say at once that the run is being stopped."""
        ...


def watch(
    process: LocustProcess,
    folder: Path,
    plan: Scenario | LocustScenario,
    *,
    quiet: bool,
    page: LivePage | None = None,
    expected_workers: int = 0,
) -> LiveState | None:
    """Show the run until the process ends, also on the live page; returns its last state.

    q or Ctrl-C stops it in an orderly way; a second Ctrl-C kills it.
    """
    from doorbuster.live.monitor import RunMonitor  # takes a second, while the shop starts

    console, shown_on = open_console(error=True), page or NoLivePage()
    waiting = waiting_for(plan, expected_workers)
    with _display(console, plan, waiting, quiet=quiet) as display, pressed_keys() as wait:
        monitor = RunMonitor(folder)

        def look() -> LiveState | None:
            found = monitor.look()
            if found is None:  # nobody reads the end of a run that waits for its workers
                for note in process.new_notes():
                    console.print(f"note: {note}", markup=False, soft_wrap=True)
            stops = found is not None and process.asked and not found.has_ended
            state = replace(found, state="stopping") if found and stops else found
            shown_on.publish(run=state, step="running" if state else "starting")
            return state

        def stopping() -> None:
            state = look()
            display.stopping(state)
            shown_on.publish(message=stopping_message(people_inside(state)))

        _until_over(process, lambda: display.show(look()), stopping, wait)
        last = look()
        shown_on.publish(message="")
    return last


def _until_over(
    process: LocustProcess, refresh: Callable[[], None], on_stop: Callable[[], None], wait: KeyWait
) -> None:
    """Refresh until the process ends; slow refreshes, as in long runs, become less frequent."""
    next_at_s, told = 0.0, False
    while process.is_running():
        try:
            if process.asked and not told:
                told = True
                on_stop()
            if "q" in wait(KEY_S).lower() and not process.asked:
                process.ask_to_stop()
            elif time.monotonic() >= next_at_s:
                began_s = time.process_time()
                refresh()
                took_s = time.process_time() - began_s
                next_at_s = time.monotonic() + max(REFRESH_S - KEY_S, took_s / MAX_CPU_RATIO)
        except KeyboardInterrupt:
            process.ask_to_stop()


@contextmanager
def _display(
    console: Console, plan: Scenario | LocustScenario, waiting: str, *, quiet: bool
) -> Iterator[Display]:
    if quiet:
        yield QuietDisplay(console)
    elif is_screen(console):
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield ScreenDisplay(console, live, plan.title, waiting)
    else:
        console.print(plan.title, style="bold", markup=False, soft_wrap=True)
        yield LogDisplay(console)


def say_if_log(text: str) -> None:
    """Print a line of progress where no bar can show it."""
    if not is_screen(open_console(error=True)):
        say(text, error=True)


class QuietDisplay:
    """Nothing but the answer to Ctrl-C."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, state: LiveState | None) -> None:
        """Nothing."""

    def stopping(self, state: LiveState | None) -> None:
        self._console.print(
            stopping_message(people_inside(state)), markup=False, soft_wrap=True, highlight=False
        )


class LogDisplay(QuietDisplay):
    """One line every ten seconds, for logs of pipelines."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._due_s = time.monotonic() + PLAIN_EVERY_S

    def show(self, state: LiveState | None) -> None:
        if state is None or time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + PLAIN_EVERY_S
        self._console.print(one_line_of(state), markup=False, soft_wrap=True, highlight=False)


class ScreenDisplay:
    """The picture in the terminal, drawn again in place."""

    def __init__(self, console: Console, live: Live, title: str, waiting: str) -> None:
        self._console, self._live, self._title, self._waiting = console, live, title, waiting
        self._message = ""
        self.show(None)

    def show(self, state: LiveState | None) -> None:
        if state is None:
            self._live.update(Text(f"{self._title}\n{self._message or self._waiting}"), refresh=True)
            return
        size = ScreenSize(*self._console.size, ascii_only=self._console.options.ascii_only)
        self._live.update(picture(state, size, message=self._message), refresh=True)

    def stopping(self, state: LiveState | None) -> None:
        self._message = stopping_message(people_inside(state))
        self.show(state)


def waiting_for(plan: Scenario | LocustScenario, expected_workers: int) -> str:
    """What happens before the first customer arrives."""
    if expected_workers:
        return f"waiting for {expected_workers} worker{'' if expected_workers == 1 else 's'} to connect"
    embedded = plan.target.url is None and getattr(plan.target, "shop", None) is not None
    return f"starting the load generator{' and the shop' if embedded else ''}"


def people_inside(state: LiveState | None) -> int | None:
    """Customers whom a stop sends home; None where nobody is counted."""
    return state.in_shop if state is not None and state.has_customers else None
