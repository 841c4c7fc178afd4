"""`doorbuster stream`: stream the figures of a run that was started elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from doorbuster.cli.streams import every_option, print_tallies, stream_option
from doorbuster.output import say


@click.command("stream")
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@stream_option("--to")
@every_option("--every")
def command(run: Path, destinations: tuple[str, ...], every_s: float | None) -> int:
    """Stream the figures of the run in folder RUN until it ends.

    For runs that Locust's own command line or its web page started, and for a receiver that is added during a
    run; `doorbuster run --stream-to` streams its own run. The folder may be created later. A run that has
    ended gives one update with its totals.

    \b
    Example: doorbuster stream reports/peak --to prometheus=http://127.0.0.1:9090/api/v1/write
             doorbuster stream reports/peak --to jsonl=figures.jsonl --every 5
    """
    from doorbuster.errors import ExitCode, UsageError
    from doorbuster.records.schema import FILE_NAME
    from doorbuster.streaming.destination import parse_destinations
    from doorbuster.streaming.stream import DEFAULT_EVERY_S, RunStream

    if not destinations:
        raise UsageError("name a receiver: --to KIND=URL, e.g. --to jsonl=figures.jsonl")
    stream = RunStream(run, parse_destinations(destinations), every_s=every_s or DEFAULT_EVERY_S)
    stream.open()
    if not (run / FILE_NAME).exists():
        say(f"waiting for a run in {run}; Ctrl-C ends this", error=True)
    tallies = stream.follow(is_cancelled=lambda: False)
    print_tallies(tallies)
    in_vain = any(tally.lost and not tally.delivered for tally in tallies)
    return int(ExitCode.NOT_RECORDED if in_vain else ExitCode.PASS)
