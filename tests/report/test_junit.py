"""The JUnit file of a run: what a pipeline counts as passed, failed and broken."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import junitparser
import pytest

from doorbuster.gate import judge, verdict
from doorbuster.records.reader import Run
from doorbuster.report.render.junit import render_junit
from doorbuster.scenario.thresholds.language import read_thresholds

SAMPLE = Path(__file__).parents[2] / "reports" / "sample" / "junit.xml"


@pytest.fixture
def suite_of(build_peak):
    """The suite in the JUnit file of a peak with these changes, judged by these thresholds."""

    def suite(thresholds, **changes) -> ET.Element:
        with Run.open(build_peak(**changes)) as run:
            results = judge(run, [], read_thresholds(thresholds))
            text = render_junit(run, results, verdict(run, results))
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
        "orders_missing: count==0": [],
        "http_req_duration{step:search}: p(95)<1s": ["error"],
        "http_req_duration: p(95)<1ms": ["skipped"],
        "service_time{step:search}: p(95)<1s": ["skipped"],
        "oversold_units: count==0": [],
        "orders_duplicated: count==0": [],
    }
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["7", "1", "1", "2"]
    assert suite.find("testcase/failure").get("message").endswith("points.")


@pytest.mark.parametrize(
    ("changes", "errors"),
    [({"broken": None}, 0), ({"broken": None, "lateness_ms": 80.0}, 1), ({"status": "interrupted"}, 1)],
)
def test_junit_is_green_only_for_a_run_that_passed(suite_of, changes, errors):
    suite = suite_of({"orders_missing": ["count==0"]}, **changes)
    assert [suite.get("errors"), suite.get("failures")] == [str(errors), "0"]


def test_junit_has_what_the_schemas_of_ant_and_jenkins_require(suite_of):
    """Order, attributes and types of the schema of Ant's JUnit tasks, which is the stricter one."""
    suite = suite_of(
        {"can_order": ["rate>=99%"], "http_req_duration": [{"threshold": "p(95)<1ms", "severity": "warn"}]}
    )
    order = [child.tag for child in suite]
    assert order == ["properties", *["testcase"] * int(suite.get("tests")), "system-out", "system-err"]
    required = {"name", "timestamp", "hostname", "tests", "failures", "errors", "time", "id", "package"}
    assert required <= set(suite.keys()) <= required | {"skipped"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp"))
    assert suite.get("hostname")
    assert {one.get("name") for one in suite.find("properties")} >= {"run_id", "report", "git_commit"}
    for case in suite.findall("testcase"):
        assert set(case.keys()) == {"name", "classname", "time"}
        assert case.get("classname") == "doorbuster.sale"
        assert len(case) <= 1
        assert all(child.tag == "skipped" or child.get("type") for child in case)
    assert sum(float(case.get("time")) for case in suite.findall("testcase")) == pytest.approx(60, abs=0.1)


def test_junitparser_reads_the_sample():
    (suite,) = junitparser.JUnitXml.fromfile(str(SAMPLE))
    results = [type(case.result[0]).__name__ if case.result else "passed" for case in suite]
    assert results == ["Failure"] * 3 + ["Error"] + ["passed"] * 3
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (7, 3, 1, 0)
    assert suite.hostname
