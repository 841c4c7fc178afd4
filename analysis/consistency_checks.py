"""Do the records of this run agree with each other? Little's law and the utilisation law.

    python analysis/consistency_checks.py reports/<run>

Little's law: mean customers in the shop = arrivals per second x mean visit duration. The left side is a
counter sampled once a second, the right side comes from arrivals and visits. Different code records them, so
a difference beyond chance is a fault of the records. The window is the whole run until the shop is empty, so
no visit is cut off. What remains is chance: sampling once a second counts a visit of 3.4 s three or four
times.

Utilisation law: mean busy workers = answers per second x time each holds a worker. It needs the shop's number
of workers and, in Server-Timing, how long each answer held one. It cannot exceed 100 %. Source: J. D. C.
Little (1961), Operations Research 9; Denning and Buzen (1978), ACM Computing Surveys 10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbuster.records.histogram import Histogram, middle_us
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Cell, Column, Metric, Section, Table, present, without_customers
from doorbuster.stats.littles_law import LittleCheck, check_little, utilisation_ratio
from doorbuster.units import format_count, format_number, format_ratio

TOLERANCE_RATIO = 0.02
MAX_CHANCE_RATIO = 0.1  # above this a run is too small for a result
SURE_Z = 3.29  # 99.9 %: this check is made on every run
HELD = "db"  # entry of Server-Timing: how long an answer held a worker
QUESTION = "Do the records of this run agree with each other?"


@dataclass(frozen=True, slots=True)
class Little:
    """Little's law on one run; `chance_ratio` is the possible error of sampling once a second (99.9 %)."""

    check: LittleCheck
    left: int
    started: int
    chance_ratio: float

    @property
    def doubtful(self) -> bool:
        """Too few customers, or too short visits, for a result."""
        return self.check.difference_ratio is None or self.chance_ratio > MAX_CHANCE_RATIO

    @property
    def violated(self) -> bool:
        difference = self.check.difference_ratio
        if difference is None or self.chance_ratio > MAX_CHANCE_RATIO:
            return False
        return abs(difference) > TOLERANCE_RATIO + self.chance_ratio


@dataclass(frozen=True, slots=True)
class Utilisation:
    """Mean busy workers and the shop's number of workers, from `sampled` answers."""

    busy: float
    workers: int
    sampled: int

    @property
    def ratio(self) -> float:
        return self.busy / self.workers


def analyse(context: RunContext) -> Section:
    """Little's law and the utilisation law."""
    if context.is_closed:
        return without_customers("consistency_checks", QUESTION)
    little, used = _little(context), _utilisation(context)
    findings = _findings(little, used)
    return Section(
        name="consistency_checks",
        group="Reliability of the results",
        order=910,
        question=QUESTION,
        sentence=_sentence(little, findings),
        findings=tuple(findings),
        tables=present(_little_table(little), _utilisation_table(used)),
        metrics=_metrics(little, used),
    )


def _little(context: RunContext) -> Little | None:
    run, samples = context.run, context.customers_in_shop
    stays = Histogram.empty().merge(*run.visit_durations().values())
    started = sum(int(series.started.sum()) for series in run.arrivals().values())
    if not stays.n or not samples.size:
        return None
    stay_s = middle_us(stays.bins) / 1e6
    sum_s = float(stay_s @ stays.bin_counts)
    check = check_little(
        [float(samples.mean())], finished=stays.n, time_sum_s=sum_s, window_s=float(samples.size),
        tolerance_ratio=TOLERANCE_RATIO,
    )  # fmt: skip
    return Little(check, stays.n, started, SURE_Z * sampling_sd_s(stay_s, stays.bin_counts) / sum_s)


def sampling_sd_s(stay_s: np.ndarray, counts: np.ndarray) -> float:
    """Standard deviation, in s, of the sum of visit durations when it is sampled once a second.

    A visit of w + f seconds (w whole, 0 <= f < 1) that begins at a uniformly random moment of a second is hit
    by w + 1 samples with probability f and by w otherwise: mean w + f, variance f (1 - f).
    """
    part = stay_s - np.floor(stay_s)
    return math.sqrt(float((part * (1 - part)) @ counts))


def _utilisation(context: RunContext) -> Utilisation | None:
    run, workers = context.run, _stated_workers(context)
    held = [
        times for entry, times in run.step_timings().server.items() if entry.entry == HELD and times.total_us
    ]
    if workers is None or not held or not run.recorded_s:
        return None
    busy = sum(times.total_us for times in held) / 1e6 / run.recorded_s
    return Utilisation(busy, workers, sum(times.sampled for times in held))


def _stated_workers(context: RunContext) -> int | None:
    """Workers of the embedded shop, from the scenario or its default; None for another shop."""
    scenario = context.scenario
    if context.run.meta.shop_profile is None or scenario is None or scenario.target.shop is None:
        return None
    return scenario.target.shop.settings.workers


def _findings(little: Little | None, used: Utilisation | None) -> list[str]:
    found = []
    if little is not None and little.violated:
        found.append(
            f"Little's law is violated: on average {format_number(little.check.in_system)} customers were "
            f"counted in the shop, but arrivals and visits give {format_number(little.check.expected)}. Some "
            "customers were not recorded or recorded twice, so numbers per customer are unreliable."
        )
    if little is not None and little.left != little.started:
        found.append(
            f"{format_count(little.started)} customers started a visit, but {format_count(little.left)} "
            "ended one."
        )
    if used is not None and used.ratio > 1 + TOLERANCE_RATIO:
        found.append(
            f"By Server-Timing, {used.busy:.3g} workers were busy on average, but the shop has "
            f"{used.workers}: Server-Timing counts time twice, or the number of workers is wrong."
        )
    return found


def _sentence(little: Little | None, findings: Sequence[str]) -> str:
    if findings:
        return f"No: {len(findings)} contradiction{'s' if len(findings) > 1 else ''}."
    if little is None:
        return "Unknown: the run has no record of visit durations."
    if little.doubtful:
        return (
            f"Unknown: with {format_count(little.left)} customers and such short visits, chance alone "
            f"explains a difference of {format_ratio(little.chance_ratio)}."
        )
    difference = little.check.difference_ratio or 0.0
    return (
        f"Yes: on average {format_number(little.check.in_system)} customers were counted in the shop, and "
        f"arrivals and visits give {format_number(little.check.expected)}, "
        f"{format_ratio(abs(difference))} apart (Little's law)."
    )


def _metrics(little: Little | None, used: Utilisation | None) -> dict[str, Metric]:
    n = 0 if little is None else little.left
    difference = chance = in_shop = expected = None
    if little is not None:
        difference, chance = little.check.difference_ratio, little.chance_ratio
        in_shop, expected = little.check.in_system, little.check.expected
    low = None if difference is None or chance is None else difference - chance
    high = None if difference is None or chance is None else difference + chance
    metrics = {
        "littles_law_error": Metric(
            difference, "ratio", low, high, n, "relative difference of both sides of Little's law"
        ),
        "in_shop_mean": Metric(in_shop, "count", n=n, meaning="mean customers in the shop, counted"),
        "in_shop_expected": Metric(
            expected, "count", n=n, meaning="arrivals per second x mean visit duration"
        ),
        "stay_mean": Metric(
            None if little is None else little.check.mean_time_s, "s", n=n, meaning="mean visit duration"
        ),
    }
    if used is not None:
        meaning = "mean share of the shop's workers in use"
        metrics["utilisation"] = Metric(used.ratio, "ratio", n=used.sampled, at_least=True, meaning=meaning)
    return metrics


def _little_table(little: Little | None) -> Table | None:
    if little is None:
        return None
    check = little.check
    rows: tuple[tuple[Cell, ...], ...] = (
        ("Mean customers in the shop, counted once a second", check.in_system),
        ("Arrivals per second until the shop was empty", check.rate_per_s),
        ("Mean visit duration (s)", check.mean_time_s),
        ("Arrivals x visit duration", check.expected),
        ("Difference", Metric(check.difference_ratio, "ratio")),
        ("Explained by sampling once a second (99.9 %)", Metric(little.chance_ratio, "ratio")),
        ("Tolerated beyond that", Metric(TOLERANCE_RATIO, "ratio")),
    )
    note = (
        "The whole run counts, until the last customer has left. Visits begin at the intended arrival, so a "
        "late generator adds its lateness."
    )
    return Table("Little's law on this run", (Column(""), Column("Value")), rows, note)


def _utilisation_table(used: Utilisation | None) -> Table | None:
    if used is None:
        return None
    rows: tuple[tuple[Cell, ...], ...] = (
        ("Mean busy workers, at least", used.busy),
        ("Workers of the shop", used.workers),
        ("Utilisation, at least", Metric(utilisation_ratio(used.busy, 1.0, used.workers), "ratio")),
        ("Answers sampled", used.sampled),
    )
    note = (
        f'From the entry "{HELD}" of Server-Timing in a weighted sample of the answers. Work for customers '
        "who left before the answer is not included, so this is a lower bound."
    )
    return Table("Utilisation law on this run", (Column(""), Column("Value")), rows, note)


if __name__ == "__main__":
    main(analyse)
