"""A slice of the fuzzer of messages from a master to its workers, with fixed seeds."""

from __future__ import annotations

from tests.fuzz.master_messages import case
from tests.fuzz.runner import run_cases


def test_no_mutated_message_of_a_master_ends_in_a_traceback_or_a_hang(tmp_path):
    report = run_cases(case, tmp_path, first=1_000_000, count=40, seconds=60)
    assert [f"{number}: {kind}\n{trace}" for number, kind, trace in report.findings] == []
    assert len(report.results) > 1, report.results  # some are accepted, some refused
