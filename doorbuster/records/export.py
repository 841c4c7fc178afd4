"""Exports a run to formats of other tools. An export holds recorded counts only, no computed results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TextIO

from doorbuster.output.tracking import Track, untracked
from doorbuster.records.batch import SeriesKey
from doorbuster.records.hlog import HlogInterval, write_hlog
from doorbuster.records.reader import Kind, Run


def series_tag(series: SeriesKey) -> str:
    """ "web.buy.checkout" for requests that succeeded, "web.buy.checkout.failed" and so on otherwise.

    Failures and successes never share a tag. White space and commas become "_".
    """
    parts = (
        series.channel,
        series.journey,
        series.step,
        "" if series.succeeded else series.outcome,
    )
    name = ".".join(part for part in parts if part)
    return "".join("_" if letter == "," or letter.isspace() else letter for letter in name)


def export_hlog(
    run: Run,
    out: TextIO,
    *,
    kind: Kind = "response",
    bucket_s: int = 1,
    tag: Callable[[SeriesKey], str | None] = series_tag,
    track: Track = untracked,
) -> tuple[int, int]:
    """Write the latencies of a run as an HdrHistogram interval log; returns how many lines and requests.

    Args:
        kind: response (from the intended start), service (from the actual start) or first_byte.
        bucket_s: length of an interval in seconds.
        tag: the tag of a series; None leaves it out.
        track: shows the progress.
    """
    found = run.histograms_by(tag, kind, bucket_s)
    meta = run.meta

    def intervals() -> Iterator[HlogInterval]:
        for name, bucket in track("exporting", sorted(found, key=lambda key: (key[1], key[0]))):
            yield HlogInterval(float(bucket * bucket_s), float(bucket_s), name, found[name, bucket])

    write_hlog(
        out,
        intervals(),
        started_at_unix_s=meta.started_at_unix_ns / 1e9,
        comment=f"doorbuster run {meta.run_id}: {kind} times in microseconds",
    )
    return len(found), sum(histogram.n for histogram in found.values())
