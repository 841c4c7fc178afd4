"""Abort rules on observed metrics, given readings second by second."""

from __future__ import annotations

import pytest

from doorbuster.errors import ScenarioError
from doorbuster.gate import AbortWatch
from doorbuster.records.batch import ObservedValue
from doorbuster.scenario import read_locust_scenario, read_scenario

SCENARIO = """\
title: T
target: {{shop: {{profile: replatformed}}}}
demand: {{peak: 10 customers/s, curve: {{stages: [{{for: 20s, at: 10%}}, {{for: 40s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{browse: 1}}}}}}
observe: {{sources: {{db: {{command: {{run: x}}}}, push: {{otlp: {{port: 4318}}}}}}{more}}}
safety: {{abort: {{"observed.{metric}": "{rule}"}}}}
"""


def watch(rule, metric="connections", more=""):
    return AbortWatch(read_scenario(SCENARIO.format(metric=metric, rule=rule, more=more)))


def reading(second, value, name="connections", labels="{}", source="db"):
    return ObservedValue(second, source, name, labels, value)


def fired(guard, rows):
    """The second and the reason of the first reading after which the run ends."""
    for row in rows:
        if (reason := guard.feed([], [row], at_s=row.second + 1.0)) is not None:
            return row.second, reason
    return None


def each_second(values, **more):
    return [reading(second, value, **more) for second, value in enumerate(values)]


LIMIT = ", limits: {connections: 100}"


def test_a_value_that_stays_at_its_limit_ends_the_run():
    guard = watch(">=90% for 10s", more=LIMIT)

    second, reason = fired(guard, each_second([50, *[95, 90] * 10]))

    assert second == 11
    assert reason == (
        "safety.abort observed.connections: at least 90.0 % for 10 s (11 readings by source db); "
        "the rule ends a run at 90.0 % or more for 10 s"
    )
    assert guard.problems() == ()


def test_a_limit_without_an_operator_is_the_highest_allowed_value():
    assert fired(watch("90% for 3s", more=LIMIT), each_second([90] * 9))[0] == 3
    assert fired(watch("90% for 3s", more=LIMIT), each_second([89] * 9)) is None


@pytest.mark.parametrize(
    ("rule", "metric", "value", "ends"),
    [
        (">90 for 3s", "connections", 90, False),
        (">90 for 3s", "connections", 91, True),
        ("<=5 for 3s", "connections", 5, True),
        ("<5 for 3s", "connections", 5, False),
        (">=500ms for 3s", "lag_seconds", 0.5, True),
        (">=90% for 3s", "busy", 0.95, True),
    ],
)
def test_bounds_have_the_units_and_operators_of_thresholds(rule, metric, value, ends):
    assert (fired(watch(rule, metric), each_second([value] * 6, name=metric)) is not None) == ends


def test_one_reading_below_the_limit_starts_the_time_anew():
    assert fired(watch("90 for 5s"), each_second([*[95] * 5, 10, *[95] * 9]))[0] == 11


def test_a_gap_says_nothing():
    before, after = each_second([95] * 3), each_second([95] * 40)

    assert fired(watch("90 for 5s"), [*before, *after[4:]])[0] == 5  # a missed reading
    assert fired(watch("90 for 5s"), [*before, *after[20:]])[0] == 25
    pushed = [reading(second, 95, source="push") for second in (0, 30)]
    assert fired(watch("90 for 5s"), pushed)[0] == 30  # it sends at long intervals


def test_labels_choose_series_and_each_counts_by_itself():
    def both(second):
        return [
            reading(second, 95 if second % 2 else 10, labels='{"role": "primary"}'),
            reading(second, 10 if second % 2 else 95, labels='{"role": "replica"}'),
        ]

    rows = [row for second in range(20) for row in both(second)]
    assert fired(watch("90 for 3s"), rows) is None
    steady = [reading(second, 95, labels='{"role": "primary"}') for second in range(9)]
    second, reason = fired(watch("90 for 3s", "connections{role:primary}"), steady)
    assert second == 3
    assert "(4 readings of connections{role:primary} by source db)" in reason
    assert fired(watch("90 for 3s", "connections{role:replica}"), steady) is None


def test_the_latest_value_of_the_limit_counts():
    guard = watch("90% for 3s", more=", limits: {connections: most}")
    rows = [
        reading(second, *pair)
        for second in range(30)
        for pair in ((100.0 if second < 10 else 50.0, "most"), (46.0, "connections"))
    ]

    assert fired(guard, rows)[0] == 13


def test_only_readings_of_the_run_and_its_phase_count():
    early = [reading(second, 95) for second in range(-30, 3)]
    assert fired(watch("90 for 5s"), early) is None
    assert fired(watch("90 for 5s", "connections{phase:peak}"), each_second([95] * 60))[0] == 25


def test_a_rule_that_cannot_be_evaluated_is_stated():
    share, label, silent = watch("90% for 3s"), watch("90 for 3s", "connections{role:x}"), watch("90 for 3s")
    for guard in (share, label):
        assert fired(guard, each_second([95] * 9)) is None

    assert "is not a share, since it reached 95; state its limit" in share.problems()[0]
    assert "no observed connections had these labels; there was connections" in label.problems()[0]
    assert silent.problems() == (
        "the rule safety.abort observed.connections was never evaluated: connections was not observed",
    )


def test_a_plain_locust_file_may_have_such_a_rule():
    text = """\
title: T
observe: {sources: {db: {command: {run: x}}}}
safety: {abort: {"observed.connections": 90 for 3s, http_req_failed: 50% for 30s}}
"""
    assert fired(AbortWatch(read_locust_scenario(text)), each_second([95] * 9))[0] == 3
    with pytest.raises(ScenarioError, match="names a phase, and a plain Locust file has no demand curve"):
        read_locust_scenario(text.replace("connections", "connections{phase:peak}"))
