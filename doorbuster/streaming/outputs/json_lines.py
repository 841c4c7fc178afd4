"""JSON lines in a file: one object for each series and update, flat, for jq, Loki, Vector or a notebook.

A number is `value`; a distribution is `n`, `sum_s`, `p50_s`, `p95_s`, `p99_s`, `max_s` and `buckets`, all of
the run so far. An event of the run is an object with `event` and `text`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from doorbuster.errors import UsageError
from doorbuster.output import masked
from doorbuster.streaming.metric import Distribution, Update
from doorbuster.streaming.output import ReceiverUnavailable
from doorbuster.streaming.outputs.prometheus_samples import EDGE_TEXTS

QUANTILES = (("p50_s", 0.5), ("p95_s", 0.95), ("p99_s", 0.99), ("max_s", 1.0))


class JsonLines:
    """A file to which lines are appended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
        except OSError as error:
            raise UsageError(f"jsonl={self._path}: cannot be written: {error.strerror}") from error

    def send(self, update: Update) -> None:
        assert self._file is not None
        text = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows(update))
        start = self._file.tell()
        try:
            written = 0
            while written < len(text):
                written += self._file.write(text[written:])
        except OSError as error:
            self._undo(start)
            raise ReceiverUnavailable(error.strerror or str(error)) from error

    def _undo(self, start: int) -> None:
        """Remove a part of an update, so that the file holds whole lines only."""
        assert self._file is not None
        try:
            self._file.truncate(start)
        except OSError:  # a pipe
            return

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def rows(update: Update) -> Iterator[dict[str, Any]]:
    """The objects of one update."""
    at = datetime.fromtimestamp(update.at_unix_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    for at_s, kind, text in update.events:
        yield {"time": at, "event": kind, "run_time_s": at_s, "text": masked(text)}
    for metric in update.metrics:
        for point in metric.points:
            row: dict[str, Any] = {"time": at, "metric": metric.name, **dict(point.labels)}
            if isinstance(point.value, Distribution):
                found = point.value
                edges = dict(zip(EDGE_TEXTS, found.cumulative_buckets, strict=True))
                row |= {"n": found.n, "sum_s": found.sum_s}
                row |= {name: found.quantile_s(p) for name, p in QUANTILES}
                row["buckets"] = edges
            else:
                row["value"] = point.value
            yield row
