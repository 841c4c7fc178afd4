"""Whether a run may be judged at all: what the generator or the recording did wrong, and what that explains.

slow           p99 lateness surely above 50 ms (the lower end of its interval), or a worker above 90 % of a
               core in more than 10 % of its seconds. Explains every time and every rate: a slow generator
               looks like a slow shop.
unmeasured     No worker reported how it fared. Explains the same.
not_delivered  More than 0.1 % of the arrivals dropped, or fewer started than planned. Explains counts that
               stay below their bound, and `dropped`; otherwise the shop failed with *less* to do.
script         Some of these were broken off because a journey or a driver raised. Explains the same.
records        Outcomes do not add up, or reports of a worker are missing. Explains orders that nobody seems
               to know of, counts that stay below their bound, and rates the missing customers could turn.

Orders lost, duplicated or oversold are never explained by a generator: the shop said yes, and its books
disagree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from doorbuster.gate.threshold_result import ThresholdResult
from doorbuster.records.batch import HealthSecond
from doorbuster.records.outcome import Cause
from doorbuster.records.reader import Run
from doorbuster.scenario.thresholds.metrics import ValidityIssueKind, metric_of
from doorbuster.stats.quantile import quantile_estimate
from doorbuster.units import format_count, format_duration, format_ratio

MOST_DROPPED_RATIO = 0.001
MOST_LATE_P99_S = 0.050
BUSY_CPU_RATIO = 0.9
MOST_BUSY_SECONDS_RATIO = 0.1
FEWEST_BUSY_SECONDS = 3  # the start of a short run is no saturation

_FRAME = re.compile(r'^  File "(.+)", line (\d+)', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ValidityIssue:
    """One reason not to trust a run; `missing` customers have no outcome."""

    kind: ValidityIssueKind
    sentence: str
    missing: int = 0


def validity_issues(run: Run) -> tuple[ValidityIssue, ...]:
    """Everything that is wrong with a finished run itself, worst first."""
    found = (*_delivery(run), *_health(run), *_records(run))
    order: tuple[ValidityIssueKind, ...] = ("overloaded", "script", "not_delivered", "records", "unmeasured")
    return tuple(sorted(found, key=lambda issue: order.index(issue.kind)))


def explains(issue: ValidityIssue, result: ThresholdResult) -> bool:
    """Whether this issue alone could be why a threshold failed."""
    metric = metric_of(result.threshold.metric)
    if metric is None:
        return issue.kind in ("overloaded", "unmeasured")
    if issue.kind not in metric.explained_by or issue.kind in ("overloaded", "unmeasured"):
        return issue.kind in metric.explained_by
    if metric.kind == "counter" and not metric.audited:
        return result.threshold.operator not in ("<", "<=")
    return issue.kind != "records" or metric.audited or _could_turn(result, issue.missing)


def _could_turn(result: ThresholdResult, missing: int) -> bool:
    """Whether a failed rate would hold had every missing customer fared well."""
    if missing < 0 or result.observed is None:
        return True
    good = missing if result.threshold.operator in (">", ">=") else 0
    return result.threshold.holds((result.observed * result.n + good) / (result.n + missing))


def _delivery(run: Run) -> list[ValidityIssue]:
    found = []
    arrivals = run.arrivals()
    planned = sum(int(series.planned.sum()) for series in arrivals.values())
    open_arrivals = [series for series in arrivals.values() if series.planned.any()]
    came = sum(int(series.started.sum() + series.dropped.sum()) for series in open_arrivals)
    dropped = run.balance().dropped
    everyone = run.balance().planned
    if everyone and dropped / everyone > MOST_DROPPED_RATIO:
        found.append(
            ValidityIssue(
                "not_delivered",
                f"{format_count(dropped)} of {format_count(everyone)} planned customers "
                f"({format_ratio(dropped / everyone)}) were never sent or were broken off by us",
            )
        )
        found += [
            ValidityIssue("script", f"a journey or the driver raised {_last_words(event.text)}")
            for event in run.events()
            if event.kind == Cause.SCRIPT_EXCEPTION
        ]
    if came != planned:
        found.append(
            ValidityIssue(
                "not_delivered",
                f"{format_count(planned)} arrivals were planned, {format_count(came)} are accounted for",
            )
        )
    return found


def _last_words(trace: str) -> str:
    """The exception at the end of a traceback, and the last line of the user's own that it went through."""
    frames = [(*Path(file).parts, line) for file, line in _FRAME.findall(trace)]
    own = [frame for frame in frames if not {"doorbuster", "lib"} & {*frame}] or frames
    place = f" ({':'.join(own[-1][-2:])})" if own else ""
    return f"{trace.strip().splitlines()[-1]}{place}"


def _health(run: Run) -> list[ValidityIssue]:
    health = run.health()
    if not health:
        planned = any(series.planned.any() for series in run.arrivals().values())
        return (
            [ValidityIssue("unmeasured", "no worker of the load generator reported how it fared")]
            if planned
            else []
        )
    found = []
    way_out = f"generate it with --workers {2 * max(run.meta.workers, 1)}, or on a machine of its own"
    lateness = run.lateness()
    late_us = quantile_estimate(lateness, 0.99).low_us if lateness.n else None
    if late_us is not None and late_us / 1e6 > MOST_LATE_P99_S:
        found.append(
            ValidityIssue(
                "overloaded",
                f"the load generator was late: 1 start in 100 came {format_duration(late_us / 1e6)} or more "
                f"after its time (limit {format_duration(MOST_LATE_P99_S)}); {way_out}",
            )
        )
    for worker, seconds in health.items():
        busy = _busy_ratio(seconds)
        if busy > MOST_BUSY_SECONDS_RATIO:
            found.append(
                ValidityIssue(
                    "overloaded",
                    f"the load generator was too busy: worker {worker} used more than "
                    f"{format_ratio(BUSY_CPU_RATIO)} of a core in {format_ratio(busy)} of its seconds; "
                    f"{way_out}",
                )
            )
    return found


def _busy_ratio(seconds: Sequence[HealthSecond]) -> float:
    busy = sum(second.cpu_ratio > BUSY_CPU_RATIO for second in seconds)
    return busy / len(seconds) if busy >= FEWEST_BUSY_SECONDS else 0.0


def _records(run: Run) -> list[ValidityIssue]:
    found = []
    missing = run.balance().in_flight_or_missing
    if missing:
        what = "have no outcome" if missing > 0 else "have more than one outcome"
        found.append(ValidityIssue("records", f"{format_count(abs(missing))} customers {what}", missing))
    lost = [event for event in run.events() if event.kind == Cause.WORKER_LOST]
    gaps = [report.worker for report in run.workers() if report.missing or not report.final]
    if lost:
        found += [
            ValidityIssue(
                "records", f"at {format_duration(event.at_s)} a worker was lost: {event.text}", missing
            )
            for event in lost
        ]
    elif gaps:
        found.append(ValidityIssue("records", f"reports of worker {', '.join(gaps)} are missing", missing))
    return found
