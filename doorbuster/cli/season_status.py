"""Shared by the verbs of a season: reads its folder."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from doorbuster.cli.progress import each
from doorbuster.cli.section_scripts import analysis_scripts

if TYPE_CHECKING:
    from doorbuster.season.season_status import SeasonStatus


def status_of(folder: Path, today: datetime | None) -> tuple[SeasonStatus, Path]:
    """The state of the season in a folder, and the path of its season.yaml.

    Raises: ScenarioError with every problem of the file; RecordError for a forecast that cannot be read.
    """
    from doorbuster.season.season_file import read_season
    from doorbuster.season.season_status import season_status

    found = read_season(folder)
    day = datetime.now().astimezone() if today is None else today
    return season_status(found, analysis_scripts(), day.date(), each), found.file
