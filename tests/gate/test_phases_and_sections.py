"""Thresholds on one phase of the peak, and on metrics of analysis sections."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.gate import AbortWatch, judge
from doorbuster.records.batch import Batch, CustomerCount, RequestSecond, SeriesKey
from doorbuster.records.histogram import pack
from doorbuster.report.section import Metric, Section
from doorbuster.scenario import read_scenario
from doorbuster.scenario.thresholds.language import read_thresholds

STAGES = "stages: [{for: 25s, at: 20%}, {for: 20s, at: 100%}, {for: 15s, at: 20%}]"


@pytest.fixture
def peak(peaks, open_peak):
    """A run that was broken exactly in the peak of its scenario, seconds 25 to 45."""
    text = peaks.SCENARIO.replace("stages: [{for: 90s, at: 100%}]", STAGES)
    return open_peak(rate_per_s=30.0, broken=(25, 45), meta={"scenario_text": text})


def judged(run, subject, expression, sections=()):
    return judge(run, sections, read_thresholds({subject: expression}))[0]


def test_each_phase_of_a_run_has_its_own_result(peak):
    found = {
        phase: judged(peak, f"can_order{{phase:{phase}}}", "rate>=95%")
        for phase in ("baseline", "peak", "after")
    }
    assert {phase: result.status for phase, result in found.items()} == {
        "baseline": "pass",
        "peak": "fail",
        "after": "pass",
    }
    assert sum(result.n for result in found.values()) == judged(peak, "can_order", "rate>=95%").n


@pytest.mark.parametrize("metric", ["http_req_duration", "service_time", "http_req_waiting"])
def test_times_of_one_phase_are_those_of_its_seconds(peak, metric):
    whole = judged(peak, metric, "p(50)<1h")
    parts = [
        judged(peak, f"{metric}{{phase:{phase}}}", "p(50)<1h") for phase in ("baseline", "peak", "after")
    ]
    assert sum(part.n for part in parts) == whole.n
    assert parts[1].observed > parts[0].observed


@pytest.mark.parametrize("metric", ["http_req_duration", "service_time", "http_req_failed", "can_order"])
def test_the_last_phase_has_the_interval_of_its_recorded_seconds(open_peak, metric):
    plateau = open_peak(rate_per_s=30.0, broken=(25, 45))  # a plateau is all peak
    bound = "p(50)<1h" if metric in ("http_req_duration", "service_time") else "rate>=0%"
    whole, phase = judged(plateau, metric, bound), judged(plateau, f"{metric}{{phase:peak}}", bound)
    assert (phase.low, phase.high) == (whole.low, whole.high)


def test_a_run_that_ended_early_has_the_interval_of_its_recorded_seconds(open_peak):
    full, early = (open_peak(rate_per_s=30.0, meta={"duration_s": planned_s}) for planned_s in (61, 3600))
    found = [judged(run, "http_req_failed", "rate<1%") for run in (full, early)]
    assert (found[1].low, found[1].high) == (found[0].low, found[0].high)


def test_requests_per_second_of_a_phase_count_over_its_own_length(peak):
    found = judged(peak, "http_reqs{phase:peak}", "rate>0")
    counted = judged(peak, "http_reqs{phase:peak}", "count>0")
    assert found.observed == pytest.approx(counted.observed / 20.0)


def test_a_phase_that_the_recorded_scenario_does_not_have_is_inconclusive(open_peak):
    found = judged(open_peak(), "can_order{phase:after}", "rate>=95%")
    assert found.status == "inconclusive"
    assert "the recorded scenario has no phase after" in found.sentence


def test_an_abort_rule_on_a_phase_does_not_look_outside_it():
    scenario = read_scenario(
        "title: T\ntarget: {shop: {profile: replatformed}}\n"
        f"demand: {{peak: 10 customers/s, curve: {{{STAGES}}}}}\n"
        "channels: {web: {share: 100%, journeys: {buy: 1}}}\n"
        "thresholds: {'http_req_duration{phase:peak}': [{threshold: 'p(95)<1s', abortOnFail: true}]}\n"
    )
    blob = pack(np.full(100, 5_000_000))

    def slow(second):
        key = SeriesKey("web", "buy", "checkout", "ok", "")
        return Batch("w0", second, requests=(RequestSecond(second, key, 100, 0, 0, blob, blob, blob),))

    watch = AbortWatch(scenario)
    assert [watch.feed([slow(second)], at_s=float(second + 1)) for second in range(25)] == [None] * 25
    assert "p(95)<1s" in watch.feed([slow(25)], at_s=26.0)


def section(**metric) -> Section:
    return Section(
        name="my_question",
        question="Q?",
        sentence="A.",
        metrics={"it": Metric(**metric), "lost": Metric(None)},
    )


@pytest.mark.parametrize(
    ("metric", "expression", "status"),
    [
        ({"value": 0.95, "unit": "ratio", "n": 50}, "value>=90%", "pass"),
        ({"value": 0.85, "unit": "ratio", "n": 50}, "value>=0.9", "fail"),
        ({"value": 12.0, "unit": "s", "n": 50}, "value<10s", "fail"),
        ({"value": 12.0, "unit": "s", "n": 50}, "value<20", "pass"),
        ({"value": 900.0, "unit": "ms", "n": 50}, "value<1s", "pass"),
        ({"value": 12.0, "unit": "count", "n": 50}, "value<10s", "inconclusive"),
        ({"value": 12.0, "unit": "ms", "n": 50}, "value<10%", "inconclusive"),
        ({"value": None}, "value<10", "inconclusive"),
    ],
)
def test_a_metric_of_a_section_is_converted_to_the_unit_of_its_bound(open_peak, metric, expression, status):
    found = judged(open_peak(), "my_question.it", expression, [section(**metric)])
    assert found.status == status


def test_the_sentence_on_a_metric_of_a_section_has_its_interval(open_peak):
    given = section(value=0.95, low=0.92, high=0.97, unit="ratio", n=50)
    found = judged(open_peak(), "my_question.it", "value>=90%", [given])
    assert found.certain
    assert found.sentence.startswith("my_question.it was 95.0 % (95 % interval 92.0 % to 97.0 %).")


def test_a_metric_that_no_section_has_is_inconclusive(open_peak):
    found = judged(open_peak(), "my_question.other", "value>=90%", [section(value=1.0)])
    assert (found.status, found.observed) == ("inconclusive", None)


def test_customers_of_a_phase_are_those_due_in_it(peak):
    rows: tuple[CustomerCount, ...] = peak.customers()
    expected = sum(row.n for row in rows if 25 <= row.second < 45)
    assert judged(peak, "customers{phase:peak}", "count>0").observed == expected
