"""Limits of the generator, delayed requests and values that were left out never make a run pass or fail."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.errors import ExitCode
from doorbuster.gate import AbortWatch, judge, validity_issues, verdict
from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CounterSecond,
    CustomerCount,
    Event,
    HealthSecond,
    RequestSecond,
    SeriesKey,
)
from doorbuster.records.histogram import pack
from doorbuster.records.metadata import WRITER_ENDED, RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter
from doorbuster.scenario import read_scenario
from doorbuster.scenario.thresholds.language import read_thresholds

N = 1_000
FAILED = SeriesKey("web", "browse", "home", "failed", "status_5xx")


def requests(second: int, n: int = N, series: SeriesKey = FAILED) -> RequestSecond:
    times = pack([1_000] * n)
    return RequestSecond(second, series, n, 0, 0, times, times, times)


@pytest.fixture
def recorded(tmp_path):
    """A function from additional rows to a run of N customers that were all turned away."""
    opened = []

    def make(*, dropped: str = "", status="finished", **rows) -> Run:
        meta = RunMeta(
            run_id="r", title="t", scenario_name="s", scenario_text="", storefront="x", target_url="u",
            seed=1, workers=1, started_at_unix_ns=1, duration_s=1.0,
        )  # fmt: skip
        customer = CustomerCount(0, "web", "browse", "turned_away", "home", "status_5xx", 0, None, N - 1)
        last = customer._replace(n=1)
        if dropped:
            last = CustomerCount(0, "web", "browse", "dropped", "home", dropped, None, None, 1)
        writer = RunWriter.create(tmp_path / f"run{len(opened)}", meta, {"web": np.array([N])})
        health = HealthSecond(0, 0.1, 1.0, 1, 1, 0, 1, pack([100] * N))
        writer.write(
            [Batch("w", 0, True, requests=(requests(0),), customers=(customer, last),
                   arrivals=(ArrivalCount(0, "web", N, 0),), health=(health,), **rows)]
        )  # fmt: skip
        if status == "finished":
            writer.finish("finished")
        writer.close()
        opened.append(Run.open(writer.path))
        return opened[-1]

    yield make
    for run in opened:
        run.close()


def judged(run: Run):
    return verdict(
        run, judge(run, (), read_thresholds({"served": ["rate>=99%"], "http_req_failed": ["rate<1%"]}))
    )


def test_without_an_issue_the_shop_fails(recorded):
    run = recorded()
    assert validity_issues(run) == ()
    assert judged(run).exit_code == ExitCode.FAIL


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("no_descriptors", "ran out of file descriptors; raise the limit (ulimit -n)"),
        ("no_ports", "ran out of local ports; name more addresses"),
        ("no_memory", "ran out of memory; give it more"),
        ("no_threads", "could not start a thread; raise the limit (ulimit -u)"),
    ],
)
def test_a_limit_of_the_machine_is_named_and_the_run_inconclusive(cause, words, recorded):
    found = judged(recorded(dropped=cause, counters=(CounterSecond(0, "", f"not_sent:{cause}", 7),)))
    assert found.exit_code == ExitCode.INCONCLUSIVE
    assert found.reasons[0].startswith(
        f"1 customer was dropped and 7 requests were not sent because the load generator {words}"
    )
    assert "reached a limit of its machine" in found.sentence


@pytest.mark.parametrize(("delayed", "issues"), [(1, []), (2, ["ceiling"])])
def test_more_than_a_thousandth_of_delayed_requests_is_an_issue(delayed, issues, recorded):
    run = recorded(
        counters=(
            CounterSecond(0, "", "ceiling_delayed", delayed), CounterSecond(0, "", "ceiling_delayed_ms", 500),
        )
    )  # fmt: skip
    assert [issue.kind for issue in validity_issues(run)] == issues
    assert judged(run).exit_code == (ExitCode.INCONCLUSIVE if issues else ExitCode.FAIL)


@pytest.mark.parametrize("kind", ["row_refused", "ledger_row_refused"])
def test_values_that_were_left_out_are_stated(kind, recorded):
    run = recorded(events=(Event(0.0, kind, "orders: the total is nan"),))
    assert [issue.kind for issue in validity_issues(run)] == ["records"]
    assert "the total is nan" in validity_issues(run)[0].sentence


def test_a_recording_that_broke_off_has_its_own_exit_code(recorded):
    run = recorded(status="running")
    assert run.meta.status_reason == WRITER_ENDED
    assert judged(run).exit_code == ExitCode.NOT_RECORDED


def test_the_default_rules_end_a_storm_of_retries_in_which_nobody_leaves():
    scenario = read_scenario(
        'title: t\ntarget: {url: "http://127.0.0.1:1"}\n'
        "demand: {peak: 1 customers/s, curve: {stages: [{for: 60s, at: 100%}]}}\n"
        "channels: {web: {share: 100%, journeys: {browse: 1}}}\nthresholds: {can_browse: ['rate>=1%']}\n"
    )
    watch = AbortWatch(scenario)
    reasons = [
        watch.feed([Batch("w", second, requests=(requests(second, 20),))], at_s=float(second))
        for second in range(32)
    ]
    assert reasons[:30] == [None] * 30
    assert reasons[30] == (
        "safety.abort http_req_failed: 100 % (600 of 600) in the last 30 s; the rule ends a run at 95.0 %"
    )
