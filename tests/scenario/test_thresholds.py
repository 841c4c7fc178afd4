"""The threshold language: k6's, with units, severities and retail metrics."""

from __future__ import annotations

import pytest

from doorbuster.scenario.thresholds.language import Tag, missing_sections, read_thresholds
from doorbuster.scenario.thresholds.metrics import AGGREGATIONS, METRICS

PARSED = [
    ("milliseconds as in k6", "http_req_duration", "p(95)<200", ("p", 95.0, "<", 200.0, "ms")),
    ("spaces as in k6", "http_req_duration", " p( 99.9 ) <= 200.5 ", ("p", 99.9, "<=", 200.5, "ms")),
    ("a duration", "http_req_duration", "p(95)<3s", ("p", 95.0, "<", 3000.0, "ms")),
    ("a longer duration", "http_req_duration", "max<1m30s", ("max", None, "<", 90_000.0, "ms")),
    ("microseconds", "lateness", "avg<500us", ("avg", None, "<", 0.5, "ms")),
    ("the median", "service_time", "med<80ms", ("med", 50.0, "<", 80.0, "ms")),
    ("the least", "http_req_waiting", "min>0", ("min", None, ">", 0.0, "ms")),
    ("a share as in k6", "http_req_failed", "rate<0.01", ("rate", None, "<", 0.01, "ratio")),
    ("a share in percent", "can_order", "rate>=99%", ("rate", None, ">=", 0.99, "ratio")),
    ("a share with a space", "can_browse", "rate >= 99.5 %", ("rate", None, ">=", 0.995, "ratio")),
    ("a count", "orders_missing", "count==0", ("count", None, "==", 0.0, "count")),
    ("k6's strict equality", "oversold_units", "count===0", ("count", None, "==", 0.0, "count")),
    ("inequality", "customers", "count!=0", ("count", None, "!=", 0.0, "count")),
    ("a rate per second as in k6", "http_reqs", "rate>100", ("rate", None, ">", 100.0, "per_s")),
    ("a section's metric", "my_question.ratio", "value>=0.9", ("value", None, ">=", 0.9, "value")),
    ("a section's share", "my_question.ratio", "value>=90%", ("value", None, ">=", 0.9, "ratio")),
    ("a section's time", "phases.recovery_time", "value<1m30s", ("value", None, "<", 90_000.0, "ms")),
    ("a rate with a unit", "orders_acknowledged", "rate>1_680/min", ("rate", None, ">", 28.0, "per_s")),
]


@pytest.mark.parametrize(("label", "metric", "text", "parsed"), PARSED, ids=[row[0] for row in PARSED])
def test_an_expression_is_parsed_into_base_units(label, metric, text, parsed):
    (threshold,) = read_thresholds({metric: [text]})

    found = (threshold.aggregation, threshold.percentile, threshold.operator, threshold.bound, threshold.unit)
    assert found == (*parsed[:3], pytest.approx(parsed[3]), parsed[4]), label
    assert threshold.metric == metric
    assert threshold.severity == "fail"


def test_a_pasted_k6_block_means_the_same():
    block = {
        "http_req_failed": ["rate<0.01"],
        "http_req_duration": [
            "p(95)<200",
            {"threshold": "p(99)<1000", "abortOnFail": True, "delayAbortEval": "10s"},
        ],
        "http_req_duration{name:checkout,expected_response:true}": ["max<3000"],
        "http_reqs": ["count>=100"],
    }

    first, second, third, fourth, fifth = read_thresholds(block)

    assert (first.metric, first.bound, first.abort_on_fail) == ("http_req_failed", 0.01, False)
    assert (second.bound, third.bound, third.abort_on_fail, third.delay_abort_eval_s) == (200, 1000, True, 10)
    assert fourth.tags == (Tag("step", "checkout"), Tag("expected_response", "true"))
    assert str(fourth) == "http_req_duration{name:checkout,expected_response:true}: max<3000"
    assert (fifth.aggregation, fifth.unit) == ("count", "count")


@pytest.mark.parametrize(("raw", "seconds"), [("30s", 30.0), (1500, 1.5), (0, 0.0), ("0s", 0.0)])
def test_a_bare_delay_is_milliseconds_as_in_k6(raw, seconds):
    (threshold,) = read_thresholds({"can_order": [{"threshold": "rate>0.9", "delayAbortEval": raw}]})

    assert threshold.delay_abort_eval_s == seconds


def test_a_single_threshold_needs_no_list_and_may_only_warn():
    plain, warning = read_thresholds(
        {"can_order": "rate>=99%", "can_browse": {"threshold": "rate>=99.9%", "severity": "warn"}}
    )

    assert (plain.severity, warning.severity) == ("fail", "warn")


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_takes_its_aggregations_and_tags(metric):
    kind = METRICS[metric].kind
    values = {"channel": "web", "journey": "buy", "expected_response": "true", "phase": "peak"}

    for aggregation in AGGREGATIONS[kind]:
        (plain,) = read_thresholds({metric: aggregation.replace("N", "95") + "<1"})
        assert plain.bound == 1.0
    for tag in METRICS[metric].tags:
        (tagged,) = read_thresholds(
            {
                f"{metric}{{{tag}:{values.get(tag, 'checkout')}}}": AGGREGATIONS[kind][-1].replace("N", "9")
                + "<1"
            }
        )
        assert tagged.tags == (Tag("step" if tag == "name" else tag, values.get(tag, "checkout")),)


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
        ("==", False, True, False),
        ("!=", True, False, True),
    ],
)
def test_a_promise_holds_on_the_right_side_of_its_bound(operator, below, equal, above):
    (threshold,) = read_thresholds({"http_req_duration": f"avg{operator}100"})

    assert [threshold.holds(value) for value in (99.0, 100.0, 101.0)] == [below, equal, above]


def test_an_unknown_section_is_reported_at_its_threshold():
    known, unknown = read_thresholds(
        {"latency.apdex": "value>=0.9", "latencies.apdex": "value>=0.9"}, lambda path: "x.yaml:7:3"
    )

    (problem,) = missing_sections([known, unknown], ["customers", "latency"])

    assert str(problem) == (
        "x.yaml:7:3: thresholds.latencies.apdex names a section that does not exist"
        ' (got latencies); did you mean "latency"?'
    )


def test_the_polls_of_a_waiting_room_are_a_step_of_their_own(scenario_with):
    scenario = scenario_with(5, 'thresholds: {"http_req_duration{step:waiting_room}": "p(95)<1s"}')
    assert scenario.thresholds[0].tags[0].value == "waiting_room"
