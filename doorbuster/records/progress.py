"""The progress of a run, read from its run file during the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run

WINDOW_S = 10  # window of the latencies and rates


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The state of a run `at_s` after its start; `requests_per_s` and `p95_us` cover the last `WINDOW_S`.

    The users of a plain Locust file are no customers with outcomes; `in_shop` counts them.
    """

    at_s: float
    duration_s: float
    has_customers: bool
    planned: int
    finished: int
    in_shop: int
    could_browse: tuple[int, int]  # (could, wanted)
    could_order: tuple[int, int]
    requests_per_s: float
    p95_us: int | None
    outcomes: dict[str, int]


def read_progress(run: Run, *, now_unix_s: float) -> RunProgress:
    """The state of a run now."""
    totals, customers, end = run.outcome_totals(), run.customers(), run.recorded_s
    recent = run.histogram(match=lambda series: series.has_latency, seconds=(end - WINDOW_S, end))
    counts = run.request_counts(lambda _: "all").get("all")
    health = [seconds[-1] for seconds in run.health().values() if seconds]
    return RunProgress(
        at_s=max(0.0, now_unix_s - run.meta.started_at_unix_ns / 1e9),
        duration_s=run.meta.duration_s,
        has_customers=run.meta.workload == "open",
        planned=totals.planned,
        finished=totals.accounted,
        in_shop=sum(second.in_flight for second in health),
        could_browse=_could((row.browse, row.n) for row in customers),
        could_order=_could((row.order, row.n) for row in customers),
        requests_per_s=0.0
        if counts is None or not end
        else float(counts[max(end - WINDOW_S, 0) : end].mean()),
        p95_us=recent.quantile_us(0.95) if recent.n else None,
        outcomes={end.replace("_", " "): getattr(totals, end) for end in Outcome},
    )


def _could(rows: Iterable[tuple[int | None, int]]) -> tuple[int, int]:
    wanted = [(could, n) for could, n in rows if could is not None]
    return sum(n for could, n in wanted if could), sum(n for _, n in wanted)
