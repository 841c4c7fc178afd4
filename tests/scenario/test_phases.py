"""Phases follow from the curve: a slow rise is baseline, the climb to the peak is the ramp."""

from __future__ import annotations

import pytest

from doorbuster.scenario import find_phases, load_scenario, phase_seconds, recorded_phases

CURVES = {
    "the peak of M&S: a slow hour, a steep half hour, four hours, an afternoon": (
        "{for: 60s, to: 20%}, {for: 40s, to: 100%}, {for: 240s, at: 100%}, {for: 100s, to: 0%}",
        [("baseline", 0, 60), ("ramp", 60, 95), ("peak", 95, 350), ("after", 350, 440)],
    ),
    "jumps have no ramp": (
        "{for: 60s, at: 20%}, {for: 20s, at: 100%}, {for: 30s, at: 20%}",
        [("baseline", 0, 60), ("peak", 60, 80), ("after", 80, 110)],
    ),
    "a plateau is all peak": ("{for: 60s, at: 100%}", [("peak", 0, 60)]),
    "a ramp from zero has no baseline": (
        "{for: 10s, to: 100%}, {for: 5s, at: 100%}",
        [("ramp", 0, 9), ("peak", 9, 15)],
    ),
    "a dip between two peaks belongs to the peak": (
        "{for: 10s, at: 30%}, {for: 10s, at: 1}, {for: 10s, at: 10%}, {for: 10s, at: 95%}, {for: 5s, at: 0%}",
        [("baseline", 0, 10), ("peak", 10, 40), ("after", 40, 45)],
    ),
    "a false start is baseline": (
        "{for: 10s, to: 50%}, {for: 10s, to: 30%}, {for: 30s, to: 90%}, {for: 10s, to: 100%}",
        [("baseline", 0, 20), ("ramp", 20, 50), ("peak", 50, 60)],
    ),
}


@pytest.mark.parametrize(("stages", "expected"), CURVES.values(), ids=CURVES)
def test_phases_follow_from_the_curve(scenario_of_demand, stages, expected):
    found = find_phases(
        scenario_of_demand(f"peak: 10 customers/s, curve: {{stages: [{stages}]}}").demand.rate_curve
    )

    assert [phase.name for phase in found] == [name for name, _, _ in expected]
    for phase, (_, from_s, to_s) in zip(found, expected, strict=True):
        assert (phase.from_s, phase.to_s) == (pytest.approx(from_s), pytest.approx(to_s))


def test_phases_of_bundled_scenarios_leave_no_gap(bundled_folder):
    for path in bundled_folder.glob("*.yaml"):
        scenario = load_scenario(path)
        found = find_phases(scenario.demand.rate_curve)
        edges = [0.0, *(phase.to_s for phase in found)]
        assert [phase.from_s for phase in found] == edges[:-1]
        assert edges[-1] == pytest.approx(scenario.demand.duration_s)


def test_every_second_belongs_to_one_phase_and_the_last_is_open(scenario_of_demand):
    text = "peak: 1 customers/s, curve: {stages: [{for: 10400ms, at: 20%}, {for: 20s, at: 100%}]}"
    found = find_phases(scenario_of_demand(text).demand.rate_curve)

    assert phase_seconds("baseline", found) == (0, 10)
    assert phase_seconds("peak", found).first == 10
    assert phase_seconds("peak", found).end > 10**6
    assert phase_seconds("after", found) is None


def test_a_run_of_another_tool_has_no_phases():
    assert recorded_phases("export default function () {}") == ()
