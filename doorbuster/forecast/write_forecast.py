"""Writes the files of a forecast: all are made before any is written."""

from __future__ import annotations

import json
from pathlib import Path

from doorbuster.forecast.forecast_result import FORECAST_FILE, ForecastResult
from doorbuster.forecast.page import METHOD, day_name, forecast_sections, forecast_sentence
from doorbuster.forecast.scenario_text import median_scenario, worse_scenario
from doorbuster.report.render.sections_page import render_sections_page
from doorbuster.report.write import write_files

MEDIAN_FILE = "peak-median.yaml"
WORSE_FILE = "peak-1-in-10-years.yaml"


def write_forecast(found: ForecastResult, folder: Path) -> tuple[Path, ...]:
    """Write the result, the page and both scenarios; returns their paths.

    Raises: RecordError when the folder cannot be written.
    """
    page = render_sections_page(
        f"Forecast for {day_name(found.peak_day)}", forecast_sentence(found), forecast_sections(found),
        notes=METHOD, source=found.source,
    )  # fmt: skip
    texts = {
        FORECAST_FILE: json.dumps(found.as_json(), indent=1) + "\n",
        "index.html": page,
        MEDIAN_FILE: median_scenario(found),
        WORSE_FILE: worse_scenario(found),
    }
    return write_files(folder, texts)
