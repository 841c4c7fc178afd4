"""`target.headers`: names, values from the environment, and what cannot be sent."""

from __future__ import annotations

import pytest

from doorbuster.errors import UsageError
from doorbuster.scenario import fill_headers, header_variables, read_locust_scenario


def target(headers: str, more: str = "") -> str:
    return f"target: {{shop: {{profile: replatformed}}, headers: {headers}{more}}}"


def test_values_come_from_the_environment(scenario_with):
    scenario = scenario_with(2, target('{X-Api-Key: "${KEY}", X-Who: "load ${WHO} of ${KEY}", X-Build: 17}'))
    headers = scenario.target.headers
    assert header_variables(headers) == ("KEY", "WHO")
    filled = fill_headers(headers, {"KEY": " k1\n", "WHO": "test"})
    assert filled.values == {"X-Api-Key": "k1", "X-Who": "load test of k1", "X-Build": "17"}
    assert filled.secrets == ("k1", "test")
    assert "k1" not in repr(filled)


def test_all_missing_variables_are_named_at_once():
    with pytest.raises(UsageError, match="variables A, B, which are not set"):
        fill_headers({"X-A": "${A}", "X-B": "${B}${A}", "X-C": "${C}"}, {"C": "c", "B": ""})


def test_a_value_with_a_line_break_is_refused_without_being_shown():
    with pytest.raises(UsageError) as caught:
        fill_headers({"X-A": "${A}"}, {"A": "secret\r\nHost: other"})
    assert "the environment variable A has a line break" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        ("[X-A]", "must be headers by name"),
        ('{"X A": b}', "must be the name of an HTTP header"),
        ("{Host: b}", "is a header that the HTTP client sets itself"),
        ("{Cookie: b}", "is a header that the HTTP client sets itself"),
        ("{X-Doorbuster-Run: b}", "is a header that the HTTP client sets itself"),
        ("{X-A: b, x-a: c}", "is given twice"),
        ("{X-A: [b]}", "must be text"),
        ('{X-A: "${}"}', "has a ${ without the name"),
        ('{X-A: "b\\r\\nc"}', "must be one line of printable characters"),
        ("{X-Api-Key: abc123}", "must take its value from the environment"),
        ("{Authorization: Basic YWJj}", "must take its value from the environment"),
        ("{x-request-id: abc}", "has the id of each request"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(problems_with, headers, rule):
    problems = problems_with(2, target(headers))
    assert len(problems) == 1
    assert rule in problems[0]
    assert "abc123" not in problems[0]
    assert "YWJj" not in problems[0]


def test_the_header_of_request_ids_can_be_another_one(scenario_with):
    scenario = scenario_with(2, target("{x-request-id: abc}", ", request_id_header: none"))
    assert scenario.target.headers == {"x-request-id": "abc"}


def test_the_scenario_of_a_plain_locust_file_has_headers_without_a_url():
    scenario = read_locust_scenario('title: t\ntarget: {headers: {X-Api-Key: "${KEY}"}}\n')
    assert scenario.target.url is None
    assert scenario.target.headers == {"X-Api-Key": "${KEY}"}
