"""Rules over `observe`, `thresholds`, `safety` and `target`: they name only what can be observed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from doorbuster.scenario.observation.embedded_shop import SHOP_METRICS, SHOP_SOURCE
from doorbuster.scenario.observation.observe import DERIVED_NAMES, Observe, SeriesSelector
from doorbuster.scenario.parsing.diagnostics import KeyIssue, did_you_mean, entry, try_parse
from doorbuster.scenario.thresholds.language import metric_selectors
from doorbuster.scenario.thresholds.metrics import OBSERVED


def observed_rules(raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
    """Every observed metric of a threshold or abort rule has a source that may send it."""
    given = raw.get("observe")
    observe = Observe() if given is None else try_parse(Observe.model_validate, given)
    if observe is None:
        return
    if observe.trace_share_ratio and entry(raw.get("target"), "request_id_header") == "none":
        rule = "needs request ids, from which trace ids are made"
        way_out = "remove target.request_id_header: none"
        yield KeyIssue(("observe", "trace_share"), rule, way_out=way_out, at="key")
    has_shop = observe.shop and entry(raw.get("target"), "shop") is not None
    if has_shop and SHOP_SOURCE in observe.sources:
        rule = "is the name of the embedded shop's own source"
        yield KeyIssue(("observe", "sources", SHOP_SOURCE), rule, way_out="choose another name", at="key")
    yield from _unknown_series(observe, has_shop=has_shop)
    for path, selector in metric_selectors(raw):
        name = selector.metric.removeprefix(OBSERVED)
        if name == selector.metric:
            continue
        if not observe.sources and not has_shop:
            rule = "names an observed metric, but nothing is observed"
            yield KeyIssue(path, rule, "", "add observe with a source", at="key")
        elif not (has_shop and name in (SHOP_METRICS | DERIVED_NAMES)) and not observe.may_have(name):
            known = (*observe.names, *(SHOP_METRICS if has_shop else ()))
            rule = "names a metric that no source of observe has"
            yield KeyIssue(path, rule, name, did_you_mean(name, known), at="key")


def _unknown_series(observe: Observe, *, has_shop: bool) -> Iterator[KeyIssue]:
    """Metrics of resources and limits that no source may send."""
    named: list[tuple[tuple[str, ...], SeriesSelector]] = [
        (("observe", "resources", name, role), series)
        for name, resource in observe.resources.items()
        for role in ("utilisation", "limit", "saturation", "errors")
        if isinstance(series := getattr(resource, role), SeriesSelector)
    ]
    named += [
        (("observe", "limits", name), limit)
        for name, limit in observe.limits.items()
        if isinstance(limit, SeriesSelector)
    ]
    for path, series in named:
        if not (has_shop and series.name in SHOP_METRICS) and not observe.may_have(series.name):
            known = (*observe.names, *(SHOP_METRICS if has_shop else ()))
            rule = "names a metric that no source of observe has"
            yield KeyIssue(path, rule, series.name, did_you_mean(series.name, known))
