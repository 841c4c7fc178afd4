"""`doorbuster upload`: send the folder of a run to where it is kept."""

from __future__ import annotations

from pathlib import Path

import click

from doorbuster.cli.options import run_argument


@click.command("upload")
@run_argument
@click.argument("destination")
def command(run: Path, destination: str) -> int:
    """Send all files of RUN to DESTINATION: s3://BUCKET/PATH, https://HOST/PATH (PUT) or file:///PATH.

    A path that ends with "/" is a folder, which gets every file and SHA256SUMS at last; any other path
    becomes one archive (.tar.gz). Credentials come from the environment.

    \b
    Example: doorbuster upload reports/rehearsal s3://peak-results/rehearsal/
    """
    from doorbuster.cli.progress import each
    from doorbuster.errors import UsageError
    from doorbuster.output import say
    from doorbuster.upload import open_destination, upload_run

    folder = run.parent if run.name == "run.sqlite" else run
    if not (folder / "run.sqlite").is_file():
        raise UsageError(f"{run} is not a run folder; name the run first, then the destination")
    place = open_destination(destination)
    count = upload_run(folder, place, say=lambda text: say(text, error=True), track=each)
    say(f"uploaded {count} files to {place.shown}")
    return 0
