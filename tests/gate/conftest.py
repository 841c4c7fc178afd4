"""Imports the run-file fixtures of tests/report/conftest.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_NAME = "_doorbuster_peak_fixtures"
if _NAME not in sys.modules:
    _spec = importlib.util.spec_from_file_location(
        _NAME, Path(__file__).parents[1] / "report" / "conftest.py"
    )
    sys.modules[_NAME] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_NAME])

peaks = sys.modules[_NAME].peaks
build_peak = sys.modules[_NAME].build_peak
open_peak = sys.modules[_NAME].open_peak
