"""The shop's metrics in the text format of Prometheus, version 0.0.4.

Resources are counted as seconds of use, so that any interval has an exact utilisation. Their names:
shop_database (the workers' own work, without waits for other services), shop_dependency, shop_stock_lock,
shop_event_loop and shop_connections.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from aiohttp import web

from doorbuster.shop.http.open_shop import OPEN_SHOP, OpenShop

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricSample(NamedTuple):
    """One value; `kind` is counter or gauge."""

    name: str
    kind: str
    value: float
    labels: Mapping[str, str] = {}


async def metrics(request: web.Request) -> web.Response:
    """The metrics of one shop."""
    text = render({"": request.app[OPEN_SHOP]})
    return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


def render(shops: Mapping[str, OpenShop]) -> str:
    """The metrics of all shops of this process, by merchant; "" is the only one."""
    lines: list[str] = []
    typed: set[str] = set()
    for sample in sorted(_samples(shops), key=lambda one: one.name):
        if sample.name not in typed:
            typed.add(sample.name)
            lines.append(f"# TYPE {sample.name} {sample.kind}")
        inside = ",".join(f'{key}="{value}"' for key, value in sample.labels.items())
        lines.append(
            f"{sample.name}{{{inside}}} {sample.value!r}" if inside else f"{sample.name} {sample.value!r}"
        )
    return "\n".join([*lines, ""])


def _samples(shops: Mapping[str, OpenShop]) -> Iterator[MetricSample]:
    first = next(iter(shops.values()))
    yield from _platform(first)
    for merchant, shop in shops.items():
        labels = {"merchant": merchant} if merchant else {}
        for sample in _of_shop(shop):
            yield sample._replace(labels={**labels, **sample.labels})


def _platform(shop: OpenShop) -> Iterator[MetricSample]:
    """What merchants of one process share."""
    workers, process = shop.workers, shop.process
    yield MetricSample("shop_database_workers", "gauge", float(workers.count))
    yield MetricSample("shop_database_busy_seconds_total", "counter", workers.busy.total_s)
    yield MetricSample("shop_database_held_seconds_total", "counter", workers.held.total_s)
    yield MetricSample("shop_database_waiting", "gauge", float(workers.waiting))
    yield MetricSample("shop_database_queries_total", "counter", float(workers.queries))
    yield MetricSample("shop_database_refused_total", "counter", float(workers.refused))
    if process is not None:
        yield MetricSample("shop_event_loop_busy_seconds_total", "counter", process.loop_busy_s)
        yield MetricSample("shop_event_loop_lag_seconds", "gauge", process.lag_s)
        for name, kind, value in process.samples():
            if math.isfinite(value):
                yield MetricSample(name, kind, value)


def _of_shop(shop: OpenShop) -> Iterator[MetricSample]:
    for name, service in shop.dependencies.services.items():
        labels = {"dependency": name}
        if service.slots is not None:
            yield MetricSample("shop_dependency_slots", "gauge", float(service.slots), labels)
        if service.calls or service.slots is not None:
            yield MetricSample("shop_dependency_busy_seconds_total", "counter", service.busy_s, labels)
            yield MetricSample("shop_dependency_waiting", "gauge", float(service.waiting), labels)
            yield MetricSample("shop_dependency_calls_total", "counter", float(service.calls), labels)
            yield MetricSample("shop_dependency_errors_total", "counter", float(service.errors), labels)
    if shop.settings.stock_lock_time_s:
        yield MetricSample("shop_stock_lock_busy_seconds_total", "counter", shop.stock_lock_held.total_s)
        yield MetricSample("shop_stock_lock_waiting", "gauge", float(shop.stock_lock_waiting.users))
    for status, n in sorted(shop.responses.items()):
        yield MetricSample("shop_responses_total", "counter", float(n), {"status": status})
    yield MetricSample("shop_response_seconds_total", "counter", shop.responding.total_s)
    yield MetricSample("shop_requests_in_progress", "gauge", float(shop.responding.users))
    if shop.spans is not None:
        yield MetricSample("shop_spans_dropped_total", "counter", float(shop.spans.dropped))
    if shop.listener is not None:
        open_now, limit, waiting = shop.listener()
        yield MetricSample("shop_connections", "gauge", float(open_now))
        if limit is not None:
            yield MetricSample("shop_connections_limit", "gauge", float(limit))
        yield MetricSample("shop_connections_waiting", "gauge", float(waiting))
