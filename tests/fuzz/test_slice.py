"""A slice of every fuzzer with fixed seeds; `make fuzz` runs more.

That of the messages from a master stands in tests/load, because it imports Locust.
"""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.fuzz.runner import run_cases

SLICES = {  # cases, about three seconds each
    "scenarios": 80,
    "run_files": 10,
    "recordings": 200,
    "ledgers": 100,
    "answers": 500,
    "messages": 60,
    "result_files": 60,
    "histories": 60,
    "seasons": 30,
}


@pytest.mark.parametrize("target", SLICES)
def test_no_mutated_input_ends_in_a_traceback_or_a_hang(target, tmp_path):
    case = import_module(f"tests.fuzz.{target}").case
    report = run_cases(case, tmp_path, first=1_000_000, count=SLICES[target], seconds=60)
    shown = [f"{number}: {kind}\n{trace}" for number, kind, trace in report.findings]
    assert shown == [], f"repeat: python -m tests.fuzz {target} --seed NUMBER --cases 1"
    assert len(report.results) > 1, report.results  # some are accepted, some refused
