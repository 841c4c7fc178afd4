"""How the drafted driver reads the catalogue before a run: with its own steps, and where categories stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from doorbuster.storefronts.har.answer_patterns import Path, path_to_all
from doorbuster.storefronts.har.recorded_request import shown_text
from doorbuster.storefronts.har.request_source import DriverParts, call_of
from doorbuster.storefronts.har.source_code import text_literal
from doorbuster.storefronts.har.step_results import StepResults, path_source
from doorbuster.storefronts.har.steps import operation_of, variables_of
from doorbuster.storefronts.har.visit_plan import LISTINGS, VisitPlan, link_pattern, without_ending
from doorbuster.storefronts.har.vocabulary import CATEGORY_IDS, TERMS

_PLACE_OF_AN_API = re.compile(r"(?:\w+-)?api|rest|store|shop|v\d+|public", re.IGNORECASE)


@dataclass(slots=True)
class CatalogueSource:
    """Writes `prepare`. place: the request whose answer lists categories, by a pattern or by a path; None
    if only the recorded one is known.
    """

    parts: DriverParts
    plan: VisitPlan
    results: StepResults
    place: int | None = None
    pattern: str = ""
    path: Path = ()

    def __post_init__(self) -> None:
        if "category" not in self.plan.steps:
            return
        anchor = self.plan.steps["category"][-1]
        self.parts.category = value = self._recorded_category(anchor)
        pattern = link_pattern(self.plan.visit.requests[anchor], value)
        for place, one in enumerate(self.plan.visit.requests[:anchor]):
            self.path = path_to_all(one.json_answer, value) if one.json_answer is not None else ()
            linked = one.is_page and pattern and re.search(pattern, one.answer.text)
            if self.path or linked:
                self.place, self.pattern = place, "" if self.path else pattern
                return
        home = self.plan.steps.get("home", [None])[0]
        is_recording = self.plan.visit.source == "recording"
        if is_recording and home is not None and pattern and not self.plan.visit.requests[home].answer.text:
            self.place, self.pattern = home, pattern  # the answers were not recorded: links are the usual way

    def _recorded_category(self, anchor: int) -> str:
        request = self.plan.visit.requests[anchor]
        operation = operation_of(request)
        named = variables_of(operation.variables) if operation is not None else iter(request.query)
        value = next((str(one) for name, one in named if name.lower() in CATEGORY_IDS and one), "")
        segments = [unquote(part) for part in request.path.split("/") if part]
        if not value and (operation is not None or request.query):
            named = variables_of(operation.variables) if operation is not None else iter(request.query)
            value = next((str(one) for _, one in named if self._is_listed(str(one), anchor)), "")
        if value or operation is not None or not segments:
            return value
        # /api/categories/lamps/products: the word before the last one that every category has.
        is_list = segments[-1] in ("products", "items") and len(segments) > 1
        if is_list and _PLACE_OF_AN_API.fullmatch(segments[-2]):
            return ""  # /api/products lists everything
        return segments[-2] if is_list else without_ending(segments[-1])

    def _is_listed(self, value: str, before: int) -> bool:
        """Whether an earlier answer has a list with this value."""
        earlier = self.plan.visit.requests[:before]
        return len(value) > 2 and any(
            path_to_all(one.json_answer, value) for one in earlier if one.json_answer is not None
        )

    def terms(self) -> tuple[str, ...]:
        """What was searched for."""
        found: dict[str, str] = {}
        for place in self.plan.steps.get("search", ()):
            request = self.plan.visit.requests[place]
            operation = operation_of(request)
            named = variables_of(operation.variables) if operation is not None else iter(request.query)
            found |= {str(value): "" for name, value in named if name.lower() in TERMS and value}
        return tuple(shown_text(term) for term in found) or ("lamp",)

    def prepare(self) -> str:
        rows = [
            "@classmethod",
            "def prepare(cls, client: Client) -> Catalogue:",
            '    """Read the catalogue once before the run. A product feed or a sitemap works too."""',
            "    categories: tuple[str, ...] = ()",
            "    known = Catalogue((), (), SEARCH_TERMS, categories)",
            '    visitor = cls(client, channel="web", catalogue=known, rng=Random(1))',
        ]
        home = self.plan.steps.get("home", [])
        rows += ["    visitor.home()"] if any(place in self.parts.extracted for place in home) else []
        rows += [f"    {line}" for line in self._categories()]
        listings = [
            step for step in LISTINGS if step in self.plan.steps and self.results.lists_products(step)
        ]
        steps = ", ".join(f"*visitor.{step}().skus" for step in listings[:2])
        if listings:
            rows += [f"    skus = tuple(dict.fromkeys(({steps},)))"]
        else:
            rows += [f"    skus = ({text_literal(self.plan.sku)},)"]
            self.results.note(
                f"prepare: the {self.plan.visit.source} does not show where products are listed"
            )
        rows += [
            "    weights = tuple(accumulate(1.0 for _ in skus))",
            "    return Catalogue(skus, weights, SEARCH_TERMS, categories)",
        ]
        return "\n".join(f"    {row}" for row in rows)

    def _categories(self) -> list[str]:
        if not self.parts.category:
            return []
        known = "visitor.catalogue = Catalogue((), (), SEARCH_TERMS, categories)"
        if self.place is None:
            self.results.note(
                f"prepare: the {self.plan.visit.source} does not show where categories are listed; add yours"
            )
            return [f"categories = ({text_literal(self.parts.category)},)", known]
        call = call_of(self.parts, self.place, "prepare", sender="visitor")
        rows = [f"page = {call.replace('self.', 'visitor.')}"]
        if self.pattern:
            self.results.patterns["CATEGORY_LINK"] = self.pattern
            rows.append("categories = tuple(dict.fromkeys(CATEGORY_LINK.findall(page.text)))")
        else:
            rows.append(f"categories = tuple(map(str, all_at(json_of(page), {path_source(self.path)})))")
        return [*rows, "if not categories:", '    raise Rejected("no_categories")', known]
