"""The JUnit file of a run: what a pipeline counts as passed, failed and broken."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from doorbuster.gate import judge, verdict
from doorbuster.records.reader import Run
from doorbuster.report.render.junit import render_junit
from doorbuster.scenario.thresholds.language import read_thresholds


@pytest.fixture
def suite_of(build_peak):
    """The suite in the JUnit file of a peak with these changes, judged by these thresholds."""

    def suite(thresholds, **changes) -> ET.Element:
        with Run.open(build_peak(**changes)) as run:
            results = judge(run, [], read_thresholds(thresholds))
            text = render_junit(run.meta, results, verdict(run, results))
        return ET.fromstring(text.encode()).find("testsuite")

    return suite


def test_junit_has_a_case_per_threshold_with_its_result(suite_of):
    suite = suite_of(
        {
            "can_order": ["rate>=99%"],
            "orders_missing": ["count==0"],
            "http_req_duration{step:search}": ["p(95)<1s"],
            "http_req_duration": [{"threshold": "p(95)<1ms", "severity": "warn"}],
            "service_time{step:search}": [{"threshold": "p(95)<1s", "severity": "warn"}],
        }
    )
    cases = {case.get("name"): [child.tag for child in case] for case in suite.findall("testcase")}
    assert cases == {
        "can_order: rate>=99%": ["failure"],
        "orders_missing: count==0": ["system-out"],
        "http_req_duration{step:search}: p(95)<1s": ["error"],
        "http_req_duration: p(95)<1ms": ["system-out"],
        "service_time{step:search}: p(95)<1s": ["system-out"],
        "oversold_units: count==0": ["system-out"],
        "orders_duplicated: count==0": ["system-out"],
    }
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("7", "1", "1")
    assert suite.find("testcase/failure").get("message").endswith("points.")


@pytest.mark.parametrize(
    ("changes", "errors"),
    [({"broken": None}, 0), ({"broken": None, "lateness_ms": 80.0}, 1), ({"status": "interrupted"}, 1)],
)
def test_junit_is_green_only_for_a_run_that_passed(suite_of, changes, errors):
    suite = suite_of({"orders_missing": ["count==0"]}, **changes)
    assert [suite.get("errors"), suite.get("failures")] == [str(errors), "0"]
