"""Folders of recorded queues, made once, and the run-file fixtures of tests/report/conftest.py."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_queues import Queue, record

_NAME = "_doorbuster_peak_fixtures"
if _NAME not in sys.modules:
    _spec = importlib.util.spec_from_file_location(
        _NAME, Path(__file__).parents[1] / "report" / "conftest.py"
    )
    sys.modules[_NAME] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_NAME])

peaks = sys.modules[_NAME].peaks
build_peak = sys.modules[_NAME].build_peak

QUEUE = Queue(rho=0.5, requests=2000, steps=2)


@pytest.fixture(scope="session")
def builds(tmp_path_factory) -> Path:
    """Folders of four runs each: old, same (equal to old) and slow (20 % longer service)."""
    folder = tmp_path_factory.mktemp("builds")
    for place, (name, slowdown) in enumerate({"old": 1.0, "same": 1.0, "slow": 1.2}.items()):
        for number in range(4):
            record(
                replace(QUEUE, slowdown=slowdown),
                folder / name / f"run-{number}",
                seed=1000 + 100 * place + number,
                started_s=60.0 * number + place,
            )
    return folder
