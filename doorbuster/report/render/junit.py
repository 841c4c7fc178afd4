"""JUnit XML, as GitLab, Jenkins, Azure and GitHub actions read it: the run is a suite, a threshold is a case.

A failed threshold is a <failure>, an inconclusive one an <error>, so that no tool counts it as passed. One of
severity warn that failed or is inconclusive is <skipped>, with its sentence. When the run did not pass
although no threshold failed, an extra case "verdict" holds the reason: the suite is green only for a passed
run.

The file satisfies the schema of Ant's JUnit tasks and that of the Jenkins xUnit plug-in. Ant allows no output
within a case, so the sentences of all thresholds stand in the output of the suite. The cases share the
duration of the run, so that their sum is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from doorbuster.gate import ThresholdResult, Verdict
from doorbuster.output import clean
from doorbuster.records.reader import Run


def render_junit(run: Run, results: Sequence[ThresholdResult], verdict: Verdict) -> str:
    """The whole file as text, with its XML declaration."""
    meta = run.meta
    classname = clean(f"doorbuster.{meta.scenario_name}")
    suite = ET.Element(
        "testsuite", id="0", package="doorbuster", name=clean(meta.title), hostname=clean(run.generator_host),
    )  # fmt: skip
    suite.set("timestamp", f"{datetime.fromtimestamp(meta.started_at_unix_ns / 1e9, UTC):%Y-%m-%dT%H:%M:%S}")
    suite.set("time", f"{meta.duration_s:.3f}")
    properties = ET.SubElement(suite, "properties")
    for key, value in (
        ("run_id", meta.run_id), ("verdict", verdict.status), ("target", meta.target_url),
        ("git_commit", meta.git_commit), ("report", "index.html"),
    ):  # fmt: skip
        ET.SubElement(properties, "property", name=key, value=clean(value))
    for result in results:
        _case(suite, classname, result)
    if verdict.status not in ("pass", "fail") and not suite.findall("testcase/error"):
        case = ET.SubElement(suite, "testcase", classname=classname, name="verdict")
        _child(case, "error", verdict.sentence, verdict.status, "\n".join(verdict.reasons))
    cases = suite.findall("testcase")
    for case in cases:
        case.set("time", f"{meta.duration_s / len(cases):.3f}")
    suite.set("tests", str(len(cases)))
    for kind, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{kind}"))))
    lines = (
        verdict.sentence,
        *(f"{result.status}: {result.threshold}: {result.sentence}" for result in results),
    )
    ET.SubElement(suite, "system-out").text = clean("\n".join(lines))
    ET.SubElement(suite, "system-err")
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _case(suite: ET.Element, classname: str, result: ThresholdResult) -> None:
    case = ET.SubElement(suite, "testcase", classname=classname, name=clean(str(result.threshold)))
    if result.status == "fail":
        _child(case, "failure", result.sentence, "threshold", result.sentence)
    elif result.status == "inconclusive" and result.threshold.severity != "warn":
        _child(case, "error", result.sentence, "inconclusive", result.sentence)
    elif result.status != "pass":
        ET.SubElement(case, "skipped", message=clean(f"WARNING ({result.status}): {result.sentence}"))


def _child(case: ET.Element, tag: str, message: str, kind: str, text: str) -> None:
    child = ET.SubElement(case, tag, message=clean(message), type=kind)
    child.text = clean(text)
