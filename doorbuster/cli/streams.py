"""Shared by `run` and `stream`: options for receivers, and what becomes of their tallies."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.options import Command, Number
from doorbuster.output import say

if TYPE_CHECKING:
    from doorbuster.streaming.delivery import DeliveryTally
    from doorbuster.streaming.process import StreamProcess

EVENT = "stream"  # kind of the events in the run file


def stream_option(name: str) -> Callable[[Command], Command]:
    """The receivers of a stream, repeatable."""
    return click.option(
        name,
        "destinations",
        multiple=True,
        metavar="KIND=URL",
        help="Stream the figures to a receiver while the run goes on: prometheus, prometheus-native, "
        "metrics, otlp, influxdb, statsd, dogstatsd or jsonl, e.g. "
        "prometheus=http://127.0.0.1:9090/api/v1/write. Repeatable; tokens come from the environment.",
    )


def every_option(name: str) -> Callable[[Command], Command]:
    """The interval of updates."""
    return click.option(
        name,
        "every_s",
        type=Number(0.2, 60),
        metavar="SECONDS",
        help="Interval between two updates, e.g. 5. Default: 1.",
    )


def check_stream(destinations: tuple[str, ...], every_s: float | None) -> None:
    """Raises: UsageError for destinations that cannot be read, and an interval without any."""
    if not destinations:
        if every_s is not None:
            raise click.UsageError("--stream-every has no effect without --stream-to")
        return
    from doorbuster.streaming.destination import parse_destinations

    parse_destinations(destinations)


def open_stream(folder: Path, destinations: tuple[str, ...], every_s: float | None) -> StreamProcess | None:
    """The process that streams a run, once its receivers are open; None without receivers."""
    if not destinations:
        return None
    from doorbuster.streaming.destination import parse_destinations
    from doorbuster.streaming.process import StreamProcess
    from doorbuster.streaming.stream import DEFAULT_EVERY_S

    return StreamProcess(folder, parse_destinations(destinations), every_s=every_s or DEFAULT_EVERY_S)


def record_tallies(stream: StreamProcess | None, folder: Path) -> None:
    """Wait for the last updates, print what was lost, and record the tallies in the run file."""
    if stream is None:
        return
    from doorbuster.errors import RecordError
    from doorbuster.records.batch import Event
    from doorbuster.records.schema import FILE_NAME
    from doorbuster.records.writer import RunWriter

    path = folder / FILE_NAME
    try:
        tallies = stream.finish(run_has_ended=path.exists())
    except KeyboardInterrupt:
        stream.kill()
        raise
    if not path.exists():
        return
    print_tallies(tallies, only_losses=True)
    # A run that could not be recorded says so itself.
    with contextlib.suppress(RecordError), RunWriter.amend(path) as writer:
        for tally in tallies:
            writer.record_event(Event(writer.meta.duration_s, EVENT, tally.sentence))


def print_tallies(tallies: Iterable[DeliveryTally], *, only_losses: bool = False) -> None:
    """One line for each receiver."""
    for tally in tallies:
        if tally.lost or not tally.is_known or not only_losses:
            say(f"note: stream to {tally.sentence}", error=True)
