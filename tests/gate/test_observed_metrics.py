"""Thresholds on observed values: units, labels, phases, limits, missing values, and the end of a run."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.gate import AbortWatch
from doorbuster.gate.accumulate import Selector
from doorbuster.gate.observed_metrics import observed_data
from doorbuster.gate.threshold_decision import decide
from doorbuster.records.batch import ObservedValue
from doorbuster.records.observed_reader import ObservedSeries
from doorbuster.scenario import find_phases, read_scenario

SCENARIO = """\
title: T
target: {{shop: {{profile: replatformed}}}}
demand: {{peak: 10 customers/s, curve: {{stages: [{{for: 20s, at: 10%}}, {{for: 40s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{browse: 1}}}}}}
thresholds: {{"observed.{metric}": [{condition}]}}
observe: {{sources: {{db: {{command: {{run: x}}}}}}{more}}}
"""
N = 60


def series(name="connections", y=None, source="db", seconds=None, **labels):
    y = np.full(N, 50.0) if y is None else np.asarray(y, np.float64)
    seconds = np.arange(y.size) if seconds is None else np.asarray(seconds)
    return ObservedSeries(source, name, labels, seconds, y)


UP = series("up", np.ones(N))


def result(metric, condition, *observed, more="", up=UP):
    scenario = read_scenario(SCENARIO.format(metric=metric, condition=f'"{condition}"', more=more))
    (threshold,) = scenario.thresholds
    select = Selector.of(threshold, find_phases(scenario.demand.rate_curve))
    limits = scenario.observe.limits
    return decide(threshold, observed_data(threshold, select, (*observed, up), limits, length_s=N))


RAMP = series(y=np.arange(1.0, N + 1))


@pytest.mark.parametrize(
    ("condition", "observed"),
    [
        ("max<61", 60.0),
        ("min>=1", 1.0),
        ("avg<31", 30.5),
        ("med<=31", 31.0),  # 60 values have two middles; the higher one counts
        ("p(95)<58", 58.0),
        ("last==60", 60.0),
    ],
)
def test_aggregations_are_those_of_all_readings(condition, observed):
    found = result("connections", condition, RAMP)

    assert found.observed == observed
    assert found.status == ("fail" if condition == "p(95)<58" else "pass")


def test_a_percentage_is_a_share_of_the_limit():
    number = result("connections", "max<90%", RAMP, more=", limits: {connections: 100}")
    other = result(
        "connections", "max<90%", RAMP, series("most", np.full(N, 64.0)), more=", limits: {connections: most}"
    )

    assert (number.observed, number.status) == (0.6, "pass")
    assert (other.observed, other.status) == (60 / 64, "fail")
    assert number.sentence.startswith("connections was 60.0 % (highest of 60 readings by source db)")


def test_a_percentage_without_a_limit_needs_a_share():
    assert result("connections", "max<90%", series(y=np.full(N, 0.95))).status == "fail"

    found = result("connections", "max<90%", RAMP)

    assert found.status == "inconclusive"
    assert "is not a share, since it reached 60; state its limit" in found.sentence


def test_a_full_resource_may_be_read_as_more_than_full():
    for name, most in (("utilisation", 2.6), ("busy", 1.15)):
        values = np.where(np.arange(N) < 10, most, 0.99)
        found = result(name, "p(95)<90%", series(name, values))
        assert (found.status, found.observed) == ("fail", most)


def test_a_duration_needs_a_name_with_its_unit():
    assert result("lag_seconds", "max<500ms", series("lag_seconds", np.full(N, 0.2))).observed == 200.0
    assert result("lag_ms", "max<500ms", series("lag_ms", np.full(N, 200.0))).observed == 200.0
    assert result("lag", "max<500ms", series("lag")).status == "inconclusive"


def test_labels_choose_series_and_the_worst_one_counts():
    primary, replica = series(y=np.full(N, 95.0), role="primary"), series(y=np.full(N, 10.0), role="replica")

    every = result("connections", "max<90", primary, replica)
    chosen = result("connections{role:replica}", "max<90", primary, replica)
    least = result("connections", "min>20", primary, replica)

    assert (every.status, every.observed) == ("fail", 95.0)
    assert "the worst of 2 series: connections{role:primary}" in every.sentence
    assert (chosen.status, chosen.observed) == ("pass", 10.0)
    assert (least.status, least.observed) == ("fail", 10.0)
    assert result("connections{source:other}", "max<90", primary).status == "inconclusive"


def test_a_phase_chooses_its_seconds():
    step = series(y=np.where(np.arange(N) < 20, 5.0, 95.0))

    assert result("connections{phase:peak}", "min>90", step).status == "pass"
    assert result("connections{phase:peak}", "min>90", series(y=np.full(10, 99.0))).status == "inconclusive"


def test_no_data_is_never_green():
    assert result("connections", "max<90", up=series("up", np.ones(N))).status == "inconclusive"
    assert result("connections", "min>=0", series("other")).status == "inconclusive"


@pytest.mark.parametrize(("condition", "status"), [("max<90", "inconclusive"), ("max<40", "fail")])
def test_a_source_that_was_away_cannot_show_that_a_limit_was_kept(condition, status):
    seen = np.arange(N) < 40
    up = series("up", seen.astype(float))

    found = result("connections", condition, series(y=np.full(40, 50.0), seconds=np.arange(40)), up=up)

    assert found.status == status
    if status == "inconclusive":
        assert "recorded in 67.8 % of the seconds only" in found.sentence


def test_a_source_that_is_read_every_five_seconds_is_complete():
    every = np.arange(2, N, 5)
    up = series("up", np.ones(every.size), seconds=every)

    assert (
        result("connections", "max<90", series(y=np.full(every.size, 1.0), seconds=every), up=up).status
        == "pass"
    )


def aborts_at(condition, values, more=""):
    text = SCENARIO.format(metric="connections", condition=condition, more=more)
    watch = AbortWatch(read_scenario(text))
    for second, value in enumerate(values):
        rows = [
            ObservedValue(second, "db", "up", "{}", 1.0),
            ObservedValue(second, "db", "connections", "{}", value),
        ]
        if (reason := watch.feed([], rows, at_s=second + 1.0)) is not None:
            return second, reason
    return None, ""


def test_an_observed_value_ends_the_run():
    condition = '{threshold: "max<90%", abortOnFail: true, delayAbortEval: 20s}'

    second, reason = aborts_at(condition, range(10, 120), more=", limits: {connections: 100}")
    early, _ = aborts_at(condition, [95, *[1] * 40], more=", limits: {connections: 100}")

    assert second == 80
    assert reason.startswith("threshold observed.connections: max<90%: connections was 90.0 %")
    assert early == 19  # the first evaluation; the maximum stays


def test_a_bound_that_may_still_be_reached_ends_no_run():
    assert aborts_at('{threshold: "max>90", abortOnFail: true}', [1.0] * 30) == (None, "")
    assert aborts_at('{threshold: "min<0", abortOnFail: true}', [1.0] * 30) == (None, "")
