"""Single keys from the terminal while a command runs."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

KeyWait = Callable[[float], str]
"""Waits up to some seconds; returns the keys that were pressed meanwhile, "" for none."""


@contextmanager
def pressed_keys() -> Iterator[KeyWait]:
    """Keys without the Enter key and without echo, where the command owns a terminal; Ctrl-C stays a signal.

    Elsewhere, such as in a pipeline or in the background, nobody can press a key, and the wait is a sleep.
    """
    try:
        import termios
        import tty

        terminal = sys.stdin.fileno()
        usual = termios.tcgetattr(terminal)
        owned = os.tcgetpgrp(terminal) == os.getpgrp()
    except (ImportError, OSError, ValueError, AttributeError, termios.error):
        owned = False
    if not owned:
        yield _sleep
        return
    tty.setcbreak(terminal, termios.TCSANOW)
    try:
        yield lambda seconds: _keys(terminal, seconds)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, usual)


def _sleep(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _keys(terminal: int, seconds: float) -> str:
    ready, _, _ = select.select([terminal], [], [], seconds)
    if not ready:
        return ""
    found = os.read(terminal, 64)
    if not found:  # the terminal is gone
        time.sleep(seconds)
    return found.decode(errors="replace")
