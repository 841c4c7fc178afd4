"""Cleans log records before they reach a log file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from doorbuster.output.printable import clean
from doorbuster.output.secret_masking import masked

_CONTINUED = "\n    "  # starts no log line of its own


class CleanFormatter(logging.Formatter):
    """Formats log records with another formatter; a message cannot begin a line of its own."""

    def __init__(self, formatter: logging.Formatter | None, transform: Callable[[str], str]) -> None:
        super().__init__()
        self._formatter = formatter or logging.Formatter()
        self._transform = transform

    def format(self, record: logging.LogRecord) -> str:
        return self._transform(self._formatter.format(record)).replace("\n", _CONTINUED)


def remove_if_empty(log: Path) -> None:
    """Remove the log of a process that has ended without a word."""
    with suppress(OSError):
        if log.stat().st_size == 0:
            log.unlink()


def log_text(text: str) -> str:
    """Text for a log: cleaned, and without secrets by name, because programs log requests and answers."""
    return clean(masked(text))


def protect_logs(transform: Callable[[str], str] = log_text) -> None:
    """Clean what the handlers that exist now write to log files."""
    for logger in [logging.getLogger(), *logging.root.manager.loggerDict.values()]:
        for handler in getattr(logger, "handlers", ()):
            if not isinstance(handler.formatter, CleanFormatter):
                handler.setFormatter(CleanFormatter(handler.formatter, transform))
