"""Reads what browser probes recorded."""

from __future__ import annotations

from typing import Any

from doorbuster.records.browser import BrowserPage, BrowserPicture, BrowserRecords, BrowserVisit
from doorbuster.records.observed_reader import ObservedReader


class BrowserReader(ObservedReader):
    """The browser probes of one run file."""

    def browsers(self) -> BrowserRecords:
        """Visits and pages in order of time, and the pictures; all empty without probes."""
        return self._once("browsers", self._read_browsers)

    def _read_browsers(self) -> BrowserRecords:
        def rows(table: str) -> list[Any]:
            return self._select(f"SELECT * FROM {table} ORDER BY at_s, probe, rowid")  # noqa: S608  constants

        return BrowserRecords(
            tuple(map(BrowserVisit._make, rows("browser_visits"))),
            tuple(map(BrowserPage._make, rows("browser_pages"))),
            tuple(map(BrowserPicture._make, rows("browser_pictures"))),
        )
