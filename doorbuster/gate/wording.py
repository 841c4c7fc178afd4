"""What each metric is called in a sentence for people who never saw a threshold."""

from __future__ import annotations

from typing import NamedTuple


class TrendWords(NamedTuple):
    """ "95 of 100 {answers came} within 2 s"; "the longest {response time} was 9 s"."""

    came: str
    name: str


class RateWords(NamedTuple):
    """ "69 % of {customers who wanted to order} {could}"; `whom` alone names what was counted."""

    whom: str
    did: str


TRENDS: dict[str, TrendWords] = {
    "http_req_duration": TrendWords("answers came", "response time"),
    "http_req_waiting": TrendWords("first bytes came", "time to the first byte"),
    "service_time": TrendWords("requests were served", "service time"),
    "lateness": TrendWords("starts by the generator were late by", "lateness of the generator"),
}
RATES: dict[str, RateWords] = {
    "http_req_failed": RateWords("requests", "failed or were given up"),
    "can_browse": RateWords("customers who wanted to browse", "could"),
    "can_order": RateWords("customers who wanted to order", "could"),
    "served": RateWords("customers", "were served"),
    "abandoned": RateWords("customers", "gave up because the shop was too slow"),
    "turned_away": RateWords("customers", "were turned away"),
    "queued_out": RateWords("customers", "left the waiting room without getting in"),
    "dropped": RateWords("planned customers", "could not be sent by the generator"),
}
COUNTS: dict[str, str] = {
    "http_reqs": "requests were sent",
    "customers": "customers came",
    "orders_acknowledged": "orders were acknowledged",
    "orders_lost": "acknowledged orders are missing in the shop's books",
    "orders_duplicated": "orders were booked twice",
    "orders_unacknowledged": "orders were booked without telling the customer",
    "oversold_units": "units were sold that do not exist",
    "orders_refused": "orders were refused",
}
COUNTED_OF: dict[str, str] = {
    "orders_acknowledged": "customers who wanted to order",
    "orders_refused": "orders tried",
    "orders_lost": "acknowledged orders",
    "orders_duplicated": "booked orders",
    "orders_unacknowledged": "booked orders",
    "oversold_units": "booked orders",
}
