"""`doorbuster season init`: a folder for a campaign, with its forecast and scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from doorbuster.cli.forecast_options import (
    base_scenario,
    forecast_options,
    forecast_settings,
    history_options,
)
from doorbuster.output import say


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--history",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Past orders or visits, as for `doorbuster demand forecast`. Default: a built-in example.",
)
@forecast_options
def init(folder: Path, history: Sequence[Path], **options: Any) -> int:
    """Create FOLDER with season.yaml, a forecast and its scenarios. It asks nothing.

    Without --history, history/orders.csv in FOLDER serves, else a built-in example, made up from published
    figures.

    \b
    Example: doorbuster season init christmas --history orders.csv
    """
    from doorbuster.cli.program_name import program_name
    from doorbuster.cli.progress import each
    from doorbuster.forecast.page import forecast_sentence
    from doorbuster.forecast.write_forecast import MEDIAN_FILE
    from doorbuster.season.starter import start_season

    today = datetime.now().astimezone().date()
    found, sentence = start_season(
        folder, history, forecast_settings(options), history_options(options), options["country"], today,
        base_scenario(options), each,
    )  # fmt: skip
    say(sentence)
    say(forecast_sentence(found))
    scenario, program = folder / "forecast" / MEDIAN_FILE, program_name()
    say(f"next:    {program} run {scenario} --out {folder / 'runs' / 'first'}")
    say(f"         {program} capacity {scenario} --out {folder / 'capacity' / 'first'}")
    say(f"         {program} season report {folder}")
    return 0
