"""The live abort rules, given reports second by second on a simulated clock."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from doorbuster.gate import AbortWatch
from doorbuster.records.batch import Batch, CustomerCount, OrderAttempt, RequestSecond, SeriesKey
from doorbuster.records.histogram import pack
from doorbuster.scenario import read_scenario

SCENARIO = """\
title: T
target: {storefront: reference, shop: {profile: in-house-2004}}
demand: {peak: 10 customers/s, curve: {stages: [{for: 90s, at: 100%%}]}}
channels: {web: {share: 100%%, journeys: {buy: 1}}}
thresholds: {%s}
safety: {abort: {%s}}
"""
NEVER = "turned_away: 100% for 1h"


def watch(thresholds: str = "", abort: str = NEVER) -> AbortWatch:
    return AbortWatch(read_scenario(SCENARIO % (thresholds, abort)))


def customers(outcome: str, n: int, *, order: int | None = None, channel: str = "web") -> Batch:
    row = CustomerCount(0, channel, "buy", outcome, "checkout", "x", None, order, n)
    return Batch("w0", 0, customers=(row,) if n else ())


def requests(outcome: str, times_ms, *, step: str = "checkout") -> Batch:
    blob = pack(np.asarray(times_ms, dtype=float).astype(np.int64) * 1000)
    key = SeriesKey("web", "buy", step, outcome, "")
    return Batch("w0", 0, requests=(RequestSecond(0, key, len(times_ms), 0, 0, blob, blob, blob),))


def first_second(watch: AbortWatch, batch: Batch, *, until_s: int = 120) -> int | None:
    """The first second at which the watch ends a run that reports this batch each second."""
    return next((at_s for at_s in range(until_s) if watch.feed([batch], at_s=at_s)), None)


def test_a_safety_rule_needs_its_whole_window():
    assert first_second(watch(abort="turned_away: 90% for 60s"), customers("turned_away", 5)) == 60


def test_a_safety_rule_covers_its_window_only():
    guard = watch(abort="turned_away: 90% for 10s")
    seconds = [guard.feed([customers("served", 50)], at_s=at_s) for at_s in range(100)]
    assert seconds == [None] * 100
    turned = [guard.feed([customers("turned_away", 5)], at_s=at_s) for at_s in range(100, 112)]
    assert [reason is not None for reason in turned].index(True) == 9
    assert turned[9] == (
        "safety.abort turned_away: 100 % (50 of 50) in the last 10 s; the rule ends a run at 90.0 %"
    )


def test_a_safety_rule_does_not_fire_below_its_ratio():
    guard = watch(abort="turned_away: 90% for 5s")
    both = [customers("turned_away", 8), customers("served", 2)]
    assert all(guard.feed(both, at_s=at_s) is None for at_s in range(60))


def test_fewer_than_ten_customers_never_end_a_run():
    guard = watch(abort="turned_away: 90% for 5s")
    assert all(
        guard.feed([customers("turned_away", int(at_s % 5 == 0))], at_s=at_s) is None for at_s in range(60)
    )


def test_a_safety_rule_ignores_dropped_customers():
    guard = watch(abort="turned_away: 90% for 5s")
    both = [customers("turned_away", 5), customers("dropped", 500)]
    assert any(guard.feed(both, at_s=at_s) for at_s in range(10))


def test_a_threshold_ends_a_run_only_with_abort_on_fail():
    slow = requests("ok", [5000] * 100)
    assert first_second(watch('http_req_duration: ["p(95)<1s"]'), slow) is None
    stop = 'http_req_duration: [{threshold: "p(95)<1s", abortOnFail: true}]'
    assert first_second(watch(stop), slow) == 0
    assert first_second(watch(stop), requests("failed", [5000] * 100)) is None


def test_a_threshold_waits_for_its_delay():
    stop = 'can_order: [{threshold: "rate>=99%", abortOnFail: true, delayAbortEval: 30s}]'
    assert first_second(watch(stop), customers("abandoned", 10, order=0)) == 30


def test_a_threshold_covers_everything_since_the_start():
    guard = watch('can_order: [{threshold: "rate>=50%", abortOnFail: true}]')
    assert guard.feed([customers("served", 1000, order=1)], at_s=0) is None
    assert guard.feed([customers("abandoned", 900, order=0)], at_s=1) is None
    reason = guard.feed([customers("abandoned", 900, order=0)], at_s=2)
    assert reason is not None
    assert reason.startswith(
        "threshold can_order: rate>=50%: 35.7 % of the customers who wanted to order could"
    )


def test_chance_does_not_end_a_run():
    stop = 'can_order: [{threshold: "rate>=90%", abortOnFail: true}]'
    assert (
        watch(stop).feed([customers("served", 88, order=1), customers("abandoned", 12, order=0)], at_s=9)
        is None
    )
    assert watch(stop).feed([customers("served", 880, order=1), customers("abandoned", 120, order=0)], at_s=9)


def test_a_warning_never_ends_a_run():
    warn = 'can_order: [{threshold: "rate>=99%", abortOnFail: true, severity: warn}]'
    assert first_second(watch(warn), customers("abandoned", 100, order=0)) is None


def test_a_lower_bound_on_a_count_never_ends_a_run():
    wanted = 'http_reqs: [{threshold: "count>1000", abortOnFail: true}]'
    assert first_second(watch(wanted), requests("ok", [10])) is None
    limit = 'http_reqs: [{threshold: "count<1000", abortOnFail: true}]'
    assert first_second(watch(limit), requests("ok", [10] * 100)) == 9


def test_refused_orders_count_once_however_often_they_are_tried():
    def attempt(key: str) -> OrderAttempt:
        return OrderAttempt(key, "web", "buy", 0.0, 1.0, "refused", "sold_out", "", 0, ())

    guard = watch('orders_refused: [{threshold: "count<3", abortOnFail: true}]')
    assert guard.feed([Batch("w0", 0, orders=(attempt("a"), attempt("a"), attempt("b")))], at_s=1) is None
    assert guard.feed([Batch("w0", 1, orders=(attempt("c"),))], at_s=2) is not None


@pytest.mark.parametrize("seconds", [300])
def test_a_second_of_reports_costs_less_than_50_ms(seconds):
    rules = ", ".join(
        f'"http_req_duration{{step:{step}}}": [{{threshold: "p(95)<1h", abortOnFail: true}}]'
        for step in ("checkout", "home", "basket", "product", "search")
    )
    guard = watch(rules, "turned_away: 90% for 60s")
    rng = np.random.default_rng(1)
    batches = [requests("ok", rng.gamma(2, 500, 200)) for _ in range(20)]
    started = time.process_time()
    for at_s in range(seconds):
        guard.feed(batches, at_s=at_s)
    assert (time.process_time() - started) / seconds < 0.05


def test_no_module_is_imported_during_a_run():
    text = SCENARIO % ("can_order: [{threshold: rate>=99%, abortOnFail: true}]", NEVER)
    program = (
        "import sys\n"
        "from doorbuster.gate import AbortWatch\n"
        "from doorbuster.records.batch import Batch, CustomerCount\n"
        "from doorbuster.scenario import read_scenario\n"
        f"guard = AbortWatch(read_scenario({text!r}))\n"
        "before = set(sys.modules)\n"
        "row = CustomerCount(0, 'web', 'buy', 'served', '', '', None, 1, 900)\n"
        "assert guard.feed([Batch('w0', 0, customers=(row,))], at_s=1.0) is None\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
