"""The methods of the drafted driver: what each step sends, what it keeps of the answers, what it returns."""

from __future__ import annotations

from doorbuster.storefronts.har.carried_values import Source
from doorbuster.storefronts.har.request_source import DriverParts, call_of
from doorbuster.storefronts.har.source_code import comment, identifier, text_literal
from doorbuster.storefronts.har.step_results import StepResults, path_source
from doorbuster.storefronts.har.steps import ORDER_OF_STEPS, operation_of
from doorbuster.storefronts.har.visit_plan import LISTINGS, VisitPlan

_MAX_ROUNDS = 12  # each round can add one link to a chain of requests that need each other
_READ_AGAIN = frozenset({*LISTINGS, "product", "add_to_basket", "checkout"})  # steps that look at the answer


class StepSource:
    """Writes the methods. `used`: requests that are sent besides those of the plan."""

    def __init__(self, parts: DriverParts, plan: VisitPlan, results: StepResults) -> None:
        self._parts = parts
        self._plan = plan
        self._requests = plan.visit.requests
        self._results = results
        self._names: dict[int, str] = {}
        self.used: set[int] = set()

    def methods(self) -> dict[str, list[str]]:
        """The lines of each method; written again until no call needs a further value of an answer."""
        found: dict[str, list[str]] = {}
        for _ in range(_MAX_ROUNDS):
            again = self._methods()
            if again == found:
                break
            found = again
            self.helpers()
        return found

    def _methods(self) -> dict[str, list[str]]:
        self._results.to_do.clear()
        found = {}
        for step in ORDER_OF_STEPS:
            if step in self._plan.steps:
                found[step] = self._method(step)
            elif step in ("basket", "checkout_page") and "add_to_basket" in self._plan.steps:
                found[step] = ['"""The shop draws this page without a request."""']
            elif step == "home" and self._plan.visit.source == "description":
                listed = next((one for one in ("category", "search") if one in self._plan.steps), "")
                if listed:
                    text = "An API has no home page; replace this by what yours shows."
                    found[step] = [f'"""{text}"""', f"return self.{listed}()"]
        return found

    def _method(self, step: str) -> list[str]:
        *before, last = self._plan.steps[step]
        lines = ["self.chosen_sku = sku"] if step == "add_to_basket" and self._parts.keeps_sku else []
        for place in before:
            lines += self._sent(place, step)
        lines += self._sent(last, step, keep=step in _READ_AGAIN)
        name = self._variable(last)
        if step in LISTINGS:
            return lines + self._results.listing(step, name)
        if step == "product":
            return lines + self._results.product(name)
        if step == "add_to_basket":
            return lines + self._added(last, name)
        if step == "checkout":
            if self._results.needs_confirmation(last) and self._plan.confirmation is not None:
                lines += self._sent(self._plan.confirmation, step, keep=True)
                name = "answer"
            if self._plan.confirmation is not None:
                self.used.add(self._plan.confirmation)
            return lines + self._results.order(last, name, takes_key=self._parts.takes_key)
        return lines

    def _added(self, place: int, name: str) -> list[str]:
        request = self._requests[place]
        for value, field in self._parts.unknown.items():
            shown = comment(f"{field}={value}", 60)
            self._results.note(
                f"add_to_basket: no answer shows where {shown} comes from; every order is for it"
            )
        if not request.is_page:
            return [f"json_of({name})"] if request.json_answer is not None else []
        return [
            f'if "sold-out" in {name}.text:  # correct behaviour of the shop, not a failure',
            '    raise Rejected("sold_out", expected=True)',
        ]

    def _sent(self, place: int, step: str, *, keep: bool = False) -> list[str]:
        """The lines that send a request, those it needs first, and those that take values from its answer."""
        call = call_of(self._parts, place, step)
        lines = [f"self.{self._helper(one)}()" for one in self._parts.supporting.get(place, [])]
        kept = self._parts.extracted.get(place, {})
        name = self._variable(place)
        is_operation = operation_of(self._requests[place]) is not None
        if name != "self.seen" and not kept and not keep and not is_operation:
            return [*lines, call]
        lines.append(f"{name} = {call}")
        lines += [_extraction(variable, source, name) for variable, source in kept.items()]
        if is_operation and not kept and not keep:
            lines.append(f"json_of({name})")  # GraphQL says no with status 200
        return lines

    def _helper(self, place: int) -> str:
        """The name of the method that sends a request once a visit, for values that steps need."""
        if place not in self._names:
            kept = self._parts.extracted.get(place, {})
            self._names[place] = identifier(f"need_{next(iter(kept), 'answer')}", self._parts.names)
        return self._names[place]

    def helpers(self) -> dict[str, list[str]]:
        """Methods for the requests that steps need first."""
        found: dict[str, list[str]] = {}
        while len(found) < len(self._names):
            for place, name in list(self._names.items()):
                self.used.add(place)
                request, kept = self._requests[place], self._parts.extracted.get(place, {})
                shown = (
                    comment(f"{request.method} {request.shown_path}", 80).replace('"', "'").replace("\\", "/")
                )
                missing = " or ".join(f"not self.{variable}" for variable in kept) or "True"
                lines = [line.replace("\n", "\n    ") for line in self._sent(place, "prepare", keep=True)]
                found[name] = [
                    f'"""{shown}, once a visit."""',
                    f"if {missing}:",
                    *(f"    {one}" for one in lines),
                ]
        return found

    def _variable(self, place: int) -> str:
        """self.seen for a page whose form is filled in later."""
        checkout = [*self._plan.steps.get("checkout_page", []), *self._plan.steps.get("checkout", [])]
        following = checkout[checkout.index(place) + 1 :][:1] if place in checkout else []
        before_form = place in self._plan.pages_of_forms or bool(
            following and following[0] in self._plan.forms
        )
        return "self.seen" if before_form else "answer"


def _extraction(variable: str, source: Source, name: str) -> str:
    """The line that takes a value out of an answer."""
    if source.how == "json":
        value = f"str(at(json_of({name}), {path_source(source.where)}))"
    elif source.how == "field":
        value = f"field_value({name}, {text_literal(source.name)})"
    elif source.how == "header":
        value = f"{name}.headers.get({text_literal(source.name)}, {text_literal('')})"
    else:
        held = f"{name}.url" if source.how == "address" else f"{name}.text"
        before, after = source.where
        value = f"text_between({held}, {text_literal(before)}, {text_literal(after)})"
    return f"self.{variable} = {value}"
