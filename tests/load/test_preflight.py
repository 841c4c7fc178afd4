"""A run that the generator's machine does not allow is refused before the first customer."""

from __future__ import annotations

import pytest

from doorbuster.errors import UsageError
from doorbuster.load.coordination.preflight import check_descriptors, check_shares
from doorbuster.scenario import read_scenario

SCENARIO = """
title: Many
target: {{url: "http://127.0.0.1:1"}}
demand: {{peak: 90 customers/s, curve: {{stages: [{{for: 60s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{browse: 1}}, patience: none, think: {{constant: 8s}}}}}}
thresholds: {{can_browse: ["rate>=1%"]}}
safety: {{max_rate: {max_rate} requests/s, max_in_flight: {max_in_flight}}}
"""


def scenario(*, max_rate: float = 1000, max_in_flight: int = 20_000):
    return read_scenario(SCENARIO.format(max_rate=max_rate, max_in_flight=max_in_flight))


def test_descriptors_are_counted_for_each_worker_and_the_way_out_is_named():
    check_descriptors(scenario(), {"one": 20_000})
    check_descriptors(scenario(), {"one": 1_400, "two": 1_400})
    with pytest.raises(UsageError) as refused:
        check_descriptors(scenario(), {"one": 20_000, "two": 1_024})
    assert str(refused.value) == (
        "about 2,196 customers are in the shop at once: worker two needs 1,194 file descriptors, has 1,024; "
        "raise the limit (ulimit -n 1194), or use 3 workers"
    )


def test_the_ceiling_of_customers_bounds_the_descriptors():
    check_descriptors(scenario(max_in_flight=500), {"one": 1_024})


def test_a_limit_that_no_number_of_workers_helps_names_only_the_limit():
    with pytest.raises(UsageError, match=r"\(ulimit -n 2292\)$"):
        check_descriptors(scenario(), {"one": 64})


def test_more_workers_than_requests_are_refused():
    check_shares(0.5, 1)
    check_shares(4, 4)
    with pytest.raises(UsageError, match="4 workers cannot share; use 3 workers at most"):
        check_shares(3.9, 4)
