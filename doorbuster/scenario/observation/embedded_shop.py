"""What is observed at the embedded shop without a word in the scenario: the metrics of its resources."""

from __future__ import annotations

from typing import Any

from doorbuster.scenario.observation.observe import Limit, ObservedResource, SeriesSelector
from doorbuster.shop_settings import DEPENDENCIES

SHOP_SOURCE = "shop"
_BUSY, _SLOTS = "shop_dependency_busy_seconds_total", "shop_dependency_slots"


def _resource(
    used: str, limit: Limit, waiting: str | None, errors: str | None = None, **labels: str
) -> ObservedResource:
    def series(name: str | None) -> SeriesSelector | None:
        return None if name is None else SeriesSelector(name=name, labels=labels)

    return ObservedResource(
        utilisation=series(used), limit=limit, saturation=series(waiting), errors=series(errors)
    )


SHOP_RESOURCES: dict[str, ObservedResource] = {
    "database workers": _resource(
        "shop_database_busy_seconds_total", SeriesSelector(name="shop_database_workers"),
        "shop_database_waiting", "shop_database_refused_total",
    ),
    "stock lock": _resource("shop_stock_lock_busy_seconds_total", 1.0, "shop_stock_lock_waiting"),
    "processor of the shop": _resource(
        "shop_event_loop_busy_seconds_total", 1.0, "shop_event_loop_lag_seconds"
    ),
    "connections": _resource(
        "shop_connections", SeriesSelector(name="shop_connections_limit"), "shop_connections_waiting"
    ),
    "file descriptors": _resource("process_open_fds", SeriesSelector(name="process_max_fds"), None),
    **{
        f"{name} service": _resource(
            _BUSY, SeriesSelector(name=_SLOTS, labels={"dependency": name}), "shop_dependency_waiting",
            "shop_dependency_errors_total", dependency=name,
        )
        for name in DEPENDENCIES
    },
}  # fmt: skip
"""A resource whose limit the shop does not state, such as a service without slots, has no utilisation."""


def shop_observation(metrics_url: str) -> dict[str, dict[str, Any]]:
    """The keys of `observe` with which a running embedded shop is observed as any other target is."""
    resources = {
        name: {key: _written(value) for key, value in resource if value is not None}
        for name, resource in SHOP_RESOURCES.items()
    }
    return {"sources": {SHOP_SOURCE: {"scrape": {"url": metrics_url}}}, "resources": resources}


def _written(value: Limit) -> float | str:
    """A number, or a metric as a scenario writes it."""
    if not isinstance(value, SeriesSelector):
        return value
    inside = ",".join(f"{name}:{label}" for name, label in value.labels.items())
    return f"{value.name}{{{inside}}}" if inside else value.name


SHOP_METRICS = frozenset({
    "shop_database_workers", "shop_database_busy_seconds_total", "shop_database_held_seconds_total",
    "shop_database_waiting", "shop_database_queries_total", "shop_database_refused_total",
    "shop_event_loop_busy_seconds_total", "shop_event_loop_lag_seconds", "shop_dependency_slots",
    "shop_dependency_busy_seconds_total", "shop_dependency_waiting", "shop_dependency_calls_total",
    "shop_dependency_errors_total", "shop_stock_lock_busy_seconds_total", "shop_stock_lock_waiting",
    "shop_responses_total", "shop_response_seconds_total", "shop_requests_in_progress", "shop_connections",
    "shop_connections_limit", "shop_connections_waiting", "process_cpu_seconds_total", "process_threads",
    "shop_spans_dropped_total", "process_max_fds", "process_resident_memory_bytes", "process_open_fds",
})  # fmt: skip
"""Metrics of the embedded shop, which thresholds may name."""
