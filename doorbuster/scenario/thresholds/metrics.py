"""Every metric a threshold may name: its kind, unit, tags and meaning."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["trend", "rate", "counter", "value"]

_REQUEST_TAGS = ("channel", "journey", "step", "name", "expected_response", "phase")
_CUSTOMER_TAGS = ("channel", "journey", "phase")
_ORDER_TAGS = ("channel",)
AGGREGATIONS: dict[Kind, tuple[str, ...]] = {
    "trend": ("avg", "min", "max", "med", "p(N)"),
    "rate": ("rate",),
    "counter": ("count", "rate"),
    "value": ("value",),
}


class Metric(NamedTuple):
    """Something thresholds can be put on."""

    kind: Kind
    tags: tuple[str, ...]
    unit: str
    meaning: str


METRICS: dict[str, Metric] = {
    "http_req_duration": Metric(
        "trend", _REQUEST_TAGS, "ms",
        "response time from the intended start, of answered and of abandoned requests",
    ),
    "http_req_waiting": Metric("trend", _REQUEST_TAGS, "ms", "actual start to the first byte"),
    "service_time": Metric("trend", _REQUEST_TAGS, "ms", "actual start to the end"),
    "lateness": Metric(
        "trend", (), "ms", "actual minus intended start of customers: the generator's own fault"
    ),
    "http_req_failed": Metric("rate", _REQUEST_TAGS, "0..1", "failed and abandoned among all requests"),
    "can_browse": Metric("rate", _CUSTOMER_TAGS, "0..1", "customers who saw the pages they came for"),
    "can_order": Metric("rate", _CUSTOMER_TAGS, "0..1", "customers wanting an order who got it acknowledged"),
    "served": Metric("rate", _CUSTOMER_TAGS, "0..1", "customers who got what they came for"),
    "abandoned": Metric("rate", _CUSTOMER_TAGS, "0..1", "customers for whom the shop was too slow"),
    "turned_away": Metric("rate", _CUSTOMER_TAGS, "0..1", "customers who met an error or a busy page"),
    "queued_out": Metric("rate", _CUSTOMER_TAGS, "0..1", "customers who left from a waiting room"),
    "dropped": Metric("rate", _CUSTOMER_TAGS, "0..1", "customers we could not start or had to break off"),
    "http_reqs": Metric("counter", _REQUEST_TAGS, "requests", "requests sent"),
    "customers": Metric("counter", _CUSTOMER_TAGS, "customers", "customers who came"),
    "orders_acknowledged": Metric("counter", _ORDER_TAGS, "orders", "orders the shop confirmed"),
    "orders_lost": Metric("counter", _ORDER_TAGS, "orders", "confirmed, but not in the shop's ledger"),
    "orders_duplicated": Metric("counter", _ORDER_TAGS, "orders", "in the ledger more than once"),
    "orders_unacknowledged": Metric(
        "counter", _ORDER_TAGS, "orders", "in the ledger, but the customer saw no confirmation"
    ),
    "oversold_units": Metric("counter", (), "units", "units sold beyond the stock all channels share"),
    "orders_refused": Metric("counter", _ORDER_TAGS, "orders", "orders the shop refused by rule"),
}  # fmt: skip

_SECTION_METRIC = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")


def metric_of(name: str) -> Metric | None:
    """What a threshold may say about this name; None for a name that nobody knows.

    "section.metric" names a metric of an analysis section, whose unit only that section knows.
    """
    if name in METRICS:
        return METRICS[name]
    if _SECTION_METRIC.fullmatch(name):
        return Metric("value", (), "its own", "worked out by an analysis section")
    return None


# Metrics of k6 that have no counterpart under their name, and what to use here.
K6_REPLACEMENTS = {
    "checks": "use can_browse or can_order",
    "dropped_iterations": "use dropped, such as dropped: [rate<0.1%]",
    "iterations": "use customers",
    "iteration_duration": "use http_req_duration{step:...}",
    "http_req_blocked": "use lateness",
    "http_req_connecting": "use http_req_waiting",
    "http_req_tls_handshaking": "use http_req_waiting",
    "http_req_sending": "use service_time",
    "http_req_receiving": "use service_time",
    "group_duration": "use http_req_duration{step:...}",
    "vus": "use safety: max_in_flight",
}
