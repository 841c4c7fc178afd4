"""The named resource: histories of seconds with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.stats.bottleneck import (
    CustomerView,
    ResourceHistory,
    find_bottleneck,
    utilisation_law,
    when_noticed,
    window_means,
)

N = 60
RAMP = np.clip(np.arange(N) / 40, 0.1, 1.0)  # load, from a tenth to full at 40 s


def view(slow_from=44, factor=10.0):
    latency = np.full(N, 100.0)
    latency[slow_from:] = 100.0 * factor + 20.0 * np.arange(N - slow_from)
    return CustomerView(latency, np.zeros(N), 50.0 * RAMP)


def used(most):
    return np.minimum(most * RAMP, 1.0)


def test_the_resource_that_is_full_first_is_named_with_its_warning_time():
    resources = [
        ResourceHistory("disk", used(0.4)),
        ResourceHistory("database", used(1.2), np.where(np.arange(N) > 38, 20.0, 0.0)),
        ResourceHistory("processor", used(0.95)),
    ]

    found = find_bottleneck(resources, view())

    assert found.named.name == "database"
    assert found.named.full_from_s == int(np.argmax(window_means(used(1.2)) >= 0.9))
    assert found.warning_s == found.noticed_s - found.named.full_from_s > 0
    assert [one.name for one in found.resources] == ["database", "processor", "disk"]


def test_nothing_is_named_when_customers_notice_nothing():
    found = find_bottleneck([ResourceHistory("database", used(1.2))], view(slow_from=N))

    assert (found.named, found.noticed_s, found.warning_s) == (None, None, None)
    assert found.resources[0].full_from_s is not None


def test_nothing_is_named_when_no_resource_was_full():
    found = find_bottleneck([ResourceHistory("database", used(0.8))], view())

    assert found.named is None
    assert found.noticed_s == 41  # the mean of 41 to 45 s is the first above three times the calm 100 ms


def test_a_resource_that_was_always_full_is_not_the_cause():
    always = ResourceHistory("nightly job", np.full(N, 1.0))

    assert find_bottleneck([always], view()).named is None
    assert find_bottleneck([always, ResourceHistory("database", used(1.2))], view()).named.name == "database"


def test_a_resource_that_was_full_only_later_is_not_the_cause():
    late = np.where(np.arange(N) >= 57, 1.0, 0.1)

    assert find_bottleneck([ResourceHistory("log disk", late)], view(slow_from=30)).named is None


def test_a_queue_without_a_known_limit_is_a_bottleneck_when_work_waits_all_the_time():
    waiting = np.where(np.arange(N) >= 40, 5.0, 0.0)

    found = find_bottleneck([ResourceHistory("lock", saturation=waiting)], view())

    assert (found.named.name, found.named.full_from_s, found.named.highest) == ("lock", 40, None)


def test_failures_are_noticed_without_any_latency():
    failed = np.where(np.arange(N) >= 30, 0.5, 0.0)

    assert (
        when_noticed(CustomerView(np.full(N, 100.0), failed, np.ones(N))) == 26
    )  # 5 % of the window to 30 s


def test_p_values_are_corrected_for_the_number_of_resources():
    rng = np.random.default_rng(1)
    noise = [ResourceHistory(f"r{n}", rng.uniform(0, 0.5, N)) for n in range(9)]

    alone = find_bottleneck([ResourceHistory("database", used(1.2))], view()).resources[0]
    among = find_bottleneck([ResourceHistory("database", used(1.2)), *noise], view()).resources[0]

    assert among.name == "database"
    assert among.p_adjusted == pytest.approx(min(1.0, 10 * alone.p_adjusted))


def test_the_utilisation_law_finds_the_rate_at_which_a_resource_is_full():
    rng = np.random.default_rng(2)
    rate = rng.uniform(5, 40, 200)

    law = utilisation_law(0.02 * rate + rng.normal(0, 0.01, 200), rate)  # U = X D with D = 20 ms

    assert law.full_at_per_s == pytest.approx(50.0, rel=0.01)
    assert law.low_per_s < 50.0 < law.high_per_s
    assert law.correlation > 0.95


def test_use_by_something_else_shows_as_a_low_correlation():
    rng = np.random.default_rng(3)

    law = utilisation_law(rng.uniform(0.1, 0.6, 200), rng.uniform(5, 40, 200))

    assert abs(law.correlation) < 0.3


def test_seconds_without_a_reading_are_not_evidence():
    empty = ResourceHistory("database", np.full(N, np.nan), np.full(N, np.nan))

    found = find_bottleneck([empty], view())

    assert found.named is None
    assert found.resources[0].highest is None


@pytest.mark.parametrize("n", [0, 1, 4, 7])
def test_a_run_of_a_few_seconds_gives_no_answer_and_no_error(n):
    short = CustomerView(np.full(n, 100.0), np.zeros(n), np.ones(n))

    found = find_bottleneck([ResourceHistory("database", np.ones(n), np.ones(n), np.ones(n))], short)

    assert found.named is None
