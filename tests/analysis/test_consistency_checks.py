"""Little's law and the utilisation law, on consistent and on inconsistent records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from doorbuster.records.reader import Run
from doorbuster.report import RunContext, Section, load_analysis

ROOT = Path(__file__).parents[2]
SCRIPT = load_analysis(ROOT / "analysis" / "consistency_checks.py")
LAWS = __import__("sys").modules[SCRIPT.__module__]
BUSY = {  # long stays, many customers, another shop than ours
    "broken": (0, 120), "rate_per_s": 40.0, "duration_s": 120, "meta": {"shop_profile": None},
}  # fmt: skip


def laws(run: Run) -> Section:
    return SCRIPT(RunContext(run))


def test_littles_law_holds_within_two_percent_for_consistent_records(open_peak):
    found = laws(open_peak(**BUSY))
    difference = found.metrics["littles_law_error"]
    assert abs(difference.value) < 0.02 + (difference.high - difference.value)
    assert found.sentence.startswith("Yes: ")
    assert found.findings == ()


def test_both_sides_of_the_law_are_counted_separately(open_peak):
    run = open_peak(**BUSY)
    found = laws(run)
    (health,) = run.health().values()
    stays = run.visit_durations()["web"].merge(run.visit_durations()["store"])
    assert found.metrics["in_shop_mean"].value == pytest.approx(np.mean([row.in_flight for row in health]))
    assert found.metrics["in_shop_expected"].value == pytest.approx(
        stays.mean_us / 1e6 * stays.n / len(health)
    )


def test_counted_customers_who_never_arrived_violate_the_law(open_peak):
    found = laws(open_peak(**BUSY, ghosts=5))
    assert found.sentence.startswith("No: ")
    assert len(found.findings) == 1


def test_customers_without_an_end_are_found(open_peak):
    found = laws(open_peak(**BUSY, missing=7))
    assert any("started a visit" in text for text in found.findings)


def test_few_customers_and_short_visits_are_inconclusive(open_peak):
    found = laws(open_peak(broken=None, duration_s=20, rate_per_s=3.0))
    assert found.sentence.startswith("Unknown: with ")


def test_what_sampling_explains_is_what_sampling_does():
    """Stays that begin at any moment, each hit by one sample a second: the spread of the sum, simulated."""
    rng = np.random.default_rng(3)
    stay_s = rng.lognormal(-0.5, 1.0, 300)
    sums = []
    for _ in range(2000):
        begins_s = rng.uniform(0, 1, 300)
        sums.append(np.floor(begins_s + stay_s).sum())
    assert np.mean(sums) == pytest.approx(stay_s.sum(), rel=0.005)
    assert LAWS.sampling_sd_s(stay_s, np.ones(300)) == pytest.approx(np.std(sums), rel=0.05)


def test_the_shop_s_workers_are_those_of_the_scenario_or_its_own(peaks, open_peak):
    assert LAWS._stated_workers(RunContext(open_peak())) == 4
    text = peaks.SCENARIO.replace("profile: in-house-2004", "profile: in-house-2004, workers: 7")
    assert LAWS._stated_workers(RunContext(open_peak(meta={"scenario_text": text}))) == 7
    assert LAWS._stated_workers(RunContext(open_peak(meta={"shop_profile": None}))) is None


def test_utilisation_is_answers_times_the_time_each_held_a_worker(peaks, open_peak):
    text = peaks.SCENARIO.replace("profile: in-house-2004", "profile: in-house-2004, workers: 256")
    run = open_peak(broken=None, meta={"scenario_text": text})
    held_us = sum(times.total_us for entry, times in run.step_timings().server.items() if entry.entry == "db")
    metric = laws(run).metrics["utilisation"]
    assert metric.value == pytest.approx(held_us / 1e6 / run.recorded_s / 256)
    assert metric.at_least


def test_a_shop_that_is_busier_than_it_can_be_is_a_contradiction(peaks, open_peak):
    text = peaks.SCENARIO.replace("profile: in-house-2004", "profile: in-house-2004, workers: 1")
    found = laws(open_peak(**BUSY | {"meta": {"scenario_text": text}}))
    assert any("Server-Timing" in text for text in found.findings)


def test_a_file_of_format_1_has_nothing_to_check():
    with Run.open(ROOT / "reports" / "sample") as run:
        if not run.visit_durations():
            assert laws(run).sentence == (
                "Nobody can tell: this run has no record of how long customers stayed."
            )
