"""The noise floor as a section for the terminal and as noise-floor.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from doorbuster.compare.build_comparison import BuildComparison
from doorbuster.compare.interleaved.noise_floor import PAIR_COUNTS, MetricNoise
from doorbuster.compare.metric_comparison import Decision, by_difference
from doorbuster.compare.render.terminal import conditions
from doorbuster.compare.wording import change_text, metric_name, short_decision
from doorbuster.output import one_line
from doorbuster.report.render.json import plain_values
from doorbuster.report.section import Column, Section, Table
from doorbuster.report.write import write_files
from doorbuster.units import format_duration

SCHEMA = "doorbuster.noise-floor/1"


def noise_section(noise: Sequence[MetricNoise], comparison: BuildComparison, pair_length_s: float) -> Section:
    """The smallest difference that each number of pairs detects, with the time that they take."""
    columns = (
        "Metric", "This comparison", "Between pairs",
        *(f"{n} pairs ({format_duration(n * pair_length_s)})" for n in PAIR_COUNTS),
    )  # fmt: skip
    rows = tuple(
        (
            one_line(one.comparison.metric.key, 100),
            f"{change_text(one.comparison)}, {short_decision(one.comparison)}",
            _size(one, one.between_pairs),
            *(_size(one, effect) for effect in one.visible),
        )
        for one in noise
    )
    table = Table(
        "Smallest difference that is found in four of five cases", tuple(map(Column, columns)), rows,
        note="Between pairs: standard deviation of the difference between the two rehearsals of a pair.",
    )  # fmt: skip
    return Section(
        "noise_floor", "What difference can this set-up detect?", _sentence(noise, comparison, pair_length_s),
        findings=conditions(comparison), tables=(table,),
    )  # fmt: skip


def _sentence(noise: Sequence[MetricNoise], comparison: BuildComparison, pair_length_s: float) -> str:
    decided = [one for one in noise if one.comparison.decision in (Decision.WORSE, Decision.BETTER)]
    if comparison.is_blocked:
        return "The rehearsals cannot be compared; the conditions below say why."
    if decided:
        name = metric_name(decided[0].comparison.metric)
        return (
            f"The target differs from itself: {name} changed by {change_text(decided[0].comparison)}. Once "
            "in 20 sessions this happens by chance; if it happens again, this set-up favours one side."
        )
    if not noise:
        return "No gating metric was measured in every rehearsal; make the rehearsals longer."
    worst = noise[0]
    at = PAIR_COUNTS.index(10)
    return (
        f"The target does not differ from itself. Ten pairs, {format_duration(10 * pair_length_s)}, detect a "
        f"change of {_size(worst, worst.visible[at])} or more in the noisiest metric, "
        f"{metric_name(worst.comparison.metric)}."
    )


def _size(noise: MetricNoise, value: float) -> str:
    unit = "pp" if by_difference(noise.comparison.metric) else "%"
    return f"{value * 100:.2g} {unit}" if value < 10 else "over 1,000 %"


def write_noise(
    noise: Sequence[MetricNoise], comparison: BuildComparison, pair_length_s: float, folder: Path
) -> Path:
    """Write noise-floor.json and return its path."""
    document = {
        "schema": SCHEMA,
        "pairs": len(comparison.baseline),
        "pair_length_s": pair_length_s,
        "metrics": [
            {
                "key": one.comparison.metric.key,
                "unit": "points" if by_difference(one.comparison.metric) else "ratio",
                "decision": str(one.comparison.decision),
                "between_pairs": one.between_pairs,
                "visible": {str(n): effect for n, effect in zip(PAIR_COUNTS, one.visible, strict=True)},
            }
            for one in noise
        ],
    }
    text = json.dumps(plain_values(document), indent=1, allow_nan=False) + "\n"
    return write_files(folder, {"noise-floor.json": text})[0]
