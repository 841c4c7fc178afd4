"""`doorbuster season digest`: the week in a few lines."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from doorbuster.cli.season_report import folder_argument, today_option
from doorbuster.output import say_lines


@click.command("digest", short_help="Print the latest week in a few lines.")
@folder_argument
@today_option
def digest(folder: Path, today: datetime | None) -> int:
    """Print the digest of the latest week of the season in FOLDER, as Markdown for a message.

    \b
    Example: doorbuster season digest christmas
    """
    from doorbuster.cli.season_status import status_of
    from doorbuster.season.render import render_digest

    say_lines(render_digest(status_of(folder, today)[0]))
    return 0
