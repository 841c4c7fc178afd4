"""Compares a run file with Locust's own statistics of the same run."""

from __future__ import annotations

from collections import Counter

import pytest

from doorbuster.records.histogram import middle_us
from doorbuster.records.reader import Run


def check_same(folder, own, at_least, *, late=0):
    """Counts, failures and times by request name are those of Locust's statistics.

    late: requests that greenlets of the locustfile may end after Locust stopped the test; they are not part
    of the run, but Locust counts them until its process ends.
    """
    with Run.open(folder) as run:
        counted = {name: sum(entry["num_requests"] for entry in entries) for name, entries in own.items()}
        failed = {name: sum(entry["num_failures"] for entry in entries) for name, entries in own.items()}
        by_step = run.histograms_by(lambda series: series.step)
        failures = run.histograms_by(lambda series: None if series.succeeded else series.step)
        recorded = {name: times.n for name, times in by_step.items()}
        assert counted.keys() == recorded.keys()
        assert all(0 <= counted[name] - recorded[name] <= late for name in counted), (counted, recorded)
        assert +Counter(failed) == Counter({name: times.n for name, times in failures.items()})
        assert sum(counted.values()) >= at_least
        assert run.meta.workload == "closed"
        assert run.meta.status == "finished"
        for name, entries in own.items():
            if counted[name] == recorded[name] and not any(entry["num_none_requests"] for entry in entries):
                _same_times(by_step[name], entries)


def _same_times(times, entries):
    """The mean within a bin of the histogram; the median and p95 within the two digits that Locust keeps."""
    total_ms = sum(entry["total_response_time"] for entry in entries)
    mean_ms = float(middle_us(times.bins) @ times.bin_counts) / 1e3 / times.n
    assert mean_ms == pytest.approx(total_ms / times.n, rel=0.002, abs=0.01)
    kept = Counter()
    for entry in entries:
        kept.update({float(ms): n for ms, n in entry["response_times"].items()})
    for p in (0.5, 0.95):
        theirs, reached = 0.0, 0
        for ms, n in sorted(kept.items()):
            reached += n
            if reached >= p * times.n:
                theirs = ms
                break
        ours_ms = times.quantile_us(p) / 1e3
        assert ours_ms == pytest.approx(theirs, rel=0.06, abs=1.0)
