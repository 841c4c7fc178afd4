"""Thresholds and abort rules on observed metrics in a capacity search."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from doorbuster.capacity.bound_distance import Ratio, evaluate
from doorbuster.capacity.load_step import MeasuredStep, ProposedStep, judge_step
from doorbuster.capacity.load_step_scenario import RateLevel, concurrency_text, load_step_text
from doorbuster.capacity.observed_bound_distances import abort_distances, observed_abort_keys
from doorbuster.capacity.scenario_bound_distances import (
    binding_thresholds,
    bound_distances,
    unused_thresholds,
)
from doorbuster.capacity.search import SearchSettings, next_step
from doorbuster.gate.recorded_metrics import RecordedMetrics
from doorbuster.records.observed_reader import ObservedSeries
from doorbuster.scenario import read_scenario
from doorbuster.scenario.thresholds.language import read_thresholds

SECONDS = 40


def recorded(values, *, up=None, seconds=None, **labels):
    """A run of which only the observed values matter."""
    seconds = np.arange(len(values)) if seconds is None else np.asarray(seconds)
    readable = np.ones(SECONDS) if up is None else np.asarray(up, np.float64)
    series = (
        ObservedSeries("db", "busy", labels, seconds, np.asarray(values, np.float64)),
        ObservedSeries("db", "up", {}, np.arange(readable.size), readable),
    )
    meta = SimpleNamespace(scenario_text="")
    return SimpleNamespace(observed=lambda: series, meta=meta)


def estimate_of(run, condition, monkeypatch):
    monkeypatch.setattr(RecordedMetrics, "observed_limits", {})
    thresholds = read_thresholds({"observed.busy": condition})
    (distance,) = bound_distances(run, thresholds, first=10, seconds=30)
    return evaluate([distance], [30])


def test_an_extreme_is_violated_by_one_reading(monkeypatch):
    calm = [*[9.0] * 10, *[0.5] * 30]  # the warm-up does not count
    spike = [0.5] * 39 + [0.95]

    assert estimate_of(recorded(calm), "max<90%", monkeypatch).low == -math.inf
    assert estimate_of(recorded(spike), "max<90%", monkeypatch).low > 0
    assert estimate_of(recorded(spike), "min>=60%", monkeypatch).low > 0


def test_a_percentile_allows_its_share_of_the_readings(monkeypatch):
    some = [*[0.5] * 10, *np.where(np.arange(30) % 10 == 3, 0.95, 0.5)]

    above = estimate_of(recorded(some), "p(95)<90%", monkeypatch)
    below = estimate_of(recorded(some), "p(20)>=90%", monkeypatch)

    assert above.ratio == pytest.approx(0.1 / 0.05)
    assert below.ratio == pytest.approx(0.9 / 0.2)


def test_an_average_is_compared_with_its_bound(monkeypatch):
    assert estimate_of(recorded([0.6] * 40), "avg<80%", monkeypatch).ratio == pytest.approx(0.75)


@pytest.mark.parametrize("condition", ["max<90%", "p(95)<90%", "avg<90%"])
def test_a_source_that_was_away_gives_no_verdict(condition, monkeypatch):
    away = recorded([0.5] * 15, up=[1.0] * 15 + [0.0] * 25)
    nothing = recorded([], seconds=[])

    for run in (away, nothing):
        found = estimate_of(run, condition, monkeypatch)
        assert (found.n, found.low <= 0 < found.high) == (0, True)


def test_what_a_search_does_not_use_is_listed():
    found = read_thresholds(
        {
            "observed.busy": ["max<90%", "last<90%", "avg>=10%"],
            "observed.busy{phase:peak}": "max<90%",
            "latency.apdex": "value>0.9",
            "browser_lcp": "p(75)<2.5s",
            "lateness": "p(99)<50ms",
            "can_order": [{"threshold": "rate>=99%", "severity": "warn"}],
        }
    )

    assert [str(one) for one in binding_thresholds(found)] == ["observed.busy: max<90%"]
    said = dict(text.rsplit(": ", 1) for text in unused_thresholds(found))
    assert said == {
        "observed.busy: last<90%": said["observed.busy: avg>=10%"],
        "observed.busy: avg>=10%": "of an observed metric, a search uses max, avg, med and p(N) with an "
        "upper bound, and min, med and p(N) with a lower one",
        "observed.busy{phase:peak}: max<90%": "a load step has no phases",
        "latency.apdex: value>0.9": "sections cover whole runs",
        "browser_lcp: p(75)<2.5s": "the few visits of browsers in a load step decide nothing",
        "lateness: p(99)<50ms": "a higher rate does not violate it",
        "can_order: rate>=99%": "it only warns, and other thresholds decide",
    }


SCENARIO = """\
title: T
target: {shop: {profile: replatformed}}
demand: {peak: 10 customers/s, curve: {stages: [{for: 20s, at: 10%}, {for: 40s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 1}}}
observe: {sources: {db: {prometheus: {url: "http://127.0.0.1:9090", queries: {busy: up}}}}}
thresholds: {"observed.utilisation{resource:stock lock}": max<90%, observed.busy: max<90%}
safety: {abort: {observed.shop_database_waiting: 5 for 9s, "observed.busy{phase:peak}": 90% for 9s}}
"""


def test_a_load_step_observes_the_embedded_shop_by_its_address():
    scenario = read_scenario(SCENARIO)
    text = load_step_text(
        scenario,
        [RateLevel(5, 30)],
        url="http://127.0.0.1:1",
        seed=1,
        metrics_url="http://127.0.0.1:2/metrics",
    )
    made = read_scenario(text)

    assert made.observe.sources["shop"].scrape.url == "http://127.0.0.1:2/metrics"
    assert set(made.observe.sources) == {"shop", "db"}
    assert made.observe.resources["payment service"].utilisation.labels == {"dependency": "payment"}
    assert list(map(str, made.thresholds)) == list(map(str, scenario.thresholds))
    assert list(made.safety.abort) == ["observed.shop_database_waiting"]
    assert observed_abort_keys(scenario) == ("observed.shop_database_waiting",)
    sweep = concurrency_text(scenario, "web", 3, for_s=10, url="http://127.0.0.1:1", seed=1)
    assert read_scenario(sweep).safety.abort == {}  # nobody would read the shop's metrics


def test_a_load_step_keeps_what_describes_the_embedded_shop_and_every_rule_without_a_phase():
    text = SCENARIO.replace(
        "observe: {", "observe: {limits: {shop_connections: shop_connections_limit}, "
    ).replace('"observed.busy{phase:peak}"', '"observed.busy{deploy_phase:blue}"')
    text = text.replace("observed.shop_database_waiting: 5 for 9s, ", "").replace(
        '"observed.utilisation{resource:stock lock}": max<90%, ', ""
    )
    made = read_scenario(
        load_step_text(
            read_scenario(text), [RateLevel(5, 30)], url="http://127.0.0.1:1", seed=1,
            metrics_url="http://127.0.0.1:2/metrics",
        )
    )  # fmt: skip
    assert "shop_connections" in made.observe.limits
    assert list(made.safety.abort) == ["observed.busy{deploy_phase:blue}"]


def test_a_load_step_that_an_abort_rule_ended_has_failed():
    meta = SimpleNamespace(
        status="aborted", status_reason="safety.abort observed.busy: at least 95 % for 9 s"
    )
    keys = ("observed.busy", "observed.busy{role:primary}")
    first, other = abort_distances(SimpleNamespace(meta=meta), keys, after_overload=False)
    assert (first.count, other.count) == (1.0, 0.0)

    proposal = ProposedStep("ramp", 10.0, 3.0, 30.0, "")
    step = judge_step(MeasuredStep(proposal, 9, (first, other), np.ones(9), 10.0, 12.0))
    assert step.status == "fail"
    assert step.why.startswith("safety.abort observed.busy at ")
    unknown = abort_distances(SimpleNamespace(meta=meta), keys, after_overload=True)
    assert not any(one.is_known for one in unknown)


@pytest.mark.parametrize("seed", range(3))
def test_a_use_that_grows_with_the_rate_is_found_where_it_reaches_its_bound(seed):
    random = np.random.default_rng(seed)
    settings = SearchSettings(start_rate_per_s=2.0, max_rate_per_s=40.0, budget_s=900.0)

    def measured(step):
        """One of eight workers is busy for each customer per second; 60 % of them are at 4.8 per second."""
        n = int(step.hold_s)
        busy = np.clip(step.rate_per_s / 8 + random.normal(0, 0.1, n), 0, 1)
        distance = Ratio("busy: avg<60%", 0.6, busy, np.ones(n), is_level=True)
        return MeasuredStep(step, n, (distance,), np.full(n, 3.0), step.rate_per_s, step.duration_s + 3)

    history = []
    while isinstance(found := next_step(history, settings), ProposedStep):
        history.append(judge_step(measured(found)))

    assert found.low <= 4.8 <= found.high
    assert found.rate_per_s == pytest.approx(4.8, rel=0.1)
