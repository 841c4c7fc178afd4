"""What to do after a run, with the command."""

from __future__ import annotations

from shlex import quote

from doorbuster.gate import Verdict, validity_issues
from doorbuster.report.overview.values import NextStep
from doorbuster.report.run_context import RunContext
from doorbuster.scenario import Scenario

OVERLOADED = ("overloaded", "limits", "not_delivered", "unmeasured")


def next_steps(context: RunContext, verdict: Verdict, *, is_searched: bool) -> tuple[NextStep, ...]:
    """One or two steps; none for results of another tool, which decides how they are repeated."""
    if context.imported is not None:
        return ()
    scenario = context.scenario
    run = f"doorbuster run {quote(context.run.meta.scenario_name)}"
    if scenario is None:
        return _of_plain_file(verdict)
    if verdict.status == "fail":
        return _after_failure(scenario, run)
    if verdict.status == "pass":
        if is_searched:
            return (
                NextStep("Keep this run as the baseline of later ones.", "doorbuster baseline accept RUN"),
            )
        name = quote(context.run.meta.scenario_name)
        return (NextStep("Find the highest rate at which it still holds.", f"doorbuster capacity {name}"),)
    if verdict.status == "inconclusive":
        return (_decide(context, run),)
    return (NextStep("Run it again to its end.", run),)


def _after_failure(scenario: Scenario, run: str) -> tuple[NextStep, ...]:
    shop = scenario.target.shop
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
