"""Settings of the browser probes: how many, how long before the run, and the journey that they walk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from doorbuster.scenario.parsing.diagnostics import (
    KeyIssue,
    as_validation_error,
    collect_issues,
    entry,
    invalid,
    preview,
)
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import (
    DurationS,
    PositiveDurationS,
    Text,
    choice,
    value_type,
    whole,
)

MAX_PROBES = 3
RESERVED_REQUESTS_PER_S = 30.0
"""Of safety.max_rate, for each probe: a browser cannot be paced without changing what it measures."""
MAX_PAGES = 20
DEVICES = ("desktop", "phone")
_PAGE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@value_type({"type": "string", "pattern": f"^{_PAGE_NAME.pattern}$"})
def _parse_page_name(raw: object) -> str:
    if not isinstance(raw, str) or not _PAGE_NAME.fullmatch(raw):
        rule = "must have lower-case letters, digits, - and _, beginning with a letter"
        raise invalid(rule, got=preview(raw), way_out="write a name such as product")
    return raw


@value_type({"type": "string", "pattern": "^/"})
def _parse_path(raw: object) -> str:
    if not isinstance(raw, str) or not raw.startswith("/") or raw.startswith("//") or re.search(r"\s", raw):
        raise invalid("must be a path of the shop that begins with one /", got=preview(raw))
    return raw


@value_type({"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1})
def _parse_fields(raw: object) -> dict[str, str]:
    if not isinstance(raw, Mapping) or not raw or not all(isinstance(text, str) for text in raw.values()):
        raise invalid('must be texts by selector, such as {"#q": "oak"}', got=preview(raw))
    return {str(selector): text for selector, text in raw.items()}


class BrowserStep(StrictModel):
    """One page of the journey of a probe: opened by its path, or reached by a click."""

    one_of = ("open", "click")

    page: Annotated[str, _parse_page_name] = Field(description="Name of the page in thresholds and reports.")
    open: Annotated[str, _parse_path] = Field(
        default="", description="Path of the page, opened as from a bookmark.", examples=["/search?q=oak"]
    )
    click: Text = Field(
        default="", description="CSS selector of what is clicked to reach the page.", examples=["a.product"]
    )
    fill: Annotated[dict[str, str], _parse_fields] = Field(
        default={},
        description="Texts to fill in before the click, by CSS selector.",
        examples=[{"#q": "oak"}],
    )
    expect: Text = Field(
        default="",
        description="CSS selector of an element that shows that the page is the one asked for.",
        examples=["form.buy"],
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """Exactly one way to reach the page; fields are filled before a click only."""
        yield from super().rules(raw)
        if "fill" in raw and "click" not in raw:
            yield KeyIssue(("fill",), "has no effect without click", way_out="add what is clicked then")


@value_type({"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": MAX_PAGES})
def parse_browser_journey(raw: object) -> tuple[BrowserStep, ...]:
    """The pages in order; the first one is opened, and names differ."""
    if isinstance(raw, tuple) and all(isinstance(step, BrowserStep) for step in raw):
        return raw
    if not isinstance(raw, list) or not 0 < len(raw) <= MAX_PAGES:
        rule = f"must be a list of 1 to {MAX_PAGES} pages, such as [{{page: home, open: /}}]"
        raise invalid(rule, got=preview(raw))
    issues: list[KeyIssue] = []
    steps = [collect_issues(issues, (at,), BrowserStep.model_validate, row) for at, row in enumerate(raw)]
    names = [entry(row, "page") for row in raw]
    for at, name in enumerate(names):
        if name in names[:at]:
            issues.append(KeyIssue((at, "page"), "is the name of an earlier page", preview(name)))
    if isinstance(raw[0], Mapping) and "click" in raw[0]:
        issues.append(KeyIssue((0, "click"), "has nothing to click on before the first page",
                               way_out="begin with open: /"))  # fmt: skip
    if issues:
        raise as_validation_error("journey", issues, raw)
    return tuple(step for step in steps if step is not None)


class Browsers(StrictModel):
    """Real browsers that walk the shopping journey before, during and after the peak."""

    probes: Annotated[int, whole(1, MAX_PROBES)] = Field(
        default=1, description=f"Number of browsers, 1 to {MAX_PROBES}. Default: 1."
    )
    calm_s: PositiveDurationS = Field(
        default=15.0,
        description="Time before the first customer, to measure the idle shop. Default: 15s.",
        examples=["15s"],
    )
    after_s: DurationS = Field(
        default=10.0,
        description="Time after the last customer in which they see whether it has recovered. Default: 10s.",
        examples=["10s"],
    )
    every_s: DurationS = Field(
        default=2.0, description="Pause between two visits of one browser. Default: 2s.", examples=["2s"]
    )
    patience_s: PositiveDurationS = Field(
        default=30.0, description="Time that a browser waits for one page. Default: 30s.", examples=["30s"]
    )
    device: Annotated[str, choice("device", DEVICES)] = Field(
        default="desktop", description="Window of a desktop or of a phone. Default: desktop."
    )
    journey: Annotated[tuple[BrowserStep, ...], parse_browser_journey] = Field(
        default=(),
        description="Pages in order. Default: up to the checkout, for the embedded shop and oscar.",
        examples=[[{"page": "home", "open": "/"}, {"page": "product", "click": "a.product"}]],
    )

    @property
    def reserved_per_s(self) -> float:
        """Requests per second of `safety.max_rate` that customers leave to the browsers."""
        return RESERVED_REQUESTS_PER_S * self.probes


# Journeys end before the order: a probe that orders would be a customer whom nobody planned.
BROWSER_JOURNEYS: dict[str, tuple[BrowserStep, ...]] = {
    "reference": (
        BrowserStep(page="home", open="/", expect=".shelf a"),
        BrowserStep(page="search", open="/search?q=oak", expect=".cards a"),
        BrowserStep(page="product", click=".cards a[href^='/product/']", expect="form.buy"),
        BrowserStep(page="basket", click="form.buy button", expect="main[data-quantity]"),
        BrowserStep(
            page="checkout", click=".ends a[href='/checkout']", expect="input[name='idempotency_key']"
        ),
    ),
    "oscar": (
        BrowserStep(page="home", open="/", expect="body"),
        BrowserStep(page="catalogue", open="/catalogue/", expect=".product_pod h3 a"),
        BrowserStep(page="product", click=".product_pod h3 a", expect="#add_to_basket_form"),
        BrowserStep(page="basket", click="#add_to_basket_form button[type='submit']", expect="body"),
        BrowserStep(page="checkout", open="/checkout/", expect="body"),
    ),
}


def browser_rules(browsers: object, target: object) -> Iterator[KeyIssue]:
    """Storefronts without a known journey need one."""
    storefront = str(entry(target, "storefront") or "reference")
    known = storefront in BROWSER_JOURNEYS
    if isinstance(browsers, Mapping) and "journey" not in browsers and not known:
        rule = f"must list the pages of a visit for the storefront {preview(storefront)}"
        yield KeyIssue(("browsers", "journey"), rule, way_out="add journey: [{page: home, open: /}, …]")


def journey_of(browsers: Browsers, storefront: str) -> tuple[BrowserStep, ...]:
    """The pages that the probes walk."""
    return browsers.journey or BROWSER_JOURNEYS[storefront]


def browser_pages(browsers: object, target: object) -> list[str] | None:
    """The names of the pages, from the raw keys of a scenario; None without probes."""
    if not isinstance(browsers, Mapping):
        return None
    listed = browsers.get("journey")
    if isinstance(listed, list):
        return [str(entry(row, "page")) for row in listed]
    storefront = str(entry(target, "storefront") or "reference")
    return [step.page for step in BROWSER_JOURNEYS.get(storefront, ())]
