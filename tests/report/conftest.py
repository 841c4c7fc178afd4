"""Real run files of simulated peaks, for the tests of the gate, the sections and the report.

`build_peak(**changes)` gives the folder of a run file; `open_peak(**changes)` an open Run of it. Equal peaks
are built once a session.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from doorbuster.records.reader import Run

BUILDER = Path(__file__).parents[1] / "report" / "peak_builder.py"


def _load():
    name = "_doorbuster_peak_builder"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, BUILDER)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def peaks():
    """The module that builds them."""
    return _load()


@pytest.fixture(scope="session")
def build_peak(tmp_path_factory, peaks) -> Callable[..., Path]:
    """The folder of the run file of a peak with these changes."""
    built: dict[str, Path] = {}

    def build(**changes) -> Path:
        key = repr(sorted(changes.items()))
        if key not in built:
            built[key] = peaks.build(tmp_path_factory.mktemp("peak"), peaks.Peak(**changes))
        return built[key]

    return build


@pytest.fixture
def open_peak(build_peak) -> Iterator[Callable[..., Run]]:
    """An open run of a peak with these changes; closed after the test."""
    opened: list[Run] = []

    def open_run(**changes) -> Run:
        opened.append(Run.open(build_peak(**changes)))
        return opened[-1]

    yield open_run
    for run in opened:
        run.close()
