"""The registry of metrics: one object holds all facts about a metric.

To add a metric, add an object to `_ALL`. Parsing, evaluation, live abort, the capacity search and
the verdict all read it from here, and a test compares the documentation table of docs/reference/scenario.md
with it. How a metric is counted is declared as a value; `doorbuster.gate.accumulate` interprets it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["trend", "rate", "counter", "value", "gauge"]
ValidityIssueKind = Literal[
    "overloaded", "ceiling", "limits", "host", "script", "not_delivered", "records", "unmeasured", "stalled"
]

AGGREGATIONS: dict[Kind, tuple[str, ...]] = {
    "trend": ("avg", "min", "max", "med", "p(N)"),
    "rate": ("rate",),
    "counter": ("count", "rate"),
    "value": ("value",),
    "gauge": ("avg", "min", "max", "med", "p(N)", "last"),
}
OBSERVED = "observed."
_REQUEST_TAGS = ("channel", "journey", "step", "name", "expected_response", "phase")
_CUSTOMER_TAGS = ("channel", "journey", "phase")
_ORDER_TAGS = ("channel",)
_BROWSER_TAGS = ("page", "phase")


@dataclass(frozen=True, slots=True)
class RequestTimes:
    """One of the three recorded times of answered and abandoned requests."""

    time: Literal["response", "first_byte", "service"]


@dataclass(frozen=True, slots=True)
class StartDelays:
    """Delay between intended and actual start of customers."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests: a counter counts all, a rate those that failed or were abandoned."""


@dataclass(frozen=True, slots=True)
class Customers:
    """Customers: a counter counts all, a rate those with `outcome` among the `population`.

    In the populations "browse" and "order" (customers who wanted to), the outcome is that they could.
    """

    population: Literal["planned", "started", "browse", "order"]
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Orders:
    """Distinct orders with this answer, among `population`."""

    answer: Literal["acknowledged", "refused"]
    population: Literal["wanted", "tried"]


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One count of the ledger audit; available only after a run."""

    finding: Literal["missing", "duplicated", "unacknowledged", "oversold_units"]
    population: Literal["acknowledged", "booked", "ledger"]


@dataclass(frozen=True, slots=True)
class BrowserTimes:
    """One time that browser probes measured, or the layout shift; available only after a run."""

    figure: Literal["lcp", "inp", "cls", "fcp", "ttfb", "load", "journey"]


@dataclass(frozen=True, slots=True)
class FromSection:
    """A metric of an analysis section; available only after a run."""


@dataclass(frozen=True, slots=True)
class ObservedValues:
    """Values of the target, read once a second by the sources of `observe`."""


Counting = (
    RequestTimes
    | StartDelays
    | Requests
    | Customers
    | Orders
    | AuditFinding
    | BrowserTimes
    | FromSection
    | ObservedValues
)


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of a metric in a sentence for readers who do not know the threshold language.

    trend:   "95 of 100 {events} within 2 s", "the longest {noun} was 9 s"
    rate:    "69 % of the {noun} {events}"; `headline`: the failure by its complement, "could not"
    counter: "0 {events} (of 195 {noun})"
    """

    noun: str
    events: str
    headline: str = ""


_OVERLOAD: frozenset[ValidityIssueKind] = frozenset(("overloaded", "ceiling", "limits", "unmeasured", "host"))
_LOST_RECORDS: frozenset[ValidityIssueKind] = _OVERLOAD | {"records"}
_TOO_FEW: frozenset[ValidityIssueKind] = _LOST_RECORDS | {"not_delivered", "script"}
UNRANKED = 99


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric that thresholds may name.

    `better` is the direction in which the shop does better; "" where neither is. `explained_by` lists the
    validity issues that alone may explain a failure. `headline_rank`: the failed threshold with the lowest
    rank makes the headline. `of_generator`: a fact about the generator, not about the shop.
    `covers_refusals`: a quick refusal counts as a failure here. `open_tags`: any other tag selects a label.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    tags: tuple[str, ...]
    counting: Counting
    better: Literal["lower", "higher", ""]
    wording: Wording
    explained_by: frozenset[ValidityIssueKind] = _OVERLOAD
    headline_rank: int = UNRANKED
    of_generator: bool = False
    covers_refusals: bool = False
    open_tags: bool = False

    @property
    def counts_failures(self) -> bool:
        """Whether it is a rate of failures, which an abort rule can watch."""
        return self.kind == "rate" and self.better == "lower"

    @property
    def of_browsers(self) -> bool:
        """Whether browser probes measure it."""
        return isinstance(self.counting, BrowserTimes)

    @property
    def sample(self) -> str:
        """One of what is counted: "request", or what browsers measure, "page" or "visit"."""
        if isinstance(self.counting, BrowserTimes):
            return "visit" if self.counting.figure == "journey" else "page"
        return "request"

    @property
    def known_live(self) -> bool:
        """Whether the reports of workers suffice to count it; others are known after the run."""
        return isinstance(self.counting, RequestTimes | StartDelays | Requests | Customers | Orders)

    @property
    def audited(self) -> bool:
        """Whether it needs the shop's ledger."""
        return isinstance(self.counting, AuditFinding)


_ALL = (
    MetricDefinition(
        "http_req_duration", "trend", "ms",
        "response time from the intended start, of answered and of abandoned requests", _REQUEST_TAGS,
        RequestTimes("response"), "lower", Wording("response time", "answers came"),
    ),
    MetricDefinition(
        "http_req_waiting", "trend", "ms", "time from the actual start to the first byte", _REQUEST_TAGS,
        RequestTimes("first_byte"), "lower", Wording("time to the first byte", "first bytes came"),
    ),
    MetricDefinition(
        "service_time", "trend", "ms", "time from the actual start to the end", _REQUEST_TAGS,
        RequestTimes("service"), "lower", Wording("service time", "requests were served"),
    ),
    MetricDefinition(
        "lateness", "trend", "ms", "start delay of customers, caused by the generator", (),
        StartDelays(), "lower", Wording("lateness of the generator", "starts by the generator were late by"),
        of_generator=True,
    ),
    MetricDefinition(
        "http_req_failed", "rate", "0..1", "failed and abandoned requests among all requests", _REQUEST_TAGS,
        Requests(), "lower", Wording("requests", "failed or were abandoned"),
        headline_rank=11, covers_refusals=True,
    ),
    MetricDefinition(
        "can_browse", "rate", "0..1", "customers who saw the pages they came for", _CUSTOMER_TAGS,
        Customers("browse"), "higher",
        Wording("customers who wanted to browse", "could", "customers could not browse"),
        _LOST_RECORDS, headline_rank=1, covers_refusals=True,
    ),
    MetricDefinition(
        "can_order", "rate", "0..1", "customers wanting an order who got it acknowledged", _CUSTOMER_TAGS,
        Customers("order"), "higher",
        Wording("customers who wanted to order", "could", "customers who wanted to order could not"),
        _LOST_RECORDS, headline_rank=0, covers_refusals=True,
    ),
    MetricDefinition(
        "served", "rate", "0..1", "customers who got what they came for", _CUSTOMER_TAGS,
        Customers("started", "served"), "higher", Wording("customers", "were served"),
        _LOST_RECORDS, headline_rank=6, covers_refusals=True,
    ),
    MetricDefinition(
        "abandoned", "rate", "0..1", "customers who left because the shop was too slow", _CUSTOMER_TAGS,
        Customers("started", "abandoned"), "lower",
        Wording("customers", "gave up because the shop was too slow"),
        _LOST_RECORDS, headline_rank=8,
    ),
    MetricDefinition(
        "turned_away", "rate", "0..1", "customers who met an error or a busy page", _CUSTOMER_TAGS,
        Customers("started", "turned_away"), "lower", Wording("customers", "were turned away"),
        _LOST_RECORDS, headline_rank=7, covers_refusals=True,
    ),
    MetricDefinition(
        "queued_out", "rate", "0..1", "customers who left from a waiting room", _CUSTOMER_TAGS,
        Customers("started", "queued_out"), "lower",
        Wording("customers", "left the waiting room without getting in"),
        _LOST_RECORDS, headline_rank=9,
    ),
    MetricDefinition(
        "dropped", "rate", "0..1", "customers the generator could not start or finish", _CUSTOMER_TAGS,
        Customers("planned", "dropped"), "lower",
        Wording("planned customers", "could not be sent by the generator"),
        _TOO_FEW, of_generator=True,
    ),
    MetricDefinition(
        "http_reqs", "counter", "requests", "requests sent", _REQUEST_TAGS,
        Requests(), "", Wording("", "requests were sent"), _TOO_FEW,
    ),
    MetricDefinition(
        "customers", "counter", "customers", "customers who came", _CUSTOMER_TAGS,
        Customers("planned"), "", Wording("", "customers came"), _TOO_FEW,
    ),
    MetricDefinition(
        "orders_acknowledged", "counter", "orders", "orders the shop confirmed", _ORDER_TAGS,
        Orders("acknowledged", "wanted"), "higher",
        Wording("customers who wanted to order", "orders were acknowledged"), _TOO_FEW, headline_rank=10,
    ),
    MetricDefinition(
        "orders_missing", "counter", "orders", "orders confirmed, but not in the shop's ledger", _ORDER_TAGS,
        AuditFinding("missing", "acknowledged"), "lower",
        Wording("acknowledged orders", "acknowledged orders are missing in the shop's ledger"),
        frozenset(), headline_rank=3,
    ),
    MetricDefinition(
        "orders_duplicated", "counter", "orders", "orders in the ledger more than once", _ORDER_TAGS,
        AuditFinding("duplicated", "booked"), "lower", Wording("booked orders", "orders were booked twice"),
        frozenset(), headline_rank=4,
    ),
    MetricDefinition(
        "orders_unacknowledged", "counter", "orders",
        "orders in the ledger whose customer saw no confirmation", _ORDER_TAGS,
        AuditFinding("unacknowledged", "booked"), "lower",
        Wording("booked orders", "orders were booked without a confirmation to the customer"),
        frozenset(("records",)), headline_rank=5,
    ),
    MetricDefinition(
        "oversold_units", "counter", "units", "units sold beyond the stock all channels share", (),
        AuditFinding("oversold_units", "ledger"), "lower",
        Wording("booked orders", "units were sold beyond the stock"), frozenset(), headline_rank=2,
    ),
    MetricDefinition(
        "orders_refused", "counter", "orders", "orders the shop refused by rule", _ORDER_TAGS,
        Orders("refused", "tried"), "lower", Wording("orders tried", "orders were refused"), _TOO_FEW,
    ),
    MetricDefinition(
        "browser_lcp", "trend", "ms", "largest contentful paint, in a browser under load", _BROWSER_TAGS,
        BrowserTimes("lcp"), "lower", Wording("largest contentful paint", "pages showed their main content"),
    ),
    MetricDefinition(
        "browser_inp", "trend", "ms", "interaction to next paint, in a browser under load", _BROWSER_TAGS,
        BrowserTimes("inp"), "lower", Wording("interaction to next paint", "pages reacted to a click"),
    ),
    MetricDefinition(
        "browser_cls", "trend", "score", "cumulative layout shift, in a browser under load", _BROWSER_TAGS,
        BrowserTimes("cls"), "lower", Wording("cumulative layout shift", "pages had a layout shift"),
    ),
    MetricDefinition(
        "browser_fcp", "trend", "ms", "first contentful paint, in a browser under load", _BROWSER_TAGS,
        BrowserTimes("fcp"), "lower", Wording("first contentful paint", "pages showed their first content"),
    ),
    MetricDefinition(
        "browser_ttfb", "trend", "ms", "time to the first byte, in a browser under load", _BROWSER_TAGS,
        BrowserTimes("ttfb"), "lower", Wording("time to the first byte in a browser", "first bytes came"),
    ),
    MetricDefinition(
        "browser_load", "trend", "ms", "from the click to the loaded page, in a browser under load",
        _BROWSER_TAGS,
        BrowserTimes("load"), "lower", Wording("loading time in a browser", "pages were loaded"),
    ),
    MetricDefinition(
        "browser_journey", "trend", "ms", "time a shopper waited for all pages of a visit together",
        ("phase",),
        BrowserTimes("journey"), "lower", Wording("waiting time of a visit", "visits were complete"),
    ),
)  # fmt: skip

METRICS: dict[str, MetricDefinition] = {metric.name: metric for metric in _ALL}

_SECTION_METRIC = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")


def find_metric(name: str) -> MetricDefinition | None:
    """The metric of this name, or None.

    "observed.metric" names one that a source of `observe` reads; "section.metric" one of an analysis section,
    whose unit only that section knows.
    """
    if name in METRICS:
        return METRICS[name]
    if name.startswith(OBSERVED) and _SECTION_METRIC.fullmatch(name):
        return MetricDefinition(
            name, "gauge", "its own", "observed at the target", ("phase",), ObservedValues(), "",
            Wording(name, ""), frozenset(), open_tags=True,
        )  # fmt: skip
    if _SECTION_METRIC.fullmatch(name):
        meaning = "worked out by an analysis section"
        return MetricDefinition(name, "value", "its own", meaning, (), FromSection(), "", Wording(name, ""))
    return None


# Metrics of k6 without a counterpart of the same name, and what replaces them.
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
