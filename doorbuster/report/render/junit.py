"""JUnit XML, as GitLab, Jenkins and GitHub actions read it: the run is a suite, a threshold is a case.

A failed threshold is a <failure>, an inconclusive one an <error>, so that no tool counts it as passed. A
warning passes, with a note in <system-out>. When the run did not pass although no threshold failed, an extra
case "verdict" holds the reason: the suite is green only for a passed run.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from doorbuster.gate import ThresholdResult, Verdict
from doorbuster.output import clean
from doorbuster.records.metadata import RunMeta


def render_junit(meta: RunMeta, results: Sequence[ThresholdResult], verdict: Verdict) -> str:
    """The whole file as text, with its XML declaration."""
    name = clean(meta.title)
    suite = ET.Element("testsuite", name=name, hostname=clean(str(meta.machine.get("hostname", ""))))
    suite.set("timestamp", f"{datetime.fromtimestamp(meta.started_at_unix_ns / 1e9, UTC):%Y-%m-%dT%H:%M:%S}")
    suite.set("time", f"{meta.duration_s:.3f}")
    properties = ET.SubElement(suite, "properties")
    for key, value in (("run_id", meta.run_id), ("verdict", verdict.status), ("target", meta.target_url)):
        ET.SubElement(properties, "property", name=key, value=clean(value))
    for result in results:
        _case(suite, name, result)
    if verdict.status not in ("pass", "fail") and not suite.findall("testcase/error"):
        case = ET.SubElement(suite, "testcase", classname=name, name="verdict", time="0")
        _child(case, "error", verdict.sentence, verdict.status, "\n".join(verdict.reasons))
    suite.set("tests", str(len(suite.findall("testcase"))))
    for kind in ("failure", "error"):
        suite.set(f"{kind}s", str(len(suite.findall(f"testcase/{kind}"))))
    suite.set("skipped", "0")
    output = ET.SubElement(suite, "system-out")
    output.text = clean(verdict.sentence)
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _case(suite: ET.Element, classname: str, result: ThresholdResult) -> None:
    case = ET.SubElement(suite, "testcase", classname=classname, name=clean(str(result.threshold)), time="0")
    warns = result.threshold.severity == "warn"
    if result.status == "fail":
        _child(case, "failure", result.sentence, "threshold", result.sentence)
    elif result.status == "inconclusive" and not warns:
        _child(case, "error", result.sentence, "inconclusive", result.sentence)
    else:
        word = "" if result.status == "pass" else f"WARNING ({result.status}): "
        output = ET.SubElement(case, "system-out")
        output.text = clean(f"{word}{result.sentence}")


def _child(case: ET.Element, tag: str, message: str, kind: str, text: str) -> None:
    child = ET.SubElement(case, tag, message=clean(message), type=kind)
    child.text = clean(text)
