"""k6's threshold language with units, severities and retail metrics; the gate evaluates it.

    metric{tag:value,...}: [ "aggregation operator bound", {threshold: ..., abortOnFail: true, ...} ]

A bound may refer to a baseline: "p(95)<baseline*1.1", "rate>=baseline-1%".

A pasted k6 block means here what it means there: bare numbers are milliseconds for trends, 0..1 for rates
and counts for counters. Unlike k6, an unknown metric or tag is an error; so is a channel, journey or
step that the scenario does not have, which the scenario checks.
"section.metric" is a metric of an analysis section; `missing_sections` checks that the section exists.
"observed.metric{label:value}" is one of the target, which a source of `observe` reads.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from doorbuster.errors import FileProblem
from doorbuster.scenario.demand.phases import PHASES
from doorbuster.scenario.parsing.diagnostics import (
    KeyIssue,
    Path,
    all_issues,
    collect_issues,
    did_you_mean,
    invalid,
    preview,
    try_parse,
)
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import (
    NUMBER_PATTERN,
    Flag,
    Text,
    choice,
    duration,
    is_number,
    model_schema,
    parse_text,
    value_type,
)
from doorbuster.scenario.thresholds.metrics import (
    AGGREGATIONS,
    K6_REPLACEMENTS,
    METRICS,
    OBSERVED,
    BrowserTimes,
    FromSection,
    MetricDefinition,
    find_metric,
)
from doorbuster.scenario.thresholds.relative_bound import RelativeBound, is_relative, parse_relative_bound
from doorbuster.units import parse_duration_s, parse_rate_per_s, parse_ratio

Unit = Literal["ms", "ratio", "count", "per_s", "value"]
Aggregation = Literal["avg", "min", "max", "med", "p", "rate", "count", "value", "last"]
Operator = Literal["<", "<=", ">", ">=", "==", "!="]
Severity = Literal["fail", "warn"]

_SUBJECT = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(?:\{(.*)\})?\s*")
_EXPRESSION = re.compile(
    rf"\s*(?P<aggregation>[a-z]+)\s*(?:\(\s*(?P<percentile>{NUMBER_PATTERN})\s*\))?"
    r"\s*(?P<operator>===|==|!=|<=|>=|<|>)\s*(?P<bound>.*?)\s*"
)
_EXAMPLES = {
    "trend": "p(95)<800ms",
    "rate": "rate>=99%",
    "counter": "count==0",
    "value": "value>=0.9",
    "gauge": "max<90%",
}
_PLAIN = re.compile(NUMBER_PATTERN)


class Tag(NamedTuple):
    """One `name:value` of a threshold's selector."""

    name: str
    value: str


class Threshold(BaseModel, frozen=True):
    """One condition on one metric.

    `bound` is in `unit`: ms for trends ("value" for a layout shift), ratio 0..1 for rates, count or per_s for
    counters; for a metric of a section, ms or ratio when written as a duration or in percent, else "value",
    its own unit. `percentile` is 0..100 when `aggregation` is "p" (and 50 for "med"), else None. `tags` have
    the alias `name` rewritten to `step`. `source` is its location, such as "scenarios/x.yaml:31:22".
    `relative`: the bound follows from a baseline; `bound` is then NaN until that is known.
    """

    metric: str
    tags: tuple[Tag, ...]
    aggregation: Aggregation
    percentile: float | None
    operator: Operator
    bound: Annotated[float, Field(allow_inf_nan=True)]
    unit: Unit
    relative: RelativeBound | None = None
    abort_on_fail: bool = False
    delay_abort_eval_s: float = 0.0
    severity: Severity = "fail"
    selector: str
    expression: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.selector}: {self.expression}"

    def holds(self, observed: float) -> bool:
        """Whether a value in `unit` satisfies the condition."""
        comparisons: dict[Operator, bool] = {
            "<": observed < self.bound,
            "<=": observed <= self.bound,
            ">": observed > self.bound,
            ">=": observed >= self.bound,
            "==": observed == self.bound,
            "!=": observed != self.bound,
        }
        return comparisons[self.operator]


@value_type({"anyOf": [duration(zero=True).schema, {"type": "number", "minimum": 0}]})
def _parse_delay(raw: object) -> float:
    """Seconds; a bare number means milliseconds, as in k6."""
    return raw / 1e3 if is_number(raw) and raw >= 0 else duration(zero=True)(raw)


class ThresholdEntry(StrictModel):
    """The long form of a threshold in YAML."""

    threshold: Text = Field(description="aggregation operator bound", examples=["p(95)<800ms"])
    abort_on_fail: Flag = Field(
        default=False, alias="abortOnFail", description="End the run as soon as the threshold fails."
    )
    delay_abort_eval_s: Annotated[float, _parse_delay] = Field(
        default=0.0,
        alias="delayAbortEval",
        description="Evaluate abortOnFail only after this much of the run.",
        examples=["30s"],
    )
    severity: Annotated[Severity, choice("severity", ("fail", "warn"))] = Field(
        default="fail", description="fail fails the run, warn only reports."
    )


class MetricSelector(NamedTuple):
    """A parsed metric selector."""

    metric: str
    tags: tuple[Tag, ...]


class Condition(NamedTuple):
    """A parsed threshold expression."""

    aggregation: Aggregation
    percentile: float | None
    operator: Operator
    bound: float
    unit: Unit
    relative: RelativeBound | None = None


def parse_metric_selector(text: str) -> MetricSelector:
    """The metric and tags of "http_req_duration{step:checkout,channel:web}"."""
    match = _SUBJECT.fullmatch(text)
    if match is None:
        raise invalid('must be a metric with optional tags, such as "http_req_duration{step:checkout}"')
    name = match[1]
    if find_metric(name) is None:
        raise invalid(
            "is not a known metric",
            got=preview(name),
            way_out=K6_REPLACEMENTS.get(name) or did_you_mean(name, METRICS),
        )
    tags = tuple(_parse_tag(part, name) for part in _split_tags(match[2] or "", name))
    names = [tag.name for tag in tags]
    if len(set(names)) < len(names):
        raise invalid("must name each tag once", got=preview(match[2]))
    return MetricSelector(name, tags)


def threshold_selectors(thresholds: object) -> Iterator[tuple[str, MetricSelector]]:
    """The keys of a raw block with their selectors; invalid keys are left out."""
    for key in thresholds if isinstance(thresholds, Mapping) else ():
        selector = try_parse(parse_metric_selector, str(key))
        if selector is not None:
            yield str(key), selector


def metric_selectors(raw: Mapping[str, Any]) -> Iterator[tuple[Path, MetricSelector]]:
    """Every metric that the thresholds and abort rules of a raw scenario name, with its place."""
    for path in (("thresholds",), ("safety", "abort")):
        block: object = raw
        for key in path:
            block = block.get(key) if isinstance(block, Mapping) else None
        for name, selector in threshold_selectors(block):
            yield (*path, name), selector


def _split_tags(text: str, metric: str) -> list[str]:
    """The tags of a selector; a request name may contain commas, such as {name:/map/51.5,-0.1}."""
    found = find_metric(metric)
    parts: list[str] = []
    for part in text.split(",") if text.strip() else ():
        is_tag = found is None or found.open_tags or part.partition(":")[0].strip() in found.tags
        if parts and not is_tag and parts[-1].lstrip().startswith("name:"):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def _parse_tag(text: str, metric: str) -> Tag:
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not (name and colon and value):
        raise invalid("must have tags as name:value, such as {step:checkout}", got=preview(text))
    found = find_metric(metric)
    allowed = found.tags if found else ()
    if not allowed:
        raise invalid(f"must not have tags: {metric} supports none", got=preview(text))
    if name not in allowed and not (found and found.open_tags):
        raise invalid(
            f"has a tag that {metric} does not support",
            got=preview(name),
            way_out=did_you_mean(name, allowed),
        )
    value = value.strip("\"'")
    known = {"expected_response": ("true", "false"), "phase": PHASES}.get(name)
    if known and value not in known:
        raise invalid(f"has an unknown {name}", got=preview(value), way_out=did_you_mean(value, known))
    return Tag("step" if name == "name" and "step" in allowed else name, value)


def parse_condition(text: str, metric: MetricDefinition) -> Condition:
    """The condition in "p(95)<800ms"."""
    match = _EXPRESSION.fullmatch(text)
    if match is None:
        raise invalid(
            f'must be "aggregation operator bound", such as "{_EXAMPLES[metric.kind]}"', got=preview(text)
        )
    aggregation, percentile = match["aggregation"], match["percentile"]
    allowed = AGGREGATIONS[metric.kind]
    spelled = "p(N)" if aggregation == "p" else aggregation
    if spelled not in allowed:
        rule = f"must use an aggregation of a {metric.kind} metric: {', '.join(allowed)}"
        raise invalid(rule, got=preview(text))
    if (percentile is not None) != (aggregation == "p"):
        raise invalid(
            "needs a percentile in brackets after p, and only after p",
            got=preview(text),
            way_out="write p(95)",
        )
    rank = (
        50.0 if aggregation == "med" else None if percentile is None else float(percentile.replace("_", ""))
    )
    if rank is not None and rank > 100:
        raise invalid("must have a percentile between 0 and 100", got=preview(text))
    operator = "==" if match["operator"] == "===" else match["operator"]
    unit = _bound_unit(metric, aggregation, match["bound"])
    relative = None
    if is_relative(match["bound"]):
        if metric.kind == "gauge":
            raise invalid("must not compare an observed value with a baseline", got=preview(text))
        _check_relative(aggregation, operator, text)
        relative = parse_relative_bound(match["bound"], unit, text)
    bound = math.nan if relative else _parse_bound(match["bound"], unit, text)
    return Condition(aggregation, rank, operator, bound, unit, relative)  # type: ignore[arg-type]  # looked up


def _check_relative(aggregation: str, operator: str, text: str) -> None:
    """A baseline has a tolerance, and several requests behind its value."""
    if operator in ("==", "!="):
        raise invalid("must compare with a baseline by <, <=, > or >=", got=preview(text))
    if aggregation in ("min", "max"):
        rule = "must not compare an extreme with a baseline, because a single request decides it"
        raise invalid(rule, got=preview(text), way_out="use p(95)")


def _bound_unit(metric: MetricDefinition, aggregation: str, bound: str) -> Unit:
    """The unit of a bound; for a metric of a section or of the target, its spelling says it."""
    if metric.kind in ("value", "gauge"):
        if bound.endswith("%") and not is_relative(bound):
            return "ratio"
        return "value" if _PLAIN.fullmatch(bound) or is_relative(bound) else "ms"
    if metric.kind == "counter":
        return "per_s" if aggregation == "rate" else "count"
    if metric.kind == "trend":
        return "ms" if metric.unit == "ms" else "value"
    return "ratio"


def _parse_bound(text: str, unit: Unit, whole: str) -> float:
    """The bound in `unit`; a bare number is already in that unit."""
    forms = {
        "ms": 'milliseconds or a duration, such as "800ms" or "3s"',
        "ratio": 'a share, such as "99%" or 0.99',
        "count": "a count, such as 0",
        "per_s": 'a rate, such as "28/s"',
        "value": "a number",
    }
    bound: float | None = None
    if _PLAIN.fullmatch(text):
        bound = float(text.replace("_", ""))
    else:
        parsers = {"ms": lambda t: parse_duration_s(t) * 1e3, "ratio": parse_ratio, "per_s": parse_rate_per_s}
        if unit in parsers:
            try:
                bound = parsers[unit](text)
            except ValueError:
                bound = None
    if bound is None or bound > 1e15:
        raise invalid(f"must be compared with {forms[unit]}", got=preview(whole))
    if unit == "ratio" and bound > 1:
        raise invalid("must compare a share between 0 and 1", got=preview(whole), way_out=f'write "{text}%"')
    return bound


def read_thresholds(raw: object, place: Callable[[Path], str] | None = None) -> tuple[Threshold, ...]:
    """All thresholds of the block, in order.

    Args: place: maps a path below `thresholds` to the text "file:line:column"; or None.
    """
    if not isinstance(raw, Mapping):
        raise invalid('must be a mapping, such as can_order: ["rate>=99%"]', got=preview(raw))
    with all_issues("thresholds", raw) as issues:
        found: list[Threshold] = []
        for name, entries in raw.items():
            key = str(name)
            selector = collect_issues(issues, (key,), parse_metric_selector, key, at="key")
            listed = entries if isinstance(entries, list) else [entries]
            if not listed:
                issues.append(KeyIssue((key,), "must have at least one threshold", preview(entries)))
            for index, value in enumerate(listed):
                path: Path = (key, index) if isinstance(entries, list) else (key,)
                source = place(path) if place else ""
                threshold = _read_entry(issues, path, selector, value, source)
                if threshold is not None:
                    found.append(threshold.model_copy(update={"selector": key}))
    return tuple(found)


def _read_entry(
    issues: list[KeyIssue], path: Path, selector: MetricSelector | None, value: object, source: str
) -> Threshold | None:
    if not isinstance(value, str | Mapping):
        known = find_metric(selector.metric) if selector else None
        example = _EXAMPLES[known.kind if known else "rate"]
        issues.append(KeyIssue(path, f'must be text such as "{example}", or a mapping', preview(value)))
        return None
    entry = collect_issues(
        issues, path, ThresholdEntry.model_validate, {"threshold": value} if isinstance(value, str) else value
    )
    metric = find_metric(selector.metric) if selector else None
    if entry is None or selector is None or metric is None:
        return None
    if isinstance(metric.counting, FromSection | BrowserTimes) and entry.abort_on_fail:
        what = "browser probes" if metric.of_browsers else "sections"
        rule = f"cannot end a run: {what} are evaluated after it"
        issues.append(KeyIssue((*path, "abortOnFail"), rule, "", "remove abortOnFail"))
        return None
    where = path if isinstance(value, str) else (*path, "threshold")
    condition = collect_issues(issues, where, lambda text: parse_condition(text, metric), entry.threshold)
    if condition is None:
        return None
    if condition.relative and entry.abort_on_fail:
        rule = "cannot end a run: it is compared with the baseline after the run"
        issues.append(KeyIssue((*path, "abortOnFail"), rule, "", "remove abortOnFail"))
        return None
    return Threshold(
        metric=selector.metric,
        tags=selector.tags,
        **condition._asdict(),
        abort_on_fail=entry.abort_on_fail,
        delay_abort_eval_s=entry.delay_abort_eval_s,
        severity=entry.severity,
        selector=selector.metric,
        expression=entry.threshold,
        source=source,
    )


def missing_sections(thresholds: Iterable[Threshold], sections: Iterable[str]) -> tuple[FileProblem, ...]:
    """A problem for every threshold on a section that does not exist.

    Args: sections: names of the existing sections.
    """
    known = tuple(sections)
    found = []
    for threshold in thresholds:
        section, dot, _ = threshold.metric.partition(".")
        if dot and not threshold.metric.startswith(OBSERVED) and section not in known:
            file, line, column = (*threshold.source.rsplit(":", 2), "0", "0")[:3]
            place = (file, int(line), int(column)) if threshold.source.count(":") >= 2 else (section, 0, 0)
            rule = "names a section that does not exist"
            found.append(
                FileProblem(
                    *place, f"thresholds.{threshold.metric}", rule, section, did_you_mean(section, known)
                )
            )
    return tuple(found)


def thresholds_schema() -> dict[str, Any]:
    """JSON Schema of the block."""
    entry = {"anyOf": [parse_text.schema, model_schema(ThresholdEntry)]}
    with_tags = rf"(?:{'|'.join(METRICS)}|observed\.[A-Za-z_]\w*)\s*(?:\{{.*\}})?"
    selector = rf"^\s*(?:{with_tags}|[A-Za-z_]\w*\.[A-Za-z_]\w*)\s*$"
    return {
        "type": "object",
        "propertyNames": {"pattern": selector},
        "additionalProperties": {
            "anyOf": [*entry["anyOf"], {"type": "array", "items": entry, "minItems": 1}]
        },
    }
