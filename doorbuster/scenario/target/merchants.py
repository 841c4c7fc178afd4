"""Rules for platforms with several merchants."""

from __future__ import annotations

from collections.abc import Iterator

from doorbuster.scenario.parsing.diagnostics import KeyIssue, did_you_mean, entry, preview, try_parse
from doorbuster.scenario.target.embedded_shop import parse_merchants


def merchant_rules(channels: object, target: object, freshness: object) -> Iterator[KeyIssue]:
    """If there are merchants, every channel names one, and every merchant is named."""
    raw = entry(entry(target, "shop"), "merchants")
    merchants = () if raw is None else try_parse(parse_merchants, raw)
    if not isinstance(channels, dict) or merchants is None:
        return
    visited = {str(name): entry(channel, "merchant") for name, channel in channels.items()}
    if not all(isinstance(merchant, str | None) for merchant in visited.values()):
        return  # the key itself is a problem already
    for name, merchant in visited.items():
        place = ("channels", name, "merchant")
        if merchants and merchant is None:
            rule = "must name a merchant"
            yield KeyIssue(place[:2], rule, way_out=f"add merchant: {merchants[0]}", at="key")
        elif merchant is not None and merchant not in merchants:
            way_out = did_you_mean(str(merchant), merchants) if merchants else "add target.shop.merchants"
            yield KeyIssue(place, "is not in target.shop.merchants", preview(merchant), way_out)
    for merchant in merchants if set(merchants).issuperset(visited.values()) else ():
        if merchant not in visited.values():
            yield KeyIssue(("target", "shop", "merchants"), "has a merchant that no channel names", merchant)
    if merchants and freshness is not None:
        yield KeyIssue(("freshness",), "cannot be measured with target.shop.merchants", at="key")
