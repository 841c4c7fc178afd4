"""What to do after a run, with the command."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from doorbuster.bundled import scenario_argument
from doorbuster.gate import ThresholdResult, Verdict, validity_issues
from doorbuster.gate.threshold_result import failed_only_against_baseline
from doorbuster.report.overview.values import NextStep
from doorbuster.report.run_context import RunContext
from doorbuster.scenario import Scenario

OVERLOADED = ("overloaded", "limits", "not_delivered", "unmeasured")


def next_steps(
    context: RunContext, results: Sequence[ThresholdResult], verdict: Verdict, *, is_searched: bool
) -> tuple[NextStep, ...]:
    """One or two steps; none for results of another tool, which decides how they are repeated."""
    if context.imported is not None:
        return ()
    scenario = context.scenario
    name = quote(scenario_argument(context.run.meta.scenario_name))
    run = f"doorbuster run {name}"
    if scenario is None:
        return _of_plain_file(verdict)
    if verdict.status == "fail":
        return _after_failure(scenario, results, run)
    if verdict.status == "pass":
        if is_searched:
            return (
                NextStep("Keep this run as the baseline of later ones.", "doorbuster baseline accept RUN"),
            )
        return (NextStep("Find the highest rate at which it still holds.", f"doorbuster capacity {name}"),)
    if verdict.status == "inconclusive":
        return (_decide(context, run),)
    return (NextStep("Run it again to its end.", run),)


def _after_failure(scenario: Scenario, results: Sequence[ThresholdResult], run: str) -> tuple[NextStep, ...]:
    shop = scenario.target.shop
    if failed_only_against_baseline(results):
        compare = "doorbuster compare BASELINE -- CANDIDATE"
        return (NextStep("Find the change that made it worse: compare all metrics of both builds.", compare),)
    if shop is not None and shop.profile == "in-house-2004":
        return (NextStep("See the same peak on a redesigned shop.", f"{run} --profile replatformed"),)
    return (NextStep("After the change, run the same peak again and compare both.", run),)


def _decide(context: RunContext, run: str) -> NextStep:
    kinds = {issue.kind for issue in validity_issues(context.run)} if _is_over(context) else set()
    if kinds & set(OVERLOADED):
        workers = 2 * max(context.run.meta.workers, 1)
        return NextStep("Run it again with a faster load generator.", f"{run} --workers {workers}")
    if kinds:
        return NextStep("Remove what made the run invalid, then run it again.", run)
    return NextStep("Run it longer, or with more customers, until every threshold is decided.", run)


def _is_over(context: RunContext) -> bool:
    return context.run.meta.status == "finished"


def _of_plain_file(verdict: Verdict) -> tuple[NextStep, ...]:
    if verdict.status == "pass":
        return (
            NextStep(
                "Give the scenario a demand, so that customers arrive whether or not the shop keeps up."
            ),
        )
    return (NextStep("Run it again after the change and compare both.", "doorbuster compare BEFORE AFTER"),)
