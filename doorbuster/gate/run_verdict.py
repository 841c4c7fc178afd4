"""The verdict on a run: one sentence for a manager, the reasons and the exit code.

Rules, in this order:
1. Interrupted by the user, or the
   recording broke off                   -> interrupted, regardless of the measurements.
2. Ended by a rule                       -> fail when an abortOnFail threshold failed, else aborted.
3. A threshold failed, and no validity
   issue explains it                     -> fail.
4. A validity issue, an inconclusive
   threshold, or no thresholds           -> inconclusive: problems of the generator never fail the shop.
5. Otherwise                             -> pass. Warnings are mentioned and do not fail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from doorbuster.errors import ExitCode
from doorbuster.gate.customer_rate import customer_rate, worst_channel
from doorbuster.gate.recorded_metrics import RecordedMetrics
from doorbuster.gate.threshold_decision import decide, without_baseline
from doorbuster.gate.threshold_result import HasMetrics, ThresholdResult, Verdict
from doorbuster.gate.validity import ValidityIssue, explains, validity_issues
from doorbuster.records.import_info import ImportInfo, import_info
from doorbuster.records.metadata import WRITER_ENDED
from doorbuster.records.reader import Run
from doorbuster.scenario.thresholds.language import Threshold, read_thresholds
from doorbuster.scenario.thresholds.metrics import (
    METRICS,
    UNRANKED,
    Customers,
    MetricDefinition,
    RequestTimes,
)
from doorbuster.stats.proportion import ProportionEstimate
from doorbuster.units import format_count, format_counted, format_duration

INTEGRITY_METRICS = ("oversold_units", "orders_missing", "orders_duplicated")
DEFAULT_SOURCE = "default"  # of a threshold that no scenario states


@dataclass(frozen=True, slots=True)
class KnownCauses:
    """What explains failures, as a clause after "because"; "" where it is unknown."""

    lost_customers: str = ""
    slow_answers: str = ""


UNKNOWN = KnownCauses()


def judge(
    run: Run,
    sections: Sequence[HasMetrics],
    thresholds: Sequence[Threshold],
    *,
    relative: Callable[[Threshold], ThresholdResult] = without_baseline,
) -> tuple[ThresholdResult, ...]:
    """Evaluates thresholds on a run, in the given order, and the default ones of its audit after them.

    A default that the ledger cannot answer, such as overselling without known stock, is left out.

    Args:
        sections: report sections, whose named metrics thresholds may use.
        relative: evaluates a threshold that refers to a baseline.
    """
    metrics = RecordedMetrics(run, tuple(sections))
    stated = (
        relative(threshold) if threshold.relative else decide(threshold, metrics.data(threshold))
        for threshold in thresholds
    )
    default = (
        decide(threshold, metrics.data(threshold)) for threshold in integrity_thresholds(run, thresholds)
    )
    return (*stated, *(result for result in default if result.status != "inconclusive"))


def integrity_thresholds(run: Run, thresholds: Sequence[Threshold]) -> tuple[Threshold, ...]:
    """The default thresholds of an audited run: no order is missing or booked twice, and no unit oversold.

    A threshold of the scenario on one of these metrics, of any severity, replaces its default.
    """
    if run.audit() is None:
        return ()
    stated = {threshold.metric for threshold in thresholds if not threshold.tags}
    missing = {name: "count==0" for name in INTEGRITY_METRICS if name not in stated}
    return tuple(
        threshold.model_copy(update={"source": DEFAULT_SOURCE}) for threshold in read_thresholds(missing)
    )


def verdict(run: Run, results: Sequence[ThresholdResult], causes: KnownCauses = UNKNOWN) -> Verdict:
    """The verdict on the whole run; `causes` explain a failure in its sentence."""
    meta = run.meta
    failed = [result for result in results if result.status == "fail"]
    if meta.status == "interrupted":
        return _interrupted(run)
    if meta.status == "aborted":
        return _aborted(run, failed, causes)
    found = (
        validity_issues(run)
        if meta.status == "finished"
        else (ValidityIssue("records", "the run has not ended yet"),)
    )
    shop_to_blame = [result for result in failed if not any(explains(issue, result) for issue in found)]
    if shop_to_blame:
        shop_to_blame.sort(key=_rank)
        reasons = (*(_reason(result) for result in shop_to_blame), *_also(found))
        sentence = f"FAIL: {_failure(run, shop_to_blame, causes)}"
        return Verdict("fail", sentence, reasons, ExitCode.FAIL)
    return _without_failure(run, results, failed, found)


def _interrupted(run: Run) -> Verdict:
    meta = run.meta
    reached = format_duration(min(run.recorded_s, meta.duration_s))
    reason = meta.status_reason or "it was stopped from outside"
    sentence = (
        f"INTERRUPTED: the run ended after {reached} of its {format_duration(meta.duration_s)}, "
        "so it does not show whether the shop passes."
    )
    code = ExitCode.NOT_RECORDED if reason == WRITER_ENDED else ExitCode.INTERRUPTED
    return Verdict("interrupted", sentence, (_as_sentence(reason),), code)


def _aborted(run: Run, failed: Sequence[ThresholdResult], causes: KnownCauses) -> Verdict:
    meta = run.meta
    reached = format_duration(min(run.recorded_s, meta.duration_s))
    stopped = f"The run was stopped after {reached}: {meta.status_reason}"
    by_threshold = [result for result in failed if result.threshold.abort_on_fail]
    if by_threshold:
        reasons = (_as_sentence(stopped), *(_reason(result) for result in failed))
        return Verdict("fail", f"FAIL: {_failure(run, failed, causes)}", reasons, ExitCode.FAIL)
    reason = meta.status_reason or "no reason was recorded"
    sentence = f"ABORTED: a safety rule ended the run early ({reason.rstrip('.')})."
    return Verdict("aborted", sentence, tuple(_reason(result) for result in failed), ExitCode.ABORTED)


def _without_failure(
    run: Run,
    results: Sequence[ThresholdResult],
    failed: Sequence[ThresholdResult],
    found: Sequence[ValidityIssue],
) -> Verdict:
    """Inconclusive or pass, when the shop caused no failure."""
    unknown = [
        result
        for result in results
        if result.status == "inconclusive" and result.threshold.severity == "fail"
    ]
    reasons = [_as_sentence(issue.sentence) for issue in found]
    reasons += [f"{_reason(result)} The load generator may be the cause." for result in failed]
    reasons += [_reason(result) for result in unknown]
    if all(result.threshold.source == DEFAULT_SOURCE for result in results):
        reasons.append("The scenario has no thresholds; add some to get a verdict.")
    if reasons:
        sentence = f"INCONCLUSIVE: {_inconclusive(found, unknown)}"
        raised = any(issue.kind == "script" for issue in found)
        code = ExitCode.SCRIPT_EXCEPTION if raised else ExitCode.INCONCLUSIVE
        return Verdict("inconclusive", sentence, tuple(reasons), code)
    warned = [result for result in results if result.status == "warn"]
    reasons = [
        _reason(result) for result in (*warned, *(result for result in results if _is_uncertain(result)))
    ]
    return Verdict("pass", f"PASS: {_success(run, results, warned)}", tuple(reasons), ExitCode.PASS)


def _is_uncertain(result: ThresholdResult) -> bool:
    return result.status == "pass" and not result.certain


def _inconclusive(found: Sequence[ValidityIssue], unknown: Sequence[ThresholdResult]) -> str:
    unknown_because = "the run does not show whether the shop passes, because"
    kinds = {issue.kind for issue in found}
    if "overloaded" in kinds:
        return f"{unknown_because} the load generator was overloaded."
    if "ceiling" in kinds:
        return f"{unknown_because} safety.max_rate delayed its requests."
    if "limits" in kinds:
        return f"{unknown_because} the load generator reached a limit of its machine."
    if "host" in kinds:
        return f"{unknown_because} some steps led to hosts that may not be loaded."
    if "unmeasured" in kinds:
        return f"{unknown_because} the load generator did not report its health."
    if "script" in kinds:
        return f"{unknown_because} the locustfile or the driver raised an exception."
    if "not_delivered" in kinds:
        return f"{unknown_because} not all planned customers were sent."
    if "stalled" in kinds:
        return f"{unknown_because} the target stalled and a closed workload sends nothing meanwhile."
    if found:
        return f"{unknown_because} its records are incomplete."
    if unknown:
        one = "one threshold" if len(unknown) == 1 else f"{len(unknown)} thresholds"
        return f"{unknown_because} {one} could not be evaluated."
    return f"{unknown_because} its scenario has no thresholds."


def _failure(run: Run, failed: Sequence[ThresholdResult], causes: KnownCauses) -> str:
    """The worst failure: of the worst channel where channels differ, not the average over them."""
    lead = min(failed, key=_rank)
    others = len(failed) - 1
    more = "" if not others else f"; {others} more threshold{'s' if others > 1 else ''} failed"
    return f"{_worst_channel(run, lead) or _headline(lead)}{_because(lead, causes)}{more}."


def _because(result: ThresholdResult, causes: KnownCauses) -> str:
    metric = METRICS.get(result.threshold.metric)
    if metric is None or result.threshold.relative:  # what dominates this run need not be what changed
        return ""
    found = {Customers: causes.lost_customers, RequestTimes: causes.slow_answers}.get(type(metric.counting))
    return f", because {found}" if found else ""


def _worst_channel(run: Run, result: ThresholdResult) -> str:
    """The headline of the channel that did worst; "" where no channel stands out."""
    metric, threshold = METRICS.get(result.threshold.metric), result.threshold
    if metric is None or not isinstance(metric.counting, Customers) or result.observed is None:
        return ""
    tags = {tag.name: tag.value for tag in threshold.tags}
    if "channel" in tags or "phase" in tags:
        return ""
    worst = worst_channel(run.customers(), threshold.metric, tags)
    if worst is None:
        return ""
    return f"in channel {worst.channel} {_share_of_customers(worst.rate, metric)}{_where(threshold)}"


def _share_of_customers(rate: ProportionEstimate, metric: MetricDefinition) -> str:
    """ "51 of 55 customers who wanted to order could not (95 % interval 81 to 98 of 100)"."""
    n, low, high = rate.n, rate.low, rate.high
    if metric.wording.headline:
        interval = _bracket(1 - high, 1 - low, n)
        return f"{_per_hundred(n - rate.successes, n)} {metric.wording.headline}{interval}"
    what = f"{metric.wording.noun} {metric.wording.events}"
    return f"{_per_hundred(rate.successes, n)} {what}{_bracket(low, high, n)}"


def _rank(result: ThresholdResult) -> int:
    metric = METRICS.get(result.threshold.metric)
    return UNRANKED if metric is None else metric.headline_rank


def _headline(result: ThresholdResult) -> str:
    """A failed threshold from the customer's point of view."""
    metric, where = METRICS.get(result.threshold.metric), _where(result.threshold)
    if result.observed is not None and metric is not None and metric.kind == "rate":
        wording, n = metric.wording, result.n
        k = round(result.observed * n)
        low, high = result.low or 0.0, 1.0 if result.high is None else result.high
        if wording.headline:
            return f"{_per_hundred(n - k, n)} {wording.headline}{where}{_bracket(1 - high, 1 - low, n)}"
        return f"{_per_hundred(k, n)} {wording.noun} {wording.events}{where}{_bracket(low, high, n)}"
    counted = metric is not None and metric.kind == "counter" and result.threshold.aggregation == "count"
    if result.observed is not None and metric is not None and counted:
        return f"{format_count(result.observed)} {metric.wording.events}{where}"
    return result.sentence.partition(". Required")[0]


def _success(run: Run, results: Sequence[ThresholdResult], warned: Sequence[ThresholdResult]) -> str:
    met = sum(result.status == "pass" for result in results)
    kept = (
        "the one threshold was met"
        if met == 1 == len(results)
        else f"{met} of {len(results)} thresholds were met"
    )
    if met == len(results) > 1:
        kept = f"all {met} thresholds were met"
    warnings = "" if not warned else f", {len(warned)} gave a warning"
    imported = import_info(run.meta)
    if imported is not None:
        return f"{_imported_counts(run, imported)}; {kept}{warnings}."
    if run.meta.workload == "closed":
        n, users = run.histogram().n, int(run.customers_in_shop().max(initial=0))
        failed = run.histogram(match=lambda series: not series.succeeded).n
        who = f"{format_counted(n, 'request')} by up to {format_counted(users, 'user')}"
        return f"{who}, {format_count(failed) if failed else 'none'} failed; {kept}{warnings}."
    for name, who in (
        ("can_order", "customers who wanted to order could"),
        ("can_browse", "customers could browse"),
    ):
        rate = customer_rate(run.customers(), name)
        if rate.n:
            interval = _bracket(rate.low, rate.high, rate.n)
            return f"{_per_hundred(rate.successes, rate.n)} {who}{interval}; {kept}{warnings}."
    return f"{kept}{warnings}."


def _imported_counts(run: Run, imported: ImportInfo) -> str:
    """Requests and failures of an imported run."""
    if imported.precision == "summary":
        return f"a summary of {imported.tool}"
    n = run.histogram().n
    failed = run.histogram(match=lambda series: not series.succeeded).n
    failures = (
        "failures not listed"
        if imported.hides_failures
        else f"{format_count(failed) if failed else 'none'} failed"
    )
    return f"{format_count(n)} requests recorded by {imported.tool}, {failures}"


def _per_hundred(k: int, n: int) -> str:
    """ "31 of 100"; small numbers as they are, "3 of 12": 25 of 100 would claim more than was seen."""
    return f"{k} of {n}" if n < 100 else f"{_hundredths(k / n, n)} of 100"


def _bracket(low: float, high: float, n: int) -> str:
    return f" (95 % interval {_hundredths(low, n)} to {_hundredths(high, n)} of 100)"


def _hundredths(ratio: float, n: int) -> str:
    """Per hundred, with as many decimals as n supports; never rounded to 0 or 100."""
    for digits in range(0 if n < 500 else 1, 4):
        text = f"{ratio * 100:.{digits}f}"
        if float(text) not in (0.0, 100.0) or ratio in (0.0, 1.0):
            break
    return text.removesuffix(".0") if ratio in (0.0, 1.0) else text


def _where(threshold: Threshold) -> str:
    chosen = ", ".join(f"{tag.name} {tag.value}" for tag in threshold.tags)
    return f" ({chosen})" if chosen else ""


def _reason(result: ThresholdResult) -> str:
    return result.sentence


def _also(found: Sequence[ValidityIssue]) -> tuple[str, ...]:
    return tuple(f"Also, {issue.sentence}; this does not explain the failure." for issue in found)


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
