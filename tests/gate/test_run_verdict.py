"""The verdict on whole run files: status, sentence, reasons and exit code."""

from __future__ import annotations

from collections import Counter

import pytest

from doorbuster.errors import ExitCode
from doorbuster.gate import KnownCauses, judge, validity_issues, verdict
from doorbuster.records.batch import Event
from doorbuster.scenario import read_scenario
from doorbuster.scenario.thresholds.language import read_thresholds

GOOD = {"broken": None}


def judged(run, thresholds=None):
    wanted = (
        read_scenario(run.meta.scenario_text).thresholds
        if thresholds is None
        else read_thresholds(thresholds)
    )
    results = judge(run, (), wanted)
    return results, verdict(run, results)


def test_a_shop_that_meets_its_thresholds_passes(open_peak):
    results, found = judged(open_peak(**GOOD, rate_per_s=20.0))
    assert {result.status for result in results} == {"pass"}
    assert (found.status, found.exit_code) == ("pass", ExitCode.PASS)
    assert found.sentence.startswith("PASS: ")
    assert "customers who wanted to order could (95 % interval" in found.sentence
    assert found.sentence.endswith("; all 8 thresholds were met.")


def test_the_headline_of_a_failed_run_is_about_customers(open_peak):
    run = open_peak()
    _, found = judged(run)
    rows = [row for row in run.customers() if row.channel == "web" and row.order is not None]
    wanted, could_not = sum(row.n for row in rows), sum(row.n for row in rows if row.order == 0)
    assert (found.status, found.exit_code) == ("fail", ExitCode.FAIL)
    per_hundred = f"{could_not / wanted * 100:.{0 if wanted < 500 else 1}f}"
    assert found.sentence.startswith(
        f"FAIL: in channel web {per_hundred} of 100 customers who wanted to order could not (95 % interval "
    )


def test_the_headline_names_a_known_cause_of_what_failed(open_peak):
    run = open_peak()
    causes = KnownCauses("requests waited in a queue", "the database took most of the time")
    for threshold, cause in (
        ({"can_order": ["rate>=99%"]}, causes.lost_customers),
        ({"http_req_duration": ["p(95)<10ms"]}, causes.slow_answers),
        ({"http_reqs": ["count<5"]}, ""),
    ):
        results = judge(run, (), read_thresholds(threshold))
        failed = [result for result in results if result.status == "fail"]
        assert failed
        found = verdict(run, results, causes)
        assert (f", because {cause}" if cause else "") in found.sentence
        assert bool(cause) == ("because" in found.sentence)


def test_without_thresholds_a_run_cannot_pass(open_peak):
    _, found = judged(open_peak(**GOOD), {})
    assert (found.status, found.exit_code) == ("inconclusive", ExitCode.INCONCLUSIVE)
    assert found.reasons == ("The scenario has no thresholds; add some to get a verdict.",)


INTEGRITY = {"oversold_units: count==0", "orders_missing: count==0", "orders_duplicated: count==0"}


def test_an_audited_run_with_a_lost_order_cannot_pass(open_peak):
    run = open_peak(**GOOD, lost=1)
    results, found = judged(run, {"can_order": ["rate>=50%"]})
    assert {str(result.threshold) for result in results[1:]} == INTEGRITY
    assert (found.status, found.exit_code) == ("fail", ExitCode.FAIL)
    assert "acknowledged orders are missing in the shop's ledger" in found.sentence


def test_a_threshold_of_the_scenario_replaces_a_default_one(open_peak):
    run = open_peak(**GOOD, lost=1)
    stated = {
        "can_order": ["rate>=50%"],
        "orders_missing": [{"threshold": "count==0", "severity": "warn"}],
        "orders_missing{channel:web}": ["count<100"],
    }
    results, found = judged(run, stated)
    defaults = [str(result.threshold) for result in results if result.threshold.source == "default"]
    assert set(defaults) == INTEGRITY - {"orders_missing: count==0"}
    assert (found.status, found.exit_code) == ("pass", ExitCode.PASS)


def test_a_run_without_an_audit_has_no_default_thresholds(open_peak):
    results, _ = judged(open_peak(**GOOD, ledger=False), {"can_order": ["rate>=50%"]})
    assert len(results) == 1


def test_a_threshold_without_data_makes_the_run_inconclusive(open_peak):
    run = open_peak(**GOOD)
    results, found = judged(run, {"can_order": ["rate>=90%"], "http_req_duration{step:search}": ["p(95)<1s"]})
    assert [result.status for result in results[:2]] == ["pass", "inconclusive"]
    assert (found.status, found.exit_code) == ("inconclusive", ExitCode.INCONCLUSIVE)
    assert found.reasons == (
        (
            "Step search: no request matched {step:search}; steps with requests: category, checkout, home, "
            "pos_sale, product. Required: below 1 s."
        ),
    )


def test_an_unknown_warning_does_not_stop_a_pass(open_peak):
    bound = {"threshold": "p(95)<1s", "severity": "warn"}
    _, found = judged(open_peak(**GOOD), {"can_order": ["rate>=90%"], "service_time{step:search}": [bound]})
    assert found.status == "pass"


def test_a_warning_is_mentioned_and_passes(open_peak):
    bound = {"threshold": "p(50)<1ms", "severity": "warn"}
    _, found = judged(open_peak(**GOOD), {"can_order": ["rate>=90%"], "http_req_duration": [bound]})
    assert (found.status, found.exit_code) == ("pass", ExitCode.PASS)
    assert "1 gave a warning" in found.sentence


# Problems of the generator


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lateness_ms": 80.0}, "the load generator was late"),
        ({"cpu_ratio": 0.97}, "the load generator was too busy: worker w0 used more than 90.0 % of a core"),
        ({"dropped": 3}, "were never started or not finished"),
        (
            {"dropped": 3, "dropped_cause": "drain_limit"},
            "; 3 were still in the shop when the drain ended: raise drain in the scenario",
        ),
        ({"missing": 4}, "4 customers have no outcome"),
        ({"final": False}, "reports of worker w0 are missing"),
    ],
)
def test_a_faulty_run_of_a_good_shop_is_inconclusive(open_peak, change, words):
    run = open_peak(**GOOD, **change)
    _, found = judged(run, {"can_order": ["rate>=90%"]})
    assert (found.status, found.exit_code) == ("inconclusive", ExitCode.INCONCLUSIVE)
    assert any(words.lower() in reason.lower() for reason in found.reasons), found.reasons


RAISED = """Traceback (most recent call last):
  File "/home/us/lib/python3.11/site-packages/doorbuster/load/customers/customer_user.py", line 51, in _visit
    getattr(self, self.arrival.journey)()
  File "/home/us/peaks/locustfiles/_my_shop.py", line 40, in basket
    return submit(self, None, {})
  File "/home/us/lib/python3.11/site-packages/doorbuster/storefronts/forms.py", line 12, in submit
    page.text
AttributeError: 'NoneType' object has no attribute 'text'
"""


def test_a_journey_that_raised_is_named_with_its_line(open_peak):
    run = open_peak(**GOOD, dropped=3, events=(Event(1.0, "script_exception", RAISED),))
    _, found = judged(run, {"can_order": ["rate>=90%"]})
    assert (found.status, found.exit_code) == ("inconclusive", ExitCode.SCRIPT_EXCEPTION)
    assert found.sentence.endswith("because the locustfile or the driver raised an exception.")
    assert found.reasons[0] == (
        "A journey or the driver raised AttributeError: 'NoneType' object has no attribute 'text' "
        "(_my_shop.py:40)."
    )


@pytest.mark.parametrize("change", [{"lateness_ms": 80.0}, {"cpu_ratio": 0.97}])
def test_the_verdict_on_an_overloaded_generator_recommends_workers(open_peak, change):
    _, found = judged(open_peak(**change), {"can_order": ["rate>=99%"]})
    assert any("--workers 2, or on a separate machine" in reason for reason in found.reasons)


@pytest.mark.parametrize("change", [{"lateness_ms": 80.0}, {"cpu_ratio": 0.97}])
def test_an_overloaded_generator_never_fails_the_shop(open_peak, change):
    _, found = judged(open_peak(**change), {"can_order": ["rate>=99%"]})
    assert found.status == "inconclusive"
    assert found.sentence == (
        "INCONCLUSIVE: the run does not show whether the shop passes, because the load "
        "generator was overloaded."
    )


def test_an_overloaded_generator_does_not_explain_missing_orders(open_peak):
    _, found = judged(open_peak(lost=2, lateness_ms=80.0), {"orders_missing": ["count==0"]})
    assert (found.status, found.exit_code) == ("fail", ExitCode.FAIL)
    assert found.sentence == "FAIL: 2 acknowledged orders are missing in the shop's ledger."
    assert any("does not explain the failure" in reason for reason in found.reasons)


def test_a_shop_that_failed_with_less_load_than_planned_failed(open_peak):
    _, found = judged(open_peak(dropped=5), {"can_order": ["rate>=99%"]})
    assert found.status == "fail"


def test_fewer_requests_than_wanted_are_the_generators_fault_when_it_dropped_some(open_peak):
    bound = {"http_reqs": ["count>1000000"]}
    assert judged(open_peak(**GOOD), bound)[1].status == "fail"
    assert judged(open_peak(**GOOD, dropped=5), bound)[1].status == "inconclusive"


def test_missing_customers_explain_a_rate_only_if_they_could_change_it(open_peak):
    bound = {"can_order": ["rate>=99%"]}
    assert judged(open_peak(missing=3), bound)[1].status == "fail"
    run = open_peak(missing=120)
    rows = [row for row in run.customers() if row.browse is not None]
    share = sum(row.n for row in rows if row.browse == 1) / sum(row.n for row in rows)
    assert share < 1.0
    just_above = {"can_browse": [f"rate>={share + 0.0005:.6f}"]}
    assert judged(run, just_above)[1].status == "inconclusive"


def test_a_valid_run_has_no_validity_issues(open_peak):
    assert validity_issues(open_peak(**GOOD)) == ()


def test_a_busy_start_of_a_short_run_is_not_an_overload(open_peak):
    assert validity_issues(open_peak(**GOOD, duration_s=2, cpu_ratio=0.97)) == ()
    assert [flaw.kind for flaw in validity_issues(open_peak(**GOOD, duration_s=3, cpu_ratio=0.97))] == [
        "overloaded"
    ]


# Ends


def test_an_interrupted_run_has_no_result(open_peak):
    _, found = judged(open_peak(status="interrupted", reason="Ctrl-C"))
    assert (found.status, found.exit_code) == ("interrupted", ExitCode.INTERRUPTED)
    assert found.reasons == ("Ctrl-C.",)


def test_a_run_ended_by_a_safety_rule_is_aborted(open_peak):
    run = open_peak(status="aborted", reason="safety.abort turned_away: 93.0 % in the last 1m0s")
    _, found = judged(run)
    assert (found.status, found.exit_code) == ("aborted", ExitCode.ABORTED)
    assert found.sentence.startswith("ABORTED: a safety rule ended the run early (safety.abort turned_away")


def test_a_run_ended_by_an_abort_on_fail_threshold_failed(open_peak):
    run = open_peak(status="aborted", reason="threshold can_order: rate>=99%")
    bound = {"threshold": "rate>=99%", "abortOnFail": True}
    _, found = judged(run, {"can_order": [bound]})
    assert (found.status, found.exit_code) == ("fail", ExitCode.FAIL)


# Counts


def test_rates_and_counts_are_those_of_the_run_file(open_peak):
    run = open_peak(lost=2, oversold=3)
    wanted = {
        "orders_acknowledged": ["count>=1"], "orders_acknowledged{channel:web}": ["count>=1"],
        "orders_missing": ["count==0"], "orders_unacknowledged": ["count==0"],
        "orders_duplicated": ["count==0"],
        "oversold_units": ["count==0"], "orders_refused": ["count<1000"],
        "http_reqs{step:checkout}": ["count>0"],
        "customers{channel:store}": ["count>0"], "http_req_failed": ["rate<50%"], "turned_away": ["rate<50%"],
        "http_req_failed{channel:store}": ["rate<50%"],
    }  # fmt: skip
    results, _ = judged(run, wanted)
    seen = {result.threshold.selector: result.observed for result in results}
    orders, customers = run.orders(), run.customers()
    acknowledged = [order for order in orders if order.answer == "acknowledged"]
    counts = run.request_counts(lambda series: (series.step, series.outcome))
    total = sum(int(row.sum()) for row in counts.values())
    ok = sum(int(row.sum()) for (_, outcome), row in counts.items() if outcome == "ok")
    checkout = sum(int(row.sum()) for (step, _), row in counts.items() if step == "checkout")
    assert seen == {
        "orders_acknowledged": len(acknowledged),
        "orders_acknowledged{channel:web}": sum(order.channel == "web" for order in acknowledged),
        "orders_missing": 2,
        "orders_unacknowledged": 0,
        "orders_duplicated": 0,
        "oversold_units": 3,
        "orders_refused": sum(order.answer == "refused" for order in orders),
        "http_reqs{step:checkout}": checkout,
        "customers{channel:store}": sum(row.n for row in customers if row.channel == "store"),
        "http_req_failed": pytest.approx((total - ok) / total),
        "turned_away": pytest.approx(
            sum(row.n for row in customers if row.outcome == "turned_away") / sum(row.n for row in customers)
        ),
        "http_req_failed{channel:store}": 0.0,
    }


def test_expected_response_chooses_answered_or_unanswered_requests(open_peak):
    run = open_peak()
    wanted = {
        "http_req_duration{expected_response:true}": ["max<1h"],
        "http_req_duration{expected_response:false}": ["max<1h"],
        "http_req_duration": ["max<1h"],
    }
    answered, unanswered, both = judged(run, wanted)[0][:3]
    ok = run.histogram(match=lambda series: series.outcome == "ok")
    bad = run.histogram(match=lambda series: series.outcome != "ok")
    timed = run.histogram(match=lambda series: series.outcome != "failed")
    assert [answered.n, unanswered.n, both.n] == [ok.n, bad.n, timed.n]
    assert answered.observed == ok.max_us / 1e3


def test_a_run_without_a_ledger_does_not_pass_a_threshold_on_missing_orders(open_peak):
    results, found = judged(open_peak(**GOOD, ledger=False), {"orders_missing": ["count==0"]})
    assert results[0].status == "inconclusive"
    assert found.status == "inconclusive"


def test_a_threshold_may_name_a_metric_of_a_section(open_peak):
    from doorbuster.report import Metric, Section

    run = open_peak(**GOOD)
    section = Section("own", "?", "!", metrics={"score": Metric(0.7, n=10), "unknown": Metric(None)})
    model = read_thresholds({"can_order": ["rate>=50%"]})[0]
    for name, expected in (
        ("score", "pass"),
        ("own.score", "pass"),
        ("unknown", "inconclusive"),
        ("nope", "inconclusive"),
    ):
        assert judge(run, (section,), [model.model_copy(update={"metric": name})])[0].status == expected


def test_the_headline_names_the_channel_that_did_worst(open_peak):
    run = open_peak()
    _, found = judged(run, {"can_order": ["rate>=99%"]})
    wanted, could_not = Counter(), Counter()
    for row in run.customers():
        if row.order is not None:
            wanted[row.channel] += row.n
            could_not[row.channel] += row.n * (row.order == 0)
    worst = max(wanted, key=lambda channel: could_not[channel] / wanted[channel])
    assert f"in channel {worst} " in found.sentence


def test_a_threshold_of_one_channel_names_no_other(open_peak):
    _, found = judged(open_peak(), {"can_order{channel:web}": ["rate>=99%"]})
    assert "in channel " not in found.sentence
