"""Single thresholds at the limits between pass, fail and inconclusive."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.gate import CounterTotal, NoData, RateCounts, SectionValue, TrendCounts, decide, format_margin
from doorbuster.records.histogram import Histogram
from doorbuster.scenario.thresholds.language import Threshold, read_thresholds

EMPTY = Histogram.empty()


def threshold(subject: str, expression: str, **options) -> Threshold:
    entry = {"threshold": expression, **options} if options else expression
    return read_thresholds({subject: [entry]})[0]


def trend(answered_ms, abandoned_ms=()) -> TrendCounts:
    return TrendCounts(
        Histogram.from_values(np.array(answered_ms, dtype=float) * 1000),
        Histogram.from_values(np.array(abandoned_ms, dtype=float) * 1000) if len(abandoned_ms) else EMPTY,
    )


def status(subject: str, expression: str, tally, **options) -> str:
    return decide(threshold(subject, expression, **options), tally).status


# No data and too few data


@pytest.mark.parametrize(
    ("subject", "expression", "tally"),
    [
        ("http_req_duration", "p(95)<800ms", TrendCounts(EMPTY, EMPTY)),
        ("http_req_duration", "max<800ms", TrendCounts(EMPTY, EMPTY)),
        ("can_order", "rate>=99%", RateCounts(0, 0)),
        ("http_req_failed", "rate<1%", RateCounts(0, 0)),
        ("orders_missing", "count==0", CounterTotal(0, 0, 60.0)),
        ("oversold_units", "count==0", NoData("the shop's ledger was not read")),
    ],
)
def test_no_data_is_never_a_pass(subject, expression, tally):
    judged = decide(threshold(subject, expression), tally)
    assert (judged.status, judged.observed, judged.n, judged.certain) == ("inconclusive", None, 0, False)


@pytest.mark.parametrize("expression", ["p(50)<1s", "p(95)<1s", "p(99)<1s", "avg<1s"])
def test_one_sample_cannot_pass_a_quantile_or_an_average(expression):
    assert status("http_req_duration", expression, trend([10])) == "inconclusive"


def test_one_sample_is_its_own_maximum():
    assert status("http_req_duration", "max<1s", trend([10])) == "pass"
    assert status("http_req_duration", "max<1s", trend([1100])) == "fail"


def test_one_customer_cannot_decide_a_rate():
    assert status("can_order", "rate>=99%", RateCounts(1, 1)) == "inconclusive"
    assert status("can_order", "rate>=99%", RateCounts(0, 1)) == "fail"  # at most 97.5 % even so


# Quantiles and their minimum n


def test_p99_needs_299_samples():
    values = np.linspace(1, 100, 299)
    assert status("http_req_duration", "p(99)<1s", trend(values[:298])) == "inconclusive"
    assert status("http_req_duration", "p(99)<1s", trend(values)) == "pass"


def test_the_sentence_of_too_few_samples_says_how_many_are_needed():
    judged = decide(threshold("http_req_duration", "p(99)<1s"), trend(np.linspace(1, 100, 100)))
    assert judged.sentence == (
        "99 of 100 answers came within 99 ms (100 requests, 95 % interval 97 ms to unknown). Required: "
        "below 1 s. This percentile needs 299 requests, there were 100."
    )


def test_too_few_samples_still_fail_when_even_the_best_case_does():
    judged = decide(threshold("http_req_duration", "p(99)<1s"), trend(np.full(100, 2000.0)))
    assert (judged.status, judged.certain) == ("fail", True)


def test_an_interval_across_the_bound_passes_with_a_remark():
    values = [*np.full(9600, 100.0), *np.full(400, 2000.0)]
    close = [*np.full(9505, 100.0), *np.full(495, 2000.0)]
    sure, unsure = (decide(threshold("http_req_duration", "p(95)<1s"), trend(v)) for v in (values, close))
    assert (sure.status, sure.certain) == ("pass", True)
    assert (unsure.status, unsure.certain) == ("pass", False)
    assert unsure.sentence.endswith(
        "Not certain: the interval reaches to 2 s, so another run may decide otherwise."
    )


# Exactly the bound


@pytest.mark.parametrize(
    ("expression", "expected"), [("p(95)<800ms", "fail"), ("p(95)<=800ms", "pass"), ("p(95)>=800ms", "pass")]
)
def test_a_time_in_the_bin_of_the_bound_counts_as_the_bound(expression, expected):
    assert status("http_req_duration", expression, trend(np.full(100, 800.0))) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("rate>=99.9%", "pass"), ("rate>99.9%", "fail"), ("rate<=99.9%", "pass"), ("rate==99.9%", "pass")],
)
def test_rounding_does_not_change_the_result_of_a_rate_at_its_bound(expression, expected):
    assert 0.999 < 99.9 / 100  # the parsed bound is one bit above 999/1000
    assert status("can_order", expression, RateCounts(9990, 10000)) == expected


@pytest.mark.parametrize(
    ("expression", "count", "expected"),
    [
        ("count==0", 0, "pass"), ("count==0", 1, "fail"), ("count===0", 0, "pass"), ("count!=0", 0, "fail"),
        ("count<=3", 3, "pass"), ("count<3", 3, "fail"), ("count>=3", 3, "pass"), ("count>3", 3, "fail"),
    ],
)  # fmt: skip
def test_a_count_is_exact(expression, count, expected):
    judged = decide(threshold("orders_missing", expression), CounterTotal(count, 100, 60.0))
    assert (judged.status, judged.observed, judged.low, judged.certain) == (expected, count, None, True)


def test_a_counter_has_a_rate_over_the_run():
    judged = decide(threshold("http_reqs", "rate>28/s"), CounterTotal(1800, 1800, 60.0))
    assert (judged.status, judged.observed, judged.margin) == ("pass", 30.0, 2.0)


# Rates


def test_zero_errors_of_ten_pass_with_the_remark_not_certain():
    judged = decide(threshold("http_req_failed", "rate<1%"), RateCounts(0, 10))
    assert (judged.status, judged.certain, judged.observed) == ("pass", False, 0.0)
    assert judged.high == pytest.approx(0.3085, abs=1e-4)
    assert "Not certain" in judged.sentence


def test_all_of_n_pass_with_the_lower_end_of_the_interval_shown():
    judged = decide(threshold("can_order", "rate>=99%"), RateCounts(1000, 1000))
    assert (judged.status, judged.certain) == ("pass", True)
    assert judged.sentence.startswith("100 % of the customers who wanted to order could (1,000 of 1,000, ")


def test_the_remark_shows_on_which_side_of_the_bound_the_interval_ends():
    judged = decide(threshold("can_browse", "rate>=99%"), RateCounts(865, 868))
    assert "95 % interval 99.0 % to 99.9 %" in judged.sentence
    assert "Not certain: the interval reaches to 98.993 %," in judged.sentence


def test_five_of_five_are_too_few_to_pass():
    assert status("can_order", "rate>=99%", RateCounts(5, 5)) == "inconclusive"
    assert status("can_order", "rate>=99%", RateCounts(6, 6)) == "pass"


def test_one_failure_does_not_fail_a_small_run():
    judged = decide(threshold("can_order", "rate>=99%"), RateCounts(29, 30))
    assert judged.status == "inconclusive"
    assert judged.sentence.endswith(
        "Too few, a single customer or request would decide: this bound needs 100, there were 30."
    )


def test_a_small_run_fails_when_chance_cannot_explain_it():
    assert status("can_order", "rate>=99%", RateCounts(20, 30)) == "fail"


def test_a_bound_that_allows_one_exception_is_decided_by_the_estimate():
    assert status("can_order", "rate>=99%", RateCounts(99, 100)) == "pass"
    assert status("can_order", "rate>=99%", RateCounts(98, 100)) == "fail"
    assert status("http_req_failed", "rate<1%", RateCounts(1, 100)) == "inconclusive"  # strict: needs 101
    assert status("http_req_failed", "rate<1%", RateCounts(1, 101)) == "pass"


@pytest.mark.parametrize(("expression", "k"), [("rate>=100%", 29), ("rate<=0%", 1), ("rate==0", 1)])
def test_a_bound_of_100_percent_fails_at_the_first_exception(expression, k):
    assert status("can_order", expression, RateCounts(k, 30)) == "fail"


# Customers who left before the response


def test_abandoned_requests_alone_are_at_least_and_never_pass():
    judged = decide(threshold("http_req_duration", "p(95)<3s"), trend([], np.full(400, 900.0)))
    assert (judged.status, judged.at_least, judged.n) == ("inconclusive", True, 400)
    assert judged.observed == pytest.approx(900, rel=0.002)
    assert "or later" in judged.sentence


def test_abandoned_requests_alone_fail_when_they_already_waited_too_long():
    judged = decide(threshold("http_req_duration", "p(95)<3s"), trend([], np.full(400, 4000.0)))
    assert (judged.status, judged.at_least) == ("fail", True)


def test_at_least_is_enough_for_a_lower_bound():
    assert status("http_req_duration", "p(95)>3s", trend([], np.full(400, 4000.0))) == "pass"
    assert status("http_req_duration", "p(95)>5s", trend([], np.full(400, 4000.0))) == "inconclusive"


def test_abandoned_requests_do_not_make_a_shop_look_fast():
    rng = np.random.default_rng(3)
    takes_ms, patience_ms = rng.exponential(1000, 20_000), rng.weibull(1.5, 20_000) * 1500
    stayed = takes_ms <= patience_ms
    judged = decide(
        threshold("http_req_duration", "p(95)<2500ms"), trend(takes_ms[stayed], patience_ms[~stayed])
    )
    seen = np.quantile(np.minimum(takes_ms, patience_ms), 0.95)
    assert seen < 2500 < -np.log(0.05) * 1000  # counted as answers, the shop would pass
    assert judged.status == "fail"
    assert judged.observed == pytest.approx(-np.log(0.05) * 1000, rel=0.05)


# Severity, margins, section metrics


def test_a_warning_never_fails():
    assert status("can_order", "rate>=99%", RateCounts(50, 100), severity="warn") == "warn"
    assert status("can_order", "rate>=99%", RateCounts(100, 100), severity="warn") == "pass"
    assert status("can_order", "rate>=99%", RateCounts(0, 0), severity="warn") == "inconclusive"


@pytest.mark.parametrize(
    ("expression", "k", "text"), [("rate>=99%", 950, "−4 points"), ("rate>=90%", 950, "+5 points")]
)
def test_the_margin_of_a_rate_is_in_points(expression, k, text):
    bound = threshold("can_order", expression)
    assert format_margin(bound, decide(bound, RateCounts(k, 1000)).margin) == text


def test_the_margin_of_a_time_is_a_time():
    bound = threshold("http_req_duration", "avg<1s")
    judged = decide(bound, trend(np.full(100, 1500.0)))
    assert judged.margin == pytest.approx(-500, rel=0.01)
    assert format_margin(bound, -500.0) == "−500 ms"


def test_a_metric_of_a_section_is_evaluated_like_any_other():
    own = threshold("can_order", "rate>=50%").model_copy(update={"metric": "own_metric"})
    assert decide(own, SectionValue(0.6, 0.55, 0.65, 1000, at_least=False)).status == "pass"
    unsure = decide(own, SectionValue(0.6, 0.45, 0.75, 10, at_least=False))
    assert (unsure.status, unsure.certain) == ("pass", False)


def test_the_sentence_names_the_tags():
    judged = decide(threshold("http_req_duration{name:checkout,channel:web}", "max<1s"), trend([2000]))
    assert judged.sentence == (
        "Step checkout, channel web: the longest response time was 2 s (1 request). Required: below 1 s; "
        "missed by 1 s."
    )
