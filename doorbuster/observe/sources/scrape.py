"""Scrapes a /metrics endpoint, as Prometheus does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from doorbuster.observe.exposition import parse_exposition
from doorbuster.observe.sample import TargetSample
from doorbuster.observe.sources.http_reader import HttpReader


class ScrapeSource:
    """One endpoint; its values are dated by the reading."""

    def __init__(self, *, url: str, headers: dict[str, str], networks: list[str], **_: Any) -> None:
        self._http = HttpReader(url, headers, networks)

    def read(self) -> Iterator[TargetSample]:
        return parse_exposition(self._http.get(self._http.path).text)

    def close(self) -> None:
        self._http.close()
