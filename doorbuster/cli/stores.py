"""Where accepted runs and the history lie, and the options that name another place."""

from __future__ import annotations

from pathlib import Path

import click

BASELINES = Path(".doorbuster/baselines")
HISTORY_FILE = Path(".doorbuster/history.sqlite")

baselines_option = click.option(
    "--store",
    default=BASELINES,
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of all baselines; cache it in the pipeline, or commit it.",
)
history_option = click.option(
    "--history",
    "file",
    default=HISTORY_FILE,
    show_default=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The history file.",
)
