"""The driver for the embedded reference shop: a face for browsers and one for programs.

`for_channel` gives web and print the pages; the app, social media, assistants, partners, tills and telephone
the JSON API. `ReferenceShop` itself can do all steps, by page where there is one.
"""

from __future__ import annotations

from doorbuster.storefronts.protocol import Storefront
from doorbuster.storefronts.reference.json_steps import JsonSteps
from doorbuster.storefronts.reference.page_steps import PageSteps
from doorbuster.storefronts.reference.staff_steps import PartnerSteps, StaffSteps


class ReferenceShop(PageSteps, StaffSteps, PartnerSteps):
    """Pages for customers, JSON for staff and partners."""

    @classmethod
    def for_channel(cls, channel: str) -> type[Storefront]:
        return FACES.get(channel, cls) if cls is ReferenceShop else cls


class ReferenceProgram(JsonSteps, StaffSteps, PartnerSteps):
    """Everything in JSON."""


FACES: dict[str, type[Storefront]] = dict.fromkeys(
    ("app", "social", "agent", "partner", "store", "phone"), ReferenceProgram
)
