"""Which metrics decide the exit code of a comparison.

By default those of the scenario's thresholds with severity fail, and whether customers could order and
browse, failed requests, and the typical (geometric mean) and p95 response time. Maxima and minima do not
decide: a single request would.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import ValidationError

from doorbuster.compare.run_metric import RunMetric, metric_key, threshold_key
from doorbuster.errors import UsageError
from doorbuster.scenario.thresholds.language import Tag, Threshold, read_thresholds
from doorbuster.scenario.thresholds.metrics import find_metric

ALL_METRICS = "all"
ALWAYS_GATING = (
    "can_order rate",
    "can_browse rate",
    "http_req_failed rate",
    "http_req_duration typical",
    "http_req_duration p(95)",
)
_KEY = re.compile(r"\s*(?P<metric>[\w.]+)\s*(?:\{(?P<tags>.*)\})?\s*:?\s*(?P<aggregation>\S+)\s*")


@dataclass(frozen=True, slots=True)
class GateChoice:
    """Chosen gating metrics: `keys` in the order of `texts`, and thresholds on those of the registry."""

    texts: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    thresholds: tuple[Threshold, ...] = ()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> GateChoice:
        """From texts such as "http_req_duration{step:pay} p(95)", a key of a comparison, or "all".

        Raises: UsageError for texts that no metric can have.
        """
        keys, problems = [], []
        thresholds: list[Threshold] = []
        for text in texts:
            match = _KEY.fullmatch(text)
            if text.strip() == ALL_METRICS:
                keys.append(ALL_METRICS)
            elif match is None:
                problems.append(f'--gate {text}: must be like "http_req_duration{{step:pay}} p(95)"')
            else:
                found = _as_threshold(match)
                thresholds += found
                keys.append(threshold_key(found[0]) if found else _plain_key(match))
        if problems:
            raise UsageError("\n".join(problems))
        return cls(tuple(texts), tuple(keys), tuple(thresholds))


NO_CHOICE = GateChoice()


def _as_threshold(match: re.Match[str]) -> tuple[Threshold, ...]:
    """The metric as a threshold, whose bound is not used; none for one that only comparisons have."""
    selector = match["metric"] + (f"{{{match['tags']}}}" if match["tags"] else "")
    try:
        return read_thresholds({selector: f"{match['aggregation']}==0"})
    except ValidationError:
        return ()


def _plain_key(match: re.Match[str]) -> str:
    tags = [Tag(*part.split(":", 1)) for part in (match["tags"] or "").split(",") if ":" in part]
    return metric_key(match["metric"], tags, match["aggregation"])


def gating_keys(
    thresholds: Iterable[Threshold], measured: Mapping[str, RunMetric], choice: GateChoice
) -> frozenset[str]:
    """The keys of the metrics that decide.

    Args: thresholds: of the scenario; measured: all metrics of the runs.
    Raises: UsageError for a chosen metric that no run has, or that has no better direction.
    """
    if ALL_METRICS in choice.keys:
        return frozenset(
            key for key, metric in measured.items() if metric.better and not _of_generator(metric)
        )
    if choice.keys:
        # A key as printed is taken as it is: names of requests may contain commas and spaces.
        keys = [
            text.strip() if text.strip() in measured else key
            for text, key in zip(choice.texts, choice.keys, strict=True)
        ]
        problems = [_why_not(text, key, measured) for text, key in zip(choice.texts, keys, strict=True)]
        if any(problems):
            raise UsageError("\n".join(filter(None, problems)))
        return frozenset(keys)
    stated = {threshold_key(one) for one in thresholds if one.severity == "fail" and _can_gate(one)}
    return frozenset((stated | set(ALWAYS_GATING)) & set(measured))


def _of_generator(metric: RunMetric) -> bool:
    definition = find_metric(metric.metric)
    return definition is not None and definition.of_generator


def _why_not(text: str, key: str, measured: Mapping[str, RunMetric]) -> str:
    if key not in measured:
        near = get_close_matches(key, measured, n=1)
        way_out = f'did you mean "{near[0]}"?' if near else "compare.json lists the metrics of the runs"
        return f"--gate {text}: no run has this metric; {way_out}"
    if not measured[key].better:
        return f"--gate {text}: neither more nor less of it is better, so it cannot decide"
    return ""


def _can_gate(threshold: Threshold) -> bool:
    """Whether the metric is one of the shop, more or less of it is better, and it is not an extreme."""
    definition = find_metric(threshold.metric)
    if definition is None or definition.of_generator or threshold.aggregation in ("min", "max"):
        return False
    return bool(definition.better) or (definition.kind == "value" and threshold.operator not in ("==", "!="))
