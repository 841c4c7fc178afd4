"""Devices of visits and the number of product pages viewed.

The schedule fixes the number of visits of each journey; the device of a visit is drawn given its journey.
With s the share of a device in the visits, b its `conversion` and o the share of ordering journeys in the
channel, an ordering visit is by that device with probability s b / sum(s b), any other with
s (1 - c b) / (1 - o), where c = o / sum(s b). So the shares of devices and journeys both come
out as configured, and c b is the share of a device's visits that want to order (Bayes).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from doorbuster.scenario.customers.behaviour import PATIENCE
from doorbuster.scenario.parsing.diagnostics import (
    KeyIssue,
    all_issues,
    collect_issues,
    invalid,
    preview,
    unknown_key,
)
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import (
    Share,
    choice,
    is_number,
    model_schema,
    number,
    parse_single_key,
    share,
    single_key_schema,
    value_type,
    whole,
)

DEVICES = ("desktop", "mobile", "tablet")
DEVICE_PATIENCE = {"desktop": "desktop", "mobile": "mobile", "tablet": "desktop"}
DEFAULT_PAGES = 2  # product pages per visit when the channel sets none
MAX_PAGES = 1000
SHARE_TOLERANCE = 1e-6  # tolerance for shares added up by hand, as 0..1


class Device(StrictModel):
    """One device: its share of the channel's visits and its relative conversion rate."""

    share_ratio: Share = Field(
        description="Share of the channel's visits; all devices sum to 100 %.", examples=["65%"]
    )
    conversion: Share = Field(
        default=1.0,
        description="Conversion rate relative to the other devices. Default: 100%.",
        examples=["50%"],
    )
    patience: Annotated[str, choice("patience", PATIENCE)] | None = Field(
        default=None,
        description="Patience on this device, by name. Default: the channel's, else the device's.",
        examples=["mobile"],
    )


@value_type(
    {
        "type": "object",
        "properties": {key: {"anyOf": [*share().schema["anyOf"], model_schema(Device)]} for key in DEVICES},
        "additionalProperties": False,
        "minProperties": 1,
    }
)
def parse_devices(raw: object) -> object:
    """Devices by name, each a share or a mapping; the shares sum to 100 %."""
    if not isinstance(raw, dict) or not raw:
        rule = "must be a mapping of devices to shares, such as {desktop: 35%, mobile: 65%}"
        raise invalid(rule, got=preview(raw))
    with all_issues("devices", raw) as issues:
        devices: dict[str, Device] = {}
        for name, values in raw.items():
            if name not in DEVICES:
                issues.append(unknown_key(name, "is not a known device", DEVICES))
            device = _parse_device(issues, str(name), values)
            if device is not None:
                devices[str(name)] = device
        total = sum(device.share_ratio for device in devices.values())
        if len(devices) == len(raw) and abs(total - 1.0) > SHARE_TOLERANCE:
            issues.append(KeyIssue((), "must have shares that sum to 100%", f"{total * 100:.6g}%"))
        if not any(d.share_ratio * d.conversion for d in devices.values()) and len(devices) == len(raw):
            issues.append(KeyIssue((), "must have a device with a conversion above 0%", "0%"))
    return devices


def _parse_device(issues: list[KeyIssue], name: str, values: object) -> Device | None:
    """The device, or None; an invalid share without a mapping is reported at the device itself."""
    if isinstance(values, dict | Device):
        return collect_issues(issues, (name,), Device.model_validate, values)
    own: list[KeyIssue] = []
    device = collect_issues(own, (), Device.model_validate, {"share": values})
    issues += [replace(issue, path=(name,)) for issue in own]
    return device


def ordering_shares(devices: Mapping[str, Device], order_ratio: float) -> dict[str, float]:
    """Share of each device's visits that want to order (c b above); more than 1 is impossible."""
    mean_conversion = sum(device.share_ratio * device.conversion for device in devices.values())
    return {name: order_ratio * device.conversion / mean_conversion for name, device in devices.items()}


def devices_given(
    devices: Mapping[str, Device], order_ratio: float, *, wants_order: bool
) -> dict[str, float]:
    """Probability of each device, given whether the visit wants to order; sums to 1."""
    orders = ordering_shares(devices, order_ratio)
    weights = {
        name: device.share_ratio * (orders[name] if wants_order else 1.0 - orders[name])
        for name, device in devices.items()
    }
    total = sum(weights.values())
    if total <= 0:  # no such visit is planned
        return {name: device.share_ratio for name, device in devices.items()}
    return {name: max(weight, 0.0) / total for name, weight in weights.items()}


def device_rules(devices: Mapping[str, Device], order_ratio: float) -> Iterator[KeyIssue]:
    """No device may have more ordering visits than visits."""
    for name, ratio in ordering_shares(devices, order_ratio).items():
        if ratio > 1.0 + SHARE_TOLERANCE:
            rule = f"is impossible: {order_ratio:.3g} of all visits of this channel want to order"
            got = f"{ratio * 100:.4g}% of the visits by {name}"
            yield KeyIssue(("devices", name), rule, got, "bring the conversion values closer together")


class PageDepth(StrictModel):
    """Product pages per visit: lognormal, rounded, at least 1 and at most `max_pages`."""

    median: float
    sigma: float = 0.0
    max_pages: int = MAX_PAGES

    @property
    def mean(self) -> float:
        """Mean of min(max(round(X), 1), max_pages): the sum over k of P(pages >= k)."""
        return sum(self.tail_ratios())

    def tail_ratios(self) -> list[float]:
        """P(pages >= k) = P(X >= k - 1/2) for k = 1 .. max_pages."""
        if not self.sigma:
            return [1.0] * self.max_pages
        mu, scale = math.log(self.median), self.sigma * math.sqrt(2.0)
        return [
            1.0,
            *(0.5 * math.erfc((math.log(k - 0.5) - mu) / scale) for k in range(2, self.max_pages + 1)),
        ]


class _LognormalPages(StrictModel):
    median: Annotated[float, number(1, MAX_PAGES)]
    sigma: Annotated[float, number(0.01, 5)]
    max: Annotated[int, whole(1, MAX_PAGES)] = MAX_PAGES


@value_type(
    {"anyOf": [whole(1, MAX_PAGES).schema, single_key_schema("lognormal", model_schema(_LognormalPages))]}
)
def parse_pages(raw: object) -> object:
    """A whole number of pages, or `{lognormal: {median, sigma, max}}`."""
    if isinstance(raw, PageDepth):
        return raw
    if is_number(raw):
        count = whole(1, MAX_PAGES)(raw)
        return PageDepth(median=count, max_pages=count)
    rule = "must be a number of pages, or {lognormal: {median: 4, sigma: 1.17, max: 60}}"
    text = parse_single_key(
        raw, {"lognormal": _LognormalPages.model_validate}, rule=rule, noun="distribution of pages"
    )
    return PageDepth(median=text.median, sigma=text.sigma, max_pages=text.max)
