"""The section on a recorded run: the sample, whose customers notice at second 15, with observed resources."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from doorbuster.records.reader import Run
from doorbuster.report import RunContext, load_analysis

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "reports" / "sample" / "run.sqlite"
SECONDS, NOTICED_S = 93, 15


def used(second, most):
    return min(most * second / 10, most)


@pytest.fixture
def bottleneck(tmp_path):
    """The section of the sample with these series: name, resource, function of the second."""

    def analyse(*series, events=()):
        path = tmp_path / "run.sqlite"
        shutil.copyfile(SAMPLE, path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            for number, (name, resource, value) in enumerate(series, start=1):
                labels = json.dumps({"resource": resource} if resource else {})
                db.execute("INSERT INTO observed_series VALUES (?, 'src', ?, ?)", (number, name, labels))
                rows = [(number, second, value(second)) for second in range(SECONDS)]
                db.executemany("INSERT INTO observed VALUES (?, ?, ?)", rows)
            db.executemany("INSERT INTO events VALUES (3.0, NULL, 'observe', ?)", [(one,) for one in events])
        with Run.open(path) as run:
            return load_analysis(ROOT / "analysis" / "bottleneck.py")(RunContext(run))

    return analyse


def test_the_full_resource_is_named_with_its_evidence(bottleneck):
    found = bottleneck(
        ("utilisation", "database workers", lambda second: used(second, 1.0)),
        ("saturation", "database workers", lambda second: max(second - 12, 0)),
        ("utilisation", "disk", lambda second: 0.2),
        ("errors", "database workers", lambda second: 2.0 if second > 80 else 0.0),
    )

    assert found.sentence.startswith("Database workers: full from 8 s on (up to 100 %), ")
    assert found.sentence.endswith(" before customers noticed.")
    (cause,) = found.causes
    assert (cause.explains, cause.resource, cause.share) == ("slow", "database workers", 1.0)
    assert cause.evidence == found.sentence
    assert "corrected for 2 resources and 5 lags" in found.findings[0]
    assert "Database workers: 24 errors." in found.findings
    assert found.metrics["bottlenecks"].value == 1
    assert found.metrics["warning_time"].value == pytest.approx(NOTICED_S - 8, abs=2)
    assert [row[0] for row in found.tables[0].rows] == ["database workers", "disk"]
    assert len(found.figures) == 2


def test_a_run_that_no_resource_explains_says_so(bottleneck):
    found = bottleneck(("utilisation", "disk", lambda second: used(second, 0.5)))

    assert found.sentence.startswith("Unexplained: customers noticed at ")
    assert (
        "none of the one observed resource was full then; the fullest, disk, reached 50.0 %" in found.sentence
    )
    assert found.causes == ()
    assert found.metrics["bottlenecks"].value == 0


def test_what_could_not_be_read_is_stated(bottleneck):
    found = bottleneck(
        ("utilisation", "disk", lambda second: 0.1),
        ("up", "", lambda second: float(second >= 31)),
        events=("source src cannot be read: connection refused",),
    )

    assert "Source src cannot be read: connection refused." in found.findings
    assert "Source src could not be read in 33.3 % of its turns." in found.findings


def test_values_without_resources_ask_for_them(bottleneck):
    found = bottleneck(("queue_length", "", lambda second: 3.0))

    assert found.sentence.startswith("Unknown: what was observed names no resources")
    assert found.metrics["bottlenecks"].value is None


def test_names_from_the_target_stay_on_one_line(bottleneck):
    found = bottleneck(("utilisation", "a\nb\x1b[31m" + "c" * 200, lambda second: used(second, 1.0)))

    (cause,) = found.causes
    assert "\n" not in cause.resource
    assert "\x1b" not in cause.resource
    assert len(cause.resource) <= 80


def test_a_run_without_observation_does_not_apply(bottleneck):
    assert bottleneck().not_applicable
