"""An abort rule on what a real endpoint reports."""

from __future__ import annotations

from doorbuster.gate import AbortWatch
from doorbuster.observe.plan import SourcePlan
from doorbuster.records.batch import ObservedValue
from doorbuster.scenario import read_scenario

SCENARIO = """\
title: T
target: {shop: {profile: replatformed}}
demand: {peak: 10 customers/s, curve: {stages: [{for: 20s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 1}}}
observe: {sources: {db: {scrape: {url: "http://127.0.0.1/"}}}, limits: {pool_used: pool_size}}
safety: {abort: {"observed.pool_used{pool:orders}": 90% for 1s}}
"""


def test_an_endpoint_that_reports_a_full_pool_ends_the_run(serve, collected):
    guard = AbortWatch(read_scenario(SCENARIO))
    reasons, fed = [], 0

    def is_over(rows, _):
        nonlocal fed
        taken, fed = [ObservedValue(*row) for row in rows[fed:]], len(rows)
        reasons.append(guard.feed([], taken, at_s=9.0))
        return reasons[-1] is not None

    page = b'pool_used{pool="orders"} 48\npool_used{pool="other"} 50\npool_size 50\n'
    with serve(lambda _: (200, {}, page)) as url:
        settings = {"url": url, "headers": {}, "networks": ["127.0.0.0/8"]}
        collected(is_over, SourcePlan("db", "scrape", 1.0, (), settings))

    assert reasons[-1] == (
        "safety.abort observed.pool_used{pool:orders}: at least 96.0 % for 1 s "
        "(2 readings of pool_used{pool:orders} by source db); the rule ends a run at 90.0 % or more for 1 s"
    )
