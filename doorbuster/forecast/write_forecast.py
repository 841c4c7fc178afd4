"""Writes the files of a forecast: all are made before any is written."""

from __future__ import annotations

import json
from pathlib import Path

from doorbuster.forecast.forecast_result import FORECAST_FILE, ForecastResult
from doorbuster.forecast.page import METHOD, day_name, forecast_sections, forecast_sentence
from doorbuster.forecast.scenario_text import forecast_scenario, median_peak, scenario_like, worse_peak
from doorbuster.report.render.sections_page import render_sections_page
from doorbuster.report.write import write_files
from doorbuster.scenario import Scenario

MEDIAN_FILE = "peak-median.yaml"
WORSE_FILE = "peak-1-in-10-years.yaml"


def write_forecast(found: ForecastResult, folder: Path, base: Scenario | None = None) -> tuple[Path, ...]:
    """Write the result, the page and both scenarios; returns their paths.

    Args: base: scenario from which customers, target and thresholds are taken; None for the embedded shop.
    Raises: RecordError when the folder cannot be written; ScenarioError if `base` does not fit the demand.
    """
    page = render_sections_page(
        f"Forecast for {day_name(found.peak_day)}", forecast_sentence(found), forecast_sections(found),
        notes=METHOD, source=found.source,
    )  # fmt: skip
    texts = {
        FORECAST_FILE: json.dumps(found.as_json(), indent=1) + "\n",
        "index.html": page,
    }
    for name, wanted in ((MEDIAN_FILE, median_peak(found)), (WORSE_FILE, worse_peak(found))):
        texts[name] = forecast_scenario(found, wanted) if base is None else scenario_like(base, found, wanted)
    return write_files(folder, texts)
