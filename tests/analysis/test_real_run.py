"""The sections about our own records, on a real run of a quarter of a minute against the embedded shop."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorbuster.records.reader import Run
from doorbuster.report import RunContext, Section, load_analysis

ROOT = Path(__file__).parents[2]
SCENARIO = """
title: "A quarter of a minute"
target:
  storefront: reference
  shop: {profile: replatformed, workers: 4, query_time: 2ms, products: 200}
demand:
  peak: 10 customers/s
  curve: {stages: [{for: 15s, at: 100%}]}
channels:
  web:
    share: 80%
    journeys: {browse: 60, buy: 40}
    patience: none
    devices: {desktop: 40%, mobile: 60%}
    signed_in: 30%
    cache_busting: 20%
    think: {lognormal: {median: 700ms, sigma: 0.8, max: 5s}}
  store: {share: 20%, journeys: {pos_sale: 1}}
thresholds:
  can_order: ["rate>=60%"]
drain: 30s
"""


pytestmark = [pytest.mark.alone, pytest.mark.truth]


@pytest.fixture(scope="module")
def real(doorbuster, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    path = folder / "quarter.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    done = doorbuster("run", path, "--out", folder / "run", "--quiet")
    assert done.returncode in (0, 96, 99), done.stdout + done.stderr
    return folder / "run"


def section(name: str, folder: Path) -> Section:
    with Run.open(folder) as run:
        return load_analysis(ROOT / "analysis" / f"{name}.py")(RunContext(run))


def test_littles_law_holds_on_a_real_run(real):
    found = section("consistency_checks", real)
    difference = found.metrics["littles_law_error"]
    assert found.findings == ()
    assert abs(difference.value) <= 0.02 + (difference.high - difference.value)
    assert 0 < found.metrics["utilisation"].value < 1


def test_every_started_visit_has_a_duration(real):
    with Run.open(real) as run:
        stays = run.visit_durations()
        started = {channel: int(series.started.sum()) for channel, series in run.arrivals().items()}
    assert {channel: found.n for channel, found in stays.items()} == started
    assert stays["web"].quantile_us(0.5) > 1_000_000 > stays["store"].quantile_us(0.5)


def test_the_workload_of_a_real_run_matches_its_scenario(real):
    found = section("workload_fidelity", real)
    assert found.findings == ()
    told = {(row[0], row[1]): row[-1] for table in found.tables for row in table.rows}
    assert told["think times", "web: mean (lognormal)"] == "match"
    assert told["arrivals", "started of those planned"] == "match"
    assert told["devices of web", "mobile"] == "match"
    visits = {what: verdict for (group, what), verdict in told.items() if group == "visits of web"}
    assert len(visits) == 2
    assert set(visits.values()) <= {"match", "inconclusive"}


def test_the_parts_of_a_real_steps_time_add_up(real):
    found = section("time_breakdown", real)
    parts = ("late", "connect", "first_byte", "body", "later")
    assert sum(found.metrics[f"{part}_share"].value for part in parts) == pytest.approx(1.0)
    assert found.metrics["connect_p50"].low <= found.metrics["connect_p50"].value
    said = section("time_breakdown", real).metrics
    assert said["server_db"].value > 2.0  # ms: a page takes a query of 2 ms at least
    assert 0 < said["cache_hits"].value < 1
    with Run.open(real) as run:
        opened = sum(connect.n for connect in run.step_timings().connect.values())
        arrived = sum(int(series.started.sum()) for series in run.arrivals().values())
    assert opened >= arrived  # each customer brings connections of their own
