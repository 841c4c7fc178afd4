"""The drivers for the embedded reference shop: one for browsers, one for programs.

Web and print customers use pages; the app, social media, assistants, partners, tills and the call centre use
the JSON API. `ReferenceShop` itself supports all steps, through pages where there are any.
"""

from __future__ import annotations

from doorbuster.storefronts.base import Storefront
from doorbuster.storefronts.reference.json_steps import JsonSteps
from doorbuster.storefronts.reference.page_steps import PageSteps
from doorbuster.storefronts.reference.staff_steps import StaffSteps


class ReferenceShop(PageSteps, StaffSteps):
    """Pages for customers, JSON for staff and partners."""

    @classmethod
    def for_channel(cls, channel: str) -> type[Storefront]:
        return _BY_CHANNEL.get(channel, cls) if cls is ReferenceShop else cls


class ReferenceJsonDriver(JsonSteps, StaffSteps):
    """Everything in JSON."""


_BY_CHANNEL: dict[str, type[Storefront]] = dict.fromkeys(
    ("app", "social", "agent", "partner", "store", "phone"), ReferenceJsonDriver
)
