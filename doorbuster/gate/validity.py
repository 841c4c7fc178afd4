"""Checks whether a run is valid: problems of the generator or the recording, and the failures they explain.

overloaded     p99 lateness above 50 ms (by the lower end of its interval), or a worker above 90 % of a core
               in more than 10 % of its seconds. Explains every time and rate: a slow generator makes the shop
               look slow.
ceiling        safety.max_rate delayed more than 0.1 % of the requests. Explains the same.
unmeasured     No worker reported its health. Explains the same.
limits         Customers were dropped because of a limit of the generator's machine: file descriptors, ports,
               memory, threads. Explains the same.
not_delivered  More than 0.1 % of the arrivals dropped, or fewer started than planned. Explains counts below
               their bound and `dropped`; other failures happened although the shop had *less* to do.
host           A step led to a host that may not be loaded, so its request was not sent. Explains every time
               and rate.
script         Some of the dropped arrivals were cut short by an exception in a journey or a driver. Explains
               the same.
stalled        Plain Locust file: the target answered nothing for so long that percentiles hide it. Explains
               nothing, but such a run does not pass.
records        Outcomes do not add up, reports of a worker are missing, or values could not be recorded.
               Explains orders without an acknowledgement, counts below their bound, and rates that the
               missing customers could change.

No problem of the generator explains lost, duplicated or oversold orders: the shop confirmed them, and its own
ledger disagrees.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from doorbuster.gate.threshold_result import ThresholdResult
from doorbuster.records.batch import HealthSecond
from doorbuster.records.outcome import CEILING_DELAYED, CEILING_DELAYED_MS, CEILING_REFUSED, NOT_SENT, Cause
from doorbuster.records.reader import Run
from doorbuster.records.storable import LEDGER_REFUSED, ROW_REFUSED
from doorbuster.scenario.thresholds.metrics import ValidityIssueKind, find_metric
from doorbuster.stats.quantile import quantile_estimate
from doorbuster.stats.stalls import find_stalls, hides_from_percentiles
from doorbuster.units import format_count, format_counted, format_duration, format_ratio

MAX_DROPPED_RATIO = 0.001
MAX_LATE_P99_S = 0.050
BUSY_CPU_RATIO = 0.9
MAX_BUSY_SECONDS_RATIO = 0.1
MAX_TEXTS = 3  # quoted of each kind
MIN_BUSY_SECONDS = 3  # a busy start of a short run is not saturation

_EXPLAIN_ALL = ("overloaded", "ceiling", "limits", "unmeasured", "host")
_MORE_WORKERS = "use more machines (--expect-workers)"
_LIMITS = {
    Cause.NO_DESCRIPTORS: (
        "ran out of file descriptors", "raise the limit (ulimit -n), or spread the load with --workers"
    ),
    Cause.NO_PORTS: (
        "ran out of local ports", f"name more addresses in target.source_addresses, or {_MORE_WORKERS}"
    ),
    Cause.NO_MEMORY: ("ran out of memory", f"give it more, lower the demand, or {_MORE_WORKERS}"),
    Cause.NO_THREADS: (
        "could not start a thread", "raise the limit (ulimit -u), or name the host by its address"
    ),
}  # fmt: skip
_LEDGER_VALUES = "values of the shop's ledger could not be used"
_FRAME = re.compile(r'^  File "(.+)", line (\d+)', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ValidityIssue:
    """One reason not to trust a run; `missing` is the number of customers without an outcome."""

    kind: ValidityIssueKind
    sentence: str
    missing: int = 0


def validity_issues(run: Run) -> tuple[ValidityIssue, ...]:
    """All validity issues of a finished run, worst first."""
    plain = _plain_locust(run) if run.meta.workload == "closed" else []
    found = (
        *(ceiling := _ceiling(run)), *_limits(run), *_delivery(run), *_health(run, is_delayed=bool(ceiling)),
        *_records(run), *_hosts(run), *plain,
    )  # fmt: skip
    order: tuple[ValidityIssueKind, ...] = (
        "overloaded", "ceiling", "limits", "host", "script", "not_delivered", "stalled", "records",
        "unmeasured",
    )  # fmt: skip
    return tuple(sorted(found, key=lambda issue: order.index(issue.kind)))


def explains(issue: ValidityIssue, result: ThresholdResult) -> bool:
    """Whether this issue alone can explain a failed threshold."""
    metric = find_metric(result.threshold.metric)
    if metric is None:
        return issue.kind in _EXPLAIN_ALL
    if issue.kind not in metric.explained_by or issue.kind in _EXPLAIN_ALL:
        return issue.kind in metric.explained_by
    if metric.kind == "counter" and not metric.audited:
        return result.threshold.operator not in ("<", "<=")
    return issue.kind != "records" or metric.audited or _could_change(result, issue.missing)


def _plain_locust(run: Run) -> list[ValidityIssue]:
    """What keeps the run of a plain Locust file from passing."""
    found = []
    counts: dict[str, NDArray[np.int64]] = {}
    for key, values in run.counters().items():
        counts[key.name] = counts[key.name] + values if key.name in counts else values
    nothing = np.zeros(0, np.int64)
    exceptions = int(counts.get("task_exceptions", nothing).sum())
    failed = run.histogram(match=lambda series: not series.succeeded).n
    if exceptions > failed:  # more than failed requests can have caused
        texts = [event.text for event in run.events() if event.kind == Cause.SCRIPT_EXCEPTION]
        raised = f", such as {_last_words(texts[0])}" if texts else ""
        found.append(
            ValidityIssue(
                "script",
                f"{format_count(exceptions)} tasks ended with an exception{raised}, but only "
                f"{format_count(failed)} requests failed",
            )
        )
    stalls = find_stalls(
        counts.get("answered", nothing), counts.get("waiting", nothing), run.customers_in_shop()
    )
    p95_us = run.histogram(match=lambda series: series.succeeded).quantile_us(0.95)
    longest = max(stalls, key=lambda stall: stall.length_s, default=None)
    if longest is not None and hides_from_percentiles(longest, None if p95_us is None else p95_us / 1e6):
        found.append(
            ValidityIssue(
                "stalled",
                f"the target answered nothing for {format_duration(float(longest.length_s))} from "
                f"{format_duration(float(longest.start_s))} on while users waited, which the percentiles of "
                "a closed workload do not show",
            )
        )
    return found


def _could_change(result: ThresholdResult, missing: int) -> bool:
    """Whether a failed rate would hold if all missing customers had succeeded."""
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
    dropped = run.outcome_totals().dropped
    everyone = run.outcome_totals().planned
    if everyone and dropped / everyone > MAX_DROPPED_RATIO:
        found.append(
            ValidityIssue(
                "not_delivered",
                f"{format_count(dropped)} of {format_count(everyone)} planned customers "
                f"({format_ratio(dropped / everyone)}) were never started or not finished{_cut_off(run)}",
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


def _cut_off(run: Run) -> str:
    """The customers whose visit the end of the drain cut off, and the way out; "" if there are none."""
    n = sum(row.n for row in run.customers() if row.cause == Cause.DRAIN_LIMIT)
    if not n:
        return ""
    were = f"{format_count(n)} {'was' if n == 1 else 'were'}"
    return f"; {were} still in the shop when the drain ended: raise drain in the scenario"


def _ceiling(run: Run) -> list[ValidityIssue]:
    """Requests that safety.max_rate delayed or kept from being sent."""
    counts: Counter[str] = Counter()
    for key, values in run.counters().items():
        if key.name in (CEILING_DELAYED, CEILING_DELAYED_MS, CEILING_REFUSED):
            counts[key.name] += int(values.sum())
    delayed, refused = counts[CEILING_DELAYED], counts[CEILING_REFUSED]
    sent = run.histogram("service").n
    if delayed + refused <= MAX_DROPPED_RATIO * (sent + refused):
        return []
    mean = format_duration(counts[CEILING_DELAYED_MS] / max(delayed, 1) / 1e3)
    not_sent = f" and {format_count(refused)} were not sent at all" if refused else ""
    return [
        ValidityIssue(
            "ceiling",
            f"the ceiling safety.max_rate delayed {format_count(delayed)} requests by {mean} on average"
            f"{not_sent}; raise it if the shop may get more, or lower the demand",
        )
    ]


def _limits(run: Run) -> list[ValidityIssue]:
    """Limits of the generator's machine that customers were dropped for, or requests not sent."""
    found = []
    for cause, (what, way_out) in _LIMITS.items():
        dropped = sum(row.n for row in run.customers() if row.cause == cause)
        not_sent = sum(int(n.sum()) for key, n in run.counters().items() if key.name == f"{NOT_SENT}{cause}")
        who = [
            format_counted(n, noun, plural)
            for n, noun, plural in (
                (dropped, "customer was dropped", "customers were dropped"),
                (not_sent, "request was not sent", "requests were not sent"),
            )
            if n
        ]
        if who:
            sentence = f"{' and '.join(who)} because the load generator {what}; {way_out}"
            found.append(ValidityIssue("limits", sentence))
    return found


def _hosts(run: Run) -> list[ValidityIssue]:
    refused = run.histogram("service", match=lambda series: series.cause == Cause.HOST_NOT_ALLOWED).n
    if not refused:
        return []
    hosts = {one.detail for one in run.exemplars() if one.series.cause == Cause.HOST_NOT_ALLOWED} - {""}
    sent = format_counted(refused, "request was", "requests were")
    names = ", ".join(sorted(hosts))
    if not run.meta.storefront:
        way_out = f"because {names} was not confirmed: add --confirm-host if you may load it"
    else:
        way_out = (
            f"because safety.allow does not list their host ({names}): add it if you may load it, or correct "
            "the driver"
        )
    return [ValidityIssue("host", f"{sent} not sent, {way_out}")]


def _last_words(trace: str) -> str:
    """The exception at the end of a traceback, and the last line of the user's own code in it."""
    frames = [(*Path(file).parts, line) for file, line in _FRAME.findall(trace)]
    own = [frame for frame in frames if not {"doorbuster", "lib"} & {*frame}] or frames
    place = f" ({':'.join(own[-1][-2:])})" if own else ""
    return f"{trace.strip().splitlines()[-1]}{place}"


def _health(run: Run, *, is_delayed: bool) -> list[ValidityIssue]:
    """Problems of the generator's speed; `is_delayed`: the ceiling on requests explains its lateness."""
    health = run.health()
    if not health:
        planned = any(series.planned.any() for series in run.arrivals().values())
        return (
            [ValidityIssue("unmeasured", "no worker of the load generator reported its health")]
            if planned
            else []
        )
    found = []
    workers = 2 * max(run.meta.workers, 1)
    way_out = f"stop other programs, run it with --workers {workers}, or on a separate machine"
    lateness = run.lateness()
    late_us = quantile_estimate(lateness, 0.99).low_us if lateness.n else None
    if not is_delayed and late_us is not None and late_us / 1e6 > MAX_LATE_P99_S:
        found.append(
            ValidityIssue(
                "overloaded",
                f"the load generator was late: 1 start in 100 came {format_duration(late_us / 1e6)} or more "
                f"after its time (limit {format_duration(MAX_LATE_P99_S)}); {way_out}",
            )
        )
    for worker, seconds in health.items():
        busy = _busy_ratio(seconds)
        if busy > MAX_BUSY_SECONDS_RATIO:
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
    return busy / len(seconds) if busy >= MIN_BUSY_SECONDS else 0.0


def _records(run: Run) -> list[ValidityIssue]:
    found = []
    missing = run.outcome_totals().in_flight_or_missing
    if missing:
        what = "have no outcome" if missing > 0 else "have more than one outcome"
        found.append(ValidityIssue("records", f"{format_count(abs(missing))} customers {what}", missing))
    for kind, what in ((ROW_REFUSED, "rows could not be recorded"), (LEDGER_REFUSED, _LEDGER_VALUES)):
        texts = [event.text for event in run.events() if event.kind == kind]
        if texts:
            found.append(ValidityIssue("records", f"{what}: {'; '.join(texts[:MAX_TEXTS])}", missing))
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
