"""Drafts a driver from a recorded visit: one method per step that was recorded.

Rules: what a recording holds becomes a literal of the driver, never code. Secrets become environment
variables. Values that an answer held before a request sent them are taken from the answer again. A step that
was not recorded is left out of the driver.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from doorbuster.storefronts.har.carried_values import CarriedValues
from doorbuster.storefronts.har.catalogue_source import CatalogueSource
from doorbuster.storefronts.har.recorded_request import LeftOut, RecordedRequest, RecordedVisit
from doorbuster.storefronts.har.request_source import DriverParts
from doorbuster.storefronts.har.source_code import comment, pattern_literal, text_literal
from doorbuster.storefronts.har.step_results import StepResults
from doorbuster.storefronts.har.step_source import StepSource
from doorbuster.storefronts.har.steps import ORDER_OF_STEPS, operation_of
from doorbuster.storefronts.har.visit_plan import left_out, plan_of

_NAMES = re.compile(r'class (\w+)\(Storefront\):\s+name = "([a-z0-9_-]+)"')
_SIGNATURES = {
    "home": "home(self) -> Listing",
    "category": "category(self) -> Listing",
    "search": "search(self) -> Listing",
    "product": "product(self, sku: str) -> Product",
    "add_to_basket": "add_to_basket(self, sku: str) -> None",
    "basket": "basket(self) -> None",
    "checkout_page": "checkout_page(self) -> None",
    "checkout": "checkout(self, key: str, lines: tuple[BasketLine, ...]) -> Order",
}
_PROTOCOL = ("BasketLine", "Catalogue", "Client", "Listing", "Order", "Product", "Rejected", "Storefront")
_ANSWERS = ("ALL", "all_at", "at", "field_value", "json_of", "pence_of", "text_between")
_LISTING = """
    def listing(self, skus: tuple[object, ...]) -> Listing:
        if not skus:  # catches a holding page with status 200
            raise Rejected("empty_listing")
        return Listing(tuple(str(sku) for sku in dict.fromkeys(skus)))
"""


class DriverDraft(NamedTuple):
    """A driver's source. steps: those recorded. left_out: what of the recording it does without, and why.

    secrets: environment variables that it reads. to_do: what the recording does not show.
    """

    text: str
    steps: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    secrets: tuple[str, ...]
    to_do: tuple[str, ...]

    def left_out_by_reason(self) -> dict[str, list[str]]:
        grouped: dict[str, list[str]] = {}
        for one in self.left_out:
            grouped.setdefault(one.reason, []).append(one.what)
        return grouped


def driver_text(template: str, visit: RecordedVisit | None = None) -> str:
    """The starter driver; with a recording, a driver drafted from it."""
    return template if visit is None else draft_driver(template, visit).text


def draft_driver(template: str, visit: RecordedVisit) -> DriverDraft:
    """template: the starter driver, whose docstring and names the draft takes over."""
    names = _NAMES.search(template)
    assert names is not None, "the starter has a class with a name"
    plan = plan_of(visit)
    parts = DriverParts(plan, CarriedValues(visit.requests), names[2].upper().replace("-", "_"))
    results = StepResults(plan)
    catalogue = CatalogueSource(parts, plan, results)
    steps = StepSource(parts, plan, results)
    methods = steps.methods()
    body = _class(names[1], names[2], [catalogue.prepare(), *_defined(methods | steps.helpers())], parts)
    used = {place for places in plan.steps.values() for place in places} | steps.used | {catalogue.place or 0}
    out = (*visit.left_out, *left_out(plan, used))
    head = template.partition("\nfrom __future__")[0]
    remark = _remark(parts, tuple(results.to_do), out)
    imports = _imports(body, results.patterns, parts)
    constants = _constants(results.patterns, parts, catalogue.terms())
    text = f"{head}\n{remark}\n\nfrom __future__ import annotations\n\n{imports}\n{constants}\n\n{body}"
    to_do = (*results.to_do, *_invented(visit, text))
    return DriverDraft(text, tuple(plan.steps), out, tuple(parts.secrets.values()), to_do)


def _invented(visit: RecordedVisit, text: str) -> list[str]:
    """What stands in the driver although nothing shows it."""
    return [
        f"{value} is invented, because the {visit.source} has no example of it; put a real one in its place"
        for value in visit.invented
        if value in text
    ]


def _remark(parts: DriverParts, to_do: Sequence[str], out: Iterable[LeftOut]) -> str:
    plan = parts.plan
    source = plan.visit.source
    rows = [f"# {'Recorded' if source == 'recording' else 'Described'} at {plan.visit.origin}:"]
    for step, places in plan.steps.items():
        for place in places:
            request = plan.visit.requests[place]
            operation = operation_of(request)
            name = f" ({operation.name})" if operation is not None and operation.name else ""
            rows.append(f"#   {step:<14} {request.method} {comment(_shown_path(request, parts) + name)}")
    missing = [step for step in ORDER_OF_STEPS if step not in plan.steps]
    if missing:
        rows.append(f"# Not in the {source}: {', '.join(missing)}.")
    rows += [f"# To do: {note}" for note in to_do]
    grouped = Counter(one.reason for one in out)
    return "\n".join(
        rows + [f"# Left out: {count} x {comment(reason)}" for reason, count in grouped.most_common()]
    )


def _shown_path(request: RecordedRequest, parts: DriverParts) -> str:
    """The path with the names of variables in place of their values."""
    if not parts.variables:
        return request.shown_path
    shown = (parts.variables.get(unquote(part), "") for part in request.path.split("/"))
    named = "/".join(
        f"{{{name}}}" if name else part for name, part in zip(shown, request.path.split("/"), strict=True)
    )
    return named if named != request.path else request.shown_path


def _defined(methods: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"    def {_SIGNATURES.get(step, f'{step}(self) -> None')}:\n"
        + "\n".join(f"        {line}" for line in lines)
        for step, lines in methods.items()
    ]


def _class(name: str, called: str, methods: Sequence[str], parts: DriverParts) -> str:
    kept = sorted({variable for one in parts.extracted.values() for variable in one})
    kept += ["chosen_sku"] if parts.keeps_sku else []
    fields = "".join(f'    {variable} = ""  # set by an answer\n' for variable in kept)
    body = "\n\n".join(methods)
    listing = _LISTING if "self.listing(" in body else ""
    return f"class {name}(Storefront):\n    name = {text_literal(called)}\n{fields}\n{body}\n{listing}"


def _imports(body: str, patterns: Mapping[str, str], parts: DriverParts) -> str:
    words = set(re.findall(r"\w+", body))
    protocol = ", ".join(name for name in _PROTOCOL if name in words)
    answers = ", ".join(name for name in _ANSWERS if name in words)
    rows = ["import re"] if patterns else []
    rows += ["from itertools import accumulate"]
    rows += ["from os import environ"] if parts.secrets else []
    rows += ["from random import Random"]
    rows += ["from urllib.parse import quote"] if parts.uses_quote else []
    rows += ["", f"from doorbuster.storefronts import {protocol}"]
    rows += [f"from doorbuster.storefronts.answers import {answers}"] if answers else []
    rows += ["from doorbuster.storefronts.forms import submit"] if parts.plan.forms else []
    return "\n".join(rows) + "\n"


def _constants(patterns: Mapping[str, str], parts: DriverParts, terms: Sequence[str]) -> str:
    rows = [f"{name} = re.compile({pattern_literal(pattern)})" for name, pattern in patterns.items()]
    rows += [f"{name} = {text_literal(origin)}" for origin, name in parts.origins.items()]
    source = parts.plan.visit.source
    rows += [
        f'{name} = environ.get({text_literal(variable)}, "")  # a secret: not taken from the {source}'
        for name, variable in parts.secrets.items()
    ]
    rows += [f"{name} = {source}" for name, source in parts.constants.items()]
    shown = ", ".join(text_literal(term) for term in terms)
    return "\n".join([*rows, f"SEARCH_TERMS = ({shown},)  # typical search terms of your customers"]) + "\n"
