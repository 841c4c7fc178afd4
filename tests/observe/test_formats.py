"""The text formats: published examples, counters, and input that has no meaning."""

from __future__ import annotations

import math

import pytest

from doorbuster.observe.exposition import parse_exposition
from doorbuster.observe.name_values import parse_name_values
from doorbuster.observe.plan import ObservationPlan, ResourceRule, Selection, SourcePlan
from doorbuster.observe.rates import CounterRates
from doorbuster.observe.resources import ResourceView
from doorbuster.observe.sample import counter, gauge
from doorbuster.observe.sources.graphite import parse_line

# The example of "Exposition formats" in the documentation of Prometheus.
PUBLISHED = r"""
# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# A histogram, which has a pretty complex representation in the text format:
# HELP http_request_duration_seconds A histogram of the request duration.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320

# Finally a summary, which has a complex representation, too:
# HELP rpc_duration_seconds A summary of the RPC duration in seconds.
# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.01"} 3102
rpc_duration_seconds_sum 1.7560473e+07
rpc_duration_seconds_count 2693
"""


def test_the_published_example_is_read():
    found = list(parse_exposition(PUBLISHED))
    by_name = {(sample.name, dict(sample.labels).get("code")): sample for sample in found}

    assert by_name["http_requests_total", "200"].value == 1027
    assert by_name["http_requests_total", "400"].is_counter
    path = next(one for one in found if one.name == "msdos_file_access_time_seconds")
    assert dict(path.labels) == {"path": r"C:\DIR\FILE.TXT", "error": 'Cannot find file:\n"FILE.TXT"'}
    assert by_name["something_weird", None].value == math.inf
    assert not by_name["metric_without_timestamp_and_labels", None].is_counter
    assert [one.name for one in found if "duration" in one.name] == [
        "http_request_duration_seconds_sum",
        "http_request_duration_seconds_count",
        "rpc_duration_seconds",
        "rpc_duration_seconds_sum",
        "rpc_duration_seconds_count",
    ]


def test_openmetrics_exemplars_and_creation_times_are_skipped():
    text = '# TYPE a counter\na_total 5 # {trace_id="x"} 0.5\na_created 1.6e9\n# EOF\n'

    assert [(one.name, one.value, one.is_counter) for one in parse_exposition(text)] == [("a_total", 5, True)]


@pytest.mark.parametrize("line", ["<html>", "a{b=c} 1", 'a{b="c} 1', "a one", "1a 1", "a 1 2 3"])
def test_a_page_in_another_format_is_refused_with_its_line(line):
    with pytest.raises(ValueError, match="line 2 "):
        list(parse_exposition(f"ok 1\n{line}\n"))


def test_lines_of_a_command_are_names_and_numbers():
    found = list(parse_name_values("# queues\nqueue 17\nqueue.length{name:mail,of=shop} 3.5\n\n"))

    assert found == [gauge("queue", 17), gauge("queue_length", 3.5, name="mail", of="shop")]
    with pytest.raises(ValueError, match="line 1 must be a name and a number"):
        list(parse_name_values("connected_clients:17"))


def test_a_line_of_graphite_has_a_path_tags_a_value_and_a_time():
    assert parse_line("shop.db.busy;role=primary 3 1700000000\n", -1_699_999_000.0) == gauge(
        "shop_db_busy", 3, 1000.0, role="primary"
    )
    assert parse_line("shop.db.busy nan-number 0", 0.0) is None
    assert parse_line("too few", 0.0) is None


def test_a_counter_is_its_increase_per_second_and_restarts_from_zero():
    rates = CounterRates()

    assert rates.value(counter("n", 100), 10.0) is None
    assert rates.value(counter("n", 130), 12.0) == 15.0
    assert rates.value(counter("n", 6), 14.0) == 3.0
    assert rates.value(gauge("g", 6), 14.0) == 6.0


def test_resources_are_sums_divided_by_their_limit():
    view = ResourceView(
        [
            ResourceRule(
                "db", "utilisation", Selection("busy", {"role": "primary"}), Selection("workers", {})
            ),
            ResourceRule("db", "saturation", Selection("waiting", {}), Selection("workers", {})),
            ResourceRule("lock", "utilisation", Selection("locked", {}), 2.0),
            ResourceRule("payment", "utilisation", Selection("paying", {}), Selection("slots", {})),
        ]
    )
    samples = [
        gauge("busy", 3, role="primary", db="a"), gauge("busy", 5, role="primary", db="b"),
        gauge("busy", 9, role="replica"), gauge("workers", 16), gauge("waiting", 7), gauge("locked", 1),
        gauge("paying", 4),
    ]  # fmt: skip

    found = {(one.name, dict(one.labels)["resource"]): one.value for one in view.update(samples)}

    # The payment service states no limit, so its utilisation is unknown.
    assert found == {("utilisation", "db"): 0.5, ("saturation", "db"): 7, ("utilisation", "lock"): 0.5}


def test_a_plan_read_from_its_json_is_equal():
    rules = (
        ResourceRule("a", "errors", Selection("e", {"x": "y"})),
        ResourceRule("b", "utilisation", Selection("u", {}), 4.0),
        ResourceRule("c", "utilisation", Selection("u", {}), Selection("limit", {})),
    )
    plan = ObservationPlan(12.5, (SourcePlan("s", "scrape", 1.0, ("a*",), {"url": "http://x"}),), rules)

    assert ObservationPlan.from_json(plan.to_json()) == plan
