"""Adds the requests of other tools up to histograms by second and label, and writes them as a run file.

Rules of this module:
- Memory is bounded: when too many distinct cells have accumulated, they are written and forgotten; rows of
  the same second and label add up when they are read.
- The start of the run is known only at the end, because no tool sorts its file: rows count from the first
  request of the first file until `finish` moves them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from doorbuster.errors import UsageError
from doorbuster.importers.label_map import LabelMap
from doorbuster.importers.results import Label, LabelTable, Precision, Provenance, RequestBlock, Summary
from doorbuster.records.batch import Batch, Exemplar, RequestSecond, SeriesKey
from doorbuster.records.histogram import BINS, MAX_US, PACKED, bin_index, pack_counts
from doorbuster.records.import_info import ImportInfo, ReportedSummary
from doorbuster.records.row_inserter import SLOWEST_PER_SERIES
from doorbuster.records.writer import RunWriter

Ints = NDArray[np.int64]

MAX_SPAN_S = 7 * 86_400  # between the first and the last request; more is a clock that jumped
MAX_NOTES = 40
_MAX_CELLS = 1_500_000  # cells in memory: 24 bytes each, three times over while they are merged
_COMPACT_AT = 1_000_000
_BIN_BITS, _LABEL_BITS = (BINS - 1).bit_length(), 13  # of a cell: Unix second, label, bin
_LABEL_MASK, _BIN_MASK = (1 << _LABEL_BITS) - 1, (1 << _BIN_BITS) - 1
_CLOCK_STEP_S = 1e-6  # a start computed from an end is exact to that; 12.9999999 is second 13
_LATEST_S = min(1 << 32, 1 << (63 - _LABEL_BITS - _BIN_BITS))  # Unix seconds up to the year 2106


class _Cells:
    """Sums by cell, compacted as they grow."""

    def __init__(self) -> None:
        self._keys: list[Ints] = []
        self._sums: list[Ints] = []
        self.size = 0

    def add(self, keys: Ints, amounts: Ints | None) -> None:
        if amounts is None:
            cells, sums = np.unique(keys, return_counts=True)
        else:
            cells, sums = _summed(keys, amounts)
        self._keys.append(cells)
        self._sums.append(sums.astype(np.int64))
        self.size += cells.size
        if self.size > _COMPACT_AT and len(self._keys) > 8:
            self._compact()

    def take(self) -> tuple[Ints, Ints]:
        """All cells, ascending, and their sums; none remain."""
        self._compact()
        keys, sums = self._keys[0], self._sums[0]
        self._keys, self._sums, self.size = [], [], 0
        return keys, sums

    def _compact(self) -> None:
        empty = [np.empty(0, np.int64)]
        keys, sums = _summed(np.concatenate(self._keys or empty), np.concatenate(self._sums or empty))
        self._keys, self._sums, self.size = [keys], [sums], keys.size


def _summed(keys: Ints, amounts: Ints) -> tuple[Ints, Ints]:
    """The distinct keys, ascending, and the sum of the amounts of each."""
    if not keys.size:
        return keys, amounts
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[starts], np.add.reduceat(amounts[order], starts)


class RunBuilder:
    """Collects the results of one import.

    Args: writer: of the run file. label_map: where each label belongs.
    """

    def __init__(self, writer: RunWriter, label_map: LabelMap) -> None:
        self._writer = writer
        self._map = label_map
        self.labels = LabelTable()
        self._series: dict[int, SeriesKey] = {}
        self._bins, self._first_bytes = _Cells(), _Cells()
        self._received, self._sent = _Cells(), _Cells()
        self._slowest: dict[int, list[int]] = {}
        self._exemplars: list[Exemplar] = []
        self._shown: set[int] = set()
        self._files: list[tuple[Path, Provenance]] = []
        self._notes: list[str] = []
        self._summaries: dict[Label, tuple[str, Summary]] = {}
        self._first_s, self._end_s = np.inf, -np.inf
        self._base_s = 0  # Unix second that stored rows count from
        self._seq = 0
        self.requests = 0
        self.skipped = 0

    # ---- what a format calls

    def begin(self, path: Path, provenance: Provenance) -> None:
        """The requests that follow come from this file."""
        self._files.append((path, provenance))
        if provenance.stamp == "end":
            self.note(
                f"{provenance.tool} stamps the end of a request; its start was computed from the latency."
            )

    def note(self, sentence: str) -> None:
        """Add a note for the reader of the report."""
        if sentence not in self._notes and len(self._notes) < MAX_NOTES:
            self._notes.append(sentence)

    def skip(self, rows: int, why: str) -> None:
        """Rows that could not be used."""
        self.skipped += rows
        self.note(why)

    def add_summary(self, summary: Summary) -> None:
        """What a tool reports without its requests.

        Counts of several load generators add up, percentiles do not; of two forms of one result, that with
        more percentiles is kept.
        """
        form = self._files[-1][1].format
        known = self._summaries.get(summary.label)
        if known is not None and known[0] == form:
            summary = known[1].plus(summary)
            self.note(
                "Percentiles of several files cannot be merged without their requests, so they were left out."
            )
        elif known is not None and len(known[1].percentiles_ms) >= len(summary.percentiles_ms):
            return
        self._summaries[summary.label] = (form, summary)

    def add(self, block: RequestBlock) -> None:
        """Count some requests; impossible times are skipped and stated."""
        block = self._usable(block)
        if not len(block):
            return
        second = np.floor(block.start_s + _CLOCK_STEP_S).astype(np.int64)
        if not self.requests:
            self._base_s = int(second.min()) - MAX_SPAN_S  # other files may begin earlier
        last_s = float((block.start_s + np.minimum(block.latency_us, MAX_US) / 1e6).max())
        self._extend_span(int(second.min()), last_s)
        cell = (second << _LABEL_BITS) | block.label
        self._bins.add((cell << _BIN_BITS) | bin_index(block.latency_us), block.count)
        if block.first_byte_us is not None:
            self._first_bytes.add((cell << _BIN_BITS) | bin_index(block.first_byte_us), block.count)
        for cells, column in ((self._received, block.bytes_received), (self._sent, block.bytes_sent)):
            if column is not None:
                cells.add(cell, np.maximum(column, 0))
        self.requests += len(block) if block.count is None else int(block.count.sum())
        self._keep_exemplars(block, second)
        if self._bins.size > _MAX_CELLS:
            self._flush()

    # ---- the end

    def finish(self) -> ImportInfo:
        """Write what is left and move the run to its start.

        Returns: what the metadata must say.
        Raises: UsageError when no file held a request or a summary.
        """
        if not self.requests and not self._summaries:
            paths = ", ".join(str(path) for path, _ in self._files)
            raise UsageError(f"{paths}: no requests found. {self.last_note}".rstrip())
        if self.requests and self._summaries:
            self.note("Summaries were left out, because the files hold the requests themselves.")
        if self.labels.overflowed:
            self.note(
                f"Names beyond the first {LabelTable.LIMIT:,} were counted together as {LabelTable.MORE}."
            )
        self._flush(final=True)
        start_s = 0 if not self.requests else int(self._first_s)
        self._writer.shift_requests(start_s - self._base_s)
        length_s = 0.0 if not self.requests else max(self._end_s - start_s, 1.0)
        info = self._info()
        self._writer.set_meta(
            started_at_unix_ns=self._started_at_ns(start_s, length_s),
            duration_s=length_s,
            imported=info.to_dict(),
        )
        return info

    @property
    def last_note(self) -> str:
        """The last note, for messages."""
        return self._notes[-1] if self._notes else ""

    def _started_at_ns(self, start_s: int, length_s: float) -> int:
        if start_s > 1e8:
            return start_s * 1_000_000_000
        modified_s = min(path.stat().st_mtime for path, _ in self._files)
        self.note(
            "The source does not say when it was recorded; the time shown is that of the file's last change."
        )
        return int((modified_s - length_s) * 1e9)

    def _info(self) -> ImportInfo:
        sources = [provenance for _, provenance in self._files]
        loops = {one.workload for one in sources}
        summaries = () if self.requests else tuple(self._summaries.values())
        return ImportInfo(
            tool=sources[0].tool,
            format=" + ".join(dict.fromkeys(one.format for one in sources)),
            files=tuple(path.name for path, _ in self._files),
            precision=self._precision(),
            bucket_error=max(one.bucket_error for one in sources),
            resolution_ms=max(one.resolution_ms for one in sources),
            has_times=all(one.times for one in sources),
            workload="closed" if "closed" in loops else "open" if loops == {"open"} else "unknown",
            hides_failures=any(one.hides_failures for one in sources),
            requests=self.requests,
            skipped=self.skipped,
            notes=tuple(self._notes),
            summaries=tuple(self._reported(one) for _, one in summaries),
        )

    def _precision(self) -> Precision:
        """That of the requests, where there are any: summaries beside them are left out."""
        if not self.requests:
            return "summary"
        bucketed = any(provenance.precision == "bucketed" for _, provenance in self._files)
        return "bucketed" if bucketed else "exact"

    def _reported(self, summary: Summary) -> ReportedSummary:
        series = self._map.series(summary.label)
        return ReportedSummary(
            channel=series.channel,
            journey=series.journey,
            step=series.step,
            n=summary.n,
            failed=summary.failed,
            mean_ms=summary.mean_ms,
            min_ms=summary.min_ms,
            max_ms=summary.max_ms,
            percentiles_ms={f"{p:g}": value for p, value in sorted(summary.percentiles_ms.items())},
        )

    # ---- inside

    def _usable(self, block: RequestBlock) -> RequestBlock:
        with np.errstate(invalid="ignore"):
            good = (block.start_s >= 0) & (block.start_s < _LATEST_S) & (block.latency_us >= 0)
        bad = int((~good).sum())
        if not bad:
            return block
        self.skip(bad, f"{bad:,} requests with an impossible time were left out.")
        columns = (
            block.start_s,
            block.latency_us,
            block.label,
            block.bytes_received,
            block.bytes_sent,
            block.first_byte_us,
            block.count,
        )
        return RequestBlock(*(None if column is None else column[good] for column in columns))  # type: ignore[arg-type]

    def _extend_span(self, first_s: int, end_s: float) -> None:
        self._first_s, self._end_s = min(self._first_s, first_s), max(self._end_s, end_s)
        if self._end_s - self._first_s > MAX_SPAN_S + MAX_US / 1e6:
            first, last = (
                f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}Z" for at in (self._first_s, self._end_s)
            )
            raise UsageError(
                f"{self._files[-1][0]}: the requests span from {first} to {last}, more than a week; a "
                "clock has jumped or the files belong to different runs: import them one by one"
            )

    def _keep_exemplars(self, block: RequestBlock, second: Ints) -> None:
        order = np.lexsort((block.latency_us, block.label))
        labels = block.label[order]
        ends = np.flatnonzero(np.append(labels[1:] != labels[:-1], True)) + 1
        for start, end in zip((0, *ends[:-1].tolist()), ends.tolist(), strict=True):
            label = int(labels[start])
            for place in order[max(start, end - SLOWEST_PER_SERIES) : end].tolist():
                self._offer(label, int(second[place]), int(min(block.latency_us[place], MAX_US)))
            if label in self.labels.details and label not in self._shown:
                self._shown.add(label)
                place = int(order[start:end].min())
                self._exemplars.append(
                    Exemplar(
                        "error",
                        int(second[place]) - self._base_s,
                        self._series_of(label),
                        int(block.latency_us[place]),
                        "",
                        self.labels.details[label],
                    )
                )

    def _offer(self, label: int, second: int, latency_us: int) -> None:
        kept = self._slowest.setdefault(label, [])
        if len(kept) >= SLOWEST_PER_SERIES:
            if latency_us <= kept[0]:
                return
            kept.pop(0)
        kept.append(latency_us)
        kept.sort()
        self._exemplars.append(
            Exemplar("slow", second - self._base_s, self._series_of(label), latency_us, "", "")
        )

    def _series_of(self, number: int) -> SeriesKey:
        found = self._series.get(number)
        if found is None:
            found = self._series[number] = self._map.series(self.labels.label(number))
        return found

    def _flush(self, *, final: bool = False) -> None:
        rows = tuple(self._rows()) if self.requests else ()
        exemplars, self._exemplars = tuple(self._exemplars), []
        self._writer.write([Batch("import", self._seq, final=final, requests=rows, exemplars=exemplars)])
        self._seq += 1

    def _rows(self) -> Iterable[RequestSecond]:
        """The accumulated cells as rows of the run file; forgets them."""
        response, first_byte = _packed(*self._bins.take()), _packed(*self._first_bytes.take())
        received, sent = (
            dict(zip(*map(np.ndarray.tolist, part.take()), strict=True))
            for part in (self._received, self._sent)
        )
        for owner, (n, bins) in response.items():
            yield RequestSecond(
                (owner >> _LABEL_BITS) - self._base_s,
                self._series_of(owner & _LABEL_MASK),
                n,
                sent.get(owner, 0),
                received.get(owner, 0),
                bins,
                bins,
                first_byte.get(owner, (0, b""))[1],
            )


def _packed(cells: Ints, counts: Ints) -> dict[int, tuple[int, bytes]]:
    """Number of values and packed bins of each second and label."""
    if not cells.size:
        return {}
    owners = cells >> _BIN_BITS
    starts = np.flatnonzero(np.concatenate(([True], owners[1:] != owners[:-1])))
    blob = pack_counts(cells & _BIN_MASK, counts)
    edges = (np.append(starts, cells.size) * PACKED.itemsize).tolist()
    totals = np.add.reduceat(counts, starts).tolist()
    parts = (blob[start:end] for start, end in pairwise(edges))
    return dict(zip(owners[starts].tolist(), zip(totals, parts, strict=True), strict=True))
