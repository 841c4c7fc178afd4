"""When each channel peaks, and when all is calm."""

from __future__ import annotations

from doorbuster.scenario import group_demands, read_scenario

SCENARIO = """
title: Clocks
target: {storefront: reference, shop: {profile: replatformed}}
demand: {peak: 10 customers/s, curve: {stages: %s}}
channels: %s
"""
FLASH = "[{for: 20s, at: 30%}, {for: 10s, at: 100%}, {for: 10s, at: 20%}]"
STEADY = "[{for: 40s, at: 100%}]"


def groups(channels, stages=FLASH, width_s=1):
    return {
        group.name: group for group in group_demands(read_scenario(SCENARIO % (stages, channels)), width_s)
    }


def own(stages, peak="4/s"):
    return f"{{demand: {{peak: {peak}, curve: {{stages: {stages}}}}}, journeys: {{browse: 1}}}}"


def test_channels_with_a_share_have_one_clock_and_seats_have_none():
    found = groups(
        "{web: {share: 60%, journeys: {browse: 1}}, app: {share: 40%, journeys: {browse: 1}},"
        f" store: {own(STEADY)}, phone: {{seats: 2, journeys: {{phone_order: 1}}}}}}"
    )
    assert list(found) == ["web and app", "store"]
    assert found["web and app"].peak.tolist() == list(range(20, 30))
    assert found["web and app"].rise(found["store"].rates_per_s) == 1.0


def test_calm_is_before_the_peak_if_there_is_enough_of_it():
    assert groups("{web: {share: 100%, journeys: {browse: 1}}}")["web"].calm.tolist() == list(range(20))
    late = "[{for: 5s, at: 30%}, {for: 10s, at: 100%}, {for: 25s, at: 20%}]"
    found = groups("{web: {share: 100%, journeys: {browse: 1}}}", late)["web"]
    assert found.calm.tolist() == [*range(5), *range(15, 40)]


def test_the_peak_of_another_clock_is_not_calm_and_a_steady_clock_does_not_matter():
    other = "[{for: 5s, at: 10%}, {for: 10s, at: 100%}, {for: 25s, at: 10%}]"
    found = groups(
        f"{{web: {{share: 100%, journeys: {{browse: 1}}}}, app: {own(other)}, store: {own(STEADY)}}}"
    )
    assert found["web"].calm.tolist() == [*range(5), *range(15, 20)]
    assert found["store"].calm.size == 0


def test_a_last_second_that_is_not_whole_is_not_calm_for_that():
    found = groups("{web: {share: 100%, journeys: {browse: 1}}}", "[{for: 20200ms, at: 100%}]")
    assert found["web"].calm.size == 0
    assert found["web"].peak.size == 21
