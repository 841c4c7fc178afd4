"""`doorbuster season`: one campaign as a page for the board."""

from __future__ import annotations

import click

from doorbuster.cli.options import SubcommandGroup
from doorbuster.cli.season_digest import digest
from doorbuster.cli.season_init import init
from doorbuster.cli.season_report import report


@click.group("season", cls=SubcommandGroup)
def command() -> None:
    """Keep forecast, runs and capacity of one campaign in a folder, and show the board where it stands.

    \b
    Example: doorbuster season init christmas
             doorbuster season report christmas
    """


for _part in (init, report, digest):
    command.add_command(_part)
